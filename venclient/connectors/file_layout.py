"""How a table is written: its delimiter, its header, its decimal marks. Found in its first lines. No files.

As with imports of sites, the header is the line with the most known names, read with the delimiter that shows
the most of them; lines before it are a banner. What the options say is not looked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from venclient.connectors.file_cells import split_cells
from venclient.connectors.file_options import NOTHING, TIME_NAMES, FileOptions
from venclient.connectors.loose_times import lenient_time_reader
from venclient.messages import files as fil
from venclient.messages.printable import foreign
from venclient.model.reading import QUANTITIES

DELIMITERS = (",", ";", "\t", "|")
#: A header is within these first lines, or there is none.
SAMPLE_LINES = 30
_NAMES = frozenset({*TIME_NAMES, "date", *QUANTITIES})
_SPELLED: Mapping[str, str] = {"\t": "tab", " ": "space"}


class Layout(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a file is written, as found or as the options say.

    `header_at` is the place of the header among the lines (from 0), None for a file without one; then `time`
    is the number (from 1) of the column that has times. `decimals` has the decimal mark of columns by name.
    """

    delimiter: str
    header_at: int | None = 0
    time: int = 1
    decimals: dict[str, str] = {}

    def __str__(self) -> str:
        delimiter = fil.FOUND_DELIMITER(delimiter=_SPELLED.get(self.delimiter, foreign(self.delimiter)))
        header = fil.FOUND_HEADER(line=self.header_at + 1) if self.header_at is not None else fil.FOUND_NONE()
        marks = sorted(set(self.decimals.values()))
        return f"{delimiter}, {header}" + (f", {fil.FOUND_MARK(marks=' '.join(marks))}" if marks else "")


def find_layout(lines: Sequence[str], options: FileOptions, *, whole: bool) -> Layout | None:
    """Return how a file is written whose first lines that are not blank are given.

    None while there is too little of it: only one line without a known name, and not the `whole` file.
    """
    delimiters = DELIMITERS if options.delimiter is None else (options.delimiter,)
    tables = {one: _cells(lines, one) for one in delimiters}
    if isinstance(options.header, tuple):
        wanted = len(options.header)
        fitting = {one: [cells for cells in table if len(cells) == wanted] for one, table in tables.items()}
        best = max(tables, key=lambda one: (len(fitting[one]), _timed(fitting[one], options)))
        return Layout(best, None)
    if options.header is False:
        return Layout(_most_columns(tables, options), None)
    names = _wanted_names(options) or _NAMES
    ranks = {
        (one, place): (_score(cells, names), _fits(cells, table), -place)
        for one, table in tables.items()
        for place, cells in enumerate(table[: 1 if options.header else SAMPLE_LINES])
    }
    (delimiter, place), (score, _, _) = max(ranks.items(), key=lambda item: item[1])
    if score:
        return Layout(delimiter, place)
    if len(lines) == 1 and not whole and options.header is None:
        return None
    delimiter = _most_columns(tables, options)
    time = None if options.header else _time_place(tables[delimiter][0], options)
    return Layout(delimiter, 0) if time is None else Layout(delimiter, None, time)


def _cells(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    found = []
    for line in lines:
        try:
            found.append([cell.strip() for cell in split_cells(line, delimiter)])
        except ValueError:
            found.append([line])
    return found


def _wanted_names(options: FileOptions) -> frozenset[str]:
    """Return the columns that the options name, casefolded."""
    named = [*options.time.columns, *options.filter]
    named += [name for value in options.values for name in (*value.plus, *value.minus)]
    return frozenset(name.casefold() for name in named if not name.isdigit())


def _score(cells: Sequence[str], names: frozenset[str]) -> int:
    return len({cell.casefold() for cell in cells} & names)


def _fits(cells: Sequence[str], table: Sequence[Sequence[str]]) -> int:
    """Return how many cells a line has, 0 when other lines mostly have another number."""
    usual = Counter(map(len, table)).most_common(1)[0][0]
    return len(cells) if len(cells) == usual else 0


def _most_columns(tables: Mapping[str, Sequence[Sequence[str]]], options: FileOptions) -> str:
    """Return the delimiter by which most lines have a time and the same number of cells, more than one."""

    def rank(delimiter: str) -> tuple[int, int, int]:
        table = tables[delimiter]
        usual, count = Counter(map(len, table)).most_common(1)[0]
        # The decimal comma of 12:00:00Z;1,5 makes two cells as well, but no time.
        return (_timed(table, options), count, usual) if usual > 1 else (0, 0, 0)

    return max(tables, key=rank)


def _timed(table: Sequence[Sequence[str]], options: FileOptions) -> int:
    """Return how many lines have a cell with a time."""
    return sum(_time_place(cells, options) is not None for cells in table)


def _time_place(cells: Sequence[str], options: FileOptions) -> int | None:
    """Return the number of the column with the time in a line of data, None for a line of names."""
    read = lenient_time_reader(options.time.form, options.time.zone or "UTC")
    times = [n for n, cell in enumerate(cells, 1) if any(map(str.isdigit, cell)) and _reads(read, cell)]
    others = [cell for n, cell in enumerate(cells, 1) if n not in times[:1]]
    if not times or not any(map(_is_number_like, others)):
        return None
    return times[0]


def _reads(read: object, cell: str) -> bool:
    try:
        read(cell)  # type: ignore[operator]
    except ValueError:
        return False
    return True


def _is_number_like(cell: str) -> bool:
    return cell.casefold() in NOTHING or cell.lstrip("+-")[:1].isdigit()
