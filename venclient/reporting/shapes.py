"""How a report says when its intervals are: one period for all where they are alike, else one each. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache

from venclient.openadr.duration import Duration
from venclient.openadr.objects import Interval, IntervalPeriod, ReportResource, ValuesMap
from venclient.openadr.times import format_time
from venclient.reporting.grids import OPEN_INTERVALS, SUB_INTERVALS
from venclient.reporting.obligations import Span

#: An interval of a resource, by its place among the cells, and its payloads.
Told = tuple[int, list[ValuesMap]]


class Shape:
    """The cells that several resources share, and the periods to write for them."""

    def __init__(self, cells: Sequence[Span], kind: str) -> None:
        self.cells = cells
        self._own_periods = kind in (SUB_INTERVALS, OPEN_INTERVALS)
        self._own_ids = kind == OPEN_INTERVALS
        self._written: dict[int, IntervalPeriod] = {}
        length = cells[0].end - cells[0].start
        self._alike = all(
            one.start == cells[0].start + place * length and one.end - one.start == length
            for place, one in enumerate(cells)
        )

    def resource(self, name: str, told: Sequence[Told]) -> ReportResource:
        """Return a resource's part of a report, from intervals in the order of the cells, some repeated."""
        first = told[0][0]
        # Cells follow one another as long as none is left out or repeated.
        alike = self._alike and (len(told) == 1 or self._one_by_one(told))
        each = self._own_periods or not alike
        cells = self.cells
        return ReportResource(
            resource_name=name,
            interval_period=self._period(first) if alike else None,
            intervals=[
                Interval(
                    id=place if self._own_ids else cells[place].id,
                    interval_period=self._period(place) if each else None,
                    payloads=payloads,
                )
                for place, payloads in told
            ],
        )

    @staticmethod
    def _one_by_one(told: Sequence[Told]) -> bool:
        first = told[0][0]
        return all(place == first + index for index, (place, _) in enumerate(told))

    def _period(self, place: int) -> IntervalPeriod:
        known = self._written.get(place)
        if known is None:
            cell = self.cells[place]
            known = IntervalPeriod(start=format_time(cell.start), duration=written(cell.end - cell.start))
            self._written[place] = known
        return known


@lru_cache(maxsize=64)
def written(length: timedelta) -> str:
    """Return a length of time as an ISO 8601 duration in hours, minutes and seconds."""
    minutes, seconds = divmod(length.days * 86_400 + length.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return str(
        Duration(hours=hours, minutes=minutes, secs=seconds + Decimal(length.microseconds) / 1_000_000)
    )
