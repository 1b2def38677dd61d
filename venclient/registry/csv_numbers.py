"""Numbers as people write them in tables: decimal marks, thousands, positions; nothing is guessed twice."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from venclient.messages import importing as imp
from venclient.messages.printable import foreign

_PLAIN = {mark: re.compile(rf"[+-]?\d+(?:{re.escape(mark)}\d*)?(?:[eE][+-]?\d{{1,3}})?") for mark in ".,"}
_GROUPED = {
    ".": re.compile(r"[+-]?\d{1,3}(?:[,' \u00a0\u202f]\d{3})+(?:\.\d+)?"),
    ",": re.compile(r"[+-]?\d{1,3}(?:[.' \u00a0\u202f]\d{3})+(?:,\d+)?"),
}
_ONE_GROUP = {mark: re.compile(rf"[+-]?[1-9]\d{{0,2}}{re.escape(mark)}\d{{3}}") for mark in ".,"}
_PAIR_SIGNS = re.compile(r"[()\[\]°]")


def find_decimal(cells: Iterable[str]) -> str | None:
    """Return the decimal mark that most of the cells use, None when no cell decides it.

    "1.234" alone decides nothing: it may be a thousand.
    """
    votes = {".": 0, ",": 0}
    for cell in cells:
        text = cell.strip().lstrip("+-")
        if not text or not text[0].isdigit():
            continue
        dot, comma = text.rfind("."), text.rfind(",")
        if dot >= 0 and comma >= 0:
            votes["." if dot > comma else ","] += 1
        elif max(dot, comma) >= 0 and not re.fullmatch(r"[1-9]\d{0,2}([.,]\d{3})+", text):
            votes["." if dot >= 0 else ","] += 1
    if votes["."] == votes[","]:
        return None
    return max(votes, key=lambda mark: votes[mark])


def number(text: str, decimal: str, *, thousands: bool = True) -> float:
    """Return a finite number; ValueError says what is wrong with the text.

    `thousands` allows groups of three ("1.234,5" with a decimal comma); positions never have them.
    """
    compact = text.strip()
    if _PLAIN[decimal].fullmatch(compact):
        value = float(compact.replace(",", "."))
    elif thousands and _GROUPED[decimal].fullmatch(compact):
        value = float(re.sub(r"[^\d.eE+-]" if decimal == "." else r"[^\d,+-]", "", compact).replace(",", "."))
    else:
        other = "," if decimal == "." else "."
        if _PLAIN[other].fullmatch(compact):
            raise ValueError(imp.OTHER_DECIMAL_MARK(value=foreign(text), found=other, expected=decimal))
        raise ValueError(imp.NOT_A_NUMBER(value=foreign(text)))
    if not math.isfinite(value):
        raise ValueError(imp.NUMBER_TOO_LARGE(value=foreign(text)))
    return value


def is_one_group(text: str, decimal: str) -> bool:
    """Return whether a text is like "1.234" with a decimal comma: a point would make it a thousandth."""
    return _ONE_GROUP["," if decimal == "." else "."].fullmatch(text.strip()) is not None


def has_mark(text: str, mark: str) -> bool:
    """Return whether a number can only be read with `mark` as its decimal mark."""
    compact = text.strip()
    return (
        mark in compact
        and _PLAIN[mark].fullmatch(compact) is not None
        and _ONE_GROUP[mark].fullmatch(compact) is None
    )


def coordinate(text: str, decimal: str, name: str) -> float:
    """Return a latitude or longitude in degrees; ValueError says what it looks like instead."""
    value = number(text, decimal, thousands=False)
    limit = 90.0 if name == "latitude" else 180.0
    if abs(value) <= limit:
        return value
    if abs(value) >= 1000:
        raise ValueError(imp.LOOKS_LIKE_METRES(name=name, value=foreign(text)))
    if name == "latitude" and abs(value) <= 180:
        raise ValueError(imp.LATITUDE_BEYOND(value=foreign(text)))
    raise ValueError(imp.COORDINATE_BEYOND(name=name, value=foreign(text), limit=limit))


def coordinate_pair(text: str, decimal: str) -> tuple[float, float]:
    """Return latitude and longitude of one cell: "(59.85,17.64)", "59,85; 17,64" or "POINT (17.64 59.85)"."""
    bare = _PAIR_SIGNS.sub(" ", text).strip()
    is_point = bare.casefold().startswith("point")
    if is_point:
        parts = bare[len("point") :].split()
        decimal = "."
    elif ";" in bare:
        parts = bare.split(";")
    elif "." in bare or decimal == ".":
        parts, decimal = re.split(r"[,\s]+", bare), "."
    else:
        parts = re.split(r",\s+|\s+", bare)
    if len(parts) != 2:
        raise ValueError(imp.NOT_A_PAIR(value=foreign(text)))
    first, second = (part.strip() for part in parts)
    if is_point:
        first, second = second, first
    return coordinate(first, decimal, "latitude"), coordinate(second, decimal, "longitude")
