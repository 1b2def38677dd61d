"""Three days of reports through faults, an outage and 25 kills: each is at the VTN once, with its values."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.three_days import (
    DAYS,
    LATE_FROM,
    LATE_METERS,
    LATE_TO,
    QUARTER,
    RESOURCES,
    SECRET,
    START,
    kwh,
    name,
    readings,
)
from venclient.clock import ManualClock
from venclient.readings.sqlite import SqliteReadings
from venclient.simulation.vtn import Fault, LocalVtn

pytestmark = pytest.mark.peer

KILLS = 25
QUARTERS = DAYS * 96
#: The VTN is down for eight hours of the second day.
DOWN, UP = START + timedelta(hours=37), START + timedelta(hours=45)
#: So long after the end everything has to be there.
AFTER = timedelta(hours=6)


class Gateway:
    """The process of `three_days.py`, at the moment that the parent turns it to."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.kills = 0
        self.at = START

    async def __aenter__(self) -> Gateway:
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.journeys.three_days", str(self.folder), self.url),
            cwd=Path(__file__).resolve().parents[2],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        await self.say(f"start {self.at.isoformat()}")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def say(self, words: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{words}\n".encode())
        await self.process.stdin.drain()

    async def next(self) -> datetime:
        """Wait until it stands at a quarter; a killed one is started again where it was killed."""
        assert self.process.stdout is not None
        while True:
            word, *rest = (await self.process.stdout.readline()).decode().split()
            if word == "at":
                self.at = max(self.at, datetime.fromisoformat(rest[0]))
                return self.at
            assert rest == ["killed"], rest
            self.kills += 1
            # The machine was away for a moment: what was on its way has arrived, or never will.
            await self.say(f"start {(self.at + timedelta(seconds=30)).isoformat()}")


def events(vtn: LocalVtn) -> None:
    """Post an event for each day that asks for a report on every quarter of an hour."""
    program = vtn.add_program({"programName": "three days"})
    for day in range(DAYS):
        vtn.add_event(
            {
                "programID": program["id"],
                "eventName": f"day {day}",
                "intervalPeriod": {
                    "start": (START + timedelta(days=day)).isoformat(),
                    "duration": "PT15M",
                },
                "reportDescriptors": [
                    {
                        "payloadType": "USAGE",
                        "units": "KWH",
                        "startInterval": 0,
                        "numIntervals": 1,
                        "frequency": 1,
                        "repeat": -1,
                    }
                ],
                "intervals": [{"id": n, "payloads": [{"type": "SIMPLE", "values": [0]}]} for n in range(96)],
            },
            object_id=f"day-{day}",
        )


async def stored_readings(folder: Path) -> None:
    """Store all three days' readings, but for those that come late."""
    store = SqliteReadings(folder / "readings.db", ManualClock(START))
    for day in range(DAYS):
        first = START + timedelta(days=day)
        store.add(
            [
                one
                for one in readings(range(RESOURCES), first - QUARTER * (day == 0), first + timedelta(days=1))
                if not (LATE_FROM < one.time <= LATE_TO and one.resource_id in set(map(name, LATE_METERS)))
            ]
        )
        await store.flush()
    await store.close()


def drift(vtn: LocalVtn) -> Callable[[], object]:
    """Return what makes the VTN's listing of events move while its pages are read."""

    def act() -> None:
        program = vtn.programs[0]["id"]
        vtn.add_event({"programID": program, "eventName": f"passing {len(vtn.events)}"})

    return act


def faults(vtn: LocalVtn, rng: random.Random) -> list[Fault]:
    """Return every kind of fault, each to be had once."""
    reports = "/reports"
    return [
        Fault(path=reports, latency_s=0.05),
        Fault(path=reports, status=rng.choice((500, 502, 503, 504))),
        Fault(path=reports, status=429, retry_after_s=rng.choice((1, 30))),
        Fault(method="POST", path=reports, cut="before"),
        Fault(method="POST", path=reports, cut="after"),
        Fault(method="PUT", path=reports, cut=rng.choice(("before", "after"))),
        Fault(method="GET", path=reports, cut="before"),
        Fault(method="GET", path="/events", status=500),
        Fault(method="GET", path="/events", act=drift(vtn)),
        Fault(method="POST", path=reports, act=vtn.expire_tokens),
    ]


@pytest.mark.timeout(600)
async def test_row_61_three_days_of_faults_and_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    """The VTN ends with exactly the reports that are due, each once, with the values that the store gives."""
    rng = random.Random(61)
    await stored_readings(tmp_path)
    clients = [{"id": "ven-1", "secret": SECRET, "role": "ven"}]
    deadly = set(rng.sample(range(QUARTERS), KILLS * 2))
    corrected: list[str] = []

    def hear(operation: str, changed: dict[str, Any]) -> None:
        if operation == "UPDATE" and changed["objectType"] == "REPORT":
            corrected.append(changed["id"])

    async with LocalVtn(clients=clients, on_change=hear) as vtn, Gateway(tmp_path, vtn.url) as gateway:
        events(vtn)
        down = 0
        kinds: list[Fault] = []
        struck: list[Fault] = []
        for quarter in range(QUARTERS * 2):
            at = await gateway.next()
            if at >= START + timedelta(days=DAYS) + AFTER:
                break
            if DOWN <= at < UP:
                down += 1
                await vtn.stop()
            else:
                await vtn.start()
            if at < START + timedelta(days=DAYS) and rng.random() < 0.35:
                kinds = kinds or rng.sample(faults(vtn, rng), 10)
                fault = kinds.pop()
                vtn.faults.append(fault)
                struck.append(fault)
            ends = quarter in deadly and gateway.kills < KILLS
            await gateway.say(f"go {rng.randint(1, 14) if ends else 0}")
        await gateway.say("end")

        assert gateway.kills == KILLS
        assert down >= 30
        assert sum(fault.hits for fault in struck) > 60
        check(vtn.reports)
        late = {LATE_FROM + n * QUARTER for n in range((LATE_TO - LATE_FROM) // QUARTER)}
        by_id = {one["id"]: one for one in vtn.reports}
        assert {started(by_id[id_]) for id_ in corrected} == late
        # The client itself repeats a PUT whose answer was lost: it is the same report either way.
        lost = sum(fault.hits for fault in struck if fault.method == "PUT")
        assert len(corrected) - len(late) <= lost


def check(reports: list[dict[str, Any]]) -> None:
    """Compare what the VTN holds with the expected reports."""
    names = [one["reportName"] for one in reports]
    assert len(names) == len(set(names)), "a report is there twice"
    reported: dict[tuple[str, datetime], float] = {}
    for report in reports:
        start = started(report)
        assert report["eventID"] == f"day-{(start - START).days}"
        for part in report["resources"]:
            (interval,) = part["intervals"]
            values = {one["type"]: one["values"][0] for one in interval["payloads"]}
            key = (part["resourceName"], start)
            assert key not in reported, f"{key} is told twice"
            assert values.keys() == {"USAGE"}, f"{key}: {values}"
            reported[key] = values["USAGE"]
    assert reported == {
        (name(number), START + n * QUARTER): pytest.approx(kwh(number, START + (n + 1) * QUARTER))
        for n in range(QUARTERS)
        for number in range(RESOURCES)
    }


def started(report: dict[str, Any]) -> datetime:
    """Return the start of a report's interval."""
    return datetime.fromisoformat(report["resources"][0]["intervalPeriod"]["start"])
