"""Queries -> SQL: the one place that knows what each condition is in terms of the tables."""

from __future__ import annotations

from functools import reduce
from typing import Any

from sqlalchemy import case, exists, func, or_, select
from sqlalchemy.sql import ColumnElement, Select

from venclient.errors import BadQuery
from venclient.messages import registry as reg
from venclient.model.resource import ResourceType
from venclient.registry import geometry
from venclient.registry.query import CAPACITIES, Query
from venclient.registry.rows import type_spellings
from venclient.registry.schema import connections, metadata, resources
from venclient.registry.statements import resource_rows
from venclient.registry.words import Words

Condition = ColumnElement[bool]

_reader = connections.alias("wanted_reader")

#: The orders that go by text without case.
_NAMES = {"name": "resource_name", "sub_type": "resource_sub_type", "ven": "ven"}


def resource_selection(query: Query, words: Words) -> Select[Any]:
    """Select the rows of a query as `rows.decode_resource` takes them, in its order and part."""
    return _placed(resource_rows(), query, words)


def row_id_selection(query: Query, words: Words) -> Select[Any]:
    """Select the row ids of a query, in its order and part."""
    return _placed(select(resources.c.id), query, words)


def resource_id_selection(query: Query, words: Words) -> Select[Any]:
    """Select the resource ids of a query, in its order and part."""
    return _placed(select(resources.c.resource_id), query, words)


def count_selection(query: Query, words: Words) -> Select[Any]:
    """Select how many resources match, whatever part of them the query wants."""
    return select(func.count()).select_from(resources).where(*conditions(query, words))


def conditions(query: Query, words: Words) -> list[Condition]:
    """Return what must hold of a row of `resources`, conditions that an index serves before costly ones."""
    found: list[Condition] = []
    if query.types:
        found.append(resources.c.resource_type.in_([s for one in query.types for s in type_spellings(one)]))
    if query.sub_types:
        found.append(resources.c.resource_sub_type.in_(query.sub_types))
    if query.vens:
        found.append(resources.c.ven.in_(query.vens))
    if query.switched_on is not None:
        # A resource whose `enabled` is null counts as enabled, as the column's default has it.
        found.append(func.coalesce(resources.c.enabled, True) == query.switched_on)
    if query.connection_types:
        # The first generation wrote the values, in lower case.
        kind = func.lower(_reader.c.type)
        reader = _reader.c.id == resources.c.connection_id
        found.append(exists().where(reader, kind.in_([one.value for one in query.connection_types])))
    if query.unreported:
        found.append(_unreported())
    for name, limits in query.ranges:
        found += _within(words.number(resources.c.capacities, CAPACITIES[name]), limits.least, limits.most)
    if query.box is not None:
        found += _in_box(query.box, words)
    if query.around is not None and query.around.km is not None:
        around = query.around
        # The box leaves few rows for the formula.
        found += _in_box(geometry.box_around(around.latitude, around.longitude, query.around.km), words)
        found.append(_distance(query, words) <= around.km)
    for word in query.words:
        found.append(
            or_(words.contains(resources.c.resource_name, word), words.contains(resources.c.address, word))
        )
    return found


def _placed(selection: Select[Any], query: Query, words: Words) -> Select[Any]:
    found = selection.where(*conditions(query, words)).order_by(None).order_by(*_ordering(query, words))
    if query.size is not None:
        found = found.limit(query.size)
    return found.offset(query.start) if query.start else found


def _ordering(query: Query, words: Words) -> list[ColumnElement[Any]]:
    if query.order is None:
        return [resources.c.id]
    key = _sort_key(query, words)
    # Nulls last in both directions, where the databases differ.
    return [key.is_(None), key.desc() if query.is_descending else key, words.exact(resources.c.resource_id)]


def _sort_key(query: Query, words: Words) -> ColumnElement[Any]:
    columns = resources.c
    match query.order:
        case "distance":
            return _distance(query, words)
        case "created" | "updated" as moment:
            return columns[f"{moment}_at"]
        case "id":
            return words.exact(columns.resource_id)
        case "type":
            kind = columns.resource_type
            names = ((kind.in_(type_spellings(one.name)), one.name) for one in ResourceType)
            return words.exact(case(*names, else_=kind))
        case "p_max_kw" | "p_min_kw" | "e_max_kwh" | "e_min_kwh" as name:
            return words.number(columns.capacities, CAPACITIES[name])
        case _:
            return words.cased(columns[_NAMES[str(query.order)]])


def _distance(query: Query, words: Words) -> ColumnElement[Any]:
    if query.around is None:
        raise BadQuery(reg.NO_POINT(condition="near()"), subject="sort")
    latitude, longitude = _position(words)
    return words.km(latitude, longitude, (query.around.latitude, query.around.longitude))


def _position(words: Words) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    column = resources.c.location
    return words.number(column, "latitude"), words.number(column, "longitude")


def _in_box(box: geometry.Box, words: Words) -> list[Condition]:
    latitude, longitude = _position(words)
    meridians = [longitude.between(west, east) for west, east in box.ranges()]
    return [latitude.between(box.south, box.north), reduce(or_, meridians)]


def _within(number: ColumnElement[Any], least: float | None, most: float | None) -> list[Condition]:
    found: list[Condition] = []
    if least is not None:
        found.append(number >= least)
    if most is not None:
        found.append(number <= most)
    return found


def _unreported() -> Condition:
    """Return the condition that nothing was ever reported; without a status table it is true of all."""
    status = metadata.tables.get("reporting_status")
    if status is None:
        return resources.c.id == resources.c.id
    return ~exists().where(
        status.c.resource_id == resources.c.resource_id, status.c.last_report_at.is_not(None)
    )
