"""What the doctor finds at VTNs that refuse some requests: what the gateway really does there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.client.fake_vtn import BASE, FakeVtn, problem
from venclient.checkup import Finding
from venclient.client import VtnAccount
from venclient.clock import ManualClock
from venclient.registrar import Served
from venclient.settings import Settings
from venclient.vtn_examination import Examination


@pytest.fixture
def vtn() -> FakeVtn:
    """Return a VTN with a program and an event."""
    made = FakeVtn(ManualClock())
    made.collections["programs"] = [{"id": "P1", "programName": "tariff"}]
    made.collections["events"] = [{"id": "E1", "programID": "P1"}]
    made.handlers["GET", "notifiers"] = lambda _: problem(404)
    return made


async def look(vtn: FakeVtn, folder: Path, **members: Any) -> dict[str, Finding]:
    """Return the findings about the conversation, the last one of each check."""
    values: dict[str, Any] = {"ven.name": "gw", "vtn.webhook_url": None, "vtn.version": "3.1"}
    values |= {"vtn.push": "off", "vtn.poll_s": 60.0, "vtn.programs": (), "vtn.location_order": "lon_lat"}
    examination = Examination(Settings(values, {}, folder), Served({}, {}), vtn.clock)
    account = VtnAccount(url=BASE, **({"client_id": "gw-1", "client_secret": "s"} | members))
    async with vtn.client(retries=0, **members) as client:
        return {one.check: one for one in await examination._talk(client, account)}


ANONYMOUS = {"client_id": None, "client_secret": None}


@pytest.mark.parametrize("status", [401, 403, 404, 405, 501])
async def test_a_refused_registration_is_found_before_the_gateway_meets_it(
    vtn: FakeVtn, tmp_path: Path, status: int
) -> None:
    """A public VTN: the VEN is not there and may not be created, events are readable; nothing is created."""
    vtn.handlers["POST", "vens"] = lambda _: problem(status)
    found = await look(vtn, tmp_path, **ANONYMOUS)

    assert (found["registration"].state, found["registration"].code) == ("warn", "VEN-DOC-122")
    assert found["programs"].state == "ok"


async def test_a_vtn_that_lets_us_register_is_not_accused(vtn: FakeVtn, tmp_path: Path) -> None:
    """A VTN that says what is wrong with the body would take a good one; nothing is created by asking."""
    vtn.handlers["POST", "vens"] = lambda _: problem(400, detail="not JSON")
    found = await look(vtn, tmp_path, **ANONYMOUS)

    assert found["registration"].code == "VEN-DOC-075"
    assert vtn.collections["vens"] == []


@pytest.mark.parametrize(
    ("client_id", "login", "code"),
    [("gw-1", {}, "VEN-DOC-124"), ("x", {}, "VEN-DOC-125"), (None, ANONYMOUS, "VEN-DOC-125")],
)
async def test_a_ven_of_another_name_is_named_with_the_setting(
    vtn: FakeVtn, tmp_path: Path, client_id: str | None, login: dict[str, Any], code: str
) -> None:
    """The one VEN that the VTN lists is what ven.name is to say."""
    vtn.collections["vens"] = [{"id": "V1", "venName": "site-9", "clientID": client_id}]
    vtn.handlers["POST", "vens"] = lambda _: problem(403)
    found = await look(vtn, tmp_path, **login)

    assert found["registration"].code == code
    assert "site-9" in found["registration"].advice


async def test_our_own_ven_is_found_among_others(vtn: FakeVtn, tmp_path: Path) -> None:
    """The gateway takes the one VEN of its client, however many the VTN lists."""
    others = [{"id": "V2", "venName": "b", "clientID": "x"}, {"id": "V3", "venName": "c"}]
    vtn.collections["vens"] = [*others, {"id": "V1", "venName": "site-9", "clientID": "gw-1"}]
    vtn.handlers["POST", "vens"] = lambda _: problem(403)
    found = await look(vtn, tmp_path)

    assert found["registration"].code == "VEN-DOC-124"
    assert "site-9" in found["registration"].advice


async def test_what_is_readable_is_looked_at(vtn: FakeVtn, tmp_path: Path) -> None:
    """VENs and programs that cannot be read are warnings, events that cannot be a failure."""
    vtn.handlers["GET", "vens"] = lambda _: problem(403)
    vtn.handlers["GET", "programs"] = lambda _: problem(500)
    found = await look(vtn, tmp_path)
    assert (found["registration"].code, found["programs"].code) == ("VEN-DOC-123", "VEN-DOC-127")

    vtn.handlers["GET", "events"] = lambda _: httpx2.Response(403)
    found = await look(vtn, tmp_path)
    assert (found["programs"].state, found["programs"].code) == ("fail", "VEN-DOC-126")


async def test_a_given_token_is_not_called_a_missing_login(vtn: FakeVtn, tmp_path: Path) -> None:
    """vtn.token is named in the check of the token."""
    found = await look(vtn, tmp_path, **ANONYMOUS, token="abc")

    assert found["token"].code == "VEN-DOC-120"
