"""A segment: up to some thousand readings of one series in a few bytes each; pure, exact both ways.

    header      version, how times and values are written, count, first time, usual spacing, first value
    zlib of     time differences from the usual spacing   none when all are the same
                value differences, or the values          see below
                qualities                                 none when all are good

Meters send decimals, so values are whole numbers of some decimal place most of the time; they are written
as differences of those. `2301 / 10` and `2301 * 0.1` are not the same number, so both are tried. What is
neither is written as it is, in four bytes where those suffice. Bytes of equal weight stand together,
because the high ones hardly change and go away in compression.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections.abc import Sequence
from itertools import accumulate, pairwise, repeat
from statistics import median_low
from typing import NamedTuple

from venclient.errors import StoreError
from venclient.messages import readings as rdg

#: (milliseconds since 1970, value, number of the quality or None for a good one)
Sample = tuple[int, float, int | None]

FORMAT = 1
MOST_PLACES = 6
PROBED = 16
LEVEL = 9

_HEADER = struct.Struct("<BBBcccIqqq")
_DIVIDED, _MULTIPLIED, _SHORT, _LONG = range(4)
_WIDTHS = (("b", 7), ("h", 15), ("i", 31), ("q", 63))
_NONE = b"-"


class DamagedSegment(StoreError):
    """A segment cannot be read."""


class _Decimal(NamedTuple):
    way: int
    places: int
    numbers: list[int]


def pack(samples: Sequence[Sample]) -> bytes:
    """Pack samples into a segment: at least one, in time order, each time once."""
    times = [sample[0] for sample in samples]
    spacings = [after - before for before, after in pairwise(times)]
    usual = median_low(spacings) if spacings else 0
    time_kind, time_bytes = _NONE, b""
    if any(spacing != usual for spacing in spacings):
        time_kind, time_bytes = _narrow([spacing - usual for spacing in spacings])
    values = [sample[1] for sample in samples]
    decimal = _decimal(values)
    first = 0
    if decimal is not None:
        way, places, numbers = decimal
        first = numbers[0]
        value_kind, value_bytes = _narrow([after - before for before, after in pairwise(numbers)])
    else:
        way, places = _LONG, 0
        kind = "d"
        if array("f", (min(max(value, -3e38), 3e38) for value in values)).tolist() == values:
            way, kind = _SHORT, "f"
        value_kind, value_bytes = kind.encode(), _planes(array(kind, values))
    qualities = b""
    if any(sample[2] is not None for sample in samples):
        qualities = bytes(sample[2] or 0 for sample in samples)
    header = _HEADER.pack(
        FORMAT,
        way,
        places,
        time_kind,
        value_kind,
        b"q" if qualities else _NONE,
        len(times),
        times[0],
        usual,
        first,
    )
    return header + zlib.compress(time_bytes + value_bytes + qualities, LEVEL)


def unpack(data: bytes) -> list[Sample]:
    """Return the samples of a segment; DamagedSegment when it cannot be read."""
    try:
        return _unpack(data)
    except (struct.error, zlib.error, ValueError, KeyError, IndexError) as error:
        raise DamagedSegment(rdg.SEGMENT(error=error)) from error


def _unpack(data: bytes) -> list[Sample]:
    version, way, places, time_kind, value_kind, graded, count, first_ms, usual, first = _HEADER.unpack_from(
        data
    )
    if version != FORMAT:
        raise ValueError(rdg.SEGMENT_FORMAT(found=version, known=FORMAT))
    body = zlib.decompress(data[_HEADER.size :])
    spacings: Sequence[int] | repeat[int] = repeat(usual, count - 1)
    if time_kind != _NONE:
        differences, body = _take(body, time_kind, count - 1)
        spacings = [difference + usual for difference in differences]
    times = accumulate(spacings, initial=first_ms)
    numbers, body = _take(body, value_kind, count if way in (_SHORT, _LONG) else count - 1)
    values: Sequence[float] = numbers
    if way == _DIVIDED:
        whole = float(10**places)
        values = [number / whole for number in accumulate(numbers, initial=first)]
    elif way == _MULTIPLIED:
        step = _step(places)
        values = [number * step for number in accumulate(numbers, initial=first)]
    if graded == _NONE:
        return list(zip(times, values, repeat(None, count), strict=True))
    return list(zip(times, values, (quality or None for quality in body), strict=True))


def _step(places: int) -> float:
    return float(f"1e-{places}")


def _decimal(values: Sequence[float]) -> _Decimal | None:
    """Return the values as whole numbers of a decimal place, when that loses nothing."""
    for places in range(MOST_PLACES + 1):
        whole, step = float(10**places), _step(places)
        for way in (_DIVIDED, _MULTIPLIED) if places else (_DIVIDED,):
            for some in (values[:PROBED], values):
                if max(map(abs, some)) * whole >= 2**53:
                    return None
                numbers = [round(value * whole) for value in some]
                if way == _DIVIDED:
                    same = [number / whole for number in numbers] == some
                else:
                    same = [number * step for number in numbers] == some
                if not same:
                    break
            else:
                return _Decimal(way, places, numbers)
    return None


def _narrow(numbers: Sequence[int]) -> tuple[bytes, bytes]:
    """Return whole numbers in the narrowest width that holds them all, with its name."""
    widest = max((number if number >= 0 else ~number for number in numbers), default=0).bit_length()
    kind = next(kind for kind, bits in _WIDTHS if widest <= bits)
    return kind.encode(), _planes(array(kind, numbers))


def _planes(numbers: array[int] | array[float]) -> bytes:
    """Return the first bytes of all numbers, then the second ones, and so on; least weight first."""
    if sys.byteorder == "big":
        numbers.byteswap()
    data = numbers.tobytes()
    return b"".join(data[plane :: numbers.itemsize] for plane in range(numbers.itemsize))


def _take(body: bytes, kind: bytes, count: int) -> tuple[list[int], bytes]:
    """Return `count` numbers from the start of the body, and the rest."""
    numbers = array(kind.decode())
    width = numbers.itemsize
    if len(body) < count * width:
        raise ValueError(rdg.SEGMENT_SHORT())
    data = bytearray(count * width)
    for plane in range(width):
        data[plane::width] = body[plane * count : (plane + 1) * count]
    numbers.frombytes(bytes(data))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist(), body[count * width :]
