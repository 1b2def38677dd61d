"""Partial changes of a resource or a connection: pure, by field name or dotted name, all mistakes at once.

    capacities={"P_max_kw": 60}            members that are not named stay; None removes one
    {"capacities.P_max_kw": 60}            the same
    {"connection.host": "meter-2"}         one field of the connection
    connection=Connection(...)             another connection altogether
    control_connection=None, reporting=None     none any more

Names are those of the dataclasses. A resource's id is what everything else knows it by: it cannot change.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from venclient.messages import registry as reg
from venclient.messages import text_of
from venclient.model.resource import ActorType, Connection, Resource
from venclient.registry.placing import placed
from venclient.registry.rows import refused

_FIXED = ("resourceID", "version")
_MAPPINGS = ("capacities", "location", "reporting")
_LINKS = ("connection", "control_connection")
_FIELDS = tuple(one.name for one in fields(Resource) if one.name not in _FIXED)
_LINK_FIELDS = tuple(one.name for one in fields(Connection) if one.name != "id")


def amended(resource: Resource, changes: Mapping[Any, Any]) -> Resource:
    """Return the resource as `changes` leave it, not changing it; InvalidRecord lists every mistake."""
    made = copy.deepcopy(resource)
    problems: list[str] = []
    for name, value in changes.items():
        if not isinstance(name, str):
            problems.append(reg.NOT_A_NAME(field=reg.THE_CHANGES(), value=name))
            continue
        field, _, rest = name.partition(".")
        if field in _FIXED:
            problems.append(reg.FIXED(field=field))
        elif field not in _FIELDS:
            problems.append(_unknown(name, _FIELDS))
        elif field in _MAPPINGS:
            problems += _merge(made, field, {rest: value} if rest else value)
        elif field in _LINKS:
            problems += _link(made, field, {rest: value} if rest else value)
        elif rest:
            problems.append(reg.NO_MEMBERS(name=name, field=field))
        else:
            setattr(made, field, value)
    _refuse(problems, f"resource {resource.resourceID!r}")
    return made


def amended_connection(connection: Connection, changes: Mapping[str, Any]) -> Connection:
    """Return the connection as `changes` leave it, as `amended` does."""
    made, problems = _changed_connection(connection, changes, "")
    _refuse(problems, f"connection {connection.id} ({connection.endpoint})")
    return made


def _refuse(problems: list[str], subject: str) -> None:
    if problems:
        raise refused(problems, subject)


def _merge(made: Resource, field: str, given: object) -> list[str]:
    """Merge members into one of the dicts; `reporting` alone may be None."""
    if given is None and field == "reporting":
        made.reporting = None
        return []
    if not isinstance(given, Mapping):
        return [reg.CHANGES_NOT_DICT(field=field, value=given)]
    if wrong := _wrong_names(field, given):
        return wrong
    merged = _merged(getattr(made, field) or {}, given)
    setattr(made, field, (merged or None) if field == "reporting" else merged)
    return []


def _merged(held: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a dict with others' members over its own; dots lead into dicts inside, None removes a member."""
    found = dict(held)
    for name, value in given.items():
        first, _, rest = name.partition(".")
        if rest:
            inner = found.get(first)
            found[first] = _merged(inner if isinstance(inner, Mapping) else {}, {rest: value})
        elif value is None:
            found.pop(first, None)
        else:
            found[first] = value
    return found


def _wrong_names(field: str, given: Mapping[Any, Any]) -> list[str]:
    return [reg.NOT_A_NAME(field=field, value=name) for name in given if not isinstance(name, str)]


def _link(made: Resource, field: str, given: object) -> list[str]:
    if isinstance(given, Connection):
        setattr(made, field, copy.deepcopy(given))
        return []
    if given is None and field == "control_connection":
        made.control_connection = None
        return []
    if not isinstance(given, Mapping):
        return [reg.LINK_CHANGES(field=field, kind=type(given).__name__)]
    held: Connection | None = getattr(made, field)
    if held is None:
        given = {"actortype": ActorType.WRITER} | dict(given)
        if "type" not in given:
            return [reg.NEW_LINK_TYPE(field=field)]
        try:
            held = Connection(given["type"], given["actortype"])
        except ValueError as error:
            return [placed(field, text_of(error), reg.LINK_TYPE)]
    changed, problems = _changed_connection(held, given, f"{field}.")
    setattr(made, field, changed)
    return problems


def _changed_connection(
    connection: Connection, changes: Mapping[Any, Any], place: str
) -> tuple[Connection, list[str]]:
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in changes.items():
        if not isinstance(name, str):
            problems.append(reg.NOT_A_NAME(field=place.removesuffix(".") or reg.THE_CHANGES(), value=name))
            continue
        field, _, rest = name.partition(".")
        if field == "id":
            problems.append(reg.FIXED(field=f"{place}id"))
        elif field not in _LINK_FIELDS:
            problems.append(_unknown(f"{place}{name}", _LINK_FIELDS))
        elif field == "options" and value is not None:
            given = {rest: value} if rest else value
            if not isinstance(given, Mapping):
                problems.append(reg.CHANGES_NOT_DICT(field=f"{place}options", value=given))
            elif wrong := _wrong_names(f"{place}options", given):
                problems += wrong
            else:
                values["options"] = _merged(values.get("options", connection.options) or {}, given) or None
        elif rest and field == "options":
            values["options"] = _merged(values.get("options", connection.options) or {}, {rest: None}) or None
        elif rest:
            problems.append(reg.NO_MEMBERS(name=f"{place}{name}", field=field))
        else:
            values[field] = value
    try:
        return replace(connection, **values), problems
    except ValueError as error:  # an unknown type
        field = place.removesuffix(".") or "connection"
        return connection, [*problems, placed(field, text_of(error), reg.LINK_TYPE)]


def _unknown(name: str, known: tuple[str, ...]) -> str:
    field = name.rpartition(".")[0] + "." if name.startswith(_LINKS) and "." in name else ""
    close = difflib.get_close_matches(name.removeprefix(field).partition(".")[0], known, n=1, cutoff=0.5)
    meant = f'did you mean "{field}{close[0]}"?' if close else f"valid fields are {', '.join(known)}"
    return reg.UNKNOWN_FIELD(field=name, meant=meant)
