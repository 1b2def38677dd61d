"""What every store of readings promises, run over each of them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.codes import raises_code
from tests.peers import influxd, pick_port
from venclient.clock import ManualClock
from venclient.errors import StoreError
from venclient.model.reading import ENERGY_KWH, POWER_KW, Quality, Reading
from venclient.readings.forwarder import Forwarder
from venclient.readings.influx import InfluxServer
from venclient.readings.influx_account import InfluxAccount
from venclient.readings.line_protocol import Tags
from venclient.readings.measures import measures
from venclient.readings.memory import MemoryReadings
from venclient.readings.mirror import InfluxReadings
from venclient.readings.sqlite import SqliteReadings
from venclient.readings.store import ReadingStore

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(seconds: float, value: float = 1.0, *, resource: str = "hotel", quantity: str = POWER_KW) -> Reading:
    """Return a reading `seconds` after noon."""
    return Reading(resource, quantity, value, NOON + timedelta(seconds=seconds))


def seconds(readings: Sequence[Reading]) -> list[float]:
    """Return the readings' times as seconds after noon."""
    return [(reading.time - NOON).total_seconds() for reading in readings]


@pytest.fixture(scope="module")
def influx_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield a real InfluxDB for all tests of this module."""
    with influxd(tmp_path_factory.mktemp("influxd"), pick_port()) as url:
        yield url


@pytest.fixture(params=["sqlite", "memory", pytest.param("influxdb", marks=pytest.mark.peer)])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ReadingStore]:
    """Yield an open store of each kind; that of InfluxDB never falls back on its journal."""
    if request.param == "memory":
        memory = MemoryReadings()
        yield memory
        await memory.close()
        return
    journal = SqliteReadings(tmp_path / "readings.db", ManualClock(NOON))
    if request.param == "sqlite":
        yield journal
        await journal.close()
        return
    account = InfluxAccount(request.getfixturevalue("influx_url"), 1, bucket=tmp_path.name)
    async with InfluxServer(account) as server:
        assert await server.make_database() is None
        tags = {name: Tags(f"{name}-1", "ven") for name in ("hotel", "bar", "school", "dark", "unknown")}
        forwarder = Forwarder(journal, server, tags, ManualClock(NOON), history=timedelta(days=3))
        mirror = InfluxReadings(journal, forwarder, server)
        yield mirror
        await mirror.close()
        assert mirror.fallbacks == 0


async def put(store: ReadingStore, *readings: Reading) -> None:
    """Add and commit."""
    future = store.add(readings)
    await store.flush()
    await future


async def test_window_gives_what_was_added(store: ReadingStore) -> None:
    """Readings come back by quantity, in time order, with value, time and quality as they were."""
    estimated = Reading("hotel", ENERGY_KWH, 7.25, NOON, Quality.ESTIMATED)
    await put(store, at(20, 3), at(10, 2), estimated)

    window = await store.window("hotel", NOON, NOON + timedelta(minutes=1))

    assert window == {POWER_KW: [at(10, 2), at(20, 3)], ENERGY_KWH: [estimated]}


async def test_window_includes_both_edges(store: ReadingStore) -> None:
    """A reading on the start or the end is inside."""
    await put(store, at(0), at(60))

    window = await store.window("hotel", NOON, NOON + timedelta(seconds=60))

    assert seconds(window[POWER_KW]) == [0, 60]


async def test_window_has_one_neighbour_on_either_side(store: ReadingStore) -> None:
    """The last reading before and the first after come too, per quantity, and no others."""
    await put(store, at(-7200), at(-60), at(10), at(70), at(80), at(-3600, quantity=ENERGY_KWH))

    window = await store.window("hotel", NOON, NOON + timedelta(seconds=60))

    assert {quantity: seconds(found) for quantity, found in window.items()} == {
        POWER_KW: [-60, 10, 70],
        ENERGY_KWH: [-3600],
    }


async def test_neighbours_are_at_most_a_day_away(store: ReadingStore) -> None:
    """What is further than a day says nothing about the window."""
    day = 86_400
    await put(store, at(-day - 1), at(day + 61), at(-day, resource="bar"), at(day + 60, resource="bar"))

    found = await store.windows(["hotel", "bar"], NOON, NOON + timedelta(seconds=60))

    assert found["hotel"] == {}
    assert seconds(found["bar"][POWER_KW]) == [-day, day + 60]


async def test_windows_keep_resources_apart(store: ReadingStore) -> None:
    """Each resource has its own readings; one without any has an empty window."""
    await put(store, at(1, 1), at(1, 2, resource="bar"), at(1, 3, resource="school"))

    found = await store.windows(["hotel", "bar", "unknown"], NOON, NOON + timedelta(seconds=60))

    assert found == {
        "hotel": {POWER_KW: [at(1, 1)]},
        "bar": {POWER_KW: [at(1, 2, resource="bar")]},
        "unknown": {},
    }


async def test_same_reading_twice_is_stored_once(store: ReadingStore) -> None:
    """Of two readings of one quantity at one time the later given wins, in one commit or in two."""
    await put(store, at(1, 1), at(1, 2))
    await put(store, at(2, 1))
    await put(store, at(2, 5))

    window = await store.window("hotel", NOON, NOON + timedelta(seconds=60))

    assert window[POWER_KW] == [at(1, 2), at(2, 5)]


async def test_times_are_kept_to_the_millisecond(store: ReadingStore) -> None:
    """What is finer than a millisecond is cut off, in windows and latest values alike."""
    await put(store, at(1.2345678))

    window = await store.window("hotel", NOON, NOON + timedelta(seconds=60))

    assert seconds(window[POWER_KW]) == [1.234]
    assert seconds([(await store.latest("hotel"))[POWER_KW]]) == [1.234]


async def test_latest_is_the_newest_by_its_own_time(store: ReadingStore) -> None:
    """A late arrival does not replace a newer reading; a correction of the newest does."""
    await put(store, at(10, 1), at(5, 2), at(7, 9, quantity=ENERGY_KWH))
    await put(store, at(10, 3))

    assert await store.latest("hotel") == {POWER_KW: at(10, 3), ENERGY_KWH: at(7, 9, quantity=ENERGY_KWH)}
    assert await store.latest("unknown") == {}


@pytest.mark.parametrize(
    "bad",
    [
        at(1, math.nan),
        at(1, math.inf),
        Reading("hotel", POWER_KW, 1.0, datetime(1969, 12, 31, tzinfo=UTC)),
        Reading("hotel", POWER_KW, 1.0, datetime(2200, 1, 1, tzinfo=UTC)),
        Reading("hotel", POWER_KW, 1.0, datetime(2026, 1, 1)),  # noqa: DTZ001 - the point of the case
        Reading("", POWER_KW, 1.0, NOON),
        Reading("caf\udce9", POWER_KW, 1.0, NOON),
    ],
)
async def test_impossible_reading_is_skipped_and_stops_nothing(store: ReadingStore, bad: Reading) -> None:
    """What cannot be stored is left out; its neighbours in the same add are stored all the same."""
    await put(store, at(0), bad, at(2))

    window = await store.window("hotel", NOON - timedelta(hours=1), NOON + timedelta(hours=1))

    assert seconds(window[POWER_KW]) == [0, 2]


async def test_bookmark_is_known_as_soon_as_it_was_added(store: ReadingStore) -> None:
    """A source asks for its bookmark without waiting for the commit; unknown keys have none."""
    store.add([at(1)], bookmarks={"file:a.csv": "120"})

    assert store.bookmark("file:a.csv") == "120"
    assert store.bookmark("file:b.csv") is None


async def test_nothing_added_is_committed_at_once(store: ReadingStore) -> None:
    """An add without readings and bookmarks has nothing to wait for."""
    assert store.add([]).done()


async def test_closed_store_refuses(store: ReadingStore) -> None:
    """After close, adding is an error, and closing again is not."""
    await store.close()
    await store.close()

    with raises_code(StoreError, "VEN-RDG-017"):
        store.add([at(1)])


async def test_measures_of_many_resources_and_intervals(store: ReadingStore) -> None:
    """A grid of intervals over several resources is measured in one go, also what was only just added."""
    store.add([at(10 * n, 6.0, resource=name) for n in range(13) for name in ("hotel", "bar")])
    grid = [(NOON + timedelta(seconds=60 * n), NOON + timedelta(seconds=60 * n + 60)) for n in range(2)]

    found = await measures(store, ["hotel", "bar", "dark"], grid)

    energies = {(name, (start - NOON).total_seconds()): m.energy_kwh for (name, start, _), m in found.items()}
    assert energies == {
        ("hotel", 0): pytest.approx(0.1),
        ("hotel", 60): pytest.approx(0.1),
        ("bar", 0): pytest.approx(0.1),
        ("bar", 60): pytest.approx(0.1),
        ("dark", 0): None,
        ("dark", 60): None,
    }


async def test_many_adds_at_once_all_end(store: ReadingStore) -> None:
    """Every future of many concurrent adds is done after one flush."""
    futures = [store.add([at(n)], urgent=n % 2 == 0) for n in range(500)]

    await store.flush()

    await asyncio.wait_for(asyncio.gather(*futures), 60)
