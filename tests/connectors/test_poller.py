"""The poller: schedule, back-off, hand-over and what it logs, on a clock that tests turn."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venclient.clock import ManualClock
from venclient.connectors.base import Batch
from venclient.connectors.poller import LONGEST_BACKOFF_S, STOP_WITHIN_S, Poller, spread_phase
from venclient.errors import ConnectFailed, StoreError
from venclient.model.reading import Reading, Reject

# Seven seconds behind a slot of ten seconds.
START = datetime(2026, 1, 1, 12, 0, 7, tzinfo=UTC)
ADDRESS = "Hotel Ærø"


class Meter:
    """A reader whose answers a test sets; it notes when it was read."""

    def __init__(self, clock: ManualClock, interval_s: float | None = 10.0, timeout_s: float = 30.0) -> None:
        self.interval_s = interval_s
        self.timeout_s = timeout_s
        self.clock = clock
        self.reads: list[datetime] = []
        self.error: Exception | None = None
        self.takes_s = 0.0
        self.rejects: tuple[Reject, ...] = ()
        self.replayable = False
        self.backlog = 0
        self.acknowledged = 0
        self.closed = 0
        self.gate: asyncio.Event | None = None

    def acknowledge(self) -> None:
        self.acknowledged += 1

    async def read(self) -> Batch:
        """Return one reading of now, or raise."""
        self.reads.append(self.clock.now())
        if self.gate is not None:
            await self.gate.wait()
            self.gate.clear()
        if self.takes_s:
            await self.clock.sleep(self.takes_s)
        if self.error is not None:
            raise self.error
        reading = Reading("id", "power_kw", float(len(self.reads)), self.clock.now())
        self.backlog = max(0, self.backlog - 1)
        return Batch(
            [reading],
            self.rejects,
            acknowledge=self.acknowledge,
            replayable=self.replayable,
            more=self.backlog > 0,
        )

    async def close(self) -> None:
        self.closed += 1

    def seconds(self) -> list[float]:
        """Return when it was read, in seconds since noon."""
        noon = START.replace(second=0)
        return [(moment - noon).total_seconds() for moment in self.reads]


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock at seven seconds past noon."""
    return ManualClock(START)


@pytest.fixture
def meter(clock: ManualClock) -> Meter:
    """Return a meter that is polled every 10 s."""
    return Meter(clock)


class Store:
    """Takes batches, as long as nothing is wrong with it."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.attempts = 0
        self.error: Exception | None = None
        self.wait: Callable[[], Awaitable[None]] | None = None

    async def __call__(self, batch: Batch) -> None:
        self.attempts += 1
        if self.wait is not None:
            await self.wait()
        if self.error is not None:
            raise self.error
        self.batches.append(batch)


@pytest.fixture
def store() -> Store:
    """Return a store that takes everything."""
    return Store()


@asynccontextmanager
async def polling(meter: Meter, store: Store, *, phase_s: float = 0.0) -> AsyncIterator[Poller]:
    """Run a poller while the block runs."""
    poller = Poller(meter, name=ADDRESS, deliver=store, clock=meter.clock, phase_s=phase_s)
    task = asyncio.create_task(poller.run())
    try:
        yield poller
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


def state_of(poller: Poller) -> str:
    """Return the state as it is now."""
    return poller.health.state


async def test_a_meter_is_read_at_once_and_then_on_the_wall_clock(meter: Meter, store: Store) -> None:
    """Reads fall on :00, :10, :20 whenever the gateway was started."""
    async with polling(meter, store):
        await meter.clock.advance(25)
    assert meter.seconds() == [7, 10, 20, 30]
    assert [batch.readings[0].value for batch in store.batches] == [1, 2, 3, 4]
    assert meter.acknowledged == 0  # nothing that the meter keeps


async def test_a_phase_shifts_the_slots(meter: Meter, store: Store) -> None:
    """Meters that must not be asked all at once have slots of their own."""
    async with polling(meter, store, phase_s=2.5):
        await meter.clock.advance(20)
    assert meter.seconds() == [7, 12.5, 22.5]


async def test_a_slow_read_does_not_shift_the_schedule(meter: Meter, store: Store) -> None:
    """A read of 3 s every 10 s still starts on the slots."""
    meter.takes_s = 3
    async with polling(meter, store) as poller:
        await meter.clock.advance(35)
    assert meter.seconds() == [7, 10, 20, 30, 40]
    assert poller.health.missed == 0


async def test_slots_that_pass_during_a_read_are_counted_not_caught_up(meter: Meter, store: Store) -> None:
    """A read that takes 25 s leaves out the slots it covers and goes on in the current one."""
    async with polling(meter, store) as poller:
        await meter.clock.advance(1)
        meter.takes_s = 25
        await meter.clock.advance(3)
        meter.takes_s = 0
        await meter.clock.advance(30)
        assert meter.seconds() == [7, 10, 35, 40]
        assert poller.health.missed == 1


async def test_slow_storing_does_not_shift_the_schedule(meter: Meter, store: Store) -> None:
    """While the store takes 22 s, slots are left out and counted; those kept stay where they are."""

    async def slowly() -> None:
        await meter.clock.sleep(22)

    async with polling(meter, store) as poller:
        await meter.clock.advance(1)
        store.wait = slowly
        await meter.clock.advance(3)
        store.wait = None
        await meter.clock.advance(30)
        assert meter.seconds() == [7, 10, 32, 40]
        assert poller.health.missed == 1


async def test_an_overrun_of_less_than_a_slot_misses_nothing(clock: ManualClock, store: Store) -> None:
    """A meter that waited behind a neighbour is read a little late, not left out."""
    meter = Meter(clock, interval_s=1)
    async with polling(meter, store) as poller:
        await clock.advance(0.5)
        meter.takes_s = 1.2
        await clock.advance(1)
        meter.takes_s = 0
        await clock.advance(3)
        assert meter.seconds() == pytest.approx([7, 8, 9.2, 10, 11])
        assert poller.health.missed == 0


async def test_a_clock_that_is_set_back_stops_nobody(meter: Meter, store: Store) -> None:
    """After a correction of the clock by an hour the next read is due within one interval."""
    async with polling(meter, store) as poller:
        await meter.clock.advance(4)
        meter.clock.step(-3600)
        await meter.clock.advance(30)
        assert len(meter.reads) >= 4
        assert poller.health.missed == 0


async def test_a_clock_that_is_set_forward_misses_no_slots(meter: Meter, store: Store) -> None:
    """Slots that never happened are not counted as missed."""
    async with polling(meter, store) as poller:
        await meter.clock.advance(4)
        meter.clock.step(86_400)
        await meter.clock.advance(30)
        assert len(meter.reads) >= 4
        assert poller.health.missed == 0


async def test_slots_in_which_the_process_stood_still_are_missed(meter: Meter, store: Store) -> None:
    """Stopped between two reads, as by SIGSTOP, it counts what passed and goes on in the current slot."""
    async with polling(meter, store) as poller:
        await meter.clock.advance(4)
        meter.clock._elapsed_s += 61  # no task was woken in its time
        await meter.clock.advance(0)
        assert meter.seconds() == [7, 10, 72]
        assert poller.health.missed == 5
        await meter.clock.advance(10)
        assert meter.seconds() == [7, 10, 72, 80]
        assert poller.health.missed == 5


async def test_health_tells_how_it_stands(meter: Meter, store: Store) -> None:
    """Before the first reading a source is starting, then ok, with the time and count of what came."""
    meter.gate = asyncio.Event()
    async with polling(meter, store) as poller:
        await meter.clock.advance(0)
        assert state_of(poller) == "starting"
        meter.gate.set()
        await meter.clock.advance(1)
        assert state_of(poller) == "ok"
        assert poller.health.last_ok == START
        assert poller.health.readings == 1


async def test_going_dark_and_coming_back_are_one_line_each(
    meter: Meter, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """However often a dark meter is tried, the log says once that it went and once that it came."""
    caplog.set_level(logging.INFO)
    async with polling(meter, store) as poller:
        await meter.clock.advance(1)
        meter.error = ConnectFailed("refused", subject="modbustcp 192.0.2.1:502", hint="check the port")
        await meter.clock.advance(300)
        assert state_of(poller) == "dark"
        assert poller.health.failures > 4
        assert poller.health.last_error == "modbustcp 192.0.2.1:502: refused; check the port"
        meter.error = None
        await meter.clock.advance(100)
        assert state_of(poller) == "ok"
        assert poller.health.failures == 0
        assert poller.health.dark_since is None

    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert caplog.messages[0] == f"{ADDRESS} is unreachable: modbustcp 192.0.2.1:502: refused; check the port"
    assert caplog.messages[1].startswith(f"{ADDRESS} is back after 5 min")


async def test_a_dark_meter_is_tried_ever_less_often(meter: Meter, store: Store) -> None:
    """The pauses double with a little jitter, up to a minute, the same for a name in each run."""
    meter.error = ConnectFailed("refused")
    async with polling(meter, store):
        await meter.clock.advance(600)
    pauses = [after - before for before, after in zip(meter.seconds(), meter.seconds()[1:], strict=False)]
    assert all(
        0.8 * due <= pause <= 1.2 * due
        for pause, due in zip(pauses, [5, 10, 20, 40, *[LONGEST_BACKOFF_S] * 99], strict=False)
    )
    assert len(set(pauses)) > 4

    again = Meter(ManualClock(START))
    again.error = ConnectFailed("refused")
    async with polling(again, store):
        await again.clock.advance(600)
    assert again.reads == meter.reads


async def test_after_its_return_a_meter_is_on_its_slots_again(meter: Meter, store: Store) -> None:
    """Back-off ends where the schedule goes on, and its attempts are not missed slots."""
    meter.error = ConnectFailed("refused")
    async with polling(meter, store) as poller:
        await meter.clock.advance(20)
        meter.error = None
        await meter.clock.advance(60)
        assert [second % 10 for second in meter.seconds()[-3:]] == [0, 0, 0]
        assert poller.health.missed == 0


async def test_a_read_that_never_ends_is_given_up(clock: ManualClock, store: Store) -> None:
    """A reader that hangs beyond its own limit counts as dark, and is tried again."""
    meter = Meter(clock, timeout_s=0.01)
    meter.gate = asyncio.Event()
    given_up = asyncio.Event()
    poller = Poller(meter, name=ADDRESS, deliver=store, clock=clock)
    pause = clock.sleep

    async def note(seconds: float) -> None:
        given_up.set()
        await pause(seconds)

    clock.sleep = note  # type: ignore[method-assign]
    task = asyncio.create_task(poller.run())
    await given_up.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert state_of(poller) == "dark"
    assert poller.health.last_error == f"{ADDRESS}: no reading within 0.01 s [VEN-CON-080]"


async def test_a_bug_in_a_connector_ends_nothing_and_is_traced_once(
    meter: Meter, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """An unexpected exception is logged with its traceback once, and the meter is tried again."""
    async with polling(meter, store) as poller:
        meter.error = ZeroDivisionError("oops")
        await meter.clock.advance(200)
        meter.error = None
        await meter.clock.advance(100)
        assert state_of(poller) == "ok"

    traced = [record for record in caplog.records if record.exc_info]
    assert len(traced) == 1
    assert len(caplog.records) == 2


async def test_rejects_are_counted_kept_and_logged_once_per_reason(
    meter: Meter, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """A bad register that comes again each round is one line in the log and a number in the health."""
    meter.rejects = (Reject("unit 1 holding 4", "illegal data address"),)
    async with polling(meter, store) as poller:
        await meter.clock.advance(100)
        assert poller.health.rejects == len(meter.reads)
        assert poller.health.last_rejects[-1].place == "unit 1 holding 4"
        assert len(poller.health.last_rejects) == 5

    [message] = caplog.messages
    assert message.startswith(f"{ADDRESS}: skipped unit 1 holding 4: illegal data address")


async def test_many_kinds_of_rejects_do_not_fill_the_log(
    meter: Meter, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """A file of a thousand different bad lines makes a bounded number of log lines."""
    meter.rejects = tuple(Reject(f"meter.csv:{n}", f"{n!r} is no number") for n in range(1000))
    async with polling(meter, store) as poller:
        await meter.clock.advance(1)
        assert poller.health.rejects == 1000
    assert len(caplog.messages) <= 33


async def test_a_pushed_source_is_read_again_at_once(clock: ManualClock, store: Store) -> None:
    """Without a period the next read starts when the batch before it was handed over."""
    meter = Meter(clock, interval_s=None)
    meter.gate = asyncio.Event()
    meter.replayable = True
    async with polling(meter, store):
        for _ in range(3):
            meter.gate.set()
            await clock.advance(0)
    assert [batch.readings[0].value for batch in store.batches] == [1, 2, 3]
    assert meter.acknowledged == 3
    assert meter.seconds() == [7, 7, 7, 7]


async def test_a_replayable_batch_is_acknowledged_only_after_it_was_stored(
    clock: ManualClock, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """While the store fails the same batch is offered again, unacknowledged, and nothing newer is read."""
    caplog.set_level(logging.INFO)
    meter = Meter(clock)
    meter.replayable = True
    store.error = StoreError("disk full", subject="readings.db")
    async with polling(meter, store) as poller:
        await clock.advance(60)
        assert store.attempts > 2
        assert meter.acknowledged == 0
        assert len(meter.reads) == 1
        store.error = None
        await clock.advance(60)
        assert store.batches[0].readings[0].value == 1
        assert meter.acknowledged == len(store.batches) > 1
        assert poller.health.lost == 0

    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_a_source_that_keeps_its_readings_is_read_on_while_a_commit_is_due(
    clock: ManualClock, store: Store
) -> None:
    """A commit that comes late holds back the acknowledgement, not the next readings."""
    meter = Meter(clock)
    meter.replayable = True
    committed = asyncio.Event()

    async def until_committed() -> None:
        await committed.wait()

    store.wait = until_committed
    async with polling(meter, store):
        await clock.advance(30)
        read, acknowledged = len(meter.reads), meter.acknowledged
        committed.set()
        await clock.advance(1)

    assert (read, acknowledged, meter.acknowledged) == (4, 0, 4)


async def test_a_backlog_is_read_at_once_then_the_schedule_goes_on(meter: Meter, store: Store) -> None:
    """While a source says that more waits, no slot is waited for."""
    meter.backlog = 4
    async with polling(meter, store):
        await meter.clock.advance(14)

    assert meter.seconds() == [7, 7, 7, 7, 10, 20]


async def test_polled_readings_that_cannot_be_stored_are_counted_as_lost(meter: Meter, store: Store) -> None:
    """The schedule goes on over a failing store; what a device cannot repeat is said to be lost."""
    store.error = StoreError("disk full", subject="readings.db")
    async with polling(meter, store) as poller:
        await meter.clock.advance(20)
        assert meter.seconds() == [7, 10, 20]
        assert poller.health.lost == 3
        assert poller.health.readings == 0
        assert poller.health.last_error == "readings.db: disk full"
    assert meter.acknowledged == 0


async def test_ending_closes_the_reader(meter: Meter, store: Store) -> None:
    """A cancelled poller lets go of its device."""
    async with polling(meter, store):
        await meter.clock.advance(1)
    assert meter.closed == 1


@given(st.text(), st.floats(0.001, 900))
def test_a_phase_is_within_its_interval_and_always_the_same(name: str, within_s: float) -> None:
    """Phases depend on the name alone."""
    phase_s = spread_phase(name, within_s)
    assert 0 <= phase_s < within_s
    assert phase_s == spread_phase(name, within_s)


async def test_batches_of_a_failed_commit_are_offered_again_in_their_order(
    clock: ManualClock, store: Store
) -> None:
    """A later bookmark is never stored before what lies before it: a power cut between would lose that."""
    meter = Meter(clock)
    meter.replayable = True
    meter.backlog = 12
    failed = asyncio.Event()

    async def until_failed() -> None:
        await failed.wait()

    store.wait = until_failed
    store.error = StoreError("disk full", subject="readings.db")
    async with polling(meter, store):
        await clock.advance(1)
        assert store.attempts == 12
        store.wait = None
        failed.set()
        await clock.advance(0.1)
        store.error = None
        await clock.advance(30, settle=100)

    values = [batch.readings[0].value for batch in store.batches]
    assert values == sorted(values)
    assert values[:12] == [float(n) for n in range(1, 13)]


async def test_a_source_has_caught_up_when_no_more_waits_or_it_is_dark(
    clock: ManualClock, store: Store
) -> None:
    """Reports may rely on a meter once its backlog was read; one that does not answer delays no other."""
    backlog, dark = Meter(clock), Meter(clock)
    backlog.backlog = 1000
    dark.error = ConnectFailed("no answer", subject="meter")
    async with polling(backlog, store) as first, polling(dark, store) as second:
        await clock.advance(1)
        early = first.caught_up
        backlog.backlog = 0
        await clock.advance(1)

        assert (early, first.caught_up, second.caught_up) == (False, True, True)


class Inbox(Meter):
    """A pushed source: it gives the messages that wait, else waits for the next."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock, interval_s=None)
        self.replayable = True
        self.waiting: list[float] = []
        self.came = asyncio.Event()

    async def read(self) -> Batch:
        while not self.waiting:
            self.came.clear()
            await self.came.wait()
        values, self.waiting = self.waiting, []
        readings = [Reading("id", "power_kw", value, self.clock.now()) for value in values]
        return Batch(readings, acknowledge=self.acknowledge, replayable=True)


async def test_poller_that_is_stopped_hands_over_what_came_and_waits_for_its_commit(
    clock: ManualClock,
) -> None:
    """Messages that came during the last commit are stored and acknowledged before the reader is closed."""
    inbox = Inbox(clock)
    stored: list[float] = []
    commit = asyncio.Event()

    async def deliver(batch: Batch) -> None:
        await commit.wait()
        stored.extend(one.value for one in batch.readings)

    poller = Poller(inbox, name=ADDRESS, deliver=deliver, clock=clock)
    task = asyncio.create_task(poller.run())
    inbox.waiting = [1.0]
    inbox.came.set()
    await clock.advance(0)
    poller.stop()
    inbox.waiting = [2.0]
    await clock.advance(0)
    assert (inbox.closed, stored, task.done()) == (0, [], False)

    commit.set()
    await clock.advance(0)
    await task
    assert (stored, inbox.acknowledged, inbox.closed) == ([1.0, 2.0], 2, 1)


async def test_poller_that_is_stopped_waits_for_a_store_that_fails_no_longer_than_it_must(
    clock: ManualClock,
) -> None:
    """What cannot be committed stays with its source: the next reader gets it again."""
    inbox = Inbox(clock)

    async def deliver(batch: Batch) -> None:
        await asyncio.Event().wait()

    poller = Poller(inbox, name=ADDRESS, deliver=deliver, clock=clock)
    task = asyncio.create_task(poller.run())
    inbox.waiting = [1.0]
    inbox.came.set()
    await clock.advance(0)
    poller.stop()
    await clock.advance(STOP_WITHIN_S - 1)
    assert not task.done()
    await clock.advance(2)
    await task
    assert (inbox.acknowledged, inbox.closed) == (0, 1)


async def test_poller_that_is_stopped_does_not_wait_for_its_next_slot(
    clock: ManualClock, meter: Meter
) -> None:
    """A polled meter is let go at once; the counts go on with its next poller."""
    taken: list[Batch] = []

    async def deliver(batch: Batch) -> None:
        taken.append(batch)

    poller = Poller(meter, name=ADDRESS, deliver=deliver, clock=clock)
    task = asyncio.create_task(poller.run())
    await clock.advance(4)
    poller.stop()
    await clock.advance(0)
    await task
    assert (len(taken), meter.closed) == (2, 1)

    following = Poller(meter, name=ADDRESS, deliver=deliver, clock=clock, counted=poller.health)
    assert following.health.readings == 2


async def test_poller_that_is_stopped_before_it_ran_reads_nothing(clock: ManualClock, meter: Meter) -> None:
    """Its reader is closed all the same."""
    poller = Poller(meter, name=ADDRESS, deliver=_never, clock=clock)
    poller.stop()
    await poller.run()
    assert (meter.reads, meter.closed) == ([], 1)


async def _never(batch: Batch) -> None:
    raise AssertionError(batch)
