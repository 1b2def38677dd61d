"""Times on the wire: what VTNs write, the "now" sentinel, and what we write."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.codes import raises_code
from venclient.errors import WireError
from venclient.messages import code_of
from venclient.openadr.times import NOW, format_time, known_time, parse_time

NOON = datetime(2023, 2, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2023-02-10T12:00:00Z",
        "2023-02-10T12:00:00.000Z",
        "2023-02-10T12:00:00.000000+00:00",
        "2023-02-10t12:00:00z",
        "2023-02-10 12:00:00.000Z",
        "2023-02-10T13:00:00+01:00",
        "2023-02-10T11:59:59.9999999Z",
        " 2023-02-10T12:00:00-00:00 ",
    ],
)
def test_one_moment_in_many_spellings(text: str) -> None:
    """Fractions, zones, case and a space instead of the T do not change the moment."""
    moment = parse_time(text)

    assert isinstance(moment, datetime)
    assert abs(moment - NOON) <= timedelta(microseconds=1)


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01",
        "0001-01-01T00:00:00",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:00",
        "0001-01-01T00:00:00.000Z",
        "0001-01-01T01:00:00+01:00",
        "0000-00-00",
        "0000-00-00T00:00:00Z",
    ],
)
def test_row_30_now_in_any_spelling(text: str) -> None:
    """Both versions' sentinel means now, with or without time and zone."""
    assert parse_time(text) is NOW


def test_a_time_without_zone_is_utc_and_that_is_said() -> None:
    """A naive time is taken as UTC, and a note says so."""
    notes: list[str] = []

    assert parse_time("2023-02-10T12:00:00", notes) == NOON
    assert [code_of(note) for note in notes] == ["VEN-OAD-022"]
    assert "2023-02-10T12:00:00" in notes[0]


@pytest.mark.parametrize("text", [None, "", "  "])
def test_an_absent_time_is_none(text: str | None) -> None:
    """No text, no time."""
    assert parse_time(text) is None


@pytest.mark.parametrize(
    "text",
    ["14:13:26", "yesterday", "20230210", "2023-13-01", "2023-02-10T25:00:00Z", "9999-12-31T23:00:00-09:00"],
)
def test_what_is_no_time_is_refused_by_name(text: str) -> None:
    """A text that names no moment raises a WireError that quotes it; metadata may be read leniently."""
    with pytest.raises(WireError, match="VEN-OAD-023") as caught:
        parse_time(text)

    assert repr(text) in str(caught.value)
    assert known_time(text) is None


def test_a_leap_second_is_the_second_after() -> None:
    """23:59:60 is the same moment as midnight."""
    assert parse_time("2016-12-31T23:59:60Z") == datetime(2017, 1, 1, tzinfo=UTC)


def test_metadata_that_names_a_time_is_known() -> None:
    """The lenient reader gives a sound time and no sentinel."""
    assert known_time("2023-02-10T12:00:00Z") == NOON
    assert known_time("0001-01-01") is None


def test_a_naive_time_is_never_written() -> None:
    """What has no zone is not guessed at when writing."""
    with raises_code(ValueError, "VEN-OAD-024"):
        format_time(datetime(2026, 1, 1))  # noqa: DTZ001  the point of the test


@given(
    st.datetimes(
        min_value=datetime(2, 1, 1),  # noqa: DTZ001  hypothesis wants naive bounds
        timezones=st.just(UTC),
    )
)
@settings(max_examples=150)
def test_what_is_written_reads_back(moment: datetime) -> None:
    """Every aware time survives the wire to the microsecond."""
    assert parse_time(format_time(moment)) == moment


@given(st.text(max_size=30))
@settings(max_examples=150)
def test_no_text_crashes_the_reader(text: str) -> None:
    """Any text is a time, now, nothing or a WireError."""
    with contextlib.suppress(WireError):
        parse_time(text)
