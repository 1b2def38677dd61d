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
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from venclient import __version__
from venclient.client import VtnAccount
from venclient.clock import Clock, SystemClock
from venclient.clock_guard import CautiousClock
from venclient.completing import Completing
from venclient.connectors.base import Batch, Site
from venclient.connectors.file_workers import WORKERS
from venclient.connectors.leases import Leases
from venclient.errors import ConfigError, StoreError, VenError
from venclient.intake import Intake
from venclient.messages import Text, with_code, within
from venclient.messages import gateway as gwy
from venclient.meters import Meters
from venclient.model.reading import Measure, Reading
from venclient.model.reporting import ReportingStatus
from venclient.model.resource import ConnectionType, Resource
from venclient.notes import Note, Notes
from venclient.readings.line_protocol import Tags
from venclient.readings.measures import measures
from venclient.readings.mirror import open_mirror
from venclient.readings.sqlite import SqliteReadings
from venclient.readings.unmirrored import without_mirror
from venclient.registered import Registered, RegistrySource, open_existing, registry_of
from venclient.registry.opening import is_url, shown
from venclient.registry_follower import RegistryFollower
from venclient.reloading import Reload, plain, reloaded
from venclient.roster import Roster
from venclient.secrets import key_path_of
from venclient.settings import Settings, resolve_secret
from venclient.sqlite_file import is_full
from venclient.status import StatusServer
from venclient.status_board import StatusBoard
from venclient.vtn_link import Latecomers, VtnLink, checked_account
from venclient.vtn_links import VtnLinks
from venclient.watchdog import Watchdog

log = logging.getLogger("venclient.gateway")

#: How long reports wait for meters at the start, and once all have been read.
CATCH_UP_S = 15.0
AFTER_CATCH_UP_S = 1.0
#: How long a reload that is going on may keep the gateway from stopping.
RELOAD_ENDS_WITHIN_S = 10.0
#: So many rows of the registry that cannot be read have a note of their own.
ROWS_NAMED = 3
#: Kinds of notes that go on.
UNTOLD, RESTART, UNUSABLE = "reporting status", "settings for a restart", "settings"
UNSEEN = "status socket"


class Gateway:
    """One VEN, running. `run()` goes on until it is cancelled; ConfigError says at once what cannot work.

    `reread` returns the current settings, for `reload`; without it they cannot be read again.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        reread: Callable[[], Settings] | None = None,
    ) -> None:
        self._settings = settings
        self._reread = reread
        self._clock: Clock = clock or SystemClock()
        self._started = self._clock.now()
        self._notes = Notes(clock=self._clock)
        #: What is wrong with the readings file, and since when.
        self._problems: dict[str, datetime] = {}
        self._reloading = asyncio.Lock()
        self._reloads: set[asyncio.Task[dict[str, Any]]] = set()
        #: A signal asked for a reload that has not begun: it will do for those that come until then.
        self._reload_asked = False
        self._stopping = False

        self._database, self._key_file = registry_of(settings)
        sides = _sides(settings)
        # What cannot work is reported before any file is opened.
        accounts = {name: checked_account(own, name) for name, own in sides.items()}
        source = RegistrySource(self._database, self._key_file, self._wanted, self._clock)
        registered = source.read(Registered())
        self._follower = RegistryFollower(source, registered, self._take_up, self._clock, self._notes)
        self._tell_registered(registered, Registered())
        cautious = CautiousClock(self._clock)
        self._store = SqliteReadings(
            settings.path("readings.path"),
            cautious,
            commit_period_s=settings["readings.commit_s"],
            retention_days=settings["readings.retention_days"],
            max_bytes=settings["readings.max_mb"] * 2**20 if settings["readings.max_mb"] else None,
        )
        #: Of every resource that was ever served: what was read of it may still be on its way.
        self._tags: dict[str, Tags] = {}
        self._take_tags(registered.resources)
        self._mirror = open_mirror(settings, self._store, self._tags, self._clock)
        self._links = VtnLinks(self._make_link, self._until_caught_up)
        self._late = Latecomers(self._links, lambda id_: self._store.newest(id_).values(), self._notes)
        self._completing = Completing(self._store.newest, self._is_read)
        self._intake = Intake(
            self._mirror.store if self._mirror else without_mirror(self._store),
            registered.resources.values(),
            self._clock,
            self._notes,
            trust=settings["clock.trust"],
            vtn_skew_s=self._links.skew_s,
            before=self._hear,
        )
        cautious.guard = self._intake.clock
        self._board = StatusBoard(tuple(sides))
        self._links.open(sides, accounts, registered.served)
        self._own = self._own_files()
        self._meters = Meters(
            Site(
                clock=self._intake.clock,
                # Relative names of meter files start here.
                folder=settings.folder if is_url(self._database) else Path(self._database).parent,
                bookmark=self._store.bookmark,
                is_stored=self._store.is_stored,
                secret=lambda reference: resolve_secret(reference, folder=self._settings.folder),
                leases=Leases(),
                client_id=f"venclient-{settings['ven.name']}",
                protected=self._own,
                roots=tuple(settings.folder / one for one in settings["files.roots"]),
            ),
            self._keep,
            self._clock,
            self._notes,
            last_value=self._last_value,
        )

    def _own_files(self) -> list[Path]:
        """Return the files that hold our data and secrets: no meter file is ever one of them."""
        own = [self._settings.path("readings.path")]
        own += [side.path("reporting.state") for side in _sides(self._settings).values()]
        key = self._key_file or key_path_of(self._database)
        if not is_url(self._database):
            own.append(Path(self._database))
        return [*own, *([Path(key)] if key else [])]

    def _make_link(
        self, name: str, own: Settings, account: VtnAccount, resources: Mapping[str, Resource]
    ) -> VtnLink:
        return VtnLink(
            own,
            account,
            Roster(resources),
            self._clock,
            self._intake.clock,
            self._measure,
            partial(self._tell_registry, name),
            name=name,
            expecting=self._completing.expected,
        )

    async def run(self) -> None:
        """Serve until cancelled; then commit, and close everything."""
        status = StatusServer(self._settings.path("status.socket"), self.snapshot, self.reload)
        try:
            await status.start()
        except StoreError as error:
            if not is_full(error, self._settings.path("status.socket")):
                raise
            self._notes.begin(UNSEEN, error.text)
        try:
            self._meters.serve(self._follower.running.resources)
            self._meters.report()
            async with asyncio.TaskGroup() as group:
                group.create_task(Watchdog(self._notes.add).run(), name="watchdog")
                group.create_task(self._store.run(), name="readings")
                if self._mirror is not None:
                    group.create_task(self._mirror.run(), name="influxdb")
                group.create_task(self._intake.run(), name="intake")
                group.create_task(self._meters.run(), name="meters")
                group.create_task(self._links.run(), name="VTNs")
                group.create_task(self._follower.run(), name="registry")
                usable = self._meters.in_use
                refused = len(self._follower.running.resources) - usable
                ven = self._settings["ven.name"]
                if refused:
                    log.info(gwy.SERVING(count=usable, ven=ven, refused=refused))
                else:
                    log.info(gwy.SERVING_ALL(count=usable, ven=ven))
        finally:
            self._stopping = True
            try:
                await status.stop()
                await self._store.close()
                with suppress(TimeoutError):
                    async with asyncio.timeout(RELOAD_ENDS_WITHIN_S), self._reloading:
                        pass
            finally:
                self._links.close()

    # ---- what changes while it runs

    def _wanted(self) -> dict[str, str | None]:
        """Return which resources each VTN hears of, as the registry's `ven` value."""
        return {name: own["ven.resources"] for name, own in _sides(self._settings).items()}

    def _take_up(self, now: Registered, before: Registered) -> None:
        """Serve what the registry says now, from the next reading and the next report on."""
        self._tell_registered(now, before)
        resources = now.resources
        self._take_tags(resources)
        self._intake.serve(resources.values())
        self._meters.serve(resources)
        self._links.serve(now.served)

    def _take_tags(self, resources: Mapping[str, Resource]) -> None:
        own = self._settings["ven.name"]
        self._tags |= {id_: Tags(one.meterPointId, one.ven or own) for id_, one in resources.items()}

    def _tell_registered(self, now: Registered, before: Registered) -> None:
        """Note the rows that make no sense, and VTNs that hear of no resource."""
        said = [within(one.reason, f"{one.place}: ") for one in now.rejects]
        if len(said) > ROWS_NAMED:
            said = [gwy.ROWS_LEFT_OUT(count=len(said), first=said[0])]
        for number in range(ROWS_NAMED):
            self._notes.show(f"row {number}", said[number] if number < len(said) else None)
        wanted = self._wanted()
        for name in before.served:
            if now.served.get(name) != {}:
                self._notes.end(f"nothing for {name}")
        for name, resources in now.served.items():
            if resources or before.served.get(name) == {}:
                continue
            nothing = gwy.NOTHING_SERVED(
                database=shown(self._database),
                of=gwy.OF_VEN(ven=wanted[name]) if wanted[name] else "",
                vtn=gwy.FOR_VTN(vtn=name) if name else "",
            )
            self._notes.show(f"nothing for {name}", nothing)
            log.warning(nothing)

    def reload_soon(self) -> None:
        """Read settings and registry again, as SIGHUP asks for; what comes of it is logged."""
        if self._reload_asked:
            return
        self._reload_asked = True
        task = asyncio.get_running_loop().create_task(self.reload(), name="reload")
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def reload(self) -> dict[str, Any]:
        """Read settings and registry again; return what was `applied`, and what needs a `restart`.

        `problem` says why the gateway goes on with the settings that it has.
        """
        async with self._reloading:
            self._reload_asked = False
            try:
                found = await self._reloaded()
            except VenError as error:
                problem = "; ".join(error.problems) if isinstance(error, ConfigError) else str(error)
                return self._not_reloaded(gwy.NOT_RELOADED(problem=problem))
            except Exception as error:  # noqa: BLE001  a bug in reading settings must not end the readings
                what = gwy.UNEXPECTED(kind=type(error).__name__)
                return self._not_reloaded(gwy.NOT_RELOADED(problem=what), bug=error)
            finally:
                self._follower.look_now()
            if found is None:
                return self._not_reloaded(gwy.NOT_REREADABLE())
        logging.getLogger().setLevel(self._settings["log.level"].upper())
        applied = gwy.APPLIED(keys=found.applied) if found.applied else gwy.NOTHING_CHANGED()
        log.info(gwy.RELOADED(applied=applied))
        self._notes.end(UNUSABLE)
        needed = gwy.NEEDS_RESTART(keys=found.restart) if found.restart else None
        if needed is not None:
            log.warning(needed)
        self._notes.show(RESTART, needed)
        return plain(found) | {"problem": None}

    async def _reloaded(self) -> Reload | None:
        """Go on with the settings as they are read now; None when they cannot be read again."""
        if self._reread is None or self._stopping:
            return None
        read = await asyncio.to_thread(self._reread)
        found = reloaded(self._settings, read)
        sides = _sides(found.settings)
        accounts = {name: checked_account(own, name) for name, own in sides.items()}
        await self._links.change(sides, accounts)
        self._settings = found.settings
        # Readers that are open look at this list as well.
        self._own[:] = dict.fromkeys([*self._own, *self._own_files()])
        self._board.follow(tuple(sides))
        return found

    def _not_reloaded(self, problem: Text, bug: Exception | None = None) -> dict[str, Any]:
        log.error(problem, exc_info=bug)
        self._notes.show(UNUSABLE, problem)
        return {"problem": with_code(problem)}

    # ---- meters to store

    async def _keep(self, name: str, batch: Batch) -> None:
        await self._intake.keep(batch, of=name)

    async def _hear(self, readings: Sequence[Reading]) -> None:
        """Look at readings that are about to be stored: which reports they change, and when the next come."""
        self._completing.hear(readings)
        await self._late.hear(readings)

    def _is_read(self, resource_id: str) -> bool:
        """Return whether a resource's source is being read as it comes, and is not silent."""
        meter = self._meters.get(resource_id)
        if (
            meter is None
            or meter.poller is None
            or meter.resource.connection.type is ConnectionType.FILEREADER
        ):
            return False
        return meter.poller.health.state == "ok"

    def _last_value(self, resource_id: str) -> datetime | None:
        """Return the time of a resource's newest stored value; one ahead of now is of a wrong clock."""
        now = self._clock.now()
        times = [one.time for one in self._store.newest(resource_id).values() if one.time <= now]
        return max(times, default=None)

    # ---- store to reports

    async def _measure(
        self, resource_ids: Sequence[str], grid: Sequence[tuple[datetime, datetime]]
    ) -> Mapping[tuple[str, datetime, datetime], Measure]:
        """Return what resources did in the intervals of `grid`, from all that was read until now."""
        return await measures(
            self._mirror.store if self._mirror and self._mirror.gives_history else self._store,
            resource_ids,
            grid,
            max_gap_s=self._settings["reporting.max_gap_s"],
            rules=self._intake.rules,
        )

    async def _until_caught_up(self) -> None:
        """Wait until meters that keep their readings for us were read, or long enough.

        Otherwise, after a restart, an overdue report would be made before the file rows and messages of the
        meantime are in, and report as unknown what is known a second later.
        """
        until_s = self._clock.monotonic() + CATCH_UP_S
        while self._clock.monotonic() < until_s:
            if self._meters.caught_up:
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
            with open_existing(self._database, self._key_file) as registry:
                registry.set_reporting_status(statuses)

        try:
            await asyncio.to_thread(keep)
        except VenError as error:
            self._notes.begin(UNTOLD, gwy.STATUS_UNTOLD(reason=error))
        else:
            self._notes.end(UNTOLD)

    # ---- what is going on

    def snapshot(self) -> dict[str, Any]:
        """Return the status as plain data: times are ISO 8601 in UTC, secrets are left out."""
        stats = self._store.stats()
        notes = self._noted(stats.problems)
        resources = self._follower.running.resources
        first, *others = self._links.snapshots()
        return {
            "version": __version__,
            "now": self._clock.now().isoformat(),
            "started": self._started.isoformat(),
            "ven": first["ven"],
            "clock": dict(self._intake.snapshot()),
            "connections": [
                self._connection(resource, stats.rows.get(resource.resourceID, 0))
                for resource in resources.values()
            ],
            "registry": {
                "database": shown(self._database),
                "running": self._follower.running.version.number,
                "stored": self._follower.stored.number,
            },
            "readings": {
                "readings": stats.readings,
                "commits": stats.commits,
                "waiting": stats.waiting,
                "refused": stats.refused,
                "dropped": stats.dropped,
                "last_error": stats.last_error,
            },
            "files": {"abandoned": WORKERS.abandoned},
            "influx": self._mirror.status() if self._mirror else None,
            "vtn": first["vtn"],
            "events": first["events"],
            "reports": first["reports"],
            "telemetry": first["telemetry"],
            "others": others,
            "rejects": dict(
                Counter(
                    {
                        one.resource.resourceID: one.poller.health.rejects
                        for one in self._meters
                        if one.poller is not None and one.poller.health.rejects
                    }
                )
            ),
            "notes": [one.sentence for one in notes],
            "notes_since": [one.since.isoformat() for one in notes],
        }

    def _noted(self, problems: Sequence[str]) -> list[Note]:
        """Return all notes; `problems` are those of the readings file, which it keeps itself."""
        for sentence in self._problems.keys() - set(problems):
            del self._problems[sentence]
        for sentence in problems:
            self._problems.setdefault(sentence, self._clock.now())
        return [
            *(Note(since, sentence) for sentence, since in self._problems.items()),
            *self._notes.noted(),
            *(
                one._replace(sentence=f"{link}: {one.sentence}") if link.name else one
                for link in self._links
                for one in link.notes.noted()
            ),
        ]

    def _connection(self, resource: Resource, stored: int) -> dict[str, Any]:
        meter = self._meters.get(resource.resourceID)
        poller = None if meter is None else meter.poller
        names = (
            link.roster.names[resource.resourceID]
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
            refusal = (meter.refusal if meter else None) or gwy.NOT_STARTED()
            return row | {
                "state": "refused",
                "last_error": refusal,
                "readings": stored,
                "rejects": 0,
                "missed": 0,
            }
        health = poller.health
        unusable = self._intake.unusable(resource, health.silent_after_s) if health.state == "ok" else None
        return row | {
            "state": health.state if unusable is None else "silent",
            "last_ok": health.last_ok.isoformat() if health.last_ok else None,
            "last_error": health.last_error if unusable is None else with_code(unusable),
            "since": health.dark_since.isoformat() if health.dark_since else None,
            "readings": stored,
            "rejects": health.rejects,
            "last_rejects": [f"{one.place}: {one.reason}" for one in health.last_rejects],
            "missed": health.missed,
            "last_value": health.last_value.isoformat() if health.last_value else None,
            "silent_after_s": health.silent_after_s,
        }


def _sides(settings: Settings) -> dict[str, Settings]:
    """Return the settings towards each VTN by its name, "" for the first."""
    return {"": settings, **settings.others}
