"""What a gateway says to a broker: that it is there, and the requests that keep a device talking.

birth         "online" when we connect, "offline" when we leave or (as the last will) when we are lost
keep-alive    a message at a fixed interval, and at once after connecting: some devices fall silent
              without (Victron GX after 60 s)
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from paho.mqtt.client import Client

from venclient.clock import Clock
from venclient.connectors.mistakes import Mistakes, shown
from venclient.connectors.mqtt_topics import publishing_mistakes
from venclient.messages import mqtt as mqt


class KeepAlive(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message that a device wants every `period_s` seconds."""

    topic: str
    payload: str = ""
    period_s: Annotated[float, Meta(ge=1, le=86_400)] = 30.0

    def __post_init__(self) -> None:
        problems = publishing_mistakes(self.topic)
        if problems:
            raise Mistakes(problems)


class Birth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the gateway publishes that it is connected, and in which words; retained."""

    topic: str
    online: str = "online"
    offline: str = "offline"

    def __post_init__(self) -> None:
        problems = publishing_mistakes(self.topic)
        if self.online == self.offline:
            problems.append(mqt.BIRTH_SAME(text=shown(self.online)))
        if problems:
            raise Mistakes(problems)


class Beacon:
    """Publishes for one connection to a broker; lives in the event loop."""

    def __init__(self, client: Client, clock: Clock, name: str) -> None:
        self._client = client
        self._clock = clock
        self._name = name
        self._birth: Birth | None = None
        self._kept: Counter[KeepAlive] = Counter()
        self._tasks: dict[KeepAlive, asyncio.Task[None]] = {}
        self._running = False
        self._connected = False

    def announce(self, birth: Birth) -> str:
        """Tell of ourselves in this way, from the next connection on; give why not, "" when it is done."""
        if self._birth is not None and self._birth != birth:
            return mqt.BIRTH_TWICE(broker=self._name, topic=shown(self._birth.topic))
        self._birth = birth
        self._client.will_set(birth.topic, birth.offline, qos=1, retain=True)
        if self._connected:
            self._client.publish(birth.topic, birth.online, qos=1, retain=True)
        return ""

    def keep(self, keep_alive: KeepAlive) -> None:
        """Publish this regularly, once for all who ask for the same."""
        self._kept[keep_alive] += 1
        if self._running:
            self._begin(keep_alive)
        if self._connected and self._kept[keep_alive] == 1:
            self._client.publish(keep_alive.topic, keep_alive.payload)

    def drop(self, keep_alive: KeepAlive) -> None:
        """Stop publishing what one of its askers no longer needs."""
        self._kept[keep_alive] -= 1
        if self._kept[keep_alive] <= 0:
            del self._kept[keep_alive]
            task = self._tasks.pop(keep_alive, None)
            if task is not None:
                task.cancel()

    def start(self) -> None:
        """Begin; call it in the event loop."""
        self._running = True
        for keep_alive in self._kept:
            self._begin(keep_alive)

    def connected(self) -> None:
        """Say that we are there, and ask the devices to talk."""
        self._connected = True
        if self._birth is not None:
            self._client.publish(self._birth.topic, self._birth.online, qos=1, retain=True)
        for keep_alive in self._kept:
            self._client.publish(keep_alive.topic, keep_alive.payload)

    def lost(self) -> None:
        """Note that nothing can be published."""
        self._connected = False

    def close(self) -> None:
        """Say that we leave; call it before disconnecting."""
        self._running = False
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()
        if self._connected and self._birth is not None:
            self._client.publish(self._birth.topic, self._birth.offline, qos=1, retain=True)

    def _begin(self, keep_alive: KeepAlive) -> None:
        if keep_alive not in self._tasks:
            work: Coroutine[Any, Any, None] = self._repeat(keep_alive)
            self._tasks[keep_alive] = asyncio.get_running_loop().create_task(
                work, name=f"{self._name} keep-alive {keep_alive.topic}"
            )

    async def _repeat(self, keep_alive: KeepAlive) -> None:
        while True:
            await self._clock.sleep(keep_alive.period_s)
            if self._connected:
                self._client.publish(keep_alive.topic, keep_alive.payload)
