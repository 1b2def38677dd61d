"""Opens the state file at the start; a damaged one is quarantined, and what can be read of it is kept.

What was lost may have been sent: reports that come due again are looked up at the VTN by name first.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw

from venclient.errors import StoreError
from venclient.messages import reporting as rep
from venclient.messages import with_code
from venclient.messages.printable import foreign
from venclient.reporting import eventbook
from venclient.reporting.eventbook import EventBook
from venclient.reporting.layout import prepare, us
from venclient.reporting.outbox import Outbox
from venclient.reporting.rows import STATES
from venclient.reporting.sent import mark_of
from venclient.sqlite_file import is_full, open_sqlite, quarantined

#: The keys by which the tables are read, from both ends.
_TABLES = {
    "events": "id",
    "programs": "id",
    "resource_sets": "id",
    "late": "resource_id",
    "coverage_names": "id",
    "coverage": "day, resource",
    "outbox": "key",
    "planned": "event_id",
    "sent": "id",
}
#: The table whose loss costs nothing but evidence.
_SENT = "sent"
#: A folder that Linux keeps in memory.
_MEMORY = Path("/dev/shm")  # noqa: S108
#: Rows that wait for the first attempt become such that the VTN is asked for.
_ASK_FIRST = f"UPDATE outbox SET state = '{STATES[1]}' WHERE state = '{STATES[0]}' AND due <= ?"  # noqa: S608
_NONSENSE_ROWS = (
    "DELETE FROM outbox WHERE typeof(due) != 'integer' OR typeof(not_before) != 'integer' "
    "OR typeof(changed) != 'integer' OR typeof(start) != 'integer' OR typeof(until) != 'integer' "
    "OR state NOT IN (?, ?, ?, ?, ?, ?, ?)"
)
_LARGE = 32 * 2**20
#: The mode of a file while a copy in memory is ahead of it.
_STALE = 0o700
#: Reports of this time before the damage are planned once more.
PLANNED_AGAIN = timedelta(days=1)
#: What a damaged file makes Python raise: impossible times, types and keys.
_NONSENSE = (ValueError, TypeError, LookupError, OverflowError, RecursionError)


def open_state(path: Path, now: datetime) -> tuple[EventBook, Outbox, list[str]]:
    """Return events and outbox of the state file, and messages about it; StoreError when it is unusable.

    On a full disk a copy in memory takes its place until the next start.
    """
    try:
        book, outbox, said = _opened_or_rescued(path, now)
        _take_up_mark(path, outbox, now)
        return book, outbox, said
    except (StoreError, OSError) as error:
        copy = _in_memory(path) if is_full(error, path) else None
        if copy is None:
            raise
    book, outbox, said = _opened_or_rescued(copy, now)
    with suppress(OSError):
        if path.exists():
            path.chmod(_STALE)  # a full disk has room for that
    return book, outbox, [*said, with_code(rep.STATE_IN_MEMORY(path=path, copy=copy))]


def _take_up_mark(path: Path, outbox: Outbox, now: datetime) -> None:
    """Have what a copy in memory may have sent looked up first, when the last start used one."""
    if stat.S_IMODE(path.stat().st_mode) & _STALE & 0o111 == 0:
        return
    with outbox.change():
        outbox.doubt(now)
        outbox.db.execute(_ASK_FIRST, (us(now),))
    path.chmod(0o600)


def _in_memory(path: Path) -> Path | None:
    """Return a copy of the file in memory; None when the system has no place for one."""
    if not os.access(_MEMORY, os.W_OK):
        return None
    try:
        folder = Path(tempfile.mkdtemp(prefix="venclient-", dir=_MEMORY))
        for suffix in ("", "-wal"):
            with suppress(FileNotFoundError):
                shutil.copyfile(path.with_name(path.name + suffix), folder / f"{path.name}{suffix}")
    except OSError:
        return None
    return folder / path.name


def _opened_or_rescued(path: Path, now: datetime) -> tuple[EventBook, Outbox, list[str]]:
    try:
        _check(path)
        return (*_usable(path), [])
    except StoreError as error:
        if not isinstance(error.__cause__, apsw.CorruptError | apsw.NotADBError | apsw.SQLError):
            raise
        reason = with_code(error.what)
        damage: BaseException | None = error.__cause__
    except (apsw.CorruptError, apsw.NotADBError, apsw.SchemaChangeError, apsw.SQLError) as error:
        reason, damage = foreign(str(error)), error
    except _NONSENSE as error:
        reason, damage = foreign(f"{type(error).__name__}: {error}"), error
    whole = isinstance(damage, apsw.CorruptError) and _is_whole_but_sent(path)
    aside = quarantined(path, now)
    book, outbox = _opened(path)
    try:
        kept = _take_over_whole(aside, outbox) if whole else _take_over(aside, outbox, now)
    except BaseException:
        book.close()
        outbox.close()
        raise
    book.close()
    outbox.close()
    if whole:
        said = rep.SENT_RESCUED(path=path, reason=reason, moved=aside.name, count=kept[_SENT])
    else:
        said = rep.STATE_RESCUED(
            path=path,
            reason=reason,
            moved=aside.name,
            events=kept["events"],
            reports=kept["outbox"],
        )
    return (*_opened(path), [with_code(said)])


def _opened(path: Path) -> tuple[EventBook, Outbox]:
    book = EventBook(path, threaded=True)
    try:
        return book, Outbox(path)
    except BaseException:
        book.close()
        raise


def _usable(path: Path) -> tuple[EventBook, Outbox]:
    """Return both after the questions that every start asks; what is damaged there is raised."""
    book, outbox = _opened(path)
    try:
        with closing(apsw.Connection(":memory:")) as model:
            prepare(model)
            model.execute(eventbook.SCHEMA)
            for table in _TABLES:
                found, wanted = (
                    {row[1] for row in db.execute(f"PRAGMA table_info({table})")} for db in (outbox.db, model)
                )
                if wanted - found:
                    raise LookupError(min(wanted - found))
        outbox.planned()
        outbox.counts()
        outbox.next_attempt()
        outbox.view.reported()
        outbox.view.last_ask()
        outbox.view.has_untold()
    except BaseException:
        book.close()
        outbox.close()
        raise
    return book, outbox


def _check(path: Path) -> None:
    """Look through an existing file; apsw.CorruptError names the first damage."""
    if not path.exists() or not path.stat().st_size:
        return
    with closing(open_sqlite(path)) as db:
        # The indexes of a large file, and what was sent, are only looked at when they are used, or when that
        # has found a damage: the start must not take long.
        marked = mark_of(path).exists()
        large = path.stat().st_size > _LARGE and not marked
        looked_at = [table for table in _TABLES if table != _SENT or not large]
        for pragma in (f"quick_check({one})" for one in looked_at) if large else ("integrity_check(1)",):
            with suppress(apsw.SQLError):  # an older file lacks some
                found = db.execute(f"PRAGMA {pragma}").fetchall()
                if found and found[0][0] != "ok":
                    raise apsw.CorruptError(str(found[0][0]))
        for table in looked_at:
            with suppress(apsw.SQLError):
                for _ in db.execute(f"SELECT * FROM {table}"):  # noqa: S608  our own names
                    pass
        if marked:
            mark_of(path).unlink(missing_ok=True)


def _is_whole_but_sent(path: Path) -> bool:
    """Return whether every table can be read in full, but for the bodies of sent reports."""
    try:
        with closing(open_sqlite(path)) as db:
            for table in (*_TABLES, "doubt"):
                if table == _SENT:
                    continue
                if db.execute(f"PRAGMA integrity_check({table})").get != "ok":
                    return False
                for _ in db.execute(f"SELECT * FROM {table}"):  # noqa: S608  our own names
                    pass
    except (StoreError, apsw.Error, UnicodeDecodeError, MemoryError):
        return False
    return True


def _take_over_whole(aside: Path, outbox: Outbox) -> dict[str, int]:
    """Copy all tables, and of what was sent as much as can be read; return the number of rows of each."""
    with closing(apsw.Connection(str(aside), flags=apsw.SQLITE_OPEN_READONLY)) as old, outbox.change():
        outbox.db.executemany("INSERT INTO doubt VALUES (?)", old.execute("SELECT until FROM doubt"))
        return _copied(old, outbox)


def _take_over(aside: Path, outbox: Outbox, now: datetime) -> dict[str, int]:
    """Copy what can be read into the fresh file; return the number of rows of each table."""
    kept = dict.fromkeys(_TABLES, 0)
    with outbox.change():
        outbox.doubt(now)
    try:
        old = apsw.Connection(str(aside), flags=apsw.SQLITE_OPEN_READONLY)
        old.execute("PRAGMA writable_schema=ON")  # a file that lost its end is read as far as it goes
    except apsw.Error:
        return kept
    with closing(old), outbox.change():
        kept = _copied(old, outbox)
        again = us(now - PLANNED_AGAIN)
        outbox.db.execute("UPDATE planned SET until = min(until, ?)", (again,))
        outbox.db.execute(
            "INSERT OR IGNORE INTO planned SELECT id, ?, '' FROM events WHERE first_seen < ?",
            (again, (now - PLANNED_AGAIN).astimezone(UTC).isoformat()),
        )
        # Newer rows that were lost may say that a waiting report was sent.
        outbox.db.execute(_ASK_FIRST, (us(now),))
        outbox.db.execute(_NONSENSE_ROWS, STATES)
        outbox.db.execute("DELETE FROM planned WHERE typeof(until) != 'integer' OR typeof(digest) != 'text'")
    return kept


def _copied(old: apsw.Connection, outbox: Outbox) -> dict[str, int]:
    """Copy the rows that can be read, within a commit; return how many of each table."""
    kept = dict.fromkeys(_TABLES, 0)
    for table, key in _TABLES.items():
        known = [row[1] for row in outbox.db.execute(f"PRAGMA table_info({table})")]
        for row in _rows(old, table, key):
            columns = [name for name in row if name in known]
            marks = ", ".join("?" * len(columns))
            with suppress(apsw.Error, OverflowError, TypeError):
                outbox.db.execute(
                    f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608
                    [row[name] for name in columns],
                )
                kept[table] += outbox.db.changes()
    return kept


def _rows(old: apsw.Connection, table: str, key: str) -> Iterator[dict[str, Any]]:
    """Return the rows that can be read: up to the first damaged place, and from the end back to the last."""
    descending = ", ".join(f"{one} DESC" for one in key.split(", "))
    for order in (key, descending):
        try:
            cursor = old.execute(f"SELECT * FROM {table} ORDER BY {order}")  # noqa: S608  our own names
            names: list[str] | None = None
            seen: set[int] = set()
            for row in cursor:
                if hash(row) in seen:
                    raise apsw.CorruptError  # damage that leads back to rows that were read
                seen.add(hash(row))
                if names is None:
                    names = [one[0] for one in cursor.get_description()]
                yield dict(zip(names, row, strict=True))
            return
        except (apsw.Error, UnicodeDecodeError, MemoryError):
            continue
