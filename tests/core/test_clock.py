"""Clocks: the one of the machine, and the one that tests turn."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from venclient.clock import ManualClock, SystemClock


async def test_sleepers_wake_in_the_order_of_their_deadlines() -> None:
    """Turning the clock wakes each sleeper at its own moment, the earliest first."""
    clock = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
    woken: list[tuple[str, datetime]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.now()))

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("late", 20))
        group.create_task(sleeper("early", 5))
        await clock.advance(30)

    start = datetime(2026, 3, 1, tzinfo=UTC)
    assert woken == [("early", start + timedelta(seconds=5)), ("late", start + timedelta(seconds=20))]
    assert clock.monotonic() == 30


async def test_a_loop_of_sleeps_runs_as_often_as_time_allows() -> None:
    """A task that sleeps again and again is woken for each of its sleeps within one turn of the clock."""
    clock = ManualClock()
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await clock.sleep(10)
            ticks += 1

    task = asyncio.create_task(tick())
    await clock.advance(100)
    task.cancel()

    assert ticks == 10


async def test_a_step_moves_the_time_of_day_and_nothing_else() -> None:
    """A corrected clock jumps; the monotonic time does not."""
    clock = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
    clock.step(-3600)

    assert clock.now() == datetime(2026, 2, 28, 23, tzinfo=UTC)
    assert clock.monotonic() == 0


def test_the_machines_clock_is_aware_and_utc() -> None:
    """Times of the system clock carry UTC."""
    assert SystemClock().now().utcoffset() == timedelta(0)
