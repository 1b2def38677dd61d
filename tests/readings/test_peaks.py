"""A capacity proposed from what was measured, where it is only assumed or missing."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from venclient import checkup
from venclient.clock import ManualClock
from venclient.model.capacities import default_capacities
from venclient.model.reading import POWER_KW, Quality, Reading
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource, ResourceType
from venclient.readings.peaks import power_peaks
from venclient.readings.sqlite import SqliteReadings
from venclient.readings.tables import open_tables

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOTEL = default_capacities(ResourceType.DSR, "Hotels")


def site(id_: str, capacities: dict[str, Any]) -> Resource:
    """Return a hotel."""
    link = Connection(ConnectionType.MODBUSTCP, ActorType.READER, "192.0.2.1")
    return Resource(id_, f"Hotel {id_}", "DSR", "Hotels", id_, link, capacities, {})


async def test_peaks_are_of_trusted_readings_fresh_and_compressed(tmp_path: Path) -> None:
    """What is out of range, of another quantity, or older than a week does not count."""
    clock = ManualClock(NOON)
    path = tmp_path / "r.db"
    store = SqliteReadings(path, clock)
    values = [(-10, 900.0), (-2, 80.0), (-1, -5.0), (-0.1, 30.0)]
    store.add([Reading("a", POWER_KW, value, NOON + timedelta(days=days)) for days, value in values])
    store.add(
        [Reading("a", POWER_KW, 5000.0, NOON, Quality.OUT_OF_RANGE), Reading("a", "voltage_v", 230, NOON)]
    )
    store.add([Reading("b", POWER_KW, 3.0, NOON)])
    await store.flush()
    await store.upkeep()
    await store.close()

    with closing(open_tables(path, read_only=True)) as tables:
        assert power_peaks(tables, ["a", "b", "c"], NOON) == {"a": (-5, 80), "b": (3, 3)}
        assert power_peaks(tables, ["c"], NOON) == {}


@pytest.mark.parametrize(
    ("capacities", "peaks", "code", "changes"),
    [
        (HOTEL, (2.0, 31.2), "VEN-RDG-070", "capacities.P_max_kw=35"),
        (HOTEL, (-8.0, 312.0), "VEN-RDG-070", "capacities.P_max_kw=350 capacities.P_min_kw=-8.8"),
        ({}, (0.0, 0.7), "VEN-RDG-071", "capacities.P_max_kw=0.77"),
    ],
)
def test_capacity_is_proposed_from_what_was_measured(
    capacities: dict[str, Any], peaks: tuple[float, float], code: str, changes: str
) -> None:
    """The command to enter it stands in the advice, with a tenth to spare."""
    [found] = checkup.of_capacities([site("a", capacities)], {"a": peaks})

    assert (found.state, found.code) == ("warn", code)
    assert found.advice.endswith(f"ven resources set --text 'Hotel a' {changes}")


def test_entered_capacity_or_nothing_measured_is_no_finding() -> None:
    """Only what is assumed or missing is proposed."""
    sites = [site("a", {"P_max_kw": 60}), site("b", HOTEL)]

    assert checkup.of_capacities(sites, {"a": (0, 30)}) == []


def test_many_assumed_capacities_are_counted() -> None:
    """A few are named, the others are in one line."""
    sites = [site(str(n), HOTEL) for n in range(10)]
    found = checkup.of_capacities(sites, {one.resourceID: (0, 30) for one in sites})

    assert [one.code for one in found] == ["VEN-RDG-070"] * checkup.NAMED + ["VEN-RDG-072"]
