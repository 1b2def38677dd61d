"""The registry's SQL: said once with SQLAlchemy Core, run by the driver.

Core checks names against the schema and knows each database's dialect; running its statements through
the driver itself saves the two thirds of a point query that Core's result handling costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from sqlalchemy import (
    Integer,
    Table,
    Text,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ClauseElement, ColumnElement, Select

from venclient.registry.rows import type_spellings
from venclient.registry.schema import (
    CONNECTION_COLUMNS,
    RESOURCE_COLUMNS,
    changes,
    connections,
    reporting_status,
    resources,
)

_writer = connections.alias("writer")
_one: ColumnElement[int] = literal_column("1", Integer)

#: How many row ids `Statements.resources_by_row_ids` takes.
PAGE_IDS = 500


class Bound(NamedTuple):
    """SQL in the driver's words with the values it needs."""

    sql: str
    values: tuple[object, ...]


def resource_rows() -> Select[Any]:
    """Select what `rows.decode_resource` takes: resource, reader, writer; in the order of the row ids.

    Outer joins: a resource whose connection is gone must be named, not vanish.
    """
    parts = (
        resources.c.id,
        *(resources.c[name] for name in RESOURCE_COLUMNS),
        resources.c.control_connection_id,
        connections.c.id,
        *(connections.c[name] for name in CONNECTION_COLUMNS),
        _writer.c.id,
        *(_writer.c[name] for name in CONNECTION_COLUMNS),
        resources.c.version,
    )
    joined = resources.outerjoin(connections, resources.c.connection_id == connections.c.id).outerjoin(
        _writer, resources.c.control_connection_id == _writer.c.id
    )
    return select(*parts).select_from(joined).order_by(resources.c.id)


def matching(
    *, ven: str | None, enabled: bool | None, resource_type: str | None
) -> list[ColumnElement[bool]]:
    """Return the conditions on `resources` that the filters describe; None does not filter.

    A resource whose `enabled` is null counts as enabled, as the column's default has it.
    """
    found: list[ColumnElement[bool]] = []
    if ven is not None:
        found.append(resources.c.ven == str(ven))  # PostgreSQL compares text with nothing else
    if enabled is not None:
        found.append(func.coalesce(resources.c.enabled, True) == enabled)
    if resource_type is not None:
        found.append(resources.c.resource_type.in_(type_spellings(resource_type)))
    return found


class Statements:
    """The statements that are always the same, compiled once for a dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def may_be_row_id(self, value: object) -> bool:
        """Tell whether the database can have a row with that id; asking for another one is an error."""
        most = 2**31 if self._dialect.name == "postgresql" else 2**63
        return isinstance(value, int) and value in range(most)

    def bound(self, statement: ClauseElement) -> Bound:
        """Return a statement that was made for one occasion, with its values."""
        compiled = statement.compile(dialect=self._dialect, compile_kwargs={"render_postcompile": True})
        values: Mapping[str, Any] = compiled.params
        order: Sequence[str] = getattr(compiled, "positiontup", None) or ()
        return Bound(str(compiled), tuple(values[name] for name in order))

    def _sql(self, statement: ClauseElement, names: Sequence[str]) -> str:
        """Return the SQL of a statement that takes its values in the order of `names`."""
        compiled = statement.compile(dialect=self._dialect)
        order = list(getattr(compiled, "positiontup", None) or ())
        if order != list(names):  # a mistake in this module, that would put values into wrong columns
            raise AssertionError(f"order {order}, not {list(names)}")
        return str(compiled)

    def insert_into(self, table: Table) -> str:
        """Return SQL that takes all columns of a table."""
        names = [column.name for column in table.columns]
        return self._sql(insert(table).values({name: bindparam(name) for name in names}), names)

    @cached_property
    def resource_by_id(self) -> str:
        """Takes resource_id."""
        wanted = resources.c.resource_id == bindparam("resource_id")
        return self._sql(resource_rows().where(wanted), ["resource_id"])

    @cached_property
    def resources_by_row_ids(self) -> str:
        """Takes PAGE_IDS row ids; one may be there several times."""
        names = [f"row_id_{at}" for at in range(PAGE_IDS)]
        wanted = resources.c.id.in_([bindparam(name, type_=Integer) for name in names])
        return self._sql(resource_rows().where(wanted), names)

    @cached_property
    def all_resources(self) -> str:
        """Takes nothing."""
        return self._sql(resource_rows(), [])

    @cached_property
    def all_connections(self) -> str:
        """Takes nothing; gives what `rows.decode_connection` takes."""
        columns = (connections.c.id, *(connections.c[name] for name in CONNECTION_COLUMNS))
        return self._sql(select(*columns).order_by(connections.c.id), [])

    @cached_property
    def links_of(self) -> str:
        """Takes resource_id; gives the ids of its row, connection and control connection."""
        links = select(resources.c.id, resources.c.connection_id, resources.c.control_connection_id)
        return self._sql(links.where(resources.c.resource_id == bindparam("resource_id")), ["resource_id"])

    @cached_property
    def insert_connection(self) -> str:
        """Takes CONNECTION_COLUMNS; gives the new id."""
        values: dict[str, Any] = {name: bindparam(name) for name in CONNECTION_COLUMNS}
        statement = insert(connections).values(values).returning(connections.c.id)
        return self._sql(statement, CONNECTION_COLUMNS)

    @cached_property
    def insert_numbered_connection(self) -> str:
        """Takes id and CONNECTION_COLUMNS."""
        names = ["id", *CONNECTION_COLUMNS]
        return self._sql(insert(connections).values({name: bindparam(name) for name in names}), names)

    @cached_property
    def update_connection(self) -> str:
        """Takes CONNECTION_COLUMNS, then the row id."""
        values: dict[str, Any] = {name: bindparam(name) for name in CONNECTION_COLUMNS}
        statement = update(connections).where(connections.c.id == bindparam("row_id")).values(values)
        return self._sql(statement, [*CONNECTION_COLUMNS, "row_id"])

    @cached_property
    def insert_resource(self) -> str:
        """Takes INSERT_ORDER."""
        values: dict[str, Any] = {name: bindparam(name) for name in INSERT_ORDER}
        return self._sql(insert(resources).values(values), INSERT_ORDER)

    @cached_property
    def update_resource(self) -> str:
        """Takes INSERT_ORDER, then the row id; `updated_at` becomes now, `version` one more."""
        return self._updating(INSERT_ORDER)

    @cached_property
    def update_rest_of_resource(self) -> str:
        """Do as `update_resource` does, but for INDEXED, whose indexes are then left alone: twice as fast."""
        return self._updating([name for name in INSERT_ORDER if name not in INDEXED])

    def _updating(self, names: Sequence[str]) -> str:
        values: dict[str, Any] = {name: bindparam(name) for name in names}
        values |= {"updated_at": func.current_timestamp(), "version": resources.c.version + _one}
        statement = update(resources).where(resources.c.id == bindparam("row_id")).values(values)
        return self._sql(statement, [*names, "row_id"])

    @cached_property
    def update_login(self) -> str:
        """Takes username, password and a connection id."""
        statement = update(connections).where(connections.c.id == bindparam("row_id"))
        changed = statement.values(username=bindparam("wanted_name"), password=bindparam("wanted_password"))
        return self._sql(changed, ["wanted_name", "wanted_password", "row_id"])

    @cached_property
    def users_of_connection(self) -> str:
        """Takes a connection id, twice; gives the ids of the resources that it serves, in either part."""
        statement = select(resources.c.resource_id).where(_served()).order_by(resources.c.id)
        return self._sql(statement, ["reader", "writer"])

    @cached_property
    def touch_users_of_connection(self) -> str:
        """Takes a connection id, twice; `updated_at` of the resources that it serves becomes now."""
        statement = update(resources).where(_served())
        changed = statement.values(updated_at=func.current_timestamp(), version=resources.c.version + _one)
        return self._sql(changed, ["reader", "writer"])

    @cached_property
    def connection_by_id(self) -> str:
        """Takes a connection id; gives what `rows.decode_connection` takes."""
        columns = (connections.c.id, *(connections.c[name] for name in CONNECTION_COLUMNS))
        return self._sql(select(*columns).where(connections.c.id == bindparam("row_id")), ["row_id"])

    @cached_property
    def delete_connection(self) -> str:
        """Takes a connection id."""
        return self._sql(delete(connections).where(connections.c.id == bindparam("row_id")), ["row_id"])

    @cached_property
    def connection_exists(self) -> str:
        """Takes a connection id; gives a row when it is there."""
        wanted = connections.c.id == bindparam("row_id")
        return self._sql(select(connections.c.id).where(wanted), ["row_id"])

    @cached_property
    def delete_resource(self) -> str:
        """Takes a row id."""
        return self._sql(delete(resources).where(resources.c.id == bindparam("row_id")), ["row_id"])

    @cached_property
    def delete_unused_connection(self) -> str:
        """Takes a connection id; deletes the connection unless a resource still uses it."""
        used = exists().where(
            or_(
                resources.c.connection_id == connections.c.id,
                resources.c.control_connection_id == connections.c.id,
            )
        )
        statement = delete(connections).where(connections.c.id == bindparam("row_id"), ~used)
        return self._sql(statement, ["row_id"])

    @cached_property
    def set_enabled(self) -> str:
        """Takes enabled and resource_id; `updated_at` becomes now, `version` one more."""
        statement = (
            update(resources)
            .where(resources.c.resource_id == bindparam("wanted"))
            .values(
                enabled=bindparam("enabled"),
                updated_at=func.current_timestamp(),
                version=resources.c.version + _one,
            )
        )
        return self._sql(statement, ["enabled", "wanted"])

    @cached_property
    def enabled_of(self) -> str:
        """Takes resource_id; gives `enabled`."""
        wanted = resources.c.resource_id == bindparam("resource_id")
        return self._sql(select(resources.c.enabled).where(wanted), ["resource_id"])

    @cached_property
    def clear(self) -> tuple[str, str]:
        """Take nothing; delete all resources, then all connections."""
        return self._sql(delete(resources), []), self._sql(delete(connections), [])

    @cached_property
    def insert_change(self) -> str:
        """Takes all columns of `changes` but the id."""
        names = [column.name for column in changes.columns if column.name != "id"]
        return self._sql(insert(changes).values({name: bindparam(name) for name in names}), names)

    @cached_property
    def insert_changes_of(self) -> str:
        """Takes at, actor and two connection ids; one insert for each resource read through one between."""
        origin = (bindparam("at", type_=Text), bindparam("actor", type_=Text))
        kinds = (literal_column("'insert'", Text), literal_column("'resource'", Text))
        found = (
            select(*origin, *kinds, resources.c.resource_id, null(), null())
            .where(resources.c.connection_id.between(bindparam("first"), bindparam("last")))
            .order_by(resources.c.id)
        )
        names = [column.name for column in changes.columns if column.name != "id"]
        return self._sql(insert(changes).from_select(names, found), ["at", "actor", "first", "last"])

    def changes_after(self, after: int, most: int) -> Bound:
        """Return SQL for at most `most` changes with ids above `after`."""
        return self.bound(select(changes).where(changes.c.id > after).order_by(changes.c.id).limit(most))

    def changes_between(self, since: str | None, until: str | None, actor: str | None, most: int) -> Bound:
        """Return SQL for at most `most` changes in [since, until) by an actor, the newest first."""
        wanted: list[ColumnElement[bool]] = []
        if since is not None:
            wanted.append(changes.c.at >= since)
        if until is not None:
            wanted.append(changes.c.at < until)
        if actor is not None:
            begins = func.substr(changes.c.actor, 1, len(actor) + 1)
            wanted.append(or_(changes.c.actor == actor, *(begins == f"{actor}{sign}" for sign in "@:")))
        return self.bound(select(changes).where(*wanted).order_by(changes.c.id.desc()).limit(most))

    @cached_property
    def version(self) -> Bound:
        """SQL for the highest id of the changes, 0 for none, and the number among the last 1,000 ids."""
        last = select(func.coalesce(func.max(changes.c.id), 0)).scalar_subquery()
        recent = select(func.count()).where(changes.c.id > last - 1_000).scalar_subquery()
        return self.bound(select(last, recent))

    @cached_property
    def changes_of(self) -> str:
        """Takes subject and kind; gives its changes."""
        wanted = (changes.c.subject == bindparam("wanted"), changes.c.kind == bindparam("wanted_kind"))
        return self._sql(select(changes).where(*wanted).order_by(changes.c.id), ["wanted", "wanted_kind"])

    @cached_property
    def clears_after(self) -> str:
        """Takes an id; gives the changes of the whole registry above it."""
        wanted = (changes.c.subject.is_(None), changes.c.id > bindparam("after"))
        return self._sql(select(changes).where(*wanted).order_by(changes.c.id), ["after"])

    @cached_property
    def update_status(self) -> str:
        """Takes state, time and name of the last report, detail, updated_at and resource_id.

        Without a time or a name those that are stored stay.
        """
        at, name = (bindparam(one, type_=Text) for one in ("sent_at", "sent_name"))
        c = reporting_status.c
        statement = (
            update(reporting_status)
            .where(c.resource_id == bindparam("wanted"))
            .values(
                state=bindparam("state"),
                last_report_at=func.coalesce(at, c.last_report_at),
                last_report_name=func.coalesce(name, c.last_report_name),
                detail=bindparam("detail"),
                updated_at=bindparam("now"),
            )
        )
        return self._sql(statement, ["state", "sent_at", "sent_name", "detail", "now", "wanted"])

    @cached_property
    def insert_status(self) -> str:
        """Takes what `update_status` takes; nothing is done for one that is there, or for no resource."""
        names = ("state", "sent_at", "sent_name", "detail", "now")
        known = exists().where(reporting_status.c.resource_id == resources.c.resource_id)
        found = select(resources.c.resource_id, *(bindparam(name, type_=Text) for name in names)).where(
            resources.c.resource_id == bindparam("wanted"), ~known
        )
        columns = [column.name for column in reporting_status.columns]
        return self._sql(insert(reporting_status).from_select(columns, found), [*names, "wanted"])

    @cached_property
    def status_of(self) -> str:
        """Takes resource_id; gives the columns of `reporting_status`."""
        wanted = reporting_status.c.resource_id == bindparam("resource_id")
        return self._sql(select(reporting_status).where(wanted), ["resource_id"])

    @cached_property
    def all_status(self) -> str:
        """Takes nothing; gives the columns of `reporting_status`."""
        return self._sql(select(reporting_status).order_by(reporting_status.c.resource_id), [])

    def counts_by(self, name: str) -> str:
        """Return SQL for (value, count) of one column of `resources`, rows without a value left out."""
        column = resources.c[name]
        counted = func.count().label("n")
        statement = select(column, counted).where(column.is_not(None)).group_by(column)
        return self._sql(statement.order_by(counted.desc(), column), [])


def _served() -> ColumnElement[bool]:
    return or_(
        resources.c.connection_id == bindparam("reader"),
        resources.c.control_connection_id == bindparam("writer"),
    )


#: What an insert or update of a resource takes, in the order of the table.
INSERT_ORDER = tuple(
    column.name
    for column in resources.columns
    if column.name in {*RESOURCE_COLUMNS, "connection_id", "control_connection_id"}
)

#: The indexed ones of these: SQLite rewrites an index whenever an update names one of its columns.
INDEXED = ("resource_id", "resource_type", "meter_point_id", "connection_id", "ven", "control_connection_id")
