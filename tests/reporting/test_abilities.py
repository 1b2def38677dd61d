"""Capacities and commands of resources: limits, regulation, setpoints, states (row 56)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.reporting.samples import HOUR, T0, at, event, last, measured
from venclient.model.reading import Measure, Quality
from venclient.reporting.builder import Built, build_report
from venclient.reporting.needs import needs
from venclient.reporting.obligations import Obligation, owed
from venclient.reporting.payloads import BuildOptions, InForce, Setpoints
from venclient.reporting.targets import Limits, Reportable

OPTIONS = BuildOptions(client_name="ven-1")
BATTERY = Reportable("r1", "battery", resource_type="BATTERY", limits=Limits(5.0, -4.0, 10.0, 1.0))
HEATER = Reportable("r1", "heater", resource_type="DSR", limits=Limits(6.0, 0.0))
ROOF = Reportable("r1", "roof", resource_type="PV", limits=Limits(0.0, -8.0))


def build(
    resource: Reportable,
    kind: str,
    kw: float | None = None,
    soc: float | None = None,
    setpoints: Setpoints | None = None,
    **asked: Any,
) -> Built:
    """Build a report of one payload type over one hour, measured as said."""
    one = obligation({"payloadType": kind, **asked})
    measures: dict[tuple[str, Any, Any], Measure] = {}
    for need in needs(one, [resource], OPTIONS):
        for start, end in need.grid if kw is not None else ():
            held = {} if soc is None else last("soc_percent", soc, end)
            measures["r1", start, end] = measured("r1", start, end, kw or 0.0, last=held)
    return build_report(one, [resource], measures, OPTIONS, setpoints or {})


def obligation(asked: Mapping[str, Any]) -> Obligation:
    """Return the report on one hour."""
    (found,) = owed(event(1, asked), anchor=T0, first_seen=T0 - HOUR, after=None, until=at(9))
    return found


def value(built: Built) -> object:
    """Return the first reported value, None for a report without any."""
    assert built.report is not None
    payload = built.report.resources[0].intervals[0].payloads[0]
    return None if payload.type == "DATA_QUALITY" else payload.values[0]


@pytest.mark.parametrize("historical", [True, False])
@pytest.mark.parametrize(
    ("kind", "units", "expected"),
    [
        ("STORAGE_USABLE_CAPACITY", None, 9.0),
        ("STORAGE_USABLE_CAPACITY", "WH", 9000.0),
        ("STORAGE_MAX_CHARGE_POWER", None, 5.0),
        ("STORAGE_MAX_DISCHARGE_POWER", "W", 4000.0),
    ],
)
def test_row_56_limits_of_a_storage(kind: str, units: str | None, expected: float, historical: bool) -> None:
    """The registry's data on a storage is reported in the unit that is asked for."""
    assert value(build(BATTERY, kind, units=units, historical=historical)) == expected


def test_row_58_limit_that_nobody_wrote_down_is_missing() -> None:
    """Without a capacity, the report has no value."""
    assert value(build(Reportable("r1", "x"), "STORAGE_MAX_CHARGE_POWER")) is None


@pytest.mark.parametrize(
    ("resource", "kw", "soc", "up", "down"),
    [
        (HEATER, 2.0, None, 2.0, 4.0),
        (HEATER, 0.0, None, 0.0, 6.0),
        (BATTERY, 1.0, 50.0, 5.0, 4.0),  # 4 kWh above the least, 5 below full: an hour of either is held
        (BATTERY, 1.0, 15.0, 1.5, 4.0),  # half a kWh left above the least: half a kW for an hour
        (BATTERY, 1.0, 100.0, 5.0, 0.0),  # full: it cannot even go on charging
        (ROOF, -5.0, None, 0.0, 5.0),
    ],
)
def test_row_56_regulation_available(
    resource: Reportable, kw: float, soc: float | None, up: float, down: float
) -> None:
    """Power that can go up or down from what it is, within the limits, for as long as the interval."""
    assert value(build(resource, "UP_REGULATION_AVAILABLE", kw, soc)) == pytest.approx(up)
    assert value(build(resource, "DOWN_REGULATION_AVAILABLE", kw, soc)) == pytest.approx(down)


def test_row_48_regulation_ahead_goes_on_from_now() -> None:
    """Ahead, the state is that of the quarter of an hour before the window."""
    built = build(HEATER, "UP_REGULATION_AVAILABLE", 2.0, historical=False)

    assert value(built) == 2.0
    assert built.report is not None
    assert (built.report.payload_descriptors or [])[0].reading_type == "FORECAST"


def test_row_58_storage_of_unknown_charge_offers_nothing() -> None:
    """What a battery could give is unknown without its state of charge."""
    assert value(build(BATTERY, "UP_REGULATION_AVAILABLE", 1.0)) is None


def test_row_56_setpoint_is_the_one_in_force() -> None:
    """The newest setpoint of the interval is reported, in the unit that is asked for."""
    held = {"r1": [InForce(3.0, at(-1), at(0.5), "KW"), InForce(2.5, at(0.5), None, "KW")]}

    assert value(build(BATTERY, "SETPOINT", setpoints=held, units="W")) == 2500.0
    assert value(build(BATTERY, "SETPOINT", setpoints=held)) == 2.5
    assert value(build(BATTERY, "SETPOINT", setpoints={"r1": [InForce("eco", at(0))]})) == "eco"


def test_row_58_setpoint_is_unknown_without_any() -> None:
    """The setpoint of a resource that received none is unknown."""
    over = {"r1": [InForce(3.0, at(-2), at(-1))]}

    assert value(build(BATTERY, "SETPOINT")) is None
    assert value(build(BATTERY, "SETPOINT", setpoints=over)) is None
    assert (
        value(
            build(BATTERY, "SETPOINT", setpoints={"r1": [InForce(50.0, at(0), None, "PERCENT")]}, units="KW")
        )
        is None
    )


@pytest.mark.parametrize(
    ("kw", "effect", "expected"),
    [
        (2.0, None, "RUNNING_NORMAL"),
        (0.01, None, "IDLE_NORMAL"),
        (2.0, "curtailed", "RUNNING_CURTAILED"),
        (0.01, "heightened", "IDLE_HEIGHTENED"),
        (2.0, "opted-out", "RUNNING_OPTED_OUT"),
    ],
)
def test_row_56_operating_state(kw: float, effect: Any, expected: str) -> None:
    """The state of a resource follows from whether it runs or idles, and from its setpoint."""
    held: Setpoints = {"r1": [InForce(1.0, at(0), effect=effect)]} if effect else {}

    assert value(build(HEATER, "OPERATING_STATE", kw, setpoints=held)) == expected


def test_row_56_resource_that_is_not_heard_is_in_error() -> None:
    """Without a reading in the interval the state is ERROR, because the resource cannot be addressed."""
    one = obligation({"payloadType": "OPERATING_STATE"})
    silent = Measure(resource_id="r1", start=at(0), end=at(1), last=last("power_kw", 2.0, at(-1)))
    built = build_report(one, [HEATER], {("r1", at(0), at(1)): silent}, OPTIONS)

    assert value(built) == "ERROR"
    assert Quality.MISSING is silent.quality


def test_row_54_abilities_are_summed_and_states_are_not() -> None:
    """Power that is available adds up; a state of several resources means nothing."""
    two = [HEATER, Reportable("r2", "other", resource_type="DSR", limits=Limits(6.0, 0.0))]
    summed = obligation({"payloadType": "UP_REGULATION_AVAILABLE", "aggregate": True})
    measures = {(id_, at(0), at(1)): measured(id_, at(0), at(1), 2.0) for id_ in ("r1", "r2")}
    state = obligation({"payloadType": "OPERATING_STATE", "aggregate": True})

    assert value(build_report(summed, two, measures, OPTIONS)) == 4.0
    assert "cannot be summed" in build_report(state, two, measures, OPTIONS).omissions[0]
