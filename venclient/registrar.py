"""What a VTN holds of a site against what the registry says: shown, brought in line, tidied on request.

A part of the composition root for single commands; the gateway does the same as it goes (`vtn_side.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from venclient.client import (
    Difference,
    Progress,
    Reconciled,
    VenClient,
    difference,
    ensure_ven,
    reconcile,
)
from venclient.client.registration import AT_ONCE
from venclient.errors import AuthRefused, ConfigError, VenError, VtnError, WireError
from venclient.messages import gateway as gwy
from venclient.messages import within
from venclient.model.resource import Resource
from venclient.openadr.objects import Ven, VenResource
from venclient.registered import enabled_resources, registry_of
from venclient.registry.database import ResourceDatabase
from venclient.reporting.registration import OURS, resource_names
from venclient.settings import Settings
from venclient.vtn_side import wanted_resources


@dataclass(frozen=True)
class Served:
    """The resources that a VTN hears of, by id, and their names there; `problems` name bad records."""

    resources: Mapping[str, Resource]
    names: Mapping[str, str]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """What a VTN holds (`ven` is None where it knows none of our name) and what to do about it.

    `problems` are about our side: what cannot be sent, or could not be read.
    """

    ven: Ven | None
    what: Difference
    problems: tuple[str, ...] = ()


@dataclass
class Removed:
    """What became of a clean-up: how many objects went, refusals by name, and why it ended early."""

    deleted: int = 0
    refused: dict[str, VenError] = field(default_factory=dict)
    stopped: VtnError | None = None


def side_of(settings: Settings, name: str | None) -> Settings:
    """Return the settings for one VTN, without a name the first; ConfigError when it is unknown."""
    if not name:
        return settings
    if name not in settings.others:
        known = ", ".join(settings.others) or gwy.NO_FURTHER()
        raise ConfigError(gwy.UNKNOWN_VTN(known=known), subject=f"--vtn {name}")
    return settings.others[name]


def served_resources(settings: Settings) -> Served:
    """Return the enabled resources that these settings report to the VTN, as a gateway would."""
    database, key_file = registry_of(settings)
    with ResourceDatabase(database, key_file=key_file) as registry:
        resources = enabled_resources(registry, settings["ven.resources"])
        problems = tuple(within(reject.reason, f"{reject.place}: ") for reject in registry.rejects)
    return Served(resources, resource_names(tuple(resources.values())), problems)


async def find_ven(client: VenClient, name: str) -> Ven | None:
    """Return our VEN object by its name; None where the VTN shows none."""
    return next((one for one in (await client.vens(name)).items if one.ven_name == name), None)


async def compare(client: VenClient, settings: Settings, served: Served) -> Comparison:
    """Return what is missing, different and surplus at the VTN; nothing is changed there."""
    ven = await find_ven(client, settings["ven.name"])
    return await _compared(client, settings, served, ven)


async def _compared(client: VenClient, settings: Settings, served: Served, ven: Ven | None) -> Comparison:
    said: list[str] = []
    wanted = wanted_resources(settings, served.resources.values(), served.names, said)
    held: Sequence[VenResource] = ()
    if ven is not None and ven.id is not None:
        listing = await client.resources(ven.id)
        held = listing.items
        said += [f"{refused.place}: {refused.reason}" for refused in listing.refused]
    what = difference(wanted, held, ours=OURS, ven_id=ven.id if ven else None)
    return Comparison(ven, what, (*served.problems, *said))


async def register(
    client: VenClient,
    settings: Settings,
    served: Served,
    *,
    at_once: int = AT_ONCE,
    progress: Callable[[Progress], None] = lambda _: None,
) -> tuple[Comparison, Reconciled]:
    """Bring VEN and resources at the VTN to what the registry says; give what was found, and what became.

    Broken off, it is gone on with by the next call: what stands there already is not asked for again.
    """
    ven = await ensure_ven(client, settings["ven.name"])
    if ven.id is None:
        raise WireError(gwy.VEN_WITHOUT_ID(), subject=ven.ven_name)
    found = await _compared(client, settings, served, ven)
    return found, await reconcile(client, ven.id, found.what, at_once=at_once, progress=progress)


async def remove(
    client: VenClient,
    ven_id: str | None,
    extra: Sequence[VenResource],
    *,
    at_once: int = AT_ONCE,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Removed:
    """Delete resource objects at the VTN, at most `at_once` at a time; a missing one is not an error."""
    result = Removed()
    steps: Iterator[VenResource] = iter(extra)
    done = 0

    async def work() -> None:
        nonlocal done
        for one in steps:
            if result.stopped is not None:
                return
            try:
                if one.id is None:
                    raise WireError(gwy.RESOURCE_WITHOUT_ID(), subject=one.resource_name)
                await client.delete_resource(one.id, ven_id=one.ven_id or ven_id)
            except (VtnError, WireError) as error:
                if isinstance(error, VtnError) and (error.transient or isinstance(error, AuthRefused)):
                    result.stopped = result.stopped or error
                    return
                result.refused[one.resource_name] = error
            else:
                result.deleted += 1
            done += 1
            progress(Progress(done, len(extra), len(result.refused)))

    async with asyncio.TaskGroup() as group:
        for _ in range(max(1, min(at_once, len(extra)))):
            group.create_task(work())
    return result
