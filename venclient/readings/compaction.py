"""Copies readings that have settled into compressed history, a slice of time at once, with their quarters.

    reading   |--done--|=== slice: all series ===|........|..fresh, left alone..
              0     moved_ms                   end_ms   before_ms
    segment      one or two per series, with what was there of the same day already
    quarter      the slice's, and one on either side, whose edges have become known better

At the end of the pass the table `reading` is emptied at once and given back what is fresh: SQLite frees
whole pages then without writing them, where row by row it would write every page once more.

`begin`, `carry_out` and `finish` are one short commit each; `plan` only reads, and takes its time. Killed
at any moment, the next start goes on from the last commit, and nothing is lost or there twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from venclient.model.quality import NO_RULES, MeterRules
from venclient.readings.history import DAY_MS, Segment
from venclient.readings.layout import MOMENT_BITS, MOMENT_MASK, SERIES_BITS, SERIES_MASK
from venclient.readings.look import HOURLY_QUARTERS, merged
from venclient.readings.quarters import QUARTER_MS, Quarter, quarters
from venclient.readings.segments import Sample, pack
from venclient.readings.tables import Tables

#: About this number of readings is in a slice: a fraction of a second's work on a small machine.
SLICE_ROWS = 40_000
#: The most readings of a segment: two or three pages of the file for most meters.
SEGMENT_READINGS = 1024
#: How far around a slice readings are read, to find the usual spacing and to reach its edges.
REACH_MS = 3_600_000


class Plan(NamedTuple):
    """What is to be done with the fresh readings of first_ms <= time < end_ms."""

    first_ms: int
    end_ms: int
    rows: int
    gone: list[int]
    made: list[tuple[int, int, int, bytes]]
    quarters: dict[int, Sequence[Quarter]]
    newest: dict[int, int]


def begin(tables: Tables, before_ms: int) -> bool:
    """Begin a pass over the readings before a moment; False when there is none to begin or go on with.

    There is one pass for each moment: what comes late afterwards waits for the next.
    """
    tables.lowest_ms = MOMENT_MASK
    last_ms, moved_ms = tables.history.compression()
    if moved_ms:
        return True
    if last_ms == before_ms or not _oldest(tables, 0, before_ms):
        return False
    with tables.connection:
        tables.history.note_compression(before_ms, 1)
    tables.moved_ms = 1
    return True


def plan(tables: Tables, *, slice_rows: int = SLICE_ROWS) -> Plan | None:
    """Return the next step of the pass; None when all its readings are in the history."""
    connection = tables.connection
    rules = tables.rules()
    found: Plan | None = None
    with connection:  # one state of the file, whatever is committed meanwhile
        before_ms, moved_ms = tables.history.compression()
        oldest = _oldest(tables, moved_ms, before_ms)
        if not oldest:
            return found
        first_ms = oldest[0] >> SERIES_BITS
        end_ms = _end(tables, first_ms, before_ms, slice_rows)
        inside: dict[int, list[Sample]] = {}
        beyond: dict[int, list[Sample]] = {}
        for key, value, quality in tables.fresh.rows(None, first_ms, end_ms + QUARTER_MS - 1):
            moment_ms = key >> SERIES_BITS
            where = inside if moment_ms < end_ms else beyond
            where.setdefault(key & SERIES_MASK, []).append((moment_ms, value, quality))
        found = Plan(first_ms, end_ms, sum(map(len, inside.values())), [], [], {}, {})
        for number, fresh in inside.items():
            found.newest[number] = fresh[-1][0] << SERIES_BITS | number
            meter = rules.get(tables.named(number)[0], NO_RULES)
            _plan_series(tables, found, number, fresh, beyond.get(number, []), meter)
    return found


def _end(tables: Tables, first_ms: int, before_ms: int, slice_rows: int) -> int:
    """Return where the slice ends: within the day, on a quarter where that leaves it small enough."""
    end_ms = min(before_ms, first_ms // DAY_MS * DAY_MS + DAY_MS)
    for (key,) in tables.connection.execute(
        "SELECT k FROM reading WHERE k >= ? ORDER BY k LIMIT 1 OFFSET ?",
        (first_ms << SERIES_BITS, slice_rows),
    ):
        full_ms = key >> SERIES_BITS
        if full_ms < end_ms:
            quarter_ms = full_ms // QUARTER_MS * QUARTER_MS
            end_ms = quarter_ms if quarter_ms > first_ms else max(full_ms, first_ms + 1)
    return end_ms


def _plan_series(
    tables: Tables, found: Plan, number: int, fresh: list[Sample], beyond: list[Sample], rules: MeterRules
) -> None:
    history = tables.history
    # An hourly counter covers an hour when it is over: the slice before becomes known with this one.
    back, reach_ms = (HOURLY_QUARTERS, 3 * REACH_MS) if rules.hourly else (1, REACH_MS)
    first_ms, last_ms = fresh[0][0], fresh[-1][0]
    day_ms = first_ms // DAY_MS * DAY_MS
    around = history.segments(number, first_ms - reach_ms, last_ms + reach_ms)
    samples = {segment.key: history.samples(segment) for segment in around}
    open_ = _open_segment(around, first_ms, day_ms, len(fresh))
    taken = [one for one in around if one == open_ or (one.last_ms >= first_ms and one.first_ms <= last_ms)]
    together = merged([sample for one in taken for sample in samples[one.key]], fresh)
    found.gone.extend(segment.key for segment in taken)
    found.made.extend(
        (number << MOMENT_BITS | part[0][0], part[-1][0], len(part), pack(part)) for part in _parts(together)
    )
    others = [sample for one in around if one not in taken for sample in samples[one.key]]
    known = sorted([*others, *together], key=lambda sample: sample[0])
    known = merged(known, beyond)
    first, last = first_ms // QUARTER_MS - back, last_ms // QUARTER_MS + 1
    known = [sample for sample in known if first_ms - reach_ms <= sample[0]]
    quantity = tables.named(number)[1]
    # A quarter after the slice whose readings are all still fresh is made with those.
    last = min(last, (found.end_ms - 1) // QUARTER_MS if beyond else last)
    found.quarters[number] = list(quarters(quantity, tables.readings(number, known), first, last, rules))


def _open_segment(around: Sequence[Segment], first_ms: int, day_ms: int, count: int) -> Segment | None:
    """Return the day's last segment before a moment, when the readings from there on belong in it."""
    before = [one for one in around if day_ms <= one.first_ms and one.last_ms < first_ms]
    if before and (
        before[-1].readings + count <= SEGMENT_READINGS or before[-1].readings < SEGMENT_READINGS // 2
    ):
        return before[-1]
    return None


def _parts(samples: list[Sample]) -> Iterator[list[Sample]]:
    """Yield the samples of a day in as few parts of about the same size as segments allow."""
    count = -(-len(samples) // SEGMENT_READINGS)
    size = -(-len(samples) // count)
    for start in range(0, len(samples), size):
        yield samples[start : start + size]


def carry_out(tables: Tables, planned: Plan) -> bool:
    """Commit a plan; False, with nothing done, when readings came in for its slice since `begin`."""
    if tables.lowest_ms < planned.end_ms:
        return False
    history, connection = tables.history, tables.connection
    connection.execute("BEGIN IMMEDIATE")
    try:
        history.replace(planned.gone, planned.made)
        history.save_quarters(planned.quarters)
        before_ms, _ = history.compression()
        history.note_compression(before_ms, planned.end_ms)
        # The newest keys up to the horizon must be in `series`, as they are not in `reading` any more.
        connection.executemany(
            "UPDATE series SET last_k = ? WHERE id = ? AND coalesce(last_k, 0) < ?",
            [(key, number, key) for number, key in planned.newest.items()],
        )
        history.reach((max(planned.newest.values()) >> SERIES_BITS) + 1)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    tables.moved_ms = planned.end_ms
    return True


def finish(tables: Tables) -> None:
    """End the pass: what is in the history leaves `reading`, but for what came late meanwhile."""
    history, connection = tables.history, tables.connection
    connection.execute("BEGIN IMMEDIATE")
    try:
        before_ms, moved_ms = history.compression()
        connection.execute(
            "CREATE TEMP TABLE kept AS SELECT k, v, q, m FROM reading"
            " WHERE k >= ? OR k IN (SELECT k FROM late) ORDER BY k",
            (max(moved_ms, 1) << SERIES_BITS,),
        )
        connection.execute("DELETE FROM reading")
        connection.execute("INSERT INTO reading(k, v, q, m) SELECT k, v, q, m FROM kept ORDER BY k")
        connection.execute("DROP TABLE temp.kept")
        connection.execute("DELETE FROM late")
        history.note_compression(before_ms, 0)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    tables.moved_ms = 0


def _oldest(tables: Tables, from_ms: int, before_ms: int) -> list[int]:
    """Return the key of the first reading in that time, if any."""
    rows: Any = tables.connection.execute(
        "SELECT k FROM reading WHERE k >= ? AND k < ? ORDER BY k LIMIT 1",
        (from_ms << SERIES_BITS, before_ms << SERIES_BITS),
    )
    return [key for (key,) in rows]
