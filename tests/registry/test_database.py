"""ResourceDatabase: the specification's methods, and those beside them."""

from __future__ import annotations

import logging
import stat
from pathlib import Path

import pytest

from tests.registry.objects import make_connection, make_resource
from venclient.errors import ConfigError, Conflict, InvalidRecord, NotFound, RegistryError
from venclient.model.resource import ActorType, ConnectionType, Resource
from venclient.registry.database import ResourceDatabase


def test_opening_makes_folder_and_private_file(tmp_path: Path) -> None:
    """A new database is readable by its owner alone, as are the files that SQLite puts beside it."""
    path = tmp_path / "config" / "resources.db"

    with ResourceDatabase(path) as db:
        db.insert_connection(make_connection())

        modes = {stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}

    assert modes == {0o600}


def test_default_path_and_attribute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument the database is ./config/resources.db, and says so."""
    monkeypatch.chdir(tmp_path)

    with ResourceDatabase() as db:
        assert db.db_path == "./config/resources.db"

    assert (tmp_path / "config" / "resources.db").is_file()


def test_insert_and_get(db: ResourceDatabase) -> None:
    """What is inserted comes back equal, its connection with its row id."""
    resource = make_resource(
        reporting={"interval": "PT15M"},
        control_connection=make_connection(actortype=ActorType.WRITER, topic="site/set"),
    )

    connection_id = db.insert_connection(resource.connection)
    db.insert_resource(resource, connection_id)
    found = db.get_resource("r-1")

    assert found == resource
    assert found is not None
    assert found.connection.id == connection_id
    assert found.control_connection is not None
    assert found.control_connection.id not in (None, connection_id)


def test_ven_argument_goes_before_the_resource(db: ResourceDatabase) -> None:
    """insert_resource's ven wins over that of the resource, and fills in when there is none."""
    connection_id = db.insert_connection(make_connection())

    db.insert_resource(make_resource("a", ven="Herning"), connection_id, "Ikast")
    db.insert_resource(make_resource("b", ven=None), connection_id, ven="Ikast")
    db.insert_resource(make_resource("c"), connection_id)

    assert [r.resourceID for r in db.get_resources_by_ven("Ikast")] == ["a", "b"]
    assert [r.resourceID for r in db.get_resources_by_ven("Herning")] == ["c"]


def test_enabled_that_nobody_set_is_true(db: ResourceDatabase) -> None:
    """A resource without a word about it is enabled, as the column's default has it."""
    db.upsert_resource(make_resource(enabled=None))

    assert db.get_resources(enabled=True)[0].enabled is True


def test_unknown_id_gives_none(db: ResourceDatabase) -> None:
    """Getting an unknown resource does not raise."""
    assert db.get_resource("nobody") is None


def test_taken_id_is_a_conflict(db: ResourceDatabase) -> None:
    """Inserting an id twice is refused, and leaves the first as it was."""
    connection_id = db.insert_connection(make_connection())
    db.insert_resource(make_resource(), connection_id)

    with pytest.raises(Conflict, match=r"resource r-1: .*VEN-REG-101"):
        db.insert_resource(make_resource(resourceName="another"), connection_id)

    assert [r.resourceName for r in db.get_all_resources()] == ["Hotel Ørnen"]


def test_missing_connection_is_named(db: ResourceDatabase) -> None:
    """A resource behind a connection that is not stored is refused with what to do."""
    with pytest.raises(NotFound, match="VEN-REG-100"):
        db.insert_resource(make_resource(), 7)


def test_all_mistakes_are_told_at_once(db: ResourceDatabase) -> None:
    """A resource that cannot be stored names each of its mistakes, and nothing is stored."""
    wrong = make_resource("", resourceType="HEAT", capacities=None)

    with pytest.raises(InvalidRecord) as caught:
        db.upsert_resource(wrong)

    assert len(caught.value.problems) == 3
    assert db.count() == 0
    assert db.get_connections() == []


def test_both_spellings_of_a_type(db: ResourceDatabase) -> None:
    """Types are found by name or value, in any case, and come back by name."""
    db.bulk_upsert([make_resource("a", resourceType="DSR"), make_resource("b", resourceType="EV")])
    with db.get_connection() as connection:
        connection.execute("UPDATE resources SET resource_type = 'Electric Vehicle' WHERE resource_id = 'b'")

    found = [db.get_resources_by_type(text) for text in ("EV", "Electric Vehicle", "ev")]

    assert [[r.resourceID for r in one] for one in found] == [["b"]] * 3
    assert found[0][0].resourceType == "EV"
    assert db.get_resources_by_type("nonsense") == []


def test_statistics(db: ResourceDatabase) -> None:
    """Statistics count by type name, sub-type and the ten largest VENs, largest first."""
    db.bulk_upsert(
        make_resource(f"{number}-{copy}", ven=f"Town {number:02}", resourceSubType=None if copy else "Bars")
        for number in range(12)
        for copy in range(number + 1)
    )
    with db.get_connection() as connection:
        connection.execute("UPDATE resources SET resource_type = 'Demand Response' WHERE id % 2 = 0")

    statistics = db.get_statistics()

    assert list(statistics) == ["total_resources", "by_type", "by_subtype", "top_10_vens"]
    assert statistics["total_resources"] == 78
    assert statistics["by_type"] == {"DSR": 78}
    assert statistics["by_subtype"] == {"Bars": 12}
    assert list(statistics["top_10_vens"].items())[:2] == [("Town 11", 12), ("Town 10", 11)]
    assert len(statistics["top_10_vens"]) == 10


def test_filters_and_count(db: ResourceDatabase) -> None:
    """Filters combine; a null `enabled` counts as enabled."""
    db.bulk_upsert(
        [
            make_resource("a"),
            make_resource("b", enabled=False),
            make_resource("c", ven="Ikast"),
            make_resource("d", resourceType="PV"),
        ]
    )
    with db.get_connection() as connection:
        connection.execute("UPDATE resources SET enabled = NULL WHERE resource_id = 'a'")

    found = db.get_resources(ven="Herning", enabled=True, resource_type="DSR")

    assert [r.resourceID for r in found] == ["a"]
    assert found[0].enabled is None
    assert db.count(ven="Herning", enabled=True) == 2
    assert [r.resourceID for r in db.get_resources(enabled=False)] == ["b"]


def test_iteration_gives_what_the_list_gives(db: ResourceDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Iterating page by page gives the same resources in the same order."""
    monkeypatch.setattr("venclient.registry.database._PAGE_ROWS", 3)
    db.bulk_upsert(make_resource(str(number)) for number in range(9))

    assert list(db.iter_resources(ven="Herning")) == db.get_all_resources()


def test_bulk_insert_of_resources(db: ResourceDatabase) -> None:
    """Resource objects are inserted by the thousand, each with separate connections."""
    made = [make_resource(str(number)) for number in range(2500)]
    made[1200].control_connection = make_connection(actortype=ActorType.WRITER)

    assert db.bulk_insert_resources(made) == 2500
    assert db.get_all_resources() == made
    assert len({r.connection.id for r in db.get_all_resources()}) == 2500
    assert len(db.get_connections()) == 2501


def test_bulk_insert_of_the_first_generations_tuples(db: ResourceDatabase) -> None:
    """The old form, tuples with JSON text, is inserted too, behind a connection still to be set."""
    row = ("a", "Hotel", "Demand Response", "Hotels", "7070", '{"P_max_kw": 50}', "{}", None, "Herning", 1)

    assert db.bulk_insert_resources([row, ("b", *row[1:])]) == 2

    first, second = db.get_all_resources()
    assert (first.resourceType, first.capacities, first.ven) == ("DSR", {"P_max_kw": 50}, "Herning")
    assert first.connection.type is ConnectionType.FILEREADER
    assert first.connection.id == second.connection.id


def test_bulk_insert_of_a_bad_tuple(db: ResourceDatabase) -> None:
    """A tuple without a name, or of another length or type, is named, and none is stored."""
    good = ("a", "Hotel", "DSR", "Hotels", "7070", "{}", "{}", None, "Herning", 1)

    for bad, match in (
        (("b", None, *good[2:]), "resource 'b'.*resource_name"),
        (("b", *good[1:], "more"), "row 1: has 11 members"),
        (("b", "Hotel", "HEAT", *good[3:]), "VEN-REG-012"),
    ):
        with pytest.raises(InvalidRecord, match=match):
            db.bulk_insert_resources([good, bad])

    assert db.count() == 0


def test_bulk_insert_is_all_or_nothing(db: ResourceDatabase) -> None:
    """One id twice among thousands, and nothing of it is stored."""
    made = [make_resource(str(number)) for number in range(1500)]

    with pytest.raises(Conflict, match=r"resource 7: .*VEN-REG-101"):
        db.bulk_insert_resources([*made, made[7]])

    assert db.count() == 0
    assert db.get_connections() == []
    assert db.bulk_insert_resources([]) == 0


def test_clear(db: ResourceDatabase) -> None:
    """clear_all_resources leaves neither resources nor connections."""
    db.bulk_upsert(make_resource(str(number)) for number in range(3))

    db.clear_all_resources()

    assert db.get_statistics()["total_resources"] == 0
    assert db.get_connections() == []


def test_row_ids_are_never_given_twice(db: ResourceDatabase) -> None:
    """A connection's id is not used again when the newest was deleted, by bulk insert either."""
    before = db.insert_connection(make_connection())
    db.clear_all_resources()

    db.bulk_insert_resources([make_resource()])

    assert db.get_connections()[0].id == before + 1


def test_set_enabled(db: ResourceDatabase) -> None:
    """A resource is switched off and on; one that is not there is named."""
    db.upsert_resource(make_resource())

    db.set_enabled("r-1", False)

    assert db.count(enabled=False) == 1
    with pytest.raises(NotFound, match="r-2"):
        db.set_enabled("r-2", True)


def test_borrowed_connection_commits(db: ResourceDatabase) -> None:
    """get_connection gives rows by column name, and commits what was done."""
    db.upsert_resource(make_resource())

    with db.get_connection() as connection:
        row = connection.execute("SELECT * FROM resources").fetchone()
        connection.execute("UPDATE resources SET ven = 'Ikast'")

    assert row["resource_name"] == "Hotel Ørnen"
    assert db.get_resources_by_ven("Ikast")


def test_borrowed_connection_rolls_back(db: ResourceDatabase) -> None:
    """An error inside get_connection undoes all of it and comes through as it was raised."""
    db.upsert_resource(make_resource())

    def change_all() -> None:
        with db.get_connection() as connection:
            connection.execute("UPDATE resources SET ven = 'Ikast'")
            connection.execute("UPDATE resources SET resource_name = NULL")

    with db.get_connection() as connection:
        refused = connection.IntegrityError
    with pytest.raises(refused):
        change_all()

    assert db.get_resources_by_ven("Ikast") == []
    assert db.get_resources_by_ven("Herning")


def test_methods_inside_a_borrowed_connection(db: ResourceDatabase) -> None:
    """Methods called inside see the uncommitted change, and go with it when it is undone."""
    db.upsert_resource(make_resource())

    def change_all() -> None:
        with db.get_connection() as connection:
            connection.execute("UPDATE resources SET ven = 'Ikast'")
            db.upsert_resource(make_resource("r-2", ven="Ikast"))
            assert len(db.get_resources_by_ven("Ikast")) == 2
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change_all()

    assert [r.ven for r in db.get_all_resources()] == ["Herning"]


def test_password_is_never_shown(db: ResourceDatabase, caplog: pytest.LogCaptureFixture) -> None:
    """Passwords are stored, but neither repr, log nor error shows them."""
    resource = make_resource()
    with caplog.at_level(logging.DEBUG):
        db.upsert_resource(resource)
        with pytest.raises(Conflict) as caught:
            db.bulk_insert_resources([resource])

    assert db.get_all_resources()[0].connection.password == "hunter2"
    shown = repr(db.get_all_resources()) + repr(db) + caplog.text + str(caught.value)
    assert "hunter2" not in shown


def test_closed_database_says_so(db: ResourceDatabase) -> None:
    """After close, which may be called twice, a query is refused in words."""
    db.close()
    db.close()

    with pytest.raises(RegistryError, match="VEN-REG-192"):
        db.get_all_resources()


@pytest.mark.parametrize(
    ("path", "told"),
    [(":memory:", "VEN-DBF-005"), ("mysql://me:pw@host/name", r"me:\*\*\*@host.*VEN-DBF-004")],
)
def test_what_is_no_database_of_ours_is_refused(path: str, told: str) -> None:
    """What is neither a file nor a known kind of URL is refused, and nothing of that name is made."""
    with pytest.raises(ConfigError, match=told):
        ResourceDatabase(path)

    assert not Path(path).exists()


def test_resources_stay_plain_objects(db: ResourceDatabase) -> None:
    """What queries give is an ordinary Resource: changeable, and equal to one made by hand."""
    db.upsert_resource(make_resource())
    found = db.get_all_resources()[0]

    found.resourceName = "renamed"

    assert isinstance(found, Resource)
    assert found == make_resource(resourceName="renamed")
