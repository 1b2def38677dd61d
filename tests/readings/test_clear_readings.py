"""Readings that need no closer look: judged as the whole rule judges them, for the price of comparisons."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from venclient.model.quality import MeterRules, quantity_rules
from venclient.model.reading import ENERGY_KWH, INTERVAL_ENERGY_KWH, POWER_KW, Quality, Reading
from venclient.readings.judging import NO_RULES, Judge, Memory, SeriesRules, judge_series
from venclient.readings.plausible import clear_ends, is_extreme, possible
from venclient.readings.series import to_ms
from venclient.readings.time_rule import BACKFILL, HISTORY, LIVE, Window

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
METER = MeterRules({}, 200.0, entered=True)
#: The largest number of 32 bits in hundredths: no value of a meter that counts on from 21474836.
EXTREME = 21_474_836.47
RULES: tuple[dict[str, Any], ...] = (
    {},
    {"jump": {"max_per_s": 2}},
    {"frozen": {"after_s": 3600}},
    {"stale_after_s": 7200},
    {"range": {"min": 5, "max": 90}},
    {"counter": {"max_kw": 6000}},
)
VALUES = (
    st.floats(-250, 250)
    | st.sampled_from([0.0, 5.0, 90.0, 1000.0, 1000.1, 1001.0, 1016.0, 1020.0])
    | st.sampled_from([EXTREME - 0.01, EXTREME, EXTREME + 0.01, 21_474.83647, 65_535.0, float("nan")])
)
#: Seconds that pass until a reading comes, and how old it is then.
MOMENTS = st.tuples(
    st.sampled_from([0.0, 0.4, 10.0, 59.999, 60.0, 61.0, 3600.0, -30.0, -7200.0]),
    st.sampled_from([0.0, 0.0, 0.0, 1.0, -299.999, -300.0, -300.001, -301.0])
    | st.sampled_from([7200.0, 7201.0, 604_740.0, 604_799.999, 604_800.0, 604_800.001, 604_860.0]),
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            MOMENTS, VALUES, st.sampled_from([Quality.GOOD, Quality.GOOD, Quality.ESTIMATED, Quality.STALE])
        ),
        max_size=30,
    ),
    st.sampled_from([POWER_KW, ENERGY_KWH, INTERVAL_ENERGY_KWH, "voltage_v"]),
    st.sampled_from(RULES),
    st.sampled_from([LIVE, BACKFILL, HISTORY, None]),
)
def test_readings_one_by_one_have_the_qualities_that_the_whole_rule_gives(
    steps: list[tuple[tuple[float, float], float, Quality]],
    quantity: str,
    rules: dict[str, Any],
    window: Window | None,
) -> None:
    """What is taken for clear is good, and what it leaves behind is what the rule remembers."""
    own = quantity_rules({"quality": {quantity: rules}})
    series = SeriesRules.of(quantity, own.get(quantity, NO_RULES), METER, window)
    judge = Judge("Hotel", own, METER, window=window)
    memory: Memory | None = None
    now = NOON
    for (passed_s, age_s), value, quality in steps:
        now += timedelta(seconds=passed_s)
        reading = Reading("m", quantity, value, now - timedelta(seconds=age_s), quality)
        found = judge.judge([reading], now)
        column = judge_series(
            [to_ms(reading.time)], [value], [quality], series, memory=memory, now_ms=to_ms(now)
        )
        memory = column.memory

        assert [one.quality for one in found.readings] == [one for one in column.qualities if one is not None]
        assert len(found.misplaced) == column.qualities.count(None)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), VALUES, st.sampled_from([POWER_KW, ENERGY_KWH])), max_size=30),
    st.integers(1, 29),
)
def test_a_batch_has_the_qualities_of_its_readings_one_by_one(
    points: list[tuple[int, float, str]], size: int
) -> None:
    """A reading that needs a closer look does not come before those that came before it, nor after."""
    readings = [Reading("m", name, value, NOON + timedelta(seconds=second)) for second, value, name in points]
    one_by_one, in_batches = (Judge("Hotel", {}, METER, window=LIVE) for _ in range(2))
    now = NOON + timedelta(seconds=60)

    singles = [one for reading in readings for one in one_by_one.judge([reading], now).readings]
    batches = [readings[at : at + size] for at in range(0, len(readings), size)]
    assert [repr(one) for some in batches for one in in_batches.judge(some, now).readings] == list(
        map(repr, singles)
    )
    assert in_batches.levels() == one_by_one.levels()


@given(
    VALUES | st.floats(-1e19, 1e19), st.floats(0, 1), st.sampled_from([POWER_KW, ENERGY_KWH, "frequency_hz"])
)
def test_all_values_of_a_clear_range_are_possible(value: float, share: float, quantity: str) -> None:
    """No extreme of a type and no value beyond the limits lies within it."""
    span = possible(quantity, NO_RULES, METER)
    low, high = clear_ends(span, value)

    if low <= high:
        assert span.holds(low)
        assert span.holds(high)
        assert span.holds(min(max(low + share * (high - low), low), high))


def test_a_value_of_the_extreme_of_a_type_has_no_clear_range() -> None:
    """The next value is looked at closely."""
    span = possible(ENERGY_KWH, NO_RULES, METER)
    low, high = clear_ends(span, EXTREME)

    assert is_extreme(EXTREME)
    assert low > high


def calls(judge: Judge, batches: Sequence[Sequence[Reading]], now: datetime) -> int:
    """Return how many Python functions are called to judge readings."""
    count = 0

    def note(_frame: FrameType, event: str, _of: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(note)
    try:
        for batch in batches:
            judge.judge(batch, now)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(("quantity", "most"), [(POWER_KW, 0), (ENERGY_KWH, 5)])
def test_a_clear_reading_costs_few_calls(quantity: str, most: int) -> None:
    """Readings of what is now are compared without a call, those of a register call its rule."""

    def readings(first: int, count: int) -> list[Reading]:
        numbers = range(first, first + count)
        return [Reading("m", quantity, 1000 + 0.01 * n, NOON + timedelta(seconds=0.1 * n)) for n in numbers]

    judge = Judge("Hotel", {}, MeterRules({}, 2000.0, entered=True), window=LIVE)
    judge.judge(readings(0, 1), NOON)  # the first one is looked at closely
    few = calls(judge, [readings(1, 10)], NOON)
    many = calls(judge, [readings(11, 40)], NOON)

    assert many - few == 30 * most
    assert few <= 3 + 10 * most


def test_a_clock_that_was_set_back_has_the_memory_of_times_ahead_forgotten() -> None:
    """A register that was read ahead of the clock is judged again, also within the same minute."""
    judge = Judge("Hotel", {}, METER, window=LIVE)
    ahead, back = NOON + timedelta(seconds=50), NOON + timedelta(seconds=10)
    judge.judge([Reading("m", ENERGY_KWH, 1000, NOON)], NOON)
    judge.judge([Reading("m", ENERGY_KWH, 1001, ahead + timedelta(minutes=5))], ahead)
    found = [
        judge.judge(
            [Reading("m", ENERGY_KWH, value, back + timedelta(seconds=n))], back + timedelta(seconds=n)
        )
        for n, value in enumerate([2000.0, 1.0])
    ]

    assert [one.readings[0].quality for one in found] == [Quality.GOOD, Quality.OUT_OF_RANGE]
