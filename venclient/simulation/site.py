"""A virtual site: real servers on loopback whose meters behave like those of one VEN of the registry.

    resources of a VEN --> SitePlan --> Modbus TCP server, MQTT broker and publisher, growing file
                              |
                              +--> the same resources, with connections that point there (for the registry)

Nothing here is known to the gateway: it meets the site only through sockets and files.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from venclient.clock import Clock
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.simulation.broker import Broker
from venclient.simulation.growing_file import OPTIONS as FILE_OPTIONS
from venclient.simulation.growing_file import GrowingFile
from venclient.simulation.loads import Load, lively_load
from venclient.simulation.modbus_devices import (
    ModbusDevice,
    ModbusServer,
    battery,
    pv_inverter,
    three_phase_meter,
)
from venclient.simulation.mqtt_devices import MqttDevice, MqttPublisher, json_meter, plain_meter

POLL_S = 1.0
#: In which order the resources of a VEN get their kinds of meters.
KINDS = ("meter", "json", "file", "plain")


@dataclass(frozen=True)
class SiteMeter:
    """One resource of the site: how it is wired, and what it truly draws."""

    resource: Resource
    load: Load
    kind: str


class VirtualSite:
    """The meters of some resources, served on loopback while the context is open.

    `meters` is filled on entry: each has the resource with its connection, and the load that knows the
    true energy. Sampling is once a second: an interval of ten seconds then has something in it.
    """

    def __init__(self, resources: Sequence[Resource], folder: Path, clock: Clock, *, seed: int = 1) -> None:
        self._resources = resources
        self._folder = folder
        self._clock = clock
        self._seed = seed
        self._stack = AsyncExitStack()
        self.meters: tuple[SiteMeter, ...] = ()
        self.broker = Broker(folder / "broker")
        self.modbus_port = 0

    async def __aenter__(self) -> VirtualSite:
        """Start the servers; when one cannot start, those before it are stopped again."""
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def true_energy_kwh(self, resource_id: str, start: datetime, end: datetime) -> float:
        """Return what a resource truly drew between two moments (negative: fed in)."""
        load = next(meter.load for meter in self.meters if meter.resource.resourceID == resource_id)
        return load.energy_kwh(start.timestamp(), end.timestamp())

    async def _start(self) -> None:
        since_s = self._clock.now().timestamp()
        await self.broker.start()
        self._stack.push_async_callback(self.broker.stop)

        units: dict[int, ModbusDevice] = {}
        topics: list[MqttDevice] = []
        files: list[GrowingFile] = []
        wired: list[tuple[Resource, Load, str, Connection]] = []
        for resource, kind in zip(self._resources, self._kinds(), strict=True):
            load = self._load(resource)
            name = resource.resourceID[:8]
            if kind in ("battery", "pv", "meter"):
                make = {"battery": battery, "pv": pv_inverter, "meter": three_phase_meter}[kind]
                unit = len(units) + 1
                units[unit] = device = make(load, since_s)
                options = {"unit": unit, "interval_s": POLL_S, **device.options}
                connection = Connection(
                    ConnectionType.MODBUSTCP, ActorType.READER, "127.0.0.1", options=options
                )
                label = device.kind
            elif kind == "file":
                path = self._folder / "meters" / f"{name}.csv"
                files.append(GrowingFile(path, load, since_s, self._clock, POLL_S))
                connection = Connection(
                    ConnectionType.FILEREADER,
                    ActorType.READER,
                    file=str(path.resolve()),
                    options=dict(FILE_OPTIONS),
                )
                label = "growing CSV"
            else:
                topic = f"site/{name}/SENSOR" if kind == "json" else f"site/{name}/power"
                made = json_meter(topic, load, since_s) if kind == "json" else plain_meter(topic, load)
                topics.append(made)
                connection = Connection(
                    ConnectionType.MQTT,
                    ActorType.READER,
                    "127.0.0.1",
                    self.broker.port,
                    topic,
                    options=dict(made.options),
                )
                label = made.kind
            wired.append((resource, load, label, connection))

        modbus = ModbusServer(units, self._clock)
        await modbus.start()
        self._stack.push_async_callback(modbus.stop)
        self.modbus_port = port = modbus.port
        self.meters = tuple(
            SiteMeter(
                replace(
                    resource,
                    connection=replace(connection, port=port)
                    if connection.type is ConnectionType.MODBUSTCP
                    else connection,
                ),
                load,
                label,
            )
            for resource, load, label, connection in wired
        )
        for file in files:
            self._background(file.run(), f"site.file.{file.path.name}")
        self._background(
            MqttPublisher(self.broker.port, tuple(topics), self._clock, interval_s=POLL_S).run(), "site.mqtt"
        )

    def _background(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)

        async def end() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self._stack.push_async_callback(end)

    def _kinds(self) -> Sequence[str]:
        turn = itertools.cycle(KINDS)
        special = {"BATTERY": "battery", "PV": "pv"}
        return [special.get(resource.resourceType) or next(turn) for resource in self._resources]

    def _load(self, resource: Resource) -> Load:
        """Return a load inside the resource's capacities; storage discharges and PV produces throughout."""
        p_max_kw = float(resource.capacities.get("P_max_kw") or 0)
        p_min_kw = float(resource.capacities.get("P_min_kw") or 0)
        mean_kw = p_min_kw * 0.5 if resource.resourceType in ("BATTERY", "PV") else p_max_kw * 0.5
        return lively_load(resource.resourceID, mean_kw or 10.0, seed=self._seed)
