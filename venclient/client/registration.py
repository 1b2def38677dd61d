"""Registration that may be repeated: the VEN and its resources exist once, however often it is asked for.

`reconcile` does what a `Difference` asks for, several requests at a time. It stores nothing itself:
when it is interrupted, the next difference is smaller by what was done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from venclient.client.difference import Difference, Update, Wanted, drifts_of
from venclient.client.ven_client import Attributes, VenClient
from venclient.errors import AuthRefused, VenError, VtnError, VtnProblem, WireError
from venclient.messages import client as vtn
from venclient.messages.printable import foreign
from venclient.openadr.objects import ValuesMap, Ven, VenResource

log = logging.getLogger(__name__)

#: Answers that say that a client may not do this at all: rights, or a VTN without it.
NOT_ALLOWED = frozenset({401, 403, 404, 405, 501})
#: How many resources are registered at the same time.
AT_ONCE = 8


async def ensure_ven(client: VenClient, name: str, attributes: Attributes = None) -> Ven:
    """Return this VEN's object: found, created, or adopted when another client created it meanwhile.

    `VtnProblem.is_conflict` when another client holds the name. Attributes are brought up to date
    where some are given; targets, which the VTN's operator grants, are left alone. Where only the operator
    creates VENs, the one VEN of this client is taken under the name that it has there.
    """
    try:
        found = await _named_ven(client, name)
    except (AuthRefused, VtnProblem) as error:
        raise _not_allowed(error, name) if may_not_register(error) else error from error
    if found is None:
        try:
            return await client.create_ven(name, attributes)
        except (AuthRefused, VtnProblem) as problem:
            if may_not_register(problem):
                return await _given_ven(client, name, problem)
            if not isinstance(problem, VtnProblem) or not problem.is_conflict:
                raise
            found = await _named_ven(client, name) or await _renamed_ven(client)
            if found is None:
                raise _taken(problem, name, await _lone_ven(client)) from problem
    held = found.attributes or ()
    wanted = held if attributes is None else attributes
    fits = not drifts_of(wanted, held, ours={one.type for one in held})
    if found.id is None or (found.ven_name == name and fits):
        return found
    try:
        return await client.update_ven(found.id, name, wanted)
    except (AuthRefused, VtnProblem) as error:
        if not may_not_register(error) or attributes is not None:
            raise
        log.info(vtn.NOT_RENAMED(other=foreign(found.ven_name)))
        return found


def may_not_register(error: VtnError) -> bool:
    """Return whether an error says that this client may not read or write VENs, whatever it sends.

    False for a token service that refuses the login: that is about every request.
    """
    return error.answered and error.status in NOT_ALLOWED


async def _given_ven(client: VenClient, name: str, refusal: VtnError) -> Ven:
    """Return the VEN that the operator created for this client; raise the refusal where there is none."""
    try:
        listed = (await client.vens()).items
    except VtnError as error:
        raise _not_allowed(refusal, name) from error
    own = [one for one in listed if client.client_id is not None and one.client_id == client.client_id]
    if len(own) == 1 and own[0].id is not None:
        log.info(vtn.ADOPTED_VEN(name=name, other=foreign(own[0].ven_name)))
        return own[0]
    raise _not_allowed(refusal, name, listed[0].ven_name if len(listed) == 1 else None) from refusal


def _not_allowed(error: VtnError, name: str, other: str | None = None) -> VtnError:
    """Return an error of the same status that says what to do about a VEN that we may not register."""
    said = str(error.what)
    what = vtn.MAY_NOT_REGISTER(name=name, said=said)
    if other is not None:
        what = vtn.MAY_NOT_REGISTER_BUT(name=name, said=said, other=foreign(other))
    refused = AuthRefused(what, subject=error.subject)
    refused.answered, refused.status = True, error.status
    return refused


class ResourcePort(Protocol):
    """What of a `VenClient` registers resources."""

    async def create_resource(self, ven_id: str, name: str, attributes: Attributes = None) -> VenResource:
        """Create a resource; `VtnProblem.is_conflict` when its name exists."""
        ...

    async def update_resource(
        self, resource_id: str, ven_id: str, name: str, attributes: Attributes = None
    ) -> VenResource:
        """Replace name and attributes of a resource."""
        ...

    async def find_resource(self, ven_id: str, name: str) -> VenResource | None:
        """Return the resource of that name, None when the VTN lists none."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a reconciliation is: resources looked after, of how many; `failed` among them."""

    done: int
    of: int
    failed: int


@dataclass
class Reconciled:
    """What became of it: objects as the VTN holds them now, and refusals, both by resource name.

    `stopped` is why it was given up before the end, when the VTN had gone or refused us as a whole:
    those that are in neither were not asked for, or their fate is not known.
    """

    held: dict[str, VenResource] = field(default_factory=dict)
    created: int = 0
    updated: int = 0
    refused: dict[str, VenError] = field(default_factory=dict)
    stopped: VtnError | None = None


async def reconcile(
    client: ResourcePort,
    ven_id: str,
    what: Difference,
    *,
    at_once: int = AT_ONCE,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Reconciled:
    """Create and update what a difference asks for, at most `at_once` at a time.

    One that is refused stops no other. A VTN that has gone, or refuses the token or scope, is not asked
    for each of a thousand: it ends there. Nothing is deleted.
    """
    result = Reconciled(held={one.resource_name: one for one in what.adopt})
    steps: Iterator[Wanted | Update] = iter((*what.create, *what.update))
    of, done = len(what.create) + len(what.update), 0

    async def work() -> None:
        nonlocal done
        for step in steps:
            if result.stopped is not None:
                return
            name = step.name if isinstance(step, Wanted) else step.wanted.name
            try:
                result.held[name] = await _done(client, ven_id, step)
            except (VtnError, WireError) as error:
                if isinstance(error, VtnError) and _of_all(error, result):
                    result.stopped = result.stopped or error
                    return
                result.refused[name] = error
            else:
                result.created += isinstance(step, Wanted)
                result.updated += isinstance(step, Update)
            done += 1
            progress(Progress(done, of, len(result.refused)))

    async with asyncio.TaskGroup() as group:
        for _ in range(max(1, min(at_once, of))):
            group.create_task(work())
    return result


def _of_all(error: VtnError, result: Reconciled) -> bool:
    """Return whether an error is about every resource: the VTN is away, or lets this client create none."""
    if error.transient or isinstance(error, AuthRefused):
        return True
    return error.subject.startswith("POST ") and not result.created and may_not_register(error)


async def _done(client: ResourcePort, ven_id: str, step: Wanted | Update) -> VenResource:
    if isinstance(step, Wanted):
        return await ensure_resource(client, ven_id, step.name, step.attributes)
    if step.held.id is None:
        raise WireError(vtn.NO_OBJECT_ID(), subject=step.wanted.name)
    return await client.update_resource(step.held.id, ven_id, step.wanted.name, step.attributes)


async def ensure_resource(
    client: ResourcePort, ven_id: str, name: str, attributes: Attributes = None
) -> VenResource:
    """Return one resource of the VEN: created, or adopted and brought up to date where its name exists.

    `VtnProblem.is_conflict` when the VTN says that the name exists, and lists no such resource of ours.
    """
    try:
        return await client.create_resource(ven_id, name, attributes)
    except VtnProblem as problem:
        if not problem.is_conflict:
            raise
        found = await client.find_resource(ven_id, name)
        if found is None:
            raise _taken(problem, name) from problem
    # Attributes of others and another order are not changes.
    if found.id is None or not drifts_of(attributes or (), found.attributes, ours=()):
        return found
    return await client.update_resource(found.id, ven_id, name, _merged(found.attributes, attributes))


async def _named_ven(client: VenClient, name: str) -> Ven | None:
    for ven in (await client.vens(name)).items:
        if ven.ven_name == name:
            return ven
    return None


async def _renamed_ven(client: VenClient) -> Ven | None:
    """Return the one VEN that is surely ours, under whatever name; VTNs may allow one for each client."""
    if client.client_id is None:
        return None
    own = [ven for ven in (await client.vens()).items if ven.client_id == client.client_id]
    return own[0] if len(own) == 1 else None


async def _lone_ven(client: VenClient) -> Ven | None:
    """Return the one VEN that the VTN shows us without saying whose it is; None where there are others."""
    listed = (await client.vens()).items
    return listed[0] if len(listed) == 1 and listed[0].client_id is None else None


def _taken(problem: VtnProblem, name: str, lone: Ven | None = None) -> VtnProblem:
    what = vtn.NAME_TAKEN(name=name)
    if lone is not None:
        what = vtn.NAME_TAKEN_BUT(name=name, status=problem.status, other=foreign(lone.ven_name))
    return VtnProblem(
        what,
        status=problem.status,
        subject=problem.subject,
        title=problem.title,
        detail=problem.detail,
    )


def _merged(held: list[ValuesMap] | None, wanted: Attributes) -> list[ValuesMap]:
    ours = {one.type for one in wanted or ()}
    return [*(wanted or ()), *(one for one in held or () if one.type not in ours)]
