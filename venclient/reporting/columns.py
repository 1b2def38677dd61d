"""How a report descriptor is answered: the payload types that can be reported, backwards and ahead."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec.structs import replace

from venclient.openadr.objects import ReportDescriptor
from venclient.reporting import abilities, forecast, payloads
from venclient.reporting.payloads import BuildOptions, Column, Maker
from venclient.reporting.targets import Reportable

#: What can be reported of the past; any other payload type is said to be left out.
_PAST: Mapping[str, Maker] = {
    "USAGE": payloads.usage,
    "DEMAND": payloads.demand,
    "READING": payloads.reading,
    "STORAGE_CHARGE_LEVEL": payloads.charge_level,
    "STORAGE_USABLE_CAPACITY": abilities.usable_capacity,
    "STORAGE_MAX_CHARGE_POWER": abilities.max_charge_power,
    "STORAGE_MAX_DISCHARGE_POWER": abilities.max_discharge_power,
    "UP_REGULATION_AVAILABLE": abilities.up_regulation,
    "DOWN_REGULATION_AVAILABLE": abilities.down_regulation,
    "SETPOINT": abilities.setpoint,
    "OPERATING_STATE": abilities.operating_state,
    "BASELINE": forecast.baseline,
    "DELTA_USAGE": forecast.delta_usage,
    "USAGE_FORECAST": forecast.usage_ahead,
}

#: Payload types that can be reported ahead of time.
_AHEAD: Mapping[str, Maker] = {
    "USAGE": forecast.usage_ahead,
    "DEMAND": forecast.demand_ahead,
    "USAGE_FORECAST": forecast.usage_ahead,
    "BASELINE": forecast.baseline,
    "STORAGE_USABLE_CAPACITY": abilities.usable_capacity,
    "STORAGE_MAX_CHARGE_POWER": abilities.max_charge_power,
    "STORAGE_MAX_DISCHARGE_POWER": abilities.max_discharge_power,
    "UP_REGULATION_AVAILABLE": abilities.up_regulation,
    "DOWN_REGULATION_AVAILABLE": abilities.down_regulation,
    "SETPOINT": abilities.setpoint,
}


#: Payload types whose values come from meters, when they are of the past.
_MEASURED = frozenset({"USAGE", "DEMAND", "READING", "STORAGE_CHARGE_LEVEL", "DELTA_USAGE"})


def is_measured(descriptor: ReportDescriptor) -> bool:
    """Return whether a descriptor asks for what was measured, and not for what could or will be."""
    wanted = (descriptor.reading_type or "").upper()
    return descriptor.historical and descriptor.payload_type in _MEASURED and wanted != "FORECAST"


def column(descriptor: ReportDescriptor, options: BuildOptions) -> Column | None:
    """Return how a descriptor is answered; None when it cannot be."""
    wanted = (descriptor.reading_type or "DIRECT_READ").upper()
    # The reading type FORECAST asks for a forecast, whatever else is said.
    ahead = not descriptor.historical or (
        wanted == "FORECAST" and descriptor.payload_type in ("USAGE", "DEMAND")
    )
    make = (_AHEAD if ahead else _PAST).get(descriptor.payload_type)
    return make(descriptor, wanted, options) if make else None


def agreement(kind: str, asked: Collection[Reportable]) -> tuple[str | None, str | None]:
    """Return the unit and the reading type that all resources are configured with for a payload type."""
    units = {one.units.get(kind) for one in asked}
    types = {one.reading_type for one in asked}
    return (
        next(iter(units)) if len(units) == 1 else None,
        next(iter(types)) if len(types) == 1 else None,
    )


def completed(descriptor: ReportDescriptor, agreed: tuple[str | None, str | None]) -> ReportDescriptor:
    """Return a descriptor with the unit and reading type that it leaves open, as its resources agree on."""
    if descriptor.units and descriptor.reading_type:
        return descriptor
    unit, reading_type = agreed
    if unit is None and reading_type is None:
        return descriptor
    filled = replace(descriptor, units=descriptor.units or unit)
    typed = replace(filled, reading_type=descriptor.reading_type or reading_type)
    # One reading type is configured for all payload types of a resource: where it makes no sense it is none.
    return typed if column(typed, BuildOptions(client_name="")) else filled
