"""What each column of the registry's tables may hold: for a copy, and for `ven db check`. Pure.

SQLite stores any value in any column, so another program may have left text where a number belongs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import TIMESTAMP, Boolean, Column, Integer, Table

from venclient.messages import Text, text_of
from venclient.messages import registry_files as dbf
from venclient.messages.printable import foreign
from venclient.model.reporting import REPORTING_STATES
from venclient.model.resource import ActorType, ConnectionType, ResourceType, enum_member
from venclient.registry.recorded import Blocks
from venclient.registry.rows import json_object

_ACTIONS = ("insert", "update", "delete", "clear")
_KINDS = ("resource", "connection", "registry")


def converted(column: Column[Any], cell: object) -> Any:
    """Return a cell in the form that both kinds of database store; ValueError says why it has none."""
    if cell is None:
        if column.nullable:
            return None
        raise ValueError(dbf.NULL_CELL())
    if isinstance(column.type, Boolean):
        if isinstance(cell, int):
            return bool(cell)
        raise ValueError(dbf.NOT_TRUTH(value=_quoted(cell)))
    if isinstance(column.type, Integer):
        if isinstance(cell, int):
            return cell
        raise ValueError(dbf.NOT_INTEGER(value=_quoted(cell)))
    if not isinstance(cell, str):
        raise ValueError(dbf.NOT_TEXT(type=type(cell).__name__))
    return _time(cell) if isinstance(column.type, TIMESTAMP) else cell


def placed(table: Table, row_id: object, column: str, problem: str) -> str:
    """Return a problem with its table, row and column in front, under the same code."""
    place = f"{table.name} row {foreign(row_id)}, {column}: "
    return problem.within(place) if isinstance(problem, Text) else place + problem


def row_problems(table: Table, row: Sequence[object]) -> Iterator[str]:
    """Yield a problem for each cell of a row that is of the wrong type, or that this program cannot read."""
    for column, cell in zip(table.columns, row, strict=True):
        try:
            value = converted(column, cell)
            read = _CONTENT.get((table.name, column.name))
            if read is not None and value is not None:
                read(value)
        except (ValueError, TypeError, RecursionError) as error:
            yield placed(table, row[0], column.name, text_of(error))


def _quoted(cell: object) -> str:
    return foreign(repr(cell))


def _time(text: str) -> str:
    """Return a time as SQLite writes it, in UTC: 2026-01-31 12:00:00, and a fraction when there is one."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise ValueError(dbf.NOT_TIME(value=_quoted(text))) from None
    written = moment.isoformat(" ")
    return written.rstrip("0") if moment.microsecond else written


def _json(kind: Any) -> Callable[[str], object]:
    """Return what reads JSON of a kind; ValueError when it is something else."""
    decode = msgspec.json.Decoder(kind).decode

    def read(text: str) -> object:
        try:
            return decode(text)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValueError(dbf.NOT_JSON_OF(problem=error)) from None

    return read


def _object(text: str) -> object:
    return json_object(text, "the value")


def _one_of(*known: str) -> Callable[[str], object]:
    """Return what checks that a text is one of those known."""

    def read(text: str) -> object:
        if text not in known:
            raise ValueError(dbf.UNKNOWN_WORD(value=_quoted(text), known=known))
        return text

    return read


def _member(kind: type[Any]) -> Callable[[str], object]:
    return lambda text: enum_member(kind, text)


#: What reads the content of a column, beyond its type; ValueError says what is wrong.
_CONTENT: dict[tuple[str, str], Callable[[str], object]] = {
    ("connections", "type"): _member(ConnectionType),
    ("connections", "actortype"): _member(ActorType),
    ("connections", "options"): _object,
    ("resources", "resource_type"): _member(ResourceType),
    ("resources", "capacities"): _object,
    ("resources", "location"): _object,
    ("resources", "reporting"): _object,
    ("changes", "at"): _time,
    ("changes", "action"): _one_of(*_ACTIONS),
    ("changes", "kind"): _one_of(*_KINDS),
    ("changes", "before"): _json(dict[str, Any]),
    ("changes", "after"): _json(dict[str, Any]),
    ("reporting_status", "state"): _one_of(*REPORTING_STATES),
    ("reporting_status", "last_report_at"): _time,
    ("reporting_status", "updated_at"): _time,
    ("import_sources", "resource_ids"): _json(list[str]),
    ("import_sources", "updated_at"): _time,
    ("import_sources", "imported_values"): _json(Blocks),
}
