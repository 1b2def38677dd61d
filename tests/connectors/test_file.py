"""File readers: formats by options, following a file that grows, rotates, shrinks or goes."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.connectors.sites import make_resource, make_site
from venclient.connectors.base import Batch, Reader
from venclient.connectors.file import open_file_reader
from venclient.errors import ConfigError, ConnectFailed, Undecodable
from venclient.model.reading import Reading, Reject
from venclient.model.resource import ConnectionType

UCI = {
    "delimiter": ";",
    "time": {"columns": ["Date", "Time"], "format": "%d/%m/%Y %H:%M:%S", "zone": "Europe/Paris"},
    "values": [
        {"column": "Global_active_power", "quantity": "power_kw", "unit": "kW"},
        {"column": "Voltage", "quantity": "voltage_v"},
    ],
}
ELOVERBLIK = {
    "delimiter": ";",
    "decimal": ",",
    "time": {"columns": ["Til_dato"], "format": "%d-%m-%Y %H:%M:%S", "zone": "Europe/Copenhagen"},
    "values": [{"column": "Mængde", "quantity": "interval_energy_kwh", "unit": "kWh"}],
    "filter": {"MålepunktsID": "571313161100187650"},
}


def reader_of(
    folder: Path, options: dict[str, Any] | None = None, marks: dict[str, str] | None = None
) -> Reader:
    """Open a reader of meter.csv in a folder."""
    resource = make_resource(ConnectionType.FILEREADER, file="meter.csv", options=options)
    return open_file_reader(resource, make_site(folder, bookmarks=marks))


async def read_all(reader: Reader, marks: dict[str, str] | None = None) -> Batch:
    """Read until nothing more comes, and give everything as one batch."""
    readings: list[Reading] = []
    rejects: list[Reject] = []
    while True:
        batch = await reader.read()
        readings += batch.readings
        rejects += batch.rejects
        if marks is not None:
            marks.update(batch.bookmarks)
        if not batch.readings and not batch.rejects:
            return Batch(readings, rejects)


def write(folder: Path, text: str | bytes, mode: str = "w") -> None:
    """Write or append to meter.csv."""
    raw = text.encode() if isinstance(text, str) else text
    with (folder / "meter.csv").open(f"{mode}b") as file:
        file.write(raw)


def values(batch: Batch) -> list[float]:
    """Return the values of a batch in order."""
    return [reading.value for reading in batch.readings]


def row(minute: int, cell: object) -> str:
    """Build the row of a minute."""
    return f"2026-06-01T12:{minute:02}:00Z,{cell}\n"


HEAD = "time,power_kw\n"

# Real files


async def test_the_minute_data_of_a_household(shared: Path, tmp_path: Path) -> None:
    """Semicolons, d/m/yyyy in two columns, rows that jump back and repeat: each row is its reading."""
    raw = (shared / "data/meterdata/uci-household-power.csv").read_text()
    write(tmp_path, raw)
    # A finished file: its last row has no line end.
    batch = await read_all(reader_of(tmp_path, {**UCI, "follow": False}))

    lines = [line.split(";") for line in raw.splitlines()[1:]]
    powers = [reading for reading in batch.readings if reading.quantity == "power_kw"]
    assert not batch.rejects
    assert [reading.value for reading in powers] == [float(cells[2]) for cells in lines if cells[2] != "?"]
    assert powers[0].time == datetime(2006, 12, 16, 16, 24, tzinfo=UTC)  # 17:24 in Paris
    assert powers[0].value == 4.216
    distinct = {(cells[0], cells[1]) for cells in lines if cells[2] != "?"}
    assert len({reading.time for reading in powers}) == len(distinct)


async def test_the_export_of_the_danish_data_hub(shared: Path, tmp_path: Path) -> None:
    """BOM, decimal commas and interval energies: a reading stands at the end of its interval, in UTC."""
    write(tmp_path, (shared / "data/meterdata/eloverblik-export-current-format.csv").read_bytes())
    batch = await read_all(reader_of(tmp_path, ELOVERBLIK))
    assert not batch.rejects
    assert [(reading.quantity, reading.time.isoformat(), reading.value) for reading in batch.readings] == [
        ("interval_energy_kwh", "2023-10-26T10:00:00+00:00", 0.25),
        ("interval_energy_kwh", "2023-10-26T11:00:00+00:00", 0.21),
        ("interval_energy_kwh", "2023-12-24T12:00:00+00:00", 0.11),
    ]


# Formats


async def test_both_autumn_hours_survive(tmp_path: Path) -> None:
    """Hourly local times through the change of the clock follow each other as hours, over restarts."""
    options = {"time": {"columns": ["time"], "zone": "Europe/Copenhagen"}}
    marks: dict[str, str] = {}
    write(tmp_path, HEAD)
    found: list[Reading] = []
    for hour, power in ((1, 1), (2, 2), (2, 3), (3, 4)):
        write(tmp_path, f"2025-10-26T{hour:02}:00:00,{power}\n", "a")
        found += (await read_all(reader_of(tmp_path, options, marks), marks)).readings
    assert [(reading.time.hour, reading.value) for reading in found] == [(23, 1), (0, 2), (1, 3), (2, 4)]


async def test_without_options_known_columns_are_read(tmp_path: Path) -> None:
    """Columns that are named like quantities are read; a column by another name is power only when alone."""
    write(tmp_path, "timestamp,note,power_kw,soc_percent\n2026-06-01T12:00:00Z,hello,1.5,80\n")
    batch = await read_all(reader_of(tmp_path))
    assert [(reading.quantity, reading.value) for reading in batch.readings] == [
        ("power_kw", 1.5),
        ("soc_percent", 80.0),
    ]
    write(tmp_path, "when,load\n2026-06-01T12:00:00Z,2.5\n")
    assert values(await read_all(reader_of(tmp_path))) == [2.5]


async def test_json_lines(tmp_path: Path) -> None:
    """Each line is a document; values and time are paths, null is not a sample, other meters are left out."""
    lines = [
        {"t": 1632499152, "m": 7, "v": {"w": 1200}},
        {"t": 1632499153, "m": 8, "v": {"w": 9}},
        {"t": 1632499154, "m": 7, "v": {"w": None}},
        {"t": 1632499155, "m": 7},
        {"m": 7, "v": {"w": 1}},
    ]
    write(tmp_path, "".join(json.dumps(line) + "\n" for line in lines) + "{oops\n")
    options = {
        "format": "jsonl",
        "time": {"path": "t", "format": "epoch_s"},
        "values": [{"path": "v.w", "quantity": "power_kw", "unit": "W"}],
        "filter": {"m": 7},
    }
    batch = await read_all(reader_of(tmp_path, options))
    assert values(batch) == [1.2]
    assert [reject.place for reject in batch.rejects] == ["meter.csv:5", "meter.csv:6"]


async def test_a_file_without_a_header_row(tmp_path: Path) -> None:
    """Columns are named by the options, or by their numbers."""
    write(tmp_path, "2026-06-01T12:00:00Z,5\n")
    named = {
        "header": ["at", "p"],
        "time": {"columns": ["at"]},
        "values": [{"column": "p", "quantity": "power_kw"}],
    }
    numbered = {
        "header": False,
        "time": {"columns": ["1"]},
        "values": [{"column": "2", "quantity": "power_kw"}],
    }
    for options in (named, numbered):
        assert values(await read_all(reader_of(tmp_path, options))) == [5.0]


async def test_bad_rows_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    """Each bad row is rejected by file and line; empty cells and rows are nothing to complain about."""
    rows = [
        "x,1",
        "2026-06-01T12:01:00Z,much",
        "2026-06-01T12:02:00Z",
        "2026-06-01T12:03:00Z,1,2",
        '"2026,1',
        "",
    ]
    write(tmp_path, HEAD + "".join(f"{one}\n" for one in rows).encode().decode() + row(9, "?") + row(10, 7))
    write(tmp_path, b"2026-06-01T12:11:00Z,\xff\n" + row(12, '"8"').encode(), "a")
    batch = await read_all(reader_of(tmp_path))
    assert values(batch) == [7.0, 8.0]
    assert [reject.place for reject in batch.rejects] == [f"meter.csv:{n}" for n in (2, 3, 4, 5, 6, 10)]
    words = ["'x'", "'much' is not a number", "1 column,", "3 columns", "quotes", "not valid utf-8"]
    for reject, word in zip(batch.rejects, words, strict=True):
        assert word in reject.reason


async def test_a_line_without_end_is_skipped(tmp_path: Path) -> None:
    """A line beyond the limit is rejected once, in bounded memory, and what follows is read."""
    write(tmp_path, HEAD + "x" * 3_000_000 + "\n" + row(1, 5))
    batch = await read_all(reader_of(tmp_path))
    assert values(batch) == [5.0]
    assert [reject.place for reject in batch.rejects] == ["meter.csv:2"]


async def test_missing_columns_are_told_with_those_there_are(tmp_path: Path) -> None:
    """A file that has not the columns asked for is an error that names them, and is read once it has."""
    reader = reader_of(tmp_path, UCI)
    write(tmp_path, HEAD + row(1, 5))
    with pytest.raises(Undecodable, match=r"Global_active_power.*power_kw.*VEN-FIL-040"):
        await reader.read()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"delimiter": ",", "decimal": ","}, "delimiter"),
        ({"format": "jsonl", "values": [{"column": "a", "quantity": "power_kw"}]}, "jsonl has paths"),
        ({"values": [{"path": "a", "quantity": "power_kw"}]}, "csv has columns"),
        ({"values": [{"quantity": "power_kw"}]}, "either column"),
        ({"encoding": "utf-16"}, "encoding"),
        ({"encoding": "klingon"}, "encoding"),
        ({"header": False}, "header false"),
        ({"time": {"format": "%d/%m/%Y"}}, "needs a zone"),
        ({"time": {"fold": "third"}}, "fold"),
        ({"interval_s": 0}, "interval_s"),
    ],
)
def test_options_that_cannot_work_are_refused(tmp_path: Path, options: dict[str, Any], word: str) -> None:
    """Wrong options are refused when the reader is opened, in words."""
    with pytest.raises(ConfigError, match=word):
        reader_of(tmp_path, options)


# Following


async def test_a_growing_file_is_read_on(tmp_path: Path) -> None:
    """Each look gives what is new; an unfinished last line waits for its end."""
    reader = reader_of(tmp_path)
    write(tmp_path, "time,po")
    assert values(await reader.read()) == []
    write(tmp_path, "wer_kw\n" + row(1, 5) + "2026-06-01T12:02:0", "a")
    assert values(await read_all(reader)) == [5.0]
    assert values(await reader.read()) == []
    write(tmp_path, "0Z,6\r\n" + row(3, 7), "a")
    assert values(await read_all(reader)) == [6.0, 7.0]


async def test_a_finished_file_needs_no_last_line_end(tmp_path: Path) -> None:
    """Of a file that is not followed the last line counts as it is."""
    write(tmp_path, HEAD + row(1, 5) + row(2, 6).rstrip())
    assert values(await read_all(reader_of(tmp_path))) == [5.0]
    assert values(await read_all(reader_of(tmp_path, {"follow": False}))) == [5.0, 6.0]


async def test_the_offset_is_remembered(tmp_path: Path) -> None:
    """A new reader goes on where the committed bookmark says, in the same batch as the readings."""
    marks: dict[str, str] = {}
    write(tmp_path, HEAD + row(1, 5))
    await read_all(reader_of(tmp_path, marks=marks), marks)
    write(tmp_path, row(2, 6) + "oops\n", "a")
    batch = await read_all(reader_of(tmp_path, marks=marks))
    assert values(batch) == [6.0]
    assert [reject.place for reject in batch.rejects] == ["meter.csv:4"]


async def test_other_options_read_the_file_again(tmp_path: Path) -> None:
    """What a wrong option skipped is read when it is corrected; a new period alone changes nothing."""
    marks: dict[str, str] = {}
    write(tmp_path, HEAD.replace(",", ";") + "2026-06-01T12:01:00Z;5,5\n")
    wrong = {"delimiter": ";", "decimal": "."}
    assert len((await read_all(reader_of(tmp_path, wrong, marks), marks)).rejects) == 1
    assert (await read_all(reader_of(tmp_path, {**wrong, "interval_s": 9}, marks), marks)).rejects == []
    assert values(await read_all(reader_of(tmp_path, {**wrong, "decimal": ","}, marks))) == [5.5]


@pytest.mark.parametrize("bookmark", ["", "{}", "nonsense", '{"offset": 999999}', '{"offset": -3}'])
async def test_a_bookmark_of_something_else_is_no_obstacle(tmp_path: Path, bookmark: str) -> None:
    """A bookmark that does not fit the file reads it from the start."""
    marks: dict[str, str] = {}
    write(tmp_path, HEAD + row(1, 5))
    await read_all(reader_of(tmp_path, marks=marks), marks)
    assert values(await read_all(reader_of(tmp_path, marks=dict.fromkeys(marks, bookmark)))) == [5.0]


async def test_rotation_loses_no_row(tmp_path: Path) -> None:
    """What was written before the file was renamed is read to its end, then the new file from its start."""
    marks: dict[str, str] = {}
    write(tmp_path, HEAD + row(1, 1))
    await read_all(reader_of(tmp_path, marks=marks), marks)
    write(tmp_path, row(2, 2) + row(3, 3).rstrip(), "a")
    (tmp_path / "meter.csv").rename(tmp_path / "meter.csv.1")
    write(tmp_path, HEAD + row(4, 4))
    assert values(await read_all(reader_of(tmp_path, marks=marks))) == [2.0, 3.0, 4.0]


@pytest.mark.parametrize("again", [HEAD + row(9, 9), HEAD + row(9, 9) + row(10, 9) * 5])
async def test_a_file_that_was_written_anew_is_read_from_its_start(tmp_path: Path, again: str) -> None:
    """Truncated in place, whether shorter or longer than before: other bytes are another file."""
    reader = reader_of(tmp_path)
    write(tmp_path, HEAD + row(1, 1) + row(2, 2))
    await read_all(reader)
    write(tmp_path, again)
    assert values(await read_all(reader))[0] == 9.0


async def test_a_missing_file_is_named_and_found_later(tmp_path: Path) -> None:
    """Without its file a reader says which one it wants; with it, it goes on."""
    reader = reader_of(tmp_path)
    with pytest.raises(ConnectFailed, match=r"meter\.csv"):
        await reader.read()
    write(tmp_path, HEAD + row(1, 5))
    assert values(await read_all(reader)) == [5.0]
    (tmp_path / "meter.csv").unlink()
    (tmp_path / "meter.csv").mkdir()
    with pytest.raises(ConnectFailed, match=r"meter\.csv"):
        await reader.read()


async def test_one_read_is_bounded(tmp_path: Path) -> None:
    """A long backlog comes in batches of at most 5000 rows."""
    write(tmp_path, HEAD + "".join(row(n % 60, n) for n in range(12_000)))
    reader = reader_of(tmp_path)
    batches = [await reader.read() for _ in range(4)]
    assert [len(batch.readings) for batch in batches] == [4999, 5000, 2001, 0]
    assert all(batch.replayable and batch.bookmarks for batch in batches[:3])
    await reader.close()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.sampled_from([row(1, 5), row(2, "?"), "oops\n", "\n", row(3, '"7"'), row(4, 8)[:-1] + "\r\n"]),
        max_size=12,
    ),
    st.lists(st.integers(0, 400), max_size=8),
)
def test_any_way_of_growing_gives_the_same_rows(rows: list[str], cuts: list[int]) -> None:
    """A file that grows in arbitrary pieces, over restarts, gives what it gives when read at once."""
    text = HEAD + "".join(rows)
    pieces = sorted({0, *(cut for cut in cuts if cut < len(text)), len(text)})

    async def grow(folder: Path) -> Batch:
        marks: dict[str, str] = {}
        readings: list[Reading] = []
        rejects: list[Reject] = []
        write(folder, "")
        for start, end in pairwise(pieces):
            write(folder, text[start:end], "a")
            batch = await read_all(reader_of(folder, marks=marks), marks)
            readings += batch.readings
            rejects += batch.rejects
        return Batch(readings, rejects)

    async def at_once(folder: Path) -> Batch:
        write(folder, text)
        return await read_all(reader_of(folder))

    with TemporaryDirectory() as one, TemporaryDirectory() as two:
        assert asyncio.run(grow(Path(one))) == asyncio.run(at_once(Path(two)))


async def test_a_backlog_says_that_more_waits_until_it_is_read(tmp_path: Path) -> None:
    """A long file is read on at once, piece by piece; at its end the reader waits for growth again."""
    moments = [datetime.fromtimestamp(1_800_000_000 + minute * 60, UTC) for minute in range(14_000)]
    write(tmp_path, HEAD + "".join(f"{moment.isoformat()},1.5\n" for moment in moments))
    reader = reader_of(tmp_path)
    looks = []
    for _ in range(4):
        batch = await reader.read()
        looks.append((len(batch.readings), batch.more))

    # The first line is the header.
    assert looks == [(4999, True), (5000, True), (4001, False), (0, False)]
