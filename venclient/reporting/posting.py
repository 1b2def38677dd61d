"""Send pending reports (POST), in order; ask the VTN for those that may have arrived already, by name.

    due rows, marked `sending` ---> POST, POST, POST ... ---> the VTN's answers
    '---- in one commit -----'                              '-- in one commit with the next rows' marks

One at a time, to arrive in order. After a crash between two commits the VTN is asked for
each report of the group. A row that is `sending` already is asked for before anything of its group is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType

from msgspec.structs import replace as msgspec_replace

from venclient.errors import VenError, VtnError, VtnProblem, VtnUnreachable, WireError
from venclient.messages import Text, with_code
from venclient.messages import reporting as rep
from venclient.messages.printable import foreign
from venclient.model.reporting import ReportingStatus
from venclient.openadr.objects import Report
from venclient.reporting.bodies import digest_of, gaps_of, told_with
from venclient.reporting.builder import Built
from venclient.reporting.gathered import gathered
from venclient.reporting.means import HOLD_ATTEMPTS, SLACK, Means, ReportListing, StepResult, log
from venclient.reporting.needs import is_measured
from venclient.reporting.parts import split
from venclient.reporting.rows import Row
from venclient.reporting.targets import Reportable, known_targets
from venclient.reporting.twins import Twins

#: Returns the VTN's copy of a row's report, None when it has none. Raises VtnError when that is unknown.
Ask = Callable[[Row], Awaitable[Report | None]]
#: The VTN's reports by event, as listed in this step.
Listings = dict[str, ReportListing]
Changes = list[Callable[[], None]]

NOTHING_INCOMPLETE: Mapping[str, datetime] = MappingProxyType({})
#: More reports than this do not wait for readings at a time.
_MOST_HELD = 500
#: The most reports that share a commit before they are sent and one after, and the most intervals of
#: these, which are held in memory.
GROUP = 64
_SPANS = 5000
#: What something between us and the VTN says (a captive portal, a proxy), not the VTN of a report.
_ON_THE_WAY = (*range(300, 400), 407)
_BUG_WAIT_S = 300.0
#: Refusals that may be about the event of a report.
_OF_EVENTS = (400, 409, 410, 422)
#: How long an event that the VTN does not have may return, and how often that is looked at.
_MAY_RETURN = timedelta(minutes=5)
_LOOK_AGAIN = timedelta(minutes=1)
#: The most rows, and intervals, that are assigned to resources in one commit.
_AT_ONCE = 500
_SPANS_AT_ONCE = 20_000
#: How long a report on resources that are known waits for a target that is not.
_GRANTS_WITHIN = timedelta(seconds=60)
#: How soon a report is looked at again that waits for granted targets to be read for the first time.
_GRANTS_AGAIN = timedelta(seconds=10)


class Unreadable(VtnError):
    """The VTN's list holds what cannot be understood: no report is known to be missing from it."""


class Posting:
    """Send pending reports; one `send` runs at a time."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._not_found_since: dict[str, datetime] = {}
        self._omitted: dict[tuple[str, str], frozenset[str]] = {}
        self._bugs: set[str] = set()
        self._gone: set[str] = set()
        self._twins = Twins(means)
        #: Reports that wait for readings which complete them, by name, and until when.
        self._held: dict[str, datetime] = {}
        self._changes: Changes = []

    def held(self, now: datetime) -> Mapping[str, datetime]:
        """Return the reports that wait for readings which complete them, by name, and until when."""
        return {key: until for key, until in self._held.items() if until > now}

    def _hold(self, now: datetime) -> dict[str, datetime]:
        """Return what is to wait: a reading that completes it is expected within the grace, and not there."""
        means = self._means
        grace = timedelta(seconds=means.options.grace_s)
        held: dict[str, datetime] = {}
        #: The windows of an event share a set of resources, and often their end.
        first: dict[tuple[int, datetime, bool], datetime | None] = {}
        for row in means.outbox.view.fresh(now - grace, now, _MOST_HELD) if grace else ():
            asked = row.obligation
            last = asked.spans[-1]
            until = row.due + min(grace, last.end - last.start)
            known = id(row.resources), asked.end, is_measured(asked)
            if known not in first and asked.end <= row.due:
                first[known] = min(means.incomplete(row, now).values(), default=None)
            coming = first.get(known)
            if asked.end <= row.due and until > now and coming is not None and coming <= until:
                held[row.key] = until
        return held

    def forget(self) -> None:
        """Let go of what was remembered of single reports."""
        self._not_found_since.clear()

    async def send(self, listings: Listings, result: StepResult, most: int) -> bool:
        """Send at most `most` reports; False when everything has to wait."""
        means = self._means
        await self._twins.look(result)
        self._gone = set()
        self._held = self._hold(means.clock.now())
        while most > 0:
            take = partial(self._take, self._taken(), means.clock.now(), min(most, GROUP), tuple(self._held))
            rows = await means.write(take)
            if not rows:
                return True
            most -= len(rows)
            try:
                goes_on = await self._group(rows, listings, result)
            except (Exception, asyncio.CancelledError):
                means.outbox.apply(self._taken())  # what is known already is kept
                raise
            if not goes_on:
                await self._flush()
                return False
        await self._flush()
        return True

    def _take(self, changes: Changes, now: datetime, most: int, held: Sequence[str]) -> list[Row]:
        """Write down what became of the rows before, and take the next ones, in one commit.

        They are marked as about to be sent, unless the VTN has to be asked for one of them first.
        """
        means = self._means
        newest_first = means.options.order == "newest-first"

        def taken() -> list[Row]:
            for change in changes:
                change()
            rows = means.outbox.due(
                now, most, newest_first=newest_first, told_apart=True, most_spans=_SPANS, held=held
            )
            if not any(map(self._to_be_asked, rows)):
                self._mark(rows, now)
            return rows

        return means.outbox.with_sent(taken)

    def _mark(self, rows: Sequence[Row], now: datetime) -> None:
        """Note that rows are about to be sent; within a commit."""
        ask_at = now + timedelta(seconds=self._means.options.ask_after_s)
        self._means.outbox.all_sending([row.key for row in rows], now, ask_at=ask_at)

    async def find(self, row: Row, listings: Listings) -> Report | None:
        """Return the VTN's copy of a row's report. Raises VtnError when it is unknown whether it has one."""
        event_id = row.obligation.event_id
        if event_id not in listings:
            # Very many may be there: no more is held in memory than what is looked for.
            names = self._means.outbox.view.open_names(event_id, self._means.clock.now())
            client_name = self._means.options.client_name
            listings[event_id] = await self._means.port.reports(
                event_id, client_name, names={*names, row.key}
            )
        listing = listings[event_id]
        for report in listing.items:
            if report.report_name == row.key:
                return report
        if listing.refused:
            raise Unreadable(rep.LISTED_UNREADABLE(count=len(listing.refused)), subject=row.key)
        if not listing.complete:
            raise VtnError(rep.LIST_INCOMPLETE(), subject=row.key, transient=True)
        return None

    async def _group(self, rows: Sequence[Row], listings: Listings, result: StepResult) -> bool:
        means = self._means
        ready = rows
        if any(map(self._to_be_asked, rows)):
            asked = await self._asked(rows, listings, result)
            await self._flush()
            if asked is None:
                return False
            if asked:
                await means.write(partial(self._mark, asked, means.clock.now()))
            ready = asked
        now = means.clock.now()
        for index, row in enumerate(ready):
            if row.obligation.event_id in self._gone:
                continue  # dropped with its event while the rows before it were sent
            if not await self._deliver(row, listings, result):
                rest = [one for one in ready[index + 1 :] if one.obligation.event_id not in self._gone]
                self._changes += [partial(means.outbox.not_sent, one.key, now) for one in rest]
                return False
        return True

    async def _asked(self, rows: Sequence[Row], listings: Listings, result: StepResult) -> list[Row] | None:
        """Ask the VTN for the rows that may have arrived; return those to send, None when all must wait."""
        ready = []
        for row in rows:
            if not self._to_be_asked(row):
                ready.append(row)
                continue
            try:
                there = await self.find(row, listings)
            except VenError as error:
                if row.state != "sending" and not _is_away(error):
                    ready.append(row)  # the VTN does not list reports; this process has not sent it
                    continue
                if isinstance(error, Unreadable):
                    self._wait_alone(row, error, result)
                    continue
                self._failed(row, error, ambiguous=row.state == "sending")
                return None
            if there is None:
                ready.append(row)
            else:
                self._twins.found(row, there, result)
                self._sent(row, there, None, result)
        return ready

    def _to_be_asked(self, row: Row) -> bool:
        """Return whether the VTN may have a report already: sent by us, or by a process before us.

        What was due before this process, or before it knew the event, another state file may have known.
        """
        if row.state == "sending":
            return True
        event = self._means.book.events.get(row.obligation.event_id)
        known = self._means.started if event is None else max(self._means.started, event.first_seen)
        return row.attempts == 0 and row.due <= known

    async def tell_apart(self) -> None:
        """Store which resources the pending reports are about, and split those that are too large.

        Where targets select resources, this waits for the first listing; where they match no resource, or
        are new, it waits until the granted targets are read again.
        """
        waiting, more = 0, bool(self._means.resources)
        while more:
            resolved, more_waiting = await self._means.write(partial(self._tell_some_apart, waiting))
            waiting += more_waiting
            more = bool(resolved or more_waiting)

    def _tell_some_apart(self, skip: int) -> tuple[int, int]:
        """Do so with some rows after the first `skip`, off the loop; return how many, and how many wait."""
        means = self._means
        listed = means.book.listed is not None
        resources, options, now = means.resources, means.options, means.clock.now()
        by_id = means.by_id
        rows = means.outbox.untold(_AT_ONCE, most_spans=_SPANS_AT_ONCE, skip=skip)
        known = known_targets(resources, options.ven_targets) if any(map(_is_targeted, rows)) else frozenset()
        waiting = 0
        with means.outbox.change():
            for row in rows:
                if not listed and _is_targeted(row):
                    waiting += 1
                    continue
                parts = split(
                    row.obligation,
                    resources,
                    most_values=options.most_values,
                    ven_targets=options.ven_targets,
                    sub_interval_s=options.sub_interval_s,
                )
                if _is_targeted(row) and self._waits_for_grants(
                    row, known, unmatched=not parts[0].resource_ids
                ):
                    waiting += 1
                    continue
                about = [
                    (one.obligation, [self._kept(by_id[id_], row) for id_ in one.resource_ids])
                    for one in parts
                ]
                if len(about) > 1:
                    means.outbox.split(row, about, now)
                else:
                    means.outbox.about(row.key, about[0][1])
        return len(rows) - waiting, waiting

    def _kept(self, one: Reportable, row: Row) -> Reportable:
        """Return a resource as its row keeps it: with the targets of the VEN that chose it."""
        of_ven = _targets_of(row).intersection(self._means.options.ven_targets)
        return msgspec_replace(one, targets=one.targets | of_ven) if of_ven else one

    def _waits_for_grants(self, row: Row, known: frozenset[str], *, unmatched: bool) -> bool:
        """Return whether targets that were granted lately may change whom a row is about."""
        means, granted = self._means, self._means.granted_at
        if unmatched:
            return granted is None or granted < row.since
        if _targets_of(row) <= known or means.clock.now() - row.since >= _GRANTS_WITHIN:
            return False
        event = means.book.events.get(row.obligation.event_id)
        return granted is None or (event is not None and granted < event.first_seen)

    async def _deliver(self, row: Row, listings: Listings, result: StepResult) -> bool:
        means = self._means
        if means.granted_at is None and _is_targeted(row) and means.matches_no_resource(row):
            until = means.clock.now() + _GRANTS_AGAIN
            why = with_code(rep.GRANTS_UNREAD())
            later = partial(means.outbox.retry_later, row.key, why, until, means.clock.now(), ambiguous=False)
            self._changes.append(later)
            return True
        # What comes from here on is later than what the report says.
        means.told(row)
        missing = means.incomplete(row, means.clock.now())
        try:
            built = await means.built(row)
        except VenError as error:
            return self._failed(row, error, ambiguous=False)
        except Exception as error:  # noqa: BLE001  a report that we cannot make holds up no other
            return self._broken(row, error, result)
        if built.report is None and missing:
            until = max(*missing.values(), means.clock.now()) + SLACK
            self._changes.append(partial(means.outbox.await_readings, row.key, until, means.clock.now()))
            return True
        self._tell_omissions(row, built.omissions, result)
        if built.report is None:
            reason = "; ".join(map(with_code, gathered(built.omissions))) or with_code(rep.NOTHING_KNOWN())
            self._changes.append(partial(means.outbox.unmet, row.key, reason, means.clock.now()))
            result.unmet += 1
            result.tell(means.ids(row), ReportingStatus(resource_id="", state="unmet", detail=reason))
            return True
        means.pace.take()
        return await self._post(row, built, built.report, missing, listings, result)

    async def _post(
        self,
        row: Row,
        built: Built,
        report: Report,
        missing: Mapping[str, datetime],
        listings: Listings,
        result: StepResult,
    ) -> bool:
        try:
            stored = await self._means.port.create_report(report)
        except VenError as error:
            self._means.note_attempt(row, "POST", built, answer=error)
            if isinstance(error, VtnProblem):
                return await self._answered(row, error, listings, result)
            if isinstance(error, WireError):
                return self._refuse(row, error, result)
            if isinstance(error, VtnError):
                return self._failed(row, error, ambiguous=error.ambiguous)
            raise
        self._means.note_attempt(row, "POST", built, answer=stored)
        self._twins.sent(row, stored)
        self._sent(row, stored, built, result, missing)
        return True

    async def _answered(self, row: Row, problem: VtnProblem, listings: Listings, result: StepResult) -> bool:
        """Take an error that the VTN answered to a report."""
        if retried_soon(problem):
            return self._failed(row, problem, ambiguous=problem.ambiguous)
        if problem.is_conflict:
            return await self._taken_name(row, problem, listings, result)
        if problem.is_not_found:
            return await self._not_found(row, problem, result)
        return await self._refused(row, problem, result)

    async def _taken_name(
        self, row: Row, problem: VtnProblem, listings: Listings, result: StepResult
    ) -> bool:
        """Take a 409: the report may be there already, else it is a refusal."""
        listings.pop(row.obligation.event_id, None)
        try:
            there = await self.find(row, listings)
        except VenError as error:
            return self._failed(row, error, ambiguous=True)
        if there is None:
            return await self._refused(row, problem, result)
        self._twins.found(row, there, result)
        self._sent(row, there, None, result)
        return True

    async def _refused(self, row: Row, problem: VtnProblem, result: StepResult) -> bool:
        """Take a refusal: where the event has gone it the report waits for a listing."""
        means = self._means
        event_id = row.obligation.event_id
        try:
            if problem.status not in _OF_EVENTS or await means.port.has_event(event_id):
                return self._refuse(row, problem, result)
        except VtnError as error:
            if not _is_away(error):
                return self._refuse(row, problem, result)
            return self._failed(row, error, ambiguous=False)
        result.not_found = True
        now = means.clock.now()
        since = self._not_found_since.setdefault(row.key, now)
        if means.book.listed is not None and means.book.listed > since + _MAY_RETURN:
            reason = with_code(rep.EVENT_UNKNOWN(problem=problem))
            self._changes.append(partial(means.outbox.superseded, row.key, reason, now))
            self._not_found_since.pop(row.key, None)
            result.superseded += 1
            return True
        why = with_code(rep.EVENT_AWAITED(problem=problem))
        later = partial(means.outbox.retry_later, row.key, why, now + _LOOK_AGAIN, now, ambiguous=False)
        self._changes.append(later)
        return True

    async def _not_found(self, row: Row, problem: VtnProblem, result: StepResult) -> bool:
        """Take a 404: the event may have gone, else it is a refusal, or the address is wrong for a while."""
        means = self._means
        result.not_found = True
        event_id = row.obligation.event_id
        listed = means.book.listed
        if listed is not None and event_id not in means.book.events:
            reason = with_code(rep.EVENT_UNKNOWN(problem=problem))
            await self._flush()
            drop = partial(means.outbox.drop_event, event_id, reason, means.clock.now())
            result.superseded += await means.write(drop)
            self._gone.add(event_id)
            result.say(rep.EVENT_DROPPED(event=foreign(event_id), reason=reason))
            return True
        # The event has gone, or the address is wrong for the moment: a whole listing will show which.
        since = self._not_found_since.setdefault(row.key, means.clock.now())
        if listed is not None and listed > since:
            return self._refuse(row, problem, result)
        return self._failed(row, problem, ambiguous=False)

    def _broken(self, row: Row, error: Exception, result: StepResult) -> bool:
        """Put a row off that we stumble over ourselves, and let the others pass."""
        now = self._means.clock.now()
        said = with_code(rep.CANNOT_BUILD(report=row.key, error=type(error).__name__))
        until = now + timedelta(seconds=_BUG_WAIT_S)
        self._changes.append(
            partial(self._means.outbox.retry_later, row.key, said, until, now, ambiguous=False)
        )
        if type(error).__name__ not in self._bugs:
            self._bugs.add(type(error).__name__)
            log.error(said, exc_info=error)
            result.notes.append(said)
        return True

    def _wait_alone(self, row: Row, error: Unreadable, result: StepResult) -> None:
        """Put off a report that may be in the VTN's unreadable list; it is not sent a second time."""
        now = self._means.clock.now()
        until = now + timedelta(seconds=_BUG_WAIT_S)
        later = partial(self._means.outbox.retry_later, row.key, str(error), until, now, ambiguous=True)
        self._changes.append(later)
        if row.last_error != str(error):
            result.say(rep.WAITS(report=row.key, problem=with_code(error.what)))

    def _refuse(self, row: Row, error: VenError, result: StepResult) -> bool:
        means = self._means
        self._changes.append(partial(means.outbox.refused, row.key, str(error), means.clock.now()))
        self._not_found_since.pop(row.key, None)
        result.refused += 1
        status = ReportingStatus(resource_id="", state="refused", detail=str(error))
        result.tell(means.ids(row), status)
        result.say(rep.REFUSED(report=row.key, problem=error))
        return True

    def _sent(
        self,
        row: Row,
        stored: Report,
        built: Built | None,
        result: StepResult,
        incomplete: Mapping[str, datetime] = NOTHING_INCOMPLETE,
    ) -> None:
        """Note that the VTN has a report: `built` when it took it just now, None when it had it already.

        `incomplete` are the resources whose readings were not complete, and when they will be.
        """
        means = self._means
        now = means.clock.now()
        ours = None if built is None else built.report
        if ours is None:
            means.note_attempt(row, "GET", stored, answer=stored)
        entry = rep.STORY_STORED() if ours is not None else rep.STORY_STORED_BEFORE()
        gaps = gaps_of(ours or stored, row.obligation, row.resources or ())
        self._changes.append(
            partial(
                means.outbox.sent,
                row.key,
                stored.id,
                now,
                # The readings behind the VTN's copy are not known: late readings are always reported.
                digest=None if ours is None else digest_of(ours),
                gaps=gaps,
                told=told_with(entry, built.methods if built else ()),
                late=[
                    place for place, one in enumerate(row.resources or ()) if one.resource_id in incomplete
                ],
                look_at=max(incomplete.values()) + SLACK if incomplete else None,
            )
        )
        means.told(row)
        result.sent += 1
        names = {part.resource_name for part in (ours or stored).resources}
        valueless = built.valueless if built else _all_gaps(row, gaps)
        means.note_sent(row, set(means.ids(row, names)) - valueless, valueless, result)
        self._not_found_since.pop(row.key, None)
        means.pause.end()

    def _failed(self, row: Row, error: VenError, *, ambiguous: bool) -> bool:
        """Put a row off; True when the others need not wait with it."""
        means = self._means
        attempts = row.attempts + 1
        until, alone = means.put_off(attempts, error)
        now = means.clock.now()
        if ambiguous:
            until = max(until, now + timedelta(seconds=means.options.ask_after_s))
            if not alone:
                # No other report goes before it: it is asked for first.
                means.pause.prolong(means.options.ask_after_s)
        self._changes.append(
            partial(means.outbox.retry_later, row.key, str(error), until, now, ambiguous=ambiguous)
        )
        if alone and attempts == HOLD_ATTEMPTS:
            said = rep.KEEPS_FAILING(report=row.key, problem=error)
            line = means.thinned.line(said.code, said)
            if line is not None:
                log.warning(line)
        return alone

    def _tell_omissions(self, row: Row, omissions: Sequence[str], result: StepResult) -> None:
        """Say what was left out when it begins, not with every report."""
        group = (row.obligation.event_id, row.obligation.group)
        before = self._omitted.get(group, frozenset())
        for sentence in gathered(one for one in omissions if _kind(one) not in before):
            result.say(sentence)
        self._omitted[group] = frozenset(map(_kind, omissions))
        for known in [known for known in self._omitted if known[0] not in self._means.book.events]:
            del self._omitted[known]

    def _taken(self) -> Changes:
        taken, self._changes = self._changes, []
        return taken

    async def _flush(self) -> None:
        taken = self._taken()
        if taken:
            await self._means.write(partial(self._means.outbox.apply, taken))


def _kind(sentence: str) -> str:
    """Return a message without how often it holds: reports differ in that all the time."""
    if not isinstance(sentence, Text) or "count" not in sentence.params:
        return sentence
    return str(sentence.message(**{**sentence.params, "count": 0}))


def _is_away(error: VenError) -> bool:
    """Return whether the VTN did not answer or is busy, and may answer later."""
    return isinstance(error, VtnUnreachable) or (isinstance(error, VtnProblem) and retried_soon(error))


def _is_targeted(row: Row) -> bool:
    return bool(_targets_of(row))


def _all_gaps(row: Row, gaps: Mapping[int, Sequence[int]]) -> frozenset[str]:
    """Return the ids of a row's resources that have no value in any interval."""
    spans = len(row.obligation.spans)
    return frozenset(
        one.resource_id for place, one in enumerate(row.resources or ()) if len(gaps.get(place, ())) == spans
    )


def _targets_of(row: Row) -> frozenset[str]:
    """Return the targets of a row's event and of its descriptors."""
    asked = row.obligation
    return frozenset(asked.event_targets).union(*(one.targets or () for one in asked.descriptors))


def retried_soon(problem: VtnProblem) -> bool:
    """True for answers that do not come from the VTN's report service: it is busy, or a proxy answers."""
    return problem.transient or problem.page or problem.status in _ON_THE_WAY
