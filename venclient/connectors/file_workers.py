"""Threads that touch meter files, and nothing else: a file system that hangs stops only its own files.

    look --> queue --> one of MOST_WORKERS threads --> result
                       no answer within the limit: the thread is abandoned, another takes its place,
                       and no thread looks into that folder until the abandoned one returns

Threads are daemons: the process ends without waiting for one that hangs in the kernel.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from venclient.errors import ConnectFailed
from venclient.messages import files as fil

T = TypeVar("T")

MOST_WORKERS = 4
#: Abandoned threads, of different folders; with more of them no file is read.
MOST_ABANDONED = 64


class _Job:
    """Work for one thread, and where its result goes."""

    def __init__(self, folder: Path, work: Callable[[], Any]) -> None:
        self.folder = folder
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()
        self._work = work
        #: Both under the lock of the workers.
        self.is_running = False
        self.is_abandoned = False

    def do(self) -> None:
        """Do the work and hand over what it returns or raises, if the caller still waits."""
        result: Any = None
        failure: BaseException | None = None
        try:
            result = self._work()
        except BaseException as error:  # noqa: BLE001 (the caller gets it)
            failure = error
        with suppress(RuntimeError):  # the loop has ended
            self.loop.call_soon_threadsafe(self._settle, result, failure)

    def _settle(self, result: Any, failure: BaseException | None) -> None:
        if self.future.done():
            return
        if failure is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(failure)


class FileWorkers:
    """At most `most` threads that work at a time, besides those that hang."""

    def __init__(self, most: int = MOST_WORKERS, most_abandoned: int = MOST_ABANDONED) -> None:
        self._most = most
        self._most_abandoned = most_abandoned
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._threads = 0
        self._unfinished = 0
        self._hanging: Counter[Path] = Counter()

    @property
    def abandoned(self) -> int:
        """How many threads hang."""
        return self._hanging.total()

    async def run(self, folder: Path, work: Callable[[], T], *, within_s: float) -> T:
        """Return what `work` returns; what it raises comes through.

        ConnectFailed when it does not end within `within_s` seconds, and at once while earlier work in that
        folder still hangs. Cancelled work is abandoned as well.
        """
        self._check(folder)
        job = _Job(folder, lambda: self._checked(folder, work))
        self._take(job)
        try:
            async with asyncio.timeout(within_s):
                result: T = await job.future
        except TimeoutError:
            if job.future.done() and not job.future.cancelled():
                raise  # the work's own
            raise ConnectFailed(fil.HANGS(path=folder), subject=str(folder)) from None
        finally:
            if not job.future.done() or job.future.cancelled():
                self._abandon(job)
        return result

    def _check(self, folder: Path) -> None:
        if self._hanging[folder] or self.abandoned >= self._most_abandoned:
            raise ConnectFailed(fil.HANGS(path=folder), subject=str(folder))

    def _checked(self, folder: Path, work: Callable[[], T]) -> T:
        self._check(folder)  # it may have begun to hang while this waited for a thread
        return work()

    def _take(self, job: _Job) -> None:
        with self._lock:
            self._jobs.put(job)
            self._unfinished += 1
            self._add_thread()

    def _add_thread(self) -> None:
        if self._threads < min(self._most, self._unfinished):
            self._threads += 1
            threading.Thread(target=self._serve, name="meter files", daemon=True).start()

    def _abandon(self, job: _Job) -> None:
        with self._lock:
            if job.is_abandoned:
                return
            job.is_abandoned = True
            if job.is_running:
                self._hanging[job.folder] += 1
                self._threads -= 1
                self._unfinished -= 1
                self._add_thread()

    def _serve(self) -> None:
        while True:
            job = self._jobs.get()
            with self._lock:
                if job.is_abandoned:
                    self._unfinished -= 1
                    continue
                job.is_running = True
            job.do()
            if not self._is_kept(job):
                return  # another thread took its place

    def _is_kept(self, job: _Job) -> bool:
        """Note that work has ended; return False if it was abandoned meanwhile."""
        with self._lock:
            if job.is_abandoned:
                self._hanging[job.folder] -= 1
                return False
            self._unfinished -= 1
            # `_abandon` may come while the result is on its way: nothing hangs then.
            job.is_abandoned = True
            return True


#: Of all meter files of the process.
WORKERS = FileWorkers()
