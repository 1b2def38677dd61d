"""`ven db copy`: a registry moves to another database."""

from __future__ import annotations

from typing import Annotated

import typer

from venclient.cli.resources import JsonOption
from venclient.messages import cli_db as cld
from venclient.messages import with_code
from venclient.screen import say, say_json


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

    from venclient.errors import InvalidRecord
    from venclient.registry.copying import copy_registry
    from venclient.registry.opening import shown

    refused: tuple[str, ...] = ()
    with Progress(console=Console(stderr=True), transient=True) as bar:
        tasks = {}

        def show(table: str, done: int, total: int) -> None:
            if table not in tasks:
                tasks[table] = bar.add_task(table, total=total)
            bar.update(tasks[table], completed=done)

        try:
            report = copy_registry(source, target, replace=replace, progress=show)
        except InvalidRecord as error:
            refused = error.problems
    if refused:
        for problem in refused:
            say(f"problem: {with_code(problem)}", err=True)
        raise InvalidRecord(cld.CANNOT_COPY(source=shown(source), count=len(refused)), subject=shown(target))
    if as_json:
        say_json(json.dumps(asdict(report), ensure_ascii=False, indent=2))
        return
    say(cld.COPYING(source=report.source, target=report.target))
    if report.replaced:
        say(f"  {cld.REPLACED(count=report.replaced)}")
    for name, table in report.tables.items():
        say(f"  {name:20} {table.rows:>9} rows  sha256 sum {table.digest[:16]}")
    for note in report.notes:
        say(f"note: {with_code(note)}", err=True)
    say(cld.COPIED())
