"""When an event's intervals are: periods resolved, gaps, loops and grids, given by index or by time. Pure.

    written       id 7: PT1H     id 3: (PT1H)    id 9: start 03:00, PT30M       event.duration PT6H
    time          00:00          01:00           02:00          03:00   03:30          06:00
    intervals     [0: id 7------][1: id 3-------]               [2: id 9]
    one more time                                                       [3: id 7-----][4: id 3: cut
                  |<----------- one loop: first start to last end ----->|

- An interval's own start and duration win over the event's, each for itself (User Guide 7.3, 7.4).
- Without a start an interval follows the one before it; a given start may leave a gap or overlap.
- "Now" is the anchor for the first interval, and straight after the one before for later ones.
- An event's duration cuts the intervals or repeats them; without intervals the period itself repeats
  and makes a grid (8.7). Both are computed per index: endless ones cost nothing.
- PT0S means cancelled: the interval keeps its index and is never active.

The index is the position on this line, loops counted on; the id is only a label.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from venclient.errors import WireError
from venclient.messages import openadr as oad
from venclient.messages import within
from venclient.messages.printable import foreign
from venclient.openadr.duration import ZERO, Duration
from venclient.openadr.objects import Event, Interval, IntervalPeriod, ValuesMap
from venclient.openadr.times import NOW, Special, parse_time
from venclient.utils import to_the_end

#: Work pauses after this number of intervals.
AT_ONCE = 200

NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Slot:
    """One interval [start, end) on the line; `end` is None when it never ends."""

    index: int
    id: int
    start: datetime
    end: datetime | None
    payloads: Sequence[ValuesMap] = ()

    @property
    def is_cancelled(self) -> bool:
        """True for an interval of no length."""
        return self.end is not None and self.end <= self.start

    def holds(self, moment: datetime) -> bool:
        """True when `moment` lies in [start, end)."""
        return self.start <= moment and (self.end is None or moment < self.end)


@dataclass(frozen=True)
class Timeline:
    """The intervals of one event.

    `count` is how many there are, None for endless; `pattern` how many there are before they repeat.
    `ordered` is True when starts and ends never step back: time can then be searched by halves;
    `apart` when, besides, no two intervals hold the same moment.
    `problems` says what could not be placed, and why; a slot that could not be placed is None.
    """

    count: int | None
    pattern: int
    ordered: bool
    problems: tuple[str, ...]
    _slot: Callable[[int], Slot | None] = field(repr=False, compare=False)
    _limit: datetime | None = None
    apart: bool = True

    def at(self, index: int) -> Slot | None:
        """Return the interval at `index`, in one step; None when it has no place. IndexError beyond it."""
        if index < 0 or (self.count is not None and index >= self.count):
            raise IndexError(oad.INTERVAL_INDEX(index=index, count=self.count))
        slot = self._slot(index)
        if slot is None or self._limit is None or (slot.end is not None and slot.end <= self._limit):
            return slot
        return Slot(slot.index, slot.id, slot.start, max(self._limit, slot.start), slot.payloads)

    def holding(self, moment: datetime) -> Slot | None:
        """Return the active interval at `moment`, the later one where two overlap; None outside all."""
        if not self.ordered:
            slots = [slot for slot in self if slot is not None and slot.holds(moment)]
            return slots[-1] if slots else None
        index = first_where(lambda i: self._starts_after(i, moment), self.count) - 1
        while index >= 0:  # steps back only over intervals of no length
            slot = self.at(index)
            if slot is not None and not slot.is_cancelled:
                return slot if slot.holds(moment) else None
            index -= 1
        return None

    def __iter__(self) -> Iterator[Slot | None]:
        index = 0
        while self.count is None or index < self.count:
            yield self.at(index)
            index += 1

    @property
    def end(self) -> datetime | None:
        """Return when the last interval has ended; None for never, and when nothing has a place."""
        if self.count is None:
            return None
        if self.ordered:
            last = self.at(self.count - 1) if self.count else None
            return last.end if last else None
        ends = [slot.end for slot in self if slot is not None]
        return None if not ends or None in ends else max(end for end in ends if end is not None)

    def _starts_after(self, index: int, moment: datetime) -> bool:
        slot = self.at(index)
        return slot is None or slot.start > moment


def first_where(holds: Callable[[int], bool], count: int | None) -> int:
    """Return the first index for which `holds`, which must stay true from there on; `count` when none.

    An endless line (count None) is searched in growing steps, and ends at 2**40.
    """
    low, high = 0, count
    if high is None:
        high = 1
        while high < 1 << 40 and not holds(high - 1):
            low, high = high, high * 2
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def resolve(event: Event, *, anchor: datetime) -> Timeline:
    """Return what `resolve_steps` gives, without a pause."""
    return to_the_end(resolve_steps(event, anchor=anchor))


def resolve_steps(event: Event, *, anchor: datetime) -> Generator[None, None, Timeline]:
    """Return the timeline of an event; `anchor` is the moment at which it was first received, for "now".

    Yields between some of the intervals.

    Never raises for what the event says: what has no place is named in `problems`. Multi-valued
    payloads are not split, and randomizeStart is not applied: reports follow the written times.
    """
    problems: list[str] = []
    period = event.interval_period or IntervalPeriod()
    default_start = _start(period, "event.intervalPeriod", problems)
    default_length = _length(period.duration, "event.intervalPeriod.duration", problems)
    whole = _length(event.duration, "event.duration", problems)
    if whole is not None and whole.is_zero:
        # PT0S is the schema's default of every duration, and servers write defaults out.
        whole = None
    if event.intervals:
        line = _Written()
        yield from line.place(event.intervals, default_start, default_length, anchor, problems)
        return line.timeline(whole, problems)
    first = anchor if default_start is NOW else default_start
    if not isinstance(first, datetime) or default_length is None:
        return _nothing(problems)
    return _grid(first, default_length, whole, problems)


def _nothing(problems: list[str]) -> Timeline:
    return Timeline(0, 0, True, tuple(problems), lambda _: None)


def _grid(first: datetime, length: Duration, whole: Duration | None, problems: list[str]) -> Timeline:
    """Return the implied intervals of a period without intervals: 0, 1, 2, ... from `first` on."""
    if length.is_zero:
        return _nothing(problems)
    limit = whole.after(first) if whole is not None else None

    def slot(index: int) -> Slot | None:
        start = length.after(first, index)
        return None if start is None else Slot(index, index, start, length.after(first, index + 1))

    if length.is_infinite:
        return Timeline(1, 1, True, tuple(problems), slot, limit)
    count = None if limit is None else first_where(_begins(slot, limit), None)
    return Timeline(count, 1, True, tuple(problems), slot, limit)


def _begins(slot: Callable[[int], Slot | None], limit: datetime) -> Callable[[int], bool]:
    def beyond(index: int) -> bool:
        placed = slot(index)
        return placed is None or placed.start >= limit

    return beyond


class _Written:
    """The intervals that an event lists, placed one after the other."""

    def __init__(self) -> None:
        self.slots: list[Slot | None] = []
        #: Lengths up to each interval, where all follow one another: repeats months by the calendar.
        self.sums: list[Duration] | None = [ZERO]

    def place(
        self,
        intervals: Sequence[Interval],
        default_start: datetime | Special | None,
        default_length: Duration | None,
        anchor: datetime,
        problems: list[str],
    ) -> Generator[None, None, None]:
        """Place the intervals, yielding between some of them; what has no place is named in `problems`."""
        cursor = anchor if default_start is NOW else default_start
        for index, interval in enumerate(intervals):
            if index % AT_ONCE == AT_ONCE - 1:
                yield
            place = f"intervals[{index}] (id {interval.id})"
            own = interval.interval_period or IntervalPeriod()
            before = len(problems)
            start = _start(own, f"{place}.intervalPeriod", problems)
            length = (
                default_length
                if own.duration is None
                else _length(own.duration, f"{place}.intervalPeriod.duration", problems)
            )
            if isinstance(start, datetime):
                self.sums = self.sums if index == 0 else None
                cursor = start
            elif len(problems) > before:
                cursor = None
            elif start is NOW and index == 0:
                cursor = anchor
            if length is None and len(problems) == before:
                problems.append(oad.NO_DURATION(place=place))
                length = ZERO
            if not isinstance(cursor, datetime) or length is None:
                if len(problems) == before:
                    problems.append(oad.NO_START(place=place))
                self.slots.append(None)
                self.sums, cursor = None, None
                continue
            end = length.after(cursor)
            self.slots.append(Slot(index, interval.id, cursor, end, interval.payloads))
            cursor = end
            if self.sums is not None:
                self.sums.append(_sum(self.sums[-1], length))

    def timeline(self, whole: Duration | None, problems: list[str]) -> Timeline:
        """Return the line, cut or repeated as the event's duration asks."""
        slots, n = self.slots, len(self.slots)
        placed = [slot for slot in slots if slot is not None and slot.end is not None]
        ordered = len(placed) == n and all(
            a.start <= b.start and (a.end or NEVER) <= (b.end or NEVER) for a, b in pairwise(placed)
        )
        apart = ordered and all((a.end or NEVER) <= b.start for a, b in pairwise(placed))
        if whole is None or not any(slots):
            return Timeline(n, n, ordered, tuple(problems), slots.__getitem__, apart=apart)
        first = next(slot.start for slot in slots if slot is not None)
        limit = whole.after(first)
        last = placed[-1].end if ordered and placed else None
        loops = last is not None and last > first and (limit is None or limit > last)
        if loops and last is not None:
            slot = self._repeated(first, last - first)
            count = None if limit is None else first_where(_begins(slot, limit), None)
            return Timeline(count, n, True, tuple(problems), slot, limit, apart)
        if not ordered and all(s.end and (limit is None or s.end < limit) for s in slots if s):
            problems.append(oad.CANNOT_REPEAT())
        count = n
        if ordered and limit is not None:
            count = bisect_left([slot.start for slot in placed], limit)
        return Timeline(count, n, ordered, tuple(problems), slots.__getitem__, limit, apart)

    def _repeated(self, first: datetime, span: timedelta) -> Callable[[int], Slot | None]:
        slots, n, sums = self.slots, len(self.slots), self.sums
        exact = sums is None or sums[-1].is_exact

        def slot(index: int) -> Slot | None:
            loop, at = divmod(index, n)
            base = slots[at]
            if base is None:
                return None
            if exact:
                try:
                    shift = span * loop
                    end = base.end + shift if base.end is not None else None
                    return Slot(index, base.id, base.start + shift, end, base.payloads)
                except OverflowError:
                    return None
            assert sums is not None  # noqa: S101  only sums make a line inexact
            start = _sum(sums[-1].times(loop), sums[at]).after(first)
            end = _sum(sums[-1].times(loop), sums[at + 1]).after(first)
            return None if start is None else Slot(index, base.id, start, end, base.payloads)

        return slot


def _sum(a: Duration, b: Duration) -> Duration:
    return Duration(
        years=a.years + b.years,
        months=a.months + b.months,
        weeks=a.weeks + b.weeks,
        days=a.days + b.days,
        hours=a.hours + b.hours,
        minutes=a.minutes + b.minutes,
        secs=a.secs + b.secs,
    )


def _start(period: IntervalPeriod, place: str, problems: list[str]) -> datetime | Special | None:
    try:
        return parse_time(period.start)
    except WireError as error:
        problems.append(within(error.text, f"{place}.start: "))
        return None


def _length(text: str | None, place: str, problems: list[str]) -> Duration | None:
    if text is None:
        return None
    try:
        length = Duration.parse(text)
    except WireError as error:
        problems.append(within(error.text, f"{place}: "))
        return None
    if length.sign < 0 and not length.is_zero:
        problems.append(oad.NEGATIVE_LENGTH(place=place, text=foreign(text)))
        return None
    return length
