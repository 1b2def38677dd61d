"""`ven db changes`: what was changed in the registry, when, and by whom."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from venclient.cli.resources import DEFAULT_REGISTRY, JsonOption, RegistryOption, open_registry, print_json
from venclient.screen import say

if TYPE_CHECKING:
    from venclient.registry.changes import Change
    from venclient.registry.database import ResourceDatabase


def changes(
    db: RegistryOption = DEFAULT_REGISTRY,
    resource: Annotated[
        str | None, typer.Option("--resource", help="Only this resource and its connections: id or name.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Start (inclusive): 2026-03-01, 2026-03-01T12:00Z or 7d.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="End (exclusive).")] = None,
    actor: Annotated[
        str | None, typer.Option("--actor", help="Only by this user: USER, USER@HOST or USER@HOST:PID.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Maximum number of changes, the newest ones.", min=1)] = 100,
    as_json: JsonOption = False,
) -> None:
    """List changes of the registry by time and user.

    Each has a line with its time (UTC), user and subject, and a line for each value that
    changed. Changes that other programs made in the tables are not recorded. Passwords are
    never shown.
    """
    from venclient.cli.moments import moment_of
    from venclient.cli.resources_history import as_dict, differences
    from venclient.messages import cli_db as cld
    from venclient.messages.printable import foreign

    first = moment_of("--since", since) if since else None
    last = moment_of("--until", until) if until else None
    with open_registry(db) as registry:
        if resource is None:
            found = registry.changes_between(first, last, actor=actor, limit=limit)
        else:
            found = _of_resource(registry, resource, first, last, actor)[-limit:]
    if as_json:
        print_json([as_dict(change) for change in found])
        return
    for change in found:
        subject = "" if change.kind == "registry" else f" {foreign(change.subject or '')}"
        moment = change.at.strftime("%Y-%m-%d %H:%M:%S")
        say(f"{moment} UTC  {foreign(change.actor)}  {change.action} {change.kind}{subject}")
        for line in differences(change):
            say(f"    {line}")
    say(cld.CHANGES_SHOWN(count=len(found)))


def _of_resource(
    registry: ResourceDatabase, wanted: str, first: datetime | None, last: datetime | None, actor: str | None
) -> list[Change]:
    """Return the changes of a resource and its connections, oldest first; one that was deleted by its id."""
    from venclient.cli.choosing import resource_named
    from venclient.registry.changes import is_by

    found = registry.history(wanted)
    if not found:
        found = registry.history(resource_named(registry, wanted).resourceID)
    return [
        one
        for one in found
        if (first is None or one.at >= first)
        and (last is None or one.at < last)
        and (actor is None or is_by(one.actor, actor))
    ]
