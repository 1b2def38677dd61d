"""Messages of InfluxDB: sending readings, asking for history."""

from __future__ import annotations

from venclient.messages import error, info, warning

# Answers

ANSWERED = error("VEN-INF-001", "the server answered {status}")
NOT_ALLOWED = error(
    "VEN-INF-002",
    "access denied ({reason})",
    hint="check influx.token, or influx.username and influx.password, and their write permission",
)
REQUEST_WRONG = error(
    "VEN-INF-003", "{reason}", hint="check influx.url, influx.version, influx.org and influx.bucket"
)
REDIRECTED = error("VEN-INF-004", "redirected to {location}", hint="set influx.url to InfluxDB itself")
NO_DATABASE = error("VEN-INF-005", "{reason}", hint="check influx.bucket")
NOWHERE = info("VEN-INF-006", "nowhere")
SAID = error("VEN-INF-007", "{reason}")
NO_ANSWER = error("VEN-INF-008", "no answer within {limit_s:g} s")
CANNOT_ASK = error("VEN-INF-009", "{reason}", hint="check the network and influx.url")
CA_FILE = error("VEN-INF-010", "the file has no usable certificates ({error})")
READ_FAILED = error("VEN-INF-011", "the server answered {status}: {reason}")
READ_NOT_ALLOWED = error(
    "VEN-INF-012",
    "the server answered {status}: {reason}",
    hint="check influx.token, or influx.username and influx.password, and their read permission",
)
READ_NO_MAPPING = error(
    "VEN-INF-013",
    "the server answered {status}: {reason}",
    hint="InfluxQL needs a database mapping for the bucket; or set influx.language to flux",
)
NOTHING_MORE = info("VEN-INF-014", "no details")
QUERY_REFUSED = error("VEN-INF-015", "the query was rejected ({reason})")
PARTIAL = error(
    "VEN-INF-016", "the server returned only part of the result", hint="raise max-row-limit of the server"
)
NOT_A_RESULT = error(
    "VEN-INF-017",
    "the answer is not a valid {language} result ({kind})",
    hint="check influx.url and influx.version",
)
WEB_PAGE = error(
    "VEN-INF-018",
    "not an InfluxDB API of version {version}: answered {status} with a web page ({title})",
    hint="set influx.url to scheme, host and port of InfluxDB (such as http://192.168.1.5:8086) and "
    "influx.version to its version; or log in to the network, if the page is its login",
)
NOT_AN_API = error(
    "VEN-INF-019",
    "not an InfluxDB API of version {version}: answered {status} ({reason})",
    hint="set influx.url to scheme, host and port of InfluxDB (such as http://192.168.1.5:8086) and "
    "influx.version to its version",
)
WRONG_VERSION = error(
    "VEN-INF-020",
    "the server is InfluxDB {found}, but influx.version is {version}",
    hint="set influx.version = {major}",
)
READ_NOT_FOUND = error(
    "VEN-INF-021",
    "the server answered {status}: {reason}",
    hint="check influx.bucket and influx.org, and that the token may read the bucket",
)

NO_MAPPING = error(
    "VEN-INF-022",
    "{reason}",
    hint="let the token read the bucket; or map a database to the bucket (influx v1 dbrp create), or set "
    "influx.language to flux",
)

# Sending

TOO_OLD = error("VEN-INF-029", "older than the retention of the bucket{duration}")

SMALLER = warning("VEN-INF-030", "{name}: rejects {count} lines at once; sending {smaller}")
NOT_CREATED = error("VEN-INF-031", "{name}: {reason}, and the database cannot be created ({problem})")
CREATED = info("VEN-INF-032", "{name}: created the database")
REJECTED = warning(
    "VEN-INF-034", "{place}: rejected by {name}: {reason} (logged once; it stays in the journal)"
)
BUG = error("VEN-INF-035", "unexpected {kind} (a bug; please report it)")
NOT_SENT = warning("VEN-INF-036", "{name}: not sent to InfluxDB: {reason} (logged once)")
ACCEPTS_AGAIN = info("VEN-INF-037", "{name}: accepts readings again; missed ones are sent from the journal")
FAILED = warning("VEN-INF-038", "{reason} (readings are kept in the journal and sent later; logged once)")

KEPT_LESS = warning(
    "VEN-INF-039",
    "{name}: readings up to {until} are older than the bucket keeps: not sent (logged once; they stay in the "
    "journal). Newer readings are sent first from now on.",
)
NEW_DESTINATION = info(
    "VEN-INF-040",
    "{name}: new destination (bucket {bucket}): the journal's readings since {since} are sent to it",
)

# Names

EMPTY_NAME = error("VEN-INF-050", "an empty name cannot be written to InfluxDB")
LONG_NAME = error("VEN-INF-051", "the name has {length} characters, too long for InfluxDB")
UNWRITABLE_NAME = error(
    "VEN-INF-052",
    "the name has a control character, or a backslash before a comma, '=', space or its end, which cannot be "
    "written to InfluxDB",
)
RESERVED_NAME = error("VEN-INF-053", "the quantity name {quantity} is reserved in InfluxDB")
HISTORY_AGAIN = info("VEN-INF-060", "history is read from {name} again")
HISTORY_JOURNAL = warning("VEN-INF-061", "history is read from the journal: {name}: {reason} (logged once)")
NOT_COMPLETE = info("VEN-INF-062", "not all readings have arrived there yet")
HOLES = warning(
    "VEN-INF-063",
    "{name} lacks {count:reading|readings} of {resource} from {first} on that the journal has: they are "
    "taken from the journal (logged once)",
    hint="run ven readings mirror --since DATE to send them again",
)

# ven readings mirror


# ven doctor

PROBE_REACHED = info("VEN-INF-070", "{url} answers (InfluxDB {version})")
PROBE_REACHED_UNKNOWN = info("VEN-INF-071", "{url} answers (version not shown)")
PROBE_ADDRESS = warning(
    "VEN-INF-072",
    "influx.url {url} has the path, query or fragment of a web page: {base} is used",
    hint="set influx.url to {base}",
)
PROBE_WRITE = info("VEN-INF-073", "may write to {bucket}")
PROBE_NO_DATABASE = info("VEN-INF-074", "database {bucket} does not exist yet; it is created when needed")
PROBE_READ = info("VEN-INF-075", "may read from {bucket} ({language})")
PROBE_NO_READ = info(
    "VEN-INF-076", "may not read from {bucket}, which readings.store = sqlite does not need ({reason})"
)
PROBE_KEEPS = info("VEN-INF-077", "{bucket} keeps readings for {days:.4g} days")
PROBE_KEEPS_ALL = info("VEN-INF-078", "{bucket} keeps readings for ever")
PROBE_KEEPS_UNKNOWN = info("VEN-INF-079", "the retention of {bucket} is not visible to this login")
REFILL_NO_URL = error("VEN-INF-080", "influx.url is not set", hint="set it in the settings file")
REFILL_FUTURE = error("VEN-INF-081", "{time} is in the future", hint="give the date of the oldest reading")
REFILL_CONTINUED = info("VEN-INF-082", "continuing the run that stopped")
REFILL_PROGRESS = info("VEN-INF-083", "{at}: {sent:reading|readings} sent, {rejected:,} rejected")
REFILL_DONE = info(
    "VEN-INF-084",
    "{sent:reading|readings} of {resources:resource|resources} since {since} sent to {name}, bucket {bucket}",
)
REFILL_REJECTED = warning("VEN-INF-085", "{count:reading|readings} rejected. The last one: {reason}")
REFILL_STOPPED = error(
    "VEN-INF-086", "{reason}", hint="fix that and run the same command again: it continues where it stopped"
)
REFILL_NONE = info("VEN-INF-087", "no readings since {since} of resources that the registry has enabled")
PROBE_KEEPS_LITTLE = warning(
    "VEN-INF-088",
    "{bucket} keeps readings for {days:.4g} days only, the journal for {journal:.4g} days: older readings "
    "are not sent",
    hint="raise the retention of the bucket, or lower readings.retention_days",
)
PROBE_NO_WRITE = error(
    "VEN-INF-089", "a write fails: {reason}", hint="check the log of InfluxDB, and its free disk space"
)

# History

# Bounds

HISTORY_LARGE = error(
    "VEN-INF-240",
    "the answer has more than {most} MB: it is not read",
    hint="check influx.url; history is read from the journal meanwhile",
)
