"""An MQTT broker on loopback for the virtual site: mosquitto where installed, else the one in mqtt_broker."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from pathlib import Path

from venclient.errors import ConnectFailed
from venclient.messages import simulation as sim
from venclient.simulation.mqtt_broker import MiniBroker

START_WITHIN_S = 10.0


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """An anonymous MQTT broker on a free port of 127.0.0.1; `kind` says which one it is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self._mini: MiniBroker | None = None
        self.kind = ""
        self.port = 0

    async def start(self, *, prefer_mosquitto: bool = True) -> None:
        """Start the broker; ConnectFailed when it does not listen in time."""
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
        if program and prefer_mosquitto:
            self.port = free_port()
            await self._start_mosquitto(program)
            return
        self.kind = "built-in MQTT broker"
        self._mini = MiniBroker()
        await self._mini.start()
        self.port = self._mini.port

    async def _start_mosquitto(self, program: str) -> None:
        self.kind = "mosquitto"
        self._folder.mkdir(parents=True, exist_ok=True)
        lines = [f"listener {self.port} 127.0.0.1", "allow_anonymous true"]
        if os.geteuid() == 0:
            lines.insert(0, "user root")  # else mosquitto drops to a user that may not read the folder
        config = self._folder / "mosquitto.conf"
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._process = await asyncio.create_subprocess_exec(
            program,
            "-c",
            str(config),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_WITHIN_S
        while loop.time() < deadline and self._process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                await writer.wait_closed()
                return
        raise ConnectFailed(sim.MOSQUITTO_FAILED(port=self.port, command=f"{program} -c {config}"))

    async def stop(self) -> None:
        """End the broker; safe to call twice."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                async with asyncio.timeout(1.0):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        self._process = None
        if self._mini is not None:
            await self._mini.stop()
            self._mini = None
