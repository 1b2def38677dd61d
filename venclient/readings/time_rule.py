"""Which times of readings can be meant; pure, over the columns of one series.

    live source     now - 7 days  ...  now + 5 minutes      outside: the device's clock is wrong
    options.backfill = true            now + 5 minutes      older readings are let in
    file            its own order  ... now + 2 days         rows that the others contradict are wrong

`now` is None while the time of day is not known: then nothing is held against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

MINUTE_MS = 60_000
DAY_MS = 86_400_000

#: Rows of a file are wrong when they lie further than this from the row before, and it goes on after them.
STRAY_MS = DAY_MS
#: More rows in one run are another part of the history.
STRAY_ROWS = 100
#: A clock that is steadily behind by a multiple of this is one with a wrong time zone ...
ZONE_MS = 30 * MINUTE_MS
#: ... when its lag varies by less than this ...
STEADY_MS = 2 * MINUTE_MS
#: ... over this number of readings, one a minute at most ...
STEADY_READINGS = 6
#: ... that came over at least this long: a backlog comes at once.
STEADY_OVER_MS = 5 * MINUTE_MS
#: A file that grows has new rows this often; one that is delivered now and then is as old as it is.
GROWS_MS = 15 * MINUTE_MS

Misplaced = Literal["ahead", "behind", "stray"]


class Window(NamedTuple):
    """How far from now a time may be, in milliseconds; `behind_ms` None is without limit.

    `ordered` sources have a history that is judged by its own order.
    """

    ahead_ms: int = 5 * MINUTE_MS
    behind_ms: int | None = 7 * DAY_MS
    ordered: bool = False


LIVE = Window()
BACKFILL = Window(behind_ms=None)
HISTORY = Window(ahead_ms=2 * DAY_MS, behind_ms=None, ordered=True)


def misplaced(
    times_ms: Sequence[int], now_ms: int | None, window: Window, last_ms: int | None = None
) -> list[Misplaced | None]:
    """Return for each time what is wrong with it, None when nothing is; `last_ms` is the one before them."""
    found: list[Misplaced | None] = [None] * len(times_ms)
    if now_ms is not None:
        latest_ms = now_ms + window.ahead_ms
        earliest_ms = None if window.behind_ms is None else now_ms - window.behind_ms
        for place, ms in enumerate(times_ms):
            if ms > latest_ms:
                found[place] = "ahead"
            elif earliest_ms is not None and ms < earliest_ms:
                found[place] = "behind"
    if window.ordered:
        _mark_strays(times_ms, found, last_ms)
    return found


def _mark_strays(times_ms: Sequence[int], found: list[Misplaced | None], last_ms: int | None) -> None:
    """Mark each run of times that lies far from the time before it, and after which the order goes on."""
    places = [place for place, one in enumerate(found) if one is None]
    times = [times_ms[place] for place in places]
    before_ms, at = last_ms, 0
    while at < len(times):
        back = None if before_ms is None else _return(times, at, before_ms)
        if back is None:
            before_ms, at = times[at], at + 1
            continue
        for place in places[at:back]:
            found[place] = "stray"
        at = back


def _return(times: Sequence[int], at: int, before_ms: int) -> int | None:
    """Return where the times go on from `before_ms` after a run that leads away from it; None without one."""
    if abs(times[at] - before_ms) <= STRAY_MS:
        return None
    for back in range(at + 1, min(at + 1 + STRAY_ROWS, len(times))):
        if 0 <= times[back] - before_ms <= STRAY_MS:
            going_on = times[back : 2 * back - at]
            steps = (after - before for before, after in pairwise(going_on))
            return back if all(abs(step) <= STRAY_MS for step in steps) else None
    return None


def steady_lag_ms(times_ms: Sequence[int], arrivals_ms: Sequence[int]) -> int | None:
    """Return by how much a source's times lag steadily behind, when that looks like a wrong time zone.

    Both columns are of the newest readings in the order in which they came. Times that are ahead lag by a
    negative number; None when there are too few, when they came at once, or when the lag varies.
    """
    if len(times_ms) < STEADY_READINGS or arrivals_ms[-1] - arrivals_ms[0] < STEADY_OVER_MS:
        return None
    lags = [arrival - ms for ms, arrival in zip(times_ms, arrivals_ms, strict=True)]
    if max(lags) - min(lags) > STEADY_MS:
        return None
    whole = round(lags[-1] / ZONE_MS) * ZONE_MS
    return whole if whole and abs(lags[-1] - whole) <= STEADY_MS else None


def goes_back_ms(newest_ms: int, before_ms: int) -> int:
    """Return by how much the newest of some rows lies before those that came before them; 0 within a day."""
    back_ms = before_ms - newest_ms
    return back_ms if back_ms > STRAY_MS else 0
