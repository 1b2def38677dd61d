"""Brings a database file to the newest schema, in one transaction: old or new, never between."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from venclient.clock import Clock, SystemClock
from venclient.errors import RegistryError
from venclient.messages import registry_files as dbf
from venclient.messages.printable import foreign
from venclient.read_only import Readable, readable, temporary_folder
from venclient.registry.checkpoints import Checkpoints
from venclient.registry.copies import copy_database, free_name, open_as_is, stamp
from venclient.registry.schema import HEAD, SPECIFIED_COLUMNS
from venclient.registry.sqlite_link import decoded, open_driver, said

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

_log = logging.getLogger(__name__)

#: All versions there have been, oldest first.
KNOWN = ("0001", "0002", "0003", "0004", "0005", "0006")

_FOLDER = Path(__file__).parent / "migrations"
_alembic = threading.Lock()  # Alembic keeps what it works on in module globals


def upgrade(path: Path, *, clock: Clock | None = None) -> tuple[str | None, str]:
    """Bring the file at `path` to the newest schema and return the versions before and after.

    Before is None for a new file and for one of the first generation. A file that is not new is copied
    first, to `<file>.before-r<version>-<time>.bak`. RegistryError when the file is newer than this program,
    belongs to another program, is damaged or cannot be copied; it is then as it was.
    """
    before = _looked(path)
    if before != HEAD:
        _run_alembic(path, clock or SystemClock())
    return before, HEAD


def _looked(path: Path) -> str | None:
    """Return the version of the file at `path` without changing anything; None when the file is missing."""
    try:
        if path.is_dir():
            raise RegistryError(dbf.IS_FOLDER(), subject=str(path))
        if not path.exists() or path.stat().st_size == 0:
            return None
        with closing(open_as_is(path)) as driver, decoded():
            return _checked(driver, path)
    except (OSError, sqlite3.Error) as error:
        raise said(error, path) from error


def readable_registry(path: Path) -> Readable:
    """Return how to read a file that cannot be written; one of an older schema as an upgraded copy.

    RegistryError when the file is newer than this program, of another program, or damaged, or when the copy
    does not fit into the temporary folder.
    """
    try:
        found = readable(path)
        with closing(sqlite3.connect(found.uri, uri=True)) as driver, decoded():
            before = _checked(driver, path)
    except (OSError, sqlite3.Error) as error:
        raise said(error, path) from error
    if before == HEAD:
        return found
    found.close()
    try:
        return readable(path, prepare=lambda copy: _run_alembic(copy, SystemClock(), keep=False))
    except (OSError, sqlite3.Error) as error:
        raise RegistryError(dbf.CANNOT_COPY_OLD(reason=error), subject=str(path)) from error


@contextmanager
def upgraded_copy(path: Path) -> Iterator[Path]:
    """Yield a temporary copy of an older file, with the newest schema; the file itself stays as it is.

    RegistryError when it cannot be made; OSError when it does not fit.
    """
    folder = temporary_folder(2 * path.stat().st_size)
    try:
        copy = copy_database(path, folder / path.name).path
        _run_alembic(copy, SystemClock(), keep=False)
        yield copy
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def version(driver: sqlite3.Connection) -> str | None:
    """Return the schema's version as the file records it; None when it records none."""
    if "alembic_version" not in _tables(driver):
        return None
    row = driver.execute("SELECT max(version_num) FROM alembic_version").fetchone()
    return None if row[0] is None else str(row[0])


def _checked(driver: sqlite3.Connection, path: Path) -> str | None:
    """Return the version of a file that may be upgraded; RegistryError says why it may not."""
    before = version(driver)
    if before is not None and before not in KNOWN:
        raise RegistryError(dbf.NEWER_SCHEMA(found=foreign(before), known=HEAD), subject=str(path))
    tables = _tables(driver)
    for table, specified in SPECIFIED_COLUMNS.items():
        columns = {row[1] for row in driver.execute(f'PRAGMA table_info("{table}")')}
        missing = specified - columns
        if columns and missing:
            raise _foreign(path, dbf.LACKS_COLUMNS(table=table, columns=missing))
    if tables and not tables & SPECIFIED_COLUMNS.keys():
        raise _foreign(path, dbf.HAS_TABLES(tables=tables))
    return before


def _foreign(path: Path, why: str) -> RegistryError:
    return RegistryError(dbf.OTHER_PROGRAM(why=why), subject=str(path))


def _tables(driver: sqlite3.Connection) -> set[str]:
    return {
        row[0]
        for row in driver.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        )
    }


def run_migrations(connection: Connection) -> None:
    """Run what is missing, in the transaction that the caller has open."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    with _alembic:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _run_alembic(path: Path, clock: Clock, *, keep: bool = True) -> None:
    from sqlalchemy import create_engine, event, exc, pool

    engine = create_engine("sqlite://", creator=lambda: open_driver(path), poolclass=pool.NullPool)
    # The driver begins no transaction before DDL, and takes the write lock too late: two programs that
    # open an old file at once must come one after the other, and the second then finds it upgraded.
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.begin() as connection:
            driver = connection.connection.driver_connection
            if not isinstance(driver, sqlite3.Connection) or _checked(driver, path) == HEAD:
                return
            if keep and _tables(driver):
                # With the write lock held: what is copied is what gets upgraded.
                name = f"{path.name}.before-r{HEAD}-{stamp(clock.now())}.bak"
                copy = copy_database(path, free_name(path.with_name(name)))
                _log.info(dbf.UPGRADING(path=path, version=HEAD, copy=copy.path))
            run_migrations(connection)
    except exc.DBAPIError as error:
        cause = error.orig if isinstance(error.orig, sqlite3.Error) else sqlite3.Error(str(error))
        raise said(cause, path) from error
    with closing(Checkpoints(path)) as checkpoints:
        checkpoints.run()
