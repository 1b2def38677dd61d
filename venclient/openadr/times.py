"""Times as VTNs write them: RFC 3339 and its relatives, and the "now" that User Guide 7.3 defines."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Final

from venclient.errors import WireError
from venclient.messages import openadr as oad
from venclient.messages.printable import foreign


class Special(Enum):
    """A start that is not a date."""

    NOW = "now"


#: The start "0001-01-01" (3.1) or "0000-00-00" (3.0): now, or straight after the interval before.
NOW: Final = Special.NOW

# No grid event starts in the years 0 and 1, so zone-shifted spellings of the sentinel count as well.
_SENTINEL = re.compile(r"000[01]-\d\d-\d\d", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ].*)?", re.ASCII)
_LEAP_SECOND = re.compile(r":60(?=[.,Z+-]|$)")


def parse_time(text: str | None, notes: list[str] | None = None) -> datetime | Special | None:
    """Return an aware UTC time, NOW for the sentinel, None for an absent or empty text.

    A time without zone counts as UTC, which is said in `notes` when given. WireError for the rest.
    """
    if text is None or not text.strip():
        return None
    written = text.strip().upper()
    if _SENTINEL.match(written):
        return NOW
    leap = _LEAP_SECOND.search(written)
    try:
        if not _DATE.fullmatch(written):
            raise ValueError
        moment = datetime.fromisoformat(_LEAP_SECOND.sub(":59", written))
        if moment.tzinfo is None:
            if notes is not None:
                notes.append(oad.NO_ZONE(text=foreign(text)))
            moment = moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC) + timedelta(seconds=1 if leap else 0)
    except (ValueError, OverflowError):
        raise WireError(oad.TIME(), subject=repr(text[:60])) from None


def known_time(text: str | None) -> datetime | None:
    """Return an aware UTC time, or None for whatever does not name one (metadata written as "14:13:26")."""
    try:
        moment = parse_time(text)
    except WireError:
        return None
    return moment if isinstance(moment, datetime) else None


def format_time(moment: datetime) -> str:
    """Return an aware time as RFC 3339 in UTC: "2026-01-01T00:00:00Z", with a fraction if it has one."""
    if moment.tzinfo is None:
        raise ValueError(oad.NAIVE_TIME())
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
