"""A power cut's nearest kin: the writing process killed again and again."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from venclient.readings.series import from_ms, to_ms
from venclient.readings.tables import open_tables

KILLS = 10
PERIOD_S = 0.2
SLACK_S = 1.5  # a loaded machine may be late with a commit


def killed_writer(path: Path, root: Path, first: int, after_s: float) -> list[str]:
    """Run the writer, kill it that many seconds after its first acknowledgement, give what it said."""
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
        process.wait(5)
        process.stdout.close()
    return said


@pytest.mark.peer
@pytest.mark.timeout(120)
def test_killed_writer_loses_nothing_it_acknowledged(tmp_path: Path, root: Path) -> None:
    """After each of ten kills every acknowledged reading is in a sound file, and of the others at most the
    last commit period is missing.
    """
    path = tmp_path / "readings.db"
    moments = random.Random(7)
    acknowledged: set[int] = set()
    first = 0
    for _ in range(KILLS):
        said = [line.split() for line in killed_writer(path, root, first, moments.uniform(0.02, 0.4))]
        acknowledged |= {int(words[1]) for words in said if words[0] == "c"}
        added = {int(words[1]): float(words[2]) for words in said if words[0] == "a"}

        tables = open_tables(path, read_only=True)
        rows = list(tables.rows(from_ms(0), from_ms(10**9)))
        problems = tables.check()
        tables.close()

        assert problems == []
        stored = {(row.resource_id, to_ms(row.time)): row.value for row in rows}
        assert all(stored[key] == key[1] for key in stored)
        assert all(("urgent", number) in stored for number in acknowledged)
        missing = [moment for number, moment in added.items() if ("polled", number) not in stored]
        assert not missing or max(added.values()) - min(missing) <= PERIOD_S + SLACK_S
        first = max(added)
    assert len(acknowledged) > KILLS
