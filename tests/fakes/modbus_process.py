"""A Modbus server in a separate process, which can be stopped, killed, or put into a network namespace.

    python -m tests.fakes.modbus_process HOST PORT

Every unit holds unit x 1000 + address in each register; unit 3 never answers, until SIGUSR1 repairs it. It
prints "ready" once it listens.
"""

from __future__ import annotations

import asyncio
import signal
import sys

from tests.fakes.modbus import Misbehaving, silent

SILENT_UNIT = 3


async def main(host: str, port: int) -> None:
    """Serve until the process ends."""
    peer = Misbehaving()
    peer.units[SILENT_UNIT] = silent
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, peer.units.clear)
    server = await asyncio.start_server(peer.serve, host, port)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
