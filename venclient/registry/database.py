"""The resource database: which meters and assets there are, and how each is reached.

The names and arguments that the specification gives are kept for ever; what is newer comes beside them.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from functools import cache
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import func, select
from sqlalchemy.dialects import sqlite

from venclient.errors import ConfigError, InvalidRecord
from venclient.model.reading import Reject
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.registry import rows
from venclient.registry.rows import BadRow, Row
from venclient.registry.schema import resources
from venclient.registry.sqlite_link import SqliteLink
from venclient.registry.statements import Bound, Statements, matching, resource_rows
from venclient.registry.upgrade import upgrade
from venclient.registry.writing import Outcome, UpsertCounts, Writing

_log = logging.getLogger(__name__)

_PAGE_ROWS = 1_000


class ResourceDatabase:
    """Resources and connections in one SQLite file.

    Opening makes the file (mode 0600) and its folder when they are missing, and brings an older file to
    the newest schema in place; programs of the first generation can read it still. RegistryError when the
    file cannot be used: it says why.

    Each thread that calls keeps a connection to the file until `close()`, since connecting would cost
    more than most queries. Use it as a context manager, or call `close()`; a forgotten one is closed when
    the object is collected.
    """

    def __init__(self, db_path: str | Path = "./config/resources.db") -> None:
        if "://" in str(db_path) or str(db_path) == ":memory:":
            raise ConfigError(
                "names no file", subject=str(db_path), hint="give the path of a SQLite file, made if missing"
            )
        self.db_path = str(db_path)
        path = Path(db_path)
        upgrade(path)
        self._link = SqliteLink(path)
        self._link.driver()  # what keeps it from opening is said now, not at the first query
        self._sql = _statements()
        self._writing = Writing(self._link, self._sql)
        self._rejects: dict[str, Reject] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"ResourceDatabase({self.db_path!r})"

    def close(self) -> None:
        """Close the connections of all threads; safe to call twice."""
        self._link.close()

    def get_connection(self) -> AbstractContextManager[sqlite3.Connection]:
        """Give a context manager of a DB-API connection whose rows are addressable by column name.

        What is done inside is committed on success and rolled back on an error, which comes through as
        the driver raised it. It is this thread's own connection: the methods below, called inside, see
        what was done so far and are part of it.
        """
        return self._link.borrowed()

    @property
    def rejects(self) -> list[Reject]:
        """Give the rows that queries had to leave out so far, each with its place and the reason."""
        return list(self._rejects.values())

    # Reading

    def get_resource(self, resource_id: str) -> Resource | None:
        """Give a resource by its id, None when there is none; InvalidRecord when its row makes no sense."""
        found = self._link.rows(self._sql.resource_by_id, (resource_id,))
        if not found:
            return None
        try:
            return rows.decode_resource(found[0])
        except BadRow as error:
            raise InvalidRecord(
                str(error),
                subject=f"{self.db_path}: resources row {found[0][0]} ({resource_id})",
                hint="store the resource again, or delete it",
            ) from None

    def get_all_resources(self) -> list[Resource]:
        """Give all resources, in the order in which they were stored; bad rows are in `rejects`."""
        return self._decoded(Bound(self._sql.all_resources, ()), everything=True)

    def get_resources_by_type(self, resource_type: str) -> list[Resource]:
        """Give the resources of a type, by its name or value: "DSR" and "Demand Response" alike."""
        return self.get_resources(resource_type=resource_type)

    def get_resources_by_ven(self, ven: str) -> list[Resource]:
        """Give the resources of a VEN (a city, in the samples)."""
        return self.get_resources(ven=ven)

    def get_resources(
        self, *, ven: str | None = None, enabled: bool | None = None, resource_type: str | None = None
    ) -> list[Resource]:
        """Give the resources that fit all filters; None does not filter."""
        wanted = matching(ven=ven, enabled=enabled, resource_type=resource_type)
        return self._decoded(self._sql.bound(resource_rows().where(*wanted)))

    def iter_resources(
        self, *, ven: str | None = None, enabled: bool | None = None, resource_type: str | None = None
    ) -> Iterator[Resource]:
        """Give the resources that fit, a page at a time, so that any number takes little memory.

        What is written between two pages shows in those that follow.
        """
        wanted = matching(ven=ven, enabled=enabled, resource_type=resource_type)
        ids = select(resources.c.id).where(*wanted).order_by(resources.c.id)
        last = 0
        while True:
            # A page ends at the id of its last row, so that one that is left out does not end it early.
            page = self._link.rows(*self._sql.bound(ids.where(resources.c.id > last).limit(_PAGE_ROWS)))
            if not page:
                return
            first, last = last, int(str(page[-1][0]))
            within = (resources.c.id > first, resources.c.id <= last)
            yield from self._decoded(self._sql.bound(resource_rows().where(*wanted, *within)))

    def count(
        self, *, ven: str | None = None, enabled: bool | None = None, resource_type: str | None = None
    ) -> int:
        """Give how many resources fit."""
        wanted = matching(ven=ven, enabled=enabled, resource_type=resource_type)
        statement = select(func.count()).select_from(resources).where(*wanted)
        return int(str(self._link.rows(*self._sql.bound(statement))[0][0]))

    def get_connections(self) -> list[Connection]:
        """Give all connections with their row ids (`Connection.id`); bad rows are in `rejects`."""

        def make(row: Row) -> Connection | None:
            try:
                return rows.decode_connection(row)
            except BadRow as error:
                self._reject(f"connections row {row[0]}", str(error))
                return None

        return self._link.made(self._sql.all_connections, (), make)

    def get_statistics(self) -> dict[str, Any]:
        """Give `total_resources` and the counts `by_type`, `by_subtype` and `top_10_vens`, largest first.

        Types go by name ("DSR") however the database spells them.
        """
        by_type: dict[str, int] = {}
        for kind, count in self._counts("resource_type"):
            try:
                name = rows.type_name(kind)
            except ValueError:
                name = kind
            by_type[name] = by_type.get(name, 0) + count
        return {
            "total_resources": self.count(),
            "by_type": dict(sorted(by_type.items(), key=lambda item: (-item[1], item[0]))),
            "by_subtype": dict(self._counts("resource_sub_type")),
            "top_10_vens": dict(self._counts("ven")[:10]),
        }

    # Writing

    def insert_connection(self, connection: Connection) -> int:
        """Store a connection and give its row id."""
        return self._writing.insert_connection(connection)

    def insert_resource(self, resource: Resource, connection_id: int, ven: str | None = None) -> None:
        """Store a new resource behind a stored connection, its control connection with it.

        `ven` goes before `resource.ven`. Conflict when the id is taken, NotFound when there is no such
        connection, InvalidRecord with all that is wrong with the resource.
        """
        self._writing.insert_resource(resource, connection_id, _ven(resource, ven))

    def bulk_insert_resources(self, rows: Iterable[Resource | Row]) -> int:
        """Store new resources in one transaction, all or none; give how many.

        A row is a Resource, stored with its connections, or the first generation's tuple (resource_id,
        resource_name, resource_type, resource_sub_type, meter_point_id, capacities_json, location_json,
        address, ven, enabled). Tuples tell no connection: those of one call share a new FILEREADER
        without a file, until each is given its own.
        """
        stream = iter(rows)
        first = next(stream, None)
        if first is None:
            return 0
        every = chain([first], stream)
        if isinstance(first, Resource):
            return self._writing.insert_many((one, one.ven) for one in map(_resource, every))
        unwired = Connection(ConnectionType.FILEREADER, ActorType.READER)
        return self._writing.insert_old_tuples((_tuple(row) for row in every), unwired)

    def upsert_resource(self, resource: Resource, ven: str | None = None) -> Outcome:
        """Store a resource as new or over what its id has; "created", "updated" or "unchanged".

        Its connections go with it: a row that this resource alone uses is changed in place, one that others
        use is left to them. `enabled` None leaves the stored value.
        """
        counts = self._writing.upsert_many([(resource, _ven(resource, ven))])
        return "created" if counts.created else "updated" if counts.updated else "unchanged"

    def bulk_upsert(self, resources: Iterable[Resource]) -> UpsertCounts:
        """Store resources as `upsert_resource` does, in one transaction, all or none.

        The iterable is drawn inside the transaction, and may read from this database; what it gave
        within the last thousand may not show yet.
        """
        return self._writing.upsert_many((resource, resource.ven) for resource in resources)

    def delete_resource(self, resource_id: str) -> bool:
        """Delete a resource, and its connections when no other uses them; False when there is none."""
        return self._writing.delete_resource(resource_id)

    def set_enabled(self, resource_id: str, enabled: bool) -> None:
        """Switch a resource on or off; NotFound when there is none."""
        self._writing.set_enabled(resource_id, enabled)

    def clear_all_resources(self) -> None:
        """Delete all resources and connections. There is no way back."""
        self._writing.clear()

    def _counts(self, column: str) -> list[tuple[str, int]]:
        return [(str(name), int(str(n))) for name, n in self._link.rows(self._sql.counts_by(column))]

    def _decoded(self, query: Bound, *, everything: bool = False) -> list[Resource]:
        """Give the resources of a query, bad rows set aside; `everything` forgets rejects that are mended."""
        bad: dict[str, str] = {}
        decode = rows.decode_resource

        def make(row: Row) -> Resource | None:
            try:
                return decode(row)
            except BadRow as error:
                bad[f"resources row {row[0]} ({row[1]})"] = str(error)
                return None

        good = self._link.made(query.sql, query.values, make)
        if everything:
            self._rejects = {
                place: reject
                for place, reject in self._rejects.items()
                if place in bad or not place.startswith("resources ")
            }
        for place, reason in bad.items():
            self._reject(place, reason)
        return good

    def _reject(self, place: str, reason: str) -> None:
        known = self._rejects.get(place)
        if known is not None and known.reason == reason:
            return
        self._rejects[place] = Reject(place, reason)
        _log.warning("%s: %s is left out: %s; store it again, or delete the row", self.db_path, place, reason)


@cache
def _statements() -> Statements:
    """Give the compiled statements, which all databases of this program share."""
    return Statements(sqlite.dialect(paramstyle="qmark"))


def _ven(resource: Resource, ven: str | None) -> str | None:
    return resource.ven if ven is None else ven


def _resource(row: Resource | Row) -> Resource:
    if isinstance(row, Resource):
        return row
    raise InvalidRecord("is no Resource", subject=repr(row), hint="give Resources or tuples, not both")


def _tuple(row: Resource | Row) -> Row:
    if isinstance(row, Resource):
        raise InvalidRecord(
            "is no tuple", subject=f"resource {row.resourceID}", hint="give Resources or tuples, not both"
        )
    return row
