"""A process that stores readings and forwards them to InfluxDB, saying what is committed; made to be killed.

    python -m tests.readings.influx_writer FILE URL FIRST

prints "c N" when reading N is committed; number N has the time and the value N.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from functools import partial
from pathlib import Path

from venclient.clock import SystemClock
from venclient.model.reading import Reading
from venclient.readings import forwarder as forwarding
from venclient.readings.forwarder import Forwarder
from venclient.readings.influx import InfluxServer
from venclient.readings.influx_account import InfluxAccount
from venclient.readings.line_protocol import Tags
from venclient.readings.series import from_ms
from venclient.readings.sqlite import SqliteReadings

START_MS = 1_772_366_400_000


async def write(path: Path, url: str, first: int) -> None:
    """Add readings until killed; every seventh comes late, and positions are written all the time."""
    forwarding.SAVE_PERIOD_S = 0.05
    clock = SystemClock()
    store = SqliteReadings(path, clock, commit_period_s=0.05)

    def say(number: int, done: asyncio.Future[None]) -> None:
        if done.exception() is None:
            print(f"c {number}", flush=True)

    async with InfluxServer(InfluxAccount(url, 1)) as server, asyncio.TaskGroup() as group:
        forwarder = Forwarder(store, server, {"hotel": Tags("571", "ven")}, clock, batch=50, period_s=0.02)
        group.create_task(store.run())
        group.create_task(forwarder.run())
        late: list[int] = []
        for number in itertools.count(first):
            if number % 7 == 0:
                late.append(number)
                continue
            due = [number] if number % 50 else [number, *late]
            if len(due) > 1:
                late.clear()
            for one in due:
                reading = Reading("hotel", "power_kw", one, from_ms(START_MS + 1000 * one))
                forwarder.add([reading]).add_done_callback(partial(say, one))
            await asyncio.sleep(0.001)


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
