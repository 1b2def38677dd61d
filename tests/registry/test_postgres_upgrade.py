"""Opening PostgreSQL databases that are new, older, newer, or another program's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from venclient.errors import RegistryError
from venclient.registry.database import ResourceDatabase
from venclient.registry.opening import open_link
from venclient.registry.schema import HEAD, metadata

psycopg = pytest.importorskip("psycopg")

from venclient.registry.postgres_link import PostgresLink  # noqa: E402
from venclient.registry.postgres_upgrade import found, upgrade  # noqa: E402

pytestmark = pytest.mark.peer


@pytest.fixture
def url(new_postgres: Callable[[], str]) -> str:
    """Return the URL of an empty schema."""
    return new_postgres()


def run(url: str, sql: str) -> None:
    """Change a database as another program would."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql)


def tables(url: str) -> set[str]:
    """Return the tables of the URL's schema."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        return {row[0] for row in rows}


def test_new_database_gets_the_newest_schema(url: str) -> None:
    """An empty schema comes from nothing to the newest version; opening again does nothing."""
    link = PostgresLink(url)

    assert upgrade(link) == (None, HEAD)
    assert upgrade(link) == (HEAD, HEAD)
    assert found(link) == HEAD
    link.close()


def test_migrations_lead_to_the_schema_that_statements_use(url: str) -> None:
    """The tables that migrations make are those that the code believes in."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlalchemy import create_engine

    ResourceDatabase(url).close()
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()

    assert differences == []


def test_newer_database_is_refused(url: str) -> None:
    """A database that a newer program made is left alone, with a sentence that says so."""
    ResourceDatabase(url).close()
    run(url, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(RegistryError, match=rf"9999.*{HEAD}.*VEN-DBF-050"):
        ResourceDatabase(url)


@pytest.mark.parametrize(
    "sql", ["CREATE TABLE reading (k INTEGER)", "CREATE TABLE resources (id INTEGER, name TEXT)"]
)
def test_database_of_another_program_is_refused(url: str, sql: str) -> None:
    """Other tables are named, and get none of ours beside them."""
    run(url, sql)
    before = tables(url)

    with pytest.raises(RegistryError, match="VEN-DBF-052"):
        ResourceDatabase(url)

    assert tables(url) == before


def test_failed_upgrade_leaves_what_was_there(url: str) -> None:
    """When a step of an upgrade fails, none of it has happened."""
    ResourceDatabase(url).close()
    run(url, "UPDATE alembic_version SET version_num = '0001'")
    run(url, "ALTER TABLE connections DROP COLUMN options")

    with pytest.raises(RegistryError, match="control_connection_id"):
        ResourceDatabase(url)

    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
        columns = connection.execute("SELECT * FROM connections").description
        assert "options" not in {column.name for column in columns or ()}


OPEN_AND_STORE = """
import sys
from venclient.model.resource import Connection, Resource
from venclient.registry.database import ResourceDatabase

print("ready", flush=True)
sys.stdin.readline()
with ResourceDatabase(sys.argv[1]) as db:
    meter = Connection("mqtt", "reader", "broker.example", topic="t")
    db.upsert_resource(Resource(sys.argv[2], "n", "DSR", None, "7", meter, {}, {}))
"""


def test_programs_open_a_new_database_at_once(url: str) -> None:
    """They wait for each other: the tables are made once, and what each stores is there."""
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN_AND_STORE, url, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in "abc"
    ]
    for program in programs:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
    for program in programs:
        assert program.stdin is not None
        program.stdin.write("go\n")
        program.stdin.flush()
    errors = [program.communicate(timeout=240)[1] for program in programs]

    assert errors == ["", "", ""]
    link = open_link(url)
    assert link.rows("SELECT count(*) FROM resources") == [(3,)]
    link.close()
