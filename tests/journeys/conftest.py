"""A gateway process between a virtual site and a local VTN."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from venclient.clock import SystemClock
from venclient.errors import StoreError
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.registry.database import ResourceDatabase
from venclient.simulation.site import VirtualSite
from venclient.simulation.vtn import LocalVtn
from venclient.status import ask

SECRET = "journey-secret"
LIMIT_S = 400.0


def resource(number: int, kind: str = "DSR", p_max_kw: float = 40, p_min_kw: float = 0) -> Resource:
    """Return a resource without a connection."""
    return Resource(
        f"resource-{number}",
        f"Site {number}",
        kind,
        "Hotels",
        f"meter-{number}",
        Connection(ConnectionType.MODBUSTCP, ActorType.READER, "127.0.0.1"),
        {"P_max_kw": p_max_kw, "P_min_kw": p_min_kw, "E_max_kwh": 100, "E_min_kwh": 0},
        {"latitude": 56.1, "longitude": 9.0},
        enabled=True,
        ven="Herning",
    )


async def until(holds: Callable[[], Any], what: str, *, within_s: float = LIMIT_S) -> Any:
    """Return the value of `holds` once it is true; on timeout, fail with what was waited for."""
    deadline = asyncio.get_running_loop().time() + within_s
    while asyncio.get_running_loop().time() < deadline:
        if found := holds():
            return found
        await asyncio.sleep(0.05)  # other processes are at work: no clock of ours turns them
    pytest.fail(f"not in {within_s} s: {what}")


class GatewayProcess:
    """`ven run` on the files of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: asyncio.subprocess.Process | None = None

    def write(self, vtn_url: str, **extra: str) -> None:
        """Write ven.toml; `extra` replaces or adds lines of the [vtn] table."""
        vtn = {
            "url": f'"{vtn_url}"',
            "client_id": '"ven-1"',
            "client_secret": '"env:JOURNEY_SECRET"',
            "allow_http": "true",
            "poll_s": "0.5",
            **extra,
        }
        lines = "\n".join(f"{name} = {value}" for name, value in vtn.items())
        (self.folder / "ven.toml").write_text(
            f'[ven]\nname = "journey"\nresources = "Herning"\n[vtn]\n{lines}\n'
            "[readings]\ncommit_s = 2\n[reporting]\nsettle_s = 1\nallow_negative = true\n"
        )

    async def start(self) -> None:
        """Start it."""
        with (self.folder / "gateway.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "venclient",
                "run",
                "--config",
                str(self.folder / "ven.toml"),
                env={**os.environ, "JOURNEY_SECRET": SECRET},
                stdout=log,
                stderr=log,
            )

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and give the exit status."""
        if self.process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        async with asyncio.timeout(60):
            return await self.process.wait()

    @property
    def status(self) -> dict[str, Any]:
        """Return its snapshot; empty while it does not answer."""
        try:
            return ask(self.folder / "var" / "ven.sock") or {}
        except StoreError:
            return {}  # a busy machine answers later than a command waits

    @property
    def log(self) -> str:
        """Return what it logged."""
        return (self.folder / "gateway.log").read_text()


@pytest.fixture
async def vtn() -> AsyncIterator[LocalVtn]:
    """Return a local VTN with one client."""
    async with LocalVtn(clients=[{"id": "ven-1", "secret": SECRET, "role": "ven"}]) as running:
        yield running


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[VirtualSite]:
    """Return a virtual site with a meter of each kind, in the registry of the gateway's folder."""
    resources = [resource(n) for n in range(4)]
    resources.append(resource(4, "BATTERY", 60, -60))
    async with VirtualSite(resources, tmp_path, SystemClock()) as running:
        with ResourceDatabase(str(tmp_path / "resources.db")) as database:
            for meter in running.meters:
                database.upsert_resource(meter.resource)
        yield running


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[GatewayProcess]:
    """Return a gateway that is not started yet; it is ended with the test."""
    made = GatewayProcess(tmp_path)
    yield made
    if made.process is not None and made.process.returncode is None:
        await made.stop(signal.SIGKILL)


def ask_for_usage(
    vtn: LocalVtn, *, intervals: int, interval_s: int = 2, starts_in_s: float = 1.5
) -> dict[str, Any]:
    """Post a program and an event that asks for a report of USAGE and DEMAND after each interval."""
    program = vtn.add_program({"programName": "journey"})
    start = datetime.fromtimestamp(int(datetime.now(UTC).timestamp() + starts_in_s + 1), UTC)
    timing = {"startInterval": 0, "numIntervals": 1, "frequency": 1, "repeat": -1}
    event: dict[str, Any] = vtn.add_event(
        {
            "programID": program["id"],
            "intervalPeriod": {
                "start": start.isoformat().replace("+00:00", "Z"),
                "duration": f"PT{interval_s}S",
            },
            "reportDescriptors": [
                {"payloadType": "USAGE", "units": "KWH", **timing},
                {"payloadType": "DEMAND", "units": "KW", "readingType": "MEAN", **timing},
            ],
            "intervals": [
                {"id": n, "payloads": [{"type": "SIMPLE", "values": [0]}]} for n in range(intervals)
            ],
        }
    )
    return event


def told(vtn: LocalVtn) -> list[tuple[str, int]]:
    """Return (resource, interval id) of every USAGE value reported to the VTN, sorted."""
    return sorted(
        (part["resourceName"], interval["id"])
        for report in vtn.reports
        for part in report["resources"]
        for interval in part["intervals"]
        for one in interval["payloads"]
        if one["type"] == "USAGE"
    )


def spans(event: dict[str, Any], interval_s: int = 2) -> dict[int, tuple[datetime, datetime]]:
    """Return start and end of each interval of an event."""
    start = datetime.fromisoformat(event["intervalPeriod"]["start"])
    step = timedelta(seconds=interval_s)
    return {one["id"]: (start + n * step, start + (n + 1) * step) for n, one in enumerate(event["intervals"])}
