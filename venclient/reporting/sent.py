"""What was sent: the body, time and answer of every attempt, kept beside the outbox as evidence.

    POST or PUT ---> `add` (memory) ---> one row per attempt, in the commit of what became of the report
                                    '--- the disk is full, the table damaged: kept in memory, up to a limit

A report sent again unchanged shares the body of the attempt before. Rows leave with the ledger's days,
after `sent_days`, and the oldest first beyond `sent_mb`; beyond `sent_day_mb` on one day only the
attempt is stored, without its body: a small card must not wear out. Nothing here ever costs the
ledger a change: what cannot be stored is tried again later.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import apsw
import msgspec

from venclient.messages import reporting as rep
from venclient.openadr.objects import Report
from venclient.reporting.layout import day, moment, us
from venclient.reporting.sent_codec import Sent, decode, encode
from venclient.reporting.targets import Reportable

#: How a report came to the VTN: created, corrected, or found there under its name.
Verb = Literal["POST", "PUT", "GET"]

#: Characters of an answer that are kept.
LONGEST_ANSWER = 300
#: Bytes that wait in memory while they cannot be stored.
MOST_WAITING = 4 * 2**20
#: How much room a disk must have for bodies: what is left is the ledger's.
LEAST_FREE = 16 * 2**20
#: After a failure the file is left alone for this time.
RETRY_US = 60_000_000
#: Bytes of a row besides its body, about.
ROW_BYTES = 200
#: Rows that one commit deletes.
DELETED_AT_ONCE = 2_000
#: A folder that Linux keeps in memory.
_MEMORY = "/dev/shm/"  # noqa: S108


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt to bring a report to the VTN.

    `taken` says that the VTN has this body. `status` is the HTTP status of its answer, None without one.
    `sent` is None where the body is not kept (any more). `number` counts the stored attempts of the report.
    """

    key: str
    at: datetime
    verb: Verb
    taken: bool
    status: int | None
    answer: str
    event_id: str
    start: datetime
    until: datetime
    report_id: str | None
    resources: Sequence[Reportable] = ()
    sent: Sent | None = None
    number: int = 0
    id: int = 0


@dataclass(frozen=True, kw_only=True)
class Room:
    """How much is kept: for how many days, bytes in all, and bytes stored on one day (UTC)."""

    days: float = 1830.0
    most_bytes: int = 256 * 2**20
    day_bytes: int = 64 * 2**20


_INSERT = (
    "INSERT INTO sent (key, at, attempt, verb, taken, status, answer, event_id, start, until, report_id, "
    "resources, same, body, total) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


class SentReports:
    """Stores attempts in the outbox's file. `add` is cheap; the other methods belong to the writing thread.

    `set_number` returns the row id of a resource set. `problems` are sentences for the log, oldest first.
    """

    def __init__(
        self, db: apsw.Connection, path: str, set_number: Callable[[Sequence[Reportable]], int]
    ) -> None:
        self.room = Room()
        self.problems: list[str] = []
        self._db = db
        self._path = path
        self._set_number = set_number
        self._added: deque[Attempt] = deque()
        #: What waits to be stored, with its body.
        self._packed: deque[tuple[Attempt, bytes]] = deque()
        self._bytes = 0
        self._dropped = 0
        self._failed_us: int | None = None
        self._today: tuple[int, int] | None = None
        self._full_day: int | None = None
        self._sets: tuple[Sequence[Reportable], int] | None = None

    def add(self, attempt: Attempt) -> None:
        """Take an attempt; it is stored with the next commit."""
        self._added.append(attempt)

    @property
    def waiting(self) -> int:
        """Return how many attempts are in memory only."""
        return len(self._added) + len(self._packed)

    def ready(self) -> bool:
        """Return whether there is something to store and the file can take it; compresses what was added."""
        while self._added:
            one = self._added.popleft()
            packed = b"" if one.sent is None else encode(one.sent)
            self._packed.append((replace(one, sent=None), packed))
            self._bytes += len(packed) + ROW_BYTES
        if not self._packed:
            return False
        newest_us = us(self._packed[-1][0].at)
        if self._failed_us is not None and 0 <= newest_us - self._failed_us < RETRY_US:
            self._bound()
            return False
        if not _has_room(self._path):
            self.failed(rep.SENT_NO_ROOM())
            return False
        return True

    def store(self) -> None:
        """Insert what waits, within a commit that `stored` or `failed` follows; apsw.Error comes through."""
        last = self._db.execute(
            "SELECT total FROM sent WHERE typeof(total) = 'integer' ORDER BY id DESC LIMIT 1"
        ).get
        total: int = last or 0
        for one, packed in self._packed:
            attempt, same = self._before(one.key, packed)
            body = packed if packed and same is None else None
            if body is not None and not self._within_day(one, total, len(body)):
                body = None
            total += ROW_BYTES + len(body or b"")
            self._db.execute(
                _INSERT,
                (
                    *(one.key, us(one.at), attempt + 1, one.verb, one.taken, one.status),
                    *(one.answer[:LONGEST_ANSWER], one.event_id, us(one.start), us(one.until)),
                    *(one.report_id, self._set_of(one.resources), same, body, total),
                ),
            )

    def stored(self) -> None:
        """Let go of what was stored."""
        self._packed.clear()
        self._bytes = 0
        if self._failed_us is not None:
            self.problems.append(rep.SENT_KEPT_AGAIN(path=self._path, count=self._dropped))
        self._failed_us, self._dropped = None, 0

    def failed(self, reason: object) -> None:
        """Keep what waits in memory, and try again later."""
        self._sets = self._today = None
        if isinstance(reason, apsw.CorruptError):
            with suppress(OSError):
                mark_of(self._path).touch()
        if self._failed_us is None:
            self.problems.append(rep.SENT_NOT_KEPT(path=self._path, problem=reason))
        self._failed_us = us(self._packed[-1][0].at) if self._packed else 0
        self._bound()

    def prune(self, before: datetime) -> int:
        """Delete the oldest rows: those from before `before`, and beyond the bytes; return how many.

        Call it again until it returns 0; apsw.Error comes through.
        """
        total = self._db.execute("SELECT total FROM sent ORDER BY id DESC LIMIT 1").get
        if total is None:
            return 0
        self._db.execute(
            "DELETE FROM sent WHERE id IN (SELECT id FROM "
            "(SELECT id, at, total FROM sent ORDER BY id LIMIT ?) WHERE at < ? OR total <= ?)",
            (DELETED_AT_ONCE, us(before), total - self.room.most_bytes),
        )
        return self._db.changes()

    def _bound(self) -> None:
        while self._bytes > MOST_WAITING and self._packed:
            _, packed = self._packed.popleft()
            self._bytes -= len(packed) + ROW_BYTES
            self._dropped += 1

    def _before(self, key: str, packed: bytes) -> tuple[int, int | None]:
        """Return the number of a report's last attempt, and the row with its body when that is the same."""
        found = self._db.execute(
            "SELECT CAST(a.attempt AS INTEGER), b.id, b.body FROM sent a "
            "LEFT JOIN sent b ON b.id = coalesce(a.same, a.id) "
            "WHERE a.key = ? ORDER BY a.id DESC LIMIT 1",
            (key,),
        ).fetchone()
        if found is None:
            return 0, None
        return found[0], found[1] if packed and found[2] == packed else None

    def _within_day(self, one: Attempt, total: int, size: int) -> bool:
        """Return whether the day has room for a body; the first one that it has not is reported."""
        today = day(us(one.at))
        if self._today is None or self._today[0] != today:
            begin_us = today * 86_400_000_000
            before = self._db.execute(
                "SELECT total FROM sent WHERE at < ? ORDER BY id DESC LIMIT 1", (begin_us,)
            ).get
            first = self._db.execute("SELECT total FROM sent ORDER BY id LIMIT 1").get
            self._today = (today, before if before is not None else first or 0)
        if total - self._today[1] + size <= self.room.day_bytes:
            return True
        if self._full_day != today:
            self._full_day = today
            self.problems.append(rep.SENT_DAY_FULL(size=self.room.day_bytes / 2**20))
        return False

    def _set_of(self, resources: Sequence[Reportable]) -> int | None:
        if not resources:
            return None
        # The windows of an event share a set: it is the very same object.
        if self._sets is None or self._sets[0] is not resources:
            self._sets = (resources, self._set_number(resources))
        return self._sets[1]


def mark_of(path: Path | str) -> Path:
    """Return the file that has the next start look through all that was sent: a damage was found."""
    return Path(f"{path}.check")


def _has_room(path: str) -> bool:
    """Return whether the disk has room to spare; a state file that is in memory has none."""
    if path.startswith(_MEMORY):
        return False
    try:
        disk = os.statvfs(Path(path).parent)
    except OSError:
        return True  # the write will show it
    return disk.f_bavail * disk.f_frsize >= LEAST_FREE


# ---- what was kept

_decode_set = msgspec.json.Decoder(tuple[Reportable, ...]).decode
_COLUMNS = (
    "a.id, a.key, a.at, a.attempt, a.verb, a.taken, a.status, a.answer, a.event_id, a.start, a.until, "
    "a.report_id, a.resources, coalesce(a.body, b.body)"
)
_FROM = "FROM sent a LEFT JOIN sent b ON b.id = a.same"
#: What a damaged row makes Python raise.
_NONSENSE = (ValueError, TypeError, LookupError, OverflowError)
#: Attempts that are read in one go: none is open while a reader works on what it got.
AT_ONCE = 32
_HELD = (
    "WHERE a.id > ?1 AND a.taken AND (?2 IS NULL OR a.event_id = ?2) "
    "AND (?3 IS NULL OR a.until > ?3) AND (?4 IS NULL OR a.start < ?4) "
    "AND NOT EXISTS (SELECT 1 FROM sent c WHERE c.key = a.key AND c.id > a.id AND c.taken) "
    "ORDER BY a.id LIMIT ?5"
)


class SentView:
    """Reads attempts beside the gateway, from a connection that does not write; apsw.Error comes through.

    A file of an earlier version has none.
    """

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._there = bool(db.execute("SELECT 1 FROM sqlite_master WHERE name = 'sent'").get)
        self._sets: dict[int, tuple[Reportable, ...]] = {}

    def attempts(self, key: str) -> list[Attempt]:
        """Return the attempts of a report, oldest first."""
        return list(self._select("WHERE a.key = ? ORDER BY a.id", key))

    def keys_like(self, named: str, least: int) -> list[str]:
        """Return the reports of this name or id at the VTN, else those whose name ends so."""
        if not self._there:
            return []
        exact = self._db.execute("SELECT DISTINCT key FROM sent WHERE key = ?", (named,)).fetchall()
        exact = (
            exact
            or self._db.execute("SELECT DISTINCT key FROM sent WHERE report_id = ?", (named,)).fetchall()
        )
        if not exact and len(named) >= least:
            exact = self._db.execute(
                "SELECT DISTINCT key FROM sent WHERE substr(key, -length(?1)) = ?1", (named,)
            ).fetchall()
        return [str(key) for (key,) in exact]

    def held(
        self, *, event_id: str | None = None, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Attempt]:
        """Yield the newest body that the VTN took of each report, in the order in which they were sent.

        `since` and `until` bound the time that reports are about: those that end after `since` and begin
        before `until`. Few are in memory at a time, and nothing is open while the caller works.
        """
        low, high = (None if one is None else us(one) for one in (since, until))
        last = 0
        while True:
            rows = self._rows(_HELD, last, event_id, low, high, AT_ONCE)
            for row in rows:
                yield from self._attempts(row)  # decompressed one by one
            if len(rows) < AT_ONCE:
                return
            last = rows[-1][0]

    def _select(self, rest: str, *values: str | int | None) -> Iterator[Attempt]:
        for row in self._rows(rest, *values):
            yield from self._attempts(row)

    def _rows(self, rest: str, *values: str | int | None) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        if self._there:
            rows = self._db.execute(f"SELECT {_COLUMNS} {_FROM} {rest}", values).fetchall()
        return rows

    def _attempts(self, row: tuple[Any, ...]) -> Iterator[Attempt]:
        """Yield the attempt of a row, unless the row is damaged."""
        with suppress(*_NONSENSE):
            yield self._attempt(row)

    def _attempt(self, row: tuple[Any, ...]) -> Attempt:
        id_, key, at, number, verb, taken, status, answer, event_id, start, until, report_id = row[:12]
        return Attempt(
            id=id_,
            key=key,
            at=moment(at),
            number=number,
            verb=verb,
            taken=bool(taken),
            status=status,
            answer=str(answer or ""),
            event_id=event_id,
            start=moment(start),
            until=moment(until),
            report_id=report_id,
            resources=self._set(row[12]),
            sent=_decoded(row[13]),
        )

    def _set(self, number: int | None) -> tuple[Reportable, ...]:
        if number is None:
            return ()
        if number not in self._sets:
            self._sets.clear()
            raw = self._db.execute("SELECT content FROM resource_sets WHERE id = ?", (number,)).get
            try:
                self._sets[number] = _decode_set(raw) if raw is not None else ()
            except (msgspec.MsgspecError, UnicodeDecodeError):
                self._sets[number] = ()
        return self._sets[number]


def _decoded(raw: bytes | None) -> Sent | None:
    if not isinstance(raw, bytes):
        return None
    try:
        return decode(raw)
    except ValueError:
        return None  # damaged: the attempt is there all the same


def held_by_vtn(attempts: Iterable[Attempt]) -> Attempt | None:
    """Return the newest attempt whose body the VTN took; None when there is none."""
    return max((one for one in attempts if one.taken), key=lambda one: one.id, default=None)


def report_of(attempt: Attempt | None) -> Report | None:
    """Return the report of an attempt, None where it is not kept."""
    return None if attempt is None or attempt.sent is None else attempt.sent.report
