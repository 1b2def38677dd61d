"""Facts about a timeline that all windows use, computed once for all descriptors. Does no I/O."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from itertools import accumulate

from venclient.openadr.timeline import Timeline

DAY_S = 86_400.0


class LineFacts:
    """Facts about the intervals of one event. Each takes one look at every interval that is written down."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        #: How many intervals there are until they repeat.
        self.pattern = timeline.pattern if timeline.count is None else min(timeline.pattern, timeline.count)

    @cached_property
    def _live_before(self) -> list[int]:
        """How many of the intervals before each one have a place, an end and a length."""
        slots = (self.timeline.at(index) for index in range(self.pattern))
        live = (int(slot is not None and slot.end is not None and not slot.is_cancelled) for slot in slots)
        return list(accumulate(live, initial=0))

    def has_any(self, first: int, last: int) -> bool:
        """True when at least one of the intervals `first` to `last` can be reported."""
        return last >= first and self._live_up_to(last + 1) > self._live_up_to(first)

    def _live_up_to(self, index: int) -> int:
        if not self.pattern:
            return 0
        loops, rest = divmod(index, self.pattern)
        return loops * self._live_before[-1] + self._live_before[rest]

    @cached_property
    def _next_placed(self) -> list[int | None]:
        """Return, for each written interval, the first from there on that has a place."""
        found: list[int | None] = []
        coming: int | None = None
        for index in range(self.pattern - 1, -1, -1):
            coming = index if self.timeline.at(index) is not None else coming
            found.append(coming)
        return found[::-1]

    def first_placed(self, first: int, last: int) -> int | None:
        """Return the first of the intervals `first` to `last` that has a place; None when none has."""
        if self.timeline.ordered:
            return first  # all have one, up to the end of the calendar
        found = self._next_placed[first]
        return None if found is None or found > last else found

    @cached_property
    def length(self) -> timedelta | None:
        """Return how long the intervals are; None when they are not all of one length."""
        lengths = set()
        for index in range(self.pattern):
            slot = self.timeline.at(index)
            if slot is None or slot.end is None or slot.is_cancelled:
                return None
            lengths.add(slot.end - slot.start)
        return lengths.pop() if len(lengths) == 1 else None

    @cached_property
    def most_in_a_day(self) -> int | None:
        """Return how many intervals can begin within a day at most; None when all may."""
        count = self.timeline.count
        if not self.pattern or count == self.pattern:
            return None  # each is written down
        first = self.timeline.at(0)
        again = self.timeline.at(self.pattern) if count is None or count > self.pattern else None
        if first is None or again is None or again.start <= first.start:
            return None
        loop_s = (again.start - first.start).total_seconds()
        return int(DAY_S / loop_s + 2) * self.pattern
