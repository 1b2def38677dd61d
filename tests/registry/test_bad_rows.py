"""Invalid rows: named, left out, and no obstacle to others."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.registry.objects import make_resource
from venclient.errors import InvalidRecord
from venclient.registry.database import ResourceDatabase


@pytest.fixture
def db(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ResourceDatabase]:
    """Yield a registry of three resources in a database of each kind."""
    monkeypatch.setenv("VEN_REGISTRY_KEY_FILE", str(tmp_path / "resources.db.key"))
    with ResourceDatabase(database) as made:
        made.bulk_upsert(make_resource(name) for name in ("a", "b", "c"))
        yield made


@pytest.fixture
def sqlite_db(tmp_path: Path) -> Iterator[ResourceDatabase]:
    """Yield a file of three resources, for what only SQLite lets happen."""
    with ResourceDatabase(tmp_path / "only.db") as made:
        made.bulk_upsert(make_resource(name) for name in ("a", "b", "c"))
        yield made


def spoil(db: ResourceDatabase, sql: str) -> None:
    """Change rows behind the registry's back, as a program without foreign keys could."""
    off, on = "PRAGMA foreign_keys = OFF", "PRAGMA foreign_keys = ON"
    if "://" in db.db_path:
        off, on = "SET session_replication_role = replica", "SET session_replication_role = DEFAULT"
    with db.get_connection() as connection:
        connection.execute(off)
        connection.execute(sql)
        connection.commit()
        connection.execute(on)


SPOILT = {
    "JSON": (
        "UPDATE resources SET capacities = '{\"P_max' WHERE resource_id = 'b'",
        "capacities is not valid JSON",
    ),
    "list": (
        "UPDATE resources SET location = '[1]' WHERE resource_id = 'b'",
        "location is not a JSON object",
    ),
    "type": ("UPDATE resources SET resource_type = 'HEAT' WHERE resource_id = 'b'", "use DSR"),
    "connection": ("UPDATE connections SET type = 'telepathy' WHERE id = 2", "use MODBUSTCP"),
    "options": (
        "UPDATE connections SET options = 'oops' WHERE id = 2",
        "connections.options is not valid JSON",
    ),
    "dangling": ("DELETE FROM connections WHERE id = 2", "connection_id refers to"),
    "writer": (
        "UPDATE resources SET control_connection_id = 99 WHERE id = 2",
        "control_connection_id refers",
    ),
}
NUMBER = "UPDATE resources SET reporting = x'00ff' WHERE resource_id = 'b'"


def test_bytes_where_json_should_be(sqlite_db: ResourceDatabase) -> None:
    """A column that holds bytes, which SQLite allows anywhere, makes a bad row too."""
    spoil(sqlite_db, NUMBER)

    assert [r.resourceID for r in sqlite_db.get_all_resources()] == ["a", "c"]
    assert "reporting is not valid JSON" in sqlite_db.rejects[0].reason


@pytest.mark.parametrize(("sql", "reason"), SPOILT.values(), ids=SPOILT)
def test_bad_row_hides_no_other(
    db: ResourceDatabase, sql: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A list leaves the bad row out, reports where and why, and logs it once however often it is read."""
    spoil(db, sql)

    with caplog.at_level(logging.WARNING):
        for found in (db.get_all_resources(), db.get_resources(ven="Herning"), list(db.iter_resources())):
            assert [r.resourceID for r in found] == ["a", "c"]

    assert [reject.place for reject in db.rejects] == ["resources row 2 (b)"]
    assert reason in db.rejects[0].reason
    assert len(caplog.records) == 1
    assert "resources row 2 (b)" in caplog.text


def test_asking_for_the_bad_row_names_it(db: ResourceDatabase) -> None:
    """get_resource of a bad row says what is wrong instead of pretending that it is not there."""
    spoil(db, SPOILT["JSON"][0])

    with pytest.raises(InvalidRecord, match=r"resources row 2 \(b\): capacities is .*VEN-REG-153"):
        db.get_resource("b")


def test_mended_row_is_no_reject_any_more(db: ResourceDatabase) -> None:
    """Once a whole listing finds a row good again, it is forgotten as a reject."""
    spoil(db, SPOILT["JSON"][0])
    db.get_all_resources()

    spoil(db, "UPDATE resources SET capacities = '{}' WHERE resource_id = 'b'")

    assert len(db.get_all_resources()) == 3
    assert db.rejects == []


def test_bad_connection_hides_no_other(db: ResourceDatabase) -> None:
    """get_connections leaves out what it cannot understand, and names it."""
    spoil(db, SPOILT["connection"][0])

    assert [c.id for c in db.get_connections()] == [1, 3]
    assert db.rejects[0].place == "connections row 2"


def test_text_that_is_not_utf8(sqlite_db: ResourceDatabase) -> None:
    """A name that another program wrote in another encoding comes with replacement marks."""
    spoil(
        sqlite_db, "UPDATE resources SET resource_name = CAST(x'48f874656c' AS TEXT) WHERE resource_id = 'b'"
    )

    assert [r.resourceName for r in sqlite_db.get_all_resources()] == [
        "Hotel Ørnen",
        "H\ufffdtel",
        "Hotel Ørnen",
    ]


def test_nan_of_an_old_program_is_unknown(db: ResourceDatabase) -> None:
    """NaN in JSON, which is none, reads as None: unknown."""
    spoil(db, "UPDATE resources SET location = '{\"latitude\": NaN}' WHERE resource_id = 'b'")

    found = db.get_resource("b")

    assert found is not None
    assert found.location == {"latitude": None}
