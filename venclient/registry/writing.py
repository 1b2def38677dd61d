"""How resources get into the registry: inserts by the thousand, updates of what differs, deletions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, TypeAlias

from venclient.errors import Conflict, InvalidRecord, NotFound
from venclient.messages import Text, text_of
from venclient.messages import registry as reg
from venclient.model.resource import Connection, Resource
from venclient.registry import rows
from venclient.registry.batches import Batch, options_are_good
from venclient.registry.changes import (
    IN_FULL,
    ChangeLog,
    Entry,
    Told,
    resource_entry,
    told_connection,
    told_resource,
)
from venclient.registry.collector import collector_paused
from venclient.registry.doubts import Doubts
from venclient.registry.link import Link, RowRefused
from venclient.registry.old_tuples import checked_tuple
from venclient.registry.rows import BadRow, Row, Seal
from venclient.registry.schema import RESOURCE_COLUMNS
from venclient.registry.statements import INDEXED, INSERT_ORDER, Statements
from venclient.registry.validation import (
    CheckOptions,
    check_connection,
    refuse_connection_mistakes,
    refuse_mistakes,
)

#: Hears how many are done, every thousand and at the end.
Progress: TypeAlias = Callable[[int], object]

#: Gives resources as a batch, None when they are none.
BatchOf: TypeAlias = Callable[[Sequence[Resource]], Batch | None]

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
    """The writing half of `ResourceDatabase`; each method is a transaction, or part of the one around it.

    What is stored is checked before and recorded in `log` with it.
    """

    def __init__(
        self,
        link: Link,
        statements: Statements,
        seal: Seal,
        log: ChangeLog,
        check_options: CheckOptions | None = None,
    ) -> None:
        self._link = link
        self._sql = statements
        self._seal = seal
        self._log = log
        self._check_options = check_options
        self.doubts = Doubts()

    def insert_connection(self, connection: Connection) -> int:
        """Store a connection and return its row id."""
        self.doubts.begin()
        warnings = refuse_connection_mistakes(connection, self._check_options)
        with self._link.transaction():
            row_id = self._store_connection(connection)
            self.doubts.add(f"connection {row_id}", warnings)
            after = told_connection(connection) | {"id": row_id}
            self._log.add([Entry("insert", "connection", str(row_id), None, after)])
            return row_id

    def insert_resource(self, resource: Resource, connection_id: int, ven: str | None) -> None:
        """Store a resource behind a connection that is stored; NotFound when it is not."""
        self.doubts.begin()
        self._check(resource, ven)
        values = rows.encode_resource(resource, ven)
        with self._link.transaction() as driver:
            if (
                not self._sql.may_be_row_id(connection_id)
                or driver.execute(self._sql.connection_exists, (connection_id,)).fetchone() is None
            ):
                raise NotFound(
                    reg.NO_CONNECTION(value=connection_id), subject=f"resource {resource.resourceID}"
                )
            control = resource.control_connection
            control_id = None if control is None else self._store_connection(control)
            try:
                driver.execute(self._sql.insert_resource, _placed(values, connection_id, control_id))
            except self._link.refused:
                raise _taken(resource.resourceID) from None  # what the driver says may show the row
            _, after = _read(self._link.rows(self._sql.resource_by_id, (resource.resourceID,))[0])
            self._log.add([Entry("insert", "resource", resource.resourceID, None, after)])

    def insert_many(
        self,
        resources: Iterable[tuple[Resource, str | None]],
        progress: Progress | None = None,
        *,
        checked: BatchOf | None = None,
    ) -> int:
        """Store new resources, each with its own connections; give how many.

        `checked` says that they were found to be free of mistakes a moment ago, and gives them as a batch.
        """
        count = 0
        self.doubts.begin()
        with self._link.transaction(), ExitStack() as stack:
            waiting = iter(resources)
            while chunk := list(islice(waiting, _CHUNK)):
                if not count and len(chunk) == _CHUNK:
                    stack.enter_context(self._link.filling())
                with collector_paused():
                    count += self._insert_chunk(chunk, checked=checked)
                _tell(progress, count)
            return count

    def insert_old_tuples(
        self, old: Iterable[Row], connection: Connection, progress: Progress | None = None
    ) -> int:
        """Store the first generation's tuples, all behind one connection; give how many."""
        self.doubts.begin()
        with self._link.transaction():
            connection_id = self._store_connection(connection)
            self.doubts.add(f"connection {connection_id}", check_connection(connection).warnings)
            values = []
            for at, row in enumerate(old):
                checked, warnings = checked_tuple(row, at)
                self.doubts.add(str(row[0]), warnings)
                values.append(_placed(checked, connection_id, None))
            self._insert_values(values)
            after = told_connection(connection) | {"id": connection_id}
            self._log.add([Entry("insert", "connection", str(connection_id), None, after)])
            self._log.add_inserted(connection_id, connection_id)
            _tell(progress, len(values))
            return len(values)

    def upsert_many(
        self, resources: Iterable[tuple[Resource, str | None]], progress: Progress | None = None
    ) -> UpsertCounts:
        """Create or update all, or none when one of them cannot be stored."""
        counts = UpsertCounts()
        self.doubts.begin()
        with self._link.transaction():
            waiting: dict[str, tuple[Resource, str | None]] = {}
            for done, (resource, ven) in enumerate(resources):
                if done and done % _CHUNK == 0:
                    _tell(progress, done)
                name: object = resource.resourceID
                if not isinstance(name, str):
                    self._check(resource, ven)  # which refuses it
                if resource.resourceID in waiting or len(waiting) == _CHUNK:
                    self._insert_chunk(waiting.values())
                    waiting = {}
                found = self._link.rows(self._sql.resource_by_id, (resource.resourceID,))
                if not found:
                    waiting[resource.resourceID] = (resource, ven)
                    counts.created += 1
                elif self.update_row(found[0], resource, ven):
                    counts.updated += 1
                else:
                    counts.unchanged += 1
            self._insert_chunk(waiting.values())
            _tell(progress, counts.created + counts.updated + counts.unchanged)
        return counts

    def delete_resource(self, resource_id: str) -> bool:
        """Delete a resource, and its connections when nothing else uses them; False when it is not there."""
        with self._link.transaction() as driver:
            found = self._link.rows(self._sql.resource_by_id, (resource_id,))
            if not found:
                return False
            _, before = _read(found[0])
            row_id, *connection_ids = driver.execute(self._sql.links_of, (resource_id,)).fetchone()
            driver.execute(self._sql.delete_resource, (row_id,))
            for connection_id in connection_ids:
                driver.execute(self._sql.delete_unused_connection, (connection_id,))
            self._log.add([Entry("delete", "resource", resource_id, before)])
            return True

    def delete_many(self, resource_ids: Iterable[str], progress: Progress | None = None) -> int:
        """Delete resources as `delete_resource` does; NotFound, and nothing done, when one is not there."""
        count = 0
        with self._link.transaction():
            for resource_id in resource_ids:
                if not self.delete_resource(resource_id):
                    raise missing(resource_id)
                count += 1
                if count % _CHUNK == 0:
                    _tell(progress, count)
            if count % _CHUNK:
                _tell(progress, count)
            return count

    def set_enabled(self, resource_id: str, enabled: bool) -> None:
        """Switch a resource on or off, whatever else its row says; NotFound when it is not there."""
        with self._link.transaction() as driver:
            found = driver.execute(self._sql.enabled_of, (resource_id,)).fetchone()
            if found is None:
                raise missing(resource_id)
            before = None if found[0] is None else bool(found[0])
            if before is enabled:
                return
            driver.execute(self._sql.set_enabled, (enabled, resource_id))
            states = ({"enabled": before}, {"enabled": enabled})
            self._log.add([Entry("update", "resource", resource_id, *states)])

    def clear(self) -> None:
        """Delete all resources and all connections."""
        with self._link.transaction() as driver:
            counts = [driver.execute(sql).rowcount for sql in self._sql.clear]
            deleted = dict(zip(("resources", "connections"), counts, strict=True))
            self._log.add([Entry("clear", "registry", None, deleted)])

    def _insert_chunk(
        self, chunk: Collection[tuple[Resource, str | None]], *, checked: BatchOf | None = None
    ) -> int:
        """Store resources with separate connections, numbered here to need only two statements."""
        if len(chunk) > IN_FULL and self._insert_batch(chunk, checked=checked):
            return len(chunk)
        needed = len(chunk) + sum(resource.control_connection is not None for resource, _ in chunk)
        ids = iter(self._link.new_connection_ids(needed) if needed else ())
        connections: list[tuple[Any, ...]] = []
        values: list[tuple[Any, ...]] = []
        for resource, ven in chunk:
            if checked is None:
                self._check(resource, ven)
            encoded = rows.encode_resource(resource, ven)
            reader_id, control_id = next(ids), None
            connections.append((reader_id, *rows.encode_connection(resource.connection, self._seal)))
            if resource.control_connection is not None:
                control_id = next(ids)
                control = rows.encode_connection(resource.control_connection, self._seal)
                connections.append((control_id, *control))
            values.append(_placed(encoded, reader_id, control_id))
        self._link.insert_rows(self._sql.insert_numbered_connection, connections)
        self._insert_values(values)
        if len(values) <= IN_FULL:
            found = ((row[0], self._link.rows(self._sql.resource_by_id, (row[0],))[0]) for row in values)
            self._log.add(Entry("insert", "resource", name, None, _read(row)[1]) for name, row in found)
        else:
            self._log.add_inserted(connections[0][0], connections[-1][0])
        return len(values)

    def _insert_batch(
        self, chunk: Collection[tuple[Resource, str | None]], *, checked: BatchOf | None
    ) -> bool:
        """Do as `_insert_chunk` does, a column at a time; False when not all are plain."""
        resources, vens = zip(*chunk, strict=True)
        batch = checked(resources) if checked else Batch.of(resources)
        if batch is None or not (checked or options_are_good(batch, self._check_options)):
            return False
        ids = self._link.new_connection_ids(len(chunk))
        connections = batch.connection_columns(ids, self._seal)
        values = batch.resource_columns(vens, ids)
        if connections is None or values is None:
            return False
        self._link.insert_columns(self._sql.insert_numbered_connection, connections)
        with _refusing(batch.ids):
            self._link.insert_columns(self._sql.insert_resource, values)
        self._log.add_inserted(ids[0], ids[-1])
        self.doubts.add_meters(batch.ids, batch.meters)
        return True

    def _check(self, resource: Resource, ven: str | None, before: Resource | None = None) -> None:
        """Refuse what is wrong with a resource, and keep what is doubtful about it."""
        warnings = refuse_mistakes(resource, self._check_options, before=before, ven=ven)
        if warnings:
            self.doubts.add(resource.resourceID, warnings)
        elif before is None or before.meterPointId != resource.meterPointId:
            self.doubts.add_meters((resource.resourceID,), (resource.meterPointId,))

    def _insert_values(self, values: list[tuple[Any, ...]]) -> None:
        """Store ready rows of `resources`; an error names the resource that it is about."""
        with _refusing([row[0] for row in values]):
            self._link.insert_rows(self._sql.insert_resource, values)

    def update_row(
        self,
        row: Row,
        resource: Resource,
        ven: str | None,
        *,
        reader_id: int | None = None,
        control_id: int | None = None,
    ) -> bool:
        """Bring a stored row to what `resource` says; False when it said so already.

        Ids of stored connections go before the connections of `resource`, which must say the same.
        """
        stored, before = _read(row)
        warnings = refuse_mistakes(resource, before=stored, ven=ven)
        wanted = rows.as_stored(resource, ven)
        if stored is not None and resource.enabled is None:
            wanted.enabled = stored.enabled
        old_reader_id, old_control_id = row[rows.READER_AT], row[rows.WRITER_AT]
        moved = reader_id not in (None, old_reader_id) or control_id not in (None, old_control_id)
        if stored == wanted and not moved:
            return False
        if stored is None or (resource.connection, resource.control_connection) != (
            stored.connection,
            stored.control_connection,
        ):
            self._check(resource, ven, stored)
        elif warnings:
            self.doubts.add(resource.resourceID, warnings)
        elif stored.meterPointId != resource.meterPointId:
            self.doubts.add_meters((resource.resourceID,), (resource.meterPointId,))
        one_for_both = old_reader_id is not None and old_reader_id == old_control_id
        wanted.connection.id = reader_id or self._connect(
            old_reader_id, stored.connection if stored else None, wanted.connection, shared=one_for_both
        )
        if wanted.control_connection is not None:
            wanted.control_connection.id = control_id or self._connect(
                old_control_id,
                stored.control_connection if stored else None,
                wanted.control_connection,
                shared=one_for_both,
            )
        reader_id = wanted.connection.id
        control_id = wanted.control_connection.id if wanted.control_connection else None
        driver = self._link.driver()
        values = rows.encode_resource(wanted, wanted.ven)
        self._write_over(row, _placed(values, reader_id, control_id))
        for old_id in {old_reader_id, old_control_id} - {reader_id, control_id, None}:
            driver.execute(self._sql.delete_unused_connection, (old_id,))
        if stored is not None:
            self._log.add([resource_entry(stored, wanted)])
        else:
            self._log.add([Entry("update", "resource", wanted.resourceID, before, told_resource(wanted))])
        return True

    def _write_over(self, row: Row, values: Row) -> None:
        """Update a stored row to the values of INSERT_ORDER, leaving indexes of unchanged columns alone."""
        wanted = dict(zip(INSERT_ORDER, values, strict=True))
        stored = dict(zip(RESOURCE_COLUMNS, row[rows.RESOURCE_AT :], strict=False))
        stored |= {"connection_id": row[rows.READER_AT], "control_connection_id": row[rows.READER_AT - 1]}
        if any(wanted[name] != stored[name] for name in INDEXED):
            self._link.driver().execute(self._sql.update_resource, (*values, row[0]))
            return
        rest = (value for name, value in wanted.items() if name not in INDEXED)
        self._link.driver().execute(self._sql.update_rest_of_resource, (*rest, row[0]))

    def _store_connection(self, connection: Connection) -> int:
        """Store a connection inside the transaction under way, and return its row id."""
        values = rows.encode_connection(connection, self._seal)
        return int(self._link.driver().execute(self._sql.insert_connection, values).fetchone()[0])

    def _connect(
        self, row_id: int | None, stored: Connection | None, wanted: Connection, *, shared: bool
    ) -> int:
        """Return the id of a row equal to `wanted`: the present one, changed if need be, or a new one."""
        if row_id is None:
            return self._store_connection(wanted)
        if stored == wanted:
            return row_id
        driver = self._link.driver()
        users = driver.execute(self._sql.users_of_connection, (row_id, row_id)).fetchall()
        if shared or len(users) > 1:  # the others did not ask for a change
            return self._store_connection(wanted)
        driver.execute(self._sql.update_connection, (*rows.encode_connection(wanted, self._seal), row_id))
        return row_id


def missing(resource_id: str) -> NotFound:
    """Return the error for an unknown resource."""
    return NotFound(reg.NOT_STORED(), subject=f"resource {resource_id}")


def _read(row: Row) -> tuple[Resource | None, Told]:
    """Return a row as a resource (None when it is invalid) and as the change log holds it."""
    try:
        resource = rows.decode_resource(row)
    except BadRow as error:
        return None, {"unreadable": str(error)}
    return resource, told_resource(resource)


def _tell(progress: Progress | None, done: int) -> None:
    if progress is not None:
        progress(done)


def _taken(resource_id: str) -> Conflict:
    return Conflict(reg.ID_TAKEN(), subject=f"resource {resource_id}")


@contextmanager
def _refusing(ids: Sequence[Any]) -> Iterator[None]:
    """Raise errors that name the resource whose row was rejected, of those with these ids."""
    try:
        yield
    except RowRefused as error:
        if error.taken:
            raise _taken(str(ids[error.at])) from error
        what = text_of(error)
        problem = what if isinstance(what, Text) else reg.ROW_REFUSED(problem=what)
        raise InvalidRecord(problem, subject=f"resource {ids[error.at]!r}") from error


def _placed(values: Row, connection_id: int, control_id: int | None) -> tuple[Any, ...]:
    """Return encode_resource's values in the order of statements.INSERT_ORDER."""
    return (*values[:_BEFORE_CONNECTION], connection_id, *values[_BEFORE_CONNECTION:], control_id)
