"""`VenClient`: what a VEN says to its VTN and hears from it. The only HTTP to the VTN is here.

Methods raise `VtnUnreachable` (no answer), `AuthRefused` (token or scope) and `VtnProblem` (the VTN
says no); `ambiguous` on them tells that the VTN may have acted all the same. It holds no site nouns.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import TypeVar
from urllib.parse import quote, urlsplit

import httpx2
import msgspec

from venclient.client.account import VtnAccount
from venclient.client.exchange import USER_AGENT, Answer, Exchange, Params, Tally
from venclient.client.listing import Listing, read_listing
from venclient.client.token import TokenSource, TokenState
from venclient.clock import Clock
from venclient.errors import AuthRefused, VtnError, VtnProblem, VtnUnreachable, WireError
from venclient.openadr.codec import CODEC_31, Codec, Decoded
from venclient.openadr.objects import Event, Notifiers, Program, Report, ValuesMap, Ven, VenResource

log = logging.getLogger(__name__)

S = TypeVar("S", bound=msgspec.Struct)

Attributes = Sequence[ValuesMap] | None

#: How long a 403 that a new token did not change is taken for a missing scope, without renewing again.
_FORBIDDEN_MEMORY_S = 900.0
_REMEMBERED_REFUSALS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientStatus:
    """How it stands with one VTN; holds no secret.

    `clock_skew_s` is our clock minus the VTN's, in seconds (its `Date` header tells whole ones).
    """

    url: str
    token: TokenState
    token_renewals: int
    scope: str | None
    requests: int
    retries: int
    failures: int
    refused_objects: int
    last_ok: datetime | None
    last_error: str | None
    last_error_at: datetime | None
    clock_skew_s: float | None


class VenClient:
    """The client of one account, used as an async context manager; safe for many tasks at once.

    `transport` replaces the network (tests); `codec` is the version that the VTN speaks.
    """

    def __init__(
        self,
        account: VtnAccount,
        clock: Clock,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
        codec: Codec = CODEC_31,
        rng: random.Random | None = None,
    ) -> None:
        self._account = account
        self._clock = clock
        self._transport = transport
        self._codec = codec
        self._rng = rng or random.SystemRandom()
        self._http: httpx2.AsyncClient | None = None
        self._exchange: Exchange | None = None
        self._tokens: TokenSource | None = None
        self._forbidden_until: dict[tuple[str, str], float] = {}
        self._known_refusals: set[tuple[str, str]] = set()
        self._refused_objects = 0

    def __repr__(self) -> str:
        return f"VenClient({self._account.url!r})"

    async def __aenter__(self) -> VenClient:
        http = self._open_http()
        self._http = http
        self._exchange = Exchange(self._account, self._clock, http, self._rng)
        self._tokens = TokenSource(self._account, self._clock, self._exchange)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http is not None:
            await self._http.aclose()
        self._http = None

    @property
    def client_id(self) -> str | None:
        """Give the client id of the account; None when it has none."""
        return self._account.client_id

    # -- reading ------------------------------------------------------------------------------

    async def programs(self, *, targets: Sequence[str] = ()) -> Listing[Program]:
        """List the programs that this VEN may see; with `targets`, joined with those for these targets."""
        return await self._list_with_targets(Program, "programs", (), targets)

    async def events(self, program_id: str | None = None, *, targets: Sequence[str] = ()) -> Listing[Event]:
        """List the events, of one program or of all; with `targets`, joined with those for these targets."""
        return await self._list_with_targets(Event, "events", _given(programID=program_id), targets)

    async def vens(self, name: str | None = None) -> Listing[Ven]:
        """List the VEN objects that this client may see: its own."""
        return await self._list(Ven, "vens", _given(venName=name))

    async def resources(self, ven_id: str | None = None, *, name: str | None = None) -> Listing[VenResource]:
        """List the resources of a VEN."""
        return await self._list(VenResource, "resources", _given(venID=ven_id, resourceName=name))

    async def reports(
        self, event_id: str | None = None, client_name: str | None = None, *, program_id: str | None = None
    ) -> Listing[Report]:
        """List the reports that the VTN holds of this client."""
        query = _given(programID=program_id, eventID=event_id, clientName=client_name)
        return await self._list(Report, "reports", query)

    async def notifiers(self) -> Notifiers | None:
        """Give the ways in which the VTN notifies; None when it tells none (403, 404, unreadable): poll."""
        try:
            answer = await self._call("GET", "notifiers", optional=True)
            return self._codec.decode(Notifiers, answer.body)
        except (AuthRefused, WireError):
            return None
        except VtnProblem as problem:
            if problem.transient:
                raise
            return None

    # -- registering --------------------------------------------------------------------------

    async def create_ven(self, name: str, attributes: Attributes = None) -> Ven:
        """Create this VEN's object. `VtnProblem.is_conflict` when the name, or our VEN, exists."""
        body = self._codec.ven_request(name, attributes)
        return self._one(Ven, await self._call("POST", "vens", body=body))

    async def update_ven(self, ven_id: str, name: str, attributes: Attributes = None) -> Ven:
        """Replace name and attributes of this VEN's object; its targets are not ours and stay."""
        body = self._codec.ven_request(name, attributes)
        return self._one(Ven, await self._call("PUT", "vens", ven_id, body=body))

    async def create_resource(self, ven_id: str, name: str, attributes: Attributes = None) -> VenResource:
        """Create a resource of the VEN. `VtnProblem.is_conflict` when its name exists."""
        body = self._codec.resource_request(name, ven_id, attributes)
        return self._one(VenResource, await self._call("POST", "resources", body=body))

    async def update_resource(
        self, resource_id: str, ven_id: str, name: str, attributes: Attributes = None
    ) -> VenResource:
        """Replace name and attributes of a resource; its targets are not ours and stay."""
        body = self._codec.resource_request(name, ven_id, attributes)
        return self._one(VenResource, await self._call("PUT", "resources", resource_id, body=body))

    async def delete_resource(self, resource_id: str) -> bool:
        """Delete a resource; False when it was gone already."""
        try:
            await self._call("DELETE", "resources", resource_id)
        except VtnProblem as problem:
            if problem.is_not_found:
                return False
            raise
        return True

    # -- reporting ----------------------------------------------------------------------------

    async def create_report(self, report: Report) -> Report:
        """Send a report and give it as the VTN stored it.

        Sent again only when the VTN cannot have stored it. When that is in doubt the error is
        `ambiguous`: look for the report's name in `reports(...)` before sending it once more.
        """
        body = self._codec.report_request(report)
        return self._one(Report, await self._call("POST", "reports", body=body, repeatable=False))

    async def update_report(self, report_id: str, report: Report) -> Report:
        """Replace a report by a corrected one, complete, and give it as the VTN stored it."""
        body = self._codec.report_request(report)
        return self._one(Report, await self._call("PUT", "reports", report_id, body=body))

    # -- state --------------------------------------------------------------------------------

    @property
    def clock_skew_s(self) -> float | None:
        """Give our clock minus the VTN's, in seconds, as its last answer told; None before one did."""
        return self.status.clock_skew_s

    @property
    def status(self) -> ClientStatus:
        """Give a snapshot for people and for `ven status`."""
        tally = self._exchange.tally if self._exchange else Tally()
        return ClientStatus(
            url=self._account.url,
            token=self._tokens.state if self._tokens else "none",
            token_renewals=self._tokens.renewals if self._tokens else 0,
            scope=self._tokens.granted_scope if self._tokens else None,
            requests=tally.requests,
            retries=tally.retries,
            failures=tally.failures,
            refused_objects=self._refused_objects,
            last_ok=tally.last_ok,
            last_error=tally.last_error,
            last_error_at=tally.last_error_at,
            clock_skew_s=tally.clock_skew_s,
        )

    # -- inside -------------------------------------------------------------------------------

    def _open_http(self) -> httpx2.AsyncClient:
        account = self._account
        encrypted = account.url.startswith("https:") or (account.token_url or "").startswith("https:")
        loopback = urlsplit(account.url).hostname in ("localhost", "127.0.0.1", "::1")
        return httpx2.AsyncClient(
            transport=self._transport,
            verify=account.tls_context() if encrypted and self._transport is None else True,
            timeout=account.timeout_s,
            headers={"User-Agent": USER_AGENT},
            follow_redirects=False,  # a redirect would carry the token to an address nobody confirmed
            trust_env=not loopback,  # a proxy between us and ourselves is never meant
        )

    async def _call(
        self,
        method: str,
        collection: str,
        id_: str | None = None,
        *,
        params: Params = (),
        body: bytes | None = None,
        repeatable: bool = True,
        optional: bool = False,
    ) -> Answer:
        """Give the VTN's 2xx answer; a token that it does not take is renewed once.

        A refusal of what is `optional` is raised as well, and not counted as a failure.
        """
        if self._exchange is None or self._tokens is None or self._http is None:
            raise RuntimeError("a VenClient is used inside `async with`")
        url = f"{self._account.url}/{collection}" + (f"/{quote(id_, safe='')}" if id_ is not None else "")
        token = await self._tokens.current()
        answer = await self._send(method, url, token, params, body, repeatable)
        place = (method, collection)
        if answer.status in (401, 403) and token is not None and self._worth_renewing(answer, place):
            token = await self._tokens.renewed(token)
            answer = await self._send(method, url, token, params, body, repeatable)
            if answer.status == 403:
                self._forbidden_until[place] = self._clock.monotonic() + _FORBIDDEN_MEMORY_S
        if answer.ok:
            self._forbidden_until.pop(place, None)
            return answer
        problem = self._exchange.problem(answer)
        error: VtnError = problem
        if answer.status in (401, 403):
            hint = _auth_hint(answer.status, token, self._tokens.granted_scope)
            error = AuthRefused(problem.what, subject=problem.subject, hint=hint)
        if not optional:
            self._exchange.fail(error)
        raise error

    async def _send(
        self, method: str, url: str, token: str | None, params: Params, body: bytes | None, repeatable: bool
    ) -> Answer:
        assert self._exchange is not None  # noqa: S101  for the type checker; _call has looked
        headers = {"Accept": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        return await self._exchange.send(
            method, url, params=params, headers=headers, content=body, repeatable=repeatable
        )

    def _worth_renewing(self, answer: Answer, place: tuple[str, str]) -> bool:
        """False for a 403 that a new token did not change a short while ago: a scope is missing then."""
        return answer.status == 401 or self._forbidden_until.get(place, 0.0) <= self._clock.monotonic()

    async def _list_with_targets(
        self, kind: type[S], collection: str, query: Params, targets: Sequence[str]
    ) -> Listing[S]:
        # VTNs read a query without targets differently (Definition.md, "Object Privacy"): ask both ways.
        listing = await self._list(kind, collection, query)
        if targets:
            named = [("targets", target) for target in targets]
            listing = listing.joined(await self._list(kind, collection, [*query, *named]))
        return listing

    async def _list(self, kind: type[S], collection: str, query: Params) -> Listing[S]:
        async def fetch(skip: int, limit: int) -> Decoded[S]:
            params = [*query, ("skip", str(skip)), ("limit", str(limit))]
            answer = await self._call("GET", collection, params=params)
            try:
                return self._codec.decode_list(kind, answer.body)
            except WireError as error:
                raise self._broken(answer, error) from error

        listing = await read_listing(fetch)
        self._note_refused(listing)
        return listing

    def _one(self, kind: type[S], answer: Answer) -> S:
        try:
            return self._codec.decode(kind, answer.body)
        except WireError as error:
            broken = self._broken(answer, error)
            broken.ambiguous = True
            raise broken from error

    def _broken(self, answer: Answer, error: WireError) -> VtnUnreachable:
        assert self._exchange is not None  # noqa: S101  for the type checker; there is an answer
        broken = VtnUnreachable(
            f"answered {answer.status} with something else than expected: {error}",
            subject=answer.subject,
            hint="check that vtn.url is the VTN's and ends with its version path",
        )
        self._exchange.fail(broken)
        return broken

    def _note_refused(self, listing: Listing[S]) -> None:
        """Count what could not be understood, and say it once for each object and reason."""
        self._refused_objects += len(listing.refused)
        for one in listing.refused:
            key = (one.id or one.place, one.reason)
            if key not in self._known_refusals and len(self._known_refusals) < _REMEMBERED_REFUSALS:
                self._known_refusals.add(key)
                log.warning("%s of %s left out: %s", one.place, self._account.url, one.reason)


def _given(**members: str | None) -> Params:
    return [(name, value) for name, value in members.items() if value is not None]


def _auth_hint(status: int, token: str | None, scope: str | None) -> str:
    if token is None:
        return "this VTN wants a token: set vtn.client_id and vtn.client_secret"
    if status == 401:
        return "it refuses even a new token; is vtn.token_url the service of this VTN?"
    granted = f" (granted: {scope})" if scope else ""
    return f"ask the VTN's operator for the scope that this needs{granted}"
