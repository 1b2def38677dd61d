"""Times of readings while the machine's clock is wrong, is set, or is set back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from venclient.clock import ManualClock
from venclient.clock_guard import (
    GRACE_S,
    PROVISIONAL_UNTIL,
    SETTLED_S,
    STEP_S,
    CautiousClock,
    ClockGuard,
    Evidence,
    has_battery_clock,
    kernel_is_synchronised,
)
from venclient.model.reading import Reading

NINE = datetime(2026, 3, 1, 9, tzinfo=UTC)


class Machine:
    """A machine whose clock and helpers are turned by hand."""

    def __init__(self, start: datetime = NINE, *, battery: bool = False, synchronised: bool = False) -> None:
        self.clock = ManualClock(start)
        self.battery = battery
        self.synchronised = synchronised
        self.skew_s: float | None = None

    def guard(self, **options: object) -> ClockGuard:
        """Return the guard of this machine, which waits for no VTN at the start by default."""
        options.setdefault("grace_s", 0.0)
        evidence = Evidence(lambda: self.synchronised, lambda: self.battery, lambda: self.skew_s)
        return ClockGuard(self.clock, evidence, **options)  # type: ignore[arg-type]

    async def read(self, guard: ClockGuard, times: int, every_s: float = 10.0) -> Iterator[Reading]:
        """Return readings that are stamped by the guard while time passes."""
        found = []
        for number in range(times):
            found.append(Reading("m", "power_kw", float(number), guard.now()))
            await self.clock.advance(every_s, settle=1)
        return iter(found)


@pytest.mark.parametrize(
    ("machine", "options", "believed"),
    [
        (Machine(), {}, False),
        (Machine(), {"trust": "always"}, True),
        (Machine(synchronised=True), {}, True),
        (Machine(battery=True), {}, True),
        (Machine(battery=True), {"newest": NINE + timedelta(seconds=1)}, False),
        (Machine(battery=True), {"newest": NINE}, True),
        (Machine(synchronised=True), {"newest": NINE + timedelta(days=1)}, True),
        (Machine(datetime(2024, 1, 1, tzinfo=UTC), battery=True, synchronised=True), {}, False),
    ],
    ids=[
        "nothing known",
        "trusted always",
        "NTP",
        "battery clock",
        "before what was stored",
        "at what was stored",
        "NTP knows better than a meter from the future",
        "before this version",
    ],
)
def test_clock_is_believed_at_the_start_if(
    machine: Machine, options: dict[str, object], believed: bool
) -> None:
    """Somebody or something must vouch for the time, and nothing may speak against it."""
    guard = machine.guard(**options)

    assert guard.believed is believed
    assert (guard.state.doubt is None) is believed


async def test_held_readings_get_the_time_at_which_they_were_taken() -> None:
    """Once NTP has set the clock, what was read meanwhile is stamped as if it had always been right."""
    machine = Machine()
    guard = machine.guard()
    guard.hold([*await machine.read(guard, 3)])
    assert guard.state.held == 3

    machine.clock.step(3600 * 3 + 40 * 60)
    machine.synchronised = True
    assert guard.look()
    released = guard.release()

    twelve_forty = NINE + timedelta(hours=3, minutes=40)
    assert [one.time for one in released] == [twelve_forty + timedelta(seconds=10 * n) for n in range(3)]
    assert [one.value for one in released] == [0, 1, 2]
    assert guard.now() == twelve_forty + timedelta(seconds=30)
    assert guard.state.held == 0


async def test_steps_while_held_change_nothing() -> None:
    """However often the clock is set before it is right, provisional stamps count real seconds."""
    machine = Machine()
    guard = machine.guard()
    for step_s in (0, -86_400 * 90, 86_400 * 400, -3):
        machine.clock.step(step_s)
        guard.look()
        guard.hold([*await machine.read(guard, 1)])
    machine.synchronised = True
    guard.look()

    times = [one.time for one in guard.release()]

    assert [(b - a).total_seconds() for a, b in pairwise(times)] == [10, 10, 10]
    assert times[-1] == machine.clock.now() - timedelta(seconds=10)


def test_the_vtn_tells_the_time_too() -> None:
    """A Date that agrees is enough; one that does not says by how much."""
    machine = Machine()
    guard = machine.guard()
    machine.skew_s = -7200.4
    assert not guard.look()
    assert "7200 s behind the VTN's" in str(guard.state.doubt)

    machine.skew_s = 0.7
    assert guard.look()


def test_a_battery_clock_gives_way_to_the_vtn() -> None:
    """Believed while it is alone, held back from the VTN's first other word on, and right again with it."""
    machine = Machine(battery=True)
    guard = machine.guard()
    assert guard.believed
    assert guard.anchor is None

    machine.skew_s = 7200.4
    assert not guard.look()
    assert "7200 s ahead of the VTN's" in str(guard.state.doubt)
    guard.hold([Reading("m", "power_kw", 1.0, guard.now())])

    machine.clock.step(-7200)
    machine.skew_s = 0.3
    assert guard.look()
    assert [one.time for one in guard.release()] == [NINE - timedelta(hours=2)]


async def test_at_the_start_a_battery_clock_waits_for_the_vtn_to_disagree() -> None:
    """No reading gets the wrong time in the second before the VTN's first answer."""
    machine = Machine(battery=True)
    guard = machine.guard(grace_s=GRACE_S)
    assert (guard.believed, guard.state.settling) == (False, True)
    guard.hold([*await machine.read(guard, 2, every_s=1)])
    assert not guard.look()

    machine.skew_s = -7200.0
    assert not guard.look()
    assert not guard.state.settling
    assert "7200 s behind the VTN's" in str(guard.state.doubt)
    await machine.clock.advance(2 * SETTLED_S, settle=1)
    assert not guard.look()

    machine.clock.step(7200)
    machine.skew_s = 0.4
    assert guard.look()
    two_hours = timedelta(hours=2)
    assert [one.time - NINE - two_hours for one in guard.release()] == [timedelta(0), timedelta(seconds=1)]


async def test_a_battery_clock_is_enough_when_no_vtn_answers_in_time() -> None:
    """After some seconds what waited is stored at the battery clock's time."""
    machine = Machine(battery=True)
    guard = machine.guard(grace_s=GRACE_S)
    guard.hold([*await machine.read(guard, 1, every_s=GRACE_S)])

    assert guard.look()
    assert [one.time for one in guard.release()] == [NINE]
    assert guard.anchor is None


def test_a_vtn_that_is_a_little_apart_holds_no_battery_clock_up() -> None:
    """Within a minute of it the clock is believed at once, without other confirmation."""
    machine = Machine(battery=True)
    guard = machine.guard(grace_s=GRACE_S)
    machine.skew_s = 45.0

    assert guard.look()
    assert guard.anchor is None


def test_a_battery_clock_that_the_vtn_confirms_is_more_than_that() -> None:
    """From then on the VTN may be wrong without holding anything up, and the next process may believe it."""
    machine = Machine(battery=True)
    guard = machine.guard()
    machine.skew_s = 1.5
    assert guard.look()
    assert guard.anchor == (NINE, 0.0)

    machine.skew_s = 500.0
    assert guard.look()


def test_a_clock_kept_by_ntp_does_not_give_way_to_the_vtn() -> None:
    """The kernel knows better."""
    machine = Machine(battery=True)
    guard = machine.guard()
    machine.synchronised = True
    machine.skew_s = 500.0

    assert guard.look()


def test_release_gives_nothing_while_in_doubt() -> None:
    """What is held stays held."""
    machine = Machine()
    guard = machine.guard()
    guard.hold([Reading("m", "power_kw", 1.0, guard.now())])

    assert guard.release() == []
    assert guard.state.held == 1


def test_oldest_give_way_beyond_the_bound_and_are_counted() -> None:
    """Memory is not filled by a clock that never comes right."""
    guard = Machine().guard(most_held=3)
    for number in range(5):
        guard.hold([Reading("m", "power_kw", float(number), guard.now())])

    assert (guard.state.held, guard.state.dropped) == (3, 2)


def test_times_of_the_meters_own_are_left_alone() -> None:
    """A telegram with a time does not need our clock."""
    machine = Machine()
    guard = machine.guard()
    own = Reading("m", "power_kw", 1.0, NINE + timedelta(days=2))
    ours = Reading("m", "power_kw", 2.0, guard.now())
    assert not guard.is_provisional([own])
    assert guard.is_provisional([own, ours])
    machine.synchronised = True
    guard.look()

    assert [one.time for one in guard.restamped([own, ours])] == [own.time, NINE]


async def test_until_believed_returns_when_it_is() -> None:
    """Whoever waits for the time goes on with it."""
    machine = Machine()
    guard = machine.guard()
    waiting = asyncio.create_task(guard.until_believed())
    await asyncio.sleep(0)
    assert not waiting.done()
    machine.synchronised = True
    guard.look()
    await waiting


@pytest.mark.parametrize("step_s", [-3600, 3600])
async def test_a_step_raises_the_doubt_again(step_s: float) -> None:
    """A clock that leaps by an hour is believed again when the VTN's next answer agrees."""
    machine = Machine()
    machine.skew_s = 0.2
    guard = machine.guard()
    machine.clock.step(step_s)
    assert guard.now() < PROVISIONAL_UNTIL
    assert not guard.look(), "the answer from before the step says nothing"
    guard.hold([*await machine.read(guard, 2)])

    machine.skew_s = 0.4
    assert guard.look()
    now = machine.clock.now()
    assert [one.time for one in guard.release()] == [now - timedelta(seconds=20), now - timedelta(seconds=10)]


async def test_battery_clock_is_believed_again_when_nobody_disagrees() -> None:
    """Somebody who sets the clock of a machine without network is believed after a while."""
    machine = Machine(battery=True)
    guard = machine.guard()
    machine.clock.step(7200)
    assert not guard.look()
    await machine.clock.advance(SETTLED_S - 1)
    assert not guard.look()
    await machine.clock.advance(1)
    assert guard.look()


def test_step_of_a_synchronised_clock_is_followed() -> None:
    """NTP knows why it steps."""
    machine = Machine(synchronised=True)
    guard = machine.guard()
    machine.clock.step(-3600)

    assert guard.now() == NINE - timedelta(hours=1)


async def test_small_step_back_is_worked_off_in_order() -> None:
    """Readings after a correction by seconds come after those before it, and join the clock again."""
    machine = Machine(synchronised=True)
    guard = machine.guard()
    before = [one.time for one in await machine.read(guard, 3, 1.0)]
    machine.clock.step(-5)
    after = [one.time for one in await machine.read(guard, 20, 1.0)]

    times = before + after
    assert all(one < two for one, two in pairwise(times))
    assert guard.now() == machine.clock.now()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0.1, 30), st.floats(1 - STEP_S, STEP_S - 1)), min_size=1, max_size=30))
def test_small_steps_never_reorder(turns: list[tuple[float, float]]) -> None:
    """Whatever a clock does within a minute, stamps go on, and none is lost on the way."""
    machine = Machine(battery=True)
    guard = machine.guard()

    async def stamps() -> list[datetime]:
        found = [guard.now()]
        for seconds, step_s in turns:
            await machine.clock.advance(seconds, settle=0)
            machine.clock.step(step_s)
            found.append(guard.now())
        return found

    times = asyncio.run(stamps())
    assert all(one < two for one, two in pairwise(times))
    assert guard.believed


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(1, 30), st.floats(-1e7, 1e7)), min_size=1, max_size=20))
def test_any_steps_before_the_right_time_keep_order_and_distance(turns: list[tuple[float, float]]) -> None:
    """However the clock is set while it is in doubt, readings keep their order and their distance."""
    machine = Machine()
    guard = machine.guard()

    async def hold() -> None:
        for seconds, step_s in turns:
            guard.hold([Reading("m", "power_kw", 1.0, guard.now())])
            await machine.clock.advance(seconds, settle=0)
            machine.clock.step(step_s)
            guard.look()

    asyncio.run(hold())
    machine.clock.step((NINE - machine.clock.now()).total_seconds())
    machine.synchronised = True
    assert guard.look()
    times = [one.time for one in guard.release()]

    assert len(times) == len(turns)
    passed = [seconds for seconds, _ in turns]
    gaps = [(two - one).total_seconds() for one, two in pairwise(times)]
    assert gaps == pytest.approx(passed[:-1], abs=1e-5)
    assert (NINE - times[-1]).total_seconds() == pytest.approx(passed[-1], abs=1e-5)


async def test_nothing_is_forgotten_while_the_time_is_in_doubt() -> None:
    """What lets old readings go by age sees a time at which none is old, then the right one."""
    machine = Machine(NINE + timedelta(days=4000))
    cautious = CautiousClock(machine.clock)
    cautious.guard = machine.guard()
    assert cautious.now() < PROVISIONAL_UNTIL

    machine.synchronised = True
    cautious.guard.look()
    assert cautious.now() == machine.clock.now()
    await machine.clock.advance(5)
    assert cautious.monotonic() == 5


def test_battery_clock_is_told_from_what_the_machine_shows(tmp_path: Path) -> None:
    """A board with a device tree has one when its clock was set; other machines have one anyway."""
    assert has_battery_clock(tmp_path)
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    assert not has_battery_clock(tmp_path)
    clock = tmp_path / "sys/class/rtc/rtc0"
    clock.mkdir(parents=True)
    (clock / "since_epoch").write_text("12\n")
    assert not has_battery_clock(tmp_path)
    (clock / "since_epoch").write_text(f"{NINE.timestamp():.0f}\n")
    assert has_battery_clock(tmp_path)


def test_the_kernel_can_be_asked() -> None:
    """Asking the machine this runs on gives an answer, whichever it is."""
    assert kernel_is_synchronised() in (True, False)
