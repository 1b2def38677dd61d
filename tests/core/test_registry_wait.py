"""Waiting at the start for a registry that is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest

from venclient.clock import ManualClock
from venclient.errors import RegistryError
from venclient.messages import code_of
from venclient.registry_wait import FIRST_REST_S, LONGEST_REST_S, when_reachable

AWAY = RegistryError("the server is away", transient=True)
REFUSED = RegistryError("the login was refused")


class Opener:
    """A registry that fails as `failures` say, and answers afterwards."""

    def __init__(self, *failures: RegistryError) -> None:
        self._failures: Iterator[RegistryError] = iter(failures)
        self.looks = 0

    def look(self) -> None:
        """Fail with the next failure, if there is one."""
        self.looks += 1
        if failure := next(self._failures, None):
            raise failure


class Rests(ManualClock):
    """A clock whose sleepers wake at once; `rests` are how long they wanted to sleep."""

    def __init__(self) -> None:
        super().__init__()
        self.rests: list[float] = []
        self.asleep = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Record the rest."""
        self.rests.append(seconds)
        self.asleep.set()
        await asyncio.sleep(0)


class StandingStill(Rests):
    """A clock whose sleepers never wake."""

    async def sleep(self, seconds: float) -> None:
        """Wait until cancelled."""
        self.asleep.set()
        await asyncio.Event().wait()


def codes(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the codes of what was logged."""
    return [code_of(record.msg) for record in caplog.records if record.name == "venclient.gateway"]


async def test_a_registry_that_is_away_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    """The gateway is built with the first answer; the log has one line at the begin and one at the end."""
    caplog.set_level(logging.INFO)
    opener, clock = Opener(*[AWAY] * 8), Rests()

    assert await when_reachable(opener.look, lambda: "gateway", clock) == "gateway"
    assert clock.rests == [FIRST_REST_S * 2**n for n in range(5)] + [LONGEST_REST_S] * 3
    assert opener.looks == 9
    assert codes(caplog) == ["VEN-GWY-024", "VEN-GWY-025"]


async def test_a_failure_while_building_is_waited_for_as_well() -> None:
    """The registry may go away between the look and the gateway's own opening."""
    building = Opener(AWAY)
    await when_reachable(Opener().look, building.look, Rests())

    assert building.looks == 2


async def test_a_refused_login_ends_the_start_at_once() -> None:
    """Waiting does not help there."""
    opener = Opener(REFUSED)
    with pytest.raises(RegistryError) as caught:
        await when_reachable(opener.look, lambda: None, ManualClock())

    assert (caught.value, opener.looks) == (REFUSED, 1)


async def test_the_wait_ends_when_the_program_is_stopped() -> None:
    """SIGTERM cancels the task."""
    opener, clock = Opener(*[AWAY] * 8), StandingStill()
    work = asyncio.create_task(when_reachable(opener.look, lambda: None, clock))
    await clock.asleep.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work

    assert opener.looks == 1
