"""What a unit is taken for, by what it says of itself."""

from __future__ import annotations

import asyncio
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.connectors.test_sunspec import METER, common, device
from tests.fakes.modbus import Behaviour, Memory, Request, misbehaving_server, refusing, silent
from venclient.clock import SystemClock
from venclient.connectors.modbus_frames import (
    Garbage,
    RtuFraming,
    TcpFraming,
    identification_question,
    identification_texts,
)
from venclient.connectors.modbus_link import ModbusLink
from venclient.connectors.recognition import recognise


def texts(*objects: bytes) -> bytes:
    """Return the data of an identification answer."""
    head = bytes([14, 1, 1, 0, 0, len(objects)])
    return head + b"".join(bytes([n, len(text)]) + text for n, text in enumerate(objects))


def naming(memory: Memory, *objects: bytes) -> Behaviour:
    """Build a unit that has a memory and reports what it is."""

    def act(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.function != 43:
            memory(request, writer)
            return
        body = bytes([request.unit, 43]) + texts(*objects)
        writer.write(struct.pack(">HHH", request.transaction, 0, len(body)) + body)

    return act


def memory(address: int, *words: int) -> Memory:
    """Build a unit with a few registers."""
    return Memory({address + n: word for n, word in enumerate(words)})


def text(address: int, said: bytes, length: int) -> Memory:
    """Build a unit with a text."""
    return memory(address, *struct.unpack(f">{length}H", said.ljust(2 * length, b"\0")))


async def recognised(port: int, behaviour: Behaviour) -> list[tuple[str, str]]:
    """Return what a unit is taken for."""
    async with misbehaving_server(port) as peer:
        peer.units[3] = behaviour
        link = ModbusLink("127.0.0.1", port, SystemClock())
        try:
            return await recognise(link, 3, timeout_s=0.1)
        finally:
            await link.close()


@pytest.mark.peer
@pytest.mark.parametrize(
    ("behaviour", "name", "evidence"),
    [
        (memory(11, 1648), "carlo-gavazzi-em24-e1", "holding 11 is 1648"),
        (memory(11, 345), "carlo-gavazzi-em340", "holding 11 is 345"),
        (memory(1016, 4, 0xDE34), "keba-p30", "holding 1016 is 319028"),
        (memory(4999, 0x0E03), "sungrow-sh", "input 4999 is 3587"),
        (text(30000, b"SUN2000-10KTL-M1", 15), "huawei-sun2000", 'holding 30000 contains "SUN2000-10KTL-M1"'),
        (text(117, b"Alfen NV", 5), "alfen-eve", 'holding 117 contains "Alfen NV"'),
        (
            naming(memory(0, 1), b"Schneider Electric", b"iEM3155", b"V1"),
            "schneider-iem3000",
            'it identifies as "iEM3155"',
        ),
        (
            naming(memory(0, 1), b"SIEMENS", b"7KM PAC2200"),
            "siemens-pac2200",
            'it identifies as "7KM PAC2200"',
        ),
    ],
)
async def test_devices_are_recognised(behaviour: Behaviour, name: str, evidence: str, free_port: int) -> None:
    """Each mark leads to its template, and the evidence is reported."""
    assert await recognised(free_port, behaviour) == [(name, evidence)]


@pytest.mark.peer
async def test_a_sunspec_map_is_recognised(free_port: int) -> None:
    """The maker and the models are reported."""
    [(name, evidence)] = await recognised(free_port, device(common(), METER))
    assert name == "sunspec"
    assert evidence == "Fronius Primo GEN24 4.0: models 1, 203 from 40000"


@pytest.mark.peer
@pytest.mark.parametrize("behaviour", [refusing(2), refusing(1), silent, memory(11, 7), text(117, b"?", 5)])
async def test_others_are_not(behaviour: Behaviour, free_port: int) -> None:
    """A device without marks is taken for nothing."""
    assert await recognised(free_port, behaviour) == []


def test_identification_frames() -> None:
    """The request, and an answer in two pieces, are those of the standard."""
    framing = TcpFraming()
    data = texts(b"Maker", b"Code", b"1.0")
    frame = struct.pack(">HHHBB", 1, 0, 2 + len(data), 9, 43) + data

    assert framing.frame(1, identification_question(9)).hex() == "000100000005092b0e0100"
    assert framing.feed(frame[:10]) == []
    [answer] = framing.feed(frame[10:])
    assert (answer.unit, answer.function) == (9, 43)
    assert identification_texts(answer.data) == ["Maker", "Code", "1.0"]


def test_identification_is_not_for_rtu() -> None:
    """Its answers say nothing of their length there, so they are not taken for another's."""
    with pytest.raises(Garbage):
        RtuFraming().feed(bytes([9, 43, 14, 1, 1, 0, 0, 0]))


@given(st.binary(max_size=80))
def test_any_identification_makes_texts(data: bytes) -> None:
    """Answers that are cut off or wrong give what is whole in them."""
    assert all(isinstance(one, str) for one in identification_texts(data))
