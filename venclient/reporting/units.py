"""Units of reports: what each is in the site's units, and which quantity a reading in it shows."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from venclient.model.reading import ENERGY_KWH, POWER_KW, SOC_PERCENT

KWH: Final = "KWH"
KW: Final = "KW"
PERCENT: Final = "PERCENT"


class Unit(NamedTuple):
    """A unit as `value in base * factor + offset`; units convert when their bases are the same."""

    base: str
    factor: float
    offset: float = 0.0


#: By upper-case name. Those that the standard has not (WH, W, MW, ...) are private strings that it allows.
UNITS: Mapping[str, Unit] = MappingProxyType(
    {
        "KWH": Unit(KWH, 1.0),
        "WH": Unit(KWH, 1000.0),
        "MWH": Unit(KWH, 0.001),
        "KW": Unit(KW, 1.0),
        "W": Unit(KW, 1000.0),
        "MW": Unit(KW, 0.001),
        "KVAR": Unit("KVAR", 1.0),
        "VOLTS": Unit("VOLTS", 1.0),
        "VOLTAGE": Unit("VOLTS", 1.0),  # as the User Guide's own example has it
        "AMPS": Unit("AMPS", 1.0),
        "CELSIUS": Unit("CELSIUS", 1.0),
        "CELCIUS": Unit("CELSIUS", 1.0),  # as OpenLEADR spelt it
        "FAHRENHEIT": Unit("CELSIUS", 1.8, 32.0),
        "PERCENT": Unit(PERCENT, 1.0),
    }
)

#: Which quantity of the readings a READING in this base unit shows.
QUANTITY_OF_BASE: Mapping[str, str] = MappingProxyType(
    {
        KWH: ENERGY_KWH,
        KW: POWER_KW,
        "KVAR": "reactive_power_kvar",
        "VOLTS": "voltage_v",
        "AMPS": "current_a",
        "CELSIUS": "temperature_c",
        PERCENT: SOC_PERCENT,
    }
)


def base_of(unit: str | None) -> str | None:
    """Give the base unit that `unit` converts to; None for no unit and for unknown ones."""
    known = UNITS.get(unit.strip().upper()) if unit else None
    return known.base if known else None


def declared(base: str, wanted: str | None) -> str:
    """Give the unit to report in: the wanted one as written where `base` converts to it, else `base`."""
    return wanted if wanted and base_of(wanted) == base else base


def converted(value: float, unit: str) -> float:
    """Give a value in its base unit as a value in `unit`; as it is when the unit is unknown."""
    known = UNITS.get(unit.strip().upper())
    return value * known.factor + known.offset if known else value
