"""A real MQTT broker on loopback for the virtual site: Debian's mosquitto where installed, else amqtt."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import socket
from pathlib import Path
from typing import Any

from venclient.errors import ConnectFailed

START_WITHIN_S = 10.0
AMQTT_STOP_WITHIN_S = 0.5


def free_port() -> int:
    """Give a TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """An anonymous MQTT broker on a free port of 127.0.0.1; `kind` says which one it is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self._amqtt: Any = None
        self.kind = ""
        self.port = 0

    async def start(self, *, prefer_mosquitto: bool = True) -> None:
        """Start the broker; ConnectFailed when it does not listen in time."""
        self.port = free_port()
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
        if program and prefer_mosquitto:
            await self._start_mosquitto(program)
        else:
            await self._start_amqtt()

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
        raise ConnectFailed(
            "mosquitto does not start", subject=f"127.0.0.1:{self.port}", hint=f"try: {program} -c {config}"
        )

    async def _start_amqtt(self) -> None:
        from amqtt.broker import Broker as AmqttBroker

        self.kind = "amqtt"
        logging.getLogger("amqtt").setLevel(logging.ERROR)
        logging.getLogger("transitions").setLevel(logging.ERROR)
        self._amqtt = AmqttBroker(
            {
                "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{self.port}"}},
                "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
            }
        )
        await self._amqtt.start()

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
        if self._amqtt is not None:
            # amqtt 0.12 now and then waits for ever for a reader that has ended already.
            try:
                async with asyncio.timeout(AMQTT_STOP_WITHIN_S):
                    await self._amqtt.shutdown()
            except TimeoutError:
                logging.getLogger(__name__).debug("amqtt did not end in time")
            self._amqtt = None
