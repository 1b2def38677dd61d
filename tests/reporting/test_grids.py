"""Parts of intervals and open intervals, by each resource's own cadence (row 53)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reporting.samples import T0, at, event, measured, reportables
from venclient.model.reading import Measure, Quality
from venclient.openadr.objects import Report, ReportResource
from venclient.reporting.builder import Built, build_report
from venclient.reporting.grids import cell_counts, cells
from venclient.reporting.needs import gathered, needs
from venclient.reporting.obligations import Obligation, Span, owed
from venclient.reporting.payloads import BuildOptions
from venclient.reporting.targets import Reportable

OPTIONS = BuildOptions(client_name="ven-1")
SUB, OPEN = "SUB_INTERVALS", "OPEN_INTERVALS"


def obligation(count: int, *descriptors: dict[str, Any], **members: Any) -> Obligation:
    """Return the report at the end of an event of `count` hours."""
    (found,) = owed(event(count, *descriptors, **members), anchor=T0, first_seen=T0, after=None, until=at(99))
    return found


async def growing(
    ids: Sequence[str], grid: Sequence[tuple[datetime, datetime]]
) -> Mapping[tuple[str, datetime, datetime], Measure]:
    """Measure one kW in the first hour, two in the second, and so on."""
    return {
        (id_, a, b): measured(id_, a, b, float((a - T0).total_seconds() // 3600 + 1))
        for id_ in ids
        for a, b in grid
    }


async def built(one: Obligation, *resources: Reportable, options: BuildOptions = OPTIONS) -> Built:
    """Build a report of what `growing` measures."""
    return build_report(one, resources, await gathered(growing, one, resources, options), options)


def rows(part: ReportResource) -> list[tuple[int, str | None, str | None, object]]:
    """Return (id, own start, own duration, first value) of each interval."""
    found: list[tuple[int, str | None, str | None, object]] = []
    for one in part.intervals:
        period = one.interval_period
        times = (period.start, period.duration) if period else (None, None)
        found.append((one.id, *times, one.payloads[0].values[0]))
    return found


def report_of(one: Built) -> Report:
    """Return the report, which must exist."""
    assert one.report is not None
    return one.report


async def test_row_53_sub_intervals_share_the_events_id() -> None:
    """A quarter-hour meter under one-hour intervals reports four values per id, each with its own period."""
    one = obligation(2, {"reportIntervals": SUB}, first_id=7)
    (part,) = report_of(await built(one, *reportables("hotel"))).resources

    found = rows(part)
    assert [id_ for id_, *_ in found] == [7] * 4 + [8] * 4
    assert found[1] == (7, "2026-01-01T00:15:00Z", "PT15M", 0.25)
    assert found[4] == (8, "2026-01-01T01:00:00Z", "PT15M", 0.5)


async def test_row_53_each_resource_has_its_own_cadence() -> None:
    """The reporting interval of a resource says how long its parts are."""
    fast, slow = Reportable("r1", "fast", interval_s=300), Reportable("r2", "slow", interval_s=1800)
    one = obligation(1, {"reportIntervals": SUB})
    parts = report_of(await built(one, fast, slow)).resources

    assert [len(part.intervals) for part in parts] == [12, 2]
    assert rows(parts[1])[1][1:3] == ("2026-01-01T00:30:00Z", "PT30M")


async def test_row_53_setting_decides_where_the_resource_does_not() -> None:
    """Without a reporting interval the setting's length counts; a longer one leaves the interval whole."""
    one = obligation(1, {"reportIntervals": SUB})
    for every_s, count in ((600.0, 6), (7200.0, 1)):
        options = BuildOptions(client_name="v", sub_interval_s=every_s)
        (part,) = report_of(await built(one, *reportables("hotel"), options=options)).resources
        assert len(part.intervals) == count


async def test_row_53_open_intervals_have_ids_of_their_own() -> None:
    """Open intervals count from 0, may be longer than the event's, and cover the same time."""
    one = obligation(4, {"reportIntervals": OPEN}, first_id=7)
    (part,) = report_of(await built(one, Reportable("r1", "hotel", interval_s=7200))).resources

    assert rows(part) == [
        (0, "2026-01-01T00:00:00Z", "PT2H", 2.0),
        (1, "2026-01-01T02:00:00Z", "PT2H", 6.0),
    ]


async def test_row_53_a_sum_takes_the_slowest_cadence() -> None:
    """An aggregate's parts are as long as the longest of its resources', which all of them can report."""
    fast, slow = Reportable("r1", "fast", interval_s=300), Reportable("r2", "slow", interval_s=1800)
    one = obligation(1, {"reportIntervals": SUB, "aggregate": True})
    (part,) = report_of(await built(one, fast, slow)).resources

    assert rows(part) == [
        (0, "2026-01-01T00:00:00Z", "PT30M", 1.0),
        (0, "2026-01-01T00:30:00Z", "PT30M", 1.0),
    ]


def test_row_53_only_what_is_asked_for_is_measured() -> None:
    """Resources that no descriptor names are not read; those of one cadence are read together."""
    one = obligation(1, {"reportIntervals": SUB, "targets": ["a", "b"]})
    resources = [Reportable("r1", "a"), Reportable("r2", "b", interval_s=300), Reportable("r3", "c")]

    counts = {need.resource_ids: len(need.grid) for need in needs(one, resources, OPTIONS)}
    assert counts == {("r1",): 4, ("r2",): 12}


def test_gap_between_event_intervals_stays_a_gap() -> None:
    """Open intervals begin again after a gap, and the last is as long as what is left."""
    spans = [Span(0, at(0), at(1)), Span(1, at(2), at(2.5))]

    found = [(one.id, one.start, one.end) for one in cells(spans, OPEN, 2400)]
    assert found == [(0, at(0), at(2 / 3)), (1, at(2 / 3), at(1)), (2, at(2), at(2.5))]


def test_a_slip_in_the_configuration_cuts_nothing() -> None:
    """An interval that would fall into tens of thousands of parts stays whole."""
    assert len(cells([Span(0, at(0), at(24))], SUB, 0.001)) == 1


@pytest.mark.parametrize("kind", [SUB, OPEN])
async def test_row_58_unsound_values_are_told_apart(kind: str) -> None:
    """With several payload types, each that is not sound has an interval with its own quality."""
    one = obligation(1, {"reportIntervals": kind}, {"payloadType": "DEMAND", "reportIntervals": kind})
    measures = {
        ("r1", at(n / 4), at((n + 1) / 4)): measured(
            "r1", at(n / 4), at((n + 1) / 4), 4.0, quality=Quality.ESTIMATED if n == 1 else Quality.GOOD
        )
        for n in range(4)
    }
    (part,) = report_of(build_report(one, reportables("hotel"), measures, OPTIONS)).resources

    found = [[(one.type, one.values[0]) for one in interval.payloads] for interval in part.intervals]
    sound = [("USAGE", 1.0), ("DEMAND", 4.0)]
    assert found == [
        sound,
        [("USAGE", 1.0), ("DATA_QUALITY", "ESTIMATED")],
        [("DEMAND", 4.0), ("DATA_QUALITY", "ESTIMATED")],
        sound,
        sound,
    ]
    periods = [one.interval_period.start for one in part.intervals if one.interval_period]
    assert periods[1] == periods[2] == "2026-01-01T00:15:00Z"
    assert part.interval_period is None


def test_row_58_the_only_known_payload_of_an_interval_has_its_quality() -> None:
    """Where one of two payload types is unknown the other stands alone, with its quality beside it."""
    one = obligation(1, {}, {"payloadType": "STORAGE_CHARGE_LEVEL"})
    measures = {("r1", at(0), at(1)): measured("r1", at(0), at(1), 4.0, quality=Quality.ESTIMATED)}
    (part,) = report_of(build_report(one, reportables("hotel"), measures, OPTIONS)).resources

    found = [(one.type, one.values[0]) for one in part.intervals[0].payloads]
    assert found == [("USAGE", 4.0), ("DATA_QUALITY", "ESTIMATED")]


def test_row_58_quality_that_cannot_be_told_is_said() -> None:
    """Two unsound payloads of one plain interval go out, and the gateway says what it could not."""
    one = obligation(1, {}, {"payloadType": "DEMAND"})
    measures = {("r1", at(0), at(1)): measured("r1", at(0), at(1), 4.0, quality=Quality.ESTIMATED)}
    result = build_report(one, reportables("hotel"), measures, OPTIONS)

    assert len(report_of(result).resources[0].intervals[0].payloads) == 2
    assert "ESTIMATED" in result.omissions[0]


@settings(max_examples=50, deadline=None)
@given(
    hours=st.lists(st.floats(0.01, 3), min_size=1, max_size=5),
    every_s=st.floats(30, 9000),
    kind=st.sampled_from([SUB, OPEN]),
)
def test_row_53_parts_cover_exactly_the_window(hours: list[float], every_s: float, kind: str) -> None:
    """Whatever the lengths, the parts follow one another without gap or overlap, in the counted number."""
    edges = [T0]
    for one in hours:
        edges.append(at((edges[-1] - T0).total_seconds() / 3600 + one))
    spans = [Span(n, edges[n], edges[n + 1]) for n in range(len(hours))]
    found = cells(spans, kind, every_s)

    assert found[0].start == edges[0]
    assert found[-1].end == edges[-1]
    assert [one.start for one in found[1:]] == [one.end for one in found[:-1]]
    if kind == SUB:
        whole = Obligation(
            event_id="E",
            report_name="n",
            group="g",
            descriptors=obligation(1, {"reportIntervals": SUB}).descriptors,
            spans=tuple(spans),
            due=edges[-1],
        )
        assert sum(cell_counts(whole, [Reportable("r", "n")], every_s)) == len(found)
