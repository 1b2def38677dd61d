"""The VTN in the process, without a socket: one application, and a fresh store for every test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from urllib.parse import urlencode

import httpx2
import pytest

from tests.places import SHARED
from tests.simulation.vtn.contract import Contract, load_contract
from venclient.clock import ManualClock
from venclient.simulation.vtn.app import build_app
from venclient.simulation.vtn.auth import Accounts, make_client
from venclient.simulation.vtn.service import Service
from venclient.simulation.vtn.store import Store

BASE = "/openadr3/3.1.1"
YAML = SHARED / "openadr" / "3.1.1" / "openadr3.yaml"

PROGRAM = {"programName": "flexibility"}
VEN = {"objectType": "VEN_VEN_REQUEST", "venName": "gateway"}


class Answer(NamedTuple):
    """Status, decoded body and headers of an answer."""

    status: int
    body: Any
    headers: httpx2.Headers


class Api:
    """Requests as one client or another; every answer is held against the official YAML if it is here."""

    def __init__(
        self, http: httpx2.AsyncClient, service: Service, accounts: Accounts, clock: ManualClock
    ) -> None:
        self.http = http
        self.service = service
        self.accounts = accounts
        self.clock = clock
        self.contract = load_contract(YAML) if YAML.exists() else None
        self._tokens: dict[str, str] = {}

    def token(self, client_id: str) -> str:
        """Return a token of a client, requested once."""
        if client_id not in self._tokens:
            form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": "s"}
            self._tokens[client_id] = str(self.accounts.issue(urlencode(form).encode())["access_token"])
        return self._tokens[client_id]

    async def call(
        self, who: str | None, method: str, path: str, body: object = None, **options: Any
    ) -> Answer:
        """Send one request and give the answer; `who` None sends no token."""
        headers = dict(options.pop("headers", {}))
        if who is not None:
            headers.setdefault("Authorization", f"Bearer {self.token(who)}")
        if body is not None:
            options["json"] = body
        response = await self.http.request(method, BASE + path, headers=headers, **options)
        answer = Answer(response.status_code, response.json(), response.headers)
        if self.contract is not None:
            self.contract.check_answer(method.lower(), path.partition("?")[0], answer.status, answer.body)
        assert response.headers["content-type"] == "application/json"
        return answer

    async def make(self, who: str, path: str, body: object) -> dict[str, Any]:
        """Create an object and give it."""
        answer = await self.call(who, "POST", path, body)
        assert answer.status == 201, answer.body
        made: dict[str, Any] = answer.body
        return made

    async def make_event(self, **members: Any) -> dict[str, Any]:
        """Create an event, with a program when none is named, and give it."""
        if "programID" not in members:
            known = self.service.store.find("program", programName="flexibility")
            found = next(iter(known), None)
            members["programID"] = found.id if found else (await self.make("bl", "/programs", PROGRAM))["id"]
        return await self.make("bl", "/events", members)


@pytest.fixture(scope="session")
def contract() -> Contract:
    """Load the official YAML, or skip."""
    if not YAML.exists():
        pytest.skip("the official openadr3.yaml is not in ../shared")
    return load_contract(YAML)


_PARTS: list[Any] = []


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    """Return the API with nothing in it; clients bl, ven and other all have the secret "s"."""
    clock = ManualClock()
    if not _PARTS:  # building Litestar's routes takes longer than a test: done once
        _PARTS.extend(make_parts())
    app, service, accounts = _PARTS
    service.store = Store(clock.now)
    service.strict_targets = False
    service._clock = accounts._clock = clock
    accounts.expire_all()
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://vtn.test") as http:
        yield Api(http, service, accounts, clock)


def make_parts() -> tuple[Any, Service, Accounts]:
    """Build an application with its service and accounts."""
    clock = ManualClock()
    service = Service(Store(clock.now), clock)
    clients = [make_client("bl", role="bl", secret="s")]
    clients += [make_client(name, secret="s") for name in ("ven", "other")]
    accounts = Accounts(clients, clock)
    return build_app(service, accounts, BASE), service, accounts
