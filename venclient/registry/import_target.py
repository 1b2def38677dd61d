"""What an import reads from and writes to: a registry, or nothing at all for a dry run without one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.sql import ClauseElement, ColumnElement, Select

from venclient.clock import Clock
from venclient.model.resource import Resource
from venclient.registry import rows
from venclient.registry.batches import Batch, options_are_good
from venclient.registry.link import Link
from venclient.registry.option_checks import installed_checks, remembered
from venclient.registry.recorded import NO_VALUES, Values
from venclient.registry.rows import BadRow, Row
from venclient.registry.schema import import_sources, resources
from venclient.registry.statements import Statements, resource_rows
from venclient.registry.validation import CheckOptions, refuse_mistakes
from venclient.registry.writing import Writing

if TYPE_CHECKING:
    from venclient.registry.database import ResourceDatabase

#: How many ids one question asks for.
FIND_AT_ONCE = 500
#: The list of one placeholder, as a driver of either database has it.
_PLACEHOLDER = re.compile(r"\((\?|%s)\)")
#: What is recorded of a source.
_VALUES = (import_sources.c.resource_ids, import_sources.c.imported_values)


class Digest(Protocol):
    """Returns a digest of a secret, None without a key."""

    def __call__(self, text: str, *, make: bool) -> str | None:
        """Return it; `make` makes the key when it is missing."""
        ...


class Stored:
    """The stored rows of some ids, each decoded to a resource on demand."""

    def __init__(self, found: Iterable[Row] = ()) -> None:
        self.rows: dict[str, Row] = {str(row[rows.RESOURCE_AT]): row for row in found}
        self._read: dict[str, Resource | BadRow | None] = {}

    def get(self, resource_id: str) -> Resource | None:
        """Return a resource; None when it is unknown or its row is invalid."""
        found = self._of(resource_id)
        return None if isinstance(found, BadRow) else found

    def broken(self, resource_id: str) -> str | None:
        """Return why the row of a resource is invalid, None when it is valid or missing."""
        found = self._of(resource_id)
        return str(found) if isinstance(found, BadRow) else None

    def _of(self, resource_id: str) -> Resource | BadRow | None:
        if resource_id not in self._read:
            try:
                row = self.rows.get(resource_id)
                self._read[resource_id] = None if row is None else rows.decode_resource(row)
            except BadRow as error:
                self._read[resource_id] = error
        return self._read[resource_id]


class Target(Protocol):
    """What an import needs from a registry."""

    def transaction(self) -> AbstractContextManager[object]:
        """Keep all that is done inside, or, on an exception, nothing; may be nested."""
        ...

    def is_empty(self) -> bool:
        """Return True when no resource is stored."""
        ...

    def find(self, ids: Sequence[str]) -> Stored:
        """Return what is stored of these ids."""
        ...

    def users(self, meter_point_ids: Sequence[str]) -> list[tuple[object, ...]]:
        """Return a meter point and a resource id for each resource that is stored with one of these."""
        ...

    def check(self, resource: Resource, stored: Resource | None) -> list[str]:
        """Return the warnings of a resource; InvalidRecord when it cannot be stored over `stored`."""
        ...

    def plain_batch(self, resources: Sequence[Resource]) -> Batch | None:
        """Return these by column when `check` has nothing against any as a new one; None says nothing."""
        ...

    def create(self, new: Iterable[Resource]) -> None:
        """Store resources that `check` had no objection to and whose ids are free.

        They are drawn as they are stored, and may look things up meanwhile.
        """
        ...

    def replace(self, changed: Collection[Resource]) -> None:
        """Store resources over what their ids have; InvalidRecord when one cannot be."""
        ...

    def disable(self, ids: Iterable[str]) -> None:
        """Switch resources off."""
        ...

    def source(self, name: str) -> list[str]:
        """Return the ids that the source had at its last import."""
        ...

    def values(self, name: str) -> Values:
        """Return the ids and the cells that the source had at its last import, as `Imported` encodes them."""
        ...

    def other_values(self, name: str) -> list[Values]:
        """Return those of all other sources, of the newest import first."""
        ...

    def remember(self, name: str, values: Values) -> None:
        """Record the ids and the cells that the source has now."""
        ...

    def digest(self, secret: str, *, make: bool) -> str | None:
        """Return a digest of a secret under the registry's key, None without one; `make` makes the key."""
        ...


class NoTarget:
    """A registry that holds nothing and keeps nothing; `check_options` as `ResourceDatabase` takes it."""

    def __init__(self, check_options: CheckOptions = installed_checks) -> None:
        self._check_options = remembered(check_options)

    def transaction(self) -> AbstractContextManager[object]:
        """Return a context that does nothing."""
        return nullcontext()

    def is_empty(self) -> bool:
        """Return True."""
        return True

    def find(self, ids: Sequence[str]) -> Stored:
        """Return nothing."""
        return Stored()

    def users(self, meter_point_ids: Sequence[str]) -> list[tuple[object, ...]]:
        """Return nothing."""
        return []

    def check(self, resource: Resource, stored: Resource | None) -> list[str]:
        """Return the warnings of a resource; InvalidRecord when no registry would store it."""
        return refuse_mistakes(resource, self._check_options)

    def plain_batch(self, resources: Sequence[Resource]) -> Batch | None:
        """Return these by column when `check` has nothing against any as a new one; None says nothing."""
        batch = Batch.of(resources)
        return batch if batch is not None and options_are_good(batch, self._check_options) else None

    def create(self, new: Iterable[Resource]) -> None:
        """Store nothing."""

    def replace(self, changed: Collection[Resource]) -> None:
        """Store nothing."""

    def disable(self, ids: Iterable[str]) -> None:
        """Change nothing."""

    def source(self, name: str) -> list[str]:
        """Return nothing."""
        return []

    def values(self, name: str) -> Values:
        """Return nothing."""
        return NO_VALUES

    def other_values(self, name: str) -> list[Values]:
        """Return nothing."""
        return []

    def remember(self, name: str, values: Values) -> None:
        """Record nothing."""

    def digest(self, secret: str, *, make: bool) -> str | None:
        """Return None."""
        return None


class ImportTarget:
    """A registry as imports see it; `ResourceDatabase.importing()` returns it."""

    def __init__(
        self,
        database: ResourceDatabase,
        link: Link,
        statements: Statements,
        writing: Writing,
        check_options: CheckOptions,
        clock: Clock,
        digest: Digest,
    ) -> None:
        self._check_options = check_options
        self._database = database
        self._link = link
        self._sql = statements
        self._writing = writing
        self._clock = clock
        self._digest = digest
        self._plain: Batch | None = None

    def transaction(self) -> AbstractContextManager[object]:
        """Keep all that is done inside, or, on an exception, nothing; may be nested."""
        return self._link.transaction()

    def is_empty(self) -> bool:
        """Return True when no resource is stored."""
        return not self._link.rows(*self._sql.bound(select(resources.c.id).limit(1)))

    def find(self, ids: Sequence[str]) -> Stored:
        """Return what is stored of these ids."""
        sql = _find_sql(self._sql)
        return Stored(chain.from_iterable(self._link.rows(sql, wanted) for wanted in _in_portions(ids)))

    def users(self, meter_point_ids: Sequence[str]) -> list[tuple[object, ...]]:
        """Return a meter point and a resource id for each resource that is stored with one of these."""
        found: list[tuple[object, ...]] = []
        for wanted in _in_portions(meter_point_ids):
            found += self._link.rows(_users_sql(self._sql), wanted)
        return found

    def check(self, resource: Resource, stored: Resource | None) -> list[str]:
        """Return the warnings of a resource; InvalidRecord when it cannot be stored over `stored`."""
        return refuse_mistakes(resource, self._check_options, before=stored)

    def plain_batch(self, resources: Sequence[Resource]) -> Batch | None:
        """Return these by column when `check` has nothing against any as a new one; None says nothing."""
        batch = self._plain = Batch.of(resources)
        return batch if batch is not None and options_are_good(batch, self._check_options) else None

    def create(self, new: Iterable[Resource]) -> None:
        """Store resources that `check` had no objection to and whose ids are free."""
        self._writing.insert_many(((one, one.ven) for one in new), checked=self._batch)

    def _batch(self, resources: Sequence[Resource]) -> Batch | None:
        """Return resources as a batch: that of `plain_batch`, when these are the ones."""
        if self._plain is not None and self._plain.is_of(resources):
            return self._plain
        return Batch.of(resources)

    def replace(self, changed: Collection[Resource]) -> None:
        """Store resources over what their ids have; InvalidRecord when one cannot be."""
        if changed:
            self._database.bulk_upsert(changed)

    def disable(self, ids: Iterable[str]) -> None:
        """Switch resources off."""
        for resource_id in ids:
            self._database.set_enabled(resource_id, False)

    def source(self, name: str) -> list[str]:
        """Return the ids that the source had at its last import."""
        found = self._link.rows(_source_sql(self._sql), (name,))
        return _ids(found[0][0]) if found else []

    def values(self, name: str) -> Values:
        """Return the ids and the cells that the source had at its last import, as `Imported` encodes them."""
        found = self._link.rows(_values_sql(self._sql), (name,))
        return _values(*found[0]) if found else NO_VALUES

    def other_values(self, name: str) -> list[Values]:
        """Return those of all other sources, of the newest import first."""
        wanted = (
            select(*_VALUES)
            .where(import_sources.c.name != name, import_sources.c.imported_values.is_not(None))
            .order_by(import_sources.c.updated_at.desc())
        )
        return [_values(*row) for row in self._link.rows(*self._sql.bound(wanted))]

    def remember(self, name: str, values: Values) -> None:
        """Record the ids and the cells that the source has now."""
        row = {
            "name": name,
            "resource_ids": msgspec.json.encode(values.ids).decode(),
            "updated_at": self._clock.now().isoformat(timespec="microseconds"),
            "imported_values": values.text,
        }
        with self._link.transaction():
            self._run(delete(import_sources).where(import_sources.c.name == name))
            self._run(insert(import_sources).values(row))

    def digest(self, secret: str, *, make: bool) -> str | None:
        """Return a digest of a secret under the registry's key, None without one; `make` makes the key."""
        return self._digest(secret, make=make)

    def _run(self, statement: ClauseElement) -> None:
        sql, values = self._sql.bound(statement)
        self._link.driver().execute(sql, values)


def _in_portions(ids: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Return ids in portions of one length, the last one filled up, for one prepared statement."""
    for begin in range(0, len(ids), FIND_AT_ONCE):
        portion = tuple(ids[begin : begin + FIND_AT_ONCE])
        yield portion + (portion[-1],) * (FIND_AT_ONCE - len(portion))


def _many(statements: Statements, wanted: Select[Any], column: ColumnElement[Any]) -> str:
    """Return the SQL of a query for the rows whose `column` is one of `FIND_AT_ONCE` values."""
    sql = statements.bound(wanted.where(column.in_([bindparam("one")]))).sql
    head, mark, tail = _PLACEHOLDER.split(sql)
    return f"{head}({', '.join([mark] * FIND_AT_ONCE)}){tail}"


@lru_cache(maxsize=8)
def _find_sql(statements: Statements) -> str:
    return _many(statements, resource_rows(), resources.c.resource_id)


@lru_cache(maxsize=8)
def _users_sql(statements: Statements) -> str:
    wanted = select(resources.c.meter_point_id, resources.c.resource_id)
    return _many(statements, wanted, resources.c.meter_point_id)


@lru_cache(maxsize=8)
def _source_sql(statements: Statements) -> str:
    """Return the SQL of a query for the ids of a source."""
    return statements.bound(select(_VALUES[0]).where(import_sources.c.name == bindparam("name"))).sql


@lru_cache(maxsize=8)
def _values_sql(statements: Statements) -> str:
    """Return the SQL of a query for what is recorded of a source."""
    return statements.bound(select(*_VALUES).where(import_sources.c.name == bindparam("name"))).sql


def _values(ids: object, text: object) -> Values:
    return Values(_ids(ids), None if text is None else str(text))


def _ids(text: object) -> list[str]:
    try:
        return msgspec.json.decode(str(text), type=list[str])
    except msgspec.DecodeError:  # another program wrote it: `ven db check` lists it
        return []
