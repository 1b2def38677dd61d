"""Tells what kind of device a Modbus unit is, from what it says of itself. Asks only, and writes nothing."""

from __future__ import annotations

from venclient.connectors.device_templates import Mark, Template, all_templates
from venclient.connectors.modbus_frames import identification_question, identification_texts
from venclient.connectors.modbus_link import ModbusLink
from venclient.connectors.registers import RegisterKind, text_in
from venclient.connectors.sunspec import walk
from venclient.errors import ConnectFailed, ConnectorError, ReadTimeout
from venclient.messages import modbus as mod
from venclient.messages.printable import foreign

_WORDS = {"uint16": 1, "uint32": 2}


async def recognise(link: ModbusLink, unit: int, *, timeout_s: float = 1.0) -> list[tuple[str, str]]:
    """Return the names of the templates that fit a unit, each with what it was recognised by; often none.

    A SunSpec map, the marks of the templates, and the identification of Modbus function 43 are asked for.
    """
    asker = _Asker(link, unit, timeout_s)
    found: list[tuple[str, str]] = []
    try:
        found.append(("sunspec", str(await walk(asker.read))))
    except (ReadTimeout, ConnectFailed):
        return found
    except ConnectorError:
        pass  # it has no such map
    marked = [template for template in all_templates() if template.identify]
    texts: list[str] | None = None
    for template in sorted(marked, key=_needs_texts):
        if _needs_texts(template) and texts is None:
            # Asked for last, because some devices fall silent when they do not know a function.
            texts = await asker.texts()
        evidence = [await asker.evidence(mark, texts or []) for mark in template.identify]
        if all(evidence):
            found.append((template.name, ", ".join(evidence)))
    return found


def _needs_texts(template: Template) -> bool:
    return any(mark.address is None for mark in template.identify)


class _Asker:
    """Asks one unit; a register that it refuses is one that it does not have."""

    def __init__(self, link: ModbusLink, unit: int, timeout_s: float) -> None:
        self._link = link
        self._unit = unit
        self._timeout_s = timeout_s

    async def read(self, address: int, count: int, kind: RegisterKind = "holding") -> bytes:
        data, _ = await self._link.read(self._unit, kind, address, count, timeout_s=self._timeout_s)
        return data

    async def texts(self) -> list[str]:
        question = identification_question(self._unit)
        try:
            data, _ = await self._link.exchange(question, timeout_s=self._timeout_s)
        except ConnectorError:
            return []
        return identification_texts(data)

    async def evidence(self, mark: Mark, texts: list[str]) -> str:
        """Say what shows that the mark is there; empty when it is not."""
        if mark.address is None:
            said = next((text for text in texts if mark.contains.lower() in text.lower()), "")
            return str(mod.CALLS_ITSELF(text=foreign(said))) if said else ""
        try:
            data = await self.read(mark.address, mark.length or _WORDS[mark.type], mark.kind)
        except ConnectorError:
            return ""
        place = f"{mark.kind} {mark.address}"
        if mark.type == "string":
            text = text_in(data)
            if mark.contains.lower() not in text.lower():
                return ""
            return str(mod.REGISTER_TEXT(place=place, text=foreign(text)))
        number = int.from_bytes(data, "big")
        return str(mod.REGISTER_NUMBER(place=place, number=number)) if _fits(mark, number) else ""


def _fits(mark: Mark, number: int) -> bool:
    if mark.values:
        return (number if mark.mask is None else number & mark.mask) in mark.values
    return mark.low is not None and mark.high is not None and mark.low <= number <= mark.high
