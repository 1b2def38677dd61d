"""What readings add up to over an interval."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from venclient.model.reading import (
    ENERGY_EXPORT_KWH,
    ENERGY_KWH,
    INTERVAL_ENERGY_KWH,
    POWER_KW,
    SOC_PERCENT,
    Measure,
    Quality,
    Reading,
)
from venclient.readings.rollup import measure, rollup

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
Series = dict[str, list[Reading]]


def about(value: float, *, rel: float | None = None, abs: float | None = None) -> Any:  # noqa: A002 - approx's
    """Return an object that equals the value except for rounding."""
    return pytest.approx(value, rel=rel, abs=abs)


def when(seconds: float) -> datetime:
    """Return the time `seconds` after noon."""
    return NOON + timedelta(seconds=seconds)


def series(quantity: str, *points: tuple[float, float], quality: Quality = Quality.GOOD) -> Series:
    """Return readings of one quantity from (seconds after noon, value)."""
    return {quantity: [Reading("m", quantity, value, when(second), quality) for second, value in points]}


def every(step: float, values: Iterable[float], start: float = 0) -> list[tuple[float, float]]:
    """Return points at equal steps."""
    return [(start + step * index, value) for index, value in enumerate(values)]


def over(found: Series, start: float, end: float, max_gap_s: float | None = None) -> Measure:
    """Return the measure between two moments after noon."""
    return measure("m", found, when(start), when(end), max_gap_s=max_gap_s)


# ---- registers


def test_register_is_brought_to_the_edges() -> None:
    """Values at the edges lie on the line between the neighbours around them."""
    found = over(series(ENERGY_KWH, (-5, 100.0), (5, 101.0), (55, 106.0), (65, 108.0)), 0, 60)

    assert found.energy_kwh == about(0.5 + 5 + 1)
    assert (found.coverage, found.source, found.quality) == (1.0, "register", Quality.GOOD)
    assert found.mean_kw == about(6.5 * 60)


def test_export_is_taken_off() -> None:
    """Net energy is import less export; a site that feeds in is negative."""
    both = series(ENERGY_KWH, *every(60, [5, 5.5, 6])) | series(ENERGY_EXPORT_KWH, *every(60, [9, 11, 13]))

    assert over(both, 0, 120).energy_kwh == about(1 - 4)
    assert over(series(ENERGY_EXPORT_KWH, *every(60, [9, 11, 13])), 0, 120).energy_kwh == about(-4)


def test_registers_are_preferred_to_power() -> None:
    """Where both have all energy, the counter is believed and the peak still comes from the samples."""
    both = series(ENERGY_KWH, *every(30, [0, 1, 2])) | series(POWER_KW, *every(30, [50, 80, 60]))

    found = over(both, 0, 60)

    assert (found.energy_kwh, found.source, found.peak_kw) == (about(2), "register", 80)


def test_power_tells_what_the_register_cannot() -> None:
    """A register that fell silent does not hide the power samples that went on."""
    both = series(ENERGY_KWH, *every(30, [0, 1])) | series(POWER_KW, *every(30, [60] * 11))

    assert over(both, 120, 180).source == "power"


def test_import_register_alone_does_not_hide_feed_in() -> None:
    """Where power is negative and an export register is missing, the energy comes from power."""
    both = series(ENERGY_KWH, *every(30, [4, 4, 4])) | series(POWER_KW, *every(30, [-60, -60, -60]))

    found = over(both, 0, 60)

    assert (found.energy_kwh, found.source) == (about(-1), "power")


def test_gap_inside_the_interval_is_known_by_its_ends() -> None:
    """A register counts on while it is not read: a gap that lies wholly inside loses nothing."""
    points = [*every(10, [0, 1, 2, 3]), *every(10, [63, 64, 65, 66], start=630)]

    found = over(series(ENERGY_KWH, *points), 0, 660)

    assert (found.energy_kwh, found.coverage, found.quality) == (about(66), 1.0, Quality.GOOD)


def test_gap_across_an_edge_is_not_shared_out() -> None:
    """How a long gap's energy falls on either side of an edge is unknown, and is not invented."""
    points = [*every(10, [0, 1, 2, 3]), *every(10, [63, 64, 65, 66], start=630)]

    found = over(series(ENERGY_KWH, *points), 0, 60)

    assert (found.energy_kwh, found.coverage, found.quality) == (about(3), 0.5, Quality.ESTIMATED)
    assert found.mean_kw == about(360)


def test_longest_gap_can_be_given() -> None:
    """A caller that knows the meter's habits decides what is a gap."""
    points = series(ENERGY_KWH, *every(10, [0, 1, 2, 3]), *every(10, [63, 64, 65, 66], start=630))

    assert over(points, 0, 330, max_gap_s=600).energy_kwh == about(33)
    assert over(points, 0, 330, max_gap_s=600).quality is Quality.GOOD


@pytest.mark.parametrize(
    ("values", "energy"),
    [
        ([1000, 1001, 0.5, 1.5], 1 + 0.5 + 1),
        ([1000, 1001, 700, 701], 1 + 0 + 1),
        ([65534, 65535, 1, 2], 1 + 2 + 1),
        ([655.34, 655.35, 0.01, 0.02], 0.01 + 0.02 + 0.01),
        ([4294967294, 4294967295, 1, 2], 1 + 2 + 1),
    ],
    ids=["reset", "another meter", "16 bits", "16 bits of 0.01 kWh", "32 bits"],
)
def test_register_that_starts_again_is_never_negative(values: list[float], energy: float) -> None:
    """A reset, an exchanged meter or a rollover leaves a plausible energy that is marked estimated."""
    found = over(series(ENERGY_KWH, *every(10, values)), 0, 30)

    assert found.energy_kwh == about(energy, abs=1e-6)
    assert found.quality is Quality.ESTIMATED


@pytest.mark.parametrize(
    "values",
    [
        [1000, 0, 1002, 1003],
        [1000, 0, 0, 1003],
        [1000, 1001, 999999, 1003],
        [1000, 1002, 1001.9999, 1003],
    ],
    ids=["zero", "zeros", "leap", "rounding"],
)
def test_glitch_of_a_register_is_left_out(values: list[float]) -> None:
    """Values that the following ones contradict add nothing, and the interval is marked estimated."""
    found = over(series(ENERGY_KWH, *every(10, values)), 0, 30)

    assert found.energy_kwh == about(3)
    assert found.quality is Quality.ESTIMATED


def test_reset_elsewhere_leaves_the_interval_good() -> None:
    """Only the interval that holds the reset is estimated."""
    found = series(ENERGY_KWH, *every(10, [1000, 1001, 0, 1, 2, 3]))

    assert over(found, 20, 50).quality is Quality.GOOD


# ---- interval energies


def test_interval_energies_are_shared_by_overlap() -> None:
    """A reading is the energy of the time before its stamp; an interval takes its share."""
    found = over(series(INTERVAL_ENERGY_KWH, *every(900, [1, 2, 4, 8])), 450, 1350)

    assert (found.energy_kwh, found.source) == (about(1 + 2), "interval")


def test_first_interval_energy_reaches_back_by_the_usual_spacing() -> None:
    """The oldest reading has no predecessor and counts for as long as the others do."""
    assert over(series(INTERVAL_ENERGY_KWH, *every(900, [1, 2, 4, 8])), -900, 0).energy_kwh == about(1)


def test_missing_interval_energy_is_a_gap() -> None:
    """The reading after a missing one is not spread over the missing time."""
    points = [(0, 1.0), (900, 1.0), (1800, 1.0), (3600, 1.0), (4500, 1.0)]

    found = over(series(INTERVAL_ENERGY_KWH, *points), 0, 3600)

    assert (found.energy_kwh, found.coverage) == (about(3), 0.75)


# ---- power


def test_power_is_joined_by_lines() -> None:
    """Energy is the area under straight lines between samples, also where an edge cuts one."""
    found = over(series(POWER_KW, *every(60, [0, 60, 0, 60])), 30, 90)

    assert (found.energy_kwh, found.peak_kw) == (about(45 / 60), 60)
    assert (found.coverage, found.source, found.quality) == (1.0, "power", Quality.GOOD)


def test_power_function_is_integrated_within_a_thousandth() -> None:
    """A day's sine sampled each 10 s gives its integral within 0.1 %."""

    def power(second: float) -> float:
        return 30 + 20 * math.sin(2 * math.pi * second / 1800)

    found = over(series(POWER_KW, *every(10, map(power, range(-20, 3640, 10)), start=-20)), 0, 900)
    exact = (30 * 900 + 20 * 1800 / math.pi) / 3600

    assert found.energy_kwh == about(exact, rel=1e-3)


def test_power_gap_is_not_filled() -> None:
    """Time without samples counts as unknown, not as zero and not as more of the same."""
    points = [*every(10, [6] * 4), *every(10, [6] * 4, start=300)]

    found = over(series(POWER_KW, *points), 0, 330)

    assert found.energy_kwh == about(6 * 60 / 3600)
    assert found.mean_kw == about(6)
    assert found.coverage == about(60 / 330)
    assert found.quality is Quality.ESTIMATED


def test_newest_sample_holds_until_the_next_is_due() -> None:
    """A report made before the next sample comes is not short, but the time is not vouched for."""
    found = over(series(POWER_KW, *every(10, [6] * 6)), 0, 60)

    assert found.energy_kwh == about(0.1)
    assert found.coverage == about(50 / 60)


def test_lone_sample_gives_power_but_no_energy() -> None:
    """One sample says what was drawn then; what went through is unknown."""
    found = over(series(POWER_KW, (30, 7.0)), 0, 60)

    assert (found.energy_kwh, found.mean_kw, found.peak_kw) == (None, 7.0, 7.0)
    assert (found.coverage, found.source, found.quality) == (0.0, "none", Quality.ESTIMATED)


def test_sample_on_the_end_belongs_to_the_next_interval() -> None:
    """Intervals hold their start and not their end: a peak is reported once."""
    found = series(POWER_KW, *every(30, [1, 2, 9, 3]))

    assert [one.peak_kw for one in rollup("m", found, [(when(0), when(60)), (when(60), when(90))])] == [2, 9]


# ---- in general


@pytest.mark.parametrize("found", [{}, series(POWER_KW), series(SOC_PERCENT, (10, 50.0))])
def test_unknown_is_none_and_never_zero(found: Series) -> None:
    """Without power and energy nothing is said about either."""
    nothing = over(found, 0, 60)

    assert (nothing.energy_kwh, nothing.mean_kw, nothing.peak_kw) == (None, None, None)
    assert (nothing.coverage, nothing.source, nothing.quality) == (0.0, "none", Quality.MISSING)


@pytest.mark.parametrize("bad", [Quality.MISSING, Quality.STALE, Quality.OUT_OF_RANGE])
def test_untrusted_values_count_as_not_read(bad: Quality) -> None:
    """A stale, missing or impossible value is as if it were not there."""
    found = series(POWER_KW, *every(30, [6, 6, 6]))
    found[POWER_KW] += series(POWER_KW, (15, 1e9), quality=bad)[POWER_KW]

    assert over(found, 0, 60).energy_kwh == about(0.1)


def test_estimated_readings_make_an_estimated_measure() -> None:
    """A measure is only as good as what it is made of."""
    assert over(series(POWER_KW, *every(30, [6, 6, 6]), quality=Quality.ESTIMATED), 0, 60).quality is (
        Quality.ESTIMATED
    )


def test_last_is_the_newest_of_each_quantity_until_the_end() -> None:
    """The state at the end is reported for every quantity, also from before the interval."""
    found = series(SOC_PERCENT, (-500, 40.0), (60, 45.0), (61, 46.0)) | series("voltage_v", (-900, 230.0))

    last = over(found, 0, 60).last

    assert {quantity: reading.value for quantity, reading in last.items()} == {
        SOC_PERCENT: 45,
        "voltage_v": 230,
    }


def test_last_is_never_a_value_that_cannot_be_meant() -> None:
    """A spike is kept and not shown: the state at the end is that of the value before it."""
    good = series(SOC_PERCENT, (30, 45.0))
    spike = series(SOC_PERCENT, (50, 6553.5), quality=Quality.OUT_OF_RANGE)

    both = {SOC_PERCENT: good[SOC_PERCENT] + spike[SOC_PERCENT]}

    assert over(both, 0, 60).last[SOC_PERCENT].value == 45
    assert over(spike, 0, 60).last == {}


def test_empty_interval_is_missing() -> None:
    """An interval without length holds nothing."""
    assert over(series(POWER_KW, *every(30, [6, 6, 6])), 30, 30).quality is Quality.MISSING


increments = st.lists(st.floats(0, 5), min_size=6, max_size=40)
shuffles = st.randoms(use_true_random=False)


def counted(steps: list[float], start: float = 500.0) -> list[float]:
    """Return the register values after these steps."""
    values = [start]
    for step in steps:
        values.append(values[-1] + step)
    return values


@settings(max_examples=60, deadline=None)
@given(increments, st.floats(0.05, 0.95), st.integers(-86_400 * 400, 86_400 * 400))
def test_adjacent_energies_add_up(steps: list[float], share: float, shift: int) -> None:
    """Two halves make the whole, wherever the cut and whenever it happened."""
    found = series(ENERGY_KWH, *every(10, counted(steps), start=shift))
    end = 10.0 * len(steps)
    cut = end * share

    parts = rollup("m", found, [(when(shift), when(shift + cut)), (when(shift + cut), when(shift + end))])
    whole = over(found, shift, shift + end)

    assert sum(part.energy_kwh or 0 for part in parts) == about(whole.energy_kwh or 0, abs=1e-6)
    assert whole.energy_kwh == about(sum(steps), abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-50, 50), min_size=4, max_size=40), shuffles)
def test_order_and_repetition_change_nothing(values: list[float], shuffle: random.Random) -> None:
    """Shuffled and doubled readings measure as the sorted ones do."""
    found = series(POWER_KW, *every(10, values))
    mixed = {POWER_KW: found[POWER_KW] * 2}
    shuffle.shuffle(mixed[POWER_KW])

    assert over(mixed, 5, 300) == over(found, 5, 300)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-600, 600), st.floats(0, 1e6)), max_size=30),
    st.sampled_from([ENERGY_KWH, POWER_KW, INTERVAL_ENERGY_KWH]),
    st.integers(-600, 600),
    st.integers(1, 600),
)
def test_any_readings_give_a_sane_measure(
    points: list[tuple[int, float]], quantity: str, start: int, length: int
) -> None:
    """Coverage is a share, counters never give energy back, and unknown is None."""
    found = over(series(quantity, *points), start, start + length)

    assert 0 <= found.coverage <= 1
    assert found.energy_kwh is None or found.energy_kwh >= 0
    assert (found.energy_kwh is None) == (found.source == "none")
    assert (found.quality is Quality.GOOD) <= (found.coverage >= 0.99)
