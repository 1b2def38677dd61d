"""MODBUSTCP, the other way: writes setpoints into registers and coils, and reads them back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec

from venclient.connectors.base import Site
from venclient.connectors.blocks import LARGEST_EXPONENT, Block
from venclient.connectors.device_templates import all_templates, expand_writing
from venclient.connectors.modbus_frames import (
    Question,
    read_question,
    write_coil_question,
    write_question,
)
from venclient.connectors.modbus_options import (
    PAGE,
    ModbusWriterOptions,
    WritableRegister,
    acquire_link,
    endpoint_of,
)
from venclient.connectors.options import check_options, refuse, subject_of
from venclient.connectors.registers import encode, meant_bits
from venclient.errors import ConfigError, Undecodable, WriteRefused
from venclient.messages import Text, text_of, with_code
from venclient.messages import modbus as mod
from venclient.model.resource import ActorType, Connection, Resource
from venclient.model.setpoint import Receipt, Setpoint

_WHOLE = 1e-6  # of a value, for floating point numbers that come back


class ModbusWriter:
    """Tells one unit what to do. Bits of a register that do not belong to a value are left as they are."""

    def __init__(
        self, resource: Resource, options: ModbusWriterOptions, site: Site, host: str, port: int
    ) -> None:
        self._resource = resource
        self._options = options
        self._clock = site.clock
        self._leases = site.leases
        self._registers = {register.quantity: register for register in options.registers}
        self._link, self._endpoint = acquire_link(site, host, port, options, holder=resource.resourceID)
        self._open = True

    async def write(self, setpoint: Setpoint) -> Receipt:
        """Write a value, and read it back where the options say so.

        WriteRefused when the value is outside of the options' range, cannot be held by the register, or
        the device answers with an exception; other ConnectorErrors when it cannot be reached.
        """
        register = self._registers.get(setpoint.quantity)
        if register is None:
            raise self._refused(setpoint, mod.NO_REGISTER(known=list(self._registers)))
        if not (math.isfinite(setpoint.value) and register.min <= setpoint.value <= register.max):
            raise self._refused(setpoint, mod.OUTSIDE(low=register.min, high=register.max))
        exponent = await self._exponent(register)
        try:
            data = encode(register, setpoint.value, exponent=exponent)
        except ValueError as error:
            raise self._refused(setpoint, mod.NOT_ENCODED(problem=text_of(error))) from error
        meant = meant_bits(register)
        if register.kind == "coil":
            question = write_coil_question(self._options.unit, register.address, data[1] == 1)
        else:
            if meant != b"\xff" * len(meant):
                held, _ = await self._ask(self._read_question(register))
                kept = (old & ~mask | new for old, mask, new in zip(held, meant, data, strict=True))
                data = bytes(byte & 0xFF for byte in kept)
            words = [int.from_bytes(data[n : n + 2], "big") for n in range(0, len(data), 2)]
            multiple = register.function == "multiple" or len(words) > 1
            question = write_question(self._options.unit, register.address, words, multiple=multiple)
        _, time = await self._ask(question)
        written = self._value_in(register, data, exponent)
        return await self._receipt(setpoint, register, written, exponent, time)

    async def _receipt(
        self,
        setpoint: Setpoint,
        register: WritableRegister,
        written: float | None,
        exponent: int,
        time: datetime,
    ) -> Receipt:
        read_back: float | None = None
        ok, detail = True, ""
        sent = setpoint.value if written is None else written
        if register.read_back:
            data, time = await self._ask(self._read_question(register))
            read_back = self._value_in(register, data, exponent)
            step = abs(register.scale) * 10.0**exponent
            tolerance = register.tolerance
            if tolerance is None:
                tolerance = abs(sent) * _WHOLE if register.type.startswith("float") else step / 2
            ok = read_back is not None and abs(read_back - sent) <= tolerance
            if not ok:
                detail = with_code(
                    mod.READ_BACK_NONE(written=sent)
                    if read_back is None
                    else mod.READ_BACK(written=sent, read_back=read_back)
                )
        return Receipt(
            resource_id=self._resource.resourceID,
            quantity=setpoint.quantity,
            asked=setpoint.value,
            written=sent,
            read_back=read_back,
            ok=ok,
            time=time,
            detail=detail,
        )

    async def _exponent(self, register: WritableRegister) -> int:
        """Return the power of ten that the scale register holds now; 0 when there is none."""
        if register.scale_register is None:
            return 0
        data, _ = await self._ask(
            read_question(self._options.unit, register.kind, register.scale_register, 1)
        )
        exponent = int.from_bytes(data, "big", signed=True)
        if abs(exponent) > LARGEST_EXPONENT:
            raise Undecodable(
                mod.SCALE_FACTOR(exponent=exponent, address=register.scale_register),
                subject=subject_of(self._resource),
            )
        return exponent

    def _read_question(self, register: WritableRegister) -> Question:
        return read_question(self._options.unit, register.kind, register.address, register.words)

    async def _ask(self, question: Question) -> tuple[bytes, datetime]:
        return await self._link.exchange(
            question, timeout_s=self._options.timeout_s, retries=self._options.retries
        )

    @staticmethod
    def _value_in(register: WritableRegister, data: bytes, exponent: int) -> float | None:
        """Return the value in a register's bytes, read with the same exponent as it was written with."""
        if register.kind == "coil":
            return (data[-1] & 1) * register.scale + register.offset
        [raw] = Block([_without_factor(register)]).decode(data) or [(register.quantity, math.nan)]
        value = (raw[1] - register.offset) * 10.0**exponent + register.offset
        return value if math.isfinite(value) else None

    def _refused(self, setpoint: Setpoint, why: Text) -> WriteRefused:
        what = mod.NOT_WRITTEN(quantity=setpoint.quantity, value=setpoint.value, reason=why, advice=why.hint)
        return WriteRefused(what, subject=subject_of(self._resource))

    async def close(self) -> None:
        """Release the link; the last user of an endpoint closes it."""
        if self._open:
            self._open = False
            await self._leases.release(self._endpoint, holder=self._resource.resourceID)


def _without_factor(register: WritableRegister) -> WritableRegister:
    """Return the register without its scale register."""

    return msgspec.structs.replace(register, scale_register=None)


def writing_options(connection: Connection) -> tuple[ModbusWriterOptions | None, Connection, list[str]]:
    """Return the options of a connection that commands, by a template or not, and what is wrong with them.

    The connection comes back with the port that the template's device has, where it says none itself.
    """
    options: Mapping[str, Any] = connection.options or {}
    if "template" in options:
        expansion, problems = expand_writing(options)
        if expansion is None:
            return None, connection, problems
        if connection.port is None:
            connection = replace(connection, port=expansion.template.port)
        options = expansion.options
        if not options["registers"]:
            usage = "".join(f" with {k} {v}" for k, v in expansion.parameters.items() if k == "usage")
            known = [one.name for one in all_templates() if one.write]
            problem = mod.NOT_WRITABLE(template=expansion.template.name, usage=usage, known=known)
            return None, connection, [problem]
    checked, problems = check_options(options, ModbusWriterOptions)
    return checked, connection, problems


def open_modbus_writer(resource: Resource, site: Site) -> ModbusWriter:
    """Build the writer of a resource's MODBUSTCP connection of actor type WRITER.

    ConfigError lists all that is wrong with it.
    """
    connection = resource.control_connection or resource.connection
    if connection.actortype is not ActorType.WRITER:
        raise ConfigError(mod.NO_WRITER(page=PAGE), subject=subject_of(resource))
    resource = replace(resource, connection=connection)
    options, connection, problems = writing_options(connection)
    host, port = endpoint_of(connection, problems)
    if options is None or problems:
        raise refuse(resource, problems, page=PAGE)
    return ModbusWriter(resource, options, site, host, port)
