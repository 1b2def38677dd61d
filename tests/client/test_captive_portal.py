"""A captive portal, or another web server, in front of the VTN: its pages are never taken for answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.fake_vtn import FakeVtn, SwiftClock
from tests.kinds import Page, captive_portal
from venclient.client import VenClient
from venclient.errors import VtnError, VtnProblem, VtnUnreachable
from venclient.openadr.objects import Report
from venclient.reporting.posting import retried_soon

TITLE = "Hotel Wi-Fi: log in"
PAGE = f"<!DOCTYPE html><html><head><title>{TITLE}</title></head><body></body></html>"
REPORT = Report(event_id="E1", client_name="gw", report_name="r", resources=[])

Call = Callable[[VenClient], Awaitable[Any]]

PLACES = {"token": ("POST", "auth/token"), "report": ("POST", "reports")}

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


@pytest.mark.parametrize(
    ("status", "body"), [(200, ""), (204, ""), (200, "Success"), (200, "[]"), (401, PAGE), (403, PAGE)]
)
async def test_what_is_no_answer_of_a_token_service_refuses_no_login(
    vtn: FakeVtn, status: int, body: str
) -> None:
    """An empty answer, a text, or the page of a network that asks for its own login: it is tried again."""
    vtn.handlers = {("POST", "auth/token"): lambda request: httpx2.Response(status, text=body)}
    async with vtn.client() as client:
        with pytest.raises(VtnUnreachable, match="VEN-VTN-012"):
            await client.programs()
        before = client.status.token
        vtn.handlers = {}
        await client.programs()
        assert (before, client.status.token) == ("none", "valid")


async def test_json_without_a_token_is_an_answer_of_a_token_service(vtn: FakeVtn) -> None:
    """Its settings are to be checked, not the network."""
    vtn.handlers = {("POST", "auth/token"): lambda request: httpx2.Response(200, json={"token": "x"})}
    async with vtn.client() as client:
        with pytest.raises(VtnError, match="VEN-VTN-032"):
            await client.programs()
        assert client.status.token == "refused"


async def test_a_network_that_asks_for_a_login_by_its_status_is_named(vtn: FakeVtn) -> None:
    """RFC 6585 has a status for captive portals."""
    async with vtn.client() as client:
        await client.programs()
        vtn.faults = [httpx2.Response(511, html=PAGE)] * 10
        with pytest.raises(VtnProblem, match="VEN-VTN-240") as caught:
            await client.create_report(REPORT)
    assert caught.value.transient


@pytest.mark.parametrize("status", [400, 404, 409, 422])
async def test_a_page_is_no_refusal_of_a_report(vtn: FakeVtn, status: int) -> None:
    """The report is sent again: what refused it need not be the VTN."""
    async with vtn.client() as client:
        await client.programs()
        vtn.faults = [httpx2.Response(status, html=PAGE), httpx2.Response(status, json={"title": "no"})]
        refused = []
        for _ in range(2):
            with pytest.raises(VtnProblem) as caught:
                await client.create_report(REPORT)
            refused.append(caught.value)
    assert [retried_soon(problem) for problem in refused] == [True, False]


async def test_the_page_for_a_report_that_is_too_large_is_a_refusal(vtn: FakeVtn) -> None:
    """The web server in front of a VTN answers so, and would answer so again."""
    async with vtn.client() as client:
        await client.programs()
        vtn.faults = [httpx2.Response(413, html=PAGE)]
        with pytest.raises(VtnProblem) as caught:
            await client.create_report(REPORT)
    assert not retried_soon(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        lambda: httpx2.Response(302, headers={"Location": "http://portal.example/login"}),
        lambda: httpx2.Response(404, html=PAGE),
        lambda: httpx2.Response(204),
        lambda: httpx2.Response(200, text="Success"),
    ],
)
async def test_a_portal_is_not_taken_for_a_vtn_without_subscriptions(
    vtn: FakeVtn, answer: Callable[[], httpx2.Response]
) -> None:
    """The subscription is asked for again."""
    async with vtn.client() as client:
        await client.programs()
        vtn.faults = [answer()]
        with pytest.raises(VtnError):
            await client.notices.subscribe_socket("gw")


@given(page=captive_portal(), place=st.sampled_from(sorted(PLACES)))
def test_no_page_refuses_a_login_or_a_report(page: Page, place: str) -> None:
    """Whatever its status: it is tried again, and the report is the same as before."""

    async def run() -> VtnError:
        vtn = FakeVtn(SwiftClock())
        async with vtn.client() as client:
            if place == "report":
                await client.programs()
            answer = lambda _: httpx2.Response(page.status, headers=page.headers, content=page.body)  # noqa: E731
            vtn.handlers = {PLACES[place]: answer}
            with pytest.raises(VtnError) as caught:
                await (client.create_report(REPORT) if place == "report" else client.programs())
            return caught.value

    error = asyncio.run(run())
    if place == "token" and page.status == 404:
        assert error.code == "VEN-VTN-036"  # so do VTNs without a token service answer
    elif isinstance(error, VtnProblem):
        assert retried_soon(error)
    else:
        assert isinstance(error, VtnUnreachable) or (place == "report" and page.status in (401, 403))
