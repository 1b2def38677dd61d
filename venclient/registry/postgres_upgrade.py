"""Brings a PostgreSQL database to the newest schema, in one transaction: old or new, never between."""

from __future__ import annotations

import psycopg
from sqlalchemy import create_engine, exc, inspect, pool, text
from sqlalchemy.engine import Connection

from venclient.errors import RegistryError
from venclient.messages import registry_files as dbf
from venclient.messages.printable import foreign
from venclient.registry.link import BUSY_TIMEOUT_MS
from venclient.registry.postgres_link import PostgresLink, said
from venclient.registry.schema import HEAD, SPECIFIED_COLUMNS
from venclient.registry.upgrade import KNOWN, run_migrations

_LOCK = 0x76656E636C69  # any number will do that other programs do not use for theirs


def upgrade(link: PostgresLink) -> tuple[str | None, str]:
    """Upgrade the database to the newest schema; return the versions before (None for none) and after.

    RegistryError when it is newer than this program or holds the tables of another one; it is then as it
    was.
    """
    if found(link) == HEAD:
        return HEAD, HEAD
    driver = link.driver()
    engine = create_engine("postgresql+psycopg://", creator=lambda: driver, poolclass=pool.StaticPool)
    driver.autocommit = False
    try:
        with engine.begin() as connection:
            # Two programs that open it at once come one after the other; the second finds it done.
            connection.execute(text(f"SET LOCAL lock_timeout = {BUSY_TIMEOUT_MS * 2}"))
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            before = _checked(connection, link.name)
            if before != HEAD:
                run_migrations(connection)
    except exc.DBAPIError as error:
        cause = error.orig if isinstance(error.orig, psycopg.Error) else psycopg.Error(str(error))
        raise said(cause, link.name) from error
    finally:
        engine.dispose(close=False)
        link.forget()  # SQLAlchemy has taught this connection its own ways of reading
    return before, HEAD


def found(link: PostgresLink) -> str | None:
    """Return the version that the database records, None when it records none."""
    if link.rows("SELECT to_regclass('alembic_version')")[0][0] is None:
        return None
    version = link.rows("SELECT max(version_num) FROM alembic_version")[0][0]
    return None if version is None else str(version)


def _checked(connection: Connection, subject: str) -> str | None:
    looked = inspect(connection)
    tables = set(looked.get_table_names())
    before: str | None = None
    if "alembic_version" in tables:
        before = connection.execute(text("SELECT max(version_num) FROM alembic_version")).scalar()
    ours = tables & SPECIFIED_COLUMNS.keys()
    if tables and not ours:
        raise _foreign(subject, dbf.HAS_TABLES(tables=tables))
    for table in ours:
        missing = SPECIFIED_COLUMNS[table] - {column["name"] for column in looked.get_columns(table)}
        if missing:
            raise _foreign(subject, dbf.LACKS_COLUMNS(table=table, columns=missing))
    if before is not None and before not in KNOWN:
        raise RegistryError(dbf.NEWER_SCHEMA(found=foreign(before), known=HEAD), subject=subject)
    return before


def _foreign(subject: str, why: str) -> RegistryError:
    return RegistryError(dbf.OTHER_PROGRAM_SERVER(why=why), subject=subject)
