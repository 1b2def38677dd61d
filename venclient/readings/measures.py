"""Measures of many resources over a grid, read from any store: what the reporting stage asks for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from venclient.model.reading import Measure
from venclient.readings.rollup import rollup
from venclient.readings.store import ReadingStore

Grid = Sequence[tuple[datetime, datetime]]

LEAST_MARGIN = timedelta(minutes=1)
MOST_MARGIN = timedelta(minutes=15)


async def measures(
    store: ReadingStore, resource_ids: Sequence[str], grid: Grid, *, max_gap_s: float | None = None
) -> dict[tuple[str, datetime, datetime], Measure]:
    """Give a Measure for every resource and interval [start, end), by (resource, start, end).

    Commits what was added so far first, so that everything read until now counts. StoreError when
    the store cannot commit or be read.
    """
    if not grid or not resource_ids:
        return {}
    await store.flush()
    start, end = min(start for start, _ in grid), max(end for _, end in grid)
    # Readings beyond the edges show the usual spacing even to an interval of a few seconds.
    margin = min(max(end - start, LEAST_MARGIN), MOST_MARGIN)
    found = await store.windows(resource_ids, start - margin, end + margin)
    return {
        (resource_id, measured.start, measured.end): measured
        for resource_id in resource_ids
        for measured in rollup(resource_id, found.get(resource_id, {}), grid, max_gap_s=max_gap_s)
    }
