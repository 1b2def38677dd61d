"""2,000 resources and one cause: at most five lines in the log, and few notes."""

from __future__ import annotations

import asyncio
import logging
import socket
import sqlite3
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.connectors.sites import make_site
from tests.peers import mosquitto
from venclient.clock import ManualClock, SystemClock
from venclient.connectors import open_reader, outages
from venclient.connectors.base import Batch
from venclient.connectors.poller import Poller
from venclient.errors import StoreError
from venclient.intake import Intake
from venclient.messages import code_of
from venclient.messages import connectors as con
from venclient.messages import readings as rdg
from venclient.meters import Meters
from venclient.model.reading import Reading, Reject
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.notes import Notes
from venclient.readings.memory import MemoryReadings
from venclient.readings.sqlite import SqliteReadings
from venclient.registered import Registered, RegistrySource
from venclient.registry.database import ResourceDatabase

MANY = 2_000
LINES = 5
BROKER = ("allow_anonymous true", "max_queued_messages 0")


def resource(number: int, connection: Connection) -> Resource:
    """Return an enabled resource that is read over a connection."""
    name = f"Meter {number}"
    place = {"latitude": 56.1, "longitude": 9.0}
    return Resource(f"m{number}", name, "DSR", None, f"{number}", connection, {}, place, enabled=True)


def closed_port() -> int:
    """Return a port of this machine on which nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def mqtt(number: int, port: int) -> Connection:
    return Connection(ConnectionType.MQTT, ActorType.READER, "127.0.0.1", port, topic=f"site/{number}")


def modbus_unit(number: int, port: int) -> Connection:
    options = {
        "unit": number % 200 + 1,
        "registers": [{"quantity": "power_kw", "address": number, "type": "float32"}],
    }
    return Connection(ConnectionType.MODBUSTCP, ActorType.READER, "127.0.0.1", port, options=options)


def modbus_host(number: int, port: int) -> Connection:
    options = {"registers": [{"quantity": "power_kw", "address": 1, "type": "float32"}]}
    host = f"meter{number}.invalid"
    return Connection(ConnectionType.MODBUSTCP, ActorType.READER, host, port, options=options)


def file(number: int, port: int) -> Connection:
    return Connection(ConnectionType.FILEREADER, ActorType.READER, file=f"share{port}/m{number}.csv")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gather for a shorter time than the gateway does."""
    monkeypatch.setattr(outages, "LOOK_S", 0.05)


@pytest.mark.parametrize("connection", [mqtt, modbus_unit, modbus_host, file])
async def test_an_endpoint_that_is_away_is_few_lines(
    connection: Callable[[int, int], Connection],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    quick: None,
) -> None:
    """A stopped broker, a stopped Modbus gateway, a name server that is away, a file share that is gone."""

    async def no_name(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    if connection is modbus_host:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", no_name)

    async def keep(_: str, __: Batch) -> None:
        """Take no batch: there is none."""

    caplog.set_level(logging.INFO)
    port = closed_port()
    meters = Meters(make_site(tmp_path), keep, SystemClock(), Notes())
    meters.serve({f"m{number}": resource(number, connection(number, port)) for number in range(MANY)})
    work = asyncio.create_task(meters.run())

    def unreachable() -> int:
        return sum(one.poller is not None and one.poller.health.state == "dark" for one in meters)

    try:
        await until(lambda: unreachable() == MANY)
        await until(lambda: lines(caplog) != Counter())
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    assert set(lines(caplog)) <= {"VEN-CON-083", "VEN-CON-283"}
    assert lines(caplog).total() <= LINES


async def until(holds: Callable[[], bool]) -> None:
    """Return when a condition holds; the work that makes it true runs in this loop."""
    async with asyncio.timeout(120):
        while not holds():  # noqa: ASYNC110 (several tasks make it true)
            await asyncio.sleep(0.05)


def lines(caplog: pytest.LogCaptureFixture) -> Counter[str]:
    """Return how often each message of venclient was logged."""
    return Counter(code_of(one.msg) for one in caplog.records if one.name.startswith("venclient"))


async def test_readings_that_no_meter_can_have_are_few_lines_and_notes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Firmware that sends a wrong year to 2,000 meters; each reading is quarantined all the same."""
    clock = ManualClock()
    store, notes = MemoryReadings(), Notes(clock=clock)
    meters = [resource(number, mqtt(number, 1883)) for number in range(MANY)]
    intake = Intake(store, meters, clock, notes, trust="always", vtn_skew_s=lambda: None, boot="this")
    tomorrow = clock.now() + timedelta(days=20)
    for one in meters:
        await intake.keep(Batch([Reading(one.resourceID, "power_kw", 1.0, tomorrow)]), of=one.resourceName)
    assert 1 <= lines(caplog).total() <= LINES
    assert 1 <= len(list(notes)) <= LINES


async def test_readings_that_cannot_be_stored_are_few_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A quantity that no store takes, from 2,000 meters."""
    store = SqliteReadings(tmp_path / "readings.db", ManualClock())
    for number in range(MANY):
        store.add([Reading(f"m{number}", "power_kw", float("nan"), ManualClock().now())])
    assert 1 <= lines(caplog).total() <= LINES
    assert store.stats().refused == MANY
    await store.close()


def test_rows_of_the_registry_that_cannot_be_read_are_few_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """2,000 rows with the same damage; the next look at the registry logs none of them again."""
    database = tmp_path / "resources.db"
    with ResourceDatabase(database, check_options=lambda _: []) as registry:
        registry.bulk_upsert([resource(number, file(number, 0)) for number in range(MANY)])
    with sqlite3.connect(database) as db:
        db.execute("UPDATE resources SET capacities = '{'")
    source = RegistrySource(str(database), None, lambda: {"": None}, ManualClock())
    caplog.clear()
    first = source.read(Registered())
    assert len(first.rejects) == MANY
    assert 1 <= lines(caplog).total() <= LINES
    caplog.clear()
    assert source.read(first).rejects == first.rejects
    assert lines(caplog).total() == 0


async def test_full_disk_is_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    """The store refuses the readings of 2,000 meters, then takes them again."""
    full, clock = [True], ManualClock()

    class Source:
        interval_s: float | None = 10.0
        timeout_s = 5.0

        async def read(self) -> Batch:
            return Batch([Reading("m", "power_kw", 1.0, clock.now())])

        async def close(self) -> None:
            """Hold nothing."""

    async def keep(_: Batch) -> None:
        if full[0]:
            raise StoreError(rdg.FULL_AT_START(path="readings.db"))

    caplog.set_level(logging.INFO)
    board = outages.Outages(clock)
    pollers = [
        Poller(Source(), name=f"Meter {n}", deliver=keep, clock=clock, voice=board.voice(f"Meter {n}", "h"))
        for n in range(200)
    ]
    work = [asyncio.create_task(one.run()) for one in pollers]
    work.append(asyncio.create_task(board.run()))
    await clock.advance(30, settle=10)
    full[0] = False
    await clock.advance(30, settle=10)
    for task in work:
        task.cancel()
    await asyncio.gather(*work, return_exceptions=True)
    assert lines(caplog) == {"VEN-CON-289": 1, "VEN-CON-290": 1}


async def test_values_that_make_no_sense_are_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    """2,000 meters send payloads that cannot be read, each in its own words."""
    clock = ManualClock()
    board = outages.Outages(clock)

    class Source:
        interval_s: float | None = 10.0
        timeout_s = 5.0

        def __init__(self, number: int) -> None:
            self.number = number

        async def read(self) -> Batch:
            reason = con.NOT_A_NUMBER(value=f"{self.number} at {clock.monotonic():g}")
            return Batch(rejects=[Reject("topic", reason)])

        async def close(self) -> None:
            """Hold nothing."""

    async def keep(_: Batch) -> None:
        """Take it."""

    pollers = [
        Poller(Source(n), name=f"Meter {n}", deliver=keep, clock=clock, voice=board.voice(f"Meter {n}", "h"))
        for n in range(500)
    ]
    work = [asyncio.create_task(one.run()) for one in pollers]
    await clock.advance(40, settle=5)
    for task in work:
        task.cancel()
    await asyncio.gather(*work, return_exceptions=True)
    assert sum(one.health.rejects for one in pollers) >= MANY
    assert 1 <= lines(caplog).total() <= LINES


@pytest.mark.peer
async def test_a_broker_that_stops_and_starts_again_is_two_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, free_port: int, quick: None
) -> None:
    """2,000 meters behind one mosquitto: its end and its return are a line each, with their number."""
    caplog.set_level(logging.INFO)

    async def keep(_: str, __: Batch) -> None:
        """Take it."""

    meters = Meters(make_site(tmp_path), keep, SystemClock(), Notes())
    meters.serve({f"m{number}": resource(number, mqtt(number, free_port)) for number in range(MANY)})
    work = asyncio.create_task(meters.run())

    def count(state: str) -> int:
        return sum(one.poller is not None and one.poller.health.state == state for one in meters)

    try:
        with mosquitto(tmp_path / "broker", free_port, *BROKER):
            await send(free_port)
            await until(lambda: count("ok") == MANY)
        await until(lambda: count("dark") == MANY and lines(caplog).total() > 0)
        before = lines(caplog)
        with mosquitto(tmp_path / "broker", free_port, *BROKER):
            await until(lambda: count("dark") == 0)
            await until(lambda: lines(caplog) != before)
            after = lines(caplog)
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    assert before == {"VEN-CON-283": 1}
    assert after == {"VEN-CON-283": 1, "VEN-CON-284": 1}
    some = [one for one in caplog.records if code_of(one.msg)]
    assert all(f"{MANY} of {MANY}" in one.getMessage() for one in some[:2])


async def send(port: int) -> None:
    """Send a retained value to each meter: it comes again with each connection."""

    def work() -> None:
        client = Client(CallbackAPIVersion.VERSION2)
        client.connect("127.0.0.1", port)
        client.loop_start()
        sent = [client.publish(f"site/{number}", "1.5", qos=1, retain=True) for number in range(MANY)]
        for one in sent:
            one.wait_for_publish(120)
        client.disconnect()
        client.loop_stop()

    await asyncio.to_thread(work)


async def test_files_of_one_layout_are_few_lines(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """How a file is read is logged for the first of many files that are alike."""
    caplog.set_level(logging.INFO)
    site = make_site(tmp_path)
    (tmp_path / "share0").mkdir()
    for number in range(500):
        (tmp_path / f"share0/m{number}.csv").write_text("time,power_kw\n2026-01-01T00:00:00Z,1.5\n")
        reader = open_reader(resource(number, file(number, 0)), site)
        assert len((await reader.read()).readings) == 1
        await reader.close()
    assert 1 <= lines(caplog).total() <= LINES
