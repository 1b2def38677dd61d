"""Validation: every mistake with its reason, all of one object at once, and doubts kept apart."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.registry.objects import make_connection, make_resource
from venclient.cli import app
from venclient.errors import InvalidRecord
from venclient.messages import code_of
from venclient.model.resource import ActorType, ConnectionType, Resource
from venclient.registry.database import ResourceDatabase
from venclient.registry.validation import check_connection, check_resource, is_plain, is_plain_connection

GOOD_METER = "707057500000000018"


def make_good(**changes: Any) -> Resource:
    """Return a resource without problems or warnings, with `changes`."""
    return make_resource(**{"meterPointId": GOOD_METER} | changes)


def test_nothing_to_say() -> None:
    """A good resource has neither problems nor warnings."""
    assert check_resource(make_good()) == ([], [])
    assert check_resource(make_good(resourceID="5249eada-69af-432d-99a5-98f9c89f9aa6")) == ([], [])


PROBLEMS: dict[str, tuple[dict[str, Any], list[int]]] = {
    "empty id": ({"resourceID": " "}, [4]),
    "long id": ({"resourceID": "x" * 129}, [5]),
    "id": ({"resourceID": 5}, [2]),
    "line end in id": ({"resourceID": "a\n"}, [6]),
    "zero-width space in id": ({"resourceID": "a\u200bb"}, [7]),
    "filler as id": ({"resourceID": "\u3164"}, [7, 4]),
    "variation selector in id": ({"resourceID": "a\ufe0f"}, [7]),
    "surrogate": ({"resourceID": "a\udc80"}, [6]),
    "empty name": ({"resourceName": ""}, [4]),
    "blank name": ({"resourceName": " \u00a0"}, [4]),
    "invisible name": ({"resourceName": "\u3164"}, [7, 4]),
    "zero-width name": ({"resourceName": "\u200b"}, [7, 4]),
    "direction in name": ({"resourceName": "a\u202eb"}, [7]),
    "escape in name": ({"resourceName": "a\x1b[31m"}, [6]),
    "NUL in meter": ({"meterPointId": f"{GOOD_METER}\0"}, [6]),
    "byte order mark in meter": ({"meterPointId": f"\ufeff{GOOD_METER}"}, [7]),
    "line separator in ven": ({"ven": "a\u2028"}, [6]),
    "tab in sub-type": ({"resourceSubType": "a\tb"}, [6]),
    "zero-width in address": ({"address": "Vej 1\u200b"}, [7]),
    "host": ({"connection": make_connection(host="a\u200b")}, [7]),
    "host with a space": ({"connection": make_connection(host="a b")}, [43]),
    "topic": ({"connection": make_connection(topic="a\n")}, [6]),
    "file": ({"connection": make_connection(type="filereader", file="a\0.csv")}, [6]),
    "username": ({"connection": make_connection(username="a\r")}, [6]),
    "password": ({"connection": make_connection(password="a\n")}, [6]),
    "control host": ({"control_connection": make_connection(actortype="writer", host="a\n")}, [6]),
    "type": ({"resourceType": "HEAT"}, [12]),
    "power": ({"capacities": {"P_max_kw": 1, "P_min_kw": 2}}, [26]),
    "energy": ({"capacities": {"E_max_kwh": -1, "E_min_kwh": 0}}, [26]),
    "text": ({"capacities": {"P_max_kw": "much"}}, [23]),
    "infinite": ({"capacities": {"P_max_kw": float("inf")}}, [24]),
    "NaN": ({"capacities": {"P_min_kw": float("nan")}}, [24]),
    "NaN as text": ({"capacities": {"E_max_kwh": "nan"}}, [24]),
    "NaN in an extra": ({"capacities": {"phases": [1.0, float("nan")]}}, [24]),
    "true": ({"capacities": {"P_max_kw": True}}, [23]),
    "no unit": ({"capacities": {"P_max": 3}}, [21]),
    "lower case": ({"capacities": {"p_max_kw": 3}}, [21]),
    "other unit": ({"capacities": {"E_max_kw": 3}}, [21]),
    "without lines": ({"capacities": {"Pmaxkw": 3}}, [21]),
    "letters swapped": ({"capacities": {"P_amx_kw": 3}}, [21]),
    "zero-width in a name": ({"capacities": {"P_max_kw\u200b": 3}}, [21]),
    "empty capacity": ({"capacities": {"": 3}}, [4]),
    "no text": ({"capacities": {5: 3}}, [14]),
    "no dict": ({"capacities": None, "location": [1, 2]}, [20, 20]),
    "latitude": ({"location": {"latitude": 90.5, "longitude": 170}}, [28]),
    "swapped": ({"location": {"latitude": 120.5, "longitude": 56}}, [28]),
    "UTM": ({"location": {"latitude": 6222000.5, "longitude": 498000}}, [28, 28]),
    "NaN place": ({"location": {"latitude": float("nan"), "longitude": 8.9}}, [24]),
    "infinite place": ({"location": {"latitude": 56.1, "longitude": float("-inf")}}, [24]),
    "lat": ({"location": {"lat": 56.1, "lon": 8.9}}, [21, 21]),
    "longtitude": ({"location": {"latitude": 56.1, "longtitude": 8.9}}, [21]),
    "port": ({"connection": make_connection(host=None, topic="", port=0)}, [41]),
    "NaN option": ({"connection": make_connection(options={"a": {"b": [float("nan")]}})}, [24]),
    "writer": ({"control_connection": make_connection(topic=None)}, [50]),
    "reporting": ({"reporting": {"interval": "15 min", "units": 5}}, [64, 66]),
    "reporting name": ({"reporting": {"intervall": "PT5M"}}, [21]),
    "reporting names": (
        {"reporting": {"Interval": "PT5M", "payload_type": "USAGE", "unit": "KWH"}},
        [21] * 3,
    ),
    "NaN in reporting": ({"reporting": {"offset": float("nan")}}, [24]),
    "line end in reporting": ({"reporting": {"program": "a\nb"}}, [6]),
}


@pytest.mark.parametrize(("changes", "numbers"), PROBLEMS.values(), ids=PROBLEMS)
def test_problems(changes: dict[str, Any], numbers: list[int]) -> None:
    """What can never be meant is a problem, and each mistake has a separate message."""
    found = check_resource(make_good(**changes)).problems

    assert [code_of(one) for one in found] == [f"VEN-REG-{number:03}" for number in numbers]


@pytest.mark.parametrize("changes", [changes for changes, _ in PROBLEMS.values()], ids=PROBLEMS)
def test_every_way_of_writing_refuses_a_problem(changes: dict[str, Any], tmp_path: Path) -> None:
    """Nothing is stored, whichever method is used and however many good ones come with it."""
    bad = make_good(**changes)
    many = [make_good(resourceID=f"m-{number}") for number in range(120)]
    with ResourceDatabase(tmp_path / "r.db") as db:
        connection_id = db.insert_connection(make_connection())
        for write in (
            lambda: db.insert_resource(bad, connection_id),
            lambda: db.upsert_resource(bad),
            lambda: db.bulk_insert_resources([bad]),
            lambda: db.bulk_insert_resources([*many, bad]),
            lambda: db.bulk_upsert([*many, bad]),
        ):
            with pytest.raises(InvalidRecord):
                write()
        assert db.count() == 0


def test_near_misses_name_what_was_meant() -> None:
    """The message has the known name; names that mean something else are only warned of."""
    (problem,) = check_resource(make_good(capacities={"P_max": 3})).problems
    assert "P_max_kw" in problem
    others = {"P_rated_kw": 5, "phases": 3, "P_max_kw_l1": 1, "P_nominal_kw": 2, "inverter": "x"}
    found = check_resource(make_good(capacities=others, location={"altitude": 30, "floor": 2}))
    assert found.problems == []
    assert [code_of(one) for one in found.warnings] == ["VEN-REG-022"] * 7


def test_all_at_once() -> None:
    """Mistakes in several places of one object come together."""
    wrong = make_good(
        resourceID="",
        capacities={"P_max_kw": 1, "P_min_kw": 2},
        location={"latitude": 99},
        connection=make_connection(port=-1),
    )

    assert len(check_resource(wrong).problems) == 4


WARNINGS: dict[str, tuple[dict[str, Any], int]] = {
    "check digit": ({"meterPointId": "707057500000000015"}, 16),
    "no GS1": ({"meterPointId": "7070"}, 15),
    "no meter": ({"meterPointId": ""}, 15),
    "spaces": ({"resourceID": " a"}, 8),
    "joiner": ({"resourceName": "\u0646\u200c\u0646"}, 11),
    "emoji": ({"resourceName": "Hotel \u26a1\ufe0f"}, 11),
    "two lines": ({"address": "Vej 1\n7400 Herning"}, 10),
    "empty ven": ({"ven": ""}, 9),
    "blank sub-type": ({"resourceSubType": " "}, 9),
    "capacity": ({"capacities": {"rated": 1}}, 22),
    "place": ({"location": {"latitude": 56.1, "longitude": 8.9, "floor": 2}}, 22),
    "half a place": ({"location": {"latitude": 56}}, 27),
    "text": ({"location": {"latitude": "56.1", "longitude": 9}}, 25),
    "swapped": ({"location": {"latitude": 8.97, "longitude": 56.14}}, 29),
    "writer": ({"connection": make_connection(actortype="writer")}, 49),
    "no topic": ({"connection": make_connection(topic=None)}, 40),
    "URL": ({"connection": make_connection(host="mqtt://broker")}, 44),
    "spaces in topic": ({"connection": make_connection(topic="a ")}, 8),
    "payload": ({"reporting": {"payload_types": ["USEAGE"]}}, 67),
    "member": ({"reporting": {"colour": "red"}}, 22),
}


@pytest.mark.parametrize(("changes", "number"), WARNINGS.values(), ids=WARNINGS)
def test_warnings(changes: dict[str, Any], number: int) -> None:
    """What may be a slip is a warning, and not a problem."""
    found = check_resource(make_good(**changes))

    assert found.problems == []
    assert [code_of(one) for one in found.warnings] == [f"VEN-REG-{number:03}"]


@pytest.mark.parametrize(("changes", "number"), WARNINGS.values(), ids=WARNINGS)
def test_every_way_of_writing_returns_the_warnings(
    changes: dict[str, Any], number: int, tmp_path: Path
) -> None:
    """`last_warnings` has what is doubtful about the last write, whichever method was used."""
    doubtful = make_good(**changes)
    name = doubtful.resourceID
    many = [make_good(resourceID=f"m-{number}") for number in range(120)]
    with ResourceDatabase(tmp_path / "r.db") as db:
        for write in (
            lambda: db.insert_resource(doubtful, db.insert_connection(doubtful.connection)),
            lambda: db.upsert_resource(doubtful),
            lambda: db.bulk_insert_resources([*many, doubtful]),
            lambda: db.bulk_upsert([*many, doubtful]),
        ):
            write()
            assert [(one.subject, code_of(one.text)) for one in db.last_warnings] == [
                (name, f"VEN-REG-{number:03}")
            ]
            db.clear_all_resources()
        db.upsert_resource(doubtful)
        db.update_resource(name, resourceType="EV")
        assert db.last_warnings == []


def test_unknown_is_no_mistake() -> None:
    """Capacities and coordinates that are missing or None are not mentioned."""
    found = check_resource(make_good(capacities={"P_max_kw": None, "P_min_kw": None}, location={}))

    assert found == ([], [])


def test_what_is_stored_already_opens_and_is_listed(tmp_path: Path) -> None:
    """Wrong values in the file: the row is read, validate finds them, another change is possible."""
    path = tmp_path / "r.db"
    with ResourceDatabase(path) as db:
        db.upsert_resource(make_good())
        with db.get_connection() as bare:
            bare.execute("UPDATE resources SET resource_name = ?, capacities = ?", (" ", '{"P_max": 3}'))
    with ResourceDatabase(path) as db:
        (found,) = db.get_all_resources()
        assert [code_of(one) for one in db.validate(found).problems] == ["VEN-REG-004", "VEN-REG-021"]
        (note,) = db.wrong_values()
        assert "VEN-REG-156" in note
        assert found.resourceID in note
        for words in (["list"], ["list", "--json"], ["show", found.resourceID]):
            shown = CliRunner().invoke(app, ["resources", *words, "--db", str(path)])
            assert shown.exit_code == 0, shown.output
            assert "r-1" in shown.stdout
            assert "VEN-CLR-014" in shown.stderr or "VEN-REG-021" in shown.stderr
        checked = CliRunner().invoke(app, ["db", "check", "--db", str(path)])
        assert checked.exit_code == 0, checked.output
        assert "VEN-REG-156" in checked.output
        assert db.update_resource(found.resourceID, address="Vej 2").address == "Vej 2"
        with pytest.raises(InvalidRecord, match="VEN-REG-021"):
            db.update_resource(found.resourceID, {"capacities.P_min": 1})
        assert db.update_resource(found.resourceID, {"capacities.P_max": None}).capacities == {}


def test_a_password_is_never_told() -> None:
    """A password of the wrong kind is named, not shown."""
    (problem,) = check_connection(make_connection(password=12345)).problems

    assert code_of(problem) == "VEN-REG-042"
    assert "12345" not in problem


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


TEXTS: st.SearchStrategy[Any] = st.sampled_from(
    [None, "", " ", "a", " a", "a b", "a/b", "10.0.0.1", "x" * 300, "a\u200b", 5, []]
)


@settings(max_examples=300, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(("host", "topic", "file", "username", "password"), TEXTS),
            "type": st.sampled_from([*ConnectionType]),
            "actortype": st.sampled_from([*ActorType]),
            "port": st.sampled_from([None, 0, 502, 65_536, True, "1"]),
            "options": st.sampled_from([None, {}, {"a": 1}, {"a": math.nan}, {"a": "\u200b"}, [1]]),
        },
    )
)
def test_quick_look_at_a_connection_never_says_more_than_the_close_one(changes: dict[str, Any]) -> None:
    """A connection that the quick look lets pass has neither problems nor warnings."""
    connection = make_connection(**changes)
    if is_plain_connection(connection):
        assert check_connection(connection) == ([], [])


ADDRESSES: st.SearchStrategy[Any] = st.sampled_from(
    [None, "", "Vej 1", "Vej 1\n7400", "\u200b", "x" * 1_001, 0, [], 5]
)
NAMES: st.SearchStrategy[Any] = st.sampled_from([None, "", "Nord", " Nord", "x" * 129, "\u200b", 0, [], 5])


@settings(max_examples=300, deadline=None)
@given(ADDRESSES, NAMES, NAMES, NAMES, NAMES)
def test_quick_look_at_texts_never_says_more_than_the_close_one(
    address: Any, ven: Any, sub_type: Any, name: Any, meter: Any
) -> None:
    """A resource whose texts the quick look lets pass has neither problems nor warnings."""
    named = {"address": address, "ven": ven, "resourceSubType": sub_type}
    resource = make_good(**named, resourceName=name, meterPointId=meter)
    if is_plain(resource):
        resource.meterPointId = GOOD_METER
        resource.control_connection = make_connection(actortype="writer")
        assert check_resource(resource) == ([], [])
