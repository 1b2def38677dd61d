"""How fast reports leave: never more than a rate, and not all gateways of a fleet in the same second."""

from __future__ import annotations

import hashlib

from venclient.clock import Clock


class Pace:
    """Lets at most `rate_per_s` reports a second through, a second's worth at once; None: as fast as can be.

    Time is the clock's monotonic one; nothing here waits.
    """

    def __init__(self, clock: Clock, rate_per_s: float | None) -> None:
        self._clock = clock
        self._rate = rate_per_s
        self._most = max(1.0, rate_per_s or 1.0)
        self._room = self._most
        self._looked_s = clock.monotonic()

    def room(self, most: int) -> int:
        """Return how many reports may leave now, at most `most`."""
        if self._rate is None:
            return most
        now_s = self._clock.monotonic()
        self._room = min(self._most, self._room + (now_s - self._looked_s) * self._rate)
        self._looked_s = now_s
        # Of a third a second, three make one, though floats do not quite.
        return min(most, int(self._room + 1e-9))

    def take(self) -> None:
        """Count a report that left."""
        if self._rate is not None:
            self._room -= 1.0

    def wait_s(self) -> float:
        """Return in how many seconds the next report may leave; 0 for now."""
        if self._rate is None or self.room(1) >= 1:
            return 0.0
        return (1.0 - self._room) / self._rate


def spread_s(client_name: str, jitter_s: float) -> float:
    """Return a gateway's own delay within [0, jitter_s): always the same, spread evenly over a fleet."""
    draw = int.from_bytes(hashlib.sha256(client_name.encode()).digest()[:8], "big")
    return jitter_s * draw / 2**64
