"""Failures of many resources with one cause: a line when it begins, and a line when it ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.counted import steps
from venclient.clock import ManualClock
from venclient.connectors.outages import SILENT, UNREACHABLE, UNSTORED, Kind, Outages, Voice
from venclient.messages import code_of
from venclient.messages import connectors as con
from venclient.thinned import Thinned

MANY = 2_000


class Around:
    """Outages that are looked at by a manual clock, and the codes and words of what is logged."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        self.clock = ManualClock()
        self.outages = Outages(self.clock)
        self._caplog = caplog

    @property
    def codes(self) -> list[str]:
        return [code_of(record.msg) for record in self._caplog.records]

    @property
    def lines(self) -> list[str]:
        return [record.getMessage() for record in self._caplog.records]

    def voices(self, count: int, place: Callable[[int], str] = lambda _: "broker:1883") -> list[Voice]:
        return [self.outages.voice(f"Meter {n}", place(n)) for n in range(count)]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        work = asyncio.create_task(self.outages.run())
        try:
            yield
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


@pytest.fixture
def around(caplog: pytest.LogCaptureFixture) -> Around:
    return Around(caplog)


def fail(voice: Voice) -> None:
    """Let a resource become unreachable."""
    voice.begin(UNREACHABLE, con.UNREACHABLE(name=voice.name, reason="refused"), "refused")


def back(voice: Voice) -> None:
    """Let a resource come back."""
    voice.end(UNREACHABLE, con.BACK(name=voice.name, time="1 s", count=1))


async def test_a_stopped_broker_is_one_line_and_its_return_another(around: Around) -> None:
    """2,000 resources behind one broker: two lines with their number, the last with the duration."""
    voices = around.voices(MANY)
    async with around.running():
        for voice in voices:
            fail(voice)
        await around.clock.advance(600)
        for voice in voices:
            back(voice)
        await around.clock.advance(10)
    assert around.codes == ["VEN-CON-283", "VEN-CON-284"]
    assert all(f"{MANY} of {MANY}" in line and "broker:1883" in line for line in around.lines)
    assert "Meter 0, Meter 1, Meter 2 and 1997 more" in around.lines[0]
    assert "refused" in around.lines[0]
    assert "10 min" in around.lines[1]


async def test_one_resource_alone_has_its_own_lines(around: Around) -> None:
    """One of many resources at an endpoint fails: the lines name it."""
    voice, *_ = around.voices(20)
    async with around.running():
        fail(voice)
        await around.clock.advance(30)
        back(voice)
        await around.clock.advance(100)
    assert around.codes == ["VEN-CON-083", "VEN-CON-084"]
    assert all("Meter 0 " in line for line in around.lines)


async def test_those_that_stay_away_are_named_and_have_their_own_end(around: Around) -> None:
    """One unit stays dead when the gateway is back: the last line names it; its return is logged."""
    voices = around.voices(5)
    async with around.running():
        for voice in voices:
            fail(voice)
        await around.clock.advance(10)
        for voice in voices[1:]:
            back(voice)
        await around.clock.advance(120)
        assert "4 of 5" in around.lines[-1]
        assert "still unreachable: Meter 0" in around.lines[-1]
        back(voices[0])
        await around.clock.advance(120)
    assert around.codes == ["VEN-CON-283", "VEN-CON-284", "VEN-CON-084"]


async def test_many_hosts_behind_one_name_server_are_one_outage(around: Around) -> None:
    """2,000 hosts fail within a minute, each at its own time, and come back like that: 5 lines at most."""
    voices = around.voices(MANY, lambda n: f"meter{n}:502")
    async with around.running():
        for change in (fail, back):
            for n, voice in enumerate(voices):
                change(voice)
                if n % 50 == 49:
                    await around.clock.advance(1.5, settle=3)
            await around.clock.advance(600)
    assert 2 <= len(around.lines) <= 5
    assert "2000 endpoints" in around.lines[-1]
    assert f"{MANY} of {MANY}" in around.lines[-1]


async def test_a_failure_long_after_another_one_has_its_own_line(around: Around) -> None:
    """A unit is dead for days; when its gateway fails as well, that is logged."""
    first, *others = around.voices(10)
    async with around.running():
        fail(first)
        await around.clock.advance(3 * 86_400)
        for voice in others:
            fail(voice)
        await around.clock.advance(60)
    assert around.codes == ["VEN-CON-083", "VEN-CON-283"]
    assert "9 of 10" in around.lines[1]


async def test_an_outage_that_grows_is_logged_again(around: Around) -> None:
    """Resources that notice later join silently, until there are ten times as many."""
    voices = around.voices(100)
    async with around.running():
        for count in range(0, 100, 5):
            for voice in voices[count : count + 5]:
                fail(voice)
            await around.clock.advance(60)
    assert len(around.lines) == 2
    assert "5 of 100" in around.lines[0]
    assert "50 of 100" in around.lines[1]


async def test_a_failure_that_ends_before_its_line_is_logged_with_its_end(around: Around) -> None:
    """What lasts a second has both lines."""
    voices = around.voices(50)
    async with around.running():
        for voice in voices:
            fail(voice)
        for voice in voices:
            back(voice)
        await around.clock.advance(10)
    assert around.codes == ["VEN-CON-283", "VEN-CON-284"]


async def test_the_end_of_the_program_loses_no_line(around: Around) -> None:
    """What is gathered when the gateway stops is logged then."""
    async with around.running():
        for voice in around.voices(7):
            fail(voice)
        await around.clock.advance(0)
    assert around.codes == ["VEN-CON-283"]


async def test_resources_that_are_removed_are_not_back(around: Around) -> None:
    """A resource that the registry disables during an outage is forgotten; the others come back."""
    voices = around.voices(10)
    async with around.running():
        for voice in voices:
            fail(voice)
        await around.clock.advance(10)
        for voice in voices[:4]:
            voice.close()
        for voice in voices[4:]:
            back(voice)
        await around.clock.advance(10)
        for voice in voices[4:]:
            voice.close()
        await around.clock.advance(10)
    assert around.codes == ["VEN-CON-283", "VEN-CON-284"]
    assert "6 of 6" in around.lines[1]


@pytest.mark.parametrize(("kind", "codes"), [(SILENT, ("286", "287")), (UNSTORED, ("289", "290"))])
async def test_other_failures_are_gathered_too(around: Around, kind: Kind, codes: tuple[str, str]) -> None:
    """Silence behind one device gateway and readings that a full disk refuses are two lines each."""
    voices = around.voices(MANY, lambda n: f"host{n % 2}" if kind is UNSTORED else "host")
    async with around.running():
        for voice in voices:
            voice.begin(kind, con.NOT_STORED(name=voice.name, reason="full"), "full")
        await around.clock.advance(100)
        for voice in voices:
            voice.end(kind, con.STORED_AGAIN(name=voice.name))
        await around.clock.advance(100)
    assert around.codes == [f"VEN-CON-{code}" for code in codes]


def test_the_work_grows_with_the_number_of_resources() -> None:
    """Four times as many resources at their own places cost about four times the work."""

    def outage(count: int) -> None:
        outages = Outages(ManualClock())
        for voice in [outages.voice(f"m{n}", f"host{n}") for n in range(count)]:
            fail(voice)
        outages.look(to_the_end=True)

    few, many = steps(lambda: outage(100)), steps(lambda: outage(400))
    assert many < 6 * few


def test_of_lines_of_one_kind_few_are_logged() -> None:
    """The first three, the 30th, 300th ... are, with what was left out; after an hour it begins again."""
    seconds = [0.0]
    thinned = Thinned(lambda: seconds[0])
    lines = [line for n in range(MANY) if (line := thinned.line("bad row", f"row {n}")) is not None]
    assert [line.partition(" (")[0] for line in lines] == ["row 0", "row 1", "row 2", "row 29", "row 299"]
    assert "(26 lines" in lines[3]
    assert "(269 lines" in lines[4]
    seconds[0] = 3_600.0
    assert thinned.line("bad row", "row 1") == "row 1"


def test_forgetting_many_resources_takes_work_that_grows_with_their_number(around: Around) -> None:
    """A reload that drops resources of an outage does not look through all others for each of them."""

    def work(count: int) -> int:
        voices = around.voices(count)
        for voice in voices:
            voice.begin(UNREACHABLE, con.UNREACHABLE(name=voice.name, reason="away"), "away")

        def forget() -> None:
            for voice in voices:
                voice.close()

        return steps(forget)

    assert work(800) < 6 * work(200)
