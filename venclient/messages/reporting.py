"""Messages about reports: what is due, built, sent, rejected or dropped (VEN-REP-...)."""

from __future__ import annotations

from venclient.messages import error, info, warning

# ---- what an event asks for

EVENT_PROBLEM = warning("VEN-REP-001", "event {event}: {problem}")
DESCRIPTOR = info("VEN-REP-002", "event {event}: reportDescriptors[{index}] ({payload})")
NO_INTERVALS = warning("VEN-REP-003", "{place}: the event has no intervals, so no report falls due")
BELOW_MINUS_ONE = warning("VEN-REP-004", "{place}: invalid {name} {value}: must be -1 or more{limit}")
NOT_ZERO = info("VEN-REP-005", ", and not 0")
START_BEYOND = warning(
    "VEN-REP-006",
    "{place}: invalid startInterval {start}: the event has {count:interval|intervals}, counted from 0",
)
TOO_MANY_INTERVALS = warning(
    "VEN-REP-007", "{place}: asks for {size} intervals in one report: the maximum is {most}"
)
FREQUENCY_SYNTAX = warning(
    "VEN-REP-008", "{place}: invalid frequency {frequency!r}: must be a number, or a duration such as PT15M"
)
FREQUENCY_LENGTH = warning(
    "VEN-REP-009", "{place}: invalid frequency {frequency!r}: must be a second to a year"
)
CANCELLED = warning(
    "VEN-REP-010", "event {event}: its period has no length (PT0S), which cancels it: no reports are due"
)
CANNOT_PLAN = error(
    "VEN-REP-011",
    "event {event}: cannot plan its reports: unexpected {error} (a bug)",
    hint="please report it",
)

# ---- what a report leaves out

NO_TARGET = warning(
    "VEN-REP-012", "event {event}: no resource has the targets {targets} that {payload} is requested for"
)
NO_RESOURCES = warning("VEN-REP-013", "event {event}: no resource to report {payload} for")
NOT_SUPPORTED = warning(
    "VEN-REP-014", "event {event}: {payload}{reading}{ahead} is not supported; value omitted"
)
AHEAD = info("VEN-REP-015", " ahead of time")
NOT_SUMMABLE = warning(
    "VEN-REP-016", "event {event}: {payload} ({reading}) cannot be summed over resources; value omitted"
)
OTHER_UNITS = warning(
    "VEN-REP-017", "event {event}: {payload} is requested in {asked}, but is sent in {sent}"
)
SUM_INCOMPLETE = warning(
    "VEN-REP-018",
    "event {event}: no {payload} data of some resources for {name} in {count:interval|intervals}; "
    "value omitted",
)
QUALITY_OMITTED = warning(
    "VEN-REP-019",
    "event {event}: {payload} of {name} is {quality} in {count:interval|intervals}, which the report "
    "cannot show beside another payload "
    "type",
)
NO_DATA = warning(
    "VEN-REP-020", "event {event}: no {payload} data for {name} in {count:interval|intervals}; value omitted"
)
NEGATIVE = warning(
    "VEN-REP-021",
    "event {event}: {payload} of {name} is negative in {count:interval|intervals}; value omitted "
    "(set reporting.allow_negative if the "
    "VTN accepts net feed-in)",
)
NOTHING_KNOWN = warning("VEN-REP-022", "no data for these intervals")

# ---- the baseline

BASELINE_METHOD = info(
    "VEN-REP-023",
    "mean of the last {days} similar days (weekdays or weekend days; at least {least} known), times the "
    "same-day ratio of the 3 hours that end 1 hour before, between {low} and {high}",
)

# ---- sending

LATE_READINGS = info(
    "VEN-REP-024",
    "late readings received: {marked:report|reports} checked for corrections, {again:report|reports} "
    "queued again",
)
NOT_HELD = error("VEN-REP-025", "the VTN no longer has the report")
CANNOT_CORRECT = error(
    "VEN-REP-026", "report {report}: cannot correct it: unexpected {error} (a bug)", hint="please report it"
)
NOT_CORRECTED = error("VEN-REP-027", "report {report} not corrected: {problem}")
NOT_DELIVERED = error("VEN-REP-028", "not delivered in {days:g} days")
LOST = error(
    "VEN-REP-029",
    "event {event}: {count:report|reports} from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC "
    "dropped: not "
    "delivered in {days:g} days; see `ven reports list --state lost`",
)
DELAYED = warning("VEN-REP-030", "reports are delayed: {problem}")
DELIVERED_AGAIN = info("VEN-REP-031", "reports are delivered again")
LISTED_UNREADABLE = error(
    "VEN-REP-032",
    "the VTN lists {count:report|reports} with invalid content; unknown whether this one is among them",
    hint="report it to the VTN's operator",
)
LIST_INCOMPLETE = error(
    "VEN-REP-033", "the VTN's list of reports is incomplete; unknown whether this report has arrived"
)
EVENT_UNKNOWN = warning("VEN-REP-034", "the VTN no longer has the event ({problem})")
EVENT_DROPPED = warning("VEN-REP-035", "event {event}: {reason}; its reports are dropped")
CANNOT_BUILD = error(
    "VEN-REP-036", "report {report}: cannot build it: unexpected {error} (a bug)", hint="please report it"
)
WAITS = warning("VEN-REP-037", "report {report} delayed: {problem}")
REFUSED = error("VEN-REP-038", "report {report} refused: {problem}")
KEEPS_FAILING = warning(
    "VEN-REP-039", "report {report} keeps failing, other reports are sent first: {problem}"
)

# ---- the history of a report

STORY_DUE = info("VEN-REP-040", "due")
STORY_PART = info("VEN-REP-041", "due as part {number} of {count}")
STORY_TO_SEND = info("VEN-REP-042", "to be sent")
STORY_NOT_SENT = info("VEN-REP-043", "not sent: an earlier report could not be sent")
STORY_STORED = info("VEN-REP-044", "the VTN has stored it")
STORY_STORED_BEFORE = info("VEN-REP-045", "the VTN had stored it already")
STORY_AS = info("VEN-REP-046", "{event}, as {report_id}")
STORY_REFUSED = info("VEN-REP-047", "refused: {reason}")
STORY_SUPERSEDED = info("VEN-REP-048", "superseded: {reason}")
STORY_UNMET = info("VEN-REP-049", "unmet: {reason}")
STORY_FAILED = info("VEN-REP-050", "{reason} (it may have arrived)")
STORY_FAILED_BEFORE = info("VEN-REP-051", "{reason} (it has not arrived)")
STORY_LOST = info("VEN-REP-052", "dropped: {reason}")
STORY_AGAIN = info("VEN-REP-053", "queued again by the user")
STORY_REPLANNED = info("VEN-REP-054", "due, the event was modified")
STORY_LATE_AGAIN = info("VEN-REP-055", "queued again: late readings received")
STORY_LATE = info("VEN-REP-056", "late readings received for {count:resource|resources}")
STORY_TO_CORRECT = info("VEN-REP-057", "to be corrected")
STORY_CORRECTED = info("VEN-REP-058", "corrected")
STORY_UNCHANGED = info("VEN-REP-059", "late readings change nothing")
STORY_CORRECTION_REFUSED = info("VEN-REP-060", "correction refused: {reason}")
NOT_LISTED = info("VEN-REP-061", "the VTN no longer lists the event")
MODIFIED = info("VEN-REP-062", "the event was modified")

# ---- the state file

EVENT_UNREADABLE = warning(
    "VEN-REP-063", "{path}: stored {kind} {id} is invalid ({problem}); it is fetched again from the VTN"
)
EVENTS_NOT_STORED = error(
    "VEN-REP-064", "cannot store events ({problem})", hint="check disk space and the file's permissions"
)
UNKNOWN_REPORT = error("VEN-REP-065", "unknown report {report!r}")
ROW_UNREADABLE = warning("VEN-REP-066", "{path}: report {report}: {problem}; marked as refused")
ROW_NOTE = warning("VEN-REP-067", "{path}: report {report}: {problem}")
NO_STATE_FILE = error(
    "VEN-REP-068", "file not found", hint="start the gateway once (`ven run`), which creates it"
)
STATE_UNREADABLE = error("VEN-REP-069", "cannot read the state file ({problem})")
STATE_VERSION = error(
    "VEN-REP-070", "the state file is of another version", hint="start the gateway once, which upgrades it"
)
STATE_UNUSABLE = error(
    "VEN-REP-071", "cannot use the state file ({problem})", hint="check disk space and the file's permissions"
)

# ---- what the VTN's resource objects say

NOT_ON_EARTH = warning(
    "VEN-REP-072",
    "{name}: invalid location {latitude}, {longitude}: must be within 90 and 180 degrees; not sent "
    "to the VTN",
)
NOT_A_NUMBER = warning("VEN-REP-073", "{name}: invalid {key} {value}: must be a number; not sent to the VTN")

# ---- reporting that no event carries

NOT_CARRIED = warning(
    "VEN-REP-074",
    "{payload} of {names} every {interval} is not reported: {why}",
    hint="ask the VTN's operator for an event of {program} with intervals of {interval}, without "
    "end, and the "
    "report descriptor {descriptor}",
)
PROGRAM = info("VEN-REP-075", "program {program}")
ANY_PROGRAM = info("VEN-REP-076", "a program that is visible to this VEN")
NOT_REQUESTED = info("VEN-REP-077", "no event requests it")
CANNOT_MAKE = info("VEN-REP-078", "{payload} ({reading}) is not supported")
OTHER_PROGRAM = info("VEN-REP-079", "only events outside program {program} request it")
OTHER_READING = info("VEN-REP-080", "it is requested as {asked}, not as {reading}")
OTHER_RESOURCES = info("VEN-REP-081", "the events that request it are for other resources")
AS_SUM = info("VEN-REP-082", "as a sum over resources")
SOME_INTERVALS = info("VEN-REP-083", "of some of the event's intervals only")
OTHER_LENGTH = info("VEN-REP-084", "in intervals of {seconds:g} s, not {interval}")
IN_UNITS = info("VEN-REP-085", "in {asked}, not {units}")
STORED_INVALID = info("VEN-REP-087", "its stored content is invalid ({problem})")
NO_UNITS = info("VEN-REP-088", "no units")
AND_MORE = info("VEN-REP-089", "{names} and {count} more")
METER_POINT = info("VEN-REP-090", "meter point {id}")
GRANTS_UNREAD = info("VEN-REP-120", "the targets granted to this VEN have not been read from the VTN yet")

# ---- whom a targeted event is for

EVENT_AWAITED = info("VEN-REP-121", "waits: the VTN does not have the event at present ({problem})")
ANOTHER_GATEWAY = warning(
    "VEN-REP-122",
    "report {report} was sent by another gateway that works under VEN {ven!r}",
    hint="stop one of them, or give it another ven.name and its own credentials",
)

# Limits on what an event may ask for

TOO_MUCH = warning(
    "VEN-REP-140",
    "{place}: not reported: within a day it comes to {what}, and the maximum of one event is {most}",
    hint="ask the VTN's operator for longer intervals, or for fewer of them in fewer reports",
)
LOAD_REPORTS = info("VEN-REP-141", "{count} reports")
LOAD_INTERVALS = info("VEN-REP-142", "{count} intervals in its reports")
LOAD_VALUES = info("VEN-REP-143", "{count} values of all resources")
TOO_MANY_GROUPS = warning(
    "VEN-REP-144",
    "{place}: not reported: the maximum is {most} different reports on one event",
    hint="ask the VTN's operator for the same timing and units in more of the descriptors",
)
MORE_PROBLEMS = warning("VEN-REP-145", "and {count:more problem|more problems} of the same event")
STATE_RESCUED = error(
    "VEN-REP-146",
    "{path} is damaged ({reason}) and was renamed to {moved}; {events} events and {reports} reports of it "
    "are kept, the rest is read or planned again; reports of the last day are looked up at the VTN by name "
    "before they are sent",
    hint="check the memory card",
)
STATE_IN_MEMORY = error(
    "VEN-REP-147",
    "{path} cannot be opened, as the disk is full; a copy in memory ({copy}) is used until the next start",
    hint="free disk space and restart; reports that are sent until then are looked up at the VTN before they "
    "are sent again",
)

# Numbers beyond what the standard has

BEYOND_32_BITS = warning(
    "VEN-REP-310", "{place}: {name} is too large: the maximum is {most} (a 32-bit integer)"
)

# What was sent, as it is kept

SENT_NOT_KEPT = warning(
    "VEN-REP-460",
    "{path}: the bodies of sent reports cannot be stored ({problem}); reports are sent, and their bodies are "
    "kept in memory, the last 4 MB of them",
    hint="free disk space, or check the memory card",
)
SENT_NO_ROOM = info("VEN-REP-461", "less than 16 MB of disk space is free, or the file is in memory")
SENT_KEPT_AGAIN = warning(
    "VEN-REP-462",
    "{path}: the bodies of sent reports are stored again; {count:attempt|attempts} of the meantime are lost",
)
SENT_DAY_FULL = warning(
    "VEN-REP-463",
    "bodies of sent reports: the {size:g} MB of this day are used up; until midnight (UTC) attempts are "
    "stored without their bodies",
    hint="raise reporting.sent_day_mb if the disk can bear it",
)
SENT_RESCUED = error(
    "VEN-REP-464",
    "{path} is damaged where sent reports are kept ({reason}) and was renamed to {moved}; all other data is "
    "kept, and {count} attempts of sent reports",
    hint="check the memory card",
)
STORY_AWAITS = info("VEN-REP-465", "waits for readings that are expected soon")
