"""What the rows of a meter file say: columns or JSON, decimal marks, units, times. Pure: no files.

16/12/2006;17:24:00;4.216;?      columns Date and Time make the time; "?" and "" are no sample
{"ts": 1788820998, "w": 120}     paths into each line's JSON
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from venclient.connectors.file_options import NOTHING, TIME_NAMES, FileOptions, FileValue
from venclient.connectors.mistakes import placed, shown
from venclient.connectors.payload import ABSENT, Terms, find, json_of, number_of, parse_path, samples
from venclient.connectors.timestamps import Instants, time_reader
from venclient.connectors.units import Scaling, scaling_for
from venclient.messages import files as fil
from venclient.messages import text_of
from venclient.model.reading import POWER_KW, QUANTITIES, Quality


@dataclass(frozen=True)
class Row:
    """What one row says: values by quantity, the instants that its time can mean, and what is wrong.

    `instants` is None where the row has no time, and that of its arrival counts. `stamp` makes the time of
    the readings of the instant that was chosen, where that is not the same.
    """

    values: Sequence[tuple[str, float]]
    instants: Instants | None
    reasons: Sequence[str] = ()
    quality: Quality = Quality.GOOD
    stamp: Callable[[datetime], datetime] | None = None


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
        self._delimiter = options.delimiter or ","
        self._values: list[tuple[str, list[tuple[int, str, int]], Scaling]] = []
        for value in options.values or _csv_values(self._header or (), self._time):
            scaling = scaling_for(value.quantity, value.unit, value.scale, value.offset)
            terms = [(1, name, position(name)) for name in value.plus]
            terms += [(-1, name, position(name)) for name in value.minus]
            self._values.append((value.quantity, terms, scaling))
        places = [*self._time, *(place for place, _ in self._filter)]
        places += [place for _, terms, _ in self._values for _, _, place in terms]
        self._needed = 1 + max(places)
        self._read_time = time_reader(options.time.form, options.time.zone)
        if missing:
            columns = [shown(name) for name in self._header or ()] or fil.NUMBERED()
            raise ValueError(fil.COLUMNS(missing=[shown(name) for name in missing], columns=columns))

    def read(self, line: str) -> Row | None:
        """Give what a line says, None for one that is not for us; ValueError says what is wrong with it."""
        cells = split_cells(line, self._delimiter)
        if not any(cell.strip() for cell in cells):
            return None
        header = self._header
        if header is not None and len(cells) != len(header):
            if len(cells) < len(header) or any(cell.strip() for cell in cells[len(header) :]):
                raise ValueError(fil.ROW_LENGTH(count=len(cells), expected=len(header)))
            cells = cells[: len(header)]
        if header is not None and _is_header(cells, header):
            return None
        if len(cells) < self._needed:
            raise ValueError(fil.ROW_SHORT(count=len(cells), needed=self._needed))
        if any(cells[place].strip() != text for place, text in self._filter):
            return None
        instants = self._read_time(" ".join(cells[place].strip() for place in self._time))
        values: list[tuple[str, float]] = []
        reasons: list[str] = []
        for quantity, terms, scaling in self._values:
            try:
                number = self._sum(cells, terms)
                if number is not None:
                    values.append((quantity, scaling.apply(number)))
            except ValueError as error:
                reasons.append(text_of(error))
        return Row(values, instants, reasons)

    def _sum(self, cells: Sequence[str], terms: Sequence[tuple[int, str, int]]) -> float | None:
        total = 0.0
        for sign, name, place in terms:
            try:
                number = self._number(cells[place].strip())
            except ValueError as error:
                raise ValueError(placed(f"column {name!r}", text_of(error))) from None
            if number is None:
                return None
            total += sign * number
        return total

    def _number(self, text: str) -> float | None:
        if text.casefold() in NOTHING:
            return None
        if self._options.decimal == ",":
            if "." in text:
                raise ValueError(fil.DECIMAL_COMMA(value=shown(text)))
            text = text.replace(",", ".")
        return number_of(text)


class JsonRows:
    """Reads the lines of a file with one JSON document each."""

    def __init__(self, options: FileOptions) -> None:
        values = options.values or [FileValue(path=name, quantity=name) for name in QUANTITIES]
        self._values: list[tuple[str, Terms, Scaling]] = [
            (value.quantity, value.terms, scaling_for(value.quantity, value.unit, value.scale, value.offset))
            for value in values
        ]
        path = options.time.path
        self._times = [(name,) for name in TIME_NAMES] if path is None else [parse_path(path)]
        self._filter = [(parse_path(path), str(text)) for path, text in options.filter.items()]
        self._read_time = time_reader(options.time.form, options.time.zone)

    def read(self, line: str) -> Row | None:
        """Give what a line says, None for one that is not for us; ValueError says what is wrong with it."""
        if not line.strip():
            return None
        document = json_of(line.encode())
        if any(str(find(document, path)) != text for path, text in self._filter):
            return None
        times = [found for path in self._times if (found := find(document, path)) not in (None, ABSENT)]
        if not times:
            raise ValueError(fil.NO_TIME())
        instants = self._read_time(times[0])
        values, reasons = samples(document, self._values)
        return Row(values, instants, reasons)


def split_cells(line: str, delimiter: str) -> list[str]:
    """Give the cells of one row; ValueError when its quotes do not match."""
    if '"' not in line:
        return line.split(delimiter)
    try:
        return next(csv.reader(line.splitlines(keepends=True), delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise ValueError(fil.QUOTES(error=error)) from None


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
