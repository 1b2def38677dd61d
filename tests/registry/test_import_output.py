"""What `ven import` prints, to be read by people."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.registry.test_csv_import import HEADER, ROWS
from venclient.cli import app
from venclient.cli.importing import broken
from venclient.messages import code_of
from venclient.messages import importing as imp
from venclient.registry.csv_import import import_csv
from venclient.registry.database import ResourceDatabase


def test_assumptions_are_printed_in_one_line(tmp_path: Path) -> None:
    """What no column says of new sites is printed with counts, and is in --json; what is said is not."""
    path = tmp_path / "sites.csv"
    path.write_text(
        'name,address,lat,lon\nInn,"Vej 1, 2800 Lyngby",55.7,12.5\nBar,"Vej 2, 2800 Lyngby",55.71,12.5\n',
        encoding="utf-8",
    )
    words = ["import", str(path), "--dry-run", "--db", str(tmp_path / "new.db")]

    printed = CliRunner().invoke(app, words).output
    reported = json.loads(CliRunner().invoke(app, [*words, "--json"]).output)

    (line,) = [line for line in printed.splitlines() if line.startswith("  assumed: ")]
    assumed = reported["files"][0]["assumptions"]
    assert line == "  assumed: " + "; ".join(assumed)
    assert assumed[:2] == [
        "2 sites: no type given, assumed DSR with 25 kW",
        "2 sites: no VEN given, assumed the post town",
    ]
    assert [text.partition(",")[0] for text in assumed[2:]] == [
        "2 sites: no meter point id given",
        "2 sites: no connection given",
    ]


def test_assumptions_name_only_what_no_column_says(tmp_path: Path) -> None:
    """Blank cells are assumed as a missing column is; a type that a port stands for is an assumption."""
    path = tmp_path / "sites.csv"
    path.write_text(
        "name,lat,lon,type,power,ven,meterpoint_id,host\n"
        "Inn,55.7,12.5,PV,,A,m1,10.0.0.1\nBar,55.71,12.5,,30,A,m2,10.0.0.2\n"
        "Spa,55.72,12.5,PV,30,A,m3,10.0.0.3\n",
        encoding="utf-8",
    )
    with ResourceDatabase(str(tmp_path / "r.db")) as db:
        report = import_csv(db, path)
        again = import_csv(db, path)

    assert [code_of(text) for text in report.assumptions] == ["VEN-IMP-008", "VEN-IMP-010", "VEN-IMP-014"]
    assert again.assumptions == []


def test_each_file_has_its_assumptions(tmp_path: Path) -> None:
    """Each file of one command has its own line of assumptions, with its own counts."""
    for name, rows in (("a-x.csv", ROWS[:1]), ("b-x.csv", ROWS[1:2])):
        (tmp_path / name).write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    words = [*map(str, tmp_path.glob("*-x.csv")), "--db", str(tmp_path / "new.db")]

    result = CliRunner().invoke(app, ["import", *words])

    assert result.exit_code == 0, result.output
    assert result.output.count("created 1,") == 2
    assert result.output.count("  assumed: ") == 2


def test_what_is_not_switched_off_is_told_so(tmp_path: Path) -> None:
    """With refused rows --disable-missing says why it left things on, and does not offer itself."""
    path, database = tmp_path / "hotels-x.csv", str(tmp_path / "new.db")
    path.write_text("\n".join([HEADER, *ROWS]) + "\n", encoding="utf-8")
    assert CliRunner().invoke(app, ["import", str(path), "--db", database]).exit_code == 0
    path.write_text("\n".join([HEADER, ROWS[0], "too,few"]) + "\n", encoding="utf-8")

    words = ["import", str(path), "--db", database, "--keep-good", "--disable-missing"]
    result = CliRunner().invoke(app, words)

    assert imp.NOT_DISABLED(count=len(ROWS) - 1, names="") in result.output


def test_lines_break_between_words() -> None:
    """On a terminal a long line goes on below, further in; a path stays whole."""
    line = "  note: nothing tells how the meters are reached: " + "x" * 50

    assert broken(line, 40).splitlines() == [
        "  note: nothing tells how the meters are",
        "    reached:",
        "    " + "x" * 50,
    ]
    assert broken("  short", 40) == "  short"


@pytest.mark.parametrize(
    ("content", "words", "status"),
    [
        ("name,lat,lon\nBad,x,12.5\n", ["--keep-good"], 1),
        ("name,lat,lon\nInn,55.7,12.5\nBad,x,12.5\n", [], 1),
        ("name,lat,lon\n", [], 0),
        ("name,lat,lon\nInn,55.7,12.5\n", ["--map", "title=nowhere"], 2),
    ],
)
def test_a_database_is_not_left_behind_when_nothing_was_stored(
    tmp_path: Path, content: str, words: list[str], status: int
) -> None:
    """A mistyped path makes neither folder nor file; what existed before stays."""
    path = tmp_path / "sites.csv"
    path.write_text(content, encoding="utf-8")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "other.txt").touch()
    for name in ("typo/deep/r.db", "there/r.db"):
        result = CliRunner().invoke(app, ["import", str(path), "--db", str(tmp_path / name), *words])
        assert result.exit_code == status, result.output

    assert not (tmp_path / "typo").exists()
    assert [one.name for one in (tmp_path / "there").iterdir()] == ["other.txt"]
    ResourceDatabase(str(tmp_path / "kept.db")).close()
    CliRunner().invoke(app, ["import", str(path), "--db", str(tmp_path / "kept.db"), *words])
    assert (tmp_path / "kept.db").exists()
