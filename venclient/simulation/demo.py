"""The demo: samples -> registry -> virtual site -> gateway -> local VTN, and a verdict at the end.

The gateway is `ven run` in another process, started from a ven.toml like any other. The demo adds the site
and the VTN around it, watches it as `ven status` does, and checks it by what the VTN holds. It writes only
into its own folder.
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

from venclient.clock import Clock, SystemClock
from venclient.errors import ConfigError, StoreError
from venclient.messages import simulation as sim
from venclient.messages import with_code
from venclient.messages.printable import number_text
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.registry.csv_import import import_csv
from venclient.registry.csv_rejects import SUFFIX
from venclient.registry.database import ResourceDatabase
from venclient.screen import cell
from venclient.shipped import SITES, shipped
from venclient.simulation.site import VirtualSite
from venclient.simulation.verdict import EnergyRow, energy_rows, verdicts
from venclient.simulation.vtn import LocalVtn
from venclient.status import ask
from venclient.view import ConnectionsTable, vtn_view

INTERVAL_S = 10
CLIENT_ID = "demo-ven"
KEY_VARIABLE = "VEN_DEMO_KEY"
READY_WITHIN_S = 30.0
REPORTED_WITHIN_S = 15.0
#: The registry of all sample sites, in the demo's folder.
SAMPLES = "samples.db"
SAMPLED_RESOURCES = 8
STOP_WITHIN_S = 1.5


class Demo:
    """One run of the demo.

    `run()` returns the exit status: 0 only if every check held. `config_folder` has exampleassets/*.csv; None
    takes the sample sites that come with venclient. `site` is a new or empty folder that keeps the files.
    """

    def __init__(
        self,
        config_folder: Path | None,
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
        self._console = console or Console(soft_wrap=True)
        self._clock = clock or SystemClock()
        self._secret = secrets.token_urlsafe(24)
        self._grid: dict[int, tuple[datetime, datetime]] = {}

    async def run(self) -> int:
        """Run it all; files are kept only when a folder was named. ConfigError when it cannot be used."""
        folder = _new_folder(self._site_folder)
        try:
            async with AsyncExitStack() as stack:
                return await self._run(folder.resolve(), stack)
        finally:
            if self._site_folder is None:
                shutil.rmtree(folder, ignore_errors=True)
            else:
                self._say(sim.KEPT_IN(folder=folder))

    async def _run(self, folder: Path, stack: AsyncExitStack) -> int:
        resources = self._sample_resources(folder)
        self._step(sim.STEP_SITE(ven=self._ven, count=len(resources)))
        site = await stack.enter_async_context(VirtualSite(resources, folder, self._clock))
        self._say(
            sim.SITE_SERVERS(
                modbus_port=site.modbus_port, broker=site.broker.kind, mqtt_port=site.broker.port
            )
        )
        for meter in site.meters:
            connection = meter.resource.connection.type.name
            self._say(sim.METER(resource=meter.resource.resourceName, connection=connection, kind=meter.kind))

        self._step(sim.STEP_VTN())
        vtn = await stack.enter_async_context(
            LocalVtn(clients=[{"id": CLIENT_ID, "secret": self._secret, "role": "ven"}])
        )
        program = vtn.add_program({"programName": "demo-flexibility"})
        self._say(vtn.url)

        self._step(sim.STEP_GATEWAY())
        self._write_files(folder, site, vtn.url)
        gateway = await self._start_gateway(folder, stack)
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            await self._until_ready(folder, gateway, live, len(site.meters))
            event = self._ask_for_reports(vtn, program["id"])
            await self._watch(folder, gateway, live, vtn, event["id"])
        snapshot = ask(folder / "var" / "ven.sock") or {}
        return self._judge(snapshot, vtn, site)

    def _step(self, text: str) -> None:
        self._console.print(cell("==> ", "bold cyan") + cell(text, "bold"))

    def _say(self, text: str) -> None:
        self._console.print(Padding(cell(text), (0, 0, 0, 4), expand=False))

    def _sample_resources(self, folder: Path) -> list[Resource]:
        """Import the samples into `folder`; return those of one VEN, with a battery and a PV plant."""
        assets = self._config_folder / SITES if self._config_folder else shipped(SITES)
        self._step(sim.STEP_REGISTRY(folder=assets))
        with ResourceDatabase(str(folder / SAMPLES)) as database:
            self._import(database, assets)
            statistics = database.get_statistics()
            found = database.get_resources(ven=self._ven)
        vens = statistics["top_10_vens"]
        self._say(sim.RESOURCES_IN(count=statistics["total_resources"], database=folder / SAMPLES))
        self._say(sim.BY_TYPE(counts=[f"{name} {count}" for name, count in statistics["by_type"].items()]))
        self._say(sim.LARGEST_VENS(counts=[f"{name} {count}" for name, count in vens.items()][:5]))
        if not found:
            raise ConfigError(sim.UNKNOWN_VEN(ven=self._ven, known=list(vens)), subject="--ven")
        # A kind of site each, as far as they go: the first of every sub-type, then the rest.
        first = list({resource.resourceSubType: resource for resource in reversed(found)}.values())
        chosen = (first + [resource for resource in found if resource not in first])[:SAMPLED_RESOURCES]
        return [*chosen, *self._flexible_assets(chosen[0])]

    def _import(self, database: ResourceDatabase, assets: Path) -> None:
        """Import every CSV file of the samples; rows that cannot be used are counted and skipped."""
        files = [file for file in sorted(assets.glob("*.csv")) if not file.name.endswith(SUFFIX)]
        if not files:
            raise ConfigError(sim.NO_SAMPLES(folder=assets))
        for file in files:
            rejected = import_csv(database, file, keep_good=True, pandas=False).rejected
            if rejected:
                self._say(with_code(sim.ROWS_SKIPPED(file=file.name, count=len(rejected))))

    def _flexible_assets(self, host: Resource) -> list[Resource]:
        """Return a battery and a PV plant at the first site: the sample files hold neither."""
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
        with ResourceDatabase(str(folder / "resources.db")) as database:
            for meter in site.meters:
                database.upsert_resource(meter.resource, ven=self._ven)
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
            snapshot = self._look(folder, gateway, live, sim.WAITING())
            if (
                snapshot is not None
                and snapshot["ven"]["registered"] == resources
                and all(one["state"] == "ok" for one in snapshot["connections"])
            ):
                return
            await self._clock.sleep(0.25)
        self._say(_log_end(folder))
        raise StoreError(
            sim.GATEWAY_NOT_READY(seconds=READY_WITHIN_S),
            subject="ven run",
        )

    def _look(
        self, folder: Path, gateway: asyncio.subprocess.Process, live: Live, what: str
    ) -> dict[str, Any] | None:
        if gateway.returncode is not None:
            self._say(_log_end(folder))
            raise StoreError(
                sim.GATEWAY_ENDED(status=gateway.returncode),
                subject="ven run",
            )
        try:
            snapshot = ask(folder / "var" / "ven.sock")
        except StoreError:
            return None
        if snapshot is not None:
            head = cell(what, "bold cyan")
            # The empty last line leaves room for the ^C that a terminal echoes; without it a row would stay.
            shown = Group(head, vtn_view(snapshot), cell(""), ConnectionsTable(snapshot), cell(""))
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
            count = len(self._grid)
            if self._forever:
                shown = sim.PROGRESS_FOREVER(accepted=accepted, count=count)
            else:
                shown = sim.PROGRESS(accepted=accepted, count=count, seconds=left_s)
            self._look(folder, gateway, live, shown)
            if accepted == len(self._grid):
                return
            await self._clock.sleep(0.5)

    def _judge(self, snapshot: Mapping[str, Any], vtn: LocalVtn, site: VirtualSite) -> int:
        """Print the summary; return 0 only if every check held."""
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
            (
                len(rows) == len(site.meters),
                sim.CHECK_RESOURCES(count=len(rows), expected=len(site.meters)),
            )
        )
        self._step(sim.STEP_COMPARED())
        self._console.print(energy_table(rows))
        self._step(sim.STEP_CHECKS())
        verdict = Table.grid(padding=(0, 2, 0, 0))
        for held, text in checks:
            mark = cell("    ok", "green") if held else cell("    FAILED", "bold red")
            verdict.add_row(mark, cell(text))
        self._console.print(verdict)
        failed = sum(not held for held, _ in checks)
        if failed:
            said = sim.CHECKS_FAILED(failed=failed, count=len(checks))
            self._console.print(cell(with_code(said), "bold red"))
            return 1
        self._console.print(cell(sim.CHECKS_HELD(count=len(checks)), "bold green"))
        return 0


def energy_table(rows: Sequence[EnergyRow]) -> Padding:
    """Return reported and actual consumption as a table of 80 columns; long names are shortened."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("resource", no_wrap=True, overflow="ellipsis", max_width=36)
    for name in ("sent kWh", "used kWh", "off by", "mean kW"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            cell(row.name),
            cell(number_text(row.told_kwh, 4)),
            cell(number_text(row.true_kwh, 4)),
            cell(f"{row.error_percent:.3f} %"),
            cell("-" if row.demand_kw is None else number_text(row.demand_kw)),
        )
    return Padding(table, (0, 0, 0, 4), expand=False)


def _new_folder(folder: Path | None) -> Path:
    """Return the folder for the demo's files: a temporary one, or `folder`, which must be new or empty."""
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="ven-demo-"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = any(folder.iterdir())
    except OSError as error:
        raise ConfigError(sim.FOLDER_UNUSABLE(folder=folder, reason=error.strerror)) from None
    if taken:
        raise ConfigError(sim.FOLDER_NOT_EMPTY(folder=folder))
    return folder


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
