"""Setpoints written to registers and coils, read back, and refused where they must be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.connectors.sites import make_resource, make_site
from tests.fakes.modbus import (
    Memory,
    Misbehaving,
    Request,
    misbehaving_server,
    pymodbus_server,
    refusing,
    silent,
)
from venclient.connectors.base import Writer
from venclient.connectors.modbus_writer import ModbusWriter, open_modbus_writer
from venclient.errors import ConfigError, ConnectFailed, ReadTimeout, Undecodable, WriteRefused
from venclient.messages.modbus import WRITE_EXCEPTION_3
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.model.setpoint import Setpoint

LIMIT = {"quantity": "power_kw", "address": 10, "type": "int16", "scale": 0.1, "min": -50, "max": 50}


def resource(port: int, *registers: dict[str, Any], **options: Any) -> Resource:
    """Build a resource whose control connection writes the registers."""
    connection = Connection(
        ConnectionType.MODBUSTCP,
        ActorType.WRITER,
        host="127.0.0.1",
        port=port,
        options={"registers": list(registers or [LIMIT]), "unit": 3, "timeout_s": 0.2} | options,
    )
    return replace(make_resource(), control_connection=connection)


def wanted(value: float, quantity: str = "power_kw") -> Setpoint:
    """Build a setpoint for the resource."""
    return Setpoint("id-of-Hotel Ærø", quantity, value)


@pytest.fixture
async def peer(free_port: int) -> AsyncIterator[Misbehaving]:
    """Run a server."""
    async with misbehaving_server(free_port) as running:
        yield running


def opened(tmp_path: Path, given: Resource) -> ModbusWriter:
    """Open a writer at its own site."""
    return open_modbus_writer(given, make_site(tmp_path))


@pytest.mark.peer
@pytest.mark.parametrize(
    ("register", "value", "held", "function"),
    [
        (LIMIT, -12.34, {10: 0xFF85}, 6),
        (LIMIT | {"function": "multiple"}, 5, {10: 50}, 16),
        (LIMIT | {"type": "float32"}, 5, {10: 0x4248, 11: 0}, 16),
        (LIMIT | {"type": "int32", "word_order": "little"}, 5, {10: 50, 11: 0}, 16),
        (LIMIT | {"type": "uint16", "mask": "0x0FF0", "shift": 4, "scale": 1}, 5, {10: 0xA05A}, 6),
        (LIMIT | {"type": "uint8", "byte": "high", "scale": 1}, 5, {10: 0x05AA}, 6),
        (LIMIT | {"type": "bool", "bit": 0, "scale": 1}, 1, {10: 0xAAAB}, 6),
        (LIMIT | {"type": "mod10k32", "scale": 1}, 12, {10: 0, 11: 12}, 16),
        (LIMIT | {"scale_register": 12, "scale": 1}, 1.5, {10: 15}, 6),
    ],
)
async def test_a_value_is_encoded_written_and_read_back(
    tmp_path: Path,
    free_port: int,
    peer: Misbehaving,
    register: dict[str, Any],
    value: float,
    held: dict[int, int],
    function: int,
) -> None:
    """Every encoding arrives as the device holds it, other bits of the register stay, and it is confirmed."""
    unit = peer.units[3] = Memory({10: 0xAAAA, 11: 0xAAAA, 12: 0xFFFF})
    writer = opened(tmp_path, resource(free_port, register))
    receipt = await writer.write(wanted(value))
    await writer.close()

    assert {address: unit.words[address] for address in held} == held
    assert function in [request.function for request in peer.requests]
    assert receipt.ok
    assert receipt.asked == value
    assert receipt.read_back == pytest.approx(receipt.written)
    assert receipt.written == pytest.approx(value, abs=0.05)


@pytest.mark.peer
async def test_a_coil_is_switched(tmp_path: Path, free_port: int, peer: Misbehaving) -> None:
    """A coil takes 1 and 0, by function 5, and is read back."""
    unit = peer.units[3] = Memory({}, {20: 0})
    coil = {"quantity": "on", "address": 20, "kind": "coil", "type": "bool", "min": 0, "max": 1}
    writer = opened(tmp_path, resource(free_port, coil))

    assert (await writer.write(wanted(1, "on"))).ok
    assert unit.coils == {20: 1}
    assert (await writer.write(wanted(0, "on"))).read_back == 0
    assert [request.function for request in peer.requests] == [5, 1, 5, 1]
    await writer.close()


@pytest.mark.peer
async def test_pymodbus_holds_what_was_written(tmp_path: Path, free_port: int) -> None:
    """The server of a library that we did not write agrees on what was said."""
    async with pymodbus_server(free_port, {3: {10: [0, 0]}}):
        writer = opened(tmp_path, resource(free_port, LIMIT | {"type": "float32"}))
        receipt = await writer.write(wanted(7.25))
        await writer.close()

    assert receipt.ok
    assert receipt.read_back == 7.25


@pytest.mark.peer
async def test_a_device_that_keeps_its_own_value_is_told(
    tmp_path: Path, free_port: int, peer: Misbehaving
) -> None:
    """When the value read back is another, the receipt says what was written and what the device says."""
    peer.units[3] = lambda request, writer: writer.write(
        request.echo if request.function == 6 else request.answer([100])
    )
    writer = opened(tmp_path, resource(free_port))
    receipt = await writer.write(wanted(5))

    assert not receipt.ok
    assert receipt.detail == "wrote 5, but the device reports 10 [VEN-MOD-134]"
    await writer.close()


@pytest.mark.peer
async def test_without_read_back_the_answer_counts(tmp_path: Path, free_port: int, peer: Misbehaving) -> None:
    """A register that cannot be read may be written all the same."""
    peer.units[3] = lambda request, writer: writer.write(request.echo)
    writer = opened(tmp_path, resource(free_port, LIMIT | {"read_back": False}))
    receipt = await writer.write(wanted(5))

    assert receipt.ok
    assert receipt.read_back is None
    assert len(peer.requests) == 1
    await writer.close()


@pytest.mark.peer
@pytest.mark.parametrize(
    ("value", "quantity", "reason"),
    [
        (50.1, "power_kw", "outside of -50 to 50"),
        (float("nan"), "power_kw", "outside of"),
        (1, "soc_percent", "the options have registers for power_kw [VEN-MOD-130]"),
    ],
)
async def test_what_must_not_be_written_is_not_sent(
    tmp_path: Path, free_port: int, peer: Misbehaving, value: float, quantity: str, reason: str
) -> None:
    """Values out of range and unknown quantities are refused before the device hears of them."""
    writer = opened(tmp_path, resource(free_port))
    with pytest.raises(WriteRefused) as caught:
        await writer.write(wanted(value, quantity))

    assert reason in str(caught.value)
    assert not peer.requests
    await writer.close()


@pytest.mark.peer
async def test_a_refusal_is_said_in_words(tmp_path: Path, free_port: int, peer: Misbehaving) -> None:
    """An exception names its code, its meaning, the register and what to look for."""
    peer.units[3] = refusing(3)
    writer = opened(tmp_path, resource(free_port))
    with pytest.raises(WriteRefused) as caught:
        await writer.write(wanted(5))

    assert caught.value.what == "exception 3 (illegal data value) for holding 10"
    assert caught.value.hint == WRITE_EXCEPTION_3.hint
    await writer.close()


@pytest.mark.peer
async def test_a_write_is_never_sent_twice(tmp_path: Path, free_port: int, peer: Misbehaving) -> None:
    """What a silent device may have done already is not done again by itself."""
    peer.units[3] = silent
    writer = opened(tmp_path, resource(free_port, timeout_s=0.05, retries=3))
    with pytest.raises(ReadTimeout):
        await writer.write(wanted(5))

    assert len(peer.requests) == 1
    await writer.close()


@pytest.mark.peer
async def test_a_write_on_a_connection_that_breaks_is_not_sent_again(
    tmp_path: Path, free_port: int, peer: Misbehaving
) -> None:
    """A read would be asked again on a new connection; what a write may have done is reported instead."""
    unit = peer.units[3] = Memory({10: 0})
    writer = opened(tmp_path, resource(free_port, retries=3))
    await writer.write(wanted(1))

    def do_it_and_break(request: Request, stream: asyncio.StreamWriter) -> None:
        if request.values:
            unit.words[10] = request.values[0]
            stream.transport.abort()
        else:
            unit(request, stream)

    peer.units[3] = do_it_and_break
    seen = len(peer.requests)
    with pytest.raises(ConnectFailed, match="VEN-MOD-121"):
        await writer.write(wanted(2))
    await writer.close()

    assert len([request for request in peer.requests[seen:] if request.values]) == 1


@pytest.mark.peer
async def test_a_scale_factor_that_is_none_stops_the_write(
    tmp_path: Path, free_port: int, peer: Misbehaving
) -> None:
    """With an unknown power of ten nothing is written."""
    peer.units[3] = Memory({10: 0, 12: 0x8000})
    writer = opened(tmp_path, resource(free_port, LIMIT | {"scale_register": 12}))
    with pytest.raises(Undecodable, match="VEN-MOD-136"):
        await writer.write(wanted(5))

    assert not any(request.values for request in peer.requests)
    await writer.close()


@pytest.mark.parametrize(
    ("register", "mistake"),
    [
        ({"min": 2, "max": 1}, "min (2) must not be above max (1)"),
        ({"kind": "input"}, "input registers cannot be written"),
        ({"type": "int32", "function": "single"}, "function single writes one register"),
        ({"type": "string", "length": 2}, "a setpoint is a number"),
    ],
)
def test_impossible_writers_are_refused(
    tmp_path: Path, free_port: int, register: dict[str, Any], mistake: str
) -> None:
    """Each mistake is reported when the connection is opened."""
    with pytest.raises(ConfigError) as caught:
        opened(tmp_path, resource(free_port, LIMIT | register))
    assert mistake in str(caught.value)


def test_a_reading_connection_is_not_written_to(tmp_path: Path) -> None:
    """A resource without a connection of actor type WRITER cannot be commanded."""
    with pytest.raises(ConfigError, match="VEN-MOD-137"):
        opened(tmp_path, make_resource(host="127.0.0.1"))


async def test_a_writer_is_one(tmp_path: Path, free_port: int) -> None:
    """It has what dispatching needs, and shares the link with the reader of the same endpoint."""
    site = make_site(tmp_path)
    writer = open_modbus_writer(resource(free_port), site)

    assert isinstance(writer, Writer)
    assert site.leases.holders(f"modbustcp 127.0.0.1:{free_port}")
    await writer.close()
    await writer.close()
    assert not site.leases.holders(f"modbustcp 127.0.0.1:{free_port}")
