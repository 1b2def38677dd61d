"""The gateway's side towards the VTN: what it registers there, and what it hears from there.

A part of the composition root: only `gateway.py` uses it. A VTN that is down is waited for; what it
refuses is said once and asked again with the next look at the registration, not with every poll.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

import msgspec

from venclient.client import Listing, VenClient, ensure_resource, ensure_ven
from venclient.clock import Clock
from venclient.errors import AuthRefused, StoreError, VenError, VtnError, VtnProblem, WireError
from venclient.model.resource import Resource
from venclient.notes import Notes, log
from venclient.openadr.objects import ValuesMap, Ven, VenResource
from venclient.reporting.builder import Reportable
from venclient.reporting.delivery import Reporter
from venclient.reporting.eventbook import EventBook
from venclient.reporting.registration import OURS, resource_attributes
from venclient.settings import Settings
from venclient.utils import backoff_s, chunks

S = TypeVar("S", bound=msgspec.Struct)

#: How long a failed conversation with the VTN is waited for before it is tried again, at first and at most.
FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 300.0
#: How long after a failure of the state file (a full card, say) it is tried again.
STATE_RETRY_S = 10.0
#: How soon it is asked again for its time, which is all that tells us ours.
DOUBT_WAIT_S = 10.0
#: How many resources are registered at the same time.
REGISTERING = 8
#: How often the registration is looked at again: a VTN may have lost it, or have granted targets.
REGISTER_AGAIN_S = 3600.0
#: How many targets go into one query: an address has room for only so many.
TARGETS_AT_ONCE = 40

UNKEPT = "events are not kept"
REFUSED = "the VTN refuses"
BROKEN = "following the VTN broke"
UNREGISTERED = "resources are not registered"
UNTARGETED = "events are listed without targets"


class _Lister(Protocol[S]):
    def __call__(self, *, targets: Sequence[str]) -> Awaitable[Listing[S]]: ...


class VtnSide:
    """Registers one VEN with its resources (`names` by resource id), and follows programs and events.

    `state` and `last_error` say how it stands; `registered` holds ids of resources. `changed` is set
    when events have changed. While `time_is_known` says no, events are fetched but not taken.
    """

    def __init__(
        self,
        settings: Settings,
        client: VenClient,
        book: EventBook,
        reporter: Reporter,
        resources: Mapping[str, Resource],
        names: Mapping[str, str],
        clock: Clock,
        notes: Notes,
        changed: asyncio.Event,
        time_is_known: Callable[[], bool] = lambda: True,
    ) -> None:
        self.state = "not asked yet"
        self.last_error: str | None = None
        self.ven: Ven | None = None
        self.registered: set[str] = set()
        self._settings = settings
        self._client = client
        self._book = book
        self._reporter = reporter
        self._resources = resources
        self._names = names
        self._clock = clock
        self._notes = notes
        self._changed = changed
        self._time_is_known = time_is_known
        self._rng = random.Random()  # noqa: S311  jitter, not a secret
        self._looked_at_s: float | None = None
        self._targets: tuple[str, ...] = ()

    async def follow(self) -> None:
        """Register, then fetch programs and events again and again."""
        failures = 0
        while True:
            try:
                await self._once()
            except StoreError as error:
                self._notes.begin(UNKEPT, f"{UNKEPT}: {error}")
                wait_s = STATE_RETRY_S
            except Exception as error:  # noqa: BLE001  whatever a VTN answers must not end the readings
                self._failed(error)
                longest_s = min(LONGEST_WAIT_S, self._settings["vtn.poll_s"] * 5)
                wait_s = backoff_s(failures, FIRST_WAIT_S, longest_s, self._rng)
                failures += 1
            else:
                failures, self.state, self.last_error = 0, "connected", None
                for kind in (UNKEPT, REFUSED, BROKEN):
                    self._notes.end(kind)
                wait_s = self._settings["vtn.poll_s"]
                if not self._time_is_known():
                    wait_s = min(wait_s, DOUBT_WAIT_S)
            await self._clock.sleep(wait_s)

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, VenError):
            said = f"{BROKEN}: unexpected {type(error).__name__} (a bug; please report it)"
            self._notes.begin(BROKEN, said, cause=type(error).__name__, bug=error)
            self.state, self.last_error = "refused", said
            return
        # The client itself says once that a VTN has gone, and that it is back.
        if not error.transient:
            status = error.status if isinstance(error, VtnProblem) else ""
            cause = f"{type(error).__name__} {status}"
            self._notes.begin(REFUSED, f"VTN: {error}; readings go on, reports wait", cause=cause)
        self.state = "unreachable" if error.transient else "refused"
        self.last_error = error.what

    async def _once(self) -> None:
        if self._looked_at_s is None:
            await self._register()
        await self._fetch_events()
        if self._clock.monotonic() - (self._looked_at_s or 0.0) >= REGISTER_AGAIN_S:
            await self._register()

    # ---- what we are

    async def _register(self) -> None:
        """Bring the VEN object and those of its resources to what the registry says."""
        ven = await ensure_ven(self._client, self._settings["ven.name"])
        if ven.id is None:
            raise WireError("the VTN stored our VEN without an id", subject=ven.ven_name)
        self.ven = ven
        held = {one.resource_name: one for one in (await self._client.resources(ven.id)).items}
        bound = asyncio.Semaphore(REGISTERING)
        stopped: list[VtnError] = []

        async def one(resource: Resource) -> None:
            async with bound:
                if stopped:
                    return  # a VTN that has gone is not asked for each of a thousand
                name = self._names[resource.resourceID]
                try:
                    held[name] = await self._ensure(ven.id or "", resource, held.get(name))
                except (AuthRefused, VtnError, WireError) as error:
                    self.registered.discard(resource.resourceID)
                    if isinstance(error, VtnError) and (error.transient or isinstance(error, AuthRefused)):
                        stopped.append(error)
                        return
                    kind = f"resource {name} is not registered"
                    self._notes.begin(kind, f"{kind}: {error}")
                else:
                    self.registered.add(resource.resourceID)
                    self._notes.end(f"resource {name} is not registered")

        async with asyncio.TaskGroup() as group:
            for resource in self._resources.values():
                group.create_task(one(resource))
        self._take_grants(ven, held)
        if stopped and stopped[0].transient:
            raise stopped[0]
        if stopped:
            # Somebody else may have registered them: events are followed all the same.
            self._notes.begin(UNREGISTERED, f"{UNREGISTERED}: {stopped[0]}")
        else:
            self._notes.end(UNREGISTERED)
        self._looked_at_s = self._clock.monotonic()

    async def _ensure(self, ven_id: str, resource: Resource, known: VenResource | None) -> VenResource:
        said: list[str] = []
        wanted = resource_attributes(resource, problems=said)
        for sentence in said:
            self._notes.begin(sentence, sentence)
        # What others have written on it is not ours to remove.
        foreign: list[ValuesMap] = list(known.attributes or ()) if known else []
        attributes = (*wanted, *(one for one in foreign if one.type not in OURS))
        name = self._names[resource.resourceID]
        return await ensure_resource(self._client, ven_id, name, attributes, known=known)

    def _take_grants(self, ven: Ven, held: Mapping[str, VenResource]) -> None:
        granted = {
            id_: frozenset(held[name].targets or ()) if name in held else frozenset[str]()
            for id_, name in self._names.items()
        }
        of_ven = frozenset(ven.targets or ())
        self._targets = tuple(sorted(of_ven.union(*granted.values())))
        self._reporter.resources = [Reportable(id_, name, granted[id_]) for id_, name in self._names.items()]
        self._reporter.options = replace(self._reporter.options, ven_targets=of_ven)

    # ---- what we hear

    async def _fetch_events(self) -> None:
        programs = await self._visible(self._client.programs)
        events = await self._visible(self._client.events)
        if not self._time_is_known():
            # An event that starts "now" must not be given a wrong one. The answer told us the time, perhaps.
            return
        for refused in (*programs.refused, *events.refused):
            self._notes.add(f"{refused.place}: {refused.reason}")
        wanted = set(self._settings["vtn.programs"])
        followed = [one for one in programs.items if not wanted or one.program_name in wanted]
        renamed = self._book.apply_programs(followed, complete=programs.complete, also_listed=programs.ids)
        ids = {program.id for program in followed}
        ours = [event for event in events.items if not wanted or event.program_id in ids]
        # Events, and those of programs, that could not be understood have not gone.
        unread = programs.ids - {program.id for program in programs.items}
        kept = events.ids - {event.id for event in events.items if event.program_id not in unread}
        changes = self._book.apply(
            ours,
            complete=events.complete and (programs.complete or not wanted),
            also_listed=kept,
            now=self._clock.now(),
        )
        if changes or renamed:
            self._changed.set()
        if changes:
            log.info(
                "events: %d new, %d changed, %d gone",
                len(changes.created),
                len(changes.modified),
                len(changes.gone),
            )

    async def _visible(self, lister: _Lister[S]) -> Listing[S]:
        """Give what the VTN shows us, asked without targets and with those that it granted us."""
        listing = await lister(targets=())
        try:
            for some in chunks(self._targets, TARGETS_AT_ONCE):
                listing = listing.joined(await lister(targets=some))
        except VtnError as error:
            if error.transient:
                raise
            # Not every VTN lets a VEN name targets; they are tried again with the registration.
            self._targets = ()
            self._notes.begin(UNTARGETED, f"{UNTARGETED}: {error}")
        return listing
