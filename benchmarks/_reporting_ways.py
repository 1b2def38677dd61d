"""The parts of benchmarks/reporting.py in which reports go somewhere: a backlog drained, a VTN served."""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2

from venclient.client import VenClient, VtnAccount
from venclient.clock import ManualClock, SystemClock
from venclient.model.reading import Measure, Quality
from venclient.openadr.codec import CODEC_31
from venclient.openadr.objects import Event, Report
from venclient.reporting.builder import build_report
from venclient.reporting.delivery import Reporter
from venclient.reporting.eventbook import EventBook
from venclient.reporting.means import ReportOptions
from venclient.reporting.needs import gathered
from venclient.reporting.obligations import owed
from venclient.reporting.outbox import Outbox
from venclient.reporting.targets import Reportable
from venclient.simulation.vtn import LocalVtn

START = datetime(2026, 3, 2, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
EACH = {"payloadType": "USAGE", "startInterval": 0, "numIntervals": 1, "frequency": 1, "repeat": -1}


def event(id_: str, count: int, *, start: datetime = START, duration: str = "PT15M") -> dict[str, Any]:
    """Return an event that asks for the usage of each of its intervals, as a VTN sends it."""
    return {
        "id": id_,
        "objectType": "EVENT",
        "createdDateTime": "2026-03-01T10:00:00Z",
        "modificationDateTime": "2026-03-01T10:00:00Z",
        "programID": "P1",
        "eventName": f"day-ahead {id_}",
        "priority": 1,
        "intervalPeriod": {"start": start.strftime("%Y-%m-%dT%H:%M:%SZ"), "duration": duration},
        "payloadDescriptors": [
            {
                "objectType": "EVENT_PAYLOAD_DESCRIPTOR",
                "payloadType": "PRICE",
                "units": "KWH",
                "currency": "EUR",
            }
        ],
        "reportDescriptors": [EACH],
        "intervals": [
            {"id": n, "payloads": [{"type": "PRICE", "values": [0.17 + n / 1000]}]} for n in range(count)
        ],
    }


def known(raw: Mapping[str, Any]) -> Event:
    """Return an event as the gateway knows it."""
    return CODEC_31.decode(Event, raw)


# ---- drain


class Sink:
    """A VTN that takes everything and keeps nothing."""

    def __init__(self) -> None:
        self.taken = 0
        self.report_status: int | None = None

    async def create_report(self, report: Report) -> Report:
        self.taken += 1
        return report

    async def update_report(self, report_id: str, report: Report) -> Report:
        return report

    async def has_event(self, event_id: str) -> bool:
        """Return True: the sink keeps all events."""
        return bool(event_id)

    async def reports(
        self, event_id: str | None = None, client_name: str | None = None, *, names: object = None
    ) -> Any:
        raise AssertionError("nothing is of unknown fate here")


async def steady(
    ids: Sequence[str], grid: Sequence[tuple[datetime, datetime]]
) -> Mapping[tuple[str, datetime, datetime], Measure]:
    """Measure one kW of everything."""
    return {
        (id_, a, b): Measure(
            resource_id=id_,
            start=a,
            end=b,
            energy_kwh=(b - a) / timedelta(hours=1),
            mean_kw=1.0,
            peak_kw=1.0,
            coverage=1.0,
            source="power",
            quality=Quality.GOOD,
        )
        for id_ in ids
        for a, b in grid
    }


def resident_kib() -> int:
    """Return the memory that this process holds now, in KiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise SystemExit("/proc/self/status has no VmRSS: this needs Linux")


#: What a backlog is due as: descriptors, and how many resources they are about.
SHAPES: Mapping[str, tuple[list[dict[str, Any]], int]] = {
    "large reports in parts": (
        [
            {"payloadType": "USAGE"},
            {**EACH, "payloadType": "DEMAND", "numIntervals": 96, "frequency": 96},
        ],
        10,
    ),
    "reports of ten intervals": ([{**EACH, "numIntervals": 10, "frequency": 10}], 1),
    "reports of one interval": ([EACH], 1),
}


async def drain(folder: Path, shape: str, intervals: int) -> tuple[float, int]:
    """Return by how many MiB memory grows at most while a backlog is drained, and the number of reports.

    The backlog is one event's whole past: `intervals`, those of several resources counted each.
    """
    descriptors, count = SHAPES[shape]
    path = folder / "drain.db"
    outbox, book, vtn = Outbox(path), EventBook(path), Sink()
    clock = ManualClock(START - QUARTER)
    resources = [Reportable(f"r{n}", f"n{n}") for n in range(count)]
    options = ReportOptions(client_name="ven", batch=200, most_values=5000)
    reporter = Reporter(outbox, book, vtn, steady, resources, clock, options)
    some = intervals // count
    whole = event("E1", some) | {"reportDescriptors": descriptors}
    book.apply([known(whole)], complete=True, now=clock.now())
    await reporter.step()
    gc.collect()
    before = most = resident_kib()
    clock.step((some * QUARTER + 2 * QUARTER).total_seconds())
    idle = 0
    while idle < 2:
        result = await reporter.step()
        idle = 0 if result.sent or result.owed else idle + 1
        most = max(most, resident_kib())
    outbox.close()
    book.close()
    return (most - before) / 1024, vtn.taken


async def ask(reports: int) -> float:
    """Return by how many MiB memory grows while one report is looked for among very many of an event's."""
    part = {
        "resourceName": "n0",
        "intervalPeriod": {"start": "2026-03-02T00:00:00Z", "duration": "PT15M"},
        "intervals": [{"id": n, "payloads": [{"type": "USAGE", "values": [1.5]}]} for n in range(10)],
    }
    most = 0

    def answer(request: httpx2.Request) -> httpx2.Response:
        nonlocal most
        most = max(most, resident_kib())
        skip, limit = (int(request.url.params[name]) for name in ("skip", "limit"))
        listed = [
            {
                "id": f"report-{number:032}",
                "objectType": "REPORT",
                "createdDateTime": "2026-03-03T00:00:00Z",
                "modificationDateTime": "2026-03-03T00:00:00Z",
                "eventID": "E1",
                "clientName": "ven",
                "reportName": f"E1-{number:024}",
                "resources": [part],
            }
            for number in range(skip, min(skip + limit, reports))
        ]
        return httpx2.Response(200, json=listed)

    account = VtnAccount(url="http://127.0.0.1:9", version="3.1", allow_http=True)
    async with VenClient(account, SystemClock(), transport=httpx2.MockTransport(answer)) as client:
        await client.reports("E0", "ven", names=set())
        gc.collect()
        before, most = resident_kib(), 0
        wanted = f"E1-{reports // 2:024}"
        found = await client.reports("E1", "ven", names={wanted})
        assert found.complete
        assert wanted in [one.report_name for one in found.items]
        return (max(most, resident_kib()) - before) / 1024


# ---- deliver


async def deliver(folder: Path, reports: int, resources: int, rounds: int) -> tuple[float, float]:
    """Return the seconds of bare posts of report bodies to the local VTN, and of delivery from the outbox.

    Both post one after the other, as order asks for; bare posts have bodies that are made already, delivery
    makes them of pending rows, and has each row's fate on the card. The best of rounds that take turns.
    """
    bare, ours = [], []
    for round_ in range(rounds):
        bare.append(await _bare_posts(reports, resources))
        ours.append(await _delivered(folder / f"deliver-{round_}.db", reports, resources))
    return min(bare), min(ours)


def _seed(reports: int) -> dict[str, Any]:
    raw = event("E1", reports)
    return {
        "programs": [{"id": "P1", "programName": "p"}],
        "events": [
            {
                name: value
                for name, value in raw.items()
                if name not in ("createdDateTime", "modificationDateTime", "objectType")
            }
        ],
    }


async def _bare_posts(reports: int, resources: int) -> float:
    names = [Reportable(f"r{n}", f"n{n}") for n in range(resources)]
    options = ReportOptions(client_name="ven")
    obligations = owed(
        known(event("E1", reports)),
        anchor=START,
        first_seen=START,
        after=None,
        until=START + reports * QUARTER,
    )
    async with LocalVtn(anonymous=True, seed=_seed(reports)) as vtn:
        bodies = []
        for one in obligations:
            report = build_report(one, names, await gathered(steady, one, names, options), options).report
            bodies.append(CODEC_31.report_request(report or no_report()))
        async with httpx2.AsyncClient(base_url=vtn.url) as client:
            begun = time.perf_counter()
            for body in bodies:
                answer = await client.post(
                    f"{vtn.url}/reports", content=body, headers={"Content-Type": "application/json"}
                )
                assert answer.status_code == 201, answer.text
            return time.perf_counter() - begun


async def _delivered(path: Path, reports: int, resources: int) -> float:
    names = [Reportable(f"r{n}", f"n{n}") for n in range(resources)]
    outbox, book = Outbox(path), EventBook(path)
    clock = ManualClock(START - QUARTER)
    book.apply([known(event("E1", reports))], complete=True, now=clock.now())
    async with LocalVtn(anonymous=True, seed=_seed(reports)) as vtn:
        account = VtnAccount(url=vtn.url, allow_http=True)
        async with VenClient(account, SystemClock()) as client:
            reporter = Reporter(
                outbox, book, client, steady, names, clock, ReportOptions(client_name="ven", batch=200)
            )
            await reporter.step()
            # Without resources it plans, and sends nothing yet.
            reporter.resources = []
            clock.step((reports * QUARTER + 2 * QUARTER).total_seconds())
            while outbox.counts()["owed"] < reports:
                await reporter.step()
            reporter.resources = names
            sent = 0
            begun = time.perf_counter()
            while sent < reports:
                result = await reporter.step()
                assert not result.refused, result
                assert not result.held, result
                sent += result.sent
            taken = time.perf_counter() - begun
    outbox.close()
    book.close()
    return taken


def no_report() -> Report:
    """Stand where there must be a report."""
    raise AssertionError("there is a report")
