"""The rows of all tables, page by page, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from sqlalchemy import Table, select

from venclient.registry.cells import row_problems
from venclient.registry.link import Link
from venclient.registry.opening import open_link, statements_for
from venclient.registry.schema import metadata

_CHUNK = 1_000


def pages(link: Link, table: Table) -> Iterator[list[tuple[object, ...]]]:
    """Yield the rows of a table in the order of its key, at most 1,000 at a time."""
    sql = statements_for(link.dialect)
    (key,) = table.primary_key
    at = list(table.columns).index(key)
    query = select(*table.columns).order_by(key).limit(_CHUNK)
    page = link.rows(*sql.bound(query))
    while page:
        yield page
        page = link.rows(*sql.bound(query.where(key > page[-1][at])))


def problems_of_rows(database: str | Path, missing: frozenset[str] = frozenset()) -> list[str]:
    """Return a problem for each cell that cannot be read, of all tables but the `missing` ones.

    The database must have the current schema.
    """
    with closing(open_link(database, upgraded=False)) as link:
        return [
            problem
            for table in metadata.sorted_tables
            if table.name not in missing
            for page in pages(link, table)
            for row in page
            for problem in row_problems(table, row)
        ]
