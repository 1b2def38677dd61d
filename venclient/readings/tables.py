"""The readings file: its tables, and the SQL on them; synchronous, for one thread at a time.

    reading(k, v, q)   k = milliseconds since 1970 << 20 | series id: one number that sorts by time
    series             what a series id means, and its newest key at or before the horizon
    bookmark           where each source was when the readings beside it were committed
    readings           a view for people and other programs: resource, quantity, time, value, quality

Keys in time order make every commit an append to the last pages: least wear on a memory card.
`sqlite.py` puts these tables behind the event loop; nothing here waits or knows asyncio.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import apsw

from venclient.errors import StoreError
from venclient.model.reading import Reading
from venclient.readings.series import (
    MILLISECOND,
    NEIGHBOUR_REACH,
    QUALITIES,
    QUALITY_NUMBERS,
    from_ms,
    to_ms,
)
from venclient.sqlite_file import BUSY_TIMEOUT_MS, open_sqlite

SERIES_BITS = 20
SERIES_MASK = (1 << SERIES_BITS) - 1
APPLICATION_ID = 0x56454E52  # "VENR"; tells our file from another program's
VERSION = 1
PAGE_BYTES = 1024
CHECKPOINT_PAGES = 4000
HORIZON_STEP_MS = 3_600_000
REACH_MS = NEIGHBOUR_REACH // MILLISECOND

DDL = """
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

Series = tuple[str, str]
Found = dict[str, dict[str, list[Reading]]]


def open_tables(path: Path | str, *, read_only: bool = False) -> Tables:
    """Give the tables of the readings file, made when there is none yet (not with `read_only`).

    StoreError, with the file left as it is, when it is damaged, another program's, or newer than this one.
    """
    path = Path(path)
    try:
        if not (path.exists() and path.stat().st_size and _is_made(path)):
            if read_only:
                raise StoreError(
                    "no such file",
                    subject=str(path),
                    hint="name one with --readings, or start the gateway first",
                )
            _make(path)
        connection = open_sqlite(path, read_only=read_only)
        # As many bytes as SQLite lets gather with its usual pages: checkpoints write the file's pages again.
        connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        return Tables(path, connection)
    except (apsw.Error, OSError) as error:
        raise unusable(path, error) from error


def _make(path: Path) -> None:
    """Make the file; killed on the way, it is empty and made again at the next start."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)) as connection:
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        # A commit of a hundred readings fills two or three pages of this size in the log, and one or
        # two blocks of the card; with the usual 4096 it is three blocks. It cannot be changed later.
        connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
        with connection:
            connection.execute(
                f"{DDL} PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={VERSION};"
            )


def unusable(path: Path, error: Exception) -> StoreError:
    """Give the StoreError for what SQLite or the system said about the file."""
    if isinstance(error, apsw.NotADBError | apsw.CorruptError):
        what, hint = "is damaged or no SQLite file", "move it away to start a fresh one; it was not changed"
    elif isinstance(error, apsw.FullError):
        what, hint = "the disk is full", "free some space; readings wait in memory meanwhile"
    elif isinstance(error, apsw.BusyError | apsw.LockedError):
        what, hint = "is locked by another process", "end the other program that writes to it"
    else:
        what, hint = "cannot be used", "check that its folder is there and may be written to"
    return StoreError(f"{what} ({error})", subject=str(path), hint=hint)


def _value(connection: apsw.Connection, sql: str) -> Any:
    return connection.execute(sql).fetchall()[0][0]


def _is_made(path: Path) -> bool:
    """Look before anything is changed; False for a file of ours whose making was cut short."""
    try:
        with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as probe:
            application = _value(probe, "PRAGMA application_id")
            version = _value(probe, "PRAGMA user_version")
            tables = _value(probe, "SELECT count(*) FROM sqlite_schema")
    except apsw.Error as error:
        raise unusable(path, error) from error
    if application != APPLICATION_ID and (tables or application):
        raise StoreError(
            "is another program's database",
            subject=str(path),
            hint="give readings.path a file of its own; this one was not changed",
        )
    if version > VERSION:
        raise StoreError(
            f"was written by a newer venclient (layout {version}, this one knows {VERSION})",
            subject=str(path),
            hint="update venclient, or name another file",
        )
    return bool(version)


class Tables:
    """The open file. All times are aware UTC; what SQLite refuses comes as apsw.Error."""

    def __init__(self, path: Path, connection: apsw.Connection) -> None:
        self.path = path
        self._connection = connection
        self._ids: dict[Series, int] = {}
        self._names: dict[int, Series] = {}
        #: Newest committed key of each series, by its id.
        self.newest: dict[int, int] = {}
        self._horizon_ms = 0
        self._moved: set[int] = set()
        try:
            self._load()
        except BaseException:
            connection.close()
            raise

    def _load(self) -> None:
        for name, value in self._connection.execute("SELECT name, value FROM state"):
            if name == "horizon_ms":
                self._horizon_ms = value
        self.learn_series()
        # Newest keys up to the horizon are in `series`; only what came later has to be looked through.
        for (key,) in self._connection.execute(
            "SELECT max(k) FROM reading WHERE k >= ? GROUP BY k & ?",
            (self._horizon_ms << SERIES_BITS, SERIES_MASK),
        ):
            number = key & SERIES_MASK
            self.newest[number] = max(key, self.newest.get(number, 0))
            self._moved.add(number)

    def learn_series(self) -> None:
        """Take note of the series in the file (another process may have added some)."""
        for number, resource_id, quantity, last_key in self._connection.execute(
            "SELECT id, resource_id, quantity, last_k FROM series"
        ):
            self._ids[resource_id, quantity] = number
            self._names[number] = (resource_id, quantity)
            if last_key is not None:
                self.newest[number] = max(last_key, self.newest.get(number, 0))

    # ---- writing

    def write(
        self,
        readings: Sequence[Reading],
        bookmarks: Mapping[str, str],
        *,
        now: datetime,
        prune_before: datetime | None = None,
        prune_limit: int = 0,
    ) -> int:
        """Commit readings and bookmarks together; give how many rows older than `prune_before` went.

        The same reading twice is one row, the later given wins. All or nothing.
        """
        added: dict[Series, int] = {}
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            rows = [
                (
                    to_ms(reading.time) << SERIES_BITS | self._number(reading, added),
                    reading.value,
                    QUALITY_NUMBERS[reading.quality],
                )
                for reading in readings
            ]
            rows.sort(key=lambda row: row[0])
            connection.executemany("INSERT OR REPLACE INTO reading(k, v, q) VALUES(?, ?, ?)", rows)
            connection.executemany("INSERT OR REPLACE INTO bookmark VALUES(?, ?)", list(bookmarks.items()))
            pruned = self._prune(prune_before, prune_limit) if prune_before and prune_limit else 0
            touched = {key & SERIES_MASK: key for key, _, _ in rows}
            moved = {number: key for number, key in touched.items() if key > self.newest.get(number, -1)}
            horizon_ms = self._save_newest(moved, to_ms(now))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._ids.update(added)
        self._names.update({number: series for series, number in added.items()})
        self.newest.update(moved)
        self._moved.update(moved)
        if horizon_ms != self._horizon_ms:
            self._horizon_ms = horizon_ms
            self._moved.clear()
        return pruned

    def _number(self, reading: Reading, added: dict[Series, int]) -> int:
        series = (reading.resource_id, reading.quantity)
        number = self._ids.get(series) or added.get(series)
        if number is None:
            number = added[series] = max(self._names, default=0) + len(added) + 1
            if number > SERIES_MASK:
                raise StoreError("holds as many series as it can", subject=str(self.path))
            self._connection.execute(
                "INSERT INTO series(id, resource_id, quantity) VALUES(?, ?, ?)", (number, *series)
            )
        return number

    def _save_newest(self, moved: Mapping[int, int], now_ms: int) -> int:
        """Keep newest keys findable without looking through the file; give the new horizon.

        Series rows are written for late data, and for all once an hour: writing them with every commit
        would wear out as many pages again as the readings do.
        """
        horizon_ms = self._horizon_ms
        late = {n: k for n, k in moved.items() if k >> SERIES_BITS < horizon_ms}
        newest_ms = max((key >> SERIES_BITS for key in moved.values()), default=0)
        if min(newest_ms, now_ms) >= horizon_ms + HORIZON_STEP_MS:
            horizon_ms = min(newest_ms, now_ms)
            late = {n: self.newest[n] for n in self._moved if n in self.newest} | dict(moved)
            self._connection.execute("INSERT OR REPLACE INTO state VALUES('horizon_ms', ?)", (horizon_ms,))
        self._connection.executemany(
            "UPDATE series SET last_k = ? WHERE id = ?", [(key, number) for number, key in late.items()]
        )
        return horizon_ms

    def _prune(self, before: datetime, limit: int) -> int:
        self._connection.execute(
            "DELETE FROM reading WHERE k IN (SELECT k FROM reading WHERE k < ? ORDER BY k LIMIT ?)",
            (to_ms(before) << SERIES_BITS, limit),
        )
        return self._connection.changes()

    # ---- reading

    def bookmarks(self) -> dict[str, str]:
        """Give all bookmarks."""
        return {str(key): str(value) for key, value in self._connection.execute("SELECT * FROM bookmark")}

    def resources(self) -> dict[str, list[str]]:
        """Give the quantities that are known of each resource."""
        known: dict[str, list[str]] = {}
        for resource_id, quantity in sorted(self._ids):
            known.setdefault(resource_id, []).append(quantity)
        return known

    def latest(self) -> dict[str, dict[str, Reading]]:
        """Give the newest reading of every quantity of every resource."""
        found: dict[str, dict[str, Reading]] = {}
        for key in self.newest.values():
            reading = self._at(key)
            if reading is not None:
                found.setdefault(reading.resource_id, {})[reading.quantity] = reading
        return found

    def windows(
        self,
        resource_ids: Sequence[str],
        start: datetime,
        end: datetime,
        newest: Mapping[int, int],
    ) -> Found:
        """Give the readings of start <= time <= end with their neighbours, by resource and quantity.

        `newest` are the newest committed keys; a series that ends before `start` is not searched for.
        """
        wanted = set(resource_ids)
        numbers = {n for n, (resource_id, _) in self._names.items() if resource_id in wanted}
        first_ms, last_ms = -(-(start - from_ms(0)) // MILLISECOND), to_ms(end)
        keys = self._before(numbers, first_ms, newest)
        rows = list(self._rows(numbers, first_ms, last_ms))
        keys += self._after(numbers, last_ms, newest)
        found: Found = {resource_id: {} for resource_id in resource_ids}
        neighbours = [reading for reading in map(self._at, keys) if reading is not None]
        for reading in sorted([*rows, *neighbours], key=lambda one: one.time):
            found[reading.resource_id].setdefault(reading.quantity, []).append(reading)
        return found

    def rows(
        self, start: datetime, end: datetime, resource_id: str | None = None, quantity: str | None = None
    ) -> Iterator[Reading]:
        """Give readings of start <= time < end in time order, without loading them all."""
        numbers = {
            number
            for number, series in self._names.items()
            if resource_id in (None, series[0]) and quantity in (None, series[1])
        }
        return self._rows(numbers, to_ms(start), to_ms(end) - 1)

    def _rows(self, numbers: set[int], first_ms: int, last_ms: int) -> Iterator[Reading]:
        if not numbers or first_ms > last_ms:
            return
        chosen = ""
        if len(numbers) < len(self._names):
            chosen = f"AND k & {SERIES_MASK} IN ({','.join(map(str, numbers))})"
        for key, value, quality in self._connection.execute(
            f"SELECT k, v, q FROM reading WHERE k BETWEEN ? AND ? {chosen} ORDER BY k",  # noqa: S608 - numbers
            (first_ms << SERIES_BITS, last_ms << SERIES_BITS | SERIES_MASK),
        ):
            yield self._reading(key, value, quality)

    def _reading(self, key: int, value: float, quality: int | None) -> Reading:
        resource_id, quantity = self._names[key & SERIES_MASK]
        return Reading(resource_id, quantity, value, from_ms(key >> SERIES_BITS), QUALITIES[quality])

    def _at(self, key: int) -> Reading | None:
        for row in self._connection.execute("SELECT k, v, q FROM reading WHERE k = ?", (key,)):
            return self._reading(*row)
        return None

    def _before(self, numbers: set[int], first_ms: int, newest: Mapping[int, int]) -> list[int]:
        """Give the keys of the last readings before, at most a day back."""
        ended = {n for n in numbers if newest.get(n, -1) >> SERIES_BITS < first_ms}
        oldest_ms = first_ms - REACH_MS
        keys = [newest[n] for n in ended if newest.get(n, -1) >> SERIES_BITS >= oldest_ms]
        return keys + self._search(numbers - ended, first_ms, -1, "max(k)")

    def _after(self, numbers: set[int], last_ms: int, newest: Mapping[int, int]) -> list[int]:
        """Give the keys of the first readings after, at most a day on."""
        going_on = {n for n in numbers if newest.get(n, -1) >> SERIES_BITS > last_ms}
        return self._search(going_on, last_ms + 1, +1, "min(k)")

    def _search(self, numbers: set[int], from_ms_: int, direction: int, nearest: str) -> list[int]:
        """Look away from a moment in steps that double, until each series was met or a day is over."""
        missing, keys = set(numbers), []
        near, step_ms = 0, 60_000
        while missing and near < REACH_MS:
            far = min(near + step_ms, REACH_MS)
            # Of the two edges the one nearer to the moment: before it is excluded, after it included.
            low = from_ms_ - far if direction < 0 else from_ms_ + near
            high = from_ms_ - near if direction < 0 else from_ms_ + far
            for (key,) in self._connection.execute(
                f"SELECT {nearest} FROM reading WHERE k >= ? AND k < ? GROUP BY k & ?",  # noqa: S608 - constant
                (max(low, 0) << SERIES_BITS, max(high, 0) << SERIES_BITS, SERIES_MASK),
            ):
                if key & SERIES_MASK in missing:
                    missing.discard(key & SERIES_MASK)
                    keys.append(key)
            near, step_ms = far, step_ms * 4
        return keys

    # ---- the file

    def check(self) -> list[str]:
        """Give what SQLite's integrity check finds wrong; nothing for a sound file."""
        found = [row[0] for row in self._connection.execute("PRAGMA integrity_check")]
        return [] if found == ["ok"] else found

    def size(self) -> int:
        """Give the bytes of the file and its write-ahead log."""
        files = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def span(self) -> tuple[datetime, datetime] | None:
        """Give the times of the first and the last reading, None for an empty file."""
        first = _value(self._connection, "SELECT min(k) FROM reading")
        last = _value(self._connection, "SELECT max(k) FROM reading")
        return None if first is None else (from_ms(first >> SERIES_BITS), from_ms(last >> SERIES_BITS))

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()
