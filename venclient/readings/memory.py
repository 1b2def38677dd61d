"""Readings in memory only, for tests and small tools: the contract of the durable stores, nothing kept."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime

from venclient.errors import StoreError
from venclient.messages import readings as rdg
from venclient.model.reading import Reading
from venclient.readings.aside import Aside
from venclient.readings.series import NEIGHBOUR_REACH, refusal, to_millisecond


class MemoryReadings:
    """A ReadingStore that forgets everything when it goes; what is added counts as committed at once."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, dict[datetime, Reading]]] = {}
        self._bookmarks: dict[str, str] = {}
        self._closed = False
        self.refused = 0
        self.aside: list[Aside] = []

    def add(
        self, readings: Sequence[Reading], *, bookmarks: Mapping[str, str] | None = None, urgent: bool = False
    ) -> asyncio.Future[None]:
        """Keep readings and bookmarks; the future is done already."""
        if self._closed:
            raise StoreError(rdg.CLOSED(), subject=rdg.IN_MEMORY())
        for reading in readings:
            if refusal(reading) is not None:
                self.refused += 1
                continue
            exact = to_millisecond(reading)
            series = self._values.setdefault(exact.resource_id, {}).setdefault(exact.quantity, {})
            series[exact.time] = exact
        self._bookmarks.update(bookmarks or {})
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future

    async def run(self) -> None:
        """Wait to be cancelled, as there is nothing to commit."""
        await asyncio.get_running_loop().create_future()

    async def flush(self) -> None:
        """Do nothing: what was added is there."""

    def bookmark(self, key: str) -> str | None:
        """Return the bookmark last added under `key`."""
        return self._bookmarks.get(key)

    def set_aside(self, found: Sequence[Aside]) -> None:
        """Keep it in `aside`."""
        self.aside += found

    async def window(self, resource_id: str, start: datetime, end: datetime) -> dict[str, list[Reading]]:
        """Return one resource's readings by quantity, with their neighbours."""
        found = {}
        for quantity, series in self._values.get(resource_id, {}).items():
            times = sorted(series)
            first, beyond = bisect_left(times, start), bisect_right(times, end)
            if first and times[first - 1] >= start - NEIGHBOUR_REACH:
                first -= 1
            if beyond < len(times) and times[beyond] <= end + NEIGHBOUR_REACH:
                beyond += 1
            if first < beyond:
                found[quantity] = [series[time] for time in times[first:beyond]]
        return found

    async def windows(
        self, resource_ids: Sequence[str], start: datetime, end: datetime
    ) -> dict[str, dict[str, list[Reading]]]:
        """Return `window` for many resources, by resource."""
        return {resource_id: await self.window(resource_id, start, end) for resource_id in resource_ids}

    async def latest(self, resource_id: str) -> dict[str, Reading]:
        """Return the newest reading of each quantity."""
        return self.newest(resource_id)

    def newest(self, resource_id: str) -> dict[str, Reading]:
        """Return what `latest` returns, without waiting."""
        return {
            quantity: series[max(series)] for quantity, series in self._values.get(resource_id, {}).items()
        }

    async def close(self) -> None:
        """Take no more readings."""
        self._closed = True
