"""A local VTN in a separate thread, for tests of commands that run an event loop themselves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.peers import pick_port, wait_for_port
from venclient.simulation.vtn import LocalVtn


@contextmanager
def vtn_in_thread(**options: Any) -> Iterator[LocalVtn]:
    """Run a local VTN until the block ends; it may be looked at meanwhile.

    `options` are those of `LocalVtn`. Without `clients` there is "ven-1" with the secret "made-up".
    """
    options.setdefault("clients", [{"id": "ven-1", "secret": "made-up"}])
    server = LocalVtn(pick_port(), **options)
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()

    async def serve() -> None:
        async with server:
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        wait_for_port(server.port)
        yield server
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()
