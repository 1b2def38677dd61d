"""Moves a registry from one database to another, SQLite or PostgreSQL: row by row, verified, all or nothing.

What is copied is the tables as they are (ids, times, history, sealed passwords), not what the API makes of
them; the next ids go on where the source's stopped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from sqlalchemy import Column, Integer, Table, delete, func, select

from venclient.errors import ConfigError, Conflict, InvalidRecord, NotFound, RegistryError
from venclient.messages import registry_files as dbf
from venclient.messages import text_of
from venclient.messages.printable import foreign
from venclient.registry.cells import converted, placed
from venclient.registry.copying_ends import End, end_of
from venclient.registry.link import Link, RowRefused
from venclient.registry.opening import is_url, open_link, shown, statements_for
from venclient.registry.row_checks import pages
from venclient.registry.schema import metadata

_SHOWN = 20
_INT32 = 2**31
_HASH_SIZE = 2**256

#: Told the table, how many of its rows are copied, and how many there are.
Progress: TypeAlias = Callable[[str, int, int], None]


@dataclass
class TableCopy:
    """How many rows a table has, and the hash of their contents, whatever their order."""

    rows: int = 0
    digest: str = ""


@dataclass
class CopyReport:
    """What was copied: table -> count and hash, the same in source and target."""

    source: str
    target: str
    replaced: int = 0
    tables: dict[str, TableCopy] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def copy_registry(
    source: str | Path, target: str | Path, *, replace: bool = False, progress: Progress | None = None
) -> CopyReport:
    """Copy all of one registry into another, each a file or a PostgreSQL URL.

    Both are brought to the newest schema first. Conflict when the target holds anything, unless `replace`,
    which deletes that. InvalidRecord lists what the target cannot hold. In each of these cases, and when
    what arrived is not what was sent, the target keeps what it had.
    """
    _check_apart(source, target)
    with closing(open_link(source)) as from_link, closing(open_link(target)) as to_link:
        return _Copy(from_link, to_link, shown(source), shown(target), progress).run(replace)


def content(database: str | Path) -> dict[str, TableCopy]:
    """Return count and hash of each table: equal for two registries that hold the same, of either kind."""
    with closing(open_link(database)) as link, end_of(link).snapshot():
        return {table.name: _summed(link, table) for table in metadata.sorted_tables}


def _check_apart(source: str | Path, target: str | Path) -> None:
    if not is_url(source) and not Path(source).is_file():
        raise NotFound(dbf.NO_SOURCE(), subject=str(source))
    same = shown(source) == shown(target)
    if not same and not is_url(source) and not is_url(target) and Path(target).exists():
        same = Path(source).samefile(target)
    if same:
        raise ConfigError(dbf.ONTO_ITSELF(), subject=shown(source))


class _Copy:
    """One copy under way."""

    def __init__(
        self, source: Link, target: Link, source_name: str, target_name: str, progress: Progress | None
    ) -> None:
        self._source = source
        self._target = target
        self._report = CopyReport(source_name, target_name)
        self._progress = progress or (lambda *_: None)
        self._problems: list[str] = []

    def run(self, replace: bool) -> CopyReport:
        """Copy everything in one transaction at the target, out of one state of the source."""
        from_end, to_end = end_of(self._source), end_of(self._target)
        with from_end.snapshot(), self._target.transaction():
            self._make_room(replace, to_end)
            with to_end.triggers_off():
                for table in metadata.sorted_tables:
                    self._copy_table(table)
                    if self._problems:
                        continue  # the other tables are only checked: all problems are listed at once
                    if any(column.name == "id" for column in table.primary_key):
                        to_end.set_last_id(table.name, from_end.last_id(table.name))
                self._refuse_problems()
            self._verify()
        return self._report

    def _make_room(self, replace: bool, end: End) -> None:
        counts = {table.name: _count(self._target, table) for table in metadata.sorted_tables}
        held = {name: count for name, count in counts.items() if count}
        if not held:
            return
        if not replace:
            rows = [dbf.ROWS_OF(count=count, table=name) for name, count in held.items()]
            raise Conflict(dbf.TARGET_NOT_EMPTY(held=rows), subject=self._report.target)
        self._report.replaced = sum(held.values())
        sql = statements_for(self._target.dialect)
        with end.triggers_off():
            for table in reversed(metadata.sorted_tables):
                self._target.driver().execute(sql.bound(delete(table)).sql)

    def _copy_table(self, table: Table) -> None:
        total = _count(self._source, table)
        self._check_references(table)
        self._check_unique(table)
        sql = statements_for(self._target.dialect)
        inserting = sql.insert_into(table)
        copied = TableCopy()
        hashes = 0
        for page in pages(self._source, table):
            rows = [row for raw in page if (row := self._checked(table, raw)) is not None]
            if not self._problems:
                try:
                    self._target.insert_rows(inserting, rows)
                except RowRefused as error:
                    at = foreign(rows[error.at][0])
                    self._say(dbf.ROW_REFUSED(table=table.name, row=at, problem=error))
            hashes = (hashes + sum(map(_hashed, rows))) % _HASH_SIZE
            copied.rows += len(page)
            self._progress(table.name, copied.rows, total)
        copied.digest = _digest(hashes)
        self._report.tables[table.name] = copied

    def _refuse_problems(self) -> None:
        """Raise InvalidRecord with the problems of all tables, if there are any."""
        if not self._problems:
            return
        raise InvalidRecord(
            dbf.COPY_REFUSED(
                count=len(self._problems), source=self._report.source, problems="; ".join(self._problems)
            ),
            subject=self._report.target,
            problems=tuple(self._problems),
        )

    def _checked(self, table: Table, raw: tuple[object, ...]) -> tuple[Any, ...] | None:
        """Return the row as any database can hold it; None when one of its cells is invalid."""
        row = []
        known = len(self._problems)
        for column, cell in zip(table.columns, raw, strict=True):
            try:
                row.append(converted(column, cell))
                self._check_fits(cell)
            except ValueError as error:
                self._say(placed(table, raw[0], column.name, text_of(error)))
            if isinstance(cell, str) and "\ufffd" in cell and len(self._report.notes) < _SHOWN:
                note = dbf.NOT_UTF8(table=table.name, row=foreign(raw[0]), column=column.name)
                self._report.notes.append(note)
        return tuple(row) if len(self._problems) == known else None

    def _check_fits(self, cell: object) -> None:
        """Raise ValueError when the target cannot store a cell that SQLite can."""
        if self._target.dialect.name == "sqlite":
            return
        if isinstance(cell, str) and "\0" in cell:
            raise ValueError(dbf.HAS_NUL())
        if isinstance(cell, int) and not -_INT32 <= cell < _INT32:
            raise ValueError(dbf.TOO_LARGE(value=cell))

    def _check_references(self, table: Table) -> None:
        """Report the rows with a missing reference, which SQLite lets other programs write."""
        sql = statements_for(self._source.dialect)
        first = next(iter(table.primary_key))
        for key in table.foreign_keys:
            parent = key.column.table.alias("parent")
            referred = parent.c[key.column.name]
            joined = table.outerjoin(parent, key.parent == referred)
            query = select(first).select_from(joined).where(key.parent.is_not(None), referred.is_(None))
            for (row_id,) in self._source.rows(*sql.bound(query)):
                self._say(
                    dbf.LOST_PARENT(
                        table=table.name,
                        row=foreign(row_id),
                        column=key.parent.name,
                        parent=key.column.table.name,
                    )
                )

    def _check_unique(self, table: Table) -> None:
        """Report the rows with duplicates of a unique value: files without that rule have some."""
        sql = statements_for(self._source.dialect)
        first = next(iter(table.primary_key))
        for column in table.columns:
            if not (column.unique or (column.primary_key and not isinstance(column.type, Integer))):
                continue
            twice = select(column).group_by(column).having(func.count() > 1)
            query = select(first, column).where(column.in_(twice)).order_by(column)
            for row_id, value in self._source.rows(*sql.bound(query)):
                self._say(
                    dbf.DUPLICATE(
                        table=table.name, row=foreign(row_id), column=column.name, value=foreign(value)
                    )
                )

    def _verify(self) -> None:
        for table in metadata.sorted_tables:
            sent, arrived = self._report.tables[table.name], _summed(self._target, table)
            if sent != arrived:
                what = dbf.NOT_VERIFIED(sent=sent.rows, table=table.name, arrived=arrived.rows)
                raise RegistryError(what, subject=self._report.target)

    def _say(self, problem: str) -> None:
        self._problems.append(problem)


def _count(link: Link, table: Table) -> int:
    bound = statements_for(link.dialect).bound(select(func.count()).select_from(table))
    return int(str(link.rows(*bound)[0][0]))


def _summed(link: Link, table: Table) -> TableCopy:
    found = TableCopy()
    hashes = 0
    for page in pages(link, table):
        found.rows += len(page)
        for raw in page:
            hashes += _hashed(tuple(_or_raw(*pair) for pair in zip(table.columns, raw, strict=True)))
    found.digest = _digest(hashes)
    return found


def _or_raw(column: Column[Any], cell: object) -> object:
    try:
        return converted(column, cell)
    except ValueError:
        return cell


def _hashed(row: tuple[Any, ...]) -> int:
    return int.from_bytes(hashlib.sha256(repr(row).encode("utf-8", "surrogatepass")).digest())


def _digest(hashes: int) -> str:
    """Return the sum of the rows' hashes: databases put text keys in different orders."""
    return f"{hashes % _HASH_SIZE:064x}"
