"""Modbus peers on loopback: pymodbus's own server as a second opinion, and one that misbehaves on demand."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from venclient.connectors.registers import TYPES, Register

BANK_SIZE = 200


def encode(value: float, register: Register) -> list[int]:
    """Give the raw registers in which a device holds `value` (before scale and offset)."""
    letter, words = TYPES[register.type]
    raw = struct.pack(f">{letter}", value if letter in "fd" else int(value))
    found = list(struct.unpack(f">{words}H", raw))
    if register.byte_order == "little":
        found = [word >> 8 | (word & 0xFF) << 8 for word in found]
    return found[::-1] if register.word_order == "little" else found


class Devices:
    """The units behind a running pymodbus server."""

    def __init__(self, server: ModbusTcpServer) -> None:
        self._server = server

    async def set(self, unit: int, address: int, words: list[int]) -> None:
        """Put raw registers into a unit."""
        await self._server.async_setValues(unit, 16, address, words)


@asynccontextmanager
async def pymodbus_server(port: int, banks: Mapping[int, Mapping[int, list[int]]]) -> AsyncIterator[Devices]:
    """Serve units on 127.0.0.1:port: unit -> {address: registers}; all other addresses are illegal."""
    devices = [
        SimDevice(
            id=unit,
            simdata=[
                SimData(address, values=words, datatype=DataType.REGISTERS)
                for address, words in sorted(bank.items())
            ],
        )
        for unit, bank in banks.items()
    ]
    server = ModbusTcpServer(devices, address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    try:
        yield Devices(server)
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]


class Request:
    """One read request as it came in."""

    def __init__(self, frame: bytes) -> None:
        self.transaction, _, _, self.unit, self.function, self.address, self.count = struct.unpack(
            ">HHHBBHH", frame
        )

    def answer(
        self, words: list[int] | None = None, *, unit: int | None = None, transaction: int | None = None
    ) -> bytes:
        """Give the frame of a right answer, or of one that is wrong just as told.

        Without `words` each register holds unit x 1000 + its address, so that answers can be told apart.
        """
        if words is None:
            words = [(self.unit * 1000 + self.address + offset) & 0xFFFF for offset in range(self.count)]
        data = struct.pack(f">BBB{len(words)}H", 0, self.function, 2 * len(words), *words)[1:]
        body = bytes([self.unit if unit is None else unit]) + data
        tid = self.transaction if transaction is None else transaction
        return struct.pack(">HHH", tid, 0, len(body)) + body

    def refuse(self, code: int) -> bytes:
        """Give the frame of an exception answer."""
        return struct.pack(">HHHBBB", self.transaction, 0, 3, self.unit, self.function | 0x80, code)


#: What a unit does with a request: write any bytes, or none.
Behaviour = Callable[[Request, asyncio.StreamWriter], None]


def well(request: Request, writer: asyncio.StreamWriter) -> None:
    """Answer as one should."""
    writer.write(request.answer())


def silent(request: Request, writer: asyncio.StreamWriter) -> None:
    """Never answer."""


def refusing(code: int) -> Behaviour:
    """Answer with an exception."""
    return lambda request, writer: writer.write(request.refuse(code))


def sending(make: Callable[[Request], bytes]) -> Behaviour:
    """Answer with the bytes that `make` gives."""
    return lambda request, writer: writer.write(make(request))


class Misbehaving:
    """A server whose units each have a behaviour; `requests` and `connections` tell what came in."""

    def __init__(self) -> None:
        self.units: dict[int, Behaviour] = {}
        self.requests: list[Request] = []
        self.connections = 0
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests until it ends."""
        self.connections += 1
        self._writers.add(writer)
        try:
            while True:
                request = Request(await reader.readexactly(12))
                self.requests.append(request)
                self.units.get(request.unit, well)(request, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def hang_up(self) -> None:
        """Reset every connection."""
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def misbehaving_server(port: int) -> AsyncIterator[Misbehaving]:
    """Run a server on 127.0.0.1:port that answers well until told otherwise."""
    peer = Misbehaving()
    server = await asyncio.start_server(peer.serve, "127.0.0.1", port)
    try:
        yield peer
    finally:
        server.close()
        peer.hang_up()
        await server.wait_closed()
