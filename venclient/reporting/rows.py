"""Rows of the outbox as objects, read from the running gateway's file or beside it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import apsw
import msgspec

from venclient.errors import StoreError
from venclient.messages import reporting as rep
from venclient.messages import with_code
from venclient.reporting.layout import moment, positions, us
from venclient.reporting.obligations import Obligation
from venclient.reporting.targets import Reportable
from venclient.sqlite_file import open_sqlite

State = Literal["owed", "sending", "sent", "refused", "superseded", "unmet", "lost"]
STATES: tuple[State, ...] = get_args(State)
#: States of rows that are not done with.
WAITING = "state IN ('owed', 'sending')"

_COLUMNS = (
    "key, obligation, due, not_before, state, attempts, report_id, last_error, changed, "
    "owed_key, resources, sent_at, digest, gaps, late, putting, corrections, since"
)
#: More resource sets than this are not held in memory.
_MOST_SETS = 32


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One report, pending or done with; `changed` is when it came to its state.

    `owed_key` is the obligation's key: the row's own, unless the obligation was split. `resources` is
    None while it is not known which ones the report is about. `late` are ids of resources with readings
    that came after the report was made; `digest` is of the body that the VTN has, as far as is known,
    `gaps` the intervals (by their place in the obligation) without a value, by resource id.
    """

    obligation: Obligation
    due: datetime
    not_before: datetime
    state: State
    attempts: int = 0
    report_id: str | None = None
    last_error: str | None = None
    changed: datetime
    owed_key: str
    resources: tuple[Reportable, ...] | None = None
    sent_at: datetime | None = None
    digest: bytes | None = None
    gaps: Mapping[str, tuple[int, ...]] = msgspec.field(default_factory=dict)
    late: tuple[str, ...] = ()
    putting: bool = False
    corrections: int = 0
    since: datetime

    @property
    def key(self) -> str:
        """Return the report's name."""
        return self.obligation.key


class Told(NamedTuple):
    """One entry of a row's story: when, and what happened."""

    time: datetime
    what: str


class EventReports(NamedTuple):
    """The reports of one event: how many in each state, and what is known of their resources.

    `resources` are the names of the newest report's, None when none was resolved; `unresolved` reports wait
    for it.
    """

    counts: Mapping[str, int]
    resources: tuple[str, ...] | None
    unresolved: int


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows are asked for; None and empty mean any."""

    states: tuple[State, ...] = ()
    event_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    resource_ids: frozenset[str] = frozenset()
    limit: int | None = None


class Rows:
    """Reads rows from a connection; `unreadable(key, state, why)` hears of those that cannot be."""

    def __init__(self, db: apsw.Connection, unreadable: Callable[[str, State, str], None]) -> None:
        self.db = db
        self._unreadable = unreadable
        self._decode = msgspec.json.Decoder(Obligation).decode
        self._decode_set = msgspec.json.Decoder(tuple[Reportable, ...]).decode
        self._sets: dict[int, tuple[Reportable, ...]] = {}

    def select(self, rest: str, *values: str | int) -> list[Row]:
        """Return the rows that a WHERE (with ORDER, LIMIT) of our own words finds."""
        found = self.db.execute(f"SELECT {_COLUMNS} FROM outbox {rest}", values).fetchall()  # noqa: S608
        return [row for raw in found if (row := self._row(raw)) is not None]

    def some(
        self, limit: int, most_spans: int | None, rest: str, *values: str | int, skip: int = 0
    ) -> list[Row]:
        """Return at most `limit` of the same after `skip`, of more than `most_spans` intervals the first.

        There is one at least: rows with very many intervals take memory.
        """
        if most_spans is not None:
            asked = f"SELECT spans FROM outbox {rest} LIMIT ? OFFSET ?"  # noqa: S608
            found = self.db.execute(asked, (*values, limit, skip))
            sums = accumulate(spans for (spans,) in found)
            limit = max(1, sum(1 for held in sums if held <= most_spans))
        return self.select(f"{rest} LIMIT ? OFFSET ?", *values, limit, skip)

    def each(self, rest: str, *values: str | int) -> Iterator[Row]:
        """Return the same one by one, without holding all of them; nothing may be written meanwhile."""
        for raw in self.db.execute(f"SELECT {_COLUMNS} FROM outbox {rest}", values):  # noqa: S608
            row = self._row(raw)
            if row is not None:
                yield row

    def set_of(self, number: int | None) -> tuple[Reportable, ...] | None:
        """Return a resource set."""
        if number is None:
            return None
        if number not in self._sets:
            if len(self._sets) >= _MOST_SETS:
                self._sets.clear()
            raw = self.db.execute("SELECT content FROM resource_sets WHERE id = ?", (number,)).get
            self._sets[number] = self._decode_set(raw) if raw is not None else ()
        return self._sets[number]

    def forget_sets(self) -> None:
        """Read resource sets again when they are next asked for."""
        self._sets.clear()

    def _row(self, raw: tuple[Any, ...]) -> Row | None:
        key, obligation, due, not_before, state, attempts, report_id, error, changed = raw[:9]
        owed_key, number, sent_at, digest, gaps, late, putting, corrections, since = raw[9:]
        try:
            decoded = self._decode(obligation)
            resources = self.set_of(number)
        except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
            # Whatever wrote it: one bad row must not hold up the others.
            self._unreadable(key, state, with_code(rep.STORED_INVALID(problem=problem)))
            return None
        ids = [one.resource_id for one in resources or ()]
        return Row(
            obligation=decoded,
            due=moment(due),
            not_before=moment(not_before),
            state=state,
            attempts=attempts,
            report_id=report_id,
            last_error=error,
            changed=moment(changed),
            owed_key=owed_key or key,
            resources=resources,
            sent_at=None if sent_at is None else moment(sent_at),
            digest=digest,
            gaps=_gaps(gaps, ids) if gaps else {},
            late=tuple(ids[place] for place in positions(late) if place < len(ids)),
            putting=bool(putting),
            corrections=corrections,
            since=moment(since),
        )


class OutboxView:
    """Looks into an outbox without changing it, also while the gateway runs. Methods may raise StoreError."""

    def __init__(self, path: Path | str) -> None:
        self.path = str(path)
        self.problems: list[str] = []
        if not Path(path).is_file():
            raise StoreError(rep.NO_STATE_FILE(), subject=str(path))
        self.db = open_sqlite(path, read_only=True)
        self._rows = Rows(self.db, self._note)
        try:
            known = {row[1] for row in self.db.execute("PRAGMA table_info(outbox)")}
        except apsw.Error as error:
            self.db.close()
            raise StoreError(rep.STATE_UNREADABLE(problem=str(error)), subject=self.path) from error
        if "story" not in known:
            self.db.close()
            raise StoreError(rep.STATE_VERSION(), subject=self.path)

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    def counts(self) -> dict[State, int]:
        """Return how many rows are in each state."""
        with self.reading():
            found = dict(self.db.execute("SELECT state, count(*) FROM outbox GROUP BY state"))
        return {state: found.get(state, 0) for state in STATES}

    def by_event(self) -> dict[str, EventReports]:
        """Return the reports of each event that has any."""
        counts: dict[str, dict[str, int]] = {}
        waits: dict[str, int] = {}
        resources: dict[str, tuple[str, ...]] = {}
        with self.reading():
            for id_, state, count, unresolved in self.db.execute(
                "SELECT event_id, state, count(*), sum(resources IS NULL AND state IN (?, ?)) FROM outbox "
                "GROUP BY event_id, state",
                STATES[:2],
            ):
                counts.setdefault(id_, {})[state] = count
                waits[id_] = waits.get(id_, 0) + unresolved
            # SQLite takes the other column from the row with the maximum.
            newest: list[tuple[Any, ...]] = self.db.execute(
                "SELECT event_id, resources, max(due) FROM outbox WHERE resources IS NOT NULL "
                "GROUP BY event_id"
            ).fetchall()
            for id_, number, _ in newest:
                resources[id_] = tuple(one.resource_name for one in self._rows.set_of(number) or ())
        return {id_: EventReports(some, resources.get(id_), waits[id_]) for id_, some in counts.items()}

    def resource_ids(self, named: str) -> frozenset[str]:
        """Return the ids of resources of this id, or of this name at the VTN; empty for none."""
        with self.reading():
            numbers = [one for (one,) in self.db.execute("SELECT id FROM resource_sets")]
            reported = [one for number in numbers for one in self._rows.set_of(number) or ()]
            known = self.db.execute(
                "SELECT resource_id FROM coverage_names WHERE resource_id = ?", (named,)
            ).fetchall()
        found = {one.resource_id for one in reported if named in (one.resource_id, one.resource_name)}
        return frozenset(found | {str(one) for (one,) in known})

    def corrections(self) -> int:
        """Return how many reports wait to be corrected."""
        with self.reading():
            return int(
                self.db.execute("SELECT count(*) FROM outbox WHERE late IS NOT NULL AND state = 'sent'").get
            )

    def reported(self) -> datetime | None:
        """Return the end of the past time that reports cover; None when no report does."""
        with self.reading():
            found = self.db.execute(
                "SELECT max(until) FROM outbox WHERE state IN ('sent', 'unmet') AND until <= due"
            ).get
        return None if found is None else moment(found)

    def open_names(self, event_id: str, now: datetime) -> set[str]:
        """Return the names of an event's reports that the VTN may have to be asked about."""
        with self.reading():
            found = self.db.execute(
                "SELECT key FROM outbox WHERE event_id = ? "
                "AND (state = 'sending' OR late IS NOT NULL OR (state = ? AND due <= ?))",
                (event_id, STATES[0], us(now)),
            )
            return {str(key) for (key,) in found}

    def has_untold(self) -> bool:
        """Return whether a row waits whose resources are not known yet."""
        with self.reading():
            found = self.db.execute("SELECT 1 FROM outbox WHERE state = 'owed' AND resources IS NULL LIMIT 1")
            return found.fetchone() is not None

    def last_ask(self) -> datetime | None:
        """Return from when on all reports of open fate may be asked for; None when there are none."""
        with self.reading():
            found = self.db.execute("SELECT max(not_before) FROM outbox WHERE state = 'sending'").get
        return None if found is None else moment(found)

    def next_attempt(self, *, told_apart: bool = False, held: Collection[str] = ()) -> datetime | None:
        """Return when the next row may be sent, None when none waits; with `told_apart` as `due` has it.

        Rows of the names `held` do not count.
        """
        known = "AND (resources IS NOT NULL OR state = 'sending')" if told_apart else ""
        known += " AND key NOT IN (SELECT value FROM json_each(?))" if held else ""
        asked = f"SELECT not_before FROM outbox WHERE {WAITING} {known} ORDER BY not_before LIMIT 1"  # noqa: S608
        values = (msgspec.json.encode(list(held)).decode(),) if held else ()
        with self.reading():
            found = self.db.execute(asked, values).get
        return None if found is None else moment(found)

    def fresh(self, after: datetime, until: datetime, limit: int) -> list[Row]:
        """Return rows that fell due in (after, until] and were not attempted yet, oldest first."""
        with self.reading():
            return self._rows.select(
                f"WHERE {WAITING} AND state = ? AND due > ? AND due <= ? AND attempts = 0 "
                "AND resources IS NOT NULL ORDER BY due, owed_key, part LIMIT ?",
                *(STATES[0], us(after), us(until), limit),
            )

    def newest(self, limit: int = 20, *, state: State | None = None) -> list[Row]:
        """Return the rows that changed last, newest first."""
        newest: list[Row] = []
        with self.reading():
            for one in STATES if state is None else (state,):
                newest += self._rows.select(
                    "WHERE state = ? ORDER BY changed DESC, key DESC LIMIT ?", one, limit
                )
        return sorted(newest, key=lambda row: (row.changed, row.key), reverse=True)[:limit]

    def get(self, key: str) -> Row | None:
        """Return the row of a report's name, or of its id at the VTN; None when there is none."""
        with self.reading():
            found = self._rows.select("WHERE key = ?", key) or self._rows.select("WHERE report_id = ?", key)
        return next(iter(found), None)

    def story(self, key: str) -> list[Told]:
        """Return what happened to a report, oldest first; of very many attempts the first and last."""
        with self.reading():
            raw = self.db.execute("SELECT story FROM outbox WHERE key = ?", (key,)).get
        return [Told(moment(time), what) for time, what in msgspec.json.decode(raw)] if raw else []

    def select(self, wanted: Selection) -> Iterator[Row]:
        """Return the rows that are asked for, by due time, one by one; with a limit, the latest due ones."""
        conditions, values = _conditions(wanted)
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        line = "ORDER BY due, owed_key, part"
        if wanted.limit is not None:
            line = "ORDER BY due DESC, owed_key DESC, part DESC"
        count = 0
        with self.reading():
            for row in self._rows.each(f"{where} {line}", *values):
                ids = {one.resource_id for one in row.resources or ()}
                if wanted.resource_ids and ids and not ids & wanted.resource_ids:
                    continue
                yield row
                count += 1
                if wanted.limit is not None and count >= wanted.limit:
                    return

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Raise errors of SQLite as StoreError."""
        try:
            yield
        except apsw.Error as error:
            raise StoreError(rep.STATE_UNREADABLE(problem=str(error)), subject=self.path) from error

    def _note(self, key: str, _: State, why: str) -> None:
        self.problems.append(rep.ROW_NOTE(path=self.path, report=key, problem=why))


def _conditions(wanted: Selection) -> tuple[list[str], list[str | int]]:
    conditions: list[str] = []
    values: list[str | int] = []
    if wanted.states:
        conditions.append(f"state IN ({', '.join('?' * len(wanted.states))})")
        values += wanted.states
    for condition, value in (
        ("event_id = ?", wanted.event_id),
        ("until > ?", None if wanted.since is None else us(wanted.since)),
        ("start < ?", None if wanted.until is None else us(wanted.until)),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    return conditions, values


def _gaps(raw: str, ids: list[str]) -> dict[str, tuple[int, ...]]:
    found: dict[str, str] = msgspec.json.decode(raw)
    return {
        ids[int(place)]: tuple(positions(bytes.fromhex(raw_bits)))
        for place, raw_bits in found.items()
        if int(place) < len(ids)
    }
