"""Raw register values that mean "no value": those that a connection names, and a rule for all others. No I/O.

            int16                 uint16          uint64                    float32
no value    0x8000 0x7FFF         0xFFFF          all ones, and the         NaN, infinity,
            (all ones, where                      extremes of int64         +-3.4028235e38
            negative is impossible)

The rule covers measurements: quantities whose name ends in a unit (power_kw, energy_kwh, voltage_l1_v).
A state such as charging_state, a bit or a masked word may use every pattern. `nan: false` switches it off.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from venclient.connectors.mistakes import shown
from venclient.connectors.units import unit_of
from venclient.messages import modbus as mod
from venclient.model.reading import ENERGY_EXPORT_KWH, ENERGY_KWH

if TYPE_CHECKING:
    from venclient.connectors.registers import Register

#: The largest finite number of each floating point type; devices send it, with either sign, for "no value".
_LARGEST_FLOAT: Mapping[str, float] = MappingProxyType(
    {"float16": 65504.0, "float32": 3.4028234663852886e38, "float64": 1.7976931348623157e308}
)
#: Units of quantities that are never negative: all ones (-1) means "no value" in a signed type too.
_NEVER_NEGATIVE_UNITS = frozenset({"%", "Hz"})
_COUNTERS = frozenset({ENERGY_KWH, ENERGY_EXPORT_KWH})


def bits_of(register: Register) -> int:
    """Return how many bits a value takes."""
    return 8 if register.type in ("int8", "uint8") else 16 * register.words


def no_values(register: Register) -> frozenset[Any]:
    """Return the raw values that mean "no value", as `struct` unpacks them; ValueError for a wrong `nan`.

    They are those of the register's `nan`, and those of the rule for its type and quantity. A NaN or an
    infinity is none of them: no float that is not finite is a value.
    """
    return _named(register) | _by_rule(register)


def open_range(register: Register) -> tuple[float, float] | None:
    """Return the bounds between which (both excluded) every raw value counts, None where a set is needed."""
    marks = no_values(register)
    if register.type.startswith("float"):
        largest = _LARGEST_FLOAT[register.type]
        return {frozenset({-largest, largest}): (-largest, largest), frozenset(): (-math.inf, math.inf)}.get(
            marks
        )
    if not register.type.startswith(("int", "uint")):
        return None
    low, high = _extremes(register)
    known: dict[frozenset[Any], tuple[float, float]] = {
        frozenset(): (-math.inf, math.inf),
        frozenset({low, high}): (low, high),
    }
    if low == 0:
        known[frozenset({high})] = (-1, high)
        del known[frozenset({low, high})]
    return known.get(marks)


def is_measurement(register: Register) -> bool:
    """Return whether a register holds a quantity with a unit, and not a state, a bit or a part of a word."""
    whole = register.mask is None and not register.shift and register.type not in ("bool", "string")
    return whole and unit_of(register.quantity) is not None


def _extremes(register: Register) -> tuple[int, int]:
    bits = bits_of(register)
    if register.type.startswith("u"):
        return 0, (1 << bits) - 1
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def _by_rule(register: Register) -> frozenset[Any]:
    kind = register.type
    if register.nan is not False and kind.startswith("float"):
        return frozenset({-_LARGEST_FLOAT[kind], _LARGEST_FLOAT[kind]})
    if register.nan is False or not is_measurement(register):
        return frozenset()
    if kind.startswith("mod10k"):
        return frozenset({b"\xff" * (2 * register.words)})
    low, high = _extremes(register)
    if low == 0:
        # No counter comes as far as half of 64 bits, and devices are known to send that half.
        return frozenset({high, high >> 1, (high >> 1) + 1} if kind == "uint64" else {high})
    negative = register.quantity not in _COUNTERS and unit_of(register.quantity) not in _NEVER_NEGATIVE_UNITS
    return frozenset({low, high} if negative else {low, high, -1})


# What a connection names


_USUAL: Mapping[str, tuple[object, ...]] = MappingProxyType(
    {
        **{f"int{bits}": (-(1 << (bits - 1)),) for bits in (8, 16, 32, 64)},
        **{f"uint{bits}": ((1 << bits) - 1,) for bits in (8, 16, 32, 64)},
        # A NaN of IEEE needs no mark. Digits of base 10,000 show by themselves whether they make a number.
        "float32": (-_LARGEST_FLOAT["float32"], _LARGEST_FLOAT["float32"]),
    }
)


def _named(register: Register) -> frozenset[Any]:
    """Return the values of `nan`.

    A whole number or a text such as "0x8000" is a bit pattern; for floats, a number is the value itself.
    """
    nan = register.nan
    if nan is None or nan is False:
        return frozenset()
    if nan is True:
        return frozenset(_USUAL.get(register.type, ()))
    given = nan if isinstance(nan, list) else [nan]
    return frozenset(_pattern(register, one) for one in given)


def _pattern(register: Register, one: float | str) -> object:
    is_float = register.type.startswith("float")
    if is_float and not isinstance(one, str):
        return float(one)
    try:
        number = int(one, 0) if isinstance(one, str) else one
    except ValueError:
        number = 0.5
    if number != int(number):
        raise ValueError(mod.NAN_NUMBER(nan=shown(one)))
    bits = bits_of(register)
    if not -(1 << (bits - 1)) <= number < 1 << bits:
        raise ValueError(mod.NAN_RANGE(nan=shown(one), type=register.type))
    raw = (int(number) % (1 << bits)).to_bytes(bits // 8, "big")
    return struct.unpack(f">{register.letter}", raw)[0]
