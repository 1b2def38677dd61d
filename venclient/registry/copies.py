"""Makes a copy of a database file that is consistent, checked, and there whole or not at all."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from venclient.errors import Conflict, RegistryError
from venclient.messages import registry_files as dbf
from venclient.read_only import is_read_only, readable
from venclient.registry.link import BUSY_TIMEOUT_MS
from venclient.registry.sqlite_link import decoded, said
from venclient.secrets import sync_folder

_COUNTED = ("resources", "connections")


@dataclass(frozen=True)
class Copy:
    """A copy that was checked: where it is, its size, and how many rows the two main tables have."""

    path: Path
    bytes: int
    resources: int
    connections: int


def open_as_is(path: Path, *, read_only: bool = False, damaged: bool = False) -> sqlite3.Connection:
    """Return a connection to a file that is there, in whatever journal mode it is; nothing is set up.

    It can be read also where nothing can be written, not even what SQLite shares between readers. A file that
    lost its end, which SQLite refuses as a whole, is opened when it is called `damaged`.
    """
    if is_read_only(path):
        found = readable(path)
        try:
            driver = _connected(found.uri, damaged)
            with decoded():
                driver.execute("SELECT count(*) FROM sqlite_master").fetchone()
        finally:
            found.close()  # a temporary copy stays readable while it is open
        found.report()
        return driver
    driver = _connected(f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}", damaged)
    try:
        with decoded():
            driver.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        driver.close()
        raise
    # What others committed stays in the log until it may be moved: see checkpoints.py.
    driver.execute("PRAGMA wal_autocheckpoint = 0")
    return driver


def _connected(uri: str, damaged: bool) -> sqlite3.Connection:
    driver = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000)
    if damaged:  # SQLite then takes the size of the file in place of the one in its header
        driver.execute("PRAGMA writable_schema = ON")
    return driver


def copy_database(source: Path, target: Path) -> Copy:
    """Copy a database while others may write to it; the copy is one moment of it, mode 0600, without a log.

    It appears under its name only when it passed SQLite's integrity check and has the rows of that moment.
    RegistryError says why there is none; Conflict when `target` is there already.
    """
    if target.exists():
        raise Conflict(dbf.COPY_THERE(), subject=str(target))
    part = target.with_name(f".{target.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600))
    except OSError as error:
        raise said(error, target) from error
    try:
        counts = _copied(source, part, target)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        raise said(error, target) from error
    finally:
        for leftover in (part, Path(f"{part}-journal")):
            leftover.unlink(missing_ok=True)
    return Copy(target, target.stat().st_size, *counts)


def count_rows(driver: sqlite3.Connection) -> tuple[int, int]:
    """Return how many resources and connections there are; 0 of a table that is missing."""
    tables = {row[0] for row in driver.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    found = [
        driver.execute(f"SELECT count(*) FROM {name}").fetchone()[0] if name in tables else 0  # noqa: S608
        for name in _COUNTED
    ]
    return found[0], found[1]


def stamp(now: datetime) -> str:
    """Return a moment as part of a file name: 20260131T235959Z; such names sort by time."""
    return now.strftime("%Y%m%dT%H%M%SZ")


def free_name(path: Path) -> Path:
    """Return `path`, or with -2, -3, ... behind it the first that is free."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


def _copied(source: Path, part: Path, target: Path) -> tuple[int, int]:
    """Fill `part` and check it; return its row counts."""
    try:
        reader = open_as_is(source)
    except sqlite3.Error as error:
        raise said(error, source) from error
    with closing(reader), closing(sqlite3.connect(part, isolation_level=None)) as writer:
        try:
            # One read transaction: the counts and the pages are of the same moment.
            reader.execute("BEGIN")
            wanted = count_rows(reader)
        except sqlite3.Error as error:
            raise said(error, source) from error
        try:
            reader.backup(writer)
            # One file, without a log beside it, that can be read from a read-only medium.
            writer.execute("PRAGMA journal_mode = DELETE")
            faults = [text for (text,) in writer.execute("PRAGMA integrity_check(5)") if text != "ok"]
            got = (0, 0) if faults else count_rows(writer)
        except sqlite3.Error as error:
            raise said(error, target) from error
        finally:
            with suppress(sqlite3.Error):
                reader.execute("ROLLBACK")
    if faults:
        raise RegistryError(dbf.COPY_DAMAGED(faults="; ".join(faults)), subject=str(source))
    if got != wanted:
        raise RegistryError(dbf.COPY_DIFFERS(wanted=wanted, got=got), subject=str(source))
    return got
