"""Modbus registers, from raw words to values and back, without any I/O."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.codes import raises_code
from tests.fakes.modbus import encode
from venclient.connectors.blocks import Block
from venclient.connectors.registers import TYPES, Register, meant_bits
from venclient.connectors.registers import encode as encode_value
from venclient.messages import text_of, with_code


def packed(words: list[int]) -> bytes:
    """Return the payload of an answer with these registers."""
    return b"".join(word.to_bytes(2, "big") for word in words)


def register(**members: Any) -> Register:
    """Build a register from options as a connection has them."""
    return msgspec.convert({"quantity": "power_kw", "address": 0, "type": "int16"} | members, Register)


def decode(words: list[int], **members: Any) -> float | None:
    """Return the one value that the registers hold."""
    found = Block([register(**members)]).decode(packed(words))
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
        ({"type": "int8"}, [0x12FE], -2),
        ({"type": "int8", "byte": "high"}, [0xFE12], -2),
        ({"type": "uint8", "byte_order": "little"}, [0xFE12], 254),
        ({"type": "float16"}, [0x4D20], 20.5),
        ({"type": "int64", "word_order": "little"}, [0xFFFE, 0xFFFF, 0xFFFF, 0xFFFF], -2),
        ({"type": "uint16", "mask": "0x0F00", "shift": 8}, [0xA5C3], 5),
        ({"type": "uint32", "shift": 16}, [0x0007, 0xFFFF], 7),
        ({"type": "bool", "bit": 3}, [0x0008], 1),
        ({"type": "bool", "bit": 3}, [0xFFF7], 0),
        ({"type": "mod10k32"}, [1234, 5678], 12_345_678),
        ({"type": "mod10k32", "word_order": "little"}, [5678, 1234], 12_345_678),
        ({"type": "mod10k32"}, [0xFFFF, 0xD8F1], -19_999),
        ({"type": "mod10k48"}, [1, 0, 2], 100_000_002),
        ({"type": "mod10k64"}, [0, 1, 0, 2], 100_000_002),
        ({"type": "string", "length": 3}, [0x3132, 0x2E35, 0x0000], 12.5),
        ({"type": "string", "length": 2, "byte_order": "little"}, [0x3231, 0x2033], 123),
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
        ({"type": "int8", "nan": True}, [0x0080]),
        ({"type": "uint8", "nan": True, "byte": "high"}, [0xFF00]),
        ({"type": "int16", "nan": True}, [0x8000]),
        ({"type": "uint16", "nan": True}, [0xFFFF]),
        ({"type": "int32", "nan": True}, [0x8000, 0]),
        ({"type": "uint32", "nan": True}, [0xFFFF, 0xFFFF]),
        ({"type": "int64", "nan": True}, [0x8000, 0, 0, 0]),
        ({"type": "uint64", "nan": True}, [0xFFFF] * 4),
        ({"type": "float16"}, [0x7E00]),
        ({"type": "float32", "nan": True}, [0xFF7F, 0xFFFF]),
        ({"type": "float32", "nan": -9999}, [0xC61C, 0x3C00]),
        ({"type": "float32", "nan": "0x4F800000"}, [0x4F80, 0x0000]),
        ({"type": "mod10k32"}, [1, 10_000]),
        ({"type": "mod10k32", "nan": "0xFFFFFFFF"}, [0xFFFF, 0xFFFF]),
        ({"type": "string", "length": 2}, [0x4F4B, 0x0000]),
    ],
)
def test_what_is_no_value_gives_no_reading(members: dict[str, Any], words: list[int]) -> None:
    """Sentinels, NaN, infinities and overflows are left out, never stored as numbers."""
    assert decode(words, **members) is None


def test_words_that_look_like_a_sentinel_of_another_type_are_values() -> None:
    """What is extreme in one type is an ordinary number in another."""
    assert decode([0x8000], type="uint16") == 32768
    assert decode([0xFFFF], type="int16") == -1


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"address": 65535, "type": "int32"}, "VEN-MOD-002"),
        ({"scale": 0}, "VEN-MOD-003"),
        ({"offset": float("inf")}, "VEN-MOD-004"),
        ({"nan": "none"}, "VEN-MOD-013"),
        ({"nan": 70000}, "does not fit int16"),
        ({"nan": 1.5}, "VEN-MOD-013"),
        ({"type": "string"}, "length"),
        ({"length": 2}, "length"),
        ({"bit": 2}, "type bool"),
        ({"byte": "high"}, "int8 and uint8"),
        ({"mask": 1}, "unsigned"),
        ({"type": "uint8", "mask": 256}, "does not fit uint8"),
        ({"type": "uint16", "mask": "a"}, "VEN-MOD-012"),
        ({"type": "uint16", "mask": 1, "shift": 1}, "VEN-MOD-011"),
        ({"kind": "coil"}, "single bit"),
        ({"kind": "coil", "type": "bool", "bit": 1}, "single bit"),
        ({"type": "bool", "scale_register": 1}, "VEN-MOD-008"),
    ],
)
def test_impossible_registers_are_refused(members: dict[str, Any], reason: str) -> None:
    """A register that cannot exist is refused with the reason."""
    with pytest.raises(msgspec.ValidationError) as caught:
        register(**members)
    assert isinstance(caught.value.__cause__, ValueError)
    assert reason in with_code(text_of(caught.value.__cause__))


@pytest.mark.parametrize(
    ("factor", "value"),
    [(0xFFFE, 23.01), (0, 2301), (2, 230_100), (0x8000, None), (11, None)],
)
def test_a_scale_factor_comes_from_its_register(factor: int, value: float | None) -> None:
    """A register may hold the power of ten of others; one that is not implemented gives no reading."""
    block = Block(
        [
            register(quantity="voltage_v", address=10, type="uint16", scale_register=13),
            register(quantity="power_kw", address=11, type="int16", scale_register=13, scale=0.001),
        ]
    )
    found = dict(block.decode(packed([2301, 0xFFFF, 7, factor])))

    assert block.count == 4
    expected = {} if value is None else {"voltage_v": value, "power_kw": value / -2301 * 0.001}
    assert found == pytest.approx(expected)


def test_a_scale_factor_may_come_before_its_value() -> None:
    """Value and factor are read together, whichever has the lower address."""
    block = Block([register(address=10, type="uint16", scale_register=8)])

    assert (block.address, block.count) == (8, 3)
    assert block.decode(packed([0xFFFF, 9, 500])) == [("power_kw", 50)]


def test_values_in_one_register_are_told_apart() -> None:
    """Two bytes, a bit and a bit field of the same register are four values."""
    block = Block(
        [
            register(quantity="high", type="int8", byte="high"),
            register(quantity="low", type="uint8"),
            register(quantity="bit", type="bool", bit=15),
            register(quantity="field", type="uint16", mask="0x00F0", shift=4),
        ]
    )
    assert dict(block.decode(packed([0xFE53]))) == {"high": -2, "low": 0x53, "bit": 1, "field": 5}


def test_an_answer_of_another_length_is_refused() -> None:
    """A block decodes its own answer only."""
    with raises_code(ValueError, "VEN-MOD-016"):
        Block([register(type="int32")]).decode(b"\0\0")


ORDERS = st.sampled_from(["big", "little"])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_what_is_written_is_read_again(data: st.DataObject) -> None:
    """Encoding and decoding are each other's inverse for every type, order, scale, mask and half."""
    kind = data.draw(st.sampled_from(sorted(TYPES.keys() - {"string"})))
    one = register(
        type=kind,
        word_order=data.draw(ORDERS),
        byte_order=data.draw(ORDERS),
        byte=data.draw(st.sampled_from(["low", "high"])) if kind in ("int8", "uint8") else "low",
        bit=data.draw(st.integers(0, 15)) if kind == "bool" else 0,
        mask="0x0FF0" if kind == "uint16" and data.draw(st.booleans()) else None,
        scale=data.draw(st.sampled_from([1, -1, 0.1, -0.01, 1000])),
        offset=data.draw(st.sampled_from([0, 273.15, -40])),
    )
    one = msgspec.structs.replace(one, shift=4 if one.mask else 0)
    limits = {"bool": (0, 1), "int8": (-128, 127), "uint8": (0, 255), "uint16": (0, 255), "int16": (-99, 99)}
    low, high = limits.get(kind, (0, 10**6) if kind.startswith("uint") else (-(10**6), 10**6))
    raw = data.draw(st.integers(-2048, 2048) if kind == "float16" else st.integers(low, high))
    value = raw * one.scale + one.offset

    written = encode_value(one, value)
    [(_, found)] = Block([one]).decode(written)

    assert found == pytest.approx(value, rel=1e-3 if kind == "float16" else 1e-6, abs=1e-6)
    assert not any(byte & ~mask for byte, mask in zip(written, meant_bits(one), strict=True))


@pytest.mark.parametrize(
    ("members", "value", "reason"),
    [
        ({"type": "int16"}, 40_000, "does not fit int16"),
        ({"type": "uint16"}, -1, "does not fit uint16"),
        ({"type": "int16", "nan": True}, -32768, "no value"),
        ({"type": "float16"}, 1e6, "does not fit float16"),
        ({"type": "bool"}, 2, "neither 0 nor 1"),
        ({"type": "uint16", "mask": 3}, 4, "bits of the mask"),
        ({"type": "mod10k32"}, 1e8, "does not fit mod10k32"),
        ({"type": "int16"}, math.inf, "cannot be stored"),
    ],
)
def test_what_a_register_cannot_hold_is_not_written(
    members: dict[str, Any], value: float, reason: str
) -> None:
    """A value that would arrive as another is refused before it is sent."""
    with pytest.raises(ValueError, match=reason):
        encode_value(register(**members), value)


def options_of(row: dict[str, str]) -> dict[str, Any]:
    """Return the options for a row of the collected facts of real devices."""
    kind = {"int32 mod10k(False)": "mod10k32"}.get(row["decode"], row["base"])
    said: dict[str, Any] = {
        "quantity": "power_kw",
        # Some rows have their address chosen by a parameter of the device.
        "address": int(row["address"] or 1000),
        "kind": row["register_type"],
        "type": kind,
        "word_order": row["word_order"],
        "scale": float(row["scale"]),
        "nan": row["nan_sentinel"] == "yes",
    }
    if row["bitmask"]:
        said["mask"] = row["bitmask"]
    return said


def test_register_facts_of_real_devices_can_be_said(shared: Path) -> None:
    """Every register of the collected facts can be described, and decodes what such a device would send."""
    marks = {"int32": 0x8000_0000, "uint32": 0xFFFF_FFFF, "uint64": 0xFFFF_FFFF_FFFF_FFFF}
    with (shared / "data/modbus-registers.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        one = register(**options_of(row))
        block = Block([one])
        assert one.words == int(row["words"])
        [(_, value)] = block.decode(packed(encode(1234, one)))
        assert math.isclose(value, 1234 * float(row["scale"]))
        if row["nan_sentinel"]:
            assert block.decode(marks[one.type].to_bytes(2 * one.words, "big")) == []
    assert len(rows) == 84
