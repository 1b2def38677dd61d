"""P1 telegrams of meters that send their time otherwise or not at all, and checksums without zeros."""

from __future__ import annotations

import asyncio
import os
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.connectors.sites import make_resource, make_site
from venclient.clock import Clock, ManualClock
from venclient.connectors.base import Batch, Reader
from venclient.connectors.file import open_file_reader
from venclient.connectors.telegram import crc16, parse_telegram
from venclient.messages import code_of, text_of
from venclient.model.resource import ConnectionType

DSMR_2 = b"""/ISk5\\2ME382-1003\r
\r
0-0:96.1.1(4B414C37303035313032383539333132)\r
1-0:1.8.1(00608.400*kWh)\r
1-0:1.8.2(00490.342*kWh)\r
1-0:2.8.1(00000.001*kWh)\r
0-0:96.14.0(0001)\r
1-0:1.7.0(0001.51*kW)\r
1-0:2.7.0(0000.00*kW)\r
0-0:17.0.0(0999.00*kW)\r
0-0:96.3.10(1)\r
0-1:24.1.0(3)\r
0-1:24.3.0(121030140000)(00)(60)(1)(0-1:24.2.1)(m3)\r
(00024.123)\r
0-1:24.4.0(1)\r
!\r
"""
EASYMETER = b"""/ESY5Q3DA1004 V3.04\r
\r
1-0:0.0.0*255(0273011003684)\r
1-0:1.8.0*255(00026107.7034231*kWh)\r
1-0:2.8.0*255(00000011.5000000*kWh)\r
1-0:21.7.0*255(000188.91*W)\r
1-0:41.7.0*255(-00012.00*W)\r
1-0:61.7.0*255(000004.81*W)\r
1-0:1.7.0*255(000181.72*W)\r
1-0:96.5.5*255(80)\r
0-0:96.1.255*255(1ESY1234567890)\r
!\r
"""


def iskra(date: str, clock: str, power: str = "01.500") -> bytes:
    """Return a telegram with the meter's own date and time codes."""
    lines = [
        "/ISk5MT174-0001",
        "",
        f"0-0:0.9.1({clock})",
        f"0-0:0.9.2({date})",
        f"1-0:1.7.0({power}*kW)",
        "!",
    ]
    return "\r\n".join([*lines, ""]).encode()


def plain(power: str) -> bytes:
    """Return a telegram without any time."""
    return f"/ESY5Q3DA1004 V3.04\r\n\r\n1-0:1.7.0*255({power}*W)\r\n!\r\n".encode()


def reader_of(folder: Path, clock: Clock, marks: dict[str, str] | None = None, **options: Any) -> Reader:
    """Open a reader of p1.log."""
    resource = make_resource(
        ConnectionType.FILEREADER, file="p1.log", options={"format": "dsmr-p1", **options}
    )
    return open_file_reader(resource, make_site(folder, clock, bookmarks=marks))


def powers(batch: Batch) -> list[tuple[float, datetime]]:
    """Return power and time of each reading of power."""
    return [(round(one.value, 6), one.time) for one in batch.readings if one.quantity == "power_kw"]


def codes(batch: Batch) -> list[str]:
    """Return the code of each reject."""
    return [code_of(reject.reason) for reject in batch.rejects]


@pytest.mark.parametrize(
    ("raw", "values"),
    [
        (DSMR_2, {"power_kw": 1.51, "energy_kwh": 1098.742, "energy_export_kwh": 0.001}),
        (
            EASYMETER,
            {
                "power_kw": 0.18172, "power_l1_kw": 0.18891, "power_l2_kw": -0.012, "power_l3_kw": 0.00481,
                "energy_kwh": 26107.7034231, "energy_export_kwh": 11.5,
            },
        ),
    ],
    ids=["DSMR 2.2", "EasyMeter"],
)  # fmt: skip
async def test_a_telegram_without_a_time_has_that_of_its_arrival(
    raw: bytes, values: dict[str, float], tmp_path: Path
) -> None:
    """A followed log of a meter without a clock is read, at the time of the look that found it."""
    clock = ManualClock()
    (tmp_path / "p1.log").write_bytes(b"")
    reader = reader_of(tmp_path, clock)
    await reader.read()
    await clock.advance(10)
    (tmp_path / "p1.log").write_bytes(raw)
    batch = await reader.read()

    assert {one.quantity: one.value for one in batch.readings} == pytest.approx(values)
    assert {one.time for one in batch.readings} == {clock.now()}
    assert batch.rejects == []


async def test_gas_over_two_lines_is_a_value(tmp_path: Path) -> None:
    """DSMR 2.2 has the unit in one line and the number in the next."""
    found = parse_telegram(DSMR_2.replace(b"\r", b"").splitlines())
    assert found.values["0-1:24.3.0"] == (24.123, "m3")
    assert found.time == ""


async def test_several_telegrams_between_two_looks_are_spread(tmp_path: Path) -> None:
    """Five telegrams within ten seconds are two seconds apart, the newest at the look."""
    clock = ManualClock()
    (tmp_path / "p1.log").write_bytes(b"")
    reader = reader_of(tmp_path, clock)
    await reader.read()
    start = clock.now()
    await clock.advance(10)
    (tmp_path / "p1.log").write_bytes(b"".join(plain(f"{n}00") for n in range(1, 6)))
    batch = await reader.read()

    assert powers(batch) == [(n / 10, start + timedelta(seconds=2 * n)) for n in range(1, 6)]


async def test_what_was_in_the_file_before_is_not_stamped_with_now(tmp_path: Path) -> None:
    """At the start only the newest telegram has a known time; the others are rejected."""
    clock = ManualClock()
    (tmp_path / "p1.log").write_bytes(plain("100") + plain("200") + plain("300"))
    reader = reader_of(tmp_path, clock)
    first = await reader.read()
    await clock.advance(10)
    with (tmp_path / "p1.log").open("ab") as file:
        file.write(plain("400"))
    second = await reader.read()

    assert powers(first) == [(0.3, clock.now() - timedelta(seconds=10))]
    assert codes(first) == ["VEN-FIL-086", "VEN-FIL-086"]
    assert powers(second) == [(0.4, clock.now())]


async def test_an_old_file_keeps_its_age(tmp_path: Path) -> None:
    """A log that ended an hour ago says what was an hour ago, not what is now."""
    clock = ManualClock()
    path = tmp_path / "p1.log"
    path.write_bytes(plain("100"))
    hour_ago = time.time() - 3600
    os.utime(path, (hour_ago, hour_ago))
    [(_, found)] = powers(await reader_of(tmp_path, clock).read())

    assert abs(clock.now() - timedelta(hours=1) - found) < timedelta(minutes=5)


async def test_a_restart_does_not_stamp_the_backlog(tmp_path: Path) -> None:
    """What came while the reader was away is rejected after a restart, but for the newest telegram."""
    clock = ManualClock()
    marks: dict[str, str] = {}
    (tmp_path / "p1.log").write_bytes(plain("100"))
    marks.update((await reader_of(tmp_path, clock, marks).read()).bookmarks)
    with (tmp_path / "p1.log").open("ab") as file:
        file.write(plain("200") + plain("300"))
    await clock.advance(3600)
    batch = await reader_of(tmp_path, clock, marks).read()

    assert powers(batch) == [(0.3, clock.now())]
    assert codes(batch) == ["VEN-FIL-086"]


async def test_a_complete_file_without_times_is_rejected(tmp_path: Path) -> None:
    """When a file is not followed, nothing says when its telegrams were sent."""
    (tmp_path / "p1.log").write_bytes(plain("100"))
    batch = await reader_of(tmp_path, ManualClock(), follow=False).read()
    assert batch.readings == []
    assert codes(batch) == ["VEN-FIL-081"]


@pytest.mark.parametrize(
    ("date", "clock", "expected"),
    [
        ("250824", "121530", datetime(2025, 8, 24, 10, 15, 30, tzinfo=UTC)),
        ("25-08-24", "12:15:30", datetime(2025, 8, 24, 10, 15, 30, tzinfo=UTC)),
        ("2025-08-24", "12:15:30", datetime(2025, 8, 24, 10, 15, 30, tzinfo=UTC)),
        ("250824", "12:15", datetime(2025, 8, 24, 10, 15, tzinfo=UTC)),
        ("1250824", "1121530", datetime(2025, 8, 24, 10, 15, 30, tzinfo=UTC)),
        ("0250124", "0121530", datetime(2025, 1, 24, 11, 15, 30, tzinfo=UTC)),
        ("251026", "1023000", datetime(2025, 10, 26, 0, 30, tzinfo=UTC)),
        ("251026", "0023000", datetime(2025, 10, 26, 1, 30, tzinfo=UTC)),
        ("24.08.2025", "12:15:30", datetime(2025, 8, 24, 10, 15, 30, tzinfo=UTC)),
        ("05/06/2025", "9:05", datetime(2025, 6, 5, 7, 5, tzinfo=UTC)),
        ("24082025", "121530", datetime(2025, 8, 24, 10, 15, 30, tzinfo=UTC)),
        ("2025.8.4.", "12.15.30", datetime(2025, 8, 4, 10, 15, 30, tzinfo=UTC)),
        ("24.08.99", "121530", None),
        ("05.06.25", "121530", None),
        ("30/10/25", "121530", None),
        ("12:15:30", "121530", None),
    ],
)
async def test_the_meter_s_own_date_and_time_codes(
    date: str, clock: str, expected: datetime, tmp_path: Path
) -> None:
    """0.9.2 and 0.9.1 make the time, also in a complete file, with or without marks and season."""
    (tmp_path / "p1.log").write_bytes(iskra(date, clock))
    batch = await reader_of(tmp_path, ManualClock(), follow=False).read()
    assert powers(batch) == ([] if expected is None else [(1.5, expected)])
    assert [code_of(one.reason) for one in batch.rejects] == (["VEN-FIL-081"] if expected is None else [])


@pytest.mark.parametrize(
    ("date", "clock"), [("000000", "000000"), ("250824", ""), ("", "121530"), ("x", "y")]
)
async def test_a_clock_that_is_not_set_is_no_time(date: str, clock: str, tmp_path: Path) -> None:
    """A meter that lost its time is read by arrival, as one without a clock."""
    manual = ManualClock()
    (tmp_path / "p1.log").write_bytes(iskra(date, clock))
    batch = await reader_of(tmp_path, manual).read()
    assert powers(batch) == [(1.5, manual.now())]


async def test_a_zone_of_the_meter_counts_for_its_own_codes(tmp_path: Path) -> None:
    """A meter that does not know summer time is read with a fixed zone."""
    (tmp_path / "p1.log").write_bytes(iskra("250824", "121530"))
    batch = await reader_of(tmp_path, ManualClock(), follow=False, time={"zone": "+01:00"}).read()
    assert powers(batch) == [(1.5, datetime(2025, 8, 24, 11, 15, 30, tzinfo=UTC))]


def with_short_checksum(seed: int) -> bytes:
    """Return a telegram whose checksum begins with a zero, written without it."""
    for n in range(seed, seed + 1000):
        body = f"/ISK5\\2M550T-1012\r\n\r\n0-0:1.0.0(250601120000S)\r\n1-0:1.7.0({n:06}*W)\r\n!".encode()
        if crc16(body) < 0x1000:
            return body + f"{crc16(body):X}\r\n".encode()
    raise AssertionError("no such telegram")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 900_000))
def test_a_checksum_may_lack_its_leading_zeros(seed: int) -> None:
    """`!F5E` is `!0F5E`; a telegram changed under it is still damaged."""
    raw = with_short_checksum(seed)
    lines = raw.replace(b"\r", b"").splitlines()
    assert re.fullmatch(rb"![0-9A-F]{1,3}", lines[-1])
    assert "1-0:1.7.0" in parse_telegram(lines).values
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the code says which)
        parse_telegram([line.replace(b"250601", b"250602") for line in lines])
    assert code_of(text_of(caught.value)) == "VEN-FIL-085"


@pytest.mark.parametrize(
    ("quantity", "unit", "value"),
    [("heat_gj", "GJ", 12.345), ("heat_kwh", "GJ", 3429.16667), ("heat_gj", "MJ", 0.012345)],
)
async def test_heat_in_gigajoules(quantity: str, unit: str, value: float, tmp_path: Path) -> None:
    """A heat meter at the P1 port sends GJ, which becomes GJ or kWh."""
    raw = f"/KMP5\r\n\r\n0-0:1.0.0(250601120000S)\r\n0-1:24.2.1(250601120000S)(12.345*{unit})\r\n!\r\n"
    (tmp_path / "p1.log").write_bytes(raw.encode())
    values = [{"path": "0-1:24.2.1", "quantity": quantity}]
    batch = await reader_of(tmp_path, ManualClock(), values=values).read()
    assert [one.value for one in batch.readings] == pytest.approx([value])


@st.composite
def telegrams_without_a_time(draw: st.DrawFn) -> tuple[bytes, float]:
    """Draw a telegram without a usable time, of any of the makes, with its power in kW."""
    watts = draw(st.integers(0, 99_999))
    power = draw(st.sampled_from([f"1-0:1.7.0({watts / 1000:.3f}*kW)", f"1-0:1.7.0*255({watts:08.2f}*W)"]))
    lines = [power, *draw(st.lists(st.sampled_from([
        "1-0:32.7.0(230.1*V)", "0-0:96.1.1(4B41)", "0-0:96.13.0()", "1-0:C.1.6*255(FDF5)",
        "0-0:0.9.1(121530)", "0-1:24.3.0(121030140000)(00)(60)(1)(0-1:24.2.1)(m3)\r\n(00024.123)",
    ]), max_size=4, unique=True))]  # fmt: skip
    head = draw(
        st.sampled_from(["/ISk5\\2ME382-1003", "/ESY5Q3DA1004 V3.04", "/ISk5MT174-0001", "/KMP5 KA6U"])
    )
    body = "\r\n".join([head, "", *draw(st.permutations(lines)), "!"]).encode()
    checksum = draw(st.sampled_from(["", f"{crc16(body):04X}", f"{crc16(body):X}"]))
    return body + checksum.encode() + b"\r\n", watts / 1000


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(telegrams_without_a_time(), max_size=4), min_size=1, max_size=5))
def test_a_followed_log_gives_each_telegram_once_in_order(looks: list[list[tuple[bytes, float]]]) -> None:
    """Whatever comes between looks: the power of each telegram once, in order, between the two looks."""

    async def run(folder: Path) -> None:
        clock = ManualClock()
        path = folder / "p1.log"
        path.write_bytes(b"")
        reader = reader_of(folder, clock)
        await reader.read()
        for look in looks:
            before = clock.now()
            await clock.advance(10)
            with path.open("ab") as file:
                file.write(b"".join(raw for raw, _ in look))
            batch = await reader.read()
            assert [value for value, _ in powers(batch)] == pytest.approx([value for _, value in look])
            times = [at for _, at in powers(batch)]
            assert times == sorted(times)
            assert all(before < at <= clock.now() for at in times)
            assert not batch.rejects

    with TemporaryDirectory() as name:
        asyncio.run(run(Path(name)))
