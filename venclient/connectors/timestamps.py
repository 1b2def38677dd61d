"""The time that a device or a file states, in whichever form, as an aware UTC time.

Local time has an hour that comes twice each autumn. Each form gives both instants that its text can
mean (the same one twice, outside of that hour); the caller knows which: a live message means the
instant nearest to its arrival, rows of a file come in order. A time inside the hour that spring leaves out
is rejected; the first moment of that hour is when the clock changes, as the end of an interval is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from venclient.connectors.mistakes import shown
from venclient.messages import connectors as con
from venclient.messages import text_of

#: Forms of numbers since 1970, and how many of them make a second.
EPOCHS = {"epoch_s": 1, "epoch_ms": 10**3, "epoch_us": 10**6, "epoch_ns": 10**9}
FORMS = ("iso", *EPOCHS, "dsmr", "auto")
#: Clocks that lost their time start at 2000-01-01; 2001 begins today somewhere on this day.
EARLIEST = datetime(2000, 12, 31, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)

Instants = tuple[datetime, datetime]

_TICK = timedelta(microseconds=1)
_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})")
_DSMR = re.compile(r"(\d{12})([SW]?)", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,19}(?:\.\d*)?", re.ASCII)
#: From here on a number counts milliseconds (as seconds it would be after the year 5000), and so on.
_MILLISECONDS, _MICROSECONDS, _NANOSECONDS = 1e11, 1e14, 1e17
_SAMPLE = datetime(2026, 11, 23, 13, 34, 56)  # noqa: DTZ001 (patterns are tried on a local time)


def zone_of(name: str) -> tzinfo:
    """Return a zone by its IANA name, UTC, or a fixed offset such as +01:00; ValueError otherwise."""
    offset = _OFFSET.fullmatch(name)
    if name.upper() in ("UTC", "Z"):
        return UTC
    if offset is not None:
        minutes = int(offset[2]) * 60 + int(offset[3])
        return timezone(timedelta(minutes=minutes if offset[1] == "+" else -minutes))
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(con.ZONE(zone=shown(name))) from None


def time_mistakes(form: str, zone: str | None) -> list[str]:
    """Return one sentence per mistake in the description of a time."""
    found: list[str] = []
    if zone is not None:
        try:
            zone_of(zone)
        except ValueError as error:
            found.append(text_of(error))
    if form in FORMS:
        return found
    try:
        readable = _by_pattern(_SAMPLE.strftime(form), form).date() == _SAMPLE.date()
    except ValueError:
        readable = False
    if not readable:
        found.append(con.TIME_FORMAT(form=shown(form), forms=FORMS))
    elif "%z" not in form and zone is None:
        found.append(con.TIME_NEEDS_ZONE(form=shown(form)))
    return found


def time_reader(form: str, zone: str | None) -> Callable[[object], Instants]:
    """Return the function that reads times in `form` (one of FORMS, or a pattern).

    "auto" takes a number as seconds, milliseconds, microseconds or nanoseconds since 1970, by its size, and
    text as DSMR or ISO.

    The function takes a text or number and gives the one or two instants (UTC) that it can mean, the
    earlier first; ValueError says what is wrong with the text.
    """
    place = None if zone is None else zone_of(zone)
    if form in EPOCHS:
        divide = EPOCHS[form]
        return lambda raw: _epoch(raw, divide)
    if form == "dsmr":
        return lambda raw: _dsmr(raw, place or ZoneInfo("Europe/Amsterdam"))
    if form == "auto":
        return lambda raw: _any(raw, place)
    if form == "iso":
        return lambda raw: _local(_iso(raw), place, raw)
    return lambda raw: _local(_by_pattern(raw, form), place, raw)


def nearest(instants: Instants, to: datetime) -> datetime:
    """Return the instant that is nearest to `to`."""
    return min(instants, key=lambda one: abs(one - to))


def in_order(instants: Instants, last: datetime | None) -> datetime:
    """Return the instant that follows `last`, the row before: the second one once the first has passed.

    A row before that is far later says nothing: a file that jumps back starts with the first again.
    """
    first, second = instants
    if last is not None and first <= last < second + (second - first):
        return second
    return first


def _epoch(raw: object, divide: int) -> Instants:
    if isinstance(raw, str) and _NUMBER.fullmatch(raw.strip()):
        raw = float(raw)
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise ValueError(con.TIME_EPOCH(time=shown(raw)))
    instant = _since_1970(raw, divide)
    if instant is None:
        likely = next((form for form, other in EPOCHS.items() if _since_1970(raw, other)), None)
        if likely is not None and raw:
            raise ValueError(con.TIME_UNIT(time=shown(raw), form=likely))
        is_year = abs(raw / divide) < _MILLISECONDS
        raise ValueError((con.TIME_YEARS if is_year else con.TIME_RANGE)(time=shown(raw)))
    return instant, instant


def _since_1970(number: float, divide: int) -> datetime | None:
    """Return the time that a number of parts of a second is, None when a device cannot mean it."""
    try:
        instant = datetime.fromtimestamp(number / divide, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return instant if EARLIEST <= instant < LATEST else None


def _any(raw: object, place: tzinfo | None) -> Instants:
    text = raw.strip() if isinstance(raw, str) else ""
    if isinstance(raw, int | float) or _NUMBER.fullmatch(text):
        number = float(text) if text else raw
        size = abs(number) if isinstance(number, int | float) else 0.0
        steps = sum(size >= least for least in (_MILLISECONDS, _MICROSECONDS, _NANOSECONDS))
        return _epoch(raw, 1000**steps)
    if _DSMR.fullmatch(text):
        return _dsmr(text, place or ZoneInfo("Europe/Amsterdam"))
    try:
        time = _iso(raw)
    except ValueError:
        raise ValueError(con.TIME_UNKNOWN(time=shown(raw))) from None
    return _local(time, place, raw)


def _iso(raw: object) -> datetime:
    text = _text(raw)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(con.TIME_ISO(time=shown(raw))) from None


def _by_pattern(raw: object, pattern: str) -> datetime:
    text = _text(raw)
    try:
        return datetime.strptime(text, pattern)  # noqa: DTZ007 (the zone follows)
    except ValueError:
        raise ValueError(con.TIME_PATTERN(time=shown(raw), pattern=shown(pattern))) from None


def _dsmr(raw: object, zone: tzinfo) -> Instants:
    text = str(raw) if isinstance(raw, int) and not isinstance(raw, bool) else _text(raw)
    match = _DSMR.fullmatch(text)
    if match is None:
        raise ValueError(con.TIME_DSMR(time=shown(raw)))
    written = _by_pattern(match[1], "%y%m%d%H%M%S")
    instants = _local(written, zone, raw, strict=not match[2])
    if not match[2]:
        return instants
    summer = match[2] == "S"
    local = instants[0].astimezone(zone).replace(tzinfo=None)
    if local != written:  # within the hour that spring leaves out: the mark says the offset
        return instants if not summer else (instants[0] - (local - written),) * 2
    for instant in instants:
        if bool(instant.astimezone(zone).dst()) == summer:
            return instant, instant
    # Meters are known to keep the mark of the other season for a while; the offset it names is what counts.
    shift = timedelta(hours=-1 if summer else 1)
    return _sane(instants[0] + shift, instants[0] + shift, raw)


def _local(time: datetime, zone: tzinfo | None, raw: object, *, strict: bool = True) -> Instants:
    if time.tzinfo is not None:
        instant = time.astimezone(UTC)
        return _sane(instant, instant, raw)
    if zone is None:
        raise ValueError(con.TIME_LOCAL(time=shown(raw)))
    first = time.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = time.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if second >= first:
        return _sane(first, second, raw)
    # In the hour that spring leaves out fold 1 is the earlier one.
    if strict and (first - _TICK).astimezone(zone).utcoffset() == first.astimezone(zone).utcoffset():
        raise ValueError(con.TIME_GAP(time=shown(raw), zone=shown(str(zone))))
    return _sane(first, first, raw)


def _sane(first: datetime, second: datetime, raw: object) -> Instants:
    if not EARLIEST <= first <= second < LATEST:
        raise ValueError(con.TIME_YEARS(time=shown(raw)))
    return first, second


def _text(raw: object) -> str:
    if not isinstance(raw, str):
        raise ValueError(con.TIME_TEXT(time=shown(raw)))
    return raw.strip()
