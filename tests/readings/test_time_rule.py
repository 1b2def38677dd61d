"""Times that cannot be meant: a wrong clock, a wrong zone, a row out of order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings

from tests.kinds import DAY_S, history_with_impossible_times, impossible_times
from venclient.model.quality import MeterRules
from venclient.model.reading import POWER_KW, Quality, Reading
from venclient.readings.judging import Judge
from venclient.readings.time_rule import BACKFILL, HISTORY, LIVE, Window, misplaced

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def judge_of(window: Window = LIVE, newest: Reading | None = None) -> Judge:
    """Return the judge of a source."""
    return Judge("Hotel", {}, MeterRules(), {POWER_KW: newest} if newest else None, window=window)


def reading(offset_s: float, value: float = 5.0) -> Reading:
    """Return a reading whose time is `offset_s` seconds from noon."""
    return Reading("m", POWER_KW, value, NOON + timedelta(seconds=offset_s))


@settings(max_examples=100, deadline=None)
@given(impossible_times())
def test_impossible_times_of_a_live_source_are_quarantined(drawn: tuple[float, bool]) -> None:
    """Five minutes ahead and seven days behind are the limits; what lies beyond is named and not stored."""
    offset_s, is_wrong = drawn
    found = judge_of().judge([reading(offset_s)], NOON)

    assert len(found.misplaced) == len(found.said) == is_wrong
    assert len(found.readings) == 1 - is_wrong


@settings(max_examples=100, deadline=None)
@given(history_with_impossible_times())
def test_history_with_impossible_times_is_judged_by_its_own_order(
    drawn: tuple[list[float], set[int]],
) -> None:
    """Rows far from those around them are wrong, however old the file is."""
    times, places = drawn
    found = misplaced([round(1000 * one) for one in times], 0, HISTORY)

    assert {n for n, one in enumerate(found) if one is not None} == places


@pytest.mark.parametrize("factory", [datetime(2000, 1, 1, tzinfo=UTC), datetime(2019, 1, 1, tzinfo=UTC)])
@pytest.mark.parametrize("counted_s", [0, 10, 40 * DAY_S])
def test_clock_at_its_factory_date_or_counting_on_is_refused(factory: datetime, counted_s: float) -> None:
    """A device that lost its time is named, at the exact date and later."""
    late = Reading("m", POWER_KW, 5.0, factory + timedelta(seconds=counted_s))
    found = judge_of().judge([late], NOON)

    assert [text.code for text in found.said] == ["VEN-RDG-056"]
    assert not found.readings


def test_clock_that_is_ahead_is_reported_once_with_its_offset() -> None:
    """The offset and what to check stand in one message."""
    judge = judge_of()
    said = [text for n in range(10) for text in judge.judge([reading(3600 + n)], NOON).said]

    assert [(text.code, text.params["offset"]) for text in said] == [("VEN-RDG-055", "1 h")]
    assert "zone" in said[0].hint


def test_old_readings_come_in_with_backfill_only() -> None:
    """A device that hands over its memory is let in by its options; its future is not."""
    old = reading(-30 * DAY_S)

    assert not judge_of().judge([old], NOON).readings
    assert judge_of(BACKFILL).judge([old], NOON).readings == [old]
    assert not judge_of(BACKFILL).judge([reading(3600)], NOON).readings


def test_nothing_is_refused_while_the_time_is_not_known() -> None:
    """A gateway whose clock starts in the past takes what devices with the right time send."""
    assert judge_of().judge([reading(400 * DAY_S)], None).readings == [reading(400 * DAY_S)]


def test_newest_value_of_the_future_is_neither_good_nor_in_the_way() -> None:
    """One payload dated 2031 that was stored before is shown as out of range, and others go on without it."""
    future = reading(5 * 365 * DAY_S, 900.0)
    judge = judge_of(newest=future)
    found = judge.judge([reading(0), reading(10)], NOON + timedelta(seconds=10))

    assert judge.quality_now(future, NOON) is Quality.OUT_OF_RANGE
    assert [one.quality for one in found.readings] == [Quality.GOOD, Quality.GOOD]


def test_tomorrow_in_a_file_is_let_in_and_years_ahead_are_not() -> None:
    """Files may have a day of their own; one dated 2031 is not stored."""
    found = judge_of(HISTORY).judge([reading(-60), reading(DAY_S), reading(5 * 365 * DAY_S)], NOON)

    assert [one.time for one in found.readings] == [reading(-60).time, reading(DAY_S).time]


def test_block_of_another_year_in_a_file_is_history() -> None:
    """Two years one after the other, in either order, and a gap of months are all kept."""
    year = [n * 3_600_000 for n in range(200)]
    later = [366 * 86_400_000 + ms for ms in year]

    for times in ([*year, *later], [*later, *year], [*later, *year, *(ms + 720_000_000 for ms in later)]):
        assert set(misplaced(times, None, HISTORY)) == {None}


def test_steady_lag_of_an_hour_is_reported_and_a_backlog_is_not() -> None:
    """A wrong zone lags by a whole hour again and again; a backlog comes at once and catches up."""
    judge, backlog = judge_of(), judge_of()
    lagging = [
        text.code
        for n in range(40)
        for text in judge.judge([reading(60 * n - 3602)], NOON + timedelta(minutes=n)).said
    ]
    caught_up = [text.code for n in range(60) for text in backlog.judge([reading(60 * n - 3600)], NOON).said]

    assert lagging == ["VEN-RDG-058"]
    assert caught_up == []


def growing(offset_s: float, minutes: int = 40, step: int = 1) -> list[str]:
    """Return the codes reported of a file that gets a row every few minutes, each off by `offset_s`."""
    judge = judge_of(HISTORY)
    return [
        text.code
        for n in range(0, minutes, step)
        for text in judge.judge([reading(60 * n + offset_s)], NOON + timedelta(minutes=n)).said
    ]


@pytest.mark.parametrize(
    ("offset_s", "codes"),
    [
        (-5, []),
        (-700, []),
        (-3602, ["VEN-RDG-058"]),
        (-7200, ["VEN-RDG-058"]),
        (3590, ["VEN-RDG-222"]),
        (19_800, ["VEN-RDG-222"]),
    ],
)
def test_growing_file_in_a_wrong_zone_is_reported(offset_s: float, codes: list[str]) -> None:
    """Its rows are stored, and the reason why reports miss them is named."""
    assert growing(offset_s) == codes


def test_file_that_is_delivered_once_an_hour_is_as_old_as_it_is() -> None:
    """An hour between row and delivery does not mean a wrong zone."""
    assert growing(-3600, minutes=1200, step=60) == []


@pytest.mark.parametrize("days", [2, 40, 2600])
def test_growing_file_whose_clock_lost_its_time_is_reported(days: int) -> None:
    """A clock that starts again in the past and counts on is named once, with what to check."""
    judge = judge_of(HISTORY)
    times = [60.0 * n for n in range(10)] + [-days * DAY_S + 60.0 * n for n in range(10)]
    said = [text for second in times for text in judge.judge([reading(second)], NOON).said]

    assert [text.code for text in said] == ["VEN-RDG-223"]
    assert said[0].params["offset"] == f"{days} d"


def test_offset_has_the_minutes_of_a_zone() -> None:
    """Half an hour matters."""
    [said] = judge_of().judge([reading(5.5 * 3600)], NOON).said

    assert said.params["offset"] == "5 h 30 min"
