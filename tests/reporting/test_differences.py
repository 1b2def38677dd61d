"""Two versions of a report are compared value by value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.reporting.samples import EACH, T0, at, event, measures_of, reportables
from tests.reporting.test_sent_codec import reports, windows
from venclient.model.reading import Quality
from venclient.openadr.objects import Interval, IntervalPeriod, Report, ReportResource, ValuesMap
from venclient.reporting.builder import build_report
from venclient.reporting.differences import Key, Said, differences, intervals_of, said_by
from venclient.reporting.obligations import agenda
from venclient.reporting.payloads import BuildOptions
from venclient.reporting.sent_codec import Unsaid

keys = st.builds(
    Key,
    st.sampled_from(["hotel", "school"]),
    st.just(T0),
    st.just(at(1)),
    st.integers(0, 2),
    st.sampled_from(["USAGE", "DEMAND"]),
)
numbers = st.floats(-1e6, 1e6) | st.integers(-(10**6), 10**6)
said = st.builds(
    Said, numbers | st.booleans() | st.text(max_size=3) | st.none(), st.sampled_from(["", "OK", "ESTIMATED"])
)
versions = st.dictionaries(keys, said, max_size=8)


@given(versions)
def test_nothing_differs_from_itself(one: dict[Key, Said]) -> None:
    """Every value is the same, and its difference is 0 where it is a number."""
    found = differences(one, one)

    assert [each.key for each in found] == list(one)
    assert all(each.same for each in found)
    assert {each.difference for each in found} <= {0.0, None}


@given(versions, versions)
def test_each_value_of_either_version_comes_once(one: dict[Key, Said], other: dict[Key, Said]) -> None:
    """No value of either is lost, none is invented, and those that were sent come first."""
    found = differences(one, other)

    assert {each.key: each.sent for each in found if each.sent} == one
    assert {each.key: each.now for each in found if each.now} == other
    assert [each.key for each in found][: len(one)] == list(one)


@given(versions, versions)
def test_the_other_way_round_is_the_opposite(one: dict[Key, Said], other: dict[Key, Said]) -> None:
    """Now minus sent is the negative of sent minus now, and the same values differ."""
    there = {each.key: each for each in differences(one, other)}
    for back in differences(other, one):
        forth = there[back.key]
        assert forth.same == back.same
        if back.difference is None:
            assert forth.difference is None
        else:
            assert forth.difference == -back.difference


@given(versions, versions)
def test_sent_plus_difference_is_now(one: dict[Key, Said], other: dict[Key, Said]) -> None:
    """A settlement can be corrected by adding the differences up, to the last digit that is reported."""
    for each in differences(one, other):
        if each.difference is None:
            continue
        assert each.sent is not None
        assert each.now is not None
        assert float(each.sent.value) + each.difference == pytest.approx(float(each.now.value), abs=1e-8)  # type: ignore[arg-type]


@given(reports)
def test_no_report_is_too_odd_to_be_compared(report: Report) -> None:
    """Whatever a VTN holds: each value comes once, and nothing differs from itself."""
    values = said_by(report)
    count = sum(
        len(payload.values)
        for part in report.resources
        for interval in part.intervals
        for payload in interval.payloads
        if payload.type != "DATA_QUALITY"
    )

    assert sum(1 for one in values if one.payload_type) <= count
    assert all(one.same for one in differences(values, said_by(report)))


def usage(start: str, *values: float) -> Report:
    """Return a report of hours in a row, with one period for all."""
    part = ReportResource(
        resource_name="hotel",
        interval_period=IntervalPeriod(start=start, duration="PT1H"),
        intervals=[
            Interval(id=7 + n, payloads=[ValuesMap(type="USAGE", values=[value])])
            for n, value in enumerate(values)
        ],
    )
    return Report(event_id="E1", client_name="ven-1", report_name="R", resources=[part])


def test_intervals_follow_one_another_from_the_start_of_all() -> None:
    """Their times are those of the event, with and without a period for each."""
    [part] = usage("2026-01-01T00:00:00Z", 1.0, 2.0).resources
    assert [(one.id, a, b) for one, a, b in intervals_of(part)] == [(7, at(0), at(1)), (8, at(1), at(2))]

    own = [
        replace(one, interval_period=IntervalPeriod(start="2026-01-01T03:00:00Z", duration="PT15M"))
        for one in part.intervals
    ]
    assert {a for _, a, _ in intervals_of(replace(part, intervals=own))} == {at(3)}


def test_a_changed_value_and_a_new_one_are_found() -> None:
    """The difference is now minus sent; what was not sent has none."""
    first, second = differences(
        said_by(usage("2026-01-01T00:00:00Z", 1.5)), said_by(usage("2026-01-01T00:00:00Z", 1.25, 2.0))
    )

    assert (first.difference, first.same) == (-0.25, False)
    assert (second.sent, second.difference, second.same) == (None, None, False)


def test_true_and_one_are_different_values() -> None:
    """A switch is not a number; 10 and 10.0 are the same."""
    key = Key("hotel", T0, at(1), 0, "USAGE")

    assert not differences({key: Said(True)}, {key: Said(1)})[0].same
    assert differences({key: Said(10)}, {key: Said(10.0)})[0].same


def test_the_quality_beside_a_value_is_its_quality() -> None:
    """OK where none is beside it; a missing value keeps its payload type."""
    [one] = windows(1)
    for quality, expected in ((Quality.GOOD, Said(2.0, "OK")), (Quality.ESTIMATED, Said(2.0, "ESTIMATED"))):
        found = measures_of(one, {"r1": 2.0}, quality=quality)
        built = build_report(one, reportables("hotel"), found, BuildOptions(client_name="v"))
        assert list(said_by(built.report).values()) == [expected]
    built = build_report(one, reportables("hotel"), {}, BuildOptions(client_name="v"))
    assert said_by(built.report, missing="USAGE") == {
        Key("hotel", at(0), at(1), 0, "USAGE"): Said(None, "MISSING")
    }


def test_a_quality_that_a_report_has_no_room_for_is_kept_beside_it() -> None:
    """With several payload types the report cannot say it; what was built says it all the same."""
    asked = agenda(event(1, EACH, {**EACH, "payloadType": "DEMAND"}), None, anchor=T0)
    [one] = asked.falling_due(first_seen=T0, after=None, until=at(9))
    built = build_report(
        one,
        reportables("hotel"),
        measures_of(one, {"r1": 2.0}, quality=Quality.ESTIMATED),
        BuildOptions(client_name="v"),
    )

    assert built.unsaid == (
        Unsaid("hotel", "USAGE", 0, "ESTIMATED"),
        Unsaid("hotel", "DEMAND", 0, "ESTIMATED"),
    )
    assert {one.quality for one in said_by(built.report, built.unsaid).values()} == {"ESTIMATED"}
    unknown = said_by(built.report, None).values()
    assert {one.quality for one in unknown} == {""}
