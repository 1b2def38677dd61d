"""Tests of many resources at once: a batch takes just what is plain, and stores what single rows would."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.registry.objects import make_connection, make_resource
from venclient.errors import Conflict, InvalidRecord
from venclient.model.resource import ActorType, ConnectionType, Resource
from venclient.registry.batches import Batch
from venclient.registry.database import ResourceDatabase
from venclient.registry.link import RowRefused
from venclient.registry.sqlite_inserts import ROWS_AT_ONCE, insert_columns
from venclient.registry.validation import is_plain

_ODD_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "resourceID": st.sampled_from(["", " r", "r ", "r" * 129, "r", 7, None]),
    "resourceName": st.sampled_from(["", "  ", "Hotel", None, 3]),
    "resourceType": st.sampled_from(["DSR", "Demand Response", "ev", "nothing", None, 4]),
    "resourceSubType": st.sampled_from([None, "Hotels", 5]),
    "meterPointId": st.sampled_from(["", "707057500000000015", 5, None]),
    "address": st.sampled_from([None, "", "Bredgade 1", 5]),
    "enabled": st.sampled_from([None, True, False, 1, 0, "yes"]),
    "reporting": st.sampled_from([None, {}, {"interval": "PT15M"}]),
    "control_connection": st.sampled_from([None, make_connection(actortype=ActorType.WRITER)]),
    "capacities": st.fixed_dictionaries(
        {
            name: st.sampled_from([-20, 0.0, 50, float("nan"), float("inf"), "5", None, True])
            for name in ("P_max_kw", "P_min_kw", "E_max_kwh", "E_min_kwh")
        }
    ),
    "location": st.dictionaries(
        st.sampled_from(["latitude", "longitude", "floor"]),
        st.sampled_from([8.9, 56.1, -91, 181, float("nan"), "56", None]),
    ),
    "connection": st.builds(
        lambda changes: make_connection(**changes),
        st.fixed_dictionaries(
            {},
            optional={
                "type": st.sampled_from(list(ConnectionType)),
                "actortype": st.sampled_from(list(ActorType)),
                "host": st.sampled_from([None, "", "h", 4]),
                "port": st.sampled_from([None, 0, 1, 65_536, True, "1"]),
                "topic": st.sampled_from([None, "", "t"]),
                "file": st.sampled_from([None, "", "f"]),
                "password": st.sampled_from([None, "p", 4]),
                "options": st.sampled_from([None, {}, {"a": 1}, [1]]),
            },
        ),
    ),
}


@settings(max_examples=150, deadline=None)
@given(st.fixed_dictionaries({}, optional=_ODD_VALUES))
def test_a_batch_takes_only_what_is_plain(changes: dict[str, Any]) -> None:
    """Whatever one resource is like, a batch with it among others is made only when it is plain."""
    odd = make_resource("r-2", **changes)
    if Batch.of([make_resource("r-1"), odd, make_resource("r-3")]) is not None:
        assert is_plain(odd)


def test_plain_resources_make_a_batch() -> None:
    """The usual kinds of connection, with options or without, are taken together."""
    made = [
        make_resource("a"),
        make_resource("b", connection=make_connection(type=ConnectionType.FILEREADER, file="x.csv")),
        make_resource("c", connection=make_connection(type=ConnectionType.MODBUSTCP, topic=None, port=None)),
        make_resource("d", enabled=None, address=None, ven=None),
    ]
    assert Batch.of(made) is not None


def test_a_batch_stores_what_single_rows_would(tmp_path: Path) -> None:
    """Both tables hold the same, but for the moments and how a login is sealed."""
    made = [
        make_resource(
            f"r-{number}",
            enabled=(None, True, False)[number % 3],
            resourceType=("DSR", "Electric Vehicle", "EV")[number % 2],
            address=None if number % 5 else 'Bredgade "1"\n7400 Herning',
            connection=make_connection(
                topic=f"site/{number}", username=None, password="env:SECRET" if number % 2 else None
            ),
        )
        for number in range(130)
    ]
    with ResourceDatabase(tmp_path / "many.db") as many, ResourceDatabase(tmp_path / "single.db") as single:
        many.bulk_insert_resources(made)
        for one in made:
            single.upsert_resource(one)
        assert many.get_all_resources() == single.get_all_resources()
        assert [change.subject for change in many.history("r-7")] == ["r-7"]
    assert _stored(tmp_path / "many.db") == _stored(tmp_path / "single.db")


def test_an_id_that_is_taken_is_named_among_many(tmp_path: Path) -> None:
    """The id that exists already is reported, and nothing of the others is stored."""
    with ResourceDatabase(tmp_path / "r.db") as db:
        made = [make_resource(f"r-{number}") for number in range(150)]
        made[120] = make_resource("r-5")
        with pytest.raises(Conflict) as caught:
            db.bulk_insert_resources(made)
        assert caught.value.subject == "resource r-5"
        assert db.count() == 0


def test_one_that_is_wrong_is_named_among_many(tmp_path: Path) -> None:
    """A mistake keeps the batch from being made; the resource is reported with all its mistakes."""
    with ResourceDatabase(tmp_path / "r.db") as db:
        made: list[Resource] = [make_resource(f"r-{number}") for number in range(150)]
        made[120] = make_resource("r-120", location={"latitude": 91, "longitude": 181})
        with pytest.raises(InvalidRecord) as caught:
            db.bulk_insert_resources(made)
        assert caught.value.subject == "resource 'r-120'"
        assert len(caught.value.problems) == 2
        assert db.count() == 0


@pytest.mark.parametrize("at", [0, 3, ROWS_AT_ONCE - 1, ROWS_AT_ONCE, 2 * ROWS_AT_ONCE + 1])
def test_the_row_that_is_refused_is_told(at: int) -> None:
    """Also inside a statement of many rows; those before it are stored, as one by one."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as driver:
        driver.execute("CREATE TABLE t (a TEXT NOT NULL, b INTEGER)")
        driver.execute("BEGIN")
        texts: list[str | None] = [f"a{number}" for number in range(2 * ROWS_AT_ONCE + 2)]
        texts[at] = None
        with pytest.raises(RowRefused) as caught:
            insert_columns(driver, "INSERT INTO t (a, b) VALUES (?, ?)", [texts, range(len(texts))])
        assert (caught.value.at, caught.value.taken) == (at, False)
        assert driver.execute("SELECT count(*) FROM t").fetchone()[0] == at


def _stored(path: Path) -> tuple[list[Any], list[Any]]:
    with closing(sqlite3.connect(path)) as bare:
        resources = bare.execute(
            "SELECT resource_id, resource_name, resource_type, resource_sub_type, meter_point_id,"
            " connection_id, capacities, location, address, ven, enabled, reporting, control_connection_id,"
            " version, created_at IS NOT NULL, updated_at IS NOT NULL FROM resources ORDER BY id"
        ).fetchall()
        links = bare.execute(
            "SELECT id, type, actortype, host, port, topic, file, username, password, options,"
            " created_at IS NOT NULL FROM connections ORDER BY id"
        ).fetchall()
    return resources, links
