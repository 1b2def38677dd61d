"""A registry, readings or state file on a medium that can only be read: commands that only look work."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.registry.objects import make_old_file, make_resource
from venclient import read_only
from venclient.errors import InvalidRecord, RegistryError, StoreError
from venclient.messages import code_of
from venclient.read_only import is_read_only
from venclient.registry.backup import back_up, restore
from venclient.registry.copying import copy_registry
from venclient.registry.database import ResourceDatabase
from venclient.registry.inspection import inspect
from venclient.registry.upgrade import upgrade
from venclient.sqlite_file import open_sqlite

Freeze = Callable[[Path], None]


def names(folder: Path) -> list[str]:
    """Return the names of what is in a folder."""
    return sorted(one.name for one in folder.iterdir())


@pytest.fixture
def freeze(monkeypatch: pytest.MonkeyPatch) -> Freeze:
    """Return a function that makes a folder refuse every write with EROFS, as a read-only medium does."""
    frozen: list[Path] = []
    real_open, real_access, real_connect = os.open, os.access, sqlite3.connect

    def is_frozen(path: object) -> bool:
        name = str(path)
        return any(name.startswith(f"{folder}/") or name == str(folder) for folder in frozen)

    def refusing_open(path: str | Path, flags: int, *rest: object, **named: object) -> int:
        if is_frozen(path) and flags & (os.O_RDWR | os.O_WRONLY | os.O_CREAT):
            raise OSError(30, os.strerror(30), str(path))
        return real_open(path, flags, *rest, **named)  # type: ignore[arg-type]

    def refusing_access(path: str | Path, mode: int, **named: object) -> bool:
        return not (is_frozen(path) and mode & os.W_OK) and real_access(path, mode, **named)  # type: ignore[arg-type]

    def refusing_connect(name: str, *rest: Any, **named: Any) -> sqlite3.Connection:
        """Refuse what SQLite refuses there: a file with a log, unless it is opened as immutable."""
        path = Path(str(name).removeprefix("file://").partition("?")[0])
        if is_frozen(path) and "immutable=1" not in str(name) and path.read_bytes()[18:19] == b"\2":
            error = sqlite3.OperationalError("unable to open database file")
            error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
            raise error
        made: sqlite3.Connection = real_connect(name, *rest, **named)
        return made

    monkeypatch.setattr(os, "open", refusing_open)
    monkeypatch.setattr(os, "access", refusing_access)
    monkeypatch.setattr(sqlite3, "connect", refusing_connect)
    monkeypatch.setattr(read_only, "_reported", set())
    return frozen.append


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a registry of two resources, the second of them in the log only."""
    place = tmp_path / "medium"
    place.mkdir()
    with ResourceDatabase(place / "live.db") as db:
        db.upsert_resource(make_resource("merged"))
    with closing(sqlite3.connect(place / "live.db", isolation_level=None)) as driver:
        driver.execute("PRAGMA wal_autocheckpoint = 0")
        driver.execute(
            "INSERT INTO resources SELECT NULL, 'in-the-log', resource_name, resource_type,"
            " resource_sub_type, meter_point_id, connection_id, capacities, location, address, ven, enabled,"
            " reporting, created_at, updated_at, control_connection_id, version FROM resources"
        )
        # As after a power cut: the log is there, what SQLite shares between programs is not.
        for ending in ("", "-wal", ".key"):
            shutil.copy(place / f"live.db{ending}", place / f"resources.db{ending}")
    for left in place.glob("live.db*"):
        left.unlink()
    return place


def test_rows_of_the_log_are_read_too(folder: Path, freeze: Freeze, caplog: pytest.LogCaptureFixture) -> None:
    freeze(folder)
    with ResourceDatabase(folder / "resources.db") as db:
        assert [one.resourceID for one in db.get_all_resources()] == ["merged", "in-the-log"]
        assert db.count() == 2
    assert [code_of(record.msg) for record in caplog.records] == ["VEN-DBF-010"]
    assert names(folder) == ["resources.db", "resources.db-wal", "resources.db.key"]


def test_rows_of_the_log_are_said_to_be_missing_when_they_do_not_fit(
    folder: Path, freeze: Freeze, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze(folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 90, 10))
    with ResourceDatabase(folder / "resources.db") as db:
        assert [one.resourceID for one in db.get_all_resources()] == ["merged"]
    assert [code_of(record.msg) for record in caplog.records] == ["VEN-DBF-011"]


def test_rows_of_the_log_are_read_when_no_usual_temporary_folder_can_be_written(
    folder: Path, freeze: Freeze, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole card is read-only, /tmp with it: the copy is made in memory."""

    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr("tempfile.gettempdir", none)
    monkeypatch.setattr(read_only, "_IN_MEMORY", (str(tmp_path / "missing"), str(memory)))
    freeze(folder)
    with ResourceDatabase(folder / "resources.db") as db:
        assert db.count() == 2
        assert len(names(memory)) == 1
    assert names(memory) == []


def test_nothing_is_left_in_the_temporary_folder(
    folder: Path, freeze: Freeze, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    freeze(folder)
    with ResourceDatabase(folder / "resources.db") as db:
        assert names(temporary)
        db.get_all_resources()
    assert inspect(folder / "resources.db").resources == 2
    assert names(temporary) == []


def test_every_write_is_refused_with_a_code(folder: Path, freeze: Freeze) -> None:
    freeze(folder)
    with ResourceDatabase(folder / "resources.db") as db:
        writes: list[Callable[[], object]] = [
            lambda: db.upsert_resource(make_resource("new")),
            lambda: db.bulk_insert_resources([make_resource("new")]),
            lambda: db.update_resource("merged", resourceName="New"),
            lambda: db.set_enabled("merged", False),
            lambda: db.delete_resource("merged"),
            db.clear_all_resources,
            db.seal_secrets,
        ]
        for write in writes:
            with pytest.raises(RegistryError, match="VEN-DBF-013"):
                write()
        with pytest.raises(sqlite3.OperationalError), db.get_connection() as raw:
            raw.execute("DELETE FROM resources")
        assert db.count() == 2


def test_backup_and_copy_take_the_rows_of_the_log(folder: Path, freeze: Freeze, tmp_path: Path) -> None:
    freeze(folder)
    assert back_up(folder / "resources.db", tmp_path / "backup.db").copy.resources == 2
    copy_registry(folder / "resources.db", tmp_path / "copy.db")
    with ResourceDatabase(tmp_path / "copy.db") as db:
        assert db.count() == 2
    with pytest.raises(RegistryError, match="VEN-DBF-018"):
        back_up(folder / "resources.db")


def test_dry_run_counts_and_leaves_the_registry_read_only(folder: Path, freeze: Freeze) -> None:
    """A dry run checks on a temporary copy, which nothing later sees."""
    before = (folder / "resources.db").read_bytes()
    freeze(folder)
    with ResourceDatabase(folder / "resources.db") as db:
        changes = {"capacities.P_max_kw": 60, "connection.port": 1884}
        assert db.set_where(["merged", "in-the-log"], changes, dry_run=True) == 2
        with pytest.raises(InvalidRecord):
            db.set_where(["merged"], {"capacities.P_max": 60}, dry_run=True)
        with pytest.raises(RegistryError, match="VEN-DBF-013"):
            db.set_where(["merged"], changes)
        assert [one.capacities["P_max_kw"] for one in db.get_all_resources()] == [50, 50]
        assert len(db.history("merged")) == 1
    assert (folder / "resources.db").read_bytes() == before


def test_upgrade_and_restore_say_that_the_medium_is_read_only(
    tmp_path: Path, folder: Path, freeze: Freeze
) -> None:
    """What would change the file is refused for the medium, and names the database."""
    make_old_file(folder / "old.db")
    backup = back_up(folder / "resources.db", tmp_path / "backup.db").copy.path
    freeze(folder)

    with pytest.raises(RegistryError, match="VEN-DBF-017"):
        upgrade(folder / "old.db")
    with pytest.raises(RegistryError, match="VEN-DBF-013") as caught:
        restore(backup, folder / "resources.db")
    assert caught.value.subject == str(folder / "resources.db")


def test_file_of_the_first_generation_is_read_as_an_upgraded_copy(
    tmp_path: Path, freeze: Freeze, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "medium"
    place.mkdir()
    make_old_file(place / "old.db")
    before = (place / "old.db").read_bytes()
    freeze(place)
    with ResourceDatabase(place / "old.db") as db:
        assert db.count() == 3
        with pytest.raises(RegistryError, match="VEN-DBF-013"):
            db.delete_resource("old-1")
    assert (place / "old.db").read_bytes() == before
    assert [code_of(record.msg) for record in caplog.records] == ["VEN-DBF-012"]


def test_file_that_can_be_written_is_not_read_only(folder: Path) -> None:
    assert not is_read_only(folder / "resources.db")
    assert not is_read_only(folder / "missing.db")


def test_store_files_are_read_with_their_log(tmp_path: Path, freeze: Freeze) -> None:
    """The readings and state files are opened by `open_sqlite`."""
    place = tmp_path / "medium"
    place.mkdir()
    with closing(open_sqlite(place / "live.db")) as live:
        live.execute("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
        for ending in ("", "-wal"):
            shutil.copy(place / f"live.db{ending}", place / f"store.db{ending}")
    freeze(place)
    with closing(open_sqlite(place / "store.db", read_only=True)) as reader:
        assert reader.execute("SELECT x FROM t").fetchall() == [(1,)]
    with pytest.raises(StoreError):
        open_sqlite(place / "store.db")


_MOUNTED = """
set -e
mount -t tmpfs none "$1"
cp "$2"/* "$1"/
mount -o remount,ro "$1"
if touch "$1/x" 2>/dev/null; then echo writable; exit 9; fi
cd "$3"
shift 3
exec "$@"
"""


def _on_a_read_only_mount(folder: Path, work: Path, *command: str) -> subprocess.CompletedProcess[str]:
    mount = work / "mount"
    mount.mkdir(exist_ok=True)
    unshare = shutil.which("unshare")
    if (
        unshare is None
        or subprocess.run([unshare, "-m", "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("mount namespaces are not allowed here")
    words = [unshare, "-m", "sh", "-c", _MOUNTED, "sh", str(mount), str(folder), str(work)]
    return subprocess.run([*words, *command], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "command",
    [
        "resources list",
        "resources stats",
        "resources show merged",
        "resources history merged",
        "resources export - --format csv",
        "db check",
        "db backup BACKUP",
    ],
)
def test_commands_work_on_a_read_only_mount(command: str, folder: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    words = command.replace("BACKUP", str(work / "backup.db")).split()
    done = _on_a_read_only_mount(
        folder, work, sys.executable, "-m", "venclient", *words, "--db", str(work / "mount" / "resources.db")
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.count("VEN-DBF-010") == 1
    assert [line for line in done.stderr.splitlines() if "VEN-REG-" not in line] == done.stderr.splitlines()[
        :1
    ]
    if "list" in command or "csv" in command:
        assert "in-the-log" in done.stdout


def test_tour_of_a_read_only_registry_reports_it_with_its_code(
    folder: Path, tmp_path: Path, root: Path
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    link = work / "config"
    link.symlink_to(work / "mount")
    done = _on_a_read_only_mount(folder, work, sys.executable, str(root / "demo_db_usage.py"))
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [line for line in done.stderr.splitlines() if "VEN-DBF-010" in line]
    assert len(done.stderr.splitlines()) == 1


def test_write_on_a_read_only_mount_fails_in_one_line(folder: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    database = str(work / "mount" / "resources.db")
    command = [sys.executable, "-m", "venclient", "resources", "set", "--all", "name=New", "--db", database]
    done = _on_a_read_only_mount(folder, work, *command)
    assert done.returncode != 0
    assert "VEN-DBF-013" in done.stderr
    assert "Traceback" not in done.stderr
