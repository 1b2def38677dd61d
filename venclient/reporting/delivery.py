"""Brings what is owed to the VTN: in order, each report once, through outages and crashes.

One `step` plans what has fallen due and sends what waits; the gateway calls it, and asks `next_due`
when to call again. Whether a report of unknown fate has arrived is asked at the VTN, by its name.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol

from venclient.clock import Clock
from venclient.errors import VenError, VtnError, VtnProblem, WireError
from venclient.model.reading import Measure
from venclient.model.reporting import ReportingStatus
from venclient.openadr.enumerations import AGGREGATED_REPORT
from venclient.openadr.objects import Report
from venclient.reporting.builder import Built, Reportable, build_report
from venclient.reporting.eventbook import EventBook
from venclient.reporting.outbox import Outbox, Row
from venclient.reporting.payloads import BuildOptions
from venclient.reporting.planner import Planner
from venclient.utils import backoff_s

log = logging.getLogger("venclient.reporting")

#: Gives a Measure per (resource id, start, end) for each resource over each interval of the grid.
Measuring = Callable[
    [Sequence[str], Sequence[tuple[datetime, datetime]]],
    Awaitable[Mapping[tuple[str, datetime, datetime], Measure]],
]


class ReportListing(Protocol):
    """Reports that the VTN holds; absence means something only when `complete`."""

    @property
    def items(self) -> Sequence[Report]:
        """Give the reports."""
        ...

    @property
    def complete(self) -> bool:
        """True when every page was read."""
        ...


class ReportPort(Protocol):
    """What is asked of the VTN; errors are those of `venclient.errors` under VtnError."""

    async def create_report(self, report: Report) -> Report:
        """Send a report and give it as the VTN stored it."""
        ...

    async def update_report(self, report_id: str, report: Report) -> Report:
        """Replace a report and give it as the VTN stored it."""
        ...

    async def reports(self, event_id: str | None = None, client_name: str | None = None) -> ReportListing:
        """List this client's reports on an event."""
        ...


@dataclass(frozen=True, kw_only=True)
class ReportOptions(BuildOptions):
    """How reports are made and sent.

    `settle_s` is how long after a window's end late samples are waited for. One step sends at most
    `batch` reports. After a failure the next attempt waits from `retry_base_s` on, doubling up to
    `retry_cap_s`. Rows that are done with are kept for `keep_days`.
    """

    settle_s: float = 2.0
    batch: int = 50
    retry_base_s: float = 2.0
    retry_cap_s: float = 300.0
    keep_days: float = 30.0


@dataclass
class StepResult:
    """What one step did, in numbers of reports; `notes` are sentences that were not said before.

    `statuses` tell by resource id how reporting stands where this step changed it.
    `held` is True when the VTN or the store could not be used, and what waits has to wait on.
    """

    owed: int = 0
    sent: int = 0
    refused: int = 0
    unmet: int = 0
    superseded: int = 0
    held: bool = False
    notes: list[str] = field(default_factory=list)
    statuses: dict[str, ReportingStatus] = field(default_factory=dict)

    def tell(self, resource_ids: Iterable[str], status: ReportingStatus) -> None:
        """Note how it stands for some resources; the later word of a step counts."""
        for id_ in resource_ids:
            self.statuses[id_] = replace(status, resource_id=id_)


class _Next(Enum):
    """Whether the row after this one may be tried."""

    GO_ON = "go on"
    HOLD = "hold"


#: A server error for one report holds the queue this often; then it may be that report's own fault.
_HOLD_ATTEMPTS = 3
#: What something between us and the VTN says (a captive portal, a proxy), not the VTN of a report.
_ON_THE_WAY = (*range(300, 400), 407)
_BUG_WAIT_S = 300.0
_PRUNE_EVERY_S = 3600.0


class Reporter:
    """Plans and sends reports on `resources`, which may be replaced while it runs.

    `measure` gives what was measured, everything read so far included. One step runs at a time.
    """

    def __init__(
        self,
        outbox: Outbox,
        eventbook: EventBook,
        port: ReportPort,
        measure: Measuring,
        resources: Sequence[Reportable],
        clock: Clock,
        options: ReportOptions,
        *,
        rng: random.Random | None = None,
    ) -> None:
        self.resources = resources
        self.options = options
        self._outbox = outbox
        self._book = eventbook
        self._port = port
        self._measure = measure
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311  jitter, not secrecy
        self._planner = Planner(outbox, eventbook, client_name=options.client_name)
        # By the monotonic clock: a wall clock that is set back must not prolong a pause.
        self._paused_until_s: float | None = None
        self._not_found_since: dict[str, datetime] = {}
        self._bugs: set[str] = set()
        self._failures = 0
        self._omitted: dict[tuple[str, str], frozenset[str]] = {}
        self._pruned_at: float | None = None

    async def step(self) -> StepResult:
        """Plan what has fallen due and send what waits, oldest first; StoreError when the outbox fails."""
        now = self._clock.now()
        result = StepResult()
        planned = self._planner.plan(now - timedelta(seconds=self.options.settle_s), now)
        result.owed, result.superseded = planned.owed, planned.superseded
        for problem in planned.problems:
            self._say(result, problem)
        self._prune(now)
        if self._pause_left_s() > 0:
            result.held = True
            return result
        if self.resources:
            await self._send(result)
        return result

    def next_due(self) -> datetime | None:
        """Give when a step would next have something to do; None when nothing is in sight.

        Never earlier than the next attempt after a failure. New events are the caller's to notice.
        """
        coming = self._planner.next_due()
        moments = [coming + timedelta(seconds=self.options.settle_s)] if coming else []
        attempt = self._outbox.next_attempt() if self.resources else None
        if attempt is not None:
            moments.append(attempt)
        if not moments:
            return None
        soonest = min(moments)
        return max(soonest, self._clock.now() + timedelta(seconds=self._pause_left_s()))

    def _pause_left_s(self) -> float:
        return max(0.0, (self._paused_until_s or 0.0) - self._clock.monotonic())

    async def _send(self, result: StepResult) -> None:
        held: dict[str, ReportListing] = {}
        for row in self._outbox.due(self._clock.now(), self.options.batch):
            if await self._deliver(row, held, result) is _Next.HOLD:
                result.held = True
                return

    async def _deliver(self, row: Row, held: dict[str, ReportListing], result: StepResult) -> _Next:
        current = self._outbox.get(row.key)
        if current is None or current.state != row.state:
            return _Next.GO_ON  # dropped with its event while the rows before it were sent
        try:
            if row.state == "sending" and await self._settled(row, held, result):
                return _Next.GO_ON
            built = await self._build(row)
        except VenError as error:
            return self._failed(row, error, ambiguous=row.state == "sending")
        except Exception as error:  # noqa: BLE001  a report that we cannot make holds up no other
            return self._broken(row, error, result)
        self._tell_omissions(row, built.omissions, result)
        if built.report is None:
            reason = "; ".join(built.omissions) or "nothing is known of these intervals"
            self._outbox.unmet(row.key, reason, self._clock.now())
            result.unmet += 1
            result.tell(self._ids(), ReportingStatus(resource_id="", state="unmet", detail=reason))
            return _Next.GO_ON
        return await self._post(row, built.report, held, result)

    async def _post(
        self, row: Row, report: Report, held: dict[str, ReportListing], result: StepResult
    ) -> _Next:
        self._outbox.sending(row.key, self._clock.now())
        try:
            stored = await self._port.create_report(report)
        except VtnProblem as problem:
            if problem.transient or problem.status in _ON_THE_WAY:
                return self._failed(row, problem, ambiguous=problem.ambiguous)
            return await self._answered_no(row, problem, held, result)
        except WireError as error:
            return self._refuse(row, error, result)
        except VtnError as error:
            return self._failed(row, error, ambiguous=error.ambiguous)
        self._sent(row, stored.id, report, result)
        return _Next.GO_ON

    async def _build(self, row: Row) -> Built:
        owed = row.obligation
        grid = [(span.start, span.end) for span in owed.spans]
        measures = await self._measure([one.resource_id for one in self.resources], grid)
        return build_report(owed, self.resources, measures, self.options)

    async def _settled(self, row: Row, held: dict[str, ReportListing], result: StepResult) -> bool:
        """Ask the VTN for a report of unknown fate; True when it has it. VtnError when it cannot tell."""
        event_id = row.obligation.event_id
        if event_id not in held:
            held[event_id] = await self._port.reports(event_id, self.options.client_name)
        listing = held[event_id]
        for report in listing.items:
            if report.report_name == row.key:
                self._sent(row, report.id, report, result)
                return True
        if not listing.complete:
            raise VtnError(
                "could not list all reports, so that it is open whether one has arrived",
                subject=row.key,
                transient=True,
            )
        return False

    async def _answered_no(
        self, row: Row, problem: VtnProblem, held: dict[str, ReportListing], result: StepResult
    ) -> _Next:
        """Take a definite no: the name may be there already, or the event gone; else it is a refusal."""
        event_id = row.obligation.event_id
        if problem.is_conflict:
            held.pop(event_id, None)
            try:
                there = await self._settled(row, held, result)
            except VenError as error:
                return self._failed(row, error, ambiguous=True)
            return _Next.GO_ON if there else self._refuse(row, problem, result)
        if not problem.is_not_found:
            return self._refuse(row, problem, result)
        if self._book.listed is not None and event_id not in self._book.events:
            reason = f"the VTN no longer knows the event ({problem})"
            result.superseded += self._outbox.drop_event(event_id, reason, self._clock.now())
            self._say(result, f"event {event_id}: {reason}; its reports are dropped")
            return _Next.GO_ON
        # The event has gone, or the address is wrong for the moment: a whole listing will tell.
        since = self._not_found_since.setdefault(row.key, self._clock.now())
        if self._book.listed is not None and self._book.listed > since:
            return self._refuse(row, problem, result)
        return self._failed(row, problem, ambiguous=False)

    def _broken(self, row: Row, error: Exception, result: StepResult) -> _Next:
        """Put a row off that we stumble over ourselves, and let the others pass."""
        now = self._clock.now()
        said = f"report {row.key} cannot be made: unexpected {type(error).__name__} (a bug; please report it)"
        until = now + timedelta(seconds=_BUG_WAIT_S)
        self._outbox.retry_later(row.key, said, until, now, ambiguous=row.state == "sending")
        if type(error).__name__ not in self._bugs:
            self._bugs.add(type(error).__name__)
            log.error("%s", said, exc_info=error)
            result.notes.append(said)
        return _Next.GO_ON

    def _refuse(self, row: Row, error: VenError, result: StepResult) -> _Next:
        self._outbox.refused(row.key, str(error), self._clock.now())
        self._not_found_since.pop(row.key, None)
        result.refused += 1
        result.tell(self._ids(), ReportingStatus(resource_id="", state="refused", detail=str(error)))
        self._say(result, f"report {row.key} was refused: {error}")
        return _Next.GO_ON

    def _ids(self, names: Collection[str] | None = None) -> list[str]:
        """Give the ids of the resources with these names at the VTN; of all for None or a sum over them."""
        every = names is None or AGGREGATED_REPORT in names
        return [one.resource_id for one in self.resources if every or one.resource_name in (names or ())]

    def _sent(self, row: Row, report_id: str | None, report: Report, result: StepResult) -> None:
        now = self._clock.now()
        self._outbox.sent(row.key, report_id, now)
        result.sent += 1
        status = ReportingStatus(
            resource_id="", state="reported", last_report_at=now, last_report_name=row.key
        )
        result.tell(self._ids({part.resource_name for part in report.resources}), status)
        if self._failures:
            log.info("reports are delivered again")
        self._not_found_since.pop(row.key, None)
        self._failures, self._paused_until_s = 0, None

    def _failed(self, row: Row, error: VenError, *, ambiguous: bool) -> _Next:
        """Put a row off. All wait with it, so that order is kept, unless the fault may be its own."""
        now = self._clock.now()
        attempts = row.attempts + 1
        alone = isinstance(error, VtnProblem) and error.status not in (404, 429, 503)
        alone = alone and attempts >= _HOLD_ATTEMPTS
        wait_s = backoff_s(
            attempts - 1 if alone else self._failures,
            self.options.retry_base_s,
            self.options.retry_cap_s,
            self._rng,
        )
        if isinstance(error, VtnProblem) and error.retry_after_s is not None:
            wait_s = max(wait_s, error.retry_after_s)
        until = now + timedelta(seconds=wait_s)
        self._outbox.retry_later(row.key, str(error), until if alone else now, now, ambiguous=ambiguous)
        if alone:
            if attempts == _HOLD_ATTEMPTS:
                log.warning("report %s keeps failing, others go before it: %s", row.key, error)
            return _Next.GO_ON
        if not self._failures:
            log.warning("reports wait: %s", error)
        self._failures += 1
        self._paused_until_s = self._clock.monotonic() + wait_s
        return _Next.HOLD

    def _tell_omissions(self, row: Row, omissions: Sequence[str], result: StepResult) -> None:
        """Say what was left out when it begins, not with every report."""
        group = (row.obligation.event_id, row.obligation.group)
        before = self._omitted.get(group, frozenset())
        for sentence in omissions:
            if sentence not in before:
                self._say(result, sentence)
        self._omitted[group] = frozenset(omissions)
        for known in [known for known in self._omitted if known[0] not in self._book.events]:
            del self._omitted[known]

    def _say(self, result: StepResult, sentence: str) -> None:
        log.warning("%s", sentence)
        result.notes.append(sentence)

    def _prune(self, now: datetime) -> None:
        elapsed = self._clock.monotonic()
        if self._pruned_at is None or elapsed - self._pruned_at >= _PRUNE_EVERY_S:
            self._outbox.prune(now - timedelta(days=self.options.keep_days))
            self._not_found_since.clear()
            self._pruned_at = elapsed
