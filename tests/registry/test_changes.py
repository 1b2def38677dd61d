"""The record of changes: complete, unalterable, and without secrets."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.registry.objects import make_connection, make_resource
from venclient.clock import ManualClock
from venclient.errors import Conflict
from venclient.registry.database import ResourceDatabase


def test_who_when_from_what_to_what(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each change records its moment, who made it, and the values before and after."""
    monkeypatch.setenv("VEN_REGISTRY_KEY_FILE", str(tmp_path / "key"))
    now = datetime(2026, 1, 5, 12, 0, 0, 250_000, UTC)
    with ResourceDatabase(database, actor="anna", clock=ManualClock(now)) as db:
        db.upsert_resource(make_resource())
        db.update_resource("r-1", ven="Ikast", capacities={"P_max_kw": 60})
        db.delete_resource("r-1")

        created, changed, deleted = db.history("r-1")

    assert [(one.actor, one.at, one.subject) for one in (created, changed, deleted)] == [
        ("anna", now, "r-1")
    ] * 3
    assert (created.action, created.before) == ("insert", None)
    assert created.after is not None
    assert created.after["resourceName"] == "Hotel Ørnen"
    assert created.after["connection"]["host"] == "broker.example"
    assert changed.before == {"ven": "Herning", "capacities": make_resource().capacities}
    assert changed.after == {"ven": "Ikast", "capacities": {**make_resource().capacities, "P_max_kw": 60}}
    assert (deleted.action, deleted.after) == ("delete", None)
    assert deleted.before == created.after | changed.after


def test_actor_is_user_host_and_process_by_default(db: ResourceDatabase) -> None:
    """Nobody needs to say who they are."""
    db.upsert_resource(make_resource())

    actor = db.history("r-1")[0].actor

    assert actor.endswith(f":{os.getpid()}")
    assert "@" in actor


def test_no_secret_is_recorded(db: ResourceDatabase) -> None:
    """References may be read, anything else of a login is ***; that it changed can be seen."""
    db.upsert_resource(make_resource(connection=make_connection(username="env:USER_NAME")))
    db.update_resource("r-1", {"connection.password": "hunter3"})
    db.update_connection(db.get_connections()[0].id or 0, password="hunter4")
    db.delete_resource("r-1")
    connection_id = db.insert_connection(make_connection(password="hunter5"))
    db.delete_connection(connection_id)

    with db.get_connection() as connection:
        recorded = repr([tuple(row) for row in connection.execute("SELECT * FROM changes")])
    created, updated, relogged, _ = db.history("r-1")

    assert "hunter" not in recorded
    assert "'site'" not in recorded
    assert created.after is not None
    assert (created.after["connection"]["username"], created.after["connection"]["password"]) == (
        "env:USER_NAME",
        "***",
    )
    assert updated.after is not None
    assert updated.after["connection"]["password"] == "*** (another)"
    assert (relogged.before, relogged.after) == ({"password": "***"}, {"password": "*** (another)"})


def test_every_way_of_changing_is_recorded(db: ResourceDatabase) -> None:
    """Insert, upsert, switch, connections and clearing: each leaves its row."""
    connection_id = db.insert_connection(make_connection())
    db.insert_resource(make_resource("a"), connection_id)
    db.bulk_insert_resources([make_resource("b")])
    db.upsert_resource(make_resource("b", ven="Ikast"))
    db.bulk_upsert([make_resource("b"), make_resource("c")])
    db.set_enabled("a", False)
    db.update_connection(connection_id, host="other")
    db.bulk_delete(["b"])
    db.clear_all_resources()

    recorded = [(one.action, one.kind, one.subject) for one in db.changes()]

    assert recorded == [
        ("insert", "connection", str(connection_id)),
        ("insert", "resource", "a"),
        ("insert", "resource", "b"),
        ("update", "resource", "b"),
        ("update", "resource", "b"),
        ("insert", "resource", "c"),
        ("update", "resource", "a"),
        ("update", "connection", str(connection_id)),
        ("delete", "resource", "b"),
        ("clear", "registry", None),
    ]
    assert db.changes()[-1].before == {"resources": 2, "connections": 2}
    assert [one.id for one in db.changes(after=db.changes()[7].id, limit=1)] == [db.changes()[8].id]


def test_what_fails_is_not_recorded(db: ResourceDatabase) -> None:
    """The log entry is part of the transaction that it records."""
    db.upsert_resource(make_resource())
    before = len(db.changes())

    def change_and_fail() -> None:
        with db.get_connection() as connection:
            connection.execute("UPDATE resources SET address = 'elsewhere'")
            db.update_resource("r-1", ven="Ikast")
            raise RuntimeError

    with pytest.raises(Conflict):
        db.bulk_insert_resources([make_resource(str(n)) for n in range(300)] + [make_resource()])
    with pytest.raises(RuntimeError):
        change_and_fail()

    assert len(db.changes()) == before


def test_no_change_is_no_row(db: ResourceDatabase) -> None:
    """Storing what is stored already records nothing."""
    db.upsert_resource(make_resource())

    db.upsert_resource(make_resource())
    db.update_resource("r-1", ven="Herning")
    db.set_enabled("r-1", True)

    assert len(db.changes()) == 1


def test_bulk_insert_is_recorded_and_found_out(db: ResourceDatabase) -> None:
    """Of thousands at once each has its row; what was inserted follows from what came after."""
    db.bulk_insert_resources(make_resource(str(number)) for number in range(250))
    connection = db.get_resource("7").connection  # type: ignore[union-attr]
    db.update_resource("7", ven="Ikast")
    db.update_connection(connection.id or 0, host="other")
    db.update_resource("7", address=None)

    changes = db.history("7")
    db.delete_resource("8")

    assert [one.action for one in changes] == ["insert", "update", "update", "update"]
    created = changes[0].after
    assert created is not None
    assert (created["ven"], created["address"]) == ("Herning", make_resource().address)
    assert created["connection"]["host"] == "broker.example"
    assert len(db.changes()) == 250 + 4
    assert db.history("8")[0].after == db.history("8")[1].before


def test_old_tuples_are_recorded(db: ResourceDatabase) -> None:
    """The first generation's tuples, too, leave a row each, and one for the connection that they share."""
    db.bulk_insert_resources([("a", "Hotel", "DSR", None, "7070", "{}", "{}", None, "Herning", True)])

    history = db.history("a")

    assert [(one.action, one.kind) for one in history] == [("insert", "connection"), ("insert", "resource")]
    assert history[1].after is not None
    assert history[1].after["resourceName"] == "Hotel"


def test_cleared_resource_says_so(db: ResourceDatabase) -> None:
    """The clearing of a registry is part of the history of what was in it, and of nothing later."""
    db.upsert_resource(make_resource())
    db.clear_all_resources()
    db.upsert_resource(make_resource("later"))

    assert [one.action for one in db.history("r-1")] == ["insert", "clear"]
    assert [one.action for one in db.history("later")] == ["insert"]
    assert db.history("never") == []


def test_unreadable_row_is_replaced_and_recorded(db: ResourceDatabase) -> None:
    """A row that made no sense is recorded as such when it is stored again, or deleted."""
    db.bulk_upsert([make_resource("a"), make_resource("b")])
    with db.get_connection() as connection:
        connection.execute("UPDATE resources SET capacities = 'oops'")

    db.upsert_resource(make_resource("a"))
    db.delete_resource("b")

    for name in "ab":
        before = db.history(name)[-1].before
        assert before is not None
        assert "capacities is not valid JSON" in before["unreadable"]


_FORGED = "(id, at, actor, action, kind) VALUES (1, '2026', 'nobody', 'insert', 'resource')"


@pytest.mark.parametrize(
    "sql", ["UPDATE changes SET actor = 'nobody'", "DELETE FROM changes", f"REPLACE INTO changes {_FORGED}"]
)
def test_nobody_rewrites_the_record(db: ResourceDatabase, database: str, sql: str) -> None:
    """The database refuses to alter what was recorded, for every program."""
    if "://" in database and sql.startswith("REPLACE"):
        sql = f"INSERT INTO changes {_FORGED} ON CONFLICT (id) DO UPDATE SET actor = 'nobody'"
    db.upsert_resource(make_resource())

    def rewrite() -> None:
        with db.get_connection() as connection:
            connection.execute(sql)

    with pytest.raises(Exception, match="never"):
        rewrite()

    assert len(db.changes()) == 1


def test_programs_that_know_no_version_go_on(db: ResourceDatabase) -> None:
    """A row that another program inserts starts at version 1, and has no history until it changes."""
    connection_id = db.insert_connection(make_connection())
    with db.get_connection() as connection:
        connection.execute(
            "INSERT INTO resources (resource_id, resource_name, resource_type, meter_point_id, connection_id,"
            f" capacities, location) VALUES ('old', 'Hotel', 'DSR', '7', {connection_id}, '{{}}', '{{}}')"
        )

    found = db.get_resource("old")
    assert found is not None
    assert found.version == 1
    assert db.history("old") == []
    assert db.update_resource("old", expected_version=1, ven="Ikast").version == 2


def test_any_numbers_ask_for_changes(db: ResourceDatabase) -> None:
    """A limit or a beginning beyond what a database counts gives what there is."""
    db.upsert_resource(make_resource())

    assert len(db.changes(after=-1, limit=2**70)) == 1
    assert db.changes(after=2**70) == db.changes(limit=0) == db.changes(limit=-1) == []
