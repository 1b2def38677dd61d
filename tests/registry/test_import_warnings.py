"""The warnings of the registry about resources that an import stores."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from venclient.cli import app
from venclient.messages import code_of
from venclient.registry.csv_import import import_csv
from venclient.registry.database import ResourceDatabase


def test_warnings_of_stored_resources_are_listed_with_their_lines(tmp_path: Path) -> None:
    """A doubtful value is stored, and its warning names the lines; what the import words itself is once."""
    path = tmp_path / "sites.csv"
    path.write_text(
        "name,lat,lon,host\nInn,55.7,12.5,http://10.0.0.7\nBar,55.71,12.5,10.0.0.8\n", encoding="utf-8"
    )
    with ResourceDatabase(str(tmp_path / "r.db")) as db:
        report = import_csv(db, path)
    printed = CliRunner().invoke(app, ["import", str(path), "--db", str(tmp_path / "r2.db")]).output
    codes = {code_of(text): lines for text, lines in report.warnings.items() if code_of(text)}
    assert codes == {"VEN-REG-044": [2], "VEN-IMP-056": [2, 3], "VEN-IMP-050": [2, 3]}
    assert "[VEN-REG-044]: line 2" in printed
