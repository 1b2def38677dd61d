"""Messages about resources and connections: what is wrong with them, and what the registry refuses.

VEN-REG-001 to -099: values. -100 to -149: writing and changing. -150 to -199: looking things up.
"""

from venclient.messages import error, warning

# Several at once

PROBLEMS = error("VEN-REG-001", "{problems}", hint="correct it and store it again; nothing was changed")

# Texts

NOT_TEXT = error("VEN-REG-002", "{field} must be text, not {value!r}")
NOT_TEXT_OR_NONE = error("VEN-REG-003", "{field} must be text or None, not {value!r}")
EMPTY = error("VEN-REG-004", "{field} must not be empty or blank")
ID_TOO_LONG = error(
    "VEN-REG-005", "resourceID has {length} characters: must be a UUID or text of 1 to {most} characters"
)
CONTROL_CHARACTER = error(
    "VEN-REG-006", "{field} contains the control character {character}", hint="remove the character"
)
HIDDEN_CHARACTER = error(
    "VEN-REG-007", "{field} contains the invisible character {character}", hint="remove the character"
)
SPACES_AROUND = warning("VEN-REG-008", "{field} {value!r} has spaces around it")
IS_BLANK = warning("VEN-REG-009", "{field} is empty", hint="set it, or use None")
SEVERAL_LINES = warning("VEN-REG-010", "{field} contains {character}")
JOINER = warning("VEN-REG-011", "{field} contains the invisible character {character}")
UNKNOWN_TYPE = error("VEN-REG-012", "unknown {kind} {value!r}: use {known}")
NOT_A_FLAG = error("VEN-REG-013", "enabled must be True, False or None, not {value!r}")
NOT_A_NAME = error("VEN-REG-014", "{field} has a name that is not text: {value!r}")
NOT_GS1 = warning("VEN-REG-015", "meter point id {value!r} is not an 18-digit GS1 number")
WRONG_CHECK_DIGIT = warning(
    "VEN-REG-016", "meter point id {value} ends in {digit}, its GS1 check digit would be {wanted}"
)

# Capacities and location

NOT_A_DICT = error("VEN-REG-020", "{field} must be a dict, not {value!r}")
NEAR_MISS = error("VEN-REG-021", "unknown name {field}: did you mean {meant}?")
UNKNOWN_NAME = warning("VEN-REG-022", "unknown name {field}: it is stored, but not used")
NOT_A_NUMBER = error("VEN-REG-023", "{field} must be a number, not {value!r}")
NOT_FINITE = error(
    "VEN-REG-024", "{field} must be a finite number, not {value!r}", hint="use None for an unknown value"
)
NUMBER_AS_TEXT = warning("VEN-REG-025", "{field} is the text {value!r}, not a number")
MIN_ABOVE_MAX = error("VEN-REG-026", "{field} {low:g} is above {other} {high:g}")
HALF_A_PLACE = warning("VEN-REG-027", "location.{missing} is missing, but the other coordinate is set")
OUT_OF_RANGE = error(
    "VEN-REG-028", "location.{name} {value:.10g} must be between {low:g} and {high:g}{doubt}"
)
UNLIKELY_PLACE = warning("VEN-REG-029", "location {latitude:g}, {longitude:g}: {doubt}")
LOOKS_LIKE_UTM = warning(
    "VEN-REG-030", "the numbers look like UTM metres; convert them to degrees (EPSG:4326)"
)
LOOKS_SWAPPED = warning("VEN-REG-031", "latitude and longitude look swapped")
LOOKS_SWAPPED_DENMARK = warning(
    "VEN-REG-032",
    "latitude and longitude look swapped: this point is in the Arabian Sea; swapped, it would be in Denmark",
)

# Connections

INCOMPLETE = warning(
    "VEN-REG-040",
    "{place}: {kind} without a {missing}: it is stored, but cannot be used yet",
    hint="set {place}.{missing}",
)
PORT = error("VEN-REG-041", "{place}: invalid port {value!r}: must be 1 to 65535")
LINK_NOT_TEXT = error("VEN-REG-042", "{place}: {field} must be text")
BLANK_IN_HOST = error("VEN-REG-043", "{place}: host {value!r} contains a space")
HOST_IS_URL = warning(
    "VEN-REG-044", "{place}: host {value!r} looks like a URL", hint="use the host name or IP address only"
)
OPTIONS_NOT_DICT = error("VEN-REG-045", "{place}: options must be a dict, not {value!r}")
OPTIONS = error("VEN-REG-046", "{place}: {problem}")
NOT_A_CONNECTION = error("VEN-REG-047", "{place} must be a Connection")
NOT_A_CONNECTION_OR_NONE = error("VEN-REG-048", "{place} must be a Connection or None")
COMMANDS = warning("VEN-REG-049", "connection is a WRITER: it sends commands, so nothing is measured")
MEASURES = error("VEN-REG-050", "control_connection must be a WRITER: a READER only measures")

# Reporting

REPORTING_NOT_DICT = error("VEN-REG-060", "reporting must be a dict or None, not {value!r}")
PROGRAM = error("VEN-REG-061", "reporting.program must be text of 1 to {most} characters, not {value!r}")
PAYLOAD_TYPES = error(
    "VEN-REG-062", "reporting.payload_types must be a list of names such as USAGE, not {value!r}"
)
READING_TYPE = error(
    "VEN-REG-063", "reporting.reading_type must be a name such as DIRECT_READ, not {value!r}"
)
INTERVAL = error(
    "VEN-REG-064",
    "reporting.interval must be an ISO 8601 duration above zero such as PT15M, not {value!r}",
)
UNIT = error("VEN-REG-065", "reporting.units.{kind} must be a unit such as KWH, not {value!r}")
UNITS = error("VEN-REG-066", "reporting.units must be a unit, or units by payload type, not {value!r}")
PRIVATE_NAME = warning("VEN-REG-067", "{field}: {value} is not a name of OpenADR{meant}")

# Writing and changing

NO_CONNECTION = error(
    "VEN-REG-100",
    "connection {value!r} does not exist",
    hint="store the connection first: insert_connection returns its id",
)
ID_TAKEN = error(
    "VEN-REG-101", "the id is already used", hint="upsert_resource changes the resource that has it"
)
NOT_STORED = error("VEN-REG-102", "not in the registry", hint="`ven resources list` shows the resources")
NOT_A_RESOURCE = error("VEN-REG-103", "not a Resource", hint="use Resources or tuples, not both")
NOT_A_TUPLE = error("VEN-REG-104", "not a tuple", hint="use Resources or tuples, not both")
TUPLE_LENGTH = error(
    "VEN-REG-105",
    "has {count} members, not 10",
    hint="the members are resource_id, resource_name, resource_type, resource_sub_type, meter_point_id,"
    " capacities_json, location_json, address, ven, enabled",
)
TUPLE_MISSING = error("VEN-REG-106", "{field} is missing")
ENABLED = error("VEN-REG-107", "enabled must be True or False, not {value!r}")
FIXED = error("VEN-REG-108", "{field} cannot be changed")
UNKNOWN_FIELD = error("VEN-REG-109", 'unknown field "{field}": {meant}')
NO_MEMBERS = error("VEN-REG-110", 'unknown field "{name}": {field} has no members')
CHANGES_NOT_DICT = error("VEN-REG-111", "{field} must be a dict of the members that change, not {value!r}")
LINK_CHANGES = error(
    "VEN-REG-112", "{field} must be a Connection, or a dict of the fields that change, not {kind}"
)
NEW_LINK_TYPE = error("VEN-REG-113", "{field}.type is needed for a new connection")
LINK_TYPE = error("VEN-REG-114", "{field}: {problem}")
CHANGES_BESIDE_RESOURCE = error(
    "VEN-REG-115",
    "update_resource takes a Resource or the changes of an id, not both",
    hint="set the fields of the object first, or use its resourceID",
)
VERSION_CONFLICT = error(
    "VEN-REG-116",
    "version is {stored}, expected {expected}: it was changed in the meantime",
    hint="read the resource again and repeat the change",
)
BAD_ROW = error("VEN-REG-117", "{problem}", hint="store the resource again, or delete it")
BAD_CONNECTION_ROW = error(
    "VEN-REG-118", "{problem}", hint="store the resources that use it again, or delete it"
)
CONNECTION_USED = error(
    "VEN-REG-119",
    "used by {users}{more}",
    hint="assign another connection to them, or delete them, first",
)
CONNECTION_GONE = error("VEN-REG-120", "unknown connection", hint="get_connections returns the ids")
MUST_STAY_WRITER = error("VEN-REG-121", "must stay a WRITER: it controls {resource}")
REPORTING_STATE = error("VEN-REG-122", "unknown state of reporting {value!r}: use {known}")
NOT_JSON = error("VEN-REG-123", "{field} cannot be written as JSON ({problem})")
ROW_REFUSED = error("VEN-REG-124", "{problem}")

# Looking things up

ROW_LEFT_OUT = warning(
    "VEN-REG-150",
    "{database}: {place} is left out: {problem}",
    hint="store it again, or delete the row",
)
CHECK_NOT_LOADED = warning(
    "VEN-REG-151",
    "the check of options {name!r} cannot be loaded ({problem}), so options are stored unchecked",
    hint="reinstall {package}",
)
DANGLING = error("VEN-REG-152", "{column} refers to a connection that does not exist")
COLUMN_NOT_JSON = error("VEN-REG-153", "{column} is not valid JSON ({problem})")
COLUMN_NOT_OBJECT = error("VEN-REG-154", "{column} is not a JSON object")
COLUMN_VALUE = error("VEN-REG-155", "{column}: {problem}")
WRONG_VALUES = warning("VEN-REG-156", "resource {name}: {problems}", hint="correct it: `ven resources set`")
