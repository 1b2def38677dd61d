"""The resource that a command names: by its id, or by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from venclient.errors import Conflict, NotFound
from venclient.messages import cli_meters as clm
from venclient.messages.printable import foreign

if TYPE_CHECKING:
    from venclient.model.resource import Resource
    from venclient.registry.database import ResourceDatabase

#: How many ids or names an error lists.
LISTED = 5


def resource_named(registry: ResourceDatabase, wanted: str) -> Resource:
    """Return the resource with the id `wanted`, or else the one with that name, ignoring case.

    Raises Conflict when several have the name; NotFound lists names that contain the words of `wanted`.
    """
    from venclient.registry.query import Query

    by_id = registry.get_resource(wanted)
    if by_id is not None:
        return by_id
    named: list[Resource] = []
    similar: list[str] = []
    found = registry.query(Query().with_text(wanted)).iterate() if wanted.strip() else ()
    for one in found:
        if one.resourceName.casefold() == wanted.casefold():
            named.append(one)
        elif len(similar) < LISTED:
            similar.append(one.resourceName)
    if len(named) == 1:
        return named[0]
    if named:
        ids = [one.resourceID for one in named[:LISTED]]
        raise Conflict(clm.SEVERAL(count=len(named), ids=ids), subject=foreign(wanted))
    if similar:
        names = ", ".join(repr(foreign(one)) for one in similar)
        raise NotFound(clm.NOT_FOUND_SIMILAR(names=names), subject=foreign(wanted))
    raise NotFound(clm.NOT_FOUND(), subject=foreign(wanted))
