"""A blocked event loop is noticed, and the step that blocks it is named."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Generator

import pytest

from venclient.messages import Text, code_of
from venclient.utils import to_the_end
from venclient.watchdog import Watchdog


class Seconds:
    """A monotonic clock to turn."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


async def test_block_is_said_once_when_it_begins_and_once_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """However long it lasts, there are two lines."""
    seconds = Seconds()
    heard_of: list[Text] = []
    dog = Watchdog(heard_of.append, blocked_s=5.0, seconds=seconds)
    with caplog.at_level(logging.WARNING):
        for now_s in (1, 3, 5, 6, 9, 13):
            seconds.now_s = now_s
            dog.look()
        dog.beat()
        dog.look()

    assert [code_of(record.msg) for record in caplog.records] == ["VEN-GWY-150", "VEN-GWY-151"]
    assert [code_of(said) for said in heard_of] == ["VEN-GWY-150"]


async def test_a_loop_that_beats_is_not_blocked(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is said while the loop runs."""
    seconds = Seconds()
    dog = Watchdog(blocked_s=5.0, seconds=seconds)
    for now_s in range(100):
        seconds.now_s = now_s
        dog.beat()
        dog.look()

    assert dog.blocks == 0
    assert caplog.records == []


async def test_a_machine_that_slept_was_not_blocked() -> None:
    """When the watching thread itself did not run, nothing is blamed."""
    seconds = Seconds()
    dog = Watchdog(blocked_s=5.0, seconds=seconds)
    dog.look()
    seconds.now_s = 3600
    dog.look()

    assert dog.blocks == 0


async def test_the_step_that_blocks_is_named() -> None:
    """The task and the place in our code are in the message."""
    heard = threading.Event()
    heard_of: list[Text] = []

    def hear(said: Text) -> None:
        heard_of.append(said)
        heard.set()

    dog = Watchdog(hear, blocked_s=0.05, beat_s=0.01)
    watching = asyncio.create_task(dog.run())
    await asyncio.sleep(0)

    def wait() -> Generator[None, None, bool]:
        yield
        return heard.wait(30)

    async def block() -> None:
        to_the_end(wait())

    await asyncio.create_task(block(), name="plan events")
    watching.cancel()

    assert "plan events" in heard_of[0]
    assert "venclient/utils.py" in heard_of[0]
    assert "to_the_end" in heard_of[0]
