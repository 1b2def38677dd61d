"""What went wrong lately, in sentences: kept for `ven status`, and logged only when it begins."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator

from venclient.messages import in_full, within

log = logging.getLogger("venclient.gateway")

KEPT = 50
#: More kinds of failures than this at once are only kept, not told apart.
MOST_KINDS = 10_000


class Notes:
    """The last sentences, each once; and which kinds of failure go on at the moment.

    `about` stands before what is logged, where there are several of a kind: "VTN operator: ".
    """

    def __init__(self, about: str = "") -> None:
        self.about = about
        self._sentences: deque[str] = deque(maxlen=KEPT)
        #: By kind: the cause of the failure, its sentence, and whether its source has logged it.
        self._going_on: dict[str, tuple[str, str, bool]] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._sentences))

    def add(self, sentence: str) -> None:
        """Keep a sentence with its hint and code; the same one is kept once."""
        sentence = in_full(sentence)
        if sentence not in self._sentences:
            self._sentences.append(sentence)

    def begin(
        self, kind: str, sentence: str, *, cause: str = "", bug: Exception | None = None, logged: bool = False
    ) -> None:
        """Keep a failure, and log it when one of its kind and `cause` is not going on already.

        One that its source has `logged` is kept only.
        """
        before = self._going_on.get(kind)
        if before is not None and before[1] != sentence:
            self._drop(before[1])
        self.add(sentence)
        if before is not None or len(self._going_on) < MOST_KINDS:
            self._going_on[kind] = cause, sentence, logged
        if logged or (before is not None and before[0] == cause):
            return
        log.error(within(sentence, self.about), exc_info=bug)

    def show(self, kind: str, sentence: str | None) -> None:
        """Keep the sentence of a kind in place of the one before, and do not log it; None for none."""
        if sentence is None:
            self.end(kind)
        else:
            self.begin(kind, sentence, logged=True)

    def end(self, kind: str, said: str = "") -> None:
        """Note that a failure is over: its sentence goes, and the next one of its kind is logged again.

        `said` is logged when the failure was going on and logged here.
        """
        before = self._going_on.pop(kind, None)
        if before is not None:
            self._drop(before[1])
            if said and not before[2]:
                log.info(within(said, self.about))

    def _drop(self, sentence: str) -> None:
        sentence = in_full(sentence)
        if sentence in self._sentences:
            self._sentences.remove(sentence)
