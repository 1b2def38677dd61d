"""What the VTN should know of the resources (rows 16, 21 to 23)."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from venclient.messages import code_of
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.openadr.objects import ValuesMap
from venclient.reporting.registration import (
    resource_attributes,
    resource_names,
)


def site(id_: str, name: str, **members: Any) -> Resource:
    """Return a resource."""
    given: dict[str, Any] = {
        "resourceType": "DSR",
        "resourceSubType": "Hotels",
        "meterPointId": "707057500000000001",
        "connection": Connection(ConnectionType.MQTT, ActorType.READER, topic="t"),
        "capacities": {"P_max_kw": 50, "P_min_kw": -20, "E_max_kwh": 200, "E_min_kwh": 0},
        "location": {"latitude": 56.1, "longitude": 8.9},
        **members,
    }
    return Resource(id_, name, **given)


def values(attributes: tuple[ValuesMap, ...]) -> dict[str, list[Any]]:
    """Return the attributes' values by type."""
    return {one.type: one.values for one in attributes}


def test_row_23_attributes_are_typed() -> None:
    """Location is longitude first, powers are kW floats, the description is text."""
    found = values(resource_attributes(site("a", "Hotel")))

    assert found["LOCATION"] == [8.9, 56.1]
    assert repr(found["MAX_POWER_CONSUMPTION"]) == "[50.0]"
    assert found["MAX_POWER_EXPORT"] == [20.0]
    assert found["DESCRIPTION"] == ["DSR, Hotels; meter point 707057500000000001"]


def test_row_23_location_order_is_a_setting() -> None:
    """Latitude can come first where the VTN wants it so."""
    found = values(resource_attributes(site("a", "Hotel"), location_order="lat_lon"))

    assert found["LOCATION"] == [56.1, 8.9]


def test_bad_numbers_are_named_and_left_out() -> None:
    """A capacity or coordinate that is not a number is named; the rest is kept."""
    problems: list[str] = []
    bad = site("a", "Hotel", capacities={"P_max_kw": "much"}, location={"latitude": 95, "longitude": 1})
    found = values(resource_attributes(bad, problems=problems))

    assert list(found) == ["DESCRIPTION"]
    assert [code_of(one) for one in problems] == ["VEN-REP-072", "VEN-REP-073"]


def test_names_of_two_sites_are_told_apart() -> None:
    """Sites of one name get a part of their ids, whatever the order; other names stay."""
    sites = [site("11111111-a", "Hotel"), site("22222222-b", "Hotel"), site("33333333-c", "School")]
    expected = {
        "11111111-a": "Hotel (11111111)",
        "22222222-b": "Hotel (22222222)",
        "33333333-c": "School",
    }

    assert expected == resource_names(sites)
    assert expected == resource_names(sites[::-1])


def test_known_names_are_kept() -> None:
    """A name once given stays when a namesake comes."""
    sites = [site("11111111-a", "Hotel"), site("22222222-b", "Hotel")]
    names = resource_names(sites, {"11111111-a": "Hotel"})

    assert names["11111111-a"] == "Hotel"
    assert names["22222222-b"] == "Hotel (22222222)"


def test_reserved_and_empty_names_are_replaced() -> None:
    """The name of aggregates is not a site's; a site without a name gets one."""
    names = resource_names([site("11111111-a", "AGGREGATED_REPORT"), site("22222222-b", " \n ")])

    assert {"AGGREGATED_REPORT (11111111)", "resource 22222222"} == set(names.values())


@settings(max_examples=80, deadline=None)
@given(st.lists(st.text(max_size=140), max_size=8), st.randoms(use_true_random=False))
def test_row_22_names_are_unique_and_fit(texts: list[str], rng: Any) -> None:
    """Whatever sites are called, names are unique, 1 to 128 characters, and do not depend on order."""
    sites = [site(f"{n:08d}-id", text) for n, text in enumerate(texts)]
    shuffled = list(sites)
    rng.shuffle(shuffled)
    names = resource_names(sites)

    assert len(sites) == len(set(names.values()))
    assert all(1 <= len(name) <= 128 for name in names.values())
    assert names == resource_names(shuffled)
