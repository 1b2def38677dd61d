"""The stored form of last imported values: JSON, by column for the many resources of one import.

The text is a list of blocks. A block holds the cells of resources of which the same cells are known; a value
that all of them share is written once. The ids of a source are stored beside the text: where they are those
of its blocks, in their order, a block has the number of its ids instead. Blocks by row, `[cell names,
{resource id: values}]`, are read too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, count, islice
from typing import Annotated, Any, NamedTuple, TypeAlias

import msgspec
from msgspec.structs import replace

Cells: TypeAlias = dict[str, Any]
Column: TypeAlias = Sequence[Any]

#: Smaller blocks are merged, or each import with a few changes would add one.
_SMALL = 100


class Block(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The cells of some resources: `same` holds the values that all share, `each` a column for the others.

    In the text `count` may stand in place of the ids, which are the next of those stored beside it.
    """

    ids: list[str]
    same: dict[str, Any]
    each: dict[str, list[Any]]
    count: Annotated[int, msgspec.Meta(ge=0)] = 0

    def __post_init__(self) -> None:
        count = self.count or len(self.ids)
        if any(len(column) != count for column in self.each.values()) or (self.count and self.ids):
            raise ValueError  # msgspec says where

    def cells(self, at: int) -> Cells:
        """Return the cells of the resource at a place."""
        return self.same | {name: column[at] for name, column in self.each.items()}

    def fits(self, names: set[str], *, no_others: bool) -> bool:
        """Return whether all these cells are known; with `no_others` only these."""
        known = {*self.same, *self.each}
        return known == names if no_others else known >= names

    def column(self, name: str, places: slice | Sequence[int], count: int) -> Column:
        """Return the values of a cell of the `count` resources at some places."""
        if name in self.same:
            return (self.same[name],) * count
        column = self.each[name]
        return column[places] if isinstance(places, slice) else [column[at] for at in places]


#: What the text is decoded to; the second kind of block is by row.
Blocks: TypeAlias = list[Block | tuple[tuple[str, ...], dict[str, list[Any]]]]


class Known(NamedTuple):
    """What is known of some ids: the values of cells by column, and of which ids these are known at all."""

    is_known: list[bool]
    columns: list[Column]


class Values(NamedTuple):
    """What is stored of a source: its ids, and the text of the cells that it said last, None for unknown."""

    ids: Sequence[str]
    text: str | None


NO_VALUES = Values((), None)


def block_of(ids: Sequence[str], columns: Iterable[tuple[str, Column]]) -> Block:
    """Return the block of one or more resources whose cells are given by column."""
    same: dict[str, Any] = {}
    each: dict[str, list[Any]] = {}
    for name, column in columns:
        if column[0] == column[-1] and column.count(column[0]) == len(column):
            same[name] = column[0]
        else:
            each[name] = list(column)
    return Block(list(ids), same, each)


class Recorded:
    """The cells of one source by resource, read from stored values; unknown when these are invalid.

    What is recorded later counts.
    """

    def __init__(self, values: Values = NO_VALUES) -> None:
        self._blocks: list[Block] = []
        self._starts: list[int] = []
        self._size = 0
        self._single: dict[str, Cells] = {}
        #: Number of each resource's place, counted through all blocks; made when it is needed.
        self._numbers: dict[str, int] | None = None
        for block in _decoded(values):
            self.add(block)

    def get(self, resource_id: str) -> Cells | None:
        """Return the cells of a resource; None when nothing is known of it."""
        if (single := self._single.get(resource_id)) is not None:
            return single
        if (number := self._places().get(resource_id)) is None:
            return None
        at = self._block_of(number)
        return self._blocks[at].cells(number - self._starts[at])

    def columns(self, ids: Sequence[str], names: Sequence[str], *, no_others: bool) -> Known:
        """Return the values of some cells of one or more resources, of those all of whose cells are known.

        With `no_others` only of those of which no other cell is known.
        """
        wanted = set(names)
        found = Known([False] * len(ids), [[None] * len(ids) for _ in names])
        for block, asked, places in self._by_block(ids):
            if not block.fits(wanted, no_others=no_others):
                continue
            values = [block.column(name, places, len(asked)) for name in names]
            if len(asked) == len(ids):
                return Known([True] * len(ids), values)
            for at in asked:
                found.is_known[at] = True
            for column, part in zip(found.columns, values, strict=True):
                for at, value in zip(asked, part, strict=True):
                    column[at] = value  # type: ignore[index]
        return found

    def put(self, resource_id: str, cells: Cells) -> None:
        """Record the cells of one resource."""
        self._single[resource_id] = cells

    def add(self, block: Block) -> None:
        """Record the cells of the resources of a block."""
        ids = block.ids
        if len(ids) < _SMALL:
            self._single.update((one, block.cells(at)) for at, one in enumerate(ids))
            return
        for one in ids if self._single else ():
            self._single.pop(one, None)
        self._blocks.append(block)
        self._starts.append(self._size)
        self._size += len(ids)
        self._numbers = None

    def encode(self, ids: set[str]) -> Values:
        """Return all of it to store, with the ids that the source has now."""
        groups: dict[tuple[str, ...], dict[str, Cells]] = {}
        for resource_id, cells in self._single.items():
            groups.setdefault(tuple(cells), {})[resource_id] = cells
        small = (
            block_of(list(rows), ((name, [cells[name] for cells in rows.values()]) for name in names))
            for names, rows in groups.items()
        )
        blocks = [*self._large(), *small]
        known = list(chain.from_iterable(block.ids for block in blocks))
        if len(known) == len(ids) and ids.issuperset(known):
            blocks = [Block([], block.same, block.each, len(block.ids)) for block in blocks]
        else:
            known = sorted(ids)
        return Values(known, msgspec.json.encode(blocks).decode())

    def _by_block(self, ids: Sequence[str]) -> Iterator[tuple[Block, Sequence[int], slice | list[int]]]:
        """Yield blocks, which of `ids` they hold, and where they hold them."""
        numbers = list(map(self._places().get, ids))
        for at, one in enumerate(ids) if self._single else ():
            if one in self._single:
                yield Block([one], self._single[one], {}), [at], [0]
                numbers[at] = None
        asked: dict[int, list[int]] = {}
        known = [number for number in numbers if number is not None]
        if len(known) == len(ids) and self._block_of(min(known)) == self._block_of(max(known)):
            asked[self._block_of(known[0])] = list(range(len(ids)))
        else:
            for at, number in enumerate(numbers):
                if number is not None:
                    asked.setdefault(self._block_of(number), []).append(at)
        for block_at, at_ids in asked.items():
            first = self._starts[block_at]
            places = [number - first for at in at_ids if (number := numbers[at]) is not None]
            run = range(places[0], places[0] + len(places))
            yield (
                self._blocks[block_at],
                at_ids,
                slice(run.start, run.stop) if places == list(run) else places,
            )

    def _block_of(self, number: int) -> int:
        return bisect_right(self._starts, number) - 1

    def _places(self) -> dict[str, int]:
        if self._numbers is None:
            every = chain.from_iterable(block.ids for block in self._blocks)
            self._numbers = dict(zip(every, count(), strict=False))
        return self._numbers

    def _large(self) -> Iterator[Block]:
        """Yield the blocks, without the resources that were recorded again."""
        places, single = self._places(), self._single
        if len(places) == self._size and single.keys().isdisjoint(places):
            yield from self._blocks
            return
        for block, first in zip(self._blocks, self._starts, strict=True):
            ids = block.ids
            left = [at for at, one in enumerate(ids) if places[one] == first + at and one not in single]
            each = {name: [column[at] for at in left] for name, column in block.each.items()}
            if left:
                yield Block([ids[at] for at in left], block.same, each)


def _decoded(values: Values) -> list[Block]:
    ids, text = values
    if not text:
        return []
    try:
        blocks = [
            one if isinstance(one, Block) else _by_column(*one)
            for one in msgspec.json.decode(text, type=Blocks)
        ]
        counted = sum(block.count for block in blocks)
        if counted and counted != len(ids):
            return []
        waiting = iter(ids)
        return [
            replace(one, ids=list(islice(waiting, one.count)), count=0) if one.count else one
            for one in blocks
        ]
    except (msgspec.DecodeError, ValueError):  # another program wrote it: `ven db check` lists it
        return []


def _by_column(names: Sequence[str], rows: dict[str, list[Any]]) -> Block:
    values = list(zip(*rows.values(), strict=True))
    return block_of(list(rows), zip(names, values, strict=True)) if rows else Block([], {}, {})
