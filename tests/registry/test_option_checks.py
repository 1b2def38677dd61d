"""Options of connections are checked by the connectors, wherever stored; no other code loads them."""

from __future__ import annotations

import logging
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from tests.registry.objects import make_connection, make_resource
from venclient.errors import InvalidRecord
from venclient.model.resource import Resource
from venclient.registry import option_checks
from venclient.registry.database import ResourceDatabase

WRONG: dict[str, Any] = {"values": [{"path": "/p", "quantity": "power_kw"}], "qoss": 1}
REGISTER = {"address": 1, "type": "uint16", "quantity": "setpoint_kw", "min": 0, "max": 10}


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be known from before, nor afterwards."""
    monkeypatch.setattr(option_checks, "_good", set())
    option_checks._checks.cache_clear()


def test_wrong_options_are_refused_with_reasons(db: ResourceDatabase) -> None:
    """Every method that stores says what the connector does not take, and stores nothing of it."""
    wrong = make_resource("r-2", connection=make_connection(options=WRONG))
    good = make_resource()
    db.upsert_resource(good)
    connection_id = db.get_connections()[0].id
    assert connection_id is not None
    attempts = (
        lambda: db.insert_connection(wrong.connection),
        lambda: db.insert_resource(wrong, connection_id),
        lambda: db.bulk_insert_resources([wrong]),
        lambda: db.bulk_upsert([make_resource("r-3"), wrong]),
        lambda: db.upsert_resource(wrong),
        lambda: db.update_resource("r-1", {"connection.options.qoss": 1}),
        lambda: db.update_connection(connection_id, options={"qoss": 1}),
    )

    for attempt in attempts:
        with pytest.raises(InvalidRecord, match="VEN-CON-014") as caught:
            attempt()
        assert "connection: options.qoss: " in str(caught.value)
    assert db.get_all_resources() == [good]
    assert len(db.get_connections()) == 1


def test_control_connection_is_held_against_what_commanding_takes(db: ResourceDatabase) -> None:
    """A writer's registers are checked as such: a reader's options do not make one."""
    writer = make_connection(type="modbustcp", actortype="writer", options={"registers": [REGISTER]})
    wrong = make_connection(
        type="modbustcp", actortype="writer", options={"registers": [{"address": 1}], "interval_s": 5}
    )

    db.upsert_resource(make_resource(control_connection=writer))
    with pytest.raises(InvalidRecord) as caught:
        db.update_resource("r-1", control_connection=wrong)

    assert any(
        one.startswith("control_connection: options.registers[0].quantity: missing")
        for one in caught.value.problems
    )
    assert any(
        "control_connection: options.interval_s: unknown option" in one for one in caught.value.problems
    )
    with pytest.raises(InvalidRecord, match=r"connection: options\.interval_s.*VEN-"):
        db.insert_connection(wrong)
    stored = db.get_resource("r-1")
    assert stored is not None
    assert stored.control_connection == writer


def test_mistake_that_was_stored_before_keeps_nobody_from_another_change(
    db: ResourceDatabase, database: str
) -> None:
    """What was stored unchecked stays until it is corrected, and a further mistake is refused."""
    with ResourceDatabase(database, check_options=lambda _: []) as unchecked:
        unchecked.upsert_resource(make_resource(connection=make_connection(options=WRONG)))

    assert db.update_resource("r-1", {"connection.host": "meter-2"}).connection.options == WRONG
    with pytest.raises(InvalidRecord, match=r"options\.qos: .*VEN-"):
        db.update_resource("r-1", {"connection.options.qos": 7})
    assert db.update_resource("r-1", {"connection.options.qoss": None}).connection.host == "meter-2"


def test_connection_without_options_is_taken(db: ResourceDatabase) -> None:
    """Its register map may come later."""
    db.upsert_resource(make_resource(connection=make_connection(type="modbustcp")))
    db.upsert_resource(make_resource("r-2", connection=make_connection(options={})))

    assert db.count() == 2


def test_same_options_are_asked_about_once(
    fresh: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Good ones of thousands of meters cost one question; bad ones are asked about again."""
    asked: list[Any] = []

    def check(resource: Resource) -> list[str]:
        asked.append(resource.connection.options)
        return ["options.x: wrong"] if "x" in (resource.connection.options or {}) else []

    monkeypatch.setattr(option_checks, "_checks", lambda: (check,))
    with ResourceDatabase(tmp_path / "resources.db") as db:
        db.bulk_insert_resources(make_resource(str(n)) for n in range(1_500))
        for _ in range(2):
            with pytest.raises(InvalidRecord, match=r"options\.x: .*VEN-REG-046"):
                db.upsert_resource(make_resource(connection=make_connection(options={"x": 1})))

    assert asked.count(make_connection().options) == 1
    assert {"x": 1} in asked


def test_no_connector_is_loaded_without_options(tmp_path: Path) -> None:
    """A program that stores no options never pays for the connectors."""
    program = """
import sys
from flex_resources import ActorType, Connection, ConnectionType, Resource
from resource_db import ResourceDatabase
def site(name, **more):
    link = Connection(ConnectionType.MODBUSTCP, ActorType.READER, host="meter", **more)
    return Resource(name, "Site", "DSR", "Hotels", "707057500000000015", link, {}, {})
with ResourceDatabase(sys.argv[1]) as db:
    db.bulk_insert_resources(site(str(n)) for n in range(10))
    db.update_resource("1", ven="Herning")
    print(any(name.startswith("venclient.connectors") for name in sys.modules))
    try:
        db.upsert_resource(site("x", options={"registers": []}))
    except ValueError as error:
        print(error)
    print("venclient.connectors" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "resources.db")],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )

    before, said, after = done.stdout.splitlines()
    assert (before, after) == ("False", "True")
    assert "connection: options.registers" in said


def test_checks_of_other_packages_are_asked_too(
    fresh: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An installed check is asked beside ours; one that cannot be loaded is named once and stops nothing."""
    points = (
        EntryPoint("smoke", f"{__name__}:no_smoke", option_checks.ENTRY_POINTS),
        EntryPoint("gone", "package_that_is_gone:check", option_checks.ENTRY_POINTS),
    )
    monkeypatch.setattr(option_checks, "entry_points", lambda group: points)

    with caplog.at_level(logging.WARNING), ResourceDatabase(tmp_path / "resources.db") as db:
        db.upsert_resource(make_resource())
        with pytest.raises(InvalidRecord) as caught:
            db.upsert_resource(make_resource("r-2", connection=make_connection(options=WRONG)))

    assert "connection: options: smoke" in caught.value.problems
    assert any("options.qoss" in one for one in caught.value.problems)
    assert caplog.text.count("package_that_is_gone") == 1  # the reason and what to reinstall
    option_checks._checks.cache_clear()


def no_smoke(resource: Resource) -> list[str]:
    """Say something of what has too much."""
    return ["options: smoke"] if "qoss" in (resource.connection.options or {}) else []


def test_no_option_is_declared_differently_than_it_is_used() -> None:
    """The entry point that is used without installation is the one that pyproject.toml declares."""
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    own = option_checks._OWN

    assert project["project"]["entry-points"][own.group] == {own.name: own.value}
