"""`ven resources set`: the same change in many resources at once."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from venclient.cli.conditions import with_query
from venclient.cli.resources import DEFAULT_REGISTRY, RegistryOption, open_registry, tell_what_there_is

if TYPE_CHECKING:
    from venclient.registry.query import Query
    from venclient.registry.writing import Progress

#: What is no text: written as JSON on the command line. Everything else is taken as it is typed.
_JSON = ("capacities", "location", "enabled", "reporting.units", "connection.port", "connection.options")
_MANY = 1_000


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
    every: Annotated[bool, typer.Option("--all", help="All resources, when there is no condition.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing, say how many would.")] = False,
    db: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Change fields of all resources that meet the conditions, all or none.

    Fields are named as `ven resources show` names them; dots lead inside: capacities.P_max_kw=60. An empty
    value or null removes one. Everything is checked before anything is stored.
    """
    from venclient.errors import ConfigError
    from venclient.registry.query import Query

    changes = dict(_field(one) for one in fields)
    told: dict[str, list[str]] = {}
    for pair in where or ():
        key, value = _pair(pair, "--where")
        told.setdefault(key, []).append(value)
    asked = Query.parse(told, lambda key: f"--where {key}")
    if query == asked == Query() and not every:
        raise ConfigError("there is no condition", hint="say which resources, or --all")
    with open_registry(db) as registry:
        chosen = registry.query(query).ids()
        if where:
            both = set(registry.query(asked).ids())
            chosen = [one for one in chosen if one in both]
        for one in (query, asked):
            tell_what_there_is(registry, one)
        with _Bar(len(chosen)) as bar:
            changed = registry.set_where(chosen, changes, dry_run=dry_run, progress=bar.progress)
    _warn_of_slips(changes)
    typer.echo(f"{'would change' if dry_run else 'changed'} {changed} of {len(chosen)} resources")


def _warn_of_slips(changes: dict[str, Any]) -> None:
    """Say which members of `reporting` nobody knows: they are stored, as older programs may have some."""
    from venclient.model.reporting import reporting_warnings

    whole = changes.get("reporting")
    told = whole if isinstance(whole, dict) else {}
    for name, value in changes.items():
        path = name.split(".")
        if path[0] == "reporting" and value is not None and len(path) == 2:
            told = told | {path[1]: value}
    for warning in reporting_warnings(told):
        typer.echo(f"warning: {warning}", err=True)


class _Bar:
    """A bar on standard error for many resources, where somebody is watching."""

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

    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise ConfigError(f"{text!r} is not NAME=VALUE", subject=place)
    return name.strip(), value.strip()


def _field(text: str) -> tuple[str, Any]:
    """Give name and value of one FIELD=VALUE."""
    from venclient.errors import ConfigError

    name, value = _pair(text, "FIELD=VALUE")
    if value in ("", "null"):
        return name, None
    if name == "reporting.payload_types":
        return name, [part.strip() for part in value.split(",") if part.strip()]
    plain = name.removeprefix("control_")
    if plain == "reporting" or any(plain == one or plain.startswith(f"{one}.") for one in _JSON):
        try:
            return name, json.loads(value)
        except ValueError:
            if name.startswith(("reporting.units", "connection.options.", "control_connection.options.")):
                return name, value
            raise ConfigError(
                f"{value!r} is no number, true, false or JSON", subject=name, hint="decimals take a dot"
            ) from None
    return name, value
