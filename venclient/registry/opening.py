"""From what a user names, a file or a URL, to an open registry at the newest schema."""

from __future__ import annotations

import re
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.engine import Dialect

from venclient.errors import ConfigError, RegistryError
from venclient.installation import install_hint
from venclient.messages import registry_files as dbf
from venclient.read_only import is_read_only
from venclient.registry.link import Link
from venclient.registry.statements import Statements
from venclient.sqlite_file import has_room

if TYPE_CHECKING:
    from venclient.registry.postgres_link import PostgresLink

_POSTGRES = ("postgresql://", "postgres://")


def is_url(database: str | Path) -> bool:
    """Return whether a database is named by URL; else it is a file."""
    return isinstance(database, str) and "://" in database


def shown(database: str | Path) -> str:
    """Return the name of a database as people may see it: a password in a URL is ***."""
    text = str(database)
    if not is_url(text):
        return text
    text = re.sub(r"(://[^:@/?]*:).*@", r"\1***@", text)
    return re.sub(r"(?i)(password=)[^&]*", r"\1***", text)


def open_link(database: str | Path, *, upgraded: bool = True) -> Link:
    """Return a link to a database, first upgraded to the newest schema (unless `upgraded` is False).

    ConfigError when it names neither a file nor a PostgreSQL database, or when psycopg is not installed;
    RegistryError when it cannot be used; its `transient` is true when waiting may help: the server is away
    or starting up, or another program has been writing for long. A refused login is not transient.
    """
    if is_url(database):
        return _postgres(str(database), upgraded=upgraded)
    if str(database) == ":memory:":
        raise ConfigError(dbf.NO_FILE_NAME(), subject=str(database))
    from venclient.registry.sqlite_link import SqliteLink, open_driver
    from venclient.registry.upgrade import readable_registry, upgrade

    path = Path(database)
    if is_read_only(path):
        found = readable_registry(path)
        found.report()
        return SqliteLink(path, found)
    try:
        if upgraded:
            upgrade(path)
        if path.exists() and not has_room(path):
            with closing(open_driver(path)):
                pass
    except RegistryError:
        if not path.is_file() or has_room(path):
            raise
        found = readable_registry(path)
        found.note = dbf.FULL_REGISTRY(path=path)
        found.report()
        return SqliteLink(path, found)
    return SqliteLink(path)


def holds_registry(database: str | Path) -> bool:
    """Return whether there is a registry: a file of that name, or a table of resources; nothing is made."""
    if not is_url(database):
        return Path(database).exists()
    link = open_link(database, upgraded=False)
    try:
        return link.rows("SELECT to_regclass('resources')")[0][0] is not None
    finally:
        link.close()


def upgraded(url: str) -> tuple[str | None, str]:
    """Bring a PostgreSQL database to the newest schema and return the versions before and after."""
    link = _postgres(url, upgraded=False)
    try:
        from venclient.registry.postgres_upgrade import upgrade

        return upgrade(link)
    finally:
        link.close()


@cache
def statements_for(dialect: Dialect) -> Statements:
    """Return the compiled statements, which all databases of one kind share."""
    return Statements(dialect)


def _postgres(url: str, *, upgraded: bool) -> PostgresLink:
    if not url.startswith(_POSTGRES):
        raise ConfigError(dbf.URL_KIND(kind=url.partition("://")[0]), subject=shown(url))
    try:
        from venclient.registry.postgres_link import PostgresLink
    except ImportError as error:
        raise ConfigError(
            dbf.DRIVER_MISSING(reason=error, command=install_hint("postgresql")), subject=shown(url)
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
