"""What the rows of a meter file say: columns or JSON, decimal marks, units, times. Pure: no files.

16/12/2006;17:24:00;4.216;?      columns Date and Time make the time; "?" and "" are not a sample
{"ts": 1788820998, "w": 120}     paths into each line's JSON
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from venclient.connectors.file_cells import split_cells
from venclient.connectors.file_layout import Layout
from venclient.connectors.file_numbers import PLAIN, Number, number_in
from venclient.connectors.file_options import TIME_NAMES, FileOptions, FileValue
from venclient.connectors.loose_times import lenient_time_reader
from venclient.connectors.mistakes import placed, shown
from venclient.connectors.payload import (
    ABSENT,
    STATES,
    Wanted,
    find,
    json_of,
    parse_path,
    samples,
    takes_states,
)
from venclient.connectors.timestamps import Instants
from venclient.connectors.units import Scaling, is_unit_of, scaling_for, unit_named
from venclient.messages import connectors as con
from venclient.messages import files as fil
from venclient.messages import text_of
from venclient.messages.printable import foreign
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


#: How many columns of a header are shown, and how much of each name: it may be another file's first line.
MOST_COLUMNS = 20
NAME_CHARACTERS = 32


def bounded(names: Sequence[str]) -> list[str]:
    """Return the names of columns as messages show them."""
    return [shown(name[:NAME_CHARACTERS]) for name in names[:MOST_COLUMNS]]


class _Term(NamedTuple):
    """One column of a sum, with its sign, its place and its decimal mark."""

    sign: int
    name: str
    place: int
    decimal: str


class CsvRows:
    """Reads the lines of a CSV file below its header; ValueError when the header has not what is needed."""

    def __init__(self, options: FileOptions, header: Sequence[str] | None, layout: Layout) -> None:
        self._header = None if header is None else tuple(name.strip() for name in header)
        missing: list[str] = []

        def position(name: str) -> int:
            names = self._header
            if names is not None and names.count(name) == 1:
                return names.index(name)
            if names is None and name.isascii() and name.isdigit() and len(name) < 10 and int(name):
                return int(name) - 1
            missing.append(name)
            return -1

        columns = options.time.columns or _time_columns(self._header, layout.time)
        self._may_lack_hour = not options.time.columns and len(columns) == 1
        self._time = [position(name) for name in columns]
        self._filter = [(position(name), str(text)) for name, text in options.filter.items()]
        self._delimiter = layout.delimiter
        marks = layout.decimals
        self._values: list[tuple[FileValue, list[_Term], Scaling]] = []
        for value in options.values or _csv_values(self._header, self._time):
            scaling = scaling_for(value.quantity, value.unit, value.scale, value.offset)
            terms = [
                _Term(sign, name, position(name), options.decimal or marks.get(name, "."))
                for sign, names in ((1, value.plus), (-1, value.minus))
                for name in names
            ]
            self._values.append((value, terms, scaling))
        self.number_columns = frozenset(term.name for _, terms, _ in self._values for term in terms)
        places = [*self._time, *(place for place, _ in self._filter)]
        places += [term.place for _, terms, _ in self._values for term in terms]
        self._needed = 1 + max(places)
        self._read_time = lenient_time_reader(options.time.form, options.time.zone)
        if missing:
            known = bounded(self._header or ()) or fil.NUMBERED()
            raise ValueError(fil.COLUMNS(missing=[shown(name) for name in missing], columns=known))

    def __str__(self) -> str:
        names = self._header or [str(n + 1) for n in range(self._needed)]
        time = foreign(" ".join(names[place] for place in self._time))
        values = [
            fil.FOUND_VALUE(quantity=value.quantity, columns=foreign(" ".join(value.plus)))
            for value, _, _ in self._values
        ]
        return str(fil.FOUND_COLUMNS(time=time, values=values))

    def numbers(self, line: str) -> list[tuple[str, str]]:
        """Return the cells of a line that hold numbers, each with its column; none for other lines."""
        try:
            cells = split_cells(line, self._delimiter)
        except ValueError:
            return []
        if len(cells) < self._needed or (self._header is not None and len(cells) < len(self._header)):
            return []
        return [(term.name, cells[term.place]) for _, terms, _ in self._values for term in terms]

    def read(self, line: str) -> Row | None:
        """Parse a line; return None for one that is not for us; ValueError says what is wrong with it."""
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
        time = " ".join(cells[place].strip() for place in self._time)
        if self._may_lack_hour and ":" not in time and len(time) <= _LONGEST_DATE:
            self._check_hour(cells, time)
        instants = self._read_time(time)
        values: list[tuple[str, float]] = []
        reasons: list[str] = []
        for value, terms, scaling in self._values:
            try:
                if len(terms) == 1 and terms[0].decimal == ".":
                    text = cells[terms[0].place].strip()
                    if PLAIN.fullmatch(text):  # nearly always
                        values.append((value.quantity, scaling.apply(float(text))))
                        continue
                number = _sum(cells, terms, value, scaling)
                if number is not None:
                    values.append((value.quantity, number))
            except ValueError as error:
                reasons.append(text_of(error))
        return Row(values, instants, reasons)

    def _check_hour(self, cells: Sequence[str], date: str) -> None:
        """Raise ValueError for a date whose time of day is in another column, instead of reading midnight."""
        for place, cell in enumerate(cells):
            if place not in self._time and _HOUR.fullmatch(cell.strip()):
                names = self._header or [str(n + 1) for n in range(len(cells))]
                columns = [foreign(names[self._time[0]]), foreign(names[place])]
                raise ValueError(fil.TIME_IN_TWO(date=shown(date), columns=columns))


class JsonRows:
    """Reads the lines of a file with one JSON document each."""

    def __init__(self, options: FileOptions) -> None:
        values = options.values or [FileValue(path=name, quantity=name) for name in QUANTITIES]
        self._values: list[Wanted] = [
            (
                value.quantity,
                value.terms,
                scaling_for(value.quantity, value.unit, value.scale, value.offset),
                takes_states(value.quantity, boolean=value.boolean),
            )
            for value in values
        ]
        path = options.time.path
        self._times = [(name,) for name in TIME_NAMES] if path is None else [parse_path(path)]
        self._filter = [(parse_path(path), str(text)) for path, text in options.filter.items()]
        self._read_time = lenient_time_reader(options.time.form, options.time.zone)

    def read(self, line: str) -> Row | None:
        """Parse a line; return None for one that is not for us; ValueError says what is wrong with it."""
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


def _sum(cells: Sequence[str], terms: Sequence[_Term], value: FileValue, scaling: Scaling) -> float | None:
    """Return the sum of some cells in the quantity's unit, None where one of them has no number."""
    total, units = 0.0, set()
    for term in terms:
        text = cells[term.place].strip()
        try:
            is_state = text.casefold() in STATES
            number = _state(text, value) if is_state else number_in(text, term.decimal)
        except ValueError as error:
            raise ValueError(placed(f"column {shown(term.name)}", text_of(error))) from None
        if number is None:
            return None
        total += term.sign * number.value
        if number.unit:
            units.add(number.unit)
    return (_with_unit(units, value) if units else scaling).apply(total)


def _state(text: str, value: FileValue) -> Number:
    """Return 1 or 0 for on or off, of a quantity that has states; ValueError for any other."""
    if not takes_states(value.quantity, boolean=value.boolean):
        raise ValueError(con.STATE(value=foreign(text), quantity=value.quantity))
    return Number(STATES[text.casefold()])


def _with_unit(units: set[str], value: FileValue) -> Scaling:
    """Return the scaling for the unit that the cells name; ValueError when units disagree."""
    if value.unit:
        units = {*units, value.unit}
    if len(units) > 1:
        raise ValueError(fil.UNITS(quantity=value.quantity, units=[foreign(unit) for unit in sorted(units)]))
    return scaling_for(value.quantity, next(iter(units)), value.scale, value.offset)


def _is_header(cells: Sequence[str], header: Sequence[str]) -> bool:
    return all(cell.strip() == name for cell, name in zip(cells, header, strict=True))


#: The maximum length of a date without its time of day; a time of day stands in its own cell.
_LONGEST_DATE = 10
_HOUR = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?", re.ASCII)
#: Columns that make the time together, casefolded: English, Danish, German, Dutch, French.
_DATES = ("date", "dato", "datum")
_HOURS = ("time", "tid", "klokkeslæt", "uhrzeit", "zeit", "tijd", "heure")


def _time_columns(header: Sequence[str] | None, place: int) -> tuple[str, ...]:
    if header is None:
        return (str(place),)
    by_name: Mapping[str, str] = {name.casefold(): name for name in header}
    dates = [by_name[name] for name in _DATES if name in by_name]
    hours = [by_name[name] for name in _HOURS if name in by_name]
    if dates and hours:
        return dates[0], hours[0]
    known = [by_name[name] for name in TIME_NAMES if name in by_name]
    return ((known or list(header) or ["time"])[0],)


def _csv_values(header: Sequence[str] | None, time: Sequence[int]) -> list[FileValue]:
    if header is None:
        return [FileValue(column=next(str(n + 1) for n in (0, 1) if n not in time), quantity=POWER_KW)]
    known = [
        FileValue(column=name, quantity=name.casefold()) for name in header if name.casefold() in QUANTITIES
    ]
    if known:
        return known
    rest = [name for place, name in enumerate(header) if place not in time and name] or [POWER_KW]
    units = [(name, unit_named(name)) for name in rest]
    power = [(name, unit) for name, unit in units if unit is not None and is_unit_of(POWER_KW, unit)]
    power = power or [(name, "") for name, unit in units if unit is None]
    if not power:
        raise ValueError(fil.NO_POWER(columns=bounded(rest)))
    return [FileValue(column=power[0][0], quantity=POWER_KW, unit=power[0][1])]
