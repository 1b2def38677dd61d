"""Batteries and hybrid inverters as SunSpec reports them: models 124, 160 and 802."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.connectors.sites import make_resource, make_site
from tests.connectors.test_sunspec import INVERTER, common, device, failure, model, read, words
from tests.fakes.modbus import Memory, misbehaving_server
from venclient.connectors import open_reader, option_problems
from venclient.connectors.modbus import _compute
from venclient.connectors.sunspec_battery import PV_POWER_KW, computed_of, inputs_of
from venclient.errors import Undecodable

pytestmark = pytest.mark.peer

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def inputs(*modules: tuple[str, int, int], power_factor: int = -1, energy_factor: int = 0) -> list[int]:
    """Return model 160: name, power and energy of each module, as raw numbers."""
    found = words("hhhhIHH", -2, -2, power_factor, energy_factor, 0, len(modules), 0)
    for n, (name, power, energy) in enumerate(modules, 1):
        found += words("H16sHHHIIhHI", n, name.encode(), 0, 0, power, energy, 0, -32768, 4, 0)
    return [160, len(found), *found]


#: Charging with 2609.8 W from the sun, as a hybrid inverter of a well-known maker reports it.
CHARGING = inputs(
    ("MPPT 1", 30000, 5000), ("MPPT 2", 12000, 2000), ("StCha 3", 26098, 900), ("StDisCha 4", 0, 700)
)
SOC = model(124, {2: words("H", 5120), 8: words("H", 8350), 18: words("8h", 0, 0, 0, 0, -2, 0, 0, 0)})


def base(power: int, soc: int = 800) -> list[int]:
    """Return model 802 with a power that is positive when it flows out of the battery."""
    points = {11: words("H", soc), 13: words("H", 97), 34: words("H", 3805), 44: words("h", -12)}
    points |= {47: words("h", power), 52: words("12h", 0, 0, 0, 0, -1, 0, 0, -1, 0, 0, 0, 0)}
    return model(802, points)


async def test_the_battery_of_a_hybrid_inverter(tmp_path: Path, free_port: int) -> None:
    """Charging is positive: the input that charges less the one that discharges, with energies and SoC."""
    found = await read(device(common(), INVERTER, CHARGING, SOC), tmp_path, free_port, model="battery")

    assert found == pytest.approx(
        {"power_kw": 2.6098, "energy_kwh": 0.9, "energy_export_kwh": 0.7, "soc_percent": 83.5}
    )


async def test_a_discharging_battery_is_negative(tmp_path: Path, free_port: int) -> None:
    """What flows out of the battery counts as produced."""
    modules = inputs(("MPPT 1", 0, 10), ("StCha 3", 0, 900), ("StDisCha 4", 1234, 700), power_factor=0)
    found = await read(device(common(), INVERTER, modules, SOC), tmp_path, free_port, model="battery")

    assert found["power_kw"] == pytest.approx(-1.234)


async def test_the_sun_of_a_hybrid_inverter(tmp_path: Path, free_port: int) -> None:
    """Model 160 is what the panels give, without the battery's inputs."""
    found = await read(device(common(), INVERTER, CHARGING, SOC), tmp_path, free_port, model=160)

    assert found == pytest.approx({"power_kw": -4.2, "energy_export_kwh": 7.0})


async def test_an_inverter_tells_its_battery_along(tmp_path: Path, free_port: int) -> None:
    """The power of the resource stays that of the inverter; battery and sun come under names of their own."""
    plain = await read(device(common(), INVERTER), tmp_path, free_port)
    hybrid = await read(device(common(), INVERTER, CHARGING, SOC), tmp_path, free_port)

    assert hybrid.items() >= plain.items()
    more = {quantity: value for quantity, value in hybrid.items() if quantity not in plain}
    assert more == pytest.approx({"battery_power_kw": 2.6098, "pv_power_kw": -4.2, "soc_percent": 83.5})


async def test_a_battery_of_model_802(tmp_path: Path, free_port: int) -> None:
    """Its power is turned round: charging is positive; state of charge and of health come along."""
    memory = device(common(b"KOSTAL", b"PLENTICORE"), INVERTER, base(-1500))
    battery = await read(memory, tmp_path, free_port, model="battery")
    along = await read(memory, tmp_path, free_port)

    assert battery == pytest.approx(
        {"power_kw": 1.5, "soc_percent": 80, "soh_percent": 97, "voltage_v": 380.5, "current_a": 12}
    )
    assert along["power_kw"] == pytest.approx(-4.321)
    assert along["battery_power_kw"] == pytest.approx(1.5)
    assert along["soc_percent"] == pytest.approx(80)


async def test_inputs_of_panels_only_cost_no_request(tmp_path: Path, free_port: int) -> None:
    """An inverter without a battery is read as before, whatever inputs it lists."""
    strings = inputs(("MPPT 1", 100, 1), ("MPPT 2", 200, 2))
    plain = await read(device(common(), INVERTER), tmp_path, free_port)
    found = await read(device(common(), INVERTER, strings), tmp_path, free_port)
    assert found == plain


async def test_a_device_without_a_battery_says_what_it_has(tmp_path: Path, free_port: int) -> None:
    """Asked for a battery that it does not have, a device is named with its models."""
    error = await failure(device(common(), INVERTER), tmp_path, free_port, model="battery")
    assert isinstance(error, Undecodable)
    assert "VEN-MOD-075" in str(error)


async def test_a_battery_without_a_measured_power_gives_none(tmp_path: Path, free_port: int) -> None:
    """While one direction is not implemented the power is missing, and never half of one."""
    modules = inputs(("MPPT 1", 100, 10), ("StCha 3", 0xFFFF, 900), ("StDisCha 4", 12, 700))
    found = await read(device(common(), INVERTER, modules, SOC), tmp_path, free_port, model="battery")
    assert "power_kw" not in found
    assert found["soc_percent"] == pytest.approx(83.5)


async def test_what_comes_along_respects_the_limits_of_the_connection(tmp_path: Path, free_port: int) -> None:
    """A connection with few registers per request reads the inverter as before, without the battery."""
    options: dict[str, Any] = {"template": "sunspec", "max_registers": 40}
    async with misbehaving_server(free_port) as peer:
        peer.units[1] = device(common(), INVERTER, CHARGING)
        reader = open_reader(
            make_resource(host="127.0.0.1", port=free_port, options=options), make_site(tmp_path)
        )
        batch = await reader.read()
        await reader.close()
    found = {one.quantity for one in batch.readings}
    assert "power_kw" in found
    assert "battery_power_kw" not in found


async def test_a_module_list_that_is_cut_short(tmp_path: Path, free_port: int) -> None:
    """A device that promises more inputs than its model has is read as far as the model goes."""
    longer = list(CHARGING)
    longer[8] = 40
    found = await read(device(common(), INVERTER, longer, SOC), tmp_path, free_port, model="battery")
    assert found["power_kw"] == pytest.approx(2.6098)


async def test_computed_quantities_build_on_the_battery(tmp_path: Path, free_port: int) -> None:
    """A connection may compute from what only the device knows that it has."""
    options = {
        "template": "sunspec",
        "computed": [{"quantity": "battery_amount_kw", "op": "absolute", "of": ["battery_power_kw"]}],
    }
    async with misbehaving_server(free_port) as peer:
        peer.units[1] = device(common(), INVERTER, base(1500))
        resource = make_resource(host="127.0.0.1", port=free_port, options=options)
        assert option_problems(resource) == []
        reader = open_reader(resource, make_site(tmp_path))
        found = {one.quantity: one.value for one in (await reader.read()).readings}
        await reader.close()
    assert found["battery_power_kw"] == pytest.approx(-1.5)
    assert found["battery_amount_kw"] == pytest.approx(1.5)


def test_memory_is_a_whole_device() -> None:
    """The made-up device has the length that model 160 has with four modules."""
    assert CHARGING[1] == 8 + 4 * 20
    assert isinstance(device(CHARGING), Memory)


SUN = st.sampled_from(["MPPT 1", "MPPT2", "String 3", "PV1", "", "DC 2", "mppt_4"])
CHARGE = st.sampled_from(["StCha 3", "STCHA", "StCha_1", "Battery charge", "BatCha1"])
DISCHARGE = st.sampled_from(["StDisCha 4", "STDISCHA", "Battery discharge", "BatDisCha1"])


@st.composite
def hybrid_inputs(draw: st.DrawFn) -> tuple[list[str], int, int]:
    """Draw the names of a hybrid's inputs, and where charging and discharging are."""
    names = [("pv", draw(SUN)) for _ in range(draw(st.integers(0, 4)))]
    names += [("charge", draw(CHARGE)), ("discharge", draw(DISCHARGE))]
    names = draw(st.permutations(names))
    kinds = [kind for kind, _ in names]
    return [name for _, name in names], kinds.index("charge"), kinds.index("discharge")


@given(hybrid_inputs())
def test_inputs_are_told_by_their_names(drawn: tuple[list[str], int, int]) -> None:
    """Wherever they are, the battery's inputs are found, and all others are the sun's."""
    names, charge, discharge = drawn
    found = inputs_of(names)
    assert (found.charge, found.discharge) == (charge, discharge)
    assert set(found.pv) == set(range(len(names))) - {charge, discharge}


async def test_a_battery_alone_is_read_without_a_parameter(tmp_path: Path, free_port: int) -> None:
    """A device that has model 802 and neither inverter nor meter can only be meant as a battery."""
    found = await read(device(common(), base(2000)), tmp_path, free_port)
    assert found["power_kw"] == pytest.approx(-2.0)
    assert found["soc_percent"] == pytest.approx(80)


@given(st.lists(st.one_of(st.none(), st.integers(0, 60_000)), min_size=1, max_size=4))
def test_an_input_that_is_not_in_use_hides_no_other(powers: list[int | None]) -> None:
    """The power of the sun is that of the inputs which have one; without any there is none."""
    names = [f"MPPT {n + 1}" for n in range(len(powers))]
    [computed, *_] = computed_of(inputs_of(names), battery=False, quantity=PV_POWER_KW)
    known = {f"input_{n + 1}_kw": (one / 1000, NOW) for n, one in enumerate(powers) if one is not None}
    values = dict(known)
    _compute(computed, values)
    there = [one / 1000 for one in powers if one is not None]
    if there:
        assert values[PV_POWER_KW][0] == pytest.approx(-sum(there))
    else:
        assert PV_POWER_KW not in values
