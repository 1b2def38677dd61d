"""`ven resources set` and `ven resources history`, on a registry of either kind."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from tests.registry.objects import make_connection, make_resource
from venclient.cli import app
from venclient.errors import ConfigError, Conflict, InvalidRecord, NotFound
from venclient.messages.cli_resources import NOTHING_SELECTED
from venclient.registry.database import ResourceDatabase

runner = CliRunner()


@pytest.fixture
def path(db: ResourceDatabase, database: str) -> str:
    """Return the name of a database of an EV and two hotels, one of them in Ikast."""
    db.close()
    options = {"values": [{"path": "/p", "quantity": "power_kw", "unit": "kW"}]}
    with ResourceDatabase(database, actor="installer") as installer:
        installer.bulk_upsert(
            make_resource(name, resourceType=kind, ven=ven, connection=make_connection(options=options))
            for name, kind, ven in (("a", "EV", "Herning"), ("b", "DSR", "Herning"), ("c", "DSR", "Ikast"))
        )
    return database


def ven(path: str, *words: str) -> str:
    """Return what `ven resources` prints; its errors come through."""
    result = runner.invoke(app, ["resources", *words, "--db", path], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_set_where(path: str) -> None:
    """Conditions as words and as options both hold; what fits is changed, and counted."""
    output = ven(
        path, "set", "--where", "type=DSR", "--ven", "Herning", "reporting.interval=PT15M", "enabled=false"
    )

    assert output.startswith("changed 1 of 1 resource: ")
    with ResourceDatabase(path) as db:
        assert [(one.resourceID, one.reporting, one.enabled) for one in db.get_all_resources()] == [
            ("a", None, True),
            ("b", {"interval": "PT15M"}, False),
            ("c", None, True),
        ]


def test_set_takes_numbers_lists_and_nothing(path: str) -> None:
    """Values have the kind that their field wants."""
    ven(
        path, "set", "--all", "capacities.P_max_kw=60.5", "capacities.E_min_kwh=", "ven=2100",
        "reporting.payload_types=USAGE, DEMAND", "reporting.units=KW", "connection.port=8883",
        "connection.options.qos=1", "address=null",
    )  # fmt: skip

    with ResourceDatabase(path) as db:
        found = db.get_all_resources()
    for one in found:
        assert one.capacities == {"P_max_kw": 60.5, "P_min_kw": -20.5, "E_max_kwh": 200}
        assert (one.ven, one.address, one.connection.port) == ("2100", None, 8883)
        assert one.reporting == {"payload_types": ["USAGE", "DEMAND"], "units": "KW"}
        assert one.connection.options is not None
        assert one.connection.options["qos"] == 1


def test_dry_run(path: str) -> None:
    """A dry run shows how many would change, and changes none."""
    assert ven(path, "set", "--all", "--dry-run", "ven=Ikast").startswith("would change 2 of 3 resources: ")
    with ResourceDatabase(path) as db:
        assert db.count(ven="Ikast") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["ven=Ikast"], "VEN-CLR-007"),
        (["--all", "ven"], "VEN-CLR-008"),
        (
            ["--all", "capacities.P_max_kw=1,5"],
            "P_max_kw: .*VEN-CLR-009",
        ),
        (["--where", "kind=EV", "ven=Ikast"], "--where kind"),
    ],
)
def test_set_that_makes_no_sense(path: str, words: list[str], told: str) -> None:
    """What is asked in vain is refused with what to do."""
    with pytest.raises(ConfigError, match=told):
        ven(path, "set", *words)


def test_set_checks_before_it_stores(path: str) -> None:
    """Options are checked by the connector; a mistake is reported, and nothing is changed."""
    with pytest.raises(InvalidRecord, match=r"options\.qos"):
        ven(path, "set", "--all", "connection.options.qos=7")
    with pytest.raises(InvalidRecord, match="VEN-REG-109"):
        ven(path, "set", "--all", "vent=Ikast")

    with ResourceDatabase(path) as db:
        assert len(db.changes()) == 3


def test_history(path: str) -> None:
    """History shows who did what, with each member that differs."""
    with ResourceDatabase(path, actor="anna") as db:
        db.update_resource("a", {"connection.password": "hunter3"}, capacities={"P_max_kw": 60})

    text = ven(path, "history", "a")

    assert "UTC  installer  insert resource a\n" in text
    assert "    connection.host: broker.example\n" in text
    assert "UTC  anna  update resource a\n" in text
    assert text.endswith("    capacities.P_max_kw: 50 -> 60\n    connection.password: *** -> *** (another)\n")
    assert "hunter" not in text


def test_history_as_json(path: str) -> None:
    """For programs, it is JSON."""
    (found,) = json.loads(ven(path, "history", "b", "--json"))

    assert (found["actor"], found["action"], found["subject"]) == ("installer", "insert", "b")
    assert found["after"]["ven"] == "Herning"


def test_history_of_nobody(path: str) -> None:
    """A resource that never was is named; one that is gone has a history."""
    with ResourceDatabase(path) as db:
        db.delete_resource("c")

    assert "delete resource c" in ven(path, "history", "c")
    with pytest.raises(NotFound, match="VEN-CLM-025"):
        ven(path, "history", "nobody")


@pytest.fixture
def hotels(path: str) -> str:
    """Rename the resources to two hotels of one name and a café."""
    with ResourceDatabase(path) as db:
        for id_, name in (("a", "Hotel Ærø"), ("b", "hotel ærø"), ("c", "Café Ærø")):
            db.update_resource(id_, resourceName=name)
    return path


@pytest.mark.parametrize("command", ["show", "history"])
def test_a_resource_is_found_by_its_name(hotels: str, command: str) -> None:
    """The case of the name is ignored; the id works too."""
    assert ven(hotels, command, "café ærø") == ven(hotels, command, "c")


@pytest.mark.parametrize("command", ["show", "history"])
def test_a_name_that_fits_several_or_none_is_answered_with_what_there_is(hotels: str, command: str) -> None:
    """Several resources of one name are listed by id; words of a name list the names that have them."""
    with pytest.raises(Conflict, match=r"a, b.*VEN-CLM-024"):
        ven(hotels, command, "Hotel Ærø")
    with pytest.raises(NotFound, match=r"'Café Ærø'.*VEN-CLM-067"):
        ven(hotels, command, "Café")
    with pytest.raises(NotFound, match="VEN-CLM-025"):
        ven(hotels, command, " ")


def test_set_names_what_it_selected(hotels: str) -> None:
    """A condition that fits more than was meant shows; one that fits nothing is reported."""
    assert (
        ven(hotels, "set", "--text", "ærø", "--dry-run", "ven=Ikast")
        .rstrip()
        .endswith(": Hotel Ærø, hotel ærø, Café Ærø")
    )
    assert ven(hotels, "set", "--text", "zoo", "ven=Ikast") == f"{NOTHING_SELECTED()}\n"


def test_a_condition_told_twice_has_both_values(path: str) -> None:
    """`--where ven=A --where ven=B` is either, as `--ven A --ven B` is."""
    output = ven(path, "set", "--where", "ven=Herning", "--where", "ven=Ikast", "--dry-run", "enabled=false")

    assert output.startswith("would change 3 of 3 resources: ")


def test_an_unknown_condition_is_told_what_was_meant(path: str) -> None:
    """A slip is named with the condition that it is close to, otherwise with all there are."""
    with pytest.raises(ConfigError, match=r'"--where typ": did you mean "type"\? .*VEN-REG-170'):
        ven(path, "set", "--where", "typ=EV", "enabled=false")
    with pytest.raises(ConfigError, match=r"valid conditions are type, .*VEN-REG-170"):
        ven(path, "set", "--where", "colour=red", "enabled=false")


def test_a_reporting_name_that_nobody_knows_is_doubted(path: str) -> None:
    """An unknown name is stored with a warning that names its resources once; a slip is refused."""
    words = ["resources", "set", "--all", "reporting.colour=red", "reporting.interval=PT5M", "--db", path]
    result = runner.invoke(app, words)

    assert result.exit_code == 0, result.output
    assert result.stderr.count("VEN-REG-022") == 1
    assert "reporting.colour" in result.stderr
    assert "a, b, c" in result.stderr

    words = ["resources", "set", "--all", "reporting.intervl=PT15M", "--db", path]
    refused = runner.invoke(app, words)

    assert refused.exit_code != 0
    assert "VEN-REG-021" in str(refused.exception)


def test_an_update_leaves_indexes_that_it_does_not_touch_and_keeps_those_that_it_does(path: str) -> None:
    """A resource is found by what it says now, whichever columns were written."""
    with ResourceDatabase(path) as db:
        db.update_resource("a", address="Vej 1")
        db.update_resource("a", ven="Ikast", address="Vej 2")
        db.update_resource("a", resourceType="BATTERY")
        found = db.get_resources_by_ven("Ikast")

        assert [(one.resourceID, one.version) for one in found] == [("a", 4), ("c", 1)]
        assert [one.address for one in db.get_resources_by_type("BATTERY")] == ["Vej 2"]
