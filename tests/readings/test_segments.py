"""Segments: everything that goes in comes out, in few bytes."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from venclient.readings.segments import DamagedSegment, Sample, pack, unpack

NOON_MS = 1_772_366_400_000

times = st.lists(st.integers(0, 7_258_118_399_999), min_size=1, max_size=60, unique=True).map(sorted)
values = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.integers(-(2**40), 2**40).map(lambda number: number / 1000),
    st.integers(-(2**20), 2**20).map(lambda number: number * 0.1),
)
qualities = st.sampled_from([None, None, None, 1, 2, 3, 4])


def polled(count: int, factor: float, seed: int = 3) -> list[Sample]:
    """Return a meter's day, read each 10 s, with the noise of a real one."""
    noise = random.Random(seed)
    samples: list[Sample] = []
    level = 20_000
    for number in range(count):
        level += noise.getrandbits(7) - 64
        samples.append((NOON_MS + 10_000 * number + noise.randrange(0, 40), level * factor, None))
    return samples


@settings(max_examples=150, deadline=None)
@given(times, st.data())
def test_every_sample_comes_back_exactly(moments: list[int], data: st.DataObject) -> None:
    """Whatever the times, values and qualities are, unpacking gives what was packed."""
    samples = [(ms, data.draw(values) + 0.0, data.draw(qualities)) for ms in moments]

    assert unpack(pack(samples)) == samples


@pytest.mark.parametrize("factor", [0.1, 0.001, 1.0, 10.0])
def test_decimals_of_a_meter_take_few_bytes(factor: float) -> None:
    """Polls of a value with few digits take less than three bytes each, uneven times included."""
    samples = polled(800, factor)

    assert len(pack(samples)) / len(samples) < 2.7
    assert unpack(pack(samples)) == samples


def test_values_without_a_decimal_place_take_at_most_their_own_bytes() -> None:
    """Values that are not decimals are stored as they are."""
    samples = [(NOON_MS + 1000 * n, math.sin(n), None) for n in range(800)]

    assert len(pack(samples)) < 8.2 * len(samples)
    assert unpack(pack(samples)) == samples


def test_damage_is_noticed() -> None:
    """A changed, shortened or foreign segment is an error, never other readings."""
    data = pack(polled(200, 0.1))

    for broken in (data[:-5], data[:40], data[:60] + b"\xff\x00\xff" + data[63:], b"", b"\x07" + data[1:]):
        with pytest.raises(DamagedSegment):
            unpack(broken)
