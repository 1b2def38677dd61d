"""The resources that reports are about, as the VTN names them, and whom a descriptor asks for: pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from venclient.errors import InvalidRecord
from venclient.model.reporting import ReportingConfig
from venclient.model.resource import Resource, ResourceType, enum_member
from venclient.openadr.duration import Duration


class Limits(msgspec.Struct, frozen=True, gc=False):
    """What a resource can do: kW from the grid's side (drawing is positive), kWh of storage.

    None is what was not said.
    """

    p_max_kw: float | None = None
    p_min_kw: float | None = None
    e_max_kwh: float | None = None
    e_min_kwh: float | None = None

    @classmethod
    def of(cls, capacities: Mapping[str, Any] | None) -> Limits:
        """Return what `Resource.capacities` says, as far as they are numbers."""
        given = capacities or {}
        return cls(*(_number(given.get(name)) for name in ("P_max_kw", "P_min_kw", "E_max_kwh", "E_min_kwh")))


_NO_LIMITS = Limits()


class Reportable(msgspec.Struct, frozen=True):
    """A site's resource as reports name it; `targets` are those that the VTN granted to its object.

    `resource_type` is a member's name of `ResourceType`. `interval_s`, `units` (by payload type) and
    `reading_type` are what its reporting configuration says, where a descriptor leaves it open; `limits` is
    what it can do.
    """

    resource_id: str
    resource_name: str
    targets: frozenset[str] = frozenset()
    interval_s: float | None = None
    resource_type: str | None = None
    units: Mapping[str, str] = msgspec.field(default_factory=dict)
    reading_type: str | None = None
    limits: Limits = _NO_LIMITS

    @classmethod
    def of(cls, resource: Resource, name: str, targets: Collection[str] = ()) -> Reportable:
        """Return a registry's resource under its name at the VTN.

        Only what `reporting` itself says counts here, not the defaults of the resource's type; where it is
        wrong nothing of it does (`standing.wishes_of` says what).
        """
        given = resource.reporting or {}
        kind: str | None
        try:
            config = ReportingConfig.of(resource)
            kind = enum_member(ResourceType, resource.resourceType).name
        except (InvalidRecord, ValueError):
            given, config, kind = {}, ReportingConfig(), None
        return cls(
            resource.resourceID,
            name,
            frozenset(targets),
            resource_type=kind,
            interval_s=Duration.parse(config.interval).seconds if given.get("interval") else None,
            units=dict(config.units) if given.get("units") else {},
            reading_type=config.reading_type if given.get("reading_type") else None,
            limits=Limits.of(resource.capacities),
        )


def resources_of(
    descriptor_targets: Collection[str] | None,
    event_targets: Collection[str],
    resources: Sequence[Reportable],
    ven_targets: Collection[str] = (),
) -> list[Reportable]:
    """Return the resources that a descriptor asks for, among those that the event is meant for.

    A target names resources by the targets granted to their objects, or by name; targets of the VEN
    as a whole stand for all. An event whose targets match nothing here is for others: nothing is returned.
    """
    return Asked(event_targets, resources, ven_targets).by(descriptor_targets)


class Asked:
    """Whom the descriptors of one event ask for, as `resources_of` has it; looks at all resources once."""

    def __init__(
        self,
        event_targets: Collection[str],
        resources: Sequence[Reportable],
        ven_targets: Collection[str] = (),
    ) -> None:
        self._of_ven = frozenset(ven_targets)
        self._all = list(resources)
        if event_targets:
            self._all = self._matching(event_targets, resources, _places(resources))
        self._places: dict[str, list[int]] | None = None

    def by(self, targets: Collection[str] | None) -> list[Reportable]:
        """Return the resources that a descriptor with these targets asks for, in their order."""
        if not targets:
            return list(self._all)
        if self._places is None:
            self._places = _places(self._all)
        return self._matching(targets, self._all, self._places)

    def by_any(self, each: Iterable[Collection[str] | None]) -> list[Reportable]:
        """Return the resources that at least one descriptor asks for, in their order."""
        found: set[str] = set()
        for targets in {tuple(one or ()) for one in each}:
            asked = self.by(targets)
            if len(asked) == len(self._all):
                return asked
            found.update(one.resource_id for one in asked)
        return [one for one in self._all if one.resource_id in found]

    def _matching(
        self, targets: Collection[str], among: Sequence[Reportable], places: Mapping[str, Sequence[int]]
    ) -> list[Reportable]:
        wanted = frozenset(targets)
        matched = sorted({place for target in wanted for place in places.get(target, ())})
        if not matched and wanted & self._of_ven:
            return list(among)
        return [among[place] for place in matched]


def known_targets(resources: Iterable[Reportable], ven_targets: Collection[str] = ()) -> frozenset[str]:
    """Return every target that means a resource of these, or the VEN as a whole."""
    return frozenset(ven_targets).union(*((one.resource_name, *one.targets) for one in resources))


def _places(resources: Sequence[Reportable]) -> dict[str, list[int]]:
    """Return where in their order the resources are that each target stands for."""
    places: dict[str, list[int]] = {}
    for place, one in enumerate(resources):
        for target in (one.resource_name, *one.targets):
            places.setdefault(target, []).append(place)
    return places


def asked_by_any(
    descriptors_targets: Iterable[Collection[str] | None],
    event_targets: Collection[str],
    resources: Sequence[Reportable],
    ven_targets: Collection[str] = (),
) -> list[Reportable]:
    """Return the resources that at least one descriptor asks for, in their order."""
    return Asked(event_targets, resources, ven_targets).by_any(descriptors_targets)


def _number(value: object) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known and isinstance(value, int | float) else None
