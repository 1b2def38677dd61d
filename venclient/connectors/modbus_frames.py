"""Modbus frames, as TCP and as RTU over TCP carry them: requests to bytes, bytes to answers. No I/O.

Building requests and the checksum are pymodbus's; matching answers to requests is ours, because the
library's client allows one request in flight and takes transaction 0 for any.
"""

from __future__ import annotations

import struct
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol

from pymodbus.framer.rtu import FramerRTU
from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest, WriteSingleCoilRequest
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from venclient.connectors.registers import BIT_KINDS, RegisterKind

FramerName = Literal["tcp", "rtu"]

_HEADER = struct.Struct(">HHHBB")
_READS = MappingProxyType(
    {
        "coil": ReadCoilsRequest,
        "discrete": ReadDiscreteInputsRequest,
        "holding": ReadHoldingRegistersRequest,
        "input": ReadInputRegistersRequest,
    }
)
_READ_FUNCTIONS = frozenset({1, 2, 3, 4})
_WRITE_FUNCTIONS = frozenset({5, 6, 16})
_FUNCTIONS = _READ_FUNCTIONS | _WRITE_FUNCTIONS
#: Modbus Application Protocol 1.1b3, 6.21: read device identification, of any length.
_IDENTIFY = 43
_ANY_SIZE = -1
_MOST_LENGTH = 254


class Question(NamedTuple):
    """One request, ready to be framed: `pdu` is its function and data, `size` the payload of its answer.

    A `size` below zero says that the answer may have any.
    """

    unit: int
    function: int
    pdu: bytes
    size: int
    place: str

    @property
    def writes(self) -> bool:
        """Whether it changes something in the device."""
        return self.function in _WRITE_FUNCTIONS


class Answer(NamedTuple):
    """One answer; `data` is its payload: a read's registers, an exception's code, the echo of a write."""

    transaction: int
    unit: int
    function: int
    data: bytes

    def answers(self, question: Question) -> bool:
        """Return whether unit, function and length are those that `question` asks for, or refuse it."""
        if self.unit != question.unit or self.function & 0x7F != question.function:
            return False
        return self.function != question.function or question.size < 0 or len(self.data) == question.size


class Garbage(Exception):
    """Bytes that no answer starts with."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data[:12].hex(" "))


class Framing(Protocol):
    """Frames of one connection; keeps the part of an answer that has come."""

    tells_apart: bool
    """Whether an answer says which request it belongs to; only then several may be in flight."""

    @property
    def partial(self) -> int:
        """How many bytes of an unfinished answer there are."""
        ...

    def frame(self, transaction: int, question: Question) -> bytes:
        """Return the bytes to send."""
        ...

    def feed(self, data: bytes) -> list[Answer]:
        """Return the answers that are complete now; raise Garbage when there can never be one."""
        ...


def read_question(unit: int, kind: RegisterKind, address: int, count: int) -> Question:
    """Ask for registers, or for coils or discrete inputs."""
    size = (count + 7) // 8 if kind in BIT_KINDS else 2 * count
    return _question(unit, _READS[kind](address=address, count=count), size, place_of(kind, address, count))


def write_question(unit: int, address: int, words: list[int], *, multiple: bool) -> Question:
    """Write holding registers: function 6 for a single one, else 16."""
    kind = WriteMultipleRegistersRequest if multiple else WriteSingleRegisterRequest
    place = place_of("holding", address, len(words))
    return _question(unit, kind(address=address, registers=words), 4, place)


def write_coil_question(unit: int, address: int, on: bool) -> Question:
    """Switch a coil: function 5."""
    return _question(
        unit, WriteSingleCoilRequest(address=address, bits=[on]), 4, place_of("coil", address, 1)
    )


def place_of(kind: str, address: int, count: int) -> str:
    """Name a range as messages do: "holding 10..11"."""
    return f"{kind} {address}" if count == 1 else f"{kind} {address}..{address + count - 1}"


def identification_question(unit: int) -> Question:
    """Ask for the texts by which a device says what it is."""
    return Question(unit, _IDENTIFY, bytes([_IDENTIFY, 14, 1, 0]), _ANY_SIZE, "device identification")


def identification_texts(payload: bytes) -> list[str]:
    """Return the texts in an answer to that: maker, product code, revision; what is cut off is left out."""
    found, rest = [], payload[6:]
    while len(rest) >= 2 and len(rest) >= 2 + rest[1]:
        found.append(rest[2 : 2 + rest[1]].decode("utf-8", "replace").strip("\0 "))
        rest = rest[2 + rest[1] :]
    return found


def _question(unit: int, request: ModbusPDU, size: int, place: str) -> Question:
    pdu = bytes([request.function_code]) + request.encode()
    return Question(unit, request.function_code, pdu, size, place)


class TcpFraming:
    """Modbus TCP: a header with transaction, length and unit."""

    tells_apart = True

    def __init__(self) -> None:
        self._rest = b""

    @property
    def partial(self) -> int:
        """How many bytes of an unfinished answer there are."""
        return len(self._rest)

    def frame(self, transaction: int, question: Question) -> bytes:
        """Return the bytes to send."""
        unit, function, pdu, _, _ = question
        return _HEADER.pack(transaction, 0, len(pdu) + 1, unit, function) + pdu[1:]

    def feed(self, data: bytes) -> list[Answer]:
        """Return the answers that are complete now; raise Garbage when there can never be one."""
        if self._rest:
            data = self._rest + data
        found = []
        position, size = 0, len(data)
        while size - position >= 8:
            transaction, protocol, length, unit, function = _HEADER.unpack_from(data, position)
            known = function & 0x7F in _FUNCTIONS or function & 0x7F == _IDENTIFY
            if protocol or not 3 <= length <= _MOST_LENGTH or not known:
                raise Garbage(data[position:])
            end = position + 6 + length
            if size < end:
                break
            start = position + 8
            if function & 0x80:
                right = length == 3
            elif function in _READ_FUNCTIONS:
                right = data[start] == length - 3
                start += 1
            else:
                right = length == 6 or function == _IDENTIFY
            if not right:
                raise Garbage(data[position:])
            found.append(Answer(transaction, unit, function, data[start:end]))
            position = end
        self._rest = data[position:]
        return found


class RtuFraming:
    """RTU over TCP: unit, function, data and a checksum, as on a serial line; one request at a time."""

    tells_apart = False

    def __init__(self) -> None:
        self._rest = b""

    @property
    def partial(self) -> int:
        """How many bytes of an unfinished answer there are."""
        return len(self._rest)

    def frame(self, transaction: int, question: Question) -> bytes:
        """Return the bytes to send."""
        message = bytes([question.unit]) + question.pdu
        return message + _checksum(message)

    def feed(self, data: bytes) -> list[Answer]:
        """Return the answers that are complete now; raise Garbage when there can never be one."""
        data = self._rest + data
        found = []
        while len(data) >= 3:
            unit, function = data[0], data[1]
            if function & 0x7F not in _FUNCTIONS:
                raise Garbage(data)
            start, end = 2, 6  # the echo of a write
            if function & 0x80:
                end = 3
            elif function in _READ_FUNCTIONS:
                start, end = 3, 3 + data[2]
            if len(data) < end + 2:
                break
            if _checksum(data[:end]) != data[end : end + 2]:
                raise Garbage(data)
            found.append(Answer(0, unit, function, data[start:end]))
            data = data[end + 2 :]
        self._rest = data
        return found


def _checksum(message: bytes) -> bytes:
    return FramerRTU.compute_CRC(message).to_bytes(2, "big")


FRAMINGS: MappingProxyType[str, type[TcpFraming] | type[RtuFraming]] = MappingProxyType(
    {"tcp": TcpFraming, "rtu": RtuFraming}
)
