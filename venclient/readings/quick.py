"""The roll-up of what needs no judgement: series without gaps, glitches or doubtful values; pure, and fast.

Nearly every interval of nearly every meter is like that. The result is that of `rollup` for the same
samples, to the last digits of a float; where anything might need a closer look it is None, and the caller
uses `rollup`. It works on the numbers as stores hold them.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from operator import add, mul, sub
from statistics import median
from typing import Literal, NamedTuple

from venclient.model.quality import NO_RULES, MeterRules
from venclient.model.reading import (
    ENERGY_EXPORT_KWH,
    ENERGY_KWH,
    INTERVAL_ENERGY_KWH,
    POWER_KW,
    Measure,
    Quality,
    Reading,
)
from venclient.readings.counters import LEAST_SPAN_S, SMALL_METER_KW, USUAL_COUNTER
from venclient.readings.curves import GAP_CEILING_S, GAP_FLOOR_S, GAP_SPACINGS
from venclient.readings.rollup import FEED_IN_SHARE
from venclient.readings.series import EPOCH
from venclient.readings.track import Track

#: With fewer values the usual spacing is not known.
LEAST_VALUES = 4

_MS = timedelta(milliseconds=1)
_COUNTED = frozenset({ENERGY_KWH, ENERGY_EXPORT_KWH, POWER_KW})


def _at(track: Track, ms: float) -> float:
    """Return the value at a moment within a track, on the straight line between its neighbours."""
    times, values = track.times, track.values
    index = bisect_right(times, ms) - 1
    if index + 1 >= len(times):
        return values[-1]
    begin, end = times[index], times[index + 1]
    return values[index] + (values[index + 1] - values[index]) * (ms - begin) / (end - begin)


def _area(track: Track, start_ms: float, end_ms: float) -> float:
    """Return a value's integral over time, in its unit times hours."""
    first, beyond = bisect_right(track.times, start_ms), bisect_left(track.times, end_ms)
    times = [start_ms, *track.times[first:beyond], end_ms]
    values = [_at(track, start_ms), *track.values[first:beyond], _at(track, end_ms)]
    doubled: float = sum(map(mul, map(add, values, values[1:]), map(sub, times[1:], times)))
    return doubled / 2 / 3_600_000


class Cell(NamedTuple):
    """One interval [start, end) of a grid, and the same in milliseconds since 1970."""

    start: datetime
    end: datetime
    start_ms: float
    end_ms: float


def cells_of(grid: Sequence[tuple[datetime, datetime]]) -> list[Cell]:
    """Return the intervals of a grid."""
    return [Cell(start, end, (start - EPOCH) / _MS, (end - EPOCH) / _MS) for start, end in grid]


def quick_measures(
    resource_id: str,
    series: Mapping[str, Track],
    grid: Sequence[Cell],
    *,
    max_gap_s: float | None = None,
    rules: MeterRules = NO_RULES,
) -> list[Measure | None]:
    """Return what the resource did in each [start, end) of the grid, None where that takes a closer look.

    `series` are tracks by quantity.
    """
    lines = {quantity: track for quantity, track in series.items() if track and quantity in _COUNTED}
    for quantity, track in lines.items():
        if not _is_sound(track, max_gap_s) or (
            quantity != POWER_KW and not _counts_up(quantity, track, rules)
        ):
            return [None] * len(grid)
    if not lines or series.get(INTERVAL_ENERGY_KWH):
        return [None] * len(grid)
    first_ms = max(line.times[0] for line in lines.values())
    last_ms = min(line.times[-1] for line in lines.values())
    found: list[Measure | None] = []
    for start, end, start_ms, end_ms in grid:
        within = first_ms <= start_ms < end_ms <= last_ms
        energy = _energy(lines, start_ms, end_ms) if within else None
        if energy is None or not math.isfinite(energy[0]):
            found.append(None)
            continue
        kwh, peak_kw, source = energy
        found.append(
            Measure(
                resource_id=resource_id,
                start=start,
                end=end,
                energy_kwh=kwh,
                mean_kw=kwh * 3_600_000 / (end_ms - start_ms),
                peak_kw=peak_kw,
                coverage=1.0,
                source=source,
                quality=Quality.GOOD,
                last=_last(resource_id, series, end_ms),
            )
        )
    return found


def _is_sound(track: Track, max_gap_s: float | None) -> bool:
    """Return whether samples can be trusted and are close enough to one another."""
    times = track.times
    if len(times) < LEAST_VALUES or track.doubtful:
        return False
    spacings: list[int] = list(map(sub, times[1:], times))
    if min(spacings) <= 0:
        return False
    longest_s = max(spacings) / 1000
    if max_gap_s is not None:
        return longest_s <= max_gap_s
    return longest_s <= GAP_FLOOR_S or (
        longest_s <= min(GAP_SPACINGS * median(spacings) / 1000, GAP_CEILING_S)
    )


def _counts_up(quantity: str, track: Track, rules: MeterRules) -> bool:
    """Return whether each step of a register is plausible for any meter."""
    counter = rules.counters.get(quantity, USUAL_COUNTER)
    if counter.hourly or len(track) < LEAST_VALUES:
        return False
    most_kw = SMALL_METER_KW if rules.most_kw is None else rules.most_kw
    if counter.max_kw is not None:
        most_kw = counter.max_kw
    if track.values[0] == 0 < track.values[-1]:
        return False  # a step from zero is judged by the usual steps
    steps: list[float] = list(map(sub, track.values[1:], track.values))
    return min(steps) >= 0 and max(steps) <= most_kw * LEAST_SPAN_S / 3600


def _energy(
    lines: Mapping[str, Track], start_ms: float, end_ms: float
) -> tuple[float, float | None, Literal["register", "power"]] | None:
    """Return the energy, the highest power, and the source of the energy."""
    drawn, fed_in, power = (lines.get(one) for one in (ENERGY_KWH, ENERGY_EXPORT_KWH, POWER_KW))
    inside: Sequence[float] = ()
    if power is not None:
        inside = power.values[bisect_left(power.times, start_ms) : bisect_left(power.times, end_ms)]
    peak_kw = max(inside, default=None)
    # An import register alone knows nothing of feed-in: leave that to the power samples.
    if fed_in is None and inside and min(inside) < -FEED_IN_SHARE * max(map(abs, inside)):
        drawn = None
    if drawn is None and fed_in is None:
        return None if power is None else (_area(power, start_ms, end_ms), peak_kw, "power")
    kwh = 0.0 if drawn is None else _at(drawn, end_ms) - _at(drawn, start_ms)
    kwh -= 0.0 if fed_in is None else _at(fed_in, end_ms) - _at(fed_in, start_ms)
    return kwh, peak_kw, "register"


def _last(resource_id: str, series: Mapping[str, Track], end_ms: float) -> dict[str, Reading]:
    return {
        quantity: reading
        for quantity, track in series.items()
        if (reading := track.last(resource_id, quantity, end_ms)) is not None
    }
