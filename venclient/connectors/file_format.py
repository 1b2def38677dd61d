"""What the lines of a meter file say: columns or JSON, decimal marks, units, times. Pure: no files.

16/12/2006;17:24:00;4.216;?      columns Date and Time make the time; "?" and "" are no sample
{"ts": 1788820998, "w": 120}     paths into each line's JSON
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from venclient.connectors.payload import ABSENT, Path, find, json_of, number_of, parse_path, path_mistakes
from venclient.connectors.timestamps import Instants, time_mistakes, time_reader
from venclient.connectors.units import Scaling, repeated_quantities, scaling_for, value_mistakes
from venclient.model.reading import POWER_KW, QUANTITIES

#: What loggers write where they have no value (casefolded).
NOTHING = frozenset({"", "?", "-", "na", "n/a", "nan", "null", "none"})
TIME_NAMES = ("time", "timestamp", "datetime", "ts")


class FileValue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One value of a row: its column (csv) or path (jsonl), what it is, and in which unit it is told."""

    quantity: str
    column: str | None = None
    path: str | None = None
    unit: str = ""
    scale: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        problems = value_mistakes(self.quantity, self.unit, self.scale, self.offset)
        problems += [] if self.path is None else path_mistakes(self.path)
        if (self.column is None) == (self.path is None):
            problems.append("give either column (csv) or path (jsonl)")
        if problems:
            raise ValueError("; ".join(problems))


class FileTime(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a row tells its time and in which form; the cells of several columns are joined by a space.

    `fold` says which of the two equal hours in autumn is meant: by the order of the rows, or always the
    first or second.
    """

    columns: tuple[str, ...] = ()
    path: str | None = None
    format: str = "iso"
    zone: str | None = None
    fold: Literal["order", "first", "second"] = "order"

    def __post_init__(self) -> None:
        problems = time_mistakes(self.format, self.zone)
        problems += [] if self.path is None else path_mistakes(self.path)
        if problems:
            raise ValueError("; ".join(problems))


class FileOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a FILEREADER connection says beyond its file.

    Without `values`, columns that are named like quantities are read, else the first one as power in kW.
    `filter` keeps only the rows with these values. A file that is not followed is complete.
    """

    format: Literal["csv", "jsonl"] = "csv"
    delimiter: Annotated[str, Meta(min_length=1, max_length=1)] = ","
    decimal: Literal[".", ","] = "."
    encoding: str = "utf-8"
    header: bool | tuple[str, ...] = True
    time: FileTime = FileTime()
    values: tuple[FileValue, ...] = ()
    filter: dict[str, str | int] = {}
    follow: bool = True
    interval_s: Annotated[float, Meta(gt=0, le=86_400)] = 10.0

    def __post_init__(self) -> None:
        problems = repeated_quantities([value.quantity for value in self.values])
        if self.format == "csv":
            if any(value.column is None for value in self.values) or self.time.path is not None:
                problems.append("csv has columns, not paths: use column in values and columns in time")
            if self.delimiter == self.decimal or self.delimiter in '"\r\n':
                problems.append(f"delimiter {self.delimiter!r} cannot be told from the rest of a line")
            if self.header is False and not (self.values and self.time.columns):
                problems.append("header false needs values and time.columns; the columns are named 1, 2, 3")
        else:
            if any(value.path is None for value in self.values) or self.time.columns:
                problems.append("jsonl has paths, not columns: use path in values and in time")
            problems += [found for path in self.filter for found in path_mistakes(path)]
        try:
            if "\n0;,".encode(self.codec) != b"\n0;,":
                raise LookupError
        except (LookupError, ValueError):
            problems.append(f"encoding {self.encoding!r} is not known; use utf-8, cp1252 or latin-1")
        if problems:
            raise ValueError("; ".join(problems))

    @property
    def codec(self) -> str:
        """The encoding of a line: a byte order mark, if any, was taken off the first one."""
        return "utf-8" if self.encoding.lower().replace("_", "-") == "utf-8-sig" else self.encoding


@dataclass(frozen=True)
class Row:
    """What one line says: values by quantity, the instants that its time can mean, and what is wrong."""

    values: Sequence[tuple[str, float]]
    instants: Instants
    reasons: Sequence[str] = ()


class CsvRows:
    """Reads the lines of a CSV file below its header; ValueError when the header has not what is needed."""

    def __init__(self, options: FileOptions, header: Sequence[str] | None) -> None:
        self._options = options
        self._header = None if header is None else tuple(name.strip() for name in header)
        missing: list[str] = []

        def position(name: str) -> int:
            names = self._header
            if names is not None and names.count(name) == 1:
                return names.index(name)
            if names is None and name.isdigit() and int(name) > 0:
                return int(name) - 1
            missing.append(name)
            return -1

        self._time = [position(name) for name in options.time.columns or _time_columns(self._header or ())]
        self._filter = [(position(name), str(text)) for name, text in options.filter.items()]
        self._values: list[tuple[str, str, int, Scaling]] = []
        for value in options.values or _csv_values(self._header or (), self._time):
            name = value.column or ""
            scaling = scaling_for(value.quantity, value.unit, value.scale, value.offset)
            self._values.append((value.quantity, name, position(name), scaling))
        places = [*self._time, *(place for place, _ in self._filter), *(one[2] for one in self._values)]
        self._needed = 1 + max(places)
        self._read_time = time_reader(options.time.format, options.time.zone)
        if missing:
            there = ", ".join(map(repr, self._header or ())) or "numbered columns"
            raise ValueError(f"there is no single column {', '.join(map(repr, missing))}; there are {there}")

    def read(self, line: str) -> Row | None:
        """Give what a line says, None for one that is not for us; ValueError says what is wrong with it."""
        cells = split_cells(line, self._options.delimiter)
        if not any(cell.strip() for cell in cells):
            return None
        header = self._header
        if header is not None and len(cells) != len(header):
            if len(cells) < len(header) or any(cell.strip() for cell in cells[len(header) :]):
                raise ValueError(f"{len(cells)} columns where the header has {len(header)}")
            cells = cells[: len(header)]
        if header is not None and _is_header(cells, header):
            return None
        if len(cells) < self._needed:
            raise ValueError(f"{len(cells)} columns where column {self._needed} is needed")
        if any(cells[place].strip() != text for place, text in self._filter):
            return None
        instants = self._read_time(" ".join(cells[place].strip() for place in self._time))
        values: list[tuple[str, float]] = []
        reasons: list[str] = []
        for quantity, name, place, scaling in self._values:
            try:
                number = self._number(cells[place].strip())
                if number is not None:
                    values.append((quantity, scaling.apply(number)))
            except ValueError as error:
                reasons.append(f"column {name!r}: {error}")
        return Row(values, instants, reasons)

    def _number(self, text: str) -> float | None:
        if text.casefold() in NOTHING:
            return None
        if self._options.decimal == ",":
            if "." in text:
                raise ValueError(f"{text!r} is no number with a decimal comma")
            text = text.replace(",", ".")
        return number_of(text)


class JsonRows:
    """Reads the lines of a file with one JSON document each."""

    def __init__(self, options: FileOptions) -> None:
        values = options.values or [FileValue(path=name, quantity=name) for name in QUANTITIES]
        self._values: list[tuple[str, str, Path, Scaling]] = [
            (
                value.quantity,
                value.path or "",
                parse_path(value.path or ""),
                scaling_for(value.quantity, value.unit, value.scale, value.offset),
            )
            for value in values
        ]
        path = options.time.path
        self._times = [(name,) for name in TIME_NAMES] if path is None else [parse_path(path)]
        self._filter = [(parse_path(path), str(text)) for path, text in options.filter.items()]
        self._read_time = time_reader(options.time.format, options.time.zone)

    def read(self, line: str) -> Row | None:
        """Give what a line says, None for one that is not for us; ValueError says what is wrong with it."""
        if not line.strip():
            return None
        document = json_of(line.encode())
        if any(str(find(document, path)) != text for path, text in self._filter):
            return None
        times = [found for path in self._times if (found := find(document, path)) not in (None, ABSENT)]
        if not times:
            raise ValueError("there is no time in this line; say where it is with time.path")
        instants = self._read_time(times[0])
        values: list[tuple[str, float]] = []
        reasons: list[str] = []
        for quantity, name, path, scaling in self._values:
            found = find(document, path)
            if found is ABSENT:
                continue
            try:
                number = number_of(found)
                if number is not None:
                    values.append((quantity, scaling.apply(number)))
            except ValueError as error:
                reasons.append(f"{name}: {error}")
        return Row(values, instants, reasons)


def split_cells(line: str, delimiter: str) -> list[str]:
    """Give the cells of one line; ValueError when its quotes do not match."""
    if '"' not in line:
        return line.split(delimiter)
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise ValueError(f"the quotes of this line do not match ({error})") from None


def _is_header(cells: Sequence[str], header: Sequence[str]) -> bool:
    return all(cell.strip() == name for cell, name in zip(cells, header, strict=True))


def _time_columns(header: Sequence[str]) -> tuple[str, ...]:
    by_name: Mapping[str, str] = {name.casefold(): name for name in header}
    if "date" in by_name and "time" in by_name:
        return by_name["date"], by_name["time"]
    known = [by_name[name] for name in TIME_NAMES if name in by_name]
    return ((known or list(header) or ["time"])[0],)


def _csv_values(header: Sequence[str], time: Sequence[int]) -> list[FileValue]:
    known = [FileValue(column=name, quantity=name) for name in header if name in QUANTITIES]
    rest = [name for place, name in enumerate(header) if place not in time]
    return known or [FileValue(column=(rest or [POWER_KW])[0], quantity=POWER_KW)]
