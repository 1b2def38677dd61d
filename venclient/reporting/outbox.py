"""What is owed to the VTN, as rows that outlive the process: written before anything is sent.

    owed ----> sending ----> sent            the VTN has it, under report_id
      ^           |--------> refused         the VTN said no, and why
      |           |--------> superseded      the event has gone, or asks for something else now
      +-----------+          unmet           nothing is known that the report could say
        not sent, surely

A row in state `sending` may or may not have reached the VTN: after a crash or a lost answer the VTN
is asked for the report's name before it is sent again. The key of a row is the report's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import apsw
import msgspec

from venclient.errors import StoreError
from venclient.reporting.obligations import Obligation
from venclient.sqlite_file import open_sqlite

State = Literal["owed", "sending", "sent", "refused", "superseded", "unmet"]
STATES: tuple[State, ...] = get_args(State)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS outbox (
    key TEXT PRIMARY KEY,
    event_id TEXT NOT NULL,
    obligation BLOB NOT NULL,              -- JSON
    due INTEGER NOT NULL,                  -- this and the times below: microseconds since 1970, UTC
    not_before INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    report_id TEXT,
    last_error TEXT,
    changed INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (due, key) WHERE state IN ('owed', 'sending');
CREATE INDEX IF NOT EXISTS outbox_event ON outbox (event_id);
CREATE INDEX IF NOT EXISTS outbox_changed ON outbox (changed);
CREATE TABLE IF NOT EXISTS planned (
    event_id TEXT PRIMARY KEY,
    until INTEGER NOT NULL,                -- everything due up to here is in the outbox
    digest TEXT NOT NULL                   -- of the event as it was then
) WITHOUT ROWID;
"""

_COLUMNS = "key, obligation, due, not_before, state, attempts, report_id, last_error, changed"


class Bookmark(NamedTuple):
    """Up to when everything that an event owes is in the outbox, and the digest of the event then."""

    until: datetime
    digest: str


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One report, owed or done with; `changed` is when it came to its state."""

    obligation: Obligation
    due: datetime
    not_before: datetime
    state: State
    attempts: int = 0
    report_id: str | None = None
    last_error: str | None = None
    changed: datetime

    @property
    def key(self) -> str:
        """Give the report's name."""
        return self.obligation.key


def _us(moment: datetime) -> int:
    return (moment - _EPOCH) // _US


def _moment(us: int) -> datetime:
    return _EPOCH + us * _US


class Outbox:
    """The rows in `path`; one process writes them. Every method may raise StoreError.

    Each change is on the card when the method returns. `problems` names rows that could not be read.
    """

    def __init__(self, path: Path | str) -> None:
        self.problems: list[str] = []
        self._path = str(path)
        self._db = open_sqlite(path)
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(Obligation).decode
        with self._change():
            self._db.execute(_SCHEMA)

    def close(self) -> None:
        """Close the file; nothing waits to be written."""
        self._db.close()

    # What is owed

    def owe(
        self,
        obligations: Iterable[Obligation],
        now: datetime,
        *,
        planned: Mapping[str, Bookmark] | None = None,
    ) -> int:
        """Write down what is owed, and give how many were new; known keys stay as they are,
        but for superseded ones, which are owed again.

        `planned` tells per event up to when everything due has been handed over; it is kept in the same
        transaction, so that a crash neither loses a report nor doubles one.
        """
        new = 0
        with self._change():
            for one in obligations:
                due = _us(one.due)
                self._db.execute(
                    "INSERT INTO outbox (key, event_id, obligation, due, not_before, state, changed) "
                    "VALUES (?, ?, ?, ?, ?, 'owed', ?) ON CONFLICT (key) DO UPDATE SET state = 'owed', "
                    "obligation = excluded.obligation, not_before = excluded.not_before, "
                    "changed = excluded.changed WHERE state = 'superseded'",
                    (one.key, one.event_id, self._encode(one), due, due, _us(now)),
                )
                new += self._db.changes()
            self._db.executemany(
                "INSERT INTO planned VALUES (?, ?, ?) ON CONFLICT (event_id) "
                "DO UPDATE SET until = excluded.until, digest = excluded.digest",
                [(event_id, _us(mark.until), mark.digest) for event_id, mark in (planned or {}).items()],
            )
        return new

    def planned(self) -> dict[str, Bookmark]:
        """Give, per event, up to when everything that fell due is in the outbox."""
        found: list[tuple[Any, ...]]
        with self._reading():
            found = self._db.execute("SELECT event_id, until, digest FROM planned").fetchall()
        return {event_id: Bookmark(_moment(until), digest) for event_id, until, digest in found}

    def waiting(self, event_id: str) -> list[Row]:
        """Give the rows of an event that are not done with, by due time."""
        return self._rows("WHERE event_id = ? AND state IN ('owed', 'sending') ORDER BY due, key", event_id)

    def of_event(self, event_id: str, *, after: datetime | None = None) -> list[Row]:
        """Give the rows of an event, by due time; those due after `after` only, when given."""
        since = -(2**62) if after is None else _us(after)
        return self._rows("WHERE event_id = ? AND due > ? ORDER BY due, key", event_id, since)

    def due(self, now: datetime, limit: int = 100) -> list[Row]:
        """Give the oldest rows, by due time, that are due and not waiting for a later attempt."""
        return self._rows(
            "WHERE state IN ('owed', 'sending') AND due <= ? AND not_before <= ? ORDER BY due, key LIMIT ?",
            _us(now),
            _us(now),
            limit,
        )

    def next_attempt(self) -> datetime | None:
        """Give when the next row may be sent; None when none waits."""
        with self._reading():
            found = self._db.execute(
                "SELECT min(max(due, not_before)) FROM outbox WHERE state IN ('owed', 'sending')"
            ).get
        return None if found is None else _moment(found)

    # What becomes of it

    def sending(self, key: str, now: datetime) -> None:
        """Note that the report is about to be sent: from here on the VTN may have it."""
        self._set(key, now, "state = 'sending', attempts = attempts + 1")

    def sent(self, key: str, report_id: str | None, now: datetime) -> None:
        """Note that the VTN has the report, under `report_id`."""
        self._set(key, now, "state = 'sent', last_error = NULL, report_id = ?", report_id)

    def refused(self, key: str, reason: str, now: datetime) -> None:
        """Note that the VTN will not have the report; it stays in the list, with the reason."""
        self._set(key, now, "state = 'refused', last_error = ?", reason)

    def superseded(self, key: str, reason: str, now: datetime) -> None:
        """Note that nobody wants the report any more, and why."""
        self._set(key, now, "state = 'superseded', last_error = ?", reason)

    def unmet(self, key: str, reason: str, now: datetime) -> None:
        """Note that the report would say nothing, and why."""
        self._set(key, now, "state = 'unmet', last_error = ?", reason)

    def retry_later(
        self, key: str, reason: str, not_before: datetime, now: datetime, *, ambiguous: bool
    ) -> None:
        """Note a failed attempt; `ambiguous` keeps the row `sending`, as the VTN may have the report."""
        state = "sending" if ambiguous else "owed"
        self._set(key, now, "state = ?, last_error = ?, not_before = ?", state, reason, _us(not_before))

    def replan(self, obligation: Obligation, now: datetime) -> None:
        """Put what is owed now in the place of what was owed under the same key, if it still waits."""
        with self._change():
            self._db.execute(
                "UPDATE outbox SET obligation = ?, due = ?, changed = ? WHERE key = ? AND state = 'owed'",
                (self._encode(obligation), _us(obligation.due), _us(now), obligation.key),
            )

    def drop_event(self, event_id: str, reason: str, now: datetime) -> int:
        """Supersede all that waits on an event that has gone, and forget its bookmark; give how many."""
        with self._change():
            self._db.execute(
                "UPDATE outbox SET state = 'superseded', last_error = ?, changed = ? "
                "WHERE event_id = ? AND state IN ('owed', 'sending')",
                (reason, _us(now), event_id),
            )
            dropped = self._db.changes()
            self._db.execute("DELETE FROM planned WHERE event_id = ?", (event_id,))
        return dropped

    def prune(self, before: datetime) -> int:
        """Forget rows that were done with before `before`; what is owed stays. Give how many went."""
        with self._change():
            self._db.execute(
                "DELETE FROM outbox WHERE changed < ? AND state NOT IN ('owed', 'sending')", (_us(before),)
            )
            return self._db.changes()

    # What can be told

    def counts(self) -> dict[State, int]:
        """Give how many rows are in each state."""
        with self._reading():
            found = dict(self._db.execute("SELECT state, count(*) FROM outbox GROUP BY state"))
        return {state: found.get(state, 0) for state in STATES}

    def newest(self, limit: int = 20, *, state: State | None = None) -> list[Row]:
        """Give the rows that changed last, newest first."""
        if state is None:
            return self._rows("ORDER BY changed DESC, key DESC LIMIT ?", limit)
        return self._rows("WHERE state = ? ORDER BY changed DESC, key DESC LIMIT ?", state, limit)

    def get(self, key: str) -> Row | None:
        """Give the row of a report's name; None when there is none."""
        return next(iter(self._rows("WHERE key = ?", key)), None)

    def _set(self, key: str, now: datetime, change: str, *values: str | int | None) -> None:
        with self._change():
            self._db.execute(
                f"UPDATE outbox SET {change}, changed = ? WHERE key = ?",  # noqa: S608  our own words only
                (*values, _us(now), key),
            )
            if not self._db.changes():
                raise StoreError(f"no report {key!r} is in the outbox", subject=self._path)

    def _rows(self, rest: str, *values: str | int) -> list[Row]:
        found: list[tuple[Any, ...]]
        with self._reading():
            found = self._db.execute(f"SELECT {_COLUMNS} FROM outbox {rest}", values).fetchall()  # noqa: S608
        rows = []
        for key, obligation, due, not_before, state, attempts, report_id, error, changed in found:
            try:
                decoded = self._decode(obligation)
            except msgspec.MsgspecError as problem:
                # Whatever wrote it: one bad row must not hold up the others.
                self._set_aside(key, state, f"cannot be read ({problem})")
                continue
            rows.append(
                Row(
                    obligation=decoded,
                    due=_moment(due),
                    not_before=_moment(not_before),
                    state=state,
                    attempts=attempts,
                    report_id=report_id,
                    last_error=error,
                    changed=_moment(changed),
                )
            )
        return rows

    def _set_aside(self, key: str, state: State, reason: str) -> None:
        if state in ("owed", "sending"):
            self.problems.append(f"{self._path}: report {key} {reason}; set aside as refused")
            with self._change():
                self._db.execute(
                    "UPDATE outbox SET state = 'refused', last_error = ? WHERE key = ?", (reason, key)
                )

    @contextmanager
    def _change(self) -> Iterator[None]:
        with self._reading(), self._db:
            yield

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except apsw.Error as error:
            raise StoreError(
                f"the outbox cannot be used ({error})",
                subject=self._path,
                hint="check the disk's space and the file's permissions",
            ) from error
