"""Delivery of lines to InfluxDB: in batches, with what it will never take found, named and left out."""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from venclient.clock import Clock
from venclient.messages import influx as inf
from venclient.messages import with_code, within
from venclient.messages.printable import foreign
from venclient.model.reading import Reading, Reject
from venclient.readings.aside import Aside, kind_of
from venclient.readings.due import PLACE
from venclient.readings.influx_answers import Verdict
from venclient.readings.line_protocol import QUALITY_SUFFIX, Line, body
from venclient.readings.series import from_ms, named, to_ms
from venclient.thinned import Thinned

MOST_KINDS = 1000
#: How long, in seconds, readings as old as those that were too old are not sent: its retention may grow.
ASK_AGAIN_S = 3600.0

log = logging.getLogger(__name__)


class Destination(Protocol):
    """Where lines go; `InfluxServer` is one."""

    @property
    def subject(self) -> str:
        """What messages call it."""
        ...

    @property
    def destination(self) -> str:
        """The key of its server, organisation and bucket."""
        ...

    @property
    def bucket(self) -> str:
        """The bucket, or database, that is written to."""
        ...

    async def write(self, lines: bytes, *, now: datetime) -> Verdict:
        """Send lines and give what became of them."""
        ...

    async def make_database(self) -> str | None:
        """Make the database; give why that could not be done, or None."""
        ...


class Later(NamedTuple):
    """Why lines have to be sent again, and how long the server asked us to wait."""

    text: str
    wait_s: float | None


class TooOld(NamedTuple):
    """Readings up to `until_ms` are older than the bucket keeps, as the server said; true until `valid_s`."""

    until_ms: int
    reason: str
    valid_s: float


@dataclass
class Counts:
    """Readings that InfluxDB has, and those that it will never take."""

    sent: int = 0
    rejected: int = 0
    requests: int = 0
    last_rejects: deque[Reject] = field(default_factory=lambda: deque(maxlen=10))


class Delivery:
    """Sends lines until the server has them or has refused them one by one."""

    def __init__(self, destination: Destination, clock: Clock, *, batch: int) -> None:
        self._destination = destination
        self._clock = clock
        self._batch = batch
        self._said: set[tuple[str, str]] = set()
        self._thinned = Thinned(clock.monotonic)
        self._too_old: TooOld | None = None
        self._said_old = False
        #: Whether the last send met readings that are too old for the bucket, and left the others unsent.
        self.met_old = self.stopped = False
        self.counts = Counts()
        #: What was refused for good, until the owner of this object takes it away.
        self.aside: list[Aside] = []

    @property
    def name(self) -> str:
        """What messages call the destination."""
        return self._destination.subject

    @property
    def too_old_ms(self) -> int | None:
        """Up to when readings are older than the bucket keeps, in milliseconds; None while not known."""
        known = self._too_old
        if known is not None and self._clock.monotonic() >= known.valid_s:
            known = self._too_old = None
        return None if known is None else known.until_ms

    async def send(
        self, lines: Sequence[Line], *, newest_first: bool = False, stop_at_old: bool = False
    ) -> Later | None:
        """Send lines, which are in time order; None when each was accepted or quarantined.

        Else all of them are to be sent again later: what the server has already is only overwritten.
        Lines as old as others that the bucket does not keep are quarantined without a request. With
        `stop_at_old` what is newer than these is left unsent; `too_old_ms` says from where.
        """
        starts = range(0, len(lines), self._batch)
        parts = [lines[at : at + self._batch] for at in (reversed(starts) if newest_first else starts)]
        waiting = deque(parts)
        self.met_old = self.stopped = False
        made_database = False
        while waiting:
            if stop_at_old and self.met_old:
                left = [line for part in waiting for line in part]
                self.stopped = len(self._young(left)) > 0
                return None
            some = waiting.popleft()
            # Kept small after a "too large", until all that waited has gone.
            if len(some) > self._batch:
                waiting.extendleft((some[self._batch :], some[: self._batch]))
                continue
            some = self._young(some)
            if not some:
                continue
            self.counts.requests += 1
            found = await self._destination.write(await asyncio.to_thread(body, some), now=self._clock.now())
            if found.kind == "written":
                self.counts.sent += sum(len(line.fields) for line in some)
            elif found.kind == "refused":
                waiting.extendleft(reversed(self._suspects(some, found)))
            elif found.kind == "too large" and len(some) > 1:
                self._batch = max(1, len(some) // 2)
                log.warning(inf.SMALLER(name=self.name, count=len(some), smaller=self._batch))
                waiting.appendleft(some)
            elif found.kind == "too large":
                self._set_aside(some, found.reason)
            elif found.kind == "no database" and not made_database:
                made_database = True
                problem = await self._destination.make_database()
                if problem is not None:
                    text = with_code(
                        inf.NOT_CREATED(name=self.name, reason=found.reason, problem=with_code(problem))
                    )
                    return Later(text, None)
                log.info(inf.CREATED(name=self.name))
                waiting.appendleft(some)
            else:
                return Later(self._why_later(found), found.retry_after_s)
        return None

    def _why_later(self, found: Verdict) -> str:
        hint = f"; {found.hint}" if found.hint else ""
        return with_code(within(found.reason, f"{self.name}: ", hint))

    def _young(self, lines: Sequence[Line]) -> Sequence[Line]:
        """Return the lines, in time order, that the bucket may keep; set the others aside."""
        until_ms = self.too_old_ms
        if until_ms is None or self._too_old is None:
            return lines
        first = bisect_left(lines, until_ms + 1, key=lambda line: line.ms)
        if first:
            self.met_old = True
            self._set_aside(lines[:first], self._too_old.reason, logged=True)
        return lines[first:]

    def _note_too_old(self, some: Sequence[Line], reason: str) -> None:
        self.met_old = True
        until_ms = max(some[-1].ms, self.too_old_ms or 0)
        if not self._said_old:
            self._said_old = True
            log.warning(inf.KEPT_LESS(name=self.name, until=from_ms(until_ms).isoformat()))
        self._too_old = TooOld(until_ms, reason, self._clock.monotonic() + ASK_AGAIN_S)

    def _suspects(self, some: Sequence[Line], found: Verdict) -> list[Sequence[Line]]:
        """Set aside what must be to blame for a refusal; give what is to be sent again, in parts."""
        if found.bad_lines:
            # All others were written.
            bad = [(line, found.bad_lines[n]) for n, line in enumerate(some) if n in found.bad_lines]
            self.counts.sent += sum(len(line.fields) for line in some)
            self.counts.sent -= sum(len(line.fields) for line, _ in bad)
            again = []
            for line, reason in bad:
                if len(line.fields) == 1:
                    self._set_aside([line], reason)
                else:
                    again += _one_by_one(line)
            return [again] if again else []
        if found.too_old:
            return self._suspects_of_age(some, found)
        blamed, others = _divided(some, found.culprit)
        if blamed and others:
            return [others, blamed]
        all_refused = len(some) == 1 or (found.dropped is not None and found.dropped >= len(some))
        if not all_refused:
            return _halves(some)
        # With no field to blame it is the time of the point: its other fields would fare no better.
        if all(len(line.fields) == 1 for line in some) or (found.dropped and not found.culprit):
            self._set_aside(some, found.reason)
            return []
        return [[part for line in some for part in _one_by_one(line)]]

    def _suspects_of_age(self, some: Sequence[Line], found: Verdict) -> list[Sequence[Line]]:
        """Set aside the oldest lines, which the bucket does not keep; return what is to be sent again.

        The server has the others, which are sent again all the same, as its answer does not say that. One
        that gives no number is asked about newer lines first: older than one that it refused are all refused.
        """
        old = min(found.dropped or 0, len(some)) or (1 if len(some) == 1 else 0)
        if not old:
            half = len(some) // 2
            return [some[half:], some[:half]]
        self._set_aside(some[:old], found.reason, logged=True)
        self._note_too_old(some[:old], found.reason)
        return [some[old:]] if some[old:] else []

    def _set_aside(self, some: Sequence[Line], reason: str, *, logged: bool = False) -> None:
        for line in some:
            for _, reading in line.fields:
                self.counts.rejected += 1
                place = f"{named(reading)} of {reading.time.isoformat()}"
                self.counts.last_rejects.append(Reject(place, str(reason)))
                point = (to_ms(reading.time), reading.value)
                self.aside.append(Aside(PLACE, reading.resource_id, reading.quantity, reason, 1, (point,)))
                if not logged:
                    self._say(reading, place, reason)

    def _say(self, reading: Reading, place: str, reason: str) -> None:
        kind = (named(reading), kind_of(reason))
        if kind not in self._said and len(self._said) < MOST_KINDS:
            self._said.add(kind)
            said = inf.REJECTED(place=foreign(place), name=self.name, reason=reason)
            line = self._thinned.line(kind[1], said)
            if line is not None:
                log.warning(line)


def _halves(some: Sequence[Line]) -> list[Sequence[Line]]:
    """Return lines in two parts: by series while there are several, as a limit often is about one of them."""
    heads = sorted({line.head for line in some})
    if len(heads) == 1:
        half = len(some) // 2
        return [some[:half], some[half:]]
    first = frozenset(heads[: len(heads) // 2])
    return [[line for line in some if line.head in first], [line for line in some if line.head not in first]]


def _one_by_one(line: Line) -> list[Line]:
    """Return a line as one line for each of its readings."""
    return [line._replace(fields=(field,)) for field in line.fields]


def _divided(some: Sequence[Line], culprit: str | None) -> tuple[list[Line], list[Line]]:
    """Return the lines of the quantity that a refusal names, and those of the others."""
    blamed, others = [], []
    names = (culprit, (culprit or "").removesuffix(QUALITY_SUFFIX))
    for line in some:
        bad = tuple(one for one in line.fields if one.reading.quantity in names)
        good = tuple(one for one in line.fields if one.reading.quantity not in names)
        if bad:
            blamed.append(line._replace(fields=bad))
        if good:
            others.append(line._replace(fields=good))
    return blamed, others
