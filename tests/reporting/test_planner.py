"""Planning: what changes re-plans, and nothing due costs nothing (rows 27, 46, 54)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.reporting.bench import Bench
from tests.reporting.samples import EACH, event
from venclient.errors import VtnUnreachable
from venclient.openadr.objects import PayloadDescriptor, Program
from venclient.reporting import planner
from venclient.reporting.obligations import Agenda
from venclient.reporting.windows import WindowRules


def declaring(units: str) -> Program:
    """Return a program whose reports of USAGE are in some unit."""
    declared = PayloadDescriptor(object_type="REPORT_PAYLOAD_DESCRIPTOR", payload_type="USAGE", units=units)
    return Program(id="P1", program_name="p", payload_descriptors=[declared])


def units(bench: Bench) -> list[str | None]:
    """Return the units of each stored report."""
    return [(one.payload_descriptors or [])[0].units for one in bench.vtn.stored]


async def test_row_27_changed_unit_of_the_program_is_used_from_then_on(bench: Bench) -> None:
    """When a program declares another unit, what is not sent yet is sent in it; nothing is sent twice."""
    bench.book.apply_programs([declaring("WH")], complete=True)
    await bench.run_to(1.5)
    bench.book.apply_programs([declaring("MWH")], complete=True)
    await bench.run_to(5)

    assert units(bench) == ["WH", "MWH", "MWH", "MWH"]


async def test_row_27_changed_unit_reaches_what_waits(bench: Bench) -> None:
    """A pending report that waits for the VTN is sent in the new unit."""
    bench.book.apply_programs([declaring("WH")], complete=True)
    bench.vtn.faults = [("before", VtnUnreachable("down"))] * 100
    await bench.run_to(2.1)
    assert len(bench.outbox.waiting("E1")) == 2
    bench.book.apply_programs([declaring("MWH")], complete=True)
    bench.vtn.faults = []
    await bench.run_to(5)

    assert units(bench) == ["MWH"] * 4


async def test_row_54_sums_over_different_targets_are_reports_of_their_own(bench: Bench) -> None:
    """Each aggregate is reported, under a separate name."""
    bench.close()
    bench.names = ("a", "b", "c")
    bench.restart()
    bench.list_events(
        event(1, {"aggregate": True, "targets": ["a", "b"]}, {"aggregate": True, "targets": ["c"]})
    )
    await bench.run_to(2)

    values = [one.resources[0].intervals[0].payloads[0].values for one in bench.vtn.stored]
    assert sorted(values) == [[2.0], [4.0]]
    assert len({one.report_name for one in bench.vtn.stored}) == 2


async def test_tick_with_nothing_due_looks_at_no_event(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing has changed and nothing falls due, no event is looked at."""
    bench.list_events(*(event(4, EACH, id_=f"E{n}", start="2026-02-01T00:00:00Z") for n in range(50)))
    await bench.run_to(-0.5)
    looked: list[object] = []
    followed = Agenda.coming

    def counted(self: Agenda, **members: Any) -> Any:
        looked.append(self)
        return followed(self, **members)

    monkeypatch.setattr(Agenda, "coming", counted)
    await bench.run_to(3, step_s=60)
    assert looked == []

    await bench.run_to((31 * 24) + 1.1, step_s=3600)
    assert len({id(one) for one in looked}) == 50
    assert len(bench.vtn.stored) == 50


async def test_many_windows_of_one_event_are_owed_in_batches(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More windows than fit into one round follow in the next ones, each once and in order."""
    monkeypatch.setattr(planner, "BATCH", 3)
    bench.list_events(event(10, EACH))
    await bench.clock.advance(3600 * 12)
    for _ in range(6):
        await bench.reporter.step()

    reported: Sequence[list[int]] = bench.vtn.told()
    assert reported == [[n] for n in range(10)]


async def test_changed_readings_of_the_standard_replan(bench: Bench) -> None:
    """With another reading chosen, later reports follow that reading; nothing is sent twice."""
    asked = {"startInterval": 1, "numIntervals": 2, "frequency": 2, "repeat": -1}
    bench.list_events(event(6, asked))
    await bench.run_to(2.5)
    bench.options = replace(bench.options, rules=WindowRules(window="first-covered"))
    bench.restart()
    bench.list_events(event(6, asked))
    await bench.run_to(8)

    assert bench.vtn.told() == [[0, 1], [1, 2], [3, 4], [5]]
