"""ISO 8601 durations kept as their components.

A month has no length until it has a start, and P9999Y (the standard's "infinity") fits in no
`timedelta`; so nothing is turned into an end point before `after` is asked for one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from venclient.errors import WireError
from venclient.messages import openadr as oad

_NUMBER = r"\d{1,12}(?:[.,]\d{1,9})?"
_FORM = re.compile(
    rf"([+-]?)P(?:({_NUMBER})Y)?(?:({_NUMBER})M)?(?:({_NUMBER})W)?(?:({_NUMBER})D)?"
    rf"(?:T(?:({_NUMBER})H)?(?:({_NUMBER})M)?(?:({_NUMBER})S)?)?",
    re.ASCII,
)
_INFINITE_MONTHS = 9999 * 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """A duration as written; `sign` is 1 or -1 and counts for every component."""

    sign: int = 1
    years: int = 0
    months: int = 0
    weeks: int = 0
    days: int = 0
    hours: int = 0
    minutes: int = 0
    secs: Decimal = Decimal(0)

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Read an ISO 8601 duration, in either case, fractions allowed; WireError when it is none."""
        found = _FORM.fullmatch(text.strip().upper()) if len(text) <= 100 else None
        if found is None or not any(found.groups()[1:]):
            raise WireError(oad.DURATION(), subject=repr(text[:60]))
        years, months, weeks, days, hours, minutes, secs = (
            Decimal((part or "0").replace(",", ".")) for part in found.groups()[1:]
        )
        months += (years % 1) * 12
        if months % 1:
            raise WireError(oad.MONTH_FRACTION(), subject=repr(text[:60]))
        # A fraction is carried down to the next smaller component: PT1.5H is PT1H30M.
        days += (weeks % 1) * 7
        hours += (days % 1) * 24
        minutes += (hours % 1) * 60
        secs += (minutes % 1) * 60
        return cls(
            sign=-1 if found[1] == "-" else 1,
            years=int(years),
            months=int(months),
            weeks=int(weeks),
            days=int(days),
            hours=int(hours),
            minutes=int(minutes),
            secs=secs,
        )

    @property
    def is_zero(self) -> bool:
        """True when every component is zero (PT0S, P0D, PT0H)."""
        return not (self._whole_months or self._day_count or self._clock_s)

    @property
    def is_infinite(self) -> bool:
        """True from 9999 years on, however it is spelt (P9999Y, P9999Y0M0DT0H0M0S)."""
        months = self._whole_months + Decimal(self._day_count) / Decimal("30.436875")
        return self.sign > 0 and months >= _INFINITE_MONTHS

    @property
    def is_exact(self) -> bool:
        """True when it has no year or month: its length needs no start."""
        return self._whole_months == 0

    @property
    def seconds(self) -> float | None:
        """Return the length in seconds, a day being 86,400 of them; None when it holds years or months."""
        if not self.is_exact:
            return None
        return float(self.sign * (self._day_count * 86_400 + self._clock_s))

    def after(self, start: datetime, n: int = 1) -> datetime | None:
        """Return the moment `n` of these durations after an aware `start`, in its zone.

        Years and months follow the calendar, counted from `start` and cut to the month's last day;
        days keep the time of day; the rest is exact. One step, whatever `n`. None for an infinite
        duration and beyond the calendar's end.
        """
        if start.tzinfo is None:
            raise ValueError(oad.NAIVE_START())
        if n == 0 or self.is_zero:
            return start
        if self.is_infinite:
            return None
        steps = self.sign * n
        try:
            moved = _add_months(start, steps * self._whole_months) + timedelta(days=steps * self._day_count)
            exact = moved.astimezone(UTC) + _timedelta(steps * self._clock_s)
            return exact.astimezone(start.tzinfo)
        except (OverflowError, ValueError):
            return None

    def times(self, n: int) -> Duration:
        """Return this duration `n` times, component by component (so it equals `n` single steps)."""
        return Duration(
            sign=self.sign if n >= 0 else -self.sign,
            years=self.years * abs(n),
            months=self.months * abs(n),
            weeks=self.weeks * abs(n),
            days=self.days * abs(n),
            hours=self.hours * abs(n),
            minutes=self.minutes * abs(n),
            secs=self.secs * abs(n),
        )

    def __str__(self) -> str:
        """Return the ISO 8601 form that `parse` reads back to an equal duration."""
        days = [
            f"{getattr(self, f.name)}{f.name[0].upper()}" for f in fields(self)[1:5] if getattr(self, f.name)
        ]
        clock = [
            f"{getattr(self, f.name)}{f.name[0].upper()}" for f in fields(self)[5:7] if getattr(self, f.name)
        ]
        if self.secs:
            clock.append(f"{self.secs.normalize():f}S")
        if not (days or clock):
            clock = ["0S"]
        sign = "-" if self.sign < 0 else ""
        return f"{sign}P{''.join(days)}{'T' if clock else ''}{''.join(clock)}"

    @property
    def _whole_months(self) -> int:
        return self.years * 12 + self.months

    @property
    def _day_count(self) -> int:
        return self.weeks * 7 + self.days

    @property
    def _clock_s(self) -> Decimal:
        return self.hours * 3600 + self.minutes * 60 + self.secs


def _add_months(start: datetime, months: int) -> datetime:
    if months == 0:
        return start
    year, month0 = divmod(start.year * 12 + start.month - 1 + months, 12)
    for day in (start.day, 30, 29, 28):
        if day <= start.day:
            try:
                return start.replace(year=year, month=month0 + 1, day=day)
            except ValueError:
                continue
    raise OverflowError(oad.CALENDAR_END())


def _timedelta(seconds: Decimal) -> timedelta:
    # Whole microseconds as integers: floats lose them on long durations.
    return timedelta(microseconds=int((seconds * 1_000_000).to_integral_value()))


ZERO = Duration()
