"""The readings that are not compressed yet, as SQL on the table `reading`; for one thread at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import apsw

from venclient.readings.layout import SERIES_BITS, SERIES_MASK
from venclient.readings.segments import Sample

Row = tuple[int, float, int | None]

#: Time is divided into this number of parts, of which these are counted.
_PARTS = 20
_COUNTED_PARTS = (0, 9, 19)


class Fresh:
    """Readings in time order, all series together; what SQLite refuses comes as apsw.Error."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def rows(self, numbers: set[int] | None, first_ms: int, last_ms: int) -> Iterable[Row]:
        """Return (key, value, quality) of some or all series, first_ms <= time <= last_ms; in time order."""
        if numbers == set() or first_ms > last_ms:
            return []
        chosen = ""
        if numbers is not None:
            chosen = f"AND k & {SERIES_MASK} IN ({','.join(map(str, numbers))})"
        return self._connection.execute(
            f"SELECT k, v, q FROM reading WHERE k BETWEEN ? AND ? {chosen} ORDER BY k",  # noqa: S608 - numbers
            (max(first_ms, 0) << SERIES_BITS, max(last_ms, 0) << SERIES_BITS | SERIES_MASK),
        )

    def estimate(self, first_ms: int, last_ms: int) -> int:
        """Estimate how many readings of all series there are, first_ms <= time <= last_ms.

        They are counted in some parts of that time, and taken to be as dense everywhere as in the densest.
        """
        length = -(-(last_ms + 1 - first_ms) // _PARTS)
        most = 0
        for part in _COUNTED_PARTS:
            begin = first_ms + part * length
            bounds = (max(begin, 0) << SERIES_BITS, max(begin + length, 0) << SERIES_BITS)
            counted = self._connection.execute("SELECT count(*) FROM reading WHERE k >= ? AND k < ?", bounds)
            most = max(most, int(counted.get))
        return most * _PARTS

    def at(self, key: int) -> Sample | None:
        """Return the sample of a key."""
        for value, quality in self._connection.execute("SELECT v, q FROM reading WHERE k = ?", (key,)):
            return key >> SERIES_BITS, value, quality
        return None

    def before(self, numbers: set[int], first_ms: int, newest: Mapping[int, int], reach_ms: int) -> list[int]:
        """Return the keys of the last readings before a moment, of those that are fresh or the newest."""
        ended = {n for n in numbers if newest.get(n, -1) >> SERIES_BITS < first_ms}
        oldest_ms = first_ms - reach_ms
        keys = [newest[n] for n in ended if newest.get(n, -1) >> SERIES_BITS >= oldest_ms]
        return keys + self._search(numbers - ended, first_ms, -reach_ms)

    def after(self, numbers: set[int], last_ms: int, newest: Mapping[int, int], reach_ms: int) -> list[int]:
        """Return the keys of the first fresh readings after a moment."""
        going_on = {n for n in numbers if newest.get(n, -1) >> SERIES_BITS > last_ms}
        return self._search(going_on, last_ms + 1, reach_ms)

    def _search(self, numbers: set[int], from_ms: int, reach_ms: int) -> list[int]:
        """Look away from a moment in growing steps, until each series was met or the reach is over."""
        missing, keys = set(numbers), []
        near, step_ms = 0, 60_000
        nearest = "max(k)" if reach_ms < 0 else "min(k)"
        while missing and near < abs(reach_ms):
            far = min(near + step_ms, abs(reach_ms))
            # Of the two edges the one nearer to the moment: before it is excluded, after it included.
            low = from_ms - far if reach_ms < 0 else from_ms + near
            high = from_ms - near if reach_ms < 0 else from_ms + far
            for (key,) in self._connection.execute(
                f"SELECT {nearest} FROM reading WHERE k >= ? AND k < ? GROUP BY k & ?",  # noqa: S608 - constant
                (max(low, 0) << SERIES_BITS, max(high, 0) << SERIES_BITS, SERIES_MASK),
            ):
                if key & SERIES_MASK in missing:
                    missing.discard(key & SERIES_MASK)
                    keys.append(key)
            near, step_ms = far, step_ms * 4
        return keys
