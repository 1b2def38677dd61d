"""Upgrades that are cut off, or that have no room: the file is old or new, and a copy of the old is there."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.registry.objects import make_old_file
from venclient.clock import ManualClock
from venclient.errors import RegistryError
from venclient.messages import registry_files as dbf
from venclient.registry import upgrade as upgrade_module
from venclient.registry.database import ResourceDatabase
from venclient.registry.schema import HEAD
from venclient.registry.upgrade import upgrade


def schema_of(path: Path) -> list[tuple[str, ...]]:
    """Return the SQL of every object in a file."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


def copies_of(path: Path) -> list[Path]:
    """Return the copies that upgrades made of a file."""
    return sorted(path.parent.glob(f"{path.name}.before-r*.bak"))


def test_old_file_is_copied_before_its_upgrade(tmp_path: Path) -> None:
    """The copy has the old schema and every row, is for its owner only, and bears version and time."""
    path = tmp_path / "old.db"
    make_old_file(path)
    before = schema_of(path)

    upgrade(path, clock=ManualClock(datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)))

    (copy,) = copies_of(path)
    assert copy.name == f"old.db.before-r{HEAD}-20260506T070809Z.bak"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert schema_of(copy) == before
    assert ResourceDatabase(path).count() == 3


def test_new_and_current_files_are_not_copied(tmp_path: Path) -> None:
    """Where nothing can be lost nothing is copied."""
    path = tmp_path / "new.db"
    upgrade(path)
    upgrade(path)

    assert [file.name for file in tmp_path.iterdir()] == ["new.db"]


def test_no_copy_no_upgrade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the copy cannot be made the file stays as it was, and the reason is reported."""
    path = tmp_path / "old.db"
    make_old_file(path)
    before = schema_of(path)

    def no_room(source: Path, target: Path) -> None:
        raise RegistryError(dbf.DISK_FULL(), subject=str(target))

    monkeypatch.setattr(upgrade_module, "copy_database", no_room)
    with pytest.raises(RegistryError, match="VEN-DBF-043"):
        upgrade(path)

    assert schema_of(path) == before


def test_refused_files_are_not_touched(tmp_path: Path) -> None:
    """A newer file, and one of another program, keep every byte, their journal mode with them."""
    newer, foreign = tmp_path / "newer.db", tmp_path / "foreign.db"
    with closing(sqlite3.connect(newer)) as made:
        made.execute("CREATE TABLE alembic_version (version_num TEXT)")
        made.execute("INSERT INTO alembic_version VALUES ('9999')")
        made.commit()
    with closing(sqlite3.connect(foreign)) as made:
        made.execute("CREATE TABLE songs (title TEXT)")
    before = [file.read_bytes() for file in (newer, foreign)]

    for file, reason in ((newer, "9999.*VEN-DBF-050"), (foreign, "songs.*VEN-DBF-051")):
        with pytest.raises(RegistryError, match=reason):
            ResourceDatabase(file)

    assert [file.read_bytes() for file in (newer, foreign)] == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["foreign.db", "newer.db"]


KILLED = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import event
from sqlalchemy.engine import Engine
from venclient.registry.upgrade import upgrade

path, at, when = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
count = 0

def watch(*_):
    global count
    count += 1
    if count == at:
        os.kill(os.getpid(), signal.SIGKILL)

event.listen(Engine, {"before": "before_cursor_execute", "after": "after_cursor_execute",
                      "commit": "commit"}[when], watch)
upgrade(path)
print(count)
"""


def run_killed(path: Path, at: int, when: str = "after") -> subprocess.CompletedProcess[str]:
    """Upgrade in another process, which is killed at its statement number `at` (0: never)."""
    return subprocess.run(
        [sys.executable, "-c", KILLED, str(path), str(at), when], capture_output=True, text=True, check=False
    )


@pytest.mark.peer
@pytest.mark.timeout(600)
def test_killed_upgrade_leaves_the_old_file(tmp_path: Path) -> None:
    """`kill -9` between statements, or before the commit, leaves the old file; the next start upgrades it."""
    path = tmp_path / "trial.db"
    make_old_file(path)
    trial = run_killed(path, 0)
    assert trial.returncode == 0, trial.stderr
    statements = int(trial.stdout)
    new = schema_of(path)
    assert statements > 12
    points = [(at, "after") for at in range(1, statements, statements // 5)] + [
        (statements, "after"),
        (1, "commit"),
    ]

    for at, when in points:
        path = tmp_path / f"{when}-{at}.db"
        make_old_file(path)
        old = schema_of(path)

        assert run_killed(path, at, when).returncode == -signal.SIGKILL

        assert schema_of(path) == old, (at, when)
        with ResourceDatabase(path) as db:
            assert db.count() == 3
        assert schema_of(path) == new, (at, when)
        with closing(sqlite3.connect(path)) as looked:
            assert looked.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


KILLED_COPYING = """
import os, signal, sqlite3, sys
from pathlib import Path
from venclient.registry import copies
from venclient.registry.upgrade import upgrade

def killed(driver):
    os.kill(os.getpid(), signal.SIGKILL)

counts = iter([copies.count_rows, killed])  # the source is counted, then the copy that was made of it
copies.count_rows = lambda driver: next(counts)(driver)
upgrade(Path(sys.argv[1]))
"""


@pytest.mark.peer
def test_copy_that_was_cut_off_has_no_name(tmp_path: Path) -> None:
    """A kill while the copy is made leaves nothing that looks like a good one, and the old file as it was."""
    path = tmp_path / "old.db"
    make_old_file(path)
    old = schema_of(path)

    done = subprocess.run([sys.executable, "-c", KILLED_COPYING, str(path)], check=False)

    assert done.returncode == -signal.SIGKILL
    assert copies_of(path) == []
    assert schema_of(path) == old
