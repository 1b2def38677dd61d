"""Report payload types: the source and the unit of their values for an interval.

This module has the types that meters measure, `abilities.py` capacities, setpoints and states, and
`forecast.py` baselines and forecasts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Literal, NamedTuple

import msgspec

from venclient.model.reading import SOC_PERCENT, Measure, Quality, Reading
from venclient.openadr.objects import ReportDescriptor, Value
from venclient.reporting.baseline import LikeDays, Measures
from venclient.reporting.grids import SUB_INTERVAL_S
from venclient.reporting.obligations import ADHOC_S, Span
from venclient.reporting.targets import Reportable
from venclient.reporting.units import (
    KW,
    KWH,
    PERCENT,
    QUANTITY_OF_BASE,
    SUMMABLE,
    base_of,
    conversion,
    declared,
)
from venclient.reporting.windows import USUAL_RULES, WindowRules

#: Decimals kept: a millionth of a Wh, below every meter's resolution.
DECIMALS = 9


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """How reports are made.

    `client_name` goes into each report. `allow_negative` sends net feed-in as negative USAGE and DEMAND.
    Energy is taken as known when readings vouch for `min_coverage` of an interval. `percent_of_full` is
    what a full battery is in PERCENT: 1.0 as in OpenADR 3.1, or 100.0 as in 3.0. `ven_targets` are those
    granted to the VEN as a whole. Parts of intervals are `sub_interval_s` long unless a resource says
    otherwise; unscheduled reports are made every `adhoc_s`, None for changes only. Days are those of `zone`,
    None for the machine's own. `rules` say how descriptors are read.
    """

    client_name: str
    allow_negative: bool = False
    min_coverage: float = 0.5
    percent_of_full: float = 1.0
    ven_targets: frozenset[str] = frozenset()
    sub_interval_s: float = SUB_INTERVAL_S
    adhoc_s: float | None = ADHOC_S
    zone: tzinfo | None = None
    rules: WindowRules = USUAL_RULES


class InForce(msgspec.Struct, frozen=True):
    """A setpoint that was in force for a resource in [since, until), and what it does to it.

    `value` is in `units`, where it is a number that has one.
    """

    value: Value
    since: datetime
    until: datetime | None = None
    units: str | None = None
    effect: Literal["curtailed", "heightened", "opted-out"] | None = None


#: By resource id, in the order of time.
Setpoints = Mapping[str, Sequence[InForce]]


class Sample(NamedTuple):
    """One value in its base unit, None when unknown; `partial` for a sum that lacks a part."""

    value: float | str | bool | None
    quality: Quality
    partial: bool = False

    @property
    def is_known(self) -> bool:
        """Return whether there is a value."""
        return self.value is not None

    def times(self, factor: float) -> Sample:
        """Return a number multiplied; anything else as it is."""
        if self.value is None or isinstance(self.value, bool | str):
            return self
        return self._replace(value=self.value * factor)


MISSING = Sample(None, Quality.MISSING)


@dataclass(frozen=True)
class Facts:
    """What a report is made of, besides the resources: all measures by (resource, start, end), and more.

    `usual` gives baselines, None where no descriptor needs any. `now` is the newest span of time that was
    measured before a forecast's window.
    """

    measures: Measures
    options: BuildOptions
    setpoints: Setpoints
    usual: LikeDays | None = None
    now: tuple[datetime, datetime] | None = None


class Seen(NamedTuple):
    """One interval of one resource as a column sees it; `measure` is None where nothing was measured."""

    resource: Reportable
    span: Span
    measure: Measure | None
    facts: Facts


class Column(NamedTuple):
    """One payload type of a report: how it is declared, and how an interval's value is found.

    `units` are None for values without any. `signed` is False where the standard wants 0 or more;
    `summable` where a sum over resources means something.
    """

    descriptor: ReportDescriptor
    units: str | None
    reading_type: str
    sample: Callable[[Seen], Sample]
    signed: bool
    summable: bool
    factor: float
    offset: float

    @property
    def kind(self) -> str:
        """Return the payload type."""
        return self.descriptor.payload_type

    def told(self, value: float | str | bool) -> float | str | bool:
        """Return a value in its base unit as it goes into the report."""
        if type(value) is float or not isinstance(value, bool | str):
            return round(value * self.factor + self.offset, DECIMALS) + 0.0  # + 0.0 turns -0.0 into 0.0
        return value


Maker = Callable[[ReportDescriptor, str, BuildOptions], Column | None]


def made(
    descriptor: ReportDescriptor,
    units: str | None,
    reading_type: str,
    sample: Callable[[Seen], Sample],
    *,
    signed: bool,
    summable: bool,
) -> Column:
    """Return a column whose values are declared in `units`."""
    return Column(descriptor, units, reading_type, sample, signed, summable, *conversion(units))


def covered(measure: Measure, value: float | None, options: BuildOptions) -> Sample:
    """Return a value that is known when readings vouch for enough of its interval."""
    if value is None or measure.coverage < options.min_coverage:
        return MISSING
    return Sample(float(value), measure.quality) if math.isfinite(value) else MISSING


def last_of(measure: Measure | None, quantity: str) -> Reading | None:
    """Return the newest reading within an interval; an earlier one does not show the value at its end."""
    reading = measure.last.get(quantity) if measure is not None else None
    if reading is None or measure is None or reading.time < measure.start:
        return None
    return None if reading.quality is Quality.MISSING or not math.isfinite(reading.value) else reading


def usage(descriptor: ReportDescriptor, wanted: str, options: BuildOptions) -> Column | None:
    """Energy over the interval, net, in kWh; estimated, what is not known is taken as the rest."""
    units = declared(KWH, descriptor.units)
    if wanted == "ESTIMATED":

        def estimate(seen: Seen) -> Sample:
            measure = seen.measure
            kw = MISSING if measure is None else covered(measure, measure.mean_kw, options)
            return kw.times(hours_of(seen.span))

        return made(
            descriptor, declared(KWH, descriptor.units), wanted, estimate, signed=False, summable=True
        )
    if wanted not in ("DIRECT_READ", "SUMMED"):
        return None

    def sample(seen: Seen) -> Sample:
        measure = seen.measure
        return MISSING if measure is None else covered(measure, measure.energy_kwh, options)

    return made(descriptor, units, wanted, sample, signed=False, summable=True)


def demand(descriptor: ReportDescriptor, wanted: str, options: BuildOptions) -> Column | None:
    """Power in kW: the mean over the interval, unless the peak is asked for; declared as what it is."""
    units = declared(KW, descriptor.units)
    if wanted == "PEAK":

        def peak(seen: Seen) -> Sample:
            measure = seen.measure
            return MISSING if measure is None else covered(measure, measure.peak_kw, options)

        # The peaks of several resources fall at different moments: their sum is not a peak.
        return made(descriptor, units, "PEAK", peak, signed=False, summable=False)
    if wanted not in ("DIRECT_READ", "MEAN", "AVERAGE", "ESTIMATED", "SUMMED"):
        return None

    def mean(seen: Seen) -> Sample:
        measure = seen.measure
        return MISSING if measure is None else covered(measure, measure.mean_kw, options)

    reading_type = "MEAN" if wanted == "DIRECT_READ" else wanted
    return made(descriptor, units, reading_type, mean, signed=False, summable=True)


def reading(descriptor: ReportDescriptor, wanted: str, options: BuildOptions) -> Column | None:
    """What the meter showed last in the interval; the unit says what of it, the energy register if none."""
    base = base_of(descriptor.units) if descriptor.units else KWH
    if wanted not in ("DIRECT_READ", "SUMMED") or base is None or base not in QUANTITY_OF_BASE:
        return None
    sample = _last(QUANTITY_OF_BASE[base], scale_of(base, options))
    units = declared(base, descriptor.units)
    return made(descriptor, units, wanted, sample, signed=True, summable=base in SUMMABLE)


def charge_level(descriptor: ReportDescriptor, wanted: str, options: BuildOptions) -> Column | None:
    """State of charge at the end of the interval, in PERCENT."""
    if wanted != "DIRECT_READ":
        return None
    sample = _last(SOC_PERCENT, scale_of(PERCENT, options))
    return made(descriptor, declared(PERCENT, descriptor.units), wanted, sample, signed=True, summable=False)


def scale_of(base: str, options: BuildOptions) -> float:
    """Return what 1 % of the readings is in a base unit that may be PERCENT."""
    return options.percent_of_full / 100 if base == PERCENT else 1.0


def hours_of(span: Span) -> float:
    """Return an interval's length in hours."""
    return (span.end - span.start).total_seconds() / 3600


def _last(quantity: str, scale: float) -> Callable[[Seen], Sample]:
    def sample(seen: Seen) -> Sample:
        found = last_of(seen.measure, quantity)
        return MISSING if found is None else Sample(float(found.value * scale), found.quality)

    return sample
