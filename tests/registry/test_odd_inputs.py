"""Values that are entered accidentally, through every way of writing: refused, or stored with a warning."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.registry.objects import make_connection, make_resource
from venclient.cli import app
from venclient.errors import InvalidRecord
from venclient.messages import code_of
from venclient.model.resource import Resource
from venclient.registry.database import ResourceDatabase

GOOD_METER = "707057500000000018"
OPTIONS = {"values": [{"path": "/p", "quantity": "power_kw", "unit": "W"}]}

#: Dotted name and value -> the number of the VEN-REG message that refuses it.
REFUSED: list[tuple[str, Any, int]] = [
    *(("capacities.P_max_kw", value, 24) for value in (math.nan, math.inf, -math.inf, "NaN", "inf")),
    *(("capacities.E_max_kwh", value, 23) for value in (True, "fifty", "50,5", "", [50], {"kw": 5}, b"5")),
    ("capacities.P_max_kw", 1e13, 34),
    *(
        (f"capacities.{name}", 3, 21)
        for name in ("p_max_kw", "P_max_kW", "P_max", "Pmax", "P-max-kw", "P_mx_kw")
    ),
    *((f"location.{name}", 9.0, 21) for name in ("lat", "lng", "Latitude", "longtitude")),
    ("location.latitude", True, 23),
    ("location.latitude", 91, 28),
    ("location.longitude", -181, 28),
    *(
        (name, value, 6)
        for name in ("resourceName", "ven", "meterPointId")
        for value in ("a\nb", "a\0b", "a\x1bb")
    ),
    *(("resourceName", f"a{one}b", 7) for one in ("\u200b", "\u202e", "\u2066", "\ufeff", "\u2800")),
    *((f"connection.{name}", "a\u200bb", 7) for name in ("host", "topic", "file", "username", "password")),
    *((f"connection.{name}", 5, 42) for name in ("host", "topic", "file", "username", "password")),
    *((f"connection.{name}", b"a", 42) for name in ("host", "topic", "file")),
    *(("connection.port", value, 41) for value in (0, 65_536, True, 1.5, "502", math.nan)),
    ("connection.host", "x" * 256, 18),
    ("connection.topic", "x" * 5_000, 18),
    *(
        (name, "x" * 1_001, 18)
        for name in ("resourceName", "resourceSubType", "meterPointId", "address", "ven")
    ),
    ("resourceName", "", 4),
    ("resourceName", " \u00a0", 4),
    ("resourceType", "HEAT", 12),
    ("enabled", "yes", 13),
    ("reporting", {"intervall": "PT15M"}, 21),
    ("reporting", {"interval": "15m"}, 64),
    ("reporting", {"program": "a\nb"}, 6),
    ("reporting", {"foo": {"a": [math.nan]}}, 24),
    ("reporting", {"units": {5: "KWH"}}, 14),
    ("capacities", {5: 3}, 14),
    ("connection.options", OPTIONS | {"scale": math.nan}, 24),
]

#: Dotted name and value -> the number of the message that is a warning.
DOUBTED: list[tuple[str, Any, int]] = [
    ("capacities.P_max_kw", "50", 25),
    ("capacities.P_max_kw", 5e8, 33),
    ("capacities.E_min_kwh", -3, 35),
    ("capacities.power", 3, 22),
    ("location", {"latitude": 0, "longitude": 0}, 36),
    ("location", {"latitude": 8.97, "longitude": 56.14}, 29),
    ("location.altitude", 12, 22),
    *((name, " Nord ", 8) for name in ("resourceName", "ven", "resourceSubType", "connection.topic")),
    *((name, "x" * 200, 19) for name in ("resourceName", "ven", "resourceSubType")),
    *((name, "a\ue000b", 17) for name in ("resourceName", "ven", "address", "connection.topic")),
    ("resourceName", "Hotel \ufffdrnen", 17),
    ("resourceName", "a\u200db", 11),
    ("address", "Vej 1\n2800 Lyngby", 10),
    ("ven", "", 9),
    *(("connection.host", value, 51) for value in ("meter:502", "a,b", "user@host", "*", ".")),
    ("connection.host", "http://meter", 44),
    *((f"connection.{name}", "hunter2 ", 52) for name in ("username", "password")),
    ("connection.host", "", 40),
    ("connection.options", {"values": [OPTIONS["values"][0] | {"path": "/p\u202e"}]}, 17),
    ("reporting", {"payload_types": ["USEAGE"]}, 67),
    ("reporting", {"units": {"USAG": "KWH"}}, 67),
    ("reporting", {"foo": 1}, 22),
]


def changed(resource_id: str, name: str, value: Any) -> Resource:
    """Return a good resource with one value set."""
    made = make_resource(resource_id, meterPointId=GOOD_METER)
    field, _, member = name.partition(".")
    held = getattr(made, field)
    if not member:
        setattr(made, field, value)
    elif isinstance(held, dict):
        setattr(made, field, {**held, member: value})
    else:
        setattr(held, member, value)
    return made


def _insert(db: ResourceDatabase, name: str, value: Any) -> None:
    made = changed("new", name, value)
    db.insert_resource(made, db.insert_connection(make_connection()))


def _insert_connection(db: ResourceDatabase, name: str, value: Any) -> None:
    made = changed("new", name, value)
    if not name.startswith("connection."):
        return _insert(db, name, value)
    db.insert_connection(made.connection)
    return None


def _bulk(db: ResourceDatabase, name: str, value: Any) -> None:
    others = [make_resource(f"other-{n}", meterPointId=GOOD_METER) for n in range(6)]
    db.bulk_insert_resources([*others, changed("new", name, value)])


ROUTES: dict[str, Callable[[ResourceDatabase, str, Any], object]] = {
    "insert_resource": _insert_connection,
    "bulk_insert_resources, one": lambda db, name, value: db.bulk_insert_resources(
        [changed("new", name, value)]
    ),
    "bulk_insert_resources, many": _bulk,
    "upsert_resource": lambda db, name, value: db.upsert_resource(changed("new", name, value)),
    "bulk_upsert": lambda db, name, value: db.bulk_upsert([changed("new", name, value)]),
    "update_resource with the object": lambda db, name, value: db.update_resource(
        changed("there", name, value)
    ),
    "update_resource with names": lambda db, name, value: db.update_resource(
        "there", {name: copy.deepcopy(value)}
    ),
}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> ResourceDatabase:
    """Return a registry that all cases share; each begins with one good resource in it."""
    return ResourceDatabase(tmp_path_factory.mktemp("registry") / "resources.db")


@pytest.fixture
def db(registry: ResourceDatabase) -> ResourceDatabase:
    """Return the registry with one good resource, called "there"."""
    registry.clear_all_resources()
    registry.upsert_resource(make_resource("there", meterPointId=GOOD_METER))
    return registry


@pytest.mark.parametrize("route", ROUTES)
def test_what_can_never_be_meant_is_refused_on_every_route(db: ResourceDatabase, route: str) -> None:
    """Each wrong value is refused with its own message, and nothing is stored of it."""
    wrong = []
    for name, value, number in REFUSED:
        before = db.get_all_resources()
        try:
            ROUTES[route](db, name, value)
            wrong.append((name, value, "stored"))
        except InvalidRecord as error:
            if f"VEN-REG-{number:03}" not in map(code_of, error.problems):
                wrong.append((name, value, str(error)))
        if db.get_all_resources() != before:
            wrong.append((name, value, "changed something"))

    assert wrong == []


@pytest.mark.parametrize("route", ROUTES)
def test_what_is_doubtful_is_stored_with_a_warning_on_every_route(db: ResourceDatabase, route: str) -> None:
    """Each doubtful value is stored, and `last_warnings` has its message, once."""
    wrong = []
    for name, value, number in DOUBTED:
        db.clear_all_resources()
        db.upsert_resource(make_resource("there", meterPointId=GOOD_METER))
        ROUTES[route](db, name, value)
        found = [code_of(one.text) for one in db.last_warnings]
        if found.count(f"VEN-REG-{number:03}") != 1:
            wrong.append((name, value, found))

    assert wrong == []


def test_stored_wrong_values_open_and_are_listed(db: ResourceDatabase) -> None:
    """What an older program stored is still read, named among the wrong values, and may be corrected."""
    with db.get_connection() as connection:
        connection.execute(
            "UPDATE resources SET resource_name = ?, capacities = ?",
            ("a\nb", '{"P_max_kw": 1e15, "p_max": 3}'),
        )

    assert [one.resourceID for one in db.get_all_resources()] == ["there"]
    (found,) = db.wrong_values()
    assert all(f"[VEN-REG-{number:03}]" in found for number in (6, 21, 34))
    assert db.update_resource("there", resourceSubType="Hostels").resourceSubType == "Hostels"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("capacities.P_max_kw=NaN", "VEN-REG-024"),
        ("capacities.P_max_kw=true", "VEN-REG-023"),
        ("capacities.P_max_kW=3", "VEN-REG-021"),
        ("resourceName=", "VEN-REG-002"),
        ("connection.host=a b", "VEN-REG-043"),
        ("location.latitude=91", "VEN-REG-028"),
    ],
)
def test_ven_resources_set_refuses(tmp_path: Path, change: str, code: str) -> None:
    """The command refuses what the API refuses, with the same code."""
    path = str(tmp_path / "resources.db")
    with ResourceDatabase(path) as db:
        db.upsert_resource(make_resource("there", meterPointId=GOOD_METER))

    result = CliRunner().invoke(app, ["resources", "set", "--all", change, "--db", path])

    assert result.exit_code != 0
    assert code in str(result.exception)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("capacities.P_max_kw=50000000", "VEN-REG-033"),
        ("ven=a\ue000b", "VEN-REG-017"),
        ("connection.host=a:1", "051"),
    ],
)
def test_ven_resources_set_prints_warnings(tmp_path: Path, change: str, code: str) -> None:
    """The command stores what is doubtful, and prints why it is."""
    path = str(tmp_path / "resources.db")
    with ResourceDatabase(path) as db:
        db.upsert_resource(make_resource("there", meterPointId=GOOD_METER))

    result = CliRunner().invoke(app, ["resources", "set", "--all", change, "--db", path])

    assert result.exit_code == 0, (result.output, result.exception)
    assert code in result.stderr


def import_site(folder: Path, header: str, cell: str) -> tuple[Result, int]:
    """Import a CSV file with one site; return what the command says, and how many resources there are."""
    file, path = folder / "sites.csv", str(folder / "resources.db")
    columns = {"title": "Hotel", "address": "Vej 1", "latitude": "56.1", "longitude": "9.1"}
    columns |= {"connection_type": "MODBUSTCP", "host": "meter"} | {header: cell}
    file.write_text(f"{';'.join(columns)}\n{';'.join(columns.values())}\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["import", str(file), "--db", path])
    if not Path(path).exists():
        return result, 0
    with ResourceDatabase(path) as db:
        return result, db.count()


@pytest.mark.parametrize(("header", "cell"), [("p_max_kw", "1e13"), ("host", "a b")])
def test_imports_reject_what_can_never_be_meant(tmp_path: Path, header: str, cell: str) -> None:
    """A row with such a value is rejected, and the command exits with 1."""
    result, count = import_site(tmp_path, header, cell)

    assert (result.exit_code, count) == (1, 0)


@pytest.mark.parametrize(
    ("header", "cell", "code"),
    [("host", "meter:502", "VEN-REG-051"), ("p_max_kw", "50000000", "VEN-REG-033")],
)
def test_imports_print_warnings(tmp_path: Path, header: str, cell: str, code: str) -> None:
    """A row with a doubtful value is stored, and the summary has the warning."""
    result, count = import_site(tmp_path, header, cell)

    assert code in result.output
    assert count == 1
