"""Shapes that VTNs write and the 3.1 schema does not have, straightened into those it has.

Known from the field and from the standard's own examples: nulls where a list may be, `payLoadType`,
`clientId`, numbers where ids are texts, single values outside a list, 3.0's targets of
{type, values} and its flat program attributes. What cannot be straightened is left for the codec to
refuse. Works on decoded JSON; the schema is read off the wire objects themselves.
"""

from __future__ import annotations

import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import msgspec

from venclient.openadr.enumerations import PROGRAM_ATTRIBUTES_OF_3_0, VEN_NAME
from venclient.openadr.objects import Event, Program, TokenAnswer, Value, Wire

#: Whole numbers further from zero than this are read as this.
MOST = 2**63 - 1
_INTEGER = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)
_LONGEST_INTEGER = 1_000

_Straighten = Callable[[Any], Any]


class _Member(NamedTuple):
    """How one member is spelt, straightened, and what stands for it when a required list is absent."""

    name: str
    straighten: _Straighten
    required_list: bool


def straighten(kind: type[msgspec.Struct], raw: Any) -> Any:
    """Return decoded JSON in the shape of `kind` as far as that is clear; other input comes back as it is."""
    if not isinstance(raw, Mapping):
        return raw
    members = _members(kind)
    shaped: dict[str, Any] = {}
    for key, value in raw.items():
        member = members.get(key.casefold())
        if member is None:
            continue
        # An exact spelling wins over a variant of it.
        if value is None or (key != member.name and member.name in raw):
            continue
        shaped[member.name] = member.straighten(value)
    for member in members.values():
        if member.required_list:
            shaped.setdefault(member.name, [])
    if kind is Program:
        _move_flat_attributes(raw, shaped)
    if kind in (Program, Event) and (vens := _vens_among(raw.get("targets"))):
        shaped["venNames"] = vens
    return shaped


@cache
def _members(kind: type[msgspec.Struct]) -> Mapping[str, _Member]:
    hints = typing.get_type_hints(kind)
    return {
        field.encode_name.casefold(): _Member(
            field.encode_name,
            _SPECIAL.get((kind, field.name)) or _straightener(hints[field.name]),
            field.required and typing.get_origin(hints[field.name]) is list,
        )
        for field in msgspec.structs.fields(kind)
    }


def _straightener(hint: Any) -> _Straighten:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        options = {option for option in typing.get_args(hint) if option is not types.NoneType}
        if len(options) == 1:
            return _straightener(options.pop())
        hint = frozenset(options)
    if typing.get_origin(hint) is list:
        (item,) = typing.get_args(hint)
        if item == Value:
            return _values
        if item is str:
            return _texts
        inner = _straightener(item)
        return lambda raw: [inner(one) for one in (raw if isinstance(raw, list) else [raw])]
    if isinstance(hint, type) and issubclass(hint, Wire):
        return lambda raw: straighten(hint, raw)
    return _OF_TYPES.get(hint, _as_it_is)


def _as_it_is(raw: Any) -> Any:
    return raw


def _text(raw: Any) -> Any:
    return str(raw) if isinstance(raw, int | float) and not isinstance(raw, bool) else raw


def _whole(raw: Any) -> Any:
    """Return a whole number, at most `MOST` away from zero: what is beyond means as much as that to us."""
    written = raw if isinstance(raw, str) else getattr(raw, "written", "")
    if len(written) > _LONGEST_INTEGER:  # Python does not read integers of any length
        return (-MOST if written.strip().startswith("-") else MOST) if _INTEGER.fullmatch(written) else raw
    try:
        whole = int(raw) if isinstance(raw, str) or (isinstance(raw, float) and raw.is_integer()) else raw
    except ValueError:
        return raw
    return max(-MOST, min(MOST, whole)) if isinstance(whole, int) and not isinstance(whole, bool) else whole


def _number_or_text(raw: Any) -> Any:
    return raw if isinstance(raw, str) else _whole(raw)


def _flag(raw: Any) -> Any:
    return {"true": True, "false": False}.get(raw.strip().casefold(), raw) if isinstance(raw, str) else raw


def _number(raw: Any) -> Any:
    try:
        number = float(raw) if isinstance(raw, str) else raw
    except ValueError:
        return raw
    return number if not isinstance(number, float) or math.isfinite(number) else raw


def _scope(raw: Any) -> Any:
    """Return scopes as one text (RFC 6749, 3.3), also those that a token service lists."""
    return " ".join(one for one in raw if isinstance(one, str)) if isinstance(raw, list) else raw


#: How a single value of a type is straightened.
_OF_TYPES: Mapping[Any, _Straighten] = {
    str: _text,
    int: _whole,
    float: _number,
    bool: _flag,
    frozenset({int, str}): _number_or_text,
}
#: Members with shapes of their own.
_SPECIAL: Mapping[tuple[type[msgspec.Struct], str], _Straighten] = {(TokenAnswer, "scope"): _scope}


def _values(raw: Any) -> Any:
    return raw if isinstance(raw, list) else [raw]


def _texts(raw: Any) -> list[Any]:
    """Return a flat list of texts; a 3.0 target {type, values} gives its values.

    Elements that name nothing leave an empty text: without any target all would be meant.
    """
    return _flat(raw) or ([""] if raw else [])


def _flat(raw: Any) -> list[Any]:
    flat: list[Any] = []
    for one in raw if isinstance(raw, list) else [raw]:
        if isinstance(one, Mapping) and "values" in one:
            flat.extend(_flat(one["values"]))
        elif one is not None:
            flat.append(_text(one))
    return flat


def _vens_among(targets: Any) -> list[Any]:
    """Return the VENs that typed targets of 3.0.1 name."""
    typed = [one for one in (targets if isinstance(targets, list) else [targets]) if isinstance(one, Mapping)]
    return [name for one in typed if one.get("type") == VEN_NAME for name in _texts(one.get("values"))]


def _move_flat_attributes(raw: Mapping[str, Any], shaped: dict[str, Any]) -> None:
    found = [
        {"type": attribute, "values": [raw[name]]}
        for name, attribute in PROGRAM_ATTRIBUTES_OF_3_0.items()
        if raw.get(name) is not None
    ]
    if found and isinstance(shaped.get("attributes", []), list):
        shaped["attributes"] = shaped.get("attributes", []) + found
