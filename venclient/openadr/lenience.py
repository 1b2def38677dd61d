"""Optional members of the wrong type: ignored one by one; none of them costs its object.

Works on decoded JSON that `shapes.py` has straightened. What is required and wrong is left for the codec
to refuse. Where the default would widen what an object means (who an event is for, when it is, in which
unit), the member is kept as text that nothing matches, and its reader reports that it is not understood.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any, NamedTuple

import msgspec

from venclient.openadr.objects import IntervalPeriod

#: Members that stay, as text: without them a report could go to others, or be about another time or unit.
_KEPT_AS_TEXT = frozenset({"start", "duration", "units", "frequency"})
#: Lists of which each element is kept, as text.
_KEPT_AS_TEXTS = frozenset({"targets"})
#: Lists that are one whole: without an element the others would mean something else.
_WHOLE = frozenset({"intervals"})

_LONGEST_TEXT = 128

#: What is reported: member paths such as "reportDescriptors[2].aggregate".
Ignored = list[str]


class _Member(NamedTuple):
    """A member as its schema has it: its type, and the struct in it or in its list, where there is one."""

    hint: Any
    struct: type[msgspec.Struct] | None
    is_list: bool
    required: bool


def without_wrong_members(
    kind: type[msgspec.Struct],
    raw: Any,
    ignored: Ignored,
    path: str = "",
    *,
    required: Collection[str] = (),
) -> Any:
    """Return decoded JSON of `kind` without its optional members of the wrong type; their paths in `ignored`.

    What is wrong and required stays as it is, for the caller to refuse; `required` names further members
    that are.
    """
    if not isinstance(raw, Mapping):
        return raw
    members = _members(kind)
    trimmed: dict[str, Any] = {}
    for name, value in raw.items():
        member = members.get(name)
        place = f"{path}.{name}" if path else name
        if member is None or _fits(value, member.hint):
            trimmed[name] = value
            continue
        within: Ignored = []
        tried = _trimmed(member, name, value, within, place)
        if _fits(tried, member.hint):
            ignored.extend(within)
            trimmed[name] = tried
        elif member.required or name in required or (name in _WHOLE and _are_objects(tried)):
            trimmed[name] = tried
        else:
            ignored.append(place)
            if (stand_in := _stand_in(member, name, tried)) is not None:
                trimmed[name] = stand_in
    return trimmed


@cache
def _members(kind: type[msgspec.Struct]) -> Mapping[str, _Member]:
    hints = typing.get_type_hints(kind)
    return {
        field.encode_name: _member(hints[field.name], required=field.required)
        for field in msgspec.structs.fields(kind)
    }


def _member(hint: Any, *, required: bool) -> _Member:
    inner = hint
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        options = [one for one in typing.get_args(hint) if one is not types.NoneType]
        inner = options[0] if len(options) == 1 else hint
    is_list = typing.get_origin(inner) is list
    if is_list:
        (inner,) = typing.get_args(inner)
    struct = inner if isinstance(inner, type) and issubclass(inner, msgspec.Struct) else None
    return _Member(hint, struct, is_list, required)


def _fits(value: Any, hint: Any) -> bool:
    try:
        msgspec.convert(value, hint)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True


def _trimmed(member: _Member, name: str, value: Any, ignored: Ignored, place: str) -> Any:
    """Return a member that does not fit, with what is wrong inside it left out."""
    if not member.is_list:
        return without_wrong_members(member.struct, value, ignored, place) if member.struct else value
    if not isinstance(value, list):
        return value
    (item,) = typing.get_args(_list_of(member.hint))
    kept: list[Any] = []
    for index, one in enumerate(value):
        at = f"{place}[{index}]"
        inside: Ignored = []
        shaped = without_wrong_members(member.struct, one, inside, at) if member.struct else one
        if _fits(shaped, item):
            ignored.extend(inside)
        elif name in _KEPT_AS_TEXTS and not _unstorable(one):
            ignored.append(at)
            shaped = _text(one)
        elif member.required or name in _WHOLE or _unstorable(one):
            pass
        else:
            ignored.append(at)
            continue
        kept.append(shaped)
    return kept


def _list_of(hint: Any) -> Any:
    if typing.get_origin(hint) is list:
        return hint
    return next(one for one in typing.get_args(hint) if typing.get_origin(one) is list)


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, Mapping) and "id" in one for one in value)


def _stand_in(member: _Member, name: str, value: Any) -> Any:
    """Return what stands for a member of the wrong type; None for its default."""
    if _unstorable(value):
        return value  # refused, and named, by the codec
    if member.struct is IntervalPeriod:
        return {"start": _text(value)}
    if name in _WHOLE:
        return [{"id": 0, "intervalPeriod": {"start": _text(value)}, "payloads": []}]
    return _text(value) if name in _KEPT_AS_TEXT else None


def _unstorable(value: Any) -> bool:
    """True for what stands where JSON cannot be stored: half a character."""
    return bool(getattr(value, "is_text", False))


def _text(value: Any) -> str:
    try:
        written = json.dumps(value, default=str)
    except (ValueError, RecursionError):
        written = type(value).__name__
    return written[:_LONGEST_TEXT]
