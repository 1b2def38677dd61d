"""SunSpec: a device says itself what it has, as a chain of models; from that come its registers.

"SunS"  1,66 .............  103,50 .......  713,7 ....  0xFFFF,0        id, length, then the model's registers
base    base+2              base+70
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from venclient.connectors.device_templates import ParameterValue, turned_round
from venclient.connectors.modbus_errors import IllegalAddress
from venclient.connectors.registers import Register, text_in
from venclient.connectors.sunspec_models import (
    COMMON,
    END,
    INVERTERS,
    LIMITS,
    METERS,
    POINTS,
    STORAGE,
    Point,
)
from venclient.errors import ConnectFailed, ConnectorError, ReadTimeout, Undecodable
from venclient.messages import modbus as mod
from venclient.messages.printable import foreign

BASES = (40000, 0, 50000)
_MARK = b"SunS"
#: No device has so many; one that seems to answers the same to every question.
_MOST_MODELS = 100
_COMMON_TEXTS = (("manufacturer", 2, 16), ("model", 18, 16), ("version", 42, 8), ("serial", 50, 16))

#: Gives the payload of so many holding registers from an address, or raises a ConnectorError.
ReadRegisters = Callable[[int, int], Awaitable[bytes]]


class Model(NamedTuple):
    """One model of a device: its id, the address of its first register, and its length behind the header."""

    id: int
    address: int
    length: int


@dataclass(frozen=True)
class Chain:
    """What a device has. `complaint` says how its chain is broken, if it is; what comes before holds.

    `identity` has what model 1 tells: manufacturer, model, version, serial.
    """

    base: int
    models: tuple[Model, ...]
    identity: dict[str, str]
    complaint: str = ""

    def __str__(self) -> str:
        ids = ", ".join(str(model.id) for model in self.models) or "none"
        told = foreign(
            " ".join(self.identity[key] for key in ("manufacturer", "model") if self.identity.get(key))
        )
        text = f"{told}: models {ids} from {self.base}" if told else f"models {ids} from {self.base}"
        return f"{text}; {self.complaint}" if self.complaint else text


async def walk(read: ReadRegisters, bases: Iterable[int] = BASES) -> Chain:
    """Give the chain of a device; Undecodable when it has none, ConnectorError when it does not answer."""
    bases = tuple(bases)
    for base in bases:
        if await _try(read, base, 2) == _MARK:
            models, complaint = await _follow(read, base + 2)
            return Chain(base, models, await _identity(read, models), complaint)
    raise Undecodable(mod.NO_SUNSPEC(bases=_listed(bases)))


def _listed(bases: tuple[int, ...]) -> str:
    *rest, last = map(str, bases)
    return f"{', '.join(rest)} or {last}" if rest else last


async def _try(read: ReadRegisters, address: int, count: int) -> bytes | None:
    """Give registers, or None where the device refuses them."""
    try:
        return await read(address, count)
    except (ReadTimeout, ConnectFailed):
        raise
    except ConnectorError as error:
        if error.transient:
            raise
        return None


async def _follow(read: ReadRegisters, address: int) -> tuple[tuple[Model, ...], str]:
    models: list[Model] = []
    while address + 2 <= 65536:
        header = await _try(read, address, 2)
        if header is None:
            return tuple(models), mod.CHAIN_REGISTER(address=address)
        found = Model(int.from_bytes(header[:2], "big"), address, int.from_bytes(header[2:], "big"))
        if found.id == END:
            return tuple(models), ""
        if found.length == 0:
            return tuple(models), mod.CHAIN_LENGTH(model=found.id, address=address)
        if len(models) == _MOST_MODELS:
            return tuple(models), mod.CHAIN_ENDLESS(limit=_MOST_MODELS)
        models.append(found)
        address += 2 + found.length
    last = models[-1]
    return tuple(models), mod.CHAIN_END(model=last.id, address=last.address)


async def _identity(read: ReadRegisters, models: Iterable[Model]) -> dict[str, str]:
    common = next((model for model in models if model.id == COMMON), None)
    if common is None:
        return {}
    found = {}
    for key, offset, words in _COMMON_TEXTS:
        if offset + words <= common.length + 2:
            data = await _try(read, common.address + offset, words)
            found[key] = text_in(data) if data is not None else ""
    return found


def registers_of(chain: Chain, parameters: dict[str, ParameterValue]) -> list[Register]:
    """Give the registers of what the parameters choose; Undecodable says what the device has instead."""
    chosen = _chosen(chain, parameters["model"], int(parameters["instance"]))
    models = [chosen]
    if chosen.id in INVERTERS:
        wanted = (STORAGE, *LIMITS) if parameters["limits"] else (STORAGE,)
        models += [first for one in wanted if (first := _nth(chain, (one,), 1)) is not None]
    registers = [
        _register(model, point)
        for model in models
        for point in POINTS[model.id]
        if point.end <= model.length + 2
    ]
    return turned_round(registers) if parameters["reversed"] else registers


def _chosen(chain: Chain, wanted: ParameterValue, instance: int) -> Model:
    groups: dict[ParameterValue, list[tuple[int, ...]]] = {
        "auto": [(701,), (*INVERTERS, *METERS)],
        "inverter": [(701,), INVERTERS],
        "meter": [METERS],
    }
    for ids in groups.get(wanted, [(wanted,)] if isinstance(wanted, int) else []):
        found = _nth(chain, ids, instance)
        if found is not None:
            return found
    nth = f" number {instance}" if instance > 1 else ""
    raise Undecodable(mod.NO_MODEL(model=wanted, number=nth, chain=chain))


def _nth(chain: Chain, ids: Iterable[int], instance: int) -> Model | None:
    found = [model for model in chain.models if model.id in set(ids)]
    return found[instance - 1] if len(found) >= instance else None


def _register(model: Model, point: Point) -> Register:
    options = {
        "quantity": point.quantity,
        "address": model.address + point.offset,
        "type": point.type,
        "scale": point.scale,
        "nan": point.none,
        "scale_register": None if point.factor is None else model.address + point.factor,
    }
    try:
        return msgspec.convert(options, Register)
    except msgspec.ValidationError as error:
        raise Undecodable(mod.MODEL_INVALID(model=model.id, address=model.address, error=error)) from error


def is_missing(error: ConnectorError) -> bool:
    """Tell whether an error says that registers are not where they were, so that the device is asked anew."""
    return isinstance(error, IllegalAddress)
