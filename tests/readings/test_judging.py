"""How good a reading is, by the rules of its connection."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from venclient.model.quality import MeterRules, quantity_rules
from venclient.model.reading import ENERGY_KWH, POWER_KW, Quality, Reading
from venclient.readings.judging import Judge, Judged, SeriesRules, judge_series
from venclient.readings.series import to_ms
from venclient.readings.time_rule import LIVE

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
GOOD, STALE, OUT = Quality.GOOD, Quality.STALE, Quality.OUT_OF_RANGE


def judge_of(quantity: str = POWER_KW, newest: Reading | None = None, **rules: Any) -> Judge:
    """Return the judge of a resource with rules for one quantity, on a site of 40 kW."""
    options = {"quality": {quantity: rules}} if rules else None
    known = {} if newest is None else {newest.quantity: newest}
    return Judge("Hotel", quantity_rules(options), MeterRules({}, 200.0), known)


def reading(second: float, value: float, quantity: str = POWER_KW, quality: Quality = GOOD) -> Reading:
    """Return a reading `second` seconds after noon."""
    return Reading("m", quantity, value, NOON + timedelta(seconds=second), quality)


def judged(judge: Judge, *points: tuple[float, float], quantity: str = POWER_KW) -> list[Quality]:
    """Return the qualities of readings that come one by one, each as it was taken."""
    return [
        judge.judge([reading(second, value, quantity)], NOON + timedelta(seconds=second)).readings[0].quality
        for second, value in points
    ]


def said(judge: Judge, *points: tuple[float, float]) -> list[str]:
    """Return what is reported of a register that shows these values."""
    readings = [reading(second, value, ENERGY_KWH) for second, value in points]
    found: Judged = judge.judge(readings, NOON)
    return list(found.said)


def test_without_rules_what_can_be_meant_is_good() -> None:
    """What a connection says nothing of is taken as it comes, up to what no meter of a site shows."""
    assert judged(judge_of(), (0, 5), (1, 9999), (2, 5), (3, 10_001)) == [GOOD, GOOD, GOOD, OUT]


def test_value_out_of_range_is_kept_and_marked() -> None:
    """Both ends are possible, what lies beyond is not; no value is changed."""
    judge = judge_of(range={"min": 0, "max": 60})
    found = judge.judge([reading(n, value) for n, value in enumerate((0, 60, 60.1, -1))], NOON).readings

    assert [one.quality for one in found] == [GOOD, GOOD, OUT, OUT]
    assert [one.value for one in found] == [0, 60, 60.1, -1]
    assert judge.marked == 2


def test_jump_is_marked_and_what_comes_back_is_good() -> None:
    """A spike is compared with the last believed value, and so is what follows it."""
    assert judged(judge_of(jump={"max_per_s": 1}), (0, 5), (10, 90), (20, 6)) == [GOOD, OUT, GOOD]


def test_new_level_is_believed_once_three_agree() -> None:
    """A load that really came does not stay out of range."""
    qualities = judged(judge_of(jump={"max_per_s": 1}), (0, 5), (10, 90), (20, 91), (30, 90), (40, 92))

    assert qualities == [GOOD, OUT, OUT, GOOD, GOOD]


def test_frozen_value_is_stale_until_it_changes() -> None:
    """A meter that repeats itself for too long is not believed."""
    judge = judge_of(frozen={"after_s": 20})

    assert judged(judge, (0, 5), (10, 5), (20, 5), (30, 5), (40, 5.1)) == [GOOD, GOOD, STALE, STALE, GOOD]


def test_zero_may_stand_unless_the_rules_say_so() -> None:
    """A sun panel at night is not broken."""
    points = ((0, 0.0), (10, 0.0), (20, 0.0))

    assert judged(judge_of(frozen={"after_s": 20}), *points) == [GOOD] * 3
    assert judged(judge_of(frozen={"after_s": 20, "zero": True}), *points) == [GOOD, GOOD, STALE]


def test_value_that_is_too_old_when_it_comes_is_stale() -> None:
    """A live meter's value of long ago says nothing of now."""
    judge = judge_of(stale_after_s=60)
    old = judge.judge([reading(0, 5)], NOON + timedelta(seconds=61)).readings[0]

    assert old.quality is STALE


def test_newest_value_grows_stale_in_the_status() -> None:
    """When no newer one comes, what is shown as the last value says so."""
    judge = judge_of(stale_after_s=60)

    assert judge.quality_now(reading(0, 5), NOON + timedelta(seconds=60)) is GOOD
    assert judge.quality_now(reading(0, 5), NOON + timedelta(seconds=61)) is STALE
    assert judge.quality_now(reading(0, 5, quality=OUT), NOON + timedelta(hours=1)) is OUT


@pytest.mark.parametrize("quality", [STALE, OUT, Quality.MISSING])
def test_what_the_connector_doubts_stays_doubted(quality: Quality) -> None:
    """A retained message is not trusted more for being within its range."""
    judge = judge_of(range={"max": 60})

    assert judge.judge([reading(0, 5, quality=quality)], NOON).readings[0].quality is quality


def test_restart_remembers_the_last_value() -> None:
    """The first reading after a restart is compared with the newest stored one."""
    assert judged(judge_of(newest=reading(-10, 5), jump={"max_per_s": 1}), (0, 90)) == [OUT]


def test_restart_does_not_believe_what_was_doubted() -> None:
    """A stored value that is out of range is not a measure of the next one."""
    judge = judge_of(newest=reading(-10, 500, quality=OUT), jump={"max_per_s": 1})

    assert judged(judge, (0, 5)) == [GOOD]


def test_late_reading_is_judged_by_itself() -> None:
    """A backlog between newer readings is neither a jump nor frozen, but may be out of range."""
    judge = judge_of(jump={"max_per_s": 1}, frozen={"after_s": 5}, range={"max": 100})

    assert judged(judge, (100, 5), (0, 90), (10, 90), (20, 101), (110, 6)) == [GOOD, GOOD, GOOD, OUT, GOOD]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1000, 1000.1], []),
        ([1000, 5000], ["exchanged", "not counted", "from 1000 to 5000"]),
        ([1000, 20], ["exchanged", "not counted"]),
        ([1000, 0.1], ["started again", "0.1 kWh", "estimated"]),
        ([65535.5, 0.5], ["started again", "1 kWh"]),
    ],
    ids=["counts", "exchanged for more", "exchanged for less", "reset", "rollover"],
)
def test_what_a_register_does_is_said(values: list[float], words: list[str]) -> None:
    """A register that starts again or leaps is named, and what becomes of its energy."""
    found = said(judge_of(), *((10.0 * n, value) for n, value in enumerate(values)))

    assert len(found) == bool(words)
    assert all(word in " ".join(found) for word in words)
    assert all(one.startswith("Hotel: energy_kwh went from") for one in found)


def test_register_is_judged_since_it_last_changed() -> None:
    """A coarse counter that steps after standing for long has not leaped."""
    points = [(10.0 * n, 1000.0) for n in range(360)]

    assert said(judge_of(), *points, (3600.0, 1050.0)) == []


def test_restart_between_two_steps_of_a_coarse_register_is_no_leap() -> None:
    """Since when the stored value stands is not known: a step of a whole hour is believed after a restart."""
    judge = judge_of(newest=reading(-10, 1000, ENERGY_KWH))

    assert said(judge, (0.0, 1000.0), (10.0, 1040.0)) == []


def test_first_value_that_repeats_may_have_stood_for_long() -> None:
    """The first step of a coarse register is not a leap either."""
    assert said(judge_of(), (0.0, 1000.0), (10.0, 1000.0), (20.0, 1040.0)) == []


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 500), st.floats(-200, 200)), max_size=40))
def test_no_reading_is_changed_or_lost(points: list[tuple[int, float]]) -> None:
    """Whatever comes in whatever order, values and times stay, and only qualities are added."""
    judge = judge_of(
        range={"min": -100, "max": 100}, jump={"max_per_s": 2}, frozen={"after_s": 30}, stale_after_s=60
    )
    readings = [reading(*point) for point in points]
    found = judge.judge(readings, NOON).readings

    assert [(one.time, one.value) for one in found] == [(one.time, one.value) for one in readings]
    assert all(one.quality is OUT for one in found if abs(one.value) > 100)
    assert judge.marked == sum(one.quality is not GOOD for one in found)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 500), st.floats(-200, 200)), min_size=1, max_size=40),
    st.integers(1, 39),
    st.sampled_from([POWER_KW, ENERGY_KWH, "interval_energy_kwh", "voltage_v"]),
)
def test_columns_are_judged_alike_in_one_go_and_in_parts(
    points: list[tuple[int, float]], split: int, quantity: str
) -> None:
    """The memory after a part is all that the next part needs."""
    rules = {"jump": {"max_per_s": 2}, "frozen": {"after_s": 30}, "stale_after_s": 400}
    own = quantity_rules({"quality": {quantity: rules}})[quantity]
    series = SeriesRules.of(quantity, own, MeterRules({}, 200.0), LIVE)
    now_ms = to_ms(NOON)
    times = [now_ms - 250_000 + 1000 * second for second, _ in points]
    values = [value for _, value in points]
    good = [GOOD] * len(points)
    whole = judge_series(times, values, good, series, now_ms=now_ms)
    first = judge_series(times[:split], values[:split], good[:split], series, now_ms=now_ms)
    rest = judge_series(
        times[split:], values[split:], good[split:], series, memory=first.memory, now_ms=now_ms
    )

    if quantity != "interval_energy_kwh":  # the time before the first one is not known twice
        assert first.qualities + rest.qualities == whole.qualities
    assert rest.memory == whole.memory
