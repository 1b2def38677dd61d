"""Virtual MQTT meters: one publishes nested JSON with power, register and time, one a plain number."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from venclient.clock import Clock
from venclient.simulation.loads import Load


@dataclass(frozen=True)
class MqttDevice:
    """One topic: what it publishes at a moment, and how a gateway must read it."""

    topic: str
    payload: Callable[[float], str]
    options: Mapping[str, Any]
    kind: str


def json_meter(topic: str, load: Load, since_s: float) -> MqttDevice:
    """Return a plug-like meter: {"ts": epoch, "ENERGY": {"Power": W, "Total": kWh, "Voltage": V}}."""

    def payload(at_s: float) -> str:
        energy = {
            "Power": round(load.power_kw(at_s) * 1000, 1),
            "Total": round(1000 + load.energy_kwh(since_s, at_s), 5),
            "Voltage": 231,
        }
        return json.dumps({"ts": round(at_s, 3), "ENERGY": energy})

    return MqttDevice(
        topic,
        payload,
        {
            "values": [
                {"path": "/ENERGY/Power", "quantity": "power_kw", "unit": "W"},
                {"path": "/ENERGY/Total", "quantity": "energy_kwh", "unit": "kWh"},
                {"path": "/ENERGY/Voltage", "quantity": "voltage_v", "unit": "V"},
            ],
            "time": {"path": "/ts", "format": "epoch_s"},
        },
        "nested JSON",
    )


def plain_meter(topic: str, load: Load) -> MqttDevice:
    """Return a meter that publishes its power in watts as a bare number, without a time."""
    return MqttDevice(
        topic,
        lambda at_s: f"{load.power_kw(at_s) * 1000:.1f}",
        {"values": [{"path": "", "quantity": "power_kw", "unit": "W"}]},
        "plain number",
    )


class MqttPublisher:
    """Publishes every device each `interval_s` at QoS 1 until cancelled."""

    def __init__(
        self, port: int, devices: tuple[MqttDevice, ...], clock: Clock, *, interval_s: float = 1.0
    ) -> None:
        self._port = port
        self._devices = devices
        self._clock = clock
        self._interval_s = interval_s
        self.published = 0

    async def run(self) -> None:
        """Publish until cancelled."""
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        client = Client(CallbackAPIVersion.VERSION2, client_id="virtual-site")
        client.connect_async("127.0.0.1", self._port)
        client.loop_start()
        try:
            while True:
                now_s = self._clock.now().timestamp()
                await self._clock.sleep(self._interval_s - now_s % self._interval_s)
                for device in self._devices:
                    client.publish(device.topic, device.payload(self._clock.now().timestamp()), qos=1)
                    self.published += 1
        finally:
            client.disconnect()
            client.loop_stop()
