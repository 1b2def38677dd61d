"""Which meters will soon send the reading that completes an interval: what reports wait for.

    interval         [-----------------------)
    readings     o       o       o       o       o
                                         |       '-- completes it: until then the end is extrapolated
                                         '---------- the newest when the interval ends

A reading is expected one usual spacing after the newest one. None is expected of a meter whose newest reading
is at or after the end, that is silent or unreachable, that is read from files, or whose readings are too
few or too far apart to know when the next one comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from venclient.model.reading import ENERGY_EXPORT_KWH, ENERGY_KWH, INTERVAL_ENERGY_KWH, POWER_KW, Reading

#: Quantities that energy and power are made of.
ENERGY = (POWER_KW, ENERGY_KWH, ENERGY_EXPORT_KWH, INTERVAL_ENERGY_KWH)
#: Spacings that are remembered of each meter, and how many of them say what is usual.
REMEMBERED = 8
LEAST = 1
#: A meter with longer spacings is not waited for: what it sends later is a late reading (`LateWatch`).
LONGEST = timedelta(minutes=5)
#: A reading that is late by this share of the usual spacing is still expected, and by this time at least.
LATE_SHARE = 0.5
LATE_LEAST = timedelta(seconds=2)


class Completing:
    """Knows the usual spacing of meters, from the readings that pass.

    `newest` returns the newest reading of each quantity of a resource, `is_read` whether its source is being
    read and not silent.
    """

    def __init__(
        self, newest: Callable[[str], Mapping[str, Reading]], is_read: Callable[[str], bool]
    ) -> None:
        self._newest = newest
        self._is_read = is_read
        self._times: dict[str, deque[datetime]] = {}

    def hear(self, readings: Iterable[Reading]) -> None:
        """Note the times of readings that are about to be stored."""
        for one in readings:
            if one.quantity not in ENERGY:
                continue
            times = self._times.get(one.resource_id)
            if times is None:
                times = self._times[one.resource_id] = deque(maxlen=REMEMBERED + 1)
                before = self._newest_of(one.resource_id)
                if before is not None and before < one.time <= before + LONGEST:
                    times.append(before)
            if not times or one.time > times[-1]:
                times.append(one.time)

    def expected(self, resource_ids: Sequence[str], end: datetime, now: datetime) -> dict[str, datetime]:
        """Return when the reading that completes an interval is expected, by resource; others are absent.

        `end` is the interval's end. A resource is absent when nothing is to be waited for.
        """
        found: dict[str, datetime] = {}
        for id_ in resource_ids:
            newest = self._newest_of(id_)
            if newest is None or newest >= end or end - newest > LONGEST:
                continue
            spacing = self._spacing(id_)
            if spacing is None:
                continue
            coming = newest + spacing
            if now <= coming + max(LATE_LEAST, spacing * LATE_SHARE) and self._is_read(id_):
                found[id_] = max(coming, end)
        return found

    def _newest_of(self, resource_id: str) -> datetime | None:
        newest = self._newest(resource_id)
        return max((newest[one].time for one in ENERGY if one in newest), default=None)

    def _spacing(self, resource_id: str) -> timedelta | None:
        times = self._times.get(resource_id)
        if times is None or len(times) <= LEAST:
            return None
        spacing_s = median((after - before).total_seconds() for before, after in pairwise(times))
        return timedelta(seconds=spacing_s) if spacing_s <= LONGEST.total_seconds() else None
