"""MQTT readers against a real broker: what they read, keep, give back and say."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.publish import multiple

from tests.connectors.sites import make_resource, make_site
from tests.peers import mosquitto
from venclient.clock import ManualClock
from venclient.connectors.base import Batch, Site
from venclient.connectors.mqtt import MqttReader, open_mqtt_reader
from venclient.connectors.mqtt_inbox import Endpoint, Inbox, Message
from venclient.connectors.mqtt_topics import TopicFilter
from venclient.errors import ConfigError, ConnectFailed
from venclient.model.reading import Quality
from venclient.model.resource import ConnectionType, Resource

TOPIC = "site/meter/power"
PLAIN_W = {"values": [{"path": "", "quantity": "power_kw", "unit": "W"}]}


def meter(
    port: int,
    *,
    topic: str = TOPIC,
    options: Mapping[str, Any] | None = None,
    name: str = "Hotel Ærø",
    username: str | None = None,
    password: str | None = None,
) -> Resource:
    """Build a resource that is read from a topic of the local broker, in plain watts by default."""
    return make_resource(
        ConnectionType.MQTT,
        name=name,
        host="127.0.0.1",
        port=port,
        topic=topic,
        username=username,
        password=password,
        options=dict(PLAIN_W if options is None else options),
    )


async def publish(
    port: int, *messages: tuple[str, str | bytes], qos: int = 1, retain: bool = False, **more: Any
) -> None:
    """Publish messages and return when the broker has them."""
    packets: list[Any] = [(topic, payload, qos, retain) for topic, payload in messages]
    await asyncio.to_thread(multiple, packets, "127.0.0.1", port, **more)


async def connected(
    reader: MqttReader, port: int, *, topic: str = TOPIC, shape: str = "{}", **more: Any
) -> None:
    """Return when a reader receives what is published, and has received all that was published to find out.

    `shape` is the payload, with {} for the number. The broker keeps the order: once the last number has come,
    nothing is left of those before it.
    """
    reading = asyncio.create_task(reader.read())
    async with asyncio.timeout(60):
        while not reading.done():
            await publish(port, (topic, shape.replace("{}", "1")), **more)
            await asyncio.wait({reading}, timeout=0.1)
        await publish(port, (topic, shape.replace("{}", "2")), **more)
        batch = reading.result()
        first = values(batch)[0]
        batch.acknowledge()
        while set(values(batch)) <= {first}:
            batch = await reader.read()
            batch.acknowledge()


async def drained(reader: MqttReader, *, least: int = 0) -> list[Batch]:
    """Read and acknowledge until `least` readings and rejects have come, and then nothing for a moment."""
    batches: list[Batch] = []
    async with asyncio.timeout(60):
        while sum(len(one.readings) + len(one.rejects) for one in batches) < least:
            batches.append(await reader.read())
            batches[-1].acknowledge()
    try:
        while True:
            batches.append(await asyncio.wait_for(reader.read(), 0.3))
            batches[-1].acknowledge()
    except TimeoutError:
        return batches


async def read(reader: MqttReader) -> Batch:
    """Return the next batch, which must come soon."""
    return await asyncio.wait_for(reader.read(), 60)


def values(*batches: Batch) -> list[float]:
    """Return the values of some batches in order."""
    return [reading.value for batch in batches for reading in batch.readings]


# Options, without a broker


def test_every_mistake_of_a_connection_is_named(tmp_path: Path) -> None:
    """Host, port, topic, login and TLS files are all checked at once, before anything is connected."""
    resource = make_resource(
        ConnectionType.MQTT,
        port=70_000,
        topic="a/b#",
        password="secret",
        options={"tls": True, "ca_file": "none.pem", "cert_file": "none.pem"},
    )
    with pytest.raises(ConfigError) as caught:
        open_mqtt_reader(resource, make_site(tmp_path))
    message = str(caught.value)
    for word in ("host: missing", "port:", "wildcard", "VEN-MQT-012", "ca_file", "cert_file"):
        assert word in message
    assert "secret" not in message


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"ca_file": "ca.pem"}, "set tls to true"),
        ({"tls": True, "key_file": "key.pem"}, "VEN-MQT-015"),
        ({"values": []}, "values"),
        ({"values": [{"quantity": "power_kw"}, {"quantity": "power_kw", "path": "a"}]}, "described twice"),
        ({"protocol": "4"}, "protocol"),
        ({"qos": 2}, "VEN-MQT-013"),
        ({"time": {"path": "t", "zone": "Mars/Olympus"}}, "VEN-CON-040"),
    ],
)
def test_options_that_cannot_work_are_refused(tmp_path: Path, options: dict[str, Any], word: str) -> None:
    """Options that contradict each other, or name what does not exist, are refused with a sentence."""
    with pytest.raises(ConfigError, match=word):
        open_mqtt_reader(meter(1883, options=options), make_site(tmp_path))


@pytest.mark.parametrize("topic", ["", "a/#/b", "a+/b", "$share/g/a", "a\0b"])
def test_topics_that_cannot_work_are_refused(tmp_path: Path, topic: str) -> None:
    """A topic must be one that a broker takes and that brings us every message."""
    with pytest.raises(ConfigError, match=r"VEN-MQT-00[1-4]"):
        open_mqtt_reader(meter(1883, topic=topic), make_site(tmp_path))


async def test_resources_of_one_broker_share_one_link(tmp_path: Path) -> None:
    """Readers of the same host, port and login share a link; the last one to close lets go of it."""
    site = make_site(tmp_path)
    readers = [open_mqtt_reader(meter(1883, name=name), site) for name in ("A", "B")]
    assert site.leases.holders("mqtt 127.0.0.1:1883") == {"id-of-A", "id-of-B"}
    for reader in readers:
        await reader.close()
    assert not site.leases.holders("mqtt 127.0.0.1:1883")


async def test_one_login_cannot_have_two_passwords(tmp_path: Path) -> None:
    """Different settings for the same broker and login are a mistake, reported without the password."""
    site = make_site(tmp_path)
    first = open_mqtt_reader(meter(1883, name="A", username="u", password="geheim"), site)
    with pytest.raises(ConfigError) as caught:
        open_mqtt_reader(meter(1883, name="B", username="u", password="anders"), site)
    assert "geheim" not in str(caught.value)
    assert "anders" not in str(caught.value)
    await first.close()


def test_an_endpoint_shows_no_secret() -> None:
    """Neither repr nor str of an endpoint has the password."""
    endpoint = Endpoint("broker", 1883, "u", "geheim", "5", None)
    assert "geheim" not in f"{endpoint!r} {endpoint}"


def test_messages_nobody_keeps_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a limit, messages of QoS 0 are dropped and counted; those of QoS 1 never are."""
    monkeypatch.setattr("venclient.connectors.mqtt_inbox.MOST_WAITING", 3)
    inbox = Inbox(TopicFilter("t"), 1)
    now = datetime.now(UTC)
    taken = [inbox.put(Message("t", b"", now, False, qos, n, 1)) for n, qos in enumerate([0, 0, 0, 0, 1, 0])]
    assert taken == [True, True, True, False, True, False]
    assert inbox.dropped == 2


# Against a broker


@pytest.mark.peer
async def test_messages_become_readings_at_their_arrival(tmp_path: Path, free_port: int) -> None:
    """A plain number becomes a reading of now, in kW."""
    with mosquitto(tmp_path / "broker", free_port):
        reader = open_mqtt_reader(meter(free_port), make_site(tmp_path))
        await connected(reader, free_port)
        published = datetime.now(UTC)
        await publish(free_port, (TOPIC, "-8.40"))
        batch = await read(reader)
        await reader.close()
    (reading,) = batch.readings
    assert (reading.resource_id, reading.quantity) == ("id-of-Hotel Ærø", "power_kw")
    assert reading.value == pytest.approx(-0.0084)
    assert published <= reading.time <= datetime.now(UTC)
    assert batch.replayable


@pytest.mark.peer
async def test_a_bad_payload_is_named_and_stops_nothing(tmp_path: Path, free_port: int) -> None:
    """What cannot be understood is rejected with its topic, acknowledged, and what follows is read."""
    bad: list[tuple[str, str | bytes]] = [
        (TOPIC, raw) for raw in (b"\xff\xfe", "NaN", "1e400", "{", "x" * 3000)
    ]
    with mosquitto(tmp_path / "broker", free_port):
        reader = open_mqtt_reader(meter(free_port), make_site(tmp_path))
        await connected(reader, free_port)
        await publish(free_port, *bad, (TOPIC, "2000"))
        batches = await drained(reader, least=len(bad) + 1)
        await reader.close()

        again = open_mqtt_reader(meter(free_port), make_site(tmp_path))
        await connected(again, free_port)
        await again.close()
    rejects = [reject for batch in batches for reject in batch.rejects]
    assert len(rejects) == len(bad)
    assert {reject.place for reject in rejects} == {TOPIC}
    assert values(*batches) == [2.0]


@pytest.mark.peer
async def test_what_is_not_acknowledged_comes_again(tmp_path: Path, free_port: int) -> None:
    """After a restart the broker gives what was read but not committed, and only that."""
    with mosquitto(tmp_path / "broker", free_port):
        reader = open_mqtt_reader(meter(free_port), make_site(tmp_path))
        await connected(reader, free_port)
        await publish(free_port, (TOPIC, "1000"))
        (await read(reader)).acknowledge()
        await publish(free_port, (TOPIC, "2000"))
        assert values(await read(reader)) == [2.0]
        await reader.close()

        await publish(free_port, (TOPIC, "3000"))
        reader = open_mqtt_reader(meter(free_port), make_site(tmp_path))
        batches = await drained(reader, least=2)
        await reader.close()
    assert values(*batches) == [2.0, 3.0]


@pytest.mark.peer
async def test_what_came_before_a_reconnect_is_acknowledged_after_it(tmp_path: Path, free_port: int) -> None:
    """The broker sends it again: it is not read twice, and acknowledged once it was stored."""
    with mosquitto(tmp_path / "broker", free_port):
        reader = open_mqtt_reader(meter(free_port), make_site(tmp_path))
        await connected(reader, free_port)
        await publish(free_port, (TOPIC, "1000"))
        before = await read(reader)
        connection = vars(vars(reader)["_link"])["_client"].socket()
        connection.shutdown(socket.SHUT_RDWR)
        with pytest.raises(ConnectFailed):
            await read(reader)
        await publish(free_port, (TOPIC, "2000"))
        batches = [await read(reader)]
        while not values(*batches):
            batches.append(await read(reader))
        before.acknowledge()
        await drained(reader)  # time for the acknowledgement
        await reader.close()

        reader = open_mqtt_reader(meter(free_port), make_site(tmp_path))
        again = await drained(reader, least=1)
        await reader.close()
    assert values(before) == [1.0]
    assert values(*batches) == values(*again) == [2.0]


@pytest.mark.peer
@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
async def test_messages_wait_at_the_broker_while_we_are_away(
    tmp_path: Path, free_port: int, protocol: str
) -> None:
    """The session is kept: what is published while no gateway runs is read by the next one."""
    resource = meter(free_port, options={**PLAIN_W, "protocol": protocol})
    with mosquitto(tmp_path / "broker", free_port):
        reader = open_mqtt_reader(resource, make_site(tmp_path))
        await connected(reader, free_port)
        await reader.close()
        await publish(free_port, (TOPIC, "1000"), (TOPIC, "2000"))
        reader = open_mqtt_reader(resource, make_site(tmp_path))
        batches = await drained(reader, least=2)
        await reader.close()
    assert values(*batches) == [1.0, 2.0]


@pytest.mark.peer
async def test_a_single_look_leaves_no_session(tmp_path: Path, free_port: int) -> None:
    """A one-shot reader keeps nothing at the broker: what comes afterwards is not kept for it."""
    site: Site = replace(make_site(tmp_path), one_shot=True, client_id="once")
    with mosquitto(tmp_path / "broker", free_port):
        reader = open_mqtt_reader(meter(free_port), site)
        await connected(reader, free_port)
        await reader.close()
        await publish(free_port, (TOPIC, "1000"))
        reader = open_mqtt_reader(meter(free_port), site)
        batches = await drained(reader)
        await reader.close()
    assert values(*batches) == []


@pytest.mark.peer
async def test_a_message_for_two_is_acknowledged_by_both(tmp_path: Path, free_port: int) -> None:
    """A message that serves two resources comes again until both have committed it."""

    def two() -> tuple[MqttReader, MqttReader]:
        site = make_site(tmp_path)
        first, second = (meter(free_port, name=name, topic="site/+/power") for name in ("A", "B"))
        return open_mqtt_reader(first, site), open_mqtt_reader(second, site)

    async def close(readers: tuple[MqttReader, MqttReader]) -> None:
        for reader in readers:
            await reader.close()

    with mosquitto(tmp_path / "broker", free_port):
        readers = two()
        await connected(readers[0], free_port)
        await drained(readers[1])
        await publish(free_port, (TOPIC, "1000"))
        (await read(readers[0])).acknowledge()
        assert values(await read(readers[1])) == [1.0]  # not committed
        await close(readers)

        readers = two()
        again = [await read(reader) for reader in readers]
        for batch in again:
            batch.acknowledge()
        await close(readers)

        readers = two()
        nothing = await drained(readers[0])
        await close(readers)
    assert [values(batch) for batch in again] == [[1.0], [1.0]]
    assert values(*nothing) == []


@pytest.mark.peer
async def test_only_a_resource_that_lacks_a_message_gets_it_again(tmp_path: Path, free_port: int) -> None:
    """One of two resources had stored a message when the gateway was killed: it comes to the other alone."""
    stored: set[tuple[str, int]] = set()

    def two() -> tuple[MqttReader, MqttReader]:
        site = make_site(tmp_path, is_stored=lambda *message: message in stored)
        first, second = (meter(free_port, name=name, topic="site/+/power") for name in ("A", "B"))
        return open_mqtt_reader(first, site), open_mqtt_reader(second, site)

    with mosquitto(tmp_path / "broker", free_port):
        for has_stored in ((), ("A",), ("A", "B")):
            readers = two()
            await connected(readers[0], free_port)
            await drained(readers[1])
            await publish(free_port, (TOPIC, "1000"))
            batches = [await read(reader) for reader in readers]
            for batch in batches:
                one = batch.readings[0]
                if one.resource_id.removeprefix("id-of-") in has_stored:
                    stored.add((one.resource_id, one.mark))
            for reader in readers:
                await reader.close()  # neither has acknowledged

            first, second = two()
            # What comes again, and a message that is new for both.
            await publish(free_port, (TOPIC, "2000"))
            expected = [[2.0] if name in has_stored else [1.0, 2.0] for name in ("A", "B")]
            found = [
                values(*await drained(reader, least=len(least)))
                for reader, least in zip((first, second), expected, strict=True)
            ]
            await first.close()
            await second.close()
            assert found == expected


@pytest.mark.peer
async def test_a_closed_resource_does_not_block_the_others(tmp_path: Path, free_port: int) -> None:
    """What a closed resource left unacknowledged is let go after a while when its link lives on."""
    clock = ManualClock(datetime(2026, 6, 1, tzinfo=UTC))
    with mosquitto(tmp_path / "broker", free_port, "allow_anonymous true", "max_inflight_messages 2"):
        site = make_site(tmp_path, clock)
        gone = open_mqtt_reader(meter(free_port, name="gone", topic="gone"), site)
        stays = open_mqtt_reader(meter(free_port, name="stays"), site)
        await connected(stays, free_port)
        await connected(gone, free_port, topic="gone")
        await publish(free_port, ("gone", "1"), ("gone", "2"))
        unacknowledged = 0
        while unacknowledged < 2:
            unacknowledged += len((await read(gone)).readings)
        await gone.close()
        await publish(free_port, (TOPIC, "7000"))
        assert await drained(stays) == []  # the broker's window is full
        await clock.advance(31)
        batch = await read(stays)
        await stays.close()
    assert values(batch) == [7.0]


@pytest.mark.peer
async def test_a_retained_value_without_a_time_is_stale(tmp_path: Path, free_port: int) -> None:
    """A retained message may be old: it is marked, unless its payload says from when it is."""
    timed = {
        "values": [{"path": "w", "quantity": "power_kw", "unit": "W"}],
        "time": {"path": "t", "format": "epoch_s"},
    }
    with mosquitto(tmp_path / "broker", free_port):
        await publish(free_port, (TOPIC, "5"), ("timed", '{"w": 5, "t": 1632499152}'), retain=True)
        site = make_site(tmp_path)
        plain = open_mqtt_reader(meter(free_port, name="plain"), site)
        stamped = open_mqtt_reader(meter(free_port, name="timed", topic="timed", options=timed), site)
        qualities = [(await read(reader)).readings[0].quality for reader in (plain, stamped)]
        await plain.close()
        await stamped.close()
    assert qualities == [Quality.STALE, Quality.GOOD]
