"""Times as people and loggers write them beside the usual forms: 24:00, " UTC", a small z. Pure: no files.

2026-06-01 24:00        the end of the day: 2026-06-02 00:00
2026-06-01 12:00 UTC    that time in UTC, whatever the zone of the options
2026-06-01T12:00z       as with Z
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

from venclient.connectors.timestamps import Instants, time_reader
from venclient.messages import code_of, text_of
from venclient.messages import connectors as con

_DAY = timedelta(days=1)
_IN_UTC = re.compile(r"(?<=[\d ])\s*(?:UTC|GMT|Z)$", re.IGNORECASE)
_END_OF_DAY = re.compile(r"(?<![\d:])24:00(:00(?:[.,]0+)?)?(?![\d:])")


def lenient_time_reader(form: str, zone: str | None) -> Callable[[object], Instants]:
    """Return the function that reads times in `form`, as `time_reader` has it, and those of this page."""
    strict = time_reader(form, zone)

    def read(raw: object) -> Instants:
        try:
            return strict(raw)
        except ValueError:
            found = other_instants(raw, form, zone)
            if found is None:
                raise
            return found

    return read


def other_instants(raw: object, form: str, zone: str | None) -> Instants | None:
    """Return what a text means that the form alone does not read, None where it has no such mark."""
    if not isinstance(raw, str):
        return None
    text = raw.strip()
    plain, in_utc = _IN_UTC.subn("", text)
    if in_utc and form not in ("epoch_s", "epoch_ms", "dsmr"):
        zone, text = "UTC", plain
    start, at_end = _END_OF_DAY.subn(lambda found: f"00:00{found[1] or ''}", text)
    if not in_utc and not at_end:
        return None
    try:
        return _end_of(start, form, zone) if at_end else time_reader(form, zone)(text)
    except ValueError as error:
        if code_of(text_of(error)) == con.TIME_LOCAL.code:
            raise  # the mark is understood, and a zone is all that is missing
        return None


def _end_of(start: str, form: str, zone: str | None) -> Instants:
    """Return the end of the day that begins at `start`: in local time it is not always 24 hours later."""
    instants = time_reader(form, zone)(start)
    wall, shifted = (time_reader(form, one)(start)[0] for one in ("UTC", "+01:00"))
    if wall == shifted:  # the text has an offset
        return instants[0] + _DAY, instants[1] + _DAY
    return time_reader("iso", zone)((wall + _DAY).replace(tzinfo=None).isoformat())
