"""What a file's name says about its sites."""

from __future__ import annotations

from pathlib import Path

from venclient.model.capacities import default_capacities
from venclient.model.resource import ResourceType

__all__ = ["METERED_KINDS", "default_capacities", "kind_of_file"]

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


def kind_of_file(name: str) -> tuple[ResourceType, str]:
    """Return type and sub-type by the file's name: "hotels-in-denmark.csv" holds DSR of sub-type "Hotels"."""
    stem = Path(name).stem
    first = stem.split("-")[0].split("_")[0].split()
    is_charging = "chargingstations" in stem.casefold()
    return (ResourceType.EV if is_charging else ResourceType.DSR), (first[0].capitalize() if first else "")
