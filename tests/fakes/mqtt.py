"""A broker that misbehaves on purpose: just enough of MQTT 3.1.1 to refuse topics and to talk garbage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class ScriptedBroker:
    """Accepts every client; refuses the topics of `refuse`; sends `garbage` to the first that connects."""

    def __init__(self, refuse: set[str], garbage: bytes, *, session: bool = False) -> None:
        self._session = session
        #: Packet numbers that were acknowledged, in order; and how many clients subscribed.
        self.acknowledged: list[int] = []
        self.subscribed = 0
        self._refuse = refuse
        self._garbage = garbage
        self._writers: list[asyncio.StreamWriter] = []

    async def publish(self, topic: str, payload: bytes) -> None:
        """Send a message of QoS 0 to the newest client."""
        name = topic.encode()
        body = len(name).to_bytes(2, "big") + name + payload
        self._writers[-1].write(bytes([0x30, len(body)]) + body)
        await self._writers[-1].drain()

    async def give(self, number: int, topic: str, payload: bytes, *, again: bool = False) -> None:
        """Send a message of QoS 1 to the newest client; `again` marks it as sent before."""
        name = topic.encode()
        body = len(name).to_bytes(2, "big") + name + number.to_bytes(2, "big") + payload
        self._writers[-1].write(bytes([0x3A if again else 0x32, len(body)]) + body)
        await self._writers[-1].drain()

    def cut(self) -> None:
        """Cut off the newest client."""
        self._writers[-1].transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk to one client until it leaves."""
        self._writers.append(writer)
        try:
            while True:
                kind = (await reader.readexactly(1))[0] & 0xF0
                body = await reader.readexactly(await self._length(reader))
                if kind == 0x10:
                    writer.write(b"\x20\x02" + bytes([self._session and len(self._writers) > 1]) + b"\x00")
                    writer.write(self._garbage)
                    self._garbage = b""
                elif kind == 0x80:
                    topic = body[4 : 4 + int.from_bytes(body[2:4], "big")].decode()
                    code = 0x80 if topic in self._refuse else 1
                    writer.write(b"\x90\x03" + body[:2] + bytes([code]))
                    self.subscribed += 1
                elif kind == 0x40:
                    self.acknowledged.append(int.from_bytes(body[:2], "big"))
                elif kind == 0xC0:
                    writer.write(b"\xd0\x00")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _length(self, reader: asyncio.StreamReader) -> int:
        length, shift = 0, 0
        while True:
            byte = (await reader.readexactly(1))[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return length

    def close(self) -> None:
        """Cut off all clients."""
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def scripted_broker(
    port: int,
    *,
    refuse: set[str] | None = None,
    garbage_first: bool = False,
    garbage: bytes = b"",
    session: bool = False,
) -> AsyncIterator[ScriptedBroker]:
    """Run a scripted broker on 127.0.0.1:port; with `session` it says that it kept one from the second on."""
    first = (garbage or b"\x90\x01\x00\xf0\x00") if garbage_first else b""
    broker = ScriptedBroker(refuse or set(), first, session=session)
    server = await asyncio.start_server(broker.serve, "127.0.0.1", port)
    try:
        yield broker
    finally:
        server.close()
        broker.close()
        await server.wait_closed()
