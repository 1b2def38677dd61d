"""Which values of a quantity can be meant at all; pure, over the columns of one series.

    power        within five times the entered capacity, else within 10 MW
    voltage, frequency, state of charge, temperature, current, power factor: their natural range
    energy       not more than the power allows in the time since the value before
    any          not the largest or smallest number of a 32- or 64-bit type, which stands for "no value"

A connection's own `range` replaces the natural one, side by side. Zero is always possible for what is now:
a device that is off shows it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from venclient.model.quality import MOST_KW, MeterRules, QuantityRules, Range
from venclient.model.reading import QUANTITIES, Kind

#: Natural ranges by what a quantity's name contains and how it ends; the first that fits counts.
NATURAL: tuple[tuple[str, str, Range], ...] = (
    ("soc", "_percent", Range(min=-0.5, max=100.5)),
    ("state_of_charge", "_percent", Range(min=-0.5, max=100.5)),
    ("charge_level", "_percent", Range(min=-0.5, max=100.5)),
    ("humidity", "_percent", Range(min=-0.5, max=100.5)),
    ("power_factor", "", Range(min=-1.01, max=1.01)),
    ("cos_phi", "", Range(min=-1.01, max=1.01)),
    ("voltage", "_v", Range(min=-0.5, max=1500)),
    ("frequency", "_hz", Range(min=45, max=65)),
    ("temperature", "_c", Range(min=-60, max=200)),
    ("current", "_a", Range(min=-20_000, max=20_000)),
    ("", "_kw", Range(min=-MOST_KW, max=MOST_KW)),
    ("", "_w", Range(min=-MOST_KW * 1000, max=MOST_KW * 1000)),
    ("", "_kva", Range(min=-MOST_KW, max=MOST_KW)),
    ("", "_kvar", Range(min=-MOST_KW, max=MOST_KW)),
)
#: Quantities of the whole connection, which its capacity bounds; others, such as heat, it does not.
_OF_THE_GRID = frozenset(
    name for name, kind in QUANTITIES.items() if kind == "gauge" and name.endswith(("_kw", "_kvar"))
)
_CURRENTS = frozenset(name for name in QUANTITIES if name.startswith("current_"))
#: In A for each kW: all of it on one phase of 230 V, or of a battery of 48 V.
_PHASE_AMPERE_PER_KW = 1000 / 230
_AMPERE_PER_KW = 1000 / 48

#: No register of a site counts more: 10 MW for a century, in kWh.
MOST_REGISTER_KWH = MOST_KW * 24 * 365 * 100
#: An interval's energy is that of at least a quarter of an hour and at most a day.
_LEAST_SPAN_MS = 900_000
_MOST_SPAN_MS = 86_400_000

_EXTREMES = (2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1)
#: Type extremes are scaled by up to this power of ten.
_DIGITS = 5
#: All of them, scaled, in order.
_SCALED = sorted({extreme / 10**digits for extreme in _EXTREMES for digits in range(_DIGITS + 1)})
#: How near to one of them, in parts of it, a value is taken for it; and from where on it surely is not.
_SAME = 1e-12
_APART = 1e-10
#: The largest float32, and what exceeds it.
_FLOAT_EXTREME = 3.4e38


class Possible(NamedTuple):
    """The values of one series that can be meant, ends included; `zero` is possible whatever the ends."""

    low: float
    high: float
    zero: bool
    kind: Kind
    #: For energies of intervals: the power that bounds them, in kW.
    limit_kw: float

    def holds(self, value: float) -> bool:
        """Return True if a value can be meant."""
        if self.low <= value <= self.high or (self.zero and value == 0):
            return not is_extreme(value)
        return False


def possible(quantity: str, rules: QuantityRules, meter: MeterRules) -> Possible:
    """Return which values of a quantity can be meant, by its name, its rules and the site's capacity."""
    kind = QUANTITIES.get(quantity, "gauge")
    low, high = _natural(quantity, kind, meter)
    zero = kind == "gauge"
    if rules.range is not None:
        low = low if rules.range.min == -math.inf else rules.range.min
        high = high if rules.range.max == math.inf else rules.range.max
        zero = False if rules.range.min > 0 or rules.range.max < 0 else zero
    return Possible(low, high, zero, kind, meter.limit_kw)


def _natural(quantity: str, kind: Kind, meter: MeterRules) -> tuple[float, float]:
    if kind == "register":
        return -MOST_REGISTER_KWH, MOST_REGISTER_KWH
    if kind == "interval":
        return -math.inf, math.inf
    if quantity in _OF_THE_GRID:
        return -meter.limit_kw, meter.limit_kw
    name = quantity.lower()
    for part, end, natural in NATURAL:
        if part in name and name.endswith(end):
            high = natural.max
            if quantity in _CURRENTS and meter.entered:
                each = _AMPERE_PER_KW if quantity == "current_a" else _PHASE_AMPERE_PER_KW
                high = min(meter.limit_kw * each, high)
            return max(natural.min, -high), high
    return -math.inf, math.inf


def is_extreme(value: float) -> bool:
    """Return True for the largest or smallest number of a 32- or 64-bit type, scaled by a power of ten."""
    size = abs(value)
    if size >= _FLOAT_EXTREME:
        return True
    at = bisect_left(_SCALED, size)
    nearest = _SCALED[max(at - 1, 0) : at + 1]
    return any(abs(size - extreme) <= extreme * _SAME for extreme in nearest)


def clear_ends(span: Possible, value: float) -> tuple[float, float]:
    """Return the ends, included, of a range around a value in which all values are possible.

    For energies of intervals it has those that are possible however short the interval was.
    """
    size = abs(value)
    at = bisect_left(_SCALED, size)
    above = _SCALED[at] * (1 - _APART) if at < len(_SCALED) else _FLOAT_EXTREME * (1 - _APART)
    below = _SCALED[at - 1] * (1 + _APART) if at else -above
    if not below <= size <= above:
        return math.inf, -math.inf
    low, high = (below, above) if value >= 0 else (-above, -below)
    if span.kind == "interval":
        most_kwh = span.limit_kw * (_LEAST_SPAN_MS / 3_600_000)
        low, high = max(low, -most_kwh), min(high, most_kwh)
    return max(low, span.low), min(high, span.high)


def impossible(
    times_ms: Sequence[int], values: Sequence[float], span: Possible, before_ms: int | None = None
) -> list[bool]:
    """Return for each value of a series whether it cannot be meant.

    `before_ms` is the time of the value before the first one; energies of intervals are held against the
    power of the time that they can be of.
    """
    if span.kind != "interval":
        return [not span.holds(value) for value in values]
    found = []
    for ms, value in zip(times_ms, values, strict=True):
        length_ms = _MOST_SPAN_MS if before_ms is None else ms - before_ms
        hours = min(max(length_ms, _LEAST_SPAN_MS), _MOST_SPAN_MS) / 3_600_000
        found.append(not span.holds(value) or abs(value) > span.limit_kw * hours)
        before_ms = ms
    return found
