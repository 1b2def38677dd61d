"""`VenClient`: what a VEN says to its VTN and hears from it. The only HTTP to the VTN is here.

Methods raise `VtnUnreachable` (no answer), `AuthRefused` (token or scope) and `VtnProblem` (the VTN
says no); `ambiguous` on them says that the VTN may have acted all the same. It holds no site nouns.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from dataclasses import replace as dataclass_replace
from datetime import datetime
from types import TracebackType
from typing import TypeVar

import httpx2
import msgspec
from msgspec.structs import replace as msgspec_replace

from venclient.client.account import VtnAccount
from venclient.client.conversation import Conversation
from venclient.client.dialect import VERSIONS, Dialect, told_by_path
from venclient.client.exchange import Answer, Params, Tally
from venclient.client.limits import ListingBudget
from venclient.client.listing import Listing, Page, read_listing
from venclient.client.notices import Notices
from venclient.client.pages import PageMemory
from venclient.client.probing import find_dialect
from venclient.client.token import TokenState
from venclient.clock import Clock
from venclient.errors import AuthRefused, VtnError, VtnProblem, WireError
from venclient.messages import Text, with_code
from venclient.messages import client as vtn
from venclient.messages.printable import foreign
from venclient.openadr.codec import AT_ONCE_BYTES
from venclient.openadr.objects import Event, Notifiers, Program, Report, ValuesMap, Ven, VenResource

log = logging.getLogger(__name__)

S = TypeVar("S", bound=msgspec.Struct)

Attributes = Sequence[ValuesMap] | None

_REMEMBERED_REFUSALS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientStatus:
    """How it stands with one VTN; holds no secret.

    `version` is the one that the VTN speaks, None until that is known. `clock_skew_s` is our clock
    minus the VTN's, in seconds (its `Date` header has whole ones).
    """

    url: str
    version: str | None
    token: TokenState
    token_renewals: int
    scope: str | None
    requests: int
    retries: int
    failures: int
    refused_objects: int
    last_ok: datetime | None
    last_error: str | None
    last_error_at: datetime | None
    clock_skew_s: float | None


class VenClient:
    """The client of one account, used as an async context manager; safe for many tasks at once.

    `transport` replaces the network (tests).
    """

    def __init__(
        self,
        account: VtnAccount,
        clock: Clock,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._account = account
        self._talk = Conversation(account, clock, transport, rng or random.SystemRandom())
        self._dialect = VERSIONS.get(account.version) or told_by_path(account.url)
        self._probing = asyncio.Lock()
        self._pages = PageMemory()
        self._listed: dict[tuple[tuple[str, ...], tuple[tuple[str, str], ...]], frozenset[str]] = {}
        self._program_of: dict[str, str] = {}
        self._known_refusals: set[tuple[str, str]] = set()
        self._refused_objects = 0
        #: The HTTP status with which the VTN took the last report; None before it took one.
        self.report_status: int | None = None
        #: Listings that are over a limit.
        self._limited: set[str] = set()

    def __repr__(self) -> str:
        return f"VenClient({self._account.url!r})"

    async def __aenter__(self) -> VenClient:
        self._talk.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._talk.close()

    @property
    def client_id(self) -> str | None:
        """Return the client id of the account; None when it has none."""
        return self._account.client_id

    @property
    def known_dialect(self) -> Dialect | None:
        """Return the version that the VTN speaks as far as it is known without asking."""
        return self._dialect

    async def dialect(self) -> Dialect:
        """Return the version that the VTN speaks: as set, or found out once and remembered."""
        if self._dialect is None:
            async with self._probing:
                if self._dialect is None:
                    self._dialect = await find_dialect(self._talk)
                    log.info(vtn.SPEAKS(url=self._account.url, version=self._dialect.version))
        return self._dialect

    # -- reading ------------------------------------------------------------------------------

    async def programs(self, *, targets: Sequence[str] = ()) -> Listing[Program]:
        """List the programs that this VEN may see; with `targets`, joined with those for these targets."""
        return await self._list_with_targets(Program, "programs", (), targets)

    async def events(self, program_id: str | None = None, *, targets: Sequence[str] = ()) -> Listing[Event]:
        """List the events, of one program or of all; with `targets`, joined with those for these targets."""
        listing = await self._list_with_targets(Event, "events", _given(programID=program_id), targets)
        if (await self.dialect()).report_names_program:
            self._program_of = {one.id: one.program_id for one in listing.items if one.id}
        return listing

    async def has_event(self, event_id: str) -> bool:
        """Return whether the VTN still has an event; errors other than 404 and 410 come through."""
        try:
            await self._talk.call("GET", "events", event_id)
        except VtnProblem as problem:
            if problem.status in (404, 410):
                return False
            raise
        return True

    async def vens(self, name: str | None = None) -> Listing[Ven]:
        """List the VEN objects that this client may see: its own."""
        return await self._list(Ven, ("vens",), _given(venName=name))

    async def resources(self, ven_id: str | None = None, *, name: str | None = None) -> Listing[VenResource]:
        """List the resources of a VEN, or of all that this client may see."""
        dialect = await self.dialect()
        if not dialect.nested_resources:
            return await self._list(
                VenResource, ("resources",), _given(venID=ven_id, resourceName=name), remember=name is None
            )
        owners = [ven_id] if ven_id else [one.id for one in (await self.vens()).items if one.id]
        listing: Listing[VenResource] = Listing((), (), True, frozenset())
        for owner in owners:
            query = _given(resourceName=name)
            path = dialect.resources_at(owner)
            own = await self._list(VenResource, path, query, remember=name is None)
            items = tuple(one if one.ven_id else msgspec_replace(one, ven_id=owner) for one in own.items)
            listing = listing.joined(dataclass_replace(own, items=items))
        return listing

    async def find_resource(self, ven_id: str, name: str) -> VenResource | None:
        """Return the resource of a VEN that has exactly that name; None when the VTN lists none."""
        listed = await self.resources(ven_id, name=name)
        return next((one for one in listed.items if one.resource_name == name), None)

    async def reports(
        self,
        event_id: str | None = None,
        client_name: str | None = None,
        *,
        program_id: str | None = None,
        names: Collection[str] | None = None,
    ) -> Listing[Report]:
        """List the reports that the VTN holds of this client; with `names`, only those that have one of them.

        The VTN may hold very many, of which no more are kept in memory than are asked for.
        """
        query = _given(programID=program_id, eventID=event_id, clientName=client_name)

        def asked_for(report: Report) -> bool:
            return names is None or report.report_name in names

        return await self._list(Report, ("reports",), query, remember=False, kept=asked_for)

    async def notifiers(self) -> Notifiers | None:
        """Return the ways in which the VTN notifies; None when there is none (403, 404, unreadable): poll."""
        try:
            answer = await self._talk.call("GET", "notifiers", optional=True)
            found = (await self.dialect()).codec.decode(Notifiers, answer.body)
            return found if found != Notifiers() else None
        except (AuthRefused, WireError):
            return None
        except VtnProblem as problem:
            if problem.transient:
                raise
            return None

    @property
    def notices(self) -> Notices:
        """Return what is asked about notifications."""
        return Notices(self._talk, self.dialect)

    # -- registering --------------------------------------------------------------------------

    async def create_ven(self, name: str, attributes: Attributes = None) -> Ven:
        """Create this VEN's object. `VtnProblem.is_conflict` when the name, or our VEN, exists."""
        body = (await self.dialect()).codec.ven_request(name, attributes)
        return await self._one(Ven, await self._talk.call("POST", "vens", body=body))

    async def registration_refusal(self) -> VtnError | None:
        """Return why this client may not create a VEN, None when nothing is against it; creates nothing.

        The VTN is sent a body that is not JSON, which it cannot store: a client that may create a VEN gets an
        error about the body, another one is refused.
        """
        try:
            await self._talk.call("POST", "vens", body=b"{", repeatable=False, optional=True)
        except VtnError as error:
            return error
        return None

    async def update_ven(self, ven_id: str, name: str, attributes: Attributes = None) -> Ven:
        """Replace name and attributes of this VEN's object; its targets are not ours and stay."""
        held = await self._held("vens", ven_id)
        body = (await self.dialect()).codec.ven_request(name, attributes, held=held)
        return await self._one(Ven, await self._talk.call("PUT", "vens", ven_id, body=body))

    async def create_resource(self, ven_id: str, name: str, attributes: Attributes = None) -> VenResource:
        """Create a resource of the VEN. `VtnProblem.is_conflict` when its name exists."""
        dialect = await self.dialect()
        body = dialect.codec.resource_request(name, ven_id, attributes)
        answer = await self._talk.call("POST", *dialect.resources_at(ven_id), body=body)
        return await self._one(VenResource, answer)

    async def update_resource(
        self, resource_id: str, ven_id: str, name: str, attributes: Attributes = None
    ) -> VenResource:
        """Replace name and attributes of a resource; its targets are not ours and stay."""
        dialect = await self.dialect()
        path = (*dialect.resources_at(ven_id), resource_id)
        body = dialect.codec.resource_request(name, ven_id, attributes, held=await self._held(*path))
        return await self._one(VenResource, await self._talk.call("PUT", *path, body=body))

    async def delete_resource(self, resource_id: str, *, ven_id: str | None = None) -> bool:
        """Delete a resource (of `ven_id`, which 3.0.1 needs to know); False when it was gone already."""
        dialect = await self.dialect()
        if dialect.nested_resources and ven_id is None:
            held = (one for one in (await self.resources()).items if one.id == resource_id)
            ven_id = next((one.ven_id for one in held), None)
            if ven_id is None:
                return False
        try:
            await self._talk.call("DELETE", *dialect.resources_at(ven_id), resource_id)
        except VtnProblem as problem:
            if problem.is_not_found:
                return False
            raise
        return True

    # -- reporting ----------------------------------------------------------------------------

    async def create_report(self, report: Report) -> Report:
        """Send a report and give it as the VTN stored it.

        Sent again only when the VTN cannot have stored it. When that is in doubt the error is
        `ambiguous`: look for the report's name in `reports(...)` before sending it once more.
        """
        body = (await self.dialect()).codec.report_request(await self._named(report))
        answer = await self._talk.call("POST", "reports", body=body, repeatable=False)
        return await self._taken(answer)

    async def update_report(self, report_id: str, report: Report) -> Report:
        """Replace a report by a corrected one, complete, and give it as the VTN stored it."""
        body = (await self.dialect()).codec.report_request(await self._named(report))
        return await self._taken(await self._talk.call("PUT", "reports", report_id, body=body))

    async def _taken(self, answer: Answer) -> Report:
        stored = await self._one(Report, answer)
        self.report_status = answer.status
        return stored

    # -- state --------------------------------------------------------------------------------

    @property
    def clock_skew_s(self) -> float | None:
        """Return our clock minus the VTN's, in seconds, by its last answer; None before the first."""
        return self.status.clock_skew_s

    @property
    def status(self) -> ClientStatus:
        """Return a snapshot for people and for `ven status`."""
        tally = self._talk.exchange.tally if self._talk.exchange else Tally()
        tokens = self._talk.tokens
        return ClientStatus(
            url=self._account.url,
            version=self._dialect.version if self._dialect else None,
            token=tokens.state if tokens else "none",
            token_renewals=tokens.renewals if tokens else 0,
            scope=tokens.granted_scope if tokens else None,
            requests=tally.requests,
            retries=tally.retries,
            failures=tally.failures,
            refused_objects=self._refused_objects,
            last_ok=tally.last_ok,
            last_error=tally.last_error,
            last_error_at=tally.last_error_at,
            clock_skew_s=tally.clock_skew_s,
        )

    # -- inside -------------------------------------------------------------------------------

    async def _list_with_targets(
        self, kind: type[S], collection: str, query: Params, targets: Sequence[str]
    ) -> Listing[S]:
        # VTNs read a query without targets differently (Definition.md, "Object Privacy"): ask both ways.
        listing = await self._list(kind, (collection,), query)
        named = (await self.dialect()).target_query(targets)
        return listing.joined(await self._list(kind, (collection,), [*query, *named])) if named else listing

    async def _list(
        self,
        kind: type[S],
        path: tuple[str, ...],
        query: Params,
        *,
        remember: bool = True,
        kept: Callable[[S], bool] | None = None,
    ) -> Listing[S]:
        """Return a whole listing, of its objects those `kept`; pages to `remember` spare the next asking."""
        codec = (await self.dialect()).codec

        budget = ListingBudget(self._account.limits, self._talk.clock)

        async def fetch(skip: int, limit: int) -> Page[S]:
            budget.begin_page(skip)
            params = [*query, ("skip", str(skip)), ("limit", str(limit))]
            key = (path, tuple(params))
            held = self._pages.get(key)
            answer = await self._talk.call("GET", *path, params=params, etag=held.etag if held else None)
            if held is not None and answer.unchanged:
                budget.take(held.size, len(held.decoded.ids))
                return Page(held.decoded)
            size = len(answer.body)
            try:
                if size > AT_ONCE_BYTES:
                    # In parts and beside the event loop: others run meanwhile.
                    decoded = await asyncio.to_thread(codec.decode_list, kind, answer.body)
                else:
                    decoded = codec.decode_list(kind, answer.body)
            except WireError as error:
                raise self._talk.broken(answer, error) from error
            budget.take(size, len(decoded.ids))
            if kept is not None:
                decoded = msgspec_replace(decoded, items=[one for one in decoded.items if kept(one)])
            if remember:
                self._pages.keep(key, answer.headers.get("ETag"), decoded, size)
            return Page(decoded, changed=held is not None)

        place = (path, tuple(query))
        listing = await read_listing(fetch, self._listed.get(place, ()))
        if remember and listing.complete:
            self._listed[place] = listing.ids
        self._note_refused(listing)
        self._note_limit(place, listing.limited)
        return listing

    def _note_limit(self, place: tuple[tuple[str, ...], Params], limit: Text | None) -> None:
        """Log once when a listing is over a limit, and once when it is not any more."""
        key = "/".join(place[0])
        if limit is not None and key not in self._limited:
            self._limited.add(key)
            log.warning(vtn.LISTING_LIMITED(place=foreign(key), url=self._account.url, limit=limit))
        elif limit is None and key in self._limited:
            self._limited.discard(key)
            log.info(vtn.LISTING_WHOLE(place=foreign(key), url=self._account.url))

    async def _one(self, kind: type[S], answer: Answer) -> S:
        try:
            return (await self.dialect()).codec.decode(kind, answer.body)
        except WireError as error:
            broken = self._talk.broken(answer, error)
            broken.ambiguous = True
            raise broken from error

    async def _held(self, *path: str) -> bytes | None:
        """Return an object as it is at a VTN whose PUT replaces what is not ours as well."""
        if not (await self.dialect()).nested_resources:
            return None
        return (await self._talk.call("GET", *path)).body

    async def _named(self, report: Report) -> Report:
        """Return a report with its program, where the VTN wants it named."""
        if report.program_id is not None or not (await self.dialect()).report_names_program:
            return report
        program_id = self._program_of.get(report.event_id)
        if program_id is None:
            event = await self._one(Event, await self._talk.call("GET", "events", report.event_id))
            program_id = self._program_of[report.event_id] = event.program_id
        return msgspec_replace(report, program_id=program_id)

    def _note_refused(self, listing: Listing[S]) -> None:
        """Count what could not be understood, and log each object once, those with one reason together."""
        self._refused_objects += len(listing.refused)
        for message, odd in ((vtn.OBJECT_SKIPPED, listing.refused), (vtn.MEMBERS_SKIPPED, listing.ignored)):
            fresh: dict[str, list[str]] = {}
            for one in odd:
                key = (one.id or one.place, one.reason)
                if key not in self._known_refusals and len(self._known_refusals) < _REMEMBERED_REFUSALS:
                    self._known_refusals.add(key)
                    fresh.setdefault(with_code(one.reason), []).append(foreign(one.place))
            # One mistake of a VTN is often in each of its objects.
            for reason, (place, *others) in fresh.items():
                more = vtn.MORE_OBJECTS(count=len(others)) if others else ""
                log.warning(message(place=f"{place}{more}", url=self._account.url, reason=reason))


def _given(**members: str | None) -> Params:
    return [(name, value) for name, value in members.items() if value is not None]
