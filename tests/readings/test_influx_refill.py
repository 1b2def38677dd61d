"""`ven readings mirror`: filling an InfluxDB from the journal again, and what stops it."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.fakes.influx import MemoryInflux, RecordedInflux, recorded_influx
from tests.readings.influx_bench import AWAY
from tests.readings.influx_contract import METERS, Site
from venclient.cli import main
from venclient.clock import ManualClock
from venclient.errors import StoreError
from venclient.model.reading import POWER_KW, Quality, Reading
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.readings.refill import TRIES
from venclient.readings.sqlite import SqliteReadings
from venclient.readings.tables import Tables, open_tables
from venclient.registry.database import ResourceDatabase

DAY = timedelta(days=1)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

Ven = Callable[..., tuple[int, str]]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Return a site with a day of hours of two meters."""
    made = Site(tmp_path)
    await made.store([made.at(timedelta(hours=n), n, name) for n in range(24) for name in METERS[:2]])
    yield made
    await made.journal.close()


@pytest.fixture
def tables(site: Site) -> Iterator[Tables]:
    """Return its journal, opened to be read while the site has it open."""
    with closing(open_tables(site.path, read_only=True)) as opened:
        yield opened


def state(site: Site) -> Path:
    """Return the file of a run that was not finished."""
    return site.path.with_name("mirror")


async def test_only_what_is_not_older_than_the_date_is_sent(site: Site, tables: Tables) -> None:
    """The moment itself is."""
    influx = MemoryInflux()
    await site.refill(tables, influx, timedelta(hours=5)).run()

    assert influx.values(METERS[0]) == [5, 4, 3, 2, 1, 0]
    assert not state(site).exists()


async def test_a_run_that_stopped_continues_where_it_was(site: Site, tables: Tables) -> None:
    """InfluxDB goes away in the middle, for longer than a few tries."""
    influx = MemoryInflux()

    async def goes_away() -> None:
        if len(influx.points) >= 24:
            influx.down = AWAY

    influx.before_answer = goes_away
    task = asyncio.create_task(site.refill(tables, influx, DAY, batch=4).run())
    while not task.done():
        await site.clock.advance(30)
    with pytest.raises(StoreError, match="VEN-INF-086"):
        await task
    assert influx.attempts - len(influx.writes) == TRIES
    influx.down, influx.before_answer = None, None
    before = sum(influx.writes)

    again = site.refill(tables, influx, DAY, batch=4)
    assert again.continued
    await again.run()
    assert (influx.values(METERS[0]), influx.values(METERS[1])) == ([*range(23, -1, -1)],) * 2
    assert sum(influx.writes) - before < 48
    assert not state(site).exists()


@pytest.mark.parametrize("changed", ["date", "bucket", "file"])
async def test_another_run_starts_at_its_date(site: Site, tables: Tables, changed: str) -> None:
    """What another bucket or date came to, or a broken file says, is not taken for this run."""
    influx = MemoryInflux()
    first = site.refill(tables, influx, DAY)
    first._note()
    if changed == "file":
        state(site).write_bytes(b"\xff{")
    bucket = MemoryInflux("another") if changed == "bucket" else influx

    second = site.refill(tables, bucket, timedelta(hours=3) if changed == "date" else DAY)
    assert not second.continued
    await second.run()
    assert len(bucket.points) == (8 if changed == "date" else 48)


async def test_an_interrupted_run_notes_how_far_it_came(site: Site, tables: Tables) -> None:
    """Ctrl-C costs nothing of what was done."""
    influx = MemoryInflux()
    stop = asyncio.Event()

    async def interrupt() -> None:
        stop.set()
        await asyncio.sleep(0)

    influx.before_answer = interrupt
    task = asyncio.create_task(site.refill(tables, influx, DAY, batch=4).run())
    await stop.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    influx.before_answer = None

    again = site.refill(tables, influx, DAY)
    assert again.continued
    await again.run()
    assert len(influx.points) == 48


async def test_what_was_sent_with_another_quality_is_replaced(site: Site, tables: Tables) -> None:
    """The journal says good where the bucket may still say estimated."""
    influx = MemoryInflux()
    forwarder = site.forwarder(influx)
    now = site.clock.now()
    await site.store([Reading(METERS[0], POWER_KW, 1, now, Quality.ESTIMATED)], forwarder)
    await forwarder.drain()
    await site.stop(forwarder)
    site.journal.add([Reading(METERS[0], POWER_KW, 2, now)])
    await site.journal.flush()
    with closing(open_tables(site.path, read_only=True)) as later:
        await site.refill(later, influx, DAY).run()

    assert influx.at(METERS[0], now) == {"power_kw": 2, "power_kw_quality": "good"}


async def test_a_resource_that_the_registry_does_not_have_is_left_out(site: Site) -> None:
    """As the gateway leaves it out."""
    await site.store([site.at(timedelta(hours=1), 1, "sold")])
    influx = MemoryInflux()
    with closing(open_tables(site.path, read_only=True)) as later:
        await site.refill(later, influx, DAY).run()

    assert influx.values("sold") == []


# ---- the command


@pytest.fixture
def influx() -> Iterator[RecordedInflux]:
    """Return a server of recorded answers."""
    with recorded_influx() as running:
        yield running


@pytest.fixture
async def ven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, influx: RecordedInflux) -> Ven:
    """Return `ven` in a folder with a registry of one resource and ten minutes of readings of two."""
    monkeypatch.chdir(tmp_path)
    Path("meter.csv").write_text("")
    connection = Connection(ConnectionType.FILEREADER, ActorType.READER, file="meter.csv")
    with ResourceDatabase("resources.db") as registry:
        registry.upsert_resource(Resource("hotel", "Hotel", "DSR", None, "57", connection, {}, {}))
    clock = ManualClock(NOON)
    journal = SqliteReadings(Path("readings.db"), clock)
    for name in ("hotel", "sold"):
        journal.add([Reading(name, POWER_KW, n, NOON + timedelta(minutes=n)) for n in range(10)])
    await journal.close()
    parts = [
        '[ven]\nname = "v"\n[vtn]\nurl = "https://vtn.example.com"\n',
        '[registry]\ndatabase = "resources.db"\n[readings]\npath = "readings.db"\n',
        f'[influx]\nurl = "{influx.url}"\norg = "site"\ntimeout_s = 5\n',
    ]
    Path("ven.toml").write_text("".join(parts))

    def call(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["ven", "readings", "mirror", *words])
        output = io.StringIO()
        with redirect_stdout(output), redirect_stderr(output), pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code if isinstance(ended.value.code, int) else 0, output.getvalue()

    return call


@pytest.mark.peer
async def test_the_command_sends_what_the_registry_has(ven: Ven, influx: RecordedInflux) -> None:
    """From the date on, with the tags of the registry, and a summary."""
    influx.answer(204)
    status, output = await asyncio.to_thread(ven, "--since", "2026-03-01T12:05Z")

    [asked] = influx.asked
    assert asked.path == "/api/v2/write"
    lines = asked.body.split("\n")
    assert [line.split(" ")[1] for line in lines] == [f"power_kw={n}.0" for n in range(5, 10)]
    assert lines[0].startswith("meter_reading,meter_point_id=57,resource_id=hotel,ven=v ")
    assert status == 0
    assert "5 readings of 1 resource since 2026-03-01T12:05:00Z" in output


@pytest.mark.peer
async def test_rejected_readings_are_counted_and_the_status_is_1(ven: Ven, influx: RecordedInflux) -> None:
    """Also what is older than the bucket keeps."""
    influx.answer(422, '{"message":"partial write: points beyond retention policy dropped=10"}')
    status, output = await asyncio.to_thread(ven, "--since", "2026-03-01")

    assert (status, len(influx.asked)) == (1, 1)
    assert "10 readings rejected" in output
    assert "VEN-INF-085" in output


@pytest.mark.peer
@pytest.mark.parametrize(
    ("words", "change", "code"),
    [
        (("--since", "yesterday"), None, "VEN-CLM-046"),
        (("--since", "2199-01-01"), None, "VEN-INF-081"),
        (("--since", "2026-03-01"), ("[influx]\nurl = ", "[influx]\nbucket = "), "VEN-INF-080"),
    ],
)
async def test_a_command_that_cannot_work_says_why(
    ven: Ven, influx: RecordedInflux, words: tuple[str, ...], change: tuple[str, str] | None, code: str
) -> None:
    """Nothing is sent."""
    if change is not None:
        settings = Path("ven.toml")
        settings.write_text(settings.read_text().replace(*change))
    status, output = await asyncio.to_thread(ven, *words)

    assert (status, influx.asked) == (2, [])
    assert code in output


@pytest.mark.peer
async def test_without_readings_of_that_time_it_says_so(ven: Ven, influx: RecordedInflux) -> None:
    """Nothing to do does not fail."""
    status, output = await asyncio.to_thread(ven, "--since", "2026-03-02")

    assert (status, influx.asked) == (0, [])
    assert "2026-03-02" in output
