"""A resource's reader that is closed and opened again while others use the same broker loses no message."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.connectors.sites import make_site
from tests.connectors.test_mqtt import connected, drained, meter, publish, read, values
from tests.peers import mosquitto
from venclient.clock import ManualClock
from venclient.connectors.mqtt import open_mqtt_reader
from venclient.connectors.mqtt_link import FORSAKE_AFTER_S

pytestmark = pytest.mark.peer
OTHER = "site/other/power"


async def test_messages_between_closing_and_opening_are_read(tmp_path: Path, free_port: int) -> None:
    """What came and was not read, not committed, or came while no reader was open: all of it, in order."""
    with mosquitto(tmp_path / "broker", free_port, "allow_anonymous true"):
        site = make_site(tmp_path)
        first = open_mqtt_reader(meter(free_port), site)
        other = open_mqtt_reader(meter(free_port, topic=OTHER, name="other"), site)
        await connected(first, free_port)
        await connected(other, free_port, topic=OTHER)
        await publish(free_port, ("site/meter/power", "3000"))
        uncommitted = await read(first)
        await publish(free_port, ("site/meter/power", "4000"), (OTHER, "1000"))
        assert values(await read(other)) == [1.0]
        await first.close()
        await publish(free_port, ("site/meter/power", "5000"), (OTHER, "2000"))
        assert values(await read(other)) == [2.0]

        again = open_mqtt_reader(meter(free_port), site)
        await publish(free_port, ("site/meter/power", "6000"))
        assert values(uncommitted) == [3.0]
        assert values(*await drained(again, least=4)) == [3.0, 4.0, 5.0, 6.0]
        await again.close()
        await other.close()


async def test_other_topic_of_a_reopened_resource_takes_nothing_of_the_old_one(
    tmp_path: Path, free_port: int
) -> None:
    """A message of the old topic is not a reading of the new one, and does not fill the window of others."""
    with mosquitto(tmp_path / "broker", free_port, "allow_anonymous true"):
        site = make_site(tmp_path)
        first = open_mqtt_reader(meter(free_port), site)
        other = open_mqtt_reader(meter(free_port, topic=OTHER, name="other"), site)
        await connected(first, free_port)
        await connected(other, free_port, topic=OTHER)
        await publish(free_port, ("site/meter/power", "3000"), (OTHER, "1000"))
        await read(other)
        await first.close()
        again = open_mqtt_reader(meter(free_port, topic="site/new/power"), site)
        await connected(again, free_port, topic="site/new/power")
        await publish(free_port, ("site/new/power", "7000"))

        assert values(*await drained(again, least=1)) == [7.0]
        await again.close()
        await other.close()


async def test_closed_resource_that_does_not_come_back_is_let_go(tmp_path: Path, free_port: int) -> None:
    """After a while its messages are acknowledged unread: a reader that is opened later sees none of them."""
    clock = ManualClock()
    with mosquitto(tmp_path / "broker", free_port, "allow_anonymous true"):
        site = replace(make_site(tmp_path), clock=clock)
        first = open_mqtt_reader(meter(free_port), site)
        other = open_mqtt_reader(meter(free_port, topic=OTHER, name="other"), site)
        await connected(first, free_port)
        await connected(other, free_port, topic=OTHER)
        await first.close()
        await publish(free_port, ("site/meter/power", "3000"), (OTHER, "1000"))
        await read(other)
        await clock.advance(FORSAKE_AFTER_S + 1)
        again = open_mqtt_reader(meter(free_port), site)
        await connected(again, free_port)
        await publish(free_port, ("site/meter/power", "5000"))

        assert values(*await drained(again, least=1)) == [5.0]
        await again.close()
        await other.close()


async def test_resources_that_swap_their_topics_lose_nothing_that_came_meanwhile(
    tmp_path: Path, free_port: int
) -> None:
    """What came while both were closed is read by the resource that has the topic now; each message once."""
    one, two = "site/one/power", "site/two/power"
    with mosquitto(tmp_path / "broker", free_port, "allow_anonymous true"):
        site = make_site(tmp_path)
        a = open_mqtt_reader(meter(free_port, topic=one, name="a"), site)
        b = open_mqtt_reader(meter(free_port, topic=two, name="b"), site)
        other = open_mqtt_reader(meter(free_port, topic=OTHER, name="other"), site)
        await connected(a, free_port, topic=one)
        await connected(b, free_port, topic=two)
        await a.close()
        await b.close()
        await publish(free_port, (one, "1000"), (two, "2000"), (OTHER, "9000"))
        assert values(*await drained(other, least=1)) == [9.0]

        a = open_mqtt_reader(meter(free_port, topic=two, name="a"), site)
        b = open_mqtt_reader(meter(free_port, topic=one, name="b"), site)
        await publish(free_port, (one, "3000"), (two, "4000"))
        assert values(*await drained(a, least=2)) == [2.0, 4.0]
        assert values(*await drained(b, least=2)) == [1.0, 3.0]
        for reader in (a, b, other):
            await reader.close()
