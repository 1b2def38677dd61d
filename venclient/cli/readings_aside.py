"""What was set aside, in words for `ven readings aside`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from venclient.clock_guard import PROVISIONAL, PROVISIONAL_UNTIL
from venclient.readings.aside import Kept
from venclient.readings.series import from_ms


def lines(found: Sequence[Kept], *, points: bool) -> Iterator[str]:
    """Give a line for each kind, and with `points` one for each reading that is listed."""
    if not found:
        yield "nothing was set aside"
    for one in found:
        count = "1 reading" if one.readings == 1 else f"{one.readings} readings"
        span = ""
        if one.first_ms is not None and one.last_ms is not None:
            span = f" of {_time(one.first_ms)}"
            span += f" .. {_time(one.last_ms)}" if one.last_ms != one.first_ms else ""
        yield f"{one.place}: {one.resource_id} {one.quantity}: {count}{span}: {one.reason}"
        if not points:
            continue
        for ms, value in one.points:
            yield f"  {_time(ms)}  {value:14.3f}"
        if len(one.points) < one.readings:
            yield f"  and {one.readings - len(one.points)} more that are only counted"


def _time(ms: int) -> str:
    """Give a time; of one that counts from the start of the machine, how long after it."""
    time: datetime = from_ms(ms)
    if PROVISIONAL <= time < PROVISIONAL_UNTIL:
        return f"{timedelta(seconds=round((time - PROVISIONAL).total_seconds()))} after the machine's start"
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
