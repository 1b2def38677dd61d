"""Messages of the readings store: the file, its history, and what is done when the disk fails."""

from __future__ import annotations

from venclient.messages import error, info, warning

# Readings that are not stored

NO_NAME = error("VEN-RDG-001", "the reading has no resource or no quantity: both are required")
NOT_UNICODE = error("VEN-RDG-002", "the resource or quantity is not valid Unicode text")
NOT_FINITE = error("VEN-RDG-003", "the value is {value}: an unknown value is skipped, never stored")
NO_ZONE = error("VEN-RDG-004", "the time {time} has no zone: readings are in UTC")
TIME_RANGE = error(
    "VEN-RDG-005", "the time {time} is not between 1970 and 2200: check the clock of the device"
)
SKIPPED = warning("VEN-RDG-006", "{name}: reading skipped: {reason} (logged once)")

# The file

FOREIGN_FILE = error(
    "VEN-RDG-010",
    "this is the database of another program",
    hint="set readings.path to a separate file; this one was not changed",
)
NEWER = error(
    "VEN-RDG-011",
    "the file was written by a newer venclient (layout {found}, this version supports {known})",
    hint="update venclient, or name another file",
)
DAMAGED = error(
    "VEN-RDG-012",
    "the file is damaged or not an SQLite file ({error})",
    hint="move it away to start a new one; it was not changed",
)
DISK_FULL = error(
    "VEN-RDG-013", "the disk is full ({error})", hint="free some space; until then readings wait in memory"
)
LOCKED = error(
    "VEN-RDG-014",
    "the file is locked by another process ({error})",
    hint="stop the other program that writes to it",
)
UNUSABLE = error(
    "VEN-RDG-015",
    "the file cannot be used ({error})",
    hint="check that its folder exists and is writable",
)
NO_FILE = error("VEN-RDG-016", "file not found", hint="name one with --readings, or start the gateway first")
CLOSED = error("VEN-RDG-017", "the store is closed")
MOST_SERIES = error("VEN-RDG-018", "the file has reached its maximum number of series")
SEGMENT = error(
    "VEN-RDG-019",
    "cannot read a segment of the history ({error})",
    hint="run `ven readings check` to check the file",
)
SEGMENT_FORMAT = error("VEN-RDG-020", "unknown format {found}: this program supports {known}")
SEGMENT_SHORT = error("VEN-RDG-021", "the data is incomplete")
SEGMENT_CONTENT = error("VEN-RDG-022", "segment {key}: its content does not match its index")

# Commits

NO_ROOM = error("VEN-RDG-030", "too many readings wait for the disk: the oldest were dropped")
FULL_PRUNED = warning("VEN-RDG-031", "{path}: the disk is full: old readings are deleted (logged once)")
FULL_RESERVE = error(
    "VEN-RDG-032", "{path}: the disk is full and its reserve is used: free some space (logged once)"
)
COMMITS_AGAIN = info("VEN-RDG-033", "{path}: commits work again; readings held in memory are stored")
COMMIT_FAILED = error("VEN-RDG-034", "{error} (kept in memory and retried; logged once)")
UPKEEP_FAILED = error("VEN-RDG-035", "{path}: cannot compress or delete old readings: {error}")
UPKEEP_BUG = error("VEN-RDG-036", "{path}: old readings stay unchanged (a bug; please report it)")
CROWDED = warning(
    "VEN-RDG-037",
    "{path}: the file has {size} bytes, more than readings.max_mb or the disk allows, and has no old "
    "readings to delete",
)

# Repair

RENEWED = warning(
    "VEN-RDG-040",
    "{path}: {reason}; the damaged file was moved to {moved}, and a new file was started: {saved}; readings "
    "may be missing, so check the disk or card, and keep the old file until then",
)
NOTHING_SAVED = error("VEN-RDG-041", "none of it could be read ({error})")
SAVED = info("VEN-RDG-042", "saved {readings:reading|readings} and {quarters} quarters of an hour")

# Judging

COUNTER_LEAP = warning(
    "VEN-RDG-050",
    "{name}: {quantity} went from {before:g} to {after:g} within {seconds:.0f} s ({time}): was the meter "
    "exchanged? The energy in between is not counted",
)
COUNTER_RESTART = warning(
    "VEN-RDG-051",
    "{name}: {quantity} went from {before:g} to {after:g} within {seconds:.0f} s ({time}): the counter "
    "started again; {kwh:g} kWh are counted, as estimated",
)
COUNTER_ZERO = warning(
    "VEN-RDG-052",
    "{name}: {quantity} reads 0 after {before:g} ({time}): not used until it counts again or returns",
    hint="check the meter and its connection; a meter that was exchanged needs nothing",
)
COUNTER_SLIP = warning(
    "VEN-RDG-053",
    "{name}: {quantity} slipped back from {before:g} to {after:g} within {seconds:.0f} s ({time}): energy is "
    "counted from the lower value once it goes on from there (reported once a day)",
    hint="check that one device only sends this counter, and that the device was not restarted",
)
IMPOSSIBLE = warning(
    "VEN-RDG-054",
    "{name}: {quantity} of {value:.10g} ({time}) is impossible: expected {expected}; such values are stored "
    "as out of range and never used (reported once a day)",
    hint="check scale, data type and word order; if the value is right, enter the capacity of the resource, "
    "or set options.quality.{quantity}.range",
)
TIME_AHEAD = warning(
    "VEN-RDG-055",
    "{name}: its clock is {offset} ahead of ours ({time}): such readings are quarantined (reported once a "
    "day)",
    hint="correct the clock of the device or its time zone (options.time.zone), or leave out options.time: "
    "then the time of arrival counts",
)
TIME_BEHIND = warning(
    "VEN-RDG-056",
    "{name}: a reading is {offset} old ({time}): it is quarantined (reported once a day)",
    hint="correct the clock of the device if it lost its time; if old readings are expected, set "
    "options.backfill = true",
)
TIME_STRAY = warning(
    "VEN-RDG-057",
    "{name}: the time {time} does not fit the rows before and after it: the row is quarantined (reported "
    "once a day)",
    hint="check the clock of the device that writes the file",
)
TIME_LAG = warning(
    "VEN-RDG-058",
    "{name}: its times are steadily {offset} behind ours: reports are made before its readings arrive",
    hint="correct the time zone (options.time.zone) or the clock of the device",
)

# Inspection

FILE_SIZE = info(
    "VEN-RDG-060", "{path}: {size} bytes with its log ({unused} of them unused), layout {layout}"
)
FILE_CONTENT = info(
    "VEN-RDG-061",
    "{series} series; {fresh} recent readings, {compressed} compressed ones in {segments} segments{each}; "
    "{quarters} quarters of an hour",
)
FILE_SPAN = info("VEN-RDG-062", "from {first} to {last}")
FILE_WEAR = info("VEN-RDG-063", "written on {day}: {size} bytes for {readings} readings{each}")
FILE_DAMAGED = warning("VEN-RDG-064", "quarantined as damaged: {name}")
FILE_ASIDE = warning(
    "VEN-RDG-065",
    "{count:reading is|readings are} quarantined: `ven readings aside` lists them",
)
FILE_PROBLEM = error("VEN-RDG-066", "problem: {problem}")
FILE_GOOD = info("VEN-RDG-067", "no problems found")
EACH = info("VEN-RDG-068", " ({size} bytes each)")
IN_MEMORY = info("VEN-RDG-069", "readings in memory")

# Capacities, as `ven doctor` proposes them

CAPACITY_ASSUMED = warning(
    "VEN-RDG-070",
    "the capacity of {name} is the default of its kind ({assumed:g} kW) and taken for assumed; measured: "
    "{low:g} to {high:g} kW; power up to {limit:g} kW is believed",
    hint="if it really is {assumed:g} kW, set options.quality.power_kw.range of its connection; if what was "
    "measured is right (--dry-run shows the sites): ven resources set --text {name!r} {changes}",
)
CAPACITY_MISSING = warning(
    "VEN-RDG-071",
    "{name} has no capacity; measured: {low:g} to {high:g} kW; power up to {limit:g} kW is believed",
    hint="if that is right (--dry-run shows the sites): ven resources set --text {name!r} {changes}",
)
CAPACITY_MORE = warning(
    "VEN-RDG-072",
    "{count:more site has|more sites have} an assumed or missing capacity",
    hint="enter capacities in the file that is imported, or with `ven resources set`",
)
SOURCE_OLD = warning(
    "VEN-RDG-073",
    "{endpoint}: silent: the newest value is {age} old ({time:%Y-%m-%d %H:%M} UTC)",
    hint="check the device or the program that writes the file; quality.stale_after_s sets the limit",
)
ONLY_MISSING = info(
    "VEN-RDG-074",
    "the newest report has no measured value of this resource",
    hint="`ven status` shows whether its meter is silent or its values are out of range",
)

# Rules of a connection (options.quality)

RANGE_ORDER = error("VEN-RDG-080", "min {least:g} is above max {most:g}")
BITS_AND_DIGITS = error("VEN-RDG-081", "bits and digits exclude each other: use one of them")
FULL_AT_START = error(
    "VEN-RDG-140",
    "{path} cannot be opened, as the disk is full; readings are kept in memory until there is room",
    hint="free disk space; readings in memory are lost when the gateway stops",
)
OPENED_LATE = info("VEN-RDG-141", "{path}: open again; the readings in memory are stored")

# What is expected of a value (VEN-RDG-054)

EXPECTED_RANGE = info("VEN-RDG-220", "{low:.10g} to {high:.10g}")
EXPECTED_OTHER = info(
    "VEN-RDG-221", "a value that is not the end of a number type: that is how devices say that they have none"
)

# Times of files

TIME_LEAD = warning(
    "VEN-RDG-222",
    "{name}: its times are steadily {offset} ahead of ours: reports use its readings too late",
    hint="correct the time zone (options.time.zone) or the clock of the device that writes the file",
)
TIME_BACK = warning(
    "VEN-RDG-223",
    "{name}: a row of {time} comes {offset} after newer rows: it is stored under that time (reported once a "
    "day)",
    hint="if these rows are of now, correct the clock of the device that writes the file",
)
