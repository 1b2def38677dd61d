"""What reports are made and sent with: the VTN and the store as this stage sees them, options, results."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal, Protocol, TypeVar
from zoneinfo import ZoneInfo

from msgspec.structs import replace as msgspec_replace

from venclient.clock import Clock
from venclient.errors import VenError, VtnProblem, VtnUnreachable
from venclient.messages import code_of, with_code
from venclient.messages import readings as rdg
from venclient.messages import reporting as rep
from venclient.messages.printable import foreign
from venclient.model.reporting import ReportingStatus
from venclient.openadr.enumerations import AGGREGATED_REPORT
from venclient.openadr.objects import Report
from venclient.reporting.bodies import says_the_same
from venclient.reporting.builder import Built, build_report
from venclient.reporting.eventbook import EventBook
from venclient.reporting.needs import Measuring, gathered, is_measured
from venclient.reporting.outbox import Outbox
from venclient.reporting.pace import Pace
from venclient.reporting.parts import MOST_VALUES
from venclient.reporting.payloads import BuildOptions
from venclient.reporting.rows import Row
from venclient.reporting.sent import Attempt, Room, Verb
from venclient.reporting.sent_codec import Sent
from venclient.reporting.targets import Asked, Reportable
from venclient.reporting.windows import WindowRules
from venclient.settings import Settings
from venclient.thinned import Thinned
from venclient.utils import backoff_s

log = logging.getLogger("venclient.reporting")

T = TypeVar("T")

#: Returns when the reading that completes an interval, by its end, is expected of resources.
Expecting = Callable[[Sequence[str], datetime, datetime], Mapping[str, datetime]]
#: How long after its end an interval may still be completed by a reading that is on time.
COMPLETED_WITHIN = timedelta(minutes=10)
#: A completing reading is looked for this time after it is expected.
SLACK = timedelta(seconds=2)


def none_expected(_ids: Sequence[str], _end: datetime, _now: datetime) -> Mapping[str, datetime]:
    """Return that no reading is waited for."""
    return {}


Order = Literal["oldest-first", "newest-first"]

#: A server error for one report holds the queue this often; then it may be that report's own fault.
HOLD_ATTEMPTS = 3


class ReportListing(Protocol):
    """Reports that the VTN holds; absence means something only when `complete`."""

    @property
    def items(self) -> Sequence[Report]:
        """Return the reports."""
        ...

    @property
    def refused(self) -> Sequence[object]:
        """Return what was listed and could not be understood."""
        ...

    @property
    def complete(self) -> bool:
        """True when every page was read."""
        ...


class ReportPort(Protocol):
    """What is asked of the VTN; errors are those of `venclient.errors` under VtnError."""

    @property
    def report_status(self) -> int | None:
        """Return the HTTP status with which the VTN took the last report; None before it took one."""
        ...

    async def create_report(self, report: Report) -> Report:
        """Send a report, and return it as the VTN stored it."""
        ...

    async def update_report(self, report_id: str, report: Report) -> Report:
        """Replace a report, and return it as the VTN stored it."""
        ...

    async def has_event(self, event_id: str) -> bool:
        """Return whether the VTN still has an event."""
        ...

    async def reports(
        self,
        event_id: str | None = None,
        client_name: str | None = None,
        *,
        names: Collection[str] | None = None,
    ) -> ReportListing:
        """List this client's reports on an event; with `names`, others need not be among them."""
        ...


@dataclass(frozen=True, kw_only=True)
class ReportOptions(BuildOptions):
    """How reports are made and sent.

    `settle_s` is how long after a window's end late samples are waited for in any case, `grace_s` how long
    where meters are expected to send the reading that completes its last interval; `jitter_s` is within how
    much more time a fleet's gateways spread, each at its own moment. One step sends at most `batch`
    reports, and never more than `rate_per_s`; a report has at most `most_values`. After a failure the
    next attempt waits from `retry_base_s` on, doubling up to `retry_cap_s`; a report of unknown fate is
    not asked for before `ask_after_s` after it was sent, as the VTN may be at it still.

    Rows that are done with are kept for `keep_days`, what they cover of each day for `coverage_days`. What
    could not be delivered is given up after `give_up_days`. Readings that come within `correct_for_s`
    after a report was sent correct it, once no more came for `correct_settle_s`. `sent_room` is how much is
    kept of what was sent.
    """

    settle_s: float = 2.0
    grace_s: float = 5.0
    jitter_s: float = 0.0
    order: Order = "oldest-first"
    rate_per_s: float | None = None
    most_values: int = MOST_VALUES
    batch: int = 50
    retry_base_s: float = 2.0
    retry_cap_s: float = 300.0
    ask_after_s: float = 10.0
    keep_days: float = 30.0
    give_up_days: float = 30.0
    coverage_days: float = 1830.0
    correct_for_s: float = 7 * 86_400.0
    correct_settle_s: float = 60.0
    sent_room: Room = field(default_factory=Room)


@dataclass
class StepResult:
    """What one step did, in numbers of reports; `notes` are sentences that were not said before.

    `held` is True when the VTN or the store could not be used, and what waits has to wait on; `not_found`
    when the VTN answered 404 for a report or its event: it may have lost more.
    """

    owed: int = 0
    sent: int = 0
    refused: int = 0
    unmet: int = 0
    superseded: int = 0
    lost: int = 0
    corrected: int = 0
    held: bool = False
    not_found: bool = False
    notes: list[str] = field(default_factory=list)
    #: Of the lines of one kind in many steps only some are logged.
    thinned: Thinned = field(default_factory=Thinned)
    _told: dict[str, ReportingStatus] = field(default_factory=dict)

    @property
    def statuses(self) -> dict[str, ReportingStatus]:
        """Return by resource id how reporting stands where this step changed it."""
        return {id_: replace(status, resource_id=id_) for id_, status in self._told.items()}

    def tell(self, resource_ids: Iterable[str], status: ReportingStatus) -> None:
        """Note how it stands for some resources; the later word of a step counts."""
        # Very many reports may go in one step, most of them on the same resources.
        self._told.update(dict.fromkeys(resource_ids, status))

    def say(self, sentence: str) -> None:
        """Log a message with its code, and keep it in `notes`."""
        line = self.thinned.line(code_of(sentence), sentence)
        if line is not None:
            said = with_code(line)
            log.warning(said)
            self.notes.append(said)


class Pause:
    """How long everything waits after a failure, by the monotonic clock: one set back prolongs nothing."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until_s = 0.0
        self.failures = 0
        self._logged = False

    def left_s(self) -> float:
        """Return the seconds that are left; 0 for none."""
        return max(0.0, self._until_s - self._clock.monotonic())

    def begin(self, wait_s: float, error: VenError) -> None:
        """Wait for `wait_s`; the first of several failures in a row is logged.

        A failure to reach the VTN is not: the client logs when the VTN is unreachable, and when it is back.
        """
        if not self._logged and not isinstance(error, VtnUnreachable):
            self._logged = True
            log.warning(rep.DELAYED(problem=error))
        self.failures += 1
        self._until_s = self._clock.monotonic() + wait_s

    def prolong(self, wait_s: float) -> None:
        """Wait for at least `wait_s`."""
        self._until_s = max(self._until_s, self._clock.monotonic() + wait_s)

    def end(self) -> None:
        """Note that the VTN has taken a report."""
        if self._logged:
            log.info(rep.DELIVERED_AGAIN())
        self.failures, self._until_s, self._logged = 0, 0.0, False


@dataclass
class Means:
    """All of it together; `resources` and `options` may be replaced while reports are sent."""

    outbox: Outbox
    book: EventBook
    port: ReportPort
    measure: Measuring
    clock: Clock
    rng: random.Random
    resources: Sequence[Reportable]
    options: ReportOptions
    pause: Pause
    pace: Pace
    expecting: Expecting
    #: The end of the time that reports cover; None while no report does.
    reported: datetime | None = None
    #: When the targets granted to us were last read from the VTN; None while this process has not read them.
    granted_at: datetime | None = None
    thinned: Thinned = field(init=False)
    #: When this process began to report: what was due before, an earlier one may have sent.
    started: datetime = field(init=False)
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "outbox"))
    #: By id of a resource without a value in its newest report: that report's key.
    _missing_in: dict[str, str] = field(default_factory=dict)
    #: What `by_id` and `resources_of` found last, and for what.
    _by_id: tuple[Sequence[Reportable], dict[str, Reportable]] = ((), {})
    _resolved: tuple[Sequence[Reportable], Sequence[Reportable], bool, list[Reportable]] = ((), (), False, [])

    def __post_init__(self) -> None:
        self.started = self.clock.now()
        self.thinned = Thinned(self.clock.monotonic)

    async def write(self, work: Callable[[], T]) -> T:
        """Do work on the outbox beside the event loop, one after the other: a commit waits for the card."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def built(self, row: Row) -> Built:
        """Return a row's report, of what is known now."""
        resources = self.resources_of(row)
        measures = await gathered(self.measure, row.obligation, resources, self.options)
        return build_report(row.obligation, resources, measures, self.options)

    def note_attempt(
        self,
        row: Row,
        verb: Verb,
        built: Built | Report,
        *,
        answer: VenError | Report,
    ) -> None:
        """Keep what was sent, or found at the VTN, with its answer: an error, or the VTN's copy."""
        asked, options = row.obligation, self.options
        made = built if isinstance(built, Built) else Built(built)
        taken = isinstance(answer, Report)
        event = self.book.events.get(asked.event_id)
        sent = None
        if made.report is not None:
            sent = Sent(
                report=made.report,
                obligation=asked,
                methods=made.methods,
                unsaid=made.unsaid if isinstance(built, Built) else None,
                program="" if event is None else event.event.program_id,
                percent_of_full=options.percent_of_full,
                ven_targets=tuple(sorted(options.ven_targets)),
            )
        status = self.port.report_status if taken and verb != "GET" else getattr(answer, "status", None)
        self.outbox.sent_reports.add(
            Attempt(
                key=row.key,
                at=self.clock.now(),
                verb=verb,
                taken=taken,
                status=status,
                answer=_said_by_vtn(answer),
                event_id=asked.event_id,
                start=asked.start,
                until=asked.end,
                report_id=answer.id if isinstance(answer, Report) else row.report_id,
                resources=self.resources_of(row),
                sent=sent,
            )
        )
        if isinstance(answer, Report) and verb != "GET" and made.report and differs(made.report, answer):
            # What counts is what the VTN has.
            self.note_attempt(row, "GET", answer, answer=answer)

    @property
    def by_id(self) -> Mapping[str, Reportable]:
        """Return the resources that are reported on, by id."""
        resources = self.resources
        if self._by_id[0] is not resources:
            self._by_id = (resources, {one.resource_id: one for one in resources})
        return self._by_id[1]

    def resources_of(self, row: Row) -> Sequence[Reportable]:
        """Return the resources that a row is about, as they are now, or as they were when they have gone.

        Their targets are those of the row until this process has read the current ones.
        """
        asked, resources, granted = row.resources, self.resources, self.granted_at is not None
        if asked is None:
            return resources
        # The windows of an event share a set: its rows hold the very same one.
        kept = self._resolved
        if kept[0] is not asked or kept[1] is not resources or kept[2] is not granted:
            now = self.by_id
            found = [now.get(one.resource_id, one) for one in asked]
            if not granted:
                found = [
                    one if one.targets >= old.targets else msgspec_replace(one, targets=old.targets)
                    for one, old in zip(found, asked, strict=True)
                ]
            self._resolved = (asked, resources, granted, found)
        return self._resolved[3]

    def matches_no_resource(self, row: Row) -> bool:
        """Return whether the targets of a row match none of its resources, as far as grants are known."""
        wanted = row.obligation
        asked = Asked(wanted.event_targets, self.resources_of(row), self.options.ven_targets)
        return not asked.by_any(one.targets for one in wanted.descriptors)

    def ids(self, row: Row, names: Collection[str] | None = None) -> list[str]:
        """Return ids of a row's resources by their names; of all for None or a sum over them."""
        every = names is None or AGGREGATED_REPORT in names
        among = self.resources_of(row)
        return [one.resource_id for one in among if every or one.resource_name in (names or ())]

    def incomplete(self, row: Row, now: datetime) -> Mapping[str, datetime]:
        """Return the resources whose readings do not complete a row's report yet, and when they will."""
        asked = row.obligation
        end = asked.end
        if end > row.due or now - end > COMPLETED_WITHIN or not is_measured(asked):
            return {}
        return self.expecting([one.resource_id for one in row.resources or ()], end, now)

    def note_sent(
        self, row: Row, valued: Collection[str], valueless: Collection[str], result: StepResult
    ) -> None:
        """Note the state of resources by id: those with a value in a report that was sent, and the others."""
        status = ReportingStatus(
            resource_id="", state="reported", last_report_at=self.clock.now(), last_report_name=row.key
        )
        missing = replace(status, state="missing", detail=with_code(rdg.ONLY_MISSING()))
        for id_ in valued:
            self._missing_in.pop(id_, None)
        self._missing_in.update(dict.fromkeys(valueless, row.key))
        result.tell(valued, status)
        result.tell(valueless, missing)

    def note_corrected(self, row: Row, valueless: Collection[str], result: StepResult) -> None:
        """Note the resources that a correction of their newest report gave a value."""
        newest = {one for one in self.ids(row) if self._missing_in.get(one) == row.key}
        if found := newest.difference(valueless):
            self.note_sent(row, found, (), result)

    def told(self, row: Row) -> None:
        """Extend `reported` to the end of a row that is done with."""
        if row.obligation.end <= row.due and (self.reported is None or row.obligation.end > self.reported):
            self.reported = row.obligation.end

    def put_off(self, attempts: int, error: VenError) -> tuple[datetime, bool]:
        """Return until when a report waits after a failed attempt, and whether it waits alone.

        To keep the order, all reports wait with it, unless the fault may be in this one.
        """
        alone = isinstance(error, VtnProblem) and error.status not in (404, 429, 503)
        alone = alone and attempts >= HOLD_ATTEMPTS
        wait_s = backoff_s(
            attempts - 1 if alone else self.pause.failures,
            self.options.retry_base_s,
            self.options.retry_cap_s,
            self.rng,
        )
        if isinstance(error, VtnProblem) and error.retry_after_s is not None:
            wait_s = max(wait_s, error.retry_after_s)
        now = self.clock.now()
        if alone:
            return now + timedelta(seconds=wait_s), True
        self.pause.begin(wait_s, error)
        return now, False


def differs(ours: Report, theirs: Report) -> bool:
    """Return whether the copy that the VTN returned has other values; one without any says nothing."""
    return bool(theirs.resources) and theirs.resources != ours.resources and not says_the_same(ours, theirs)


def _said_by_vtn(answer: VenError | Report) -> str:
    """Return an error, or when the VTN stored a report by its own clock."""
    if isinstance(answer, Report):
        return foreign(answer.modification_date_time or answer.created_date_time or "")
    return foreign(str(answer))


def report_options(settings: Settings) -> ReportOptions:
    """Return what the settings say of reports; those of one VTN where there are several."""
    return ReportOptions(
        client_name=settings["ven.name"],
        allow_negative=settings["reporting.allow_negative"],
        sub_interval_s=settings["reporting.sub_interval_s"],
        adhoc_s=settings["reporting.adhoc_s"],
        zone=ZoneInfo(settings["reporting.time_zone"]) if settings["reporting.time_zone"] else None,
        rules=WindowRules(
            window=settings["reporting.window_reading"],
            all_intervals=settings["reporting.all_intervals"],
            forecast=settings["reporting.forecast_at"],
        ),
        settle_s=settings["reporting.settle_s"],
        grace_s=settings["reporting.grace_s"],
        jitter_s=settings["reporting.jitter_s"] or 0.0,
        order=settings["reporting.order"],
        rate_per_s=settings["reporting.rate_per_s"],
        most_values=settings["reporting.most_values"],
        # A request that we have given up may still be at work there for as long as we would have waited.
        ask_after_s=settings["vtn.timeout_s"],
        keep_days=settings["reporting.keep_days"],
        give_up_days=settings["reporting.give_up_days"],
        coverage_days=settings["reporting.coverage_days"],
        correct_for_s=settings["reporting.correct_for_s"],
        sent_room=Room(
            days=min(settings["reporting.sent_days"], settings["reporting.coverage_days"]),
            most_bytes=settings["reporting.sent_mb"] * 2**20,
            day_bytes=settings["reporting.sent_day_mb"] * 2**20,
        ),
    )
