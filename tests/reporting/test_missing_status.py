"""A report without any value of a resource does not count as reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from tests.reporting.bench import Bench
from tests.reporting.samples import EACH, at, event, measured
from venclient.model.reading import Measure
from venclient.model.reporting import ReportingStatus
from venclient.registry.database import ResourceDatabase
from venclient.status_board import StatusBoard


async def some_silent(
    resource_ids: Sequence[str], grid: Sequence[tuple[datetime, datetime]]
) -> Mapping[tuple[str, datetime, datetime], Measure]:
    """Measure the hotel (r1), and nothing of the bar (r2) until two hours have passed."""
    return {
        (id_, a, b): measured(id_, a, b, 2.0)
        if id_ == "r1" or a >= at(2)
        else Measure(resource_id=id_, start=a, end=b)
        for id_ in resource_ids
        for a, b in grid
    }


async def test_resource_that_is_reported_as_missing_has_that_state(tmp_path: Path) -> None:
    """The state distinguishes values from DATA_QUALITY MISSING, and changes with the next value."""
    bench = Bench(tmp_path)
    bench.names = ("hotel", "bar")
    bench.measure = some_silent
    bench.restart()
    quality = {"payloadType": "DATA_QUALITY"}
    bench.list_events(event(4, EACH, EACH | quality))
    states: list[dict[str, str]] = []
    for hours in (1.1, 2.1, 3.1):
        await bench.clock.advance((at(hours) - bench.clock.now()).total_seconds(), settle=0)
        result = await bench.reporter.step()
        states.append({id_: one.state for id_, one in sorted(result.statuses.items())})
    bench.close()

    assert states == [
        {"r2": "missing", "r1": "reported"},
        {"r2": "missing", "r1": "reported"},
        {"r2": "reported", "r1": "reported"},
    ]


def test_missing_is_worse_than_reported_at_another_vtn() -> None:
    """With two VTNs the worse state is shown."""
    board = StatusBoard(["", "operator"])
    board.joined("", [ReportingStatus(resource_id="a", state="missing", detail="no value")])
    [joined] = board.joined("operator", [ReportingStatus(resource_id="a", state="reported")])

    assert (joined.state, joined.detail) == ("missing", "the first VTN: no value")


def test_registry_keeps_the_state(tmp_path: Path) -> None:
    """It is one of the states that the registry knows."""
    with ResourceDatabase(str(tmp_path / "r.db")) as registry:
        registry.set_reporting_status([ReportingStatus(resource_id="unknown", state="missing")])
