"""The last imported value of every cell, and the rule that merges a file into what is stored.

Three values decide each cell: last imported, stored, in the file.

- The file says what it said last time: the stored value stays.
- The stored value is the one that was imported: the file wins.
- Both changed: the stored value stays, and the cell is a conflict; `overwrite` takes the file's.

A cell whose last imported value is unknown counts as changed in the file and in the registry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from typing import Any

from venclient.model.resource import ActorType, Connection, ConnectionType, Resource, enum_member
from venclient.registry.batches import Batch
from venclient.registry.created_cells import (
    CAPACITIES,
    CREATED,
    SAME_IN_PLAIN,
    RawRows,
    agreeing,
    columns_of,
    columns_of_batch,
    is_plain,
    plain_ones,
)
from venclient.registry.csv_connections import EXPECTED_METER_FILE
from venclient.registry.recorded import NO_VALUES, Cells, Column, Recorded, Values, block_of
from venclient.registry.rows import BadRow, Row
from venclient.secrets import is_literal, shown
from venclient.utils import REDACTED

_TEMPLATE = "connection.options.template"
_SECRETS = ("username", "password")
_SECRET_CELLS = tuple(f"{prefix}.{name}" for prefix in ("connection", "control") for name in _SECRETS)
_LINK = tuple(one.name for one in fields(Connection) if one.compare)
_CELLS_OF = {
    "location": ("location.latitude", "location.longitude"),
    **{name: (f"capacities.{name}",) for name in CAPACITIES},
}


class _Missing:
    """Stands for a value that is not there."""


_MISSING = _Missing()
#: The mark of a secret without a key: it equals no recorded value.
_UNKNOWN = _Missing()


@dataclass(frozen=True)
class Merged:
    """A stored resource after the file was merged into it.

    `conflicts` and `kept` are cell -> (stored, in the file); `cells` are the new last imported values.
    """

    resource: Resource
    cells: Cells
    conflicts: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    kept: dict[str, tuple[Any, Any]] = field(default_factory=dict)


#: Returns a digest of a secret under the registry's key; None while it has none.
Digest = Callable[[str], str | None]


class Imported:
    """The last imported values of one source, by resource. `older` returns those of the other sources.

    Secrets are recorded and compared as what `digest` returns for them; references (env:NAME) as they are.
    """

    def __init__(
        self,
        own: Values = NO_VALUES,
        older: Callable[[], Iterable[Values]] = lambda: (),
        digest: Digest = lambda _: None,
    ) -> None:
        self._digest = digest
        self._recorded = Recorded(own)
        self._load_older = older
        self._older: list[Recorded] | None = None
        self.changed = False

    def own(self, resource_id: str) -> Cells | None:
        """Return the cells that this source said last of a resource, None when it said nothing yet."""
        return self._recorded.get(resource_id)

    def other(self, resource_id: str) -> Cells | None:
        """Return the cells that the newest other source said of a resource, None when no source did."""
        if self._older is None:
            self._older = [Recorded(values) for values in self._load_older()]
        found = (recorded.get(resource_id) for recorded in self._older)
        return next((cells for cells in found if cells is not None), None)

    def settled(
        self, stored: Sequence[Row], from_file: Sequence[Resource], given: frozenset[str] | None
    ) -> list[bool]:
        """Return of each of some resources whether the file says what is stored and what it said last.

        This is what `merged` would find for most rows of a file that is imported again, in less time; False
        says nothing. `stored` are rows of the registry; `given` is as `merged` takes it.
        """
        places = _places(given)
        if not places or (given is not None and _TEMPLATE in given):
            return [False] * len(stored)
        columns = columns_of(from_file)
        names = [CREATED[place] for place in places]
        said: list[Column] = [columns[place] for place in places]
        try:
            rows = RawRows(stored)
        except BadRow:
            return [False] * len(stored)
        held = rows.being(from_file, columns) if given is None else rows.holding(names, said)
        if given is None:
            names += SAME_IN_PLAIN
            said += [(value,) * len(stored) for value in SAME_IN_PLAIN.values()]
        ids = [one.resourceID for one in from_file]
        last = self._recorded.columns(ids, names, no_others=given is None)
        same = agreeing(zip(said, last.columns, strict=True), len(stored))
        plain = plain_ones(from_file, given)
        return list(map(all, zip(held, last.is_known, same, plain, strict=True)))

    def put(self, resource_id: str, cells: Cells) -> None:
        """Record the cells of a resource."""
        known = self._recorded.get(resource_id)
        if known == cells or (
            known is not None and _TEMPLATE in cells and _with_template(known) == cells
        ):  # the template is in the cell of all options
            return
        self._recorded.put(resource_id, cells)
        self.changed = True

    def put_new(self, resources: Iterable[Resource], given: frozenset[str] | None) -> None:
        """Record the cells of resources that are new: given and assumed ones, or (None) all."""
        plain = []
        for one in resources:
            if is_plain(one, given):
                plain.append(one)
                continue
            cells = _all_cells(one)
            if given is not None:
                secrets = {f"connection.{name}": getattr(one.connection, name) for name in _SECRETS}
                cells = dict(zip(CREATED, _created(one), strict=True)) | secrets
            self.put(one.resourceID, self.recorded(cells, one.resourceID))
        if plain:
            self._put_columns([one.resourceID for one in plain], columns_of(plain), given)

    def put_batch(self, batch: Batch, given: frozenset[str] | None) -> None:
        """Record the same as `put_new`, of resources whose columns are known already."""
        columns = columns_of_batch(batch)
        if columns is None:
            self.put_new(batch.resources, given)
        else:
            self._put_columns(batch.ids, columns, given)

    def _put_columns(
        self, ids: Sequence[str], columns: Sequence[Column], given: frozenset[str] | None
    ) -> None:
        named = list(zip(CREATED, columns, strict=True))
        if given is None:
            named += [(name, [value] * len(ids)) for name, value in SAME_IN_PLAIN.items()]
        self._recorded.add(block_of(ids, named))
        self.changed = True

    def recorded(self, cells: Cells, resource_id: str) -> Cells:
        """Return cells as they are recorded; without secrets that are hidden, or that no key covers."""
        secrets = [name for name in _SECRET_CELLS if cells.get(name) is not None]
        if not secrets:
            return cells
        found = dict(cells)
        for name in secrets:
            mark = self.mark(name, cells[name], resource_id)
            if cells[name] == REDACTED or mark is _UNKNOWN:
                del found[name]
            else:
                found[name] = mark
        return found

    def mark(self, name: str, value: Any, resource_id: str) -> Any:
        """Return what is recorded and compared of a cell: for a secret its digest, which differs by site."""
        if not _is_secret(name) or not isinstance(value, str) or not is_literal(value):
            return value
        found = self._digest(f"{resource_id}\0{name}\0{value}")
        return _UNKNOWN if found is None else found

    def encode(self, ids: set[str]) -> Values:
        """Return all of it to store, with the ids that the source has now."""
        return self._recorded.encode(ids)


def cells_given(resource: Resource, given: frozenset[str] | None) -> Cells:
    """Return the cells of `resource` that `given` names; None stands for all, as in our own export."""
    if given is None:
        return _all_cells(resource)
    values = _created(resource)
    cells = {CREATED[place]: values[place] for place in _places(given)}
    for name in _SECRETS:
        if f"connection.{name}" in given:
            cells[f"connection.{name}"] = getattr(resource.connection, name)
    if _TEMPLATE in given:
        cells[_TEMPLATE] = (resource.connection.options or {}).get("template")
    return cells


def merged(
    stored: Resource,
    from_file: Resource,
    given: frozenset[str] | None,
    imported: Imported,
    *,
    overwrite: bool = False,
) -> Merged:
    """Return `stored` with the cells that `from_file` names merged into it by the rule of this module.

    An export of our own that was not imported before is an edited copy of what is stored: its cells win.
    """
    resource_id = from_file.resourceID
    own_base = imported.own(resource_id)
    base = own_base if own_base is not None or given is None else imported.other(resource_id)
    file = cells_given(from_file, given)
    present = _all_cells(stored)
    if _TEMPLATE in file:
        present = _with_template(present)
        base = None if base is None else _with_template(base)
    if all(_same(value, present.get(name, _MISSING)) for name, value in file.items()) and (
        given is not None or file.keys() == present.keys()
    ):
        return Merged(stored, {**(base or {}), **imported.recorded(file, resource_id)})
    wins_unknown = overwrite or (given is None and own_base is None)
    names = list(file if given is not None else dict.fromkeys((*file, *present)))
    if given is None and from_file.enabled is None:
        names.remove("enabled")
    changes: Cells = {}
    said: Cells = {}
    conflicts: dict[str, tuple[Any, Any]] = {}
    kept: dict[str, tuple[Any, Any]] = {}
    for name in names:
        new, old = file.get(name, _MISSING), present.get(name, _MISSING)
        last = (base or {}).get(name, _MISSING)
        if new == REDACTED and _is_secret(name):
            continue
        if not _same(new, old):
            known = name in (base or {})
            if known and _same(last, imported.mark(name, new, resource_id)):
                kept[name] = (_plain(name, old), _plain(name, new))
            elif (
                wins_unknown
                or (known and _same(last, imported.mark(name, old, resource_id)))
                or (not known and _is_secret(name) and not _value(old))
            ):
                changes[name] = new
            else:
                conflicts[name] = (_plain(name, old), _plain(name, new))
                continue
        said[name] = new
    recorded = imported.recorded(
        {n: value for n, value in said.items() if value is not _MISSING}, resource_id
    )
    cells = {
        name: recorded.get(name, value)
        for name, value in (base or {}).items()
        if name in recorded or name not in said
    }
    return Merged(_with(stored, changes), {**cells, **recorded}, conflicts, kept)


def _created(resource: Resource) -> list[Any]:
    return [column[0] for column in columns_of([resource])]


def _is_enabled(resource: Resource) -> bool:
    """Return `enabled` as it is stored: true unless the file says otherwise."""
    return resource.enabled is not False


def _all_cells(resource: Resource) -> Cells:
    cells: Cells = {
        "resourceName": resource.resourceName,
        "resourceType": resource.resourceType,
        "resourceSubType": resource.resourceSubType,
        "meterPointId": resource.meterPointId,
        "address": resource.address,
        "ven": resource.ven,
        "enabled": _is_enabled(resource),
        "reporting": resource.reporting,
    }
    for name, value in resource.location.items():
        cells[f"location.{name}"] = value
    for name, value in resource.capacities.items():
        cells[f"capacities.{name}"] = value
    for prefix, link in (("connection", resource.connection), ("control", resource.control_connection)):
        if link is not None:
            for name in _LINK:
                cells[f"{prefix}.{name}"] = getattr(link, name)
            cells[f"{prefix}.type"] = link.type.name
            cells[f"{prefix}.actortype"] = link.actortype.name
    return cells


def _with(stored: Resource, changes: Cells) -> Resource:
    """Return `stored` with cells changed; a missing value takes the cell away."""
    if not changes:
        return stored
    made: dict[str, Any] = {}
    links: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        group, dot, part = name.partition(".")
        if not dot:
            made[name] = _value(value)
        elif group in ("connection", "control"):
            links.setdefault(group, {})[part] = value
        else:
            values = made.setdefault(group, dict(getattr(stored, group)))
            values[part] = value
            if value is _MISSING or (value is None and part in CAPACITIES):
                del values[part]
    if "connection" in links:
        made["connection"] = _link(stored.connection, links["connection"])
        made["connection"] = _without_expected_file(stored, made["connection"], links["connection"])
    if "control" in links:
        made["control_connection"] = _link(stored.control_connection, links["control"])
    return replace(stored, **made)


def _with_template(cells: Cells) -> Cells:
    """Return cells with that of the template, which the cell of all options holds too."""
    if _TEMPLATE in cells or "connection.options" not in cells:
        return cells
    options = cells["connection.options"]
    return {**cells, _TEMPLATE: options.get("template") if isinstance(options, dict) else None}


def _link(stored: Connection | None, parts: Mapping[str, Any]) -> Connection | None:
    if parts.get("type", "") is _MISSING:
        return None
    values = {name: _value(value) for name, value in parts.items()}
    if "options.template" in values:
        options = values.get("options", stored.options if stored is not None else None)
        kept = options if isinstance(options, dict) else {}
        values["options"] = {**kept, "template": values.pop("options.template")}
    if "type" in values:
        values["type"] = enum_member(ConnectionType, values["type"])
    if "actortype" in values:
        values["actortype"] = enum_member(ActorType, values["actortype"])
    for name in _SECRETS:
        if values.get(name) == REDACTED:
            values[name] = None
    return replace(stored, **values) if stored is not None else Connection(**values)


def _without_expected_file(stored: Resource, link: Connection, named: Mapping[str, Any]) -> Connection:
    """Drop the meter file that an import assumed when the file now says another way to reach the meter."""
    names = {"resource_id": stored.resourceID, "meterpoint_id": stored.meterPointId}
    expected = EXPECTED_METER_FILE.format_map(names)
    if "file" not in named and link.type is not ConnectionType.FILEREADER and link.file == expected:
        return replace(link, file=None)
    return link


@lru_cache(maxsize=512)
def _places(given: frozenset[str] | None) -> tuple[int, ...]:
    """Return the places in `CREATED` of the cells that are given; None stands for all."""
    if given is None:
        return tuple(range(len(CREATED)))
    names = {cell for name in given for cell in _CELLS_OF.get(name, (name,))}
    return tuple(place for place, name in enumerate(CREATED) if name in names)


def _is_secret(name: str) -> bool:
    return name in _SECRET_CELLS


def _value(value: Any) -> Any:
    return None if value is _MISSING else value


def _plain(name: str, value: Any) -> Any:
    return shown(_value(value)) if _is_secret(name) else _value(value)


def _same(one: Any, other: Any) -> bool:
    return bool(_value(one) == _value(other))
