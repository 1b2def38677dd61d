"""The tour of the queries and the commands over the database."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.registry.objects import make_old_file, make_resource
from venclient.cli import db as db_commands
from venclient.cli import resources as resource_commands
from venclient.errors import ConfigError, NotFound
from venclient.messages import cli_db as cld
from venclient.registry.database import ResourceDatabase
from venclient.registry.opening import holds_registry
from venclient.registry.schema import HEAD
from venclient.registry.tour import tour

runner = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"})


@pytest.fixture
def path(db: ResourceDatabase, database: str) -> str:
    """Return the name of a database with a hotel and a charger."""
    db.bulk_upsert(
        [make_resource("r-1"), make_resource("r-2", resourceType="EV", ven="Ikast", resourceName="[x] æ")]
    )
    db.close()
    return database


def test_tour_shows_each_query(path: str) -> None:
    """The tour prints what every query gives."""
    lines: list[str] = []

    tour(path, lines.append)

    text = "\n".join(lines)
    assert "get_all_resources(): 2 resources" in text
    assert "get_resources_by_type('EV'): 1" in text
    assert "total_resources: 2" in text
    assert "get_resources_by_ven('Herning'): 1" in text
    assert "hunter2" not in text


def test_tour_of_nothing_says_what_to_run(tmp_path: Path) -> None:
    """Without a database the tour says how to make one, and makes no file."""
    with pytest.raises(NotFound, match=r"prepare_samples\.py"):
        tour(tmp_path / "none.db")
    assert list(tmp_path.iterdir()) == []


def test_tour_of_an_empty_registry_says_what_to_run(db: ResourceDatabase, database: str) -> None:
    """A registry without resources is reported as empty, on either kind of database."""
    with pytest.raises(NotFound, match=r"prepare_samples\.py.*VEN-REG-227"):
        tour(database)


@pytest.mark.peer
def test_commands_make_no_tables(new_postgres: Callable[[], str]) -> None:
    """A server's database that holds no registry is refused, not filled with tables."""
    url = new_postgres()
    for words in (["list"], ["stats"], ["show", "r-1"]):
        result = runner.invoke(resource_commands.app, [*words, "--db", url])
        assert isinstance(result.exception, ConfigError)
        assert "VEN-CLR-006" in str(result.exception)
    with pytest.raises(NotFound, match="VEN-REG-226"):
        tour(url)

    assert not holds_registry(url)


def test_list_filters(path: str) -> None:
    """`ven resources list` filters by type and VEN and shows names as they are."""
    result = runner.invoke(resource_commands.app, ["list", "--db", path, "--type", "ev", "--ven", "Ikast"])

    assert result.exit_code == 0, result.output
    assert "[x] æ" in result.stdout
    assert "r-1" not in result.stdout
    assert "\n1 resource\n" in result.stdout


def test_list_as_json_hides_passwords(path: str) -> None:
    """`--json` gives every field, and *** for a password."""
    result = runner.invoke(resource_commands.app, ["list", "--db", path, "--json"])

    found = json.loads(result.stdout)
    assert [one["resourceID"] for one in found] == ["r-1", "r-2"]
    assert found[0]["connection"]["type"] == "MQTT"
    assert found[0]["connection"]["password"] == "***"


def test_list_names_bad_rows(path: str) -> None:
    """Bad rows are named on standard error and in the exit status; the others are listed."""
    with ResourceDatabase(path) as db, db.get_connection() as connection:
        connection.execute("UPDATE resources SET capacities = 'oops' WHERE resource_id = 'r-1'")

    result = runner.invoke(resource_commands.app, ["list", "--db", path])

    assert result.exit_code == 1
    assert "resources row 1 (r-1): capacities is not valid JSON" in result.stderr
    assert "r-2" in result.stdout


def test_list_of_unknown_type_is_refused(path: str) -> None:
    """A type that does not exist is reported with those that do."""
    result = runner.invoke(resource_commands.app, ["list", "--db", path, "--type", "HEAT"])

    assert isinstance(result.exception, ConfigError)
    assert "use DSR" in str(result.exception)


def test_show(path: str) -> None:
    """`ven resources show` prints every field of one resource, but no password."""
    result = runner.invoke(resource_commands.app, ["show", "r-1", "--db", path])

    assert result.exit_code == 0, result.output
    assert "capacities.P_max_kw" in result.stdout
    assert "hunter2" not in result.stdout
    missing = runner.invoke(resource_commands.app, ["show", "nobody", "--db", path])
    assert isinstance(missing.exception, NotFound)


def test_stats(path: str) -> None:
    """`ven resources stats` counts, for people and for programs."""
    text = runner.invoke(resource_commands.app, ["stats", "--db", path])
    as_json = runner.invoke(resource_commands.app, ["stats", "--db", path, "--json"])

    assert "2 resources" in text.stdout
    assert json.loads(as_json.stdout)["by_type"] == {"DSR": 1, "EV": 1}


def test_commands_make_no_database(tmp_path: Path) -> None:
    """A misspelt path is refused, not created."""
    for app, command in ((resource_commands.app, "stats"), (db_commands.app, "check")):
        result = runner.invoke(app, [command, "--db", str(tmp_path / "none.db")])
        assert isinstance(result.exception, (ConfigError, NotFound))

    assert list(tmp_path.iterdir()) == []


def test_check_of_a_sound_file(path: str) -> None:
    """`ven db check` reports a sound file and how much there is."""
    result = runner.invoke(db_commands.app, ["check", "--db", path])

    assert result.exit_code == 0, result.output
    assert "2 resources, 2 connections (0 not used by any resource)" in result.stdout
    assert cld.NO_PROBLEMS() in result.stdout


def test_check_tells_what_is_wrong(tmp_path: Path) -> None:
    """A dangling reference and a bad row are problems, with exit status 1."""
    path = tmp_path / "resources.db"
    with ResourceDatabase(path) as db:
        db.bulk_upsert([make_resource("r-1"), make_resource("r-2")])
    with ResourceDatabase(path) as db, db.get_connection() as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("DELETE FROM connections WHERE id = 2")
        connection.execute("UPDATE resources SET location = 'oops' WHERE id = 1")

    result = runner.invoke(db_commands.app, ["check", "--db", str(path), "--json"])

    assert result.exit_code == 1
    problems = json.loads(result.stdout)["problems"]
    assert any("refers to a row of connections" in problem for problem in problems)


def test_check_and_migrate_an_old_file(tmp_path: Path) -> None:
    """`check` leaves an old file as it is; `migrate` upgrades it, once."""
    path = tmp_path / "old.db"
    make_old_file(path)
    before = path.read_bytes()

    checked = runner.invoke(db_commands.app, ["check", "--db", str(path)])
    assert path.read_bytes() == before
    first = runner.invoke(db_commands.app, ["migrate", "--db", str(path)])
    second = runner.invoke(db_commands.app, ["migrate", "--db", str(path)])

    assert "schema of the first generation" in checked.stdout
    assert "3 resources" in checked.stdout
    assert f"of the first generation -> {HEAD}" in first.stdout
    assert cld.CURRENT(path=path, version=HEAD) in second.stdout


@pytest.mark.peer
def test_tour_into_a_pipe_that_closes_ends_quietly(tmp_path: Path, root: Path) -> None:
    """`python demo_db_usage.py | head -1` does not fail."""
    (tmp_path / "config").mkdir()
    with ResourceDatabase(tmp_path / "config" / "resources.db") as db:
        db.upsert_resource(make_resource())
    program = [sys.executable, str(root / "demo_db_usage.py")]

    with subprocess.Popen(program, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tour_:
        assert tour_.stdout is not None
        assert tour_.stderr is not None
        tour_.stdout.close()
        said = tour_.stderr.read()

    assert (tour_.returncode, said) == (0, b"")


def test_tour_survives_numbers_that_are_none(path: str) -> None:
    """A capacity that is unknown does not stop the tour."""
    with ResourceDatabase(path) as db:
        db.bulk_insert_resources([("r-0", "Hotel", "DSR", None, "7070", "{}", "{}", None, None, True)])

    lines: list[str] = []
    tour(path, lines.append)

    assert lines
