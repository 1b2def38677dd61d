"""The SQLite store's own promises: when it commits, what it survives, what it leaves alone."""

from __future__ import annotations

import asyncio
import logging
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest

from venclient.clock import ManualClock
from venclient.errors import StoreError
from venclient.model.reading import ENERGY_KWH, POWER_KW, Quality, Reading
from venclient.readings.sqlite import SqliteReadings
from venclient.readings.tables import open_tables

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(seconds: float, value: float = 1.0, *, resource: str = "hotel", quantity: str = POWER_KW) -> Reading:
    """Return a reading `seconds` after noon."""
    return Reading(resource, quantity, value, NOON + timedelta(seconds=seconds))


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that stands at noon."""
    return ManualClock(NOON)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of the file to be created."""
    return tmp_path / "var" / "readings.db"


@asynccontextmanager
async def running(path: Path, clock: ManualClock, **options: Any) -> AsyncIterator[SqliteReadings]:
    """Yield a store whose commits are made by its own task, and end both."""
    store = SqliteReadings(path, clock, **options)
    task = asyncio.create_task(store.run(), name="readings")
    try:
        yield store
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        with suppress(StoreError):
            await store.close()


async def done(*futures: asyncio.Future[None]) -> None:
    """Wait for futures, in real time: the disk does not follow a turned clock."""
    await asyncio.wait_for(asyncio.gather(*futures), 60)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop and the writing thread go on until a condition holds."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in a thread
            await asyncio.sleep(0)


def limit_pages(store: SqliteReadings, pages: int) -> None:
    """Limit the file to `pages`, as on a full disk."""
    store._desk.tables.connection.execute(f"PRAGMA max_page_count={pages}")


# ---- when it commits


async def test_polled_reading_waits_for_the_commit_period(path: Path, clock: ManualClock) -> None:
    """The commit comes when the oldest reading is as old as the period, and takes all with it."""
    async with running(path, clock, commit_period_s=10) as store:
        first = store.add([at(0)])
        await clock.advance(6)
        second = store.add([at(6)])
        await clock.advance(3.9)
        assert not first.done()

        await clock.advance(0.1)

        await done(first, second)
        assert store.stats().commits == 1


async def test_enough_readings_are_committed_at_once(path: Path, clock: ManualClock) -> None:
    """A full batch does not wait for its period."""
    async with running(path, clock, batch_rows=100) as store:
        await done(*[store.add([at(n)]) for n in range(100)])

        assert clock.monotonic() == 0


async def test_urgent_window_is_committed_at_once(path: Path, clock: ManualClock) -> None:
    """A broker that lets 20 messages be on their way never waits for the period."""
    async with running(path, clock, urgent_count=16) as store:
        for _ in range(3):
            await done(*[store.add([at(n), at(n, quantity=ENERGY_KWH)], urgent=True) for n in range(16)])

        assert (clock.monotonic(), store.stats().commits) == (0, 3)


async def test_counts_are_rows_of_the_file(path: Path, clock: ManualClock) -> None:
    """What comes twice, in one commit or in two, is counted once, for its resource and in all."""
    async with running(path, clock) as store:
        for readings in ([at(0), at(0, 2.0), at(1)], [at(1, 3.0), at(0.5), at(0, resource="bar")]):
            store.add(readings)
            await store.flush()

        stats = store.stats()
        assert (stats.readings, stats.rows) == (4, {"hotel": 3, "bar": 1})


async def test_one_batch_of_many_messages_is_urgent_too(path: Path, clock: ManualClock) -> None:
    """Messages that a source gathered into one add count each."""
    async with running(path, clock, urgent_count=16) as store:
        await done(store.add([at(n) for n in range(16)], urgent=True))

        assert clock.monotonic() == 0


async def test_one_urgent_reading_may_wait_for_the_period(path: Path, clock: ManualClock) -> None:
    """A slow source does not cause a separate commit for every message."""
    async with running(path, clock, commit_period_s=10) as store:
        one = store.add([at(0), at(0, quantity=ENERGY_KWH)], urgent=True)
        await clock.advance(9.9)
        assert not one.done()

        await clock.advance(0.1)

        await done(one)


async def test_small_window_that_fell_quiet_is_committed_early(path: Path, clock: ManualClock) -> None:
    """A broker with a smaller window than ours is not kept waiting for the period."""
    async with running(path, clock, commit_period_s=10) as store:
        few = [store.add([at(n)], urgent=True) for n in range(5)]
        await clock.advance(0.3)

        await done(*few)


async def test_commits_stay_rare_for_many_polled_meters_and_a_few_messages(
    path: Path, clock: ManualClock
) -> None:
    """100 meters each 10 s and a trickle of messages make at most 12 commits a minute, and all is stored."""
    async with running(path, clock, commit_period_s=10) as store:
        await clock.advance(0)
        for second in range(0, 600, 5):
            if second % 10 == 0:
                for meter in range(100):
                    store.add([at(second, resource=f"m{meter}")])
            store.add([at(second, resource="a")], urgent=True)
            store.add([at(second, resource="b")], urgent=True)
            for _ in range(5):
                await clock.advance(1)
                await until(lambda: not store._committing.locked())
        commits = store.stats().commits
        await store.flush()

        assert commits <= 12 * 10
        assert store.stats().readings == 60 * 100 + 240


async def test_flush_commits_now(path: Path, clock: ManualClock) -> None:
    """Whoever needs what was read until now does not wait for the period."""
    async with running(path, clock) as store:
        future = store.add([at(0)])

        await store.flush()

        assert future.done()


# ---- what it survives


async def test_everything_is_there_after_reopening(path: Path, clock: ManualClock) -> None:
    """Readings, latest values and bookmarks are found again, also those of a series that ended long ago."""
    async with running(path, clock) as store:
        store.add([at(0, 1, resource="old")], bookmarks={"file:a": "1"})
        await store.flush()
        clock.step(40 * 86_400)
        store.add([at(40 * 86_400, 2), Reading("hotel", "soc_percent", 50.0, NOON, Quality.STALE)])
        await store.flush()
        store.add([at(40 * 86_400 - 7200, 3, resource="late")], bookmarks={"file:a": "2"})

    async with running(path, clock) as again:
        assert again.bookmark("file:a") == "2"
        assert (await again.latest("old"))[POWER_KW] == at(0, 1, resource="old")
        assert (await again.latest("hotel"))[POWER_KW].value == 2
        assert (await again.latest("hotel"))["soc_percent"].quality is Quality.STALE
        assert (await again.latest("late"))[POWER_KW].value == 3
        assert (await again.window("hotel", NOON, NOON))["soc_percent"][0].value == 50


async def test_latest_is_found_after_hours_of_commits(path: Path, clock: ManualClock) -> None:
    """However the newest keys were saved on the way, reopening finds each series' newest reading."""
    async with running(path, clock) as store:
        for hour in range(6):
            clock.step(3600)
            now = 3600 * hour
            meters = [f"m{n}" for n in range(4) if hour <= n + 1]
            store.add([at(now, hour, resource=name) for name in meters])
            await store.flush()
        expected = {name: await store.latest(name) for name in ("m0", "m1", "m2", "m3")}

    async with running(path, clock) as again:
        assert {name: await again.latest(name) for name in expected} == expected


async def test_full_disk_keeps_polled_readings_and_fails_urgent_ones(
    path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """While commits fail, polled readings wait in memory, replayable ones go back; then all is stored."""
    caplog.set_level(logging.INFO)
    async with running(path, clock) as store:
        store.add([at(-1)], bookmarks={"file:a": "1"})
        await store.flush()
        limit_pages(store, 1)
        polled = store.add([at(n, resource=f"m{n}") for n in range(2000)])
        urgent = store.add([at(0, resource="mqtt")], bookmarks={"file:a": "2"}, urgent=True)

        with pytest.raises(StoreError, match="VEN-RDG-013"):
            await asyncio.wait_for(asyncio.shield(urgent), 60)

        assert store.bookmark("file:a") == "1"
        assert not polled.done()
        await clock.advance(1.0)
        await until(lambda: store.stats().failed_commits >= 2)
        limit_pages(store, 1_000_000)
        await clock.advance(30)
        await done(polled)
        assert store.stats().waiting == 0
        assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.INFO]


async def test_failed_flush_says_so(path: Path, clock: ManualClock) -> None:
    """Who asks for a commit learns that it failed."""
    async with running(path, clock) as store:
        limit_pages(store, 1)
        store.add([at(n) for n in range(900)])

        with pytest.raises(StoreError, match="VEN-RDG-013"):
            await store.flush()

        limit_pages(store, 1_000_000)


async def test_bound_drops_the_oldest_polled_readings(path: Path, clock: ManualClock) -> None:
    """When too many wait for a disk that stays full, the oldest are dropped, counted, and fail."""
    async with running(path, clock, most_waiting=1000, batch_rows=5000) as store:
        limit_pages(store, 1)
        lost = store.add([at(n, resource=f"m{n}") for n in range(600)])
        with pytest.raises(StoreError):
            await store.flush()
        kept = store.add([at(n, 2) for n in range(300)])
        newest = store.add([at(n, 3) for n in range(300, 600)])

        limit_pages(store, 1_000_000)
        await store.flush()

        await done(kept, newest)
        assert store.stats().dropped == 600
        assert isinstance(lost.exception(), StoreError)
        assert len((await store.window("hotel", NOON, NOON + timedelta(hours=1)))[POWER_KW]) == 600


async def test_refused_reading_is_named_once_and_counted(
    path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """An impossible value is said with its series, once, and counted each time."""
    async with running(path, clock) as store:
        for _ in range(3):
            store.add([at(0, float("nan"))])

        stats = store.stats()
        assert stats.refused == 3
        assert stats.last_refused[0].place == "hotel power_kw"
        assert ["hotel power_kw" in record.getMessage() for record in caplog.records] == [True]


async def test_cancelled_task_loses_nothing(path: Path, clock: ManualClock) -> None:
    """Ending the store's task in the middle of a commit leaves it to close, which stores everything."""
    store = SqliteReadings(path, clock, batch_rows=10)
    task = asyncio.create_task(store.run())
    futures = [store.add([at(n)]) for n in range(10)]
    await until(store._committing.locked)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

    await store.close()

    await done(*futures)


async def test_waiter_that_gave_up_disturbs_nothing(path: Path, clock: ManualClock) -> None:
    """A cancelled future neither stops the commit nor loses the reading."""
    async with running(path, clock) as store:
        store.add([at(0)]).cancel()

        await store.flush()

        assert store.stats().readings == 1


# ---- what it lets go


async def test_old_readings_go_by_their_age(path: Path, clock: ManualClock) -> None:
    """Readings older than the retention leave; the quarters that were made of them stay."""
    async with running(path, clock, retention_days=1) as store:
        store.add([at(n) for n in range(6000)])
        await store.flush()
        clock.step(3 * 86_400)
        store.add([at(3 * 86_400)])
        await store.upkeep()

        assert store.stats().pruned == 6000
        assert len((await store.window("hotel", NOON, NOON + timedelta(days=3)))[POWER_KW]) == 1
        kept = await store.quarters(["hotel"], NOON, NOON + timedelta(days=1))
        assert [quarter.value for quarter in kept["hotel"][POWER_KW]] == pytest.approx([1.0] * 7)


# ---- the file


async def test_file_is_private_and_has_a_view_for_people(path: Path, clock: ManualClock) -> None:
    """The file is for its owner only, and plain SQL finds names and times in it."""
    async with running(path, clock) as store:
        store.add([Reading("hotel", POWER_KW, 2.5, NOON + timedelta(milliseconds=1500), Quality.ESTIMATED)])

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    rows = apsw.Connection(str(path)).execute("SELECT * FROM readings").fetchall()
    assert rows == [("hotel", POWER_KW, "2026-03-01T12:00:01.500Z", 2.5, "estimated")]


def test_file_of_another_kind_is_named_and_left_alone(path: Path, clock: ManualClock) -> None:
    """What never was an SQLite file is refused with its name and is not overwritten."""
    content = b"time,value\n" * 500
    path.parent.mkdir()
    path.write_bytes(content)

    with pytest.raises(StoreError, match=r"readings\.db: .*VEN-RDG-012"):
        SqliteReadings(path, clock)

    assert path.read_bytes() == content


def test_another_programs_database_is_left_alone(path: Path, clock: ManualClock) -> None:
    """A database that is not ours is refused and keeps every byte."""
    path.parent.mkdir()
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE resources(id TEXT)")
    other.close()
    before = path.read_bytes()

    with pytest.raises(StoreError, match="VEN-RDG-010"):
        SqliteReadings(path, clock)

    assert path.read_bytes() == before


async def test_newer_layout_is_refused(path: Path, clock: ManualClock) -> None:
    """A file of a later version is not touched by an older program."""
    async with running(path, clock):
        pass
    other = apsw.Connection(str(path))
    other.execute("PRAGMA user_version=99")
    other.close()

    with pytest.raises(StoreError, match="VEN-RDG-011"):
        SqliteReadings(path, clock)


def test_folder_that_cannot_be_made_is_said(tmp_path: Path, clock: ManualClock) -> None:
    """A path below a file is an error with the path in it."""
    (tmp_path / "var").write_text("")

    with pytest.raises(StoreError, match=r"var/readings\.db"):
        SqliteReadings(tmp_path / "var" / "readings.db", clock)


async def test_file_can_be_read_while_it_is_written(path: Path, clock: ManualClock) -> None:
    """Another reader sees what is committed while the store has the file open."""
    async with running(path, clock) as store:
        store.add([at(0), at(1)])
        await store.flush()

        tables = open_tables(path, read_only=True)

        assert list(tables.rows(NOON, NOON + timedelta(seconds=1))) == [at(0)]
        assert tables.latest() == {"hotel": {POWER_KW: at(1)}}
        assert tables.check() == []
        tables.close()
