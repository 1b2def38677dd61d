"""P1 telegrams: what they say, whatever the pieces they come in, and what a damaged one does not say."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.connectors.sites import make_resource, make_site
from venclient.connectors.base import Batch
from venclient.connectors.file import open_file_reader
from venclient.connectors.file_records import telegrams
from venclient.connectors.telegram import crc16, parse_telegram
from venclient.errors import ConfigError
from venclient.messages import code_of
from venclient.model.reading import Reading, Reject
from venclient.model.resource import ConnectionType


def telegram(*lines: str, end: str = "\r\n") -> bytes:
    """Build a telegram with its checksum, as a meter sends it."""
    body = "\r\n".join(["/ISK5\\2M550T-1012", "", *lines, "!"]).encode()
    return body.replace(b"\r\n", end.encode()) + f"{crc16(body):04X}{end}".encode()


def measured(second: int = 0, power: str = "01.193", back: str = "00.000") -> bytes:
    """Build a telegram of a three-phase meter at a second after noon, summer time."""
    return telegram(
        "1-3:0.2.8(50)",
        f"0-0:1.0.0(2506011200{second:02}S)",
        "0-0:96.1.1(4B384547303034303436333935353037)",
        "1-0:1.8.1(001234.567*kWh)",
        "1-0:1.8.2(002000.400*kWh)",
        "1-0:2.8.1(000010.000*kWh)",
        "1-0:2.8.2(000020.500*kWh)",
        "0-0:96.14.0(0002)",
        f"1-0:1.7.0({power}*kW)",
        f"1-0:2.7.0({back}*kW)",
        "1-0:99.97.0(2)(0-0:96.7.19)(101208152415W)(0000000240*s)(101208151004W)(0000000301*s)",
        "0-0:96.13.0()",
        "1-0:32.7.0(230.1*V)",
        "1-0:31.7.0(005*A)",
        "1-0:21.7.0(00.500*kW)",
        "1-0:22.7.0(00.100*kW)",
        "0-1:24.2.1(250601120000S)(12785.123*m3)",
    )


async def read(raw: bytes, folder: Path, marks: dict[str, str] | None = None, **options: Any) -> Batch:
    """Read what is in the file p1.log now."""
    (folder / "p1.log").write_bytes(raw)
    return await read_on(folder, {} if marks is None else marks, **options)


async def read_on(folder: Path, marks: dict[str, str], **options: Any) -> Batch:
    """Read on, with a new reader that has only the bookmarks of the one before."""
    resource = make_resource(
        ConnectionType.FILEREADER, file="p1.log", options={"format": "dsmr-p1", **options}
    )
    reader = open_file_reader(resource, make_site(folder, bookmarks=marks))
    readings: list[Reading] = []
    rejects: list[Reject] = []
    while True:
        batch = await reader.read()
        marks.update(batch.bookmarks)
        readings += batch.readings
        rejects += batch.rejects
        if not batch.readings and not batch.rejects:
            return Batch(readings, rejects)


def test_the_checksum_is_the_one_of_the_standard() -> None:
    """CRC-16/ARC of the nine digits is the published check value, of nothing it is 0."""
    assert crc16(b"123456789") == 0xBB3D
    assert crc16(b"") == 0


async def test_a_telegram_becomes_power_energy_voltage_and_current(tmp_path: Path) -> None:
    """Delivered less fed in is the power, tariffs add up, and the time is that of the season's mark."""
    batch = await read(measured(power="01.193", back="00.193"), tmp_path)

    assert batch.rejects == []
    assert {reading.quantity: round(reading.value, 6) for reading in batch.readings} == {
        "power_kw": 1.0,
        "energy_kwh": 3234.967,
        "energy_export_kwh": 30.5,
        "voltage_l1_v": 230.1,
        "current_l1_a": 5.0,
        "power_l1_kw": 0.4,
    }
    assert {reading.time.isoformat() for reading in batch.readings} == {"2025-06-01T10:00:00+00:00"}


async def test_a_total_register_counts_before_its_tariffs(tmp_path: Path) -> None:
    """Meters outside of the Netherlands send one total, in Wh perhaps; it is not added to its tariffs."""
    raw = telegram(
        "0-0:1.0.0(250101120000W)",
        "1-0:1.8.0(00003000*Wh)",
        "1-0:1.8.1(00001000*Wh)",
        "1-0:1.7.0(0500*W)",
    )
    batch = await read(raw, tmp_path)

    assert {reading.quantity: reading.value for reading in batch.readings} == {
        "power_kw": 0.5,
        "energy_kwh": 3.0,
    }


async def test_values_may_be_chosen_by_their_code(tmp_path: Path) -> None:
    """With `values` only these are read, by OBIS code, with sums and differences."""
    values = [
        {"path": "0-1:24.2.1", "quantity": "gas_m3"},
        {"paths": ["1-0:1.8.1", "1-0:1.8.2"], "minus": ["1-0:2.8.1"], "quantity": "energy_kwh"},
        {"path": "1-0:9.9.9", "quantity": "power_kw"},
    ]
    batch = await read(measured(), tmp_path, values=values)

    assert [(one.quantity, one.value) for one in batch.readings] == [
        ("gas_m3", 12785.123),
        ("energy_kwh", pytest.approx(3224.967)),
    ]


async def test_a_log_with_plain_line_ends_is_as_good(tmp_path: Path) -> None:
    """A logger that stores LF for CR LF leaves the checksum right."""
    batch = await read(measured().replace(b"\r\n", b"\n"), tmp_path)

    assert len(batch.readings) == 6


async def test_telegrams_without_a_checksum_are_read(tmp_path: Path) -> None:
    """Meters before DSMR 4 end with a bare mark; a complete file needs their time all the same."""
    with_time = b"/KMP5 KA6U\r\n\r\n0-0:1.0.0(250101120000W)\r\n1-0:1.7.0(0000.98*kW)\r\n!\r\n"
    without = b"/KMP5 KA6U\r\n\r\n1-0:1.7.0(0000.98*kW)\r\n!\r\n"
    batch = await read(with_time + without, tmp_path, follow=False)

    assert [reading.value for reading in batch.readings] == [0.98]
    assert [code_of(reject.reason) for reject in batch.rejects] == ["VEN-FIL-081"]


async def test_damage_is_named_and_stops_nothing(tmp_path: Path) -> None:
    """A telegram cut off, damaged or begun in the middle is named by its line; those around it are read."""
    middle = measured(1)[200:]
    damaged = measured(2).replace(b"01.193", b"01.198")
    raw = middle + measured(3) + damaged + measured(4)[:150] + b"\r\n" + measured(5) + b"\r\n\r\n"
    batch = await read(raw, tmp_path)

    seconds = [reading.time.second for reading in batch.readings if reading.quantity == "power_kw"]
    assert seconds == [3, 5]
    assert [reject.reason.partition(" is ")[0] for reject in batch.rejects] == [
        "the telegram has no first line",
        "the checksum of the telegram",
        "the telegram has no last line",
    ]
    assert batch.rejects[0].place == "p1.log:1"


async def test_both_autumn_hours_are_told_apart_by_their_mark(tmp_path: Path) -> None:
    """The same clock time with S and with W is two moments an hour apart."""
    raw = b"".join(
        telegram(f"0-0:1.0.0(251026023000{season})", "1-0:1.7.0(01.000*kW)") for season in ("S", "W")
    )
    batch = await read(raw, tmp_path)

    assert [reading.time.hour for reading in batch.readings] == [0, 1]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"delimiter": ";"}, "for tables"),
        ({"time": {"format": "iso"}}, "VEN-FIL-010"),
        ({"filter": {"a": "b"}}, "filter"),
        ({"values": [{"column": "a", "quantity": "power_kw"}]}, "paths, not columns"),
    ],
)
def test_options_of_other_formats_are_refused(tmp_path: Path, options: dict[str, Any], word: str) -> None:
    """What makes no sense for telegrams is named when the reader is opened."""
    with pytest.raises(ConfigError, match=word):
        asyncio.run(read(b"", tmp_path, **options))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.lists(st.integers(0, 3500), max_size=10), st.booleans())
def test_any_pieces_give_the_same_telegrams(count: int, cuts: list[int], unix: bool) -> None:
    """A log that grows in arbitrary pieces, over restarts, gives each telegram once and nothing else."""
    raw = b"".join(measured(second) for second in range(count))
    raw = raw.replace(b"\r\n", b"\n") if unix else raw
    edges = sorted({0, *(cut for cut in cuts if cut < len(raw)), len(raw)})

    async def grow(folder: Path) -> Batch:
        marks: dict[str, str] = {}
        batches = [await read(b"", folder, marks)]
        for start, end in pairwise(edges):
            with (folder / "p1.log").open("ab") as file:
                file.write(raw[start:end])
            batches.append(await read_on(folder, marks))
        return Batch(
            [one for b in batches for one in b.readings], [one for b in batches for one in b.rejects]
        )

    async def at_once(folder: Path) -> Batch:
        return await read(raw, folder)

    with TemporaryDirectory() as one, TemporaryDirectory() as two:
        grown, whole = asyncio.run(grow(Path(one))), asyncio.run(at_once(Path(two)))
    assert grown.rejects == whole.rejects == []
    assert grown.readings == whole.readings
    assert len([reading for reading in whole.readings if reading.quantity == "power_kw"]) == count


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_telegram_says_nothing(data: st.DataObject) -> None:
    """Whichever byte is changed, no telegram comes out with other values than the meter sent."""
    raw = measured()
    place = data.draw(st.integers(0, len(raw) - 1))
    damaged = bytearray(raw)
    damaged[place] ^= data.draw(st.integers(1, 255))
    lines = bytes(damaged).rstrip(b"\n").split(b"\n")
    whole = parse_telegram([line.removesuffix(b"\r") for line in raw.split(b"\n")[:-1]])
    try:
        found = parse_telegram([line.removesuffix(b"\r") for line in lines])
    except ValueError:
        return
    assert found == whole


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([b"/a", b"x", b"", b"!", b"!AAAA", None]), max_size=20), st.booleans())
def test_every_line_is_in_one_record_or_waits(raws: list[bytes | None], last: bool) -> None:
    """Records hold the lines in order, none twice; what is held back begins a telegram that may yet end."""
    lines = list(enumerate(raws, 1))
    records, whole = telegrams(lines, last)

    assert [line for record in records for line in record] == lines[:whole]
    assert all(records)
    if whole < len(lines):
        assert not last
        assert (raws[whole] or b"").startswith(b"/")
        assert not any(raw is not None and raw.startswith(b"!") for raw in raws[whole:])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=10))
def test_any_bytes_are_a_telegram_or_a_value_error(lines: list[bytes]) -> None:
    """No bytes crash the parser."""
    with suppress(ValueError):
        found = parse_telegram([b"/x", *lines, b"!"])
        assert all(isinstance(value, float) for value, _ in found.values.values())
