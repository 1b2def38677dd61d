"""Keeps the times of readings right while the machine's clock is not: holds them, and stamps them again.

A gateway without a battery clock starts with the time at which it was switched off. Until the right time is
known, readings get a provisional stamp, which counts real seconds and cannot be taken for a time of day:

    clock     09:00  09:00:10  09:00:20  | 12:40:30   12:40:40
    stamp     +0     +10 s     +20 s     | 12:40:30   12:40:40
    stored                               | 12:40:00, 12:40:10, 12:40:20, 12:40:30, 12:40:40

Stamps count from the machine's start, so they mean the same to the next process (`clock_memory.py`).

Afterwards a step of the clock beyond a minute raises the doubt again. A smaller step back is worked off
at half speed: no reading is stamped before an earlier one.

What is believed, in this order: a clock that an earlier process believed since the machine's start, and
that has gone on as the machine's seconds have; a kernel that says that its clock is synchronised (NTP); a
VTN whose Date agrees; a battery clock, for as long as the time is not before what was stored already. At
the start a battery clock alone is given some seconds, in which the VTN may disagree.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from venclient.clock import Clock
from venclient.messages import gateway as gwy
from venclient.model.reading import Reading

log = logging.getLogger(__name__)

Trust = Literal["auto", "always"]

#: No clock is right that says it is before this version was made.
NOT_BEFORE = datetime(2025, 12, 1, tzinfo=UTC)
#: Provisional stamps start here; no meter's own time is believed before 2000.
PROVISIONAL = datetime(1980, 1, 1, tzinfo=UTC)
PROVISIONAL_UNTIL = datetime(2000, 1, 1, tzinfo=UTC)

STEP_S = 60.0
AGREES_S = 30.0
#: How long after a step the battery clock alone is enough again: the VTN had its chance to disagree.
SETTLED_S = 90.0
#: How long a VTN is waited for at the start when a battery clock is all that speaks for the time.
GRACE_S = 5.0
#: How far stamps may be ahead of the clock, when the clock was set back a little.
SLOWEST = 0.5
MOST_HELD = 100_000

_TIME = attrgetter("time")
_UNKNOWN = gwy.CLOCK_UNKNOWN()
_SETTLING = gwy.CLOCK_SETTLING()
_TIME_ERROR = 5
_SYNCHRONISED_FILE = Path("/run/systemd/timesync/synchronized")
_TIMEX_BYTES = 512


class Evidence(NamedTuple):
    """Where the guard looks; each source is asked again every time.

    `vtn_skew_s` is our clock less the VTN's at its last answer; no two answers give quite the same.
    """

    synchronised: Callable[[], bool]
    battery: Callable[[], bool]
    vtn_skew_s: Callable[[], float | None] = lambda: None


class CautiousClock:
    """A Clock for what forgets by age: it says that nothing is old yet while the time is in doubt.

    `guard` is set once there is one; until then the machine's clock is taken as it is.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.guard: ClockGuard | None = None

    def now(self) -> datetime:
        """Return the time of day; one of long ago while it is in doubt."""
        return self._clock.now() if self.guard is None else self.guard.now()

    def monotonic(self) -> float:
        """Return seconds since an arbitrary point; never decreases."""
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        await self._clock.sleep(seconds)


class ClockState(msgspec.Struct, frozen=True):
    """How it stands with the clock: why it is not believed (None when it is), and what waits for that.

    `settling` is True in the first seconds, when nothing speaks against a battery clock.
    """

    doubt: str | None
    held: int
    dropped: int
    settling: bool = False


def kernel_is_synchronised() -> bool:
    """Return whether NTP keeps the kernel's clock, as far as this machine reports."""
    if _SYNCHRONISED_FILE.exists():
        return True
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return False
    # All zero: nothing is set, the state is read. It is an error state until the clock was synchronised.
    state: int = adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return 0 <= state < _TIME_ERROR


def has_battery_clock(root: Path = Path("/")) -> bool:
    """Return whether the machine has a clock that runs without power and was set.

    Small boards have a device tree and often no such clock; other machines, and virtual ones, have theirs.
    """
    for clock in (root / "sys/class/rtc").glob("rtc*/since_epoch"):
        try:
            if int(clock.read_text()) >= NOT_BEFORE.timestamp():
                return True
        except (OSError, ValueError):
            continue
    return not (root / "proc/device-tree").exists()


def machine_evidence(vtn_skew_s: Callable[[], float | None]) -> Evidence:
    """Return the sources of evidence on this machine."""
    return Evidence(kernel_is_synchronised, has_battery_clock, vtn_skew_s)


class ClockGuard:
    """A Clock for whatever stamps readings, and the readings that wait for the right time.

    `newest` is the time of the newest stored reading. `look` is to be called now and then; `believed` is
    then true once the clock can be. With trust "always" it is from the start. `expected` is the time that it
    must be by what an earlier process knew, `held` are the readings that it left waiting. `grace_s` is how
    long a VTN is waited for when only a battery clock vouches for the time.
    """

    def __init__(
        self,
        clock: Clock,
        evidence: Evidence,
        *,
        trust: Trust = "auto",
        newest: datetime | None = None,
        most_held: int = MOST_HELD,
        expected: datetime | None = None,
        held: Sequence[Reading] = (),
        grace_s: float = GRACE_S,
    ) -> None:
        self._clock = clock
        self._evidence = evidence
        self._trust = trust
        self._newest = newest
        self._most_held = most_held
        self._held = list(held)
        self._dropped = 0
        self._doubt: str | None = None
        self._alone = False  # whether a battery clock is all that speaks for the time
        self._certain = asyncio.Event()
        self._anchor = self._last = (clock.now(), clock.monotonic())
        self._heard_s: float | None = None
        self._doubted_s = float("-inf")
        self._grace_until_s = clock.monotonic() + grace_s
        self._certain.set()
        step_s = None if expected is None else (clock.now() - expected).total_seconds()
        if trust == "auto" and step_s is not None and abs(step_s) > STEP_S:
            self._begin(gwy.CLOCK_SET_SINCE_START(way=_way(step_s), seconds=abs(step_s)))
            self.look()
        elif trust == "auto" and step_s is None:
            self._begin(_UNKNOWN)
            self._doubted_s = float("-inf")  # at the start a battery clock is enough after a short grace
            self.look()

    # ---- the clock that connectors have

    def now(self) -> datetime:
        """Return the time of day, never less than before; a provisional stamp while that is not known."""
        wall, mono_s = self._clock.now(), self._clock.monotonic()
        if self._doubt is None:
            self._watch(wall, mono_s)
        if self._doubt is not None:
            return PROVISIONAL + timedelta(seconds=mono_s)
        last, last_s = self._last
        now = max(wall, last + timedelta(seconds=SLOWEST * (mono_s - last_s)))
        self._last = (now, mono_s)
        return now

    def monotonic(self) -> float:
        """Return seconds since an arbitrary point; never decreases."""
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        await self._clock.sleep(seconds)

    # ---- whether it is believed

    @property
    def believed(self) -> bool:
        """Whether the machine's clock can be believed now."""
        return self._doubt is None

    @property
    def state(self) -> ClockState:
        """How it stands."""
        return ClockState(self._doubt, len(self._held), self._dropped, self._doubt == _SETTLING)

    @property
    def held(self) -> Sequence[Reading]:
        """The readings that wait, the oldest first."""
        return self._held

    @property
    def anchor(self) -> tuple[datetime, float] | None:
        """The clock and the monotonic seconds at the last look, when more than a battery vouches for it."""
        return self._anchor if self._doubt is None and not self._alone else None

    async def until_believed(self) -> None:
        """Return once the clock can be believed."""
        await self._certain.wait()

    def look(self) -> bool:
        """Look whether the clock can be believed, and give that."""
        wall, mono_s = self._clock.now(), self._clock.monotonic()
        if self._doubt is None:
            self._watch(wall, mono_s)
        if self._doubt is None and self._alone:
            self._ask_vtn()
        if self._doubt is not None:
            why = self._why_not(wall, mono_s)
            if why is None:
                self._end(wall, mono_s)
            else:
                self._doubt = why
        return self._doubt is None

    def _watch(self, wall: datetime, mono_s: float) -> None:
        """Compare the clock with the seconds that passed since the last look."""
        then, then_s = self._anchor
        step_s = (wall - then).total_seconds() - (mono_s - then_s)
        self._anchor = (wall, mono_s)
        if abs(step_s) <= STEP_S:
            return
        doubt = gwy.CLOCK_SET(way=_way(step_s), seconds=abs(step_s))
        log.warning(doubt)
        if self._trust == "always" or self._evidence.synchronised():
            self._last = self._anchor
        else:
            self._begin(doubt)

    def _ask_vtn(self) -> None:
        """Let a VTN confirm or refute a battery clock that has no other confirmation."""
        skew_s = self._evidence.vtn_skew_s()
        if self._evidence.synchronised():
            self._alone = False
        elif skew_s is not None and skew_s != self._heard_s and abs(skew_s) > STEP_S:
            self._begin(_apart(skew_s))
            log.warning(self._doubt)
        elif skew_s is not None and abs(skew_s) <= AGREES_S:
            self._alone = False

    def _why_not(self, wall: datetime, mono_s: float) -> str | None:
        if wall < NOT_BEFORE:
            return gwy.CLOCK_LONG_AGO(time=f"{wall:%Y-%m-%d %H:%M}")
        self._alone = False
        if self._evidence.synchronised():
            return None
        skew_s = self._evidence.vtn_skew_s()
        if skew_s is None or skew_s == self._heard_s:
            self._alone = True
            return self._why_not_alone(wall, mono_s)
        if self._doubt == _SETTLING and AGREES_S < abs(skew_s) <= STEP_S:
            self._alone = True  # too far to vouch for the battery clock, too near to speak against it
            return None
        return None if abs(skew_s) <= AGREES_S else _apart(skew_s)

    def _why_not_alone(self, wall: datetime, mono_s: float) -> str | None:
        """Return what speaks against the clock when no other source has reported the time."""
        if self._newest is not None and wall < self._newest:
            return gwy.CLOCK_BEFORE_NEWEST(time=f"{wall:%Y-%m-%d %H:%M}")
        if not self._evidence.battery():
            return gwy.CLOCK_NO_BATTERY()
        if self._doubt in (_UNKNOWN, _SETTLING) and mono_s < self._grace_until_s:
            return _SETTLING
        return self._doubt if mono_s - self._doubted_s < SETTLED_S else None

    def _begin(self, doubt: str) -> None:
        self._heard_s = self._evidence.vtn_skew_s()
        self._doubted_s = self._clock.monotonic()
        self._doubt = doubt
        self._certain.clear()

    def _end(self, wall: datetime, mono_s: float) -> None:
        self._doubt = None
        self._anchor = self._last = (wall, mono_s)
        self._certain.set()

    # ---- the readings that wait

    def is_provisional(self, readings: Sequence[Reading]) -> bool:
        """Return whether any of the readings has a provisional stamp."""
        return bool(readings) and min(map(_TIME, readings)) < PROVISIONAL_UNTIL

    def hold(self, readings: Sequence[Reading]) -> None:
        """Hold readings until the clock is trusted; beyond a limit the oldest are dropped and counted."""
        self._held += readings
        excess = len(self._held) - self._most_held
        if excess > 0:
            del self._held[:excess]
            self._dropped += excess

    def ripe(self) -> list[Reading]:
        """Return the held readings, stamped again, oldest first; none while the clock is in doubt."""
        if self._doubt is not None or not self._held:
            return []
        return sorted(self.restamped(self._held), key=lambda reading: reading.time)

    def release(self) -> list[Reading]:
        """Return what `ripe` returns, and hold it no longer."""
        found = self.ripe()
        if found:
            self._held = []
        return found

    def restamped(self, readings: Sequence[Reading]) -> list[Reading]:
        """Return readings with provisional stamps as times of day; others stay as they are."""
        wall, mono_s = self._anchor
        shift = wall - PROVISIONAL - timedelta(seconds=mono_s)
        return [
            msgspec.structs.replace(reading, time=reading.time + shift)
            if reading.time < PROVISIONAL_UNTIL
            else reading
            for reading in readings
        ]


def _apart(skew_s: float) -> str:
    return gwy.CLOCK_APART(seconds=abs(skew_s), side="ahead of" if skew_s > 0 else "behind")


def _way(step_s: float) -> str:
    return "forward" if step_s > 0 else "back"
