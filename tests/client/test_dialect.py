"""Which version a VTN speaks, and the conversation with one of 3.0.1 (row 71)."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.client.fake_vtn import FakeVtn, SwiftClock, problem
from venclient.client import Dialect, VtnAccount, Wanted, difference, ensure_ven, reconcile
from venclient.client.dialect import V3_0_1, V3_1, told_by_path
from venclient.errors import ConfigError, VtnError, VtnProblem, VtnUnreachable
from venclient.openadr.objects import Report, ValuesMap

TARGETS = [{"type": "GROUP", "values": ["north"]}]


def probed(vtn: FakeVtn, **account: Any) -> Any:
    return vtn.client(version="probe", **account)


def asked(vtn: FakeVtn) -> list[str]:
    return [request.url.path.removeprefix(vtn.path + "/") for request in vtn.requests]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://vtn.example/openadr3/3.1.0", V3_1),
        ("https://vtn.example/openadr3/3.1.1", V3_1),
        ("https://vtn.example/3.2.0/x", V3_1),
        ("https://vtn.example/openadr3/3.0.1", V3_0_1),
        ("https://vtn.example/v3.0", V3_0_1),
        ("https://vtn.example/openadr3", None),
        ("https://vtn.example/3.10.1.5.0", None),
        ("https://3.0.1/", None),
    ],
)
def test_the_address_may_tell_the_version(url: str, expected: Dialect | None) -> None:
    """A segment of the path that is a version counts; a host does not."""
    assert told_by_path(url) is expected


async def test_row_71_an_address_with_a_version_is_not_probed(vtn: FakeVtn) -> None:
    """No request is spent on what the address says."""
    async with probed(vtn, client_id=None, client_secret=None) as client:
        assert await client.dialect() is V3_1
        await client.events()

    assert asked(vtn) == ["events"]
    assert client.status.version == "3.1"


async def test_row_71_a_vtn_that_tells_its_token_service_is_of_3_1(clock: SwiftClock) -> None:
    """The answer that the token needed is enough; it is asked for once."""
    vtn = FakeVtn(clock, path="/api")
    async with probed(vtn, token_url=None) as client:
        vtn.handlers["GET", "auth/server"] = lambda _: httpx2.Response(
            200, json={"tokenURL": "https://vtn.example/api/auth/token"}
        )
        await client.events()
        await client.events()

    assert client.status.version == "3.1"
    assert asked(vtn) == ["auth/server", "auth/token", "events", "events"]


async def test_row_71_a_vtn_without_top_level_resources_is_of_3_0_1(clock: SwiftClock) -> None:
    """Nothing is listed yet, and still it is found out; once, however many calls there are."""
    vtn = FakeVtn(clock, path="/api", old=True)
    async with probed(vtn, client_id=None, client_secret=None) as client:
        before = client.status.version
        await client.events()
        await client.programs()

    assert (before, client.status.version) == (None, "3.0.1")
    assert asked(vtn) == ["auth/server", "resources", "programs", "events", "events", "programs"]


@pytest.mark.parametrize(
    ("events", "version"),
    [
        ([{"id": "E", "programID": "P", "targets": TARGETS, "intervals": []}], "3.0.1"),
        ([{"id": "E", "programID": "P", "targets": ["north"]}], "3.1"),
        ([{"id": "E", "programID": "P", "duration": "PT1H"}], "3.1"),
        ([7, {"id": "E", "programID": "P"}], "3.1"),
    ],
)
async def test_row_71_shapes_decide_where_a_gateway_refuses_other_paths(
    clock: SwiftClock, events: list[Any], version: str
) -> None:
    """When something in front of the VTN answers 403 to unknown paths, the shapes decide."""
    vtn = FakeVtn(clock, path="/api")
    vtn.collections["events"] = events
    vtn.handlers["GET", "auth/server"] = lambda _: problem(403)
    vtn.handlers["GET", "resources"] = lambda _: problem(403)
    async with probed(vtn, client_id=None, client_secret=None) as client:
        assert (await client.dialect()).version == version


@pytest.mark.parametrize("answer", [problem(500), problem(403)])
@pytest.mark.parametrize("place", ["programs", "events"])
async def test_the_version_is_found_where_one_listing_is_refused(
    clock: SwiftClock, place: str, answer: httpx2.Response
) -> None:
    """Programs or events that cannot be read leave the others; with neither it stays unknown."""
    vtn = FakeVtn(clock, path="/api", old=True)
    vtn.handlers["GET", place] = lambda _: answer
    async with probed(vtn, client_id=None, client_secret=None, retries=0) as client:
        assert (await client.dialect()).version == "3.0.1"
    vtn.handlers |= {("GET", one): lambda _: answer for one in ("programs", "events")}
    async with probed(vtn, client_id=None, client_secret=None, retries=0) as client:
        with pytest.raises(VtnError):
            await client.dialect()


async def test_flat_program_members_tell_3_0_1(clock: SwiftClock) -> None:
    """A program with retailerName is of the older version."""
    vtn = FakeVtn(clock, path="/api")
    vtn.collections["programs"] = [{"id": "P", "programName": "tou", "retailerName": "ACME"}]
    vtn.handlers["GET", "auth/server"] = lambda _: problem(404)
    vtn.handlers["GET", "resources"] = lambda _: problem(400)
    async with probed(vtn, client_id=None, client_secret=None) as client:
        assert (await client.dialect()).version == "3.0.1"


@pytest.mark.parametrize("fault", [problem(503), httpx2.ConnectError("refused")])
async def test_a_vtn_that_is_away_is_not_taken_for_any_version(
    clock: SwiftClock, fault: httpx2.Response | Exception
) -> None:
    """An outage during the question is an outage; it is asked again, and then remembered."""
    vtn = FakeVtn(clock, path="/api", old=True)
    async with probed(vtn, client_id=None, client_secret=None, retries=0) as client:
        vtn.faults = [fault]
        with pytest.raises((VtnProblem, VtnUnreachable)):
            await client.events()
        before = client.status.version

        await client.events()

    assert (before, client.status.version) == (None, "3.0.1")


def test_a_version_that_nobody_speaks_is_refused() -> None:
    """A wrong word is reported with the right ones."""
    with pytest.raises(ConfigError, match="VEN-VTN-003"):
        VtnAccount(url="https://vtn.example", version="2.0b")


# ---- a conversation with 3.0.1


@pytest.fixture
def old(clock: SwiftClock) -> FakeVtn:
    """Return a VTN of 3.0.1."""
    return FakeVtn(clock, path="/openadr3/3.0.1", old=True)


async def test_row_71_ven_and_resources_are_registered_below_the_ven(old: FakeVtn) -> None:
    """VEN and resources of 3.0.1 are created plain, updated and deleted at their nested place."""
    async with probed(old) as client:
        ven = await ensure_ven(client, "gw")
        assert ven.id is not None
        first = difference([Wanted("main", (ValuesMap(type="AREA", values=[1.0]),))], [], ours={"AREA"})
        await reconcile(client, ven.id, first)
        listed = (await client.resources()).items
        other = [Wanted("main", (ValuesMap(type="AREA", values=[2.0]),))]
        await reconcile(client, ven.id, difference(other, listed, ours={"AREA"}, ven_id=ven.id))
        assert [one.attributes for one in (await client.resources(ven.id)).items] == [
            [ValuesMap(type="AREA", values=[2.0])]
        ]
        assert await client.delete_resource("R1")
        assert not await client.delete_resource("R1")

    (created,) = old.calls("POST", "vens/V1/resources")
    assert old.body(created) == {
        "resourceName": "main",
        "venID": "V1",
        "attributes": [{"type": "AREA", "values": [1.0]}],
    }
    assert old.body(old.calls("POST", "vens")[0]) == {"venName": "gw"}
    assert len(old.calls("DELETE", "vens/V1/resources/R1")) == 1


async def test_row_71_a_put_leaves_the_operators_targets(old: FakeVtn) -> None:
    """Where a PUT replaces everything, what the operator wrote is sent back with it."""
    old.collections["vens"] = [{"id": "V1", "venName": "gw", "targets": TARGETS, "x-zone": 4}]
    old.collections["resources"] = [{"id": "R1", "venID": "V1", "resourceName": "main", "targets": TARGETS}]
    attributes = [ValuesMap(type="AREA", values=[2.0])]
    async with probed(old) as client:
        ven = await ensure_ven(client, "gw", attributes)
        resource = await client.update_resource("R1", "V1", "main", attributes)

    assert ven.targets == resource.targets == ["north"]
    assert old.collections["vens"][0]["targets"] == TARGETS
    assert old.collections["vens"][0]["x-zone"] == 4
    assert old.collections["resources"][0]["targets"] == TARGETS


async def test_row_71_reports_name_the_program_of_their_event(old: FakeVtn) -> None:
    """It is known from the listing, or asked for once."""
    old.collections["events"] = [{"id": "E1", "programID": "P1", "intervals": []}]
    report = Report(event_id="E1", client_name="gw", resources=[])
    async with probed(old) as client:
        await client.create_report(report)
        await client.events()
        await client.update_report("R1", report)

    assert [old.body(r)["programID"] for r in old.requests if "reports" in r.url.path] == ["P1", "P1"]
    assert len(old.calls("GET", "events/E1")) == 1


async def test_row_71_targets_are_asked_for_as_3_0_1_does(old: FakeVtn) -> None:
    """targetType and targetValues stand in the query, and both answers are joined."""
    old.collections["events"] = [{"id": "E1", "programID": "P1", "intervals": []}]
    async with probed(old) as client:
        listing = await client.events(targets=["north", "south"])

    assert [one.id for one in listing.items] == ["E1"]
    params = old.calls("GET", "events")[-1].url.params
    assert params["targetType"] == "GROUP"
    assert params.get_list("targetValues") == ["north", "south"]
