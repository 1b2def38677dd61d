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
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row
from psycopg.types.string import TextLoader
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import Dialect

from venclient.errors import ConfigError, Conflict, InvalidRecord, RegistryError
from venclient.messages import Message
from venclient.messages import registry as reg
from venclient.messages import registry_files as dbf
from venclient.registry.link import BUSY_TIMEOUT_MS, PerThread, RowRefused, unfit
from venclient.registry.opening import shown
from venclient.registry.postgres_failures import (
    CONNECT_TIMEOUT_S,
    may_pass,
    reason_of,
    refused_connection,
)
from venclient.secrets import resolve_secret

T = TypeVar("T")


class NamedRow(tuple[Any, ...]):
    """A row by position or column name, like `sqlite3.Row`."""

    _names: tuple[str, ...]

    def __getitem__(self, key: Any) -> Any:
        """Return the value at a position, or of a column in any case."""
        if isinstance(key, str):
            wanted = key.lower()
            for at, name in enumerate(self._names):
                if name.lower() == wanted:
                    return tuple.__getitem__(self, at)
            raise IndexError(reg.NO_COLUMN(name=key))
        return tuple.__getitem__(self, key)

    def keys(self) -> list[str]:
        """Return the names of the columns."""
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
        """Return whether no transaction is open."""
        return self.info.transaction_status == TransactionStatus.IDLE


def parameters(url: str) -> dict[str, Any]:
    """Return the libpq parameters of a URL, with a password that is a reference resolved.

    Without a password there libpq looks into PGPASSWORD and the password file, as for any program.
    """
    try:
        found = conninfo.conninfo_to_dict(url)
        # A / in the password ends the host for libpq, which then takes the rest for the database's name.
        is_clear = "@" not in str(found.get("dbname", ""))
    except psycopg.Error:
        is_clear = False
    if not is_clear:
        # What libpq says repeats the URL, password and all.
        raise ConfigError(reg.POSTGRES_URL(), subject=shown(url))
    password = found.get("password")
    if password:
        found["password"] = resolve_secret(str(password))
    return found


def open_driver(url: str) -> PostgresDriver:
    """Return a connection that begins no transaction by itself; RegistryError with the reason if it fails."""
    defaults: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "venclient"}
    driver = _connected(conninfo.make_conninfo(**(defaults | parameters(url))), shown(url))
    try:
        # Another program's write is waited for as long as with SQLite. Times are UTC in the tables and read
        # in SQLite's format, which hides the difference from the code above.
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
    """Return a new connection. RegistryError is transient only when the server may serve us later."""
    try:
        return PostgresDriver.connect(dsn, autocommit=True)
    except psycopg.Error as error:
        refused = refused_connection(error, dsn, subject)
        if refused.transient:
            raise refused from error
    try:  # it may have come up between two questions
        return PostgresDriver.connect(dsn, autocommit=True)
    except psycopg.Error as error:
        raise refused_connection(error, dsn, subject) from error


def rewrite_table(url: str, table: str) -> None:
    """Rewrite a table to remove replaced rows from its file."""
    driver = open_driver(url)
    try:
        driver.execute(f"VACUUM FULL {table}")
    except psycopg.Error as error:
        raise said(error, shown(url)) from error
    finally:
        driver.close()


def said(error: psycopg.Error, subject: str) -> RegistryError:
    """Return an error of the server or libpq as one of venclient's, without the rows that it may quote."""
    reason = reason_of(error)
    if isinstance(error, psycopg.IntegrityError):
        return Conflict(dbf.ROW_CONFLICT(problem=reason), subject=subject)
    if isinstance(error, psycopg.DataError):
        return InvalidRecord(
            reg.POSTGRES_NUL() if _is_nul(error) else reg.POSTGRES_VALUE(reason=reason), subject=subject
        )
    if isinstance(error, errors.LockNotAvailable | errors.DeadlockDetected):
        return RegistryError(dbf.BUSY(seconds=BUSY_TIMEOUT_MS // 1000), subject=subject, transient=True)
    for kinds, message in _SAID:
        if isinstance(error, kinds):
            return RegistryError(message(reason=reason), subject=subject)
    if isinstance(error, psycopg.OperationalError):
        passing = may_pass(error.sqlstate)
        return RegistryError(reg.POSTGRES_NO_ANSWER(reason=reason), subject=subject, transient=passing)
    return RegistryError(reg.POSTGRES_REFUSED(reason=reason), subject=subject)


def _is_nul(error: psycopg.Error) -> bool:
    """Return whether psycopg, not the server, found a NUL, which SQLite keeps and PostgreSQL does not."""
    return error.sqlstate is None and "NUL (0x00)" in str(error)


#: Errors that no waiting helps against.
_SAID: tuple[tuple[tuple[type[psycopg.Error], ...], Message], ...] = (
    (
        (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction, errors.InvalidSchemaName),
        reg.POSTGRES_FORBIDDEN,
    ),
    ((errors.DiskFull,), reg.POSTGRES_DISK_FULL),
)


class PostgresLink(PerThread[PostgresDriver]):
    """Connections to one database, one per thread; `close()` ends those of all threads."""

    refused = psycopg.IntegrityError

    def __init__(self, url: str) -> None:
        super().__init__(shown(url), partial(open_driver, url))

    @property
    def dialect(self) -> Dialect:
        """Return PostgreSQL's dialect, the same object each time."""
        return _dialect()

    def driver(self) -> PostgresDriver:
        """Return this thread's connection, opened at its first call and reopened if the server closed it."""
        held = super().driver()
        if held.closed:
            self.forget()
            held = super().driver()
        return held

    def rows(self, sql: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        """Return all rows of a query, as tuples, whatever row factory the connection has now."""
        try:
            return self._fetched(sql, values)
        except psycopg.Error as error:
            raise said(error, self.name) from error
        except (UnicodeEncodeError, OverflowError) as error:
            raise unfit(error, self.name) from None

    def made(
        self, sql: str, values: tuple[object, ...], make: Callable[[tuple[object, ...]], T | None]
    ) -> list[T]:
        """Return what `make` makes of each row of a query, without the rows that it makes None of."""
        return [one for row in self.rows(sql, values) if (one := make(row)) is not None]

    def _fetched(self, sql: str, values: tuple[object, ...]) -> list[tuple[object, ...]]:
        driver = self.driver()
        alone = driver.autocommit and driver.is_idle
        try:
            with driver.cursor(row_factory=tuple_row) as cursor:
                return cursor.execute(sql, values).fetchall()
        except psycopg.OperationalError:
            # A restarted server cuts idle connections: not an error worth reporting.
            if not (alone and driver.closed):
                raise
        with self.driver().cursor(row_factory=tuple_row) as cursor:
            return cursor.execute(sql, values).fetchall()

    def new_connection_ids(self, count: int) -> Sequence[int]:
        """Reserve ids for `count` new connections and return them in ascending order."""
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
                    what = reg.POSTGRES_NUL() if _is_nul(error) else reason_of(error)
                    raise RowRefused(what, at=at, taken=taken) from None  # the error quotes the whole row
        driver.execute("RELEASE many")

    def insert_columns(self, sql: str, columns: Sequence[Sequence[Any]]) -> None:
        """Run an insert for each row, like `insert_rows`, with the values by column."""
        self.insert_rows(sql, list(zip(*columns, strict=True)))

    @contextmanager
    def transaction(self) -> Iterator[PostgresDriver]:
        """Return this thread's connection inside a transaction that is committed or rolled back as a whole.

        One transaction writes at a time, whichever program it is in. Inside another one it is a savepoint
        of that. Errors of PostgreSQL become errors of venclient.
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
        """Return this thread's connection for use by programs: rows by name, commit on success.

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
                # As with SQLite, one writer at a time until the end, which keeps everything read in
                # between true. Readers go on. The lock also blocks programs other than ours.
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
