"""Opening files that an older, a newer or another program made."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from tests.registry.objects import make_old_file, make_resource
from venclient.errors import RegistryError
from venclient.model.resource import ActorType, ConnectionType
from venclient.registry.database import ResourceDatabase
from venclient.registry.schema import HEAD, metadata
from venclient.registry.upgrade import KNOWN, upgrade


def schema_of(path: Path) -> list[tuple[str, ...]]:
    """Return the SQL of every object in a file."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


def test_new_file_gets_the_newest_schema(tmp_path: Path) -> None:
    """A file that was not there comes from nothing to the newest version; opening again does nothing."""
    path = tmp_path / "new.db"

    assert upgrade(path) == (None, HEAD)
    assert upgrade(path) == (HEAD, HEAD)


def test_migrations_lead_to_the_schema_that_statements_use(tmp_path: Path) -> None:
    """The tables that migrations make are those that the code believes in."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    upgrade(tmp_path / "new.db")
    engine = create_engine(f"sqlite:///{tmp_path / 'new.db'}")
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()

    assert differences == []
    assert KNOWN[-1] == HEAD


def test_old_file_is_upgraded_without_losing_a_row(tmp_path: Path) -> None:
    """A file of the first generation opens, and its resources come in today's words."""
    path = tmp_path / "old.db"
    make_old_file(path)

    with ResourceDatabase(path) as db:
        hotel, charger, school = db.get_all_resources()
        assert db.rejects == []
        assert [r.resourceID for r in db.get_resources_by_type("DSR")] == ["old-1", "old-3"]

    assert (hotel.resourceType, charger.resourceType, school.resourceType) == ("DSR", "EV", "DSR")
    assert (hotel.connection.type, hotel.connection.host) == (ConnectionType.MODBUSTCP, "192.0.2.1")
    assert charger.connection.actortype is ActorType.WRITER
    assert school.capacities == {"P_max_kw": None}


def test_old_rows_stay_readable_to_old_programs(tmp_path: Path) -> None:
    """Upgrading leaves each old value as it was spelt, and each old column in its place."""
    path = tmp_path / "old.db"
    make_old_file(path)
    queries = ("SELECT * FROM resources", "SELECT * FROM connections")
    with closing(sqlite3.connect(path)) as old:
        before = [old.execute(query).fetchall() for query in queries]

    ResourceDatabase(path).close()

    with closing(sqlite3.connect(path)) as old:
        after = [old.execute(query).fetchall() for query in queries]
    # what is newer stands behind: two columns of resources, one of connections
    assert [[row[:-new] for row in rows] for new, rows in zip((2, 1), after, strict=True)] == before


def test_old_file_gets_the_missing_indexes(tmp_path: Path) -> None:
    """An index of the specification that the old program had not made is made."""
    path = tmp_path / "old.db"
    make_old_file(path)

    upgrade(path)

    assert {"idx_resource_id", "idx_meter_point_id", "idx_resource_type", "idx_ven"} <= {
        name for name, _ in schema_of(path)
    }


def test_old_file_can_be_written(tmp_path: Path) -> None:
    """Resources go on being stored beside the old ones."""
    path = tmp_path / "old.db"
    make_old_file(path)

    with ResourceDatabase(path) as db:
        assert db.upsert_resource(make_resource()) == "created"
        assert db.count() == 4


def test_failed_upgrade_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the last step of an upgrade fails, none of it has happened."""
    path = tmp_path / "old.db"
    make_old_file(path)
    before = schema_of(path)
    with closing(sqlite3.connect(path)) as old:
        old.execute("CREATE INDEX idx_control_connection_id ON resources(ven)")
        old.execute("ALTER TABLE connections ADD COLUMN options TEXT")
        before = schema_of(path)

    with pytest.raises(RegistryError, match="options"):
        upgrade(path)

    assert schema_of(path) == before


def test_newer_file_is_refused(tmp_path: Path) -> None:
    """A file that a newer program wrote is left alone, with a sentence that says so."""
    path = tmp_path / "new.db"
    upgrade(path)
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999'")
        newer.commit()

    with pytest.raises(RegistryError, match=rf"9999.*{HEAD}.*VEN-DBF-050"):
        ResourceDatabase(path)


@pytest.mark.parametrize(
    "sql", ["CREATE TABLE reading (k INTEGER)", "CREATE TABLE resources (id INTEGER, name TEXT)"]
)
def test_database_of_another_program_is_refused(tmp_path: Path, sql: str) -> None:
    """A SQLite file with other tables is named as such, and gets no table of ours."""
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute(sql)
    before = schema_of(path)

    with pytest.raises(RegistryError, match="VEN-DBF-051"):
        ResourceDatabase(path)

    assert schema_of(path) == before


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    """A text file or a folder is not a database: both are reported with the path, and left as they are."""
    text = tmp_path / "text.db"
    text.write_text("title,address\n" * 500)

    with pytest.raises(RegistryError, match=r"text\.db: .*VEN-DBF-041"):
        ResourceDatabase(text)
    with pytest.raises(RegistryError, match="VEN-DBF-080"):
        ResourceDatabase(tmp_path)

    assert text.read_text() == "title,address\n" * 500


STORE_TWENTY = """
import sys
from venclient.model.resource import Connection, Resource
from venclient.registry.database import ResourceDatabase

path, name = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
with ResourceDatabase(path) as db:
    for number in range(20):
        meter = Connection("mqtt", "reader", "broker.example", topic="t")
        db.upsert_resource(Resource(f"{name}-{number}", "n", "DSR", None, "7", meter, {}, {}))
"""


@pytest.mark.peer
def test_two_programs_open_an_old_file_at_once(tmp_path: Path) -> None:
    """Both wait for each other: the file is upgraded once, and what each stores is there."""
    path = tmp_path / "old.db"
    make_old_file(path)
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", STORE_TWENTY, str(path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in "ab"
    ]
    for program in programs:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"

    for program in programs:
        assert program.stdin is not None
        program.stdin.write("go\n")
        program.stdin.flush()
    errors = [program.communicate(timeout=240)[1] for program in programs]

    assert errors == ["", ""]
    with ResourceDatabase(path) as db:
        assert db.count() == 43
