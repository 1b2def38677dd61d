"""Real peers for tests: how each is found and started on loopback, and what happens where one is missing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip the test, saying why; where nothing may be skipped (VEN_TEST_ALL=1, as CI sets), fail instead."""
    if os.environ.get("VEN_TEST_ALL") == "1":
        pytest.fail(f"{what}, and VEN_TEST_ALL=1 allows no skips")
    pytest.skip(what)


def pick_port() -> int:
    """Give a TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find_mosquitto() -> str:
    """Give the path of Debian's mosquitto broker, or skip."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        missing("mosquitto is not installed (apt-get install mosquitto)")
    return found


def wait_for_port(port: int, *, within_s: float = 10.0) -> None:
    """Return once something accepts on 127.0.0.1:port; fail the test when nothing does in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        with closing(socket.socket()) as probe:
            probe.settimeout(0.5)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)  # a real process is starting: there is no clock of ours to turn
    pytest.fail(f"nothing listens on 127.0.0.1:{port} after {within_s} s")


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
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
