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
from typing import Any, TextIO

from venclient.messages import importing as imp

BLOCK_LINES = 4_096
#: So many characters of a block are taken at once, and a longer line is rejected.
BLOCK_CHARS = 4 * 1024 * 1024
LONGEST_LINE = 1024 * 1024
_MAX_ROW_LINES = 50
_LONE_RETURN = re.compile("\r(?!\n)")


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
        """Return the cells by column, each as it stands in the file."""
        if not self.texts:
            return [[] for _ in range(width)]
        if pandas and _pandas() is not None:
            found = _pandas_columns(self.texts, delimiter, width)
            if found is not None:
                return found
        rows = csv.reader(self.texts, delimiter=delimiter, strict=True)
        return [list(column) for column in zip(*rows, strict=True)]


def bounded(stream: TextIO) -> Iterator[str]:
    """Return the lines of a stream; of one that is too long only as much as shows that it is."""
    while text := stream.readline(LONGEST_LINE + 1):
        yield text
        while len(text) > LONGEST_LINE and text[-1] not in "\r\n":
            if not (text := stream.readline(LONGEST_LINE + 1)):
                break


class _LineTooLong(Exception):
    """A line that is longer than any row."""


class Lines:
    """Physical lines with their numbers; a bad row can put back the lines that it took."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._again: deque[str] = deque()
        self.taken: list[str] = []
        self.line = 0
        self.has_surplus = False

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        # an unclosed quote would swallow the rest of the file into one cell
        if len(self.taken) >= _MAX_ROW_LINES:
            raise StopIteration
        text = self._again.popleft() if self._again else next(self._lines)
        self.taken.append(text)
        if len(text) > LONGEST_LINE:
            raise _LineTooLong
        return text

    def begin_row(self) -> int:
        """Count what was taken as used; return the number of the next line."""
        self.line += len(self.taken)
        self.taken = []
        return self.line + 1

    def keep_first(self) -> None:
        """Take one line as used and give the others back, to be read as rows of their own."""
        self._again.extendleft(reversed(self.taken[1:]))
        self.taken = self.taken[:1]

    def batch(self) -> list[str]:
        """Return the next lines, and count them as used."""
        self.begin_row()
        found = [self._again.popleft() for _ in range(min(len(self._again), BLOCK_LINES))]
        size = sum(map(len, found))
        while len(found) < BLOCK_LINES and size < BLOCK_CHARS and (text := next(self._lines, "")):
            found.append(text)
            size += len(text)
        self.line += len(found)
        return found

    def give_back(self, lines: Sequence[str]) -> None:
        """Take back what `batch` gave."""
        self._again.extendleft(reversed(lines))
        self.line -= len(lines)


def blocks(source: Lines, delimiter: str, header: Sequence[str]) -> Iterator[Block]:
    """Return all records that follow in `source`; blank ones are left out.

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
    """Return line and cells of each row, or line and what is wrong with it; blank ones are left out.

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
        except _LineTooLong:
            source.keep_first()
            yield line, imp.LINE_TOO_LONG(limit=LONGEST_LINE)
            continue
        if cells is None:
            return
        if all(not cell.strip() for cell in cells):
            continue
        source.has_surplus = (
            width is not None and len(cells) > width and not any(cell.strip() for cell in cells[width:])
        )
        if source.has_surplus:  # blank cells after the last column lose nothing
            cells = cells[:width]
        if width is not None and len(cells) != width:
            source.keep_first()
            yield line, imp.CELL_COUNT(count=len(cells), expected=width, delimiter=delimiter)
            continue
        yield line, cells


def _is_plain(batch: list[str], delimiter: str, header: Sequence[str]) -> bool:
    """Return whether each line is one record of the header's width, none blank and none a second header.

    False says nothing: the lines are to be looked at one by one.
    """
    if max(map(len, batch)) > csv.field_size_limit():
        return False
    bare = _outside_quotes("".join(batch), delimiter)
    if bare is None or len(bare) != len(batch):
        return False
    if not {len(header) - 1}.issuperset([text.count(delimiter) for text in bare]):
        return False
    begins = {header[0][:1], delimiter, '"'}
    return not any(
        _is_blank_or_header(text, delimiter, header)
        for text in batch
        if (first := text[0]) in begins or first.isspace()
    )


def _outside_quotes(text: str, delimiter: str) -> list[str] | None:
    """Return the lines without their quoted cells; None when one spans lines or quotes are wrong."""
    if "\r" in text:
        text = text.replace("\r\n", "\n")
        if "\r" in text:
            return None
    outside, *others = text.split('"')
    if others:
        inside, between = others[::2], others[1::2]
        if len(inside) != len(between) or "\n" in "".join(inside):
            return None
        # A quoted cell begins and ends at the end of a cell; nothing between two marks is one mark in it.
        *middle, last = between
        ends = (delimiter, "\n")
        if (outside and outside[-1] not in ends) or (last and last[0] not in ends):
            return None
        if not all(not part or (part[0] in ends and part[-1] in ends) for part in middle):
            return None
        text = "".join((outside, *between))
    lines = text.split("\n")
    return lines if lines[-1] else lines[:-1]


def _is_blank_or_header(text: str, delimiter: str, header: Sequence[str]) -> bool:
    if not text.replace(delimiter, "").replace('"', "").strip():
        return True
    begin = text.lstrip().lstrip('"').lstrip()
    return begin.startswith(header[0][:1]) and _repeats(
        next(csv.reader([text], delimiter=delimiter), []), header
    )


def _repeats(cells: Sequence[str], header: Sequence[str]) -> bool:
    if not cells or cells[0].strip() != header[0]:
        return False
    return [" ".join(cell.split()) for cell in cells] == list(header)


def _row_by_row(source: Lines, until: int, delimiter: str, width: int, header: Sequence[str]) -> Block:
    """Return the records of the lines before `until`, and the rest of one that begins there."""
    block = Block()
    for line, cells in split_rows(source, delimiter, width):
        text = "".join(source.taken)
        if isinstance(cells, str):
            block.bad.append(BadRow(line, cells, text))
        elif _repeats(cells, header):
            block.bad.append(BadRow(line, imp.REPEATS_HEADER(), text))
        else:
            block.lines.append(line)
            block.texts.append(_written(cells, delimiter) if source.has_surplus else text)
        if source.line + len(source.taken) + 1 >= until:
            break
    return block


def _written(cells: Sequence[str], delimiter: str) -> str:
    """Return cells as one record."""
    record = io.StringIO()
    csv.writer(record, delimiter=delimiter, lineterminator="\n").writerow(cells)
    return record.getvalue()


def _quote_trouble(message: str) -> str:
    if "end of data" in message:
        return imp.QUOTE_NOT_CLOSED()
    if "field larger" in message:
        return imp.CELL_TOO_LARGE(limit=csv.field_size_limit())
    return imp.BAD_QUOTES(problem=message)


@cache
def _pandas() -> Any:
    """Return pandas, None where it is not installed."""
    try:
        import pandas as pd
    except ImportError:
        return None
    return pd


def _is_for_pandas(text: str) -> bool:
    """False for what pandas would end a cell or a row at, or cannot read at all, and csv does not."""
    if "\x00" in text or ("\r" in text and _LONE_RETURN.search(text)):
        return False
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:  # bytes that are not UTF-8
        return False


def _pandas_columns(texts: list[str], delimiter: str, width: int) -> list[list[str]] | None:
    """Return the columns as pandas reads them; None when the text has what pandas reads otherwise."""
    text = "".join(texts)
    if not _is_for_pandas(text):
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
