"""Which column of a CSV file means what: synonyms, `--map`, or a small TOML beside the file.

    type = "EV"                      # for all rows; also sub_type, ven, duplicates, encoding, ...
    [columns]
    title = ["Betreiber", "Ort"]     # several columns are joined with a space
    p_max_kw = "Anschlussleistung"
    [connection]                     # of every row, unless its columns say it
    type = "mqtt"                    # also host, port, topic, file, username, password, options
    topic = "meters/{meterpoint_id}"

Explicit values win over detected ones: flags, then the TOML, then synonyms, then the file's name.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from venclient.errors import ConfigError
from venclient.messages import Text, text_of, with_code
from venclient.messages import importing as imp
from venclient.messages.printable import foreign
from venclient.model.resource import ActorType, Connection, ConnectionType, ResourceType, enum_member
from venclient.registry.csv_synonyms import BY_NAME, SYNONYMS, loose, rank
from venclient.registry.meterpoint import normalised

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


@dataclass(frozen=True)
class CsvMapping:
    """Everything specified about one file; the rest is detected from the file.

    `where_present` names meanings whose specified columns may be absent, as flags for several files are:
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
        """Return `other` with the values of this one put over it."""
        values = {name: getattr(self, name) for name in self.given if name != "columns"}
        return replace(
            other,
            **values,
            columns={**other.columns, **self.columns},
            given=self.given | other.given,
            where_present=self.where_present,
            fallback=other.columns,
        )


def told(source: str = "", **values: Any) -> CsvMapping:
    """Return a mapping of the values that are not None; ConfigError lists all invalid ones."""
    given = {name: value for name, value in values.items() if value is not None}
    problems = list(_problems(given))
    if problems:
        raise _refused(problems, source)
    return CsvMapping(**given, source=source, given=frozenset(given))


def _refused(problems: Sequence[Text], subject: str) -> ConfigError:
    """Return the error that lists all mistakes of a mapping."""
    listed = tuple(problem.within(f"{subject}: ") for problem in problems) if subject else tuple(problems)
    return ConfigError(
        _one_or(problems, imp.MAPPING_PROBLEMS(problems=_listed(problems))),
        subject=subject,
        hint=imp.MAPPING_PROBLEMS.hint,
        problems=listed,
    )


def _one_or(problems: Sequence[Text], together: Text) -> Text:
    """Return the only problem, or `together`."""
    return problems[0] if len(problems) == 1 else together


def _listed(problems: Sequence[Text]) -> str:
    """Return all problems with their codes, on one line."""
    return "; ".join(map(with_code, problems))


def _problems(given: Mapping[str, Any]) -> Iterable[Text]:
    if "type" in given:
        try:
            enum_member(ResourceType, given["type"])
        except ValueError as error:
            yield imp.MAPPING_PROBLEM(name="type", problem=text_of(error))
    if given.get("decimal") not in (None, ",", "."):
        yield _wrong("decimal", given["decimal"], "',' or '.'")
    if len(given.get("delimiter", ",")) != 1:
        yield _wrong("delimiter", given["delimiter"], "one character")
    if given.get("duplicates", "skip") not in _DUPLICATES:
        yield _wrong("duplicates", given["duplicates"], " or ".join(_DUPLICATES))
    for target in given.get("columns", {}):
        if target not in SYNONYMS:
            close = difflib.get_close_matches(target, SYNONYMS, n=1)
            meant = f" (did you mean {close[0]!r}?)" if close else ""
            yield imp.UNKNOWN_MEANING(name=foreign(target), meant=meant, known=tuple(SYNONYMS))


def from_flags(pairs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the columns set by `--map title=Skolenavn`; "title=A+B" joins two columns."""
    columns: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        target, equals, column = pair.partition("=")
        if not equals or not column.strip():
            raise ConfigError(imp.MAP_FLAG(value=pair), subject="--map")
        columns[target.strip().casefold()] = (column.strip(),)
    return columns


def beside(path: Path) -> Path | None:
    """Return the mapping that lies beside a CSV file (same name, .toml), None when there is none."""
    candidate = path.with_suffix(".toml") if path.name else None  # "." and "/" have none
    return candidate if candidate is not None and candidate.is_file() else None


def load(path: Path) -> CsvMapping:
    """Return the mapping in a TOML file; ConfigError lists every mistake in it."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(imp.NOT_TOML(problem=error), subject=str(path)) from error
    problems: list[Text] = []
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
            problems.append(_wrong(name, value, _form(name)))
        else:
            known = (*_TEXTS, "header_line", "columns", "connection")
            problems.append(imp.UNKNOWN_SETTING(name=foreign(name), known=known))
    problems += _problems(values)
    if problems:
        raise _refused(problems, str(path))
    return told(str(path), **values)


def _wrong(name: str, value: object, expected: str) -> Text:
    """Return the message about a value of the wrong form."""
    return imp.MAPPING_VALUE(name=name, value=foreign(repr(value)), expected=expected)


def _form(name: str) -> str:
    """Return what the value of a setting must be."""
    if name == "header_line":
        return "a line number"
    return "a table" if name in ("columns", "connection") else "a text"


def _columns(table: Mapping[str, Any], problems: list[Text]) -> dict[str, tuple[str, ...]]:
    columns: dict[str, tuple[str, ...]] = {}
    for target, value in table.items():
        names = [value] if isinstance(value, str) else value
        if isinstance(names, list) and names and all(isinstance(name, str) and name for name in names):
            columns[target.casefold()] = tuple(names)
        else:
            problems.append(_wrong(f"columns.{target}", value, "column names"))
    return columns


def _connection(table: Mapping[str, Any], problems: list[Text]) -> Connection | None:
    problems += [
        imp.UNKNOWN_SETTING(name=foreign(f"connection.{name}"), known=_CONNECTION_KEYS)
        for name in table
        if name not in _CONNECTION_KEYS
    ]
    try:
        return Connection(
            **{"type": ConnectionType.FILEREADER, "actortype": ActorType.READER}
            | {name: value for name, value in table.items() if name in _CONNECTION_KEYS}
        )
    except ValueError as error:
        problems.append(imp.MAPPING_PROBLEM(name="connection.type", problem=text_of(error)))
        return None


def known_names(cells: Sequence[str], mapping: CsvMapping) -> int:
    """Return how many cells are known or specified column names; this is what makes a row the header."""
    named = {_key(name) for names in mapping.columns.values() for name in names}
    return sum(1 for cell in cells if loose(cell) in BY_NAME or (named and _key(cell) in named))


def resolve(columns: Sequence[str], mapping: CsvMapping, subject: str) -> dict[str, tuple[int, ...]]:
    """Return the places (from 0) of each meaning's columns in a header.

    ConfigError, listing all mistakes, when a specified column is missing or nothing names the sites.
    """
    by_key: dict[str, int] = {}
    for place, name in enumerate(columns):
        by_key.setdefault(_key(name), place)
    wanted: dict[str, list[str]] = {}
    problems: list[Text] = []
    for target, told_names in mapping.columns.items():
        names: tuple[str, ...] | None = told_names
        if target in mapping.where_present and absent(told_names, columns):
            names = mapping.fallback.get(target)
        if names is not None:
            wanted[target] = _split(names, by_key)
            problems += [
                imp.MAPPED_COLUMN_UNKNOWN(column=foreign(name), meaning=target)
                for name in absent(names, columns)
            ]
    found: dict[str, tuple[int, ...]] = {
        target: (places[0],) for target, places in candidates(columns).items() if target not in wanted
    }
    if "coordinates" not in wanted and {"latitude", "longitude"} <= found.keys() | wanted.keys():
        found.pop("coordinates", None)  # one position is enough
    for target, parts in wanted.items():
        found[target] = tuple(by_key[_key(name)] for name in parts if _key(name) in by_key)
    if "title" not in found:
        problems.append(imp.NO_TITLE_COLUMN())
    if problems:
        shown = ", ".join(name for name in columns if name)
        together = imp.COLUMN_PROBLEMS(problems=_listed(problems), columns=shown[:600])
        raise ConfigError(
            _one_or(problems, together),
            subject=subject,
            hint=together.hint,
            problems=tuple(problem.within(f"{subject}: ") for problem in problems),
        )
    return found


def candidates(columns: Sequence[str]) -> dict[str, list[int]]:
    """Return the places (from 0) of the columns that may hold each meaning, the best name first."""
    found: dict[str, list[int]] = {}
    for place, name in enumerate(columns):
        if (meaning := BY_NAME.get(loose(name))) is not None:
            found.setdefault(meaning, []).append(place)
    for meaning, places in found.items():
        places.sort(key=lambda place: rank(meaning, columns[place]))
    return found


def absent(names: Sequence[str], columns: Sequence[str]) -> list[str]:
    """Return which of the specified column names a header does not have."""
    keys = {_key(name): 0 for name in columns}
    return [name for name in _split(names, keys) if _key(name) not in keys]


def _split(names: Sequence[str], by_key: Mapping[str, int]) -> list[str]:
    parts = []
    for name in names:
        whole = _key(name) in by_key or "+" not in name
        parts += [name] if whole else [part.strip() for part in name.split("+")]
    return parts
