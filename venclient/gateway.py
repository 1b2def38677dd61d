"""The composition root: joins registry, connectors, readings, reporting and client into a running VEN.

    registry --> pollers --> store --> reporter --> VenClient --> VTN       one named task each,
                                          ^                        |        in one TaskGroup
                                          +----- event book <------+

Stages never import each other; here, and only here, they meet. `snapshot()` says what is going on.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from venclient import __version__
from venclient.client import VenClient, VtnAccount
from venclient.clock import Clock, SystemClock
from venclient.clock_guard import CautiousClock
from venclient.connectors import open_reader
from venclient.connectors.base import Site
from venclient.connectors.leases import Leases
from venclient.connectors.poller import Poller, spread_phase
from venclient.errors import ConfigError, StoreError, VenError
from venclient.intake import Intake
from venclient.model.reading import Measure
from venclient.model.reporting import ReportingStatus
from venclient.model.resource import Resource
from venclient.notes import Notes
from venclient.readings.line_protocol import Tags
from venclient.readings.measures import measures
from venclient.readings.mirror import open_mirror
from venclient.readings.sqlite import SqliteReadings
from venclient.registry.database import ResourceDatabase
from venclient.registry.opening import is_url, shown
from venclient.reporting.builder import Reportable
from venclient.reporting.delivery import Reporter, ReportOptions
from venclient.reporting.eventbook import EventBook
from venclient.reporting.outbox import Outbox
from venclient.reporting.registration import resource_names
from venclient.settings import Settings, resolve_secret
from venclient.status import StatusServer
from venclient.vtn_side import STATE_RETRY_S, VtnSide

log = logging.getLogger("venclient.gateway")

#: How long the reporter rests when nothing is due.
LONGEST_REST_S = 60.0
#: How long reports wait for meters at the start, and once all have been read.
CATCH_UP_S = 15.0
AFTER_CATCH_UP_S = 1.0
WAITING = "reports wait"
UNTOLD = "the registry does not hear of reports"


class Gateway:
    """One VEN, running. `run()` goes on until it is cancelled; ConfigError says at once what cannot work."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock: Clock = clock or SystemClock()
        self._started = self._clock.now()
        self._notes = Notes()
        self._refused: dict[str, str] = {}
        self._pollers: dict[str, Poller] = {}
        self._wake_reporter = asyncio.Event()

        database = settings.place("registry.database")
        if not is_url(database) and not Path(database).is_file():
            raise ConfigError(
                "no such database",
                subject=f"registry.database = {database!r}",
                hint="make one with `ven import FILE.csv --db PATH`",
            )
        # Relative names of meter files start here.
        self._folder = settings.folder if is_url(database) else Path(database).parent
        self._database = database
        self._key_file = settings.path("registry.key_file") if settings["registry.key_file"] else None
        with ResourceDatabase(database, key_file=self._key_file) as registry:
            self._resources = {
                resource.resourceID: resource
                for resource in registry.get_resources(ven=settings["ven.resources"])
                if resource.enabled is not False
            }
            for reject in registry.rejects:
                self._notes.add(f"{reject.place}: {reject.reason}")
        if not self._resources:
            wanted = settings["ven.resources"]
            with_ven = f" with ven = {wanted!r}" if wanted else ""
            nothing = f"{shown(database)}: no enabled resource{with_ven}: nothing is read"
            self._notes.add(nothing)
            log.warning("%s", nothing)
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
        cautious = CautiousClock(self._clock)
        self._store = SqliteReadings(
            settings.path("readings.path"),
            cautious,
            commit_period_s=settings["readings.commit_s"],
            retention_days=settings["readings.retention_days"],
            max_bytes=settings["readings.max_mb"] * 2**20 if settings["readings.max_mb"] else None,
        )
        tags = {
            one.resourceID: Tags(one.meterPointId, one.ven or settings["ven.name"])
            for one in self._resources.values()
        }
        self._mirror = open_mirror(settings, self._store, tags, self._clock)
        self._intake = Intake(
            self._mirror.store if self._mirror else self._store,
            self._resources.values(),
            self._clock,
            self._notes,
            trust=settings["clock.trust"],
            vtn_skew_s=lambda: self._client.clock_skew_s,
        )
        cautious.guard = self._intake.clock
        state = settings.path("reporting.state")
        self._book = EventBook(state)
        self._outbox = Outbox(state)
        for problem in (*self._book.problems, *self._outbox.problems):
            self._notes.add(problem)
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
        self._vtn = VtnSide(
            settings,
            self._client,
            self._book,
            self._reporter,
            self._resources,
            self._names,
            self._clock,
            self._notes,
            self._wake_reporter,
            self._intake.clock.look,
        )
        self._leases = Leases()

    async def run(self) -> None:
        """Serve until cancelled; then commit, and close everything."""
        status = StatusServer(self._settings.path("status.socket"), self.snapshot)
        await status.start()
        try:
            async with self._client, asyncio.TaskGroup() as group:
                group.create_task(self._store.run(), name="readings")
                if self._mirror is not None:
                    group.create_task(self._mirror.run(), name="influxdb")
                group.create_task(self._intake.run(), name="intake")
                for poller in self._open_pollers():
                    group.create_task(poller.run(), name=f"read {poller}")
                group.create_task(self._vtn.follow(), name="vtn")
                group.create_task(self._report(), name="reports")
                log.info(
                    "serving %d resources as VEN %r; %d connections cannot be used",
                    len(self._pollers),
                    self._settings["ven.name"],
                    len(self._refused),
                )
        finally:
            try:
                await status.stop()
                await self._store.close()
            finally:
                self._outbox.close()
                self._book.close()

    # ---- meters to store

    def _open_pollers(self) -> Iterable[Poller]:
        site = Site(
            clock=self._intake.clock,
            folder=self._folder,
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
                self._notes.add(str(error))
                log.error("%s", error)
                continue
            except Exception as error:  # noqa: BLE001  a bug in one connector must not end the others
                said = f"{resource.resourceName}: unexpected {type(error).__name__} in its connector"
                self._refused[resource.resourceID] = f"{said} (a bug; please report it)"
                self._notes.begin(said, self._refused[resource.resourceID], bug=error)
                continue
            # Sources that we ask are asked in turn within a second, not all in the same millisecond.
            phase_s = spread_phase(resource.resourceID, min(1.0, (reader.interval_s or 0.0) / 10))
            poller = Poller(
                reader,
                name=resource.resourceName,
                deliver=self._intake.keep,
                clock=self._clock,
                phase_s=phase_s,
            )
            self._pollers[resource.resourceID] = poller
            yield poller

    # ---- store to reports

    async def _measure(
        self, resource_ids: Sequence[str], grid: Sequence[tuple[datetime, datetime]]
    ) -> Mapping[tuple[str, datetime, datetime], Measure]:
        """Give what resources did in the intervals of `grid`, of all that was read until now."""
        return await measures(
            self._mirror.store if self._mirror and self._mirror.gives_history else self._store,
            resource_ids,
            grid,
            max_gap_s=self._settings["reporting.max_gap_s"],
            rules=self._intake.rules,
        )

    async def _report(self) -> None:
        """Send what is due, then rest until the next is, or events have changed."""
        await self._until_caught_up()
        while True:
            # With a wrong time intervals would end too early, or never.
            await self._intake.clock.until_believed()
            # Cleared before the step: an event that comes while it runs must not wait for the next one.
            self._wake_reporter.clear()
            try:
                done = await self._reporter.step()
                for note in done.notes:
                    self._notes.add(note)
                await self._tell_registry(tuple(done.statuses.values()))
                rest_s = self._rest_s()
            except StoreError as error:
                self._notes.begin(WAITING, f"{WAITING}: {error}")
                rest_s = STATE_RETRY_S
            except Exception as error:  # noqa: BLE001  a bug in reporting must not end the readings
                said = f"{WAITING}: unexpected {type(error).__name__} (a bug; please report it)"
                self._notes.begin(WAITING, said, cause=type(error).__name__, bug=error)
                rest_s = LONGEST_REST_S
            else:
                self._notes.end(WAITING)
            await self._sleep_or_woken(rest_s)

    async def _until_caught_up(self) -> None:
        """Wait until meters that keep their readings for us were read, or long enough.

        After a restart an overdue report would else be made before the file rows and messages of the
        meantime are in, and tell as unknown what is known a second later.
        """
        until_s = self._clock.monotonic() + CATCH_UP_S
        while self._clock.monotonic() < until_s:
            if all(poller.caught_up for poller in self._pollers.values()):
                # A broker sends what it kept in many messages: the first is not the last.
                await self._clock.sleep(AFTER_CATCH_UP_S)
                return
            await self._clock.sleep(0.25)

    async def _tell_registry(self, statuses: Sequence[ReportingStatus]) -> None:
        """Keep in the registry how reporting stands for each resource; reports go on without."""
        if not statuses:
            return

        def keep() -> None:
            with ResourceDatabase(self._database, key_file=self._key_file) as registry:
                registry.set_reporting_status(statuses)

        try:
            await asyncio.to_thread(keep)
        except VenError as error:
            self._notes.begin(UNTOLD, f"{UNTOLD}: {error}")
        else:
            self._notes.end(UNTOLD)

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

    # ---- what is going on

    def snapshot(self) -> dict[str, Any]:
        """Give what is going on, as plain data: times are ISO 8601 in UTC, secrets are not in it."""
        reports: dict[str, int] = dict.fromkeys(("owed", "sent", "refused"), 0)
        try:
            reports.update(dict(self._outbox.counts().items()))
        except StoreError as error:
            self._notes.add(str(error))
        stats = self._store.stats()
        client = self._client.status
        return {
            "version": __version__,
            "now": self._clock.now().isoformat(),
            "started": self._started.isoformat(),
            "ven": {
                "name": self._settings["ven.name"],
                "id": self._vtn.ven.id if self._vtn.ven else None,
                "resources": len(self._resources),
                "registered": len(self._vtn.registered),
            },
            "clock": dict(self._intake.snapshot()),
            "connections": [self._connection(resource) for resource in self._resources.values()],
            "readings": {
                "readings": stats.readings,
                "commits": stats.commits,
                "dropped": stats.dropped,
                "last_error": stats.last_error,
            },
            "influx": self._mirror.status() if self._mirror else None,
            "vtn": {
                "url": self._settings["vtn.url"],
                "state": self._vtn.state,
                "last_error": self._vtn.last_error,
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
            "notes": [*stats.problems, *self._notes],
        }

    def _connection(self, resource: Resource) -> dict[str, Any]:
        poller = self._pollers.get(resource.resourceID)
        name = self._names[resource.resourceID]
        row: dict[str, Any] = {
            "resource": resource.resourceID,
            "name": resource.resourceName,
            "type": resource.resourceType,
            "connection": resource.connection.type.name,
            "endpoint": resource.connection.endpoint,
            "vtn_name": name if resource.resourceID in self._vtn.registered else None,
            "latest": {
                quantity: {
                    "value": reading.value,
                    "time": reading.time.isoformat(),
                    "quality": self._intake.quality_now(reading),
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
