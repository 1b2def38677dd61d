"""From what a user names, a file or a URL, to an open registry at the newest schema."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.engine import Dialect

from venclient.errors import ConfigError
from venclient.installation import install_hint
from venclient.registry.link import Link
from venclient.registry.statements import Statements

if TYPE_CHECKING:
    from venclient.registry.postgres_link import PostgresLink

_POSTGRES = ("postgresql://", "postgres://")


def is_url(database: str | Path) -> bool:
    """Tell whether a database is named by URL; else it is a file."""
    return isinstance(database, str) and "://" in database


def shown(database: str | Path) -> str:
    """Give the name of a database as people may see it: a password in a URL is ***."""
    text = str(database)
    if not is_url(text):
        return text
    text = re.sub(r"(://[^:@/?]*:).*@", r"\1***@", text)
    return re.sub(r"(?i)(password=)[^&]*", r"\1***", text)


def open_link(database: str | Path, *, upgraded: bool = True) -> Link:
    """Give a link to a database, brought to the newest schema before (unless told otherwise).

    ConfigError when it names neither a file nor a PostgreSQL database, or when psycopg is not installed;
    RegistryError when it cannot be used.
    """
    if is_url(database):
        return _postgres(str(database), upgraded=upgraded)
    if str(database) == ":memory:":
        raise ConfigError(
            "names no file", subject=str(database), hint="give the path of a SQLite file, made if missing"
        )
    from venclient.registry.sqlite_link import SqliteLink
    from venclient.registry.upgrade import upgrade

    path = Path(database)
    if upgraded:
        upgrade(path)
    return SqliteLink(path)


def holds_registry(database: str | Path) -> bool:
    """Tell whether there is a registry: a file of that name, or a table of resources; nothing is made."""
    if not is_url(database):
        return Path(database).exists()
    link = open_link(database, upgraded=False)
    try:
        return link.rows("SELECT to_regclass('resources')")[0][0] is not None
    finally:
        link.close()


def upgraded(url: str) -> tuple[str | None, str]:
    """Bring a PostgreSQL database to the newest schema; give the versions before and after."""
    link = _postgres(url, upgraded=False)
    try:
        from venclient.registry.postgres_upgrade import upgrade

        return upgrade(link)
    finally:
        link.close()


@cache
def statements_for(dialect: Dialect) -> Statements:
    """Give the compiled statements, which all databases of one kind share."""
    return Statements(dialect)


def _postgres(url: str, *, upgraded: bool) -> PostgresLink:
    if not url.startswith(_POSTGRES):
        raise ConfigError(
            f"is no kind of database that is known ({url.partition('://')[0]})",
            subject=shown(url),
            hint="give the path of a SQLite file, or postgresql://USER@HOST/DATABASE",
        )
    try:
        from venclient.registry.postgres_link import PostgresLink
    except ImportError as error:
        raise ConfigError(
            f"psycopg cannot be loaded ({error})",
            subject=shown(url),
            hint=install_hint("postgresql"),
        ) from error
    from venclient.registry.postgres_upgrade import upgrade

    link = PostgresLink(url)
    if upgraded:
        try:
            upgrade(link)
        except BaseException:
            link.close()
            raise
    return link
