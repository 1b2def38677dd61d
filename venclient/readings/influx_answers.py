"""What an InfluxDB means by its answer to a write; pure.

Answers are read whole and only then cut for display: version 2.7 says how many points it dropped after
the names of the series, at the end of a long sentence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import msgspec

from venclient.messages import Text
from venclient.messages import influx as inf
from venclient.messages.printable import foreign, printable
from venclient.readings.influx_account import InfluxAccount
from venclient.utils import is_web_page, page_text, page_title

LONGEST_REASON = 300
#: So much of an answer is read, in bytes; a server that says more is not InfluxDB.
LONGEST_ANSWER = 262_144
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_DROPPED = re.compile(r"\bdropped=(\d+)")
_FIELD = re.compile(r'input field "((?:[^"\\]|\\.)*)"')
#: What is wrong with lines is said in words only; any other 400 is about the request: our settings.
_ABOUT_LINES = re.compile(
    "|".join(
        (
            *("partial write", "unable to parse", "line protocol"),
            *("type conflict", "beyond retention", "max-(series|values)-per"),
        )
    )
)
_DURATION = re.compile(r"policy of duration ([0-9hms.]{1,20})")
_ABOUT_AGE = re.compile(r"(beyond|outside) retention")
_NOT_OF_AGE = re.compile(r"type conflict| Window ")

Kind = Literal["written", "refused", "too large", "later", "no database"]


@dataclass(frozen=True)
class Verdict:
    """What became of a write.

    written      all of it
    refused      some lines, or all, are invalid for the server and never will be accepted
    too large    smaller writes may pass
    later        the server is away, busy, full, or does not let us in: nothing is wrong with the lines
    no database  version 1 has no such database yet

    `dropped` is how many lines of a refused write were not taken, where the server says so; `bad_lines`
    which (the first is 0), with each one's reason; `culprit` the field that it complains about; `too_old`
    that the dropped ones are the oldest, beyond what the bucket keeps.
    """

    kind: Kind
    reason: str = ""
    hint: str = ""
    retry_after_s: float | None = None
    dropped: int | None = None
    bad_lines: Mapping[int, str] = field(default_factory=dict)
    culprit: str | None = None
    too_old: bool = False


def verdict(
    status: int,
    headers: Mapping[str, str],
    content: bytes,
    *,
    now: datetime,
    account: InfluxAccount | None = None,
) -> Verdict:
    """Return what an answer to a write means."""
    page = is_web_page(content)
    document, said = document_of(content)
    if status == 204 or (status == 200 and not page and not _is_failure(headers, document)):
        return Verdict("written")
    if 200 <= status < 300:
        text = not_an_api(status, headers, content, account)
        return Verdict("later", text, text.hint, retry_after_s=_retry_after_s(headers, now))
    reason = short(said) or inf.ANSWERED(status=status)
    bad_lines = _bad_lines(document)
    if not page and (status == 422 or (status == 400 and (bad_lines or _ABOUT_LINES.search(said)))):
        return _refused(said, reason, bad_lines)
    if status == 413:
        return Verdict("too large", reason)
    if status == 404 and not page and "database not found" in said:
        return Verdict("no database", reason, inf.NO_DATABASE.hint)
    text = _later(status, headers, content, reason, account)
    return Verdict("later", text, text.hint, retry_after_s=_retry_after_s(headers, now))


def _is_failure(headers: Mapping[str, str], document: Any) -> bool:
    """Return whether an answer of status 200 to a write is an error all the same, or a page without text."""
    if headers.get("content-type", "").lower().startswith("text/html"):
        return True
    return isinstance(document, dict) and bool(document.get("error") or document.get("message"))


def _refused(said: str, reason: str, bad_lines: Mapping[int, str]) -> Verdict:
    # The names of fields and series are in quotes, or have their "=" escaped.
    dropped = _DROPPED.search(_QUOTED.sub('""', said))
    named = _FIELD.search(said)
    too_old = bool(_ABOUT_AGE.search(said)) and not _NOT_OF_AGE.search(said)
    if too_old:
        # The server's own words name other series each time.
        kept = _DURATION.search(said)
        reason = inf.TOO_OLD(duration=f" ({kept[1]})" if kept else "")
    return Verdict(
        "refused",
        reason,
        dropped=int(dropped[1][:9]) if dropped else None,
        bad_lines=bad_lines,
        culprit=re.sub(r"\\(.)", r"\1", named[1]) if named else None,
        too_old=too_old,
    )


def _later(
    status: int, headers: Mapping[str, str], content: bytes, reason: str, account: InfluxAccount | None
) -> Text:
    if status in (401, 403):
        return inf.NOT_ALLOWED(reason=reason)
    if status in (400, 404, 405):
        other = _other_version(headers, account)
        if other is not None or is_web_page(content):
            return other or not_an_api(status, headers, content, account)
        return inf.REQUEST_WRONG(reason=reason)
    if 300 <= status < 400:
        location = headers.get("location")
        return inf.REDIRECTED(location=foreign(location) if location else inf.NOWHERE())
    return inf.SAID(reason=reason)


def not_an_api(
    status: int, headers: Mapping[str, str], content: bytes, account: InfluxAccount | None
) -> Text:
    """Return the message for an answer that no InfluxDB API gives, with what to do."""
    other = _other_version(headers, account)
    if other is not None:
        return other
    version = account.version if account else InfluxAccount.version
    if is_web_page(content):
        return inf.WEB_PAGE(status=status, title=foreign(page_title(content)), version=version)
    said = short(document_of(content)[1]) or inf.NOTHING_MORE()
    return inf.NOT_AN_API(status=status, reason=foreign(said), version=version)


def _other_version(headers: Mapping[str, str], account: InfluxAccount | None) -> Text | None:
    """Return that the server is of another version than the settings say, where its answer shows it."""
    found = major_of(headers)
    if account is None or found in (None, account.version):
        return None
    shown = foreign(headers.get("x-influxdb-version", "").removeprefix("v"))
    return inf.WRONG_VERSION(found=shown, major=found, version=account.version)


def major_of(headers: Mapping[str, str]) -> int | None:
    """Return the major version in the headers of an answer; None when there is none."""
    found = re.match(r"v?([123])\.", headers.get("x-influxdb-version", ""))
    return int(found[1]) if found else None


def document_of(content: bytes) -> tuple[Any, str]:
    """Return an answer's JSON, None when it is none, and all that it says in words."""
    content = content[:LONGEST_ANSWER]
    try:
        document = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = content.decode(errors="replace")
        return None, page_text(text) if is_web_page(content) else " ".join(text.split())
    if not isinstance(document, dict):
        return document, " ".join(str(document).split())
    said = document.get("error") or document.get("message") or document.get("code") or ""
    return document, " ".join(str(said).split())


def short(text: str) -> str:
    """Return a server's words, cut for display and made printable."""
    return printable(" ".join(text.split()), LONGEST_REASON)


def _bad_lines(document: Any) -> dict[int, str]:
    """Return the lines that version 3 names, counted from 0."""
    data = document.get("data") if isinstance(document, dict) else None
    found = {}
    for one in data if isinstance(data, list) else ():
        number = one.get("line_number") if isinstance(one, dict) else None
        if isinstance(number, int) and number > 0:
            found[number - 1] = short(str(one.get("error_message", "refused")))
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
