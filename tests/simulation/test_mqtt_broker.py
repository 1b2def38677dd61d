"""The demo's own MQTT broker, spoken to by paho as the gateway does."""

from __future__ import annotations

import asyncio

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from venclient.simulation.mqtt_broker import MiniBroker, matches


@pytest.mark.parametrize(
    ("pattern", "topic", "covered"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a", False),
        ("a", "a/b", False),
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("+/b", "a/b", True),
        ("#", "a/b", True),
        ("a/#", "a", True),
        ("a/#", "b", False),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS/x", True),
    ],
)
def test_a_filter_covers_what_mqtt_says(pattern: str, topic: str, covered: bool) -> None:
    """Section 4.7 of MQTT 3.1.1 and 5."""
    assert matches(pattern, topic) is covered


@pytest.mark.peer
@pytest.mark.parametrize("version", [MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5])
async def test_paho_subscribes_publishes_and_gets_what_was_retained(version: MQTTProtocolVersion) -> None:
    """Messages come at QoS 1 in order; a retained one reaches a later subscriber."""
    broker = MiniBroker()
    await broker.start()
    loop = asyncio.get_running_loop()
    received: asyncio.Queue[tuple[str, bytes, int]] = asyncio.Queue()
    client = Client(CallbackAPIVersion.VERSION2, protocol=version)

    def take(_client: Client, _data: object, message: MQTTMessage) -> None:
        loop.call_soon_threadsafe(received.put_nowait, (message.topic, bytes(message.payload), message.qos))

    def send(_client: Client, *_: object) -> None:
        client.publish("kept/x", b"old", qos=1, retain=True)
        client.subscribe([("kept/#", 0), ("m/+", 1)])

    def publish(_client: Client, *_: object) -> None:
        for number in range(3):
            client.publish("m/1", str(number), qos=1)

    client.on_message = take
    client.on_connect = send
    client.on_subscribe = publish
    client.connect_async("127.0.0.1", broker.port)
    client.loop_start()
    try:
        async with asyncio.timeout(10):
            got = [await received.get() for _ in range(4)]
            reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
            writer.write(b"\x30\x00")  # PUBLISH before CONNECT
            refused = await reader.read()
            writer.close()
    finally:
        client.disconnect()
        await asyncio.to_thread(client.loop_stop)
        await broker.stop()
        await broker.stop()

    assert got == [("kept/x", b"old", 0), ("m/1", b"0", 1), ("m/1", b"1", 1), ("m/1", b"2", 1)]
    assert refused == b""
