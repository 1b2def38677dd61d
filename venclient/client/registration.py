"""Registration that may be repeated: the VEN and its resources exist once, however often it is asked for."""

from __future__ import annotations

from venclient.client.ven_client import Attributes, VenClient
from venclient.errors import VtnProblem
from venclient.openadr.objects import ValuesMap, Ven, VenResource

_TAKEN = "another client of this VTN holds it; choose another ven.name or ask the VTN's operator"


async def ensure_ven(client: VenClient, name: str, attributes: Attributes = None) -> Ven:
    """Give this VEN's object: found, created, or adopted when somebody else created it meanwhile.

    `VtnProblem.is_conflict` when another client holds the name. Attributes are brought up to date
    where some are given; targets, which the VTN's operator grants, are left alone.
    """
    found = await _named_ven(client, name)
    if found is None:
        try:
            return await client.create_ven(name, attributes)
        except VtnProblem as problem:
            if not problem.is_conflict:
                raise
            found = await _named_ven(client, name) or await _renamed_ven(client)
            if found is None:
                raise _taken(problem, name) from problem
    if found.id is None or (found.ven_name == name and not _differ(found.attributes, attributes)):
        return found
    return await client.update_ven(found.id, name, attributes if attributes is not None else found.attributes)


async def ensure_resource(
    client: VenClient,
    ven_id: str,
    name: str,
    attributes: Attributes = None,
    *,
    known: VenResource | None = None,
) -> VenResource:
    """Give one resource of the VEN: `known` when it fits, or found, created, adopted or updated.

    Pass what `client.resources(ven_id)` listed as `known`, to save a request for each resource.
    """
    found = known or await _named_resource(client, ven_id, name)
    if found is None:
        try:
            return await client.create_resource(ven_id, name, attributes)
        except VtnProblem as problem:
            if not problem.is_conflict:
                raise
            found = await _named_resource(client, ven_id, name)
            if found is None:
                raise _taken(problem, name) from problem
    if found.id is None or not _differ(found.attributes, attributes):
        return found
    return await client.update_resource(found.id, ven_id, name, attributes)


async def _named_ven(client: VenClient, name: str) -> Ven | None:
    for ven in (await client.vens(name)).items:
        if ven.ven_name == name:
            return ven
    return None


async def _renamed_ven(client: VenClient) -> Ven | None:
    """Give the one VEN that is surely ours, under whatever name; VTNs may allow one for each client."""
    if client.client_id is None:
        return None
    own = [ven for ven in (await client.vens()).items if ven.client_id == client.client_id]
    return own[0] if len(own) == 1 else None


async def _named_resource(client: VenClient, ven_id: str, name: str) -> VenResource | None:
    for resource in (await client.resources(ven_id, name=name)).items:
        if resource.resource_name == name:
            return resource
    return None


def _taken(problem: VtnProblem, name: str) -> VtnProblem:
    return VtnProblem(
        f"the name {name!r} is taken",
        status=problem.status,
        subject=problem.subject,
        hint=_TAKEN,
        title=problem.title,
        detail=problem.detail,
    )


def _differ(held: list[ValuesMap] | None, wanted: Attributes) -> bool:
    """True when attributes are wanted that are not held; numbers count by value, other order is no change."""
    if wanted is None:
        return False
    return _by_type(held or ()) != _by_type(wanted)


def _by_type(attributes: list[ValuesMap] | tuple[()] | Attributes) -> dict[str, list[object]]:
    return {attribute.type: list(attribute.values) for attribute in attributes or ()}
