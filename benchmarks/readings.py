"""What storing a reading costs, against the bare best layout (key = time << n | meter), in the same run.

    python benchmarks/readings.py [--quick | --full] [--folder DIR]

Ratios carry over to other machines, the figures themselves do not. --full also asks a store of ten million
readings, which takes some minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw

from venclient.clock import ManualClock
from venclient.model.reading import POWER_KW, Reading
from venclient.readings.layout import SERIES_BITS
from venclient.readings.quarters import QUARTER_MS
from venclient.readings.rollup import rollup
from venclient.readings.segments import pack, unpack
from venclient.readings.series import from_ms, to_ms
from venclient.readings.sqlite import SqliteReadings
from venclient.readings.tables import Tables, open_tables

METERS = 100
STEP_S = 10
START_S = to_ms(datetime(2026, 3, 1, tzinfo=UTC)) // 1000
BATCH = 1000
BYTES_GOAL = 1.3
STORED_GOAL = 0.25
QUARTERS_GOAL = 0.5
GROWTH_GOAL = 1.2
#: Best bare layout at this commit period, with small pages, as measured once on an idle machine.
BARE_BYTES = 128
UPKEEP_POLLS = 6
GROWTH_TURNS = 3

HOUR = timedelta(hours=1)

Row = tuple[int, int, float]


def written_bytes() -> int:
    """Return the bytes that this process has handed to the block layer."""
    for line in Path("/proc/self/io").read_text().splitlines():
        if line.startswith("write_bytes"):
            return int(line.split()[1])
    raise SystemExit("/proc/self/io has no write_bytes: this needs Linux")


def polls(count: int) -> Iterator[list[Row]]:
    """Yield (second, meter, value) of all meters for each poll."""
    noise = random.Random(7)
    values = [noise.randrange(0, 50_000) for _ in range(METERS)]
    for poll in range(count):
        second = START_S + poll * STEP_S
        for meter in range(METERS):
            values[meter] += noise.getrandbits(7) - 64
        yield [(second, meter, value / 10) for meter, value in enumerate(values)]


def batches(count: int) -> list[list[Row]]:
    """Return `count` batches of BATCH rows, in time order."""
    per_batch = BATCH // METERS
    gathered = list(polls(count * per_batch))
    return [
        [row for poll in gathered[n : n + per_batch] for row in poll]
        for n in range(0, len(gathered), per_batch)
    ]


def store_bare(path: Path, groups: Iterable[list[Row]], *, sync: str) -> None:
    """Store groups of rows with nothing around SQLite, a commit for each."""
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={sync}")
    connection.execute("CREATE TABLE r(k INTEGER PRIMARY KEY, v REAL NOT NULL)")
    for group in groups:
        with connection:
            connection.executemany("INSERT INTO r VALUES(?, ?)", [(s << 16 | m, v) for s, m, v in group])
    connection.close()


def readings_of(rows: list[Row]) -> list[Reading]:
    """Return rows as a connector returns them."""
    return [Reading(f"meter-{m:04}", POWER_KW, v, from_ms(s * 1000)) for s, m, v in rows]


def store_ours(path: Path, groups: Iterable[list[Reading]], *, singly: bool, settle_h: float = 0) -> None:
    """Store the same by the service's store, a commit for each group; `singly`: an add per meter.

    The clock stands at each group's time. After every minute of it the file is kept in shape, and at the
    end once more, `settle_h` hours later.
    """

    async def run() -> None:
        clock = ManualClock(from_ms(START_S * 1000))
        store = SqliteReadings(path, clock, retention_days=400)
        for number, readings in enumerate(groups):
            clock.step((readings[0].time - clock.now()).total_seconds())
            for part in [[one] for one in readings] if singly else [readings]:
                store.add(part)
            await store.flush()
            if number % UPKEEP_POLLS == 0:
                await store.upkeep()
        clock.step(3600 * settle_h)
        await store.upkeep()
        await store.close()

    asyncio.run(run())


def bytes_per_reading(folder: Path, count: int) -> dict[str, float]:
    """Return the bytes written per reading of each way, polled and committed each 10 s.

    Ours includes compression and quarters: of most of the readings when the polls are of days, else of all.
    """
    settle_h = 14 if count * STEP_S < 24 * 3600 else 0
    ways: dict[str, Callable[[Path], None]] = {
        "bare, NORMAL": lambda path: store_bare(path, polls(count), sync="NORMAL"),
        "bare, FULL": lambda path: store_bare(path, polls(count), sync="FULL"),
        "ours, FULL": lambda path: store_ours(
            path, map(readings_of, polls(count)), singly=True, settle_h=settle_h
        ),
    }
    found: dict[str, float] = {}
    for name, way in ways.items():
        before = written_bytes()
        way(folder / f"bytes-{len(found)}.db")
        found[name] = (written_bytes() - before) / (count * METERS)
    return found


def day_of_history(folder: Path, hours: int) -> tuple[float, float, float, float]:
    """Return bytes per reading of plain rows and of history with quarters, and the seconds for all quarters.

    The quarters of all meters are summed up from plain rows by SQL, and read from our store.
    """
    groups = [[row for poll in polls(hours * 360) for row in poll]]
    plain, ours = folder / "history-bare.db", folder / "history-ours.db"
    store_bare(plain, groups, sync="NORMAL")
    store_ours(ours, map(readings_of, polls(hours * 360)), singly=False, settle_h=14)
    rows = len(groups[0])
    names = [f"meter-{meter:04}" for meter in range(METERS)]
    start, end = from_ms(START_S * 1000), from_ms((START_S + hours * 3600) * 1000)
    bare = apsw.Connection(str(plain))
    tables = open_tables(ours, read_only=True)
    sql = """SELECT (k >> 16) / 900 AS quarter, k & 65535 AS meter, count(*), avg(v), min(v), max(v)
               FROM r WHERE k BETWEEN ? AND ? GROUP BY quarter, meter"""
    seconds: dict[str, list[float]] = {"bare": [], "ours": []}
    for _ in range(5):
        begun = time.perf_counter()
        by_sql = bare.execute(sql, (START_S << 16, (START_S + hours * 3600) << 16)).fetchall()
        seconds["bare"].append(time.perf_counter() - begun)
        begun = time.perf_counter()
        found = tables.quarters(names, start, end)
        seconds["ours"].append(time.perf_counter() - begun)
    assert len(by_sql) == sum(len(one) for by_quantity in found.values() for one in by_quantity.values())
    bare.close()
    stored = stored_bytes(tables)
    tables.close()
    return (
        plain.stat().st_size / rows,
        stored / rows,
        statistics.median(seconds["bare"]),
        statistics.median(seconds["ours"]),
    )


def stored_bytes(tables: Tables) -> int:
    """Return the bytes of all pages that hold compressed history and its quarters."""
    ((size,),) = tables.connection.execute(
        "SELECT sum(pgsize) FROM dbstat WHERE name IN ('segment', 'quarter')"
    ).fetchall()
    assert isinstance(size, int)
    return size


async def fill(store: SqliteReadings, clock: ManualClock, groups: Iterable[list[Row]]) -> None:
    """Store groups of polls, a commit for each, and keep the file in shape."""
    for group in groups:
        readings = readings_of(group)
        clock.step((readings[-1].time - clock.now()).total_seconds())
        store.add(readings)
        await store.flush()
        await store.upkeep()


def lengthen(path: Path, readings: int) -> None:
    """Put copies of a file's history before it, two days earlier each, until it has `readings` readings."""
    tables = open_tables(path)
    history, connection = tables.history, tables.connection
    days_ms = 2 * 24 * 3_600_000
    size = history.size().readings
    segments = [
        (key, last_ms, count, unpack(data))
        for key, last_ms, count, data in connection.execute("SELECT k, last_ms, n, data FROM segment")
    ]
    quarters: list[Any] = list(connection.execute("SELECT * FROM quarter"))
    for copy in range(1, -(-readings // size)):
        back_ms = copy * days_ms
        back_quarters = back_ms // QUARTER_MS << SERIES_BITS
        with connection:
            history.replace(
                [],
                (
                    (
                        key - back_ms,
                        last_ms - back_ms,
                        count,
                        pack([(ms - back_ms, v, q) for ms, v, q in some]),
                    )
                    for key, last_ms, count, some in segments
                ),
            )
            connection.executemany(
                "INSERT INTO quarter VALUES(?, ?, ?, ?, ?, ?, ?)",
                [(key - back_quarters, *rest) for key, *rest in quarters],
            )
    assert history.size().readings >= readings
    tables.close()


def growth(folder: Path) -> dict[str, float]:
    """Compare the processor time of storing and asking in stores of 10 and of 1.3 million readings, in turns.

    Returns the larger store's time as a multiple of the smaller one's.

    Filling one with ten million takes some ten minutes, so its older nine are copies of the newest: what a
    store does depends on how much there is and not on the values. Each turn stores twelve hours, which is a
    pass of compression, and asks each question nine times.
    """
    names = [f"meter-{meter:04}" for meter in range(METERS)]
    per_commit = BATCH // METERS
    paths = {"small": folder / "small.db", "large": folder / "large.db"}
    samples: dict[str, dict[str, list[float]]] = {
        what: {size: [] for size in paths} for what in ("store", "window of one", "window of all", "quarters")
    }
    source = polls((38 + 12 * GROWTH_TURNS) * 360)

    def hours(count: int) -> list[list[Row]]:
        return [[row for _ in range(per_commit) for row in next(source)] for _ in range(count * 36)]

    async def ask(store: SqliteReadings, middle: datetime, size: str) -> None:
        asked: dict[str, Callable[[], Awaitable[object]]] = {
            "window of one": lambda: store.window(names[7], middle, middle + 6 * HOUR),
            "window of all": lambda: store.windows(names, middle, middle + HOUR),
            "quarters": lambda: store.quarters(names, middle, middle + 12 * HOUR),
        }
        for name, question in asked.items():
            times = []
            for _ in range(9):
                begun = time.process_time()
                await question()
                times.append(time.process_time() - begun)
            samples[name][size].append(statistics.median(times))

    async def run() -> None:
        clock = ManualClock(from_ms(START_S * 1000))
        store = SqliteReadings(paths["small"], clock)
        await fill(store, clock, hours(38))
        await store.close()
        shutil.copy(paths["small"], paths["large"])
        lengthen(paths["large"], 10_000_000)
        clocks = {size: ManualClock(clock.now()) for size in paths}
        stores = {size: SqliteReadings(path, clocks[size]) for size, path in paths.items()}
        for turn in range(GROWTH_TURNS):
            groups = hours(12)
            middle = from_ms((START_S + (12 * turn + 15) * 3600) * 1000)
            for size in sorted(stores, reverse=bool(turn % 2)):
                begun = time.process_time()
                await fill(stores[size], clocks[size], groups)
                samples["store"][size].append(time.process_time() - begun)
                await ask(stores[size], middle, size)
        for one in stores.values():
            await one.close()

    asyncio.run(run())
    return {
        name: statistics.median(
            large / small for large, small in zip(both["large"], both["small"], strict=True)
        )
        for name, both in samples.items()
    }


def seconds_per_reading(folder: Path, count: int, rounds: int) -> dict[str, float]:
    """Return the median seconds per reading of each way, in commits of BATCH, ways taking turns."""
    groups = batches(count)
    readings = [readings_of(group) for group in groups]
    ways: dict[str, Callable[[Path], None]] = {
        "bare, FULL": lambda path: store_bare(path, groups, sync="FULL"),
        "ours, FULL": lambda path: store_ours(path, readings, singly=False),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for round_ in range(rounds):
        for name, way in ways.items():
            begun = time.perf_counter()
            way(folder / f"rate-{round_}-{len(taken[name])}-{name[:4]}.db")
            taken[name].append((time.perf_counter() - begun) / (count * BATCH))
    return {name: statistics.median(times) for name, times in taken.items()}


def rollup_seconds(hours: int) -> float:
    """Return the seconds to roll up `hours` hours of one meter's power samples into 15 minutes."""
    samples = [
        Reading("m", POWER_KW, value, from_ms(second * 1000))
        for poll in polls(hours * 360)
        for second, _, value in poll[:1]
    ]
    grid = [
        (from_ms((START_S + n * 900) * 1000), from_ms((START_S + n * 900 + 900) * 1000))
        for n in range(hours * 4)
    ]
    begun = time.perf_counter()
    rollup("m", {POWER_KW: samples}, grid)
    return time.perf_counter() - begun


def main() -> int:
    """Print the figures; status 1 when a goal is missed."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="smaller, some 10 s")
    options.add_argument("--full", action="store_true", help="also with ten million readings")
    options.add_argument("--folder", type=Path, help="where to write; must be on a disk")
    given = options.parse_args()
    count, commits, rounds, hours = (360, 30, 3, 2) if given.quick else (9000, 100, 5, 24)

    folder = Path(tempfile.mkdtemp(prefix="readings-", dir=given.folder))
    try:
        written = bytes_per_reading(folder, count)
        taken = seconds_per_reading(folder, commits, rounds)
        plain, stored, by_sql, by_store = day_of_history(folder, hours)
        grown = growth(folder) if given.full else {}
    finally:
        shutil.rmtree(folder)

    missed = []
    print(f"{METERS} meters, a reading and a commit each {STEP_S} s, {count} commits, compression included")
    base = written["bare, NORMAL"]
    if base < 1:
        print("  bytes written: not measurable here (no block device behind the folder); give --folder")
    else:
        for name, value in written.items():
            print(f"  {name:14} {value:7.0f} bytes/reading  {value / base:5.2f} x bare")
        if written["ours, FULL"] > BYTES_GOAL * max(base, BARE_BYTES):
            missed.append("bytes written")
    print(f"commits of {BATCH} readings, median of {rounds}")
    for name, value in taken.items():
        print(f"  {name:14} {1 / value:9,.0f} readings/s  {taken['bare, FULL'] / value:5.2f} x bare rate")
    print(f"stored after compression, {hours} h of {METERS} meters, quarters included")
    print(f"  plain rows {plain:.1f}, ours {stored:.2f} bytes/reading  {stored / plain:.3f} x plain")
    if stored > STORED_GOAL * plain:
        missed.append("stored bytes")
    print(f"quarters of an hour of {METERS} meters over {hours} h")
    print(
        f"  SQL on plain rows {1000 * by_sql:.0f} ms, ours {1000 * by_store:.0f} ms  {by_store / by_sql:.2f}"
    )
    if by_store > QUARTERS_GOAL * by_sql:
        missed.append("quarters")
    print(f"roll-up of a day of 10 s power into 15 minutes: {1000 * rollup_seconds(24):.0f} ms per resource")
    for name, times in grown.items():
        print(f"10 million readings: {name} takes {times:.2f} x what it takes with 1.3 million")
        if times > GROWTH_GOAL:
            missed.append(f"growth of {name}")
    for name in missed:
        print(f"goal missed: {name}")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
