"""Gateways whose answers do not carry the transaction id of the request."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.connectors.sites import make_resource, make_site
from tests.connectors.test_modbus_link import LONG_S, SHORT_S, read, right
from tests.fakes.modbus import Misbehaving, Request, misbehaving_server, sending
from venclient.clock import ManualClock, SystemClock
from venclient.connectors import open_reader
from venclient.connectors.modbus_frames import Answer, read_question
from venclient.connectors.modbus_link import ModbusLink
from venclient.connectors.modbus_survey import examine, scan
from venclient.errors import ReadTimeout, Undecodable

pytestmark = pytest.mark.peer

#: What a gateway makes of the id of a request.
Ids = Callable[[int], int]


@pytest.fixture
async def peer(free_port: int) -> AsyncIterator[Misbehaving]:
    """Return a running server that answers well until a test changes that."""
    async with misbehaving_server(free_port) as running:
        yield running


@pytest.fixture
async def link(peer: Misbehaving, free_port: int) -> AsyncIterator[ModbusLink]:
    """Return a link to the server that ignores transaction ids."""
    link = ModbusLink("127.0.0.1", free_port, ManualClock())
    link.ignore_transaction_ids()
    yield link
    await link.close()


def constant(number: int) -> Callable[[Request], bytes]:
    """Return the answers of a gateway that always sends the same id."""
    return lambda request: request.answer(transaction=number)


@st.composite
def gateway_ids(draw: st.DrawFn) -> tuple[str, Ids]:
    """Draw how a gateway spoils transaction ids: 0, a constant, a swap of bytes, an offset."""
    number = draw(st.integers(0, 0xFFFF))
    kinds: dict[str, Ids] = {
        "zero": lambda _id: 0,
        "constant": lambda _id: number,
        "swapped": lambda sent: sent % 256 * 256 + sent // 256,
        "offset": lambda sent: (sent + number) % 0x10000,
    }
    name = draw(st.sampled_from(sorted(kinds)))
    return name, kinds[name]


@settings(max_examples=15, deadline=None)
@given(drawn=gateway_ids(), units=st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_whatever_the_id_each_read_gets_its_own_registers(drawn: tuple[str, Ids], units: list[int]) -> None:
    """With ids ignored, concurrent reads of several units each get the registers that they asked for."""

    _, ids = drawn

    async def run() -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        async with misbehaving_server(port) as peer:
            for unit in set(units):
                peer.units[unit] = sending(lambda asked: asked.answer(transaction=ids(asked.transaction)))
            link = ModbusLink("127.0.0.1", port, ManualClock())
            link.ignore_transaction_ids()
            try:
                asked = [read(link, unit, address=10 * n) for n, unit in enumerate(units)]
                assert await asyncio.gather(*asked) == [right(u, address=10 * n) for n, u in enumerate(units)]
            finally:
                await link.close()

    asyncio.run(run())


async def test_an_answer_with_another_function_or_length_is_not_taken(
    link: ModbusLink, peer: Misbehaving
) -> None:
    """A wrong id is forgiven only for an answer that fits the request otherwise."""
    peer.units[5] = sending(lambda asked: asked.answer([1, 2, 3], transaction=0) + constant(0)(asked))
    assert await read(link, 5) == right(5)


async def test_an_answer_after_a_silence_is_not_taken_for_the_next(
    link: ModbusLink, peer: Misbehaving
) -> None:
    """The connection is replaced after each silence, so a late answer cannot meet another request."""
    late: list[bytes] = []
    peer.units[5] = lambda request, writer: late.append(request.answer(transaction=0))
    with pytest.raises(ReadTimeout):
        await read(link, 5, address=3, timeout_s=SHORT_S)
    assert await read(link, 6, address=7) == right(6, address=7)
    assert peer.connections == 2


async def test_exceptions_and_writes_count_too(link: ModbusLink, peer: Misbehaving) -> None:
    """A refusal with id 0 is the answer to the request, at once."""
    peer.units[5] = lambda request, writer: writer.write(b"\0\0" + request.refuse(2)[2:])
    with pytest.raises(Exception, match="VEN-MOD-090"):
        await read(link, 5, timeout_s=LONG_S)


async def test_pipelining_stays_off(link: ModbusLink, peer: Misbehaving) -> None:
    """One request is in flight, whatever users ask for."""
    link.pace(depth=8, pause_s=0, connect_delay_s=0)
    peer.units[5] = sending(constant(0))
    peer.units[6] = sending(constant(0))
    found = await asyncio.gather(*(read(link, unit, address=unit) for unit in (5, 6, 5, 6)))
    assert found == [right(unit, address=unit) for unit in (5, 6, 5, 6)]


async def test_a_constant_id_is_named_without_the_option(peer: Misbehaving, free_port: int) -> None:
    """The error of the silence says which id came, and which option accepts it."""
    peer.units[5] = sending(constant(4711))
    link = ModbusLink("127.0.0.1", free_port, ManualClock())
    try:
        with pytest.raises(ReadTimeout, match=r"4711.*VEN-MOD-125") as caught:
            await read(link, 5, timeout_s=SHORT_S)
    finally:
        await link.close()
    assert "transaction_ids" in caught.value.hint


OPTIONS: dict[str, Any] = {
    "unit": 5,
    "timeout_s": 0.2,
    "registers": [
        {"quantity": "power_kw", "address": 0, "type": "uint16", "scale": 0.001},
        {"quantity": "energy_kwh", "address": 100, "type": "uint16"},
    ],
}


@pytest.mark.parametrize("number", [0, 1234])
async def test_the_option_makes_a_reader_read(
    number: int, peer: Misbehaving, free_port: int, tmp_path: Path
) -> None:
    """A connection with the option reads all its blocks from such a gateway."""
    peer.units[5] = sending(constant(number))
    options = OPTIONS | {"transaction_ids": "ignore", "pipelining": 4}
    reader = open_reader(
        make_resource(host="127.0.0.1", port=free_port, options=options), make_site(tmp_path)
    )
    try:
        batch = await reader.read()
    finally:
        await reader.close()
    assert {one.quantity: one.value for one in batch.readings} == {"power_kw": 5.0, "energy_kwh": 5100}


@pytest.mark.parametrize("number", [0, 1234])
async def test_a_test_of_the_connection_proposes_the_option(
    number: int, peer: Misbehaving, free_port: int, tmp_path: Path
) -> None:
    """Trying the connection finds the kind of gateway, proposes the option, and shows the values it gives."""
    peer.units[5] = sending(constant(number))
    found = await examine(
        make_resource(host="127.0.0.1", port=free_port, options=OPTIONS), make_site(tmp_path)
    )

    assert not found.ok
    assert any("transaction_ids" in advice for one in found.asked for advice in one.advice)
    seen = {one.quantity: one.value for asked in found.asked for one in asked.seen}
    assert seen == {"power_kw": 5.0, "energy_kwh": 5100}


async def test_no_option_is_proposed_for_a_device_that_copies_the_id(
    peer: Misbehaving, free_port: int, tmp_path: Path
) -> None:
    """An orderly device, and a silent one, get no advice about ids."""
    for unit in (5, 77):
        resource = make_resource(host="127.0.0.1", port=free_port, options=OPTIONS | {"unit": unit})
        found = await examine(resource, make_site(tmp_path))
        assert not any("transaction_ids" in advice for one in found.asked for advice in one.advice)


async def test_a_scan_finds_the_units_of_such_a_gateway(peer: Misbehaving, free_port: int) -> None:
    """Units behind a gateway with a constant id are listed with the option that reads them."""
    peer.units[5] = sending(constant(9))
    found = [one async for one in scan("127.0.0.1", free_port, [5], clock=SystemClock(), timeout_s=0.2)]
    assert [one.unit for one in found] == [5]
    assert "transaction_ids" in found[0].kinds["holding"]


@given(
    unit=st.integers(0, 255),
    function=st.sampled_from([1, 2, 3, 4, 0x83, 0x84]),
    size=st.integers(0, 20),
    count=st.integers(1, 10),
)
def test_an_answer_fits_by_unit_function_and_length(unit: int, function: int, size: int, count: int) -> None:
    """Unit and function decide, and the length of what does not refuse."""
    question = read_question(17, "holding", 0, count)
    fits = Answer(0, unit, function, bytes(size)).answers(question)
    assert fits == (unit == 17 and (function == 0x83 or (function == 3 and size == 2 * count)))


async def test_a_gateway_with_id_0_is_not_called_a_device_without_sunspec(
    peer: Misbehaving, free_port: int, tmp_path: Path
) -> None:
    """What the device has is unknown: the error names the option that lets it be read."""
    peer.units[5] = sending(constant(0))
    options = {"template": "sunspec", "unit": 5}
    reader = open_reader(
        make_resource(host="127.0.0.1", port=free_port, options=options), make_site(tmp_path)
    )
    with pytest.raises(Undecodable, match="VEN-MOD-118"):
        await reader.read()
    await reader.close()


async def test_the_option_is_not_proposed_for_the_answer_of_another_unit(
    peer: Misbehaving, free_port: int
) -> None:
    """A gateway that answers as unit 0 with id 0 is not helped by it: the unit is named."""
    peer.units[5] = sending(lambda asked: b"\0\0" + asked.answer()[2:6] + b"\0" + asked.answer()[7:])
    link = ModbusLink("127.0.0.1", free_port, ManualClock())
    try:
        with pytest.raises(ReadTimeout, match=r"unit 0.*VEN-MOD-123"):
            await read(link, 5, timeout_s=SHORT_S)
    finally:
        await link.close()
