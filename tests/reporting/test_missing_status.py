"""A report without any value of a resource does not count as reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.reporting.bench import Bench, steady
from tests.reporting.samples import EACH, at, event, measured
from venclient.messages import readings as rdg
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


QUALITY = {"payloadType": "DATA_QUALITY"}
DEMAND = {"payloadType": "DEMAND"}
BASELINE = {"payloadType": "BASELINE"}


async def states_of(bench: Bench, *descriptors: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the states after each of three hours of an event that asks for these descriptors."""
    bench.names = ("hotel", "bar")
    bench.measure = some_silent
    bench.restart()
    bench.list_events(event(4, *({**EACH, **one} for one in descriptors)))
    states: list[dict[str, str]] = []
    for hours in (1.1, 2.1, 3.1):
        await bench.clock.advance((at(hours) - bench.clock.now()).total_seconds(), settle=0)
        result = await bench.reporter.step()
        states.append({id_: one.state for id_, one in sorted(result.statuses.items())})
    bench.close()
    return states


@pytest.mark.parametrize(
    "descriptors",
    [
        [{}],
        [{}, QUALITY],
        [{}, DEMAND],
        [{}, DEMAND, QUALITY],
        [{"aggregate": True}],
        [{}, {"aggregate": True}],
        [{}, BASELINE],
    ],
    ids=["one", "quality", "two", "two and quality", "sum", "sum beside each", "with a computed one"],
)
async def test_resource_without_a_value_is_missing(
    tmp_path: Path, descriptors: Sequence[Mapping[str, Any]]
) -> None:
    """The state follows the values, also where the report has no part, or only a sum, of the resource."""
    assert await states_of(Bench(tmp_path), *descriptors) == [
        {"r1": "reported", "r2": "missing"},
        {"r1": "reported", "r2": "missing"},
        {"r1": "reported", "r2": "reported"},
    ]


async def test_value_that_may_not_be_sent_is_missing(tmp_path: Path) -> None:
    """A resource whose feed-in is left out has no value."""
    bench = Bench(tmp_path)

    async def fed_in(
        ids: Sequence[str], grid: Sequence[tuple[datetime, datetime]]
    ) -> Mapping[tuple[str, datetime, datetime], Measure]:
        return {(id_, a, b): measured(id_, a, b, -2.0) for id_ in ids for a, b in grid}

    bench.measure = fed_in
    bench.list_events(event(4, EACH))
    await bench.clock.advance(2.1 * 3600, settle=0)
    [status] = (await bench.reporter.step()).statuses.values()
    bench.close()

    assert (status.state, status.detail) == ("missing", rdg.ONLY_MISSING())


async def test_correction_of_the_newest_report_makes_it_reported(tmp_path: Path) -> None:
    """Values that come after the report was sent are values: the state follows the correction."""
    bench = Bench(tmp_path)
    bench.names = ("hotel", "bar")
    bench.measure = some_silent
    bench.restart()
    bench.list_events(event(4, EACH))
    await bench.clock.advance(2.1 * 3600, settle=0)
    before = (await bench.reporter.step()).statuses["r2"].state
    bench.measure = steady
    await bench.reporter.late({"r2": (at(0), at(1))})
    await bench.clock.advance(600, settle=0)
    after = (await bench.reporter.step()).statuses
    bench.close()

    assert before == "missing"
    assert {id_: (one.state, one.last_report_name) for id_, one in after.items()} == {
        "r2": ("reported", bench.vtn.stored[0].report_name)
    }


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
