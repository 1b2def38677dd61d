"""Resources and sites for the tests of connectors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from venclient.clock import Clock, SystemClock
from venclient.connectors.base import Site
from venclient.connectors.leases import Leases
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource


def make_site(
    folder: Path,
    clock: Clock | None = None,
    bookmarks: dict[str, str] | None = None,
    is_stored: Callable[[str, int], bool] = lambda _id, _mark: False,
) -> Site:
    """Build a site that keeps its bookmarks in a dict and takes secrets as they are."""
    return Site(
        clock=clock or SystemClock(),
        folder=folder,
        bookmark=(bookmarks if bookmarks is not None else {}).get,
        secret=lambda reference: reference,
        leases=Leases(),
        is_stored=is_stored,
    )


def make_resource(
    kind: ConnectionType = ConnectionType.MODBUSTCP, *, name: str = "Hotel Ærø", **connection: Any
) -> Resource:
    """Build a resource whose connection has the given members."""
    return Resource(
        resourceID=f"id-of-{name}",
        resourceName=name,
        resourceType="DSR",
        resourceSubType="Hotels",
        meterPointId="707057500000000005",
        connection=Connection(kind, ActorType.READER, **connection),
        capacities={},
        location={},
    )
