"""Storing what may be there already: created, updated or unchanged, with its connections."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.registry.objects import make_connection, make_resource
from venclient.errors import InvalidRecord
from venclient.model.resource import ActorType, Resource
from venclient.registry.database import ResourceDatabase
from venclient.registry.writing import UpsertCounts


def dump(db: ResourceDatabase) -> list[list[tuple[Any, ...]]]:
    """Return every row of both tables."""
    with db.get_connection() as connection:
        return [
            [tuple(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY id")]
            for table in ("resources", "connections")
        ]


def test_outcomes(db: ResourceDatabase) -> None:
    """The first time creates, the same again changes nothing, a difference updates."""
    assert db.upsert_resource(make_resource()) == "created"
    assert db.upsert_resource(make_resource()) == "unchanged"
    assert db.upsert_resource(make_resource(address="Bredgade 2")) == "updated"

    found = db.get_all_resources()
    assert [r.address for r in found] == ["Bredgade 2"]


def test_second_time_writes_nothing(db: ResourceDatabase) -> None:
    """A second run over the same resources leaves every row as it was, times included."""
    made = [make_resource(str(number)) for number in range(50)]
    db.bulk_upsert(made)
    before = dump(db)

    counts = db.bulk_upsert(made)

    assert counts == UpsertCounts(unchanged=50)
    assert dump(db) == before


def test_connection_of_its_own_is_changed_in_place(db: ResourceDatabase) -> None:
    """A resource's new host goes into the row that it has."""
    db.upsert_resource(make_resource())

    db.upsert_resource(make_resource(connection=make_connection(host="other.example")))

    assert [(c.id, c.host) for c in db.get_connections()] == [(1, "other.example")]


def test_shared_connection_is_left_to_the_others(db: ResourceDatabase) -> None:
    """When one of two resources behind one connection moves, the other stays where it was."""
    connection_id = db.insert_connection(make_connection())
    db.insert_resource(make_resource("a"), connection_id)
    db.insert_resource(make_resource("b"), connection_id)

    db.upsert_resource(make_resource("b", connection=make_connection(host="other.example")))

    hosts = {r.resourceID: r.connection.host for r in db.get_all_resources()}
    assert hosts == {"a": "broker.example", "b": "other.example"}


def test_shared_connection_stays_shared(db: ResourceDatabase) -> None:
    """Updating a resource otherwise keeps it behind the connection that it shares."""
    connection_id = db.insert_connection(make_connection())
    db.insert_resource(make_resource("a"), connection_id)
    db.insert_resource(make_resource("b"), connection_id)

    db.upsert_resource(make_resource("b", address="elsewhere"))

    assert [c.id for c in db.get_connections()] == [connection_id]


def test_new_resources_share_nothing(db: ResourceDatabase) -> None:
    """Two new resources with equal connections get a row each: one may change without the other."""
    db.bulk_upsert([make_resource("a"), make_resource("b")])

    assert len(db.get_connections()) == 2


def test_control_connection_comes_and_goes(db: ResourceDatabase) -> None:
    """A writer is stored, changed in place, and deleted with its row when the resource has none any more."""
    writer = make_connection(actortype=ActorType.WRITER)
    db.upsert_resource(make_resource())

    assert db.upsert_resource(make_resource(control_connection=writer)) == "updated"
    assert db.upsert_resource(make_resource(control_connection=replace(writer, topic="set"))) == "updated"
    assert [c.topic for c in db.get_connections()] == ["site/power", "set"]
    assert db.upsert_resource(make_resource()) == "updated"
    assert [c.topic for c in db.get_connections()] == ["site/power"]


def test_one_row_for_both_parts_comes_apart(db: ResourceDatabase) -> None:
    """Where reader and writer are one row, changing the reader leaves the writer as it is."""
    both = make_connection()
    connection_id = db.insert_connection(both)
    db.insert_resource(make_resource(), connection_id)
    with db.get_connection() as connection:
        connection.execute("UPDATE resources SET control_connection_id = connection_id")

    moved = make_connection(host="other.example")
    db.upsert_resource(make_resource(connection=moved, control_connection=both))

    found = db.get_all_resources()[0]
    assert (found.connection, found.control_connection) == (moved, both)


def test_unset_enabled_keeps_what_is_stored(db: ResourceDatabase) -> None:
    """A resource without a word about `enabled` stays switched off."""
    db.upsert_resource(make_resource(enabled=False))

    assert db.upsert_resource(make_resource(enabled=None)) == "unchanged"
    assert db.count(enabled=False) == 1


def test_other_spelling_is_no_change(db: ResourceDatabase) -> None:
    """Rows in the first generation's spelling, with its JSON, are equal to what they mean."""
    db.upsert_resource(make_resource())
    with db.get_connection() as connection:
        connection.execute(
            "UPDATE resources SET resource_type = 'Demand Response',"
            ' location = \'{"longitude": 8.97,  "latitude": 56.14}\''
        )
        connection.execute("UPDATE connections SET type = 'mqtt', actortype = 'reader'")
    before = dump(db)

    assert db.upsert_resource(make_resource()) == "unchanged"
    assert dump(db) == before


def test_bad_row_is_replaced(db: ResourceDatabase) -> None:
    """A row that cannot be understood is repaired by storing its resource again."""
    db.upsert_resource(make_resource())
    with db.get_connection() as connection:
        connection.execute("UPDATE resources SET capacities = 'oops'")
        connection.execute("UPDATE connections SET type = 'telepathy'")

    assert db.upsert_resource(make_resource()) == "updated"
    assert db.get_all_resources() == [make_resource()]
    assert db.rejects == []


def test_updates_move_updated_at(db: ResourceDatabase) -> None:
    """An update is dated; the day of creation stays."""
    db.upsert_resource(make_resource())
    with db.get_connection() as connection:
        connection.execute("UPDATE resources SET created_at = '2020-01-01', updated_at = '2020-01-01'")

    db.upsert_resource(make_resource(address="elsewhere"))

    with db.get_connection() as connection:
        row = connection.execute("SELECT created_at, updated_at FROM resources").fetchone()
    assert row["created_at"].startswith("2020-01-01")
    assert row["updated_at"] > "2020-01-01"


def test_bulk_upsert_is_all_or_nothing(db: ResourceDatabase) -> None:
    """One resource that cannot be stored, and none of the others is changed."""
    db.upsert_resource(make_resource("a"))

    def resources() -> Iterator[Resource]:
        yield make_resource("a", address="elsewhere")
        yield make_resource("b")
        yield make_resource("c", resourceType="HEAT")

    with pytest.raises(InvalidRecord, match="HEAT"):
        db.bulk_upsert(resources())

    assert db.get_all_resources() == [make_resource("a")]


def test_bulk_upsert_may_read_while_it_draws(db: ResourceDatabase) -> None:
    """The iterable may ask the database what it holds, inside the same transaction."""
    db.upsert_resource(make_resource("a"))

    def resources() -> Iterator[Resource]:
        stored = db.get_resource("a")
        assert stored is not None
        yield replace(stored, address="elsewhere")
        yield make_resource("b")

    assert db.bulk_upsert(resources()) == UpsertCounts(created=1, updated=1)


def test_same_id_twice_in_one_bulk(db: ResourceDatabase) -> None:
    """The later of two says what is stored."""
    counts = db.bulk_upsert([make_resource("a"), make_resource("a", address="elsewhere")])

    assert counts == UpsertCounts(created=1, updated=1)
    assert [r.address for r in db.get_all_resources()] == ["elsewhere"]


def test_delete_takes_its_connections_with_it(db: ResourceDatabase) -> None:
    """Deleting a resource deletes what it alone used, and nothing that others use."""
    shared_id = db.insert_connection(make_connection())
    db.insert_resource(make_resource("a"), shared_id)
    db.insert_resource(
        make_resource("b", control_connection=make_connection(actortype="writer", topic="set")), shared_id
    )

    assert db.delete_resource("b") is True
    assert [c.id for c in db.get_connections()] == [shared_id]
    assert db.delete_resource("b") is False
    assert [r.resourceID for r in db.get_all_resources()] == ["a"]
