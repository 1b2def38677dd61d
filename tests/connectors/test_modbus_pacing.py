"""How requests of one link are paced: several in flight, pauses, retries, RTU, and connections given back."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.connectors.sites import make_resource, make_site
from tests.connectors.test_modbus_link import SHORT_S, read, right
from tests.fakes.modbus import Misbehaving, Request, misbehaving_server, sending, silent, well
from venclient.clock import ManualClock
from venclient.connectors.modbus import ModbusReader, open_modbus_reader
from venclient.connectors.modbus_frames import RtuFraming, read_question
from venclient.connectors.modbus_link import ModbusLink
from venclient.errors import ConfigError, ConnectFailed, ConnectorError, ReadTimeout, Undecodable

pytestmark = pytest.mark.peer

Held = list[tuple[Request, asyncio.StreamWriter]]


@pytest.fixture
async def peer(free_port: int) -> AsyncIterator[Misbehaving]:
    """Run a server that answers well by default."""
    async with misbehaving_server(free_port) as running:
        yield running


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that stands still."""
    return ManualClock()


@pytest.fixture
async def link(peer: Misbehaving, free_port: int, clock: ManualClock) -> AsyncIterator[ModbusLink]:
    """Return a link to the server with four requests in flight."""
    link = ModbusLink("127.0.0.1", free_port, clock)
    link.pace(depth=4, pause_s=0, connect_delay_s=0)
    yield link
    await link.close()


def holding(peer: Misbehaving, *units: int) -> tuple[Held, asyncio.Event]:
    """Have units keep their answers back; the event is set with each request."""
    held: Held = []
    arrived = asyncio.Event()

    def hold(request: Request, writer: asyncio.StreamWriter) -> None:
        held.append((request, writer))
        arrived.set()

    peer.units |= dict.fromkeys(units, hold)
    return held, arrived


async def until(held: Held, arrived: asyncio.Event, count: int) -> None:
    """Return once `count` requests are held."""
    while len(held) < count:
        arrived.clear()
        await arrived.wait()


async def test_as_many_requests_as_allowed_are_in_flight(link: ModbusLink, peer: Misbehaving) -> None:
    """With pipelining the next requests leave before the first answer, and answers may change places."""
    held, arrived = holding(peer, 1, 2, 3, 4, 5)
    tasks = [asyncio.create_task(read(link, unit)) for unit in (1, 2, 3, 4, 5)]
    await until(held, arrived, 4)
    assert [request.unit for request in peer.requests] == [1, 2, 3, 4]
    for request, writer in reversed(held[:4]):
        writer.write(request.answer())
    await until(held, arrived, 5)
    held[4][1].write(held[4][0].answer())

    assert await asyncio.gather(*tasks) == [right(unit) for unit in (1, 2, 3, 4, 5)]


async def test_with_pipelining_one_silent_unit_costs_the_others_nothing(
    link: ModbusLink, peer: Misbehaving
) -> None:
    """Nine units are read while one of ten is waited for."""
    peer.units[5] = silent
    units = range(1, 11)
    found = await asyncio.gather(*(read(link, u, timeout_s=SHORT_S) for u in units), return_exceptions=True)

    assert [unit for unit, one in zip(units, found, strict=True) if isinstance(one, ReadTimeout)] == [5]
    assert [one for one in found if isinstance(one, list)] == [right(unit) for unit in units if unit != 5]


async def test_a_wait_begins_when_those_before_are_over(link: ModbusLink, peer: Misbehaving) -> None:
    """A gateway answers in order, so what waits behind a silent unit has its whole time-out afterwards."""
    held, arrived = holding(peer, 2)
    peer.units[1] = silent
    first = asyncio.create_task(read(link, 1, timeout_s=SHORT_S))
    second = asyncio.create_task(read(link, 2, timeout_s=SHORT_S))
    await until(held, arrived, 1)
    with pytest.raises(ReadTimeout):
        await first
    held[0][1].write(held[0][0].answer())
    assert await second == right(2)


@pytest.mark.parametrize("fault", ["garbage", "reset"])
async def test_what_others_asked_on_a_broken_connection_is_asked_again(
    link: ModbusLink, peer: Misbehaving, fault: str
) -> None:
    """Garbage or a reset in answer to one unit does not fail the requests of others in flight."""

    def break_it(request: Request, writer: asyncio.StreamWriter) -> None:
        if fault == "garbage":
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        else:
            writer.write(request.answer()[:9])
            writer.transport.abort()

    peer.units[1] = break_it
    found = await asyncio.gather(*(read(link, unit) for unit in (1, 2, 3, 4)), return_exceptions=True)

    assert isinstance(found[0], Undecodable if fault == "garbage" else ConnectFailed)
    assert found[1:] == [right(2), right(3), right(4)]


async def test_a_host_that_accepts_and_stays_silent_is_replaced_and_left_alone(
    link: ModbusLink, peer: Misbehaving, clock: ManualClock
) -> None:
    """When no unit behind a connection answers, each costs one time-out, and the connection is new."""
    peer.units |= dict.fromkeys(range(1, 5), silent)
    found = await asyncio.gather(
        *(read(link, unit, timeout_s=SHORT_S) for unit in range(1, 5)), return_exceptions=True
    )
    assert all(isinstance(one, ReadTimeout) for one in found)
    peer.units.clear()
    await clock.advance(60)
    assert await read(link, 1) == right(1)
    assert peer.connections == 2


async def test_a_device_that_speaks_first_is_refused_without_a_storm(
    free_port: int, clock: ManualClock
) -> None:
    """A login prompt is no Modbus; it is said, and connecting is not tried again at once."""
    greeted: list[asyncio.StreamWriter] = []

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeted.append(writer)
        writer.write(b"login:")
        await writer.drain()

    server = await asyncio.start_server(greet, "127.0.0.1", free_port)
    link = ModbusLink("127.0.0.1", free_port, clock)
    link.pace(depth=1, pause_s=0, connect_delay_s=1)
    task = asyncio.create_task(read(link, 1))
    while not greeted:  # noqa: ASYNC110 (the server sends no signal)
        await asyncio.sleep(0)
    while not task.done():
        await clock.advance(0.1)
    with pytest.raises(ConnectorError, match=r"VEN-MOD-114|VEN-MOD-120"):
        await task
    assert len(greeted) == 1
    await link.close()
    for writer in greeted:
        writer.close()
    server.close()
    await server.wait_closed()


async def test_pauses_lie_between_requests(peer: Misbehaving, free_port: int, clock: ManualClock) -> None:
    """After an answer the device has its pause before the next request, and none before the first."""
    link = ModbusLink("127.0.0.1", free_port, clock)
    link.pace(depth=1, pause_s=0.2, connect_delay_s=0)
    first = asyncio.create_task(read(link, 1))
    second = asyncio.create_task(read(link, 2))
    assert await first == right(1)
    await clock.advance(0.19)
    assert len(peer.requests) == 1
    await clock.advance(0.02)
    assert await second == right(2)
    await link.close()


async def test_the_first_request_waits_for_the_connect_delay(
    peer: Misbehaving, free_port: int, clock: ManualClock
) -> None:
    """A device that needs time after a connection was made gets it."""
    link = ModbusLink("127.0.0.1", free_port, clock)
    link.pace(depth=1, pause_s=0, connect_delay_s=2)
    task = asyncio.create_task(read(link, 1))
    while not peer.connections:  # noqa: ASYNC110 (a real connection comes about)
        await asyncio.sleep(0)
    await clock.advance(1.9)
    assert not peer.requests
    await clock.advance(0.2)
    assert await task == right(1)
    await link.close()


async def test_the_most_careful_wishes_count(free_port: int, peer: Misbehaving, clock: ManualClock) -> None:
    """Of several users of one link the smallest depth and the longest pause hold for all."""
    link = ModbusLink("127.0.0.1", free_port, clock)
    link.pace(depth=8, pause_s=0, connect_delay_s=0)
    link.pace(depth=1, pause_s=0, connect_delay_s=0)
    held, arrived = holding(peer, 1)
    first = asyncio.create_task(read(link, 1))
    second = asyncio.create_task(read(link, 2))
    await until(held, arrived, 1)
    assert len(peer.requests) == 1
    held[0][1].write(held[0][0].answer())
    assert [await first, await second] == [right(1), right(2)]
    await link.close()


async def test_a_retry_saves_a_reading_of_a_unit_that_lost_one_request(
    link: ModbusLink, peer: Misbehaving
) -> None:
    """With retries a single lost request costs time only; a unit known to be silent gets no more of them."""
    answers = [silent, well]

    def first_silent(request: Request, writer: asyncio.StreamWriter) -> None:
        answers.pop(0)(request, writer)

    peer.units[1] = first_silent
    question = read_question(1, "holding", 0, 2)
    data, _ = await link.exchange(question, timeout_s=SHORT_S, retries=1)
    assert list(struct.unpack(">2H", data)) == right(1)

    peer.units[2] = silent
    with pytest.raises(ReadTimeout):
        await link.exchange(read_question(2, "holding", 0, 2), timeout_s=SHORT_S, retries=2)
    assert [request.unit for request in peer.requests].count(2) == 3


# RTU over TCP


class RtuServer:
    """A serial server: RTU frames over TCP; `late` answers are sent before the next one's."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.silent: set[int] = set()
        self.spoil = False
        self.late = b""
        self.connections = 0
        self.writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests until it ends."""
        self.connections += 1
        self.writers.add(writer)
        try:
            while True:
                request = await reader.readexactly(8)
                self.requests.append(request)
                unit, function, address, count = struct.unpack_from(">BBHH", request)
                words = [(unit * 1000 + address + n) & 0xFFFF for n in range(count)]
                body = struct.pack(f">BBB{count}H", unit, function, 2 * count, *words)
                answer = _with_checksum(body)
                if unit in self.silent:
                    self.late = answer
                    continue
                if self.spoil:
                    answer = answer[:-1] + bytes([answer[-1] ^ 1])
                writer.write(self.late + answer)
                self.late = b""
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def _with_checksum(body: bytes) -> bytes:
    crc = 0xFFFF
    for byte in body:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return body + crc.to_bytes(2, "little")


@pytest.fixture
async def serial(free_port: int) -> AsyncIterator[RtuServer]:
    """Run a serial server."""
    running = RtuServer()
    server = await asyncio.start_server(running.serve, "127.0.0.1", free_port)
    yield running
    server.close()
    for writer in running.writers:
        writer.transport.abort()
    await server.wait_closed()


@pytest.fixture
async def rtu(serial: RtuServer, free_port: int, clock: ManualClock) -> AsyncIterator[ModbusLink]:
    """Return a link to the serial server."""
    link = ModbusLink("127.0.0.1", free_port, clock, framer="rtu")
    link.pace(depth=4, pause_s=0, connect_delay_s=0)
    yield link
    await link.close()


async def test_units_behind_a_serial_server_are_read_one_after_the_other(
    rtu: ModbusLink, serial: RtuServer
) -> None:
    """RTU frames carry no transaction: one request is in flight whatever the pipelining."""
    found = await asyncio.gather(*(read(rtu, unit) for unit in (1, 2, 3)))

    assert found == [right(1), right(2), right(3)]
    assert serial.requests[0] == RtuFraming().frame(0, read_question(1, "holding", 0, 2))
    assert serial.connections == 1


async def test_a_late_rtu_answer_is_nobodys(rtu: ModbusLink, serial: RtuServer) -> None:
    """After a time-out the connection is replaced, and what another unit says late is passed over."""
    serial.silent = {5}
    with pytest.raises(ReadTimeout):
        await read(rtu, 5, timeout_s=SHORT_S)
    assert await read(rtu, 1) == right(1)
    assert serial.connections == 2


async def test_a_noisy_line_gives_no_reading(rtu: ModbusLink, serial: RtuServer) -> None:
    """A wrong checksum ends the request at once."""
    serial.spoil = True
    with pytest.raises(Undecodable, match="VEN-MOD-120"):
        await read(rtu, 1)
    serial.spoil = False
    assert await read(rtu, 2) == right(2)


def options(port: int, *, name: str = "Hotel Ærø", **more: Any) -> Any:
    """Build a resource with one register."""
    registers = [{"quantity": "power_kw", "address": 0, "type": "uint16"}]
    return make_resource(name=name, host="127.0.0.1", port=port, options={"registers": registers} | more)


async def test_one_endpoint_has_one_framer(tmp_path: Path, serial: RtuServer, free_port: int) -> None:
    """Two resources that disagree about the frames of their endpoint get an error."""
    site = make_site(tmp_path)
    reader = open_modbus_reader(options(free_port, framer="rtu"), site)
    assert (await reader.read()).readings[0].value == 1000
    with pytest.raises(ConfigError, match=r"framer rtu.*VEN-CON-006"):
        open_modbus_reader(options(free_port, name="other"), site)
    await reader.close()


# Rounds


async def round_trips(reader: ModbusReader, rounds: int) -> None:
    """Read `rounds` times."""
    for _ in range(rounds):
        assert (await reader.read()).readings


async def test_a_connection_is_given_back_after_each_round(
    tmp_path: Path, peer: Misbehaving, free_port: int
) -> None:
    """With close_after_round others can have the device's only connection between two rounds."""
    reader = open_modbus_reader(options(free_port, close_after_round=True), make_site(tmp_path))
    await round_trips(reader, 3)
    assert peer.connections == 3
    await reader.close()


async def test_blocks_of_one_round_share_the_pipeline(
    tmp_path: Path, peer: Misbehaving, free_port: int
) -> None:
    """With pipelining a reader asks for all its blocks at once; one that fails stops no other."""
    registers = [{"quantity": f"q{n}_v", "address": 100 * n, "type": "uint16"} for n in range(3)]
    peer.units[1] = sending(lambda r: r.refuse(4) if r.address == 100 else r.answer())
    reader = open_modbus_reader(options(free_port, registers=registers, pipelining=3), make_site(tmp_path))
    batch = await reader.read()

    assert [reading.value for reading in batch.readings] == [1000, 1200]
    assert [reject.place for reject in batch.rejects] == ["unit 1 holding 100"]
    await round_trips(reader, 2)
    assert len(peer.requests) == 9
    await reader.close()
