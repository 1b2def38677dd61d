"""MODBUSTCP connections: options, rounds of requests, bad registers, shared links."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.connectors.sites import make_resource, make_site
from tests.fakes.modbus import (
    Misbehaving,
    Request,
    encode,
    misbehaving_server,
    pymodbus_server,
    refusing,
    silent,
)
from venclient.clock import ManualClock
from venclient.connectors.modbus import ModbusReader, open_modbus_reader
from venclient.connectors.registers import Register
from venclient.errors import ConfigError, ConnectorError, ReadTimeout, Undecodable
from venclient.model.resource import Resource

POWER = {"quantity": "power_kw", "address": 0, "type": "int16"}
SOC = {"quantity": "soc_percent", "address": 6, "type": "uint16"}


def modbus(port: int | None = None, *, name: str = "Hotel Ærø", **options: Any) -> Resource:
    """Build a resource with a MODBUSTCP connection on loopback."""
    return make_resource(name=name, host="127.0.0.1", port=port, options={"registers": [POWER]} | options)


def opened(tmp_path: Path, resource: Resource) -> ModbusReader:
    """Open a reader at its own site."""
    return open_modbus_reader(resource, make_site(tmp_path))


def test_defaults_are_those_of_the_documentation(tmp_path: Path) -> None:
    """A connection needs no more than host and registers."""
    reader = opened(tmp_path, modbus())

    assert reader.interval_s == 10
    assert [str(block) for block in reader.plan] == ["holding 0"]


@pytest.mark.parametrize(
    ("options", "mistake"),
    [
        ({"registers": []}, "registers: Expected `array` of length >= 1"),
        ({"registers": None}, "registers"),
        ({"unit": 256}, "options.unit: Expected `int` <= 255 (given: 256)"),
        ({"unit": "1"}, "options.unit: Expected `int`, got `str` (given: '1')"),
        ({"timeout_s": 0}, "options.timeout_s"),
        ({"max_registers": 126}, "options.max_registers"),
        ({"registers": [POWER, POWER]}, "VEN-MOD-039"),
        ({"registers": [POWER | {"type": "float64"}], "max_registers": 3}, "VEN-MOD-032"),
        (
            {"registers": [POWER | {"word_order": "middle"}]},
            "'middle': use one of 'big', 'little' [VEN-CON-015]",
        ),
        (
            {"registers": [POWER | {"adress": 1}]},
            "did you mean address? [VEN-CON-014]",
        ),
        ({"registers": [POWER | {"address": 65536}]}, "registers[0].address"),
        ({"registers": [POWER | {"scale": 0}]}, "VEN-MOD-003"),
        ({"registers": ["power"]}, "VEN-CON-012"),
    ],
)
def test_a_wrong_option_is_named_with_what_was_expected(
    tmp_path: Path, options: dict[str, Any], mistake: str
) -> None:
    """Each mistake is reported by its place in the options and what is possible there."""
    with pytest.raises(ConfigError) as caught:
        opened(tmp_path, modbus(**options))

    assert mistake in str(caught.value)
    assert caught.value.subject == "Hotel Ærø (modbustcp 127.0.0.1)"


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """Host, port and options are judged together."""
    resource = make_resource(host=" ", port=0, options={"unit": 999, "registers": [{"address": -1}]})
    with pytest.raises(ConfigError) as caught:
        opened(tmp_path, resource)

    places = {problem.partition(":")[0] for problem in caught.value.problems}
    assert places == {
        "host",
        "port",
        "options.unit",
        "options.registers[0].address",
        "options.registers[0].quantity",
        "options.registers[0].type",
    }


def test_a_connection_without_options_says_what_is_missing(tmp_path: Path) -> None:
    """A connection as the first generation stored it has no registers; the error says so."""
    with pytest.raises(ConfigError, match=r"options\.registers: .*VEN-CON-013.*modbus\.md"):
        opened(tmp_path, make_resource(host="127.0.0.1"))


@pytest.mark.peer
async def test_a_battery_with_several_types_is_read_in_one_round(tmp_path: Path, free_port: int) -> None:
    """Signed power, state of charge and a word-swapped register come as readings of one resource."""
    registers = [
        {"quantity": "power_kw", "address": 0, "type": "int16", "scale": 0.1},
        {"quantity": "soc_percent", "address": 1, "type": "uint16", "scale": 0.01},
        {"quantity": "energy_kwh", "address": 2, "type": "uint32", "word_order": "little", "scale": 0.001},
        {"quantity": "voltage_v", "address": 4, "type": "float32"},
    ]
    words = [
        *encode(-125, Register(quantity="x", address=0, type="int16")),
        *encode(5512, Register(quantity="x", address=0, type="uint16")),
        *encode(1_234_567, Register(quantity="x", address=0, type="uint32", word_order="little")),
        *encode(230.5, Register(quantity="x", address=0, type="float32")),
    ]
    async with pymodbus_server(free_port, {3: {0: words}}):
        reader = opened(tmp_path, modbus(free_port, unit=3, registers=registers))
        batch = await reader.read()
        await reader.close()

    values = {reading.quantity: reading.value for reading in batch.readings}
    expected = {"power_kw": -12.5, "soc_percent": 55.12, "energy_kwh": 1234.567, "voltage_v": 230.5}
    assert values == pytest.approx(expected)
    assert {reading.resource_id for reading in batch.readings} == {"id-of-Hotel Ærø"}
    assert not batch.rejects


@pytest.mark.peer
async def test_a_hole_in_the_registers_is_found_and_read_around(tmp_path: Path, free_port: int) -> None:
    """When bridging a gap meets addresses that do not exist, all registers are read all the same."""
    async with pymodbus_server(free_port, {1: {0: [11], 6: [66]}}):
        reader = opened(tmp_path, modbus(free_port, registers=[POWER, SOC]))
        assert [str(block) for block in reader.plan] == ["holding 0..6"]
        first = await reader.read()

        assert {reading.value for reading in first.readings} == {11, 66}
        assert not first.rejects
        assert [str(block) for block in reader.plan] == ["holding 0", "holding 6"]
        assert len((await reader.read()).readings) == 2
        await reader.close()


@pytest.mark.peer
async def test_a_register_that_does_not_exist_stops_no_other(tmp_path: Path, free_port: int) -> None:
    """A wrong address is named in a reject, round after round; the others are read."""
    wrong = {"quantity": "voltage_v", "address": 1, "type": "uint16"}
    async with pymodbus_server(free_port, {1: {0: [11], 6: [66]}}):
        reader = opened(tmp_path, modbus(free_port, registers=[POWER, wrong, SOC]))
        for _ in range(2):
            batch = await reader.read()
            assert {reading.quantity for reading in batch.readings} == {"power_kw", "soc_percent"}
            [reject] = batch.rejects
            assert reject.place == "unit 1 holding 1"
            assert "illegal data address" in reject.reason
            assert "check address" in reject.reason
        await reader.close()


@pytest.mark.peer
async def test_a_device_without_any_of_the_registers_is_an_error(tmp_path: Path, free_port: int) -> None:
    """When nothing at all can be read, the reader says so instead of giving an empty batch."""
    async with pymodbus_server(free_port, {1: {100: [1]}}):
        reader = opened(tmp_path, modbus(free_port))
        with pytest.raises(Undecodable, match="VEN-MOD-090"):
            await reader.read()
        await reader.close()


@pytest.mark.peer
async def test_what_was_read_before_a_unit_fell_silent_is_kept(tmp_path: Path, free_port: int) -> None:
    """A unit that stops answering in mid-round costs one time-out and none of the readings so far."""

    def once(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.address == 0:
            writer.write(request.answer())

    async with misbehaving_server(free_port) as peer:
        peer.units[1] = once
        registers = [POWER, SOC, SOC | {"quantity": "voltage_v", "address": 12}]
        reader = opened(tmp_path, modbus(free_port, timeout_s=0.05, registers=registers, max_gap=0))
        batch = await reader.read()

        assert [reading.quantity for reading in batch.readings] == ["power_kw"]
        assert [reject.place for reject in batch.rejects] == ["unit 1 holding 6"]
        assert len(peer.requests) == 2
        assert len(reader.plan) == 3
        await reader.close()


@pytest.mark.peer
async def test_resources_behind_one_gateway_share_its_connection(tmp_path: Path, free_port: int) -> None:
    """Ten units of one host and port use one connection, closed behind the last of them."""
    site = make_site(tmp_path)
    async with misbehaving_server(free_port) as peer:
        readers = [
            open_modbus_reader(modbus(free_port, name=f"unit {unit}", unit=unit), site)
            for unit in range(1, 11)
        ]
        batches = await asyncio.gather(*(reader.read() for reader in readers))

        assert [batch.readings[0].value for batch in batches] == [unit * 1000 for unit in range(1, 11)]
        assert peer.connections == 1
        for reader in readers[1:]:
            await reader.close()
        assert (await readers[0].read()).readings
        assert peer.connections == 1
        await readers[0].close()
        assert not site.leases.holders(f"modbustcp 127.0.0.1:{free_port}")


@pytest.mark.peer
async def test_one_silent_unit_of_ten_costs_the_others_no_reading(tmp_path: Path, free_port: int) -> None:
    """With one unit silent for ever, the nine others read in every one of many rounds."""
    clock = ManualClock()
    site = make_site(tmp_path, clock)
    async with misbehaving_server(free_port) as peer:
        peer.units[5] = silent
        readers = {
            unit: open_modbus_reader(modbus(free_port, name=f"unit {unit}", unit=unit, timeout_s=0.05), site)
            for unit in range(1, 11)
        }
        for _ in range(20):
            found = await asyncio.gather(*(r.read() for r in readers.values()), return_exceptions=True)
            failed = [
                unit for unit, result in zip(readers, found, strict=True) if not hasattr(result, "readings")
            ]
            assert failed == [5]
            assert all(isinstance(r, ReadTimeout) for r in found if isinstance(r, BaseException))
            await clock.advance(0.05)

        asked = [request.unit for request in peer.requests].count(5)
        assert asked <= 4  # at first, and after 0.15, 0.3 and 0.6 s
        for reader in readers.values():
            await reader.close()


@pytest.mark.peer
async def test_a_refusing_unit_is_asked_again_every_round(tmp_path: Path, free_port: int) -> None:
    """A device that is busy answers quickly, so it need not be left alone."""
    async with misbehaving_server(free_port) as peer:
        peer.units[1] = refusing(6)
        reader = opened(tmp_path, modbus(free_port))
        for _ in range(3):
            with pytest.raises(ConnectorError, match="VEN-MOD-090") as caught:
                await reader.read()
            assert caught.value.transient
        assert len(peer.requests) == 3
        await reader.close()


@pytest.mark.peer
async def test_a_reading_is_from_half_way_between_question_and_answer(tmp_path: Path, free_port: int) -> None:
    """The time of a reading leaves out half of the waiting."""
    clock = ManualClock()
    started = clock.now()
    async with misbehaving_server(free_port) as peer:
        held: list[tuple[Request, asyncio.StreamWriter]] = []
        arrived = asyncio.Event()

        def hold(request: Request, writer: asyncio.StreamWriter) -> None:
            held.append((request, writer))
            arrived.set()

        peer.units[1] = hold
        reader = open_modbus_reader(modbus(free_port, timeout_s=10), make_site(tmp_path, clock))
        task = asyncio.create_task(reader.read())
        await arrived.wait()
        await clock.advance(0.5)
        held[0][1].write(held[0][0].answer())
        batch = await task
        await reader.close()

    assert batch.readings[0].time == started + timedelta(seconds=0.25)


def test_two_readers_of_one_resource_hold_the_link_twice(tmp_path: Path, free_port: int) -> None:
    """Closing one of a resource's readers leaves the link to the other."""
    site = make_site(tmp_path)

    async def scenario() -> None:
        first = open_modbus_reader(modbus(free_port), site)
        second = open_modbus_reader(modbus(free_port), site)
        await first.close()
        assert site.leases.holders(f"modbustcp 127.0.0.1:{free_port}")
        await second.close()
        assert not site.leases.holders(f"modbustcp 127.0.0.1:{free_port}")

    asyncio.run(scenario())


async def requests_of(peer: Misbehaving, reader: ModbusReader) -> list[tuple[int, int]]:
    """Return address and count of the requests of one round."""
    peer.requests.clear()
    await reader.read()
    return [(request.address, request.count) for request in peer.requests]


@pytest.mark.peer
async def test_registers_are_read_in_as_few_requests_as_allowed(tmp_path: Path, free_port: int) -> None:
    """The limits of the options decide how many requests a round takes."""
    async with misbehaving_server(free_port) as peer:
        many = [{"quantity": f"q{n}", "address": 10 * n, "type": "uint16"} for n in range(4)]
        together = opened(tmp_path, modbus(free_port, registers=many, max_gap=9))
        apart = opened(tmp_path, modbus(free_port, registers=many, max_gap=8))
        short = opened(tmp_path, modbus(free_port, registers=many, max_gap=9, max_registers=11))

        assert await requests_of(peer, together) == [(0, 31)]
        assert await requests_of(peer, apart) == [(0, 1), (10, 1), (20, 1), (30, 1)]
        assert await requests_of(peer, short) == [(0, 11), (20, 11)]
        for reader in (together, apart, short):
            await reader.close()
