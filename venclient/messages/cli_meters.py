"""Messages of the commands for meters: `ven connections`, `read`, `templates` and `readings`."""

from __future__ import annotations

from venclient.messages import error, info, warning

# ven connections

ONE_OF_BOTH = error(
    "VEN-CLM-001",
    "expected either a resource or a file",
    hint="ven connections test ID, or --file PATH",
)
NO_UNIT = error(
    "VEN-CLM-002",
    "{host}:{port} accepts connections, but none of the units {units} answers",
    hint="try all unit ids and wait longer: `ven connections scan {place} --units 0-255 --timeout 3`; --rtu "
    "is for a converter that passes RTU frames on; another port may be the one of Modbus",
)
UNITS = error(
    "VEN-CLM-003", "invalid unit id or range {units}: must be within 0 to 255", hint="for example 1-16"
)
FILE_READ = error("VEN-CLM-004", "cannot read the file ({error})")
FILE_TOML = error("VEN-CLM-005", "the file is not valid TOML ({error})", hint="see docs/connectors")
FILE_UNKNOWN = error("VEN-CLM-006", "unknown: {names}", hint="valid: {known}")
FILE_VALUE = error("VEN-CLM-007", "{error}", hint="see docs/connectors")
PLAN = info("VEN-CLM-008", "plan: {count:request|requests}: {places}")
PLAN_CHANGED = info("VEN-CLM-009", "the device rejects some of them; these are used instead:")
ANSWERED = info("VEN-CLM-010", "{place}: answered in {took_ms:.1f} ms")

# ven read

NO_VALUE_NOW = info("VEN-CLM-020", "connected, but without a value now")
NOT_READ = info("VEN-CLM-021", "not read: {place}: {reason}")
NOT_READ_MORE = info("VEN-CLM-022", "... and {count} more that could not be read")
NO_PLAN = error(
    "VEN-CLM-023",
    "this connection sends no requests, so it has no plan",
    hint="only MODBUSTCP connections have one",
)
SEVERAL = error("VEN-CLM-024", "{count:resource has|resources have} this name ({ids})", hint="use the id")
NOT_FOUND = error("VEN-CLM-025", "no resource has this id or name", hint="see `ven resources list`")

# ven templates

NO_MATCH = error("VEN-CLM-030", "no template matches {words}")
MEASURES = info("VEN-CLM-031", "measures: {kinds}")
PARAMETER = info("VEN-CLM-032", "{name}: {meaning}; {allowed}; default {default}")
DISCOVERED = info("VEN-CLM-033", "registers: read from the device itself")
HIDDEN = info("VEN-CLM-034", " (used for computing only)")
WRITABLE = info("VEN-CLM-035", "writable, with a connection of actor type WRITER:")
OPTIONS = info("VEN-CLM-036", "options of a connection:")
SET_FORM = error("VEN-CLM-037", "{text} is not a parameter with a value", hint="for example usage=battery")

# ven readings

NO_READINGS = error("VEN-CLM-040", "{path}: no readings of {resource}; {known}")
FILE_EMPTY = info("VEN-CLM-041", "the file has no readings yet")
FILE_IDS = info(
    "VEN-CLM-042", "it has readings of {count:id|ids}: {ids}{more}; `ven resources list` shows their names"
)
COUNT = info("VEN-CLM-043", "{count:reading|readings} in the last {span}")
AHEAD = info("VEN-CLM-044", "{seconds:.0f} s ahead of this clock")
DURATION = error(
    "VEN-CLM-045",
    "invalid duration {text}: expected a number and s, m, h, d or w",
    hint="for example 15m",
)
TIME = error("VEN-CLM-046", "invalid time {text}: expected ISO 8601", hint="for example 2026-03-01T12:00Z")
ASIDE_NONE = info("VEN-CLM-047", "no readings are quarantined")
ASIDE = info("VEN-CLM-048", "{place}: {resource} {quantity}: {count:reading|readings}{span}: {reason}")
ASIDE_MORE = info("VEN-CLM-049", "and {count} more that are only counted")
ASIDE_SINCE_START = info("VEN-CLM-050", "{time} after the start of the machine")
NO_PYARROW = error(
    "VEN-CLM-051",
    "pyarrow is not installed, but a Parquet file needs it",
    hint="install it with `{command}`, or use a file name that ends in .csv",
)

# ven templates show

PORT = info("VEN-CLM-060", "port: {port}")
SOURCE = info("VEN-CLM-061", "source: {source}")
NOTE = info("VEN-CLM-062", "note: {note}")
PARAMETERS = info("VEN-CLM-063", "parameters:")
REGISTERS = info("VEN-CLM-064", "registers:")
REGISTERS_WITH = info("VEN-CLM-065", "registers with {parameters}:")
COMPUTED = info("VEN-CLM-066", "{quantity}: {operation} of {quantities}")
NOT_FOUND_SIMILAR = error(
    "VEN-CLM-067", "no resource has this id or name; similar: {names}", hint="use the whole name, or the id"
)

# ven connections scan: what it concludes

SCAN_DEVICE = info(
    "VEN-CLM-280", "unit {unit} is probably a {device}: template {template} fits ({evidence}){others}"
)
SCAN_ALSO = info("VEN-CLM-281", "; so do {names}")
SCAN_UNKNOWN = info(
    "VEN-CLM-282",
    "unit {unit} answers, but no template fits: describe its registers as its manual lists them "
    "(docs/connectors/modbus.md); `ven templates list` shows the known devices",
)
SCAN_NOBODY = warning(
    "VEN-CLM-283",
    "a gateway answers for {count:unit id|unit ids}, but it reaches no device there: {units}{more}",
)
SCAN_ALIKE = info("VEN-CLM-284", "{count} unit ids answer alike: the device ignores the id; {unit} is used")
SCAN_FILE = info(
    "VEN-CLM-285",
    "connection of unit {unit}; save it as {file} and try it: `ven connections test --file {file}`",
)
SCAN_STORE = info(
    "VEN-CLM-286",
    "to store it for the resource with this name: `ven resources set --text NAME connection.type=MODBUSTCP "
    "connection.host={host} connection.port={port} 'connection.options={options}'`",
)
SCAN_OTHERS = info("VEN-CLM-287", "to try all unit ids: `ven connections scan {place} --units 0-255`")
SCAN_MORE = info("VEN-CLM-288", " and {count} more")
