"""The warnings of the registry about resources that an import stores."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from venclient.cli import app
from venclient.messages import code_of
from venclient.registry.csv_import import import_csv
from venclient.registry.csv_report import ImportReport
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


def codes_of(report: ImportReport) -> set[str]:
    """Return the codes of the warnings of an import."""
    return {code_of(text) for text in report.warnings}


def test_warnings_are_about_what_is_stored_in_the_end(tmp_path: Path) -> None:
    """A template, VEN, meter point id or position that is stored and stays is what is looked at."""
    path = tmp_path / "sites.csv"
    header = "name,lat,lon,resource_id,host,meterpoint_id,p_max_kw\n"
    path.write_text(header + "Inn,55.7,12.5,r1,10.0.0.7,123,20\n", encoding="utf-8")
    with ResourceDatabase(str(tmp_path / "r.db")) as db:
        assert codes_of(import_csv(db, path)) >= {"VEN-IMP-050", "VEN-IMP-051", "VEN-IMP-056"}
        db.update_resource(
            "r1",
            {"connection.options.template": "eastron-sdm630", "location.latitude": 56.1, "ven": "Lyngby"},
            meterPointId="707057500483043946",
        )
        path.write_text(header + "Inn,8.97,56.1,r1,10.0.0.8,123,30\n", encoding="utf-8")
        report = import_csv(db, path)
        assert (report.updated, codes_of(report)) == (1, set())
        report = import_csv(db, path, overwrite=True)
        assert codes_of(report) == {"VEN-REG-032"}
        db.update_resource("r1", {"connection.options": None})
        path.write_text(header + "Inn,8.97,56.1,r1,10.0.0.8,123,40\n", encoding="utf-8")
        assert "VEN-IMP-056" in codes_of(import_csv(db, path))


def test_a_shared_meter_point_is_that_of_what_is_stored(tmp_path: Path) -> None:
    """A meter point id that a user corrected is not doubted because the file still has the old one."""
    path = tmp_path / "sites.csv"
    header = "name,lat,lon,resource_id,meterpoint_id\n"
    rows = "Inn,55.7,12.5,r1,707057500483043946\nBar,55.8,12.5,r2,707057500483043946\n"
    path.write_text(header + rows, encoding="utf-8")
    with ResourceDatabase(str(tmp_path / "r.db")) as db:
        assert codes_of(import_csv(db, path)) >= {"VEN-IMP-054"}
        db.update_resource("r2", meterPointId="571313174200000007")
        assert not codes_of(import_csv(db, path)) & {"VEN-IMP-054", "VEN-IMP-055"}
