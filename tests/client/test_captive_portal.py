"""A captive portal, or another web server, in front of the VTN: its pages are never taken for answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from tests.client.fake_vtn import FakeVtn
from venclient.client import VenClient
from venclient.errors import VtnUnreachable
from venclient.openadr.objects import Report

TITLE = "Hotel Wi-Fi: log in"
PAGE = f"<!DOCTYPE html><html><head><title>{TITLE}</title></head><body></body></html>"
REPORT = Report(event_id="E1", client_name="gw", report_name="r", resources=[])

Call = Callable[[VenClient], Awaitable[Any]]

CALLS: dict[str, Call] = {
    "programs": lambda client: client.programs(),
    "events": lambda client: client.events(),
    "reports": lambda client: client.reports(client_name="gw"),
    "create a report": lambda client: client.create_report(REPORT),
    "update a report": lambda client: client.update_report("R1", REPORT),
    "create the VEN": lambda client: client.create_ven("v"),
    "update a resource": lambda client: client.update_resource("R1", "V1", "r"),
    "delete a resource": lambda client: client.delete_resource("R1"),
    "subscribe": lambda client: client.notices.subscribe_socket("gw"),
    "unsubscribe": lambda client: client.notices.unsubscribe("S1"),
}


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize("name", CALLS)
async def test_a_page_is_no_success_of_any_call(vtn: FakeVtn, name: str, status: int) -> None:
    """Whatever was asked: the VTN is unreachable, and the page is named."""
    async with vtn.client() as client:
        await client.programs()
        vtn.faults = [httpx2.Response(status, html=PAGE) for _ in range(9)]
        with pytest.raises(VtnUnreachable, match="VEN-VTN-012") as refused:
            await CALLS[name](client)

    assert TITLE in str(refused.value)
    assert refused.value.hint


@pytest.mark.parametrize("status", [200, 201])
async def test_a_page_in_place_of_a_token_is_not_a_refused_login(vtn: FakeVtn, status: int) -> None:
    """The login may be right: it is tried again, and works as soon as the portal lets us through."""

    def page(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, html=PAGE)

    vtn.handlers = {("GET", "auth/server"): page, ("POST", "auth/token"): page}
    async with vtn.client() as client:
        with pytest.raises(VtnUnreachable, match="VEN-VTN-012"):
            await client.programs()
        before = client.status.token
        vtn.handlers = {}
        await client.programs()

        assert (before, client.status.token) == ("none", "valid")


async def test_a_report_that_met_a_page_may_have_arrived(vtn: FakeVtn) -> None:
    """It is looked for before it is sent again."""
    async with vtn.client() as client:
        await client.programs()
        vtn.faults = [httpx2.Response(201, html=PAGE)]
        with pytest.raises(VtnUnreachable) as refused:
            await client.create_report(REPORT)

    assert refused.value.ambiguous
    assert len(vtn.calls("POST", "reports")) == 1


async def test_json_sent_as_html_is_an_answer(vtn: FakeVtn) -> None:
    """Some servers name the wrong content type."""
    vtn.faults = [httpx2.Response(200, content=b"[]", headers={"Content-Type": "text/html"})]
    async with vtn.client() as client:
        assert (await client.programs()).items == ()


async def test_a_vtn_whose_web_interface_answers_unknown_paths_is_polled(vtn: FakeVtn) -> None:
    """Without /notifiers and /auth/server it answers both with its page."""

    def page(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, html=PAGE)

    vtn.handlers = {("GET", "auth/server"): page, ("GET", "notifiers"): page}
    async with vtn.client() as client:
        assert await client.notifiers() is None
        assert (await client.programs()).items == ()


async def test_a_portal_is_logged_when_it_begins_and_when_it_ends(
    vtn: FakeVtn, caplog: pytest.LogCaptureFixture
) -> None:
    """As any outage."""
    caplog.set_level("INFO", logger="venclient.client.exchange")
    async with vtn.client() as client:
        await client.programs()
        vtn.faults = [httpx2.Response(200, html=PAGE)] * 3
        for _ in range(3):
            with pytest.raises(VtnUnreachable):
                await client.programs()
        await client.programs()

    assert [one.levelname for one in caplog.records] == ["WARNING", "INFO"]
