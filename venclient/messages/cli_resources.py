"""Messages of `ven resources`."""

from venclient.messages import error, info, warning

ONE_FORMAT = error("VEN-CLR-001", "use only one of --json, --csv and --geojson")
UNKNOWN_FORMAT = error("VEN-CLR-002", "unknown format {name!r}: use {known}", hint="set it with --format")
NO_DATABASE = error(
    "VEN-CLR-005",
    "database not found",
    hint="create one with `ven import FILE...`, or name another with --db",
)
NO_REGISTRY = error(
    "VEN-CLR-006",
    "contains no registry",
    hint="create one with `ven import FILE...`, or name another with --db",
)
NO_CONDITION = error("VEN-CLR-007", "no condition: no resources selected", hint="add a condition, or --all")
NOT_A_PAIR = error("VEN-CLR-008", "{value!r} must be written NAME=VALUE")
NOT_JSON = error(
    "VEN-CLR-009", "{value!r} must be a number, true, false or JSON", hint="write decimals with a dot"
)
LEFT_OUT = warning("VEN-CLR-010", "left out: {place}: {reason}")
NO_SUCH_GROUP = warning("VEN-CLR-011", "no resource has the {kind} {value!r}{meant}; there are: {known}")
NOT_REPORTED = warning("VEN-CLR-012", "cannot be reported: {problem}")
WRONG_VALUES = warning(
    "VEN-CLR-014",
    "{count:resource has|resources have} wrong values: {names}{more}",
    hint="`ven resources show ID` lists them",
)
EXPORTED = info("VEN-CLR-015", "{file}: {count:resource|resources} as {format}")
CHANGED = info("VEN-CLR-016", "changed {changed} of {count:resource|resources}: {names}{more}")
WOULD_CHANGE = info("VEN-CLR-017", "would change {changed} of {count:resource|resources}: {names}{more}")
NO_HISTORY = info("VEN-CLR-018", "{name}: no change was recorded")
NOTHING_SELECTED = info("VEN-CLR-019", "no resource meets the conditions: nothing was changed")
DATABASE_HERE = error(
    "VEN-CLR-020", "database not found, but {here} is here", hint="add --db {here}, or name another with --db"
)
