"""How many fresh readings there are, estimated without counting them all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from venclient.clock import ManualClock
from venclient.model.reading import POWER_KW, Reading
from venclient.readings.fresh import Fresh
from venclient.readings.series import to_ms
from venclient.readings.sqlite import SqliteReadings
from venclient.sqlite_file import open_sqlite

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("every_s", [1, 10, 60, 120])
async def test_an_estimate_is_never_less_than_what_is_there(tmp_path: Path, every_s: int) -> None:
    """Of steady readings it is what there is or somewhat more, to be safe with memory; of none it is 0."""
    store = SqliteReadings(tmp_path / "readings.db", ManualClock(START + 2 * HOUR))
    count = 3600 // every_s
    store.add([Reading("m", POWER_KW, 1.0, START + timedelta(seconds=every_s * n)) for n in range(count)])
    await store.close()
    connection = open_sqlite(tmp_path / "readings.db")
    fresh = Fresh(connection)

    assert count <= fresh.estimate(to_ms(START), to_ms(START + HOUR) - 1) <= count * 4 / 3
    assert fresh.estimate(to_ms(START + 2 * HOUR), to_ms(START + 3 * HOUR)) == 0
    connection.close()
