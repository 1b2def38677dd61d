"""Times of readings whose source has none."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from venclient.readings.arrivals import MOST_AHEAD_MS, SET_BACK_MS, ArrivalTimes

NOW = 1_800_000_000_000


def test_queued_messages_get_the_milliseconds_before_their_arrival() -> None:
    """A thousand messages of one moment have a thousand times that end at that moment."""
    assert ArrivalTimes(NOW - 3_600_000).stamp([NOW] * 1000) == list(range(NOW - 999, NOW + 1))


def test_lone_messages_keep_their_arrival() -> None:
    """Without a burst the time is that of arrival."""
    times = ArrivalTimes()
    assert [times.stamp([NOW + n])[0] for n in (0, 10, 1000)] == [NOW, NOW + 10, NOW + 1000]


def test_times_go_on_behind_the_newest_stored_reading() -> None:
    """After a restart nothing stored before is overwritten."""
    assert ArrivalTimes(NOW).stamp([NOW] * 3) == [NOW + 1, NOW + 2, NOW + 3]


def test_a_clock_that_was_set_back_is_followed() -> None:
    """Times do not stay an hour ahead."""
    times = ArrivalTimes()
    times.stamp([NOW])
    earlier = NOW - SET_BACK_MS - 1
    assert times.stamp([earlier, earlier]) == [earlier - 1, earlier]
    assert times.lead_s(earlier) == 0


def test_a_burst_waits_before_it_runs_too_far_ahead() -> None:
    """What exceeds the bound is the time to wait."""
    times = ArrivalTimes(NOW)
    times.stamp([NOW] * (MOST_AHEAD_MS + 500))
    assert times.lead_s(NOW) == 0.5
    assert times.lead_s(NOW + 500) == 0


@given(
    st.lists(st.lists(st.integers(0, 3000), min_size=1, max_size=50).map(sorted), max_size=10),
    st.integers(-5000, 5000),
)
def test_times_strictly_increase_and_none_is_needlessly_late(batches: list[list[int]], newest: int) -> None:
    """Whatever comes when: each time is later than all before, and later than its arrival only for that."""
    times = ArrivalTimes(NOW + newest)
    last = NOW + newest
    for batch in batches:
        arrived = [NOW + one for one in batch]
        stamps = times.stamp(arrived)
        assert all(before < after for before, after in pairwise([last, *stamps]))
        before = last
        for came, stamp in zip(arrived, stamps, strict=True):
            assert stamp <= came or stamp == before + 1
            before = stamp
        last = stamps[-1]
