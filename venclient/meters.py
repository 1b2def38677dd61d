"""The meters of a running gateway: a reader and a poller for each served resource, and what changes of them.

A part of the composition root.

    serve(resources) --> new one:      opened, and read from now on
                         gone one:     what was read of it is handed over, then it is closed
                         another way:  the same, then the next reader goes on where the last one ended
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from venclient.clock import Clock
from venclient.closings import Closings, places_of
from venclient.connectors import open_reader
from venclient.connectors.base import Batch, Site
from venclient.connectors.outages import Outages, Voice
from venclient.connectors.poller import Health, Poller, spread_phase
from venclient.errors import VenError
from venclient.messages import Text, with_code
from venclient.messages import gateway as gwy
from venclient.model.quality import silence_limit_s
from venclient.model.resource import Resource
from venclient.notes import Notes

log = logging.getLogger("venclient.gateway")

#: A connection that cannot be used is tried again, at first soon: others may hold its endpoint for a moment.
FIRST_RETRY_S = 0.25
LONGEST_RETRY_S = 300.0
#: How long after a change connections that cannot be used are reported.
REPORT_AFTER_S = 5.0
#: How long the next reader waits for others that are being closed where it reads, at most.
QUIET_WITHIN_S = 15.0
#: So many names of connections that cannot be used stand in one sentence.
NAMED = 5

Keep = Callable[[str, Batch], Awaitable[None]]
#: Returns the time of a resource's newest stored value.
LastValue = Callable[[str], datetime | None]


class Meter:
    """What reads one resource: one poller after another, as its connection changes.

    `refusal` says why it cannot be read; `unfinished` whether that is because nothing is connected yet.
    With neither a refusal nor a poller it waits for readers that `closings` counts.
    """

    def __init__(
        self,
        resource: Resource,
        site: Site,
        keep: Keep,
        clock: Clock,
        notes: Notes,
        closings: Closings,
        last_value: LastValue = lambda _: None,
        outages: Outages | None = None,
    ) -> None:
        self._last_value = last_value
        self._outages = outages
        self.resource = resource
        self.poller: Poller | None = None
        self.refusal: str | None = None
        self.unfinished = False
        self._site = site
        self._keep = keep
        self._clock = clock
        self._notes = notes
        self._closings = closings
        #: What `closings` counts for the poller that is being stopped.
        self._leaving: tuple[Hashable, ...] = ()
        #: The poller has ended; it is kept for its health until the next one is there.
        self._closed = False
        self._health: Health | None = None
        self._ended = False
        self._changed = asyncio.Event()
        self._retries = 0
        #: The kind of note for an unexpected error in its connector.
        self._bug = f"connector of {resource.resourceID}"

    def change(self, resource: Resource) -> None:
        """Read it as the registry says now; the reader is opened again where that makes a difference."""
        before, self.resource = self.resource, resource
        if before is not resource and _way(before) != _way(resource):
            self._retries = 0
            self._changed.set()
            self._stop(before)

    def end(self) -> None:
        """Let `run` return once what was read is handed over."""
        self._ended = True
        self._notes.end(self._bug)
        self._changed.set()
        self._stop(self.resource)

    def _stop(self, opened: Resource) -> None:
        if self.poller is None or self._closed:
            return
        if not self._leaving:
            self._leaving = places_of(opened)
            self._closings.begin(self._leaving)
        self.poller.stop()

    def open_unless_busy(self) -> None:
        """Open the reader, unless others are being closed where it reads: then `run` opens it."""
        if not self._closings.busy(places_of(self.resource)):
            self.open()

    def open(self) -> None:
        """Open the reader, and have a poller for it; or know why that cannot be."""
        resource = self.resource
        self.poller, self.refusal, self._closed = None, None, False
        self._changed.clear()
        self.unfinished = bool(resource.connection.missing)
        if self.unfinished:
            lacks = gwy.MISSING(name=resource.resourceName, missing=resource.connection.missing)
            self.refusal = with_code(lacks)
            return
        try:
            reader = open_reader(resource, self._site)
        except VenError as error:
            self.refusal = str(error)
            return
        except Exception as error:  # noqa: BLE001  a bug in one connector must not end the others
            bug = gwy.CONNECTOR_BUG(name=resource.resourceName, kind=type(error).__name__)
            self.refusal = with_code(bug)
            # One mistake in a connector may concern all that it reads.
            line = bug if self._outages is None else self._outages.thinned.line(type(error).__name__, bug)
            self._notes.begin(self._bug, bug, bug=error, logged=line is None)
            return
        self._notes.end(self._bug)
        self._retries = 0
        # Sources that we ask are asked in turn within a second, not all in the same millisecond.
        phase_s = spread_phase(resource.resourceID, min(1.0, (reader.interval_s or 0.0) / 10))
        self.poller = Poller(
            reader,
            name=resource.resourceName,
            deliver=partial(self._keep, resource.resourceName),
            clock=self._clock,
            phase_s=phase_s,
            counted=self._health,
            silence_s=silence_limit_s(resource.connection.options),
            last_value=self._last_value(resource.resourceID),
            voice=self._voice(),
        )

    def _voice(self) -> Voice | None:
        if self._outages is None:
            return None
        return self._outages.voice(self.resource.resourceName, place_of(self.resource, self._site.folder))

    async def run(self) -> None:
        """Read until cancelled, or until it has ended."""
        while True:
            if self.poller is not None:
                await self._read(self.poller)
            elif self.refusal is not None and not self._is_over():
                await self._until_retry()
            if not self._is_over():
                await self._closings.until_quiet(places_of(self.resource), QUIET_WITHIN_S)
            if self._is_over():
                break
            self.open()
        self.poller = None

    def _is_over(self) -> bool:
        return self._ended

    async def _read(self, poller: Poller) -> None:
        try:
            await poller.run()
        finally:
            self._closed = True
            leaving, self._leaving = self._leaving, ()
            self._closings.end(leaving)
        self._health = poller.health

    async def _until_retry(self) -> None:
        if self.unfinished:
            await self._changed.wait()
            return
        wait_s = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(self._retries, 16))
        self._retries += 1
        # Whoever held its endpoint with other settings may be the one that is closed.
        await self._closings.wait(places_of(self.resource), self._changed, wait_s)


def place_of(resource: Resource, folder: Path) -> str:
    """Return what a resource shares with others that fail when it does: an address, or a folder.

    Relative names of files start at `folder`.
    """
    connection = resource.connection
    if connection.host:
        return f"{connection.host}:{connection.port}" if connection.port else connection.host
    return str((folder / (connection.file or "")).parent)


def _way(resource: Resource) -> tuple[object, ...]:
    """Return what a reader depends on: whether it must be opened again when that changes."""
    return resource.connection, resource.resourceName, resource.meterPointId


class Meters:
    """Reads the meters of the served resources; `keep` takes a resource's name and a batch of it."""

    def __init__(
        self,
        site: Site,
        keep: Keep,
        clock: Clock,
        notes: Notes,
        *,
        last_value: LastValue = lambda _: None,
    ) -> None:
        self._last_value = last_value
        self._site = site
        self._keep = keep
        self._clock = clock
        self._notes = notes
        self._closings = Closings(clock)
        self._outages = Outages(clock)
        self._meters: dict[str, Meter] = {}
        self._starting: list[Meter] = []
        self._news = asyncio.Event()
        self._served = asyncio.Event()
        self._reported: dict[str, Text | None] = {}

    def get(self, resource_id: str) -> Meter | None:
        """Return what reads a resource, None when nothing does."""
        return self._meters.get(resource_id)

    def __iter__(self) -> Iterator[Meter]:
        return iter(self._meters.values())

    @property
    def caught_up(self) -> bool:
        """True once all was read that meters kept for us."""
        return all(one.poller.caught_up for one in self._meters.values() if one.poller is not None)

    @property
    def in_use(self) -> int:
        """How many meters have a connection that can be used."""
        return sum(one.poller is not None for one in self._meters.values())

    def serve(self, resources: Mapping[str, Resource]) -> None:
        """Read these resources from now on, and no others.

        Every new reader is open when this returns, unless others are being closed where it reads: what a
        broker kept for one of them comes with the first that connects.
        """
        for id_ in self._meters.keys() - resources.keys():
            self._meters.pop(id_).end()
        for id_, resource in resources.items():
            if (known := self._meters.get(id_)) is not None:
                known.change(resource)
                continue
            meter = self._meters[id_] = Meter(
                resource,
                self._site,
                self._keep,
                self._clock,
                self._notes,
                self._closings,
                self._last_value,
                self._outages,
            )
            meter.open_unless_busy()
            self._starting.append(meter)
        self._news.set()
        self._served.set()

    async def run(self) -> None:
        """Read until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._report_changes(), name="report connections")
            group.create_task(self._outages.run(), name="report outages")
            while True:
                self._news.clear()
                starting, self._starting = self._starting, []
                for meter in starting:
                    group.create_task(meter.run(), name=f"read {meter.resource.resourceName}")
                await self._news.wait()

    async def _report_changes(self) -> None:
        while True:
            await self._served.wait()
            self._served.clear()
            # Readers that are opened again may have to wait for one another.
            await self._clock.sleep(REPORT_AFTER_S)
            self.report()

    def report(self) -> None:
        """Log and keep one sentence for each kind of connection that cannot be used, with their number."""
        refused = [one for one in self if one.poller is None and one.refusal is not None]
        names = [one.resource.resourceName for one in refused if one.unfinished]
        text = gwy.NO_SOURCE(count=len(names), names=names[:NAMED], more=_more(names)) if names else None
        if self._is_news("no source", text):
            log.warning(text)
        unusable = [(one.resource.resourceName, one.refusal or "") for one in refused if not one.unfinished]
        text = None
        if unusable:
            text = gwy.NOT_OPENED(
                count=len(unusable),
                names=[name for name, _ in unusable[:NAMED]],
                more=_more(unusable),
                reason=unusable[0][1],
            )
        if self._is_news("not opened", text):
            log.error(text)

    def _is_news(self, kind: str, text: Text | None) -> bool:
        """Keep a sentence for the status; return whether it differs from the one logged last."""
        before = self._reported.get(kind)
        self._reported[kind] = text
        self._notes.show(kind, text)
        return text is not None and text != before


def _more(some: Sequence[object]) -> str:
    """Return how many are not among the names that are listed; empty for none."""
    rest_of = len(some) - NAMED
    return gwy.MORE(count=rest_of) if rest_of > 0 else ""
