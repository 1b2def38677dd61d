"""Measures of many resources over a grid, read from any store: what the reporting stage asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType

from venclient.model.quality import NO_RULES, MeterRules
from venclient.model.reading import Measure, Reading
from venclient.readings.rollup import rollup
from venclient.readings.store import ReadingStore
from venclient.utils import chunks

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
    """Give a Measure for every resource and interval [start, end), by (resource, start, end).

    `rules` say by resource how its registers count. Commits what was added so far first, so that
    everything read until now counts. StoreError when the store cannot commit or be read. A day of many
    meters is worked through in parts, beside the event loop, so that neither memory nor the polling of
    meters suffers.
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
        for some in chunks(resource_ids, at_once):
            found = await store.windows(some, start, end)
            measured |= await asyncio.to_thread(_rolled_up, some, found, part, max_gap_s, rules)
    return measured


def _slices(grid: Grid) -> Iterator[Grid]:
    """Give the grid in parts that are not longer than a slice, unless one interval is."""
    part: list[tuple[datetime, datetime]] = []
    for start, end in sorted(grid):
        if part and max(end, part[-1][1]) - part[0][0] > LONGEST_SLICE:
            yield part
            part = []
        part.append((start, end))
    yield part


def _rolled_up(
    resource_ids: Sequence[str],
    found: Mapping[str, Mapping[str, Sequence[Reading]]],
    grid: Grid,
    max_gap_s: float | None,
    rules: Mapping[str, MeterRules],
) -> dict[Key, Measure]:
    return {
        (resource_id, measured.start, measured.end): measured
        for resource_id in resource_ids
        for measured in rollup(
            resource_id,
            found.get(resource_id, {}),
            grid,
            max_gap_s=max_gap_s,
            rules=rules.get(resource_id, NO_RULES),
        )
    }
