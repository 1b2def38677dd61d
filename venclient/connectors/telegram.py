"""DSMR P1 telegrams: what a smart meter's customer port tells every few seconds. Pure: no files.

    /ISK5\\2M550T-1012                   who, then an empty line
    0-0:1.0.0(250601120000S)            the time, with S(ummer) or W(inter)
    1-0:1.8.1(001234.567*kWh)           OBIS code, value, unit
    !A1B2                               CRC16 of everything from / to !

Meters before DSMR 4 have no 0-0:1.0.0; some send 0-0:0.9.2 (date) and 0-0:0.9.1 (time) instead, some nothing.
The CRC is over lines that end with CR LF, as the meter sent them; a log may have kept only LF.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from venclient.connectors.mistakes import shown
from venclient.messages import files as fil

TIME_CODE = "0-0:1.0.0"
_CLOCK_TIME = re.compile(r"[01]-0:0\.9\.1")
_CLOCK_DATE = re.compile(r"[01]-0:0\.9\.2")
CODE = re.compile(r"\d{1,3}-\d{1,3}:\d{1,3}\.\d{1,3}\.\d{1,3}", re.ASCII)

_LINE = re.compile(r"(\d{1,3}-\d{1,3}:\d{1,3}\.\d{1,3}\.\d{1,3})(?:\*\d{1,3})?((?:\([^()]*\))+)", re.ASCII)
_GROUP = re.compile(r"\(([^()]*)\)")
_VALUE = re.compile(r"(-?\d{1,12}(?:\.\d{1,9})?)\*([A-Za-z0-9]{1,8})", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,12}(?:\.\d{1,9})?", re.ASCII)
_UNIT = re.compile(r"[A-Za-z][A-Za-z0-9]{0,7}", re.ASCII)
#: Some meters leave the zeros in front away.
_CHECKSUM = re.compile(rb"!([0-9A-Fa-f]{1,4})\s*")


@dataclass(frozen=True)
class Telegram:
    """What one telegram says: its time in DSMR form ("" when it has none), numbers with units by code."""

    time: str
    values: Mapping[str, tuple[float, str]]


def crc16(data: bytes) -> int:
    """Give the CRC16 that P1 uses (polynomial x16 + x15 + x2 + 1, reflected, from 0)."""
    crc = 0
    for byte in data:
        crc = (crc >> 8) ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc


def parse_telegram(lines: Sequence[bytes]) -> Telegram:
    """Give what the lines of one telegram say, from "/" to "!"; ValueError when it is cut off or damaged."""
    if not lines or not lines[0].startswith(b"/"):
        raise ValueError(fil.TELEGRAM_START())
    if not lines[-1].startswith(b"!"):
        raise ValueError(fil.TELEGRAM_END())
    _check(lines)
    time = clock_date = clock_time = ""
    values: dict[str, tuple[float, str]] = {}
    for line in _joined(lines[1:-1]):
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        code, groups = found[1], _GROUP.findall(found[2])
        if code == TIME_CODE:
            time = time or groups[0]
        elif _CLOCK_DATE.fullmatch(code):
            clock_date = clock_date or groups[0]
        elif _CLOCK_TIME.fullmatch(code):
            clock_time = clock_time or groups[0]
        value = _value(groups)
        if value is not None and code not in values:
            values[code] = value
    return Telegram(time or _clock(clock_date, clock_time), values)


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


def _clock(date: str, time: str) -> str:
    """Return the meter's own date and time in DSMR form, "" when one of them is missing or not set.

    They are six digits each, perhaps with marks between; a seventh in front is 1 in summer and 0 in winter.
    The year may have four digits, and the seconds may be missing.
    """
    digits, season = "", ""
    for text, is_date in ((date, True), (time, False)):
        found = re.sub(r"\D", "", text, flags=re.ASCII)
        if is_date and len(found) == 8:
            found = found.removeprefix("20")
        elif not is_date and len(found) == 4:
            found += "00"
        if len(found) == 7 and found[0] in "01":
            season = "S" if found[0] == "1" else "W"
            found = found[1:]
        if len(found) != 6:
            return ""
        digits += found
    return "" if digits.startswith("000000") else digits + season


def _check(lines: Sequence[bytes]) -> None:
    end = lines[-1].rstrip()
    if end == b"!":
        return  # DSMR before 4.0 has no checksum
    told = _CHECKSUM.fullmatch(end)
    if told is None:
        raise ValueError(fil.TELEGRAM_LAST(end=shown(end[:20])))
    wanted = int(told[1], 16)
    sent, kept = (crc16(end_of_line.join([*lines[:-1], b"!"])) for end_of_line in (b"\r\n", b"\n"))
    if wanted not in (sent, kept):
        raise ValueError(fil.TELEGRAM_CHECKSUM(stated=wanted, computed=sent))


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
        table.append(crc)
    return tuple(table)


_CRC_TABLE = _crc_table()
