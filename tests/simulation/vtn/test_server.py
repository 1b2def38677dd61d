"""The VTN on a real socket: conversation, faults, down times, signals."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from venclient.clock import ManualClock
from venclient.errors import ConfigError
from venclient.simulation.vtn import FOREVER, Fault, LocalVtn

pytestmark = pytest.mark.peer

VEN = {"objectType": "VEN_VEN_REQUEST", "venName": "gateway"}


class WaitedClock(ManualClock):
    """A clock that signals when a task waits on it."""

    def __init__(self) -> None:
        super().__init__()
        self.waited = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Return once the clock was advanced by `seconds`."""
        self.waited.set()
        await super().sleep(seconds)


@pytest.fixture
async def vtn() -> AsyncIterator[LocalVtn]:
    """Run a VTN on a free port, with one VEN account and one program."""
    async with LocalVtn(clients=[{"id": "gw", "secret": "s"}]) as running:
        running.add_program({"programName": "flexibility"}, object_id="flex")
        yield running


@pytest.fixture
async def http(vtn: LocalVtn) -> AsyncIterator[httpx2.AsyncClient]:
    """Return a client of the VTN that sends a good token."""
    async with httpx2.AsyncClient(base_url=vtn.url) as client:
        await sign_in(client)
        vtn.exchanges.clear()
        yield client


async def sign_in(client: httpx2.AsyncClient) -> None:
    """Get a token and send it from now on."""
    server = (await client.get("/auth/server")).json()["tokenURL"]
    form = {"grant_type": "client_credentials", "client_id": "gw", "client_secret": "s"}
    client.headers["Authorization"] = (
        "Bearer " + (await client.post(server, data=form)).json()["access_token"]
    )


async def test_a_ven_reports(vtn: LocalVtn, http: httpx2.AsyncClient) -> None:
    """Registration, event and report over HTTP are seen from the program's side."""
    event = vtn.add_event({"programID": "flex", "intervals": [{"id": 0, "payloads": []}]})
    ven = (await http.post("/vens", json=VEN)).json()
    resource = {"objectType": "VEN_RESOURCE_REQUEST", "resourceName": "meter", "venID": ven["id"]}
    assert (await http.post("/resources", json=resource)).status_code == 201
    assert (await http.get("/events")).json() == [event] == vtn.events
    report = {"eventID": event["id"], "clientName": "gw", "resources": []}
    answer = await http.post("/reports", json=report)
    assert vtn.reports == [answer.json()]
    assert (vtn.vens, [row["resourceName"] for row in vtn.resources]) == ([ven], ["meter"])
    assert [(row.method, row.path, row.status) for row in vtn.exchanges][-1] == ("POST", "/reports", 201)


async def test_events_change_and_go(vtn: LocalVtn, http: httpx2.AsyncClient) -> None:
    """Business logic's changes through Python are seen over HTTP."""
    event = vtn.add_event({"programID": "flex", "eventName": "a"})
    vtn.change_event(event["id"], eventName="b")
    (seen,) = (await http.get("/events")).json()
    assert seen["eventName"] == "b"
    assert seen["modificationDateTime"] > event["modificationDateTime"]
    vtn.delete_event(event["id"])
    assert (await http.get("/events")).json() == []
    with pytest.raises(LookupError):
        vtn.delete_event(event["id"])


async def test_grants_reveal_targeted_events(vtn: LocalVtn, http: httpx2.AsyncClient) -> None:
    """A target granted to the ven shows its events."""
    vtn.add_event({"programID": "flex", "targets": ["zone"]})
    ven = (await http.post("/vens", json=VEN)).json()
    assert (await http.get("/events")).json() == []
    vtn.grant(ven["id"], "zone")
    assert len((await http.get("/events")).json()) == 1


async def test_status_fault(vtn: LocalVtn, http: httpx2.AsyncClient) -> None:
    """A status fault strikes as often as planned, where planned, with Retry-After."""
    vtn.faults.append(Fault(method="GET", path="^/vens", times=2, status=429, retry_after_s=7))
    assert (await http.get("/programs")).status_code == 200
    answers = [await http.get("/vens") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["retry-after"] == "7"
    assert vtn.faults[0].hits == 2


async def test_fault_after_some_good_answers(vtn: LocalVtn, http: httpx2.AsyncClient) -> None:
    """A fault can wait for the second page."""
    vtn.faults.append(Fault(path="/vens", skip=1, times=FOREVER, status=503))
    assert [(await http.get("/vens")).status_code for _ in range(3)] == [200, 503, 503]


async def test_latency_fault_waits_on_the_clock() -> None:
    """Latency passes on the VTN's clock: a test advances it instead of waiting."""
    clock = WaitedClock()
    async with LocalVtn(clock=clock, anonymous=True) as vtn, httpx2.AsyncClient(base_url=vtn.url) as http:
        vtn.faults.append(Fault(latency_s=30))
        answer = asyncio.create_task(http.get("/programs"))
        await clock.waited.wait()
        assert not answer.done()
        await clock.advance(30)
        assert (await answer).status_code == 200


@pytest.mark.parametrize(("cut", "stored"), [("before", 0), ("after", 1)])
async def test_cut_connections(vtn: LocalVtn, http: httpx2.AsyncClient, cut: Any, stored: int) -> None:
    """A cut leaves the client without an answer, before or after the effect was stored."""
    vtn.faults.append(Fault(method="POST", cut=cut))
    with pytest.raises(httpx2.TransportError):
        await http.post("/vens", json=VEN)
    assert len(vtn.vens) == stored
    assert vtn.exchanges[-1].status is None
    assert (await http.get("/vens")).status_code == 200


async def test_expired_tokens(vtn: LocalVtn, http: httpx2.AsyncClient) -> None:
    """Expired tokens are 401 until a new one is got."""
    vtn.expire_tokens()
    assert (await http.get("/vens")).status_code == 401
    await sign_in(http)
    assert (await http.get("/vens")).status_code == 200


async def test_down_and_up_again(vtn: LocalVtn, http: httpx2.AsyncClient) -> None:
    """Stopped, it refuses connections; started, it is at the same port with all objects and tokens."""
    await http.post("/vens", json=VEN)
    url = vtn.url
    await vtn.stop()
    with pytest.raises(httpx2.ConnectError):
        await http.get("/vens")
    await vtn.start()
    assert vtn.url == url
    assert len((await http.get("/vens")).json()) == 1


async def test_stops_at_once_with_a_request_hanging() -> None:
    """An idle connection and a request that waits forever do not hold up the end."""
    clock = WaitedClock()
    async with httpx2.AsyncClient() as http:
        async with LocalVtn(clock=clock, anonymous=True) as vtn:
            await http.get(f"{vtn.url}/programs")
            vtn.faults.append(Fault(latency_s=1e6))
            hanging = asyncio.create_task(http.get(f"{vtn.url}/programs"))
            await clock.waited.wait()
        # The request waits on a clock that stands still: leaving the block did not wait for it.
        with pytest.raises(httpx2.TransportError):
            await hanging


async def test_signals_stay_with_the_program(vtn: LocalVtn) -> None:
    """Serving does not take over Ctrl-C from the program around it."""
    assert signal.getsignal(signal.SIGINT) is not None
    assert "uvicorn" not in getattr(signal.getsignal(signal.SIGINT), "__module__", "")


async def test_a_taken_port_is_a_configuration_error(vtn: LocalVtn) -> None:
    """A port that is in use is named, with what to do."""
    with pytest.raises(ConfigError, match=f"{vtn.port}.*VEN-SIM-058"):
        async with LocalVtn(vtn.port):
            pass


async def test_base_path_can_be_empty_and_state_kept(tmp_path: Path) -> None:
    """Without a base path the API is at the root; a state file keeps objects between two runs."""
    for expected in (1, 2):
        async with LocalVtn(base_path="/", state=tmp_path / "vtn.jsonl", anonymous=True) as vtn:
            vtn.add_program({"programName": f"p{expected}"})
            async with httpx2.AsyncClient() as http:
                answer = await http.get(f"http://127.0.0.1:{vtn.port}/programs")
            assert len(answer.json()) == expected


def test_command_serves_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    """The command prints URL, clients and accepted reports, hides seeded secrets, and ends with status 0."""
    seed = {
        "clients": [{"id": "gw", "secret": "hush"}],
        "programs": [{"id": "flex", "programName": "flexibility"}],
        "events": [{"id": "ask", "programID": "flex"}],
    }
    (tmp_path / "seed.json").write_text(json.dumps(seed))
    code = "import typer; from venclient.cli.simulate_vtn import vtn; typer.run(vtn)"
    command = [sys.executable, "-c", code, "--port", "0", "--seed", str(tmp_path / "seed.json")]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    root = Path(__file__).resolve().parents[3]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=root) as process:
        assert process.stdout is not None
        try:
            head = [process.stdout.readline() for _ in range(3)]
            url = re.sub(r"^VTN at ", "", head[0]).strip()
            assert head[1:] == ["  client gw (VEN)\n", "  1 program, 1 event; press Ctrl-C to stop\n"]
            form = {"grant_type": "client_credentials", "client_id": "gw", "client_secret": "hush"}
            with httpx2.Client(base_url=url) as http:
                token = http.post("/auth/token", data=form).json()["access_token"]
                report = {"eventID": "ask", "clientName": "gw", "reportName": "r-1", "resources": []}
                http.post("/reports", json=report, headers={"Authorization": f"Bearer {token}"})
                assert "report r-1 accepted from gw" in process.stdout.readline()
                process.send_signal(signal.SIGINT)
                assert process.wait(60) == 0
            assert process.stdout.read() == "stopped\n"
        finally:
            process.kill()
