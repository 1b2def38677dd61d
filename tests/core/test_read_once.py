"""What is said of values that were read once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from venclient.model.reading import POWER_KW, Reading
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.read_once import doubts_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def doubts(
    value: float = 5.0,
    hours: float = 0.0,
    kind: ConnectionType = ConnectionType.MQTT,
    options: dict[str, Any] | None = None,
) -> list[str]:
    """Return the codes that are said of one power of a site of 25 kW."""
    link = Connection(kind, ActorType.READER, "192.0.2.1", options=options)
    site = Resource("m", "Hotel", "DSR", "Hotels", "m", link, {"P_max_kw": 25}, {})
    time = NOON + timedelta(hours=hours)
    return [one.code for one in doubts_of(site, [Reading("m", POWER_KW, value, time)], NOON)]


@pytest.mark.parametrize(
    ("read", "codes"),
    [
        ({}, []),
        ({"value": 126.0}, ["VEN-RDG-054"]),
        ({"hours": 1.0}, ["VEN-RDG-055"]),
        ({"hours": -200.0}, ["VEN-RDG-056"]),
        ({"hours": -200.0, "options": {"backfill": True}}, []),
        ({"hours": -200.0, "kind": ConnectionType.FILEREADER}, []),
        ({"options": {"quality": {"power_kw": {"range": {"max": "much"}}}}}, []),
    ],
)
def test_value_that_is_read_once_is_judged_as_by_the_gateway(read: dict[str, Any], codes: list[str]) -> None:
    """Impossible values and times are named before the gateway runs; wrong options are so elsewhere."""
    assert doubts(**read) == codes
