"""Listings: pages and filters, and queries that the YAML forbids."""

from __future__ import annotations

import pytest

from tests.simulation.vtn.conftest import PROGRAM, VEN, Api


@pytest.mark.parametrize(
    "query",
    ["skip=-1", "skip=x", "skip=", "skip=1.0", "skip=2147483648", "limit=51", "limit=-1", "limit=1&limit=2",
     "active=1", "active=", "programID=", "programID=a%20b", "programID=" + "x" * 129, "targets=",
     "targets=" + "x" * 129, "targets=%ff"],
)  # fmt: skip
async def test_refuses_queries_that_the_yaml_forbids(api: Api, query: str) -> None:
    """A parameter of the wrong form is a bad request."""
    assert (await api.call("bl", "GET", f"/events?{query}")).status == 400


@pytest.mark.parametrize("query", ["objects=METER", "objects=EVENT&objects=x", "clientName="])
async def test_refuses_bad_queries_for_subscriptions(api: Api, query: str) -> None:
    """Object types and names in a query are checked as in a body."""
    assert (await api.call("ven", "GET", f"/subscriptions?{query}")).status == 400


async def test_pages_cover_everything_once(api: Api) -> None:
    """Pages of 50 follow each other without gap, and a page is 50 when no limit is given."""
    ven = await api.make("ven", "/vens", VEN)
    names = [f"r{number:03}" for number in range(120)]
    for name in names:
        body = {"objectType": "VEN_RESOURCE_REQUEST", "resourceName": name, "venID": ven["id"]}
        await api.make("ven", "/resources", body)
    pages = [(await api.call("ven", "GET", f"/resources?skip={skip}")).body for skip in (0, 50, 100, 150)]
    assert [len(page) for page in pages] == [50, 50, 20, 0]
    assert [row["resourceName"] for page in pages for row in page] == names


async def test_limit_zero_is_an_empty_page(api: Api) -> None:
    """The YAML's least limit is 0, so a client that asks for nothing gets nothing."""
    await api.make("bl", "/programs", PROGRAM)
    assert (await api.call("bl", "GET", "/programs?limit=0")).body == []
    assert len((await api.call("bl", "GET", "/programs?limit=1")).body) == 1


async def test_filters_add_up(api: Api) -> None:
    """Reports are filtered by program, event and clientName together."""
    events = [await api.make_event(eventName=name) for name in ("a", "b")]
    for event in events:
        for name in ("x", "y"):
            body = {"eventID": event["id"], "clientName": name, "resources": []}
            await api.make("ven", "/reports", body)
    program = events[0]["programID"]
    assert len((await api.call("bl", "GET", f"/reports?programID={program}")).body) == 4
    assert len((await api.call("bl", "GET", f"/reports?eventID={events[0]['id']}")).body) == 2
    found = (await api.call("bl", "GET", f"/reports?eventID={events[1]['id']}&clientName=y")).body
    assert [(row["eventID"], row["clientName"]) for row in found] == [(events[1]["id"], "y")]
    assert (await api.call("bl", "GET", "/reports?programID=no")).body == []


async def test_vens_and_resources_are_found_by_name(api: Api) -> None:
    """venName, resourceName and venID find exactly theirs, also with æøå in them."""
    vens = [await api.make("ven", "/vens", {**VEN, "venName": name}) for name in ("Ærø", "Als")]
    for ven in vens:
        body = {"objectType": "VEN_RESOURCE_REQUEST", "resourceName": "måler", "venID": ven["id"]}
        await api.make("ven", "/resources", body)
    assert (await api.call("ven", "GET", "/vens", params={"venName": "Ærø"})).body == [vens[0]]
    query = {"resourceName": "måler", "venID": vens[1]["id"]}
    found = (await api.call("ven", "GET", "/resources", params=query)).body
    assert [row["venID"] for row in found] == [vens[1]["id"]]


async def test_subscriptions_are_found_by_object(api: Api) -> None:
    """The objects filter finds subscriptions to any of the named types."""
    for kind in ("EVENT", "PROGRAM"):
        operation = {"objects": [kind], "operations": ["CREATE"], "callbackUrl": "https://example.com/"}
        await api.make("ven", "/subscriptions", {"clientName": kind, "objectOperations": [operation]})
    found = (await api.call("ven", "GET", "/subscriptions?objects=EVENT&objects=VEN")).body
    assert [row["clientName"] for row in found] == ["EVENT"]


async def test_targets_filter_for_business_logic(api: Api) -> None:
    """Business logic finds objects with any of the targets, without being granted them."""
    made = [await api.make_event(targets=[name]) for name in ("a", "b", "c")]
    await api.make_event()
    assert (await api.call("bl", "GET", "/events?targets=a&targets=c")).body == [made[0], made[2]]


async def test_active_leaves_out_what_is_over(api: Api) -> None:
    """With active=true an event is listed until its last interval has ended."""
    period = {"start": "2026-01-01T00:00:00Z", "duration": "PT10M"}
    await api.make_event(intervalPeriod=period, intervals=[{"id": 0, "payloads": []}])
    await api.clock.advance(599)
    assert len((await api.call("ven", "GET", "/events?active=true")).body) == 1
    await api.clock.advance(1)
    assert (await api.call("ven", "GET", "/events?active=true")).body == []
    assert len((await api.call("ven", "GET", "/events?active=false")).body) == 1
