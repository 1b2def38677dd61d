"""Validation: every mistake with its reason, all of one object at once, and doubts kept apart."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.registry.objects import make_connection, make_resource
from venclient.model.resource import Resource
from venclient.registry.validation import check_connection, check_resource, is_plain

UTM = "it looks like UTM metres; convert it to degrees (EPSG:4326)"
GOOD_METER = "707057500000000018"


def make_good(**changes: Any) -> Resource:
    """Give a resource with nothing to be said about it, changed as said."""
    return make_resource(**{"meterPointId": GOOD_METER} | changes)


def test_nothing_to_say() -> None:
    """A good resource has neither problems nor warnings."""
    assert check_resource(make_good()) == ([], [])
    assert check_resource(make_good(resourceID="5249eada-69af-432d-99a5-98f9c89f9aa6")) == ([], [])


PROBLEMS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "empty id": ({"resourceID": " "}, ["resourceID must not be empty"]),
    "long id": (
        {"resourceID": "x" * 129},
        ["resourceID has 129 characters; a UUID, or 1 to 128, is expected"],
    ),
    "id": ({"resourceID": 5}, ["resourceID must be text, not 5"]),
    "type": (
        {"resourceType": "HEAT"},
        ["resourceType 'HEAT' is no ResourceType; known are DSR, BATTERY, PV, EV"],
    ),
    "power": ({"capacities": {"P_max_kw": 1, "P_min_kw": 2}}, ["capacities.P_min_kw 2 is above P_max_kw 1"]),
    "energy": (
        {"capacities": {"E_max_kwh": -1, "E_min_kwh": 0}},
        ["capacities.E_min_kwh 0 is above E_max_kwh -1"],
    ),
    "text": ({"capacities": {"P_max_kw": "much"}}, ["capacities.P_max_kw must be a number, not 'much'"]),
    "infinite": (
        {"capacities": {"P_max_kw": float("inf")}},
        ["capacities.P_max_kw must be a finite number, not inf"],
    ),
    "true": ({"capacities": {"P_max_kw": True}}, ["capacities.P_max_kw must be a number, not True"]),
    "no dict": (
        {"capacities": None, "location": [1, 2]},
        ["capacities must be a dict, not None", "location must be a dict, not [1, 2]"],
    ),
    "latitude": (
        {"location": {"latitude": 90.5, "longitude": 170}},
        ["location.latitude 90.5 is not between -90 and 90"],
    ),
    "swapped": (
        {"location": {"latitude": 120.5, "longitude": 56}},
        ["location.latitude 120.5 is not between -90 and 90 (latitude and longitude look swapped)"],
    ),
    "UTM": (
        {"location": {"latitude": 6222000.5, "longitude": 498000}},
        [
            f"location.latitude 6222000.5 is not between -90 and 90 ({UTM})",
            f"location.longitude 498000 is not between -180 and 180 ({UTM})",
        ],
    ),
    "connection": (
        {"connection": make_connection(host=None, topic="", port=0)},
        [
            "connection: MQTT needs a host",
            "connection: MQTT needs a topic",
            "connection: port must be 1 to 65535, not 0",
        ],
    ),
    "writer": (
        {"control_connection": make_connection(topic=None)},
        [
            "control_connection must be a WRITER: a READER only measures",
            "control_connection: MQTT needs a topic",
        ],
    ),
    "reporting": (
        {"reporting": {"interval": "15 min", "units": 5}},
        [
            "reporting.interval must be an ISO 8601 duration above zero such as PT15M, not '15 min'",
            "reporting.units must be a unit, or units by payload type, not 5",
        ],
    ),
}


@pytest.mark.parametrize(("changes", "told"), PROBLEMS.values(), ids=PROBLEMS)
def test_problems(changes: dict[str, Any], told: list[str]) -> None:
    """What cannot be stored is told, each mistake in a sentence of its own."""
    assert check_resource(make_good(**changes)).problems == told


def test_all_at_once() -> None:
    """Mistakes in several places of one object come together."""
    wrong = make_good(
        resourceID="",
        capacities={"P_max_kw": 1, "P_min_kw": 2},
        location={"latitude": 99},
        connection=make_connection(type="filereader"),
    )

    assert len(check_resource(wrong).problems) == 4


WARNINGS: dict[str, tuple[dict[str, Any], str]] = {
    "check digit": ({"meterPointId": "707057500000000015"}, "ends in 5, its GS1 check digit is 8"),
    "no GS1": ({"meterPointId": "7070"}, "is no 18-digit GS1 number"),
    "spaces": ({"resourceID": " a"}, "has spaces around it"),
    "no name": ({"resourceName": ""}, "resourceName is empty"),
    "capacity": (
        {"capacities": {"p_max_kw": 1}},
        "capacities.p_max_kw is not known here; P_max_kw was meant?",
    ),
    "half a place": ({"location": {"latitude": 56}}, "location.longitude is missing"),
    "text": ({"location": {"latitude": "56.1", "longitude": 9}}, "location.latitude is the text '56.1'"),
    "swapped": ({"location": {"latitude": 8.97, "longitude": 56.14}}, "latitude and longitude look swapped"),
    "writer": ({"connection": make_connection(actortype="writer")}, "connection is a WRITER"),
    "payload": ({"reporting": {"payload_types": ["USEAGE"]}}, "USEAGE is not known here; USAGE was meant?"),
    "member": ({"reporting": {"intervall": "PT5M"}}, "reporting.intervall is not known here; interval was"),
}


@pytest.mark.parametrize(("changes", "told"), WARNINGS.values(), ids=WARNINGS)
def test_warnings(changes: dict[str, Any], told: str) -> None:
    """What may be a slip is told apart, and forbids nothing."""
    found = check_resource(make_good(**changes))

    assert found.problems == []
    assert len(found.warnings) == 1
    assert told in found.warnings[0]


def test_unknown_is_no_mistake() -> None:
    """Capacities and coordinates that nobody knows, None and NaN of old, need no word."""
    found = check_resource(make_good(capacities={"P_max_kw": float("nan"), "P_min_kw": None}, location={}))

    assert found == ([], [])


def test_a_password_is_never_told() -> None:
    """A password of the wrong kind is named, not shown."""
    problems = check_connection(make_connection(password=12345))

    assert problems == ["connection: password must be text"]


NUMBERS = st.none() | st.floats() | st.integers(-300, 300) | st.sampled_from(["", "5", "x", True])


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["P_max_kw", "P_min_kw", "E_max_kwh", "E_min_kwh", "other"]), NUMBERS),
    st.dictionaries(st.sampled_from(["latitude", "longitude"]), NUMBERS),
    st.sampled_from(["", "a", " a", "x" * 200]),
    st.sampled_from([None, {}, {"interval": "PT0S"}]),
    st.sampled_from([None, "", "host"]),
)
def test_quick_look_never_says_more_than_the_close_one(
    capacities: dict[str, Any], location: dict[str, Any], name: str, reporting: Any, host: str | None
) -> None:
    """What the quick look lets pass has no problem when looked at closely."""
    resource = make_good(
        resourceID=name,
        capacities=capacities,
        location=location,
        reporting=reporting,
        connection=make_connection(host=host),
    )

    if is_plain(resource):
        # a second connection makes it look closely
        resource.control_connection = make_connection(actortype="writer")
        assert check_resource(resource) == ([], [])
