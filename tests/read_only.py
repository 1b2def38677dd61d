"""A site whose files cannot be written, with its newest changes in unmerged logs, and commands run there."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.registry.objects import make_connection, make_resource
from tests.reporting.bench import Bench
from tests.reporting.samples import EACH, event
from venclient.model.reading import Reading
from venclient.model.resource import ConnectionType
from venclient.readings.tables import open_tables
from venclient.registry.database import ResourceDatabase
from venclient.reporting.rows import OutboxView, Selection

SETTINGS = """
[ven]
name = "Herning"
[vtn]
url = "https://vtn.invalid/openadr3/3.1.1"
client_id = "site"
client_secret = "env:VEN_TEST_SECRET"
[registry]
database = "config/resources.db"
"""
METER = "time,power_kw\n2026-03-01T12:00:00Z,4.5\n"
SITES = "resource_id;title;lat;lon\nnew;New;56.1;9.1\nin-the-log;Other name;56.14;8.97\n"


def with_log(live: Path, target: Path) -> None:
    """Copy a database as a power cut leaves it: with its log, without what SQLite shares."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for ending in ("", "-wal", ".key"):
        if Path(f"{live}{ending}").exists():
            shutil.copy(f"{live}{ending}", f"{target}{ending}")
    assert Path(f"{target}-wal").stat().st_size > 0


def make_site(folder: Path, live: Path) -> str:
    """Make the files of a site whose newest changes are in logs; return the name of its report."""
    meter = make_connection(type=ConnectionType.FILEREADER, file="meter.csv", username=None, password=None)
    live.mkdir()
    with ResourceDatabase(live / "resources.db") as db:
        db.upsert_resource(make_resource("merged", connection=meter))
    with closing(sqlite3.connect(live / "resources.db", isolation_level=None)) as driver:
        driver.execute("PRAGMA wal_autocheckpoint = 0")
        driver.execute(
            "INSERT INTO resources SELECT NULL, 'in-the-log', resource_name, resource_type,"
            " resource_sub_type, meter_point_id, connection_id, capacities, location, address, ven, enabled,"
            " reporting, created_at, updated_at, control_connection_id, version FROM resources"
        )
        with_log(live / "resources.db", folder / "config" / "resources.db")
    now = datetime.now(UTC) - timedelta(minutes=1)
    with closing(open_tables(live / "readings.db")) as tables:
        tables.write([Reading("merged", "power_kw", 7.25, now)], {}, now=now)
        with_log(live / "readings.db", folder / "var" / "readings.db")
    bench = Bench(live)
    bench.list_events(event(1, EACH))
    asyncio.run(bench.run_to(3))
    with_log(live / "state.db", folder / "var" / "state.db")
    bench.close()
    with closing(OutboxView(live / "state.db")) as view:
        (report,) = view.select(Selection())
    (folder / "ven.toml").write_text(SETTINGS)
    (folder / "sites.csv").write_text(SITES)
    (folder / "config" / "meter.csv").write_text(METER)
    return report.key


def entries(folder: Path) -> list[str]:
    """Return the names of all that is in a folder."""
    return sorted(str(one.relative_to(folder)) for one in folder.rglob("*"))


#: Runs a program for which file modes count, also when root starts it: without CAP_DAC_OVERRIDE.
OBEYING = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(24, 1, 0, 0, 0); os.execvp(sys.argv[1], sys.argv[1:])"
)


def obeying_modes(command: list[str]) -> list[str]:
    """Return the command as one that file modes restrict."""
    return [sys.executable, "-c", OBEYING, *command]


def by_mode(
    folder: Path, command: list[str], environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command in folders and on files without write permission."""
    places = [folder, *folder.rglob("*")]
    for one in places:
        one.chmod(0o555 if one.is_dir() else 0o444)
    try:
        return subprocess.run(
            obeying_modes(command),
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        for one in places:
            one.chmod(0o755 if one.is_dir() else 0o644)


MOUNTED = """
set -e
mount -t tmpfs none "$1"
cp -R "$2"/. "$1"/
mount -o remount,ro "$1"
cd "$1"
shift 2
exec "$@"
"""


def by_mount(
    folder: Path, command: list[str], environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command on a copy that is mounted read-only."""
    unshare = shutil.which("unshare")
    if (
        unshare is None
        or subprocess.run([unshare, "-m", "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("mount namespaces are not allowed here")
    mount = folder.with_name("mount")
    mount.mkdir(exist_ok=True)
    words = [unshare, "-m", "sh", "-c", MOUNTED, "sh", str(mount), str(folder), *command]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
