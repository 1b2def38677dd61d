"""Deliver pending reports to the VTN: in order, each report once, through outages and crashes.

One `step` plans what has fallen due, sends what waits and corrects what was reported too early; the gateway
calls it, and asks `next_due` when to call again. `posting.py` sends, `corrections.py` corrects.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from venclient.clock import Clock
from venclient.messages import reporting as rep
from venclient.messages import with_code
from venclient.messages.printable import foreign
from venclient.openadr.objects import Program, Report
from venclient.reporting.corrections import Corrections
from venclient.reporting.eventbook import EventBook
from venclient.reporting.lateness import Span
from venclient.reporting.means import (
    Expecting,
    Means,
    Pause,
    ReportListing,
    ReportOptions,
    ReportPort,
    StepResult,
    none_expected,
    report_options,
)
from venclient.reporting.needs import Measuring
from venclient.reporting.obligations import Agenda
from venclient.reporting.outbox import Outbox
from venclient.reporting.pace import Pace, spread_s
from venclient.reporting.planner import Planner, Round
from venclient.reporting.posting import Listings, Posting
from venclient.reporting.rows import Row
from venclient.reporting.targets import Reportable

__all__ = [
    "Measuring",
    "ReportListing",
    "ReportOptions",
    "ReportPort",
    "Reporter",
    "StepResult",
    "report_options",
]

#: How often the readings are looked at that reports wait for.
LOOK_AGAIN = timedelta(seconds=0.5)
_PRUNE_EVERY_S = 3600.0
#: Other tasks run after this number of pauses of the planner.
PAUSES = 4
#: Rows that one commit gives up at most.
_GIVEN_UP = 500


class Reporter:
    """Plans and sends reports on `resources`, which may be replaced while it runs.

    `measure` gives what was measured, everything read so far included; `expecting` says which readings are
    about to come. One step runs at a time.
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
        expecting: Expecting = none_expected,
    ) -> None:
        self._means = Means(
            outbox,
            eventbook,
            port,
            measure,
            clock,
            rng or random.Random(),  # noqa: S311  jitter, not secrecy
            resources,
            options,
            Pause(clock),
            Pace(clock, options.rate_per_s),
            expecting,
            outbox.view.reported(),
        )
        self._outbox = outbox
        self._clock = clock
        self._planner = self._new_planner()
        self._posting = Posting(self._means)
        self._corrections = Corrections(self._means)
        self._spread = timedelta(seconds=spread_s(options.client_name, options.jitter_s))
        #: Held by a task that begins a commit on the event loop and ends it in a thread.
        self._writing = asyncio.Lock()
        self._pruned_at: float | None = None
        asked = outbox.view.last_ask()
        if asked is not None:
            # To keep the order, the VTN is first asked for what an earlier process was sending.
            left_s = (asked - clock.now()).total_seconds()
            self._means.pause.prolong(min(left_s, options.ask_after_s))

    def _new_planner(self) -> Planner:
        options = self._means.options
        return Planner(
            self._outbox,
            self._means.book,
            client_name=options.client_name,
            rules=options.rules,
            adhoc_s=options.adhoc_s,
            resources=lambda: len(self._means.resources),
        )

    def note_change(self, at: datetime) -> None:
        """Note that a reported state changed at `at`: unscheduled reports fall due."""
        self._planner.note_change(at)

    def agendas(self) -> list[tuple[Agenda, Program | None]] | None:
        """Return what each known event asks for, with its program; None while changes wait to be seen."""
        return self._planner.agendas()

    @property
    def resources(self) -> Sequence[Reportable]:
        """Return the resources that are reported on."""
        return self._means.resources

    @resources.setter
    def resources(self, resources: Sequence[Reportable]) -> None:
        self._means.resources = resources

    @property
    def options(self) -> ReportOptions:
        """Return how reports are made and sent."""
        return self._means.options

    @options.setter
    def options(self, options: ReportOptions) -> None:
        self._means.options = options

    @property
    def granted_at(self) -> datetime | None:
        """Return when the targets of `resources` and `options` were read from the VTN; None for not yet."""
        return self._means.granted_at

    @granted_at.setter
    def granted_at(self, moment: datetime) -> None:
        self._means.granted_at = moment

    @property
    def reported(self) -> datetime | None:
        """Return the end of the past time that reports cover; None while no report does."""
        return self._means.reported

    async def step(self) -> StepResult:
        """Plan what has fallen due, send what waits, correct what was late; StoreError: the outbox fails."""
        result = StepResult(thinned=self._means.thinned)
        kept = self._outbox.sent_reports
        kept.room = self.options.sent_room
        while kept.problems:
            result.say(kept.problems.pop(0))
        now = self._clock.now()
        planned = await self._plan(now)
        result.owed, result.superseded = planned.owed, planned.superseded
        for problem in planned.problems:
            result.say(problem)
        if self._outbox.view.has_untold():
            await self._posting.tell_apart()
        await self._corrections.settle()
        await self._keep_house(now, result)
        if self._means.pause.left_s() > 0:
            result.held = True
            return result
        if self.resources:
            listings: Listings = {}
            result.held = not (
                await self._posting.send(listings, result, self._room())
                and await self._corrections.send(partial(self._find, listings), result, self._room())
            )
        return result

    async def late(self, late: Mapping[str, Span]) -> None:
        """Note readings of a time that was reported already, by resource id.

        When this returns they survive a crash. Raises StoreError when they may not.
        """
        await self._corrections.note(late, self._writing)

    def next_due(self) -> datetime | None:
        """Return when a step would next have something to do; None when nothing is in sight.

        Never earlier than the next attempt after a failure. New events are the caller's to notice.
        """
        coming = self._planner.next_due()
        now = self._clock.now()
        moments = [coming + self._settle] if coming else []
        attempts: list[datetime | None] = []
        if self.resources:
            # What waits for granted targets is looked at when they have been read.
            held = self._posting.held(now)
            waiting = self._outbox.view.next_attempt(told_apart=True, held=tuple(held))
            attempts = [waiting, self._corrections.next_attempt()]
            if held:
                attempts.append(min(*held.values(), now + LOOK_AGAIN))
        wait = timedelta(seconds=self._means.pace.wait_s())
        moments += [max(attempt, now + wait) for attempt in attempts if attempt is not None]
        settles_in_s = self._corrections.settles_in_s()
        if settles_in_s is not None:
            moments.append(now + timedelta(seconds=settles_in_s))
        if not moments:
            return None
        return max(min(moments), now + timedelta(seconds=self._means.pause.left_s()))

    @property
    def _settle(self) -> timedelta:
        return timedelta(seconds=self.options.settle_s) + self._spread

    async def _plan(self, now: datetime) -> Round:
        round_ = Round()
        try:
            # The planner looks at the event book, so it works on the event loop, a little at a time.
            for number, changes in enumerate(self._planner.steps(round_, now - self._settle, now), 1):
                if changes is not None:
                    async with self._writing:
                        await self._means.write(partial(self._outbox.apply, changes))
                elif not number % PAUSES:
                    await asyncio.sleep(0)
        except BaseException:
            # What it remembers of this round was not written.
            self._planner = self._new_planner()
            raise
        return round_

    def _room(self) -> int:
        return self._means.pace.room(self.options.batch)

    async def _find(self, listings: Listings, row: Row) -> Report | None:
        return await self._posting.find(row, listings)

    async def _keep_house(self, now: datetime, result: StepResult) -> None:
        """Once an hour: give up what is too old, and forget what was done with long ago."""
        elapsed = self._clock.monotonic()
        if self._pruned_at is not None and elapsed - self._pruned_at < _PRUNE_EVERY_S:
            return
        days = self.options.give_up_days
        limit = now - timedelta(days=days)
        why = with_code(rep.NOT_DELIVERED(days=days))
        while True:
            lost = await self._means.write(partial(self._outbox.give_up, limit, now, why, _GIVEN_UP))
            result.lost += len(lost)
            for sentence in _losses(lost, days):
                result.say(sentence)
            if len(lost) < _GIVEN_UP:
                break
        await self._means.write(
            partial(
                self._outbox.prune,
                now - timedelta(days=self.options.keep_days),
                coverage_before=now - timedelta(days=self.options.coverage_days),
            )
        )
        await self._means.write(
            partial(self._outbox.prune_sent, now - timedelta(days=self.options.sent_room.days))
        )
        self._posting.forget()
        self._pruned_at = elapsed


def _losses(lost: Sequence[Row], days: float) -> list[str]:
    """Return a sentence for each event whose reports were given up."""
    by_event: dict[str, list[Row]] = {}
    for row in lost:
        by_event.setdefault(row.obligation.event_id, []).append(row)
    sentences: list[str] = []
    for event_id, rows in by_event.items():
        first = min(row.obligation.start for row in rows)
        last = max(row.obligation.end for row in rows)
        event = foreign(event_id)
        sentences.append(rep.LOST(event=event, count=len(rows), start=first, end=last, days=days))
    return sentences
