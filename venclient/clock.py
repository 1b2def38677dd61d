"""Where time comes from: everything that needs the time of day or waits takes a `Clock`.

`SystemClock` is the machine's. `ManualClock` stands still until a test turns it: a day passes in
milliseconds and no test sleeps.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from venclient.messages import library as lib


class Clock(Protocol):
    """Time of day and waiting, as one thing that can be replaced."""

    def now(self) -> datetime:
        """Return the time of day, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds since an arbitrary point; never decreases."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of this clock (at once when zero or negative)."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the time of day, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds since an arbitrary point; never decreases."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        await asyncio.sleep(max(0.0, seconds))


async def rest(clock: Clock, seconds: float, woken: asyncio.Event) -> None:
    """Return after `seconds` of the clock, or as soon as `woken` is set."""
    waits = [asyncio.ensure_future(clock.sleep(seconds)), asyncio.ensure_future(woken.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waits:
            one.cancel()


class ManualClock:
    """A clock that moves only when turned; sleepers wake in the order of their deadlines."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        if start.tzinfo is None:
            raise ValueError(lib.NAIVE_START())
        self._start = start.astimezone(UTC)
        self._elapsed_s = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> datetime:
        """Return the time that the clock was turned to."""
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic(self) -> float:
        """Return the seconds that the clock was turned by since it was made."""
        return self._elapsed_s

    async def sleep(self, seconds: float) -> None:
        """Return once the clock was turned by `seconds`."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed_s + seconds, next(self._order), future))
        await future

    async def advance(self, seconds: float, *, settle: int = 20) -> None:
        """Turn the clock on, waking each sleeper at its own moment.

        `settle` is how often the event loop runs after each wake-up: what a sleeper does next (another
        sleep, say) is seen before time goes on.
        """
        target_s = self._elapsed_s + seconds
        await self._settle(settle)
        while self._sleepers and self._sleepers[0][0] <= target_s:
            deadline_s, _, future = heapq.heappop(self._sleepers)
            self._elapsed_s = max(self._elapsed_s, deadline_s)
            if not future.done():
                future.set_result(None)
            await self._settle(settle)
        self._elapsed_s = target_s
        await self._settle(settle)

    def step(self, seconds: float) -> None:
        """Move the time of day without letting time pass, as a clock correction does."""
        self._start += timedelta(seconds=seconds)

    @staticmethod
    async def _settle(rounds: int) -> None:
        for _ in range(rounds):
            await asyncio.sleep(0)
