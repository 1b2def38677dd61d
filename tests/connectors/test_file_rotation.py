"""Files that are rotated in every usual way while they are followed, and between two looks."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.connectors.test_file import HEAD, read_all, reader_of, row, values, write
from venclient.connectors.base import Batch
from venclient.connectors.file_access import Access

_moments = count(1_700_000_000)


def grow(folder: Path, *numbers: int, anew: bool = False) -> None:
    """Write some rows to meter.csv, each later than all files before."""
    write(folder, (HEAD if anew else "") + "".join(row(n, n) for n in numbers), "w" if anew else "a")
    moment = next(_moments)
    os.utime(folder / "meter.csv", (moment, moment))


async def look(folder: Path, marks: dict[str, str]) -> list[float]:
    """Return what a reader that was just started reads."""
    batch: Batch = await read_all(reader_of(folder, marks=marks), marks)
    assert batch.rejects == []
    return values(batch)


def by_number(folder: Path) -> None:
    """Rename meter.csv to .1, .1 to .2 and so on."""
    for number in range(8, 0, -1):
        if (folder / f"meter.csv.{number}").exists():
            (folder / f"meter.csv.{number}").rename(folder / f"meter.csv.{number + 1}")
    (folder / "meter.csv").rename(folder / "meter.csv.1")


def by_date(folder: Path) -> None:
    """Rename meter.csv by a date at its end."""
    (folder / "meter.csv").rename(folder / f"meter.csv-202606{next(_moments) % 100:02}")


def before_the_ending(folder: Path) -> None:
    """Rename meter.csv by a date before .csv."""
    (folder / "meter.csv").rename(folder / f"meter-202606{next(_moments) % 100:02}.csv")


@pytest.mark.parametrize("rotate", [by_number, by_date, before_the_ending])
@pytest.mark.parametrize("times", [1, 2, 4])
async def test_files_rotated_away_while_nobody_looked_are_read(
    tmp_path: Path, rotate: Callable[[Path], None], times: int
) -> None:
    """After several rotations the rest of the old file, those in between and the new one are read."""
    marks: dict[str, str] = {}
    grow(tmp_path, 1, 2, anew=True)
    assert await look(tmp_path, marks) == [1.0, 2.0]
    grow(tmp_path, 3)
    for turn in range(times):
        rotate(tmp_path)
        grow(tmp_path, 10 + turn, anew=True)

    assert await look(tmp_path, marks) == [3.0, *(10.0 + turn for turn in range(times))]
    grow(tmp_path, 30)
    assert await look(tmp_path, marks) == [30.0]


async def test_a_file_that_was_all_read_before_its_rotation(tmp_path: Path) -> None:
    """When nothing was left in the old file, the ones after it are read all the same."""
    marks: dict[str, str] = {}
    grow(tmp_path, 1, anew=True)
    assert await look(tmp_path, marks) == [1.0]
    by_number(tmp_path)
    grow(tmp_path, 2, anew=True)
    by_number(tmp_path)
    grow(tmp_path, 3, anew=True)

    assert await look(tmp_path, marks) == [2.0, 3.0]


async def test_copied_and_truncated(tmp_path: Path) -> None:
    """The rest of a file that was copied away and emptied is read from its copy, then what is new."""
    marks: dict[str, str] = {}
    grow(tmp_path, 1, 2, anew=True)
    assert await look(tmp_path, marks) == [1.0, 2.0]
    grow(tmp_path, 3, 4)
    shutil.copy2(tmp_path / "meter.csv", tmp_path / "meter.csv.1")
    with (tmp_path / "meter.csv").open("w"):
        pass
    assert await look(tmp_path, marks) == [3.0, 4.0]
    grow(tmp_path, 5, anew=True)
    assert await look(tmp_path, marks) == [5.0]
    grow(tmp_path, 6)
    assert await look(tmp_path, marks) == [6.0]


async def test_truncated_without_a_copy(tmp_path: Path) -> None:
    """Where the copy is gone or compressed only what was not read before is lost; what is new is read."""
    marks: dict[str, str] = {}
    grow(tmp_path, 1, 2, anew=True)
    assert await look(tmp_path, marks) == [1.0, 2.0]
    grow(tmp_path, 3)
    (tmp_path / "meter.csv.1.gz").write_bytes(gzip.compress((tmp_path / "meter.csv").read_bytes()))
    grow(tmp_path, 4, anew=True)

    assert await look(tmp_path, marks) == [4.0]


async def test_truncated_while_it_is_read(tmp_path: Path) -> None:
    """A file emptied between two looks at a backlog is read from its new start, and nothing breaks."""
    write(tmp_path, HEAD + "".join(row(n % 60, n) for n in range(12_000)))
    reader = reader_of(tmp_path)
    assert len((await reader.read()).readings) == 4999
    write(tmp_path, HEAD + row(1, 77))

    assert values(await read_all(reader)) == [77.0]


async def test_other_files_beside_are_left_alone(tmp_path: Path) -> None:
    """Backups and other meters' files in the same folder are never taken for a rotation."""
    marks: dict[str, str] = {}
    grow(tmp_path, 1, anew=True)
    assert await look(tmp_path, marks) == [1.0]
    by_number(tmp_path)
    for name in ("meter.csv.bak", "meter2.csv", "meter.csv~", "other.csv.1", "meter.csv.1.gz"):
        (tmp_path / name).write_text(HEAD + row(9, 9))
        moment = next(_moments)
        os.utime(tmp_path / name, (moment, moment))
    grow(tmp_path, 2, anew=True)

    assert await look(tmp_path, marks) == [2.0]


async def test_a_neighbour_that_may_not_be_read_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in the same folder that is not ours to read does not hide the rotated one."""
    marks: dict[str, str] = {}
    grow(tmp_path, 1, anew=True)
    assert await look(tmp_path, marks) == [1.0]
    grow(tmp_path, 2)
    by_number(tmp_path)
    (tmp_path / "meter.csv.0").write_text("of somebody else\n")
    grow(tmp_path, 3, anew=True)
    opened = Access.open

    def refusing(access: Access, path: Path) -> Any:
        if path.name == "meter.csv.0":
            raise PermissionError(13, "Permission denied")
        return opened(access, path)

    monkeypatch.setattr(Access, "open", refusing)

    assert await look(tmp_path, marks) == [2.0, 3.0]
