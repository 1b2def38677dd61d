"""Feeds InfluxDB from the local store: everything, each reading once, however long InfluxDB was away.

    meters -> add() -> journal (SQLite, durable) -> run() -> InfluxDB

Each resource has a position at each destination (server, organisation and bucket): what was stored up to it
has been sent there. Positions are stored in the journal as bookmarks (`cursors.py`), a little behind the
truth: after a crash some readings are sent again, and none is left out. Sending again does no harm:
InfluxDB keeps one point per series and time.

What comes late, or is corrected, moves its resource's position back. Where the position on the card is
already beyond it, that is noted in the very commit that holds the reading.

A backlog is sent oldest first. As soon as some of it is older than the bucket keeps, the newest go first, and
what is left of the backlog follows from its newest reading down.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from venclient.clock import Clock
from venclient.errors import StoreError
from venclient.messages import code_of, with_code
from venclient.messages import influx as inf
from venclient.messages.printable import foreign
from venclient.model.reading import Reading, Reject
from venclient.readings import line_protocol
from venclient.readings.aside import Aside, grouped
from venclient.readings.cursors import Cursors
from venclient.readings.delivery import Delivery, Destination
from venclient.readings.gathering import STRETCHES, Gathered, Gatherer
from venclient.readings.influx_query import REACH_MS
from venclient.readings.line_protocol import Tags
from venclient.readings.places import Place
from venclient.readings.series import from_ms, refusal, to_ms
from venclient.readings.store import ReadingStore
from venclient.thinned import Thinned
from venclient.utils import backoff_s

#: Positions are written to the card that often: each time would cost as much as the readings do.
SAVE_PERIOD_S = 60.0
BACKOFF_BASE_S = 2.0
BACKOFF_CAP_S = 60.0
LONGEST_HOLD_S = 3600.0

log = logging.getLogger(__name__)


class Forwarder:
    """Sends what a journal holds of some resources to InfluxDB.

    `tags` names the resources, and what is written beside their readings; it may grow while this runs.
    Readings reach the journal through `add`. With nothing known of an earlier run, history up to
    `history` back is sent, too.
    """

    def __init__(
        self,
        journal: ReadingStore,
        destination: Destination,
        tags: Mapping[str, Tags],
        clock: Clock,
        *,
        batch: int = 5000,
        period_s: float = 10.0,
        history: timedelta = timedelta(days=400),
        rng: random.Random | None = None,
    ) -> None:
        self._journal = journal
        self._tags = tags
        self.clock = clock
        self._period_s = period_s
        self._history = history
        self._rng = rng or random.Random()  # noqa: S311 - spreads retries, hides nothing
        self._delivery = Delivery(destination, clock, batch=batch)
        self._aside = self._delivery.aside
        self._bucket = foreign(destination.bucket)
        self._cursors = Cursors(journal, destination.destination)
        self._places: dict[str, Place] = {}
        self._gatherer = Gatherer(journal, self._tags, self._places, batch)
        self._loaded: set[str] = set()
        self._added = 0
        self._newer_at_s = -math.inf
        self._turn = asyncio.Lock()
        self._attempt = 0
        self._hold_until_s = -math.inf
        self._saved_at_s = clock.monotonic()
        self._problem: str | None = None
        self._last_ok: datetime | None = None
        self._unwritable: deque[Reject] = deque(maxlen=10)
        self._skipped: set[str] = set()
        self._thinned = Thinned(clock.monotonic)

    # ---- on the way into the journal

    def add(
        self, readings: Sequence[Reading], *, bookmarks: Mapping[str, str] | None = None, urgent: bool = False
    ) -> asyncio.Future[None]:
        """Add readings to the journal, as its `add` does, and make sure that late ones are sent."""
        self._take_over()
        oldest: dict[str, int] = {}
        newest: dict[str, int] = {}
        for reading in readings:
            id_ = reading.resource_id
            if id_ in self._tags and refusal(reading) is None:
                ms = to_ms(reading.time)
                oldest[id_] = min(ms, oldest.get(id_, ms))
                newest[id_] = max(ms, newest.get(id_, ms))
        noted = {**(bookmarks or {}), **self._cursors.moved_back(oldest)}
        future = self._journal.add(readings, bookmarks=noted, urgent=urgent)
        self._added += 1
        number = self._added
        for id_, ms in oldest.items():
            self._place(id_).pending[number] = ms
        future.add_done_callback(lambda done: self._settled(done, number, oldest, newest))
        return future

    def _settled(
        self,
        done: asyncio.Future[None],
        number: int,
        oldest: Mapping[str, int],
        newest: Mapping[str, int],
    ) -> None:
        stored = not done.cancelled() and done.exception() is None
        for id_, ms in oldest.items():
            place = self._place(id_)
            place.pending.pop(number, None)
            if stored:
                place.note(ms, newest[id_])

    def _take_over(self) -> None:
        """Make this the current destination; a failed commit loses that, so it is looked at each time."""
        if noted := self._cursors.taken_over(self._tags):
            self._journal.add([], bookmarks=noted)

    def _place(self, resource_id: str) -> Place:
        place = self._places.get(resource_id)
        if place is None:
            known = self._cursors.get(resource_id)
            if known is None:
                place = Place(self._first_ms(), -1)
            else:
                # After a crash more may have been sent than was written down, but not what is to come.
                place = Place(known.position, max(known.sent, to_ms(self.clock.now())))
            self._places[resource_id] = place
        return place

    def _first_ms(self) -> int:
        return max(0, to_ms(self.clock.now() - self._history))

    # ---- on the way to InfluxDB

    async def run(self) -> None:
        """Forward until cancelled; a failure is said when it begins and when it is over."""
        while True:
            rest_s = await self.step_or_say()
            if rest_s > 0:
                await self.clock.sleep(rest_s)

    async def step_or_say(self) -> float:
        """Do what `step` does; a failure is said when it begins, and its pause given."""
        try:
            return await self.step()
        except StoreError as error:
            return self._failed(str(error), None)
        except Exception as error:  # a bug here must not end the readings
            wait_s = self._failed(with_code(inf.BUG(kind=type(error).__name__)), None)
            log.debug("forwarding", exc_info=error)
            return wait_s

    async def step(self) -> float:
        """Send some of the pending readings; return the seconds to rest before the next step."""
        async with self._turn:
            left_s = self._hold_until_s - self.clock.monotonic()
            if left_s > 0:
                return left_s
            more = await self._slice()
            if self.clock.monotonic() - self._saved_at_s >= SAVE_PERIOD_S:
                self.save()
            if more:
                return 0.0
            return max(0.0, self._hold_until_s - self.clock.monotonic()) or self._period_s

    async def drain(self, limit_s: float | None = None) -> bool:
        """Send all that is committed now; False when InfluxDB is away, or `limit_s` too short for it."""
        until_s = None if limit_s is None else self.clock.monotonic() + limit_s
        try:
            async with asyncio.timeout(limit_s):
                await self._turn.acquire()
        except TimeoutError:
            return False
        try:
            self._newer_at_s = -math.inf  # the newest readings are waited for
            while self._hold_until_s <= self.clock.monotonic():
                if not await self._slice():
                    return self._problem is None
                if until_s is not None and self.clock.monotonic() >= until_s:
                    return False
            return False
        finally:
            self._turn.release()

    def mirrors(self, resource_id: str) -> bool:
        """Tell whether a resource's readings are sent at all."""
        return resource_id in self._tags and line_protocol.name_refusal(resource_id) is None

    def complete(self, resource_ids: Sequence[str], end: datetime, *, start: datetime | None = None) -> bool:
        """Return whether InfluxDB was given all that is committed of start..end and a day around it."""
        first_ms = 0 if start is None else to_ms(start) - REACH_MS
        for resource_id in resource_ids:
            place = self._places.get(resource_id)
            if place is None or place.newest < 0 or place.lacks(first_ms, to_ms(end) + REACH_MS):
                return False
        return True

    async def _slice(self) -> bool:
        """Send what fills about a request; return whether there may be more to do."""
        await self._load()
        # A server that is away is tried with little.
        stretches = STRETCHES if self._problem is None else 1
        older = any(place.again or place.backlog for place in self._places.values())
        # What is new goes first, but not in a separate request for each part of a long backlog.
        if not older or self.clock.monotonic() - self._newer_at_s >= self._period_s:
            found = await self._gatherer.newer(stretches)
            if found is not None:
                return await self._send_newer(found)
        found = await self._gatherer.older(stretches) if older else None
        return found is not None and await self._send(found, newer=False)

    async def _send_newer(self, found: Gathered) -> bool:
        if not await self._send(found, newer=True):
            return False
        self._newer_at_s = self.clock.monotonic()
        if found.lines and self._delivery.met_old:
            for place in self._places.values():
                place.put_off()
        return True

    async def _load(self) -> None:
        """Find out where every resource stands: once, and again when there are more of them."""
        if len(self._loaded) == len(self._tags):
            return
        self._take_over()
        if not self._loaded and self._cursors.moved and not any(self._cursors.get(id_) for id_ in self._tags):
            since = from_ms(self._first_ms()).date().isoformat()
            log.info(inf.NEW_DESTINATION(name=self._delivery.name, bucket=self._bucket, since=since))
        for id_ in [one for one in self._tags if one not in self._loaded]:
            latest = await self._journal.latest(id_)
            place = self._place(id_)
            place.newest = max(0, place.newest, *(to_ms(one.time) for one in latest.values()))
            self._loaded.add(id_)

    async def _send(self, found: Gathered, *, newer: bool) -> bool:
        """Send what was gathered; return False for trying again."""
        if found.lines:
            before = self._delivery.counts.requests
            later = await self._delivery.send(found.lines, newest_first=not newer, stop_at_old=newer)
            if later is not None:
                self._failed(later.text, later.wait_s)
                return False
            if self._delivery.counts.requests > before:
                self._succeeded()
            if self._delivery.stopped and self._delivery.too_old_ms is not None:
                found.cut(self._delivery.too_old_ms)
        for one in found.unwritable:
            self._leave_out(one)
        self._note_aside()
        found.settle(self._places)
        return True

    def _leave_out(self, one: Aside) -> None:
        self._delivery.counts.rejected += one.readings
        self._aside.append(one)
        name = f"{one.resource_id} {one.quantity}"
        if name not in self._skipped:
            self._skipped.add(name)
            self._unwritable.append(Reject(name, str(one.reason)))
            said = inf.NOT_SENT(name=foreign(name), reason=with_code(one.reason))
            line = self._thinned.line(code_of(one.reason), said)
            if line is not None:
                log.warning(line)

    def _note_aside(self) -> None:
        """Add what InfluxDB will never accept to the journal's next commit."""
        if self._aside:
            self._journal.set_aside(grouped(self._aside))
            self._aside.clear()

    def _succeeded(self) -> None:
        self._attempt = 0
        self._last_ok = self.clock.now()
        if self._problem is not None:
            log.info(inf.ACCEPTS_AGAIN(name=self._delivery.name))
            self._problem = None

    def _failed(self, text: str, asked_s: float | None) -> float:
        wait_s = backoff_s(self._attempt, BACKOFF_BASE_S, BACKOFF_CAP_S, self._rng)
        if asked_s is not None:
            wait_s = max(wait_s, min(asked_s, LONGEST_HOLD_S))
        self._attempt += 1
        self._hold_until_s = self.clock.monotonic() + wait_s
        if self._problem is None:
            log.warning(inf.FAILED(reason=text))
        self._problem = str(text)
        return wait_s

    # ---- positions on the card

    def save(self) -> None:
        """Add the positions to the journal's next commit; before the journal is closed, and now and then."""
        self._saved_at_s = self.clock.monotonic()
        self._note_aside()
        self._take_over()
        noted: dict[str, str] = {}
        for id_, place in self._places.items():
            safe = place.safe()
            known = self._cursors.get(id_)
            if safe >= 0 and (known is None or safe != known.position):
                noted |= self._cursors.text(id_, safe, place.sent)
        if noted:
            self._journal.add([], bookmarks=noted)

    # ---- what is going on

    def status(self) -> dict[str, Any]:
        """Return the state as plain data: `lag_s` is the age of the oldest reading not sent yet."""
        now_ms = to_ms(self.clock.now())
        unsent = [place.reached() for place in self._places.values() if place.is_behind()]
        counts = self._delivery.counts
        state = "ok" if not unsent or now_ms - min(unsent) <= 3000 * self._period_s else "catching up"
        rejects = [*self._unwritable, *counts.last_rejects]
        return {
            "server": self._delivery.name,
            "bucket": self._bucket,
            "state": state if self._problem is None else "away",
            "sent": counts.sent,
            "lag_s": max(0.0, (now_ms - min(unsent)) / 1000) if unsent else 0.0,
            "behind": len(unsent),
            "rejected": counts.rejected,
            "requests": counts.requests,
            "last_rejects": [f"{one.place}: {one.reason}" for one in rejects],
            "last_ok": self._last_ok.isoformat() if self._last_ok else None,
            "last_error": self._problem,
        }
