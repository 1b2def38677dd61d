"""`ven simulate vtn load|events|change|delete|reports` against a local VTN that runs."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.peers import pick_port
from venclient.cli import app
from venclient.cli.vtn_desk import access, access_file
from venclient.errors import ConfigError, ConnectFailed
from venclient.simulation.vtn import LocalVtn

pytestmark = pytest.mark.peer

SEED = """
[[programs]]
programName = "flexibility"
[[events]]
program = "flexibility"
eventName = "usage"
intervalCount = 3
intervalPeriod = { start = "2026-01-01T00:00:00Z", duration = "PT10S" }
intervals = [{ payloads = [{ type = "SIMPLE", values = [0] }] }]
reportDescriptors = [{ payloadType = "USAGE" }]
"""


@pytest.fixture
def vtn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LocalVtn]:
    """Run a local VTN in a thread, with the file that lets its user in."""
    import asyncio

    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    clients = [{"id": "bl-1", "secret": "s", "role": "bl"}, {"id": "ven-1", "secret": "v"}]
    server = LocalVtn(pick_port(), clients=clients)
    left, ended = threading.Event(), threading.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with server:
            with access(server.port, server.url, "bl-1", "s"):
                left.set()
                while not ended.is_set():  # noqa: ASYNC110  set from another thread
                    await asyncio.sleep(0.02)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert left.wait(60)  # the file is left after the port is open
        yield server
    finally:
        ended.set()
        thread.join()
        loop.close()


def ven(server: LocalVtn, *words: str) -> tuple[int, str]:
    """Type a command, and give its status and what it printed."""
    done = CliRunner().invoke(app, ["simulate", "vtn", *words, "--port", str(server.port)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def test_events_are_loaded_listed_changed_and_withdrawn(vtn: LocalVtn, tmp_path: Path) -> None:
    """What a seed file holds can be added to a VTN that runs, and events changed by name."""
    (tmp_path / "seed.toml").write_text(SEED)
    status, output = ven(vtn, "load", str(tmp_path / "seed.toml"))
    assert (status, "usage: 3 intervals from 2026-01-01T00:00:00Z, each PT10S; wants USAGE" in output) == (
        0,
        True,
    )
    ven(vtn, "change", "usage", '{"priority": 2, "duration": null}')
    assert json.loads(ven(vtn, "events", "--json")[1])[0]["priority"] == 2
    ven(vtn, "delete", "usage")
    assert ven(vtn, "events") == (0, "no events; add some with `ven simulate vtn load FILE`\n")


def test_what_cannot_be_loaded_is_told_and_stops_no_other(vtn: LocalVtn, tmp_path: Path) -> None:
    """A wrong event is refused with its reason and exit status 1; the right one before it is there."""
    (tmp_path / "seed.toml").write_text(SEED + '[[events]]\nprogram = "none"\n')
    status, output = ven(vtn, "load", str(tmp_path / "seed.toml"))
    assert status == 1
    assert "'none' [VEN-SIM-106]" in output
    assert len(vtn.events) == 1


def test_reports_are_listed_with_their_values(vtn: LocalVtn, tmp_path: Path) -> None:
    """Each resource's intervals and payloads are shown."""
    (tmp_path / "seed.toml").write_text(SEED)
    ven(vtn, "load", str(tmp_path / "seed.toml"))
    assert ven(vtn, "reports") == (0, "no reports yet\n")
    interval = {"id": 0, "payloads": [{"type": "USAGE", "values": [1.5]}]}
    content = {
        "eventID": vtn.events[0]["id"],
        "clientName": "c",
        "reportName": "r-1",
        "resources": [{"resourceName": "meter", "intervals": [interval]}],
    }
    vtn.service.create(vtn.clients["ven-1"], "report", json.dumps(content).encode())
    output = ven(vtn, "reports", "--event", "usage")[1]
    assert "r-1 from c" in output
    assert "  meter [0] USAGE 1.5" in output


def test_mistakes_are_said_in_a_sentence(vtn: LocalVtn) -> None:
    """An unknown event, members that are no JSON, and a port without a VTN."""
    with pytest.raises(ConfigError, match="VEN-SIM-104"):
        ven(vtn, "delete", "nothing")
    with pytest.raises(ConfigError, match="VEN-SIM-109"):
        ven(vtn, "change", "nothing", "priority=1")
    with pytest.raises(ConfigError, match="VEN-SIM-109"):
        ven(vtn, "change", "nothing", "[0]")
    access_file(vtn.port).unlink()
    with pytest.raises(ConnectFailed, match="VEN-SIM-101"):
        ven(vtn, "events")


def test_only_its_user_can_read_the_login(vtn: LocalVtn) -> None:
    """The file with the secret is for its owner alone."""
    assert access_file(vtn.port).stat().st_mode & 0o777 == 0o600


def test_a_login_that_somebody_else_left_is_not_used(vtn: LocalVtn, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder that all share, a file of another user could lead our commands to a VTN of his."""
    ours = os.getuid()
    found = access_file(vtn.port)
    monkeypatch.setattr("venclient.cli.vtn_desk.access_file", lambda _: found)
    monkeypatch.setattr("venclient.cli.vtn_desk.os.getuid", lambda: ours + 1)
    with pytest.raises(ConnectFailed, match="VEN-SIM-101"):
        ven(vtn, "events")


def test_a_name_that_is_taken_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the login cannot be left, it is said what to do."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    access_file(8081).mkdir()
    with pytest.raises(ConfigError, match="VEN-SIM-100"), access(8081, "http://vtn", "bl-1", "s"):
        pytest.fail("it was left")
