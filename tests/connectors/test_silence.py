"""A source that can be reached and sends no value is silent, by its own rhythm."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings

from tests.kinds import Silent, silent_source
from venclient.clock import ManualClock
from venclient.connectors.base import Batch
from venclient.connectors.poller import Poller
from venclient.connectors.silence import FLOOR_S, UNKNOWN_S, Silence
from venclient.model.quality import silence_limit_s
from venclient.model.reading import POWER_KW, Quality, Reading

START = datetime(2026, 6, 1, tzinfo=UTC)


def batch(*seconds: float, quality: Quality = Quality.GOOD, more: bool = False) -> Batch:
    """Return a batch with values of these times."""
    times = [START + timedelta(seconds=one) for one in seconds]
    return Batch([Reading("m", POWER_KW, 5.0, time, quality) for time in times], more=more)


def watch(
    arrivals: Sequence[float] = (),
    *,
    limit_s: float | None = None,
    interval_s: float | None = 10.0,
    last_value: datetime | None = None,
) -> Silence:
    """Return what is known of a source whose values came at these seconds."""
    found = Silence(limit_s, interval_s, last_value, 0.0)
    for second in arrivals:
        found.note(batch(second), second)
    return found


def is_silent(silence: Silence, second: float) -> bool:
    """Return whether a source is silent at a second."""
    return silence.is_silent(second, START + timedelta(seconds=second))


@settings(max_examples=100, deadline=None)
@given(silent_source())
def test_silent_source_is_found_by_its_rhythm(source: Silent) -> None:
    """While values come it is never silent; after a few missing ones it is."""
    silence = Silence(None, None, None, 0.0)
    for second in source.arrivals:
        silence.note(batch(second), second)
        later = second + 1.5 * (source.arrivals[-1] - source.arrivals[0]) / (len(source.arrivals) - 1)
        if len(silence._gaps) >= 3:
            assert not is_silent(silence, later)
    last = source.arrivals[-1]

    assert is_silent(silence, last + source.silent_for_s)
    assert silence.age_s(
        last + source.silent_for_s, START + timedelta(seconds=last + source.silent_for_s)
    ) >= (source.silent_for_s - 1)


def test_polled_file_that_stands_for_three_minutes_is_silent() -> None:
    """Its rows of every ten seconds, read in one go at the start, say what is usual."""
    silence = watch()
    silence.note(batch(*range(-600, 1, 10)), 0.0)

    assert silence.limit_s == FLOOR_S
    assert [is_silent(silence, second) for second in (60, 120, 180)] == [False, False, True]


def test_file_without_a_row_for_176_days_is_silent_from_the_start() -> None:
    """What was stored before the start counts."""
    assert is_silent(watch(last_value=START - timedelta(days=176)), 1)
    assert not is_silent(watch(last_value=START - timedelta(hours=20)), 1)


def test_file_that_ends_176_days_ago_is_silent_once_it_was_read() -> None:
    """While it is read, and once a new row comes, it is not."""
    old = -176 * 86_400
    silence = watch()
    silence.note(batch(old, old + 10, more=True), 0.0)
    while_read = is_silent(silence, 1)
    silence.note(batch(old + 20, old + 30), 1.0)
    at_its_end = is_silent(silence, 2)
    silence.note(batch(60), 60.0)

    assert [while_read, at_its_end, is_silent(silence, 61)] == [False, True, False]


def test_source_of_which_nothing_came_yet_has_a_quarter_of_an_hour() -> None:
    """Or ten polls, where that is longer."""
    assert [is_silent(watch(), second) for second in (UNKNOWN_S, UNKNOWN_S + 1)] == [False, True]
    assert not is_silent(watch(interval_s=900.0), 8999)


@pytest.mark.parametrize(
    ("options", "limit_s"),
    [
        (None, None),
        ({"quality": {"stale_after_s": 45}}, 45),
        ({"quality": {"stale_after_s": 45}, "silence_s": 60}, 45),
        ({"silence_s": 60}, 60),
        ({"silence_s": 0}, 0),
        ({"quality": {"power_kw": {"stale_after_s": 5}}}, None),
    ],
)
def test_limit_of_the_options_counts(options: dict[str, object] | None, limit_s: float | None) -> None:
    """One option sets it; 0 is never."""
    found = silence_limit_s(options)

    assert found == limit_s
    assert watch(limit_s=found).limit_s == ((limit_s or None) if limit_s is not None else UNKNOWN_S)


def test_values_that_are_not_of_now_end_no_silence() -> None:
    """What a broker kept, and messages without a value, do not count."""
    silence = watch([0])
    silence.note(batch(1000, quality=Quality.STALE), 1000)
    silence.note(Batch(), 1000)

    assert is_silent(silence, 1000)


class Source:
    """A file that is looked at every ten seconds."""

    interval_s: float | None = 10.0
    timeout_s = 5.0

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.grows = True

    async def read(self) -> Batch:
        """Return a row while the file grows."""
        second = (self.clock.now() - START).total_seconds()
        return batch(second) if self.grows else Batch()

    async def close(self) -> None:
        """Close nothing."""


async def test_state_is_silent_with_the_age_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """The state, the reason and the log say it; a new row ends it."""
    caplog.set_level(logging.INFO)
    clock = ManualClock(START)
    source = Source(clock)
    poller = Poller(source, name="Hotel", deliver=lambda _: asyncio.sleep(0), clock=clock)
    running = asyncio.create_task(poller.run())
    await clock.advance(100)
    growing = poller.health
    source.grows = False
    await clock.advance(3600)
    silent = poller.health
    source.grows = True
    await clock.advance(60)
    again = poller.health
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert [growing.state, silent.state, again.state] == ["ok", "silent", "ok"]
    assert "VEN-CON-090" in (silent.last_error or "")
    assert silent.last_value == START + timedelta(seconds=100)
    assert again.last_error is None
    codes = [getattr(record.msg, "code", "") for record in caplog.records]
    assert codes == ["VEN-CON-090", "VEN-CON-091"]
