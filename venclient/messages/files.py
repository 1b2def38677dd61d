"""Messages of FILEREADER: options, rows, telegrams, exports and drop folders."""

from __future__ import annotations

from venclient.messages import error, info

# Options

COLUMN_OR_PATH = error("VEN-FIL-001", "use either column or columns (csv), or path or paths (other formats)")
PLACE_TWICE = error("VEN-FIL-002", "use one place, or a list of places to add up, not both")
ENCODING = error("VEN-FIL-003", "unknown encoding {encoding}: use utf-8, cp1252 or latin-1")
COLUMNS_ONLY = error(
    "VEN-FIL-004", "{format} has columns, not paths: use column in values and columns in time"
)
PATHS_ONLY = error("VEN-FIL-005", "{format} has paths, not columns: use path in values and in time")
ELOVERBLIK_FIXED = error(
    "VEN-FIL-006", "the columns of eloverblik are fixed: remove values, time.columns and header"
)
HEADER_FALSE = error(
    "VEN-FIL-007", "header false requires values and time.columns; the columns are named 1, 2, 3"
)
DELIMITER = error("VEN-FIL-008", "invalid delimiter {delimiter}: it is also used for other parts of a line")
TABLES_ONLY = error(
    "VEN-FIL-009", "delimiter, decimal, header and multiline are for tables, not for {format}"
)
DSMR_FIXED = error(
    "VEN-FIL-010", "the time and meter of dsmr-p1 are fixed: remove filter, time.path and time.format"
)
FILE_MISSING = error("VEN-FIL-011", "file: missing; expected the name of the meter file")

# Files

CANNOT_READ = error(
    "VEN-FIL-020",
    "cannot read {path} ({error})",
    hint="check that the file exists and that the service may read it",
)
NOT_READABLE = error(
    "VEN-FIL-021",
    "{path}: {problem}",
    hint="correct delimiter, decimal, encoding or the names of columns in the connection's options",
)
NOT_ORDINARY = error("VEN-FIL-022", "not an ordinary file")
FOLDER = error(
    "VEN-FIL-023",
    "cannot read the folder {folder} ({error})",
    hint="create the folder, and allow the service to read and write it",
)
CANNOT_MOVE = error(
    "VEN-FIL-024", "the file was read but cannot be moved ({error}): check the write permissions of {folder}"
)
DROPPED_UNREADABLE = error("VEN-FIL-025", "cannot be read ({error})")
RESULT = info("VEN-FIL-026", "{name}: {readings:reading|readings}, {rejects} rejected")
RESULT_NONE = info("VEN-FIL-027", "{name}: 0 readings, 0 rejected; the file has nothing for this resource")
RESULT_MORE = info("VEN-FIL-028", "... and {count} more")
LINK = error("VEN-FIL-029", "a link is not followed in a drop folder: put the file itself there")
SYSTEM_FILE = error("VEN-FIL-030", "files of the system are never meter files")
OWN_FILE = error("VEN-FIL-031", "a database or its key is never a meter file")
OUTSIDE = error(
    "VEN-FIL-032",
    "outside the folder of the registry: add the folder of the file to files.roots in ven.toml",
)
NO_FOLDER = error("VEN-FIL-033", "{name} is a link or not a folder: replace it with a folder")
HANGS = error(
    "VEN-FIL-034",
    "no answer from the file system of {path}: reading was abandoned",
    hint="check the mount; the file is read again once the file system answers",
)
UNREADABLE_ROW = error("VEN-FIL-035", "the row cannot be read; `ven connections test` shows its text")

# Rows

COLUMNS = error("VEN-FIL-040", "no single column {missing}; columns: {columns}")
NUMBERED = info("VEN-FIL-041", "numbered columns")
ROW_LENGTH = error("VEN-FIL-042", "the row has {count:column|columns}, the header {expected}")
ROW_SHORT = error("VEN-FIL-043", "the row has {count:column|columns}: column {needed} is needed")
DECIMAL_COMMA = error("VEN-FIL-044", "{value} is not a number with a decimal comma")
NO_TIME = error("VEN-FIL-045", "no time in this line: set time.path to its place")
NO_TIME_NAMES = error("VEN-FIL-046", "no time in this line: have the logger add one of {names}")
QUOTES = error("VEN-FIL-047", "the quotes of this line do not match ({error})")
LINE_LONG = error("VEN-FIL-048", "the line has more than {limit} bytes")
LINE_ENCODING = error("VEN-FIL-049", "the line is not valid {encoding} ({reason} at byte {at})")
NOT_AN_OBJECT = error("VEN-FIL-050", "expected a JSON object with the data of a device")
FOUND_DELIMITER = info("VEN-FIL-051", "delimiter {delimiter}")
FOUND_HEADER = info("VEN-FIL-052", "header in line {line}")
NOT_WITH_MARK = error("VEN-FIL-053", "{value} is not a number with the decimal mark {decimal}")
MARK_UNKNOWN = error(
    "VEN-FIL-054",
    "column {column}: {value} may have a decimal mark or a thousands separator, and no row shows which: set "
    "decimal to . or ,",
)
MARKS_MIXED = error(
    "VEN-FIL-055",
    "column {column}: {first} and {second} have different decimal marks: set decimal to . or ,",
)
UNITS = error("VEN-FIL-056", "{quantity}: the cells and the option unit disagree: {units}")
FOUND_LAYOUT = info("VEN-FIL-057", "{name}: {layout}; {columns}")
FOUND_NONE = info("VEN-FIL-058", "no header")
FOUND_MARK = info("VEN-FIL-059", "decimal mark {marks}")

# Eloverblik

NOT_ELOVERBLIK = error(
    "VEN-FIL-060",
    "not an Eloverblik export: {missing} not found (Fra_dato, Til_dato, Mængde or From_date, To_date, "
    "Volume); columns: {columns}",
)
OTHER_POINT = error(
    "VEN-FIL-061",
    "meter point {point} was skipped, because {chosen} is read: choose one with filter or meterPointId",
)
OTHER_TYPE = error(
    "VEN-FIL-062",
    "meter point type {type} was skipped, because {chosen} is read: choose one with filter",
)
NO_TYPE = info("VEN-FIL-063", "none")
ROW_TYPE = error("VEN-FIL-064", "unknown type {type}: expected a time series or a meter reading")
ROW_TIME = error("VEN-FIL-065", "invalid time {time}")
NOT_A_NUMBER = error("VEN-FIL-066", "{value} is not a number")

# Layouts of tables, and damaged lines

LINE_TORN = error("VEN-FIL-067", "the line was torn off by a block of NUL bytes: {text}")
FOUND_COLUMNS = info("VEN-FIL-070", "time from {time}, {values}")
FOUND_VALUE = info("VEN-FIL-071", "{quantity} from {columns}")

# Telegrams

TELEGRAM_LINE = error("VEN-FIL-080", "a line of the telegram has more than {limit} bytes")
TELEGRAM_NO_TIME = error(
    "VEN-FIL-081",
    "the telegram has no time that is clear (0-0:1.0.0, or 0-0:0.9.2 and 0-0:0.9.1), and the file is not "
    "followed: its time of arrival is unknown",
)
TELEGRAM_START = error("VEN-FIL-082", "the telegram has no first line")
TELEGRAM_END = error("VEN-FIL-083", "the telegram has no last line")
TELEGRAM_LAST = error("VEN-FIL-084", "the telegram ends with {end}: expected a checksum")
TELEGRAM_CHECKSUM = error(
    "VEN-FIL-085", "the checksum of the telegram is {stated:04X}, but its bytes give {computed:04X}"
)
TELEGRAM_EARLIER = error(
    "VEN-FIL-086",
    "the telegram has no time (0-0:1.0.0) and arrived before this look: only the newest one is read",
)

LINE_TOO_LONG = info("VEN-FIL-140", "row of {length} characters: the maximum is {most}")

TELEGRAM_DAMAGED = error(
    "VEN-FIL-240", "the telegram is damaged and has no checksum: no meter sends the bytes of the line {line}"
)
TELEGRAM_VALUE = error("VEN-FIL-241", "{code} has no value that can be read: {text}")
TELEGRAM_CUT = error("VEN-FIL-242", "a telegram before it was cut off within a line")
NO_POWER = error(
    "VEN-FIL-243",
    "no column with power; other units: {columns}. Set values to the columns and their quantities",
)
TIME_IN_TWO = error(
    "VEN-FIL-244",
    "{date} has no time of day, which is in another column: set time.columns to {columns}",
)
