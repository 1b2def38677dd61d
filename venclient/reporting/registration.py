"""What the VTN should know of a site's resources: their names there, and their attributes. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from venclient.messages import reporting as rep
from venclient.messages.printable import foreign
from venclient.model.resource import Resource
from venclient.openadr.enumerations import AGGREGATED_REPORT
from venclient.openadr.objects import ValuesMap

LocationOrder = Literal["lon_lat", "lat_lon"]

NAME_ROOM = 128
DESCRIPTION_ROOM = 128

#: Kept apart by this much of a resource's id when two sites have one name.
_SHORT_ID = 8

LOCATION = "LOCATION"
MAX_POWER_CONSUMPTION = "MAX_POWER_CONSUMPTION"
MAX_POWER_EXPORT = "MAX_POWER_EXPORT"
DESCRIPTION = "DESCRIPTION"

#: Attributes that are ours to set; the VTN's other ones are sent back as they came.
OURS = frozenset({LOCATION, MAX_POWER_CONSUMPTION, MAX_POWER_EXPORT, DESCRIPTION})


def resource_names(resources: Sequence[Resource], known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return each resource's name at the VTN, by resource id: unique, of 1 to 128 characters.

    A name that several resources have gets the beginning of the resource's id appended, for all of
    them: neither the order nor the rest of the list matters. `known` names (by resource id)
    are kept as they are.
    """
    names: dict[str, str] = {}
    taken = {AGGREGATED_REPORT}
    for one in resources:
        kept = (known or {}).get(one.resourceID)
        if kept and kept not in taken and len(kept) <= NAME_ROOM:
            names[one.resourceID] = kept
            taken.add(kept)
    plain = {one.resourceID: _plain(one) for one in resources if one.resourceID not in names}
    often = Counter(plain.values())
    # Names that need no suffix go first: they stay what people know them as.
    alone = [id_ for id_, name in plain.items() if often[name] == 1 and name not in taken]
    for id_ in alone:
        names[id_] = plain[id_]
        taken.add(plain[id_])
    for id_ in sorted(plain.keys() - set(alone)):
        for suffix in (f" ({id_[:_SHORT_ID]})", f" ({id_})"):
            name = plain[id_][: NAME_ROOM - len(suffix)].rstrip() + suffix
            if name not in taken and len(name) <= NAME_ROOM:
                break
        names[id_] = name[:NAME_ROOM]
        taken.add(name)
    return {one.resourceID: names[one.resourceID] for one in resources}


def _plain(resource: Resource) -> str:
    name = " ".join("".join(c if c.isprintable() else " " for c in resource.resourceName or "").split())
    return name[:NAME_ROOM].rstrip() or f"resource {resource.resourceID[:_SHORT_ID]}"


def resource_attributes(
    resource: Resource,
    *,
    location_order: LocationOrder = "lon_lat",
    problems: list[str] | None = None,
) -> tuple[ValuesMap, ...]:
    """Return LOCATION (degrees), MAX_POWER_CONSUMPTION and _EXPORT (kW) and DESCRIPTION, as far as known.

    Values that are not numbers are left out, and named in `problems`.
    """
    said = problems if problems is not None else []
    attributes = []
    latitude = _number(resource, resource.location, "latitude", said)
    longitude = _number(resource, resource.location, "longitude", said)
    if latitude is not None and longitude is not None:
        if abs(latitude) > 90 or abs(longitude) > 180:
            name = foreign(resource.resourceName)
            said.append(rep.NOT_ON_EARTH(name=name, latitude=latitude, longitude=longitude))
        else:
            pair = (longitude, latitude) if location_order == "lon_lat" else (latitude, longitude)
            attributes.append(ValuesMap(type=LOCATION, values=list(pair)))
    most = _number(resource, resource.capacities, "P_max_kw", said)
    least = _number(resource, resource.capacities, "P_min_kw", said)
    if most is not None and most >= 0:
        attributes.append(ValuesMap(type=MAX_POWER_CONSUMPTION, values=[most]))
    if least is not None and least < 0:
        attributes.append(ValuesMap(type=MAX_POWER_EXPORT, values=[-least]))
    kind = ", ".join(part for part in (resource.resourceType, resource.resourceSubType) if part)
    meter = rep.METER_POINT(id=resource.meterPointId) if resource.meterPointId else ""
    text = "; ".join(part for part in (kind, meter) if part)[:DESCRIPTION_ROOM]
    if text:
        attributes.append(ValuesMap(type=DESCRIPTION, values=[text]))
    return tuple(attributes)


def _number(
    resource: Resource, source: Mapping[str, Any] | None, key: str, problems: list[str]
) -> float | None:
    raw = (source or {}).get(key)
    if raw is None or raw == "":
        return None
    try:
        value = float(raw)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        name, written = foreign(resource.resourceName), foreign(repr(raw))
        problems.append(rep.NOT_A_NUMBER(name=name, key=key, value=written))
        return None
    return value
