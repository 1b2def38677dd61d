"""What a register in kWh counted from one value to the next: rollovers, resets, glitches, exchanged meters.

    1000  1001  1002  5000  5001     an exchanged meter: nothing can count 3998 kWh in ten seconds
    1000  1001  9999  1003           a glitch: the next value contradicts it
    1000  1001  0.5   1.5            a restart near zero: what it shows now was counted since
    18.2  18.3  18.0  18.1           a slip near the old value: counted from there, the step is unknown
    18.2  0 ... 0     18.3           zero for a while: the register is back where it was
    65534 65535 1     2              a rollover

How fast a meter can be is said by its options or follows from the resource's capacities; a register whose
usual steps are as fast is believed all the same, for capacities are often stated for less than was metered.
Which values are wrong is decided in `glitches.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from venclient.model.quality import CAPACITY_MARGIN, MOST_KW, Counter
from venclient.readings.glitches import STOOD_S, Point, without_glitches

USUAL_COUNTER = Counter()

#: Where 16- and 32-bit counters start again, with the scales that meters use (1 .. 0.001 kWh per count).
ROLLOVERS_KWH = tuple(2.0**bits / 10**digits for bits in (16, 32) for digits in (0, 1, 2, 3))
ROLLOVER_SHARE = 0.02

#: A register that starts again is near zero: below this share of what it showed before.
RESTART_SHARE = 0.2

#: What a small one does, when its steps are all that is known ...
SMALL_METER_KW = 1_000.0
#: ... and what is believed of a step from zero before they are.
UNSEEN_METER_KW = 100.0
#: So many times the usual step is usual too: with capacities known, and without ...
USUAL_MARGIN = 10.0
WIDE_MARGIN = 100.0
#: ... once this number of steps shows what is usual.
USUAL_STEPS = 3
#: Meters bring their registers up to date now and then, and messages come in bursts.
LEAST_SPAN_S = 60.0
HOUR_S = 3600.0

__all__ = [
    "STOOD_S",
    "Limit",
    "Point",
    "Step",
    "counted_between",
    "counted_steps",
    "hourly_points",
    "rates_kw",
    "surely_kwh",
]


class Step(NamedTuple):
    """What was counted between two moments; `unknown` when that cannot be determined."""

    start_s: float
    end_s: float
    kwh: float
    estimated: bool
    unknown: bool


class Limit:
    """How much energy a meter can have counted; `rates_kw` are the rates of its recent steps."""

    def __init__(self, rates_kw: Sequence[float], counter: Counter, most_kw: float | None) -> None:
        usual_kw = median(rates_kw) if len(rates_kw) >= USUAL_STEPS else None
        self.known = counter.max_kw is not None or most_kw is not None
        self.most_kw = _most_kw(usual_kw, most_kw) if counter.max_kw is None else counter.max_kw
        #: Twice the fastest step: the bound for a restart of a register of which nothing else is known.
        self.seen_kw = 2 * max(rates_kw, default=0.0)
        usually_kw = self.most_kw if usual_kw is None else min(self.most_kw, USUAL_MARGIN * usual_kw)
        stated_kw = counter.max_kw or (most_kw or 0.0) / CAPACITY_MARGIN
        #: The bound for a restart of a register whose capacity is known: usual steps, or the capacity.
        self.restart_kw = min(self.most_kw, max(usually_kw, stated_kw))
        #: The bound for a rollover that no option names: a restart is as likely.
        self._rollover_kw = self.most_kw if usual_kw is None else min(self.most_kw, WIDE_MARGIN * usual_kw)
        #: The bound for a step from exactly zero, which is also what a failing meter shows.
        self._from_zero_kw = usually_kw
        if usual_kw is None and not self.known:
            self._from_zero_kw = UNSEEN_METER_KW
        #: What is allowed however short the time was.
        self.surely_kwh = self.most_kw * LEAST_SPAN_S / 3600

    def allows(self, kwh: float, span_s: float) -> bool:
        """Return True if the meter can count `kwh` within `span_s` seconds."""
        return 0 <= kwh <= self.most_kw * max(span_s, LEAST_SPAN_S) / 3600

    def allows_around(self, kwh: float, span_s: float) -> bool:
        """Return True if a meter that may have rolled over can count `kwh` within `span_s` seconds."""
        return 0 <= kwh <= self._rollover_kw * max(span_s, LEAST_SPAN_S) / 3600

    def allows_from_zero(self, kwh: float, span_s: float) -> bool:
        """Return True if a meter that shows zero can count `kwh` within `span_s` seconds."""
        return 0 <= kwh <= self._from_zero_kw * max(span_s, LEAST_SPAN_S) / 3600


def _most_kw(usual_kw: float | None, most_kw: float | None) -> float:
    if usual_kw is None:
        return MOST_KW if most_kw is None else most_kw
    margin = WIDE_MARGIN if most_kw is None else USUAL_MARGIN
    return max(_least_kw(most_kw), min(MOST_KW, margin * usual_kw))


def _least_kw(most_kw: float | None) -> float:
    return SMALL_METER_KW if most_kw is None else most_kw


def surely_kwh(counter: Counter, most_kw: float | None) -> float:
    """Return the energy that each limit of a meter allows at once, whatever the rates of its steps."""
    least_kw = _least_kw(most_kw) if counter.max_kw is None else counter.max_kw
    return least_kw * LEAST_SPAN_S / 3600


def rates_kw(points: Sequence[Point]) -> list[float]:
    """Return the mean power in kW of each step upwards, since the value before was first seen."""
    rates = []
    since = points[0] if points else None
    for point in points[1:]:
        if since is None or point.value == since.value:
            continue
        if point.value > since.value:
            rates.append((point.value - since.value) * 3600 / max(point.time_s - since.time_s, 1.0))
        since = point
    return rates


def counted_steps(points: Sequence[Point], counter: Counter | None, most_kw: float | None) -> list[Step]:
    """Return what a register counted between its values, in time order; wrong values are left out.

    `most_kw` is the most that may be believed of the meter, None when nothing is known of it; `counter` is
    how it counts, where its options say that.
    """
    if not points:
        return []
    counter = counter or USUAL_COUNTER
    limit = Limit(rates_kw(points), counter, most_kw)
    kept = without_glitches(points, limit)
    if len(kept) < len(points):
        limit = Limit(rates_kw([point for point, _ in kept]), counter, most_kw)
    steps = []
    changed_s = kept[0][0].time_s
    first_run = True
    for (before, _), (after, glitch) in pairwise(kept):
        kwh, broken, unknown = after.value - before.value, False, False
        if not 0 <= kwh <= limit.surely_kwh or (kwh and before.value == 0):
            span_s = after.time_s - changed_s
            if first_run and before.time_s > changed_s:
                span_s += STOOD_S
            kwh, broken, unknown = counted_between(before, after, span_s, counter, limit)
        estimated = glitch or broken or before.estimated or after.estimated
        steps.append(Step(before.time_s, after.time_s, kwh, estimated, unknown))
        if after.value != before.value:
            changed_s, first_run = after.time_s, False
    return steps


def hourly_points(points: Sequence[Point]) -> list[Point]:
    """Return a register's values at the moments of its hourly updates.

    Values that repeat add nothing: they only cover the hours in which nothing was counted.
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
    """Return the points in groups of the same value."""
    runs: list[list[Point]] = []
    for point in points:
        if runs and runs[-1][0].value == point.value:
            runs[-1].append(point)
        else:
            runs.append([point])
    return runs


def counted_between(
    before: Point, after: Point, span_s: float, counter: Counter, limit: Limit
) -> tuple[float, bool, bool]:
    """Return the energy between two values in kWh, whether the count was interrupted, and if unknown.

    `span_s` is how long the value before has stood, which is longer than the time between the two for a
    register of whole kWh.
    """
    if after.value >= before.value:
        kwh = after.value - before.value
        if before.value == 0:
            allowed = limit.allows_from_zero(kwh, after.time_s - before.time_s)
        else:
            allowed = limit.allows(kwh, span_s)
        return (kwh, False, False) if allowed else (0.0, True, True)
    stated = counter.rollover_kwh
    for rollover_kwh in ROLLOVERS_KWH if stated is None else (stated,):
        around = rollover_kwh - before.value + after.value
        if stated is not None:
            likely = limit.allows(around, span_s)
        else:
            likely = around <= ROLLOVER_SHARE * rollover_kwh and limit.allows_around(around, span_s)
        if before.value < rollover_kwh and likely:
            return around, True, False
    most_kw = limit.restart_kw if limit.known else min(limit.most_kw, limit.seen_kw)
    near_zero = 0 <= after.value <= min(RESTART_SHARE * before.value, most_kw * span_s / 3600)
    if counter.reset and near_zero:
        return after.value, True, False
    return 0.0, True, True
