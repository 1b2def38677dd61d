"""What a query finds in one database: resources, ids or a number, asked for when they are wanted."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from typing import TypeVar

from venclient.model.resource import Resource
from venclient.registry import rows, selection
from venclient.registry.link import Link
from venclient.registry.query import Query
from venclient.registry.rows import Row
from venclient.registry.statements import PAGE_IDS, Bound, Statements
from venclient.registry.words import words_for

T = TypeVar("T")

#: Makes the objects of a query's rows, leaving out bad rows.
Made = Callable[[Bound, Callable[[Row], T]], list[T]]


class Found:
    """The outcome of a query; each call queries the database again. Iterating it is `iterate()`.

    Invalid rows are left out and named in the database's `rejects`; `count` and `ids` have them.
    """

    def __init__(
        self,
        query: Query,
        link: Link,
        statements: Statements,
        made: Callable[[Bound, Callable[[Row], tuple[int, Resource]]], list[tuple[int, Resource]]],
    ) -> None:
        self.query = query
        self._link = link
        self._sql = statements
        self._made = made
        self._words = words_for(link.dialect)

    def __repr__(self) -> str:
        return f"Found({self.query!r})"

    def __iter__(self) -> Iterator[Resource]:
        return self.iterate()

    def all(self) -> list[Resource]:
        """Return the resources."""
        bound = self._sql.bound(selection.resource_selection(self.query, self._words))
        return [resource for _, resource in self._made(bound, _with_row_id)]

    def iterate(self) -> Iterator[Resource]:
        """Yield the resources a page at a time, which takes little memory: 8 bytes for each.

        Which and in what order is decided at the beginning; what is changed meanwhile comes as it is when
        its turn comes, and what is deleted does not. The database may be written to between two.
        """
        statement = selection.row_id_selection(self.query, self._words)
        ids = array("q", (int(str(row[0])) for row in self._link.rows(*self._sql.bound(statement))))
        for start in range(0, len(ids), PAGE_IDS):
            page = ids[start : start + PAGE_IDS].tolist()
            # One statement for every page: the last is filled up with an id that is there already.
            values = tuple(page + page[-1:] * (PAGE_IDS - len(page)))
            found = dict(self._made(Bound(self._sql.resources_by_row_ids, values), _with_row_id))
            yield from (found[row_id] for row_id in page if row_id in found)

    def ids(self) -> list[str]:
        """Return the resources' ids."""
        statement = selection.resource_id_selection(self.query, self._words)
        return [str(row[0]) for row in self._link.rows(*self._sql.bound(statement))]

    def count(self) -> int:
        """Return how many resources match the conditions, whatever part of them the query asks for."""
        statement = selection.count_selection(self.query, self._words)
        return int(str(self._link.rows(*self._sql.bound(statement))[0][0]))


def _with_row_id(row: Row) -> tuple[int, Resource]:
    return int(row[0]), rows.decode_resource(row)
