"""A journal on disk, an InfluxDB in memory, and the forwarder between them."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.fakes.influx import MemoryInflux
from venclient.clock import ManualClock
from venclient.model.reading import POWER_KW, Reading
from venclient.readings.forwarder import Forwarder
from venclient.readings.influx_answers import Verdict
from venclient.readings.line_protocol import Tags
from venclient.readings.sqlite import SqliteReadings

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
AWAY = Verdict("later", "connection refused")
TAGS = {"hotel": Tags("571", "Herning"), "bar": Tags("572", "Herning")}


def at(seconds: float, value: float = 1.0, resource: str = "hotel", quantity: str = POWER_KW) -> Reading:
    """Return a reading `seconds` after noon."""
    return Reading(resource, quantity, value, NOON + timedelta(seconds=seconds))


class Bench:
    """A journal, an InfluxDB in memory, and what forwards between them; `again` is after a crash."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "readings.db"
        self.clock = ManualClock(NOON)
        self.influx = MemoryInflux()
        self.journal = SqliteReadings(self.path, self.clock)
        self.forwarder = self.make()

    def make(self, batch: int = 5000, days: float = 0.5) -> Forwarder:
        """Return a forwarder on the journal."""
        return Forwarder(
            self.journal,
            self.influx,
            TAGS,
            self.clock,
            batch=batch,
            period_s=10,
            history=timedelta(days=days),
            rng=random.Random(1),
        )

    async def put(self, *readings: Reading) -> None:
        """Add and commit."""
        future = self.forwarder.add(readings)
        await self.journal.flush()
        await future
        await asyncio.sleep(0)  # the forwarder hears of it one turn of the event loop later

    async def turn(self, seconds: float) -> None:
        """Let `seconds` pass, as `run` would: step, rest, step."""
        until_s = self.clock.monotonic() + seconds
        while self.clock.monotonic() < until_s:
            rest_s = await self.forwarder.step_or_say()
            await self.clock.advance(min(rest_s, until_s - self.clock.monotonic()))

    async def again(self) -> None:
        """Go on as a new process does, with what is on the card; what was not committed is lost."""
        self.journal._waiting.clear()  # the crash: nothing that waits is committed on the way out
        await self.journal.close()
        self.journal = SqliteReadings(self.path, self.clock)
        self.forwarder = self.make()
