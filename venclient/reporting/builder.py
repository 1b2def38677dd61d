"""Build the report of an obligation from what was measured. This module does no I/O.

An unknown value is left out, never written as zero. DATA_QUALITY stands beside a value that is not GOOD
wherever the standard allows it: next to a single payload (User Guide 7.8). In a report with several
payload types, an interval with only one known value has it too. Sub-intervals and open intervals are
repeated for each value that is not GOOD, with its DATA_QUALITY. `Built.omissions` names what is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from venclient.messages import Message, Text
from venclient.messages import reporting as rep
from venclient.messages.printable import foreign
from venclient.model.reading import Quality
from venclient.openadr.enumerations import AGGREGATED_REPORT, REPORT_PAYLOAD_DESCRIPTOR
from venclient.openadr.objects import (
    Report,
    ReportDescriptor,
    ReportPayloadDescriptor,
    ReportResource,
    Value,
    ValuesMap,
)
from venclient.reporting.baseline import METHOD, Measures
from venclient.reporting.columns import agreement, column, completed, is_measured
from venclient.reporting.grids import INTERVALS, OPEN_INTERVALS, SUB_INTERVALS, cadence_s, of_other_days
from venclient.reporting.needs import cells_of, like_days_of, now_of
from venclient.reporting.obligations import Obligation
from venclient.reporting.payloads import (
    DECIMALS,
    MISSING,
    BuildOptions,
    Column,
    Facts,
    Sample,
    Seen,
    Setpoints,
)
from venclient.reporting.sent_codec import Unsaid
from venclient.reporting.shapes import Shape, Told
from venclient.reporting.targets import Asked, Reportable

__all__ = ["DATA_QUALITY", "INTERVALS", "Built", "MeasureKey", "Measures", "Reportable", "build_report"]

DATA_QUALITY = "DATA_QUALITY"

MeasureKey = tuple[str, datetime, datetime]

_QUALITY = {
    Quality.GOOD: "OK",
    Quality.ESTIMATED: "ESTIMATED",
    Quality.STALE: "BAD",
    Quality.OUT_OF_RANGE: "BAD",
    Quality.MISSING: "MISSING",
}
_FLAGS = {quality: ValuesMap(type=DATA_QUALITY, values=[name]) for quality, name in _QUALITY.items()}

_NO_SETPOINTS: Setpoints = MappingProxyType({})


@dataclass(frozen=True)
class Built:
    """A report (None when it would be empty) and one sentence for each omission.

    `methods` say how values that were not measured were computed, a sentence each. `unsaid` are qualities of
    values that the report has no room for. `valueless` are the ids of resources that were asked for and
    have no value in it; where measured values are asked for, values that need no meter (capacities,
    baselines) do not count. For a sum, these are the resources that add nothing to it.
    """

    report: Report | None
    omissions: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    unsaid: tuple[Unsaid, ...] = ()
    valueless: frozenset[str] = frozenset()


def build_report(
    obligation: Obligation,
    resources: Sequence[Reportable],
    measures: Measures,
    options: BuildOptions,
    setpoints: Setpoints = _NO_SETPOINTS,
) -> Built:
    """Return the report that `obligation` asks for on `resources`, with the values that `measures` have.

    `measures` are by (resource_id, start, end), as `needs` asks for them; absent means unknown.
    `setpoints` are those that were in force, by resource id; absent means unknown.
    """
    return _Builder(obligation, measures, options, setpoints).build(resources)


class _Builder:
    def __init__(
        self, obligation: Obligation, measures: Measures, options: BuildOptions, setpoints: Setpoints
    ) -> None:
        self.owed = obligation
        self.measures = measures
        self.options = options
        usual, now = like_days_of(obligation, options), now_of(obligation)
        self.facts = Facts(measures, options, setpoints, usual, now)
        #: Messages with their parameters, and how often each was left out.
        self.omissions: dict[tuple[str, ...], tuple[Message, dict[str, str], int]] = {}
        self.flagged = False
        self.unsaid: list[Unsaid] = []
        self.asked_quality = any(d.payload_type == DATA_QUALITY for d in obligation.descriptors)
        #: Intervals with their own periods may cover the same time twice, with one payload each.
        self.apart = obligation.descriptors[0].report_intervals in (SUB_INTERVALS, OPEN_INTERVALS)
        self.shapes: dict[float, Shape] = {}
        #: What `_counted` found, by the id of its columns.
        self.kinds: dict[int, tuple[Sequence[Column], frozenset[str]]] = {}
        #: Ids of resources that have a value in the report.
        self.valued: set[str] = set()

    def leave_out(self, message: Message, **params: str) -> None:
        key = (message.code, *params.values())
        count = self.omissions[key][2] + 1 if key in self.omissions else 1
        self.omissions[key] = (message, params, count)

    def _said(self) -> tuple[Text, ...]:
        event = foreign(self.owed.event_id)
        return tuple(
            message(event=event, count=count, **params) for message, params, count in self.omissions.values()
        )

    def build(self, resources: Sequence[Reportable]) -> Built:
        whom = Asked(self.owed.event_targets, resources, self.options.ven_targets)
        wanted = [
            (descriptor, asked)
            for descriptor in self.owed.descriptors
            if descriptor.payload_type != DATA_QUALITY and (asked := self._asked(descriptor, whom))
        ]
        # A report declares a payload type once: what its resources leave open they must agree on.
        of_kind: dict[str, dict[str, Reportable]] = {}
        for descriptor, asked in wanted:
            of_kind.setdefault(descriptor.payload_type, {}).update((one.resource_id, one) for one in asked)
        agreed = {kind: agreement(kind, of.values()) for kind, of in of_kind.items()}
        answered = [
            (made, asked)
            for descriptor, asked in wanted
            if (made := self._column(descriptor, agreed[descriptor.payload_type])) is not None
        ]
        parts = self._plain(
            [(made, asked) for made, asked in answered if not made.descriptor.aggregate], resources
        )
        sums = [(made, asked) for made, asked in answered if made.descriptor.aggregate]
        # The same resources share a sum; descriptors over different ones are in reports of their own.
        over: dict[tuple[str, ...], tuple[list[Column], list[Reportable]]] = {}
        for made, asked in sums:
            over.setdefault(tuple(one.resource_id for one in asked), ([], asked))[0].append(made)
        parts.extend(self._sum(_once(same), asked) for same, asked in over.values())
        reported = [part for part in parts if part is not None]
        columns = [made for made, _ in answered]
        report = self._report(columns, reported) if reported else None
        computed = ", ".join(one.kind for one in _once(columns) if of_other_days(one.descriptor))
        methods = (f"{computed}: {METHOD}",) if computed and report else ()
        asked_for = {one.resource_id for _, of in wanted for one in of}
        return Built(report, self._said(), methods, tuple(self.unsaid), frozenset(asked_for - self.valued))

    def _plain(
        self, answered: Sequence[tuple[Column, list[Reportable]]], resources: Sequence[Reportable]
    ) -> list[ReportResource | None]:
        if not answered:
            return []
        if all(len(of) == len(resources) for _, of in answered):
            everything = _once(made for made, _ in answered)
            return [self._part(one, everything) for one in resources]
        asked: dict[str, list[int]] = {}
        for place, (_, of) in enumerate(answered):
            for one in of:
                asked.setdefault(one.resource_id, []).append(place)
        columns_of: dict[tuple[int, ...], list[Column]] = {}
        parts = []
        for one in resources:
            mine = tuple(asked.get(one.resource_id, ()))
            if mine not in columns_of:
                columns_of[mine] = _once(answered[place][0] for place in mine)
            parts.append(self._part(one, columns_of[mine]))
        return parts

    def _asked(self, descriptor: ReportDescriptor, whom: Asked) -> list[Reportable]:
        asked = whom.by(descriptor.targets)
        if not asked:
            if descriptor.targets:
                targets = foreign(", ".join(descriptor.targets))
                self.leave_out(rep.NO_TARGET, payload=descriptor.payload_type, targets=targets)
            else:
                self.leave_out(rep.NO_RESOURCES, payload=descriptor.payload_type)
        return asked

    def _report(self, columns: Sequence[Column], parts: list[ReportResource]) -> Report:
        sent = {payload.type for part in parts for one in part.intervals for payload in one.payloads}
        said = [
            ReportPayloadDescriptor(
                object_type=REPORT_PAYLOAD_DESCRIPTOR,
                payload_type=made.kind,
                reading_type=made.reading_type,
                units=made.units,
            )
            for made in _once(columns)
            if made.kind in sent
        ]
        if self.flagged:
            said.append(
                ReportPayloadDescriptor(object_type=REPORT_PAYLOAD_DESCRIPTOR, payload_type=DATA_QUALITY)
            )
        return Report(
            event_id=self.owed.event_id,
            client_name=self.options.client_name,
            report_name=self.owed.report_name,
            payload_descriptors=said,
            resources=parts,
        )

    def _column(self, descriptor: ReportDescriptor, agreed: tuple[str | None, str | None]) -> Column | None:
        kind, reading = descriptor.payload_type, descriptor.reading_type
        made = column(completed(descriptor, agreed), self.options)
        if made is None:
            ahead = "" if descriptor.historical else rep.AHEAD()
            said = f" ({foreign(reading)})" if reading else ""
            self.leave_out(rep.NOT_SUPPORTED, payload=foreign(kind), reading=said, ahead=ahead)
            return None
        if descriptor.aggregate and not made.summable:
            self.leave_out(rep.NOT_SUMMABLE, payload=kind, reading=made.reading_type or "DIRECT_READ")
            return None
        if descriptor.units and made.units != descriptor.units:
            units = foreign(descriptor.units)
            self.leave_out(rep.OTHER_UNITS, payload=kind, asked=units, sent=made.units or rep.NO_UNITS())
        return made

    def _shape(self, together: Sequence[Reportable], every_s: float) -> Shape:
        shape = self.shapes.get(every_s)
        if shape is None:
            cells = cells_of(self.owed, together, self.options)
            shape = self.shapes[every_s] = Shape(cells, self.owed.descriptors[0].report_intervals)
        return shape

    def _part(self, one: Reportable, columns: Sequence[Column]) -> ReportResource | None:
        """Return what is reported of one resource."""
        if not columns:
            return None
        shape = self._shape((one,), one.interval_s or self.options.sub_interval_s)
        facts, measures = self.facts, self.measures
        name, resource_id = one.resource_name, one.resource_id
        single = columns[0] if len(columns) == 1 else None
        filled: list[Told] = []
        for place, span in enumerate(shape.cells):
            seen = Seen(one, span, measures.get((resource_id, span.start, span.end)), facts)
            if single is not None:
                self._single(name, place, single, single.sample(seen), filled)
            else:
                self._several(name, place, [(made, made.sample(seen)) for made in columns], filled, span.id)
        counted = self._counted(columns)
        if any(payload.type in counted for _, payloads in filled for payload in payloads):
            self.valued.add(resource_id)
        return shape.resource(name, filled) if filled else None

    def _counted(self, columns: Sequence[Column]) -> frozenset[str]:
        """Return the payload types whose values show that a resource is heard: measured ones if asked for."""
        known = self.kinds.get(id(columns))
        if known is None:
            measured = frozenset(made.kind for made in columns if is_measured(made.descriptor))
            known = columns, measured or frozenset(made.kind for made in columns)
            self.kinds[id(columns)] = known  # with the columns: another list must not get their id
        return known[1]

    def _sum(self, columns: Sequence[Column], over: Sequence[Reportable]) -> ReportResource | None:
        """Return the sums over several resources, None when there are none."""
        shape = self._shape(over, cadence_s(over, self.options.sub_interval_s))
        counted, silent = self._counted(columns), {one.resource_id for one in over}
        filled: list[Told] = []
        for place, span in enumerate(shape.cells):
            seen = [
                Seen(one, span, self.measures.get((one.resource_id, span.start, span.end)), self.facts)
                for one in over
            ]
            each = [(made, [made.sample(one) for one in seen]) for made in columns]
            for made, some in each if silent else ():
                if made.kind in counted:
                    known = (
                        one.resource_id for one, sample in zip(over, some, strict=True) if sample.is_known
                    )
                    silent.difference_update(known)
            samples = [(made, _added(some)) for made, some in each]
            if len(samples) == 1:
                self._single(AGGREGATED_REPORT, place, *samples[0], filled)
            else:
                self._several(AGGREGATED_REPORT, place, samples, filled, shape.cells[place].id)
        self.valued.update(one.resource_id for one in over if one.resource_id not in silent)
        return shape.resource(AGGREGATED_REPORT, filled) if filled else None

    def _single(self, name: str, place: int, made: Column, found: Sample, told: list[Told]) -> None:
        """Add one payload of an interval, with its quality beside it when it is not GOOD."""
        sample = self._allowed(name, made, found)
        payloads = []
        if sample.value is not None:
            payloads.append(ValuesMap(type=made.descriptor.payload_type, values=[made.told(sample.value)]))
        if self.asked_quality or sample.quality is not Quality.GOOD:
            payloads.append(_FLAGS[sample.quality])
            self.flagged = True
        told.append((place, payloads))

    def _several(
        self,
        name: str,
        place: int,
        samples: Sequence[tuple[Column, Sample]],
        told: list[Told],
        interval: int,
    ) -> None:
        """Add several payloads of an interval; `interval` is its id."""
        allowed = [(made, self._allowed(name, made, found)) for made, found in samples]
        known = [(made, sample) for made, sample in allowed if sample.value is not None]
        if len(known) == 1:
            self._single(name, place, *known[0], told)
            return
        together = []
        for made, sample in known:
            sound = sample.quality is Quality.GOOD and not self.asked_quality
            if not sound and self.apart:
                self._single(name, place, made, sample, told)
            elif sample.partial:
                # Too small a sum may only go out with its quality beside it.
                self.leave_out(rep.SUM_INCOMPLETE, payload=made.kind, name=name)
            else:
                together.append(ValuesMap(type=made.kind, values=[_value(made, sample)]))
                if not sound and sample.quality is not Quality.GOOD:
                    quality = _QUALITY[sample.quality]
                    self.leave_out(rep.QUALITY_OMITTED, payload=made.kind, name=name, quality=quality)
                    self.unsaid.append(Unsaid(name, made.kind, interval, quality))
        if together:
            told.append((place, together))

    def _allowed(self, name: str, made: Column, sample: Sample) -> Sample:
        """Return the sample as it may be sent; MISSING, with the reason said, when it may not."""
        value = sample.value
        if value is None:
            self.leave_out(rep.NO_DATA, payload=made.kind, name=name)
            return sample
        if made.signed or self.options.allow_negative or isinstance(value, bool | str) or value >= 0:
            return sample
        if value > -(10.0**-DECIMALS):
            return sample._replace(value=0.0)
        self.leave_out(rep.NEGATIVE, payload=made.kind, name=name)
        return MISSING


def _value(made: Column, sample: Sample) -> Value:
    return None if sample.value is None else made.told(sample.value)


def _added(samples: Sequence[Sample]) -> Sample:
    known = [one.value for one in samples if isinstance(one.value, int | float)]
    if not known:
        return MISSING
    good = all(one.quality is Quality.GOOD for one in samples)
    quality = Quality.GOOD if good else Quality.ESTIMATED
    return Sample(float(sum(known)), quality, partial=len(known) < len(samples))


def _once(columns: Iterable[Column]) -> list[Column]:
    """Return one column per payload type: descriptors may differ in their targets only."""
    first: dict[str, Column] = {}
    for one in columns:
        first.setdefault(one.kind, one)
    return list(first.values())
