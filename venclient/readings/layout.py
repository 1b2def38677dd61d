"""How the readings file is laid out; making it, upgrading it, and saying why it cannot be used.

    reading(k, v, q, m)       k = milliseconds since 1970 << 20 | series id: one number that sorts by time;
                              m = which message of a broker it came in, where that has no time (`marks.py`)
    segment(k, last_ms, ...)  k = series id << 43 | first millisecond: history, compressed (`segments.py`)
    quarter(k, ...)           k = quarters of an hour since 1970 << 20 | series id (`quarters.py`)
    series                    what a series id means, and its newest key at or before the horizon
    bookmark                  where each source was when the readings beside it were committed
    late                      keys that came in while older ones were being compressed
    wear                      bytes written and readings taken, by day since 1970
    aside, aside_point        quarantined readings, with the reason (`aside.py`)
    readings                  a view of `reading` for people and other programs

Readings come in at the end of `reading`, in time order: least wear on a memory card. Twice a day those
that have settled are copied into segments, each of one series and one day, which never overlap; then
`reading` is emptied of them. What is in both is the same, or the later word is in `reading`.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw

from venclient.errors import StoreError
from venclient.messages import readings as rdg
from venclient.messages import registry_files as dbf
from venclient.read_only import refusal_of
from venclient.sqlite_file import BUSY_TIMEOUT_MS, connect_to_read

SERIES_BITS = 20
SERIES_MASK = (1 << SERIES_BITS) - 1
MOMENT_BITS = 43
MOMENT_MASK = (1 << MOMENT_BITS) - 1
APPLICATION_ID = 0x56454E52  # "VENR"; distinguishes our file from another program's
VERSION = 4
PAGE_BYTES = 1024
#: What follows the name of a damaged file that was renamed.
SIDE_PATTERN = ".corrupt-*"

_FIRST = """
CREATE TABLE series(
  id INTEGER PRIMARY KEY, resource_id TEXT NOT NULL, quantity TEXT NOT NULL, last_k INTEGER,
  UNIQUE(resource_id, quantity));
CREATE TABLE reading(k INTEGER PRIMARY KEY, v REAL NOT NULL, q INTEGER);
CREATE TABLE bookmark(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE state(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE VIEW readings AS
  SELECT series.resource_id, series.quantity,
         strftime('%Y-%m-%dT%H:%M:%fZ', (k >> 20) / 1000.0, 'unixepoch') AS time, v AS value,
         CASE q WHEN 1 THEN 'estimated' WHEN 2 THEN 'stale' WHEN 3 THEN 'out_of_range'
                WHEN 4 THEN 'missing' ELSE 'good' END AS quality
    FROM reading JOIN series ON series.id = (reading.k & 1048575);
"""

_HISTORY = """
CREATE TABLE segment(
  k INTEGER PRIMARY KEY, last_ms INTEGER NOT NULL, n INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE quarter(
  k INTEGER PRIMARY KEY, n INTEGER NOT NULL, value REAL, share REAL NOT NULL, low REAL, high REAL, last REAL);
CREATE TABLE late(k INTEGER PRIMARY KEY);
CREATE TABLE wear(day INTEGER PRIMARY KEY, bytes INTEGER NOT NULL, readings INTEGER NOT NULL);
"""

_ASIDE = """
CREATE TABLE aside(
  id INTEGER PRIMARY KEY, place TEXT NOT NULL, resource_id TEXT NOT NULL, quantity TEXT NOT NULL,
  kind TEXT NOT NULL, reason TEXT NOT NULL, n INTEGER NOT NULL, first_ms INTEGER, last_ms INTEGER,
  noted_ms INTEGER NOT NULL, UNIQUE(place, resource_id, quantity, kind));
CREATE TABLE aside_point(
  aside INTEGER NOT NULL, ms INTEGER NOT NULL, value REAL NOT NULL, PRIMARY KEY(aside, ms)) WITHOUT ROWID;
"""

#: Rows that are there stay as they are: the column is added to the description of the table only.
_MARKS = "ALTER TABLE reading ADD COLUMN m INTEGER"

#: What leads to each layout from the one before; a step is never changed, the next one comes after it.
STEPS = {1: _FIRST, 2: _HISTORY, 3: _ASIDE, 4: _MARKS}


def prepare(path: Path) -> None:
    """Make the file, or bring an older one to this layout: all of it or nothing, also when killed.

    StoreError, with the file left as it is, when it is damaged, another program's, or newer than this one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    version = version_of(path) if path.exists() and path.stat().st_size else 0
    if version == VERSION:
        return
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)) as connection:
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        # A commit of a hundred readings fills two or three pages of this size in the log, and one or
        # two blocks of the card; with the usual 4096 it is three blocks. It cannot be changed later.
        connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
        connection.execute("BEGIN IMMEDIATE")
        try:
            for step in range(version + 1, VERSION + 1):
                connection.execute(STEPS[step])
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={VERSION}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def version_of(path: Path) -> int:
    """Return the layout of a file, before anything is changed; 0 when its creation was cut short."""
    try:
        with closing(connect_to_read(path)) as probe:
            application = one_value(probe, "PRAGMA application_id")
            version = one_value(probe, "PRAGMA user_version")
            tables = one_value(probe, "SELECT count(*) FROM sqlite_schema")
    except (apsw.Error, sqlite3.Error, OSError) as error:
        raise unusable(path, error) from error
    if application != APPLICATION_ID and (tables or application):
        raise StoreError(rdg.FOREIGN_FILE(), subject=str(path))
    if version > VERSION:
        raise StoreError(rdg.NEWER(found=version, known=VERSION), subject=str(path))
    return int(version)


def unusable(path: Path, error: Exception) -> StoreError:
    """Return the StoreError for an error of SQLite or the system about the file."""
    if (reason := refusal_of(error)) is not None:
        return StoreError(dbf.STORE_READ_ONLY(reason=reason), subject=str(path))
    if isinstance(error, apsw.NotADBError | apsw.CorruptError):
        message = rdg.DAMAGED
    elif isinstance(error, apsw.FullError):
        message = rdg.DISK_FULL
    elif isinstance(error, apsw.BusyError | apsw.LockedError):
        message = rdg.LOCKED
    else:
        message = rdg.UNUSABLE
    return StoreError(message(error=error), subject=str(path))


def one_value(connection: apsw.Connection, sql: str, bindings: tuple[Any, ...] = ()) -> Any:
    """Return the first column of the first row."""
    return connection.execute(sql, bindings).fetchall()[0][0]
