"""What imports ask of a registry, in a SQLite file and in PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from tests.registry.objects import make_resource
from tests.registry.test_csv_import import ROWS, counts, written
from venclient.clock import ManualClock
from venclient.registry.csv_import import import_csv
from venclient.registry.database import ResourceDatabase
from venclient.registry.import_target import FIND_AT_ONCE
from venclient.registry.recorded import Values


def test_imports_go_into_either_kind_of_database(db: ResourceDatabase, tmp_path: Path) -> None:
    """Created, updated, unchanged and disappeared are the same in a file and in PostgreSQL."""
    assert counts(import_csv(db, written(tmp_path, *ROWS))) == (5, 0, 0, 0, 0)
    path = written(tmp_path, ROWS[0].replace("56.10", "56.20"), *ROWS[2:])
    report = import_csv(db, path)
    assert counts(report) == (0, 1, 3, 0, 0)
    assert [one.name for one in report.disappeared] == ["Hotel B"]
    assert not import_csv(db, written(tmp_path, *ROWS, "bad")).stored
    assert import_csv(db, written(tmp_path, *ROWS[1:]), disable_missing=True).disabled == 1


def test_many_ids_are_found_at_once(db: ResourceDatabase) -> None:
    """Ids that are stored come back, whatever their number; others do not."""
    stored = [make_resource(f"id-{number}") for number in range(FIND_AT_ONCE + 7)]
    db.bulk_insert_resources(stored)
    target = db.importing()
    ids = [one.resourceID for one in stored]
    assert list(target.find([*ids, "other"]).rows) == ids
    assert target.find([]).rows == {}
    held = target.users([stored[0].meterPointId])
    assert (stored[0].meterPointId, "id-0") in held


def test_sources_are_remembered_apart(db: ResourceDatabase) -> None:
    """Each source has its own ids, the newest it was given, and the time of a clock."""
    target = db.importing(ManualClock())
    target.remember("a.csv", Values(["2", "1"], "[]"))
    target.remember("b.csv", Values(["3"], "[]"))
    target.remember("a.csv", Values(["1"], "[]"))
    assert (target.source("a.csv"), target.source("b.csv"), target.source("c.csv")) == (["1"], ["3"], [])
    with db.get_connection() as connection:
        found = connection.execute("SELECT updated_at FROM import_sources ORDER BY name").fetchall()
    assert {str(row["updated_at"]) for row in found} == {"2026-01-01T00:00:00.000000+00:00"}
