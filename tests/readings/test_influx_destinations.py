"""Which InfluxDB has which readings: cursors by destination, and those of earlier versions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import apsw
import pytest

from tests.fakes.influx import MemoryInflux
from tests.readings.influx_bench import NOON, Bench, at
from venclient.errors import StoreError
from venclient.model.reading import Reading
from venclient.readings.cursors import DESTINATIONS, MOST_DESTINATIONS, destinations
from venclient.readings.series import to_ms
from venclient.readings.unmirrored import Unmirrored, without_mirror


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Return a bench with nothing in it."""
    made = Bench(tmp_path)
    yield made
    await made.journal.close()


async def moved(bench: Bench, influx: MemoryInflux) -> None:
    """Go on with another InfluxDB, as a gateway does that is started with other settings."""
    bench.forwarder.save()
    await bench.journal.flush()
    bench.influx = influx
    bench.forwarder = bench.make()


async def before_destinations(bench: Bench) -> None:
    """Leave in the journal what the last version did: three readings, and how far two of them were sent."""
    sent = to_ms(NOON) + 10_000
    readings = [at(0, 1), at(10, 2), at(20, 3), at(0, 7, "bar")]
    bench.journal.add(readings, bookmarks={"influx:hotel": f"{sent} {sent}"})
    await bench.journal.flush()


async def test_positions_of_the_last_version_are_taken_over_once(bench: Bench) -> None:
    """The first InfluxDB after the update goes on where it was; the next one gets everything."""
    await before_destinations(bench)
    await bench.forwarder.drain()
    assert (bench.influx.values("hotel"), bench.influx.values("bar")) == ([3], [7])
    assert bench.journal.bookmark("influx:hotel") == ""

    await moved(bench, MemoryInflux("another"))
    await bench.forwarder.drain()
    assert (bench.influx.values("hotel"), bench.influx.values("bar")) == ([1, 2, 3], [7])


async def test_a_take_over_that_was_not_committed_is_done_again(bench: Bench) -> None:
    """A power cut right after the update loses no position."""
    await before_destinations(bench)
    await bench.forwarder.drain()
    await bench.again()
    assert destinations(bench.journal) == []
    await bench.forwarder.drain()

    assert bench.influx.values("hotel") == [3]


async def test_a_late_reading_comes_first_after_the_update(bench: Bench) -> None:
    """The reading that comes before anything was sent moves the position that was taken over."""
    await before_destinations(bench)
    await bench.put(at(5, 99))
    await bench.forwarder.drain()

    assert bench.influx.values("hotel") == [99, 2, 3]


async def test_a_commit_that_fails_does_not_lose_the_destination(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An urgent add that fails takes its bookmarks with it; the next one brings them again."""
    tables = bench.journal._desk.tables
    with monkeypatch.context() as broken:

        def fail(*_: object, **__: object) -> None:
            raise apsw.FullError("disk full")

        broken.setattr(tables, "write", fail)
        future = bench.forwarder.add([at(0, 1)], urgent=True)
        with pytest.raises(StoreError):
            await bench.journal.flush()
        await asyncio.wait([future])
    bench.journal._retry_at_s = None
    await bench.put(at(10, 2))
    bench.forwarder.save()
    await bench.journal.flush()

    assert destinations(bench.journal) == [bench.influx.destination]


async def test_what_came_late_while_the_mirror_was_off_is_sent_when_it_is_on_again(bench: Bench) -> None:
    """`influx.url` was taken out of the settings for a day."""
    await bench.put(at(0, 1), at(20, 3))
    await bench.forwarder.drain()
    bench.forwarder.save()
    await bench.journal.flush()
    off = without_mirror(bench.journal)
    future = off.add([at(10, 2), at(30, 4)], bookmarks={"file": "7"})
    await off.flush()
    await future
    bench.forwarder = bench.make()
    await bench.forwarder.drain()

    assert bench.influx.values("hotel") == [1, 2, 3, 4]
    assert bench.journal.bookmark("file") == "7"


async def test_without_an_influxdb_ever_nothing_is_noted(bench: Bench) -> None:
    """The journal is used as it is."""
    assert without_mirror(bench.journal) is bench.journal


async def test_the_store_without_its_mirror_gives_what_the_journal_gives(bench: Bench) -> None:
    """History, newest readings and bookmarks."""
    await bench.put(at(0, 1))
    off = Unmirrored(bench.journal)
    off.add([Reading("hotel", "power_kw", float("nan"), NOON), at(10, 2)])
    await off.flush()

    end = NOON + timedelta(minutes=1)
    assert await off.window("hotel", NOON, end) == await bench.journal.window("hotel", NOON, end)
    assert await off.windows(["hotel"], NOON, end) == {"hotel": await off.window("hotel", NOON, end)}
    assert await off.latest("hotel") == off.newest("hotel") == {"power_kw": at(10, 2)}
    assert off.bookmark(DESTINATIONS) == bench.journal.bookmark(DESTINATIONS)


async def test_no_more_than_a_bound_of_destinations_is_remembered(bench: Bench) -> None:
    """The one that was used longest ago is forgotten, and gets everything when it is used again."""
    first = bench.influx
    await bench.put(at(0, 1))
    await bench.forwarder.drain()
    for n in range(MOST_DESTINATIONS):
        await moved(bench, MemoryInflux(f"bucket-{n}"))
        await bench.forwarder.drain()
    await moved(bench, first)
    first.points.clear()
    await bench.forwarder.drain()

    assert len(destinations(bench.journal)) == MOST_DESTINATIONS
    assert first.values("hotel") == [1]


async def test_a_change_of_the_destination_is_said(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever set another bucket sees in the log from when on it is filled."""
    caplog.set_level("INFO")
    await bench.put(at(0, 1))
    await bench.forwarder.drain()
    await moved(bench, MemoryInflux("another"))
    await bench.forwarder.drain()
    await bench.forwarder.drain()

    assert [one.args for one in caplog.records if "new destination" in one.getMessage()] == [()]


async def test_a_position_is_kept_under_destination_and_resource(bench: Bench) -> None:
    """What other programs and later versions may rely on."""
    await bench.put(at(0, 1))
    await bench.forwarder.drain()
    bench.forwarder.save()

    assert bench.journal.bookmark(f"influxdb:{bench.influx.destination}:hotel") == "{0} {0}".format(
        to_ms(NOON)
    )
