"""Measures over long grids: the same numbers, in parts that fit into a small machine, in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from venclient.clock import ManualClock
from venclient.model.reading import POWER_KW, Reading
from venclient.readings.measures import LONGEST_SLICE, ROOM, measures
from venclient.readings.sqlite import SqliteReadings

DAY = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
NAMES = [f"meter-{n}" for n in range(40)]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteReadings]:
    """Yield a store with a day of readings every five minutes, 1 kW more for each meter."""
    made = SqliteReadings(tmp_path / "readings.db", ManualClock(DAY + 25 * HOUR))
    made.add(
        [
            Reading(name, POWER_KW, float(n), DAY + timedelta(minutes=5 * k))
            for k in range(12 * 25)
            for n, name in enumerate(NAMES)
        ]
    )
    yield made
    await made.close()


async def test_a_day_in_parts_has_the_energy_of_the_day(store: SqliteReadings) -> None:
    """Each of 24 hours of 40 meters is known and right, also at the edges of the parts."""
    grid = [(DAY + n * HOUR, DAY + (n + 1) * HOUR) for n in range(24)]
    found = await measures(store, NAMES, grid)

    assert len(found) == 24 * len(NAMES)
    wrong = [
        key
        for key, measured in found.items()
        if measured.energy_kwh != pytest.approx(NAMES.index(key[0])) or measured.coverage < 0.99
    ]
    assert wrong == []


async def test_no_more_than_fits_is_read_at_once(
    store: SqliteReadings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a day's grid nor one interval of a day loads all meters' readings together."""
    asked: list[timedelta] = []
    tracks = store.tracks

    async def noted(ids: Sequence[str], start: datetime, end: datetime, at_once: int) -> Any:
        found = await tracks(ids, start, end, at_once)
        asked.append(len(found) * (end - start))
        return found

    monkeypatch.setattr(store, "tracks", noted)
    await measures(store, NAMES, [(DAY, DAY + 24 * HOUR)])
    assert len(asked) == 1  # so few samples fit together

    monkeypatch.setattr("venclient.readings.look.SAMPLES_AT_ONCE", 1)
    asked.clear()
    await measures(store, NAMES, [(DAY + n * HOUR, DAY + (n + 1) * HOUR) for n in range(24)])
    assert max(asked) <= ROOM + 16 * LONGEST_SLICE

    asked.clear()
    await measures(store, NAMES, [(DAY, DAY + 24 * HOUR)])
    assert len(asked) == 3


async def test_the_event_loop_goes_on_meanwhile(
    store: SqliteReadings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rolling up happens in a thread: meters are polled while a long report is made."""
    inside: list[bool] = []

    def rolled_up(*_: Any) -> dict[Any, Any]:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            inside.append(False)
        else:
            inside.append(True)
        return {}

    monkeypatch.setattr("venclient.readings.measures._measured", rolled_up)
    await measures(store, NAMES[:1], [(DAY, DAY + HOUR)])
    assert inside == [False]
