"""`ven read RESOURCE`: what one meter says now, read directly, without the gateway."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from venclient.cli.resources import DEFAULT_REGISTRY, RegistryOption, open_registry
from venclient.messages import cli_meters as clm
from venclient.messages import in_full, with_code
from venclient.messages.printable import foreign
from venclient.screen import say, say_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from venclient.model.reading import Reading, Reject
    from venclient.model.resource import Resource

SHOWN_REJECTS = 5


def read(
    resource: Annotated[str, typer.Argument(help="Id or name of the resource.", show_default=False)],
    db: RegistryOption = DEFAULT_REGISTRY,
    timeout_s: Annotated[
        float, typer.Option("--timeout", help="Seconds to wait for a value.", min=0.1, max=3600)
    ] = 10.0,
    plan: Annotated[
        bool, typer.Option("--plan", help="Show the requests that a read takes (Modbus), and read nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Read one meter now and print every value it reports.

    A device that allows a single connection cannot be read while the gateway holds it.
    """
    if plan:
        _show_plan(find_resource(db, resource), folder_of(db), as_json=as_json)
        return
    from venclient.connectors.snapshot import one_shot_site, run_to_end, take_snapshot

    chosen = find_resource(db, resource)
    site = one_shot_site(folder_of(db))
    rejects: list[Reject] = []
    found = run_to_end(take_snapshot(chosen, site, timeout_s=timeout_s, rejects=rejects))
    newest = {quantity: readings[-1] for quantity, readings in sorted(found.items())}
    if as_json:
        values = {q: {"value": r.value, "time": r.time.isoformat()} for q, r in newest.items()}
        text = {
            "resource_id": chosen.resourceID,
            "resource_name": chosen.resourceName,
            "readings": values,
            "rejects": [{"place": one.place, "reason": one.reason} for one in rejects],
        }
        say_json(json.dumps(text, ensure_ascii=False))
        return
    say(f"{chosen.resourceName}  {chosen.connection.endpoint}")
    width = max((len(quantity) for quantity in newest), default=0)
    for quantity, reading in newest.items():
        say(
            f"  {quantity:<{width}}  {reading.value:>12.6g}  {reading.time:%Y-%m-%d %H:%M:%S} UTC"
            + ("" if reading.quality == "good" else f"  {reading.quality}")
        )
    show_doubts(chosen, newest.values())
    if not newest:
        say(f"  {clm.NO_VALUE_NOW()}")
    show_rejects(rejects)


def show_rejects(rejects: Sequence[Reject]) -> None:
    """Print what could not be read: the first ones with their reasons, and how many there are more."""
    for one in rejects[:SHOWN_REJECTS]:
        line = clm.NOT_READ(place=foreign(one.place), reason=with_code(one.reason))
        say(f"  {line}")
    if len(rejects) > SHOWN_REJECTS:
        say(f"  {clm.NOT_READ_MORE(count=len(rejects) - SHOWN_REJECTS)}")


def show_doubts(chosen: Resource, newest: Iterable[Reading]) -> None:
    """Print what is wrong with values that were read once, value by value."""
    from venclient.clock import SystemClock
    from venclient.read_once import doubts_of

    for one in doubts_of(chosen, newest, SystemClock().now()):
        say(f"  {in_full(one)}")


def _show_plan(chosen: Resource, folder: Path, *, as_json: bool) -> None:
    from venclient.connectors.snapshot import one_shot_site, run_to_end
    from venclient.errors import ConfigError
    from venclient.model.resource import ConnectionType

    connection = chosen.connection
    if connection.type is not ConnectionType.MODBUSTCP or "connector" in (connection.options or {}):
        raise ConfigError(clm.NO_PLAN(), subject=f"{chosen.resourceName} ({connection.endpoint})")
    import msgspec

    from venclient.connectors.modbus_survey import plan_of

    planned = run_to_end(plan_of(chosen, one_shot_site(folder)))
    if as_json:
        say_json(json.dumps(msgspec.to_builtins(planned), ensure_ascii=False))
        return
    say(f"{chosen.resourceName}  {connection.endpoint}  {len(planned)} request(s)")
    for one in planned:
        unit = "register" if one.count == 1 else "registers"
        say(f"  {one.place}  ({one.count} {unit})  {', '.join(one.quantities)}")


def folder_of(db: str) -> Path:
    """Return the folder at which relative meter files start: the database's, or the current one for a URL."""
    from venclient.registry.opening import is_url

    return Path.cwd() if is_url(db) else Path(db).resolve().parent


def find_resource(db: str, wanted: str) -> Resource:
    """Return the resource with that id, else the one with that name; NotFound lists similar names."""
    from venclient.cli.choosing import resource_named

    with open_registry(db) as registry:
        return resource_named(registry, wanted)
