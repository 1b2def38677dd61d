"""What we are at the VTN: the VEN object, its resources, and the targets that the operator grants."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.interop.business import EACH, Business, Object, intervals, period, reported
from tests.interop.site import Gateway, Site, soon, until
from tests.interop.tap import Tap
from tests.interop.vtn import Vtn


async def test_row_20_a_fresh_gateway_registers_itself(
    gateway: Gateway, business: Business, tap: Tap
) -> None:
    """The VEN asks as a VEN must, without targets and client id; the VTN writes the client id itself."""
    gateway.settings["vtn"]["url"] = tap.url
    await gateway.start()
    await gateway.registered()
    (asked,) = tap.requests("POST", "/vens")

    assert asked.json["objectType"] == "VEN_VEN_REQUEST"
    assert asked.json["venName"] == "interop"
    assert not asked.json.keys() & {"targets", "clientID"}
    assert [(ven["venName"], ven["clientID"]) for ven in business.vens()] == [("interop", "interop")]


async def test_row_21_registering_again_makes_no_second_ven(gateway: Gateway, business: Business) -> None:
    """Three restarts later there is one VEN and each resource once."""
    for _ in range(4):
        await gateway.start()
        await gateway.registered()
        await gateway.stop()

    assert [ven["venName"] for ven in business.vens()] == ["interop"]
    assert names(business) == ["Meter 1", "Meter 2", "Meter 3"]


async def test_row_21_a_conflict_adopts_the_ven_that_is_ours(gateway: Gateway, business: Business) -> None:
    """The VTN allows one VEN for each client: under a new name it is the same object."""
    await gateway.start()
    await gateway.registered()
    before = business.vens()[0]["id"]
    gateway.settings["ven"]["name"] = "renamed"
    await gateway.restart()
    await gateway.registered()

    assert [(ven["id"], ven["venName"]) for ven in business.vens()] == [(before, "renamed")]


async def test_row_22_a_changed_resource_is_changed_at_the_vtn(
    gateway: Gateway, business: Business, site: Site
) -> None:
    """Another capacity in the registry is the VTN's after the next start; nothing is created again."""
    await gateway.start()
    await gateway.registered()
    before = {one["resourceName"]: one["id"] for one in business.resources()}
    site.meters[0].resource.capacities["P_max_kw"] = 123.5
    site.store()
    await gateway.restart()
    await gateway.registered()
    after = {one["resourceName"]: one for one in business.resources()}

    assert {name: one["id"] for name, one in after.items()} == before
    assert attribute(after["Meter 1"], "MAX_POWER_CONSUMPTION") == [123.5]
    assert attribute(after["Meter 2"], "MAX_POWER_CONSUMPTION") == [400.0]


async def test_row_22_a_resource_goes_only_when_somebody_says_so(
    gateway: Gateway, business: Business, site: Site
) -> None:
    """One that is no longer served stays at the VTN, shows as a difference, and is deleted on request."""
    await gateway.start()
    await gateway.registered()
    site.meters[2].resource.enabled = False
    site.store()
    await gateway.restart()
    await gateway.registered()

    assert names(business) == ["Meter 1", "Meter 2", "Meter 3"]
    _, shown = await gateway.command("vtn", "diff", "--json")
    assert "Meter 3" in shown
    status, printed = await gateway.command("vtn", "register", "--delete-extra", "--yes")
    assert status == 0, printed
    assert names(business) == ["Meter 1", "Meter 2"]


async def test_row_23_attributes_have_their_types(gateway: Gateway, business: Business) -> None:
    """Numbers are floats, LOCATION is longitude and latitude, DESCRIPTION is text."""
    await gateway.start()
    await gateway.registered()
    one = next(one for one in business.resources() if one["resourceName"] == "Meter 1")

    assert attribute(one, "LOCATION") == [9.0, 56.1]
    assert attribute(one, "MAX_POWER_CONSUMPTION") == [400.0]
    assert attribute(one, "MAX_POWER_EXPORT") == [100.0]
    assert isinstance(attribute(one, "DESCRIPTION")[0], str)


async def test_row_25_events_for_our_targets_and_for_all_are_seen(
    gateway: Gateway, business: Business
) -> None:
    """With a target granted, the events for it and those for everybody are known, others are not."""
    await gateway.start()
    await gateway.registered()
    business.grant(business.vens()[0], "zone-a")
    program = business.add_program()
    for targets in ([], ["zone-a"], ["zone-b"]):
        business.add_event(program, targets=targets, intervalPeriod=period(soon(), 5), intervals=intervals(1))
    await gateway.restart()
    await gateway.registered()

    await gateway.knows(2)


async def test_row_26_an_event_for_one_resource_leaves_the_others_alone(
    gateway: Gateway, business: Business
) -> None:
    """A target that only one resource has asks for a report on that one alone."""
    await gateway.start()
    await gateway.registered()
    business.grant_resource(
        next(one for one in business.resources() if one["resourceName"] == "Meter 2"), "north"
    )
    await gateway.restart()
    await gateway.registered()
    event = asked(business, targets=["north"])
    reports = await until(lambda: business.reports(event), "report accepted", log=lambda: gateway.log)

    assert {name for name, _ in reported(reports)} == {"Meter 2"}
    assert datetime.now(UTC) > datetime.fromisoformat(event["intervalPeriod"]["start"])


async def test_a_vtn_that_lost_its_store_is_registered_at_again(
    gateway: Gateway, business: Business, vtn: Vtn
) -> None:
    """A VTN that comes back empty has the VEN and its resources again, and its next event is reported on.

    Some number their objects from 1 again: the event may have the id of one that was reported on.
    """
    await gateway.start()
    await gateway.registered()
    before = asked(business)
    await until(lambda: business.reports(before), "report accepted", log=lambda: gateway.log)
    vtn.stop()
    await gateway.until(lambda s: s["vtn"]["state"] == "unreachable", "absence noticed")
    vtn.empty()
    business.log_in()
    await until(lambda: len(business.resources()) == 3, "registered again", log=lambda: gateway.log)
    event = asked(business)
    reports = await until(lambda: business.reports(event), "report accepted", log=lambda: gateway.log)

    assert [ven["venName"] for ven in business.vens()] == ["interop"]
    assert {name for name, _ in reported(reports)} == set(names(business))


def asked(business: Business, **more: object) -> Object:
    """Return an event that soon asks for one report."""
    return business.add_event(
        business.add_program(),
        intervalPeriod=period(soon(), 2),
        intervals=intervals(1),
        reportDescriptors=[{"payloadType": "USAGE", "units": "KWH", **EACH}],
        **more,
    )


def attribute(resource: dict[str, object], kind: str) -> list[object]:
    """Return the values of one attribute of a resource object."""
    found = resource["attributes"]
    assert isinstance(found, list)
    return next(one["values"] for one in found if one["type"] == kind)


def names(business: Business) -> list[str]:
    """Return the names of the resources at the VTN, sorted."""
    return sorted(one["resourceName"] for one in business.resources())
