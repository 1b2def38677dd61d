"""What an import assumes of new sites where neither the file nor its mapping says it, counted by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from venclient.messages import Text
from venclient.messages import importing as imp
from venclient.model.resource import ConnectionType
from venclient.registry.csv_mapping import CAPACITIES

if TYPE_CHECKING:
    from venclient.registry.csv_sites import CsvSites, Site

_NAMES = frozenset(CAPACITIES.values())
_STORING = ("BATTERY", "EV")
_PARTS = attrgetter("given", "resource.resourceType", "resource.connection.type", "resource.capacities")


class Assumptions:
    """Counts sites by the fields that their rows name and by what was assumed for the others."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[frozenset[str], str, str, float | None, float | None]] = Counter()

    def count(self, sites: Iterable[Site]) -> None:
        """Count sites that are created. Rows of our own export name everything."""
        found = [_PARTS(site) for site in sites if site.given is not None]
        if found:
            self.count_columns(*zip(*found, strict=True))

    def count_columns(
        self,
        given: Sequence[Any],
        kinds: Sequence[str],
        links: Sequence[ConnectionType],
        capacities: Sequence[dict[str, Any]],
    ) -> None:
        """Count one or more sites, by column, whose rows do not name everything."""
        powers = [one.get("P_max_kw") for one in capacities]
        energies = [one.get("E_max_kwh") for one in capacities]
        columns = (given, kinds, links, powers, energies)
        if all(column.count(column[0]) == len(column) for column in columns):  # as in most files
            self._counts[given[0], kinds[0], links[0].name, powers[0], energies[0]] += len(given)
            return
        names = [one.name for one in links]
        self._counts.update(zip(given, kinds, names, powers, energies, strict=True))

    def texts(self, sites: CsvSites) -> list[Text]:
        """Return one text for each kind of assumption; `sites` knows the columns of the file."""
        kinds: Counter[tuple[str, str, str]] = Counter()
        names_ven = bool({"ven", "town"} & sites.places.keys() or sites.mapping.ven)
        names_type = "connection_type" in sites.places or sites.mapping.connection is not None
        for (given, kind, link, power, energy), count in self._counts.items():
            size = "" if _NAMES & given else _size(kind, power, energy)
            if "resourceType" not in given:
                kinds["type", kind, size] += count
            elif size:
                kinds["size", "", size] += count
            if not names_ven and "ven" in given:
                kinds["ven", "", ""] += count
            if "meterPointId" not in given:
                kinds["meter", "", ""] += count
            if "connection" not in given:
                kinds["connection", "", ""] += count
            elif not names_type:
                kinds["link", link, ""] += count
        order = ("type", "size", "ven", "meter", "link", "connection")
        return [
            _text(what, count, kind, size)
            for (what, kind, size), count in sorted(kinds.items(), key=lambda one: order.index(one[0][0]))
        ]


def _size(kind: str, power: float | None, energy: float | None) -> str:
    """Return the assumed power, and the energy of what stores some."""
    parts = ["" if power is None else f"{power:g} kW"]
    if kind in _STORING and energy is not None:
        parts.append(f"{energy:g} kWh")
    return " and ".join(filter(None, parts))


def _text(what: str, count: int, kind: str, size: str) -> Text:
    params: dict[str, Any] = {"count": count, "type": kind, "size": size}
    if what == "type":
        return (imp.ASSUMED_TYPE_AND_SIZE if size else imp.ASSUMED_TYPE)(**params)
    return {
        "size": imp.ASSUMED_SIZE,
        "ven": imp.ASSUMED_VEN,
        "meter": imp.ASSUMED_METER_POINT,
        "link": imp.ASSUMED_CONNECTION_TYPE,
        "connection": imp.ASSUMED_CONNECTION,
    }[what](**params)
