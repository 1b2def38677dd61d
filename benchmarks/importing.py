"""Importing a CSV file against `pandas.read_csv` alone of the same file, in one run: time and memory.

python benchmarks/importing.py [--quick] [--rows N] [--profile] [--json]

Each import runs in a separate process, where both sides take turns: first pandas reads the file, then it is
imported into a new registry, every row validated, all of it committed. What is measured is a ratio of times,
and the most memory that the process had resident. Two files: what a map scraper gives (8 columns), and our
own export (35 columns, which say everything). "Storing alone" is the same resources, ready made, put into
a new registry in bulk: no import can be faster than that. The exit status is 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import cProfile
import csv
import json
import pstats
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.registry import INSERT_CONNECTION, INSERT_RESOURCE, open_bare, ready_tuples
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.registry import columns
from venclient.registry.csv_import import import_csv
from venclient.registry.csv_sites import CsvSites, Site
from venclient.registry.database import ResourceDatabase

TIME_GOAL = 12.0
MEMORY_GOAL_MIB = 400
ROUNDS = 3
SCRAPED = ("title", "address", "longitude", "latitude", "rating", "reviews", "category", "website")
TOWNS = (
    ("7400", "Herning", 56.137, 8.976),
    ("2100", "København Ø", 55.705, 12.577),
    ("7900", "Nykøbing Mors", 56.795, 8.860),
    ("8000", "Aarhus C", 56.157, 10.207),
)


class Spent(NamedTuple):
    """Seconds by the wall clock, and of processor time, user's and system's."""

    wall: float
    cpu: float


def write_scraped(path: Path, rows: int) -> None:
    """Write a file as map scrapers do."""
    rng = random.Random(rows)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(
            ["title", "address", "longitude", "latitude", "rating", "reviews", "category", "website"]
        )
        for number in range(rows):
            code, town, latitude, longitude = TOWNS[number % len(TOWNS)]
            writer.writerow(
                (
                    f"Hotel Ørnen {number}",
                    f"Nørregade {number}, {code} {town}, Denmark",
                    f"{longitude + rng.uniform(-0.01, 0.01):.7f}",
                    f"{latitude + rng.uniform(-0.01, 0.01):.7f}",
                    f"{rng.uniform(3, 5):.1f}" if rng.random() < 0.8 else "Not Found",
                    rng.randint(1, 900),
                    "Hotel",
                    "Not Found",
                )
            )


def write_own(path: Path, rows: int) -> None:
    """Write a file as `ven resources export` does."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns.COLUMNS)
        for number in range(rows):
            code, town, latitude, longitude = TOWNS[number % len(TOWNS)]
            one = Resource(
                f"{number:08x}-0000-5000-8000-000000000000",
                f"Hotel Ørnen {number}",
                "DSR",
                "Hotels",
                f"70705750{number:010}",
                Connection(ConnectionType.MQTT, ActorType.READER, "broker.example", 1883, f"site/{number}"),
                {"P_max_kw": 50.0, "P_min_kw": -20.5, "E_max_kwh": 200.0, "E_min_kwh": 0.0},
                {"latitude": latitude, "longitude": longitude},
                address=f"Nørregade {number}, {code} {town}, Denmark",
                enabled=True,
                ven=town,
            )
            writer.writerow(columns.encode(one))


UNITS = ("s", "cpu_s")
FILES: dict[str, Callable[[Path, int], None]] = {"scraped": write_scraped, "own export": write_own}


def spent(work: Callable[[], object]) -> Spent:
    """Return how long one call takes."""
    begin, begin_cpu = time.perf_counter(), time.process_time()
    work()
    return Spent(time.perf_counter() - begin, time.process_time() - begin_cpu)


def store_bare(database: Path, ready: list[Resource]) -> Spent:
    """Put the rows of both tables, ready made, into the specification's tables with `sqlite3` alone."""
    connections, rows = ready_tuples(ready)
    with closing(open_bare(database)) as bare:

        def work() -> None:
            bare.executemany(INSERT_CONNECTION, connections)
            bare.executemany(INSERT_RESOURCE, rows)
            bare.commit()

        return spent(work)


def measure(path: Path, folder: Path, profile: bool) -> dict[str, float]:
    """Return the medians of one file, and the most memory that all of it took."""
    import pandas as pd

    pd.read_csv(path)
    import_csv_once(path, folder / "warm.db")
    read, imported, reading, again = [], [], [], []
    for number in range(ROUNDS):
        read.append(spent(lambda: pd.read_csv(path)))
        database = folder / f"{number}.db"
        imported.append(import_csv_once(path, database))
        again.append(import_csv_once(path, database))
        reading.append(spent(lambda: sum(isinstance(one, Site) for one in CsvSites(path).items())))
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    # The data held for this is not part of an import, so it comes after the measure of memory.
    ready = [item.resource for item in CsvSites(path).items() if isinstance(item, Site)]
    with ResourceDatabase(folder / "ready.db") as registry:
        stored = spent(lambda: registry.bulk_insert_resources(ready))
    bare = store_bare(folder / "bare.db", ready)
    if profile:
        profiler = cProfile.Profile()
        profiler.runcall(import_csv_once, path, folder / "profiled.db")
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(25)
    sides = {"pandas": read, "import": imported, "again": again, "validate": reading}
    found = {
        name: [statistics.median(part) for part in zip(*side, strict=True)] for name, side in sides.items()
    }
    found |= {"store": list(stored), "bare": list(bare)}
    result = {
        f"{name}_{unit}": part for name, side in found.items() for unit, part in zip(UNITS, side, strict=True)
    }
    return result | {"mib": mib}


def import_csv_once(path: Path, database: Path) -> Spent:
    """Import the file into an open registry; return how long it took. All of it must have been taken."""
    reports = []
    with ResourceDatabase(database) as registry:
        taken = spent(lambda: reports.append(import_csv(registry, path)))
    report = reports[0]
    if report.rejected_rows or not report.created + report.unchanged:
        raise SystemExit(f"{path}: the import took {report.created} rows, not all")
    return taken


def measured(name: str, rows: int, profile: bool) -> dict[str, Any]:
    """Return the figures of one kind of file, measured in a separate process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hotels-in-denmark.csv"
        FILES[name](path, rows)
        command = [sys.executable, __file__, "--measure", str(path), *(["--profile"] if profile else [])]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=600, check=True)
        return {"file": name, "rows": rows, **json.loads(done.stdout)}


def main() -> int:
    """Measure, print, and say by the exit status whether every goal was met."""
    parser = argparse.ArgumentParser(description="Importing a CSV file against pandas.read_csv alone.")
    parser.add_argument("--quick", action="store_true", help="a file of 5,000 rows")
    parser.add_argument("--rows", type=int, help="number of rows in the files (default: 100,000)")
    parser.add_argument("--profile", action="store_true", help="also where the time goes, to standard error")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.measure.parent, options.profile)))
        return 0
    rows = options.rows or (5_000 if options.quick else 100_000)
    found = [measured(name, rows, options.profile) for name in FILES]
    good = all(
        one["import_s"] / one["pandas_s"] <= TIME_GOAL and one["mib"] < MEMORY_GOAL_MIB for one in found
    )
    if options.json:
        print(json.dumps(found, indent=2))
        return 0 if good else 1
    parts = ("import", "again", "validate", "store", "bare")
    head = f"{'file':12} {'rows':>7} {'clock':>5} {'read_csv s':>10} {'import s':>9} {'ratio':>6} {'goal':>5}"
    print(
        f"{head} {'MiB':>5} {'goal':>5} {'again':>6} {'validate alone':>15} {'storing alone':>14} {'bare':>6}"
    )
    for one in found:
        for unit, clock in zip(UNITS, ("wall", "cpu"), strict=True):
            pandas_s = one[f"pandas_{unit}"]
            ratios = {name: one[f"{name}_{unit}"] / pandas_s for name in parts}
            missed = clock == "wall" and (ratios["import"] > TIME_GOAL or one["mib"] >= MEMORY_GOAL_MIB)
            print(
                f"{one['file']:12} {rows:>7} {clock:>5} {pandas_s:>10.3f} {one[f'import_{unit}']:>9.3f}"
                f" {ratios['import']:>6.1f} {TIME_GOAL:>5.0f} {one['mib']:>5.0f} {MEMORY_GOAL_MIB:>5}"
                f" {ratios['again']:>6.1f} {ratios['validate']:>15.1f} {ratios['store']:>14.1f}"
                f" {ratios['bare']:>6.1f}{'  MISSED' if missed else ''}"
            )
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
