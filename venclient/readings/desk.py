"""Where work on the readings file is done: one thread that writes, one that reads, beside the event loop.

The writer never waits for a long read, and no connection is used twice at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import apsw

from venclient.clock import Clock
from venclient.errors import StoreError
from venclient.messages import readings as rdg
from venclient.messages import with_code
from venclient.readings.layout import unusable
from venclient.readings.pending import to_the_end
from venclient.readings.reserve import Reserve
from venclient.readings.salvage import is_damage, open_or_renew, renew
from venclient.readings.tables import Tables, empty_tables, open_tables
from venclient.sqlite_file import is_full

T = TypeVar("T")

log = logging.getLogger(__name__)


class Desk:
    """The open file with its two threads; StoreError when it cannot be opened."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        #: Problems that the operator has to know; also in the log.
        self.problems: list[str] = []
        #: Why the file cannot be opened yet; None when it is open.
        self.absent: StoreError | None = None
        #: Called with tables whose file could be opened at last.
        self.opened: Callable[[Tables], None] = lambda _: None
        try:
            self.tables, self._reader, said = self._open()
        except StoreError as error:
            if not is_full(error, path):
                raise
            self.absent = error
            self.tables, self._reader = empty_tables(path), empty_tables(path)
            said = [with_code(rdg.FULL_AT_START(path=path))]
        self.say(said)
        self._write_thread = ThreadPoolExecutor(1, "readings-write")
        self._read_thread = ThreadPoolExecutor(1, "readings-read")
        self._damage: BaseException | None = None

    def _open(self) -> tuple[Tables, Tables, list[str]]:
        """Return the tables to write and to read; on a full disk the reserve is given back first."""
        try:
            tables, said = open_or_renew(self.path, self._clock.now())
        except StoreError as error:
            if not is_full(error, self.path) or not Reserve(self.path).give():
                raise
            tables, said = open_or_renew(self.path, self._clock.now())
        try:
            return tables, open_tables(self.path, read_only=True), said
        except BaseException:
            tables.close()
            raise

    async def _open_again(self) -> None:
        """Open the file that had no room at the start; StoreError while there is still none."""
        tables, reader, said = await self._do(self._write_thread, self._open)
        if self.absent is None:
            tables.close()
            reader.close()
            return
        self.tables, self._reader, self.absent = tables, reader, None
        self.opened(tables)
        self.problems.clear()
        self.problems.extend(said)
        log.info(rdg.OPENED_LATE(path=self.path))

    async def on_writer(self, work: Callable[[Tables], T]) -> T:
        """Run work on the writing thread and return its result; SQLite's errors are raised as apsw.Error.

        Work that has begun runs to its end even when its task is cancelled: the file is then free for
        the last commit. After damage, the file is renamed first, and a fresh one started.
        """
        if self.absent is not None:
            await self._open_again()
        if self._damage is not None:
            await self._renew(self._damage)
        try:
            return await self._do(self._write_thread, lambda: work(self.tables))
        except (apsw.Error, StoreError) as error:
            self._note_damage(error)
            raise

    async def on_reader(self, work: Callable[[Tables], T]) -> T:
        """Run work on the reading thread and return its result; StoreError when the file cannot be read."""
        if self.absent is not None:
            raise self.absent
        try:
            return await self._do(self._read_thread, lambda: work(self._reader))
        except (apsw.Error, OSError, StoreError) as error:
            self._note_damage(error)
            if isinstance(error, StoreError):
                raise
            raise unusable(self.path, error) from error

    @staticmethod
    async def _do(thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await to_the_end(asyncio.get_running_loop().run_in_executor(thread, work))

    def _note_damage(self, error: BaseException) -> None:
        if is_damage(error):
            self._damage = error

    async def _renew(self, damage: BaseException) -> None:
        self._damage = None
        try:
            await self._do(self._read_thread, self._reader.close)
            await self._do(self._write_thread, self.tables.close)
            now = self._clock.now()
            self.tables, said = await self._do(self._write_thread, lambda: renew(self.path, now, damage))
            self.say(said)
            self._reader = await self._do(self._read_thread, lambda: open_tables(self.path, read_only=True))
        except BaseException:
            self._damage = damage  # the next work tries again
            raise

    def say(self, said: Sequence[str]) -> None:
        """Report problems to the operator."""
        for problem in said:
            log.error(problem)
        self.problems.extend(said)

    async def close(self) -> None:
        """Let go of the file and end both threads."""
        for thread, close in (
            (self._read_thread, self._reader.close),
            (self._write_thread, self.tables.close),
        ):
            await self._do(thread, close)
            thread.shutdown(wait=False)
