"""Bytes between one client of paho and its broker, moved by the event loop itself.

paho can be given its own thread. It then has to ask for the interpreter at every system call, three for
each message, while the loop is busy with those before. Here the loop watches paho's socket, takes many
messages at once, and sends what gathered meanwhile in one go. Only connecting, which waits for names,
handshakes and certificates, is done in a thread.

    connecting --> open --> ended --> a pause --> connecting ...
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from paho.mqtt.client import Client

from venclient.clock import Clock
from venclient.messages import mqtt as mqt

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
#: A connection that lasted this long ended by accident and is opened again at once. One that comes and goes,
#: as with two programs of one client id, is left alone for longer each time.
HELD_S = 5.0
#: How often paho looks whether it has to say that it is still there.
LOOK_S = 5.0
#: So many packets are taken before others get their turn.
MOST_AT_ONCE = 100


class Traffic:
    """Keeps a client connected until it is closed. `failed` gets the reason why it could not connect.

    The client's callbacks are called in the event loop. They count packets by calling `took`, and note with
    `accepted` that a broker let us in: after a connection that held, the next pause is a short one.
    """

    def __init__(
        self, client: Client, clock: Clock, name: str, *, failed: Callable[[BaseException], None]
    ) -> None:
        self._client = client
        self._clock = clock
        self._name = name
        self._failed = failed
        self._tasks: list[asyncio.Task[None]] = []
        self._socket: Any = None
        self._ended = asyncio.Event()
        self._connecting: asyncio.Future[BaseException | None] | None = None
        self._pause_s = FIRST_PAUSE_S
        self._accepted_s: float | None = None
        self._choked: set[str] = set()
        #: How many connections there were.
        self.opened = 0
        self._taken = 0
        self._closed = False
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_register_write
        client.on_socket_unregister_write = self._on_unregister_write

    def start(self) -> None:
        """Begin to connect; call it in the event loop, once."""
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(work, name=f"{self._name} {what}")
            for what, work in (("connection", self._keep_connected()), ("look", self._look()))
        ]

    def took(self) -> None:
        """Note that a packet was taken: the next one is looked for at once."""
        self._taken += 1

    def accepted(self) -> None:
        """Note that the broker let us in."""
        self._accepted_s = self._clock.monotonic()

    async def close(self, within_s: float) -> None:
        """Send what waits and a farewell, within `within_s` seconds, then end the connection."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                if self._connecting is not None:
                    await asyncio.wait([self._connecting])
                elif self._socket is not None:
                    self._ended.clear()
                    self._client.disconnect()
                    self._write()
                    await self._ended.wait()
        if self._connecting is None or self._connecting.done():
            with suppress(ValueError):  # paho 2.1 has closed its sockets when it fails here
                self._client.reinitialise()  # closes its sockets now, not when the garbage is collected

    # Connecting

    async def _keep_connected(self) -> None:
        while True:
            error = await self._connect()
            if error is None:
                await self._ended.wait()
            else:
                self._failed(error)
            since_s, self._accepted_s = self._accepted_s, None
            if since_s is not None and self._clock.monotonic() - since_s >= HELD_S:
                self._pause_s = FIRST_PAUSE_S
            pause_s = self._pause_s
            self._pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            await self._clock.sleep(pause_s)

    async def _connect(self) -> BaseException | None:
        """Connect; return why it failed, None when there is a connection and the broker was greeted."""
        loop = asyncio.get_running_loop()
        self._connecting = done = loop.create_future()

        def connect() -> None:
            error: BaseException | None = None
            try:
                self._client.reconnect()
            except Exception as caught:  # noqa: BLE001 (every cause is reported)
                error = caught
            if self._closed:
                self._client.reinitialise()
            with suppress(RuntimeError):  # the loop has ended; the connection is not needed
                loop.call_soon_threadsafe(done.set_result, error)

        # A thread that is never joined: a name server may take its time.
        threading.Thread(target=connect, name=f"{self._name} connecting", daemon=True).start()
        error: BaseException | None = await asyncio.shield(done)
        self._connecting = None
        if error is None:
            self._opened()
        return error

    def _opened(self) -> None:
        self._ended.clear()
        self.opened += 1
        self._socket = self._client.socket()
        if self._socket is None:
            self._ended.set()
            return
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket, self._read)
        # paho believes that it has asked for this already, while it connected in its thread.
        loop.add_writer(self._socket, self._write)

    # Moving bytes

    def _read(self) -> None:
        try:
            for _ in range(MOST_AT_ONCE):
                before = self._taken
                self._client.loop_read()
                if self._taken == before or self._socket is None:
                    break
            # What TLS has decrypted already makes no socket readable.
            held = self._socket
            if held is not None and hasattr(held, "pending") and held.pending():
                asyncio.get_running_loop().call_soon(self._read)
        except Exception as error:  # a packet that paho chokes on must cost this connection only
            kind = type(error).__name__
            level = logging.DEBUG if kind in self._choked else logging.ERROR
            self._choked.add(kind)
            log.log(level, mqt.BAD_PACKET(name=self._name), exc_info=error)
            self._client.disconnect()
            self._write()

    def _write(self) -> None:
        self._client.loop_write()

    async def _look(self) -> None:
        while True:
            await self._clock.sleep(LOOK_S)
            if self._socket is not None:
                self._client.loop_misc()

    def _on_register_write(self, _client: Client, _data: Any, _socket: Any) -> None:
        # While connecting this is called in another thread; `_opened` sends what waits.
        if self._socket is not None:
            asyncio.get_running_loop().add_writer(self._socket, self._write)

    def _on_unregister_write(self, _client: Client, _data: Any, _socket: Any) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_writer(self._socket)

    def _on_socket_close(self, _client: Client, _data: Any, closing: Any) -> None:
        if self._socket is None or closing is not self._socket:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(closing)
        loop.remove_writer(closing)
        self._socket = None
        self._ended.set()
