"""Resources as a table for people: what fits into the terminal, the most useful columns first."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table

from venclient.model.resource import Resource
from venclient.registry.geometry import distance_km, position
from venclient.registry.query import Query
from venclient.screen import cell

_GAP = 2
_EDGES = 2
_UNBOUNDED = 10_000


class Column(NamedTuple):
    """A column: its title, what it shows, what its cells may be cut to, and whether it is a number."""

    title: str
    cell: Callable[[Resource], str]
    least: int | None = None
    is_number: bool = False


def print_table(found: Sequence[Resource], query: Query, total: int) -> None:
    """Print resources and how many there are; `total` counts those beyond the query's limit too."""
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=_UNBOUNDED)  # a program or a file reads it: nothing is cut
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
    shown = _fitting(_columns(query, found), found, console.width - _EDGES)
    for column, width in shown:
        justify: JustifyMethod = "right" if column.is_number else "left"
        table.add_column(column.title, justify=justify, no_wrap=True, overflow="ellipsis", width=width)
    for one in found:
        # Names are data, not markup: one in square brackets must show as it is.
        table.add_row(*(cell(column.cell(one)) for column, _ in shown))
    if found:
        console.print(table)
    more = f" of {total}" if total != len(found) else ""
    what = "resource" if total == 1 else "resources"
    console.print(cell(f"{len(found)}{more} {what}"), highlight=False)


def _columns(query: Query, found: Sequence[Resource]) -> list[Column]:
    """Return the columns, the most useful first."""
    columns = [
        Column("id", lambda one: one.resourceID),
        Column("name", lambda one: one.resourceName, least=14),
        Column("type", lambda one: one.resourceType),
        Column("VEN", lambda one: one.ven or "-", least=8),
    ]
    if query.around is not None:
        point = (query.around.latitude, query.around.longitude)
        columns.insert(3, Column("km", lambda one: _km(one, point), is_number=True))
    if any(one.enabled is False for one in found):
        columns.insert(3, Column("on", lambda one: "no" if one.enabled is False else "yes"))
    return [
        *columns,
        Column("P max kW", lambda one: _number(one.capacities.get("P_max_kw")), is_number=True),
        Column("sub-type", lambda one: one.resourceSubType or "-", least=8),
        Column("connection", lambda one: one.connection.endpoint, least=16),
    ]


def _fitting(columns: list[Column], found: Sequence[Resource], room: int) -> list[tuple[Column, int]]:
    """Return the columns that fit legibly, with their widths; the id is always included."""
    shown: list[tuple[Column, int]] = []
    for column in columns:
        whole = _width(column, found)
        least = whole if column.least is None else min(whole, column.least)
        if shown and least + _GAP > room:
            break
        shown.append((column, least))
        room -= least + (_GAP if len(shown) > 1 else 0)
    for at, (column, width) in enumerate(shown):
        more = min(max(room, 0), _width(column, found) - width)
        shown[at] = (column, width + more)
        room -= more
    return shown


def _width(column: Column, found: Sequence[Resource]) -> int:
    return max([len(column.title), *(cell(column.cell(one)).cell_len for one in found)])


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else "-" if value is None else str(value)


def _km(one: Resource, point: tuple[float, float]) -> str:
    place = position(one.location)
    return "-" if place is None else f"{distance_km(*point, *place):.1f}"
