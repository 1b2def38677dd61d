"""Real devices' payloads through a real broker, and a consumer that is killed while they come."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion

from tests.connectors.sites import make_site
from tests.connectors.test_mqtt import connected, drained, meter, publish
from tests.counted import full_count
from tests.peers import mosquitto
from tests.waiting import wait_until
from venclient.connectors.base import Batch
from venclient.connectors.mqtt import open_mqtt_reader
from venclient.connectors.payload import PayloadDecoder, TimeOptions, ValueOptions

QUANTITIES = {
    "power": "power_kw",
    "energy": "energy_kwh",
    "voltage": "voltage_v",
    "Tarifa": "tarifa",
    "TotEneExp": "energy_export_kwh",
}
LOCAL = {"path": "Time", "format": "iso", "zone": "Europe/Zurich"}
TIMES: dict[str, dict[str, str]] = {
    "tasmota": LOCAL,
    "tasmota-sml": LOCAL,
    "gplug": LOCAL,
    "smartmeter-datacollector": {"path": "timestamp", "format": "epoch_s"},
}
STATED = {
    "2023-05-19T20:52:56": "2023-05-19T18:52:56+00:00",
    "2021-04-19T00:34:57": "2021-04-18T22:34:57+00:00",
    "2021-09-24T17:56:38": "2021-09-24T15:56:38+00:00",
    "2021-09-24T17:03:45": "2021-09-24T15:03:45+00:00",
    "1629055611": "2021-08-15T19:26:51+00:00",
    "1632499152": "2021-09-24T15:59:12+00:00",
    "1788820998.37": "2026-09-07T22:43:18.370000+00:00",
    "250824120000W": "2025-08-24T11:00:00+00:00",
}


def samples(shared: Path) -> list[dict[str, Any]]:
    """Return the lines of the file of real payloads."""
    text = (shared / "data/meterdata/mqtt-samples.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def options_of(sample: dict[str, Any]) -> dict[str, Any]:
    """Build the options that describe a line: its path, unit and quantity, and the time of its family."""
    value = {"path": sample["path"], "quantity": QUANTITIES[sample["quantity"]], "unit": sample["unit"]}
    options: dict[str, Any] = {"values": [value]}
    if sample["family"] in TIMES:
        options["time"] = TIMES[sample["family"]]
    elif "params" in sample["path"]:
        options["time"] = {"path": "params.ts", "format": "epoch_s"}
    elif "timestamp" in sample["payload"] and sample["family"] == "dsmr-reader":
        options["time"] = {"path": "timestamp", "format": "dsmr"}
    elif sample["family"] == "homewizard":
        # Phases that a meter has not are null: no samples.
        options["values"].append({"path": "active_power_l2_w", "quantity": "power_l2_kw", "unit": "W"})
    return options


def expected_of(sample: dict[str, Any]) -> float:
    """Return the value that a line must become, in the unit of its quantity."""
    return float(sample["expected"]) / (1000 if sample["unit"] == "W" else 1)


def stated_time(sample: dict[str, Any]) -> str | None:
    """Return the time that a payload states and the options read, in UTC."""
    found = [utc for text, utc in STATED.items() if text in sample["payload"]]
    return found[0] if found else None


def test_each_real_payload_is_decoded_as_expected(shared: Path) -> None:
    """Every line of the samples, decoded by the options it implies, is the value and time that it states."""
    arrival = make_site(shared).clock.now()
    for sample in samples(shared):
        options = options_of(sample)
        decoder = PayloadDecoder(
            [ValueOptions(**value) for value in options["values"]], TimeOptions(**options.get("time", {}))
        )
        found = decoder.decode(sample["payload"].encode(), arrival)
        assert [value for _, value in found.values] == [pytest.approx(expected_of(sample))], sample
        assert found.reasons == ()
        stated = stated_time(sample)
        assert (found.time and found.time.isoformat()) == stated, sample


@pytest.mark.peer
async def test_real_payloads_through_a_broker_become_readings(
    shared: Path, tmp_path: Path, free_port: int
) -> None:
    """Every line, published through mosquitto on its topic, becomes just the reading that it states."""
    lines = samples(shared)
    topics = [line["topic"] if "(" not in line["topic"] else "homewizard/poll" for line in lines]
    with mosquitto(tmp_path / "broker", free_port):
        site = make_site(tmp_path)
        readers = [
            open_mqtt_reader(meter(free_port, name=f"line {n}", topic=topic, options=options_of(line)), site)
            for n, (line, topic) in enumerate(zip(lines, topics, strict=True))
        ]
        ready = open_mqtt_reader(meter(free_port, name="ready", topic="ready"), site)
        await connected(ready, free_port, topic="ready")
        await publish(
            free_port, *((topic, line["payload"]) for topic, line in zip(topics, lines, strict=True))
        )
        batches: list[list[Batch]] = await asyncio.gather(*(drained(reader, least=1) for reader in readers))
        for reader in (*readers, ready):
            await reader.close()
    for line, found in zip(lines, batches, strict=True):
        readings = [reading for batch in found for reading in batch.readings]
        assert not [reject for batch in found for reject in batch.rejects], line
        # Two lines of the file have the same topic and payload: both readers get both messages.
        assert {reading.quantity for reading in readings} == {QUANTITIES[line["quantity"]]}
        assert all(reading.value == pytest.approx(expected_of(line)) for reading in readings)
        stated = stated_time(line)
        if stated is not None:
            assert {reading.time.isoformat() for reading in readings} == {stated}


CONSUMER = """
import asyncio, sqlite3, sys
from pathlib import Path
from tests.connectors.sites import make_site
from tests.connectors.test_mqtt import meter
from venclient.connectors.mqtt import open_mqtt_reader

async def main(port, file):
    database = sqlite3.connect(file)
    reader = open_mqtt_reader(meter(int(port)), make_site(Path(file).parent))
    while True:
        batch = await reader.read()
        with database:
            rows = [(reading.value,) for reading in batch.readings]
            database.executemany("INSERT OR IGNORE INTO seen VALUES (?)", rows)
        batch.acknowledge()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.peer
def test_a_consumer_killed_three_times_loses_nothing(root: Path, tmp_path: Path, free_port: int) -> None:
    """Of some thousand messages of QoS 1, all are committed although the consumer is killed in between."""
    kills = full_count(3)
    count = 1000 * kills
    file = tmp_path / "seen.db"
    database = sqlite3.connect(file)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE seen (value REAL PRIMARY KEY)")
    database.commit()

    def seen() -> int:
        return int(database.execute("SELECT count(*) FROM seen").fetchone()[0])

    def has_seen(enough: int) -> bool:
        return seen() >= enough

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", CONSUMER, str(free_port), str(file)], cwd=root)

    with mosquitto(tmp_path / "broker", free_port, "allow_anonymous true", "max_queued_messages 0"):
        sender = Client(CallbackAPIVersion.VERSION2, client_id="sender")
        sender.connect("127.0.0.1", free_port)
        sender.loop_start()
        consumer = start()
        try:
            while not seen():  # the session must exist before messages can wait in it
                sender.publish("site/meter/power", "-1000", qos=1).wait_for_publish(60)
                time.sleep(0.05)
            sent: list[MQTTMessageInfo] = []
            for part in range(kills + 1):
                numbers = range(part * count // (kills + 1), (part + 1) * count // (kills + 1))
                sent += [sender.publish("site/meter/power", str(n * 1000), qos=1) for n in numbers]
                if part < kills:
                    enough = 1 + part * count // (kills + 1) + 100
                    wait_until(partial(has_seen, enough), lambda: f"only {seen()} committed")
                    consumer.send_signal(signal.SIGKILL)
                    consumer.wait(60)
                    consumer = start()
            sent[-1].wait_for_publish(60)
            wait_until(partial(has_seen, count + 1), lambda: f"only {seen()} committed")
        finally:
            consumer.kill()
            consumer.wait(60)
            sender.disconnect()
            sender.loop_stop()
    values = [row[0] for row in database.execute("SELECT value FROM seen ORDER BY value")]
    database.close()
    assert values == [-1.0, *map(float, range(count))]
