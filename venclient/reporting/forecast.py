"""What resources would do: baselines, what was done differently from them, and forecasts made of them."""

from __future__ import annotations

from collections.abc import Callable

from venclient.model.reading import Measure, Quality
from venclient.openadr.objects import ReportDescriptor
from venclient.reporting.payloads import MISSING, BuildOptions, Column, Sample, Seen, covered, hours_of, made
from venclient.reporting.units import KW, KWH, base_of, declared

_FORECAST = ("DIRECT_READ", "FORECAST", "MEAN", "AVERAGE", "ESTIMATED", "SUMMED")


def usage_ahead(descriptor: ReportDescriptor, wanted: str, options: BuildOptions) -> Column | None:
    """Energy in kWh that is expected: the baseline."""
    if wanted not in _FORECAST:
        return None
    return _of_baseline(descriptor, options, KWH, "FORECAST")


def demand_ahead(descriptor: ReportDescriptor, wanted: str, options: BuildOptions) -> Column | None:
    """Mean power in kW that is expected, or the peak: the baseline of either."""
    if wanted == "PEAK":
        return _of_baseline(descriptor, options, KW, "PEAK", _peak_kw)
    if wanted not in _FORECAST:
        return None
    return _of_baseline(descriptor, options, KW, "FORECAST")


def baseline(descriptor: ReportDescriptor, wanted: str, options: BuildOptions) -> Column | None:
    """What would have been without the event: energy, or the mean power where the unit is one of power.

    The standard lets the reading type say whether it is energy or power; the unit does so more plainly.
    """
    base = KW if base_of(descriptor.units) == KW or (not descriptor.units and wanted == "MEAN") else KWH
    if wanted == "PEAK" and base == KW:
        return _of_baseline(descriptor, options, KW, "PEAK", _peak_kw)
    if wanted not in _FORECAST:
        return None
    reading = "ESTIMATED" if wanted in ("DIRECT_READ", "SUMMED") else wanted
    return _of_baseline(descriptor, options, base, reading)


def delta_usage(descriptor: ReportDescriptor, wanted: str, options: BuildOptions) -> Column | None:
    """Energy in kWh that was drawn above (below: negative) the baseline."""
    if wanted not in ("DIRECT_READ", "ESTIMATED", "SUMMED") or not descriptor.historical:
        return None

    def sample(seen: Seen) -> Sample:
        usual = _usual(seen, options, _mean_kw).times(hours_of(seen.span))
        measure = seen.measure
        measured = MISSING if measure is None else covered(measure, measure.energy_kwh, options)
        if not isinstance(usual.value, float) or not isinstance(measured.value, float):
            return MISSING
        worse = usual.quality if measured.quality is Quality.GOOD else measured.quality
        return Sample(measured.value - usual.value, worse)

    units = declared(KWH, descriptor.units)
    return made(descriptor, units, "ESTIMATED", sample, signed=True, summable=True)


def _of_baseline(
    descriptor: ReportDescriptor,
    options: BuildOptions,
    base: str,
    told: str,
    pick: Callable[[Measure], float | None] | None = None,
) -> Column:
    def sample(seen: Seen) -> Sample:
        kw = _usual(seen, options, pick or _mean_kw)
        return kw.times(hours_of(seen.span)) if base == KWH else kw

    signed = descriptor.payload_type == "BASELINE"
    units = declared(base, descriptor.units)
    return made(descriptor, units, told, sample, signed=signed, summable=pick is None)


def _usual(seen: Seen, options: BuildOptions, pick: Callable[[Measure], float | None]) -> Sample:
    facts, span = seen.facts, seen.span
    if facts.usual is None:
        return MISSING
    value, quality = facts.usual.value(
        seen.resource.resource_id, span.start, span.end, facts.measures, pick, options.min_coverage
    )
    return MISSING if value is None else Sample(value, quality)


def _mean_kw(measure: Measure) -> float | None:
    return measure.mean_kw


def _peak_kw(measure: Measure) -> float | None:
    return measure.peak_kw
