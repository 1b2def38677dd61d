"""Files that a power cut filled with NUL bytes, and texts of any size in what is said about them."""

from __future__ import annotations

import asyncio
import json
import logging
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.connectors.sites import make_resource, make_site
from tests.connectors.test_file import HEAD, read_all, reader_of, row, values, write
from venclient.clock import SystemClock
from venclient.connectors import file_tail
from venclient.connectors.base import Batch
from venclient.connectors.file import open_file_reader
from venclient.connectors.payload import PayloadDecoder, TimeOptions, ValueOptions
from venclient.connectors.poller import Poller
from venclient.messages import code_of, with_code
from venclient.model.reading import Reading, Reject
from venclient.model.resource import ConnectionType

#: No sentence about one row, payload or telegram is longer: a few foreign texts of 200 characters.
LONGEST = 1000


def rejected(batch: Batch) -> list[tuple[str, str]]:
    """Return place and code of each reject."""
    return [(one.place, code_of(one.reason)) for one in batch.rejects]


@pytest.mark.parametrize("size", [2, 512, 4096, 1_200_000, 3_600_000])
async def test_the_row_behind_a_block_of_nuls_is_kept(size: int, tmp_path: Path) -> None:
    """The row that was torn off is rejected in few words, the good one after the block is read."""
    write(tmp_path, HEAD + row(1, 1) + "2026-06-01T12:02:00Z,1")
    write(tmp_path, b"\0" * size, "a")
    write(tmp_path, row(3, 3) + row(4, 4), "a")
    batch = await read_all_of(reader_of(tmp_path))

    assert values(batch) == [1.0, 3.0, 4.0]
    assert rejected(batch) == [("meter.csv:3", "VEN-FIL-067")]
    assert len(batch.rejects[0].reason) < 300


async def read_all_of(reader: Any) -> Batch:
    """Read until the file is at its end, over pieces in which nothing is found."""
    readings: list[Reading] = []
    rejects: list[Reject] = []
    for _ in range(20):
        batch = await reader.read()
        readings += batch.readings
        rejects += batch.rejects
    return Batch(readings, rejects)


async def test_a_block_between_whole_rows_costs_nothing(tmp_path: Path) -> None:
    """NULs that begin where a row begins are dropped without a word, and so are some at a row's end."""
    write(tmp_path, HEAD + row(1, 1))
    write(tmp_path, b"\0" * 700 + row(2, 2).encode() + row(3, 3).encode().replace(b"\n", b"\0\0\0\n"), "a")
    batch = await read_all(reader_of(tmp_path))
    assert values(batch) == [1.0, 2.0, 3.0]
    assert not batch.rejects


async def test_a_stray_nul_within_a_row_is_dropped(tmp_path: Path) -> None:
    """One NUL inside a row leaves the row as it is."""
    write(tmp_path, HEAD + row(1, "4\0.5"))
    assert values(await read_all(reader_of(tmp_path))) == [4.5]


async def test_nuls_at_the_end_wait_for_what_is_written_there(tmp_path: Path) -> None:
    """A file that was given room in advance, and is filled later, loses nothing."""
    write(tmp_path, HEAD + row(1, 1))
    reader = reader_of(tmp_path)
    assert values(await read_all(reader)) == [1.0]
    write(tmp_path, b"\0" * 5000, "a")
    assert not (await read_all(reader)).readings
    with (tmp_path / "meter.csv").open("r+b") as file:
        file.seek(len(HEAD + row(1, 1)))
        file.write(row(2, 2).encode())
    assert values(await read_all(reader)) == [2.0]


async def test_a_telegram_behind_nuls_is_kept(tmp_path: Path) -> None:
    """The same for a log of telegrams: the torn one is rejected, the next is read."""
    one = "/ISK5\r\n\r\n0-0:1.0.0(2506011200{:02}S)\r\n1-0:1.7.0(0{}.000*kW)\r\n!\r\n"
    raw = one.format(1, 1)[:40].encode() + b"\0" * 900 + one.format(2, 2).encode()
    (tmp_path / "p1.log").write_bytes(raw)
    resource = make_resource(ConnectionType.FILEREADER, file="p1.log", options={"format": "dsmr-p1"})
    batch = await read_all(open_file_reader(resource, make_site(tmp_path)))
    assert values(batch) == [2.0]
    assert [code for _, code in rejected(batch)] == ["VEN-FIL-067"]


@st.composite
def files_after_power_cuts(draw: st.DrawFn) -> tuple[bytes, list[float]]:
    """Draw a meter file with torn rows and blocks of NULs, and the values of its whole rows."""
    raw, wanted = HEAD.encode(), []
    for minute in range(draw(st.integers(1, 12))):
        line = row(minute, minute + 0.5).encode()
        kind = draw(st.sampled_from(["whole", "whole", "torn", "empty"]))
        if kind == "whole":
            raw += line
            wanted.append(minute + 0.5)
        else:
            kept = draw(st.integers(0, len(line) - 2)) if kind == "torn" else 0
            raw += line[:kept] + b"\0" * draw(st.integers(2, 300))
    raw += row(59, 59.5).encode()
    return raw, [*wanted, 59.5]


@settings(max_examples=150, deadline=None)
@given(files_after_power_cuts(), st.lists(st.integers(0, 2000), max_size=6))
def test_whole_rows_survive_any_power_cuts(drawn: tuple[bytes, list[float]], cuts: list[int]) -> None:
    """However the file grows, every whole row is read once, in order, and no torn one is a value."""
    raw, wanted = drawn
    edges = sorted({0, *(cut for cut in cuts if cut < len(raw)), len(raw)})

    async def grow(folder: Path) -> Batch:
        marks: dict[str, str] = {}
        readings: list[Reading] = []
        rejects: list[Reject] = []
        write(folder, "")
        for start, end in pairwise(edges):
            write(folder, raw[start:end], "a")
            batch = await read_all(reader_of(folder, marks=marks), marks)
            readings += batch.readings
            rejects += batch.rejects
        return Batch(readings, rejects)

    with TemporaryDirectory() as name:
        batch = asyncio.run(grow(Path(name)))
    assert values(batch) == wanted
    assert {code for _, code in rejected(batch)} <= {"VEN-FIL-067"}


async def test_small_blocks_find_the_row_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a piece of the file ends within the NULs, the row behind them is found."""
    for size in range(64, 96):
        monkeypatch.setattr(file_tail, "MOST_BYTES", size)
        write(tmp_path, HEAD + row(1, 1) + "2026-06-01T12:0")
        write(tmp_path, b"\0" * 200 + row(3, 3).encode(), "a")
        assert values(await read_all_of(reader_of(tmp_path))) == [1.0, 3.0]


# What is said is bounded and printable


def is_fit(text: str) -> bool:
    """Return whether a sentence is short and has no control characters."""
    return len(text) <= LONGEST and text.isprintable()


FOREIGN = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="\0\x1b\u202e\u200b\r\t;,\"'x1", max_size=60),
    st.sampled_from(["x" * 5000, "\0" * 5000, "\u202e" * 3000, "é" * 4000, "1" * 3000, '"' + "y" * 3000]),
)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(FOREIGN, FOREIGN), min_size=1, max_size=4),
    st.sampled_from(["csv", "jsonl", "homewizard"]),
)
def test_what_is_said_of_any_row_is_short_and_printable(rows: list[tuple[str, str]], form: str) -> None:
    """Cells, times, documents and headers of any content and length make sentences that a log can take."""

    async def run(folder: Path) -> Batch:
        if form == "csv":
            body = "".join(f"{time};{cell}\n".replace("\0", "\x01") for time, cell in rows)
            write(folder, "time;power_kw\n" + body)
            return await read_all(reader_of(folder, {"delimiter": ";", "decimal": "."}))
        lines = [json.dumps({"time": time, "power_kw": cell, "active_power_w": cell}) for time, cell in rows]
        write(folder, "\n".join([*lines, *(cell for _, cell in rows)]) + "\n")
        return await read_all(reader_of(folder, {"format": form}))

    with TemporaryDirectory() as name:
        batch = asyncio.run(run(Path(name)))
    for reject in batch.rejects:
        assert is_fit(reject.reason), reject.reason[:300]
        assert is_fit(reject.place)


@settings(max_examples=100, deadline=None)
@given(FOREIGN, st.sampled_from(["", "P", "a.b"]))
def test_what_is_said_of_any_payload_is_short_and_printable(text: str, path: str) -> None:
    """The same for payloads, plain or within JSON."""
    decoder = PayloadDecoder([ValueOptions(quantity="power_kw", path=path)], TimeOptions())
    for payload in (text, json.dumps({"P": text}), json.dumps({"P": [text] * 50}), json.dumps([text] * 9)):
        for reason in decoder.decode(payload.encode(), SystemClock().now()).reasons:
            assert is_fit(reason), reason[:300]


async def test_the_log_of_a_damaged_file_stays_small(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Megabytes of NULs make log lines and notes of some hundred characters."""
    caplog.set_level(logging.INFO)
    write(tmp_path, HEAD + row(1, 1) + "2026-06-01T12:02")
    write(
        tmp_path, b"\0" * 3_600_000 + row(3, 3).encode() + b"\x01" * 500_000 + b"\n" + row(4, 4).encode(), "a"
    )
    kept: list[float] = []
    complete = asyncio.Event()

    async def keep(batch: Batch) -> None:
        kept.extend(one.value for one in batch.readings)
        if 4.0 in kept:
            complete.set()

    poller = Poller(reader_of(tmp_path), name="A", deliver=keep, clock=SystemClock())
    task = asyncio.create_task(poller.run())
    await asyncio.wait_for(complete.wait(), 60)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert kept == [1.0, 3.0, 4.0]
    assert all(len(record.getMessage()) <= LONGEST for record in caplog.records)
    assert all(record.getMessage().isprintable() for record in caplog.records)
    notes = [with_code(reject.reason) for reject in poller.health.last_rejects]
    assert notes
    assert all(is_fit(note) for note in notes)
