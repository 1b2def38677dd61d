"""Tokens, errors, compression and paging, as OpenLEADR does them."""

from __future__ import annotations

import logging
from urllib.parse import parse_qs

import pytest

from tests.codes import raises_code
from tests.interop.business import VEN_SCOPES, Business, intervals, period
from tests.interop.conftest import account
from tests.interop.site import SECRET, Gateway, soon
from tests.interop.stack import Database, OpenLeadr, find_vtn
from tests.interop.tap import Passed, Tap
from venclient.client import VenClient, ensure_ven
from venclient.clock import SystemClock
from venclient.errors import AuthRefused


async def test_row_07_the_token_service_is_found_where_the_vtn_says(
    postgres: Database, vtn: OpenLeadr, business: Business, caplog: pytest.LogCaptureFixture
) -> None:
    """A token service on another host is used, with a warning, and its token counts at the VTN."""
    with OpenLeadr(find_vtn(), vtn.environment["DATABASE_URL"], {}) as issuer:
        vtn.stop()
        # The same key: what one gives, the other takes.
        vtn.environment["OAUTH_BASE64_SECRET"] = issuer.environment["OAUTH_BASE64_SECRET"]
        vtn.environment["OAUTH_TOKEN_URL"] = f"http://localhost:{issuer.port}/auth/token"
        vtn.start()
        async with VenClient(account(vtn.url), SystemClock()) as client:
            with caplog.at_level(logging.WARNING):
                programs = await client.programs()

    assert (programs.complete, client.status.token, client.status.token_renewals) == (True, "valid", 1)
    assert f"localhost:{issuer.port}" in caplog.text


async def test_row_09_credentials_go_as_a_form(tap: Tap, business: Business) -> None:
    """The token request has the form and content type of the standard; OpenLEADR answers with a token."""
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


async def test_row_11_a_token_that_no_longer_counts_is_renewed_once(
    vtn: OpenLeadr, client: VenClient
) -> None:
    """After the VTN has changed its key, the next call gets a new token and succeeds."""
    await client.programs()
    vtn.forget_tokens()
    await client.programs()
    await client.events()

    assert client.status.token_renewals == 2


async def test_row_11_a_missing_scope_is_told_and_not_asked_again_and_again(
    vtn: OpenLeadr, business: Business
) -> None:
    """A 403 that a new token does not change says that a scope is missing, and costs one renewal in all."""
    scopes = [scope for scope in VEN_SCOPES if scope != "write_vens_ven"]
    business.add_client("limited", SECRET, scopes)
    login = account(vtn.url, client_id="limited")
    async with VenClient(login, SystemClock()) as client:
        for _ in range(3):
            with raises_code(AuthRefused, "VEN-VTN-105"):
                await ensure_ven(client, "limited")

        assert client.status.token_renewals == 2


async def test_row_12_a_wrong_secret_shows_as_invalid_client(gateway: Gateway) -> None:
    """The status tells the token service's own word for it."""
    gateway.settings["vtn"]["client_id"] = "nobody"
    await gateway.start()
    error = await gateway.until(lambda s: s["vtn"]["last_error"], "refusal told")

    assert "invalid_client" in error
    assert gateway.status["vtn"]["state"] == "refused"


async def test_row_17_compressed_answers_are_read(tap: Tap, business: Business) -> None:
    """OpenLEADR compresses its listings for us, and they are read all the same."""
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
