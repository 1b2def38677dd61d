"""The readings file as readings, written and looked into (`look.py`); for one thread at a time.

`layout.py` says what is in the file, `history.py` holds the SQL on its compressed part. `desk.py` puts
these tables behind the event loop; nothing here waits or knows asyncio.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from pathlib import Path

import apsw

from venclient.errors import StoreError
from venclient.messages import readings as rdg
from venclient.model.reading import Reading
from venclient.readings.aside import Aside, AsideTable
from venclient.readings.history import DAY_MS
from venclient.readings.layout import (
    SERIES_BITS,
    SERIES_MASK,
    STEPS,
    VERSION,
    one_value,
    prepare,
    unusable,
    version_of,
)
from venclient.readings.look import Look, Series
from venclient.readings.marks import OLDEST_MS, ROWS_LOOKED_AT, Marks
from venclient.readings.quarters import QUARTER_MS
from venclient.readings.series import (
    QUALITY_NUMBERS,
    from_ms,
    to_ms,
)
from venclient.sqlite_file import open_sqlite

CHECKPOINT_PAGES = 4000
HORIZON_STEP_MS = 3_600_000


def open_tables(path: Path | str, *, read_only: bool = False) -> Tables:
    """Open the readings file and return its tables; it is created when missing (not with `read_only`).

    StoreError, with the file left as it is, when it is damaged, another program's, or newer than this one.
    """
    path = Path(path)
    try:
        if not read_only:
            prepare(path)
            version = VERSION
        elif not path.exists() or not path.stat().st_size or not (version := version_of(path)):
            raise StoreError(rdg.NO_FILE(), subject=str(path))
        connection = open_sqlite(path, read_only=read_only)
        connection.execute("PRAGMA temp_store=MEMORY")
        # As many bytes as SQLite lets gather with its usual pages: checkpoints write the file's pages again.
        connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        for step in range(version + 1, VERSION + 1):
            # An older file that may not be changed has what it lacks as empty tables of this connection.
            if STEPS[step].startswith("ALTER"):
                continue  # columns that only the writer needs
            connection.execute(STEPS[step].replace("CREATE TABLE", "CREATE TEMP TABLE"))
        return Tables(path, connection)
    except (apsw.Error, OSError) as error:
        raise unusable(path, error) from error


def empty_tables(path: Path) -> Tables:
    """Return empty tables in memory, which stand for those of a file that cannot be opened yet."""
    connection = apsw.Connection(":memory:")
    for step in STEPS.values():
        connection.execute(step)
    return Tables(path, connection)


class Tables(Look):
    """The open file. All times are aware UTC; what SQLite refuses comes as apsw.Error."""

    def __init__(self, path: Path, connection: apsw.Connection) -> None:
        self.path = path
        super().__init__(connection)
        self.aside = AsideTable(connection)
        self._horizon_ms = 0
        self._moved: set[int] = set()
        #: Readings before this millisecond are in the history too, or listed in `late`.
        self.moved_ms = 0
        #: First millisecond from there on that was written to since compaction last set it.
        self.lowest_ms = 0
        try:
            self._load()
        except BaseException:
            connection.close()
            raise

    def _load(self) -> None:
        for name, value in self.connection.execute("SELECT name, value FROM state"):
            if name == "horizon_ms":
                self._horizon_ms = value
        _, self.moved_ms = self.history.compression()
        self.learn_series()
        # Newest keys up to the horizon are in `series`; only what came later has to be looked through.
        for (key,) in self.connection.execute(
            "SELECT max(k) FROM reading WHERE k >= ? GROUP BY k & ?",
            (self._horizon_ms << SERIES_BITS, SERIES_MASK),
        ):
            number = key & SERIES_MASK
            self.newest[number] = max(key, self.newest.get(number, 0))
            self._moved.add(number)

    def learn_series(self) -> None:
        """Take note of the series in the file (another process may have added some)."""
        for number, resource_id, quantity, last_key in self.connection.execute(
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
        aside: Sequence[Aside] = (),
    ) -> dict[str, int]:
        """Commit readings, bookmarks and quarantined readings together, all or nothing.

        The same reading twice is stored once, the later given wins. Return by resource how many rows the file
        has more than before.
        """
        added: dict[Series, int] = {}
        connection, ids = self.connection, self._ids
        connection.execute("BEGIN IMMEDIATE")
        try:
            rows = [
                (
                    to_ms(reading.time) << SERIES_BITS
                    | (ids.get((reading.resource_id, reading.quantity)) or self._number(reading, added)),
                    reading.value,
                    QUALITY_NUMBERS[reading.quality],
                    reading.mark or None,
                )
                for reading in readings
            ]
            rows.sort(key=itemgetter(0))
            keys = [row[0] for row in rows]
            new = self._new_rows(keys)
            connection.executemany("INSERT OR REPLACE INTO reading(k, v, q, m) VALUES(?, ?, ?, ?)", rows)
            late = bisect_left(keys, self.moved_ms << SERIES_BITS)
            connection.executemany("INSERT OR IGNORE INTO late VALUES(?)", [(key,) for key in keys[:late]])
            connection.executemany("INSERT OR REPLACE INTO bookmark VALUES(?, ?)", list(bookmarks.items()))
            self.aside.keep(aside, to_ms(now))
            touched = {key & SERIES_MASK: key for key in keys}
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
        if late < len(keys):
            self.lowest_ms = min(self.lowest_ms, keys[late] >> SERIES_BITS)
        counted: dict[str, int] = {}
        for number, count in new.items():
            resource_id = self._names[number][0]
            counted[resource_id] = counted.get(resource_id, 0) + count
        return counted

    def marks(self) -> Marks:
        """Return which messages the newest rows came in."""
        newest_ms = (one_value(self.connection, "SELECT max(k) FROM reading") or 0) >> SERIES_BITS
        rows = self.connection.execute(
            "SELECT k, m FROM (SELECT k, m FROM reading WHERE k >= ? ORDER BY k DESC LIMIT ?)"
            " WHERE m IS NOT NULL ORDER BY k",
            (max(0, newest_ms - OLDEST_MS) << SERIES_BITS, ROWS_LOOKED_AT),
        )
        found = Marks()
        found.add((self._names[key & SERIES_MASK][0], mark, key >> SERIES_BITS) for key, mark in rows)
        return found

    def _new_rows(self, keys: Sequence[int]) -> dict[int, int]:
        """Return by series how many of some keys, in their order, the file does not have."""
        keys = list(dict.fromkeys(keys))
        numbers = list(map(SERIES_MASK.__and__, keys))
        new: dict[int, int] = Counter(numbers)
        firsts = dict(zip(reversed(numbers), reversed(keys), strict=True))
        behind: dict[int, list[int]] = {
            number: [] for number, key in firsts.items() if key <= self.newest.get(number, -1)
        }
        if behind:
            for key, number in zip(keys, numbers, strict=True):
                if number in behind and key <= self.newest[number]:
                    behind[number].append(key)
        end_ms = self.history.end_ms() if behind else 0
        for number, some in behind.items():
            times = [key >> SERIES_BITS for key in some if self.fresh.at(key) is None]
            known: set[int] = set()
            for day in sorted({ms // DAY_MS for ms in times if ms < end_ms}):
                inside = self.history.inside(number, day * DAY_MS, day * DAY_MS + DAY_MS - 1)
                known.update(sample[0] for sample in inside)
            new[number] -= len(some) - sum(ms not in known for ms in times)
        return new

    def _number(self, reading: Reading, added: dict[Series, int]) -> int:
        series = (reading.resource_id, reading.quantity)
        number = self._ids.get(series) or added.get(series)
        if number is None:
            number = added[series] = max(self._names, default=0) + len(added) + 1
            if number > SERIES_MASK:
                raise StoreError(rdg.MOST_SERIES(), subject=str(self.path))
            self.connection.execute(
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
            self.connection.execute("INSERT OR REPLACE INTO state VALUES('horizon_ms', ?)", (horizon_ms,))
        self.connection.executemany(
            "UPDATE series SET last_k = ? WHERE id = ?", [(key, number) for number, key in late.items()]
        )
        return horizon_ms

    # ---- the file

    def check(self) -> list[str]:
        """Return what SQLite's integrity check finds wrong; nothing for a sound file."""
        found = [row[0] for row in self.connection.execute("PRAGMA integrity_check")]
        return [] if found == ["ok"] else found

    def size(self) -> int:
        """Return the bytes of the file and its write-ahead log."""
        files = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def used(self) -> int:
        """Return the bytes of the file that hold something; SQLite uses the others again."""
        pages = one_value(self.connection, "PRAGMA page_count")
        unused = one_value(self.connection, "PRAGMA freelist_count")
        return int((pages - unused) * one_value(self.connection, "PRAGMA page_size"))

    def span(self) -> tuple[datetime, datetime] | None:
        """Return the times of the first and the last reading, None for an empty file."""
        first = one_value(self.connection, "SELECT min(k) FROM reading")
        last = one_value(self.connection, "SELECT max(k) FROM reading")
        edges = [] if first is None else [first >> SERIES_BITS, last >> SERIES_BITS]
        edges += self.history.span_ms(self._names) or ()
        return (from_ms(min(edges)), from_ms(max(edges))) if edges else None

    def checkpoint(self) -> None:
        """Bring what is in the log into the file, as far as readers let it."""
        self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def span_of_quarters(self, first: datetime, beyond: datetime) -> tuple[datetime, datetime]:
        """Return a time limited to where there are quarters or readings, from a whole quarter on."""
        span = self.span()
        edges = [] if span is None else [to_ms(one) // QUARTER_MS for one in span]
        for sql in ("SELECT min(k) FROM quarter", "SELECT max(k) FROM quarter"):
            key = one_value(self.connection, sql)
            edges += [] if key is None else [key >> SERIES_BITS]
        if not edges:
            return first, first
        start_ms = max(min(edges), -(-to_ms(first) // QUARTER_MS)) * QUARTER_MS
        end_ms = min(max(edges) + 1, to_ms(beyond) // QUARTER_MS) * QUARTER_MS
        return from_ms(start_ms), from_ms(end_ms)

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()
