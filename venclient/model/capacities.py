"""The capacities that a site is assumed to have when no file, user or program entered any.

The registry stores assumed capacities like entered ones. They are recognised by their values: a largest power
that equals the default of the site's own kind is taken for assumed. A user who enters exactly this value gets
the wider limit of an unknown capacity, never a narrower one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from venclient.model.resource import Resource, ResourceType, enum_member

NAMES = ("P_max_kw", "P_min_kw", "E_max_kwh", "E_min_kwh")

_CHARGING = (22.0, 0.0, 100.0, 0.0)
_MEDIUM = (50.0, -20.0, 200.0, 0.0)
_LARGE = (100.0, -40.0, 400.0, 0.0)
_SMALL = (25.0, -10.0, 100.0, 0.0)
_BY_SUB_TYPE = {"hotels": _MEDIUM, "swimmingpools": _MEDIUM, "industry": _LARGE, "schools": _LARGE}


def default_capacities(resource_type: ResourceType, sub_type: str | None) -> dict[str, float]:
    """Return P_max_kw, P_min_kw, E_max_kwh and E_min_kwh that a site of this kind is assumed to have."""
    kind = "".join((sub_type or "").casefold().split())
    values = _CHARGING if resource_type is ResourceType.EV else _BY_SUB_TYPE.get(kind, _SMALL)
    return dict(zip(NAMES, values, strict=True))


def are_assumed(resource: Resource) -> bool:
    """Return True if the largest power of a resource is the default of its kind.

    That is `P_max_kw`, unless a larger `P_min_kw` was entered. Energies do not count: they may
    be entered while the power is assumed.
    """
    given: Mapping[str, Any] = resource.capacities or {}
    try:
        kind = enum_member(ResourceType, resource.resourceType)
    except ValueError:
        return False
    assumed = default_capacities(kind, resource.resourceSubType)
    most, least = given.get("P_max_kw"), given.get("P_min_kw")
    if most != assumed["P_max_kw"] or not isinstance(least, int | float):
        return False
    return least == assumed["P_min_kw"] or abs(least) <= abs(most)
