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
    """Return the raw registers in which a device holds the raw number `value` (before scale and offset).

    Written apart from venclient's own encoder: one does not repeat the other's mistakes.
    """
    letter, words = TYPES[register.type]
    if register.type.startswith("mod10k"):
        sign = -1 if value < 0 else 1
        digits = [sign * (abs(int(value)) // 10_000**n % 10_000) for n in range(words)][::-1]
        raw = struct.pack(f">{words}h", *digits)
    elif register.type in ("int8", "uint8"):
        raw = struct.pack(f">{letter}", int(value))
        raw = raw + b"\xaa" if register.byte == "high" else b"\xaa" + raw
    else:
        raw = struct.pack(f">{letter}", value if letter in "efd" else int(value))
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
    """One request as it came in; `values` are the registers that it writes."""

    def __init__(self, frame: bytes) -> None:
        self.transaction, _, _, self.unit, self.function, self.address, self.count = struct.unpack_from(
            ">HHHBBHH", frame.ljust(12, b"\0")
        )
        self.echo = struct.pack(
            ">HHHBBHH", self.transaction, 0, 6, *struct.unpack_from(">BBHH", frame.ljust(12, b"\0"), 6)
        )
        self.values = [self.count] if self.function in (5, 6) else []
        if self.function == 16:
            self.values = list(struct.unpack_from(f">{self.count}H", frame, 13))

    def answer(
        self, words: list[int] | None = None, *, unit: int | None = None, transaction: int | None = None
    ) -> bytes:
        """Return the frame of a right answer, or of one that is wrong as requested.

        Without `words` each register holds unit x 1000 + its address, to make answers distinguishable.
        """
        if words is None:
            words = [(self.unit * 1000 + self.address + offset) & 0xFFFF for offset in range(self.count)]
        data = struct.pack(f">BB{len(words)}H", self.function, 2 * len(words), *words)
        body = bytes([self.unit if unit is None else unit]) + data
        tid = self.transaction if transaction is None else transaction
        return struct.pack(">HHH", tid, 0, len(body)) + body

    def refuse(self, code: int) -> bytes:
        """Return the frame of an exception answer."""
        return struct.pack(">HHHBBB", self.transaction, 0, 3, self.unit, self.function | 0x80, code)


class Memory:
    """A unit that keeps what is written to it, as a `Behaviour`; what it does not hold does not exist."""

    def __init__(self, words: Mapping[int, int], coils: Mapping[int, int] | None = None) -> None:
        self.words = dict(words)
        self.coils = dict(coils or {})

    def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Read or write as one should."""
        held = self.coils if request.function in (1, 5) else self.words
        count = 1 if request.function in (5, 6) else request.count
        asked = range(request.address, request.address + count)
        if any(address not in held for address in asked):
            writer.write(request.refuse(2))
        elif request.values:
            new = [int(request.values[0] == 0xFF00)] if request.function == 5 else request.values
            held.update(zip(asked, new, strict=True))
            writer.write(request.echo)
        elif request.function == 1:
            bits = sum(held[address] << n for n, address in enumerate(asked))
            data = bits.to_bytes((count + 7) // 8, "little")
            body = bytes([request.unit, 1, len(data)]) + data
            writer.write(struct.pack(">HHH", request.transaction, 0, len(body)) + body)
        else:
            writer.write(request.answer([held[address] for address in asked]))


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
    """A server whose units each have a behaviour; `requests` and `connections` show what came in."""

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
                head = await reader.readexactly(6)
                request = Request(head + await reader.readexactly(int.from_bytes(head[4:], "big")))
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
    """Run a server on 127.0.0.1:port that answers well by default."""
    peer = Misbehaving()
    server = await asyncio.start_server(peer.serve, "127.0.0.1", port)
    try:
        yield peer
    finally:
        server.close()
        peer.hang_up()
        await server.wait_closed()
