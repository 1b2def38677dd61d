"""Standing telemetry: what is configured, what an event asks for, and what to ask the operator for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.counted import growth
from tests.reporting.samples import EACH, T0, at, event
from venclient.messages import code_of
from venclient.messages import reporting as rep
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.openadr.objects import Program
from venclient.reporting.obligations import Agenda, agenda
from venclient.reporting.standing import Standing, standing, wishes_of
from venclient.reporting.targets import Reportable

PROGRAM = Program(id="P1", program_name="telemetry")


def resource(name: str, **reporting: Any) -> Resource:
    """Return a resource that is configured to report."""
    connection = Connection(ConnectionType.MQTT, ActorType.READER, host="h", topic="t")
    return Resource(name, name, "DSR", None, "m", connection, {"P_max_kw": 5}, {}, reporting=reporting)


def stand(*resources: Resource, agendas: list[Agenda] | None = None, now: float = 0.5) -> Standing:
    """Return how the configurations stand with some events' agendas."""
    reportables = {
        one.resourceID: Reportable.of(one, one.resourceName)
        for one in resources
        if one.reporting != {"interval": "soon"}
    }
    for one in resources:
        reportables.setdefault(one.resourceID, Reportable(one.resourceID, one.resourceName))
    wishes, problems = wishes_of(resources, reportables)
    return standing(
        wishes,
        [(one, PROGRAM) for one in agendas or []],
        list(reportables.values()),
        at(now),
        problems=problems,
    )


def asking(*descriptors: dict[str, Any], **members: Any) -> Agenda:
    """Return the agenda of an event of four quarters of an hour."""
    return agenda(event(4, *descriptors, duration="PT15M", **members), PROGRAM, anchor=T0)


def test_wish_that_an_event_asks_for_is_carried() -> None:
    """A configured payload type is carried by the event whose descriptor names it."""
    found = stand(resource("hotel", payload_types=["USAGE"]), agendas=[asking(EACH)])

    assert [(one.wish.resource.resource_name, one.event_id, one.note) for one in found.carried] == [
        ("hotel", "E1", None)
    ]
    assert found.uncarried == ()


def test_wish_that_nobody_asks_for_says_what_to_ask_the_operator() -> None:
    """Without an event the sentence names resources, interval and the descriptor as JSON."""
    made = [resource(name, payload_types=["USAGE"], units="WH", interval="PT5M") for name in "abcde"]
    (one,) = stand(*made).uncarried

    asked = json.loads(one.descriptor)
    assert asked == {
        "payloadType": "USAGE",
        "units": "WH",
        "startInterval": 0,
        "numIntervals": 1,
        "frequency": 1,
        "repeat": -1,
    }
    said = str(one)
    assert "USAGE of a, b, c and 2 more every PT5M" in said
    assert code_of(one.text) == "VEN-REP-074"
    assert one.why == rep.NOT_REQUESTED()
    assert "intervals of PT5M" in said


@pytest.mark.parametrize(
    ("reporting", "members", "why"),
    [
        ({"program": "other"}, {}, str(rep.OTHER_PROGRAM(program="other"))),
        ({}, {"targets": ["elsewhere"]}, str(rep.OTHER_RESOURCES())),
        (
            {"reading_type": "PEAK", "payload_types": ["DEMAND"]},
            {"payloadType": "DEMAND"},
            str(rep.OTHER_READING(asked="DIRECT_READ", reading="PEAK")),
        ),
        (
            {"payload_types": ["X_MINE"]},
            {"payloadType": "X_MINE"},
            str(rep.CANNOT_MAKE(payload="X_MINE", reading="DIRECT_READ")),
        ),
    ],
)
def test_why_an_event_does_not_carry_a_wish(
    reporting: dict[str, Any], members: dict[str, Any], why: str
) -> None:
    """Each reason why a descriptor does not fit is reported."""
    config = {"payload_types": ["USAGE"], **reporting}
    (one,) = stand(resource("hotel", **config), agendas=[asking({**EACH, **members})]).uncarried

    assert why == one.why


def test_differences_of_what_is_carried_are_noted() -> None:
    """Another unit or length of interval is carried, and said."""
    made = resource("hotel", payload_types=["USAGE"], interval="PT5M", units="KWH")
    (one,) = stand(made, agendas=[asking({**EACH, "units": "WH"})]).carried

    assert one.note == "in WH, not KWH, in intervals of 900 s, not PT5M"


def test_parts_of_intervals_follow_the_resource() -> None:
    """SUB_INTERVALS are as long as the resource says: nothing differs."""
    made = resource("hotel", payload_types=["USAGE"], interval="PT5M")
    (one,) = stand(made, agendas=[asking({**EACH, "reportIntervals": "SUB_INTERVALS"})]).carried

    assert one.note is None


def test_event_that_is_over_carries_nothing() -> None:
    """An event of the past asks for nothing any more; one without an end does."""
    made = resource("hotel", payload_types=["USAGE"])
    endless = agenda(event(0, {"frequency": 0}, intervals=None, duration="PT1H"), PROGRAM, anchor=T0)

    assert len(stand(made, agendas=[asking(EACH)], now=9).uncarried) == 1
    assert len(stand(made, agendas=[endless], now=9).carried) == 1


def test_only_what_somebody_wrote_down_is_a_wish() -> None:
    """A resource without a reporting configuration is not mentioned; a wrong one is named."""
    silent = resource("silent")
    wrong = resource("wrong", interval="soon")
    found = stand(silent, wrong)

    assert found.uncarried == ()
    assert "wrong: reporting" in found.problems[0]


def test_configuration_of_a_resource_fills_what_a_descriptor_leaves_open() -> None:
    """Interval, units, limits and type of a resource come with its reportable."""
    one = Reportable.of(resource("hotel", interval="PT5M", units={"USAGE": "WH"}), "hotel")

    assert (one.interval_s, one.units, one.resource_type) == (300.0, {"USAGE": "WH"}, "DSR")
    assert one.limits.p_max_kw == 5.0
    assert one.limits.e_max_kwh is None
    assert Reportable.of(resource("other"), "other").interval_s is None


@pytest.mark.parametrize("payload_type", ["USAGE", "DEMAND"])
def test_a_forecast_carries_nobodys_measurements(payload_type: str) -> None:
    """A descriptor of the time ahead asks for a forecast: measured values remain unreported."""
    ahead = asking({**EACH, "payloadType": payload_type, "historical": False})
    (measured,) = stand(resource("hotel", payload_types=[payload_type]), agendas=[ahead]).uncarried
    wished = resource("hotel", payload_types=[payload_type], reading_type="FORECAST")

    assert measured.why == rep.OTHER_READING(asked="FORECAST", reading="DIRECT_READ")
    assert stand(wished, agendas=[ahead]).uncarried == ()


def test_sum_over_resources_is_noted() -> None:
    """A value reported only as a sum is carried, and listed as a sum."""
    (one,) = stand(
        resource("hotel", payload_types=["USAGE"]), agendas=[asking({**EACH, "aggregate": True})]
    ).carried

    assert one.note == "as a sum over resources"


@pytest.mark.parametrize(
    ("descriptor", "note"),
    [
        ({}, None),
        ({"numIntervals": 2, "repeat": -1}, None),
        ({"numIntervals": 1}, "of some of the event's intervals only"),
        ({**EACH, "repeat": 3}, "of some of the event's intervals only"),
        ({**EACH, "startInterval": 1}, "of some of the event's intervals only"),
        ({**EACH, "frequency": 2}, "of some of the event's intervals only"),
        ({"frequency": 0}, None),
    ],
)
def test_what_leaves_intervals_untold_is_noted(descriptor: dict[str, Any], note: str | None) -> None:
    """A descriptor for only a part of an event's time is carried with a note."""
    (one,) = stand(resource("hotel", payload_types=["USAGE"]), agendas=[asking(descriptor)]).carried

    assert one.note == note


def test_report_once_on_an_event_without_end_is_noted() -> None:
    """One report is not all of an event that goes on for ever."""
    once = agenda(event(0, {}, intervals=None, duration="PT15M"), PROGRAM, anchor=T0)
    always = agenda(event(0, EACH, intervals=None, duration="PT15M"), PROGRAM, anchor=T0)
    made = resource("hotel", payload_types=["USAGE"])

    assert [stand(made, agendas=[one]).carried[0].note for one in (once, always)] == [
        "of some of the event's intervals only",
        None,
    ]


def test_many_resources_and_events_are_compared_at_once() -> None:
    """Comparing resources with events of another length takes steps that grow with their sum."""

    def compare(count: int) -> Callable[[], object]:
        made = [resource(f"n{n}", payload_types=["USAGE"], interval="PT5M") for n in range(2 * count)]
        asked = [asking(EACH, id_=f"E{n}") for n in range(count)]

        def work() -> None:
            found = stand(*made, agendas=asked)
            assert {one.note for one in found.carried} == {"in intervals of 900 s, not PT5M"}
            assert len(found.carried) == 2 * count

        return work

    assert growth(compare, 50) < 6
