"""Planning and decoding of Modbus registers, without any I/O."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.modbus import encode
from venclient.connectors.registers import TYPES, Block, Register, plan_blocks

RANGES = {"int16": (-(2**15), 2**15 - 1), "uint16": (0, 2**16 - 1), "int32": (-(2**31), 2**31 - 1)}
RANGES |= {"uint32": (0, 2**32 - 1), "int64": (-(2**63), 2**63 - 1), "uint64": (0, 2**64 - 1)}


def register(**members: Any) -> Register:
    """Give a register from options as a connection has them."""
    return msgspec.convert({"quantity": "power_kw", "address": 0, "type": "int16"} | members, Register)


def decode(words: list[int], **members: Any) -> float | None:
    """Give the one value that the registers hold."""
    found = Block([register(**members)]).decode(words)
    return found[0][1] if found else None


@pytest.mark.parametrize(
    ("members", "words", "value"),
    [
        ({"type": "int16"}, [0xFFFE], -2),
        ({"type": "uint16", "scale": 0.1}, [0xFFFE], 6553.4),
        ({"type": "uint16", "byte_order": "little"}, [0x3412], 0x1234),
        ({"type": "int32"}, [0xFFFF, 0xFFFE], -2),
        ({"type": "int32", "word_order": "little"}, [0xFFFE, 0xFFFF], -2),
        ({"type": "uint32", "word_order": "little", "byte_order": "little"}, [0x7856, 0x3412], 0x12345678),
        ({"type": "float32"}, [0x41A4, 0x0000], 20.5),
        ({"type": "float32", "word_order": "little"}, [0x0000, 0x41A4], 20.5),
        ({"type": "float64"}, [0x4034, 0x8000, 0, 0], 20.5),
        ({"type": "uint64", "scale": 0.001}, [0, 0, 0, 12345], 12.345),
        ({"type": "int16", "scale": -0.1, "offset": 273.15}, [100], 263.15),
    ],
)
def test_raw_words_become_values(members: dict[str, Any], words: list[int], value: float) -> None:
    """Types, word orders, byte orders, scale and offset are applied as documented."""
    assert decode(words, **members) == pytest.approx(value)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"type": "int16", "nan": "0x8000"}, [0x8000]),
        ({"type": "int16", "nan": -32768}, [0x8000]),
        ({"type": "uint16", "nan": [65535, 65534]}, [0xFFFE]),
        ({"type": "int32", "word_order": "little", "nan": "0x80000000"}, [0x0000, 0x8000]),
        ({"type": "uint64", "nan": "0xFFFFFFFFFFFFFFFF"}, [0xFFFF] * 4),
        ({"type": "float32"}, [0x7FC0, 0]),
        ({"type": "float32"}, [0xFF80, 0]),
        ({"type": "float64", "scale": 1e300}, [0x7FE0, 0, 0, 0]),
    ],
)
def test_what_is_no_value_gives_no_reading(members: dict[str, Any], words: list[int]) -> None:
    """Sentinels, NaN, infinities and overflows are left out, never stored as numbers."""
    assert decode(words, **members) is None


def test_words_that_look_like_a_sentinel_of_another_type_are_values() -> None:
    """Without `nan` every bit pattern of an integer is a value."""
    assert decode([0x8000], type="int16") == -32768


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"address": 65535, "type": "int32"}, "beyond the last register"),
        ({"scale": 0}, "scale must be"),
        ({"offset": float("inf")}, "offset must be"),
        ({"nan": "none"}, "no whole number"),
        ({"nan": 70000}, "does not fit int16"),
    ],
)
def test_impossible_registers_are_refused(members: dict[str, Any], reason: str) -> None:
    """A register that cannot exist is refused with the reason."""
    with pytest.raises(msgspec.ValidationError, match=reason):
        register(**members)


def spans(registers: list[Register], **limits: int) -> list[tuple[str, int, int]]:
    """Give the plan as (kind, address, count)."""
    return [(block.kind, block.address, block.count) for block in plan_blocks(registers, **limits)]


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
    [block] = plan_blocks([register(address=a) for a in (0, 1, 5)], max_gap=8)
    parts = block.split()
    assert [str(part) for part in parts] == ["holding 0..1", "holding 5"]
    assert [str(part) for part in parts[0].split()] == ["holding 0", "holding 1"]
    assert [str(part) for part in parts[1].split()] == ["holding 5"]


@st.composite
def registers_with_raw(draw: st.DrawFn) -> tuple[Register, float]:
    """Draw a register and a raw value that fits its type."""
    kind = draw(st.sampled_from(sorted(TYPES)))
    drawn = register(
        type=kind,
        kind=draw(st.sampled_from(["holding", "input"])),
        address=draw(st.integers(0, 300)),
        word_order=draw(st.sampled_from(["big", "little"])),
        byte_order=draw(st.sampled_from(["big", "little"])),
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

    plan = plan_blocks(registers, max_gap=max_gap, max_registers=max_registers)
    found: dict[str, float] = {}
    for block in plan:
        assert block.count <= max_registers
        words = [memory[block.kind].get(block.address + n, 0xDEAD) for n in range(block.count)]
        for quantity, value in block.decode(words):
            assert quantity not in found
            found[quantity] = value
    assert found == kept


def test_register_facts_of_real_devices_can_be_said(shared: Path) -> None:
    """Every register of the collected facts with one of our types round-trips through its description."""
    said = 0
    with (shared / "data/modbus-registers.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if not row["address"].isdecimal() or row["base"] not in TYPES or "mod10k" in row["decode"]:
                continue
            one = register(
                address=int(row["address"]),
                kind=row["register_type"],
                type=row["base"],
                word_order=row["word_order"],
                scale=float(row["scale"]),
            )
            assert one.words == int(row["words"])
            raw = 1234.0
            [(_, value)] = Block([one]).decode(encode(raw, one))
            assert math.isclose(value, raw * float(row["scale"]))
            said += 1
    assert said > 50
