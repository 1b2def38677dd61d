"""Times for readings whose source has none: that of arrival, and never the same for two messages.

A broker that kept a thousand messages gives many of them within one millisecond, and a reading is stored
under its series and its millisecond. Messages get the milliseconds before their arrival, in their order:

    came     12:00:00.500   .500   .500   .500
    stored   12:00:00.497   .498   .499   .500

and those after the last one where these are taken already: a burst of more than a message a millisecond runs
ahead of the clock. `lead_s` returns how long the caller then waits before it goes on.
"""

from __future__ import annotations

from collections.abc import Sequence

#: How far stamps may run ahead of the clock ...
MOST_AHEAD_MS = 1_000
#: ... and stamps further ahead than this are of a clock that was set back since: they do not count.
SET_BACK_MS = 60_000


class ArrivalTimes:
    """Strictly increasing times for the messages of one resource, in milliseconds since 1970.

    `newest_ms` is the time of its newest stored reading, None without one: after a restart times go on
    behind it.
    """

    def __init__(self, newest_ms: int | None = None) -> None:
        self._last_ms = newest_ms
        self._floor_ms = newest_ms or 0

    def stamp(self, arrived_ms: Sequence[int]) -> list[int]:
        """Return a time for each of some messages that arrived at these times, in their order."""
        if not arrived_ms:
            return []
        last_ms = self._last_ms
        if last_ms is None or last_ms > arrived_ms[-1] + SET_BACK_MS:
            last_ms = self._floor_ms = -1
        stamps = []
        next_ms = arrived_ms[-1] + 1
        for ms in reversed(arrived_ms):
            next_ms = ms if ms < next_ms else next_ms - 1
            stamps.append(next_ms)
        stamps.reverse()
        if next_ms <= last_ms:
            for place, ms in enumerate(stamps):
                if ms > last_ms:
                    break
                stamps[place] = last_ms = last_ms + 1
        self._last_ms = stamps[-1]
        return stamps

    def lead_s(self, now_ms: int) -> float:
        """Return how many seconds to wait until times are not too far ahead of the clock; 0: none."""
        if self._last_ms is None:
            return 0.0
        return max(0, self._last_ms - max(now_ms, self._floor_ms) - MOST_AHEAD_MS) / 1000
