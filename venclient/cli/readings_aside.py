"""Text for `ven readings aside`: quarantined readings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from venclient.clock_guard import PROVISIONAL, PROVISIONAL_UNTIL
from venclient.messages import cli_meters as clm
from venclient.messages.printable import foreign, number_text
from venclient.readings.aside import Kept
from venclient.readings.series import from_ms


def lines(found: Sequence[Kept], *, points: bool) -> Iterator[str]:
    """Return a line for each kind, and with `points` one for each reading that is listed."""
    if not found:
        yield clm.ASIDE_NONE()
    for one in found:
        span = ""
        if one.first_ms is not None and one.last_ms is not None:
            span = f" of {_time(one.first_ms)}"
            span += f" .. {_time(one.last_ms)}" if one.last_ms != one.first_ms else ""
        yield clm.ASIDE(
            place=one.place,
            resource=foreign(one.resource_id),
            quantity=foreign(one.quantity),
            count=one.readings,
            span=span,
            reason=one.reason,
        )
        if not points:
            continue
        for ms, value in one.points:
            yield f"  {_time(ms)}  {number_text(value, 3):>14}"
        if len(one.points) < one.readings:
            yield f"  {clm.ASIDE_MORE(count=one.readings - len(one.points))}"


def _time(ms: int) -> str:
    """Return a time; of one that counts from the start of the machine, how long after it."""
    time: datetime = from_ms(ms)
    if PROVISIONAL <= time < PROVISIONAL_UNTIL:
        since = timedelta(seconds=round((time - PROVISIONAL).total_seconds()))
        return clm.ASIDE_SINCE_START(time=since)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
