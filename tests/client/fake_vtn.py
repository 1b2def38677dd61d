"""A VTN without a network for the client's tests: answers from lists, faults on request, requests kept."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs

import httpx2

from venclient.client import VenClient, VtnAccount
from venclient.clock import ManualClock

BASE = "https://vtn.example/openadr3/3.1.0"
SECRET = "s3cret/with+signs"

Outcome = httpx2.Response | Exception
Handler = Callable[[httpx2.Request], httpx2.Response]


class SwiftClock(ManualClock):
    """A clock on which sleeping takes no time; `slept` holds how long each sleep was, in seconds."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        super().__init__(start)
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self.advance(seconds, settle=1)


class FakeVtn:
    """Answers requests below BASE; `faults` are taken one by one by requests to the API (not for tokens).

    With `etags` listings carry an ETag and may be answered with 304; `old` is a VTN of 3.0.1.
    """

    def __init__(
        self, clock: ManualClock, *, path: str = "/openadr3/3.1.0", etags: bool = False, old: bool = False
    ) -> None:
        self.etags = etags
        self.old = old
        self.clock = clock
        self.path = path
        self.requests: list[httpx2.Request] = []
        self.collections: dict[str, list[dict[str, Any]]] = {
            name: [] for name in ("programs", "events", "vens", "resources", "reports")
        }
        self.faults: list[Outcome | None] = []
        self.handlers: dict[tuple[str, str], Handler] = {}
        self.valid_tokens: set[str] | None = None
        self.issued = 0
        self.expires_in: float | None = 3600
        self.skew_s = 0.0
        self.before: Callable[[httpx2.Request], None] = lambda request: None

    # -- what tests look at -------------------------------------------------------------------

    def calls(self, method: str, place: str) -> list[httpx2.Request]:
        """Return the requests of a method to a path below the base."""
        return [r for r in self.requests if r.method == method and r.url.path == f"{self.path}/{place}"]

    @staticmethod
    def body(request: httpx2.Request) -> Any:
        return json.loads(request.content)

    @staticmethod
    def form(request: httpx2.Request) -> dict[str, list[str]]:
        return parse_qs(request.content.decode())

    # -- the VTN ------------------------------------------------------------------------------

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        await asyncio.sleep(0)  # as on a network, other tasks run while one waits for its answer
        response = self._answer(request)
        response.headers.setdefault("Date", self._date())
        return response

    def _date(self) -> str:
        return format_datetime(
            datetime.fromtimestamp(self.clock.now().timestamp() + self.skew_s, tz=UTC), usegmt=True
        )

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        assert request.url.path.startswith(self.path + "/"), f"the base path was lost: {request.url}"
        place = request.url.path.removeprefix(self.path + "/")
        special = self.handlers.get((request.method, place))
        if special is not None:
            return special(request)
        if place == "auth/server" and not self.old:
            return httpx2.Response(200, json={"tokenURL": f"https://vtn.example{self.path}/auth/token"})
        if place == "auth/token":
            return self.grant()
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, Exception):
            raise fault
        if fault is not None:
            return fault
        if self.valid_tokens is not None and request.headers.get("Authorization") not in {
            f"Bearer {token}" for token in self.valid_tokens
        }:
            return problem(401, detail="token expired")
        self.before(request)
        return self._collection(request, place)

    def grant(self) -> httpx2.Response:
        self.issued += 1
        token = f"token-{self.issued}"
        if self.valid_tokens is not None:
            self.valid_tokens.add(token)
        body = {"access_token": token, "token_type": "Bearer"}
        return httpx2.Response(200, json=body | ({"expires_in": self.expires_in} if self.expires_in else {}))

    def _collection(self, request: httpx2.Request, place: str) -> httpx2.Response:
        name, _, id_ = place.partition("/")
        parts = place.split("/")
        params = dict(request.url.params)
        if self.old and parts[0] == "vens" and parts[2:3] == ["resources"]:
            name, id_, params["venID"] = "resources", "".join(parts[3:]), parts[1]
        elif self.old and name == "resources":
            return problem(404)
        held = self.collections.get(name)
        if held is None:
            return problem(404)
        if request.method == "GET" and not id_:
            return self._listing(request, page(held, params))
        if request.method == "POST":
            new = {"id": f"{name[0].upper()}{len(held) + 1}", **self.body(request)}
            held.append(new)
            return httpx2.Response(201, json=new)
        at = next((i for i, one in enumerate(held) if one["id"] == id_), None)
        if at is None:
            return problem(404)
        if request.method == "GET":
            return httpx2.Response(200, json=held[at])
        if request.method == "DELETE":
            return httpx2.Response(200, json=held.pop(at))
        if self.old:  # its PUT replaces the whole object
            held[at].clear()
            held[at]["id"] = id_
        held[at] |= self.body(request)
        return httpx2.Response(200, json=held[at])

    def _listing(self, request: httpx2.Request, listed: list[dict[str, Any]]) -> httpx2.Response:
        response = httpx2.Response(200, json=listed)
        if not self.etags:
            return response
        tag = f'W/"{hashlib.sha1(response.content).hexdigest()}"'
        if request.headers.get("If-None-Match") == tag:
            return httpx2.Response(304, headers={"ETag": tag})
        response.headers["ETag"] = tag
        return response

    # -- its client ---------------------------------------------------------------------------

    def client(self, **account: Any) -> VenClient:
        """Return a client of this VTN; `account` members replace those of an account with credentials."""
        url = f"https://vtn.example{self.path}"
        members: dict[str, Any] = {"url": url, "client_id": "gw-1", "client_secret": SECRET, **account}
        return VenClient(
            VtnAccount(**members),
            self.clock,
            transport=httpx2.MockTransport(self.answer),
            rng=random.Random(7),
        )


def page(held: list[dict[str, Any]], params: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the page that skip and limit ask for, of what the names in the query match."""
    chosen = [
        one
        for one in held
        if all(
            one.get(key) == params[key]
            for key in ("programID", "eventID", "venID", "clientName")
            if key in params
        )
        and all(one.get(key) == params[key] for key in ("venName", "resourceName") if key in params)
    ]
    skip, limit = int(params.get("skip", 0)), int(params.get("limit", 50))
    return chosen[skip : skip + limit]


def problem(status: int, **members: Any) -> httpx2.Response:
    """Return a problem document."""
    return httpx2.Response(status, json={"status": status, **members})
