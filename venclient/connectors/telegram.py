"""DSMR P1 telegrams: what a smart meter's customer port sends every few seconds. Pure: no files.

    /ISK5\\2M550T-1012                   who, then an empty line
    0-0:1.0.0(250601120000S)            the time, with S(ummer) or W(inter)
    1-0:1.8.1(001234.567*kWh)           OBIS code, value, unit
    !A1B2                               CRC16 of everything from / to !

Meters before DSMR 4 have no 0-0:1.0.0; some send 0-0:0.9.2 (date) and 0-0:0.9.1 (time) instead, some nothing.
Some shorten the codes of electricity (1.8.0 for 1-0:1.8.0).
The CRC is over lines that end with CR LF, as the meter sent them; a log may have kept only LF, lost the empty
line or added some.

Old meters have no CRC, and send seven bits with even parity. Read as eight bits, the parity is the high bit:
it is checked and taken off. Whatever else is not ASCII means that the telegram is damaged, and so does a
wanted code whose value cannot be read. A telegram that was cut off may go on with the next one within a line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from venclient.connectors.mistakes import shown
from venclient.connectors.telegram_clock import meter_clock
from venclient.messages import files as fil

TIME_CODE = "0-0:1.0.0"
_CLOCK_TIME = re.compile(r"[01]-0:0\.9\.1")
_CLOCK_DATE = re.compile(r"[01]-0:0\.9\.2")
CODE = re.compile(r"\d{1,3}-\d{1,3}:\d{1,3}\.\d{1,3}\.\d{1,3}", re.ASCII)

_CODED = re.compile(r"(\d{1,3}-\d{1,3}:)?(\d{1,3}\.\d{1,3}\.\d{1,3})(?:\*\d{1,3})?(?=\()(.*)", re.ASCII)
_GROUPS = re.compile(r"(?:\([^()]*\))+")
_GROUP = re.compile(r"\(([^()]*)\)")
_VALUE = re.compile(r"([+-]?\d{1,12}(?:\.\d{1,9})?)\*([A-Za-z0-9]{1,8})", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,12}(?:\.\d{1,9})?", re.ASCII)
#: How a telegram begins: three letters of the maker, and the speed.
_BEGINNING = re.compile(rb"/[A-Za-z]{3}[0-9A-Z]")
#: A line whose brackets close: what looks like a beginning is a text in it.
_WHOLE_LINE = re.compile(rb"[\d.:*-]*(?:\([^()]*\))+")
_EVEN = frozenset(byte for byte in range(256) if byte.bit_count() % 2 == 0)
_SEVEN_BITS = bytes(byte & 0x7F for byte in range(256))
_UNIT = re.compile(r"[A-Za-z][A-Za-z0-9]{0,7}", re.ASCII)
#: Some meters leave the zeros in front away.
_CHECKSUM = re.compile(rb"!([0-9A-Fa-f]{1,4})\s*")


@dataclass(frozen=True)
class Telegram:
    """What one telegram says: its time in DSMR form ("" when it has none), numbers with units by code.

    `unreadable` has the text of codes without a number, `cut` says that an unfinished telegram came before,
    `checked` that its checksum is right: then no line is missing.
    """

    time: str
    values: Mapping[str, tuple[float, str]]
    unreadable: Mapping[str, str]
    cut: bool = False
    checked: bool = False


def crc16(data: bytes) -> int:
    """Return the CRC16 that P1 uses (polynomial x16 + x15 + x2 + 1, reflected, from 0)."""
    crc = 0
    for byte in data:
        crc = (crc >> 8) ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc


def parse_telegram(lines: Sequence[bytes]) -> Telegram:
    """Parse the lines of one telegram, from "/" to "!"; ValueError when it is cut off or damaged."""
    lines = _without_parity(lines)
    if not lines or not lines[0].startswith(b"/"):
        raise ValueError(fil.TELEGRAM_START())
    if not lines[-1].startswith(b"!"):
        raise ValueError(fil.TELEGRAM_END())
    lines, cut = _last_begun(lines)
    checked = _check(lines)
    times: dict[str, str] = {}
    values: dict[str, tuple[float, str]] = {}
    unreadable: dict[str, str] = {}
    for line in _joined(lines[1:-1]):
        coded = _CODED.fullmatch(line)
        if coded is None:
            continue
        code, text = (coded[1] or "1-0:") + coded[2], coded[3]
        groups = _GROUP.findall(text) if _GROUPS.fullmatch(text) else []
        kind = _time_kind(code)
        if kind and groups:
            times.setdefault(kind, groups[0])
        if code in values or code in unreadable:
            continue
        value = _value(groups) if groups else None
        if value is not None:
            values[code] = value
        elif text != "()":
            unreadable[code] = text
    return Telegram(
        times.get("both") or meter_clock(times.get("date", ""), times.get("time", "")),
        values,
        unreadable,
        cut,
        checked,
    )


def _time_kind(code: str) -> str:
    """Return which part of the time a code has, "" for none."""
    if code == TIME_CODE:
        return "both"
    if _CLOCK_DATE.fullmatch(code):
        return "date"
    return "time" if _CLOCK_TIME.fullmatch(code) else ""


def _without_parity(lines: Sequence[bytes]) -> Sequence[bytes]:
    """Return lines of seven bits with even parity, read as eight bits, without their parity; others as is."""
    whole = b"".join(lines)
    if whole.isascii() or not _EVEN.issuperset(whole):
        return lines
    return [line.translate(_SEVEN_BITS).removesuffix(b"\r") for line in lines]


def _last_begun(lines: Sequence[bytes]) -> tuple[Sequence[bytes], bool]:
    """Return the lines from the last beginning of a telegram on, and whether it is within the first's."""
    for n in range(len(lines) - 1, -1, -1):
        found = list(_BEGINNING.finditer(lines[n]))
        if found and (n or found[-1].start()) and not _WHOLE_LINE.fullmatch(lines[n].strip()):
            return [lines[n][found[-1].start() :], *lines[n + 1 :]], True
    return lines, False


def _joined(lines: Sequence[bytes]) -> list[str]:
    """Return the lines as text; one that begins with a bracket goes on the line before (DSMR 2.2 and 3)."""
    found: list[str] = []
    for raw in lines:
        line = raw.decode("ascii", "replace").strip()
        if line.startswith("(") and found:
            found[-1] += line
        else:
            found.append(line)
    return found


def _value(groups: Sequence[str]) -> tuple[float, str] | None:
    """Return the number in the last brackets, with the unit there or in the brackets before."""
    value = _VALUE.fullmatch(groups[-1])
    if value is not None:
        return float(value[1]), value[2]
    if len(groups) > 1 and _UNIT.fullmatch(groups[-2]) and _NUMBER.fullmatch(groups[-1]):
        return float(groups[-1]), groups[-2]
    return None


def _check(lines: Sequence[bytes]) -> bool:
    """Return whether there is a checksum, which is right; ValueError for a damaged telegram."""
    end = lines[-1].rstrip()
    if end == b"!":  # DSMR before 4.0 has no checksum
        damaged = next((line for line in lines if not line.isascii()), None)
        if damaged is not None:
            raise ValueError(fil.TELEGRAM_DAMAGED(line=shown(damaged.decode("ascii", "replace"))))
        return False
    checksum = _CHECKSUM.fullmatch(end)
    if checksum is None:
        raise ValueError(fil.TELEGRAM_LAST(end=shown(end[:20])))
    wanted = int(checksum[1], 16)
    body = [*lines[:-1], b"!"]
    sent, kept = (crc16(end_of_line.join(body)) for end_of_line in (b"\r\n", b"\n"))
    if wanted in (sent, kept):
        return True
    tidy = [lines[0], b"", *(line.rstrip(b"\r") for line in body[1:] if line.strip())]
    if wanted != crc16(b"\r\n".join(tidy)):
        raise ValueError(fil.TELEGRAM_CHECKSUM(stated=wanted, computed=sent))
    return True


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
        table.append(crc)
    return tuple(table)


_CRC_TABLE = _crc_table()
