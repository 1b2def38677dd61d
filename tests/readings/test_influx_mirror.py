"""History out of InfluxDB where it has it, and out of the journal where it has not."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.fakes.influx import MemoryInflux
from venclient.clock import ManualClock
from venclient.errors import StoreError
from venclient.messages import code_of
from venclient.model.reading import POWER_KW, Reading
from venclient.readings.forwarder import Forwarder
from venclient.readings.influx_answers import Verdict
from venclient.readings.influx_query import Window
from venclient.readings.line_protocol import Tags
from venclient.readings.measures import measures
from venclient.readings.memory import MemoryReadings
from venclient.readings.mirror import Found, InfluxReadings
from venclient.readings.sqlite import SqliteReadings

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
AWAY = Verdict("later", "connection refused")


def at(seconds: float, value: float = 1.0, resource: str = "hotel") -> Reading:
    """Return a reading `seconds` after noon."""
    return Reading(resource, POWER_KW, value, NOON + timedelta(seconds=seconds))


class MuteInflux(MemoryInflux):
    """Accepts readings and, while `mute`, does not return them."""

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
        """Return the values of one resource's first minute."""
        window = await self.store.window(resource, NOON, NOON + timedelta(minutes=1))
        return [one.value for one in window.get(POWER_KW, [])]


async def test_history_comes_from_influxdb() -> None:
    """Values that were corrected there are what reports are made of."""
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


def lost(bench: Bench, *seconds: float) -> None:
    """Delete points of the hotel from InfluxDB."""
    for one in seconds:
        del bench.influx.points["hotel", int(NOON.timestamp() * 1000 + 1000 * one)]


async def test_a_hole_is_filled_from_the_journal_point_by_point(caplog: pytest.LogCaptureFixture) -> None:
    """What InfluxDB has stays as it is there, also where it was corrected; it is logged once."""
    bench = Bench()
    bench.store.add([at(10 * n, n) for n in range(5)])
    await bench.store.flush()
    bench.influx.points["hotel", int(NOON.timestamp() * 1000)][POWER_KW] = 100.0
    lost(bench, 10, 20)

    for _ in range(3):
        assert await bench.values() == [100, 1, 2, 3, 4]
    assert (bench.store.fallbacks, bench.store.holes, bench.store.problem) == (3, 2, None)
    assert [code_of(one.msg) for one in caplog.records] == ["VEN-INF-063"]


async def test_the_neighbours_of_a_window_are_the_nearest_of_both() -> None:
    """The last before it and the first after it may be missing, too."""
    bench = Bench()
    bench.store.add([at(10 * n, n) for n in range(10)])
    await bench.store.flush()
    lost(bench, 20, 60)
    start, end = NOON + timedelta(seconds=30), NOON + timedelta(seconds=50)

    window = await bench.store.window("hotel", start, end)
    assert [one.value for one in window[POWER_KW]] == [2, 3, 4, 5, 6]


async def test_a_bucket_that_is_empty_gives_what_the_journal_has() -> None:
    """Also a quantity, and a resource, that it has nothing of."""
    bench = Bench()
    energy = Reading("bar", "energy_kwh", 5, NOON)
    bench.store.add([at(0, 1), at(0, 2, "bar"), energy])
    await bench.store.flush()
    bench.influx.points.clear()

    found = await bench.store.windows(["hotel", "bar"], NOON, NOON + timedelta(minutes=1))
    assert found == {
        "hotel": {POWER_KW: [at(0, 1)]},
        "bar": {POWER_KW: [at(0, 2, "bar")], "energy_kwh": [energy]},
    }


async def test_what_the_journal_has_let_go_comes_from_influxdb() -> None:
    """History that is older than the journal keeps."""
    bench = Bench()
    bench.store.add([at(0, 1), at(10, 2)])
    await bench.store.flush()
    del bench.journal._values["hotel"][POWER_KW][NOON]

    assert await bench.values() == [1, 2]
    assert bench.store.fallbacks == 0


async def test_a_journal_that_cannot_be_read_leaves_what_influxdb_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A damaged file does not keep reports from the history that is there."""
    bench = Bench()
    bench.store.add([at(0, 1)])
    await bench.store.flush()

    async def broken(*_: object) -> Found:
        raise StoreError("damaged")

    monkeypatch.setattr(bench.journal, "windows", broken)
    assert await bench.values() == [1]


async def test_a_refused_reading_is_no_hole_in_a_report() -> None:
    """A type conflict in InfluxDB costs nothing here."""
    bench = Bench()
    bench.influx.refuse = lambda points: (
        Verdict("refused", "type conflict", dropped=len(points))
        if any(point[2].get(POWER_KW) == 2 for point in points)
        else None
    )
    bench.store.add([at(0, 1)])
    await bench.store.flush()
    bench.store.add([at(10, 2)])
    await bench.store.flush()

    assert await bench.values() == [1, 2]
    assert len(bench.influx.points) == 1


async def test_roll_ups_are_the_same_whatever_influxdb_lost(tmp_path: Path) -> None:
    """The reports of an hour with holes are those of the journal alone, with a journal on disk."""
    clock = ManualClock(NOON)
    journal = SqliteReadings(tmp_path / "readings.db", clock)
    influx = MemoryInflux()
    forwarder = Forwarder(journal, influx, {"hotel": Tags(), "bar": Tags()}, clock, history=timedelta(days=1))
    store = InfluxReadings(journal, forwarder, influx)
    store.add([at(10 * n, n % 7, name) for n in range(360) for name in ("hotel", "bar")])
    await store.flush()
    for n in range(50, 200):
        del influx.points["hotel", int(NOON.timestamp() * 1000) + 10_000 * n]
    grid = [(NOON + timedelta(minutes=n), NOON + timedelta(minutes=n + 5)) for n in range(0, 60, 5)]

    assert await measures(store, ["hotel", "bar"], grid) == await measures(journal, ["hotel", "bar"], grid)
    assert (store.fallbacks, store.holes) == (1, 150)
    await store.close()
