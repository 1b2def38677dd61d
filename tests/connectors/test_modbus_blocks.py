"""Registers planned into blocks: few requests, and never one that the device forbids."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.connectors.test_modbus_registers import packed, register
from tests.fakes.modbus import encode
from venclient.connectors.blocks import Forbidden, Limits, plan_blocks
from venclient.connectors.registers import Register

RANGES = {"int16": (-(2**15), 2**15 - 1), "uint16": (0, 2**16 - 1), "int32": (-(2**31), 2**31 - 1)}
RANGES |= {"uint32": (0, 2**32 - 1), "int64": (-(2**63), 2**63 - 1), "uint64": (0, 2**64 - 1)}
RANGES |= {"int8": (-128, 127), "uint8": (0, 255), "mod10k48": (-(10**12) + 1, 10**12 - 1)}


def spans(registers: list[Register], **limits: Any) -> list[tuple[str, int, int]]:
    """Return the plan as (kind, address, count)."""
    return [(block.kind, block.address, block.count) for block in plan_blocks(registers, Limits(**limits))]


def test_neighbours_are_read_together() -> None:
    """Gaps up to the limit are bridged, kinds and far ones are kept apart."""
    registers = [
        register(address=40),
        register(address=0, type="int32"),
        register(address=6),
        register(address=1, kind="input"),
    ]
    assert spans(registers, max_gap=4) == [("holding", 0, 7), ("holding", 40, 1), ("input", 1, 1)]
    assert spans(registers, max_gap=3)[0] == ("holding", 0, 2)


def test_a_block_is_never_longer_than_the_device_allows() -> None:
    """The device's maximum ends a block even between neighbours."""
    registers = [register(address=2 * n, type="float32") for n in range(6)]
    assert spans(registers, max_gap=0, max_registers=5) == [
        ("holding", 0, 4),
        ("holding", 4, 4),
        ("holding", 8, 4),
    ]


def test_a_block_splits_at_its_gaps_first_and_then_into_single_registers() -> None:
    """Splitting ends with one register each."""
    [block] = plan_blocks([register(address=a) for a in (0, 1, 5)], Limits(max_gap=8))
    parts = block.split()
    assert [str(part) for part in parts] == ["holding 0..1", "holding 5"]
    assert [str(part) for part in parts[0].split()] == ["holding 0", "holding 1"]
    assert [str(part) for part in parts[1].split()] == ["holding 5"]


def test_forbidden_addresses_are_never_bridged() -> None:
    """The plan goes round ranges that the device does not allow, of the kind they are for."""
    registers = [register(address=a) for a in (0, 2, 5)] + [register(address=a, kind="input") for a in (0, 2)]
    holding = (Forbidden(first=1, last=1, kind="holding"), Forbidden(first=3, last=4, kind="coil"))
    assert spans(registers, max_gap=8, forbidden=holding) == [
        ("holding", 0, 1),
        ("holding", 2, 4),
        ("input", 0, 3),
    ]
    every = (Forbidden(first=1, last=1),)
    assert ("input", 0, 1) in spans(registers, max_gap=8, forbidden=every)


def test_a_single_register_is_read_alone() -> None:
    """A register that must be read alone shares no request, and its neighbours do not bridge it."""
    registers = [register(address=a, single=a == 1) for a in (0, 1, 2, 3)]
    assert spans(registers, max_gap=8) == [("holding", 0, 1), ("holding", 1, 1), ("holding", 2, 2)]


def test_a_scale_factor_is_in_the_block_of_its_value() -> None:
    """However small the gap, value and factor come with one answer."""
    registers = [register(address=0, scale_register=30), register(address=10), register(address=60)]
    assert spans(registers, max_gap=0) == [("holding", 0, 31), ("holding", 60, 1)]


def test_coils_are_read_as_bits() -> None:
    """Coils and discrete inputs are planned by bit, and the lowest bit comes first."""
    coils = [register(quantity=f"c{a}", address=a, kind="coil", type="bool") for a in (4, 5, 13)]
    [block] = plan_blocks(coils, Limits(max_gap=8))

    assert str(block) == "coil 4..13"
    assert block.decode(bytes([0b0000_0010, 0b0000_0010])) == [("c4", 0), ("c5", 1), ("c13", 1)]


@st.composite
def registers_with_raw(draw: st.DrawFn) -> tuple[Register, float]:
    """Draw a register and a raw value that fits its type."""
    kind = draw(st.sampled_from([*sorted(RANGES), "float32", "float64"]))
    drawn = register(
        type=kind,
        kind=draw(st.sampled_from(["holding", "input"])),
        address=draw(st.integers(0, 300)),
        word_order=draw(st.sampled_from(["big", "little"])),
        byte_order=draw(st.sampled_from(["big", "little"])),
        nan=False,
    )
    if kind.startswith("float"):
        floats = st.floats(allow_nan=False, allow_infinity=False, width=32 if kind == "float32" else 64)
        return drawn, draw(floats)
    return drawn, draw(st.integers(*RANGES[kind]))


@settings(max_examples=60, deadline=None)
@given(st.lists(registers_with_raw(), min_size=1, max_size=12), st.integers(0, 20), st.integers(4, 125))
def test_every_plan_reads_every_register_once_and_right(
    drawn: list[tuple[Register, float]], max_gap: int, max_registers: int
) -> None:
    """Whatever the registers, limits are kept and what comes out is what the device holds."""
    memory: dict[str, dict[int, int]] = {"holding": {}, "input": {}}
    kept: dict[str, float] = {}
    registers = []
    for n, (one, raw) in enumerate(drawn):
        addresses = range(one.address, one.end)
        if any(address in memory[one.kind] for address in addresses):
            continue
        memory[one.kind].update(zip(addresses, encode(raw, one), strict=True))
        registers.append(msgspec.structs.replace(one, quantity=f"q{n}"))
        kept[f"q{n}"] = float(raw)

    plan = plan_blocks(registers, Limits(max_gap, max_registers))
    found: dict[str, float] = {}
    for block in plan:
        assert block.count <= max_registers
        words = [memory[block.kind].get(block.address + n, 0xDEAD) for n in range(block.count)]
        for quantity, value in block.decode(packed(words)):
            assert quantity not in found
            found[quantity] = value
    assert found == kept
