"""Modbus registers as a connection's options describe them: planned into blocks, decoded into values. No I/O.

registers   0 1   4       40            max_gap 4, max_registers 125
blocks     [0 . . . 4]   [40]           one request each; words between registers are read and ignored
"""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from types import MappingProxyType
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

RegisterKind = Literal["holding", "input"]
RegisterType = Literal[
    "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"
]  # fmt: skip
Order = Literal["big", "little"]

#: Each type's letter for `struct` and its number of 16-bit registers.
TYPES = MappingProxyType(
    {
        "int16": ("h", 1),
        "uint16": ("H", 1),
        "int32": ("i", 2),
        "uint32": ("I", 2),
        "int64": ("q", 4),
        "uint64": ("Q", 4),
        "float32": ("f", 2),
        "float64": ("d", 4),
    }
)

#: Modbus Application Protocol 1.1b3, 6.3: a read asks for at most 125 registers.
MOST_REGISTERS = 125


class Register(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One value in a device: where it is, how it is written, and what quantity it becomes.

    The reading is raw x scale + offset, in the unit that the quantity's name ends with. `address` is
    zero-based, as it goes over the wire. `word_order` little: the low word comes first; `byte_order`
    little: bytes are swapped within each word. `nan` lists raw values (numbers or "0x8000") that the
    device writes when it has no value.
    """

    quantity: Annotated[str, Meta(pattern="^[a-z][a-z0-9_]*$", max_length=64)]
    address: Annotated[int, Meta(ge=0, le=65535)]
    type: RegisterType
    kind: RegisterKind = "holding"
    word_order: Order = "big"
    byte_order: Order = "big"
    scale: float = 1.0
    offset: float = 0.0
    nan: int | str | list[int | str] | None = None

    def __post_init__(self) -> None:
        if self.end > 65536:
            raise ValueError(f"{self.type} at address {self.address} ends beyond the last register 65535")
        if not math.isfinite(self.scale) or self.scale == 0:
            raise ValueError("scale must be a finite number other than zero")
        if not math.isfinite(self.offset):
            raise ValueError("offset must be a finite number")
        self.sentinels()

    @property
    def words(self) -> int:
        """How many 16-bit registers the value takes."""
        return TYPES[self.type][1]

    @property
    def end(self) -> int:
        """Address of the first register behind the value."""
        return self.address + self.words

    def sentinels(self) -> frozenset[bytes]:
        """Give the raw values that mean "no value", as big-endian bytes."""
        given = self.nan if isinstance(self.nan, list) else [] if self.nan is None else [self.nan]
        bits = 16 * self.words
        found = set()
        for one in given:
            try:
                number = int(one, 0) if isinstance(one, str) else one
            except ValueError:
                raise ValueError(f'nan: {one!r} is no whole number (such as 32768 or "0x8000")') from None
            if not -(1 << (bits - 1)) <= number < 1 << bits:
                raise ValueError(f"nan: {one!r} does not fit {self.type}")
            found.add((number % (1 << bits)).to_bytes(bits // 8, "big"))
        return frozenset(found)


class Block:
    """Neighbouring registers read with one request, with the decoder for its answer."""

    __slots__ = ("_checks", "_pack", "_pick", "_unpack", "address", "count", "kind", "registers")

    def __init__(self, registers: Iterable[Register]) -> None:
        self.registers = tuple(registers)
        self.kind: RegisterKind = self.registers[0].kind
        self.address = min(register.address for register in self.registers)
        self.count = max(register.end for register in self.registers) - self.address
        self._pack = struct.Struct(f">{self.count}H").pack
        self._unpack = struct.Struct(">" + "".join(TYPES[r.type][0] for r in self.registers)).unpack
        # Any word and byte order is a fixed choice of bytes, so that one struct decodes the whole block.
        chosen = [index for register in self.registers for index in self._bytes_of(register)]
        as_it_is = chosen == list(range(2 * self.count))
        self._pick: Callable[[bytes], tuple[int, ...]] | None = None if as_it_is else itemgetter(*chosen)
        ends = list(itertools.accumulate(2 * register.words for register in self.registers))
        self._checks = [
            (register.quantity, register.scale, register.offset, slice(end - 2 * register.words, end), nan)
            for register, end in zip(self.registers, ends, strict=True)
            for nan in (register.sentinels(),)
        ]

    def _bytes_of(self, register: Register) -> list[int]:
        first = register.address - self.address
        words = list(range(first, first + register.words))
        if register.word_order == "little":
            words.reverse()
        high, low = (0, 1) if register.byte_order == "big" else (1, 0)
        return [2 * word + half for word in words for half in (high, low)]

    def __str__(self) -> str:
        last = self.address + self.count - 1
        where = f"{self.address}" if self.count == 1 else f"{self.address}..{last}"
        return f"{self.kind} {where}"

    def decode(self, words: Sequence[int]) -> list[tuple[str, float]]:
        """Give (quantity, value) for each register that has a value now.

        Left out are the device's "no value" marks and what is no finite number. ValueError when the
        number of words is not the block's.
        """
        if len(words) != self.count:
            raise ValueError(f"{len(words)} registers instead of {self.count}")
        data = self._pack(*words)
        if self._pick is not None:
            data = bytes(self._pick(data))
        found = []
        for raw, (quantity, scale, offset, where, nan) in zip(self._unpack(data), self._checks, strict=True):
            if nan and data[where] in nan:
                continue
            value = raw * scale + offset
            if math.isfinite(value):
                found.append((quantity, float(value)))
        return found

    def split(self) -> tuple[Block, ...]:
        """Give smaller blocks for the same registers: without gaps, else one for each; or just itself."""
        parts = plan_blocks(self.registers, max_gap=0, max_registers=self.count)
        if len(parts) == 1 and len(self.registers) > 1:
            parts = tuple(Block([register]) for register in self.registers)
        return parts


def plan_blocks(
    registers: Iterable[Register], *, max_gap: int, max_registers: int = MOST_REGISTERS
) -> tuple[Block, ...]:
    """Give the fewest blocks, in address order, that bridge at most `max_gap` unasked registers each time."""
    blocks: list[list[Register]] = []
    end = 0
    for register in sorted(registers, key=lambda r: (r.kind, r.address, r.end)):
        if blocks:
            start = blocks[-1][0].address
            fits = max(end, register.end) - start <= max_registers and register.address - end <= max_gap
            if fits and register.kind == blocks[-1][0].kind:
                blocks[-1].append(register)
                end = max(end, register.end)
                continue
        blocks.append([register])
        end = register.end
    return tuple(Block(block) for block in blocks)
