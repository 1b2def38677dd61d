"""Whatever happens on the way, InfluxDB has in the end what the journal has and its bucket keeps."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Literal, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.influx import MemoryInflux
from tests.readings.influx_bench import AWAY, NOON, Bench, at
from venclient.readings.series import to_ms

KEEPS = timedelta(hours=3)
BUCKETS = ("first", "second")


class Put(NamedTuple):
    """Readings that are stored together, at these seconds after noon."""

    seconds: tuple[int, ...]
    resource: str


Step = Put | Literal["step", "drain", "crash", "away", "back", "move", "save", "wait"]

#: Most are older than the bucket keeps or come late; a few are from the future.
SECONDS = st.integers(-4 * 3600, 600)
PUTS = st.builds(
    Put, st.lists(SECONDS, min_size=1, max_size=40).map(tuple), st.sampled_from(["hotel", "bar"])
)
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    PUTS | st.sampled_from(["step", "drain", "crash", "away", "back", "move", "save", "wait"]), max_size=25
)


class History:
    """A site that lives through the steps, with what it stored."""

    def __init__(self, folder: Path, *, batch: int, retention: bool) -> None:
        self.bench = Bench(folder)
        self.buckets = {name: MemoryInflux(name, KEEPS if retention else None) for name in BUCKETS}
        self.stored: dict[tuple[str, int], float] = {}
        self.batch = batch
        self.started = self.bench.clock.now()
        self.use(BUCKETS[0])

    def use(self, bucket: str) -> None:
        """Go on with a bucket."""
        self.bench.influx = self.buckets[bucket]
        self.bench.forwarder = self.bench.make(self.batch)

    async def do(self, step: Step) -> None:
        """Live through one step."""
        bench, forwarder = self.bench, self.bench.forwarder
        if isinstance(step, Put):
            value = float(len(self.stored))
            await bench.put(*[at(one, value + n, step.resource) for n, one in enumerate(step.seconds)])
            for n, one in enumerate(step.seconds):
                self.stored[step.resource, to_ms(NOON) + 1000 * one] = value + n
        elif step in ("step", "wait"):
            await bench.turn(5 if step == "step" else 70)
        elif step == "drain":
            await forwarder.drain()
        elif step == "save":
            forwarder.save()
        elif step == "crash":
            await bench.again()
            bench.forwarder = bench.make(self.batch)
        elif step == "move":
            forwarder.save()
            await bench.journal.flush()
            self.use(next(name for name in BUCKETS if self.buckets[name] is not bench.influx))
        else:
            for influx in self.buckets.values():
                influx.down = AWAY if step == "away" else None

    async def end(self) -> None:
        """Let InfluxDB be there until all is sent, and look at what it has of what it keeps."""
        await self.do("back")
        await self.bench.clock.advance(3700)  # whatever was too old is asked about again
        await self.bench.forwarder.drain()
        status = self.bench.forwarder.status()
        assert (status["behind"], status["state"]) == (0, "ok")
        there = {key: fields["power_kw"] for key, fields in self.bench.influx.points.items()}
        keeps = self.bench.influx.keeps
        # What was young enough at the start may be too old by the end; what is young at the end never was.
        first = 0 if keeps is None else to_ms(self.bench.clock.now() - keeps)
        young = {key: value for key, value in self.stored.items() if key[1] >= first}
        assert {key: there.get(key) for key in young} == young
        assert there.items() <= self.stored.items() or keeps is not None
        await self.bench.journal.close()


def live_through(steps: list[Step], *, batch: int, retention: bool) -> None:
    """Do the steps, and check the end."""

    async def live() -> None:
        with tempfile.TemporaryDirectory() as folder:
            history = History(Path(folder), batch=batch, retention=retention)
            for step in steps:
                await history.do(step)
            await history.end()

    asyncio.run(live())


@given(STEPS, st.sampled_from([3, 10, 5000]))
def test_without_a_retention_all_of_the_journal_arrives(steps: list[Step], batch: int) -> None:
    """Late readings, corrections, crashes, outages and another bucket, in any order."""
    live_through(steps, batch=batch, retention=False)


@given(STEPS, st.sampled_from([3, 10, 5000]))
def test_with_a_retention_all_that_is_young_arrives(steps: list[Step], batch: int) -> None:
    """Refusals, and the newest first after them, leave nothing out that the bucket keeps."""
    live_through(steps, batch=batch, retention=True)
