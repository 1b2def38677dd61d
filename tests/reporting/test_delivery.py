"""Reports reach the VTN in order and once, through outages and lost answers (rows 16, 50, 59, 60, 62)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reporting.bench import ONE_LOOK, Bench, Killed, lost, steady
from tests.reporting.samples import EACH, at, event, reportables
from venclient.errors import AuthRefused, StoreError, VtnProblem, VtnUnreachable
from venclient.model.reading import Measure
from venclient.openadr.objects import Report
from venclient.reporting import planner, posting


async def test_row_50_each_window_is_sent_when_it_has_settled(bench: Bench) -> None:
    """A report goes out once its interval is over and late samples had their time, not before."""
    await bench.run_to(1.0)
    assert bench.vtn.told() == []
    assert at(1 + 2 / 3600) == bench.reporter.next_due()

    await bench.run_to(1.0 + 2 / 3600)
    assert bench.vtn.told() == [[0]]

    result = await bench.run_to(5)
    assert bench.vtn.told() == [[0], [1], [2], [3]]
    assert (result.owed, result.sent) == (3, 3)
    assert bench.reporter.next_due() is None
    assert {state: n for state, n in bench.outbox.counts().items() if n} == {"sent": 4}
    assert [row.report_id for row in bench.outbox.of_event("E1")] == ["R0", "R1", "R2", "R3"]


async def test_fates_are_on_the_card_before_the_next_reports_leave(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reports go in groups: each is `sending` before its group is sent, and stored as sent right after."""
    monkeypatch.setattr(posting, "GROUP", 2)
    seen: list[list[str]] = []
    create = bench.vtn.create_report

    async def watched(report: Report) -> Report:
        seen.append([row.state for row in bench.outbox.of_event("E1")])
        return await create(report)

    monkeypatch.setattr(bench.vtn, "create_report", watched)
    await bench.run_to(0.5)
    bench.reporter.resources = []
    await bench.run_to(5)
    bench.reporter.resources = reportables("hotel")
    await bench.run_to(5)

    first, second = ["sending"] * 2 + ["owed"] * 2, ["sent"] * 2 + ["sending"] * 2
    assert seen == [first, first, second, second]


async def test_row_59_late_join_sends_newest_only(bench: Bench) -> None:
    """Of an event found three windows late, the newest is due at once, and the later ones in time."""
    bench.list_events()
    await bench.run_to(3.2)
    bench.list_events(event(4, EACH))

    await bench.run_to(3.3)
    assert bench.vtn.told() == [[2]]
    await bench.run_to(5)
    assert bench.vtn.told() == [[2], [3]]


async def test_row_60_lost_answer_leads_to_one_report(bench: Bench) -> None:
    """When the answer to a POST is lost the VTN is asked by name, and nothing is sent twice."""
    bench.vtn.faults = [lost(after=True)]
    await bench.run_to(2.5)

    assert bench.vtn.told() == [[0], [1]]
    assert (bench.vtn.posts, bench.vtn.listings) == (2, 1 + ONE_LOOK)
    assert bench.outbox.of_event("E1")[0].report_id == "R0"


async def test_row_60_lost_request_is_sent_again(bench: Bench) -> None:
    """When the VTN never got the report it is sent after the VTN said so."""
    bench.vtn.faults = [lost(after=False)]
    await bench.run_to(2.5)

    assert bench.vtn.told() == [[0], [1]]
    assert (bench.vtn.posts, bench.vtn.listings) == (3, 1 + ONE_LOOK)


@pytest.mark.parametrize("trouble", ["unreachable", "incomplete"])
async def test_row_60_nothing_is_sent_while_the_fate_is_open(bench: Bench, trouble: str) -> None:
    """While it is unknown whether the VTN has the report, it is not sent again."""
    bench.vtn.faults = [lost(after=False)]
    if trouble == "unreachable":
        bench.vtn.listing_fault = VtnUnreachable("no answer")
    else:
        bench.vtn.complete = False
    result = await bench.run_to(3)

    assert bench.vtn.posts == 1
    assert result.held
    bench.vtn.listing_fault, bench.vtn.complete = None, True
    await bench.run_to(5)
    assert bench.vtn.told() == [[0], [1], [2], [3]]


async def test_row_60_report_among_unreadable_ones_is_not_sent_twice(bench: Bench) -> None:
    """While the VTN's list is unreadable, only a report that may have arrived waits."""
    bench.vtn.faults = [lost(after=False)]
    bench.vtn.refused = ["a report without a name"]
    result = await bench.run_to(2.5)

    assert bench.vtn.told() == [[1]]
    assert sum("VEN-REP-032" in note or "VEN-REP-037" in note for note in result.notes) == 1
    bench.vtn.refused = ()
    await bench.run_to(2.9)
    assert bench.vtn.told() == [[1], [0]]


async def test_conflict_is_taken_for_sent_only_when_it_is_ours(bench: Bench) -> None:
    """409 is success when the VTN holds our report of that name, and a refusal otherwise."""
    conflict = VtnProblem("name taken", status=409)
    bench.vtn.faults = [("after", conflict), ("before", conflict)]
    result = await bench.run_to(2.5)

    assert [row.state for row in bench.outbox.of_event("E1")] == ["sent", "refused"]
    assert result.refused == 1


async def test_row_62_offline_queue_drains_in_order(bench: Bench) -> None:
    """Reports that fall due while the VTN is down wait, and go out oldest first when it is back."""
    bench.vtn.faults = [("before", VtnUnreachable("down"))] * 1000
    result = await bench.run_to(3.5)
    assert result.held
    assert bench.outbox.counts()["owed"] == 3
    assert bench.vtn.posts < 40

    bench.vtn.faults = []
    await bench.run_to(4.5)
    assert bench.vtn.told() == [[0], [1], [2], [3]]


async def test_row_16_back_off_grows_and_honours_retry_after(bench: Bench) -> None:
    """While the VTN refuses for now, attempts are spaced, and not before the time that it asks for."""
    bench.vtn.faults = [("before", VtnProblem("slow down", status=429, retry_after_s=1800.0))]
    await bench.run_to(1.01)
    assert bench.vtn.posts == 1
    due = bench.reporter.next_due()
    assert due is not None
    assert (due - bench.clock.now()).total_seconds() >= 1790

    await bench.run_to(1.4, step_s=60)
    assert bench.vtn.posts == 1
    await bench.run_to(1.6)
    assert bench.vtn.told() == [[0]]


async def test_credentials_that_are_refused_lose_nothing(bench: Bench) -> None:
    """With a wrong secret reports wait until it is put right."""
    bench.vtn.faults = [("before", AuthRefused("invalid_client"))] * 3
    await bench.run_to(5)

    assert bench.vtn.told() == [[0], [1], [2], [3]]


async def test_refusal_is_kept_and_said_and_holds_nobody_up(bench: Bench) -> None:
    """A 400 is noted with the VTN's reason; the next report goes out."""
    bench.vtn.faults = [("before", VtnProblem("bad units", status=400))]
    result = await bench.run_to(2.5)

    assert bench.vtn.told() == [[1]]
    assert result.refused == 1
    assert any("bad units" in note for note in result.notes)
    assert "bad units" in (bench.outbox.newest(state="refused")[0].last_error or "")


async def test_report_that_breaks_the_server_lets_the_others_pass(bench: Bench) -> None:
    """After three server errors for one report it waits alone, and the queue moves on."""
    original = bench.vtn.create_report

    async def breaks_on_the_first(report: Report) -> Report:
        if report.resources[0].intervals[0].id == 0:
            bench.vtn.posts += 1
            raise VtnProblem("oops", status=500)
        return await original(report)

    bench.vtn.create_report = breaks_on_the_first  # type: ignore[method-assign]
    await bench.run_to(5, step_s=300)

    assert bench.vtn.told() == [[1], [2], [3]]
    assert bench.outbox.of_event("E1")[0].state == "owed"


async def test_unknown_resources_hold_reports_back(bench: Bench) -> None:
    """Before the resources are registered nothing is sent, and nothing is lost."""
    bench.reporter.resources = []
    await bench.run_to(2.5)
    assert bench.outbox.counts()["owed"] == 2
    assert at(3 + 2 / 3600) == bench.reporter.next_due()

    bench.reporter.resources = reportables("hotel")
    await bench.run_to(2.6)
    assert bench.vtn.told() == [[0], [1]]


async def test_store_that_fails_holds_reports_back(bench: Bench) -> None:
    """A report is not sent without its measures: it waits until the store can be read."""

    async def broken(*_: object) -> Mapping[tuple[str, datetime, datetime], Measure]:
        raise StoreError("disk full")

    bench.measure = broken
    result = await bench.run_to(2)
    assert result.held
    bench.measure = steady
    await bench.run_to(2.5)

    assert bench.vtn.told() == [[0], [1]]


async def test_nothing_known_is_unmet_and_said_once(bench: Bench) -> None:
    """What cannot be reported is not sent, is counted, and is said when it begins, not each time."""
    bench.list_events(event(4, {"payloadType": "X_PRIVATE", **EACH}))
    result = await bench.run_to(5)

    assert bench.vtn.told() == []
    assert result.unmet == 4
    assert sum("X_PRIVATE" in note for note in result.notes) == 1


async def test_gap_is_said_again_when_it_comes_again(bench: Bench) -> None:
    """A gap that ends and comes back is said twice."""

    async def every_other(
        ids: Sequence[str], grid: Sequence[tuple[datetime, datetime]]
    ) -> Mapping[tuple[str, datetime, datetime], Measure]:
        return await steady(ids, [(a, b) for a, b in grid if a.hour % 2])

    bench.measure = every_other
    result = await bench.run_to(5)

    assert sum("VEN-REP-020" in note for note in result.notes) == 2
    assert result.sent == 4


async def test_descriptor_that_cannot_be_served_is_said_once(bench: Bench) -> None:
    """A wrong descriptor is named when the event is first followed, and the others are served."""
    bench.list_events(event(4, {"frequency": -3}, EACH))
    result = await bench.run_to(5)

    assert result.sent == 4
    assert sum("frequency -3" in note for note in result.notes) == 1


async def test_long_absence_is_planned_in_parts(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many windows that fell due at once are written down in parts, and none is lost between them."""
    monkeypatch.setattr(planner, "BATCH", 7)
    bench.list_events(event(48, EACH, {**EACH, "payloadType": "READING", "frequency": 2}, duration="PT5M"))
    await bench.run_to(-0.9)
    await bench.clock.advance(6 * 3600, settle=0)
    first = await bench.reporter.step()
    assert 7 <= first.owed <= 9
    soon = bench.reporter.next_due()
    assert soon is not None
    assert soon <= bench.clock.now()
    await bench.run_to(9)

    assert sum(n for state, n in bench.outbox.counts().items()) == 48 + 24


async def test_idle_steps_do_not_touch_the_card(bench: Bench) -> None:
    """Without anything due a step writes nothing."""
    await bench.run_to(1.5)
    wal = bench.path.with_name("state.db-wal")
    before = wal.stat().st_size
    for _ in range(20):
        await bench.reporter.step()

    assert before == wal.stat().st_size


FAULTS: list[Callable[[], tuple[str, BaseException] | None]] = [
    lambda: None,
    lambda: lost(after=True),
    lambda: lost(after=False),
    lambda: ("before", VtnProblem("busy", status=503)),
    lambda: ("before", Killed()),
    lambda: ("after", Killed()),
]


async def test_row_62_no_report_overtakes_one_whose_fate_is_open(bench: Bench) -> None:
    """After a lost answer the others wait until the VTN was asked, also across a restart."""
    await bench.run_to(0.5)
    bench.reporter.resources = []
    await bench.run_to(2.25)
    bench.reporter.resources = reportables("hotel")
    bench.vtn.faults = [lost(after=False)]
    await bench.reporter.step()
    assert bench.vtn.posts == 1

    await bench.clock.advance(5, settle=0)
    assert (await bench.reporter.step()).held
    bench.restart()
    assert (await bench.reporter.step()).held
    assert (bench.vtn.posts, bench.vtn.listings) == (1, 0)

    await bench.run_to(5)
    assert bench.vtn.told() == [[0], [1], [2], [3]]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(FAULTS), max_size=12), st.sets(st.integers(0, 24), max_size=4))
async def test_row_61_any_mixture_of_faults_gives_each_report_once(
    tmp_path_factory: pytest.TempPathFactory,
    faults: list[Callable[[], tuple[str, BaseException] | None]],
    restarts: set[int],
) -> None:
    """Lost answers, outages and kills in any order: the VTN has each report once, in order."""
    bench = Bench(tmp_path_factory.mktemp("bench"))
    bench.list_events(event(4, EACH))
    bench.vtn.faults = [fault() for fault in faults]
    try:
        for quarter in range(32):
            if quarter in restarts:
                bench.restart()
            try:
                await bench.run_to(quarter / 4)
            except Killed:
                bench.restart()
        assert bench.vtn.told() == [[0], [1], [2], [3]]
    finally:
        bench.close()


async def test_a_report_that_the_vtn_answers_404_for_puts_the_registration_in_doubt(bench: Bench) -> None:
    """A VTN that does not know the event, or the report, may have lost its store: the step says so."""
    await bench.run_to(0.99)
    await bench.clock.advance(60, settle=0)
    bench.vtn.faults = [("before", VtnProblem("no event", status=404))]
    assert (await bench.reporter.step()).not_found
