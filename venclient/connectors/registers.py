"""Modbus registers as a connection describes them: where a value is and how it is written. No I/O."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from venclient.connectors.mistakes import shown
from venclient.connectors.no_value import bits_of, no_values
from venclient.messages import modbus as mod

RegisterKind = Literal["holding", "input", "coil", "discrete"]
RegisterType = Literal[
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
    "float16", "float32", "float64", "mod10k32", "mod10k48", "mod10k64", "string",
]  # fmt: skip
Order = Literal["big", "little"]
QuantityName = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]*$", max_length=64)]
Address = Annotated[int, Meta(ge=0, le=65535)]

#: Each type's letter for `struct` and its number of 16-bit registers (a string has its own `length`).
TYPES = MappingProxyType(
    {
        "bool": ("H", 1),
        "int8": ("b", 1),
        "uint8": ("B", 1),
        "int16": ("h", 1),
        "uint16": ("H", 1),
        "int32": ("i", 2),
        "uint32": ("I", 2),
        "int64": ("q", 4),
        "uint64": ("Q", 4),
        "float16": ("e", 1),
        "float32": ("f", 2),
        "float64": ("d", 4),
        "mod10k32": ("4s", 2),
        "mod10k48": ("6s", 3),
        "mod10k64": ("8s", 4),
        "string": ("s", 0),
    }
)
#: Kinds whose addresses are single bits.
BIT_KINDS = frozenset({"coil", "discrete"})

#: Modbus Application Protocol 1.1b3, 6.3: a read asks for at most 125 registers.
MOST_REGISTERS = 125


class Register(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One value in a device: where it is, how it is written, and what quantity it becomes.

    The reading is raw x scale + offset, in the unit that the quantity's name ends with; with
    `scale_register`, raw x 10^(what that register holds) x scale + offset. `address` is zero-based, as it
    goes over the wire. `word_order` little: the low word comes first; `byte_order` little: bytes are
    swapped within each word. `nan` names raw values that mean "no value", beside those of the rule in
    `no_value`: true for those usual for the type, else numbers or "0x8000"; false for none at all. `mask`
    and `shift` pick bits out of an unsigned integer, `bit` one of a bool, `byte` the half of the register
    that an 8-bit type is in. `single` is read with a separate request; `hidden` gives no reading and is
    there for computed quantities.
    """

    quantity: QuantityName
    address: Address
    type: RegisterType
    kind: RegisterKind = "holding"
    word_order: Order = "big"
    byte_order: Order = "big"
    scale: float = 1.0
    offset: float = 0.0
    scale_register: Address | None = None
    nan: bool | int | float | str | list[int | float | str] | None = None
    mask: int | str | None = None
    shift: Annotated[int, Meta(ge=0, le=63)] = 0
    bit: Annotated[int, Meta(ge=0, le=15)] = 0
    byte: Literal["low", "high"] = "low"
    length: Annotated[int, Meta(ge=1, le=MOST_REGISTERS)] | None = None
    single: bool = False
    hidden: bool = False

    def __post_init__(self) -> None:
        if (self.type == "string") != (self.length is not None):
            raise ValueError(mod.STRING_LENGTH())
        if self.end > 65536:
            raise ValueError(mod.REGISTER_END(type=self.type, address=self.address))
        if not math.isfinite(self.scale) or self.scale == 0:
            raise ValueError(mod.SCALE())
        if not math.isfinite(self.offset):
            raise ValueError(mod.OFFSET())
        if self.kind in BIT_KINDS and (self.type != "bool" or self.bit):
            raise ValueError(mod.BIT_KIND(kind=self.kind))
        if self.bit and self.type != "bool":
            raise ValueError(mod.BIT_TYPE())
        if self.byte == "high" and self.type not in ("int8", "uint8"):
            raise ValueError(mod.BYTE_TYPE())
        if self.scale_register is not None and (self.type in ("bool", "string") or self.kind in BIT_KINDS):
            raise ValueError(mod.SCALE_REGISTER_TYPE(type=self.type))
        self._check_bits()
        no_values(self)

    def _check_bits(self) -> None:
        if self.mask is None and not self.shift:
            return
        if not self.type.startswith("uint"):
            raise ValueError(mod.MASK_TYPE())
        bits = bits_of(self)
        if not 0 < self.mask_number < 1 << bits:
            raise ValueError(mod.MASK_RANGE(mask=shown(self.mask), type=self.type))
        if self.shift >= bits or not self.mask_number >> self.shift:
            raise ValueError(mod.SHIFT_RANGE(shift=self.shift, type=self.type))

    @property
    def words(self) -> int:
        """How many 16-bit registers (or single bits, for coils) the value takes."""
        return self.length or TYPES[self.type][1]

    @property
    def end(self) -> int:
        """Address of the first register behind the value."""
        return self.address + self.words

    @property
    def first(self) -> int:
        """Lowest address that must come with the value in one answer: its own, or its scale factor's."""
        return self.address if self.scale_register is None else min(self.address, self.scale_register)

    @property
    def last(self) -> int:
        """Highest address that must come with the value in one answer."""
        return self.end - 1 if self.scale_register is None else max(self.end - 1, self.scale_register)

    @property
    def letter(self) -> str:
        """The value's pattern for `struct`."""
        return f"{2 * self.words}s" if self.type == "string" else TYPES[self.type][0]

    @property
    def mask_number(self) -> int:
        """The bits that count, as a number; all of them without a mask."""
        if self.mask is None:
            return (1 << bits_of(self)) - 1
        try:
            return int(self.mask, 0) if isinstance(self.mask, str) else self.mask
        except ValueError:
            raise ValueError(mod.MASK_NUMBER(mask=shown(self.mask))) from None

    def byte_places(self) -> list[int]:
        """Return where the value's bytes are, the most significant first, from the start of `address`."""
        words = list(range(self.words))
        if self.word_order == "little" and self.type != "string":
            words.reverse()
        high, low = (0, 1) if self.byte_order == "big" else (1, 0)
        if self.type in ("int8", "uint8"):
            return [high if self.byte == "high" else low]
        return [2 * word + half for word in words for half in (high, low)]


# From raw to number, for the types where `struct` alone does not do it


def converter(register: Register) -> Callable[[Any], float | None] | None:
    """Return the function that makes a number (or None) of a raw value; None where none is needed."""
    if register.type == "bool":
        bit = register.bit
        return lambda raw: raw >> bit & 1
    if register.type.startswith("mod10k"):
        return _from_mod10k
    if register.type == "string":
        return number_in
    if register.mask is not None or register.shift:
        mask, shift = register.mask_number, register.shift
        return lambda raw: (raw & mask) >> shift
    return None


def _from_mod10k(raw: bytes) -> int | None:
    """Return the number whose words are its digits in base 10,000; a negative one has negative words."""
    total = 0
    for (digit,) in struct.iter_unpack(">h", raw):
        if not -9999 <= digit <= 9999:
            return None
        total = total * 10_000 + digit
    return total


def text_in(raw: bytes) -> str:
    """Return the text of a string's bytes, without padding."""
    return raw.partition(b"\0")[0].decode("utf-8", "replace").strip()


def number_in(raw: bytes) -> float | None:
    """Return the number that a string's text is, if it is one."""
    try:
        return float(text_in(raw))
    except ValueError:
        return None


# From value to registers


def encode(register: Register, value: float, *, exponent: int = 0) -> bytes:
    """Return the register bytes that a device holds for `value`; bits outside of mask, bit and byte are zero.

    `exponent` is what the scale register holds. ValueError says why a value cannot be written so.
    """
    raw = (value - register.offset) / register.scale
    raw = raw / 10**exponent if exponent >= 0 else raw * 10**-exponent
    if not math.isfinite(raw):
        raise ValueError(mod.ENCODE_FINITE(value=value))
    found = bytearray(2 * register.words)
    for place, byte in zip(register.byte_places(), _pack(register, raw, value), strict=True):
        found[place] = byte
    return bytes(found)


def meant_bits(register: Register) -> bytes:
    """Return the bits of its registers that belong to the value, as a mask over their bytes."""
    number = (1 << bits_of(register)) - 1
    if register.type == "bool":
        number = 1 << register.bit
    elif register.mask is not None or register.shift:
        number = register.mask_number >> register.shift << register.shift
    found = bytearray(2 * register.words)
    for place, byte in zip(
        register.byte_places(), number.to_bytes(bits_of(register) // 8, "big"), strict=True
    ):
        found[place] = byte
    return bytes(found)


def _pack(register: Register, raw: float, value: float) -> bytes:
    if register.type == "string":
        text = f"{value:g}".encode()
        if len(text) > 2 * register.words:
            raise ValueError(mod.ENCODE_LONG(value=value, words=register.words))
        return text.ljust(2 * register.words, b"\0")
    if register.type.startswith("float"):
        try:
            packed = struct.pack(f">{register.letter}", raw)
        except OverflowError:
            raise ValueError(mod.ENCODE_RANGE(value=value, type=register.type)) from None
    else:
        packed = _pack_whole(register, round(raw), value)
    if struct.unpack(f">{register.letter}", packed)[0] in no_values(register):
        raise ValueError(mod.ENCODE_NO_VALUE(value=value))
    return packed


def _pack_whole(register: Register, raw: int, value: float) -> bytes:
    if register.type.startswith("mod10k"):
        size, sign = register.words, -1 if raw < 0 else 1
        digits = [abs(raw) // 10_000**n % 10_000 * sign for n in reversed(range(size))]
        if abs(raw) >= 10_000**size:
            raise ValueError(mod.ENCODE_RANGE(value=value, type=register.type))
        return struct.pack(f">{size}h", *digits)
    if register.type == "bool":
        if raw not in (0, 1):
            raise ValueError(mod.ENCODE_BOOL(value=value))
        raw <<= register.bit
    elif register.mask is not None or register.shift:
        shifted = raw << register.shift
        if raw < 0 or shifted & ~register.mask_number:
            raise ValueError(mod.ENCODE_MASK(value=value))
        raw = shifted
    try:
        return struct.pack(f">{register.letter}", raw)
    except struct.error:
        raise ValueError(mod.ENCODE_RANGE(value=value, type=register.type)) from None
