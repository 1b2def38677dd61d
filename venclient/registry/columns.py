"""Our own CSV layout: one line per resource, from which the same resource comes back exactly.

`ven resources export` writes it, `ven import` knows it by its header. How a cell is written:

- an empty cell is None, or a value that is not there;
- numbers have a decimal point and every digit they need; yes and no are `true` and `false`;
- `reporting`, `..._options` and `..._other` are JSON objects; `..._other` has what the columns beside it
  cannot hold (a capacity of another name, one that is null);
- text stands as it is, but for two forms. Text that a spreadsheet would run as a formula, or would
  round, has an apostrophe before it, which is dropped on reading. Text with line breaks, control
  characters or space at an end, and empty text, is a JSON string, in quotes: a record is always one line;
- a username or password that is not a reference is `***`: reading it back keeps the one that is stored.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from enum import Enum
from typing import Any, TypeGuard, TypeVar

from venclient import spreadsheet
from venclient.messages import importing as imp
from venclient.messages import text_of, with_code
from venclient.messages.printable import foreign, json_escaped
from venclient.model.resource import (
    ActorType,
    Connection,
    ConnectionType,
    Resource,
    ResourceType,
    enum_member,
)
from venclient.secrets import shown
from venclient.utils import REDACTED

T = TypeVar("T")
E = TypeVar("E", bound=Enum)

_CONNECTION_PARTS = (
    "type",
    "actor",
    "host",
    "port",
    "topic",
    "file",
    "username",
    "password",
    "options",
)

#: The header; the order is that of the columns in a file that we write.
COLUMNS = (
    "resource_id",
    "name",
    "type",
    "sub_type",
    "ven",
    "meter_point_id",
    "address",
    "latitude",
    "longitude",
    "p_max_kw",
    "p_min_kw",
    "e_max_kwh",
    "e_min_kwh",
    "enabled",
    "reporting",
    "location_other",
    "capacities_other",
    *(f"connection_{part}" for part in _CONNECTION_PARTS),
    *(f"control_{part}" for part in _CONNECTION_PARTS),
)

_LOCATION = {"latitude": "latitude", "longitude": "longitude"}
_CAPACITIES = {
    "p_max_kw": "P_max_kw",
    "p_min_kw": "P_min_kw",
    "e_max_kwh": "E_max_kwh",
    "e_min_kwh": "E_min_kwh",
}


class BadCells(ValueError):
    """A row is invalid; `problems` holds (column, reason) for every bad cell."""

    def __init__(self, problems: Iterable[tuple[str, str]]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{column}: {with_code(reason)}" for column, reason in self.problems))


def is_own(header: Iterable[str]) -> bool:
    """Return whether this is the header of a file in this layout, in any order of columns."""
    names = [name.strip() for name in header]
    return len(names) == len(COLUMNS) and set(names) == set(COLUMNS)


def encode(resource: Resource) -> list[str]:
    """Return the cells of a resource, in the order of COLUMNS; no secret is among them."""
    location, location_other = _parted(resource.location, _LOCATION)
    capacities, capacities_other = _parted(resource.capacities, _CAPACITIES)
    return [
        _written(resource.resourceID),
        _written(resource.resourceName),
        _written(resource.resourceType),
        _written(resource.resourceSubType),
        _written(resource.ven),
        _written(resource.meterPointId),
        _written(resource.address),
        *location,
        *capacities,
        "" if resource.enabled is None else "true" if resource.enabled else "false",
        _json(resource.reporting),
        location_other,
        capacities_other,
        *_encode_connection(resource.connection),
        *_encode_connection(resource.control_connection),
    ]


def decode(cells: Mapping[str, str]) -> Resource:
    """Return the resource of a row, by column name; BadCells names every invalid cell.

    Secrets that were not written out are REDACTED in it: see `keep_secrets`.
    """
    row = _Row(cells)
    connection = row.connection("connection")
    if connection is None and not row.problems:
        row.problems.append(("connection_type", imp.NO_CONNECTION()))
    resource = Resource(
        row.needed("resource_id"),
        row.needed("name"),
        row.member("type", ResourceType, ResourceType.DSR).name,
        row.text("sub_type"),
        row.needed("meter_point_id"),
        connection or Connection(ConnectionType.FILEREADER, ActorType.READER),
        row.numbers(_CAPACITIES, "capacities_other"),
        row.numbers(_LOCATION, "location_other"),
        row.text("address"),
        row.flag("enabled"),
        row.object("reporting"),
        row.text("ven"),
        row.connection("control"),
    )
    if row.problems:
        raise BadCells(row.problems)
    return resource


def keep_secrets(read: Resource, stored: Resource | None) -> tuple[Resource, list[str]]:
    """Return `read` with the stored resource's secrets in place of REDACTED, and the names of those missing.

    Such a secret becomes None; the names ("control connection password") are for a warning.
    """
    lost: list[str] = []
    connection = _kept(read.connection, stored.connection if stored else None, "connection", lost)
    control = read.control_connection
    if control is not None:
        control = _kept(control, stored.control_connection if stored else None, "control connection", lost)
    return replace(read, connection=connection, control_connection=control), lost


def _kept(read: Connection, stored: Connection | None, place: str, lost: list[str]) -> Connection:
    def kept(name: str) -> str | None:
        value: str | None = getattr(read, name)
        if value != REDACTED:
            return value
        known: str | None = getattr(stored, name) if stored is not None else None
        if known is None:
            lost.append(f"{place} {name}")
        return known

    return replace(read, username=kept("username"), password=kept("password"))


def _encode_connection(connection: Connection | None) -> list[str]:
    if connection is None:
        return [""] * len(_CONNECTION_PARTS)
    return [
        connection.type.name,
        connection.actortype.name,
        _written(connection.host),
        "" if connection.port is None else str(connection.port),
        _written(connection.topic),
        _written(connection.file),
        _written(shown(connection.username)),
        _written(shown(connection.password)),
        _json(connection.options),
    ]


def _parted(values: Mapping[str, Any], names: Mapping[str, str]) -> tuple[list[str], str]:
    """Return the cells of the named numbers, and as JSON all that those cells cannot hold."""
    cells = []
    other = dict(values)
    for name in names.values():
        value = values.get(name)
        if _is_number(value):
            cells.append(repr(value))
            del other[name]
        else:
            cells.append("")
    return cells, _json(other) if other else ""


def _written(text: str | None) -> str:
    return "" if text is None else spreadsheet.cell(text)


def _json(value: Mapping[str, Any] | None) -> str:
    if value is None:
        return ""
    return json_escaped(json.dumps(value, ensure_ascii=False))


class _Row:
    """The cells of one row; what is wrong with them gathers in `problems`."""

    def __init__(self, cells: Mapping[str, str]) -> None:
        self.problems: list[tuple[str, str]] = []
        self._cells = cells

    def text(self, column: str) -> str | None:
        return self._read(column, _text)

    def needed(self, column: str) -> str:
        if not self._cells.get(column):
            self.problems.append((column, imp.EMPTY_CELL()))
        return self._read(column, _text) or ""

    def member(self, column: str, kind: type[E], otherwise: E) -> E:
        if not self._cells.get(column):
            self.problems.append((column, imp.EMPTY_CELL()))
        return self._read(column, lambda cell: enum_member(kind, cell)) or otherwise

    def flag(self, column: str) -> bool | None:
        return self._read(column, _flag)

    def object(self, column: str) -> dict[str, Any] | None:
        return self._read(column, _object)

    def numbers(self, names: Mapping[str, str], other: str) -> dict[str, Any]:
        found = self.object(other) or {}
        for column, name in names.items():
            value = self._read(column, _number)
            if value is not None:
                found[name] = value
        return found

    def connection(self, prefix: str) -> Connection | None:
        if not any(self._cells.get(f"{prefix}_{part}") for part in _CONNECTION_PARTS):
            return None
        return Connection(
            self.member(f"{prefix}_type", ConnectionType, ConnectionType.FILEREADER),
            self.member(f"{prefix}_actor", ActorType, ActorType.READER),
            self.text(f"{prefix}_host"),
            self._read(f"{prefix}_port", _port),
            self.text(f"{prefix}_topic"),
            self.text(f"{prefix}_file"),
            self.text(f"{prefix}_username"),
            self.text(f"{prefix}_password"),
            self.object(f"{prefix}_options"),
        )

    def _read(self, column: str, read: Callable[[str], T]) -> T | None:
        cell = self._cells.get(column)
        if not cell:
            return None
        try:
            return read(cell)
        except ValueError as error:
            self.problems.append((column, text_of(error)))
            return None


def _text(cell: str) -> str:
    try:
        text = spreadsheet.text_of(cell)
    except ValueError:
        raise ValueError(imp.NOT_A_JSON_STRING(value=foreign(cell[:40]))) from None
    if text == cell and spreadsheet.ROUNDED.fullmatch(cell):
        raise ValueError(imp.ROUNDED(value=foreign(cell)))
    return text


def _flag(cell: str) -> bool:
    # Spreadsheets write the words in capitals.
    if cell.casefold() not in ("true", "false"):
        raise ValueError(imp.NOT_TRUE_OR_FALSE(value=foreign(cell)))
    return cell.casefold() == "true"


def _is_number(value: object) -> TypeGuard[int | float]:
    return type(value) is int or (type(value) is float and math.isfinite(value))


def _number(cell: str) -> int | float:
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        value = None
    if not _is_number(value):
        raise ValueError(imp.NOT_A_PLAIN_NUMBER(value=foreign(cell)))
    return value


def _port(cell: str) -> int:
    if not (cell.isascii() and cell.isdigit()) or len(cell) > 9:
        raise ValueError(imp.PORT(port=foreign(cell)))
    return int(cell)


def _object(cell: str) -> dict[str, Any]:
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError) as error:
        raise ValueError(imp.NOT_JSON(problem=error)) from None
    if not isinstance(value, dict):
        raise ValueError(imp.NOT_A_JSON_OBJECT())
    return value
