"""A site whose meters are known to the last watt, and the gateway process that reads it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.interop.vtn import SECRET
from venclient.errors import StoreError
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.registry.database import ResourceDatabase
from venclient.status import ask

LIMIT_S = 400.0
#: How often a gateway that is notified asks: what it knows before the deadline was in a notification.
RARELY_S = 3600
#: Within this time registration is not read again unasked: what it knows of a grant was in a notification.
UNASKED_S = 240.0
#: How often a meter writes while the test runs.
STEP_S = 0.5
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Meter:
    """A meter file of a load that never changes: its register is time times power, exactly."""

    def __init__(self, folder: Path, number: int, power_kw: float, **resource: Any) -> None:
        self.name = f"Meter {number}"
        self.power_kw = power_kw
        self.silent = False
        self.resource = Resource(
            f"resource-{number}",
            self.name,
            resource.pop("kind", "DSR"),
            "Hotels",
            f"meter-{number}",
            Connection(
                ConnectionType.FILEREADER,
                ActorType.READER,
                file=f"meter-{number}.csv",
                options={"format": "csv", "interval_s": 0.5},
            ),
            {"P_max_kw": 400, "P_min_kw": -100, "E_max_kwh": 100, "E_min_kwh": 0},
            {"latitude": 56.1, "longitude": 9.0},
            enabled=True,
            ven="Herning",
            **resource,
        )
        self._file = folder / f"meter-{number}.csv"
        self._missed: list[datetime] = []
        self._file.write_text("time,power_kw,energy_kwh\n", encoding="utf-8")

    def energy_kwh(self, length: timedelta) -> float:
        """Return what it draws in a time of that length."""
        return self.power_kw * length.total_seconds() / 3600

    def write(self, moments: Sequence[datetime]) -> None:
        """Write a row for each moment, at once."""
        rows = (
            f"{moment.isoformat()},{self.power_kw},{1000 + self.energy_kwh(moment - _EPOCH):.9f}\n"
            for moment in moments
        )
        with self._file.open("a", encoding="utf-8") as file:
            file.write("".join(rows))

    def tick(self, moment: datetime) -> None:
        """Write the row of now; a silent meter keeps it to itself."""
        if self.silent:
            self._missed.append(moment)
        else:
            self.write([moment])

    def catch_up(self) -> None:
        """Write what was kept while it was silent, and go on."""
        self.silent = False
        missed, self._missed = self._missed, []
        self.write(missed)


class Site:
    """Some meters, and the registry that knows them."""

    def __init__(self, folder: Path, meters: Sequence[Meter]) -> None:
        self.folder = folder
        self.meters = list(meters)
        self.store()

    def store(self) -> None:
        """Bring the registry to what the meters' resources say."""
        with ResourceDatabase(str(self.folder / "resources.db")) as registry:
            for meter in self.meters:
                registry.upsert_resource(meter.resource)

    def history(self, length: timedelta, step: timedelta = timedelta(minutes=15)) -> datetime:
        """Write what the meters did until now; give the last full step before now."""
        now = datetime.now(UTC)
        last = now - (now - _EPOCH) % step
        moments = [last - length + n * step for n in range(length // step + 1)]
        for meter in self.meters:
            meter.write(moments)
        return last

    async def run(self) -> None:
        """Write a row for each meter, at each half second, until cancelled."""
        while True:
            now = datetime.now(UTC)
            wait_s = STEP_S - now.timestamp() % STEP_S
            await asyncio.sleep(wait_s)  # real processes read along: no test clock can be turned
            moment = now + timedelta(seconds=wait_s)
            for meter in self.meters:
                meter.tick(moment)

    @property
    def names(self) -> list[str]:
        """The names of the resources."""
        return [meter.name for meter in self.meters]


@contextlib.asynccontextmanager
async def running(site: Site) -> Any:
    """Let a site's meters write for as long as the block lasts."""
    task = asyncio.create_task(site.run())
    try:
        yield site
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class Gateway:
    """`ven run` on the files of a folder, as VEN `name`; ven.toml is written again at each start."""

    def __init__(self, folder: Path, vtn_url: str, name: str = "interop") -> None:
        self.folder = folder
        self.name = name
        self.process: asyncio.subprocess.Process | None = None
        self.settings: dict[str, dict[str, Any]] = {
            "ven": {"name": name, "resources": "Herning"},
            "vtn": {
                "url": vtn_url,
                "client_id": name,
                "client_secret": "env:INTEROP_SECRET",
                "allow_http": True,
                "poll_s": 0.5,
            },
            "readings": {"commit_s": 0.5},
            "reporting": {"settle_s": 1.5},
        }

    def _lines(self) -> Iterator[str]:
        for table, members in self.settings.items():
            yield f"[{table}]"
            for name, value in members.items():
                quoted = f'"{value}"' if isinstance(value, str) else str(value).lower()
                yield f"{name} = {quoted}"

    async def start(self) -> None:
        """Start it."""
        (self.folder / "ven.toml").write_text("\n".join(self._lines()) + "\n", encoding="utf-8")
        with (self.folder / "gateway.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "venclient", "run", "--config", str(self.folder / "ven.toml")),
                env={**os.environ, "INTEROP_SECRET": SECRET},
                stdout=log,
                stderr=log,
            )

    async def command(self, *words: str) -> tuple[int, str]:
        """Run another `ven` command with the same settings; give its exit status and what it printed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "venclient", *words, "--config", str(self.folder / "ven.toml")),
            env={**os.environ, "INTEROP_SECRET": SECRET},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(LIMIT_S):
            printed, _ = await process.communicate()
        return process.returncode or 0, printed.decode()

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and give the exit status."""
        if self.process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        async with asyncio.timeout(60):
            return await self.process.wait()

    async def restart(self) -> None:
        """Stop and start it."""
        await self.stop()
        await self.start()

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
        return (self.folder / "gateway.log").read_text(encoding="utf-8")

    async def registered(self) -> dict[str, Any]:
        """Return its snapshot once all resources are registered and the VTN was listened to."""
        return dict(
            await self.until(
                lambda s: (
                    s["vtn"]["state"] == "connected" and s["ven"]["registered"] == s["ven"]["resources"] and s
                ),
                "everything registered",
            )
        )

    async def knows(self, events: int) -> None:
        """Return once it knows this number of events."""
        await self.until(lambda s: s["events"]["known"] == events, f"{events} events known")

    async def until(self, holds: Callable[[dict[str, Any]], Any], what: str) -> Any:
        """Return the value of `holds` on the snapshot once it is true; fail, with the log, on timeout."""
        return await until(lambda: (status := self.status) and holds(status), what, log=lambda: self.log)


async def until(
    holds: Callable[[], Any], what: str, *, within_s: float = LIMIT_S, log: Callable[[], str] = str
) -> Any:
    """Return the value of `holds` once it is true; on timeout, fail with what was waited for."""
    deadline = asyncio.get_running_loop().time() + within_s
    while asyncio.get_running_loop().time() < deadline:
        if found := holds():
            return found
        await asyncio.sleep(0.1)  # other processes are at work: no clock of ours turns them
    pytest.fail(f"not in {within_s} s: {what}\n{log()[-3000:]}")


def soon(in_s: float = 2.0) -> datetime:
    """Return the next whole second that is at least `in_s` ahead."""
    return datetime.fromtimestamp(int(datetime.now(UTC).timestamp() + in_s) + 1, UTC)
