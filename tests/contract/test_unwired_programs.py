"""Programs of the first generation that store every resource behind a file that is named later."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import pytest

from flex_resources import ActorType, Connection, ConnectionType, Resource
from resource_db import ResourceDatabase
from tests.registry.objects import make_resource
from venclient.messages import code_of

ROWS = 480


def unwired() -> Connection:
    """Build the connection that the first generation gave every resource."""
    return Connection(ConnectionType.FILEREADER, ActorType.READER, file="")


def site(number: int) -> Resource:
    """Build a resource as its programs did, positional arguments included."""
    return Resource(
        str(uuid5(NAMESPACE_URL, str(number))),
        f"Site {number}",
        "EV" if number % 4 == 0 else "DSR",
        "Chargingstations" if number % 4 == 0 else "Hotels",
        f"7070575000{number:08}",
        unwired(),
        {"P_max_kw": 50, "P_min_kw": -20, "E_max_kwh": 200, "E_min_kwh": 0},
        {"latitude": 56.1 + number / 1000, "longitude": 8.9},
        f"Bredgade {number}, 7400 Herning, Denmark",
        True,
        None,
    )


def test_480_rows_one_at_a_time(tmp_path: Path) -> None:
    """insert_connection and insert_resource store every one of them, each with its warning."""
    with ResourceDatabase(db_path=str(tmp_path / "r.db")) as db:
        for number in range(ROWS):
            connection_id = db.insert_connection(unwired())
            assert [code_of(one.text) for one in db.last_warnings] == ["VEN-REG-040"]
            db.insert_resource(site(number), connection_id, "Herning")
            assert "VEN-REG-040" in [code_of(one.text) for one in db.last_warnings]
        _check(db)


def test_480_resources_at_once(tmp_path: Path) -> None:
    """bulk_insert_resources stores them too, and names all that lack a file."""
    with ResourceDatabase(db_path=str(tmp_path / "r.db")) as db:
        assert db.bulk_insert_resources([site(number) for number in range(ROWS)]) == ROWS
        warned = {one.subject for one in db.last_warnings if code_of(one.text) == "VEN-REG-040"}
        assert len(warned) == ROWS
        _check(db)


def test_480_tuples_at_once(tmp_path: Path) -> None:
    """The old tuples share one connection without a file: one warning."""
    rows = [
        (
            one.resourceID,
            one.resourceName,
            one.resourceType,
            one.resourceSubType,
            one.meterPointId,
            json.dumps(one.capacities),
            json.dumps(one.location),
            one.address,
            "Herning",
            one.enabled,
        )
        for one in map(site, range(ROWS))
    ]
    with ResourceDatabase(db_path=str(tmp_path / "r.db")) as db:
        assert db.bulk_insert_resources(rows) == ROWS
        codes = [code_of(one.text) for one in db.last_warnings]
        assert codes.count("VEN-REG-040") == 1
        _check(db)


@pytest.mark.parametrize(
    "connection",
    [
        Connection(ConnectionType.FILEREADER, ActorType.READER),
        Connection(ConnectionType.MQTT, ActorType.READER, "broker.example", 1883),
        Connection(ConnectionType.MQTT, ActorType.READER, topic="site/power"),
        Connection(ConnectionType.MODBUSTCP, ActorType.READER, port=502),
    ],
    ids=lambda one: one.endpoint,
)
def test_any_connection_may_be_completed_later(tmp_path: Path, connection: Connection) -> None:
    """Each type is stored while it lacks something, and an update that completes it has no warning."""
    with ResourceDatabase(db_path=str(tmp_path / "r.db")) as db:
        good = make_resource(meterPointId="707057500000000018", connection=connection)
        db.insert_resource(good, db.insert_connection(connection))
        assert [code_of(one.text) for one in db.last_warnings] == ["VEN-REG-040"]

        whole = dict.fromkeys(connection.missing, "there")
        stored = db.update_resource("r-1", connection=whole)

        assert stored.connection.has_source
        assert db.last_warnings == []


def _check(db: ResourceDatabase) -> None:
    stored = db.get_all_resources()
    assert len(stored) == ROWS
    assert not any(one.connection.has_source for one in stored)
    assert db.get_statistics()["by_type"] == {"DSR": 360, "EV": 120}
