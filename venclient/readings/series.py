"""What every store agrees on: which readings are taken, how exact their time is, the numbers of qualities."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from venclient.messages import readings as rdg
from venclient.model.reading import Quality, Reading

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST_TIME = datetime(2200, 1, 1, tzinfo=UTC)
NEIGHBOUR_REACH = timedelta(days=1)
MILLISECOND = timedelta(milliseconds=1)

#: Stored numbers of qualities; they never change meaning, new ones are added at the end.
QUALITY_NUMBERS = {
    Quality.GOOD: None,  # most rows: NULL takes no room beyond its header byte
    Quality.ESTIMATED: 1,
    Quality.STALE: 2,
    Quality.OUT_OF_RANGE: 3,
    Quality.MISSING: 4,
}
QUALITIES = {number: quality for quality, number in QUALITY_NUMBERS.items()}


def to_ms(time: datetime) -> int:
    """Return milliseconds since 1970 of an aware time, rounded down."""
    return (time - EPOCH) // MILLISECOND


def from_ms(ms: int) -> datetime:
    """Return the aware UTC time of milliseconds since 1970."""
    return EPOCH + MILLISECOND * ms


def refusal(reading: Reading) -> str | None:
    """Return why a reading cannot be stored, or None when it can.

    Stores skip and count what is refused: one bad value stops nothing else.
    """
    if not reading.resource_id or not reading.quantity:
        return rdg.NO_NAME()
    if not (reading.resource_id.isascii() and reading.quantity.isascii()) and not (
        _is_text(reading.resource_id) and _is_text(reading.quantity)
    ):
        return rdg.NOT_UNICODE()
    if not math.isfinite(reading.value):
        return rdg.NOT_FINITE(value=reading.value)
    if reading.time.tzinfo is None:
        return rdg.NO_ZONE(time=reading.time.isoformat())
    if not EPOCH <= reading.time < LATEST_TIME:
        return rdg.TIME_RANGE(time=reading.time.isoformat())
    return None


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def named(reading: Reading) -> str:
    """Return a reading's name for people: "hotel-1 power_kw"."""
    return f"{reading.resource_id} {reading.quantity}".encode(errors="replace").decode()


def to_millisecond(reading: Reading) -> Reading:
    """Return the reading with its time rounded down to the millisecond, as stores hold it."""
    spare_us = reading.time.microsecond % 1000
    if not spare_us:
        return reading
    time = reading.time - timedelta(microseconds=spare_us)
    return Reading(reading.resource_id, reading.quantity, reading.value, time, reading.quality)
