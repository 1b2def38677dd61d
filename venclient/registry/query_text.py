"""Queries as text: the flat mapping that command lines and the query part of a URL are.

{"type": "EV,PV", "near": "56.14,8.97,10km", "min_p_max": "50", "sort": "-name", "limit": "20"}
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias, cast

from venclient.errors import BadQuery, ConfigError
from venclient.messages import Text, text_of, with_code
from venclient.messages import registry as reg
from venclient.registry.placing import placed
from venclient.registry.query import CAPACITIES, Query, SortKey

_ENDS = ("min", "max")
#: A capacity without its unit, as keys name it.
_SHORT = {name: name.rsplit("_", 1)[0] for name in CAPACITIES}

#: Keys of a mapping; `parse` says what each takes.
KEYS: tuple[str, ...] = (
    *("type", "sub_type", "ven", "enabled", "connection", "near", "bbox", "text", "never_reported"),
    *(f"{end}_{short}" for short in _SHORT.values() for end in _ENDS),
    *("sort", "limit", "offset", "page"),
)

_DEFAULT_PAGE_SIZE = 50
_DISTANCE = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(km|m)?", re.IGNORECASE)
_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

#: The value of a key, or several.
Given: TypeAlias = str | Sequence[str]


def parse(told: Mapping[str, Given], spelt: Callable[[str], str] = str) -> Query:
    """Return the query that a flat mapping of text describes; BadQuery lists every mistake in it.

    type                DSR, BATTERY, PV or EV; several with commas
    sub_type, ven       as they are stored
    enabled             true or false
    connection          MODBUSTCP, MQTT or FILEREADER; several with commas
    near                LATITUDE,LONGITUDE[,DISTANCE], such as 56.14,8.97,10km
    bbox                WEST,SOUTH,EAST,NORTH in degrees, such as 8.9,56.1,9.1,56.2
    text                words in name or address
    never_reported      true: only resources that were never reported
    min_p_max, ...      minimum or maximum of a capacity
    sort                name, id, type, sub_type, ven, a capacity, distance, created or updated;
                        -name: descending
    limit, offset       maximum number of results; number of results to skip
    page                number of the page, from 1, with `limit` resources each

    A key may be written with "-" for "_"; a value may be a list where several make sense. `spelt` returns a
    key as the reader knows it, for messages ("min_p_max" -> "--min-p-max").
    """
    values = {key.strip().casefold().replace("-", "_"): value for key, value in told.items()}
    problems: list[str] = []
    query = Query()
    for key in KEYS:
        if key not in values or key in ("page", "limit", "sort"):
            continue
        query = _tried(_SETTERS[key], query, values[key], spelt(key), problems)
    query = _ordered(query, values, spelt, problems)
    query = _paged(query, values, spelt, problems)
    problems += [_unknown(key, spelt(key)) for key in values if key not in KEYS]
    if problems:
        raise refused_query(problems)
    return query


def from_pairs(pairs: Iterable[str], spelt: Callable[[str], str] = str) -> Query:
    """Return the query of texts such as "type=EV" and "ven=Herning"; a repeated key has all its values."""
    values: dict[str, list[str]] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise BadQuery(reg.NOT_A_CONDITION(value=pair))
        values.setdefault(key, []).append(value)
    return parse(values, spelt)


def as_text(query: Query) -> dict[str, list[str]]:
    """Return the mapping from which `parse` makes an equal query, as for a link to the next page."""
    found: dict[str, list[str]] = {
        "type": list(query.types),
        "sub_type": list(query.sub_types),
        "ven": list(query.vens),
        "connection": [one.name for one in query.connection_types],
    }
    if query.switched_on is not None:
        found["enabled"] = ["true" if query.switched_on else "false"]
    if query.around is not None:
        km = [] if query.around.km is None else [f"{_plain(query.around.km)}km"]
        found["near"] = [",".join([repr(query.around.latitude), repr(query.around.longitude), *km])]
    if query.box is not None:
        found["bbox"] = [
            ",".join(map(repr, (query.box.west, query.box.south, query.box.east, query.box.north)))
        ]
    if query.words:
        found["text"] = [" ".join(query.words)]
    if query.unreported:
        found["never_reported"] = ["true"]
    for name, limits in query.ranges:
        for end, limit in (("min", limits.least), ("max", limits.most)):
            if limit is not None:
                found[f"{end}_{_SHORT[name]}"] = [repr(limit)]
    if query.order is not None:
        found["sort"] = [f"-{query.order}" if query.is_descending else query.order]
    if query.size is not None:
        found["limit"] = [str(query.size)]
    if query.start:
        found["offset"] = [str(query.start)]
    return {key: value for key, value in found.items() if value}


def refused_query(problems: Sequence[str], subject: str = "") -> BadQuery:
    """Return the error that lists all that is wrong with a query, each problem with its code and hint."""
    if len(problems) == 1:
        return BadQuery(problems[0], subject=subject, problems=tuple(problems))
    hinted = tuple(map(_with_hint, problems))
    what = reg.QUERY_PROBLEMS(problems="; ".join(map(with_code, hinted)))
    return BadQuery(what, subject=subject, problems=hinted)


def _with_hint(problem: str) -> str:
    hint = problem.hint if isinstance(problem, Text) else ""
    return problem.within(after=f" ({hint})") if isinstance(problem, Text) and hint else problem


def _unknown(key: str, name: str) -> str:
    close = difflib.get_close_matches(key, KEYS, n=1)
    meant = f'did you mean "{close[0]}"?' if close else f"valid conditions are {', '.join(KEYS)}"
    return reg.UNKNOWN_CONDITION(name=name, meant=meant)


def _tried(
    setter: Callable[[Query, Given], Query], query: Query, value: Given, name: str, problems: list[str]
) -> Query:
    try:
        return setter(query, value)
    except ConfigError as error:
        problems.append(placed(name, error.what, reg.CONDITION))
    except ValueError as error:
        problems.append(placed(name, text_of(error), reg.CONDITION))
    return query


def _ordered(
    query: Query, values: Mapping[str, Given], spelt: Callable[[str], str], problems: list[str]
) -> Query:
    if "sort" not in values:
        return query

    def sort(query: Query, value: Given) -> Query:
        text = _one(value)
        key = text.lstrip("+-").casefold().replace("-", "_")
        key = next((name for name, short in _SHORT.items() if key == short), key)
        if key == "distance" and "near" not in values:
            raise ValueError(reg.NO_POINT(condition=spelt("near")))
        return query.sort(cast("SortKey", key), descending=text.startswith("-"))

    return _tried(sort, query, values["sort"], spelt("sort"), problems)


def _paged(
    query: Query, values: Mapping[str, Given], spelt: Callable[[str], str], problems: list[str]
) -> Query:
    if "limit" in values:
        query = _tried(lambda q, v: q.limit(_count(v)), query, values["limit"], spelt("limit"), problems)
    if "page" not in values:
        return query
    if "offset" in values:
        problems.append(reg.PAGE_AND_OFFSET(page=spelt("page"), offset=spelt("offset")))
        return query
    size = query.size if query.size is not None else _DEFAULT_PAGE_SIZE
    return _tried(lambda q, v: q.page(_count(v), size), query, values["page"], spelt("page"), problems)


def _one(value: Given) -> str:
    if isinstance(value, str):
        return value.strip()
    if len(value) != 1:
        raise ValueError(reg.SEVERAL_VALUES(count=len(value)))
    return value[0].strip()


def _some(value: Given, *, split: bool = False) -> list[str]:
    texts = [value] if isinstance(value, str) else list(value)
    parts = [part.strip() for text in texts for part in (text.split(",") if split else [text])]
    if not all(parts) or not parts:
        raise ValueError(reg.NO_VALUE())
    return parts


def _flag(value: Given) -> bool:
    text = _one(value).casefold()
    if text not in _FLAGS:
        raise ValueError(reg.NOT_A_BOOLEAN(value=text))
    return _FLAGS[text]


def _count(value: Given) -> int:
    text = _one(value)
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise ValueError(reg.NOT_WHOLE(value=text))
    return int(text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(reg.NUMBER(value=text.strip())) from None


def _near(query: Query, value: Given) -> Query:
    parts = [part.strip() for part in _one(value).split(",")]
    if len(parts) not in (2, 3):
        raise ValueError(reg.NEAR(value=_one(value)))
    km = None
    if len(parts) == 3:
        match = _DISTANCE.fullmatch(parts[2])
        if match is None:
            raise ValueError(reg.DISTANCE(value=parts[2]))
        km = float(match[1]) / (1000 if (match[2] or "km").casefold() == "m" else 1)
    return query.near(_number(parts[0]), _number(parts[1]), km=km)


def _bbox(query: Query, value: Given) -> Query:
    parts = _one(value).split(",")
    if len(parts) != 4:
        raise ValueError(reg.BOX(value=_one(value)))
    west, south, east, north = map(_number, parts)
    return query.in_box(west=west, south=south, east=east, north=north)


def _limit(name: str, end: str) -> Callable[[Query, Given], Query]:
    def set_limit(query: Query, value: Given) -> Query:
        number = _number(_one(value))
        known = dict(query.ranges).get(name)
        least, most = (known.least, known.most) if known else (None, None)
        setter = getattr(query, name)
        changed = setter(min=number, max=most) if end == "min" else setter(min=least, max=number)
        return cast("Query", changed)

    return set_limit


def _unreported(query: Query, value: Given) -> Query:
    return query.never_reported() if _flag(value) else replace(query, unreported=False)


def _plain(km: float) -> str:
    """Return a distance without an exponent, which would not read as one."""
    return f"{km:.12f}".rstrip("0").rstrip(".") or "0"


_SETTERS: dict[str, Callable[[Query, Given], Query]] = {
    "type": lambda query, value: query.of_type(*_some(value, split=True)),
    "sub_type": lambda query, value: query.of_sub_type(*_some(value)),
    "ven": lambda query, value: query.in_ven(*_some(value)),
    "enabled": lambda query, value: query.enabled(_flag(value)),
    "connection": lambda query, value: query.connected_by(*_some(value, split=True)),
    "near": _near,
    "bbox": _bbox,
    "text": lambda query, value: query.with_text(_one(value)),
    "never_reported": _unreported,
    "offset": lambda query, value: query.offset(_count(value)),
    **{f"{end}_{name.rsplit('_', 1)[0]}": _limit(name, end) for name in CAPACITIES for end in ("min", "max")},
}
