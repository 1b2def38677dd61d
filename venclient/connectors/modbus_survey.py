"""Looks at a Modbus device as its installer does: what is asked, what comes, what to change.

`examine` reads one connection and shows each step from raw words to values; `scan` finds the units behind
a host. Both ask only, and write nothing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import AsyncIterator, Iterable
from typing import Any

import msgspec

from venclient.clock import Clock
from venclient.connectors.base import Site
from venclient.connectors.blocks import Block
from venclient.connectors.modbus import ModbusReader
from venclient.connectors.modbus_device import open_and_look
from venclient.connectors.modbus_errors import IllegalAddress, NotConnected
from venclient.connectors.modbus_frames import FramerName
from venclient.connectors.modbus_link import ModbusLink
from venclient.connectors.modbus_options import ModbusOptions
from venclient.connectors.no_value import no_values
from venclient.connectors.options import without_quality
from venclient.connectors.recognition import recognise
from venclient.connectors.registers import BIT_KINDS, Register, RegisterKind, text_in
from venclient.errors import ConnectFailed, ConnectorError, ReadTimeout
from venclient.messages import Text
from venclient.messages import modbus as mod
from venclient.model.reading import Reading
from venclient.model.resource import Resource

#: Unit ids that devices have unless they were changed.
_USUAL_UNITS = (1, 0, 255, 2, 3, 247, 126)
#: What people write for address 0: the manual's number, with and without its own first register being 1.
_MANUAL_OFFSETS = (40001, 40000, 30001, 30000)
#: Exceptions with which gateways answer for units that they cannot reach.
_OF_GATEWAYS = (4, 10, 11)
_KINDS: tuple[RegisterKind, ...] = ("holding", "input")
_LARGEST_LIKELY = 1e7
_SMALLEST_LIKELY = 1e-6


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One register: its words as they came, the number in them, and the value (None: it has none now)."""

    quantity: str
    words: str
    raw: float | str | None
    value: float | None
    hint: str = ""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request: what for, the round trip (None without an answer), what came, or why nothing did."""

    place: str
    took_ms: float | None = None
    seen: tuple[Seen, ...] = ()
    error: str = ""
    advice: tuple[str, ...] = ()


class Examination(msgspec.Struct, frozen=True, kw_only=True):
    """A connection that was tried once: the plan as it was and as the device allows it, and what came."""

    unit: int
    planned: tuple[str, ...]
    asked: tuple[Asked, ...]
    readings: tuple[Reading, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every request was answered."""
        return not any(one.error for one in self.asked)


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a plan: what it asks for, how many registers, and the quantities that are in them."""

    place: str
    count: int
    quantities: tuple[str, ...]


class UnitFound(msgspec.Struct, frozen=True, kw_only=True):
    """A unit that answered, and how to which kinds of registers: "answers", or its refusal in words.

    `templates` has those that fit the device, and by what it was recognised.
    """

    unit: int
    kinds: dict[str, str]
    took_ms: float
    templates: dict[str, str] = {}


async def plan_of(resource: Resource, site: Site) -> tuple[Planned, ...]:
    """Return the requests of one read of a MODBUSTCP connection, in order; nothing is read.

    A device is asked only where it alone knows its registers (SunSpec). ConfigError when options are wrong.
    """
    reader = await open_and_look(without_quality(resource), site)
    try:
        return tuple(
            Planned(
                place=str(block),
                count=block.count,
                quantities=tuple(register.quantity for register in block.registers),
            )
            for block in reader.plan
        )
    finally:
        await reader.close()


async def examine(resource: Resource, site: Site) -> Examination:
    """Try a MODBUSTCP connection, with the advice that can be had by asking otherwise.

    ConfigError when its options are wrong, ConnectFailed when no device is there.
    """
    resource = without_quality(resource)
    reader = await open_and_look(resource, site)
    try:
        options = reader.options
        planned = tuple(str(block) for block in reader.plan)
        asked: list[Asked] = []
        pending = list(reader.plan)
        while pending:
            block = pending.pop(0)
            try:
                asked.append(await _look_at(reader, options, block, site.clock))
            except NotConnected:
                raise
            except IllegalAddress as error:
                parts = block.split()
                if len(parts) > 1:
                    pending[:0] = parts
                    continue
                asked.append(await _failed(reader.link, options, block, error))
            except ConnectorError as error:
                if await _answers_ignoring_ids(reader.link, options, block):
                    asked.append(Asked(place=str(block), error=str(error.what), advice=(mod.IGNORE_IDS(),)))
                    pending.insert(0, block)  # show what is in it all the same
                    continue
                asked.append(await _failed(reader.link, options, block, error))
                if isinstance(error, ReadTimeout | ConnectFailed):
                    break
        readings: Iterable[Reading] = ()
        if options.computed and any(one.seen for one in asked):
            readings = (await reader.read()).readings
        computed = {one.quantity for one in options.computed}
        return Examination(
            unit=options.unit,
            planned=planned,
            asked=tuple(asked),
            readings=tuple(one for one in readings if one.quantity in computed),
        )
    finally:
        await reader.close()


async def _look_at(reader: ModbusReader, options: ModbusOptions, block: Block, clock: Clock) -> Asked:
    started_s = clock.monotonic()
    data, _ = await reader.link.read(
        options.unit, block.kind, block.address, block.count, timeout_s=options.timeout_s
    )
    took_ms = (clock.monotonic() - started_s) * 1000
    values = dict(block.decode(data))
    seen = tuple(
        Seen(
            quantity=register.quantity,
            words=_words(block, register, data),
            raw=_shown(register, raw),
            value=values.get(register.quantity),
            # A mark for "no value" is what it is: no other order of words is to be tried for it.
            hint=""
            if raw in no_values(register)
            else _hint(block, register, data, values.get(register.quantity)),
        )
        for register, raw in zip(block.registers, block.raw(data), strict=False)
    )
    return Asked(place=str(block), took_ms=took_ms, seen=seen)


def _words(block: Block, register: Register, data: bytes) -> str:
    at = register.address - block.address
    if block.kind in BIT_KINDS:
        return str(data[at >> 3] >> (at & 7) & 1)
    return data[2 * at : 2 * (at + register.words)].hex(" ", 2).upper()


def _shown(register: Register, raw: Any) -> float | str | None:
    if isinstance(raw, bytes):
        return text_in(raw) if register.type == "string" else raw.hex(" ", 2)
    return raw if math.isfinite(raw) else None


# What to change


def _hint(block: Block, register: Register, data: bytes, value: float | None) -> str:
    """Say how else the words could be read, when the value is none that a meter is likely to have."""
    if register.type in ("bool", "string") or (value is not None and _likely(value)):
        return ""
    alone = data[2 * (register.address - block.address) :][: 2 * register.words]
    for word_order, byte_order in itertools.product(("big", "little"), repeat=2):
        if (word_order, byte_order) == (register.word_order, register.byte_order):
            continue
        other = msgspec.structs.replace(
            register, word_order=word_order, byte_order=byte_order, scale_register=None
        )
        decoded = Block([other]).decode(alone)
        if decoded and decoded[0][1] and _likely(decoded[0][1]):
            change = [f'{name} "{order}"' for name, order in _changes(register, word_order, byte_order)]
            kind = mod.FOUND_NONE() if value is None else mod.FOUND_UNLIKELY()
            return str(mod.ORDER_GIVES(found=kind, changes=" and ".join(change), value=decoded[0][1]))
    return ""


def _changes(register: Register, word_order: str, byte_order: str) -> list[tuple[str, str]]:
    orders = [("word_order", word_order), ("byte_order", byte_order)]
    return [(name, order) for name, order in orders if order != getattr(register, name)]


def _likely(value: float) -> bool:
    return value == 0 or _SMALLEST_LIKELY < abs(value) < _LARGEST_LIKELY


async def _failed(link: ModbusLink, options: ModbusOptions, block: Block, error: ConnectorError) -> Asked:
    if isinstance(error, ReadTimeout | ConnectFailed) or _is_of_gateway(error):
        advice = await _other_units(link, options, block)
    else:
        advice = await _elsewhere(link, options, block)
    return Asked(
        place=str(block),
        error=str(error.what),
        advice=tuple(str(one) for one in (error.hint, *advice) if one),
    )


async def _answers_ignoring_ids(link: ModbusLink, options: ModbusOptions, block: Block) -> bool:
    """Return whether the last answer had a foreign transaction id, and ignoring ids makes the unit answer."""
    if link.foreign_id is None or options.transaction_ids == "ignore":
        return False
    link.ignore_transaction_ids()
    return await _answers(link, options.unit, block.kind, block.address, block.count, options.timeout_s)


async def _other_units(link: ModbusLink, options: ModbusOptions, block: Block) -> list[str]:
    """Ask the unit ids that devices usually have; a refusal is an answer too."""
    timeout_s = min(options.timeout_s, 1.0)
    for unit in _USUAL_UNITS:
        if unit != options.unit and await _answers(
            link, unit, block.kind, block.address, block.count, timeout_s
        ):
            return [mod.UNIT_ANSWERS(unit=unit)]
    return [mod.NO_UNIT_ANSWERS()]


async def _elsewhere(link: ModbusLink, options: ModbusOptions, block: Block) -> list[str]:
    """Ask for the same registers as the other kind, one lower, one higher, and without a manual's 40001."""
    places: list[tuple[RegisterKind, int, str]] = [
        (kind, block.address, mod.KIND_ANSWERS(kind=kind)) for kind in _KINDS if kind != block.kind
    ]
    for offset in (1, -1, *_MANUAL_OFFSETS):
        address = block.address - offset
        kind = block.kind if abs(offset) == 1 else "holding" if offset >= 40000 else "input"
        places.append((kind, address, mod.ADDRESS_ANSWERS(address=address, kind=kind)))
    return [
        said
        for kind, address, said in places
        if 0 <= address <= 65536 - block.count
        and await _answers(link, options.unit, kind, address, block.count, options.timeout_s, refusals=False)
    ]


async def _answers(
    link: ModbusLink,
    unit: int,
    kind: RegisterKind,
    address: int,
    count: int,
    timeout_s: float,
    *,
    refusals: bool = True,
) -> bool:
    try:
        await link.read(unit, kind, address, count, timeout_s=timeout_s)
    except (ReadTimeout, ConnectFailed):
        return False
    except ConnectorError as error:
        return refusals and not _is_of_gateway(error)
    return True


def _is_of_gateway(error: ConnectorError) -> bool:
    """Return whether a refusal may come from a gateway that has no such unit."""
    params = error.what.params if isinstance(error.what, Text) else {}
    return params.get("exception") in _OF_GATEWAYS


async def scan(
    host: str, port: int, units: Iterable[int], *, clock: Clock, timeout_s: float, framer: FramerName = "tcp"
) -> AsyncIterator[UnitFound]:
    """Yield each unit that answers, in order; ConnectFailed when no device is at the endpoint.

    A unit is asked for its first holding and input register, and then for what it says of itself.
    """
    link = ModbusLink(host, port, clock, framer=framer)
    try:
        for unit in units:
            found = await _try_unit(link, unit, clock, timeout_s)
            if found is not None:
                known = await recognise(link, unit, timeout_s=timeout_s)
                yield msgspec.structs.replace(found, templates=dict(known))
    finally:
        await link.close()


async def _try_unit(link: ModbusLink, unit: int, clock: Clock, timeout_s: float) -> UnitFound | None:
    kinds: dict[str, str] = {}
    started_s = clock.monotonic()
    took_ms = 0.0
    said = "answers" if link.by_id else str(mod.ANSWERS_IGNORING())
    for kind in _KINDS:
        try:
            await link.read(unit, kind, 0, 1, timeout_s=timeout_s)
        except NotConnected:
            raise
        except ConnectorError as error:
            if link.foreign_id is not None and link.by_id:
                link.ignore_transaction_ids()
                return await _try_unit(link, unit, clock, timeout_s)
            if isinstance(error, ReadTimeout | ConnectFailed):
                break  # some gateways close the connection when asked for a unit that they do not have
            kinds[kind] = str(error.what).partition(" for ")[0]
        else:
            kinds[kind] = said
        took_ms = took_ms or (clock.monotonic() - started_s) * 1000
    return UnitFound(unit=unit, kinds=kinds, took_ms=took_ms) if kinds else None
