"""Salvage of a damaged readings file: it is renamed, and what can be read of it is taken over."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import apsw

from venclient.errors import StoreError
from venclient.messages import readings as rdg
from venclient.messages import with_code
from venclient.readings.history import DAY_MS
from venclient.readings.layout import (
    APPLICATION_ID,
    MOMENT_BITS,
    MOMENT_MASK,
    SERIES_BITS,
    SERIES_MASK,
    prepare,
)
from venclient.readings.segments import DamagedSegment, unpack
from venclient.readings.tables import Tables, open_tables
from venclient.sqlite_file import quarantined

MAGIC = b"SQLite format 3\0"
ROWS_AT_ONCE = 20_000
LAST_KEY = 2**63 - 1

#: What content that was changed by a damage makes Python raise: impossible keys, times and types.
NONSENSE = KeyError | ValueError | TypeError | OverflowError | IndexError | RecursionError

Row = tuple[Any, ...]


def is_damage(error: BaseException | None) -> bool:
    """True when an error, or what it came from, says that the file itself is damaged."""
    if isinstance(error, StoreError) and not isinstance(error, DamagedSegment):
        return is_damage(error.__cause__)
    return isinstance(error, apsw.CorruptError | apsw.NotADBError | DamagedSegment | NONSENSE)


def open_or_renew(path: Path, now: datetime) -> tuple[Tables, list[str]]:
    """Open the readings file; return its tables and the problems to report.

    A damaged file is renamed. StoreError, with the file left as it is, when it is not ours.
    """
    try:
        return _sound(open_tables(path)), []
    except (StoreError, apsw.Error, *NONSENSE.__args__) as error:
        if not is_damage(error) or not _was_ours(path):
            raise
        return renew(path, now, error)


def _sound(tables: Tables) -> Tables:
    """Return tables whose first questions have an answer; what is damaged there is raised."""
    try:
        tables.latest()
        tables.bookmarks()
        tables.marks()
    except BaseException:
        tables.connection.close()
        raise
    return tables


def renew(path: Path, now: datetime, damage: BaseException | None) -> tuple[Tables, list[str]]:
    """Set the damaged file aside; give a fresh one's tables with what could be saved, and what to say."""
    aside = quarantined(path, now)
    prepare(path)
    try:
        saved = _take_over(aside, path)
    except (apsw.Error, *NONSENSE.__args__) as error:
        saved = rdg.NOTHING_SAVED(error=error)
    reason = with_code(damage.what) if isinstance(damage, StoreError) else damage
    said = with_code(rdg.RENEWED(path=path, reason=reason, moved=aside.name, saved=saved))
    return open_tables(path), [said]


def _was_ours(path: Path) -> bool:
    """Return whether a damaged file is a readings file, not another one that was named accidentally."""
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except OSError:
        return False
    ours = head[68:72] == APPLICATION_ID.to_bytes(4, "big")
    return ours or head.startswith(MAGIC) or (len(head) > 0 and not any(head))


def _take_over(aside: Path, path: Path) -> str:
    """Copy what can be read and makes sense into the fresh file; give what it was, in words."""
    with (
        closing(apsw.Connection(str(aside), flags=apsw.SQLITE_OPEN_READONLY)) as old,
        closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)) as fresh,
    ):
        old.execute("PRAGMA writable_schema=ON")  # a file that lost its end is read as far as it goes
        series = {row[0]: row for row in _rows(old, "series", "id") if _holds(_is_series, row)}
        _store(fresh, "series", 4, series.values())
        read = (row for row in _rows(old, "reading", "k") if _holds(_is_reading, row, series))
        readings = _store(fresh, "reading", 4, ((*row[:3], None) for row in read))
        held = end_ms = 0

        def segments() -> Iterator[Row]:
            nonlocal held, end_ms
            for row in _rows(old, "segment", "k"):
                if _holds(_is_segment, row, series):
                    held, end_ms = held + row[2], max(end_ms, row[1] + 1)
                    yield row

        _store(fresh, "segment", 4, segments())
        sums = (row for row in _rows(old, "quarter", "k") if _holds(_is_quarter, row, series))
        quarters = _store(fresh, "quarter", 7, sums)
        _store(fresh, "wear", 3, (row for row in _rows(old, "wear", "day") if _holds(_is_numbers, row)))
        for table, columns in (("aside", 10), ("aside_point", 3)):
            with suppress(apsw.Error):
                _store(fresh, table, columns, old.execute(f"SELECT * FROM {table}").fetchall())  # noqa: S608
        with suppress(apsw.Error):
            _store(fresh, "bookmark", 2, old.execute("SELECT * FROM bookmark").fetchall())
        # Of the state only this: a pass that was under way begins again with what is there, and quarters
        # whose readings may be lost stay as they are.
        state = [(name, end_ms) for name in ("history_ms", "pass_ms", "final_ms")]
        _store(fresh, "state", 2, state if end_ms else [])
        return rdg.SAVED(readings=readings + held, quarters=quarters)


def _rows(connection: apsw.Connection, table: str, key: str) -> Iterator[Row]:
    """Yield the rows that can be read: up to a damaged place, and from behind it as far back as to it."""
    select = f"SELECT * FROM {table} WHERE {key} > ? AND {key} <= ? ORDER BY {key}"  # noqa: S608 - constants
    good, leap = -1, 1
    while True:
        try:
            for row in connection.execute(select, (good, LAST_KEY)):
                if not isinstance(row[0], int) or row[0] <= good:
                    raise apsw.CorruptError  # damage that leads back to rows that were read
                yield row
                good, leap = row[0], 1
            return
        except apsw.SQLError:
            return  # an older layout has no such table
        except apsw.Error:
            beyond = min(good + leap, LAST_KEY)
        leap *= 2
        try:
            connection.execute(f"{select} LIMIT 1", (beyond, LAST_KEY)).fetchall()
        except apsw.Error:
            if beyond == LAST_KEY:
                return
            continue
        with suppress(apsw.Error):
            last = beyond + 1
            for row in connection.execute(f"{select} DESC", (good, beyond)):
                if not isinstance(row[0], int) or not good < row[0] < last:
                    break
                yield row
                last = row[0]
        good = beyond


def _store(fresh: apsw.Connection, table: str, columns: int, rows: Iterable[Row]) -> int:
    stored = 0
    marks = ",".join("?" * columns)
    source = iter(rows)
    while some := list(islice(source, ROWS_AT_ONCE)):
        with fresh:
            fresh.executemany(f"INSERT OR REPLACE INTO {table} VALUES({marks})", some)
        stored += len(some)
    return stored


def _holds(check: Callable[..., bool], *arguments: Any) -> bool:
    """Return what the check says; False for content that it cannot even look at."""
    try:
        return check(*arguments)
    except (StoreError, *NONSENSE.__args__):
        return False


def _is_numbers(row: Row) -> bool:
    return all(isinstance(one, int) for one in row)


def _is_quarter(row: Row, series: dict[int, Row]) -> bool:
    key, number, value, share, *rest = row
    return (
        key & SERIES_MASK in series
        and isinstance(number, int)
        and isinstance(share, float)
        and all(one is None or (isinstance(one, float) and math.isfinite(one)) for one in (value, *rest))
    )


def _is_series(row: Row) -> bool:
    number, resource_id, quantity, last_key = row
    return (
        0 < number <= SERIES_MASK
        and isinstance(resource_id, str)
        and isinstance(quantity, str)
        and isinstance(last_key, int | None)
    )


def _is_reading(row: Row, series: dict[int, Row]) -> bool:
    key, value, quality, *_ = row
    return (
        key & SERIES_MASK in series
        and 0 <= key >> SERIES_BITS <= MOMENT_MASK
        and isinstance(value, float)
        and math.isfinite(value)
        and quality in (None, 1, 2, 3, 4)
    )


def _is_segment(row: Row, series: dict[int, Row]) -> bool:
    key, last_ms, number, data = row
    try:
        samples = unpack(data)
    except (StoreError, TypeError):
        return False
    return (
        key >> MOMENT_BITS in series
        and samples[0][0] == key & MOMENT_MASK
        and samples[-1][0] == last_ms
        and len(samples) == number
        and samples[0][0] // DAY_MS == last_ms // DAY_MS
    )
