"""Quarters: what one series did in each 15 minutes of UTC; pure. Kept for years, when readings are gone.

The numbers come from the same curves as reports do (`rollup.py`), by the same rules, one series at a time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from venclient.model.quality import NO_RULES, MeterRules
from venclient.model.reading import QUANTITIES, Reading
from venclient.readings.counters import USUAL_COUNTER, Point
from venclient.readings.curves import Curve, interval_curve, points_of, power_curve, register_curve

QUARTER_S = 900
QUARTER_MS = 1000 * QUARTER_S


class Quarter(NamedTuple):
    """What one series did in one quarter of an hour, which begins `number` quarters after 1970.

    `value` is a gauge's mean over time, or the energy in kWh of a register or of interval readings; None
    when nothing is known. `share` (0..1) of the quarter is vouched for by readings. `low`, `high` and
    `last` are of the `readings` inside that can be trusted.
    """

    number: int
    readings: int
    value: float | None
    share: float
    low: float | None
    high: float | None
    last: float | None


def quarters(
    quantity: str, readings: Sequence[Reading], first: int, last: int, rules: MeterRules = NO_RULES
) -> Iterator[Quarter]:
    """Yield the quarters first..last (numbers since 1970) of which something is known.

    The readings are one series', and should reach a little beyond both ends: by two hours where a counter
    is brought up to date once an hour. `rules` say how the meter's registers count.
    """
    points = points_of(readings)
    if not points:
        return
    kind = QUANTITIES.get(quantity, "gauge")
    curve = _curve(quantity, points, rules)
    times = [point.time_s for point in points]
    for number in range(first, last + 1):
        start_s, end_s = number * QUARTER_S, (number + 1) * QUARTER_S
        inside = [point.value for point in points[bisect_left(times, start_s) : bisect_left(times, end_s)]]
        part = curve.between(start_s, end_s)
        if not inside and part.known_s <= 0:
            continue
        value: float | None = None
        if part.known_s > 0:
            value = part.kwh * 3600 / part.known_s if kind == "gauge" else part.kwh
        elif kind == "gauge":
            value = sum(inside) / len(inside)
        yield Quarter(
            number,
            len(inside),
            value,
            min(1.0, part.vouched_s / QUARTER_S),
            min(inside, default=None),
            max(inside, default=None),
            inside[-1] if inside else None,
        )


def _curve(quantity: str, points: Sequence[Point], rules: MeterRules) -> Curve:
    kind = QUANTITIES.get(quantity, "gauge")
    if kind == "register":
        return register_curve(points, None, rules.counters.get(quantity, USUAL_COUNTER), rules.most_kw)
    return (interval_curve if kind == "interval" else power_curve)(points, None)
