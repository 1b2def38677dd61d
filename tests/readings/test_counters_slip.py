"""A register that slips back, starts again, or reads zero for a while: no energy is invented."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.kinds import (
    P_MAX_KW,
    Counter,
    counter_that_reads_zero,
    counter_that_restarts,
    counter_that_slips_back,
)
from venclient.model.quality import CAPACITY_MARGIN, NO_RULES, MeterRules
from venclient.model.reading import ENERGY_KWH, Measure, Quality, Reading
from venclient.readings.rollup import measure

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SITE = MeterRules({}, CAPACITY_MARGIN * P_MAX_KW)
EITHER = st.sampled_from([SITE, NO_RULES])
#: What rounding may add.
ROUND = 1e-6

SLIPPED = [(10.0 * n, 18 + 0.005 * n) for n in range(48)]
SLIPPED += [(1070 + 10.0 * n, 18 + 0.005 * n) for n in range(30)]


def over(points: list[tuple[float, float]], rules: MeterRules) -> Measure:
    """Return the measure of all the time that a register's values take."""
    series = [Reading("m", ENERGY_KWH, value, NOON + timedelta(seconds=second)) for second, value in points]
    return measure("m", {ENERGY_KWH: series}, series[0].time, series[-1].time, rules=rules)


def agrees(counter: Counter, rules: MeterRules) -> bool:
    """Return True if what is counted lies between the bounds, and is not passed off as good."""
    found = over(counter.points, rules)
    kwh = found.energy_kwh or 0.0
    within = counter.least_kwh - ROUND <= kwh <= counter.most_kwh + ROUND
    return within and found.quality is Quality.ESTIMATED


@settings(max_examples=150, deadline=None)
@given(counter=counter_that_slips_back(), rules=EITHER)
@example(counter=Counter(SLIPPED, 0.235 + 0.145 - 0.235, 0.38), rules=SITE)
@example(counter=Counter(SLIPPED, 0.235 + 0.145 - 0.235, 0.38), rules=NO_RULES)
def test_counter_that_slips_back_counts_what_it_counted(counter: Counter, rules: MeterRules) -> None:
    """The value after a slip adds nothing: energy is what was counted before and after it."""
    assert agrees(counter, rules)


@settings(max_examples=150, deadline=None)
@given(counter=counter_that_reads_zero(), rules=EITHER)
def test_counter_that_reads_zero_and_returns_loses_and_invents_nothing(
    counter: Counter, rules: MeterRules
) -> None:
    """However long it reads zero, the energy is that between the values before and after."""
    assert agrees(counter, rules)


@settings(max_examples=150, deadline=None)
@given(counter=counter_that_restarts())
def test_counter_that_restarts_counts_from_zero(counter: Counter) -> None:
    """What a register shows near zero was counted since it started again."""
    assert agrees(counter, SITE)


@pytest.mark.parametrize("rules", [SITE, NO_RULES])
def test_window_that_begins_while_the_counter_reads_zero_invents_nothing(rules: MeterRules) -> None:
    """A step from zero is held against the usual steps, even where the value before zero is not known."""
    zeros = [(10.0 * n, 0.0) for n in range(400)]
    returned = [(4000 + 10.0 * n, 18.2 + 0.005 * n) for n in range(40)]

    found = over([*zeros, *returned], rules)

    assert found.energy_kwh == pytest.approx(0.005 * 39)
    assert found.quality is Quality.ESTIMATED


@pytest.mark.parametrize("rules", [SITE, NO_RULES])
def test_noise_below_the_old_value_adds_nothing(rules: MeterRules) -> None:
    """A register that shows now and then a little less than before counts its way up once."""
    points = [(10.0 * n, 100 + 0.005 * n - (0.004 if n % 3 == 2 else 0)) for n in range(61)]

    assert over(points, rules).energy_kwh == pytest.approx(0.005 * 60)


@pytest.mark.parametrize("rules", [SITE, NO_RULES])
def test_two_sources_on_one_register_are_counted_once(rules: MeterRules) -> None:
    """Runs of lower values are left out each time the register comes back to where it was."""
    points = [(10.0 * n, 18 + 0.002 * n - (0.3 if n // 12 % 2 else 0)) for n in range(100)]

    assert over(points, rules).energy_kwh == pytest.approx(0.002 * 99, abs=0.03)


@pytest.mark.parametrize("rules", [SITE, NO_RULES])
@pytest.mark.parametrize("count", [1, 2, 5, 60])
def test_counter_that_stands_one_leap_too_high_is_left_out(rules: MeterRules, count: int) -> None:
    """A leap that the meter might have counted is none when the register falls back to where it was."""
    points = [(900.0 * n, 1000 + 0.5 * n) for n in range(5)]
    points += [(4500 + 900.0 * n, 1400.0) for n in range(count)]
    points += [(4500 + 900.0 * (count + n), 1002.5 + 0.5 * n) for n in range(10)]

    assert over(points, rules).energy_kwh == pytest.approx(7.0)


@pytest.mark.parametrize("rules", [SITE, NO_RULES])
@pytest.mark.parametrize("count", [5, 60, 400])
def test_counter_that_is_far_too_high_for_long_is_left_out(rules: MeterRules, count: int) -> None:
    """The largest number of a type, for minutes or an hour, adds nothing when the register comes back."""
    highest = 0xFFFFFFFF / 1000
    points = [(10.0 * n, 1000 + 0.005 * n) for n in range(20)]
    points += [(200 + 10.0 * n, highest) for n in range(count)]
    points += [(200 + 10.0 * (count + n), 1000.1 + 0.005 * n) for n in range(20)]

    assert over(points, rules).energy_kwh == pytest.approx(0.1 + 0.005 * 19)
