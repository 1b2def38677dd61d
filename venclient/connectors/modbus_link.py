"""One Modbus TCP connection to one endpoint, shared by all units behind it, one request in flight.

pymodbus does the protocol; this keeps its units from harming each other: requests queue first come,
first served; a unit that stays silent is left alone for a while (`Breaker`); an answer counts only with
the transaction, unit, function and length that were asked for; a link that carried garbage, half a
frame or nothing for long is replaced.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from datetime import datetime, timedelta
from types import MappingProxyType

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from venclient.clock import Clock
from venclient.connectors.registers import RegisterKind
from venclient.errors import ConnectFailed, ConnectorError, ReadTimeout, Undecodable

CONNECT_TIMEOUT_S = 3.0
#: Time-outs are ours, per unit; pymodbus's own, per client, must never be the first to end.
LONGEST_TIMEOUT_S = 60.0
#: So many silences in a row, from whichever units, make the connection itself suspect.
SILENCES_BEFORE_RECONNECT = 3

_HEADER = struct.Struct(">HHHBB")
_FUNCTIONS = MappingProxyType({"holding": 3, "input": 4})

#: Modbus Application Protocol 1.1b3, section 7: what each exception code means, and what to do about it.
EXCEPTIONS = MappingProxyType(
    {
        1: (
            "illegal function",
            "this device has no such registers: try kind holding instead of input, or input",
        ),
        2: ("illegal data address", "check address (zero-based) and kind, or lower max_gap"),
        3: ("illegal data value", "lower max_registers: the device does not give so many at once"),
        4: ("device failure", "look at the device: it could not do what it should"),
        5: ("acknowledge, still working", "the device needs longer: read it less often"),
        6: ("device busy", "read it less often"),
        8: ("memory parity error", "look at the device: its memory is damaged"),
        10: ("gateway path unavailable", "check the gateway's configuration of its serial line"),
        11: ("no answer from the unit behind the gateway", "check the unit id, its wiring and baud rate"),
    }
)
_TRANSIENT_EXCEPTIONS = frozenset({4, 5, 6, 10})

# pymodbus logs every failed attempt; we say the first and the last one. Whoever debugs sets its level.
_pymodbus_log = logging.getLogger("pymodbus")
if _pymodbus_log.level == logging.NOTSET:
    _pymodbus_log.setLevel(logging.CRITICAL)


class IllegalAddress(Undecodable):
    """The device has none, or not all, of the registers that were asked for at once."""


class Breaker:
    """Keeps off something that fails: after each failure for twice as long, up to a limit (seconds)."""

    def __init__(self, clock: Clock, *, first_s: float, longest_s: float = 30.0) -> None:
        self._clock = clock
        self._first_s = first_s
        self._longest_s = max(first_s, longest_s)
        self._failures = 0
        self._until_s = 0.0
        self._error: ConnectorError | None = None

    def check(self) -> None:
        """Raise the last failure again, without a new attempt, while it is too early for one."""
        wait_s = self._until_s - self._clock.monotonic()
        if self._error is None or wait_s <= 0:
            return
        error = self._error
        raise type(error)(
            f"{error.what} (asked again in {wait_s:.0f} s)", subject=error.subject, hint=error.hint
        )

    def failed(self, error: ConnectorError) -> None:
        """Note a failure."""
        pause_s = min(self._longest_s, self._first_s * 2.0 ** min(self._failures, 16))
        self._failures += 1
        self._until_s = self._clock.monotonic() + pause_s
        self._error = error

    def succeeded(self) -> None:
        """Forget earlier failures."""
        self._failures = 0
        self._error = None


class ModbusLink:
    """The connection to one host and port. Made outside of a loop, connected on first use."""

    def __init__(self, host: str, port: int, clock: Clock) -> None:
        self._host = host
        self._port = port
        self._clock = clock
        self._endpoint = f"modbustcp {host}:{port}"
        self._queue = asyncio.Lock()  # first come, first served
        self._client: AsyncModbusTcpClient | None = None
        self._door = Breaker(clock, first_s=1.0)
        self._units: dict[int, Breaker] = {}
        self._silences = 0
        self._spoilt = False
        self._partial = 0
        self._asked = (0, 0)  # transaction and unit of the request in flight
        self._stray: int | None = None
        self._waiting: asyncio.Timeout | None = None
        self._fault: ConnectorError | None = None

    async def read(
        self, unit: int, kind: RegisterKind, address: int, count: int, *, timeout_s: float
    ) -> tuple[list[int], datetime]:
        """Give `count` register values and the moment they are from (half-way between request and answer).

        Raises ConnectFailed, ReadTimeout, IllegalAddress, Undecodable or another ConnectorError.
        """
        breaker = self._units.get(unit)
        if breaker is None:
            breaker = self._units[unit] = Breaker(self._clock, first_s=3 * timeout_s)
        breaker.check()
        async with self._queue:
            breaker.check()  # the unit may have shown itself silent while we queued
            while True:
                reused = self._usable
                client = await self._connected()
                try:
                    found = await self._exchange(client, unit, kind, address, count, timeout_s)
                except IllegalAddress:
                    breaker.succeeded()
                    raise
                except ConnectFailed as error:
                    if reused:
                        continue  # some devices close a connection that was idle, and say so only now
                    breaker.failed(error)
                    raise
                except (ReadTimeout, Undecodable) as error:
                    breaker.failed(error)
                    raise
                breaker.succeeded()
                return found

    async def _exchange(
        self,
        client: AsyncModbusTcpClient,
        unit: int,
        kind: RegisterKind,
        address: int,
        count: int,
        timeout_s: float,
    ) -> tuple[list[int], datetime]:
        started_s = self._clock.monotonic()
        answer = await self._ask(client, unit, kind, address, count, timeout_s)
        took_s = self._clock.monotonic() - started_s
        words = self._checked(answer, unit, kind, address, count)
        return words, self._clock.now() - timedelta(seconds=took_s / 2)

    async def close(self) -> None:
        """Close the connection; a later read opens it again."""
        self._drop()

    @property
    def _usable(self) -> bool:
        # Bytes that arrived for nobody would be taken for the start of the next answer.
        clean = not self._spoilt and not self._partial
        return clean and self._client is not None and self._client.connected

    async def _connected(self) -> AsyncModbusTcpClient:
        if self._usable and self._client is not None:
            return self._client
        self._drop()
        self._door.check()
        client = AsyncModbusTcpClient(
            self._host,
            port=self._port,
            reconnect_delay=0,
            timeout=LONGEST_TIMEOUT_S + CONNECT_TIMEOUT_S,
            retries=0,
            trace_packet=self._screen,
            trace_connect=self._connection_changed,
        )
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                connected = await client.connect()
            why = "" if connected else await self._why_not()
        except TimeoutError:
            connected, why = False, f"no answer within {CONNECT_TIMEOUT_S:g} s"
        if not connected:
            client.close()
            error = ConnectFailed(
                f"cannot connect: {why}",
                subject=self._endpoint,
                hint="check host and port, that the device is on, and that nobody else holds its connection",
            )
            self._door.failed(error)
            raise error
        self._door.succeeded()
        self._client = client
        return client

    async def _why_not(self) -> str:
        """Say why connecting failed; pymodbus keeps the reason to itself, so ask the system again."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, writer = await asyncio.open_connection(self._host, self._port)
        except socket.gaierror:
            return f"the name {self._host} is unknown"
        except ConnectionRefusedError:
            return "refused, nothing listens there"
        except TimeoutError:
            return f"no answer within {CONNECT_TIMEOUT_S:g} s"
        except OSError as error:
            return error.strerror or type(error).__name__
        writer.close()
        return "the connection did not come about at the first attempt"

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
        self._silences = 0
        self._spoilt = False
        self._partial = 0

    async def _ask(
        self,
        client: AsyncModbusTcpClient,
        unit: int,
        kind: RegisterKind,
        address: int,
        count: int,
        limit_s: float,
    ) -> ModbusPDU:
        read = client.read_holding_registers if kind == "holding" else client.read_input_registers
        subject = f"{self._endpoint} unit {unit}"
        self._fault, self._stray = None, None
        try:
            async with asyncio.timeout(limit_s) as self._waiting:
                answer: ModbusPDU = await read(address, count=count, device_id=unit)
        except TimeoutError:
            if self._fault is None:
                raise self._silence(subject, limit_s) from None
        except ModbusException as error:
            self._fault = ConnectFailed(
                f"the connection broke ({error.string})", hint="check the network between here and the device"
            )
        finally:
            self._waiting = None
        if self._fault is not None:
            self._drop()
            self._fault.subject = subject
            raise self._fault
        self._silences = 0
        return answer

    def _silence(self, subject: str, limit_s: float) -> ReadTimeout:
        """Give the error for a request without an answer, and replace a link that looks dead."""
        self._silences += 1
        what, hint = f"no answer within {limit_s:g} s", "check unit id and wiring, or raise timeout_s"
        if self._partial:
            what = f"only part of an answer within {limit_s:g} s"
        elif self._stray is not None:
            what += f", but one from unit {self._stray}"
        if self._partial or self._silences >= SILENCES_BEFORE_RECONNECT:
            self._drop()
        return ReadTimeout(what, subject=subject, hint=hint)

    def _checked(
        self, answer: ModbusPDU, unit: int, kind: RegisterKind, address: int, count: int
    ) -> list[int]:
        subject = f"{self._endpoint} unit {unit}"
        place = f"{kind} {address}..{address + count - 1}"
        if answer.isError():
            code = answer.exception_code
            words, hint = EXCEPTIONS.get(code, ("unknown to the standard", "look into the device's manual"))
            what = f"exception {code} ({words}) for {place}"
            if code == 11:
                raise ReadTimeout(what, subject=subject, hint=hint)
            if code in (2, 3):
                raise IllegalAddress(what, subject=subject, hint=hint)
            transient = code in _TRANSIENT_EXCEPTIONS
            raise ConnectorError(what, subject=subject, hint=hint, transient=transient)
        if answer.transaction_id == 0:
            # pymodbus takes transaction 0 for any request, so a late answer could pass for a new one.
            self._drop()
            raise Undecodable(
                f"the answer for {place} carries no transaction id",
                subject=subject,
                hint="update the firmware of the device or its gateway",
            )
        if answer.function_code != _FUNCTIONS[kind] or len(answer.registers) != count:
            raise Undecodable(
                f"{len(answer.registers)} registers by function {answer.function_code} for {place}",
                subject=subject,
                hint="lower max_registers, or check that this is a Modbus TCP device",
            )
        return list(answer.registers)

    # What pymodbus tells us while it waits

    def _connection_changed(self, connected: bool) -> None:
        if not connected:
            self._fail(
                ConnectFailed(
                    "the device closed the connection while it was asked",
                    hint="check that it allows another connection, and has the unit that is asked for",
                )
            )

    def _screen(self, sending: bool, data: bytes) -> bytes:
        """Look at the bytes received so far; garbage ends the request at once, and never reaches pymodbus."""
        if sending:
            transaction, _, _, unit, _ = _HEADER.unpack_from(data)
            self._asked = (transaction, unit)
            return data
        position = 0
        while len(data) - position >= _HEADER.size:
            transaction, protocol, length, unit, function = _HEADER.unpack_from(data, position)
            is_error = function >= 0x80
            if protocol or not 3 <= length <= 254 or function & 0x7F not in _FUNCTIONS.values():
                return self._garbage(data[position:])
            end = position + 6 + length
            if len(data) < end:
                break
            if (is_error and length != 3) or (not is_error and data[position + 8] != length - 3):
                return self._garbage(data[position:])
            if transaction == self._asked[0] and unit != self._asked[1]:
                self._stray = unit
            position = end
        self._partial = len(data) - position
        return data

    def _garbage(self, data: bytes) -> bytes:
        self._fail(
            Undecodable(
                f"bytes that are no Modbus TCP ({data[:12].hex(' ')} ...)",
                hint="check that the port speaks Modbus TCP; RTU over TCP is not supported",
            )
        )
        return b""

    def _fail(self, error: ConnectorError) -> None:
        """End the request in flight with `error`; without one the link is replaced before the next."""
        self._spoilt = True
        if self._waiting is not None and self._fault is None and not self._waiting.expired():
            self._fault = error
            self._waiting.reschedule(asyncio.get_running_loop().time())
