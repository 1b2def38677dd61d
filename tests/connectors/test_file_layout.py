"""Tables as people export them: delimiter, header, decimal mark, thousands and units found in the file."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.connectors.sites import make_resource, make_site
from tests.connectors.test_file import read_all, reader_of, values, write
from venclient.connectors import file_tail
from venclient.connectors.base import Batch
from venclient.connectors.file import FileReader, open_file_reader
from venclient.connectors.file_access import Access
from venclient.connectors.file_numbers import Evidence, decide, number_in
from venclient.connectors.loose_times import lenient_time_reader
from venclient.errors import Undecodable
from venclient.messages import code_of, text_of
from venclient.model.resource import ConnectionType
from venclient.simulation.meterdata import KINDS, generate, write_csv


def table(delimiter: str, *rows: list[str]) -> str:
    """Return the lines of a table, a minute apart; the first row names the columns behind the time."""
    head, *body = rows
    lines = [delimiter.join(["time", *head])]
    lines += [delimiter.join([f"2026-06-01T12:{n:02}:00Z", *cells]) for n, cells in enumerate(body)]
    return "".join(f"{line}\n" for line in lines)


def by_quantity(batch: Batch) -> dict[str, list[float]]:
    """Return the values by quantity."""
    found: dict[str, list[float]] = {}
    for one in batch.readings:
        found.setdefault(one.quantity, []).append(one.value)
    return found


# What the product writes itself


@pytest.mark.parametrize("kind", KINDS)
async def test_generated_meter_data_reads_without_any_option(kind: str, tmp_path: Path) -> None:
    """The output of `ven simulate meterdata`, at the place where a site's file is expected, is read whole."""
    rows = list(generate(kind, days=2))
    stream = io.StringIO()
    write_csv(rows, stream, export=kind == "pv")
    (tmp_path / "meterdata").mkdir()
    (tmp_path / "meterdata" / "57.csv").write_text(stream.getvalue(), encoding="utf-8")
    resource = make_resource(ConnectionType.FILEREADER, file="meterdata/57.csv")
    batch = await read_all(open_file_reader(resource, make_site(tmp_path)))

    assert not batch.rejects
    found = by_quantity(batch)
    assert found["power_kw"] == pytest.approx([row.power_kw for row in rows], abs=0.0006)
    assert found["energy_kwh"] == pytest.approx([row.energy_kwh for row in rows], abs=0.0006)
    assert [one.time for one in batch.readings if one.quantity == "power_kw"] == [row.time for row in rows]


# Delimiter and header


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
async def test_any_usual_delimiter_is_found(delimiter: str, tmp_path: Path) -> None:
    """The known names of the header decide the delimiter."""
    write(tmp_path, table(delimiter, ["power_kw", "note"], ["1.5", "a"], ["2.5", "b"]))
    assert values(await read_all(reader_of(tmp_path))) == [1.5, 2.5]


async def test_lines_before_the_header_are_left_out(tmp_path: Path) -> None:
    """A banner above the header is neither header nor data."""
    banner = "Export of Hotel Nord\nfrom;2026-06-01;to;2026-06-02\n\n"
    write(tmp_path, banner + table(";", ["power_kw"], ["1,5"], ["2,5"]))
    reader = reader_of(tmp_path)
    batch = await read_all(reader)
    assert isinstance(reader, FileReader)
    assert "header in line 4" in reader.said
    assert values(batch) == [1.5, 2.5]
    assert not batch.rejects


async def test_a_file_without_a_header_loses_no_row(tmp_path: Path) -> None:
    """A first line of data is data: the time is found, the column beside it is power in kW."""
    write(tmp_path, "2026-06-01T12:00:00Z;1,5;x\n2026-06-01T12:01:00Z;2,5;y\n")
    batch = await read_all(reader_of(tmp_path))
    assert [(one.quantity, one.value) for one in batch.readings] == [("power_kw", 1.5), ("power_kw", 2.5)]


async def test_a_column_named_by_the_options_tells_the_header(tmp_path: Path) -> None:
    """Names that only the options know find header and delimiter as well."""
    options = {
        "time": {"columns": ["Zeit"], "zone": "Europe/Berlin", "format": "%d.%m.%Y %H:%M"},
        "values": [{"column": "Bezug", "quantity": "power_kw", "unit": "W"}],
    }
    write(tmp_path, "Anlage 7\nZeit|Bezug|Einspeisung\n01.06.2026 14:00|1500|0\n")
    batch = await read_all(reader_of(tmp_path, options))
    assert values(batch) == [1.5]


async def test_a_header_alone_waits_for_its_rows(tmp_path: Path) -> None:
    """A followed file of one line by unknown names says nothing yet; with rows it is read from its start."""
    marks: dict[str, str] = {}
    write(tmp_path, "Export 7\n")
    reader = reader_of(tmp_path, marks=marks)
    assert not (await read_all(reader, marks)).readings
    write(tmp_path, "time;power_kw\n2026-06-01T12:00:00Z;2\n", "a")
    assert values(await read_all(reader, marks)) == [2.0]


async def test_what_was_found_is_said(tmp_path: Path) -> None:
    """Delimiter, header, decimal mark and columns can be shown to the user."""
    write(tmp_path, "banner\n" + table(";", ["power_kw"], ["1,5"]))
    reader = reader_of(tmp_path)
    assert isinstance(reader, FileReader)
    await read_all(reader)
    for part in (
        "meter.csv",
        "delimiter ;",
        "header in line 2",
        "decimal mark ,",
        "time from time",
        "power_kw",
    ):
        assert part in reader.said


async def test_what_was_found_outlasts_a_restart(tmp_path: Path) -> None:
    """A reader that goes on in a file reads it as the one before, whatever the new rows look like alone."""
    marks: dict[str, str] = {}
    write(tmp_path, table(";", ["power_kw"], ["1,5"]))
    await read_all(reader_of(tmp_path, marks=marks), marks)
    write(tmp_path, "2026-06-01T12:05:00Z;1,234\n", "a")
    assert values(await read_all(reader_of(tmp_path, marks=marks), marks)) == [1.234]


# Numbers


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([["1,5"], ["2"]], [1.5, 2]),
        ([["1.234,5"], ["1.234"]], [1234.5, 1234]),
        ([["1,234.5"], ["1,234"]], [1234.5, 1234]),
        ([["1.234.567"], ["1.234"]], [1234567, 1234]),
        ([["1,234"], ["0,5"]], [1.234, 0.5]),
        ([["1.234"], ["12.5"]], [1.234, 12.5]),
        ([["1 234,5"], ["2 000"]], [1234.5, 2000]),
        ([["1'234.5"], ["2'000"]], [1234.5, 2000]),
        ([["1\u00a0234,5"], ["-3,25"]], [1234.5, -3.25]),
        ([["12,5 kW"], ["1500 W"]], [12.5, 1.5]),
        ([["12.5kW"], ["\u22123.5"]], [12.5, -3.5]),
        ([["0.001 MW"], ["2"]], [1, 2]),
        ([["1e3"], ["2.5E-1"]], [1000, 0.25]),
    ],
)
async def test_numbers_are_read_as_their_column_means_them(
    rows: list[list[str]], expected: list[float], tmp_path: Path
) -> None:
    """Every cell of a column is read by the decimal mark that the column shows."""
    write(tmp_path, table(";", ["power_kw"], *rows))
    batch = await read_all(reader_of(tmp_path))
    assert not batch.rejects
    assert values(batch) == pytest.approx(expected)


async def test_another_column_decides(tmp_path: Path) -> None:
    """A file has one decimal mark as a rule: a column without evidence follows the others."""
    write(tmp_path, table(";", ["power_kw", "energy_kwh"], ["4.216", "45321.123"], ["5.118", "45322.000"]))
    assert by_quantity(await read_all(reader_of(tmp_path)))["power_kw"] == [4.216, 5.118]
    write(tmp_path, table(";", ["power_kw", "energy_kwh"], ["0,5", "45.321"], ["0,6", "45.322"]))
    assert by_quantity(await read_all(reader_of(tmp_path)))["energy_kwh"] == [45321, 45322]


async def test_evidence_far_down_the_file_counts(tmp_path: Path) -> None:
    """All rows of the file decide, also those behind the first piece that is read."""
    cells = ["1.234"] * 5500 + ["12.5"]
    write(tmp_path, "time;power_kw\n" + "".join(f"{1780315220 + n};{cell}\n" for n, cell in enumerate(cells)))
    batch = await read_all(reader_of(tmp_path, {"time": {"format": "epoch_s"}}))
    assert values(batch) == [1.234] * 5500 + [12.5]


async def test_a_refused_file_is_not_read_again_before_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large file without evidence is searched once, and not at each look."""
    write(tmp_path, table(";", ["power_kw"], ["1.234"]))
    reader = reader_of(tmp_path)
    looks: list[Path] = []
    whole = file_tail.all_lines

    def counted(path: Path, access: Access) -> Iterator[bytes]:
        looks.append(path)
        return whole(path, access)

    monkeypatch.setattr("venclient.connectors.file.all_lines", counted)
    for _ in range(5):
        with pytest.raises(Undecodable, match="VEN-FIL-054"):
            await reader.read()
    assert len(looks) == 1


@pytest.mark.parametrize("cells", [["1.234", "2.500"], ["1,234", "2,500"], ["1.234", "7"]])
async def test_without_evidence_nothing_is_guessed(cells: list[str], tmp_path: Path) -> None:
    """1.234 alone may be a thousand: nothing is read, and the message names the option."""
    write(tmp_path, table(";", ["power_kw"], *([cell] for cell in cells)))
    reader = reader_of(tmp_path)
    with pytest.raises(Undecodable, match=r"decimal.*VEN-FIL-054"):
        await reader.read()
    write(tmp_path, "2026-06-01T13:00:00Z;0" + cells[0][1] + "5\n", "a")
    assert len(values(await read_all(reader))) == 3


@pytest.mark.parametrize(("decimal", "expected"), [(".", 1.234), (",", 1234.0)])
async def test_the_option_decides(decimal: str, expected: float, tmp_path: Path) -> None:
    """With the option every cell has one meaning."""
    write(tmp_path, table(";", ["power_kw"], ["1.234"]))
    assert values(await read_all(reader_of(tmp_path, {"decimal": decimal}))) == [expected]


async def test_a_point_needs_no_evidence_where_commas_separate(tmp_path: Path) -> None:
    """In a file with commas between its cells, 1.234 is one and a quarter."""
    write(tmp_path, table(",", ["power_kw"], ["1.234"]))
    assert values(await read_all(reader_of(tmp_path))) == [1.234]
    write(tmp_path, table(",", ["power_kw"], ['"1,234"']))
    with pytest.raises(Undecodable, match="VEN-FIL-054"):
        await read_all(reader_of(tmp_path))


async def test_a_column_of_two_minds_is_refused(tmp_path: Path) -> None:
    """As many cells with one mark as with the other: the message shows one of each."""
    write(tmp_path, table(";", ["power_kw"], ["1.5"], ["2,5"]))
    with pytest.raises(Undecodable, match=r"1\.5.*2,5.*VEN-FIL-055"):
        await reader_of(tmp_path).read()


async def test_one_odd_cell_costs_its_row_alone(tmp_path: Path) -> None:
    """Among many cells that agree, one with the other mark is rejected by its line."""
    write(tmp_path, table(";", ["power_kw"], *([["1.5"]] * 30), ["2,5"], ["3.5"]))
    batch = await read_all(reader_of(tmp_path))
    assert values(batch) == [1.5] * 30 + [3.5]
    assert [(one.place, code_of(one.reason)) for one in batch.rejects] == [("meter.csv:32", "VEN-FIL-053")]


@pytest.mark.parametrize(
    ("options", "cell", "code"),
    [
        ({"values": [{"column": "p", "quantity": "power_kw", "unit": "W"}]}, "5 kW", "VEN-FIL-056"),
        ({"values": [{"column": "p", "quantity": "power_kw"}]}, "5 kWh", "VEN-CON-031"),
        ({"values": [{"column": "p", "quantity": "power_kw"}]}, "5 kg", "VEN-CON-031"),
        ({"values": [{"column": "p", "quantity": "power_kw"}]}, "five", "VEN-FIL-066"),
        ({"values": [{"column": "p", "quantity": "power_kw"}]}, "1.5.2026", "VEN-FIL-066"),
    ],
)
async def test_a_cell_that_is_something_else_is_rejected(
    options: dict[str, Any], cell: str, code: str, tmp_path: Path
) -> None:
    """A unit that cannot be, or disagrees with the option, is named; other rows are read."""
    write(tmp_path, table(";", ["p"], [cell], ["6"]))
    batch = await read_all(reader_of(tmp_path, options))
    assert len(batch.readings) == 1
    assert [code_of(one.reason) in (code, "VEN-FIL-053") for one in batch.rejects] == [True]


# Times


@pytest.mark.parametrize(
    ("form", "zone", "text", "expected"),
    [
        ("iso", None, "2026-06-01T12:00:00z", "2026-06-01T12:00:00+00:00"),
        ("iso", None, "2026-06-01 12:00:00 UTC", "2026-06-01T12:00:00+00:00"),
        ("iso", "Europe/Copenhagen", "2026-06-01 12:00 utc", "2026-06-01T12:00:00+00:00"),
        ("iso", None, "2026-06-01T24:00Z", "2026-06-02T00:00:00+00:00"),
        ("iso", "Europe/Copenhagen", "2026-06-01 24:00", "2026-06-01T22:00:00+00:00"),
        ("iso", "Europe/Copenhagen", "2026-03-28 24:00:00", "2026-03-28T23:00:00+00:00"),
        ("iso", "Europe/Copenhagen", "2026-03-29 24:00", "2026-03-29T22:00:00+00:00"),
        ("iso", "Europe/Copenhagen", "2025-10-26 24:00", "2025-10-26T23:00:00+00:00"),
        ("iso", "Europe/Copenhagen", "2026-12-31 24:00", "2026-12-31T23:00:00+00:00"),
        ("iso", None, "2026-03-29T24:00+02:00", "2026-03-29T22:00:00+00:00"),
        ("%d.%m.%Y %H:%M", "Europe/Copenhagen", "28.02.2026 24:00", "2026-02-28T23:00:00+00:00"),
        ("%d-%m-%Y %H:%M:%S", "UTC", "31-12-2025 24:00:00", "2026-01-01T00:00:00+00:00"),
        ("%Y-%m-%d %H:%M", "Europe/Copenhagen", "2026-06-01 12:00 UTC", "2026-06-01T12:00:00+00:00"),
        ("auto", None, "2026-06-01T12:00:00z", "2026-06-01T12:00:00+00:00"),
    ],
)
def test_times_as_loggers_write_them(form: str, zone: str | None, text: str, expected: str) -> None:
    """The end of a day, UTC in words, and a small z."""
    assert lenient_time_reader(form, zone)(text)[0] == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    "text", ["2026-06-01 24:01", "2026-06-01 25:00", "24:00", "2026-02-30 24:00", "z", " UTC"]
)
def test_what_is_a_wrong_time_stays_one(text: str) -> None:
    """Only the end of a day is written with 24, and only of days that exist."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the code says which)
        lenient_time_reader("iso", "UTC")(text)
    assert code_of(text_of(caught.value)) == "VEN-CON-046"


@settings(max_examples=100, deadline=None)
@given(
    day=st.dates(date(2001, 1, 1), date(2099, 12, 30)),
    zone=st.sampled_from(["Europe/Copenhagen", "UTC", "America/New_York", "Australia/Lord_Howe"]),
    form=st.sampled_from(["iso", "%d/%m/%Y %H:%M"]),
)
def test_the_end_of_a_day_is_the_start_of_the_next(day: Any, zone: str, form: str) -> None:
    """In every zone, through every change of the clock."""
    read = lenient_time_reader(form, zone)
    pattern = "%Y-%m-%d %H:%M" if form == "iso" else form
    start = datetime.combine(day, datetime.min.time())
    end = start.strftime(pattern).replace("00:00", "24:00")
    assert read(end) == read((start + timedelta(days=1)).strftime(pattern))


# Any table


@st.composite
def exported_tables(draw: st.DrawFn) -> tuple[str, list[list[float | None]]]:
    """Draw a table as a program may write it, with its true values; it has evidence for its decimal mark."""
    delimiter = draw(st.sampled_from([",", ";", "\t", "|"]))
    decimal = "." if delimiter == "," else draw(st.sampled_from([".", ","]))
    group = draw(
        st.sampled_from(["", " ", "'", "\u00a0", "," if decimal == "." and delimiter != "," else "'"])
    )
    digits = draw(st.integers(1, 4))
    unit = draw(st.sampled_from(["", " kW", "kW"]))
    numbers = st.one_of(st.none(), st.integers(-(10**7), 10**7).map(lambda n: n / 10**digits))
    columns = draw(st.integers(1, 3))
    rows = draw(st.lists(st.lists(numbers, min_size=columns, max_size=columns), min_size=1, max_size=12))
    rows.append([0.5] * columns)

    def cell(value: float | None) -> str:
        if value is None:
            return draw(st.sampled_from(["", "-", "NaN", "?"]))
        text = f"{value:,.{digits}f}"
        return text.replace(",", "\0").replace(".", decimal).replace("\0", group) + unit

    names = [f"power_l{n}_kw" for n in range(1, columns + 1)]
    text = table(delimiter, names, *([cell(value) for value in row] for row in rows))
    banner = draw(st.sampled_from(["", "Hotel Nord\n", "\n"]))
    return banner + text, rows


@settings(max_examples=150, deadline=None)
@given(exported_tables())
def test_a_table_gives_its_values_whatever_its_style(drawn: tuple[str, list[list[float | None]]]) -> None:
    """Delimiters, marks, groups, units and banners of any kind: each value is read, none is another."""
    text, rows = drawn

    async def run(folder: Path) -> Batch:
        write(folder, text)
        return await read_all(reader_of(folder))

    with TemporaryDirectory() as name:
        batch = asyncio.run(run(Path(name)))
    assert not batch.rejects
    found = by_quantity(batch)
    for place, column in enumerate(zip(*rows, strict=True), 1):
        wanted = [value for value in column if value is not None]
        assert found.get(f"power_l{place}_kw", []) == pytest.approx(wanted)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(1000, 999_999), min_size=1, max_size=8), st.sampled_from(".,"))
def test_groups_alone_are_never_taken_for_decimals(numbers: list[int], mark: str) -> None:
    """Whole thousands with one separator, in a file that says nothing else, are refused and not divided."""
    cells = [f"{number:,}".replace(",", mark) for number in numbers]
    evidence = Evidence()
    evidence.add(cells)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the code says which)
        decide({"energy_kwh": evidence}, {}, ";")
    assert code_of(text_of(caught.value)) == "VEN-FIL-054"


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123456789., '+-eEkWh%\u00a0x", max_size=14), st.sampled_from(".,"))
def test_any_text_is_a_finite_number_or_an_error(text: str, decimal: str) -> None:
    """No cell crashes the parser or makes a number that is not finite."""
    try:
        found = number_in(text.strip(), decimal)
    except ValueError:
        return
    assert found is None or abs(found.value) < float("inf")


def test_times_without_a_zone_are_still_refused() -> None:
    """24:00 in local time needs a zone like any other local time."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the code says which)
        lenient_time_reader("iso", None)("2026-06-01 24:00")
    assert code_of(text_of(caught.value)) == "VEN-CON-049"
    assert lenient_time_reader("iso", "UTC")("2026-06-01 24:00")[0] == datetime(2026, 6, 2, tzinfo=UTC)


async def test_a_file_that_an_older_version_began_is_read_on_as_before(tmp_path: Path) -> None:
    """A bookmark without a layout means the delimiter of the options, or a comma, and a decimal point."""
    marks: dict[str, str] = {}
    write(tmp_path, table(",", ["power_kw"], ["1.5"]))
    await read_all(reader_of(tmp_path, marks=marks), marks)
    [(key, mark)] = marks.items()
    older = {name: value for name, value in json.loads(mark).items() if name != "note"}
    write(tmp_path, "2026-06-01T12:05:00Z,1.234\n", "a")
    batch = await read_all(reader_of(tmp_path, marks={key: json.dumps(older)}))

    assert values(batch) == [1.234]
    assert not batch.rejects
