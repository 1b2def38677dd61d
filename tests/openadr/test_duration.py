"""Durations: read, written back, and counted from a start."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from venclient.errors import WireError
from venclient.openadr.duration import Duration

START = datetime(2026, 1, 1, tzinfo=UTC)

durations = st.builds(
    Duration,
    sign=st.sampled_from([1, -1]),
    years=st.integers(0, 20_000),
    months=st.integers(0, 100),
    weeks=st.integers(0, 100),
    days=st.integers(0, 1000),
    hours=st.integers(0, 1000),
    minutes=st.integers(0, 1000),
    secs=st.decimals(0, 10_000, places=3),
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT15M", 900.0),
        ("PT0H", 0.0),
        ("P0Y0M0DT1H0M0S", 3600.0),
        ("pt1h", 3600.0),
        (" PT1.5H ", 5400.0),
        ("PT1,5H", 5400.0),
        ("P0.5W", 302_400.0),
        ("-PT5M", -300.0),
        ("+P1D", 86_400.0),
        ("PT0.25S", 0.25),
        ("P1M", None),
        ("P1Y", None),
    ],
)
def test_odd_and_plain_spellings_are_read(text: str, seconds: float | None) -> None:
    """Every spelling that VTNs use has the length that it says, months and years have none."""
    assert Duration.parse(text).seconds == seconds


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "15M", "PT15", "P1H", "PTM", "P1.3M", "P" + "9" * 200 + "Y", "PT١M"]
)
def test_what_is_no_duration_is_refused_by_name(text: str) -> None:
    """A text that is not a duration raises a WireError that quotes it."""
    with pytest.raises(WireError) as caught:
        Duration.parse(text)

    assert repr(text[:60]) in str(caught.value)


@pytest.mark.parametrize("text", ["P9999Y", "P9999Y0M0DT0H0M0S", "P10000Y", "P119988M", "P9998Y12M"])
def test_row_31_infinity_in_any_spelling(text: str) -> None:
    """9999 years and more never end, and asking for the end does not overflow."""
    duration = Duration.parse(text)

    assert duration.is_infinite
    assert duration.after(START) is None


@pytest.mark.parametrize("text", ["PT0S", "P0D", "PT0H", "P0Y0M0DT0H0M0S"])
def test_zero_in_any_spelling(text: str) -> None:
    """A duration of nothing is zero however it is written, and ends where it starts."""
    assert Duration.parse(text).is_zero
    assert Duration.parse(text).after(START, 1000) == START


def test_a_month_is_counted_on_the_calendar_from_its_start() -> None:
    """One month after 31 January is the last of February, two are 31 March: cuts do not add up."""
    end_of_january = datetime(2024, 1, 31, 12, tzinfo=UTC)
    month = Duration.parse("P1M")

    assert month.after(end_of_january) == datetime(2024, 2, 29, 12, tzinfo=UTC)
    assert month.after(end_of_january, 2) == datetime(2024, 3, 31, 12, tzinfo=UTC)


def test_a_day_keeps_the_time_of_day_where_clocks_change() -> None:
    """A day over a change of clocks keeps the wall time, 24 hours do not."""
    before = datetime(2026, 3, 28, 12, tzinfo=ZoneInfo("Europe/Copenhagen"))

    assert Duration.parse("P1D").after(before) == datetime(2026, 3, 29, 10, tzinfo=UTC)
    assert Duration.parse("PT24H").after(before) == datetime(2026, 3, 29, 11, tzinfo=UTC)


def test_a_far_step_is_one_step() -> None:
    """The millionth quarter of an hour is reached at once and exactly."""
    assert Duration.parse("PT15M").after(START, 1_000_000) == START + timedelta(minutes=15_000_000)


def test_beyond_the_calendar_is_none() -> None:
    """A finite duration that passes the year 9999 has no end point, and does not crash."""
    assert Duration.parse("P9000Y").after(START) is None
    assert Duration.parse("-P3000Y").after(START) is None
    assert Duration.parse("PT999999999999S").after(START, 10**9) is None


@given(durations)
@settings(max_examples=150)
def test_text_and_duration_say_the_same(duration: Duration) -> None:
    """What is written reads back equal."""
    again = Duration.parse(str(duration))

    assert (again == duration) or (again.is_zero and duration.is_zero)


@given(st.integers(0, 500), st.integers(0, 500), st.decimals(0, 1000, places=2), st.integers(0, 300))
@settings(max_examples=100)
def test_times_and_steps_agree(hours: int, minutes: int, secs: Decimal, n: int) -> None:
    """n steps end where one step of n times the length ends."""
    duration = Duration(hours=hours, minutes=minutes, secs=secs)

    assert duration.after(START, n) == duration.times(n).after(START)


@given(st.text(alphabet="PTYMWDHS0123456789.,-+ ", max_size=20))
@settings(max_examples=200)
def test_no_text_crashes_the_reader(text: str) -> None:
    """Any text is either read or refused with a WireError."""
    with contextlib.suppress(WireError):
        Duration.parse(text).after(START)
