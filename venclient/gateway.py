"""The composition root: joins registry, connectors, readings, reporting and client into a running VEN.

    registry --> pollers --> store --> reporter --> VenClient --> VTN       one named task each,
                                          ^                        |        in one TaskGroup
                                          +----- event book <------+

Stages never import each other; here, and only here, they meet. `snapshot()` says what is going on.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from venclient import __version__
from venclient.client import VenClient, VtnAccount, ensure_resource, ensure_ven
from venclient.clock import Clock, SystemClock
from venclient.connectors import open_reader
from venclient.connectors.base import Batch, Site
from venclient.connectors.leases import Leases
from venclient.connectors.poller import Poller, spread_phase
from venclient.errors import ConfigError, StoreError, VenError, VtnError
from venclient.model.reading import Measure
from venclient.model.resource import Resource
from venclient.openadr.objects import Ven
from venclient.readings.measures import measures
from venclient.readings.sqlite import SqliteReadings
from venclient.registry.database import ResourceDatabase
from venclient.reporting.builder import Reportable
from venclient.reporting.delivery import Reporter, ReportOptions
from venclient.reporting.eventbook import EventBook
from venclient.reporting.outbox import Outbox
from venclient.reporting.registration import resource_attributes, resource_names
from venclient.settings import Settings, resolve_secret
from venclient.status import StatusServer
from venclient.utils import backoff_s

log = logging.getLogger("venclient.gateway")

#: How long a failed conversation with the VTN is waited for before it is tried again, at first and at most.
FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 300.0
#: How many resources are registered at the same time.
REGISTERING = 8
#: How long the reporter rests when nothing is due.
LONGEST_REST_S = 60.0
#: How long after a failure of the state file (a full card, say) it is tried again.
STATE_RETRY_S = 10.0
KEPT_NOTES = 50


class Gateway:
    """One VEN, running. `run()` goes on until it is cancelled; ConfigError says at once what cannot work."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock: Clock = clock or SystemClock()
        self._started = self._clock.now()
        self._notes: deque[str] = deque(maxlen=KEPT_NOTES)
        self._refused: dict[str, str] = {}
        self._said: set[str] = set()
        self._pollers: dict[str, Poller] = {}
        self._registered: set[str] = set()
        self._vtn_state = "not asked yet"
        self._vtn_error: str | None = None
        self._wake_reporter = asyncio.Event()
        self._ven: Ven | None = None
        self._rng = random.Random()  # noqa: S311  jitter, not a secret

        database = settings.path("registry.database")
        if not database.is_file():
            raise ConfigError(
                "no such database",
                subject=f"registry.database = {str(database)!r}",
                hint="make one with `ven import FILE.csv --db PATH`",
            )
        with ResourceDatabase(str(database)) as registry:
            self._resources = {
                resource.resourceID: resource
                for resource in registry.get_resources(ven=settings["ven.resources"])
                if resource.enabled is not False
            }
            for reject in registry.rejects:
                self._note(f"{reject.place}: {reject.reason}")
        if not self._resources:
            wanted = settings["ven.resources"]
            self._note(
                f"{database}: no enabled resource"
                + (f" with ven = {wanted!r}" if wanted else "")
                + ": nothing is read"
            )
        self._names = resource_names(tuple(self._resources.values()))

        secret = settings["vtn.client_secret"]
        self._client = VenClient(
            VtnAccount(
                url=settings["vtn.url"],
                client_id=settings["vtn.client_id"],
                client_secret=resolve_secret(secret, folder=settings.folder) if secret else None,
                token_url=settings["vtn.token_url"],
                allow_http=settings["vtn.allow_http"],
                ca_file=settings.path("vtn.ca_file") if settings["vtn.ca_file"] else None,
                timeout_s=settings["vtn.timeout_s"],
            ),
            self._clock,
        )
        self._store = SqliteReadings(
            settings.path("readings.path"),
            self._clock,
            commit_period_s=settings["readings.commit_s"],
            retention_days=settings["readings.retention_days"],
        )
        state = settings.path("reporting.state")
        self._book = EventBook(state)
        self._outbox = Outbox(state)
        for problem in (*self._book.problems, *self._outbox.problems):
            self._note(problem)
        self._reporter = Reporter(
            self._outbox,
            self._book,
            self._client,
            self._measure,
            [Reportable(id_, name) for id_, name in self._names.items()],
            self._clock,
            ReportOptions(
                client_name=settings["ven.name"],
                settle_s=settings["reporting.settle_s"],
                allow_negative=settings["reporting.allow_negative"],
            ),
        )
        self._leases = Leases()

    async def run(self) -> None:
        """Serve until cancelled; then commit, and close everything."""
        status = StatusServer(self._settings.path("status.socket"), self.snapshot)
        await status.start()
        try:
            async with self._client, asyncio.TaskGroup() as group:
                group.create_task(self._store.run(), name="readings")
                for poller in self._open_pollers():
                    group.create_task(poller.run(), name=f"read {poller}")
                group.create_task(self._follow_vtn(), name="vtn")
                group.create_task(self._report(), name="reports")
                log.info(
                    "serving %d resources as VEN %r; %d connections cannot be used",
                    len(self._pollers),
                    self._settings["ven.name"],
                    len(self._refused),
                )
        finally:
            await status.stop()
            await self._store.close()
            self._outbox.close()
            self._book.close()

    # ---- meters to store

    def _open_pollers(self) -> Iterable[Poller]:
        site = Site(
            clock=self._clock,
            folder=self._settings.path("registry.database").parent,
            bookmark=self._store.bookmark,
            secret=lambda reference: resolve_secret(reference, folder=self._settings.folder),
            leases=self._leases,
            client_id=f"venclient-{self._settings['ven.name']}",
        )
        for resource in self._resources.values():
            try:
                reader = open_reader(resource, site)
            except VenError as error:
                self._refused[resource.resourceID] = str(error)
                self._note(str(error))
                log.error("%s", error)
                continue
            # Sources that we ask are asked in turn within a second, not all in the same millisecond.
            phase_s = spread_phase(resource.resourceID, min(1.0, (reader.interval_s or 0.0) / 10))
            poller = Poller(
                reader, name=resource.resourceName, deliver=self._keep, clock=self._clock, phase_s=phase_s
            )
            self._pollers[resource.resourceID] = poller
            yield poller

    async def _keep(self, batch: Batch) -> None:
        """Store a batch; when its source waits for our acknowledgement, return after the commit."""
        for reject in batch.rejects:
            self._note(f"{reject.place}: {reject.reason}")
        stored = self._store.add(batch.readings, bookmarks=batch.bookmarks, urgent=batch.replayable)
        if batch.replayable:
            await stored

    # ---- store to reports

    async def _measure(
        self, resource_ids: Sequence[str], grid: Sequence[tuple[datetime, datetime]]
    ) -> Mapping[tuple[str, datetime, datetime], Measure]:
        """Give what resources did in the intervals of `grid`, of all that was read until now."""
        return await measures(
            self._store, resource_ids, grid, max_gap_s=self._settings["reporting.max_gap_s"]
        )

    async def _report(self) -> None:
        """Send what is due, then rest until the next is, or events have changed."""
        while True:
            # Cleared before the step: an event that comes while it runs must not wait for the next one.
            self._wake_reporter.clear()
            try:
                for note in (await self._reporter.step()).notes:
                    self._note(note)
                rest_s = self._rest_s()
            except StoreError as error:
                self._say_once(f"reports wait: {error}")
                rest_s = STATE_RETRY_S
            else:
                self._said.discard("reports wait")
            await self._sleep_or_woken(rest_s)

    def _say_once(self, sentence: str) -> None:
        """Log a failure of a kind (the words before the colon) when it begins, not each time round."""
        kind = sentence.partition(":")[0]
        self._note(sentence)
        if kind not in self._said:
            self._said.add(kind)
            log.error("%s", sentence)

    def _rest_s(self) -> float:
        due = self._reporter.next_due()
        if due is None:
            return LONGEST_REST_S
        return min(LONGEST_REST_S, max(0.2, (due - self._clock.now()).total_seconds()))

    async def _sleep_or_woken(self, seconds: float) -> None:
        waits = [
            asyncio.ensure_future(self._clock.sleep(seconds)),
            asyncio.ensure_future(self._wake_reporter.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    # ---- VTN to events

    async def _follow_vtn(self) -> None:
        """Register, then fetch programs and events again and again; a VTN that is down is waited for."""
        failures = 0
        while True:
            try:
                if self._ven is None or len(self._registered) < len(self._resources):
                    await self._register()
                await self._fetch_events()
            except StoreError as error:
                self._say_once(f"events are not kept: {error}")
                wait_s = STATE_RETRY_S
            except VtnError as error:
                # The client itself says once that a VTN has gone, and that it is back.
                if not error.transient and self._vtn_error != error.what:
                    log.error("VTN: %s; readings go on, reports wait", error)
                self._vtn_state = "unreachable" if error.transient else "refused"
                self._vtn_error = error.what
                longest_s = min(LONGEST_WAIT_S, self._settings["vtn.poll_s"] * 5)
                wait_s = backoff_s(failures, FIRST_WAIT_S, longest_s, self._rng)
                failures += 1
            else:
                failures, self._vtn_state, self._vtn_error = 0, "connected", None
                self._said.discard("events are not kept")
                wait_s = self._settings["vtn.poll_s"]
            await self._clock.sleep(wait_s)

    async def _register(self) -> None:
        """Bring the VEN object and those of its resources to what the registry says."""
        ven = await ensure_ven(self._client, self._settings["ven.name"])
        self._ven = ven
        assert ven.id is not None  # noqa: S101  the codec refuses a stored object without an id
        known = {one.resource_name: one for one in (await self._client.resources(ven.id)).items}
        bound = asyncio.Semaphore(REGISTERING)

        async def one(resource: Resource) -> None:
            name = self._names[resource.resourceID]
            async with bound:
                try:
                    held = await ensure_resource(
                        self._client, ven.id or "", name, resource_attributes(resource), known=known.get(name)
                    )
                except VtnError as error:
                    if error.transient:
                        raise
                    self._note(str(error))
                    log.error("resource %s is not registered: %s", name, error)
                else:
                    self._registered.add(resource.resourceID)
                    granted[resource.resourceID] = frozenset(held.targets or ())

        granted: dict[str, frozenset[str]] = {}
        results = await asyncio.gather(*map(one, self._resources.values()), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        self._reporter.resources = [
            Reportable(id_, name, granted.get(id_, frozenset())) for id_, name in self._names.items()
        ]
        self._reporter.options = replace(self._reporter.options, ven_targets=frozenset(ven.targets or ()))

    async def _fetch_events(self) -> None:
        programs = await self._client.programs()
        wanted = set(self._settings["vtn.programs"])
        events = await self._client.events()
        for refused in (*programs.refused, *events.refused):
            self._note(f"{refused.place}: {refused.reason}")
        followed = [one for one in programs.items if not wanted or one.program_name in wanted]
        ids = {program.id for program in followed}
        renamed = self._book.apply_programs(followed, complete=programs.complete, also_listed=programs.ids)
        changes = self._book.apply(
            [event for event in events.items if event.program_id in ids],
            complete=events.complete and programs.complete,
            also_listed=events.ids - {event.id for event in events.items},
            now=self._clock.now(),
        )
        if changes or renamed:
            self._wake_reporter.set()
        if changes:
            log.info(
                "events: %d new, %d changed, %d gone",
                len(changes.created),
                len(changes.modified),
                len(changes.gone),
            )

    # ---- what is going on

    def _note(self, text: str) -> None:
        """Keep a sentence for `ven status`; the same one is kept once."""
        if text not in self._notes:
            self._notes.append(text)

    def snapshot(self) -> dict[str, Any]:
        """Give what is going on, as plain data: times are ISO 8601 in UTC, secrets are not in it."""
        reports: dict[str, int] = dict.fromkeys(("owed", "sent", "refused"), 0)
        try:
            reports.update(dict(self._outbox.counts().items()))
        except StoreError as error:
            self._note(str(error))
        stats = self._store.stats()
        client = self._client.status
        return {
            "version": __version__,
            "now": self._clock.now().isoformat(),
            "started": self._started.isoformat(),
            "ven": {
                "name": self._settings["ven.name"],
                "id": self._ven.id if self._ven else None,
                "resources": len(self._resources),
                "registered": len(self._registered),
            },
            "connections": [self._connection(resource) for resource in self._resources.values()],
            "readings": {
                "readings": stats.readings,
                "commits": stats.commits,
                "dropped": stats.dropped,
                "last_error": stats.last_error,
            },
            "vtn": {
                "url": self._settings["vtn.url"],
                "state": self._vtn_state,
                "last_error": self._vtn_error,
                "last_ok": client.last_ok.isoformat() if client.last_ok else None,
                "requests": client.requests,
                "retries": client.retries,
                "clock_skew_s": client.clock_skew_s,
                "refused_objects": client.refused_objects,
            },
            "events": {"known": len(self._book.events), "programs": len(self._book.programs)},
            "reports": reports,
            "rejects": dict(
                Counter({name: p.health.rejects for name, p in self._pollers.items() if p.health.rejects})
            ),
            "notes": list(self._notes),
        }

    def _connection(self, resource: Resource) -> dict[str, Any]:
        poller = self._pollers.get(resource.resourceID)
        row: dict[str, Any] = {
            "resource": resource.resourceID,
            "name": resource.resourceName,
            "type": resource.resourceType,
            "connection": resource.connection.type.name,
            "endpoint": resource.connection.endpoint,
            "vtn_name": self._names[resource.resourceID] if resource.resourceID in self._registered else None,
            "latest": {
                quantity: {
                    "value": reading.value,
                    "time": reading.time.isoformat(),
                    "quality": reading.quality.value,
                }
                for quantity, reading in self._store.newest(resource.resourceID).items()
            },
        }
        if poller is None:
            refusal = self._refused.get(resource.resourceID, "not started")
            return row | {"state": "refused", "last_error": refusal, "readings": 0, "rejects": 0, "missed": 0}
        health = poller.health
        return row | {
            "state": health.state,
            "last_ok": health.last_ok.isoformat() if health.last_ok else None,
            "last_error": health.last_error,
            "readings": health.readings,
            "rejects": health.rejects,
            "last_rejects": [f"{one.place}: {one.reason}" for one in health.last_rejects],
            "missed": health.missed,
        }
