"""Notices when the event loop is blocked, and names the step that blocks it.

The loop beats now and then; a thread looks whether it does. When it does not, the thread reads the stack of
the loop's thread: a step is the task's name and the innermost place in this package.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from venclient.messages import Text
from venclient.messages import gateway as gwy
from venclient.messages.printable import foreign

log = logging.getLogger("venclient.gateway")

BEAT_S = 0.5
#: A loop that has not beaten for so long is blocked.
BLOCKED_S = 5.0
_PACKAGE = Path(__file__).parent


class Watchdog:
    """Watches the loop that runs `run`; `hear` is called when a block begins (in the watching thread).

    `blocks` counts them, and `last` says where the last one was.
    """

    def __init__(
        self,
        hear: Callable[[Text], None] = lambda _: None,
        *,
        blocked_s: float = BLOCKED_S,
        beat_s: float = BEAT_S,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self.blocks = 0
        self.last: Text | None = None
        self._hear = hear
        self._blocked_s = blocked_s
        self._beat_s = beat_s
        self._seconds = seconds
        self._beaten_s = seconds()
        self._looked_s = self._beaten_s
        self._since_s: float | None = None
        self._ended = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread_id = 0

    async def run(self) -> None:
        """Beat until cancelled, with a thread that listens."""
        self._loop = asyncio.get_running_loop()
        self._thread_id = threading.get_ident()
        self.beat()
        thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        thread.start()
        try:
            while True:
                await asyncio.sleep(self._beat_s)
                self.beat()
        finally:
            self._ended.set()

    def beat(self) -> None:
        """Note that the loop runs."""
        self._beaten_s = self._seconds()

    def _watch(self) -> None:
        while not self._ended.wait(self._beat_s):
            self.look()

    def look(self) -> None:
        """Look whether the loop still beats; say when it has stopped, and when it goes on."""
        now_s = self._seconds()
        # A machine that slept, or a process that was stopped, has not been blocked by a step of ours.
        asleep = now_s - self._looked_s > self._blocked_s
        self._looked_s = now_s
        silent_s = now_s - self._beaten_s
        if silent_s < self._blocked_s:
            if self._since_s is not None:
                log.warning(gwy.LOOP_RUNS(seconds=self._beaten_s - self._since_s, step=self.last or ""))
                self._since_s = None
        elif self._since_s is None and not asleep:
            self._since_s = self._beaten_s
            self.blocks += 1
            self.last = self.step()
            said = gwy.LOOP_BLOCKED(seconds=silent_s, step=self.last)
            log.error(said)
            self._hear(said)

    def step(self) -> Text:
        """Return what the loop's thread is doing."""
        task = asyncio.current_task(self._loop) if self._loop else None
        frame = sys._current_frames().get(self._thread_id)
        place = _place(frame)
        return gwy.LOOP_STEP(task=foreign(task.get_name()) if task else gwy.NO_TASK(), place=place)


def _place(frame: FrameType | None) -> str:
    """Return the innermost place of a stack that is in this package, else the innermost of all."""
    innermost = frame
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(_PACKAGE) and path != Path(__file__):
            return f"{path.relative_to(_PACKAGE.parent)}:{frame.f_lineno} {frame.f_code.co_qualname}"
        frame = frame.f_back
    return innermost.f_code.co_qualname if innermost is not None else "-"
