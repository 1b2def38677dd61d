"""MQTT as whole sites use it: many meters by one wildcard, devices to be asked, brokers that stay silent."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from tests.codes import raises_code
from tests.connectors.sites import make_site
from tests.connectors.test_mqtt import PLAIN_W, connected, drained, meter, publish, read, values
from tests.peers import mosquitto
from venclient.clock import ManualClock
from venclient.connectors.mqtt import MqttReader, open_mqtt_reader
from venclient.connectors.payload import PayloadDecoder, TimeOptions, ValueOptions
from venclient.connectors.timestamps import time_reader
from venclient.errors import ConfigError

SHELLIES = "shellies/+/emeter/0/power"
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@contextmanager
def listener(port: int, *topics: str) -> Iterator[list[tuple[str, str, bool]]]:
    """Collect the (topic, payload, retained) of all messages of some topics, as they come."""
    heard: list[tuple[str, str, bool]] = []
    client = Client(CallbackAPIVersion.VERSION2, client_id="listener")

    def on_message(_client: Client, _data: Any, message: MQTTMessage) -> None:
        heard.append((message.topic, message.payload.decode(), message.retain))

    def on_connect(client: Client, *_more: Any) -> None:
        client.subscribe([(topic, 1) for topic in topics])

    subscribed = threading.Event()
    client.on_message = on_message
    client.on_connect = on_connect
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        assert subscribed.wait(60)  # what is published before would not be heard
        yield heard
    finally:
        client.disconnect()
        client.loop_stop()


async def until(what: Any) -> None:
    """Return when something has become true; a real peer is at work, so real time passes."""
    async with asyncio.timeout(60):
        while not what():  # noqa: ASYNC110 (a broker sets no event of ours)
            await asyncio.sleep(0.02)


# Wildcards


@pytest.mark.peer
async def test_one_subscription_serves_many_resources(tmp_path: Path, free_port: int) -> None:
    """Each resource of a wildcard gets the messages whose level is its name; a stranger's stop nothing."""
    with mosquitto(tmp_path / "broker", free_port, "allow_anonymous true", "log_type subscribe"):
        site = make_site(tmp_path)
        options = {**PLAIN_W, "match": "name"}
        names = [f"meter {n}" for n in range(20)]
        readers = [
            open_mqtt_reader(meter(free_port, name=name, topic=SHELLIES, options=options), site)
            for name in names
        ]
        await connected(readers[0], free_port, topic="shellies/meter 0/emeter/0/power")
        await publish(
            free_port,
            *((f"shellies/{name}/emeter/0/power", str(1000 * n)) for n, name in enumerate(names)),
            ("shellies/stranger/emeter/0/power", "5"),
            ("shellies/meter 3/emeter/0/power", "9000"),
        )
        batches = await asyncio.gather(
            *(drained(reader, least=2 if n == 3 else 1) for n, reader in enumerate(readers))
        )
        for reader in readers:
            await reader.close()
    found: dict[str, list[float]] = {}
    for batch in (one for batches_of in batches for one in batches_of):
        for reading in batch.readings:
            found.setdefault(reading.resource_id, []).append(reading.value)
        assert batch.rejects == []
    expected = {f"id-of-{name}": [float(n)] for n, name in enumerate(names)}
    expected["id-of-meter 3"].append(9.0)
    assert found == expected
    log = (tmp_path / "broker" / "mosquitto.log").read_text()
    assert log.count(SHELLIES) == 1


@pytest.mark.peer
async def test_a_strangers_message_is_acknowledged(tmp_path: Path, free_port: int) -> None:
    """What no resource is matched by does not stay in the broker's window."""
    lines = ("allow_anonymous true", "max_inflight_messages 2")
    with mosquitto(tmp_path / "broker", free_port, *lines):
        options = {**PLAIN_W, "match": "name"}
        reader = open_mqtt_reader(meter(free_port, topic="s/+", options=options), make_site(tmp_path))
        await connected(reader, free_port, topic="s/Hotel Ærø")
        await publish(free_port, *((f"s/stranger {n}", "1") for n in range(8)), ("s/Hotel Ærø", "4000"))
        batch = await read(reader)
        await reader.close()
    assert values(batch) == [4.0]


def test_a_match_without_a_wildcard_is_refused(tmp_path: Path) -> None:
    """`match` needs a topic with +, and words that it knows."""
    with pytest.raises(ConfigError, match="VEN-MQT-008"):
        open_mqtt_reader(meter(1883, options={**PLAIN_W, "match": "name"}), make_site(tmp_path))
    with pytest.raises(ConfigError, match="VEN-MQT-006"):
        open_mqtt_reader(meter(1883, topic="a/+", options={**PLAIN_W, "match": "{nam}"}), make_site(tmp_path))


# Sums and bounds


def decode(payload: str, *values: ValueOptions) -> tuple[Any, Any]:
    """Return the values and reasons of a payload."""
    found = PayloadDecoder(values, TimeOptions()).decode(payload.encode(), NOON)
    return found.values, found.reasons


def test_values_may_be_sums_and_differences_of_paths() -> None:
    """Tariffs add up, what is fed in is taken off, and a missing part makes no sample."""
    tariffs = ValueOptions(quantity="energy_kwh", paths=("t1", "t2"))
    net = ValueOptions(quantity="power_kw", unit="W", path="in", minus=("out",))

    assert decode('{"t1": 12860.876, "t2": 8058.464, "in": 0, "out": 250}', tariffs, net) == (
        (("energy_kwh", pytest.approx(20919.34)), ("power_kw", -0.25)),
        (),
    )
    assert decode('{"t1": 1, "t2": null, "in": 5}', tariffs, net) == ((), ())
    assert decode('{"t1": 1, "t2": "x"}', tariffs) == ((), ("energy_kwh: 'x' is not a number",))


def test_a_sum_beside_a_single_path_is_refused(tmp_path: Path) -> None:
    """A value has one place or a list of places; each of them is checked."""
    both = {"values": [{"quantity": "power_kw", "path": "a", "paths": ["b"]}]}
    with pytest.raises(ConfigError, match="VEN-CON-062"):
        open_mqtt_reader(meter(1883, options=both), make_site(tmp_path))
    broken = {"values": [{"quantity": "power_kw", "paths": ["a", "b["]}]}
    with pytest.raises(ConfigError, match=r"b\["):
        open_mqtt_reader(meter(1883, options=broken), make_site(tmp_path))


def test_a_time_of_any_usual_form_is_read() -> None:
    """With the form "auto" a device may state seconds, milliseconds, ISO or DSMR, and nothing else."""
    with raises_code(ValueError, "VEN-CON-045"):
        time_reader("auto", None)("yesterday")
    decoder = PayloadDecoder(
        [ValueOptions(quantity="power_kw", path="w")],
        TimeOptions(path="t", format="auto", zone="Europe/Paris"),
    )
    times = (1717236000, "1717236000", 1717236000000, "2024-06-01T12:00:00", "240601120000S")
    for time in times:
        found = decoder.decode(json.dumps({"w": 1, "t": time}).encode(), NOON)
        assert found.time == datetime(2024, 6, 1, 10, tzinfo=UTC), time


@pytest.mark.peer
async def test_payloads_beyond_all_bounds_stop_nothing(tmp_path: Path, free_port: int) -> None:
    """Megabytes, deep nesting, NaN, 1e400 and bytes that are not text are named; the next value is read."""
    options = {"values": [{"path": "P", "quantity": "power_kw", "unit": "W"}], "time": {"path": "t"}}
    topic = "big"
    bad: list[tuple[str, str | bytes]] = [
        (topic, b"[" * 1_000_000),
        (topic, b'{"P": "' + b"9" * 1_000_000 + b'"}'),
        (topic, b" " * 3_000_000 + b"1"),
        (topic, b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
        (topic, '{"P": NaN}'),
        (topic, '{"P": 1e400}'),
        (topic, b'{"P": "\xff"}'),
        (topic, '{"P": 1, "t": "yesterday"}'),
    ]
    with mosquitto(tmp_path / "broker", free_port):
        reader = open_mqtt_reader(meter(free_port, topic=topic, options=options), make_site(tmp_path))
        await connected(reader, free_port, topic=topic, shape='{"P": {}}')
        await publish(free_port, *bad, (topic, '{"P": 2000}'))
        batches = await drained(reader, least=len(bad) + 1)
        await reader.close()
    reasons = [reject.reason for batch in batches for reject in batch.rejects]
    assert values(*batches) == [2.0]
    assert len(reasons) == len(bad)
    assert all(len(reason) < 300 for reason in reasons)
    assert any("3000001 bytes" in reason for reason in reasons)


# What we say to a broker


@pytest.mark.peer
async def test_a_device_that_wants_to_be_asked_is_asked(tmp_path: Path, free_port: int) -> None:
    """A keep-alive is published at once after connecting and every period, once for all who want it."""
    clock = ManualClock(NOON)
    ask = {"topic": "R/c0619ab1/keepalive", "payload": '{"keepalive-options": []}', "period_s": 30}
    options = {**PLAIN_W, "keep_alive": ask, "silence_s": 0}
    with mosquitto(tmp_path / "broker", free_port), listener(free_port, "R/#") as heard:
        site = make_site(tmp_path, clock)
        readers = [
            open_mqtt_reader(meter(free_port, name=name, topic=f"N/{name}", options=options), site)
            for name in ("L1", "L2")
        ]
        waiting = [asyncio.create_task(reader.read()) for reader in readers]
        await until(lambda: heard)
        for count in (2, 3):
            await clock.advance(30)
            await until(lambda count=count: len(heard) >= count)
        for task in waiting:
            task.cancel()
        await readers[0].close()
        await clock.advance(30)
        await until(lambda: len(heard) >= 4)
        await readers[1].close()
    assert heard == [(ask["topic"], ask["payload"], False)] * 4


@pytest.mark.peer
async def test_the_gateway_says_that_it_is_there_and_when_it_is_not(tmp_path: Path, free_port: int) -> None:
    """Online when connected, offline when it leaves, and offline by the broker's word when it is lost."""
    options = {**PLAIN_W, "birth": {"topic": "gateways/one"}}
    with mosquitto(tmp_path / "broker", free_port), listener(free_port, "gateways/#") as heard:
        reader = open_mqtt_reader(meter(free_port, options=options), make_site(tmp_path))
        await connected(reader, free_port)
        await until(lambda: heard[-1:] == [("gateways/one", "online", False)])
        await reader.close()
        await until(lambda: heard[-1:] == [("gateways/one", "offline", False)])
        reader = open_mqtt_reader(meter(free_port, options=options), make_site(tmp_path))
        await connected(reader, free_port)
        await until(lambda: len(heard) == 3)
        assert isinstance(reader, MqttReader)
        connection = reader._link._client.socket()
        assert isinstance(connection, socket.socket)
        connection.shutdown(socket.SHUT_RDWR)  # as when the gateway is killed: no word of farewell
        await until(lambda: "offline" in [payload for _, payload, _ in heard[3:]])
        await reader.close()
    assert [payload for _, payload, _ in heard[:4]] == ["online", "offline", "online", "offline"]


async def test_a_second_birth_on_one_broker_is_named(tmp_path: Path) -> None:
    """A gateway has one birth on a broker: another one is rejected and stops nothing."""
    site = make_site(tmp_path)
    readers = [
        open_mqtt_reader(
            meter(1883, name=name, options={**PLAIN_W, "birth": {"topic": f"gateways/{name}"}}), site
        )
        for name in ("A", "B")
    ]
    for reader in readers:
        await reader.close()

    assert [len(reader._unsaid) for reader in readers if isinstance(reader, MqttReader)] == [0, 1]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"keep_alive": {"topic": "R/+/keepalive"}}, "wildcard"),
        ({"keep_alive": {"topic": "R/x", "period_s": 0}}, "period_s"),
        ({"keep_alive": {"payload": ""}}, "topic: missing"),
        ({"birth": {"topic": "#"}}, "wildcard"),
        ({"birth": {"topic": "g", "online": "x", "offline": "x"}}, "both"),
        ({"silence_s": -1}, "silence_s"),
        ({"qos": 2}, "qos"),
    ],
)
def test_what_cannot_be_published_is_refused(tmp_path: Path, options: dict[str, Any], word: str) -> None:
    """Topics to publish to have no wildcards, and periods are positive."""
    with pytest.raises(ConfigError, match=word):
        open_mqtt_reader(meter(1883, options={**PLAIN_W, **options}), make_site(tmp_path))


@pytest.mark.peer
async def test_a_single_look_asks_its_device_and_tells_nobody(tmp_path: Path, free_port: int) -> None:
    """A one-shot reader publishes the keep-alive that its device needs, but no birth and no will."""
    ask = {"topic": "R/x/keepalive"}
    options = {**PLAIN_W, "keep_alive": ask, "birth": {"topic": "gateways/one"}}
    site = replace(make_site(tmp_path), one_shot=True, client_id="once")
    with mosquitto(tmp_path / "broker", free_port), listener(free_port, "R/#", "gateways/#") as heard:
        reader = open_mqtt_reader(meter(free_port, options=options), site)
        await connected(reader, free_port)
        await until(lambda: heard)
        await reader.close()
        # Messages come in order: what was published before this one has been heard by then.
        await publish(free_port, ("R/end", ""))
        await until(lambda: heard[-1][0] == "R/end")
    assert {topic for topic, _, _ in heard} == {"R/x/keepalive", "R/end"}
