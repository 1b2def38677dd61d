"""Report descriptors as they are served: checked, completed from the program, grouped into reports. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from venclient.errors import WireError
from venclient.messages import reporting as rep
from venclient.messages.printable import foreign
from venclient.openadr.duration import Duration
from venclient.openadr.enumerations import EVENT_PAYLOAD_DESCRIPTOR
from venclient.openadr.objects import Event, Program, ReportDescriptor
from venclient.openadr.timeline import NEVER, Timeline
from venclient.openadr.times import NOW, parse_time
from venclient.reporting.adhoc import AtWill
from venclient.reporting.line_facts import LineFacts
from venclient.reporting.windows import Timing, WindowRules, Windows

#: More intervals in one window than this are a mistake, and would hold up everything else.
MOST_INTERVALS = 100_000
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_MOST_DIGITS = 18
#: The standard's numbers are integers of 32 bits.
MOST_NUMBER = 2**31 - 1
#: Limits of one event within a day: due reports, intervals in all of them, values of all resources.
MOST_REPORTS_A_DAY = 100_000
MOST_INTERVALS_A_DAY = 200_000
MOST_VALUES_A_DAY = 50_000_000
#: The maximum of different reports on one event at the same time.
MOST_GROUPS = 64
#: Only the first problems of one event are reported; the rest is counted.
MOST_PROBLEMS = 20
#: Work pauses after this number of descriptors.
_AT_ONCE = 32

OPEN_INTERVALS = "OPEN_INTERVALS"


@dataclass(frozen=True)
class Group:
    """Descriptors that one report answers together (equal timing, no payload type twice).

    `timing` is None for unscheduled reports, whose cadence is `cadence_s`.
    """

    descriptors: tuple[ReportDescriptor, ...]
    digest: str
    timing: Timing | None
    cadence_s: float | None = None


@dataclass(frozen=True)
class _Served:
    descriptor: ReportDescriptor
    timing: Timing | None
    cadence_s: float | None


def served(
    event: Event,
    program: Program | None,
    timeline: Timeline,
    *,
    client_name: str,
    rules: WindowRules,
    adhoc_s: float | None,
    resources: int = 1,
) -> Generator[None, None, tuple[list[Group], list[str]]]:
    """Return an event's descriptors, grouped into reports, and a sentence for each that cannot be served.

    Yields between some of them. `resources` is how many are reported on at most.
    """
    problems: list[str] = []
    groups = _Groups(client_name, _Load(rules, resources))
    facts = LineFacts(timeline)
    for index, descriptor in enumerate(event.report_descriptors or ()):
        if index % _AT_ONCE == _AT_ONCE - 1:
            yield
        name, kind = foreign(event.id or ""), foreign(descriptor.payload_type)
        place = str(rep.DESCRIPTOR(event=name, index=index, payload=kind))
        one = _served(completed(descriptor, program), facts, rules, adhoc_s, place)
        problem = groups.take(one, facts, place) if isinstance(one, _Served) else one
        if problem is not None:
            problems.append(problem)
    return groups.made(), some_of(problems)


def some_of(problems: Sequence[str]) -> list[str]:
    """Return the first problems of an event, and how many more there are."""
    some = list(problems[:MOST_PROBLEMS])
    if len(problems) > len(some):
        some.append(rep.MORE_PROBLEMS(count=len(problems) - len(some)))
    return some


def life_of(event: Event, timeline: Timeline, begin: datetime, cadence_s: float | None) -> AtWill:
    """Return the time that an event's unscheduled reports cover."""
    end = timeline.end if timeline.count else None
    if not timeline.count and timeline.count is not None and event.duration:
        try:
            whole = Duration.parse(event.duration)
        except WireError:
            whole = Duration()  # the timeline has said so
        end = None if whole.is_zero else whole.after(begin)
    return AtWill(begin, end or NEVER, cadence_s)


def has_no_length(event: Event) -> bool:
    """True for an event whose period, and each of whose intervals, is a start and PT0S.

    A known event that is changed to this is cancelled (User Guide 7.9). One that arrives like this and
    asks for reports is a request for reports (8.6). An event without a period asks for unscheduled reports.
    """
    period = event.interval_period
    first = event.intervals[0].interval_period if event.intervals else None
    if not any(one is not None and one.start for one in (period, first)):
        return False
    usual = period.duration if period is not None else None
    lengths = [usual]
    if event.intervals:
        own = [one.interval_period.duration if one.interval_period else None for one in event.intervals]
        lengths = [usual if length is None else length for length in own]
    try:
        zero = all(length is not None and Duration.parse(length).is_zero for length in lengths)
        return zero and not _lasts(event)
    except WireError:
        return False


def is_request(event: Event) -> bool:
    """True for an event that starts "now", has no length and asks for reports: it is about nothing else."""
    if not event.report_descriptors or not has_no_length(event):
        return False
    periods = [event.interval_period, *(one.interval_period for one in event.intervals or ())]
    try:
        return all(parse_time(one.start) in (NOW, None) for one in periods if one is not None)
    except WireError:
        return False


def _lasts(event: Event) -> bool:
    return event.duration is not None and not Duration.parse(event.duration).is_zero


def begin_of(timeline: Timeline, start: datetime | None, anchor: datetime) -> datetime:
    """Return when an event begins: its first interval, else its period's start, else when it was received."""
    if timeline.count is None or (timeline.ordered and timeline.count):
        first = timeline.at(0)
        return first.start if first else anchor
    starts = [slot.start for slot in timeline if slot is not None]
    return min(starts, default=start or anchor)


def completed(descriptor: ReportDescriptor, program: Program | None) -> ReportDescriptor:
    """Return the descriptor with the units and reading type that it lacks, as its program declares them."""
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


def _served(
    descriptor: ReportDescriptor, facts: LineFacts, rules: WindowRules, adhoc_s: float | None, place: str
) -> _Served | str:
    """Return how a descriptor is served, or why it cannot be, and what would be needed."""
    timeline = facts.timeline
    every = _cadence(descriptor.frequency, place)
    trouble = every if isinstance(every, str) else _nonsense(descriptor, place)
    if not trouble and timeline.count == 0 and timeline.problems:
        trouble = rep.NO_INTERVALS(place=place)
    if trouble or isinstance(every, str):
        return trouble or ""
    cadence_s = every.total_seconds() if isinstance(every, timedelta) else adhoc_s
    frequency, repeat = every, descriptor.repeat
    if isinstance(frequency, timedelta) and timeline.count != 0:
        # A cadence means again and again; the default of `repeat` was never meant for it.
        frequency, repeat = _intervals_in(frequency, facts), -1 if repeat == 1 else repeat
    if not isinstance(frequency, int) or frequency == 0 or timeline.count == 0:
        return _Served(descriptor, None, cadence_s)
    timing = Timing.of(descriptor, frequency, repeat)
    return _too_far(timing, timeline, rules, place) or _Served(descriptor, timing, None)


def _nonsense(descriptor: ReportDescriptor, place: str) -> str | None:
    for name, value in (
        ("startInterval", descriptor.start_interval),
        ("numIntervals", descriptor.num_intervals),
        ("repeat", descriptor.repeat),
    ):
        if value < -1 or (name == "numIntervals" and value == 0):
            limit = rep.NOT_ZERO() if name == "numIntervals" else ""
            return rep.BELOW_MINUS_ONE(place=place, name=name, value=value, limit=limit)
        if value > MOST_NUMBER:
            return rep.BEYOND_32_BITS(place=place, name=name, most=MOST_NUMBER)
    return None


def _too_far(timing: Timing, timeline: Timeline, rules: WindowRules, place: str) -> str | None:
    if timeline.count is not None and timing.start_interval >= timeline.count:
        return rep.START_BEYOND(place=place, start=timing.start_interval, count=timeline.count)
    size = Windows.size_of(timing, timeline, rules)
    if size > MOST_INTERVALS:
        return rep.TOO_MANY_INTERVALS(place=place, size=size, most=MOST_INTERVALS)
    return None


def _cadence(frequency: int | str, place: str) -> int | timedelta | str:
    """Return a frequency as a number of intervals or, as some VTNs write it, a duration; or the problem."""
    if isinstance(frequency, str) and (digits := _INTEGER.fullmatch(frequency.strip())):
        if len(digits[0]) > _MOST_DIGITS:  # Python does not read integers of any length
            return rep.BEYOND_32_BITS(place=place, name="frequency", most=MOST_NUMBER)
    elif isinstance(frequency, str):
        try:
            seconds = Duration.parse(frequency).seconds
        except WireError:
            return rep.FREQUENCY_SYNTAX(place=place, frequency=foreign(frequency))
        if seconds is None or not 1 <= seconds <= 366 * 86_400:
            return rep.FREQUENCY_LENGTH(place=place, frequency=foreign(frequency))
        return timedelta(seconds=seconds)
    number = int(frequency)
    if number < -1:
        return rep.BELOW_MINUS_ONE(place=place, name="frequency", value=number, limit="")
    return (
        rep.BEYOND_32_BITS(place=place, name="frequency", most=MOST_NUMBER)
        if number > MOST_NUMBER
        else number
    )


def _intervals_in(cadence: timedelta, facts: LineFacts) -> int:
    """Return how many intervals a cadence has; 0 when that is not a whole number of equal ones."""
    if facts.pattern > MOST_INTERVALS or facts.length is None:
        return 0
    counted, left = divmod(cadence, facts.length)
    return 0 if left else counted


class _Load:
    """What the reports on one event come to within a day: counted, with nothing expanded."""

    def __init__(self, rules: WindowRules, resources: int) -> None:
        self._rules = rules
        self._resources = max(1, resources)
        self._reports = self._intervals = 0

    def refused(self, timing: Timing, facts: LineFacts, place: str) -> str | None:
        """Count reports of one timing in and return None, or why they would be too many."""
        reports = Windows(timing, facts.timeline, self._rules, facts).most_in_a_day
        intervals = reports * Windows.size_of(timing, facts.timeline, self._rules)
        for what, found, most in (
            (rep.LOAD_REPORTS, self._reports + reports, MOST_REPORTS_A_DAY),
            (rep.LOAD_INTERVALS, self._intervals + intervals, MOST_INTERVALS_A_DAY),
            (rep.LOAD_VALUES, (self._intervals + intervals) * self._resources, MOST_VALUES_A_DAY),
        ):
            if found > most:
                return rep.TOO_MUCH(place=place, what=what(count=found), most=most)
        self._reports, self._intervals = self._reports + reports, self._intervals + intervals
        return None


class _Groups:
    """Descriptors that share a report: equal timing, and each payload type in one unit and reading."""

    def __init__(self, client_name: str, load: _Load) -> None:
        self._client_name = client_name
        self._load = load
        self._ranked: dict[tuple[object, ...], list[_Together]] = {}
        self._count = 0

    def take(self, one: _Served, facts: LineFacts, place: str) -> str | None:
        """Put a descriptor into a report and return None, or why there is none for it."""
        reports = self._ranked.get(_timing(one.descriptor), [])
        if any(together.took(one) for together in reports):
            return None
        if self._count >= MOST_GROUPS:
            return rep.TOO_MANY_GROUPS(place=place, most=MOST_GROUPS)
        problem = self._load.refused(one.timing, facts, place) if one.timing else None
        if problem is None:
            self._count += 1
            self._ranked.setdefault(_timing(one.descriptor), []).append(_Together(one))
        return problem

    def made(self) -> list[Group]:
        """Return the reports."""
        return [
            Group(
                tuple(_told(one) for one in together.served.values()),
                hashlib.sha256(repr((self._client_name, timing, rank)).encode()).hexdigest()[:8],
                together.first.timing,
                together.first.cadence_s,
            )
            for timing, reports in self._ranked.items()
            for rank, together in enumerate(reports)
        ]


def _told(one: _Served) -> ReportDescriptor:
    """Return the descriptor of a report; unscheduled reports always have open intervals."""
    return one.descriptor if one.timing else replace(one.descriptor, report_intervals=OPEN_INTERVALS)


def _timing(descriptor: ReportDescriptor) -> tuple[object, ...]:
    return (
        descriptor.start_interval,
        descriptor.num_intervals,
        descriptor.historical,
        descriptor.frequency,
        descriptor.repeat,
        descriptor.report_intervals,
    )


class _Together:
    """Descriptors that can share a report: one unit and reading type per payload type, sums over the same.

    Sums share one name: sums over different resources cannot be in one report.
    """

    def __init__(self, first: _Served) -> None:
        self.first = first
        self.served: dict[bytes, _Served] = {}
        self._kinds: dict[str, tuple[str | None, str | None]] = {}
        self._summed: frozenset[str] | None = None
        self.took(first)

    def took(self, one: _Served) -> bool:
        """Add a descriptor and return True, unless it would be mixed up with another."""
        wanted = one.descriptor
        said = (wanted.units, wanted.reading_type)
        over = frozenset(wanted.targets or ()) if wanted.aggregate else self._summed
        if self._summed not in (None, over) or self._kinds.get(wanted.payload_type, said) != said:
            return False
        self._kinds[wanted.payload_type], self._summed = said, over
        self.served.setdefault(msgspec.json.encode(wanted), one)
        return True
