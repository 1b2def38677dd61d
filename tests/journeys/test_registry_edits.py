"""The registry and the settings edited while `ven run` is at work: taken up, and no reading is lost."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.journeys.conftest import GatewayProcess, ask_for_usage, resource, until
from tests.peers import mosquitto
from venclient.clock import SystemClock
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.readings.sqlite import SqliteReadings
from venclient.registry.database import ResourceDatabase
from venclient.simulation.site import VirtualSite
from venclient.simulation.vtn import LocalVtn

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600)]

OPTIONS = {
    "values": [{"path": "w", "quantity": "power_kw", "unit": "W"}],
    "time": {"path": "t", "format": "epoch_ms"},
}


async def ven(gateway: GatewayProcess, *words: str) -> tuple[int, str]:
    """Run a command with the gateway's settings; return its status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "venclient",
        *words,
        "--config",
        str(gateway.folder / "ven.toml"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"COLUMNS": "100", "JOURNEY_SECRET": "journey-secret", "PATH": "/usr/bin:/bin"},
    )
    printed, _ = await process.communicate()
    return process.returncode or 0, printed.decode()


def served(gateway: GatewayProcess) -> dict[str, dict[str, Any]]:
    """Return what the status says of each connection, by the resource's name."""
    return {one["name"]: one for one in gateway.status.get("connections", [])}


async def test_edits_reach_meters_and_vtn_within_seconds(
    site: VirtualSite, vtn: LocalVtn, gateway: GatewayProcess
) -> None:
    """A wrong port is unreachable; a disabled resource is not reported, a capacity reaches the VTN."""
    gateway.write(vtn.url)
    await gateway.start()
    await until(
        lambda: (
            len(gateway_ok := served(gateway)) == 5
            and all(one["state"] == "ok" and one["vtn_name"] for one in gateway_ok.values())
        ),
        "all meters read and registered",
    )
    with ResourceDatabase(str(gateway.folder / "resources.db")) as registry:
        modbus = next(
            one for one in registry.get_all_resources() if one.connection.type is ConnectionType.MODBUSTCP
        )
        off = next(one for one in registry.get_all_resources() if one.resourceID != modbus.resourceID)
        registry.set_enabled(off.resourceID, False)
        registry.update_resource(modbus.resourceID, capacities={"P_max_kw": 77})
        assert modbus.connection.id is not None
        right, modbus.connection.port = modbus.connection.port, 9
        registry.update_connection(modbus.connection.id, port=9)
        version = registry.version().number
    await until(lambda: served(gateway)[modbus.resourceName]["state"] == "dark", "the wrong port is dark")
    assert off.resourceName not in served(gateway)
    await until(lambda: gateway.status["registry"]["running"] == version, "the new version runs")
    await until(
        lambda: any(
            {"type": "MAX_POWER_CONSUMPTION", "values": [77]} in (one["attributes"] or [])
            for one in vtn.resources
        ),
        "the VTN's object has the new capacity",
    )
    ask_for_usage(vtn, intervals=1)
    await until(lambda: len(vtn.reports) == 1, "a report accepted")
    reported = {part["resourceName"] for report in vtn.reports for part in report["resources"]}
    assert len(reported) >= 3
    assert off.resourceName not in reported

    with ResourceDatabase(str(gateway.folder / "resources.db")) as registry:
        registry.update_connection(modbus.connection.id or 0, port=right)
        registry.set_enabled(off.resourceID, True)
    await until(
        lambda: {one["state"] for one in served(gateway).values()} == {"ok"} and len(served(gateway)) == 5,
        "all five are read again",
    )


async def test_settings_are_read_again_on_request_and_by_signal(
    site: VirtualSite, vtn: LocalVtn, gateway: GatewayProcess
) -> None:
    """`ven reload` says what is applied and what needs a restart; SIGHUP does the same, and logs it."""
    gateway.write(vtn.url)
    await gateway.start()
    await until(lambda: gateway.status.get("vtn", {}).get("state") == "connected", "connected")
    text = (gateway.folder / "ven.toml").read_text()
    (gateway.folder / "ven.toml").write_text(
        text.replace("poll_s = 0.5", "poll_s = 0.7").replace("commit_s = 2", "commit_s = 3")
    )
    status, printed = await ven(gateway, "reload")
    assert (status, "vtn.poll_s" in printed, "VEN-GWY-045" in printed) == (0, True, True)
    assert "readings.commit_s" in printed
    await until(lambda: gateway.status["vtn"]["state"] == "connected", "connected again")

    (gateway.folder / "ven.toml").write_text(text.replace("poll_s = 0.5", "poll_s = -1"))
    assert (await ven(gateway, "reload"))[0] != 0
    assert gateway.process is not None
    gateway.process.send_signal(signal.SIGHUP)
    await until(lambda: "VEN-GWY-046" in gateway.log, "the wrong settings are reported")

    (gateway.folder / "ven.toml").write_text(text)
    gateway.process.send_signal(signal.SIGHUP)
    await until(lambda: gateway.log.count("settings read again") == 2, "read again")
    _, printed = await ven(gateway, "status")
    with ResourceDatabase(str(gateway.folder / "resources.db")) as registry:
        number = registry.version().number
    assert f"version {number} is running, version {number} is stored" in printed


async def test_no_message_is_lost_while_its_resource_is_edited(
    tmp_path: Path, vtn: LocalVtn, gateway: GatewayProcess, free_port: int
) -> None:
    """A meter that publishes all the time, on a broker that others use too: every message is a reading."""

    def meter(number: int) -> Resource:
        connection = Connection(
            ConnectionType.MQTT,
            ActorType.READER,
            host="127.0.0.1",
            port=free_port,
            topic=f"meters/{number}",
            options=OPTIONS,
        )
        made = resource(number)
        made.connection = connection
        return made

    published = 0
    start = datetime.now(UTC) - timedelta(hours=1)

    async def publish(until_told: asyncio.Event) -> None:
        nonlocal published
        client = Client(CallbackAPIVersion.VERSION2, client_id="meter")
        client.connect("127.0.0.1", free_port)
        client.loop_start()
        while not until_told.is_set():
            at = start + timedelta(milliseconds=100 * published)
            payload = json.dumps({"w": 1000 + published, "t": int(at.timestamp() * 1000)})
            client.publish("meters/0", payload, qos=1).wait_for_publish(60)
            published += 1
            await asyncio.sleep(0.01)  # a meter's pace
        client.disconnect()
        client.loop_stop()

    with mosquitto(tmp_path / "broker", free_port, "allow_anonymous true"):
        with ResourceDatabase(str(tmp_path / "resources.db")) as registry:
            registry.bulk_upsert([meter(n) for n in range(3)])
        gateway.write(vtn.url)
        await gateway.start()
        await until(lambda: len(served(gateway)) == 3, "it runs")
        enough = asyncio.Event()
        task = asyncio.create_task(publish(enough))
        with ResourceDatabase(str(tmp_path / "resources.db")) as registry:
            for edit in range(4):
                registry.update_resource("resource-0", resourceName=f"Renamed {edit}")
                wanted = registry.version().number
                await until(
                    lambda: gateway.status.get("registry", {}).get("running") == wanted,  # noqa: B023
                    "the edit is taken up",
                )
        enough.set()
        await task
        await until(
            lambda: served(gateway)["Renamed 3"]["latest"]["power_kw"]["value"] * 1000 > 998.5 + published,
            "the last message is read",
        )
        await gateway.stop()

    assert published > 20
    store = SqliteReadings(tmp_path / "var" / "readings.db", SystemClock())
    found = await store.window("resource-0", start - timedelta(hours=1), start + timedelta(hours=2))
    await store.close()
    numbers = [round(1000 * one.value) - 1000 for one in found["power_kw"]]
    # From the first that came once the topic was subscribed to.
    assert numbers == list(range(numbers[0], published))
    assert numbers[0] < 10
