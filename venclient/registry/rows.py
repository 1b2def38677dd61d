"""Rows of the registry <-> Resource and Connection: the one place that knows how each column is spelt.

Reading is on the hot path of the whole-registry queries, so objects are filled without their
constructors, which would look up again what a table of known spellings gives.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import msgspec

from venclient.errors import InvalidRecord
from venclient.messages import Text, text_of, with_code
from venclient.messages import registry as reg
from venclient.model.resource import (
    ActorType,
    Connection,
    ConnectionType,
    Resource,
    ResourceType,
    enum_member,
)
from venclient.registry.placing import placed
from venclient.registry.schema import CONNECTION_COLUMNS, RESOURCE_COLUMNS
from venclient.secrets import opened

Row: TypeAlias = Sequence[Any]
#: Seals a literal; references, sealed texts and None come back as they are.
Seal: TypeAlias = Callable[[str | None], str | None]

#: Where things are in a row of `statements.resource_rows`.
RESOURCE_AT = 1
METER_AT = RESOURCE_AT + RESOURCE_COLUMNS.index("meter_point_id")
VEN_AT = RESOURCE_AT + RESOURCE_COLUMNS.index("ven")
READER_AT = RESOURCE_AT + len(RESOURCE_COLUMNS) + 1
WRITER_AT = READER_AT + 1 + len(CONNECTION_COLUMNS)
VERSION_AT = WRITER_AT + 1 + len(CONNECTION_COLUMNS)

#: JSON in a column is no longer than this, and no deeper.
MOST_CELL = 2**20
MOST_NESTED = 100
#: Each level takes two brackets: a text that is no longer cannot be nested too deeply, as nearly all are.
_SHORT = 2 * MOST_NESTED
#: Brackets; a text in quotes is one match, and does not count.
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')

_decoder = msgspec.json.Decoder(dict[str, Any])
_object = _decoder.decode
_new = object.__new__
_TYPE_NAMES = {text: member.name for member in ResourceType for text in (member.name, member.value)}
_CONNECTION_TYPES = {text: member for member in ConnectionType for text in (member.name, member.value)}
_NAMES: dict[ConnectionType | ActorType, str] = {one: one.name for one in (*ConnectionType, *ActorType)}
_ACTOR_TYPES = {text: member for member in ActorType for text in (member.name, member.value)}
_WORDS: dict[type[Any], dict[Any, str]] = {
    ResourceType: _TYPE_NAMES,
    ConnectionType: {text: member.name for text, member in _CONNECTION_TYPES.items()},
    ActorType: {text: member.name for text, member in _ACTOR_TYPES.items()},
}


class BadRow(ValueError):
    """A row is invalid; names the column and the reason."""


def type_name(text: str) -> str:
    """Return the name of a resource type ("DSR") for its name or value in any case; ValueError lists them."""
    return _TYPE_NAMES.get(text) or enum_member(ResourceType, text).name


def type_spellings(text: str) -> tuple[str, ...]:
    """Return every spelling that databases hold of one resource type; of an unknown one, just that."""
    try:
        member = enum_member(ResourceType, text)
    except ValueError:
        return (text,)
    spellings = (member.name, str(member.value))
    return tuple(dict.fromkeys((*spellings, *map(str.lower, spellings), *map(str.upper, spellings))))


def decode_connection(row: Row, at: int = 0) -> Connection:
    """Return the connection whose id and columns begin at `at`; BadRow says what is wrong."""
    (row_id, kind, actor, host, port, topic, file, username, password, options) = row[at : at + 10]
    connection: Connection = _new(Connection)
    connection.type = _CONNECTION_TYPES.get(kind) or _member(ConnectionType, kind, "connections.type")
    connection.actortype = _ACTOR_TYPES.get(actor) or _member(ActorType, actor, "connections.actortype")
    connection.host = host
    connection.port = port
    connection.topic = topic
    connection.file = file
    connection.username = None if username is None else opened(username)
    connection.password = None if password is None else opened(password)
    connection.options = None if options is None else json_object(options, "connections.options")
    connection.id = row_id
    return connection


def decode_resource(row: Row) -> Resource:
    """Return the resource of a row of `statements.resource_rows`; BadRow says what is wrong."""
    resource_id, name, kind, sub_type, meter, capacities, location, address, ven, enabled, reporting = row[
        RESOURCE_AT : READER_AT - 1
    ]
    if row[READER_AT] is None:
        raise BadRow(reg.DANGLING(column="connection_id"))
    if row[WRITER_AT] is None and row[READER_AT - 1] is not None:
        raise BadRow(reg.DANGLING(column="control_connection_id"))
    resource: Resource = _new(Resource)
    resource.resourceID = resource_id
    resource.resourceName = name
    resource.resourceType = _TYPE_NAMES.get(kind) or _member(ResourceType, kind, "resource_type").name
    resource.resourceSubType = sub_type
    resource.meterPointId = meter
    resource.connection = decode_connection(row, READER_AT)
    resource.capacities = json_object(capacities, "capacities")
    resource.location = json_object(location, "location")
    resource.address = address
    resource.enabled = None if enabled is None else bool(enabled)
    resource.reporting = None if reporting is None else json_object(reporting, "reporting")
    resource.ven = ven
    resource.control_connection = None if row[WRITER_AT] is None else decode_connection(row, WRITER_AT)
    resource.version = row[VERSION_AT]
    return resource


def encode_connection(connection: Connection, seal: Seal | None = None) -> tuple[Any, ...]:
    """Return the values of CONNECTION_COLUMNS, the login sealed; InvalidRecord if options are not JSON.

    Without `seal` the login comes as it is: to compare with, not to store.
    """
    options = connection.options
    username, password = connection.username, connection.password
    if seal is not None and not (username is None and password is None):
        username, password = seal(username), seal(password)
    return (
        _NAMES[connection.type],  # an enum's own `name` takes four times as long
        _NAMES[connection.actortype],
        connection.host,
        connection.port,
        connection.topic,
        connection.file,
        username,
        password,
        None if options is None else _text(options, "options", connection.endpoint),
    )


def refused(problems: Sequence[str], subject: str) -> InvalidRecord:
    """Return the error that lists all that is wrong with `subject`, each problem with its code."""
    if len(problems) == 1 and isinstance(problems[0], Text):
        what: str = problems[0]
    else:
        what = reg.PROBLEMS(problems="; ".join(map(with_code, problems)))
    return InvalidRecord(what, subject=subject, hint=reg.PROBLEMS.hint, problems=tuple(problems))


def unstorable(resource: Resource, problems: Sequence[str]) -> InvalidRecord:
    """Return the error that lists all that is wrong with a resource."""
    return refused(problems, f"resource {resource.resourceID!r}")


def encode_resource(resource: Resource, ven: str | None) -> tuple[Any, ...]:
    """Return the values of RESOURCE_COLUMNS; InvalidRecord lists everything that cannot be stored.

    An `enabled` that was never set is stored as true, which is the column's default.
    """
    problems = _problems(resource)
    if problems:
        raise unstorable(resource, problems)
    try:
        capacities, location = _encode(resource.capacities).decode(), _encode(resource.location).decode()
    except (TypeError, ValueError, RecursionError):  # which of them it is
        capacities = _text(resource.capacities, "capacities", f"resource {resource.resourceID}")
        location = _text(resource.location, "location", f"resource {resource.resourceID}")
    reporting = resource.reporting
    return (
        resource.resourceID,
        resource.resourceName,
        _TYPE_NAMES.get(resource.resourceType) or type_name(resource.resourceType),
        resource.resourceSubType,
        resource.meterPointId,
        capacities,
        location,
        resource.address,
        ven,
        resource.enabled is None or bool(resource.enabled),
        None if reporting is None else _text(reporting, "reporting", f"resource {resource.resourceID}"),
    )


def as_stored(resource: Resource, ven: str | None) -> Resource:
    """Return the resource as it would come back from the registry."""
    return decode_resource(as_row(resource, ven))


def as_row(resource: Resource, ven: str | None) -> Row:
    """Return the row of `statements.resource_rows` that a resource would have, with 0 for each row id."""
    reader = (0, *encode_connection(resource.connection))
    control = resource.control_connection
    writer = (None,) * len(reader) if control is None else (0, *encode_connection(control))
    return (0, *encode_resource(resource, ven), None if control is None else 0, *reader, *writer, None)


def _problems(resource: Resource) -> list[str]:
    if (
        resource.resourceID
        and type(resource.resourceID) is type(resource.resourceName) is type(resource.meterPointId) is str
        and resource.resourceType in _TYPE_NAMES
        and type(resource.capacities) is type(resource.location) is dict
        and type(resource.connection) is Connection
    ):
        return []  # nearly all are, and thousands may come at once
    problems: list[str] = [
        reg.NOT_TEXT(field=name, value=getattr(resource, name))
        for name in ("resourceID", "resourceName", "resourceType", "meterPointId")
        if not isinstance(getattr(resource, name), str)
    ]
    if resource.resourceID == "":
        problems.append(reg.EMPTY(field="resourceID"))
    if isinstance(resource.resourceType, str):
        try:
            type_name(resource.resourceType)
        except ValueError as error:
            problems.append(text_of(error))
    problems += [
        reg.NOT_A_DICT(field=name, value=getattr(resource, name))
        for name in ("capacities", "location")
        if not isinstance(getattr(resource, name), dict)
    ]
    if not isinstance(getattr(resource, "connection", None), Connection):
        problems.append(reg.NOT_A_CONNECTION(place="connection"))
    return problems


def _member(kind: type[Any], text: object, place: str) -> Any:
    try:
        return enum_member(kind, text)
    except ValueError as error:
        raise BadRow(placed(place, text_of(error), reg.COLUMN_VALUE)) from None


def json_object(text: Any, place: str) -> dict[str, Any]:
    """Return the object that a column holds as JSON; BadRow names the column."""
    if (type(text) is not str or len(text) > _SHORT) and not _is_bounded(text):
        raise BadRow(reg.CELL_TOO_LARGE(column=place, most=MOST_CELL, deep=MOST_NESTED))
    try:
        return _object(text)
    except (msgspec.DecodeError, TypeError, RecursionError):
        pass
    # The first generation's JSON module writes NaN for a number that it did not have.
    try:
        value = json.loads(text, parse_constant=lambda _: None)
    except (ValueError, TypeError, RecursionError) as error:
        raise BadRow(reg.COLUMN_NOT_JSON(column=place, problem=error)) from None
    if not isinstance(value, dict):
        raise BadRow(reg.COLUMN_NOT_OBJECT(column=place))
    return value


def json_objects(texts: Sequence[Any], place: str) -> list[Any]:
    """Return `json_object` of each cell, None for None; equal texts may share one object."""
    distinct = [text for text in {*texts} if text is not None]
    if len(distinct) * 2 > len(texts):  # nearly all differ
        distinct = [text for text in texts if text is not None]
    found = _by_line(distinct) or [json_object(text, place) for text in distinct]
    if len(distinct) == len(texts):
        return found
    known = dict(zip(distinct, found, strict=True))
    return [known.get(text) for text in texts]


def _by_line(texts: Sequence[Any]) -> list[dict[str, Any]] | None:
    """Return the objects of short texts, read in one go; None says nothing of them."""
    try:
        if not texts or max(map(len, texts)) > _SHORT or not all(texts):
            return None
        lines = "\n".join(texts)
        return _decoder.decode_lines(lines) if lines.count("\n") == len(texts) - 1 else None
    except (msgspec.DecodeError, TypeError):
        return None


def words(kind: type[Any], column: Sequence[Any], place: str) -> Sequence[str]:
    """Return the names of the members that the cells of a column name or value; BadRow names the column."""
    try:
        return list(map(_WORDS[kind].__getitem__, column))
    except (KeyError, TypeError):
        return [str(_member(kind, text, place).name) for text in column]


def _is_bounded(text: object) -> bool:
    """Return whether JSON is neither too long nor nested too deeply; anything else is left to the reader."""
    if not isinstance(text, str | bytes):
        return True
    if len(text) > MOST_CELL:
        return False
    held = text if isinstance(text, str) else text.decode("utf-8", "replace")
    if held.count("[") + held.count("{") <= MOST_NESTED:
        return True
    depth = most = 0
    for bracket in _BRACKETS.findall(held):
        if len(bracket) == 1:
            depth += 1 if bracket in "[{" else -1
        most = max(most, depth)
    return most <= MOST_NESTED


def _text(value: dict[str, Any], name: str, subject: str) -> str:
    try:
        return _encode(value).decode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRecord(reg.NOT_JSON(field=name, problem=error), subject=subject) from None


def _plain(value: object) -> object:
    """Return the plain number in one of numpy's, as data frames hold them."""
    item = getattr(value, "item", None)
    if callable(item):
        return item()
    if isinstance(value, float):
        return float(value)
    raise TypeError(reg.NO_JSON_FORM(kind=type(value).__name__))


_encode = msgspec.json.Encoder(enc_hook=_plain).encode
#: Gives a value as JSON in the registry's words; TypeError, ValueError or RecursionError when it is none.
encoded = _encode
