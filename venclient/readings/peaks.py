"""The lowest and highest power that was measured of each site: what its capacity should be."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from venclient.model.reading import POWER_KW
from venclient.readings.layout import SERIES_BITS, SERIES_MASK
from venclient.readings.look import Look
from venclient.readings.quarters import QUARTER_MS
from venclient.readings.series import to_ms

#: Power is looked at this far back.
SINCE = timedelta(days=7)


def power_peaks(look: Look, resource_ids: Collection[str], now: datetime) -> dict[str, tuple[float, float]]:
    """Return the lowest and highest trusted power in kW of each resource in the last days."""
    numbers = look.numbers(resource_ids, POWER_KW)
    if not numbers:
        return {}
    since_ms = to_ms(now - SINCE)
    chosen = ",".join(map(str, numbers))
    asked: list[tuple[str, int]] = [
        ("SELECT k & ?1, min(low), max(high) FROM quarter WHERE k >= ?2", since_ms // QUARTER_MS),
        ("SELECT k & ?1, min(v), max(v) FROM reading WHERE (q IS NULL OR q = 1) AND k >= ?2", since_ms),
    ]
    found: dict[int, tuple[float, float]] = {}
    for select, first in asked:
        rows: Any = look.connection.execute(
            f"{select} AND k & ?1 IN ({chosen}) GROUP BY 1", (SERIES_MASK, first << SERIES_BITS)
        )
        for number, low, high in rows:
            if low is None:
                continue
            known = found.get(number, (low, high))
            found[number] = (min(known[0], low), max(known[1], high))
    return {look.named(number)[0]: peaks for number, peaks in found.items()}
