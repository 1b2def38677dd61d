"""Rows of CSV text, some thousands at a time: shapes are checked here, pandas takes the cells apart.

pandas alone fills up rows that are too short and forgets on which line a row was. So every record is first
checked to have as many cells as the header (a count of delimiters does for lines without quotation marks,
the csv module for others), and what is well-shaped goes to `pandas.read_csv`, a block at a time. Without
pandas the csv module reads the cells; they are the same.
"""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from typing import Any

BLOCK_LINES = 4_096
_MAX_ROW_LINES = 50
# What pandas would end a cell or a row at, or cannot read at all, and csv does not.
_NOT_FOR_PANDAS = re.compile("\x00|\r(?!\n)|[\ud800-\udfff]")


@dataclass(frozen=True)
class BadRow:
    """One row that cannot be taken apart safely, where it begins, why, and its text."""

    line: int
    reason: str
    text: str = field(default="", compare=False)


@dataclass
class Block:
    """Well-shaped records (`lines` says where each begins, `texts` what stands there) and bad ones."""

    lines: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)

    def columns(self, delimiter: str, width: int, *, pandas: bool = True) -> list[list[str]]:
        """Give the cells by column, each as it stands in the file."""
        if not self.texts:
            return [[] for _ in range(width)]
        if pandas and _pandas() is not None:
            found = _pandas_columns(self.texts, delimiter, width)
            if found is not None:
                return found
        rows = csv.reader(self.texts, delimiter=delimiter, strict=True)
        return [list(column) for column in zip(*rows, strict=True)]


class Lines:
    """Physical lines with their numbers; a row that went wrong can hand back what it took in vain."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._again: deque[str] = deque()
        self.taken: list[str] = []
        self.line = 0

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        # an unclosed quote would swallow the rest of the file into one cell
        if len(self.taken) >= _MAX_ROW_LINES:
            raise StopIteration
        text = self._again.popleft() if self._again else next(self._lines)
        self.taken.append(text)
        return text

    def begin_row(self) -> int:
        """Count what was taken as used; give the number of the next line."""
        self.line += len(self.taken)
        self.taken = []
        return self.line + 1

    def keep_first(self) -> None:
        """Take one line as used and give the others back, to be read as rows of their own."""
        self._again.extendleft(reversed(self.taken[1:]))
        self.taken = self.taken[:1]

    def batch(self) -> list[str]:
        """Give the next lines, and count them as used."""
        self.begin_row()
        found = [self._again.popleft() for _ in range(min(len(self._again), BLOCK_LINES))]
        found += islice(self._lines, BLOCK_LINES - len(found))
        self.line += len(found)
        return found

    def give_back(self, lines: Sequence[str]) -> None:
        """Take back what `batch` gave."""
        self._again.extendleft(reversed(lines))
        self.line -= len(lines)


def blocks(source: Lines, delimiter: str, header: Sequence[str]) -> Iterator[Block]:
    """Give all records that follow in `source`; blank ones are left out.

    A record with another number of cells than the header, or one that repeats it, is a bad one.
    """
    width = len(header)
    while True:
        begin = source.line + len(source.taken) + 1
        batch = source.batch()
        if not batch:
            return
        if _is_plain(batch, delimiter, header):
            yield Block(list(range(begin, begin + len(batch))), batch)
            continue
        source.give_back(batch)
        yield _row_by_row(source, begin + len(batch), delimiter, width, header)


def split_rows(
    source: Lines, delimiter: str, width: int | None = None
) -> Iterator[tuple[int, list[str] | str]]:
    """Give line and cells of each row, or line and what is wrong with it; blank ones are left out.

    `source.taken` holds the row's own text.
    """
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    while True:
        line = source.begin_row()
        try:
            cells = next(reader, None)
        except csv.Error as error:
            source.keep_first()
            yield line, _quote_trouble(str(error))
            continue
        if cells is None:
            return
        if all(not cell.strip() for cell in cells):
            continue
        if width is not None and len(cells) != width:
            source.keep_first()
            yield (
                line,
                f"has {len(cells)} cells, the header has {width}; quote cells that hold {delimiter!r}",
            )
            continue
        yield line, cells


def _is_plain(batch: list[str], delimiter: str, header: Sequence[str]) -> bool:
    """True when each line is one record of the header's width, none blank and none a second header."""
    between = len(header) - 1
    first = header[0][:1] or delimiter
    quoted = []
    for text in batch:
        if '"' in text:
            quoted.append(text)
        elif text.count(delimiter) != between or len(text) > csv.field_size_limit():
            return False
        elif text[0] == first or text[0] == delimiter or text[0].isspace():
            cells = text.split(delimiter)
            if not "".join(cells).strip() or _repeats(cells, header):
                return False
    try:
        rows = list(csv.reader(quoted, delimiter=delimiter, strict=True))
    except csv.Error:
        return False
    return len(rows) == len(quoted) and all(
        len(row) == between + 1
        and (row[0].strip() or any(cell.strip() for cell in row))
        and not _repeats(row, header)
        for row in rows
    )


def _repeats(cells: Sequence[str], header: Sequence[str]) -> bool:
    return cells[0].strip() == header[0] and [" ".join(cell.split()) for cell in cells] == list(header)


def _row_by_row(source: Lines, until: int, delimiter: str, width: int, header: Sequence[str]) -> Block:
    """Give the records of the lines before `until`, and the rest of one that begins there."""
    block = Block()
    for line, cells in split_rows(source, delimiter, width):
        text = "".join(source.taken)
        if isinstance(cells, str):
            block.bad.append(BadRow(line, cells, text))
        elif _repeats(cells, header):
            block.bad.append(BadRow(line, "repeats the header", text))
        else:
            block.lines.append(line)
            block.texts.append(text)
        if source.line + len(source.taken) + 1 >= until:
            break
    return block


def _quote_trouble(message: str) -> str:
    if "unexpected end of data" in message:
        return 'a quotation mark (") is opened and not closed'
    if "field larger" in message:
        return "a cell is longer than 131,072 characters"
    return f"quotation marks are wrong ({message})"


@cache
def _pandas() -> Any:
    """Give pandas, None where it is not installed."""
    try:
        import pandas as pd
    except ImportError:
        return None
    return pd


def _pandas_columns(texts: list[str], delimiter: str, width: int) -> list[list[str]] | None:
    """Give the columns as pandas reads them; None when the text has what pandas reads otherwise."""
    text = "".join(texts)
    if _NOT_FOR_PANDAS.search(text):
        return None
    frame = _pandas().read_csv(
        io.StringIO(text),
        sep=delimiter,
        header=None,
        names=range(width),
        index_col=False,
        dtype=object,
        na_filter=False,
        skip_blank_lines=False,
        low_memory=False,
    )
    return [frame[place].tolist() for place in range(width)] if len(frame) == len(texts) else None
