"""File systems that hang: their files are dark, and everything else goes on."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.connectors.sites import make_resource, make_site
from tests.connectors.test_file import HEAD, row
from tests.waiting import wait_until
from venclient.connectors import file as file_module
from venclient.connectors.file import open_file_reader
from venclient.connectors.file_workers import FileWorkers
from venclient.errors import ConnectFailed
from venclient.model.resource import ConnectionType

HERE, THERE = Path("/here"), Path("/there")
SOON_S = 0.01
LONG_S = 60.0


@pytest.fixture
def hang() -> Iterator[threading.Event]:
    """Return an event that hanging work waits for, set at the end."""
    event = threading.Event()
    yield event
    event.set()


async def hung(workers: FileWorkers, event: threading.Event, folder: Path = HERE) -> None:
    """Let one thread hang in a folder, and give it up."""
    began = threading.Event()

    def work() -> None:
        began.set()
        event.wait()

    task = asyncio.create_task(workers.run(folder, work, within_s=LONG_S))
    await asyncio.to_thread(began.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_results_and_errors_come_through() -> None:
    """What the work returns or raises is what the caller gets."""

    def failing() -> None:
        raise LookupError

    workers = FileWorkers()
    assert await workers.run(HERE, lambda: 5, within_s=LONG_S) == 5
    with pytest.raises(LookupError):
        await workers.run(HERE, failing, within_s=LONG_S)
    assert workers.abandoned == 0


async def test_work_that_hangs_is_abandoned_and_its_folder_left_alone(hang: threading.Event) -> None:
    """Nothing more is begun there; another folder is served, also where all threads hung."""
    workers = FileWorkers(most=1)
    await hung(workers, hang)
    began: list[int] = []
    with pytest.raises(ConnectFailed, match="VEN-FIL-034"):
        await workers.run(HERE, lambda: began.append(1), within_s=LONG_S)

    assert began == []
    assert workers.abandoned == 1
    assert await workers.run(THERE, lambda: 5, within_s=LONG_S) == 5


async def test_a_folder_that_answers_again_is_served_again(hang: threading.Event) -> None:
    """Once the abandoned thread has returned."""
    workers = FileWorkers(most=1)
    await hung(workers, hang)
    hang.set()
    await asyncio.to_thread(wait_until, lambda: workers.abandoned == 0, "it returned")
    assert await workers.run(HERE, lambda: 5, within_s=LONG_S) == 5


async def test_cancelled_work_is_abandoned(hang: threading.Event) -> None:
    """The caller returns at once, whatever the thread does; shutting down waits for no file."""
    workers = FileWorkers(most=1)
    await hung(workers, hang)
    assert workers.abandoned == 1


async def test_work_without_an_answer_is_an_error(hang: threading.Event) -> None:
    """After the limit the caller gets the error that names the folder."""
    with pytest.raises(ConnectFailed, match="VEN-FIL-034"):
        await FileWorkers().run(HERE, hang.wait, within_s=SOON_S)


async def test_work_that_was_not_begun_is_dropped(hang: threading.Event) -> None:
    """What waited for a thread until its time was over is never done."""
    workers = FileWorkers(most=1)
    began = threading.Event()

    def work() -> None:
        began.set()
        hang.wait()

    first = asyncio.create_task(workers.run(HERE, work, within_s=LONG_S))
    await asyncio.to_thread(began.wait)
    done: list[int] = []
    with pytest.raises(ConnectFailed):
        await workers.run(THERE, lambda: done.append(1), within_s=SOON_S)
    hang.set()
    await first
    assert await workers.run(THERE, lambda: 5, within_s=LONG_S) == 5
    assert (done, workers.abandoned) == ([], 0)


async def test_a_bound_on_threads_that_hang(hang: threading.Event) -> None:
    """With too many of them no more are begun."""
    workers = FileWorkers(most=1, most_abandoned=2)
    for folder in (HERE, THERE):
        await hung(workers, hang, folder)
    with pytest.raises(ConnectFailed, match="VEN-FIL-034"):
        await workers.run(Path("/third"), lambda: 5, within_s=LONG_S)


async def test_a_hanging_file_meter_leaves_the_others_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hang: threading.Event
) -> None:
    """One mount hangs: its meter says so, loses no row, and a meter elsewhere is read."""
    monkeypatch.setattr(file_module, "ANSWER_WITHIN_S", SOON_S)
    workers = FileWorkers(most=1)
    monkeypatch.setattr(file_module, "WORKERS", workers)
    for name in ("mount", "disk"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "meter.csv").write_text(HEAD + row(1, 5))
    readers = {
        name: open_file_reader(
            make_resource(ConnectionType.FILEREADER, name=name, file=f"{name}/meter.csv"), make_site(tmp_path)
        )
        for name in ("mount", "disk")
    }
    opened = os.open

    def hanging(path: Any, *more: Any, **named: Any) -> int:
        if "mount" in str(path):
            hang.wait()
        return opened(path, *more, **named)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", hanging)
        for _ in range(2):
            with pytest.raises(ConnectFailed, match="VEN-FIL-034"):
                await readers["mount"].read()
        monkeypatch.setattr(file_module, "ANSWER_WITHIN_S", LONG_S)
        assert [one.value for one in (await readers["disk"].read()).readings] == [5.0]
        hang.set()
        await asyncio.to_thread(wait_until, lambda: not workers.abandoned, "it returned")
    assert [one.value for one in (await readers["mount"].read()).readings] == [5.0]


ENDING = """
import asyncio, threading
from pathlib import Path
from venclient.connectors.file_workers import WORKERS

async def main():
    began = threading.Event()
    task = asyncio.create_task(
        WORKERS.run(Path("/here"), lambda: (began.set(), threading.Event().wait()), within_s=3600)
    )
    await asyncio.to_thread(began.wait)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

asyncio.run(main())
print("ended")
"""


@pytest.mark.peer
def test_a_process_ends_although_a_file_hangs(root: Path) -> None:
    """No thread is joined at the end that will never return."""
    done = subprocess.run(
        [sys.executable, "-c", ENDING], cwd=root, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.returncode) == ("ended\n", 0)
