"""Messages about importing CSV files (VEN-IMP)."""

from __future__ import annotations

from venclient.messages import error, info, warning

CONFLICTS = warning(
    "VEN-IMP-001",
    "{count:cell|cells} changed both in the file and in the registry: the stored values stay",
    hint="use --overwrite to take the file's",
)
NO_CONNECTION_TYPE = error(
    "VEN-IMP-002",
    "a host with port {port} but no connection type: add a column connection_type (MODBUSTCP or MQTT)",
)
PORT_WITHOUT_HOST = error("VEN-IMP-003", "port {port} without a host: add a column host")
PORT = error("VEN-IMP-004", "invalid port {port!r}: must be 1 to 65535")
CONNECTION_NEEDS = error("VEN-IMP-005", "{type} connections need a {need}")
NO_PANDAS = error(
    "VEN-IMP-006",
    "pandas is not installed, and preparing the samples needs it",
    hint="install it with `{command}`; `ven import` works without it",
)
LEFT_ALONE = info("VEN-IMP-007", "left alone: {name} ({resource_id}): {cells}")
ASSUMED_TYPE = info(
    "VEN-IMP-008",
    "{count:site|sites}: no type given, assumed {type}",
    hint="say which with a column resource_type, or --type",
)
ASSUMED_TYPE_AND_SIZE = info(
    "VEN-IMP-009",
    "{count:site|sites}: no type given, assumed {type} with {size}",
    hint="say which with columns resource_type and p_max_kw, or --type",
)
ASSUMED_SIZE = info(
    "VEN-IMP-010",
    "{count:site|sites}: no capacities given, assumed {size}",
    hint="say which with columns p_max_kw and e_max_kwh",
)
ASSUMED_VEN = info(
    "VEN-IMP-011",
    "{count:site|sites}: no VEN given, assumed the post town",
    hint="say which with a column ven, or --ven",
)
ASSUMED_METER_POINT = info(
    "VEN-IMP-012",
    "{count:site|sites}: no meter point id given, generated one",
    hint="say which with a column meterpoint_id",
)
ASSUMED_CONNECTION = info(
    "VEN-IMP-013",
    "{count:site|sites}: no connection given, assumed meterdata/<meter point id>.csv beside the database",
    hint="say which with columns connection_type, host, port, topic, file or template",
)
ASSUMED_CONNECTION_TYPE = info(
    "VEN-IMP-014",
    "{count:site|sites}: no connection type given, assumed {type}",
    hint="say which with a column connection_type",
)
NO_NAME = error("VEN-IMP-015", "the site has no name")
NO_COORDINATE = error("VEN-IMP-016", "the site has no {name}")
MIN_EXCEEDS_MAX = error("VEN-IMP-017", "{least} {low:g} exceeds {most} {high:g}")
TOO_LONG = error("VEN-IMP-018", "the {field} has {length} characters: at most {limit} are allowed")
NOT_YES_OR_NO = error("VEN-IMP-019", "invalid value {value!r}: expected yes or no")
ROUNDED = error("VEN-IMP-020", "{value!r} was rounded by a spreadsheet; export the column as text")

# Numbers and positions
NOT_A_NUMBER = error("VEN-IMP-021", "{value!r} is not a number")
OTHER_DECIMAL_MARK = error(
    "VEN-IMP-022", "{value!r} has the decimal mark {found!r}: the numbers of this file have {expected!r}"
)
NUMBER_TOO_LARGE = error("VEN-IMP-023", "number {value!r} is too large")
LOOKS_LIKE_METRES = error(
    "VEN-IMP-024", "{name} {value} looks like metres (UTM): positions must be degrees (WGS 84)"
)
LATITUDE_BEYOND = error(
    "VEN-IMP-025", "latitude {value} is beyond 90 degrees: are latitude and longitude swapped?"
)
COORDINATE_BEYOND = error("VEN-IMP-026", "{name} {value} is beyond {limit:g} degrees")
NOT_A_PAIR = error("VEN-IMP-027", "{value!r} is not a pair of coordinates like (59.85,17.64)")
AMBIGUOUS_NUMBER = error(
    "VEN-IMP-028",
    "{value!r} may be {one:g} or {other:g}: this column has numbers with either decimal mark",
)
ZERO_POSITION = error("VEN-IMP-029", "position 0, 0 stands for an unknown position")

# Cells and rows
WEB_ADDRESS = error("VEN-IMP-030", "web address {value!r} as {column}: the cells of this row look shifted")
SHIFTED = error(
    "VEN-IMP-031",
    "text in number columns ({columns}) and a number in a text column: the cells of this row look shifted",
)
CELL_TOO_LONG = error("VEN-IMP-032", "the cell has {length} characters: at most {limit} are allowed")
NOT_UTF8 = error("VEN-IMP-033", "the cell has bytes that are not UTF-8")
CONTROL_CHARACTER = error("VEN-IMP-034", "the cell has the control character {character}")
CELL_COUNT = error(
    "VEN-IMP-035", "{count:cell|cells}, the header has {expected}: quote cells that contain {delimiter!r}"
)
QUOTE_NOT_CLOSED = error("VEN-IMP-036", 'a quotation mark (") is opened but not closed')
CELL_TOO_LARGE = error("VEN-IMP-037", "a cell is longer than {limit:,} characters")
BAD_QUOTES = error("VEN-IMP-038", "invalid quotation marks ({problem})")
REPEATS_HEADER = error("VEN-IMP-039", "the row repeats the header")
ID_TWICE = error("VEN-IMP-040", "id {resource_id!r} is at {place} already, with other values")
SITE_TWICE = error(
    "VEN-IMP-041",
    "{name!r} has other values here than at {place}: map a key column, or use --duplicates number",
)

# Cells of our own export
NO_CONNECTION = error("VEN-IMP-042", "the resource has no connection")
EMPTY_CELL = error("VEN-IMP-043", "the cell is empty")
NOT_A_JSON_STRING = error("VEN-IMP-044", "{value!r} starts with a quotation mark but is not a JSON string")
NOT_TRUE_OR_FALSE = error("VEN-IMP-045", "invalid value {value!r}: must be true or false")
NOT_A_PLAIN_NUMBER = error("VEN-IMP-046", "{value!r} is not a number with a decimal point")
NOT_JSON = error("VEN-IMP-047", "the cell is not valid JSON ({problem})")
NOT_A_JSON_OBJECT = error("VEN-IMP-048", "the cell is not a JSON object")

# What is doubtful about rows that are stored
NO_POST_TOWN = warning(
    "VEN-IMP-049",
    'no post town found in the address: assign these sites to a VEN with --ven or a column "ven"',
)
NO_VEN = warning("VEN-IMP-050", 'no address: assign these sites to a VEN with --ven or a column "ven"')
NOT_GS1 = warning(
    "VEN-IMP-051", "the meter point id is not an 18-digit GS1 number with a correct check digit"
)
MAPPED_COLUMN_MISSING = warning("VEN-IMP-052", "no column {column!r} for {meaning} in this file")
NO_ROWS = warning("VEN-IMP-053", "no rows below the header")
METER_POINT_TWICE = warning("VEN-IMP-054", "an earlier row of another site has the same meter point id")
METER_POINT_STORED = warning("VEN-IMP-055", "another stored resource has the same meter point id")
NOT_READABLE_YET = warning("VEN-IMP-056", "this {type} connection cannot be read yet: {missing}")
BROKEN_REPLACED = warning("VEN-IMP-057", "the stored resource was invalid ({problem}) and was replaced")
SECRET_HIDDEN = warning(
    "VEN-IMP-058", "the {name} is hidden in the file and was not stored: set it with `ven resources set`"
)

# Mappings
UNKNOWN_MEANING = error("VEN-IMP-059", "unknown field {name!r}{meant}. Valid fields: {known}")
MAP_FLAG = error(
    "VEN-IMP-060", "invalid value {value!r}: must be FIELD=COLUMN", hint="write --map title=<column name>"
)
NOT_TOML = error(
    "VEN-IMP-061", "cannot read the mapping as TOML ({problem})", hint="see the import guide for its form"
)
MAPPING_VALUE = error("VEN-IMP-062", "invalid {name} {value}: must be {expected}")
UNKNOWN_SETTING = error("VEN-IMP-063", "unknown setting {name!r}. Valid settings: {known}")
MAPPING_PROBLEM = error("VEN-IMP-064", "{name}: {problem}")
MAPPED_COLUMN_UNKNOWN = error("VEN-IMP-065", "no column {column!r} for {meaning}")
NO_TITLE_COLUMN = error("VEN-IMP-066", "no column with the names of the sites")
MAPPING_PROBLEMS = error("VEN-IMP-067", "{problems}", hint="correct the mapping")
COLUMN_PROBLEMS = error(
    "VEN-IMP-068",
    "{problems}",
    hint="map the columns, as in --map title=<column>. Columns of the file: {columns}",
)
NO_POSITION_COLUMNS = error(
    "VEN-IMP-069",
    "no columns with latitude and longitude",
    hint="use --map latitude=<column> --map longitude=<column>, or --allow-missing-location",
)
OWN_EXPORT = info("VEN-IMP-070", "the file is an export of venclient and is taken as it is")
OWN_EXPORT_IGNORES = info(
    "VEN-IMP-071",
    "the file is an export of venclient and is taken as it is: {names} of the mapping have no effect",
)

# Files
NOT_READABLE = error(
    "VEN-IMP-072", "cannot read the file ({problem})", hint="enter the path of a readable CSV file"
)
EMPTY_FILE = error("VEN-IMP-073", "the file is empty", hint="enter the path of a CSV file with a header row")
NOT_TEXT = error("VEN-IMP-074", "not a text file", hint="save the sheet as CSV, UTF-8")
NOT_IN_ENCODING = error("VEN-IMP-075", "the file is not {encoding} text ({problem})", hint="save it as UTF-8")
UNKNOWN_ENCODING = error(
    "VEN-IMP-076", "cannot read the file as {encoding} ({problem})", hint="check path and encoding"
)
NO_HEADER = error(
    "VEN-IMP-077", "the file has no rows", hint="enter the path of a CSV file with a header row"
)
NO_ROW_AT = error("VEN-IMP-078", "no row at line {line}", hint="correct header_line in the mapping")
COLUMN_TWICE = error("VEN-IMP-079", "the header has {columns} twice", hint="rename one of the two columns")
REJECTS_NOT_WRITTEN = error(
    "VEN-IMP-080", "cannot write the file ({problem})", hint="choose another file with --rejects PATH"
)

# Samples
NO_SAMPLES = error(
    "VEN-IMP-081",
    "no CSV files in this folder",
    hint="add <kind>-in-<country>.csv files with columns title, address, longitude, latitude",
)
SAMPLE_SKIPPED = warning("VEN-IMP-082", "skipped the sample file: {problem}")
SAMPLE_COUNTS = info(
    "VEN-IMP-083",
    "{file}: created {created}, updated {updated}, unchanged {unchanged}, rejected {rejected}",
)
SAMPLE_DIFFERS = info("VEN-IMP-084", "{cell} is {stored!r}, the sample has {sample!r}")

# Post towns
NO_ADDRESS = info("VEN-IMP-085", "no address to take the post town from")
NOT_A_DANISH_TOWN = info("VEN-IMP-086", "{part!r} is not a Danish post code and town")
NO_POST_CODE = info("VEN-IMP-087", "no post code and town in {part!r}")

# The summary of `ven import`
ONE_SOURCE = error("VEN-IMP-088", "names the source of a single file", hint="import the files one by one")
OWN_COLUMNS = info("VEN-IMP-089", "those of an export of venclient")
UNUSED_COLUMNS = info(
    "VEN-IMP-090", "not used: {columns}{more} (--map FIELD=COLUMN maps a column to a field)"
)
COUNTS = info(
    "VEN-IMP-091",
    "created {created}, updated {updated}, unchanged {unchanged}, duplicates {duplicates},"
    " rejected {rejected}",
)
COUNTS_IF_STORED = info(
    "VEN-IMP-092",
    "would be created {created}, updated {updated}, unchanged {unchanged}, duplicates {duplicates},"
    " rejected {rejected}",
)
NOTHING_STORED = info(
    "VEN-IMP-093",
    "nothing was stored because of {count:bad row|bad rows}: correct the file, or add --keep-good to store"
    " the other rows",
)
NOTHING_WOULD_BE_STORED = info(
    "VEN-IMP-094",
    "nothing would be stored because of {count:bad row|bad rows}: correct the file, or add --keep-good to"
    " store the other rows",
)
REJECTED_ROW = info("VEN-IMP-095", "rejected line {line}: {reason}")
REJECTED_CELL = info("VEN-IMP-096", "rejected line {line}, {column}: {reason}")
MORE_REJECTED = info("VEN-IMP-097", "... and {count:,} more")
MORE_REJECTED_UNSEEN = info("VEN-IMP-098", "... and {count:,} more; --rejects FILE writes them all")
REJECTS_FILE = info("VEN-IMP-099", "rejected rows are in {file}")
DUPLICATES = info("VEN-IMP-100", "duplicates, not stored again: {lines}")
DISAPPEARED = info(
    "VEN-IMP-101",
    "{count:site|sites} no longer in the file, left as stored (--disable-missing disables them): {names}",
)
DISABLED = info("VEN-IMP-102", "{count:site|sites} no longer in the file, disabled: {names}")
WOULD_BE_DISABLED = info(
    "VEN-IMP-103", "{count:site|sites} no longer in the file, would be disabled: {names}"
)
NOT_DISABLED = info(
    "VEN-IMP-104",
    "{count:site|sites} no longer in the file, not disabled as they may be in the rejected rows: {names}",
)
WOULD_CHANGE = info("VEN-IMP-105", "would change {name} ({resource_id}): {cells}")
MORE_CHANGES = info("VEN-IMP-106", "... and {count:,} more changes; --json lists them all")
CONFLICT = info("VEN-IMP-107", "line {line}, {name} ({resource_id}): {cells}")
CELL_CONFLICT = info("VEN-IMP-108", "{cell}: stored {stored!r}, file {value!r}")
MORE_CONFLICTS = info("VEN-IMP-109", "... --json lists more")
CELL_PROBLEMS = error("VEN-IMP-110", "{problems}")
CREATED_AGAIN = warning(
    "VEN-IMP-111",
    "this site was deleted from the registry and is created again",
    hint="remove its row, or disable the site instead of deleting it",
)
MOVED = warning(
    "VEN-IMP-112",
    "new site with the name of a site that is no longer in the file: another address, or without one another "
    "position, makes another site",
    hint="if it is the same site, add a column resource_id with the stored id",
)
LINE_TOO_LONG = error(
    "VEN-IMP-350",
    "the line is longer than {limit:,} characters",
    hint="is this a CSV file of sites, with an end of line after each?",
)
