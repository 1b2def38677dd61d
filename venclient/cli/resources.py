"""`ven resources`: what the resource database holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from venclient.cli.conditions import with_query
from venclient.screen import say, say_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from venclient.model.resource import Resource
    from venclient.registry.database import ResourceDatabase
    from venclient.registry.query import Query

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
_NAMED = 10

RegistryOption = Annotated[
    str, typer.Option("--db", help="The resource database: a file, or postgresql://USER@HOST/NAME.")
]
DEFAULT_REGISTRY = "config/resources.db"

app = typer.Typer(no_args_is_help=True, help="Show and change the resources in the database.")


@app.command("list")
@with_query
def list_resources(
    query: Query,
    db: RegistryOption = DEFAULT_REGISTRY,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, which `ven import` reads.")] = False,
    as_geojson: Annotated[bool, typer.Option("--geojson", help="Print GeoJSON, for maps.")] = False,
) -> None:
    """List the resources that meet all conditions.

    The order is that of storing, or of --sort.

    Rows that cannot be read are named on standard error, and the exit status is 1. Values that would be
    refused today are counted there.
    """
    import sys

    from venclient.cli.resources_table import print_table
    from venclient.cli.resources_warnings import Wrong
    from venclient.errors import ConfigError
    from venclient.messages import cli_resources as clr
    from venclient.registry.export import csv_text, geojson_text, json_list_text

    formats = ((as_json, json_list_text), (as_csv, csv_text), (as_geojson, geojson_text))
    wanted = [write for asked, write in formats if asked]
    if len(wanted) > 1:
        raise ConfigError(clr.ONE_FORMAT())
    with open_registry(db) as registry:
        found = registry.query(query)
        wrong = Wrong(registry)
        if wanted:
            sys.stdout.writelines(wanted[0](wrong.watched(found)))
        else:
            print_table(list(wrong.watched(found.all())), query, found.count())
        wrong.print_count()
        tell_what_there_is(registry, query)
        _name_rejects(registry)


@app.command()
@with_query
def export(
    query: Query,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write; - is standard output.")],
    db: RegistryOption = DEFAULT_REGISTRY,
    format_: Annotated[
        str | None, typer.Option("--format", help="csv, json or geojson; else what the file's name ends in.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write resources that meet all conditions to a file.

    Passwords are left out.

    CSV comes back exactly by `ven import`. Rows that make no sense are left out, named on standard error,
    and make the exit status 1.
    """
    import sys

    from venclient.errors import ConfigError
    from venclient.messages import cli_resources as clr
    from venclient.registry.export import FORMATS, export_file

    name = (format_ or file.suffix.removeprefix(".") or "csv").casefold()
    if name not in FORMATS:
        raise ConfigError(
            clr.UNKNOWN_FORMAT(name=name, known=", ".join(FORMATS)),
            subject="--format" if format_ else str(file),
        )
    with open_registry(db) as registry:
        count = 0

        def counted(resources: Iterable[Resource]) -> Iterator[Resource]:
            nonlocal count
            for count, resource in enumerate(resources, 1):  # noqa: B007 - used below
                yield resource

        pieces = FORMATS[name](counted(registry.query(query)))
        if str(file) == "-":
            sys.stdout.writelines(pieces)
        else:
            export_file(file, pieces, overwrite=force)
            say(clr.EXPORTED(file=str(file), count=count, format=name))
        tell_what_there_is(registry, query)
        _name_rejects(registry)


@app.command()
def show(
    wanted: Annotated[str, typer.Argument(metavar="RESOURCE", help="Id or name of the resource.")],
    db: RegistryOption = DEFAULT_REGISTRY,
    as_json: JsonOption = False,
) -> None:
    """Show everything about one resource; passwords show as ***. Warnings go to standard error.

    `reporting` is what is stored; `reported as` is what that comes to with the defaults of its type, and
    `reporting status` how the reports stand.
    """
    from dataclasses import asdict

    from venclient.cli.choosing import resource_named
    from venclient.cli.resources_warnings import print_findings
    from venclient.errors import InvalidRecord
    from venclient.messages import cli_resources as clr
    from venclient.messages import with_code
    from venclient.model.reporting import ReportingConfig
    from venclient.registry.export import as_dict

    with open_registry(db) as registry:
        resource = resource_named(registry, wanted)
        status = registry.reporting_status(resource.resourceID)
    shown = as_dict(resource)
    wrong = ""
    try:
        shown["reported_as"] = ReportingConfig.of(resource).as_dict()
    except InvalidRecord as error:
        shown["reported_as"], wrong = None, error.what
    shown["reporting_status"] = None
    if status is not None:
        fields = asdict(status)
        del fields["resource_id"]
        shown["reporting_status"] = {name: _plain(value) for name, value in fields.items()}
    if as_json:
        print_json(shown)
    else:
        _print_fields(shown)
    if wrong:
        say(with_code(clr.NOT_REPORTED(problem=wrong)), err=True)
    print_findings(registry, resource)


def _plain(value: object) -> object:
    """Return a value as JSON can hold it."""
    from datetime import datetime

    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value


def _print_fields(shown: dict[str, Any]) -> None:
    """Print names and values, one a line; names are those that `ven resources set` takes."""
    import json

    lines: list[tuple[str, str]] = []

    def add(name: str, value: object, depth: int) -> None:
        if isinstance(value, dict) and value and depth:
            for key, one in value.items():
                add(f"{name}.{key}", one, depth - 1)
        elif value is None or value == {}:
            lines.append((name, "-"))
        else:
            plain = not isinstance(value, (dict, list, bool))
            lines.append((name, str(value) if plain else json.dumps(value, ensure_ascii=False)))

    for name, value in shown.items():
        add(name, value, 2)  # as deep as `connection.options.unit`
    width = max(len(name) for name, _ in lines)
    for name, text in lines:
        say(f"{name:<{width}}  {text}")


@app.command()
def stats(db: RegistryOption = DEFAULT_REGISTRY, as_json: JsonOption = False) -> None:
    """Count resources by type, sub-type and VEN."""
    with open_registry(db) as registry:
        statistics = registry.get_statistics()
        name = registry.db_path
    if as_json:
        print_json(statistics)
        return
    say(f"{statistics['total_resources']} resources in {name}")
    for key, title in (
        ("by_type", "by type"),
        ("by_subtype", "by sub-type"),
        ("top_10_vens", "largest VENs"),
    ):
        say("", title)
        for value, count in statistics[key].items():
            say(f"  {value:24} {count:>7}")


def open_registry(db: str | Path) -> ResourceDatabase:
    """Open a database that is there; ConfigError, saying how to make one, when it is not."""
    from venclient.errors import ConfigError
    from venclient.messages import cli_resources as clr
    from venclient.registry.database import ResourceDatabase
    from venclient.registry.opening import holds_registry, is_url, shown

    if not holds_registry(db):
        if is_url(db):
            raise ConfigError(clr.NO_REGISTRY(), subject=shown(db))
        here = Path(db).name  # in the folder of a site, where ven.toml has its registry beside it
        found = here != str(db) and holds_registry(here)
        raise ConfigError(clr.DATABASE_HERE(here=here) if found else clr.NO_DATABASE(), subject=shown(db))
    return ResourceDatabase(db)


def print_json(value: object) -> None:
    """Print a value as JSON for programs."""
    import json

    say_json(json.dumps(value, ensure_ascii=False, indent=2))


def tell_what_there_is(registry: ResourceDatabase, query: Query) -> None:
    """Print, when a query names a VEN or sub-type that no resource has, which ones there are."""
    import difflib

    from venclient.messages import cli_resources as clr
    from venclient.messages import with_code

    vens = registry.values_of("ven") if query.vens else []
    sub_types = registry.values_of("resource_sub_type") if query.sub_types else []
    for kind, asked, known in (("VEN", query.vens, vens), ("sub-type", query.sub_types, sub_types)):
        for one in asked:
            if one in known:
                continue
            folded = {name.casefold(): name for name in known}
            close = difflib.get_close_matches(one.casefold(), folded, n=1)
            meant = f" (did you mean {folded[close[0]]!r}?)" if close else ""
            more = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
            there = f"{', '.join(known[:_NAMED])}{more}" if known else "none"
            text = clr.NO_SUCH_GROUP(kind=kind, value=one, meant=meant, known=there)
            say(with_code(text), err=True)


def _name_rejects(registry: ResourceDatabase) -> None:
    """Name the rows that were left out, and end with status 1 when there are any."""
    from venclient.messages import cli_resources as clr
    from venclient.messages import with_code

    for reject in registry.rejects:
        say(with_code(clr.LEFT_OUT(place=reject.place, reason=reject.reason)), err=True)
    if registry.rejects:
        raise typer.Exit(1)
