"""Compares reported with actual consumption of a virtual site. Pure: reports in, rows out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from venclient.messages import simulation as sim

TOLERANCE_PERCENT = 0.5


@dataclass(frozen=True)
class EnergyRow:
    """One resource: energy reported to the VTN and energy used, over the same intervals (kWh)."""

    name: str
    intervals: int
    told_kwh: float
    true_kwh: float
    demand_kw: float | None

    @property
    def error_percent(self) -> float:
        """Difference of reported from used energy, in percent of the used energy."""
        if self.true_kwh == 0:
            return 0.0 if self.told_kwh == 0 else float("inf")
        return abs(self.told_kwh - self.true_kwh) / abs(self.true_kwh) * 100


def energy_rows(
    reports: Sequence[Mapping[str, Any]],
    names: Mapping[str, str],
    grid: Mapping[int, tuple[datetime, datetime]],
    truth_kwh: Callable[[str, datetime, datetime], float],
) -> list[EnergyRow]:
    """Return a row per resource of `names` (resource name -> resource id).

    `reports` are report objects as the VTN holds them; `grid` has each event interval's span by its
    id. An interval that was reported twice counts twice, and shows as an error.
    """
    rows = []
    for name, resource_id in names.items():
        told_kwh, true_kwh, spans, demands = 0.0, 0.0, set(), []
        for report in reports:
            for part in report["resources"]:
                if part["resourceName"] != name:
                    continue
                for interval in part["intervals"]:
                    values = {one["type"]: one["values"][0] for one in interval["payloads"]}
                    if "USAGE" in values:
                        told_kwh += float(values["USAGE"])
                        spans.add(grid[interval["id"]])
                    if "DEMAND" in values:
                        demands.append(float(values["DEMAND"]))
        for start, end in spans:
            true_kwh += truth_kwh(resource_id, start, end)
        demand_kw = sum(demands) / len(demands) if demands else None
        rows.append(EnergyRow(name, len(spans), told_kwh, true_kwh, demand_kw))
    return rows


def verdicts(
    rows: Sequence[EnergyRow],
    *,
    intervals: int,
    accepted: int,
    sent: int,
    refused: int,
    readings: Mapping[str, int],
) -> list[tuple[bool, str]]:
    """Return what was checked, each with whether it held."""
    checks: list[tuple[bool, str]] = [
        (count > 0, sim.CHECK_READINGS(kind=kind, count=count)) for kind, count in sorted(readings.items())
    ]
    checks.append(
        (
            accepted == sent == intervals and refused == 0,
            sim.CHECK_REPORTS(sent=sent, accepted=accepted, refused=refused, expected=intervals),
        )
    )
    for row in rows:
        held = row.intervals == intervals and row.error_percent <= TOLERANCE_PERCENT
        said = sim.CHECK_ENERGY(
            resource=row.name, percent=row.error_percent, intervals=row.intervals, expected=intervals
        )
        checks.append((held, said))
    return checks
