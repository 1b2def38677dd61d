"""MODBUSTCP options that go beyond plain registers: computed quantities, forbidden addresses, coils."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.connectors.test_modbus import POWER, SOC, modbus, opened, requests_of
from tests.fakes.modbus import Memory, misbehaving_server, pymodbus_server
from venclient.connectors.modbus import _compute
from venclient.connectors.modbus_options import Computed
from venclient.errors import ConfigError

PHASES = [
    {"quantity": f"power_l{n}_kw", "address": n - 1, "type": "int16", "scale": 0.001, "hidden": True}
    for n in (1, 2, 3)
]


@pytest.mark.peer
async def test_quantities_are_computed_of_others(tmp_path: Path, free_port: int) -> None:
    """The total of three phases, a difference and a product come as readings; hidden parts do not."""
    registers = [
        *PHASES,
        {"quantity": "voltage_v", "address": 10, "type": "uint16", "scale": 0.1},
        {"quantity": "current_a", "address": 11, "type": "int16", "scale": 0.1},
    ]
    computed = [
        {"quantity": "power_kw", "op": "sum", "of": ["power_l1_kw", "power_l2_kw", "power_l3_kw"]},
        {"quantity": "apparent_power_kva", "op": "product", "of": ["voltage_v", "current_a"], "scale": 0.001},
        {"quantity": "rest_kw", "op": "difference", "of": ["power_kw", "power_l1_kw"], "offset": 1},
    ]
    async with pymodbus_server(free_port, {1: {0: [1000, 2000, 0xFC18], 10: [2300, 100]}}):
        reader = opened(tmp_path, modbus(free_port, registers=registers, computed=computed))
        batch = await reader.read()
        await reader.close()

    values = {reading.quantity: reading.value for reading in batch.readings}
    assert values == pytest.approx(
        {"power_kw": 2, "voltage_v": 230, "current_a": 10, "apparent_power_kva": 2.3, "rest_kw": 2}
    )


@settings(max_examples=200, deadline=None)
@given(
    first=st.floats(-1e9, 1e9, allow_nan=False),
    rest=st.lists(st.floats(-1e9, 1e9, allow_nan=False), min_size=1, max_size=3),
)
def test_quotients_and_amounts_of_any_numbers(first: float, rest: list[float]) -> None:
    """A quotient times its divisors is the dividend, none comes of zero; an amount has no sign."""
    now = datetime(2026, 6, 1, tzinfo=UTC)
    values = {f"v{n}": (value, now) for n, value in enumerate([first, *rest])}
    _compute(Computed(quantity="amount_kw", op="absolute", of=["v0"]), values)
    _compute(Computed(quantity="ratio", op="quotient", of=[f"v{n}" for n in range(len(rest) + 1)]), values)

    assert values["amount_kw"] == (abs(first), now)
    if math.prod(rest) == 0:
        assert "ratio" not in values
    elif "ratio" in values:
        assert values["ratio"][0] * math.prod(rest) == pytest.approx(first, rel=1e-9, abs=1e-300)


@pytest.mark.peer
async def test_a_quotient_and_an_amount_are_readings(tmp_path: Path, free_port: int) -> None:
    """Power divided by voltage is a current; the amount of a feed-in is positive; zero divides nothing."""
    registers = [
        {"quantity": "power_w", "address": 0, "type": "int16"},
        {"quantity": "voltage_v", "address": 10, "type": "uint16", "scale": 0.1},
        {"quantity": "zero_v", "address": 11, "type": "int16", "hidden": True},
    ]
    computed = [
        {"quantity": "current_a", "op": "quotient", "of": ["power_w", "voltage_v"]},
        {"quantity": "fed_in_kw", "op": "absolute", "of": ["power_w"], "scale": 0.001},
        {"quantity": "nothing_a", "op": "quotient", "of": ["power_w", "zero_v"]},
    ]
    async with pymodbus_server(free_port, {1: {0: [(-2300) & 0xFFFF], 10: [2300, 0]}}):
        reader = opened(tmp_path, modbus(free_port, registers=registers, computed=computed))
        batch = await reader.read()
        await reader.close()

    values = {reading.quantity: reading.value for reading in batch.readings}
    assert values == pytest.approx({"power_w": -2300, "voltage_v": 230, "current_a": -10, "fed_in_kw": 2.3})


@pytest.mark.peer
async def test_a_total_without_one_of_its_parts_is_no_reading(tmp_path: Path, free_port: int) -> None:
    """Two of three phases are never taken for all of them."""
    registers = [phase | {"nan": True} for phase in PHASES]
    computed = [{"quantity": "power_kw", "op": "sum", "of": [phase["quantity"] for phase in PHASES]}]
    async with pymodbus_server(free_port, {1: {0: [1000, 0x8000, 1000]}}):
        reader = opened(tmp_path, modbus(free_port, registers=registers, computed=computed))
        batch = await reader.read()
        await reader.close()

    assert not batch.readings
    assert not batch.rejects


@pytest.mark.parametrize(
    ("options", "mistake"),
    [
        ({"computed": [{"quantity": "x_kw", "op": "sum", "of": ["y_kw"]}]}, "VEN-MOD-030"),
        (
            {"computed": [{"quantity": "power_kw", "op": "sum", "of": ["power_kw"]}]},
            "VEN-MOD-039",
        ),
        (
            {"computed": [{"quantity": "x_kw", "op": "absolute", "of": ["power_kw", "power_kw"]}]},
            "VEN-MOD-040",
        ),
        ({"computed": [{"quantity": "x_kw", "op": "quotient", "of": ["power_kw"]}]}, "VEN-MOD-041"),
        ({"computed": [{"quantity": "x_kw", "op": "mean", "of": ["power_kw"]}]}, "VEN-CON-015"),
        ({"registers": [POWER | {"hidden": True}]}, "VEN-MOD-031"),
        ({"registers": [POWER | {"scale_register": 200}]}, "VEN-MOD-032"),
        ({"forbidden": [{"first": 0, "last": 3}]}, "VEN-MOD-033"),
        ({"forbidden": [{"first": 3, "last": 0}]}, "VEN-MOD-015"),
        ({"framer": "ascii"}, "'ascii': use one of 'tcp', 'rtu' [VEN-CON-015]"),
        ({"pipelining": 17}, "options.pipelining"),
        ({"retries": -1}, "options.retries"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_reason(
    tmp_path: Path, options: dict[str, Any], mistake: str
) -> None:
    """Options that contradict each other are reported when the connection is opened."""
    with pytest.raises(ConfigError) as caught:
        opened(tmp_path, modbus(**options))
    assert mistake in str(caught.value)


@pytest.mark.peer
async def test_forbidden_addresses_are_never_asked_for(tmp_path: Path, free_port: int) -> None:
    """Neither the plan nor the search for a hole touches them."""
    async with misbehaving_server(free_port) as peer:
        registers = [POWER, SOC, SOC | {"quantity": "voltage_v", "address": 8, "single": True}]
        reader = opened(tmp_path, modbus(free_port, registers=registers, forbidden=[{"first": 2, "last": 4}]))
        assert await requests_of(peer, reader) == [(0, 1), (6, 1), (8, 1)]
        await reader.close()


@pytest.mark.peer
async def test_coils_and_discrete_inputs_are_values_of_0_and_1(tmp_path: Path, free_port: int) -> None:
    """A switch is read as a number, by function 1."""
    async with misbehaving_server(free_port) as peer:
        peer.units[1] = Memory({}, {3: 1, 4: 0})
        coils = [{"quantity": f"c{n}", "address": n, "kind": "coil", "type": "bool"} for n in (3, 4)]
        reader = opened(tmp_path, modbus(free_port, registers=coils))
        batch = await reader.read()
        await reader.close()

    assert [(one.quantity, one.value) for one in batch.readings] == [("c3", 1), ("c4", 0)]
