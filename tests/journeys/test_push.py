"""Push notifications: an event is known to the gateway although its next poll is hours away."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.journeys.conftest import SECRET, GatewayProcess, ask_for_usage, told, until
from tests.peers import mosquitto, pick_port
from venclient.messages.client import PUSHED
from venclient.simulation.site import VirtualSite
from venclient.simulation.vtn import LocalVtn
from venclient.simulation.vtn.push import Push

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600)]

#: Longer than any deadline of the test: what is known earlier was not found by a poll.
POLL_S = 6000
EVENTS = 3


def knows(gateway: GatewayProcess, events: int) -> bool:
    """Return whether the gateway knows this number of events."""
    return bool(gateway.status["events"]["known"] == events)


async def test_row_65_an_event_is_received_between_two_polls_and_reported_on(
    site: VirtualSite, gateway: GatewayProcess, tmp_path: Path
) -> None:
    """By MQTT each event is known long before the next poll, and its reports arrive, once each."""
    port = pick_port()
    with mosquitto(tmp_path / "broker", port):
        offer = Push(mqtt_uri=f"mqtt://127.0.0.1:{port}")
        clients = [{"id": "ven-1", "secret": SECRET, "role": "ven"}]
        async with LocalVtn(clients=clients, push=offer) as vtn:
            gateway.write(vtn.url, poll_s=str(POLL_S), push_poll_s=str(POLL_S))
            await gateway.start()
            by_mqtt = str(PUSHED(kind="MQTT"))
            await until(lambda: (s := gateway.status) and s["vtn"]["push"] == by_mqtt, by_mqtt)
            await until(lambda: gateway.status["ven"]["registered"] == 5, "registered")

            program_id = vtn.add_program({"programName": "push"})["id"]
            for known in range(1, EVENTS + 1):
                vtn.add_event({"programID": program_id, "intervals": []})
                await until(partial(knows, gateway, known), "event known")
            ask_for_usage(vtn, intervals=2, starts_in_s=3)
            await until(lambda: len(vtn.reports) == 2, "reports accepted")
            assert len(told(vtn)) == 10
