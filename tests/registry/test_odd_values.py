"""Values that no registry can hold, or that one kind of database would hold and the other would not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.registry.objects import make_connection, make_resource
from venclient.errors import InvalidRecord, NotFound
from venclient.registry.database import ResourceDatabase


@pytest.mark.parametrize("row_id", [2**31, 2**40, 2**63, 2**70, -1, 0, "1", None, 1.5])
def test_connection_that_cannot_be_is_not_there(db: ResourceDatabase, row_id: Any) -> None:
    """Any id without a connection is reported as unknown, however large or odd it is."""
    db.insert_connection(make_connection())
    db.upsert_resource(make_resource("r-1"))

    with pytest.raises(NotFound, match="VEN-REG-100"):
        db.insert_resource(make_resource("r-2"), row_id)
    assert db.connection(row_id) is None
    assert db.users_of_connection(row_id) == []
    assert not db.delete_connection(row_id)
    with pytest.raises(NotFound, match="VEN-REG-120"):
        db.update_connection(row_id, host="meter-2")
    assert db.count() == 1


def test_ven_that_is_no_text_finds_nothing(db: ResourceDatabase) -> None:
    """A number is compared as text, on either kind of database."""
    db.upsert_resource(make_resource("r-1", ven="2100"))

    assert [one.resourceID for one in db.get_resources_by_ven(2100)] == ["r-1"]  # type: ignore[arg-type]
    assert db.get_resources_by_ven(7) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (1, None, "VEN-REG-106"),
        (2, "HEAT", "VEN-REG-012"),
        (5, "oops", "VEN-REG-153"),
        (5, {"P_max_kw": 1}, "VEN-REG-153"),
        (6, "[1]", "VEN-REG-154"),
        (9, "yes", "VEN-REG-013"),
    ],
)
def test_tuple_with_a_mistake_is_refused(db: ResourceDatabase, place: int, value: Any, told: str) -> None:
    """The first generation's tuples are stored whole, or named with what is wrong with them."""
    good = ("t-1", "Hotel", "DSR", None, "7070", "{}", '{"latitude": NaN}', None, None, 1)
    bad = [*good]
    bad[0], bad[place] = "t-2", value

    with pytest.raises(InvalidRecord, match=told) as caught:
        db.bulk_insert_resources([good, tuple(bad)])

    assert "t-2" in (caught.value.subject or "")
    assert db.count() == 0
    assert db.bulk_insert_resources([good]) == 1


@pytest.mark.peer
def test_nul_that_postgresql_cannot_store_is_told(
    new_postgres: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each way of storing or asking says in a sentence what the text holds, and stores nothing."""
    monkeypatch.setenv("VEN_REGISTRY_KEY_FILE", str(tmp_path / "key"))
    db = ResourceDatabase(new_postgres())
    ways = (
        lambda: db.upsert_resource(make_resource("r-1", resourceName="a\0b")),
        lambda: db.bulk_insert_resources(
            make_resource(str(n), address="x\0" if n == 7 else "y") for n in range(200)
        ),
        lambda: db.bulk_insert_resources([("t", "a\0", "DSR", None, "7", "{}", "{}", None, None, True)]),
        lambda: db.insert_connection(make_connection(host="a\0b")),
    )
    for way in ways:
        with pytest.raises(InvalidRecord, match="VEN-REG-006"):
            way()
    with pytest.raises(InvalidRecord, match="NUL"):
        db.get_resource("a\0b")

    assert (db.count(), db.get_connections()) == (0, [])
    db.close()
