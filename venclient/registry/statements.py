"""The registry's SQL: said once with SQLAlchemy Core, run by the driver.

Core checks names against the schema and knows each database's dialect; running its statements through
the driver itself saves the two thirds of a point query that Core's result handling costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, exists, func, insert, or_, select, update
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ClauseElement, ColumnElement, Select

from venclient.registry.rows import type_spellings
from venclient.registry.schema import CONNECTION_COLUMNS, RESOURCE_COLUMNS, connections, resources

_writer = connections.alias("writer")


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
    )
    joined = resources.outerjoin(connections, resources.c.connection_id == connections.c.id).outerjoin(
        _writer, resources.c.control_connection_id == _writer.c.id
    )
    return select(*parts).select_from(joined).order_by(resources.c.id)


def matching(
    *, ven: str | None, enabled: bool | None, resource_type: str | None
) -> list[ColumnElement[bool]]:
    """Give the conditions on `resources` that the filters say; None does not filter.

    A resource whose `enabled` is null counts as enabled, as the column's default has it.
    """
    found: list[ColumnElement[bool]] = []
    if ven is not None:
        found.append(resources.c.ven == ven)
    if enabled is not None:
        found.append(func.coalesce(resources.c.enabled, True) == enabled)
    if resource_type is not None:
        found.append(resources.c.resource_type.in_(type_spellings(resource_type)))
    return found


class Statements:
    """The statements that are always the same, compiled once for a dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def bound(self, statement: ClauseElement) -> Bound:
        """Give a statement that was made for one occasion, with its values."""
        compiled = statement.compile(dialect=self._dialect, compile_kwargs={"render_postcompile": True})
        values: Mapping[str, Any] = compiled.params
        order: Sequence[str] = getattr(compiled, "positiontup", None) or ()
        return Bound(str(compiled), tuple(values[name] for name in order))

    def _sql(self, statement: ClauseElement, names: Sequence[str]) -> str:
        """Give the SQL of a statement that takes its values in the order of `names`."""
        compiled = statement.compile(dialect=self._dialect)
        order = list(getattr(compiled, "positiontup", None) or ())
        if order != list(names):  # a mistake in this module, that would put values into wrong columns
            raise AssertionError(f"values would go to {order}, not {list(names)}")
        return str(compiled)

    @cached_property
    def resource_by_id(self) -> str:
        """Takes resource_id."""
        wanted = resources.c.resource_id == bindparam("resource_id")
        return self._sql(resource_rows().where(wanted), ["resource_id"])

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
        """Takes INSERT_ORDER, then the row id; `updated_at` becomes now."""
        values: dict[str, Any] = {name: bindparam(name) for name in INSERT_ORDER}
        values["updated_at"] = func.current_timestamp()
        statement = update(resources).where(resources.c.id == bindparam("row_id")).values(values)
        return self._sql(statement, [*INSERT_ORDER, "row_id"])

    @cached_property
    def users_of_connection(self) -> str:
        """Takes a connection id, twice; gives how many resources it serves, in either part."""
        wanted = or_(
            resources.c.connection_id == bindparam("reader"),
            resources.c.control_connection_id == bindparam("writer"),
        )
        statement = select(func.count()).select_from(resources).where(wanted)
        return self._sql(statement, ["reader", "writer"])

    @cached_property
    def stored_behind(self) -> str:
        """Takes a connection id; gives how many resources read through that one or a newer one."""
        statement = select(func.count()).select_from(resources)
        return self._sql(statement.where(resources.c.connection_id >= bindparam("reader")), ["reader"])

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
        """Takes enabled and resource_id; `updated_at` becomes now."""
        statement = (
            update(resources)
            .where(resources.c.resource_id == bindparam("wanted"))
            .values(enabled=bindparam("enabled"), updated_at=func.current_timestamp())
        )
        return self._sql(statement, ["enabled", "wanted"])

    @cached_property
    def clear(self) -> tuple[str, str]:
        """Take nothing; delete all resources, then all connections."""
        return self._sql(delete(resources), []), self._sql(delete(connections), [])

    def counts_by(self, name: str) -> str:
        """Give SQL for (value, count) of one column of `resources`, rows without a value left out."""
        column = resources.c[name]
        counted = func.count().label("n")
        statement = select(column, counted).where(column.is_not(None)).group_by(column)
        return self._sql(statement.order_by(counted.desc(), column), [])


#: What an insert or update of a resource takes, in the order of the table.
INSERT_ORDER = tuple(
    column.name
    for column in resources.columns
    if column.name in {*RESOURCE_COLUMNS, "connection_id", "control_connection_id"}
)
