"""Tokens, errors, compression and paging, as each VTN does them."""

from __future__ import annotations

import logging
from urllib.parse import parse_qs

import pytest

from tests.codes import raises_code
from tests.interop.business import EACH, Business, intervals, period
from tests.interop.conftest import account
from tests.interop.openleadr_vtn import VEN_SCOPES, OpenLeadr
from tests.interop.site import Gateway, soon, until
from tests.interop.tap import Passed, Tap, response
from tests.interop.vtn import SECRET, Vtn
from venclient.client import VenClient, ensure_ven
from venclient.clock import SystemClock
from venclient.errors import AuthRefused


async def test_row_07_the_token_service_is_found_where_the_vtn_says(
    vtn: Vtn, business: Business, caplog: pytest.LogCaptureFixture
) -> None:
    """A token service on another host is used, with a warning, and its token counts at the VTN."""
    with vtn.sibling() as issuer:
        vtn.trust(issuer, f"http://localhost:{issuer.port}{issuer.base}/auth/token")
        async with VenClient(account(vtn.url), SystemClock()) as client:
            with caplog.at_level(logging.WARNING):
                programs = await client.programs()

    assert (programs.complete, client.status.token, client.status.token_renewals) == (True, "valid", 1)
    assert f"localhost:{issuer.port}" in caplog.text


async def test_row_09_credentials_go_as_a_form(tap: Tap, business: Business) -> None:
    """The token request has the form and content type of the standard; the VTN answers with a token."""
    async with VenClient(account(tap.url, token_url=f"{tap.url}/auth/token"), SystemClock()) as client:
        await client.programs()
    (asked,) = tap.requests("POST", "/auth/token")

    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(asked.body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["interop"],
        "client_secret": [SECRET],
    }
    assert asked.status == 200


async def test_row_11_a_token_that_no_longer_counts_is_renewed_once(vtn: Vtn, client: VenClient) -> None:
    """After the VTN has changed its key, the next call gets a new token and succeeds."""
    await client.programs()
    vtn.forget_tokens()
    await client.programs()
    await client.events()

    assert client.status.token_renewals == 2


@pytest.mark.only("openleadr")  # the crate's logins have all scopes of their role
async def test_row_11_a_missing_scope_is_told_and_not_asked_again_and_again(
    vtn: Vtn, business: Business
) -> None:
    """A 403 that a new token does not change says that a scope is missing, and costs one renewal in all."""
    scopes = [scope for scope in VEN_SCOPES if scope != "write_vens_ven"]
    assert isinstance(vtn, OpenLeadr)
    vtn.let_in("limited", SECRET, scopes)
    login = account(vtn.url, client_id="limited")
    async with VenClient(login, SystemClock()) as client:
        for _ in range(3):
            with raises_code(AuthRefused, "VEN-VTN-105"):
                await ensure_ven(client, "limited")

        assert client.status.token_renewals == 2


async def test_row_12_a_wrong_secret_shows_as_invalid_client(gateway: Gateway) -> None:
    """The status shows the token service's own word for it."""
    gateway.settings["vtn"]["client_id"] = "nobody"
    await gateway.start()
    error = await gateway.until(lambda s: s["vtn"]["last_error"], "refusal reported")

    assert "invalid_client" in error
    assert gateway.status["vtn"]["state"] == "refused"


async def test_row_17_compressed_answers_are_read(tap: Tap, business: Business) -> None:
    """The VTN compresses its listings for us, and they are read all the same."""
    program = business.add_program()
    for _ in range(5):
        business.add_event(program, intervalPeriod=period(soon(), 5), intervals=intervals(3))
    async with VenClient(account(tap.url), SystemClock()) as client:
        events = await client.events()
    asked, *_ = tap.requests("GET", "/events")

    assert len(events.items) == 5
    assert "gzip" in asked.headers["accept-encoding"]
    assert asked.answer_headers["content-encoding"] in ("gzip", "deflate")


async def test_row_19_a_listing_of_many_pages_is_whole_though_it_moves(tap: Tap, business: Business) -> None:
    """Of 120 events and one that comes between two pages none is missed, and none counts twice."""
    program = business.add_program()

    def add() -> str:
        event = business.add_event(program, intervalPeriod=period(soon(), 5), intervals=intervals(1))
        return str(event["id"])

    ids = {add() for _ in range(120)}
    async with VenClient(account(tap.url), SystemClock()) as client:

        def drift(passed: Passed) -> None:
            if passed.path == "/events" and len(tap.requests("GET", "/events")) == 1:
                ids.add(add())

        tap.after = drift
        events = await client.events()

    assert events.complete
    assert {event.id for event in events.items} == ids
    assert len(events.items) == 121


async def test_row_68_where_push_is_refused_it_polls_and_says_so(
    gateway: Gateway, business: Business, tap: Tap
) -> None:
    """A VTN that does not let a VEN ask for notifiers is polled: a new event is known with the next poll."""
    tap.spoils = lambda passed: 403 if passed.path.startswith("/notifiers") else None
    gateway.settings["vtn"]["url"] = tap.url
    await gateway.start()
    await gateway.registered()
    program = business.add_program()
    business.add_event(program, intervalPeriod=period(soon(), 5), intervals=intervals(1))
    await gateway.knows(1)

    assert tap.requests("GET", "/notifiers")
    assert "poll" in str(gateway.status["vtn"])


PAGE = b"<!doctype html><html><body>Accept the terms of this network</body></html>"
PORTALS = {
    "a page": response("200 OK", PAGE, "Content-Type: text/html"),
    "a page as JSON": response("200 OK", PAGE, "Content-Type: application/json"),
    "nothing": response("200 OK"),
    "no content": response("204 No Content"),
    "elsewhere": response("302 Found", b"", "Location: http://127.0.0.1:9/login"),
    "511": response("511 Network Authentication Required", PAGE, "Content-Type: text/html"),
}


@pytest.mark.parametrize("portal", PORTALS)
async def test_behind_a_captive_portal_nothing_is_forgotten(
    portal: str, gateway: Gateway, business: Business, tap: Tap
) -> None:
    """While a portal answers in the VTN's place events stay; what was due then is sent once afterwards."""
    gateway.settings["vtn"] |= {"url": tap.url, "token_url": f"{tap.url}/auth/token"}
    await gateway.start()
    await gateway.registered()
    event = business.add_event(
        business.add_program(),
        intervalPeriod=period(soon(4), 2),
        intervals=intervals(2),
        reportDescriptors=[{"payloadType": "USAGE", "units": "KWH", **EACH}],
    )
    await gateway.knows(1)
    tap.spoils = lambda _: PORTALS[portal]
    await gateway.until(lambda s: s["vtn"]["state"] not in ("connected", "connecting"), "portal noticed")
    await gateway.until(lambda s: s["reports"]["owed"] + s["reports"].get("sending", 0) == 2, "reports due")
    known = gateway.status["events"]["known"]
    tap.spoils = lambda _: None
    await gateway.until(lambda s: s["reports"]["sent"] == 2 and s["vtn"]["state"] == "connected", "all sent")

    assert known == 1
    assert len(business.reports(event)) == 2


@pytest.mark.only("openadr")  # the other VTN sends no ETag
async def test_what_has_not_changed_is_not_read_again(gateway: Gateway, business: Business, tap: Tap) -> None:
    """Polls of an unchanged VTN are answered 304, and a changed one is read at once."""
    gateway.settings["vtn"]["url"] = tap.url
    program = business.add_program()
    business.add_event(program, intervalPeriod=period(soon(60), 5), intervals=intervals(1))
    await gateway.start()
    await gateway.knows(1)
    polls = len(tap.requests("GET", "/events"))
    await until(lambda: len(tap.answered("GET", "/events")) >= polls + 4, "polled", log=lambda: gateway.log)
    statuses = {one.status for one in tap.answered("GET", "/events")[polls + 1 : polls + 4]}
    business.add_event(program, intervalPeriod=period(soon(60), 5), intervals=intervals(1))
    await gateway.knows(2)

    assert statuses == {304}
