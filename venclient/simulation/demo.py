"""The demo: samples -> registry -> virtual site -> gateway -> local VTN, and a verdict at the end.

The gateway is `ven run` in a process of its own, started from a ven.toml like any other; the demo adds
the site and the VTN around it, watches it as `ven status` does, and judges it by what the VTN holds.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from venclient.clock import Clock, SystemClock
from venclient.errors import ConfigError, StoreError
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.registry.database import ResourceDatabase
from venclient.simulation.site import VirtualSite
from venclient.simulation.verdict import EnergyRow, energy_rows, verdicts
from venclient.simulation.vtn import LocalVtn
from venclient.status import ask
from venclient.view import ConnectionsTable, vtn_lines

INTERVAL_S = 10
CLIENT_ID = "demo-ven"
KEY_VARIABLE = "VEN_DEMO_KEY"
READY_WITHIN_S = 30.0
REPORTED_WITHIN_S = 15.0
SAMPLED_RESOURCES = 8
STOP_WITHIN_S = 1.5


class Demo:
    """One run of the demo; `run()` gives the exit status: 0 only if everything checked held."""

    def __init__(
        self,
        config_folder: Path,
        *,
        ven: str,
        site: Path | None,
        intervals: int,
        forever: bool,
        console: Console | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._config_folder = config_folder
        self._ven = ven
        self._site_folder = site
        self._intervals = intervals
        self._forever = forever
        self._console = console or Console()
        self._clock = clock or SystemClock()
        self._secret = secrets.token_urlsafe(24)
        self._grid: dict[int, tuple[datetime, datetime]] = {}

    async def run(self) -> int:
        """Run it all; files are kept only when a folder was named."""
        folder = self._site_folder or Path(tempfile.mkdtemp(prefix="ven-demo-"))
        folder.mkdir(parents=True, exist_ok=True)
        try:
            async with AsyncExitStack() as stack:
                return await self._run(folder.resolve(), stack)
        finally:
            if self._site_folder is None:
                shutil.rmtree(folder, ignore_errors=True)
            else:
                self._say(f"files are in {folder}: ven.toml, gateway.log, resources.db, var/readings.db")

    async def _run(self, folder: Path, stack: AsyncExitStack) -> int:
        resources = self._sample_resources()
        self._step(f"virtual site for {self._ven}: {len(resources)} resources")
        site = await stack.enter_async_context(VirtualSite(resources, folder, self._clock))
        self._say(
            f"Modbus TCP on 127.0.0.1:{site.modbus_port}, {site.broker.kind} on 127.0.0.1:{site.broker.port}"
        )
        for meter in site.meters:
            self._say(f"{meter.resource.resourceName}: {meter.resource.connection.type.name} ({meter.kind})")

        self._step("local VTN, OpenADR 3.1")
        vtn = await stack.enter_async_context(
            LocalVtn(clients=[{"id": CLIENT_ID, "secret": self._secret, "role": "ven"}])
        )
        program = vtn.add_program({"programName": "demo-flexibility"})
        self._say(vtn.url)

        self._step("gateway: ven run --config ven.toml")
        self._write_files(folder, site, vtn.url)
        gateway = await self._start_gateway(folder, stack)
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            await self._until_ready(folder, gateway, live, len(site.meters))
            event = self._ask_for_reports(vtn, program["id"])
            await self._watch(folder, gateway, live, vtn, event["id"])
        snapshot = ask(folder / "var" / "ven.sock") or {}
        return self._judge(snapshot, vtn, site)

    def _step(self, text: str) -> None:
        self._console.print(Text("==> ", "bold cyan") + Text(text, "bold"))

    def _say(self, text: str) -> None:
        self._console.print(Padding(Text(text), (0, 0, 0, 4), expand=False))

    def _sample_resources(self) -> list[Resource]:
        """Build the registry from the samples, and give the resources of one VEN, storage and PV added."""
        from venclient.registry.samples import generate_resources

        assets = self._config_folder / "exampleassets"
        if not assets.is_dir():
            raise ConfigError(
                "no sample sites here",
                subject=str(assets),
                hint="run the demo in a checkout, or name its folder with --config-folder",
            )
        self._step(f"registry from {assets}/*.csv")
        database = generate_resources(self._config_folder)
        statistics = database.get_statistics()
        self._say(f"{statistics['total_resources']} resources in {self._config_folder / 'resources.db'}")
        self._say("by type: " + ", ".join(f"{name} {count}" for name, count in statistics["by_type"].items()))
        vens = statistics["top_10_vens"]
        self._say("largest VENs: " + ", ".join(f"{name} {count}" for name, count in list(vens.items())[:5]))
        found = database.get_resources(ven=self._ven)
        database.close()
        if not found:
            known = ", ".join(vens)
            raise ConfigError(
                f"no resource has ven = {self._ven!r}", subject="--ven", hint=f"try one of {known}"
            )
        # A kind of site each, as far as they go: the first of every sub-type, then the rest.
        first = list({resource.resourceSubType: resource for resource in reversed(found)}.values())
        chosen = (first + [resource for resource in found if resource not in first])[:SAMPLED_RESOURCES]
        return [*chosen, *self._flexible_assets(chosen[0])]

    def _flexible_assets(self, host: Resource) -> list[Resource]:
        """Give a battery and a PV plant at the first site: the sample files hold neither."""
        return [
            replace(
                host,
                resourceID=f"demo-{kind.lower()}",
                resourceName=f"{name} of {host.resourceName}",
                resourceType=kind,
                resourceSubType="Demo",
                meterPointId=f"demo-{kind.lower()}",
                connection=Connection(ConnectionType.MODBUSTCP, ActorType.READER, "127.0.0.1"),
                capacities={
                    "P_max_kw": p_max_kw,
                    "P_min_kw": p_min_kw,
                    "E_max_kwh": e_max_kwh,
                    "E_min_kwh": 0,
                },
            )
            for kind, name, p_max_kw, p_min_kw, e_max_kwh in (
                ("BATTERY", "Battery", 60, -60, 200),
                ("PV", "Rooftop PV", 0, -90, 0),
            )
        ]

    def _write_files(self, folder: Path, site: VirtualSite, vtn_url: str) -> None:
        path = folder / "resources.db"
        path.unlink(missing_ok=True)
        with ResourceDatabase(str(path)) as database:
            for meter in site.meters:
                database.upsert_resource(meter.resource, ven=self._ven)
        for stale in ("readings.db", "state.db"):
            for suffix in ("", "-wal", "-shm"):
                (folder / "var" / f"{stale}{suffix}").unlink(missing_ok=True)
        (folder / "ven.toml").write_text(
            f'''# Written by `ven demo`: a gateway for one VEN of the samples.
[ven]
name = "{self._ven} demo"
resources = "{self._ven}"

[vtn]
url = "{vtn_url}"
client_id = "{CLIENT_ID}"
client_secret = "env:{KEY_VARIABLE}"
allow_http = true                 # the VTN is on this machine
programs = ["demo-flexibility"]
poll_s = 2

[reporting]
settle_s = 1.5
allow_negative = true             # the battery and the PV plant feed in
''',
            encoding="utf-8",
        )

    async def _start_gateway(self, folder: Path, stack: AsyncExitStack) -> asyncio.subprocess.Process:
        with (folder / "gateway.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "venclient",
                "run",
                "--config",
                str(folder / "ven.toml"),
                stdout=log,
                stderr=log,
                env={**os.environ, KEY_VARIABLE: self._secret},
                start_new_session=True,  # Ctrl-C reaches the demo, which stops the gateway itself
            )
        stack.push_async_callback(_end, process)
        return process

    async def _until_ready(
        self, folder: Path, gateway: asyncio.subprocess.Process, live: Live, resources: int
    ) -> None:
        """Return once every meter was read and every resource is registered at the VTN."""
        deadline_s = self._clock.monotonic() + READY_WITHIN_S
        while self._clock.monotonic() < deadline_s:
            snapshot = self._look(folder, gateway, live, "waiting for meters and registration")
            if (
                snapshot is not None
                and snapshot["ven"]["registered"] == resources
                and all(one["state"] == "ok" for one in snapshot["connections"])
            ):
                return
            await self._clock.sleep(0.25)
        raise StoreError(
            f"was not ready in {READY_WITHIN_S:.0f} s; the end of its log:\n{_log_end(folder)}",
            subject="ven run",
        )

    def _look(
        self, folder: Path, gateway: asyncio.subprocess.Process, live: Live, what: str
    ) -> dict[str, Any] | None:
        if gateway.returncode is not None:
            raise StoreError(
                f"ended with status {gateway.returncode}; the end of its log:\n{_log_end(folder)}",
                subject="ven run",
            )
        try:
            snapshot = ask(folder / "var" / "ven.sock")
        except StoreError:
            return None
        if snapshot is not None:
            head = Text(what, "bold cyan")
            # The empty last line leaves room for the ^C that a terminal echoes; without it a row would stay.
            shown = Group(head, vtn_lines(snapshot), Text(), ConnectionsTable(snapshot), Text())
            live.update(shown, refresh=True)
        return snapshot

    def _ask_for_reports(self, vtn: LocalVtn, program_id: str) -> dict[str, Any]:
        """Post an event whose intervals begin at the next full ten seconds but one."""
        now_s = self._clock.now().timestamp()
        start = datetime.fromtimestamp((now_s + 3) // INTERVAL_S * INTERVAL_S + INTERVAL_S, UTC)
        count = 8640 if self._forever else self._intervals
        span = timedelta(seconds=INTERVAL_S)
        self._grid = {n: (start + n * span, start + (n + 1) * span) for n in range(count)}
        timing = {"startInterval": 0, "numIntervals": 1, "frequency": 1, "repeat": -1}
        event: dict[str, Any] = vtn.add_event(
            {
                "programID": program_id,
                "eventName": "demo-usage-and-demand",
                "intervalPeriod": {
                    "start": start.isoformat().replace("+00:00", "Z"),
                    "duration": f"PT{INTERVAL_S}S",
                },
                "reportDescriptors": [
                    {"payloadType": "USAGE", "units": "KWH", "readingType": "DIRECT_READ", **timing},
                    {"payloadType": "DEMAND", "units": "KW", "readingType": "MEAN", **timing},
                ],
                "intervals": [
                    {"id": n, "payloads": [{"type": "SIMPLE", "values": [0]}]} for n in range(count)
                ],
            }
        )
        return event

    async def _watch(
        self,
        folder: Path,
        gateway: asyncio.subprocess.Process,
        live: Live,
        vtn: LocalVtn,
        event_id: str,
    ) -> None:
        """Show the gateway at work until all reports are in, or their time is up."""
        end = self._grid[max(self._grid)][1]
        while self._clock.now() < end + timedelta(seconds=REPORTED_WITHIN_S):
            accepted = sum(report["eventID"] == event_id for report in vtn.reports)
            left_s = max(0.0, (end - self._clock.now()).total_seconds())
            self._look(
                folder,
                gateway,
                live,
                f"{accepted} of {len(self._grid)} reports accepted by the VTN; "
                + ("Ctrl-C ends it" if self._forever else f"{left_s:.0f} s of intervals left"),
            )
            if accepted == len(self._grid):
                return
            await self._clock.sleep(0.5)

    def _judge(self, snapshot: Mapping[str, Any], vtn: LocalVtn, site: VirtualSite) -> int:
        """Print the summary, and give 0 only if all that was checked held."""
        names = {
            row["vtn_name"]: row["resource"] for row in snapshot.get("connections", ()) if row["vtn_name"]
        }
        rows = energy_rows(vtn.reports, names, self._grid, site.true_energy_kwh)
        readings: dict[str, int] = {kind.name: 0 for kind in ConnectionType}
        for row in snapshot.get("connections", ()):
            readings[row["connection"]] += row["readings"]
        checks = verdicts(
            rows,
            intervals=len(self._grid),
            accepted=len(vtn.reports),
            sent=snapshot.get("reports", {}).get("sent", 0),
            refused=snapshot.get("reports", {}).get("refused", 0),
            readings=readings,
        )
        checks.append(
            (len(rows) == len(site.meters), f"resources: {len(rows)} of {len(site.meters)} known to the VTN")
        )
        self._step("what the VTN was told, against what the site used")
        self._console.print(energy_table(rows))
        self._step("checks")
        verdict = Table.grid(padding=(0, 2, 0, 0))
        for held, text in checks:
            mark = Text("    ok", "green") if held else Text("    FAILED", "bold red")
            verdict.add_row(mark, Text(text))
        self._console.print(verdict)
        failed = sum(not held for held, _ in checks)
        if failed:
            self._console.print(Text(f"{failed} of {len(checks)} checks failed", "bold red"))
            return 1
        self._console.print(Text(f"all {len(checks)} checks held", "bold green"))
        return 0


def energy_table(rows: Sequence[EnergyRow]) -> Padding:
    """Give what was told beside what was true; 80 columns hold it, the longest names shortened."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("resource", no_wrap=True, overflow="ellipsis", max_width=36)
    for name in ("told kWh", "used kWh", "off by", "mean kW"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            Text(row.name),
            f"{row.told_kwh:.4f}",
            f"{row.true_kwh:.4f}",
            f"{row.error_percent:.3f} %",
            "-" if row.demand_kw is None else f"{row.demand_kw:.2f}",
        )
    return Padding(table, (0, 0, 0, 4), expand=False)


def _log_end(folder: Path) -> str:
    return (folder / "gateway.log").read_text(encoding="utf-8", errors="replace")[-2000:].rstrip()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Stop the gateway as an init system would: ask, then insist."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_WITHIN_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
