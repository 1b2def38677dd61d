"""Values that cannot be meant are kept, never used, and reported once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings

from tests.kinds import P_MAX_KW, power_without_limit, quantity_beyond_its_range
from venclient.model.capacities import default_capacities
from venclient.model.quality import MeterRules, meter_rules, quantity_rules
from venclient.model.reading import ENERGY_KWH, INTERVAL_ENERGY_KWH, POWER_KW, Quality, Reading
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource, ResourceType
from venclient.readings.judging import Judge, Judged
from venclient.readings.plausible import is_extreme
from venclient.readings.rollup import measure

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
GOOD, OUT = Quality.GOOD, Quality.OUT_OF_RANGE


def resource_with(capacities: dict[str, Any], sub_type: str = "Hotels", **options: Any) -> Resource:
    """Return a site with capacities."""
    link = Connection(ConnectionType.MODBUSTCP, ActorType.READER, "192.0.2.1", options=options or None)
    return Resource("m", "Hotel", "DSR", sub_type, "m", link, capacities, {})


def judge_for(resource: Resource) -> Judge:
    """Return the judge of a site."""
    rules = quantity_rules(resource.connection.options)
    return Judge(resource.resourceName, rules, meter_rules(resource))


def judged(judge: Judge, points: Sequence[tuple[float, float]], quantity: str = POWER_KW) -> Judged:
    """Return what becomes of a series that comes in one go."""
    readings = [Reading("m", quantity, value, NOON + timedelta(seconds=second)) for second, value in points]
    return judge.judge(readings, NOON)


ENTERED = resource_with({"P_max_kw": P_MAX_KW})
ASSUMED = resource_with(default_capacities(ResourceType.DSR, "Hotels"))


@settings(max_examples=150, deadline=None)
@given(power_without_limit())
@pytest.mark.parametrize("resource", [ENTERED, ASSUMED, resource_with({})])
def test_power_without_limit_is_kept_and_never_used(
    resource: Resource, drawn: tuple[list[tuple[float, float]], set[int]]
) -> None:
    """Each wrong value is out of range, the others are good, and it is reported once."""
    points, places = drawn
    found = judged(judge_for(resource), points)
    end = NOON + timedelta(seconds=points[-1][0])
    energy = measure("m", {POWER_KW: found.readings}, NOON, end, rules=meter_rules(resource)).energy_kwh

    assert [one.value for one in found.readings] == [value for _, value in points]
    assert {n for n, one in enumerate(found.readings) if one.quality is OUT} == places
    assert [text.code for text in found.said] == ["VEN-RDG-054"]
    assert energy is None or abs(energy) <= P_MAX_KW * points[-1][0] / 3600 + 1e-9


@settings(max_examples=60, deadline=None)
@given(quantity_beyond_its_range())
def test_quantity_beyond_its_range_is_out_of_range(drawn: tuple[str, float, float]) -> None:
    """Every quantity with a natural range has that limit without a rule."""
    quantity, right, wrong = drawn
    found = judged(judge_for(ENTERED), [(0, right), (10, wrong), (20, right), (30, 0.0)], quantity)

    assert [one.quality for one in found.readings] == [GOOD, OUT, GOOD, GOOD]


@pytest.mark.parametrize(
    ("capacities", "limit_kw"),
    [
        ({"P_max_kw": 25, "P_min_kw": -40}, 200),
        ({"P_max_kw": 60, "P_min_kw": -20, "E_max_kwh": 200, "E_min_kwh": 0}, 300),
        (default_capacities(ResourceType.DSR, "Hotels"), 10_000),
        ({}, 10_000),
        (default_capacities(ResourceType.DSR, "Hotels") | {"E_max_kwh": 500}, 10_000),
        (default_capacities(ResourceType.DSR, "Hotels") | {"P_min_kw": -10}, 10_000),
        (default_capacities(ResourceType.DSR, "Hotels") | {"P_min_kw": -90}, 450),
        (default_capacities(ResourceType.DSR, "Hotels") | {"P_max_kw": 5}, 100),
        ({"P_max_kw": 0}, 10_000),
        ({"P_max_kw": 40_000}, 200_000),
    ],
)
def test_power_is_limited_by_what_was_entered(capacities: dict[str, Any], limit_kw: float) -> None:
    """Five times an entered capacity, both ways; 10 MW where it is assumed or missing."""
    points = [(0, limit_kw), (10, limit_kw * 1.001), (20, -limit_kw), (30, -limit_kw * 1.001)]
    found = judged(judge_for(resource_with(capacities)), points)

    assert [one.quality for one in found.readings] == [GOOD, OUT, GOOD, OUT]


def test_range_of_the_connection_replaces_the_natural_one() -> None:
    """Each side that the options give counts in place of the default."""
    wide = resource_with({"P_max_kw": 25}, quality={POWER_KW: {"range": {"max": 900}}})
    found = judged(judge_for(wide), [(0, 900), (10, 901), (20, -125), (30, -126), (40, 0x7FFFFFFF / 1000)])

    assert [one.quality for one in found.readings] == [GOOD, OUT, GOOD, OUT, OUT]


def test_impossible_value_is_reported_again_after_a_day() -> None:
    """A device that fails for weeks is named once a day, not each time."""
    judge = judge_for(ENTERED)
    codes = [
        [text.code for text in judge.judge([Reading("m", POWER_KW, 1e9, now)], now).said]
        for now in (NOON + timedelta(hours=hours) for hours in (0, 1, 23, 24, 25))
    ]

    assert codes == [["VEN-RDG-054"], [], [], ["VEN-RDG-054"], []]


@pytest.mark.parametrize("value", [0x7FFFFFFF / 1000, 0xFFFFFFFF / 1000, float(2**64 - 1), 3.4e38])
def test_register_at_the_end_of_its_type_is_out_of_range(value: float) -> None:
    """The largest number of a type is not a count."""
    found = judged(judge_for(ENTERED), [(0, 1000), (10, value), (20, 1000.01)], ENERGY_KWH)

    assert [one.quality for one in found.readings] == [GOOD, OUT, GOOD]


def test_energy_of_an_interval_is_limited_by_the_power() -> None:
    """A quarter of an hour of a site of 25 kW has at most 31 kWh."""
    found = judged(judge_for(ENTERED), [(0, 6), (900, 31), (1800, 32), (2700, 5)], INTERVAL_ENERGY_KWH)

    assert [one.quality for one in found.readings] == [GOOD, GOOD, OUT, GOOD]


@pytest.mark.parametrize(
    ("quantity", "value"),
    [
        ("voltage_v", 12.0),
        ("voltage_v", -0.2),
        ("voltage_v", 1500.0),
        ("frequency_hz", 59.7),
        ("current_a", 2600.0),
        ("current_l2_a", -543.0),
        ("battery_w", -9.9e6),
        ("load_percent", 130.0),
        ("temperature_c", -40.0),
    ],
)
def test_quantity_within_its_range_is_good(quantity: str, value: float) -> None:
    """Batteries of 12 V and 48 V, noise around zero, grids of 60 Hz: all of that is real."""
    [found] = judged(judge_for(ENTERED), [(0, value)], quantity).readings

    assert found.quality is GOOD


@pytest.mark.parametrize(("quantity", "code"), [("gas_m3", "VEN-RDG-221"), ("power_kw", "VEN-RDG-220")])
def test_report_of_an_impossible_value_says_what_is_expected(quantity: str, code: str) -> None:
    """A quantity without a natural range is not expected between two infinities."""
    [said] = judged(judge_for(ENTERED), [(0, 4294967.295)], quantity).said

    assert said.params["expected"].code == code


@pytest.mark.parametrize("value", [0.0, 5.0, 32.767, 65535, 21_474.8, 4294967.2, 2147480.0])
def test_usual_values_are_not_the_end_of_a_type(value: float) -> None:
    """Only the exact numbers are."""
    assert not is_extreme(value)


def test_capacity_of_another_kind_is_entered() -> None:
    """Only the defaults of a site's own kind are taken for assumed."""
    hotel = default_capacities(ResourceType.DSR, "Hotels")

    assert not meter_rules(resource_with(hotel)).entered
    assert meter_rules(resource_with(hotel, "Bars")).entered
    assert meter_rules(resource_with(hotel | {"P_max_kw": 51})).entered
    assert MeterRules(most_kw=250).limit_kw == 10_000
