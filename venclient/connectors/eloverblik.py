"""Exports of Eloverblik, the portal of the Danish data hub. Pure: no files.

    Målepunkt id;Fra dato;Til dato;Mængde;Måleenhed;Kvalitet;Type          until about 2023
    MålepunktsID;Fra_dato;Til_dato;Mængde;Måleenhed;Kvalitet;Type;...      since; English names, too

A row is the energy from one local time to another (Type "Tidsserie"), or what the meter's register showed
(a reading, "Aflæsning"). A day has 23 or 25 hours when the clock changes; the earlier time shows which row of
the doubled hour is meant, and the later one must follow it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from venclient.connectors.file_cells import split_cells
from venclient.connectors.file_options import NOTHING, FileOptions
from venclient.connectors.file_rows import Row, bounded
from venclient.connectors.loose_times import lenient_time_reader
from venclient.connectors.mistakes import shown
from venclient.connectors.payload import number_of
from venclient.connectors.timestamps import Instants
from venclient.connectors.units import scaling_for
from venclient.messages import Text
from venclient.messages import files as fil
from venclient.messages.printable import foreign
from venclient.model.reading import ENERGY_EXPORT_KWH, ENERGY_KWH, INTERVAL_ENERGY_KWH, Quality

_NAMES = {
    "point": {"målepunktsid", "målepunktid", "målepunkt", "meteringpointid", "meteringpoint"},
    "since": {"fradato", "fra", "fratidspunkt", "fradatotid", "fromdate", "from"},
    "until": {"tildato", "til", "tiltidspunkt", "tildatotid", "todate", "to"},
    "amount": {"mængde", "antal", "volume", "quantity", "amount"},
    "unit": {"måleenhed", "enhed", "unit", "measurementunit", "measureunit", "unitofmeasure"},
    "quality": {"kvalitet", "quality"},
    "type": {"type"},
    "code": {"målepunktstypekode", "meteringpointtypecode"},
}
_NEEDED = ("since", "until", "amount")
#: Kinds of meter points, the ones a site is best described by first; these of them feed into the grid.
_CODES = ("E17", "E18", "D07", "D06")
_FEEDING = {"E18", "D06"}
_SERIES = ("tidsserie", "timeseries", "time series")
_REGISTER = ("aflæsning", "tæller", "reading", "visning")
_ESTIMATED = ("estim", "anslå", "skøn", "beregn", "calculat")
_MISSING = ("mangl", "missing", "incomplete", "ikke tilgængelig", "not available")
_UNITS = {"kwh": "kWh", "mwh": "MWh", "wh": "Wh"}
_DAYS = ("%d-%m-%Y", "%d.%m.%Y", "%d/%m/%Y", "%Y-%m-%d")
_HOURS = ("%H:%M:%S", "%H:%M", "%H.%M", "%H.%M.%S")
_FORMS = (*(f"{day} {hour}" for day in _DAYS for hour in _HOURS), "%d-%m-%Y", "iso")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:([.,])\d{3})(?:\1\d{3})*")
_HOUR = timedelta(hours=1)


class EloverblikRows:
    """Reads the rows of an export below its header; ValueError when the header is of something else.

    `point` is the resource's meter point. Where the file has it, only its rows count, else those of the first
    meter point in the file. `note` is what was chosen ("" before anything was): it goes with the position.
    """

    def __init__(self, options: FileOptions, header: str, point: str, note: str = "") -> None:
        self._options = options
        self._delimiter = options.delimiter or next((one for one in ";\t" if one in header), ",")
        names = [name.strip() for name in split_cells(header, self._delimiter)]
        while names and not names[-1]:
            names.pop()
        self._header = names
        folded = [re.sub(r"[\W_]", "", name.casefold()) for name in names]
        self._at = {
            key: next((n for n, name in enumerate(folded) if name in known), None)
            for key, known in _NAMES.items()
        }
        missing = [key for key in _NEEDED if self._at[key] is None]
        missing += [shown(name) for name in options.filter if name not in names]
        if missing:
            columns = bounded(names)
            raise ValueError(fil.NOT_ELOVERBLIK(missing=missing, columns=columns))
        self._filter = [(names.index(name), str(text)) for name, text in options.filter.items()]
        self._wanted = 1 + max(n for n in self._at.values() if n is not None)
        zone = options.time.zone
        forms = (options.time.format,) if options.time.format else _FORMS
        # Each form in the zone, and as plain clock time for the length of an interval.
        self._readers = [
            (lenient_time_reader(form, zone), lenient_time_reader(form, "UTC")) for form in forms
        ]
        self._own = point
        self.note = note

    def choose(self, lines: Sequence[str]) -> None:
        """Choose the meter point to read by the first rows of a file, where that was not done before."""
        if self.note:
            return
        series: list[tuple[str, str]] = []
        for line in lines:
            try:
                cells = split_cells(line, self._delimiter)
            except ValueError:
                continue
            if len(cells) >= self._wanted and all(cells[n].strip() == text for n, text in self._filter):
                series.append(self._series(cells))
        if not series:
            return
        own = [one for one in series if one[0] == self._own] or [
            one for one in series if one[0] == series[0][0]
        ]
        rank = {code: n for n, code in enumerate(_CODES)}
        point, code = min(own, key=lambda one: rank.get(one[1], len(rank)))
        self.note = f"{point} {code}"

    def read(self, line: str) -> Row | None:
        """Parse a line; return None for one that is not for us; ValueError says what is wrong with it."""
        cells = [cell.strip() for cell in split_cells(line, self._delimiter)]
        if not any(cells) or cells[: len(self._header)] == self._header:
            return None
        if len(cells) < self._wanted or any(cells[len(self._header) :]):
            raise ValueError(fil.ROW_LENGTH(count=len(cells), expected=len(self._header)))
        if any(cells[n] != text for n, text in self._filter) or not self._is_ours(cells):
            return None
        quantity, sign = self._quantity(cells)
        since, wall_since = self._time(self._cell(cells, "since"))
        until, wall_until = self._time(self._cell(cells, "until") or self._cell(cells, "since"))
        said = self._cell(cells, "quality").casefold()
        amount = self._cell(cells, "amount")
        if amount.casefold() in NOTHING or any(word in said for word in _MISSING):
            return Row((), since)
        unit = self._cell(cells, "unit")
        value = sign * scaling_for(quantity, _UNITS.get(unit.casefold(), unit), 1.0, 0.0).apply(
            self._number(amount)
        )
        quality = Quality.ESTIMATED if any(word in said for word in _ESTIMATED) else Quality.GOOD
        length = wall_until - wall_since
        return Row(
            ((quantity, value),), since, quality=quality, stamp=lambda start: _end(start, until, length)
        )

    def _cell(self, cells: Sequence[str], key: str) -> str:
        place = self._at[key]
        return "" if place is None or place >= len(cells) else cells[place].strip()

    def _series(self, cells: Sequence[str]) -> tuple[str, str]:
        return self._cell(cells, "point"), self._cell(cells, "code")

    def _is_ours(self, cells: Sequence[str]) -> bool:
        point, code = self._series(cells)
        if not self.note:
            self.note = f"{point} {code}"
        chosen, _, wanted = self.note.partition(" ")
        if point != chosen:
            if chosen == self._own:
                return False
            raise ValueError(_other_point(point, chosen))
        if code != wanted:
            raise ValueError(_other_type(code, wanted))
        return True

    def _quantity(self, cells: Sequence[str]) -> tuple[str, int]:
        kind = self._cell(cells, "type").casefold()
        feeding = self._cell(cells, "code") in _FEEDING
        if not kind or any(word in kind for word in _SERIES):
            # Power and energy count from the grid's side: what is fed in is negative.
            return INTERVAL_ENERGY_KWH, -1 if feeding else 1
        if any(word in kind for word in _REGISTER):
            return (ENERGY_EXPORT_KWH if feeding else ENERGY_KWH), 1
        raise ValueError(fil.ROW_TYPE(type=shown(kind)))

    def _time(self, text: str) -> tuple[Instants, datetime]:
        """Return what a time can mean, and the local time as written."""
        reason: ValueError | None = None
        for place, (reader, plain) in enumerate(self._readers):
            try:
                found = reader(text), plain(text)[0]
            except ValueError as error:
                reason = reason or error
                continue
            if place:
                self._readers.insert(0, self._readers.pop(place))
            return found
        raise reason or ValueError(fil.ROW_TIME(time=shown(text)))

    def _number(self, text: str) -> float:
        decimal = self._options.decimal
        if decimal == "," or (decimal is None and "," in text and "." not in text):
            if "." in text and not _THOUSANDS.fullmatch(text.partition(",")[0]):
                raise ValueError(fil.DECIMAL_COMMA(value=shown(text)))
            text = text.replace(".", "").replace(",", ".")
        elif decimal is None and "," in text:
            # Both marks: the last one is the decimal mark, the other one groups thousands.
            mark = max(",.", key=text.rindex)
            whole, _, rest = text.rpartition(mark)
            if not _THOUSANDS.fullmatch(whole):
                raise ValueError(fil.NOT_A_NUMBER(value=shown(text)))
            text = f"{re.sub('[.,]', '', whole)}.{rest}"
        number = number_of(text)
        if number is None:
            raise ValueError(fil.NOT_A_NUMBER(value=shown(text)))
        return number


@lru_cache(maxsize=64)
def _other_point(point: str, chosen: str) -> Text:
    """Return why a row is skipped; an export of many meters has many such rows."""
    return fil.OTHER_POINT(point=foreign(point), chosen=foreign(chosen))


@lru_cache(maxsize=64)
def _other_type(code: str, chosen: str) -> Text:
    return fil.OTHER_TYPE(type=foreign(code) or fil.NO_TYPE(), chosen=foreign(chosen))


def _end(start: datetime, until: Instants, length: timedelta) -> datetime:
    """Return when an interval ends: the first moment after its start that its end can mean.

    Through the autumn change 02:00-03:00 may be either hour, and some exports write 02:00-02:00.
    """
    ends = [one for one in until if one > start]
    if timedelta(0) < length <= _HOUR:
        ends.append(start + length)
    return min(ends, default=start)
