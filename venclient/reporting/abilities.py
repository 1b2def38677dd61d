"""Capacities, setpoint and operating state of a resource, from its limits and its newest state.

    power, kW      P_min                   now                  P_max
                     |--- up regulation ---|-- down regulation --|
                     (more generation,       (more consumption,
                      less consumption)       less generation)

Power counts from the grid's side. A battery cannot keep up a power that would empty or fill it before
the interval ends. A PV site cannot produce more than the sun allows.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from venclient.model.reading import POWER_KW, SOC_PERCENT, Measure, Quality
from venclient.model.resource import ResourceType
from venclient.openadr.objects import ReportDescriptor
from venclient.reporting.payloads import (
    MISSING,
    BuildOptions,
    Column,
    InForce,
    Sample,
    Seen,
    covered,
    hours_of,
    last_of,
    made,
)
from venclient.reporting.targets import Limits
from venclient.reporting.units import KW, KWH, base_of, declared, in_base

#: Below this power, and this share of what a resource can draw or give, it is idle.
IDLE_KW = 0.05
IDLE_SHARE = 0.02

_STATIC = ("DIRECT_READ", "SUMMED", "ESTIMATED", "FORECAST")
_OF_POWER = ("DIRECT_READ", "MEAN", "AVERAGE", "SUMMED", "FORECAST")


def usable_capacity(descriptor: ReportDescriptor, wanted: str, _options: BuildOptions) -> Column | None:
    """Energy in kWh between a storage's lowest and highest charge."""

    def value(limits: Limits) -> float | None:
        return None if limits.e_max_kwh is None else limits.e_max_kwh - (limits.e_min_kwh or 0.0)

    return _static(descriptor, wanted, KWH, value)


def max_charge_power(descriptor: ReportDescriptor, wanted: str, _options: BuildOptions) -> Column | None:
    """Maximum charge power of a storage in kW."""
    return _static(
        descriptor, wanted, KW, lambda limits: None if limits.p_max_kw is None else max(0.0, limits.p_max_kw)
    )


def max_discharge_power(descriptor: ReportDescriptor, wanted: str, _options: BuildOptions) -> Column | None:
    """Maximum discharge power of a storage in kW, as a positive number."""
    return _static(
        descriptor, wanted, KW, lambda limits: None if limits.p_min_kw is None else max(0.0, -limits.p_min_kw)
    )


def up_regulation(descriptor: ReportDescriptor, wanted: str, options: BuildOptions) -> Column | None:
    """Power in kW by which a resource could draw less, or feed in more."""
    return _regulation(descriptor, wanted, options, up=True)


def down_regulation(descriptor: ReportDescriptor, wanted: str, options: BuildOptions) -> Column | None:
    """Power in kW by which a resource could draw more, or feed in less."""
    return _regulation(descriptor, wanted, options, up=False)


def setpoint(descriptor: ReportDescriptor, wanted: str, _options: BuildOptions) -> Column | None:
    """The setpoint in force when the interval ends, or last within it; unknown when there was none."""
    if wanted not in ("DIRECT_READ", "FORECAST"):
        return None
    base = base_of(descriptor.units)

    def sample(seen: Seen) -> Sample:
        found = _in_force(seen)
        if found is None:
            return MISSING
        value = found.value
        if isinstance(value, bool | str):
            return Sample(value, Quality.GOOD)
        if not isinstance(value, int | float):
            return MISSING
        if found.units and descriptor.units and base_of(found.units) != base:
            return MISSING
        return Sample(float(in_base(value, found.units)) if base else float(value), Quality.GOOD)

    return made(descriptor, descriptor.units, wanted, sample, signed=True, summable=False)


def operating_state(descriptor: ReportDescriptor, wanted: str, options: BuildOptions) -> Column | None:
    """Whether a resource runs or idles, and under which kind of setpoint; ERROR when it is not heard."""
    if wanted != "DIRECT_READ":
        return None

    def sample(seen: Seen) -> Sample:
        measure = seen.measure
        if measure is None:
            return MISSING
        if measure.coverage <= 0 and all(one.time < measure.start for one in measure.last.values()):
            return Sample("ERROR", Quality.GOOD)
        kw = _state_kw(measure, options)
        setpoint = _in_force(seen)
        effect = setpoint.effect if setpoint else None
        if kw is None:
            return Sample("NORMAL", Quality.GOOD) if effect is None else MISSING
        limits = seen.resource.limits
        most = max(abs(limits.p_max_kw or 0.0), abs(limits.p_min_kw or 0.0))
        doing = "IDLE" if abs(kw) < max(IDLE_KW, IDLE_SHARE * most) else "RUNNING"
        under = {"opted-out": "OPTED_OUT"}.get(effect or "", (effect or "normal").upper())
        return Sample(f"{doing}_{under}", Quality.GOOD)

    return made(descriptor, None, wanted, sample, signed=True, summable=False)


def _static(
    descriptor: ReportDescriptor, wanted: str, base: str, value: Callable[[Limits], float | None]
) -> Column | None:
    if wanted not in _STATIC:
        return None

    def sample(seen: Seen) -> Sample:
        found = value(seen.resource.limits)
        return MISSING if found is None else Sample(found, Quality.GOOD)

    return made(descriptor, declared(base, descriptor.units), wanted, sample, signed=True, summable=True)


def _regulation(
    descriptor: ReportDescriptor, wanted: str, options: BuildOptions, *, up: bool
) -> Column | None:
    if wanted not in _OF_POWER:
        return None

    def sample(seen: Seen) -> Sample:
        measure = seen.measure
        if not descriptor.historical and seen.facts.now is not None:
            measure = seen.facts.measures.get((seen.resource.resource_id, *seen.facts.now))
        if measure is None:
            return MISSING
        kw = covered(measure, measure.mean_kw, options)
        if type(kw.value) is not float:
            return MISSING
        room = _room(seen, measure, kw.value, up=up)
        return MISSING if room is None else Sample(max(0.0, room), kw.quality)

    reading = ("MEAN" if descriptor.historical else "FORECAST") if wanted == "DIRECT_READ" else wanted
    units = declared(KW, descriptor.units)
    return made(descriptor, units, reading, sample, signed=False, summable=True)


def _room(seen: Seen, measure: Measure, kw: float, *, up: bool) -> float | None:
    """Return how far a resource's power can go up or down from `kw` for the length of the interval."""
    limits = seen.resource.limits
    if up and seen.resource.resource_type == ResourceType.PV.name:
        return 0.0
    end = limits.p_min_kw if up else limits.p_max_kw
    if end is None:
        return None
    if limits.e_max_kwh is not None:
        charge = last_of(measure, SOC_PERCENT)
        if charge is None:
            return None
        held_kwh = charge.value / 100 * limits.e_max_kwh
        left_kwh = held_kwh - (limits.e_min_kwh or 0.0) if up else limits.e_max_kwh - held_kwh
        sustained = max(0.0, left_kwh) / hours_of(seen.span)
        end = max(end, -sustained) if up else min(end, sustained)
    return kw - end if up else end - kw


def _state_kw(measure: Measure, options: BuildOptions) -> float | None:
    newest = last_of(measure, POWER_KW)
    if newest is not None:
        return newest.value
    mean = covered(measure, measure.mean_kw, options).value
    return mean if type(mean) is float else None


def _in_force(seen: Seen) -> InForce | None:
    def held(one: InForce) -> bool:
        return one.since < seen.span.end and (one.until is None or one.until > seen.span.start)

    found = [one for one in seen.facts.setpoints.get(seen.resource.resource_id, ()) if held(one)]
    return max(found, key=_since, default=None)


def _since(one: InForce) -> datetime:
    return one.since
