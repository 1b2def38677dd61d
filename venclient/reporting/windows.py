"""Windows of intervals: which of an event's intervals each report of a descriptor covers, and when it is due.

The User Guide (7.5) can be read in two ways in three places; `WindowRules` chooses.

    intervals              0     1     2     3     4     5
    s=1 n=2 f=2 r=3      [---------] [---------] [---------]        generation-point: made at s, looking back
                               [---------] [---------] [---]        first-covered: s is the first covered
    automatic            generation-point, but first-covered where fewer than n come before s
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from math import gcd
from typing import Literal

import msgspec

from venclient.openadr.objects import ReportDescriptor
from venclient.openadr.timeline import NEVER, Timeline, first_where
from venclient.reporting.line_facts import LineFacts

WindowReading = Literal["automatic", "generation-point", "first-covered"]
AllIntervals = Literal["since-last", "all"]
ForecastAt = Literal["start", "end"]


class WindowRules(msgspec.Struct, frozen=True):
    """How report descriptors are read where the standard leaves it open.

    `window` says what startInterval means; `all_intervals` what numIntervals -1 with a frequency and
    repetitions covers each time; `forecast` when in its window a forecast is due.
    """

    window: WindowReading = "automatic"
    all_intervals: AllIntervals = "since-last"
    forecast: ForecastAt = "start"


USUAL_RULES = WindowRules()


class Timing(msgspec.Struct, frozen=True):
    """When a descriptor wants reports; its frequency as a number of intervals."""

    start_interval: int = -1
    num_intervals: int = -1
    historical: bool = True
    frequency: int = -1
    repeat: int = 1

    @classmethod
    def of(cls, descriptor: ReportDescriptor, frequency: int, repeat: int) -> Timing:
        """Return a descriptor's timing, with the frequency and the repetitions that it comes to."""
        historical = descriptor.historical
        return cls(descriptor.start_interval, descriptor.num_intervals, historical, frequency, repeat)


@dataclass(frozen=True, slots=True)
class Window:
    """Intervals `first` to `last`, and when a report on them is due (None: never)."""

    first: int
    last: int
    due: datetime | None


class Windows:
    """The windows of one timing on one timeline, in the order of their due times."""

    def __init__(
        self,
        timing: Timing,
        timeline: Timeline,
        rules: WindowRules = USUAL_RULES,
        facts: LineFacts | None = None,
    ) -> None:
        self._line = timeline
        self._facts = facts or LineFacts(timeline)
        # A window is due at its end, or at its start.
        self._at_end = timing.historical or rules.forecast == "end"
        s, r = timing.start_interval, timing.repeat
        set_f = timing.frequency > 0
        n = self._asked(timing, timeline, rules)
        self._n, self._f = n, timing.frequency if set_f else n
        if not timing.historical:
            self._first = max(s, 0)
        elif s == -1:
            at_end = r == 1 and not set_f and timeline.count is not None
            self._first = max((timeline.count or 0) - n, 0) if at_end else 0
        else:
            # Decided once, for all windows of the descriptor.
            covered = rules.window == "first-covered" or (rules.window == "automatic" and s - n + 1 < 0)
            self._first = s if covered else s - n + 1
        self.count = self._counted(r)
        self._ordered: list[Window] | None = None

    @property
    def _sorted(self) -> list[Window] | None:
        """The windows by due time, where their order differs from that of the intervals; else None."""
        if self._ordered is None and not self._line.ordered and self.count is not None:
            # Few by nature: only intervals that are written out one by one can step back in time.
            windows = [self._made(k) for k in range(self.count)] if not self._at_end else self._ending()
            self._ordered = sorted(windows, key=lambda window: window.due or NEVER)
        return self._ordered

    @staticmethod
    def _asked(timing: Timing, timeline: Timeline, rules: WindowRules) -> int:
        """Return numIntervals, with what -1 stands for."""
        if timing.num_intervals != -1:
            return timing.num_intervals
        since_last = rules.all_intervals == "since-last" and timing.repeat != 1
        if timing.frequency > 0 and (since_last or timeline.count is None):
            return timing.frequency
        return max(1, timeline.pattern if timeline.count is None else timeline.count)

    @classmethod
    def size_of(cls, timing: Timing, timeline: Timeline, rules: WindowRules = USUAL_RULES) -> int:
        """Return how many intervals the longest window has."""
        asked = cls._asked(timing, timeline, rules)
        return asked if timeline.count is None else min(asked, timeline.count)

    @property
    def most_in_a_day(self) -> int:
        """Return how many windows can fall due within a day at most, looking at none of them."""
        begun = self._facts.most_in_a_day
        if begun is None:
            return self.count or 0
        within = -(-begun // self._f) + 1
        return within if self.count is None else min(within, self.count)

    def _counted(self, repeat: int) -> int | None:
        total = self._line.count
        if total is None:
            return None if repeat == -1 else repeat
        if self._first >= total:
            return 0
        # The window that reaches the end is the last; a later one would only repeat a part of it.
        beyond = max(0, total - self._n - self._first)
        fitting = 1 + -(-beyond // self._f)
        starting = 1 + (total - 1 - self._first) // self._f
        fitting = min(fitting, starting)
        return fitting if repeat == -1 else min(repeat, fitting)

    @property
    def cycle(self) -> int:
        """Return a number of windows in a row of which, if all are empty, every later one is as well."""
        pattern = self._facts.pattern
        if not pattern:
            return 0
        clamped = max(0, -self._first) // self._f
        return pattern // gcd(pattern, self._f) + clamped + 2

    def has_values(self, window: Window) -> bool:
        """True when a window has an interval that can be reported."""
        return self._facts.has_any(window.first, window.last)

    def at(self, position: int) -> Window:
        """Return the window at a position in the order of due times."""
        windows = self._sorted
        return self._made(position) if windows is None else windows[position]

    @property
    def tell_all(self) -> bool:
        """True when no interval is left untold."""
        total, count = self._line.count, self.count
        if count is None:
            return self._first <= 0 and self._f <= self._n
        if total is None or not count:
            return False
        return (
            self._first <= 0 and (count == 1 or self._f <= self._n) and self._reach(count - 1)[1] == total - 1
        )

    def due_by(self, moment: datetime) -> int:
        """Return how many windows are due at `moment` or before."""
        return first_where(lambda position: (self.at(position).due or NEVER) > moment, self.count)

    def _made(self, k: int) -> Window:
        first, last = self._reach(k)
        if self._at_end:
            slot = self._line.at(last)
            return Window(first, last, slot.end if slot else None)
        placed = self._facts.first_placed(first, last)
        slot = None if placed is None else self._line.at(placed)
        return Window(first, last, slot.start if slot else None)

    def _reach(self, k: int) -> tuple[int, int]:
        """Return the first and the last interval of a window."""
        first = self._first + k * self._f
        last = first + self._n - 1
        if self._line.count is not None:
            last = min(last, self._line.count - 1)
        return max(first, 0), last  # a window that would begin before the event is cut off

    def _ending(self) -> list[Window]:
        """Return windows over intervals in any order: each is due when its last interval has ended."""
        slots = list(self._line)
        ends = [None if slot is None else slot.end or NEVER for slot in slots]
        windows = []
        # Those that no later interval of the window outlasts, latest first; each goes in and out once.
        latest: deque[tuple[int, datetime]] = deque()
        reached = 0
        for k in range(self.count or 0):
            first, last = self._reach(k)
            for index in range(reached, last + 1):
                end = ends[index]
                if end is not None:
                    while latest and latest[-1][1] <= end:
                        latest.pop()
                    latest.append((index, end))
            reached = max(reached, last + 1)
            while latest and latest[0][0] < first:
                latest.popleft()
            due = latest[0][1] if latest else NEVER
            windows.append(Window(first, last, None if due == NEVER else due))
        return windows
