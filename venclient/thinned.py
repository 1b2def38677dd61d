"""Which lines of one kind are logged when one cause concerns very many resources: 3, the 30th, 300th ...

Each line after the first says how many were left out before it. After a quiet time a kind begins again.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from venclient.messages import library as lib
from venclient.messages import within

#: So many lines of a kind are logged before any is left out; one digit.
FIRST = 3
#: A kind that was quiet for so long begins again.
QUIET_S = 3600.0
#: More kinds than this at once share one count.
MOST_KINDS = 1_000


class Thinned:
    """Counts the lines of each kind; `seconds` is a monotonic time."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        #: By kind: how many there were, and when the last one was.
        self._kinds: dict[str, tuple[int, float]] = {}

    def line(self, kind: str, text: str) -> str | None:
        """Return the text as it is to be logged; None when this one is only counted."""
        now_s = self._seconds()
        if kind not in self._kinds and len(self._kinds) >= MOST_KINDS:
            self._kinds = {one: was for one, was in self._kinds.items() if now_s - was[1] < QUIET_S}
            kind = kind if len(self._kinds) < MOST_KINDS else ""
        count, last_s = self._kinds.get(kind, (0, now_s))
        count = 1 if now_s - last_s >= QUIET_S else count + 1
        self._kinds[kind] = count, now_s
        if count <= FIRST:
            return text
        digits = len(str(count)) - 1
        if count != FIRST * 10**digits:
            return None
        return within(text, after=lib.LEFT_OUT(count=count - count // 10 - 1))
