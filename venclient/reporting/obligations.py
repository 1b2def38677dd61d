"""Which reports an event asks for, and when each is due: pure. Event in, obligations out.

A report descriptor asks for windows of intervals (User Guide 7.5). With s, n, f for startInterval,
numIntervals, frequency, and `repeat` for how many windows:

    intervals            0     1     2     3     4     5
    default              [-------------------------------]          one report; due at its end
    s=0 n=1 f=1 r=-1     [---] [---] [---] [---] [---] [---]        each due at its end
    s=1 n=2 f=2 r=3      [---------] [---------] [---------]        periodic: s is where one is generated
    s=1 n=3                    [---------------]                    fewer than n before s: s is the first
    n=3 f=1 r=-1         [---------------]                          rolling
                               [---------------]
    historical=false     due at the window's start instead

What the texts leave open is settled here: `numIntervals` left at -1 with a frequency and repetitions
means the intervals since the last report; on an endless event "all" means one frequency, else one
pattern; "the end" of an endless event is the end of its first window.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec.structs import replace

from venclient.openadr.enumerations import EVENT_PAYLOAD_DESCRIPTOR
from venclient.openadr.objects import Event, Program, ReportDescriptor
from venclient.openadr.timeline import NEVER, Timeline, first_where, resolve

#: Before every date that an event can name.
EVER = datetime.min.replace(tzinfo=UTC)

#: More intervals in one report than this are a slip of whoever asks, and would hold up all else.
MOST_INTERVALS = 100_000

#: An event's id takes at most this much of a report's name (128 characters), else its digest does.
_ID_ROOM = 64


class Span(msgspec.Struct, frozen=True):
    """One interval of a window: the event's label for it, and [start, end)."""

    id: int
    start: datetime
    end: datetime


class Obligation(msgspec.Struct, frozen=True, kw_only=True):
    """One report that is owed: on which event, about what, over which intervals, and from when on.

    `report_name` is the same each time it is worked out, differs between windows, descriptors and
    clients, and is the key under which the outbox remembers the report. `group` is the same for all
    windows of the same descriptors.
    """

    event_id: str
    report_name: str
    group: str
    descriptors: tuple[ReportDescriptor, ...]
    spans: tuple[Span, ...]
    due: datetime
    event_targets: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Give the key of the outbox's row."""
        return self.report_name

    @property
    def start(self) -> datetime:
        """Give when the window begins."""
        return min(span.start for span in self.spans)

    @property
    def end(self) -> datetime:
        """Give when the window ends."""
        return max(span.end for span in self.spans)


@dataclass(frozen=True)
class Group:
    """Descriptors that one report answers together (equal timing, no payload type twice)."""

    descriptors: tuple[ReportDescriptor, ...]
    digest: str


@dataclass(frozen=True)
class Agenda:
    """Everything an event will ever owe, worked out as far as it is looked at.

    `problems` names what of the event cannot be served.
    """

    event: Event
    timeline: Timeline
    plans: tuple[tuple[Group, Windows], ...]
    problems: tuple[str, ...]

    def falling_due(
        self, *, first_seen: datetime, after: datetime | None, until: datetime
    ) -> Iterator[Obligation]:
        """Give what falls due in (after, until], by due time; `after` None means from the beginning.

        Of the windows of a group that were over when the event was first seen only the newest is owed,
        and is due at that moment.
        """
        lines = [
            self._line(group, windows, first_seen, EVER if after is None else after, until)
            for group, windows in self.plans
        ]
        return heapq.merge(*lines, key=lambda obligation: obligation.due)

    def next_due(self, *, first_seen: datetime, after: datetime | None) -> datetime | None:
        """Give when the next obligation after `after` falls due; None for never."""
        coming = self.falling_due(first_seen=first_seen, after=after, until=NEVER)
        first = next(coming, None)
        return first.due if first else None

    def _line(
        self, group: Group, windows: Windows, first_seen: datetime, after: datetime, until: datetime
    ) -> Iterator[Obligation]:
        late = windows.due_by(first_seen)
        position = late
        if after < first_seen <= until:
            while position > 0:
                position -= 1
                owed = self._obligation(group, windows.at(position), first_seen)
                if owed is not None:
                    yield owed
                    break
        position = max(late, windows.due_by(after) if after > EVER else 0)
        while windows.count is None or position < windows.count:
            window = windows.at(position)
            if window.due is None or window.due > until:
                return
            owed = self._obligation(group, window, window.due)
            if owed is not None:
                yield owed
            position += 1

    def _obligation(self, group: Group, window: Window, due: datetime) -> Obligation | None:
        spans = []
        for index in range(window.first, window.last + 1):
            slot = self.timeline.at(index)
            if slot is not None and slot.end is not None and not slot.is_cancelled:
                spans.append(Span(slot.id, slot.start, slot.end))
        if not spans:
            return None
        event_id = self.event.id or ""
        named = Obligation(
            event_id=event_id,
            report_name="",
            group=group.digest,
            descriptors=group.descriptors,
            spans=tuple(spans),
            due=due,
            event_targets=tuple(self.event.targets or ()),
        )
        return replace(named, report_name=_name(event_id, group.digest, named.start, named.end))


@dataclass(frozen=True, slots=True)
class Window:
    """Intervals `first` to `last`, and when a report on them is due (None: never)."""

    first: int
    last: int
    due: datetime | None


class Windows:
    """The windows of one timing on one timeline, in the order of their due times."""

    def __init__(self, timing: ReportDescriptor, timeline: Timeline) -> None:
        self._line = timeline
        self._historical = timing.historical
        s, r = timing.start_interval, timing.repeat
        set_f = timing.frequency > 0
        n = self._asked(timing, timeline)
        self._n, self._f = n, timing.frequency if set_f else n
        if not timing.historical:
            self._first = max(s, 0)
        elif s == -1:
            at_end = r == 1 and not set_f and timeline.count is not None
            self._first = max((timeline.count or 0) - n, 0) if at_end else 0
        else:
            self._first = s if s - n + 1 < 0 else s - n + 1
        self.count = self._counted(r)
        self._sorted: list[Window] | None = None
        if not timeline.ordered and self.count is not None:
            # Few by nature: only intervals that are written out one by one can step back in time.
            windows = [self._made(k) for k in range(self.count)]
            self._sorted = sorted(windows, key=lambda window: window.due or NEVER)

    @staticmethod
    def _asked(timing: ReportDescriptor, timeline: Timeline) -> int:
        """Give numIntervals, with what -1 stands for."""
        if timing.num_intervals != -1:
            return timing.num_intervals
        if timing.frequency > 0 and (timing.repeat != 1 or timeline.count is None):
            return timing.frequency
        return max(1, timeline.pattern if timeline.count is None else timeline.count)

    @classmethod
    def size_of(cls, timing: ReportDescriptor, timeline: Timeline) -> int:
        """Give how many intervals the longest window has."""
        asked = cls._asked(timing, timeline)
        return asked if timeline.count is None else min(asked, timeline.count)

    def _counted(self, repeat: int) -> int | None:
        total = self._line.count
        if total is None:
            return None if repeat == -1 else repeat
        if self._first >= total:
            return 0
        # The window that reaches the end is the last; a later one would only tell a part of it again.
        beyond = max(0, total - self._n - self._first)
        fitting = 1 + -(-beyond // self._f)
        starting = 1 + (total - 1 - self._first) // self._f
        fitting = min(fitting, starting)
        return fitting if repeat == -1 else min(repeat, fitting)

    def at(self, position: int) -> Window:
        """Give the window at a position in the order of due times."""
        return self._made(position) if self._sorted is None else self._sorted[position]

    def due_by(self, moment: datetime) -> int:
        """Give how many windows are due at `moment` or before."""
        return first_where(lambda position: (self.at(position).due or NEVER) > moment, self.count)

    def _made(self, k: int) -> Window:
        first = self._first + k * self._f
        last = first + self._n - 1
        if self._line.count is not None:
            last = min(last, self._line.count - 1)
        if self._historical:
            if self._line.ordered:
                slot = self._line.at(last)
                return Window(first, last, slot.end if slot else None)
            ends = [slot.end for slot in map(self._line.at, range(first, last + 1)) if slot is not None]
            known = [end for end in ends if end is not None]
            return Window(first, last, max(known) if known and len(known) == len(ends) else None)
        starts = (self._line.at(index) for index in range(first, last + 1))
        slot = next((slot for slot in starts if slot is not None), None)
        return Window(first, last, slot.start if slot else None)


def agenda(event: Event, program: Program | None, *, anchor: datetime, client_name: str = "") -> Agenda:
    """Give all that an event owes; the program's report payload descriptors supply missing units.

    `anchor` stands for "now" in the event. `client_name` makes report names differ between VENs.
    """
    timeline = resolve(event, anchor=anchor)
    problems = [f"event {event.id}: {problem}" for problem in timeline.problems]
    served = []
    for index, descriptor in enumerate(event.report_descriptors or ()):
        trouble = _trouble(descriptor, timeline)
        if trouble:
            place = f"event {event.id}: reportDescriptors[{index}] ({descriptor.payload_type})"
            problems.append(f"{place} {trouble}")
        else:
            served.append(_completed(descriptor, program))
    plans = tuple((group, Windows(group.descriptors[0], timeline)) for group in _groups(served, client_name))
    return Agenda(event, timeline, plans, tuple(problems))


def owed(
    event: Event,
    program: Program | None = None,
    *,
    anchor: datetime,
    first_seen: datetime,
    after: datetime | None,
    until: datetime,
    client_name: str = "",
) -> list[Obligation]:
    """Give the reports of an event that fall due in (after, until]; see `Agenda.falling_due`."""
    plan = agenda(event, program, anchor=anchor, client_name=client_name)
    return list(plan.falling_due(first_seen=first_seen, after=after, until=until))


def _trouble(descriptor: ReportDescriptor, timeline: Timeline) -> str | None:
    """Give why a descriptor cannot be served, and what would be needed; None when it can."""
    for name, value, least in (
        ("startInterval", descriptor.start_interval, -1),
        ("numIntervals", descriptor.num_intervals, -1),
        ("frequency", descriptor.frequency, -1),
        ("repeat", descriptor.repeat, -1),
    ):
        if value < least or (name == "numIntervals" and value == 0):
            return f"has {name} {value}, which means nothing; -1 or more is expected"
    if descriptor.frequency == 0:
        return "asks for reports at will (frequency 0), which are not made yet"
    if timeline.count == 0:
        return "belongs to an event without intervals, so that no report falls due"
    if timeline.count is not None and descriptor.start_interval >= timeline.count:
        return f"starts at interval {descriptor.start_interval} of {timeline.count} (counted from 0)"
    size = Windows.size_of(descriptor, timeline)
    if size > MOST_INTERVALS:
        return f"asks for {size} intervals in one report; {MOST_INTERVALS} are the most that are told"
    return None


def _completed(descriptor: ReportDescriptor, program: Program | None) -> ReportDescriptor:
    """Give the descriptor with the units and reading type that it lacks, as its program declares them."""
    for declared in (program.payload_descriptors or ()) if program else ():
        if declared.object_type == EVENT_PAYLOAD_DESCRIPTOR:
            continue
        if declared.payload_type == descriptor.payload_type:
            return replace(
                descriptor,
                units=descriptor.units or declared.units,
                reading_type=descriptor.reading_type or declared.reading_type,
            )
    return descriptor


def _groups(descriptors: Sequence[ReportDescriptor], client_name: str) -> list[Group]:
    """Give descriptors that share a report: equal timing, and each payload type in one unit and reading."""
    ranked: dict[tuple[object, ...], list[list[ReportDescriptor]]] = {}
    for descriptor in descriptors:
        lists = ranked.setdefault(_timing(descriptor), [])
        for one in lists:
            if all(_agree(descriptor, other) for other in one):
                if descriptor not in one:
                    one.append(descriptor)
                break
        else:
            lists.append([descriptor])
    return [
        Group(tuple(one), hashlib.sha256(repr((client_name, timing, rank)).encode()).hexdigest()[:8])
        for timing, lists in ranked.items()
        for rank, one in enumerate(lists)
    ]


def _timing(descriptor: ReportDescriptor) -> tuple[object, ...]:
    return (
        descriptor.start_interval,
        descriptor.num_intervals,
        descriptor.historical,
        descriptor.frequency,
        descriptor.repeat,
        descriptor.report_intervals,
    )


def _agree(a: ReportDescriptor, b: ReportDescriptor) -> bool:
    """True unless one type is asked for in two units or readings, which one report could not tell apart."""
    return a.payload_type != b.payload_type or (a.units, a.reading_type) == (b.units, b.reading_type)


def _name(event_id: str, digest: str, start: datetime, end: datetime) -> str:
    if len(event_id) > _ID_ROOM:
        event_id = hashlib.sha256(event_id.encode()).hexdigest()[:32]
    begin = start.astimezone(UTC).strftime("%Y%m%dT%H%M%S")
    fraction = f".{start.microsecond:06d}".rstrip("0") if start.microsecond else ""
    length_s = (end - start) / timedelta(seconds=1)
    return f"{event_id}-{digest}-{begin}{fraction}Z-{length_s:.6f}".rstrip("0").rstrip(".")


def covered(obligations: Sequence[Obligation], wanted: Obligation) -> bool:
    """True when every interval of `wanted` lies within intervals that `obligations` tell already."""
    told = sorted((span.start, span.end) for one in obligations for span in one.spans)
    return all(_is_told(span, told) for span in wanted.spans)


def _is_told(span: Span, told: Sequence[tuple[datetime, datetime]]) -> bool:
    reached = span.start
    for start, end in told:
        if start > reached:
            break
        reached = max(reached, end)
    return reached >= span.end
