"""What the mirror relies on of an InfluxDB 2, for the one in memory and for a real one alike."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest

from venclient.clock import ManualClock
from venclient.model.reading import POWER_KW, Quality, Reading
from venclient.readings.delivery import Destination
from venclient.readings.forwarder import Forwarder
from venclient.readings.influx_query import window_of
from venclient.readings.line_protocol import Tags
from venclient.readings.mirror import History, InfluxReadings
from venclient.readings.refill import Refill
from venclient.readings.series import to_ms
from venclient.readings.sqlite import SqliteReadings
from venclient.readings.tables import Tables, open_tables

METERS = [f"meter-{n}" for n in range(10)]
WEEK = timedelta(days=7)


class Bucket(Destination, History, Protocol):
    """A bucket that can be written and asked."""


class Peer(Protocol):
    """An InfluxDB 2 with buckets."""

    def make(self, bucket: str, keeps: timedelta | None = None) -> Bucket:
        """Make a bucket that keeps points for that time; without `keeps` all of them."""
        ...

    def open(self, bucket: str) -> Bucket:
        """Return a bucket that was made, as the next process opens it."""
        ...

    def points(self, bucket: str, resource_id: str) -> dict[int, float]:
        """Return what is in a bucket of one resource's power, by milliseconds, past all code of ours."""
        ...

    def delete(self, bucket: str, start: datetime, end: datetime) -> None:
        """Delete what a bucket holds of start <= time < end."""
        ...


class Site:
    """A journal on disk, whose clock is about right and stands still, and what forwards from it."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(datetime.now(UTC).replace(microsecond=0))
        self.started = self.clock.now()
        self.path = folder / "readings.db"
        self.journal = SqliteReadings(self.path, self.clock)

    def forwarder(self, bucket: Bucket, batch: int = 5000) -> Forwarder:
        """Return a forwarder to a bucket, as a gateway that has just started has."""
        return Forwarder(
            self.journal,
            bucket,
            {name: Tags(f"57{n:016}", "Herning") for n, name in enumerate(METERS)},
            self.clock,
            batch=batch,
            history=timedelta(days=400),
            rng=random.Random(1),
        )

    def at(self, ago: timedelta, value: float = 1.0, resource: str = METERS[0]) -> Reading:
        """Return a reading of some time ago."""
        return Reading(resource, POWER_KW, value, self.clock.now() - ago)

    def refill(self, tables: Tables, bucket: Bucket, back: timedelta, batch: int = 5000) -> Refill:
        """Return a run of `ven readings mirror` that goes back so far."""
        return Refill(
            tables,
            bucket,
            {name: Tags(f"57{n:016}", "Herning") for n, name in enumerate(METERS)},
            self.clock,
            since=self.started - back,
            batch=batch,
            state=self.path.with_name("mirror"),
        )

    async def store(self, readings: Sequence[Reading], forwarder: Forwarder | None = None) -> None:
        """Add and commit, past the forwarder or through it."""
        (forwarder or self.journal).add(readings)
        await self.journal.flush()
        await asyncio.sleep(0)  # the forwarder hears of it one turn of the event loop later

    async def stop(self, forwarder: Forwarder) -> None:
        """End a forwarder as a gateway that stops does."""
        forwarder.save()
        await self.journal.flush()


def spread(site: Site, count: int, step: timedelta, meters: int) -> list[Reading]:
    """Return `count` readings of `meters`, all older than a week."""
    return [
        site.at(WEEK + timedelta(hours=1) + step * (n // meters + 1), n, METERS[n % meters])
        for n in range(count)
    ]


class InfluxContract:
    """The tests; a subclass gives the fixture `peer`, its module the fixture `site`."""

    @pytest.mark.parametrize(
        ("step", "meters"),
        [
            (timedelta(seconds=1), 1),
            (timedelta(seconds=10), 10),
            (timedelta(minutes=1), 1),
            (timedelta(minutes=15), 1),
            (timedelta(minutes=15), 10),
            (timedelta(hours=1), 3),
        ],
    )
    @pytest.mark.parametrize("late", [False, True])
    async def test_4000_readings_that_are_too_old_take_few_requests(
        self, peer: Peer, site: Site, step: timedelta, meters: int, late: bool
    ) -> None:
        """Waiting in the journal or stored while the gateway runs: at most ten, and each is accounted for."""
        bucket = peer.make("meter_data", WEEK)
        forwarder = site.forwarder(bucket)
        old = spread(site, 4000, step, meters)
        live = [site.at(timedelta(minutes=n), 1000 + n, name) for n in range(3) for name in METERS]
        if late:
            await site.store(live, forwarder)
            await forwarder.drain()
            await site.store(old, forwarder)
        else:
            await site.store([*old, *live])
        await forwarder.drain()

        status = forwarder.status()
        assert status["requests"] <= 10
        assert (status["rejected"], status["sent"], status["state"]) == (4000, 30, "ok")
        assert all(len(peer.points("meter_data", name)) == 3 for name in METERS)

    async def test_live_readings_do_not_wait_behind_a_backlog_that_is_too_old(
        self, peer: Peer, site: Site
    ) -> None:
        """20,000 readings of before the bucket's time, and some of within: today's arrive next."""
        bucket = peer.make("meter_data", WEEK)
        forwarder = site.forwarder(bucket, batch=500)
        young = [site.at(timedelta(minutes=10 * n), n) for n in range(900)]
        await site.store([*spread(site, 20_000, timedelta(seconds=10), 10), *young])
        while not peer.points("meter_data", METERS[0]):
            await forwarder.step()
        assert forwarder.status()["requests"] <= 4
        assert site.clock.now().timestamp() * 1000 in peer.points("meter_data", METERS[0])

        await site.store([site.at(timedelta(seconds=-1), 5)], forwarder)
        before = forwarder.status()["requests"]
        await site.clock.advance(10)
        await forwarder.step()

        assert max(peer.points("meter_data", METERS[0])) == site.clock.now().timestamp() * 1000 - 9000
        assert forwarder.status()["requests"] == before + 1
        await forwarder.drain()
        assert len(peer.points("meter_data", METERS[0])) == 901
        assert forwarder.status()["rejected"] == 20_000
        assert forwarder.status()["requests"] <= 20

    async def test_what_the_bucket_keeps_of_a_backlog_arrives_whole(self, peer: Peer, site: Site) -> None:
        """Two weeks of hours: one week is there, to the last reading, and the other is accounted for."""
        bucket = peer.make("meter_data", WEEK)
        forwarder = site.forwarder(bucket, batch=100)
        readings = [site.at(timedelta(hours=n, seconds=-1), n, name) for n in range(337) for name in METERS]
        await site.store(readings)
        await forwarder.drain()

        status = forwarder.status()
        there = [peer.points("meter_data", name) for name in METERS]
        assert all(set(found.values()) >= set(range(1, 168)) for found in there)
        assert status["sent"] == sum(map(len, there))
        assert status["sent"] + status["rejected"] == len(readings)

    async def test_another_bucket_gets_everything_and_the_first_goes_on_where_it_was(
        self, peer: Peer, site: Site
    ) -> None:
        """Nothing is missing in either, and what one has already is not sent to it again."""
        first, second = peer.make("first"), peer.make("second")
        forwarder = site.forwarder(first)
        await site.store([site.at(timedelta(hours=3), 1), site.at(timedelta(hours=2), 2)], forwarder)
        await forwarder.drain()
        await site.stop(forwarder)

        forwarder = site.forwarder(second)
        await site.store([site.at(timedelta(hours=1), 3)], forwarder)
        # Late: the first bucket lacks it, too, and has its position behind it already.
        await site.store([site.at(timedelta(hours=2, minutes=30), 4)], forwarder)
        await forwarder.drain()
        await site.stop(forwarder)
        assert sorted(peer.points("second", METERS[0]).values()) == [1, 2, 3, 4]

        forwarder = site.forwarder(peer.open("first"))
        await forwarder.drain()
        assert sorted(peer.points("first", METERS[0]).values()) == [1, 2, 3, 4]
        # The late one with what came after it.
        assert forwarder.status()["sent"] == 3

    async def test_what_the_bucket_lost_is_read_from_the_journal(self, peer: Peer, site: Site) -> None:
        """Somebody deleted an hour of it, or the bucket is another of the same name."""
        bucket = peer.make("meter_data")
        forwarder = site.forwarder(bucket)
        store = InfluxReadings(site.journal, forwarder, bucket)
        hours = [
            Reading(METERS[0], POWER_KW, n, site.at(timedelta(hours=n)).time, quality(n)) for n in range(6)
        ]
        store.add(hours)
        await store.flush()
        start, end = hours[-1].time, hours[0].time
        whole = await store.window(METERS[0], start, end)
        assert (whole, store.fallbacks) == ({POWER_KW: hours[::-1]}, 0)
        peer.delete("meter_data", hours[4].time, hours[1].time)

        assert await store.window(METERS[0], start, end) == whole
        assert store.fallbacks == 1

    async def test_a_bucket_that_lost_everything_is_filled_again(self, peer: Peer, site: Site) -> None:
        """From a date on, while the gateway goes on; what the bucket does not keep is counted."""
        bucket = peer.make("meter_data", WEEK)
        forwarder = site.forwarder(bucket)
        old = spread(site, 500, timedelta(minutes=15), 2)
        young = [site.at(timedelta(minutes=10 * n), n, name) for n in range(300) for name in METERS[:2]]
        await site.store([*old, *young], forwarder)
        await forwarder.drain()
        bucket = peer.make("meter_data", WEEK)
        with closing(open_tables(site.path, read_only=True)) as tables:
            refill = site.refill(tables, bucket, timedelta(days=60))
            await site.store([site.at(timedelta(seconds=-1), 7)], forwarder)
            await refill.run()
        assert len(peer.points("meter_data", METERS[0])) == 300
        assert (refill.sent, refill.rejected) == (600, 500)
        assert peer.points("meter_data", METERS[1])[to_ms(young[-1].time)] == 299

    async def test_what_was_written_comes_back(self, peer: Peer, site: Site) -> None:
        """Values to the last bit, qualities, and the neighbours of a window."""
        bucket = peer.make("meter_data")
        forwarder = site.forwarder(bucket)
        values = [0.1, 1 / 3, -1e-300, 1e300, 123456789.123456789, -7, 0]
        readings = [
            Reading(METERS[n % 2], POWER_KW, value, site.at(timedelta(minutes=n)).time, quality(n))
            for n, value in enumerate(values)
        ]
        await site.store(readings, forwarder)
        await forwarder.drain()
        window = window_of(METERS[:2], readings[4].time, readings[2].time)

        found = await bucket.windows(window)
        assert found == await site.journal.windows(METERS[:2], readings[4].time, readings[2].time)


def quality(n: int) -> Quality:
    """Return one of the qualities in turn."""
    return (Quality.GOOD, Quality.ESTIMATED, Quality.GOOD, Quality.STALE)[n % 4]
