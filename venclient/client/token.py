"""The bearer token: where to ask for it, one request at a time, renewed before it ends."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Literal
from urllib.parse import quote_plus, urlencode, urljoin, urlsplit

import msgspec

from venclient.client.account import VtnAccount, is_token
from venclient.client.exchange import Answer, Exchange
from venclient.clock import Clock
from venclient.errors import AuthRefused, VtnError, VtnProblem, VtnUnreachable, WireError
from venclient.messages import Text
from venclient.messages import client as vtn
from venclient.messages.printable import foreign
from venclient.openadr.codec import CODEC_31
from venclient.openadr.objects import AuthServer, TokenAnswer, TokenError
from venclient.utils import is_web_page, redact

log = logging.getLogger(__name__)

TokenState = Literal["not needed", "given", "none", "valid", "refused"]

#: Renewed this early: a fifth of the token's life, at most this many seconds.
_EARLY_S = 60.0


class TokenSource:
    """Return the token of one account; any number of callers cause one request.

    A token that the account was given is returned as it is, and never renewed.
    """

    def __init__(self, account: VtnAccount, clock: Clock, exchange: Exchange) -> None:
        self.renewals = 0
        self.granted_scope: str | None = None
        self._account = account
        self._clock = clock
        self._exchange = exchange
        self._lock = asyncio.Lock()
        self._token: str | None = None
        self._ends_at = math.inf
        self._attempts = 0
        self._failure: VtnError | None = None
        self._endpoint: str | None = None
        self._warned = ""
        #: Whether the VTN publishes its token service (GET /auth/server); None before it was asked.
        self.discovered: bool | None = None
        exchange.secrets = self._own_secrets()

    def __repr__(self) -> str:
        return f"TokenSource({self._account.url!r}, {self.state})"

    @property
    def state(self) -> TokenState:
        """Say in a word how it stands with the token."""
        if self._account.token is not None:
            return "given"
        if self._account.client_id is None:
            return "not needed"
        if self._fresh():
            return "valid"
        return "refused" if isinstance(self._failure, AuthRefused) else "none"

    async def current(self) -> str | None:
        """Return a token that is not about to end; None when the account has no credentials."""
        if self._account.token is not None:
            return self._account.token
        if self._account.client_id is None:
            return None
        return self._token if self._fresh() else await self._renew()

    async def renewed(self, refused: str) -> str:
        """Return another token than `refused`, which the VTN did not take."""
        return await self._renew(refused)

    def _fresh(self) -> bool:
        return self._token is not None and self._clock.monotonic() < self._ends_at

    async def _renew(self, refused: str | None = None) -> str:
        seen = self._attempts
        async with self._lock:
            if self._token is not None and self._fresh() and self._token != refused:
                return self._token
            # Who waited while a request failed shares that failure instead of repeating it.
            if self._attempts != seen and self._failure is not None:
                raise self._failure
            self._failure = None
            try:
                answer = await self._ask()
            except VtnError as error:
                self._attempts += 1
                self._token, self._failure = None, error
                raise
            self._attempts += 1
            self.renewals += 1
            self._exchange.secrets = self._own_secrets() | {answer.access_token}
            self._token = answer.access_token
            self._ends_at = self._clock.monotonic() + _useful_s(answer.expires_in)
            self.granted_scope = answer.scope
            return answer.access_token

    async def _ask(self) -> TokenAnswer:
        url = await self._find_endpoint()
        form = {
            "grant_type": "client_credentials",
            "client_id": self._account.client_id or "",
            "client_secret": self._account.client_secret or "",
        }
        if self._account.scope:
            form["scope"] = self._account.scope
        try:
            answer = await self._exchange.send(
                "POST",
                url,
                headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
                content=urlencode(form).encode(),
            )
        except VtnUnreachable:
            self._endpoint = None  # the VTN may name another one by now
            raise
        if not answer.ok:
            self._endpoint = None
            raise self._refusal(answer)
        try:
            granted = CODEC_31.decode(TokenAnswer, answer.body)
        except WireError:
            # The decoder's message may quote the body, which may hold a token.
            raise self._without_token(answer) from None
        if not granted.access_token:
            raise self._refused(answer.subject, vtn.NO_ACCESS_TOKEN())
        if not is_token(granted.access_token):
            raise self._refused(answer.subject, vtn.BAD_TOKEN())
        return granted

    async def _find_endpoint(self) -> str:
        """Return the token service: as configured, as GET /auth/server says, or {base}/auth/token."""
        if self._account.token_url is not None:
            return self._account.token_url
        if self._endpoint is None:
            self._endpoint = await self._discover()
        return self._endpoint

    async def _discover(self) -> str:
        fallback = self._account.url + "/auth/token"
        url = await self.discover()
        if url is None:
            return fallback
        if not self._account.address_allowed(url):
            raise self._refused(
                f"GET {self._account.url}/auth/server",
                vtn.TOKEN_SERVICE_PLAIN(url=foreign(self._clean(url))),
            )
        if urlsplit(url).netloc.casefold() != self._account.host:
            self._warn(vtn.TOKEN_SERVICE_ELSEWHERE(url=self._account.url, token_url=foreign(url)))
        return url

    async def discover(self) -> str | None:
        """Return the token service that the VTN names; None when it names none."""
        base = self._account.url + "/"
        answer = await self._exchange.send(
            "GET", base + "auth/server", headers={"Accept": "application/json"}, pages=True
        )
        self.discovered = False
        if not answer.ok:
            return None
        if is_web_page(answer.body):
            self.discovered = None  # a captive portal says nothing about the VTN
            return None
        try:
            url = urljoin(base, CODEC_31.decode(AuthServer, answer.body).token_url)
        except (WireError, ValueError):
            self._warn(vtn.NO_TOKEN_URL(request=answer.subject))
            return None
        self.discovered = True
        return url

    def _warn(self, said: Text) -> None:
        """Log a warning about the token service, unless it was the last one."""
        if said != self._warned:
            self._warned = said
            log.warning(said)

    def _own_secrets(self) -> frozenset[str]:
        given = (self._account.client_secret, self._account.token)
        return frozenset(shown for secret in given if secret for shown in (secret, quote_plus(secret)))

    def _refusal(self, answer: Answer) -> VtnError:
        if answer.status in (404, 405, 501):
            return self._refused(answer.subject, vtn.NO_TOKEN_SERVICE(status=answer.status))
        if is_web_page(answer.body) and answer.status in (401, 403):
            return self._exchange.of_page(answer, answer.subject)  # a captive portal asks for its own login
        try:
            refusal = CODEC_31.decode(TokenError, answer.body)
            why = refusal.error + (f" ({refusal.error_description})" if refusal.error_description else "")
        except WireError:
            problem = self._exchange.problem(answer)
            if answer.status not in (400, 401, 403):
                return problem
            why = _reason_of(problem)
        return self._refused(answer.subject, vtn.TOKEN_REFUSED(reason=foreign(self._clean(why))))

    def _without_token(self, answer: Answer) -> VtnError:
        """Return the error for a success without a token: JSON is a token service's, all else a portal's."""
        if _is_object(answer.body):
            return self._refused(answer.subject, vtn.NO_ACCESS_TOKEN())
        what = vtn.UNEXPECTED_BODY(status=answer.status, problem=vtn.NOT_JSON())
        error = VtnUnreachable(what, subject=answer.subject)
        self._exchange.fail(error)
        return error

    def _clean(self, text: str) -> str:
        return redact(text, self._exchange.secrets)

    def _refused(self, subject: str, what: Text) -> AuthRefused:
        error = AuthRefused(what, subject=subject)
        self._exchange.fail(error)
        return error


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(body), dict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _reason_of(problem: VtnProblem) -> str:
    return problem.detail or problem.title or problem.what


def _useful_s(expires_in: float | str | None) -> float:
    """Return how long a token is used, in seconds: without a sound expires_in until the VTN refuses it."""
    try:
        life_s = float(expires_in) if expires_in is not None else math.inf
    except ValueError:
        return math.inf
    if not life_s > 0:
        return math.inf
    return life_s - min(_EARLY_S, life_s / 5)
