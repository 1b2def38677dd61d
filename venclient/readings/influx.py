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
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx2
import msgspec

from venclient.clock import SystemClock
from venclient.errors import ConfigError, StoreError
from venclient.messages import influx as inf
from venclient.messages import text_of
from venclient.model.reading import Reading
from venclient.readings.influx_account import InfluxAccount
from venclient.readings.influx_answers import (
    LONGEST_ANSWER,
    Verdict,
    document_of,
    not_an_api,
    short,
    verdict,
)
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
from venclient.tls_failures import influx_side
from venclient.utils import is_web_page, redact

GZIP_LEVEL = 4
#: The maximum size of an answer to a question, in bytes after decompression. Of other answers the first
#: `LONGEST_ANSWER` bytes are read.
MOST_HISTORY = 128 * 2**20


class Answer(NamedTuple):
    """An answer, its content decompressed and of bounded size."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes


class InfluxServer:
    """One InfluxDB; open it with `async with`. Its texts are shown without our secrets."""

    def __init__(self, account: InfluxAccount) -> None:
        self.account = account
        self._url = account.base_url
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
        return f"InfluxDB {self.account.shown_url}"

    @property
    def destination(self) -> str:
        """The key of this server, organisation and bucket."""
        return self.account.destination

    @property
    def bucket(self) -> str:
        """The bucket that is written to."""
        return self.account.bucket

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
        path, params = self._place()
        headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Encoding": "gzip"}
        # A megabyte takes some 20 ms to compress: not on the event loop.
        content = await asyncio.to_thread(gzip.compress, lines, GZIP_LEVEL)
        try:
            answer = await self._send("POST", path, params, content, headers)
        except StoreError as error:
            return Verdict("later", error.what, error.hint)
        found = verdict(answer.status_code, answer.headers, answer.content, now=now, account=self.account)
        return replace(found, reason=redact(found.reason, self._secrets))

    def _place(self) -> tuple[str, dict[str, str]]:
        """Return path and parameters of a write."""
        account = self.account
        if account.version == 1:
            return "/write", {"db": account.bucket, "precision": "ms"}
        if account.version == 2:
            params = {"bucket": account.bucket, "org": account.org or "", "precision": "ms"}
            return "/api/v2/write", params
        return "/api/v3/write_lp", {"db": account.bucket, "precision": "millisecond"}

    async def make_database(self) -> str | None:
        """Make the database of version 1; give why that could not be done, or None."""
        text = f"CREATE DATABASE {quoted_name(self.account.bucket)}"
        try:
            answer = await self._send("POST", "/query", {"q": text})
        except StoreError as error:
            return error.what
        if is_web_page(answer.content):
            return not_an_api(answer.status_code, answer.headers, answer.content, self.account)
        document, said = document_of(answer.content)
        if answer.status_code != 200:
            return redact(short(said), self._secrets) or inf.ANSWERED(status=answer.status_code)
        results = document.get("results", []) if isinstance(document, dict) else []
        failed = [one["error"] for one in results if isinstance(one, dict) and "error" in one]
        return redact(short(str(failed[0])), self._secrets) if failed else None

    async def windows(self, window: Window) -> dict[str, dict[str, list[Reading]]]:
        """Return the readings of a window with their neighbours, by resource and quantity.

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
            params = {"org": self.account.org or ""}
            answer = await self._send("POST", "/api/v2/query", params, content, headers, history=True)
            self._check(answer)
            return await asyncio.to_thread(lambda: windows_of(flux_points(answer.content), window))
        # Which quantities there are changes rarely, but is a small question.
        try:
            fields = influxql_fields(await self._influxql(FIELDS_STATEMENT))
        except StoreError as error:
            refused = error.code == inf.QUERY_REFUSED.code and "database not found" in error.what
            if self.account.version != 2 or not refused:
                raise
            # Version 2 knows the databases of InfluxQL by mappings, which other tools may have deleted.
            raise StoreError(inf.NO_MAPPING(reason=error), subject=self.subject) from error
        if not fields.quantities:
            return {resource_id: {} for resource_id in window.resource_ids}
        found = await self._influxql(influxql(window, fields))
        return await asyncio.to_thread(lambda: windows_of(influxql_points(found), window))

    async def _influxql(self, statements: str) -> bytes:
        # The statements may be many: they go in the body, as a form.
        params = {"db": self.account.bucket, "epoch": "ms"}
        answer = await self._send("POST", "/query", params, form={"q": statements}, history=True)
        self._check(answer)
        return answer.content

    def _check(self, answer: Answer) -> None:
        status = answer.status_code
        if is_web_page(answer.content) and status not in (401, 403):
            text = not_an_api(status, answer.headers, answer.content, self.account)
            raise StoreError(text, subject=self.subject)
        if status == 200:
            return
        if 200 <= status < 300:  # a write has no content in its answer, history always has
            text = not_an_api(status, answer.headers, answer.content, self.account)
            raise StoreError(text, subject=self.subject)
        reason = redact(short(document_of(answer.content)[1]), self._secrets) or inf.NOTHING_MORE()
        message = inf.READ_FAILED
        if status in (401, 403):
            message = inf.READ_NOT_ALLOWED
        elif status == 404 and self.account.version == 2:
            # Flux needs no mapping; in either language the bucket may be missing.
            flux_only = self.account.language == "flux" or "bucket" in reason or "organization" in reason
            message = inf.READ_NOT_FOUND if flux_only else inf.READ_NO_MAPPING
        raise StoreError(message(status=status, reason=reason), subject=self.subject)

    async def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        form: Mapping[str, str] | None = None,
        history: bool = False,
    ) -> Answer:
        """Return the answer to a request: all of it for `history`, else its beginning.

        StoreError when there is none in time, or history of more than `MOST_HISTORY`.
        """
        known = {name: value for name, value in params.items() if value}
        try:
            async with (
                asyncio.timeout(self.account.timeout_s),
                self._http.stream(
                    method, self._url + path, params=known, content=content, data=form, headers=headers
                ) as answer,
            ):
                found = await _beginning(answer, MOST_HISTORY if history else LONGEST_ANSWER)
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise StoreError(
                inf.NO_ANSWER(limit_s=self.account.timeout_s), subject=self.subject, transient=True
            ) from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            reason = redact(short(text_of(error)) or type(error).__name__, self._secrets)
            what = influx_side().text(error, SystemClock().now()) or inf.CANNOT_ASK(reason=reason)
            raise StoreError(what, subject=self.subject, transient=True) from error
        if history and len(found) > MOST_HISTORY:
            raise StoreError(inf.HISTORY_LARGE(most=MOST_HISTORY // 2**20), subject=self.subject)
        return Answer(answer.status_code, answer.headers, found)


async def _beginning(answer: httpx2.Response, most: int) -> bytes:
    """Return the content of an answer, of a longer one somewhat more than its first `most` bytes."""
    found = bytearray()
    async for part in answer.aiter_bytes():
        found += part
        if len(found) > most:
            break
    return bytes(found)


def _tls(ca_file: Path | None) -> Any:
    if ca_file is None:
        return True
    import ssl

    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(inf.CA_FILE(error=error), subject=f"influx.ca_file = {ca_file}") from error
