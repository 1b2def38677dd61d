"""`ven db`: the resource database as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from venclient.cli import db_copy
from venclient.cli.resources import DEFAULT_DB, DbOption, JsonOption

app = typer.Typer(no_args_is_help=True, help="Look after the file of the resource database.")
app.command()(db_copy.copy)


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
            found.problems += registry.login_problems()
    if as_json:
        typer.echo(json.dumps(asdict(found), ensure_ascii=False, indent=2))
    else:
        age = "" if found.is_current else ", to be upgraded when it is next opened, or by `ven db migrate`"
        typer.echo(
            f"{found.path}: {found.bytes} bytes ({found.unused_bytes} of them unused), its log"
            f" {found.log_bytes} bytes, schema {found.version or 'of the first generation'}{age}"
        )
        if not found.damage:
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
    """Bring an older file to this program's schema, in place, after a copy; a current one stays as it is."""
    from venclient.errors import NotFound
    from venclient.registry.upgrade import upgrade

    if not db.is_file():
        raise NotFound("there is no such file", subject=str(db), hint="--db names another")
    before, after = upgrade(db)
    if before == after:
        typer.echo(f"{db}: schema {after} already")
    else:
        typer.echo(f"{db}: schema {before or 'of the first generation'} -> {after}")


@app.command()
def backup(
    dest: Annotated[
        Path | None, typer.Argument(help="File or folder; beside the database when not told.")
    ] = None,
    db: DbOption = DEFAULT_DB,
    keep: Annotated[
        int | None, typer.Option("--keep", min=1, help="Keep only the newest N backups in the folder.")
    ] = None,
) -> None:
    """Copy the database while it is in use; the copy is checked before it gets its name."""
    from venclient.registry.backup import back_up
    from venclient.secrets import key_path_of

    made = back_up(db, dest, keep=keep)
    typer.echo(
        f"{made.copy.path}: {made.copy.bytes} bytes, {made.copy.resources} resources,"
        f" {made.copy.connections} connections; checked"
    )
    for path in made.removed:
        typer.echo(f"removed {path}")
    key = key_path_of(str(db))
    if key.exists():
        typer.echo(f"the key {key} is not in it: keep a copy of that too, in another place")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="The backup to put in place; it is only read.")],
    db: DbOption = DEFAULT_DB,
) -> None:
    """Put a backup in the database's place, once it is checked; the file that was there is kept."""
    from venclient.registry.backup import restore as put_back
    from venclient.registry.schema import HEAD

    done = put_back(file, db)
    typer.echo(f"{db}: {done.copy.resources} resources, {done.copy.connections} connections from {file}")
    if done.kept is not None:
        typer.echo(f"what was there before is in {done.kept}")
    if done.version != HEAD:
        typer.echo("it is of an older schema, and is upgraded when it is next opened")
    typer.echo("a gateway that is running goes on with what it read; restart it")


@app.command()
def rescue(
    target: Annotated[Path, typer.Argument(help="The new database to make of what can be read.")],
    db: DbOption = DEFAULT_DB,
) -> None:
    """Save what can still be read of a damaged file into a new one; the damaged file is only read."""
    from venclient.registry.rescue import rescue as save

    saved = save(db, target)
    for table, count in saved.items():
        typer.echo(f"{count:>8} {table}")
    typer.echo(f"saved in {target}; `ven db check --db {target}` tells what is missing")


@app.command()
def seal(
    db: DbOption = DEFAULT_DB,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Make a key file where the old one is lost.")
    ] = False,
) -> None:
    """Seal the logins that are stored in the clear, and rewrite the file so that none is left in it."""
    from venclient.cli.resources import open_registry
    from venclient.registry.sealing import rewrite

    with open_registry(db) as registry:
        if new_key:
            typer.echo(f"{registry.make_key()}: made; what the lost key sealed is to be stored again")
        count = registry.seal_secrets()
    typer.echo(f"{db}: {count} usernames and passwords sealed")
    if not rewrite(db):
        typer.echo(
            f"{db}: another program has it open, so old text may be left in its log;"
            " stop that program and run this again",
            err=True,
        )
        raise typer.Exit(1)
    typer.echo("copies that were made before still hold them in the clear")
