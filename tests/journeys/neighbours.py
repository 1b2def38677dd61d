"""Meters that must never notice what happens to others, and that count: missing values show.

near-1, near-2   two units behind one Modbus gateway, polled
counted          messages of QoS 1 that say 0, 1, 2, ... ; `acknowledged` are those the broker took
rows             a growing file that says the same
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.journeys.conftest import GatewayProcess, resource, until
from tests.network import BadLine
from tests.peers import find_mosquitto, wait_for_text
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.readings.series import from_ms
from venclient.readings.tables import open_tables
from venclient.registry.database import ResourceDatabase

POLL_S = 2
EACH_S = 0.05
ACKNOWLEDGED_WITHIN_S = 180.0
QUEUES = ("allow_anonymous true", "max_queued_messages 0", "max_inflight_messages 200")
#: The capacity of each site: what counts must never become more than a meter of it can mean.
P_MAX_KW = 1e6
VALUES = {"values": [{"path": "/n", "quantity": "power_kw"}], "time": {"path": "/ts", "format": "epoch_ms"}}


def modbus(name: str, host: str, port: int, *, unit: int = 1, **options: Any) -> Resource:
    """Return a resource with a meter at a port of a host."""
    made = resource(0, p_max_kw=P_MAX_KW)
    made.resourceID = made.resourceName = name
    registers = [{"address": 0, "type": "uint16", "quantity": "power_kw"}]
    made.connection = Connection(
        ConnectionType.MODBUSTCP,
        ActorType.READER,
        host,
        port,
        options={"unit": unit, "interval_s": POLL_S, "registers": registers, **options},
    )
    return made


def mqtt(name: str, host: str, port: int, topic: str) -> Resource:
    """Return a resource whose meter publishes its values in JSON."""
    made = resource(0, p_max_kw=P_MAX_KW)
    made.resourceID = made.resourceName = name
    made.connection = Connection(ConnectionType.MQTT, ActorType.READER, host, port, topic, options=VALUES)
    return made


def followed(name: str, path: Path) -> Resource:
    """Return a resource whose meter is a growing CSV file."""
    made = resource(0, p_max_kw=P_MAX_KW)
    made.resourceID = made.resourceName = name
    options = {
        "format": "csv",
        "time": {"columns": ["ts"], "format": "epoch_ms"},
        "values": [{"column": "n", "quantity": "power_kw"}],
        "follow": True,
        "interval_s": 1,
    }
    made.connection = Connection(ConnectionType.FILEREADER, ActorType.READER, file=str(path), options=options)
    return made


def register(folder: Path, *resources: Resource) -> None:
    """Put resources into the registry of the gateway's folder."""
    with ResourceDatabase(str(folder / "resources.db")) as database:
        database.bulk_upsert(list(resources))


class Counter:
    """Publishes and appends 0, 1, 2, ..., each with its time, until stopped."""

    def __init__(self, port: int, path: Path, host: str = "127.0.0.1") -> None:
        self.said = 0
        self.acknowledged: set[int] = set()
        self._path = path
        self._numbers: dict[int, int] = {}
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="counter", clean_session=False)
        self._client.max_inflight_messages_set(1000)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_publish = lambda _client, _data, number, *_: self._note(number)
        self._client.connect_async(host, port)
        self._early: set[int] = set()
        path.write_text("ts,n\n")

    def _note(self, message: int) -> None:
        if message in self._numbers:
            self.acknowledged.add(self._numbers[message])
        else:
            self._early.add(message)  # acknowledged before `publish` has returned the number

    async def run(self) -> None:
        """Count until cancelled."""
        self._client.loop_start()
        try:
            # What is published before there is a connection, paho sends out of order.
            while not self._client.is_connected():  # noqa: ASYNC110 - paho has no event for this loop
                await asyncio.sleep(EACH_S)
            while True:
                ms = round(datetime.now(UTC).timestamp() * 1000)
                number = self._client.publish(
                    "site/counted", json.dumps({"n": self.said, "ts": ms}), qos=1
                ).mid
                self._numbers[number] = self.said
                if number in self._early:
                    self._early.discard(number)
                    self.acknowledged.add(self.said)
                with self._path.open("a") as file:
                    file.write(f"{ms},{self.said}\n")
                self.said += 1
                await asyncio.sleep(EACH_S)  # what other processes do meanwhile is what is tested
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ACKNOWLEDGED_WITHIN_S):
                    while len(self.acknowledged) < self.said:  # noqa: ASYNC110 - the broker acknowledges
                        await asyncio.sleep(EACH_S)
            self._client.disconnect()
            self._client.loop_stop()


@asynccontextmanager
async def counting(port: int, path: Path, host: str = "127.0.0.1") -> AsyncIterator[Counter]:
    """Count while the context is open, and wait at its end until the broker has all."""
    made = Counter(port, path, host)
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextmanager
def device_process(port: int, host: str = "127.0.0.1", *before: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Modbus server in a separate process; `before` are words before its command."""
    command = [*before, sys.executable, "-m", "tests.fakes.modbus_process", host, str(port)]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()


@contextmanager
def far_broker(folder: Path, port: int, line: BadLine) -> Iterator[None]:
    """Run mosquitto at the far end of a line."""
    folder.mkdir()
    config = folder / "mosquitto.conf"
    lines = [f"listener {port} {line.there}", "user root", *QUEUES, f"log_dest file {folder / 'log'}"]
    config.write_text("\n".join(lines) + "\n")
    with subprocess.Popen(line.command(find_mosquitto(), "-c", str(config))) as process:
        try:
            wait_for_text(folder / "log", "running")
            yield
        finally:
            process.kill()


@contextmanager
def deaf_host() -> Iterator[int]:
    """Yield a port at which the system accepts connections and no program answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield int(listening.getsockname()[1])


def rows(gateway: GatewayProcess) -> dict[str, dict[str, Any]]:
    """Return what the status says of each connection, by name; nothing while the gateway does not answer."""
    return {row["name"]: row for row in gateway.status.get("connections", [])}


def stored(folder: Path, name: str) -> list[float]:
    """Return the values in the store, in time order."""
    tables = open_tables(folder / "var" / "readings.db", read_only=True)
    try:
        return [row.value for row in tables.rows(from_ms(0), from_ms(4_000_000_000_000), name)]
    finally:
        tables.close()


async def all_stored(gateway: GatewayProcess, counter: Counter, *, name: str = "counted") -> None:
    """Return when each number that was said is in the store once, from broker and file; else fail.

    A broker keeps messages for who has been there: they are counted from the first one on that came.
    """
    assert counter.acknowledged == set(range(counter.said))
    first = int(stored(gateway.folder, name)[0])
    sources = ((name, first), ("rows", 0)) if name == "counted" else ((name, first),)
    for source, since in sources:
        every = [float(number) for number in range(since, counter.said)]

        def complete(source: str = source, every: list[float] = every) -> bool:
            return stored(gateway.folder, source) == every

        await until(complete, f"{source}: {since}..{counter.said - 1}", within_s=ACKNOWLEDGED_WITHIN_S)


async def told(gateway: GatewayProcess) -> str:
    """Return the output of `ven status`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "venclient",
        "status",
        "--config",
        str(gateway.folder / "ven.toml"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"COLUMNS": "400", "PATH": "/usr/bin:/bin"},
    )
    output, _ = await process.communicate()
    return output.decode()
