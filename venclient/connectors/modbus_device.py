"""MODBUSTCP connections that name a device template, beside those that list registers themselves."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from venclient.connectors.base import Batch, Reader, Site
from venclient.connectors.device_templates import Expansion, expand_template
from venclient.connectors.leases import Leases
from venclient.connectors.modbus import QUEUE_ALLOWANCE_S, ModbusReader, open_modbus_reader
from venclient.connectors.modbus_frames import read_question
from venclient.connectors.modbus_link import ModbusLink
from venclient.connectors.modbus_options import PAGE, ModbusOptions, acquire_link, endpoint_of
from venclient.connectors.options import check_options, quantities_named, refuse, subject_of
from venclient.connectors.registers import Register
from venclient.connectors.sunspec import BASES, Chain, Plan, is_missing, plan_of, walk
from venclient.connectors.sunspec_battery import BATTERY_POWER_KW, PV_POWER_KW, usable
from venclient.connectors.sunspec_models import POINTS
from venclient.errors import ConnectorError, Undecodable
from venclient.messages import modbus as mod
from venclient.model.resource import Resource
from venclient.thinned import Thinned

log = logging.getLogger(__name__)

#: Placeholder registers to check the other options of a device that reports its own registers.
_LATER: list[dict[str, Any]] = [
    {"quantity": quantity, "address": 65535, "type": "uint16"}
    for quantity in sorted(
        {BATTERY_POWER_KW, PV_POWER_KW} | {point.quantity for points in POINTS.values() for point in points}
    )
]


def open_modbus_device(resource: Resource, site: Site) -> Reader:
    """Build the reader of a MODBUSTCP connection, with or without a template; ConfigError lists mistakes."""
    return _open(resource, site)


async def open_and_look(resource: Resource, site: Site) -> ModbusReader:
    """Build the reader of a MODBUSTCP connection as it is once the device was asked what it has.

    Raise ConfigError when they are wrong, another ConnectorError when a device that must be asked is silent.
    """
    opened = _open(resource, site)
    if not isinstance(opened, SunSpecReader):
        return opened
    try:
        return await opened.look()
    except BaseException:
        await opened.close()
        raise


def template_problems(options: Mapping[str, Any]) -> list[str]:
    """Return one sentence per mistake in options that name a template."""
    expansion, problems = expand_template(options)
    if expansion is None:
        return problems
    return _checked(expansion)[1]


def template_quantities(options: Mapping[str, Any]) -> set[str] | None:
    """Return the quantities of a device whose options name a template; None when they are not known."""
    expansion, _ = expand_template(options)
    if expansion is None:
        return None
    found = quantities_named(expansion.options)
    return found | {one["quantity"] for one in _LATER} if expansion.template.discovered else found


def _open(resource: Resource, site: Site) -> ModbusReader | SunSpecReader:
    options = resource.connection.options or {}
    if "template" not in options:
        return open_modbus_reader(resource, site)
    expansion, problems = expand_template(options)
    checked = None
    if expansion is not None:
        checked, problems = _checked(expansion)
    host, port = endpoint_of(_with_port(resource, expansion).connection, problems)
    if expansion is None or checked is None or problems:
        raise refuse(resource, problems, page=PAGE)
    if not expansion.template.discovered:
        return open_modbus_reader(_expanded(resource, expansion), site)
    link, endpoint = acquire_link(site, host, port, checked, holder=resource.resourceID)
    return SunSpecReader(resource, expansion, checked, link, site.leases, endpoint, site.thinned)


def _checked(expansion: Expansion) -> tuple[ModbusOptions | None, list[str]]:
    options = expansion.options
    if expansion.template.discovered:
        own = options["registers"]
        mine = {one.get("quantity") for one in own}
        options = {**options, "registers": [*(o for o in _LATER if o["quantity"] not in mine), *own]}
    return check_options(options, ModbusOptions)


def _with_port(resource: Resource, expansion: Expansion | None) -> Resource:
    if expansion is None or resource.connection.port is not None:
        return resource
    return replace(resource, connection=replace(resource.connection, port=expansion.template.port))


def _expanded(resource: Resource, expansion: Expansion) -> Resource:
    resource = _with_port(resource, expansion)
    return replace(resource, connection=replace(resource.connection, options=expansion.options))


class SunSpecReader:
    """Polls a device whose registers it first asks for; it asks again when they are no longer there."""

    def __init__(
        self,
        resource: Resource,
        expansion: Expansion,
        options: ModbusOptions,
        link: ModbusLink,
        leases: Leases,
        endpoint: str,
        thinned: Thinned,
    ) -> None:
        self._thinned = thinned
        self.interval_s: float | None = options.interval_s
        # The walk takes a request for each model of the device, some dozens.
        self.timeout_s = 2 * QUEUE_ALLOWANCE_S + options.timeout_s * 10 * (1 + options.retries)
        self._resource = resource
        self._parameters = expansion.parameters
        self._own = expansion.options["registers"]
        self._options = options
        self._link = link
        self._leases = leases
        self._endpoint = endpoint
        self._reader: ModbusReader | None = None
        self._open = True
        self._said = ""

    async def read(self) -> Batch:
        """Return a reading for each register that has a value now.

        Undecodable when the device has no SunSpec map, or not the model that is wanted.
        """
        if self._reader is None:
            self._reader = await self.look()
        try:
            return await self._reader.read()
        except ConnectorError as error:
            if is_missing(error):
                self._reader = None  # an update of its firmware may have moved them
            raise

    async def look(self) -> ModbusReader:
        """Ask the device what it has, and give the reader of that."""
        try:
            chain = await walk(self._read, self._bases())
            found = plan_of(chain, self._parameters, self._fits)
        except ConnectorError as error:
            error.subject = error.subject or subject_of(self._resource)
            raise
        self._tell(chain)
        options = self._options_for(found)
        return ModbusReader(self._resource, options, self._link, self._leases, self._endpoint)

    async def _read(self, address: int, count: int) -> bytes:
        options = self._options
        data, _ = await self._link.exchange(
            read_question(options.unit, "holding", address, count),
            timeout_s=options.timeout_s,
            retries=options.retries,
        )
        return data

    def _bases(self) -> tuple[int, ...]:
        base = self._parameters["base"]
        return (base,) if isinstance(base, int) else BASES

    def _tell(self, chain: Chain) -> None:
        said = str(chain)
        if said != self._said:
            self._said = said
            message = mod.SUNSPEC_BROKEN if chain.complaint else mod.SUNSPEC_FOUND
            level = logging.WARNING if chain.complaint else logging.INFO
            line = self._thinned.line(said, message(subject=subject_of(self._resource), chain=said))
            if line is not None:
                log.log(level, line)

    def _fits(self, register: Register) -> bool:
        count = register.last - register.first + 1
        options = self._options
        return count <= options.max_registers and options.limits.allow(
            register.kind, register.first, register.last
        )

    def _options_for(self, found: Plan) -> ModbusOptions:
        own = [msgspec.convert(one, Register) for one in self._own]
        replaced = {one.quantity for one in own} | {one.quantity for one in self._options.computed}
        registers = [*(one for one in found.registers if one.quantity not in replaced), *own]
        computed = [one for one in found.computed if one.quantity not in replaced]
        computed = [*usable(computed, registers), *self._options.computed]
        try:
            return msgspec.structs.replace(self._options, registers=registers, computed=computed)
        except ValueError as error:
            raise Undecodable(mod.SUNSPEC_OPTIONS(error=error), subject=subject_of(self._resource)) from error

    async def close(self) -> None:
        """Release the link; the last reader of an endpoint closes it."""
        if self._open:
            self._open = False
            await self._leases.release(self._endpoint, holder=self._resource.resourceID)
