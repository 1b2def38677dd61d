"""Who may do and see what: tokens, scopes, forms, object privacy and targets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulation.vtn.conftest import PROGRAM, VEN, Api


async def test_no_token_and_a_wrong_one_are_unauthorized(api: Api) -> None:
    """Without a good token everything but the token endpoints is 401, with a challenge."""
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic dmVuOnM="}):
        answer = await api.call(None, "GET", "/programs", headers=headers)
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_token_ends_with_its_time(api: Api) -> None:
    """A token works until expires_in seconds have passed."""
    assert (await api.call("ven", "GET", "/vens")).status == 200
    await api.clock.advance(3599)
    assert (await api.call("ven", "GET", "/vens")).status == 200
    await api.clock.advance(1)
    assert (await api.call("ven", "GET", "/vens")).status == 401


async def test_a_ven_may_not_write_programs_or_events(api: Api) -> None:
    """Programs and events are business logic's, and so are the notifiers."""
    event = await api.make_event()
    assert (await api.call("ven", "POST", "/programs", PROGRAM)).status == 403
    assert (await api.call("ven", "POST", "/events", {"programID": event["programID"]})).status == 403
    assert (await api.call("ven", "PUT", f"/events/{event['id']}", {"programID": "x"})).status == 403
    assert (await api.call("ven", "DELETE", f"/events/{event['id']}")).status == 403
    assert (await api.call("ven", "GET", "/notifiers")).status == 403


async def test_business_logic_may_not_write_reports(api: Api) -> None:
    """Reports are written by VENs only."""
    event = await api.make_event()
    report = {"eventID": event["id"], "clientName": "bl", "resources": []}
    assert (await api.call("bl", "POST", "/reports", report)).status == 403


async def test_each_side_has_its_form(api: Api) -> None:
    """A VEN cannot use the business logic's form of a ven, nor the other way round."""
    bl_form = {"objectType": "BL_VEN_REQUEST", "clientID": "ven", "venName": "gateway"}
    assert (await api.call("ven", "POST", "/vens", bl_form)).status == 400
    assert (await api.call("bl", "POST", "/vens", VEN)).status == 400
    assert (await api.make("bl", "/vens", bl_form))["clientID"] == "ven"


async def test_a_ven_sees_its_own_objects_only(api: Api) -> None:
    """Another VEN's ven, resource, report and subscription are neither listed, found nor changed."""
    ven = await api.make("ven", "/vens", VEN)
    resource = {"objectType": "VEN_RESOURCE_REQUEST", "resourceName": "meter", "venID": ven["id"]}
    event = await api.make_event()
    own = {
        "/vens": (ven, VEN),
        "/resources": (await api.make("ven", "/resources", resource), resource),
    }
    report = {"eventID": event["id"], "clientName": "gateway", "resources": []}
    own["/reports"] = (await api.make("ven", "/reports", report), report)
    subscription: dict[str, Any] = {"clientName": "gateway", "objectOperations": []}
    own["/subscriptions"] = (await api.make("ven", "/subscriptions", subscription), subscription)
    for path, (made, body) in own.items():
        assert (await api.call("other", "GET", path)).body == []
        assert (await api.call("bl", "GET", path)).body == [made]
        for method, sent in (("GET", None), ("PUT", body), ("DELETE", None)):
            assert (await api.call("other", method, f"{path}/{made['id']}", sent)).status == 404
    assert (await api.call("other", "POST", "/resources", resource)).status == 404


async def test_targets_are_granted_by_business_logic_and_kept(api: Api) -> None:
    """What business logic granted survives the VEN's own update of its ven."""
    ven = await api.make("ven", "/vens", VEN)
    grant = {"objectType": "BL_VEN_REQUEST", "clientID": "ven", "venName": "gateway", "targets": ["zone-a"]}
    assert (await api.call("bl", "PUT", f"/vens/{ven['id']}", grant)).status == 200
    updated = await api.call("ven", "PUT", f"/vens/{ven['id']}", {**VEN, "attributes": []})
    assert updated.body["targets"] == ["zone-a"]
    assert updated.body["clientID"] == "ven"


async def granted(api: Api, *targets: str) -> None:
    """Create a ven object with targets for the client "ven"."""
    body = {"objectType": "BL_VEN_REQUEST", "clientID": "ven", "venName": "gateway", "targets": list(targets)}
    await api.make("bl", "/vens", body)


@pytest.mark.parametrize("strict", [False, True])
async def test_targeted_events_need_a_grant(api: Api, strict: bool) -> None:
    """A targeted event is hidden from a VEN without the target, in a listing and by id."""
    api.service.strict_targets = strict
    event = await api.make_event(targets=["zone-a"])
    await granted(api, "zone-b")
    assert (await api.call("ven", "GET", "/events")).body == []
    assert (await api.call("ven", "GET", "/events?targets=zone-a")).body == []
    assert (await api.call("ven", "GET", f"/events/{event['id']}")).status == 404


async def test_lenient_listing_adds_granted_events(api: Api) -> None:
    """Read leniently, a listing without targets= has untargeted and granted events."""
    await granted(api, "zone-a")
    made = [await api.make_event(), await api.make_event(targets=["zone-a"])]
    assert (await api.call("ven", "GET", "/events")).body == made


async def test_strict_listing_leaves_granted_events_to_a_query(api: Api) -> None:
    """Read strictly, targeted events come only when their target is asked for."""
    api.service.strict_targets = True
    await granted(api, "zone-a")
    plain, targeted = await api.make_event(), await api.make_event(targets=["zone-a"])
    assert (await api.call("ven", "GET", "/events")).body == [plain]
    assert (await api.call("ven", "GET", "/events?targets=zone-a")).body == [targeted]
    assert (await api.call("ven", "GET", f"/events/{targeted['id']}")).body == targeted


async def test_targets_of_others_are_hidden(api: Api) -> None:
    """A VEN sees only those of an event's targets that it was granted."""
    await granted(api, "zone-a")
    await api.make_event(targets=["zone-a", "zone-b"])
    assert (await api.call("ven", "GET", "/events")).body[0]["targets"] == ["zone-a"]
    assert (await api.call("bl", "GET", "/events")).body[0]["targets"] == ["zone-a", "zone-b"]


async def test_a_resources_targets_are_grants_until_it_goes(api: Api) -> None:
    """Targets on a resource count as the VEN's, and no longer when the resource was deleted."""
    await granted(api)
    ven = (await api.call("ven", "GET", "/vens")).body[0]
    body = {
        "objectType": "BL_RESOURCE_REQUEST",
        "clientID": "ven",
        "resourceName": "r",
        "venID": ven["id"],
        "targets": ["t"],
    }
    resource = await api.make("bl", "/resources", body)
    await api.make_event(targets=["t"])
    assert len((await api.call("ven", "GET", "/events")).body) == 1
    await api.call("ven", "DELETE", f"/resources/{resource['id']}")
    assert (await api.call("ven", "GET", "/events")).body == []
