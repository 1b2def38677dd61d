"""One Modbus connection against a server that does everything wrong."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.fakes.modbus import (
    Misbehaving,
    Request,
    misbehaving_server,
    refusing,
    sending,
    silent,
    well,
)
from venclient.clock import ManualClock
from venclient.connectors.modbus_errors import EXCEPTIONS, Breaker, IllegalAddress
from venclient.connectors.modbus_link import ModbusLink
from venclient.errors import ConnectFailed, ConnectorError, ReadTimeout, Undecodable
from venclient.messages import modbus as mod

pytestmark = pytest.mark.peer

SHORT_S = 0.05
LONG_S = 10.0


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
    """Return a link to the server."""
    link = ModbusLink("127.0.0.1", free_port, clock)
    yield link
    await link.close()


async def read(
    link: ModbusLink, unit: int, address: int = 0, count: int = 2, timeout_s: float = LONG_S
) -> list[int]:
    """Return the words of one read of holding registers."""
    data, _ = await link.read(unit, "holding", address, count, timeout_s=timeout_s)
    return list(struct.unpack(f">{len(data) // 2}H", data))


def right(unit: int, address: int = 0, count: int = 2) -> list[int]:
    """Return what the server's units hold."""
    return [unit * 1000 + address + offset for offset in range(count)]


async def test_answers_of_ten_units_are_told_apart(link: ModbusLink, peer: Misbehaving) -> None:
    """Concurrent reads share one connection and each gets its own unit's registers."""
    units = range(1, 11)
    found = await asyncio.gather(*(read(link, unit, address=unit) for unit in units))

    assert found == [right(unit, address=unit) for unit in units]
    assert peer.connections == 1


async def test_units_take_turns(link: ModbusLink, peer: Misbehaving) -> None:
    """A unit with many requests waits for those of the others between its own."""
    await asyncio.gather(*(read(link, unit) for unit in [1, 1, 1, 1, 2, 3, 2]))

    assert [request.unit for request in peer.requests] == [1, 2, 3, 1, 2, 1, 1]


async def test_only_one_request_is_in_flight(link: ModbusLink, peer: Misbehaving) -> None:
    """The next request leaves only when the answer before it has come."""
    held: list[tuple[Request, asyncio.StreamWriter]] = []
    arrived = asyncio.Event()

    def hold(request: Request, writer: asyncio.StreamWriter) -> None:
        held.append((request, writer))
        arrived.set()

    peer.units[1] = hold
    first = asyncio.create_task(read(link, 1))
    second = asyncio.create_task(read(link, 2))
    await arrived.wait()
    assert len(peer.requests) == 1
    request, writer = held[0]
    writer.write(request.answer())

    assert await first == right(1)
    assert await second == right(2)


async def test_a_late_answer_is_not_taken_for_a_neighbours(link: ModbusLink, peer: Misbehaving) -> None:
    """When a unit answers after its time-out, requests of others that wait then get their own answers."""
    late: list[bytes] = []
    peer.units[5] = lambda request, _: late.append(request.answer())

    def after_the_late_one(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(late.pop())
        writer.write(request.answer())

    with pytest.raises(ReadTimeout):
        await read(link, 5, timeout_s=SHORT_S)
    peer.units[1] = after_the_late_one
    assert await read(link, 1) == right(1)


async def test_a_late_answer_is_not_taken_for_the_same_units_next(
    link: ModbusLink, peer: Misbehaving, clock: ManualClock
) -> None:
    """A unit's late answer to an old request is never the value of a new one."""
    late: list[bytes] = []
    peer.units[5] = lambda request, _: late.append(request.answer())
    with pytest.raises(ReadTimeout):
        await read(link, 5, address=0, timeout_s=SHORT_S)
    await clock.advance(60)

    def after_the_late_one(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(late.pop() + request.answer())

    peer.units[5] = after_the_late_one
    assert await read(link, 5, address=40) == right(5, address=40)


async def test_a_cancelled_read_does_not_give_its_answer_to_the_next(
    link: ModbusLink, peer: Misbehaving
) -> None:
    """A caller that gives up leaves no answer behind for others."""
    arrived = asyncio.Event()
    late: list[bytes] = []

    def hold(request: Request, _: asyncio.StreamWriter) -> None:
        late.append(request.answer())
        arrived.set()

    peer.units[5] = hold
    task = asyncio.create_task(read(link, 5))
    await arrived.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    peer.units[5] = lambda request, writer: writer.write(late.pop() + request.answer())

    assert await read(link, 5, address=7) == right(5, address=7)


async def test_an_answer_without_transaction_is_refused(link: ModbusLink, peer: Misbehaving) -> None:
    """Transaction 0 could belong to any request, so it belongs to none."""
    peer.units[5] = sending(lambda request: request.answer(transaction=0))
    with pytest.raises(Undecodable, match="VEN-MOD-118"):
        await read(link, 5)
    assert await read(link, 1) == right(1)


async def test_an_answer_of_another_unit_is_refused_and_named(link: ModbusLink, peer: Misbehaving) -> None:
    """An answer that carries another unit id does not count, and the error says which came."""
    peer.units[5] = sending(lambda request: request.answer(unit=6))
    with pytest.raises(ReadTimeout, match=r"unit 6.*VEN-MOD-123"):
        await read(link, 5, timeout_s=SHORT_S)


@pytest.mark.parametrize("words", [[], [1], [1, 2, 3]], ids=["none", "short", "long"])
async def test_an_answer_of_another_length_is_refused(
    link: ModbusLink, peer: Misbehaving, words: list[int]
) -> None:
    """Fewer or more registers than asked for do not count as an answer."""
    peer.units[5] = sending(lambda request: request.answer(words))
    with pytest.raises(Undecodable, match="VEN-MOD-119"):
        await read(link, 5)
    assert await read(link, 1) == right(1)


@pytest.mark.parametrize("code", [*EXCEPTIONS, 99])
async def test_exceptions_are_said_in_words(link: ModbusLink, peer: Misbehaving, code: int) -> None:
    """A refusal names the code, its meaning, the registers and what to change, and spares the neighbours."""
    peer.units[5] = refusing(code)
    with pytest.raises(ConnectorError) as caught:
        await read(link, 5, address=10)

    meaning = EXCEPTIONS.get(code, mod.EXCEPTION_OTHER).template
    assert caught.value.what == f"exception {code} ({meaning}) for holding 10..11"
    assert caught.value.hint
    assert caught.value.subject.endswith("unit 5")
    assert isinstance(caught.value, IllegalAddress) == (code in (2, 3))
    assert isinstance(caught.value, ReadTimeout) == (code == 11)
    assert await read(link, 1) == right(1)
    assert peer.connections == 1


GARBAGE: dict[str, Any] = {
    "text": lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "protocol": lambda request: request.answer()[:2] + b"\x00\x07" + request.answer()[4:],
    "length": lambda request: request.answer()[:4] + b"\xff\xff" + request.answer()[6:],
    "function": lambda request: request.answer()[:7] + b"\x55" + request.answer()[8:],
    "byte count": lambda request: request.answer()[:8] + b"\x09" + request.answer()[9:],
    "long exception": lambda request: request.answer()[:7] + b"\x83" + request.answer()[8:],
}


@pytest.mark.parametrize("kind", GARBAGE)
async def test_garbage_ends_the_request_at_once_and_the_link_is_replaced(
    link: ModbusLink, peer: Misbehaving, kind: str
) -> None:
    """Bytes that are no Modbus cost no time-out, and nothing that follows them is believed."""
    peer.units[5] = sending(GARBAGE[kind])
    with pytest.raises(Undecodable, match="VEN-MOD-120"):
        await read(link, 5)

    assert await read(link, 1) == right(1)
    assert peer.connections == 2


async def test_half_a_frame_is_said_and_the_link_is_replaced(link: ModbusLink, peer: Misbehaving) -> None:
    """The rest of half an answer can never become the start of a neighbour's."""
    peer.units[5] = sending(lambda request: request.answer()[:10])
    with pytest.raises(ReadTimeout, match="VEN-MOD-124"):
        await read(link, 5, timeout_s=SHORT_S)

    assert await read(link, 1) == right(1)
    assert peer.connections == 2


@pytest.mark.parametrize(
    "stray", [b"\x00\x01\x00\x00\x00\x07\x05\x03", b"login: \r\n"], ids=["half", "garbage"]
)
async def test_bytes_that_came_for_nobody_are_not_the_start_of_an_answer(
    link: ModbusLink, peer: Misbehaving, stray: bytes
) -> None:
    """What arrives while nothing is asked is left behind with the connection it came on."""
    writers: list[asyncio.StreamWriter] = []

    def remember(request: Request, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        well(request, writer)

    peer.units[5] = remember
    assert await read(link, 5) == right(5)
    writers[0].write(stray)
    while link._wire is not None and link._wire.clean:  # noqa: ASYNC110 (no event says that bytes came)
        await asyncio.sleep(0)

    assert await read(link, 1) == right(1)
    assert peer.connections == 2


async def test_readers_that_queue_behind_a_silence_do_not_wait_for_their_own(
    link: ModbusLink, peer: Misbehaving
) -> None:
    """Several resources of one silent unit cost its neighbours one time-out together."""
    peer.units[5] = silent
    found = await asyncio.gather(
        *(read(link, 5, timeout_s=SHORT_S) for _ in range(3)), read(link, 1), return_exceptions=True
    )
    assert [type(result) for result in found] == [ReadTimeout] * 3 + [list]
    assert [request.unit for request in peer.requests] == [5, 1]


async def test_an_answer_in_pieces_is_an_answer(link: ModbusLink, peer: Misbehaving) -> None:
    """Frames may arrive byte by byte."""

    def dribble(request: Request, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        for n, byte in enumerate(request.answer()):
            loop.call_later(n * 0.001, writer.write, bytes([byte]))

    peer.units[5] = dribble
    assert await read(link, 5) == right(5)


async def test_a_connection_reset_in_mid_request_is_known_at_once(
    link: ModbusLink, peer: Misbehaving
) -> None:
    """A reset costs no time-out; the next read connects again."""
    peer.units[5] = lambda _request, writer: writer.transport.abort()
    with pytest.raises(ConnectFailed, match="VEN-MOD-121"):
        await read(link, 5)
    assert await read(link, 1) == right(1)


async def test_a_connection_that_was_closed_while_idle_costs_no_reading(
    link: ModbusLink, peer: Misbehaving
) -> None:
    """A device that drops idle connections is connected again without an error."""
    assert await read(link, 1) == right(1)
    peer.hang_up()

    assert await read(link, 1) == right(1)
    assert peer.connections == 2


async def test_nobody_at_the_port_is_said(free_port: int, clock: ManualClock) -> None:
    """A refused connection says so, and is not tried again by each unit behind it."""
    link = ModbusLink("127.0.0.1", free_port, clock)
    with pytest.raises(ConnectFailed, match="VEN-MOD-112"):
        await read(link, 1)
    with pytest.raises(ConnectFailed, match=r"in 1 s.*VEN-MOD-112"):
        await read(link, 2)


async def test_a_silent_unit_is_left_alone_for_a_while(
    link: ModbusLink, peer: Misbehaving, clock: ManualClock
) -> None:
    """A silent unit costs its neighbours its time-out once; after the pause it is asked again."""
    peer.units[5] = silent
    with pytest.raises(ReadTimeout, match="VEN-MOD-122"):
        await read(link, 5, timeout_s=SHORT_S)
    for _ in range(3):
        with pytest.raises(ReadTimeout, match="VEN-MOD-122"):
            await read(link, 5, timeout_s=SHORT_S)
        assert await read(link, 1) == right(1)
    assert [request.unit for request in peer.requests].count(5) == 1

    peer.units[5] = well
    await clock.advance(3 * SHORT_S)
    assert await read(link, 5, timeout_s=SHORT_S) == right(5)


async def test_a_connection_on_which_all_are_silent_is_replaced(link: ModbusLink, peer: Misbehaving) -> None:
    """After three silences in a row the connection itself is suspected."""
    for unit in (1, 2, 3):
        peer.units[unit] = silent
        with pytest.raises(ReadTimeout):
            await read(link, unit, timeout_s=SHORT_S)
    assert await read(link, 4) == right(4)
    assert peer.connections == 2


async def test_units_0_and_255_are_ordinary(link: ModbusLink) -> None:
    """Devices without a serial line behind them are asked as unit 0 or 255."""
    assert await read(link, 0) == right(0)
    assert await read(link, 255) == [(255_000 + n) & 0xFFFF for n in range(2)]


async def test_a_breaker_pauses_longer_and_forgets(clock: ManualClock) -> None:
    """Pauses double up to the limit; a success ends them."""
    breaker = Breaker(clock, first_s=3, longest_s=10)
    breaker.check()
    for pause_s in (3, 6, 10, 10):
        breaker.failed(ReadTimeout("silent"))
        await clock.advance(pause_s - 0.5)
        with pytest.raises(ReadTimeout) as caught:
            breaker.check()
        assert caught.value.what.startswith("silent ")
        await clock.advance(0.5)
        breaker.check()
    breaker.succeeded()
    breaker.failed(ReadTimeout("silent"))
    await clock.advance(3)
    breaker.check()
