"""Standing telemetry of a running gateway: what resources are configured to report, and no event asks for."""

from __future__ import annotations

from typing import Any

from venclient.clock import Clock
from venclient.reporting.delivery import Reporter
from venclient.reporting.eventbook import EventBook
from venclient.reporting.standing import standing, wishes_of
from venclient.roster import Roster

#: At most this number of sentences is shown; the rest is counted.
MOST_TOLD = 10
#: How long an answer is good while events stay as they are: one may have come to its end.
GOOD_FOR_S = 60.0


class TelemetryWatch:
    """Looks at the wishes of the served resources when asked, again only after a change."""

    def __init__(self, roster: Roster, reporter: Reporter, book: EventBook, clock: Clock) -> None:
        self._roster = roster
        self._reporter = reporter
        self._book = book
        self._clock = clock
        self._seen: tuple[object, ...] | None = None
        self._seen_resources: object = None
        self._until_s = 0.0
        self._told: dict[str, Any] = {"unmet": [], "more": 0, "problems": []}

    def snapshot(self) -> dict[str, Any]:
        """Return sentences on wishes that no event carries, `more` of them, and on wrong configurations.

        Nothing is unmet before the VTN's events are known.
        """
        reporter, book = self._reporter, self._book
        agendas = reporter.agendas()
        if agendas is None or book.listed is None:
            return self._told
        seen = (book.revision, reporter.options.ven_targets)
        same = seen == self._seen and reporter.resources is self._seen_resources
        if same and self._clock.monotonic() < self._until_s:
            return self._told
        by_id = {one.resource_id: one for one in reporter.resources}
        wishes, problems = wishes_of(self._roster.resources.values(), by_id)
        found = standing(
            wishes,
            agendas,
            reporter.resources,
            self._clock.now(),
            ven_targets=reporter.options.ven_targets,
        )
        unmet = [str(one) for one in found.uncarried]
        self._told = {
            "unmet": unmet[:MOST_TOLD],
            "more": max(0, len(unmet) - MOST_TOLD),
            "problems": problems[:MOST_TOLD],
        }
        self._seen, self._seen_resources = seen, reporter.resources
        self._until_s = self._clock.monotonic() + GOOD_FOR_S
        return self._told
