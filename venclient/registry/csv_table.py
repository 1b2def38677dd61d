"""A CSV file as a strict table: encoding, delimiter and header are found, rows come with their line.

Nothing is repaired by guessing: a row that does not fit the header is given back as a `BadRow`. Memory
is bounded by a block of rows. What the columns mean is `csv_mapping`'s business.
"""

from __future__ import annotations

import codecs
import io
import re
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from venclient.errors import ConfigError
from venclient.messages import importing as imp
from venclient.registry.csv_blocks import Block, Lines, blocks, bounded, split_rows

DELIMITERS = (",", ";", "\t", "|")
_BANNER_ROWS = 30
_SAMPLE_CHARS = 65_536
_CHUNK = 1 << 20
_STRAY_CONTROLS = 4
_CONTROLS = b"\x00\x01\x02\x03\x04\x05\x06\x07"
_START = 512
#: UTF-32 before UTF-16, whose mark it begins with.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_LINE_END = re.compile(rb"[\r\n]")
_BROKEN = re.compile("[\udc80-\udcff]")
_NO_CP1252 = b"\x81\x8d\x8f\x90\x9d"


@dataclass(frozen=True)
class Layout:
    """How a file is written: as detected, or as specified."""

    encoding: str
    delimiter: str
    header_line: int
    columns: tuple[str, ...]


def find_encoding(path: Path) -> str:
    """Return the encoding of a text file: UTF-8 (with or without BOM), UTF-16, cp1252 or latin-1.

    A UTF-8 file with a few broken bytes stays UTF-8: its other rows are right. ConfigError when the
    file cannot be read, is empty or is not text.
    """
    subject = str(path)
    try:
        with path.open("rb") as stream:
            if (wide := _marked_or_wide(stream.read(_START))) is not None:
                return wide
            stream.seek(0)
            return _encoding_of(iter(lambda: stream.read(_CHUNK), b""), subject)
    except OSError as error:
        raise ConfigError(imp.NOT_READABLE(problem=error.strerror or error), subject=subject) from error


def _marked_or_wide(start: bytes) -> str | None:
    """Return the encoding that the first bytes show, by a byte order mark or every other byte being NUL."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if start.startswith(mark):
            return encoding
    even, odd = start[::2], start[1::2]
    if len(odd) > 1 and odd.count(0) * 10 >= len(odd) * 9 and 0 not in even:
        return "utf-16-le"
    if len(odd) > 1 and even.count(0) * 10 >= len(even) * 9 and 0 not in odd:
        return "utf-16-be"
    return None


def _encoding_of(chunks: Iterator[bytes], subject: str) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    good = broken = size = controls = 0
    begins_clean = False
    outside_cp1252 = False
    for chunk in chunks:
        if size == 0:
            begins_clean = _begins_clean(chunk)
        size += len(chunk)
        controls += len(chunk) - len(chunk.translate(None, _CONTROLS))
        if chunk.isascii():
            continue
        outside_cp1252 = outside_cp1252 or any(code in chunk for code in _NO_CP1252)
        text = decoder.decode(chunk)
        escaped = len(_BROKEN.findall(text)) if _has_broken(text) else 0
        broken += escaped
        good += len(text) - len(text.encode("ascii", "ignore")) - escaped
    if size == 0:
        raise ConfigError(imp.EMPTY_FILE(), subject=subject)
    # Below a header of text, lines with control bytes are bad rows; without one the file is binary.
    if controls > _STRAY_CONTROLS and controls * 1000 > size and not begins_clean:
        raise ConfigError(imp.NOT_TEXT(), subject=subject)
    if broken <= good:
        return "utf-8"
    return "latin-1" if outside_cp1252 else "cp1252"


def _begins_clean(chunk: bytes) -> bool:
    """Return whether the first line that is not blank is text, and other lines follow."""
    first, *others = _LINE_END.split(chunk.lstrip(b"\r\n \t"), 1)
    return bool(others) and first == first.translate(None, _CONTROLS)


def _has_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


@dataclass(frozen=True)
class CsvTable:
    """An open description of one CSV file; `blocks()` may be called again for a second pass.

    `size` is in bytes; `pandas` False reads without it.
    """

    path: Path
    layout: Layout
    size: int = 0
    pandas: bool = True

    def blocks(self, told: Callable[[int], None] | None = None) -> Iterator[Block]:
        """Yield all rows after the header, some thousands at a time; `told` gets the count of bytes read."""
        layout = self.layout
        errors = "surrogateescape" if layout.encoding.startswith("utf-8") else "strict"
        try:
            with (
                self.path.open("rb") as raw,
                io.TextIOWrapper(raw, layout.encoding, errors, newline="") as stream,
            ):
                source = Lines(bounded(stream))
                for line, _ in split_rows(source, layout.delimiter):
                    if line >= layout.header_line:
                        break
                for block in blocks(source, layout.delimiter, layout.columns):
                    yield block
                    if told is not None:
                        told(raw.tell())
        except UnicodeError as error:
            raise ConfigError(
                imp.NOT_IN_ENCODING(encoding=layout.encoding, problem=error), subject=str(self.path)
            ) from error

    def columns(self, block: Block) -> list[list[str]]:
        """Return the cells of a block's good rows, by column."""
        return block.columns(self.layout.delimiter, len(self.layout.columns), pandas=self.pandas)


def _without_blank_end(cells: list[str], widths: Container[int]) -> list[str]:
    """Return a row without its trailing blank cells, if other rows have exactly the remaining width."""
    end = len(cells)
    while end and not cells[end - 1].strip():
        end -= 1
    return cells[:end] if end in widths else cells


def open_table(
    path: Path,
    score: Callable[[Sequence[str]], int],
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    header_line: int | None = None,
    pandas: bool = True,
) -> CsvTable:
    """Return the table in `path`; `score` says how many cells of a row are known column names.

    The header is the row with the most known names within the first lines (banner lines may come
    before it), read with the delimiter that shows the most of them. ConfigError says what is wrong.
    """
    encoding = encoding or find_encoding(path)
    subject = str(path)
    try:
        with path.open(encoding=encoding, errors="replace", newline="") as stream:
            text = stream.read(_SAMPLE_CHARS)
    except (OSError, LookupError) as error:
        raise ConfigError(imp.UNKNOWN_ENCODING(encoding=encoding, problem=error), subject=subject) from error
    sample = list(io.StringIO(text, newline=""))
    best: tuple[tuple[int, int, int], Layout] | None = None
    absent = [sign for sign in DELIMITERS if sign not in text]  # which all make the same single column
    for sign in (delimiter,) if delimiter else (one for one in DELIMITERS if one not in absent[1:]):
        rows = [(line, cells) for line, cells in split_rows(Lines(sample), sign) if isinstance(cells, list)]
        if not rows:
            continue
        usual = Counter(len(cells) for _, cells in rows).most_common(1)[0][0]
        widths = {len(cells) for _, cells in rows}
        rows = [(line, _without_blank_end(cells, widths)) for line, cells in rows]
        for line, cells in rows[:_BANNER_ROWS]:
            if header_line is not None and line != header_line:
                continue
            rank = (score(cells), int(len(cells) == usual) * len(cells), -line)
            if best is None or rank > best[0]:
                columns = tuple(" ".join(cell.split()) for cell in cells)
                best = (rank, Layout(encoding, sign, line, columns))
    if best is None:
        raise ConfigError(
            imp.NO_HEADER() if header_line is None else imp.NO_ROW_AT(line=header_line), subject=subject
        )
    layout = best[1]
    doubled = sorted(name for name, count in Counter(layout.columns).items() if name and count > 1)
    if doubled and score(doubled):
        raise ConfigError(imp.COLUMN_TWICE(columns=doubled), subject=f"{subject}:{layout.header_line}")
    return CsvTable(path, layout, path.stat().st_size, pandas)
