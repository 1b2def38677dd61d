"""Messages of the demo, the virtual site, the local VTN and their commands."""

from __future__ import annotations

from venclient.messages import error, info, warning

# ---- the demo
NOT_SHIPPED = error(
    "VEN-SIM-001",
    "this installation has no {name}",
    hint="install venclient again, from its wheel or a checkout",
)
NO_SAMPLES = error(
    "VEN-SIM-002",
    "no sample sites found in {folder}",
    hint="leave out --config-folder, or name a folder that has exampleassets/*.csv",
)
FOLDER_NOT_EMPTY = error(
    "VEN-SIM-003",
    "the folder {folder} is not empty: the demo would overwrite files in it",
    hint="name a new folder with --site, or leave out --site",
)
FOLDER_UNUSABLE = error(
    "VEN-SIM-004",
    "the folder {folder} cannot be used ({reason})",
    hint="name another folder with --site",
)
UNKNOWN_VEN = error("VEN-SIM-005", "no sample site has VEN {ven!r}", hint="use one of {known}")
GATEWAY_NOT_READY = error(
    "VEN-SIM-006",
    "the gateway was not ready within {seconds:.0f} s",
    hint="run `ven demo --site FOLDER` to keep all of its files",
)
GATEWAY_ENDED = error(
    "VEN-SIM-007",
    "the gateway ended with status {status}",
    hint="run `ven demo --site FOLDER` to keep all of its files",
)
MOSQUITTO_FAILED = error(
    "VEN-SIM-008",
    "mosquitto does not listen on 127.0.0.1:{port}",
    hint="try it by hand: {command}",
)
KEPT_IN = info("VEN-SIM-009", "files are in {folder}: ven.toml, gateway.log, resources.db, var/readings.db")
STEP_REGISTRY = info("VEN-SIM-010", "registry from {folder}/*.csv")
RESOURCES_IN = info("VEN-SIM-011", "{count:resource|resources} in {database}")
BY_TYPE = info("VEN-SIM-012", "by type: {counts}")
LARGEST_VENS = info("VEN-SIM-013", "largest VENs: {counts}")
STEP_SITE = info("VEN-SIM-014", "virtual site for {ven}: {count:resource|resources}")
SITE_SERVERS = info("VEN-SIM-015", "Modbus TCP on 127.0.0.1:{modbus_port}, {broker} on 127.0.0.1:{mqtt_port}")
METER = info("VEN-SIM-016", "{resource}: {connection} ({kind})")
STEP_VTN = info("VEN-SIM-017", "local VTN, OpenADR 3.1")
STEP_GATEWAY = info("VEN-SIM-018", "gateway: ven run --config ven.toml")
WAITING = info("VEN-SIM-019", "waiting for meters and registration")
PROGRESS = info("VEN-SIM-020", "{accepted} of {count} reports accepted by the VTN; {seconds:.0f} s left")
PROGRESS_FOREVER = info(
    "VEN-SIM-021", "{accepted} of {count} reports accepted by the VTN; press Ctrl-C to stop"
)
STEP_COMPARED = info("VEN-SIM-022", "reported and actual consumption")
STEP_CHECKS = info("VEN-SIM-023", "checks")
CHECK_READINGS = info("VEN-SIM-024", "{kind}: {count} readings")
CHECK_REPORTS = info(
    "VEN-SIM-025",
    "reports: {sent} sent, {accepted} accepted by the VTN, {refused} refused, {expected} expected",
)
CHECK_ENERGY = info("VEN-SIM-026", "{resource}: {percent:.3f} % off, {intervals} of {expected} intervals")
CHECK_RESOURCES = info("VEN-SIM-027", "resources: {count} of {expected} registered at the VTN")
CHECKS_FAILED = error("VEN-SIM-028", "{failed} of {count} checks failed")
CHECKS_HELD = info("VEN-SIM-029", "all {count} checks held")
STOPPED = info("VEN-SIM-030", "stopped")
ROWS_SKIPPED = warning("VEN-SIM-031", "{file}: skipped {count:row|rows} that cannot be used")
BY_SUBTYPE = info("VEN-SIM-032", "by sub-type: {counts}")

# ---- ven simulate meterdata
UNKNOWN_KIND = error("VEN-SIM-040", "unknown kind of site {kind!r}", hint="use all or one of {known}")
OUT_MISSING = error(
    "VEN-SIM-041", "all kinds together need a folder", hint="add --out FOLDER, or choose one --kind"
)
UNKNOWN_ZONE = error("VEN-SIM-042", "unknown time zone {zone!r}", hint="use a name such as Europe/Copenhagen")
UNWRITABLE = error("VEN-SIM-043", "the file cannot be written ({reason})", hint="choose another --out")
ROWS_WRITTEN = info("VEN-SIM-044", "{path}: {count} rows")

# ---- ven simulate vtn
UNKNOWN_VERSION = error("VEN-SIM-050", "unknown version of OpenADR {version!r}", hint="use 3.1 or 3.0.1")
VTN_AT = info("VEN-SIM-051", "VTN at {url}")
VTN_CLIENT = info("VEN-SIM-052", "client {client} ({role})")
VTN_CLIENT_SECRET = info("VEN-SIM-053", "client {client} ({role}) secret {secret}")
VTN_HOLDS = info("VEN-SIM-054", "{programs:program|programs}, {events:event|events}; press Ctrl-C to stop")
REPORT_ACCEPTED = info(
    "VEN-SIM-055",
    "{time} report {name} accepted from {client}: {resources:resource|resources},"
    " {intervals:interval|intervals}",
)
REPORT_CORRECTED = info(
    "VEN-SIM-056",
    "{time} report {name} corrected by {client}: {resources:resource|resources},"
    " {intervals:interval|intervals}",
)
VTN_ENDED = error("VEN-SIM-057", "the VTN ended right after its start")
CANNOT_LISTEN = error(
    "VEN-SIM-058",
    "cannot listen on {host}:{port} ({reason})",
    hint="choose another port, or 0 for a free one",
)
INVALID_BROKER = error(
    "VEN-SIM-059", "invalid address of an MQTT broker {uri!r}", hint="write mqtt://HOST:1883"
)
BROKER_SILENT = error(
    "VEN-SIM-060", "no answer from the MQTT broker ({reason})", hint="start the broker, or correct --mqtt"
)
WEBHOOK_SILENT = warning("VEN-SIM-061", "a webhook does not answer: {reason}")

# ---- clients and seed of the local VTN
CLIENT_ID_LENGTH = error(
    "VEN-SIM-070", "invalid client id of {length} characters: must be 1 to 128", hint="shorten the id"
)
UNKNOWN_ROLE = error("VEN-SIM-071", "unknown role {role!r}", hint="use ven or bl")
UNKNOWN_SCOPES = error("VEN-SIM-072", "unknown scopes {scopes}", hint="use {known}")
VARIABLE_NOT_SET = error(
    "VEN-SIM-073", "the environment variable {name} is not set", hint="set it, or leave out the secret"
)
CLIENT_WITHOUT_ID = error("VEN-SIM-074", "this client has no id", hint='write id = "ven-1"')
CLIENT_KEYS = error("VEN-SIM-075", "unknown keys {keys}", hint="use id, role, secret, scopes")
SEED_UNREADABLE = error(
    "VEN-SIM-076", "the file cannot be read ({reason})", hint="name a readable TOML or JSON file"
)
SEED_NOT_PARSED = error("VEN-SIM-077", "invalid {format}: {reason}", hint="correct the file")
SEED_NO_TABLES = error("VEN-SIM-078", "the file has no tables", hint="use {known}")
SEED_UNKNOWN_TABLE = error("VEN-SIM-079", "{seed}: unknown table {table!r}", hint="use {known}")
SEED_NOT_LIST = error("VEN-SIM-080", "{seed}: {table} is not a list of tables", hint="write [[{table}]]")
SEED_NOT_TABLE = error("VEN-SIM-081", "{seed}: {table}[{number}] is not a table")
SEED_ROW = error("VEN-SIM-082", "{seed}: {table}[{number}]: {reason}")
SEED_MISTAKES = error("VEN-SIM-083", "{count:mistake|mistakes} in the seed")
INVALID_START = error("VEN-SIM-084", "invalid start {start!r}", hint="write 'now+5s' or 'now+5s aligned 10s'")
ALIGNED_TO_ZERO = error("VEN-SIM-085", "invalid start {start!r}: aligned to 0", hint="align to 1s or more")
UNKNOWN_PROGRAM = error("VEN-SIM-086", "unknown program {name!r}")
FAULT_KEY = error("VEN-SIM-087", "unknown key {key!r}", hint="use {known}")
FAULT_VALUE = error("VEN-SIM-088", "invalid {key} = {value!r}: expected {expected}")
FAULT_WITHOUT_EFFECT = error("VEN-SIM-089", "this fault has no effect", hint="add one of {known}")
FAULT_CUT_STATUS = error(
    "VEN-SIM-090", "cut and status exclude each other: a cut connection has no answer", hint="remove one"
)
FAULT_RETRY_AFTER = error("VEN-SIM-091", "retry_after_s needs a status", hint="add status = 503")

# ---- commands on a running local VTN
ACCESS_FILE = error(
    "VEN-SIM-100",
    "the file cannot be written ({reason})",
    hint="another user owns a file of this name; set XDG_RUNTIME_DIR to a folder of yours",
)
NO_VTN = error(
    "VEN-SIM-101",
    "no local VTN of this user runs on port {port}",
    hint="start one with `ven simulate vtn`, or name its port with --port",
)
VTN_SILENT = error("VEN-SIM-102", "the local VTN does not answer ({reason})", hint="start it again")
VTN_REFUSED = error("VEN-SIM-103", "the local VTN answered {status}: {detail}", hint="correct the request")
NO_EVENT = error("VEN-SIM-104", "no event has this id or name", hint="list them: ven simulate vtn events")
SEVERAL_EVENTS = error(
    "VEN-SIM-105", "{count} events have this name", hint="use an id of `ven simulate vtn events`"
)
NOT_LOADED = error("VEN-SIM-106", "rejected: {reason}")
PROGRAM_ADDED = info("VEN-SIM-107", "program {name} {id}")
NO_EVENTS = info("VEN-SIM-108", "no events; add some with `ven simulate vtn load FILE`")
NOT_JSON_OBJECT = error("VEN-SIM-109", "not a JSON object", hint="write for instance '{{\"priority\": 0}}'")
EVENT_WITHDRAWN = info("VEN-SIM-110", "withdrew event {event}")
NO_REPORTS = info("VEN-SIM-111", "no reports yet")
REPORT = info("VEN-SIM-112", "{time} {name} from {client}")
EVENT = info("VEN-SIM-113", "event {id} {name}: {count} intervals from {start}, each {duration}")
EVENT_WANTS = info(
    "VEN-SIM-114", "event {id} {name}: {count} intervals from {start}, each {duration}; wants {payloads}"
)
