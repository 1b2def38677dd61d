"""What became of the intervals of each resource, per day: the evidence for a settlement.

Counts intervals of reports, by the UTC day on which they begin:

    owed       a report on it is or was due
    sent       the VTN has a value for it
    missing    it has no value at the VTN: nothing was known, the VTN refused it, or it was given up
    corrected  of those sent or missing: its report was corrected for this resource

`owed` - `sent` - `missing` still waits. The counts of stored rows are computed when they are asked for.
The counts of pruned rows go into `coverage` in the commit that removes the rows: no crash counts an
interval twice or loses it, and a report causes no extra write.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import apsw
import msgspec

from venclient.reporting.layout import day, positions, us
from venclient.reporting.obligations import Obligation
from venclient.reporting.rows import WAITING, OutboxView, Rows

#: Reports whose resources are not known yet.
EVERY = "*"

_EPOCH_DAY = date(1970, 1, 1)
_FOLDED = "state IN ('sent', 'refused', 'unmet', 'lost') AND changed < ?"
_COLUMNS = "state, resources, start, until, spans, obligation, gaps, corrected"
_ZERO = (0, 0, 0, 0)


class Coverage(NamedTuple):
    """One resource's day; see the module for what is counted."""

    day: date
    resource_id: str
    owed: int
    sent: int
    missing: int
    corrected: int

    @property
    def waiting(self) -> int:
        """Return how many intervals are still to be sent."""
        return self.owed - self.sent - self.missing


_Counts = dict[tuple[int, str], tuple[int, int, int, int]]


def coverage(view: OutboxView, since: date | None = None, until: date | None = None) -> list[Coverage]:
    """Return the days from `since` to `until` (both included), by day and resource."""
    first = -(2**40) if since is None else (since - _EPOCH_DAY).days
    last = 2**40 if until is None else (until - _EPOCH_DAY).days
    folded: list[tuple[Any, ...]]
    with view.reading():
        rows = Rows(view.db, lambda *_: None)
        counts = _counted(rows, _of_days(view.db, first, last))
        folded = view.db.execute(
            "SELECT day, resource_id, owed, sent, missing, corrected FROM coverage "
            "JOIN coverage_names ON id = resource WHERE day BETWEEN ? AND ?",
            (first, last),
        ).fetchall()
    for number, resource_id, *old in folded:
        _add(counts, number, resource_id, (old[0], old[1], old[2], old[3]))
    return [
        Coverage(_EPOCH_DAY + timedelta(days=number), resource_id, *figures)
        for (number, resource_id), figures in sorted(counts.items())
        if first <= number <= last
    ]


def fold(db: apsw.Connection, rows: Rows, before_us: int, forget_before: datetime | None) -> int:
    """Remove rows done with before a time, keep their daily counts, and return how many were removed."""
    found = db.execute(f"SELECT {_COLUMNS} FROM outbox WHERE {_FOLDED}", (before_us,))  # noqa: S608
    for (number, resource_id), figures in _counted(rows, found).items():
        db.execute("INSERT OR IGNORE INTO coverage_names (resource_id) VALUES (?)", (resource_id,))
        db.execute(
            "INSERT INTO coverage SELECT ?, id, ?, ?, ?, ? FROM coverage_names WHERE resource_id = ? "
            "ON CONFLICT (day, resource) DO UPDATE SET owed = owed + excluded.owed, "
            "sent = sent + excluded.sent, missing = missing + excluded.missing, "
            "corrected = corrected + excluded.corrected",
            (number, *figures, resource_id),
        )
    db.execute(f"DELETE FROM outbox WHERE changed < ? AND NOT {WAITING}", (before_us,))  # noqa: S608
    gone = db.changes()
    if gone:
        _forget_sets(db)
        rows.forget_sets()
    if forget_before is not None:
        db.execute("DELETE FROM coverage WHERE day < ?", (day(us(forget_before)),))
    return gone


def _forget_sets(db: apsw.Connection) -> None:
    """Delete the resource sets of which neither a row nor what was sent needs any."""
    unused = "SELECT id FROM resource_sets WHERE id NOT IN (SELECT resources FROM outbox WHERE resources > 0)"
    for (number,) in db.execute(unused).fetchall():
        try:
            needed = db.execute("SELECT 1 FROM sent WHERE resources = ? LIMIT 1", (number,)).get
        except apsw.CorruptError:
            return  # what of it is damaged may need them
        if needed is None:
            db.execute("DELETE FROM resource_sets WHERE id = ?", (number,))


def _of_days(db: apsw.Connection, first: int, last: int) -> Iterator[tuple[Any, ...]]:
    lowest, highest = max(first * 86_400_000_000, -(2**62)), min((last + 1) * 86_400_000_000, 2**62)
    return db.execute(
        f"SELECT {_COLUMNS} FROM outbox WHERE state <> 'superseded' AND until > ? AND start < ?",  # noqa: S608
        (lowest, highest),
    )


def _counted(rows: Rows, found: Iterable[tuple[Any, ...]]) -> _Counts:
    # Nearly all rows are alike but for their window: these are counted by resource set first.
    plain: dict[tuple[int | None, int, str], int] = defaultdict(int)
    counts: _Counts = {}
    for state, number, start, until, spans, raw, gaps, corrected in found:
        first = day(start)
        days = [first] * spans if until <= (first + 1) * 86_400_000_000 else _days_of(raw)
        if not gaps and not corrected:
            for one in days:
                plain[number, one, state] += 1
            continue
        missing = {int(place): raw_bits for place, raw_bits in msgspec.json.decode(gaps or "{}").items()}
        again = set(positions(corrected))
        for place, resource_id in enumerate(_ids(rows, number)):
            without = set(positions(bytes.fromhex(missing.get(place, ""))))
            for index, one in enumerate(days):
                figures = (1, int(index not in without), int(index in without), int(place in again))
                _add(counts, one, resource_id, figures if state == "sent" else (1, 0, 1, figures[3]))
    for (number, one, state), count in plain.items():
        sent = count if state == "sent" else 0
        missing_ = count if state in ("refused", "unmet", "lost") else 0
        for resource_id in _ids(rows, number):
            _add(counts, one, resource_id, (count, sent, missing_, 0))
    return counts


def _ids(rows: Rows, number: int | None) -> list[str]:
    resources = rows.set_of(number)
    return [EVERY] if resources is None else [one.resource_id for one in resources]


def _days_of(raw: bytes) -> list[int]:
    try:
        spans = msgspec.json.decode(raw, type=Obligation).spans
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return []
    return [day(us(span.start)) for span in spans]


def _add(counts: _Counts, number: int, resource_id: str, more: tuple[int, int, int, int]) -> None:
    a, b, c, d = counts.get((number, resource_id), _ZERO)
    counts[number, resource_id] = (a + more[0], b + more[1], c + more[2], d + more[3])
