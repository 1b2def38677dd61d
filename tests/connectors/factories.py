"""Every connector with its real peer, for the contract that all of them keep (test_contract.py).

A factory starts the peer of one connector and gives a `Peer`: the resource that reads it, and what the
tests do to the device behind it. To add a connector, write a factory and append it to FACTORIES.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from paho.mqtt.publish import single

from tests.connectors.sites import make_resource
from tests.fakes.modbus import encode, pymodbus_server
from tests.peers import mosquitto
from venclient.connectors import open_reader
from venclient.connectors._blueprint import open_blueprint_reader
from venclient.connectors.base import OpenReader
from venclient.connectors.registers import Register
from venclient.model.resource import ConnectionType, Resource


class Peer(Protocol):
    """A device that a test commands; its power is what the test sets, 1.25 kW at first where it can be."""

    resource: Resource

    async def show(self, power_kw: float) -> None:
        """Make the device show, publish or write this power."""
        ...

    async def show_nonsense(self) -> None:
        """Make it show something that is not a value: a mark for "none", or what cannot be understood."""
        ...

    async def stop(self) -> None:
        """Make the device unreachable."""
        ...

    async def start(self) -> None:
        """Make it reachable again, at the same place."""
        ...


class Start(Protocol):
    """Starts the peer of one connector; it ends with the context."""

    def __call__(self, folder: Path, port: int) -> AbstractAsyncContextManager[Peer]:
        """Use only `folder` and 127.0.0.1:`port`."""
        ...


@dataclass(frozen=True)
class Factory:
    """One connector under the contract.

    `wrong` are options with several mistakes, `mistakes` a word that the error must have for each.
    """

    name: str
    start: Start
    wrong: Mapping[str, Any]
    mistakes: tuple[str, ...]
    opener: OpenReader = field(default=open_reader)


SECRET = "geheim-Ø-4711"  # the password in every peer's connection that has a login

# Modbus

_POWER = Register(
    quantity="power_kw", address=10, type="int32", word_order="little", scale=0.001, nan="0x80000000"
)


class _ModbusPeer:
    def __init__(self, port: int) -> None:
        self._port = port
        self._words = encode(1250, _POWER)
        self._running: AbstractAsyncContextManager[Any] | None = None
        self.resource = make_resource(
            host="127.0.0.1",
            port=port,
            username="reader",
            password=SECRET,
            options={
                "unit": 7,
                "interval_s": 1,
                "registers": [
                    {
                        "quantity": "power_kw",
                        "address": 10,
                        "type": "int32",
                        "word_order": "little",
                        "scale": 0.001,
                        "nan": "0x80000000",
                    }
                ],
            },
        )

    async def show(self, power_kw: float) -> None:
        await self._restart(encode(round(power_kw * 1000), _POWER))

    async def show_nonsense(self) -> None:
        await self._restart(encode(-(1 << 31), _POWER))

    async def _restart(self, words: list[int]) -> None:
        self._words = words
        if self._running is not None:
            await self._devices.set(7, 10, words)

    async def start(self) -> None:
        self._running = pymodbus_server(self._port, {7: {10: self._words}})
        self._devices = await self._running.__aenter__()

    async def stop(self) -> None:
        if self._running is not None:
            await self._running.__aexit__(None, None, None)
            self._running = None


@asynccontextmanager
async def _start_modbus(folder: Path, port: int) -> AsyncIterator[Peer]:
    peer = _ModbusPeer(port)
    await peer.start()
    try:
        yield peer
    finally:
        await peer.stop()


# Blueprint


class _BlueprintPeer:
    def __init__(self, port: int) -> None:
        self._port = port
        self._line = "1.25 kW"
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.resource = make_resource(
            host="127.0.0.1", port=port, username="reader", password=SECRET, options={"interval_s": 1}
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        known = False
        while line := (await reader.readline()).decode().strip():
            if line == f"login {SECRET}":
                known = True
            elif known and line == "power?":
                writer.write(f"{self._line}\n".encode())
            else:
                break
        self._writers.discard(writer)
        writer.close()

    async def show(self, power_kw: float) -> None:
        self._line = f"{power_kw} kW"

    async def show_nonsense(self) -> None:
        self._line = "-"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in list(self._writers):
                writer.transport.abort()
            await self._server.wait_closed()
            self._server = None


@asynccontextmanager
async def _start_blueprint(folder: Path, port: int) -> AsyncIterator[Peer]:
    peer = _BlueprintPeer(port)
    await peer.start()
    try:
        yield peer
    finally:
        await peer.stop()


# MQTT


class _MqttPeer:
    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder / "broker"
        self._port = port
        self._running: AbstractContextManager[Any] | None = None
        self.resource = make_resource(
            ConnectionType.MQTT,
            host="127.0.0.1",
            port=port,
            topic="site/hotel/power",
            username="reader",
            password=SECRET,
            options={"values": [{"path": "/W", "quantity": "power_kw", "unit": "W"}]},
        )

    async def show(self, power_kw: float) -> None:
        await self._publish(f'{{"W": {power_kw * 1000}}}')

    async def show_nonsense(self) -> None:
        await self._publish('{"W": "much"}')

    async def _publish(self, payload: str) -> None:
        # Retained: a reader that connects later than the device speaks finds it all the same.
        await asyncio.to_thread(single, "site/hotel/power", payload, 1, True, "127.0.0.1", self._port)

    async def start(self) -> None:
        self._running = mosquitto(self._folder, self._port)
        await asyncio.to_thread(self._running.__enter__)

    async def stop(self) -> None:
        if self._running is not None:
            await asyncio.to_thread(self._running.__exit__, None, None, None)
            self._running = None


@asynccontextmanager
async def _start_mqtt(folder: Path, port: int) -> AsyncIterator[Peer]:
    peer = _MqttPeer(folder, port)
    await peer.start()
    try:
        yield peer
    finally:
        await peer.stop()


# File


class _FilePeer:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "meter.csv"
        self._away = folder / "meter.away"
        self._path.write_text("time;power_kw\n", encoding="utf-8")
        self.resource = make_resource(
            ConnectionType.FILEREADER,
            file="meter.csv",
            options={"delimiter": ";", "decimal": ",", "interval_s": 1},
        )

    async def show(self, power_kw: float) -> None:
        self._append(f"{power_kw}".replace(".", ","))

    async def show_nonsense(self) -> None:
        self._append("much")

    def _append(self, cell: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now(UTC).isoformat()};{cell}\n")

    async def start(self) -> None:
        self._away.rename(self._path)

    async def stop(self) -> None:
        self._path.rename(self._away)


@asynccontextmanager
async def _start_file(folder: Path, port: int) -> AsyncIterator[Peer]:
    yield _FilePeer(folder)


FACTORIES: list[Factory] = [
    Factory(
        "modbus",
        _start_modbus,
        wrong={"unit": 300, "intervall_s": 5, "registers": [{"quantity": "Power", "type": "int17"}]},
        mistakes=(
            "options.unit",
            "intervall_s",
            "interval_s?",
            "registers[0].quantity",
            "int17",
            "address: missing",
        ),
    ),
    Factory(
        "blueprint",
        _start_blueprint,
        wrong={"interval_s": 0, "scale": "ten", "colour": "red"},
        mistakes=("interval_s", "scale", "colour"),
        opener=open_blueprint_reader,
    ),
    Factory(
        "mqtt",
        _start_mqtt,
        wrong={
            "values": [{"quantity": "power_kw", "unit": "kWh"}, {"quantity": "soc_percent", "path": "a[x"}],
            "qos": 3,
            "topics": ["a"],
            "timeout_s": 0,
        },
        mistakes=(
            "options.values[0]",
            "kWh",
            "options.values[1]",
            "a[x",
            "options.qos",
            "topics",
            "timeout_s",
        ),
    ),
    Factory(
        "file",
        _start_file,
        wrong={
            "decimal": ";",
            "delimeter": ";",
            "time": {"columns": ["t"], "format": "%d/%m/%Y"},
            "values": [{"quantity": "power_kw", "column": "p", "unit": "V"}],
            "interval_s": -1,
        },
        mistakes=("options.decimal", "delimiter?", "needs a zone", "options.values[0]", "interval_s"),
    ),
]
