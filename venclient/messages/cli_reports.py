"""Messages of `ven reports` and `ven vtn` (VEN-CLP-...)."""

from __future__ import annotations

from venclient.messages import error, info, warning

# ---- ven reports

NO_REPORT_NAMED = error(
    "VEN-CLP-001", "no report given", hint="name reports, or use --state refused (or unmet, lost)"
)
NOT_REQUEUED = warning(
    "VEN-CLP-002", "{report}: not requeued: its state is not refused, unmet or lost", hint="nothing to do"
)
REQUEUED = info("VEN-CLP-003", "{count:report|reports} requeued")
NONE_REQUEUED = info("VEN-CLP-004", "no reports requeued")
CANNOT_WRITE = error("VEN-CLP-005", "cannot write the file ({problem})", hint="check path and permissions")
EXPORTED = info("VEN-CLP-006", "{path}: {count:line|lines} written, one per resource and day")
UNKNOWN_VTN = error("VEN-CLP-007", "unknown VTN", hint="valid names: {known}")
ONLY_VTN = error("VEN-CLP-008", "unknown VTN", hint="omit --vtn: there is only one VTN")
AMBIGUOUS = error("VEN-CLP-009", "{count} report names end like this", hint="give more of the name")
UNKNOWN_REPORT = error("VEN-CLP-010", "unknown report", hint="run `ven reports list` for the names")
NOT_REPORTED = error(
    "VEN-CLP-011", "no report includes this resource", hint="run `ven resources list` for ids and names"
)
UNKNOWN_STATE = error("VEN-CLP-012", "unknown state", hint="valid states: {known}")
BAD_TIME = error(
    "VEN-CLP-013",
    "invalid time {text!r}: must be ISO 8601, such as 2026-03-01T12:00Z, or an age, such as 7d",
    hint="correct the option",
)
BODY_FAILED = info("VEN-CLP-014", "body: not available here")
BODY_NONE = info("VEN-CLP-015", "body: none, no data yet")
BODY_NEXT = info("VEN-CLP-016", "body, as it would be sent now")
BODY_SENT = info("VEN-CLP-017", "body, as sent")
BODY_DIFFERS = info("VEN-CLP-018", "current body (differs from the one sent)")
BODY_CURRENT = info("VEN-CLP-019", "current body (the one sent is stored at the VTN only)")
RESOURCES_OPEN = info("VEN-CLP-020", "not determined yet")
SHOWN = info("VEN-CLP-021", "{count} shown; total: {counts}")
INTERVALS = info("VEN-CLP-022", "{due:interval|intervals} due, {sent} sent{share}")
WINDOW = info("VEN-CLP-023", "{start} to {end} UTC, {count:interval|intervals}")

# ---- ven vtn

NO_VERSION = info("VEN-CLP-024", "version not announced")
LOGIN = info("VEN-CLP-025", "login required")
NO_LOGIN = info("VEN-CLP-026", "no login required")
LOGIN_UNKNOWN = info("VEN-CLP-027", "login requirement not announced")
WRITE_SETTINGS = info("VEN-CLP-028", "to use this VTN, add to ven.toml:")
NO_VTN = warning(
    "VEN-CLP-029",
    "no VTN announced itself within {seconds:g} s; only VTNs on the local network can be found",
    hint="ask the VTN's operator for its address",
)
JSON_CANNOT_ASK = error("VEN-CLP-030", "--json cannot ask for confirmation", hint="add --yes")
RECORDS_UNREADABLE = error(
    "VEN-CLP-031",
    "refused: the registry has unreadable records, and their resources would be deleted ({problem})",
    hint="run `ven db check` to list all problems",
)
CONFIRM = info("VEN-CLP-032", "Delete these {count:resource|resources} at {url}?")
MORE = info("VEN-CLP-033", "... and {count} more (--json lists all)")
VEN_KNOWN = info("VEN-CLP-034", "VEN {ven}: registered, id {id}")
VEN_UNKNOWN = info("VEN-CLP-035", "VEN {ven}: not registered")
UNCHANGED = info("VEN-CLP-036", "unchanged: {count}")
TO_CREATE = info("VEN-CLP-037", "to create: {count}")
TO_UPDATE = info("VEN-CLP-038", "to update: {count}")
EXTRA = info("VEN-CLP-039", "extra at the VTN (not in the registry): {count}")
NOTE = info("VEN-CLP-040", "note: {problem}")
HOW_TO_REGISTER = info(
    "VEN-CLP-041",
    "run `ven vtn register{option}` to update the VTN; a running gateway does it automatically",
)
HOW_TO_DELETE = info("VEN-CLP-042", "run `ven vtn register{option} --delete-extra` to delete extra resources")
DONE = info(
    "VEN-CLP-043",
    "VEN {ven} (id {id}) at {url}: created {created}, updated {updated}, unchanged {unchanged}, rejected "
    "{rejected}, deleted {deleted}",
)
REJECTED = info("VEN-CLP-044", "rejected: {name}: {problem}")
STOPPED = error("VEN-CLP-045", "stopped early: {problem}", hint="run the command again to continue")

# ven vtn discover

HOST = info("VEN-CLP-046", "host      {host}{addresses}, port {port}")
PROGRAMS = info("VEN-CLP-047", "programs  {names}")
OPENAPI = info("VEN-CLP-048", "OpenAPI   {url}")
NOTE_LINE = info("VEN-CLP-049", "note      {note}")

# ven reports show and export --values

ATTEMPTS = info("VEN-CLP-260", "{count:attempt|attempts} to send it")
ACCEPTED = info("VEN-CLP-261", "accepted, as {id}")
BODY_NOT_KEPT = info(
    "VEN-CLP-262", "its body is not stored (see reporting.sent_day_mb and reporting.sent_mb)"
)
SAME_BODY = info("VEN-CLP-263", "same body as before")
VALUES = info("VEN-CLP-264", "values as sent (attempt {number}, {time} UTC) and as they would be now")
VALUES_UNSENT = info("VEN-CLP-265", "values as they would be now (no body that the VTN accepted is stored)")
MORE_VALUES = info("VEN-CLP-266", "... and {count:more value|more values}; --json lists all")
DIFFER = info("VEN-CLP-267", "{count} of {all:value|values} differ")
READINGS_GONE = error(
    "VEN-CLP-268",
    "readings of this time are no longer stored; the oldest are of {first:%Y-%m-%d %H:%M}",
    hint="set readings.retention_days higher to keep later ones longer",
)
VALUES_EXPORTED = info(
    "VEN-CLP-269", "{path}: {count:line|lines} written, one per resource, interval and payload"
)
NO_ATTEMPTS = info("VEN-CLP-270", "no attempt to send it is stored")
ONLY_VALUES = error("VEN-CLP-271", "only available with --values", hint="add --values, or omit the option")
REPORT_GONE = info("VEN-CLP-272", "{report}: no longer in the list of reports; what was sent is still stored")
ACCEPTED_AT = info("VEN-CLP-273", "accepted, as {id}, by the VTN's clock at {time}")
BODIES_MISSING = warning(
    "VEN-CLP-340",
    "{count:report|reports} not exported: what the VTN holds of them is not stored here",
    hint="raise reporting.sent_day_mb or reporting.sent_mb for later reports; `ven reports show` lists their "
    "attempts",
)
