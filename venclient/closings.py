"""Which readers are being closed, by what they read from: the next ones are opened once all are.

A part of the composition root. Resources that share a broker and get another password at once must all let
go of the old connection first; and the first that connects must not be alone: a broker that has no reader for
a kept message gets rid of it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Hashable

from venclient.clock import Clock, rest
from venclient.model.resource import Resource

Places = Collection[Hashable]


def places_of(resource: Resource) -> tuple[Hashable, ...]:
    """Return what one reader of a resource may not share with the next: its id, and where it reads."""
    connection = resource.connection
    source = connection.file if connection.host is None else None
    return resource.resourceID, (connection.type, connection.host, connection.port, source)


class Closings:
    """Counts the readers that are being closed, by place."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._closing: Counter[Hashable] = Counter()
        self._waiting: dict[Hashable, list[asyncio.Event]] = {}

    def begin(self, places: Places) -> None:
        """Note that a reader of these places is being closed."""
        self._closing.update(places)

    def end(self, places: Places) -> None:
        """Note that it is closed; tasks that wait for a free place are woken."""
        for place in places:
            self._closing[place] -= 1
            if self._closing[place] <= 0:
                del self._closing[place]
                for event in self._waiting.get(place, ()):
                    event.set()

    def busy(self, places: Places) -> bool:
        """Return whether a reader of one of these places is being closed."""
        return any(place in self._closing for place in places)

    async def wait(self, places: Places, event: asyncio.Event, within_s: float) -> None:
        """Return when the last reader of one of the places is closed, `event` is set, or time is up."""
        for place in places:
            self._waiting.setdefault(place, []).append(event)
        try:
            await rest(self._clock, within_s, event)
        finally:
            for place in places:
                events = self._waiting[place]
                events.remove(event)
                if not events:
                    del self._waiting[place]

    async def until_quiet(self, places: Places, within_s: float) -> None:
        """Return when no reader of the places is being closed, or when time is up."""
        until_s = self._clock.monotonic() + within_s
        while self.busy(places) and (left_s := until_s - self._clock.monotonic()) > 0:
            await self.wait(places, asyncio.Event(), left_s)
