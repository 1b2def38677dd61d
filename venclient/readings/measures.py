"""Measures of many resources over a grid, read from any store: what the reporting stage asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Protocol, runtime_checkable

from venclient.model.quality import NO_RULES, MeterRules
from venclient.model.reading import Measure, Reading
from venclient.readings.quick import cells_of, quick_measures
from venclient.readings.rollup import rollup
from venclient.readings.store import ReadingStore
from venclient.readings.track import Track
from venclient.utils import chunks


@runtime_checkable
class TrackStore(Protocol):
    """A store that gives its samples in columns too."""

    async def tracks(
        self, ids: Sequence[str], start: datetime, end: datetime, at_once: int
    ) -> Mapping[str, Mapping[str, Track]]:
        """Return what `windows` returns, by resource and quantity, of `at_once` resources or more."""
        ...


Grid = Sequence[tuple[datetime, datetime]]
Key = tuple[str, datetime, datetime]

NO_METERS: Mapping[str, MeterRules] = MappingProxyType({})

LEAST_MARGIN = timedelta(minutes=1)
MOST_MARGIN = timedelta(minutes=15)
#: Two updates of a register that is brought up to date once an hour.
HOURLY_MARGIN = timedelta(minutes=130)

#: So much of a long grid is read in one go: enough for the usual spacing of slow meters to show.
LONGEST_SLICE = timedelta(hours=6)
#: So many resources' hours are held in memory at once (8 MiB, polled every 10 s) ...
ROOM = timedelta(hours=100)
#: ... but never fewer resources than these, nor than this part of all, since each go looks through the file.
LEAST_AT_ONCE = 16
MOST_GOES = 8


async def measures(
    store: ReadingStore,
    resource_ids: Sequence[str],
    grid: Grid,
    *,
    max_gap_s: float | None = None,
    rules: Mapping[str, MeterRules] = NO_METERS,
) -> dict[Key, Measure]:
    """Return a Measure for every resource and interval [start, end), by (resource, start, end).

    `rules` say by resource how its registers count. Commits what was added so far first: everything read
    until now counts. StoreError when the store cannot commit or be read. A day of many meters is worked
    through in parts, beside the event loop, to limit memory and keep the meters' polling on time.
    """
    if not grid or not resource_ids:
        return {}
    await store.flush()
    whole = max(end for _, end in grid) - min(start for start, _ in grid)
    # Readings beyond the edges show the usual spacing even to an interval of a few seconds.
    margin = min(max(whole, LEAST_MARGIN), MOST_MARGIN)
    if any(rules[id_].hourly for id_ in resource_ids if id_ in rules):
        margin = max(margin, HOURLY_MARGIN)
    measured: dict[Key, Measure] = {}
    for part in _slices(grid):
        start, end = min(start for start, _ in part) - margin, max(end for _, end in part) + margin
        at_once = max(LEAST_AT_ONCE, -(-len(resource_ids) // MOST_GOES), int(ROOM / (end - start)))
        if isinstance(store, TrackStore):
            measured |= await _tracked(store, resource_ids, (start, end), part, at_once, max_gap_s, rules)
            continue
        for some in chunks(resource_ids, at_once):
            found = await store.windows(some, start, end)
            measured |= await asyncio.to_thread(_of_windows, some, found, part, max_gap_s, rules)
    return measured


async def _tracked(
    store: TrackStore,
    resource_ids: Sequence[str],
    window: tuple[datetime, datetime],
    grid: Grid,
    at_once: int,
    max_gap_s: float | None,
    rules: Mapping[str, MeterRules],
) -> dict[Key, Measure]:
    """Measure by columns, as many resources in a go as the store has room for."""
    measured: dict[Key, Measure] = {}
    left = resource_ids
    while left:
        tracks = await store.tracks(left, *window, at_once)
        some, left = left[: len(tracks)], left[len(tracks) :]
        measured |= await asyncio.to_thread(_measured, some, tracks, grid, max_gap_s, rules)
    return measured


def _slices(grid: Grid) -> Iterator[Grid]:
    """Yield the grid in parts that are not longer than a slice, unless one interval is."""
    part: list[tuple[datetime, datetime]] = []
    for start, end in sorted(grid):
        if part and max(end, part[-1][1]) - part[0][0] > LONGEST_SLICE:
            yield part
            part = []
        part.append((start, end))
    yield part


def _measured(
    resource_ids: Sequence[str],
    found: Mapping[str, Mapping[str, Track]],
    grid: Grid,
    max_gap_s: float | None,
    rules: Mapping[str, MeterRules],
) -> dict[Key, Measure]:
    """Return the Measures: most intervals need no closer look, the others are rolled up with care."""
    measured: dict[Key, Measure] = {}
    cells = cells_of(grid)
    for resource_id in resource_ids:
        series, meter = found.get(resource_id, {}), rules.get(resource_id, NO_RULES)
        quick = quick_measures(resource_id, series, cells, max_gap_s=max_gap_s, rules=meter)
        left = []
        for (start, end), one in zip(grid, quick, strict=True):
            if one is None:
                left.append((start, end))
            else:
                measured[resource_id, start, end] = one
        if left:
            readings = {quantity: track.readings(resource_id, quantity) for quantity, track in series.items()}
            for made in rollup(resource_id, readings, left, max_gap_s=max_gap_s, rules=meter):
                measured[resource_id, made.start, made.end] = made
    return measured


def _of_windows(
    resource_ids: Sequence[str],
    found: Mapping[str, Mapping[str, Sequence[Reading]]],
    grid: Grid,
    max_gap_s: float | None,
    rules: Mapping[str, MeterRules],
) -> dict[Key, Measure]:
    """Measure what a store gave as readings, by the same roll-up and so to the last digit alike."""
    tracks = {
        resource_id: {quantity: Track.of(readings) for quantity, readings in series.items()}
        for resource_id, series in found.items()
    }
    return _measured(resource_ids, tracks, grid, max_gap_s, rules)
