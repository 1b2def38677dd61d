"""Backups of a database in use, and putting one back."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.registry.objects import make_old_file, make_resource
from venclient.cli import app
from venclient.clock import ManualClock
from venclient.errors import ConfigError, Conflict, NotFound, RegistryError
from venclient.messages import code_of
from venclient.registry import copies
from venclient.registry.backup import back_up, restore
from venclient.registry.database import ResourceDatabase
from venclient.registry.rescue import rescue

NOON = datetime(2026, 5, 6, 12, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a database with three resources."""
    path = tmp_path / "resources.db"
    with ResourceDatabase(path) as db:
        db.bulk_upsert(make_resource(f"r-{number}") for number in range(3))
    return path


def ids_in(path: Path) -> list[str]:
    """Return the ids of all resources in a database."""
    with ResourceDatabase(path) as db:
        return [resource.resourceID for resource in db.get_all_resources()]


def test_backup_is_one_file_with_everything(path: Path, tmp_path: Path) -> None:
    """A backup of an open database is a single file for its owner, reported with its rows."""
    with ResourceDatabase(path) as db:
        made = back_up(path, tmp_path / "stick" / "copy.db")
        assert db.count() == 3

    assert (made.copy.resources, made.copy.connections, made.removed) == (3, 3, ())
    assert [file.name for file in (tmp_path / "stick").iterdir()] == ["copy.db"]
    assert made.copy.path.stat().st_mode & 0o777 == 0o600
    assert ids_in(made.copy.path) == ["r-0", "r-1", "r-2"]


def test_backup_has_a_name_of_its_own_and_old_ones_go(path: Path, tmp_path: Path) -> None:
    """Without a name the time is in it; `keep` leaves the newest of those, and touches no other file."""
    clock = ManualClock(NOON)
    stranger = tmp_path / "resources.db.backup"
    stranger.write_text("mine")

    names = [back_up(path, keep=2, clock=clock).copy.path.name for _ in range(5)]

    assert names[0] == "resources.db.backup-20260506T120000Z"
    left = sorted(file.name for file in tmp_path.glob("resources.db.backup*"))
    assert left == ["resources.db.backup", *sorted(names[-2:])]


def test_keep_needs_a_folder(path: Path, tmp_path: Path) -> None:
    """Rotation applies to names that we gave."""
    (tmp_path / "copy.db").touch()
    with pytest.raises(ConfigError, match="VEN-DBF-031"):
        back_up(path, tmp_path / "copy.db", keep=3)


def test_backup_to_a_folder_that_does_not_exist_is_refused(path: Path, tmp_path: Path) -> None:
    """A medium that is not mounted is reported; no file gets the name of its folder."""
    stick = tmp_path / "stick"

    with pytest.raises(ConfigError, match="VEN-DBF-092"):
        back_up(path, stick, keep=14)
    result = CliRunner().invoke(app, ["db", "backup", f"{stick}/", "--db", str(path)])

    assert code_of(result.exception) == "VEN-DBF-092"
    assert not stick.exists()


def test_backup_overwrites_nothing(path: Path, tmp_path: Path) -> None:
    """A file that is there stays."""
    (tmp_path / "copy.db").write_text("mine")

    with pytest.raises(Conflict, match="VEN-DBF-035"):
        back_up(path, tmp_path / "copy.db")

    assert (tmp_path / "copy.db").read_text() == "mine"


def test_backup_of_nothing_is_said(tmp_path: Path) -> None:
    """A database that is not there is not made."""
    with pytest.raises(NotFound, match="VEN-DBF-030"):
        back_up(tmp_path / "none.db")

    assert list(tmp_path.iterdir()) == []


def damage(path: Path) -> None:
    """Overwrite pages in the middle of a file that has many."""
    with ResourceDatabase(path) as db:
        db.bulk_upsert(make_resource(f"s-{number:04}", address="x" * 900) for number in range(400))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 3 * 4096] = b"\xff" * (3 * 4096)
    path.write_bytes(content)


def test_damaged_database_gives_no_backup(path: Path, tmp_path: Path) -> None:
    """A backup that would be damaged too is not kept, and the older ones stay."""
    good = back_up(path).copy.path
    damage(path)

    with pytest.raises(RegistryError, match=r"VEN-DBF-036|VEN-DBF-042"):
        back_up(path, tmp_path / "copy.db")

    assert not (tmp_path / "copy.db").exists()
    assert good.exists()
    assert [file.name for file in tmp_path.iterdir() if file.name.endswith(".part")] == []


def test_copy_with_other_rows_is_not_kept(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy is counted against the moment it was taken of."""
    counts = iter([(3, 3), (2, 3)])
    monkeypatch.setattr(copies, "count_rows", lambda driver: next(counts))

    with pytest.raises(RegistryError, match="VEN-DBF-037"):
        back_up(path, tmp_path / "copy.db")

    assert not (tmp_path / "copy.db").exists()


WRITER = """
import sys
from venclient.model.resource import Connection, Resource
from venclient.registry.database import ResourceDatabase

with ResourceDatabase(sys.argv[1]) as db:
    number = 0
    while True:
        meter = Connection("mqtt", "reader", "broker.example", topic="t")
        # Two that belong together: a backup has both or none.
        ids = [f"w-{number}-{part}" for part in "ab"]
        db.bulk_upsert([Resource(one, "n", "DSR", None, "7", meter, {}, {}) for one in ids])
        if number == 0:
            print("writing", flush=True)
        number += 1
"""


@pytest.mark.peer
def test_backup_while_another_process_writes(path: Path, tmp_path: Path) -> None:
    """Each backup is one moment of a database that is written all the time."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"writing\n"
            made = [back_up(path, tmp_path / f"copy-{number}.db").copy for number in range(8)]
        finally:
            writer.kill()

    assert made[-1].resources > made[0].resources
    for copy in made:
        ids = ids_in(copy.path)
        assert len(ids) == copy.resources
        assert sorted(i[:-1] for i in ids if i.endswith("a")) == sorted(
            i[:-1] for i in ids if i.endswith("b")
        )


def test_restore_puts_back_and_keeps_what_was_there(path: Path, tmp_path: Path) -> None:
    """The backup's resources are there again; what was there before can be put back in turn."""
    backup = back_up(path).copy.path
    with ResourceDatabase(path) as db:
        db.upsert_resource(make_resource("later"))

    done = restore(backup, path, clock=ManualClock(NOON))

    assert ids_in(path) == ["r-0", "r-1", "r-2"]
    assert done.kept == tmp_path / "resources.db.replaced-20260506T120000Z"
    assert ids_in(done.kept) == ["r-0", "r-1", "r-2", "later"]
    assert backup.exists()
    assert path.stat().st_mode & 0o777 == 0o600
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".")]


def test_restore_where_nothing_was(path: Path, tmp_path: Path) -> None:
    """On a new machine there is nothing to keep."""
    done = restore(path, tmp_path / "elsewhere.db")

    assert done.kept is None
    assert ids_in(tmp_path / "elsewhere.db") == ["r-0", "r-1", "r-2"]


def test_restore_of_an_old_backup(path: Path, tmp_path: Path) -> None:
    """A backup of the first generation is put in place as it is, and upgraded when opened."""
    make_old_file(tmp_path / "old.db")

    assert restore(tmp_path / "old.db", path).version is None
    assert ids_in(path) == ["old-1", "old-2", "old-3"]


def test_restore_waits_for_nobody(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another has the database open nothing is replaced, and the error says what to stop."""
    backup = back_up(path).copy.path
    with ResourceDatabase(path) as db:
        db.upsert_resource(make_resource("later"))
        monkeypatch.setattr(copies, "BUSY_TIMEOUT_MS", 50)
        with pytest.raises(Conflict, match="VEN-DBF-034"):
            restore(backup, path)
        assert db.count() == 4

    assert len(ids_in(path)) == 4


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("damaged", "VEN-DBF-032"),
        ("foreign", "VEN-DBF-032"),
        ("newer", "VEN-DBF-032"),
        ("text", "VEN-DBF-041"),
    ],
)
def test_restore_refuses_what_is_no_backup(path: Path, tmp_path: Path, kind: str, code: str) -> None:
    """What is damaged, of another program, newer or no database is refused before anything is touched."""
    bad = tmp_path / "bad.db"
    if kind == "text":
        bad.write_text("title,address\n" * 500)
    elif kind == "damaged":
        damage(bad)
    else:
        with closing(sqlite3.connect(bad)) as made:
            made.execute("CREATE TABLE alembic_version (version_num TEXT)")
            if kind == "newer":
                made.execute("INSERT INTO alembic_version VALUES ('9999')")
                made.commit()
    before = path.read_bytes()

    with pytest.raises(RegistryError, match=code) as caught:
        restore(bad, path)

    assert caught.value.subject == str(bad)

    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.glob("*replaced*")) == []


def test_restore_over_a_damaged_database(path: Path) -> None:
    """A file that cannot be read any more is kept all the same."""
    backup = back_up(path).copy.path
    damage(path)
    content = path.read_bytes()

    done = restore(backup, path)

    assert ids_in(path) == ["r-0", "r-1", "r-2"]
    assert done.kept is not None
    assert len(done.kept.read_bytes()) == len(content)


def test_restore_over_what_is_no_database(path: Path, tmp_path: Path) -> None:
    """Text in the database's place is kept, and a log of who knows what beside it spoils nothing."""
    place = tmp_path / "elsewhere.db"
    place.write_text("title,address\n" * 500)
    Path(f"{place}-wal").write_text("old log")

    done = restore(path, place)

    assert ids_in(place) == ["r-0", "r-1", "r-2"]
    assert done.kept is not None
    assert done.kept.read_text().startswith("title,")


def test_database_is_no_backup_of_itself(path: Path) -> None:
    """Restoring a database over itself is refused."""
    with pytest.raises(Conflict, match="VEN-DBF-033"):
        restore(path, path)


def test_rescue_that_fails_leaves_nothing_behind(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the new file cannot be filled it goes again, and is what the error names."""

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("venclient.registry.rescue._saved", full)
    before = set(tmp_path.iterdir())

    with pytest.raises(RegistryError) as caught:
        rescue(path, tmp_path / "saved.db")

    assert caught.value.subject == str(tmp_path / "saved.db")
    assert {one for one in tmp_path.iterdir() if one.name.startswith("saved")} == set()
    assert before <= set(tmp_path.iterdir())


def test_rescue_saves_what_can_be_read(path: Path, tmp_path: Path) -> None:
    """Of a damaged file most resources are saved into a new, sound one; the damaged file stays as it is."""
    damage(path)
    before = path.read_bytes()

    saved = rescue(path, tmp_path / "saved.db")

    assert path.read_bytes() == before
    assert 300 < saved["resources"] <= 403
    with closing(sqlite3.connect(tmp_path / "saved.db")) as looked:
        assert looked.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert looked.execute("SELECT count(*) FROM resources").fetchone() == (saved["resources"],)
    with pytest.raises(Conflict, match="VEN-DBF-035"):
        rescue(path, tmp_path / "saved.db")
