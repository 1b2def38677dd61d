"""Notice readings of a time that was reported already, and keep them until the reports are corrected.

    readings ---> `LateWatch.look` ---> late marks ---> rows marked `late` ---> PUT of what has changed
               a comparison each      on the card        once no more come       (`corrections.py`)

A mark is stored before the readings are: no crash loses a correction. A mark without a change has no
effect, because the body is compared with the one that the VTN has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from venclient.messages import reporting as rep
from venclient.model.reading import Reading
from venclient.reporting.layout import bits, encoded_gaps, moment, positions, us
from venclient.reporting.outbox import Outbox
from venclient.reporting.rows import Row

_AGAIN = str(rep.STORY_LATE_AGAIN())
_CORRECTED = str(rep.STORY_CORRECTED())


Span = tuple[datetime, datetime]

#: A reading after a longer silence than this also changes the values of the time between.
SILENCE = timedelta(minutes=5)
#: Neighbours of a reading are searched this far from it: a register may be updated once an hour.
_REACH = timedelta(hours=1)
#: Longer silences than this are not bridged by any meter's reading.
_LONGEST_REACH = timedelta(days=1)
_HOUR_US = 3_600_000_000


class LateWatch:
    """Notices readings that change what was reported: one comparison per reading, of those that do not.

    `reported` returns the end of the reported time (None: nothing yet). `newest` returns the readings last
    stored of a resource; it is called when the first readings of a resource arrive.
    """

    def __init__(
        self, reported: Callable[[], datetime | None], newest: Callable[[str], Iterable[Reading]]
    ) -> None:
        self._reported = reported
        self._newest = newest
        self._known: set[str] = set()
        self._last: dict[tuple[str, str], datetime] = {}

    def look(self, readings: Sequence[Reading]) -> dict[str, Span]:
        """Return, by resource id, the time in which reports may have had other values."""
        until = self._reported()
        late: dict[str, Span] = {}
        for one in readings:
            if one.resource_id not in self._known:
                self._recall(one.resource_id)
            key = (one.resource_id, one.quantity)
            last = self._last.get(key)
            if last is None or one.time > last:
                self._last[key] = one.time
            if until is None:
                continue
            if one.time > until and (last is None or last >= until or one.time - last <= SILENCE):
                continue
            # Among older readings it changes what is made of both its neighbours, wherever they are.
            span = one.time - _REACH, one.time + _REACH
            if last is not None and last < one.time:
                span = max(last, one.time - _LONGEST_REACH), one.time
            late[one.resource_id] = joined(span, late.get(one.resource_id))
        return late

    def _recall(self, resource_id: str) -> None:
        self._known.add(resource_id)
        self._last |= {(resource_id, one.quantity): one.time for one in self._newest(resource_id)}


class LateBook:
    """The marks in the outbox's file. Every method may raise StoreError, and any thread call it."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def marks(self) -> dict[str, Span]:
        """Return the marks that are on the card."""
        found: list[tuple[Any, ...]]
        with self._outbox.reading():
            found = self._outbox.db.execute("SELECT resource_id, start, until FROM late").fetchall()
        return {resource_id: (moment(start), moment(until)) for resource_id, start, until in found}

    def note(self, late: Mapping[str, Span]) -> None:
        """Put marks on the card."""
        with self._outbox.change():
            self._outbox.db.executemany(
                "INSERT INTO late VALUES (?, ?, ?) ON CONFLICT (resource_id) DO UPDATE SET "
                "start = min(start, excluded.start), until = max(until, excluded.until)",
                [(id_, us(start), us(until)) for id_, (start, until) in late.items()],
            )

    def apply(
        self, late: Mapping[str, Span], noted: Mapping[str, Span], now: datetime, since: datetime
    ) -> tuple[int, int]:
        """Mark the rows whose windows `late` touches, and take what was `noted` off the card.

        Reports sent before `since` stay as they are. Unmet reports become pending again. Returns how many
        rows are to be corrected, and how many are pending again.
        """
        marked = again = 0
        found: list[tuple[Any, ...]]
        with self._outbox.change():
            db = self._outbox.db
            low = min(start for start, _ in late.values())
            high = max(until for _, until in late.values())
            found = db.execute(
                "SELECT key, state, start, until, resources, late FROM outbox WHERE "
                "((state IN ('sent', 'sending') AND coalesce(sent_at, changed) >= ?) "
                "OR (state = 'unmet' AND changed >= ?)) AND start < ? AND until > ? AND until <= due",
                (us(since), us(since), us(high), us(low)),
            ).fetchall()
            for key, state, start, until, number, old in found:
                places = [
                    place
                    for place, one in enumerate(self._outbox.rows.set_of(number) or ())
                    if (span := late.get(one.resource_id)) and us(span[0]) < until and us(span[1]) > start
                ]
                if not places:
                    continue
                if state == "unmet":
                    change = "state = 'owed', last_error = NULL, since = ?, not_before = ?"
                    self._outbox.set(key, now, _AGAIN, change, us(now), us(now))
                    again += 1
                    continue
                merged = bits({*positions(old), *places})
                entry = str(rep.STORY_LATE(count=len(places)))
                # `changed` stays when the row came to its state: late readings are not a state.
                db.execute("UPDATE outbox SET late = ? WHERE key = ?", (merged, key))
                self._outbox.tell(key, now, entry)
                marked += 1
            db.executemany(
                "DELETE FROM late WHERE resource_id = ? AND start >= ? AND until <= ?",
                [(id_, us(start), us(until)) for id_, (start, until) in noted.items()],
            )
        return marked, again

    def due(self, now: datetime, limit: int) -> list[Row]:
        """Return the rows to be corrected, oldest first."""
        with self._outbox.reading():
            return self._outbox.rows.select(
                "WHERE late IS NOT NULL AND state = 'sent' AND not_before <= ? "
                "ORDER BY due, owed_key, part LIMIT ?",
                *(us(now), limit),
            )

    def next_attempt(self) -> datetime | None:
        """Return when a row may next be corrected; None when none is to be."""
        view = self._outbox.view
        with view.reading():
            found = view.db.execute(
                "SELECT min(not_before) FROM outbox WHERE late IS NOT NULL AND state = 'sent'"
            ).get
        return None if found is None else moment(found)

    def look_again(self, key: str, until: datetime) -> None:
        """Note that the readings of a report will be complete at `until` only."""
        with self._outbox.change():
            self._outbox.db.execute(
                "UPDATE outbox SET putting = 0, not_before = ? WHERE key = ?", (us(until), key)
            )

    def not_put(self, key: str) -> None:
        """Note that a corrected body was not sent after all."""
        with self._outbox.change():
            self._outbox.db.execute("UPDATE outbox SET putting = 0 WHERE key = ?", (key,))

    def putting(self, key: str, now: datetime) -> None:
        """Note that a corrected body is about to be sent: from here on the VTN may have it."""
        self._outbox.tell(key, now, rep.STORY_TO_CORRECT(), "putting = 1")

    def done(
        self,
        row: Row,
        report_id: str | None,
        digest: bytes,
        gaps: Mapping[int, Sequence[int]],
        now: datetime,
        told: str = _CORRECTED,
    ) -> None:
        """Note that the VTN has the corrected body."""
        ids = [one.resource_id for one in row.resources or ()]
        places = {place for place, id_ in enumerate(ids) if id_ in row.late}
        with self._outbox.change():
            raw = self._outbox.db.execute("SELECT corrected FROM outbox WHERE key = ?", (row.key,)).get
            self._outbox.tell(
                *(row.key, now, told),
                "late = NULL, putting = 0, corrections = corrections + 1, digest = ?, gaps = ?, "
                "corrected = ?, report_id = coalesce(?, report_id), last_error = NULL",
                *(digest, encoded_gaps(gaps), bits({*positions(raw), *places}), report_id),
            )

    def unchanged(self, key: str, now: datetime) -> None:
        """Note that the late readings change no reported value."""
        self._outbox.tell(key, now, rep.STORY_UNCHANGED(), "late = NULL, putting = 0")

    def refused(self, key: str, reason: str, now: datetime) -> None:
        """Note that the VTN rejected the correction; it keeps the report that it has."""
        change = "late = NULL, putting = 0, last_error = ?"
        entry = str(rep.STORY_CORRECTION_REFUSED(reason=reason))
        self._outbox.tell(key, now, entry, change, entry)

    def later(self, key: str, reason: str, not_before: datetime, now: datetime, *, ambiguous: bool) -> None:
        """Note a failed attempt; `ambiguous`: the VTN may have it all the same."""
        change = "putting = ?, not_before = ?, last_error = ?"
        self._outbox.tell(key, now, reason, change, int(ambiguous), us(not_before), reason)


def widened(span: Span) -> Span:
    """Return a span to the full hours around it: a backlog in order is noted once for each hour."""
    start, until = us(span[0]) // _HOUR_US * _HOUR_US, -(-us(span[1]) // _HOUR_US) * _HOUR_US
    return moment(start), moment(until)


def within(inner: Span, outer: Span | None) -> bool:
    """True when a span lies within another."""
    return outer is not None and outer[0] <= inner[0] and inner[1] <= outer[1]


def joined(one: Span, other: Span | None) -> Span:
    """Return the span from the beginning of the earlier to the end of the later."""
    return one if other is None else (min(one[0], other[0]), max(one[1], other[1]))
