"""`ven resources set`: the same change in many resources at once."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from venclient.cli.conditions import with_query
from venclient.cli.resources import DEFAULT_REGISTRY, RegistryOption, open_registry, tell_what_there_is
from venclient.messages.printable import foreign
from venclient.screen import say

if TYPE_CHECKING:
    from venclient.registry.database import ResourceDatabase
    from venclient.registry.query import Query
    from venclient.registry.writing import Progress

#: Values written as JSON on the command line. Everything else is taken as it is typed.
_JSON = ("capacities", "location", "enabled", "reporting.units", "connection.port", "connection.options")
_MANY = 1_000
#: How many of the selected resources are named.
_NAMED = 5


@with_query
def set_fields(
    query: Query,
    fields: Annotated[
        list[str],
        typer.Argument(metavar="FIELD=VALUE...", help="reporting.interval=PT15M, enabled=false, ven=Ikast."),
    ],
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where", metavar="KEY=VALUE", help="A condition in words: type=EV, min_p_max=50; repeatable."
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Change all resources; required without a condition.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; show what would.")] = False,
    db: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Change fields of resources that meet all conditions.

    Changes all of them or none.

    Fields are named as `ven resources show` names them; dots lead inside: capacities.P_max_kw=60. An empty
    value or null removes one. Everything is checked before anything is stored; warnings go to standard error.
    """
    from venclient.cli.resources_warnings import print_warnings
    from venclient.errors import ConfigError
    from venclient.messages import cli_resources as clr
    from venclient.registry.query import Query

    changes = dict(_field(one) for one in fields)
    conditions: dict[str, list[str]] = {}
    for pair in where or ():
        key, value = _pair(pair, "--where")
        conditions.setdefault(key, []).append(value)
    asked = Query.parse(conditions, lambda key: f"--where {key}")
    if query == asked == Query() and not every:
        raise ConfigError(clr.NO_CONDITION())
    with open_registry(db) as registry:
        chosen = registry.query(query).ids()
        if where:
            both = set(registry.query(asked).ids())
            chosen = [one for one in chosen if one in both]
        for one in (query, asked):
            tell_what_there_is(registry, one)
        with _Bar(len(chosen)) as bar:
            changed = registry.set_where(chosen, changes, dry_run=dry_run, progress=bar.progress)
        print_warnings(registry.last_warnings)
        names = ", ".join(_name(registry, one) for one in chosen[:_NAMED])
    if not chosen:
        say(clr.NOTHING_SELECTED())
        return
    more = f" and {len(chosen) - _NAMED} more" if len(chosen) > _NAMED else ""
    text = clr.WOULD_CHANGE if dry_run else clr.CHANGED
    say(text(changed=changed, count=len(chosen), names=names, more=more))


def _name(registry: ResourceDatabase, id_: str) -> str:
    """Return the name of a resource; its id where its row cannot be read."""
    from venclient.errors import InvalidRecord

    try:
        resource = registry.get_resource(id_)
    except InvalidRecord:
        return id_
    return foreign(resource.resourceName) if resource else id_


class _Bar:
    """A progress bar on standard error for many resources, on a terminal only."""

    def __init__(self, total: int) -> None:
        self.progress: Progress | None = None
        self._total = total
        self._bar: Any = None

    def __enter__(self) -> _Bar:
        if self._total >= _MANY and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress as RichProgress

            self._bar = RichProgress(console=Console(stderr=True), transient=True)
            self._bar.start()
            task = self._bar.add_task("changing", total=self._total)
            self.progress = lambda done: self._bar.update(task, completed=done)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()


def _pair(text: str, place: str) -> tuple[str, str]:
    from venclient.errors import ConfigError
    from venclient.messages import cli_resources as clr

    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise ConfigError(clr.NOT_A_PAIR(value=text), subject=place)
    return name.strip(), value.strip()


def _field(text: str) -> tuple[str, Any]:
    """Return name and value of one FIELD=VALUE."""
    from venclient.errors import ConfigError
    from venclient.messages import cli_resources as clr

    name, value = _pair(text, "FIELD=VALUE")
    if value in ("", "null"):
        return name, None
    if name == "reporting.payload_types":
        return name, [part.strip() for part in value.split(",") if part.strip()]
    plain = name.removeprefix("control_")
    if plain == "reporting" or any(plain == one or plain.startswith(f"{one}.") for one in _JSON):
        try:
            return name, json.loads(value)
        except (ValueError, RecursionError):
            if name.startswith(("reporting.units", "connection.options.", "control_connection.options.")):
                return name, value
            raise ConfigError(clr.NOT_JSON(value=value), subject=name) from None
    return name, value
