"""A targeted event is reported for the resources that its targets match, and for no other (rows 25, 26)."""

from __future__ import annotations

from dataclasses import replace as dataclass_replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.reporting.bench import Bench
from tests.reporting.samples import EACH, at, event
from venclient.reporting.means import ReportOptions
from venclient.reporting.targets import Reportable, resources_of

HOTEL, SCHOOL = Reportable("r1", "hotel"), Reportable("r2", "school")


def reported(bench: Bench) -> list[list[str]]:
    """Return the names of the resources in each report that the VTN has."""
    return [[one.resource_name for one in report.resources] for report in bench.vtn.stored]


def targeted(bench: Bench, *targets: str) -> None:
    bench.reporter.resources = [HOTEL, SCHOOL]
    bench.list_events(event(4, EACH, targets=list(targets)))


async def test_an_event_that_matches_no_resource_waits_for_the_grants_and_is_not_reported(
    bench: Bench,
) -> None:
    """Until the granted targets have been read nothing is decided; then nothing is sent."""
    targeted(bench, "elsewhere")
    bench.reporter.granted_at = bench.clock.now()
    await bench.run_to(1.5)
    assert len(bench.outbox.waiting("E1")) == 1

    bench.reporter.granted_at = bench.clock.now()
    await bench.run_to(1.6)
    assert bench.outbox.counts()["unmet"] == 1
    assert bench.vtn.posts == 0


async def test_an_event_whose_target_is_granted_meanwhile_is_reported_for_that_resource(
    bench: Bench,
) -> None:
    """The report that waited is on the resource that was granted the target, and on no other."""
    targeted(bench, "north")
    await bench.run_to(1.5)
    assert bench.vtn.posts == 0

    bench.reporter.resources = [HOTEL, replace(SCHOOL, targets=frozenset({"north"}))]
    bench.reporter.granted_at = bench.clock.now()
    await bench.run_to(1.6)
    assert reported(bench) == [["school"]]


async def test_reports_that_wait_for_grants_hold_up_no_other(bench: Bench) -> None:
    """Reports without a resource are passed by those on other events, and cost no busy waiting."""
    bench.reporter.resources = [HOTEL, SCHOOL]
    bench.list_events(
        *(event(4, EACH, id_=f"T{n:04}", targets=["elsewhere"]) for n in range(600)),
        event(1, EACH, id_="Z"),
    )
    await bench.run_to(1.5)

    assert [report.event_id for report in bench.vtn.stored] == ["Z"]
    assert len(bench.outbox.untold(1000)) == 600
    assert bench.reporter.next_due() == at(2 + 2 / 3600)


async def test_a_grant_that_was_withdrawn_ends_the_reports_that_wait(bench: Bench) -> None:
    """What fell due before an outage is sent only for resources that still match."""
    bench.reporter.resources = [replace(HOTEL, targets=frozenset({"north"})), SCHOOL]
    bench.list_events(event(4, EACH, targets=["north"]))
    bench.reporter.granted_at = bench.clock.now()
    bench.reporter._means.pause.prolong(1e9)
    await bench.run_to(1.1)
    assert [row.resources for row in bench.outbox.of_event("E1")] == [(bench.reporter.resources[0],)]

    bench.reporter.resources = [HOTEL, SCHOOL]
    bench.reporter.granted_at = bench.clock.now()
    bench.reporter._means.pause.end()
    await bench.run_to(1.9)
    assert bench.vtn.posts == 0
    assert bench.outbox.counts()["unmet"] == 1


@pytest.mark.parametrize("of_ven", [True, False])
async def test_a_report_of_before_a_restart_waits_for_no_grants_it_has(bench: Bench, of_ven: bool) -> None:
    """The row of a report keeps its resources with the targets that chose them."""
    if of_ven:
        bench.options = replace_options(bench, "north")
    bench.restart()
    bench.reporter.resources = [HOTEL if of_ven else replace(HOTEL, targets=frozenset({"north"}))]
    bench.list_events(event(4, EACH, targets=["north"]))
    bench.reporter._means.pause.prolong(1e9)
    await bench.run_to(1.1)
    assert bench.vtn.posts == 0

    bench.options = replace_options(bench)
    bench.restart()
    bench.list_events(event(4, EACH, targets=["north"]))
    await bench.run_to(1.2)
    assert reported(bench) == [["hotel"]]


def replace_options(bench: Bench, *ven_targets: str) -> ReportOptions:
    """Return the bench's options with these targets of the VEN."""
    return dataclass_replace(bench.options, ven_targets=frozenset(ven_targets))


_TARGETS = st.frozensets(st.sampled_from(["a", "b", "north", "south", "whole", "other"]), max_size=3)


@given(of_event=_TARGETS, of_descriptor=_TARGETS, granted=st.tuples(_TARGETS, _TARGETS), of_ven=_TARGETS)
def test_row_26_no_resource_is_reported_that_no_target_matches(
    of_event: frozenset[str],
    of_descriptor: frozenset[str],
    granted: tuple[frozenset[str], frozenset[str]],
    of_ven: frozenset[str],
) -> None:
    """Whatever was granted: a resource in a report matches a target of the event, if there is one."""
    sites = [Reportable(f"r{name}", name, targets) for name, targets in zip("ab", granted, strict=True)]
    for one in resources_of(of_descriptor, of_event, sites, of_ven):
        meaning = {one.resource_name} | one.targets | of_ven
        assert not of_event or of_event & meaning
        assert not of_descriptor or of_descriptor & meaning
