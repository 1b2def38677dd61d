"""`ven demo`, as a person runs it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from tests.waiting import wait_until
from venclient.clock import SystemClock
from venclient.model.resource import ActorType, Connection, ConnectionType
from venclient.registry.database import ResourceDatabase
from venclient.registry.samples import generate_resources
from venclient.simulation.broker import Broker
from venclient.simulation.loads import Load
from venclient.simulation.mqtt_devices import MqttPublisher, plain_meter

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600)]


@pytest.fixture
def config(root: Path, tmp_path: Path) -> Path:
    """Return a copy of the sample sites: the checkout's database stays as it is."""
    folder = tmp_path / "config"
    for name in ("exampleassets", "examplemeterdata"):
        shutil.copytree(root / "config" / name, folder / name)
    return folder


def test_the_demo_ends_with_all_checks_held(config: Path, tmp_path: Path) -> None:
    """Registry, site, VTN and gateway: status 0, a summary, and files to look at."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "venclient",
            "demo",
            "--config-folder",
            config,
            "--site",
            tmp_path / "site",
            "--intervals",
            "2",
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "120"},
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "checks held" in done.stdout
    assert "reports: 2 sent, 2 accepted by the VTN, 0 refused, 2 expected" in done.stdout
    assert {"ven.toml", "gateway.log", "resources.db", "var"} <= {
        path.name for path in (tmp_path / "site").iterdir()
    }


def test_the_demo_leaves_an_edited_registry_alone(config: Path, tmp_path: Path) -> None:
    """Started where config/resources.db was edited by its user, it changes no byte there and adds no file."""
    with generate_resources(config) as registry:
        chosen = registry.get_resources(ven="Herning")[0]
        connection = Connection(ConnectionType.MODBUSTCP, ActorType.READER, "10.1.2.3", 5020)
        registry.update_resource(chosen.resourceID, resourceName="Renamed", connection=connection)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    for more in ([], ["--config-folder", str(config)]):
        command = [sys.executable, "-m", "venclient", "demo", "--intervals", "1", *more]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    with ResourceDatabase(str(config / "resources.db")) as registry:
        stored = registry.get_resource(chosen.resourceID)
    assert stored is not None
    assert stored.resourceName == "Renamed"


def test_ctrl_c_ends_the_demo_and_all_it_started(config: Path, tmp_path: Path) -> None:
    """Interrupted in the middle, it ends, and neither broker nor gateway is left behind."""
    site = tmp_path / "site"
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "venclient",
            "demo",
            "--config-folder",
            str(config),
            "--site",
            str(site),
            "--forever",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_until(
            lambda: (site / "var" / "ven.sock").exists() or process.poll() is not None, "the gateway is up"
        )
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()

    left = subprocess.run(["pgrep", "-f", str(site)], capture_output=True, text=True, check=False).stdout
    assert process.returncode == 130, output
    assert left == ""


async def test_without_mosquitto_the_broker_in_the_process_serves(tmp_path: Path) -> None:
    """Where Debian's broker is not installed, the demo's own broker passes messages on."""
    broker = Broker(tmp_path)
    await broker.start(prefer_mosquitto=False)
    loop = asyncio.get_running_loop()
    received: asyncio.Queue[bytes] = asyncio.Queue()
    client = Client(CallbackAPIVersion.VERSION2)

    def subscribe(client: Client, *_: object) -> None:
        client.subscribe("m", qos=1)

    def take(_client: Client, _data: object, message: MQTTMessage) -> None:
        loop.call_soon_threadsafe(received.put_nowait, bytes(message.payload))

    client.on_connect = subscribe
    client.on_message = take
    client.connect_async("127.0.0.1", broker.port)
    client.loop_start()
    publisher = asyncio.create_task(
        MqttPublisher(broker.port, (plain_meter("m", Load(5.0)),), SystemClock(), interval_s=0.2).run()
    )
    try:
        async with asyncio.timeout(60):
            payload = await received.get()
    finally:
        publisher.cancel()
        await asyncio.gather(publisher, return_exceptions=True)
        client.loop_stop()
        await broker.stop()

    assert (broker.kind, payload) == ("built-in MQTT broker", b"5000.0")
