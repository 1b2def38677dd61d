"""Told by push: an event is known to the gateway at once, though it polls once in ten minutes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.journeys.conftest import SECRET, GatewayProcess, ask_for_usage, told, until
from tests.peers import mosquitto, pick_port
from venclient.messages.client import PUSHED
from venclient.simulation.site import VirtualSite
from venclient.simulation.vtn import LocalVtn
from venclient.simulation.vtn.push import Push

pytestmark = [pytest.mark.peer, pytest.mark.timeout(90)]

SEEN_WITHIN_S = 1.0
#: The best of so many counts: what a busy machine adds is not ours.
TRIES = 3


async def quiet(vtn: LocalVtn) -> None:
    """Return once nobody has asked the VTN anything for a second."""
    asked = -1
    while asked != len(vtn.exchanges):
        asked = len(vtn.exchanges)
        await asyncio.sleep(1)  # another process is at work: no clock of ours turns it


async def seen_after_s(vtn: LocalVtn, gateway: GatewayProcess, known: int, program_id: str) -> float:
    """Post an event, and give the seconds until the gateway knows so many."""
    await quiet(vtn)
    began = asyncio.get_running_loop().time()
    vtn.add_event({"programID": program_id, "intervals": []})
    await until(lambda: gateway.status["events"]["known"] == known, "event known")
    return asyncio.get_running_loop().time() - began


async def test_row_65_an_event_is_received_within_a_second_and_reported_on(
    site: VirtualSite, gateway: GatewayProcess, tmp_path: Path
) -> None:
    """By MQTT the event is known in under a second, and its reports arrive, once each."""
    port = pick_port()
    with mosquitto(tmp_path / "broker", port):
        offer = Push(mqtt_uri=f"mqtt://127.0.0.1:{port}")
        clients = [{"id": "ven-1", "secret": SECRET, "role": "ven"}]
        async with LocalVtn(clients=clients, push=offer) as vtn:
            gateway.write(vtn.url, poll_s="600")
            await gateway.start()
            by_mqtt = str(PUSHED(kind="MQTT"))
            await until(lambda: (s := gateway.status) and s["vtn"]["push"] == by_mqtt, by_mqtt)
            await until(lambda: gateway.status["ven"]["registered"] == 5, "registered")

            program_id = vtn.add_program({"programName": "push"})["id"]
            took_s = [await seen_after_s(vtn, gateway, n + 1, program_id) for n in range(TRIES)]
            assert min(took_s) < SEEN_WITHIN_S
            ask_for_usage(vtn, intervals=2, starts_in_s=3)
            await until(lambda: len(vtn.reports) == 2, "reports accepted")
            assert len(told(vtn)) == 10
