"""`ven db`: the resource database as a file."""

from __future__ import annotations

import typer

from venclient.cli.resources import DEFAULT_DB, DbOption, JsonOption

app = typer.Typer(no_args_is_help=True, help="Look after the file of the resource database.")


@app.command()
def check(db: DbOption = DEFAULT_DB, as_json: JsonOption = False) -> None:
    """Check the file without changing it; exit status 1 when something is wrong with it."""
    import json
    from dataclasses import asdict

    from venclient.registry.inspection import inspect

    found = inspect(db)
    # Rows are decoded only where that changes nothing: opening an older file would upgrade it.
    if found.is_current and not found.problems:
        from venclient.registry.database import ResourceDatabase

        with ResourceDatabase(db) as registry:
            for _ in registry.iter_resources():
                pass
            registry.get_connections()
            found.problems += [f"{reject.place}: {reject.reason}" for reject in registry.rejects]
    if as_json:
        typer.echo(json.dumps(asdict(found), ensure_ascii=False, indent=2))
    else:
        age = "" if found.is_current else ", to be upgraded when it is next opened, or by `ven db migrate`"
        typer.echo(
            f"{found.path}: {found.bytes} bytes, schema {found.version or 'of the first generation'}{age}"
        )
        typer.echo(
            f"{found.resources} resources, {found.connections} connections"
            f" ({found.unused_connections} not used by any resource)"
        )
        for problem in found.problems:
            typer.echo(f"problem: {problem}")
        if not found.problems:
            typer.echo("all is well")
    if found.problems:
        raise typer.Exit(1)


@app.command()
def migrate(db: DbOption = DEFAULT_DB) -> None:
    """Bring an older file to this program's schema, in place; nothing happens to a current one."""
    from venclient.errors import NotFound
    from venclient.registry.upgrade import upgrade

    if not db.is_file():
        raise NotFound("there is no such file", subject=str(db), hint="--db names another")
    before, after = upgrade(db)
    if before == after:
        typer.echo(f"{db}: schema {after} already")
    else:
        typer.echo(f"{db}: schema {before or 'of the first generation'} -> {after}")
