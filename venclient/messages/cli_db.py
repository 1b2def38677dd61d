"""Messages of `ven db`: the resource database as a file."""

from __future__ import annotations

from venclient.messages import error, info, warning

# ven db check

SIZE = info(
    "VEN-CLD-001", "{path}: {size} bytes ({unused} of them unused), log {log} bytes, schema {version}{later}"
)
SIZE_SERVER = info("VEN-CLD-002", "{path}: {size} bytes, schema {version}{later}")
FIRST_GENERATION = info("VEN-CLD-003", "of the first generation")
UNKNOWN_VERSION = info("VEN-CLD-004", "unknown")
UPGRADED_LATER = info(
    "VEN-CLD-005", " (will be upgraded when a command next opens it, or by `ven db migrate`)"
)
ROWS = info(
    "VEN-CLD-006",
    "{resources:resource|resources}, {connections:connection|connections} ({unused} not used by any"
    " resource), {changes:recorded change|recorded changes}",
)
NOTE = info("VEN-CLD-007", "note: {note}")
MORE_PROBLEMS = info("VEN-CLD-008", "... and {count:more problem|more problems}; --json lists all")
NO_PROBLEMS = info("VEN-CLD-009", "no problems found")

ROWS_NOT_CHECKED = warning(
    "VEN-CLD-010", "the rows were not checked: a copy with the current schema cannot be made ({reason})"
)

# ven db migrate, backup, restore and rescue

CURRENT = info("VEN-CLD-020", "{path}: schema {version} is current")
MIGRATED = info("VEN-CLD-021", "{path}: schema {before} -> {after}")
BACKED_UP = info(
    "VEN-CLD-022",
    "{path}: {size} bytes, {resources:resource|resources}, {connections:connection|connections}; checked",
)
REMOVED = info("VEN-CLD-023", "removed {path}")
KEY_NOT_INCLUDED = warning(
    "VEN-CLD-024", "the key file {key} is not part of the backup: keep a copy of it in another place"
)
RESTORED = info(
    "VEN-CLD-025",
    "{path}: {resources:resource|resources}, {connections:connection|connections} restored from {backup}",
)
KEPT = info("VEN-CLD-026", "the previous database was kept as {path}")
OLDER_RESTORED = info("VEN-CLD-027", "its schema is older: it is upgraded when a command next opens it")
RESCUED = info("VEN-CLD-029", "saved in {path}; `ven db check --db {path}` lists what is missing")

# ven db seal

KEY_MADE = info("VEN-CLD-040", "{path}: created; store the logins again that the lost key sealed")
SEALED = info("VEN-CLD-041", "{path}: {count:username or password|usernames and passwords} sealed")
OLD_TEXT_LEFT = warning(
    "VEN-CLD-042",
    "{path}: another program has the database open, so its log may still contain unsealed text;"
    " stop that program and run `ven db seal` again",
)
OLD_COPIES = warning("VEN-CLD-043", "earlier copies and backups still contain the unsealed logins")

# ven db copy

NOT_A_FILE = error(
    "VEN-CLD-050",
    "the database is not a file",
    hint="use pg_dump and pg_restore for a server; `ven db copy` copies a registry to a file",
)
COPYING = info("VEN-CLD-051", "{source} -> {target}")
REPLACED = info("VEN-CLD-052", "{count:row|rows} of the target deleted")
COPIED = info("VEN-CLD-053", "copied and verified: both databases have the same rows and contents")
CANNOT_COPY = error(
    "VEN-CLD-054",
    "{source} was not copied: {count:problem|problems}; the target was not changed",
    hint="correct or delete these rows and copy again",
)
TAKEN_UP = info("VEN-CLD-060", "a running gateway takes it up within seconds")

# ven db changes

CHANGES_SHOWN = info("VEN-CLD-260", "{count:change|changes} shown")
