"""A reporter on real files with a fake VTN and a clock to turn, for the tests of delivery."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from tests.reporting.samples import at, measured, reportables
from venclient.clock import ManualClock
from venclient.errors import VenError, VtnProblem, VtnUnreachable
from venclient.model.reading import Measure
from venclient.openadr.objects import Event, Report
from venclient.reporting.delivery import Reporter, ReportOptions, StepResult
from venclient.reporting.eventbook import EventBook
from venclient.reporting.outbox import Outbox

#: Each process looks once whether another gateway sends reports of its names.
ONE_LOOK = 1


class Killed(BaseException):
    """Stands for the end of the process."""


@dataclass
class Listed:
    """A listing of reports."""

    items: Sequence[Report]
    complete: bool = True
    refused: Sequence[object] = ()


@dataclass
class FakeVtn:
    """Stores reports; each fault of `faults` befalls one POST, before or after the report is stored."""

    stored: list[Report] = field(default_factory=list)
    faults: list[tuple[str, BaseException] | None] = field(default_factory=list)
    put_faults: list[tuple[str, BaseException] | None] = field(default_factory=list)
    posts: int = 0
    puts: int = 0
    listings: int = 0
    listing_fault: VenError | None = None
    complete: bool = True
    refused: Sequence[object] = ()
    gone: set[str] = field(default_factory=set)
    event_reads: int = 0
    report_status: int | None = None

    async def create_report(self, report: Report) -> Report:
        self.posts += 1
        fault = self.faults.pop(0) if self.faults else None
        if fault and fault[0] == "before":
            raise fault[1]
        if any(one.report_name == report.report_name for one in self.stored):
            raise VtnProblem("exists", status=409)
        kept = replace(report, id=f"R{len(self.stored)}")
        self.stored.append(kept)
        self.report_status = 201
        if fault:
            raise fault[1]
        return kept

    async def has_event(self, event_id: str) -> bool:
        self.event_reads += 1
        return event_id not in self.gone

    async def update_report(self, report_id: str, report: Report) -> Report:
        self.puts += 1
        fault = self.put_faults.pop(0) if self.put_faults else None
        if fault and fault[0] == "before":
            raise fault[1]
        place = next((n for n, one in enumerate(self.stored) if one.id == report_id), None)
        if place is None:
            raise VtnProblem("no such report", status=404)
        self.stored[place] = replace(report, id=report_id)
        self.report_status = 200
        if fault:
            raise fault[1]
        return self.stored[place]

    async def reports(
        self,
        event_id: str | None = None,
        client_name: str | None = None,
        *,
        names: Collection[str] | None = None,
    ) -> Listed:
        self.listings += 1
        if self.listing_fault:
            raise self.listing_fault
        assert client_name == "ven-1"
        return Listed([one for one in self.stored if one.event_id == event_id], self.complete, self.refused)

    def told(self) -> list[list[int]]:
        """Return the interval ids of each stored report, in the order of arrival."""
        return [[interval.id for interval in report.resources[0].intervals] for report in self.stored]


async def steady(
    resource_ids: Sequence[str], grid: Sequence[tuple[datetime, datetime]]
) -> Mapping[tuple[str, datetime, datetime], Measure]:
    """Measure 2 kW of every resource."""
    return {(id_, a, b): measured(id_, a, b, 2.0) for id_ in resource_ids for a, b in grid}


def lost(after: bool = True) -> tuple[str, VenError]:
    """Return an answer that was lost, after or before the VTN stored the report."""
    error = VtnUnreachable("connection cut", subject="POST /reports")
    error.ambiguous = True
    return ("after" if after else "before", error)


class Bench:
    """A reporter with its files, a fake VTN, and a clock that starts an hour before the event."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "state.db"
        self.clock = ManualClock(at(-1))
        self.vtn = FakeVtn()
        self.measure: Any = steady
        self.listed: list[Event] = []
        self.names: tuple[str, ...] = ("hotel",)
        self.options = ReportOptions(client_name="ven-1", settle_s=2.0)
        self._open()

    def _open(self) -> None:
        self.outbox = Outbox(self.path)
        self.book = EventBook(self.path)
        self.reporter = Reporter(
            self.outbox,
            self.book,
            self.vtn,
            self._measured,
            reportables(*self.names),
            self.clock,
            self.options,
            rng=random.Random(1),
        )

    async def _measured(
        self, ids: Sequence[str], grid: Sequence[tuple[datetime, datetime]]
    ) -> Mapping[tuple[str, datetime, datetime], Measure]:
        found: Mapping[tuple[str, datetime, datetime], Measure] = await self.measure(ids, grid)
        return found

    def close(self) -> None:
        self.outbox.close()
        self.book.close()

    def restart(self) -> None:
        """Start again on the same files, without a word to the VTN."""
        self.close()
        self._open()

    def list_events(self, *events: Event, complete: bool = True) -> None:
        self.listed = list(events)
        self.book.apply(self.listed, complete=complete, now=self.clock.now())

    async def run_to(self, hours: float, step_s: float = 900.0) -> StepResult:
        """Step until `hours` after the event's start; return the sum of what happened."""
        total = StepResult()
        while True:
            result = await self.reporter.step()
            for name in ("owed", "sent", "refused", "unmet", "superseded", "lost", "corrected"):
                setattr(total, name, getattr(total, name) + getattr(result, name))
            total.notes += result.notes
            total.held = result.held
            left_s = (at(hours) - self.clock.now()).total_seconds()
            if left_s <= 0:
                return total
            await self.clock.advance(min(step_s, left_s), settle=0)
