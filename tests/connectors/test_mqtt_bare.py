"""Bare numbers, payloads without a time, through a real broker into the readings file: each becomes a row."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.connectors.sites import make_site
from tests.connectors.test_mqtt import TOPIC, meter, publish
from tests.counted import full_count
from tests.peers import mosquitto
from venclient.clock import SystemClock
from venclient.connectors.mqtt import open_mqtt_reader
from venclient.connectors.poller import Poller
from venclient.intake import Intake
from venclient.model.resource import Resource
from venclient.notes import Notes
from venclient.readings.measures import measures
from venclient.readings.series import from_ms, to_ms
from venclient.readings.sqlite import SqliteReadings
from venclient.readings.tables import open_tables

KILLS = full_count(4)
EACH = 250
FAR_MS = 4_000_000_000_000
NUMBERS = {"values": [{"path": "", "quantity": "number"}]}
ENERGY = {"values": [{"path": "", "quantity": "interval_energy_kwh"}]}


class Gateway:
    """What the gateway has between a broker and the readings file."""

    def __init__(self, folder: Path, resource: Resource) -> None:
        clock = SystemClock()
        self.file = folder / "readings.db"
        self.store = SqliteReadings(self.file, clock, commit_period_s=0.2)
        self.intake = Intake(
            self.store, [resource], clock, Notes(), trust="always", vtn_skew_s=lambda: None, boot="this"
        )
        site = make_site(folder, self.intake.clock, is_stored=self.store.is_stored)
        self.reader = reader = open_mqtt_reader(resource, site)
        self.poller = Poller(
            reader, name=resource.resourceName, deliver=self.intake.keep, clock=self.intake.clock
        )

    async def run(self) -> None:
        """Read and store until cancelled."""
        async with asyncio.TaskGroup() as group:
            for work in (self.store.run(), self.intake.run(), self.poller.run()):
                group.create_task(work)

    async def acknowledged(self) -> None:
        """Return when nothing that came is left to be stored."""
        async with asyncio.timeout(60):
            while self.reader._inbox.pending:  # noqa: ASYNC110 (a broker sets no event of ours)
                await asyncio.sleep(0.02)

    async def stored(self, count: int) -> None:
        """Return when `count` rows are committed."""
        async with asyncio.timeout(60):
            while self.store.stats().readings < count:  # noqa: ASYNC110 (a broker sets no event of ours)
                await asyncio.sleep(0.02)


@asynccontextmanager
async def running(folder: Path, resource: Resource) -> AsyncIterator[Gateway]:
    """Run a gateway, and stop it on the way out."""
    gateway = Gateway(folder, resource)
    task = asyncio.create_task(gateway.run())
    try:
        yield gateway
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await gateway.store.close()


def rows(file: Path) -> list[tuple[int, float]]:
    """Return milliseconds and value of each row of a readings file, in the order of time."""
    tables = open_tables(file, read_only=True)
    found = [(to_ms(row.time), row.value) for row in tables.rows(from_ms(0), from_ms(FAR_MS))]
    tables.close()
    return found


async def queued(folder: Path, port: int, resource: Resource, payloads: Sequence[str]) -> None:
    """Make the session of a resource, end it, and publish what the broker then keeps."""
    async with running(folder, resource) as gateway:
        async with asyncio.timeout(60):
            while gateway.poller.health.state != "ok":
                await publish(port, (TOPIC, "-1"))
        await gateway.acknowledged()
    if payloads:
        await publish(port, *((TOPIC, payload) for payload in payloads))


@pytest.mark.peer
@pytest.mark.parametrize("window", ["20", "1000"])
async def test_a_thousand_queued_numbers_become_a_thousand_rows(
    tmp_path: Path, free_port: int, window: str
) -> None:
    """What the broker kept is stored whole, in order, and counted as rows."""
    resource = meter(free_port, options=NUMBERS)
    lines = ("allow_anonymous true", "max_queued_messages 0", f"max_inflight_messages {window}")
    with mosquitto(tmp_path / "broker", free_port, *lines):
        await queued(tmp_path, free_port, resource, [str(n) for n in range(1000)])
        before = len(rows(tmp_path / "readings.db"))
        async with running(tmp_path, resource) as gateway:
            await gateway.stored(1000)
            stats = gateway.store.stats()
    found = rows(tmp_path / "readings.db")
    assert [value for _, value in found if value >= 0] == list(range(1000))
    assert (stats.readings, stats.rows) == (len(found) - before, {resource.resourceID: len(found) - before})


@pytest.mark.peer
async def test_energies_of_queued_intervals_add_up(tmp_path: Path, free_port: int) -> None:
    """1,000 messages of 1 kWh are 1,000 kWh in the report."""
    resource = meter(free_port, options=ENERGY)
    with mosquitto(tmp_path / "broker", free_port, "allow_anonymous true", "max_queued_messages 0"):
        await queued(tmp_path, free_port, resource, ["1"] * 1000)
        file = tmp_path / "readings.db"
        known = sum(value for _, value in rows(file))
        async with running(tmp_path, resource) as gateway:
            await gateway.stored(1000)
            now = SystemClock().now()
            grid = [(now - timedelta(hours=1), now + timedelta(hours=1))]
            found = await measures(gateway.store, [resource.resourceID], grid)
    (measured,) = found.values()
    assert measured.energy_kwh == pytest.approx(1000 + known)


@pytest.mark.peer
async def test_five_hundred_numbers_a_second_are_stored_each(tmp_path: Path, free_port: int) -> None:
    """Numbers that come at once, again and again, become as many rows in their order."""
    resource = meter(free_port, options=NUMBERS)
    with mosquitto(tmp_path / "broker", free_port, "allow_anonymous true", "max_queued_messages 0"):
        await queued(tmp_path, free_port, resource, [])
        sender = Client(CallbackAPIVersion.VERSION2)
        sender.connect("127.0.0.1", free_port)
        sender.loop_start()
        async with running(tmp_path, resource) as gateway:
            for n in range(1500):
                sender.publish(TOPIC, str(n), qos=1)
                if n % 5 == 4:
                    await asyncio.sleep(0.01)  # the pace of the sender, which no clock of ours drives
            await gateway.stored(1500)
        sender.disconnect()
        sender.loop_stop()
    assert [value for _, value in rows(tmp_path / "readings.db") if value >= 0] == list(range(1500))


CONSUMER = """
import asyncio, sys
from pathlib import Path
from tests.connectors.test_mqtt import meter
from tests.connectors.test_mqtt_bare import NUMBERS, Gateway

async def main(port, folder):
    gateway = Gateway(Path(folder), meter(int(port), options=NUMBERS))
    task = asyncio.create_task(gateway.run())
    for count in range(1, 10**9):
        await gateway.stored(count)
        print(count, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.peer
@pytest.mark.parametrize("are_equal", [False, True])
def test_kills_lose_and_double_no_number(root: Path, tmp_path: Path, free_port: int, are_equal: bool) -> None:
    """Each number is one row, in the order of sending, although the gateway is killed again and again.

    What was stored when it was killed, and not acknowledged as far as the broker knows, comes again and adds
    nothing.
    """
    count = EACH * (KILLS + 1)
    moments = random.Random(5)

    def consume(rows_stored: int) -> None:
        """Run the gateway until it has stored `rows_stored` rows, and kill it."""
        command = [sys.executable, "-c", CONSUMER, str(free_port), str(tmp_path)]
        with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if int(line) >= rows_stored:
                    break
            process.kill()

    with mosquitto(tmp_path / "broker", free_port, "allow_anonymous true", "max_queued_messages 0"):
        asyncio.run(queued(tmp_path, free_port, meter(free_port, options=NUMBERS), []))
        sender = Client(CallbackAPIVersion.VERSION2)
        sender.connect("127.0.0.1", free_port)
        sender.loop_start()
        for kill in range(KILLS + 1):
            for n in range(EACH * kill, EACH * (kill + 1)):
                sent = sender.publish(TOPIC, "1" if are_equal else str(n), qos=1)
            sent.wait_for_publish(60)
            if kill < KILLS:
                consume(moments.randrange(1, EACH // 2))
        sender.disconnect()
        sender.loop_stop()
        consume(count - sum(value >= 0 for _, value in rows(tmp_path / "readings.db")))
        # What may come again comes with the next start.
        asyncio.run(settled(tmp_path, meter(free_port, options=NUMBERS)))
    found = [value for _, value in rows(tmp_path / "readings.db") if value >= 0]
    assert found == [1] * count if are_equal else list(range(count))


async def settled(folder: Path, resource: Resource) -> None:
    """Run a gateway until it has stored a message that was sent after all others."""
    port = resource.connection.port
    assert port is not None
    async with running(folder, resource) as gateway:
        await publish(port, (TOPIC, "-2"))
        await gateway.stored(1)
        await gateway.acknowledged()
