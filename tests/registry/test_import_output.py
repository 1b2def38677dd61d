"""What `ven import` prints, to be read by people."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from tests.registry.test_csv_import import HEADER, ROWS
from venclient.cli import app
from venclient.cli.importing import broken


def test_notes_that_files_have_in_common_are_told_once(tmp_path: Path) -> None:
    """Two files of one command without meter points are told so once."""
    for name, rows in (("a-x.csv", ROWS[:1]), ("b-x.csv", ROWS[1:2])):
        (tmp_path / name).write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    words = [*map(str, tmp_path.glob("*-x.csv")), "--db", str(tmp_path / "new.db")]

    result = CliRunner().invoke(app, ["import", *words])

    assert result.exit_code == 0, result.output
    assert result.output.count("created 1,") == 2
    assert result.output.count("no column tells the meter point") == 1


def test_what_is_not_switched_off_is_told_so(tmp_path: Path) -> None:
    """With refused rows --disable-missing says why it left things on, and does not offer itself."""
    path, database = tmp_path / "hotels-x.csv", str(tmp_path / "new.db")
    path.write_text("\n".join([HEADER, *ROWS]) + "\n", encoding="utf-8")
    assert CliRunner().invoke(app, ["import", str(path), "--db", database]).exit_code == 0
    path.write_text("\n".join([HEADER, ROWS[0], "too,few"]) + "\n", encoding="utf-8")

    words = ["import", str(path), "--db", database, "--keep-good", "--disable-missing"]
    result = CliRunner().invoke(app, words)

    assert "not switched off, as it may be in the refused rows" in result.output
    assert "--disable-missing switches" not in result.output


def test_lines_break_between_words() -> None:
    """On a terminal a long line goes on below, further in; a path stays whole."""
    line = "  note: nothing tells how the meters are reached: " + "x" * 50

    assert broken(line, 40).splitlines() == [
        "  note: nothing tells how the meters are",
        "    reached:",
        "    " + "x" * 50,
    ]
    assert broken("  short", 40) == "  short"
