"""Readings of the standard that can be chosen, and frequencies written as durations (rows 49, 50)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.counted import growth
from tests.reporting.samples import T0, at, event, windows
from venclient.openadr.codec import CODEC_31
from venclient.openadr.objects import Event
from venclient.openadr.times import format_time
from venclient.reporting.obligations import agenda, owed
from venclient.reporting.windows import WindowRules

BEFORE = at(-24)


def told(one: Event, until: float = 100, **rules: Any) -> list[tuple[list[int], float]]:
    """Return the windows of an event under some rules, with their due times in hours."""
    found = owed(one, anchor=T0, first_seen=BEFORE, after=None, until=at(until), rules=WindowRules(**rules))
    return windows(found)


PERIODIC = {"startInterval": 1, "numIntervals": 2, "frequency": 2, "repeat": 3}
SUBSET = {"startInterval": 1, "numIntervals": 3}


@pytest.mark.parametrize(
    ("reading", "descriptor", "expected"),
    [
        ("automatic", PERIODIC, [([0, 1], 2), ([2, 3], 4), ([4, 5], 6)]),
        ("generation-point", PERIODIC, [([0, 1], 2), ([2, 3], 4), ([4, 5], 6)]),
        ("first-covered", PERIODIC, [([1, 2], 3), ([3, 4], 5), ([5], 6)]),
        ("automatic", SUBSET, [([1, 2, 3], 4)]),
        ("generation-point", SUBSET, [([0, 1], 2)]),
        ("first-covered", SUBSET, [([1, 2, 3], 4)]),
        ("first-covered", {"startInterval": 0, "numIntervals": 1, "frequency": 3}, [([0], 1)]),
    ],
)
def test_row_49_start_interval_is_read_as_chosen(
    reading: str, descriptor: dict[str, Any], expected: list[tuple[list[int], float]]
) -> None:
    """startInterval is where a report is made, its first interval, or what fits the diagrams."""
    assert expected == told(event(6, descriptor), window=reading)


def test_row_49_all_intervals_again_is_a_choice() -> None:
    """numIntervals -1 with a frequency covers what came since the last report, or all, which fires once."""
    one = event(4, {"frequency": 1, "repeat": -1})

    assert told(one) == [([0], 1), ([1], 2), ([2], 3), ([3], 4)]
    assert told(one, all_intervals="all") == [([0, 1, 2, 3], 4)]


def test_row_49_rolling_forecast_at_the_start_or_the_end() -> None:
    """A forecast is due when its window starts; as the diagram has it, when it ends."""
    one = event(4, {"startInterval": 0, "numIntervals": 2, "historical": False, "frequency": 1, "repeat": -1})

    assert told(one) == [([0, 1], 0), ([1, 2], 1), ([2, 3], 2)]
    assert told(one, forecast="end") == [([0, 1], 2), ([1, 2], 3), ([2, 3], 4)]


@pytest.mark.parametrize(
    ("frequency", "expected"),
    [
        ("PT1H", [([0], 1), ([1], 2), ([2], 3), ([3], 4)]),
        ("PT2H", [([0, 1], 2), ([2, 3], 4)]),
        ("P0Y0M0DT2H0M0S", [([0, 1], 2), ([2, 3], 4)]),
        ("2", [([0, 1, 2, 3], 4)]),
    ],
)
def test_row_49_frequency_written_as_a_duration_is_a_cadence(
    frequency: str, expected: list[tuple[list[int], float]]
) -> None:
    """A whole number of intervals, written as their time, is that number of intervals, again and again."""
    assert expected == told(event(4, {"frequency": frequency, "startInterval": -1}))


def test_row_49_cadence_finer_than_the_intervals_is_at_will() -> None:
    """A quarter of an hour under one-hour intervals makes reports on open intervals every quarter."""
    plan = agenda(event(4, {"frequency": "PT15M"}), None, anchor=T0)

    ((group, life),) = plan.at_will
    assert (life.begin, life.end, life.cadence_s) == (at(0), at(4), 900.0)
    assert group.descriptors[0].report_intervals == "OPEN_INTERVALS"


@pytest.mark.parametrize("frequency", ["often", "PT0S", "-PT1H", "P1M", "P9999Y"])
def test_row_49_frequency_that_is_no_cadence_is_named(frequency: str) -> None:
    """An invalid duration, or one without a length, is reported and not served."""
    plan = agenda(event(4, {"frequency": frequency}), None, anchor=T0)

    assert f"frequency {frequency!r}" in plan.problems[0]
    assert not plan.plans
    assert not plan.at_will


def test_row_18_frequency_as_text_does_not_hide_the_event() -> None:
    """The codec keeps a frequency that is a text, and the event with it."""
    body = (
        b'[{"id": "E1", "programID": "P1", "reportDescriptors": [{"payloadType": "USAGE", '
        b'"frequency": "PT15M"}], "intervals": [{"id": 0, "payloads": []}]}]'
    )
    decoded = CODEC_31.decode_list(Event, body)

    assert not decoded.refused
    assert (decoded.items[0].report_descriptors or [])[0].frequency == "PT15M"


@settings(max_examples=100, deadline=None)
@given(
    starts=st.lists(st.integers(0, 12), min_size=1, max_size=9),
    n=st.integers(1, 5),
    f=st.integers(1, 4),
    s=st.integers(-1, 3),
)
def test_row_49_windows_over_intervals_in_any_order_are_due_at_their_last_end(
    starts: list[int], n: int, f: int, s: int
) -> None:
    """However intervals lie, a report is due when all of its intervals are over."""
    intervals = [
        {"id": place, "intervalPeriod": {"start": f"2026-01-01T{hour:02}:00:00Z"}, "payloads": []}
        for place, hour in enumerate(starts)
    ]
    asked = {"startInterval": s, "numIntervals": n, "frequency": f, "repeat": -1}
    one = event(0, asked, intervals=intervals)
    found = owed(one, anchor=T0, first_seen=at(-1), after=None, until=at(100))

    for each in found:
        assert each.due == max(span.end for span in each.spans)
    assert [each.due for each in found] == sorted(each.due for each in found)


def test_row_49_windows_in_any_order_take_work_that_grows_with_their_number() -> None:
    """Placing intervals out of order in long rolling windows takes steps proportional to their number."""

    def place(count: int) -> Callable[[], object]:
        intervals = [
            {"id": n, "intervalPeriod": {"start": format_time(at((n * 7919) % count))}, "payloads": []}
            for n in range(count)
        ]
        one = event(0, {"numIntervals": count // 2, "frequency": 1, "repeat": -1}, intervals=intervals)

        def work() -> None:
            plan = agenda(one, None, anchor=T0)
            assert plan.next_due(first_seen=at(-1), after=None) is not None

        return work

    assert growth(place, 200) < 6
