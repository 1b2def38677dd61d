"""The way to one SQLite file: a connection per thread, kept open, and transactions that nest."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from errno import EROFS
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect

from venclient.errors import Conflict, RegistryError
from venclient.messages import registry as reg
from venclient.messages import registry_files as dbf
from venclient.read_only import Readable
from venclient.registry.checkpoints import Checkpoints
from venclient.registry.collector import collector_paused
from venclient.registry.foreign_objects import guard
from venclient.registry.link import BUSY_TIMEOUT_MS, PerThread, unfit
from venclient.registry.sqlite_functions import register
from venclient.registry.sqlite_inserts import insert_columns
from venclient.sqlite_file import has_room

T = TypeVar("T")


#: So many time-outs are waited through while others come and go.
MOST_TIMEOUTS = 12

#: In KiB, negated. Ids come in no order: where the index of them does not fit, pages go out and in again.
_CACHE, _FILLING_CACHE = -8000, -32000
#: Of idx_connection_id the entries come in its order, and bulk inserts look things up in it.
_MADE_AT_THE_END = {
    "SELECT 1 FROM resources LIMIT 1": (
        "idx_resource_id",
        "idx_meter_point_id",
        "idx_resource_type",
        "idx_ven",
    ),
    "SELECT 1 FROM changes LIMIT 1": ("idx_changes_subject",),
}


def open_readable(found: Readable) -> sqlite3.Connection:
    """Return a connection to a file that can only be read; RegistryError says why it cannot be opened."""
    try:
        driver = sqlite3.connect(
            found.uri, uri=True, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        register(driver)
        driver.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        driver.execute(f"PRAGMA cache_size = {_CACHE}")
    except sqlite3.Error as error:
        raise said(error, found.path) from error
    return driver


def open_driver(path: Path) -> sqlite3.Connection:
    """Return a connection that begins no transaction by itself; creates the file, mode 0600, and its folder.

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
        register(driver)
        # Another program's write is waited for, not reported.
        driver.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        # SQLite checks references only when asked: no resource may point at a connection that is gone.
        driver.execute("PRAGMA foreign_keys = ON")
        # 8 MB, as the specification has it for a Raspberry Pi: the whole registry of a site stays in memory.
        driver.execute(f"PRAGMA cache_size = {_CACHE}")
        if driver.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            # Readers go on while one writes. Whoever opens the file at the same moment asks for the same.
            with _busy_ignored():
                driver.execute("PRAGMA journal_mode = WAL")
        # Each transaction brings the file up to date when it is done, which makes a plain copy of it a
        # backup, as the specification has it; but only while no other program can write: see checkpoints.py.
        driver.execute("PRAGMA wal_autocheckpoint = 0")
        # A large import must not leave a log of its size on the card.
        driver.execute("PRAGMA journal_size_limit = 8000000")
        # What INSERT OR REPLACE throws out counts as deleted: the record of changes refuses that too.
        driver.execute("PRAGMA recursive_triggers = ON")
        # A password that was replaced must not be found in the file's unused space.
        driver.execute("PRAGMA secure_delete = ON")
        # Functions that the file's own views and indexes call must be harmless ones.
        driver.execute("PRAGMA trusted_schema = OFF")
        guard(driver)
    except sqlite3.Error as error:
        driver.close()
        raise said(error, path) from error
    return driver


@contextmanager
def decoded() -> Iterator[None]:
    """Turn the error of a damaged schema, whose text the driver cannot decode, into one of the driver's."""
    try:
        yield
    except UnicodeDecodeError as error:
        failure = sqlite3.DatabaseError(dbf.SCHEMA_NOT_UTF8())
        failure.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise failure from error


def lets_others_in(path: Path) -> str:
    """Return a message when others than its owner may read or write a file, else an empty text."""
    mode = path.stat().st_mode & 0o777
    if not mode & 0o066:
        return ""
    text = reg.FILE_IS_SHARED(mode=mode, path=path)
    return text.within(after=f"; {text.hint}")


@contextmanager
def _busy_ignored() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise


def said(error: Exception, path: Path) -> RegistryError:
    """Return an error of the driver or the operating system as one of venclient's, with what to do."""
    subject = str(path)
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        read_only = error.errno == EROFS
        return RegistryError(
            dbf.READ_ONLY_PLACE() if read_only else dbf.CANNOT_CREATE(reason=reason), subject=subject
        )
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    what = {
        sqlite3.SQLITE_BUSY: dbf.BUSY(seconds=BUSY_TIMEOUT_MS // 1000),
        sqlite3.SQLITE_NOTADB: dbf.NOT_SQLITE(),
        sqlite3.SQLITE_CORRUPT: dbf.DAMAGED(problem=error),
        sqlite3.SQLITE_FULL: dbf.DISK_FULL(),
        sqlite3.SQLITE_READONLY: dbf.CANNOT_WRITE(),
        sqlite3.SQLITE_AUTH: dbf.TRIGGER_REFUSED(),
    }.get(code, dbf.SQLITE_REFUSED(problem=error))
    if isinstance(error, sqlite3.IntegrityError):
        return Conflict(dbf.ROW_CONFLICT(problem=error), subject=subject)
    return RegistryError(what, subject=subject, transient=code == sqlite3.SQLITE_BUSY)


class SqliteLink(PerThread[sqlite3.Connection]):
    """Connections to one file, one per thread; `close()` ends those of all threads."""

    refused = sqlite3.IntegrityError

    def __init__(self, path: Path, found: Readable | None = None) -> None:
        """Link to the file at `path`; `found` says how to read one that cannot be written."""
        super().__init__(
            str(path), partial(open_driver, path) if found is None else partial(open_readable, found)
        )
        self.path = path
        self.found = found
        self._checkpoints = Checkpoints(path)

    @property
    def dialect(self) -> Dialect:
        """Return SQLite's dialect, the same object each time."""
        return _dialect()

    def rows(self, sql: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        """Return all rows of a query, as tuples, whatever row factory the connection has now."""
        return self._made(sql, values, lambda row: row)

    def made(
        self, sql: str, values: tuple[object, ...], make: Callable[[tuple[object, ...]], T | None]
    ) -> list[T]:
        """Return what `make` makes of each row of a query, without the rows that it makes None of.

        For many rows, which are not gathered before: that would take as much memory again. `make` may see
        a row twice.
        """
        with collector_paused():
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
        except (UnicodeEncodeError, OverflowError) as error:
            raise unfit(error, self.name) from None
        # Not SQLite but the driver failed: text that is not UTF-8. One such cell must not hide the rest.
        driver.text_factory = _decoded
        try:
            return [one for row in cursor.execute(sql, values) if (one := make(row)) is not None]
        except sqlite3.Error as error:
            raise said(error, self.path) from error
        finally:
            driver.text_factory = str

    def new_connection_ids(self, count: int) -> Sequence[int]:
        """Return the ids that the next new connections get, valid for the rest of the transaction."""
        found = self.rows("SELECT seq FROM sqlite_sequence WHERE name = 'connections'")
        first = int(str(found[0][0])) + 1 if found else 1
        return range(first, first + count)

    def insert_rows(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run an insert for each row, inside a transaction; RowRefused says which one breaks a rule."""
        insert_columns(self.driver(), sql, list(zip(*rows, strict=True)))

    def insert_columns(self, sql: str, columns: Sequence[Sequence[Any]]) -> None:
        """Run an insert for each row, like `insert_rows`, with the values by column."""
        insert_columns(self.driver(), sql, columns)

    @contextmanager
    def filling(self) -> Iterator[None]:
        """Make the indexes of tables that are empty now at the end, which is faster than row by row.

        For use inside a transaction, which an error is to undo: it brings the indexes back.
        """
        driver = self.driver()
        wanted = []
        for question, names in _MADE_AT_THE_END.items():
            if not self.rows(question):
                indexes = self.rows("SELECT name, sql FROM sqlite_master WHERE type = 'index'")
                wanted += [(str(name), str(sql)) for name, sql in indexes if name in names]
        dropped = []
        # A query that is not read to its end keeps SQLite from dropping any: then they stay.
        with _busy_ignored():
            for name, sql in wanted:
                driver.execute(f"DROP INDEX {name}")
                dropped.append(sql)
        driver.execute(f"PRAGMA cache_size = {_FILLING_CACHE}")
        try:
            yield
        except BaseException:
            if driver.in_transaction:  # which is undone
                dropped = []
            raise
        finally:
            for sql in dropped:
                driver.execute(sql)
            driver.execute(f"PRAGMA cache_size = {_CACHE}")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Return this thread's connection inside a transaction that is committed or rolled back as a whole.

        Inside another one it is a savepoint of that. Errors of SQLite become errors of venclient.
        """
        if self.found is not None and not self._rehearses:
            refused = dbf.CANNOT_WRITE() if has_room(self.path) else dbf.DISK_FULL()
            raise RegistryError(refused, subject=self.name)
        try:
            with self._scope() as driver:
                yield driver
        except sqlite3.Error as error:
            raise said(error, self.path) from error
        except (UnicodeEncodeError, OverflowError) as error:
            raise unfit(error, self.name) from None

    @property
    def _rehearses(self) -> bool:
        """Return whether this thread writes to a temporary copy."""
        return getattr(self._local, "rehearses", False)

    @contextmanager
    def rehearsing(self) -> Iterator[None]:
        """Let this thread write to a temporary copy inside, if the file itself cannot be written.

        The copy is gone afterwards. RegistryError when it cannot be made.
        """
        if self.found is None or self._rehearses:
            yield
            return
        held = self.driver()
        scratch = _scratch_of(held, self.name)
        self._local.driver, self._local.rehearses = scratch, True
        try:
            yield
        finally:
            self._local.driver, self._local.rehearses = held, False
            scratch.close()

    @contextmanager
    def borrowed(self) -> Iterator[sqlite3.Connection]:
        """Return this thread's connection as the first generation did: rows by name, commit on success.

        A transaction begins with the first statement that writes; an error undoes it and comes through.
        """
        driver = self.driver()
        factory = driver.row_factory
        driver.row_factory = sqlite3.Row
        try:
            if _is_borrowed(driver):  # inside another one, which decides what becomes of all of it
                with self._scope():
                    yield driver
                return
            level = driver.isolation_level
            driver.isolation_level = "IMMEDIATE"
            before = driver.total_changes
            try:
                yield driver
                driver.commit()
            except BaseException:
                driver.rollback()
                raise
            finally:
                driver.isolation_level = level
                if driver.total_changes != before:
                    self._checkpoints.run()
        finally:
            driver.row_factory = factory

    @contextmanager
    def _scope(self) -> Iterator[sqlite3.Connection]:
        driver = self.driver()
        nested = _is_borrowed(driver)
        if nested and not driver.in_transaction:  # the first that writes inside `borrowed`, which ends it
            _begin(driver)
        if nested:
            driver.execute("SAVEPOINT part")
        else:
            _begin(driver)
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
        finally:
            if not nested:
                self._checkpoints.run()

    def close(self) -> None:
        """Close the connections of all threads; safe to call twice."""
        self._checkpoints.close()
        super().close()
        if self.found is not None:
            self.found.close()


def _scratch_of(driver: sqlite3.Connection, name: str) -> sqlite3.Connection:
    """Return a connection to a temporary copy, which SQLite deletes when it is closed."""
    scratch = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    try:
        driver.backup(scratch)
        register(scratch)
        scratch.execute("PRAGMA foreign_keys = ON")
        scratch.execute("PRAGMA recursive_triggers = ON")
        guard(scratch)
    except sqlite3.Error as error:
        scratch.close()
        raise RegistryError(dbf.NO_REHEARSAL(reason=error), subject=name) from error
    return scratch


def _begin(driver: sqlite3.Connection) -> None:
    """Begin to write; "database is locked" only when one other writer never let go in a whole time-out.

    SQLite's waiting is not a queue: among several busy writers one can go short, although each of the
    others is quick.
    """
    seen = driver.execute("PRAGMA data_version").fetchone()[0]
    for _ in range(MOST_TIMEOUTS):
        try:
            driver.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            committed = driver.execute("PRAGMA data_version").fetchone()[0]
            if committed == seen:
                raise
            seen = committed
        else:
            return
    driver.execute("BEGIN IMMEDIATE")


def _is_borrowed(driver: sqlite3.Connection) -> bool:
    """Tell whether a transaction is under way, or will be at the first statement inside `borrowed`."""
    return driver.in_transaction or driver.isolation_level is not None


def _decoded(cell: bytes) -> str:
    return cell.decode("utf-8", "replace")


@cache
def _dialect() -> Dialect:
    return sqlite.dialect(paramstyle="qmark")
