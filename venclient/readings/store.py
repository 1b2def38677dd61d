"""What a store of readings does, whichever engine is behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from venclient.model.reading import Reading
from venclient.readings.aside import Aside


class ReadingStore(Protocol):
    """Durable readings with bookmarks; one writer, many readers."""

    def add(
        self, readings: Sequence[Reading], *, bookmarks: Mapping[str, str] | None = None, urgent: bool = False
    ) -> asyncio.Future[None]:
        """Take readings into the next commit; the future is done when they survive a power cut.

        Bookmarks are committed together with the readings. The commit comes when the commit period is
        over or enough has gathered; `urgent` counts towards the smaller window of sources that wait
        for our acknowledgement. The same reading (resource, quantity, time) twice is stored once, the
        later value wins; times are kept to the millisecond. A value that is not finite, or a time outside
        1970..2200, is skipped and counted. The future of an urgent add fails with StoreError when the
        commit fails, and the source gives it again; others are kept and tried again. Nothing added is
        forgotten before it was either stored or reported so.
        """
        ...

    async def flush(self) -> None:
        """Commit what was added so far."""
        ...

    def bookmark(self, key: str) -> str | None:
        """Return the bookmark last committed (or added) under `key`."""
        ...

    def set_aside(self, found: Sequence[Aside]) -> None:
        """Quarantine readings with the next commit, for inspection."""
        ...

    async def window(self, resource_id: str, start: datetime, end: datetime) -> dict[str, list[Reading]]:
        """Return one resource's committed readings by quantity, in time order, for start <= time <= end.

        Each list is preceded by the last reading before `start` and followed by the first after `end`,
        where there are any within a day, to bring registers to the window's edges.
        """
        ...

    async def windows(
        self, resource_ids: Sequence[str], start: datetime, end: datetime
    ) -> dict[str, dict[str, list[Reading]]]:
        """Return `window` for many resources at once, by resource; ids without readings have an empty one."""
        ...

    async def latest(self, resource_id: str) -> dict[str, Reading]:
        """Return the newest reading of each quantity."""
        ...

    async def close(self) -> None:
        """Commit and let go of the file or connection."""
        ...
