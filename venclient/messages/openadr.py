"""Messages about OpenADR objects, times and durations (VEN-OAD-...)."""

from __future__ import annotations

from venclient.messages import error, info, warning

SCHEMA = error(
    "VEN-OAD-001",
    "does not match the OpenADR schema: {problem}",
    hint="report it to the VTN's operator",
)
UNKNOWN_KIND = error("VEN-OAD-002", "unknown kind of object {kind!r}", hint="use one of these: {known}")
NOT_A_LIST = error(
    "VEN-OAD-003",
    "expected a JSON list, received {found}",
    hint="check that the VTN's address ends with its version path",
)
NOT_JSON = error(
    "VEN-OAD-004",
    "the answer is not valid JSON: {problem}",
    hint="check that vtn.url is the VTN's address",
)
NAME_LENGTH = error(
    "VEN-OAD-005",
    "invalid name {name!r}: it has {length} characters, must have 1 to 128",
    hint="choose a name of 1 to 128 characters",
)
NOT_FINITE = error(
    "VEN-OAD-006",
    "invalid value {value} in {payload}: must be a finite number",
    hint="leave the payload out or report DATA_QUALITY MISSING",
)
NO_PROGRAM = error(
    "VEN-OAD-007",
    "programID is missing, and OpenADR 3.0.1 requires it",
    hint="ask the VTN for the event's program",
)
HELD_NOT_JSON = error(
    "VEN-OAD-008",
    "the stored object that the VTN returned is not valid JSON: {problem}",
    hint="report it to the VTN's operator",
)
DURATION = error("VEN-OAD-009", "invalid duration", hint="expected an ISO 8601 duration such as PT15M")
MONTH_FRACTION = error(
    "VEN-OAD-010",
    "invalid duration: a month cannot have a fraction",
    hint="expected an ISO 8601 duration such as PT15M",
)
NAIVE_START = error("VEN-OAD-011", "the start of a duration must have a time zone")
CALENDAR_END = error("VEN-OAD-012", "the date is outside the calendar")
RANDOMIZE_START = warning("VEN-OAD-013", "{place}.randomizeStart: {problem}; ignored")
RANDOMIZE_LENGTH = warning(
    "VEN-OAD-014",
    "{place}.randomizeStart: invalid length {text!r}: must have no years or months and be at most 366 days; "
    "ignored",
)
INTERVAL_INDEX = error("VEN-OAD-015", "unknown interval {index}: this event has {count}")
NO_DURATION = warning("VEN-OAD-016", "{place}: no duration, assumed PT0S")
NO_START = warning("VEN-OAD-017", "{place}: no start and no previous interval to follow; skipped")
CANNOT_REPEAT = warning(
    "VEN-OAD-018",
    "event.duration cannot repeat the intervals: they overlap, are out of order or have no start",
)
NEGATIVE_LENGTH = warning("VEN-OAD-021", "{place}: invalid duration {text!r}: it is negative; ignored")
NO_ZONE = warning("VEN-OAD-022", "{text!r} has no time zone; read as UTC")
TIME = error(
    "VEN-OAD-023",
    "invalid date and time",
    hint="expected RFC 3339, such as 2026-01-01T00:00:00Z",
)
NAIVE_TIME = error("VEN-OAD-024", "only a time with a time zone can be sent")
MEMBERS_IGNORED = warning(
    "VEN-OAD-030",
    "optional members of the wrong type: {members}{more}",
    hint="report it to the VTN's operator",
)
MORE_MEMBERS = info("VEN-OAD-031", " and {count} more")
