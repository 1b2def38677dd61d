"""Units of reports: what each is in the site's units, and which quantity a reading in it shows."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from venclient.model.reading import ENERGY_KWH, POWER_KW, SOC_PERCENT

KWH: Final = "KWH"
KW: Final = "KW"
PERCENT: Final = "PERCENT"

#: 100,000 BTU (of the International Table), as the standard defines a therm.
KWH_PER_THERM: Final = 100_000 * 1055.05585262 / 3.6e6


class Unit(NamedTuple):
    """A unit as `value in base * factor + offset`; units convert when their bases are the same."""

    base: str
    factor: float
    offset: float = 0.0


#: The names of the standard, and of the quantities and units that it has not but allows as private strings.
UNITS: Mapping[str, Unit] = MappingProxyType(
    {
        KWH: Unit(KWH, 1.0),
        "WH": Unit(KWH, 1000.0),
        "MWH": Unit(KWH, 0.001),
        "GWH": Unit(KWH, 1e-6),
        "MJ": Unit(KWH, 3.6),
        "GJ": Unit(KWH, 0.0036),
        "THERMS": Unit(KWH, 1 / KWH_PER_THERM),
        KW: Unit(KW, 1.0),
        "W": Unit(KW, 1000.0),
        "MW": Unit(KW, 0.001),
        "GW": Unit(KW, 1e-6),
        "KVA": Unit("KVA", 1.0),
        "VA": Unit("KVA", 1000.0),
        "MVA": Unit("KVA", 0.001),
        "KVAR": Unit("KVAR", 1.0),
        "VAR": Unit("KVAR", 1000.0),
        "MVAR": Unit("KVAR", 0.001),
        "KVAH": Unit("KVAH", 1.0),
        "VAH": Unit("KVAH", 1000.0),
        "KVARH": Unit("KVARH", 1.0),
        "VARH": Unit("KVARH", 1000.0),
        "VOLTS": Unit("VOLTS", 1.0),
        "VOLTAGE": Unit("VOLTS", 1.0),  # as the User Guide's own example has it
        "KV": Unit("VOLTS", 0.001),
        "AMPS": Unit("AMPS", 1.0),
        "MILLIAMPS": Unit("AMPS", 1000.0),
        "CELSIUS": Unit("CELSIUS", 1.0),
        "CELCIUS": Unit("CELSIUS", 1.0),  # as OpenLEADR spelt it
        "FAHRENHEIT": Unit("CELSIUS", 1.8, 32.0),
        "KELVIN": Unit("CELSIUS", 1.0, 273.15),
        "GHG": Unit("GHG", 1.0),
        "HZ": Unit("HZ", 1.0),
        PERCENT: Unit(PERCENT, 1.0),
        "PERCENTAGE": Unit(PERCENT, 1.0),
    }
)

#: Which quantity of the readings a READING in this base unit shows.
QUANTITY_OF_BASE: Mapping[str, str] = MappingProxyType(
    {
        KWH: ENERGY_KWH,
        KW: POWER_KW,
        "KVA": "apparent_power_kva",
        "KVAR": "reactive_power_kvar",
        "KVAH": "apparent_energy_kvah",
        "KVARH": "reactive_energy_kvarh",
        "VOLTS": "voltage_v",
        "AMPS": "current_a",
        "CELSIUS": "temperature_c",
        "GHG": "emissions_g_per_kwh",
        "HZ": "frequency_hz",
        PERCENT: SOC_PERCENT,
    }
)

#: Bases of which a sum over several resources means something.
SUMMABLE = frozenset({KWH, KW, "KVAR", "KVAH", "KVARH"})


def base_of(unit: str | None) -> str | None:
    """Return the base unit that `unit` converts to; None for no unit and for unknown ones."""
    known = UNITS.get(unit.strip().upper()) if unit else None
    return known.base if known else None


def declared(base: str, wanted: str | None) -> str:
    """Return the unit to report in: the wanted one as written where `base` converts to it, else `base`."""
    return wanted if wanted and base_of(wanted) == base else base


def converted(value: float, unit: str) -> float:
    """Return a value in its base unit as a value in `unit`; as it is when the unit is unknown."""
    known = UNITS.get(unit.strip().upper())
    return value * known.factor + known.offset if known else value


def in_base(value: float, unit: str | None) -> float:
    """Return a value in `unit` as a value in its base unit; as it is when the unit is unknown."""
    known = UNITS.get(unit.strip().upper()) if unit else None
    return (value - known.offset) / known.factor if known else value


def conversion(unit: str | None) -> tuple[float, float]:
    """Return what a value in its base unit is multiplied with, and then added to, for a value in `unit`."""
    known = UNITS.get(unit.strip().upper()) if unit else None
    return (known.factor, known.offset) if known else (1.0, 0.0)
