"""Brings a database file to the newest schema, in one transaction: old or new, never between."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from venclient.errors import RegistryError
from venclient.registry.schema import HEAD, SPECIFIED_COLUMNS
from venclient.registry.sqlite_link import open_driver, said

#: All versions there have been, oldest first.
KNOWN = ("0001", "0002")

_FOLDER = Path(__file__).parent / "migrations"
_alembic = threading.Lock()  # Alembic keeps what it works on in module globals


def upgrade(path: Path) -> tuple[str | None, str]:
    """Bring the file at `path` to the newest schema; give the versions before and after.

    Before is None for a new file and for one of the first generation. RegistryError when the file is
    newer than this program, belongs to another program or is damaged; it is then as it was.
    """
    driver = open_driver(path)
    try:
        before = _checked(driver, path)
    except sqlite3.Error as error:
        raise said(error, path) from error
    finally:
        driver.close()
    if before != HEAD:
        _run_alembic(path)
    return before, HEAD


def version(driver: sqlite3.Connection) -> str | None:
    """Give the schema's version as the file records it; None when it records none."""
    if "alembic_version" not in _tables(driver):
        return None
    row = driver.execute("SELECT max(version_num) FROM alembic_version").fetchone()
    return None if row[0] is None else str(row[0])


def _checked(driver: sqlite3.Connection, path: Path) -> str | None:
    """Give the version of a file that may be upgraded; RegistryError says why it may not."""
    before = version(driver)
    if before is not None and before not in KNOWN:
        raise RegistryError(
            f"its schema is version {before}, newer than the {HEAD} of this program; nothing was changed",
            subject=str(path),
            hint="update venclient, or use the copy of the database from before the newer program opened it",
        )
    tables = _tables(driver)
    for table, specified in SPECIFIED_COLUMNS.items():
        columns = {row[1] for row in driver.execute(f'PRAGMA table_info("{table}")')}
        missing = ", ".join(sorted(specified - columns))
        if columns and missing:
            raise _foreign(path, f"its table {table} has no column {missing}")
    if tables and not tables & SPECIFIED_COLUMNS.keys():
        raise _foreign(path, f"it has the tables {', '.join(sorted(tables))}")
    return before


def _foreign(path: Path, why: str) -> RegistryError:
    return RegistryError(
        f"is the database of another program: {why}",
        subject=str(path),
        hint="name the resource database, or a file that does not exist yet",
    )


def _tables(driver: sqlite3.Connection) -> set[str]:
    return {
        row[0]
        for row in driver.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        )
    }


def _run_alembic(path: Path) -> None:
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine, event, exc, pool

    engine = create_engine("sqlite://", creator=lambda: open_driver(path), poolclass=pool.NullPool)
    # The driver begins no transaction before DDL, and takes the write lock too late: two programs that
    # open an old file at once must come one after the other, and the second then finds it upgraded.
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    try:
        with _alembic, engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except exc.DBAPIError as error:
        cause = error.orig if isinstance(error.orig, sqlite3.Error) else sqlite3.Error(str(error))
        raise said(cause, path) from error
