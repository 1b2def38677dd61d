"""A small MQTT broker in the process: what the demo needs where mosquitto is not installed.

Speaks MQTT 3.1.1 and 5 at QoS 0 and 1, with wildcards and retained messages. It has no logins, TLS, wills,
QoS 2 or sessions that outlive a connection, so it is not for use on a network.
"""

from __future__ import annotations

import asyncio
import itertools
import struct
from dataclasses import dataclass, field
from enum import IntEnum

MOST_BYTES = 1024 * 1024


class Packet(IntEnum):
    """Types of MQTT control packets."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14


class ProtocolError(Exception):
    """A client sent something that this broker cannot read; its connection is closed."""


def matches(pattern: str, topic: str) -> bool:
    """Return whether a topic filter with the wildcards + and # covers a topic."""
    wanted, given = pattern.split("/"), topic.split("/")
    if topic.startswith("$") and wanted[0] in ("+", "#"):
        return False
    for place, level in enumerate(wanted):
        if level == "#":
            return True
        if place >= len(given) or level not in ("+", given[place]):
            return False
    return len(wanted) == len(given)


@dataclass(eq=False)
class _Client:
    writer: asyncio.StreamWriter
    version: int = 4
    filters: dict[str, int] = field(default_factory=dict)
    ids: itertools.cycle[int] = field(default_factory=lambda: itertools.cycle(range(1, 65536)))

    @property
    def no_properties(self) -> bytes:
        """An empty list of properties in MQTT 5, nothing in 3.1.1."""
        return b"\0" if self.version == 5 else b""

    def send(self, kind: Packet, body: bytes, flags: int = 0) -> None:
        """Send one packet."""
        self.writer.write(bytes([kind << 4 | flags]) + _length(len(body)) + body)

    def deliver(self, topic: str, payload: bytes, qos: int, *, retained: bool = False) -> None:
        """Send a message if a filter of this client covers its topic, at the lower of both QoS."""
        granted = [most for pattern, most in self.filters.items() if matches(pattern, topic)]
        if not granted or self.writer.is_closing():
            return
        qos = min(qos, max(granted))
        identifier = struct.pack(">H", next(self.ids)) if qos else b""
        body = _text(topic) + identifier + self.no_properties + payload
        self.send(Packet.PUBLISH, body, qos << 1 | retained)


class MiniBroker:
    """An anonymous MQTT broker on a free port of 127.0.0.1."""

    def __init__(self) -> None:
        self.port = 0
        self._server: asyncio.Server | None = None
        self._clients: set[_Client] = set()
        self._retained: dict[str, tuple[bytes, int]] = {}

    async def start(self) -> None:
        """Listen on a free port of 127.0.0.1."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close the listener and every connection; safe to call twice."""
        if self._server is None:
            return
        self._server.close()
        for client in tuple(self._clients):
            client.writer.transport.abort()
        await self._server.wait_closed()
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = _Client(writer)
        self._clients.add(client)
        try:
            kind, _, body = await _read_packet(reader)
            if kind is not Packet.CONNECT:
                raise ProtocolError("the first packet is not CONNECT")
            _connect(client, body)
            while True:
                kind, flags, body = await _read_packet(reader)
                if kind is Packet.DISCONNECT:
                    return
                self._handle(client, kind, flags, body)
                await writer.drain()
        except (ProtocolError, OSError, EOFError, struct.error, IndexError, UnicodeDecodeError):
            return  # the connection is closed, which is how MQTT reports it
        finally:
            self._clients.discard(client)
            writer.close()

    def _handle(self, client: _Client, kind: Packet, flags: int, body: bytes) -> None:
        match kind:
            case Packet.PUBLISH:
                self._publish(client, flags, body)
            case Packet.SUBSCRIBE:
                self._subscribe(client, body)
            case Packet.UNSUBSCRIBE:
                identifier, rest = body[:2], body[2:]
                patterns = [pattern for pattern, _ in _filters(client, rest, with_options=False)]
                for pattern in patterns:
                    client.filters.pop(pattern, None)
                reasons = bytes(len(patterns)) if client.version == 5 else b""
                client.send(Packet.UNSUBACK, identifier + client.no_properties + reasons)
            case Packet.PINGREQ:
                client.send(Packet.PINGRESP, b"")
            case Packet.PUBACK:
                pass  # nothing is sent again: the connection does not outlive the demo
            case _:
                raise ProtocolError(f"unexpected packet {kind.name}")

    def _publish(self, client: _Client, flags: int, body: bytes) -> None:
        qos = flags >> 1 & 3
        if qos > 1:
            raise ProtocolError("QoS 2 is not supported")
        topic, rest = _read_text(body)
        if qos:
            identifier, rest = rest[:2], rest[2:]
            client.send(Packet.PUBACK, identifier)
        payload = _skip_properties(rest) if client.version == 5 else rest
        if flags & 1:
            if payload:
                self._retained[topic] = payload, qos
            else:
                self._retained.pop(topic, None)
        for other in self._clients:
            other.deliver(topic, payload, qos)

    def _subscribe(self, client: _Client, body: bytes) -> None:
        identifier, rest = body[:2], body[2:]
        wanted = [(pattern, min(options & 3, 1)) for pattern, options in _filters(client, rest)]
        client.send(Packet.SUBACK, identifier + client.no_properties + bytes(qos for _, qos in wanted))
        client.filters.update(wanted)
        for topic, (payload, qos) in self._retained.items():
            if any(matches(pattern, topic) for pattern, _ in wanted):
                client.deliver(topic, payload, qos, retained=True)


def _connect(client: _Client, body: bytes) -> None:
    name, rest = _read_text(body)
    if name != "MQTT" or rest[0] not in (4, 5):
        raise ProtocolError("only MQTT 3.1.1 and 5 are spoken")
    client.version = rest[0]
    rest = rest[4:]  # version, flags, keep alive
    if client.version == 4:
        client.send(Packet.CONNACK, b"\0\0")
        return
    client_id, _ = _read_text(_skip_properties(rest))
    assigned = b"" if client_id else b"\x12" + _text(f"client-{id(client):x}")
    client.send(Packet.CONNACK, b"\0\0" + _length(len(assigned)) + assigned)


def _filters(client: _Client, rest: bytes, *, with_options: bool = True) -> list[tuple[str, int]]:
    if client.version == 5:
        rest = _skip_properties(rest)
    found = []
    while rest:
        pattern, rest = _read_text(rest)
        options = 0
        if with_options:
            options, rest = rest[0], rest[1:]
        found.append((pattern, options))
    return found


async def _read_packet(reader: asyncio.StreamReader) -> tuple[Packet, int, bytes]:
    (head,) = await reader.readexactly(1)
    length = 0
    for shift in (0, 7, 14, 21):
        (one,) = await reader.readexactly(1)
        length |= (one & 127) << shift
        if one < 128:
            break
    if length > MOST_BYTES:
        raise ProtocolError(f"a packet of {length} bytes is too long")
    try:
        kind = Packet(head >> 4)
    except ValueError:
        raise ProtocolError(f"unknown packet type {head >> 4}") from None
    return kind, head & 15, await reader.readexactly(length)


def _length(count: int) -> bytes:
    parts = bytearray()
    while True:
        count, low = count >> 7, count & 127
        parts.append(low | (128 if count else 0))
        if not count:
            return bytes(parts)


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">H", len(data)) + data


def _read_text(data: bytes) -> tuple[str, bytes]:
    (length,) = struct.unpack_from(">H", data)
    if len(data) < 2 + length:
        raise ProtocolError("a text is cut short")
    return data[2 : 2 + length].decode(), data[2 + length :]


def _skip_properties(data: bytes) -> bytes:
    length = 0
    for place, one in enumerate(data[:4]):
        length |= (one & 127) << 7 * place
        if one < 128:
            return data[place + 1 + length :]
    raise ProtocolError("properties are cut short")
