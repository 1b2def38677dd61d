"""Notices another gateway that works under the same VEN: its reports have the names of ours.

A VTN that lets a name be used once answers ours with a conflict. At one that does not, the first report that
this process sent is looked for once: a second one of its name is that of another gateway.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from venclient.errors import VenError
from venclient.messages import reporting as rep
from venclient.openadr.objects import Report
from venclient.openadr.times import known_time
from venclient.reporting.means import Means, StepResult
from venclient.reporting.rows import Row

#: How long after the first report was sent the VTN is asked who else has sent it.
LOOK_AFTER = timedelta(minutes=1)


class _Sample(NamedTuple):
    event_id: str
    key: str
    report_id: str
    at: datetime


class Twins:
    """Warns once of another gateway."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._known = False
        self._sample: _Sample | None = None
        self._sampled = False

    def sent(self, row: Row, stored: Report) -> None:
        """Note a report that the VTN has just taken from us; the first one is looked for."""
        if not self._sampled and stored.id is not None:
            self._sampled = True
            now = self._means.clock.now()
            self._sample = _Sample(row.obligation.event_id, row.key, stored.id, now)

    def found(self, row: Row, there: Report, result: StepResult) -> None:
        """Warn of a report at the VTN that we have not sent, made while this process ran."""
        if row.attempts == 0 and self._is_recent(there):
            self._warn(row.key, result)

    async def look(self, result: StepResult) -> None:
        """Look for a second report of the name of ours; what the VTN refuses to list is not looked at."""
        sample, means = self._sample, self._means
        if self._known or sample is None or means.clock.now() - sample.at < LOOK_AFTER:
            return
        self._sample = None
        try:
            client_name = means.options.client_name
            listing = await means.port.reports(sample.event_id, client_name, names={sample.key})
        except VenError:
            return
        alike = [one for one in listing.items if one.report_name == sample.key]
        if any(one.id == sample.report_id for one in alike):
            # An earlier process of ours may have sent one, too.
            others = [one for one in alike if one.id != sample.report_id and self._is_recent(one)]
            if others:
                self._warn(sample.key, result)

    def _is_recent(self, report: Report) -> bool:
        """Return whether a report was made while this process ran."""
        made = known_time(report.created_date_time)
        return made is not None and made > self._means.started

    def _warn(self, key: str, result: StepResult) -> None:
        if not self._known:
            self._known = True
            result.say(rep.ANOTHER_GATEWAY(report=key, ven=self._means.options.client_name))
