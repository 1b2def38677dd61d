"""Imports into a registry that others use, and what is stored when there is more than is held."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.registry.test_csv_import import ROWS, written
from venclient.messages import code_of
from venclient.registry.csv_import import import_csv
from venclient.registry.database import ResourceDatabase


def test_others_write_while_a_file_is_read(db: ResourceDatabase, database: str, tmp_path: Path) -> None:
    """Reading and comparing block no other program, and what others change meanwhile is kept."""
    import_csv(db, written(tmp_path, *ROWS))
    site = db.get_all_resources()[-1]
    heard: list[int] = []

    def meanwhile(done: int, size: int, rows: int) -> None:
        if not heard:
            with ResourceDatabase(database) as other:
                other.update_resource(site.resourceID, reporting={"interval": "PT5M"})
        heard.append(done)

    moved = [row.replace("56.1", "56.2") for row in ROWS]
    report = import_csv(db, written(tmp_path, *moved), progress=meanwhile)

    assert heard
    assert (report.created, report.updated, report.stored) == (0, len(ROWS), True)
    stored = db.get_resource(site.resourceID)
    assert stored is not None
    assert (stored.reporting, stored.location["latitude"]) == ({"interval": "PT5M"}, 56.24)


def test_more_changes_than_are_held_are_all_stored(
    db: ResourceDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file with more news than memory is given for them is stored as any other, and counted once."""
    monkeypatch.setattr("venclient.registry.csv_import._AT_HAND", 1)
    monkeypatch.setattr("venclient.registry.csv_import._CHUNK", 2)
    import_csv(db, written(tmp_path, *ROWS))
    changed = [*ROWS[:2], *(row.replace("56.1", "56.2") for row in ROWS[2:]), "Hotel Z,Vej 99,8.9,56.1"]

    report = import_csv(db, written(tmp_path, *changed))

    assert (report.unchanged, report.updated, report.created) == (2, len(ROWS) - 2, 1)
    assert db.count() == len(ROWS) + 1


def test_a_position_that_looks_swapped_is_doubted(db: ResourceDatabase, tmp_path: Path) -> None:
    """Latitude and longitude of Denmark swapped are a place at sea: stored, but reported."""
    report = import_csv(db, written(tmp_path, "Hotel Z,Vej 99,56.1,8.9", "Hotel Y,Vej 98,8.9,56.1"))

    (lines,) = (lines for text, lines in report.warnings.items() if code_of(text) == "VEN-REG-032")
    assert (report.created, lines) == (2, [2])
