"""Unusable database files, or a full disk: a sentence says what and where, and nothing is lost."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.peers import missing
from tests.registry.objects import make_connection, make_old_file, make_resource
from venclient.errors import ConfigError, RegistryError
from venclient.messages import code_of
from venclient.registry.backup import back_up
from venclient.registry.database import ResourceDatabase
from venclient.registry.inspection import inspect


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """Mount a file system with little room; skip where that is not allowed."""
    folder.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        missing("mounting a small file system takes root")
    options = ["-t", "tmpfs", "-o", f"size={kilobytes}k"]
    done = subprocess.run(
        [mount, *options, "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        missing(f"a small file system cannot be mounted here ({done.stderr.strip()})")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def make_database(path: Path, count: int = 3) -> None:
    """Make a database with `count` resources."""
    with ResourceDatabase(path) as db:
        db.bulk_upsert(make_resource(f"r-{number:04}", address="x" * 500) for number in range(count))


def test_new_file_is_the_owners_alone(tmp_path: Path) -> None:
    """File, log and shared memory are made with mode 0600, whatever the umask."""
    path = tmp_path / "new" / "resources.db"
    before = os.umask(0)
    try:
        with ResourceDatabase(path) as db:
            db.upsert_resource(make_resource())
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)

    assert set(modes.values()) == {0o600}
    assert {"resources.db", "resources.db.key", "resources.db-wal"} <= modes.keys()


def test_folder_is_no_database(tmp_path: Path) -> None:
    """A folder is named as one, and stays empty."""
    with pytest.raises(RegistryError, match="VEN-DBF-080"):
        ResourceDatabase(tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [50, 3000, 20_000])
def test_truncated_file_is_said(tmp_path: Path, size: int) -> None:
    """A file that was cut short is reported as damaged or as not a database; it is left as it is."""
    path = tmp_path / "cut.db"
    make_database(path, 200)
    os.truncate(path, size)
    content = path.read_bytes()

    with (
        pytest.raises(RegistryError, match=r"cut\.db: .*(VEN-DBF-042|VEN-DBF-041)"),
        ResourceDatabase(path) as db,
    ):
        db.get_all_resources()

    assert path.read_bytes()[100:] == content[100:]


def test_corrupt_page_is_said_and_the_rest_told(tmp_path: Path) -> None:
    """A page that was overwritten is found by the check, which says how many rows can still be read."""
    path = tmp_path / "bad.db"
    make_database(path, 300)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 8192] = b"\xff" * 8192
    path.write_bytes(content)

    found = inspect(path)

    assert code_of(found.damage[0]) == "VEN-DBF-083"
    assert 200 < found.readable["resources"] <= 300
    assert code_of(found.damage[-1]) == "VEN-DBF-085"
    assert path.read_bytes() == content


def test_read_only_medium_is_said(tmp_path: Path) -> None:
    """Where nothing can be written the file is read, and a new one is refused."""
    with small_disk(tmp_path / "disk", 2000) as disk:
        path = disk / "resources.db"
        make_database(path)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)

        with ResourceDatabase(path) as db:
            assert db.count() == 3
        with pytest.raises(RegistryError, match=r"new\.db: .*VEN-DBF-017"):
            ResourceDatabase(disk / "new.db")
        assert (inspect(path).resources, inspect(path).problems) == (3, [])
        copy = back_up(path, tmp_path / "copy.db").copy
        assert copy.resources == 3


def test_full_disk_keeps_what_was_stored(tmp_path: Path) -> None:
    """A write that finds no room is undone whole and says so; all that was there before is there."""
    with small_disk(tmp_path / "disk", 600) as disk:
        path = disk / "resources.db"
        make_database(path, 20)
        with ResourceDatabase(path) as db:
            with pytest.raises(RegistryError, match=r"resources\.db: .*VEN-DBF-043"):
                db.bulk_upsert(make_resource(f"s-{n}", address="y" * 900) for n in range(2000))
            assert db.count() == 20

        found = inspect(path)
        assert (found.resources, found.problems) == (20, [])
        with ResourceDatabase(path) as db:
            assert db.delete_resource("r-0000")
            assert db.count() == 19


def test_full_disk_lets_no_upgrade_begin(tmp_path: Path) -> None:
    """An old file whose copy finds no room stays old, with every row, and no half copy is left.

    Its rows can be read, and a write says that the disk is full.
    """
    with small_disk(tmp_path / "disk", 400) as disk:
        path = disk / "old.db"
        make_old_file(path)
        with closing(sqlite3.connect(path)) as old:
            old.execute("UPDATE resources SET address = ?", ("z" * 70_000,))
            old.commit()

        with ResourceDatabase(path) as db:
            assert db.count() == 3
            with pytest.raises(RegistryError, match="VEN-DBF-043"):
                db.insert_connection(make_connection())

        assert not list(disk.glob("*.bak"))
        assert not list(disk.glob(".*.part"))
        with closing(sqlite3.connect(path)) as old:
            assert old.execute("SELECT count(*) FROM resources").fetchone() == (3,)
            assert len(old.execute("PRAGMA table_info(resources)").fetchall()) == 15


def test_full_disk_makes_no_half_key(tmp_path: Path) -> None:
    """A key that finds no room is not left half written: the login is refused, and can be stored later."""
    with small_disk(tmp_path / "disk", 40) as disk:
        fill = disk / "fill"
        path = tmp_path / "resources.db"
        with ResourceDatabase(path, key_file=disk / "some.key") as db:
            with fill.open("wb", buffering=0) as file:
                while file.write(b"x" * 4096) == 4096 and shutil.disk_usage(disk).free:
                    pass
            with pytest.raises(ConfigError, match=r"some\.key.*VEN-SEC-004"):
                db.upsert_resource(make_resource())
            assert [one.name for one in disk.iterdir()] == ["fill"]
            fill.unlink()
            assert db.upsert_resource(make_resource()) == "created"
