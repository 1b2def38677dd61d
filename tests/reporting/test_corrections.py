"""Readings that come late correct what was reported, once (row 63)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.reporting.bench import ONE_LOOK, Bench, Killed, lost
from tests.reporting.samples import EACH, at, event, measured
from venclient.errors import VtnProblem, VtnUnreachable
from venclient.messages import reporting as rep
from venclient.model.reading import Measure, Reading
from venclient.reporting.lateness import LateWatch
from venclient.reporting.ledger import coverage

MINUTE = timedelta(minutes=1)


class Meters(Bench):
    """A bench whose meters' values can be changed afterwards; `kw` is by resource and start."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.kw: dict[tuple[str, datetime], float | None] = {}
        self.measure = self._of_meters

    async def _of_meters(
        self, ids: Sequence[str], grid: Sequence[tuple[datetime, datetime]]
    ) -> Mapping[tuple[str, datetime, datetime], Measure]:
        return {
            (id_, a, b): measured(id_, a, b, kw)
            for id_ in ids
            for a, b in grid
            if (kw := self.kw.get((id_, a), 2.0)) is not None
        }

    async def comes_late(self, start: datetime, kw: float, id_: str = "r1") -> None:
        """Let a reading come for the middle of the hour that begins at `start`."""
        await self.reporter.late({id_: (start + 20 * MINUTE, start + 40 * MINUTE)})
        self.kw[id_, start] = kw

    def values(self) -> list[float]:
        """Return the first value of each report at the VTN."""
        return [float(one.resources[0].intervals[0].payloads[0].values[0]) for one in self.vtn.stored]  # type: ignore[arg-type]


@pytest.fixture
def meters(tmp_path: Path) -> Iterator[Meters]:
    """Return a bench with a report on each of four hours."""
    one = Meters(tmp_path)
    one.list_events(event(4, EACH))
    yield one
    one.close()


async def test_row_63_late_reading_corrects_its_report_by_put_once(meters: Meters) -> None:
    """The whole report is replaced once no more readings come; the others stay as they are."""
    await meters.run_to(3.5)
    await meters.comes_late(at(1), 5.0)
    await meters.reporter.step()
    assert meters.vtn.puts == 0
    due = meters.reporter.next_due()
    assert due is not None
    assert due - meters.clock.now() <= timedelta(seconds=61)

    result = await meters.run_to(3.9)
    assert meters.values() == [2.0, 5.0, 2.0]
    assert (meters.vtn.puts, result.corrected) == (1, 1)
    row = meters.outbox.of_event("E1")[1]
    assert (row.state, row.corrections, row.late) == ("sent", 1, ())
    assert [entry.what for entry in meters.outbox.view.story(row.key)][-3:] == [
        rep.STORY_LATE(count=1),
        rep.STORY_TO_CORRECT(),
        rep.STORY_CORRECTED(),
    ]


async def test_row_63_late_readings_that_change_nothing_send_nothing(meters: Meters) -> None:
    """What the VTN has already is not sent again."""
    await meters.run_to(3.5)
    await meters.comes_late(at(1), 2.0)
    await meters.run_to(4)

    assert meters.vtn.puts == 0
    assert meters.reporter.next_due() == at(4) + timedelta(seconds=2)


async def test_row_63_many_late_readings_make_one_correction(meters: Meters) -> None:
    """A correction waits for a backlog that keeps arriving, and sends it in one report."""
    await meters.run_to(3.1)
    for kw in (3.0, 4.0, 5.0):
        await meters.comes_late(at(1), kw)
        await meters.clock.advance(50, settle=0)
        await meters.reporter.step()
    assert meters.vtn.puts == 0
    await meters.run_to(3.4)

    assert (meters.vtn.puts, meters.values()) == (1, [2.0, 5.0, 2.0])


@pytest.mark.parametrize("after", [True, False])
async def test_row_63_lost_answer_to_a_put_is_asked_for(meters: Meters, after: bool) -> None:
    """The VTN is looked at before anything is sent again; what arrived is counted and not repeated."""
    await meters.run_to(3.1)
    meters.vtn.put_faults = [lost(after=after)]
    await meters.comes_late(at(1), 5.0)
    result = await meters.run_to(3.9, step_s=120)

    assert (meters.vtn.puts, meters.vtn.listings) == (1 if after else 2, 1 + ONE_LOOK)
    assert result.corrected == 1
    assert meters.values() == [2.0, 5.0, 2.0]


async def test_row_63_correction_survives_a_kill_at_any_time(meters: Meters) -> None:
    """Late readings that were noted lead to a correction by the next process."""
    await meters.run_to(3.1)
    await meters.comes_late(at(1), 5.0)
    meters.restart()
    meters.vtn.put_faults = [("after", Killed())]
    with pytest.raises(Killed):
        await meters.run_to(3.5)
    meters.restart()
    result = await meters.run_to(3.9)

    assert (meters.vtn.puts, result.corrected) == (1, 1)
    assert meters.values() == [2.0, 5.0, 2.0]


async def test_correction_of_a_report_that_has_gone_is_given_up_and_said(meters: Meters) -> None:
    """A 404 to a PUT ends the correction; what was sent stays in the list."""
    await meters.run_to(3.1)
    del meters.vtn.stored[1]
    await meters.comes_late(at(1), 5.0)
    result = await meters.run_to(3.9)

    assert result.corrected == 0
    assert any("VEN-REP-027" in note for note in result.notes)
    assert "no such report" in (meters.outbox.of_event("E1")[1].last_error or "")
    assert meters.outbox.counts()["sent"] == 3


async def test_correction_waits_while_the_vtn_is_down(meters: Meters) -> None:
    """An outage loses no correction."""
    await meters.run_to(3.1)
    meters.vtn.put_faults = [("before", VtnUnreachable("down")), ("before", VtnProblem("busy", status=503))]
    await meters.comes_late(at(1), 5.0)
    await meters.run_to(3.2)
    assert meters.values() == [2.0, 2.0, 2.0]
    await meters.run_to(3.95)

    assert meters.values() == [2.0, 5.0, 2.0]


async def test_reports_are_not_corrected_for_ever(meters: Meters) -> None:
    """Readings that come after `correct_for_s` leave the report as it was sent."""
    meters.reporter.options = meters.options = type(meters.options)(client_name="ven-1", correct_for_s=3600.0)
    await meters.run_to(3.5)
    await meters.comes_late(at(0), 5.0)
    await meters.run_to(3.9)

    assert meters.vtn.puts == 0


async def test_what_could_not_be_told_is_sent_when_readings_come(meters: Meters) -> None:
    """An unmet report becomes pending again once it has a value."""
    descriptor = {"payloadType": "USAGE", **EACH}
    meters.list_events(event(4, descriptor, {**descriptor, "payloadType": "DEMAND"}))
    meters.kw[("r1", at(1))] = None
    result = await meters.run_to(3.1)
    assert result.unmet == 1

    await meters.comes_late(at(1), 5.0)
    await meters.run_to(3.9)
    assert meters.values() == [2.0, 2.0, 5.0]


async def test_ledger_counts_what_was_corrected(meters: Meters) -> None:
    """The day's coverage shows the missing interval, and later that it was corrected."""
    meters.kw["r1", at(1)] = None
    await meters.run_to(3.1)
    assert [one[2:] for one in coverage(meters.outbox.view)] == [(3, 2, 1, 0)]

    await meters.comes_late(at(1), 5.0)
    await meters.run_to(3.9)
    assert [one[2:] for one in coverage(meters.outbox.view)] == [(3, 3, 0, 1)]


def reading(minutes: float, quantity: str = "power_kw") -> Reading:
    """Return a reading `minutes` after the start."""
    return Reading("r1", quantity, 1.0, at(0) + minutes * MINUTE)


def test_live_readings_are_not_late() -> None:
    """A meter that is read all the time is behind no report, also across the end of an interval."""
    watch = LateWatch(lambda: at(1), lambda _: [])
    watch.look([reading(59.9)])

    assert watch.look([reading(60.1), reading(61)]) == {}


def test_backlog_is_late_and_reaches_to_the_reading_before() -> None:
    """Readings of time that was reported, in order after an outage, and the first one after a silence."""
    watch = LateWatch(lambda: at(2), lambda _: [reading(30)])

    assert watch.look([reading(90)]) == {"r1": (at(0.5), at(1.5))}
    assert watch.look([reading(130)]) == {"r1": (at(1.5), at(0) + 130 * MINUTE)}


def test_reading_among_older_ones_reaches_both_ways() -> None:
    """A row of a file that is older than what is known changes what its neighbours say."""
    watch = LateWatch(lambda: at(10), lambda _: [reading(540)])

    assert watch.look([reading(300)]) == {"r1": (at(4), at(6))}


def test_nothing_is_late_before_anything_was_told() -> None:
    """Without a report there is nothing to correct."""
    assert LateWatch(lambda: None, lambda _: []).look([reading(1)]) == {}
