"""Order, rate, spread, age and size of reports, and what is said of those that are lost (row 62)."""

from __future__ import annotations

import tracemalloc
from datetime import timedelta
from pathlib import Path

import pytest

from tests.reporting.bench import Bench
from tests.reporting.samples import EACH, at, event
from venclient.clock import ManualClock
from venclient.errors import VtnUnreachable
from venclient.reporting.delivery import ReportOptions
from venclient.reporting.pace import Pace, spread_s

DOWN = ("before", VtnUnreachable("down"))


def options(bench: Bench, **told: object) -> None:
    """Start the bench again with other options."""
    bench.options = ReportOptions(client_name="ven-1", **told)  # type: ignore[arg-type]
    bench.restart()
    bench.list_events(event(4, EACH))


async def test_row_62_newest_first_by_choice(bench: Bench) -> None:
    """After an outage the newest report may go first, and the older ones follow."""
    options(bench, order="newest-first")
    bench.vtn.faults = [DOWN] * 1000
    await bench.run_to(3.5)
    bench.vtn.faults = []
    await bench.run_to(4.5)

    assert bench.vtn.told() == [[2], [1], [0], [3]]


async def test_row_62_backlog_leaves_at_the_rate_that_is_set(bench: Bench) -> None:
    """No more reports leave than the rate allows, and the reporter knows when the next may."""
    options(bench, rate_per_s=0.01)
    bench.vtn.faults = [DOWN] * 1000
    await bench.run_to(3.5)
    bench.vtn.faults = []
    await bench.clock.advance(400, settle=0)
    await bench.reporter.step()
    assert bench.vtn.told() == [[0]]
    due = bench.reporter.next_due()
    assert due is not None
    assert 99 <= (due - bench.clock.now()).total_seconds() <= 100

    await bench.clock.advance(100, settle=0)
    await bench.reporter.step()
    assert bench.vtn.told() == [[0], [1]]


def test_rate_lets_a_seconds_worth_go_at_once() -> None:
    """Ten a second may go together; then each tenth of a second one more."""
    clock = ManualClock()
    pace = Pace(clock, 10.0)
    assert pace.room(50) == 10
    for _ in range(10):
        pace.take()
    assert pace.room(50) == 0
    assert pace.wait_s() == pytest.approx(0.1)


def test_spread_is_the_same_each_time_and_even_over_a_fleet() -> None:
    """A gateway's own delay lies within the jitter, and those of many gateways fill it."""
    delays = [spread_s(f"ven-{n}", 60.0) for n in range(1000)]

    assert delays == [spread_s(f"ven-{n}", 60.0) for n in range(1000)]
    assert all(0 <= delay < 60 for delay in delays)
    assert all(60 < sum(6 * n <= delay < 6 * n + 6 for delay in delays) < 140 for n in range(10))


async def test_jitter_delays_reports_by_the_gateways_own_time(bench: Bench) -> None:
    """A report goes out after its due time, the settling time and this gateway's share of the jitter."""
    options(bench, jitter_s=600.0)
    await bench.run_to(0.9)
    expected = at(1) + timedelta(seconds=2 + spread_s("ven-1", 600.0))

    assert bench.reporter.next_due() == expected


async def test_row_62_what_is_too_old_is_given_up_and_said(bench: Bench) -> None:
    """Reports that could not be delivered in time are lost, counted, and named in a sentence."""
    options(bench, give_up_days=0.25)
    bench.vtn.faults = [DOWN] * 100_000
    result = await bench.run_to(9.4, step_s=1800)

    assert result.lost == 2
    assert bench.outbox.counts()["lost"] == 2
    assert any("2026-01-01" in note and "VEN-REP-029" in note for note in result.notes)
    bench.vtn.faults = []
    await bench.run_to(10)
    assert bench.vtn.told() == [[2], [3]]


async def test_lost_report_is_sent_when_it_is_owed_again_by_hand(bench: Bench) -> None:
    """`retry` gives a lost report its full time again."""
    options(bench, give_up_days=0.25)
    bench.vtn.faults = [DOWN] * 100_000
    await bench.run_to(9.4, step_s=1800)
    bench.vtn.faults = []
    key = bench.outbox.newest(state="lost")[-1].key
    assert bench.outbox.retry(key, bench.clock.now())
    assert not bench.outbox.retry(key, bench.clock.now())
    await bench.run_to(10)

    assert sorted(bench.vtn.told()) in ([[0], [2], [3]], [[1], [2], [3]])


async def test_large_report_goes_in_parts_with_their_resources(bench: Bench) -> None:
    """A report that is too large is split into parts, sent in order, each with the resources it is about."""
    bench.names = ("hotel", "school", "pool")
    options(bench, most_values=2)
    await bench.run_to(2.5)

    names = [[part.resource_name for part in one.resources] for one in bench.vtn.stored]
    assert names == [["hotel", "school"], ["pool"]] * 2
    rows = bench.outbox.of_event("E1")
    assert [[one.resource_id for one in row.resources or ()] for row in rows] == [["r1", "r2"], ["r3"]] * 2
    assert len({row.owed_key for row in rows}) == 2


async def test_parts_that_wait_are_replanned_with_their_event(bench: Bench) -> None:
    """When the event is modified before a part went out, the report is planned and split again."""
    bench.names = ("hotel", "school", "pool")
    options(bench, most_values=2)
    bench.vtn.faults = [DOWN] * 1000
    await bench.run_to(1.5)
    assert bench.outbox.counts()["owed"] == 2
    changed = event(4, {**EACH, "units": "WH"}, modificationDateTime="2026-01-01T01:30:00Z")
    bench.list_events(changed)
    bench.vtn.faults = []
    await bench.run_to(1.9)

    assert [len(one.resources) for one in bench.vtn.stored] == [2, 1]


@pytest.mark.disk
async def test_row_62_memory_does_not_grow_with_the_backlog(tmp_path: Path) -> None:
    """Thousands of pending reports are read a few at a time: memory does not depend on how many wait."""
    bench = Bench(tmp_path)
    bench.list_events(event(1500, EACH, duration="PT1M"))
    await bench.clock.advance(30 * 3600, settle=0)
    while (await bench.reporter.step()).owed:
        bench.reporter.resources = []
    sent = 0

    async def swallow(report: object) -> object:
        nonlocal sent
        sent += 1
        return report

    bench.vtn.create_report = swallow  # type: ignore[method-assign,assignment]
    bench.restart()
    bench.list_events(event(1500, EACH, duration="PT1M"))
    tracemalloc.start()
    for _ in range(8):
        await bench.reporter.step()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    bench.close()

    assert sent >= 400
    assert peak < 8 * 2**20
