"""The table of connectors, and one-shot readings through it."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from tests.connectors.factories import FACTORIES
from tests.connectors.sites import make_resource, make_site
from tests.fakes.modbus import encode, pymodbus_server
from venclient import connectors
from venclient.connectors import CONNECTORS, known_connectors, open_reader, read_meter, snapshot
from venclient.connectors.base import Batch, Reader, Site
from venclient.connectors.registers import Register
from venclient.connectors.snapshot import power_of, take_snapshot
from venclient.errors import ConfigError, ConnectFailed, ConnectorError, ReadTimeout
from venclient.model.reading import Reading, Reject
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Scripted:
    """A reader that gives the batches of a script, then waits for ever (pushed) or gives nothing."""

    batches: list[Batch]
    interval_s: float | None = 10.0
    timeout_s: float = 1.0
    closed: list[bool] = field(default_factory=list)

    async def read(self) -> Batch:
        """Return the next batch."""
        if self.batches:
            return self.batches.pop(0)
        if self.interval_s is None:
            await asyncio.Event().wait()
        return Batch()

    async def close(self) -> None:
        """Note it."""
        self.closed.append(True)


def reading(value: float, *, quantity: str = "power_kw", minutes: float = 0) -> Reading:
    """Build a reading some minutes after midnight."""
    return Reading("id", quantity, value, NOW + timedelta(minutes=minutes))


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """Put a scripted reader in the place of every connector."""
    reader = Scripted([])
    monkeypatch.setattr(snapshot, "open_reader", lambda _resource, _site: reader)
    return reader


def test_every_connection_type_has_a_connector() -> None:
    """The table has exactly the types of the public enumeration."""
    assert set(CONNECTORS) == {kind.value for kind in ConnectionType}


def test_every_connector_is_under_the_contract() -> None:
    """Each line of the table, and the blueprint, has a peer that proves it."""
    assert len({factory.name for factory in FACTORIES}) == len(FACTORIES)
    assert {"modbus", "blueprint"} <= {factory.name for factory in FACTORIES}


def test_only_the_connectors_in_use_are_loaded() -> None:
    """Importing the table loads no protocol library."""
    code = (
        "import sys, venclient.connectors\n"
        "print([m for m in ('pymodbus', 'paho', 'venclient.connectors.modbus') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_connector_is_told_with_those_that_exist(tmp_path: Path) -> None:
    """Whoever misspells a connector sees the names to choose from."""
    resource = make_resource(host="127.0.0.1", options={"connector": "modbuss"})
    with pytest.raises(ConfigError, match=r"filereader, modbustcp, mqtt.*VEN-CON-001"):
        open_reader(resource, make_site(tmp_path))


def installed(value: str) -> EntryPoint:
    """Build an entry point as an installed package declares it."""
    return EntryPoint("blueprint", value, connectors.ENTRY_POINTS)


def offer(monkeypatch: pytest.MonkeyPatch, point: EntryPoint) -> None:
    """Make a package with this entry point appear installed."""
    found = importlib.metadata.EntryPoints([point])
    monkeypatch.setattr(connectors, "entry_points", found.select)


def test_an_installed_package_can_bring_a_connector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A third party's connector is chosen by name and gets the other options."""
    offer(monkeypatch, installed("venclient.connectors._blueprint:open_blueprint_reader"))
    resource = make_resource(host="127.0.0.1", options={"connector": "blueprint", "interval_s": 3})
    reader = open_reader(resource, make_site(tmp_path))

    assert reader.interval_s == 3
    assert known_connectors() == ("blueprint", "filereader", "modbustcp", "mqtt")
    assert resource.connection.options == {"connector": "blueprint", "interval_s": 3}


def test_an_installed_connector_that_cannot_be_loaded_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken package is reported as such, not as a wrong connection."""
    offer(monkeypatch, installed("no_such_module:open_it"))
    resource = make_resource(host="127.0.0.1", options={"connector": "blueprint"})
    with pytest.raises(ConfigError, match=r"no_such_module.*VEN-CON-002"):
        open_reader(resource, make_site(tmp_path))


async def test_a_backlog_is_read_to_its_end(scripted: Scripted, tmp_path: Path) -> None:
    """Of a file the last row counts, after however many batches."""
    scripted.batches = [
        Batch([reading(1), reading(2, minutes=1)], replayable=True),
        Batch(rejects=[Reject("meter.csv:3", "no number")], replayable=True),
        Batch([reading(4, minutes=3)], replayable=True),
        Batch(replayable=True),
    ]
    found = await take_snapshot(make_resource(), make_site(tmp_path))

    assert [r.value for r in found["power_kw"]] == [2, 4]
    assert scripted.closed == [True]


async def test_a_pushed_source_is_waited_for(scripted: Scripted, tmp_path: Path) -> None:
    """Messages of other quantities do not end the waiting for power."""
    scripted.interval_s = None
    scripted.batches = [Batch([reading(50, quantity="soc_percent")]), Batch([reading(3)])]
    found = await take_snapshot(make_resource(), make_site(tmp_path), wanted="power_kw")

    assert found["power_kw"][-1].value == 3


async def test_a_pushed_source_that_sends_nothing_useful_is_a_time_out(
    scripted: Scripted, tmp_path: Path
) -> None:
    """After the time-out the error says what came instead."""
    scripted.interval_s = None
    scripted.batches = [Batch(rejects=[Reject("site/meter", "'on fire' is no number")])]
    with pytest.raises(ReadTimeout, match=r"site/meter: 'on fire'.*VEN-CON-103"):
        await take_snapshot(make_resource(), make_site(tmp_path), timeout_s=0.02)
    assert scripted.closed == [True]


def test_power_is_the_newest_value() -> None:
    """The last power reading is the power now."""
    assert power_of({"power_kw": [reading(1), reading(2)]}, "x") == 2


def test_power_of_a_meter_that_tells_interval_energy_is_the_mean_of_the_last_interval() -> None:
    """3 kWh in a quarter of an hour are 12 kW."""
    energies = [
        reading(9, quantity="interval_energy_kwh"),
        reading(3, quantity="interval_energy_kwh", minutes=15),
    ]
    assert power_of({"interval_energy_kwh": energies}, "x") == 12


def test_a_meter_without_power_says_what_it_has() -> None:
    """The error names the quantities that were read."""
    with pytest.raises(ConnectorError, match=r"soc_percent.*VEN-CON-104"):
        power_of({"soc_percent": [reading(50, quantity="soc_percent")]}, "x")


def test_relative_files_start_here_or_in_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """read_meter finds files as the registry names them, from the checkout's root."""
    seen: list[Site] = []

    def remember(_resource: Resource, site: Site) -> Reader:
        seen.append(site)
        return Scripted([Batch([reading(1)])])

    monkeypatch.setattr(snapshot, "open_reader", remember)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    connection = Connection(ConnectionType.FILEREADER, ActorType.READER, file="meter.csv")
    read_meter(connection, "1")
    (tmp_path / "meter.csv").touch()
    read_meter(connection, "1")
    read_meter(connection, "1", folder="elsewhere")

    assert [site.folder for site in seen] == [tmp_path / "config", tmp_path, Path("elsewhere")]
    assert all(site.one_shot for site in seen)
    assert len({site.client_id for site in seen}) == 3


METER = {"registers": [{"quantity": "power_kw", "address": 3, "type": "float32", "scale": 0.001}]}


@pytest.mark.peer
async def test_read_meter_reads_a_modbus_meter_even_inside_a_running_loop(free_port: int) -> None:
    """Synchronous code that runs within an event loop gets the value all the same."""
    words = encode(-1500, Register(quantity="x", address=0, type="float32"))
    connection = Connection(
        ConnectionType.MODBUSTCP, ActorType.READER, host="127.0.0.1", port=free_port, options=METER
    )
    async with pymodbus_server(free_port, {1: {3: words}}):
        asked = asyncio.to_thread(_read_within_a_loop, connection)
        assert await asked == pytest.approx(-1.5)


def _read_within_a_loop(connection: Connection) -> float:
    async def inside() -> float:
        return read_meter(connection, "707057500000000005")

    return asyncio.run(inside())


def test_read_meter_of_nobody_says_so(free_port: int) -> None:
    """Where nothing listens, the error names the endpoint and what to check."""
    connection = Connection(
        ConnectionType.MODBUSTCP, ActorType.READER, host="127.0.0.1", port=free_port, options=METER
    )
    with pytest.raises(ConnectFailed, match=f"modbustcp 127.0.0.1:{free_port}: .*VEN-MOD-112"):
        read_meter(connection, "707057500000000005")


@pytest.mark.peer
async def test_ven_read_prints_what_the_meter_says(tmp_path: Path, free_port: int) -> None:
    """`ven read` finds the resource by name and prints its quantities, or JSON."""
    from venclient.registry.database import ResourceDatabase

    words = encode(2500, Register(quantity="x", address=0, type="float32"))
    db = tmp_path / "resources.db"
    with ResourceDatabase(str(db)) as registry:
        registry.upsert_resource(make_resource(host="127.0.0.1", port=free_port, options=METER))
    async with pymodbus_server(free_port, {1: {3: words}}):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "venclient", "read", "hotel ærø", "--db", str(db), "--json"),
            stdout=asyncio.subprocess.PIPE,
        )
        printed, _ = await process.communicate()

    assert process.returncode == 0
    shown = json.loads(printed)
    assert shown["resource_name"] == "Hotel Ærø"
    assert shown["readings"]["power_kw"]["value"] == pytest.approx(2.5)
