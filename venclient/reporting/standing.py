"""Standing telemetry: which of the resources' reporting configurations an event of the VTN asks for.

A report is always on an event (User Guide 7.5): what a resource is configured to report goes to the VTN only
when some event has a descriptor for it. What no event asks for is reported, with what to ask
the VTN's operator for. This module does no I/O.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from venclient.errors import InvalidRecord
from venclient.messages import Text, within
from venclient.messages import reporting as rep
from venclient.messages.printable import foreign
from venclient.model.reporting import ReportingConfig
from venclient.model.resource import Resource
from venclient.openadr.duration import Duration
from venclient.openadr.objects import Program, ReportDescriptor
from venclient.reporting.columns import column
from venclient.reporting.grids import OPEN_INTERVALS, SUB_INTERVALS
from venclient.reporting.obligations import Agenda
from venclient.reporting.payloads import BuildOptions
from venclient.reporting.targets import Asked, Reportable

#: The most resources that a sentence names; the rest is counted.
NAMED = 3

#: Readings of power that come to the same.
_MEANS = frozenset({"DIRECT_READ", "MEAN", "AVERAGE"})
_USUAL = BuildOptions(client_name="")


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """One payload type that a resource is configured to report; `program` is a name, None for any."""

    resource: Reportable
    payload_type: str
    reading_type: str
    interval: str
    units: str | None = None
    program: str | None = None


class Carried(msgspec.Struct, frozen=True):
    """A wish that an event's descriptor asks for; `note` says in what it differs, None for nothing."""

    wish: Wish
    event_id: str
    descriptor: ReportDescriptor
    note: str | None = None


class Uncarried(msgspec.Struct, frozen=True):
    """Wishes alike that no event carries: why, and the report descriptor to ask for, as JSON."""

    wishes: tuple[Wish, ...]
    why: str
    descriptor: str

    @property
    def text(self) -> Text:
        """What is not reported and why; the hint is what to ask the VTN's operator for."""
        one = self.wishes[0]
        names = [wish.resource.resource_name for wish in self.wishes]
        of = ", ".join(names[:NAMED])
        if len(names) > NAMED:
            of = rep.AND_MORE(names=of, count=len(names) - NAMED)
        program = rep.PROGRAM(program=one.program) if one.program else rep.ANY_PROGRAM()
        return rep.NOT_CARRIED(
            payload=one.payload_type,
            names=of,
            interval=one.interval,
            why=self.why,
            program=program,
            descriptor=self.descriptor,
        )

    def __str__(self) -> str:
        """Return the message with its hint and code, on one line."""
        return f"{self.text}; {self.text.hint} [{self.text.code}]"


class Standing(msgspec.Struct, frozen=True):
    """How the resources' reporting configurations stand; `problems` name those that cannot be read."""

    carried: tuple[Carried, ...] = ()
    uncarried: tuple[Uncarried, ...] = ()
    problems: tuple[str, ...] = ()


def wishes_of(
    resources: Iterable[Resource], reportables: Mapping[str, Reportable]
) -> tuple[list[Wish], list[str]]:
    """Return what resources are configured to report, and a sentence for each configuration that is wrong.

    Only explicit configuration counts as a wish, not defaults. `reportables` are by resource id.
    """
    wishes: list[Wish] = []
    problems: list[str] = []
    for resource in resources:
        known = reportables.get(resource.resourceID)
        if known is None or not resource.reporting:
            continue
        try:
            config = ReportingConfig.of(resource)
        except InvalidRecord as error:
            problems.append(within(error.text, f"{foreign(resource.resourceName)}: "))
            continue
        wishes += [
            Wish(
                resource=known,
                payload_type=kind,
                reading_type=config.reading_type,
                interval=config.interval,
                units=config.units.get(kind),
                program=config.program,
            )
            for kind in config.payload_types
        ]
    return wishes, problems


def standing(
    wishes: Sequence[Wish],
    agendas: Iterable[tuple[Agenda, Program | None]],
    resources: Sequence[Reportable],
    now: datetime,
    *,
    ven_targets: Collection[str] = (),
    problems: Sequence[str] = (),
) -> Standing:
    """Return which wishes are carried by which event's descriptors at `now`, and which by none.

    `agendas` are the events known with their programs, `resources` all that are reported on.
    """
    asked: dict[str, list[_Asked]] = {}
    meant: dict[tuple[str, ...], Asked] = {}
    ids_of: dict[tuple[tuple[str, ...], tuple[str, ...]], frozenset[str]] = {}
    for agenda, program in agendas:
        if _is_over(agenda, now):
            continue
        # Most events are for the same resources: thousands of them share a set.
        to = tuple(agenda.event.targets or ())
        if to not in meant:
            meant[to] = Asked(to, resources, ven_targets)
        for descriptor, tells_all in _descriptors(agenda):
            among = tuple(descriptor.targets or ())
            if (to, among) not in ids_of:
                ids_of[to, among] = frozenset(one.resource_id for one in meant[to].by(among))
            one = _Asked(agenda, program, descriptor, ids_of[to, among], tells_all)
            asked.setdefault(descriptor.payload_type, []).append(one)
    carriers: dict[tuple[str | None, ...], _Carriers] = {}
    carried: list[Carried] = []
    uncarried: dict[tuple[str | None, ...], list[tuple[Wish, str]]] = {}
    for wish in wishes:
        kind = (wish.program, wish.payload_type, wish.reading_type, wish.interval, wish.units)
        if kind not in carriers:
            carriers[kind] = _Carriers(wish, asked.get(wish.payload_type, ()))
        found = carriers[kind].of(wish)
        if isinstance(found, Carried):
            carried.append(found)
        else:
            alike = (wish.program, wish.payload_type, wish.reading_type, wish.interval, wish.units, found)
            uncarried.setdefault(alike, []).append((wish, found))
    return Standing(
        tuple(carried),
        tuple(
            Uncarried(tuple(wish for wish, _ in some), some[0][1], descriptor_for(some[0][0]))
            for some in uncarried.values()
        ),
        tuple(problems),
    )


def descriptor_for(wish: Wish) -> str:
    """Return the report descriptor that a wish needs, as JSON: one report at the end of each interval."""
    descriptor = {
        "payloadType": wish.payload_type,
        **({} if wish.reading_type == "DIRECT_READ" else {"readingType": wish.reading_type}),
        **({"units": wish.units} if wish.units else {}),
        "startInterval": 0,
        "numIntervals": 1,
        "frequency": 1,
        "repeat": -1,
    }
    return json.dumps(descriptor)


class _Asked(msgspec.Struct, frozen=True):
    agenda: Agenda
    program: Program | None
    descriptor: ReportDescriptor
    resource_ids: frozenset[str]
    tells_all: bool


class _Carriers:
    """The descriptors that may carry equal wishes, best first, computed once for all of their resources."""

    def __init__(self, wish: Wish, asked: Sequence[_Asked]) -> None:
        self._why = str(rep.NOT_REQUESTED())
        self._best: list[tuple[_Asked, str | None]] = []
        probe = ReportDescriptor(
            payload_type=wish.payload_type, reading_type=wish.reading_type, units=wish.units
        )
        if column(probe, _USUAL) is None:
            self._why = str(rep.CANNOT_MAKE(payload=wish.payload_type, reading=wish.reading_type))
            return
        found: dict[tuple[frozenset[str], bool], tuple[_Asked, str | None]] = {}
        for one in asked:
            asked_for = _reading_asked(one.descriptor)
            if wish.program and (one.program is None or one.program.program_name != wish.program):
                self._why = str(rep.OTHER_PROGRAM(program=wish.program))
            elif not _same_reading(wish.reading_type, asked_for):
                self._why = str(rep.OTHER_READING(asked=foreign(asked_for), reading=wish.reading_type))
            else:
                note = _difference(wish, one)
                # Of those for the same resources the first is enough.
                found.setdefault((one.resource_ids, note is None), (one, note))
        self._best = sorted(found.values(), key=lambda one: one[1] is not None)
        if self._best:
            self._why = str(rep.OTHER_RESOURCES())

    def of(self, wish: Wish) -> Carried | str:
        """Return the descriptor that carries a wish best, or why none does."""
        for one, note in self._best:
            if wish.resource.resource_id in one.resource_ids:
                return Carried(wish, one.agenda.event.id or "", one.descriptor, note)
        return self._why


def _reading_asked(descriptor: ReportDescriptor) -> str:
    """Return what is asked for: ahead of time energy and power are forecasts, whatever they are called."""
    reading = (descriptor.reading_type or "DIRECT_READ").upper()
    ahead = not descriptor.historical and descriptor.payload_type in ("USAGE", "DEMAND")
    return "FORECAST" if ahead and reading in (*_MEANS, "SUMMED", "ESTIMATED") else reading


def _same_reading(wanted: str, told: str) -> bool:
    return wanted == told or (wanted in _MEANS and told in _MEANS)


def _difference(wish: Wish, one: _Asked) -> str | None:
    said: list[str] = []
    asked = one.descriptor.units
    if asked and wish.units and asked.upper() != wish.units.upper():
        said.append(rep.IN_UNITS(asked=foreign(asked), units=wish.units))
    if one.descriptor.aggregate:
        said.append(rep.AS_SUM())
    if not one.tells_all:
        said.append(rep.SOME_INTERVALS())
    if one.descriptor.report_intervals not in (SUB_INTERVALS, OPEN_INTERVALS):
        line = one.agenda.timeline
        slot = line.at(0) if line.count != 0 else None
        length_s = (slot.end - slot.start).total_seconds() if slot and slot.end else None
        if length_s is not None and length_s != Duration.parse(wish.interval).seconds:
            said.append(rep.OTHER_LENGTH(seconds=length_s, interval=wish.interval))
    return ", ".join(said) or None


def _descriptors(agenda: Agenda) -> list[tuple[ReportDescriptor, bool]]:
    """Return an event's descriptors, and whether each covers all of its time."""
    planned = [(one, windows.tell_all) for group, windows in agenda.plans for one in group.descriptors]
    return [*planned, *((one, True) for group, _ in agenda.at_will for one in group.descriptors)]


def _is_over(agenda: Agenda, now: datetime) -> bool:
    if agenda.at_will and any(plan.end > now for _, plan in agenda.at_will):
        return False
    end = agenda.timeline.end if agenda.timeline.count else None
    return end is not None and end <= now
