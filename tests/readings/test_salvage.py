"""A damaged readings file is renamed and reported, and what can be read of it goes on."""

from __future__ import annotations

import logging
import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.codes import raises_code
from venclient.clock import ManualClock
from venclient.errors import StoreError
from venclient.model.reading import POWER_KW, Reading
from venclient.readings.compaction import begin, carry_out, finish, plan
from venclient.readings.reserve import RESERVE_BYTES, Reserve
from venclient.readings.series import to_ms
from venclient.readings.sqlite import SqliteReadings
from venclient.readings.tables import open_tables

DAY = datetime(2026, 3, 1, tzinfo=UTC)
PAGE = 1024
DAYS = 6
READINGS = DAYS * 24 * 60


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file with five days compressed and one fresh, of two meters, a reading each minute."""
    path = tmp_path / "readings.db"
    noise = random.Random(5)
    tables = open_tables(path)
    readings = [
        Reading(name, POWER_KW, noise.randrange(1000) / 10, DAY + timedelta(minutes=minute))
        for minute in range(READINGS)
        for name in ("hotel", "bar")
    ]
    tables.write(readings, {"file:a": "12"}, now=DAY)
    while begin(tables, to_ms(DAY + timedelta(days=DAYS - 1))):
        planned = plan(tables)
        if planned is None:
            finish(tables)
        else:
            assert carry_out(tables, planned)
    tables.close()
    return path


def spoil(path: Path, *pages: int) -> None:
    """Overwrite pages with noise, as a dying card does."""
    data = bytearray(path.read_bytes())
    noise = random.Random(1)
    for page in pages:
        data[PAGE * (page - 1) : PAGE * page] = noise.randbytes(PAGE)
    path.write_bytes(data)


def pages_of(path: Path, table: str) -> list[int]:
    """Return the leaf pages of a table."""
    tables = open_tables(path, read_only=True)
    rows = tables.connection.execute(
        "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY pageno", (table,)
    ).fetchall()
    tables.close()
    return [number for (number,) in rows if isinstance(number, int)]


async def test_ruined_head_starts_afresh_and_keeps_the_old_file(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where nothing can be read, a fresh file takes over, the old one is beside it, and it is said."""
    spoil(file, 1)
    with file.open("r+b") as raw:
        raw.write(b"SQLite format 3\0")
    spoiled = file.read_bytes()

    store = SqliteReadings(file, ManualClock(DAY + timedelta(days=DAYS + 1)))
    store.add([Reading("hotel", POWER_KW, 1.0, DAY + timedelta(days=DAYS + 1))])
    await store.flush()

    aside = file.with_name("readings.db.corrupt-20260308T000000Z")
    assert aside.read_bytes() == spoiled
    assert store.stats().readings == 1
    (problem,) = store.stats().problems
    assert "moved to readings.db.corrupt-20260308T000000Z" in problem
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    await store.close()


async def test_what_can_be_read_is_taken_over(file: Path) -> None:
    """A few ruined pages cost their readings only; bookmarks, history and quarters go on."""
    segments, fresh = pages_of(file, "segment"), pages_of(file, "reading")
    spoil(file, segments[len(segments) // 2], fresh[len(fresh) // 2])
    clock = ManualClock(DAY + timedelta(days=DAYS + 1))
    store = SqliteReadings(file, clock)

    with suppress(StoreError):  # damage that was not met when the file was opened is met now
        await store.window("hotel", DAY, DAY + timedelta(days=DAYS + 1))
    store.add([Reading("hotel", POWER_KW, 1.0, DAY + timedelta(days=DAYS + 1))])
    await store.flush()

    found = await store.windows(["hotel", "bar"], DAY, DAY + timedelta(days=DAYS + 2))
    number = sum(len(readings) for quantities in found.values() for readings in quantities.values())
    assert 2 * READINGS * 0.8 < number < 2 * READINGS
    assert store.bookmark("file:a") == "12"
    assert store._desk.tables.check() == []
    assert f"{number - 1:,} readings" in store.stats().problems[0]
    assert len((await store.quarters(["bar"], DAY, DAY + timedelta(hours=12)))["bar"][POWER_KW]) == 48
    await store.close()


async def test_damaged_segment_costs_itself_only(file: Path) -> None:
    """Bytes that changed within a segment are found out by its checksum, and never become readings."""
    tables = open_tables(file)
    tables.connection.execute(
        "UPDATE segment SET data = zeroblob(100) WHERE k = (SELECT min(k) FROM segment)"
    )
    tables.close()
    store = SqliteReadings(file, ManualClock(DAY + timedelta(days=DAYS + 1)))

    with raises_code(StoreError, "VEN-RDG-019"):
        await store.window("hotel", DAY, DAY + timedelta(days=DAYS + 1))
    store.add([Reading("hotel", POWER_KW, 1.0, DAY + timedelta(days=DAYS + 1))])
    await store.flush()

    found = await store.windows(["hotel", "bar"], DAY, DAY + timedelta(days=DAYS + 2))
    assert len(found["bar"][POWER_KW]) == READINGS
    assert READINGS / 2 < len(found["hotel"][POWER_KW]) < READINGS
    await store.close()


async def test_full_disk_lets_old_history_go(file: Path) -> None:
    """With no room left, history older than a day is dropped to store new readings."""
    clock = ManualClock(DAY + timedelta(days=DAYS + 1))
    store = SqliteReadings(file, clock)
    store._desk.tables.connection.execute("VACUUM")
    store._desk.tables.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store._desk.tables.connection.execute(f"PRAGMA max_page_count={file.stat().st_size // PAGE}")
    new = [Reading("hotel", POWER_KW, n * 1.7, DAY + timedelta(days=DAYS + 1, seconds=n)) for n in range(300)]
    store.add(new)

    with pytest.raises(StoreError, match="VEN-RDG-013"):
        await store.flush()
    await store.flush()

    assert store.stats().pruned > 0
    assert "VEN-RDG-031" in store.stats().problems[0]
    store._desk.tables.connection.execute("PRAGMA max_page_count=1000000")
    await clock.advance(3_600)
    await store.upkeep()
    assert not store.stats().problems  # there is room for the reserve again
    assert len((await store.window("hotel", new[0].time, new[-1].time))[POWER_KW]) >= len(new)
    await store.close()


def test_reserve_is_given_back_when_room_is_needed(tmp_path: Path) -> None:
    """The room that is held is on the disk as a file beside the readings, until it is given up."""
    reserve = Reserve(tmp_path / "readings.db")

    assert reserve.hold()
    assert reserve.hold()
    assert (tmp_path / "readings.db-reserve").stat().st_size == RESERVE_BYTES
    assert reserve.give()
    assert not reserve.give()
    assert list(tmp_path.iterdir()) == []
