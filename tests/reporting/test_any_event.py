"""Any event is planned, reported and written, or named: nothing crashes and no body is wrong."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.reporting.bench import Bench
from tests.reporting.samples import EACH, at, event, measured
from tests.simulation.vtn.contract import load_contract
from venclient.model.reading import Quality
from venclient.openadr.codec import CODEC_31
from venclient.openadr.objects import Event
from venclient.openadr.schedule import active, operating
from venclient.reporting import planner
from venclient.reporting.adhoc import AtWill, adhoc_due
from venclient.reporting.bodies import gaps_of
from venclient.reporting.builder import build_report
from venclient.reporting.needs import needs
from venclient.reporting.obligations import Obligation, agenda, agenda_steps
from venclient.reporting.payloads import BuildOptions
from venclient.reporting.targets import Limits, Reportable

LIMITS = Limits(5.0, -3.0, 10.0, 1.0)
RESOURCES = [
    Reportable("r1", "A", frozenset({"ta"}), limits=LIMITS, resource_type="BATTERY", interval_s=1800.0),
    Reportable("r2", "B", limits=LIMITS, units={"USAGE": "WH"}),
    Reportable("r3", "C", reading_type="PEAK"),
]
OPTIONS = BuildOptions(client_name="ven-1", ven_targets=frozenset({"ven"}), zone=UTC)
DAYS_END = datetime(9999, 12, 31, 23, tzinfo=UTC)

durations = st.sampled_from(
    [None, "PT1H", "PT15M", "PT7M", "P1D", "P1M", "P9999Y", "P9999Y0M0DT0H0M0S", "PT0S", "-PT1H", "", "x"]
)
starts = st.sampled_from(
    [
        *(None, "", "x", "0001-01-01", "0000-00-00", "0001-01-01T00:00:00+00:00", "2026-01-01T00:00:00Z"),
        *("2026-01-01T03:00:00+05:30", "2025-12-31T12:00:00.5Z", "1900-01-01T00:00:00Z"),
        "9999-12-31T23:00:00Z",
    ]
)
periods = st.fixed_dictionaries(
    {}, optional={"start": starts, "duration": durations, "randomizeStart": durations}
)
numbers = st.sampled_from([-1, 0, 1, 2, 3, -2, 10**6, 10**12, None, "2", 3.0])
descriptors = st.fixed_dictionaries(
    {
        "payloadType": st.sampled_from(
            [
                *(
                    "USAGE",
                    "DEMAND",
                    "READING",
                    "STORAGE_CHARGE_LEVEL",
                    "BASELINE",
                    "USAGE_FORECAST",
                    "X_OURS",
                ),
                *("OPERATING_STATE", "DATA_QUALITY", "UP_REGULATION_AVAILABLE", "SETPOINT", "DELTA_USAGE"),
            ]
        )
    },
    optional={
        "startInterval": numbers,
        "numIntervals": numbers,
        "frequency": st.one_of(numbers, st.sampled_from(["PT15M", "PT1H", "P1D", "often"])),
        "repeat": numbers,
        "historical": st.sampled_from([True, False, None]),
        "aggregate": st.booleans(),
        "units": st.sampled_from([None, "", "KWH", "WH", "W", "KW", "PERCENT", "VOLTS"]),
        "readingType": st.sampled_from([None, "MEAN", "PEAK", "FORECAST", "x"]),
        "targets": st.sampled_from([None, [], ["A"], ["nobody"], ["ta", "B"]]),
        "reportIntervals": st.sampled_from([None, "INTERVALS", "SUB_INTERVALS", "OPEN_INTERVALS", "x"]),
    },
)
intervals = st.fixed_dictionaries(
    {"id": st.integers(0, 3), "payloads": st.just([{"type": "PRICE", "values": [1, 2, 3]}])},
    optional={"intervalPeriod": periods},
)
events = st.fixed_dictionaries(
    {"id": st.just("E"), "programID": st.just("P"), "reportDescriptors": st.lists(descriptors, max_size=4)},
    optional={
        "intervalPeriod": periods,
        "duration": durations,
        "intervals": st.lists(intervals, max_size=6),
        "targets": st.sampled_from([[], ["A"], ["ven"], ["nobody"]]),
    },
)


def owed_by(one: Event, seen: datetime) -> list[Obligation]:
    """Return some of the reports of an event, both scheduled and unscheduled."""
    plan = agenda(one, None, anchor=seen, client_name="ven-1")
    found = list(islice(plan.falling_due(first_seen=seen, after=None, until=at(1000)), 8))
    assert all(a.due <= b.due for a, b in pairwise(found))
    for group, life in plan.at_will:
        cuts = adhoc_due(life, told_until=life.first_untold(seen), changes=[at(0.1), at(3)], until=at(30))
        found += [plan.told_at_will(group, *cut) for cut in islice(cuts, 4)]
    return found


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events, st.sampled_from([-5.0, 0.0, 1.1, 40.0]), st.randoms(use_true_random=False))
def test_row_18_any_event_is_planned_and_told_as_the_standard_writes_it(
    shared: Path, raw: dict[str, Any], seen: float, dice: Any
) -> None:
    """Names are unique and short; bodies keep to the official document, numbers are floats, none is empty."""
    contract = load_contract(shared / "openadr/3.1.1/openadr3.yaml")
    listed = CODEC_31.decode_list(Event, json.dumps([raw]).encode())
    assert not listed.refused
    one = listed.items[0]
    line = operating(one, anchor=at(seen), ven="ven-1")
    assert all(slot is None or slot.holds(at(hours)) for hours in (0, 3) if [slot := active(line, at(hours))])
    named: dict[str, Obligation] = {}
    for due in owed_by(one, at(seen)):
        assert named.setdefault(due.report_name, due).spans == due.spans
        assert len(due.report_name) <= 128
        if (due.end - due.start) > timedelta(days=2) or len(due.spans) > 100:
            continue
        measures = {
            (id_, a, b): measured(
                id_,
                a,
                b,
                dice.choice([2.0, 0, -1.0]),
                quality=dice.choice(list(Quality)),
                coverage=dice.random(),
            )
            for need in needs(due, RESOURCES, OPTIONS)
            for id_ in need.resource_ids
            for a, b in need.grid
            if dice.random() < 0.8
        }
        report = build_report(due, RESOURCES, measures, OPTIONS).report
        if report is None:
            continue
        gaps_of(report, due, RESOURCES)
        body = json.loads(CODEC_31.report_request(report))
        assert contract.schema_errors("reportRequest", body) == []
        declared = [said["payloadType"] for said in body["payloadDescriptors"]]
        assert len(declared) == len(set(declared))
        for interval in (each for part in body["resources"] for each in part["intervals"]):
            types = [payload["type"] for payload in interval["payloads"]]
            assert types
            assert "DATA_QUALITY" not in types or len(types) <= 2
            values = [value for payload in interval["payloads"] for value in payload["values"]]
            assert not any(isinstance(value, int) and not isinstance(value, bool) for value in values)


@pytest.mark.parametrize("cadence_s", [None, 86_400.0])
def test_row_52_reports_at_will_end_with_the_calendar(cadence_s: float | None) -> None:
    """An event in the last hour that can be written has the reports that fit, and breaks nothing."""
    life = AtWill(DAYS_END, cadence_s=cadence_s)
    late = [DAYS_END + timedelta(minutes=59, seconds=55)]

    assert life.next_cut(DAYS_END) is None
    assert [*adhoc_due(life, told_until=late[0], changes=late, until=DAYS_END)] == []
    assert life.next_cut(late[0] - timedelta(seconds=1), late) is not None


async def test_an_event_that_we_stumble_over_stops_no_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug met with one event is reported and logged; the reports of the others are sent."""

    def made(one: Event, *rest: Any, **more: Any) -> Any:
        if one.id == "bad":
            raise ZeroDivisionError
        return agenda_steps(one, *rest, **more)

    monkeypatch.setattr(planner, "agenda_steps", made)
    bench.list_events(event(1, EACH, id_="bad"), event(1, EACH, id_="good"))
    with caplog.at_level(logging.ERROR):
        result = await bench.run_to(1.1)

    assert [report.event_id for report in bench.vtn.stored] == ["good"]
    assert any("event bad" in note and "VEN-REP-011" in note for note in result.notes)
    assert sum("event bad" in record.message for record in caplog.records) >= 1
