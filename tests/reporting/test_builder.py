"""What a report says: values, units, quality, targets and sums (rows 22, 53 to 56, 58, 64)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from tests.counted import growth
from tests.reporting.samples import HOUR, T0, at, event, last, measured, measures_of, reportables
from venclient.messages import code_of
from venclient.model.reading import Measure, Quality
from venclient.openadr.codec import CODEC_31
from venclient.openadr.objects import Report
from venclient.reporting.builder import Built, build_report
from venclient.reporting.needs import needs
from venclient.reporting.obligations import Obligation, owed
from venclient.reporting.payloads import BuildOptions
from venclient.reporting.targets import Reportable, resources_of
from venclient.reporting.units import base_of, converted, declared

OPTIONS = BuildOptions(client_name="ven-1")


def obligation(*descriptors: Mapping[str, Any], count: int = 2, **members: Any) -> Obligation:
    """Return the one obligation of an event over all its intervals."""
    found = owed(
        event(count, *descriptors, **members),
        anchor=T0,
        first_seen=T0 - HOUR,
        after=None,
        until=T0 + timedelta(days=9),
    )
    assert len(found) == 1
    return found[0]


def told(report: Report | None) -> dict[str, list[dict[str, Any]]]:
    """Return, per resource, each interval's values by payload type."""
    assert report is not None
    return {
        part.resource_name: [{one.type: one.values[0] for one in i.payloads} for i in part.intervals]
        for part in report.resources
    }


def build(
    one: Obligation, measures: Mapping[tuple[str, Any, Any], Measure], *names: str, **options: Any
) -> Built:
    """Build with resources of these names."""
    given = {"client_name": "ven-1", **options}
    return build_report(one, reportables(*(names or ("hotel",))), measures, BuildOptions(**given))


def test_row_47_report_tells_energy_and_power_of_each_interval() -> None:
    """USAGE and DEMAND share the intervals of one report, with the event's ids and one period."""
    one = obligation({"units": "KWH"}, {"payloadType": "DEMAND", "units": "KW"}, first_id=7)
    built = build(one, measures_of(one, {"r1": 3.0, "r2": 5.0}), "hotel", "school")

    assert built.omissions == ()
    assert told(built.report) == {
        "hotel": [{"USAGE": 3.0, "DEMAND": 3.0}] * 2,
        "school": [{"USAGE": 5.0, "DEMAND": 5.0}] * 2,
    }
    assert built.report is not None
    part = built.report.resources[0]
    assert [interval.id for interval in part.intervals] == [7, 8]
    assert part.interval_period is not None
    assert (part.interval_period.start, part.interval_period.duration) == ("2026-01-01T00:00:00Z", "PT1H")
    assert all(interval.interval_period is None for interval in part.intervals)
    assert ("E1", "ven-1", one.report_name) == (
        built.report.event_id,
        built.report.client_name,
        built.report.report_name,
    )


def test_what_is_sent_is_declared() -> None:
    """Each payload type is declared with its unit and what kind of reading it is."""
    one = obligation({}, {"payloadType": "DEMAND"})
    report = build(one, measures_of(one, {"r1": 3.0})).report

    assert report is not None
    assert [
        (said.payload_type, said.reading_type, said.units) for said in report.payload_descriptors or ()
    ] == [("USAGE", "DIRECT_READ", "KWH"), ("DEMAND", "MEAN", "KW")]


@pytest.mark.parametrize(
    ("asked", "value", "units"),
    [
        ({"units": "KWH"}, 3.0, "KWH"),
        ({"units": "WH"}, 3000.0, "WH"),
        ({"units": "kWh"}, 3.0, "kWh"),
        ({"payloadType": "DEMAND", "units": "W"}, 3000.0, "W"),
        ({"payloadType": "DEMAND", "units": "MW"}, 0.003, "MW"),
        ({"units": "THERMS"}, 0.102364249, "THERMS"),
        ({"units": "KVARH"}, 3.0, "KWH"),
        ({"units": "KW"}, 3.0, "KWH"),
    ],
)
def test_row_55_units_are_converted_or_our_own_declared(
    asked: dict[str, Any], value: float, units: str
) -> None:
    """A unit that ours converts to is used; otherwise ours is sent, declared, and that is said."""
    one = obligation(asked, count=1)
    built = build(one, measures_of(one, {"r1": 3.0}))

    assert built.report is not None
    assert [value] == list(told(built.report)["hotel"][0].values())
    assert units == (built.report.payload_descriptors or [])[0].units
    assert (units != asked["units"]) == any(code_of(said) == "VEN-REP-017" for said in built.omissions)


@pytest.mark.parametrize(
    ("reading_type", "value", "said"),
    [
        (None, 3.0, "MEAN"),
        ("DIRECT_READ", 3.0, "MEAN"),
        ("MEAN", 3.0, "MEAN"),
        ("AVERAGE", 3.0, "AVERAGE"),
        ("PEAK", 6.0, "PEAK"),
    ],
)
def test_row_56_demand_is_mean_or_peak(reading_type: str | None, value: float, said: str) -> None:
    """DEMAND is the mean unless the peak is asked for, and is declared as what it is."""
    one = obligation({"payloadType": "DEMAND", "readingType": reading_type}, count=1)
    report = build(one, measures_of(one, {"r1": 3.0})).report

    assert report is not None
    assert {"hotel": [{"DEMAND": value}]} == told(report)
    assert said == (report.payload_descriptors or [])[0].reading_type


@pytest.mark.parametrize(
    "asked",
    [
        {"payloadType": "DEMAND", "readingType": "MEDIAN"},
        {"payloadType": "STORAGE_DISPATCH_FORECAST"},
        {"payloadType": "X_PRIVATE"},
        {"payloadType": "STORAGE_CHARGE_LEVEL", "historical": False},
        {"payloadType": "READING", "units": "GALLONS"},
    ],
)
def test_what_cannot_be_made_is_left_out_and_said(asked: dict[str, Any]) -> None:
    """An unsupported payload type is named; with nothing else, no report is made."""
    one = obligation(asked)
    built = build(one, measures_of(one, {"r1": 3.0}))

    assert built.report is None
    assert f"event E1: {asked['payloadType']}" in built.omissions[0]
    assert code_of(built.omissions[0]) == "VEN-REP-014"


@pytest.mark.parametrize(
    ("units", "quantity", "value", "expected", "said"),
    [
        (None, "energy_kwh", 1234.5, 1234.5, "KWH"),
        ("KW", "power_kw", -2.0, -2.0, "KW"),
        ("VOLTS", "voltage_v", 230.1, 230.1, "VOLTS"),
        ("FAHRENHEIT", "temperature_c", 100.0, 212.0, "FAHRENHEIT"),
    ],
)
def test_reading_is_what_the_meter_showed_last(
    units: str | None, quantity: str, value: float, expected: float, said: str
) -> None:
    """READING shows the quantity that its unit belongs to, the energy register without one."""
    one = obligation({"payloadType": "READING", "units": units}, count=1)
    report = build(one, measures_of(one, {"r1": 3.0}, last=last(quantity, value, at(0.99)))).report

    assert report is not None
    assert {"hotel": [{"READING": pytest.approx(expected)}]} == told(report)
    assert said == (report.payload_descriptors or [])[0].units


@pytest.mark.parametrize(("full", "expected"), [(1.0, 0.4), (100.0, 40.0)])
def test_charge_level_follows_the_scale_setting(full: float, expected: float) -> None:
    """STORAGE_CHARGE_LEVEL is a share of full, 0 to 1 or 0 to 100 as set."""
    one = obligation({"payloadType": "STORAGE_CHARGE_LEVEL"}, count=1)
    built = build(
        one, measures_of(one, {"r1": 3.0}, last=last("soc_percent", 40.0, at(0.5))), percent_of_full=full
    )

    assert {"hotel": [{"STORAGE_CHARGE_LEVEL": expected}]} == told(built.report)


def test_reading_from_before_the_interval_is_missing() -> None:
    """A reading from before an interval is not reported as the interval's."""
    one = obligation({"payloadType": "READING"}, count=1)
    built = build(one, measures_of(one, {"r1": 3.0}, last=last("energy_kwh", 9.0, at(-1))))

    assert told(built.report) == {"hotel": [{"DATA_QUALITY": "MISSING"}]}


def test_row_58_missing_is_never_zero() -> None:
    """An interval without readings has no value, and DATA_QUALITY says MISSING."""
    one = obligation({})
    measures = measures_of(one, {"r1": 3.0})
    del measures["r1", at(1), at(2)]
    built = build(one, measures)

    assert told(built.report) == {"hotel": [{"USAGE": 3.0}, {"DATA_QUALITY": "MISSING"}]}
    assert built.report is not None
    assert [said.payload_type for said in built.report.payload_descriptors or ()] == ["USAGE", "DATA_QUALITY"]
    assert code_of(built.omissions[0]) == "VEN-REP-020"
    assert "no USAGE data for hotel in 1 interval;" in built.omissions[0]


def test_row_58_estimated_is_flagged_and_good_only_on_request() -> None:
    """A value that is not sound has its quality beside it; a good one when DATA_QUALITY is asked for."""
    one = obligation({}, count=1)
    asked = obligation({}, {"payloadType": "DATA_QUALITY"}, count=1)

    assert told(
        build(one, measures_of(one, {"r1": 3.0}, quality=Quality.ESTIMATED, coverage=0.8)).report
    ) == {"hotel": [{"USAGE": 3.0, "DATA_QUALITY": "ESTIMATED"}]}
    assert told(build(asked, measures_of(asked, {"r1": 3.0})).report) == {
        "hotel": [{"USAGE": 3.0, "DATA_QUALITY": "OK"}]
    }


def test_row_58_no_quality_beside_two_payload_types() -> None:
    """With several payload types a quality would be ambiguous: missing values are left out, and named."""
    one = obligation({}, {"payloadType": "DEMAND"})
    measures = measures_of(one, {"r1": 3.0})
    del measures["r1", at(0), at(1)]
    built = build(one, measures)

    assert told(built.report) == {"hotel": [{"USAGE": 3.0, "DEMAND": 3.0}]}
    assert built.report is not None
    assert [interval.id for interval in built.report.resources[0].intervals] == [1]
    assert len(built.omissions) == 2


def test_gap_between_intervals_gives_each_its_own_period() -> None:
    """When an interval is left out, those that remain carry their own periods."""
    one = obligation({}, {"payloadType": "DEMAND"}, count=3)
    measures = measures_of(one, {"r1": 3.0})
    del measures["r1", at(1), at(2)]
    report = build(one, measures).report

    assert report is not None
    part = report.resources[0]
    assert part.interval_period is None
    assert [interval.interval_period.start for interval in part.intervals if interval.interval_period] == [
        "2026-01-01T00:00:00Z",
        "2026-01-01T02:00:00Z",
    ]


def test_resource_without_any_value_is_left_out() -> None:
    """A dark meter does not keep the others from being reported."""
    one = obligation({}, {"payloadType": "DEMAND"})

    assert {"hotel"} == set(told(build(one, measures_of(one, {"r1": 3.0}), "hotel", "school").report))


def test_nothing_known_gives_no_report() -> None:
    """With no value at all there is nothing to send, and it is said why."""
    built = build(obligation({}, {"payloadType": "DEMAND"}), {})

    assert built.report is None
    assert built.omissions


def test_little_coverage_counts_as_missing() -> None:
    """Energy is not reported when readings cover less than the set share of the interval."""
    one = obligation({}, count=1)
    little = measures_of(one, {"r1": 3.0}, coverage=0.3, quality=Quality.ESTIMATED)

    assert told(build(one, little).report) == {"hotel": [{"DATA_QUALITY": "MISSING"}]}
    assert told(build(one, little, min_coverage=0.2).report)["hotel"][0]["USAGE"] == 3.0


@pytest.mark.parametrize("allowed", [False, True])
def test_feed_in_is_sent_only_when_allowed(allowed: bool) -> None:
    """Negative USAGE and DEMAND are left out and said, unless the setting allows them."""
    one = obligation({}, {"payloadType": "DEMAND"}, count=1)
    built = build(one, measures_of(one, {"r1": -3.0}), allow_negative=allowed)

    if allowed:
        assert told(built.report) == {"hotel": [{"USAGE": -3.0, "DEMAND": -3.0}]}
    else:
        assert built.report is None
        assert "reporting.allow_negative" in built.omissions[0]


def test_noise_below_zero_is_zero() -> None:
    """A rounding error below zero is reported as 0.0, not left out, and never as -0.0."""
    one = obligation({}, count=1)
    value = told(build(one, measures_of(one, {"r1": -1e-12})).report)["hotel"][0]["USAGE"]

    assert repr(value) == "0.0"


def test_row_54_aggregate_is_the_sum_under_its_reserved_name() -> None:
    """An aggregate is one resource named AGGREGATED_REPORT with the sum."""
    one = obligation({"aggregate": True})

    assert told(build(one, measures_of(one, {"r1": 1.0, "r2": 2.0, "r3": 3.0}), "a", "b", "c").report) == {
        "AGGREGATED_REPORT": [{"USAGE": 6.0}] * 2
    }


def test_row_54_sum_that_lacks_a_part_is_flagged_or_left_out() -> None:
    """A sum without one of its meters is ESTIMATED where the report can state quality, else not sent."""
    alone = obligation({"aggregate": True}, count=1)
    both = obligation({"aggregate": True}, {"payloadType": "DEMAND", "aggregate": True}, count=1)

    assert told(build(alone, measures_of(alone, {"r1": 1.0}), "a", "b").report) == {
        "AGGREGATED_REPORT": [{"USAGE": 1.0, "DATA_QUALITY": "ESTIMATED"}]
    }
    built = build(both, measures_of(both, {"r1": 1.0}), "a", "b")
    assert built.report is None
    assert code_of(built.omissions[0]) == "VEN-REP-018"


def test_row_54_peaks_are_not_summed() -> None:
    """Peaks of several resources fall at different moments: their sum is refused."""
    one = obligation({"payloadType": "DEMAND", "readingType": "PEAK", "aggregate": True})
    built = build(one, measures_of(one, {"r1": 1.0}))

    assert built.report is None
    assert "cannot be summed" in built.omissions[0]


def test_row_26_descriptor_targets_restrict_the_resources() -> None:
    """Each payload type is reported for the resources that its targets name."""
    one = obligation({"targets": ["zone-a"]}, {"payloadType": "DEMAND"}, count=1)
    sites = [Reportable("r1", "hotel", frozenset({"zone-a"})), Reportable("r2", "school")]
    built = build_report(one, sites, measures_of(one, {"r1": 1.0, "r2": 2.0}), OPTIONS)

    assert told(built.report) == {"hotel": [{"USAGE": 1.0, "DEMAND": 1.0}], "school": [{"DEMAND": 2.0}]}


@pytest.mark.parametrize(
    ("descriptor", "of_event", "expected"),
    [
        (None, [], ["a", "b"]),
        (["za"], [], ["a"]),
        (["b"], [], ["b"]),
        (["whole"], [], ["a", "b"]),
        (["elsewhere"], [], []),
        (None, ["za"], ["a"]),
        (None, ["elsewhere"], []),
        (None, ["elsewhere", "za"], ["a"]),
        (["whole"], ["elsewhere"], []),
        (None, ["whole"], ["a", "b"]),
        (["za"], ["b"], []),
    ],
)
def test_row_26_targets_name_resources(
    descriptor: list[str] | None, of_event: list[str], expected: list[str]
) -> None:
    """Targets match granted targets, names, or the VEN as a whole."""
    sites = [Reportable("r1", "a", frozenset({"za"})), Reportable("r2", "b")]

    assert expected == [one.resource_name for one in resources_of(descriptor, of_event, sites, {"whole"})]


def test_row_64_values_are_floats_on_the_wire() -> None:
    """A whole number leaves as 10.0."""
    one = obligation({}, count=1)
    measures = {("r1", at(0), at(1)): measured("r1", at(0), at(1), 10)}
    report = build(one, measures).report

    assert report is not None
    assert b'"values":[10.0]' in CODEC_31.report_request(report)


def test_units_know_their_relatives() -> None:
    """Units convert within their kind and are unknown otherwise."""
    assert tuple(map(base_of, (None, "PARSEC", "wh", "FAHRENHEIT"))) == (None, None, "KWH", "CELSIUS")
    assert (declared("KW", "KWH"), declared("KW", "w")) == ("KW", "w")
    assert converted(5.0, "PARSEC") == 5.0


def test_row_55_one_report_has_one_unit_for_a_payload_type() -> None:
    """Resources of two descriptors that have different units are reported in the declared unit."""
    one = obligation({"targets": ["a"]}, {"targets": ["b"]}, count=1)
    resources = [
        Reportable("r1", "a", units={"USAGE": "KWH"}),
        Reportable("r2", "b", units={"USAGE": "WH"}),
    ]
    report = build_report(one, resources, measures_of(one, {"r1": 1.0, "r2": 1.0}), OPTIONS).report

    assert report is not None
    assert [said.units for said in report.payload_descriptors or ()] == ["KWH"]
    assert told(report) == {"a": [{"USAGE": 1.0}], "b": [{"USAGE": 1.0}]}


def test_row_26_descriptors_for_each_of_many_resources() -> None:
    """A descriptor for each resource alone gives each its own, in steps that grow with the resources."""

    def build_for(count: int) -> Callable[[], object]:
        descriptors = [{"targets": [f"n{n}"]} for n in range(count)]
        some = [Reportable(f"r{n}", f"n{n}") for n in range(count)]

        def work() -> None:
            one = obligation(*descriptors, count=1)
            measures = measures_of(one, {each.resource_id: 1.0 for each in some})
            report = build_report(one, some, measures, OPTIONS).report
            assert [len(need.resource_ids) for need in needs(one, some, OPTIONS)] == [count]
            assert report is not None
            assert len(report.resources) == count

        return work

    assert growth(build_for, 100) < 6
