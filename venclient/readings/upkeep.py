"""What the readings file needs beside commits, in short steps between them, oldest readings first:

    compress    readings of some hours ago become history with its quarters
    age         single readings older than the retention go, their quarters stay
    room        single readings go when the file holds more bytes than it may, or the disk is full
    wear        the bytes written are noted by day

Each step is a separate commit: whatever ends the process, the next start goes on from there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

import apsw

from venclient.clock import Clock
from venclient.errors import StoreError
from venclient.messages import readings as rdg
from venclient.readings.compaction import Plan, begin, carry_out, finish, plan
from venclient.readings.desk import Desk
from venclient.readings.history import DAY_MS
from venclient.readings.layout import unusable
from venclient.readings.reserve import Reserve
from venclient.readings.series import MILLISECOND, to_ms
from venclient.readings.stats import Counts, bytes_written
from venclient.readings.tables import Tables

#: Readings stay as they came for so long, as most of what comes late comes within it ...
FRESH_MS = 3_600_000
#: ... and are then compressed twice a day, since each time the fresh ones are written once more.
GRAIN_MS = 12 * 3_600_000
REST_S = 60.0
SHORT_REST_S = 1.0
PRUNE_PERIOD = timedelta(minutes=10)
WEAR_PERIOD = timedelta(hours=1)
#: How often room for the reserve is looked for after the disk was full.
RESERVE_AGAIN = timedelta(minutes=5)
SEGMENTS_AT_ONCE = 64
EACH_AT_ONCE = 4
#: A limit of bytes does not reach readings that are younger than this, nor does a full disk.
KEPT_IN_ANY_CASE = timedelta(days=1)
#: 2000-01-01: what is before it is not a time of day (`clock_guard.py`).
FIRST_DAY = 10_957

log = logging.getLogger(__name__)


class Upkeep:
    """Keeps one file in shape; `max_bytes` and `retention` None mean that they do not limit."""

    def __init__(
        self,
        desk: Desk,
        clock: Clock,
        counts: Counts,
        *,
        retention: timedelta | None = None,
        max_bytes: int | None = None,
    ) -> None:
        self._path = desk.path
        self._desk = desk
        self._clock = clock
        self._counts = counts
        self._retention = retention
        self._max_bytes = max_bytes
        self._next_prune: datetime | None = None
        self._next_wear = clock.now() + WEAR_PERIOD
        self._reserve = Reserve(desk.path)
        #: Called when the disk has room for the reserve (again).
        self.room_again: Callable[[], None] = lambda: None
        self._next_reserve = clock.now()
        #: What the file may hold since the disk was full, until there is room for the reserve again.
        self._cap: int | None = None
        self._noted = (0, 0)
        self._failing = False
        self._crowded = False
        self._stepping = asyncio.Lock()

    async def run(self) -> None:
        """Do what is to be done, until cancelled; what fails is said once and tried again."""
        while True:
            rest_s = REST_S
            try:
                if await self.step():
                    rest_s = SHORT_REST_S
            except StoreError as error:
                if not self._failing:
                    log.error(rdg.UPKEEP_FAILED(path=self._path, error=error))
                self._failing = True
            except Exception:  # a mistake here must not end the commits
                if not self._failing:
                    log.exception(rdg.UPKEEP_BUG(path=self._path))
                self._failing = True
            else:
                self._failing = False
            await self._clock.sleep(rest_s)

    async def step(self) -> bool:
        """Do one piece of work; False when there is nothing more for now. StoreError when it failed."""
        try:
            async with self._stepping:
                await self._hold_reserve()
                return await self._compress() or await self._prune() or await self._note_wear()
        except (apsw.Error, OSError) as error:
            raise unusable(self._path, error) from error

    async def _compress(self) -> bool:
        now_ms = to_ms(self._clock.now())
        before_ms = (now_ms - FRESH_MS) // GRAIN_MS * GRAIN_MS
        if self._retention is not None:
            # What goes for its age is compressed first: it leaves its quarters behind.
            before_ms = max(before_ms, (now_ms - self._retention // MILLISECOND) // GRAIN_MS * GRAIN_MS)

        if not await self._desk.on_writer(lambda tables: begin(tables, before_ms)):
            return False
        planned = await self._desk.on_reader(_planned)
        if planned is None:
            await self._desk.on_writer(finish)
            self._next_prune = None
        elif await self._desk.on_writer(lambda tables: carry_out(tables, planned)):
            self._counts.compressed += planned.rows
        return True

    async def _prune(self) -> bool:
        now = self._clock.now()
        if self._next_prune is not None and now < self._next_prune:
            return False
        pruned = 0
        if self._retention is not None:
            before_ms = to_ms(now - self._retention)
            pruned += await self._desk.on_writer(lambda tables: let_go(tables, before_ms))
        most = min((limit for limit in (self._max_bytes, self._cap) if limit is not None), default=None)
        if most is not None:
            used = await self._desk.on_writer(Tables.used)
            if used > most:
                freed = await self.make_room()
                self._say_crowded(used, freed)
                pruned += freed
            else:
                self._crowded = False
        self._counts.pruned += pruned
        if not pruned:
            self._next_prune = now + PRUNE_PERIOD
        return pruned > 0

    async def make_room(self) -> int:
        """Let some of the oldest single readings go, never the last day's; give how many went."""
        before_ms = to_ms(self._clock.now() - KEPT_IN_ANY_CASE)
        return await self._desk.on_writer(lambda tables: let_go(tables, before_ms))

    async def survive_full_disk(self) -> int:
        """Let old readings go where a commit found no room; give how many went."""
        self._next_reserve = self._clock.now() + RESERVE_AGAIN
        await asyncio.to_thread(self._reserve.give)
        freed = await self.make_room()
        # What was freed and what waits in the log change places, to give the next commits room.
        await self._desk.on_writer(Tables.checkpoint)
        self._cap = await self._desk.on_writer(Tables.used) * 9 // 10
        self._next_prune = None
        return freed

    async def _hold_reserve(self) -> None:
        now = self._clock.now()
        if now >= self._next_reserve:
            self._next_reserve = now + (WEAR_PERIOD if self._cap is None else RESERVE_AGAIN)
            if await asyncio.to_thread(self._reserve.hold):
                self._cap = None
                self.room_again()

    def _say_crowded(self, used: int, freed: int) -> None:
        if not self._crowded and not freed:
            log.warning(rdg.CROWDED(path=self._path, size=used))
        self._crowded = not freed

    async def _note_wear(self) -> bool:
        now = self._clock.now()
        if now < self._next_wear:
            return False
        self._next_wear = now + WEAR_PERIOD
        await self.note_wear()
        return True

    async def note_wear(self) -> None:
        """Keep what was written since the last time, under today."""
        day = to_ms(self._clock.now()) // DAY_MS
        if day < FIRST_DAY:
            return  # the time is in doubt: under which day it belongs is seen later
        readings = self._counts.readings

        def note(tables: Tables) -> int:
            written = bytes_written()
            if written is not None and (written, readings) != self._noted:
                tables.history.note_wear(day, written - self._noted[0], readings - self._noted[1])
            return written or 0

        self._noted = (await self._desk.on_writer(note), readings)


def _planned(tables: Tables) -> Plan | None:
    tables.learn_series()
    return plan(tables)


def let_go(tables: Tables, before_ms: int) -> int:
    """Commit that some of the oldest segments that end before a moment are gone; give their readings."""
    oldest = tables.history.oldest(tables.numbers(), EACH_AT_ONCE, before_ms)[:SEGMENTS_AT_ONCE]
    if not oldest:
        return 0
    connection = tables.connection
    connection.execute("BEGIN IMMEDIATE")
    try:
        tables.history.replace([segment.key for segment in oldest], [])
        tables.history.settle(max(segment.last_ms for segment in oldest) + 1)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return sum(segment.readings for segment in oldest)
