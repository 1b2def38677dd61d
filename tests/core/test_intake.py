"""From a connector's batch to the store: times, qualities, acknowledgements."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import msgspec
import pytest
from rich.console import Console

from venclient import clock_guard
from venclient.clock import ManualClock
from venclient.connectors.base import Batch
from venclient.errors import ConfigError
from venclient.intake import LOOK_S, SETTLING_LOOK_S, Intake
from venclient.messages import code_of
from venclient.messages import gateway as gwy
from venclient.model.quality import Counter, MeterRules
from venclient.model.reading import ENERGY_KWH, POWER_KW, Quality, Reading, Reject
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.notes import Notes
from venclient.readings import look
from venclient.readings.memory import MemoryReadings
from venclient.settings import load_settings
from venclient.view import ConnectionsTable, vtn_lines

NINE = datetime(2026, 3, 1, 9, tzinfo=UTC)
RULES = {"quality": {POWER_KW: {"range": {"min": 0, "max": 60}, "stale_after_s": 30}}}


class Around:
    """A store, a clock and what the machine says of it."""

    def __init__(self) -> None:
        self.clock = ManualClock(NINE)
        self.store = MemoryReadings()
        self.notes = Notes()
        self.skew_s: float | None = None

    def intake(self, options: dict[str, Any] | None = None, **more: Any) -> Intake:
        """Return the intake of one Modbus meter."""
        connection = Connection(ConnectionType.MODBUSTCP, ActorType.READER, "192.0.2.1", options=options)
        resource = Resource("m", "Hotel", "DSR", None, "m", connection, {"P_max_kw": 40}, {})
        return Intake(
            self.store,
            [resource],
            self.clock,
            self.notes,
            vtn_skew_s=lambda: self.skew_s,
            **({"trust": "auto", "boot": "this start"} | more),
        )

    async def stored(self, quantity: str = POWER_KW) -> list[Reading]:
        """Return what is in the store."""
        await self.store.flush()
        day = timedelta(days=1)
        return (await self.store.window("m", NINE - day, NINE + day)).get(quantity, [])


@pytest.fixture
def around() -> Around:
    """Return a store and a clock."""
    return Around()


@pytest.fixture
def lost_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the machine one without NTP and without a battery clock."""
    monkeypatch.setattr(clock_guard, "kernel_is_synchronised", lambda: False)
    monkeypatch.setattr(clock_guard, "has_battery_clock", lambda: False)


def reading(intake: Intake, value: float, quantity: str = POWER_KW) -> Reading:
    """Return a reading that is taken now."""
    return Reading("m", quantity, value, intake.clock.now())


async def test_readings_are_judged_before_they_are_stored(around: Around) -> None:
    """A value out of range is stored with that quality."""
    intake = around.intake(RULES, trust="always")
    for value in (5, 500):
        await intake.keep(Batch([reading(intake, value)]))
        await around.clock.advance(10)

    assert [(one.value, one.quality) for one in await around.stored()] == [
        (5, Quality.GOOD),
        (500, Quality.OUT_OF_RANGE),
    ]


async def test_newest_value_grows_stale(around: Around) -> None:
    """The status says of an old value that it is stale."""
    intake = around.intake(RULES, trust="always")
    one = reading(intake, 5)
    assert intake.quality_now(one) == "good"
    await around.clock.advance(31)
    assert intake.quality_now(one) == "stale"


async def test_newest_value_grows_stale_by_the_limit_of_the_source(around: Around) -> None:
    """The option of the connection holds for all its quantities; what comes late is not stale by it."""
    intake = around.intake({"quality": {"stale_after_s": 30}}, trust="always")
    await intake.keep(Batch([Reading("m", POWER_KW, 5.0, NINE - timedelta(seconds=90))]))
    assert [one.quality for one in await around.stored()] == [Quality.GOOD]

    assert intake.quality_now(reading(intake, 5)) == "good"
    assert intake.quality_now(Reading("m", POWER_KW, 5.0, NINE - timedelta(seconds=31))) == "stale"


async def test_exchanged_meter_is_noted(around: Around) -> None:
    """A register that leaps is said, with what becomes of it."""
    intake = around.intake(trust="always")
    for value in (1000, 5000):
        await intake.keep(Batch([reading(intake, value, ENERGY_KWH)]))
        await around.clock.advance(10)

    assert [note for note in around.notes if "exchanged" in note and "Hotel" in note]
    assert intake.rules["m"].most_kw == 200


async def test_time_that_cannot_be_meant_is_quarantined_and_noted(around: Around) -> None:
    """A payload of 2031 is not the newest value: it is kept apart, and reported with what to check."""
    intake = around.intake(trust="always")
    now = intake.clock.now()
    future = Reading("m", POWER_KW, 7.0, datetime(2031, 1, 1, tzinfo=UTC))
    await intake.keep(Batch([future, Reading("m", POWER_KW, 5.0, now)], replayable=True))

    assert {one.value for one in around.store.newest("m").values()} == {5.0}
    assert [(one.place, one.readings, one.points[0][1]) for one in around.store.aside] == [("time", 1, 7.0)]
    assert [note for note in around.notes if "VEN-RDG-055" in note]


async def test_messages_of_one_moment_become_rows_of_their_own(around: Around) -> None:
    """Numbers that arrive together have different times in their order; a time in the payload stays."""
    intake = around.intake(trust="always")
    now = intake.clock.now()
    stated = now - timedelta(minutes=1)
    batch = [
        Reading("m", POWER_KW, 1.0, now),
        Reading("m", POWER_KW, 9.0, stated),
        Reading("m", POWER_KW, 2.0, now),
        Reading("m", "voltage_v", 230.0, now),
        Reading("m", POWER_KW, 3.0, now),
    ]
    await intake.keep(Batch(batch, replayable=True, arrivals=[0, -1, 2, 2, 3]))
    await intake.keep(Batch(batch[:1], replayable=True, arrivals=[0]))

    found = [(one.value, (one.time - now) / timedelta(milliseconds=1)) for one in await around.stored()]
    assert found == [(9, -60_000), (1, -2), (2, -1), (3, 0), (1, 1)]
    assert [(one.time - now) / timedelta(milliseconds=1) for one in await around.stored("voltage_v")] == [-1]


async def test_messages_go_on_behind_what_was_stored_before_a_restart(around: Around) -> None:
    """A new process overwrites nothing."""
    for value in (1.0, 2.0):
        intake = around.intake(trust="always")
        await intake.keep(Batch([reading(intake, value)], replayable=True, arrivals=[0]))

    assert [one.value for one in await around.stored()] == [1, 2]


async def test_a_burst_waits_for_the_clock(around: Around) -> None:
    """What would run ahead by more than a second is stored when the clock has followed."""
    intake = around.intake(trust="always")
    for some in (1, 1500):
        batch = Batch([reading(intake, 1.0)] * some, replayable=True, arrivals=range(some))
        keeping = asyncio.ensure_future(intake.keep(batch))
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not keeping.done()
    await around.clock.advance(0.5)
    await keeping
    assert len(await around.stored()) == 1501


async def test_messages_taken_before_the_clock_was_right_stay_apart(around: Around, lost_clock: None) -> None:
    """Provisional stamps become times of day, one for each message."""
    intake = around.intake()
    keeping = asyncio.ensure_future(
        intake.keep(Batch([reading(intake, n) for n in (1, 2, 3)], replayable=True, arrivals=[0, 1, 2]))
    )
    await around.clock.advance(10)
    around.skew_s = 0.0
    intake.clock.look()
    await keeping
    assert [one.value for one in await around.stored()] == [1, 2, 3]


async def test_old_readings_are_let_in_by_backfill(around: Around) -> None:
    """What a device kept for weeks is stored when the options say so."""
    old = Reading("m", POWER_KW, 7.0, NINE - timedelta(days=20))
    await around.intake(trust="always").keep(Batch([old]))
    assert around.store.newest("m") == {}

    await around.intake({"backfill": True}, trust="always").keep(Batch([old]))
    assert around.store.newest("m")[POWER_KW].value == 7.0


async def test_wrong_clock_of_ours_refuses_nothing(around: Around, lost_clock: None) -> None:
    """While the time of day is in doubt, a device that knows it is taken at its word."""
    intake = around.intake()
    assert not intake.clock.believed
    await intake.keep(Batch([Reading("m", POWER_KW, 5.0, NINE + timedelta(days=90))]))

    assert around.store.newest("m")[POWER_KW].quality is Quality.GOOD


async def test_restart_while_a_counter_reads_zero_forgets_nothing(around: Around) -> None:
    """What the counter showed before is remembered with the readings, and the return adds nothing."""
    for value in (18.2, 0.0, None, 0.0, None, 18.3):
        if value is None:
            await around.clock.advance(3600)
            continue
        intake = around.intake(trust="always")
        await intake.keep(Batch([reading(intake, value, ENERGY_KWH)]))
        await around.clock.advance(10)

    assert [(one.value, one.quality) for one in await around.stored(ENERGY_KWH)] == [
        (18.2, Quality.GOOD),
        (0.0, Quality.OUT_OF_RANGE),
        (0.0, Quality.OUT_OF_RANGE),
        (18.3, Quality.GOOD),
    ]


async def test_rejects_are_noted(around: Around) -> None:
    """What a connector refused is said, with the resource that it is of."""
    await around.intake(trust="always").keep(Batch(rejects=[Reject("register 5", "is broken")]), of="Hotel")

    assert list(around.notes) == ["Hotel: register 5: is broken"]


async def test_polled_readings_wait_for_the_clock(around: Around, lost_clock: None) -> None:
    """They are held, the status shows how many, and they are stored at the right times."""
    intake = around.intake()
    for value in (1, 2, 3):
        await intake.keep(Batch([reading(intake, value)]))
        await around.clock.advance(10)
    assert await around.stored() == []
    assert (intake.snapshot()["synchronised"], intake.snapshot()["held"]) == (False, 3)
    assert any(note.startswith("clock not synchronised") for note in around.notes)

    around.clock.step(3600)
    around.skew_s = 0.3
    task = asyncio.create_task(intake.run())
    await around.clock.advance(LOOK_S)
    task.cancel()

    ten = NINE + timedelta(hours=1)
    assert [one.time for one in await around.stored()] == [ten + timedelta(seconds=10 * n) for n in range(3)]
    assert (intake.snapshot()["synchronised"], intake.snapshot()["held"]) == (True, 0)


async def test_what_waited_for_the_clock_is_told_before_it_is_stored(
    around: Around, lost_clock: None
) -> None:
    """Reporters hear of held readings with their right times; those are as fresh as when they were taken."""
    heard: list[list[datetime]] = []

    async def hear(readings: Sequence[Reading]) -> None:
        assert intake.snapshot()["held"] == 3
        assert await around.stored() == []
        heard.append([one.time for one in readings])

    intake = around.intake(RULES, before=hear)
    for value in (1, 2, 3):
        await intake.keep(Batch([reading(intake, value)]))
        await around.clock.advance(600)
    assert heard == []

    around.skew_s = 0.3
    task = asyncio.create_task(intake.run())
    await around.clock.advance(LOOK_S)
    task.cancel()

    stored = await around.stored()
    assert [[one.time for one in stored]] == heard
    assert {one.quality for one in stored} == {Quality.GOOD}
    assert intake.snapshot()["held"] == 0


async def test_the_first_seconds_of_a_battery_clock_are_no_fault(
    around: Around, lost_clock: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readings wait for the VTN's first answer, nothing is complained of, and all are stored soon after."""
    monkeypatch.setattr(clock_guard, "has_battery_clock", lambda: True)
    intake = around.intake()
    await intake.keep(Batch([reading(intake, 1)]))
    task = asyncio.create_task(intake.run())
    await around.clock.advance(SETTLING_LOOK_S)
    assert intake.snapshot()["settling"]
    assert await around.stored() == []

    around.skew_s = 0.3
    await around.clock.advance(SETTLING_LOOK_S)
    task.cancel()

    assert [one.time for one in await around.stored()] == [NINE]
    assert (list(around.notes), intake.snapshot()["synchronised"]) == ([], True)


async def running(around: Around, intake: Intake, *values: float) -> None:
    """Run an intake, with these readings each ten seconds, until the program ends."""
    task = asyncio.create_task(intake.run())
    for value in values:
        await intake.keep(Batch([reading(intake, value)]))
        await around.clock.advance(10)
    await around.clock.advance(LOOK_S)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_waits_for_the_clock_waits_on_after_a_restart(
    around: Around, lost_clock: None, caplog: pytest.LogCaptureFixture
) -> None:
    """Within one start of the machine: stored at the right times by the next process, once, and forgotten."""
    await running(around, around.intake(), *range(150))
    assert "150 readings wait for it" in caplog.text
    assert await around.stored() == []

    again = around.intake()
    assert again.snapshot()["held"] == 150
    await running(around, again, 150)
    assert await around.stored() == []

    around.clock.step(3600)
    last = around.intake()
    around.skew_s = 0.3
    await running(around, last)
    ten = NINE + timedelta(hours=1)
    times = {one.value: one.time for one in await around.stored()}
    assert [times[n] for n in range(150)] == [ten + timedelta(seconds=10 * n) for n in range(150)]
    assert times[150] == ten + timedelta(seconds=1500 + LOOK_S)
    assert around.intake().snapshot()["held"] == 0


async def test_what_waited_when_the_machine_went_down_is_set_aside(
    around: Around, lost_clock: None, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody will ever know their time: none is stored, each can be looked at, and it is said once."""
    await running(around, around.intake(), 1, 2)

    after = around.intake(boot="another start")
    await running(around, after, 3)

    assert after.snapshot()["held"] == 1
    assert await around.stored() == []
    [aside] = around.store.aside
    assert (aside.resource_id, aside.quantity, aside.readings) == ("m", POWER_KW, 2)
    assert [value for _, value in aside.points] == [1, 2]
    assert sum("2 readings were" in note and "VEN-GWY-055" in note for note in around.notes) == 1
    assert around.intake(boot="another start").snapshot()["held"] == 1


async def test_a_clock_that_was_believed_is_believed_after_a_restart(
    around: Around, lost_clock: None
) -> None:
    """As long as the machine runs, and the clock as its seconds do; not after a step, nor another start."""
    first = around.intake()
    around.skew_s = 0.3
    await running(around, first)
    around.skew_s = None
    await around.clock.advance(3600)

    assert around.intake().snapshot()["synchronised"]
    assert not around.intake(boot="another start").snapshot()["synchronised"]
    around.clock.step(-7200)
    stepped = around.intake().snapshot()
    assert (stepped["synchronised"], "no battery clock" in stepped["doubt"]) == (False, True)


async def test_the_store_learns_how_meters_count(around: Around) -> None:
    """Its quarters are made by the same rules as reports, also by commands that know no registry."""
    rules = {"quality": {ENERGY_KWH: {"counter": {"digits": 6}}}}
    await running(around, around.intake(rules, trust="always"))

    written = msgspec.json.decode(around.store.bookmark(look.RULES + "m") or "", type=MeterRules)
    assert written == MeterRules({ENERGY_KWH: Counter(digits=6)}, 200, entered=True)


async def test_messages_are_not_acknowledged_before_the_clock_is_right(
    around: Around, lost_clock: None
) -> None:
    """What a broker keeps stays with it until it is stored with the right time."""
    intake = around.intake()
    keeping = asyncio.create_task(intake.keep(Batch([reading(intake, 1)], replayable=True)))
    await around.clock.advance(10)
    assert not keeping.done()
    assert intake.snapshot()["held"] == 1

    around.skew_s = 0.3
    intake.clock.look()
    await around.clock.advance(0)
    await around.store.flush()
    await keeping

    assert [one.time for one in await around.stored()] == [NINE]
    assert intake.snapshot()["held"] == 0


async def test_rows_with_times_of_their_own_do_not_wait(around: Around, lost_clock: None) -> None:
    """A file has its times: it is stored and its bookmark with it."""
    intake = around.intake()
    keeping = asyncio.create_task(
        intake.keep(Batch([Reading("m", POWER_KW, 1.0, NINE)], bookmarks={"file": "7"}, replayable=True))
    )
    await asyncio.sleep(0)
    await around.store.flush()
    await keeping

    assert len(await around.stored()) == 1
    assert around.store.bookmark("file") == "7"


async def test_clock_before_the_newest_reading_is_not_believed(around: Around) -> None:
    """A restart with the time of long ago does not write into the past."""
    around.store.add([Reading("m", POWER_KW, 1.0, NINE + timedelta(days=30))])

    assert not around.intake().snapshot()["synchronised"]
    assert around.intake(trust="always").snapshot()["synchronised"]


async def test_clock_that_is_apart_from_the_vtns_is_noted(around: Around) -> None:
    """It is said once, and which way."""
    intake = around.intake(trust="always")
    around.skew_s = 3600.5
    task = asyncio.create_task(intake.run())
    await around.clock.advance(5 * LOOK_S)
    task.cancel()

    assert [note for note in around.notes if "3600 s ahead" in note]


async def test_wrong_rules_of_one_resource_stop_nothing(around: Around) -> None:
    """Its connection is refused elsewhere; others go on."""
    intake = around.intake({"quality": {"power_kw": {"range": 5}}}, trust="always")
    await intake.keep(Batch([Reading("n", POWER_KW, 1.0, NINE), reading(intake, 2)]))

    assert intake.rules == {}
    assert len(await around.stored()) == 1


def test_status_says_that_readings_wait() -> None:
    """The line of `ven status` has how many and why."""
    snapshot = {
        "vtn": {"url": "u", "state": "connected", "last_error": None},
        "ven": {"name": "v", "registered": 0, "resources": 1},
        "events": {"known": 0, "programs": 0},
        "reports": {"sent": 0, "owed": 0, "refused": 0},
        "readings": {"readings": 0},
        "clock": {"synchronised": False, "held": 42, "doubt": "nobody told the time", "dropped": 0},
    }

    assert "clock not synchronised: holding 42 readings (nobody told the time)" in str(vtn_lines(snapshot))
    snapshot["clock"]["dropped"] = 7  # type: ignore[index]
    assert "holding 42 readings, 7 given up (nobody" in str(vtn_lines(snapshot))
    snapshot["clock"] |= {"settling": True}  # type: ignore[operator]
    assert str(gwy.CLOCK_COMPARED(count=42)) in str(vtn_lines(snapshot))
    snapshot["clock"] = {"synchronised": True, "held": 0, "doubt": None, "dropped": 0}
    assert "clock" not in str(vtn_lines(snapshot))


def test_status_shows_the_quality_of_what_is_not_good() -> None:
    """A stale value is not shown as if it were of now."""
    good = {"value": 5.0, "time": "2026-03-01T09:00:00+00:00", "quality": "good"}
    row = {
        "name": "Hotel",
        "type": "DSR",
        "connection": "MQTT",
        "state": "ok",
        "readings": 1,
        "latest": {POWER_KW: good | {"quality": "out_of_range"}, ENERGY_KWH: good},
    }
    console = Console(width=120, record=True, file=StringIO())
    console.print(ConnectionsTable({"connections": [row], "now": "2026-03-01T09:00:00+00:00"}))

    assert "5.00 kW (out of range), 5.00 kWh" in console.export_text()


def test_trust_in_the_clock_is_one_of_two() -> None:
    """Another word is refused with both that are known."""
    flags = {"ven.name": "v", "vtn.url": "https://vtn.example"}

    assert load_settings(environment={}, flags=flags)["clock.trust"] == "auto"
    with pytest.raises(ConfigError) as caught:
        load_settings(environment={}, flags=flags | {"clock.trust": "maybe"})
    assert code_of(caught.value.problems[0]) == "VEN-CFG-011"


@pytest.mark.parametrize(
    ("value", "ahead_s"), [(900.0, 0), (5.0, 3600), (900.0, 3600)], ids=["value", "time", "both"]
)
async def test_source_whose_values_cannot_be_used_is_as_good_as_silent(
    around: Around, value: float, ahead_s: float
) -> None:
    """Values that are all impossible, or of impossible times, do not make a source healthy."""
    intake = around.intake(trust="always")
    link = Connection(ConnectionType.MODBUSTCP, ActorType.READER)
    meter = Resource("m", "Hotel", "DSR", None, "m", link, {}, {})
    found = []
    for usable in [False] * 14 + [True]:
        time = around.clock.now() + timedelta(seconds=0 if usable else ahead_s)
        await intake.keep(Batch([Reading("m", POWER_KW, 5.0 if usable else value, time)]))
        found.append(intake.unusable(meter, 120.0))
        await around.clock.advance(10, settle=0)

    assert found[:13] == [None] * 13
    assert [code_of(found[13] or ""), found[14]] == ["VEN-GWY-220", None]
    assert intake.unusable(meter, None) is None
