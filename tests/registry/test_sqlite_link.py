"""The link to a file: transactions that nest, a connection per thread, and errors in words."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from venclient.errors import RegistryError
from venclient.registry import link as link_module
from venclient.registry.link import PerThread
from venclient.registry.sqlite_link import SqliteLink, _begin


@pytest.fixture
def link(tmp_path: Path) -> Iterator[SqliteLink]:
    """Yield a link to a file with one table."""
    made = SqliteLink(tmp_path / "some.db")
    made.driver().execute("CREATE TABLE t (x INTEGER)")
    yield made
    made.close()


def values(link: SqliteLink) -> list[object]:
    """Return what the table holds."""
    return [row[0] for row in link.rows("SELECT x FROM t ORDER BY x")]


def put(link: SqliteLink, value: int, error: Exception | None = None) -> None:
    """Store a value in a transaction, and then raise `error` if there is one."""
    with link.transaction() as driver:
        driver.execute("INSERT INTO t VALUES (?)", (value,))
        if error is not None:
            raise error


def test_inner_failure_undoes_the_inner_part_alone(link: SqliteLink) -> None:
    """What failed inside is undone; the transaction around it goes on and is kept."""
    with link.transaction():
        put(link, 1)
        with pytest.raises(RuntimeError):
            put(link, 2, RuntimeError())
        put(link, 3)

    assert values(link) == [1, 3]


def test_outer_failure_undoes_all(link: SqliteLink) -> None:
    """What an inner transaction kept goes with the outer one."""

    def both() -> None:
        with link.transaction():
            put(link, 1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        both()

    assert values(link) == []


def test_borrowed_inside_a_transaction_is_part_of_it(link: SqliteLink) -> None:
    """A borrowed connection does not commit a transaction that it is inside of."""

    def both() -> None:
        with link.transaction():
            with link.borrowed() as connection:
                connection.execute("INSERT INTO t VALUES (1)")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        both()

    assert values(link) == []


def test_borrowed_commit_in_the_middle_is_allowed(link: SqliteLink) -> None:
    """Programs that commit by themselves inside may: that part stays, whatever fails later."""

    def both() -> None:
        with link.borrowed() as connection:
            connection.execute("INSERT INTO t VALUES (1)")
            connection.commit()
            connection.execute("INSERT INTO t VALUES (2)")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        both()

    assert values(link) == [1]


def test_borrowed_connection_takes_the_specifications_pragmas(link: SqliteLink) -> None:
    """Programs that set WAL and cache size themselves go on working."""
    with link.borrowed() as connection:
        connection.execute("PRAGMA cache_size=-8000")
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()

    assert mode["journal_mode"] == "wal"


def test_pragmas_of_every_connection(link: SqliteLink) -> None:
    """Each connection waits for writers, checks references, caches 8 MB, and the file is in WAL mode."""
    found = [
        link.rows(f"PRAGMA {name}")[0][0]
        for name in ("busy_timeout", "foreign_keys", "cache_size", "journal_mode")
    ]

    assert found == [5000, 1, -8000, "wal"]


def test_threads_have_connections_of_their_own(link: SqliteLink) -> None:
    """Another thread does not see what this one has not committed, and its connection ends with it."""
    seen: list[object] = []
    with link.transaction() as driver:
        driver.execute("INSERT INTO t VALUES (1)")
        thread = threading.Thread(target=lambda: seen.extend([values(link), link.driver()]))
        thread.start()
        thread.join()
        mine = driver

    assert seen[0] == []
    assert seen[1] is not mine

    second = threading.Thread(target=link.driver)
    second.start()
    second.join()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        seen[1].execute("SELECT 1")  # type: ignore[attr-defined]


def test_locked_for_too_long_is_said(link: SqliteLink, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that waits in vain for another program says so, and that it may be tried again."""
    link.driver().execute("PRAGMA busy_timeout = 1")
    with closing(sqlite3.connect(link.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(RegistryError, match="VEN-DBF-040") as caught:
            put(link, 1)

    assert caught.value.transient


def test_damaged_file_is_said(tmp_path: Path) -> None:
    """A page that was overwritten is reported as damage, with the path."""
    path = tmp_path / "some.db"
    link = SqliteLink(path)
    link.driver().execute("CREATE TABLE t (x TEXT)")
    with link.transaction() as driver:
        driver.executemany("INSERT INTO t VALUES (?)", [("x" * 500,) for _ in range(100)])
    link.close()
    damaged = bytearray(path.read_bytes())
    damaged[4096:8192] = b"\xff" * 4096
    path.write_bytes(damaged)

    again = SqliteLink(path)
    with pytest.raises(RegistryError, match=r"some\.db: .*VEN-DBF-042"):
        again.rows("SELECT * FROM t")
    again.close()


def test_forgotten_link_leaves_no_open_file(tmp_path: Path) -> None:
    """A link that was never closed closes its connections when it is collected."""
    link = SqliteLink(tmp_path / "some.db")
    driver = link.driver()

    del link

    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        driver.execute("SELECT 1")


def test_full_disk_is_said(tmp_path: Path) -> None:
    """A file that may not grow stands for a full disk: nothing is stored, and what was there stays."""
    link = SqliteLink(tmp_path / "some.db")
    link.driver().execute("CREATE TABLE t (x TEXT)")
    link.driver().execute("INSERT INTO t VALUES ('kept')")
    link.driver().execute("PRAGMA max_page_count = 2")

    def fill() -> None:
        with link.transaction() as driver:
            driver.executemany("INSERT INTO t VALUES (?)", [("x" * 2000,) for _ in range(10)])

    with pytest.raises(RegistryError, match="VEN-DBF-043"):
        fill()

    assert link.rows("SELECT x FROM t") == [("kept",)]
    link.close()


def test_constants_match_what_is_promised() -> None:
    """Another program's write of under five seconds is waited for."""
    assert link_module.BUSY_TIMEOUT_MS == 5_000


def test_a_connection_that_opens_while_all_are_closed_is_closed_too(tmp_path: Path) -> None:
    """What another thread closes in the middle of opening leaves no open connection behind."""
    opened: list[sqlite3.Connection] = []

    def open_one() -> sqlite3.Connection:
        opened.append(sqlite3.connect(tmp_path / "x.db"))
        made.close()
        return opened[0]

    made = PerThread("x.db", open_one)

    with pytest.raises(RegistryError, match="VEN-REG-192"):
        made.driver()
    with pytest.raises(sqlite3.ProgrammingError):
        opened[0].execute("SELECT 1")


class Contested:
    """Stands in for a driver whose writers come and go: busy `times` times, a commit of others each time."""

    def __init__(self, times: int, *, others_commit: bool) -> None:
        self.left = times
        self.version = 1
        self.others_commit = others_commit
        self.begun = False

    def execute(self, statement: str) -> Contested:
        """Answer as SQLite does."""
        if statement == "BEGIN IMMEDIATE":
            if self.left:
                self.left -= 1
                self.version += self.others_commit
                error = sqlite3.OperationalError("database is locked")
                error.sqlite_errorcode = sqlite3.SQLITE_BUSY
                raise error
            self.begun = True
        return self

    def fetchone(self) -> tuple[int]:
        """Return the data version."""
        return (self.version,)


def test_who_goes_short_among_quick_writers_waits_on() -> None:
    """Others that commit in between are waited for again; one that holds on for a time-out is not."""
    among = Contested(3, others_commit=True)
    _begin(among)  # type: ignore[arg-type]
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        _begin(Contested(1, others_commit=False))  # type: ignore[arg-type]

    assert among.begun
