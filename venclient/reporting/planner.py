"""Keeps the outbox filled: what the known events owe is written down as it falls due."""

from __future__ import annotations

import hashlib
import heapq
import logging
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

import msgspec

from venclient.errors import VenError
from venclient.messages import reporting as rep
from venclient.messages.printable import foreign
from venclient.openadr.enumerations import EVENT_PAYLOAD_DESCRIPTOR
from venclient.openadr.objects import Program
from venclient.reporting.adhoc import adhoc_due
from venclient.reporting.descriptors import has_no_length
from venclient.reporting.eventbook import EventBook, Known
from venclient.reporting.obligations import ADHOC_S, Agenda, Obligation, ToldTime, agenda
from venclient.reporting.outbox import Bookmark, Outbox
from venclient.reporting.windows import USUAL_RULES, WindowRules

log = logging.getLogger("venclient.reporting")

#: How many obligations of one event are written down in one go: the rest follows in the next step.
BATCH = 500

#: So many changes of state are remembered until they are told.
MOST_CHANGES = 1000

_MOMENT = timedelta(microseconds=1)


@dataclass
class _Followed:
    known: Known
    program: Program | None
    agenda: Agenda
    digest: str
    next_due: datetime | None = None
    #: By group: up to where reports at will have told.
    told_until: dict[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Planned:
    """What one round changed: reports newly owed and given up, and what cannot be served."""

    owed: int
    superseded: int
    problems: tuple[str, ...]


class Planner:
    """Follows the event book into the outbox. Does nothing, and writes nothing, while nothing falls due.

    `rules` say how descriptors are read; reports at will are made every `adhoc_s` and at each change that
    `note_change` tells.
    """

    def __init__(
        self,
        outbox: Outbox,
        eventbook: EventBook,
        *,
        client_name: str,
        look_back_s: float = 86_400,
        rules: WindowRules = USUAL_RULES,
        adhoc_s: float | None = ADHOC_S,
    ) -> None:
        self._outbox = outbox
        self._book = eventbook
        self._client_name = client_name
        self._look_back = timedelta(seconds=look_back_s)
        self._rules = rules
        self._adhoc_s = adhoc_s
        self._followed: dict[str, _Followed] = {}
        self._marks = outbox.planned()
        #: Of the event book, as it was when all of it was last looked through.
        self._revision: int | None = None
        #: (due, event id); an entry counts while it is what its event says.
        self._coming: list[tuple[datetime, str]] = []
        self._changes: list[datetime] = []
        #: Changes that the next round takes up.
        self._noted: deque[datetime] = deque(maxlen=MOST_CHANGES)

    def next_due(self) -> datetime | None:
        """Return when the next report falls due that is not in the outbox yet; None for none."""
        due = self._next_coming()
        noted = min(self._noted) if self._noted and self._at_will else None
        return min((one for one in (due, noted) if one is not None), default=None)

    def _next_coming(self) -> datetime | None:
        while self._coming:
            due, id_ = self._coming[0]
            followed = self._followed.get(id_)
            if followed is not None and followed.next_due == due:
                return due
            heapq.heappop(self._coming)
        return None

    def agendas(self) -> list[tuple[Agenda, Program | None]] | None:
        """Return what each known event asks for, with its program; None while changes wait to be seen."""
        if self._revision != self._book.revision:
            return None
        return [(one.agenda, one.program) for one in self._followed.values()]

    def note_change(self, at: datetime) -> None:
        """Note that the state of something that is reported changed at `at`: reports at will fall due."""
        self._noted.append(at)

    def plan(self, until: datetime, now: datetime) -> Planned:
        """Write down all that falls due up to `until`, and drop what belongs to events that have gone."""
        superseded = owed = 0
        problems: list[str] = []
        if self._revision != self._book.revision:
            superseded = self._drop_gone(now)
            for id_, known in self._book.events.items():
                followed = self._followed.get(id_)
                program = self._book.program_of(known.event)
                if followed is None or followed.known is not known or followed.program is not program:
                    try:
                        followed, said = self._follow(id_, known, program)
                        new, given_up = self._reconcile(id_, followed, now)
                    except BaseException as error:
                        self._followed.pop(id_, None)  # it is looked at again
                        if not isinstance(error, Exception) or isinstance(error, VenError):
                            raise
                        problems.append(_stumbled(id_, error))
                        continue
                    problems += said
                    owed, superseded = owed + new, superseded + given_up
            self._revision = self._book.revision
        self._take_changes()
        due: dict[str, datetime] = {}
        while (moment := self._next_coming()) is not None and moment <= until:
            due[heapq.heappop(self._coming)[1]] = moment
        waiting = list(due)
        try:
            for id_ in due:
                try:
                    owed += self._owe(id_, self._followed[id_], until, now)
                except VenError:
                    raise
                except Exception as error:  # noqa: BLE001  an event that we stumble over stops no other
                    del self._followed[id_]
                    problems.append(_stumbled(id_, error))
                waiting.pop(0)
        finally:
            for id_ in waiting:
                heapq.heappush(self._coming, (due[id_], id_))
        if due and self._changes:
            self._forget_changes()
        return Planned(owed, superseded, tuple(problems))

    def _take_changes(self) -> None:
        if not self._noted:
            return
        while self._noted:
            self._changes.append(self._noted.popleft())
        self._changes = self._changes[-MOST_CHANGES:]
        for id_ in self._at_will:
            mark = self._marks.get(id_)
            self._next(id_, self._followed[id_], mark.until if mark else None)

    @property
    def _at_will(self) -> list[str]:
        return [id_ for id_, one in self._followed.items() if one.told_until]

    def _drop_gone(self, now: datetime) -> int:
        gone = [id_ for id_ in self._followed if id_ not in self._book.events]
        if self._book.listed is not None:
            # Left over from a process that ended between hearing that they had gone and this.
            gone += [id_ for id_ in self._marks if id_ not in self._book.events and id_ not in self._followed]
        dropped = 0
        for id_ in gone:
            dropped += self._outbox.drop_event(id_, str(rep.NOT_LISTED()), now)
            self._followed.pop(id_, None)
            self._marks.pop(id_, None)
        return dropped

    def _follow(self, id_: str, known: Known, program: Program | None) -> tuple[_Followed, tuple[str, ...]]:
        made = agenda(
            known.event,
            program,
            anchor=known.anchor,
            client_name=self._client_name,
            rules=self._rules,
            adhoc_s=self._adhoc_s,
            cancelled=known.cancelled,
        )
        before = self._followed.get(id_)
        followed = _Followed(known, program, made, self._digest(known, program))
        mark = self._marks.get(id_)
        if made.at_will:
            self._recall(id_, followed, mark)
        self._followed[id_] = followed
        self._next(id_, followed, mark.until if mark else None)
        said = made.problems
        return followed, said if before is None or before.agenda.problems != said else ()

    def _digest(self, known: Known, program: Program | None) -> str:
        """Return what stands for all that decides on the event's reports."""
        content: list[object] = [known.event, known.anchor]
        if known.cancelled and has_no_length(known.event):
            content.append("cancelled")
        declared = [
            one
            for one in (program.payload_descriptors or () if program else ())
            if one.object_type != EVENT_PAYLOAD_DESCRIPTOR
        ]
        if declared:
            content.append(declared)
        if self._rules != USUAL_RULES:
            content.append(self._rules)
        return hashlib.sha256(msgspec.json.encode(content)).hexdigest()[:16]

    def _recall(self, id_: str, followed: _Followed, mark: Bookmark | None) -> None:
        """Find out up to where reports at will have told, from what was written down."""
        told: dict[str, datetime] = {}
        for row in self._outbox.of_event(id_, after=mark.until - self._look_back if mark else None):
            if row.state != "superseded":
                one = row.obligation
                told[one.group] = max(told.get(one.group, one.due), one.due)
        for group, plan in followed.agenda.at_will:
            # Rows are forgotten one day; the bookmark is not.
            first = plan.last_cut(mark.until) if mark else plan.first_untold(followed.known.first_seen)
            followed.told_until[group.digest] = max(first, told.get(group.digest, first))

    def _reconcile(self, id_: str, followed: _Followed, now: datetime) -> tuple[int, int]:
        """Fit what was written down for an event to what it asks for since it was modified.

        What was sent stays. What still waits is replaced or given up; windows that lie in the past now
        are owed where no report tells that time already. Parts of a report stand for the whole of it.
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
        at_will = {group.digest: group for group, _ in followed.agenda.at_will}
        given_up = 0
        replanned: set[str] = set()
        for row in waiting:
            if row.state != "owed":
                continue  # the VTN may have it: it is settled first
            if row.obligation.group in at_will and row.owed_key not in wanted:
                continue  # what was told at will was true of its time
            if row.owed_key not in wanted:
                self._outbox.superseded(row.key, str(rep.MODIFIED()), now)
                given_up += 1
            elif wanted[row.owed_key] != row.obligation and row.owed_key not in replanned:
                self._outbox.replan(wanted[row.owed_key], now)
                replanned.add(row.owed_key)
        told = [row for row in self._outbox.of_event(id_, after=since) if row.state != "superseded"]
        keys = {row.owed_key for row in told}
        told_time = ToldTime(row.obligation for row in told)
        missing = [one for key, one in wanted.items() if key not in keys and not told_time.covers(one)]
        return self._write(id_, followed, missing, mark.until, now), given_up

    def _owe(self, id_: str, followed: _Followed, until: datetime, now: datetime) -> int:
        mark = self._marks.get(id_)
        coming = followed.agenda.falling_due(
            first_seen=followed.known.first_seen, after=mark.until if mark else None, until=until
        )
        some = list(_some(coming))
        reached = some[-1].due if len(some) >= BATCH else until
        if mark is not None:
            # Never back: a change of state may be told while windows ahead are written down already.
            reached = max(reached, mark.until)
        told = dict(followed.told_until)
        for group, plan in followed.agenda.at_will:
            due = adhoc_due(plan, told_until=told[group.digest], changes=self._changes, until=until)
            for start, end in islice(due, BATCH):
                some.append(followed.agenda.told_at_will(group, start, end))
                told[group.digest] = end
        before, followed.told_until = followed.told_until, told
        try:
            return self._write(id_, followed, some, reached, now)
        except BaseException:
            followed.told_until = before
            raise

    def _write(
        self, id_: str, followed: _Followed, owed: Iterable[Obligation], reached: datetime, now: datetime
    ) -> int:
        mark = Bookmark(reached, followed.digest)
        new = self._outbox.owe(owed, now, planned={id_: mark})
        self._marks[id_] = mark
        self._next(id_, followed, reached)
        return new

    def _next(self, id_: str, followed: _Followed, after: datetime | None) -> None:
        """Work out when something of an event falls due next."""
        moments = [followed.agenda.next_due(first_seen=followed.known.first_seen, after=after)]
        for group, plan in followed.agenda.at_will:
            moments.append(plan.next_cut(followed.told_until[group.digest], self._changes))
        self._come(id_, followed, min((one for one in moments if one is not None), default=None))

    def _come(self, id_: str, followed: _Followed, due: datetime | None) -> None:
        followed.next_due = due
        if due is not None:
            heapq.heappush(self._coming, (due, id_))

    def _forget_changes(self) -> None:
        """Let go of changes that every report at will has told."""
        told = [moment for one in self._followed.values() for moment in one.told_until.values()]
        oldest = min(told, default=None)
        self._changes = [] if oldest is None else [one for one in self._changes if one > oldest]


def _stumbled(id_: str, error: Exception) -> str:
    """Log an unexpected error, and return its message."""
    said = rep.CANNOT_PLAN(event=foreign(id_), error=type(error).__name__)
    log.error(said, exc_info=error)
    return said


def _some(coming: Iterator[Obligation]) -> Iterator[Obligation]:
    """Return the first BATCH, and those due at the same moment as the last: a moment is never split."""
    last = None
    for last in islice(coming, BATCH):
        yield last
    for more in coming:
        if last is None or more.due != last.due:
            return
        yield more
