"""What a VTN should hold of a VEN's resources compared with what it holds, field by field. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from venclient.messages import client as vtn
from venclient.messages.printable import foreign
from venclient.openadr.objects import Value, ValuesMap, VenResource


@dataclass(frozen=True, slots=True)
class Wanted:
    """A resource as the VTN should hold it: its name, unique in the VEN, and the attributes that are ours."""

    name: str
    attributes: tuple[ValuesMap, ...] = ()


@dataclass(frozen=True, slots=True)
class Drift:
    """One member that differs; None stands for absent. `attributes.LOCATION`, say."""

    member: str
    held: Sequence[Value] | None
    wanted: Sequence[Value] | None

    def __str__(self) -> str:
        return str(
            vtn.DIFFERS(member=foreign(self.member), held=_shown(self.held), wanted=_shown(self.wanted))
        )


@dataclass(frozen=True, slots=True)
class Update:
    """A resource that the VTN holds otherwise; `attributes` are what to write, those of others included."""

    wanted: Wanted
    held: VenResource
    drifts: tuple[Drift, ...]
    attributes: tuple[ValuesMap, ...]


@dataclass(frozen=True)
class Difference:
    """What to do to make a VTN hold each wanted resource as it should.

    `adopt` stand there under a wanted name and fit: they are taken as they are. `extra` answer to none
    of ours, or to a name that another object has already: removing them is for people to decide.
    """

    create: tuple[Wanted, ...] = ()
    update: tuple[Update, ...] = ()
    adopt: tuple[VenResource, ...] = ()
    extra: tuple[VenResource, ...] = ()

    @property
    def is_empty(self) -> bool:
        """True when nothing is to be created or updated."""
        return not (self.create or self.update)


def difference(
    wanted: Iterable[Wanted],
    held: Iterable[VenResource],
    *,
    ours: Collection[str],
    ven_id: str | None = None,
    objects: Mapping[str, str] | None = None,
) -> Difference:
    """Return the difference; `ours` are the types of attributes that the site sets, the rest is left alone.

    Objects of other VENs than `ven_id` are not looked at. Numbers count as equal within a millionth.
    `objects` are ids of objects that stand for a wanted name: one with another name is renamed, which
    keeps the targets that the VTN granted to it.
    """
    by_name: dict[str, VenResource] = {}
    extra: list[VenResource] = []
    asked = {one.name: one for one in wanted}
    for one in held:
        if ven_id is not None and one.ven_id not in (None, ven_id):
            continue
        if one.resource_name not in asked or one.resource_name in by_name:
            extra.append(one)
        else:
            by_name[one.resource_name] = one
    create: list[Wanted] = []
    update: list[Update] = []
    adopt: list[VenResource] = []
    by_id = {one.id: one for one in extra if one.id is not None}
    for name, want in asked.items():
        there = by_name.get(name)
        drifts: tuple[Drift, ...] = ()
        if there is None:
            there = by_id.pop((objects or {}).get(name, ""), None)
            if there is None:
                create.append(want)
                continue
            extra.remove(there)
            drifts = (Drift("resourceName", (there.resource_name,), (name,)),)
        drifts += drifts_of(want.attributes, there.attributes, ours=ours)
        if drifts:
            others = (one for one in there.attributes or () if one.type not in ours)
            update.append(Update(want, there, drifts, (*want.attributes, *others)))
        else:
            adopt.append(there)
    # A VTN lists as it likes; people compare one day's list with the next.
    extra.sort(key=lambda one: (one.resource_name, one.id or ""))
    return Difference(tuple(create), tuple(update), tuple(adopt), tuple(extra))


def drifts_of(
    wanted: Iterable[ValuesMap], held: Iterable[ValuesMap] | None, *, ours: Collection[str]
) -> tuple[Drift, ...]:
    """Return each attribute of ours that the VTN lacks, has otherwise, or has without our wanting it."""
    should = {one.type: one.values for one in wanted}
    has = {one.type: one.values for one in held or () if one.type in ours or one.type in should}
    return tuple(
        Drift(f"attributes.{type_}", has.get(type_), should.get(type_))
        for type_ in sorted(should.keys() | has.keys())
        if not _alike(should.get(type_), has.get(type_))
    )


def _alike(a: Sequence[Value] | None, b: Sequence[Value] | None) -> bool:
    if a is None or b is None:
        return a is b
    return len(a) == len(b) and all(_equal(x, y) for x, y in zip(a, b, strict=True))


def _equal(x: Value, y: Value) -> bool:
    if _is_number(x) and _is_number(y):
        return math.isclose(float(x), float(y), rel_tol=1e-6)  # type: ignore[arg-type]  # numbers both
    return type(x) is type(y) and x == y


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(values: Sequence[Value] | None) -> str:
    if values is None:
        return vtn.NO_ATTRIBUTE()
    return foreign(", ".join(map(str, values))) or vtn.NO_VALUE()
