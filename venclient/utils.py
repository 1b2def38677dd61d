"""Small pure helpers of the VEN client and its neighbours; they do no I/O."""

from __future__ import annotations

import random
import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import TypeVar

from venclient.messages import Text
from venclient.messages import library as lib

T = TypeVar("T")

#: What stands where a secret was.
REDACTED = "***"
_TAGS = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)


def backoff_s(attempt: int, base_s: float, cap_s: float, rng: random.Random) -> float:
    """Return the seconds to wait before retry number `attempt` (0 is the first).

    The wait doubles up to `cap_s`. Half of it is random: many gateways that lost the same VTN do not
    come back in step.
    """
    full_s = min(cap_s, base_s * 2.0 ** min(max(attempt, 0), 32))
    return full_s / 2 + rng.random() * full_s / 2


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Return `items` in order as slices of at most `size`; ValueError when size is below 1."""
    if size < 1:
        raise ValueError(lib.CHUNK_SIZE(size=size))
    return (items[at : at + size] for at in range(0, len(items), size))


def redact(text: str, secrets: Iterable[str | None]) -> str:
    """Return `text` with each secret replaced by ***; a `Text` keeps its code. Empty secrets are skipped."""
    ordered = sorted((secret for secret in secrets if secret), key=len, reverse=True)

    def struck_out(words: str) -> str:
        for secret in ordered:
            words = words.replace(secret, REDACTED)
        return words

    return text.mapped(struck_out) if isinstance(text, Text) else struck_out(text)


def age_text(seconds: float) -> str:
    """Return a duration for people, in its largest fitting unit: "7 s", "3 min", "5 h", "2 d"."""
    whole = max(0, int(seconds))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if whole >= size:
            return f"{whole // size} {unit}"
    return f"{whole} s"


def is_web_page(body: bytes) -> bool:
    """Return whether an answer is a web page, and so from no API of ours: all of them answer in JSON or CSV.

    The content type is not asked: some servers send JSON as text/html. A captive portal, the login page of
    a proxy and the web interface of a server that does not know the path answer with a page and status 200.
    """
    return body[:256].lstrip(b"\xef\xbb\xbf \t\r\n\0").startswith(b"<")


def page_title(body: bytes) -> str:
    """Return the title of a web page, or its first words."""
    text = body[:65_536].decode(errors="replace")
    title = re.search(r"<title[^>]*>(.*?)</title", text, re.DOTALL | re.IGNORECASE)
    return page_text(title[1] if title else text)[:80]


def page_text(page: str) -> str:
    """Return the words of a web page."""
    return " ".join(_TAGS.sub(" ", page).split())


def to_the_end(work: Generator[None, None, T]) -> T:
    """Return what work that pauses comes to, without a pause."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result
