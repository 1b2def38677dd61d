"""`ven db`: the resource database as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from venclient.cli import db_copy
from venclient.cli.resources import DEFAULT_REGISTRY, JsonOption, RegistryOption, open_registry

if TYPE_CHECKING:
    from venclient.readings.inspection import Inspection

app = typer.Typer(no_args_is_help=True, help="Look after the file of the resource database.")
app.command()(db_copy.copy)

_SHOWN = 20

ReadingsOption = Annotated[
    Path | None, typer.Option("--readings", help="The readings file, when it is not var/readings.db.")
]


@app.command()
def check(
    db: RegistryOption = DEFAULT_REGISTRY, readings: ReadingsOption = None, as_json: JsonOption = False
) -> None:
    """Check the database and the readings file without changing them; exit status 1 when something is wrong.

    Of the readings file it tells sizes, and the bytes written on each of the last days.
    """
    import json
    from dataclasses import asdict

    from msgspec import to_builtins

    from venclient.registry.inspection import inspect, inspect_server
    from venclient.registry.opening import is_url

    found = inspect_server(db) if is_url(db) else inspect(Path(db))
    # Rows are decoded only where that changes nothing: opening an older file would upgrade it.
    if found.is_current and not found.damage:
        with open_registry(db) as registry:
            found.notes += registry.wrong_values()
            registry.get_connections()
            # A row that refers to a missing one is among the problems already.
            named = {tuple(problem.split(" ")[:3]) for problem in found.problems}
            found.problems += [
                f"{reject.place}: {reject.reason}"
                for reject in registry.rejects
                if tuple(reject.place.split(" ")[:3]) not in named
            ]
            found.problems += registry.login_problems()
    stored = _readings(readings)
    if as_json:
        told = asdict(found) | {"readings": None if stored is None else to_builtins(stored)}
        typer.echo(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        age = (
            ""
            if found.is_current or found.damage
            else ", to be upgraded when it is next opened, or by `ven db migrate`"
        )
        parts = (
            "" if is_url(db) else f" ({found.unused_bytes} of them unused), its log {found.log_bytes} bytes"
        )
        typer.echo(
            f"{found.path}: {found.bytes} bytes{parts},"
            f" schema {found.version or ('unknown' if found.damage else 'of the first generation')}{age}"
        )
        if not found.damage:
            typer.echo(
                f"{found.resources} resources, {found.connections} connections"
                f" ({found.unused_connections} not used by any resource), {found.changes} recorded changes"
            )
        for note in found.notes:
            typer.echo(f"note: {note}")
        for problem in found.problems[:_SHOWN]:
            typer.echo(f"problem: {problem}")
        if len(found.problems) > _SHOWN:
            typer.echo(f"... and {len(found.problems) - _SHOWN} more problems; --json tells them all")
        if not found.problems:
            typer.echo("all is well")
        for line in () if stored is None else stored.lines():
            typer.echo(line)
    if found.problems or (stored is not None and stored.problems):
        raise typer.Exit(1)


def _readings(path: Path | None) -> Inspection | None:
    """Give what is in the readings file; None when none was named, and there is none where it usually is."""
    from venclient.cli.readings import DEFAULT_FILE, inspected

    if path is None and not DEFAULT_FILE.is_file():
        return None
    return inspected(path or DEFAULT_FILE)


@app.command()
def migrate(db: RegistryOption = DEFAULT_REGISTRY) -> None:
    """Bring an older database to this program's schema, in place; a current one stays as it is.

    Of a file a copy is kept; what PostgreSQL holds is changed in one transaction.
    """
    from venclient.errors import NotFound
    from venclient.registry.opening import is_url, shown, upgraded
    from venclient.registry.upgrade import upgrade

    if is_url(db):
        before, after = upgraded(db)
    elif Path(db).is_file():
        before, after = upgrade(Path(db))
    else:
        raise NotFound("there is no such file", subject=db, hint="--db names another")
    if before == after:
        typer.echo(f"{shown(db)}: schema {after} already")
    else:
        typer.echo(f"{shown(db)}: schema {before or 'of the first generation'} -> {after}")


@app.command()
def backup(
    dest: Annotated[
        Path | None, typer.Argument(help="File or folder; beside the database when not told.")
    ] = None,
    db: RegistryOption = DEFAULT_REGISTRY,
    keep: Annotated[
        int | None, typer.Option("--keep", min=1, help="Keep only the newest N backups in the folder.")
    ] = None,
) -> None:
    """Copy the database while it is in use; the copy is checked before it gets its name."""
    from venclient.registry.backup import back_up
    from venclient.secrets import key_path_of

    made = back_up(_file(db), dest, keep=keep)
    typer.echo(
        f"{made.copy.path}: {made.copy.bytes} bytes, {made.copy.resources} resources,"
        f" {made.copy.connections} connections; checked"
    )
    for path in made.removed:
        typer.echo(f"removed {path}")
    key = key_path_of(db)
    if key is not None and key.exists():
        typer.echo(f"the key {key} is not in it: keep a copy of that too, in another place")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="The backup to put in place; it is only read.")],
    db: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Put a backup in the database's place, once it is checked; the file that was there is kept."""
    from venclient.registry.backup import restore as put_back
    from venclient.registry.schema import HEAD

    done = put_back(file, _file(db))
    typer.echo(f"{db}: {done.copy.resources} resources, {done.copy.connections} connections from {file}")
    if done.kept is not None:
        typer.echo(f"what was there before is in {done.kept}")
    if done.version != HEAD:
        typer.echo("it is of an older schema, and is upgraded when it is next opened")
    typer.echo("a gateway that is running goes on with what it read; restart it")


@app.command()
def rescue(
    target: Annotated[Path, typer.Argument(help="The new database to make of what can be read.")],
    db: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Save what can still be read of a damaged file into a new one; the damaged file is only read."""
    from venclient.registry.rescue import rescue as save

    saved = save(_file(db), target)
    for table, count in saved.items():
        typer.echo(f"{count:>8} {table}")
    typer.echo(f"saved in {target}; `ven db check --db {target}` tells what is missing")


@app.command()
def seal(
    db: RegistryOption = DEFAULT_REGISTRY,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Make a key file where the old one is lost.")
    ] = False,
) -> None:
    """Seal the logins that are stored in the clear, and rewrite the file so that none is left in it."""
    from venclient.registry.opening import shown
    from venclient.registry.sealing import rewrite

    with open_registry(db) as registry:
        if new_key:
            typer.echo(f"{registry.make_key()}: made; what the lost key sealed is to be stored again")
        count = registry.seal_secrets()
    typer.echo(f"{shown(db)}: {count} usernames and passwords sealed")
    if not rewrite(db):
        typer.echo(
            f"{db}: another program has it open, so old text may be left in its log;"
            " stop that program and run this again",
            err=True,
        )
        raise typer.Exit(1)
    if count:
        typer.echo("copies that were made before still hold them in the clear")


def _file(db: str) -> Path:
    """Give the path of a database that is a file; ConfigError says what to do with another one."""
    from venclient.errors import ConfigError
    from venclient.registry.opening import is_url, shown

    if is_url(db):
        raise ConfigError(
            "is no file",
            subject=shown(db),
            hint="pg_dump and pg_restore look after a server; `ven db copy` moves a registry to a file",
        )
    return Path(db)
