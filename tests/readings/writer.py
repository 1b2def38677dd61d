"""A process that writes readings as fast as it can, saying what was acknowledged; made to be killed.

    python -m tests.readings.writer FILE FIRST PERIOD

prints "a N" when polled reading N was added and "c N" when urgent reading N is committed.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from functools import partial
from pathlib import Path

from venclient.clock import SystemClock
from venclient.model.reading import Reading
from venclient.readings.series import from_ms
from venclient.readings.sqlite import SqliteReadings


async def write(path: Path, first: int, period_s: float) -> None:
    """Add readings until killed: number N has the time and the value N."""
    store = SqliteReadings(path, SystemClock(), commit_period_s=period_s)

    def say(number: int, _: asyncio.Future[None]) -> None:
        print(f"c {number}", flush=True)

    async with asyncio.TaskGroup() as group:
        group.create_task(store.run())
        for start in itertools.count(first + 1, 8):
            for number in range(start, start + 8):
                store.add([Reading("polled", "power_kw", number, from_ms(number))])
                print(f"a {number}", flush=True)
                future = store.add([Reading("urgent", "power_kw", number, from_ms(number))], urgent=True)
                future.add_done_callback(partial(say, number))
            await asyncio.sleep(0.002)


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
