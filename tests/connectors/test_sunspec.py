"""SunSpec devices: their chain of models, the values in them, and maps that are broken."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.connectors.sites import make_resource, make_site
from tests.fakes.modbus import Memory, misbehaving_server, refusing, silent
from venclient.connectors import open_reader
from venclient.connectors.modbus_device import open_and_look
from venclient.connectors.modbus_errors import IllegalAddress
from venclient.connectors.modbus_survey import examine
from venclient.connectors.sunspec import walk
from venclient.connectors.sunspec_models import INVERTERS, METERS, POINTS
from venclient.errors import ConfigError, ConnectorError, ReadTimeout, Undecodable

LENGTHS = {
    1: 66, **dict.fromkeys((101, 102, 103), 50), **dict.fromkeys((111, 112, 113), 60),
    **dict.fromkeys((201, 202, 203, 204), 105), **dict.fromkeys((211, 212, 213, 214), 124),
    701: 153, 702: 50, 703: 17, 704: 65, 713: 7, 124: 24, 802: 62,
}  # fmt: skip


def words(letters: str, *values: float | bytes) -> list[int]:
    """Return registers with values, big-endian."""
    data = struct.pack(f">{letters}", *values)
    return list(struct.unpack(f">{len(data) // 2}H", data))


def model(number: int, points: Mapping[int, list[int]] | None = None, *, fill: int = 0xFFFF) -> list[int]:
    """Return a model's registers, header first; points are by offset, all else is `fill`."""
    found = [number, LENGTHS[number]] + [fill] * LENGTHS[number]
    for offset, value in (points or {}).items():
        found[offset : offset + len(value)] = value
    return found


def common(maker: bytes = b"Fronius", name: bytes = b"Primo GEN24 4.0") -> list[int]:
    """Return model 1."""
    return model(1, {2: words("32s", maker), 18: words("32s", name)}, fill=0)


def device(*models: list[int], base: int = 40000, end: bool = True) -> Memory:
    """Build a device with a chain of models."""
    held = [0x5375, 0x6E53, *(word for one in models for word in one), *([0xFFFF, 0] if end else [])]
    return Memory({base + n: word for n, word in enumerate(held)})


NOT = 0x8000
INVERTER = model(
    103,
    {
        2: words("HHHHh", 190, 63, 64, 63, -1),
        7: words("6Hh", 0xFFFF, 0xFFFF, 0xFFFF, 2301, 2302, 2303, -1),
        14: words("hhHhhhhhhhIh", 4321, 0, 4998, -2, NOT - 65536, 0, -120, 0, 0, 0, 123456, 1),
        33: words("hhhhh", 415, NOT - 65536, NOT - 65536, NOT - 65536, -1),
    },
)
METER = model(
    203,
    {
        2: words("4hh", 30, 10, -11, 9, -1),
        7: words("hhhh", 230, 231, 232, 233),
        15: words("hhh", 0, 500, -1),
        18: words("5h", 1500, 500, 600, 400, 0),
        28: words("5h", 70, 0, 0, 0, 1),
        38: words("I", 2000),
        46: words("I", 9000),
        54: words("h", 1),
    },
)
BATTERY = model(713, {2: words("HHHHHhh", 100, 55, 803, 990, 0, 2, -1)})


async def read(
    memory: Memory, tmp_path: Path, port: int, *, unit: int = 1, **parameters: Any
) -> dict[str, float]:
    """Read a device once through the template `sunspec`."""
    options = {"template": "sunspec", "parameters": parameters, "timeout_s": 0.5}
    async with misbehaving_server(port) as peer:
        peer.units[unit] = memory
        site = make_site(tmp_path)
        reader = open_reader(make_resource(host="127.0.0.1", port=port, options=options), site)
        try:
            batch = await reader.read()
        finally:
            await reader.close()
    assert not batch.rejects
    return {one.quantity: one.value for one in batch.readings}


@pytest.mark.peer
@pytest.mark.parametrize("base", [40000, 0, 50000])
async def test_an_inverter_is_found_and_read(base: int, tmp_path: Path, free_port: int) -> None:
    """Wherever the map starts: production is negative power, scale factors hold, unimplemented is nothing."""
    found = await read(device(common(), INVERTER, base=base), tmp_path, free_port)

    assert found == pytest.approx(
        {
            "power_kw": -4.321,
            "energy_export_kwh": 1234.56,
            "reactive_power_kvar": 0.12,
            "frequency_hz": 49.98,
            "current_a": 19.0,
            "current_l1_a": 6.3,
            "current_l2_a": 6.4,
            "current_l3_a": 6.3,
            "voltage_l1_v": 230.1,
            "voltage_l2_v": 230.2,
            "voltage_l3_v": 230.3,
            "temperature_c": 41.5,
        }
    )


@pytest.mark.peer
async def test_a_meter_behind_an_inverter(tmp_path: Path, free_port: int) -> None:
    """`model: meter` takes the meter of a device that has both; drawing is positive."""
    memory = device(common(), INVERTER, common(), METER)
    found = await read(memory, tmp_path, free_port, model="meter")

    assert found["power_kw"] == pytest.approx(1.5)
    assert found["power_l2_kw"] == pytest.approx(0.6)
    assert found["energy_kwh"] == pytest.approx(90.0)
    assert found["energy_export_kwh"] == pytest.approx(20.0)
    assert found["voltage_l3_v"] == pytest.approx(233)
    assert found["current_l2_a"] == pytest.approx(-1.1)
    assert found["frequency_hz"] == pytest.approx(50.0)
    assert found["reactive_power_kvar"] == pytest.approx(0.7)


@pytest.mark.peer
async def test_a_meter_that_counts_the_other_way(tmp_path: Path, free_port: int) -> None:
    """Reversed, power changes its sign, and the energies their sides."""
    found = await read(device(METER), tmp_path, free_port, reversed=True)

    assert found["power_kw"] == pytest.approx(-1.5)
    assert found["energy_kwh"] == pytest.approx(20.0)
    assert found["energy_export_kwh"] == pytest.approx(90.0)


@pytest.mark.peer
async def test_the_second_of_its_kind(tmp_path: Path, free_port: int) -> None:
    """`instance` counts models of the wanted kind."""
    other = list(METER)
    other[18] = 42
    found = await read(device(METER, other), tmp_path, free_port, model=203, instance=2)
    assert found["power_kw"] == pytest.approx(0.042)


@pytest.mark.peer
async def test_float_models(tmp_path: Path, free_port: int) -> None:
    """The models in floats have no scale factors; NaN is not a value."""
    nan = float("nan")
    inverter = model(113, {22: words("5f", 5000, 50.01, nan, 100, nan), 32: words("f", 7_000_000)})
    meter = model(213, {28: words("f", -800), 60: words("f", 1000), 68: words("f", 2000)})
    one = await read(device(inverter), tmp_path, free_port)
    two = await read(device(meter), tmp_path, free_port)

    assert one == pytest.approx(
        {"power_kw": -5, "frequency_hz": 50.01, "reactive_power_kvar": -0.1, "energy_export_kwh": 7000},
        rel=1e-6,
    )
    assert two == pytest.approx({"power_kw": -0.8, "energy_export_kwh": 1, "energy_kwh": 2})


@pytest.mark.peer
async def test_a_battery_inverter_of_the_newer_models(tmp_path: Path, free_port: int) -> None:
    """Model 701 comes before 103; 713 has the state of charge; limits come when asked for."""
    der = model(
        701,
        {
            10: words("h", -250),
            17: words("I", 50000),
            19: words("QQ", 5000, 8000),
            47: words("H", 2300),
            113: words("10h", -1, -1, -3, 1, 0, 0, 0, 2, 0, 0),
        },
    )
    rated = model(702, {2: words("H", 100), 10: words("HH", 50, 60), 45: words("h", 2)})
    service = model(703, {2: words("H", 1)})
    limit = model(704, {14: words("HH", 1, 600), 54: words("h", -1)})
    memory = device(common(), INVERTER, der, rated, service, limit, BATTERY)
    plain = await read(memory, tmp_path, free_port)
    more = await read(memory, tmp_path, free_port, limits=True)

    expected = {
        "power_kw": 2.5,
        "energy_export_kwh": 500,
        "energy_kwh": 800,
        "frequency_hz": 50,
        "voltage_l1_v": 230,
        "soc_percent": 80.3,
        "soh_percent": 99,
        "stored_energy_kwh": 5.5,
    }
    assert {name: plain[name] for name in expected} == pytest.approx(expected)
    assert "rated_power_kw" not in plain
    assert more.items() >= plain.items()
    assert more["rated_power_kw"] == pytest.approx(10)
    assert more["rated_charge_kw"] == pytest.approx(5)
    assert more["service_permitted"] == 1
    assert more["power_limit_on"] == 1
    assert more["power_limit_percent"] == pytest.approx(60)


@pytest.mark.peer
async def test_own_registers_come_along(tmp_path: Path, free_port: int) -> None:
    """A connection may add registers, and compute from what the device has."""
    options = {
        "template": "sunspec",
        "registers": [{"quantity": "relay", "address": 40000, "type": "uint16", "single": True}],
        "computed": [{"quantity": "net_kwh", "op": "difference", "of": ["energy_kwh", "energy_export_kwh"]}],
    }
    async with misbehaving_server(free_port) as peer:
        peer.units[1] = device(METER)
        resource = make_resource(host="127.0.0.1", port=free_port, options=options)
        reader = open_reader(resource, make_site(tmp_path))
        found = {one.quantity: one.value for one in (await reader.read()).readings}
        await reader.close()

    assert found["relay"] == 0x5375
    assert found["net_kwh"] == pytest.approx(70)


@pytest.mark.peer
async def test_the_device_is_asked_once(tmp_path: Path, free_port: int) -> None:
    """The chain is walked before the first read, and again only when registers are gone."""
    async with misbehaving_server(free_port) as peer:
        peer.units[1] = device(common(), METER)
        resource = make_resource(host="127.0.0.1", port=free_port, options={"template": "sunspec"})
        reader = open_reader(resource, make_site(tmp_path))
        await reader.read()
        asked = len(peer.requests)
        await reader.read()
        each = len(peer.requests) - asked
        peer.units[1] = device(common(), METER, base=0)
        with pytest.raises(IllegalAddress):
            await reader.read()
        again = await reader.read()
        await reader.close()

    assert each == 1
    assert {one.quantity: one.value for one in again.readings}["power_kw"] == pytest.approx(1.5)


# Devices without, or with a broken map


async def failure(behaviour: Any, tmp_path: Path, port: int, **parameters: Any) -> ConnectorError:
    """Return the error of reading a device."""
    options = {"template": "sunspec", "parameters": parameters, "timeout_s": 0.05}
    async with misbehaving_server(port) as peer:
        peer.units[1] = behaviour
        reader = open_reader(make_resource(host="127.0.0.1", port=port, options=options), make_site(tmp_path))
        with pytest.raises(ConnectorError) as caught:
            await reader.read()
        await reader.close()
    return caught.value


@pytest.mark.peer
@pytest.mark.parametrize("behaviour", [refusing(2), refusing(1), Memory({40000: 1, 40001: 2, 0: 3, 1: 4})])
async def test_no_map_is_told(behaviour: Any, tmp_path: Path, free_port: int) -> None:
    """A device that refuses, or has something else there, gets a sentence with what to do."""
    error = await failure(behaviour, tmp_path, free_port)

    assert isinstance(error, Undecodable)
    assert "no SunSpec map found at 40000, 0 or 50000" in str(error)
    assert "Hotel Ærø" in str(error)
    assert "VEN-MOD-070" in str(error)


@pytest.mark.peer
async def test_a_silent_device_is_not_one_without_map(tmp_path: Path, free_port: int) -> None:
    """Silence is silence, and may pass."""
    error = await failure(silent, tmp_path, free_port)
    assert isinstance(error, ReadTimeout)
    assert error.transient


@pytest.mark.peer
@pytest.mark.parametrize(
    ("memory", "told"),
    [
        (device(common(), INVERTER), "no SunSpec model meter (it has Fronius Primo GEN24 4.0: models 1, 103"),
        (device(common(), [103, 0]), "model 103 at 40070 has length 0"),
        (device(common(), end=False), "ends at 40070"),
        (device([64001, 26000]), "model 64001 at 40002 ends after the last register"),
        (device(*[[64001, 1, 0]] * 120), "does not end after 100 models"),
        (device(), "models none from 40000"),
    ],
)
async def test_a_broken_chain_ends_with_a_sentence(
    memory: Memory, told: str, tmp_path: Path, free_port: int
) -> None:
    """What is wrong with the map is said, when what is wanted is not before it."""
    error = await failure(memory, tmp_path, free_port, model="meter")
    assert isinstance(error, Undecodable)
    assert told in str(error)


@pytest.mark.peer
async def test_what_comes_before_a_break_is_read(tmp_path: Path, free_port: int) -> None:
    """Some devices forget the end of their chain; their models hold all the same."""
    assert (await read(device(METER, end=False), tmp_path, free_port))["power_kw"] == pytest.approx(1.5)


@pytest.mark.peer
async def test_a_model_that_is_cut_short(tmp_path: Path, free_port: int) -> None:
    """Values beyond a model's own length are another's; they are not read."""
    short = METER[:23]
    short[1] = 21
    found = await read(device(short), tmp_path, free_port)
    assert "energy_kwh" not in found
    assert found["power_kw"] == pytest.approx(1.5)


@pytest.mark.peer
async def test_options_that_do_not_fit_the_device(tmp_path: Path, free_port: int) -> None:
    """A value and its scale factor that cannot come with one answer are reported once the device is known."""
    options = {"template": "sunspec", "max_registers": 4}
    async with misbehaving_server(free_port) as peer:
        peer.units[1] = device(METER)
        resource = make_resource(host="127.0.0.1", port=free_port, options=options)
        with pytest.raises(Undecodable, match="VEN-MOD-079"):
            await open_and_look(resource, make_site(tmp_path))


@pytest.mark.peer
async def test_trying_a_connection_shows_what_was_found(tmp_path: Path, free_port: int) -> None:
    """`ven connections test` works for devices that report their own registers."""
    async with misbehaving_server(free_port) as peer:
        peer.units[7] = device(common(), METER)
        options = {"template": "sunspec", "parameters": {"unit": 7}}
        found = await examine(
            make_resource(host="127.0.0.1", port=free_port, options=options), make_site(tmp_path)
        )

    assert found.ok
    assert found.unit == 7
    seen = {one.quantity: one.value for asked in found.asked for one in asked.seen}
    assert seen["power_kw"] == pytest.approx(1.5)


def test_a_host_is_needed(tmp_path: Path) -> None:
    """A connection without host is refused before anything is asked."""
    with pytest.raises(ConfigError, match="VEN-CON-021"):
        open_reader(make_resource(options={"template": "sunspec"}), make_site(tmp_path))


# The chain alone


@settings(max_examples=60, deadline=None)
@given(
    base=st.sampled_from([40000, 0, 50000]),
    held=st.dictionaries(st.integers(0, 400), st.integers(0, 0xFFFF), max_size=200),
)
async def test_any_memory_makes_an_end(base: int, held: dict[int, int]) -> None:
    """Whatever is behind the mark, walking it ends, and models lie one after another."""
    memory = {base: 0x5375, base + 1: 0x6E53} | {base + 2 + at: word for at, word in held.items()}

    async def ask(address: int, count: int) -> bytes:
        if any(at not in memory for at in range(address, address + count)):
            raise IllegalAddress("no such address")
        return b"".join(memory[at].to_bytes(2, "big") for at in range(address, address + count))

    chain = await walk(ask)
    place = base + 2
    for one in chain.models:
        assert one.address == place
        place += 2 + one.length
    assert chain.complaint or place + 2 <= 65536


def test_points_lie_within_their_models() -> None:
    """Each value and its scale factor are within the length that the model has, and fit one request."""
    for number, points in POINTS.items():
        assert len({point.quantity for point in points}) == len(points)
        for point in points:
            assert point.end <= LENGTHS[number] + 2
            assert point.factor is None or abs(point.factor - point.offset) < 120


def test_all_models_that_are_promised_are_known() -> None:
    """The models of the standard that meters, inverters and storage have."""
    wanted = {101, 102, 103, 201, 202, 203, 204, 701, 702, 703, 704, 713}
    assert wanted <= POINTS.keys()
    assert {*INVERTERS, *METERS} <= POINTS.keys()
