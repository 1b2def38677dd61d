"""Unscheduled reports: on change of state and by a local cadence (row 52)."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reporting.bench import Bench
from tests.reporting.samples import EACH, T0, at, event
from venclient.errors import StoreError
from venclient.openadr.timeline import NEVER
from venclient.reporting.adhoc import LEAST_S, AtWill, adhoc_due
from venclient.reporting.obligations import agenda

QUARTER = 900.0


def cuts(plan: AtWill, until: float, *changes: float, told_until: datetime = T0) -> list[tuple[float, float]]:
    """Return the spans that are due, in hours after T0."""
    due = adhoc_due(plan, told_until=told_until, changes=[at(one) for one in changes], until=at(until))
    return [((start - T0) / timedelta(hours=1), (end - T0) / timedelta(hours=1)) for start, end in due]


def test_row_52_cadence_cuts_the_events_time() -> None:
    """Without changes there is a report for each step of the cadence, to the event's end."""
    plan = AtWill(at(0), at(0.6), QUARTER)

    assert cuts(plan, 9) == [(0, 0.25), (0.25, 0.5), (0.5, 0.6)]
    assert cuts(plan, 0.3) == [(0, 0.25)]


def test_row_52_change_of_state_is_told_at_once() -> None:
    """A change ends the current span; the cadence goes on from where it was."""
    assert cuts(AtWill(at(0), NEVER, QUARTER), 0.5, 0.1) == [(0, 0.1), (0.1, 0.25), (0.25, 0.5)]


def test_row_52_without_a_cadence_only_changes_are_told() -> None:
    """With changes alone there is one report per change, and one at the end."""
    plan = AtWill(at(0), at(3))

    assert cuts(plan, 2, 1) == [(0, 1)]
    assert cuts(plan, 9, 1) == [(0, 1), (1, 3)]
    assert AtWill(at(0)).next_cut(at(1)) is None


def test_row_52_flickering_state_does_not_flood_the_vtn() -> None:
    """Changes in quick succession are reported together."""
    changes = [1 + n / 3600 for n in range(30)]

    spans = cuts(AtWill(at(0)), 2, *changes)
    assert len(spans) == 4
    assert all((end - start) * 3600 >= LEAST_S - 1e-6 for start, end in spans)


@pytest.mark.parametrize(("seen", "first"), [(-1, 0), (0.1, 0), (0.9, 0.5), (9, 1.75)])
def test_row_59_late_join_tells_the_newest_step_only(seen: float, first: float) -> None:
    """Of the time before the event was first seen, reports cover the newest whole step."""
    assert AtWill(at(0), at(2), QUARTER).first_untold(at(seen)) == at(first)


@settings(max_examples=60, deadline=None)
@given(
    changes=st.lists(st.floats(0, 5), max_size=8),
    cadence=st.sampled_from([None, 60.0, 900.0, 7000.0]),
    stops=st.lists(st.floats(0, 5), max_size=4),
)
def test_row_52_spans_follow_one_another_whenever_one_looks(
    changes: list[float], cadence: float | None, stops: list[float]
) -> None:
    """Looking more often, or resuming from what was reported, gives the same spans without gap or overlap."""
    plan = AtWill(at(0), at(4), cadence)
    moments = [at(one) for one in changes]
    whole = list(adhoc_due(plan, told_until=T0, changes=moments, until=at(6)))
    position, pieces = T0, []
    for stop in [*sorted(stops), 6.0]:
        pieces += list(adhoc_due(plan, told_until=position, changes=moments, until=at(stop)))
        position = pieces[-1][1] if pieces else position

    assert pieces == whole
    assert [start for start, _ in whole] == [T0, *(end for _, end in whole[:-1])][: len(whole)]


def test_row_52_event_without_a_grid_is_reported_at_will() -> None:
    """A report-only event has no intervals: its reports are unscheduled, from its receipt on."""
    one = event(0, {"payloadType": "DEMAND"}, intervals=None, intervalPeriod=None)

    ((_, life),) = agenda(one, None, anchor=at(3)).at_will
    assert (life.begin, life.end, life.cadence_s) == (at(3), NEVER, QUARTER)


async def test_row_52_reports_at_will_are_sent_once(bench: Bench) -> None:
    """Four quarters of an hour are four reports with their own periods; a restart repeats none."""
    bench.list_events(event(2, {"frequency": 0}, id_="E9"))
    await bench.run_to(0.6)
    bench.restart()
    await bench.run_to(1.05)

    intervals = [report.resources[0].intervals[0] for report in bench.vtn.stored]
    starts = [one.interval_period.start for one in intervals if one.interval_period]
    assert starts == [f"2026-01-01T00:{minute}:00Z" for minute in ("00", "15", "30", "45")]
    assert len({report.report_name for report in bench.vtn.stored}) == 4


async def test_row_52_change_of_state_makes_one_report(bench: Bench) -> None:
    """A change is reported as soon as it has settled, as a separate span; windows continue as planned."""
    bench.list_events(event(4, {"frequency": 0}, EACH))
    await bench.run_to(0.3)
    before = len(bench.vtn.stored)
    bench.reporter.note_change(at(0.3))
    await bench.run_to(0.34)

    assert len(bench.vtn.stored) == before + 1
    (part,) = bench.vtn.stored[-1].resources
    assert part.interval_period is not None
    assert (part.interval_period.start, part.interval_period.duration) == ("2026-01-01T00:15:00Z", "PT3M")


async def test_row_52_ad_hoc_survives_a_full_card(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports that could not be stored are added again in the next round."""
    bench.list_events(event(1, {"frequency": 0}, id_="E9"))
    await bench.run_to(0.1)
    kept = bench.outbox.owe

    def full(*_: object, **__: object) -> int:
        raise StoreError("full", subject="card")

    monkeypatch.setattr(bench.outbox, "owe", full)
    await bench.clock.advance(900)
    with pytest.raises(StoreError):
        await bench.reporter.step()
    monkeypatch.setattr(bench.outbox, "owe", kept)
    await bench.run_to(0.6)

    assert len(bench.vtn.stored) == 2


async def test_row_52_a_request_for_reports_is_answered_until_it_is_cancelled(bench: Bench) -> None:
    """The event of User Guide 8.6 has a report at once and one each 15 minutes, until it is changed."""
    asked = event(0, {"frequency": 0}, intervals=None, start="0001-01-01", duration="PT0H", id_="E9")
    bench.list_events(asked)
    await bench.run_to(-1 + 10 / 3600, step_s=5)
    assert len(bench.vtn.stored) == 1
    await bench.run_to(-0.49)
    bench.restart()
    await bench.run_to(-0.4)
    assert len(bench.vtn.stored) == 3

    bench.list_events(event(1, EACH, modificationDateTime="2025-12-31T23:40:00Z", id_="E9"))
    cancelled = event(0, {"frequency": 0}, intervals=None, start="0001-01-01", duration="PT0H", id_="E9")
    await bench.run_to(-0.3)
    bench.list_events(msgspec.structs.replace(cancelled, modification_date_time="2025-12-31T23:45:00Z"))
    await bench.run_to(9)
    assert len(bench.vtn.stored) == 3
    assert bench.reporter.next_due() is None
