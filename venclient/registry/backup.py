"""Backups of a database file, and the way back: what is put in place is checked, what was there is kept."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from venclient.clock import Clock, SystemClock
from venclient.errors import ConfigError, Conflict, NotFound, RegistryError
from venclient.messages import registry_files as dbf
from venclient.read_only import refusal_of
from venclient.registry.copies import Copy, copy_database, free_name, open_as_is, stamp
from venclient.registry.inspection import inspect
from venclient.registry.sqlite_link import said
from venclient.secrets import sync_folder

#: What SQLite may keep beside a file: a log that is left behind would be applied to the file that follows.
_BESIDE = ("-wal", "-journal", "-shm")


@dataclass(frozen=True)
class BackUp:
    """A backup that was made, and older ones that were removed for it."""

    copy: Copy
    removed: tuple[Path, ...]


@dataclass(frozen=True)
class Restored:
    """What was put in place, and where that is kept which was there before (None: there was nothing)."""

    copy: Copy
    version: str | None
    kept: Path | None


def back_up(
    database: Path, target: Path | None = None, *, keep: int | None = None, clock: Clock | None = None
) -> BackUp:
    """Copy a database that may be in use; see `copies.copy_database` for what is promised of the copy.

    Without `target`, or when it is a folder, the copy is named `<file>.backup-<time>`; of those, `keep`
    leaves the newest. ConfigError when `keep` is used with a named target file, or with a folder that
    does not exist, such as that of a medium that is not mounted.
    """
    if not database.is_file():
        raise NotFound(dbf.NOT_THERE(), subject=str(database))
    if target is not None and keep is not None and not target.exists():
        raise ConfigError(dbf.NO_FOLDER(), subject=str(target))
    folder = database.parent if target is None else target
    named = target is not None and not target.is_dir()
    if keep is not None and (named or keep < 1):
        raise ConfigError(dbf.KEEP(), subject="--keep")
    if target is None or not named:
        now = (clock or SystemClock()).now()
        target = free_name(folder / f"{database.name}.backup-{stamp(now)}")
    try:
        copy = copy_database(database, target)
    except RegistryError as error:
        if (reason := refusal_of(error.__cause__)) is None:
            raise
        raise RegistryError(dbf.BACKUP_FOLDER(reason=reason), subject=str(target.parent)) from error
    return BackUp(copy, _rotate(database.name, folder, keep) if keep else ())


def restore(backup: Path, database: Path, *, clock: Clock | None = None) -> Restored:
    """Put a copy of `backup` in the place of `database`, which is kept as `<file>.replaced-<time>`.

    RegistryError when the backup is damaged, of another program or of a newer one; Conflict while another
    program has the database open. Nothing was changed then.
    """
    found = inspect(backup, missing=dbf.NO_BACKUP())
    if found.damage:
        raise RegistryError(
            dbf.BACKUP_UNUSABLE(damage="; ".join(found.damage), database=database), subject=str(backup)
        )
    if database.exists() and backup.samefile(database):
        raise Conflict(dbf.BACKUP_IS_DATABASE(), subject=str(backup))
    now = stamp((clock or SystemClock()).now())
    # A copy first: the backup stays a backup, and what takes the database's name is complete.
    try:
        copy = copy_database(backup, free_name(database.with_name(f".{database.name}.restored-{now}")))
    except RegistryError as error:
        if refusal_of(error.__cause__) is None:
            raise
        raise RegistryError(dbf.CANNOT_WRITE(), subject=str(database)) from error
    try:
        kept = None
        if database.exists():
            kept = free_name(database.with_name(f"{database.name}.replaced-{now}"))
            with _alone(database):
                _moved(database, kept, copy.path)
        else:
            copy.path.rename(database)
        sync_folder(database.parent)
    except OSError as error:
        raise said(error, database) from error
    finally:
        copy.path.unlink(missing_ok=True)
    return Restored(Copy(database, copy.bytes, copy.resources, copy.connections), found.version, kept)


@contextmanager
def _alone(database: Path) -> Iterator[None]:
    """Lock other programs out of a file; Conflict when one has it open. A damaged file is not locked."""
    try:
        driver = open_as_is(database)
    except sqlite3.Error as error:
        if _is_damage(error):
            yield
            return
        raise said(error, database) from error
    with closing(driver):
        try:
            # Leaving WAL takes everybody else's leave, and folds the log into the file that is kept.
            driver.execute("PRAGMA journal_mode = DELETE")
            driver.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise Conflict(dbf.OPEN_ELSEWHERE(), subject=str(database)) from error
            if not _is_damage(error):
                raise said(error, database) from error
        yield


def _is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _moved(database: Path, kept: Path, new: Path) -> None:
    """Keep the present file under `kept` and give its name to `new`; at no moment is there none."""
    for ending in _BESIDE:
        beside = Path(f"{database}{ending}")
        if beside.exists():
            beside.rename(f"{kept}{ending}")
    try:
        kept.hardlink_to(database)
    except OSError:  # a file system without links
        database.rename(kept)
    new.replace(database)


def _rotate(name: str, folder: Path, keep: int) -> tuple[Path, ...]:
    ours = re.compile(re.escape(name) + r"\.backup-(\d{8}T\d{6}Z)(-\d+)?")
    found = [
        (match[1], path.stat().st_mtime_ns, path)
        for path in folder.iterdir()
        if (match := ours.fullmatch(path.name))
    ]
    old = [path for *_, path in sorted(found)[:-keep]]
    for path in old:
        path.unlink()
    return tuple(old)
