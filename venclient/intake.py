"""The way from the connectors to the store: right times, qualities, and one commit per batch.

    connector --> stamped by the clock guard --> judged --> store

A part of the composition root: only `gateway.py` uses it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from venclient.clock import Clock
from venclient.clock_guard import STEP_S, ClockGuard, Trust, machine_evidence
from venclient.connectors.base import Batch
from venclient.errors import StoreError
from venclient.model.quality import MeterRules, meter_rules, quantity_rules
from venclient.model.reading import Reading
from venclient.model.resource import ConnectionType, Resource
from venclient.notes import Notes
from venclient.readings.judging import Judge
from venclient.readings.store import ReadingStore

log = logging.getLogger("venclient.gateway")

LOOK_S = 2.0
CLOCK = "clock not synchronised"
TOO_MANY = f"{CLOCK}: more readings wait than memory holds, the oldest give way"
APART = "the clock and the VTN's are apart"
HINT = "let NTP set it (timedatectl set-ntp true), or set clock.trust"


class JournalStore(ReadingStore, Protocol):
    """A store that holds the newest readings in memory."""

    def newest(self, resource_id: str) -> dict[str, Reading]:
        """Give the newest reading of each quantity."""
        ...


class Intake:
    """Takes what connectors read, and stores it with the right time and quality.

    `clock` is for the connectors: it stamps what has no time of its own. `rules` are for the roll-up, by
    resource. Resources whose rules are wrong have none here: their connection is refused elsewhere.
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
    ) -> None:
        self._store = store
        self._notes = notes
        self._time = clock
        self._vtn_skew_s = vtn_skew_s
        self._waiting = 0
        self.rules: dict[str, MeterRules] = {}
        self._judges: dict[str, Judge] = {}
        newest: list[datetime] = []
        for resource in resources:
            stored = store.newest(resource.resourceID)
            # Files tell times of their own, of tomorrow even.
            if resource.connection.type is not ConnectionType.FILEREADER:
                newest += [reading.time for reading in stored.values()]
            try:
                of_meter = meter_rules(resource)
                rules = quantity_rules(resource.connection.options)
            except ValueError:
                continue
            self.rules[resource.resourceID] = of_meter
            self._judges[resource.resourceID] = Judge(resource.resourceName, rules, of_meter, stored)
        self.clock = ClockGuard(
            clock, machine_evidence(vtn_skew_s), trust=trust, newest=max(newest, default=None)
        )
        self._tell()

    async def run(self) -> None:
        """Look at the clock now and then, and store what waited for it; until cancelled."""
        try:
            while True:
                self.clock.look()
                self._tell()
                self._store_held()
                await self._time.sleep(LOOK_S)
        finally:
            held = self.clock.state.held
            if held:
                log.warning("readings lost, for the right time was not known before the end: %d", held)

    async def keep(self, batch: Batch) -> None:
        """Store a batch; when its source waits for our acknowledgement, return after the commit.

        While the clock is in doubt, what a source keeps for us is left with it, and the rest is held.
        """
        for reject in batch.rejects:
            self._notes.add(f"{reject.place}: {reject.reason}")
        readings = batch.readings
        if self.clock.is_provisional(readings):
            if not batch.replayable:
                self.clock.hold(readings)
                self._store_held()
                return
            self._waiting += len(readings)
            try:
                await self.clock.until_believed()
            finally:
                self._waiting -= len(readings)
            readings = self.clock.restamped(readings)
        self._store_held()
        stored = self._store.add(self._judged(readings), bookmarks=batch.bookmarks, urgent=batch.replayable)
        if batch.replayable:
            await stored

    def quality_now(self, reading: Reading) -> str:
        """Give the quality that a newest reading has now: it grows stale when no newer one comes."""
        judge = self._judges.get(reading.resource_id)
        quality = reading.quality if judge is None else judge.quality_now(reading, self._time.now())
        return quality.value

    def snapshot(self) -> Mapping[str, Any]:
        """Give how it stands with the clock, as plain data."""
        state = self.clock.state
        return {
            "synchronised": state.doubt is None,
            "doubt": state.doubt,
            "held": state.held + self._waiting,
            "dropped": state.dropped,
        }

    def _store_held(self) -> None:
        held = self.clock.release()
        if not held:
            return
        try:
            self._store.add(self._judged(held))
        except StoreError as error:
            self._notes.add(str(error))
            return
        log.info("%d readings that waited for the clock are stored", len(held))

    def _judged(self, readings: Sequence[Reading]) -> list[Reading]:
        judged: list[Reading] = []
        now = self._time.now()
        for reading in readings:
            judge = self._judges.get(reading.resource_id)
            if judge is None:
                judged.append(reading)
                continue
            found = judge.judge((reading,), now)
            judged += found.readings
            for sentence in found.said:
                self._notes.add(sentence)
                log.warning("%s", sentence)
        return judged

    def _tell(self) -> None:
        state = self.clock.state
        if state.doubt is not None:
            self._notes.begin(CLOCK, f"{CLOCK}: {state.doubt}; readings and reports wait ({HINT})")
            if state.dropped:
                self._notes.begin(TOO_MANY, TOO_MANY)
            return
        self._notes.end(CLOCK)
        self._notes.end(TOO_MANY)
        skew_s = self._vtn_skew_s()
        if skew_s is not None and abs(skew_s) > STEP_S:
            way = "ahead" if skew_s > 0 else "behind"
            self._notes.begin(APART, f"{APART}: ours is {abs(skew_s):.0f} s {way} ({HINT})")
        else:
            self._notes.end(APART)
