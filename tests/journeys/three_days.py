"""The reporting and client stages of a gateway in a process to be killed, on a clock that its parent turns.

The parent says `start AT` to a process that has loaded everything; that one forks a worker, which works
at AT and says so, and goes on after `go POINTS`: at the POINTS-th point of the outbox's code from
there on (0: none) it kills itself with SIGKILL. The points are before and after each commit and request.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from venclient.client import VenClient, VtnAccount
from venclient.errors import VenError
from venclient.model.reading import INTERVAL_ENERGY_KWH, Measure, Reading
from venclient.openadr.objects import Report
from venclient.readings.measures import measures
from venclient.readings.sqlite import SqliteReadings
from venclient.reporting.delivery import Reporter, ReportOptions
from venclient.reporting.eventbook import EventBook
from venclient.reporting.lateness import LateWatch
from venclient.reporting.outbox import Outbox
from venclient.reporting.targets import Reportable

RESOURCES = 200
QUARTER = timedelta(minutes=15)
START = datetime.fromisoformat("2026-03-02T00:00:00Z")
DAYS = 3
#: These meters' readings of these hours of the second day come when the day is over.
LATE_METERS = range(10, 15)
LATE_FROM, LATE_TO = START + timedelta(hours=30), START + timedelta(hours=32)
LATE_AT = START + timedelta(hours=49)
SECRET = "three-days"


def name(number: int) -> str:
    """Return a resource's id, which is its name as well."""
    return f"meter-{number:03}"


def kwh(number: int, end: datetime) -> float:
    """Return what a resource used in the quarter that ends at `end`."""
    return round(0.001 * (number + 1) + 0.01 * ((end - START) // QUARTER), 3)


def readings(numbers: Sequence[int], first: datetime, last: datetime) -> list[Reading]:
    """Return the quarters' readings that end after `first` and until `last`."""
    ends = [first + n * QUARTER for n in range(1, (last - first) // QUARTER + 1)]
    return [
        Reading(name(number), INTERVAL_ENERGY_KWH, kwh(number, end), end)
        for end in ends
        for number in numbers
    ]


class TurnedClock:
    """A clock that its owner turns; `sleep` turns it on."""

    def __init__(self, start: datetime) -> None:
        self._now = self._start = start

    def now(self) -> datetime:
        """Return the time that it was turned to."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds since the process began."""
        return (self._now - self._start).total_seconds()

    async def sleep(self, seconds: float) -> None:
        """Turn it on."""
        self._now += timedelta(seconds=max(0.0, seconds))
        await asyncio.sleep(0)

    def turn_to(self, moment: datetime) -> None:
        """Turn it to a moment, if that lies ahead."""
        self._now = max(self._now, moment)


class Fate:
    """Kills this process, as `kill -9` does, at the point that was drawn."""

    left = 0

    @classmethod
    def point(cls) -> None:
        """Pass a point."""
        if cls.left:
            cls.left -= 1
            if not cls.left:
                os.kill(os.getpid(), signal.SIGKILL)


class PointedOutbox(Outbox):
    """The outbox, with a point before and after each commit."""

    depth = 0

    @contextmanager
    def change(self) -> Iterator[None]:
        """Make a commit."""
        with super().change():
            PointedOutbox.depth += 1
            try:
                yield
            finally:
                PointedOutbox.depth -= 1
            Fate.point()
        Fate.point()

    def commit(self) -> None:
        """End a commit."""
        Fate.point()
        super().commit()
        Fate.point()


class PointedClient(VenClient):
    """The client, with a point before and after each request on reports."""

    async def has_event(self, event_id: str) -> bool:
        return True

    async def create_report(self, report: Report) -> Report:
        """POST."""
        Fate.point()
        stored = await super().create_report(report)
        Fate.point()
        return stored

    async def update_report(self, report_id: str, report: Report) -> Report:
        """PUT."""
        Fate.point()
        stored = await super().update_report(report_id, report)
        Fate.point()
        return stored


def heard() -> list[str]:
    """Wait for a word of the parent."""
    line = sys.stdin.readline()
    if not line:
        os._exit(0)
    return line.split()


def say(*words: str) -> None:
    """Say something to the parent."""
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


async def work(folder: Path, url: str, at: datetime) -> None:
    """Report from `at` on, quarter by quarter, until the parent says `end`."""
    clock = TurnedClock(at)
    account = VtnAccount(
        url=url, client_id="ven-1", client_secret=SECRET, allow_http=True, timeout_s=5.0, retries=1
    )
    store = SqliteReadings(folder / "readings.db", clock)
    outbox, book = PointedOutbox(folder / "state.db"), EventBook(folder / "state.db")

    async def measure(
        ids: Sequence[str], grid: Sequence[tuple[datetime, datetime]]
    ) -> Mapping[tuple[str, datetime, datetime], Measure]:
        return await measures(store, ids, grid)

    async with PointedClient(account, clock, rng=random.Random(1)) as client:
        reporter = Reporter(
            outbox,
            book,
            client,
            measure,
            [Reportable(name(number), name(number)) for number in range(RESOURCES)],
            clock,
            ReportOptions(client_name="ven-1"),
            rng=random.Random(1),
        )
        watch = LateWatch(lambda: reporter.reported, lambda _: [])
        while True:
            say("at", clock.now().isoformat())
            word, *rest = heard()
            if word == "end":
                break
            Fate.left = int(rest[0])
            try:
                listing = await client.events()
                book.apply(listing.items, complete=listing.complete, now=clock.now())
            except VenError:
                pass  # faults are what this is about; the next quarter asks again
            if clock.now() >= LATE_AT and store.bookmark("late") is None:
                late = readings(LATE_METERS, LATE_FROM, LATE_TO)
                await reporter.late(watch.look(late))
                store.add(late, bookmarks={"late": "stored"})
                await store.flush()
            end = clock.now() + QUARTER
            while True:
                await reporter.step()
                due = reporter.next_due()
                if due is None or due >= end:
                    break
                clock.turn_to(max(due, clock.now() + timedelta(seconds=1)))
            clock.turn_to(end)
    await store.close()


def main() -> None:
    """Fork a worker each time that the parent says so."""
    folder, url = Path(sys.argv[1]), sys.argv[2]
    while True:
        word, *rest = heard()
        if word == "quit":
            return
        worker = os.fork()
        if not worker:
            asyncio.run(work(folder, url, datetime.fromisoformat(rest[0])))
            os._exit(0)
        _, status = os.waitpid(worker, 0)
        say("ended", "killed" if os.WIFSIGNALED(status) else f"with {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main()
