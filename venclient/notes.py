"""What went wrong lately, in sentences with their time: kept for `ven status`, logged when it begins."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from venclient.clock import Clock, SystemClock
from venclient.messages import in_full, within

log = logging.getLogger("venclient.gateway")

KEPT = 50
#: More kinds of failures than this at once are only kept, not distinguished.
MOST_KINDS = 10_000
#: How long a sentence is kept that nothing ends.
KEPT_FOR = timedelta(days=1)


class Note(NamedTuple):
    """A sentence, and since when it holds."""

    since: datetime
    sentence: str


class _Failure(NamedTuple):
    cause: str
    sentence: str
    #: Its source has logged it.
    logged: bool
    since: datetime


class Notes:
    """The last sentences, each once; and which kinds of failure go on at the moment.

    `about` stands before what is logged, where there are several of a kind: "VTN operator: ". A failure stays
    until it ends, a sentence that nothing ends for a day.
    """

    def __init__(self, about: str = "", clock: Clock | None = None) -> None:
        self.about = about
        self._clock = clock or SystemClock()
        #: By sentence: since when it holds.
        self._sentences: dict[str, datetime] = {}
        #: Sentences that something ends, with the number of failures that they are of.
        self._lasting: Counter[str] = Counter()
        self._going_on: dict[str, _Failure] = {}

    def __iter__(self) -> Iterator[str]:
        return iter([note.sentence for note in self.noted()])

    def noted(self) -> list[Note]:
        """Return the sentences with the time since when each holds, oldest first."""
        now = self._clock.now()
        for sentence, since in tuple(self._sentences.items()):
            if sentence not in self._lasting and abs(now - since) > KEPT_FOR:
                del self._sentences[sentence]
        return [Note(since, sentence) for sentence, since in self._sentences.items()]

    def add(self, sentence: str) -> None:
        """Keep a sentence with its hint and code for a day; the same one is kept once."""
        self._keep(sentence, self._clock.now())

    def begin(
        self,
        kind: str,
        sentence: str,
        *,
        cause: str = "",
        bug: Exception | None = None,
        logged: bool = False,
    ) -> None:
        """Keep a failure, and log it when one of its kind and `cause` is not going on already.

        The cause of a `bug` is its type unless `cause` names another. A failure that its source has `logged`
        is kept only.
        """
        if bug is not None and not cause:
            cause = type(bug).__name__
        before = self._going_on.get(kind)
        same = before is not None and before.cause == cause
        since = before.since if before is not None and same else self._clock.now()
        fresh = before is None or before.sentence != sentence
        if before is not None and fresh:
            self._drop(before.sentence)
        self._keep(sentence, since)
        if before is not None or len(self._going_on) < MOST_KINDS:
            self._lasting[in_full(sentence)] += fresh
            self._going_on[kind] = _Failure(cause, sentence, logged, since)
        if not logged and not same:
            log.error(within(sentence, self.about), exc_info=bug)

    def show(self, kind: str, sentence: str | None) -> None:
        """Keep the sentence of a kind in place of the one before, and do not log it; None for none."""
        if sentence is None:
            self.end(kind)
        else:
            self.begin(kind, sentence, logged=True)

    def hold(self, group: str, found: Mapping[str, str], *, logged: bool = False) -> None:
        """Let exactly these failures of a group go on, by their causes: others of the group end.

        A sentence of a cause is logged when it differs from the one before.
        """
        start = f"{group}: "
        for kind in [one for one in self._going_on if one.startswith(start)]:
            if kind.removeprefix(start) not in found:
                self.end(kind)
        for cause, sentence in found.items():
            self.begin(f"{start}{cause}", sentence, cause=sentence, logged=logged)

    def end(self, kind: str, said: str = "") -> None:
        """Note that a failure is over: its sentence goes, and the next one of its kind is logged again.

        `said` is logged when the failure was going on and logged here.
        """
        before = self._going_on.pop(kind, None)
        if before is not None:
            self._drop(before.sentence)
            if said and not before.logged:
                log.info(within(said, self.about))

    def _keep(self, sentence: str, since: datetime) -> None:
        sentence = in_full(sentence)
        if sentence in self._sentences:
            return
        if len(self._sentences) >= KEPT:
            # What is over may go first.
            gone = next((one for one in self._sentences if one not in self._lasting), None)
            del self._sentences[gone if gone is not None else next(iter(self._sentences))]
        self._sentences[sentence] = since

    def _drop(self, sentence: str) -> None:
        """Forget a sentence, unless another failure has the same one."""
        sentence = in_full(sentence)
        self._lasting[sentence] -= 1
        if self._lasting[sentence] <= 0:
            del self._lasting[sentence]
            self._sentences.pop(sentence, None)
