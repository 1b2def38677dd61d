"""A database of every schema that there has been opens, keeps every row, and is read."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from venclient.registry.database import ResourceDatabase
from venclient.registry.inspection import inspect
from venclient.registry.upgrade import KNOWN, upgrade

FIXTURES = Path(__file__).parent / "fixtures"
#: 0000 is the specification's DDL, which records no version.
VERSIONS = ("0000", *KNOWN)
_NOT_ROWS = ("sqlite_sequence", "alembic_version")


def _made(path: Path, version: str) -> Path:
    with closing(sqlite3.connect(path)) as made:
        made.executescript((FIXTURES / f"schema-{version}.sql").read_text(encoding="utf-8"))
    return path


def _rows(path: Path) -> dict[str, list[dict[str, object]]]:
    """Return the rows of each table by column name."""
    with closing(sqlite3.connect(path)) as driver:
        driver.row_factory = sqlite3.Row
        tables = [row[0] for row in driver.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: [dict(row) for row in driver.execute(f"SELECT * FROM {table} ORDER BY 1")]
            for table in tables
            if table not in _NOT_ROWS
        }


def test_each_schema_has_a_fixture() -> None:
    assert sorted(path.stem for path in FIXTURES.glob("*.sql")) == [f"schema-{one}" for one in VERSIONS]


@pytest.mark.parametrize("version", VERSIONS)
def test_schema_is_upgraded_without_losing_a_row(version: str, tmp_path: Path) -> None:
    path = _made(tmp_path / "old.db", version)
    before = _rows(path)

    assert upgrade(path) == (None if version == "0000" else version, KNOWN[-1])

    after = _rows(path)
    for table, rows in before.items():
        kept = [{name: row[name] for name in rows[0]} for row in after[table]] if rows else after[table]
        assert kept == rows


@pytest.mark.parametrize("version", VERSIONS)
def test_schema_is_read_and_written(version: str, tmp_path: Path) -> None:
    path = _made(tmp_path / "old.db", version)

    with ResourceDatabase(path) as db:
        assert [one.resourceID for one in db.get_all_resources()] == ["old-1", "old-2", "old-3"]
        assert db.rejects == []
        hotel = db.get_resource("old-1")
        assert hotel is not None
        assert (hotel.control_connection is not None) == (version >= "0002")
        assert (db.reporting_status("old-1") is not None) == (version >= "0004")
        assert db.update_resource("old-1", resourceName="Hotel Nord").resourceName == "Hotel Nord"
    assert inspect(path).problems == []
