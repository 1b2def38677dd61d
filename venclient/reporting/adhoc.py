"""Unscheduled reports (frequency 0, or an event without a grid): when each is due and what time it covers.

    state             off          on                    off
    cadence      |-----------|-----------|-----------|-----------|
    reports      [-----------][][--------][-----------][-][--------]

The event's time is cut at each step of the local cadence and at each change of state. The time between
two cuts is one report, due at its end, on open intervals. This module does no I/O.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec

from venclient.openadr.timeline import NEVER

#: The shortest time that an unscheduled report covers: a flickering state does not flood the VTN.
LEAST_S = 10.0


class AtWill(msgspec.Struct, frozen=True):
    """The time [begin, end) of unscheduled reports; `cadence_s` is None for changes of state only."""

    begin: datetime
    end: datetime = NEVER
    cadence_s: float | None = None

    def last_cut(self, moment: datetime) -> datetime:
        """Return the newest step of the cadence at or before `moment`; the moment if there is none."""
        moment = min(moment, self.end)
        if moment <= self.begin or self.cadence_s is None:
            return max(moment, self.begin)
        step = timedelta(seconds=self.cadence_s)
        return self.begin + (moment - self.begin) // step * step

    def first_untold(self, first_seen: datetime) -> datetime:
        """Return where the first report begins: at the last whole step of the cadence before `first_seen`."""
        cut = self.last_cut(first_seen)
        if self.cadence_s is None:
            return cut
        return max(self.begin, cut - timedelta(seconds=self.cadence_s))

    def next_cut(self, told_until: datetime, changes: Sequence[datetime] = ()) -> datetime | None:
        """Return the next known cut after `told_until`; None when only a change can make one.

        A change within `LEAST_S` of the last cut is reported when that time is over.
        """
        if told_until >= self.end:
            return None
        cuts = [self.end] if self.end < NEVER else []
        if self.cadence_s is not None:
            step = timedelta(seconds=self.cadence_s)
            with suppress(OverflowError):  # beyond the calendar
                cuts.append(self.begin + ((told_until - self.begin) // step + 1) * step)
        change = min((one for one in changes if one > told_until), default=None)
        if change is not None:
            soonest = told_until + min(timedelta(seconds=LEAST_S), NEVER - told_until)
            cuts.append(max(change, soonest))
        return min(cuts, default=None)


def adhoc_due(
    plan: AtWill, *, told_until: datetime, changes: Sequence[datetime], until: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """Return the spans of time whose reports are due by `until`, in order.

    `told_until` is the end of the last report (or `AtWill.first_untold`). `changes` are the times of state
    changes, in any order.
    """
    while (cut := plan.next_cut(told_until, changes)) is not None and cut <= until:
        yield told_until, cut
        told_until = cut
