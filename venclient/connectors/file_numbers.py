"""Numbers in tables: which mark is the decimal mark, decided by columns, and which one groups thousands.

12,5   0,123   1.234,5    the decimal mark is a comma
12.5   1,234.5            it is a point
1.234                     either: 1.234 or 1234. Other rows or columns decide, or the option `decimal`; a
                          guess would be a thousand times too large or too small
1 234,5   1'234.5         spaces and apostrophes only ever group
12,5 kW                   the cell's unit counts

Pure: no files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from venclient.connectors.file_options import NOTHING
from venclient.connectors.mistakes import shown
from venclient.messages import files as fil

MARKS = ".,"
#: One cell of these may be wrong without making its column doubtful; it is rejected later.
_FEW = 20
_SPACES = "'\u2018\u2019\u02bc \u00a0\u2007\u2009\u202f"
_CELL = re.compile(
    rf"([+-]?\d[\d.,{_SPACES}]*?(?:[eE][+-]?\d{{1,3}})?|[+-]?[.,]\d+)"  # the number
    rf"[{_SPACES}]*([A-Za-z%\u00b0][\w%\u00b0/-]*)?"  # its unit
)
#: A number with a point, or without a mark.
PLAIN = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_ONE_GROUP = re.compile(r"[1-9]\d{0,2}[.,]\d{3}", re.ASCII)
_MANY_GROUPS = re.compile(r"\d{1,3}(?:([.,])\d{3})(?:\1\d{3})+", re.ASCII)
_GROUPED: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        mark: re.compile(
            rf"[+-]?\d{{1,3}}(?:([{other}{_SPACES}])\d{{3}})(?:\1\d{{3}})*(?:{re.escape(mark)}\d*)?"
        )
        for mark, other in ((".", ","), (",", "."))
    }
)


class Number(NamedTuple):
    """A number, and the unit that its cell names ("" without one)."""

    value: float
    unit: str = ""


def number_in(text: str, decimal: str) -> Number | None:
    """Return the number in a cell, None for one that says there is none; ValueError says what is wrong."""
    if decimal == "." and PLAIN.fullmatch(text):
        return Number(float(text))
    if text.casefold() in NOTHING:
        return None
    found = _CELL.fullmatch(text.replace("\u2212", "-"))
    if found is None:
        raise ValueError(fil.NOT_A_NUMBER(value=shown(text)))
    digits, unit = found[1].strip(), found[2] or ""
    plain = _digits_of(digits, decimal)
    if plain is None:
        raise ValueError(fil.NOT_WITH_MARK(value=shown(text), decimal=decimal))
    return Number(float(plain), unit)


def _digits_of(digits: str, decimal: str) -> str | None:
    """Return a number without groups and with a point, None for one that has another decimal mark."""
    if _GROUPED[decimal].fullmatch(digits):
        digits = re.sub(f"[{',' if decimal == '.' else '.'}{_SPACES}]", "", digits)
    if decimal == ",":
        if "." in digits:
            return None
        digits = digits.replace(",", ".")
    return digits if PLAIN.fullmatch(digits) else None


class Evidence:
    """What the cells of one column say about its decimal mark."""

    __slots__ = ("_counts", "ambiguous", "quotes_comma", "said")

    def __init__(self) -> None:
        #: The marks that some cell can only mean as decimal: the first such cell, and how many there are.
        self.said: dict[str, str] = {}
        self._counts = dict.fromkeys(MARKS, 0)
        #: The first cell that could be read either way.
        self.ambiguous = ""
        self.quotes_comma = False

    def add(self, cells: Iterable[str]) -> None:
        """Take note of some cells."""
        for cell in cells:
            if "." in cell or "," in cell:
                self._add(cell.strip())

    def _add(self, text: str) -> None:
        found = _CELL.fullmatch(text.replace("\u2212", "-"))
        if found is None:
            return
        digits = found[1].lstrip("+-").strip()
        self.quotes_comma = self.quotes_comma or "," in digits
        dot, comma = digits.rfind("."), digits.rfind(",")
        if _ONE_GROUP.fullmatch(digits):
            self.ambiguous = self.ambiguous or text
            return
        if many := _MANY_GROUPS.fullmatch(digits):
            mark = "," if many[1] == "." else "."
        else:
            mark = "." if dot > comma else ","
        if _digits_of(digits, mark) is not None:
            self.said.setdefault(mark, text)
            self._counts[mark] += 1

    @property
    def mark(self) -> str | None:
        """The mark that nearly all cells speak for, None where none or both are said."""
        if not self.said:
            return None
        few, many = sorted(self._counts, key=self._counts.__getitem__)
        return many if self._counts[few] * _FEW <= self._counts[many] else None


def undecided(columns: Mapping[str, Evidence], known: Mapping[str, str], delimiter: str) -> str:
    """Return the name of a column whose decimal mark cannot be decided yet, "" where each can."""
    marks = _marks(columns, known)
    for name, evidence in columns.items():
        if (
            name not in known
            and not evidence.said
            and evidence.ambiguous
            and _fallback(evidence, marks, delimiter) is None
        ):
            return name
    return ""


def decide(columns: Mapping[str, Evidence], known: Mapping[str, str], delimiter: str) -> dict[str, str]:
    """Return the decimal mark of each column that has numbers with a mark; those of `known` stay.

    ValueError names the column without evidence, or with evidence for both marks, and the option.
    """
    found = dict(known)
    marks = _marks(columns, known)
    for name, evidence in columns.items():
        if name in found or not (evidence.said or evidence.ambiguous):
            continue
        if evidence.said and evidence.mark is None:
            first, second = (shown(cell) for cell in evidence.said.values())
            raise ValueError(fil.MARKS_MIXED(column=shown(name), first=first, second=second))
        mark = evidence.mark or _fallback(evidence, marks, delimiter)
        if mark is None:
            raise ValueError(fil.MARK_UNKNOWN(column=shown(name), value=shown(evidence.ambiguous)))
        found[name] = mark
    return found


def _marks(columns: Mapping[str, Evidence], known: Mapping[str, str]) -> set[str]:
    """Return the decimal marks that any column speaks for: a file is written with one as a rule."""
    found = {evidence.mark for evidence in columns.values() if evidence.mark is not None}
    return found | set(known.values())


def _fallback(evidence: Evidence, marks: set[str], delimiter: str) -> str | None:
    """Return the decimal mark of a column that says nothing itself: that of the others, or of the delimiter.

    Where commas separate the cells and none is quoted, a point cannot group thousands before a decimal comma.
    """
    if len(marks) == 1:
        return next(iter(marks))
    return "." if not marks and delimiter == "," and not evidence.quotes_comma else None
