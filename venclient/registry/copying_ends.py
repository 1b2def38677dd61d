"""What a copy has to do to each kind of database beyond SQL that both understand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from venclient.registry.link import Link
from venclient.registry.schema import metadata


class End(Protocol):
    """One end of a copy."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Keep what queries of this thread see as it is now."""
        ...

    def triggers_off(self) -> AbstractContextManager[None]:
        """Keep the tables' triggers from running, inside a transaction."""
        ...

    def last_id(self, table: str) -> int:
        """Return the highest id that a table has ever given, 0 when it gave none."""
        ...

    def set_last_id(self, table: str, last: int) -> None:
        """Let the next id of a table be the one after `last`."""
        ...


def end_of(link: Link) -> End:
    """Return what is to be known about the database behind a link."""
    return _SqliteEnd(link) if link.dialect.name == "sqlite" else _PostgresEnd(link)


class _SqliteEnd:
    def __init__(self, link: Link) -> None:
        self._link = link

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        driver = self._link.driver()
        driver.execute("BEGIN")
        try:
            driver.execute("SELECT count(*) FROM sqlite_master").fetchone()  # what is seen is fixed from here
            yield
        finally:
            driver.execute("ROLLBACK")

    @contextmanager
    def triggers_off(self) -> Iterator[None]:
        driver = self._link.driver()
        found = self._link.rows("SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'")
        ours = [(name, sql) for name, table, sql in found if table in metadata.tables]
        for name, _ in ours:
            driver.execute(f'DROP TRIGGER "{name}"')
        yield
        for _, sql in ours:
            driver.execute(str(sql))

    def last_id(self, table: str) -> int:
        found = self._link.rows("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,))
        return int(str(found[0][0])) if found else 0

    def set_last_id(self, table: str, last: int) -> None:
        driver = self._link.driver()
        driver.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
        if last:
            driver.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, last))


class _PostgresEnd:
    def __init__(self, link: Link) -> None:
        self._link = link

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        driver = self._link.driver()
        driver.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            yield
        finally:
            driver.rollback()

    @contextmanager
    def triggers_off(self) -> Iterator[None]:
        driver = self._link.driver()
        for table in metadata.tables:
            driver.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield
        for table in metadata.tables:
            driver.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")

    def last_id(self, table: str) -> int:
        sequence = self._sequence(table)
        last, is_called = self._link.rows(f"SELECT last_value, is_called FROM {sequence}")[0]  # noqa: S608
        return int(str(last)) if is_called else int(str(last)) - 1

    def set_last_id(self, table: str, last: int) -> None:
        self._link.rows("SELECT setval(%s, %s, %s)", (self._sequence(table), max(last, 1), last > 0))

    def _sequence(self, table: str) -> str:
        return str(self._link.rows("SELECT pg_get_serial_sequence(%s, 'id')", (table,))[0][0])
