"""The registry against the bare driver, in one run: a table of ratios that hold on any machine.

python benchmarks/registry.py [--quick] [--rows N] [--json]

Each figure is a median of rounds in which both sides take turns; below 1 is faster than the peer. The goals
hold for the wall clock; "cpu" is the same ratio in processor time, a second opinion for a machine that others
use too. The peers do what a careful program without venclient would: `sqlite3` with the specification's
tables and indexes, WAL, and the same data types; sqlite-utils and pandas get the same rows of both tables
ready made (as dicts, as a data frame) and put them into the same tables. The second table shows how times
grow from the second largest registry to the largest, ours and the peer's. Where a goal is missed the line
says MISSED, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.registry.database import ResourceDatabase

BARE_SCHEMA = """
CREATE TABLE connections (
    id INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT NOT NULL, actortype TEXT NOT NULL, host TEXT,
    port INTEGER, topic TEXT, file TEXT, username TEXT, password TEXT,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE resources (
    id INTEGER PRIMARY KEY AUTOINCREMENT, resource_id TEXT UNIQUE NOT NULL, resource_name TEXT NOT NULL,
    resource_type TEXT NOT NULL, resource_sub_type TEXT, meter_point_id TEXT NOT NULL,
    connection_id INTEGER NOT NULL, capacities TEXT NOT NULL, location TEXT NOT NULL, address TEXT, ven TEXT,
    enabled BOOLEAN DEFAULT 1, reporting TEXT, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, FOREIGN KEY (connection_id) REFERENCES connections(id));
CREATE INDEX idx_resource_id ON resources(resource_id);
CREATE INDEX idx_meter_point_id ON resources(meter_point_id);
CREATE INDEX idx_resource_type ON resources(resource_type);
CREATE INDEX idx_ven ON resources(ven);
"""
INSERT_CONNECTION = "INSERT INTO connections (id, type, actortype, host, port, topic) VALUES (?,?,?,?,?,?)"
INSERT_RESOURCE = (
    "INSERT INTO resources (resource_id, resource_name, resource_type, resource_sub_type, meter_point_id,"
    " connection_id, capacities, location, address, ven, enabled) VALUES (?,?,?,?,?,?,?,?,?,?,?)"
)
SELECT = (
    "SELECT r.resource_id, r.resource_name, r.resource_type, r.resource_sub_type, r.meter_point_id,"
    " r.capacities, r.location, r.address, r.enabled, r.reporting, r.ven, c.type, c.actortype, c.host,"
    " c.port, c.topic, c.file, c.username, c.password"
    " FROM resources r JOIN connections c ON c.id = r.connection_id"
)


class Spent(NamedTuple):
    """Seconds (milliseconds in a `Figure`) by the wall clock, and of processor time, user's and system's."""

    wall: float
    cpu: float


class Figure(NamedTuple):
    """One line of the table: medians in milliseconds per operation, and the ratio that is allowed."""

    operation: str
    peer: str
    rows: int
    ours: Spent
    peers: Spent
    goal: float

    @property
    def ratio(self) -> float:
        """Our time over the peer's, by the wall clock."""
        return self.ours.wall / self.peers.wall

    @property
    def cpu_ratio(self) -> float:
        """Our processor time over the peer's."""
        return self.ours.cpu / self.peers.cpu


class Growth(NamedTuple):
    """How many times as long an operation takes on the larger registry, ours and the peer's."""

    operation: str
    peer: str
    small: int
    large: int
    ours: float
    peers: float
    goal: float


def make_resource(number: int) -> Resource:
    """Return the resource of a number: all different, as those of a real site list are."""
    return Resource(
        f"{number:08x}-0000-5000-8000-000000000000",
        f"Hotel Ørnen {number}",
        "EV" if number % 4 == 0 else "DSR",
        "Hotels",
        f"70705750{number:010}",
        Connection(ConnectionType.MQTT, ActorType.READER, "broker.example", 1883, f"site/{number}/power"),
        {"P_max_kw": 50 + number % 7, "P_min_kw": -20.5, "E_max_kwh": 200, "E_min_kwh": 0},
        {"latitude": 55 + number % 1000 / 500, "longitude": 9.25},
        address=f"Bredgade {number}, 7400 Herning, Denmark",
        enabled=True,
        ven=f"Town {number % 50}",
    )


def ready_tuples(resources: list[Resource]) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Return the rows of both tables, encoded beforehand: the bare side pays for nothing but storing."""
    connections, rows = [], []
    for number, one in enumerate(resources, 1):
        link = one.connection
        connections.append((number, link.type.name, link.actortype.name, link.host, link.port, link.topic))
        rest = (json.dumps(one.capacities), json.dumps(one.location), one.address, one.ven, one.enabled)
        rows.append(
            (
                one.resourceID,
                one.resourceName,
                one.resourceType,
                one.resourceSubType,
                one.meterPointId,
                number,
                *rest,
            )
        )
    return connections, rows


def open_bare(path: Path) -> sqlite3.Connection:
    """Return a new bare database in WAL mode."""
    bare = sqlite3.connect(path)
    bare.execute("PRAGMA journal_mode=WAL")
    bare.execute("PRAGMA cache_size=-8000")
    bare.executescript(BARE_SCHEMA)
    return bare


def decode(row: Any) -> Resource:
    """Return the resource of a bare row, with the standard library's JSON."""
    resource_id, name, kind, sub_type, meter, capacities, location, address, enabled, reporting, ven = row[
        :11
    ]
    return Resource(
        resource_id,
        name,
        kind,
        sub_type,
        meter,
        Connection(ConnectionType[row[11]], ActorType[row[12]], *row[13:]),
        json.loads(capacities),
        json.loads(location),
        address,
        bool(enabled),
        reporting and json.loads(reporting),
        ven,
    )


def spent(work: Callable[[], object]) -> Spent:
    """Return how long `work` takes."""
    start, start_cpu = time.perf_counter(), time.process_time()
    work()
    return Spent(time.perf_counter() - start, time.process_time() - start_cpu)


def median_ms(found: Sequence[Spent]) -> Spent:
    """Return the medians in milliseconds."""
    return Spent(*(statistics.median(column) * 1000 for column in zip(*found, strict=True)))


def in_turns(rounds: int, *sides: Callable[[int], Spent]) -> list[Spent]:
    """Return each side's medians; the sides take turns, which spreads a slow moment over all."""
    found = [[side(number) for side in sides] for number in range(rounds)]
    return [median_ms(column) for column in zip(*found, strict=True)]


def bulk_by_others(
    folder: Path, count: int, connections: list[tuple[Any, ...]], rows: list[tuple[Any, ...]]
) -> dict[str, Callable[[int], Spent]]:
    """Return, by name, functions that store the rows of both tables with a library and return the time."""
    import pandas as pd
    from sqlite_utils import Database

    names = {
        table: [name.strip() for name in sql.partition("(")[2].partition(")")[0].split(",")]
        for table, sql in (("connections", INSERT_CONNECTION), ("resources", INSERT_RESOURCE))
    }
    tables = {"connections": connections, "resources": rows}
    dicts = {table: [dict(zip(names[table], row, strict=True)) for row in tables[table]] for table in tables}
    frames = {table: pd.DataFrame(tables[table], columns=names[table]) for table in tables}

    def by_sqlite_utils(number: int) -> Spent:
        with closing(open_bare(folder / f"utils-{count}-{number}.db")) as bare:
            database = Database(bare)

            def work() -> None:
                for table in tables:
                    database.table(table).insert_all(dicts[table])

            taken = spent(work)
            expect(bare, count)
            return taken

    def by_pandas(number: int) -> Spent:
        with closing(open_bare(folder / f"pandas-{count}-{number}.db")) as bare:

            def work() -> None:
                for table in tables:
                    frames[table].to_sql(table, bare, if_exists="append", index=False)

            taken = spent(work)
            expect(bare, count)
            return taken

    return {"sqlite-utils insert_all": by_sqlite_utils, "pandas to_sql": by_pandas}


def expect(bare: sqlite3.Connection, count: int) -> None:
    """Make sure that all was stored and nothing is left to be committed."""
    stored = bare.execute("SELECT count(*) FROM resources JOIN connections c ON c.id = connection_id")
    if bare.in_transaction or stored.fetchone()[0] != count:
        raise SystemExit(f"a peer did not store its {count} rows")


def measure(folder: Path, count: int, rounds: int) -> list[Figure]:
    """Return the figures for a registry of `count` resources."""
    resources = [make_resource(number) for number in range(count)]
    connections, rows = ready_tuples(resources)

    def bulk_ours(number: int) -> Spent:
        with ResourceDatabase(folder / f"ours-{count}-{number}.db") as db:
            return spent(lambda: db.bulk_insert_resources(resources))

    def bulk_bare(number: int) -> Spent:
        with closing(open_bare(folder / f"bare-{count}-{number}.db")) as bare:

            def work() -> None:
                bare.executemany(INSERT_CONNECTION, connections)
                bare.executemany(INSERT_RESOURCE, rows)
                bare.commit()

            return spent(work)

    others = bulk_by_others(folder, count, connections, rows)
    ours, bare_took, *others_took = in_turns(rounds, bulk_ours, bulk_bare, *others.values())
    figures = [Figure("bulk insert", "executemany of ready tuples", count, ours, bare_took, 2.0)]
    for name, other in zip(others, others_took, strict=True):
        figures.append(Figure("bulk insert", name, count, ours, other, 1.0))

    db = ResourceDatabase(folder / f"ours-{count}-0.db")
    bare_path = folder / f"bare-{count}-0.db"
    bare = sqlite3.connect(bare_path)
    ours, bare_took = in_turns(
        rounds + 2,
        lambda _: spent(db.get_all_resources),
        lambda _: spent(lambda: [decode(row) for row in bare.execute(SELECT)]),
    )
    figures.append(Figure("get_all_resources", "rows, json.loads, same classes", count, ours, bare_took, 1.0))

    ids = [one.resourceID for one in random.Random(3).choices(resources, k=300)]
    by_id = f"{SELECT} WHERE r.resource_id = ?"

    def connect_and_get(resource_id: str) -> Resource:
        with closing(sqlite3.connect(bare_path)) as fresh:
            return decode(fresh.execute(by_id, (resource_id,)).fetchone())

    medians = [
        median_ms(column)
        for column in zip(
            *(
                (
                    spent(lambda: db.get_resource(one)),  # noqa: B023 - called at once
                    spent(lambda: decode(bare.execute(by_id, (one,)).fetchone())),  # noqa: B023
                    spent(lambda: connect_and_get(one)),  # noqa: B023
                )
                for one in ids
            ),
            strict=True,
        )
    ]
    figures.append(Figure("get_resource", "prepared query, decoded", count, medians[0], medians[1], 4.0))
    figures.append(Figure("get_resource", "connection per call", count, medians[0], medians[2], 0.5))

    extra = [make_resource(count + number) for number in range(60)]
    more_connections, more_rows = ready_tuples(extra)

    def insert_ours(number: int) -> Spent:
        return spent(lambda: db.upsert_resource(extra[number]))

    def insert_bare(number: int) -> Spent:
        def work() -> None:
            with closing(sqlite3.connect(bare_path)) as fresh:
                cursor = fresh.execute(INSERT_CONNECTION, (None, *more_connections[number][1:]))
                row = more_rows[number]
                fresh.execute(INSERT_RESOURCE, (*row[:5], cursor.lastrowid, *row[6:]))
                fresh.commit()

        return spent(work)

    bare.close()  # with another one open, the peer would not check the log in at each close
    ours, bare_took = in_turns(len(extra), insert_ours, insert_bare)
    figures.append(Figure("insert one, durable", "connection per call", count, ours, bare_took, 0.7))
    db.close()
    return figures


def as_json(figure: Figure) -> dict[str, Any]:
    """Return a figure for programs."""
    result = figure._asdict() | {"ours": figure.ours._asdict(), "peers": figure.peers._asdict()}
    return result | {"ratio": figure.ratio, "cpu_ratio": figure.cpu_ratio}


def growth(figures: list[Figure]) -> list[Growth]:
    """Return how the times of the largest registry compare with those of the next one, the peers' beside."""
    sizes = sorted({figure.rows for figure in figures})
    if len(sizes) < 2:
        return []
    small, large = sizes[-2:]
    whole = 1.1 * large / small
    found = []
    for operation, goal in (("bulk insert", whole), ("get_all_resources", whole), ("get_resource", 1.3)):
        before, after = (
            next(f for f in figures if (f.operation, f.rows) == (operation, size)) for size in (small, large)
        )
        ours, peers = after.ours.wall / before.ours.wall, after.peers.wall / before.peers.wall
        found.append(Growth(operation, after.peer, small, large, ours, peers, goal))
    return found


def main() -> int:
    """Measure, print, and say by the exit status whether every goal was met."""
    parser = argparse.ArgumentParser(description="The registry against the bare driver.")
    parser.add_argument("--quick", action="store_true", help="a small registry, in under ten seconds")
    parser.add_argument("--rows", type=int, action="append", help="size of the registry; repeatable")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    sizes = options.rows or ([1_000, 5_000] if options.quick else [1_000, 10_000, 100_000])
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        for count in sizes:
            figures += measure(Path(folder), count, 7 if count <= 10_000 else 3)
    grown = growth(figures)
    if options.json:
        found = {
            "figures": [as_json(one) for one in figures],
            "growth": [one._asdict() for one in grown],
        }
        print(json.dumps(found, indent=2))
    else:
        head = f"{'operation':28} {'against':32} {'rows':>7} {'ours ms':>10} {'peer ms':>10}"
        print(f"{head} {'ratio':>7} {'cpu':>6} {'goal':>6}")
        for one in figures:
            mark = "" if one.ratio <= one.goal else "  MISSED"
            print(
                f"{one.operation:28} {one.peer:32} {one.rows:>7} {one.ours.wall:>10.3f}"
                f" {one.peers.wall:>10.3f} {one.ratio:>7.2f} {one.cpu_ratio:>6.2f} {one.goal:>6.1f}{mark}"
            )
        if grown:
            print(f"\n{'growth':28} {'of the peer':32} {'rows':>15} {'ours x':>7} {'peer x':>7} {'goal':>6}")
        for each in grown:
            mark = "" if each.ours <= each.goal else "  MISSED"
            rows = f"{each.small} to {each.large}"
            print(
                f"{each.operation:28} {each.peer:32} {rows:>15} {each.ours:>7.2f} {each.peers:>7.2f}"
                f" {each.goal:>6.1f}{mark}"
            )
    met = all(one.ratio <= one.goal for one in figures) and all(one.ours <= one.goal for one in grown)
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
