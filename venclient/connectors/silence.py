"""Whether a source is silent: it can be reached, and no value comes.

The limit is, in this order: what the connection's options say (0: never); three times the usual time between
the arrivals of values; while that is not known, three times the usual time between the values of a file or
backlog; 15 minutes, or ten polls where that is longer. It is never below two minutes. What was stored before
the start counts, too: a source whose newest value is older than three days, stored or read at once, is silent
from the start, until the next value comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median, quantiles

from venclient.connectors.base import Batch
from venclient.model.reading import Quality

FLOOR_S = 120.0
UNKNOWN_S = 900.0
POLLS = 10.0
SPACINGS = 3.0
#: Gaps between arrivals that are remembered, and how many of them show what is usual.
GAPS = 50
LEAST_GAPS = 3
#: A source without a value for longer than this before the start is silent at once.
OLD = timedelta(days=3)

_VALUES = (Quality.GOOD, Quality.ESTIMATED, Quality.OUT_OF_RANGE)


def usual_gap_s(gaps_s: Sequence[float]) -> float | None:
    """Return the gap that nine of ten do not exceed; None for too few gaps."""
    if len(gaps_s) < LEAST_GAPS:
        return None
    return quantiles(gaps_s, n=10, method="inclusive")[-1]


def spacing_s(times: Sequence[datetime]) -> float | None:
    """Return the median time between different times of values; None for too few."""
    steps = [(after - before).total_seconds() for before, after in pairwise(sorted(set(times)))]
    return median(steps) if len(steps) >= LEAST_GAPS else None


class Silence:
    """Watches when values come. `start_s` and `now_s` are monotonic seconds."""

    def __init__(
        self, limit_s: float | None, interval_s: float | None, last_value: datetime | None, start_s: float
    ) -> None:
        self._given_s = limit_s
        self._unknown_s = max(UNKNOWN_S, POLLS * (interval_s or 0.0))
        self._heard_s = start_s
        self._gaps: deque[float] = deque(maxlen=GAPS)
        self._spacing_s: float | None = None
        self._has_value = False
        self._has_more = False
        #: The time of the newest value, of this run or stored before.
        self.last_value = last_value

    @property
    def limit_s(self) -> float | None:
        """After how many seconds without a value the source is silent; None: never."""
        if self._given_s is not None:
            return self._given_s or None
        usual_s = usual_gap_s(self._gaps)
        if usual_s is None:
            usual_s = self._spacing_s
        return self._unknown_s if usual_s is None else max(FLOOR_S, SPACINGS * usual_s)

    def note(self, batch: Batch, now_s: float) -> None:
        """Note the values of a batch; one without any leaves the silence as it is."""
        had_more, self._has_more = self._has_more, batch.more
        times = [reading.time for reading in batch.readings if reading.quality in _VALUES]
        if not times or batch.silent:
            return
        newest = times[0] if len(times) == 1 else max(times)
        if self.last_value is None or newest > self.last_value:
            self.last_value = newest
        if self._has_value and not batch.more and not had_more:
            self._gaps.append(now_s - self._heard_s)
        if len(self._gaps) < LEAST_GAPS and len(times) > LEAST_GAPS:
            self._spacing_s = spacing_s(times) or self._spacing_s
        self._heard_s, self._has_value = now_s, True

    def is_silent(self, now_s: float, now: datetime) -> bool:
        """Return True if no value came for longer than the limit."""
        limit_s = self.limit_s
        if limit_s is None:
            return False
        if now_s - self._heard_s > limit_s:
            return True
        is_first = not self._gaps and not self._has_more
        return self._given_s is None and is_first and self._is_old(now)

    def age_s(self, now_s: float, now: datetime) -> float:
        """Return the age of the newest value in seconds; since the start where none is known."""
        waited_s = now_s - self._heard_s
        if self.last_value is None:
            return waited_s
        return max(waited_s, (now - self.last_value).total_seconds())

    def _is_old(self, now: datetime) -> bool:
        return self.last_value is not None and now - self.last_value > OLD
