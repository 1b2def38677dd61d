"""Readings in an SQLite file of their own: one writing thread, and commits made rare for the card's sake.

A commit comes when the first of these is true:

    age      the oldest reading waits since `commit_period_s`
    count    `batch_rows` readings wait
    urgency  `urgent_count` urgent messages wait: a broker limits how many are on their way
    quiet    two or more urgent ones wait and no more came for a moment, as when a broker's window is
             smaller than ours; rationed to one per commit period, to spare the card

After a failed commit, urgent adds fail: their source keeps them and sends them again. All others stay in
memory and are tried again with growing waits; beyond a limit the oldest are dropped.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import apsw

from venclient.clock import Clock
from venclient.errors import StoreError
from venclient.messages import Message, code_of, with_code
from venclient.messages import readings as rdg
from venclient.messages.printable import foreign
from venclient.model.reading import Reading, Reject
from venclient.readings.aside import Aside
from venclient.readings.desk import Desk
from venclient.readings.layout import unusable
from venclient.readings.look import Found, FoundTracks
from venclient.readings.pending import Added, fail, messages
from venclient.readings.quarters import Quarter
from venclient.readings.series import named, refusal, to_millisecond, to_ms
from venclient.readings.stats import Counts, StoreStats
from venclient.readings.tables import Tables
from venclient.readings.upkeep import Upkeep
from venclient.thinned import Thinned

T = TypeVar("T")

QUIET_S = 0.25
QUIET_RESERVE = 3
RETRY_FIRST_S = 1.0
RETRY_LONGEST_S = 30.0

log = logging.getLogger(__name__)


class SqliteReadings:
    """A ReadingStore in an SQLite file. `run()` makes the commits; see the module for when.

    The constructor opens the file, or creates it; StoreError when it is not ours. A damaged one is renamed,
    with what can be read of it taken over; the log and `stats()` say so. Single readings older than
    `retention_days`, and the oldest beyond `max_bytes`, go; the quarters made of them stay.
    """

    def __init__(
        self,
        path: Path | str,
        clock: Clock,
        *,
        commit_period_s: float = 10.0,
        urgent_count: int = 16,
        batch_rows: int = 1000,
        most_waiting: int = 100_000,
        retention_days: float | None = None,
        max_bytes: int | None = None,
    ) -> None:
        self.path = Path(path)
        self._clock = clock
        self._commit_period_s = commit_period_s
        self._urgent_count = urgent_count
        self._batch_rows = batch_rows
        self._most_waiting = most_waiting
        self._desk = Desk(self.path, clock)
        try:
            self._latest = self._desk.tables.latest()
            self._committed_bookmarks = self._desk.tables.bookmarks()
            self._marks = self._desk.tables.marks()
        except (apsw.Error, OSError) as error:
            self._desk.tables.close()
            raise unusable(self.path, error) from error
        self._bookmarks = dict(self._committed_bookmarks)
        self._desk.opened = self._file_opened
        self._waiting: deque[Added] = deque()
        self._waiting_rows = self._urgent_waiting = 0
        self._last_urgent_s = 0.0
        self._quiet_reserve = float(QUIET_RESERVE)
        self._reserve_counted_s = clock.monotonic()
        self._retry_at_s: float | None = None
        self._retry_wait_s = RETRY_FIRST_S
        self._last_error: str | None = None
        self._said: set[str] = set()
        self._thinned = Thinned(clock.monotonic)
        self._wake = asyncio.Event()
        self._committing = asyncio.Lock()
        self._counts = Counts()
        self._closed = False
        self._upkeep = Upkeep(
            self._desk,
            clock,
            self._counts,
            retention=None if retention_days is None else timedelta(days=retention_days),
            max_bytes=max_bytes,
        )
        self._upkeep.room_again = self._room_again

    def _file_opened(self, tables: Tables) -> None:
        """Take over what is in a file that could not be opened at the start."""
        for resource_id, newest in tables.latest().items():
            held = self._latest.setdefault(resource_id, {})
            for quantity, reading in newest.items():
                if quantity not in held or held[quantity].time < reading.time:
                    held[quantity] = reading
        self._committed_bookmarks = tables.bookmarks()
        self._bookmarks = self._committed_bookmarks | self._bookmarks
        self._marks = tables.marks()

    # ---- taking readings

    def add(
        self, readings: Sequence[Reading], *, bookmarks: Mapping[str, str] | None = None, urgent: bool = False
    ) -> asyncio.Future[None]:
        """Take readings into the next commit; the future is done when they survive a power cut."""
        if self._closed:
            raise StoreError(rdg.CLOSED(), subject=str(self.path))
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if bookmarks:
            for text in (*bookmarks.keys(), *bookmarks.values()):
                text.encode()  # a text that cannot be stored is its giver's mistake, not a failing disk
        good = [reading for reading in readings if not self._refuses(reading)]
        if not good and not bookmarks:
            future.set_result(None)
            return future
        for reading in good:
            self._note_latest(reading)
        bookmarks = dict(bookmarks or {})
        self._bookmarks.update(bookmarks)
        now_s = self._clock.monotonic()
        lonely_before = self._urgent_waiting < 2
        self._waiting.append(Added(good, bookmarks, urgent, now_s, future))
        self._waiting_rows += len(good)
        if urgent:
            self._urgent_waiting += messages(good)
            self._last_urgent_s = now_s
        self._keep_bound()
        # Wake the committing task only where its next moment may have come nearer, not per message.
        due = self._waiting_rows >= self._batch_rows or self._urgent_waiting >= self._urgent_count
        if due or len(self._waiting) == 1 or (lonely_before and self._urgent_waiting >= 2):
            self._wake.set()
        return future

    def set_aside(self, found: Sequence[Aside]) -> None:
        """Quarantine readings with the next commit, for inspection."""
        if found and not self._closed:
            future = asyncio.get_running_loop().create_future()
            self._waiting.append(Added((), {}, False, self._clock.monotonic(), future, found))
            self._wake.set()

    def _refuses(self, reading: Reading) -> bool:
        reason = refusal(reading)
        if reason is None:
            return False
        self._counts.refused += 1
        self._counts.last_refused.append(Reject(named(reading), str(reason)))
        if named(reading) not in self._said:
            self._said.add(named(reading))
            said = rdg.SKIPPED(name=foreign(named(reading)), reason=reason)
            line = self._thinned.line(code_of(reason), said)
            if line is not None:
                log.warning(line)
        return True

    def _note_latest(self, reading: Reading) -> None:
        newest = self._latest.get(reading.resource_id)
        if newest is None:
            newest = self._latest[reading.resource_id] = {}
        known = newest.get(reading.quantity)
        # Of one millisecond the later given is stored.
        if known is None or known.time <= reading.time or to_millisecond(known).time <= reading.time:
            newest[reading.quantity] = reading

    def _keep_bound(self) -> None:
        """Let the oldest readings go when a failing disk has let too many gather; urgent ones last."""
        while self._waiting_rows > self._most_waiting and len(self._waiting) > 1:
            oldest = next((added for added in self._waiting if not added.urgent), self._waiting[0])
            self._waiting.remove(oldest)
            self._uncount(oldest)
            self._counts.dropped += len(oldest.readings)
            fail(oldest.future, StoreError(rdg.NO_ROOM(), subject=str(self.path)))

    def _uncount(self, added: Added) -> None:
        self._waiting_rows -= len(added.readings)
        if added.urgent:
            self._urgent_waiting -= messages(added.readings)

    # ---- committing

    async def run(self) -> None:
        """Commit whenever it is due, and keep the file in shape, until cancelled or closed."""
        upkeep = asyncio.create_task(self._upkeep.run(), name="readings upkeep")
        try:
            while not self._closed:
                self._wake.clear()
                due_s = self._due_in_s()
                if due_s is not None and due_s <= 0:
                    await self._commit(raises=False)
                    continue
                await self._wait(due_s)
        finally:
            upkeep.cancel()
            await asyncio.wait([upkeep])

    async def _wait(self, seconds: float | None) -> None:
        """Wait for `seconds`, or until something is added."""
        if seconds is None:
            await self._wake.wait()
            return
        woken = asyncio.ensure_future(self._wake.wait())
        slept = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait((woken, slept), return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
            slept.cancel()

    def _due_in_s(self) -> float | None:
        """Return the seconds until the next commit is due; None when nothing waits."""
        if not self._waiting:
            return None
        now_s = self._clock.monotonic()
        if self._retry_at_s is not None:
            return self._retry_at_s - now_s
        if self._waiting_rows >= self._batch_rows or self._urgent_waiting >= self._urgent_count:
            return 0.0
        due_s = self._waiting[0].since_s + self._commit_period_s - now_s
        if self._urgent_waiting >= 2 and self._quiet_commits(now_s) >= 1:
            due_s = min(due_s, self._last_urgent_s + QUIET_S - now_s)
        return due_s

    def _quiet_commits(self, now_s: float) -> float:
        """Return how many commits the quiet rule may still make; one more comes with each period."""
        earned = (now_s - self._reserve_counted_s) / self._commit_period_s
        self._quiet_reserve = min(QUIET_RESERVE, self._quiet_reserve + earned)
        self._reserve_counted_s = now_s
        return self._quiet_reserve

    async def _commit(self, *, raises: bool) -> None:
        async with self._committing:
            batch = list(self._waiting)
            if not batch:
                return
            if self._urgent_waiting < self._urgent_count and self._waiting_rows < self._batch_rows:
                now_s = self._clock.monotonic()
                if now_s - batch[0].since_s < self._commit_period_s:
                    self._quiet_reserve = max(0.0, self._quiet_commits(now_s) - 1)
            try:
                rows = await self._write(batch)
            except (apsw.Error, OSError, StoreError) as error:
                failure = error if isinstance(error, StoreError) else unusable(self.path, error)
                self._after_failure(failure)
                if isinstance(error, apsw.FullError):
                    await self._make_room()
                if raises:
                    raise failure from error
            else:
                self._after_commit(batch, rows)

    async def _write(self, batch: Sequence[Added]) -> Mapping[str, int]:
        now = self._clock.now()
        readings = [reading for added in batch for reading in added.readings]
        bookmarks = {key: value for added in batch for key, value in added.bookmarks.items()}
        aside = [one for added in batch for one in added.aside]
        rows = await self._desk.on_writer(
            lambda tables: tables.write(readings, bookmarks, now=now, aside=aside)
        )
        self._committed_bookmarks.update(bookmarks)
        return rows

    async def _make_room(self) -> None:
        """Delete old history when the disk is full, to make room in the file for new readings."""
        try:
            freed = await self._upkeep.survive_full_disk()
        except (apsw.Error, OSError, StoreError):
            return  # not even room to let go: the next commit that fails tries again
        self._counts.pruned += freed
        message = rdg.FULL_PRUNED if freed else rdg.FULL_RESERVE
        if message.code not in self._said:
            self._said.add(message.code)
            report = self._desk.say if freed else self._desk.problems.extend  # the log has the failure itself
            report([with_code(message(path=self.path))])

    def _room_again(self) -> None:
        self._take_back(rdg.FULL_RESERVE)
        self._take_back(rdg.FULL_PRUNED)

    def _take_back(self, message: Message) -> None:
        """Take a problem back whose cause is gone; it is reported again when it comes again."""
        self._said.discard(message.code)
        self._desk.problems[:] = [one for one in self._desk.problems if f"[{message.code}]" not in one]

    async def upkeep(self) -> None:
        """Do all that is due to keep the file in shape, which `run()` does by and by."""
        while await self._upkeep.step():
            pass

    def _after_commit(self, batch: Sequence[Added], rows: Mapping[str, int]) -> None:
        stored = set(map(id, batch))
        self._waiting = deque(added for added in self._waiting if id(added) not in stored)
        self._recount()
        self._counts.commits += 1
        self._counts.readings += sum(rows.values())
        self._counts.rows.update(rows)
        self._marks.add(
            (one.resource_id, one.mark, to_ms(one.time))
            for added in batch
            for one in added.readings
            if one.mark
        )
        for added in batch:
            if not added.future.done():
                added.future.set_result(None)
        if self._last_error is not None:
            log.info(rdg.COMMITS_AGAIN(path=self.path))
            self._last_error = None
            self._take_back(rdg.FULL_RESERVE)
        self._retry_at_s = None
        self._retry_wait_s = RETRY_FIRST_S

    def _after_failure(self, failure: StoreError) -> None:
        self._counts.failed_commits += 1
        if self._last_error is None:
            log.error(rdg.COMMIT_FAILED(error=failure))
        self._last_error = str(failure)
        self._retry_at_s = self._clock.monotonic() + self._retry_wait_s
        self._retry_wait_s = min(2 * self._retry_wait_s, RETRY_LONGEST_S)
        urgent = [added for added in self._waiting if added.urgent]
        self._waiting = deque(added for added in self._waiting if not added.urgent)
        self._recount()
        # What failed will be given again from the bookmark that was committed.
        self._bookmarks = dict(self._committed_bookmarks)
        for added in self._waiting:
            self._bookmarks.update(added.bookmarks)
        for added in urgent:
            fail(added.future, failure)

    def _recount(self) -> None:
        self._waiting_rows = sum(len(added.readings) for added in self._waiting)
        self._urgent_waiting = sum(messages(added.readings) for added in self._waiting if added.urgent)

    async def flush(self) -> None:
        """Commit what was added so far; StoreError when that cannot be done now."""
        await self._commit(raises=True)

    # ---- reading

    def is_stored(self, resource_id: str, mark: int) -> bool:
        """Return whether a message, known by the mark of its readings, is committed for a resource."""
        return self._marks.has(resource_id, mark)

    def bookmark(self, key: str) -> str | None:
        """Return the bookmark last committed or added under `key`."""
        return self._bookmarks.get(key)

    async def latest(self, resource_id: str) -> dict[str, Reading]:
        """Return the newest reading of each quantity, whether committed yet or not."""
        return self.newest(resource_id)

    def newest(self, resource_id: str) -> dict[str, Reading]:
        """Return what `latest` returns, without waiting: it is held in memory."""
        found = self._latest.get(resource_id, {})
        return {quantity: to_millisecond(reading) for quantity, reading in found.items()}

    async def window(self, resource_id: str, start: datetime, end: datetime) -> dict[str, list[Reading]]:
        """Return one resource's committed readings by quantity, with their neighbours."""
        return (await self.windows([resource_id], start, end))[resource_id]

    async def windows(self, resource_ids: Sequence[str], start: datetime, end: datetime) -> Found:
        """Return `window` for many resources at once: the file is read once for all of them."""
        newest = self._desk.tables.newest
        return await self._on_reader(lambda tables: tables.windows(resource_ids, start, end, newest))

    async def tracks(self, ids: Sequence[str], start: datetime, end: datetime, at_once: int) -> FoundTracks:
        """Return `windows` in columns, of `at_once` resources or the number that fits into memory."""
        newest = self._desk.tables.newest
        return await self._on_reader(lambda tables: tables.tracks(ids, start, end, newest, at_once))

    async def quarters(
        self, resource_ids: Sequence[str], start: datetime, end: datetime
    ) -> dict[str, dict[str, list[Quarter]]]:
        """Return what resources did in the quarters of an hour within start..end, by resource and quantity.

        They are kept when the readings themselves are gone; the newest ones are made of committed readings.
        """
        return await self._on_reader(lambda tables: tables.quarters(resource_ids, start, end))

    async def _on_reader(self, work: Callable[[Tables], T]) -> T:
        def read(tables: Tables) -> T:
            tables.learn_series()
            return work(tables)

        if self._closed:
            raise StoreError(rdg.CLOSED(), subject=str(self.path))
        return await self._desk.on_reader(read)

    def stats(self) -> StoreStats:
        """Return what the store did since it was opened."""
        counts = self._counts
        return StoreStats(
            readings=counts.readings,
            waiting=self._waiting_rows,
            series=sum(len(newest) for newest in self._latest.values()),
            commits=counts.commits,
            failed_commits=counts.failed_commits,
            refused=counts.refused,
            dropped=counts.dropped,
            pruned=counts.pruned,
            file_bytes=self._desk.tables.size(),
            last_error=self._last_error,
            last_refused=tuple(counts.last_refused),
            compressed=counts.compressed,
            problems=tuple(self._desk.problems),
            rows=dict(counts.rows),
        )

    async def close(self) -> None:
        """Commit and let go of the file; StoreError when the last commit failed. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self._wake.set()
        try:
            await self._commit(raises=True)
            with suppress(apsw.Error, OSError):
                await self._upkeep.note_wear()
        except StoreError as failure:
            self._counts.dropped += self._waiting_rows
            for added in self._waiting:
                fail(added.future, failure)
            raise
        finally:
            self._waiting.clear()
            await self._desk.close()
