"""What a channel listens to is read again while it is connected: MQTT topics, the subscription."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest

from tests.client.fake_vtn import FakeVtn
from venclient.client import push_mqtt, push_socket
from venclient.client.notices import Notices, Topics
from venclient.client.push_mqtt import MqttChannel, _Ear
from venclient.client.push_socket import SocketChannel
from venclient.clock import ManualClock
from venclient.errors import VtnUnreachable
from venclient.messages import client as vtn
from venclient.openadr.objects import MqttNotifier


class Woken:
    """Counts."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, *_: object) -> None:
        self.times += 1


class Subscriber:
    """A client of a broker that takes subscriptions, and says what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[str]]] = []
        self.on_subscribe: Any = None

    def subscribe(self, topics: list[tuple[str, int]]) -> None:
        self.asked.append(("+", [topic for topic, _ in topics]))

    def unsubscribe(self, topics: list[str]) -> None:
        self.asked.append(("-", topics))


async def test_topics_that_change_while_connected_are_followed() -> None:
    """The VTN's topics are read again now and then, and when they are doubted; only what changed is asked."""
    clock, doubted, up = ManualClock(), asyncio.Event(), Woken()
    named = [Topics(("e",), ("p",)), Topics(("e", "e2"), ("p",)), Topics(("e2",), ("q",))]
    answers = list(named)

    async def topics(_: str) -> Topics:
        return answers.pop(0)

    notices = SimpleNamespace(url="http://vtn", topics=topics)
    channel = MqttChannel(
        cast("Notices", notices), MqttNotifier(uris=["mqtt://x"]), "mqtt://x", "V1", clock, doubted=doubted
    )
    client = Subscriber()
    ear = _Ear(client, 5, named[0], up, Woken())
    ear._hear()
    task = asyncio.create_task(channel._until_ended(ear, named[0]))
    await clock.advance(push_mqtt.TOPICS_EVERY_S, settle=20)
    assert client.asked == []
    doubted.set()
    await clock.advance(0, settle=20)
    assert client.asked == [("+", ["e2"])]
    client.on_subscribe(client, None, 2, [SimpleNamespace(is_failure=False)], None)
    await asyncio.sleep(0)
    assert up.times == 2  # what changed before is read now
    await clock.advance(push_mqtt.TOPICS_EVERY_S, settle=20)
    assert client.asked[1:] == [("-", ["e", "p"]), ("+", ["q"])]
    ear._end(vtn.MQTT_NO_TOPIC())
    assert await task == vtn.MQTT_NO_TOPIC()


@pytest.mark.parametrize(
    ("doubted", "answers", "ends"),
    [
        (False, [VtnUnreachable("gone"), Topics(("e",), ())], None),
        (True, [VtnUnreachable("gone")], "gone"),
        (False, [Topics((), ("p",))], "VEN-VTN"),
    ],
)
async def test_a_channel_whose_topics_cannot_be_read_again_ends_when_that_matters(
    doubted: bool, answers: list[Any], ends: str | None
) -> None:
    """A VTN that is away for a while does not end the channel; one without topics of events does."""
    clock, doubt = ManualClock(), asyncio.Event()

    async def topics(_: str) -> Topics:
        answer = answers.pop(0) if answers else Topics(("e",), ())
        if isinstance(answer, Exception):
            raise answer
        return cast("Topics", answer)

    notices = SimpleNamespace(url="http://vtn", topics=topics)
    channel = MqttChannel(
        cast("Notices", notices), MqttNotifier(uris=["mqtt://x"]), "mqtt://x", "V1", clock, doubted=doubt
    )
    ear = _Ear(Subscriber(), 5, Topics(("e",), ()), Woken(), Woken())
    task = asyncio.create_task(channel._until_ended(ear, Topics(("e",), ())))
    if doubted:
        doubt.set()
    await clock.advance(push_mqtt.TOPICS_EVERY_S, settle=20)
    assert task.done() is (ends is not None)
    task.cancel()
    if ends is None:
        await asyncio.gather(task, return_exceptions=True)
        return
    with pytest.raises(VtnUnreachable, match=ends):
        await task


async def test_a_lost_subscription_of_the_websocket_is_made_again() -> None:
    """A VTN that lost it would send nothing; one that still has it is left alone."""
    clock, doubted, up = ManualClock(), asyncio.Event(), Woken()
    lost = [False, True, VtnUnreachable("away"), True]

    async def keep_socket(_: str) -> bool:
        answer = lost.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return cast("bool", answer)

    notices = cast("Notices", SimpleNamespace(url="http://vtn", keep_socket=keep_socket))
    task = asyncio.create_task(SocketChannel(notices, "x", clock, doubted=doubted)._keep(up))
    await clock.advance(push_socket.KEEP_EVERY_S, settle=20)
    assert up.times == 0
    doubted.set()
    await clock.advance(0, settle=20)
    assert up.times == 1
    await clock.advance(push_socket.KEEP_EVERY_S, settle=20)
    await clock.advance(push_socket.KEEP_EVERY_S, settle=20)
    assert up.times == 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_large_messages_wake_and_fill_no_memory() -> None:
    """Of messages that wait for the event loop only small ones are kept, to see what they are about."""
    heard: list[bytes] = []
    client = Subscriber()
    ear = _Ear(client, 5, Topics(("e",), ()), Woken(), heard.append)
    for size in (10, push_mqtt.LARGEST_READ, push_mqtt.LARGEST_READ + 1, 2**20):
        ear._message(b"x" * size)
    await asyncio.sleep(0)
    assert [len(one) for one in heard] == [10, push_mqtt.LARGEST_READ, 0, 0]


async def test_topics_nested_deeper_than_python_follows_are_none() -> None:
    """Such an answer of a VTN counts as one without topics."""
    fake = FakeVtn(ManualClock())
    fake.handlers["GET", "notifiers/mqtt/topics/vens/V1/events"] = lambda _: httpx2.Response(
        200, content=b'{"topics":' * 100_000, headers={"content-type": "application/json"}
    )
    async with fake.client(retries=0) as client:
        assert (await client.notices.topics("V1")).events == ()
