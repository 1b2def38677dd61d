"""An InfluxDB server of version 1, 2 or 3 over HTTP: lines out, questions back, and what its refusals mean.

    version   write                   ask                            login
    1         /write                  /query (InfluxQL)              user name and password
    2         /api/v2/write           /query, or /api/v2/query Flux  Authorization: Token
    3         /api/v3/write_lp        /query (InfluxQL)              Authorization: Bearer

Nothing is repeated here; `forwarder.py` decides when to try again.
"""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import httpx2
import msgspec

from venclient.errors import ConfigError, StoreError
from venclient.messages import Text, text_of
from venclient.messages import influx as inf
from venclient.messages.printable import foreign
from venclient.model.reading import Reading
from venclient.readings.influx_query import (
    FIELDS_STATEMENT,
    Window,
    flux,
    flux_points,
    influxql,
    influxql_fields,
    influxql_points,
    quoted_name,
    windows_of,
)
from venclient.utils import redact

LONGEST_REASON = 300
GZIP_LEVEL = 4
_DROPPED = re.compile(r"\bdropped=(\d+)")
_FIELD = re.compile(r'input field "((?:[^"\\]|\\.)*)"')
#: What is wrong with lines is told by words only; any other 400 is about the request: our settings.
_ABOUT_LINES = re.compile(
    r"partial write|unable to parse|line protocol|type conflict|beyond retention|max-(series|values)-per"
)

Language = Literal["influxql", "flux"]
Kind = Literal["written", "refused", "too large", "later", "no database"]


@dataclass(frozen=True)
class InfluxAccount:
    """Where an InfluxDB is and how to log in; `bucket` is the database of versions 1 and 3."""

    url: str
    version: int = 2
    bucket: str = "meter_data"
    org: str | None = None
    token: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    language: Language = "influxql"
    ca_file: Path | None = None
    timeout_s: float = 10.0


@dataclass(frozen=True)
class Verdict:
    """What became of a write.

    written      all of it
    refused      some lines, or all, are not to the server's liking and never will be
    too large    smaller writes may pass
    later        the server is away, busy, full, or does not let us in: nothing is wrong with the lines
    no database  version 1 has no such database yet

    `dropped` is how many lines of a refused write were not taken, where it says so; `bad_lines` which
    (the first is 0), with each one's reason; `culprit` the field that it
    complains about.
    """

    kind: Kind
    reason: str = ""
    hint: str = ""
    retry_after_s: float | None = None
    dropped: int | None = None
    bad_lines: Mapping[int, str] = field(default_factory=dict)
    culprit: str | None = None


def verdict(status: int, headers: Mapping[str, str], content: bytes, *, now: datetime) -> Verdict:
    """Give what an answer to a write means; pure."""
    if 200 <= status < 300:
        return Verdict("written")
    document, reason = _document(content)
    reason = reason or inf.ANSWERED(status=status)
    bad_lines = _bad_lines(document)
    if status == 422 or (status == 400 and (bad_lines or _ABOUT_LINES.search(reason))):
        dropped = _DROPPED.search(reason)
        named = _FIELD.search(reason)
        return Verdict(
            "refused",
            reason,
            dropped=int(dropped[1]) if dropped else None,
            bad_lines=bad_lines,
            culprit=re.sub(r"\\(.)", r"\1", named[1]) if named else None,
        )
    if status == 413:
        return Verdict("too large", reason)
    if status == 404 and "database not found" in reason:
        return Verdict("no database", reason, inf.NO_DATABASE.hint)
    text: Text = inf.SAID(reason=reason)
    if status in (401, 403):
        text = inf.NOT_ALLOWED(reason=reason)
    elif status in (400, 404):
        text = inf.REQUEST_WRONG(reason=reason)
    elif 300 <= status < 400:
        location = headers.get("location")
        text = inf.REDIRECTED(location=foreign(location) if location else inf.NOWHERE())
    return Verdict("later", text, text.hint, retry_after_s=_retry_after_s(headers, now))


def _document(content: bytes) -> tuple[Any, str]:
    """Give an answer's JSON, None when it is none, and what it says in words."""
    try:
        document = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None, _short(content.decode(errors="replace"))
    if not isinstance(document, dict):
        return document, _short(str(document))
    said = document.get("error") or document.get("message") or document.get("code") or ""
    return document, _short(str(said))


def _short(text: str) -> str:
    return " ".join(text.split())[:LONGEST_REASON]


def _bad_lines(document: Any) -> dict[int, str]:
    """Give the lines that version 3 names, counted from 0."""
    data = document.get("data") if isinstance(document, dict) else None
    found = {}
    for one in data if isinstance(data, list) else ():
        number = one.get("line_number") if isinstance(one, dict) else None
        if isinstance(number, int) and number > 0:
            found[number - 1] = _short(str(one.get("error_message", "refused")))
    return found


def _retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text[:9])
    try:
        until = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - now).total_seconds())


class InfluxServer:
    """One InfluxDB; open it with `async with`. What it says is told without our secrets."""

    def __init__(self, account: InfluxAccount) -> None:
        self.account = account
        self._url = account.url.rstrip("/")
        self._secrets = (account.token, account.password)
        headers = {"Accept-Encoding": "gzip"}
        auth = None
        if account.token:
            scheme = "Bearer" if account.version == 3 else "Token"
            headers["Authorization"] = f"{scheme} {account.token}"
        elif account.username:
            auth = httpx2.BasicAuth(account.username, account.password or "")
        self._http = httpx2.AsyncClient(
            auth=auth,
            headers=headers,
            verify=_tls(account.ca_file),
            timeout=account.timeout_s,
            limits=httpx2.Limits(max_connections=2),
            trust_env=False,
        )

    @property
    def subject(self) -> str:
        """What messages call it."""
        return f"InfluxDB {self._url}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def write(self, lines: bytes, *, now: datetime) -> Verdict:
        """Send lines and give what became of them; never raises for what the server or the network does."""
        account = self.account
        if account.version == 1:
            path, params = "/write", {"db": account.bucket, "precision": "ms"}
        elif account.version == 2:
            path = "/api/v2/write"
            params = {"bucket": account.bucket, "org": account.org or "", "precision": "ms"}
        else:
            path, params = "/api/v3/write_lp", {"db": account.bucket, "precision": "millisecond"}
        headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Encoding": "gzip"}
        # A megabyte takes some 20 ms to compress: not on the event loop.
        content = await asyncio.to_thread(gzip.compress, lines, GZIP_LEVEL)
        try:
            answer = await self._send("POST", path, params, content, headers)
        except StoreError as error:
            return Verdict("later", error.what, error.hint)
        found = verdict(answer.status_code, answer.headers, answer.content, now=now)
        return replace(found, reason=redact(found.reason, self._secrets))

    async def make_database(self) -> str | None:
        """Make the database of version 1; give why that could not be done, or None."""
        text = f"CREATE DATABASE {quoted_name(self.account.bucket)}"
        try:
            answer = await self._send("POST", "/query", {"q": text})
        except StoreError as error:
            return error.what
        document, reason = _document(answer.content)
        if answer.status_code != 200:
            return redact(reason, self._secrets) or inf.ANSWERED(status=answer.status_code)
        results = document.get("results", []) if isinstance(document, dict) else []
        failed = [one["error"] for one in results if isinstance(one, dict) and "error" in one]
        return redact(_short(str(failed[0])), self._secrets) if failed else None

    async def windows(self, window: Window) -> dict[str, dict[str, list[Reading]]]:
        """Give the readings of a window with their neighbours, by resource and quantity.

        StoreError when the server does not answer, or not with all of it.
        """
        if self.account.language == "flux":
            content = msgspec.json.encode(
                {
                    "query": flux(window, self.account.bucket),
                    "type": "flux",
                    "dialect": {"header": True, "annotations": ["datatype", "group", "default"]},
                }
            )
            headers = {"Content-Type": "application/json", "Accept": "application/csv"}
            answer = await self._send(
                "POST", "/api/v2/query", {"org": self.account.org or ""}, content, headers
            )
            self._check(answer)
            return await asyncio.to_thread(lambda: windows_of(flux_points(answer.content), window))
        # Which quantities there are changes rarely, but is a small question.
        fields = influxql_fields(await self._influxql(FIELDS_STATEMENT))
        if not fields.quantities:
            return {resource_id: {} for resource_id in window.resource_ids}
        found = await self._influxql(influxql(window, fields))
        return await asyncio.to_thread(lambda: windows_of(influxql_points(found), window))

    async def _influxql(self, statements: str) -> bytes:
        # The statements may be many: they go in the body, as a form.
        params = {"db": self.account.bucket, "epoch": "ms"}
        answer = await self._send("POST", "/query", params, form={"q": statements})
        self._check(answer)
        return answer.content

    def _check(self, answer: httpx2.Response) -> None:
        if answer.status_code == 200:
            return
        _, reason = _document(answer.content)
        reason = redact(reason, self._secrets) or inf.NOTHING_MORE()
        message = inf.READ_FAILED
        if answer.status_code in (401, 403):
            message = inf.READ_NOT_ALLOWED
        elif answer.status_code == 404 and self.account.version == 2:
            message = inf.READ_NO_MAPPING
        raise StoreError(message(status=answer.status_code, reason=reason), subject=self.subject)

    async def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        form: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        known = {name: value for name, value in params.items() if value}
        try:
            async with asyncio.timeout(self.account.timeout_s):
                return await self._http.request(
                    method, self._url + path, params=known, content=content, data=form, headers=headers
                )
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise StoreError(
                inf.NO_ANSWER(limit_s=self.account.timeout_s), subject=self.subject, transient=True
            ) from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise StoreError(
                inf.CANNOT_ASK(reason=redact(_short(text_of(error)) or type(error).__name__, self._secrets)),
                subject=self.subject,
                transient=True,
            ) from error


def _tls(ca_file: Path | None) -> Any:
    if ca_file is None:
        return True
    import ssl

    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(inf.CA_FILE(error=error), subject=f"influx.ca_file = {ca_file}") from error
