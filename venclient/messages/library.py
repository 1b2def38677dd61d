"""Messages to the author of a program that calls a function of venclient wrongly (VEN-LIB)."""

from __future__ import annotations

from venclient.messages import error

NAIVE_START = error("VEN-LIB-001", "the start of a ManualClock must have a time zone")
CHUNK_SIZE = error("VEN-LIB-002", "invalid chunk size {size}: must be 1 or more")
