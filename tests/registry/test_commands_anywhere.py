"""The commands on a registry of either kind, named by --db or once by `ven --registry`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.registry.objects import make_connection, make_resource
from venclient.cli import app
from venclient.errors import ConfigError, NotFound
from venclient.messages import cli_db as cld
from venclient.messages import importing as imp
from venclient.registry import sealing
from venclient.registry.csv_import import import_csv
from venclient.registry.database import ResourceDatabase
from venclient.registry.opening import shown
from venclient.registry.schema import HEAD

LITERAL = "geheim-4711"


def ven(*words: object, columns: int = 80) -> Result:
    """Run `ven` in a terminal of some width."""
    env = {"COLUMNS": str(columns), "NO_COLOR": "1"}
    return CliRunner(env=env).invoke(app, list(map(str, words)))


def put_in_the_clear(db: ResourceDatabase) -> None:
    """Store a login as a program that knows no sealing does."""
    with db.get_connection() as connection:
        connection.execute(f"UPDATE connections SET password = '{LITERAL}'")


def test_registry_is_the_default_of_every_command(db: ResourceDatabase, database: str) -> None:
    """`ven --registry` goes for all groups; a --db of the command goes before it."""
    db.upsert_resource(make_resource())
    for command in (["resources", "list"], ["resources", "stats"], ["resources", "show", "r-1"]):
        assert ven("--registry", database, *command).exit_code == 0, command
    assert cld.NO_PROBLEMS() in ven("--registry", database, "db", "check").stdout

    other = ven("--registry", database, "resources", "list", "--db", "no-such.db")

    assert isinstance(other.exception, ConfigError)
    assert "no-such.db" in str(other.exception)


def test_check_names_what_is_wrong(
    db: ResourceDatabase, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts, rows that make no sense and logins in the clear, on either kind; then exit status 1."""
    monkeypatch.setattr(sealing, "_warned", set())
    db.bulk_insert_resources([make_resource("a"), make_resource("b")])
    put_in_the_clear(db)
    with db.get_connection() as connection:
        connection.execute("UPDATE resources SET capacities = 'no JSON' WHERE resource_id = 'b'")

    result = ven("db", "check", "--db", database, "--json")

    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (found["resources"], found["connections"], found["unused_connections"]) == (2, 2, 0)
    assert any(", capacities: " in one and "VEN-REG-153" in one for one in found["problems"])
    assert any("stored unencrypted" in one for one in found["problems"])


def test_seal_seals_what_lies_open(db: ResourceDatabase, database: str) -> None:
    """What a warning says to type works where the warning comes from."""
    db.upsert_resource(make_resource())
    put_in_the_clear(db)
    db.close()

    result = ven("db", "seal", "--db", database)

    assert result.exit_code == 0, (result.output, result.exception)
    assert ": 1 username or password sealed" in result.stdout
    with ResourceDatabase(database) as again:
        assert again.get_all_resources()[0].connection.password == LITERAL
        with again.get_connection() as connection:
            (stored,) = connection.execute("SELECT password FROM connections").fetchone()
    assert stored.startswith("sealed:")


def test_migrate_tells_the_version(db: ResourceDatabase, database: str) -> None:
    """A database that was opened is current already."""
    result = ven("db", "migrate", "--db", database)
    assert cld.CURRENT(path=shown(database), version=HEAD) in result.stdout


def test_export_and_import_bring_the_same_registry(
    db: ResourceDatabase, database: str, tmp_path: Path
) -> None:
    """What `export` writes comes back by `import_csv` into an emptied registry of the same kind."""
    control = make_connection(actortype="writer", topic="set", username=None, password="env:SET")
    plain = make_connection(username="env:USER", password=None)
    db.bulk_insert_resources(
        [
            make_resource("a", connection=plain, reporting={"interval": "PT5M"}),
            make_resource("b", connection=plain, control_connection=control, enabled=False),
        ]
    )
    before = db.get_all_resources()
    result = ven("resources", "export", tmp_path / "out.csv", "--db", database)
    assert result.exit_code == 0, (result.output, result.exception)
    output = ven("--registry", database, "import", tmp_path / "out.csv").stdout
    assert f"columns: {imp.OWN_COLUMNS()}\n" in output
    assert "created 0, updated 0, unchanged 2" in output
    db.clear_all_resources()

    assert import_csv(db, tmp_path / "out.csv").created == 2
    assert db.get_all_resources() == before


@pytest.mark.peer
@pytest.mark.parametrize("command", [["backup"], ["restore", "x"], ["rescue", "x"]])
def test_a_server_is_no_file(command: list[str], new_postgres: Callable[[], str]) -> None:
    """Commands that work on a file say what there is for a server instead, without the password."""
    result = ven("db", *command, "--db", "postgresql://ven:hunter2@127.0.0.1:1/none")

    assert isinstance(result.exception, ConfigError)
    assert "pg_dump" in str(result.exception)
    assert "hunter2" not in str(result.exception)


@pytest.mark.peer
def test_check_of_a_server_makes_nothing(new_postgres: Callable[[], str]) -> None:
    """A database without a registry is said to have none, and still has none."""
    url = new_postgres()
    for _ in range(2):
        result = ven("db", "check", "--db", url)
        assert isinstance(result.exception, NotFound)
        assert result.exception.code == "VEN-DBF-082"


@pytest.mark.peer
def test_a_server_needs_a_named_key_file(
    new_postgres: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No key is made in whatever folder a program runs in; what to do is said, and a reference is fine."""
    monkeypatch.delenv("VEN_REGISTRY_KEY_FILE", raising=False)
    monkeypatch.chdir(tmp_path)
    url = new_postgres()
    with ResourceDatabase(url) as db:
        with pytest.raises(ConfigError, match="VEN_REGISTRY_KEY_FILE") as refused:
            db.upsert_resource(make_resource())
        assert "hunter2" not in str(refused.value)
        assert refused.value.subject == shown(url)
        assert db.count() == 0
        db.upsert_resource(make_resource(connection=make_connection(username=None, password="env:PW")))
    assert list(tmp_path.iterdir()) == []

    with ResourceDatabase(url, key_file=tmp_path / "key") as db:
        db.upsert_resource(make_resource())
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_unknown_ven_is_told_with_those_that_there_are(db: ResourceDatabase, database: str) -> None:
    """A VEN or sub-type that nothing has is a slip more often than not; standard output stays clean."""
    db.bulk_insert_resources([make_resource("a"), make_resource("b", ven="Ikast")])

    result = ven("resources", "list", "--ven", "herning", "--sub-type", "Schools", "--json", "--db", database)

    assert result.exit_code == 0
    assert json.loads(result.stdout) == []
    assert "VEN 'herning' (did you mean 'Herning'?); there are: Herning, Ikast [VEN-CLR-011]" in result.stderr
    assert "sub-type 'Schools'" in result.stderr
    assert ven("resources", "list", "--ven", "Ikast", "--db", database).stderr == ""


def test_show_tells_how_it_is_reported(db: ResourceDatabase, database: str) -> None:
    """Stored reporting, what it comes to with the defaults, and the status; options as JSON."""
    from venclient.model.reporting import ReportingStatus

    db.upsert_resource(make_resource(resourceType="EV", reporting={"interval": "PT5M"}))
    before = ven("resources", "show", "r-1", "--db", database, columns=300).stdout.splitlines()
    db.set_reporting_status([ReportingStatus(resource_id="r-1", state="refused", detail="no program")])
    after = ven("resources", "show", "r-1", "--db", database, columns=300).stdout.splitlines()
    as_json = json.loads(ven("resources", "show", "r-1", "--db", database, "--json").stdout)

    shown = dict(line.split(None, 1) for line in before)
    assert shown["reporting.interval"] == "PT5M"
    assert shown["reported_as.payload_types"] == '["USAGE", "DEMAND"]'
    assert shown["reporting_status"] == "-"
    assert json.loads(shown["connection.options.values"])[0]["quantity"] == "power_kw"
    assert dict(line.split(None, 1) for line in after)["reporting_status.state"] == "refused"
    assert as_json["reporting_status"]["detail"] == "no program"
    assert as_json["reported_as"]["interval"] == "PT5M"


def test_show_names_reporting_that_makes_no_sense(db: ResourceDatabase, database: str) -> None:
    """What another program stored there is shown, and what is wrong with it said."""
    db.upsert_resource(make_resource())
    with db.get_connection() as connection:
        connection.execute("""UPDATE resources SET reporting = '{"interval": "soon"}'""")

    result = ven("resources", "show", "r-1", "--db", database)

    assert result.exit_code == 0, result.exception
    assert "soon" in result.stdout
    assert "cannot be reported: reporting.interval must be" in result.stderr


def test_method_inside_get_connection_is_part_of_it(db: ResourceDatabase) -> None:
    """A method that is called before any statement wrote is undone with the rest."""

    def work() -> None:
        with db.get_connection():
            db.upsert_resource(make_resource("a"))
            with db.get_connection() as inner:
                inner.execute("UPDATE resources SET ven = 'Ikast'")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert db.count() == 0
    with db.get_connection() as connection:
        db.upsert_resource(make_resource("a"))
        connection.execute("UPDATE resources SET ven = 'Ikast'")
        assert db.count(ven="Ikast") == 1
    assert db.count(ven="Ikast") == 1


MAPPING = """
[connection]
type = "mqtt"
host = "broker"
topic = "meters/{meterpoint_id}"
options = {%s}
"""


@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]])
def test_import_has_options_checked_by_their_connector(tmp_path: Path, dry_run: list[str]) -> None:
    """Options of a mapping are refused with the connector's reason, with and without a database."""
    sites = tmp_path / "sites.csv"
    sites.write_text("title,lat,lon,site no\nA,56.1,9.1,7\n", encoding="utf-8")
    sites.with_suffix(".toml").write_text(MAPPING % "qoss = 1", encoding="utf-8")
    target = tmp_path / "r.db"

    result = ven("import", sites, "--db", target, *dry_run)

    assert result.exit_code == 1
    assert "rejected line 2: connection: options.qoss: unknown option" in result.stdout
    assert "not used: site no" in result.stdout
    sites.with_suffix(".toml").write_text(MAPPING % "qos = 1", encoding="utf-8")
    assert ven("import", sites, "--db", target, *dry_run).exit_code == 0


@pytest.mark.parametrize("name", [".", "/"])
def test_import_of_a_folder_is_said(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder is no CSV file, whatever its name."""
    monkeypatch.chdir(tmp_path)

    result = ven("import", name, "--db", "r.db")

    assert result.exit_code == 2
    assert "Is a directory" in result.stderr
    assert "[VEN-IMP-072]" in result.stderr


def test_check_promises_no_upgrade_that_will_not_come(tmp_path: Path) -> None:
    """A newer database, or another program's, is not announced as upgraded; a folder is reported as one."""
    path = tmp_path / "resources.db"
    ResourceDatabase(path).close()
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
        raw.commit()
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as raw:
        raw.execute("CREATE TABLE t (x)")
        raw.commit()

    for file, schema in ((path, "schema 9999\n"), (other, "schema unknown\n")):
        result = ven("db", "check", "--db", file)
        assert result.exit_code == 1
        assert schema in result.stdout
        assert "upgraded" not in result.stdout
    assert "VEN-DBF-080" in str(ven("db", "check", "--db", tmp_path).exception)
