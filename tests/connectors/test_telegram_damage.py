"""P1 telegrams that are damaged without a checksum, run into each other, or are written otherwise."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.connectors.test_telegram import measured
from tests.connectors.test_telegram_time import reader_of
from venclient.clock import ManualClock
from venclient.connectors.base import Batch
from venclient.messages import code_of

TIMED = "0-0:1.0.0(250601120000S)"


def telegram(*lines: str, end: str = "\r\n") -> bytes:
    """Return a telegram without a checksum."""
    return end.join(["/ISk5\\2ME382-1003", "", TIMED, *lines, "!", ""]).encode()


def read(raw: bytes) -> Batch:
    """Read a complete file."""

    async def go() -> Batch:
        with TemporaryDirectory() as folder:
            (Path(folder) / "p1.log").write_bytes(raw)
            return await reader_of(Path(folder), ManualClock(), follow=False).read()

    return asyncio.run(go())


def found(raw: bytes) -> tuple[dict[str, float], list[str | None]]:
    """Return the values by quantity, and the codes of the rejects."""
    batch = read(raw)
    return {one.quantity: one.value for one in batch.readings}, [code_of(one.reason) for one in batch.rejects]


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("1-0:1.7.0(00x1.51*kW)", "power_kw"),
        ("1-0:2.7.0(--.--*kW)", "power_kw"),
        ("1-0:2.7.0(00.200*kW", "power_kw"),
        ("1-0:1.8.2(004 0.342*kWh)", "energy_kwh"),
        ("1-0:1.8.2(00490.342)", "energy_kwh"),
    ],
)
def test_a_value_that_cannot_be_read_makes_no_smaller_sum(line: str, missing: str) -> None:
    """Power without its export, or a register without a tariff, would be invented: it is rejected."""
    lines = {
        "1-0:1.7.0": "1-0:1.7.0(01.510*kW)",
        "1-0:2.7.0": "1-0:2.7.0(00.000*kW)",
        "1-0:1.8.1": "1-0:1.8.1(00608.400*kWh)",
        "1-0:1.8.2": "1-0:1.8.2(00490.342*kWh)",
    }
    lines[line[:9]] = line
    values, rejects = found(telegram(*lines.values()))
    whole = {"power_kw": 1.51, "energy_kwh": 1098.742}
    del whole[missing]
    assert values == pytest.approx(whole)
    assert rejects == ["VEN-FIL-241"]


SUMS = {
    "power_kw": ["1-0:1.7.0(01.510*kW)", "1-0:2.7.0(00.500*kW)"],
    "energy_kwh": ["1-0:1.8.1(00608.400*kWh)", "1-0:1.8.2(00490.342*kWh)"],
    "energy_export_kwh": ["1-0:2.8.1(00001.000*kWh)", "1-0:2.8.2(00002.000*kWh)"],
}


@given(st.sampled_from([(name, n) for name in SUMS for n in (0, 1)]))
def test_a_line_that_is_lost_makes_no_smaller_sum(lost: tuple[str, int]) -> None:
    """A serial port drops bytes, perhaps a whole line: without a checksum the earlier telegrams show it."""
    lines = [line for parts in SUMS.values() for line in parts]
    left = [line for line in lines if line != SUMS[lost[0]][lost[1]]]
    batch = read(telegram(*lines) + telegram(*left) + telegram(*lines))
    counts = {name: len([one for one in batch.readings if one.quantity == name]) for name in SUMS}
    assert counts == {name: 2 if name == lost[0] else 3 for name in SUMS}
    assert len({one.value for one in batch.readings}) == 3
    assert [code_of(one.reason) for one in batch.rejects] == ["VEN-FIL-241"]


def test_long_and_short_telegrams_in_turn_are_read() -> None:
    """A telegram without any part of a sum is not a damaged one."""
    long, short = SUMS["power_kw"] + SUMS["energy_kwh"], SUMS["power_kw"]
    batch = read((telegram(*long) + telegram(*short)) * 3)
    assert [one.quantity for one in batch.readings].count("power_kw") == 6
    assert [one.value for one in batch.readings if one.quantity == "energy_kwh"] == pytest.approx(
        [1098.742] * 3
    )
    assert not batch.rejects


def test_a_meter_that_no_longer_sends_a_tariff_is_read_again() -> None:
    """After ten telegrams without it the second tariff is believed to be gone."""
    both, one = SUMS["energy_kwh"], SUMS["energy_kwh"][:1]
    batch = read(telegram(*both) + telegram(*one) * 12)
    assert [reading.value for reading in batch.readings] == pytest.approx([1098.742, 608.4, 608.4])
    assert len(batch.rejects) == 10


def test_an_empty_value_is_none() -> None:
    """Empty brackets are what a meter sends for a value that it does not have."""
    values, rejects = found(telegram("1-0:1.7.0(01.510*kW)", "1-0:32.7.0()"))
    assert (values, rejects) == ({"power_kw": 1.51}, [])


@given(st.data())
def test_noise_on_a_line_without_a_checksum_is_rejected(data: st.DataObject) -> None:
    """Bytes beyond ASCII say that the telegram is damaged: nothing of it is believed."""
    raw = bytearray(telegram("1-0:1.7.0(01.510*kW)", "1-0:1.8.1(00608.400*kWh)"))
    places = [n for n, byte in enumerate(raw) if byte not in b"\r\n/!"]
    raw[data.draw(st.sampled_from(places))] = data.draw(st.integers(0x80, 0xFF))
    values, rejects = found(bytes(raw))
    assert (values, rejects) == ({}, ["VEN-FIL-240"])


@given(st.integers(0, 99_999), st.integers(0, 9_999))
def test_seven_bits_with_parity_are_read_as_they_are(register: int, watts: int) -> None:
    """A port of 9600 7E1 that was logged as 8N1 has the parity in the high bit."""
    raw = telegram(f"1-0:1.7.0({watts / 1000:06.3f}*kW)", f"1-0:1.8.1({register:05}.400*kWh)")
    logged = bytes(byte | (0x80 if byte.bit_count() % 2 else 0) for byte in raw)
    assert found(logged) == found(raw)
    assert found(logged)[0] == pytest.approx({"power_kw": watts / 1000, "energy_kwh": register + 0.4})


@given(st.integers(20, 560), st.booleans())
def test_a_telegram_that_goes_on_with_the_next_costs_none_but_itself(at: int, checked: bool) -> None:
    """The port fell silent within a line: the telegram that follows in the same line is read whole."""
    whole = measured(second=10) if checked else telegram("1-0:1.7.0(01.510*kW)", "1-0:1.8.1(00608.400*kWh)")
    half = measured(second=0, power="09.999")
    half = half[: min(at, half.index(b"!"))].rstrip(b"\r\n") + b"0"
    alone = read(whole)
    batch = read(half + whole)
    assert batch.readings == alone.readings
    assert [code_of(one.reason) for one in batch.rejects] == ["VEN-FIL-242"]


def test_a_text_that_looks_like_a_beginning_is_a_text() -> None:
    """Messages of the grid operator may hold an address."""
    line = "0-0:96.13.0(see http://example.com/DSO5)"
    values, rejects = found(telegram("1-0:1.7.0(01.510*kW)", line, "1-0:1.8.1(00608.400*kWh)"))
    assert (values, rejects) == ({"power_kw": 1.51, "energy_kwh": 608.4}, [])


@pytest.mark.parametrize("end", [b"\r\n\n", b"\n\n", b"\r\r\n"])
def test_a_logger_may_add_line_ends(end: bytes) -> None:
    """The checksum is that of the lines as the meter sent them."""
    raw = measured()
    assert read(raw.replace(b"\r\n", end)).readings == read(raw).readings
    assert read(raw).readings


def test_a_logger_may_drop_the_empty_line() -> None:
    """The checksum includes the empty line behind the first one, whether it was logged or not."""
    raw = measured()
    assert read(raw.replace(b"\r\n\r\n", b"\r\n")).readings == read(raw).readings


def test_signed_power_of_meters_that_send_one_value() -> None:
    """Meters with 16.7.0 send no 1.7.0 and 2.7.0."""
    values, rejects = found(
        telegram("1-0:16.7.0*255(-000259.20*W)", "1-0:36.7.0*255(000075.18*W)", "1-0:76.7.0*255(-91.68*W)")
    )
    assert values == pytest.approx({"power_kw": -0.2592, "power_l1_kw": 0.07518, "power_l3_kw": -0.09168})
    assert rejects == []


def test_codes_without_their_first_part_are_those_of_electricity() -> None:
    """Iskra meters may send 1.8.0 for 1-0:1.8.0, and 0.9.2 with 0.9.1."""
    lines = [
        "/ISK5MT174",
        "",
        "0.9.1(121530)",
        "0.9.2(250824)",
        "1.8.0(001234.5*kWh)",
        "1.7.0(+1.5*kW)",
        "!",
        "",
    ]
    raw = "\r\n".join(lines).encode()
    batch = read(raw)
    assert {one.quantity: one.value for one in batch.readings} == {"power_kw": 1.5, "energy_kwh": 1234.5}
    assert {one.time.isoformat() for one in batch.readings} == {"2025-08-24T10:15:30+00:00"}
