"""What of the clock outlasts a restart of this program, as bookmarks of the store; gone with the machine's.

    clock:anchor    a moment at which the clock was believed, and the monotonic seconds of it
    clock:held:N    readings that wait for the right time, with stamps that count from the machine's start
    clock:held      which N there are

The monotonic clock goes on while the machine does, so all of it means something as long as the boot id is
the same. After another start of the machine it does not: how long it was off is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from venclient.model.reading import Reading

ANCHOR = "clock:anchor"
HELD = "clock:held"
#: Readings are written in parts of this size: a part is written again until it is full.
PART = 64
#: An anchor is written down again when the clock went that far from it.
DRIFT_S = 1.0


class Anchor(msgspec.Struct, frozen=True):
    """A moment at which the clock was believed."""

    boot: str
    wall: datetime
    mono_s: float

    def now(self, mono_s: float) -> datetime:
        """Return the time of day at these monotonic seconds."""
        return self.wall + timedelta(seconds=mono_s - self.mono_s)


class _Part(msgspec.Struct, frozen=True):
    boot: str
    readings: list[Reading]


def boot_id() -> str:
    """Return the id of this start of the machine; empty where the system does not report one."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


class ClockMemory:
    """What an earlier process of this start of the machine left; and what to leave for the next one.

    `anchor` is None when there is none. `held` are the readings that still wait, `lost` those that waited
    when the machine went down: their time will never be known. The methods give bookmarks for the next
    commit.
    """

    def __init__(self, bookmark: Callable[[str], str | None], boot: str) -> None:
        self._boot = boot
        self.anchor = self._read_anchor(bookmark(ANCHOR))
        self.held: list[Reading] = []
        self.lost: list[Reading] = []
        self._keys: set[str] = set()
        for key in (bookmark(HELD) or "").split():
            self._keys.add(key)
            try:
                part = msgspec.json.decode(bookmark(key) or "", type=_Part)
            except msgspec.MsgspecError:
                continue
            (self.held if boot and part.boot == boot else self.lost).extend(part.readings)
        self._written = 0
        self._given_up = 0

    def _read_anchor(self, text: str | None) -> Anchor | None:
        try:
            anchor = msgspec.json.decode(text or "", type=Anchor)
        except msgspec.MsgspecError:
            return None
        return anchor if self._boot and anchor.boot == self._boot else None

    def keep_anchor(self, wall: datetime, mono_s: float) -> dict[str, str]:
        """Note that the clock is believed; gives nothing when that says nothing new."""
        known = self.anchor
        if not self._boot or (known and abs((known.now(mono_s) - wall).total_seconds()) < DRIFT_S):
            return {}
        self.anchor = Anchor(self._boot, wall, mono_s)
        return {ANCHOR: msgspec.json.encode(self.anchor).decode()}

    def keep_held(self, held: Sequence[Reading], given_up: int) -> dict[str, str]:
        """Note which readings wait, the oldest first, and how many have given way to them so far."""
        since = given_up - self._given_up  # the number of the first one, counted from the last release
        total = since + len(held)
        if total == self._written and not self.lost:
            return {}
        parts = range(since // PART, -(-total // PART))
        keys = {f"{HELD}:{part}" for part in parts}
        noted = dict.fromkeys(self._keys - keys, "")
        for part in parts:
            first, beyond = part * PART - since, (part + 1) * PART - since
            # Those before are as they were, but for the first, of which some may have given way.
            if (part + 1) * PART > self._written or f"{HELD}:{part}" not in self._keys:
                some = _Part(self._boot, list(held[max(0, first) : beyond]))
                noted[f"{HELD}:{part}"] = msgspec.json.encode(some).decode()
        if keys != self._keys:
            noted[HELD] = " ".join(sorted(keys))
        self._keys, self._written = keys, total
        return noted

    def forget_held(self, given_up: int) -> dict[str, str]:
        """Note that none waits any more: to be committed together with what waited."""
        noted: Mapping[str, str] = dict.fromkeys(self._keys, "")
        if self._keys:
            noted = {**noted, HELD: ""}
        self._keys, self._written, self._given_up = set(), 0, given_up
        self.lost = []
        return dict(noted)
