"""Query parameters of the listings, checked as strictly as the YAML declares them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from venclient.simulation.vtn.problems import Refusal
from venclient.simulation.vtn.schema import OBJECT_ID, OBJECT_TYPES

PAGE_MAX = 50

# what each listing may be filtered by, besides skip and limit
PARAMETERS: Mapping[str, frozenset[str]] = {
    "program": frozenset({"targets"}),
    "event": frozenset({"programID", "targets", "active"}),
    "report": frozenset({"programID", "eventID", "clientName"}),
    "subscription": frozenset({"programID", "clientName", "objects"}),
    "ven": frozenset({"venName", "targets"}),
    "resource": frozenset({"resourceName", "venID", "targets"}),
}
_INTEGER = re.compile(r"[+-]?[0-9]{1,10}")
_INT32_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Query:
    """A listing's parameters; an absent limit is the largest page there is."""

    skip: int = 0
    limit: int = PAGE_MAX
    targets: frozenset[str] | None = None
    objects: frozenset[str] | None = None
    active: bool = False
    members: Mapping[str, str] = field(default_factory=dict)


def read_query(kind: str, raw: bytes) -> Query:
    """Return the checked parameters of a listing; unknown ones are ignored. Raises Refusal (400)."""
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError:
        raise Refusal(400, "the query string is no percent-encoded UTF-8") from None
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        given.setdefault(name, []).append(value)
    known = PARAMETERS[kind]
    members: dict[str, str] = {
        name: _text(name, _single(name, given[name]))
        for name in ("programID", "eventID", "venID", "clientName", "venName", "resourceName")
        if name in known and name in given
    }
    return Query(
        skip=_integer("skip", given, _INT32_MAX, default=0),
        limit=_integer("limit", given, PAGE_MAX, default=PAGE_MAX),
        targets=_texts("targets", given) if "targets" in known else None,
        objects=_object_types(given) if "objects" in known else None,
        active=_flag("active", given) if "active" in known else False,
        members=members,
    )


def check_id(object_id: str) -> str:
    """Return an id of a path as it is; raises Refusal (400) when it can be none."""
    if OBJECT_ID.fullmatch(object_id) is None:
        raise Refusal(400, "an id in a path has 1 to 128 of a-z A-Z 0-9 _ -")
    return object_id


def _single(name: str, values: list[str]) -> str:
    if len(values) > 1:
        raise Refusal(400, f"{name} is given {len(values)} times")
    return values[0]


def _text(name: str, value: str) -> str:
    if name.endswith("ID"):
        if OBJECT_ID.fullmatch(value) is None:
            raise Refusal(400, f"{name} has 1 to 128 of a-z A-Z 0-9 _ -")
    elif not 1 <= len(value) <= 128:
        raise Refusal(400, f"{name} has 1 to 128 characters")
    return value


def _texts(name: str, given: Mapping[str, list[str]]) -> frozenset[str] | None:
    if name not in given:
        return None
    return frozenset(_text(name, value) for value in given[name])


def _object_types(given: Mapping[str, list[str]]) -> frozenset[str] | None:
    wanted = _texts("objects", given)
    if wanted is not None and not wanted <= frozenset(OBJECT_TYPES):
        raise Refusal(400, f"objects are of {', '.join(OBJECT_TYPES)}")
    return wanted


def _integer(name: str, given: Mapping[str, list[str]], maximum: int, *, default: int) -> int:
    if name not in given:
        return default
    text = _single(name, given[name])
    if _INTEGER.fullmatch(text) is None or not 0 <= int(text) <= maximum:
        raise Refusal(400, f"{name} is an integer from 0 to {maximum}")
    return int(text)


def _flag(name: str, given: Mapping[str, list[str]]) -> bool:
    if name not in given:
        return False
    text = _single(name, given[name])
    if text not in ("true", "false"):
        raise Refusal(400, f"{name} is true or false")
    return text == "true"
