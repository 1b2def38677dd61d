"""Times as options take them: a date, a time, or an age such as 7d."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from venclient.errors import ConfigError
from venclient.messages import cli_reports as clp

_UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def moment_of(option: str, text: str) -> datetime:
    """Return the time that the text of an option means, in UTC; ConfigError when it means none."""
    if text[-1:] in _UNITS and text[:-1].replace(".", "", 1).isdecimal():
        from venclient.clock import SystemClock

        try:
            return SystemClock().now() - timedelta(seconds=float(text[:-1]) * _UNITS[text[-1]])
        except OverflowError:
            raise ConfigError(clp.BAD_TIME(text=text), subject=option) from None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ConfigError(clp.BAD_TIME(text=text), subject=option) from None
