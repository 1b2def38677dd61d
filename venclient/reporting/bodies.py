"""Compare bodies of reports, and find the intervals without a value. This module does no I/O."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache

import msgspec

from venclient.openadr.duration import Duration
from venclient.openadr.enumerations import AGGREGATED_REPORT
from venclient.openadr.objects import Report, ReportResource
from venclient.openadr.times import known_time
from venclient.reporting.obligations import Obligation
from venclient.reporting.targets import Reportable

#: A payload with the quality of another payload; not a value itself.
_QUALITY = "DATA_QUALITY"


def gaps_of(
    report: Report | None, obligation: Obligation, resources: Sequence[Reportable]
) -> dict[int, list[int]]:
    """Return the places of intervals without a value, by the resource's place; without gaps it is absent.

    A sum over resources counts as a value of each. A report of None has no values.
    """
    spans = obligation.spans
    order = sorted(range(len(spans)), key=lambda index: spans[index].start)
    starts = [spans[index].start for index in order]
    seen: dict[str, datetime | None] = {}
    #: Most resources have the same intervals, so the place of each is worked out once.
    place_of: dict[datetime, int | None] = {}
    valued: dict[str, set[int]] = {}
    for part in report.resources if report else ():
        places = valued.setdefault(part.resource_name, set())
        for start in _told_starts(part, seen):
            if start not in place_of:
                at = bisect_right(starts, start) - 1
                place_of[start] = order[at] if at >= 0 and start < spans[order[at]].end else None
            place = place_of[start]
            if place is not None:
                places.add(place)
    if all(len(places) == len(spans) for places in valued.values()) and (
        valued.keys() >= {one.resource_name for one in resources}
    ):
        return {}
    summed = valued.get(AGGREGATED_REPORT, set())
    gaps = {}
    for number, one in enumerate(resources):
        missing = [
            index
            for index in range(len(spans))
            if index not in summed and index not in valued.get(one.resource_name, ())
        ]
        if missing:
            gaps[number] = missing
    return gaps


def _told_starts(part: ReportResource, seen: dict[str, datetime | None]) -> list[datetime]:
    """Return when the intervals with a value begin."""
    base = part.interval_period
    first = _time(base.start, seen) if base is not None and base.start else None
    length = _length(base.duration) if base is not None and base.duration else None
    starts = []
    for index, interval in enumerate(part.intervals):
        payloads = interval.payloads
        if not payloads or (
            payloads[0].type == _QUALITY and all(payload.type == _QUALITY for payload in payloads)
        ):
            continue
        own = interval.interval_period
        start = _time(own.start, seen) if own is not None and own.start else None
        if start is None and first is not None:
            start = first + index * (length or timedelta(0)) if index else first
        if start is not None:
            starts.append(start)
    return starts


def _time(text: str, seen: dict[str, datetime | None]) -> datetime | None:
    if text not in seen:
        seen[text] = known_time(text)
    return seen[text]


@lru_cache(maxsize=256)
def _length(text: str) -> timedelta | None:
    seconds = Duration.parse(text).seconds
    return None if seconds is None else timedelta(seconds=float(seconds))


def digest_of(report: Report) -> bytes:
    """Return a digest of the body of a report."""
    return hashlib.sha256(msgspec.json.encode(report, order="deterministic")).digest()[:16]


def told_with(what: str, methods: Sequence[str]) -> str:
    """Return an entry of a row's story: `what`, with how the values that were not measured were computed."""
    return f"{what} ({'; '.join(methods)})" if methods else what


def says_the_same(ours: Report, theirs: Report) -> bool:
    """Return whether the VTN's copy has the same values, ignoring what else it adds."""
    return _values(ours) == _values(theirs)


def _values(report: Report) -> dict[tuple[str, int, int, str], list[object]]:
    return {
        (part.resource_name, place, interval.id, payload.type): list(payload.values)
        for part in report.resources
        for place, interval in enumerate(part.intervals)
        for payload in interval.payloads
    }
