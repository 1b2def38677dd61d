"""From readings to what a resource did in an interval: pure, one definition for every store and every grid.

Energy comes from the first of these that vouches for the whole interval, else from the one that
vouches for most of it:

    register   what the counters ran up, import minus export
    interval   readings that are themselves the energy of the time before their stamp
    power      samples joined by straight lines

Each becomes a row of segments with the power in between; an interval takes its share of them:

    readings      o-----o-----o                 o-----o
    segments      [--1--][--2-][...gap: none...][--3--]
    interval             |<------------------------>|
    vouched for          ======                 ====        coverage = the double lines' share

A gap in power is not filled. A gap in a register is known as a whole, so an interval that holds all
of it has all its energy; one that holds a part of it has none of it. Straight lines, not steps, join
power samples: over a regular poll the two give the same total but for the ends, and lines follow ramps.
The newest reading holds for one usual spacing beyond itself: a report made before the next one comes is
not short by it. That is known, but not vouched for. Nothing else is filled in: `energy_kwh` is
never blown up to the whole interval, `mean_kw` is the mean over the known time, `coverage` says the rest.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from venclient.model.quality import NO_RULES, MeterRules
from venclient.model.reading import (
    ENERGY_EXPORT_KWH,
    ENERGY_KWH,
    INTERVAL_ENERGY_KWH,
    POWER_KW,
    UNUSED,
    Measure,
    Quality,
    Reading,
)
from venclient.readings.counters import USUAL_COUNTER, Point
from venclient.readings.curves import (
    Curve,
    Part,
    interval_curve,
    points_of,
    power_curve,
    register_curve,
)

GOOD_COVERAGE = 0.99

#: Below this share of the largest power, a negative sample is noise of a meter at rest.
FEED_IN_SHARE = 0.01

Source = Literal["register", "interval", "power", "none"]


class _Candidate(NamedTuple):
    source: Source
    part: Part


def measure(
    resource_id: str,
    series: Mapping[str, Sequence[Reading]],
    start: datetime,
    end: datetime,
    *,
    max_gap_s: float | None = None,
    rules: MeterRules = NO_RULES,
) -> Measure:
    """Return what the resource did in [start, end), made of its readings by quantity.

    See `rollup`, which does the same for many intervals at once.
    """
    return rollup(resource_id, series, [(start, end)], max_gap_s=max_gap_s, rules=rules)[0]


def rollup(
    resource_id: str,
    series: Mapping[str, Sequence[Reading]],
    grid: Sequence[tuple[datetime, datetime]],
    *,
    max_gap_s: float | None = None,
    rules: MeterRules = NO_RULES,
) -> list[Measure]:
    """Return one Measure per interval [start, end) of the grid, in its order.

    `series` should reach a reading beyond each edge, and a few more to show the usual spacing; they
    may be in any order and repeat (the later of two at one time wins). Readings longer apart than
    `max_gap_s` are not joined; not given, it is three times the median spacing, between 60 s and two
    hours, and 60 s with too few readings. `rules` say how its registers count, and how
    much can go through the meter.
    """
    readings = _Prepared(series, max_gap_s, rules)
    return [readings.measure(resource_id, start, end) for start, end in grid]


class _Prepared:
    """One resource's readings, put in order and turned into curves once for all intervals."""

    def __init__(
        self, series: Mapping[str, Sequence[Reading]], max_gap_s: float | None, rules: MeterRules
    ) -> None:
        points = {quantity: points_of(readings) for quantity, readings in series.items()}
        self.power: list[Point] = points.get(POWER_KW, [])
        self.power_times = [point.time_s for point in self.power]
        self.curves: dict[str, Curve] = {
            quantity: make(points[quantity], max_gap_s)
            for quantity, make in ((INTERVAL_ENERGY_KWH, interval_curve), (POWER_KW, power_curve))
            if points.get(quantity)
        }
        for quantity in (ENERGY_KWH, ENERGY_EXPORT_KWH):
            if points.get(quantity):
                counter = rules.counters.get(quantity, USUAL_COUNTER)
                self.curves[quantity] = register_curve(points[quantity], max_gap_s, counter, rules.most_kw)
        self.ordered: dict[str, tuple[list[datetime], list[Reading]]] = {}
        for quantity, readings in series.items():
            known = sorted((one for one in readings if one.quality not in UNUSED), key=lambda one: one.time)
            self.ordered[quantity] = ([one.time for one in known], known)

    def measure(self, resource_id: str, start: datetime, end: datetime) -> Measure:
        start_s, end_s = start.timestamp(), end.timestamp()
        length_s = end_s - start_s
        last = self._last(end)
        if length_s <= 0:
            return Measure(resource_id=resource_id, start=start, end=end, last=last)
        first, beyond = (self._power_index(edge) for edge in (start_s, end_s))
        samples = [point.value for point in self.power[first:beyond]]
        chosen = self._choose(start_s, end_s, samples)
        peak_kw = max(samples, default=None)
        if chosen is None:
            return Measure(
                resource_id=resource_id,
                start=start,
                end=end,
                mean_kw=sum(samples) / len(samples) if samples else None,
                peak_kw=peak_kw,
                quality=Quality.ESTIMATED if samples else Quality.MISSING,
                last=last,
            )
        source, part = chosen
        coverage = min(1.0, part.vouched_s / length_s)
        good = coverage >= GOOD_COVERAGE and not part.estimated
        return Measure(
            resource_id=resource_id,
            start=start,
            end=end,
            energy_kwh=part.kwh,
            mean_kw=part.kwh * 3600 / part.known_s,
            peak_kw=peak_kw,
            coverage=coverage,
            source=source,
            quality=Quality.GOOD if good else Quality.ESTIMATED,
            last=last,
        )

    def _power_index(self, edge_s: float) -> int:
        """Return the number of power samples before the edge; one on the edge belongs to what follows."""
        return bisect_left(self.power_times, edge_s)

    def _choose(self, start_s: float, end_s: float, samples: list[float]) -> _Candidate | None:
        candidates = [
            candidate
            for candidate in (
                self._registers(start_s, end_s, samples),
                self._part("interval", INTERVAL_ENERGY_KWH, start_s, end_s),
                self._part("power", POWER_KW, start_s, end_s),
            )
            if candidate is not None
        ]
        enough_s = GOOD_COVERAGE * (end_s - start_s)
        for candidate in candidates:
            if candidate.part.vouched_s >= enough_s:
                return candidate
        return max(candidates, key=lambda one: one.part.known_s, default=None)

    def _part(self, source: Source, quantity: str, start_s: float, end_s: float) -> _Candidate | None:
        curve = self.curves.get(quantity)
        part = curve.between(start_s, end_s) if curve else None
        return _Candidate(source, part) if part and part.known_s > 0 else None

    def _registers(self, start_s: float, end_s: float, samples: list[float]) -> _Candidate | None:
        drawn = self._part("register", ENERGY_KWH, start_s, end_s)
        if ENERGY_EXPORT_KWH not in self.curves:
            # An import register alone knows nothing of feed-in: leave that to the power samples.
            largest = max(map(abs, samples), default=0.0)
            return None if min(samples, default=0.0) < -FEED_IN_SHARE * largest else drawn
        fed_in = self._part("register", ENERGY_EXPORT_KWH, start_s, end_s)
        if fed_in is None or (drawn is None and ENERGY_KWH in self.curves):
            return None
        if drawn is None:
            return _Candidate("register", fed_in.part._replace(kwh=-fed_in.part.kwh))
        return _Candidate("register", drawn.part.minus(fed_in.part))

    def _last(self, end: datetime) -> dict[str, Reading]:
        newest = {}
        for quantity, (times, readings) in self.ordered.items():
            index = bisect_right(times, end)
            if index:
                newest[quantity] = readings[index - 1]
        return newest
