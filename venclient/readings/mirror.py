"""The mirror in InfluxDB as a whole: what settings open, and a ReadingStore that reads from it.

With `readings.store = "influxdb"` history comes from InfluxDB wherever it has all that the journal holds.
Readings that it lacks (refused, deleted, expired, or lost with a bucket) come from the journal; all of them
while it does not answer, or was not given all of them yet.
"""

from __future__ import annotations

import asyncio
import logging
import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from venclient.clock import Clock
from venclient.errors import StoreError
from venclient.messages import influx as inf
from venclient.messages.printable import foreign
from venclient.model.reading import Reading
from venclient.readings.aside import Aside
from venclient.readings.forwarder import Forwarder
from venclient.readings.influx import InfluxServer
from venclient.readings.influx_account import InfluxAccount
from venclient.readings.influx_query import Window, window_of
from venclient.readings.line_protocol import Tags
from venclient.readings.measures import TrackStore
from venclient.readings.series import to_ms
from venclient.readings.store import ReadingStore
from venclient.readings.track import Track
from venclient.settings import Settings, resolve_secret

RESOURCES_AT_ONCE = 100
#: Reports wait that long for what InfluxDB lacks; and so long they leave it alone after a failure.
DRAIN_LIMIT_S = 2.0
ASK_AGAIN_S = 60.0

Found = dict[str, dict[str, list[Reading]]]
Tracks = Mapping[str, Mapping[str, Track]]

log = logging.getLogger(__name__)


class History(Protocol):
    """What can be asked for windows; `InfluxServer` is one."""

    @property
    def subject(self) -> str:
        """What messages call it."""
        ...

    async def windows(self, window: Window) -> Found:
        """Return the readings of a window with their neighbours."""
        ...


def _fill(found: Found, ours: Tracks, start: datetime, end: datetime) -> list[Reading]:
    """Add to the windows of InfluxDB what it lacks of the journal's, and return that."""
    lacking: list[Reading] = []
    for id_, tracks in ours.items():
        for quantity, track in tracks.items():
            series = found[id_]
            theirs = series.get(quantity, [])
            times = {to_ms(one.time) for one in theirs}
            if times.issuperset(track.times):
                continue
            extra = [one for one in track.readings(id_, quantity) if to_ms(one.time) not in times]
            series[quantity] = whole = joined(theirs, extra, start, end)
            lacking += [one for one in whole if to_ms(one.time) not in times]
    return lacking


def joined(some: Sequence[Reading], more: Sequence[Reading], start: datetime, end: datetime) -> list[Reading]:
    """Return readings of a window with one neighbour at each side, from two such of one series."""
    together = sorted([*some, *more], key=_time)
    first, beyond = bisect_left(together, start, key=_time), bisect_right(together, end, key=_time)
    return together[max(0, first - 1) : beyond + 1]


def _time(reading: Reading) -> datetime:
    return reading.time


class Journal(ReadingStore, Protocol):
    """A durable store that holds the newest readings in memory."""

    def newest(self, resource_id: str) -> dict[str, Reading]:
        """Return the newest reading of each quantity."""
        ...


class InfluxReadings:
    """A ReadingStore whose windows come from InfluxDB, behind a journal that is written first.

    `add` and `bookmark` are the journal's: what it has committed is safe, whatever InfluxDB does. `flush`
    also sends what was committed, unless InfluxDB is away. `fallbacks` counts the windows that came from the
    journal, or partly so.
    """

    def __init__(self, journal: Journal, forwarder: Forwarder, history: History) -> None:
        self._journal = journal
        self._forwarder = forwarder
        self._history = history
        self._problem: str | None = None
        self._keeps_up = True
        self._holes_said = False
        self._ask_at_s = -math.inf
        self.fallbacks = 0
        #: Readings that InfluxDB lacked of the last window that it did not have whole.
        self.holes = 0

    @property
    def problem(self) -> str | None:
        """Why history comes from the journal at the moment; None when it comes from InfluxDB."""
        return self._problem

    def add(
        self, readings: Sequence[Reading], *, bookmarks: Mapping[str, str] | None = None, urgent: bool = False
    ) -> asyncio.Future[None]:
        """Take readings into the journal's next commit, and later to InfluxDB."""
        return self._forwarder.add(readings, bookmarks=bookmarks, urgent=urgent)

    async def flush(self) -> None:
        """Commit what was added so far, and send it, unless InfluxDB is away or far behind."""
        await self._journal.flush()
        await asyncio.sleep(0)  # the forwarder hears of a commit one turn of the event loop later
        self._keeps_up = await self._forwarder.drain(DRAIN_LIMIT_S)

    def bookmark(self, key: str) -> str | None:
        """Return the bookmark last committed or added under `key`."""
        return self._journal.bookmark(key)

    def set_aside(self, found: Sequence[Aside]) -> None:
        """Quarantine readings, in the journal."""
        self._journal.set_aside(found)

    async def window(self, resource_id: str, start: datetime, end: datetime) -> dict[str, list[Reading]]:
        """Return one resource's committed readings by quantity, with their neighbours."""
        return (await self.windows([resource_id], start, end))[resource_id]

    async def windows(self, resource_ids: Sequence[str], start: datetime, end: datetime) -> Found:
        """Return `window` for many resources at once."""
        askable = [id_ for id_ in resource_ids if self._forwarder.mirrors(id_)]
        if self._forwarder.clock.monotonic() < self._ask_at_s:
            return await self._from_journal(self._problem or "", resource_ids, start, end)
        # First what the journal has: all of it is sent before InfluxDB is asked.
        ours = await self._ours(askable, start, end)
        if self._keeps_up and not self._forwarder.complete(askable, end, start=start):
            # Committed since the flush: soon sent.
            self._keeps_up = await self._forwarder.drain(DRAIN_LIMIT_S)
        if not self._forwarder.complete(askable, end, start=start):
            return await self._from_journal(inf.NOT_COMPLETE(), resource_ids, start, end)
        found: Found = {}
        try:
            for at in range(0, len(askable), RESOURCES_AT_ONCE):
                some = askable[at : at + RESOURCES_AT_ONCE]
                found |= await self._history.windows(window_of(some, start, end))
        except StoreError as error:
            # Not each part of a report waits for an answer that does not come.
            self._ask_at_s = self._forwarder.clock.monotonic() + ASK_AGAIN_S
            return await self._from_journal(str(error), resource_ids, start, end)
        self._note_holes(await asyncio.to_thread(_fill, found, ours, start, end))
        if len(askable) < len(resource_ids):
            others = [id_ for id_ in resource_ids if not self._forwarder.mirrors(id_)]
            found |= await self._journal.windows(others, start, end)
        if self._problem is not None:
            log.info(inf.HISTORY_AGAIN(name=self._history.subject))
            self._problem = None
        return found

    async def _ours(self, resource_ids: Sequence[str], start: datetime, end: datetime) -> Tracks:
        """Return what the journal has, in columns; nothing when it cannot be read."""
        found: dict[str, Mapping[str, Track]] = {}
        try:
            if not isinstance(self._journal, TrackStore):
                windows = await self._journal.windows(resource_ids, start, end)
                return {
                    id_: {quantity: Track.of(readings) for quantity, readings in series.items()}
                    for id_, series in windows.items()
                }
            left = resource_ids
            while left:
                some = await self._journal.tracks(left, start, end, RESOURCES_AT_ONCE)
                found |= some
                left = left[len(some) :]
        except StoreError:
            return {}  # what InfluxDB has is all there is
        return found

    def _note_holes(self, lacking: Sequence[Reading]) -> None:
        if not lacking:
            return
        self.fallbacks += 1
        self.holes = len(lacking)
        if not self._holes_said:
            self._holes_said = True
            first = min(lacking, key=lambda one: one.time)
            text = inf.HOLES(
                name=self._history.subject,
                count=len(lacking),
                resource=foreign(first.resource_id),
                first=first.time.isoformat(timespec="seconds"),
            )
            log.warning(text.within(after=f"; {text.hint}"))

    async def _from_journal(
        self, why: str, resource_ids: Sequence[str], start: datetime, end: datetime
    ) -> Found:
        self.fallbacks += 1
        if self._problem is None:
            log.warning(inf.HISTORY_JOURNAL(name=self._history.subject, reason=why))
        self._problem = str(why)
        return await self._journal.windows(resource_ids, start, end)

    async def latest(self, resource_id: str) -> dict[str, Reading]:
        """Return the newest reading of each quantity, as the journal knows them."""
        return await self._journal.latest(resource_id)

    def newest(self, resource_id: str) -> dict[str, Reading]:
        """Return what `latest` returns, without waiting."""
        return self._journal.newest(resource_id)

    async def close(self) -> None:
        """Write down how far InfluxDB is, and close the journal."""
        self._forwarder.save()
        await self._journal.close()


class Mirror:
    """A forwarder with its server and store, as the settings want it.

    Readings are added through `store`. `gives_history` says whether reports take theirs from there, too.
    """

    def __init__(
        self, journal: Journal, forwarder: Forwarder, server: InfluxServer, *, history: bool
    ) -> None:
        self._server = server
        self._forwarder = forwarder
        self.store = InfluxReadings(journal, forwarder, server)
        self.gives_history = history

    async def run(self) -> None:
        """Forward until cancelled."""
        try:
            await self._forwarder.run()
        finally:
            self._forwarder.save()
            await self._server.close()

    def status(self) -> dict[str, Any]:
        """Return how it stands, as plain data."""
        history = {"problem": self.store.problem, "fallbacks": self.store.fallbacks}
        return self._forwarder.status() | {
            "history": history if self.gives_history else None,
            "holes": self.store.holes,
        }


def account_of(settings: Settings) -> InfluxAccount | None:
    """Return the account that the settings have, None without `influx.url`; ConfigError for a lost secret."""
    if settings["influx.url"] is None:
        return None

    def secret(key: str) -> str | None:
        reference: str | None = settings[key]
        return None if reference is None else resolve_secret(reference, folder=settings.folder)

    return InfluxAccount(
        url=settings["influx.url"],
        version=settings["influx.version"],
        bucket=settings["influx.bucket"],
        org=settings["influx.org"],
        token=secret("influx.token"),
        username=settings["influx.username"],
        password=secret("influx.password"),
        language=settings["influx.language"],
        ca_file=settings.path("influx.ca_file") if settings["influx.ca_file"] else None,
        timeout_s=settings["influx.timeout_s"],
    )


def open_mirror(
    settings: Settings, journal: Journal, tags: Mapping[str, Tags], clock: Clock
) -> Mirror | None:
    """Return the mirror that the settings ask for; None and ConfigError as `account_of`."""
    account = account_of(settings)
    if account is None:
        return None
    server = InfluxServer(account)
    forwarder = Forwarder(
        journal,
        server,
        tags,
        clock,
        batch=settings["influx.batch"],
        period_s=settings["influx.period_s"],
        history=timedelta(days=settings["readings.retention_days"]),
    )
    return Mirror(journal, forwarder, server, history=settings["readings.store"] == "influxdb")
