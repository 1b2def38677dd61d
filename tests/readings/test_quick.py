"""The quick way gives what the roll-up gives, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from venclient.clock import ManualClock
from venclient.model.quality import Counter, MeterRules
from venclient.model.reading import Measure, Reading
from venclient.readings.measures import measures
from venclient.readings.quick import cells_of, quick_measures
from venclient.readings.rollup import rollup
from venclient.readings.segments import Sample
from venclient.readings.series import QUALITIES, from_ms, to_ms
from venclient.readings.sqlite import SqliteReadings
from venclient.readings.track import Track

T0 = datetime(2026, 1, 1, tzinfo=UTC)
BASE = to_ms(T0)
GRID = [(T0 + timedelta(minutes=15 * n), T0 + timedelta(minutes=15 * (n + 1))) for n in range(3)]


def slow(series: dict[str, list[Sample]], rules: MeterRules, gap_s: float | None) -> list[Measure]:
    """Roll samples up the usual way."""
    readings = {
        quantity: [
            Reading("r", quantity, value, from_ms(ms), QUALITIES[quality]) for ms, value, quality in samples
        ]
        for quantity, samples in series.items()
    }
    return rollup("r", readings, GRID, max_gap_s=gap_s, rules=rules)


def tracks(series: dict[str, list[Sample]]) -> dict[str, Track]:
    """Return samples in columns."""
    return {quantity: Track(samples) for quantity, samples in series.items()}


def alike(quick: Measure, exact: Measure) -> bool:
    """Compare two measures, floats to a billionth."""
    numbers = [
        (quick.energy_kwh, exact.energy_kwh),
        (quick.mean_kw, exact.mean_kw),
        (quick.peak_kw, exact.peak_kw),
        (quick.coverage, exact.coverage),
    ]
    same = all(
        (a is None) == (b is None) and (a is None or a == pytest.approx(b, rel=1e-9, abs=1e-9))
        for a, b in numbers
    )
    others = (exact.start, exact.end, exact.source, exact.quality, dict(exact.last))
    return same and (quick.start, quick.end, quick.source, quick.quality, dict(quick.last)) == others


def every(step_s: float, values: Sequence[float], start_s: float = -600) -> list[Sample]:
    """Return good samples, one every `step_s` seconds."""
    return [(BASE + int(1000 * (start_s + n * step_s)), float(v), None) for n, v in enumerate(values)]


def test_even_series_need_no_closer_look() -> None:
    """A register and power without gaps are measured quickly, and alike."""
    series = {
        "energy_kwh": every(60, [100 + n / 30 for n in range(70)]),
        "power_kw": every(60, [2 + (n % 5) / 10 for n in range(70)]),
        "soc_percent": [(BASE + 1000, 40.0, None), (BASE + 1_200_000, 45.0, 4)],
    }
    quick = quick_measures("r", tracks(series), cells_of(GRID))

    assert all(
        one is not None and alike(one, exact)
        for one, exact in zip(quick, slow(series, MeterRules(), None), strict=True)
    )


@pytest.mark.parametrize(
    "series",
    [
        {},
        {"interval_energy_kwh": every(900, range(9))},
        {"energy_kwh": every(60, [9, 8, *range(10, 80)])},
        {"energy_kwh": every(60, [*range(30), *range(5000, 5040)])},
        {"energy_kwh": every(60, range(30))},
        {"power_kw": [*every(60, range(30)), *every(60, range(30), start_s=1800)]},
        {"power_kw": [(ms, value, 2) for ms, value, _ in every(60, range(70))]},
        {"power_kw": every(60, range(3))},
    ],
)
def test_what_needs_judgement_is_left_to_the_roll_up(series: dict[str, list[Sample]]) -> None:
    """Resets, exchanged meters, gaps, doubtful values, few values and open ends are not decided quickly."""
    assert quick_measures("r", tracks(series), cells_of(GRID))[-1] is None


def test_hourly_counters_are_left_to_the_roll_up() -> None:
    """A register that is brought up to date once an hour is not a straight line."""
    series = {"energy_kwh": every(60, [100 + n / 30 for n in range(70)])}
    rules = MeterRules({"energy_kwh": Counter(hourly=True)})

    assert quick_measures("r", tracks(series), cells_of(GRID), rules=rules) == [None] * 3


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_quick_is_like_the_roll_up_or_nothing(data: st.DataObject) -> None:
    """Whatever the samples and rules, a quick answer is the roll-up's."""
    series: dict[str, list[Sample]] = {}
    for quantity in ("energy_kwh", "energy_export_kwh", "power_kw", "voltage_v"):
        if not data.draw(st.booleans()):
            continue
        count = data.draw(st.integers(1, 60))
        step_s = data.draw(st.sampled_from([10, 60, 100, 300]))
        jitter = data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
        steps = data.draw(
            st.lists(st.sampled_from([0.0, 0.1, 0.5, 2.0, 20.0, -0.1]), min_size=count, max_size=count)
        )
        odd = data.draw(st.sampled_from([None, None, None, 1, 3, 4]))
        samples: list[Sample] = []
        ms, total = BASE - 900_000, data.draw(st.sampled_from([50.0, 0.0]))
        for place in range(count):
            ms += 1000 * step_s * (1 + (jitter[place] == 3))
            total += steps[place]
            value = total if "energy" in quantity else steps[place]
            samples.append((ms, value, odd if place == count // 2 else None))
        series[quantity] = samples
    most_kw = data.draw(st.sampled_from([None, 5.0, 50.0]))
    gap_s = data.draw(st.sampled_from([None, 100.0]))
    rules = MeterRules(most_kw=most_kw)
    quick = quick_measures("r", tracks(series), cells_of(GRID), max_gap_s=gap_s, rules=rules)

    for one, exact in zip(quick, slow(series, rules, gap_s), strict=True):
        assert one is None or alike(one, exact)


async def test_store_gives_its_samples_as_they_are(tmp_path: object) -> None:
    """Measures of a store are made of its samples, some quickly and some by the roll-up."""
    store = SqliteReadings(f"{tmp_path}/r.db", ManualClock(T0 + timedelta(hours=2)))
    for ms, value, _ in every(60, [100 + n / 30 for n in range(70)]):
        store.add([Reading("even", "energy_kwh", value, from_ms(ms))])
        store.add([Reading("odd", "power_kw", value, from_ms(ms))] if ms % 7 else [])
    found = await measures(store, ["even", "odd", "silent"], GRID)
    windows = await store.windows(["even", "odd"], T0 - timedelta(hours=1), T0 + timedelta(hours=2))
    await store.close()

    assert len(found) == 9
    assert found["even", *GRID[0]].energy_kwh == pytest.approx(0.5)
    for id_ in ("even", "odd"):
        for exact in rollup(id_, windows[id_], GRID):
            assert alike(found[id_, exact.start, exact.end], exact)
