"""How far each resource is on its way to InfluxDB."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(eq=False)
class Place:
    """How far one resource is, in milliseconds since 1970."""

    #: What is up to here has been sent, but for `again`.
    position: int
    #: The newest that was ever sent; -1 for nothing.
    sent: int
    #: The newest that is committed, as far as known; -1 before anybody looked.
    newest: int = -1
    #: First and last of what came late, or was corrected, and has to be sent (again).
    again: tuple[int, int] | None = None
    #: The oldest that was committed since the journal was last asked.
    fresh: int | None = None
    #: The oldest of each add that waits for its commit.
    pending: dict[int, int] = field(default_factory=dict)

    def reached(self) -> int:
        """Give up to when all that is committed was sent."""
        return self.position if self.again is None else min(self.position, self.again[0] - 1)

    def owes(self) -> bool:
        """Tell whether something that is committed was not sent."""
        return self.again is not None or self.position < self.newest

    def safe(self) -> int:
        """Give the position that may be written to the card: nothing that still waits is before it."""
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
