"""A tour of the resource database: what each query is for, and what it returns on the stored data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from venclient.errors import NotFound
from venclient.messages import Message
from venclient.messages import registry as reg
from venclient.model.resource import Resource, ResourceType
from venclient.registry.database import ResourceDatabase
from venclient.registry.opening import holds_registry, is_url, shown

_SHOWN = 3
_FILLING = " or ".join(("`python prepare_samples.py`", "`ven import FILE...`"))


def tour(db_path: str | Path, say: Callable[[str], object] = print) -> None:
    """Run one example of each query and `say` what came of it, a line at a time.

    NotFound, saying what to run first, when the database is missing or empty.
    """
    if not holds_registry(db_path):
        raise _nothing(db_path, reg.TOUR_NO_REGISTRY if is_url(db_path) else reg.TOUR_NO_FILE)
    with ResourceDatabase(db_path) as db:
        every = db.get_all_resources()
        if not every:
            raise _nothing(db_path, reg.TOUR_EMPTY)
        say(f"get_all_resources(): {len(every)} resources in {db.db_path}")
        _show(every, say)

        say("")
        for kind in ResourceType:
            found = db.get_resources_by_type(kind.name)
            say(f"get_resources_by_type({kind.name!r}): {len(found)} ({kind.value})")

        statistics = db.get_statistics()
        say("")
        say("get_statistics():")
        for name, value in statistics.items():
            counts = ", ".join(f"{key} {n}" for key, n in value.items()) if isinstance(value, dict) else value
            say(f"  {name}: {counts}")

        for ven in list(statistics["top_10_vens"])[:1]:
            found = db.get_resources_by_ven(ven)
            power_kw = sum(resource.capacities.get("P_max_kw") or 0 for resource in found)
            say("")
            say(reg.TOUR_VEN(ven=ven, count=len(found), power_kw=power_kw))
            _show(found, say)
            switched_on = db.count(ven=ven, enabled=True)
            say(f"count(ven={ven!r}, enabled=True): {switched_on}")

        one = db.get_resource(every[0].resourceID)
        if one is not None:
            say("")
            say(f"get_resource({one.resourceID!r}):")
            say(f"  meter point {one.meterPointId}, {one.address or 'no address'}")
            say(f"  capacities {one.capacities}, location {one.location}")
            say(f"  read through {one.connection.endpoint}")
        say(f"get_resource('no-such-id'): {db.get_resource('no-such-id')}")
        if db.rejects:
            say("")
            first = db.rejects[0]
            say(reg.TOUR_LEFT_OUT(count=len(db.rejects), place=first.place, reason=first.reason))


def _show(found: Iterable[Resource], say: Callable[[str], object]) -> None:
    for number, resource in enumerate(found):
        if number == _SHOWN:
            say("  ...")
            return
        kind = f"{resource.resourceType}, {resource.resourceSubType}"
        say(f"  {resource.resourceID}  {resource.resourceName} ({kind}), {resource.ven}")


def _nothing(db_path: str | Path, message: Message) -> NotFound:
    return NotFound(message(command=_FILLING), subject=shown(db_path))
