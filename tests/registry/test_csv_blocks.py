"""Blocks of records: pandas and the csv module read the same, whatever the file."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from venclient.errors import ConfigError
from venclient.registry import csv_blocks
from venclient.registry.csv_blocks import BLOCK_LINES, Lines, blocks
from venclient.registry.csv_sites import CsvSites, Item, Rejected, Site

HEADER = "title,address,longitude,latitude"
ROW = 'Hotel {n},"Nørregade {n}, 7400 Herning, Denmark",8.{n},56.{n}'

NASTY = {
    "quoted newlines": '"Hotel\nA","Gade 1,\r\n7400 Herning",8.9,56.1\nHotel B,x,8.8,56.2\n',
    "too few and too many": "Hotel A,x,8.9\nHotel B,x,8.9,56.1\nHotel C,x,8.9,56.1,7\nHotel D,x,8.9,56.1\n",
    "an open quote": 'Hotel A,"x,8.9,56.1\nHotel B,x,8.8,56.2\nHotel C,x,8.7,56.3\n',
    "a quote inside": 'Hotel "A",x,8.9,56.1\n"Hotel ""B""",x,8.8,56.2\n"Hotel"C,x,8.7,56.3\n',
    "a NUL": "Hotel\x00A,x,8.9,56.1\nHotel B,x,8.8,56.2\n",
    "old Mac line ends": "Hotel A,x,8.9,56.1\rHotel B,x,8.8,56.2\r",
    "mixed line ends": "Hotel A,x,8.9,56.1\r\nHotel B,x,8.8,56.2\rHotel C,x,8.7,56.3\n",
    "blank lines": "\n\nHotel A,x,8.9,56.1\n   \n,,,\nHotel B,x,8.8,56.2",
    "two headers": f"Hotel A,x,8.9,56.1\n{HEADER}\n title ,address, longitude,latitude\nHotel B,x,8,56\n",
    "a long cell": f"{'A' * 10_000},x,8.9,56.1\nHotel B,x,8.8,56.2\n",
    "words that pandas knows": "NA,null,8.9,56.1\nnan,x,8.9,56.1\nTrue,001,8.8,56.2\nHotel,1e5,8.7,56.3\n",
    "spaces around": " Hotel A ,  x ,8.9 , 56.1\n\tHotel B,x,8.8,56.2\n",
    "spaces before a quote": 'Hotel A, "x, y",8.9,56.1\nHotel B,x,8.8,56.2\n',
    "a comment sign": "#Hotel A,x,8.9,56.1\nHotel B,#x,8.8,56.2\n",
    "no line end": "Hotel A,x,8.9,56.1",
    "strange separators": "Hotel\u2028A,x\u2029,8.9,56.1\nHotel\x85B,x\x1c,8.8,56.2\n",
    "a backslash": 'Hotel A\\,x,8.9,56.1\n"Hotel \\"B",x,8.8,56.2\n',
}


def both(path: Path) -> tuple[list[Item], list[Item]]:
    """Return what becomes of a file's rows, with pandas and without."""
    found = [list(CsvSites(path, pandas=pandas).items()) for pandas in (True, False)]
    return found[0], found[1]


def told(items: list[Item]) -> list[object]:
    """Return items with what their equality leaves out."""
    return [(item, item.text if isinstance(item, (Rejected, Site)) else "") for item in items]


@pytest.mark.parametrize("name", NASTY)
def test_pandas_and_csv_agree_on_nasty_files(tmp_path: Path, name: str) -> None:
    """Sites, refusals, lines and texts are the same with pandas and without."""
    path = tmp_path / "hotels.csv"
    path.write_bytes(f"{HEADER}\n{NASTY[name]}".encode())
    with_pandas, without = both(path)
    assert told(with_pandas) == told(without)
    assert any(isinstance(item, Site) for item in without)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252", "latin-1", "utf-16"])
def test_pandas_and_csv_agree_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    """What a file is encoded in makes no difference between the two."""
    path = tmp_path / "hotels.csv"
    path.write_bytes(f"{HEADER}\nHotel Ørnen,Gågade 1,8.9,56.1\n".encode(encoding))
    with_pandas, without = both(path)
    assert told(with_pandas) == told(without)
    assert isinstance(without[0], Site)
    assert without[0].resource.resourceName == "Hotel Ørnen"


def test_bytes_that_are_no_text_are_refused_by_both(tmp_path: Path) -> None:
    """A broken byte costs its row and no other, with pandas and without."""
    path = tmp_path / "hotels.csv"
    path.write_bytes(f"{HEADER}\nKro Ø,x,8.9,56.1\n".encode() + b"Kro \xff,x,8.9,56.1\nKro,y,8.9,56.2\n")
    with_pandas, without = both(path)
    assert told(with_pandas) == told(without)
    assert [type(item) for item in without] == [Site, Rejected, Site]


@pytest.mark.parametrize(
    "name", ["bicycleshops-in-denmark.csv", "schools-stavanger.csv", "chargingstations-cologne-bnetza.csv"]
)
def test_pandas_and_csv_agree_on_real_files(shared: Path, name: str) -> None:
    """The files of the field come out the same."""
    path = shared / "data/assets" / name
    named = {"sch": "Skolenavn", "cha": "Betreiber"}.get(name[:3], "title")
    from venclient.registry.csv_mapping import from_flags
    from venclient.registry.csv_mapping import told as mapped

    mapping = mapped("test", columns=from_flags([f"title={named}"]))
    found = [list(CsvSites(path, mapping, pandas=pandas).items()) for pandas in (True, False)]
    assert told(found[0]) == told(found[1])


def test_without_pandas_the_same_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pandas is not installed the csv module takes its place by itself."""
    path = tmp_path / "hotels.csv"
    path.write_text(f"{HEADER}\n{ROW.format(n=1)}\n", encoding="utf-8")
    expected = list(CsvSites(path).items())
    monkeypatch.setattr(csv_blocks, "_pandas", lambda: None)
    assert list(CsvSites(path).items()) == expected


def test_pandas_does_read_what_is_well_shaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells come from `pandas.read_csv` where it is installed."""
    import pandas as pd

    calls: list[int] = []
    read_csv = pd.read_csv

    def watched(*args: Any, **options: Any) -> Any:
        calls.append(1)
        return read_csv(*args, **options)

    monkeypatch.setattr(pd, "read_csv", watched)
    path = tmp_path / "hotels.csv"
    path.write_text(f"{HEADER}\n{ROW.format(n=1)}\nbad\n{ROW.format(n=2)}\n", encoding="utf-8")
    assert [type(item) for item in CsvSites(path).items()] == [Site, Rejected, Site]
    assert calls


def test_line_numbers_are_right_far_down(tmp_path: Path) -> None:
    """Bad rows are named by their line across blocks, records of several lines among them."""
    rows = [f"Hotel {n},x{n},8.9,56.1" for n in range(2 * BLOCK_LINES + 100)]
    rows[10] = '"Hotel\n10",x,8.9,56.1'
    bad = {BLOCK_LINES - 3: "short", 2 * BLOCK_LINES: "a,b,c,d,e", 2 * BLOCK_LINES + 50: 'x,"y,1,2'}
    for at, text in bad.items():
        rows[at] = text
    path = tmp_path / "hotels.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    items = list(CsvSites(path).items())
    # The header is line 1, and the record of two lines comes before all of them.
    assert [item.line for item in items if isinstance(item, Rejected)] == [at + 3 for at in bad]
    assert len(items) == len(rows)
    assert [item.line for item in items] == sorted({item.line for item in items})


def test_a_record_may_lie_across_two_blocks(tmp_path: Path) -> None:
    """A quoted line break at the end of a block does not tear its record apart."""
    rows = [f"Hotel {n},x{n},8.9,56.1" for n in range(BLOCK_LINES + 10)]
    rows[BLOCK_LINES - 1] = '"Hotel\nacross",x,8.9,56.1'
    path = tmp_path / "hotels.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    items = list(CsvSites(path).items())
    assert all(isinstance(item, Site) for item in items)
    assert [item.resource.resourceName for item in items if isinstance(item, Site)][BLOCK_LINES - 1] == (
        "Hotel across"
    )


_cells = st.text(st.sampled_from("ab ,;\"\n\r\x00\\#'éNA1."), max_size=6)


@given(st.text(st.sampled_from('ab ,"\n\r\x00\\#é1'), max_size=80))
@settings(max_examples=150, deadline=None)
def test_any_text_is_read_alike(text: str) -> None:
    """Whatever stands in a file, pandas and csv give the same cells at the same lines."""
    header = ["a", "b", "c"]
    for block in blocks(Lines(io.StringIO(text, newline="")), ",", header):
        assert block.columns(",", 3) == block.columns(",", 3, pandas=False)
        assert len(block.lines) == len(block.texts)


@given(st.lists(st.lists(_cells, min_size=3, max_size=3), max_size=6), st.sampled_from(",;\t"))
@settings(max_examples=100, deadline=None)
def test_what_csv_writes_comes_back(rows: list[list[str]], delimiter: str) -> None:
    """Cells that csv wrote are read as they were, by pandas too; blank rows are left out."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(rows)
    text.seek(0)
    found: list[tuple[str, ...]] = []
    for block in blocks(Lines(text), delimiter, ["x", "y", "z"]):
        assert not block.bad
        found += zip(*block.columns(delimiter, 3), strict=True)
    assert found == [tuple(row) for row in rows if any(cell.strip() for cell in row)]


def test_a_binary_and_an_empty_file_are_named(tmp_path: Path) -> None:
    """A file that is not a table ends in a sentence about the file."""
    path = tmp_path / "hotels.csv"
    for content, code in ((b"", "VEN-IMP-073"), (bytes(range(256)) * 9, "VEN-IMP-074")):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=code):
            CsvSites(path)
