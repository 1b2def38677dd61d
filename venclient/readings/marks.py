"""Which messages of a broker are stored already, as far as their rows say: for what comes again after a kill.

A row of a message without a time has a mark: the packet number that the broker gave the message, and a
checksum of its topic and payload. It is committed with the row: one is never there without the other. A
broker uses a packet number again only after it knows that the message has arrived; by the marks of the last
thousands of messages, what it sends again is recognised.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from venclient.model.marks import number_of

#: So many of the newest messages are remembered: more are not on their way from a broker at once.
MOST_MARKS = 5_000
#: Marks are looked for in this number of the newest rows, and not further back than this.
ROWS_LOOKED_AT = 20_000
OLDEST_MS = 3_600_000
#: A number that means another message after fewer messages than this was used again early ...
EARLY = 100
#: ... and a broker that does so several times in a row may mean another message by any number.
MOST_EARLY = 3


class Marks:
    """The marks of the newest stored messages, by resource, in the order in which they were stored."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[str, int], tuple[int, int]] = OrderedDict()
        self._early = 0

    def add(self, found: Iterable[tuple[str, int, int]]) -> None:
        """Note stored rows: resource, mark and millisecond of each."""
        held = self._held
        for resource_id, mark, ms in found:
            key = (resource_id, number_of(mark))
            known = held.get(key)
            if known == (mark, ms):
                continue  # another quantity of the same message
            if known is not None:
                # A new session of the broker counts from 1 again: earlier numbers are of the old one.
                self._early = self._early + 1 if len(held) < EARLY else 0
                held.clear()
            held[key] = mark, ms
            if len(held) > MOST_MARKS:
                held.popitem(last=False)

    def has(self, resource_id: str, mark: int) -> bool:
        """Return whether the message of a mark is stored for a resource.

        Never for a broker that uses numbers again at once: a message may then come twice, but none is lost.
        """
        known = self._held.get((resource_id, number_of(mark)))
        return known is not None and known[0] == mark and self._early < MOST_EARLY
