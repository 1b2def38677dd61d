"""What `ven doctor` asks an InfluxDB: is it there, may we write and read, and how long is something kept.

Nothing is written: the write is empty, which every version checks for login and bucket all the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from venclient.errors import StoreError
from venclient.messages.printable import foreign
from venclient.readings.influx import InfluxServer
from venclient.readings.influx_answers import Verdict, document_of, major_of, not_an_api, verdict
from venclient.readings.influx_query import quoted_name, window_of
from venclient.utils import is_web_page

_POLICIES = "SHOW RETENTION POLICIES" + " ON "
#: From here on data is kept for ever: longer than any calendar.
_FOR_EVER_S = 10**10
_UNITS = {"h": 3600, "m": 60, "s": 1}
#: What is raised by content that is not the JSON document it should be.
_OTHER_CONTENT = (msgspec.DecodeError, LookupError, TypeError, ValueError, AttributeError, RecursionError)
#: What is said to a write without lines by those who do not take it for a success.
_EMPTY = re.compile(r"\b(empty|requires|parsing)\b", re.IGNORECASE)


class Kept(NamedTuple):
    """How long a bucket keeps points: `known` is False where we may not see it, None is for ever."""

    known: bool
    duration: timedelta | None = None


class InfluxProbe(InfluxServer):
    """An InfluxDB that is looked at; StoreError when it does not answer."""

    async def version(self) -> str:
        """Return the version that the server shows, empty where it shows none; StoreError for a web page."""
        answer = await self._send("GET", "/ping", {})
        if is_web_page(answer.content):
            text = not_an_api(answer.status_code, answer.headers, answer.content, self.account)
            raise StoreError(text, subject=self.subject)
        document, _ = document_of(answer.content)
        found = document.get("version") if isinstance(document, dict) else None
        return foreign(answer.headers.get("x-influxdb-version") or found or "").removeprefix("v")

    async def may_write(self, *, now: datetime) -> Verdict:
        """Return what a write without lines comes to."""
        path, params = self._place()
        answer = await self._send("POST", path, params, b"", {"Content-Type": "text/plain; charset=utf-8"})
        said = document_of(answer.content)[1]
        if answer.status_code == 400 and not is_web_page(answer.content) and _EMPTY.search(said):
            return Verdict("written")
        return verdict(answer.status_code, answer.headers, answer.content, now=now, account=self.account)

    async def may_read(self, *, now: datetime) -> None:
        """Ask for the last minute as history is asked for; StoreError when that is not allowed."""
        await self.windows(window_of(["ven doctor"], now - timedelta(minutes=1), now))

    async def kept(self) -> Kept:
        """Return how long the bucket keeps points, as far as we may see it."""
        account = self.account
        if account.version == 2:
            params = {"name": account.bucket, "org": account.org or ""}
            answer = await self._send("GET", "/api/v2/buckets", params)
            return _of_bucket(answer.status_code, answer.content)
        if account.version == 1:
            text = _POLICIES + quoted_name(account.bucket)
            answer = await self._send("POST", "/query", {"q": text})
            if major_of(answer.headers) == 2:
                return Kept(False)  # such a server calls every bucket endless when asked in this way
            return _of_policies(answer.status_code, answer.content)
        return Kept(False)


def _of_bucket(status: int, content: bytes) -> Kept:
    try:
        buckets = msgspec.json.decode(content)["buckets"] if status == 200 else []
        if not buckets:
            return Kept(False)
        seconds = [int(rule["everySeconds"]) for rule in buckets[0].get("retentionRules", ())]
    except _OTHER_CONTENT:
        return Kept(False)
    shortest = min((one for one in seconds if one > 0), default=_FOR_EVER_S)
    return Kept(True, None if shortest >= _FOR_EVER_S else timedelta(seconds=shortest))


def _of_policies(status: int, content: bytes) -> Kept:
    try:
        results: Any = msgspec.json.decode(content)["results"] if status == 200 else []
        [series] = results[0]["series"]
        policies: list[Mapping[str, Any]] = [
            dict(zip(series["columns"], row, strict=True)) for row in series["values"]
        ]
        [default] = [one for one in policies if one["default"]]
        seconds = _seconds(str(default["duration"]))
    except _OTHER_CONTENT:
        return Kept(False)
    return Kept(True, timedelta(seconds=seconds) if 0 < seconds < _FOR_EVER_S else None)


def _seconds(text: str) -> int:
    """Return the seconds of a duration such as "168h0m0s"; ValueError for another text."""
    parts = re.findall(r"(\d{1,9})([hms])", text)
    if "".join(number + unit for number, unit in parts) != text or not parts:
        raise ValueError(text)
    return sum(int(number) * _UNITS[unit] for number, unit in parts)
