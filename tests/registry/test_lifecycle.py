"""Changes of what is stored: partial, checked, counted, and refused when another program was faster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.registry.objects import make_connection, make_resource
from venclient.errors import Conflict, InvalidRecord, NotFound
from venclient.messages import Text, code_of
from venclient.model.resource import ActorType, Resource
from venclient.registry.database import ResourceDatabase
from venclient.registry.query import Query


def test_partial_update(db: ResourceDatabase) -> None:
    """Only what is named changes; members of dicts that are not named stay, None removes one."""
    db.upsert_resource(make_resource())

    found = db.update_resource("r-1", capacities={"P_max_kw": 60, "E_min_kwh": None}, ven="Ikast")

    assert found.capacities == {"P_max_kw": 60, "P_min_kw": -20.5, "E_max_kwh": 200}
    assert found == make_resource(capacities=found.capacities, ven="Ikast")
    assert db.get_resource("r-1") == found


def test_dotted_names(db: ResourceDatabase) -> None:
    """A dotted name reaches one member, through connections and their options too."""
    db.upsert_resource(make_resource())

    found = db.update_resource(
        "r-1",
        {"connection.host": "meter-2", "connection.options.qos": 1, "reporting.interval": "PT5M"},
    )

    assert found.connection.host == "meter-2"
    assert found.connection.options == {**(make_connection().options or {}), "qos": 1}
    assert found.connection.password == "hunter2"
    assert found.reporting == {"interval": "PT5M"}
    assert db.update_resource("r-1", reporting=None).reporting is None


def test_every_change_counts(db: ResourceDatabase) -> None:
    """The version is one more after each change, by any method, and the same after none."""
    db.upsert_resource(make_resource())
    seen = []
    for change in (
        lambda: db.update_resource("r-1", ven="Ikast"),
        lambda: db.update_resource("r-1", ven="Ikast"),
        lambda: db.set_enabled("r-1", False),
        lambda: db.set_enabled("r-1", False),
        lambda: db.upsert_resource(make_resource(enabled=False)),
        lambda: db.update_connection(db.get_connections()[0].id or 0, host="other"),
    ):
        change()
        found = db.get_resource("r-1")
        assert found is not None
        seen.append(found.version)

    assert seen == [2, 2, 3, 3, 4, 5]


def test_expected_version(db: ResourceDatabase) -> None:
    """Changing a resource that was changed meanwhile is refused, with both versions."""
    db.upsert_resource(make_resource())
    db.update_resource("r-1", expected_version=1, ven="Ikast")

    with pytest.raises(Conflict, match="VEN-REG-116"):
        db.update_resource("r-1", expected_version=1, ven="Herning")

    assert db.get_resources_by_ven("Ikast")


def test_update_moves_updated_at(db: ResourceDatabase) -> None:
    """A change sets updated_at and leaves created_at; one that changes nothing leaves both."""
    db.upsert_resource(make_resource())
    with db.get_connection() as connection:
        connection.execute("UPDATE resources SET created_at = '2020-01-01', updated_at = '2020-01-01'")

    db.update_resource("r-1", ven="Herning")
    with db.get_connection() as connection:
        unmoved = connection.execute("SELECT updated_at FROM resources").fetchone()["updated_at"]
    db.update_resource("r-1", ven="Ikast")
    with db.get_connection() as connection:
        row = connection.execute("SELECT created_at, updated_at FROM resources").fetchone()

    assert unmoved.startswith("2020-01-01")
    assert row["created_at"].startswith("2020-01-01")
    assert row["updated_at"] > "2025"


def test_all_mistakes_of_an_update_at_once(db: ResourceDatabase) -> None:
    """All unknown field names are reported, with what was meant; nothing is changed."""
    db.upsert_resource(make_resource())

    with pytest.raises(InvalidRecord) as caught:
        db.update_resource("r-1", {"connection.hots": "x"}, resourceID="r-2", resourcename="x", capacities=5)

    assert [code_of(one) for one in caught.value.problems] == [
        "VEN-REG-109",
        "VEN-REG-108",
        "VEN-REG-109",
        "VEN-REG-111",
    ]
    first = caught.value.problems[0]
    assert isinstance(first, Text)
    assert "connection.host" in first.params["meant"]
    assert db.get_resource("r-1") == make_resource()


def test_values_of_an_update_are_checked(db: ResourceDatabase) -> None:
    """What an update would leave is checked as a whole."""
    db.upsert_resource(make_resource())

    with pytest.raises(InvalidRecord) as caught:
        db.update_resource("r-1", capacities={"P_max_kw": -30}, location={"latitude": 95})

    assert len(caught.value.problems) == 2
    assert "VEN-REG-026" in str(caught.value)


def test_old_mistake_keeps_nobody_from_another_change(db: ResourceDatabase) -> None:
    """A stored mistake that is not touched does not block other changes."""
    db.bulk_insert_resources([("a", "Hotel", "DSR", None, "7070", "{}", "{}", None, "Herning", True)])

    assert db.update_resource("a", ven="Ikast").ven == "Ikast"
    with pytest.raises(InvalidRecord, match="VEN-REG-041"):
        db.update_resource("a", {"connection.port": 70_000})
    assert db.update_resource("a", {"connection.file": "meter.csv"}).connection.file == "meter.csv"


def test_unknown_resource(db: ResourceDatabase) -> None:
    """What is not there is named."""
    with pytest.raises(NotFound, match="r-9"):
        db.update_resource("r-9", ven="Ikast")


def test_control_connection_comes_and_goes(db: ResourceDatabase) -> None:
    """A writer is made of a dict of fields, and goes with None."""
    db.upsert_resource(make_resource())
    writer = {"type": "mqtt", "host": "broker.example", "topic": "site/set"}

    found = db.update_resource("r-1", control_connection=writer)

    assert found.control_connection is not None
    assert found.control_connection.actortype is ActorType.WRITER
    assert db.update_resource("r-1", control_connection=None).control_connection is None
    assert len(db.get_connections()) == 1


def test_reader_cannot_control(db: ResourceDatabase) -> None:
    """A control connection that only measures is refused."""
    with pytest.raises(InvalidRecord, match="VEN-REG-050"):
        db.upsert_resource(make_resource(control_connection=make_connection()))


def test_sharing_a_connection(db: ResourceDatabase) -> None:
    """`connection_id` moves a resource to a stored connection; its own is deleted when unused."""
    db.bulk_upsert([make_resource("a"), make_resource("b", connection=make_connection(topic="b"))])
    first = db.get_resource("a")
    assert first is not None
    shared_id = first.connection.id
    assert shared_id is not None

    found = db.update_resource("b", connection_id=shared_id)

    assert found.connection.id == shared_id
    assert db.users_of_connection(shared_id) == ["a", "b"]
    assert [one.id for one in db.get_connections()] == [shared_id]
    with pytest.raises(NotFound, match="VEN-REG-120"):
        db.update_resource("b", connection_id=99)


def test_change_of_a_shared_connection_is_ones_own(db: ResourceDatabase) -> None:
    """A resource that changes a field of a shared connection gets its own; the others keep theirs."""
    connection_id = db.insert_connection(make_connection())
    db.insert_resource(make_resource("a"), connection_id)
    db.insert_resource(make_resource("b"), connection_id)

    db.update_resource("b", {"connection.topic": "mine"})

    assert [one.topic for one in db.get_connections()] == ["site/power", "mine"]
    assert db.users_of_connection(connection_id) == ["a"]


def test_update_connection_changes_it_for_all(db: ResourceDatabase) -> None:
    """A connection itself changes for all its users; options merge, secrets stay."""
    connection_id = db.insert_connection(make_connection())
    db.insert_resource(make_resource("a"), connection_id)
    db.insert_resource(make_resource("b"), connection_id)

    found = db.update_connection(connection_id, host="new", options={"qos": 1})

    assert (found.host, found.password, found.id) == ("new", "hunter2", connection_id)
    assert found.options == {**(make_connection().options or {}), "qos": 1}
    assert {one.connection.host for one in db.get_all_resources()} == {"new"}
    assert db.connection(connection_id) == found
    assert db.connection(99) is None


def test_update_connection_is_checked(db: ResourceDatabase) -> None:
    """What a connection would lack is refused, all of it; what controls something stays a writer."""
    writer = make_connection(actortype="writer", topic="set")
    db.upsert_resource(make_resource(control_connection=writer))
    control_id = db.get_connections()[1].id or 0

    with pytest.raises(InvalidRecord) as caught:
        db.update_connection(control_id, host="a b", topic="x\0", port=70000)
    assert len(caught.value.problems) == 3
    assert db.connection(control_id) == writer
    with pytest.raises(InvalidRecord, match="VEN-REG-121"):
        db.update_connection(control_id, actortype="reader")
    with pytest.raises(NotFound, match="VEN-REG-120"):
        db.update_connection(99, host="x")
    with pytest.raises(InvalidRecord, match="VEN-REG-109"):
        db.update_connection(control_id, hosts="x")


def test_delete_connection(db: ResourceDatabase) -> None:
    """A connection in use is not deleted, and its users are named; an unused one is, once."""
    connection_id = db.insert_connection(make_connection())
    for number in range(7):
        db.insert_resource(make_resource(f"r-{number}"), connection_id)

    with pytest.raises(Conflict, match=r"r-0, r-1, r-2, r-3, r-4 and 2 more.*VEN-REG-119"):
        db.delete_connection(connection_id)
    unused = db.insert_connection(make_connection())

    assert db.delete_connection(unused) is True
    assert db.delete_connection(unused) is False


def test_incomplete_connection_is_stored_with_a_warning(db: ResourceDatabase) -> None:
    """A connection of any type may be stored to be filled in later; one warning names all that is missing."""
    for changes, missing in (
        ({"host": None, "topic": None}, "host and topic"),
        ({"topic": ""}, "topic"),
        ({"type": "modbustcp", "host": ""}, "host"),
        ({"type": "filereader", "file": ""}, "file"),
        ({"type": "filereader", "file": None}, "file"),
    ):
        connection_id = db.insert_connection(make_connection(**changes))

        (warning,) = db.last_warnings
        assert (warning.subject, code_of(warning.text)) == (f"connection {connection_id}", "VEN-REG-040")
        assert missing in warning.text
        stored = db.connection(connection_id)
        assert stored is not None
        assert not stored.has_source


def test_update_with_a_resource_stores_every_field(db: ResourceDatabase) -> None:
    """All fields of the object are stored, also those that are None or lack members now."""
    db.upsert_resource(
        make_resource(reporting={"interval": "PT5M"}, control_connection=make_connection(actortype="writer"))
    )
    wanted = make_resource(
        resourceName="Hotel Ny",
        resourceType="EV",
        resourceSubType=None,
        meterPointId="707057500000000018",
        connection=make_connection(type="filereader", host=None, topic=None, port=None, file="x.csv"),
        capacities={"P_max_kw": 3},
        location={},
        address=None,
        enabled=False,
        reporting=None,
        ven=None,
        control_connection=None,
    )

    returned = db.update_resource(wanted)

    assert returned == db.get_resource("r-1") == wanted
    assert returned.version == 2
    assert len(db.get_connections()) == 1
    assert db.update_resource(wanted).version == 2


def test_update_with_an_id_changes_only_the_named_fields(db: ResourceDatabase) -> None:
    """Each field alone: all others are as before."""
    changes: dict[str, Any] = {
        "resourceName": "Hotel Ny",
        "resourceSubType": None,
        "address": None,
        "ven": None,
        "enabled": False,
        "reporting": {"interval": "PT5M"},
        "capacities": {"P_max_kw": 60},
    }
    expected = make_resource()
    db.upsert_resource(make_resource())
    for name, value in changes.items():
        db.update_resource("r-1", **{name: value})
        merged: Any = {**expected.capacities, **value} if name == "capacities" else value
        setattr(expected, name, merged)

        assert db.get_resource("r-1") == expected


def test_update_with_a_resource_refuses_what_the_other_form_refuses(db: ResourceDatabase) -> None:
    """Mistakes, unknown ids and old versions are refused, and changes beside an object; nothing is stored."""
    db.upsert_resource(make_resource())

    with pytest.raises(InvalidRecord, match="VEN-REG-021"):
        db.update_resource(make_resource(capacities={"P_max": 3}))
    with pytest.raises(NotFound, match="r-9"):
        db.update_resource(make_resource("r-9"))
    with pytest.raises(Conflict, match="VEN-REG-116"):
        db.update_resource(make_resource(ven="Ikast"), expected_version=7)
    with pytest.raises(InvalidRecord, match="VEN-REG-115"):
        db.update_resource(make_resource(), ven="Ikast")
    assert db.get_resource("r-1") == make_resource()


def test_update_with_a_resource_leaves_a_shared_connection_to_the_others(db: ResourceDatabase) -> None:
    """Another resource behind the same connection keeps it as it was."""
    shared = db.insert_connection(make_connection())
    for name in ("a", "b"):
        db.insert_resource(make_resource(name), shared)

    db.update_resource(make_resource("a", connection=make_connection(host="meter-2")))

    other = db.get_resource("b")
    assert other is not None
    assert other.connection == make_connection()


def test_enabled_that_nobody_decided_stays(db: ResourceDatabase) -> None:
    """A Resource with enabled None does not switch on what is switched off."""
    db.upsert_resource(make_resource(enabled=False))

    assert db.update_resource(make_resource(enabled=None, ven="Ikast")).enabled is False


def test_bulk_update_is_all_or_nothing(db: ResourceDatabase) -> None:
    """Thousands change in one transaction; one that cannot leaves all as they were."""
    db.bulk_insert_resources(make_resource(str(number)) for number in range(1_100))
    heard: list[int] = []

    changed = db.bulk_update({str(n): {"ven": "Ikast"} for n in range(1_100)}, progress=heard.append)
    with pytest.raises(NotFound, match="VEN-REG-102"):
        db.bulk_update([("1", {"ven": "Herning"}), ("nobody", {"ven": "Herning"})])

    assert (changed, heard) == (1_100, [1_000, 1_100])
    assert db.count(ven="Ikast") == 1_100


def test_bulk_delete_is_all_or_nothing(db: ResourceDatabase) -> None:
    """Many are deleted with their connections, or none when one is not there."""
    db.bulk_insert_resources(make_resource(str(number)) for number in range(1_100))
    heard: list[int] = []

    with pytest.raises(NotFound, match="VEN-REG-102"):
        db.bulk_delete(["1", "2", "nobody"])
    assert db.count() == 1_100
    assert db.bulk_delete((str(n) for n in range(1_099)), progress=heard.append) == 1_099

    assert heard == [1_000, 1_099]
    assert [one.resourceID for one in db.get_all_resources()] == ["1099"]
    assert len(db.get_connections()) == 1


def test_bulk_insert_and_upsert_tell_progress(db: ResourceDatabase) -> None:
    """Whoever waits for thousands hears how far they are."""
    made = [make_resource(str(number)) for number in range(1_500)]
    inserted: list[int] = []
    upserted: list[int] = []

    db.bulk_insert_resources(made, progress=inserted.append)
    db.bulk_upsert(made, progress=upserted.append)

    assert inserted == upserted == [1_000, 1_500]


def test_set_where(db: ResourceDatabase) -> None:
    """One change for all that a query finds, or for ids; a dry run counts and stores nothing."""
    db.bulk_upsert([make_resource("a", resourceType="EV"), make_resource("b"), make_resource("c")])
    change = {"reporting.interval": "PT15M"}

    assert db.set_where(Query().of_type("DSR"), change, dry_run=True) == 2
    assert db.get_resource("b") == make_resource("b")
    assert db.set_where(Query().of_type("DSR"), change) == 2
    assert db.set_where(["a", "b"], change) == 1

    assert {one.resourceID: one.reporting for one in db.get_all_resources()} == {
        name: {"interval": "PT15M"} for name in "abc"
    }
    with pytest.raises(InvalidRecord, match="VEN-REG-064"):
        db.set_where(Query(), {"reporting.interval": "15 min"})


def test_options_are_checked_by_whom_they_are_for(tmp_path: Path) -> None:
    """The check that is given is asked about new and changed connections, not about those that stay."""
    database = tmp_path / "resources.db"
    asked = []

    def check(resource: Resource) -> list[str]:
        asked.append(resource)
        return ["options.values: missing"]

    with ResourceDatabase(database) as db:
        db.upsert_resource(make_resource())
    with ResourceDatabase(database, check_options=check) as db:
        db.update_resource("r-1", ven="Ikast")
        assert asked == []
        with pytest.raises(InvalidRecord, match=r"connection: options\.values: .*VEN-REG-046"):
            db.upsert_resource(make_resource("r-2"))
        with pytest.raises(InvalidRecord, match=r"options\.values: .*VEN-REG-046"):
            db.insert_connection(make_connection())
        assert db.validate(make_resource()).problems == ["connection: options.values: missing"]


def test_switch_that_is_no_truth_is_refused(db: ResourceDatabase) -> None:
    """`enabled` "no" is not stored as true; 0, as old programs have it, is false."""
    with pytest.raises(InvalidRecord, match="VEN-REG-013"):
        db.upsert_resource(make_resource(enabled="no"))
    db.upsert_resource(make_resource(enabled=0))
    with pytest.raises(InvalidRecord, match="VEN-REG-107"):
        db.set_enabled("r-1", "no")  # type: ignore[arg-type]

    stored = db.get_resource("r-1")
    assert stored is not None
    assert stored.enabled is False


def test_what_no_database_can_hold_is_an_error_of_ours(db: ResourceDatabase) -> None:
    """Half a character in a name, a search or a bulk; what was stored stays."""
    db.upsert_resource(make_resource())
    half = "a\udc80b"
    with pytest.raises(InvalidRecord, match=r"U\+DC80"):
        db.upsert_resource(make_resource("r-2", resourceName=half))
    with pytest.raises(InvalidRecord, match=r"U\+DC80"):
        db.bulk_insert_resources([make_resource("r-2"), make_resource("r-3", address=half)])
    with pytest.raises(InvalidRecord, match=r"U\+DC80"):
        db.query(Query().with_text(half)).all()
    with pytest.raises(InvalidRecord):
        db.query(Query().limit(1).offset(2**63)).all()

    assert [one.resourceID for one in db.get_all_resources()] == ["r-1"]


@pytest.mark.parametrize("row_id", [2**31, 2**63, 2**100, -1])
def test_connection_ids_that_no_row_has(db: ResourceDatabase, row_id: int) -> None:
    """An id out of all ranges is one that is not there."""
    db.upsert_resource(make_resource())
    assert db.connection(row_id) is None
    assert db.users_of_connection(row_id) == []
    assert db.delete_connection(row_id) is False
    with pytest.raises(NotFound):
        db.update_resource("r-1", connection_id=row_id)
    with pytest.raises(NotFound):
        db.update_connection(row_id, host="h")
