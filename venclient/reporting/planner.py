"""Keeps the outbox filled: what the known events owe is written down as it falls due."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

import msgspec

from venclient.openadr.objects import Program
from venclient.reporting.eventbook import EventBook, Known
from venclient.reporting.obligations import Agenda, Obligation, agenda, covered
from venclient.reporting.outbox import Bookmark, Outbox

#: How many obligations of one event are written down in one go: the rest follows in the next step.
BATCH = 500

_MOMENT = timedelta(microseconds=1)


@dataclass
class _Followed:
    known: Known
    program: Program | None
    agenda: Agenda
    digest: str
    next_due: datetime | None


@dataclass(frozen=True, slots=True)
class Planned:
    """What one round changed: reports newly owed and given up, and what cannot be served."""

    owed: int
    superseded: int
    problems: tuple[str, ...]


class Planner:
    """Follows the event book into the outbox. Does nothing, and writes nothing, while nothing falls due."""

    def __init__(
        self, outbox: Outbox, eventbook: EventBook, *, client_name: str, look_back_s: float = 86_400
    ) -> None:
        self._outbox = outbox
        self._book = eventbook
        self._client_name = client_name
        self._look_back = timedelta(seconds=look_back_s)
        self._followed: dict[str, _Followed] = {}
        self._marks = outbox.planned()

    def next_due(self) -> datetime | None:
        """Give when the next report falls due that is not in the outbox yet; None for none."""
        return min((one.next_due for one in self._followed.values() if one.next_due), default=None)

    def plan(self, until: datetime, now: datetime) -> Planned:
        """Write down all that falls due up to `until`, and drop what belongs to events that have gone."""
        superseded = self._drop_gone(now)
        problems: list[str] = []
        owed = 0
        for id_, known in self._book.events.items():
            followed = self._followed.get(id_)
            program = self._book.program_of(known.event)
            if followed is None or followed.known is not known or followed.program is not program:
                followed, said = self._follow(id_, known, program)
                problems += said
                new, given_up = self._reconcile(id_, followed, now)
                owed, superseded = owed + new, superseded + given_up
            if followed.next_due is not None and followed.next_due <= until:
                owed += self._owe(id_, followed, until, now)
        return Planned(owed, superseded, tuple(problems))

    def _drop_gone(self, now: datetime) -> int:
        gone = [id_ for id_ in self._followed if id_ not in self._book.events]
        if self._book.listed is not None:
            # Left over from a process that ended between hearing that they had gone and this.
            gone += [id_ for id_ in self._marks if id_ not in self._book.events and id_ not in self._followed]
        dropped = 0
        for id_ in gone:
            dropped += self._outbox.drop_event(id_, "the VTN no longer lists the event", now)
            self._followed.pop(id_, None)
            self._marks.pop(id_, None)
        return dropped

    def _follow(self, id_: str, known: Known, program: Program | None) -> tuple[_Followed, tuple[str, ...]]:
        made = agenda(known.event, program, anchor=known.anchor, client_name=self._client_name)
        content = msgspec.json.encode((known.event, known.anchor))
        before = self._followed.get(id_)
        followed = _Followed(known, program, made, hashlib.sha256(content).hexdigest()[:16], None)
        mark = self._marks.get(id_)
        followed.next_due = made.next_due(first_seen=known.first_seen, after=mark.until if mark else None)
        self._followed[id_] = followed
        said = made.problems
        return followed, said if before is None or before.agenda.problems != said else ()

    def _reconcile(self, id_: str, followed: _Followed, now: datetime) -> tuple[int, int]:
        """Fit what was written down for an event to what it asks for since it was modified.

        What was sent stays. What still waits is replaced or given up; windows that lie in the past now
        are owed where no report tells that time already.
        """
        mark = self._marks.get(id_)
        if mark is None or mark.digest == followed.digest:
            return 0, 0
        since = mark.until - self._look_back
        waiting = self._outbox.waiting(id_)
        since = min([since, *(row.due - _MOMENT for row in waiting)])
        coming = followed.agenda.falling_due(
            first_seen=followed.known.first_seen, after=since, until=mark.until
        )
        wanted = {one.key: one for one in coming}
        given_up = 0
        for row in waiting:
            if row.state != "owed":
                continue  # the VTN may have it: it is settled first
            if row.key not in wanted:
                self._outbox.superseded(row.key, "the event was modified", now)
                given_up += 1
            elif wanted[row.key] != row.obligation:
                self._outbox.replan(wanted[row.key], now)
        told = [
            row.obligation for row in self._outbox.of_event(id_, after=since) if row.state != "superseded"
        ]
        keys = {one.key for one in told}
        missing = [one for key, one in wanted.items() if key not in keys and not covered(told, one)]
        return self._write(id_, followed, missing, mark.until, now), given_up

    def _owe(self, id_: str, followed: _Followed, until: datetime, now: datetime) -> int:
        mark = self._marks.get(id_)
        coming = followed.agenda.falling_due(
            first_seen=followed.known.first_seen, after=mark.until if mark else None, until=until
        )
        some = list(_some(coming))
        reached = some[-1].due if len(some) >= BATCH else until
        return self._write(id_, followed, some, reached, now)

    def _write(
        self, id_: str, followed: _Followed, owed: Iterable[Obligation], reached: datetime, now: datetime
    ) -> int:
        mark = Bookmark(reached, followed.digest)
        new = self._outbox.owe(owed, now, planned={id_: mark})
        self._marks[id_] = mark
        followed.next_due = followed.agenda.next_due(first_seen=followed.known.first_seen, after=reached)
        return new


def _some(coming: Iterator[Obligation]) -> Iterator[Obligation]:
    """Give the first BATCH, and those due at the same moment as the last, so that a moment is never split."""
    last = None
    for last in islice(coming, BATCH):
        yield last
    for more in coming:
        if last is None or more.due != last.due:
            return
        yield more
