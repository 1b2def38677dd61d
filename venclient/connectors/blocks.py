"""Blocks: registers planned into few requests, and each answer decoded in one go. No I/O.

registers   0 1   4       40            max_gap 4, max_registers 125
blocks     [0 . . . 4]   [40]           one request each; words between registers are read and ignored
"""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from venclient.connectors.no_value import bits_of, no_values, open_range
from venclient.connectors.registers import (
    BIT_KINDS,
    MOST_REGISTERS,
    Address,
    Register,
    RegisterKind,
    converter,
)
from venclient.messages import modbus as mod

#: SunSpec's scale factors are within these; anything else, its 0x8000 too, says "not implemented".
LARGEST_EXPONENT = 10


class Forbidden(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Addresses that must never be read, first and last included; of every kind unless one is named."""

    first: Address
    last: Address
    kind: RegisterKind | None = None

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError(mod.FORBIDDEN_ORDER(last=self.last, first=self.first))

    def touches(self, kind: RegisterKind, first: int, last: int) -> bool:
        """Tell whether any address of a range is forbidden."""
        return self.kind in (None, kind) and self.first <= last and first <= self.last


class Limits(NamedTuple):
    """What the device allows in one request, and how far apart registers may be that share one."""

    max_gap: int = 0
    max_registers: int = MOST_REGISTERS
    forbidden: tuple[Forbidden, ...] = ()

    def allow(self, kind: RegisterKind, first: int, last: int) -> bool:
        """Tell whether a range may be read with one request."""
        if last - first >= self.max_registers:
            return False
        return not any(one.touches(kind, first, last) for one in self.forbidden)


class Block:
    """Neighbouring registers read with one request, with the decoder for its answer."""

    __slots__ = ("_fields", "_pick", "_plain", "_unpack", "address", "count", "kind", "registers")

    def __init__(self, registers: Iterable[Register]) -> None:
        self.registers = tuple(registers)
        self.kind: RegisterKind = self.registers[0].kind
        self.address = min(register.first for register in self.registers)
        self.count = max(register.last for register in self.registers) + 1 - self.address
        factors = sorted({r.scale_register for r in self.registers if r.scale_register is not None})
        pieces = [(r.letter, self._places(r.address, r.byte_places())) for r in self.registers]
        pieces += [("h", self._places(factor, [0, 1])) for factor in factors]
        self._pick: Callable[[bytes], Iterable[int]] | None = None
        pattern = _pattern_with_gaps(pieces, 2 * self.count)
        if pattern is None:
            # Any word and byte order is a fixed choice of bytes: one struct decodes the whole block.
            chosen = [place for _, places in pieces for place in places]
            self._pick = (
                itemgetter(*chosen) if len(chosen) > 1 else itemgetter(slice(chosen[0], chosen[0] + 1))
            )
            pattern = ">" + "".join(letter for letter, _ in pieces)
        self._unpack = struct.Struct(pattern).unpack
        index = {factor: len(self.registers) + n for n, factor in enumerate(factors)}
        self._fields = [
            (
                register.quantity,
                register.scale,
                register.offset,
                no_values(register),
                converter(register),
                -1 if register.scale_register is None else index[register.scale_register],
            )
            for register in self.registers
        ]
        plain = [found for register in self.registers if (found := _plain(register)) is not None]
        self._plain = plain if len(plain) == len(self.registers) else None

    def _places(self, address: int, places: Iterable[int]) -> list[int]:
        return [2 * (address - self.address) + place for place in places]

    def __str__(self) -> str:
        last = self.address + self.count - 1
        where = f"{self.address}" if self.count == 1 else f"{self.address}..{last}"
        return f"{self.kind} {where}"

    def decode(self, data: bytes) -> list[tuple[str, float]]:
        """Return (quantity, value) for each register that has a value now; `data` is an answer's payload.

        Left out are the device's "no value" marks, texts and digits that are not a number, and what is not
        finite. ValueError when the length is not the block's.
        """
        raws = self.raw(data)
        if self._plain is not None:
            return [
                (quantity, raw * scale + offset)
                for raw, (low, high, quantity, scale, offset) in zip(raws, self._plain, strict=True)
                if low < raw < high
            ]
        found = []
        # Scale factors come behind the values, so the second list is the shorter one.
        for raw, (quantity, scale, offset, nan, convert, factor) in zip(raws, self._fields, strict=False):
            if raw in nan:
                continue
            number = raw if convert is None else convert(raw)
            if number is None:
                continue
            if factor >= 0:
                exponent = raws[factor]
                if not -LARGEST_EXPONENT <= exponent <= LARGEST_EXPONENT:
                    continue
                number = number * 10**exponent if exponent >= 0 else number / 10**-exponent
            value = number * scale + offset
            if math.isfinite(value):
                found.append((quantity, value))
        return found

    def raw(self, data: bytes) -> tuple[Any, ...]:
        """Return each register's raw value, in the order of `registers`, then the scale factors."""
        if self.kind in BIT_KINDS:
            data = spread_bits(data, self.count)
        if len(data) != 2 * self.count:
            raise ValueError(mod.BLOCK_LENGTH(count=len(data) // 2, expected=self.count))
        if self._pick is not None:
            data = bytes(self._pick(data))
        return self._unpack(data)

    def split(self) -> tuple[Block, ...]:
        """Return smaller blocks for the same registers: without gaps, else one for each; or just itself."""
        parts = plan_blocks(self.registers, Limits(max_gap=0, max_registers=self.count))
        if len(parts) == 1 and len(self.registers) > 1:
            parts = tuple(Block([register]) for register in self.registers)
        return parts


_Plain = tuple[float, float, str, float, float]


def _plain(register: Register) -> _Plain | None:
    """Return bounds, quantity, scale and offset of a register that needs no more, else None."""
    bounds = open_range(register)
    if bounds is None or converter(register) is not None or register.scale_register is not None:
        return None
    if not register.type.startswith("float"):
        largest = float(1 << bits_of(register))
    else:
        largest = max(map(abs, bounds))
    if not math.isfinite(largest * abs(register.scale) + abs(register.offset)):
        return None  # a value may be too large for a number, so each has to be looked at
    return (*bounds, register.quantity, register.scale, register.offset)


def _pattern_with_gaps(pieces: Sequence[tuple[str, list[int]]], size: int) -> str | None:
    """Return a pattern that unpacks the payload as it is, or None where bytes must change places."""
    pattern, at = ">", 0
    for letter, places in pieces:
        start = places[0]
        if start < at or places != list(range(start, start + len(places))):
            return None
        pattern += f"{start - at}x{letter}" if start > at else letter
        at = start + len(places)
    return pattern + (f"{size - at}x" if size > at else "")


def spread_bits(data: bytes, count: int) -> bytes:
    """Return one register of 0 or 1 for each of `count` bits, the lowest bit of the first byte first."""
    if len(data) != (count + 7) // 8:
        return b""
    return b"".join(b"\0\1" if data[n >> 3] >> (n & 7) & 1 else b"\0\0" for n in range(count))


def plan_blocks(registers: Iterable[Register], limits: Limits) -> tuple[Block, ...]:
    """Return the fewest blocks, in address order, that keep the limits.

    Registers marked `single` are alone. A value and its scale factor are always in one block.
    """
    blocks: list[list[Register]] = []
    first = last = 0
    ordered = sorted(registers, key=lambda r: (r.kind, r.first, r.last, r.address))
    for (kind, single), group in itertools.groupby(ordered, key=lambda r: (r.kind, r.single)):
        open_block = False
        for register in group:
            joined = max(last, register.last)
            near = register.first - last - 1 <= limits.max_gap
            if open_block and not single and near and limits.allow(kind, first, joined):
                blocks[-1].append(register)
                last = joined
                continue
            blocks.append([register])
            first, last, open_block = register.first, register.last, True
    return tuple(Block(block) for block in blocks)
