"""Messages about the registry as a database: opening, copying, sealing and repairing it."""

from __future__ import annotations

from venclient.messages import error, info, warning

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
READ_ONLY_PLACE = error(
    "VEN-DBF-017",
    "the file system is read-only: the file cannot be created or changed",
    hint="choose a path on another medium; `mount` and `dmesg` show why this one is read-only",
)
BACKUP_FOLDER = error(
    "VEN-DBF-018",
    "the folder cannot be written ({reason}); no backup was made",
    hint="name a folder on another medium: `ven db backup FOLDER`",
)
NO_REHEARSAL = error(
    "VEN-DBF-019",
    "the database is read-only, and the dry run needs a temporary copy, which cannot be made ({reason})",
    hint="set TMPDIR to a folder with space",
)

# Copying a registry

COPY_REFUSED = error(
    "VEN-DBF-020",
    "{source} has {count:problem|problems} that keep it from being copied: {problems}",
    hint="correct or delete those rows and copy again; the target was not changed",
)

# Backups and copies of a file

NOT_THERE = error("VEN-DBF-030", "the file does not exist", hint="name another with --db")
KEEP = error(
    "VEN-DBF-031", "works with a folder of backups, and keeps at least 1", hint="name a folder, not a file"
)
BACKUP_UNUSABLE = error(
    "VEN-DBF-032", "cannot be used: {damage}", hint="{database} stays as it is; use an older backup"
)
BACKUP_IS_DATABASE = error("VEN-DBF-033", "is the database itself", hint="name a backup")
OPEN_ELSEWHERE = error(
    "VEN-DBF-034",
    "is open in another program; nothing was changed",
    hint="stop the gateway and every other program that reads it, then restore again",
)
COPY_THERE = error("VEN-DBF-035", "the file exists already", hint="name another file; nothing was changed")
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
NOT_SQLITE = error(
    "VEN-DBF-041",
    "is not a SQLite database",
    hint="name the resource database; where this is it, it is damaged: put a copy of it back "
    "(`ven db restore`)",
)
DAMAGED = error(
    "VEN-DBF-042",
    "is damaged ({problem})",
    hint="put a copy of it back (`ven db restore`), or save what can still be read (`ven db rescue`)",
)
DISK_FULL = error("VEN-DBF-043", "the disk is full; nothing was stored", hint="make room")
SQLITE_REFUSED = error("VEN-DBF-044", "SQLite refused ({problem})")
ROW_CONFLICT = error("VEN-DBF-045", "is already there, or refers to what is not ({problem})")

# Versions of the schema, and databases of other programs

NEWER_SCHEMA = error(
    "VEN-DBF-050",
    "the schema has version {found}, newer than version {known} of this program; nothing was changed",
    hint="update venclient, or restore the copy made before the newer version opened the database",
)
OTHER_PROGRAM = error(
    "VEN-DBF-051",
    "belongs to another program: {why}",
    hint="name the resource database, or a file that does not exist yet; where this is the resource "
    "database, it is damaged: put a copy of it back (`ven db restore`)",
)
OTHER_PROGRAM_SERVER = error(
    "VEN-DBF-052",
    "belongs to another program: {why}",
    hint="name an empty database, or a separate schema with ?options=-csearch_path%3DNAME",
)
HAS_TABLES = info("VEN-DBF-053", "it has the tables {tables}")
LACKS_COLUMNS = info("VEN-DBF-054", "its table {table} lacks the columns {columns}")
UPGRADING = info("VEN-DBF-055", "{path}: upgrading to schema {version}; the file as it was is kept as {copy}")

# Copying a registry to another database

NO_SOURCE = error("VEN-DBF-060", "the database does not exist", hint="name the database to copy from")
ONTO_ITSELF = error("VEN-DBF-061", "source and target are the same database", hint="name another target")
TARGET_NOT_EMPTY = error(
    "VEN-DBF-062",
    "the target is not empty ({held}); nothing was changed",
    hint="use an empty target, or --replace to delete what it holds",
)
ROWS_OF = info("VEN-DBF-063", "{count:row|rows} of {table}")
NOT_VERIFIED = error(
    "VEN-DBF-064",
    "{sent:row|rows} of {table} were sent, but the target has {arrived}, or other contents; the target was"
    " not changed",
    hint="copy again; if it fails again, check both databases with `ven db check`",
)
ROW_REFUSED = error("VEN-DBF-065", "{table} row {row}: {problem}")
LOST_PARENT = error(
    "VEN-DBF-066", "{table} row {row}, {column}: refers to a row of {parent} that does not exist"
)
NOT_UTF8 = warning(
    "VEN-DBF-067", "{table} row {row}, {column}: bytes that are not UTF-8 were replaced by \ufffd"
)
HAS_NUL = error("VEN-DBF-068", "contains a NUL character, which PostgreSQL cannot store")
TOO_LARGE = error("VEN-DBF-069", "{value} is too large a number for PostgreSQL")
NOT_TRUTH = error("VEN-DBF-070", "invalid value {value}: must be 0 or 1")
NOT_INTEGER = error("VEN-DBF-071", "invalid value {value}: must be an integer")
NOT_TEXT = error("VEN-DBF-072", "invalid value of type {type}: must be text")
NOT_TIME = error("VEN-DBF-073", "invalid time {value}: expected 2026-01-31 12:00:00")

NULL_CELL = error("VEN-DBF-074", "the value is missing")
NOT_JSON_OF = error("VEN-DBF-075", "the text is not valid JSON of the expected form ({problem})")
UNKNOWN_WORD = error("VEN-DBF-076", "unknown value {value}: must be one of {known}")
DUPLICATE = error("VEN-DBF-077", "{table} row {row}, {column}: another row has the same value {value}")

# Checking a database

IS_FOLDER = error("VEN-DBF-080", "is a folder", hint="name the database file")
NO_BACKUP = error("VEN-DBF-081", "the file does not exist", hint="name a backup that `ven db backup` created")
NO_REGISTRY = error(
    "VEN-DBF-082", "the database has no registry", hint="`ven db copy FROM TO` copies one into it"
)
INTEGRITY = error("VEN-DBF-083", "integrity: {problem}")
NO_TABLE = error("VEN-DBF-084", "missing tables: {tables}")
STILL_READABLE = error(
    "VEN-DBF-085", "the file is damaged; still readable: {rows}. `ven db rescue` saves these rows"
)
NEWER_FOUND = error(
    "VEN-DBF-086",
    "the schema has version {found}, newer than version {known} of this program; update venclient",
)
DANGLING = error("VEN-DBF-087", "{table} row {row} refers to a row of {parent} that does not exist")
ROW_INVALID = error("VEN-DBF-088", "{place}: {reason}")

# The files of a running gateway

STORE_READ_ONLY = error(
    "VEN-DBF-089",
    "the file cannot be written ({reason}): nothing can be stored in it",
    hint="make the medium, the file and its folder writable (`mount`, `dmesg` and `ls -l` show the cause), or"
    " set a path on another medium in ven.toml",
)
CANNOT_OPEN = error(
    "VEN-DBF-090",
    "the file cannot be opened ({problem})",
    hint="check that the folder exists and is writable, and that the file is a venclient database",
)
CANNOT_LISTEN = error(
    "VEN-DBF-091",
    "the status socket cannot be created ({reason})",
    hint="set status.socket to a path in a folder that can be written, such as /run/venclient/ven.sock",
)
NO_FOLDER = error(
    "VEN-DBF-092",
    "the folder does not exist",
    hint="create it, mount the medium that it is on, or name another folder",
)

# What other programs left in a registry file

FOREIGN_TRIGGER = error(
    "VEN-DBF-310",
    "trigger {name} on {table} is not part of the registry: changes that would run it are refused",
    hint="find out who made it, then remove it: sqlite3 FILE 'DROP TRIGGER \"NAME\"'",
)
VIEW_AS_TABLE = error("VEN-DBF-311", "{name} is a view or virtual table where the registry has a table")
FOREIGN_VIEW = info("VEN-DBF-312", "view {name} is not part of the registry")
FOREIGN_TABLE = info("VEN-DBF-313", "table {name} is not part of the registry")
FOREIGN_INDEX = info("VEN-DBF-314", "index {name} on {table} is not part of the registry")
FOREIGN_UNIQUE_INDEX = error(
    "VEN-DBF-315",
    "index {name} on {table} is not part of the registry, and refuses rows that the registry allows",
    hint="find out who made it, then remove it: sqlite3 FILE 'DROP INDEX \"NAME\"'",
)
MISSING_TRIGGER = error(
    "VEN-DBF-316", "trigger {name} is missing: recorded changes can be altered without a trace"
)
OVERSIZED_CELL = error(
    "VEN-DBF-317", "{table} row {row}, {column}: the cell has {size} characters: the maximum is {most}"
)
TRIGGER_REFUSED = error(
    "VEN-DBF-318",
    "the file has a trigger of another program that this change would run; nothing was changed",
    hint="`ven db check` names it",
)
SCHEMA_NOT_UTF8 = info("VEN-DBF-319", "names in its schema are not UTF-8")
FULL_REGISTRY = warning(
    "VEN-DBF-320",
    "{path} is read as it is, and nothing is stored in it: its disk is full",
    hint="free disk space",
)
