"""Units: from what a meter says to the unit in a quantity's name (W to power_kw, Wh to energy_kwh)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

from venclient.connectors.mistakes import shown
from venclient.messages import connectors as con
from venclient.messages import text_of

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_IN_BRACKETS = re.compile(r"[(\[<]\s*([^()\[\]<>\s]{1,8})\s*[)\]>]\s*$")
_BEHIND = re.compile(r"[\s_,/-]([A-Za-z]{1,5})\s*$")

_Row = Mapping[str, tuple[int | str, int | str]]

#: What each unit is in the first unit of its row: (factor, shift), value * factor + shift.
_UNITS: tuple[_Row, ...] = (
    {"W": (1, 0), "kW": (1000, 0), "MW": (10**6, 0), "GW": (10**9, 0)},
    {
        "Wh": (1, 0),
        "kWh": (1000, 0),
        "MWh": (10**6, 0),
        "GWh": (10**9, 0),
        "Wmin": ("1/60", 0),
        "W-min": ("1/60", 0),
        "Ws": ("1/3600", 0),
        "J": ("1/3600", 0),
        "kJ": ("10/36", 0),
        "MJ": ("10000/36", 0),
        "GJ": ("10000000/36", 0),
    },
    {"%": (1, 0), "percent": (1, 0), "ratio": (100, 0), "1": (100, 0)},
    {"V": (1, 0), "mV": ("1/1000", 0), "kV": (1000, 0)},
    {"A": (1, 0), "mA": ("1/1000", 0), "kA": (1000, 0)},
    {"var": (1, 0), "kvar": (1000, 0), "Mvar": (10**6, 0)},
    {"varh": (1, 0), "kvarh": (1000, 0)},
    {"VA": (1, 0), "kVA": (1000, 0), "MVA": (10**6, 0)},
    {"Hz": (1, 0), "mHz": ("1/1000", 0)},
    {"C": (1, 0), "°C": (1, 0), "K": (1, "-273.15"), "F": ("5/9", "-160/9"), "°F": ("5/9", "-160/9")},
    {"m3": (1, 0), "m³": (1, 0), "l": ("1/1000", 0), "dm3": ("1/1000", 0)},
)

#: The last part of a quantity's name, and the unit that it stands for.
_SUFFIXES: Mapping[str, str] = MappingProxyType(
    {
        "kw": "kW",
        "w": "W",
        "kwh": "kWh",
        "wh": "Wh",
        "mwh": "MWh",
        "mj": "MJ",
        "gj": "GJ",
        "percent": "%",
        "v": "V",
        "a": "A",
        "kvar": "kvar",
        "kvarh": "kvarh",
        "kva": "kVA",
        "hz": "Hz",
        "c": "C",
        "m3": "m3",
    }
)


@dataclass(frozen=True)
class Scaling:
    """Turns a raw number into the quantity's unit: (raw * scale + offset) * multiply / divide + shift."""

    scale: float
    offset: float
    multiply: float
    divide: float
    shift: float

    def apply(self, raw: float) -> float:
        """Return the value in the quantity's unit; ValueError when it is too large for a number."""
        value = (raw * self.scale + self.offset) * self.multiply / self.divide + self.shift
        if not math.isfinite(value):
            raise ValueError(con.OUT_OF_RANGE(value=shown(raw)))
        return value


def unit_named(column: str) -> str | None:
    """Return the unit of power, energy or another size that the name of a column ends with, None without one.

    In brackets (`Power (W)`, `U [V]`) it is any known unit; behind a space or underscore (`power_w`) one of
    power or energy.
    """
    in_brackets, behind = _IN_BRACKETS.search(column), _BEHIND.search(column)
    if in_brackets is not None:
        word, rows = in_brackets[1], _UNITS
    elif behind is not None:
        word, rows = behind[1], (*_UNITS[:2], *_UNITS[5:8])
    else:
        return None
    exact = (word for row in rows if word in row)
    folded = (known for row in rows for known in row if known.casefold() == word.casefold())
    return next(exact, None) or next(folded, None)


def unit_of(quantity: str) -> str | None:
    """Return the unit that a quantity's name ends with, if it is a known one: kW of power_kw."""
    return _SUFFIXES.get(quantity.rpartition("_")[2])


def is_unit_of(quantity: str, unit: str) -> bool:
    """Return whether a unit is one of a quantity."""
    row = next((row for row in _UNITS if unit_of(quantity) in row), {})
    return _spelling(unit, row) is not None


def scaling_for(quantity: str, unit: str, scale: float, offset: float) -> Scaling:
    """Return how numbers in `unit` ("" is the quantity's own) become `quantity`; ValueError says why not."""
    wanted = _SUFFIXES.get(quantity.rpartition("_")[2])
    if not unit:
        return Scaling(scale, offset, 1.0, 1.0, 0.0)
    if wanted is None:
        raise ValueError(con.UNIT_SUFFIX(unit=shown(unit), quantity=shown(quantity)))
    row = next(row for row in _UNITS if wanted in row)
    known = _spelling(unit, row)
    if known is None:
        raise ValueError(con.UNIT(unit=shown(unit), quantity=quantity, units=list(row)))
    # Fractions make 56 W the same number as 0.056 kW.
    factor, shift = map(Fraction, row[known])
    wanted_factor, wanted_shift = map(Fraction, row[wanted])
    ratio = factor / wanted_factor
    return Scaling(
        scale,
        offset,
        float(ratio.numerator),
        float(ratio.denominator),
        float((shift - wanted_shift) / wanted_factor),
    )


def value_mistakes(quantity: str, unit: str, scale: float, offset: float) -> list[str]:
    """Return one sentence per mistake in the description of one value."""
    found: list[str] = []
    if not _NAME.fullmatch(quantity):
        found.append(con.QUANTITY_NAME(quantity=shown(quantity)))
    if not math.isfinite(scale) or scale == 0:
        found.append(con.SCALE(scale=shown(scale)))
    if not math.isfinite(offset):
        found.append(con.OFFSET(offset=shown(offset)))
    try:
        scaling_for(quantity, unit, scale, offset)
    except ValueError as error:
        found.append(text_of(error))
    return found


def repeated_quantities(quantities: list[str]) -> list[str]:
    """Return one sentence for each quantity that is described more than once."""
    twice = sorted({name for name in quantities if quantities.count(name) > 1})
    return [con.QUANTITY_TWICE(quantity=shown(name)) for name in twice]


def _spelling(unit: str, row: Mapping[str, object]) -> str | None:
    if unit in row:
        return unit
    # KWH and kw are harmless; mW and MW are a factor of a billion apart, so these count as written.
    folded = [known for known in row if known.casefold() == unit.casefold() and known[:1] not in "mM"]
    return folded[0] if folded else None
