"""`ven resources history`: what happened to one resource, and who did it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from venclient.cli.resources import DEFAULT_REGISTRY, JsonOption, RegistryOption, open_registry, print_json
from venclient.screen import say

if TYPE_CHECKING:
    from venclient.registry.changes import Change


def history(
    wanted: Annotated[str, typer.Argument(metavar="RESOURCE", help="Id or name of the resource.")],
    db: RegistryOption = DEFAULT_REGISTRY,
    as_json: JsonOption = False,
) -> None:
    """List every change of a resource.

    Shows when, who, and the old and new value; changes of its connections are included.

    Changes that other programs made in the tables are not recorded. A deleted resource is found by its id.
    Exit status 1 for an unknown resource.
    """
    from venclient.cli.choosing import resource_named
    from venclient.messages import cli_resources as clr

    with open_registry(db) as registry:
        found = registry.history(wanted)
        if not found:
            found = registry.history(resource_named(registry, wanted).resourceID)
    if as_json:
        print_json([as_dict(change) for change in found])
        return
    if not found:
        say(clr.NO_HISTORY(name=wanted))
    for change in found:
        subject = "" if change.kind == "registry" else f" {change.subject}"
        moment = change.at.strftime("%Y-%m-%d %H:%M:%S")
        say(f"{moment} UTC  {change.actor}  {change.action} {change.kind}{subject}")
        for line in differences(change):
            say(f"    {line}")


def as_dict(change: Change) -> dict[str, Any]:
    """Return a change as JSON can hold it."""
    names = ("id", "actor", "action", "kind", "subject", "before", "after")
    return {"at": change.at.isoformat()} | {name: getattr(change, name) for name in names}


def differences(change: Change) -> Iterator[str]:
    """Yield a line for each member that a change altered, or that what it made or deleted has."""
    before, after = dict(_members(change.before)), dict(_members(change.after))
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if change.action == "update":
            yield f"{name}: {_shown(old)} -> {_shown(new)}"
        else:
            yield f"{name}: {_shown(old if change.after is None else new)}"


def _members(told: dict[str, Any] | None, place: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in (told or {}).items():
        if isinstance(value, dict) and value:
            yield from _members(value, f"{place}{name}.")
        else:
            yield f"{place}{name}", value


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
