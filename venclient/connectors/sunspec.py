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
from venclient.connectors.modbus_options import Computed
from venclient.connectors.registers import Register, text_in
from venclient.connectors.sunspec_battery import (
    BATTERY_POWER_KW,
    EACH,
    FIRST,
    NAME,
    NAME_WORDS,
    PV_POWER_KW,
    Inputs,
    computed_of,
    inputs_of,
    points_of,
    usable,
)
from venclient.connectors.sunspec_models import (
    BATTERIES,
    COMMON,
    END,
    INVERTERS,
    LIMITS,
    METERS,
    MPPT,
    POINTS,
    STORAGE,
    Point,
)
from venclient.errors import ConnectFailed, ConnectorError, ReadTimeout, Undecodable
from venclient.messages import modbus as mod
from venclient.messages.printable import foreign
from venclient.model.reading import POWER_KW

BASES = (40000, 0, 50000)
_MARK = b"SunS"
#: No device has this many; one that seems to answers the same to every question.
_MOST_MODELS = 100
#: As many inputs have their power and its scale factor within one request.
_MOST_INPUTS = 6
_NO_INPUTS = Inputs()
#: What both an inverter and its battery report; the inverter's own counts.
_OF_THE_INVERTER = frozenset({POWER_KW, "voltage_v", "current_a"})
_COMMON_TEXTS = (("manufacturer", 2, 16), ("model", 18, 16), ("version", 42, 8), ("serial", 50, 16))

#: Returns the payload of a number of holding registers from an address, or raises a ConnectorError.
ReadRegisters = Callable[[int, int], Awaitable[bytes]]


class Model(NamedTuple):
    """One model of a device: its id, the address of its first register, and its length behind the header."""

    id: int
    address: int
    length: int


@dataclass(frozen=True)
class Chain:
    """What a device has. `complaint` says how its chain is broken, if it is; what comes before holds.

    `identity` has model 1: manufacturer, model, version, serial. `inputs` has the inputs of model 160.
    """

    base: int
    models: tuple[Model, ...]
    identity: dict[str, str]
    complaint: str = ""
    inputs: Inputs = _NO_INPUTS

    def __str__(self) -> str:
        ids = ", ".join(str(model.id) for model in self.models) or "none"
        name = foreign(
            " ".join(self.identity[key] for key in ("manufacturer", "model") if self.identity.get(key))
        )
        text = f"{name}: models {ids} from {self.base}" if name else f"models {ids} from {self.base}"
        return f"{text}; {self.complaint}" if self.complaint else text


async def walk(read: ReadRegisters, bases: Iterable[int] = BASES) -> Chain:
    """Return the chain of a device; Undecodable when it has none, ConnectorError when it does not answer."""
    bases = tuple(bases)
    for base in bases:
        if await _try(read, base, 2) == _MARK:
            models, complaint = await _follow(read, base + 2)
            inputs = inputs_of(await _input_names(read, models))
            return Chain(base, models, await _identity(read, models), complaint, inputs)
    raise Undecodable(mod.NO_SUNSPEC(bases=_listed(bases)))


def _listed(bases: tuple[int, ...]) -> str:
    *rest, last = map(str, bases)
    return f"{', '.join(rest)} or {last}" if rest else last


async def _try(read: ReadRegisters, address: int, count: int) -> bytes | None:
    """Read registers; return None where the device refuses them."""
    try:
        return await read(address, count)
    except IllegalAddress:
        return None
    except ConnectorError as error:
        # What is not a refusal (silence, a wrong answer, a gateway's transaction id) says nothing of the map.
        if error.transient or isinstance(error, ReadTimeout | ConnectFailed | Undecodable):
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


async def _input_names(read: ReadRegisters, models: Iterable[Model]) -> list[str]:
    """Return the names of the inputs of model 160, which say what is connected to each."""
    model = next((model for model in models if model.id == MPPT), None)
    if model is None or model.length < FIRST - 2:
        return []
    listed = await _try(read, model.address + FIRST - 2, 1)
    count = min(int.from_bytes(listed or b"", "big"), (model.length + 2 - FIRST) // EACH, _MOST_INPUTS)
    names = []
    for n in range(count):
        data = await _try(read, model.address + FIRST + EACH * n + NAME, NAME_WORDS)
        names.append(text_in(data) if data is not None else "")
    return names


class Plan(NamedTuple):
    """What is read of a device: its registers, and the quantities that are made of them."""

    registers: list[Register]
    computed: list[Computed]


def plan_of(
    chain: Chain, parameters: dict[str, ParameterValue], fits: Callable[[Register], bool] = lambda _one: True
) -> Plan:
    """Return what the parameters choose; Undecodable says what the device has instead.

    What comes along with an inverter is left out where it does not fit the limits of the connection.
    """
    wanted = parameters["model"]
    if wanted == "battery" or (wanted == "auto" and _is_battery(chain)):
        found = _battery(chain)
    elif wanted == MPPT:
        found = _inputs(chain, battery=False, quantity=POWER_KW)
    else:
        found = _model(chain, wanted, parameters, fits)
    if not found.registers:
        raise Undecodable(mod.NO_MODEL(model=wanted, number="", chain=chain))
    return found._replace(registers=turned_round(found.registers)) if parameters["reversed"] else found


def _model(
    chain: Chain,
    wanted: ParameterValue,
    parameters: dict[str, ParameterValue],
    fits: Callable[[Register], bool],
) -> Plan:
    chosen = _chosen(chain, wanted, int(parameters["instance"]))
    registers = _registers(chosen, POINTS[chosen.id])
    if chosen.id not in INVERTERS:
        return Plan(registers, [])
    more = _along(chain)
    for one in LIMITS if parameters["limits"] else ():
        if (model := _nth(chain, (one,), 1)) is not None:
            more.registers.extend(_registers(model, POINTS[one]))
    registers += filter(fits, more.registers)
    return Plan(registers, usable(more.computed, registers))


def _along(chain: Chain) -> Plan:
    """Return what an inverter says of its battery, beside what it says of itself."""
    found = Plan([], [])
    state = _first(chain, (STORAGE, 802, 124))
    if state is not None:
        points = [one for one in POINTS[state.id] if one.quantity not in _OF_THE_INVERTER]
        found.registers.extend(_registers(state, points))
    base = _nth(chain, (802,), 1)
    if base is not None:
        power = next(one for one in POINTS[802] if one.quantity == POWER_KW)
        found.registers.extend(_registers(base, [power._replace(quantity=BATTERY_POWER_KW)]))
    elif chain.inputs.has_battery:
        for battery, quantity in ((True, BATTERY_POWER_KW), (False, PV_POWER_KW)):
            more = _inputs(chain, battery=battery, quantity=quantity)
            found.registers.extend(one for one in more.registers if one.quantity.endswith("_kw"))
            found.computed.extend(more.computed)
    return found


def _is_battery(chain: Chain) -> bool:
    """Return whether a device is a battery without inverter and meter."""
    return _nth(chain, (*INVERTERS, *METERS), 1) is None and _nth(chain, (802,), 1) is not None


def _battery(chain: Chain) -> Plan:
    """Return what a device says of its battery, as of a separate resource."""
    base = _nth(chain, (802,), 1)
    if base is not None:
        return Plan(_registers(base, POINTS[802]), [])
    if not chain.inputs.has_battery:
        return Plan([], [])
    found = _inputs(chain, battery=True, quantity=POWER_KW)
    state = _first(chain, BATTERIES)
    if state is not None:
        found.registers.extend(_registers(state, POINTS[state.id]))
    return found


def _inputs(chain: Chain, *, battery: bool, quantity: str) -> Plan:
    model = _nth(chain, (MPPT,), 1)
    if model is None or not (battery or chain.inputs.pv):
        return Plan([], [])
    registers = [
        msgspec.structs.replace(one, hidden=True)
        for one in _registers(model, points_of(chain.inputs, battery=battery))
    ]
    computed = computed_of(chain.inputs, battery=battery, quantity=quantity)
    return Plan(registers, usable(computed, registers))


def _registers(model: Model, points: Iterable[Point]) -> list[Register]:
    return [_register(model, point) for point in points if point.end <= model.length + 2]


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


def _first(chain: Chain, ids: Iterable[int]) -> Model | None:
    """Return the model of the first id that the device has."""
    return next((found for one in ids if (found := _nth(chain, (one,), 1)) is not None), None)


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
    """Return whether an error says that registers have moved and the device must be asked again."""
    return isinstance(error, IllegalAddress)
