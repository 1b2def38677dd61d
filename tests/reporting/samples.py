"""Events, measures and resources in few words, for the tests of reporting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from venclient.model.reading import Measure, Quality, Reading
from venclient.openadr.objects import Event
from venclient.reporting.obligations import Obligation
from venclient.reporting.targets import Reportable

T0 = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def at(hours: float) -> datetime:
    """Return the time `hours` after T0."""
    return T0 + timedelta(hours=hours)


def event(
    count: int = 0,
    *descriptors: Mapping[str, Any],
    start: str = "2026-01-01T00:00:00Z",
    duration: str = "PT1H",
    id_: str = "E1",
    first_id: int = 0,
    **members: Any,
) -> Event:
    """Return an event of `count` equal intervals that asks for `descriptors` (USAGE by default)."""
    raw: dict[str, Any] = {
        "id": id_,
        "programID": "P1",
        "modificationDateTime": "2025-12-31T00:00:00Z",
        "intervalPeriod": {"start": start, "duration": duration},
        "reportDescriptors": [{"payloadType": "USAGE", **one} for one in descriptors],
        "intervals": [
            {"id": first_id + n, "payloads": [{"type": "SIMPLE", "values": [0]}]} for n in range(count)
        ],
    }
    return msgspec.convert(raw | members, Event)


EACH = {"startInterval": 0, "numIntervals": 1, "frequency": 1, "repeat": -1}


def windows(obligations: Iterable[Obligation]) -> list[tuple[list[int], float]]:
    """Return the ids of each window, and its due time in hours after T0."""
    return [([span.id for span in one.spans], (one.due - T0) / HOUR) for one in obligations]


def measured(resource_id: str, start: datetime, end: datetime, kw: float, **members: Any) -> Measure:
    """Return the measure of a steady power, fully covered."""
    known: dict[str, Any] = {
        "energy_kwh": kw * ((end - start) / HOUR),
        "mean_kw": kw,
        "peak_kw": kw * 2,
        "coverage": 1.0,
        "source": "power",
        "quality": Quality.GOOD,
    }
    return Measure(resource_id=resource_id, start=start, end=end, **(known | members))


def last(quantity: str, value: float, time: datetime, resource_id: str = "r1") -> dict[str, Reading]:
    """Return the last readings of a measure."""
    return {quantity: Reading(resource_id, quantity, value, time)}


def reportables(*names: str) -> list[Reportable]:
    """Return resources r1, r2, ... of these names."""
    return [Reportable(f"r{n}", name) for n, name in enumerate(names, 1)]


def measures_of(
    obligation: Obligation, kw: Mapping[str, float], **members: Any
) -> dict[tuple[str, datetime, datetime], Measure]:
    """Return a measure for each resource (id -> kW) and span of an obligation."""
    return {
        (id_, span.start, span.end): measured(id_, span.start, span.end, power, **members)
        for id_, power in kw.items()
        for span in obligation.spans
    }


def names_of(measures: Sequence[Obligation]) -> list[str]:
    """Return the report names."""
    return [one.report_name for one in measures]
