"""Messages that a broker sends again: recognised where that can be known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.connectors.sites import make_site
from tests.connectors.test_mqtt import TOPIC, meter, read, values
from tests.fakes.mqtt import ScriptedBroker, scripted_broker
from venclient.connectors.mqtt import MqttReader, open_mqtt_reader


async def until(holds: Callable[[], object], what: str) -> None:
    """Return when something holds that sockets bring about; `what` says what did not."""
    try:
        async with asyncio.timeout(60):
            while not holds():  # noqa: ASYNC110 (a broker sets no event of ours)
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(what)


class Line:
    """A reader on a scripted broker that keeps its session."""

    def __init__(self, reader: MqttReader, broker: ScriptedBroker) -> None:
        self.reader = reader
        self.broker = broker
        self._subscribed = 0

    async def connected(self) -> None:
        """Return when the reader has subscribed once more."""
        self._subscribed += 1
        await until(lambda: self.broker.subscribed >= self._subscribed, "it is subscribed")


@pytest.fixture
async def line(tmp_path: Path, free_port: int) -> AsyncIterator[Line]:
    """Return a connected reader."""
    async with scripted_broker(free_port, session=True) as broker:
        reader = open_mqtt_reader(meter(free_port), make_site(tmp_path))
        reader._link.start()
        found = Line(reader, broker)
        await found.connected()
        yield found
        await reader.close()


async def test_a_message_whose_acknowledgement_was_lost_adds_nothing(line: Line) -> None:
    """Stored and acknowledged, and sent again after a reconnect: acknowledged once more, not read again."""
    await line.broker.give(7, TOPIC, b"1000")
    (await read(line.reader)).acknowledge()
    await until(lambda: line.broker.acknowledged == [7], "it is acknowledged")
    line.broker.cut()
    await line.connected()
    await line.broker.give(7, TOPIC, b"1000", again=True)
    await line.broker.give(8, TOPIC, b"1000")
    batch = await read(line.reader)
    while not batch.readings:
        batch = await read(line.reader)
    batch.acknowledge()

    await until(lambda: line.broker.acknowledged == [7, 7, 8], "all are acknowledged")
    assert values(batch) == [1.0]


async def test_a_message_that_waits_for_its_commit_is_acknowledged_on_the_new_connection(line: Line) -> None:
    """Read before the connection was lost and stored after it: one reading, one acknowledgement."""
    await line.broker.give(7, TOPIC, b"1000")
    first = await read(line.reader)
    line.broker.cut()
    await line.connected()
    await line.broker.give(7, TOPIC, b"1000", again=True)
    await line.broker.give(8, TOPIC, b"2000")
    await until(lambda: line.reader._inbox.messages, "the next one came")
    assert line.broker.acknowledged == []
    first.acknowledge()

    await until(lambda: line.broker.acknowledged == [7], "the first is acknowledged")
    assert [message.payload for message in line.reader._inbox.messages] == [b"2000"]


async def test_a_message_sent_twice_on_one_connection_is_read_once(line: Line) -> None:
    """A broker that grows impatient while a commit is due gets one acknowledgement."""
    await line.broker.give(7, TOPIC, b"1000")
    await line.broker.give(7, TOPIC, b"1000", again=True)
    await line.broker.give(8, TOPIC, b"2000")
    await until(lambda: len(line.reader._inbox.messages) == 2, "both came")
    (await read(line.reader)).acknowledge()

    await until(lambda: line.broker.acknowledged == [7, 8], "each is acknowledged once")


@pytest.mark.parametrize(("number", "payload"), [(7, b"3000"), (9, b"1000")])
async def test_another_message_is_read_although_it_is_marked_as_sent_before(
    line: Line, number: int, payload: bytes
) -> None:
    """Another number or payload: we never had it."""
    await line.broker.give(7, TOPIC, b"1000")
    (await read(line.reader)).acknowledge()
    line.broker.cut()
    await line.connected()
    await line.broker.give(number, TOPIC, payload, again=True)
    await until(lambda: line.reader._inbox.messages, "it came")


async def test_a_broker_that_uses_numbers_again_is_not_trusted_with_them(line: Line) -> None:
    """Where a number soon means another message, an equal one that is marked as sent before is read."""
    for _ in range(2):
        await line.broker.give(1, TOPIC, b"1000")
        (await read(line.reader)).acknowledge()
    line.broker.cut()
    await line.connected()
    await line.broker.give(1, TOPIC, b"1000", again=True)
    await until(lambda: line.reader._inbox.messages, "it came")
