"""A look at a database file as it is, without changing it: is it sound, which version, what is in it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from venclient.errors import NotFound
from venclient.registry.schema import HEAD
from venclient.registry.sqlite_link import said
from venclient.registry.upgrade import KNOWN, version

_SHOWN = 20


@dataclass
class Inspection:
    """What was found in a file; `problems` is empty when all is well. `version` None: first generation."""

    path: str
    bytes: int
    version: str | None
    resources: int = 0
    connections: int = 0
    unused_connections: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def is_current(self) -> bool:
        """True when the file needs no upgrade by this program."""
        return self.version == HEAD


def inspect(path: Path) -> Inspection:
    """Look at the file at `path`; NotFound when there is none, RegistryError when it is no database."""
    if not path.is_file():
        raise NotFound("there is no such file", subject=str(path), hint="--db names another")
    try:
        driver = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            return _inspected(driver, path)
        finally:
            driver.close()
    except sqlite3.Error as error:
        raise said(error, path) from error


def _inspected(driver: sqlite3.Connection, path: Path) -> Inspection:
    found = Inspection(str(path), path.stat().st_size, version(driver))
    if found.version is not None and found.version not in KNOWN:
        found.problems.append(
            f"its schema is version {found.version}, newer than the {HEAD} of this program; update venclient"
        )
        return found
    for (text,) in driver.execute(f"PRAGMA integrity_check({_SHOWN})"):
        if text != "ok":
            found.problems.append(f"integrity: {text}")
    tables = {row[0] for row in driver.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    missing = {"resources", "connections"} - tables
    if missing:
        found.problems.append(f"has no table {' and no table '.join(sorted(missing))}")
        return found
    for table, row_id, parent, _ in driver.execute("PRAGMA foreign_key_check"):
        found.problems.append(f"{table} row {row_id} refers to a row of {parent} that is not there")
    used = "SELECT connection_id FROM resources"
    if found.is_current:
        used += " UNION SELECT control_connection_id FROM resources WHERE control_connection_id IS NOT NULL"
    for name, sql in (
        ("resources", "SELECT count(*) FROM resources"),
        ("connections", "SELECT count(*) FROM connections"),
        ("unused_connections", f"SELECT count(*) FROM connections WHERE id NOT IN ({used})"),  # noqa: S608
    ):
        setattr(found, name, driver.execute(sql).fetchone()[0])
    return found
