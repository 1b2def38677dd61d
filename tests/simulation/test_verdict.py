"""The demo's verdict: it holds only if the VTN was sent the truth, once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from venclient.simulation.verdict import energy_rows, verdicts

START = datetime(2026, 5, 1, tzinfo=UTC)
GRID = {n: (START + timedelta(seconds=10 * n), START + timedelta(seconds=10 * n + 10)) for n in range(2)}


def report(interval: int, kwh: float) -> dict[str, Any]:
    """Build a report of one interval for one resource."""
    payloads = [{"type": "USAGE", "values": [kwh]}, {"type": "DEMAND", "values": [kwh * 360]}]
    return {"resources": [{"resourceName": "m", "intervals": [{"id": interval, "payloads": payloads}]}]}


def judge(*reports: dict[str, Any]) -> list[bool]:
    """Return which checks hold for a load of 36 kW."""
    rows = energy_rows(
        reports, {"m": "id-m"}, GRID, lambda _, start, end: (end - start).total_seconds() * 36 / 3600
    )
    found = verdicts(rows, intervals=2, accepted=len(reports), sent=2, refused=0, readings={"MQTT": 5})
    return [held for held, _ in found]


def test_the_truth_once_passes() -> None:
    """Both intervals with the right energy: every check holds."""
    assert judge(report(0, 0.1), report(1, 0.1)) == [True, True, True]


def test_one_percent_off_fails() -> None:
    """An error above half a percent fails the resource's check."""
    assert judge(report(0, 0.102), report(1, 0.1)) == [True, True, False]


def test_an_interval_told_twice_fails() -> None:
    """A doubled interval is found by the count of reports and by the energy."""
    assert judge(report(0, 0.1), report(0, 0.1), report(1, 0.1)) == [True, False, False]


def test_a_missing_interval_fails() -> None:
    """What was never reported cannot pass for reported."""
    assert judge(report(0, 0.1)) == [True, False, False]
