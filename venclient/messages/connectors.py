"""Messages of connectors in general: options, units, times, payloads, polling and single readings."""

from __future__ import annotations

from venclient.messages import error, info, warning

NO_CONNECTOR = error("VEN-CON-001", "unknown connector {name}", hint="use one of {known}")
CONNECTOR_BROKEN = error(
    "VEN-CON-002",
    "the installed connector {name} cannot be loaded ({error})",
    hint="reinstall the package that provides {package}",
)
CANNOT_WRITE = error(
    "VEN-CON-003",
    "connector {name} cannot write setpoints",
    hint="a connection of actor type WRITER needs one of {known}",
)
OPTION_CONNECTOR = error("VEN-CON-004", "options.connector: unknown connector {name}: use one of {known}")
MISTAKES = error(
    "VEN-CON-005",
    "{count:mistake|mistakes} in the connection: {problems}",
    hint="correct the connection of this resource; {page} describes all options",
)
LINK_IN_USE = error(
    "VEN-CON-006",
    "{endpoint} is already used with {held} (by {others}), not with {wanted}",
    hint="use the same link settings for all resources at one endpoint",
)

# Options

DID_YOU_MEAN = info("VEN-CON-010", "did you mean {names}?")
VALID = info("VEN-CON-011", "valid: {names}")
NOT_AN_OBJECT = error("VEN-CON-012", "{place}: expected an object, got {value}")
OPTION_MISSING = error("VEN-CON-013", "{place}: missing")
OPTION_UNKNOWN = error("VEN-CON-014", "{place}: unknown option; {suggestion}")
OPTION_CHOICE = error("VEN-CON-015", "{place}: invalid value {value}: use one of {choices}")
OPTION_VALUE = error("VEN-CON-016", "{place}: {reason} (given: {value})")
OPTION_INVALID = error("VEN-CON-017", "{place}: {reason}")
QUALITY_FORM = error(
    "VEN-CON-018",
    '{place}: expected an object by quantity, such as {{"power_kw": {{"range": {{"max": 60}}}}}}',
)
QUALITY_UNKNOWN = error("VEN-CON-019", "{place}: unknown quantity for this connection; {suggestion}")
QUALITY_COUNTER = error(
    "VEN-CON-020",
    "{place}: counter rules are for registers only, and {quantity} is not one; registers: {registers}",
)
HOST_MISSING = error("VEN-CON-021", "host: missing; expected the name or address of the {device}")
PORT = error("VEN-CON-022", "port: invalid port {port}: must be 1 to 65535")

# Units and quantities

UNIT_SUFFIX = error(
    "VEN-CON-030",
    "unit {unit} needs a quantity whose name ends in a unit, such as power_kw, not {quantity}",
)
UNIT = error("VEN-CON-031", "invalid unit {unit} for {quantity}: use one of {units}")
QUANTITY_NAME = error(
    "VEN-CON-032",
    "invalid quantity name {quantity}: use small letters, digits and _, as in power_kw",
)
SCALE = error("VEN-CON-033", "invalid scale {scale}: must be a finite number other than 0")
OFFSET = error("VEN-CON-034", "invalid offset {offset}: must be a finite number")
QUANTITY_TWICE = error("VEN-CON-035", "{quantity} is described twice: remove or rename one of them")
OUT_OF_RANGE = error("VEN-CON-036", "value {value} is out of range: expected a finite number")

# Times

ZONE = error("VEN-CON-040", "unknown time zone {zone}: use a name such as Europe/Copenhagen, UTC or +01:00")
TIME_FORMAT = error(
    "VEN-CON-041", "format {form} has no date: use {forms} or a pattern such as %d/%m/%Y %H:%M:%S"
)
TIME_NEEDS_ZONE = error(
    "VEN-CON-042", "format {form} is local time and needs a zone, such as Europe/Copenhagen or UTC"
)
TIME_EPOCH = error(
    "VEN-CON-043", "invalid time {time}: expected a number of seconds or milliseconds since 1970"
)
TIME_RANGE = error("VEN-CON-044", "time {time} is out of range")
TIME_UNKNOWN = error("VEN-CON-045", "invalid time {time}: expected a number, or text in ISO or DSMR form")
TIME_ISO = error(
    "VEN-CON-046",
    "invalid time {time}: expected ISO form, such as 2026-01-31T23:59:00+01:00; set time.format for another",
)
TIME_PATTERN = error("VEN-CON-047", "invalid time {time}: expected the form {pattern}")
TIME_DSMR = error("VEN-CON-048", "invalid time {time}: expected DSMR form, such as 250824120000S")
TIME_LOCAL = error("VEN-CON-049", "time {time} is local time of an unknown zone: set time.zone")
TIME_YEARS = error("VEN-CON-050", "time {time} is not between 2001 and 2200: check the clock of the device")
TIME_TEXT = error("VEN-CON-051", "invalid time {time}: expected text")
TIME_GAP = error(
    "VEN-CON-052",
    "local time {time} does not exist in {zone}: clocks go forward over it",
    hint="check the time zone; a device that stays on standard time needs a fixed offset, such as +01:00",
)

# Payloads

PATH_TILDE = error("VEN-CON-060", "invalid path {path}: ~ must be followed by 0 or 1")
PATH = error("VEN-CON-061", "invalid path {path}, from {rest} on: write a.b[0] or /a/b/0")
PATH_OR_PATHS = error("VEN-CON-062", "path and paths are both set: use one of them")
TIME_PATH_MISSING = error("VEN-CON-063", "path is missing: it says where the time is in the payload")
NOT_A_NUMBER = error("VEN-CON-064", "{value} is not a number")
IS_A_LIST = error("VEN-CON-065", "{value} is a list, not a number")
IS_AN_OBJECT = error("VEN-CON-066", "{value} is an object, not a number")
PAYLOAD_LONG = error("VEN-CON-067", "the payload has {size} bytes: at most {limit} are read")
PAYLOAD_UTF8 = error("VEN-CON-068", "the payload is not valid UTF-8")
PAYLOAD_DEEP = error("VEN-CON-069", "the payload is nested too deeply")
PAYLOAD_JSON = error("VEN-CON-070", "the payload {payload} is not valid JSON ({error})")
PAYLOAD_PLAIN = error("VEN-CON-071", "the payload has {size} bytes: expected a plain number")
STATE = error(
    "VEN-CON-072",
    "{value} is a state, not a number: {quantity} has a unit; set boolean to true if on means 1, times scale",
)

# Polling

POLL_TIMEOUT = error("VEN-CON-080", "no reading within {limit_s:g} s")
POLL_BUG = error("VEN-CON-081", "unexpected {kind} in the connector (a bug; please report it)")
STORE_BUG = error("VEN-CON-082", "unexpected {kind} while storing (a bug; please report it)")
UNREACHABLE = warning("VEN-CON-083", "{name} is unreachable: {reason}")
BACK = info("VEN-CON-084", "{name} is back after {time} and {count:failed attempt|failed attempts}")
SKIPPED = warning("VEN-CON-085", "{name}: skipped {place}: {reason} (further ones are only counted)")
BROKEN_READ = error("VEN-CON-086", "{name}: its connector failed with an unexpected {kind}")
BROKEN_STORE = error("VEN-CON-087", "{name}: storing its readings failed with an unexpected {kind}")
STORED_AGAIN = info("VEN-CON-088", "{name}: readings are stored again")
NOT_STORED = warning("VEN-CON-089", "{name}: readings are not stored: {reason}")
SILENT = warning(
    "VEN-CON-090",
    "{name} is silent: no value for {age}; one is expected within {limit}",
    hint="check the device or the program that writes the file; quality.stale_after_s sets the limit",
)
SPEAKS = info("VEN-CON-091", "{name} sends values again after {age}")

# Single readings

NO_VALUE = error(
    "VEN-CON-100",
    "no value received within {limit_s:g} s",
    hint="check that the device is on, or wait longer",
)
NO_VALUE_MQTT = error(
    "VEN-CON-101",
    "no value received within {limit_s:g} s",
    hint="check that the device sends to this topic and that the login may read it (a broker may accept a "
    "topic that it never delivers), or wait longer",
)
NO_VALUE_FILE = error(
    "VEN-CON-102",
    "no value received within {limit_s:g} s",
    hint="check that a program writes to the file, or wait longer",
)
NO_VALUE_SKIPPED = error(
    "VEN-CON-103", "no value received within {limit_s:g} s; last skipped: {place}: {reason}", hint="{advice}"
)
NO_POWER = error(
    "VEN-CON-104",
    "the meter reports no power now (it reports {reported})",
    hint="describe a value of quantity {quantity} in the connection's options",
)
NOTHING_REPORTED = info("VEN-CON-105", "nothing")

# The example connector

EXAMPLE_VALUE = error("VEN-CON-120", 'invalid answer {value}: expected a power such as "1.25 kW"')
EXAMPLE_SILENT = error(
    "VEN-CON-121",
    "no answer within {limit_s:g} s",
    hint="check that the device is on, or raise timeout_s",
)
EXAMPLE_UNREACHABLE = error("VEN-CON-122", "cannot connect: {error}", hint="check host and port")
EXAMPLE_CLOSED = error("VEN-CON-123", "the device closed the connection", hint="check the login")

# Times in another unit

TIME_UNIT = error(
    "VEN-CON-220",
    "time {time} is in another unit than the options say",
    hint="set the format of the time (time.format) to {form}, or to auto",
)

# Many resources with one cause

ENDPOINTS = info("VEN-CON-280", "{count} endpoints")
MORE = info("VEN-CON-281", " and {count} more")
STORE = info("VEN-CON-282", "the store of readings")
MANY_UNREACHABLE = warning(
    "VEN-CON-283",
    "{place}: {count} of {of} resources are unreachable ({names}{more}); the first: {reason}",
    hint="`ven status` shows each of them",
)
MANY_BACK = info("VEN-CON-284", "{place}: {count} of {of} resources are back after {time}{rest}")
STILL_UNREACHABLE = info("VEN-CON-285", "; still unreachable: {names}{more}")
MANY_SILENT = warning(
    "VEN-CON-286",
    "{place}: {count} of {of} resources are silent ({names}{more}); the first: {reason}",
    hint="check what sends their values: a gateway, or the program that writes the files",
)
MANY_SPEAK = info("VEN-CON-287", "{place}: {count} of {of} resources send values again after {time}{rest}")
STILL_SILENT = info("VEN-CON-288", "; still silent: {names}{more}")
MANY_NOT_STORED = warning(
    "VEN-CON-289",
    "readings of {count} of {of} resources are not stored ({names}{more}): {reason}",
    hint="`ven doctor` checks the disk and the file of readings",
)
MANY_STORED_AGAIN = info(
    "VEN-CON-290", "readings of {count} of {of} resources are stored again after {time}{rest}"
)
STILL_NOT_STORED = info("VEN-CON-291", "; still not stored: {names}{more}")
