"""Everything that `ven doctor` looks at: this machine, the files, the gateway, the VTNs and the devices.

It changes nothing, works with and without a running gateway, and whatever is broken stops no other check.
What is concluded from what is seen stands in `checkup.py`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Hashable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from msgspec.structs import replace as replaced

from venclient import checkup
from venclient.checkup import Finding, failure, finding
from venclient.clock import Clock, SystemClock
from venclient.clock_guard import kernel_is_synchronised
from venclient.connectors.file_access import is_within
from venclient.connectors.snapshot import one_shot_site, take_snapshot
from venclient.errors import ConfigError, ReadTimeout, VenError
from venclient.influx_examination import examine_influx
from venclient.messages import diagnostics as doc
from venclient.messages import registry_files as dbf
from venclient.messages import with_code
from venclient.messages.printable import foreign
from venclient.model.resource import ConnectionType, Resource
from venclient.read_once import doubts_of
from venclient.read_only import note_of, write_refusal
from venclient.readings.inspection import WEAR_DAYS
from venclient.readings.peaks import power_peaks
from venclient.readings.tables import open_tables
from venclient.registrar import Served, served_resources, side_of
from venclient.registry.changes import user_name
from venclient.registry.inspection import inspect, inspect_server
from venclient.registry.opening import is_url, shown
from venclient.settings import Settings, load_settings, resolve_secret
from venclient.status import ask
from venclient.vtn_examination import Examination, Found, aside, checked

#: How many devices (a gateway with its units is one) are read at the same time, and how long, in seconds,
#: all of them may take.
DEVICES_AT_ONCE = 32
DEVICES_WITHIN_S = 60.0
#: So many meter files outside the roots are named.
FILES_NAMED = 5
#: Where `ven import` stores, from the folder in which it runs.
USUAL_REGISTRY = "config/resources.db"
#: A readings file larger than this, in bytes, is not read to its end here.
CHECKED_BYTES = 256 * checkup.MIB


async def examine(
    config: Path,
    *,
    vtn: str | None = None,
    within_s: float = 10.0,
    devices_within_s: float = DEVICES_WITHIN_S,
    clock: Clock | None = None,
) -> list[Finding]:
    """Return what is well and what is not, in the order in which one thing rests on another.

    `vtn` looks at that further VTN only; each check takes at most about `within_s` seconds, and the
    devices together `devices_within_s`.
    """
    doctor = _Doctor(config, within_s, devices_within_s, clock or SystemClock())
    try:
        settings = load_settings(config)
        sides = {vtn: side_of(settings, vtn)} if vtn else {"": settings, **settings.others}
    except ConfigError as error:
        wrong = (
            [failure("settings", error)]
            if error.problems == (str(error),)
            else [
                finding("settings", doc.SETTINGS_WRONG(problem=problem), cause=problem)
                for problem in error.problems
            ]
        )
        return [*wrong, doctor.clock_finding()]
    return await doctor.all_of(settings, sides)


class _Doctor:
    def __init__(self, config: Path, within_s: float, devices_within_s: float, clock: Clock) -> None:
        self._config = config
        self._within_s = within_s
        self._devices_within_s = devices_within_s
        self._clock = clock

    async def all_of(self, settings: Settings, sides: Mapping[str, Settings]) -> list[Finding]:
        snapshots: list[Mapping[str, Any]] = []
        gateway, registry, disk, readings, influx = await asyncio.gather(
            self._check("gateway", self._gateway(settings, snapshots)),
            self._check("registry", self._registry(settings)),
            self._check("disk", self._disk(settings)),
            self._check("readings", self._readings(settings)),
            self._check("InfluxDB", examine_influx(settings, self._clock.now(), within_s=self._within_s)),
        )
        served: dict[str, Served] = {}
        if all(one.state == "ok" for one in registry):
            for name, side in sides.items():
                registry += await self._check("registry", self._serve(side, name, served))
        registry += await self._check("meter files", self._meter_files(settings, served))
        registry += await self._check("capacity", self._capacities(settings, served))
        # Each of their checks has its limit: these are for the unexpected.
        vtns = [
            checked(
                f"VTN {name}".strip(),
                Examination(own, served.get(name), self._clock, name=name, within_s=self._within_s).run(),
                within_s=self._within_s * 20,
            )
            for name, own in sides.items()
        ]
        snapshot = snapshots[0] if snapshots else None
        limit = self._devices_within_s + self._within_s
        looked = checked("devices", self._devices(settings, served, snapshot), within_s=limit)
        *per_vtn, devices = await asyncio.gather(*vtns, looked)
        valid = finding("settings", doc.SETTINGS(config=str(self._config), count=1 + len(settings.others)))
        machine = [valid, self.clock_finding(), *disk, *registry, *readings, *influx]
        return [*machine, *gateway, *(one for some in per_vtn for one in some), *devices]

    async def _check(self, name: str, work: Awaitable[Found]) -> list[Finding]:
        return await checked(name, work, within_s=self._within_s)

    def clock_finding(self) -> Finding:
        return checkup.of_clock(synchronised=kernel_is_synchronised())

    # ---- files and the gateway

    async def _disk(self, settings: Settings) -> Found:
        def look() -> list[Finding]:
            seen: dict[int, Finding] = {}
            locked: dict[Path, Finding] = {}
            for key in ("readings.path", "reporting.state"):
                folder = settings.path(key).parent
                while not folder.exists() and folder != folder.parent:
                    folder = folder.parent
                usage = shutil.disk_usage(folder)
                found = checkup.of_space(str(folder), usage.free, usage.total)
                seen.setdefault(folder.stat().st_dev, found)
                fixed = os.statvfs(folder).f_flag & os.ST_RDONLY
                if not fixed and not os.access(folder, os.W_OK | os.X_OK):
                    locked[folder] = finding(
                        "disk", doc.NOT_WRITABLE(place=folder, user=user_name(os.geteuid()))
                    )
            return [*seen.values(), *locked.values(), *_read_only(settings)]

        try:
            return await aside(look)
        except OSError as error:
            return finding("disk", doc.DISK_UNREADABLE(problem=str(error)))

    async def _readings(self, settings: Settings) -> Found:
        path = settings.path("readings.path")
        if not path.exists():
            return finding("readings", doc.READINGS_NONE(path=str(path)))

        def look() -> tuple[int, list[str] | None, list[tuple[int, int]]]:
            with closing(open_tables(path, read_only=True)) as tables:
                size = tables.size()
                days = [(written, count) for _, written, count in tables.history.wear(WEAR_DAYS + 1)]
                # The newest day is not over.
                return size, tables.check() if size <= CHECKED_BYTES else None, days[1:]

        size, problems, days = await aside(look)
        what: dict[str, Any] = {"path": str(path), "size": size / checkup.MIB}
        if problems:
            found = finding("readings", doc.READINGS_DAMAGED(**what, problem=with_code(problems[0])))
        elif problems is None:
            found = finding("readings", doc.READINGS_LARGE(**what))
        else:
            found = finding("readings", doc.READINGS(**what))
        wear = checkup.of_wear(days, settings["readings.commit_s"])
        return [found, wear] if wear else found

    async def _registry(self, settings: Settings) -> Found:
        place = settings.place("registry.database")
        if not is_url(place) and not await aside(Path(place).exists):
            if (settings.folder / USUAL_REGISTRY).is_file():
                return finding("registry", doc.REGISTRY_ELSEWHERE(place=place, found=USUAL_REGISTRY))
            return finding("registry", doc.REGISTRY_MISSING(place=place))
        found = await aside(lambda: inspect_server(place) if is_url(place) else inspect(Path(place)))
        what: dict[str, Any] = {"place": shown(place), "count": found.resources}
        if found.problems:
            return finding("registry", doc.REGISTRY_PROBLEM(**what, problem=with_code(found.problems[0])))
        if not found.is_current:
            # Opening it would upgrade it.
            return finding("registry", doc.REGISTRY_OLD(**what))
        return finding("registry", doc.REGISTRY(**what))

    async def _serve(self, side: Settings, name: str, served: dict[str, Served]) -> Found:
        served[name] = found = await aside(lambda: served_resources(side))
        findings = [
            finding("registry", doc.RECORD_PROBLEM(problem=problem), cause=problem, vtn=name)
            for problem in found.problems[: checkup.NAMED]
        ]
        if not found.resources:
            wanted = side["ven.resources"]
            text = doc.NO_RESOURCE_OF_VEN(ven=wanted) if wanted else doc.NO_RESOURCE()
            findings.append(finding("registry", text, vtn=name))
        return findings

    async def _capacities(self, settings: Settings, served: Mapping[str, Served]) -> list[Finding]:
        path = settings.path("readings.path")
        resources = {id_: one for some in served.values() for id_, one in some.resources.items()}
        if not resources or not path.exists():
            return []

        def look() -> dict[str, tuple[float, float]]:
            with closing(open_tables(path, read_only=True)) as tables:
                return power_peaks(tables, resources, self._clock.now())

        return checkup.of_capacities(resources.values(), await aside(look))

    async def _meter_files(self, settings: Settings, served: Mapping[str, Served]) -> list[Finding]:
        """List the files that a new connection could not have."""
        database = settings.place("registry.database")
        folder = settings.folder if is_url(database) else Path(database).parent
        roots = (folder, *(settings.folder / one for one in settings["files.roots"]))
        links = [one.connection for some in served.values() for one in some.resources.values()]
        of_files = [one.file or "" for one in links if one.type is ConnectionType.FILEREADER]
        files = sorted({one for one in of_files if one.strip()})

        def look() -> list[str]:
            return [one for one in files if not is_within(Path(os.path.realpath(folder / one)), roots)]

        outside = await aside(look)
        if not outside:
            return []
        names = [foreign(one) for one in outside[:FILES_NAMED]]
        if len(outside) > FILES_NAMED:
            names.append(doc.FILES_MORE(count=len(outside) - FILES_NAMED))
        return [finding("meter files", doc.FILES_OUTSIDE(count=len(outside), files=names))]

    async def _gateway(self, settings: Settings, snapshots: list[Mapping[str, Any]]) -> Found:
        snapshot = await aside(lambda: ask(settings.path("status.socket")))
        found = checkup.of_gateway(snapshot, str(self._config))
        if snapshot is not None:
            snapshots.append(snapshot)
        return found

    # ---- devices

    async def _devices(
        self, settings: Settings, served: Mapping[str, Served], snapshot: Mapping[str, Any] | None
    ) -> list[Finding]:
        """Look at each device: through the gateway where it reads it, else by reading it once."""
        resources = {id_: one for some in served.values() for id_, one in some.resources.items()}
        rows = {row["resource"]: row for row in snapshot["connections"]} if snapshot else {}
        now = snapshot["now"] if snapshot else ""
        lines = _lines(one for id_, one in resources.items() if id_ not in rows)
        waiting = iter(lines)
        found = {id_: [checkup.of_running_device(rows[id_], now)] for id_ in resources if id_ in rows}
        database = settings.place("registry.database")
        folder = settings.folder if is_url(database) else Path(database).parent
        site = replace(
            one_shot_site(folder, self._clock),
            secret=lambda reference: resolve_secret(reference, folder=settings.folder),
        )

        async def work() -> None:
            for one in chain.from_iterable(waiting):
                limit = self._within_s + 2
                found[one.resourceID] = await checked(
                    f"device {one.resourceName}", self._device(one, site), within_s=limit
                )

        try:
            async with asyncio.timeout(self._devices_within_s), asyncio.TaskGroup() as group:
                for _ in range(min(DEVICES_AT_ONCE, len(lines))):
                    group.create_task(work())
        except TimeoutError:
            pass
        findings = [one for id_ in resources for one in found.get(id_, ())]
        if left := len(resources) - len(found):
            text = doc.DEVICES_SKIPPED(count=left, seconds=self._devices_within_s)
            findings.append(finding("devices", text))
        return findings

    async def _device(self, resource: Resource, site: Any) -> Found:
        check = f"device {resource.resourceName}"
        place = resource.connection.endpoint
        try:
            readings = await take_snapshot(resource, site, timeout_s=self._within_s)
        except ReadTimeout as error:
            # A broker that was reached, and a device that sends less often than we waited.
            waits = resource.connection.type is ConnectionType.MQTT
            return failure(check, error, state="warn" if waits else "fail", place=place)
        except VenError as error:
            failed = failure(check, error, place=place)
            return (
                failed
                if failed.advice
                else replaced(failed, advice=str(doc.TEST_DEVICE(id=resource.resourceID)))
            )
        if not readings:
            return finding(check, doc.DEVICE_SILENT(endpoint=place, id=resource.resourceID))
        newest = max(one.time for found in readings.values() for one in found)
        old = checkup.of_old_values(resource, newest, self._clock.now())
        lines = [finding(check, doc.DEVICE_VALUES(endpoint=place, values=_values(readings)))]
        read = [one for found in readings.values() for one in found[-1:]]
        lines += [finding(check, one) for one in doubts_of(resource, read, self._clock.now())]
        return [*lines, old] if old else lines


def _read_only(settings: Settings) -> list[Finding]:
    """Return findings for files that cannot be written, or not be read to their end."""
    found = []
    database = settings.place("registry.database")
    if not is_url(database) and (note := note_of(Path(database))) is not None:
        found.append(finding("disk", note))
    for key in ("readings.path", "reporting.state"):
        path = settings.path(key)
        reason = write_refusal(path)
        if reason is None:
            continue
        found.append(finding("disk", dbf.STORE_READ_ONLY(reason=reason).within(f"{path}: ")))
        note = note_of(path)
        if note is not None and note.code == dbf.READ_ONLY_WITHOUT_LOG.code:
            found.append(finding("disk", note))
    return found


def _lines(resources: Iterable[Resource]) -> list[list[Resource]]:
    """Return resources by what is read in turn: units behind one Modbus gateway would wait for each other."""
    lines: dict[Hashable, list[Resource]] = {}
    for one in resources:
        connection = one.connection
        shared = connection.type is ConnectionType.MODBUSTCP
        lines.setdefault((connection.host, connection.port) if shared else one.resourceID, []).append(one)
    return list(lines.values())


def _values(readings: Mapping[str, Sequence[Any]]) -> str:
    some = [f"{quantity} {found[-1].value:g}" for quantity, found in sorted(readings.items())]
    return ", ".join(some[: checkup.NAMED]) + (" ..." if len(some) > checkup.NAMED else "")
