"""Events that change or go, and processes that end, lose and double nothing (rows 46, 61)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import pytest

from tests.reporting.bench import Bench, Killed, steady
from tests.reporting.samples import EACH, at, event
from venclient.errors import VtnProblem, VtnUnreachable
from venclient.model.reading import Measure


async def test_row_39_event_that_has_gone_takes_its_reports_along(bench: Bench) -> None:
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


async def test_row_39_404_drops_reports_once_the_event_is_not_listed_any_more(bench: Bench) -> None:
    """404 to a report holds it; the listing without its event, not the error, is what drops it."""
    bench.vtn.faults = [("before", VtnProblem("no such event", status=404))] * 100
    await bench.run_to(1.2)
    assert bench.outbox.counts()["owed"] == 1

    bench.list_events()
    result = await bench.run_to(1.3)
    assert result.superseded == 1
    assert bench.outbox.counts()["owed"] == 0


async def test_row_39_404_from_the_way_to_the_vtn_drops_nothing(bench: Bench) -> None:
    """A proxy that answers 404 for a while does not make an event vanish that the VTN still lists."""
    bench.vtn.faults = [("before", VtnProblem("no route", status=404))] * 3
    result = await bench.run_to(2.5)

    assert bench.vtn.told() == [[0], [1]]
    assert result.superseded == 0


async def test_404_is_a_refusal_when_the_event_was_listed_after_it(bench: Bench) -> None:
    """A VTN that lists an event and will not have this report of it: the others go out."""
    fault = ("before", VtnProblem("no such thing", status=404))
    bench.vtn.faults = [fault]
    await bench.run_to(1.1)
    await bench.clock.advance(60)
    bench.list_events(*bench.listed)
    bench.vtn.faults = [fault]
    result = await bench.run_to(2.5)

    assert bench.vtn.told() == [[1]]
    assert result.refused == 1


@pytest.mark.parametrize("status", [302, 407])
async def test_what_a_portal_or_proxy_answers_refuses_no_report(bench: Bench, status: int) -> None:
    """A redirect or a proxy's wish for a login is not the VTN's no: the report waits."""
    bench.vtn.faults = [("before", VtnProblem("log in first", status=status))] * 2
    await bench.run_to(2.5)

    assert bench.vtn.told() == [[0], [1]]


async def test_a_clock_that_is_set_back_does_not_prolong_a_pause(bench: Bench) -> None:
    """After a failure a wall clock that goes back holds reports no longer than the pause was."""
    await bench.run_to(2.5)
    bench.vtn.faults = [("before", VtnUnreachable("down"))]
    await bench.run_to(3.1)
    bench.clock.step(-1800)
    assert bench.reporter.next_due() is not None
    await bench.clock.advance(600, settle=0)
    bench.clock.step(1800)
    await bench.reporter.step()
    assert [0] in bench.vtn.told()
    assert [2] in bench.vtn.told()


async def test_a_report_that_cannot_be_made_holds_up_no_other(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug met with one report puts that one off, traced once, and ends nothing."""
    broken = at(0)

    async def measure(
        ids: Sequence[str], grid: Sequence[tuple[datetime, datetime]]
    ) -> Mapping[tuple[str, datetime, datetime], Measure]:
        if grid[0][0] == broken:
            raise ZeroDivisionError
        return await steady(ids, grid)

    bench.measure = measure
    await bench.run_to(3.5)

    assert bench.vtn.told() == [[1], [2]]
    assert bench.outbox.counts()["owed"] == 1
    assert len([one for one in caplog.records if one.exc_info]) == 1


async def test_404_before_any_listing_loses_nothing(bench: Bench) -> None:
    """404 from an address that has not listed events yet may be a wrong address: reports wait."""
    await bench.run_to(0.5)
    bench.restart()
    bench.vtn.faults = [("before", VtnProblem("nothing here", status=404))] * 2
    await bench.run_to(2.5)

    assert bench.vtn.told() == [[0], [1]]


async def test_row_38_modified_event_replans_what_waits_and_keeps_what_was_sent(bench: Bench) -> None:
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


async def test_row_38_other_descriptors_do_not_tell_the_same_time_again(bench: Bench) -> None:
    """When only the timing of reports changes, time that was reported already is not reported again."""
    await bench.run_to(2.5)
    two = {"startInterval": 1, "numIntervals": 2, "frequency": 2, "repeat": -1}
    bench.list_events(event(4, two, modificationDateTime="2026-01-01T02:00:00Z"))
    await bench.run_to(5)

    assert bench.vtn.told() == [[0], [1], [2, 3]]


async def test_row_38_modification_while_stopped_is_noticed(bench: Bench) -> None:
    """An event that changed while the gateway was off is planned again, without repeating reports."""
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
