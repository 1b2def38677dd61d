"""What registers counted: rollovers, resets, exchanged meters, hourly updates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from venclient.model.quality import CAPACITY_MARGIN, Counter, MeterRules
from venclient.model.reading import ENERGY_EXPORT_KWH, ENERGY_KWH, POWER_KW, Measure, Quality, Reading
from venclient.readings.counters import Point, counted_steps, hourly_points
from venclient.readings.measures import measures
from venclient.readings.memory import MemoryReadings
from venclient.readings.rollup import measure

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SITE = MeterRules({}, CAPACITY_MARGIN * 40.0)
HOURLY = Counter(hourly=True)


def about(value: float) -> Any:
    """Return an object that equals the value except for rounding."""
    return pytest.approx(value, abs=1e-6)


def when(seconds: float) -> datetime:
    """Return the time `seconds` after noon."""
    return NOON + timedelta(seconds=seconds)


def register(values: list[float], step: float = 10, quantity: str = ENERGY_KWH) -> dict[str, list[Reading]]:
    """Return readings of a register at equal steps."""
    return {quantity: [Reading("m", quantity, value, when(step * n)) for n, value in enumerate(values)]}


def over(values: list[float], rules: MeterRules, step: float = 10) -> Measure:
    """Return the measure of the whole time that the values cover."""
    return measure("m", register(values, step), when(0), when(step * (len(values) - 1)), rules=rules)


def of_counter(**options: Any) -> MeterRules:
    """Return the rules of a meter whose import register has these options, on a site of 40 kW."""
    return MeterRules({ENERGY_KWH: Counter(**options)}, CAPACITY_MARGIN * 40.0)


# ---- exchanged meters


@pytest.mark.parametrize("rules", [SITE, MeterRules(), of_counter(max_kw=200)])
def test_exchanged_meter_that_shows_more_is_left_out_and_marked(rules: MeterRules) -> None:
    """A register that jumps up for good by more than can be counted adds nothing, and is not good."""
    found = over([1000, 1000.1, 1000.2, 1000.3, 5000, 5000.1, 5000.2], rules)

    assert found.energy_kwh == about(0.5)
    assert found.quality is Quality.ESTIMATED
    assert found.coverage == about(5 / 6)


def test_exchanged_meter_in_a_long_interval_is_marked() -> None:
    """One step of an hour is less than a hundredth of it, and is reported all the same."""
    values = [1000 + n / 10 for n in range(180)] + [5000 + n / 10 for n in range(181)]

    found = over(values, SITE)

    assert found.energy_kwh == about(17.9 + 18)
    assert found.coverage > 0.99
    assert found.quality is Quality.ESTIMATED


def test_exchanged_export_meter_is_left_out() -> None:
    """Export registers are believed as little as import registers."""
    both = register([10, 10.1, 10.2, 10.3]) | register([5, 5, 900, 900], quantity=ENERGY_EXPORT_KWH)

    found = measure("m", both, when(0), when(30), rules=SITE)

    assert found.energy_kwh == about(0.3)
    assert found.quality is Quality.ESTIMATED
    assert found.coverage < 0.99


def test_power_tells_the_energy_of_the_exchange() -> None:
    """Where the register is silent for a step, power samples that vouch for all of it are preferred."""
    both = register([1000, 1000.1, 5000, 5000.1]) | {
        POWER_KW: [Reading("m", POWER_KW, 36.0, when(10 * n)) for n in range(4)]
    }

    found = measure("m", both, when(0), when(30), rules=SITE)

    assert (found.energy_kwh, found.source, found.quality) == (about(0.3), "power", Quality.GOOD)


def test_exchange_while_nobody_read_is_told_by_the_hours() -> None:
    """A gap is judged by its length: 4000 kWh in two hours are too much, 80 are not."""
    rules = MeterRules({}, 200.0)

    assert over([1000, 5000], rules, step=7200).energy_kwh is None
    assert over([1000, 1080], rules, step=7200).energy_kwh == about(80)


def test_long_glitch_is_left_out_and_loses_nothing() -> None:
    """Several impossible values in a row are wrong when the register comes back to where it was."""
    found = over([1000, 1000.1, 9999, 9999, 9999, 1000.5, 1000.6], SITE)

    assert (found.energy_kwh, found.quality) == (about(0.6), Quality.ESTIMATED)


def test_capacity_that_is_stated_too_low_does_not_hide_energy() -> None:
    """A meter of a whole building, of which little is flexible, counts what it counts."""
    found = over([float(n) for n in range(20)], MeterRules({}, 5.0))

    assert (found.energy_kwh, found.quality) == (about(19), Quality.GOOD)


def test_very_large_site_is_bounded_by_its_capacity() -> None:
    """What a site states for itself is believed, however much it is."""
    values = [400.0 * n for n in range(12)]

    found = over(values, MeterRules({}, CAPACITY_MARGIN * 200_000))

    assert (found.energy_kwh, found.quality) == (about(4400), Quality.GOOD)


def test_coarse_register_is_judged_since_its_last_change() -> None:
    """A register of whole kWh steps by one in ten seconds after it stood for long."""
    values = [100.0] * 30 + [101.0] * 30 + [102.0]

    assert over(values, MeterRules({}, 20.0)).energy_kwh == about(2)


def test_burst_of_messages_is_not_taken_for_an_exchange() -> None:
    """Readings that were stamped on arrival after an outage are close together, and still count."""
    found = over([1000 + n / 10 for n in range(60)], SITE, step=0.02)

    assert found.energy_kwh == about(5.9)


# ---- what the options say


@pytest.mark.parametrize(
    ("options", "values", "energy"),
    [
        ({"digits": 6}, [999_999.5, 0.5], 1.0),
        ({"digits": 5, "unit_kwh": 0.1}, [9999.9, 0.1], 0.2),
        ({"bits": 16, "unit_kwh": 0.05}, [3276.75, 0.05], 0.1),
        ({"bits": 32}, [4294967295, 1], 2.0),
    ],
)
def test_rollover_is_where_the_options_say(
    options: dict[str, Any], values: list[float], energy: float
) -> None:
    """The way over the top is counted, and marked."""
    found = over([values[0] - 0.1, *values, values[1] + 0.1], of_counter(**options))

    assert found.energy_kwh == about(energy + 0.2)
    assert found.quality is Quality.ESTIMATED


def test_rollover_that_cannot_be_is_none() -> None:
    """A way over the top that is too long was an exchange."""
    found = over([60_000, 60_000.1, 100, 100.1], of_counter(bits=16, reset=False))

    assert found.energy_kwh == about(0.2)


def test_register_that_never_resets_is_not_believed_to() -> None:
    """With reset = false a lower value is another meter, whose count is not ours."""
    assert over([1000, 1000.1, 0.1, 0.2], of_counter()).energy_kwh == about(0.3)
    assert over([1000, 1000.1, 0.1, 0.2], of_counter(reset=False)).energy_kwh == about(0.2)


# ---- hourly registers


def hourly_values(kwh: list[float], per_hour: int = 60, start: float = 100.0) -> list[float]:
    """Return what a register shows, minute by minute, that is brought up to date after each hour."""
    levels = list(accumulate(kwh, initial=start))
    return [level for level in levels for _ in range(per_hour)]


def hourly(kwh: list[float], start_s: float, end_s: float) -> Measure:
    """Return the measure of an hourly register read each minute."""
    rules = MeterRules({ENERGY_KWH: HOURLY}, 200.0)
    return measure("m", register(hourly_values(kwh), 60), when(start_s), when(end_s), rules=rules)


def test_hourly_register_tells_whole_hours() -> None:
    """The step belongs to the hour before it."""
    found = hourly([5, 12, 7], 3600, 10_800)

    assert (found.energy_kwh, found.quality, found.source) == (about(12 + 7), Quality.GOOD, "register")


def test_part_of_an_hour_is_a_guess() -> None:
    """A quarter has its share of the hour, marked as estimated."""
    found = hourly([5, 12, 7], 3600, 4500)

    assert (found.energy_kwh, found.quality) == (about(3), Quality.ESTIMATED)


def test_hour_without_consumption_is_zero_and_known() -> None:
    """Values that repeat over an hour mean that nothing was counted, and the next step is of one hour."""
    assert hourly([5, 0, 0, 8], 3600, 10_800).energy_kwh == about(0)
    assert hourly([5, 0, 0, 8], 10_800, 14_400).energy_kwh == about(8)


def test_hour_that_is_not_told_yet_is_not_zero() -> None:
    """Values that repeat before the first update say nothing."""
    found = measure(
        "m", register([100.0] * 30, 60), when(0), when(900), rules=MeterRules({ENERGY_KWH: HOURLY}, 200.0)
    )

    assert (found.energy_kwh, found.quality) == (None, Quality.MISSING)


async def test_store_is_asked_for_enough_of_an_hourly_register() -> None:
    """A quarter between two updates is measured although neither lies near it."""
    store = MemoryReadings()
    store.add(register(hourly_values([5, 12, 7]), 60)[ENERGY_KWH])
    quarter = (when(5000), when(5900))

    found = await measures(store, ["m"], [quarter], rules={"m": MeterRules({ENERGY_KWH: HOURLY}, 200.0)})

    assert found["m", *quarter].energy_kwh == about(3)


# ---- in general

steps_kwh = st.lists(st.floats(0, 0.5), min_size=4, max_size=40)


@settings(max_examples=60, deadline=None)
@given(steps_kwh, st.integers(1, 39), st.floats(300, 1e6))
def test_an_exchange_costs_its_own_step_only(steps: list[float], at: int, jump: float) -> None:
    """Whatever the new meter shows, the energy of all the other steps is counted."""
    at = min(at, len(steps) - 1)
    values = list(accumulate(steps, initial=100.0))
    exchanged = [*values[: at + 1], *(value + jump for value in values[at + 1 :])]

    found = over(exchanged, of_counter(max_kw=200))

    assert found.energy_kwh == about(sum(steps) - steps[at])
    assert found.quality is Quality.ESTIMATED


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20), st.sampled_from([None, 5.0, 200.0]))
def test_no_step_goes_back_or_beyond_what_is_possible(values: list[float], most_kw: float | None) -> None:
    """Whatever a register shows, what is counted lies within the limit."""
    points = [Point(600.0 * n, value, False) for n, value in enumerate(values)]
    ceiling_kw = 100_000.0

    for step in counted_steps(points, Counter(), most_kw):
        assert 0 <= step.kwh <= ceiling_kw * (600.0 * len(values) + 3600) / 3600
        assert step.kwh == 0 or not step.unknown


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 50), min_size=2, max_size=8))
def test_hourly_points_keep_the_total(kwh: list[float]) -> None:
    """Leaving repeats out changes no sum: from the first update to the last all is there."""
    values = hourly_values(kwh)
    kept = hourly_points([Point(60.0 * n, value, False) for n, value in enumerate(values)])

    assert all(before.time_s < after.time_s for before, after in pairwise(kept))
    if kept:
        assert kept[-1].value == values[-1]
