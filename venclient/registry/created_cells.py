"""The cells that an import records, a column at a time: of resources, of batches, and of raw rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter, itemgetter
from typing import Any

from venclient.model.resource import ActorType, ConnectionType, Resource, ResourceType
from venclient.registry.batches import Batch
from venclient.registry.recorded import Column
from venclient.registry.rows import READER_AT, RESOURCE_AT, WRITER_AT, Row, json_objects, words

_TEXTS = ("resourceName", "resourceType", "resourceSubType", "meterPointId", "address", "ven")
CAPACITIES = ("P_max_kw", "P_min_kw", "E_max_kwh", "E_min_kwh")
_PARTS_OF_LINK = ("type", "host", "port", "topic", "file", "options")
_LINK = tuple(f"connection.{part}" for part in _PARTS_OF_LINK)
#: The cells of a resource that an import creates, given or assumed.
CREATED: tuple[str, ...] = (
    *_TEXTS,
    "enabled",
    "location.latitude",
    "location.longitude",
    *(f"capacities.{name}" for name in CAPACITIES),
    *_LINK,
)
#: The other cells of our own export, which nearly all resources have alike: see `is_plain`.
SAME_IN_PLAIN: dict[str, Any] = {
    "reporting": None,
    "connection.actortype": ActorType.READER.name,
    "connection.username": None,
    "connection.password": None,
}
_POWERS = frozenset(CAPACITIES)
_PARTS = attrgetter(*_TEXTS, "enabled", "location", "capacities", "connection")
_LINK_PARTS = attrgetter(*_PARTS_OF_LINK)
_LOGIN = attrgetter("connection.username", "connection.password")
_OTHERS = attrgetter("reporting", "control_connection", "connection.actortype")
_HELD = attrgetter("location", "capacities")
#: Stands for `enabled` in a file that does not say it; it equals nothing that is stored.
_UNSAID = object()


def is_plain(resource: Resource, given: frozenset[str] | None) -> bool:
    """Return whether `CREATED` and `SAME_IN_PLAIN` are all that is recorded of a resource."""
    link = resource.connection
    return (
        link.username is None
        and link.password is None
        and (
            given is not None
            or (
                resource.reporting is None
                and resource.control_connection is None
                and link.actortype is ActorType.READER
                and len(resource.location) == 2
                and len(resource.capacities) == 4
                and "latitude" in resource.location
                and "longitude" in resource.location
                and _POWERS.issubset(resource.capacities)
            )
        )
    )


def plain_ones(resources: Sequence[Resource], given: frozenset[str] | None) -> list[bool]:
    """Return `is_plain` of each of one or more resources; at once where all are."""
    count = len(resources)
    users, passwords = zip(*map(_LOGIN, resources), strict=True)
    if users.count(None) == passwords.count(None) == count:
        if given is not None:
            return [True] * count
        reporting, controls, actors = zip(*map(_OTHERS, resources), strict=True)
        locations, capacities = zip(*map(_HELD, resources), strict=True)
        if (
            reporting.count(None) == controls.count(None) == actors.count(ActorType.READER) == count
            and all(one.keys() == {"latitude", "longitude"} for one in locations)
            and all(one.keys() == _POWERS for one in capacities)
        ):
            return [True] * count
    return [is_plain(one, given) for one in resources]


def columns_of(resources: Sequence[Resource]) -> list[Column]:
    """Return the cells of `CREATED` of one or more resources, by column."""
    *texts, enabled, locations, capacities, links = zip(*map(_PARTS, resources), strict=True)
    types, *parts = zip(*map(_LINK_PARTS, links), strict=True)
    return _in_order(texts, enabled, locations, capacities, types, parts)


def columns_of_batch(batch: Batch) -> list[Column] | None:
    """Return the same of a batch, whose columns are known already; None when one has a login."""
    kinds, _, host, port, topic, file, username, password, options = batch.links
    if not username.count(None) == password.count(None) == len(batch.ids):
        return None
    vens = [one.ven for one in batch.resources]
    texts = (batch.names, batch.types, batch.sub_types, batch.meters, batch.addresses, vens)
    parts = (host, port, topic, file, options)
    numbers = (*batch.points, *_numbers(batch.capacities, CAPACITIES))
    return [*texts, _flags(batch.enabled), *numbers, _names(kinds), *parts]


def _in_order(
    texts: Iterable[Column],
    enabled: Column,
    locations: Sequence[dict[str, Any]],
    capacities: Sequence[dict[str, Any]],
    types: Column,
    parts: Iterable[Column],
) -> list[Column]:
    numbers = (*_numbers(locations, ("latitude", "longitude")), *_numbers(capacities, CAPACITIES))
    return [*texts, _flags(enabled), *numbers, _names(types), *parts]


def _flags(enabled: Column) -> Column:
    """Return `enabled` as it is stored: true unless the file says otherwise."""
    return [flag is not False for flag in enabled]


def _names(types: Column) -> Column:
    return (
        (types[0].name,) * len(types) if types.count(types[0]) == len(types) else [one.name for one in types]
    )


def _numbers(held: Sequence[dict[str, Any]], names: Sequence[str]) -> list[Column]:
    try:
        return list(zip(*map(itemgetter(*names), held), strict=True))
    except KeyError:  # one of them is unknown
        return [[one.get(name) for one in held] for name in names]


def agreeing(pairs: Iterable[tuple[Column, Column]], count: int) -> list[bool]:
    """Return for each of `count` rows whether both columns of every pair hold the same in it."""
    found = [True] * count
    for one, other in pairs:
        if tuple(one) != tuple(other):
            found = [flag and a == b for flag, a, b in zip(found, one, other, strict=True)]
    return found


class RawRows:
    """One or more rows of `statements.resource_rows` by column, their cells as `decode_resource` reads them.

    BadRow when one of them cannot be understood.
    """

    def __init__(self, found: Sequence[Row]) -> None:
        columns = list(zip(*found, strict=True))
        name, kind, sub_type, meter, capacities, location, address, ven, self._enabled, reporting = columns[
            RESOURCE_AT + 1 : READER_AT - 1
        ]
        kinds, actors, host, port, topic, file, *login, options = columns[READER_AT + 1 : WRITER_AT]
        texts = (name, words(ResourceType, kind, "resource_type"), sub_type, meter, address, ven)
        links = words(ConnectionType, kinds, "connections.type")
        parts = (links, host, port, topic, file, json_objects(options, "connections.options"))
        self._cells = dict(zip((*_TEXTS, *_LINK), (*texts, *parts), strict=True))
        self._locations = json_objects(location, "location")
        self._capacities = json_objects(capacities, "capacities")
        self._others = {
            "reporting": json_objects(reporting, "reporting"),
            "connection.actortype": words(ActorType, actors, "connections.actortype"),
            "connection.username": login[0],
            "connection.password": login[1],
        }
        self._controls = columns[READER_AT - 1]

    def holding(self, names: Sequence[str], said: Sequence[Column]) -> list[bool]:
        """Return of each row whether these cells hold what the columns `said` say.

        A row with a control connection, which is not looked at, is never said to.
        """
        return self._alike([(one, self._column(name)) for name, one in zip(names, said, strict=True)])

    def being(self, resources: Sequence[Resource], said: Sequence[Column]) -> list[bool]:
        """Return of each row whether it is a resource: plain ones that say `enabled`, with their columns."""
        pairs = [
            (one, self._cells[name]) for name, one in zip(CREATED, said, strict=True) if name in self._cells
        ]
        locations, capacities = zip(*map(_HELD, resources), strict=True)
        pairs += [(locations, self._locations), (capacities, self._capacities)]
        pairs += [(self._others[name], (value,) * len(resources)) for name, value in SAME_IN_PLAIN.items()]
        enabled = [_UNSAID if one.enabled is None else one.enabled for one in resources]
        return self._alike([(enabled, self._enabled), *pairs])

    def _alike(self, pairs: Sequence[tuple[Column, Column]]) -> list[bool]:
        count = len(self._controls)
        return agreeing([(self._controls, (None,) * count), *pairs], count)

    def _column(self, name: str) -> Column:
        if name in self._cells:
            return self._cells[name]
        if name == "enabled":
            return [flag is None or bool(flag) for flag in self._enabled]
        group, _, part = name.partition(".")
        return [one.get(part) for one in (self._locations if group == "location" else self._capacities)]
