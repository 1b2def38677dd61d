"""Checkpoints: the file is up to date after each transaction, and none of them meets another writer."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.registry.objects import make_resource
from venclient.registry import checkpoints
from venclient.registry.checkpoints import Checkpoints
from venclient.registry.database import ResourceDatabase
from venclient.registry.sqlite_link import SqliteLink


@pytest.fixture
def link(tmp_path: Path) -> Iterator[SqliteLink]:
    """Yield a link to a file with one table."""
    made = SqliteLink(tmp_path / "some.db")
    made.driver().execute("CREATE TABLE t (x INTEGER)")
    yield made
    made.close()


def copied_rows(path: Path) -> int:
    """Return the number of rows that a plain copy of the file has, without its log."""
    shutil.copy(path, f"{path}.copy")
    with closing(sqlite3.connect(f"{path}.copy")) as copy:
        return int(copy.execute("SELECT count(*) FROM t").fetchone()[0])


def test_plain_copy_has_all_that_was_committed(link: SqliteLink) -> None:
    """After each transaction, ours or a borrowed one, the file alone has everything."""
    with link.transaction() as driver:
        driver.execute("INSERT INTO t VALUES (1)")
    assert copied_rows(link.path) == 1

    with link.borrowed() as borrowed:
        borrowed.execute("INSERT INTO t VALUES (2)")
    assert copied_rows(link.path) == 2


def test_connections_never_checkpoint_by_themselves(link: SqliteLink) -> None:
    """SQLite's own checkpoints, which take no write lock, are off on every connection."""
    assert link.rows("PRAGMA wal_autocheckpoint") == [(0,)]
    with closing(Checkpoints(link.path)) as made:
        made.run()
        assert [one.execute("PRAGMA wal_autocheckpoint").fetchone() for one in made._pair] == [(0,), (0,)]


def test_no_checkpoint_while_another_writes(link: SqliteLink, monkeypatch: pytest.MonkeyPatch) -> None:
    """With another writer at work the file stays as it is; that writer's end brings both up to date."""
    monkeypatch.setattr(checkpoints, "_PATIENCE_S", 0.01)
    link.driver().execute("INSERT INTO t VALUES (1)")  # by itself: it waits in the log
    with closing(Checkpoints(link.path)) as made, closing(sqlite3.connect(link.path)) as other:
        other.execute("INSERT INTO t VALUES (2)")
        assert not made.run()
        other.commit()
        assert made.run()

    assert copied_rows(link.path) == 2


def test_nobody_can_write_during_a_checkpoint(link: SqliteLink, monkeypatch: pytest.MonkeyPatch) -> None:
    """The write lock is held from before a checkpoint until after it, so no log can restart in it."""
    refused: list[str] = []

    class Watched(sqlite3.Connection):
        def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
            if "wal_checkpoint" in sql:
                with closing(sqlite3.connect(link.path, timeout=0)) as other:
                    try:
                        other.execute("BEGIN IMMEDIATE")
                    except sqlite3.OperationalError as error:
                        refused.append(str(error))
            return super().execute(sql, *values)  # type: ignore[arg-type]

    monkeypatch.setattr(
        checkpoints, "_open", lambda path: sqlite3.connect(path, factory=Watched, isolation_level=None)
    )
    made = Checkpoints(link.path)
    link.driver().execute("INSERT INTO t VALUES (1)")

    assert made.run()
    made.close()

    assert refused == ["database is locked"]


def test_reader_keeps_the_rest_for_later(link: SqliteLink) -> None:
    """A reader that looks at an older moment delays the file, not the writer."""
    with closing(sqlite3.connect(link.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM t").fetchall()
        with link.transaction() as driver:
            driver.execute("INSERT INTO t VALUES (1)")
        with link.transaction() as driver:
            driver.execute("INSERT INTO t VALUES (2)")
        reader.execute("ROLLBACK")
    with closing(Checkpoints(link.path)) as made:
        assert made.run()

    assert copied_rows(link.path) == 2


def test_threads_write_at_once(tmp_path: Path) -> None:
    """Four threads that store at the same time lose nothing."""
    with ResourceDatabase(tmp_path / "some.db") as db:

        def store(name: str) -> None:
            for number in range(10):
                db.upsert_resource(make_resource(f"{name}-{number}"))

        threads = [threading.Thread(target=store, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert db.count() == 40


HAMMER = """
import sys
from venclient.model.resource import Connection, Resource
from venclient.registry.database import ResourceDatabase

path, name = sys.argv[1:]
with ResourceDatabase(path) as db:
    for number in range(120):
        meter = Connection("mqtt", "reader", "broker.example", topic="t" * 300)
        db.upsert_resource(Resource(f"{name}-{number}", "n" * 300, "DSR", None, "7", meter, {}, {}))
        if number % 3 == 2:
            db.delete_resource(f"{name}-{number - 1}")
"""


@pytest.mark.peer
def test_processes_that_write_at_once_leave_a_sound_file(tmp_path: Path) -> None:
    """Four programs that write as fast as they can lose no row and damage no page."""
    path = tmp_path / "some.db"
    ResourceDatabase(path).close()
    programs = [
        subprocess.Popen([sys.executable, "-c", HAMMER, str(path), name], stderr=subprocess.PIPE, text=True)
        for name in "abcd"
    ]
    errors = [program.communicate(timeout=240)[1] for program in programs]

    assert errors == [""] * 4
    with closing(sqlite3.connect(path)) as looked:
        assert looked.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert looked.execute("SELECT count(*) FROM resources").fetchone() == (320,)
    shutil.copy(path, tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT count(*) FROM resources").fetchone() == (320,)


WRITE_FOR_A_WHILE = """
import sqlite3, sys
driver = sqlite3.connect(sys.argv[1], isolation_level=None)
driver.execute("BEGIN IMMEDIATE")
print("writing", flush=True)
sys.stdin.readline()
driver.execute("COMMIT")
"""


@pytest.mark.peer
def test_other_process_that_writes_for_a_while_is_waited_for(tmp_path: Path) -> None:
    """A write that meets another program's goes through when that is done; "locked" is never said."""
    path = tmp_path / "some.db"
    with ResourceDatabase(path) as db:
        with subprocess.Popen(
            [sys.executable, "-c", WRITE_FOR_A_WHILE, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as other:
            assert other.stdout is not None
            assert other.stdin is not None
            assert other.stdout.readline() == "writing\n"
            release = threading.Timer(1.5, lambda: (other.stdin.write("\n"), other.stdin.flush()))  # type: ignore[union-attr]
            release.start()
            outcome = db.upsert_resource(make_resource())
            release.join()

        assert outcome == "created"
