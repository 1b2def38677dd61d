"""Feeds InfluxDB from the local store: everything, each reading once, however long InfluxDB was away.

    meters -> add() -> journal (SQLite, durable) -> run() -> InfluxDB

Each resource has a position: what was stored up to it has been sent. Positions are kept in the journal as
bookmarks, a little behind the truth, so that after a crash some readings are sent again, and none is left
out. Sending again does no harm: InfluxDB keeps one point per series and time.

What comes late, or is corrected, moves its resource's position back. Where the position on the card is
already beyond it, that is noted in the very commit that holds the reading.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from venclient.clock import Clock
from venclient.errors import StoreError
from venclient.messages import influx as inf
from venclient.messages import with_code
from venclient.messages.printable import foreign
from venclient.model.reading import Reading, Reject
from venclient.readings import line_protocol
from venclient.readings.aside import Aside, grouped
from venclient.readings.delivery import Delivery, Destination
from venclient.readings.influx_query import REACH_MS
from venclient.readings.line_protocol import Tags
from venclient.readings.owed import Owed, sorted_out
from venclient.readings.places import Place
from venclient.readings.series import from_ms, refusal, to_ms
from venclient.readings.store import ReadingStore
from venclient.utils import backoff_s, chunks

BOOKMARK = "influx:"
#: The time that is looked through in one go, and so what is in memory at once, follows their number.
FIRST_SPAN_MS = 60_000
LEAST_SPAN_MS = 1_000
MOST_SPAN_MS = 600_000
RESOURCES_AT_ONCE = 256
#: Positions are written to the card that often: each time would cost as much as the readings do.
SAVE_PERIOD_S = 60.0
BACKOFF_BASE_S = 2.0
BACKOFF_CAP_S = 60.0
LONGEST_HOLD_S = 3600.0

log = logging.getLogger(__name__)


class Forwarder:
    """Sends what a journal holds of some resources to InfluxDB.

    `tags` names the resources, and what is written beside their readings. Readings reach the journal
    through `add`. With nothing known of an earlier run, history up to `history` back is sent, too.
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
        self._tags = dict(tags)
        self.clock = clock
        self._period_s = period_s
        self._history = history
        self._rng = rng or random.Random()  # noqa: S311 - spreads retries, hides nothing
        self._delivery = Delivery(destination, clock, batch=batch)
        self._aside = self._delivery.aside
        self._batch = batch
        self._places: dict[str, Place] = {}
        self._late: dict[str, None] = {}  # resources with something to send again, in order
        self._loaded = False
        self._added = 0
        self._span_ms = FIRST_SPAN_MS
        self._turn = asyncio.Lock()
        self._attempt = 0
        self._hold_until_s = 0.0
        self._saved_at_s = clock.monotonic()
        self._problem: str | None = None
        self._last_ok: datetime | None = None
        self._unwritable: deque[Reject] = deque(maxlen=10)
        self._skipped: set[str] = set()

    # ---- on the way into the journal

    def add(
        self, readings: Sequence[Reading], *, bookmarks: Mapping[str, str] | None = None, urgent: bool = False
    ) -> asyncio.Future[None]:
        """Give readings to the journal, as its `add` does, and see to it that late ones are sent."""
        oldest: dict[str, int] = {}
        newest: dict[str, int] = {}
        for reading in readings:
            id_ = reading.resource_id
            if id_ in self._tags and refusal(reading) is None:
                ms = to_ms(reading.time)
                oldest[id_] = min(ms, oldest.get(id_, ms))
                newest[id_] = max(ms, newest.get(id_, ms))
        noted = dict(bookmarks or {})
        for id_, ms in oldest.items():
            known = self._bookmark(id_)
            if known is not None and ms <= known[0]:
                noted[BOOKMARK + id_] = f"{ms - 1} {known[1]}"
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
                if place.again is not None:
                    self._late[id_] = None

    def _bookmark(self, resource_id: str) -> tuple[int, int] | None:
        """Give position and newest ever sent, as the journal has them."""
        text = self._journal.bookmark(BOOKMARK + resource_id)
        if not text:
            return None
        try:
            position, sent = map(int, text.split())
        except ValueError:
            return None
        return position, sent

    def _place(self, resource_id: str) -> Place:
        place = self._places.get(resource_id)
        if place is None:
            known = self._bookmark(resource_id)
            if known is None:
                start = max(0, to_ms(self.clock.now() - self._history))
                place = Place(start, -1)
            else:
                # After a crash more may have been sent than was written down, but not what is to come.
                place = Place(known[0], max(known[1], to_ms(self.clock.now())))
            self._places[resource_id] = place
        return place

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
        """Send the oldest readings that are owed; give the seconds to rest before the next step."""
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

    def complete(self, resource_ids: Sequence[str], end: datetime) -> bool:
        """Tell whether InfluxDB was given all that is committed until `end`, and of the day after it."""
        for resource_id in resource_ids:
            place = self._places.get(resource_id)
            if place is None or place.newest < 0:
                return False
            if place.owes() and place.reached() < to_ms(end) + REACH_MS:
                return False
        return True

    async def _slice(self) -> bool:
        """Look through one stretch of time and send what is in it; give whether there may be more to do."""
        await self._load()
        if self._late:
            return await self._send_again(next(iter(self._late)))
        behind = [id_ for id_, place in self._places.items() if place.position < place.newest]
        if not behind:
            return False
        start = min(self._places[id_].position for id_ in behind) + 1
        end = min(start + self._span_ms - 1, max(self._places[id_].newest for id_ in behind))
        due = [id_ for id_ in behind if self._places[id_].position < end]
        count = 0
        for ids in chunks(due, RESOURCES_AT_ONCE):
            newest = {id_: self._places[id_].newest for id_ in ids}
            after = {id_: self._places[id_].position + 1 for id_ in ids}
            sent = await self._send(after, end)
            if sent is None:
                return False
            count += sent.readings
            for id_ in ids:
                self._places[id_].move(min(sent.next_ms[id_] - 1, newest[id_]))
        if count > self._batch:
            self._span_ms = max(LEAST_SPAN_MS, self._span_ms // 2)
        elif count < self._batch // 2:
            self._span_ms = min(MOST_SPAN_MS, self._span_ms * 2)
        return True

    async def _send_again(self, resource_id: str) -> bool:
        """Send what came late of one resource, or a stretch of it; give whether that could be done."""
        place = self._places[resource_id]
        owed = place.again
        if owed is None:
            self._late.pop(resource_id, None)
            return True
        sent = await self._send({resource_id: owed[0]}, min(owed[1], owed[0] + MOST_SPAN_MS - 1))
        if sent is None:
            return False
        # Did more of it come meanwhile, then all of it once more.
        if place.again == owed and (place.fresh is None or place.fresh > owed[1]):
            next_ms = sent.next_ms[resource_id]
            place.again = (next_ms, owed[1]) if next_ms <= owed[1] else None
        if place.again is None:
            self._late.pop(resource_id, None)
        return True

    async def _load(self) -> None:
        """Find out where every resource stands, once."""
        if self._loaded:
            return
        for id_ in self._tags:
            latest = await self._journal.latest(id_)
            place = self._place(id_)
            place.newest = max(0, place.newest, *(to_ms(one.time) for one in latest.values()))
        self._loaded = True

    async def _send(self, starts: Mapping[str, int], end: int) -> Owed | None:
        """Send the readings of each resource from its start to `end`; None for trying again."""
        for id_ in starts:
            self._places[id_].fresh = None
        ids = list(starts)
        found = await self._journal.windows(ids, from_ms(min(starts.values())), from_ms(end))
        graded = {id_: self._places[id_].sent for id_ in ids}
        # Thousands of readings: beside the event loop, which meters need.
        owed = await asyncio.to_thread(sorted_out, found, starts, end, self._tags, graded)
        if owed.lines:
            later = await self._delivery.send(owed.lines)
            if later is not None:
                self._failed(later.text, later.wait_s)
                return None
            self._succeeded()
        for one in owed.unwritable:
            self._leave_out(one)
        self._note_aside()
        for id_, ms in owed.newest_ms.items():
            self._places[id_].sent = max(self._places[id_].sent, ms)
        return owed

    def _leave_out(self, one: Aside) -> None:
        self._delivery.counts.rejected += one.readings
        self._aside.append(one)
        name = f"{one.resource_id} {one.quantity}"
        if name not in self._skipped:
            self._skipped.add(name)
            self._unwritable.append(Reject(name, str(one.reason)))
            log.warning(inf.NOT_SENT(name=foreign(name), reason=with_code(one.reason)))

    def _note_aside(self) -> None:
        """Give what InfluxDB will never take to the journal's next commit."""
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
        """Give the positions to the journal's next commit; before the journal is closed, and now and then."""
        self._saved_at_s = self.clock.monotonic()
        self._note_aside()
        noted = {}
        for id_, place in self._places.items():
            safe = place.safe()
            known = self._bookmark(id_)
            if safe >= 0 and (known is None or safe != known[0]):
                noted[BOOKMARK + id_] = f"{safe} {place.sent}"
        if noted:
            self._journal.add([], bookmarks=noted)

    # ---- what is going on

    def status(self) -> dict[str, Any]:
        """Give how it stands, as plain data: `lag_s` is the age of the oldest reading that is owed."""
        now_ms = to_ms(self.clock.now())
        owed = [place.reached() for place in self._places.values() if place.owes()]
        counts = self._delivery.counts
        state = "ok" if not owed or now_ms - min(owed) <= 3000 * self._period_s else "catching up"
        rejects = [*self._unwritable, *counts.last_rejects]
        return {
            "server": self._delivery.name,
            "state": state if self._problem is None else "away",
            "sent": counts.sent,
            "lag_s": max(0.0, (now_ms - min(owed)) / 1000) if owed else 0.0,
            "behind": len(owed),
            "rejected": counts.rejected,
            "last_rejects": [f"{one.place}: {one.reason}" for one in rejects],
            "last_ok": self._last_ok.isoformat() if self._last_ok else None,
            "last_error": self._problem,
        }
