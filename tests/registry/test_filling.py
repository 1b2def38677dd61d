"""Many inserts into an empty registry: the indexes are made at the end, and are there whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.registry.objects import make_resource
from venclient.errors import Conflict
from venclient.model.resource import Resource
from venclient.registry.database import ResourceDatabase


def indexes(db: ResourceDatabase) -> set[str]:
    """Return the names of all indexes."""
    with db.get_connection() as driver:
        return {str(row[0]) for row in driver.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}


def many(count: int) -> Iterator[Resource]:
    """Return `count` resources, all different."""
    return (make_resource(f"r-{number}") for number in range(count))


def test_all_indexes_are_there_after_a_large_insert(tmp_path: Path) -> None:
    """What was put off is made up for, and holds every row."""
    with ResourceDatabase(tmp_path / "r.db") as db:
        before = indexes(db)
        db.bulk_insert_resources(many(2_100))
        with db.get_connection() as driver:
            sound = driver.execute("PRAGMA integrity_check").fetchone()[0]
        assert indexes(db) == before
        assert sound == "ok"
        assert db.history("r-2050")[0].action == "insert"


def test_a_large_insert_that_fails_leaves_the_indexes(tmp_path: Path) -> None:
    """An error near the end undoes the rows and what was done to the indexes."""
    with ResourceDatabase(tmp_path / "r.db") as db:
        before = indexes(db)
        rows = [*many(1_500), make_resource("r-7")]
        with pytest.raises(Conflict, match="r-7"):
            db.bulk_insert_resources(rows)
        assert indexes(db) == before
        assert db.count() == 0


def test_an_open_query_does_not_keep_a_large_insert_away(tmp_path: Path) -> None:
    """SQLite drops no index under a query that is not read to its end; the insert goes on with them."""
    with ResourceDatabase(tmp_path / "r.db") as db:
        before = indexes(db)
        with db.get_connection() as driver:
            waiting = driver.execute("SELECT name FROM sqlite_master")
            waiting.fetchone()
            assert db.bulk_insert_resources(many(1_200)) == 1_200
            waiting.fetchall()
        assert indexes(db) == before
        assert db.get_resource("r-1199") is not None


def test_columns_that_are_the_same_in_all_rows_come_back_as_they_were(tmp_path: Path) -> None:
    """Null and truth are written into the statement when all rows have them: no other column moves."""
    rows = [make_resource(f"r-{number}", enabled=number > 0, address=None) for number in range(150)]
    with ResourceDatabase(tmp_path / "r.db") as db:
        db.bulk_insert_resources(rows)
        assert db.get_all_resources() == rows
        others = [make_resource(f"s-{number}", enabled=False, ven=None) for number in range(150)]
        db.bulk_insert_resources(others)
        assert db.get_all_resources() == rows + others
