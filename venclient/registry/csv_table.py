"""A CSV file as a strict table: encoding, delimiter and header are found, rows come with their line.

Nothing is repaired by guessing: a row that does not fit the header is given back as a `BadRow`. Memory
is bounded by the longest row. What the columns mean is `csv_mapping`'s business.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from venclient.errors import ConfigError

DELIMITERS = (",", ";", "\t", "|")
_BANNER_ROWS = 30
_SAMPLE_CHARS = 65_536
_MAX_ROW_LINES = 50
_CHUNK = 1 << 20
_STRAY_CONTROLS = 4
_BROKEN = re.compile("[\udc80-\udcff]")
_BEYOND_ASCII = re.compile("[^\x00-\x7f]")
_NO_CP1252 = b"\x81\x8d\x8f\x90\x9d"


@dataclass(frozen=True)
class Row:
    """One row that fits the header; `line` counts from 1 and is where the row begins."""

    line: int
    cells: list[str]


@dataclass(frozen=True)
class BadRow:
    """One row that cannot be taken apart safely, and why."""

    line: int
    reason: str


@dataclass(frozen=True)
class Layout:
    """How a file is written: as found, or as told."""

    encoding: str
    delimiter: str
    header_line: int
    columns: tuple[str, ...]


def find_encoding(path: Path) -> str:
    """Give the encoding of a text file: UTF-8 (with or without mark), UTF-16 with a mark, cp1252 or latin-1.

    A UTF-8 file with a few broken bytes stays UTF-8: its other rows are right. ConfigError when the
    file cannot be read, is empty or is no text.
    """
    subject = str(path)
    try:
        with path.open("rb") as stream:
            start = stream.read(4)
            if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                return "utf-16"
            if start.startswith(codecs.BOM_UTF8):
                return "utf-8-sig"
            stream.seek(0)
            return _encoding_of(iter(lambda: stream.read(_CHUNK), b""), subject)
    except OSError as error:
        why = error.strerror or str(error)
        raise ConfigError(
            f"cannot be read ({why})", subject=subject, hint="give the path of a readable CSV file"
        ) from error


def _encoding_of(chunks: Iterator[bytes], subject: str) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    good = broken = size = controls = 0
    outside_cp1252 = False
    for chunk in chunks:
        size += len(chunk)
        # a lone NUL is one bad row; more than one control byte in a thousand is no text at all
        controls += sum(chunk.count(code) for code in b"\x00\x01\x02\x03\x04\x05\x06\x07")
        if chunk.isascii():
            continue
        outside_cp1252 = outside_cp1252 or any(code in chunk for code in _NO_CP1252)
        text = decoder.decode(chunk)
        escaped = len(_BROKEN.findall(text))
        broken += escaped
        good += len(_BEYOND_ASCII.findall(text)) - escaped
    if size == 0:
        raise ConfigError("is empty", subject=subject, hint="give a CSV file with a header row")
    if controls > _STRAY_CONTROLS and controls * 1000 > size:
        raise ConfigError("is no text file", subject=subject, hint="save the sheet as CSV, UTF-8")
    if broken <= good:
        return "utf-8"
    return "latin-1" if outside_cp1252 else "cp1252"


class _Lines:
    """Physical lines with their numbers; a row that went wrong can hand back what it took in vain."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._again: deque[str] = deque()
        self.taken: list[str] = []
        self.line = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        # an unclosed quote would swallow the rest of the file into one cell
        if len(self.taken) >= _MAX_ROW_LINES:
            raise StopIteration
        text = self._again.popleft() if self._again else next(self._lines)
        self.taken.append(text)
        return text

    def begin_row(self) -> int:
        self.line += len(self.taken)
        self.taken = []
        return self.line + 1

    def keep_first(self) -> None:
        """Take one line as used and give the others back, to be read as rows of their own."""
        self._again.extendleft(reversed(self.taken[1:]))
        self.taken = self.taken[:1]


def split_rows(
    lines: Iterable[str], delimiter: str, width: int | None = None, header_line: int = 0
) -> Iterator[Row | BadRow]:
    """Give the rows of CSV text, blank ones left out.

    Rows after `header_line` must have `width` cells when that is given.
    """
    source = _Lines(lines)
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    while True:
        line = source.begin_row()
        try:
            cells = next(reader, None)
        except csv.Error as error:
            source.keep_first()
            yield BadRow(line, _quote_trouble(str(error)))
            continue
        if cells is None:
            return
        if all(not cell.strip() for cell in cells):
            continue
        if width is not None and line > header_line and len(cells) != width:
            source.keep_first()
            yield BadRow(
                line, f"has {len(cells)} cells, the header has {width}; quote cells that hold {delimiter!r}"
            )
            continue
        yield Row(line, cells)


def _quote_trouble(message: str) -> str:
    if "unexpected end of data" in message:
        return 'a quotation mark (") is opened and not closed'
    if "field larger" in message:
        return "a cell is longer than 131,072 characters"
    return f"quotation marks are wrong ({message})"


@dataclass(frozen=True)
class CsvTable:
    """An open description of one CSV file; `rows()` may be called again for a second pass."""

    path: Path
    layout: Layout

    def rows(self) -> Iterator[Row | BadRow]:
        """Give all rows after the header."""
        layout = self.layout
        errors = "surrogateescape" if layout.encoding.startswith("utf-8") else "strict"
        header = list(layout.columns)
        try:
            with self.path.open(encoding=layout.encoding, errors=errors, newline="") as stream:
                for item in split_rows(stream, layout.delimiter, len(header), layout.header_line):
                    if item.line <= layout.header_line:
                        continue
                    if isinstance(item, Row) and [" ".join(cell.split()) for cell in item.cells] == header:
                        yield BadRow(item.line, "repeats the header")
                    else:
                        yield item
        except UnicodeError as error:
            raise ConfigError(
                f"is not {layout.encoding} text ({error})", subject=str(self.path), hint="save it as UTF-8"
            ) from error


def open_table(
    path: Path,
    score: Callable[[Sequence[str]], int],
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    header_line: int | None = None,
) -> CsvTable:
    """Give the table in `path`; `score` says how many cells of a row are known column names.

    The header is the row with the most known names within the first lines (banner lines may come
    before it), read with the delimiter that shows the most of them. ConfigError says what is wrong.
    """
    encoding = encoding or find_encoding(path)
    subject = str(path)
    try:
        with path.open(encoding=encoding, errors="replace", newline="") as stream:
            sample = list(io.StringIO(stream.read(_SAMPLE_CHARS), newline=""))
    except (OSError, LookupError) as error:
        raise ConfigError(
            f"cannot be read as {encoding} ({error})", subject=subject, hint="check path and encoding"
        ) from error
    best: tuple[tuple[int, int, int], Layout] | None = None
    for sign in (delimiter,) if delimiter else DELIMITERS:
        rows = [item for item in split_rows(sample, sign) if isinstance(item, Row)]
        if not rows:
            continue
        usual = Counter(len(row.cells) for row in rows).most_common(1)[0][0]
        for row in rows[:_BANNER_ROWS]:
            if header_line is not None and row.line != header_line:
                continue
            known = score(row.cells)
            rank = (known, int(len(row.cells) == usual) * len(row.cells), -row.line)
            if best is None or rank > best[0]:
                columns = tuple(" ".join(cell.split()) for cell in row.cells)
                best = (rank, Layout(encoding, sign, row.line, columns))
    if best is None:
        what = "has no rows" if header_line is None else f"has no row at line {header_line}"
        raise ConfigError(what, subject=subject, hint="give a CSV file with a header row")
    layout = best[1]
    doubled = sorted(name for name, count in Counter(layout.columns).items() if name and count > 1)
    if doubled and score(doubled):
        raise ConfigError(
            f"the header has {', '.join(doubled)} twice",
            subject=f"{subject}:{layout.header_line}",
            hint="rename one of the two columns",
        )
    return CsvTable(path, layout)
