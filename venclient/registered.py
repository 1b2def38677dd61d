"""What the registry says of the resources that are served: read at the start, and after each change.

A part of the composition root.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from venclient.clock import Clock
from venclient.errors import ConfigError, RegistryError, VenError
from venclient.messages import gateway as gwy
from venclient.model.reading import Reject
from venclient.model.resource import Resource
from venclient.registry.changes import RegistryVersion
from venclient.registry.database import ResourceDatabase
from venclient.registry.opening import is_url
from venclient.settings import Settings

#: A file that was written less than this ago may have been written again within the same tick of its time.
_SETTLED = timedelta(seconds=2)

NOTHING = RegistryVersion(0, 0)


@dataclass(frozen=True)
class Registered:
    """The enabled resources that each VTN hears of, by the VTN's name ("" for the first) and by id.

    A resource that did not change is the same object as in the version before: it must not be changed.
    `rejects` are rows that make no sense. A resource that was served and whose row makes no sense any more
    is served as it was: a mistake in one row ends no readings.
    """

    version: RegistryVersion = NOTHING
    served: Mapping[str, Mapping[str, Resource]] = field(default_factory=dict)
    rejects: tuple[Reject, ...] = ()

    @property
    def resources(self) -> dict[str, Resource]:
        """Return every resource that some VTN hears of, by id."""
        return {id_: one for resources in self.served.values() for id_, one in resources.items()}


def enabled_resources(registry: ResourceDatabase, ven: str | None) -> dict[str, Resource]:
    """Return the resources that a VTN hears of, by id; `registry.rejects` has rows that make no sense.

    These are the enabled ones whose `ven` is the given one, or all of them for None.
    """
    return {one.resourceID: one for one in registry.get_resources(ven=ven) if one.enabled is not False}


def registry_of(settings: Settings) -> tuple[str, Path | None]:
    """Return the registry's file or URL, and its key file where one is set; ConfigError without one."""
    database = settings.place("registry.database")
    if not is_url(database) and not Path(database).is_file():
        raise ConfigError(gwy.NO_DATABASE(), subject=f"registry.database = {database!r}")
    return database, settings.path("registry.key_file") if settings["registry.key_file"] else None


def open_existing(database: str, key_file: Path | None) -> ResourceDatabase:
    """Open a registry that exists; RegistryError when its file is missing or empty: none is created."""
    if not is_url(database):
        try:
            size = Path(database).stat().st_size
        except FileNotFoundError:
            raise RegistryError(gwy.REGISTRY_GONE(), subject=database, transient=True) from None
        except OSError:
            size = None  # what opens it says why
        if size == 0:
            raise RegistryError(gwy.REGISTRY_EMPTY(), subject=database, transient=True)
    return ResourceDatabase(database, key_file=key_file)


class RegistrySource:
    """Reads a registry, in a thread of the caller's choice. Every method may raise VenError.

    `wanted` gives the `ven` that each VTN hears of (None: all resources), by the VTN's name.
    """

    def __init__(
        self,
        database: str,
        key_file: Path | None,
        wanted: Callable[[], Mapping[str, str | None]],
        clock: Clock,
    ) -> None:
        self.database = database
        self._key_file = key_file
        self._wanted = wanted
        self._clock = clock
        self._seen: tuple[object, ...] | None = None

    def version(self) -> RegistryVersion | None:
        """Return where the registry's record of changes stands; None when its file was not written since."""
        files = self._files()
        if files is not None and files == self._seen:
            return None
        self._seen = None
        with self._open() as registry:
            version = registry.version()
        self._seen = files if self._is_settled(files) else None
        return version

    def read(self, before: Registered) -> Registered:
        """Return what the registry says now; `before` is what it said when it was read last."""
        with self._open() as registry:
            registry.expect_rejects(before.rejects)
            # The version first: what is changed while the resources are read is read once more.
            version = registry.version()
            served: dict[str, dict[str, Resource]] = {}
            for vtn, ven in self._wanted().items():
                served[vtn] = enabled_resources(registry, ven)
            rejects = tuple(registry.rejects)
        # The same objects for what did not change: a comparison by identity is enough.
        known = before.resources
        served = {
            vtn: {id_: _same(known.get(id_), one) for id_, one in of.items()} for vtn, of in served.items()
        }
        # Places are "resources row 5 (the resource's id)".
        lost = {reject.place.partition("(")[2].removesuffix(")") for reject in rejects}
        for vtn in served.keys() & before.served.keys() if lost else ():
            kept = {id_: one for id_, one in before.served[vtn].items() if id_ in lost}
            served[vtn] = kept | served[vtn]
        return Registered(version, served, rejects)

    def _open(self) -> ResourceDatabase:
        return open_existing(self.database, self._key_file)

    def _files(self) -> tuple[object, ...] | None:
        """Return what differs when the registry's file was written; None for a server."""
        if is_url(self.database):
            return None
        found: list[object] = []
        for suffix in ("", "-wal"):
            try:
                stat = Path(self.database + suffix).stat()
            except OSError:
                found.append(None)
            else:
                found.append((stat.st_ino, stat.st_mtime_ns, stat.st_size))
        return tuple(found)

    def _is_settled(self, files: tuple[object, ...] | None) -> bool:
        if files is None:
            return False
        times = [one[1] for one in files if isinstance(one, tuple)]
        newest = max(times, default=0) / 1e9
        return abs(self._clock.now().timestamp() - newest) >= _SETTLED.total_seconds()


def _same(before: Resource | None, now: Resource) -> Resource:
    """Return the object that was there before where it says the same."""
    return before if before is not None and before == now else now


def stored_version(settings: Settings) -> int | None:
    """Return the version that the registry's file has now; None for a server, or when it cannot be read."""
    try:
        database, key_file = registry_of(settings)
        if is_url(database):
            return None  # a server that is away would be waited for
        with open_existing(database, key_file) as registry:
            return registry.version().number
    except VenError:
        return None  # the gateway itself reports a registry that it cannot read
