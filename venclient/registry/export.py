"""Resources -> CSV, JSON and GeoJSON, one after the other, without any secret.

CSV is our own layout (`columns`), which `ven import` reads back exactly. JSON is an object with `format`,
`version` and `resources`; each resource has the fields of the public data types. GeoJSON is a
FeatureCollection (RFC 7946) for maps: what is known of each site, but not how its meter is reached.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from venclient import spreadsheet
from venclient.errors import Conflict, RegistryError
from venclient.messages import registry as reg
from venclient.messages.printable import json_escaped
from venclient.model.resource import Connection, Resource
from venclient.registry import columns
from venclient.registry.geometry import position
from venclient.secrets import shown
from venclient.whole_file import replaced

#: `format` and `version` of a JSON export; the version changes when a program that reads it would have to.
JSON_FORMAT = "venclient-resources"
JSON_VERSION = 1


def as_dict(resource: Resource) -> dict[str, Any]:
    """Return a resource as JSON can hold it; its secrets are references or ***."""
    control = resource.control_connection
    return {
        **vars(resource),
        "connection": _connection_dict(resource.connection),
        "control_connection": None if control is None else _connection_dict(control),
    }


def as_feature(resource: Resource) -> dict[str, Any]:
    """Return a resource as a GeoJSON feature; its geometry is null when its position is unknown."""
    place = position(resource.location)
    on_earth = place is not None and -90 <= place[0] <= 90 and -180 <= place[1] <= 180
    return {
        "type": "Feature",
        "id": resource.resourceID,
        # Longitude first, as RFC 7946 has it.
        "geometry": {"type": "Point", "coordinates": [place[1], place[0]]} if place and on_earth else None,
        "properties": {
            "name": resource.resourceName,
            "type": resource.resourceType,
            "sub_type": resource.resourceSubType,
            "ven": resource.ven,
            "meter_point_id": resource.meterPointId,
            "address": resource.address,
            "enabled": resource.enabled is not False,
            "capacities": resource.capacities,
        },
    }


def csv_text(resources: Iterable[Resource]) -> Iterator[str]:
    """Return the lines of a CSV file in our own layout, header first."""
    return spreadsheet.lines(_with_header(resources))


def json_text(resources: Iterable[Resource]) -> Iterator[str]:
    """Yield the pieces of a JSON export, one resource on each line."""
    yield f'{{"format": "{JSON_FORMAT}", "version": {JSON_VERSION}, "resources": ['
    yield from _joined(map(as_dict, resources))
    yield "\n]}\n"


def json_list_text(resources: Iterable[Resource]) -> Iterator[str]:
    """Yield the pieces of a JSON array of resources, as `ven resources list --json` prints it."""
    yield "["
    yield from _joined(map(as_dict, resources))
    yield "\n]\n"


def geojson_text(resources: Iterable[Resource]) -> Iterator[str]:
    """Yield the pieces of a GeoJSON FeatureCollection, one feature on each line."""
    yield '{"type": "FeatureCollection", "features": ['
    yield from _joined(map(as_feature, resources))
    yield "\n]}\n"


#: Name of a format, which is also how its files' names end -> how it is written.
FORMATS: dict[str, Callable[[Iterable[Resource]], Iterator[str]]] = {
    "csv": csv_text,
    "json": json_text,
    "geojson": geojson_text,
}


def export_file(path: Path, pieces: Iterable[str], *, overwrite: bool = False) -> None:
    """Write an export to a file, which appears when it is whole; Conflict when it is there already.

    RegistryError when it cannot be written.
    """
    if path.exists() and not overwrite:
        raise Conflict(reg.FILE_EXISTS(), subject=str(path))
    try:
        with replaced(path) as stream:
            stream.writelines(pieces)
    except OSError as error:
        raise RegistryError(
            reg.FILE_NOT_WRITTEN(reason=error.strerror or error), subject=str(path)
        ) from error


def _with_header(resources: Iterable[Resource]) -> Iterator[Iterable[str]]:
    yield columns.COLUMNS
    yield from map(columns.encode, resources)


def _joined(values: Iterable[dict[str, Any]]) -> Iterator[str]:
    separator = "\n"
    for value in values:
        yield separator + json_escaped(json.dumps(value, ensure_ascii=False))
        separator = ",\n"


def _connection_dict(connection: Connection) -> dict[str, Any]:
    return vars(connection) | {
        "type": connection.type.name,
        "actortype": connection.actortype.name,
        "username": shown(connection.username),
        "password": shown(connection.password),
    }
