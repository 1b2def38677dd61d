"""What `ven connections scan` concludes: which devices there are, and how to connect each of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from venclient.connectors.device_templates import load_template
from venclient.messages import cli_meters as clm
from venclient.messages import modbus as mod

if TYPE_CHECKING:
    from venclient.connectors.modbus_survey import UnitFound

#: As many unit ids that answer alike belong to one device that ignores them.
_ALIKE = 4
#: So many unit ids stand in one line.
_NAMED = 10
#: So many devices have their connection printed.
_SHOWN = 3
#: Refusals of a gateway that has no device with this unit id.
_NOBODY = ("exception 4 ", "exception 10 ", "exception 11 ")


def conclusion(found: Sequence[UnitFound], host: str, port: int, *, rtu: bool) -> Iterator[str]:
    """Yield lines on what answered, the connection of each device, and the commands to use it."""
    devices = [one for one in found if not _is_nobody(one)]
    yield ""
    empty = [one.unit for one in found if _is_nobody(one)]
    if empty:
        more = clm.SCAN_MORE(count=len(empty) - _NAMED) if len(empty) > _NAMED else ""
        yield clm.SCAN_NOBODY(count=len(empty), units=empty[:_NAMED], more=more)
    first = devices[0] if devices else None
    if first is not None and len(devices) >= _ALIKE and all(_same(one, first) for one in devices):
        yield clm.SCAN_ALIKE(count=len(devices), unit=first.unit)
        devices = [first]
    for one in devices:
        yield _judged(one)
    for one in devices[:_SHOWN]:
        yield ""
        yield from _connected(one, host, port, rtu)
    if not devices:
        yield clm.SCAN_OTHERS(place=place_of(host, port, rtu=rtu))


def place_of(host: str, port: int, *, rtu: bool = False) -> str:
    """Return host, port and framing as `ven connections scan` takes them."""
    return f"{host}{f' --port {port}' if port != 502 else ''}{' --rtu' if rtu else ''}"


def _is_nobody(one: UnitFound) -> bool:
    return bool(one.kinds) and all(said.startswith(_NOBODY) for said in one.kinds.values())


def _same(one: UnitFound, other: UnitFound) -> bool:
    return one.kinds == other.kinds and one.templates == other.templates


def _judged(one: UnitFound) -> str:
    if not one.templates:
        return clm.SCAN_UNKNOWN(unit=one.unit)
    name = _best(one)
    template = load_template(name)
    others = [other for other in one.templates if other != name]
    return clm.SCAN_DEVICE(
        unit=one.unit,
        device=f"{template.manufacturer} {template.title}",
        template=name,
        evidence=one.templates[name],
        others=clm.SCAN_ALSO(names=others) if others else "",
    )


def _best(one: UnitFound) -> str:
    """Return the template to use: that of the make, which says more than SunSpec, where there is one."""
    names = list(one.templates)
    return next((name for name in names if name != "sunspec"), names[0])


def _connected(one: UnitFound, host: str, port: int, rtu: bool) -> Iterator[str]:
    options = _options(one, rtu)
    file = f"unit-{one.unit}.toml"
    yield clm.SCAN_FILE(unit=one.unit, file=file)
    yield 'type = "MODBUSTCP"'
    yield f"host = {json.dumps(host)}"
    yield f"port = {port}"
    yield "[options]"
    for key, value in options.items():
        if key == "registers":
            yield "[[options.registers]]"
            yield from (f"{name} = {json.dumps(item)}" for name, item in value[0].items())
        elif isinstance(value, dict):
            yield f"{key} = {{ {', '.join(f'{name} = {json.dumps(item)}' for name, item in value.items())} }}"
        else:
            yield f"{key} = {json.dumps(value)}"
    yield clm.SCAN_STORE(host=host, port=port, options=json.dumps(options))


def _options(one: UnitFound, rtu: bool) -> dict[str, Any]:
    """Return the options of a connection to a unit; one register where no template has them."""
    options: dict[str, Any] = {}
    if one.templates:
        options |= {"template": _best(one), "parameters": {"unit": one.unit}}
    else:
        options["unit"] = one.unit
    if rtu:
        options["framer"] = "rtu"
    if any(said == str(mod.ANSWERS_IGNORING()) for said in one.kinds.values()):
        options["transaction_ids"] = "ignore"
    if not one.templates:
        kind = next((kind for kind, said in one.kinds.items() if said.startswith("answers")), "holding")
        options["registers"] = [{"quantity": "power_kw", "kind": kind, "address": 0, "type": "int16"}]
    return options
