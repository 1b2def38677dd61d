"""One TCP connection to a Modbus device: bytes in, answers out, until it is dropped."""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol

from venclient.clock import Clock
from venclient.connectors.modbus_errors import NotConnected
from venclient.connectors.modbus_frames import Answer, Framing, Garbage
from venclient.messages import modbus as mod

CONNECT_TIMEOUT_S = 3.0


class Listener(Protocol):
    """Who hears what happens on a connection."""

    def answered(self, answer: Answer) -> None:
        """Take an answer."""
        ...

    def spoilt(self, what: str) -> None:
        """Take note of bytes that are no Modbus."""
        ...

    def lost(self) -> None:
        """Take note of the end of the connection."""
        ...


class Wire(asyncio.Protocol):
    """A connection; after it was dropped, nothing of it is heard any more."""

    def __init__(self, listener: Listener, framing: Framing) -> None:
        self.framing = framing
        self.served = False
        self.transport: asyncio.WriteTransport
        self._listener: Listener | None = listener

    @property
    def clean(self) -> bool:
        """Whether a question may be sent: bytes that belong to no request would be taken for its answer."""
        return not self.framing.partial and not self.transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; asyncio calls this."""
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101 (a TCP connection is one)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Pass on the answers in the bytes that came; asyncio calls this."""
        try:
            for answer in self.framing.feed(data):
                if self._listener is not None:
                    self._listener.answered(answer)
        except Garbage as garbage:
            if self._listener is not None:
                self._listener.spoilt(str(garbage))

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on that the connection ended; asyncio calls this."""
        if self._listener is not None:
            self._listener.lost()

    def drop(self) -> None:
        """Close, and be silent from now on."""
        self._listener = None
        self.transport.close()


async def connect(
    host: str, port: int, listener: Listener, framing: Framing, *, clock: Clock, delay_s: float
) -> Wire:
    """Open a connection, ready to be used `delay_s` later; NotConnected says why not."""
    wire = Wire(listener, framing)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await asyncio.get_running_loop().create_connection(lambda: wire, host, port)
    except OSError as error:  # TimeoutError is one
        raise _failed(_reason(error, host), host, port) from None
    try:
        if delay_s:
            await clock.sleep(delay_s)
    except asyncio.CancelledError:
        wire.drop()
        raise
    if not wire.clean:
        wire.drop()
        raise _failed(mod.UNEXPECTED_BYTES(), host, port)
    return wire


def _failed(reason: str, host: str, port: int) -> NotConnected:
    return NotConnected(reason, hint=mod.CANNOT_CONNECT.hint, subject=f"modbustcp {host}:{port}")


def _reason(error: OSError, host: str) -> str:
    if isinstance(error, socket.gaierror):
        return mod.HOST_UNKNOWN(host=host)
    if isinstance(error, ConnectionRefusedError):
        return mod.REFUSED()
    if isinstance(error, TimeoutError) and error.errno is None:
        return mod.CONNECT_SILENT(limit_s=CONNECT_TIMEOUT_S)
    return mod.CONNECT_FAILED(error=error.strerror or str(error) or type(error).__name__)
