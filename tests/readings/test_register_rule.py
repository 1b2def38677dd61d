"""Which values of a register are believed when they come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kinds import (
    P_MAX_KW,
    Counter,
    counter_that_is_exchanged,
    counter_that_reads_zero,
    counter_that_restarts,
    counter_that_rolls_over,
    counter_that_slips_back,
    counter_with_coarse_steps,
)
from venclient.model.quality import CAPACITY_MARGIN, NO_RULES, MeterRules
from venclient.model.reading import ENERGY_EXPORT_KWH, ENERGY_KWH, Quality, Reading
from venclient.readings.judging import EVENTS_A_DAY, Judge
from venclient.readings.rollup import measure, rollup

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SITE = MeterRules({}, CAPACITY_MARGIN * P_MAX_KW, entered=True)
EITHER = pytest.mark.parametrize("meter", [SITE, NO_RULES])


def readings_of(points: list[tuple[float, float]], quantity: str = ENERGY_KWH) -> list[Reading]:
    """Return readings of a register."""
    return [Reading("m", quantity, value, NOON + timedelta(seconds=second)) for second, value in points]


def stored(
    points: list[tuple[float, float]], meter: MeterRules, split: int = 0, quantity: str = ENERGY_KWH
) -> list[Reading]:
    """Return what is stored of a register that is read value by value, with a restart after `split`."""
    judge = Judge("Hotel", {}, meter)
    found: list[Reading] = []
    for number, reading in enumerate(readings_of(points, quantity)):
        if split and number == split:
            judge = Judge("Hotel", {}, meter, {quantity: found[-1]}, levels=judge.levels())
        found += judge.judge([reading], reading.time).readings
    return found


def believed(values: list[float], meter: MeterRules = SITE) -> list[float]:
    """Return the values that are believed, of those read every ten seconds."""
    found = stored([(10.0 * n, value) for n, value in enumerate(values)], meter)
    return [one.value for one in found if one.quality is Quality.GOOD]


@EITHER
@settings(max_examples=80, deadline=None)
@given(counter=counter_that_reads_zero())
def test_zero_is_never_believed_and_the_return_is(meter: MeterRules, counter: Counter) -> None:
    """Every window is safe: what reads zero is out of range, and a restart of the gateway changes nothing."""
    split = next(n for n, (_, value) in enumerate(counter.points) if value == 0) + 1
    found = stored(counter.points, meter, split)

    assert {one.value for one in found if one.quality is Quality.OUT_OF_RANGE} == {0.0}
    tail = [one for one in found if one.time >= found[split].time]
    energy = measure("m", {ENERGY_KWH: tail}, tail[0].time, tail[-1].time, rules=meter).energy_kwh or 0.0
    returned = [one.value for one in tail if one.value]
    assert energy == pytest.approx(returned[-1] - returned[0], abs=1e-6)


@EITHER
@settings(max_examples=80, deadline=None)
@given(counter=counter_that_slips_back())
def test_slip_adds_no_energy_by_the_live_way_either(meter: MeterRules, counter: Counter) -> None:
    """What is stored of a register that slips back makes no more energy than was used."""
    found = stored(counter.points, meter)
    measured = measure("m", {ENERGY_KWH: found}, found[0].time, found[-1].time, rules=meter)

    assert (measured.energy_kwh or 0.0) <= counter.most_kwh + 1e-6


@EITHER
@settings(max_examples=150, deadline=None)
@given(
    counter=st.one_of(
        counter_that_slips_back(),
        counter_that_reads_zero(),
        counter_that_restarts(),
        counter_that_is_exchanged(),
        counter_that_rolls_over(),
        counter_with_coarse_steps(),
    ),
    share=st.floats(0, 1),
    length_s=st.sampled_from([60, 300, 900]),
    quantity=st.sampled_from([ENERGY_KWH, ENERGY_EXPORT_KWH]),
)
def test_intervals_of_any_counter_have_what_was_used(
    meter: MeterRules, counter: Counter, share: float, length_s: int, quantity: str
) -> None:
    """Read value by value, with a restart of the gateway anywhere, no interval invents energy."""
    found = stored(counter.points, meter, int(share * (len(counter.points) - 1)), quantity)
    begin, end = found[0].time, found[-1].time
    length = timedelta(seconds=length_s)
    edges = [begin + n * length for n in range((end - begin) // length + 1)]
    sign = 1 if quantity == ENERGY_KWH else -1
    grid = [(one, min(one + length, end)) for one in edges]
    made = rollup("m", {quantity: found}, grid, rules=meter)
    whole = measure("m", {quantity: found}, begin, end, rules=meter)

    assert sum(sign * (one.energy_kwh or 0.0) for one in made) <= counter.most_kwh + 1e-6
    assert counter.least_kwh - 1e-6 <= sign * (whole.energy_kwh or 0.0) <= counter.most_kwh + 1e-6


def test_two_meters_on_one_register_are_reported_a_few_times_a_day() -> None:
    """Values that leap to and fro are named, not logged each time."""
    judge = Judge("Hotel", {}, SITE)
    points = [(10.0 * n, (1000 if n % 2 else 500) + 0.005 * n) for n in range(100)]
    found = judge.judge(readings_of(points), NOON)

    assert [text.code for text in found.said] == ["VEN-RDG-050"] * EVENTS_A_DAY


@EITHER
def test_counter_that_reads_zero_when_the_gateway_starts_is_believed_once_it_counts(
    meter: MeterRules,
) -> None:
    """Zeros now and then, from the first value on, do not keep the real values from being used."""
    points = [(10.0 * n, 1000 + 0.005 * n if n % 3 else 0.0) for n in range(100)]
    found = stored(points, meter)

    assert sum(one.value > 0 and one.quality is Quality.GOOD for one in found) > 60
    energy = measure("m", {ENERGY_KWH: found}, found[0].time, found[-1].time, rules=meter).energy_kwh
    assert energy == pytest.approx(0.005 * 98, abs=0.03)


@EITHER
@pytest.mark.parametrize("count", [1, 30])
def test_first_value_zero_invents_nothing(meter: MeterRules, count: int) -> None:
    """No interval that ends just after the step from zero has its energy."""
    points = [(10.0 * n, 0.0) for n in range(count)]
    points += [(10.0 * (count + n), 18.2 + 0.005 * n) for n in range(6)]
    for last in range(count + 1, len(points) + 1):
        found = stored(points[:last], meter)
        measured = measure("m", {ENERGY_KWH: found}, found[0].time, found[-1].time, rules=meter)
        assert (measured.energy_kwh or 0.0) <= 0.03


def test_columns_at_once_are_judged_like_values_one_by_one() -> None:
    """The rule is over columns: how many come together makes no difference."""
    points = [
        (0.0, 5.0),
        (10, 5.01),
        (20, 0),
        (30, 0),
        (40, 5.03),
        (50, 900),
        (60, 5.04),
        (70, 4.9),
        (80, 4.91),
    ]
    points += [(90, 4.92), (100, 4.93), (110, 0), (120, 0.01), (130, 0.02)]
    together = Judge("Hotel", {}, SITE).judge(readings_of(points), NOON).readings

    assert together == stored(points, SITE)


@EITHER
def test_leap_is_believed_once_it_goes_on(meter: MeterRules) -> None:
    """An exchanged meter is believed from its third value on; one value that is contradicted never is."""
    assert believed([10, 10.1, 900, 10.2, 10.3], meter) == [10, 10.1, 10.2, 10.3]
    assert believed([10, 10.1, 900, 900.1, 900.2, 900.3], meter) == [10, 10.1, 900.2, 900.3]
    assert believed([10, 10.1, 900, 900, 900, 900, 10.2], meter) == [10, 10.1, 10.2]


def test_restart_is_believed_once_it_counts() -> None:
    """Zero waits, what counts from there is believed at once."""
    assert believed([1000, 0, 0, 0.01, 0.02]) == [1000, 0.01, 0.02]


def test_fast_register_of_a_small_capacity_is_believed_after_some_values() -> None:
    """Usual steps that are faster than the capacity lets expect are learned."""
    values = [100 + 0.5 * n for n in range(40)]

    assert believed(values, MeterRules({}, 5.0, entered=True))[-30:] == values[-30:]


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ([1000, 0, 0, 0], "VEN-RDG-052"),
        ([18.2, 18.0, 18.001, 18.002], "VEN-RDG-053"),
        ([1000, 5000, 5000], "VEN-RDG-050"),
        ([1000, 0.1, 0.2], "VEN-RDG-051"),
    ],
)
def test_what_a_register_does_is_reported_once(values: list[float], code: str) -> None:
    """Each kind has its own message."""
    judge = Judge("Hotel", {}, SITE)
    found = judge.judge(readings_of([(10.0 * n, value) for n, value in enumerate(values)]), NOON)

    assert [text.code for text in found.said] == [code]
