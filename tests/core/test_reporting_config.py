"""Reporting configuration: what a `reporting` dict says, with the defaults of the resource's type."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venclient.errors import InvalidRecord
from venclient.model.reporting import ReportingConfig, reporting_problems
from venclient.model.resource import ResourceType


@pytest.mark.parametrize("kind", ResourceType)
def test_defaults_by_type(kind: ResourceType) -> None:
    """Every type has a default with a unit for each payload type; nothing said is that default."""
    default = ReportingConfig.default(kind)

    assert set(default.units) == set(default.payload_types)
    assert ReportingConfig.parse(None, kind) == ReportingConfig.parse({}, kind.name) == default
    assert default.interval == "PT15M"


def test_battery_tells_its_charge() -> None:
    """A battery reports its state of charge besides its energy."""
    assert dict(ReportingConfig.default("BATTERY").units) == {
        "USAGE": "KWH",
        "STORAGE_CHARGE_LEVEL": "PERCENT",
    }


def test_what_is_said_goes_before() -> None:
    """Members that are there replace those of the default; names may be in any case."""
    written = {"payload_types": "usage, demand", "interval": "pt5m", "units": {"demand": "w"}, "program": "p"}

    found = ReportingConfig.parse(written, "DSR")

    assert found == ReportingConfig(
        program="p", payload_types=("USAGE", "DEMAND"), interval="PT5M", units={"USAGE": "KWH", "DEMAND": "W"}
    )


def test_one_unit_for_all() -> None:
    """A unit alone is that of every payload type."""
    found = ReportingConfig.parse({"payload_types": ["USAGE", "READING"], "units": "MWH"}, "PV")

    assert dict(found.units) == {"USAGE": "MWH", "READING": "MWH"}


def test_all_mistakes_at_once() -> None:
    """Each member that makes no sense is named."""
    wrong = {"program": "", "payload_types": [], "reading_type": 5, "interval": "P", "units": {"USAGE": 1}}

    with pytest.raises(InvalidRecord) as caught:
        ReportingConfig.parse(wrong, "DSR")

    assert [one.split()[0] for one in caught.value.problems] == [
        "reporting.program",
        "reporting.payload_types",
        "reporting.reading_type",
        "reporting.interval",
        "reporting.units.USAGE",
    ]


@pytest.mark.parametrize("text", ["PT15M", "PT1H", "P1D", "P1M", "P1DT12H", "pt30s", "P1W"])
def test_durations(text: str) -> None:
    """Durations above zero are intervals."""
    assert reporting_problems({"interval": text}) == []


@pytest.mark.parametrize("text", ["", "P", "PT", "P1DT", "PT0S", "15", "PT-5M", "PT5", 900, None])
def test_what_is_no_duration(text: object) -> None:
    """Anything else is none; None is nothing said."""
    assert bool(reporting_problems({"interval": text})) is (text is not None)


@given(
    st.builds(
        ReportingConfig,
        program=st.none() | st.just("p"),
        payload_types=st.lists(
            st.sampled_from(["USAGE", "DEMAND", "READING", "x-own"]), min_size=1, unique=True
        ).map(lambda types: tuple(map(str.upper, types))),
        reading_type=st.sampled_from(["DIRECT_READ", "MEAN"]),
        interval=st.sampled_from(["PT5M", "P1D"]),
        units=st.just({}),
    ),
    st.sampled_from(ResourceType),
)
def test_round_trip(config: ReportingConfig, kind: ResourceType) -> None:
    """What a configuration says as a dict means the same when it is read again."""
    once = ReportingConfig.parse(config.as_dict(), kind)

    assert ReportingConfig.parse(once.as_dict(), kind) == once
    assert (once.payload_types, once.interval) == (config.payload_types, config.interval)
