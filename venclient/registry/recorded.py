"""The stored form of last imported values: JSON, by column for the many resources of one import.

The text is a list of blocks. A block holds the cells of resources of which the same cells are known; a value
that all of them share is written once. Blocks by row, `[cell names, {resource id: values}]`, are read too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, TypeAlias

import msgspec

Cells: TypeAlias = dict[str, Any]
Column: TypeAlias = Sequence[Any]

#: Smaller blocks are merged, or each import with a few changes would add one.
_SMALL = 100


class Block(msgspec.Struct, forbid_unknown_fields=True):
    """The cells of some resources: `same` holds the values that all share, `each` a column for the others."""

    ids: list[str]
    same: dict[str, Any]
    each: dict[str, list[Any]]

    def __post_init__(self) -> None:
        if any(len(column) != len(self.ids) for column in self.each.values()):
            raise ValueError  # msgspec says where

    def names(self) -> set[str]:
        """Return the names of the cells."""
        return {*self.same, *self.each}

    def cells(self, at: int) -> Cells:
        """Return the cells of the resource at a place."""
        return self.same | {name: column[at] for name, column in self.each.items()}

    def rows(self, names: Sequence[str]) -> list[tuple[Any, ...]]:
        """Return the values of some of the cells by resource."""
        count = len(self.ids)
        columns = [self.each[one] if one in self.each else repeat(self.same[one], count) for one in names]
        return list(zip(*columns, strict=True))


#: What the text is decoded to; the second kind of block is by row.
Blocks: TypeAlias = list[Block | tuple[tuple[str, ...], dict[str, list[Any]]]]


def block_of(ids: Sequence[str], columns: Iterable[tuple[str, Column]]) -> Block:
    """Return the block of one or more resources whose cells are given by column."""
    same: dict[str, Any] = {}
    each: dict[str, list[Any]] = {}
    for name, column in columns:
        if column.count(column[0]) == len(column):
            same[name] = column[0]
        else:
            each[name] = list(column)
    return Block(list(ids), same, each)


class Recorded:
    """The cells of one source by resource, read from `text`; they are unknown when it makes no sense."""

    def __init__(self, text: str | None = None) -> None:
        self._blocks: list[Block] = []
        self._places: dict[str, tuple[Block, int]] = {}
        self._single: dict[str, Cells] = {}
        self._broken_up: set[int] = set()
        for block in _decoded(text):
            self.add(block)

    def get(self, resource_id: str) -> Cells | None:
        """Return the cells of a resource; None when nothing is known of it."""
        if (single := self._single.get(resource_id)) is not None:
            return single
        place = self._places.get(resource_id)
        return None if place is None else place[0].cells(place[1])

    def rows(self, ids: Sequence[str], names: Sequence[str], *, no_others: bool) -> list[Any]:
        """Return a tuple of the values of some cells for each id; None where one of them is unknown.

        With `no_others` also None where other cells are known.
        """
        wanted = set(names)
        rows_of: dict[int, list[tuple[Any, ...]] | None] = {}

        def fits(known: set[str]) -> bool:
            return known == wanted if no_others else known >= wanted

        found: list[tuple[Any, ...] | None] = []
        for one, place in zip(ids, map(self._places.get, ids), strict=True):
            if place is None:
                cells = self._single.get(one)
                good = cells is not None and fits(set(cells))
                found.append(tuple([cells[name] for name in names]) if cells is not None and good else None)
                continue
            block, at = place
            if id(block) not in rows_of:
                rows_of[id(block)] = block.rows(names) if fits(block.names()) else None
            rows = rows_of[id(block)]
            found.append(None if rows is None else rows[at])
        return found

    def put(self, resource_id: str, cells: Cells) -> None:
        """Record the cells of one resource."""
        self._forget([resource_id])
        self._single[resource_id] = cells

    def add(self, block: Block) -> None:
        """Record the cells of the resources of a block."""
        ids = block.ids
        self._forget(ids)
        if len(ids) < _SMALL:
            self._single.update((one, block.cells(at)) for at, one in enumerate(ids))
            return
        self._blocks.append(block)
        self._places.update(zip(ids, zip(repeat(block), range(len(ids))), strict=False))

    def encode(self) -> str:
        """Return all of it as text."""
        groups: dict[tuple[str, ...], dict[str, Cells]] = {}
        for resource_id, cells in self._single.items():
            groups.setdefault(tuple(cells), {})[resource_id] = cells
        small = (
            block_of(list(rows), ((name, [cells[name] for cells in rows.values()]) for name in names))
            for names, rows in groups.items()
        )
        return msgspec.json.encode([*self._large(), *small]).decode()

    def _large(self) -> Iterator[Block]:
        """Yield the blocks, without the resources that were recorded again."""
        for block in self._blocks:
            if id(block) not in self._broken_up:
                yield block
                continue
            places = self._places
            left = [at for at, one in enumerate(block.ids) if one in places and places[one][0] is block]
            each = {name: [column[at] for at in left] for name, column in block.each.items()}
            yield Block([block.ids[at] for at in left], block.same, each)

    def _forget(self, ids: Sequence[str]) -> None:
        for one in ids if self._places or self._single else ():
            if (place := self._places.pop(one, None)) is not None:
                self._broken_up.add(id(place[0]))
            self._single.pop(one, None)


def _decoded(text: str | None) -> list[Block]:
    if not text:
        return []
    try:
        blocks = msgspec.json.decode(text, type=Blocks)
        return [one if isinstance(one, Block) else _by_column(*one) for one in blocks]
    except (msgspec.DecodeError, ValueError):  # another program wrote it: `ven db check` lists it
        return []


def _by_column(names: Sequence[str], rows: dict[str, list[Any]]) -> Block:
    values = list(zip(*rows.values(), strict=True))
    return block_of(list(rows), zip(names, values, strict=True)) if rows else Block([], {}, {})
