"""Keep the outbox filled: add the reports of the known events as they fall due.

A round is a generator, and the caller lets other tasks run in between: `None` stands for a pause, anything
else is changes of the outbox to be made in one commit before the round goes on.
"""

from __future__ import annotations

import hashlib
import heapq
import logging
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import TypeVar

import msgspec

from venclient.errors import VenError
from venclient.messages import reporting as rep
from venclient.messages.printable import foreign
from venclient.openadr.enumerations import EVENT_PAYLOAD_DESCRIPTOR
from venclient.openadr.objects import Program
from venclient.reporting.adhoc import adhoc_due
from venclient.reporting.descriptors import has_no_length
from venclient.reporting.eventbook import EventBook, Known
from venclient.reporting.obligations import ADHOC_S, BREATH, Agenda, Obligation, ToldTime, agenda_steps
from venclient.reporting.outbox import Bookmark, Outbox
from venclient.reporting.rows import Row
from venclient.reporting.windows import USUAL_RULES, WindowRules
from venclient.thinned import Thinned

log = logging.getLogger("venclient.reporting")

#: How many obligations of one event, with how many intervals, are written down in one round: the rest
#: follows in the next one.
BATCH = 500
BATCH_SPANS = 20_000
#: Working out a window is as much work as this number of intervals of it.
_WINDOW_WEIGHT = 4
#: Changes of the outbox are written at this number of intervals; a report weighs as much as 40.
_COMMIT_WEIGHT = 20_000
_REPORT_WEIGHT = 40
#: Work pauses after this number of unchanged events.
_UNCHANGED = 200
#: ... and after this number of reports of one event.
_AT_ONCE = 20

Changes = list[Callable[[], None]]
T = TypeVar("T")
#: Work that may pause (None), or has changes written.
Work = Generator[Changes | None, None, T]

#: Changes of state that are remembered until they are reported.
MOST_CHANGES = 1000

_MOMENT = timedelta(microseconds=1)


@dataclass
class _Followed:
    known: Known
    program: Program | None
    agenda: Agenda
    digest: str
    next_due: datetime | None = None
    #: By group: the time up to which unscheduled reports have been made.
    told_until: dict[str, datetime] = field(default_factory=dict)


@dataclass
class Round:
    """One round as far as it has come: what it changed, and what is still to be written of that."""

    owed: int = 0
    superseded: int = 0
    problems: list[str] = field(default_factory=list)
    _changes: Changes = field(default_factory=list)
    _weight: int = 0

    def add(self, outbox: Outbox, due: Sequence[Obligation], id_: str, mark: Bookmark, now: datetime) -> None:
        """Have obligations of an event written, with its bookmark."""

        def write() -> None:
            self.owed += outbox.owe(due, now, planned={id_: mark})

        self.change(write, sum(_REPORT_WEIGHT + len(one.spans) for one in due))

    def change(self, change: Callable[[], None], weight: int = _REPORT_WEIGHT) -> None:
        """Have something written."""
        self._changes.append(change)
        self._weight += weight

    def written(self, least: int = _COMMIT_WEIGHT) -> Generator[Changes, None, None]:
        """Have what was collected written now, if it comes to that much."""
        if self._changes and self._weight >= least:
            changes, self._changes, self._weight = self._changes, [], 0
            yield changes


class Planner:
    """Follows the event book into the outbox. Does nothing, and writes nothing, while nothing falls due.

    `rules` say how descriptors are read, `resources` how many are reported on. Unscheduled reports are made
    every `adhoc_s` and at each change passed to `note_change`.
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
        resources: Callable[[], int] = lambda: 1,
    ) -> None:
        self._outbox = outbox
        self._resources = resources
        self._book = eventbook
        self._client_name = client_name
        self._look_back = timedelta(seconds=look_back_s)
        self._rules = rules
        self._adhoc_s = adhoc_s
        self._followed: dict[str, _Followed] = {}
        self._thinned = Thinned()
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
        """Note that a reported state changed at `at`: unscheduled reports fall due."""
        self._noted.append(at)

    def steps(self, round_: Round, until: datetime, now: datetime) -> Work[None]:
        """Add all reports that fall due up to `until`, and drop those of events that have gone.

        After an error the planner is of no use any more: make another one.
        """
        if self._revision != self._book.revision:
            revision = self._book.revision
            self._drop_gone(round_, now)
            yield from round_.written(1)
            yield from self._look_through(round_, now)
            self._revision = revision
        yield from self._take_changes()
        due: list[str] = []
        while (moment := self._next_coming()) is not None and moment <= until:
            due.append(heapq.heappop(self._coming)[1])
        for id_ in due:
            try:
                yield from self._owe(id_, self._followed[id_], round_, until, now)
            except VenError:
                raise
            except Exception as error:  # noqa: BLE001  an event that we stumble over stops no other
                del self._followed[id_]
                round_.problems.append(_stumbled(id_, error, self._thinned))
            yield from round_.written()
        if due and self._changes:
            self._forget_changes()
        yield from round_.written(1)

    def _look_through(self, round_: Round, now: datetime) -> Work[None]:
        """Follow the events that are new or have changed."""
        for number, (id_, known) in enumerate(list(self._book.events.items()), 1):
            if not number % _UNCHANGED:
                yield None
            followed = self._followed.get(id_)
            program = self._book.program_of(known.event)
            if followed is not None and followed.known is known and followed.program is program:
                continue
            try:
                round_.problems += yield from self._follow(id_, known, program)
                yield from self._reconcile(id_, self._followed[id_], round_, now)
            except BaseException as error:
                self._followed.pop(id_, None)  # it is looked at again
                if not isinstance(error, Exception) or isinstance(error, VenError):
                    raise
                round_.problems.append(_stumbled(id_, error, self._thinned))
            yield from round_.written()

    def _take_changes(self) -> Work[None]:
        if not self._noted:
            return
        while self._noted:
            self._changes.append(self._noted.popleft())
        self._changes = self._changes[-MOST_CHANGES:]
        for id_ in self._at_will:
            mark = self._marks.get(id_)
            yield from self._next(id_, self._followed[id_], mark.until if mark else None)

    @property
    def _at_will(self) -> list[str]:
        return [id_ for id_, one in self._followed.items() if one.told_until]

    def _drop_gone(self, round_: Round, now: datetime) -> None:
        gone = [id_ for id_ in self._followed if id_ not in self._book.events]
        if self._book.listed is not None:
            # Left over from a process that ended between hearing that they had gone and this.
            gone += [id_ for id_ in self._marks if id_ not in self._book.events and id_ not in self._followed]
        for id_ in gone:

            def drop(id_: str = id_) -> None:
                round_.superseded += self._outbox.drop_event(id_, str(rep.NOT_LISTED()), now)

            round_.change(drop)
            self._followed.pop(id_, None)
            self._marks.pop(id_, None)

    def _follow(self, id_: str, known: Known, program: Program | None) -> Work[tuple[str, ...]]:
        """Work out what an event asks for; return what of it is new and cannot be served."""
        made = yield from agenda_steps(
            known.event,
            program,
            anchor=known.anchor,
            client_name=self._client_name,
            rules=self._rules,
            adhoc_s=self._adhoc_s,
            cancelled=known.cancelled,
            resources=self._resources(),
        )
        before = self._followed.get(id_)
        followed = _Followed(known, program, made, self._digest(known, program))
        mark = self._marks.get(id_)
        if made.at_will:
            yield from self._recall(id_, followed, mark)
        self._followed[id_] = followed
        yield from self._next(id_, followed, mark.until if mark else None)
        said = made.problems
        return said if before is None or before.agenda.problems != said else ()

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

    def _recall(self, id_: str, followed: _Followed, mark: Bookmark | None) -> Work[None]:
        """Restore `told_until` of unscheduled reports from the rows of the outbox."""
        ends: dict[str, datetime] = {}
        for row in (yield from self._rows(id_, after=mark.until - self._look_back if mark else None)):
            if row.state != "superseded":
                one = row.obligation
                ends[one.group] = max(ends.get(one.group, one.due), one.due)
        for group, plan in followed.agenda.at_will:
            # Rows are forgotten one day; the bookmark is not.
            first = plan.last_cut(mark.until) if mark else plan.first_untold(followed.known.first_seen)
            followed.told_until[group.digest] = max(first, ends.get(group.digest, first))

    def _rows(self, id_: str, *, after: datetime | None = None, waiting: bool = False) -> Work[list[Row]]:
        """Return the rows of an event by due time: those due after `after`, or those not done with."""
        found: list[Row] = []
        some: list[str] = []
        weight = 0
        for key, spans in self._outbox.keys_of(id_, after=after, waiting=waiting):
            some.append(key)
            weight += spans + _WINDOW_WEIGHT
            if weight >= BREATH:
                found += self._outbox.rows_of(some)
                some, weight = [], 0
                yield None
        if some:
            found += self._outbox.rows_of(some)
        return found

    def _reconcile(self, id_: str, followed: _Followed, round_: Round, now: datetime) -> Work[None]:
        """Adapt the rows of an event to what it asks for since it was modified.

        Sent reports stay. Waiting ones are replaced or superseded. Windows that lie in the past now are
        added where no report covers their time already. Parts of a report count as the whole report.
        """
        mark = self._marks.get(id_)
        if mark is None or mark.digest == followed.digest:
            return
        since = mark.until - self._look_back
        waiting = yield from self._rows(id_, waiting=True)
        waiting = [row for row in waiting if row.state in ("owed", "sending")]
        since = min([since, *(row.due - _MOMENT for row in waiting)])
        wanted = yield from self._wanted(followed, since, mark.until)
        at_will = {group.digest: group for group, _ in followed.agenda.at_will}
        given_up: set[str] = set()
        replanned: set[str] = set()
        for number, row in enumerate(waiting, 1):
            if not number % _AT_ONCE:
                yield None
            if row.state != "owed":
                continue  # the VTN may have it: it is settled first
            if row.owed_key not in wanted:
                given_up.add(row.key)
                if row.obligation.group not in at_will:  # an unscheduled report stays true of its time
                    round_.change(partial(self._outbox.superseded, row.key, str(rep.MODIFIED()), now))
                    round_.superseded += 1
            elif wanted[row.owed_key] != row.obligation and row.owed_key not in replanned:
                round_.change(partial(self._outbox.replan, wanted[row.owed_key], now))
                replanned.add(row.owed_key)
        # Read before the changes above are made: none of them concerns time that was reported.
        rows = yield from self._rows(id_, after=since)
        reported = [
            row
            for row in rows
            if row.state != "superseded" and (row.key not in given_up or row.obligation.group in at_will)
        ]
        missing = yield from self._missing(wanted, reported)
        yield from self._write(id_, followed, missing, mark.until, round_, now)

    @staticmethod
    def _wanted(followed: _Followed, since: datetime, until: datetime) -> Work[dict[str, Obligation]]:
        """Return what falls due after `since` and until `until`, by key."""
        wanted: dict[str, Obligation] = {}
        spans = 0
        for coming in followed.agenda.coming(first_seen=followed.known.first_seen, after=since):
            if coming is None:
                yield None
                continue
            if coming.at > until:
                break
            one = yield from followed.agenda.expanded(coming)
            wanted[one.key] = one
            spans += len(one.spans) + _WINDOW_WEIGHT
            if spans >= BREATH:
                spans = 0
                yield None
        return wanted

    @staticmethod
    def _missing(wanted: Mapping[str, Obligation], reported: Sequence[Row]) -> Work[list[Obligation]]:
        """Return what is in no report yet."""
        keys = {row.owed_key for row in reported}
        covered = ToldTime()
        for number, row in enumerate(reported, 1):
            covered.add(wanted.get(row.owed_key, row.obligation))
            if not number % _AT_ONCE:
                yield None
        missing = []
        for number, (key, one) in enumerate(wanted.items(), 1):
            if key not in keys and not covered.covers(one):
                missing.append(one)
            if not number % _AT_ONCE:
                yield None
        return missing

    def _owe(
        self, id_: str, followed: _Followed, round_: Round, until: datetime, now: datetime
    ) -> Work[None]:
        mark = self._marks.get(id_)
        plan = followed.agenda
        some: list[Obligation] = []
        spans, rested, reached = 0, 0, until
        for coming in plan.coming(first_seen=followed.known.first_seen, after=mark.until if mark else None):
            if coming is None:
                yield None
                continue
            if coming.at > until:
                break
            # A moment is never split.
            if (len(some) >= BATCH or spans >= BATCH_SPANS) and coming.at != some[-1].due:
                reached = some[-1].due
                break
            some.append((yield from plan.expanded(coming)))
            spans += len(some[-1].spans)
            if spans + _WINDOW_WEIGHT * len(some) >= rested + BREATH:
                rested = spans + _WINDOW_WEIGHT * len(some)
                yield None
        if mark is not None:
            # Never back: a change of state may be reported while later windows are stored already.
            reached = max(reached, mark.until)
        ends = dict(followed.told_until)
        for group, life in plan.at_will:
            due = adhoc_due(life, told_until=ends[group.digest], changes=self._changes, until=until)
            for start, end in islice(due, BATCH):
                some.append(plan.told_at_will(group, start, end))
                ends[group.digest] = end
            yield None
        followed.told_until = ends
        yield from self._write(id_, followed, some, reached, round_, now)

    def _write(
        self,
        id_: str,
        followed: _Followed,
        due: Sequence[Obligation],
        reached: datetime,
        round_: Round,
        now: datetime,
    ) -> Work[None]:
        mark = Bookmark(reached, followed.digest)
        round_.add(self._outbox, due, id_, mark, now)
        self._marks[id_] = mark
        yield from self._next(id_, followed, reached)

    def _next(self, id_: str, followed: _Followed, after: datetime | None) -> Work[None]:
        """Work out when something of an event falls due next."""
        due: datetime | None = None
        for coming in followed.agenda.coming(first_seen=followed.known.first_seen, after=after):
            if coming is not None:
                due = coming.at
                break
            yield None
        moments = [due]
        for group, plan in followed.agenda.at_will:
            moments.append(plan.next_cut(followed.told_until[group.digest], self._changes))
        self._come(id_, followed, min((one for one in moments if one is not None), default=None))

    def _come(self, id_: str, followed: _Followed, due: datetime | None) -> None:
        followed.next_due = due
        if due is not None:
            heapq.heappush(self._coming, (due, id_))

    def _forget_changes(self) -> None:
        """Forget changes that all unscheduled reports have covered."""
        ends = [moment for one in self._followed.values() for moment in one.told_until.values()]
        oldest = min(ends, default=None)
        self._changes = [] if oldest is None else [one for one in self._changes if one > oldest]


def _stumbled(id_: str, error: Exception, thinned: Thinned) -> str:
    """Log an unexpected error, and return its message."""
    said = rep.CANNOT_PLAN(event=foreign(id_), error=type(error).__name__)
    kind = type(error).__name__
    line = thinned.line(kind, said)
    if line is not None:
        log.error(line, exc_info=error)
    return said
