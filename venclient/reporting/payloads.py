"""What each report payload type says of an interval: where its values come from, in which unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from venclient.model.reading import SOC_PERCENT, Measure, Quality
from venclient.openadr.objects import ReportDescriptor
from venclient.reporting.units import KW, KWH, PERCENT, QUANTITY_OF_BASE, base_of, converted, declared

#: Decimals kept: a millionth of a Wh, below every meter's resolution.
DECIMALS = 9


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """How reports are made.

    `client_name` goes into each report. `allow_negative` sends net feed-in as negative USAGE and DEMAND.
    Energy is taken as known when readings vouch for `min_coverage` of an interval. `percent_of_full` is
    what a full battery is in PERCENT: 1.0 as in OpenADR 3.1, or 100.0 as in 3.0. `ven_targets` are those
    granted to the VEN as a whole.
    """

    client_name: str
    allow_negative: bool = False
    min_coverage: float = 0.5
    percent_of_full: float = 1.0
    ven_targets: frozenset[str] = frozenset()


class Sample(NamedTuple):
    """One value in its base unit, None when unknown; `partial` for a sum that lacks a part."""

    value: float | None
    quality: Quality
    partial: bool = False


MISSING = Sample(None, Quality.MISSING)


class Column(NamedTuple):
    """One payload type of a report: how it is declared, and how an interval's value is found.

    `signed` is False where the standard wants 0 or more; `summable` where a sum over resources means
    something.
    """

    descriptor: ReportDescriptor
    units: str
    reading_type: str
    sample: Callable[[Measure], Sample]
    signed: bool
    summable: bool

    @property
    def kind(self) -> str:
        """Give the payload type."""
        return self.descriptor.payload_type

    def told(self, value: float) -> float:
        """Give a value in its base unit as it goes into the report."""
        return round(converted(value, self.units), DECIMALS) + 0.0  # + 0.0 turns -0.0 into 0.0


def column(descriptor: ReportDescriptor, options: BuildOptions) -> Column | None:
    """Give how a descriptor is answered; None when it cannot be."""
    make = _MAKERS.get(descriptor.payload_type)
    if make is None or not descriptor.historical:
        return None
    return make(descriptor, (descriptor.reading_type or "DIRECT_READ").upper(), options)


def _usage(descriptor: ReportDescriptor, wanted: str, options: BuildOptions) -> Column | None:
    """Energy over the interval, net, in kWh."""
    if wanted not in ("DIRECT_READ", "SUMMED"):
        return None

    def sample(measure: Measure) -> Sample:
        return _covered(measure, measure.energy_kwh, options)

    units = declared(KWH, descriptor.units)
    return Column(descriptor, units, "DIRECT_READ", sample, signed=False, summable=True)


def _demand(descriptor: ReportDescriptor, wanted: str, options: BuildOptions) -> Column | None:
    """Power in kW: the mean over the interval, unless the peak is asked for; declared as what it is."""
    units = declared(KW, descriptor.units)
    if wanted == "PEAK":

        def peak(measure: Measure) -> Sample:
            return _covered(measure, measure.peak_kw, options)

        # The peaks of several resources fall at different moments, so their sum is nobody's peak.
        return Column(descriptor, units, "PEAK", peak, signed=False, summable=False)
    if wanted not in ("DIRECT_READ", "MEAN", "AVERAGE"):
        return None

    def mean(measure: Measure) -> Sample:
        return _covered(measure, measure.mean_kw, options)

    told = "AVERAGE" if wanted == "AVERAGE" else "MEAN"
    return Column(descriptor, units, told, mean, signed=False, summable=True)


def _reading(descriptor: ReportDescriptor, wanted: str, options: BuildOptions) -> Column | None:
    """What the meter showed last in the interval; the unit says what of it, the energy register if none."""
    base = base_of(descriptor.units) if descriptor.units else KWH
    if wanted != "DIRECT_READ" or base is None:
        return None
    sample = _last(QUANTITY_OF_BASE[base], _scale_of(base, options))
    units = declared(base, descriptor.units)
    return Column(descriptor, units, wanted, sample, signed=True, summable=base in (KWH, KW))


def _charge_level(descriptor: ReportDescriptor, wanted: str, options: BuildOptions) -> Column | None:
    """State of charge at the end of the interval, in PERCENT."""
    if wanted != "DIRECT_READ":
        return None
    sample = _last(SOC_PERCENT, _scale_of(PERCENT, options))
    units = declared(PERCENT, descriptor.units)
    return Column(descriptor, units, wanted, sample, signed=True, summable=False)


def _scale_of(base: str, options: BuildOptions) -> float:
    return options.percent_of_full / 100 if base == PERCENT else 1.0


def _covered(measure: Measure, value: float | None, options: BuildOptions) -> Sample:
    known = value is not None and measure.coverage >= options.min_coverage
    return Sample(value, measure.quality) if known else MISSING


def _last(quantity: str, scale: float) -> Callable[[Measure], Sample]:
    def sample(measure: Measure) -> Sample:
        reading = measure.last.get(quantity)
        # What was read before the interval began tells nothing about its end.
        if reading is None or reading.time < measure.start or reading.quality is Quality.MISSING:
            return MISSING
        return Sample(reading.value * scale, reading.quality)

    return sample


_Make = Callable[[ReportDescriptor, str, BuildOptions], Column | None]

#: What can be reported today; any other payload type is said to be left out.
_MAKERS: Mapping[str, _Make] = {
    "USAGE": _usage,
    "DEMAND": _demand,
    "READING": _reading,
    "STORAGE_CHARGE_LEVEL": _charge_level,
}
