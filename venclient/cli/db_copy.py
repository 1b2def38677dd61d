"""`ven db copy`: a registry moves to another database."""

from __future__ import annotations

from typing import Annotated

import typer

from venclient.cli.resources import JsonOption


def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="A file, or a postgresql:// URL.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="A file, or a postgresql:// URL.")],
    replace: Annotated[bool, typer.Option("--replace", help="Delete what the target holds.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Copy a registry into another database: all of it, verified, or nothing.

    Either side is a SQLite file or a PostgreSQL database. In a URL the password may be a reference
    (postgresql://user:env:NAME@host/name), or is left to PGPASSWORD and the password file.
    """
    import json
    from dataclasses import asdict

    from rich.console import Console
    from rich.progress import Progress

    from venclient.registry.copying import copy_registry

    with Progress(console=Console(stderr=True), transient=True) as bar:
        tasks = {}

        def show(table: str, done: int, total: int) -> None:
            if table not in tasks:
                tasks[table] = bar.add_task(table, total=total)
            bar.update(tasks[table], completed=done)

        report = copy_registry(source, target, replace=replace, progress=show)
    if as_json:
        typer.echo(json.dumps(asdict(report), ensure_ascii=False, indent=2))
        return
    typer.echo(f"{report.source} -> {report.target}")
    if report.replaced:
        typer.echo(f"  {report.replaced} rows that were there are gone")
    for name, table in report.tables.items():
        typer.echo(f"  {name:20} {table.rows:>9} rows  sha256 sum {table.digest[:16]}")
    for note in report.notes:
        typer.echo(f"note: {note}", err=True)
    typer.echo("counts and contents are the same on both sides")
