"""What a register in kWh counted from one value to the next: rollovers, resets, glitches, exchanged meters.

    1000  1001  1002  5000  5001     an exchanged meter: nothing can count 3998 kWh in ten seconds
    1000  1001  9999  1003           a glitch: the next value contradicts it
    1000  1001  0.5   1.5            a reset: what it shows now was counted since
    65534 65535 1     2              a rollover

How fast a meter can be is said by its options or follows from the resource's capacities; a register whose
usual steps are as fast is believed all the same, for capacities are often stated for less than was metered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from venclient.model.quality import Counter

USUAL_COUNTER = Counter()

#: How many wrong readings in a row are recognised as such when a register comes back to where it was.
GLITCH_READINGS = 8

#: Where 16- and 32-bit counters start again, with the scales that meters use (1 .. 0.001 kWh per count).
ROLLOVERS_KWH = tuple(2.0**bits / 10**digits for bits in (16, 32) for digits in (0, 1, 2, 3))
ROLLOVER_SHARE = 0.02

#: What no meter of a site counts, when nothing is known of it.
ANY_METER_KW = 100_000.0
#: What a small one does, when its steps are all that is known.
SMALL_METER_KW = 1_000.0
#: So many times the usual step is usual too: with capacities known, and without ...
USUAL_MARGIN = 10.0
WIDE_MARGIN = 100.0
#: ... once that many steps tell what is usual.
USUAL_STEPS = 3
#: Meters bring their registers up to date now and then, and messages come in bursts.
LEAST_SPAN_S = 60.0
#: How long the first value seen may have stood already, when it was seen more than once.
STOOD_S = 3600.0
HOUR_S = 3600.0


class Point(NamedTuple):
    """A value at a moment (seconds since 1970)."""

    time_s: float
    value: float
    estimated: bool


class Step(NamedTuple):
    """What was counted between two moments; `unknown` when that cannot be told."""

    start_s: float
    end_s: float
    kwh: float
    estimated: bool
    unknown: bool


class _Limit:
    """How much a meter can have counted."""

    def __init__(self, points: Sequence[Point], counter: Counter, most_kw: float | None) -> None:
        self.known = counter.max_kw is not None or most_kw is not None
        if counter.max_kw is not None:
            self.most_kw = counter.max_kw
        else:
            self.most_kw = self._from_steps(points, most_kw)
        #: What is allowed however short the time was.
        self.surely_kwh = self.most_kw * LEAST_SPAN_S / 3600

    @staticmethod
    def _from_steps(points: Sequence[Point], most_kw: float | None) -> float:
        rates = [
            kwh * 3600 / max(after.time_s - before.time_s, 1.0)
            for before, after in pairwise(points)
            if (kwh := after.value - before.value) > 0
        ]
        if len(rates) < USUAL_STEPS:
            return ANY_METER_KW if most_kw is None else most_kw
        margin = WIDE_MARGIN if most_kw is None else USUAL_MARGIN
        least_kw = SMALL_METER_KW if most_kw is None else most_kw
        return max(least_kw, min(ANY_METER_KW, margin * median(rates)))

    def allows(self, kwh: float, span_s: float) -> bool:
        """Give whether so much can have been counted in that time."""
        return 0 <= kwh <= self.most_kw * max(span_s, LEAST_SPAN_S) / 3600


def counted_steps(points: Sequence[Point], counter: Counter | None, most_kw: float | None) -> list[Step]:
    """Give what a register counted between its values, in time order; those that are wrong are left out.

    `most_kw` is the most that may be believed of the meter, None when nothing is known of it; `counter` is
    how it counts, where its options say that.
    """
    if not points:
        return []
    counter = counter or USUAL_COUNTER
    limit = _Limit(points, counter, most_kw)
    kept = _without_glitches(points, limit)
    fastest_kw = max((_kw(a, b) for (a, _), (b, _) in pairwise(kept)), default=0.0)
    steps = []
    changed_s = kept[0][0].time_s
    first_run = True
    for (before, _), (after, glitch) in pairwise(kept):
        kwh, broken, unknown = after.value - before.value, False, False
        if not 0 <= kwh <= limit.surely_kwh:
            span_s = after.time_s - changed_s
            if first_run and before.time_s > changed_s:
                span_s += STOOD_S
            kwh, broken, unknown = _counted(before, after, span_s, counter, limit, fastest_kw)
        estimated = glitch or broken or before.estimated or after.estimated
        steps.append(Step(before.time_s, after.time_s, kwh, estimated, unknown))
        if after.value != before.value:
            changed_s, first_run = after.time_s, False
    return steps


def hourly_points(points: Sequence[Point]) -> list[Point]:
    """Give a register's values at the moments when it was brought up to date, which it is once an hour.

    Values that repeat are no news: they tell of the hours in which nothing was counted, and no more.
    """
    kept: list[Point] = []
    runs = _runs(points)
    for number, run in enumerate(runs):
        # Since when the first value stands is not known.
        if number or len(points) == 1:
            kept.append(run[0])
        # An update that changed nothing cannot be seen; it was an hour before the one that did.
        until_s = runs[number + 1][0].time_s if number + 1 < len(runs) else run[-1].time_s
        if until_s - run[0].time_s > 1.5 * HOUR_S:
            still = [point for point in run[1:] if point.time_s <= until_s - HOUR_S]
            kept += still[-1:]
    return kept


def _runs(points: Sequence[Point]) -> list[list[Point]]:
    """Give the points in groups of the same value."""
    runs: list[list[Point]] = []
    for point in points:
        if runs and runs[-1][0].value == point.value:
            runs[-1].append(point)
        else:
            runs.append([point])
    return runs


def _kw(before: Point, after: Point) -> float:
    return (after.value - before.value) * 3600 / (after.time_s - before.time_s)


def _without_glitches(points: Sequence[Point], limit: _Limit) -> list[tuple[Point, bool]]:
    """Give the register's points without those that the following ones contradict.

    The flag says that something was left out just before.
    """
    kept: list[tuple[Point, bool]] = [(points[0], False)]
    glitch = False
    last = len(points) - 1
    index = 1
    while index < len(points):
        before, value = kept[-1][0], points[index].value
        # Nearly always so: a small step, and the next value does not contradict it.
        plain = (
            before.value <= value <= min(points[min(index + 1, last)].value, before.value + limit.surely_kwh)
        )
        skipped = 0 if plain else _wrong_run(before, points, index, limit)
        if skipped:
            glitch = True
            index += skipped
            continue
        kept.append((points[index], glitch))
        glitch = False
        index += 1
    return kept


def _wrong_run(before: Point, points: Sequence[Point], index: int, limit: _Limit) -> int:
    """Give how many values from `index` on are wrong, as those after them show."""
    return _low_run(before, points, index) or _high_run(before, points, index, limit)


def _high_run(before: Point, points: Sequence[Point], index: int, limit: _Limit) -> int:
    """Give how many values from `index` on are too high: the register is back, not below where it was.

    A single one need not be impossible, for a counter does not go down; several are a reset else.
    """
    point = points[index]
    if index + 1 < len(points) and before.value <= points[index + 1].value < point.value:
        return 1
    if limit.allows(point.value - before.value, STOOD_S) or point.value <= before.value:
        return 0
    for ahead in _ahead(points, index):
        back = points[ahead]
        if before.value <= back.value < point.value and limit.allows(
            back.value - before.value, back.time_s - before.time_s
        ):
            return ahead - index
    return 0


def _low_run(before: Point, points: Sequence[Point], index: int) -> int:
    """Give how many values from `index` on are too low: by one leap the register is back where it was.

    1000  0  0  1000.1      two glitches, 0.1 counted
    5     0  2  4  6        a reset: no leap brings it back
    """
    if points[index].value >= before.value:
        return 0
    for ahead in _ahead(points, index):
        if points[ahead].value >= before.value:
            leap = points[ahead].value - points[ahead - 1].value
            return ahead - index if points[ahead].value - before.value <= leap / 10 else 0
    return 0


def _ahead(points: Sequence[Point], index: int) -> Iterator[int]:
    return iter(range(index + 1, min(index + 1 + GLITCH_READINGS, len(points))))


def _counted(
    before: Point, after: Point, span_s: float, counter: Counter, limit: _Limit, fastest_kw: float
) -> tuple[float, bool, bool]:
    """Give the energy between two values in kWh, whether it was broken off, and whether it is unknown."""
    if after.value >= before.value:
        kwh = after.value - before.value
        return (kwh, False, False) if limit.allows(kwh, span_s) else (0.0, True, True)
    said = counter.rollover_kwh
    for rollover_kwh in ROLLOVERS_KWH if said is None else (said,):
        around = rollover_kwh - before.value + after.value
        likely = said is not None or around <= ROLLOVER_SHARE * rollover_kwh
        if before.value < rollover_kwh and likely and limit.allows(around, span_s):
            return around, True, False
    most_kw = limit.most_kw if limit.known else min(limit.most_kw, 2 * fastest_kw)
    if counter.reset and 0 <= after.value <= most_kw * span_s / 3600:
        return after.value, True, False
    return 0.0, True, True
