"""MODBUSTCP: reads the registers that the options list, in as few requests as the device allows."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from venclient.connectors.base import Batch, Site
from venclient.connectors.blocks import Block, plan_blocks
from venclient.connectors.leases import Leases
from venclient.connectors.mistakes import continued
from venclient.connectors.modbus_errors import IllegalAddress
from venclient.connectors.modbus_frames import Question, read_question
from venclient.connectors.modbus_link import ModbusLink
from venclient.connectors.modbus_options import (
    PAGE,
    Computed,
    ModbusOptions,
    acquire_link,
    endpoint_of,
)
from venclient.connectors.options import check_options, refuse
from venclient.errors import ConnectorError
from venclient.model.reading import Reading, Reject
from venclient.model.resource import Resource

#: How long requests may queue behind those of other units on the same link, before a read is given up.
QUEUE_ALLOWANCE_S = 30.0

#: A quantity with its value and the moment it is from.
_Found = list[tuple[str, float, datetime]]


class _Step(NamedTuple):
    """One request of a round: what it reads, and the question ready to be sent."""

    block: Block
    question: Question


class ModbusReader:
    """Polls one unit. A reading's time is half-way between the request for its block and the answer."""

    def __init__(
        self, resource: Resource, options: ModbusOptions, link: ModbusLink, leases: Leases, endpoint: str
    ) -> None:
        self.interval_s: float | None = options.interval_s
        # A safety net over the time-outs of single requests: queueing behind others is not this unit's fault.
        attempts = len(options.registers) * (1 + options.retries)
        self.timeout_s = QUEUE_ALLOWANCE_S + options.timeout_s * attempts + options.connect_delay_s
        self._resource_id = resource.resourceID
        self._options = options
        self._link = link
        self._leases = leases
        self._endpoint = endpoint
        self._open = True
        shown = {register.quantity for register in options.registers if not register.hidden}
        self._shown = shown | {one.quantity for one in options.computed if not one.hidden}
        self._all_shown = len(self._shown) == len(options.registers) and not options.computed
        self._steps = self._steps_for(plan_blocks(options.registers, options.limits))

    @property
    def plan(self) -> tuple[Block, ...]:
        """The requests of one read, in order."""
        return tuple(step.block for step in self._steps)

    @property
    def options(self) -> ModbusOptions:
        """What the connection says."""
        return self._options

    @property
    def link(self) -> ModbusLink:
        """The connection that all units of the endpoint share."""
        return self._link

    def _steps_for(self, blocks: Iterable[Block]) -> list[_Step]:
        unit = self._options.unit
        return [_Step(b, read_question(unit, b.kind, b.address, b.count)) for b in blocks]

    async def read(self) -> Batch:
        """Return a reading for each register that has a value now; registers that cannot be read are rejects.

        Raises the first ConnectorError when no request succeeded.
        """
        options = self._options
        try:
            if len(self._steps) == 1:
                [step] = self._steps
                try:
                    data, time = await self._link.exchange(
                        step.question, timeout_s=options.timeout_s, retries=options.retries
                    )
                except IllegalAddress as error:
                    if len(step.block.registers) == 1:
                        raise
                    return await self._round([(step, error)])
                values = step.block.decode(data)
                if self._all_shown:
                    resource_id = self._resource_id
                    return Batch([Reading(resource_id, q, value, time) for q, value in values])
                return Batch(self._readings([(q, value, time) for q, value in values]))
            return await self._round([])
        finally:
            if options.close_after_round:
                self._link.hang_up_if_idle()

    async def _round(self, known: list[tuple[_Step, ConnectorError]]) -> Batch:
        """Ask for all blocks; `known` are those whose answer was an error already."""
        found: _Found = []
        rejects: list[Reject] = []
        errors: list[ConnectorError] = []
        steps: list[_Step] = []
        answered = False
        answers: dict[int, ConnectorError | tuple[bytes, datetime]] = {id(s): error for s, error in known}
        pending = list(self._steps)
        if self._options.pipelining > 1:
            asked = await asyncio.gather(*(self._ask(step) for step in pending))
            answers |= {id(step): answer for step, answer in zip(pending, asked, strict=True)}
        while pending:
            step = pending.pop(0)
            answer = answers.pop(id(step), None) or await self._ask(step)
            if not isinstance(answer, ConnectorError):
                data, time = answer
                answered = True
                found += [(quantity, value, time) for quantity, value in step.block.decode(data)]
            elif isinstance(answer, IllegalAddress) and len(parts := step.block.split()) > 1:
                # Some address in a gap, or one of the registers, does not exist: find out which, and keep
                # the smaller blocks for the next rounds.
                pending[:0] = self._steps_for(parts)
                continue
            else:
                errors.append(answer)
                rejects.append(self._reject(step.block, answer))
                if answer.transient and not answers:
                    steps += (step, *pending)  # the unit is gone: the rest would only wait as well
                    break
            steps.append(step)
        self._steps = steps
        if errors and not answered:
            raise errors[0]
        return Batch(self._readings(found), rejects)

    async def _ask(self, step: _Step) -> ConnectorError | tuple[bytes, datetime]:
        options = self._options
        try:
            return await self._link.exchange(
                step.question, timeout_s=options.timeout_s, retries=options.retries
            )
        except ConnectorError as error:
            return error

    def _readings(self, found: _Found) -> list[Reading]:
        resource_id = self._resource_id
        if not self._all_shown:
            values = {quantity: (value, time) for quantity, value, time in found}
            for one in self._options.computed:
                _compute(one, values)
            shown = self._shown
            found = [(q, value, time) for q, (value, time) in values.items() if q in shown]
        return [Reading(resource_id, quantity, value, time) for quantity, value, time in found]

    def _reject(self, block: Block, error: ConnectorError) -> Reject:
        return Reject(
            f"unit {self._options.unit} {block}",
            continued(error.what, f"; {error.hint}" if error.hint else ""),
        )

    async def close(self) -> None:
        """Release the link; the last reader of an endpoint closes it."""
        if self._open:
            self._open = False
            await self._leases.release(self._endpoint, holder=self._resource_id)


def _compute(one: Computed, values: dict[str, tuple[float, datetime]]) -> None:
    """Add a computed quantity; from the moment of the newest of its parts."""
    parts = [values[name] for name in one.of if name in values]
    if len(parts) < len(one.of) and not (one.op == "total" and parts):
        return
    result = _result(one.op, [number for number, _ in parts])
    value = math.nan if result is None else result * one.scale + one.offset
    if math.isfinite(value):
        values[one.quantity] = (value, max(time for _, time in parts))


def _result(op: str, numbers: list[float]) -> float | None:
    """Return what `op` makes of the parts, None where it makes nothing of them."""
    first, *rest = numbers
    if op in ("sum", "total"):
        return sum(numbers)
    if op == "difference":
        return first - sum(rest)
    if op == "product":
        return math.prod(numbers)
    if op == "absolute":
        return abs(first)
    divisor = math.prod(rest)
    return first / divisor if divisor else None


def open_modbus_reader(resource: Resource, site: Site) -> ModbusReader:
    """Build the reader of a MODBUSTCP connection; ConfigError lists all that is wrong with it."""
    connection = resource.connection
    options, problems = check_options(connection.options, ModbusOptions)
    host, port = endpoint_of(connection, problems)
    if options is None or problems:
        raise refuse(resource, problems, page=PAGE)
    link, endpoint = acquire_link(site, host, port, options, holder=resource.resourceID)
    return ModbusReader(resource, options, link, site.leases, endpoint)
