"""The gateway's side towards the VTN: what it registers there, and what it hears from there.

A part of the composition root: only `gateway.py` uses it. A VTN that is down is waited for; what it
refuses is said once and asked again with the next look at the registration, not with every poll.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import NamedTuple, Protocol, TypeVar

import msgspec

from venclient.client import (
    Difference,
    Listing,
    Progress,
    VenClient,
    Wanted,
    difference,
    ensure_ven,
    reconcile,
)
from venclient.client.push import Push
from venclient.clock import Clock, rest
from venclient.errors import StoreError, VenError, VtnError, VtnProblem, WireError
from venclient.messages import client as vtn
from venclient.messages import code_of, with_code, within
from venclient.messages import gateway as gwy
from venclient.messages.printable import foreign
from venclient.model.resource import Resource
from venclient.notes import Notes, log
from venclient.openadr.codec import Refused
from venclient.openadr.objects import Event, Program, Ven, VenResource
from venclient.reporting.builder import Reportable
from venclient.reporting.delivery import Reporter
from venclient.reporting.eventbook import EventBook
from venclient.reporting.registration import OURS, resource_attributes
from venclient.roster import Roster
from venclient.settings import Settings
from venclient.utils import backoff_s, chunks

S = TypeVar("S", bound=msgspec.Struct)

#: How long a failed conversation with the VTN is waited for before it is tried again, at first and at most.
FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 300.0
#: How long after a failure of the state file (a full card, say) it is tried again.
STATE_RETRY_S = 10.0
#: How soon it is asked again for its time, the only source of ours.
DOUBT_WAIT_S = 10.0
#: With push notifications, polls are at most this frequent, after a few at once.
TOLD_EACH_S = 1.0
TOLD_AT_ONCE_S = 2.0
#: What a poll that failed counts for at most, lest notifications make it fail again and again.
FAILED_COUNTS_S = 10.0
#: How often the registration is read again at least: a VTN may have lost it, or have granted targets.
REGISTER_AGAIN_S = 300.0
#: The share of that by which gateways differ.
REGISTER_JITTER = 0.2
#: How often the VTN is asked again for a resource that it refused.
REFUSED_AGAIN_S = 3600.0
#: What a VTN answers that is asked too often: it has lost nothing.
TOO_MANY = 429
#: A VTN that lists less than this share of at least two events may have lost its store.
WHOLESALE, LEAST_EVENTS = 0.5, 2
#: How many targets go into one query: the length of a URL is limited.
TARGETS_AT_ONCE = 40

#: How far the clocks may be apart, in seconds, as some utilities require.
SKEW_ALARM_S = 5.0

#: After how many registered resources it is said how many are left.
TOLD_EACH = 500

#: Kinds of failures that go on.
SKEWED, UNKEPT, REFUSED, BROKEN = "clocks of VTN", "events", "VTN refuses", "VTN broken"
UNREGISTERED, UNTARGETED, NAMELESS = "unregistered", "untargeted", "nameless"
PROGRAMS = "programs"
REFUSED_RESOURCES, UNTELLABLE, DROPPED = "refused resources", "untellable", "dropped targets"
UNREAD, THEIRS = "unread objects", "for others"
#: So many names stand in one sentence.
NAMED = 3


class _Lister(Protocol[S]):
    def __call__(self, *, targets: Sequence[str]) -> Awaitable[Listing[S]]: ...


class VtnSide:
    """Registers one VEN with the resources of `roster`, and follows programs and events.

    `state` and `last_error` say how it stands; `registered` holds ids of resources. `changed` is set
    when events have changed. While `time_is_known` says no, events are fetched but not taken.
    """

    def __init__(
        self,
        settings: Settings,
        client: VenClient,
        book: EventBook,
        reporter: Reporter,
        roster: Roster,
        clock: Clock,
        notes: Notes,
        changed: asyncio.Event,
        time_is_known: Callable[[], bool] = lambda: True,
    ) -> None:
        self.state = "not asked yet"
        self.last_error: str | None = None
        self.ven: Ven | None = None
        #: Set by push when the VTN has changed something.
        self.wake = asyncio.Event()
        #: Set once the VTN knows our VEN.
        self.known = asyncio.Event()
        self.push: Push | None = None
        #: When the registration was last verified at the VTN; None since something has put it in doubt.
        self.verified_at: datetime | None = None
        self._registered: set[str] = set()
        #: The id of the object that the VTN has of each resource, by the resource's id.
        self._objects: dict[str, str] = {}
        self._settings = settings
        self._client = client
        self._book = book
        self._reporter = reporter
        self._roster = roster
        self._clock = clock
        self._notes = notes
        self._changed = changed
        self._time_is_known = time_is_known
        self._rng = random.Random()  # noqa: S311  jitter, not a secret
        self._looked_at_s: float | None = None
        self._look_again_s = REGISTER_AGAIN_S
        #: How often in a row registering has failed.
        self._tries = 0
        #: By name: resources as the VTN refused them.
        self._refused: dict[str, _Refusal] = {}
        #: By name: targets that the VTN dropped when we updated a resource, and has not granted again.
        self._dropped: dict[str, frozenset[str]] = {}
        self._told_until_s = 0.0
        self._targets: tuple[str, ...] = ()
        #: Listings that the VTN refuses when targets are named, until the registration is read again.
        self._untargeted: list[object] = []
        #: Targets that the VTN granted to the object of each resource, by the resource's id.
        self._granted: dict[str, frozenset[str]] = {}
        #: What reports are on, and what it was made of, by the resource's id.
        self._reportables: dict[str, tuple[tuple[Resource, str, frozenset[str]], Reportable]] = {}
        #: What in a target of 3.0.1 means us.
        self._own: frozenset[str] = frozenset()
        #: Targets of events that match no resource, and the revision of the events they are of.
        self._foreign: frozenset[str] = frozenset()
        self._revision: int | None = None
        spoken = client.known_dialect
        self._percent_of_full = spoken.percent_of_full if spoken else 1.0
        reporter.options = replace(
            reporter.options,
            percent_of_full=self._percent_of_full if spoken else reporter.options.percent_of_full,
            # The VEN's name is a target of it, whatever the VTN grants.
            ven_targets=frozenset({settings["ven.name"]}),
        )
        self._skewed = False
        #: What fails while events are followed all the same, with its message.
        self._failing: dict[str, str] = {}
        #: How far a registration is that is going on; None when none is.
        self.registering: Progress | None = None

    async def follow(self) -> None:
        """Register, then fetch programs and events again and again."""
        failures = 0
        while True:
            try:
                await self._once()
            except StoreError as error:
                self._notes.begin(UNKEPT, gwy.EVENTS_UNKEPT(reason=error))
                wait_s, failed = STATE_RETRY_S, True
            except Exception as error:  # noqa: BLE001  whatever a VTN answers must not end the readings
                failed = True
                self._failed(error)
                if (
                    isinstance(error, VenError)
                    and error.transient
                    and getattr(error, "status", 0) != TOO_MANY
                ):
                    self._doubt()
                longest_s = min(LONGEST_WAIT_S, self._settings["vtn.poll_s"] * 5)
                wait_s = backoff_s(failures, FIRST_WAIT_S, longest_s, self._rng)
                failures += 1
            else:
                failed = False
                failures, self.state = 0, "connected"
                self.last_error = "; ".join(self._failing.values()) or None
                for kind in (UNKEPT, REFUSED, BROKEN):
                    self._notes.end(kind, vtn.FOLLOWED_AGAIN())
                wait_s = self._settings["vtn.poll_s"]
                if self.push is not None and self.push.working:
                    wait_s = max(wait_s, self._settings["vtn.push_poll_s"])
                wait_s = min(wait_s, self._register_again_in_s())
                if not self._time_is_known():
                    wait_s = min(wait_s, DOUBT_WAIT_S)
            self._tell_skew()
            await rest(self._clock, wait_s, self.wake)
            if self.wake.is_set():
                await self._hold_back(min(wait_s, FAILED_COUNTS_S) if failed else 0.0)
            # Cleared before the poll: a change while it runs is notified again, and asks for another.
            self.wake.clear()

    async def _hold_back(self, failed_s: float) -> None:
        """Wait when polls that were asked for come too fast; the first few after a quiet time do not."""
        now_s = self._clock.monotonic()
        wait_s = self._told_until_s - TOLD_AT_ONCE_S - now_s
        if wait_s > 0:
            await self._clock.sleep(wait_s)
        self._told_until_s = max(self._told_until_s, now_s) + max(TOLD_EACH_S, failed_s)

    def _tell_skew(self) -> None:
        """Say once that the clocks have come apart: some utilities want them within 5 s of each other."""
        skew_s = self._client.clock_skew_s
        # The header has whole seconds, truncated.
        skewed = skew_s is not None and not -SKEW_ALARM_S <= skew_s <= SKEW_ALARM_S + 1
        if skew_s is None or skewed == self._skewed:
            return
        self._skewed = skewed
        if not skewed:
            self._notes.end(SKEWED)
            log.info(gwy.CLOCKS_AGREE(vtn=self._settings["vtn.url"]))
            return
        way = "ahead of" if skew_s > 0 else "behind"
        said = gwy.CLOCKS_APART(seconds=abs(skew_s), way=way, vtn=self._settings["vtn.url"])
        self._notes.begin(SKEWED, said)

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, VenError):
            said = gwy.UNSERVED(reason=gwy.UNEXPECTED(kind=type(error).__name__))
            self._notes.begin(BROKEN, said, bug=error)
            self.state, self.last_error = "refused", with_code(said)
            return
        # The client itself says once that a VTN has gone, and that it is back.
        if not error.transient:
            self._notes.begin(REFUSED, gwy.VTN_REFUSES(reason=error), cause=_cause_of(error))
        self.state = _state_of(error)
        self.last_error = f"{error.what}; {error.hint}" if error.hint else str(error.what)

    async def _once(self) -> None:
        # Once in each poll: what has just been read, or refused, is not asked for again.
        asked = self._looked_at_s is None
        if asked:
            await self._try_register()
        before = set(self._book.events)
        try:
            await self._fetch_events()
        except VtnError as error:
            # The registration is verified as often, whatever becomes of the events.
            if error.answered and not asked and self._register_in_s() <= 0.0:
                await self._try_register()
            raise
        lost = len(before - self._book.events.keys())
        if len(before) >= LEAST_EVENTS and lost > WHOLESALE * len(before):
            self.check_again()
        if self._has_unknown_targets() and not asked:
            asked = True
            asked_for = self._targets
            self._looked_at_s = None  # should it fail now, it comes first with the next poll
            await self._try_register()
            if self._targets != asked_for:
                await self._fetch_events()
        if self._register_in_s() <= 0.0 and not asked:
            await self._try_register()

    def _register_again_in_s(self) -> float:
        """Return after how many seconds to poll for the registration: later after each failure of it."""
        if self._looked_at_s is None and self._tries:
            return backoff_s(self._tries - 1, FIRST_WAIT_S, LONGEST_WAIT_S, self._rng)
        return max(1.0, self._register_in_s())

    def _register_in_s(self) -> float:
        """Return in how many seconds the registration is read again."""
        if self._looked_at_s is None:
            return 0.0
        return self._looked_at_s + self._look_again_s - self._clock.monotonic()

    @property
    def registered(self) -> set[str]:
        """Return the ids of the resources that the VTN holds, as far as that is verified."""
        return self._registered if self.verified_at is not None else set()

    def check_again(self, *, subscription: bool = True) -> None:
        """Read VEN and resources again with the next poll, now, and the subscription as well.

        Until then nothing of them counts as verified.
        """
        self._doubt(subscription=subscription)
        self.wake.set()

    def _doubt(self, *, subscription: bool = True) -> None:
        self._looked_at_s = self.verified_at = None
        if subscription and self.push is not None:
            self.push.check_again()

    # ---- what we are

    async def _try_register(self) -> None:
        """Register; what the VTN refuses, or answers with an error, is logged once and holds up no event."""
        try:
            await self._register()
        except (VtnError, WireError) as error:
            if isinstance(error, VtnError) and not error.answered:
                raise
            self.registering = self.verified_at = None
            self._tries += 1
            if not self._own:
                self._take_grants(self.ven or Ven(ven_name=self._settings["ven.name"]), {})
            self._begin_unregistered(error)
            if not error.transient:
                self._looked_at_s = self._clock.monotonic()
                self.known.set()  # changes are announced to clients without a VEN, too

    def _begin_unregistered(self, error: VenError) -> None:
        said = vtn.NOT_REGISTERED(reason=error)
        self._failing[UNREGISTERED] = with_code(said)
        self._notes.begin(UNREGISTERED, said, cause=_cause_of(error), logged=_is_logged(error))

    async def _register(self) -> None:
        """Bring the VEN object and those of its resources to what the registry says."""
        names = self._roster.names
        self._percent_of_full = (await self._client.dialect()).percent_of_full
        ven = await ensure_ven(self._client, self._settings["ven.name"])
        if ven.id is None:
            raise WireError(gwy.VEN_WITHOUT_ID(), subject=ven.ven_name)
        before = self.ven.id if self.ven is not None else None
        if self.push is not None and self.known.is_set() and before != ven.id:
            self.push.begin_anew()  # what it listens to is about a VEN that has gone, or about none
        self.ven = ven
        self.known.set()
        drift = await self._drift(ven.id)
        what = self._worth_asking(drift)
        done = await reconcile(self._client, ven.id, what, progress=self._tell_progress)
        unnamed: set[str] = set()
        await self._warn_of_dropped(ven.id, what, done.held)
        for id_, name in names.items():
            if name in done.held:
                self._registered.add(id_)
                self._refused.pop(name, None)
                if (object_id := done.held[name].id) is not None:
                    self._objects[id_] = object_id
                continue
            self._registered.discard(id_)
            # A VTN may refuse to rename: the next look creates an object.
            if name in done.refused and self._objects.pop(id_, None) is not None:
                unnamed.add(name)
        self._take_refusals(what, {name: why for name, why in done.refused.items() if name not in unnamed})
        self.registering = None
        # What the VTN would not have changed keeps the targets that it was listed with.
        held = {one.wanted.name: one.held for one in drift.update} | done.held
        self._tell_dropped(held)
        self._take_grants(ven, held)
        self._failing.pop(UNREGISTERED, None)
        self._tries = 0
        self._reporter.granted_at = self._clock.now()
        # Reports wait for this whose events have targets that were not known.
        self._changed.set()
        if done.stopped is not None and done.stopped.transient:
            raise done.stopped
        if done.stopped is not None:
            # Somebody else may have registered them: events are followed all the same.
            self._notes.begin(UNREGISTERED, gwy.UNREGISTERED(reason=done.stopped))
        else:
            self._notes.end(UNREGISTERED, vtn.REGISTERED_AGAIN(name=foreign(ven.ven_name)))
        if self._roster.names is names and not unnamed:
            self._looked_at_s = self._clock.monotonic()
            self._look_again_s = REGISTER_AGAIN_S * (1.0 - REGISTER_JITTER * self._rng.random())
            self.verified_at = self._clock.now()
        else:
            self.look_again()  # the registry has changed meanwhile, or a name was refused

    def _worth_asking(self, what: Difference) -> Difference:
        """Return a difference without what the VTN refused lately in the same words."""
        since_s = self._clock.monotonic() - REFUSED_AGAIN_S
        self._refused = {name: one for name, one in self._refused.items() if one.at_s > since_s}

        def is_new(one: Wanted) -> bool:
            return one.name not in self._refused or self._refused[one.name].wanted != one

        return replace(
            what,
            create=tuple(filter(is_new, what.create)),
            update=tuple(one for one in what.update if is_new(one.wanted)),
        )

    def _take_refusals(self, what: Difference, refused: Mapping[str, VenError]) -> None:
        """Keep what the VTN has refused now."""
        wanted = {one.name: one for one in (*what.create, *(each.wanted for each in what.update))}
        now_s = self._clock.monotonic()
        self._refused |= {name: _Refusal(wanted[name], now_s, error) for name, error in refused.items()}
        self._tell_refused()

    def _tell_refused(self) -> None:
        """Note the resources that the VTN refuses: one sentence for all with the same kind of reason."""
        names = set(self._roster.names.values())
        self._refused = {name: one for name, one in self._refused.items() if name in names}
        causes: dict[str, list[str]] = {}
        for name in sorted(self._refused):
            causes.setdefault(_cause_of(self._refused[name].error), []).append(name)
        found = {}
        for cause, some in causes.items():
            reason = self._refused[some[0]].error
            if len(some) == 1:
                found[cause] = gwy.RESOURCE_REFUSED(name=some[0], reason=reason)
            else:
                shown, more = some[:NAMED], _more(some)
                text = gwy.RESOURCES_REFUSED(count=len(some), names=shown, more=more, reason=reason)
                found[cause] = text
        self._notes.hold(REFUSED_RESOURCES, found)

    async def _warn_of_dropped(self, ven_id: str, what: Difference, held: dict[str, VenResource]) -> None:
        """Note granted targets that an update of ours has removed."""
        before = {
            one.wanted.name: frozenset(one.held.targets or ()) for one in what.update if one.held.targets
        }
        if all(targets <= set(held[name].targets or ()) for name, targets in before.items() if name in held):
            return
        # The answer to a PUT may leave out what the VTN holds all the same.
        listed = {one.resource_name: one for one in (await self._client.resources(ven_id)).items}
        for name in before.keys() & held.keys() & listed.keys():
            held[name] = listed[name]
            lost = before[name] - set(listed[name].targets or ())
            if lost:
                self._dropped[name] = lost

    def _tell_dropped(self, held: Mapping[str, VenResource]) -> None:
        """Note targets that the VTN dropped, in one sentence, as long as they are not granted again."""
        known = set(self._roster.names.values())
        self._dropped = {
            name: lost
            for name, lost in self._dropped.items()
            if name in known and not (name in held and lost <= set(held[name].targets or ()))
        }
        if not self._dropped:
            self._notes.end(DROPPED)
            return
        names = sorted(self._dropped)
        targets = [foreign(one) for one in sorted(self._dropped[names[0]])[:NAMED]]
        said = gwy.GRANTS_DROPPED(name=foreign(names[0]), targets=targets)
        if len(names) > 1:
            shown = [foreign(one) for one in names[:NAMED]]
            said = gwy.GRANTS_DROPPED_MANY(count=len(names), names=shown, more=_more(names), targets=targets)
        self._notes.begin(DROPPED, said, cause=said)

    def _tell_progress(self, progress: Progress) -> None:
        """Keep how far the registration is, and log it now and then when it takes long."""
        self.registering = progress if progress.done < progress.of else None
        if progress.done % TOLD_EACH == 0:
            said = gwy.REGISTERING(done=progress.done, of=progress.of)
            log.info(said.within(self._notes.about))

    async def _drift(self, ven_id: str) -> Difference:
        """Return what the VTN should hold of our resources and does not."""
        said: list[str] = []
        roster = self._roster
        wanted = wanted_resources(self._settings, roster.resources.values(), roster.names, said)
        kinds: dict[str, list[str]] = {}
        for sentence in said:
            kinds.setdefault(code_of(sentence), []).append(sentence)
        found = {}
        for code, some in kinds.items():
            more = len(some) - 1
            found[code] = within(some[0], after=gwy.UNTELLABLE_MORE(count=more)) if more else some[0]
        self._notes.hold(UNTELLABLE, found)
        held = (await self._client.resources(ven_id)).items
        objects = {name: self._objects[id_] for id_, name in roster.names.items() if id_ in self._objects}
        return difference(wanted, held, ours=OURS, ven_id=ven_id, objects=objects)

    def look_again(self) -> None:
        """Take up what the roster says now: report on those resources, and look at the registration soon."""
        names = self._roster.names
        self._registered.intersection_update(names)
        self._tell_refused()
        self._own = self._own.union(names.values())
        self._report_on()
        self._looked_at_s = None
        self.wake.set()

    def _report_on(self) -> None:
        """Let reports be on the resources of the roster, with the targets that the VTN last granted."""
        roster, known = self._roster, self._reportables
        self._reportables = {}
        for id_, name in roster.names.items():
            said = (roster.resources[id_], name, self._granted.get(id_, frozenset()))
            before = known.get(id_)
            # Thousands of them did not change: making them again would stop everything else for a second.
            if before is None or before[0][0] is not said[0] or before[0][1:] != said[1:]:
                before = said, Reportable.of(*said)
            self._reportables[id_] = before
        self._reporter.resources = [reportable for _, reportable in self._reportables.values()]

    def _take_grants(self, ven: Ven, held: Mapping[str, VenResource]) -> None:
        names = self._roster.names
        granted = self._granted = {
            id_: frozenset(held[name].targets or ()) - {""} if name in held else frozenset[str]()
            for id_, name in names.items()
        }
        of_ven = frozenset(ven.targets or ()) - {""}
        self._own = of_ven.union(
            {self._settings["ven.name"], ven.ven_name}, names.values(), *granted.values()
        )
        spoken = self._client.known_dialect
        # A VTN that hides nothing is not asked twice.
        hides = spoken is None or spoken.grants_targets
        self._targets = tuple(sorted(of_ven.union(*granted.values()))) if hides else ()
        self._untargeted = []
        self._report_on()
        # 3.0.1 writes the VEN itself as a target.
        of_ven |= {self._settings["ven.name"], ven.ven_name}
        self._reporter.options = replace(
            self._reporter.options, ven_targets=of_ven, percent_of_full=self._percent_of_full
        )

    def _has_unknown_targets(self) -> bool:
        """Return whether events name a target that has not been looked for in the registration yet."""
        if self._revision == self._book.revision:
            return False
        self._revision = self._book.revision
        found: set[str] = set()
        for known in self._book.events.values():
            found.update(known.event.targets or ())
            for one in known.event.report_descriptors or ():
                found.update(one.targets or ())
        before, self._foreign = self._foreign, frozenset(found) - self._own
        return not self._foreign <= before

    # ---- what we hear

    async def _fetch_events(self) -> None:
        programs = await self._visible_programs()
        try:
            events = await self._visible(self._client.events)
        except VtnError as error:
            if error.answered and self._time_is_known() and (await self._follow(programs))[1]:
                self._changed.set()
            raise
        if not self._time_is_known():
            # An event that starts "now" must not be given a wrong start. The answer may have set the time.
            return
        self._note_unread([*programs.refused, *events.refused])
        wanted = set(self._settings["vtn.programs"])
        if not (await self._client.dialect()).grants_targets:
            programs, events = self._meant_for_us(programs, events)
        if PROGRAMS in self._failing:
            programs = self._last_programs()
            events = self._of_known_programs(events)
        ids, renamed = await self._follow(programs)
        ours = [event for event in events.items if not wanted or event.program_id in ids]
        # Events, and those of programs, that could not be understood have not gone.
        unread = programs.ids - {program.id for program in programs.items}
        kept = events.ids - {event.id for event in events.items if event.program_id not in unread}
        changes = await self._book.take(
            ours,
            complete=events.complete and (programs.complete or not wanted),
            also_listed=kept,
            now=self._clock.now(),
        )
        if changes.nameless:
            self._notes.begin(NAMELESS, gwy.NAMELESS(count=changes.nameless))
        elif events.complete:
            self._notes.end(NAMELESS)
        if changes or renamed:
            self._changed.set()
        if changes:
            said = gwy.EVENTS_CHANGED(
                created=len(changes.created), modified=len(changes.modified), gone=len(changes.gone)
            )
            log.info(said.within(self._notes.about))

    async def _follow(self, programs: Listing[Program]) -> tuple[set[str | None], bool]:
        """Take over the programs that are followed; return their ids, and whether something has changed."""
        wanted = set(self._settings["vtn.programs"])
        spoken = self._client.known_dialect
        if spoken is not None and not spoken.grants_targets:
            others = {one.id for one in programs.items if self._is_for_others(one.targets, one.ven_names)}
            programs = _without(programs, others)
        followed = [one for one in programs.items if not wanted or one.program_name in wanted]
        changed = await self._book.take_programs(
            followed, complete=programs.complete, also_listed=programs.ids
        )
        return {program.id for program in followed}, changed

    def _note_unread(self, refused: Sequence[Refused]) -> None:
        """Note objects that could not be understood, as long as they are listed; the client logs them."""
        some = {f"{n}": within(one.reason, f"{one.place}: ") for n, one in enumerate(refused[:NAMED])}
        if len(refused) > NAMED:
            some["0"] = within(some["0"], after=_more(refused))
        self._notes.hold(UNREAD, some, logged=True)

    async def _visible_programs(self) -> Listing[Program]:
        """Return the programs that the VTN shows us; those last known where it answers with an error."""
        try:
            programs = await self._visible(self._client.programs)
        except VtnError as error:
            if not error.answered:
                raise
            said = vtn.PROGRAMS_UNREADABLE(reason=error)
            self._failing[PROGRAMS] = with_code(said)
            self._notes.begin(PROGRAMS, said, cause=_cause_of(error), logged=_is_logged(error))
            return self._last_programs()
        self._failing.pop(PROGRAMS, None)
        self._notes.end(PROGRAMS, vtn.PROGRAMS_READABLE())
        return programs

    def _last_programs(self) -> Listing[Program]:
        held = tuple(self._book.programs.values())
        return Listing(held, (), False, frozenset(one.id for one in held if one.id))

    def _of_known_programs(self, events: Listing[Event]) -> Listing[Event]:
        """Return a listing without events of unknown programs, where only their program shows whose they are.

        What is left out counts as listed: an event that is known has not gone.
        """
        spoken = self._client.known_dialect
        if spoken is None or spoken.grants_targets:
            return events
        kept = tuple(
            one
            for one in events.items
            if one.id in self._book.events
            or one.program_id in self._book.programs
            or (one.targets and not self._is_for_others(one.targets, one.ven_names))
        )
        return replace(events, items=kept)

    def _meant_for_us(
        self, programs: Listing[Program], events: Listing[Event]
    ) -> tuple[Listing[Program], Listing[Event]]:
        """Return listings without what is for others, which a VTN of 3.0.1 shows to everybody."""
        others = {
            one.id: one.targets or ()
            for one in programs.items
            if self._is_for_others(one.targets, one.ven_names)
        }
        theirs = {
            one.id: one.targets or ()
            for one in events.items
            if one.program_id in others or self._is_for_others(one.targets, one.ven_names)
        }
        said = None
        if theirs:
            some: list[str] = [
                gwy.FOR_OTHERS_ONE(
                    event=foreign(id_),
                    targets=[foreign(one) for one in to[:3]] or gwy.FOR_OTHERS_PROGRAM(),
                )
                for id_, to in islice(theirs.items(), 3)
            ]
            if len(theirs) > len(some):
                some.append(gwy.MORE(count=len(theirs) - len(some)).strip())
            said = gwy.FOR_OTHERS(events="; ".join(some))
        self._notes.show(THEIRS, said)
        return _without(programs, others), _without(events, theirs)

    def _is_for_others(self, targets: Sequence[str] | None, vens: Sequence[str] | None = None) -> bool:
        """Return whether targets name none of ours; where VENs are among them, ours has to be."""
        ours = {self._settings["ven.name"], self.ven.ven_name if self.ven is not None else None}
        if vens and ours.isdisjoint(vens):
            return True
        return bool(targets) and self._own.isdisjoint(targets or ())

    async def _visible(self, lister: _Lister[S]) -> Listing[S]:
        """Return what the VTN shows us, asked without targets and with those that it granted us."""
        listing = await lister(targets=())
        if lister in self._untargeted:
            return listing
        kind = f"{UNTARGETED} {getattr(lister, '__name__', '')}"
        try:
            for some in chunks(self._targets, TARGETS_AT_ONCE):
                listing = listing.joined(await lister(targets=some))
        except VtnError as error:
            if not error.answered:
                raise
            self._notes.begin(kind, gwy.UNTARGETED(reason=error), cause=_cause_of(error))
            if error.transient:
                return replace(listing, complete=False)
            # Not every VTN lets a VEN name targets; they are tried again with the registration.
            self._untargeted.append(lister)
        else:
            self._notes.end(kind)
        return listing


class _Refusal(NamedTuple):
    """A resource as the VTN refused it, when, and why."""

    wanted: Wanted
    at_s: float
    error: VenError


def _more(some: Sequence[object]) -> str:
    """Return how many are not among the first ones that are named; empty for none."""
    return gwy.MORE(count=len(some) - NAMED) if len(some) > NAMED else ""


def _cause_of(error: VenError) -> str:
    """Return what failures with one cause have in common, whatever words the VTN adds."""
    return f"{type(error).__name__} {error.status if isinstance(error, VtnError) else ''}"


def _is_logged(error: VenError) -> bool:
    """Return whether the client has logged an error, as it does for those that may pass, and logs its end."""
    return isinstance(error, VtnProblem) and error.transient


def _state_of(error: VenError) -> str:
    """Return the state of a VTN after an error, in a word or two."""
    if not error.transient:
        return "refused"
    if not isinstance(error, VtnError) or not error.answered:
        return "unreachable"
    return f"answers {error.status}" if isinstance(error, VtnProblem) else "unreadable answers"


def _without(listing: Listing[S], ids: Collection[str | None]) -> Listing[S]:
    if not ids:
        return listing
    items = tuple(one for one in listing.items if getattr(one, "id", None) not in ids)
    return replace(listing, items=items, ids=listing.ids.difference(ids))


def wanted_resources(
    settings: Settings, resources: Iterable[Resource], names: Mapping[str, str], problems: list[str]
) -> list[Wanted]:
    """Return the resources as the VTN should hold them; what cannot be sent is named in `problems`."""
    order = settings["vtn.location_order"]
    return [
        Wanted(names[one.resourceID], resource_attributes(one, location_order=order, problems=problems))
        for one in resources
    ]
