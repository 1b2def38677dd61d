"""How resources get into the registry: inserts by the thousand, updates of what differs, deletions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from venclient.errors import Conflict, InvalidRecord, NotFound
from venclient.model.resource import Connection, Resource
from venclient.registry import rows
from venclient.registry.rows import BadRow, Row
from venclient.registry.sqlite_link import SqliteLink
from venclient.registry.statements import Statements

Outcome = Literal["created", "updated", "unchanged"]

_CHUNK = 1_000
#: Where encode_resource's values make room for connection_id in statements.INSERT_ORDER.
_BEFORE_CONNECTION = 5


@dataclass
class UpsertCounts:
    """How many resources were created, updated and left as they were."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0


class Writing:
    """The writing half of `ResourceDatabase`; each method is a transaction, or part of the one around it."""

    def __init__(self, link: SqliteLink, statements: Statements) -> None:
        self._link = link
        self._sql = statements

    def insert_connection(self, connection: Connection) -> int:
        """Store a connection and give its row id."""
        values = rows.encode_connection(connection)
        with self._link.transaction() as driver:
            return int(driver.execute(self._sql.insert_connection, values).fetchone()[0])

    def insert_resource(self, resource: Resource, connection_id: int, ven: str | None) -> None:
        """Store a resource behind a connection that is stored; NotFound when it is not."""
        values = rows.encode_resource(resource, ven)
        with self._link.transaction() as driver:
            if driver.execute(self._sql.connection_exists, (connection_id,)).fetchone() is None:
                raise NotFound(
                    f"there is no connection {connection_id!r}",
                    subject=f"resource {resource.resourceID}",
                    hint="store its connection first: insert_connection gives the id",
                )
            control = resource.control_connection
            control_id = None if control is None else self.insert_connection(control)
            try:
                driver.execute(self._sql.insert_resource, _placed(values, connection_id, control_id))
            except sqlite3.IntegrityError as error:
                raise _taken(resource.resourceID) from error

    def insert_many(self, resources: Iterable[tuple[Resource, str | None]]) -> int:
        """Store new resources, each with its own connections; give how many."""
        count = 0
        with self._link.transaction():
            chunk: list[tuple[Resource, str | None]] = []
            for pair in resources:
                chunk.append(pair)
                if len(chunk) == _CHUNK:
                    count += self._insert_chunk(chunk)
                    chunk = []
            return count + self._insert_chunk(chunk)

    def insert_old_tuples(self, old: Iterable[Row], connection: Connection) -> int:
        """Store the first generation's tuples, all behind one connection; give how many."""
        with self._link.transaction() as driver:
            connection_id = self.insert_connection(connection)
            checked = (_checked_tuple(row, at) for at, row in enumerate(old))
            values = [_placed(row, connection_id, None) for row in checked]
            self._insert_values(driver, values, connection_id)
            return len(values)

    def upsert_many(self, resources: Iterable[tuple[Resource, str | None]]) -> UpsertCounts:
        """Create or update all, or none when one of them cannot be stored."""
        counts = UpsertCounts()
        with self._link.transaction():
            waiting: dict[str, tuple[Resource, str | None]] = {}
            for resource, ven in resources:
                if resource.resourceID in waiting or len(waiting) == _CHUNK:
                    self._insert_chunk(waiting.values())
                    waiting = {}
                found = self._link.rows(self._sql.resource_by_id, (resource.resourceID,))
                if not found:
                    waiting[resource.resourceID] = (resource, ven)
                    counts.created += 1
                elif self._update(found[0], resource, ven):
                    counts.updated += 1
                else:
                    counts.unchanged += 1
            self._insert_chunk(waiting.values())
        return counts

    def delete_resource(self, resource_id: str) -> bool:
        """Delete a resource, and its connections when nothing else uses them; False when it is not there."""
        with self._link.transaction() as driver:
            links = driver.execute(self._sql.links_of, (resource_id,)).fetchone()
            if links is None:
                return False
            row_id, *connection_ids = links
            driver.execute(self._sql.delete_resource, (row_id,))
            for connection_id in connection_ids:
                driver.execute(self._sql.delete_unused_connection, (connection_id,))
            return True

    def set_enabled(self, resource_id: str, enabled: bool) -> None:
        """Switch a resource on or off; NotFound when it is not there."""
        with self._link.transaction() as driver:
            if driver.execute(self._sql.set_enabled, (enabled, resource_id)).rowcount == 0:
                raise NotFound("is not in the registry", subject=f"resource {resource_id}")

    def clear(self) -> None:
        """Delete all resources and all connections."""
        with self._link.transaction() as driver:
            for sql in self._sql.clear:
                driver.execute(sql)

    def _insert_chunk(self, chunk: Iterable[tuple[Resource, str | None]]) -> int:
        """Store resources with connections of their own, numbered here so that two statements do it."""
        first = next_id = self._link.next_connection_id()
        connections: list[tuple[Any, ...]] = []
        values: list[tuple[Any, ...]] = []
        for resource, ven in chunk:
            told = rows.encode_resource(resource, ven)
            reader_id, control_id = next_id, None
            connections.append((reader_id, *rows.encode_connection(resource.connection)))
            next_id += 1
            if resource.control_connection is not None:
                control_id = next_id
                connections.append((control_id, *rows.encode_connection(resource.control_connection)))
                next_id += 1
            values.append(_placed(told, reader_id, control_id))
        driver = self._link.driver()
        driver.executemany(self._sql.insert_numbered_connection, connections)
        self._insert_values(driver, values, first)
        return len(values)

    def _insert_values(self, driver: sqlite3.Connection, values: list[tuple[Any, ...]], first: int) -> None:
        """Store ready rows, whose connections are numbered from `first` on; an error names its resource."""
        try:
            driver.executemany(self._sql.insert_resource, values)
        except sqlite3.IntegrityError as error:
            # They went in one after the other: as many as are there came before the one that failed.
            done = driver.execute(self._sql.stored_behind, (first,)).fetchone()[0]
            if error.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_UNIQUE:
                raise _taken(str(values[done][0])) from error
            raise InvalidRecord(str(error), subject=f"resource {values[done][0]!r}") from error

    def _update(self, row: Row, resource: Resource, ven: str | None) -> bool:
        """Bring a stored row to what `resource` says; False when it said so already."""
        wanted = rows.as_stored(resource, ven)
        try:
            stored: Resource | None = rows.decode_resource(row)
        except BadRow:
            stored = None  # what cannot be understood is replaced by what can
        if stored is not None and resource.enabled is None:
            wanted.enabled = stored.enabled
        if stored == wanted:
            return False
        old_reader_id, old_control_id = row[rows.READER_AT], row[rows.WRITER_AT]
        one_for_both = old_reader_id is not None and old_reader_id == old_control_id
        reader_id = self._connect(
            old_reader_id, stored.connection if stored else None, wanted.connection, shared=one_for_both
        )
        control_id: int | None = None
        if wanted.control_connection is not None:
            control = stored.control_connection if stored else None
            control_id = self._connect(
                old_control_id, control, wanted.control_connection, shared=one_for_both
            )
        driver = self._link.driver()
        values = rows.encode_resource(wanted, wanted.ven)
        driver.execute(self._sql.update_resource, (*_placed(values, reader_id, control_id), row[0]))
        for old_id in {old_reader_id, old_control_id} - {reader_id, control_id, None}:
            driver.execute(self._sql.delete_unused_connection, (old_id,))
        return True

    def _connect(
        self, row_id: int | None, stored: Connection | None, wanted: Connection, *, shared: bool
    ) -> int:
        """Give the id of a row that says `wanted`: the present one, changed if need be, or a new one."""
        if row_id is None:
            return self.insert_connection(wanted)
        if stored == wanted:
            return row_id
        driver = self._link.driver()
        users = driver.execute(self._sql.users_of_connection, (row_id, row_id)).fetchone()[0]
        if shared or users > 1:  # the others did not ask for a change
            return self.insert_connection(wanted)
        driver.execute(self._sql.update_connection, (*rows.encode_connection(wanted), row_id))
        return row_id


def _taken(resource_id: str) -> Conflict:
    return Conflict(
        "the id is taken", subject=f"resource {resource_id}", hint="upsert_resource changes what is there"
    )


def _checked_tuple(row: Row, at: int) -> Row:
    if len(row) != 10:
        raise InvalidRecord(
            f"has {len(row)} members, not 10",
            subject=f"row {at}",
            hint="give (resource_id, resource_name, resource_type, resource_sub_type, meter_point_id,"
            " capacities_json, location_json, address, ven, enabled)",
        )
    try:
        kind = rows.type_name(str(row[2]))
    except ValueError as error:
        raise InvalidRecord(str(error), subject=f"resource {row[0]!r}") from None
    return (*row[:2], kind, *row[3:], None)


def _placed(values: Row, connection_id: int, control_id: int | None) -> tuple[Any, ...]:
    """Give encode_resource's values in the order of statements.INSERT_ORDER."""
    return (*values[:_BEFORE_CONNECTION], connection_id, *values[_BEFORE_CONNECTION:], control_id)
