"""How far each resource is on its way to InfluxDB."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(eq=False)
class Place:
    """How far one resource is, in milliseconds since 1970."""

    #: What is up to here has been sent, but for `again` and `backlog`.
    position: int
    #: The newest that was ever sent; -1 for nothing.
    sent: int
    #: The newest that is committed, as far as known; -1 before the first look.
    newest: int = -1
    #: First and last of what came late, or was corrected, and has to be sent (again).
    again: tuple[int, int] | None = None
    #: First and last of what waits until all that is newer was sent.
    backlog: tuple[int, int] | None = None
    #: What `sent` was when the backlog was put off.
    sent_before: int = -1
    #: The oldest that was committed since the journal was last asked.
    fresh: int | None = None
    #: The oldest of each add that waits for its commit.
    pending: dict[int, int] = field(default_factory=dict)

    def reached(self) -> int:
        """Return up to when all that is committed was sent."""
        return min(
            self.position, *(span[0] - 1 for span in (self.again, self.backlog) if span), self.position
        )

    def is_behind(self) -> bool:
        """Return whether something that is committed was not sent."""
        return self.again is not None or self.backlog is not None or self.position < self.newest

    def lacks(self, first: int, last: int) -> bool:
        """Return whether something that is committed between two moments was not sent."""
        if self.position < min(last, self.newest):
            return True
        return any(span and span[0] <= last and span[1] >= first for span in (self.again, self.backlog))

    def safe(self) -> int:
        """Return the position that may be written to the card: nothing that still waits is before it."""
        return min(self.sent, self.reached(), *(oldest - 1 for oldest in self.pending.values()))

    def note(self, oldest: int, newest: int) -> None:
        """Take note of committed readings."""
        self.newest = max(self.newest, newest)
        self.fresh = oldest if self.fresh is None else min(oldest, self.fresh)
        if oldest <= self.position:
            first, last = self.again or (oldest, oldest)
            self.again = (min(first, oldest), max(last, min(newest, self.position)))

    def move(self, position: int) -> None:
        """Go on, but not past what was committed while the journal was asked and the answer sent."""
        self.position = max(self.position, position if self.fresh is None else min(position, self.fresh - 1))

    def put_off(self) -> None:
        """Go on with what is new; all that was not sent yet waits behind it."""
        if self.position >= self.newest:
            return
        first, last = self.position + 1, self.newest
        if self.backlog is not None:
            first, last = min(first, self.backlog[0]), max(last, self.backlog[1])
        self.sent_before = self.sent if self.backlog is None else max(self.sent, self.sent_before)
        self.backlog = (first, last)
        self.position = self.newest
