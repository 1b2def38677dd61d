"""Report descriptors as they are served: checked, completed from the program, grouped into reports. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
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
from venclient.reporting.windows import Timing, WindowRules, Windows

#: More intervals in one window than this are a slip of whoever asks, and would hold up all else.
MOST_INTERVALS = 100_000

OPEN_INTERVALS = "OPEN_INTERVALS"


@dataclass(frozen=True)
class Group:
    """Descriptors that one report answers together (equal timing, no payload type twice).

    `timing` is None for reports at will, whose cadence is `cadence_s`.
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
) -> tuple[list[Group], list[str]]:
    """Return an event's descriptors, grouped into reports, and a sentence for each that cannot be served."""
    problems: list[str] = []
    found = []
    for index, descriptor in enumerate(event.report_descriptors or ()):
        name, kind = foreign(event.id or ""), foreign(descriptor.payload_type)
        place = str(rep.DESCRIPTOR(event=name, index=index, payload=kind))
        one = _served(completed(descriptor, program), timeline, rules, adhoc_s, place)
        if isinstance(one, _Served):
            found.append(one)
        else:
            problems.append(one)
    return _groups(found, client_name), problems


def life_of(event: Event, timeline: Timeline, begin: datetime, cadence_s: float | None) -> AtWill:
    """Return the time that an event's reports at will are about."""
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
    asks for reports is a request for reports (8.6). An event without a period is one for reports at will.
    """
    period = event.interval_period
    if period is None or not period.start:
        return False
    lengths = [period.duration]
    if event.intervals:
        own = [one.interval_period.duration if one.interval_period else None for one in event.intervals]
        lengths = [period.duration if length is None else length for length in own]
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
    descriptor: ReportDescriptor, timeline: Timeline, rules: WindowRules, adhoc_s: float | None, place: str
) -> _Served | str:
    """Return how a descriptor is served, or why it cannot be, and what would be needed."""
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
        frequency, repeat = _intervals_in(frequency, timeline), -1 if repeat == 1 else repeat
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
    if isinstance(frequency, str) and not frequency.strip().lstrip("+-").isdecimal():
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
    return number


def _intervals_in(cadence: timedelta, timeline: Timeline) -> int:
    """Return how many intervals a cadence is; 0 when it is no whole number of equal ones."""
    pattern = timeline.pattern if timeline.count is None else min(timeline.pattern, timeline.count)
    if pattern > MOST_INTERVALS:
        return 0
    lengths = set()
    for index in range(pattern):
        slot = timeline.at(index)
        if slot is None or slot.end is None or slot.is_cancelled:
            return 0
        lengths.add(slot.end - slot.start)
    if len(lengths) != 1:
        return 0
    counted, left = divmod(cadence, lengths.pop())
    return 0 if left else counted


def _groups(found: Sequence[_Served], client_name: str) -> list[Group]:
    """Return descriptors that share a report: equal timing, and each payload type in one unit and reading."""
    ranked: dict[tuple[object, ...], list[_Together]] = {}
    for one in found:
        reports = ranked.setdefault(_timing(one.descriptor), [])
        if not any(together.took(one) for together in reports):
            reports.append(_Together(one))
    return [
        Group(
            tuple(_told(one) for one in together.served.values()),
            hashlib.sha256(repr((client_name, timing, rank)).encode()).hexdigest()[:8],
            together.first.timing,
            together.first.cadence_s,
        )
        for timing, reports in ranked.items()
        for rank, together in enumerate(reports)
    ]


def _told(one: _Served) -> ReportDescriptor:
    """Return the descriptor of a report; at will the intervals are ours, whatever was asked for."""
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
    """Descriptors that one report can tell apart: each type in one unit and reading, sums over the same.

    Sums share one name, so that those over different resources cannot be in one report.
    """

    def __init__(self, first: _Served) -> None:
        self.first = first
        self.served: dict[bytes, _Served] = {}
        self._kinds: dict[str, tuple[str | None, str | None]] = {}
        self._summed: frozenset[str] | None = None
        self.took(first)

    def took(self, one: _Served) -> bool:
        """Take a descriptor in and give True, unless it would be mixed up with another."""
        wanted = one.descriptor
        said = (wanted.units, wanted.reading_type)
        over = frozenset(wanted.targets or ()) if wanted.aggregate else self._summed
        if self._summed not in (None, over) or self._kinds.get(wanted.payload_type, said) != said:
            return False
        self._kinds[wanted.payload_type], self._summed = said, over
        self.served.setdefault(msgspec.json.encode(wanted), one)
        return True
