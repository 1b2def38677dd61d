"""Killed while the file is compressed or upgraded: nothing is lost, nothing is there twice."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import apsw
import pytest

from tests.counted import full_count
from tests.readings.compactor import DAY, late
from venclient.model.reading import POWER_KW, Reading
from venclient.readings.layout import STEPS, VERSION
from venclient.readings.tables import open_tables

KILLS = full_count(10)

UPGRADER = """
import os, signal, sys
import apsw
countdown = int(sys.argv[2])
def trace(cursor, sql, bindings):
    global countdown
    countdown -= 1
    if countdown < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return True
class Traced(apsw.Connection):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.exec_trace = trace
apsw_connection, apsw.Connection = apsw.Connection, Traced
from venclient.readings.tables import open_tables
open_tables(sys.argv[1])
print("upgraded")
"""


def first_layout(path: Path, readings: int) -> None:
    """Make a file as the first generation of this layout had it."""
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA page_size=1024")
    connection.execute(f"{STEPS[1]} PRAGMA application_id={0x56454E52}; PRAGMA user_version=1;")
    connection.execute("INSERT INTO series VALUES(1, 'hotel', 'power_kw', NULL)")
    start_ms = int(DAY.timestamp() * 1000)
    connection.executemany(
        "INSERT INTO reading(k, v) VALUES(?, ?)",
        [(start_ms + 1000 * n << 20 | 1, n / 10) for n in range(readings)],
    )
    connection.close()


def expected(readings: int) -> list[Reading]:
    """Return the readings that `first_layout` stored."""
    return [Reading("hotel", POWER_KW, n / 10, DAY + timedelta(seconds=n)) for n in range(readings)]


def test_older_file_is_read_without_changing_it(tmp_path: Path) -> None:
    """A file of the first layout can be looked at by commands while an older service writes it."""
    path = tmp_path / "readings.db"
    first_layout(path, 50)

    tables = open_tables(path, read_only=True)
    found = list(tables.rows(DAY, DAY + timedelta(days=1)))
    tables.close()

    assert found == expected(50)
    assert apsw.Connection(str(path)).execute("PRAGMA user_version").fetchall() == [(1,)]


@pytest.mark.peer
@pytest.mark.timeout(600)
def test_upgrade_killed_at_any_statement_loses_nothing(tmp_path: Path, root: Path) -> None:
    """Wherever an upgrade is cut short, the file is of the old layout or of the new one, whole."""
    path = tmp_path / "readings.db"
    first_layout(path, 50)
    versions = set()
    for countdown in range(40):
        done = subprocess.run(
            [sys.executable, "-c", UPGRADER, str(path), str(countdown)],
            cwd=root, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        probe = open_tables(path, read_only=True)
        assert list(probe.rows(DAY, DAY + timedelta(days=1))) == expected(50)
        assert probe.check() == []
        versions.update(probe.connection.execute("PRAGMA user_version").fetchall())
        probe.close()
        if done.stdout == "upgraded\n":
            break
        assert done.returncode == -9, done.stderr
    assert versions == {(1,), (VERSION,)}
    assert countdown > 5


@pytest.mark.peer
@pytest.mark.timeout(600)
def test_killed_compression_loses_nothing_and_doubles_nothing(tmp_path: Path, root: Path) -> None:
    """After each kill the file is sound and holds exactly what was committed, late readings too."""
    path = tmp_path / "readings.db"
    tables = open_tables(path)
    came = [
        Reading(name, POWER_KW, float(minute), DAY + timedelta(minutes=minute))
        for minute in range(12 * 60)
        for name in ("hotel", "bar", "school")
    ]
    tables.write(came, {}, now=DAY + timedelta(days=1))
    tables.close()
    moments = random.Random(7)
    number, steps = 0, 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.readings.compactor", str(path), str(number)],
            cwd=root,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        killer = threading.Timer(moments.uniform(0.0, 0.1), process.kill)
        said = []
        try:
            for line in process.stdout:
                if killer.ident is None:
                    killer.start()
                said.append(line)
        finally:
            killer.cancel()
            process.kill()
            process.wait(60)
            process.stdout.close()
        steps += said.count("d\n")
        acknowledged = [int(line.split()[1]) for line in said if line.startswith("c ")]
        number = max(acknowledged, default=number - 1) + 1

        tables = open_tables(path, read_only=True)
        found = list(tables.rows(DAY, DAY + timedelta(days=2)))
        assert tables.check() == []
        tables.close()
        # The one that was being committed when the kill came may be there or not.
        known = [*came, *(late(n) for n in range(number))]
        assert len(found) == len({(one.resource_id, one.time) for one in found})
        assert {(one.resource_id, one.time, one.value) for one in found} - {
            ("late", late(number).time, late(number).value)
        } == {(one.resource_id, one.time, one.value) for one in known}
    assert steps > KILLS
    assert number > KILLS
