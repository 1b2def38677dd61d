"""InfluxDB away for two days, and then back, while meters are read: with servers that we did not write."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.peers import influxd, pick_port, victoria_metrics
from venclient.clock import SystemClock
from venclient.connectors.base import Batch
from venclient.connectors.poller import Deliver, Poller
from venclient.model.reading import POWER_KW, Reading
from venclient.readings.forwarder import Forwarder
from venclient.readings.influx import InfluxServer
from venclient.readings.influx_account import InfluxAccount
from venclient.readings.influx_answers import Verdict
from venclient.readings.line_protocol import Tags
from venclient.readings.mirror import InfluxReadings
from venclient.readings.series import from_ms, to_ms
from venclient.readings.sqlite import SqliteReadings
from venclient.readings.tables import open_tables

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600)]

HOURS = 48
METERS = [f"meter-{n}" for n in range(10)]
EACH_S = 10
POLL_S = 1.0
BATCH = 5000
LIMIT_S = 120


class TurnedClock(SystemClock):
    """The machine's clock, turned back, and on by hand."""

    def __init__(self) -> None:
        self.turned = timedelta(hours=-HOURS - 1)

    def now(self) -> datetime:
        """Return the time that it was turned to."""
        return super().now() + self.turned

    def monotonic(self) -> float:
        """Return seconds that count the turns as well."""
        return super().monotonic() + self.turned.total_seconds()


class Meter:
    """A polled meter that answers at once; `slots` are the moments at which it was asked."""

    interval_s: float | None = POLL_S
    timeout_s = 10.0

    def __init__(self, name: str, clock: TurnedClock) -> None:
        self._name = name
        self._clock = clock
        self.slots: list[int] = []

    async def read(self) -> Batch:
        """Return the values it shows."""
        now = self._clock.now()
        self.slots.append(math.floor(now.timestamp() / POLL_S))
        return Batch([Reading(self._name, POWER_KW, 1.0, now)])

    async def close(self) -> None:
        """Nothing is open."""


class Watched(InfluxServer):
    """The server's client, which notes how many lines go out at once."""

    most = 0

    async def write(self, lines: bytes, *, now: datetime) -> Verdict:
        """Send lines."""
        self.most = max(self.most, lines.count(b"\n") + 1)
        return await super().write(lines, now=now)


def starved_s() -> float:
    """Return how long the threads of this process were ready to run while others had the processors.

    0 where the system does not count it.
    """
    total_ns = 0
    for path in Path("/proc/self/task").glob("*/schedstat"):
        with suppress(OSError):  # a thread that has just ended
            total_ns += int(path.read_text().split()[1])
    return total_ns / 1e9


def times_of_1(url: str) -> dict[str, list[int]]:
    """Return the times of all points of an InfluxDB 1, by resource."""
    text = "SELECT power_kw FROM meter_reading GROUP BY resource_id"
    with httpx2.Client(trust_env=False, timeout=60) as http:
        answer = http.post(f"{url}/query", params={"db": "meter_data", "epoch": "ms"}, data={"q": text})
    return {
        one["tags"]["resource_id"]: [ms for ms, _ in one["values"]]
        for one in answer.json()["results"][0].get("series", [])
    }


def times_of_2(url: str) -> dict[str, list[int]]:
    """Return the times of all points of a VictoriaMetrics, by resource."""
    with httpx2.Client(trust_env=False, timeout=60) as http:
        http.get(f"{url}/internal/force_flush")
        answer = http.get(f"{url}/api/v1/export", params={"match[]": "meter_reading_power_kw"})
    found: dict[str, list[int]] = {}
    for line in answer.text.splitlines():
        one: dict[str, Any] = json.loads(line)
        found.setdefault(one["metric"]["resource_id"], []).extend(one["timestamps"])
    return {name: sorted(times) for name, times in found.items()}


@pytest.mark.parametrize("version", [1, 2])
async def test_two_days_away_are_caught_up_with_while_no_reading_is_late(
    tmp_path: Path, version: int
) -> None:
    """48 hours of ten meters wait in the journal; when InfluxDB comes, all of it follows in bounded parts,
    and the meters that are read meanwhile are read in each of their seconds that the machine leaves us.
    """
    clock = TurnedClock()
    port = pick_port()
    account = InfluxAccount(f"http://127.0.0.1:{port}", 1)
    if version == 2:
        account = InfluxAccount(f"http://127.0.0.1:{port}", 2, org="site", token="a-token")
    journal = SqliteReadings(tmp_path / "readings.db", clock)
    most_in_memory = 0
    windows = journal.windows

    async def watched(ids: Sequence[str], start: datetime, end: datetime) -> Any:
        nonlocal most_in_memory
        found = await windows(ids, start, end)
        read = sum(len(one) for series in found.values() for one in series.values())
        most_in_memory = max(most_in_memory, read)
        return found

    journal.windows = watched  # type: ignore[method-assign, assignment]
    async with Watched(account) as server:
        forwarder = Forwarder(
            journal, server, {name: Tags("571") for name in METERS}, clock, batch=BATCH, period_s=1
        )
        store = InfluxReadings(journal, forwarder, server)
        count = await two_days_away(store, forwarder, clock)
        assert forwarder.status()["state"] == "away"
        assert forwarder.status()["lag_s"] >= (HOURS - 1) * 3600

        meters = [Meter(name, clock) for name in METERS]
        pollers = [
            Poller(meter, name=name, deliver=delivery_to(store), clock=clock)
            for name, meter in zip(METERS, meters, strict=True)
        ]
        peer = (
            influxd(tmp_path / "server", port)
            if version == 1
            else victoria_metrics(tmp_path / "server", port)
        )
        with peer as url:
            clock.turned += timedelta(minutes=2)  # it is tried again at the latest after a minute
            starved_before_s = starved_s()
            works = (journal.run(), *(poller.run() for poller in pollers), forwarder.run())
            tasks = [asyncio.create_task(work) for work in works]
            async with asyncio.timeout(LIMIT_S):
                while forwarder.status()["state"] != "ok" or len(meters[0].slots) < 5:  # noqa: ASYNC110
                    await asyncio.sleep(0.2)  # a real server is at work
            missed = [poller.health.missed for poller in pollers]
            starved = math.floor(starved_s() - starved_before_s)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await journal.flush()
            await asyncio.sleep(0)  # the forwarder hears of a commit one turn of the event loop later
            await forwarder.drain()
            found = await asyncio.to_thread(times_of_1 if version == 1 else times_of_2, url)
        await store.close()
    kept = journal_times(tmp_path / "readings.db")

    assert found == kept
    assert {len(times) for times in kept.values()} == {count + len(meters[0].slots)}
    # Only what others on this machine took from us may be missing: on a free machine nothing.
    assert max(missed) <= starved
    for meter in meters:
        assert meter.slots == sorted(set(meter.slots))
        assert meter.slots[-1] - meter.slots[0] + 1 - len(meter.slots) <= starved
    assert server.most <= BATCH
    assert most_in_memory <= 4 * BATCH


def delivery_to(store: InfluxReadings) -> Deliver:
    """Return the function that takes a poller's batches to the store."""

    async def deliver(batch: Batch) -> None:
        store.add(batch.readings)

    return deliver


def journal_times(path: Path) -> dict[str, list[int]]:
    """Return the times of all readings in the journal, by resource."""
    tables = open_tables(path, read_only=True)
    try:
        return {
            name: [to_ms(row.time) for row in tables.rows(from_ms(0), from_ms(4_000_000_000_000), name)]
            for name in METERS
        }
    finally:
        tables.close()


async def two_days_away(store: InfluxReadings, forwarder: Forwarder, clock: TurnedClock) -> int:
    """Let two days pass in which meters are read without InfluxDB; return how many readings each has."""
    begun = to_ms(clock.now())
    step = 1000 * EACH_S
    for hour in range(HOURS):
        first = begun + hour * 3_600_000
        moments = [from_ms(ms) for ms in range(first, first + 3_600_000, step)]
        store.add([Reading(name, POWER_KW, float(hour), moment) for name in METERS for moment in moments])
        clock.turned += timedelta(hours=1)
        await store.flush()
        await forwarder.step_or_say()
    return HOURS * 3600 // EACH_S
