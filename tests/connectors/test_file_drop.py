"""The drop folder: each file once, whole, then out of the way; over kills, restarts and several readers."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.connectors.sites import make_resource, make_site
from tests.connectors.test_file import HEAD, row
from venclient.connectors.base import Batch, Reader, Site
from venclient.connectors.file import open_file_reader
from venclient.connectors.snapshot import one_shot_site, take_snapshot
from venclient.errors import ConfigError, ConnectFailed
from venclient.model.resource import ConnectionType, Resource

OLD_S = 1_600_000_000


def resource_of(file: str = "in", name: str = "Hotel Ærø", **options: Any) -> Resource:
    """Build a resource that reads a drop folder."""
    return make_resource(ConnectionType.FILEREADER, name=name, file=file, options={"drop": True, **options})


def drop(folder: Path, name: str, text: str | bytes) -> Path:
    """Put a file into the folder that was finished long ago."""
    path = folder / "in" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    os.utime(path, (OLD_S, OLD_S))
    return path


def tree(folder: Path) -> list[str]:
    """Return the names of all files in the folder and below."""
    root = folder / "in"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


async def acknowledged(batch: Batch) -> None:
    """Acknowledge a batch, and return when its file was moved."""
    batch.acknowledge()
    while moves := [task for task in asyncio.all_tasks() if task.get_name().startswith("move ")]:
        await asyncio.wait(moves)


async def read_all(reader: Reader, marks: dict[str, str] | None = None, *, keep: bool = True) -> list[Batch]:
    """Read until nothing more comes; `keep` commits and acknowledges each batch."""
    batches: list[Batch] = []
    while True:
        batch = await reader.read()
        if keep:
            if marks is not None:
                marks.update(batch.bookmarks)
            await acknowledged(batch)
        if not batch.readings and not batch.rejects and not batch.more:
            return batches
        batches.append(batch)


def values(batches: list[Batch]) -> list[float]:
    """Return all values in order."""
    return [reading.value for batch in batches for reading in batch.readings]


def reasons(batches: list[Batch]) -> list[str]:
    """Return all rejects as text."""
    return [f"{reject.place}: {reject.reason}" for batch in batches for reject in batch.rejects]


async def test_files_are_read_by_name_and_moved_when_committed(tmp_path: Path) -> None:
    """Each file is read whole, its last line too, and lies in done/ once its readings are stored."""
    drop(tmp_path, "b.csv", HEAD + row(3, 3) + row(4, 4).rstrip())
    drop(tmp_path, "a.csv", HEAD + row(1, 1) + row(2, 2))
    reader = open_file_reader(resource_of(), make_site(tmp_path))

    first = await reader.read()
    assert tree(tmp_path) == ["a.csv", "b.csv"]
    await acknowledged(first)
    assert tree(tmp_path) == ["b.csv", "done/a.csv"]
    assert values([first, *await read_all(reader)]) == [1.0, 2.0, 3.0, 4.0]
    assert tree(tmp_path) == ["done/a.csv", "done/b.csv"]
    await reader.close()


async def test_a_file_of_nothing_good_fails_with_its_reason(tmp_path: Path) -> None:
    """Other columns, other bytes, nothing: moved to failed/ with the reason beside; the rest is read."""
    drop(tmp_path, "1-columns.csv", "a;b\n1;2\n")
    drop(tmp_path, "2-empty.csv", "")
    drop(tmp_path, "3-rows.csv", HEAD + "x,1\n" * 30)
    drop(tmp_path, "4-good.csv", HEAD + row(1, 1))
    options: dict[str, Any] = {
        "values": [{"column": "power_kw", "quantity": "power_kw"}],
        "time": {"columns": ["time"]},
    }
    reader = open_file_reader(resource_of(**options), make_site(tmp_path))
    batches = await read_all(reader)
    await reader.close()

    assert values(batches) == [1.0]
    assert tree(tmp_path) == [
        "done/4-good.csv",
        *(
            f"failed/{name}{end}"
            for name in ("1-columns.csv", "2-empty.csv", "3-rows.csv")
            for end in ("", ".reason.txt")
        ),
    ]
    failed = tmp_path / "in" / "failed"
    assert "VEN-FIL-040" in (failed / "1-columns.csv.reason.txt").read_text()
    assert "nothing for this resource" in (failed / "2-empty.csv.reason.txt").read_text()
    rows = (failed / "3-rows.csv.reason.txt").read_text()
    assert "Hotel Ærø: 0 readings, 30 rejected" in rows
    assert "3-rows.csv:2: " in rows
    assert "'x'" not in rows
    assert "and 10 more" in rows
    assert any(reason.startswith("1-columns.csv: no single column") for reason in reasons(batches))


async def test_a_file_with_some_bad_rows_is_done_and_says_which(tmp_path: Path) -> None:
    """Good rows count; the bad ones are reported beside the file."""
    drop(tmp_path, "a.csv", HEAD + row(1, 1) + "oops,2\n")
    reader = open_file_reader(resource_of(), make_site(tmp_path))
    batches = await read_all(reader)
    await reader.close()

    assert values(batches) == [1.0]
    assert tree(tmp_path) == ["done/a.csv", "done/a.csv.reason.txt"]
    assert "a.csv:3: invalid time 'oops'" in (tmp_path / "in/done/a.csv.reason.txt").read_text()


async def test_a_name_that_was_there_before_is_kept(tmp_path: Path) -> None:
    """The same name again overwrites nothing in done/."""
    reader = open_file_reader(resource_of(), make_site(tmp_path))
    for power in (1, 2, 3):
        drop(tmp_path, "a.csv", HEAD + row(power, power))
        assert values(await read_all(reader)) == [float(power)]
    await reader.close()

    assert tree(tmp_path) == ["done/a.2.csv", "done/a.3.csv", "done/a.csv"]


async def test_a_file_still_being_written_waits(tmp_path: Path) -> None:
    """A file is read when it did not change between two looks; names of unfinished files are left alone."""
    reader = open_file_reader(resource_of(), make_site(tmp_path))
    path = drop(tmp_path, "a.csv", HEAD + row(1, 1))
    for name in (".hidden.csv", "b.csv.tmp", "c.csv.part", "d.csv~"):
        drop(tmp_path, name, HEAD + row(9, 9))
    path.write_text(HEAD + row(1, 1) + row(2, 2))  # written just now
    assert await reader.read() == Batch(replayable=True)
    path.write_text(HEAD + row(1, 1) + row(2, 2) + row(3, 3))
    assert await reader.read() == Batch(replayable=True)
    assert values(await read_all(reader)) == [1.0, 2.0, 3.0]
    await reader.close()

    assert "done/a.csv" in tree(tmp_path)
    assert len(tree(tmp_path)) == 5


async def test_a_pattern_chooses_files(tmp_path: Path) -> None:
    """With a pattern of names only these files are read and moved."""
    drop(tmp_path, "a.csv", HEAD + row(1, 1))
    drop(tmp_path, "b.txt", HEAD + row(2, 2))
    reader = open_file_reader(resource_of("in/*.csv"), make_site(tmp_path))

    assert values(await read_all(reader)) == [1.0]
    assert tree(tmp_path) == ["b.txt", "done/a.csv"]
    await reader.close()


async def test_a_big_file_comes_in_pieces(tmp_path: Path) -> None:
    """More rows than one batch holds are read on at once, and the file moves behind the last of them."""
    drop(tmp_path, "a.csv", HEAD + "".join(row(n % 60, n) for n in range(12_000)))
    reader = open_file_reader(resource_of(), make_site(tmp_path))
    batches = []
    for _ in range(3):
        batches.append(await reader.read())
        assert batches[-1].more is (len(batches) < 3)
        await acknowledged(batches[-1])

    assert values(batches) == [float(n) for n in range(12_000)]
    assert tree(tmp_path) == ["done/a.csv"]
    await reader.close()


async def test_what_was_not_committed_is_read_again_and_what_was_is_not(tmp_path: Path) -> None:
    """After a crash a file goes on behind the last commit; one that was all committed is only moved."""
    marks: dict[str, str] = {}
    drop(tmp_path, "a.csv", HEAD + "".join(row(n % 60, n) for n in range(6000)))
    drop(tmp_path, "b.csv", HEAD + row(1, 1))
    dying = open_file_reader(resource_of(), make_site(tmp_path, bookmarks=marks))
    committed = await dying.read()
    marks.update(committed.bookmarks)
    await dying.read()  # the rest of a.csv: read, and lost with the crash

    again = open_file_reader(resource_of(), make_site(tmp_path, bookmarks=marks))
    batches = [await again.read(), await again.read()]
    assert values([committed, *batches]) == [*map(float, range(6000)), 1.0]
    for batch in batches:
        marks.update(batch.bookmarks)  # both stored, then killed before the move

    last = open_file_reader(resource_of(), make_site(tmp_path, bookmarks=marks))
    assert await last.read() == Batch(replayable=True)
    assert tree(tmp_path) == ["done/a.csv", "done/b.csv"]


async def test_reading_on_does_not_move_what_is_not_committed(tmp_path: Path) -> None:
    """A file whose commit is due stays while the next ones are read; then each goes at its own time."""
    for name in "abc":
        drop(tmp_path, f"{name}.csv", HEAD + row(1, 1))
    reader = open_file_reader(resource_of(), make_site(tmp_path))
    batches = [await reader.read() for _ in range(4)]
    assert [len(batch.readings) for batch in batches] == [1, 1, 1, 0]
    assert tree(tmp_path) == ["a.csv", "b.csv", "c.csv"]
    await acknowledged(batches[1])
    assert tree(tmp_path) == ["a.csv", "c.csv", "done/b.csv"]
    await reader.close()


async def test_what_is_added_before_the_move_is_read_too(tmp_path: Path) -> None:
    """A file that grew after it was read, or was replaced by another, is not moved unread."""
    path = drop(tmp_path, "a.csv", HEAD + row(1, 1))
    reader = open_file_reader(resource_of(), make_site(tmp_path))
    first = await reader.read()
    with path.open("a") as file:
        file.write(row(2, 2))
    await acknowledged(first)
    assert tree(tmp_path) == ["a.csv"]
    os.utime(path, (OLD_S, OLD_S))
    second = await reader.read()
    assert values([second]) == [2.0]
    path.unlink()
    drop(tmp_path, "a.csv", HEAD + row(3, 3))
    await acknowledged(second)
    assert values(await read_all(reader)) == [3.0]
    assert tree(tmp_path) == ["done/a.csv"]
    await reader.close()


async def test_a_folder_shared_by_two_resources(tmp_path: Path) -> None:
    """An export of two meters is read by both resources, and moves when both have stored their rows."""
    text = "time,meter,power_kw\n2026-06-01T12:00:00Z,1,5\n2026-06-01T12:00:00Z,2,6\n"
    drop(tmp_path, "a.csv", text)
    site: Site = make_site(tmp_path)
    readers = [
        open_file_reader(
            resource_of(
                name=f"meter {n}",
                filter={"meter": str(n)},
                values=[{"column": "power_kw", "quantity": "power_kw"}],
            ),
            site,
        )
        for n in (1, 2)
    ]
    first, second = [await reader.read() for reader in readers]
    await acknowledged(first)
    assert tree(tmp_path) == ["a.csv"]
    assert await readers[0].read() == Batch(replayable=True)
    await acknowledged(second)

    assert [values([first]), values([second])] == [[5.0], [6.0]]
    assert tree(tmp_path) == ["done/a.csv"]
    for reader in readers:
        await reader.close()


async def test_options_that_were_wrong_read_a_waiting_file_again(tmp_path: Path) -> None:
    """Other options are another meaning: what is still in the folder is read again."""
    marks: dict[str, str] = {}
    drop(tmp_path, "a.csv", HEAD + row(1, 1))
    reader = open_file_reader(resource_of(), make_site(tmp_path, bookmarks=marks))
    marks.update((await reader.read()).bookmarks)
    scaled = [{"column": "power_kw", "quantity": "power_kw", "scale": 2}]
    other = open_file_reader(resource_of(values=scaled), make_site(tmp_path, bookmarks=marks))

    assert values(await read_all(other)) == [2.0]


async def test_telegrams_and_exports_may_be_dropped(tmp_path: Path) -> None:
    """Ready-made formats work in a drop folder as they do in a file."""
    from tests.connectors.test_telegram import measured

    drop(tmp_path, "p1.log", measured(1) + measured(2)[:300])
    reader = open_file_reader(resource_of(format="dsmr-p1"), make_site(tmp_path))
    batches = await read_all(reader)
    await reader.close()

    assert len(values(batches)) == 6
    assert tree(tmp_path) == ["done/p1.log", "done/p1.log.reason.txt"]
    assert "no last line" in reasons(batches)[0]


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """Without its folder a reader says which one it wants, and goes on when it is there."""
    reader = open_file_reader(resource_of(), make_site(tmp_path))
    with pytest.raises(ConnectFailed, match=r"VEN-FIL-023"):
        await reader.read()
    drop(tmp_path, "a.csv", HEAD + row(1, 1))
    assert values(await read_all(reader)) == [1.0]
    await reader.close()


async def test_a_folder_that_takes_no_moves_is_told_once(tmp_path: Path) -> None:
    """A file that cannot be moved is not read twice; the reason is a reject, once."""
    drop(tmp_path, "a.csv", HEAD + row(1, 1))
    (tmp_path / "in" / "done").write_text("a file in the way\n")
    os.utime(tmp_path / "in" / "done", (OLD_S, OLD_S))
    marks: dict[str, str] = {}
    reader = open_file_reader(resource_of("in/*.csv"), make_site(tmp_path, bookmarks=marks))
    batch = await reader.read()
    marks.update(batch.bookmarks)
    await acknowledged(batch)
    later = [await reader.read() for _ in range(3)]
    await reader.close()

    assert values([batch, *later]) == [1.0]
    assert len(reasons(later)) <= 1
    assert tree(tmp_path) == ["a.csv", "done"]
    (tmp_path / "in" / "done").unlink()
    again = open_file_reader(resource_of("in/*.csv"), make_site(tmp_path, bookmarks=marks))
    assert values(await read_all(again)) == []
    assert tree(tmp_path) == ["done/a.csv"]
    await again.close()


async def test_a_single_look_moves_nothing(tmp_path: Path) -> None:
    """`ven read` shows what is in the folder and leaves it to the gateway."""
    drop(tmp_path, "a.csv", HEAD + row(1, 1) + row(2, 2))
    found = await take_snapshot(resource_of(), one_shot_site(tmp_path))

    assert [reading.value for reading in found["power_kw"]] == [1.0, 2.0]
    assert tree(tmp_path) == ["a.csv"]


def test_wrong_options_are_refused_as_ever(tmp_path: Path) -> None:
    """A drop folder has the options of files, all checked."""
    with pytest.raises(ConfigError, match="VEN-CON-016"):
        open_file_reader(resource_of(drop="yes"), make_site(tmp_path))


async def test_a_move_that_takes_long_does_not_hold_up_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is moved by a thread: the event loop goes on while the file system takes its time."""
    begun, goes_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    rename = os.rename

    def slow(*arguments: Any, **options: Any) -> None:
        loop.call_soon_threadsafe(begun.set)
        goes_on.wait(30)
        rename(*arguments, **options)

    monkeypatch.setattr(os, "rename", slow)
    drop(tmp_path, "a.csv", HEAD + row(1, 1))
    reader = open_file_reader(resource_of(), make_site(tmp_path))
    batch = await reader.read()
    batch.acknowledge()
    await begun.wait()
    assert tree(tmp_path) == ["a.csv"]
    goes_on.set()
    await reader.close()

    assert tree(tmp_path) == ["done/a.csv"]
