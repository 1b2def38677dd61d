"""What a report says, value by value, and how two versions of it differ: pure.

A value is known by resource, interval and payload type. Its interval is a time where the report says one,
else the interval's id. The quality is the DATA_QUALITY payload beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from venclient.errors import WireError
from venclient.openadr.duration import Duration
from venclient.openadr.objects import Interval, IntervalPeriod, Report, ReportResource, Value
from venclient.openadr.times import known_time
from venclient.reporting.payloads import DECIMALS
from venclient.reporting.sent_codec import Unsaid

QUALITY = "DATA_QUALITY"
#: The quality of a value without any beside it, where there was room for it.
SOUND = "OK"


class Key(NamedTuple):
    """Which value: `place` counts values of one type in one interval, nearly always 0."""

    resource_name: str
    start: datetime | None
    end: datetime | None
    interval: int
    payload_type: str
    place: int = 0


class Said(NamedTuple):
    """A value as a report says it; `quality` is "" where the report does not say it.

    A value that is None is one whose absence is reported (MISSING).
    """

    value: Value
    quality: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """One value as it was sent and as it would be now; None for one that is not in that report.

    `difference` is now minus sent for two numbers, else None; `same` says whether nothing changed.
    """

    key: Key
    sent: Said | None
    now: Said | None

    @property
    def difference(self) -> float | None:
        """Return now minus sent, None where one of them is not a number."""
        old, new = _number(self.sent), _number(self.now)
        return None if old is None or new is None else round(new - old, DECIMALS) + 0.0

    @property
    def same(self) -> bool:
        """Return whether value and quality are the same."""
        if self.sent is None or self.now is None:
            return self.sent is self.now
        return _alike(self.sent.value, self.now.value) and self.sent.quality == self.now.quality


def said_by(
    report: Report | None, unsaid: Iterable[Unsaid] | None = (), *, missing: str = ""
) -> dict[Key, Said]:
    """Return all values of a report, in its order; `unsaid` are qualities that it had no room for.

    Where they are unknown (None), so is the quality of several values in one interval. A quality without a
    value is about the payload type `missing`.
    """
    found: dict[Key, Said] = {}
    omitted = None
    if unsaid is not None:
        omitted = {(one.resource_name, one.payload_type, one.interval): one.quality for one in unsaid}
    for part in report.resources if report is not None else ():
        for interval, start, end in intervals_of(part):
            values = _values_of(interval, part.resource_name, omitted, missing)
            for payload_type, said in values:
                _add(found, Key(part.resource_name, start, end, interval.id, payload_type), said)
    return found


def differences(sent: Mapping[Key, Said], now: Mapping[Key, Said]) -> list[Difference]:
    """Return every value of either, first in the order of `sent`, then what is only in `now`."""
    keys = dict.fromkeys((*sent, *now))
    return [Difference(key, sent.get(key), now.get(key)) for key in keys]


def intervals_of(part: ReportResource) -> list[tuple[Interval, datetime | None, datetime | None]]:
    """Return the intervals of a resource with their times; None where a report does not say them."""
    first, length = _period(part.interval_period)
    found = []
    begin = first
    for interval in part.intervals:
        own, own_length = _period(interval.interval_period)
        begin = own if own is not None else begin
        lasts = own_length or length
        end = _after(begin, lasts)
        found.append((interval, begin, end))
        begin = end
    return found


def _after(begin: datetime | None, lasts: timedelta | None) -> datetime | None:
    try:
        return None if begin is None or lasts is None else begin + lasts
    except OverflowError:
        return None


def _values_of(
    interval: Interval, name: str, omitted: Mapping[tuple[str, str, int], str] | None, missing: str
) -> Iterator[tuple[str, Said]]:
    """Yield the payload types and values of one interval of a resource."""
    flags = [payload for payload in interval.payloads if payload.type == QUALITY]
    others = [payload for payload in interval.payloads if payload.type != QUALITY]
    flag = str(flags[0].values[0]) if flags and flags[0].values else ""
    if not others and flag:
        yield missing, Said(None, flag)
    for payload in others:
        quality = SOUND if omitted is not None or len(others) == 1 else ""
        quality = (omitted or {}).get((name, payload.type, interval.id), quality)
        if len(others) == 1 and flag:
            quality = flag
        for value in payload.values:
            yield payload.type, Said(value, quality)


def _add(found: dict[Key, Said], key: Key, said: Said) -> None:
    while key in found:
        key = key._replace(place=key.place + 1)
    found[key] = said


def _period(period: IntervalPeriod | None) -> tuple[datetime | None, timedelta | None]:
    if period is None:
        return None, None
    start = known_time(period.start) if period.start else None
    return start, _length(period.duration)


def _length(text: str | None) -> timedelta | None:
    try:
        seconds = Duration.parse(text).seconds if text else None
        return None if seconds is None else timedelta(seconds=float(seconds))
    except (WireError, OverflowError):
        return None


def _number(said: Said | None) -> float | None:
    if said is None or isinstance(said.value, bool) or not isinstance(said.value, int | float):
        return None
    return float(said.value)


def _alike(one: Value, other: Value) -> bool:
    # 10 and 10.0 are the same value; True and 1 are not.
    return one == other and isinstance(one, bool) == isinstance(other, bool)
