"""What storing a reading costs, against the bare best layout (key = time << n | meter), in the same run.

    python benchmarks/readings.py [--quick] [--folder DIR]

Ratios carry over to other machines, the figures themselves do not.
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
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import apsw

from venclient.clock import ManualClock
from venclient.model.reading import POWER_KW, Reading
from venclient.readings.rollup import rollup
from venclient.readings.series import from_ms, to_ms
from venclient.readings.sqlite import SqliteReadings

METERS = 100
STEP_S = 10
START_S = to_ms(datetime(2026, 3, 1, tzinfo=UTC)) // 1000
BATCH = 1000
BYTES_GOAL = 1.3

Row = tuple[int, int, float]


def written_bytes() -> int:
    """Give the bytes that this process has handed to the block layer."""
    for line in Path("/proc/self/io").read_text().splitlines():
        if line.startswith("write_bytes"):
            return int(line.split()[1])
    raise SystemExit("/proc/self/io has no write_bytes: this needs Linux")


def polls(count: int) -> Iterator[list[Row]]:
    """Give (second, meter, value) of all meters for each poll."""
    noise = random.Random(7)
    values = [noise.randrange(0, 50_000) for _ in range(METERS)]
    for poll in range(count):
        second = START_S + poll * STEP_S
        for meter in range(METERS):
            values[meter] += noise.getrandbits(7) - 64
        yield [(second, meter, value / 10) for meter, value in enumerate(values)]


def batches(count: int) -> list[list[Row]]:
    """Give as many batches of BATCH rows, in time order."""
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
    """Give rows as a connector gives them."""
    return [Reading(f"meter-{m:04}", POWER_KW, v, from_ms(s * 1000)) for s, m, v in rows]


def store_ours(path: Path, groups: Iterable[list[Reading]], *, singly: bool) -> None:
    """Store the same by the service's store, a commit for each group; `singly`: an add per meter."""

    async def run() -> None:
        clock = ManualClock(from_ms(START_S * 1000))
        store = SqliteReadings(path, clock, retention_days=400)
        for readings in groups:
            for part in [[one] for one in readings] if singly else [readings]:
                store.add(part)
            await store.flush()
            clock.step(STEP_S)
        await store.close()

    asyncio.run(run())


def bytes_per_reading(folder: Path, count: int) -> dict[str, float]:
    """Give the bytes written per reading of each way, polled and committed each 10 s."""
    ways: dict[str, Callable[[Path], None]] = {
        "bare, NORMAL": lambda path: store_bare(path, polls(count), sync="NORMAL"),
        "bare, FULL": lambda path: store_bare(path, polls(count), sync="FULL"),
        "ours, FULL": lambda path: store_ours(path, map(readings_of, polls(count)), singly=True),
    }
    found: dict[str, float] = {}
    for name, way in ways.items():
        before = written_bytes()
        way(folder / f"bytes-{len(found)}.db")
        found[name] = (written_bytes() - before) / (count * METERS)
    return found


def seconds_per_reading(folder: Path, count: int, rounds: int) -> dict[str, float]:
    """Give the median seconds per reading of each way, in commits of BATCH, ways taking turns."""
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
    """Give the seconds to roll up one meter's power samples of so many hours into 15 minutes."""
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
    """Print the figures; status 1 when more bytes are written than the goal allows."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="smaller, under 10 s")
    options.add_argument("--folder", type=Path, help="where to write; must be on a disk")
    given = options.parse_args()
    count, commits, rounds = (360, 30, 3) if given.quick else (1440, 100, 5)

    folder = Path(tempfile.mkdtemp(prefix="readings-", dir=given.folder))
    try:
        written = bytes_per_reading(folder, count)
        taken = seconds_per_reading(folder, commits, rounds)
    finally:
        shutil.rmtree(folder)

    print(f"{METERS} meters, a reading and a commit each {STEP_S} s, {count} commits")
    base = written["bare, NORMAL"]
    if base < 1:
        print("  bytes written: not measurable here (no block device behind the folder); give --folder")
    else:
        for name, value in written.items():
            print(f"  {name:14} {value:7.0f} bytes/reading  {value / base:5.2f} x bare")
    print(f"commits of {BATCH} readings, median of {rounds}")
    for name, value in taken.items():
        print(f"  {name:14} {1 / value:9,.0f} readings/s  {taken['bare, FULL'] / value:5.2f} x bare rate")
    print(f"roll-up of a day of 10 s power into 15 minutes: {1000 * rollup_seconds(24):.0f} ms per resource")
    return int(base >= 1 and written["ours, FULL"] > BYTES_GOAL * base)


if __name__ == "__main__":
    sys.exit(main())
