"""The way to one PostgreSQL database: what `SqliteLink` does for a file, with psycopg 3.

Imported only when a URL names such a database, since psycopg is an extra.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cache, partial
from typing import Any, TypeVar

import psycopg
from psycopg import Cursor, conninfo, errors
from psycopg.pq import PGconn, Ping, TransactionStatus
from psycopg.rows import tuple_row
from psycopg.types.string import TextLoader
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import Dialect

from venclient.errors import ConfigError, Conflict, InvalidRecord, RegistryError
from venclient.messages import registry_files as dbf
from venclient.registry.link import BUSY_TIMEOUT_MS, PerThread, RowRefused, unfit
from venclient.registry.opening import shown
from venclient.secrets import resolve_secret

T = TypeVar("T")

CONNECT_TIMEOUT_S = 10

#: Parts of what a server says that has no connection left: it accepts others later.
_FULL = ("too many clients", "too many connections", "remaining connection slots")

#: What psycopg says of a character that SQLite keeps and PostgreSQL does not.
_NUL = "NUL (0x00)"
_NUL_TOLD = "a text holds the character NUL (0x00), which PostgreSQL cannot store"
_NUL_HINT = "take it out of the text"


class NamedRow(tuple[Any, ...]):
    """A row by position or column name, like `sqlite3.Row`."""

    _names: tuple[str, ...]

    def __getitem__(self, key: Any) -> Any:
        """Give the value at a position, or of a column in any case."""
        if isinstance(key, str):
            wanted = key.lower()
            for at, name in enumerate(self._names):
                if name.lower() == wanted:
                    return tuple.__getitem__(self, at)
            raise IndexError(f"no column {key!r}")
        return tuple.__getitem__(self, key)

    def keys(self) -> list[str]:
        """Give the names of the columns."""
        return list(self._names)


def named_row(cursor: psycopg.Cursor[Any]) -> Callable[[Sequence[Any]], NamedRow]:
    """Make rows of a cursor addressable by name; a psycopg row factory."""
    return type("Row", (NamedRow,), {"_names": tuple(column.name for column in cursor.description or ())})


class PostgresDriver(psycopg.Connection[Any]):
    """A psycopg connection that also runs `executemany` by itself, as `sqlite3` connections do."""

    def executemany(self, sql: str, values: Iterable[Sequence[Any]]) -> Cursor[Any]:
        """Run one statement for each tuple of values."""
        cursor = self.cursor()
        cursor.executemany(sql, values)
        return cursor

    @property
    def is_idle(self) -> bool:
        """True when no transaction is under way."""
        return self.info.transaction_status == TransactionStatus.IDLE


def parameters(url: str) -> dict[str, Any]:
    """Give what libpq makes of a URL, a password that is a reference resolved.

    Without a password there libpq looks into PGPASSWORD and the password file, as for any program.
    """
    try:
        told = conninfo.conninfo_to_dict(url)
        # A / in the password ends the host for libpq, which then takes the rest for the database's name.
        is_clear = "@" not in str(told.get("dbname", ""))
    except psycopg.Error:
        is_clear = False
    if not is_clear:
        # What libpq says repeats the URL, password and all.
        raise ConfigError(
            "is no URL that PostgreSQL understands",
            subject=shown(url),
            hint="postgresql://USER@HOST:PORT/DATABASE?sslmode=require, with %XX for special characters",
        )
    password = told.get("password")
    if password:
        told["password"] = resolve_secret(str(password))
    return told


def open_driver(url: str) -> PostgresDriver:
    """Give a connection that begins no transaction by itself; RegistryError says why there is none."""
    defaults: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "venclient"}
    driver = _connected(conninfo.make_conninfo(**(defaults | parameters(url))), shown(url))
    try:
        # Another program's write is waited for as long as with SQLite. Times are UTC in the tables, as
        # SQLite has them, and are read in its words, so that the code above sees no difference.
        driver.execute(f"SET lock_timeout = {BUSY_TIMEOUT_MS}")
        driver.execute("SET TimeZone = 'UTC'")
        driver.execute("SET DateStyle = 'ISO'")
        driver.execute("SET client_encoding = 'UTF8'")
    except psycopg.Error as error:
        driver.close()
        raise said(error, shown(url)) from error
    driver.adapters.register_loader("timestamp", TextLoader)
    driver.adapters.register_loader("timestamptz", TextLoader)
    return driver


def _connected(dsn: str, subject: str) -> PostgresDriver:
    """Return a new connection. RegistryError is transient only when the server could not serve anybody.

    libpq gives no error code for a failed connection, so the server is asked whether it accepts any: one
    that does has refused this login or database, and waiting would not help.
    """
    try:
        return PostgresDriver.connect(dsn, autocommit=True)
    except psycopg.Error as error:
        if Ping(PGconn.ping(dsn.encode())) != Ping.OK:
            raise _away(error, subject) from error
    try:  # it may have come up between the two questions
        return PostgresDriver.connect(dsn, autocommit=True)
    except psycopg.Error as error:
        state = PGconn.ping(dsn.encode())
        if Ping(state) != Ping.OK or any(text in str(error) for text in _FULL):
            raise _away(error, subject) from error
        raise RegistryError(dbf.SERVER_REFUSED(reason=_reason(error)), subject=subject) from error


def _away(error: psycopg.Error, subject: str) -> RegistryError:
    return RegistryError(dbf.SERVER_AWAY(reason=_reason(error)), subject=subject, transient=True)


def _reason(error: psycopg.Error) -> str:
    return error.diag.message_primary or " ".join(str(error).split())


def rewrite_table(url: str, table: str) -> None:
    """Rewrite a table so that no row that was replaced is left in its file."""
    driver = open_driver(url)
    try:
        driver.execute(f"VACUUM FULL {table}")
    except psycopg.Error as error:
        raise said(error, shown(url)) from error
    finally:
        driver.close()


def said(error: psycopg.Error, subject: str) -> RegistryError:
    """Give what the server or libpq said as an error of ours, without the rows that it may quote."""
    reason = _reason(error)
    if isinstance(error, psycopg.IntegrityError):
        return Conflict(f"is already there, or refers to what is not ({reason})", subject=subject)
    if isinstance(error, psycopg.DataError) and _NUL in reason:
        return InvalidRecord(f"{_NUL_TOLD}; nothing was changed", subject=subject, hint=_NUL_HINT)
    if isinstance(error, psycopg.DataError):
        return InvalidRecord(f"PostgreSQL cannot store a value ({reason})", subject=subject)
    for kinds, what, hint, transient in _SAID:
        if isinstance(error, kinds):
            return RegistryError(what.format(reason), subject=subject, hint=hint, transient=transient)
    return RegistryError(f"PostgreSQL refused ({reason})", subject=subject)


#: Errors, the more special ones first: kinds, what happened, what to do, and whether it may pass.
_SAID: tuple[tuple[tuple[type[psycopg.Error], ...], str, str, bool], ...] = (
    (
        (errors.LockNotAvailable, errors.DeadlockDetected),
        f"another program has been writing for over {BUSY_TIMEOUT_MS // 1000} s",
        "try again when it is done",
        True,
    ),
    (
        (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction, errors.InvalidSchemaName),
        "PostgreSQL does not allow it ({})",
        "let the user of the URL own the tables, and make some in the schema",
        False,
    ),
    ((errors.DiskFull,), "the server's disk is full; nothing was stored", "make room", False),
    (
        (psycopg.OperationalError,),
        "PostgreSQL does not answer as it should ({})",
        "check that the server runs, and the host, port, user, password and database of the URL",
        True,
    ),
)


class PostgresLink(PerThread[PostgresDriver]):
    """Connections to one database, one per thread; `close()` ends those of all threads."""

    refused = psycopg.IntegrityError

    def __init__(self, url: str) -> None:
        super().__init__(shown(url), partial(open_driver, url))

    @property
    def dialect(self) -> Dialect:
        """Give PostgreSQL's dialect, the same object each time."""
        return _dialect()

    def driver(self) -> PostgresDriver:
        """Give this thread's connection, opened at its first call, and again after the server cut it."""
        held = super().driver()
        if held.closed:
            self.forget()
            held = super().driver()
        return held

    def rows(self, sql: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        """Give all rows of a query, as tuples, whatever row factory the connection has now."""
        try:
            return self._fetched(sql, values)
        except psycopg.Error as error:
            raise said(error, self.name) from error
        except (UnicodeEncodeError, OverflowError) as error:
            raise unfit(error, self.name) from None

    def made(
        self, sql: str, values: tuple[object, ...], make: Callable[[tuple[object, ...]], T | None]
    ) -> list[T]:
        """Give what `make` makes of each row of a query, without the rows that it makes None of."""
        return [one for row in self.rows(sql, values) if (one := make(row)) is not None]

    def _fetched(self, sql: str, values: tuple[object, ...]) -> list[tuple[object, ...]]:
        driver = self.driver()
        alone = driver.autocommit and driver.is_idle
        try:
            with driver.cursor(row_factory=tuple_row) as cursor:
                return cursor.execute(sql, values).fetchall()
        except psycopg.OperationalError:
            # A server that was restarted cuts connections that rest: no reason to trouble anybody.
            if not (alone and driver.closed):
                raise
        with self.driver().cursor(row_factory=tuple_row) as cursor:
            return cursor.execute(sql, values).fetchall()

    def new_connection_ids(self, count: int) -> Sequence[int]:
        """Give ids for that many new connections, in ascending order, that nobody else gets."""
        drawn = self.rows(
            "SELECT nextval(pg_get_serial_sequence('connections', 'id')) FROM generate_series(1, %s::int)",
            (count,),
        )
        return sorted(int(str(row[0])) for row in drawn)

    def filling(self) -> AbstractContextManager[None]:
        """Put nothing off: to drop an index would keep other programs from reading."""
        return nullcontext()

    def insert_rows(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run an insert for each row, inside a transaction; RowRefused says which one breaks a rule."""
        if not rows:
            return
        driver = self.driver()
        driver.execute("SAVEPOINT many")
        try:
            driver.executemany(sql, rows)
        except psycopg.DatabaseError:
            # They went to the server together: which one it was shows only one by one.
            driver.execute("ROLLBACK TO many")
            for at, row in enumerate(rows):
                try:
                    driver.execute(sql, row)
                except (psycopg.IntegrityError, psycopg.DataError) as error:
                    taken = isinstance(error, errors.UniqueViolation)
                    what = error.diag.message_primary or str(error)
                    if _NUL in what:
                        what = f"{_NUL_TOLD}; {_NUL_HINT}"
                    raise RowRefused(what, at=at, taken=taken) from None  # the error quotes the whole row
        driver.execute("RELEASE many")

    def insert_columns(self, sql: str, columns: Sequence[Sequence[Any]]) -> None:
        """Do as `insert_rows` does, with the values by column."""
        self.insert_rows(sql, list(zip(*columns, strict=True)))

    @contextmanager
    def transaction(self) -> Iterator[PostgresDriver]:
        """Give this thread's connection inside a transaction that is kept whole or undone whole.

        One transaction writes at a time, whichever program it is in. Inside another one it is a savepoint
        of that. What PostgreSQL refuses becomes an error of ours.
        """
        try:
            with self._scope() as driver:
                yield driver
        except (psycopg.IntegrityError, psycopg.DataError) as error:
            raise said(error, self.name) from None  # the error quotes the whole row
        except psycopg.Error as error:
            raise said(error, self.name) from error
        except (UnicodeEncodeError, OverflowError) as error:
            raise unfit(error, self.name) from None

    @contextmanager
    def borrowed(self) -> Iterator[PostgresDriver]:
        """Give this thread's connection as programs know it: rows by name, commit on success.

        A transaction begins with the first statement; an error undoes it and comes through.
        """
        driver = self.driver()
        factory = driver.row_factory
        driver.row_factory = named_row
        try:
            if not driver.autocommit or not driver.is_idle:  # inside another one, which decides
                with self._scope():
                    yield driver
                return
            driver.autocommit = False
            try:
                yield driver
                driver.commit()
            except BaseException:
                with suppress(psycopg.OperationalError):
                    driver.rollback()
                raise
            finally:
                if not driver.closed:
                    driver.autocommit = True
        finally:
            driver.row_factory = factory

    @contextmanager
    def _scope(self) -> Iterator[PostgresDriver]:
        driver = self.driver()
        nested = not (driver.autocommit and driver.is_idle)
        if nested:
            driver.execute("SAVEPOINT part")
        else:
            driver = self._begun()
        try:
            if not nested or not driver.autocommit:
                # As SQLite has it: whoever writes is alone until the end, so that what is read in between
                # stays true. Readers go on. The lock also holds programs off that are none of ours.
                driver.execute("LOCK TABLE resources IN SHARE ROW EXCLUSIVE MODE")
            yield driver
            if not driver.is_idle:
                driver.execute("RELEASE part" if nested else "COMMIT")
        except BaseException:
            with suppress(psycopg.Error):
                if nested and not driver.is_idle:
                    driver.execute("ROLLBACK TO part")
                    driver.execute("RELEASE part")
                elif not driver.is_idle:
                    driver.execute("ROLLBACK")
            raise

    def _begun(self) -> PostgresDriver:
        driver = self.driver()
        try:
            driver.execute("BEGIN")
        except psycopg.OperationalError:
            if not driver.closed:
                raise
            driver = self.driver()
            driver.execute("BEGIN")
        return driver


@cache
def _dialect() -> Dialect:
    return PGDialect_psycopg(paramstyle="format")  # type: ignore[no-untyped-call]
