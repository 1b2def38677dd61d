"""What reports cost: made, planned, drained and delivered, each against the least that it could.

    python benchmarks/reporting.py [--quick] [--folder DIR] [--only NAME ...]

Ratios carry over to other machines, the figures themselves do not. Rows: build, plan, parse, drain,
deliver. Parsing is also compared with openadr3-client and openadr3 where they are installed.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import apsw

from benchmarks._reporting_ways import (
    QUARTER,
    SHAPES,
    START,
    ask,
    deliver,
    drain,
    event,
    known,
    no_report,
)
from venclient.clock import ManualClock
from venclient.model.reading import ENERGY_KWH, Reading
from venclient.openadr.codec import CODEC_31
from venclient.openadr.objects import Event
from venclient.readings.layout import SERIES_BITS
from venclient.readings.measures import measures
from venclient.readings.series import to_ms
from venclient.readings.sqlite import SqliteReadings
from venclient.reporting.builder import build_report
from venclient.reporting.eventbook import EventBook
from venclient.reporting.means import ReportOptions
from venclient.reporting.needs import gathered
from venclient.reporting.obligations import owed
from venclient.reporting.outbox import Outbox
from venclient.reporting.planner import Planner, Round
from venclient.reporting.targets import Reportable

P = ParamSpec("P")
T = TypeVar("T")

BUILD_GOAL = 3.0
PARSE_GOAL = 1.5
TICK_GOAL = 0.01
DRAIN_GOAL_MIB = 32.0
DELIVER_GOAL = 1.5

#: Meters report their register once a minute.
POLL = timedelta(minutes=1)


def best(work: Callable[[], object], rounds: int) -> float:
    """Return the least seconds of processor time that some work takes."""
    taken = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return min(taken)


# ---- build


async def build(folder: Path, resources: int, rounds: int) -> tuple[float, float, float]:
    """Return the seconds of json.dumps and bare SQL, of building the report, and of measuring within that."""
    names = [f"meter-{number:05}" for number in range(resources)]
    store = SqliteReadings(folder / "build.db", ManualClock(START + 4 * QUARTER), retention_days=400)
    begin, end = START - QUARTER, START + 2 * QUARTER
    for poll in range(int((end - begin) / POLL)):
        moment = begin + poll * POLL
        store.add([Reading(name, ENERGY_KWH, 1000 + n + poll / 60, moment) for n, name in enumerate(names)])
        await store.flush()
    (obligation,) = owed(
        known(event("E1", 1)), anchor=START, first_seen=START, after=None, until=START + QUARTER
    )
    reportables = [Reportable(name, name) for name in names]
    options = ReportOptions(client_name="ven")
    spent = [0.0]

    async def measure(ids: Sequence[str], grid: Sequence[tuple[datetime, datetime]]) -> Any:
        begun = time.process_time()
        found = await measures(store, ids, grid)
        spent[0] += time.process_time() - begun
        return found

    body = b""
    ours, measuring = [], []
    for _ in range(rounds):
        gc.collect()
        spent[0], begun = 0.0, time.process_time()
        found = await gathered(measure, obligation, reportables, options)
        built = build_report(obligation, reportables, found, options)
        body = CODEC_31.report_request(built.report or no_report())
        ours.append(time.process_time() - begun)
        measuring.append(spent[0])
    ready = json.loads(body)
    assert len(ready["resources"]) == resources
    connection = apsw.Connection(str(folder / "build.db"), flags=apsw.SQLITE_OPEN_READONLY)
    low, high = to_ms(begin) << SERIES_BITS, to_ms(end) << SERIES_BITS

    def bare() -> None:
        # The series are found by their keys, which sort by time: all that a bare program would do.
        connection.execute("SELECT k, v, q FROM reading WHERE k >= ? AND k < ?", (low, high)).fetchall()
        json.dumps(ready)

    least = best(bare, rounds)
    connection.close()
    await store.close()
    return least, min(ours), min(measuring)


# ---- plan


def plan(folder: Path, events: int) -> tuple[float, float]:
    """Return the seconds of a tick with nothing due, with many events and with a hundredth of them."""
    ticks = []
    for count in (events, events // 100):
        path = folder / f"plan-{count}.db"
        outbox, book = Outbox(path), EventBook(path)
        book.apply([known(event(f"E{n}", 96)) for n in range(count)], complete=True, now=START)
        planner = Planner(outbox, book, client_name="ven")
        moment = START + timedelta(seconds=1)

        def tick() -> None:
            for changes in planner.steps(Round(), moment, moment):  # noqa: B023
                outbox.apply(changes or ())  # noqa: B023
            planner.next_due()  # noqa: B023

        tick()
        ticks.append(best(tick, 200))
        outbox.close()
        book.close()
    return ticks[0], ticks[1]


# ---- parse


def parse(events: int, rounds: int) -> tuple[float, float, dict[str, float]]:
    """Return the seconds of json.loads and of our reading of a listing, and those of other libraries."""
    raw = [event(f"E{n}", 48, duration="PT1H") for n in range(events)]
    body = json.dumps(raw).encode()
    gc.collect()
    gc.disable()
    try:
        least = best(lambda: json.loads(body), rounds)
        ours = best(lambda: CODEC_31.decode_list(Event, body), rounds)
        assert len(CODEC_31.decode_list(Event, body).items) == events
        others = {}
        for name, reading in _others():
            try:
                others[name] = best(lambda: reading(body), 1)  # noqa: B023
            except Exception as error:  # noqa: BLE001  another library may refuse what the standard allows
                print(f"  {name} cannot read the listing: {type(error).__name__}: {str(error)[:200]}")
    finally:
        gc.enable()
    return least, ours, others


def _others() -> list[tuple[str, Callable[[bytes], object]]]:
    found: list[tuple[str, Callable[[bytes], object]]] = []
    try:
        module: Any = importlib.import_module("openadr3_client._models.event.event")
        adapter = importlib.import_module("pydantic").TypeAdapter(list[module.ExistingEvent])
    except (ImportError, AttributeError):
        pass
    else:
        found.append(("openadr3-client", adapter.validate_json))
    try:
        coerce = importlib.import_module("openadr3.entities").coerce
    except (ImportError, AttributeError):
        pass
    else:
        found.append(("openadr3", lambda body: [coerce(one) for one in json.loads(body)]))
    return found


def tell_build(folder: Path, quick: bool) -> list[str]:
    """Print what building a report takes, and give the goals that are missed."""
    count = 5000 if quick else 10_000
    least, ours, measuring = asyncio.run(build(folder, count, 3))
    print(f"one 15-minute report of {count} resources, register read once a minute, processor time")
    print(f"  json.dumps and bare SQL {1000 * least:8.0f} ms")
    print(f"  ours                    {1000 * ours:8.0f} ms  {ours / least:5.2f} x  ", end="")
    print(f"(measuring {1000 * measuring:.0f} ms, the report {1000 * (ours - measuring):.0f} ms)")
    return ["building a report"] if ours > BUILD_GOAL * least else []


def tell_plan(folder: Path, quick: bool) -> list[str]:
    """Print what a tick with nothing due takes, and give the goals that are missed."""
    count = 200 if quick else 1000
    many, few = plan(folder, count)
    print(f"tick with nothing due, {count} events: {1e6 * many:.0f} us", end="")
    print(f", {100 * many:.4f} % of a core at 1 Hz; with {count // 100} events {1e6 * few:.0f} us")
    return ["tick with nothing due"] if many > TICK_GOAL else []


def tell_parse(_folder: Path, quick: bool) -> list[str]:
    """Print what reading a listing takes, and give the goals that are missed."""
    count = 500 if quick else 5000
    least, ours, others = parse(count, 3)
    print(f"listing of {count} events of 48 intervals, processor time")
    print(f"  json.loads      {1000 * least:8.0f} ms")
    print(f"  ours            {1000 * ours:8.0f} ms  {ours / least:5.2f} x")
    for name, seconds in others.items():
        print(f"  {name:15} {1000 * seconds:8.0f} ms  {seconds / ours:5.1f} x ours")
    missed = [f"parsing faster than {name}" for name, seconds in others.items() if seconds < ours]
    return missed + (["parsing"] if ours > PARSE_GOAL * least else [])


def tell_drain(folder: Path, quick: bool) -> list[str]:
    """Print how memory grows while a backlog is drained, and give the goals that are missed."""
    count = 10_000 if quick else 100_000
    missed = []
    for number, shape in enumerate(SHAPES):
        place = folder / f"drain-{number}"
        place.mkdir()
        mib, reports = _alone(_drained, place, shape, count)
        print(f"draining {count} due intervals, {shape} ({reports}): +{mib:.1f} MiB")
        missed += [f"memory while draining, {shape}"] if mib > DRAIN_GOAL_MIB else []
    mib = _alone(_asked, count)
    print(f"looking for a report of unknown fate among {count}: +{mib:.1f} MiB")
    return missed + (["memory while looking for a report"] if mib > DRAIN_GOAL_MIB else [])


def _drained(folder: Path, shape: str, intervals: int) -> tuple[float, int]:
    return asyncio.run(drain(folder, shape, intervals))


def _asked(reports: int) -> float:
    return asyncio.run(ask(reports))


def _alone(work: Callable[P, T], *given: P.args, **_: P.kwargs) -> T:
    """Do work in a separate process, whose memory nothing before it has grown."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(partial(work, *given)).result()


def tell_deliver(folder: Path, quick: bool) -> list[str]:
    """Print what delivery takes, and give the goals that are missed."""
    count = 100 if quick else 1000
    least, ours = asyncio.run(deliver(folder, count, 10, 3 if quick else 5))
    print(f"delivering {count} reports to the local VTN, one after the other")
    print(f"  bare posts {least:6.2f} s")
    print(f"  ours       {ours:6.2f} s  {ours / least:5.2f} x")
    return ["delivery"] if ours > DELIVER_GOAL * least else []


ROWS: Mapping[str, Callable[[Path, bool], list[str]]] = {
    "build": tell_build,
    "plan": tell_plan,
    "parse": tell_parse,
    "drain": tell_drain,
    "deliver": tell_deliver,
}


def main() -> int:
    """Print the figures; status 1 when a goal is missed."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="smaller, some 15 s")
    options.add_argument("--folder", type=Path, help="where to write; must be on a disk")
    options.add_argument("--only", nargs="+", default=list(ROWS), choices=list(ROWS))
    given = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="reporting-", dir=given.folder))
    try:
        missed = [one for name in given.only for one in ROWS[name](folder, given.quick)]
    finally:
        shutil.rmtree(folder)
    for name in missed:
        print(f"goal missed: {name}")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
