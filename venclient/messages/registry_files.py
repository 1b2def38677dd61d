"""Messages about the registry as a database: opening, copying, sealing and repairing it."""

from __future__ import annotations

from venclient.messages import error

# The server of a PostgreSQL registry

SERVER_AWAY = error(
    "VEN-DBF-001",
    "the PostgreSQL server cannot be reached ({reason})",
    hint="check that the server runs, and the host and port in the URL",
)
SERVER_REFUSED = error(
    "VEN-DBF-002",
    "the PostgreSQL server refused the connection ({reason})",
    hint="check the user, password and database in the URL",
)
DRIVER_MISSING = error(
    "VEN-DBF-003",
    "psycopg, the PostgreSQL driver, cannot be loaded ({reason})",
    hint="install it: {command}",
)
URL_KIND = error(
    "VEN-DBF-004",
    "unknown kind of database {kind!r}: must be a SQLite file or a PostgreSQL URL",
    hint="use a path, or postgresql://USER@HOST/DATABASE",
)
NO_FILE_NAME = error(
    "VEN-DBF-005",
    "an in-memory database is not supported: the registry is a file",
    hint="use the path of a SQLite file; it is created if missing",
)
