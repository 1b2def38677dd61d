"""When an event is over: only what the `active` query parameter needs, read from the YAML's words."""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

_PARTS = re.compile(
    r"(-?)P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?(?:(\d+)W)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?"
)

_LEAP_SECOND = re.compile(r"(?<=T\d\d:\d\d):60")


def later(moment: datetime, duration: str) -> datetime | None:
    """Return the moment after an ISO 8601 duration; None when that is beyond the calendar (P9999Y)."""
    found = _PARTS.fullmatch(duration)
    if found is None:
        raise ValueError(f"{duration!r} is no ISO 8601 duration")
    sign = -1 if found[1] else 1
    try:
        years, months, days, weeks, hours, minutes = (int(part or 0) for part in found.groups()[1:7])
        month = moment.year * 12 + moment.month - 1 + sign * (years * 12 + months)
        year, month0 = divmod(month, 12)
        day = min(moment.day, calendar.monthrange(year, month0 + 1)[1])
        span = timedelta(days=days, weeks=weeks, hours=hours, minutes=minutes, seconds=float(found[8] or 0))
        return moment.replace(year=year, month=month0 + 1, day=day) + sign * span
    except (ValueError, OverflowError):
        return None


def event_end(event: Mapping[str, Any], created: datetime) -> datetime | None:
    """Return the end of an event's last interval in UTC; None when it has no end, or no known one."""
    period: Mapping[str, Any] = event.get("intervalPeriod") or {}
    intervals: list[Mapping[str, Any]] = event.get("intervals") or []
    start = _moment(period.get("start"), created)
    if start is None and intervals:
        start = _moment((intervals[0].get("intervalPeriod") or {}).get("start"), created)
    if start is None:
        return None
    if event.get("duration"):
        return later(start, event["duration"])
    if not intervals:
        # the intervals are implied and go on, as the report descriptors want them
        return None if event.get("reportDescriptors") else later(start, period.get("duration") or "P9999Y")
    cursor: datetime | None = start
    end = start
    for interval in intervals:
        own: Mapping[str, Any] = interval.get("intervalPeriod") or {}
        begin = _moment(own.get("start"), cursor) or cursor
        length = own.get("duration") or period.get("duration")
        cursor = later(begin, length) if begin and length else None
        if cursor is None:
            return None
        end = max(end, cursor)
    return end


def _moment(text: str | None, now: datetime | None) -> datetime | None:
    if text is None:
        return None
    if text.startswith("0001-01-01"):
        return now
    moment = datetime.fromisoformat(_LEAP_SECOND.sub(":59", text.upper()))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
