"""The peers of benchmarks/acquisition.py, each in its own process: devices, a sender, a gateway.

python benchmarks/_acquisition_peers.py devices PORT SILENT_UNIT
python benchmarks/_acquisition_peers.py send PORT COUNT PER_SECOND METERS
python benchmarks/_acquisition_peers.py count PORT COUNT
python benchmarks/_acquisition_peers.py gateway PORT COUNT METERS FOLDER
"""

from __future__ import annotations

import asyncio
import json
import signal
import struct
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from venclient.clock import SystemClock
from venclient.connectors import open_reader
from venclient.connectors.base import Batch, Site
from venclient.connectors.leases import Leases
from venclient.connectors.poller import Poller
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.readings.sqlite import SqliteReadings

#: Time stamp of message 0; each message is a millisecond later, which makes all of them different readings.
FIRST_MS = 1_767_225_600_000
STORE = "readings.db"
#: On a busy machine a pause of some seconds is not the end.
IDLE_S = 15
#: So many messages may wait for the next commit period when no more come.
LAST = 16

_REQUEST = struct.Struct(">HHHBBHH")
_ANSWER = struct.Struct(">HHHBBB")


def meter(name: str, kind: ConnectionType, port: int, options: dict[str, Any], **more: Any) -> Resource:
    """Return a resource on this machine."""
    connection = Connection(kind, ActorType.READER, host="127.0.0.1", port=port, options=options, **more)
    return Resource(name, name, "DSR", None, name, connection, {}, {})


def site(folder: Path, client_id: str = "benchmark") -> Site:
    """Return a site without bookmarks and secrets."""
    return Site(SystemClock(), folder, lambda _: None, lambda text: text, Leases(), client_id=client_id)


def mqtt_meter(port: int, number: int) -> Resource:
    """Return a meter that reports its power in W and the time in milliseconds."""
    options = {
        "values": [{"path": "w", "quantity": "power_kw", "unit": "W"}],
        "time": {"path": "t", "format": "epoch_ms"},
    }
    return meter(f"meter-{number:03}", ConnectionType.MQTT, port, options, topic=f"meter/{number}")


class Devices(asyncio.Protocol):
    """Units that answer any read of registers with words made of the unit's number; one is silent."""

    def __init__(self, silent: int) -> None:
        self._silent = silent
        self._rest = b""
        self._transport: asyncio.WriteTransport | None = None
        self._words = [struct.pack(">125H", *(unit + n for n in range(125))) for unit in range(256)]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        data = self._rest + data
        answers = []
        whole = len(data) - len(data) % 12
        for transaction, _, _, unit, function, _, count in _REQUEST.iter_unpack(data[:whole]):
            if unit != self._silent:
                size = 2 * count
                head = _ANSWER.pack(transaction, 0, 3 + size, unit, function, size)
                answers.append(head + self._words[unit][:size])
        self._rest = data[whole:]
        if answers and self._transport is not None:
            self._transport.write(b"".join(answers))


async def devices(port: int, silent: int) -> None:
    """Serve Modbus devices until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Devices(silent), "127.0.0.1", port, backlog=512)
    async with server:
        await server.serve_forever()


def mqtt_client(name: str, *, clean: bool) -> Client:
    """Return a plain paho client."""
    return Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=clean)


def send(port: int, count: int, per_second: int, meters: int) -> None:
    """Publish `count` messages of QoS 1, evenly, or as fast as possible for 0; return when all are taken."""
    client = mqtt_client("sender", clean=True)
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    started = time.perf_counter()
    last = None
    for n in range(count):
        payload = json.dumps({"t": FIRST_MS + n, "w": 1000 + n % 500, "name": "a meter of some length"})
        while True:
            last = client.publish(f"meter/{n % meters}", payload, qos=1)
            if last.rc != MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:
                break
            time.sleep(0.01)  # the broker does not keep up: nothing may be lost before it has it
        ahead_s = n / per_second - (time.perf_counter() - started) if per_second else 0
        if ahead_s > 0.002:
            time.sleep(ahead_s)
    if last is not None:
        last.wait_for_publish(120)
    client.disconnect()
    client.loop_stop()


def count_messages(port: int, count: int) -> None:
    """Count messages as paho gives them by default, acknowledged before anything is done with them."""
    client = mqtt_client("counter", clean=False)
    over = threading.Event()
    seen: list[float] = []

    def message(_client: Client, _data: object, _message: MQTTMessage) -> None:
        seen.append(time.perf_counter())
        if len(seen) >= count:
            over.set()

    client.on_message = message
    client.on_connect = lambda one, *_: one.subscribe("meter/+", qos=1)
    client.on_subscribe = lambda *_: print("ready", flush=True)
    started, worked = time.perf_counter(), time.process_time()
    client.connect("127.0.0.1", port)
    client.loop_start()
    over.wait(120)
    worked = time.process_time() - worked
    client.disconnect()
    client.loop_stop()
    if seen:
        result = {"seen": len(seen), "seconds": seen[-1 - LAST] - started, "cpu": worked}
        print(json.dumps(result), flush=True)


async def gateway(port: int, count: int, meters: int, folder: Path) -> None:
    """Do what `ven run` does with messages, until `count` are stored or nothing came for IDLE_S.

    The last few messages wait for the commit period, for the card's sake; they are not part of the time.
    """
    clock = SystemClock()
    store = SqliteReadings(folder / STORE, clock)
    here = site(folder, client_id="gateway")
    readers = [open_reader(mqtt_meter(port, n), here) for n in range(meters)]
    stored, last, full = 0, time.perf_counter(), 0.0
    over = asyncio.Event()

    async def keep(batch: Batch) -> None:
        nonlocal stored, last, full
        done = store.add(batch.readings, bookmarks=batch.bookmarks, urgent=batch.replayable)
        if batch.replayable:
            await done
        if batch.readings:
            stored += len(batch.readings)
            last = time.perf_counter()
        if stored >= count - LAST and not full:
            full = last
        if stored >= count:
            over.set()

    pollers = [
        Poller(reader, name=f"meter {n}", deliver=keep, clock=clock) for n, reader in enumerate(readers)
    ]
    started, worked = time.perf_counter(), time.process_time()
    tasks = [asyncio.create_task(work) for work in (store.run(), *(poller.run() for poller in pollers))]
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    print("ready", flush=True)
    while not over.is_set() and time.perf_counter() - last < (60 if not stored else IDLE_S):
        try:
            async with asyncio.timeout(0.5):
                await over.wait()
        except TimeoutError:
            if full:
                await store.flush()
    worked = time.process_time() - worked
    await asyncio.sleep(0.2)  # let the last acknowledgements leave
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await store.close()
    print(json.dumps({"seen": stored, "seconds": (full or last) - started, "cpu": worked}), flush=True)


async def stored_numbers(folder: Path, meters: int, count: int) -> list[int]:
    """Return the number of each stored message, in order."""
    store = SqliteReadings(folder / STORE, SystemClock())
    start, end = (datetime.fromtimestamp((FIRST_MS + n) / 1000, UTC) for n in (0, count))
    found: list[int] = []
    for n in range(meters):
        readings = (await store.window(f"meter-{n:03}", start, end)).get("power_kw", [])
        found += [round(reading.time.timestamp() * 1000) - FIRST_MS for reading in readings]
    await store.close()
    return sorted(found)


def main(what: str, *words: str) -> None:
    """Be one of the peers."""
    if what == "devices":
        asyncio.run(devices(int(words[0]), int(words[1])))
    elif what == "send":
        send(*map(int, words))
    elif what == "count":
        count_messages(int(words[0]), int(words[1]))
    elif what == "gateway":
        asyncio.run(gateway(int(words[0]), int(words[1]), int(words[2]), Path(words[3])))


if __name__ == "__main__":
    main(*sys.argv[1:])
