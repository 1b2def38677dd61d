"""Reports of an event that has gone, and of a gateway whose state file is new (rows 46, 60)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.reporting.bench import Bench, lost
from tests.reporting.samples import EACH, event
from venclient.errors import VtnProblem, VtnUnreachable
from venclient.openadr.objects import Report


def refusals(status: int, count: int = 1000) -> list[tuple[str, BaseException] | None]:
    """Return refusals of that status for `count` reports."""
    return [("before", VtnProblem("bad report", status=status))] * count


def states(bench: Bench) -> list[str]:
    """Return the states of all reports, by due time."""
    return [row.state for row in bench.outbox.of_event("E1")]


def sent(bench: Bench) -> list[list[int]]:
    """Return the interval ids of each report that the VTN has."""
    return [[one.id for one in report.resources[0].intervals] for report in bench.vtn.stored]


@pytest.mark.parametrize("status", [400, 409, 410, 422])
async def test_a_report_that_is_refused_while_its_event_is_away_waits_and_is_then_sent(
    bench: Bench, status: int
) -> None:
    """One look at the event decides: it may return, and the report with it; others are sent meanwhile."""
    bench.list_events(event(4, EACH), event(1, EACH, id_="E2"))
    bench.vtn.gone = {"E1"}
    bench.vtn.faults = refusals(status, 1)
    result = await bench.run_to(1.001)
    assert (result.refused, result.not_found or bench.vtn.event_reads) == (0, 1)
    assert [report.event_id for report in bench.vtn.stored] == ["E2"]

    bench.vtn.gone = set()
    await bench.run_to(1.5)
    assert states(bench) == ["sent"]


@pytest.mark.parametrize("listed", [True, False])
async def test_a_report_whose_event_does_not_return_is_superseded(bench: Bench, listed: bool) -> None:
    """Whether the VTN lists the event or not: what it no longer has is not a refusal of the report."""
    bench.vtn.gone = {"E1"}
    bench.vtn.faults = refusals(400)
    refused = 0
    for minutes in range(58, 80):
        refused += (await bench.run_to(minutes / 60)).refused
        bench.list_events(*([event(4, EACH)] if listed or minutes < 65 else []))
    await bench.run_to(1.5)

    assert refused == 0
    assert states(bench) == ["superseded"]


async def test_a_refusal_of_a_report_on_an_event_that_is_there_stays_one(bench: Bench) -> None:
    """The event is looked at once; what the VTN then says of the report counts."""
    bench.vtn.faults = refusals(422, 1)
    await bench.run_to(1.5)

    assert (states(bench), bench.vtn.event_reads) == (["refused"], 1)


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Bench]:
    """Return a bench with an empty state file."""
    (tmp_path / "second").mkdir()
    one = Bench(tmp_path / "second")
    yield one
    one.close()


async def replaced(bench: Bench, second: Bench) -> None:
    """Let the second take the place of the first, at its VTN and at its time."""
    second.vtn = bench.vtn
    second.clock = bench.clock
    second.restart()
    second.list_events(event(4, EACH))


async def test_a_gateway_with_an_empty_state_file_sends_no_report_again(bench: Bench, second: Bench) -> None:
    """The VTN is asked for the names of what was due before; what it has is not sent a second time."""
    await bench.run_to(2.5)
    await replaced(bench, second)
    await second.run_to(4.5)

    assert sent(bench) == [[0], [1], [2], [3]]
    assert bench.vtn.posts == 4
    assert [row.report_id for row in second.outbox.of_event("E1")] == ["R1", "R2", "R3"]


async def test_an_old_state_file_sends_no_report_again(bench: Bench, second: Bench) -> None:
    """Neither does one that was restored from a copy: all that was due before the start is asked for."""
    second.vtn, second.clock = bench.vtn, bench.clock
    second.restart()
    second.list_events(event(4, EACH))
    await bench.run_to(3.5)
    await replaced(bench, second)
    await second.run_to(4.5)

    assert sent(bench) == [[0], [1], [2], [3]]
    assert bench.vtn.posts == 4


@pytest.mark.parametrize(
    ("fault", "posts"),
    [(VtnProblem("no list for you", status=403), 1), (VtnUnreachable("down"), 0)],
)
async def test_a_vtn_that_cannot_list_reports_holds_up_only_while_it_is_away(
    bench: Bench, fault: VtnProblem, posts: int
) -> None:
    """What this process has not sent is sent where the VTN refuses to say whether it has it."""
    bench.list_events()
    await bench.run_to(1.2)
    bench.vtn.listing_fault = fault
    bench.list_events(event(4, EACH))
    await bench.run_to(1.3)
    assert bench.vtn.posts == posts
    bench.vtn.listing_fault = None
    await bench.run_to(1.6)
    assert bench.vtn.posts == 1


@pytest.mark.parametrize("early", [True, False])
async def test_another_gateway_under_the_same_ven_is_named_once(
    bench: Bench, second: Bench, early: bool
) -> None:
    """Reports made while this process runs are not those of an earlier installation."""
    await bench.run_to(2.5)
    made = "2025-12-31T22:00:00Z" if early else "2026-01-01T03:00:00Z"
    bench.vtn.stored = [replace(one, created_date_time=made) for one in bench.vtn.stored]
    await replaced(bench, second)
    result = await second.run_to(4.5)

    assert sum("VEN-REP-122" in note for note in result.notes) == (not early)


@pytest.mark.parametrize("other", ["2026-01-01T00:30:00Z", "2025-12-31T22:00:00Z", None])
async def test_a_second_report_of_our_name_is_that_of_another_gateway(
    bench: Bench, other: str | None
) -> None:
    """A VTN that takes a name twice does not refuse ours: it is looked at once who else has sent it."""
    await bench.run_to(1.1)
    (ours,) = bench.vtn.stored
    listings = bench.vtn.listings
    bench.vtn.stored.append(replace(ours, id="theirs", created_date_time=other))
    result = await bench.run_to(4.5)

    assert bench.vtn.posts == 4
    assert bench.vtn.listings == listings + 1
    recent = other is not None and other.startswith("2026")
    assert sum("VEN-REP-122" in note for note in result.notes) == recent


async def test_a_vtn_that_lists_no_reports_is_not_asked_for_another_gateway_again(bench: Bench) -> None:
    """What cannot be looked at holds up nothing."""
    await bench.run_to(1.1)
    listings = bench.vtn.listings
    bench.vtn.listing_fault = VtnProblem("no list for you", status=403)
    result = await bench.run_to(4.5)

    assert (bench.vtn.posts, bench.vtn.listings) == (4, listings + 1)
    assert not result.notes


async def test_our_own_report_whose_answer_was_lost_is_not_taken_for_that_of_another(bench: Bench) -> None:
    """After a lost answer the VTN has our report, made while we run: it is ours."""
    create = bench.vtn.create_report

    async def stamped(report: Report) -> Report:
        bench.vtn.faults = [lost(after=True)] if not bench.vtn.stored else []
        try:
            return await create(report)
        finally:
            bench.vtn.stored = [
                replace(one, created_date_time="2026-01-01T02:00:00Z") for one in bench.vtn.stored
            ]

    bench.vtn.create_report = stamped  # type: ignore[method-assign]
    result = await bench.run_to(2.5)

    assert sent(bench) == [[0], [1]]
    assert not any("VEN-REP-122" in note for note in result.notes)
