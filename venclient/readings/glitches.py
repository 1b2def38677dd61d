"""Which values of a register are wrong, as the values after them show.

    1000  1001  9999  9999  1003     too high: the register is back, not below where it was
    1000  1001  1400  1400  1001.1   too high by one leap, which the meter might have counted
    1000  0  0  ...   0     1000.1   too low: by one leap the register is back where it was
    5     0  2  4     6              a restart: no leap brings it back

Wrong values are left out however many they are, as far as the series reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

#: How many values below the old one are taken for noise when the register passes the old value again.
SLIP_READINGS = 8
#: A value above this share of the one before slipped; it did not start again.
SLIP_SHARE = 0.5
#: A leap is one back to the old value when what lies beyond that is at most this share of it ...
LEAP_SHARE = 0.1
#: ... and it is larger than this many of the largest step among the low values.
LEAP_STEPS = 3.0
#: Falls that are followed to find where a register that was too high came back.
MOST_FALLS = 64
#: How long the first value seen may have stood already, when it was seen more than once.
STOOD_S = 3600.0


class Point(NamedTuple):
    """A value at a moment (seconds since 1970)."""

    time_s: float
    value: float
    estimated: bool


class Limit(Protocol):
    """How much energy a meter can have counted."""

    surely_kwh: float

    def allows(self, kwh: float, span_s: float) -> bool:
        """Return True if the meter can count `kwh` within `span_s` seconds."""
        ...


def without_glitches(points: Sequence[Point], limit: Limit) -> list[tuple[Point, bool]]:
    """Return the points without those that the following ones contradict.

    The flag says that something was left out just before.
    """
    search = _Search(points, limit)
    kept: list[tuple[Point, bool]] = [(points[0], False)]
    glitch = False
    last = len(points) - 1
    index = 1
    while index < len(points):
        before, value = kept[-1][0], points[index].value
        # Nearly always so: a small step, and the next value does not contradict it.
        plain = (
            before.value <= value <= min(points[min(index + 1, last)].value, before.value + limit.surely_kwh)
        )
        skipped = 0 if plain else search.wrong_run(before, index)
        if skipped:
            glitch = True
            index += skipped
            continue
        kept.append((points[index], glitch))
        glitch = False
        index += 1
    return kept


class _Search:
    """Finds how many values from a place on are wrong."""

    def __init__(self, points: Sequence[Point], limit: Limit) -> None:
        self._points = points
        self._limit = limit
        self._greater: list[int] | None = None
        self._smaller: list[int] | None = None

    def wrong_run(self, before: Point, index: int) -> int:
        """Return how many values from `index` on are wrong; `before` is the last right one."""
        if self._points[index].value < before.value:
            return self._low_run(before, index)
        return self._high_run(before, index)

    def _low_run(self, before: Point, index: int) -> int:
        back = self._reaching(before.value, index)
        if back is None:
            return 0
        points = self._points
        if back - index <= SLIP_READINGS and points[index].value > SLIP_SHARE * before.value:
            return back - index
        zeros = self._zeros(index, back)
        if zeros and points[index + zeros].value > SLIP_SHARE * before.value:
            return zeros  # it came back a little below where it was
        leap = points[back].value - points[back - 1].value
        beyond = points[back].value - before.value
        steps = (abs(points[n].value - points[n - 1].value) for n in range(index + 1, back))
        if leap <= LEAP_STEPS * max(steps, default=0.0):
            return 0
        if beyond <= LEAP_SHARE * leap:
            return back - index
        impossible = not self._limit.allows(leap, points[back].time_s - points[back - 1].time_s)
        possible = self._limit.allows(beyond, points[back].time_s - before.time_s)
        return back - index if impossible and possible else 0

    def _zeros(self, index: int, back: int) -> int:
        """Return how many values from `index` on, before `back`, are exactly zero."""
        points = self._points
        return next((n - index for n in range(index, back) if points[n].value != 0), 0)

    def _high_run(self, before: Point, index: int) -> int:
        """Return how many values from `index` on are too high.

        A single one need not be impossible, for a counter does not go down; several are a restart else.
        """
        points, limit = self._points, self._limit
        point = points[index]
        if index + 1 < len(points) and before.value <= points[index + 1].value < point.value:
            return 1
        if point.value > before.value and (run := self._stepped_up(before, index)):
            return run
        if limit.allows(point.value - before.value, STOOD_S) or point.value <= before.value:
            return 0
        back = self._falling_below(index)
        for _ in range(MOST_FALLS):
            if back >= len(points) or points[back].value < before.value:
                return 0
            if limit.allows(points[back].value - before.value, points[back].time_s - before.time_s):
                return back - index
            back = self._falling_below(back)
        return 0

    def _stepped_up(self, before: Point, index: int) -> int:
        """Return how many values stand one leap too high: the register falls back to where it was."""
        points = self._points
        leap = points[index].value - before.value
        back = self._falling_below(index)
        if back >= len(points) or not 0 <= points[back].value - before.value <= LEAP_SHARE * leap:
            return 0
        steps = (abs(points[n].value - points[n - 1].value) for n in range(index + 1, back))
        return back - index if leap > LEAP_STEPS * max(steps, default=0.0) else 0

    def _falling_below(self, index: int) -> int:
        """Return the place of the first value below that at `index`; the number of points for none."""
        if self._smaller is None:
            self._smaller = _next(self._points, lambda value, other: value < other)
        return self._smaller[index]

    def _reaching(self, value: float, index: int) -> int | None:
        """Return the place of the first value from `index` on that is not below `value`."""
        if self._greater is None:
            self._greater = _next(self._points, lambda one, other: one > other)
        while index < len(self._points) and self._points[index].value < value:
            index = self._greater[index]
        return index if index < len(self._points) else None


def _next(points: Sequence[Point], passes: Callable[[float, float], bool]) -> list[int]:
    """Return for each place that of the next value that passes it; the number of points where none does."""
    found = [len(points)] * len(points)
    waiting: list[int] = []
    for index, point in enumerate(points):
        while waiting and passes(point.value, points[waiting[-1]].value):
            found[waiting.pop()] = index
        waiting.append(index)
    return found
