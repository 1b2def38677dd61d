"""Rows that have only name, address and position -> resources, a column at a time.

Nearly all files of map scrapers are like this. The resources equal those that `csv_assembly` makes row by
row, but are made faster; a row that is not plain, or a file that has more columns, is left to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress, repeat
from typing import NamedTuple

from venclient.model.resource import ActorType, Connection, ConnectionType, Resource, ResourceType
from venclient.registry.csv_connections import EXPECTED_METER_FILE
from venclient.registry.kinds import default_capacities
from venclient.registry.meterpoint import derived_ids, identities
from venclient.registry.towns import post_towns

#: The only meanings that a plain row may have.
TARGETS = frozenset({"title", "address", "latitude", "longitude"})
_LONGEST_VEN = 128


class PlainRow(NamedTuple):
    """The resource of a plain row, and what identifies its content."""

    resource: Resource
    content: int


@dataclass(frozen=True)
class Kind:
    """What a file says of all its rows: type, sub-type, and the VEN if its mapping sets one."""

    type: ResourceType
    sub_type: str
    ven: str | None


def plain_rows(
    kind: Kind,
    columns: Mapping[str, Sequence[str | None]],
    located: Sequence[tuple[float, float]],
    skipped: Iterable[int],
) -> list[PlainRow | None]:
    """Return the resource of each row of a block, None for rows in `skipped` and rows that are not plain."""
    names, addresses = columns["title"], columns["address"]
    towns = repeat(kind.ven) if kind.ven else post_towns(address or "" for address in addresses)
    plain = [
        bool(name and address and town and len(town) <= _LONGEST_VEN)
        for name, address, town in zip(names, addresses, towns, strict=False)
    ]
    for place in skipped:
        plain[place] = False
    made = iter(
        _made(
            kind,
            [name or "" for name in compress(names, plain)],
            [address or "" for address in compress(addresses, plain)],
            list(compress(located, plain)),
            [town or "" for town in compress(towns, plain)],
        )
    )
    return [next(made) if one else None for one in plain]


def _made(
    kind: Kind,
    names: Sequence[str],
    addresses: Sequence[str],
    located: Sequence[tuple[float, float]],
    vens: Sequence[str],
) -> list[PlainRow]:
    if not names:
        return []
    ids, meters = derived_ids(identities(names, addresses))
    before, after = EXPECTED_METER_FILE.split("{meterpoint_id}")
    files = [f"{before}{meter}{after}" for meter in meters]
    nothing = repeat(None)
    links = map(
        Connection,
        repeat(ConnectionType.FILEREADER),
        repeat(ActorType.READER),
        nothing,
        nothing,
        nothing,
        files,
    )
    capacities = default_capacities(kind.type, kind.sub_type)
    resources = map(
        Resource,
        ids,
        names,
        repeat(kind.type.name),
        repeat(kind.sub_type),
        meters,
        links,
        [capacities.copy() for _ in ids],
        [{"latitude": latitude, "longitude": longitude} for latitude, longitude in located],
        addresses,
        nothing,
        nothing,
        vens,
    )
    latitudes, longitudes = zip(*located, strict=True)
    of_file = content_of_kind(capacities.values(), None)
    contents = map(
        hash,
        zip(
            names,
            repeat(kind.type.name),
            repeat(kind.sub_type),
            meters,
            addresses,
            vens,
            nothing,
            latitudes,
            longitudes,
        ),
    )
    return [
        PlainRow(resource, content ^ of_file) for resource, content in zip(resources, contents, strict=True)
    ]


def content_of_kind(capacities: Iterable[float], connection: str | None) -> int:
    """Return the part of what identifies a row's content that rows of a file share as a rule."""
    return hash((*capacities, connection))
