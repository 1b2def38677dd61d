"""Cells of a CSV column, a block at a time: nulls, spacing, what may not stand in a cell, what is a number.

A whole column is looked at once, in one string, since nearly every column is as it should be; only where
one is not are its cells looked at one by one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from venclient.messages import importing as imp
from venclient.messages.printable import foreign
from venclient.model.slips import is_printable

_NULLS = {"", "not found", "n/a", "na", "-", "--", "null", "none", "nan", "?"}
_LONGEST_NULL = max(map(len, _NULLS))
_MAX_TEXT = 500
_UNWANTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_URL = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_DECIMALS = re.compile(r"[0-9.+\-|]*")
_BARE_POINT = re.compile(r"(?:^|[|+-])\.")


def is_null(cell: str) -> bool:
    """Return whether a text stands for "no value": "", "Not Found", "N/A", "-"."""
    return len(cell) <= 2 * _LONGEST_NULL and cell.strip().casefold() in _NULLS


def looks_numeric(cell: str) -> bool:
    """Return whether a text is digits with any signs and decimal marks."""
    bare = cell.strip().lstrip("+-")
    return bool(bare) and bare.replace(".", "").replace(",", "").isdigit()


def cleaned(cells: Sequence[str]) -> tuple[list[str | None], dict[int, str]]:
    """Return the cells with single spaces and None for nulls, and by place why a cell cannot be taken."""
    if _is_tidy(cells):
        return [None if len(one) <= _LONGEST_NULL and one.casefold() in _NULLS else one for one in cells], {}
    problems = {}
    if max(map(len, cells), default=0) > _MAX_TEXT or _UNWANTED.search("".join(cells)):
        problems = {place: why for place, cell in enumerate(cells) if (why := _trouble(cell))}
    return [_text(cell) for cell in cells], problems


def _is_tidy(cells: Sequence[str]) -> bool:
    """Return whether no cell has more than single spaces between words, or any forbidden character."""
    whole = f"|{'|'.join(cells)}|"
    return (
        is_printable(whole)  # of all white space only the plain space is
        and not any(sign in whole for sign in ("  ", " |", "| "))
        and max(map(len, cells), default=0) <= _MAX_TEXT
    )


def joined(parts: Sequence[Sequence[str | None]]) -> list[str | None]:
    """Return one column made of several, their texts joined with spaces."""
    if len(parts) == 1:
        return list(parts[0])
    return [" ".join(filter(None, texts)) or None for texts in zip(*parts, strict=True)]


def web_addresses(cells: Sequence[str]) -> list[int]:
    """Return the places of cells that hold a web address and nothing else."""
    whole = "\n".join(cells)
    if "://" not in whole and "www." not in whole.lower():
        return []
    return [place for place, cell in enumerate(cells) if _URL.fullmatch(cell.strip())]


def strangers(cells: Sequence[str]) -> list[int]:
    """Return the places of cells that are neither null nor a number."""
    try:
        list(map(float, cells))
        if _DECIMALS.fullmatch("|".join(cells)):
            return []
    except ValueError:
        pass
    odd = {cell for cell in set(cells) if not looks_numeric(cell) and not is_null(cell)}
    return [place for place, cell in enumerate(cells) if cell in odd] if odd else []


def plain_numbers(cells: Sequence[str | None], decimal: str) -> list[float] | None:
    """Return all cells as numbers when each is a plain one ("-12.5"), None when one of them is not."""
    try:
        text = "|".join(cells)  # type: ignore[arg-type]
    except TypeError:
        return None
    if decimal == ",":
        if "." in text:
            return None
        text = text.replace(",", ".")
    if not _DECIMALS.fullmatch(text) or _BARE_POINT.search(text):
        return None
    try:
        return list(map(float, text.split("|")))
    except ValueError:
        return None


def profile(columns: Sequence[Sequence[str]], rows: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the columns with numbers and those with text in all but one of twenty of `rows` rows."""
    numeric, textual = [], []
    for place, column in enumerate(columns):
        cells = [cell for cell in column[:rows] if not is_null(cell)]
        if len(cells) < 20:
            continue
        share = sum(map(looks_numeric, cells)) / len(cells)
        if share >= 0.95:
            numeric.append(place)
        elif share <= 0.05:
            textual.append(place)
    return tuple(numeric), tuple(textual)


def shifted(
    columns: Sequence[Sequence[str]],
    named: Iterable[int],
    numeric: Sequence[int],
    textual: Sequence[int],
    names: Sequence[str],
    titles: Sequence[int] = (),
) -> dict[int, tuple[str, str]]:
    """Return the rows whose cells sit under the wrong headers though their number is right.

    `named` are columns of names and addresses. Gives by place the column that shows it, and the reason.
    """
    found: dict[int, tuple[str, str]] = {}
    web: dict[int, list[int]] = {}
    for column in named:
        for place in web_addresses(columns[column]):
            web.setdefault(place, []).append(column)
    strange: dict[int, list[int]] = {}
    for column in numeric:
        for place in strangers(columns[column]):
            strange.setdefault(place, []).append(column)
    for place, holding in web.items():
        # a shop may be named after its site: then a second sign is required
        if holding != list(titles[:1]) or place in strange:
            address, name = columns[holding[0]][place], names[holding[0]]
            found.setdefault(place, (name, imp.WEB_ADDRESS(value=foreign(address.strip()), column=name)))
    for place, wrong in strange.items():
        if len(wrong) > 1 and any(looks_numeric(columns[column][place]) for column in textual):
            reason = imp.SHIFTED(columns=[names[column] for column in wrong])
            found.setdefault(place, (names[wrong[0]], reason))
    return found


def _text(cell: str) -> str | None:
    text = " ".join(cell.split())
    return None if len(text) <= _LONGEST_NULL and text.casefold() in _NULLS else text


def _trouble(cell: str) -> str | None:
    bad = _UNWANTED.search(cell)
    if bad is None:
        too_long = len(cell) > _MAX_TEXT
        return imp.CELL_TOO_LONG(length=len(cell), limit=_MAX_TEXT) if too_long else None
    if bad[0] > "\ud800":
        return imp.NOT_UTF8()
    return imp.CONTROL_CHARACTER(character=f"{ord(bad[0]):#04x}")
