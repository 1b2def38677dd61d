"""Tokens: where they are asked for, how often, and what is said when there is none."""

from __future__ import annotations

import asyncio
import logging

import httpx2
import pytest

from tests.client.fake_vtn import BASE, SECRET, FakeVtn, SwiftClock, problem
from venclient.errors import AuthRefused, ConfigError, VtnProblem


async def test_row_09_the_token_request_is_a_form(vtn: FakeVtn) -> None:
    """Client credentials go out form-urlencoded, with the scope when one is set."""
    async with vtn.client(scope="read_targets write_reports") as client:
        await client.events()

    (request,) = vtn.calls("POST", "auth/token")
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert vtn.form(request) == {
        "grant_type": ["client_credentials"],
        "client_id": ["gw-1"],
        "client_secret": [SECRET],
        "scope": ["read_targets write_reports"],
    }
    assert vtn.calls("GET", "events")[0].headers["Authorization"] == "Bearer token-1"


async def test_row_10_early_renewal_single_flight(vtn: FakeVtn, clock: SwiftClock) -> None:
    """Twenty calls at once cause one token request, and it is renewed before it ends."""
    vtn.expires_in = 5
    async with vtn.client() as client:
        await asyncio.gather(*(client.events() for _ in range(20)))
        assert vtn.issued == 1

        await clock.advance(3.9)
        await client.events()
        assert vtn.issued == 1

        await clock.advance(0.2)
        await asyncio.gather(*(client.events() for _ in range(20)))

    assert vtn.issued == 2


@pytest.mark.parametrize("expires_in", [None, "soon", -1, 0])
async def test_a_token_without_sound_life_is_used_until_refused(
    vtn: FakeVtn, clock: SwiftClock, expires_in: object
) -> None:
    """Without expires_in, or with nonsense in it, the token is kept."""
    granted = {"access_token": "t", "token_type": "Bearer"} | (
        {"expires_in": expires_in} if expires_in is not None else {}
    )
    vtn.handlers["POST", "auth/token"] = lambda request: httpx2.Response(200, json=granted)
    async with vtn.client() as client:
        await client.events()
        await clock.advance(1e7)
        await client.events()

    assert len(vtn.calls("POST", "auth/token")) == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_row_11_a_refused_token_is_renewed_once(vtn: FakeVtn, status: int) -> None:
    """After a 401 or 403 the call is repeated with a new token."""
    vtn.faults = [problem(status)]
    async with vtn.client() as client:
        listing = await client.events()

    assert listing.complete
    assert [r.headers["Authorization"] for r in vtn.calls("GET", "events")] == [
        "Bearer token-1",
        "Bearer token-2",
    ]


@pytest.mark.parametrize(("status", "hint"), [(401, "token_url"), (403, "scope")])
async def test_row_11_a_lasting_refusal_is_a_clear_error(vtn: FakeVtn, status: int, hint: str) -> None:
    """When a new token changes nothing, AuthRefused says what the VTN answered and what to do."""
    vtn.faults = [problem(status, detail="not you"), problem(status, detail="not you")]
    async with vtn.client() as client:
        with pytest.raises(AuthRefused, match=r"not you.*VEN-VTN-01[56]") as caught:
            await client.events()

    assert hint in caught.value.hint
    assert len(vtn.calls("GET", "events")) == 2


async def test_a_missing_scope_does_not_ask_for_tokens_for_ever(vtn: FakeVtn, clock: SwiftClock) -> None:
    """A lasting 403 renews no token again for a quarter of an hour, other calls are unharmed."""
    vtn.handlers["GET", "notifiers"] = lambda request: problem(403)
    async with vtn.client() as client:
        for _ in range(5):
            assert await client.notifiers() is None
        await client.events()
        assert vtn.issued == 2

        await clock.advance(901)
        assert await client.notifiers() is None

    assert vtn.issued == 3


async def test_many_calls_with_a_dead_token_renew_it_once(vtn: FakeVtn) -> None:
    """When the VTN forgets its tokens, twenty refused calls cause one new token."""
    vtn.valid_tokens = set()
    async with vtn.client() as client:
        await client.events()
        vtn.valid_tokens.clear()
        await asyncio.gather(*(client.events() for _ in range(20)))

    assert vtn.issued == 2


async def test_row_07_the_token_service_is_where_the_vtn_says(
    vtn: FakeVtn, caplog: pytest.LogCaptureFixture
) -> None:
    """/auth/server names the token service; one on another host is used with a warning."""
    seen: list[str] = []

    async def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.host == "login.example":
            seen.append(str(request.url))
            return vtn.grant()
        return await vtn.answer(request)

    vtn.handlers["GET", "auth/server"] = lambda r: httpx2.Response(
        200, json={"tokenURL": "https://login.example/t"}
    )
    client = vtn.client()
    client._talk._transport = httpx2.MockTransport(answer)
    async with client:
        await client.events()

    assert seen == ["https://login.example/t"]
    assert "another host" in caplog.text


async def test_a_configured_token_service_is_asked_without_discovery(vtn: FakeVtn) -> None:
    """vtn.token_url wins over what the VTN would say."""
    async with vtn.client(token_url=f"{BASE}/auth/token") as client:
        await client.events()

    assert vtn.calls("GET", "auth/server") == []


@pytest.mark.parametrize("answer", [problem(404), problem(501), httpx2.Response(200, text="<html>")])
async def test_row_08_without_discovery_the_base_is_asked(vtn: FakeVtn, answer: httpx2.Response) -> None:
    """When /auth/server says nothing useful, {base}/auth/token is asked."""
    vtn.handlers["GET", "auth/server"] = lambda request: answer
    async with vtn.client() as client:
        await client.events()

    assert len(vtn.calls("POST", "auth/token")) == 1


async def test_row_08_a_vtn_without_token_service_says_so(vtn: FakeVtn) -> None:
    """501 from the token endpoint becomes a sentence with the two ways out."""
    vtn.handlers["POST", "auth/token"] = lambda request: problem(501)
    async with vtn.client() as client:
        with pytest.raises(AuthRefused, match="VEN-VTN-036") as caught:
            await client.events()

    assert "vtn.token_url" in caught.value.hint


async def test_a_secret_never_goes_out_unencrypted_because_a_vtn_says_so(vtn: FakeVtn) -> None:
    """A token service without TLS named by the VTN is refused."""
    vtn.handlers["GET", "auth/server"] = lambda r: httpx2.Response(
        200, json={"tokenURL": "http://vtn.example/t"}
    )
    async with vtn.client() as client:
        with pytest.raises(AuthRefused, match="VEN-VTN-033"):
            await client.events()


@pytest.mark.parametrize("status", [400, 401])
async def test_row_12_the_token_services_reason_is_shown(vtn: FakeVtn, status: int) -> None:
    """The error code of the token service is in the error and in the status."""
    refusal = {"error": "invalid_client", "error_description": f"no such pair gw-1/{SECRET}"}
    vtn.handlers["POST", "auth/token"] = lambda request: httpx2.Response(status, json=refusal)
    async with vtn.client() as client:
        with pytest.raises(AuthRefused, match="invalid_client") as caught:
            await client.events()

        assert client.status.token == "refused"
        assert "invalid_client" in str(client.status.last_error)
        assert SECRET not in f"{caught.value} {client.status}"


async def test_callers_who_waited_share_one_refusal(vtn: FakeVtn) -> None:
    """Twenty calls without a token cause one refused token request, not twenty."""
    vtn.handlers["POST", "auth/token"] = lambda request: httpx2.Response(
        400, json={"error": "invalid_client"}
    )
    async with vtn.client() as client:
        results = await asyncio.gather(*(client.events() for _ in range(20)), return_exceptions=True)

    assert all(isinstance(result, AuthRefused) for result in results)
    assert len(vtn.calls("POST", "auth/token")) == 1


async def test_a_token_service_that_is_ill_is_asked_again(vtn: FakeVtn, clock: SwiftClock) -> None:
    """503 from the token service is repeated like any transient failure, then reported as a problem."""
    vtn.handlers["POST", "auth/token"] = lambda request: problem(503)
    async with vtn.client() as client:
        with pytest.raises(VtnProblem) as caught:
            await client.events()

        assert caught.value.transient
        del vtn.handlers["POST", "auth/token"]
        assert (await client.events()).complete

    assert len(clock.slept) == 3


async def test_row_13_no_credentials_no_authorization(vtn: FakeVtn) -> None:
    """Without a client id no token is asked for and no Authorization header is sent."""
    async with vtn.client(client_id=None, client_secret=None) as client:
        await client.events()

        assert client.status.token == "not needed"

    assert [request.url.path for request in vtn.requests] == ["/openadr3/3.1.0/events"]
    assert "Authorization" not in vtn.requests[0].headers


async def test_row_14_secrets_are_in_no_log_repr_or_error(
    vtn: FakeVtn, caplog: pytest.LogCaptureFixture
) -> None:
    """With everything logged, neither secret nor token appears anywhere, even when the VTN echoes them."""
    caplog.set_level(logging.DEBUG)
    echo = problem(400, detail=f"bad call by {SECRET} with token-1")
    vtn.faults = [echo]
    async with vtn.client() as client:
        with pytest.raises(VtnProblem) as caught:
            await client.events()
        error = f"{caught.value} {caught.value.detail}"
        shown = f"{error} {client!r} {client._talk.tokens!r} {client.status} {client._account!r}"

    assert "***" in shown
    for secret in (SECRET, "token-1", "s3cret"):
        assert secret not in shown + caplog.text


@pytest.mark.parametrize(
    "members",
    [
        {"scope": ["read_all", "write_reports"]},
        {"scope": None},
        {"expires_in": "3600", "token_type": "BEARER"},
    ],
)
async def test_a_token_response_of_another_shape_is_taken(vtn: FakeVtn, members: dict[str, object]) -> None:
    """A list of scopes, nulls, texts and other spellings beside a token do not cost the token."""
    granted = {"access_token": "t", "token_type": "Bearer", "expires_in": 3600, "extra": {}, **members}
    vtn.handlers["POST", "auth/token"] = lambda request: httpx2.Response(200, json=granted)
    async with vtn.client() as client:
        await client.events()
        scope = client.status.scope

    assert vtn.calls("GET", "events")[0].headers["Authorization"] == "Bearer t"
    assert scope == ("read_all write_reports" if isinstance(members.get("scope"), list) else None)


@pytest.mark.parametrize(
    ("token", "code"), [("", "VEN-VTN-032"), ("a\nb", "VEN-VTN-100"), ("tøken", "VEN-VTN-100")]
)
async def test_a_token_that_cannot_be_sent_is_refused(vtn: FakeVtn, token: str, code: str) -> None:
    """What fits no header is refused with its reason, and sent nowhere."""
    vtn.handlers["POST", "auth/token"] = lambda request: httpx2.Response(200, json={"access_token": token})
    async with vtn.client() as client:
        with pytest.raises(AuthRefused, match=code):
            await client.events()

    assert not vtn.calls("GET", "events")


async def test_a_given_token_is_sent_as_it_is_and_never_renewed(
    vtn: FakeVtn, caplog: pytest.LogCaptureFixture
) -> None:
    """With vtn.token no token service is asked, also when the VTN rejects it; it is shown nowhere."""
    vtn.valid_tokens = {"given-1"}
    async with vtn.client(client_id=None, client_secret=None, token="given-1") as client:
        await client.events()
        assert client.status.token == "given"
        vtn.valid_tokens.clear()
        with pytest.raises(AuthRefused, match="VEN-VTN-101") as caught:
            await client.events()
        shown = f"{caught.value} {client!r} {client.status} {client._account!r} {caplog.text}"

    assert not vtn.calls("POST", "auth/token")
    assert "given-1" not in shown


@pytest.mark.parametrize(
    ("more", "code"), [({"token": "a b"}, "VEN-VTN-100"), ({"token": "t"}, "VEN-VTN-102")]
)
def test_a_given_token_that_cannot_be_used_is_said_with_the_account(
    vtn: FakeVtn, more: dict[str, str], code: str
) -> None:
    """Spaces in it, or a login beside it, are found before anything is sent."""
    login = {} if code == "VEN-VTN-102" else {"client_id": None, "client_secret": None}
    with pytest.raises(ConfigError, match=code):
        vtn.client(**login, **more)


async def test_a_missing_token_address_is_logged_once(vtn: FakeVtn, caplog: pytest.LogCaptureFixture) -> None:
    """However often the VTN is asked for its token service."""
    vtn.handlers["GET", "auth/server"] = lambda request: httpx2.Response(200, json={"tokenURL": {}})
    vtn.handlers["POST", "auth/token"] = lambda request: problem(400)
    async with vtn.client(retries=0) as client:
        for _ in range(4):
            with pytest.raises(AuthRefused):
                await client.events()

    assert len([one for one in caplog.records if "tokenURL" in one.getMessage()]) == 1
