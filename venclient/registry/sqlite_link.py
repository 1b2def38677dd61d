"""The way to one SQLite file: a connection per thread, kept open, and transactions that nest.

A connection per call would cost thirty times a point query; one that threads share would mix their
transactions. So each thread that uses a `SqliteLink` gets a connection of its own at its first call,
and keeps it until `close()` (or until the thread has ended and another one begins).
"""

from __future__ import annotations

import gc
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from venclient.errors import Conflict, RegistryError

T = TypeVar("T")

BUSY_TIMEOUT_MS = 5_000

Drivers = list[tuple["weakref.ref[threading.Thread]", sqlite3.Connection]]


def open_driver(path: Path) -> sqlite3.Connection:
    """Give a connection that begins no transaction by itself; the file, mode 0600, and its folder are made.

    RegistryError says why it cannot be opened.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The file may hold passwords: it must never exist with the mode that umask would give it.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        driver = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    except (OSError, sqlite3.Error) as error:
        raise said(error, path) from error
    try:
        # Another program's write is waited for, not reported.
        driver.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        # SQLite checks references only when asked: no resource may point at a connection that is gone.
        driver.execute("PRAGMA foreign_keys = ON")
        # 8 MB, as the specification has it for a Raspberry Pi: the whole registry of a site stays in memory.
        driver.execute("PRAGMA cache_size = -8000")
        if driver.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            # Readers go on while one writes. Whoever opens the file at the same moment asks for the same.
            with _busy_ignored():
                driver.execute("PRAGMA journal_mode = WAL")
        # The backup that the specification has is a plain copy of the file: what is committed must be in
        # it, not in the log beside it. Registries are written seldom, so the second write costs little.
        driver.execute("PRAGMA wal_autocheckpoint = 1")
    except sqlite3.Error as error:
        driver.close()
        raise said(error, path) from error
    return driver


@contextmanager
def _busy_ignored() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise


def said(error: Exception, path: Path) -> RegistryError:
    """Give what the driver or the operating system said as an error of ours, with what to do."""
    subject = str(path)
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        return RegistryError(
            f"cannot be opened ({reason})", subject=subject, hint="check the path and who may write there"
        )
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    what, hint, transient = {
        sqlite3.SQLITE_BUSY: (
            f"another program has been writing for over {BUSY_TIMEOUT_MS // 1000} s",
            "try again when it is done",
            True,
        ),
        sqlite3.SQLITE_NOTADB: ("is not a SQLite database", "name the resource database", False),
        sqlite3.SQLITE_CORRUPT: (
            f"is damaged ({error})",
            "put a copy of it back; what can still be read stays readable",
            False,
        ),
        sqlite3.SQLITE_FULL: ("the disk is full; nothing was stored", "make room", False),
        sqlite3.SQLITE_READONLY: ("cannot be written", "check the file's owner and mode", False),
    }.get(code, (f"SQLite refused ({error})", "", False))
    if isinstance(error, sqlite3.IntegrityError):
        return Conflict(f"is already there, or refers to what is not ({error})", subject=subject)
    return RegistryError(what, subject=subject, hint=hint, transient=transient)


class SqliteLink:
    """Connections to one file, one per thread; `close()` ends those of all threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._drivers: Drivers = []
        self._lock = threading.Lock()
        self._closed = False
        # A program that forgets to close leaves no open file behind.
        self._finalizer = weakref.finalize(self, _close_all, self._drivers)

    def driver(self) -> sqlite3.Connection:
        """Give this thread's connection, opened at its first call; RegistryError after `close()`."""
        if self._closed:
            raise RegistryError("is closed", subject=str(self.path), hint="open another ResourceDatabase")
        held: sqlite3.Connection | None = getattr(self._local, "driver", None)
        if held is None:
            held = open_driver(self.path)
            with self._lock:
                ended = [entry for entry in self._drivers if not _is_alive(entry[0])]
                for entry in ended:
                    self._drivers.remove(entry)
                    entry[1].close()
                self._drivers.append((weakref.ref(threading.current_thread()), held))
            self._local.driver = held
        return held

    def rows(self, sql: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        """Give all rows of a query, as tuples, whatever row factory the connection has now."""
        return self._made(sql, values, lambda row: row)

    def made(
        self, sql: str, values: tuple[object, ...], make: Callable[[tuple[object, ...]], T | None]
    ) -> list[T]:
        """Give what `make` makes of each row of a query, without the rows that it makes None of.

        For many rows, which are not gathered before: that would take as much memory again. `make` may see
        a row twice.
        """
        with _collector_paused():
            return self._made(sql, values, make)

    def _made(
        self, sql: str, values: tuple[object, ...], make: Callable[[tuple[object, ...]], T | None]
    ) -> list[T]:
        driver = self.driver()
        cursor = driver.cursor()
        cursor.row_factory = None
        try:
            return [one for row in cursor.execute(sql, values) if (one := make(row)) is not None]
        except sqlite3.Error as error:
            if hasattr(error, "sqlite_errorcode"):
                raise said(error, self.path) from error
        # Not SQLite but the driver failed: text that is not UTF-8. One such cell must not hide the rest.
        driver.text_factory = _decoded
        try:
            return [one for row in cursor.execute(sql, values) if (one := make(row)) is not None]
        finally:
            driver.text_factory = str

    def next_connection_id(self) -> int:
        """Give the id that the next new connection gets; it stays so for the rest of the transaction."""
        found = self.rows("SELECT seq FROM sqlite_sequence WHERE name = 'connections'")
        return int(str(found[0][0])) + 1 if found else 1

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give this thread's connection inside a transaction that is kept whole or undone whole.

        Inside another one it is a savepoint of that. What SQLite refuses becomes an error of ours.
        """
        try:
            with self._scope() as driver:
                yield driver
        except sqlite3.Error as error:
            raise said(error, self.path) from error

    @contextmanager
    def borrowed(self) -> Iterator[sqlite3.Connection]:
        """Give this thread's connection as the first generation knew it: rows by name, commit on success.

        A transaction begins with the first statement that writes; an error undoes it and comes through.
        """
        driver = self.driver()
        factory = driver.row_factory
        driver.row_factory = sqlite3.Row
        try:
            if driver.in_transaction:  # inside another one, which decides what becomes of all of it
                with self._scope():
                    yield driver
                return
            level = driver.isolation_level
            driver.isolation_level = "IMMEDIATE"
            try:
                yield driver
                driver.commit()
            except BaseException:
                driver.rollback()
                raise
            finally:
                driver.isolation_level = level
        finally:
            driver.row_factory = factory

    @contextmanager
    def _scope(self) -> Iterator[sqlite3.Connection]:
        driver = self.driver()
        nested = driver.in_transaction
        driver.execute("SAVEPOINT part" if nested else "BEGIN IMMEDIATE")
        try:
            yield driver
            if driver.in_transaction:
                driver.execute("RELEASE part" if nested else "COMMIT")
        except BaseException:
            # The savepoint is gone when the statements in between ended the transaction themselves.
            with suppress(sqlite3.OperationalError):
                if nested and driver.in_transaction:
                    driver.execute("ROLLBACK TO part")
                    driver.execute("RELEASE part")
                elif driver.in_transaction:
                    driver.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the connections of all threads; safe to call twice."""
        self._closed = True
        self._finalizer()


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Pause the garbage collector: among objects that are all kept it finds nothing, at great length."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _is_alive(reference: weakref.ref[threading.Thread]) -> bool:
    thread = reference()
    return thread is not None and thread.is_alive()


def _close_all(drivers: Drivers) -> None:
    for _, driver in drivers:
        driver.close()
    drivers.clear()


def _decoded(cell: bytes) -> str:
    return cell.decode("utf-8", "replace")
