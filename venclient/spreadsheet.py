"""Text in CSV files that people open with a spreadsheet: no cell is run as a formula, none breaks its line.

`cell` writes text for every CSV file of the product, `text_of` reads it back exactly:

- text that a spreadsheet would run (`=`, `+`, `-`, `@`, `|`, `%` at the start, also in full width) or would
  round, and text with an apostrophe at the start, has an apostrophe before it;
- empty text, and text with line ends, tabs, control or invisible characters, or space at an end, is a JSON
  string, in quotes: a record is always one line.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from venclient.messages.printable import is_unsafe

#: What a spreadsheet takes for a formula; an apostrophe of the text's own is escaped as well.
_FORMULA = re.compile("['=+\\-@|%＝＋－＠｜％]")
#: What a spreadsheet makes of a long number; unescaped it means that digits are lost.
ROUNDED = re.compile(r"\d[.,]\d+[eE]\+?\d+|\d{12,}[.,]0")
_BLANKS = frozenset("\t\r\n")
_AWKWARD = re.compile("[\x00-\x1f]")


@lru_cache(4096)
def cell(text: str) -> str:
    """Return text as a cell of a CSV file."""
    if not text or text[0] == '"' or text != text.strip() or _AWKWARD.search(text) or is_unsafe(text):
        return json.dumps(text)
    return f"'{text}" if _FORMULA.match(text) or ROUNDED.fullmatch(text) else text


def guarded(text: str) -> str:
    """Return a line of a file, line ends and quotes included, that no spreadsheet runs as a formula.

    One that it would run has an apostrophe before it; nothing else changes.
    """
    return f"'{text}" if _FORMULA.match(text) or text[:1] in _BLANKS else text


def row(values: Iterable[object]) -> list[object]:
    """Return the values of a CSV row, its texts as cells; None and empty text stay empty, numbers numbers."""
    return [cell(value) if isinstance(value, str) and value else value for value in values]


def text_of(written: str) -> str:
    """Return the text of a cell; ValueError when a cell in quotes is not a JSON string."""
    if written.startswith("'"):
        return written[1:]
    if written.startswith('"'):
        found = json.loads(written)
        if isinstance(found, str):
            return found
    return written


def lines(rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """Yield the lines of a CSV file, one for each row; the texts of the rows are cells already."""
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\n")
    for one in rows:
        writer.writerow(one)
        yield line.getvalue()
        line.seek(0)
        line.truncate()
