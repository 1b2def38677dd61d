"""Files and calls of the first generation, on today's registry."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from flex_resources import ActorType, Connection, ConnectionType, Resource
from resource_db import ResourceDatabase
from tests.contract.old_rows import add_old_rows
from tests.contract.snippets import snippet


def test_file_made_with_the_specifications_ddl(shared: Path, tmp_path: Path) -> None:
    """A file with the specification's tables and the older lower-case values opens, and loses nothing."""
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as old:
        old.execute(snippet(shared, "connections"))
        old.execute(snippet(shared, "resources"))
        add_old_rows(old)
        before = old.execute("SELECT * FROM resources").fetchall()

    with ResourceDatabase(db_path=str(path)) as db:
        found = db.get_all_resources()
        assert [r.resourceID for r in found] == ["old-1", "old-2", "old-3"]
        assert [r.resourceType for r in found] == ["DSR", "EV", "DSR"]
        assert db.get_statistics()["by_type"] == {"DSR": 2, "EV": 1}
        assert len(db.get_resources_by_type("Demand Response")) == 2

    with closing(sqlite3.connect(path)) as old:
        columns = [row[1] for row in old.execute("PRAGMA table_info(resources)")][: len(before[0])]
        assert old.execute(f"SELECT {', '.join(columns)} FROM resources").fetchall() == before


def test_upper_case_names_are_stored(tmp_path: Path) -> None:
    """What is written today has the specification's upper-case names."""
    with ResourceDatabase(str(tmp_path / "new.db")) as db:
        db.insert_connection(Connection(ConnectionType.MODBUSTCP, ActorType.WRITER, "192.0.2.1", 502))
        with db.get_connection() as connection:
            row = connection.execute("SELECT type, actortype FROM connections").fetchone()

    assert (row["type"], row["actortype"]) == ("MODBUSTCP", "WRITER")


def test_insert_as_old_programs_do(tmp_path: Path) -> None:
    """insert_connection, insert_resource and the getters work together as the API reference has it."""
    meter = Connection(ConnectionType.FILEREADER, ActorType.READER, file="meter.csv")
    resource = Resource("id", "Hotel", "DSR", "Hotels", "7070", meter, {"P_max_kw": 50}, {"latitude": 56.1})
    with ResourceDatabase(str(tmp_path / "new.db")) as db:
        connection_id = db.insert_connection(meter)
        db.insert_resource(resource, connection_id, "Herning")

        assert isinstance(connection_id, int)
        (found,) = db.get_resources_by_ven("Herning")
        assert found.connection.file == "meter.csv"
        assert found.capacities == {"P_max_kw": 50}
        assert db.get_resource("unknown") is None


def test_bulk_insert_of_tuples(tmp_path: Path) -> None:
    """The old tuples are taken as they were."""
    rows = [
        (
            str(n),
            "Bar",
            "DSR",
            "Bars",
            "7070",
            json.dumps({"P_max_kw": 25}),
            json.dumps({}),
            "Street",
            "Ikast",
            True,
        )
        for n in range(3)
    ]
    with ResourceDatabase(str(tmp_path / "new.db")) as db:
        db.bulk_insert_resources(rows)

        assert db.get_statistics() == {
            "total_resources": 3,
            "by_type": {"DSR": 3},
            "by_subtype": {"Bars": 3},
            "top_10_vens": {"Ikast": 3},
        }
        assert all(r.enabled is True for r in db.get_all_resources())


def test_rows_by_column_name(tmp_path: Path) -> None:
    """get_connection yields rows addressable by column name, commits on success and rolls back on error."""
    with ResourceDatabase(str(tmp_path / "new.db")) as db:
        with db.get_connection() as connection:
            cursor = connection.cursor()
            cursor.execute("INSERT INTO connections (type, actortype, host) VALUES ('MQTT', 'READER', 'h')")
            assert cursor.lastrowid == 1
        try:
            with db.get_connection() as connection:
                connection.execute("DELETE FROM connections")
                raise KeyError
        except KeyError:
            pass
        with db.get_connection() as connection:
            (row,) = connection.execute("SELECT * FROM connections").fetchall()

    assert (row["host"], row["port"]) == ("h", None)
