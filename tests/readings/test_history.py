"""Readings that moved into compressed history are found as if they had not."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from venclient.clock import ManualClock
from venclient.model.quality import Counter, MeterRules
from venclient.model.reading import ENERGY_KWH, POWER_KW, Quality, Reading
from venclient.readings.compaction import begin, carry_out, finish, plan
from venclient.readings.look import RULES
from venclient.readings.quarters import QUARTER_MS, quarters
from venclient.readings.series import from_ms, to_ms
from venclient.readings.sqlite import SqliteReadings
from venclient.readings.tables import Tables, open_tables

DAY = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def compress(tables: Tables, before: datetime, *, slice_rows: int = 40_000, steps: int = 10_000) -> None:
    """Do a pass, or as many steps of it."""
    for _ in range(steps):
        if not begin(tables, to_ms(before)):
            return
        planned = plan(tables, slice_rows=slice_rows)
        if planned is None:
            finish(tables)
        else:
            assert carry_out(tables, planned)


async def test_what_is_written_while_the_time_is_in_doubt_is_filed_under_no_day(tmp_path: Path) -> None:
    """The days of `ven db check` are days that there were."""
    for now in (datetime(1980, 1, 1, tzinfo=UTC), DAY):
        path = tmp_path / f"{now.year}.db"
        store = SqliteReadings(path, ManualClock(now))
        store.add([Reading("hotel", POWER_KW, 1.0, DAY)])
        await store.close()
        tables = open_tables(path, read_only=True)
        assert len(tables.history.wear(7)) == (now == DAY)
        tables.close()


def count(tables: Tables, table: str) -> int:
    """Return how many rows a table has."""
    ((number,),) = tables.connection.execute(f"SELECT count(*) FROM {table}").fetchall()
    assert isinstance(number, int)
    return number


moments = st.integers(0, 3 * 24 * 60).map(lambda minutes: DAY + timedelta(minutes=minutes))
series = st.tuples(st.sampled_from(["hotel", "bar"]), st.sampled_from([POWER_KW, ENERGY_KWH]))
some_readings = st.lists(
    st.builds(
        lambda names, value, time, quality: Reading(names[0], names[1], value, time, quality),
        series,
        st.integers(0, 999).map(float),
        moments,
        st.sampled_from([Quality.GOOD, Quality.STALE]),
    ),
    max_size=40,
)
#: What happens to a file: readings come, or a pass up to some moment is made, whole or only begun.
happenings = st.lists(
    st.one_of(some_readings, st.tuples(moments, st.integers(1, 60), st.sampled_from([1, 2, 100]))), max_size=6
)


@settings(max_examples=30, deadline=None, phases=[Phase.generate])
@given(happenings, st.lists(st.tuples(moments, moments), min_size=1, max_size=4))
def test_compressed_and_fresh_together_are_what_came(
    happened: Sequence[object], asked: Sequence[tuple[datetime, datetime]]
) -> None:
    """Windows, latest values, rows and their count are those of a file never compressed, whenever passes run,
    however far they come, and whatever comes late.
    """
    with TemporaryDirectory() as folder:
        plain, ours = open_tables(Path(folder) / "plain.db"), open_tables(Path(folder) / "ours.db")
        counted = 0
        for one in happened:
            if isinstance(one, list):
                plain.write(one, {}, now=DAY + timedelta(days=3))
                counted += sum(ours.write(one, {}, now=DAY + timedelta(days=3)).values())
            elif isinstance(one, tuple):
                compress(ours, one[0], slice_rows=one[1], steps=one[2])
        try:
            for start, end in asked:
                for tables in (plain, ours):
                    tables.learn_series()
                names = ["hotel", "bar"]
                assert ours.windows(names, start, end, ours.newest) == plain.windows(
                    names, start, end, plain.newest
                )
                assert _by_time(ours.rows(start, end)) == _by_time(plain.rows(start, end))
            assert ours.latest() == plain.latest()
            assert ours.span() == plain.span()
            assert counted == len(list(ours.rows(DAY - HOUR, DAY + 96 * HOUR)))
            ours.close()
            ours = open_tables(Path(folder) / "ours.db")
            assert ours.latest() == plain.latest()
        finally:
            plain.close()
            ours.close()


def _by_time(rows: object) -> list[Reading]:
    assert hasattr(rows, "__iter__")
    found = list(rows)
    assert [one.time for one in found] == sorted(one.time for one in found)
    return sorted(found, key=lambda one: (one.time, one.resource_id, one.quantity))


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    """Return tables with two days of two meters, a reading each minute."""
    made = open_tables(tmp_path / "readings.db")
    noise = random.Random(5)
    made.write(
        [
            Reading(name, POWER_KW, noise.randrange(100) / 10, DAY + timedelta(minutes=minute))
            for minute in range(2 * 24 * 60)
            for name in ("hotel", "bar")
        ],
        {},
        now=DAY + 2 * 24 * HOUR,
    )
    return made


def test_segments_are_of_one_day_and_of_a_size(tables: Tables) -> None:
    """However small the slices were, a day of a meter is in few segments, and none goes over midnight."""
    compress(tables, DAY + 48 * HOUR, slice_rows=100)

    found = tables.history.segments(1, to_ms(DAY), to_ms(DAY + 48 * HOUR))
    assert {one.first_ms // 86_400_000 == one.last_ms // 86_400_000 for one in found} == {True}
    assert len(found) <= 6
    assert count(tables, "reading") == 0


def test_late_readings_are_merged_by_the_next_pass(tables: Tables) -> None:
    """A correction of compressed readings wins at once, and is in the history after the next pass."""
    compress(tables, DAY + 24 * HOUR)
    late = Reading("hotel", POWER_KW, 77.0, DAY + HOUR, Quality.ESTIMATED)
    tables.write([late], {}, now=DAY + 48 * HOUR)
    assert list(tables.rows(DAY + HOUR, DAY + HOUR + timedelta(seconds=1), "hotel")) == [late]

    compress(tables, DAY + 36 * HOUR)

    assert list(tables.rows(DAY + HOUR, DAY + HOUR + timedelta(seconds=1), "hotel")) == [late]
    assert count(tables, "reading") == 2 * 12 * 60


def test_slice_that_changed_meanwhile_is_planned_again(tables: Tables) -> None:
    """A reading that comes between looking and committing stops that slice, and is in the next plan."""
    assert begin(tables, to_ms(DAY + 24 * HOUR))
    planned = plan(tables)
    assert planned is not None
    late = Reading("hotel", POWER_KW, 77.0, DAY + timedelta(seconds=90))
    tables.write([late], {}, now=DAY + 48 * HOUR)

    assert not carry_out(tables, planned)

    compress(tables, DAY + 24 * HOUR)
    assert late in list(tables.rows(DAY, DAY + HOUR))


def test_quarters_are_those_of_the_readings(tables: Tables) -> None:
    """Made slice by slice, the quarters are what one roll-up of all readings gives, but for the outermost."""
    start, end = DAY + HOUR, DAY + 23 * HOUR
    readings = tables.windows(["hotel"], DAY, DAY + 48 * HOUR, tables.newest)["hotel"][POWER_KW]
    first, last = to_ms(start) // QUARTER_MS, to_ms(end) // QUARTER_MS - 1
    expected = list(quarters(POWER_KW, readings, first, last))

    compress(tables, DAY + 24 * HOUR, slice_rows=70)

    found = tables.quarters(["hotel"], start, end)["hotel"][POWER_KW]
    assert [one.number for one in found] == list(range(first, last + 1))
    for one, wanted in zip(found, expected, strict=True):
        assert one == pytest.approx(wanted)


def test_quarters_of_fresh_readings_are_made_when_asked(tables: Tables) -> None:
    """A range that reaches from the history into what is fresh has no seam."""
    compress(tables, DAY + 36 * HOUR)

    found = tables.quarters(["hotel", "bar"], DAY, DAY + 48 * HOUR)

    assert {len(found[name][POWER_KW]) for name in ("hotel", "bar")} == {192}
    assert {quarter.readings for quarter in found["hotel"][POWER_KW]} == {15}


def test_register_quarters_hold_energy(tmp_path: Path) -> None:
    """Of a register a quarter says what it counted, also over the edges of slices and days."""
    tables = open_tables(tmp_path / "readings.db")
    readings = [
        Reading("hotel", ENERGY_KWH, 1000 + minute / 60, DAY + timedelta(minutes=minute))
        for minute in range(36 * 60)
    ]
    tables.write(readings, {}, now=DAY + 36 * HOUR)
    compress(tables, DAY + 36 * HOUR, slice_rows=100)

    found = tables.quarters(["hotel"], DAY, DAY + 35 * HOUR)["hotel"][ENERGY_KWH]

    assert len(found) == 140
    assert [quarter.value for quarter in found] == pytest.approx([0.25] * 140)


def test_quarters_count_as_the_meter_does(tmp_path: Path) -> None:
    """The rules of its counter, as the gateway wrote them down, are those of the quarters as well.

    A counter of four digits rolls over at noon; by usual rules it would have been reset.
    """
    tables = open_tables(tmp_path / "readings.db")
    readings = [
        Reading("hotel", ENERGY_KWH, (9_640 + minute / 2) % 10_000, DAY + timedelta(minutes=minute))
        for minute in range(24 * 60)
    ]
    rules = MeterRules({ENERGY_KWH: Counter(digits=4)}, most_kw=100)
    tables.write(readings, {RULES + "hotel": msgspec.json.encode(rules).decode()}, now=DAY + 24 * HOUR)
    found = []
    for _ in range(2):
        series = tables.quarters(["hotel"], DAY + HOUR, DAY + 23 * HOUR)["hotel"][ENERGY_KWH]
        found.append([quarter.value for quarter in series])
        compress(tables, DAY + 24 * HOUR, slice_rows=100)

    assert found == [pytest.approx([7.5] * 88)] * 2


def test_quarters_of_an_hourly_counter_have_no_seams(tmp_path: Path) -> None:
    """The steps of an hourly counter are known in each quarter, also where a slice ends within the hour."""
    tables = open_tables(tmp_path / "readings.db")
    readings = [
        Reading("hotel", ENERGY_KWH, 100.0 + 4 * ((minute + 55) // 60), DAY + timedelta(minutes=minute))
        for minute in range(36 * 60)
    ]
    rules = MeterRules({ENERGY_KWH: Counter(hourly=True)}, most_kw=100)
    tables.write(readings, {RULES + "hotel": msgspec.json.encode(rules).decode()}, now=DAY + 36 * HOUR)
    compress(tables, DAY + 24 * HOUR, slice_rows=100)

    series = tables.quarters(["hotel"], DAY + 2 * HOUR, DAY + 34 * HOUR)["hotel"][ENERGY_KWH]

    assert [quarter.value for quarter in series] == pytest.approx([1.0] * 128)


def test_late_reading_does_not_spoil_a_final_quarter(tables: Tables) -> None:
    """Where readings were let go, their quarter stays, whatever comes in for that time afterwards."""
    compress(tables, DAY + 24 * HOUR)
    before = tables.quarters(["hotel"], DAY, DAY + 2 * HOUR)
    with tables.connection:
        tables.connection.execute("DELETE FROM segment")
        tables.history.settle(to_ms(DAY + 24 * HOUR))
    tables.write([Reading("hotel", POWER_KW, 500.0, DAY + HOUR)], {}, now=DAY + 48 * HOUR)

    compress(tables, DAY + 36 * HOUR)

    assert tables.quarters(["hotel"], DAY, DAY + 2 * HOUR) == before


async def test_bytes_are_kept_by_letting_the_oldest_readings_go(tmp_path: Path) -> None:
    """A file that would hold too much loses its oldest single readings, not its quarters or the last day."""
    noise = random.Random(5)
    clock = ManualClock(DAY + 10 * 24 * HOUR)
    store = SqliteReadings(tmp_path / "readings.db", clock, max_bytes=150_000)
    for day in range(10):
        store.add(
            [
                Reading("hotel", POWER_KW, noise.random(), DAY + timedelta(days=day, seconds=60 * n))
                for n in range(24 * 60)
            ]
        )
        await store.flush()

    await store.upkeep()

    assert store._desk.tables.used() <= 150_000
    span = store._desk.tables.span()
    assert span is not None
    first, last = span
    assert first > DAY + 24 * HOUR
    assert last == DAY + 10 * 24 * HOUR - timedelta(minutes=1)
    assert store.stats().pruned > 1440
    kept = await store.quarters(["hotel"], DAY, DAY + 10 * 24 * HOUR)
    assert len(kept["hotel"][POWER_KW]) == 960
    await store.close()


async def test_run_compresses_by_and_by(tmp_path: Path) -> None:
    """The store's own task does a pass when the readings have settled, while commits go on."""
    import asyncio

    clock = ManualClock(DAY + 14 * HOUR)
    store = SqliteReadings(tmp_path / "readings.db", clock)
    store.add([Reading("hotel", POWER_KW, 1.0, DAY + timedelta(minutes=n)) for n in range(600)])
    await store.flush()
    task = asyncio.create_task(store.run())
    async with asyncio.timeout(60):
        while store.stats().compressed < 600:
            await clock.advance(1)
            await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.wait([task])
    await store.close()

    tables = open_tables(tmp_path / "readings.db", read_only=True)
    assert tables.history.size().readings == 600
    assert len(list(tables.rows(from_ms(0), DAY + 24 * HOUR))) == 600
    tables.close()
