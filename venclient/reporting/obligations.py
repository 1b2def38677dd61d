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

Where the texts leave it open, `WindowRules` choose (`windows.py`). On an endless event "all" means one
frequency, else one pattern; "the end" of an endless event is the end of its first window.
"""

from __future__ import annotations

import hashlib
import heapq
from bisect import bisect_right
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any

import msgspec
from msgspec.structs import replace

from venclient.errors import WireError
from venclient.messages import reporting as rep
from venclient.messages import with_code
from venclient.messages.printable import foreign
from venclient.openadr.objects import Event, Program, ReportDescriptor
from venclient.openadr.timeline import NEVER, Timeline, resolve_steps
from venclient.openadr.times import parse_time
from venclient.reporting.adhoc import AtWill
from venclient.reporting.descriptors import (
    Group,
    begin_of,
    has_no_length,
    is_request,
    life_of,
    served,
    some_of,
)
from venclient.reporting.line_facts import LineFacts
from venclient.reporting.windows import USUAL_RULES, Window, WindowRules, Windows
from venclient.utils import to_the_end

#: Before every date that an event can name.
EVER = datetime.min.replace(tzinfo=UTC)

#: Windows hold up to a hundred thousand spans: these are read without a step of ours for each.
_START: Callable[[Any], datetime] = attrgetter("start")
_END: Callable[[Any], datetime] = attrgetter("end")

#: Default cadence of unscheduled reports, in seconds.
ADHOC_S = 900.0

#: Work pauses after this number of intervals.
BREATH = 500

#: An event's id takes at most this much of a report's name (128 characters), else its digest does.
_ID_ROOM = 64


class Span(msgspec.Struct, frozen=True):
    """One interval of a window: the event's label for it, and [start, end)."""

    id: int
    start: datetime
    end: datetime


class Obligation(msgspec.Struct, frozen=True, kw_only=True):
    """One report that an event asks for: its descriptors, its intervals, and when it is due.

    `report_name` is the same each time it is worked out, differs between windows, descriptors and
    clients, and is the key under which the outbox remembers the report. `group` is the same for all
    windows of the same descriptors. `begins` is when the event itself does.
    """

    event_id: str
    report_name: str
    group: str
    descriptors: tuple[ReportDescriptor, ...]
    spans: tuple[Span, ...]
    due: datetime
    event_targets: tuple[str, ...] = ()
    begins: datetime | None = None

    @property
    def key(self) -> str:
        """Return the key of the outbox's row."""
        return self.report_name

    @property
    def start(self) -> datetime:
        """Return when the window begins."""
        return min(map(_START, self.spans))

    @property
    def end(self) -> datetime:
        """Return when the window ends."""
        return max(map(_END, self.spans))


@dataclass(frozen=True, slots=True)
class Due:
    """A window of a group that falls due at a moment, not expanded into its intervals yet."""

    at: datetime
    group: Group
    window: Window


@dataclass(frozen=True)
class Agenda:
    """All reports that an event asks for, computed as they are iterated.

    `problems` names what of the event cannot be served. `at_will` are the reports that fall due by
    cadence and change (`adhoc.py`), which `falling_due` does not return.
    """

    event: Event
    timeline: Timeline
    plans: tuple[tuple[Group, Windows], ...]
    problems: tuple[str, ...]
    begins: datetime
    at_will: tuple[tuple[Group, AtWill], ...] = ()

    def falling_due(
        self, *, first_seen: datetime, after: datetime | None, until: datetime
    ) -> Iterator[Obligation]:
        """Return what falls due in (after, until], by due time; `after` None means from the beginning.

        Of the windows of a group that ended before the event was first seen, only the newest is due, at
        the moment when the event was first seen.
        """
        for coming in self.coming(first_seen=first_seen, after=after):
            if coming is not None:
                if coming.at > until:
                    return
                yield to_the_end(self.expanded(coming))

    def next_due(self, *, first_seen: datetime, after: datetime | None) -> datetime | None:
        """Return when the next obligation after `after` falls due; None for never."""
        coming = self.coming(first_seen=first_seen, after=after)
        return next((one.at for one in coming if one is not None), None)

    def coming(self, *, first_seen: datetime, after: datetime | None) -> Iterator[Due | None]:
        """Return what falls due after `after`, by due time, not expanded; None wherever others may work."""
        heads: list[tuple[datetime, int, Due, Iterator[Due | None]]] = []

        def following(order: int, line: Iterator[Due | None]) -> Iterator[None]:
            for one in line:
                if one is not None:
                    heapq.heappush(heads, (one.at, order, one, line))
                    return
                yield None

        for order, (group, windows) in enumerate(self.plans):
            yield from following(order, self._line(group, windows, first_seen, after or EVER))
            yield None
        while heads:
            _, order, one, line = heapq.heappop(heads)
            yield one
            yield from following(order, line)

    def _line(
        self, group: Group, windows: Windows, first_seen: datetime, after: datetime
    ) -> Iterator[Due | None]:
        late = windows.due_by(first_seen)
        if after < first_seen:
            for back, position in enumerate(range(late - 1, max(-1, late - 1 - 2 * windows.cycle), -1), 1):
                window = windows.at(position)
                if windows.has_values(window):
                    yield Due(first_seen, group, window)
                    break
                if not back % BREATH:
                    yield None
        position = max(late, windows.due_by(after) if after > EVER else 0)
        silent = 0
        while windows.count is None or position < windows.count:
            window = windows.at(position)
            if window.due is None:
                return
            position += 1
            if windows.has_values(window):
                silent = 0
                yield Due(window.due, group, window)
                continue
            silent += 1
            if windows.count is None and silent > windows.cycle:
                return  # nor will any later one
            if not silent % BREATH:
                yield None

    def expanded(self, due: Due) -> Generator[None, None, Obligation]:
        """Return the obligation that falls due, yielding wherever others may work."""
        spans = []
        window = due.window
        for number, index in enumerate(range(window.first, window.last + 1), 1):
            slot = self.timeline.at(index)
            if slot is not None and slot.end is not None and not slot.is_cancelled:
                spans.append(Span(slot.id, slot.start, slot.end))
            if not number % BREATH:
                yield
        # Where intervals overlap, the time alone does not identify a window.
        place = "" if self.timeline.apart else f"-i{window.first}"
        return self._named(due.group, tuple(spans), due.at, place)

    def told_at_will(self, group: Group, start: datetime, end: datetime) -> Obligation:
        """Return the unscheduled report on [start, end), due at its end; a forecast is as long, after it."""
        if not group.descriptors[0].historical:
            return self._named(group, (Span(0, end, end + min(end - start, NEVER - end)),), end)
        return self._named(group, (Span(0, start, end),), end)

    def _named(self, group: Group, spans: tuple[Span, ...], due: datetime, place: str = "") -> Obligation:
        event_id = self.event.id or ""
        named = Obligation(
            event_id=event_id,
            report_name="",
            group=group.digest,
            descriptors=group.descriptors,
            spans=spans,
            due=due,
            event_targets=tuple(self.event.targets or ()),
            begins=self.begins,
        )
        return replace(named, report_name=_name(event_id, group.digest, named.start, named.end) + place)


def agenda(
    event: Event,
    program: Program | None,
    *,
    anchor: datetime,
    client_name: str = "",
    rules: WindowRules = USUAL_RULES,
    adhoc_s: float | None = ADHOC_S,
    cancelled: bool = False,
) -> Agenda:
    """Return the result of `agenda_steps`, without a pause."""
    return to_the_end(
        agenda_steps(
            *(event, program),
            anchor=anchor,
            client_name=client_name,
            rules=rules,
            adhoc_s=adhoc_s,
            cancelled=cancelled,
        )
    )


def agenda_steps(
    event: Event,
    program: Program | None,
    *,
    anchor: datetime,
    client_name: str = "",
    rules: WindowRules = USUAL_RULES,
    adhoc_s: float | None = ADHOC_S,
    cancelled: bool = False,
    resources: int = 1,
) -> Generator[None, None, Agenda]:
    """Return all reports of an event; the program's report payload descriptors supply missing units.

    `anchor` stands for "now" in the event. `client_name` makes report names differ between VENs.
    Unscheduled reports are due every `adhoc_s` (None: only when a state changes). `cancelled` says that an
    event without length had one before. `resources` is the most resources that are reported on: a
    descriptor that would come to too many values is refused. Yields where other tasks may run.
    """
    request = is_request(event) and not cancelled
    # Intervals of no length hold no values: a request has none.
    timeline = yield from resolve_steps(replace(event, intervals=None) if request else event, anchor=anchor)
    problems: list[str] = [
        rep.EVENT_PROBLEM(event=foreign(event.id or ""), problem=with_code(problem))
        for problem in some_of(timeline.problems)
    ]
    groups, more = yield from served(
        *(event, program, timeline),
        client_name=client_name,
        rules=rules,
        adhoc_s=adhoc_s,
        resources=resources,
    )
    begins = begin_of(timeline, _period_start(event), anchor)
    if request:
        lives = [
            (one, life_of(event, timeline, _before(anchor, one.cadence_s), one.cadence_s)) for one in groups
        ]
        return Agenda(event, timeline, (), (*problems, *more), begins, tuple(lives))
    if has_no_length(event):
        # As the first instant it is how one is called off; at a date it may be a slip.
        slip = bool(event.report_descriptors) and not is_request(event)
        said = rep.CANCELLED(event=foreign(event.id or ""))
        return Agenda(event, timeline, (), (*problems, *more, *([said] if slip else ())), begins)
    plans: list[tuple[Group, Windows]] = []
    facts = LineFacts(timeline)
    for one in groups:
        if one.timing:
            plans.append((one, Windows(one.timing, timeline, rules, facts)))
            yield
    at_will = [(one, life_of(event, timeline, begins, one.cadence_s)) for one in groups if not one.timing]
    return Agenda(event, timeline, tuple(plans), (*problems, *more), begins, tuple(at_will))


def owed(
    event: Event,
    program: Program | None = None,
    *,
    anchor: datetime,
    first_seen: datetime,
    after: datetime | None,
    until: datetime,
    client_name: str = "",
    rules: WindowRules = USUAL_RULES,
) -> list[Obligation]:
    """Return the reports of an event that fall due in (after, until]; see `Agenda.falling_due`."""
    plan = agenda(event, program, anchor=anchor, client_name=client_name, rules=rules)
    return list(plan.falling_due(first_seen=first_seen, after=after, until=until))


def _before(anchor: datetime, cadence_s: float | None) -> datetime:
    """Return from when on a request is answered: one step before it came, to be answered at once."""
    return anchor - timedelta(seconds=cadence_s or 0)


def _period_start(event: Event) -> datetime | None:
    try:
        start = parse_time(event.interval_period.start) if event.interval_period else None
    except WireError:
        return None
    return start if isinstance(start, datetime) else None


def _name(event_id: str, digest: str, start: datetime, end: datetime) -> str:
    if len(event_id) > _ID_ROOM:
        event_id = hashlib.sha256(event_id.encode()).hexdigest()[:32]
    begin = start.astimezone(UTC).strftime("%Y%m%dT%H%M%S")
    fraction = f".{start.microsecond:06d}".rstrip("0") if start.microsecond else ""
    length_s = (end - start) / timedelta(seconds=1)
    return f"{event_id}-{digest}-{begin}{fraction}Z-{length_s:.6f}".rstrip("0").rstrip(".")


class ToldTime:
    """The time that obligations cover, as runs without gaps, computed when it is first asked for."""

    def __init__(self, obligations: Iterable[Obligation] = ()) -> None:
        self._runs: list[tuple[datetime, datetime]] = []
        self._starts: list[datetime] = []
        self._ends: list[datetime] = []
        for one in obligations:
            self.add(one)

    def add(self, obligation: Obligation) -> None:
        """Add the intervals of an obligation."""
        self._runs += _gapless(sorted((span.start, span.end) for span in obligation.spans))
        self._starts, self._ends = [], []

    def covers(self, wanted: Obligation) -> bool:
        """True when every interval of `wanted` lies within that time."""
        if not self._starts and self._runs:
            self._runs = _gapless(sorted(self._runs))
            self._starts, self._ends = [start for start, _ in self._runs], [end for _, end in self._runs]
        return all(
            (at := bisect_right(self._starts, span.start)) > 0 and self._ends[at - 1] >= span.end
            for span in wanted.spans
        )


def _gapless(periods: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Return periods, in the order of their starts, with those that touch or overlap as one."""
    runs: list[tuple[datetime, datetime]] = []
    for start, end in periods:
        if runs and start <= runs[-1][1]:
            runs[-1] = runs[-1][0], max(runs[-1][1], end)
        else:
            runs.append((start, end))
    return runs
