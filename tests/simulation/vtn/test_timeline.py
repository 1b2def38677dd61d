"""When an event is over."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from venclient.simulation.vtn.timeline import event_end, later

MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = {"start": "2026-01-01T00:00:00Z", "duration": "PT1H"}


def interval(**period: str) -> dict[str, Any]:
    """Build an interval with its own period, if any."""
    return {"id": 0, "payloads": [], **({"intervalPeriod": period} if period else {})}


@pytest.mark.parametrize(
    ("event", "hours"),
    [
        ({"intervalPeriod": HOUR, "intervals": [interval(), interval()]}, 2),
        ({"intervalPeriod": HOUR, "intervals": [interval(duration="PT2H"), interval()]}, 3),
        ({"intervalPeriod": HOUR, "intervals": [interval(start="2026-01-01T05:00:00+01:00")]}, 5),
        ({"intervals": [interval(**HOUR), interval(start="2026-01-01T09:00:00Z", duration="PT1H")]}, 10),
        ({"intervalPeriod": HOUR, "intervals": [interval()], "duration": "P1D"}, 24),
        ({"intervalPeriod": {"start": "0001-01-01", "duration": "PT30M"}, "intervals": [interval()]}, 0.5),
        ({"intervalPeriod": HOUR}, 1),
        ({"intervalPeriod": HOUR, "reportDescriptors": [{"payloadType": "USAGE"}]}, None),
        ({"intervalPeriod": HOUR, "intervals": [interval()], "duration": "P9999Y"}, None),
        ({"intervalPeriod": {"start": HOUR["start"]}, "intervals": [interval()]}, None),
        ({}, None),
    ],
)
def test_event_end(event: dict[str, Any], hours: float | None) -> None:
    """An event ends with its last interval or its duration, or has no known end."""
    end = event_end(event, MIDNIGHT)
    assert (None if end is None else (end - MIDNIGHT).total_seconds() / 3600) == hours


@pytest.mark.parametrize("start", ["9999-12-31T23:59:60Z", "0001-01-02t00:00:00.123456789+23:00"])
@pytest.mark.parametrize(
    "duration", ["P" + "9" * 5000 + "Y", "PT" + "9" * 400 + "S", "-P1Y", "P99999999999D", "PT1.5S"]
)
def test_event_end_survives_odd_times(start: str, duration: str) -> None:
    """Times and durations beyond the calendar have no end, and do not fail."""
    event = {"intervalPeriod": {"start": start, "duration": duration}, "intervals": [interval(), interval()]}
    end = event_end(event, MIDNIGHT)
    assert end is None or end != MIDNIGHT


@pytest.mark.parametrize(
    ("duration", "expected"),
    [("P1M", "2026-02-28"), ("P1Y2M", "2027-03-31"), ("P1W", "2026-02-07"), ("-P1D", "2026-01-30")],
)
def test_later_counts_by_the_calendar(duration: str, expected: str) -> None:
    """Months end on the last day where the month is shorter, weeks and days are exact."""
    moment = later(datetime(2026, 1, 31, tzinfo=UTC), duration)
    assert moment is not None
    assert moment.date().isoformat() == expected
