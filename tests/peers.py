"""Real peers for tests: how each is found and started on loopback, and what happens where one is missing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

import pytest


def missing(what: str) -> NoReturn:
    """Skip the test, saying why; where nothing may be skipped (VEN_TEST_ALL=1, as CI sets), fail instead."""
    if os.environ.get("VEN_TEST_ALL") == "1":
        pytest.fail(f"{what}, and VEN_TEST_ALL=1 allows no skips")
    pytest.skip(what)


def pick_port() -> int:
    """Return an unused TCP port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find_mosquitto() -> str:
    """Return the path of Debian's mosquitto broker, or skip."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        missing("mosquitto is not installed (apt-get install mosquitto)")
    return found


def wait_for_port(port: int, *, within_s: float = 60.0) -> None:
    """Return once something accepts on 127.0.0.1:port; fail the test when nothing does in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        with closing(socket.socket()) as probe:
            probe.settimeout(0.5)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)  # a real process is starting: no test clock can be turned
    pytest.fail(f"nothing listens on 127.0.0.1:{port} after {within_s} s")


def wait_for_text(file: Path, text: str, *, within_s: float = 60.0) -> str:
    """Return what a process wrote to `file` once `text` is in it; fail the test on timeout."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if file.exists() and text in (found := file.read_text(encoding="utf-8")):
            return found
        time.sleep(0.02)  # another process is at work: no test clock can be turned
    pytest.fail(f"{text!r} is not in {file} after {within_s} s")


@contextmanager
def mosquitto(folder: Path, port: int, *lines: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run mosquitto on 127.0.0.1:port with persistence in `folder`; `lines` go into its configuration.

    Without lines anonymous clients are allowed. The process is ended on the way out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = [f"listener {port} 127.0.0.1", "persistence true", f"persistence_location {folder}/"]
    if os.geteuid() == 0:
        text.insert(0, "user root")
    text += lines or ("allow_anonymous true",)
    config = folder / "mosquitto.conf"
    config.write_text("\n".join(text) + "\n")
    with (folder / "mosquitto.log").open("ab") as log:
        process = subprocess.Popen([find_mosquitto(), "-c", str(config)], stdout=log, stderr=log)
    try:
        wait_for_port(port)
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        wait_or_kill(process)


def wait_or_kill(process: subprocess.Popen[bytes]) -> None:
    """Return when a process that was asked to end has ended; one that does not within a minute is killed."""
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(60)


def find_postgresql() -> Path:
    """Return the folder of PostgreSQL's programs, the newest that is installed, or skip."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda one: int(one.parts[-3]))
    found = folders[-1] if folders else shutil.which("initdb")
    if found is None:
        missing("PostgreSQL is not installed (apt-get install postgresql)")
    return Path(found).parent


_INITDB = (
    *("--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"),
    *("--auth-local=trust", "--auth-host=scram-sha-256"),
)


def _wait_until(command: list[str | Path], *, within_s: float = 60.0) -> None:
    """Return once a command says yes; fail the test when it does not in time."""
    deadline = time.monotonic() + within_s
    while subprocess.run(command, check=False).returncode != 0:
        if time.monotonic() > deadline:
            pytest.fail(f"{command[0]} still says no after {within_s} s")
        time.sleep(0.02)  # a real process is starting: no test clock can be turned


@contextmanager
def postgresql(folder: Path, programs: Path | None = None) -> Iterator[str]:
    """Run a PostgreSQL server whose data are in `folder`; give the URL of its database "postgres".

    It listens on a socket in a separate folder and on a port of 127.0.0.1 (`?host=` and `&port=` of the
    URL name both), lets the superuser "postgres" in by the socket, and asks others for their password.
    It refuses to run as root: root starts it as the user "postgres". It is ended on the way out.
    `programs` is the folder of its programs, Debian's newest unless given.
    """
    programs = programs or find_postgresql()
    who: list[str] = []
    # Paths of sockets are short, and the user "postgres" may not enter root's temporary folders.
    with tempfile.TemporaryDirectory(prefix="ven-pg-") as short:
        place = Path(short)
        if os.geteuid() == 0:
            runuser = shutil.which("runuser", path="/usr/sbin:/sbin:/usr/bin:/bin")
            if runuser is None:
                missing("root needs runuser to start PostgreSQL (apt-get install util-linux)")
            who = [runuser, "-u", "postgres", "--"]
            shutil.chown(place, "postgres")
        data = place / "data"
        made = subprocess.run(
            [*who, programs / "initdb", "-D", data, *_INITDB],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stderr
        port = pick_port()
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": str(place),
            "fsync": "off",  # what a test stores need not survive a power cut
            "shared_buffers": "16MB",
        }
        command: list[str | Path] = [*who, programs / "postgres", "-D", data]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "postgresql.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")
        try:
            wait_for_port(port, within_s=180)
            _wait_until([programs / "pg_isready", "-q", "-h", place, "-p", str(port)], within_s=180)
            yield f"postgresql://postgres@/postgres?host={quote(short, safe='')}&port={port}"
        finally:
            # Told through pg_ctl, since runuser does not hand signals on; "fast" waits for no client.
            stop: list[str | Path] = [
                *who,
                programs / "pg_ctl",
                "stop",
                "-D",
                data,
                "-m",
                "fast",
                "-w",
                "-t",
                "20",
            ]
            subprocess.run(stop, cwd="/", capture_output=True, check=False)
            wait_or_kill(process)


@contextmanager
def _server(
    program: str, package: str, port: int, command: list[str], folder: Path, **more: str
) -> Iterator[None]:
    found = shutil.which(program)
    if found is None:
        missing(f"{program} is not installed (apt-get install {package})")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{program}.log").open("ab") as log:
        process = subprocess.Popen([found, *command], stdout=log, stderr=log, env={**os.environ, **more})
    try:
        wait_for_port(port)
        yield
    finally:
        process.terminate()
        wait_or_kill(process)


@contextmanager
def influxd(folder: Path, port: int, **settings: str) -> Iterator[str]:
    """Run Debian's InfluxDB 1 on 127.0.0.1:port with its data in `folder`; give its URL.

    `settings` are environment variables as influxd reads them, without INFLUXDB_. It is ended on the way out.
    """
    chosen = {
        "HTTP_BIND_ADDRESS": f"127.0.0.1:{port}",
        "BIND_ADDRESS": f"127.0.0.1:{pick_port()}",
        "META_DIR": str(folder / "meta"),
        "DATA_DIR": str(folder / "data"),
        "DATA_WAL_DIR": str(folder / "wal"),
        "MONITOR_STORE_ENABLED": "false",
        **settings,
    }
    more = {f"INFLUXDB_{name}": value for name, value in chosen.items()}
    with _server("influxd", "influxdb", port, ["-config", "/dev/null"], folder, **more):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def victoria_metrics(folder: Path, port: int) -> Iterator[str]:
    """Run Debian's VictoriaMetrics, which takes writes of InfluxDB 2, on 127.0.0.1:port; give its URL."""
    command = [
        f"-httpListenAddr=127.0.0.1:{port}",
        f"-storageDataPath={folder / 'data'}",
        "-retentionPeriod=100y",
        "-search.latencyOffset=0s",
    ]
    with _server("victoria-metrics", "victoria-metrics", port, command, folder):
        yield f"http://127.0.0.1:{port}"
