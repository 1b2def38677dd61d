"""Inputs of the kinds that made readings untrue, as Hypothesis strategies named after what went wrong.

Each draws (seconds, value) pairs of one series and what is right about them. Every path that judges readings
is tested with the same inputs.
"""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

from hypothesis import strategies as st

#: What a site of this kind draws at most in these inputs, in kW.
P_MAX_KW = 25.0


class Counter(NamedTuple):
    """What a register shows, by second, and the least and most energy in kWh that may be counted of it."""

    points: list[tuple[float, float]]
    least_kwh: float
    most_kwh: float


@st.composite
def counting(draw: st.DrawFn, least: int = 6, most: int = 60) -> tuple[float, list[float]]:
    """Draw the seconds between values and the steps in kWh of a register that counts as it should."""
    step_s = draw(st.sampled_from([10.0, 30.0, 60.0]))
    powers = draw(st.lists(st.floats(0.5, P_MAX_KW), min_size=least, max_size=most))
    return step_s, [power_kw * step_s / 3600 for power_kw in powers]


@st.composite
def counter_that_slips_back(draw: st.DrawFn) -> Counter:
    """Draw a register that goes on from a little below its last value, with or without an outage."""
    step_s, before = draw(counting())
    start = draw(st.floats(5, 50_000))
    values = list(accumulate(before, initial=start))
    depth = draw(st.floats(0.001, 0.4)) * min(values[-1], 3.0)
    outage_s = draw(st.sampled_from([step_s, 600.0, 7200.0]))
    after = draw(st.lists(st.floats(0.5, P_MAX_KW), min_size=6, max_size=60))
    later = list(accumulate((power * step_s / 3600 for power in after), initial=values[-1] - depth))
    points = [(n * step_s, value) for n, value in enumerate(values)]
    resumed_s = points[-1][0] + outage_s
    points += [(resumed_s + n * step_s, value) for n, value in enumerate(later)]
    used_kwh = (values[-1] - values[0]) + (later[-1] - later[0])
    # Values below the old one may be taken for noise when the register passes it soon.
    return Counter(points, used_kwh - depth, used_kwh)


@st.composite
def counter_that_reads_zero(draw: st.DrawFn) -> Counter:
    """Draw a register that reads zero for a while, from one value to hours of them, and returns."""
    step_s, before = draw(counting())
    values = list(accumulate(before, initial=draw(st.floats(2, 50_000))))
    zeros = draw(st.integers(1, 400))
    outage_s = (zeros + 1) * step_s
    missed_kwh = draw(st.floats(0, P_MAX_KW)) * outage_s / 3600
    after = draw(st.lists(st.floats(0.5, P_MAX_KW), min_size=6, max_size=30))
    later = list(accumulate((power * step_s / 3600 for power in after), initial=values[-1] + missed_kwh))
    shown = [*values, *[0.0] * zeros, *later]
    points = [(n * step_s, value) for n, value in enumerate(shown)]
    used_kwh = later[-1] - values[0]
    return Counter(points, used_kwh - missed_kwh, used_kwh)


@st.composite
def counter_that_restarts(draw: st.DrawFn) -> Counter:
    """Draw a register that starts again near zero and goes on counting; the old value is far above."""
    step_s, before = draw(counting())
    values = list(accumulate(before, initial=draw(st.floats(100, 50_000))))
    after = draw(st.lists(st.floats(0.5, P_MAX_KW), min_size=6, max_size=30))
    first_kwh = draw(st.floats(0, P_MAX_KW)) * step_s / 3600
    later = list(accumulate((power * step_s / 3600 for power in after), initial=first_kwh))
    points = [(n * step_s, value) for n, value in enumerate([*values, *later])]
    counted_kwh = (values[-1] - values[0]) + (later[-1] - later[0])
    return Counter(points, counted_kwh, counted_kwh + first_kwh)
