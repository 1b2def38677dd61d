"""Every snippet of the specification, run as written; only names that it leaves undefined are supplied."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import venclient
from flex_resources import ActorType, Connection, ConnectionType, Resource
from resource_db import ResourceDatabase
from tests.contract.snippets import MARKS, snippet, snippets

RESOURCE_ID = "5249eada-69af-432d-99a5-98f9c89f9aa6"
DATABASE = Path("config/resources.db")


def make_resource(resource_id: str, kind: str, ven: str) -> Resource:
    """Build a resource that reads the last row of a file."""
    connection = Connection(ConnectionType.FILEREADER, ActorType.READER, file="meter.csv")
    connection.options = {
        "format": "csv",
        "delimiter": ";",
        "decimal": ".",
        "time": {"columns": ["time"], "format": "iso", "zone": "UTC"},
        "values": [{"column": "power_kw", "quantity": "power_kw"}],
    }
    capacities = {"P_max_kw": 50, "P_min_kw": -20, "E_max_kwh": 200, "E_min_kwh": 0}
    location = {"latitude": 56.14, "longitude": 8.97}
    return Resource(
        resource_id, "Site", kind, "Hotels", "707057500000000015", connection, capacities, location, ven=ven
    )


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with config/resources.db and one meter file."""
    monkeypatch.chdir(tmp_path)
    with ResourceDatabase() as db:
        db.bulk_insert_resources(
            [
                make_resource(RESOURCE_ID, "DSR", "Herning"),
                make_resource("ev-1", "EV", "Herning"),
                make_resource("ev-2", "EV", "Ikast"),
            ]
        )
    for folder in (tmp_path, tmp_path / "config"):
        (folder / "meter.csv").write_text(
            "time;power_kw\n2026-01-05T00:00:00Z;11.5\n2026-01-05T00:15:00Z;12.5\n"
        )
    return tmp_path


def shell(text: str, folder: Path, stdin: str | None = None) -> str:
    """Return what a shell prints for `text`, with this Python first in its path."""
    package = str(Path(venclient.__file__).resolve().parents[1])
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": package,
    }
    done = subprocess.run(
        ["bash", "-ec", text],
        cwd=folder,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_snippet_is_known(shared: Path) -> None:
    """Each snippet in a language is one that a test of this folder runs."""
    for one in snippets(shared):
        if one.language:
            assert [name for name, mark in MARKS.items() if mark in one.text], one.text


def test_tables_are_as_written(shared: Path, site: Path) -> None:
    """A new database has every column of the specification: its type, whether it must be set, its default."""
    with closing(sqlite3.connect(":memory:")) as wanted, closing(sqlite3.connect(DATABASE)) as ours:
        for table in ("connections", "resources"):
            wanted.execute(snippet(shared, table))
            columns = [
                [
                    (row[1], row[2], row[3] or row[5], row[4], row[5])  # a primary key is never null
                    for row in connection.execute(f"PRAGMA table_info({table})")
                ]
                for connection in (wanted, ours)
            ]
            assert columns[1][: len(columns[0])] == columns[0]
            keys = [
                {tuple(row[2:5]) for row in connection.execute(f"PRAGMA foreign_key_list({table})")}
                for connection in (wanted, ours)
            ]
            assert keys[0] <= keys[1]


@pytest.mark.parametrize("column", ["resource_id", "meter_point_id", "resource_type", "ven"])
def test_indexes_are_as_written(site: Path, column: str) -> None:
    """The four indexes that the specification names are there, each on its column."""
    with closing(sqlite3.connect(DATABASE)) as connection:
        found = connection.execute(f"PRAGMA index_info(idx_{column})").fetchall()

    assert [row[2] for row in found] == [column]


@pytest.mark.peer
def test_prepare_and_demo(shared: Path, root: Path, tmp_path: Path) -> None:
    """The scripts build the database, print its statistics, and tour it; a second build changes nothing."""
    scripts = ("prepare_samples.py", "demo_db_usage.py", "resource_db.py", "flex_resources.py")
    for name in scripts:
        if not (root / name).is_file():
            pytest.skip(f"{name} belongs to a checkout, and this is none")
        shutil.copy(root / name, tmp_path)
    shutil.copytree(root / "config" / "exampleassets", tmp_path / "config" / "exampleassets")

    prepared = shell(snippet(shared, "prepare"), tmp_path)
    toured = shell(snippet(shared, "demo"), tmp_path)

    with ResourceDatabase(tmp_path / DATABASE) as db:
        total = db.get_statistics()["total_resources"]
        before = db.get_all_resources()
        assert total >= 400
        assert f"{total} resources" in prepared
        assert f"{total} resources" in toured
        shell(snippet(shared, "prepare"), tmp_path)
        assert db.get_all_resources() == before


@pytest.mark.peer
def test_demo_without_a_database(shared: Path, root: Path, tmp_path: Path) -> None:
    """Without a database the tour says what to run first."""
    if not (root / "demo_db_usage.py").is_file():
        pytest.skip("demo_db_usage.py belongs to a checkout, and this is none")
    shutil.copy(root / "demo_db_usage.py", tmp_path)

    printed = shell(f"{snippet(shared, 'demo').strip()} 2>&1 || true", tmp_path)

    assert "python prepare_samples.py" in printed
    assert "Traceback" not in printed


def test_queries(shared: Path, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The query example runs and finds what is there."""
    names: dict[str, Any] = {}

    exec(snippet(shared, "queries"), names)

    assert len(names["all_resources"]) == 3
    assert [r.resourceID for r in names["ev_resources"]] == ["ev-1", "ev-2"]
    assert len(names["herning_resources"]) == 2
    assert names["resource"].resourceID == RESOURCE_ID
    assert capsys.readouterr().out.splitlines() == [
        "Total resources: 3",
        "By type: {'EV': 2, 'DSR': 1}",
        "Top VENs: {'Herning': 2, 'Ikast': 1}",
    ]
    names["db"].close()


@pytest.mark.parametrize("name", ["wal", "cache"])
def test_pragmas(shared: Path, site: Path, name: str) -> None:
    """The tuning examples run on the connection that the registry lends."""
    with ResourceDatabase() as db, db.get_connection() as connection:
        exec(snippet(shared, name), {"conn": connection})

        assert connection.execute("PRAGMA journal_mode").fetchone()["journal_mode"] == "wal"
        assert connection.execute("PRAGMA cache_size").fetchone()["cache_size"] == -8000


@pytest.mark.peer
def test_backup_by_copy(shared: Path, site: Path) -> None:
    """A plain copy of the file has all that was stored, also while a program has it open."""
    with ResourceDatabase() as db:
        db.upsert_resource(make_resource("late", "PV", "Ikast"))

        shell(snippet(shared, "copy"), site)

        everything = db.get_all_resources()
    with ResourceDatabase("config/resources.db.backup") as backup:
        assert backup.get_all_resources() == everything


@pytest.mark.peer
def test_integrity_check(shared: Path, site: Path) -> None:
    """The integrity check passes, by the sqlite3 program or, without one, by the same SQL."""
    text = snippet(shared, "integrity")
    if shutil.which("sqlite3"):
        assert shell(text, site) == "ok\n"
    else:
        with closing(sqlite3.connect(DATABASE)) as connection:
            assert connection.execute(text.split('"')[1]).fetchall() == [("ok",)]


@pytest.mark.peer
def test_contents(shared: Path, site: Path) -> None:
    """The session with the sqlite3 program shows the tables, and counts the resources."""
    command, *session = snippet(shared, "contents").splitlines()
    if shutil.which("sqlite3"):
        shown = shell(command, site, stdin="\n".join(session) + "\n")
        assert "connections" in shown
        assert "CREATE TABLE resources" in shown
        assert shown.rstrip().endswith("3")
    else:
        with closing(sqlite3.connect(DATABASE)) as connection:
            assert connection.execute(session[-1]).fetchall() == [(3,)]


def test_reset(shared: Path, site: Path) -> None:
    """The reset example empties the default database."""
    names: dict[str, Any] = {}

    exec(snippet(shared, "reset"), names)

    assert names["db"].get_all_resources() == []
    names["db"].close()


@pytest.fixture
def influx() -> Iterator[tuple[str, list[str]]]:
    """Run a server that takes InfluxDB's line protocol; return its address and the lines that it was sent."""
    lines: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            lines.append(f"{self.path} {body.decode()}")
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", lines
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the example's utcnow, and its client's imports
def test_influx(shared: Path, site: Path, influx: tuple[str, list[str]]) -> None:
    """The integration example reads the meter and writes its power to InfluxDB."""
    from influxdb_client.client.influxdb_client import InfluxDBClient
    from influxdb_client.client.write.point import Point
    from influxdb_client.client.write_api import SYNCHRONOUS

    from venclient.connectors import read_meter

    url, lines = influx
    with InfluxDBClient(url=url, token="t", org="o") as client:
        names: dict[str, Any] = {
            "resource_id": RESOURCE_ID,
            "read_meter": read_meter,
            "Point": Point,
            "datetime": datetime,
            "write_api": client.write_api(write_options=SYNCHRONOUS),
        }
        exec(snippet(shared, "influx"), names)
    names["influx_client"].close()
    names["db"].close()

    (line,) = lines
    assert "bucket=meter_data" in line
    tags = f"meter_point_id=707057500000000015,resource_id={RESOURCE_ID}"
    assert f"meter_reading,{tags} power_kw=12.5 " in line
