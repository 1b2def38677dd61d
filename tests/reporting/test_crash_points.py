"""The process ends at any point of the outbox's code; each report is at the VTN once (rows 60, 61, 63)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.reporting.bench import Bench, Killed, lost
from tests.reporting.samples import EACH, at, event, measured
from venclient.errors import VtnProblem
from venclient.model.reading import Measure
from venclient.reporting.delivery import ReportOptions
from venclient.reporting.differences import Key, Said, said_by
from venclient.reporting.outbox import Outbox
from venclient.reporting.sent import SentView, report_of

pytestmark = pytest.mark.disk

#: The number of tests that share the points, and run in parallel.
SHARES = 4


class Points:
    """Counts the points that the code passes, and ends the process at one of them."""

    def __init__(self, deadly: int | None = None) -> None:
        self.passed: list[str] = []
        self.deadly = deadly

    def __call__(self, name: str) -> None:
        self.passed.append(name)
        if len(self.passed) - 1 == self.deadly:
            raise Killed(name)


def fault_points(monkeypatch: pytest.MonkeyPatch, bench: Bench, points: Points) -> None:
    """Put a point before and after each commit and each request."""
    change, commit, begin = Outbox.change, Outbox.commit, Outbox.begin
    depth = 0

    @contextmanager
    def pointed_change(self: Outbox) -> Iterator[None]:
        nonlocal depth
        with change(self):
            depth += 1
            try:
                yield
            finally:
                depth -= 1
            if depth == 0:
                points("before a commit")
        if depth == 0:
            points("after a commit")

    def pointed_begin(self: Outbox) -> None:
        nonlocal depth
        begin(self)
        depth += 1

    def pointed_commit(self: Outbox) -> None:
        nonlocal depth
        depth = 0
        points("before planning is committed")
        commit(self)
        points("after planning is committed")

    monkeypatch.setattr(Outbox, "change", pointed_change)
    monkeypatch.setattr(Outbox, "begin", pointed_begin)
    monkeypatch.setattr(Outbox, "commit", pointed_commit)
    for name in ("create_report", "update_report", "reports"):
        monkeypatch.setattr(bench.vtn, name, pointed(getattr(bench.vtn, name), name, points))


def pointed(call: Callable[..., Any], name: str, points: Points) -> Callable[..., Any]:
    """Return a request with a point on either side of the VTN's work."""

    async def request(*args: Any, **members: Any) -> Any:
        points(f"before {name}")
        answer = await call(*args, **members)
        points(f"after {name}")
        return answer

    return request


class Journey:
    """Four hours in parts, with a lost answer, a busy VTN, and a reading that comes late."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench(folder)
        self.bench.options = ReportOptions(client_name="ven-1", settle_s=2.0, most_values=2)
        self.bench.names = ("hotel", "school", "pool")
        self.bench.restart()
        self.bench.list_events(event(4, EACH))
        self.bench.vtn.faults = [None, lost(after=True), None, lost(after=False), None]
        self.bench.vtn.faults += [("before", VtnProblem("busy", status=503))]
        self.bench.vtn.put_faults = [lost(after=True)]
        self.kw = 2.0
        self.late_noted = False
        self.bench.measure = self.measure

    async def measure(
        self, ids: Sequence[str], grid: Sequence[tuple[datetime, datetime]]
    ) -> Mapping[tuple[str, datetime, datetime], Measure]:
        return {
            (id_, a, b): measured(id_, a, b, self.kw if (id_, a) == ("r3", at(1)) else 1.0)
            for id_ in ids
            for a, b in grid
        }

    async def go(self, restart: bool) -> None:
        """Go through all of it; after a kill the next process goes on where it was."""
        hour = 1.0
        while hour <= 8:
            try:
                await self.bench.run_to(hour, step_s=1800)
                if hour >= 5 and not self.late_noted:
                    # As the gateway does it: noted, then stored, then acknowledged.
                    await self.bench.reporter.late({"r3": (at(1.2), at(1.4))})
                    self.kw, self.late_noted = 5.0, True
                hour += 0.5
            except Killed:
                assert restart
                self.bench.restart()
                self.bench.list_events(*self.bench.listed)

    def told(self) -> dict[str, list[float]]:
        """Return what the VTN holds, by report: the values in order; each name must be there once."""
        names = [str(one.report_name) for one in self.bench.vtn.stored]
        assert len(names) == len(set(names))
        return {
            str(one.report_name): [
                float(interval.payloads[0].values[0])  # type: ignore[arg-type]
                for part in one.resources
                for interval in part.intervals
            ]
            for one in self.bench.vtn.stored
        }

    def held(self) -> dict[str, dict[Key, Said]]:
        """Return the values of each report at the VTN."""
        return {str(one.report_name): said_by(one) for one in self.bench.vtn.stored}

    def kept(self) -> dict[str, dict[Key, Said]]:
        """Return the same of what is kept as evidence."""
        view = SentView(self.bench.outbox.view.db)
        return {one.key: said_by(report_of(one)) for one in view.held()}


@pytest.mark.parametrize("share", range(SHARES))
async def test_row_61_kill_at_any_point_of_the_outbox_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: int
) -> None:
    """Whichever commit or request the process ends at, the VTN ends with the same reports, each once."""
    whole = Journey(tmp_path / "whole")
    points = Points()
    with monkeypatch.context() as patch:
        fault_points(patch, whole.bench, points)
        await whole.go(restart=False)
    expected = whole.told()
    whole.bench.close()
    assert len(expected) == 8
    assert sorted(value for values in expected.values() for value in values) == [1.0] * 11 + [5.0]
    assert whole.bench.vtn.puts == 1

    for deadly in range(share, len(points.passed), SHARES):
        journey = Journey(tmp_path / str(deadly))
        with monkeypatch.context() as patch:
            fault_points(patch, journey.bench, Points(deadly))
            await journey.go(restart=True)
        assert expected == journey.told(), points.passed[deadly]
        counts = journey.bench.outbox.counts()
        assert {state: n for state, n in counts.items() if n} == {"sent": 8}, points.passed[deadly]
        rows = journey.bench.outbox.of_event("E1")
        assert sum(row.corrections for row in rows) == 1, points.passed[deadly]
        assert journey.kept() == journey.held(), points.passed[deadly]
        journey.bench.close()
