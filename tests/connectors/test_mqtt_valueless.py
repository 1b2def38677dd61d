"""Silence counts values: a device whose messages no longer hold the value is silent."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.connectors.sites import make_resource, make_site
from tests.kinds import messages_without_the_value
from venclient.clock import ManualClock
from venclient.connectors.mqtt import MqttReader
from venclient.connectors.mqtt_inbox import Endpoint, Inbox, Message
from venclient.connectors.mqtt_link import MqttLink
from venclient.connectors.mqtt_options import MqttOptions
from venclient.connectors.mqtt_topics import TopicFilter
from venclient.connectors.options import check_options
from venclient.connectors.poller import Poller
from venclient.errors import ReadTimeout
from venclient.model.resource import ConnectionType

OPTIONS = {"values": [{"path": "power", "quantity": "power_kw", "unit": "W"}], "silence_s": 600}
START = datetime(2026, 6, 1, tzinfo=UTC)


class Link:
    """A link to a broker that lets everything in; `put` is a message that comes."""

    started_s = 0.0
    was_connected = True

    def __init__(self) -> None:
        self.inbox: Inbox | None = None
        self.acknowledged = 0

    def attach(self, inbox: Inbox) -> None:
        """Take the inbox of the reader."""
        inbox.granted = True
        self.inbox = inbox

    def start(self) -> None:
        """Do nothing: it is connected."""

    def done(self, _inbox: Inbox, messages: list[Message]) -> None:
        """Count what is acknowledged."""
        self.acknowledged += len(messages)

    def put(self, payload: bytes, *, retained: bool = False) -> None:
        """Deliver a message."""
        assert self.inbox is not None
        self.inbox.put(Message("t", payload, START, retained, 1, 1, 1))


def reader_on(link: Link, clock: ManualClock) -> MqttReader:
    """Return the reader of a meter whose broker is `link`."""
    resource = make_resource(ConnectionType.MQTT, host="127.0.0.1", topic="t", options=OPTIONS)
    options, _ = check_options(OPTIONS, MqttOptions)
    assert options is not None
    endpoint = Endpoint("127.0.0.1", 1883, None, None, "3.1.1", None)
    site = make_site(Path(), clock)
    return MqttReader(resource, options, cast("MqttLink", link), site, endpoint, TopicFilter("t"))


async def read_all(
    reader: MqttReader, link: Link, clock: ManualClock, payload: bytes, count: int
) -> list[Any]:
    """Return what each of `count` messages, one a minute, leads to: a batch or an error."""
    found: list[Any] = []
    for _ in range(count):
        link.put(payload)
        try:
            batch = await reader.read()
            batch.acknowledge()
            found.append(batch)
        except ReadTimeout as error:
            found.append(error)
        await clock.advance(60)
    return found


@settings(max_examples=40, deadline=None)
@given(drawn=messages_without_the_value(), minutes=st.integers(1, 9))
def test_messages_without_the_value_are_a_silence(drawn: tuple[bytes, str], minutes: int) -> None:
    """They are acknowledged, the silence is reported once with the keys, and only a value ends it."""
    payload, name = drawn

    async def run() -> None:
        clock, link = ManualClock(START), Link()
        reader = reader_on(link, clock)
        [first] = await read_all(reader, link, clock, b'{"power": 5}', 1)
        assert first.readings
        found = await read_all(reader, link, clock, payload, 12 + minutes)
        errors = [one for one in found if isinstance(one, ReadTimeout)]
        assert len(errors) == 1
        assert errors[0].code in ("VEN-MQT-065", "VEN-MQT-066")
        assert name in str(errors[0])
        assert found[-1].silent
        assert not found[0].silent
        while reader._inbox.messages:
            (await reader.read()).acknowledge()
        assert link.acknowledged == 1 + len(found)
        [back] = await read_all(reader, link, clock, b'{"power": 7}', 1)
        assert back.readings
        assert not back.silent

    asyncio.run(run())


async def test_retained_value_does_not_end_a_silence() -> None:
    """What the broker kept is from any time."""
    clock, link = ManualClock(START), Link()
    reader = reader_on(link, clock)
    await read_all(reader, link, clock, b"{}", 12)
    link.put(b'{"power": 5}', retained=True)
    while reader._inbox.messages:
        batch = await reader.read()

    assert batch.readings
    assert batch.silent


async def test_state_is_silent_while_messages_hold_no_value() -> None:
    """The state and the last error, with its keys, stay until a value comes."""
    clock, link = ManualClock(START), Link()
    poller = Poller(reader_on(link, clock), name="Hotel", deliver=lambda _: asyncio.sleep(0), clock=clock)
    running = asyncio.create_task(poller.run())
    states = []
    for payload in [b'{"power": 5}', *[b'{"P": 5}'] * 14, b'{"power": 6}']:
        link.put(payload)
        await clock.advance(60)
        states.append((poller.health.state, "P" in (poller.health.last_error or "")))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert states[:10] == [("ok", False)] * 10
    assert states[12:15] == [("silent", True)] * 3
    assert states[15][0] == "ok"
