"""A registry moves between databases of both kinds, whole or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from tests.registry.objects import make_connection, make_old_file, make_resource
from venclient.errors import ConfigError, Conflict, InvalidRecord, NotFound, RegistryError
from venclient.messages import Text, code_of
from venclient.model.resource import ActorType
from venclient.registry import copying
from venclient.registry.copying import content, copy_registry
from venclient.registry.database import ResourceDatabase
from venclient.registry.opening import open_link
from venclient.registry.schema import metadata


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.peer)])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return what names another empty database, of each kind."""
    if request.param == "sqlite":
        return str(tmp_path / "other.db")
    url: str = request.getfixturevalue("new_postgres")()
    return url


@pytest.fixture
def filled(db: ResourceDatabase, database: str) -> str:
    """Return a registry with all that a registry can have, in a database of each kind."""
    writer = make_connection(actortype=ActorType.WRITER, topic="set")
    db.bulk_insert_resources(make_resource(str(number)) for number in range(1005))
    db.upsert_resource(make_resource("writer", control_connection=writer, reporting={"interval": "PT15M"}))
    db.upsert_resource(make_resource("off", enabled=False, ven=None, address="Æblevej 3, 8000 Århus 🌀"))
    db.upsert_resource(make_resource("off", enabled=False, ven="Ikast"))
    db.delete_resource("1004")
    with db.get_connection() as connection:
        connection.execute("UPDATE resources SET created_at = '2020-01-01 12:30:00' WHERE id > 900")
        connection.execute("UPDATE resources SET enabled = NULL, address = NULL WHERE id = 5")
        connection.execute(
            "INSERT INTO reporting_status (resource_id, state, updated_at) VALUES ('7', 'ok', '2026-01-01')"
        )
        connection.execute(
            "INSERT INTO changes (at, actor, action, kind) VALUES ('2026-01-01', 'me', 'clear', 'registry')"
        )
    return database


def next_id(database: str) -> int:
    """Return the id that the next connection gets."""
    with ResourceDatabase(database) as db:
        return db.insert_connection(make_connection())


def test_copy_holds_the_same(filled: str, other: str) -> None:
    """Every resource, connection, time and change is there, and new ids go on from where the source was."""
    report = copy_registry(filled, other)

    assert report.tables == content(filled) == content(other)
    assert report.tables["resources"].rows == 1006
    assert report.notes == []
    with ResourceDatabase(filled) as one, ResourceDatabase(other) as two:
        assert two.get_all_resources() == one.get_all_resources()
        assert two.get_statistics() == one.get_statistics()
    assert next_id(other) == next_id(filled)


def test_round_trip_is_equal(filled: str, other: str, tmp_path: Path) -> None:
    """There and back, row by row, the registry is the same."""
    back = str(tmp_path / "back.db")

    copy_registry(filled, other)
    copy_registry(other, back)

    assert content(back) == content(filled)


def test_rows_come_back_as_they_were_written(tmp_path: Path, other: str) -> None:
    """From a file and back into a file, each cell is of the same type and value."""
    first, back = tmp_path / "first.db", tmp_path / "back.db"
    make_old_file(first)
    with ResourceDatabase(first) as db:
        db.upsert_resource(make_resource())

    copy_registry(first, other)
    copy_registry(other, back)

    def rows(path: Path) -> list[list[Any]]:
        with closing(sqlite3.connect(path)) as connection:
            return [
                connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
                for table in ("connections", "resources", "changes", "sqlite_sequence")
            ]

    assert rows(back) == rows(first)


def test_target_that_holds_something_is_refused(filled: str, other: str) -> None:
    """Without `replace` what the target has stays; with it the target has what the source has."""
    with ResourceDatabase(other) as db:
        db.upsert_resource(make_resource("kept"))

    with pytest.raises(Conflict, match=r"1 row of resources.*--replace.*VEN-DBF-062"):
        copy_registry(filled, other)
    with ResourceDatabase(other) as db:
        assert [r.resourceID for r in db.get_all_resources()] == ["kept"]

    report = copy_registry(filled, other, replace=True)

    assert report.replaced > 0
    assert content(other) == content(filled)


def test_history_is_protected_again_after_a_copy(filled: str, other: str) -> None:
    """What the tables refuse (to rewrite changes) they refuse after the copy too."""
    copy_registry(filled, other)
    copy_registry(filled, other, replace=True)

    def rewrite() -> None:
        with ResourceDatabase(other) as db, db.get_connection() as connection:
            connection.execute("UPDATE changes SET actor = 'nobody'")

    with pytest.raises(Exception, match="never") as caught:  # what the trigger of the table says
        rewrite()
    assert "changes are never changed" in str(caught.value)


def test_what_arrives_otherwise_undoes_the_copy(
    filled: str, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the target does not hold what was sent, it is left as it was."""
    with ResourceDatabase(other) as db:
        db.upsert_resource(make_resource("kept"))
    verify = copying._Copy._verify

    def lose_one(copy: copying._Copy) -> None:
        with copy._target.transaction() as driver:
            driver.execute("DELETE FROM reporting_status")
        verify(copy)

    monkeypatch.setattr(copying._Copy, "_verify", lose_one)

    with pytest.raises(RegistryError, match="VEN-DBF-064") as caught:
        copy_registry(filled, other, replace=True)
    assert isinstance(caught.value.what, Text)
    assert caught.value.what.params == {"sent": 1, "table": "reporting_status", "arrived": 0}

    with ResourceDatabase(other) as db:
        assert [r.resourceID for r in db.get_all_resources()] == ["kept"]


def test_progress_is_told(filled: str, other: str) -> None:
    """Each table's progress comes page by page, up to all of it."""
    reported: list[tuple[str, int, int]] = []

    copy_registry(filled, other, progress=lambda *one: reported.append(one))

    assert ("resources", 1000, 1006) in reported
    assert ("resources", 1006, 1006) in reported


@pytest.fixture
def spoilt(tmp_path: Path) -> Callable[[str], str]:
    """Return a function that spoils a file of two resources as another program could, and gives its path."""

    def spoil(sql: str) -> str:
        path = tmp_path / "spoilt.db"
        with ResourceDatabase(path) as db:
            db.bulk_upsert([make_resource("a"), make_resource("b")])
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(sql)
            connection.commit()
        return str(path)

    return spoil


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        (
            "UPDATE resources SET created_at = 'yesterday' WHERE id = 2",
            ("resources row 2, created_at", "VEN-DBF-073"),
        ),
        (
            "UPDATE resources SET enabled = 'maybe' WHERE id = 2",
            ("resources row 2, enabled", "VEN-DBF-070"),
        ),
        ("UPDATE connections SET port = 'http' WHERE id = 1", ("connections row 1, port", "VEN-DBF-071")),
        (
            "UPDATE resources SET reporting = x'00ff' WHERE id = 1",
            ("resources row 1, reporting", "VEN-DBF-072"),
        ),
        ("DELETE FROM connections WHERE id = 2", ("resources row 2, connection_id", "VEN-DBF-066")),
    ],
)
def test_what_cannot_be_copied_is_named(
    spoilt: Callable[[str], str], other: str, sql: str, told: tuple[str, str]
) -> None:
    """A cell that makes no sense is named with its place; nothing is copied."""
    source = spoilt(sql)

    with pytest.raises(InvalidRecord, match="VEN-DBF-020") as caught:
        copy_registry(source, other)

    assert [(one.partition(":")[0], code_of(one)) for one in caught.value.problems] == [told]
    with ResourceDatabase(other) as db:
        assert db.get_all_resources() == []


@pytest.mark.peer
@pytest.mark.parametrize(
    ("sql", "told"),
    [
        (
            "UPDATE resources SET address = 'a' || char(0) || 'b' WHERE id = 1",
            ("resources row 1, address", "VEN-DBF-068"),
        ),
        (
            "UPDATE connections SET port = 5000000000 WHERE id = 2",
            ("connections row 2, port", "VEN-DBF-069"),
        ),
    ],
)
def test_what_postgresql_cannot_hold_is_named(
    spoilt: Callable[[str], str], new_postgres: Callable[[], str], sql: str, told: tuple[str, str]
) -> None:
    """What only SQLite takes is named before PostgreSQL sees it."""
    with pytest.raises(InvalidRecord, match="VEN-DBF-020") as caught:
        copy_registry(spoilt(sql), new_postgres())

    assert [(one.partition(":")[0], code_of(one)) for one in caught.value.problems] == [told]


def test_every_mistake_is_told_at_once(spoilt: Callable[[str], str], other: str) -> None:
    """All rows of a table that cannot be copied are named in one go."""
    source = spoilt("UPDATE resources SET created_at = 'yesterday'")

    with pytest.raises(InvalidRecord) as caught:
        copy_registry(source, other)

    assert len(caught.value.problems) == 2


def test_mistakes_of_all_tables_and_cells_are_listed_at_once(
    spoilt: Callable[[str], str], other: str
) -> None:
    """One run names every table, row and column to correct."""
    source = spoilt("UPDATE connections SET port = 'http' WHERE id = 1")
    with closing(sqlite3.connect(source)) as raw:
        raw.execute("UPDATE resources SET enabled = 'maybe', created_at = 'yesterday' WHERE id = 1")
        raw.execute("UPDATE resources SET connection_id = 99 WHERE id = 2")
        raw.commit()

    with pytest.raises(InvalidRecord, match="VEN-DBF-020") as caught:
        copy_registry(source, other)

    places = [problem.partition(":")[0] for problem in caught.value.problems]
    assert places == [
        "connections row 1, port",
        "resources row 2, connection_id",
        "resources row 1, enabled",
        "resources row 1, created_at",
    ]


def test_text_that_is_not_utf8_is_noted(spoilt: Callable[[str], str], other: str) -> None:
    """A name in another encoding is copied with marks, and the report says where."""
    source = spoilt("UPDATE resources SET resource_name = CAST(x'48f874656c' AS TEXT) WHERE id = 2")

    report = copy_registry(source, other)

    assert [(one.partition(":")[0], code_of(one)) for one in report.notes] == [
        ("resources row 2, resource_name", "VEN-DBF-067")
    ]
    with ResourceDatabase(other) as db:
        assert db.get_all_resources()[1].resourceName == "H\ufffdtel"


def test_source_that_is_not_there(tmp_path: Path) -> None:
    """A file that does not exist is named; neither it nor the target is made."""
    with pytest.raises(NotFound, match="VEN-DBF-060"):
        copy_registry(tmp_path / "none.db", tmp_path / "new.db")

    assert list(tmp_path.iterdir()) == []


def test_onto_itself_is_refused(tmp_path: Path) -> None:
    """One file by two names is still one file."""
    path = tmp_path / "one.db"
    ResourceDatabase(path).close()
    (tmp_path / "two.db").symlink_to(path)

    for target in (path, tmp_path / "two.db"):
        with pytest.raises(ConfigError, match="VEN-DBF-061"):
            copy_registry(path, target, replace=True)


def test_content_tells_registries_apart(database: str, db: ResourceDatabase) -> None:
    """One cell that differs gives another hash."""
    db.upsert_resource(make_resource())
    before = content(database)

    with db.get_connection() as connection:
        connection.execute("UPDATE resources SET address = 'elsewhere'")

    after = content(database)
    assert before["resources"].digest != after["resources"].digest
    assert before["connections"] == after["connections"]
    with closing(open_link(database)) as link, link.transaction() as driver:
        driver.execute(str(delete(metadata.tables["resources"])))
    assert content(database)["resources"].rows == 0
