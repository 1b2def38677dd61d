"""Raw values that mean "no value", in the registers of all templates and in those a user describes."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.connectors.test_modbus_registers import register
from tests.connectors.test_templates import LISTED, options_of, uses
from venclient.connectors.blocks import Block
from venclient.connectors.device_templates import Template, all_templates
from venclient.connectors.no_value import is_measurement
from venclient.connectors.registers import Register
from venclient.connectors.sunspec import Model, _register
from venclient.connectors.sunspec_models import POINTS

#: Bit patterns by type that devices send for "no value", all of which are impossible as measurements.
SENTINELS: dict[str, tuple[int, ...]] = {
    "int8": (0x7F, 0x80),
    "uint8": (0xFF,),
    "int16": (0x7FFF, 0x8000),
    "uint16": (0xFFFF,),
    "int32": (0x7FFFFFFF, 0x80000000),
    "uint32": (0xFFFFFFFF,),
    "int64": (0x7FFFFFFFFFFFFFFF, 0x8000000000000000),
    "uint64": (0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFFFFFFFFFFFFFF),
    "float16": (0x7C00, 0xFC00, 0x7E00, 0xFFFF, 0x7BFF, 0xFBFF),
    "float32": (
        0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00000, 0x7FFFFFFF, 0xFFFFFFFF,
        0x7FBFFF80, 0x7F7FFFFF, 0xFF7FFFFF,
    ),
    "float64": (
        0x7FF0000000000000, 0xFFF0000000000000, 0x7FF8000000000000, 0xFFFFFFFFFFFFFFFF,
        0x7FEFFFFFFFFFFFFF, 0xFFEFFFFFFFFFFFFF,
    ),
    "mod10k32": (0xFFFFFFFF, 0x7FFFFFFF, 0x80000000),
    "mod10k48": (0xFFFFFFFFFFFF, 0x7FFFFFFFFFFF, 0x800000000000),
    "mod10k64": (0xFFFFFFFFFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0x8000000000000000),
}  # fmt: skip


def sent(one: Register, pattern: int) -> bytes:
    """Return the registers of a device that has `pattern` there, in the word and byte order of `one`."""
    data = bytearray(2 * one.words)
    places = one.byte_places()
    for place, byte in zip(places, pattern.to_bytes(len(places), "big"), strict=True):
        data[place] = byte
    return bytes(data)


def decoded(one: Register, pattern: int) -> float | None:
    """Return the value of `one` alone; its scale factor, where it has one, is 0."""
    if one.scale_register is None:
        found = Block([one]).decode(sent(one, pattern))
    else:
        block = Block([one])
        data = bytearray(2 * block.count)
        at = 2 * (one.address - block.address)
        data[at : at + 2 * one.words] = sent(one, pattern)
        found = block.decode(bytes(data))
    return found[0][1] if found else None


def registers_of(template: Template) -> list[Register]:
    """Return every register that a template reads in any of its uses."""
    found: list[Register] = []
    for use in uses(template):
        found += [one for one in options_of(template.name, parameters=use).registers if one not in found]
    return found


@pytest.mark.parametrize("template", LISTED, ids=lambda template: template.name)
def test_no_register_of_a_template_takes_a_sentinel_for_a_measurement(template: Template) -> None:
    """Each measurement of each template leaves out every pattern that means "no value" in its type."""
    walked = 0
    for one in registers_of(template):
        if is_measurement(one):
            for pattern in SENTINELS[one.type]:
                assert decoded(one, pattern) is None, (one, hex(pattern))
                walked += 1
    assert walked >= 2


@pytest.mark.parametrize("template", LISTED, ids=lambda template: template.name)
def test_every_register_of_a_template_decodes_what_is_next_to_an_extreme(template: Template) -> None:
    """Only the extreme itself is left out: the values beside it are measurements like any other."""
    for one in registers_of(template):
        if one.type.startswith(("int", "uint")) and not one.nan:
            bits = 8 * len(one.byte_places())
            low, high = (
                (0, (1 << bits) - 1) if one.type.startswith("u") else (-(1 << bits - 1), (1 << bits - 1) - 1)
            )
            for raw in (low + 1, high - 1):
                expected = raw * one.scale + one.offset
                assert decoded(one, raw % (1 << bits)) == pytest.approx(expected), one


@pytest.mark.parametrize("model", POINTS)
def test_no_point_of_a_sunspec_model_takes_a_sentinel_for_a_measurement(model: int) -> None:
    """The registers that a SunSpec device describes follow the same rule, beside the marks of SunSpec."""
    for point in POINTS[model]:
        one = _register(Model(model, 100, 500), point)
        if is_measurement(one):
            for pattern in SENTINELS[one.type]:
                assert decoded(one, pattern) is None, (one, hex(pattern))


def test_the_walk_reaches_every_listed_template() -> None:
    """Only the templates whose registers are found by asking the device are left to the walk of models."""
    assert len(LISTED) + sum(template.discovered for template in all_templates()) == len(
        list(all_templates())
    )


MEASUREMENTS = st.sampled_from(
    ["power_kw", "power_l2_kw", "energy_kwh", "energy_export_kwh", "soc_percent", "voltage_l1_v", "battery_w"]
)
ORDERS = st.sampled_from(["big", "little"])


@st.composite
def no_value_registers(draw: st.DrawFn) -> tuple[Register, int]:
    """Draw a measurement as a user may describe it, with a pattern that means "no value" in its type."""
    kind = draw(st.sampled_from(sorted(SENTINELS)))
    one = register(
        quantity=draw(MEASUREMENTS),
        type=kind,
        word_order=draw(ORDERS),
        byte_order=draw(ORDERS),
        scale=draw(st.sampled_from([1, -1, 0.001, -0.1, 1000])),
        offset=draw(st.sampled_from([0, 5, -40])),
        nan=draw(st.sampled_from([None, True, [123]])) if not kind.startswith("mod10k") else None,
    )
    return one, draw(st.sampled_from(SENTINELS[kind]))


@settings(max_examples=200, deadline=None)
@given(drawn=no_value_registers(), others=st.integers(0, 3))
def test_no_described_register_takes_a_sentinel_for_a_measurement(
    drawn: tuple[Register, int], others: int
) -> None:
    """Whatever the order, scale and `nan`, a sentinel gives no reading, and its neighbours still do."""
    one, pattern = drawn
    near = [
        register(quantity=f"current_l{n}_a", type="int16", address=one.end + n, scale=0.1)
        for n in range(others)
    ]
    data = sent(one, pattern) + b"\0\x0a" * others
    found = dict(Block([one, *near]).decode(data))
    assert found == pytest.approx({f"current_l{n}_a": 1.0 for n in range(others)})


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from(["int16", "uint16", "int32", "uint32", "int64", "uint64"]),
    quantity=st.sampled_from(["power_kw", "battery_w", "reactive_power_kvar", "current_l1_a"]),
    data=st.data(),
)
def test_every_other_whole_number_is_a_measurement(kind: str, quantity: str, data: st.DataObject) -> None:
    """A value that is not extreme decodes to itself, -1 too."""
    bits = int(kind.lstrip("uint"))
    low, high = (0, (1 << bits) - 2) if kind.startswith("u") else (1 - (1 << bits - 1), (1 << bits - 1) - 2)
    near = [low, low + 1, high, high - 1] + ([-1] if low else [])
    raw = data.draw(st.one_of(st.sampled_from(near), st.integers(low, high)))
    if raw % (1 << bits) in SENTINELS[kind]:
        return
    assert decoded(register(quantity=quantity, type=kind), raw % (1 << bits)) == float(raw)


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_the_float_next_to_the_largest_is_a_measurement(kind: str) -> None:
    """Of floats only the largest finite number of the type is left out."""
    largest = [mark for mark in SENTINELS[kind] if math.isfinite(_float(kind, mark))]
    assert len(largest) == 2
    for mark in largest:
        assert decoded(register(type=kind), mark - 1) == _float(kind, mark - 1)


def _float(kind: str, pattern: int) -> float:
    letter, size = {"float16": ("e", 2), "float32": ("f", 4), "float64": ("d", 8)}[kind]
    return float(struct.unpack(f">{letter}", pattern.to_bytes(size, "big"))[0])


@pytest.mark.parametrize("quantity", ["energy_kwh", "energy_export_kwh", "soc_percent", "frequency_hz"])
@pytest.mark.parametrize("kind", ["int16", "int32", "int64"])
def test_all_ones_is_no_value_where_minus_one_is_impossible(quantity: str, kind: str) -> None:
    """A counter, a percentage or a frequency of -1 is a gateway's answer for a device that is away."""
    bits = int(kind.lstrip("int"))
    assert decoded(register(quantity=quantity, type=kind), (1 << bits) - 1) is None
    assert decoded(register(quantity="power_kw", type=kind), (1 << bits) - 1) == -1


@pytest.mark.parametrize(
    "members",
    [
        {"quantity": "charging_state", "type": "uint16"},
        {"quantity": "power_kw", "type": "uint16", "mask": "0xFFFF", "shift": 4},
        {"quantity": "power_kw", "type": "uint16", "nan": False},
    ],
)
def test_states_and_masked_words_use_every_pattern(members: dict[str, Any]) -> None:
    """The rule is for measurements; `nan: false` switches it off for a device that needs all values."""
    assert decoded(register(**members), 0xFFFF) is not None


def test_named_marks_add_to_the_rule() -> None:
    """A mark from the maker's document does not bring back the extremes."""
    one = register(type="int16", nan=32766)
    assert [decoded(one, raw) for raw in (0x7FFE, 0x7FFF, 0x8000)] == [None, None, None]
    assert decoded(one, 0x7FFD) == 0x7FFD


def test_a_meter_that_lost_its_sensor_has_no_power() -> None:
    """A hybrid inverter whose grid meter is disconnected gives no reading, instead of -2,147,483 kW."""
    options = options_of("sungrow-sh", parameters={"usage": "grid"})
    [power] = [one for one in options.registers if one.quantity == "power_kw"]
    assert decoded(power, 0x7FFFFFFF) is None
