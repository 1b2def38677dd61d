"""Marks of messages: how one message of a broker is recognised once its readings are rows.

mark    packet number << 16 | checksum of topic and payload, less 2**31: four bytes in a file
"""

from __future__ import annotations


def mark_of(number: int, checksum: int) -> int:
    """Return the mark of a message with a packet number; never 0, which stands for none."""
    return ((number & 0xFFFF) << 16 | checksum & 0xFFFF) - 2**31 or 1


def number_of(mark: int) -> int:
    """Return the packet number of a mark."""
    return (mark + 2**31) >> 16
