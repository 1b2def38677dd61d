"""The token endpoint: the client credentials flow and its refusals."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from tests.simulation.vtn.conftest import Answer, Api
from tests.simulation.vtn.contract import Contract
from venclient.errors import ConfigError
from venclient.simulation.vtn.auth import VEN_SCOPES, make_client

GOOD = {"grant_type": "client_credentials", "client_id": "ven", "client_secret": "s"}
FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}


async def ask(api: Api, body: str | bytes) -> Answer:
    """Post a form to the token endpoint."""
    return await api.call(None, "POST", "/auth/token", content=body, headers=FORM)


async def test_a_secret_buys_a_token(api: Api) -> None:
    """The answer is a bearer token with its lifetime and the client's scopes, and may not be cached."""
    answer = await ask(api, urlencode(GOOD))
    assert answer.status == 200
    assert (answer.body["token_type"], answer.body["expires_in"]) == ("Bearer", 3600)
    assert frozenset(answer.body["scope"].split()) == VEN_SCOPES
    assert answer.headers["cache-control"] == "no-store"
    headers = {"Authorization": f"Bearer {answer.body['access_token']}"}
    assert (await api.call(None, "GET", "/vens", headers=headers)).status == 200


async def test_a_scope_can_be_narrowed(api: Api) -> None:
    """A token asked for with fewer scopes has no more than those."""
    answer = await ask(api, urlencode({**GOOD, "scope": "read_targets"}))
    assert answer.body["scope"] == "read_targets"
    headers = {"Authorization": f"Bearer {answer.body['access_token']}"}
    assert (await api.call(None, "GET", "/events", headers=headers)).status == 200
    assert (await api.call(None, "GET", "/vens", headers=headers)).status == 403


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ("", 400, "invalid_request"),
        (urlencode({**GOOD, "client_id": ""}), 400, "invalid_request"),
        (urlencode({**GOOD, "client_id": "x" * 4097}), 400, "invalid_request"),
        (urlencode(GOOD) + "&client_id=ven", 400, "invalid_request"),
        (b"\xff=1", 400, "invalid_request"),
        (urlencode({**GOOD, "grant_type": "password"}), 400, "unsupported_grant_type"),
        (urlencode({**GOOD, "client_secret": "wrong"}), 401, "invalid_client"),
        (urlencode({**GOOD, "client_secret": "ø"}), 401, "invalid_client"),
        (urlencode({**GOOD, "client_id": "nobody"}), 401, "invalid_client"),
        (urlencode({**GOOD, "scope": "read_all"}), 400, "invalid_scope"),
    ],
)
async def test_refusals(api: Api, contract: Contract, body: str, status: int, error: str) -> None:
    """Each mistake in the form has its code, in an authError body that does not show the secret."""
    answer = await ask(api, body)
    assert (answer.status, answer.body["error"]) == (status, error)
    assert not contract.schema_errors("authError", answer.body, "answer")
    assert "wrong" not in answer.body["error_description"].replace("wrong client_secret", "")


async def test_the_form_is_a_form(api: Api) -> None:
    """Credentials as JSON are refused by their content type."""
    assert (await api.call(None, "POST", "/auth/token", GOOD)).status == 415


def test_a_client_hides_its_secret() -> None:
    """A client's repr names it without the secret; without one it gets a random one."""
    client = make_client("ven-1", secret="hunter2")
    assert "hunter2" not in repr(client)
    assert make_client("a").secret != make_client("a").secret


def test_a_secret_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """env:NAME is read when the client is made; a variable that is not set is named."""
    monkeypatch.setenv("VTN_TEST_SECRET", "from-there")
    assert make_client("a", secret="env:VTN_TEST_SECRET").secret == "from-there"
    with pytest.raises(ConfigError, match="VTN_TEST_NOTHING"):
        make_client("a", secret="env:VTN_TEST_NOTHING")
