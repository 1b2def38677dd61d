"""Starts randomised, packed values split, and the event that prevails: rows 34, 35 and 37 of the table."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from venclient.openadr.objects import Event
from venclient.openadr.schedule import active, by_precedence, operating, prevailing, split
from venclient.openadr.timeline import Slot, Timeline, resolve

T0 = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def event(
    *payloads: list[dict[str, Any]], periods: dict[int, dict[str, Any]] | None = None, **members: Any
) -> Event:
    """Return an event of one interval for each list of payloads; `periods` are those with their own."""
    raw: dict[str, Any] = {"id": "E", "programID": "P"}
    raw["intervalPeriod"] = {"start": "2026-01-01T00:00:00Z", "duration": "PT3H"}
    raw["intervals"] = [
        {"id": n, "payloads": list(one), "intervalPeriod": (periods or {}).get(n)}
        for n, one in enumerate(payloads)
    ]
    return msgspec.convert(raw | members, Event)


def price(*values: Any, kind: str = "PRICE") -> list[dict[str, Any]]:
    return [{"type": kind, "values": list(values)}]


def shifted(randomize: str | None, ven: str = "ven", id_: str = "E", count: int = 3) -> list[timedelta]:
    """Return how far each interval was moved."""
    period = {"start": "2026-01-01T00:00:00Z", "duration": "PT1H", "randomizeStart": randomize}
    made = event(*[price(1.0)] * count, intervalPeriod=period, id=id_)
    line = operating(made, anchor=T0, ven=ven)
    return [slot.start - T0 - n * HOUR for n, slot in enumerate(line) if slot is not None]


# ---- row 34


def test_row_34_packed_prices_split_their_interval_evenly() -> None:
    """Three prices in PT3H are an hour each; the parts keep the interval's index and id."""
    (slot,) = resolve(event(price(1.0, 2.0, 3.0)), anchor=T0)
    assert slot is not None
    parts = split(slot)

    assert [(part.start - T0, part.end and part.end - T0, part.payloads[0].values) for part in parts] == [
        (0 * HOUR, 1 * HOUR, [1.0]),
        (1 * HOUR, 2 * HOUR, [2.0]),
        (2 * HOUR, 3 * HOUR, [3.0]),
    ]
    assert {(part.index, part.id) for part in parts} == {(0, 0)}


@pytest.mark.parametrize("kind", ["CURVE", "OLS", "ALERT_OTHER", "X_PRIVATE"])
def test_row_34_values_that_belong_together_are_not_split(kind: str) -> None:
    """Points of a curve, a list, texts and private types stay whole."""
    (slot,) = resolve(event(price(0.1, 0.2, kind=kind)), anchor=T0)
    assert slot is not None
    assert split(slot) == (slot,)


def test_row_34_types_with_different_counts_each_keep_their_own() -> None:
    """Two limits and three prices in six hours: a limit lasts three hours, a price two."""
    both = [*price(1.0, 2.0, 3.0), *price(10.0, 20.0, kind="IMPORT_CAPACITY_LIMIT"), *price(7.0, kind="GHG")]
    (slot,) = resolve(
        event(both, intervalPeriod={"start": "2026-01-01T00:00:00Z", "duration": "PT6H"}), anchor=T0
    )
    assert slot is not None
    values = [[one.values[0] for one in part.payloads] for part in split(slot)]

    assert values == [[1.0, 10.0, 7.0], [2.0, 10.0, 7.0], [2.0, 20.0, 7.0], [3.0, 20.0, 7.0]]


def test_row_34_many_different_counts_have_more_parts_than_a_number_of_64_bits() -> None:
    """Counts without a common factor multiply: their smallest common part is still divided exactly."""
    primes = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71]
    packed = event([one for n in primes for one in price(*range(n))])
    slot = resolve(packed, anchor=T0).at(0)
    assert slot is not None
    parts = split(slot)
    assert parts[0].start == slot.start
    assert parts[-1].end == slot.end
    assert all(a.end == b.start for a, b in itertools.pairwise(parts))
    assert [one.values for one in parts[-1].payloads] == [[n - 1] for n in primes]


def test_row_34_of_an_endless_interval_the_first_value_counts() -> None:
    """What has no end has no equal parts."""
    endless = event(price(1.0, 2.0), intervalPeriod={"start": "2026-01-01T00:00:00Z", "duration": "P9999Y"})
    found = active(resolve(endless, anchor=T0), T0 + 1000 * HOUR)

    assert found is not None
    assert found.payloads[0].values == [1.0]


def test_row_36_the_active_part_is_found_at_any_moment() -> None:
    """Joining in the seventh hour of a loop finds the value of that hour; gaps have none."""
    line = resolve(event(price(1.0, 2.0, 3.0), price(4.0), duration="P9999Y"), anchor=T0)

    def value(hours: float) -> Any:
        found = active(line, T0 + hours * HOUR)
        return None if found is None else found.payloads[0].values[0]

    assert [value(h) for h in (-0.1, 0, 1.5, 2.9, 3, 5.9, 6.5, 6_000_001.5)] == [None, 1, 2, 3, 4, 4, 1, 2]


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=3),
    st.integers(1, 10**9),
)
@settings(max_examples=60)
def test_row_34_parts_fill_the_interval_without_gap(counts: list[int], microseconds: int) -> None:
    """Whatever the numbers of values, parts touch, begin and end with the interval, and use every value."""
    kinds = ["PRICE", "GHG", "EXPORT_PRICE"]
    payloads = [
        one for n, kind in zip(counts, kinds, strict=False) for one in price(*map(float, range(n)), kind=kind)
    ]
    (whole,) = resolve(event(payloads), anchor=T0)
    assert whole is not None
    slot = Slot(0, 0, T0, T0 + timedelta(microseconds=microseconds), whole.payloads)
    parts = split(slot)

    assert (parts[0].start, parts[-1].end) == (slot.start, slot.end)
    assert all(a.end == b.start for a, b in itertools.pairwise(parts))
    for at, n in enumerate(counts):
        assert {part.payloads[at].values[0] for part in parts} == set(map(float, range(n)))


# ---- row 35


def test_row_35_one_draw_moves_the_whole_event() -> None:
    """The first interval and all that follow move by the same amount, within +-R, at each start alike."""
    moves = shifted("PT10M")

    assert len(set(moves)) == 1
    assert abs(moves[0]) <= timedelta(minutes=10)
    assert moves[0] != timedelta(0)
    assert moves == shifted("PT10M")
    assert shifted(None) == [timedelta(0)] * 3


def test_row_35_draws_are_uniform_over_vens_and_events() -> None:
    """Over many VENs the shifts fill +-R evenly: not all loads start in one second."""
    minutes = sorted(shifted("PT10M", ven=f"ven-{n}", count=1)[0] / timedelta(minutes=1) for n in range(800))

    # Kolmogorov-Smirnov against the uniform distribution; 0.057 is the 1 % bound for 800 draws.
    worst = max(abs((value + 10) / 20 - n / 800) for n, value in enumerate(minutes))
    assert minutes[0] >= -10
    assert minutes[-1] <= 10
    assert worst < 0.06
    assert len({shifted("PT10M", id_=f"E{n}", count=1)[0] for n in range(50)}) == 50


def test_row_35_the_sign_of_r_makes_no_difference() -> None:
    """-PT10M means the same range as PT10M."""
    assert shifted("-PT10M") == shifted("PT10M")


def test_row_35_an_interval_may_carry_its_own() -> None:
    """An interval with its own R moves by its own amount, those before it by the event's; they touch."""
    period = {"start": "2026-01-01T00:00:00Z", "duration": "PT1H", "randomizeStart": "PT20M"}
    made = event(*[price(1.0)] * 4, intervalPeriod=period, periods={2: {"randomizeStart": "PT0S"}})
    slots = [slot for slot in operating(made, anchor=T0, ven="ven") if slot is not None]

    assert slots[0].start - T0 == slots[1].start - T0 - HOUR != timedelta(0)
    assert [slot.start - T0 for slot in slots[2:]] == [2 * HOUR, 3 * HOUR]
    assert all(a.end == b.start for a, b in itertools.pairwise(slots))


@pytest.mark.parametrize("wrong", ["P1M", "P9999Y", "soon"])
def test_row_35_what_is_no_range_is_named_and_left_out(wrong: str) -> None:
    """Months, infinity and words shift nothing and are reported."""
    period = {"start": "2026-01-01T00:00:00Z", "duration": "PT1H", "randomizeStart": wrong}
    line = operating(event(price(1.0), intervalPeriod=period), anchor=T0, ven="ven")

    assert [slot.start for slot in line if slot is not None] == [T0]
    assert len(line.problems) == 1
    assert "randomizeStart" in line.problems[0]


def test_row_35_reports_follow_the_written_line() -> None:
    """`resolve`, which reports are planned by, shifts nothing."""
    period = {"start": "2026-01-01T00:00:00Z", "duration": "PT1H", "randomizeStart": "PT20M"}
    line = resolve(event(price(1.0), intervalPeriod=period), anchor=T0)

    assert [slot.start for slot in line if slot is not None] == [T0]


def test_row_35_endless_loops_and_grids_move_as_a_whole() -> None:
    """Years into a loop or an implied grid the shift is the same as at the start, and is found at once."""
    period = {"start": "2026-01-01T00:00:00Z", "duration": "PT1H", "randomizeStart": "PT20M"}
    loop = operating(
        event(price(1.0), price(2.0), intervalPeriod=period, duration="P9999Y"), anchor=T0, ven="v"
    )
    grid = operating(event(intervalPeriod=period, intervals=None), anchor=T0, ven="v")
    for line in (loop, grid):
        first, late = line.at(0), line.at(1_000_000)
        assert first is not None
        assert late is not None
        assert late.start - first.start == 1_000_000 * HOUR
        assert line.holding(late.start) == late


ranges = st.sampled_from([None, "PT0S", "PT5M", "PT2H", "PT9H"])


@given(
    st.lists(ranges, min_size=1, max_size=6),
    ranges,
    st.sampled_from([None, "PT4H", "PT13H", "P9999Y"]),
    st.integers(0, 9),
    st.floats(-10, 40),
)
@settings(max_examples=150, deadline=None)
def test_row_35_randomised_lines_stay_in_order(
    own: list[str | None], whole: str | None, duration: str | None, seed: int, at: float
) -> None:
    """Whatever is drawn, no interval begins before the one before it, and lookup agrees with a search."""
    period = {"start": "2026-01-01T00:00:00Z", "duration": "PT1H", "randomizeStart": whole}
    periods = {n: {"randomizeStart": one} for n, one in enumerate(own)}
    made = event(*[price(1.0)] * len(own), intervalPeriod=period, periods=periods, duration=duration)
    line = operating(made, anchor=T0, ven=f"ven-{seed}")
    some = [slot for slot in first(line, 40) if slot is not None]

    assert all(a.start <= b.start for a, b in itertools.pairwise(some))
    assert all(a.end is not None and a.start <= a.end for a in some)
    moment = T0 + at * HOUR
    found = [slot for slot in some if slot.holds(moment)]
    if len(some) < 40 or moment < some[-1].start:
        assert line.holding(moment) == (found[-1] if found else None)


def first(line: Timeline, most: int) -> list[Slot | None]:
    count = most if line.count is None else min(most, line.count)
    return [line.at(index) for index in range(count)]


# ---- row 37


def ranked(*members: dict[str, Any]) -> list[str | None]:
    events = [msgspec.convert({"programID": "P", **one}, Event) for one in members]
    orders = set()
    for seed in range(10):
        random.Random(seed).shuffle(events)
        orders.add(tuple(one.id for one in by_precedence(events)))
    (order,) = orders
    return list(order)


def test_row_37_0_beats_1_beats_none() -> None:
    """0 is the highest priority, none the lowest, in whatever order they are listed."""
    members: list[dict[str, Any]] = [
        {"id": "c"},
        {"id": "b", "priority": 1},
        {"id": "a", "priority": 0},
        {"id": "d", "priority": 9},
    ]

    assert ranked(*members) == ["a", "b", "d", "c"]


def test_row_37_ties_go_to_the_newest_then_to_the_smaller_id() -> None:
    """Of equal priorities the newest modification prevails; where that is equal too, the smaller id."""
    old, new = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00+01:00"
    members: list[dict[str, Any]] = [
        {"id": "d", "priority": 1, "modificationDateTime": old},
        {"id": "c", "priority": 1, "modificationDateTime": new},
        {"id": "b", "priority": 1, "modificationDateTime": new},
        {"id": "a", "priority": 1, "modificationDateTime": "14:13:26"},
    ]

    assert ranked(*members) == ["b", "c", "d", "a"]


def test_row_37_what_was_tied_is_told() -> None:
    """The losers of a tie are given, for people to see; those of lower priority are not among them."""
    events = [
        msgspec.convert({"programID": "P", "id": id_, "priority": n}, Event)
        for id_, n in (("b", 1), ("a", 1), ("z", 2))
    ]
    found = prevailing(events)

    assert found is not None
    assert found.event.id == "a"
    assert [one.id for one in found.tied] == ["b"]
    assert prevailing([]) is None
