"""A drop folder whose reader is killed while it reads, commits and moves."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.connectors.test_file import HEAD, row
from tests.connectors.test_file_drop import drop
from tests.counted import full_count
from tests.waiting import wait_until

KILLS = full_count(6)
KILLED_UNTIL = KILLS + 2

CONSUMER = """
import asyncio, sqlite3, sys
from pathlib import Path
from tests.connectors.sites import make_site
from tests.connectors.test_file_drop import resource_of
from venclient.connectors.file import open_file_reader

async def main(folder):
    database = sqlite3.connect(f"{folder}/seen.db", isolation_level=None)
    marks = dict(database.execute("SELECT key, value FROM marks"))
    reader = open_file_reader(resource_of(), make_site(Path(folder), bookmarks=marks))
    while True:
        batch = await reader.read()
        database.execute("BEGIN IMMEDIATE")
        rows = [(reading.value,) for reading in batch.readings]
        database.executemany("INSERT INTO seen VALUES (?)", rows)
        database.executemany("REPLACE INTO marks VALUES (?, ?)", batch.bookmarks.items())
        database.execute("COMMIT")
        batch.acknowledge()

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.peer
def test_kills_at_any_moment_read_each_row_once(root: Path, tmp_path: Path) -> None:
    """Of files of many rows each row is stored exactly once although the reader is killed again and again."""
    files, rows = max(40, 7 * KILLS), 600
    database = sqlite3.connect(tmp_path / "seen.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE seen (value REAL)")
    database.execute("CREATE TABLE marks (key TEXT PRIMARY KEY, value TEXT)")

    def seen() -> int:
        return int(database.execute("SELECT count(*) FROM seen").fetchone()[0])

    def has_seen(enough: int) -> bool:
        return seen() >= enough

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", CONSUMER, str(tmp_path)], cwd=root)

    for number in range(files):
        text = "".join(row(n % 60, number * rows + n) for n in range(rows))
        drop(tmp_path, f"{number:03}.csv", HEAD + text)
    consumer = start()
    try:
        for kill in range(1, KILLS + 1):
            wait_until(partial(has_seen, files * rows * kill // KILLED_UNTIL), "rows were read")
            consumer.send_signal(signal.SIGKILL)
            consumer.wait(60)
            consumer = start()
        done = tmp_path / "in" / "done"
        wait_until(lambda: len(list(done.glob("*.csv"))) >= files, "all files are done")
    finally:
        consumer.kill()
        consumer.wait(60)
    found = [value for (value,) in database.execute("SELECT value FROM seen ORDER BY value")]
    database.close()
    assert found == [float(n) for n in range(files * rows)]
