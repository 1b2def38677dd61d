"""From the journal to InfluxDB: everything arrives, whatever happens on the way."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.fakes.influx import Point
from tests.readings.influx_bench import AWAY, NOON, TAGS, Bench, at
from venclient.model.reading import ENERGY_KWH, POWER_KW, Quality, Reading
from venclient.readings.forwarder import Forwarder
from venclient.readings.influx_answers import Verdict
from venclient.readings.line_protocol import Tags


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Yield an empty bench."""
    made = Bench(tmp_path)
    yield made
    await made.journal.close()


async def test_all_quantities_of_all_resources_arrive_with_their_tags(bench: Bench) -> None:
    """What was stored is in InfluxDB after one drain, with meter point and VEN beside it."""
    await bench.put(at(0, 1), at(0, 5, quantity=ENERGY_KWH), at(10, 2), at(0, 7, "bar"))
    await bench.forwarder.drain()

    assert bench.influx.values("hotel") == [1, 2]
    assert bench.influx.at("hotel", NOON) == {"power_kw": 1, "energy_kwh": 5}
    assert bench.influx.values("bar") == [7]
    assert bench.influx.tags["bar"] == {"resource_id": "bar", "meter_point_id": "572", "ven": "Herning"}


async def test_nothing_is_sent_twice_while_all_goes_well(bench: Bench) -> None:
    """Each new reading is sent once, in its own time."""
    for n in range(20):
        await bench.put(at(10 * n, n))
        await bench.forwarder.drain()

    assert bench.influx.values("hotel") == list(range(20))
    assert sum(bench.influx.writes) == 20


async def test_only_the_committed_is_sent(bench: Bench) -> None:
    """A reading that may yet be lost is not in InfluxDB before it is on the card."""
    await bench.put(at(0, 1))
    bench.forwarder.add([at(10, 2)])
    await bench.forwarder.drain()

    assert bench.influx.values("hotel") == [1]


async def test_a_late_reading_is_sent_without_all_that_came_after(bench: Bench) -> None:
    """An hour-old reading costs one line, not an hour of lines."""
    await bench.put(*[at(10 * n, n) for n in range(360)])
    await bench.forwarder.drain()
    before = sum(bench.influx.writes)
    await bench.put(at(5, 99))
    await bench.forwarder.drain()

    assert bench.influx.values("hotel")[:3] == [0, 99, 1]
    assert sum(bench.influx.writes) - before == 1


async def test_a_correction_replaces_value_and_quality(bench: Bench) -> None:
    """An estimated reading that turns out well is good in InfluxDB, too."""
    await bench.put(Reading("hotel", POWER_KW, 1, NOON, Quality.ESTIMATED))
    await bench.forwarder.drain()
    await bench.put(at(0, 2))
    await bench.forwarder.drain()

    assert bench.influx.at("hotel", NOON) == {"power_kw": 2, "power_kw_quality": "good"}


async def test_a_correction_after_a_crash_replaces_the_quality(bench: Bench) -> None:
    """What was sent and not written down is known to be there, perhaps."""
    await bench.put(at(-20, 1))
    await bench.forwarder.drain()
    bench.forwarder.save()
    await bench.journal.flush()
    await bench.put(Reading("hotel", POWER_KW, 1, NOON - timedelta(seconds=10), Quality.ESTIMATED))
    await bench.forwarder.drain()
    await bench.again()
    await bench.put(at(-10, 2))
    await bench.forwarder.drain()

    assert bench.influx.at("hotel", NOON - timedelta(seconds=10))["power_kw_quality"] == "good"


async def test_a_reading_from_tomorrow_is_sent_and_today_is_not_forgotten(bench: Bench) -> None:
    """A device whose clock is ahead neither blocks its resource nor hides the right readings."""
    await bench.put(at(86_400, 5))
    await bench.forwarder.drain()
    await bench.put(at(10, 1))
    await bench.forwarder.drain()

    assert bench.influx.values("hotel") == [1, 5]


async def test_history_from_before_the_mirror_is_sent(bench: Bench) -> None:
    """With InfluxDB set up later, what the journal holds since months gets there as well."""
    days = [at(-86_400.0 * n, n) for n in (300, 100, 99, 3)]
    bench.journal.add(days)
    await bench.journal.flush()
    bench.forwarder = bench.make(days=400)
    await bench.forwarder.drain()

    assert bench.influx.values("hotel") == [300, 100, 99, 3]


async def test_an_hour_away_is_made_up_for_and_said_once(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Readings of the hour arrive when InfluxDB is back; it was asked ever less often meanwhile."""
    caplog.set_level(logging.INFO)
    bench.influx.down = AWAY
    for n in range(360):
        await bench.put(at(10 * n, n))
        await bench.turn(10)
    assert bench.influx.attempts < 130
    assert bench.forwarder.status()["state"] == "away"
    assert bench.forwarder.status()["lag_s"] >= 3590
    bench.influx.down = None
    await bench.turn(100)

    assert bench.influx.values("hotel") == list(range(360))
    said = [one.levelname for one in caplog.records if "InfluxDB" in one.getMessage()]
    assert said == ["WARNING", "INFO"]
    assert bench.forwarder.status()["state"] == "ok"
    assert bench.forwarder.status()["lag_s"] == 0


async def test_an_outage_holds_no_readings_in_memory(bench: Bench) -> None:
    """A day of a meter are read from the journal in stretches, never all at once."""
    most = 0
    windows = bench.journal.windows

    async def watched(ids: list[str], start: datetime, end: datetime) -> object:
        nonlocal most
        found = await windows(ids, start, end)
        most = max(most, sum(len(one) for series in found.values() for one in series.values()))
        return found

    bench.journal.windows = watched  # type: ignore[method-assign, assignment]
    bench.forwarder = bench.make(batch=100)
    await bench.put(*[at(10 * n, n) for n in range(8_640)])
    await bench.forwarder.drain()

    assert len(bench.influx.values("hotel")) == 8_640
    assert most <= 210
    assert max(bench.influx.writes) <= 100


async def test_after_a_crash_nothing_is_missing_and_nothing_doubled(bench: Bench) -> None:
    """Positions on the card are behind the truth; the overlap overwrites itself."""
    await bench.put(*[at(10 * n, n) for n in range(30)])
    await bench.forwarder.drain()
    bench.forwarder.save()
    await bench.journal.flush()
    await bench.put(*[at(10 * n, n) for n in range(30, 60)])
    await bench.forwarder.drain()
    await bench.again()
    await bench.put(*[at(10 * n, n) for n in range(60, 90)])
    await bench.forwarder.drain()

    assert bench.influx.values("hotel") == list(range(90))
    assert sum(bench.influx.writes) == 60 + 60


async def test_a_late_reading_survives_a_crash_before_it_was_sent(bench: Bench) -> None:
    """That it is pending is committed together with it."""
    await bench.put(at(0, 1), at(10, 2), at(20, 3))
    await bench.forwarder.drain()
    bench.forwarder.save()
    await bench.journal.flush()
    bench.influx.down = AWAY
    await bench.put(at(5, 99))
    await bench.forwarder.drain()
    bench.forwarder.save()
    await bench.journal.flush()
    await bench.again()
    bench.influx.down = None
    await bench.forwarder.drain()

    assert bench.influx.values("hotel") == [1, 99, 2, 3]


async def test_a_reading_that_waits_for_its_commit_holds_the_position_back(bench: Bench) -> None:
    """Out of order and not yet committed when positions are written: it is still sent after a crash."""
    await bench.put(at(0, 1))
    bench.forwarder.add([at(5, 99)])
    future = bench.journal.add([at(10, 2)])  # committed first, as if the other waited longer
    waits = bench.journal._waiting.popleft()
    await bench.journal.flush()
    await future
    bench.forwarder._places["hotel"].note(*[int((NOON + timedelta(seconds=10)).timestamp() * 1000)] * 2)
    await bench.forwarder.drain()
    bench.forwarder.save()
    bench.journal._waiting.appendleft(waits)
    await bench.journal.flush()
    await bench.again()
    await bench.forwarder.drain()

    assert bench.influx.values("hotel") == [1, 99, 2]


async def test_what_is_committed_while_lines_are_on_their_way_is_sent_next(bench: Bench) -> None:
    """A commit in mid-flight, of a time that was just passed, is not skipped."""
    await bench.put(at(0, 1), at(20, 3))

    async def commit() -> None:
        bench.influx.before_answer = None
        await bench.put(at(10, 2), at(30, 4))

    bench.influx.before_answer = commit
    await bench.forwarder.drain()

    assert bench.influx.values("hotel") == [1, 2, 3, 4]


async def test_positions_are_written_rarely(bench: Bench) -> None:
    """Ten minutes of a meter add at most one position a minute to the card."""
    saved: list[str] = []
    add = bench.journal.add

    def watched(
        readings: list[Reading], *, bookmarks: dict[str, str] | None = None, urgent: bool = False
    ) -> object:
        saved.extend(bookmarks or {})
        return add(readings, bookmarks=bookmarks, urgent=urgent)

    bench.journal.add = watched  # type: ignore[method-assign, assignment]
    for n in range(60):
        await bench.put(at(10 * n, n))
        await bench.turn(10)

    assert 5 <= len(saved) <= 10


async def test_a_resource_that_is_added_while_it_runs_is_sent_too(bench: Bench) -> None:
    """With what the journal has of it from before, and without holding up the history of others."""
    tags = dict(TAGS)
    bench.forwarder = Forwarder(bench.journal, bench.influx, tags, bench.clock, history=timedelta(days=1))
    bench.journal.add([at(0, 1, "new")])
    await bench.put(at(0, 5))
    await bench.forwarder.drain()
    assert bench.influx.values("new") == []
    tags["new"] = Tags("573")
    tags["silent"] = Tags("574")
    await bench.put(at(10, 2, "new"))
    await bench.forwarder.drain()

    assert bench.influx.values("new") == [1, 2]
    assert bench.influx.tags["new"]["meter_point_id"] == "573"
    assert bench.forwarder.complete(["hotel", "new", "silent"], NOON)


async def test_a_bug_ends_nothing(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever goes wrong in the mirror, its task goes on, and says so once."""

    def broken(points: list[Point]) -> Verdict | None:
        raise RuntimeError("boom")

    bench.influx.refuse = broken
    await bench.put(at(0))
    await bench.turn(360)
    bench.influx.refuse = lambda points: None
    await bench.turn(120)

    assert bench.influx.values("hotel") == [1]
    assert sum("RuntimeError" in one.getMessage() for one in caplog.records) == 1
