"""Reports for the VTN, as rows that outlive the process: written before anything is sent.

    owed ----> sending ----> sent            the VTN has it, under report_id
      ^           |--------> refused         the VTN said no, and why
      |           |--------> superseded      the event has gone, or asks for something else now
      |           |--------> unmet           nothing is known that the report could say
      +-----------+          lost            given up, too old
        not sent, surely

A row in state `sending` may or may not have reached the VTN: after a crash or a lost answer the VTN
is asked for the report's name before it is sent again. The key of a row is the report's name.

`corrections.py` handles late readings of rows that are `sent`, `ledger.py` the daily counts of pruned rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import apsw
import msgspec

from venclient.errors import StoreError
from venclient.messages import reporting as rep
from venclient.messages.printable import foreign
from venclient.reporting import ledger
from venclient.reporting.layout import TOLD, bits, encoded_gaps, moment, prepare, story_entry, us
from venclient.reporting.obligations import Obligation
from venclient.reporting.rows import STATES, WAITING, OutboxView, Row, Rows, State
from venclient.reporting.sent import SentReports
from venclient.reporting.statefile import StateFile
from venclient.reporting.targets import Reportable

#: Part of the last error of a dropped report that the VTN may have; files of older versions have it too.
_OPEN_FATE = "may have arrived"
_DUE = str(rep.STORY_DUE())
_TO_SEND = str(rep.STORY_TO_SEND())
_STORED = str(rep.STORY_STORED())

T = TypeVar("T")


__all__ = ["STATES", "Bookmark", "Outbox", "Row", "State"]


class Bookmark(NamedTuple):
    """The time up to which all reports of an event are in the outbox, and the event's digest then."""

    until: datetime
    digest: str


class Outbox(StateFile):
    """The rows in `path`; one process sends them. Every method may raise StoreError, and any thread call it.

    Each change is on the card when the method returns, or when the outermost `together` ends. `problems`
    names rows that could not be read. `view` reads without waiting for a writer.
    """

    def __init__(self, path: Path | str) -> None:
        super().__init__(path)
        self.problems: list[str] = []
        self.rows = Rows(self.db, self._set_aside)
        self._encode = msgspec.json.Encoder(order="deterministic").encode
        self.sent_reports = SentReports(self.db, self.path, self._set_number)
        with self.change():
            prepare(self.db)
            doubted = self.db.execute("SELECT max(until) FROM doubt").get
        self._doubted = doubted if isinstance(doubted, int) else -(2**62)
        self.view = OutboxView(path)

    def close(self) -> None:
        """Close the file; nothing waits to be written."""
        self.view.close()
        super().close()

    # What belongs to one commit

    def apply(self, changes: Iterable[Callable[[], None]]) -> None:
        """Make changes in one commit, all or none, and store what was sent with them."""
        some = list(changes)
        self.with_sent(lambda: [change() for change in some])

    def with_sent(self, work: Callable[[], T]) -> T:
        """Do work in one commit with what was sent; when that cannot be stored, in one without it.

        `work` may be done twice, the first time undone.
        """
        if not self.db.in_transaction and self.sent_reports.ready():
            try:
                with self.change():
                    self._store_sent()
                    done = work()
            except StoreError as error:
                self.sent_reports.failed(error.__cause__ or error)
            else:
                self.sent_reports.stored()
                return done
        with self.change():
            return work()

    def _store_sent(self) -> None:
        try:
            self.sent_reports.store()
        except (ValueError, TypeError, OverflowError) as error:  # rows that are damaged
            raise StoreError(rep.STATE_UNUSABLE(problem=error), subject=self.path) from error

    # Pending reports

    def owe(
        self,
        obligations: Iterable[Obligation],
        now: datetime,
        *,
        planned: Mapping[str, Bookmark] | None = None,
    ) -> int:
        """Add reports, and return how many were new. Known keys stay as they are; superseded ones become
        pending again.

        `planned` has, per event, the time up to which all reports were added. It is stored in the same
        transaction: a crash neither loses nor doubles a report.
        """
        new = 0
        with self.change():
            for one in obligations:
                new += self._owe(one, now)
            self.db.executemany(
                "INSERT INTO planned VALUES (?, ?, ?) ON CONFLICT (event_id) "
                "DO UPDATE SET until = excluded.until, digest = excluded.digest",
                [(event_id, us(mark.until), mark.digest) for event_id, mark in (planned or {}).items()],
            )
        return new

    def doubt(self, until: datetime) -> None:
        """Treat every new report that falls due up to `until` as one that may have been sent."""
        with self.change():
            self.db.execute("INSERT INTO doubt VALUES (?)", (us(until),))
        self._doubted = us(until)

    def _owe(self, one: Obligation, now: datetime) -> int:
        parts = self._states_of_parts(one.key)
        if any(state != "superseded" for state in parts):
            return 0  # its parts stand for it
        if parts:
            self.db.execute("DELETE FROM outbox WHERE owed_key = ? AND part > 0", (one.key,))
        self._insert(one, one.key, 0, None, now, _DUE)
        return self.db.changes()

    def _states_of_parts(self, owed_key: str) -> list[State]:
        found = self.db.execute("SELECT state FROM outbox WHERE owed_key = ? AND part > 0", (owed_key,))
        return [state for (state,) in found]

    def _insert(
        self,
        one: Obligation,
        owed_key: str,
        part: int,
        resources: int | None,
        now: datetime,
        told: str,
        since: int | None = None,
    ) -> None:
        self.db.execute(
            "INSERT INTO outbox (key, event_id, obligation, due, not_before, state, changed, owed_key, part, "
            "start, until, spans, since, resources, story) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, json_array(json_array(?, ?))) "
            "ON CONFLICT (key) DO UPDATE SET state = excluded.state, obligation = excluded.obligation, "
            "due = excluded.due, not_before = excluded.not_before, changed = excluded.changed, "
            "resources = excluded.resources, start = excluded.start, until = excluded.until, "
            "spans = excluded.spans, since = excluded.since, last_error = NULL WHERE state = 'superseded'",
            (
                *(one.key, one.event_id, self._encode(one), us(one.due), us(one.due)),
                *("sending" if us(one.due) <= self._doubted else "owed", us(now)),
                *(owed_key, part, us(one.start), us(one.end), len(one.spans)),
                *(us(now) if since is None else since, resources, us(now), told),
            ),
        )

    def split(
        self, row: Row, parts: Sequence[tuple[Obligation, Sequence[Reportable]]], now: datetime
    ) -> None:
        """Put the parts of an obligation, each with its resources, in the place of its row."""
        with self.change():
            self.db.execute("DELETE FROM outbox WHERE key = ? AND state = 'owed'", (row.key,))
            if not self.db.changes():
                return
            numbers: dict[tuple[str, ...], int] = {}
            for number, (one, resources) in enumerate(parts, 1):
                ids = tuple(each.resource_id for each in resources)
                if ids not in numbers:
                    numbers[ids] = self._set_number(resources)
                entry = str(rep.STORY_PART(number=number, count=len(parts)))
                self._insert(one, row.owed_key, number, numbers[ids], now, entry, us(row.since))

    def _set_number(self, resources: Sequence[Reportable]) -> int:
        content = self._encode(list(resources))
        self.db.execute("INSERT OR IGNORE INTO resource_sets (content) VALUES (?)", (content,))
        found: int = self.db.execute("SELECT id FROM resource_sets WHERE content = ?", (content,)).get
        return found

    def planned(self) -> dict[str, Bookmark]:
        """Return, per event, the time up to which all due reports are in the outbox."""
        found: list[tuple[Any, ...]]
        with self.reading():
            found = self.db.execute("SELECT event_id, until, digest FROM planned").fetchall()
        return {event_id: Bookmark(moment(until), digest) for event_id, until, digest in found}

    def waiting(self, event_id: str) -> list[Row]:
        """Return the rows of an event that are not done with, by due time."""
        with self.reading():
            return self.rows.select(f"WHERE event_id = ? AND {WAITING} ORDER BY due, key", event_id)

    def keys_of(
        self, event_id: str, *, after: datetime | None = None, waiting: bool = False
    ) -> list[tuple[str, int]]:
        """Return key and number of intervals of the rows that `of_event`, or `waiting`, returns."""
        asked = "SELECT key, spans FROM outbox WHERE event_id = ? AND due > ?"
        if waiting:
            asked += f" AND {WAITING}"
        since = -(2**62) if after is None else us(after)
        with self.reading():
            found: list[Any] = self.db.execute(f"{asked} ORDER BY due, key", (event_id, since)).fetchall()
        return found

    def rows_of(self, keys: Sequence[str]) -> list[Row]:
        """Return the rows of some keys, by due time."""
        with self.reading():
            asked = "WHERE key IN (SELECT value FROM json_each(?)) ORDER BY due, key"
            return self.rows.select(asked, msgspec.json.encode(keys).decode())

    def of_event(self, event_id: str, *, after: datetime | None = None) -> list[Row]:
        """Return the rows of an event, by due time; those due after `after` only, when given."""
        since = -(2**62) if after is None else us(after)
        with self.reading():
            return self.rows.select("WHERE event_id = ? AND due > ? ORDER BY due, key", event_id, since)

    def due(
        self,
        now: datetime,
        limit: int = 100,
        *,
        newest_first: bool = False,
        told_apart: bool = False,
        most_spans: int | None = None,
        held: Collection[str] = (),
    ) -> list[Row]:
        """Return rows that are due and not waiting for a later attempt, oldest first by default.

        The parts of one obligation are in their order either way. With `told_apart`, only rows whose
        resources are known, or that may have been sent. With `most_spans`, only as many rows as have at most
        that number of intervals together, but at least one. Rows named in `held` are left out.
        """
        order = "due DESC" if newest_first else "due"
        known = "AND (resources IS NOT NULL OR state = 'sending')" if told_apart else ""
        known += " AND key NOT IN (SELECT value FROM json_each(?))" if held else ""
        names = (msgspec.json.encode(list(held)).decode(),) if held else ()
        with self.reading():
            return self.rows.some(
                *(limit, most_spans),
                f"WHERE {WAITING} {known} AND due <= ? AND not_before <= ? ORDER BY {order}, owed_key, part",
                *(*names, us(now), us(now)),
            )

    def untold(self, limit: int, most_spans: int | None = None, *, skip: int = 0) -> list[Row]:
        """Return rows that wait and have no resources yet, oldest first; limited as `due` is."""
        rest = "WHERE state = 'owed' AND resources IS NULL ORDER BY due, key"
        with self.reading():
            return self.rows.some(limit, most_spans, rest, skip=skip)

    def about(self, key: str, resources: Sequence[Reportable]) -> None:
        """Store which resources a row is about."""
        with self.change():
            number = self._set_number(resources)
            self.db.execute("UPDATE outbox SET resources = ? WHERE key = ?", (number, key))

    def get(self, key: str) -> Row | None:
        """Return the row of a report's name; None when there is none."""
        with self.reading():
            return next(iter(self.rows.select("WHERE key = ?", key)), None)

    # What becomes of it

    def sending(
        self,
        key: str,
        now: datetime,
        *,
        resources: Sequence[Reportable] | None = None,
        ask_at: datetime | None = None,
    ) -> None:
        """Note that the report, on `resources`, is about to be sent: from here on the VTN may have it.

        Should nothing more be heard of it, the VTN is asked from `ask_at` on.
        """
        change = "state = 'sending', attempts = attempts + 1, not_before = max(not_before, ?)"
        values: list[int] = [us(ask_at or now)]
        with self.change():
            if resources is not None:
                change += ", resources = ?"
                values.append(self._set_number(resources))
            self.set(key, now, _TO_SEND, change, *values)

    def all_sending(self, keys: Sequence[str], now: datetime, *, ask_at: datetime) -> None:
        """Note the same of several reports."""
        values = (us(ask_at), us(now), *story_entry(now, _TO_SEND))
        with self.change():
            self.db.executemany(
                "UPDATE outbox SET state = 'sending', attempts = attempts + 1, "  # noqa: S608
                f"not_before = max(not_before, ?), changed = ?, {TOLD} WHERE key = ?",
                [(*values, key) for key in keys],
            )

    def not_sent(self, key: str, now: datetime) -> None:
        """Note that the report was not sent after all, as another before it could not be."""
        change = "state = 'owed', attempts = max(0, attempts - 1), not_before = ?"
        self.set(key, now, rep.STORY_NOT_SENT(), change, us(now))

    def sent(
        self,
        key: str,
        report_id: str | None,
        now: datetime,
        *,
        digest: bytes | None = None,
        gaps: Mapping[int, Sequence[int]] | None = None,
        told: str = _STORED,
        late: Collection[int] = (),
        look_at: datetime | None = None,
    ) -> None:
        """Note that the VTN has the report, under `report_id`: which body, and what it lacks.

        `gaps` are places of intervals without a value, by the resource's place among the row's. `late` are
        places of resources whose readings were not complete: from `look_at` on the report is looked at again.
        """
        self.set(
            *(
                key,
                now,
                told if report_id is None else rep.STORY_AS(event=told, report_id=foreign(report_id)),
            ),
            "state = 'sent', last_error = NULL, report_id = ?, digest = ?, gaps = ?, "
            "sent_at = coalesce(sent_at, ?), late = ?, not_before = max(not_before, ?)",
            *(report_id, digest, encoded_gaps(gaps or {}), us(now)),
            *(bits(late) if late else None, us(look_at or now)),
        )

    def await_readings(self, key: str, until: datetime, now: datetime) -> None:
        """Note that the report has nothing to say yet, but will have: it is built again from `until` on."""
        change = "state = ?, attempts = max(0, attempts - 1), not_before = max(not_before, ?)"
        self.set(key, now, rep.STORY_AWAITS(), change, STATES[0], us(until))

    def refused(self, key: str, reason: str, now: datetime) -> None:
        """Note that the VTN rejected the report; it stays in the list, with the reason."""
        self.set(key, now, rep.STORY_REFUSED(reason=reason), "state = 'refused', last_error = ?", reason)

    def superseded(self, key: str, reason: str, now: datetime) -> None:
        """Note that the report is no longer wanted, and why."""
        self.set(
            key, now, rep.STORY_SUPERSEDED(reason=reason), "state = 'superseded', last_error = ?", reason
        )

    def unmet(self, key: str, reason: str, now: datetime) -> None:
        """Note that the report would say nothing, and why."""
        self.set(key, now, rep.STORY_UNMET(reason=reason), "state = 'unmet', last_error = ?", reason)

    def retry_later(
        self, key: str, reason: str, not_before: datetime, now: datetime, *, ambiguous: bool
    ) -> None:
        """Note a failed attempt; `ambiguous` keeps the row `sending`, as the VTN may have the report."""
        state = "sending" if ambiguous else "owed"
        change = "state = ?, last_error = ?, not_before = max(due, ?)"
        entry = rep.STORY_FAILED if ambiguous else rep.STORY_FAILED_BEFORE
        self.set(key, now, entry(reason=reason), change, state, reason, us(not_before))

    def give_up(self, before: datetime, now: datetime, reason: str, limit: int = 1000) -> list[Row]:
        """Mark rows pending since before `before` as lost, at most `limit` of them, and return them."""
        with self.change():
            old = self.rows.select(
                f"WHERE {WAITING} AND due < ? AND since < ? ORDER BY due, owed_key, part LIMIT ?",
                *(us(before), us(before), limit),
            )
            for row in old:
                fate = f"; it {_OPEN_FATE}" if row.state == "sending" else ""
                said = f"{reason}{fate}" + (f"; last: {row.last_error}" if row.last_error else "")
                self.set(row.key, now, rep.STORY_LOST(reason=said), "state = 'lost', last_error = ?", said)
        return old

    def retry(self, key: str, now: datetime) -> bool:
        """Queue a refused, unmet or lost report again; return False when it is none of these."""
        with self.change():
            row = self.get(key)
            if row is None or row.state not in ("refused", "unmet", "lost"):
                return False
            # What was given up while its fate was open is asked for before it is sent again.
            open_fate = row.state == "lost" and _OPEN_FATE in (row.last_error or "")
            self.set(
                *(key, now, rep.STORY_AGAIN(), "state = ?, last_error = NULL, since = ?, not_before = ?"),
                *("sending" if open_fate else "owed", us(now), max(us(row.due), us(now))),
            )
        return True

    def replan(self, obligation: Obligation, now: datetime) -> None:
        """Replace the obligation of a row that is still pending with `obligation`, which has the same key."""
        with self.change():
            parts = self._states_of_parts(obligation.key)
            if parts and all(state == "owed" for state in parts):
                self.db.execute("DELETE FROM outbox WHERE owed_key = ? AND part > 0", (obligation.key,))
                self._insert(obligation, obligation.key, 0, None, now, rep.STORY_REPLANNED())
                return
            self.db.execute(
                "UPDATE outbox SET obligation = ?, due = ?, not_before = max(not_before, ?), start = ?, "
                "until = ?, spans = ?, resources = NULL, changed = ? WHERE key = ? AND state = 'owed'",
                (
                    *(self._encode(obligation), us(obligation.due), us(obligation.due)),
                    *(us(obligation.start), us(obligation.end), len(obligation.spans)),
                    *(us(now), obligation.key),
                ),
            )

    def drop_event(self, event_id: str, reason: str, now: datetime) -> int:
        """Supersede all waiting rows of an event that has gone, forget its bookmark, and return how many."""
        with self.change():
            self.db.execute(
                f"UPDATE outbox SET state = 'superseded', last_error = ?, changed = ?, {TOLD} "  # noqa: S608
                f"WHERE event_id = ? AND {WAITING}",
                (reason, us(now), *story_entry(now, rep.STORY_SUPERSEDED(reason=reason)), event_id),
            )
            dropped = self.db.changes()
            self.db.execute("DELETE FROM planned WHERE event_id = ?", (event_id,))
        return dropped

    def prune(self, before: datetime, *, coverage_before: datetime | None = None) -> int:
        """Delete rows that were done with before `before`, and return how many. Pending rows stay.

        Their daily counts go into the ledger, which forgets days before `coverage_before`.
        """
        with self.change():
            return ledger.fold(self.db, self.rows, us(before), coverage_before)

    def prune_sent(self, before: datetime) -> None:
        """Delete what was sent before `before`, and the oldest of what takes too much room."""
        try:
            while True:
                with self.reading(), self.db:
                    if not self.sent_reports.prune(before):
                        return
        except StoreError as error:
            if not isinstance(error.__cause__, apsw.CorruptError):
                raise
            self.sent_reports.failed(error.__cause__)

    # What can be read without waiting for a commit

    def counts(self) -> dict[State, int]:
        """Return how many rows are in each state."""
        return self.view.counts()

    def next_attempt(self, *, told_apart: bool = False) -> datetime | None:
        """Return when the next row may be sent, None when none waits; with `told_apart` as `due` has it."""
        return self.view.next_attempt(told_apart=told_apart)

    def newest(self, limit: int = 20, *, state: State | None = None) -> list[Row]:
        """Return the rows that changed last, newest first."""
        return self.view.newest(limit, state=state)

    # Its columns and story, for the modules of this stage

    def set(self, key: str, now: datetime, told: str, change: str, *values: str | int | bytes | None) -> None:
        """Bring a row to a state: change columns of it, and add to its story."""
        self.tell(key, now, told, f"{change}, changed = ?", *values, us(now))

    def tell(
        self, key: str, now: datetime, told: str, change: str = "", *values: str | int | bytes | None
    ) -> None:
        """Add to a row's story, and change columns of it without bringing it to another state."""
        with self.change():
            columns = f"{change}, {TOLD}" if change else TOLD
            self.db.execute(
                f"UPDATE outbox SET {columns} WHERE key = ?",  # noqa: S608  our own words only
                (*values, *story_entry(now, told), key),
            )
            if not self.db.changes():
                raise StoreError(rep.UNKNOWN_REPORT(report=key), subject=self.path)

    def _set_aside(self, key: str, state: State, reason: str) -> None:
        if state in ("owed", "sending"):
            self.problems.append(rep.ROW_UNREADABLE(path=self.path, report=key, problem=reason))
            with self.change():
                self.db.execute(
                    "UPDATE outbox SET state = 'refused', last_error = ? WHERE key = ?", (reason, key)
                )
