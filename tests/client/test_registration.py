"""Registration: once, however often it is asked for."""

from __future__ import annotations

import httpx2
import pytest

from tests.client.fake_vtn import FakeVtn, problem
from tests.codes import raises_code
from venclient.client import ensure_resource, ensure_ven
from venclient.errors import AuthRefused, VtnProblem
from venclient.openadr.objects import ValuesMap

SITE = [ValuesMap(type="DESCRIPTION", values=["site 7"])]


async def test_row_21_three_starts_make_one_ven(vtn: FakeVtn) -> None:
    """Each start finds what the first one created, and changes nothing."""
    for _ in range(3):
        async with vtn.client() as client:
            ven = await ensure_ven(client, "gw", SITE)

    assert ven.id == "V1"
    assert len(vtn.collections["vens"]) == 1
    assert vtn.calls("PUT", "vens/V1") == []


async def test_changed_attributes_are_brought_up_to_date(vtn: FakeVtn) -> None:
    """Other attributes than those held are written by PUT; 11 and 11.0 are the same."""
    async with vtn.client() as client:
        await ensure_ven(client, "gw", [ValuesMap(type="AREA", values=[11.0])])
        await ensure_ven(client, "gw", [ValuesMap(type="AREA", values=[11])])
        assert vtn.calls("PUT", "vens/V1") == []

        await ensure_ven(client, "gw", SITE)

    assert vtn.collections["vens"][0]["attributes"] == [{"type": "DESCRIPTION", "values": ["site 7"]}]


async def test_row_21_a_ven_that_came_up_meanwhile_is_adopted(vtn: FakeVtn) -> None:
    """When POST meets a conflict, the VEN that is there by now is taken."""

    def conflict(request: httpx2.Request) -> httpx2.Response:
        vtn.collections["vens"].append({"id": "V9", "venName": "gw", "clientID": "gw-1"})
        return problem(409)

    vtn.handlers["POST", "vens"] = conflict
    async with vtn.client() as client:
        assert (await ensure_ven(client, "gw")).id == "V9"


async def test_our_own_ven_of_another_name_is_renamed(vtn: FakeVtn) -> None:
    """A VTN that allows one VEN for each client keeps ours under its new name, with its attributes."""
    held = {
        "id": "V1",
        "venName": "old",
        "clientID": "gw-1",
        "attributes": [{"type": "AREA", "values": [1.0]}],
    }
    vtn.collections["vens"] = [held]
    vtn.handlers["POST", "vens"] = lambda request: problem(409, detail="one ven per client")
    async with vtn.client() as client:
        ven = await ensure_ven(client, "new")

    assert (ven.id, ven.ven_name) == ("V1", "new")
    assert ven.attributes == [ValuesMap(type="AREA", values=[1.0])]


async def test_a_name_that_another_client_holds_is_said(vtn: FakeVtn) -> None:
    """A conflict whose reason we cannot see names the name, and no other client's VEN is touched."""
    vtn.collections["vens"] = [{"id": "V1", "venName": "theirs", "clientID": "somebody"}]
    vtn.handlers["POST", "vens"] = lambda request: problem(409)
    async with vtn.client() as client:
        with pytest.raises(VtnProblem, match="VEN-VTN-038") as caught:
            await ensure_ven(client, "gw")

    assert caught.value.is_conflict
    assert vtn.collections["vens"][0]["venName"] == "theirs"


@pytest.mark.parametrize("client_id", ["gw-1", None])
async def test_a_conflict_names_the_one_ven_that_the_vtn_shows(vtn: FakeVtn, client_id: str | None) -> None:
    """A VTN that gives each client one VEN, and says of none whose it is: ours has another name."""
    vtn.collections["vens"] = [{"id": "V1", "venName": "site-9"}]
    vtn.handlers["POST", "vens"] = lambda request: problem(409)
    secret = {} if client_id else {"client_secret": None}
    async with vtn.client(client_id=client_id, **secret) as client:
        with raises_code(VtnProblem, "VEN-VTN-340") as caught:
            await ensure_ven(client, "gw")

    assert caught.value.is_conflict
    assert "site-9" in caught.value.hint
    assert vtn.collections["vens"][0]["venName"] == "site-9"


async def test_a_lost_answer_registers_once(vtn: FakeVtn) -> None:
    """When the answer to POST is lost, the next try meets the conflict and adopts."""
    posts: list[int] = []

    def post(request: httpx2.Request) -> httpx2.Response:
        posts.append(1)
        if len(posts) == 1:
            vtn.collections["resources"].append({"id": "R1", "resourceName": "main", "venID": "V1"})
            raise httpx2.ReadError("cut")
        return problem(409)

    vtn.handlers["POST", "resources"] = post
    async with vtn.client() as client:
        resource = await ensure_resource(client, "V1", "main")

    assert resource.id == "R1"


async def test_another_conflict_free_refusal_passes(vtn: FakeVtn) -> None:
    """A refusal that is not a conflict is passed to the caller."""
    vtn.handlers["POST", "vens"] = lambda request: problem(400, detail="no")
    async with vtn.client() as client:
        with raises_code(VtnProblem, "VEN-VTN-017"):
            await ensure_ven(client, "gw")


@pytest.mark.parametrize("status", [401, 403, 404, 405, 501])
async def test_where_only_the_operator_creates_vens_ours_is_taken(vtn: FakeVtn, status: int) -> None:
    """One VEN of our client id is used as the operator named it."""
    others = [{"id": "V2", "venName": "b", "clientID": "x"}, {"id": "V3", "venName": "c"}]
    vtn.collections["vens"] = [{"id": "V1", "venName": "theirs", "clientID": "gw-1"}, *others]
    vtn.handlers["POST", "vens"] = lambda request: problem(status)
    async with vtn.client() as client:
        ven = await ensure_ven(client, "gw")

    assert (ven.id, ven.ven_name) == ("V1", "theirs")


@pytest.mark.parametrize(
    ("held", "code"),
    [
        ([], "VEN-VTN-105"),
        ([{"id": "V1", "venName": "site-9"}], "VEN-VTN-106"),
        ([{"id": "V1", "venName": "site-9", "clientID": "x"}], "VEN-VTN-106"),
        ([{"id": "V1", "venName": "a"}, {"id": "V2", "venName": "b"}], "VEN-VTN-105"),
    ],
)
async def test_a_refused_registration_names_the_setting(
    vtn: FakeVtn, held: list[dict[str, object]], code: str
) -> None:
    """A single VEN that may be ours is named with ven.name; no other client's VEN is used."""
    vtn.collections["vens"] = held
    vtn.handlers["POST", "vens"] = lambda request: problem(403, detail="read-only")
    async with vtn.client() as client:
        with pytest.raises(AuthRefused) as caught:
            await ensure_ven(client, "gw")

    assert caught.value.code == code
    assert "read-only" in caught.value.what
    assert "ven.name" in caught.value.hint
    assert ("site-9" in caught.value.hint) == (code == "VEN-VTN-106")


@pytest.mark.parametrize("status", [401, 403])
async def test_a_login_that_works_elsewhere_is_not_doubted(vtn: FakeVtn, status: int) -> None:
    """Without a login, and with one, the hint is about the right, not about the token service."""
    vtn.handlers["GET", "vens"] = lambda request: problem(status)
    async with vtn.client() as client:
        await client.events()
        with pytest.raises(AuthRefused) as caught:
            await client.vens()
        assert caught.value.code == "VEN-VTN-016"
    async with vtn.client(client_id=None, client_secret=None) as client:
        await client.events()
        with pytest.raises(AuthRefused) as caught:
            await client.vens()
        assert caught.value.code == "VEN-VTN-104"
