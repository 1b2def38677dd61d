"""Messages about resources and connections: what is wrong with them, and what the registry refuses.

VEN-REG-001 to -099: values. -100 to -149: writing and changing. -150 to -189: looking things up.
-190 to -209: databases. -210 to -219: sealed logins. -220 to -239: exports.
"""

from venclient.messages import error, info, warning

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

ODD_CHARACTER = warning(
    "VEN-REG-017",
    "{field} contains the unusual character {character}",
    hint="check the encoding of the file or program that it comes from",
)
TOO_LONG = error("VEN-REG-018", "{field} has {length} characters: must have at most {most}")
LONG_NAME = warning("VEN-REG-019", "{field} has {length} characters: a VTN accepts at most {most}")

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

UNLIKELY_SIZE = warning(
    "VEN-REG-033", "{field} {value:g} is unlikely for a site", hint="use kW and kWh, not W and Wh"
)
IMPOSSIBLE_SIZE = error("VEN-REG-034", "{field} {value:g} is impossible: must be within ±{most:g}")
NEGATIVE_ENERGY = warning("VEN-REG-035", "{field} {value:g} is negative: it is an amount of stored energy")
NOWHERE = warning(
    "VEN-REG-036", "location 0, 0 is in the Atlantic Ocean", hint="use None for an unknown place"
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

ODD_HOST = warning(
    "VEN-REG-051",
    "{place}: host {value!r} is not a host name or IP address",
    hint="use the name or address only; set the port in the field port",
)
LOGIN_SPACES = warning("VEN-REG-052", "{field} begins or ends with a space")

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
LINK_TYPE = error("VEN-REG-114", "{place}: {problem}")
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
COLUMN_VALUE = error("VEN-REG-155", "{place}: {problem}")
WRONG_VALUES = warning("VEN-REG-156", "resource {name}: {problems}", hint="correct it: `ven resources set`")

# Queries

QUERY_PROBLEMS = error("VEN-REG-160", "{problems}")
DISTANCE_RANGE = error("VEN-REG-161", "invalid distance {km:g} km: must be between 0 and {most}")
BOX_ORDER = error(
    "VEN-REG-162",
    "the southern edge {south:g} is north of the northern edge {north:g}",
    hint="the order is west, south, east, north",
)
UNKNOWN_ORDER = error("VEN-REG-163", "unknown sort key {value!r}: use {known}")
LIMIT_NOT_FINITE = error("VEN-REG-164", "invalid limit {value}: must be a finite number")
LIMITS_CROSSED = error("VEN-REG-165", "the minimum {least:g} is above the maximum {most:g}")
LATITUDE = error("VEN-REG-166", "invalid latitude {value:g}: must be between -90 and 90 degrees{doubt}")
LONGITUDE = error("VEN-REG-167", "invalid longitude {value:g}: must be between -180 and 180 degrees{doubt}")
COUNT = error("VEN-REG-168", "invalid number {value!r}: must be a whole number of at least {least}")
NOT_A_CONDITION = error("VEN-REG-169", "invalid condition {value!r}", hint="write it as type=EV")
UNKNOWN_CONDITION = error("VEN-REG-170", 'unknown condition "{name}": {meant}')
NO_POINT = error("VEN-REG-171", "sorting by distance needs a point", hint="add {condition}")
PAGE_AND_OFFSET = error("VEN-REG-172", "{page} and {offset} cannot be combined", hint="use one of them")
SEVERAL_VALUES = error("VEN-REG-173", "has {count} values: must be given once")
NO_VALUE = error("VEN-REG-174", "the value is empty")
NOT_A_BOOLEAN = error("VEN-REG-175", "invalid value {value!r}: use true or false")
NOT_WHOLE = error("VEN-REG-176", "invalid value {value!r}: must be a whole number")
NUMBER = error("VEN-REG-177", "invalid value {value!r}: must be a number")
NEAR = error(
    "VEN-REG-178",
    "invalid place {value!r}: must be LATITUDE,LONGITUDE or LATITUDE,LONGITUDE,DISTANCE,"
    " such as 56.14,8.97,10km",
)
DISTANCE = error("VEN-REG-179", "invalid distance {value!r}: must be a number with km or m, such as 10km")
BOX = error("VEN-REG-180", "invalid area {value!r}: must be WEST,SOUTH,EAST,NORTH, such as 8.9,56.1,9.1,56.2")
CONDITION = error("VEN-REG-181", "{place}: {problem}")

# Rules of a quantity, and small helpers

NO_JSON_FORM = error("VEN-REG-188", "values of type {kind} are not supported")

# What a database cannot hold, and what PostgreSQL says

NOT_A_CHARACTER = error(
    "VEN-REG-190",
    "a text contains U+{code:04X}, which is not a character; nothing was changed",
    hint="remove it from the text",
)
NUMBER_TOO_LARGE = error(
    "VEN-REG-191", "a number is too large for the database; nothing was changed", hint="correct the number"
)
CLOSED = error("VEN-REG-192", "the database is closed", hint="open another ResourceDatabase")
POSTGRES_URL = error(
    "VEN-REG-193",
    "invalid PostgreSQL URL",
    hint="use postgresql://USER@HOST:PORT/DATABASE?sslmode=require, with %XX for special characters",
)
POSTGRES_NUL = error(
    "VEN-REG-194",
    "a text contains the character NUL (0x00), which PostgreSQL cannot store; nothing was changed",
    hint="remove it from the text",
)
POSTGRES_VALUE = error("VEN-REG-195", "PostgreSQL cannot store a value ({reason})")
POSTGRES_FORBIDDEN = error(
    "VEN-REG-196",
    "PostgreSQL does not allow it ({reason})",
    hint="let the user of the URL own the tables and create tables in the schema",
)
POSTGRES_DISK_FULL = error(
    "VEN-REG-197", "the disk of the PostgreSQL server is full; nothing was stored", hint="make room there"
)
POSTGRES_NO_ANSWER = error(
    "VEN-REG-198",
    "the PostgreSQL server ended the connection or could not answer ({reason})",
    hint="check that the server runs, and the host and port in the URL",
)
POSTGRES_REFUSED = error("VEN-REG-199", "PostgreSQL refused the statement ({reason})")
NO_COLUMN = error("VEN-REG-200", "unknown column {name!r}")
POSTGRES_FULL = error(
    "VEN-REG-201",
    "the PostgreSQL server has no connection left ({reason})",
    hint="end programs that use the database, or raise max_connections or the limit of the user",
)
POSTGRES_NO_TLS = error(
    "VEN-REG-202",
    "the PostgreSQL server offers no TLS, but sslmode requires it ({reason})",
    hint="turn TLS on in the server (ssl = on); use sslmode=prefer only on a network that you trust",
)
POSTGRES_CERTIFICATE = error(
    "VEN-REG-203",
    "the certificate of the PostgreSQL server is not trusted ({reason})",
    hint="set sslrootcert=FILE in the URL to the certificate of the authority that issued it",
)
POSTGRES_NAME = error(
    "VEN-REG-204",
    "the certificate of the PostgreSQL server is for another host name ({reason})",
    hint="use the host name in the certificate in the URL",
)

# Sealed logins

LOGIN_NEEDS_KEY = warning(
    "VEN-REG-209",
    "{place}.{field} {notice}: the device cannot be reached",
    hint="restore the key file, or store the login again",
)
NO_KEY_FILE = error(
    "VEN-REG-210",
    "there is a username or password to seal, but no key file is configured",
    hint="set {variable} (in Python: key_file=) to a file that all programs using this registry share (it is"
    " created if missing), or store a reference such as env:NAME",
)
LOGINS_IN_THE_CLEAR = warning(
    "VEN-REG-211",
    "{database}: usernames or passwords are stored unencrypted: {logins}{readable}",
    hint="run `ven db seal`",
)
LOGINS_LOCKED = warning("VEN-REG-212", "{database}: cannot open the logins of {logins}")
KEY_EXISTS = error("VEN-REG-213", "the key file exists already", hint="move it away if it is useless")
LOGIN_IN_THE_CLEAR = warning(
    "VEN-REG-214", "{login}: username or password is stored unencrypted", hint="run `ven db seal`"
)
LOGIN_LOCKED = warning("VEN-REG-215", "the login cannot be opened: {problem}")
KEY_GONE = error(
    "VEN-REG-216",
    "the key file {path} is missing, but logins are sealed with its key: {logins}",
    hint="restore the key file; if it is lost, `ven db seal --new-key` makes another, and those logins must"
    " be stored again",
)
FILE_IS_SHARED = warning(
    "VEN-REG-217",
    "other users can read or write the file (mode {mode:04o})",
    hint="run `chmod 600 {path}`",
)
LOGIN_IS_NOTICE = error(
    "VEN-REG-218",
    "this text says that a key is missing: it is not a login",
    hint="restore the key file and read the resource again, or store the login itself",
)
LOGIN_DAMAGED = error("VEN-REG-219", "(sealed, but the sealed text is damaged)", hint="store the login again")

# Exports and the tour of the database

FILE_EXISTS = error(
    "VEN-REG-220", "the file exists already", hint="choose another file, or use --force to replace it"
)
FILE_NOT_WRITTEN = error(
    "VEN-REG-221",
    "the file cannot be written ({reason})",
    hint="check the path, its permissions and the free space",
)
TOUR_NO_FILE = error("VEN-REG-225", "the file does not exist", hint="run {command} first")
TOUR_NO_REGISTRY = error("VEN-REG-226", "the database has no registry", hint="run {command} first")
TOUR_EMPTY = error("VEN-REG-227", "the registry has no resources", hint="run {command} first")
TOUR_VEN = info(
    "VEN-REG-228",
    "get_resources_by_ven({ven!r}): {count:resource|resources} with {power_kw:g} kW in total",
)
TOUR_LEFT_OUT = info("VEN-REG-229", "{count:row was|rows were} left out; the first: {place}: {reason}")
CELL_TOO_LARGE = info(
    "VEN-REG-340",
    "{column} is not used: longer than {most} characters, or nested deeper than {deep} levels",
)

# Words in other messages

DID_YOU_MEAN = info("VEN-REG-341", " (did you mean {name}?)")
NAME_IN = info("VEN-REG-342", "a name in {place}")
THE_CHANGES = info("VEN-REG-343", "the changes")
ROW_OF_RESOURCE = info("VEN-REG-344", "{database}: resources row {row} ({resource})")
ROW_OF_CONNECTION = info("VEN-REG-345", "{database}: connections row {row}")
LOGIN = info("VEN-REG-346", "username or password")
