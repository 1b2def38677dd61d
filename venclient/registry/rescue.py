"""Saves what can still be read of a damaged database file into a new one."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from venclient.errors import Conflict, NotFound, RegistryError
from venclient.messages import registry_files as dbf
from venclient.read_only import is_read_only
from venclient.registry.copies import open_as_is
from venclient.registry.inspection import readable_rows
from venclient.registry.schema import metadata
from venclient.registry.sqlite_link import decoded, open_driver, said
from venclient.registry.upgrade import upgrade


def rescue(damaged: Path, target: Path) -> dict[str, int]:
    """Copy the readable rows of `damaged` to a new database at `target`; return how many of each table.

    `damaged` is only read. A resource whose connection is lost is saved all the same, and named by
    `ven db check`. RegistryError when nothing can be read, or `target` cannot be written (it is not left
    behind then); Conflict when `target` is there.
    """
    if not damaged.is_file():
        raise NotFound(dbf.NOT_THERE(), subject=str(damaged))
    if target.exists():
        raise Conflict(dbf.COPY_THERE(), subject=str(target))
    try:
        with decoded(), closing(_reader(damaged)) as reader:
            columns = {
                table.name: [row[1] for row in reader.execute(f'PRAGMA table_info("{table.name}")')]
                for table in metadata.sorted_tables
            }
            if not columns["resources"] and not columns["connections"]:
                raise RegistryError(dbf.NO_TABLES(), subject=str(damaged))
            return _rescued(reader, target, columns)
    except sqlite3.Error as error:
        raise said(error, damaged) from error


def _reader(damaged: Path) -> sqlite3.Connection:
    """Return a connection that checks nothing, since the file may be damaged from its first page on."""
    if is_read_only(damaged):
        return open_as_is(damaged, read_only=True, damaged=True)
    reader = sqlite3.connect(f"{damaged.absolute().as_uri()}?mode=ro", uri=True)
    reader.execute("PRAGMA writable_schema = ON")  # see open_as_is
    return reader


def _rescued(reader: sqlite3.Connection, target: Path, columns: dict[str, list[str]]) -> dict[str, int]:
    """Fill a new database; half of one is not left behind when that fails."""
    try:
        upgrade(target)
        with closing(open_driver(target)) as writer:
            return _saved(reader, writer, columns)
    except BaseException as error:
        for ending in ("", "-wal", "-shm", "-journal"):
            with suppress(OSError):
                Path(f"{target}{ending}").unlink()
        if isinstance(error, sqlite3.Error):
            raise said(error, target) from error
        raise


def _saved(
    reader: sqlite3.Connection, writer: sqlite3.Connection, columns: dict[str, list[str]]
) -> dict[str, int]:
    writer.execute("PRAGMA foreign_keys = OFF")  # what a row refers to may be what was lost
    writer.execute("BEGIN IMMEDIATE")
    saved: dict[str, int] = {}
    for table, names in columns.items():
        if not names or names[0] != "id":
            continue
        known = [name for name in names if name in metadata.tables[table].columns]
        places = [names.index(name) for name in known]
        sql = (
            f"INSERT OR IGNORE INTO {table} ({', '.join(known)})"  # noqa: S608
            f" VALUES ({', '.join('?' * len(known))})"
        )
        count = 0
        for row in readable_rows(reader, table):
            count += max(0, writer.execute(sql, [row[place] for place in places]).rowcount)
        saved[table] = count
    writer.execute("COMMIT")
    return saved
