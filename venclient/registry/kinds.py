"""What a file's name says about its sites, and the capacities of a kind of site that nobody measured."""

from __future__ import annotations

from pathlib import Path

from venclient.model.resource import ResourceType

#: Kinds that have a generated meter file of their own; any other kind reads "other.csv".
METERED_KINDS = (
    "bakeries",
    "bars",
    "chargingstations",
    "hotels",
    "industry",
    "pv",
    "restaurants",
    "schools",
    "swimmingpools",
)

_CHARGING = (22.0, 0.0, 100.0, 0.0)
_MEDIUM = (50.0, -20.0, 200.0, 0.0)
_LARGE = (100.0, -40.0, 400.0, 0.0)
_SMALL = (25.0, -10.0, 100.0, 0.0)
_BY_SUB_TYPE = {"hotels": _MEDIUM, "swimmingpools": _MEDIUM, "industry": _LARGE, "schools": _LARGE}


def kind_of_file(name: str) -> tuple[ResourceType, str]:
    """Give type and sub-type by the file's name: "hotels-in-denmark.csv" holds DSR of sub-type "Hotels"."""
    stem = Path(name).stem
    first = stem.split("-")[0].split("_")[0].split()
    is_charging = "chargingstations" in stem.casefold()
    return (ResourceType.EV if is_charging else ResourceType.DSR), (first[0].capitalize() if first else "")


def default_capacities(resource_type: ResourceType, sub_type: str | None) -> dict[str, float]:
    """Give P_max_kw, P_min_kw, E_max_kwh and E_min_kwh that a site of this kind is taken to have."""
    kind = "".join((sub_type or "").casefold().split())
    values = _CHARGING if resource_type is ResourceType.EV else _BY_SUB_TYPE.get(kind, _SMALL)
    return dict(zip(("P_max_kw", "P_min_kw", "E_max_kwh", "E_min_kwh"), values, strict=True))
