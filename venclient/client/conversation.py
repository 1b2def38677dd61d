"""Authorised calls to one VTN: the address, the token, and what a refusal means. No OpenADR objects here."""

from __future__ import annotations

import random
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

import httpx2

from venclient.client.account import VtnAccount
from venclient.client.exchange import USER_AGENT, Answer, Exchange, Params
from venclient.client.token import TokenSource
from venclient.clock import Clock
from venclient.errors import AuthRefused, VtnError, VtnProblem, VtnUnreachable, WireError
from venclient.messages import Text
from venclient.messages import client as vtn
from venclient.messages.printable import foreign

#: How long a 403 that a new token did not change is taken for a missing scope, without renewing again.
_FORBIDDEN_MEMORY_S = 900.0


class Conversation:
    """Calls for one account, between `open` and `close`; safe for many tasks at once."""

    def __init__(
        self,
        account: VtnAccount,
        clock: Clock,
        transport: httpx2.AsyncBaseTransport | None,
        rng: random.Random,
    ) -> None:
        self.account = account
        self._clock = clock
        self._transport = transport
        self._rng = rng
        self._http: httpx2.AsyncClient | None = None
        self._exchange: Exchange | None = None
        self._tokens: TokenSource | None = None
        self._forbidden_until: dict[tuple[str, str], float] = {}
        #: Whether the VTN has accepted a request of this account: it knows us, and may still refuse some.
        self._accepted = False

    def open(self) -> None:
        """Make the connection pool; ConfigError when a certificate file cannot be used."""
        self._http = self._open_http()
        self._exchange = Exchange(self.account, self._clock, self._http, self._rng)
        self._tokens = TokenSource(self.account, self._clock, self._exchange)

    async def close(self) -> None:
        """Close the connections; counters can still be looked at."""
        if self._http is not None:
            await self._http.aclose()
        self._http = None

    @property
    def clock(self) -> Clock:
        """Return where time comes from."""
        return self._clock

    @property
    def exchange(self) -> Exchange | None:
        """Return the exchange with its counters; None before `open`."""
        return self._exchange

    @property
    def tokens(self) -> TokenSource | None:
        """Return the source of tokens; None before `open`."""
        return self._tokens

    async def call(
        self,
        method: str,
        *path: str,
        params: Params = (),
        body: bytes | None = None,
        etag: str | None = None,
        repeatable: bool = True,
        optional: bool = False,
    ) -> Answer:
        """Return the VTN's 2xx answer, with `etag` its 304 as well; a token that it does not take is renewed.

        `path` is in segments. A refusal of what is `optional` is raised too, and not counted as a failure.
        """
        exchange, tokens = self._in_use()
        url = "/".join((self.account.url, *(quote(segment, safe="") for segment in path)))
        headers = {"Accept": "application/json"}
        if etag is not None:
            headers["If-None-Match"] = etag
        if body is not None:
            headers["Content-Type"] = "application/json"

        async def send(token: str | None) -> Answer:
            bearer = {} if token is None else {"Authorization": f"Bearer {token}"}
            return await exchange.send(
                method,
                url,
                params=params,
                headers=headers | bearer,
                content=body,
                repeatable=repeatable,
                # A VTN without what is optional may answer with its own web interface.
                pages=optional,
                place=f"{method} {self.account.url}/{place[1]}",
            )

        place = (method, "/".join(path[::2]))  # without ids
        token = await tokens.current()
        answer = await send(token)
        renewable = token is not None and self.account.token is None
        if (
            answer.status in (401, 403)
            and token is not None
            and renewable
            and self._worth_renewing(answer, place)
        ):
            token = await tokens.renewed(token)
            answer = await send(token)
            if answer.status == 403:
                self._forbidden_until[place] = self._clock.monotonic() + _FORBIDDEN_MEMORY_S
        if answer.ok or (etag is not None and answer.unchanged):
            self._forbidden_until.pop(place, None)
            self._accepted = True
            return answer
        problem = exchange.problem(answer)
        error: VtnError = problem
        if answer.status in (401, 403):
            what = self._auth_message(problem, token, tokens.granted_scope)
            error = AuthRefused(what, subject=problem.subject)
            error.answered, error.status = True, problem.status
        if not optional:
            exchange.fail(error)
        raise error

    async def token(self) -> str | None:
        """Return a token that is good now; None for an account without login."""
        _, tokens = self._in_use()
        return await tokens.current()

    async def tells_token_service(self) -> bool:
        """Tell whether the VTN answers GET /auth/server, which it is asked once."""
        _, tokens = self._in_use()
        if tokens.discovered is None and self.account.client_id is not None:
            await tokens.current()
        return await tokens.discover() is not None if tokens.discovered is None else tokens.discovered

    def broken(self, answer: Answer, error: WireError) -> VtnUnreachable:
        """Return, and count, the error for an answer whose body is not what it should be."""
        exchange, _ = self._in_use()
        what = vtn.UNEXPECTED_BODY(status=answer.status, problem=error)
        broken = VtnUnreachable(what, subject=answer.subject)
        broken.answered, broken.status = True, answer.status
        exchange.fail(broken)
        return broken

    def _in_use(self) -> tuple[Exchange, TokenSource]:
        if self._exchange is None or self._tokens is None or self._http is None:
            raise RuntimeError(vtn.CLOSED_CLIENT())
        return self._exchange, self._tokens

    def _open_http(self) -> httpx2.AsyncClient:
        account = self.account
        encrypted = account.url.startswith("https:") or (account.token_url or "").startswith("https:")
        loopback = urlsplit(account.url).hostname in ("localhost", "127.0.0.1", "::1")
        headers: Mapping[str, str] = {"User-Agent": USER_AGENT}
        return httpx2.AsyncClient(
            transport=self._transport,
            verify=account.tls_context() if encrypted and self._transport is None else True,
            timeout=account.timeout_s,
            headers=headers,
            follow_redirects=False,  # a redirect would carry the token to an unconfirmed address
            trust_env=not loopback,  # a proxy between us and ourselves is never meant
        )

    def _worth_renewing(self, answer: Answer, place: tuple[str, str]) -> bool:
        """False for a 403 that a new token did not change a short while ago: a scope is missing then."""
        return answer.status == 401 or self._forbidden_until.get(place, 0.0) <= self._clock.monotonic()

    def _auth_message(self, problem: VtnProblem, token: str | None, scope: str | None) -> Text:
        """Return the message for 401 and 403; where other requests succeed, the login is not in doubt."""
        said = " - ".join(part.strip() for part in (problem.title, problem.detail) if part and part.strip())
        said = said and f": {foreign(said)}"
        if token is None:
            message = vtn.LOGIN_FOR_THIS if self._accepted else vtn.TOKEN_NEEDED
            return message(status=problem.status, said=said)
        if problem.status == 401 and self.account.token is not None:
            return vtn.GIVEN_TOKEN_REJECTED(status=problem.status, said=said)
        if problem.status == 401 and not self._accepted:
            return vtn.TOKEN_REJECTED(status=problem.status, said=said)
        granted = foreign(scope) if scope else "unknown"
        return vtn.SCOPE_MISSING(status=problem.status, said=said, granted=granted)
