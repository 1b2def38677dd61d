"""A look at a database file as it is, without changing it: is it sound, which version, what is in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from venclient.errors import NotFound
from venclient.messages import Text
from venclient.messages import registry_files as dbf
from venclient.messages.printable import foreign
from venclient.registry.copies import open_as_is
from venclient.registry.foreign_objects import findings, oversized
from venclient.registry.opening import open_link, shown
from venclient.registry.schema import HEAD, metadata
from venclient.registry.sqlite_link import decoded, lets_others_in, said
from venclient.registry.upgrade import KNOWN, version

_SHOWN = 20
_TABLES = ("connections", "resources")
_USED = (
    "SELECT connection_id FROM resources"
    " UNION SELECT control_connection_id FROM resources WHERE control_connection_id IS NOT NULL"
)
#: What SQLite's check says about values, in a file whose pages are in order.
_CONTENT = ("NULL value ", "NUMERIC value ", "TEXT value ", "non-unique entry ", "CHECK ")
#: What an `Inspection` counts.
_COUNTS = {
    "resources": "SELECT count(*) FROM resources",
    "connections": "SELECT count(*) FROM connections",
    "unused_connections": "SELECT count(*) FROM connections WHERE id NOT IN ({used})",
}


@dataclass
class Inspection:
    """What was found in a file; `problems` is empty when all is well. `version` None: first generation.

    `changes` is how many are recorded. `notes` are findings that may be intended but are worth knowing.
    `damage` are those problems that keep the file from being used at all. `readable` says how many rows of
    each table a damaged file still gives. `missing_tables` lack in a file that can be used without them.
    """

    path: str
    bytes: int
    version: str | None
    log_bytes: int = 0
    unused_bytes: int = 0
    resources: int = 0
    connections: int = 0
    unused_connections: int = 0
    changes: int = 0
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    readable: dict[str, int] = field(default_factory=dict)
    missing_tables: list[str] = field(default_factory=list)

    @property
    def is_current(self) -> bool:
        """Return whether the file needs no upgrade by this program."""
        return self.version == HEAD


def inspect(path: Path, *, missing: Text | None = None) -> Inspection:
    """Return what the file at `path` holds; NotFound, with the message `missing`, when there is none.

    RegistryError when it is not a database.
    """
    if not path.is_file():
        what = dbf.IS_FOLDER() if path.is_dir() else missing or dbf.NOT_THERE()
        raise NotFound(what, subject=str(path))
    try:
        return _looked_at(path)
    except sqlite3.Error as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_CORRUPT:
            with suppress(sqlite3.Error):
                return _looked_at(path, damaged=True)
        raise said(error, path) from error


def _looked_at(path: Path, *, damaged: bool = False) -> Inspection:
    with closing(open_as_is(path, read_only=True, damaged=damaged)) as driver, decoded():
        return _inspected(driver, path)


def inspect_server(url: str) -> Inspection:
    """Look at the PostgreSQL database of a URL, which checks its rows and references by itself.

    NotFound when it holds no registry, RegistryError when it cannot be reached.
    """
    with closing(open_link(url, upgraded=False)) as link:
        tables = ("connections", "resources", "changes", "reporting_status", "import_sources")
        present = [name for name in tables if link.rows("SELECT to_regclass(%s)", (name,))[0][0] is not None]
        if not set(_TABLES) <= set(present):
            raise NotFound(dbf.NO_REGISTRY(), subject=shown(url))
        sizes = (link.rows("SELECT pg_total_relation_size(%s::regclass)", (name,)) for name in present)
        found = Inspection(shown(url), sum(int(str(size[0][0])) for size in sizes), None)
        if link.rows("SELECT to_regclass('alembic_version')")[0][0] is not None:
            stored = link.rows("SELECT max(version_num) FROM alembic_version")[0][0]
            found.version = None if stored is None else str(stored)
        _check_version(found)
        if found.is_current:
            for name, sql in _COUNTS.items():
                setattr(found, name, int(str(link.rows(sql.format(used=_USED))[0][0])))
            found.changes = int(str(link.rows("SELECT count(*) FROM changes")[0][0]))
    return found


def readable_rows(driver: sqlite3.Connection, table: str) -> Iterator[sqlite3.Row | tuple[object, ...]]:
    """Return the rows of a table that can be read, whatever is damaged between them, in the order of ids."""
    last = 0
    step = 1
    query = f"SELECT * FROM {table} WHERE id >= ? ORDER BY id"  # noqa: S608
    try:
        highest = driver.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()[0]
    except (sqlite3.Error, TypeError):
        highest = 10_000_000
    while last < highest:
        first = last + step
        with suppress(sqlite3.DatabaseError):
            for row in driver.execute(query, (first,)):
                if row[0] < first or row[0] <= last:  # damage that leads back to rows that were read
                    break
                last, step = row[0], 1
                yield row
            else:
                return
        # Behind the damage there may be more: look further and further on.
        if first > highest:
            return
        step *= 2


def _inspected(driver: sqlite3.Connection, path: Path) -> Inspection:
    found = Inspection(str(path), path.stat().st_size, version(driver))
    log = Path(f"{path}-wal")
    found.log_bytes = log.stat().st_size if log.exists() else 0
    if note := lets_others_in(path):
        found.notes.append(note)
    _check_version(found)
    if found.damage:
        return found
    page, free = (driver.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "freelist_count"))
    found.unused_bytes = page * free
    for text in _integrity(driver):
        # A value against a rule of its table harms nothing else: the file can be used and checked.
        kind = found.problems if text.startswith(_CONTENT) else found.damage
        kind.append(dbf.INTEGRITY(problem=foreign(text)))
    tables = {row[0] for row in driver.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    missing = set(_TABLES) - tables
    if missing:
        found.damage.append(dbf.NO_TABLE(tables=missing))
    elif found.damage:
        found.readable = {table: sum(1 for _ in readable_rows(driver, table)) for table in _TABLES}
        rows = [dbf.ROWS_OF(count=count, table=table) for table, count in found.readable.items()]
        found.damage.append(dbf.STILL_READABLE(rows=rows))
    found.problems += found.damage
    if found.damage:
        return found
    if found.is_current:
        found.missing_tables = sorted(metadata.tables.keys() - tables)
    if found.missing_tables:
        found.problems.append(dbf.NO_TABLE(tables=found.missing_tables))
    for table, row_id, parent, _ in driver.execute("PRAGMA foreign_key_check").fetchall():
        row = foreign(_key_of(driver, table, row_id))
        found.problems.append(dbf.DANGLING(table=table, row=row, parent=parent))
    problems, notes = findings(driver)
    found.problems += [*problems, *oversized(driver, tables)]
    found.notes += notes
    used = _USED if found.is_current else _USED.partition(" UNION ")[0]
    for name, sql in _COUNTS.items():
        setattr(found, name, driver.execute(sql.format(used=used)).fetchone()[0])
    if "changes" in tables:
        found.changes = driver.execute("SELECT count(*) FROM changes").fetchone()[0]
    return found


def _check_version(found: Inspection) -> None:
    if found.version is not None and found.version not in KNOWN:
        found.damage.append(dbf.NEWER_FOUND(found=foreign(found.version), known=HEAD))
        found.problems += found.damage


def _key_of(driver: sqlite3.Connection, table: str, row_id: int) -> object:
    """Return the key of a row by which people find it: not each is a number."""
    known = metadata.tables.get(table)
    if known is None:
        return row_id
    (key,) = known.primary_key
    sql = f'SELECT "{key.name}" FROM "{table}" WHERE rowid = ?'  # noqa: S608 - names of our own tables
    found = driver.execute(sql, (row_id,)).fetchone()
    return found[0] if found else row_id


def _integrity(driver: sqlite3.Connection) -> list[str]:
    try:
        texts = [str(text) for (text,) in driver.execute(f"PRAGMA integrity_check({_SHOWN})")]
    except sqlite3.DatabaseError as error:  # so damaged that not even the check goes through
        return [str(error)]
    lines = (line for text in texts for line in text.splitlines())
    return [line for line in lines if line != "ok" and not line.startswith("*** ")][:_SHOWN]
