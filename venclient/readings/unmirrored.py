"""A journal whose mirror is switched off: what comes late is noted for the InfluxDBs that were fed before."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

from venclient.model.reading import Reading
from venclient.readings.aside import Aside
from venclient.readings.cursors import destinations, moved_back
from venclient.readings.mirror import Found, Journal
from venclient.readings.series import refusal, to_ms


def without_mirror(journal: Journal) -> Journal:
    """Return the journal, noting late readings where an InfluxDB was fed from it before."""
    return Unmirrored(journal) if destinations(journal) else journal


class Unmirrored:
    """A journal that moves the positions of InfluxDBs back for readings that are older than these."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def add(
        self, readings: Sequence[Reading], *, bookmarks: Mapping[str, str] | None = None, urgent: bool = False
    ) -> asyncio.Future[None]:
        """Take readings into the journal's next commit."""
        oldest: dict[str, int] = {}
        for reading in readings:
            if refusal(reading) is None:
                ms = to_ms(reading.time)
                oldest[reading.resource_id] = min(ms, oldest.get(reading.resource_id, ms))
        noted = {**(bookmarks or {}), **moved_back(self._journal, oldest)}
        return self._journal.add(readings, bookmarks=noted, urgent=urgent)

    async def flush(self) -> None:
        """Commit what was added so far."""
        await self._journal.flush()

    def bookmark(self, key: str) -> str | None:
        """Return the bookmark last committed or added under `key`."""
        return self._journal.bookmark(key)

    def set_aside(self, found: Sequence[Aside]) -> None:
        """Keep what a destination never accepts."""
        self._journal.set_aside(found)

    async def window(self, resource_id: str, start: datetime, end: datetime) -> dict[str, list[Reading]]:
        """Return one resource's committed readings by quantity, with their neighbours."""
        return await self._journal.window(resource_id, start, end)

    async def windows(self, resource_ids: Sequence[str], start: datetime, end: datetime) -> Found:
        """Return `window` of many resources at once."""
        return await self._journal.windows(resource_ids, start, end)

    async def latest(self, resource_id: str) -> dict[str, Reading]:
        """Return the newest reading of each quantity."""
        return await self._journal.latest(resource_id)

    def newest(self, resource_id: str) -> dict[str, Reading]:
        """Return what `latest` returns, without waiting."""
        return self._journal.newest(resource_id)

    async def close(self) -> None:
        """Close the journal."""
        await self._journal.close()
