"""The way from the connectors to the store: right times, qualities, and one commit per batch.

    connector --> stamped by the clock guard --> judged --> store

A part of the composition root: only `gateway.py` uses it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, Protocol

import msgspec

from venclient.clock import Clock
from venclient.clock_guard import STEP_S, ClockGuard, Trust, machine_evidence
from venclient.clock_memory import ClockMemory, boot_id
from venclient.connectors.base import Batch
from venclient.errors import StoreError
from venclient.messages import Text, within
from venclient.messages import gateway as gwy
from venclient.model.quality import (
    NO_RULES,
    MeterRules,
    backfills,
    meter_rules,
    quantity_rules,
    silence_limit_s,
)
from venclient.model.reading import Quality, Reading
from venclient.model.resource import Connection, ConnectionType, Resource
from venclient.notes import Notes
from venclient.readings.arrivals import SET_BACK_MS, ArrivalTimes
from venclient.readings.aside import Aside
from venclient.readings.judging import Judge, Judged
from venclient.readings.look import RULES
from venclient.readings.series import from_ms, to_ms
from venclient.readings.store import ReadingStore
from venclient.readings.time_rule import BACKFILL, HISTORY, LIVE, Window
from venclient.thinned import Thinned
from venclient.utils import age_text

log = logging.getLogger("venclient.gateway")

LOOK_S = 2.0
#: In the first seconds, while a VTN may still speak for a battery clock, or against it.
SETTLING_LOOK_S = 0.2
#: Kinds of failures that go on.
CLOCK, TOO_MANY, APART = "clock", "held", "clocks"
UNSTORED, UNNOTED = "held readings", "clock notes"
#: Bookmarks under which the last believed values of doubted registers are, by resource.
LEVELS = "levels:"
_USABLE = (Quality.GOOD, Quality.ESTIMATED)
_NO_LEVELS: dict[str, tuple[int, float]] = {}
_RESOURCE = attrgetter("resource_id")
_QUALITY = attrgetter("quality")


def window_of(connection: Connection) -> Window:
    """Return how far from now the readings of a connection may be: files have a history."""
    if connection.type is ConnectionType.FILEREADER:
        return HISTORY
    return BACKFILL if backfills(connection.options) else LIVE


def _by_resource(readings: Sequence[Reading]) -> Iterable[tuple[str, Sequence[Reading]]]:
    """Return the readings by resource, in their order; a batch of a connector is of one."""
    if len(readings) == 1 or len(set(map(_RESOURCE, readings))) == 1:
        return ((readings[0].resource_id, readings),)
    return [(resource_id, list(some)) for resource_id, some in groupby(readings, key=_RESOURCE)]


class JournalStore(ReadingStore, Protocol):
    """A store that holds the newest readings in memory."""

    def newest(self, resource_id: str) -> dict[str, Reading]:
        """Return the newest reading of each quantity."""
        ...


class Intake:
    """Takes what connectors read, and stores it with the right time and quality.

    `clock` is for the connectors: it stamps what has no time. `rules` are for the roll-up, by resource.
    Resources whose rules are wrong have none here: their connection is refused elsewhere. `boot`
    names this start of the machine; what an earlier process of it knew of the clock, and what it left
    waiting, is taken up.
    """

    def __init__(
        self,
        store: JournalStore,
        resources: Iterable[Resource],
        clock: Clock,
        notes: Notes,
        *,
        trust: Trust,
        vtn_skew_s: Callable[[], float | None],
        before: Callable[[Sequence[Reading]], Awaitable[None]] | None = None,
        boot: str | None = None,
    ) -> None:
        self._store = store
        self._notes = notes
        self._time = clock
        self._vtn_skew_s = vtn_skew_s
        self._waiting = 0
        self._storing = asyncio.Lock()
        self._thinned = Thinned(clock.monotonic)
        self._noted: asyncio.Future[None] | None = None
        self._before = before
        self.rules: dict[str, MeterRules] = {}
        self._levels: dict[str, dict[str, tuple[int, float]]] = {}
        self._judges: dict[str, Judge] = {}
        self._judged_by: dict[str, tuple[object, ...]] = {}
        #: The resource whose rules were taken last, by id.
        self._taken: dict[str, Resource] = {}
        self._arrivals: dict[str, ArrivalTimes] = {}
        #: Since when (monotonic) every value of a resource was impossible, or its time was.
        self._unusable_since: dict[str, float] = {}
        newest: list[datetime] = []
        for resource in resources:
            # Files have their own times, even of tomorrow.
            if resource.connection.type is not ConnectionType.FILEREADER:
                newest += [reading.time for reading in store.newest(resource.resourceID).values()]
            self._take_rules(resource)
        self._memory = ClockMemory(store.bookmark, boot_id() if boot is None else boot)
        anchor = self._memory.anchor
        self.clock = ClockGuard(
            clock,
            machine_evidence(vtn_skew_s),
            trust=trust,
            newest=max(newest, default=None),
            expected=None if anchor is None else anchor.now(clock.monotonic()),
            held=self._memory.held,
        )
        self._tell()

    def serve(self, resources: Iterable[Resource]) -> None:
        """Judge readings of these resources by their rules as they are now, from the next batch on.

        Rules of others stay: readings of theirs may be on their way, and reports on them due.
        """
        changed = [one for one in resources if self._taken.get(one.resourceID) is not one]
        for resource in changed:
            self._take_rules(resource)
        self._write_down_rules([one.resourceID for one in changed])

    def _take_rules(self, resource: Resource) -> None:
        id_ = resource.resourceID
        self._taken[id_] = resource
        try:
            of_meter = meter_rules(resource)
            rules = quantity_rules(resource.connection.options)
        except ValueError:
            for known in (self.rules, self._judges, self._judged_by):
                known.pop(id_, None)
            return
        window = window_of(resource.connection)
        stale_after_s = silence_limit_s(resource.connection.options)
        by = resource.resourceName, rules, of_meter, window, stale_after_s
        if self._judged_by.get(id_) == by:
            return  # the judge remembers what came before
        self._judged_by[id_] = by
        self.rules[id_] = of_meter
        self._judges[id_] = Judge(
            resource.resourceName,
            rules,
            of_meter,
            self._store.newest(id_),
            window=window,
            levels=self._levels_of(id_),
            stale_after_s=stale_after_s,
        )

    async def run(self) -> None:
        """Look at the clock now and then, and store what waited for it; until cancelled."""
        self._write_down_rules(self.rules)
        self._give_up_lost()
        try:
            while True:
                self.clock.look()
                self._tell()
                await self._store_held()
                if self._noted is None or self._noted.done():
                    self._remember()
                await self._time.sleep(SETTLING_LOOK_S if self.clock.state.settling else LOOK_S)
        finally:
            self._remember()
            if held := self.clock.state.held:
                log.warning(gwy.STILL_HELD(count=held))

    async def keep(self, batch: Batch, *, of: str = "") -> None:
        """Store a batch; when its source waits for our acknowledgement, return after the commit.

        `of` names the resource that it is of, for what is said of what could not be read.
        While the clock is in doubt, what a source keeps for us is left with it, and the rest is held.
        """
        for reject in batch.rejects:
            said = within(reject.reason, f"{reject.place}: ")
            self._notes.add(within(said, f"{of}: ") if of else said)
        readings = batch.readings
        if waited := self.clock.is_provisional(readings):
            if not batch.replayable:
                self.clock.hold(readings)
                await self._store_held()
                return
            self._waiting += len(readings)
            try:
                while not self.clock.believed:
                    await self.clock.until_believed()
            finally:
                self._waiting -= len(readings)
            readings = self.clock.restamped(readings)
        if self.clock.held:
            await self._store_held()
        if batch.arrivals:
            readings = await self._told_apart(readings, batch.arrivals)
        judged = self._judged(readings, waited=waited)
        if self._before is not None:
            await self._before(judged)
        bookmarks = batch.bookmarks
        if changed := self._changed_levels(readings):
            bookmarks = {**bookmarks, **changed}
        stored = self._store.add(judged, bookmarks=bookmarks, urgent=batch.replayable)
        if batch.replayable:
            await stored

    async def _told_apart(self, readings: Sequence[Reading], arrivals: Sequence[int]) -> Sequence[Reading]:
        """Return readings with a different time for each message without one (see `Batch.arrivals`).

        When these would run too far ahead of the clock, it is waited for: the source holds the rest back.
        """
        arrived: dict[int, int] = {}
        for number, one in zip(arrivals, readings, strict=True):
            if number >= 0 and number not in arrived:
                arrived[number] = to_ms(one.time)
        if not arrived:
            return readings
        numbers = sorted(arrived)
        arrivals_ms = [arrived[number] for number in numbers]
        times = self._arrivals.get(readings[0].resource_id) or self._arrivals_of(readings[0].resource_id)
        stamps = times.stamp(arrivals_ms)
        if stamps == arrivals_ms:  # nearly always
            return readings
        moved = {
            number: from_ms(ms) for number, ms in zip(numbers, stamps, strict=True) if ms != arrived[number]
        }
        if (lead_s := times.lead_s(to_ms(self._time.now()))) > 0:
            await self._time.sleep(lead_s)
        return [
            msgspec.structs.replace(one, time=moved[number]) if number in moved else one
            for one, number in zip(readings, arrivals, strict=True)
        ]

    def _arrivals_of(self, resource_id: str) -> ArrivalTimes:
        """Begin to give times to the messages of a resource."""
        now_ms = to_ms(self._time.now()) + SET_BACK_MS
        stored = [to_ms(one.time) for one in self._store.newest(resource_id).values()]
        newest_ms = max((ms for ms in stored if ms <= now_ms), default=None)
        times = self._arrivals[resource_id] = ArrivalTimes(newest_ms)
        return times

    def quality_now(self, reading: Reading) -> str:
        """Return the quality that a newest reading has now: it grows stale when no newer one comes."""
        judge = self._judges.get(reading.resource_id)
        quality = reading.quality if judge is None else judge.quality_now(reading, self._now())
        return quality.value

    def snapshot(self) -> Mapping[str, Any]:
        """Return the state of the clock as plain data."""
        state = self.clock.state
        return {
            "synchronised": state.doubt is None,
            "settling": state.settling,
            "doubt": state.doubt,
            "held": state.held + self._waiting,
            "dropped": state.dropped,
        }

    async def _store_held(self) -> None:
        if not self.clock.held:
            return
        async with self._storing:  # newer ones wait for those that were held
            if self._before is not None and (ripe := self.clock.ripe()):
                # Still held meanwhile: what is cut off here is not lost.
                await self._before(ripe)
            held = self.clock.release()
        if not held:
            return
        try:
            forgotten = self._memory.forget_held(self.clock.state.dropped)
            self._store.add(self._judged(held, waited=True), bookmarks=forgotten)
        except StoreError as error:
            self._notes.show(UNSTORED, str(error))
            return
        self._notes.end(UNSTORED)
        log.info(gwy.HELD_STORED(count=len(held)))

    def _remember(self) -> None:
        """Write down what the next process must know of the clock, and of what waits for it."""
        noted = self._memory.keep_held(self.clock.held, self.clock.state.dropped)
        if (anchor := self.clock.anchor) is not None:
            noted |= self._memory.keep_anchor(*anchor)
        self._note(noted)

    def _note(self, bookmarks: Mapping[str, str]) -> None:
        if not bookmarks:
            return
        try:
            self._noted = self._store.add([], bookmarks=bookmarks)
        except StoreError as error:
            self._notes.show(UNNOTED, str(error))
        else:
            self._notes.end(UNNOTED)

    def _give_up_lost(self) -> None:
        """Set aside what waited for the time when the machine went down: it will never be known."""
        lost: dict[tuple[str, str], list[Reading]] = defaultdict(list)
        for reading in self._memory.lost:
            lost[reading.resource_id, reading.quantity].append(reading)
        if not lost:
            return
        why = gwy.TIMELESS()
        self._store.set_aside(
            [
                Aside("clock", *series, why, len(some), tuple((to_ms(r.time), r.value) for r in some))
                for series, some in lost.items()
            ]
        )
        said = gwy.TIMELESS_ASIDE(count=len(self._memory.lost))
        self._notes.add(said)
        log.warning(said)

    def _write_down_rules(self, ids: Iterable[str]) -> None:
        """Let the store know how the meters of these resources count, for the quarters that it makes."""
        noted = {}
        for id_ in ids:
            rules = self.rules.get(id_)
            if rules is None:
                continue
            text = msgspec.json.encode(rules).decode()
            known = self._store.bookmark(RULES + id_)
            if text != known and (known is not None or rules != NO_RULES):
                noted[RULES + id_] = text
        self._note(noted)

    def _judged(self, readings: Sequence[Reading], *, waited: bool) -> list[Reading]:
        """Return readings with their qualities; those whose time cannot be meant are quarantined.

        Those that `waited` for the clock came when they were taken.
        """
        judged: list[Reading] = []
        now = self._now()
        for resource_id, some in _by_resource(readings):
            judge = self._judges.get(resource_id)
            if judge is None:
                judged += some
                continue
            for part in [[one] for one in some] if waited else (some,):
                found = judge.judge(part, part[0].time if waited else now)
                judged += found.readings
                self._note_use(resource_id, found)
                if found.misplaced:
                    self._quarantine(found.misplaced)
                for text in found.said:
                    line = self._thinned.line(text.code, text)
                    if line is not None:
                        self._notes.add(line)
                        log.warning(line)
        return judged

    def _note_use(self, resource_id: str, found: Judged) -> None:
        """Note since when none of a resource's values can be used."""
        if any(one.quality in _USABLE for one in found.readings):  # nearly always the first
            if self._unusable_since:
                self._unusable_since.pop(resource_id, None)
        elif found.misplaced or any(one.quality is Quality.OUT_OF_RANGE for one in found.readings):
            self._unusable_since.setdefault(resource_id, self._time.monotonic())

    def unusable(self, resource: Resource, limit_s: float | None) -> Text | None:
        """Return why a source that sends values is as good as silent; None while it is not.

        That is when none of them could be used for longer than `limit_s`, None for no limit.
        """
        since_s = self._unusable_since.get(resource.resourceID)
        if since_s is None or limit_s is None:
            return None
        unusable_s = self._time.monotonic() - since_s
        if unusable_s <= limit_s:
            return None
        return gwy.UNUSABLE_VALUES(name=resource.resourceName, age=age_text(unusable_s))

    def _now(self) -> datetime | None:
        """Return the time of day, None while it is in doubt."""
        return self._time.now() if self.clock.believed else None

    def _quarantine(self, misplaced: Sequence[tuple[Reading, Text]]) -> None:
        self._store.set_aside(
            [
                Aside("time", one.resource_id, one.quantity, str(why), 1, ((to_ms(one.time), one.value),))
                for one, why in misplaced
            ]
        )

    def _levels_of(self, resource_id: str) -> Mapping[str, tuple[int, float]]:
        """Return what the registers of a resource showed before they were doubted."""
        text = self._store.bookmark(LEVELS + resource_id)
        try:
            return msgspec.json.decode(text or "{}", type=dict[str, tuple[int, float]])
        except msgspec.MsgspecError:
            return {}

    def _changed_levels(self, readings: Sequence[Reading]) -> dict[str, str]:
        """Return the bookmarks of what registers showed before they were doubted, where that is new."""
        changed = {}
        for resource_id, _ in _by_resource(readings):
            judge = self._judges.get(resource_id)
            levels = _NO_LEVELS if judge is None else judge.levels()
            if levels != self._levels.get(resource_id, _NO_LEVELS):
                self._levels[resource_id] = levels
                changed[LEVELS + resource_id] = msgspec.json.encode(levels).decode()
        return changed

    def _tell(self) -> None:
        state = self.clock.state
        if state.settling:
            return  # every start has these seconds: nothing is wrong
        if state.doubt is not None:
            self._notes.begin(CLOCK, gwy.CLOCK_WAITS(doubt=state.doubt))
            if state.dropped:
                self._notes.begin(TOO_MANY, gwy.CLOCK_TOO_MANY())
            return
        self._notes.end(CLOCK)
        self._notes.end(TOO_MANY)
        skew_s = self._vtn_skew_s()
        if skew_s is not None and abs(skew_s) > STEP_S:
            way = "ahead of" if skew_s > 0 else "behind"
            self._notes.begin(APART, gwy.CLOCKS_APART(seconds=abs(skew_s), way=way, vtn=gwy.THE_VTN()))
        else:
            self._notes.end(APART)
