"""The date and time that meters without 0-0:1.0.0 send, as 0-0:0.9.2 and 0-0:0.9.1. Pure: no files.

0-0:0.9.2    250824   1250824   20250824   2025-08-24   25-08-24   24.08.2025   24082025
0-0:0.9.1    121530   1121530   12:15:30   12:15

A seventh digit in front is 1 in summer and 0 in winter. A date whose order is not clear (05.06.25 may be
in 2005 or 2025) is ignored: the telegram is then one without a time.
"""

from __future__ import annotations

import re
from datetime import date

_MARKED_DATE = re.compile(r"(\d{1,4})([-./ ])(\d{1,2})\2(\d{1,4})\.?", re.ASCII)
_MARKED_TIME = re.compile(r"(\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?", re.ASCII)
_SEASONS = {"0": "W", "1": "S"}


def meter_clock(day: str, time: str) -> str:
    """Return the meter's own date and time in DSMR form, "" when one is missing, unclear or not set."""
    season, digits = _season(day.strip())
    date_digits = _date(digits)
    time_season, digits = _season(time.strip())
    time_digits = _time(digits)
    if not date_digits or not time_digits:
        return ""
    return date_digits + time_digits + (time_season or season)


def _season(text: str) -> tuple[str, str]:
    """Return the season that seven digits begin with ("" for none), and the rest."""
    if re.fullmatch(r"[01]\d{6}", text, re.ASCII):
        return _SEASONS[text[0]], text[1:]
    return "", text


def _date(text: str) -> str:
    """Return a date as YYMMDD, "" for none; six digits are returned unchecked."""
    if re.fullmatch(r"\d{6}", text, re.ASCII):
        return "" if text == "000000" else text
    if re.fullmatch(r"\d{8}", text, re.ASCII):
        # No month is 20, so at most one of the two orders is a date of this century.
        orders = [(text[:4], text[4:6], text[6:]), (text[4:], text[2:4], text[:2])]
    elif found := _MARKED_DATE.fullmatch(text):
        first, mark, month, last = found.groups()
        orders = [(first, month, last)]
        # Two digits with hyphens are written as ISO 8601 has it; other marks go with either order.
        if len(last) == 4 or mark != "-":
            orders.append((last, month, first))
    else:
        return ""
    days = {one for order in orders if (one := _day(*order)) is not None}
    return days.pop().strftime("%y%m%d") if len(days) == 1 else ""


def _day(year: str, month: str, day: str) -> date | None:
    if len(year) not in (2, 4) or len(day) > 2:
        return None
    try:
        found = date(int(year) + (2000 if len(year) == 2 else 0), int(month), int(day))
    except ValueError:
        return None
    return found if 2000 <= found.year < 2069 else None  # as strptime has years of two digits


def _time(text: str) -> str:
    """Return a time of day as HHMMSS, "" for none."""
    if re.fullmatch(r"\d{4}|\d{6}", text, re.ASCII):
        return text.ljust(6, "0")
    found = _MARKED_TIME.fullmatch(text)
    return "" if found is None else f"{found[1]:0>2}{found[2]}{found[3] or '00'}"
