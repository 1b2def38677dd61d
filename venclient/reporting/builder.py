"""From an obligation and what was measured to the report: pure.

A value that is not known is left out, never written as zero; where the report holds a single payload
type, DATA_QUALITY beside it (or alone) says MISSING or ESTIMATED. Whatever is left out is said.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from venclient.model.reading import Measure, Quality
from venclient.openadr.duration import Duration
from venclient.openadr.enumerations import AGGREGATED_REPORT, REPORT_PAYLOAD_DESCRIPTOR
from venclient.openadr.objects import (
    Interval,
    IntervalPeriod,
    Report,
    ReportDescriptor,
    ReportPayloadDescriptor,
    ReportResource,
    Value,
    ValuesMap,
)
from venclient.openadr.times import format_time
from venclient.reporting.obligations import Obligation, Span
from venclient.reporting.payloads import DECIMALS, MISSING, BuildOptions, Column, Sample, column

DATA_QUALITY = "DATA_QUALITY"
INTERVALS = "INTERVALS"

MeasureKey = tuple[str, datetime, datetime]
Measures = Mapping[MeasureKey, Measure]

_QUALITY = {
    Quality.GOOD: "OK",
    Quality.ESTIMATED: "ESTIMATED",
    Quality.STALE: "BAD",
    Quality.OUT_OF_RANGE: "BAD",
    Quality.MISSING: "MISSING",
}


class Reportable(msgspec.Struct, frozen=True):
    """A site's resource as reports name it; `targets` are those that the VTN granted to its object."""

    resource_id: str
    resource_name: str
    targets: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Built:
    """A report, None when nothing can be said, and one sentence for each thing that was left out."""

    report: Report | None
    omissions: tuple[str, ...] = ()


def resources_of(
    descriptor_targets: Collection[str] | None,
    event_targets: Collection[str],
    resources: Sequence[Reportable],
    options: BuildOptions,
) -> list[Reportable]:
    """Give the resources that a descriptor asks for, among those that the event is meant for.

    A target names resources by the targets granted to their objects, or by name; targets of the VEN
    as a whole stand for all. Event targets that match nothing here do not restrict: the VTN showed
    us the event all the same.
    """
    meant = _matching(event_targets, resources, options) or list(resources)
    return _matching(descriptor_targets, meant, options) if descriptor_targets else meant


def _matching(
    targets: Collection[str], resources: Sequence[Reportable], options: BuildOptions
) -> list[Reportable]:
    wanted = frozenset(targets)
    matched = [one for one in resources if one.resource_name in wanted or wanted & one.targets]
    if not matched and wanted & options.ven_targets:
        return list(resources)
    return matched


def build_report(
    obligation: Obligation, resources: Sequence[Reportable], measures: Measures, options: BuildOptions
) -> Built:
    """Give the report that `obligation` asks for on `resources`, as far as `measures` tell.

    `measures` are by (resource_id, start, end) over the obligation's spans; absent means unknown.
    """
    return _Builder(obligation, measures, options).build(resources)


class _Builder:
    def __init__(self, obligation: Obligation, measures: Measures, options: BuildOptions) -> None:
        self.owed = obligation
        self.measures = measures
        self.options = options
        self.omissions: dict[str, None] = {}
        self.flagged = False
        self.asked_quality = any(d.payload_type == DATA_QUALITY for d in obligation.descriptors)

    def leave_out(self, sentence: str) -> None:
        self.omissions[f"event {self.owed.event_id}: {sentence}"] = None

    def build(self, resources: Sequence[Reportable]) -> Built:
        answered = [
            (made, asked)
            for descriptor in self.owed.descriptors
            if descriptor.payload_type != DATA_QUALITY
            and (asked := self._asked(descriptor, resources))
            and (made := self._column(descriptor)) is not None
        ]
        plain = [
            (made, {one.resource_id for one in asked})
            for made, asked in answered
            if not made.descriptor.aggregate
        ]
        parts = []
        for one in resources:
            mine = [made for made, ids in plain if one.resource_id in ids]
            parts.append(self._part(one.resource_name, _once(mine), [one]))
        sums = [(made, asked) for made, asked in answered if made.descriptor.aggregate]
        if sums:
            over = sums[0][1]
            same = [made for made, asked in sums if asked == over]
            if len(same) < len(sums):
                self.leave_out("its aggregates are over different targets; only the first is sent")
            parts.append(self._part(AGGREGATED_REPORT, _once(same), over))
        told = [part for part in parts if part is not None]
        report = self._report([made for made, _ in answered], told) if told else None
        return Built(report, tuple(self.omissions))

    def _asked(self, descriptor: ReportDescriptor, resources: Sequence[Reportable]) -> list[Reportable]:
        asked = resources_of(descriptor.targets, self.owed.event_targets, resources, self.options)
        if not asked:
            of = (
                f"targets {descriptor.targets}, which no resource has"
                if descriptor.targets
                else "no resource"
            )
            self.leave_out(f"{descriptor.payload_type} is asked for of {of}")
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

    def _column(self, descriptor: ReportDescriptor) -> Column | None:
        kind, reading = descriptor.payload_type, descriptor.reading_type
        made = column(descriptor, self.options)
        if made is None:
            ahead = "" if descriptor.historical else " ahead of time"
            self.leave_out(f"{kind}{f' ({reading})' if reading else ''}{ahead} cannot be reported yet")
            return None
        if descriptor.aggregate and not made.summable:
            self.leave_out(f"{kind} ({made.reading_type}) cannot be summed over resources")
            return None
        if descriptor.units and made.units != descriptor.units:
            self.leave_out(f"{kind} is asked for in {descriptor.units}; it is sent in {made.units}")
        return made

    def _part(self, name: str, columns: Sequence[Column], of: Sequence[Reportable]) -> ReportResource | None:
        single = len(columns) == 1
        told: list[tuple[Span, list[ValuesMap]]] = []
        for span in self.owed.spans if columns else ():
            payloads: list[ValuesMap] = []
            for made in columns:
                sample = self._allowed(name, made, self._sample(made, of, span), single)
                if sample.value is not None:
                    payloads.append(_payload(made.kind, made.told(sample.value)))
                if single and (self.asked_quality or sample.quality is not Quality.GOOD):
                    payloads.append(_payload(DATA_QUALITY, _QUALITY[sample.quality]))
                    self.flagged = True
            if payloads:
                told.append((span, payloads))
        return _resource(name, told, self.owed.descriptors[0].report_intervals) if told else None

    def _sample(self, made: Column, of: Sequence[Reportable], span: Span) -> Sample:
        samples = []
        for one in of:
            measure = self.measures.get((one.resource_id, span.start, span.end))
            samples.append(MISSING if measure is None else made.sample(measure))
        if not made.descriptor.aggregate:
            return samples[0]
        known = [sample.value for sample in samples if sample.value is not None]
        if not known:
            return MISSING
        good = all(sample.quality is Quality.GOOD for sample in samples)
        quality = Quality.GOOD if good else Quality.ESTIMATED
        return Sample(sum(known), quality, partial=len(known) < len(samples))

    def _allowed(self, name: str, made: Column, sample: Sample, single: bool) -> Sample:
        """Give the sample as it may be sent; MISSING, with the reason said, when it may not."""
        if sample.value is None:
            self.leave_out(f"{made.kind} of {name} is not known for some interval and left out")
            return sample
        if sample.partial and not single:
            # Too small a sum may only go out with its quality beside it.
            self.leave_out(f"{made.kind} of {name} lacks a resource in some interval and is left out")
            return MISSING
        if made.signed or self.options.allow_negative or sample.value >= 0:
            return sample
        if sample.value > -(10.0**-DECIMALS):
            return sample._replace(value=0.0)
        self.leave_out(
            f"{made.kind} of {name} is below zero in some interval and left out; "
            "set reporting.allow_negative where the VTN takes net feed-in"
        )
        return MISSING


def _once(columns: Iterable[Column]) -> list[Column]:
    """Give one column per payload type: descriptors may differ in their targets only."""
    first: dict[str, Column] = {}
    for one in columns:
        first.setdefault(one.kind, one)
    return list(first.values())


def _payload(kind: str, value: Value) -> ValuesMap:
    return ValuesMap(type=kind, values=[value])


def _resource(name: str, told: Sequence[tuple[Span, list[ValuesMap]]], ids: str) -> ReportResource:
    """Give a resource's part; one period stands for all intervals where they are alike and without gaps."""
    spans = [span for span, _ in told]
    length = spans[0].end - spans[0].start
    alike = all(
        one.start == spans[0].start + index * length and one.end - one.start == length
        for index, one in enumerate(spans)
    )
    own_ids = ids == "OPEN_INTERVALS"
    each = not alike or ids != INTERVALS
    return ReportResource(
        resource_name=name,
        interval_period=IntervalPeriod(start=format_time(spans[0].start), duration=_iso(length))
        if alike
        else None,
        intervals=[
            Interval(
                id=index if own_ids else span.id,
                interval_period=IntervalPeriod(
                    start=format_time(span.start), duration=_iso(span.end - span.start)
                )
                if each
                else None,
                payloads=payloads,
            )
            for index, (span, payloads) in enumerate(told)
        ],
    )


def _iso(length: timedelta) -> str:
    minutes, seconds = divmod(length.days * 86_400 + length.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return str(
        Duration(hours=hours, minutes=minutes, secs=seconds + Decimal(length.microseconds) / 1_000_000)
    )
