"""A power cut's nearest kin: the writing process killed again and again."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.counted import full_count
from venclient.readings.series import from_ms, to_ms
from venclient.readings.tables import open_tables

KILLS = full_count(10)
PERIOD_S = 0.2


def killed_writer(path: Path, root: Path, first: int, after_s: float) -> list[str]:
    """Run the writer, kill it `after_s` after its first acknowledgement, return its output."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.readings.writer", str(path), str(first), str(PERIOD_S)],
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
    )
    said: list[str] = []
    assert process.stdout is not None
    killer = threading.Timer(after_s, process.kill)
    try:
        for line in process.stdout:
            if line.startswith("c") and not killer.is_alive() and killer.ident is None:
                killer.start()
            if line.endswith("\n"):
                said.append(line)
    finally:
        killer.cancel()
        process.kill()
        process.wait(60)
        process.stdout.close()
    return said


@pytest.mark.peer
@pytest.mark.timeout(600)
def test_killed_writer_loses_nothing_it_acknowledged(tmp_path: Path, root: Path) -> None:
    """After each kill every acknowledged reading is in a sound file, with all that was added before it."""
    path = tmp_path / "readings.db"
    moments = random.Random(7)
    acknowledged: set[int] = set()
    first = 0
    for _ in range(KILLS):
        said = [line.split() for line in killed_writer(path, root, first, moments.uniform(0.02, 0.4))]
        committed = {int(words[1]) for words in said if words[0] == "c"}
        added = {int(words[1]) for words in said if words[0] == "a"}
        acknowledged |= committed

        tables = open_tables(path, read_only=True)
        rows = list(tables.rows(from_ms(0), from_ms(10**9)))
        problems = tables.check()
        tables.close()

        assert problems == []
        stored = {(row.resource_id, to_ms(row.time)): row.value for row in rows}
        assert all(stored[key] == key[1] for key in stored)
        assert all(("urgent", number) in stored for number in acknowledged)
        missing = {number for number in added if ("polled", number) not in stored}
        assert all(number > max(committed) for number in missing)
        first = max(added)
    assert len(acknowledged) > KILLS
