"""CSV files as strict tables: encoding, delimiter, header and line numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from venclient.errors import ConfigError
from venclient.messages import code_of
from venclient.registry import csv_blocks
from venclient.registry.csv_blocks import BadRow, Lines, split_rows
from venclient.registry.csv_table import CsvTable, find_encoding, open_table

KNOWN = {"title", "address", "latitude", "longitude"}


def score(cells: Sequence[str]) -> int:
    """Count the known names."""
    return sum(cell.strip() in KNOWN for cell in cells)


def read(table: CsvTable) -> list[tuple[int, list[str]] | BadRow]:
    """Return the rows of a table in order: line and cells, or the bad row."""
    found: list[tuple[int, list[str]] | BadRow] = []
    for block in table.blocks():
        cells = map(list, zip(*table.columns(block), strict=True))
        found += zip(block.lines, cells, strict=True)
        found += block.bad
    return sorted(found, key=lambda item: item.line if isinstance(item, BadRow) else item[0])


def line_of(item: tuple[int, list[str]] | BadRow) -> int:
    """Return the line on which a row begins."""
    return item.line if isinstance(item, BadRow) else item[0]


def written(folder: Path, content: bytes | str) -> Path:
    """Write a file and give its path."""
    path = folder / "sites.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("title\nKøge".encode(), "utf-8"),
        ("title\nKøge".encode("utf-8-sig"), "utf-8-sig"),
        ("title\nKøge".encode("cp1252"), "cp1252"),
        ("title\nKøge".encode("utf-16"), "utf-16"),
        (b"title\nK\xf8ge \x81", "latin-1"),
        (b"title\nplain", "utf-8"),
        ("title\nKøge, Sorø, Rønne".encode() + b"\nK\xf8ge", "utf-8"),
    ],
)
def test_the_encoding_is_found(tmp_path: Path, content: bytes, encoding: str) -> None:
    """Marks, UTF-8, the Windows code page and latin-1 are distinguished; one broken byte changes nothing."""
    assert find_encoding(written(tmp_path, content)) == encoding


def test_an_encoding_is_found_across_reading_chunks(tmp_path: Path) -> None:
    """A letter of two bytes that lies across two chunks is still UTF-8."""
    assert find_encoding(written(tmp_path, b"x" * ((1 << 20) - 1) + "ø".encode())) == "utf-8"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "VEN-IMP-073"),
        (bytes(range(256)) * 20, "VEN-IMP-074"),
        (b"\x7fELF\x02\x01\x01" + b"\0" * 200, "VEN-IMP-074"),
    ],
)
def test_unusable_files_say_why(tmp_path: Path, content: bytes, code: str) -> None:
    """Empty and binary files end with a sentence that names the file."""
    with pytest.raises(ConfigError, match=code) as caught:
        find_encoding(written(tmp_path, content))
    assert caught.value.subject.endswith("sites.csv")


def test_missing_and_unreadable_paths_say_why(tmp_path: Path) -> None:
    """A path that is not there, or is a folder, is named."""
    with pytest.raises(ConfigError, match="VEN-IMP-072"):
        find_encoding(tmp_path / "absent.csv")
    with pytest.raises(ConfigError, match="VEN-IMP-072"):
        find_encoding(tmp_path)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    """The delimiter under which the header is known wins, commas in cells or not."""
    rows = [("title", "address", "latitude"), ("A, B; C", "x|y", "1.5"), ("D", "z", "2,5")]
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    table = open_table(written(tmp_path, text.getvalue()), score)
    assert table.layout.delimiter == delimiter
    assert [cells for _, cells in read(table)] == [list(row) for row in rows[1:]]  # type: ignore[misc]


def test_the_header_is_found_below_banner_lines(tmp_path: Path) -> None:
    """Lines about the export come before the header and are passed over; lines are counted from the top."""
    path = written(tmp_path, 'Export of sites;\n"made\non";2026\n\ntitle;address\nA;B\n')
    table = open_table(path, score)
    assert table.layout.header_line == 5
    assert read(table) == [(6, ["A", "B"])]


def test_lines_are_counted_through_quoted_newlines(tmp_path: Path) -> None:
    """A row is where it begins, even after cells that span lines."""
    path = written(tmp_path, 'title,address\r\n"A\r\nB",x\r\nC\r\nD,y\r\n')
    table = open_table(path, score)
    items = read(table)
    assert [(isinstance(item, BadRow), line_of(item)) for item in items] == [
        (False, 2),
        (True, 4),
        (False, 5),
    ]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("A,B", "VEN-IMP-035"),
        ("A,B,C,D", "VEN-IMP-035"),
        ('A,"B,C', "VEN-IMP-036"),
        ('A,"B"x,C', "VEN-IMP-038"),
        ("title,address,latitude", "VEN-IMP-039"),
    ],
)
def test_rows_that_do_not_fit_are_given_back(tmp_path: Path, row: str, code: str) -> None:
    """Such a row is named with its reason, and the rows around it are kept."""
    path = written(tmp_path, f"title,address,latitude\n1,2,3\n{row}\n4,5,6\n7,8,9\n")
    items = read(open_table(path, score))
    assert [line_of(item) for item in items] == [2, 3, 4, 5]
    bad = [item for item in items if isinstance(item, BadRow)]
    assert [item.line for item in bad] == [3]
    assert code_of(bad[0].reason) == code


def test_a_line_without_end_costs_itself_and_no_memory(tmp_path: Path) -> None:
    """Of a line that is longer than any row only its beginning is read; the rows around it are kept."""
    long = "x" * (3 * csv_blocks.LONGEST_LINE)
    path = written(tmp_path, f"title,address,latitude\n1,2,3\n{long},2,3\n4,5,6\n7,8,{long}")
    items = read(open_table(path, score))
    assert [line_of(item) for item in items] == [2, 3, 4, 5]
    bad = {item.line: code_of(item.reason) for item in items if isinstance(item, BadRow)}
    assert bad == {3: "VEN-IMP-350", 5: "VEN-IMP-350"}
    assert all(len(item.text) <= csv_blocks.LONGEST_LINE + 1 for item in items if isinstance(item, BadRow))


def test_a_block_of_long_lines_holds_fewer_of_them(tmp_path: Path) -> None:
    """What is in memory at once has a bound in characters, not only in lines."""
    row = ",".join(("y" * 100_000,) * 3) + "\n"
    path = written(tmp_path, "title,address,latitude\n" + 60 * row)
    sizes = [sum(map(len, block.texts)) for block in open_table(path, score).blocks()]
    assert max(sizes) < csv_blocks.BLOCK_CHARS + 2 * len(row)
    assert sum(sizes) == 60 * len(row)


def test_an_open_quote_costs_one_row_of_a_long_file(tmp_path: Path) -> None:
    """A quotation mark that is never closed does not swallow the rest of the file."""
    rows = [f"site {n},x,1" for n in range(500)]
    rows[100] = '"site 100,x,1'
    path = written(tmp_path, "title,address,latitude\n" + "\n".join(rows) + "\n")
    items = read(open_table(path, score))
    assert [item.line for item in items if isinstance(item, BadRow)] == [102]
    assert sum(isinstance(item, tuple) for item in items) == 499


def test_a_doubled_column_is_refused(tmp_path: Path) -> None:
    """Two columns of one known name are ambiguous."""
    with pytest.raises(ConfigError, match="VEN-IMP-079"):
        open_table(written(tmp_path, "title,title,address\nA,B,C\n"), score)


_cells = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from('\n",;'), max_size=8)
_tables = st.lists(st.lists(_cells, min_size=3, max_size=3), max_size=8)


@given(_tables, st.sampled_from([",", ";", "\t"]))
@settings(max_examples=60)
def test_what_was_written_is_read_back(rows: list[list[str]], delimiter: str) -> None:
    """Rows that csv writes come back as they were, in order, at rising lines; blank ones are left out."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(rows)
    text.seek(0)
    items = list(split_rows(Lines(text), delimiter, 3))
    assert [cells for _, cells in items] == [row for row in rows if any(cell.strip() for cell in row)]
    assert [line for line, _ in items] == sorted({line for line, _ in items})


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    """Any text ends in rows and bad rows."""
    for _, item in split_rows(Lines(io.StringIO(text, newline="")), ",", 2):
        assert isinstance(item, str) or len(item) == 2
