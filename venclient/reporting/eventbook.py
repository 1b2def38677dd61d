"""The events and programs of the VTN as last known, kept over restarts beside the outbox.

That an event has gone is concluded only from a complete listing. Each event keeps when it was first
seen, and the moment that its "now" means.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import apsw
import msgspec

from venclient.errors import StoreError
from venclient.messages import reporting as rep
from venclient.messages.printable import foreign
from venclient.openadr.objects import Event, Program
from venclient.openadr.times import NOW, known_time, parse_time
from venclient.reporting.descriptors import has_no_length, is_request
from venclient.sqlite_file import open_sqlite

SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    id TEXT PRIMARY KEY,
    event BLOB NOT NULL,                   -- JSON, as OpenADR 3.1 writes it
    first_seen TEXT NOT NULL,              -- ISO 8601, UTC, as the anchor
    anchor TEXT NOT NULL,
    cancelled INTEGER NOT NULL DEFAULT 0   -- it has no length now, and had one before
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS programs (id TEXT PRIMARY KEY, program BLOB NOT NULL) WITHOUT ROWID;
"""


#: Events of a listing that one commit stores at most.
AT_ONCE = 100


_UNREADABLE = (msgspec.MsgspecError, ValueError, TypeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Known:
    """An event, when it was first seen, and the moment that "now" in it means.

    `cancelled` is True when it was changed to have no length; one that arrived without length is a request.
    """

    event: Event
    first_seen: datetime
    anchor: datetime
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Changes:
    """What a listing changed, as the events are now (or last were, of those that have gone).

    `nameless` counts events without an id, which cannot be followed.
    """

    created: tuple[Event, ...] = ()
    modified: tuple[Event, ...] = ()
    gone: tuple[Event, ...] = ()
    nameless: int = 0

    def __bool__(self) -> bool:
        return bool(self.created or self.modified or self.gone)


@dataclass(frozen=True, slots=True)
class _Step:
    """What a listing makes of the events: rows to write, ids of rows that go, and what is said of it."""

    fresh: Mapping[str, Known]
    gone: Sequence[str]
    unread: Sequence[str]
    changes: Changes

    @property
    def writes(self) -> bool:
        return bool(self.fresh or self.gone or self.unread)


@dataclass(frozen=True, slots=True)
class StoredEvents:
    """Events and programs as a state file holds them; `problems` name what could not be read."""

    events: Mapping[str, Known]
    programs: Mapping[str, Program]
    problems: Sequence[str]


def stored_events(path: Path | str) -> StoredEvents:
    """Return what a state file holds, without changing it; StoreError when it cannot be read."""
    book = EventBook(path, read_only=True)
    book.close()
    return StoredEvents(book.events, book.programs, book.problems)


class EventBook:
    """Events and programs in `path`, all of them in memory as well; only changes are written.

    `problems` names rows that could not be read; they are fetched again from the VTN. `listed` is when
    the events were last listed completely by this process, None before that. `revision` is another number
    whenever something has changed that reports may depend on. Where it is `threaded`, what `take` and
    `take_programs` write is written beside the event loop.
    """

    def __init__(self, path: Path | str, *, read_only: bool = False, threaded: bool = False) -> None:
        self._path = str(path)
        self._db = open_sqlite(path, read_only=read_only)
        self.problems: list[str] = []
        self.listed: datetime | None = None
        self.revision = 0
        self._events: dict[str, Known] = {}
        self._programs: dict[str, Program] = {}
        self._seen_before: dict[str, tuple[datetime, datetime, bool]] = {}
        self._thread = ThreadPoolExecutor(1, "events") if threaded else None
        if not read_only:
            with self._change():
                self._db.execute(SCHEMA)
                _upgrade(self._db)
        self._load()

    def close(self) -> None:
        """Close the file; nothing waits to be written."""
        if self._thread is not None:
            self._thread.shutdown()
        self._db.close()

    @property
    def events(self) -> Mapping[str, Known]:
        """Return the events as last known, by id."""
        return self._events

    @property
    def programs(self) -> Mapping[str, Program]:
        """Return the programs as last known, by id."""
        return self._programs

    def program_of(self, event: Event) -> Program | None:
        """Return the program that an event belongs to, when it is known."""
        return self._programs.get(event.program_id)

    async def take(
        self,
        listed: Sequence[Event],
        *,
        complete: bool,
        now: datetime,
        also_listed: Collection[str] = (),
    ) -> Changes:
        """Do what `apply` does in parts, between which others work; a thread writes them."""
        parts = []
        for some in range(0, len(listed), AT_ONCE):
            step = self._compared(listed[some : some + AT_ONCE], (), complete=False, now=now)
            parts.append(await self._taken(step, complete=False, now=now))
            await asyncio.sleep(0)
        known = {event.id for event in listed if event.id}.union(also_listed)
        step = self._compared((), known, complete=complete, now=now)
        parts.append(await self._taken(step, complete=complete, now=now))
        return Changes(
            tuple(chain.from_iterable(part.created for part in parts)),
            tuple(chain.from_iterable(part.modified for part in parts)),
            tuple(chain.from_iterable(part.gone for part in parts)),
            sum(part.nameless for part in parts),
        )

    async def _taken(self, step: _Step, *, complete: bool, now: datetime) -> Changes:
        if step.writes:
            await self._beside(lambda: self._write(step))
        return self._adopted(step, complete=complete, now=now)

    async def _beside(self, work: Callable[[], None]) -> None:
        """Do work on the file in its thread; a cancellation is passed on after its end."""
        if self._thread is None:
            work()
            return
        done = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            await asyncio.shield(done)
        except asyncio.CancelledError:
            await asyncio.wait([done])
            raise

    def apply(
        self,
        listed: Sequence[Event],
        *,
        complete: bool,
        now: datetime,
        also_listed: Collection[str] = (),
    ) -> Changes:
        """Store a listing of events, and return what it changed.

        Only a `complete` one makes events go. `also_listed` are ids that the VTN listed although their
        objects could not be understood: those have not gone, and stay as last known.
        """
        step = self._compared(listed, also_listed, complete=complete, now=now)
        if step.writes:
            self._write(step)
        return self._adopted(step, complete=complete, now=now)

    def _compared(
        self, listed: Sequence[Event], also_listed: Collection[str], *, complete: bool, now: datetime
    ) -> _Step:
        created, modified = [], []
        nameless = 0
        fresh: dict[str, Known] = {}
        for event in listed:
            if not event.id:
                nameless += 1
                continue
            known = self._events.get(event.id)
            if known is None:
                fresh[event.id] = Known(event, *self._seen_before.pop(event.id, (now, now, False)))
                created.append(event)
            elif known.event != event:
                renewed = known.event.modification_date_time != event.modification_date_time
                anchor = now if renewed and _means_now(event) else known.anchor
                cancelled = has_no_length(event) and (known.cancelled or not has_no_length(known.event))
                fresh[event.id] = Known(event, known.first_seen, anchor, cancelled)
                modified.append(event)
        present = {event.id for event in listed} | set(also_listed)
        gone = [id_ for id_ in self._events if id_ not in present] if complete else []
        unread = [id_ for id_ in self._seen_before if id_ not in present] if complete else []
        last = tuple(self._events[id_].event for id_ in gone)
        return _Step(fresh, gone, unread, Changes(tuple(created), tuple(modified), last, nameless))

    def _adopted(self, step: _Step, *, complete: bool, now: datetime) -> Changes:
        """Take over into memory what was written."""
        for id_ in step.unread:
            self._seen_before.pop(id_, None)
        self._events.update(step.fresh)
        for id_ in step.gone:
            self._events.pop(id_, None)
        if step.fresh or step.gone or (complete and self.listed is None):
            self.revision += 1
        if complete:
            self.listed = now
        return step.changes

    def apply_programs(
        self, listed: Sequence[Program], *, complete: bool, also_listed: Collection[str] = ()
    ) -> bool:
        """Store a listing of programs, and return whether it changed anything."""
        fresh, gone = self._compared_programs(listed, also_listed, complete=complete)
        if fresh or gone:
            self._write_programs(fresh, gone)
        return self._adopted_programs(fresh, gone)

    async def take_programs(
        self, listed: Sequence[Program], *, complete: bool, also_listed: Collection[str] = ()
    ) -> bool:
        """Do what `apply_programs` does; a thread writes."""
        fresh, gone = self._compared_programs(listed, also_listed, complete=complete)
        if fresh or gone:
            await self._beside(lambda: self._write_programs(fresh, gone))
        return self._adopted_programs(fresh, gone)

    def _compared_programs(
        self, listed: Sequence[Program], also_listed: Collection[str], *, complete: bool
    ) -> tuple[dict[str, Program], list[str]]:
        fresh = {one.id: one for one in listed if one.id and self._programs.get(one.id) != one}
        present = {one.id for one in listed} | set(also_listed)
        gone = [id_ for id_ in self._programs if id_ not in present] if complete else []
        return fresh, gone

    def _write_programs(self, fresh: Mapping[str, Program], gone: Sequence[str]) -> None:
        with self._change():
            self._db.executemany(
                "INSERT INTO programs VALUES (?, ?) "
                "ON CONFLICT (id) DO UPDATE SET program = excluded.program",
                [(id_, msgspec.json.encode(one)) for id_, one in fresh.items()],
            )
            self._db.executemany("DELETE FROM programs WHERE id = ?", [(id_,) for id_ in gone])

    def _adopted_programs(self, fresh: Mapping[str, Program], gone: Sequence[str]) -> bool:
        if not (fresh or gone):
            return False
        self._programs.update(fresh)
        for id_ in gone:
            self._programs.pop(id_, None)
        self.revision += 1
        return True

    def _write(self, step: _Step) -> None:
        gone = [*step.gone, *step.unread]
        with self._change():
            self._db.executemany(
                "INSERT INTO events (id, event, first_seen, anchor, cancelled) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET event = excluded.event, first_seen = excluded.first_seen, "
                "anchor = excluded.anchor, cancelled = excluded.cancelled",
                [
                    (
                        *(id_, msgspec.json.encode(known.event), _iso(known.first_seen), _iso(known.anchor)),
                        int(known.cancelled),
                    )
                    for id_, known in step.fresh.items()
                ],
            )
            self._db.executemany("DELETE FROM events WHERE id = ?", [(id_,) for id_ in gone])

    def _load(self) -> None:
        events: list[tuple[Any, ...]]
        programs: list[tuple[Any, ...]]
        with self._change():
            # A file that is only looked at may be of an earlier version.
            known = {row[1] for row in self._db.execute("PRAGMA table_info(events)")}
            flag = "cancelled" if "cancelled" in known else "0"
            asked = f"SELECT id, event, first_seen, anchor, {flag} FROM events"  # noqa: S608
            events = self._db.execute(asked).fetchall()
            programs = self._db.execute("SELECT id, program FROM programs").fetchall()
        for id_, raw, first_seen, anchor, cancelled in events:
            try:
                seen = _moment(first_seen), _moment(anchor), bool(cancelled)
            except (ValueError, TypeError) as error:
                self._unreadable("event", str(id_), error)
                continue
            try:
                self._events[id_] = Known(msgspec.json.decode(raw, type=Event), *seen)
            except _UNREADABLE as error:
                # When it was first seen is kept, to report nothing twice.
                self._seen_before[id_] = seen
                self._unreadable("event", id_, error)
        for id_, raw in programs:
            try:
                self._programs[id_] = msgspec.json.decode(raw, type=Program)
            except _UNREADABLE as error:
                self._unreadable("program", id_, error)

    def _unreadable(self, kind: Literal["event", "program"], id_: str, error: Exception) -> None:
        problem = foreign(str(error))
        self.problems.append(
            rep.EVENT_UNREADABLE(path=self._path, kind=kind, id=foreign(id_), problem=problem)
        )

    @contextmanager
    def _change(self) -> Iterator[None]:
        try:
            with self._db:
                yield
        except apsw.Error as error:
            raise StoreError(rep.EVENTS_NOT_STORED(problem=str(error)), subject=self._path) from error


def _upgrade(db: apsw.Connection) -> None:
    """Add what a file of an earlier version lacks.

    There every event without length counted as cancelled. One that never had a report due is forgotten, to
    arrive again as a request.
    """
    if "cancelled" in {row[1] for row in db.execute("PRAGMA table_info(events)")}:
        return
    db.execute("ALTER TABLE events ADD COLUMN cancelled INTEGER NOT NULL DEFAULT 0")
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'planned'").get:
        return
    db.execute("UPDATE events SET cancelled = 1 WHERE id IN (SELECT event_id FROM planned)")
    old: list[tuple[Any, ...]]
    old = db.execute("SELECT id, event FROM events WHERE NOT cancelled").fetchall()
    for id_, raw in old:
        try:
            request = is_request(msgspec.json.decode(raw, type=Event))
        except _UNREADABLE:
            continue
        if request:
            db.execute("DELETE FROM events WHERE id = ?", (id_,))


def _moment(text: str) -> datetime:
    """Return a stored time; ValueError or TypeError for what is none."""
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _means_now(event: Event) -> bool:
    """True when the event starts at "now": its period, or the first of its intervals."""
    periods = [event.interval_period]
    if event.intervals:
        periods.append(event.intervals[0].interval_period)
    for period in periods:
        if period is None or not period.start or known_time(period.start) is not None:
            continue
        try:
            if parse_time(period.start) is NOW:
                return True
        except ValueError:
            continue
    return False
