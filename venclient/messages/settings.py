"""Messages about settings (VEN-CFG): ven.toml, VEN_... variables and flags."""

from __future__ import annotations

from venclient.messages import error, info

NOT_SET = error("VEN-CFG-001", "is not set", hint="expected {expected}")
MISTAKES = error("VEN-CFG-002", "{count:mistake|mistakes} in the settings")
NO_FILE = error(
    "VEN-CFG-003",
    "no such file in {folder}",
    hint="name another with --config (or VEN_CONFIG), or make it: `ven config template > {path}`",
)
UNREADABLE = error("VEN-CFG-004", "cannot be read ({problem})", hint="check the path and its permissions")
NOT_TOML = error("VEN-CFG-005", "is not valid TOML: {problem}", hint="correct that line")
NO_SETTING = error("VEN-CFG-006", "{source}: unknown setting {key}; did you mean {near}?")
UNKNOWN = error("VEN-CFG-007", "{source}: unknown setting {key}; `ven config template` prints all settings")
OBSOLETE = error("VEN-CFG-008", "{source}: {key}: {instead}")
VALUE = error("VEN-CFG-009", "{source}: {key} = {shown}: expected {expected}")
MISSING = error("VEN-CFG-010", "{source}: {key} is missing: expected {expected}")
CHOICE = error("VEN-CFG-011", "{source}: {key} = {value!r}: expected {known}")
NO_TLS = error(
    "VEN-CFG-012",
    "{source}: {key} = {value!r}: has no TLS; expected https://, or vtn.allow_http = true for a test VTN",
)
PASSWORD = error(
    "VEN-CFG-013",
    "{source}: registry.database = {value!r}: holds a password; expected a reference in its place"
    " (env:NAME or file:PATH)",
)
TOGETHER = error(
    "VEN-CFG-014", "{source}: vtn.client_id and vtn.client_secret belong together: set both or neither"
)
KEY_WITHOUT_CERT = error("VEN-CFG-015", "{source}: {key} belongs to {other}: set both")
LISTEN = error("VEN-CFG-016", '{source}: {key} = {value!r}: expected host and port, as in "0.0.0.0:8443"')
ZONE = error(
    "VEN-CFG-017", "{source}: {key} = {value!r}: unknown time zone; expected a name such as Europe/Copenhagen"
)
NEEDS = error("VEN-CFG-018", "{source}: {given} needs {needed}")
VTN_TABLE = error(
    "VEN-CFG-019", "{source}: {key}: expected a table [vtns.NAME], NAME of a-z, 0-9, - and _, at most 40"
)
SAME_STATE = error(
    "VEN-CFG-020", "{file}: {table}.state: is the file of {first} as well; each VTN has its own"
)
SAME_LISTEN = error(
    "VEN-CFG-021",
    "{file}: {table}.webhook_listen: is the address of {first} as well; each VTN has its own",
)
SAME_VEN = error(
    "VEN-CFG-022",
    "{file}: {table}.ven_name: is this VTN's VEN for {first} as well; each VTN has its own",
)

# Where a setting comes from

OF_TABLE = info("VEN-CFG-023", "default of [vtns.{name}]")
FROM_VARIABLE = info("VEN-CFG-024", "environment variable {name}")
FROM_FLAGS = info("VEN-CFG-025", "command line")
TOO_DEEP = error(
    "VEN-CFG-026", "is nested too deeply to be a settings file", hint="compare with `ven config template`"
)
ONE_LOGIN = error(
    "VEN-CFG-070",
    "{source}: vtn.token and vtn.client_id are both set: remove vtn.token, or vtn.client_id and "
    "vtn.client_secret",
)
