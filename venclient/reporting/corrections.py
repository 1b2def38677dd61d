"""Sends what came late: each report that it changes once, complete, in the place of the one before (PUT).

A row whose correction may have arrived, for all that a crash or a lost answer left us, is looked at the
VTN first; when the VTN's copy says the same already, that counts, and nothing is sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial

from venclient.errors import VenError, VtnError, VtnProblem, WireError
from venclient.messages import reporting as rep
from venclient.messages import with_code
from venclient.openadr.objects import Report
from venclient.reporting.bodies import digest_of, gaps_of, says_the_same, told_with
from venclient.reporting.builder import Built
from venclient.reporting.lateness import LateBook, Span, joined, widened, within
from venclient.reporting.means import SLACK, Means, StepResult, log
from venclient.reporting.posting import Ask, Unreadable, retried_soon
from venclient.reporting.rows import Row

Changes = list[Callable[[], None]]

#: Corrections that share a commit before they are sent, and one after.
_GROUP = 16
#: A correction waits for more late readings at most this number of times `correct_settle_s`.
_LONGEST_SETTLE = 10


class Corrections:
    """Late readings, from their notice to the VTN's acknowledgement."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._book = LateBook(means.outbox)
        #: On the card; and what of it to look at, exactly.
        self._noted: dict[str, Span] = self._book.marks()
        self._late: dict[str, Span] = dict(self._noted)
        now_s = means.clock.monotonic()
        self._first_s, self._last_s = now_s, now_s
        self._failed: dict[str, int] = {}

    async def note(self, late: Mapping[str, Span], writing: asyncio.Lock) -> None:
        """Take note of readings that came late; when this returns it survives a power cut."""
        ours = {one.resource_id for one in self._means.resources}
        fresh = {
            id_: widened(joined(span, self._noted.get(id_)))
            for id_, span in late.items()
            if id_ in ours and not within(span, self._noted.get(id_))
        }
        if fresh:
            async with writing:
                await self._means.write(partial(self._book.note, fresh))
        now_s = self._means.clock.monotonic()
        for id_, span in late.items():
            if id_ not in ours:
                continue
            if not self._late:
                self._first_s = now_s
            self._last_s = now_s
            self._noted[id_] = joined(fresh.get(id_, span), self._noted.get(id_))
            self._late[id_] = joined(span, self._late.get(id_))

    def settles_in_s(self) -> float | None:
        """Return in how many seconds what came late is looked at; None when nothing has."""
        if not self._late:
            return None
        settle_s = self._means.options.correct_settle_s
        at_s = min(self._last_s + settle_s, self._first_s + settle_s * _LONGEST_SETTLE)
        return max(0.0, at_s - self._means.clock.monotonic())

    async def settle(self) -> None:
        """Mark the reports that what came late may change, once no more comes."""
        if self.settles_in_s() != 0.0:
            return
        late, noted = self._late, self._noted
        self._late, self._noted = {}, {}
        now = self._means.clock.now()
        since = now - timedelta(seconds=self._means.options.correct_for_s)
        try:
            marked, again = await self._means.write(partial(self._book.apply, late, noted, now, since))
        except BaseException:
            for id_, span in late.items():
                self._late[id_] = joined(span, self._late.get(id_))
            for id_, span in noted.items():
                self._noted[id_] = joined(span, self._noted.get(id_))
            raise
        if marked or again:
            log.info(rep.LATE_READINGS(marked=marked, again=again))

    def next_attempt(self) -> datetime | None:
        """Return when a correction may next be sent; None when none waits."""
        return self._book.next_attempt()

    async def send(self, ask: Ask, result: StepResult, most: int) -> bool:
        """Send at most `most` corrections; False when everything has to wait."""
        means = self._means
        while most > 0:
            rows = await means.write(partial(self._book.due, means.clock.now(), min(most, _GROUP)))
            if not rows:
                return True
            most -= len(rows)
            now = means.clock.now()
            marks = [partial(self._book.putting, row.key, now) for row in rows if not row.putting]
            await means.write(partial(means.outbox.apply, marks))
            changes: Changes = []
            held = False
            try:
                for index, row in enumerate(rows):
                    if not await self._correct(row, ask, result, changes):
                        held = True
                        rest = [one.key for one in rows[index + 1 :] if not one.putting]
                        changes += [partial(self._book.not_put, key) for key in rest]
                        break
            except (Exception, asyncio.CancelledError):
                means.outbox.apply(changes)
                raise
            await means.write(partial(means.outbox.apply, changes))
            if held:
                return False
        return True

    async def _correct(self, row: Row, ask: Ask, result: StepResult, changes: Changes) -> bool:
        means = self._means
        arrived = row.putting
        missing = means.incomplete(row, means.clock.now())
        if not arrived and (coming := [missing[id_] for id_ in row.late if id_ in missing]):
            until = max(*coming, means.clock.now()) + SLACK
            changes.append(partial(self._book.look_again, row.key, until))
            return True
        try:
            built = await means.built(row)
            report = built.report
            if report is None or digest_of(report) == row.digest:
                changes.append(partial(self._book.unchanged, row.key, means.clock.now()))
                return True
            report_id = row.report_id
            if arrived or report_id is None or row.digest is None:
                there = await ask(row)
                if there is None or there.id is None:
                    result.not_found = True
                    self._refuse(row, with_code(rep.NOT_HELD()), result, changes)
                    return True
                report_id = there.id
                if says_the_same(report, there):
                    if arrived or row.digest is None:
                        means.note_attempt(row, "GET", built, answer=there)
                    if arrived:
                        self._done(row, report_id, report, result, changes, built)
                    else:
                        changes.append(partial(self._book.unchanged, row.key, means.clock.now()))
                    return True
            arrived = False
            means.pace.take()
            try:
                stored = await means.port.update_report(report_id, report)
            except VenError as error:
                means.note_attempt(row, "PUT", built, answer=error)
                raise
        except Exception as error:  # noqa: BLE001  a report that we cannot make holds up no other
            return self._not_done(row, error, arrived, result, changes)
        means.note_attempt(row, "PUT", built, answer=stored)
        means.pause.end()
        self._done(row, stored.id, report, result, changes, built)
        return True

    def _not_done(
        self, row: Row, error: Exception, arrived: bool, result: StepResult, changes: Changes
    ) -> bool:
        """Put a correction off, or give it up; True when the others need not wait with it."""
        result.not_found = result.not_found or (isinstance(error, VtnProblem) and error.is_not_found)
        if isinstance(error, VtnProblem) and not retried_soon(error):
            self._refuse(row, str(error), result, changes)
            return True
        if isinstance(error, VenError) and not isinstance(error, WireError | Unreadable):
            ambiguous = arrived or (isinstance(error, VtnError) and error.ambiguous)
            return self._later(row, error, ambiguous, changes)
        why = str(error)
        if not isinstance(error, VenError):
            bug = rep.CANNOT_CORRECT(report=row.key, error=type(error).__name__)
            log.error(bug, exc_info=error)
            why = with_code(bug)
        self._refuse(row, why, result, changes)
        return True

    def _done(
        self,
        row: Row,
        report_id: str | None,
        report: Report,
        result: StepResult,
        changes: Changes,
        built: Built,
    ) -> None:
        gaps = gaps_of(report, row.obligation, row.resources or ())
        now = self._means.clock.now()
        entry = told_with(rep.STORY_CORRECTED(), built.methods)
        changes.append(partial(self._book.done, row, report_id, digest_of(report), gaps, now, entry))
        self._failed.pop(row.key, None)
        result.corrected += 1
        self._means.note_corrected(row, built.valueless, result)

    def _refuse(self, row: Row, why: str, result: StepResult, changes: Changes) -> None:
        changes.append(partial(self._book.refused, row.key, why, self._means.clock.now()))
        self._failed.pop(row.key, None)
        result.say(rep.NOT_CORRECTED(report=row.key, problem=why))

    def _later(self, row: Row, error: VenError, ambiguous: bool, changes: Changes) -> bool:
        self._failed[row.key] = self._failed.get(row.key, 0) + 1
        until, alone = self._means.put_off(self._failed[row.key], error)
        now = self._means.clock.now()
        if ambiguous:
            until = max(until, now + timedelta(seconds=self._means.options.ask_after_s))
        changes.append(partial(self._book.later, row.key, str(error), until, now, ambiguous=ambiguous))
        return alone
