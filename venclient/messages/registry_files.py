"""Messages about the registry as a database: opening, copying, sealing and repairing it."""

from __future__ import annotations

from venclient.messages import error, warning

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

# Files that can only be read

READ_ONLY = warning(
    "VEN-DBF-010",
    "{path} is read-only: it was opened for reading, and nothing can be stored",
    hint="check the file system and the file's permissions if this is not intended",
)
READ_ONLY_WITHOUT_LOG = warning(
    "VEN-DBF-011",
    "{path} is read-only, and its newest changes ({bytes} bytes not merged yet) are missing from what is"
    " shown: a copy does not fit into the temporary folder ({folder})",
    hint="set TMPDIR to a folder with space",
)
READ_ONLY_OLD = warning(
    "VEN-DBF-012",
    "{path} is read-only and has the schema of an older version: a temporary upgraded copy was opened for"
    " reading, and nothing can be stored",
    hint="make the file writable and run `ven db migrate`",
)
CANNOT_WRITE = error(
    "VEN-DBF-013",
    "the database is read-only; nothing was changed",
    hint="check the file system, and the owner and mode of the file and its folder",
)
CANNOT_COPY_OLD = error(
    "VEN-DBF-014",
    "the database is read-only and has the schema of an older version, and a copy to upgrade cannot be made"
    " ({reason})",
    hint="set TMPDIR to a folder with space, or make the file writable",
)
CANNOT_CREATE = error(
    "VEN-DBF-015",
    "the file cannot be created or opened ({reason})",
    hint="check the path and the permissions of its folder, or choose another path",
)

NO_ROOM = error("VEN-DBF-016", "the temporary folder has no room for {needed} bytes")

# Copying a registry

COPY_REFUSED = error(
    "VEN-DBF-020",
    "{source} has {count:problem|problems} that keep it from being copied: {problems}",
    hint="correct or delete those rows and copy again; the target was not changed",
)

# Backups and copies of a file

NOT_THERE = error("VEN-DBF-030", "the file does not exist", hint="name another with --db")
KEEP = error("VEN-DBF-031", "keeps at least 1, of a folder", hint="name a folder, not a file")
BACKUP_UNUSABLE = error(
    "VEN-DBF-032", "cannot be used: {damage}", hint="{database} stays as it is; use an older backup"
)
BACKUP_IS_DATABASE = error("VEN-DBF-033", "is the database itself", hint="name a backup")
OPEN_ELSEWHERE = error(
    "VEN-DBF-034",
    "is open in another program; nothing was changed",
    hint="stop the gateway and every other program that reads it, then restore again",
)
COPY_THERE = error("VEN-DBF-035", "is there already", hint="name another file; nothing was changed")
COPY_DAMAGED = error(
    "VEN-DBF-036",
    "is damaged ({faults}); no copy was kept",
    hint="`ven db check` shows what can still be read; put a copy of it back",
)
COPY_DIFFERS = error(
    "VEN-DBF-037", "has {wanted} rows, its copy {got}; no copy was kept", hint="run it again"
)
NO_TABLES = error("VEN-DBF-038", "has no table of a registry", hint="use a backup: `ven db restore`")

# What SQLite says

BUSY = error(
    "VEN-DBF-040", "another program has been writing for over {seconds} s", hint="try again when it is done"
)
NOT_SQLITE = error("VEN-DBF-041", "is not a SQLite database", hint="name the resource database")
DAMAGED = error(
    "VEN-DBF-042",
    "is damaged ({problem})",
    hint="put a copy of it back (`ven db restore`), or save what can still be read (`ven db rescue`)",
)
DISK_FULL = error("VEN-DBF-043", "the disk is full; nothing was stored", hint="make room")
SQLITE_REFUSED = error("VEN-DBF-044", "SQLite refused ({problem})")
ROW_CONFLICT = error("VEN-DBF-045", "is already there, or refers to what is not ({problem})")
