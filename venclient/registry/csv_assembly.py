"""The cells of a row -> one resource, or the column and the reason why not.

Numbers are converted a column at a time where the whole column is plain, else cell by cell, to name the cell
that is not a number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from venclient.messages import importing as imp
from venclient.messages import text_of
from venclient.model.resource import Connection, Resource, ResourceType
from venclient.registry import csv_plain
from venclient.registry.csv_cells import plain_numbers
from venclient.registry.csv_connections import BadField, expected_file, told_connection
from venclient.registry.csv_mapping import CAPACITIES, CsvMapping
from venclient.registry.csv_numbers import coordinate, coordinate_pair, is_one_group, number
from venclient.registry.csv_plain import Kind, PlainRow, content_of_kind
from venclient.registry.csv_synonyms import resource_type
from venclient.registry.kinds import default_capacities
from venclient.registry.meterpoint import derived_meter_point_id, derived_resource_id, gs1_doubt, identity
from venclient.registry.towns import post_town

_YES = {"1", "yes", "true", "ja", "y", "on", "active", "aktiv", "enabled"}
_NO = {"0", "no", "false", "nej", "nein", "nei", "n", "off", "inactive", "inaktiv", "disabled"}
_MAX_ID = 128
_ROUNDED = re.compile(r"\d[.,]\d+[eE]\+?\d+|\d{12,}[.,]0")
#: Doubts of many rows, worded once.
_NO_TOWN, _NO_VEN, _NOT_GS1 = imp.NO_POST_TOWN(), imp.NO_VEN(), imp.NOT_GS1()
_WIRED = frozenset({"connection_type", "host", "port", "topic", "file", "template"})
_ADDRESS_PARTS = ("street", "house_number", "address_extra", "post_code", "town", "country")
#: What a cell fills by itself: target -> field of Resource, or of its capacities.
_TELLING = {
    "resource_type": "resourceType",
    "resource_sub_type": "resourceSubType",
    "meterpoint_id": "meterPointId",
    "enabled": "enabled",
    **CAPACITIES,
}

_defaults = lru_cache(maxsize=512)(default_capacities)
_type = lru_cache(maxsize=512)(lambda text: resource_type(text) if isinstance(text, str) else text)

Texts = Mapping[str, str | None]


class Refusal(Exception):
    """A row cannot become a site: the meaning of the bad column ("" for the row), and the reason."""

    def __init__(self, target: str, reason: str) -> None:
        super().__init__(reason)
        self.target = target
        self.reason = reason


@dataclass(slots=True)
class Made:
    """A row's resource, what identifies its content, and the fields that the row sets."""

    resource: Resource
    content: int
    given: frozenset[str]


@dataclass(frozen=True)
class Assembly:
    """What holds for all rows of a file.

    `mixes` reports whether a meaning's column has numbers with either decimal mark; `nth` how often an
    identity was met, when equal rows are separate sites; `doubt` receives warnings that do not stop a row.
    """

    mapping: CsvMapping
    decimal: str
    file_type: ResourceType
    file_sub_type: str
    allow_missing_location: bool
    mixes: Callable[[str], bool]
    doubt: Callable[[str], None]

    def rows(
        self, columns: Mapping[str, Sequence[str | None]], count: int, skipped: Collection[int] = ()
    ) -> Rows:
        """Return the rows of a block, to be made into resources; those in `skipped` are never requested."""
        located = self._located(columns)
        plain: Sequence[PlainRow | None] | None = None
        if located is not None and self._plain_kind is not None and columns.keys() == csv_plain.TARGETS:
            plain = csv_plain.plain_rows(self._plain_kind, columns, located, skipped)
        powers: dict[str, Any] = {
            target: values
            for target in CAPACITIES
            if target in columns and (values := plain_numbers(columns[target], self.decimal)) is not None
        }
        present = tuple(target for target in _TELLING if target in columns)
        return Rows(self, columns, located, powers, present, plain or [None] * count)

    @cached_property
    def plain_given(self) -> frozenset[str]:
        """The fields that a plain row sets."""
        mapping = self.mapping
        return _named_fields((), bool(mapping.type), bool(mapping.sub_type), True, True, True, ())

    @cached_property
    def _plain_kind(self) -> Kind | None:
        """What the file says of all its rows; None when each row is to be looked at for it."""
        mapping = self.mapping
        if mapping.connection is not None or mapping.duplicates == "number":
            return None
        try:
            kind = _type(mapping.type or self.file_type)
        except ValueError:
            return None
        return Kind(kind, mapping.sub_type or self.file_sub_type, mapping.ven)

    def _located(self, columns: Mapping[str, Sequence[str | None]]) -> list[tuple[float, float]] | None:
        """Return all positions when every row has a plain and possible one."""
        if "coordinates" in columns or not {"latitude", "longitude"} <= columns.keys():
            return None
        latitudes = plain_numbers(columns["latitude"], self.decimal)
        longitudes = plain_numbers(columns["longitude"], self.decimal)
        if not latitudes or not longitudes:
            return None
        if max(map(abs, latitudes)) > 90 or max(map(abs, longitudes)) > 180:
            return None
        pairs = list(zip(latitudes, longitudes, strict=True))
        return None if (0.0, 0.0) in pairs else pairs


@dataclass(frozen=True)
class Rows:
    """The rows of a block on their way to resources; `plain` holds those that are there already."""

    assembly: Assembly
    columns: Mapping[str, Sequence[str | None]]
    located: Sequence[tuple[float, float]] | None
    powers: Mapping[str, Sequence[float]]
    telling: tuple[str, ...]
    plain: Sequence[PlainRow | None]

    def made(self, place: int, nth: Callable[[str], int] | None) -> Made:
        """Return what the row at `place` makes; Refusal says why there is none.

        `nth` counts identities when equal rows are sites of their own.
        """
        row = _Row(
            self.assembly,
            {target: column[place] for target, column in self.columns.items()},
            None if self.located is None else self.located[place],
            {target: values[place] for target, values in self.powers.items()} if self.powers else {},
            self.telling,
        )
        return row.made(nth)


class _Row:
    """One row on its way to a resource."""

    __slots__ = ("_assembly", "_located", "_numbers", "_telling", "_texts")

    def __init__(
        self,
        assembly: Assembly,
        texts: Texts,
        located: tuple[float, float] | None,
        numbers: Mapping[str, float],
        telling: tuple[str, ...],
    ) -> None:
        self._assembly = assembly
        self._telling = telling
        self._texts = texts
        self._located = located
        self._numbers = numbers

    def made(self, nth: Callable[[str], int] | None) -> Made:
        """Return the resource; Refusal says why there is none.

        `nth` counts identities when equal rows are sites of their own.
        """
        texts, assembly = self._texts, self._assembly
        mapping = assembly.mapping
        name = texts.get("title")
        if name is None:
            raise Refusal("title", imp.NO_NAME())
        location = self._location()
        address = texts.get("address") or _joined_address(texts)
        kind, sub_type = self._kind()
        capacities = self._capacities(kind, sub_type)
        ven = self._ven(address)
        enabled = self._enabled()
        place = address or ",".join(f"{degrees:.5f}" for degrees in location.values())
        told_key = texts.get("key")
        key = identity("key", told_key) if told_key else identity(name, place)
        if nth is not None and (count := nth(key)) > 1:
            key, name = identity(key, str(count)), f"{name} ({count})"
        resource_id = self._resource_id() or derived_resource_id(key)
        meter_point_id = self._meter_point_id() or derived_meter_point_id(key)
        connection = None
        names = {"resource_id": resource_id, "meterpoint_id": meter_point_id}
        if mapping.connection is not None or not _WIRED.isdisjoint(texts):
            connection = self._connection(names)
        resource = Resource(
            resource_id,
            name,
            kind.name,
            sub_type,
            meter_point_id,
            connection or expected_file(names),
            capacities,
            location,
            address,
            enabled,
            ven=ven,
        )
        wired = f"{connection!r}{texts.get('template')}" if connection else None
        content = hash(
            (name, kind.name, sub_type, meter_point_id, address, ven, enabled, *location.values())
        ) ^ content_of_kind(capacities.values(), wired)
        return Made(resource, content, self._given(resource, connection))

    def _given(self, resource: Resource, connection: Connection | None) -> frozenset[str]:
        texts = self._texts
        return _named_fields(
            tuple([target for target in self._telling if texts.get(target)]) if self._telling else (),
            bool(self._assembly.mapping.type),
            bool(self._assembly.mapping.sub_type),
            bool(resource.location),
            bool(resource.address),
            bool(resource.ven),
            self._cells_of_connection() if connection is not None else (),
        )

    def _cells_of_connection(self) -> tuple[str, ...]:
        """Return the cells of the connection that columns or the mapping say."""
        texts, pattern = self._texts, self._assembly.mapping.connection
        named = [name for name in ("host", "port", "topic", "file") if texts.get(name)]
        if pattern is not None:
            parts = ("host", "port", "topic", "file", "username", "password", "options")
            named += [name for name in parts if name not in named and getattr(pattern, name) is not None]
        if texts.get("template") and "options" not in named:
            named.append("options.template")
        return ("connection", *(f"connection.{name}" for name in ("type", *named)))

    def _location(self) -> dict[str, float]:
        if self._located is not None:
            return {"latitude": self._located[0], "longitude": self._located[1]}
        texts, decimal = self._texts, self._assembly.decimal
        target = "coordinates"
        try:
            pair = texts.get(target)
            if pair:
                latitude, longitude = coordinate_pair(pair, decimal)
                return _placed(latitude, longitude, target)
            found = []
            for target in ("latitude", "longitude"):
                text = texts.get(target)
                if text is None:
                    if self._assembly.allow_missing_location:
                        return {}
                    raise Refusal(target, imp.NO_COORDINATE(name=target))
                found.append(coordinate(text, decimal, target))
            return _placed(found[0], found[1], "latitude")
        except ValueError as error:
            raise Refusal(target, text_of(error)) from None

    def _kind(self) -> tuple[ResourceType, str | None]:
        assembly = self._assembly
        try:
            kind = _type(self._texts.get("resource_type") or assembly.mapping.type or assembly.file_type)
        except ValueError as error:
            raise Refusal("resource_type", text_of(error)) from None
        sub_type = self._texts.get("resource_sub_type") or assembly.mapping.sub_type
        return kind, sub_type or assembly.file_sub_type

    def _capacities(self, kind: ResourceType, sub_type: str | None) -> dict[str, float]:
        capacities = _defaults(kind, sub_type).copy()
        texts = self._texts
        is_named = False
        for target in self._telling:
            name = CAPACITIES.get(target)
            text = texts.get(target)
            if name is None or text is None:
                continue
            is_named = True
            capacities[name] = (
                self._numbers[target] if target in self._numbers else self._number(target, text)
            )
        if is_named:
            for least, most in (("P_min_kw", "P_max_kw"), ("E_min_kwh", "E_max_kwh")):
                if capacities[least] > capacities[most]:
                    wrong = least if texts.get(least.casefold()) else most
                    raise Refusal(
                        wrong.casefold(),
                        imp.MIN_EXCEEDS_MAX(
                            least=least, low=capacities[least], most=most, high=capacities[most]
                        ),
                    )
        return capacities

    def _number(self, target: str, text: str) -> float:
        assembly = self._assembly
        try:
            value = number(text, assembly.decimal)
        except ValueError as error:
            raise Refusal(target, text_of(error)) from None
        if is_one_group(text, assembly.decimal) and assembly.mixes(target):
            raise Refusal(target, imp.AMBIGUOUS_NUMBER(value=text, one=value, other=value / 1000))
        return value

    def _ven(self, address: str | None) -> str | None:
        ven = self._texts.get("ven") or self._assembly.mapping.ven or self._texts.get("town")
        if ven is None:
            ven = post_town(address).town
            if ven is None:
                self._assembly.doubt(_NO_TOWN if address else _NO_VEN)
        if ven is not None and len(ven) > _MAX_ID:
            raise Refusal("ven", imp.TOO_LONG(field="VEN name", length=len(ven), limit=_MAX_ID))
        return ven

    def _enabled(self) -> bool | None:
        text = self._texts.get("enabled")
        if text is None:
            return None
        if text.casefold() in _YES | _NO:
            return text.casefold() in _YES
        raise Refusal("enabled", imp.NOT_YES_OR_NO(value=text))

    def _resource_id(self) -> str | None:
        text = self._texts.get("resource_id")
        if text is not None and len(text) > _MAX_ID:
            raise Refusal("resource_id", imp.TOO_LONG(field="id", length=len(text), limit=_MAX_ID))
        return text

    def _meter_point_id(self) -> str | None:
        text = self._texts.get("meterpoint_id")
        if text is None:
            return None
        if _ROUNDED.fullmatch(text):
            raise Refusal("meterpoint_id", imp.ROUNDED(value=text))
        if gs1_doubt(text):
            self._assembly.doubt(_NOT_GS1)
        return text

    def _connection(self, names: Mapping[str, str]) -> Connection | None:
        try:
            return told_connection(self._texts, self._assembly.mapping.connection, names)
        except BadField as error:
            raise Refusal(error.target, error.reason) from None


@lru_cache(maxsize=512)
def _named_fields(
    targets: tuple[str, ...],
    kind: bool,
    sub_type: bool,
    location: bool,
    address: bool,
    ven: bool,
    connection: tuple[str, ...],
) -> frozenset[str]:
    """Return the fields of a resource that are set, by the targets that have a text and what follows."""
    names = {"resourceName", *(_TELLING[target] for target in targets)}
    more = {
        "resourceType": kind,
        "resourceSubType": sub_type,
        "location": location,
        "address": address,
        "ven": ven,
    }
    names.update(connection)
    return frozenset(names | {name for name, is_set in more.items() if is_set})


def _placed(latitude: float, longitude: float, target: str) -> dict[str, float]:
    if latitude == longitude == 0:
        raise Refusal(target, imp.ZERO_POSITION())
    return {"latitude": latitude, "longitude": longitude}


def _joined_address(texts: Texts) -> str | None:
    if not any(map(texts.get, _ADDRESS_PARTS)):
        return None

    def joined(*names: str) -> str:
        return " ".join(filter(None, map(texts.get, names)))

    parts: tuple[Any, ...] = (
        joined("street", "house_number", "address_extra"),
        joined("post_code", "town"),
        joined("country"),
    )
    return ", ".join(filter(None, parts)) or None
