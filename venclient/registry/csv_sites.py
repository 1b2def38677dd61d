"""Rows of a CSV table -> sites: each row becomes a resource, or says by line, column and reason why not."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from venclient.errors import ConfigError
from venclient.model.resource import (
    Resource,
    ResourceType,
    enum_member,
)
from venclient.registry import csv_mapping
from venclient.registry.csv_connections import BadField, expected_file, told_connection
from venclient.registry.csv_mapping import CAPACITIES, CsvMapping
from venclient.registry.csv_numbers import coordinate, coordinate_pair, find_decimal, number
from venclient.registry.csv_table import BadRow, CsvTable, Row, open_table
from venclient.registry.kinds import default_capacities, kind_of_file
from venclient.registry.meterpoint import derived_meter_point_id, derived_resource_id, gs1_doubt, identity
from venclient.registry.towns import post_town

_NULLS = {"", "not found", "n/a", "na", "-", "--", "null", "none", "nan", "?"}
_YES = {"1", "yes", "true", "ja", "y", "on"}
_NO = {"0", "no", "false", "nej", "nein", "nei", "n", "off"}
_SAMPLE_ROWS = 500
_MAX_TEXT = 500
_MAX_ID = 128
_UNWANTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\udc80-\udcff]")
_URL = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_ROUNDED = re.compile(r"\d[.,]\d+[eE]\+?\d+|\d{12,}[.,]0")


@dataclass(frozen=True)
class Rejected:
    """One row that was left out: its line, the column (empty when it is the whole row) and why."""

    line: int
    column: str
    reason: str


@dataclass(frozen=True)
class Duplicate:
    """One row that says the same as an earlier one."""

    line: int
    resource_id: str


@dataclass(frozen=True)
class Site:
    """One row's resource. `given` names the fields that the row tells; the others are defaults."""

    line: int
    resource: Resource
    given: frozenset[str]


@dataclass
class Seen:
    """Which resources were met before, and where, in one import of one or more files."""

    contents: dict[str, tuple[int, str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


class _Refusal(Exception):
    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column
        self.reason = reason


class CsvSites:
    """The sites of one CSV file: `for item in sites.items(seen)` gives Site, Duplicate and Rejected.

    `decimal`, `places` and the table's layout tell how the file is read; `warnings` holds, for each
    doubt that did not stop a row, the lines it was met on.
    """

    def __init__(
        self, path: Path, mapping: CsvMapping | None = None, *, allow_missing_location: bool = False
    ):
        self.mapping = mapping or CsvMapping()
        self.table: CsvTable = open_table(
            path,
            lambda cells: csv_mapping.known_names(cells, self.mapping),
            encoding=self.mapping.encoding,
            delimiter=self.mapping.delimiter,
            header_line=self.mapping.header_line,
        )
        self.columns = self.table.layout.columns
        self.places = csv_mapping.resolve(self.columns, self.mapping, str(path))
        located = "coordinates" in self.places or {"latitude", "longitude"} <= self.places.keys()
        if not located and not allow_missing_location:
            raise ConfigError(
                "no columns with latitude and longitude",
                subject=str(path),
                hint="say which with --map latitude=<column> --map longitude=<column>, or allow missing ones",
            )
        self._allow_missing_location = allow_missing_location
        self._file_type, self._file_sub_type = kind_of_file(path.name)
        sample = [row for row in islice(self.table.rows(), _SAMPLE_ROWS) if isinstance(row, Row)]
        self.decimal = self.mapping.decimal or self._find_decimal(sample)
        self._numeric, self._textual = _profile(sample, len(self.columns))
        self.warnings: dict[str, list[int]] = defaultdict(list)

    def items(self, seen: Seen | None = None) -> Iterator[Site | Duplicate | Rejected]:
        """Give what became of each row, in order; `seen` makes files of one import know each other."""
        seen = Seen() if seen is None else seen
        self.warnings.clear()
        for row in self.table.rows():
            if isinstance(row, BadRow):
                yield Rejected(row.line, "", row.reason)
                continue
            try:
                yield self._site(row, seen)
            except _Refusal as refusal:
                yield Rejected(row.line, refusal.column, refusal.reason)

    def name_of(self, target: str) -> str:
        """Give the header of the column(s) that hold a meaning, for people."""
        return " + ".join(self.columns[place] for place in self.places.get(target, ())) or target

    def _find_decimal(self, sample: list[Row]) -> str:
        targets = ("latitude", "longitude", *CAPACITIES)
        places = [place for target in targets for place in self.places.get(target, ())]
        found = find_decimal(row.cells[place] for row in sample for place in places)
        return found or (
            "," if self.table.layout.delimiter == ";" and "coordinates" not in self.places else "."
        )

    def _site(self, row: Row, seen: Seen) -> Site | Duplicate:
        self._check_shift(row)
        texts = {target: self._text(row, target) for target in self.places}
        name = texts.get("title")
        if name is None:
            raise _Refusal(self.name_of("title"), "the site has no name")
        given = {"resourceName"}
        location = self._location(texts)
        address = texts.get("address") or _joined_address(texts)
        kind, sub_type, told = self._kind(texts)
        given |= told
        capacities, told = self._capacities(texts, kind, sub_type)
        given |= told
        ven = self._ven(texts, address, row.line)
        enabled = self._enabled(texts)
        for field_, value in (
            ("location", location),
            ("address", address),
            ("ven", ven),
            ("enabled", enabled),
        ):
            if value not in (None, {}):
                given.add(field_)

        place = address or ",".join(f"{degrees:.5f}" for degrees in location.values())
        key = identity("key", texts["key"]) if texts.get("key") else identity(name, place)
        nth = seen.counts[key] = seen.counts.get(key, 0) + 1
        if self.mapping.duplicates == "number" and nth > 1:
            key, name = identity(key, str(nth)), f"{name} ({nth})"
        resource_id = self._resource_id(texts) or derived_resource_id(key)
        meter_point_id = self._meter_point_id(texts, row.line) or derived_meter_point_id(key)
        if texts.get("meterpoint_id"):
            given.add("meterPointId")
        names = {"resource_id": resource_id, "meterpoint_id": meter_point_id}
        try:
            connection = told_connection(texts, self.mapping.connection, names)
        except BadField as error:
            raise _Refusal(self.name_of(error.target), error.reason) from None
        if connection is not None:
            given.add("connection")
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
        content = hash((name, kind, sub_type, meter_point_id, address, ven, enabled, *location.values()))
        content ^= hash((*capacities.values(), repr(connection)))
        before = seen.contents.get(resource_id)
        if before is None:
            seen.contents[resource_id] = (content, f"{self.table.path.name}:{row.line}")
            return Site(row.line, resource, frozenset(given))
        if before[0] == content:
            return Duplicate(row.line, resource_id)
        raise _Refusal(
            "",
            f"{name!r} has other values here than at {before[1]}; map a key column, or number the duplicates",
        )

    def _check_shift(self, row: Row) -> None:
        """Refuse a row whose cells sit under the wrong headers though their number is right."""
        for target in ("title", "address", "street", "town"):
            for place in self.places.get(target, ()):
                if _URL.fullmatch(row.cells[place].strip()):
                    raise _Refusal(
                        self.columns[place], "holds a web address; the row's cells look shifted out of place"
                    )
        strangers = [
            self.columns[place]
            for place in self._numeric
            if not _is_null(row.cells[place]) and not _looks_numeric(row.cells[place])
        ]
        if len(strangers) > 1 and any(_looks_numeric(row.cells[place]) for place in self._textual):
            raise _Refusal(
                strangers[0],
                f"text stands in number columns ({', '.join(strangers)}) and a number in a text column; "
                "the row's cells look shifted out of place",
            )

    def _text(self, row: Row, target: str) -> str | None:
        parts = []
        for place in self.places[target]:
            cell = row.cells[place]
            if len(cell) > _MAX_TEXT:
                raise _Refusal(
                    self.columns[place], f"the cell has {len(cell)} characters, {_MAX_TEXT} may be"
                )
            bad = _UNWANTED.search(cell)
            if bad and bad[0] > "\ud800":
                raise _Refusal(self.columns[place], "holds bytes that are not UTF-8")
            if bad:
                raise _Refusal(self.columns[place], f"holds the control character {ord(bad[0]):#04x}")
            if not _is_null(cell):
                parts.append(" ".join(cell.split()))
        return " ".join(parts) or None

    def _location(self, texts: Mapping[str, str | None]) -> dict[str, float]:
        target = "coordinates"
        try:
            pair = texts.get(target)
            if pair:
                latitude, longitude = coordinate_pair(pair, self.decimal)
                return self._placed(latitude, longitude, target)
            found = []
            for target in ("latitude", "longitude"):
                text = texts.get(target)
                if text is None:
                    if self._allow_missing_location:
                        return {}
                    raise _Refusal(self.name_of(target), f"the site has no {target}")
                found.append(coordinate(text, self.decimal, target))
            return self._placed(found[0], found[1], "latitude")
        except ValueError as error:
            raise _Refusal(self.name_of(target), str(error)) from None

    def _placed(self, latitude: float, longitude: float, target: str) -> dict[str, float]:
        if latitude == longitude == 0:
            raise _Refusal(self.name_of(target), "0, 0 stands for an unknown position")
        return {"latitude": latitude, "longitude": longitude}

    def _kind(self, texts: Mapping[str, str | None]) -> tuple[ResourceType, str | None, set[str]]:
        told = set()
        if texts.get("resource_type") or self.mapping.type:
            told.add("resourceType")
        if texts.get("resource_sub_type") or self.mapping.sub_type:
            told.add("resourceSubType")
        try:
            kind = enum_member(
                ResourceType, texts.get("resource_type") or self.mapping.type or self._file_type
            )
        except ValueError as error:
            raise _Refusal(self.name_of("resource_type"), str(error)) from None
        return kind, texts.get("resource_sub_type") or self.mapping.sub_type or self._file_sub_type, told

    def _capacities(
        self, texts: Mapping[str, str | None], kind: ResourceType, sub_type: str | None
    ) -> tuple[dict[str, float], set[str]]:
        capacities = default_capacities(kind, sub_type)
        told = set()
        for target, name in CAPACITIES.items():
            text = texts.get(target)
            if text is None:
                continue
            try:
                capacities[name] = number(text, self.decimal)
            except ValueError as error:
                raise _Refusal(self.name_of(target), str(error)) from None
            told.add(name)
        for least, most in (("P_min_kw", "P_max_kw"), ("E_min_kwh", "E_max_kwh")):
            if capacities[least] > capacities[most]:
                wrong = least if least in told else most
                raise _Refusal(
                    self.name_of(wrong.casefold()),
                    f"{least} {capacities[least]:g} exceeds {most} {capacities[most]:g}",
                )
        return capacities, told

    def _ven(self, texts: Mapping[str, str | None], address: str | None, line: int) -> str | None:
        ven = texts.get("ven") or self.mapping.ven or texts.get("town")
        if ven is None:
            found = post_town(address)
            ven = found.town
            if ven is None:
                doubt = "the post town cannot be told from the address" if address else "there is no address"
                self.warnings[
                    f"{doubt}: the site belongs to no VEN until --ven or a column says which"
                ].append(line)
        if ven is not None and len(ven) > _MAX_ID:
            raise _Refusal(self.name_of("ven"), f"the VEN's name has {len(ven)} characters, {_MAX_ID} may be")
        return ven

    def _enabled(self, texts: Mapping[str, str | None]) -> bool | None:
        text = texts.get("enabled")
        if text is None:
            return None
        if text.casefold() in _YES | _NO:
            return text.casefold() in _YES
        raise _Refusal(self.name_of("enabled"), f"{text!r} is neither yes nor no")

    def _resource_id(self, texts: Mapping[str, str | None]) -> str | None:
        text = texts.get("resource_id")
        if text is not None and len(text) > _MAX_ID:
            raise _Refusal(
                self.name_of("resource_id"), f"the id has {len(text)} characters, {_MAX_ID} may be"
            )
        return text

    def _meter_point_id(self, texts: Mapping[str, str | None], line: int) -> str | None:
        text = texts.get("meterpoint_id")
        if text is None:
            return None
        if _ROUNDED.fullmatch(text):
            raise _Refusal(
                self.name_of("meterpoint_id"),
                f"{text!r} was rounded by a spreadsheet; export the column as text",
            )
        if gs1_doubt(text):
            self.warnings["the meter point id is no 18-digit GS1 number with a right check digit"].append(
                line
            )
        return text


def _joined_address(texts: Mapping[str, str | None]) -> str | None:
    def joined(*names: str) -> str:
        return " ".join(filter(None, (texts.get(name) for name in names)))

    parts = (
        joined("street", "house_number", "address_extra"),
        joined("post_code", "town"),
        joined("country"),
    )
    return ", ".join(part for part in parts if part) or None


def _is_null(cell: str) -> bool:
    return cell.strip().casefold() in _NULLS


def _looks_numeric(cell: str) -> bool:
    bare = cell.strip().lstrip("+-")
    return bool(bare) and bare.replace(".", "").replace(",", "").isdigit()


def _profile(sample: list[Row], width: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Tell the columns that hold numbers and those that hold text in all but one of twenty rows."""
    numeric, textual = [], []
    for place in range(width):
        cells = [row.cells[place] for row in sample if not _is_null(row.cells[place])]
        if len(cells) < 20:
            continue
        share = sum(map(_looks_numeric, cells)) / len(cells)
        if share >= 0.95:
            numeric.append(place)
        elif share <= 0.05:
            textual.append(place)
    return tuple(numeric), tuple(textual)
