"""Which values of a register are believed when they come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings

from tests.kinds import P_MAX_KW, Counter, counter_that_reads_zero, counter_that_slips_back
from venclient.model.quality import CAPACITY_MARGIN, NO_RULES, MeterRules
from venclient.model.reading import ENERGY_KWH, Quality, Reading
from venclient.readings.judging import Judge
from venclient.readings.rollup import measure

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SITE = MeterRules({}, CAPACITY_MARGIN * P_MAX_KW, entered=True)
EITHER = pytest.mark.parametrize("meter", [SITE, NO_RULES])


def readings_of(points: list[tuple[float, float]]) -> list[Reading]:
    """Return readings of a register."""
    return [Reading("m", ENERGY_KWH, value, NOON + timedelta(seconds=second)) for second, value in points]


def stored(points: list[tuple[float, float]], meter: MeterRules, split: int = 0) -> list[Reading]:
    """Return what is stored of a register that is read value by value, with a restart after `split`."""
    judge = Judge("Hotel", {}, meter)
    found: list[Reading] = []
    for number, reading in enumerate(readings_of(points)):
        if split and number == split:
            judge = Judge("Hotel", {}, meter, {ENERGY_KWH: found[-1]}, levels=judge.levels())
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
