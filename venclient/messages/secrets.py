"""Messages about secrets and the key that seals logins (VEN-SEC)."""

from __future__ import annotations

from venclient.messages import error, info, warning

LOCKED = error("VEN-SEC-001", "(sealed with the key {key}, which is missing)")
KEY_READABLE = warning("VEN-SEC-002", "{path}: others can read this key file; run `chmod 600` on it")
KEY_MADE = info("VEN-SEC-003", "{path}: made the key that seals passwords; keep a copy of it elsewhere")
KEY_NOT_MADE = error(
    "VEN-SEC-004",
    "the key file cannot be made ({problem})",
    hint="set registry.key_file to a path that can be written",
)
KEY_UNUSABLE = error(
    "VEN-SEC-005", "the key file cannot be used ({problem})", hint="put the right key file there"
)
KEY_MISSING = error(
    "VEN-SEC-006",
    "sealed with the key {key}, which is not in {places}",
    hint="restore its key file, or store the login again",
)
KEY_UNKNOWN = error(
    "VEN-SEC-007",
    "sealed with the key {key}, but no key file is set",
    hint="set {variable} or registry.key_file to its key file",
)
SEALED_DAMAGED = error(
    "VEN-SEC-008",
    "sealed with the key {key}, but the sealed text is damaged",
    hint="store the login again",
)
VARIABLE_UNSET = error(
    "VEN-SEC-009", "environment variable is not set", hint="set it, or correct the reference"
)
NO_CREDENTIALS = error(
    "VEN-SEC-010", "no systemd credentials here", hint="set LoadCredential= in the service unit"
)
SECRET_UNREADABLE = error(
    "VEN-SEC-011", "secret cannot be read ({problem})", hint="check the file and its permissions"
)
KEY_EMPTY = error("VEN-SEC-012", "it holds no key")
LOGIN = info("VEN-SEC-013", "username or password")
SECRET_NOT_TEXT = error(
    "VEN-SEC-014", "{path} is not a UTF-8 text file", hint="write the secret to it as plain text"
)
