"""History out of InfluxDB where it has it, and out of the journal where it has not."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest

from tests.fakes.influx import MemoryInflux
from venclient.clock import ManualClock
from venclient.errors import StoreError
from venclient.model.reading import POWER_KW, Reading
from venclient.readings.forwarder import Forwarder
from venclient.readings.influx_answers import Verdict
from venclient.readings.influx_query import Window
from venclient.readings.line_protocol import Tags
from venclient.readings.memory import MemoryReadings
from venclient.readings.mirror import Found, InfluxReadings

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
AWAY = Verdict("later", "connection refused")


def at(seconds: float, value: float = 1.0, resource: str = "hotel") -> Reading:
    """Give a reading that many seconds after noon."""
    return Reading(resource, POWER_KW, value, NOON + timedelta(seconds=seconds))


class MuteInflux(MemoryInflux):
    """Takes readings and does not give them back, when told so."""

    mute = False

    async def windows(self, window: Window) -> Found:
        """Fail when mute."""
        found = await super().windows(window)
        if self.mute:
            raise StoreError("no answer in 10 s", subject=self.subject)
        return found


class Bench:
    """A store over an InfluxDB in memory."""

    def __init__(self, batch: int = 5000) -> None:
        self.clock = ManualClock(NOON)
        self.influx = MuteInflux()
        self.journal = MemoryReadings()
        tags = {"hotel": Tags(), "bar": Tags(), "b\\": Tags()}
        self.forwarder = Forwarder(
            self.journal,
            self.influx,
            tags,
            self.clock,
            batch=batch,
            history=timedelta(hours=1),
            rng=random.Random(1),
        )
        self.store = InfluxReadings(self.journal, self.forwarder, self.influx)

    async def values(self, resource: str = "hotel") -> list[float]:
        """Give the values of one resource's first minute."""
        window = await self.store.window(resource, NOON, NOON + timedelta(minutes=1))
        return [one.value for one in window.get(POWER_KW, [])]


async def test_history_comes_from_influxdb() -> None:
    """What somebody corrected there is what reports are made of."""
    bench = Bench()
    bench.store.add([at(0, 1), at(10, 2)])
    await bench.store.flush()
    bench.influx.points["hotel", int(NOON.timestamp() * 1000)][POWER_KW] = 100.0

    assert await bench.values() == [100, 2]
    assert bench.store.fallbacks == 0


async def test_what_came_after_the_flush_is_sent_before_the_question() -> None:
    """A commit in between does not send the question to the journal."""
    bench = Bench()
    bench.store.add([at(0, 1)])
    await bench.store.flush()
    bench.store.add([at(10, 2)])
    await asyncio.sleep(0)

    assert await bench.values() == [1, 2]
    assert (bench.store.fallbacks, bench.influx.asked) == (0, 1)


async def test_while_influxdb_is_away_the_journal_answers_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing is missing from a report; when InfluxDB has caught up, it answers again."""
    bench = Bench()
    bench.influx.down = AWAY
    for n in range(3):
        bench.store.add([at(10 * n, n)])
        await bench.store.flush()
        assert await bench.values() == list(range(n + 1))
    assert bench.store.fallbacks == 3
    bench.influx.down = None
    await bench.clock.advance(60)
    await bench.store.flush()

    assert await bench.values() == [0, 1, 2]
    assert (bench.store.fallbacks, bench.store.problem) == (3, None)
    assert sum("history is read from the journal" in one.getMessage() for one in caplog.records) == 1


async def test_a_server_that_does_not_answer_is_left_alone_for_a_minute() -> None:
    """Not each part of a report waits for its time-out."""
    bench = Bench()
    bench.store.add([at(0, 1)])
    await bench.store.flush()
    bench.influx.mute = True
    for _ in range(5):
        assert await bench.values() == [1]
    assert bench.influx.asked == 1
    bench.influx.mute = False
    await bench.clock.advance(61)

    assert await bench.values() == [1]
    assert bench.influx.asked == 2


async def test_a_long_backlog_does_not_hold_up_reports() -> None:
    """After two seconds of catching up the journal answers, and the catching up goes on."""
    bench = Bench(batch=6)
    bench.store.add([at(100 * n, n) for n in range(300)])

    async def slow() -> None:
        await asyncio.sleep(0)
        bench.clock._elapsed_s += 1.5  # each request takes that long

    bench.influx.before_answer = slow
    await bench.store.flush()
    sent = len(bench.influx.writes)

    assert await bench.values() == [0, 1]  # with its neighbour
    assert (bench.store.fallbacks, sent) == (1, 2)
    assert await bench.forwarder.drain()
    assert bench.influx.values("hotel") == list(range(300))


async def test_a_resource_that_cannot_be_written_there_is_not_asked_for() -> None:
    """Its id has no form in InfluxDB; its neighbours' history is not in danger."""
    bench = Bench()
    bench.store.add([at(0, 1), at(0, 2, "b\\")])
    await bench.store.flush()

    assert (await bench.values(), await bench.values("b\\")) == ([1], [2])
