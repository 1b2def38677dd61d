"""Rows of a CSV table -> sites: each row becomes a resource, or says by line, column and reason why not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import TypeAlias

from venclient.errors import ConfigError
from venclient.messages import importing as imp
from venclient.messages import with_code
from venclient.messages.printable import foreign
from venclient.model.resource import Resource
from venclient.registry import columns as own
from venclient.registry import csv_mapping
from venclient.registry.collector import sweep
from venclient.registry.csv_assembly import Assembly, Refusal
from venclient.registry.csv_blocks import BadRow, Block
from venclient.registry.csv_cells import cleaned, is_null, joined, profile, shifted
from venclient.registry.csv_mapping import CAPACITIES, CsvMapping
from venclient.registry.csv_numbers import find_decimal, has_mark
from venclient.registry.csv_own import decode_block
from venclient.registry.csv_plain import PlainRow
from venclient.registry.csv_synonyms import holds_types, loose
from venclient.registry.csv_table import CsvTable, open_table
from venclient.registry.kinds import kind_of_file

_SAMPLE_ROWS = 500
#: Headers that can only be about resource types, and those that are about many other things.
_TYPE_HEADERS = ("resource type", "resourcetype", "ressourcetype")
_CATEGORIES = ("category", "kategori", "kind", "art")
_NAMING = ("title", "address", "street", "town")


@dataclass(frozen=True)
class Rejected:
    """One row that was left out: its line, the column (empty when it is the whole row), why, and its text."""

    line: int
    column: str
    reason: str
    text: str = field(default="", compare=False)


@dataclass(frozen=True)
class Duplicate:
    """One row that says the same as an earlier one."""

    line: int
    resource_id: str


@dataclass(slots=True)  # to freeze it takes as long as all the rest of it
class Site:
    """One row's resource. `given` names the fields that the row sets; None means all of them."""

    line: int
    resource: Resource
    given: frozenset[str] | None
    text: str = field(default="", compare=False)


Item: TypeAlias = Site | Duplicate | Rejected


@dataclass
class Seen:
    """Which resources were met before, and where, in one import of one or more files."""

    contents: dict[str, tuple[int, str, int]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


class CsvSites:
    """The sites of one CSV file: `for item in sites.items(seen)` gives Site, Duplicate and Rejected.

    `decimal`, `places` and the table's layout say how the file is read, `is_own` that it is a file of our
    own export; `warnings` holds, for each doubt that did not stop a row, the lines it was met on.
    """

    def __init__(
        self,
        path: Path,
        mapping: CsvMapping | None = None,
        *,
        allow_missing_location: bool = False,
        pandas: bool = True,
    ):
        self.mapping = mapping or CsvMapping()
        self.table: CsvTable = open_table(
            path,
            self._known_names,
            encoding=self.mapping.encoding,
            delimiter=self.mapping.delimiter,
            header_line=self.mapping.header_line,
            pandas=pandas,
        )
        self.columns = self.table.layout.columns
        self.warnings: dict[str, list[int]] = defaultdict(list)
        self.is_own = self._is_own(self.columns)
        self.places: dict[str, tuple[int, ...]]
        if self.is_own:
            self.places = {name: (place,) for place, name in enumerate(self.columns)}
            self.decimal = "."
            return
        self.places = csv_mapping.resolve(self.columns, self.mapping, str(path))
        located = "coordinates" in self.places or {"latitude", "longitude"} <= self.places.keys()
        if not located and not allow_missing_location:
            raise ConfigError(imp.NO_POSITION_COLUMNS(), subject=str(path))
        first = next((block for block in self.table.blocks() if block.texts), Block())
        sample = [column[:_SAMPLE_ROWS] for column in self.table.columns(first)]
        self._drop_other_types(sample)
        self.decimal = self.mapping.decimal or self._find_decimal(sample)
        self._numeric, self._textual = profile(sample, _SAMPLE_ROWS)
        self._mixed: dict[str, bool] = {}
        self._line = 0
        self._assembly = Assembly(
            self.mapping,
            self.decimal,
            *kind_of_file(path.name),
            allow_missing_location,
            self._mixes,
            lambda text: self.warnings[text].append(self._line),
        )

    def notes(self) -> list[str]:
        """Return what to know about the file as a whole."""
        if self.is_own:
            ignored = sorted(self.mapping.given & {"type", "sub_type", "ven", "connection", "duplicates"})
            return [imp.OWN_EXPORT_IGNORES(names=ignored) if ignored else imp.OWN_EXPORT()]
        return []

    def items(self, seen: Seen | None = None, told: Callable[[int], None] | None = None) -> Iterator[Item]:
        """Return what became of each row, in order; `seen` makes files of one import know each other.

        `told` is called with the number of bytes read so far.
        """
        seen = Seen() if seen is None else seen
        self.warnings.clear()
        rows = self._own_rows if self.is_own else self._rows
        for block in self.table.blocks(told):
            sweep()  # pandas leaves its frames in circles
            if not block.bad:
                yield from rows(block, seen)
                continue
            bad = iter([*block.bad, None])
            waiting = next(bad)
            for item in rows(block, seen):
                while waiting is not None and waiting.line < item.line:
                    yield _rejected(waiting)
                    waiting = next(bad)
                yield item
            while waiting is not None:
                yield _rejected(waiting)
                waiting = next(bad)

    @property
    def unused(self) -> list[str]:
        """Return the headers of the columns that are taken for nothing."""
        used = {place for places in self.places.values() for place in places}
        return [name for place, name in enumerate(self.columns) if name.strip() and place not in used]

    def name_of(self, target: str) -> str:
        """Return the header of the column(s) that hold a meaning, for people."""
        return " + ".join(self.columns[place] for place in self.places.get(target, ())) or target

    def _is_own(self, cells: Sequence[str]) -> bool:
        return not self.mapping.columns and own.is_own(cells)

    def _known_names(self, cells: Sequence[str]) -> int:
        return len(cells) if self._is_own(cells) else csv_mapping.known_names(cells, self.mapping)

    def _find_decimal(self, sample: list[list[str]]) -> str:
        targets = ("latitude", "longitude", *CAPACITIES)
        places = [place for target in targets for place in self.places.get(target, ())]
        found = find_decimal(cell for place in places for cell in sample[place])
        return found or (
            "," if self.table.layout.delimiter == ";" and "coordinates" not in self.places else "."
        )

    def _drop_other_types(self, sample: list[list[str]]) -> None:
        """Leave out columns such as "type" that hold another classification, such as "restaurant"."""
        if "resource_type" in self.mapping.columns or "resource_type" not in self.places:
            return
        for place in csv_mapping.candidates(self.columns)["resource_type"]:
            name = loose(self.columns[place])
            cells = [cell for cell in sample[place] if not is_null(cell)]
            if name in _TYPE_HEADERS or not cells or holds_types(cells, is_type=name not in _CATEGORIES):
                self.places["resource_type"] = (place,)
                return
        del self.places["resource_type"]

    def _mixes(self, target: str) -> bool:
        """Return whether the meaning's columns have numbers with the other mark too, in the whole file."""
        if target not in self._mixed:
            other = "," if self.decimal == "." else "."
            self._mixed[target] = any(
                has_mark(cell, other)
                for block in self.table.blocks()
                for columns in [self.table.columns(block)]
                for place in self.places[target]
                for cell in columns[place]
            )
        return self._mixed[target]

    def _rows(self, block: Block, seen: Seen) -> Iterator[Item]:
        columns = self.table.columns(block)
        naming = [place for target in _NAMING for place in self.places.get(target, ())]
        faults = shifted(columns, naming, self._numeric, self._textual, self.columns, self.places["title"])
        texts = {}
        for target, places in self.places.items():
            parts = []
            for place in places:
                part, problems = cleaned(columns[place])
                parts.append(part)
                for at, reason in problems.items():
                    faults.setdefault(at, (self.columns[place], reason))
            texts[target] = joined(parts)
        nth = _counter(seen) if self.mapping.duplicates == "number" else None
        name = self.table.path.name
        assembled = self._assembly.rows(texts, len(block.lines), faults.keys())
        plain_given = self._assembly.plain_given
        if new := _all_plain_and_new(block, assembled.plain, plain_given, seen, name):
            yield from new
            return
        for at, (line, text, plain) in enumerate(zip(block.lines, block.texts, assembled.plain, strict=True)):
            if plain is not None:
                resource, content, given = *plain, plain_given
            elif at in faults:
                yield Rejected(line, *faults[at], text)
                continue
            else:
                self._line = line
                try:
                    made = assembled.made(at, nth)
                except Refusal as refusal:
                    column = self.name_of(refusal.target) if refusal.target else ""
                    yield Rejected(line, column, refusal.reason, text)
                    continue
                resource, content, given = made.resource, made.content, made.given
            resource_id = resource.resourceID
            before = seen.contents.get(resource_id)
            if before is None:
                seen.contents[resource_id] = (content, name, line)
                yield Site(line, resource, given, text)
            elif before[0] == content:
                yield Duplicate(line, resource_id)
            else:
                yield self._contradiction(line, resource, before, text)

    def _contradiction(
        self, line: int, resource: Resource, before: tuple[int, str, int], text: str
    ) -> Rejected:
        place = f"{before[1]}:{before[2]}"
        if self.is_own or "resource_id" in self.places:
            reason = imp.ID_TWICE(resource_id=resource.resourceID, place=place)
            return Rejected(line, self.name_of("resource_id"), reason, text)
        return Rejected(line, "", imp.SITE_TWICE(name=foreign(resource.resourceName), place=place), text)

    def _own_rows(self, block: Block, seen: Seen) -> Iterator[Item]:
        """Return the resources of a file that `ven resources export` wrote."""
        name = self.table.path.name
        columns = self.table.columns(block)
        found = decode_block(dict(zip(self.columns, columns, strict=True)))
        if found is not None:
            contents = list(map(hash, zip(*columns, strict=True)))
            if new := _all_new(block, found, contents, None, seen, name):
                yield from new
                return
        decoded: Sequence[Resource | None] = found or [None] * len(block.lines)
        cells = zip(*columns, strict=True)
        for line, row, text, made in zip(block.lines, cells, block.texts, decoded, strict=True):
            try:
                resource = made or own.decode(dict(zip(self.columns, row, strict=True)))
            except own.BadCells as error:
                column, reason = error.problems[0]
                more = "".join(f"; {other}: {with_code(why)}" for other, why in error.problems[1:])
                yield Rejected(
                    line,
                    column,
                    imp.CELL_PROBLEMS(problems=with_code(reason) + more) if more else reason,
                    text,
                )
                continue
            content = hash(row)
            before = seen.contents.get(resource.resourceID)
            if before is None:
                seen.contents[resource.resourceID] = (content, name, line)
                yield Site(line, resource, None, text)
            elif before[0] == content:
                yield Duplicate(line, resource.resourceID)
            else:
                yield self._contradiction(line, resource, before, text)


def _all_plain_and_new(
    block: Block, rows: Sequence[PlainRow | None], given: frozenset[str], seen: Seen, name: str
) -> Iterator[Site] | None:
    found = [row for row in rows if row is not None]
    if not found or len(found) < len(rows):
        return None
    resources, contents = zip(*found, strict=True)
    return _all_new(block, resources, contents, given, seen, name)


def _all_new(
    block: Block,
    resources: Sequence[Resource],
    contents: Sequence[int],
    given: frozenset[str] | None,
    seen: Seen,
    name: str,
) -> Iterator[Site] | None:
    """Return the sites of a block when none was met before, and count them as met; None when one was."""
    ids = [resource.resourceID for resource in resources]
    if len(set(ids)) < len(ids) or not seen.contents.keys().isdisjoint(ids):
        return None
    seen.contents.update(zip(ids, zip(contents, repeat(name), block.lines, strict=False), strict=True))
    return map(Site, block.lines, resources, repeat(given), block.texts)


def _rejected(row: BadRow) -> Rejected:
    return Rejected(row.line, "", row.reason, row.text)


def _counter(seen: Seen) -> Callable[[str], int]:
    def nth(key: str) -> int:
        count = seen.counts[key] = seen.counts.get(key, 0) + 1
        return count

    return nth
