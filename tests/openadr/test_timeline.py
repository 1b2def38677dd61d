"""Timelines of events: rows 28 to 33 and 36 of the conformance table."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.counted import steps
from venclient.messages import code_of, text_of, with_code
from venclient.openadr.objects import Event
from venclient.openadr.timeline import Timeline, first_where, resolve

T0 = datetime(2026, 1, 1, tzinfo=UTC)
ANCHOR = datetime(2026, 3, 3, 3, 3, 3, tzinfo=UTC)
T0_TEXT = "2026-01-01T00:00:00Z"


def line(
    intervals: list[dict[str, Any] | None] | None = None, period: dict[str, Any] | None = None, **members: Any
) -> Timeline:
    """Resolve an event; `intervals` holds the period of each interval, None for none."""
    raw: dict[str, Any] = {"id": "E", "programID": "P", "intervalPeriod": period, **members}
    if intervals is not None:
        raw["intervals"] = [
            {"id": 10 + n, "intervalPeriod": one, "payloads": []} for n, one in enumerate(intervals)
        ]
    return resolve(msgspec.convert(raw, Event), anchor=ANCHOR)


def hours(timeline: Timeline, base: datetime = T0) -> list[tuple[float, float | None] | None]:
    """Return start and end of every interval, in hours after `base`."""
    hour = timedelta(hours=1)
    return [
        None
        if slot is None
        else ((slot.start - base) / hour, None if slot.end is None else (slot.end - base) / hour)
        for slot in timeline
    ]


HOURLY = {"start": T0_TEXT, "duration": "PT1H"}


@pytest.mark.parametrize(
    ("intervals", "period", "expected"),
    [
        ([None, None], HOURLY, [(0, 1), (1, 2)]),
        ([{"duration": "PT2H"}, None], HOURLY, [(0, 2), (2, 3)]),
        ([None, {"start": "2026-01-01T05:00:00Z"}, None], HOURLY, [(0, 1), (5, 6), (6, 7)]),
        ([{"start": "2026-01-01T02:00:00Z", "duration": "PT30M"}, None], HOURLY, [(2, 2.5), (2.5, 3.5)]),
        ([None, {"start": "2026-01-01T00:30:00Z"}], HOURLY, [(0, 1), (0.5, 1.5)]),
        ([{"randomizeStart": "PT5M"}, None], HOURLY, [(0, 1), (1, 2)]),
        ([{"duration": "PT2H"}, {"duration": "PT1H"}], {"start": T0_TEXT}, [(0, 2), (2, 3)]),
        ([{"start": T0_TEXT}, None], {"duration": "PT1H"}, [(0, 1), (1, 2)]),
    ],
)
def test_row_28_interval_inherits_and_overrides_field_by_field(
    intervals: list[dict[str, Any] | None],
    period: dict[str, Any],
    expected: list[tuple[float, float]],
) -> None:
    """Start and duration of an interval win over the event's, each for itself; gaps and overlaps stand."""
    timeline = line(intervals, period)

    assert expected == hours(timeline)
    assert timeline.problems == ()


def test_row_29_intervals_with_their_own_periods_need_none_of_the_event() -> None:
    """An event without a period is placed by the periods of its intervals."""
    timeline = line([{"start": T0_TEXT, "duration": "PT1H"}, {"duration": "PT15M"}])

    assert hours(timeline) == [(0, 1), (1, 1.25)]


def test_row_29_interval_without_any_start_is_named_and_left_out() -> None:
    """What has no place keeps its index, is named, and hides nothing else."""
    timeline = line([{"duration": "PT1H"}, {"start": T0_TEXT, "duration": "PT1H"}])

    assert hours(timeline) == [None, (0, 1)]
    assert "intervals[0] (id 10)" in timeline.problems[0]
    assert code_of(timeline.problems[0]) == "VEN-OAD-017"


@pytest.mark.parametrize(
    "now",
    [
        "0001-01-01",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00",
        "0001-01-01T00:00:00+00:00",
        "0000-00-00",
    ],
)
@pytest.mark.parametrize("on_event", [True, False])
def test_row_30_now_in_every_spelling_is_the_anchor(now: str, on_event: bool) -> None:
    """At the event or its first interval "now" means the moment of first receipt."""
    if on_event:
        timeline = line([None, None], {"start": now, "duration": "PT1H"})
    else:
        timeline = line([{"start": now}, None], {"duration": "PT1H"})

    assert hours(timeline, ANCHOR) == [(0, 1), (1, 2)]


def test_row_30_now_on_a_later_interval_follows_the_one_before() -> None:
    """On later intervals "now" means straight after the previous one."""
    timeline = line([None, {"start": "0001-01-01"}], HOURLY)

    assert hours(timeline) == [(0, 1), (1, 2)]


@pytest.mark.parametrize("forever", ["P9999Y", "P9999Y0M0DT0H0M0S", "P10000Y"])
def test_row_31_infinite_interval_never_ends(forever: str) -> None:
    """An infinite interval has no end, and holds every later moment."""
    timeline = line([None, {"duration": forever}], HOURLY)

    assert hours(timeline) == [(0, 1), (1, None)]
    held = timeline.holding(datetime(9000, 1, 1, tzinfo=UTC))
    assert held is not None
    assert held.index == 1
    assert timeline.end is None


def test_row_32_zero_length_is_cancelled_and_never_active() -> None:
    """PT0S keeps the index and is never active."""
    timeline = line([None, None], {"start": "0001-01-01", "duration": "PT0S"})

    assert timeline.count == 2
    assert all(slot is not None and slot.is_cancelled for slot in timeline)
    assert timeline.holding(ANCHOR) is None


def test_row_33_duration_truncates() -> None:
    """An event shorter than its intervals cuts the last one and drops the rest."""
    timeline = line([None, None, None], HOURLY, duration="PT1H30M")

    assert hours(timeline) == [(0, 1), (1, 1.5)]
    assert T0 + timedelta(hours=1.5) == timeline.end


def test_row_33_duration_loops() -> None:
    """An event longer than its intervals repeats them; the index goes on, the ids come again."""
    timeline = line([None, {"duration": "PT30M"}], HOURLY, duration="PT4H")

    assert hours(timeline) == [(0, 1), (1, 1.5), (1.5, 2.5), (2.5, 3), (3, 4)]
    assert [slot.id for slot in timeline if slot] == [10, 11, 10, 11, 10]


def test_row_33_loops_keep_gaps() -> None:
    """A gap between written intervals is repeated with them."""
    timeline = line([None, {"start": "2026-01-01T02:00:00Z"}], HOURLY, duration="PT6H")

    assert hours(timeline) == [(0, 1), (2, 3), (3, 4), (5, 6)]


def test_row_33_endless_loop_is_looked_up_in_one_step() -> None:
    """A tariff that repeats for ever is found by time and index at once, a thousand years on."""
    timeline = line([None] * 24, HOURLY, duration="P9999Y")
    far = datetime(3026, 5, 5, 7, 30, tzinfo=UTC)
    slot = timeline.holding(far)

    assert slot is not None
    assert (10 + 7, far.replace(minute=0)) == (slot.id, slot.start)
    assert timeline.at(slot.index) == slot
    assert timeline.count is None
    near = datetime(2026, 5, 5, 7, 30, tzinfo=UTC)
    assert steps(lambda: timeline.holding(far)) < 2 * steps(lambda: timeline.holding(near))


def test_row_33_months_loop_by_the_calendar() -> None:
    """Months repeat as months, not as a number of days."""
    timeline = line([None], {"start": T0_TEXT, "duration": "P1M"}, duration="P1Y")

    assert list(range(1, 13)) == [slot.start.month for slot in timeline if slot]
    assert {1} == {slot.start.day for slot in timeline if slot}


def test_overlapping_intervals_are_not_repeated_and_that_is_said() -> None:
    """Intervals that step back cannot be looped: they stand once, and the reason is named."""
    timeline = line([{"start": "2026-01-01T05:00:00Z"}, {"start": T0_TEXT}], HOURLY, duration="P1D")

    assert hours(timeline) == [(5, 6), (0, 1)]
    assert code_of(timeline.problems[0]) == "VEN-OAD-018"
    held = timeline.holding(T0 + timedelta(minutes=5))
    assert held is not None
    assert held.index == 1


@pytest.mark.parametrize(
    ("duration", "count"), [(None, None), ("P9999Y", None), ("PT6H", 6), ("PT5H30M", 6), ("PT0S", None)]
)
def test_period_without_intervals_is_a_grid(duration: str | None, count: int | None) -> None:
    """Without intervals the period repeats for the event's duration, or for ever."""
    timeline = line(None, HOURLY, duration=duration)

    assert count == timeline.count
    slot = timeline.at(5)
    assert slot is not None
    assert (5, T0 + timedelta(hours=5)) == (slot.id, slot.start)
    if duration == "PT5H30M":
        assert T0 + timedelta(hours=5.5) == slot.end


@pytest.mark.parametrize(
    ("intervals", "period", "said"),
    [
        ([{"start": "half past nine"}, None], HOURLY, "intervals[0] (id 10).intervalPeriod.start"),
        ([{"duration": "1 hour"}, None], HOURLY, "intervals[0] (id 10).intervalPeriod.duration"),
        ([{"duration": "-PT1H"}, None], HOURLY, "VEN-OAD-021"),
        ([None], {"start": T0_TEXT, "duration": "soon"}, "event.intervalPeriod.duration"),
        ([None], {"start": T0_TEXT}, "VEN-OAD-016"),
        ([None], {"start": "2026-13-01", "duration": "PT1H"}, "event.intervalPeriod.start"),
    ],
)
def test_bad_periods_are_named(
    intervals: list[dict[str, Any] | None], period: dict[str, Any], said: str
) -> None:
    """A start or duration that is none is named with its place, and stops nothing."""
    timeline = line(intervals, period)

    assert len(intervals) == timeline.count
    assert any(said in with_code(problem) for problem in timeline.problems)


def test_row_36_joining_late_finds_the_interval_of_now() -> None:
    """An event fetched at 06:00 is in its seventh hour."""
    slot = line([None] * 24, HOURLY).holding(T0 + timedelta(hours=6))

    assert slot is not None
    assert slot.index == 6


def test_moments_outside_and_in_gaps_hold_nothing() -> None:
    """Before the start, in a gap and after the end no interval is active."""
    timeline = line([None, {"start": "2026-01-01T02:00:00Z"}], HOURLY)

    assert [timeline.holding(T0 + timedelta(hours=h)) for h in (-1, 1.5, 3)] == [None, None, None]


def test_index_beyond_the_line_is_an_error() -> None:
    """Only indices on the line can be asked for."""
    with pytest.raises(IndexError, match="2") as caught:
        line([None, None], HOURLY).at(2)
    assert code_of(text_of(caught.value)) == "VEN-OAD-015"


lengths = st.lists(st.integers(1, 300), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(lengths, st.one_of(st.none(), st.integers(1, 3000)), st.integers(0, 4000))
def test_contiguous_lines_have_no_holes(minutes: list[int], whole: int | None, moment: int) -> None:
    """Looped, cut or plain: each interval begins where the one before ended, and time finds its index."""
    duration = None if whole is None else f"PT{whole}M"
    timeline = line([{"duration": f"PT{m}M"} for m in minutes], HOURLY, duration=duration)
    slots = [slot for slot in timeline if slot is not None]
    total = whole if whole is not None else sum(minutes)

    assert timeline.count == len(slots)
    assert slots[0].start == T0
    assert all(a.end == b.start for a, b in itertools.pairwise(slots))
    assert T0 + timedelta(minutes=total) == slots[-1].end == timeline.end
    held = timeline.holding(T0 + timedelta(minutes=moment))
    assert (held is not None) == (moment < total)
    if held is not None:
        assert held.holds(T0 + timedelta(minutes=moment))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1000), st.one_of(st.none(), st.integers(0, 1000)))
def test_first_where_finds_the_edge(edge: int, count: int | None) -> None:
    """The search gives the first index that holds, or the count."""
    expected = edge if count is None else min(edge, count)

    assert expected == first_where(lambda index: index >= edge, count)
