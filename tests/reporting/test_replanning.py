"""Events that change or go, and processes that end, lose and double nothing (rows 46, 61)."""

from __future__ import annotations

import pytest

from tests.reporting.bench import Bench, Killed
from tests.reporting.samples import EACH, event
from venclient.errors import VtnProblem, VtnUnreachable


async def test_row_46_event_that_has_gone_takes_its_reports_along(bench: Bench) -> None:
    """What waits on an event that is no longer listed is dropped; what was sent stays."""
    await bench.run_to(1.5)
    bench.vtn.faults = [("before", VtnUnreachable("down"))] * 100
    await bench.run_to(3.5)
    bench.list_events()
    bench.vtn.faults = []
    result = await bench.run_to(5)

    assert bench.vtn.told() == [[0]]
    assert result.superseded == 2
    assert bench.reporter.next_due() is None


async def test_event_that_went_before_a_crash_is_dropped_after_it(bench: Bench) -> None:
    """A crash between hearing that an event has gone and dropping its reports leaves none behind."""
    bench.vtn.faults = [("before", VtnUnreachable("down"))] * 100
    await bench.run_to(2.5)
    bench.list_events()
    bench.restart()
    bench.vtn.faults = []
    await bench.clock.advance(600)
    bench.list_events()
    await bench.run_to(5)

    assert bench.vtn.told() == []
    assert bench.outbox.counts()["owed"] == 0


async def test_row_46_post_that_finds_no_event_drops_it(bench: Bench) -> None:
    """404 to a report means that its event has gone, once the events were listed."""
    bench.vtn.faults = [("before", VtnProblem("no such event", status=404))]
    result = await bench.run_to(1.5)

    assert result.superseded == 1
    assert any("no longer knows the event" in note for note in result.notes)


async def test_404_before_any_listing_loses_nothing(bench: Bench) -> None:
    """404 from an address that has not listed events yet may be a wrong address: reports wait."""
    await bench.run_to(0.5)
    bench.restart()
    bench.vtn.faults = [("before", VtnProblem("nothing here", status=404))] * 2
    await bench.run_to(2.5)

    assert bench.vtn.told() == [[0], [1]]


async def test_row_46_modified_event_replans_what_waits_and_keeps_what_was_sent(bench: Bench) -> None:
    """Intervals that a modification removes are given up; what was sent is not sent again."""
    await bench.run_to(1.5)
    bench.vtn.faults = [("before", VtnUnreachable("down"))] * 100
    await bench.run_to(3.5)
    bench.list_events(event(2, EACH, modificationDateTime="2026-01-01T03:00:00Z", duration="PT90M"))
    bench.vtn.faults = []
    result = await bench.run_to(5)

    assert result.superseded == 2
    sent = [
        (report.resources[0].interval_period.start, report.resources[0].interval_period.duration)
        for report in bench.vtn.stored
        if report.resources[0].interval_period
    ]
    assert sorted(sent) == [
        ("2026-01-01T00:00:00Z", "PT1H"),
        ("2026-01-01T00:00:00Z", "PT1H30M"),
        ("2026-01-01T01:30:00Z", "PT1H30M"),
    ]


async def test_row_46_other_descriptors_do_not_tell_the_same_time_again(bench: Bench) -> None:
    """When only the rhythm of reports changes, time that was told already is not told again."""
    await bench.run_to(2.5)
    two = {"startInterval": 1, "numIntervals": 2, "frequency": 2, "repeat": -1}
    bench.list_events(event(4, two, modificationDateTime="2026-01-01T02:00:00Z"))
    await bench.run_to(5)

    assert bench.vtn.told() == [[0], [1], [2, 3]]


async def test_row_46_modification_while_stopped_is_noticed(bench: Bench) -> None:
    """An event that changed while the gateway was off is planned anew, without repeating reports."""
    await bench.run_to(1.5)
    bench.restart()
    bench.list_events(event(4, EACH, modificationDateTime="2026-01-01T02:00:00Z", priority=3))
    await bench.run_to(5)

    assert bench.vtn.told() == [[0], [1], [2], [3]]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("nth", [0, 1, 3])
async def test_row_61_kill_around_a_post_loses_and_doubles_nothing(bench: Bench, when: str, nth: int) -> None:
    """The process ends just before or after the VTN stored a report: in the end it has each once."""
    bench.vtn.faults = [None] * nth + [(when, Killed())]
    with pytest.raises(Killed):
        await bench.run_to(5)
    bench.restart()
    await bench.run_to(6)

    assert bench.vtn.told() == [[0], [1], [2], [3]]


async def test_row_61_windows_that_fell_due_while_stopped_are_sent(bench: Bench) -> None:
    """A gateway that was off sends what fell due meanwhile, even before it has listed events."""
    await bench.run_to(0.5)
    bench.close()
    await bench.clock.advance(3 * 3600)
    bench._open()
    await bench.run_to(3.6)

    assert bench.vtn.told() == [[0], [1], [2]]
