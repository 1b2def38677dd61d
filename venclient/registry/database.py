"""The resource database: which meters and assets there are, and how each is reached.

The names and arguments that the specification gives are kept for ever; what is newer comes beside them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from sqlalchemy import func, select

from venclient.clock import Clock, SystemClock
from venclient.errors import InvalidRecord
from venclient.messages import code_of, text_of, with_code
from venclient.messages import registry as reg
from venclient.model.reading import Reject
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.registry import rows
from venclient.registry.changes import ChangeLog, default_actor
from venclient.registry.doubts import Warned
from venclient.registry.found import Found
from venclient.registry.import_target import ImportTarget
from venclient.registry.lifecycle import LifeCycle
from venclient.registry.link import DbConnection
from venclient.registry.opening import open_link, shown, statements_for
from venclient.registry.option_checks import installed_checks, remembered
from venclient.registry.query import Query
from venclient.registry.rows import BadRow, Row
from venclient.registry.schema import resources
from venclient.registry.sealing import Sealer
from venclient.registry.statements import Bound, matching, resource_rows
from venclient.registry.validation import CheckOptions
from venclient.registry.writing import Outcome, Progress, UpsertCounts, Writing
from venclient.thinned import Thinned

_log = logging.getLogger(__name__)

_PAGE_ROWS = 1_000

T = TypeVar("T")


class ResourceDatabase(LifeCycle):
    """Resources and connections in one SQLite file, or in a PostgreSQL database named by URL.

    Opening creates the file (mode 0600) and its folder when they are missing, and brings an older file or
    database to the newest schema in place; programs of the first generation can still read it.
    Raises RegistryError with the reason when it cannot be used.

    `postgresql://user@host/name` (psycopg 3, the extra `postgresql`) may name the password by a reference:
    `postgresql://user:env:NAME@host/name`. `db_path` is the value as passed, with a password in it as ***.

    Usernames and passwords are sealed when they are stored, with the key in `key_file` (by default
    `<db_path>.key` beside the file), and opened when they are read: see `venclient.secrets`. A URL has no key
    file beside it: without `key_file` or VEN_REGISTRY_KEY_FILE, storing a plain-text login is a ConfigError.

    `actor` is who makes the changes ("user@host:pid" by default); `history` shows it with each change.
    Options of connections are checked by the connectors that they are for (entry points of the group
    `venclient.option_checks`), or by `check_options`: it gives one sentence for each mistake in the options
    of a resource's connection.

    Each thread that calls keeps a connection until `close()`, since connecting would cost
    more than most queries. Use it as a context manager, or call `close()`; a forgotten one is closed when
    the object is collected.
    """

    def __init__(
        self,
        db_path: str | Path = "./config/resources.db",
        *,
        key_file: str | Path | None = None,
        actor: str | None = None,
        clock: Clock | None = None,
        check_options: CheckOptions | None = None,
    ) -> None:
        self._link = open_link(db_path)
        self.db_path = shown(db_path)
        self._link.driver()  # raise an error of opening now, not at the first query
        self._sql = statements_for(self._link.dialect)
        self._sealer = Sealer(self.db_path, self._link, self._sql, Path(key_file) if key_file else None)
        self._sealer.warn()
        self._clock: Clock = clock or SystemClock()
        self._log = ChangeLog(self._link, self._sql, self._clock, actor or default_actor())
        self._check_options = check_options or installed_checks
        self._writing = Writing(self._link, self._sql, self._sealer, self._log, self._check_options)
        self._rejects: dict[str, Reject] = {}
        self._expected: dict[str, str] = {}
        self._thinned = Thinned(self._clock.monotonic)

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

    def get_connection(self) -> AbstractContextManager[DbConnection]:
        """Return a context manager of a DB-API connection whose rows are addressable by column name.

        What is done inside is committed on success and rolled back on an error, which comes through as
        the driver raised it. It is this thread's own connection: the methods below, called inside, see
        what was done so far and are part of it.
        """
        return self._link.borrowed()

    def expect_rejects(self, known: Iterable[Reject]) -> None:
        """Log these rejects only when they are found with another reason: they were logged before."""
        self._expected = {one.place: one.reason for one in known}

    @property
    def rejects(self) -> list[Reject]:
        """Return the rows that queries have skipped so far, each with its location and the reason."""
        return list(self._rejects.values())

    @property
    def last_warnings(self) -> list[Warned]:
        """Return what is doubtful about what this thread stored last, each with its resource.

        A write stores it all the same. Calls that insert or update start a new list.
        """
        return self._writing.doubts.listed()

    # Reading

    def get_resource(self, resource_id: str) -> Resource | None:
        """Return a resource by its id, None if unknown; InvalidRecord when its row is invalid."""
        found = self._link.rows(self._sql.resource_by_id, (resource_id,))
        if not found:
            return None
        return self._decoded_row(found[0])

    def get_all_resources(self) -> list[Resource]:
        """Return all resources, in the order in which they were stored; bad rows are in `rejects`."""
        return self._decoded(Bound(self._sql.all_resources, ()), everything=True)

    def get_resources_by_type(self, resource_type: str) -> list[Resource]:
        """Return the resources of a type, by its name or value: "DSR" and "Demand Response" alike."""
        return self.get_resources(resource_type=resource_type)

    def get_resources_by_ven(self, ven: str) -> list[Resource]:
        """Return the resources of a VEN (a city, in the samples)."""
        return self.get_resources(ven=ven)

    def get_resources(
        self, *, ven: str | None = None, enabled: bool | None = None, resource_type: str | None = None
    ) -> list[Resource]:
        """Return the resources that match all filters; None does not filter."""
        wanted = matching(ven=ven, enabled=enabled, resource_type=resource_type)
        return self._decoded(self._sql.bound(resource_rows().where(*wanted)))

    def iter_resources(
        self, *, ven: str | None = None, enabled: bool | None = None, resource_type: str | None = None
    ) -> Iterator[Resource]:
        """Yield the matching resources a page at a time, which takes little memory for any number.

        What is written between two pages shows in those that follow.
        """
        wanted = matching(ven=ven, enabled=enabled, resource_type=resource_type)
        ids = select(resources.c.id).where(*wanted).order_by(resources.c.id)
        last = 0
        while True:
            # A page ends at the id of its last row, because a skipped row must not end it early.
            page = self._link.rows(*self._sql.bound(ids.where(resources.c.id > last).limit(_PAGE_ROWS)))
            if not page:
                return
            first, last = last, int(str(page[-1][0]))
            within = (resources.c.id > first, resources.c.id <= last)
            yield from self._decoded(self._sql.bound(resource_rows().where(*wanted, *within)))

    def query(self, query: Query | None = None) -> Found:
        """Return the result of a query: call `.all()`, `.iterate()`, `.ids()` or `.count()` on it."""
        return Found(query or Query(), self._link, self._sql, self._made)

    def count(
        self, *, ven: str | None = None, enabled: bool | None = None, resource_type: str | None = None
    ) -> int:
        """Return the number of matching resources."""
        wanted = matching(ven=ven, enabled=enabled, resource_type=resource_type)
        statement = select(func.count()).select_from(resources).where(*wanted)
        return int(str(self._link.rows(*self._sql.bound(statement))[0][0]))

    def get_connections(self) -> list[Connection]:
        """Return all connections with their row ids (`Connection.id`); bad rows are in `rejects`."""

        def make(row: Row) -> Connection | None:
            try:
                return rows.decode_connection(row)
            except BadRow as error:
                self._reject(f"connections row {row[0]}", text_of(error))
                return None

        return self._link.made(self._sql.all_connections, (), make)

    def get_statistics(self) -> dict[str, Any]:
        """Return `total_resources` and the counts `by_type`, `by_subtype` and `top_10_vens`, largest first.

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

    def values_of(self, column: Literal["ven", "resource_sub_type"]) -> list[str]:
        """Return the VENs or sub-types in use, those with most resources first."""
        return [name for name, _ in self._counts(column)]

    def wrong_values(self) -> list[str]:
        """Return a warning for each stored resource whose values would be refused today; reads them all."""
        return [
            with_code(reg.WRONG_VALUES(name=one.resourceID, problems="; ".join(map(with_code, found))))
            for one in self.iter_resources()
            if (found := self.validate(one).problems)
        ]

    # Writing

    def insert_connection(self, connection: Connection) -> int:
        """Store a connection and give its row id."""
        return self._writing.insert_connection(connection)

    def insert_resource(self, resource: Resource, connection_id: int, ven: str | None = None) -> None:
        """Store a new resource behind a stored connection, its control connection with it.

        `ven` overrides `resource.ven`. Conflict when the id is taken, NotFound for an unknown
        connection, InvalidRecord with all that is wrong with the resource.
        """
        self._writing.insert_resource(resource, connection_id, _ven(resource, ven))

    def bulk_insert_resources(
        self, rows: Iterable[Resource | Row], *, progress: Progress | None = None
    ) -> int:
        """Store new resources in one transaction, all or none; give how many.

        `progress` is called with the number stored, every thousand and at the end.

        A row is a Resource, stored with its connections, or the first generation's tuple (resource_id,
        resource_name, resource_type, resource_sub_type, meter_point_id, capacities_json, location_json,
        address, ven, enabled). Tuples name no connection: those of one call share a new FILEREADER
        without a file, until each is given its own.
        """
        stream = iter(rows)
        first = next(stream, None)
        if first is None:
            return 0
        every = chain([first], stream)
        if isinstance(first, Resource):
            return self._writing.insert_many(((one, one.ven) for one in map(_resource, every)), progress)
        unwired = Connection(ConnectionType.FILEREADER, ActorType.READER)
        return self._writing.insert_old_tuples((_tuple(row) for row in every), unwired, progress)

    def upsert_resource(self, resource: Resource, ven: str | None = None) -> Outcome:
        """Store a resource as new or over what its id has; "created", "updated" or "unchanged".

        Its connections go with it: a row that this resource alone uses is changed in place, one that others
        use is left to them. `enabled` None leaves the stored value.
        """
        counts = self._writing.upsert_many([(resource, _ven(resource, ven))])
        return "created" if counts.created else "updated" if counts.updated else "unchanged"

    def bulk_upsert(self, resources: Iterable[Resource], *, progress: Progress | None = None) -> UpsertCounts:
        """Store resources as `upsert_resource` does, in one transaction, all or none.

        The iterable is drawn inside the transaction, and may read from this database; what it gave
        within the last thousand may not show yet.
        """
        return self._writing.upsert_many(((resource, resource.ven) for resource in resources), progress)

    def delete_resource(self, resource_id: str) -> bool:
        """Delete a resource, and its connections when no other uses them; False when there is none."""
        return self._writing.delete_resource(resource_id)

    def set_enabled(self, resource_id: str, enabled: bool) -> None:
        """Switch a resource on or off; NotFound when it is unknown."""
        if enabled not in (True, False):
            raise InvalidRecord(reg.ENABLED(value=enabled), subject=f"resource {resource_id}")
        self._writing.set_enabled(resource_id, bool(enabled))

    def seal_secrets(self) -> int:
        """Seal the usernames and passwords that are stored in the clear; give how many there were.

        Where they were they may still be found in the file: `ven db seal` rewrites it afterwards.
        """
        return self._sealer.seal_all()

    def make_key(self) -> Path:
        """Make a key file when the old one is lost, and give its path; RegistryError when there is one."""
        return self._sealer.new_key()

    def login_problems(self) -> list[str]:
        """Return a sentence for each stored login that is in plain text, or that no available key opens."""
        return self._sealer.problems()

    def clear_all_resources(self) -> None:
        """Delete all resources and connections. This cannot be undone."""
        self._writing.clear()

    def importing(self, clock: Clock | None = None) -> ImportTarget:
        """Return this registry as an import sees it: stored resources by id, and their sources."""
        clock = clock or SystemClock()
        checks = remembered(self._check_options)
        return ImportTarget(self, self._link, self._sql, self._writing, checks, clock, self._sealer.digest)

    def _counts(self, column: str) -> list[tuple[str, int]]:
        return [(str(name), int(str(n))) for name, n in self._link.rows(self._sql.counts_by(column))]

    def _decoded(self, query: Bound, *, everything: bool = False) -> list[Resource]:
        """Return the resources of a query without bad rows; `everything` clears rejects that are fixed."""
        return self._made(query, rows.decode_resource, everything=everything)

    def _made(self, query: Bound, decode: Callable[[Row], T], *, everything: bool = False) -> list[T]:
        """Return what `decode` makes of the rows of a query, as `_decoded` does."""
        bad: dict[str, str] = {}

        def make(row: Row) -> T | None:
            try:
                return decode(row)
            except BadRow as error:
                bad[f"resources row {row[0]} ({row[1]})"] = text_of(error)
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
        if self._expected.get(place) == reason:
            return
        said = reg.ROW_LEFT_OUT(database=self.db_path, place=place, problem=reason)
        line = self._thinned.line(code_of(reason), said)
        if line is not None:
            _log.warning(line)


def _ven(resource: Resource, ven: str | None) -> str | None:
    return resource.ven if ven is None else ven


def _resource(row: Resource | Row) -> Resource:
    if isinstance(row, Resource):
        return row
    raise InvalidRecord(reg.NOT_A_RESOURCE(), subject=repr(row))


def _tuple(row: Resource | Row) -> Row:
    if isinstance(row, Resource):
        raise InvalidRecord(reg.NOT_A_TUPLE(), subject=f"resource {row.resourceID}")
    return row
