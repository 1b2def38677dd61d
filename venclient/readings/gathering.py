"""What is sent to InfluxDB next, read from the journal in stretches of time until a request is full.

`newer` goes on from each resource's position, oldest first, as InfluxDB likes it best. `older` goes back
through what came late, or was put off because the bucket does not keep readings that old: newest first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from venclient.readings.aside import Aside
from venclient.readings.due import Due, sorted_out
from venclient.readings.line_protocol import Line, Tags
from venclient.readings.look import Found
from venclient.readings.places import Place
from venclient.readings.series import from_ms
from venclient.utils import chunks

#: The time that is looked through in one go, and so what is in memory at once, follows their number.
FIRST_SPAN_MS = 60_000
LEAST_SPAN_MS = 1_000
#: The longest stretch; with few resources the second, divided by their number.
MOST_SPAN_MS = 600_000
SPAN_OF_ALL_MS = 64 * MOST_SPAN_MS
RESOURCES_AT_ONCE = 256
#: Stretches looked through for one request: meters that are read once an hour fill none.
STRETCHES = 64

Span = tuple[int, int]
Which = Literal["again", "backlog"]


class Windows(Protocol):
    """What has readings; a journal has."""

    async def windows(self, resource_ids: Sequence[str], start: datetime, end: datetime) -> Found:
        """Return the readings of a window with their neighbours, by resource and quantity."""
        ...


@dataclass
class Gathered:
    """Lines to be sent, and how far each resource is once they are."""

    lines: list[Line] = field(default_factory=list)
    readings: int = 0
    unwritable: list[Aside] = field(default_factory=list)
    newest_ms: dict[str, int] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
    #: For `older`: what was to be sent, and what is left of it.
    which: Which = "again"
    spans: dict[str, Span] = field(default_factory=dict)
    left: dict[str, Span] = field(default_factory=dict)

    def take(self, found: Due) -> None:
        """Add what one look found."""
        self.lines += found.lines
        self.readings += found.readings
        self.unwritable += found.unwritable
        for id_, ms in found.newest_ms.items():
            self.newest_ms[id_] = max(ms, self.newest_ms.get(id_, ms))

    def in_order(self, resources: int) -> None:
        """Put the lines in time order; those of resources that were looked at together are already."""
        if resources > RESOURCES_AT_ONCE:
            self.lines.sort(key=_ms)

    def cut(self, until_ms: int) -> None:
        """Take note that of what `newer` gave only the readings up to a moment were sent or quarantined."""
        self.positions = {id_: min(ms, until_ms) for id_, ms in self.positions.items()}
        self.newest_ms = {id_: min(ms, until_ms) for id_, ms in self.newest_ms.items()}
        kept = []
        for one in self.unwritable:
            points = tuple(point for point in one.points if point[0] <= until_ms)
            if points:
                kept.append(one._replace(readings=len(points), points=points))
        self.unwritable = kept

    def settle(self, places: Mapping[str, Place]) -> None:
        """Take note that all of it was sent or quarantined."""
        for id_, ms in self.newest_ms.items():
            places[id_].sent = max(places[id_].sent, ms)
        for id_, position in self.positions.items():
            places[id_].move(position)
        for id_, span in self.spans.items():
            place = places[id_]
            if self.which == "backlog":
                place.backlog = self.left.get(id_)
            # Did more of it come meanwhile, then all of it once more.
            elif place.again == span and (place.fresh is None or place.fresh > span[1]):
                place.again = self.left.get(id_)


class Gatherer:
    """Reads what is due from the journal, about `batch` readings at a time."""

    def __init__(
        self, journal: Windows, tags: Mapping[str, Tags], places: Mapping[str, Place], batch: int
    ) -> None:
        self._journal = journal
        self._tags = tags
        self._places = places
        self._batch = batch
        self._span_ms = {"newer": FIRST_SPAN_MS, "older": FIRST_SPAN_MS}

    async def newer(self, stretches: int) -> Gathered | None:
        """Return the oldest readings beyond the positions; None when there are none."""
        places = self._places
        ahead = {id_: place.position for id_, place in places.items() if place.position < place.newest}
        if not ahead:
            return None
        found = Gathered()
        looked: set[str] = set()
        for _ in range(stretches):
            behind = [id_ for id_, position in ahead.items() if position < places[id_].newest]
            if not behind or found.readings >= self._batch:
                break
            start = min(ahead[id_] for id_ in behind) + 1
            end = min(start + self._span_ms["newer"] - 1, max(places[id_].newest for id_ in behind))
            due = [id_ for id_ in behind if ahead[id_] < end]
            before = found.readings
            for ids in chunks(due, RESOURCES_AT_ONCE):
                newest = {id_: places[id_].newest for id_ in ids}
                starts = {id_: ahead[id_] + 1 for id_ in ids}
                graded = {id_: places[id_].sent for id_ in ids}
                look = await self._look(starts, dict.fromkeys(ids, end), graded, looked)
                found.take(look)
                for id_ in ids:
                    ahead[id_] = found.positions[id_] = min(look.next_ms[id_] - 1, newest[id_])
            self._adapt("newer", found.readings - before, len(due))
        found.in_order(len(ahead))
        return found

    async def older(self, stretches: int) -> Gathered | None:
        """Return the newest readings of what came late or was put off; None when there are none."""
        which: Which = "again" if any(place.again for place in self._places.values()) else "backlog"
        spans = {id_: span for id_, place in self._places.items() if (span := getattr(place, which))}
        if not spans:
            return None
        found = Gathered(which=which, spans=spans, left=dict(spans))
        looked: set[str] = set()
        for _ in range(stretches):
            left = found.left
            if not left or found.readings >= self._batch:
                break
            end = max(last for _, last in left.values())
            start = max(end - self._span_ms["older"] + 1, min(first for first, _ in left.values()))
            due = [id_ for id_, (_, last) in left.items() if last >= start]
            before = found.readings
            for ids in chunks(due, RESOURCES_AT_ONCE):
                starts = {id_: max(start, left[id_][0]) for id_ in ids}
                ends = {id_: left[id_][1] for id_ in ids}
                places = {id_: self._places[id_] for id_ in ids}
                graded = {
                    id_: one.sent_before if which == "backlog" else one.sent for id_, one in places.items()
                }
                look = await self._look(starts, ends, graded, looked)
                found.take(look)
                for id_ in ids:
                    first, last = left[id_][0], min(start - 1, look.previous_ms[id_])
                    if last >= first:
                        left[id_] = (first, last)
                    else:
                        del left[id_]
            self._adapt("older", found.readings - before, len(due))
        # Each stretch was before the last one.
        found.lines.sort(key=_ms)
        return found

    async def _look(
        self,
        starts: Mapping[str, int],
        ends: Mapping[str, int],
        graded: Mapping[str, int],
        looked: set[str],
    ) -> Due:
        for id_ in starts:
            if id_ not in looked:
                looked.add(id_)
                self._places[id_].fresh = None
        start, end = min(starts.values()), max(ends.values())
        found = await self._journal.windows(list(starts), from_ms(start), from_ms(end))
        # Thousands of readings: beside the event loop, which meters need.
        return await asyncio.to_thread(sorted_out, found, starts, ends, self._tags, graded)

    def _adapt(self, which: str, count: int, resources: int) -> None:
        span_ms = self._span_ms[which]
        if count > self._batch:
            span_ms = max(LEAST_SPAN_MS, span_ms * self._batch // count)
        elif count < self._batch // 2:
            span_ms *= 2
        longest_ms = max(MOST_SPAN_MS, SPAN_OF_ALL_MS // max(1, resources))
        self._span_ms[which] = min(longest_ms, span_ms)


def _ms(line: Line) -> int:
    return line.ms
