"""`ven resources`: what the resource database holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from venclient.model.resource import Connection, Resource
    from venclient.registry.database import ResourceDatabase

DbOption = Annotated[Path, typer.Option("--db", help="The resource database.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
DEFAULT_DB = Path("config/resources.db")

app = typer.Typer(no_args_is_help=True, help="Look at the resources in the database.")


@app.command("list")
def list_resources(
    db: DbOption = DEFAULT_DB,
    resource_type: Annotated[str | None, typer.Option("--type", help="DSR, BATTERY, PV or EV.")] = None,
    ven: Annotated[str | None, typer.Option("--ven", help="Only the resources of this VEN.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List resources; rows that make no sense are named on standard error, and make the exit status 1."""
    from venclient.errors import ConfigError
    from venclient.registry.rows import type_name

    if resource_type is not None:
        try:
            type_name(resource_type)
        except ValueError as error:
            raise ConfigError(str(error), subject="--type") from None
    with open_registry(db) as registry:
        found = registry.get_resources(resource_type=resource_type, ven=ven)
        rejects = registry.rejects
    if as_json:
        _print_json([as_dict(resource) for resource in found])
    else:
        _print_table(found)
    for reject in rejects:
        typer.echo(f"left out: {reject.place}: {reject.reason}", err=True)
    if rejects:
        raise typer.Exit(1)


@app.command()
def show(
    resource_id: Annotated[str, typer.Argument(metavar="ID", help="The resource's id.")],
    db: DbOption = DEFAULT_DB,
    as_json: JsonOption = False,
) -> None:
    """Show everything about one resource; passwords show as ***."""
    from venclient.errors import NotFound

    with open_registry(db) as registry:
        resource = registry.get_resource(resource_id)
    if resource is None:
        raise NotFound(
            f"has no resource {resource_id}", subject=str(db), hint="`ven resources list` shows what there is"
        )
    shown = as_dict(resource)
    if as_json:
        _print_json(shown)
        return
    for name, value in shown.items():
        inner = value if isinstance(value, dict) else {"": value}
        for key, one in inner.items():
            typer.echo(f"{f'{name}.{key}' if key else name:32} {'-' if one is None else one}")


@app.command()
def stats(db: DbOption = DEFAULT_DB, as_json: JsonOption = False) -> None:
    """Count resources by type, sub-type and VEN."""
    with open_registry(db) as registry:
        statistics = registry.get_statistics()
    if as_json:
        _print_json(statistics)
        return
    typer.echo(f"{statistics['total_resources']} resources in {db}")
    for name, title in (
        ("by_type", "by type"),
        ("by_subtype", "by sub-type"),
        ("top_10_vens", "largest VENs"),
    ):
        typer.echo(f"\n{title}")
        for key, count in statistics[name].items():
            typer.echo(f"  {key:24} {count:>7}")


def open_registry(db: Path) -> ResourceDatabase:
    """Open a database that is there; ConfigError, saying how to make one, when it is not."""
    from venclient.errors import ConfigError
    from venclient.registry.database import ResourceDatabase

    if not db.exists():
        raise ConfigError(
            "there is no such database",
            subject=str(db),
            hint="`ven import FILE...` or `python prepare_samples.py` makes one; --db names another",
        )
    return ResourceDatabase(db)


def as_dict(resource: Resource) -> dict[str, Any]:
    """Give a resource as JSON can hold it, without its passwords."""
    control = resource.control_connection
    return {
        **vars(resource),
        "connection": _connection_dict(resource.connection),
        "control_connection": None if control is None else _connection_dict(control),
    }


def _connection_dict(connection: Connection) -> dict[str, Any]:
    told = vars(connection) | {"type": connection.type.name, "actortype": connection.actortype.name}
    if told["password"]:
        told["password"] = "***"  # noqa: S105 - this is what is shown instead of one
    return told


def _print_json(value: object) -> None:
    import json

    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def _print_table(found: list[Resource]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("id", "name", "type", "sub-type", "VEN", "P max kW", "connection", "enabled"):
        table.add_column(name, justify="right" if name == "P max kW" else "left", overflow="fold")
    for one in found:
        cells = (
            one.resourceID,
            one.resourceName,
            one.resourceType,
            one.resourceSubType,
            one.ven,
            one.capacities.get("P_max_kw"),
            one.connection.endpoint,
            "no" if one.enabled is False else "yes",
        )
        # Names are data, not markup: one in square brackets must show as it is.
        table.add_row(*(Text("-" if cell is None else str(cell)) for cell in cells))
    console = Console()
    console.print(table)
    console.print(f"{len(found)} resources", highlight=False)
