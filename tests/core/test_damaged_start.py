"""A damaged file of reports or readings delays no start: it is quarantined, and the rest is kept."""

from __future__ import annotations

import asyncio
import errno
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.core.damages import damage
from tests.counted import full_count
from tests.registry.objects import make_connection, make_resource
from tests.reporting.bench import Bench
from tests.reporting.samples import EACH, T0, event
from venclient.clock import ManualClock
from venclient.errors import StoreError, VenError
from venclient.model.reading import Reading
from venclient.readings import tables
from venclient.readings.sqlite import SqliteReadings
from venclient.registered import Registered, RegistrySource
from venclient.registry.database import ResourceDatabase
from venclient.reporting import state_rescue
from venclient.reporting.state_rescue import open_state

TRIALS = 45 if full_count(1) == 1 else 1000


#: What brings a damaged registry back: a copy, or what can be read of it.
RESTORE = "ven db restore"


def fresh(folder: Path, source: Path, seed: int) -> Path:
    """Return a damaged copy of a file in a separate folder."""
    place = folder / str(seed)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    copy = place / source.name
    shutil.copy(source, copy)
    damage(copy, seed)
    return copy


async def reported(folder: Path) -> Bench:
    """Return a bench whose state file has sent and waiting reports on several events, closed."""
    bench = Bench(folder)
    bench.list_events(*(event(6, EACH, id_=f"E{n}") for n in range(20)))
    await bench.run_to(3.5)
    bench.close()
    return bench


@pytest.mark.timeout(300 if full_count(1) == 1 else 0)
async def test_a_damaged_state_file_stops_nothing(tmp_path: Path) -> None:
    """Whatever is damaged, both open, plan and send; nothing that the VTN has is sent once more."""
    made = tmp_path / "made"
    made.mkdir()
    bench = await reported(made)
    source, stored = bench.path, list(bench.vtn.stored)
    for seed in range(TRIALS):
        bench.path = fresh(tmp_path, source, seed)
        bench.vtn.stored = list(stored)
        book, outbox, _ = open_state(bench.path, bench.clock.now())
        book.close()
        outbox.close()
        bench.restart()
        bench.list_events(*bench.listed)
        for _ in range(4):
            await bench.reporter.step()
            await bench.clock.advance(60, settle=0)

        names = [one.report_name for one in bench.vtn.stored]
        assert len(names) == len(set(names)), seed
        assert len(bench.vtn.stored) >= len(stored)
    bench.close()


async def test_a_damaged_file_is_kept_and_told(tmp_path: Path) -> None:
    """The damaged file gets another name, and the message says what it means."""
    made = tmp_path / "made"
    made.mkdir()
    bench = await reported(made)
    raw = bench.path.read_bytes()
    bench.path.write_bytes(raw[: len(raw) // 2])
    book, outbox, said = open_state(bench.path, bench.clock.now())
    book.close()
    outbox.close()

    assert len(said) == 1
    assert "VEN-REP-146" in said[0]
    assert len(list(made.glob("state.db.corrupt-*"))) >= 1


async def test_readings_before_the_lost_end_of_a_file_are_kept(tmp_path: Path) -> None:
    """Of a file without its last pages, which SQLite refuses as a whole, most rows are taken over."""
    path = tmp_path / "readings.db"
    clock = ManualClock(T0)
    store = SqliteReadings(path, clock)
    count = 5_000
    store.add([Reading("r1", "power_kw", 1.0, T0 + timedelta(seconds=n)) for n in range(count)])
    await store.close()
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) - 10 * 1024])
    opened = SqliteReadings(path, clock)
    found = await opened.window("r1", T0, T0 + timedelta(seconds=count))
    await opened.close()
    assert len(found["power_kw"]) > count * 0.8


@pytest.mark.timeout(300 if full_count(1) == 1 else 0)
async def test_damaged_readings_stop_nothing(tmp_path: Path) -> None:
    """Whatever is damaged, the store opens and takes readings."""
    made = tmp_path / "made"
    made.mkdir()
    clock = ManualClock(T0)
    store = SqliteReadings(made / "readings.db", clock)
    for minute in range(600):
        moment = T0 - timedelta(minutes=600 - minute)
        store.add([Reading(f"r{n}", "power_kw", float(minute), moment) for n in range(8)])
    await store.flush()
    await store.upkeep()
    await store.close()
    # 103: the rows that are left lead back to earlier ones.
    for seed in (103, *range(TRIALS)):
        path = fresh(tmp_path, made / "readings.db", seed)
        opened = SqliteReadings(path, clock)
        opened.add([Reading("r1", "power_kw", 1.0, T0)])
        for _ in range(3):
            try:
                await opened.flush()
            except Exception:
                await asyncio.sleep(0)
            else:
                break
        assert opened.stats().waiting == 0, seed
        await opened.close()


@pytest.mark.timeout(300 if full_count(1) == 1 else 0)
def test_a_damaged_registry_is_read_or_names_the_command_that_restores_it(tmp_path: Path) -> None:
    """Whatever is damaged, resources are read and bad rows named, or one error says what to do."""
    made = tmp_path / "made"
    made.mkdir()
    with ResourceDatabase(str(made / "resources.db")) as registry:
        for n in range(60):
            connection = make_connection(topic=f"site/{n}")
            resource = make_resource(f"r{n}", resourceName=f"Hotel {n}", connection=connection)
            registry.insert_resource(resource, registry.insert_connection(connection))
    names = {f"r{n}" for n in range(60)}
    for seed in range(TRIALS):
        path = fresh(tmp_path, made / "resources.db", seed)
        source = RegistrySource(str(path), None, lambda: {"": None}, ManualClock(T0))
        said = ""
        try:
            found = source.read(Registered())
        except VenError as error:
            said = str(error)
        if said:
            assert RESTORE in said, seed
        else:
            assert len(names & found.resources.keys()) > len(names) // 2 or found.rejects, seed
        shutil.rmtree(path.parent)


async def test_a_full_disk_keeps_readings_in_memory_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store opens without its file, takes readings, and stores them when the disk has room."""
    clock = ManualClock(T0)
    path = tmp_path / "readings.db"
    before = SqliteReadings(path, clock)
    before.add([Reading("r1", "power_kw", 1.0, T0 - timedelta(hours=1))], bookmarks={"file": "7"})
    await before.close()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as crowded:
        crowded.setattr(tables, "prepare", full)
        store = SqliteReadings(path, clock)
        kept = store.add([Reading("r1", "power_kw", 2.0, T0)])
        with pytest.raises(StoreError):
            await store.flush()
        assert any("VEN-RDG-140" in one for one in store.stats().problems)
        assert store.newest("r1")["power_kw"].value == 2.0
        with pytest.raises(StoreError):
            await store.window("r1", T0 - timedelta(hours=2), T0)
    await store.flush()
    await kept

    found = await store.window("r1", T0 - timedelta(hours=2), T0 + timedelta(hours=1))
    assert [one.value for one in found["power_kw"]] == [1.0, 2.0]
    assert store.bookmark("file") == "7"
    assert store.stats().problems == ()
    await store.close()


async def test_a_full_disk_keeps_reports_in_memory_and_doubts_them_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy in memory takes the place of the file; at the next start what it sent is not sent again."""
    bench = await reported(tmp_path)
    path, stored = bench.path, len(bench.vtn.stored)
    usual = state_rescue._opened_or_rescued

    def full(where: Path, now: datetime) -> Any:
        if where == path:
            raise StoreError("full") from OSError(errno.ENOSPC, "No space left on device")
        return usual(where, now)

    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr(state_rescue, "_MEMORY", memory)
    with monkeypatch.context() as crowded:
        crowded.setattr(state_rescue, "_opened_or_rescued", full)
        book, outbox, said = open_state(path, bench.clock.now())
    assert "VEN-REP-147" in said[0]
    bench.path = Path(outbox.path)
    book.close()
    outbox.close()
    bench.restart()
    bench.list_events(*bench.listed)
    await bench.run_to(5.5)
    assert len(bench.vtn.stored) > stored
    bench.close()

    bench.path = path
    book, outbox, _ = open_state(path, bench.clock.now())
    book.close()
    outbox.close()
    bench.restart()
    bench.list_events(*bench.listed)
    await bench.run_to(7)
    names = [one.report_name for one in bench.vtn.stored]
    assert len(names) == len(set(names)) == 120
    bench.close()
