"""What the registry needs from a database, whichever it is: `SqliteLink` and `PostgresLink` give it.

A connection per call would cost thirty times a point query; one that threads share would mix their
transactions. So each thread that uses a link gets its own connection at its first call, and keeps it
until `close()` (or until the thread has ended and another one begins).
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy.engine import Dialect

from venclient.errors import InvalidRecord, RegistryError
from venclient.messages import registry as reg

T = TypeVar("T")

BUSY_TIMEOUT_MS = 5_000


class Cursor(Protocol):
    """The part of a DB-API cursor that both drivers have."""

    @property
    def rowcount(self) -> int:
        """How many rows the statement changed."""
        ...

    def fetchone(self) -> Any:
        """Return the next row, None after the last."""
        ...

    def fetchall(self) -> list[Any]:
        """Return the remaining rows."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """Return an iterator over the rows."""
        ...


class DbConnection(Protocol):
    """The part of a DB-API connection that both drivers have.

    Values go into the SQL where the driver wants them: `?` for SQLite, `%s` for PostgreSQL.
    """

    @property
    def IntegrityError(self) -> type[Exception]:  # noqa: N802 - DB-API's name
        """What is raised when a row breaks a rule of the schema."""
        ...

    def execute(self, sql: str, values: Sequence[Any] = ..., /) -> Cursor:
        """Run one statement."""
        ...

    def executemany(self, sql: str, values: Iterable[Sequence[Any]], /) -> Any:
        """Run one statement for each tuple of values."""
        ...

    def cursor(self) -> Any:
        """Return a cursor."""
        ...

    def commit(self) -> None:
        """Keep what was done."""
        ...

    def rollback(self) -> None:
        """Undo what was done since the last commit."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


def unfit(error: UnicodeEncodeError | OverflowError, name: str) -> InvalidRecord:
    """Return the venclient error for a driver's error about a value that no database can hold."""
    if isinstance(error, UnicodeEncodeError):
        return InvalidRecord(reg.NOT_A_CHARACTER(code=ord(error.object[error.start])), subject=name)
    return InvalidRecord(reg.NUMBER_TOO_LARGE(), subject=name)


class RowRefused(Exception):
    """The row at `at` (from 0) of many breaks a rule; `taken` when a unique value exists already."""

    def __init__(self, what: str, *, at: int, taken: bool) -> None:
        super().__init__(what)
        self.at = at
        self.taken = taken


class Link(Protocol):
    """The way to one database; `name` is how errors call it, without any secret."""

    name: str

    @property
    def dialect(self) -> Dialect:
        """Return the dialect that statements are compiled for."""
        ...

    @property
    def refused(self) -> type[Exception]:
        """Return the exception that the driver raises when a row breaks a rule of the schema."""
        ...

    def driver(self) -> DbConnection:
        """Return this thread's connection, opened at its first call; RegistryError after `close()`."""
        ...

    def rows(self, sql: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        """Return all rows of a query, as tuples."""
        ...

    def made(
        self, sql: str, values: tuple[object, ...], make: Callable[[tuple[object, ...]], T | None]
    ) -> list[T]:
        """Return what `make` makes of each row of a query, without the rows that it makes None of."""
        ...

    def insert_rows(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run an insert for each row, inside a transaction; RowRefused says which one breaks a rule."""
        ...

    def insert_columns(self, sql: str, columns: Sequence[Sequence[Any]]) -> None:
        """Run an insert for each row, like `insert_rows`, with the values by column."""
        ...

    def new_connection_ids(self, count: int) -> Sequence[int]:
        """Reserve ids for `count` new connections and return them in ascending order."""
        ...

    def filling(self) -> AbstractContextManager[None]:
        """Put off, for many inserts into an empty registry, what can be done at once at their end.

        For use inside a transaction, which an error is to undo.
        """
        ...

    def transaction(self) -> AbstractContextManager[DbConnection]:
        """Return this thread's connection inside a transaction that is committed or rolled back as a whole.

        One transaction writes at a time, whichever program it is in: what is read inside stays true until
        its end. Inside another one it is a savepoint of that.
        """
        ...

    def rehearsing(self) -> AbstractContextManager[None]:
        """Let this thread write inside where the database cannot be written: to a copy that is dropped."""
        ...

    def borrowed(self) -> AbstractContextManager[DbConnection]:
        """Return this thread's connection with rows by name, committed on success, else rolled back."""
        ...

    def close(self) -> None:
        """Close the connections of all threads; safe to call twice."""
        ...


class Closable(Protocol):
    """Something that can be closed."""

    def close(self) -> None:
        """Close it."""
        ...


D = TypeVar("D", bound=Closable)


class PerThread(Generic[D]):
    """A connection for each thread, opened by `open_one`; `close()` closes those of all threads."""

    def __init__(self, name: str, open_one: Callable[[], D]) -> None:
        self.name = name
        self._open_one = open_one
        self._local = threading.local()
        self._drivers: list[tuple[weakref.ref[threading.Thread], D]] = []
        self._lock = threading.Lock()
        self._closed = False
        # A program that forgets to close leaves no open connection behind.
        self._finalizer = weakref.finalize(self, _close_all, self._drivers)

    def driver(self) -> D:
        """Return this thread's connection, opened at its first call; RegistryError after `close()`."""
        self._refuse_closed()
        held: D | None = getattr(self._local, "driver", None)
        if held is None:
            held = self._open_one()
            with self._lock:
                try:
                    self._refuse_closed()
                except RegistryError:  # by another thread, meanwhile
                    held.close()
                    raise
                ended = [entry for entry in self._drivers if not _is_alive(entry[0])]
                for entry in ended:
                    self._drivers.remove(entry)
                    entry[1].close()
                self._drivers.append((weakref.ref(threading.current_thread()), held))
            self._local.driver = held
        return held

    def forget(self) -> None:
        """Close this thread's connection, which is of no use any more; the next call opens another."""
        held: D | None = getattr(self._local, "driver", None)
        if held is not None:
            self._local.driver = None
            with self._lock:
                self._drivers[:] = [entry for entry in self._drivers if entry[1] is not held]
            held.close()

    def close(self) -> None:
        """Close the connections of all threads; safe to call twice."""
        with self._lock:
            self._closed = True
            self._finalizer()

    def rehearsing(self) -> AbstractContextManager[None]:
        """Do nothing: the database can be written, and the caller undoes what it writes."""
        return nullcontext()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise RegistryError(reg.CLOSED(), subject=self.name)


def _is_alive(reference: weakref.ref[threading.Thread]) -> bool:
    thread = reference()
    return thread is not None and thread.is_alive()


def _close_all(drivers: list[tuple[weakref.ref[threading.Thread], Any]]) -> None:
    for _, driver in drivers:
        driver.close()
    drivers.clear()
