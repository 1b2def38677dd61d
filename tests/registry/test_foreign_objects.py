"""Triggers, views, indexes and oversized cells of others in a registry file: none runs, all are reported."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.codes import raises_code
from tests.registry.objects import make_connection, make_resource
from venclient.errors import RegistryError
from venclient.messages import code_of
from venclient.registry.database import ResourceDatabase
from venclient.registry.inspection import inspect
from venclient.sqlite_file import open_sqlite


def added(registry: ResourceDatabase, resource_id: str) -> None:
    """Store a resource of that id and name."""
    one = make_connection()
    resource = make_resource(resource_id, resourceName=resource_id, connection=one)
    registry.insert_resource(resource, registry.insert_connection(one))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a registry file with one resource."""
    path = tmp_path / "resources.db"
    with ResourceDatabase(str(path)) as registry:
        added(registry, "r1")
    return path


def changed(path: Path, *statements: str) -> None:
    """Change a file as another program would."""
    with closing(sqlite3.connect(path)) as driver:
        for statement in statements:
            driver.execute(statement)
        driver.commit()


TRIGGERS = [
    f"CREATE TRIGGER {name} ON {table} BEGIN UPDATE connections SET host = 'evil'; END"
    for name, table in (
        ("evil AFTER INSERT", "resources"),
        ("changes_no_update AFTER INSERT", "resources"),
        ("evil BEFORE INSERT", "changes"),
    )
]


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_foreign_trigger_does_not_run(file: Path, trigger: str) -> None:
    """A change that would run it is refused with a message, and nothing is changed; reading goes on."""
    name = trigger.split()[2]
    changed(file, f"DROP TRIGGER IF EXISTS {name}", trigger)
    with ResourceDatabase(str(file)) as registry:
        with raises_code(RegistryError, "VEN-DBF-318"):
            added(registry, "r2")
        found = registry.get_all_resources()
    assert [one.resourceID for one in found] == ["r1"]
    assert found[0].connection.host != "evil"


@pytest.mark.parametrize(
    ("statement", "code", "kind"),
    [
        (TRIGGERS[0], "VEN-DBF-310", "problems"),
        ("CREATE VIEW mine AS SELECT 1", "VEN-DBF-312", "notes"),
        ("CREATE TABLE mine (x)", "VEN-DBF-313", "notes"),
        ("CREATE VIRTUAL TABLE mine USING fts5(x)", "VEN-DBF-313", "notes"),
        ("CREATE INDEX mine ON resources (address)", "VEN-DBF-314", "notes"),
        ("CREATE UNIQUE INDEX mine ON resources (resource_name)", "VEN-DBF-315", "problems"),
        ("DROP TRIGGER changes_no_delete", "VEN-DBF-316", "problems"),
        ("UPDATE resources SET address = hex(zeroblob(600000))", "VEN-DBF-317", "problems"),
    ],
)
def test_check_reports_what_others_left(file: Path, statement: str, code: str, kind: str) -> None:
    """Each object and cell that is not of this program is named with its own code."""
    changed(file, statement)
    assert code in {code_of(one) for one in getattr(inspect(file), kind)}


def test_a_view_in_place_of_a_table_is_a_problem(file: Path) -> None:
    """A view under the name of one of our tables is named as that."""
    changed(file, "DROP TABLE reporting_status", "CREATE VIEW reporting_status AS SELECT 1 AS resource_id")
    assert "VEN-DBF-311" in {code_of(one) for one in inspect(file).problems}


def test_a_sound_file_has_nothing_of_others(file: Path) -> None:
    """A file that this program made is without findings."""
    found = inspect(file)
    assert not found.problems
    assert not found.notes


def test_a_trigger_in_a_file_of_the_gateway_does_not_run(tmp_path: Path) -> None:
    """Files of readings and reports are opened with triggers switched off."""
    path = tmp_path / "state.db"
    changed(
        path,
        "CREATE TABLE a (x)",
        "CREATE TABLE b (x)",
        "CREATE TRIGGER evil AFTER INSERT ON a BEGIN INSERT INTO b VALUES (1); END",
    )
    with closing(open_sqlite(path)) as connection:
        connection.execute("INSERT INTO a VALUES (1)")
        assert connection.execute("SELECT count(*) FROM b").get == 0
