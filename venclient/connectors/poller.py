"""The loop that no connector writes for itself: schedule, time-out, back-off, hand-over, logging.

polled   :00      :10      :20      :30        slots on the wall clock, the same after every restart
         read     read     (late)   read       a slot that passed meanwhile is counted, never caught up
dark     read ... 5 s ... 10 s ... 20 s        attempts at growing distance, jittered per resource
pushed   read read read                        the source sets the pace
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import zlib
from bisect import insort
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Literal

import msgspec

from venclient.clock import Clock
from venclient.connectors.base import Batch, Reader
from venclient.connectors.outages import SILENT, UNREACHABLE, UNSTORED, Voice, spell
from venclient.connectors.silence import Silence
from venclient.errors import ReadTimeout, VenError
from venclient.messages import Message, Text, code_of, with_code
from venclient.messages import connectors as con
from venclient.messages.printable import foreign, without_name
from venclient.model.reading import Reject

logger = logging.getLogger(__name__)

Deliver = Callable[[Batch], Awaitable[None]]
State = Literal["starting", "ok", "silent", "dark"]

FIRST_BACKOFF_S = 5.0
LONGEST_BACKOFF_S = 60.0
PUSHED_BACKOFF_S = 1.0
JITTER = 0.2
KEPT_REJECTS = 5
#: So many batches of a source that keeps them may wait for their commit at once.
MOST_HANDING = 256
#: How often a source is looked at for silence.
WATCH_S = 30.0
#: So many different reasons are logged for one resource; the rest is only counted.
LOGGED_REASONS = 32
#: How long a stopped poller waits for the commits of what its source keeps.
STOP_WITHIN_S = 10.0


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How one resource's source is doing: `silent` when it can be reached and no value comes.

    `missed` counts slots without an attempt to read, `failures` failed attempts in a row, `lost` readings
    that the store refused and the source does not keep. `last_ok` is the last time something was read,
    `last_value` the time of the newest value; after `silent_after_s` without one the source is silent.
    """

    state: State = "starting"
    last_ok: datetime | None = None
    dark_since: datetime | None = None
    last_error: str | None = None
    failures: int = 0
    readings: int = 0
    rejects: int = 0
    last_rejects: tuple[Reject, ...] = ()
    missed: int = 0
    lost: int = 0
    last_value: datetime | None = None
    silent_after_s: float | None = None


def spread_phase(name: str, within_s: float) -> float:
    """Return a phase in [0, within_s) that is always the same for a name, to spread pollers out."""
    return zlib.crc32(name.encode()) / 2**32 * within_s


class Poller:
    """Reads one reader for ever and hands each batch to `deliver`.

    `deliver` returns when a replayable batch is committed (it is acknowledged then); for others it may
    return earlier. `phase_s` shifts the slots of polled readers. `name` is what people call the resource.
    `counted` is the health of the poller that read the same resource before: its counts go on.
    `silence_s` is the limit of silence in its options, `last_value` the time of the newest stored value.
    `voice` logs its failures, together with those of other resources.
    """

    def __init__(
        self,
        reader: Reader,
        *,
        name: str,
        deliver: Deliver,
        clock: Clock,
        phase_s: float = 0.0,
        counted: Health | None = None,
        silence_s: float | None = None,
        last_value: datetime | None = None,
        voice: Voice | None = None,
    ) -> None:
        self._voice = voice or Voice(name, "")
        self._silence = Silence(silence_s, reader.interval_s, last_value, clock.monotonic())
        self._is_silent = False
        self._watching: asyncio.Task[None] | None = None
        self._reader = reader
        self._name = name
        self._deliver = deliver
        self._clock = clock
        self._phase_s = phase_s
        self._random = random.Random(name)  # noqa: S311 (repeatable jitter, no secret)
        self._state: State = "starting"
        self._last_ok: datetime | None = None
        self._dark_since: datetime | None = None
        self._dark_since_s = 0.0
        self._last_error: str | None = None
        self._failures = 0
        before = counted or Health()
        self._readings = before.readings
        self._rejects = before.rejects
        self._last_rejects: deque[Reject] = deque(before.last_rejects, maxlen=KEPT_REJECTS)
        self._reasons: set[str] = set()
        self._bugs: set[str] = set()
        self._missed = before.missed
        self._lost = before.lost
        self._unstored = False
        self._handing: set[asyncio.Task[None]] = set()
        self._handed = 0
        self._caught_up = False
        # Numbers of batches that wait for their next attempt, lowest first.
        self._put_off: list[int] = []
        self._turn = asyncio.Condition()
        self._slot = 0
        self._started_s = 0.0
        self._work: asyncio.Task[None] | None = None
        self._stopped = False
        #: What was read is being handed over: `stop` must not cut that short.
        self._passing = False

    @property
    def health(self) -> Health:
        """How things stand now."""
        silent = self._silent_now()
        return Health(
            state="silent" if silent or (self._is_silent and self._state == "dark") else self._state,
            last_ok=self._last_ok,
            dark_since=self._dark_since,
            last_error=with_code(self._silent_text()) if silent else self._last_error,
            failures=self._failures,
            readings=self._readings,
            rejects=self._rejects,
            last_rejects=tuple(self._last_rejects),
            missed=self._missed,
            lost=self._lost,
            last_value=self._silence.last_value,
            silent_after_s=self._silence.limit_s,
        )

    @property
    def caught_up(self) -> bool:
        """True once all was read that the source kept for us, or it was found dark."""
        return self._caught_up or self._state == "dark"

    async def run(self) -> None:
        """Read until cancelled or `stop` is called, then close the reader."""
        work = self._work = asyncio.create_task(self._read_on(), name=f"poll {self._name}")
        try:
            if self._stopped:
                work.cancel()
            await asyncio.wait([work])
            if not work.cancelled():
                work.result()
            await self._hand_over_rest()
        finally:
            tasks = [work, *self._handing, *([self._watching] if self._watching else [])]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._reader.close()
            self._voice.close()

    def stop(self) -> None:
        """End `run` once all that was read is handed over: another poller goes on with the resource.

        What the source keeps for us and is not committed within STOP_WITHIN_S stays with the source.
        """
        self._stopped = True
        if self._work is not None and not self._passing:
            self._work.cancel()

    def _is_stopped(self) -> bool:
        return self._stopped

    async def _read_on(self) -> None:
        self._slot = self._slot_now()
        while not self._is_stopped():
            await self._until_room()
            self._started_s = self._clock.monotonic()
            batch = await self._read()
            if self._watching is None:
                self._watching = asyncio.create_task(self._watch(), name=f"watch {self._name}")
            if batch is None:
                await self._clock.sleep(self._backoff_s(self._failures))
                self._slot = self._slot_now()
                continue
            self._passing = True
            try:
                await self._pass_on(batch)
            finally:
                self._passing = False
            if self._is_stopped():
                return
            self._caught_up = self._caught_up or not batch.more
            if batch.more:
                await self._clock.sleep(0)
            else:
                await self._wait_for_slot()

    async def _hand_over_rest(self) -> None:
        """Hand over what a pushed source has given us already, and wait for the commits of all of it.

        Nothing is awaited between the last look and the return, and a caller that opens the next
        reader at once misses no message.
        """
        until_s = self._clock.monotonic() + STOP_WITHIN_S
        while True:
            batch = await self._waiting_batch()
            if batch is not None:
                await self._pass_on(batch)
                continue
            left_s = until_s - self._clock.monotonic()
            if not self._handing or left_s <= 0:
                return
            limit = asyncio.ensure_future(self._clock.sleep(left_s))
            try:
                await asyncio.wait({limit, *self._handing}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                limit.cancel()

    async def _waiting_batch(self) -> Batch | None:
        """Return what a pushed source gives without waiting; None when that is nothing."""
        if self._reader.interval_s is not None:
            return None
        try:
            async with asyncio.timeout(0):
                batch = await self._reader.read()
        except Exception:  # noqa: BLE001 (the next reader reports a fault that lasts)
            return None
        self._note_rejects(batch)
        return batch if batch.readings or batch.rejects else None

    # Reading

    async def _read(self) -> Batch | None:
        polled = self._reader.interval_s is not None
        try:
            async with asyncio.timeout(self._reader.timeout_s if polled else None):
                batch = await self._reader.read()
        except VenError as error:
            # A pushed source that can be reached says so when nothing comes.
            self._is_silent = not polled and isinstance(error, ReadTimeout)
            self._failed(str(error))
        except TimeoutError:
            limit = con.POLL_TIMEOUT(limit_s=self._reader.timeout_s)
            self._failed(str(ReadTimeout(limit, subject=self._name)))
        except Exception as error:  # noqa: BLE001 (a bug in one connector must not end the others)
            self._bug(con.BROKEN_READ, error)
            self._failed(with_code(con.POLL_BUG(kind=type(error).__name__)))
        else:
            if not batch.silent:
                self._succeeded()
            self._silence.note(batch, self._clock.monotonic())
            self._note_rejects(batch)
            return batch
        return None

    def _failed(self, reason: str) -> None:
        self._failures += 1
        self._last_error = reason
        if self._state != "dark":
            self._state = "dark"
            self._dark_since = self._clock.now()
            self._dark_since_s = self._clock.monotonic()
            why = without_name(reason, self._name)
            self._voice.begin(UNREACHABLE, con.UNREACHABLE(name=self._name, reason=why), why)

    def _succeeded(self) -> None:
        if self._state == "dark":
            gone_s = self._clock.monotonic() - self._dark_since_s
            back = con.BACK(name=self._name, time=spell(gone_s), count=self._failures)
            self._voice.end(UNREACHABLE, back)
        self._state = "ok"
        self._dark_since = None
        self._failures = 0
        self._last_ok = self._clock.now()

    # Silence

    def _silent_now(self) -> bool:
        """Return True if the source can be reached, and no value came for too long."""
        return self._state != "dark" and self._silence.is_silent(self._clock.monotonic(), self._clock.now())

    def _silent_text(self) -> Text:
        age_s = self._silence.age_s(self._clock.monotonic(), self._clock.now())
        limit_s = self._silence.limit_s or 0.0
        return con.SILENT(name=self._name, age=spell(age_s), limit=spell(limit_s))

    async def _watch(self) -> None:
        """Log when the source falls silent and when it speaks again."""
        silent_s: float | None = None
        while True:
            await self._clock.sleep(WATCH_S)
            if silent_s is None and self._silent_now():
                silent_s = self._clock.monotonic()
                said = self._silent_text()
                self._voice.begin(SILENT, said, said)
            elif silent_s is not None and self._state != "dark" and not self._silent_now():
                age = spell(self._clock.monotonic() - silent_s)
                self._voice.end(SILENT, con.SPEAKS(name=self._name, age=age))
                silent_s = None

    def _note_rejects(self, batch: Batch) -> None:
        self._rejects += len(batch.rejects)
        self._last_rejects.extend(batch.rejects)
        for reject in batch.rejects:
            if reject.reason in self._reasons or len(self._reasons) >= LOGGED_REASONS:
                continue
            self._reasons.add(reject.reason)
            place, reason = foreign(reject.place), with_code(reject.reason)
            skipped = con.SKIPPED(name=self._name, place=place, reason=reason)
            line = self._voice.thinned(f"skipped {code_of(reject.reason)}", skipped)
            if line is not None:
                logger.warning(line)

    def _bug(self, message: Message, error: Exception) -> None:
        text = message(name=self._name, kind=type(error).__name__)
        if text not in self._bugs:
            self._bugs.add(text)
            line = self._voice.thinned(f"{message.code} {type(error).__name__}", text)
            if line is not None:
                logger.error(line, exc_info=error)

    # Handing over

    async def _until_room(self) -> None:
        """Wait while too much of what the source keeps is not stored, or storing fails.

        Otherwise reading goes on while a commit is due, seconds away perhaps: a follower that stopped
        would be behind when a report is made, and a broker would hold its messages back.
        """
        while len(self._handing) >= MOST_HANDING or (self._unstored and self._handing):
            await asyncio.wait(self._handing, return_when=asyncio.FIRST_COMPLETED)

    async def _pass_on(self, batch: Batch) -> None:
        """Hand a batch over; what its source keeps for us may wait for its commit while we read on."""
        if not batch.replayable:
            await self._hand_over(batch)
            return
        task = asyncio.create_task(self._hand_over(batch), name=f"hand over {self._name}")
        self._handing.add(task)
        task.add_done_callback(self._handing.discard)

    async def _in_turn(self, number: int) -> None:
        """Return when no earlier batch waits for its next attempt.

        A bookmark that was stored before what lies before it would lose that with the next power cut.
        """
        async with self._turn:
            await self._turn.wait_for(lambda: not self._put_off or self._put_off[0] >= number)
            if self._put_off and self._put_off[0] == number:
                self._put_off.pop(0)
                self._turn.notify_all()

    async def _hand_over(self, batch: Batch) -> None:
        self._handed = number = self._handed + 1
        attempts = 0
        while True:
            if batch.replayable:
                await self._in_turn(number)
            try:
                await self._deliver(batch)
                if batch.replayable:
                    batch.acknowledge()
            except VenError as error:
                reason = str(error)
            except Exception as error:  # noqa: BLE001 (nor must one in what takes the readings)
                self._bug(con.BROKEN_STORE, error)
                reason = with_code(con.STORE_BUG(kind=type(error).__name__))
            else:
                self._readings += len(batch.readings)
                if self._unstored:
                    self._unstored = False
                    self._voice.end(UNSTORED, con.STORED_AGAIN(name=self._name))
                return
            if not self._unstored:
                self._unstored = True
                why = without_name(reason, self._name)
                self._voice.begin(UNSTORED, con.NOT_STORED(name=self._name, reason=reason), why)
            attempts += 1
            self._last_error = reason
            if not batch.replayable:
                self._lost += len(batch.readings)
                return
            # The source keeps what we have not acknowledged: hold it back rather than lose it.
            insort(self._put_off, number)
            await self._clock.sleep(self._backoff_s(attempts))

    # When to read next

    def _backoff_s(self, failures: int) -> float:
        interval_s = self._reader.interval_s
        first_s = PUSHED_BACKOFF_S if interval_s is None else min(interval_s, FIRST_BACKOFF_S)
        pause_s = min(LONGEST_BACKOFF_S, first_s * 2.0 ** min(failures - 1, 16))
        return pause_s * self._random.uniform(1 - JITTER, 1 + JITTER)

    def _slot_now(self) -> int:
        if self._reader.interval_s is None:
            return 0
        return math.floor((self._clock.now().timestamp() - self._phase_s) / self._reader.interval_s)

    async def _wait_for_slot(self) -> None:
        interval_s = self._reader.interval_s
        if interval_s is None:
            await self._clock.sleep(0)  # others get their turn even when a source never waits
            return
        now = self._slot_now()
        if now > self._slot:
            # Late: read at once for the current slot. A wall clock that was set forward misses nothing.
            passed = int((self._clock.monotonic() - self._started_s) / interval_s)
            self._missed += min(now - self._slot - 1, passed)
            self._slot = now
            await self._clock.sleep(0)
            return
        self._slot += 1
        if self._slot > now + 2:
            # The wall clock was set back; one early wake-up alone must not read the same slot twice.
            self._slot = now + 1
        wait_s = self._slot * interval_s + self._phase_s - self._clock.now().timestamp()
        since_s = self._clock.monotonic()
        await self._clock.sleep(wait_s)
        overslept_s = self._clock.monotonic() - since_s - max(0.0, wait_s)
        if overslept_s >= interval_s and (now := self._slot_now()) > self._slot:
            # The process, or the machine, stood still: this is a later slot's reading.
            self._missed += min(now - self._slot, int(overslept_s / interval_s))
            self._slot = now
