"""The composition root: joins registry, connectors, readings, reporting and client into a running VEN.

    registry --> pollers --> store --> reporter --> VenClient --> VTN       one VtnLink per VTN,
                                          ^                        |        all in one TaskGroup
                                          +----- event book <------+

Stages never import each other; here, and only here, they meet. `snapshot()` says what is going on.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from venclient import __version__
from venclient.clock import Clock, SystemClock
from venclient.clock_guard import CautiousClock
from venclient.connectors import open_reader
from venclient.connectors.base import Site
from venclient.connectors.leases import Leases
from venclient.connectors.poller import Poller, spread_phase
from venclient.errors import VenError
from venclient.intake import Intake
from venclient.messages import gateway as gwy
from venclient.messages import with_code
from venclient.model.reading import Measure
from venclient.model.reporting import ReportingStatus
from venclient.model.resource import Resource
from venclient.notes import Notes
from venclient.readings.line_protocol import Tags
from venclient.readings.measures import measures
from venclient.readings.mirror import open_mirror
from venclient.readings.sqlite import SqliteReadings
from venclient.registrar import enabled_resources, registry_of
from venclient.registry.database import ResourceDatabase
from venclient.registry.opening import is_url, shown
from venclient.settings import Settings, resolve_secret
from venclient.status import StatusServer
from venclient.status_board import StatusBoard
from venclient.vtn_link import Latecomers, VtnLink, checked_account

log = logging.getLogger("venclient.gateway")

#: How long reports wait for meters at the start, and once all have been read.
CATCH_UP_S = 15.0
AFTER_CATCH_UP_S = 1.0
#: So many names of connections that cannot be used stand in one sentence.
NAMED = 5
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
        self._links: list[VtnLink] = []

        self._database, self._key_file = registry_of(settings)
        # Relative names of meter files start here.
        self._folder = settings.folder if is_url(self._database) else Path(self._database).parent
        sides = {"": settings, **settings.others}
        # What cannot work is told before any file is opened.
        accounts = {name: checked_account(own, name) for name, own in sides.items()}
        served = self._served(sides)
        self._resources = {id_: one for resources in served.values() for id_, one in resources.items()}
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
            vtn_skew_s=self._skew_s,
        )
        cautious.guard = self._intake.clock
        self._board = StatusBoard(tuple(sides))
        try:
            for name, own in sides.items():
                link = VtnLink(
                    own,
                    accounts[name],
                    served[name],
                    self._clock,
                    self._intake.clock,
                    self._measure,
                    partial(self._tell_registry, name),
                    name=name,
                    notes=None if name else self._notes,
                )
                self._links.append(link)
        except BaseException:
            self._close_links()
            raise
        newest = {id_: self._store.newest(id_).values() for id_ in self._resources}
        self._intake.before = Latecomers(self._links, newest, self._notes).hear
        self._leases = Leases()

    def _served(self, sides: Mapping[str, Settings]) -> dict[str, dict[str, Resource]]:
        """Give the enabled resources that each VTN hears of, by the VTN's name and the resource's id."""
        served: dict[str, dict[str, Resource]] = {}
        with ResourceDatabase(self._database, key_file=self._key_file) as registry:
            for name, own in sides.items():
                served[name] = enabled_resources(registry, own)
                for reject in registry.rejects:
                    self._notes.add(f"{reject.place}: {reject.reason}")
                if not served[name]:
                    wanted = own["ven.resources"]
                    with_ven = f" with ven = {wanted!r}" if wanted else ""
                    of_vtn = f"VTN {name}: " if name else ""
                    nothing = (
                        f"{of_vtn}{shown(self._database)}: no enabled resource{with_ven}: nothing is read"
                    )
                    self._notes.add(nothing)
                    log.warning("%s", nothing)
        return served

    def _skew_s(self) -> float | None:
        """Give our clock minus that of the first VTN that told its own."""
        skews = (link.client.clock_skew_s for link in self._links)
        return next((skew for skew in skews if skew is not None), None)

    async def run(self) -> None:
        """Serve until cancelled; then commit, and close everything."""
        status = StatusServer(self._settings.path("status.socket"), self.snapshot)
        await status.start()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._store.run(), name="readings")
                if self._mirror is not None:
                    group.create_task(self._mirror.run(), name="influxdb")
                group.create_task(self._intake.run(), name="intake")
                for poller in self._open_pollers():
                    group.create_task(poller.run(), name=f"read {poller}")
                for link in self._links:
                    group.create_task(link.run(self._until_caught_up), name=str(link))
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
                self._close_links()

    def _close_links(self) -> None:
        with ExitStack() as links:  # one that cannot be closed keeps no other open
            for link in self._links:
                links.callback(link.close)

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
        unfinished: list[str] = []
        unusable: list[tuple[str, str]] = []
        for resource in self._resources.values():
            if missing := resource.connection.missing:
                unfinished.append(resource.resourceName)
                lacks = gwy.MISSING(name=resource.resourceName, missing=missing)
                self._refused[resource.resourceID] = with_code(lacks)
                continue
            try:
                reader = open_reader(resource, site)
            except VenError as error:
                self._refused[resource.resourceID] = str(error)
                unusable.append((resource.resourceName, str(error)))
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
                deliver=partial(self._intake.keep, of=resource.resourceName),
                clock=self._clock,
                phase_s=phase_s,
            )
            self._pollers[resource.resourceID] = poller
            yield poller
        self._report_unusable(unfinished, unusable)

    def _report_unusable(self, unfinished: Sequence[str], unusable: Sequence[tuple[str, str]]) -> None:
        """Log and keep one sentence for each kind of connection that cannot be used, with their number."""
        if unfinished:
            text = gwy.NO_SOURCE(count=len(unfinished), names=unfinished[:NAMED], more=_more(unfinished))
            log.warning(text)
            self._notes.add(with_code(text))
        if unusable:
            names = [name for name, _ in unusable[:NAMED]]
            text = gwy.NOT_OPENED(
                count=len(unusable), names=names, more=_more(unusable), reason=unusable[0][1]
            )
            log.error(text)
            self._notes.add(with_code(text))

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

    async def _tell_registry(self, vtn: str, told: Sequence[ReportingStatus]) -> None:
        """Keep in the registry how reporting stands for each resource; reports go on without."""
        statuses = self._board.joined(vtn, told)
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

    # ---- what is going on

    def snapshot(self) -> dict[str, Any]:
        """Give what is going on, as plain data: times are ISO 8601 in UTC, secrets are not in it."""
        stats = self._store.stats()
        first, *others = [link.snapshot() for link in self._links]
        return {
            "version": __version__,
            "now": self._clock.now().isoformat(),
            "started": self._started.isoformat(),
            "ven": first["ven"],
            "clock": dict(self._intake.snapshot()),
            "connections": [self._connection(resource) for resource in self._resources.values()],
            "readings": {
                "readings": stats.readings,
                "commits": stats.commits,
                "waiting": stats.waiting,
                "refused": stats.refused,
                "dropped": stats.dropped,
                "last_error": stats.last_error,
            },
            "influx": self._mirror.status() if self._mirror else None,
            "vtn": first["vtn"],
            "events": first["events"],
            "reports": first["reports"],
            "telemetry": first["telemetry"],
            "others": others,
            "rejects": dict(
                Counter({name: p.health.rejects for name, p in self._pollers.items() if p.health.rejects})
            ),
            "notes": [
                *stats.problems,
                *self._notes,
                *(f"{link}: {note}" for link in self._links[1:] for note in link.notes),
            ],
        }

    def _connection(self, resource: Resource) -> dict[str, Any]:
        poller = self._pollers.get(resource.resourceID)
        names = (
            link.names[resource.resourceID]
            for link in self._links
            if resource.resourceID in link.side.registered
        )
        row: dict[str, Any] = {
            "resource": resource.resourceID,
            "name": resource.resourceName,
            "type": resource.resourceType,
            "connection": resource.connection.type.name,
            "endpoint": resource.connection.endpoint,
            "vtn_name": next(names, None),
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


def _more(some: Sequence[object]) -> str:
    """Return how many are not among the names that are listed; empty for none."""
    rest = len(some) - NAMED
    return gwy.MORE(count=rest) if rest > 0 else ""
