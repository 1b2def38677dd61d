"""The compressed history in the readings file: its segments and quarters, as SQL; for one thread at a time.

`tables.py` joins it with the readings that are not compressed yet; `compaction.py` fills it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import apsw

from venclient.readings.layout import MOMENT_BITS, MOMENT_MASK, SERIES_BITS, SERIES_MASK
from venclient.readings.quarters import QUARTER_MS, Quarter
from venclient.readings.segments import Sample, unpack

DAY_MS = 86_400_000


class Segment(NamedTuple):
    """Where a segment is: its key, the millisecond of its last reading, and how many it holds."""

    key: int
    last_ms: int
    readings: int

    @property
    def first_ms(self) -> int:
        """Return the millisecond of the first reading."""
        return self.key & MOMENT_MASK


class HistorySize(NamedTuple):
    """What the history holds."""

    segments: int
    readings: int
    bytes: int
    quarters: int


class History:
    """Segments and quarters of a readings file; what SQLite refuses comes as apsw.Error."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def end_ms(self) -> int:
        """Return the first millisecond after everything in the history; 0 when there is none."""
        return self._state("history_ms")

    def final_ms(self) -> int:
        """Return the moment up to which readings were deleted and quarters are therefore final."""
        return self._state("final_ms")

    def reach(self, end_ms: int) -> None:
        """Note that the history reaches up to a moment."""
        self._raise("history_ms", end_ms)

    def settle(self, final_ms: int) -> None:
        """Note that readings before a moment were let go."""
        self._raise("final_ms", final_ms)

    def compression(self) -> tuple[int, int]:
        """Return up to which moment readings are, or were last, compressed, and how far that has come.

        The second is 0 when nothing is under way.
        """
        return self._state("pass_ms"), self._state("moved_ms")

    def note_compression(self, before_ms: int, moved_ms: int) -> None:
        """Note both; within a transaction."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO state VALUES(?, ?)", [("pass_ms", before_ms), ("moved_ms", moved_ms)]
        )

    def _state(self, name: str) -> int:
        for (value,) in self._connection.execute("SELECT value FROM state WHERE name = ?", (name,)):
            return int(value)
        return 0

    def _raise(self, name: str, value: int) -> None:
        self._connection.execute(
            "INSERT INTO state VALUES(?, ?)"
            " ON CONFLICT(name) DO UPDATE SET value = max(value, excluded.value)",
            (name, value),
        )

    # ---- segments

    def segments(self, series: int, first_ms: int, last_ms: int) -> list[Segment]:
        """Return one series' segments that hold readings, or may, from first_ms to last_ms; in time order."""
        low = max(0, first_ms - DAY_MS)
        rows = self._connection.execute(
            "SELECT k, last_ms, n FROM segment WHERE k BETWEEN ? AND ?",
            (series << MOMENT_BITS | low, series << MOMENT_BITS | max(last_ms, 0)),
        )
        return [segment for segment in map(Segment._make, rows) if segment.last_ms >= first_ms]

    def samples(self, segment: Segment) -> list[Sample]:
        """Return the samples of a segment; none when it is gone."""
        for (data,) in self._connection.execute("SELECT data FROM segment WHERE k = ?", (segment.key,)):
            return unpack(data)
        return []

    def inside(self, series: int, first_ms: int, last_ms: int) -> list[Sample]:
        """Return one series' samples of first_ms <= time <= last_ms, in time order."""
        found: list[Sample] = []
        for segment in self.segments(series, first_ms, last_ms):
            samples = self.samples(segment)
            if segment.first_ms < first_ms or segment.last_ms > last_ms:
                begin = bisect_left(samples, first_ms, key=_time)
                samples = samples[begin : bisect_right(samples, last_ms, key=_time)]
            found += samples
        return found

    def before(self, series: int, first_ms: int, reach_ms: int) -> Sample | None:
        """Return the last sample before a moment, at most `reach_ms` back."""
        oldest_ms = max(0, first_ms - reach_ms)
        for segment in reversed(self.segments(series, oldest_ms, first_ms - 1)):
            samples = self.samples(segment)
            index = bisect_left(samples, first_ms, key=_time)
            if index:
                sample = samples[index - 1]
                return sample if sample[0] >= oldest_ms else None
        return None

    def after(self, series: int, last_ms: int, reach_ms: int) -> Sample | None:
        """Return the first sample after a moment, at most `reach_ms` later."""
        newest_ms = last_ms + reach_ms
        for segment in self.segments(series, last_ms + 1, newest_ms):
            samples = self.samples(segment)
            index = bisect_right(samples, last_ms, key=_time)
            if index < len(samples):
                sample = samples[index]
                return sample if sample[0] <= newest_ms else None
        return None

    def at(self, series: int, moment_ms: int) -> Sample | None:
        """Return the sample of a moment."""
        for sample in self.inside(series, moment_ms, moment_ms):
            return sample
        return None

    def next_ms(self, series: int, from_ms: int) -> int | None:
        """Return where a series' next readings from a moment on may begin; None when there are none."""
        here = series << MOMENT_BITS | from_ms
        rows = self._rows(
            "SELECT k, last_ms FROM segment WHERE k BETWEEN ? AND ? ORDER BY k DESC LIMIT 1",
            (series << MOMENT_BITS, here),
        ) + self._rows(
            "SELECT k, last_ms FROM segment WHERE k BETWEEN ? AND ? ORDER BY k LIMIT 1",
            (here, series << MOMENT_BITS | MOMENT_MASK),
        )
        return next((max(from_ms, key & MOMENT_MASK) for key, last_ms in rows if last_ms >= from_ms), None)

    def replace(self, gone: Iterable[int], made: Iterable[tuple[int, int, int, bytes]]) -> None:
        """Put segments (key, last millisecond, count, data) in the place of others; within a transaction."""
        self._connection.executemany("DELETE FROM segment WHERE k = ?", [(key,) for key in gone])
        self._connection.executemany("INSERT OR REPLACE INTO segment VALUES(?, ?, ?, ?)", made)

    def oldest(self, series: Iterable[int], each: int, before_ms: int) -> list[Segment]:
        """Return up to `each` segments of every series that end before a moment, oldest first."""
        found: list[Segment] = []
        for number in series:
            rows = self._connection.execute(
                "SELECT k, last_ms, n FROM segment WHERE k >= ? AND k < ? AND last_ms < ? ORDER BY k LIMIT ?",
                (number << MOMENT_BITS, number << MOMENT_BITS | max(before_ms, 0), before_ms, each),
            )
            found += map(Segment._make, rows)
        return sorted(found, key=lambda one: one.last_ms)

    def span_ms(self, series: Iterable[int]) -> tuple[int, int] | None:
        """Return the first and the last millisecond of these series; None when they have no history."""
        firsts, lasts = [], []
        for number in series:
            bounds = (number << MOMENT_BITS, number << MOMENT_BITS | MOMENT_MASK)
            for key, _ in self._connection.execute(
                "SELECT k, last_ms FROM segment WHERE k BETWEEN ? AND ? ORDER BY k LIMIT 1", bounds
            ):
                firsts.append(key & MOMENT_MASK)
            for _, last_ms in self._connection.execute(
                "SELECT k, last_ms FROM segment WHERE k BETWEEN ? AND ? ORDER BY k DESC LIMIT 1", bounds
            ):
                lasts.append(last_ms)
        return (min(firsts), max(lasts)) if firsts else None

    # ---- quarters

    def save_quarters(self, rows: Mapping[int, Sequence[Quarter]]) -> None:
        """Keep quarters by series; final ones stay as they are once they are there.

        Their readings are gone by then, and what came late would be taken for all there was.
        """
        final = self.final_ms() // QUARTER_MS
        for replacing, verb in ((True, "REPLACE"), (False, "IGNORE")):
            self._connection.executemany(
                f"INSERT OR {verb} INTO quarter VALUES(?, ?, ?, ?, ?, ?, ?)",
                [
                    (one.number << SERIES_BITS | series, *one[1:])
                    for series, found in rows.items()
                    for one in found
                    if (one.number > final) == replacing
                ],
            )

    def quarters(self, series: set[int], first: int, last: int) -> dict[int, list[Quarter]]:
        """Return the quarters first..last that are stored of these series, in time order, by series."""
        found: dict[int, list[Quarter]] = {}
        columns = "SELECT k, n, value, share, low, high, last FROM quarter"
        # One or two series among many are fetched quarter by quarter, not looked for among all.
        ((total,),) = self._rows("SELECT count(*) FROM series")
        if 8 * len(series) < total:
            keys = ((n << SERIES_BITS | one,) for one in series for n in range(first, last + 1))
            rows = self._connection.executemany(f"{columns} WHERE k = ?", keys)
        else:
            bounds = (max(first, 0) << SERIES_BITS, max(last, 0) << SERIES_BITS | SERIES_MASK)
            rows = self._connection.execute(f"{columns} WHERE k BETWEEN ? AND ? ORDER BY k", bounds)
        for key, *rest in rows:
            if key & SERIES_MASK in series:
                found.setdefault(key & SERIES_MASK, []).append(Quarter(key >> SERIES_BITS, *rest))
        return found

    # ---- the file

    def note_wear(self, day: int, written: int, readings: int) -> None:
        """Add bytes written and readings taken to those of a day (days since 1970)."""
        self._connection.execute(
            "INSERT INTO wear VALUES(?, ?, ?) ON CONFLICT(day) DO UPDATE"
            " SET bytes = bytes + excluded.bytes, readings = readings + excluded.readings",
            (day, written, readings),
        )

    def wear(self, days: int) -> list[tuple[int, int, int]]:
        """Return (day since 1970, bytes written, readings taken) of the last days, newest first."""
        rows: Any = self._connection.execute(
            "SELECT day, bytes, readings FROM wear ORDER BY day DESC LIMIT ?", (days,)
        )
        return list(rows)

    def size(self) -> HistorySize:
        """Return how much is stored; reads the head of every segment."""
        segments = "SELECT count(*), coalesce(sum(n), 0), coalesce(sum(length(data)), 0) FROM segment"
        ((count, readings, data),) = self._rows(segments)
        ((quarters,),) = self._rows("SELECT count(*) FROM quarter")
        return HistorySize(count, readings, data, quarters)

    def _rows(self, sql: str, bindings: tuple[int, ...] = ()) -> list[Any]:
        return self._connection.execute(sql, bindings).fetchall()


def _time(sample: Sample) -> int:
    return sample[0]
