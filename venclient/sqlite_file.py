"""Opens the SQLite files that the service writes while it runs (readings, outbox), the same way each time."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import apsw

from venclient.errors import StoreError
from venclient.messages import registry_files as dbf
from venclient.read_only import is_read_only, readable, refusal_of

BUSY_TIMEOUT_MS = 5_000
#: With less room than this SQLite cannot open a file.
LEAST_ROOM = 2**18
#: What belongs to a database: its file, its log, and the index of that.
SIDE_FILES = ("", "-wal", "-shm")


def open_sqlite(path: Path | str, *, read_only: bool = False) -> apsw.Connection:
    """Return a connection to `path`, created with mode 0600 and its folder when missing.

    The file is in WAL mode (readers never wait for the writer) with synchronous=FULL: what we
    acknowledge to a broker or count as sent must survive a power cut. StoreError says why not.
    """
    path = Path(path)
    try:
        if not read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        else:
            connection = connect_to_read(path)
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        # Our files have no triggers: one that another program left there does not run.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
        connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        if not read_only:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
    except (OSError, apsw.Error, sqlite3.Error) as error:
        reason = refusal_of(error)
        what = dbf.CANNOT_OPEN(problem=error) if reason is None else dbf.STORE_READ_ONLY(reason=reason)
        raise StoreError(what, subject=str(path)) from error
    return connection


def is_full(error: BaseException | None, path: Path) -> bool:
    """True when an error, or what it came from, says that the disk of `path` is full."""
    while error is not None:
        if isinstance(error, apsw.FullError):
            return True
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if isinstance(error, apsw.IOError | apsw.CantOpenError):
            return not has_room(path)  # SQLite cannot make its side files
        error = error.__cause__
    return False


def has_room(path: Path) -> bool:
    """Return False when the disk of `path` is too full for SQLite to make the files that it needs."""
    try:
        disk = os.statvfs(path.absolute().parent)
    except OSError:
        return True
    return disk.f_bavail * disk.f_frsize >= LEAST_ROOM and disk.f_favail > 0


def connect_to_read(path: Path) -> apsw.Connection:
    """Return a read-only connection, also where nothing can be written; apsw.Error comes through."""
    if not is_read_only(path):
        return apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    found = readable(path)
    try:
        connection = apsw.Connection(found.uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    finally:
        found.close()  # a temporary copy stays readable while it is open
    found.report()
    return connection


def quarantined(path: Path, now: datetime) -> Path:
    """Move a damaged file out of the way, its log with it; return its new name, which holds the time."""
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    for number in count():
        aside = path.with_name(f"{path.name}.corrupt-{stamp}{f'-{number}' if number else ''}")
        if not aside.exists():
            break
    for suffix in SIDE_FILES:
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    return aside
