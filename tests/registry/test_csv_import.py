"""CSV files into the registry: what is created, updated, left alone and refused."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer import Typer
from typer.testing import CliRunner, Result

from venclient.errors import ConfigError
from venclient.messages import code_of
from venclient.messages import importing as imp
from venclient.model.resource import ActorType, Connection, ConnectionType
from venclient.registry.csv_import import import_csv
from venclient.registry.csv_mapping import CsvMapping, from_flags, told
from venclient.registry.csv_report import ImportReport
from venclient.registry.csv_sites import Seen
from venclient.registry.database import ResourceDatabase
from venclient.registry.opening import holds_registry

HEADER = "title,address,longitude,latitude"
ROWS = [
    f'Hotel {name},"Nørregade {n}, 7400 Herning, Denmark",8.9{n},56.1{n}' for n, name in enumerate("ABCDE")
]

COLOGNE = """\
sub_type = "Charging stations"
duplicates = "number"
[columns]
title = "Betreiber"
p_max_kw = "Anschlussleistung"
"""


@pytest.fixture
def hotels(tmp_path: Path) -> Path:
    """Return a file of five good rows."""
    return written(tmp_path, *ROWS)


def written(folder: Path, *rows: str, header: str = HEADER) -> Path:
    """Write a file of hotels and give its path."""
    path = folder / "hotels-in-denmark.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def counts(report: ImportReport) -> tuple[int, int, int, int, int]:
    """Return created, updated, unchanged, duplicates and rejected."""
    return (
        report.created,
        report.updated,
        report.unchanged,
        report.duplicate_rows,
        report.rejected_rows,
    )


def dump(db: ResourceDatabase) -> list[tuple[Any, ...]]:
    """Return every row of both tables, times included."""
    with db.get_connection() as connection:
        return [
            tuple(row)
            for table in ("resources", "connections")
            for row in connection.execute(f"SELECT * FROM {table} ORDER BY id")
        ]


def test_a_second_import_changes_nothing(db: ResourceDatabase, hotels: Path) -> None:
    """The same file again leaves every row of the database as it was, its time stamps too."""
    assert counts(import_csv(db, hotels)) == (5, 0, 0, 0, 0)
    before = dump(db)
    assert counts(import_csv(db, hotels)) == (0, 0, 5, 0, 0)
    assert dump(db) == before


def test_a_changed_row_updates_just_what_changed(db: ResourceDatabase, hotels: Path, tmp_path: Path) -> None:
    """One moved hotel is one update, reported as before and after."""
    import_csv(db, hotels)
    moved = written(tmp_path, ROWS[0].replace("56.10", "56.20"), *ROWS[1:])
    report = import_csv(db, moved)
    assert counts(report) == (0, 1, 4, 0, 0)
    (change,) = report.changes
    assert change.fields == {"location.latitude": (56.10, 56.20)}


def test_what_people_set_since_stays(db: ResourceDatabase, hotels: Path, tmp_path: Path) -> None:
    """A connection, capacities, a writer and a switch that the file does not set survive its next import."""
    import_csv(db, hotels)
    mine = db.get_all_resources()[0]
    wired = replace(
        mine,
        connection=Connection(ConnectionType.MODBUSTCP, ActorType.READER, "10.0.0.7", 502),
        capacities={**mine.capacities, "P_max_kw": 77.0},
        enabled=False,
        reporting={"interval": "PT15M"},
    )
    db.upsert_resource(wired)
    report = import_csv(db, written(tmp_path, *(row.replace("56.1", "56.3") for row in ROWS)))
    assert report.updated == 5
    kept = db.get_resource(mine.resourceID)
    assert kept is not None
    assert kept == replace(wired, location=kept.location)
    assert kept.location["latitude"] >= 56.3


def test_bad_rows_are_left_out_and_the_rest_is_kept(db: ResourceDatabase, tmp_path: Path) -> None:
    """One bad row among five costs just itself."""
    report = import_csv(db, written(tmp_path, *ROWS[:2], "Hotel X,y,8", *ROWS[2:]), keep_good=True)
    assert counts(report) == (5, 0, 0, 0, 1)
    assert report.rejected[0].line == 4
    assert db.get_statistics()["total_resources"] == 5


def test_all_or_nothing_stores_nothing_when_a_row_is_bad(db: ResourceDatabase, tmp_path: Path) -> None:
    """One bad row leaves the registry untouched, and the report says what would have been."""
    report = import_csv(db, written(tmp_path, *ROWS, "Hotel X,y,8"))
    assert not report.stored
    assert counts(report) == (5, 0, 0, 0, 1)
    assert db.get_all_resources() == []


def test_a_dry_run_stores_nothing(db: ResourceDatabase, hotels: Path) -> None:
    """A dry run counts what would be, and that is all."""
    assert counts(import_csv(db, hotels, dry_run=True)) == (5, 0, 0, 0, 0)
    assert db.get_all_resources() == []


def test_a_file_with_nothing_but_a_header_says_so(db: ResourceDatabase, tmp_path: Path) -> None:
    """A file without rows is not an error, but it is reported."""
    report = import_csv(db, written(tmp_path))
    assert counts(report) == (0, 0, 0, 0, 0)
    assert [(code_of(text), lines) for text, lines in report.warnings.items()] == [("VEN-IMP-053", [1])]


def test_an_encoding_that_is_not_there_is_told(db: ResourceDatabase, hotels: Path) -> None:
    """A mapping with an unknown encoding, or one that the file is not in, is named; nothing is stored."""
    for encoding, code in (("utf-77", "VEN-IMP-076"), ("ascii", "VEN-IMP-075")):
        hotels.write_text(f"{HEADER}\nKro Ø,x,8.9,56.1\n", encoding="utf-8")
        with pytest.raises(ConfigError, match=code):
            import_csv(db, hotels, flags=told("flags", encoding=encoding))
    assert db.get_all_resources() == []


def test_the_report_is_json(db: ResourceDatabase, tmp_path: Path) -> None:
    """A program can read all of the report."""
    import_csv(db, written(tmp_path, *ROWS))
    report = import_csv(db, written(tmp_path, *(row.replace("56.1", "56.3") for row in ROWS), "x"))
    shown = json.loads(json.dumps(report.as_dict()))
    assert shown["updated"] == 5
    assert shown["rejected"][0]["line"] == 7


def test_the_map_scrapers_export_is_taken(db: ResourceDatabase, shared: Path) -> None:
    """240 shops: 17 rows stand there twice, five have no address and so no VEN, none is lost."""
    path = shared / "data/assets/bicycleshops-in-denmark.csv"
    report = import_csv(db, path)
    assert counts(report) == (223, 0, 0, 17, 0)
    ((text, lines),) = report.warnings.items()
    assert code_of(text) == "VEN-IMP-050"
    assert lines == [55, 59, 78, 81, 225]
    towns = db.get_statistics()["top_10_vens"]
    assert towns["Aarhus Centrum"] == 7
    assert not {"Found", "Centrum", "SV"} & set(towns)
    assert counts(import_csv(db, path)) == (0, 0, 223, 17, 0)


def test_the_school_list_is_taken_with_one_flag(db: ResourceDatabase, shared: Path) -> None:
    """A municipal list with other column names: 68 schools, and the row whose cells slid is refused."""
    path = shared / "data/assets/schools-stavanger.csv"
    flags = told("flags", columns=from_flags(["title=Skolenavn"]), ven="Stavanger")
    report = import_csv(db, path, flags=flags, keep_good=True)
    assert counts(report) == (68, 0, 0, 0, 1)
    assert (report.rejected[0].line, report.rejected[0].column) == (20, "ADRESSE")
    assert len(db.get_resources_by_ven("Stavanger")) == 68
    assert counts(import_csv(db, path, flags=flags, keep_good=True)) == (0, 0, 68, 0, 1)


def test_the_charger_register_is_taken_with_a_mapping_beside_it(
    db: ResourceDatabase, shared: Path, tmp_path: Path
) -> None:
    """BOM, semicolons, decimal commas, an address in columns, equal rows that are devices of their own."""
    path = tmp_path / "chargingstations-cologne-bnetza.csv"
    path.write_bytes((shared / "data/assets" / path.name).read_bytes())
    path.with_suffix(".toml").write_text(COLOGNE, encoding="utf-8")
    report = import_csv(db, path)
    assert (report.encoding, report.delimiter, report.decimal) == ("utf-8-sig", ";", ",")
    assert counts(report) == (292, 0, 0, 0, 0)
    resources = db.get_resources_by_ven("Köln")
    assert len(resources) == 288
    assert {resource.resourceType for resource in resources} == {"EV"}
    assert resources[0].location == {"latitude": 50.937417, "longitude": 6.97069}
    assert resources[0].address == "Kennedyplatz 1, 50569 Köln"
    assert min(resource.capacities["P_max_kw"] for resource in resources) == 3.5
    assert counts(import_csv(db, path)) == (0, 0, 292, 0, 0)


def test_the_charger_register_without_a_mapping_tells_what_it_cannot_tell_apart(
    db: ResourceDatabase, shared: Path
) -> None:
    """Equal rows count as duplicates; rows of one place that differ are refused with the way out."""
    path = shared / "data/assets/chargingstations-cologne-bnetza.csv"
    report = import_csv(db, path, flags=told("flags", columns=from_flags(["title=Betreiber"])))
    assert report.created + len(report.duplicates) + len(report.rejected) == 292
    assert report.rejected
    assert {code_of(item.reason) for item in report.rejected} == {"VEN-IMP-041"}


def test_a_large_file_streams(db: ResourceDatabase, tmp_path: Path) -> None:
    """Rows are never held all at once: progress is reported in the middle, in bytes and rows."""
    reported: list[tuple[int, int, int]] = []
    rows = [f"Hotel {n},x,8.{n},56.{n}" for n in range(1, 9001)]
    path = written(tmp_path, *rows)
    report = import_csv(db, path, progress=lambda *done: reported.append(done), dry_run=True)
    assert report.created == 9000
    assert len(reported) >= 2
    assert reported[-1] == (path.stat().st_size, path.stat().st_size, 9000)
    assert reported == sorted(reported)


class TestCommand:
    """`ven import`."""

    @pytest.fixture
    def run(self, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        """Return a function that runs the command on a database of each kind."""
        from venclient.cli.importing import import_files

        monkeypatch.setenv("VEN_REGISTRY_KEY_FILE", str(tmp_path / "resources.db.key"))
        app = Typer()
        app.command()(import_files)

        def runner(*words: str | Path) -> Result:
            return CliRunner().invoke(app, ["--db", database, *map(str, words)])

        return runner

    def test_the_sum_up_says_what_was_found_and_done(self, run: Any, hotels: Path) -> None:
        """Encoding, marks, columns and counts are shown; all good is exit status 0."""
        result = run(hotels)
        assert result.exit_code == 0, result.output
        assert "utf-8, delimiter ',', decimal mark '.'" in result.stdout
        assert "created 5, updated 0, unchanged 0, duplicates 0, rejected 0" in result.stdout
        assert "unchanged 5" in run(hotels).stdout

    def test_rejected_rows_are_shown_and_written(self, run: Any, tmp_path: Path) -> None:
        """Rejects come with line and reason, go to a file on demand, and make exit status 1."""
        rejects = tmp_path / "rejects.csv"
        result = run(written(tmp_path, *ROWS, "Hotel X,y,8.9,z"), "--rejects", rejects)
        assert result.exit_code == 1
        assert "rejected line 7, latitude: " in result.stdout
        assert "[VEN-IMP-021]" in result.stdout
        (row,) = csv.DictReader(rejects.read_text(encoding="utf-8").splitlines())
        assert (row["line"], row["column"]) == ("7", "latitude")
        assert row["reason"].endswith("[VEN-IMP-021]")

    def test_a_file_with_a_bad_row_is_not_taken_and_what_to_type_is_said(
        self, run: Any, tmp_path: Path
    ) -> None:
        """By default nothing of such a file is stored; its bad rows are in a file beside it."""
        path = written(tmp_path, *ROWS, "Hotel X,y,8.9,z")
        result = run(path)
        assert result.exit_code == 1
        assert "would be created 5" in result.stdout
        assert imp.NOTHING_STORED(count=1) in result.stdout
        assert "--keep-good" in result.stdout
        assert imp.REJECTS_FILE(file=f"{path}.rejects.csv") in result.stdout
        assert "z" in (tmp_path / f"{path.name}.rejects.csv").read_text(encoding="utf-8")
        result = run(path, "--keep-good")
        assert result.exit_code == 1
        assert "  created 5" in result.stdout
        assert run(written(tmp_path, *ROWS)).exit_code == 0
        assert not (tmp_path / f"{path.name}.rejects.csv").exists()

    def test_a_dry_run_shows_the_difference_and_what_disappeared(self, run: Any, tmp_path: Path) -> None:
        """Fields with before and after, and sites that the file has no more; no file is left behind."""
        run(written(tmp_path, *ROWS))
        path = written(tmp_path, ROWS[0].replace("56.10", "56.20"), *ROWS[2:], "bad")
        result = run(path, "--dry-run")
        assert "would be created 0, updated 1, unchanged 3, duplicates 0, rejected 1" in result.stdout
        assert "location.latitude: 56.1 -> 56.2" in result.stdout
        assert imp.DISAPPEARED(count=1, names="Hotel B (") in result.stdout
        assert not list(tmp_path.glob("*.rejects.csv"))

    def test_what_disappeared_is_switched_off_on_demand(self, run: Any, tmp_path: Path) -> None:
        """With --disable-missing it is done, and said."""
        run(written(tmp_path, *ROWS))
        result = run(written(tmp_path, *ROWS[1:]), "--disable-missing")
        assert imp.DISABLED(count=1, names="Hotel A (") in result.stdout

    def test_an_unusable_file_does_not_stop_the_others(self, run: Any, hotels: Path, tmp_path: Path) -> None:
        """The good file is imported, the bad one named, and the exit status is 2."""
        empty = tmp_path / "empty.csv"
        empty.touch()
        result = run(empty, hotels)
        assert result.exit_code == 2
        assert "empty.csv: " in result.stderr
        assert "[VEN-IMP-073]" in result.stderr
        assert "created 5" in result.stdout

    def test_one_map_serves_the_files_that_have_its_column(
        self, run: Any, hotels: Path, tmp_path: Path
    ) -> None:
        """Files of one command may differ; where a specified column is missing, that is a warning."""
        schools = tmp_path / "schools.csv"
        schools.write_text("Skolenavn,lat,lon\nSkole A,58.9,5.7\n", encoding="utf-8")
        result = run(schools, hotels, "--map", "title=Skolenavn", "--ven", "Stavanger")
        assert result.exit_code == 0, result.output
        assert "[VEN-IMP-052]: line 1\n" in result.stdout

    def test_wrong_flags_are_told_before_anything_is_done(
        self, run: Any, hotels: Path, database: str
    ) -> None:
        """A flag that makes no sense is exit status 2, and no database is made."""
        result = run(hotels, "--map", "naam=x", "--type", "BOILER")
        assert result.exit_code == 2
        assert "naam" in result.stderr
        assert "BOILER" in result.stderr
        assert not holds_registry(database)

    def test_a_dry_run_makes_no_database(self, run: Any, hotels: Path, database: str) -> None:
        """A dry run without a database compares with nothing and leaves no file and no table behind."""
        result = run(hotels, "--dry-run")
        assert "would be created 5" in result.stdout
        assert not holds_registry(database)

    def test_a_connection_that_serves_for_nothing_yet_is_told(self, run: Any, tmp_path: Path) -> None:
        """It is stored, since its register map may come later, with a warning of what is missing."""
        path = tmp_path / "hotels.csv"
        path.write_text(
            "title,address,longitude,latitude,connection_type,host\n"
            'Hotel A,"Bredgade 1, 7400 Herning",8.9,56.1,MODBUSTCP,meter-1\n',
            encoding="utf-8",
        )
        result = run(path)
        assert result.exit_code == 0, result.output
        assert "created 1" in result.stdout
        assert "[VEN-IMP-056]: line 2\n" in result.stdout
        assert "warning" not in run(path).stdout

    def test_json_is_all_that_is_printed(self, run: Any, hotels: Path) -> None:
        """With --json standard output is one JSON document."""
        shown = json.loads(run(hotels, "--json").stdout)
        assert shown["files"][0]["created"] == 5
        assert shown["failed"] == []

    def test_a_database_that_cannot_be_opened_is_named(self, run: Any, hotels: Path, tmp_path: Path) -> None:
        """A folder in the database's place ends in a sentence, not a traceback."""
        (tmp_path / "folder.db").mkdir()
        result = run(hotels, "--db", tmp_path / "folder.db")
        assert result.exit_code == 2
        assert "folder.db" in result.stderr


def test_a_file_that_is_not_there_is_named(db: ResourceDatabase, tmp_path: Path) -> None:
    """A missing file is an error of configuration with its path."""
    with pytest.raises(ConfigError, match="VEN-IMP-072"):
        import_csv(db, tmp_path / "absent.csv", flags=CsvMapping(), seen=Seen())
