"""What to find in the registry: one immutable object for the Python API, the commands and REST.

    Query().of_type("EV").in_ven("Herning").near(56.14, 8.97, km=10).p_max_kw(min=50).sort("name")

Each call gives a new query with one condition more; all conditions must hold. `ResourceDatabase.query`
runs it. `Query.parse` reads one from text. An invalid value raises BadQuery at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from venclient.errors import BadQuery
from venclient.messages import registry as reg
from venclient.messages import text_of
from venclient.model.resource import ConnectionType, ResourceType, enum_member
from venclient.registry.geometry import Box

#: Capacities as queries call them, and as resources do.
CAPACITIES = {
    "p_max_kw": "P_max_kw",
    "p_min_kw": "P_min_kw",
    "e_max_kwh": "E_max_kwh",
    "e_min_kwh": "E_min_kwh",
}

SortKey: TypeAlias = Literal[
    "name", "id", "type", "sub_type", "ven", "p_max_kw", "p_min_kw", "e_max_kwh", "e_min_kwh",
    "distance", "created", "updated",
]  # fmt: skip
#: What resources can be put in the order of.
SORT_KEYS: tuple[SortKey, ...] = SortKey.__args__  # type: ignore[attr-defined]

_HALF_CIRCUMFERENCE_KM = 20_038


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `least` to `most`, both included; None means unlimited."""

    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Around:
    """A point and how far from it; `km` None is any distance."""

    latitude: float
    longitude: float
    km: float | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """Conditions on resources, an order and a part of the outcome; the empty query is all resources.

    Use the methods; the fields are what they left. Without `sort` the order is that of storing.
    """

    types: tuple[str, ...] = ()
    sub_types: tuple[str, ...] = ()
    vens: tuple[str, ...] = ()
    switched_on: bool | None = None
    connection_types: tuple[ConnectionType, ...] = ()
    ranges: tuple[tuple[str, Range], ...] = ()
    around: Around | None = None
    box: Box | None = None
    words: tuple[str, ...] = ()
    unreported: bool = False
    order: SortKey | None = None
    is_descending: bool = False
    size: int | None = None
    start: int = 0

    @classmethod
    def parse(cls, told: Mapping[str, str | Sequence[str]], spelt: Callable[[str], str] = str) -> Query:
        """Return the query described by a flat mapping of text; see `query_text.parse`."""
        from venclient.registry.query_text import parse

        return parse(told, spelt)

    def of_type(self, *types: str) -> Query:
        """Keep resources of one of the types, each by name or value ("EV", "Electric Vehicle")."""
        try:
            names = tuple(enum_member(ResourceType, one).name for one in types)
        except ValueError as error:
            raise BadQuery(text_of(error), subject="type") from None
        return replace(self, types=names)

    def of_sub_type(self, *sub_types: str) -> Query:
        """Keep resources of one of the sub-types, spelt as they are stored ("Hotels")."""
        return replace(self, sub_types=sub_types)

    def in_ven(self, *vens: str) -> Query:
        """Keep resources of one of the VENs, spelt as they are stored ("Herning")."""
        return replace(self, vens=vens)

    def enabled(self, wanted: bool = True) -> Query:
        """Keep resources that are switched on, or those that are off; unset counts as on."""
        return replace(self, switched_on=wanted)

    def connected_by(self, *types: ConnectionType | str) -> Query:
        """Keep resources that are read through one of the connection types ("MQTT", "modbustcp")."""
        try:
            members = tuple(enum_member(ConnectionType, one) for one in types)
        except ValueError as error:
            raise BadQuery(text_of(error), subject="connection") from None
        return replace(self, connection_types=members)

    def p_max_kw(self, *, min: float | None = None, max: float | None = None) -> Query:  # noqa: A002
        """Keep resources whose P_max_kw is known and within the limits, which are included."""
        return self._ranged("p_max_kw", min, max)

    def p_min_kw(self, *, min: float | None = None, max: float | None = None) -> Query:  # noqa: A002
        """Keep resources whose P_min_kw is known and within the limits, which are included."""
        return self._ranged("p_min_kw", min, max)

    def e_max_kwh(self, *, min: float | None = None, max: float | None = None) -> Query:  # noqa: A002
        """Keep resources whose E_max_kwh is known and within the limits, which are included."""
        return self._ranged("e_max_kwh", min, max)

    def e_min_kwh(self, *, min: float | None = None, max: float | None = None) -> Query:  # noqa: A002
        """Keep resources whose E_min_kwh is known and within the limits, which are included."""
        return self._ranged("e_min_kwh", min, max)

    def near(self, latitude: float, longitude: float, *, km: float | None = None) -> Query:
        """Keep resources at most `km` from a point; without `km` it is just what `sort("distance")` needs."""
        _check_point("near", latitude, longitude)
        if km is not None and not 0 <= km <= _HALF_CIRCUMFERENCE_KM:
            raise BadQuery(reg.DISTANCE_RANGE(km=km, most=_HALF_CIRCUMFERENCE_KM), subject="near")
        return replace(self, around=Around(latitude, longitude, km))

    def in_box(self, *, west: float, south: float, east: float, north: float) -> Query:
        """Keep resources in an area, edges included; `west` above `east` is across the 180th meridian."""
        _check_point("bbox", south, west)
        _check_point("bbox", north, east)
        if south > north:
            raise BadQuery(reg.BOX_ORDER(south=south, north=north), subject="bbox")
        return replace(self, box=Box(west, south, east, north))

    def with_text(self, text: str) -> Query:
        """Keep resources that have each word of `text` in their name or address.

        Case and accents are ignored, and æ, ø, å may be written bare or out ("Kobenhavn", "Aarhus").
        """
        return replace(self, words=tuple(text.split()))

    def never_reported(self) -> Query:
        """Keep resources that were never reported to a VTN."""
        return replace(self, unreported=True)

    def sort(self, key: SortKey, *, descending: bool = False) -> Query:
        """Put the resources in order; unknown values come last, and ids decide between equal ones.

        "distance" needs `near`.
        """
        if key not in SORT_KEYS:
            raise BadQuery(reg.UNKNOWN_ORDER(value=key, known=SORT_KEYS), subject="sort")
        return replace(self, order=key, is_descending=descending)

    def limit(self, size: int) -> Query:
        """Return at most `size` resources."""
        return replace(self, size=_checked_count("limit", size, 0))

    def offset(self, start: int) -> Query:
        """Leave out the first `start` resources."""
        return replace(self, start=_checked_count("offset", start, 0))

    def page(self, number: int, size: int) -> Query:
        """Return page `number`, from 1, of pages of `size` resources."""
        _checked_count("page", number, 1)
        _checked_count("limit", size, 1)
        return replace(self, size=size, start=(number - 1) * size)

    def unpaged(self) -> Query:
        """Return the query for all matches, without limit and offset."""
        return replace(self, size=None, start=0)

    def _ranged(self, name: str, least: float | None, most: float | None) -> Query:
        for limit in (least, most):
            if limit is not None and not math.isfinite(limit):
                raise BadQuery(reg.LIMIT_NOT_FINITE(value=limit), subject=name)
        if least is not None and most is not None and least > most:
            raise BadQuery(reg.LIMITS_CROSSED(least=least, most=most), subject=name)
        others = tuple(pair for pair in self.ranges if pair[0] != name)
        if least is None and most is None:
            return replace(self, ranges=others)
        # One order, to make queries that mean the same equal.
        return replace(self, ranges=tuple(sorted((*others, (name, Range(least, most))), key=_name)))


def _name(pair: tuple[str, Any]) -> str:
    return pair[0]


def _check_point(subject: str, latitude: float, longitude: float) -> None:
    swapped = not -90 <= latitude <= 90 and -90 <= longitude <= 90 and -180 <= latitude <= 180
    doubt = f" ({reg.LOOKS_SWAPPED()})" if swapped else ""
    problems: list[str] = []
    if not -90 <= latitude <= 90:
        problems.append(reg.LATITUDE(value=latitude, doubt=doubt))
    if not -180 <= longitude <= 180:
        problems.append(reg.LONGITUDE(value=longitude, doubt=""))
    if problems:
        what = problems[0] if len(problems) == 1 else reg.QUERY_PROBLEMS(problems=" and ".join(problems))
        raise BadQuery(what, subject=subject, problems=tuple(problems))


def _checked_count(subject: str, count: int, least: int) -> int:
    if type(count) is not int or count < least:
        raise BadQuery(reg.COUNT(value=count, least=least), subject=subject)
    return count
