"""Fill an InfluxDB from the journal, from a date on, beside a running gateway or without one.

The journal is only read, and InfluxDB keeps one point per series and time: whatever the gateway sends
meanwhile does no harm. How far it came is in a small file beside the journal, and the same command
continues there.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec

from venclient.clock import Clock
from venclient.errors import StoreError
from venclient.messages import influx as inf
from venclient.readings.cursors import Cursors
from venclient.readings.delivery import Delivery, Destination
from venclient.readings.gathering import STRETCHES, Gathered, Gatherer
from venclient.readings.line_protocol import Tags, name_refusal
from venclient.readings.look import Found
from venclient.readings.pending import to_the_end
from venclient.readings.places import Place
from venclient.readings.series import to_ms
from venclient.readings.tables import Tables
from venclient.utils import backoff_s

TRIES = 5
BACKOFF_BASE_S = 1.0
BACKOFF_CAP_S = 20.0
#: How often, in seconds, it is written down how far it came, and reported.
PERIOD_S = 2.0


class Reached(msgspec.Struct, frozen=True):
    """How far one resource is; the members of `Place` that outlive a run."""

    position: int
    sent: int
    newest: int
    backlog: tuple[int, int] | None
    sent_before: int


class Run(msgspec.Struct, frozen=True):
    """A run that was not finished."""

    destination: str
    since_ms: int
    places: dict[str, Reached]


class Reader:
    """The windows of a readings file, read beside the event loop."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def windows(self, resource_ids: Sequence[str], start: datetime, end: datetime) -> Found:
        """Return the readings of a window with their neighbours, by resource and quantity."""
        tables = self._tables
        look = asyncio.to_thread(tables.windows, resource_ids, start, end, tables.newest)
        # The file is closed only after it.
        return await to_the_end(asyncio.ensure_future(look))


class Refill:
    """One run. `continued` is true when it goes on with one that stopped; counts are of this run."""

    def __init__(
        self,
        tables: Tables,
        destination: Destination,
        tags: Mapping[str, Tags],
        clock: Clock,
        *,
        since: datetime,
        batch: int,
        state: Path,
    ) -> None:
        self._clock = clock
        self._state = state
        self._key = destination.destination
        self._since_ms = to_ms(since)
        self._delivery = Delivery(destination, clock, batch=batch)
        self._cursors = Cursors(_Bookmarks(tables.bookmarks()), self._key)
        self._places = self._found(tables, tags)
        self._gatherer = Gatherer(Reader(tables), tags, self._places, batch)
        self._rng = random.Random()  # noqa: S311 - spreads retries, hides nothing
        #: The time of the last reading that was sent or rejected, in milliseconds.
        self.at_ms = self._since_ms

    @property
    def resources(self) -> int:
        """How many resources have readings to be sent."""
        return len(self._places)

    @property
    def sent(self) -> int:
        """How many readings were sent."""
        return self._delivery.counts.sent

    @property
    def rejected(self) -> int:
        """How many readings the server will never accept."""
        return self._delivery.counts.rejected

    @property
    def last_reject(self) -> str:
        """Why the last of them was rejected."""
        rejects = self._delivery.counts.last_rejects
        return f"{rejects[-1].place}: {rejects[-1].reason}" if rejects else ""

    def _found(self, tables: Tables, tags: Mapping[str, Tags]) -> dict[str, Place]:
        """Return where each resource starts: at the date, or where the run stopped."""
        run = self._unfinished()
        self.continued = run is not None
        places: dict[str, Place] = {}
        for id_, latest in tables.latest().items():
            if id_ not in tags or name_refusal(id_) is not None:
                continue
            newest = max((to_ms(one.time) for one in latest.values()), default=-1)
            known = run.places.get(id_) if run else None
            if known is not None:
                place = Place(known.position, known.sent, max(newest, known.newest))
                place.backlog, place.sent_before = known.backlog, known.sent_before
            else:
                # Where something was sent before, another quality may stand beside the value.
                cursor = self._cursors.get(id_)
                place = Place(self._since_ms - 1, cursor.sent if cursor else -1, newest)
            if place.is_behind():
                places[id_] = place
        return places

    def _unfinished(self) -> Run | None:
        try:
            run = msgspec.json.decode(self._state.read_bytes(), type=Run)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None
        return run if (run.destination, run.since_ms) == (self._key, self._since_ms) else None

    async def run(self, report: Callable[[], None] = lambda: None) -> None:
        """Send everything; StoreError when InfluxDB does not accept it for a while."""
        noted_s = self._clock.monotonic()
        try:
            while (found := await self._next()) is not None:
                await self._deliver(found)
                if self._clock.monotonic() - noted_s >= PERIOD_S:
                    noted_s = self._clock.monotonic()
                    self._note()
                    report()
        except BaseException:
            self._note()
            raise
        self._state.unlink(missing_ok=True)

    async def _next(self) -> Gathered | None:
        return await self._gatherer.newer(STRETCHES) or await self._gatherer.older(STRETCHES)

    async def _deliver(self, found: Gathered) -> None:
        newer = not found.spans
        for attempt in range(TRIES):
            later = await self._delivery.send(found.lines, newest_first=not newer, stop_at_old=newer)
            if later is None:
                break
            if attempt + 1 == TRIES:
                raise StoreError(inf.REFILL_STOPPED(reason=later.text))
            wait_s = backoff_s(attempt, BACKOFF_BASE_S, BACKOFF_CAP_S, self._rng)
            await self._clock.sleep(max(wait_s, min(later.wait_s or 0.0, BACKOFF_CAP_S)))
        met_old = bool(found.lines) and self._delivery.met_old
        if found.lines and self._delivery.stopped and self._delivery.too_old_ms is not None:
            found.cut(self._delivery.too_old_ms)
        self._delivery.counts.rejected += sum(one.readings for one in found.unwritable)
        self._delivery.aside.clear()  # the gateway keeps those that it met itself
        if found.newest_ms:
            self.at_ms = max(found.newest_ms.values())
        found.settle(self._places)
        if newer and met_old:
            for place in self._places.values():
                place.put_off()

    def _note(self) -> None:
        """Write down how far it came; without that the next run starts at the date again."""
        places = {
            id_: Reached(one.position, one.sent, one.newest, one.backlog, one.sent_before)
            for id_, one in self._places.items()
        }
        content = msgspec.json.encode(Run(self._key, self._since_ms, places))
        unfinished = self._state.with_name(self._state.name + ".new")
        with suppress(OSError):
            unfinished.write_bytes(content)
            unfinished.replace(self._state)


class _Bookmarks:
    def __init__(self, found: Mapping[str, str]) -> None:
        self._found = found

    def bookmark(self, key: str) -> str | None:
        """Return the bookmark under `key`."""
        return self._found.get(key)
