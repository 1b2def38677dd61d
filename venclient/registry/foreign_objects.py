"""Triggers, views, indexes and tables in a registry file that this program did not make.

A trigger of another program would run unseen with each change of ours: `guard` has SQLite refuse such
a change.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from venclient.messages import Text
from venclient.messages import registry_files as dbf
from venclient.messages.printable import foreign
from venclient.registry.rows import MOST_CELL
from venclient.registry.schema import metadata

#: Triggers of migration 0003, which keep the record of changes as it was written.
_OUR_TRIGGERS = {
    f"changes_no_{verb.lower()}": f"CREATE TRIGGER changes_no_{verb.lower()} BEFORE {verb} ON changes"
    " BEGIN SELECT RAISE(ABORT, 'changes are never changed'); END"
    for verb in ("UPDATE", "DELETE")
}
_OBJECTS = "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master ORDER BY type, name"
#: Columns that grow with the files that were imported.
_MAY_BE_LARGE = frozenset({("import_sources", "resource_ids"), ("import_sources", "imported_values")})
_NAMED = 20


class Found(NamedTuple):
    """One object of the schema: "trigger", "view", "index" or "table", its name, table and statement."""

    kind: str
    name: str
    table: str
    sql: str


def triggers(driver: sqlite3.Connection) -> list[str]:
    """Return the names of triggers that are not ours."""
    return [one.name for one in _objects(driver) if one.kind == "trigger" and not _is_our_trigger(one)]


def guard(driver: sqlite3.Connection) -> None:
    """Have SQLite refuse statements that would run a trigger of another program."""
    names = frozenset(triggers(driver))
    if not names:
        return

    def judge(_action: int, _one: object, _two: object, _base: object, trigger: str | None) -> int:
        return sqlite3.SQLITE_DENY if trigger in names else sqlite3.SQLITE_OK

    driver.set_authorizer(judge)


def findings(driver: sqlite3.Connection) -> tuple[list[Text], list[Text]]:
    """Return problems (triggers, views under our names, triggers of ours that are missing) and notes."""
    problems: list[Text] = []
    notes: list[Text] = []
    indexes = {index.name for table in metadata.tables.values() for index in table.indexes}
    found = _objects(driver)
    for one in found:
        name, table = foreign(one.name), foreign(one.table)
        virtual = one.sql[:40].split()[:2] == ["CREATE", "VIRTUAL"]
        if one.kind == "trigger" and not _is_our_trigger(one):
            problems.append(dbf.FOREIGN_TRIGGER(name=name, table=table))
        elif one.kind == "view" and one.name in metadata.tables:
            problems.append(dbf.VIEW_AS_TABLE(name=name))
        elif one.kind == "view":
            notes.append(dbf.FOREIGN_VIEW(name=name))
        elif one.kind == "table" and one.name in metadata.tables and virtual:
            problems.append(dbf.VIEW_AS_TABLE(name=name))
        elif one.kind == "table" and not _is_known_table(one.name):
            notes.append(dbf.FOREIGN_TABLE(name=name))
        elif one.kind == "index" and one.sql and one.name not in indexes and one.table in metadata.tables:
            kind = dbf.FOREIGN_UNIQUE_INDEX if " UNIQUE " in one.sql[:20].upper() else dbf.FOREIGN_INDEX
            (problems if kind is dbf.FOREIGN_UNIQUE_INDEX else notes).append(kind(name=name, table=table))
    ours = {one.name for one in found if one.kind == "trigger" and _is_our_trigger(one)}
    if any(one.name == "changes" for one in found):
        problems += [dbf.MISSING_TRIGGER(name=name) for name in sorted(_OUR_TRIGGERS.keys() - ours)]
    return problems[:_NAMED], notes[:_NAMED]


def oversized(driver: sqlite3.Connection, tables: set[str]) -> Iterator[Text]:
    """Yield a problem for each cell of more than 1 MB, in columns that do not grow with imported files."""
    for name in sorted(tables & metadata.tables.keys()):
        table = metadata.tables[name]
        (key,) = table.primary_key
        columns = {row[1] for row in driver.execute(f'PRAGMA table_info("{name}")')}
        for column in table.columns:
            if column.name not in columns or (name, column.name) in _MAY_BE_LARGE:
                continue
            sql = (
                f'SELECT "{key.name}", length("{column.name}") FROM "{name}"'  # noqa: S608 - our own names
                f' WHERE length("{column.name}") > {MOST_CELL} LIMIT {_NAMED}'
            )
            for row_id, size in driver.execute(sql):
                row = foreign(row_id)
                yield dbf.OVERSIZED_CELL(table=name, row=row, column=column.name, size=size, most=MOST_CELL)


def _objects(driver: sqlite3.Connection) -> list[Found]:
    return [Found(*map(str, row)) for row in driver.execute(_OBJECTS)]


def _is_our_trigger(one: Found) -> bool:
    return one.sql == _OUR_TRIGGERS.get(one.name)


def _is_known_table(name: str) -> bool:
    return name in metadata.tables or name == "alembic_version" or name.startswith("sqlite_")
