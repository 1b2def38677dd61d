"""MODBUSTCP: reads the registers that the options list, in as few requests as the device allows."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from venclient.connectors.base import Batch, Site
from venclient.connectors.leases import Leases
from venclient.connectors.modbus_link import LONGEST_TIMEOUT_S, IllegalAddress, ModbusLink
from venclient.connectors.options import check_options, refuse
from venclient.connectors.registers import MOST_REGISTERS, Block, Register, plan_blocks
from venclient.errors import ConnectorError
from venclient.model.reading import Reading, Reject
from venclient.model.resource import Resource

DEFAULT_PORT = 502
PAGE = "docs/connectors/modbus.md"
#: How long requests may queue behind those of other units on the same link, before a read is given up.
QUEUE_ALLOWANCE_S = 30.0


class ModbusOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a MODBUSTCP connection says beyond host and port.

    `timeout_s` is for one request. Registers at most `max_gap` apart are read together, at most
    `max_registers` with one request.
    """

    registers: Annotated[list[Register], Meta(min_length=1)]
    unit: Annotated[int, Meta(ge=0, le=255)] = 1
    interval_s: Annotated[float, Meta(gt=0, le=86_400)] = 10.0
    timeout_s: Annotated[float, Meta(gt=0, le=LONGEST_TIMEOUT_S)] = 1.0
    max_gap: Annotated[int, Meta(ge=0, le=MOST_REGISTERS)] = 8
    max_registers: Annotated[int, Meta(ge=1, le=MOST_REGISTERS)] = MOST_REGISTERS

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for register in self.registers:
            if register.quantity in seen:
                raise ValueError(f"{register.quantity} is read from two registers; one of them would be lost")
            seen.add(register.quantity)
            if register.words > self.max_registers:
                raise ValueError(
                    f"{register.quantity} takes {register.words} registers, more than max_registers allows"
                )


class ModbusReader:
    """Polls one unit. A reading's time is half-way between the request for its block and the answer."""

    def __init__(
        self, resource: Resource, options: ModbusOptions, link: ModbusLink, leases: Leases, endpoint: str
    ) -> None:
        self.interval_s: float | None = options.interval_s
        # A safety net over the time-outs of single requests: queueing behind others is not this unit's fault.
        self.timeout_s = QUEUE_ALLOWANCE_S + options.timeout_s * len(options.registers)
        self._resource_id = resource.resourceID
        self._options = options
        self._link = link
        self._leases = leases
        self._endpoint = endpoint
        self._open = True
        self._plan = plan_blocks(
            options.registers, max_gap=options.max_gap, max_registers=options.max_registers
        )

    @property
    def plan(self) -> tuple[Block, ...]:
        """The requests of one read, in order."""
        return self._plan

    async def read(self) -> Batch:
        """Give a reading for each register that has a value now; registers that cannot be read are rejects.

        Raises the first ConnectorError when no request succeeded.
        """
        readings: list[Reading] = []
        rejects: list[Reject] = []
        first_error: ConnectorError | None = None
        plan: list[Block] = []
        answered = False
        pending = list(self._plan)
        while pending:
            block = pending.pop(0)
            try:
                words, time = await self._link.read(
                    self._options.unit,
                    block.kind,
                    block.address,
                    block.count,
                    timeout_s=self._options.timeout_s,
                )
            except IllegalAddress as error:
                parts = block.split()
                if len(parts) > 1:
                    # Some address in a gap, or one of the registers, does not exist: find out which, and
                    # keep the smaller blocks for the next rounds.
                    pending[:0] = parts
                    continue
                first_error = first_error or error
                rejects.append(self._reject(block, error))
            except ConnectorError as error:
                first_error = first_error or error
                rejects.append(self._reject(block, error))
                if error.transient:
                    plan += (block, *pending)  # the unit is gone: the rest would only wait as well
                    break
            else:
                answered = True
                readings += [
                    Reading(self._resource_id, quantity, value, time)
                    for quantity, value in block.decode(words)
                ]
            plan.append(block)
        self._plan = tuple(plan)
        if first_error is not None and not answered:
            raise first_error
        return Batch(readings, rejects)

    def _reject(self, block: Block, error: ConnectorError) -> Reject:
        return Reject(f"unit {self._options.unit} {block}", f"{error.what}; {error.hint}".removesuffix("; "))

    async def close(self) -> None:
        """Give the link back; the last reader of an endpoint closes it."""
        if self._open:
            self._open = False
            await self._leases.release(self._endpoint, holder=self._resource_id)


def open_modbus_reader(resource: Resource, site: Site) -> ModbusReader:
    """Give the reader of a MODBUSTCP connection; ConfigError lists all that is wrong with it."""
    connection = resource.connection
    options, problems = check_options(connection.options, ModbusOptions)
    host = (connection.host or "").strip().lower()
    if not host:
        problems.insert(0, "host: missing; expected the name or address of the device")
    port = DEFAULT_PORT if connection.port is None else connection.port
    if not 1 <= port <= 65535:
        problems.insert(0, f"port: expected 1..65535 (given: {port})")
    if options is None or problems:
        raise refuse(resource, problems, page=PAGE)
    endpoint = f"modbustcp {host}:{port}"
    link = site.leases.acquire(
        endpoint,
        holder=resource.resourceID,
        settings="Modbus TCP",
        make=lambda: ModbusLink(host, port, site.clock),
        close=ModbusLink.close,
    )
    return ModbusReader(resource, options, link, site.leases, endpoint)
