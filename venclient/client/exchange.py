"""One HTTP exchange with a VTN: sent, repeated where that is safe, and its failures given our names.

Knows nothing of OpenADR beyond the problem document; tokens are the business of `token.py`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from urllib.parse import urlsplit

import httpx2

from venclient import __version__
from venclient.client.account import VtnAccount
from venclient.client.limits import Body, LimitReached
from venclient.clock import Clock
from venclient.errors import VtnError, VtnProblem, VtnUnreachable, WireError
from venclient.messages import Text, text_of
from venclient.messages import client as vtn
from venclient.messages.printable import foreign
from venclient.openadr.codec import CODEC_31
from venclient.openadr.objects import Problem
from venclient.tls_failures import Side, tls_error, vtn_side
from venclient.utils import backoff_s, is_web_page, page_title, redact

log = logging.getLogger(__name__)

USER_AGENT = f"venclient/{__version__}"

#: Refusals of a request's size, which the web server of a VTN answers with its own page.
_OF_PROXIES = (413, 414, 431)
_BACKOFF_BASE_S = 0.5
_BACKOFF_CAP_S = 30.0
#: A VTN that asks for more patience than this is not waited for within a call, but left alone until then.
_LONGEST_WAIT_S = 60.0
_LONGEST_HOLD_S = 3600.0

#: Failures before anything was sent: the VTN cannot have acted on the request.
_NOTHING_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
)

#: Names that OpenSSL has for failures of a handshake.
_VERSION_REASONS = ("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "WRONG_VERSION_NUMBER", "HTTP_REQUEST")

Params = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: any status, the body decompressed; `subject` names the request."""

    status: int
    body: bytes = field(repr=False)
    headers: httpx2.Headers = field(repr=False)
    subject: str

    @property
    def ok(self) -> bool:
        """True for 2xx."""
        return 200 <= self.status < 300

    @property
    def unchanged(self) -> bool:
        """True for 304: what is held already is still so."""
        return self.status == 304


@dataclass(slots=True)
class Tally:
    """Counters and last words of the exchanges with one VTN."""

    requests: int = 0
    retries: int = 0
    failures: int = 0
    last_ok: datetime | None = None
    last_error: str | None = None
    last_error_at: datetime | None = None
    clock_skew_s: float | None = None


class Exchange:
    """Sends requests for one account; `tally` counts them."""

    def __init__(
        self, account: VtnAccount, clock: Clock, http: httpx2.AsyncClient, rng: random.Random
    ) -> None:
        self.tally = Tally()
        #: What no message may show; the token source adds its token.
        self.secrets: frozenset[str] = frozenset()
        self._account = account
        self._clock = clock
        self._http = http
        self._rng = rng
        self._held_until: dict[str, float] = {}
        #: Places whose failures go on ("" is the VTN as a whole), and whether each was logged.
        self._failing: dict[str, bool] = {}
        #: True from a logged failure to the next good answer: other failures are of the same outage.
        self._quiet = False

    async def send(
        self,
        method: str,
        url: str,
        *,
        params: Params = (),
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        repeatable: bool = True,
        pages: bool = False,
        place: str = "",
    ) -> Answer:
        """Return the VTN's answer, of any status that another try would not change.

        `place` is what requests of a kind have in common, and is logged once however long they fail.

        A web page with status 2xx is from a captive portal or another server: an error, unless `pages`.
        Transient failures (no answer, 408, 429, 5xx) are repeated with growing, jittered pauses and
        then raised; without `repeatable` only where the VTN cannot have acted on the request.
        """
        subject = f"{method} {url}"
        place = place or subject
        for attempt in range(self._account.retries + 1):
            await self._hold(url, subject)
            error: VtnError
            try:
                answer = await self._once(method, url, subject, params, headers, content)
            except VtnUnreachable as failure:
                error = failure
            else:
                problem = None if answer.ok else self.problem(answer)
                if problem is None and not pages and is_web_page(answer.body):
                    raise self.of_page(answer, place)
                if problem is None or not problem.transient:
                    self._answered(answer, place)
                    return answer
                problem.ambiguous = answer.status != 429
                error = problem
            wait_s = self._wait_s(attempt, error)
            final = not error.transient or attempt == self._account.retries or wait_s is None
            if final or (error.ambiguous and not repeatable) or _certificate_refused(error):
                self._failed(error, place)
                raise error
            self.tally.retries += 1
            await self._clock.sleep(wait_s or 0.0)
        raise AssertionError  # the last attempt returns or raises

    def problem(self, answer: Answer) -> VtnProblem:
        """Return the error that an answer of 3xx to 5xx stands for, with a problem document or without."""
        title = detail = None
        try:
            document = CODEC_31.decode(Problem, answer.body)
            title, detail = document.title, document.detail
        except WireError:
            pass  # proxies answer in HTML, and an empty body is legal
        said = " - ".join(part.strip() for part in (title, detail) if part and part.strip())
        return VtnProblem(
            _answered(answer, foreign(self._clean(said))),
            status=answer.status,
            subject=answer.subject,
            title=title and self._clean(title),
            detail=detail and self._clean(detail),
            retry_after_s=self._retry_after_s(answer.headers),
            page=answer.status not in _OF_PROXIES and is_web_page(answer.body),
        )

    def fail(self, error: VtnError) -> None:
        """Note an error that was concluded from an answer; the caller logs it."""
        self._count(error)

    async def _once(
        self,
        method: str,
        url: str,
        subject: str,
        params: Params,
        headers: Mapping[str, str] | None,
        content: bytes | None,
    ) -> Answer:
        self.tally.requests += 1
        try:
            async with asyncio.timeout(self._account.timeout_s):
                async with self._http.stream(
                    method,
                    _parsed(url),
                    params=list(params) or None,
                    headers={"Accept-Encoding": "gzip, deflate", **(headers or {})},
                    content=content,
                ) as response:
                    body = await self._body(response)
        except TimeoutError as error:
            what = vtn.NO_ANSWER(seconds=self._account.timeout_s)
            raise self._unreachable(subject, what, error) from error
        except LimitReached as error:
            failure = VtnUnreachable(error.what, subject=subject, transient=False)
            failure.ambiguous = True
            raise failure from None
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError, zlib.error) as error:
            raise self._unreachable(subject, self._lost(error), error) from error
        self._note_date(response.headers)
        return Answer(response.status_code, body, response.headers, subject)

    async def _body(self, response: httpx2.Response) -> bytes:
        """Return the body, decompressed; LimitReached before it takes more memory than it may."""
        if response.is_stream_consumed:
            return response.content
        body = Body(response.headers.get("Content-Encoding", ""), self._account.limits.response_mb)
        async for chunk in response.aiter_raw():
            body.add(chunk)
        return body.whole()

    def _lost(self, error: Exception) -> Text:
        """Return the message for a connection that failed or was lost."""
        problem = foreign(self._clean(text_of(error) or type(error).__name__))
        if not isinstance(error, httpx2.ReadError | httpx2.RemoteProtocolError):
            return vtn.NO_CONNECTION(problem=problem)
        if not self._account.url.startswith("https:"):
            return vtn.CUT(problem=problem)
        # With TLS 1.3 a server refuses only after the handshake, and may have closed by then.
        if self._side.has_cert:
            return self._side.lost(problem, self._clock.now())
        return vtn.CUT_TLS(problem=problem)

    @property
    def _side(self) -> Side:
        return vtn_side(has_cert=self._account.cert_file is not None)

    def of_page(self, answer: Answer, place: str) -> VtnUnreachable:
        """Return, and count, the error for a web page in place of an answer."""
        title = foreign(self._clean(page_title(answer.body)))
        what = vtn.UNEXPECTED_BODY(status=answer.status, problem=vtn.WEB_PAGE(title=title))
        error = VtnUnreachable(what, subject=answer.subject)
        error.ambiguous = True  # the request may have gone further than its answer
        self._failed(error, place)
        return error

    def _unreachable(self, subject: str, what: Text, error: Exception) -> VtnUnreachable:
        of_tls = _version_message(error) or self._side.text(error, self._clock.now())
        failure = VtnUnreachable(of_tls or what, subject=subject)
        failure.ambiguous = not isinstance(error, _NOTHING_SENT)
        failure.__cause__ = error
        return failure

    def _wait_s(self, attempt: int, error: VtnError) -> float | None:
        """Return the pause before the next try, None when the VTN asks for more than a call may wait."""
        wait_s = backoff_s(attempt, _BACKOFF_BASE_S, _BACKOFF_CAP_S, self._rng)
        asked_s = error.retry_after_s if isinstance(error, VtnProblem) else None
        if asked_s is None:
            return wait_s
        host = urlsplit(error.subject.partition(" ")[2]).netloc
        self._held_until[host] = self._clock.monotonic() + min(asked_s, _LONGEST_HOLD_S)
        return max(wait_s, asked_s) if asked_s <= _LONGEST_WAIT_S else None

    async def _hold(self, url: str, subject: str) -> None:
        """Keep away from a host for as long as it asked, whichever call comes."""
        host = urlsplit(url).netloc
        left_s = self._held_until.get(host, 0.0) - self._clock.monotonic()
        if left_s > _LONGEST_WAIT_S:
            error = VtnUnreachable(vtn.RETRY_LATER(seconds=left_s), subject=subject)
            error.answered = True
            self._count(error)
            raise error
        if left_s > 0:
            await self._clock.sleep(left_s)
        self._held_until.pop(host, None)

    def _retry_after_s(self, headers: httpx2.Headers) -> float | None:
        text = headers.get("Retry-After", "").strip()
        if text.isdecimal():
            return float(text[:9])
        until = _http_date(text)
        if until is None:
            return None
        return max(0.0, (until - (_http_date(headers.get("Date", "")) or self._clock.now())).total_seconds())

    def _note_date(self, headers: httpx2.Headers) -> None:
        said = _http_date(headers.get("Date", ""))
        if said is None or headers.get("Age", "0").strip() != "0":
            return  # a cache's copy has an old time
        self.tally.clock_skew_s = (self._clock.now() - said).total_seconds()

    def _answered(self, answer: Answer, place: str) -> None:
        if answer.ok or answer.unchanged:
            self.tally.last_ok = self._clock.now()
        self._quiet = False
        for one in ("", place):
            if self._failing.pop(one, False):
                log.info(vtn.ANSWERS_AGAIN(url=one or self._account.url))

    def _failed(self, error: VtnError, place: str) -> None:
        """Count a failure, and log it when it begins and is not part of an outage that was logged."""
        self._count(error)
        whole = isinstance(error, VtnUnreachable) and not error.ambiguous
        key = "" if whole else place
        if self._failing.get(key, False) or self._quiet:
            self._failing.setdefault(key, False)
            return
        self._failing[key] = self._quiet = True
        log.warning(error.text)

    def _count(self, error: VtnError) -> None:
        self.tally.failures += 1
        self.tally.last_error = str(error)
        self.tally.last_error_at = self._clock.now()

    def _clean(self, text: str) -> str:
        return redact(text, self.secrets)


def _answered(answer: Answer, said: str) -> Text:
    """Return the message for an unsuccessful answer; `said` is the VTN's own text."""
    said = said and f": {said}"
    if 300 <= answer.status < 400 and not answer.unchanged:
        location = foreign(answer.headers.get("Location", "nowhere"))
        return vtn.REDIRECT(status=answer.status, said=said, location=location)
    if answer.status == 511:
        return vtn.NETWORK_LOGIN(status=answer.status, said=said)
    if answer.status == 404 and not said:
        return vtn.PATH_NOT_FOUND(status=answer.status)
    return vtn.ANSWERED(status=answer.status, said=said)


@lru_cache(maxsize=64)
def _parsed(url: str) -> httpx2.URL:
    # Reports go to the same one, thousands of times.
    return httpx2.URL(url)


@lru_cache(maxsize=16)
def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _version_message(error: BaseException) -> Text | None:
    """Return the message for a server without a version of TLS that we take; None for other failures."""
    refused = tls_error(error)
    reason = str(getattr(refused, "reason", "") or "")
    if any(word in reason for word in _VERSION_REASONS):
        return vtn.TLS_VERSION(problem=reason.lower().replace("_", " "))
    return None


def _certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    found = tls_error(error)
    return found if isinstance(found, ssl.SSLCertVerificationError) else None


def _certificate_refused(error: VtnError) -> bool:
    return _certificate_error(error) is not None
