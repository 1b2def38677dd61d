"""One line in the log for all resources that one cause concerns: a broker that stopped, a full disk.

    10:00:00  readers of broker:1883 fail    10:00:05  broker:1883: 2000 of 2000 resources are unreachable
    10:09:00  the first of them is back      10:09:20  broker:1883: 2000 of 2000 resources are back

What begins at one place within seconds is gathered first. Where several places fail together (a name server,
a cable) they are gathered as well. A resource that fails alone has the line that it would have without this.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from itertools import islice

from venclient.clock import Clock
from venclient.messages import Message, Text
from venclient.messages import connectors as con
from venclient.thinned import Thinned

log = logging.getLogger("venclient.connectors.poller")

#: How long after the last one that began others are waited for, and at most.
GATHER_S, GATHER_AT_MOST_S = 5.0, 30.0
#: As many places that fail together are one outage.
TOGETHER = 3
#: How long after the last one others join an outage that was logged.
JOIN_S = 120.0
#: An outage that has grown to this many times its size is logged again.
GROWTH = 10
#: How long after the first is back the others are waited for, at first and then.
BACK_S, BACK_FACTOR = 90.0, 10.0
#: How often it is looked at while something is to be gathered.
LOOK_S = 1.0
#: How many names stand in one line.
NAMED = 3


@dataclass(frozen=True)
class Kind:
    """What can go on for a resource: its messages for many, and for those that it goes on for."""

    begins: Message
    ends: Message
    rest: Message


UNREACHABLE = Kind(con.MANY_UNREACHABLE, con.MANY_BACK, con.STILL_UNREACHABLE)
SILENT = Kind(con.MANY_SILENT, con.MANY_SPEAK, con.STILL_SILENT)
UNSTORED = Kind(con.MANY_NOT_STORED, con.MANY_STORED_AGAIN, con.STILL_NOT_STORED)
KINDS = (UNREACHABLE, SILENT, UNSTORED)


class Voice:
    """What one resource has to say about its failures; each is said when it begins and when it ends."""

    def __init__(self, name: str, place: str, outages: Outages | None = None) -> None:
        self.name = name
        self.place = place
        self._outages = outages

    def begin(self, kind: Kind, text: Text, reason: str) -> None:
        """Note a failure with the line that it has when it stands alone, and its reason."""
        if self._outages is None:
            log.warning(text)
        else:
            self._outages.begin(kind, self, text, reason)

    def end(self, kind: Kind, text: Text) -> None:
        """Note the end of a failure."""
        if self._outages is None:
            log.info(text)
        else:
            self._outages.end(kind, self, text)

    def thinned(self, kind: str, text: str) -> str | None:
        """Return a single line as it is to be logged; None when too many of its kind were."""
        return text if self._outages is None else self._outages.thinned.line(kind, text)

    def close(self) -> None:
        """Forget the resource: it is not read any more."""
        if self._outages is not None:
            self._outages.forget(self)


@dataclass
class _Outage:
    """A failure of resources at one or more places; `failed` holds those that it goes on for."""

    kind: Kind
    places: set[str]
    since_s: float
    joined_s: float
    text: Text
    reason: str
    failed: dict[Voice, None] = field(default_factory=dict)
    back: dict[Voice, Text] = field(default_factory=dict)
    back_s: float | None = None
    wait_s: float = BACK_S
    #: Of how many it was said that it began; 0 while it is gathered.
    said: int = 0
    #: The line with the growth of it, or its first one, is due then at the latest.
    until_s: float = 0.0

    @property
    def count(self) -> int:
        return len(self.failed) + len(self.back)


class Outages:
    """Gathers what begins and ends, and logs it; `run` must go on for that."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._voices: dict[str, set[Voice]] = {}
        self._outages: list[_Outage] = []
        #: What goes on for a resource; the last outage at a place, and the last one at many places.
        self._of: dict[tuple[Kind, Voice], _Outage] = {}
        self._last: dict[tuple[Kind, str], _Outage] = {}
        self._wide: dict[Kind, _Outage] = {}
        self._news = asyncio.Event()
        self.thinned = Thinned(clock.monotonic)

    def voice(self, name: str, place: str) -> Voice:
        """Return the voice of a resource that is read at a place."""
        made = Voice(name, place, self)
        self._voices.setdefault(place, set()).add(made)
        return made

    def forget(self, voice: Voice) -> None:
        """Forget a resource that is not read any more, and what goes on for it."""
        some = self._voices.get(voice.place, set())
        some.discard(voice)
        if not some:
            self._voices.pop(voice.place, None)
        for kind in KINDS:
            outage = self._of.pop((kind, voice), None)
            if outage is not None:
                outage.failed.pop(voice, None)
                if not outage.failed:
                    self._news.set()

    def begin(self, kind: Kind, voice: Voice, text: Text, reason: str) -> None:
        """Note that something begins for a resource."""
        now_s = self._clock.monotonic()
        place = self._place(kind, voice)
        outage = self._of.get((kind, voice)) or self._joinable(kind, place, now_s)
        if outage is None:
            outage = _Outage(kind, {place}, now_s, now_s, text, reason, until_s=now_s + GATHER_AT_MOST_S)
            self._outages.append(outage)
        self._last[kind, place] = outage
        outage.back.pop(voice, None)
        outage.failed[voice] = None
        outage.places.add(place)
        outage.joined_s = now_s
        self._of[kind, voice] = outage
        self._news.set()

    def end(self, kind: Kind, voice: Voice, text: Text) -> None:
        """Note that it is over for a resource."""
        outage = self._of.pop((kind, voice), None)
        if outage is None:
            return
        outage.failed.pop(voice, None)
        outage.back[voice] = text
        if outage.back_s is None:
            outage.back_s = self._clock.monotonic()
        self._news.set()

    async def run(self) -> None:
        """Log what is due, until cancelled; what is still gathered then is logged at once."""
        try:
            while True:
                if not self.look():
                    self._news.clear()
                    await self._news.wait()
                await self._clock.sleep(LOOK_S)
        finally:
            self.look(to_the_end=True)

    def look(self, *, to_the_end: bool = False) -> bool:
        """Log what is due now; return whether something is still gathered."""
        now_s = self._clock.monotonic()
        due = [one for one in self._outages if one.said == 0 and (to_the_end or self._is_due(one, now_s))]
        for kind in {one.kind: None for one in due}:
            fresh = [one for one in self._outages if one.kind is kind and not one.said and one.count]
            if len(fresh) >= TOGETHER:
                self._merge(fresh)
        waiting = [self._look_at(outage, now_s, to_the_end) for outage in self._outages]
        over = [one for one in self._outages if not one.count]
        if over:
            self._outages = [one for one in self._outages if one.count]
            self._last = {key: one for key, one in self._last.items() if one.count}
            self._wide = {key: one for key, one in self._wide.items() if one.count}
        return any(waiting)

    def _look_at(self, outage: _Outage, now_s: float, to_the_end: bool) -> bool:
        """Log what is due of one outage; return whether some of it is still gathered."""
        if outage.count and self._is_news(outage) and (to_the_end or self._is_due(outage, now_s)):
            self._tell_begin(outage)
        if outage.said and outage.back_s is not None and outage.back:
            over = not outage.failed or now_s - outage.back_s >= outage.wait_s
            if over or to_the_end:
                self._tell_end(outage, now_s)
        return outage.count > 0 and (self._is_news(outage) or bool(outage.back))

    @staticmethod
    def _is_news(outage: _Outage) -> bool:
        """Return whether the log does not have an outage yet, or only a small part of it."""
        return outage.said == 0 or outage.count >= GROWTH * outage.said

    @staticmethod
    def _place(kind: Kind, voice: Voice) -> str:
        return str(con.STORE()) if kind is UNSTORED else voice.place

    def _joinable(self, kind: Kind, place: str, now_s: float) -> _Outage | None:
        """Return the outage that what begins at a place now is part of."""
        for outage in (self._last.get((kind, place)), self._wide.get(kind)):
            if outage is not None and now_s - outage.joined_s < JOIN_S:
                return outage
        return None

    def _is_due(self, outage: _Outage, now_s: float) -> bool:
        if now_s - outage.joined_s >= GATHER_S or now_s >= outage.until_s:
            return True
        # Nobody is left to wait for.
        return len(outage.places) == 1 and 1 < outage.count == self._at(outage)

    def _at(self, outage: _Outage) -> int:
        """Return how many resources are read at the places of an outage."""
        if outage.kind is UNSTORED:
            return sum(map(len, self._voices.values()))
        return sum(len(self._voices.get(place, ())) for place in outage.places)

    def _merge(self, some: list[_Outage]) -> None:
        first, *others = some
        for other in others:
            first.places |= other.places
            first.failed |= other.failed
            first.back |= other.back
            first.joined_s = max(first.joined_s, other.joined_s)
            if other.back_s is not None:
                first.back_s = min(other.back_s, first.back_s or other.back_s)
            for voice in other.failed:
                self._of[first.kind, voice] = first
            other.failed, other.back = {}, {}
        self._last |= dict.fromkeys([(first.kind, place) for place in first.places], first)
        if len(first.places) >= TOGETHER:
            self._wide[first.kind] = first

    def _tell_begin(self, outage: _Outage) -> None:
        outage.said = outage.count
        if outage.count == 1:
            log.warning(outage.text)
        elif outage.count:
            names = [voice.name for voice in (*outage.failed, *outage.back)]
            text = outage.kind.begins(
                place=self._spelt(outage),
                count=outage.count,
                of=max(self._at(outage), outage.count),
                names=names[:NAMED],
                more=_more(len(names)),
                reason=outage.reason,
            )
            log.warning(text)

    def _tell_end(self, outage: _Outage, now_s: float) -> None:
        if outage.count == 1:
            text = next(iter(outage.back.values()))
            log.info(text)
        else:
            names = [voice.name for voice in islice(outage.failed, NAMED)]
            more = _more(len(outage.failed))
            text = outage.kind.ends(
                place=self._spelt(outage),
                count=len(outage.back),
                of=outage.count,
                time=spell(now_s - outage.since_s),
                rest=outage.kind.rest(names=names, more=more) if outage.failed else "",
            )
            log.info(text)
        outage.back.clear()
        outage.back_s = None
        outage.wait_s *= BACK_FACTOR

    @staticmethod
    def _spelt(outage: _Outage) -> str:
        if len(outage.places) == 1:
            return next(iter(outage.places))
        return con.ENDPOINTS(count=len(outage.places))


def _more(count: int) -> str:
    return con.MORE(count=count - NAMED) if count > NAMED else ""


def spell(seconds: float) -> str:
    """Say a duration in its two largest units: 45 s, 2 min 5 s, 3 h 0 min, 2 d 4 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"
