"""Readings as lines: every name that is allowed, and every number, survives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.fakes.influx import parse
from tests.readings.influx_client import point_line
from venclient.model.reading import Quality, Reading
from venclient.readings.line_protocol import Tags, body, lines, name_refusal, refusal
from venclient.readings.series import from_ms, to_ms

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

names = st.text(
    st.one_of(st.sampled_from(" ,=\"'\\#{}$/æ"), st.characters(exclude_categories=["Cs", "Cc"])), min_size=1
).filter(lambda name: name_refusal(name) is None)
numbers = st.floats(allow_nan=False, allow_infinity=False)
times = st.integers(0, 7_000_000_000_000).map(from_ms)


@given(names, names, numbers, times, st.sampled_from(Quality), names, names)
@settings(max_examples=100, deadline=None)
def test_a_line_says_what_the_reading_says(
    resource: str, quantity: str, value: float, time: datetime, quality: Quality, point: str, ven: str
) -> None:
    """Read by the protocol's rules, names, value to the last bit, time and quality are the reading's."""
    [line] = lines([Reading(resource, quantity, value, time, quality)], {resource: Tags(point, ven)})

    measurement, tags, fields, ms = parse(line.text)

    assert measurement == "meter_reading"
    assert tags == {"resource_id": resource, "meter_point_id": point, "ven": ven}
    assert fields.pop(quantity) == value
    assert fields == ({} if quality is Quality.GOOD else {f"{quantity}_quality": quality.value})
    assert ms == to_ms(time)


@given(names, names)
@settings(max_examples=60, deadline=None)  # importing the client takes a second
def test_names_are_escaped_as_the_official_client_escapes_them(resource: str, quantity: str) -> None:
    """Where influxdb-client writes the same name, it writes the same line."""
    assume("\\" not in resource + quantity)  # the client's escapes of those are not undone by any server
    theirs = point_line(resource, quantity, 1.5, to_ms(NOON))

    [ours] = lines([Reading(resource, quantity, 1.5, NOON)], {})

    assert ours.text == theirs


def test_quantities_of_one_moment_share_a_line() -> None:
    """A poll of several quantities is one point; lines come in time order."""
    found = lines(
        [
            Reading("b", "power_kw", 3, NOON + timedelta(seconds=10)),
            Reading("b", "power_kw", 1, NOON),
            Reading("b", "energy_kwh", 2, NOON, Quality.ESTIMATED),
        ],
        {"b": Tags("571", "Herning")},
    )

    head = "meter_reading,meter_point_id=571,resource_id=b,ven=Herning"
    assert body(found).decode().split("\n") == [
        f'{head} power_kw=1.0,energy_kwh=2.0,energy_kwh_quality="estimated" 1772366400000',
        f"{head} power_kw=3.0 1772366410000",
    ]


def test_what_may_be_there_already_is_graded_though_it_is_good() -> None:
    """A correction to good must replace the quality that InfluxDB holds; new readings need not say it."""
    readings = [Reading("b", "power_kw", 1, NOON + timedelta(seconds=n)) for n in range(2)]

    first, second = lines(readings, {}, graded_until_ms={"b": to_ms(NOON)})

    assert 'power_kw_quality="good"' in first.text
    assert "quality" not in second.text


@pytest.mark.parametrize(
    "name", ["", "a\nb", "a\\", "a\\,b", "a\\ b", "a\\=b", "tab\t", "x" * 5000], ids=lambda one: repr(one)[:9]
)
def test_a_name_that_cannot_be_written_is_refused(name: str) -> None:
    """It would come out as another name, or break the line."""
    assert name_refusal(name) is not None


@pytest.mark.parametrize("quantity", ["time", "resource_id", "ven", "meter_point_id"])
def test_a_quantity_with_a_name_of_influxdb_is_refused(quantity: str) -> None:
    """InfluxDB would drop it, or could not distinguish it from the tag."""
    assert refusal(Reading("b", quantity, 1, NOON)) is not None


def test_what_cannot_be_written_in_lesser_tags_becomes_an_underscore() -> None:
    """A strange meter point or VEN name does not cost the readings."""
    [line] = lines([Reading("b", "power_kw", 1, NOON)], {"b": Tags("5\n7\\", "")})

    assert line.head == "meter_reading,meter_point_id=5_7_,resource_id=b"
