"""`ven db`: the resource database as a file."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from venclient.cli import db_changes, db_copy
from venclient.cli.resources import DEFAULT_REGISTRY, JsonOption, RegistryOption, open_registry
from venclient.errors import ConfigError
from venclient.messages import cli_db as cld
from venclient.messages import registry_files as dbf
from venclient.messages import with_code
from venclient.messages.printable import foreign
from venclient.screen import say, say_json

if TYPE_CHECKING:
    from venclient.readings.inspection import Inspection
    from venclient.registry.inspection import Inspection as RegistryInspection

app = typer.Typer(no_args_is_help=True, help="Look after the file of the resource database.")
app.command()(db_copy.copy)
app.command()(db_changes.changes)

_SHOWN = 20

ReadingsOption = Annotated[
    Path | None, typer.Option("--readings", help="The readings file, when it is not var/readings.db.")
]


@app.command()
def check(
    db: RegistryOption = DEFAULT_REGISTRY, readings: ReadingsOption = None, as_json: JsonOption = False
) -> None:
    """Check the database and the readings file without changing them.

    Of the readings file it shows sizes, and the bytes written on each of the last days. Exit status 1 when
    something is wrong.
    """
    import json
    from dataclasses import asdict

    from msgspec import to_builtins

    from venclient.errors import RegistryError
    from venclient.registry.inspection import inspect, inspect_server
    from venclient.registry.opening import is_url
    from venclient.registry.row_checks import problems_of_rows
    from venclient.registry.upgrade import upgraded_copy

    found = inspect_server(db) if is_url(db) else inspect(Path(db))
    # Opening an older file would upgrade it: the rows of a temporary copy are checked.
    if found.is_current and not found.damage:
        with open_registry(db) as registry:
            found.notes += registry.wrong_values()
            registry.get_connections()
            found.problems += problems_of_rows(db, frozenset(found.missing_tables))
            # What keeps a row from being used is among the problems already.
            named = {_row_of(problem) for problem in found.problems}
            found.problems += [
                dbf.ROW_INVALID(place=reject.place, reason=reject.reason)
                for reject in registry.rejects
                if _row_of(reject.place) not in named
            ]
            found.problems += registry.login_problems()
    elif not found.damage and not is_url(db):
        try:
            with upgraded_copy(Path(db)) as copy:
                found.problems += problems_of_rows(copy)
        except (OSError, RegistryError) as error:
            found.notes.append(cld.ROWS_NOT_CHECKED(reason=error))
    stored = _readings(readings)
    if as_json:
        shown = asdict(found) | {"readings": None if stored is None else to_builtins(stored)}
        for name in ("notes", "problems", "damage"):
            shown[name] = [with_code(one) for one in getattr(found, name)]
        say_json(json.dumps(shown, ensure_ascii=False, indent=2))
    else:
        _print_found(found, is_file=not is_url(db))
        for line in () if stored is None else stored.lines():
            say(line)
    if found.problems or (stored is not None and stored.problems):
        raise typer.Exit(1)


def _print_found(found: RegistryInspection, *, is_file: bool) -> None:
    """Print what was found in a database, and the first problems."""
    version: str | None = found.version
    if version is None:
        version = cld.UNKNOWN_VERSION() if found.damage else cld.FIRST_GENERATION()
    later = "" if found.is_current or found.damage else cld.UPGRADED_LATER()
    if is_file:
        size = cld.SIZE(
            path=found.path,
            size=found.bytes,
            unused=found.unused_bytes,
            log=found.log_bytes,
            version=foreign(version),
            later=later,
        )
    else:
        size = cld.SIZE_SERVER(path=found.path, size=found.bytes, version=foreign(version), later=later)
    say(size)
    if not found.damage:
        rows = cld.ROWS(
            resources=found.resources,
            connections=found.connections,
            unused=found.unused_connections,
            changes=found.changes,
        )
        say(rows)
    for note in found.notes:
        say(cld.NOTE(note=with_code(note)))
    shown: Counter[str] = Counter()
    for problem in found.problems:
        table = problem.partition(" ")[0]
        shown[table] += 1
        if shown[table] <= _SHOWN:  # of each table: many problems of one hide no other
            say(f"problem: {with_code(problem)}")
    if more := sum(max(0, count - _SHOWN) for count in shown.values()):
        say(cld.MORE_PROBLEMS(count=more))
    if not found.problems:
        say(cld.NO_PROBLEMS())


def _row_of(text: str) -> tuple[str, ...]:
    """Return table and row of a problem or a place: ("resources", "row", "2")."""
    return tuple(word.rstrip(",:") for word in text.split(" ")[:3])


def _readings(path: Path | None) -> Inspection | None:
    """Return what is in the readings file; None when none was named and the usual one does not exist."""
    from venclient.cli.readings import DEFAULT_FILE, inspected

    if path is None and not DEFAULT_FILE.is_file():
        return None
    return inspected(path or DEFAULT_FILE)


@app.command()
def migrate(db: RegistryOption = DEFAULT_REGISTRY) -> None:
    """Upgrade an older database to the schema of this program, in place.

    A copy of the old file is kept; PostgreSQL is upgraded in one transaction.
    """
    from venclient.errors import NotFound
    from venclient.registry.opening import is_url, shown, upgraded
    from venclient.registry.upgrade import upgrade

    if is_url(db):
        before, after = upgraded(db)
    elif Path(db).is_file():
        before, after = upgrade(Path(db))
    else:
        raise NotFound(dbf.NOT_THERE(), subject=db)
    if before == after:
        say(cld.CURRENT(path=shown(db), version=after))
    else:
        say(cld.MIGRATED(path=shown(db), before=before or cld.FIRST_GENERATION(), after=after))


@app.command()
def backup(
    dest: Annotated[str | None, typer.Argument(help="File or folder; default: beside the database.")] = None,
    db: RegistryOption = DEFAULT_REGISTRY,
    keep: Annotated[
        int | None, typer.Option("--keep", min=1, help="Keep only the newest N backups in the folder.")
    ] = None,
) -> None:
    """Copy the database, also while it is in use; the copy is checked."""
    from venclient.registry.backup import back_up
    from venclient.secrets import key_path_of

    if dest is not None and dest.endswith(os.sep) and not Path(dest).is_dir():
        raise ConfigError(dbf.NO_FOLDER(), subject=dest)
    made = back_up(_file(db), None if dest is None else Path(dest), keep=keep)
    copy = made.copy
    done = cld.BACKED_UP(
        path=copy.path, size=copy.bytes, resources=copy.resources, connections=copy.connections
    )
    say(done)
    for path in made.removed:
        say(cld.REMOVED(path=path))
    key = key_path_of(db)
    if key is not None and key.exists():
        say(with_code(cld.KEY_NOT_INCLUDED(key=key)))


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="The backup to put in place; it is only read.")],
    db: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Replace the database by a backup; the backup is checked, the old file kept."""
    from venclient.registry.backup import restore as put_back
    from venclient.registry.schema import HEAD

    done = put_back(file, _file(db))
    copy = done.copy
    say(cld.RESTORED(path=db, resources=copy.resources, connections=copy.connections, backup=str(file)))
    if done.kept is not None:
        say(cld.KEPT(path=done.kept))
    if done.version != HEAD:
        say(cld.OLDER_RESTORED())
    say(cld.TAKEN_UP())


@app.command()
def rescue(
    target: Annotated[Path, typer.Argument(help="The new database.")],
    db: RegistryOption = DEFAULT_REGISTRY,
) -> None:
    """Save the readable rows of a damaged database into a new one."""
    from venclient.registry.rescue import rescue as save

    saved = save(_file(db), target)
    for table, count in saved.items():
        say(f"{count:>8} {table}")
    say(cld.RESCUED(path=target))


@app.command()
def seal(
    db: RegistryOption = DEFAULT_REGISTRY,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Create a new key file when the old one is lost.")
    ] = False,
) -> None:
    """Seal the logins that are stored in the clear, and rewrite the file without them."""
    from venclient.registry.opening import shown
    from venclient.registry.sealing import rewrite

    with open_registry(db) as registry:
        if new_key:
            say(cld.KEY_MADE(path=registry.make_key()))
        count = registry.seal_secrets()
    say(cld.SEALED(path=shown(db), count=count))
    if not rewrite(db):
        say(with_code(cld.OLD_TEXT_LEFT(path=db)), err=True)
        raise typer.Exit(1)
    if count:
        say(with_code(cld.OLD_COPIES()))


def _file(db: str) -> Path:
    """Return the path of a database that is a file; ConfigError says what to do with another one."""
    from venclient.errors import ConfigError
    from venclient.registry.opening import is_url, shown

    if is_url(db):
        raise ConfigError(cld.NOT_A_FILE(), subject=shown(db))
    return Path(db)
