"""Which column of a CSV file means what: synonyms, `--map`, or a small TOML beside the file.

    type = "EV"                      # for all rows; also sub_type, ven, duplicates, encoding, ...
    [columns]
    title = ["Betreiber", "Ort"]     # several columns are joined with a space
    p_max_kw = "Anschlussleistung"
    [connection]                     # of every row, unless its columns say it
    type = "mqtt"                    # also host, port, topic, file, username, password, options
    topic = "meters/{meterpoint_id}"

What is told wins over what is found: flags, then the TOML, then synonyms, then the file's name.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from venclient.errors import ConfigError
from venclient.model.resource import ActorType, Connection, ConnectionType, ResourceType, enum_member
from venclient.registry.meterpoint import normalised

#: What a column can mean, and the header names that say so in the languages met so far.
SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "title": ("name", "resource_name", "resourcename", "navn", "namn", "bezeichnung", "site", "site name"),
    "address": ("adresse", "adress", "full address", "anschrift"),
    "street": ("straße", "strasse", "gade", "gate", "vejnavn", "gatuadress", "street name"),
    "house_number": ("hausnummer", "husnummer", "husnr", "house no", "house number"),
    "address_extra": ("adresszusatz",),
    "post_code": (
        "postleitzahl",
        "plz",
        "postnr",
        "postnummer",
        "postcode",
        "postal code",
        "zip",
        "zip code",
        "zipcode",
        "postal_code",
        "post code",
    ),
    "town": ("ort", "by", "city", "poststed", "postby", "postort", "post town", "stadt"),
    "country": ("land",),
    "latitude": (
        "lat",
        "latitute",
        "lattitude",
        "latitide",
        "breitengrad",
        "breite",
        "breddegrad",
        "latitud",
        "geo lat",
    ),
    "longitude": (
        "lon",
        "lng",
        "long",
        "längengrad",
        "laengengrad",
        "lengdegrad",
        "længdegrad",
        "laengdegrad",
        "longitud",
        "longtitude",
        "longditude",
        "longitute",
        "geo lon",
    ),
    "coordinates": (
        "coordinate",
        "koordinaten",
        "koordinater",
        "koordinat",
        "latlon",
        "lat lon",
        "lat,lon",
        "lat/lon",
        "cordinates",
        "coords",
        "gps",
    ),
    "meterpoint_id": ("meter_point_id", "meterpointid", "metering point", "gsrn", "målepunkt", "målepunktid"),
    "resource_id": ("resourceid",),
    "resource_type": ("resourcetype", "type", "ressourcetype", "anlægstype", "anlagentyp", "typ"),
    "resource_sub_type": ("resourcesubtype", "sub_type", "subtype"),
    "ven": ("ven_name", "venname"),
    "key": (),
    "p_max_kw": (
        "p max [kw]",
        "p max kw",
        "p max",
        "pmax",
        "max power",
        "power",
        "power kw",
        "power [kw]",
        "effekt",
        "effekt kw",
        "leistung",
        "leistung kw",
        "anschlussleistung",
        "nominal power",
    ),
    "p_min_kw": ("p min [kw]", "p min kw", "p min", "pmin", "min power"),
    "e_max_kwh": (
        "e max [kwh]",
        "e max kwh",
        "e max",
        "emax",
        "capacity kwh",
        "energy kwh",
        "kapazität kwh",
        "kapacitet kwh",
    ),
    "e_min_kwh": ("e min [kwh]", "e min kwh", "e min", "emin"),
    "enabled": (),
    "connection_type": ("protocol", "protokol", "protokoll"),
    "host": ("connection_host", "ip", "ip address", "ip adresse", "hostname"),
    "port": ("connection_port",),
    "topic": ("connection_topic",),
    "file": ("connection_file",),
    "template": ("connection_template", "device template"),
}
#: The capacities among them, and their public names.
CAPACITIES: Mapping[str, str] = {
    "p_max_kw": "P_max_kw",
    "p_min_kw": "P_min_kw",
    "e_max_kwh": "E_max_kwh",
    "e_min_kwh": "E_min_kwh",
}

_DUPLICATES = ("skip", "number")
_TEXTS = ("type", "sub_type", "ven", "delimiter", "decimal", "encoding", "duplicates")
_CONNECTION_KEYS = ("type", "host", "port", "topic", "file", "username", "password", "options")


def _key(name: str) -> str:
    return normalised(name).replace("_", " ")


_BY_NAME = {_key(name): field_ for field_, names in SYNONYMS.items() for name in (field_, *names)}


@dataclass(frozen=True)
class CsvMapping:
    """Everything told about one file; what is not told is found in the file.

    `where_present` names meanings whose told columns may be absent, as flags for several files are:
    there `fallback` or a synonym takes their place.
    """

    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    type: str | None = None
    sub_type: str | None = None
    ven: str | None = None
    delimiter: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    header_line: int | None = None
    duplicates: str = "skip"
    connection: Connection | None = None
    source: str = ""
    given: frozenset[str] = frozenset()
    where_present: frozenset[str] = frozenset()
    fallback: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def over(self, other: CsvMapping) -> CsvMapping:
        """Give `other` with what this one tells put over it."""
        told = {name: getattr(self, name) for name in self.given if name != "columns"}
        return replace(
            other,
            **told,
            columns={**other.columns, **self.columns},
            given=self.given | other.given,
            where_present=self.where_present,
            fallback=other.columns,
        )


def told(source: str = "", **values: Any) -> CsvMapping:
    """Give a mapping of the values that are not None; ConfigError lists all that make no sense."""
    given = {name: value for name, value in values.items() if value is not None}
    problems = list(_problems(given))
    if problems:
        raise ConfigError(
            "; ".join(problems),
            subject=source,
            hint="correct the mapping",
            problems=tuple(f"{source}: {problem}" if source else problem for problem in problems),
        )
    return CsvMapping(**given, source=source, given=frozenset(given))


def _problems(given: Mapping[str, Any]) -> Iterable[str]:
    if "type" in given:
        try:
            enum_member(ResourceType, given["type"])
        except ValueError as error:
            yield f"type: {error}"
    if given.get("decimal") not in (None, ",", "."):
        yield f"decimal is {given['decimal']!r}, not ',' or '.'"
    if len(given.get("delimiter", ",")) != 1:
        yield f"delimiter is {given['delimiter']!r}, not one character"
    if given.get("duplicates", "skip") not in _DUPLICATES:
        yield f"duplicates is {given['duplicates']!r}, not one of {', '.join(_DUPLICATES)}"
    for target in given.get("columns", {}):
        if target not in SYNONYMS:
            yield f"{target!r} is nothing a column can mean; known are {', '.join(SYNONYMS)}"


def from_flags(pairs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Give the columns told by `--map title=Skolenavn`; "title=A+B" joins two columns."""
    columns: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        target, equals, column = pair.partition("=")
        if not equals or not column.strip():
            raise ConfigError(
                f"{pair!r} maps nothing", subject="--map", hint="write --map title=<name of the column>"
            )
        columns[target.strip().casefold()] = (column.strip(),)
    return columns


def beside(path: Path) -> Path | None:
    """Give the mapping that lies beside a CSV file (same name, .toml), None when there is none."""
    candidate = path.with_suffix(".toml") if path.name else None  # "." and "/" have none
    return candidate if candidate is not None and candidate.is_file() else None


def load(path: Path) -> CsvMapping:
    """Give the mapping in a TOML file; ConfigError lists every mistake in it."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            f"cannot be read as TOML ({error})", subject=str(path), hint="see the import guide for its form"
        ) from error
    problems: list[str] = []
    values: dict[str, Any] = {}
    for name, value in content.items():
        if name == "columns" and isinstance(value, dict):
            values[name] = _columns(value, problems)
        elif name == "connection" and isinstance(value, dict):
            values[name] = _connection(value, problems)
        elif (name in _TEXTS and isinstance(value, str) and value) or (
            name == "header_line" and type(value) is int and value > 0
        ):
            values[name] = value
        elif name in (*_TEXTS, "columns", "connection", "header_line"):
            problems.append(f"{name} = {value!r} has the wrong form")
        else:
            known = ", ".join((*_TEXTS, "header_line", "columns", "connection"))
            problems.append(f"{name!r} is not known here; known are {known}")
    problems += _problems(values)
    if problems:
        raise ConfigError(
            "; ".join(problems),
            subject=str(path),
            hint="correct the mapping",
            problems=tuple(f"{path}: {problem}" for problem in problems),
        )
    return told(str(path), **values)


def _columns(table: Mapping[str, Any], problems: list[str]) -> dict[str, tuple[str, ...]]:
    columns: dict[str, tuple[str, ...]] = {}
    for target, value in table.items():
        names = [value] if isinstance(value, str) else value
        if isinstance(names, list) and names and all(isinstance(name, str) and name for name in names):
            columns[target.casefold()] = tuple(names)
        else:
            problems.append(f"columns.{target} = {value!r} is no column name or list of them")
    return columns


def _connection(table: Mapping[str, Any], problems: list[str]) -> Connection | None:
    problems += [f"connection.{name!s} is not known here" for name in table if name not in _CONNECTION_KEYS]
    try:
        return Connection(
            **{"type": ConnectionType.FILEREADER, "actortype": ActorType.READER}
            | {name: value for name, value in table.items() if name in _CONNECTION_KEYS}
        )
    except ValueError as error:
        problems.append(f"connection.type: {error}")
        return None


def known_names(cells: Sequence[str], mapping: CsvMapping) -> int:
    """Say how many cells are column names that we know or were told; what makes a row the header."""
    named = {_key(name) for names in mapping.columns.values() for name in names}
    return sum(1 for cell in cells if _key(cell) in named or _key(cell) in _BY_NAME)


def resolve(columns: Sequence[str], mapping: CsvMapping, subject: str) -> dict[str, tuple[int, ...]]:
    """Give the places (from 0) of each meaning's columns in a header.

    ConfigError, listing all mistakes, when a told column is not there or nothing names the sites.
    """
    by_key: dict[str, int] = {}
    for place, name in enumerate(columns):
        by_key.setdefault(_key(name), place)
    wanted, problems = {}, []
    for target, told_names in mapping.columns.items():
        names: tuple[str, ...] | None = told_names
        if target in mapping.where_present and absent(told_names, columns):
            names = mapping.fallback.get(target)
        if names is not None:
            wanted[target] = _split(names, by_key)
            problems += [f"there is no column {name!r} for {target}" for name in absent(names, columns)]
    found: dict[str, tuple[int, ...]] = {}
    for key, place in by_key.items():
        synonym = _BY_NAME.get(key)
        if synonym and synonym not in found and synonym not in wanted:
            found[synonym] = (place,)
    for target, parts in wanted.items():
        found[target] = tuple(by_key[_key(name)] for name in parts if _key(name) in by_key)
    if "title" not in found:
        problems.append("no column names the sites")
    if problems:
        shown = ", ".join(name for name in columns if name)
        raise ConfigError(
            "; ".join(problems),
            subject=subject,
            hint=f"say which is which with --map title=<column>; the file has {shown[:600]}",
            problems=tuple(f"{subject}: {problem}" for problem in problems),
        )
    return found


def absent(names: Sequence[str], columns: Sequence[str]) -> list[str]:
    """Give which of the told column names a header does not have."""
    keys = {_key(name): 0 for name in columns}
    return [name for name in _split(names, keys) if _key(name) not in keys]


def _split(names: Sequence[str], by_key: Mapping[str, int]) -> list[str]:
    parts = []
    for name in names:
        whole = _key(name) in by_key or "+" not in name
        parts += [name] if whole else [part.strip() for part in name.split("+")]
    return parts
