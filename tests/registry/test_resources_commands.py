"""`ven resources list` and `export` as they are typed, on a registry of either kind."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.registry.objects import make_connection, make_resource
from venclient.cli.resources import app
from venclient.errors import BadQuery, ConfigError, Conflict
from venclient.registry import columns
from venclient.registry.csv_import import import_csv
from venclient.registry.database import ResourceDatabase


@pytest.fixture
def path(db: ResourceDatabase, database: str) -> str:
    """Return the name of a database with four sites around Herning, one of them far away and switched off."""
    db.bulk_upsert(
        [
            make_resource("00000000-0000-5000-8000-000000000001"),
            make_resource("r-2", resourceType="EV", resourceName="Ladepark Ålholm", ven="Ikast"),
            make_resource("r-3", resourceName="Skole", location={"latitude": 56.2, "longitude": 8.97}),
            make_resource(
                "r-4",
                resourceName="Bad",
                location={"latitude": 57, "longitude": 9},
                enabled=False,
                capacities={"P_max_kw": 120.5},
            ),
        ]
    )
    db.close()
    return database


def run(command: str, path: str, *options: str, columns: int = 80) -> Result:
    """Run a command in a terminal of some width."""
    return CliRunner(env={"COLUMNS": str(columns), "NO_COLOR": "1"}).invoke(
        app, [command, *options, "--db", path]
    )


def listed(path: str, *options: str) -> list[str]:
    """Return the ids that `list` finds."""
    result = run("list", path, "--json", *options)
    assert result.exit_code == 0, (result.output, result.exception)
    return [one["resourceID"][-3:] for one in json.loads(result.stdout)]


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (["--type", "ev"], ["r-2"]),
        (["--type", "EV,PV", "--ven", "Herning"], []),
        (["--ven", "Ikast", "--ven", "Herning", "--type", "EV"], ["r-2"]),
        (["--disabled"], ["r-4"]),
        (["--enabled", "--limit", "2"], ["001", "r-2"]),
        (["--near", "56.14,8.97,10km", "--sort", "-distance"], ["r-3", "001", "r-2"]),
        (["--bbox", "8.9,56.19,9.1,57"], ["r-3", "r-4"]),
        (["--text", "alholm"], ["r-2"]),
        (["--min-p-max", "50.5"], ["r-4"]),
        (["--max-p-min", "-20"], ["001", "r-2", "r-3"]),
        (["--sort", "name", "--limit", "2", "--offset", "1"], ["001", "r-2"]),
        (["--connection", "mqtt", "--sub-type", "Hotels", "--min-e-max", "200"], ["001", "r-2", "r-3"]),
        (["--never-reported", "--sort", "-id"], ["r-4", "r-3", "r-2", "001"]),
    ],
)  # fmt: skip
def test_options_are_conditions(path: str, options: list[str], ids: list[str]) -> None:
    """Each option keeps what it says, and they go together."""
    assert listed(path, *options) == ids


def test_all_mistakes_of_a_command_line_are_told(path: str) -> None:
    """Every option that makes no sense is named as it was typed."""
    result = run("list", path, "--type", "HEAT", "--near", "here", "--limit", "few", "--sort", "colour")

    assert isinstance(result.exception, BadQuery)
    assert [problem.split(":")[0] for problem in result.exception.problems] == [
        "--type",
        "--near",
        "--sort",
        "--limit",
    ]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_table_fits_the_terminal(path: str, width: int) -> None:
    """No line is wider than the terminal, and every id is whole."""
    result = run("list", path, "--near", "56.14,8.97", columns=width)

    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= width
    assert "00000000-0000-5000-8000-000000000001" in result.stdout
    assert "Hotel Ørnen" in result.stdout
    assert ("mqtt broker" in result.stdout) == (width >= 120)


def test_a_part_says_of_how_many(path: str) -> None:
    """With a limit the last line says how many there are in all."""
    assert "2 of 3 resources" in run("list", path, "--enabled", "--limit", "2").stdout
    assert run("list", path, "--type", "PV").stdout == "0 resources\n"


def test_formats_go_one_at_a_time(path: str) -> None:
    """Two formats at once are refused."""
    result = run("list", path, "--json", "--csv")

    assert isinstance(result.exception, ConfigError)


def test_list_as_csv_and_geojson(path: str) -> None:
    """`--csv` is our own layout, `--geojson` a collection of points."""
    header, *rows = csv.reader(run("list", path, "--csv").stdout.splitlines())
    document = json.loads(run("list", path, "--geojson", "--type", "EV").stdout)

    assert columns.is_own(header)
    assert len(rows) == 4
    assert [one["id"] for one in document["features"]] == ["r-2"]


def test_export_by_the_files_name(path: str, tmp_path: Path) -> None:
    """The file's name says the format; the file is said to be there, and comes back by import."""
    result = run("export", path, str(tmp_path / "out.csv"), "--ven", "Herning")

    assert result.exit_code == 0, result.output
    assert "3 resources as csv" in result.stdout
    with ResourceDatabase(tmp_path / "new.db") as db:
        assert import_csv(db, tmp_path / "out.csv").created == 3


def test_export_to_standard_output(path: str) -> None:
    """`-` prints the export, and nothing else."""
    result = run("export", path, "-", "--format", "json")

    document = json.loads(result.stdout)
    assert document["format"] == "venclient-resources"
    assert len(document["resources"]) == 4
    assert "hunter2" not in result.stdout


def test_export_replaces_when_told(path: str, tmp_path: Path) -> None:
    """A file that is there stays, unless --force."""
    file = tmp_path / "out.json"
    file.write_text("mine")

    assert isinstance(run("export", path, str(file)).exception, Conflict)
    assert file.read_text() == "mine"
    assert run("export", path, str(file), "--force").exit_code == 0
    assert json.loads(file.read_text())["version"] == 1


def test_export_in_an_unknown_format_is_refused(path: str, tmp_path: Path) -> None:
    """A name without a known extension asks for a format."""
    result = run("export", path, str(tmp_path / "out.xlsx"))

    assert isinstance(result.exception, ConfigError)
    assert "csv, json, geojson" in str(result.exception)


def test_export_names_bad_rows(path: str, tmp_path: Path) -> None:
    """A row that makes no sense is left out, named, and in the exit status."""
    with ResourceDatabase(path) as db, db.get_connection() as connection:
        connection.execute("UPDATE resources SET capacities = 'oops' WHERE resource_id = 'r-2'")

    result = run("export", path, str(tmp_path / "out.geojson"))

    assert result.exit_code == 1
    assert "left out: resources row 2 (r-2)" in result.stderr
    assert len(json.loads((tmp_path / "out.geojson").read_text())["features"]) == 3


def test_show_hides_secrets_but_not_references(db: ResourceDatabase, database: str) -> None:
    """`show` prints where a password is, never the password."""
    db.upsert_resource(make_resource("r-1", connection=make_connection(username="env:WHO")))

    shown = run("show", database, "r-1").stdout

    assert "env:WHO" in shown
    assert "***" in shown
    assert "hunter2" not in shown


def test_a_registry_beside_the_settings_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder of a site, without config/resources.db, its resources.db is suggested."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="VEN-CLR-005"):
        CliRunner().invoke(app, ["list"], catch_exceptions=False)
    ResourceDatabase("resources.db").close()
    with pytest.raises(ConfigError, match="VEN-CLR-020") as caught:
        CliRunner().invoke(app, ["list"], catch_exceptions=False)
    assert "--db resources.db" in str(caught.value)
    assert CliRunner().invoke(app, ["list", "--db", "resources.db"]).exit_code == 0
