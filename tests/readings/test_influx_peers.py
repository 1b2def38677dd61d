"""The mirror against servers that we did not write: Debian's InfluxDB 1 and VictoriaMetrics."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.peers import influxd, pick_port, victoria_metrics
from tests.readings.influx_client import write_as_specified
from tests.readings.influx_writer import START_MS
from venclient.clock import ManualClock, SystemClock
from venclient.model.reading import ENERGY_KWH, POWER_KW, Quality, Reading
from venclient.readings.forwarder import Forwarder
from venclient.readings.influx import InfluxServer
from venclient.readings.influx_account import InfluxAccount
from venclient.readings.influx_query import window_of
from venclient.readings.line_protocol import Tags, body, lines
from venclient.readings.measures import measures
from venclient.readings.memory import MemoryReadings
from venclient.readings.mirror import InfluxReadings
from venclient.readings.series import from_ms
from venclient.readings.sqlite import SqliteReadings
from venclient.readings.tables import open_tables

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600)]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TAGS = {"hotel": Tags("571", "Herning"), "bar": Tags("572", "Herning")}


def at(seconds: float, value: float = 1.0, resource: str = "hotel", quantity: str = POWER_KW) -> Reading:
    """Return a reading `seconds` after noon."""
    return Reading(resource, quantity, value, NOON + timedelta(seconds=seconds))


def query(url: str, text: str, **more: str) -> Any:
    """Ask InfluxDB 1 directly, past all of our code; give its first result."""
    with httpx2.Client(trust_env=False) as http:
        answer = http.post(
            f"{url}/query", params={"db": "meter_data", "epoch": "ms", **more}, data={"q": text}
        )
    return answer.json()["results"][0]


def stored(url: str, quantity: str = "power_kw") -> list[list[float]]:
    """Return [milliseconds, value] of all points that InfluxDB 1 has of one quantity."""
    series = query(url, f'SELECT "{quantity}" FROM meter_reading').get("series", [])
    return [row for one in series for row in one["values"]]


@pytest.fixture(scope="module")
def shared_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield a real InfluxDB 1."""
    with influxd(tmp_path_factory.mktemp("influxd"), pick_port()) as running:
        yield running


@pytest.fixture
def url(shared_url: str) -> str:
    """Return its URL, without a database in it."""
    query(shared_url, 'DROP DATABASE "meter_data"')
    return shared_url


class Bench:
    """A journal in memory that forwards to a server."""

    def __init__(self, account: InfluxAccount) -> None:
        self.clock = ManualClock(NOON)
        self.journal = MemoryReadings()
        self.server = InfluxServer(account)
        self.forwarder = Forwarder(
            self.journal, self.server, TAGS, self.clock, history=timedelta(days=1), rng=random.Random(1)
        )
        self.store = InfluxReadings(self.journal, self.forwarder, self.server)

    async def put(self, *readings: Reading) -> None:
        """Store and send."""
        self.store.add(readings)
        await self.store.flush()


@pytest.fixture
async def bench(url: str) -> AsyncIterator[Bench]:
    """Yield a bench that forwards to InfluxDB 1."""
    made = Bench(InfluxAccount(url, 1))
    async with made.server:
        yield made


async def test_the_database_is_made_and_points_are_as_specified(bench: Bench, url: str) -> None:
    """Measurement, tags and fields as the specification has them, seen by InfluxDB's own query."""
    await bench.put(at(0, 12.5), at(0, 7, quantity=ENERGY_KWH))

    [series] = query(url, 'SELECT * FROM "meter_reading"')["series"]
    assert dict(zip(series["columns"], series["values"][0], strict=True)) == {
        "time": 1772366400000,
        "energy_kwh": 7,
        "meter_point_id": "571",
        "power_kw": 12.5,
        "resource_id": "hotel",
        "ven": "Herning",
    }


async def test_strange_names_come_back_as_they_were(url: str) -> None:
    """Whatever a registry's ids are, InfluxDB gives the same back."""
    names = ['a b,c="d"', "O'Hara's", "#1", "\\x", "æøå€", "a\\\\b", "=", '"', "ü" * 200]
    async with InfluxServer(InfluxAccount(url, 1)) as server:
        await server.make_database()
        readings = [Reading(name, "power_kw", n, NOON) for n, name in enumerate(names)]
        assert (await server.write(body(lines(readings, {})), now=NOON)).kind == "written"
        found = await server.windows(window_of(names, NOON, NOON))

    assert found == {one.resource_id: {"power_kw": [one]} for one in readings}


async def test_numbers_come_back_to_the_last_bit(bench: Bench) -> None:
    """Also those that need all their decimals."""
    values = [0.1, 1 / 3, -1e-300, 1.7976931348623157e308, 5e-324, 123456789.123456789, -7]
    await bench.put(*[at(n, value) for n, value in enumerate(values)])

    window = await bench.store.window("hotel", NOON, NOON + timedelta(minutes=1))

    assert [one.value for one in window[POWER_KW]] == values
    assert bench.store.fallbacks == 0


async def test_the_same_roll_up_from_influxdb_as_from_sqlite(url: str, tmp_path: Path) -> None:
    """Power, registers, gaps, estimates and late corrections: every number of every interval is equal."""
    chance = random.Random(7)
    clock = ManualClock(NOON)
    journal = SqliteReadings(tmp_path / "readings.db", clock)
    async with InfluxServer(InfluxAccount(url, 1)) as server:
        forwarder = Forwarder(journal, server, TAGS, clock, history=timedelta(days=1))
        store = InfluxReadings(journal, forwarder, server)
        total = 1000.0
        for n in range(720):
            if chance.random() < 0.1:
                continue
            quality = Quality.ESTIMATED if chance.random() < 0.05 else Quality.GOOD
            total += chance.random() / 10
            time = NOON + timedelta(seconds=10 * n, milliseconds=chance.randrange(1000))
            store.add([Reading("hotel", POWER_KW, chance.gauss(20, 8), time, quality)])
            if n % 6 == 0:
                store.add([Reading("bar", ENERGY_KWH, total, time), at(10 * n, chance.gauss(0, 5), "bar")])
            if n % 100 == 50:
                await store.flush()
                store.add([at(10 * n - 200 + 0.5, chance.gauss(20, 8))])
        grid = [(NOON + timedelta(seconds=s), NOON + timedelta(seconds=s + 300)) for s in range(0, 7200, 300)]

        theirs = await measures(store, ["hotel", "bar"], grid)
        ours = await measures(journal, ["hotel", "bar"], grid)
        await store.close()

    assert store.fallbacks == 0
    assert theirs == ours
    assert sum(one.energy_kwh is not None for one in ours.values()) == 48


async def test_a_field_that_is_an_integer_there_costs_only_itself(bench: Bench, url: str) -> None:
    """Somebody wrote energy_kwh as an integer before: power arrives, energy is named and counted."""
    query(url, 'CREATE DATABASE "meter_data"')
    with httpx2.Client(trust_env=False) as http:
        line = "meter_reading,resource_id=x energy_kwh=1i 1772366400000"
        http.post(f"{url}/write", params={"db": "meter_data", "precision": "ms"}, content=line)
    await bench.put(*[r for n in range(20) for r in (at(n, n), at(n, n, quantity=ENERGY_KWH))])

    assert len(stored(url)) == 20
    status = bench.forwarder.status()
    assert (status["rejected"], status["state"]) == (20, "ok")
    assert "type conflict" in status["last_rejects"][0]
    # Each is quarantined, for inspection.
    aside = [one for one in bench.journal.aside if "type conflict" in one.reason]
    assert sorted(value for one in aside for _, value in one.points) == list(range(20))


async def test_what_is_too_old_for_its_retention_is_left_out(bench: Bench, url: str) -> None:
    """A retention of an hour takes an hour; what is older is counted and stops nothing.

    InfluxDB takes older points, too, where their request makes the shard (an hour's, here) that they fall in:
    how many depends on where in the hour the test runs, and never goes beyond two hours.
    """
    query(url, 'CREATE DATABASE "meter_data" WITH DURATION 1h')
    now = datetime.now(UTC)
    times = [now - timedelta(seconds=60 * n) for n in range(240)]
    bench.forwarder._history = now - NOON + timedelta(days=1)
    await bench.put(*[Reading("hotel", POWER_KW, n, time) for n, time in enumerate(times)])

    status = bench.forwarder.status()
    there = {value for _, value in stored(url)}
    assert set(range(60 - 1)) <= there <= set(range(120 + 1))
    assert (status["sent"], status["rejected"]) == (len(there), 240 - len(there))
    assert status["state"] == "ok"


async def test_a_body_that_is_too_large_is_sent_in_parts(tmp_path: Path) -> None:
    """InfluxDB's own limit, met with 413."""
    with influxd(tmp_path, pick_port(), HTTP_MAX_BODY_SIZE="300") as url:
        bench = Bench(InfluxAccount(url, 1))
        async with bench.server:
            await bench.put(*[at(n, random.Random(n).random()) for n in range(200)])

        assert len(stored(url)) == 200


async def test_a_wrong_password_waits_and_the_right_one_goes_on(tmp_path: Path) -> None:
    """Nothing is given up over a login; what waited is sent once it is right."""
    with influxd(tmp_path, pick_port(), HTTP_AUTH_ENABLED="true") as url:
        query(url, "CREATE USER gate WITH PASSWORD 'right' WITH ALL PRIVILEGES")
        query(url, 'CREATE DATABASE "meter_data"', u="gate", p="right")
        wrong = Bench(InfluxAccount(url, 1, username="gate", password="wr0ng"))
        async with wrong.server:
            await wrong.put(at(0, 1))
            status = wrong.forwarder.status()
            window = await wrong.store.window("hotel", NOON, NOON)
        right = Bench(InfluxAccount(url, 1, username="gate", password="right"))
        async with right.server:
            await right.put(at(0, 1))
            found = await right.server.windows(window_of(["hotel"], NOON, NOON))

    assert status["state"] == "away"
    assert "influx.password" in status["last_error"]
    assert "wr0ng" not in status["last_error"]
    assert window == {POWER_KW: [at(0, 1)]}
    assert found == {"hotel": {POWER_KW: [at(0, 1)]}}


async def test_influxdb_down_and_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """While it is down history is read from the journal, and says so; back again, it has everything."""
    port = pick_port()
    bench = Bench(InfluxAccount(f"http://127.0.0.1:{port}", 1))
    async with bench.server:
        with influxd(tmp_path, port):
            await bench.put(*[at(n, n) for n in range(10)])
        await bench.put(*[at(n, n) for n in range(10, 20)])
        meanwhile = await bench.store.window("hotel", NOON, NOON + timedelta(minutes=1))
        assert (bench.store.fallbacks, bench.store.problem is not None) == (1, True)
        await bench.clock.advance(3600)
        with influxd(tmp_path, port) as url:
            await bench.store.flush()
            after = await bench.store.window("hotel", NOON, NOON + timedelta(minutes=1))
            assert len(stored(url)) == 20

    assert meanwhile == after == {POWER_KW: [at(n, n) for n in range(20)]}
    assert (bench.store.fallbacks, bench.store.problem) == (1, None)
    assert sum("history is read from the journal" in one.getMessage() for one in caplog.records) == 1


def exported(url: str, name: str = "meter_reading_power_kw") -> list[dict[str, Any]]:
    """Return the series that VictoriaMetrics has, by its own export."""
    with httpx2.Client(trust_env=False) as http:
        http.get(f"{url}/internal/force_flush")
        answer = http.get(f"{url}/api/v1/export", params={"match[]": name})
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_version_2_writes_what_the_official_client_writes(tmp_path: Path) -> None:
    """To a server that takes version 2, our lines and influxdb-client's make the same series."""
    with victoria_metrics(tmp_path, pick_port()) as url:
        await asyncio.to_thread(write_as_specified, url, "hotel", "571", 12.5, NOON)
        async with InfluxServer(InfluxAccount(url, 2, org="site", token="t")) as server:
            reading = at(10, 13.5)
            found = await server.write(body(lines([reading], {"hotel": Tags("571")})), now=NOON)
        [series] = exported(url)

    assert found.kind == "written"
    assert series["metric"] == {
        "__name__": "meter_reading_power_kw",
        "resource_id": "hotel",
        "meter_point_id": "571",
    }
    assert dict(zip(series["timestamps"], series["values"], strict=True)) == {
        1772366400000: 12.5,
        1772366410000: 13.5,
    }


async def test_a_backlog_reaches_a_version_2_server_whole(tmp_path: Path) -> None:
    """All quantities of all resources, each value once."""
    with victoria_metrics(tmp_path, pick_port()) as url:
        bench = Bench(InfluxAccount(url, 2, org="site", token="t"))
        async with bench.server:
            await bench.put(*[at(10 * n, n, name) for n in range(1000) for name in ("hotel", "bar")])
        found = {one["metric"]["resource_id"]: one["values"] for one in exported(url)}

    assert found == {name: list(range(1000)) for name in ("hotel", "bar")}


KILLS = 6


async def test_killed_in_mid_forward_nothing_is_lost_and_nothing_doubled(
    url: str, tmp_path: Path, root: Path
) -> None:
    """After kill -9 at six moments, InfluxDB has exactly what the journal has, late readings as well."""
    path = tmp_path / "readings.db"
    moments = random.Random(3)
    first, acknowledged = 1, set()
    for _ in range(KILLS):
        said = await asyncio.to_thread(_killed, path, url, root, first, moments.uniform(0.1, 0.6))
        acknowledged |= said
        first = max(said) + 1
    tables = open_tables(path, read_only=True)
    rows = {row.value for row in tables.rows(from_ms(0), from_ms(4_000_000_000_000))}
    tables.close()
    journal = SqliteReadings(path, SystemClock())
    async with InfluxServer(InfluxAccount(url, 1)) as server:
        forwarder = Forwarder(journal, server, {"hotel": Tags("571", "ven")}, SystemClock())
        await forwarder.drain()
    await journal.close()

    there = stored(url)
    assert acknowledged <= rows
    assert sorted(value for _, value in there) == sorted(rows)
    assert all(ms == START_MS + 1000 * value for ms, value in there)


def _killed(path: Path, url: str, root: Path, first: int, after_s: float) -> set[int]:
    """Run the writer, kill it `after_s` after its first commit, return what it reported as committed."""
    command = [sys.executable, "-m", "tests.readings.influx_writer", str(path), url, str(first)]
    with ExitStack() as stack:
        process = stack.enter_context(subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True))
        assert process.stdout is not None
        killer = threading.Timer(after_s, process.kill)
        stack.callback(process.kill)
        stack.callback(killer.cancel)
        said: set[int] = set()
        for line in process.stdout:
            if killer.ident is None:
                killer.start()
            if line.endswith("\n"):
                said.add(int(line.split()[1]))
    return said
