"""Messages of `ven doctor` (VEN-DOC-...); the level is the state: info ok, warning warn, error fail."""

from __future__ import annotations

from venclient.messages import error, info, warning

# ---- this machine

CLOCK = info("VEN-DOC-001", "synchronized (NTP)")
CLOCK_UNKNOWN = warning(
    "VEN-DOC-002",
    "not synchronized, as far as the system reports",
    hint="run timedatectl set-ntp true; reports need the right time, some utilities within 5 s",
)
SKEW = info("VEN-DOC-003", "within {limit:g} s of the VTN's clock")
SKEW_AHEAD = error(
    "VEN-DOC-004",
    "this machine's clock is {seconds:.0f} s ahead of the VTN's",
    hint="check NTP on this machine (timedatectl); if it is correct, inform the VTN's operator",
)
SKEW_BEHIND = error(
    "VEN-DOC-005",
    "this machine's clock is {seconds:.0f} s behind the VTN's",
    hint="check NTP on this machine (timedatectl); if it is correct, inform the VTN's operator",
)
SPACE = info("VEN-DOC-006", "{free:,.0f} MiB of {total:,.0f} MiB free at {place}")
SPACE_LOW = warning(
    "VEN-DOC-007",
    "{free:,.0f} MiB of {total:,.0f} MiB free at {place}",
    hint="free disk space, or set readings.retention_days or readings.max_mb",
)
SPACE_NONE = error(
    "VEN-DOC-008",
    "{free:,.0f} MiB of {total:,.0f} MiB free at {place}: too little to store readings and reports",
    hint="free disk space now",
)
WEAR = info("VEN-DOC-009", "{written:,.1f} MiB of readings written per day (mean of {days:day|days})")
WEAR_HIGH = warning(
    "VEN-DOC-010",
    "{written:,.1f} MiB of readings written per day (mean of {days:day|days}): wears out an SD card",
    hint="raise readings.commit_s (now {commit_s:g}): each commit writes whole pages to the card",
)
DISK_UNREADABLE = error("VEN-DOC-011", "cannot read the free space ({problem})", hint="check readings.path")
SETTINGS = info("VEN-DOC-012", "{config} is valid, {count:VTN|VTNs}")
SETTINGS_WRONG = error(
    "VEN-DOC-013",
    "{problem}",
    hint="correct it; `ven config template` prints all settings with their meaning",
)

# ---- files and the gateway

READINGS_NONE = info("VEN-DOC-014", "{path}: no readings stored yet")
READINGS = info("VEN-DOC-015", "{path}: {size:,.1f} MiB, no errors")
READINGS_LARGE = info(
    "VEN-DOC-016", "{path}: {size:,.1f} MiB; not checked because of its size (`ven readings check` checks it)"
)
READINGS_DAMAGED = error(
    "VEN-DOC-017",
    "{path}: {size:,.1f} MiB, damaged: {problem}",
    hint="restart the gateway: it quarantines the damaged file and recovers the readings it can read",
)
REGISTRY = info("VEN-DOC-018", "{place}: {count:resource|resources}, no errors")
REGISTRY_PROBLEM = error(
    "VEN-DOC-019",
    "{place}: {count:resource|resources}; {problem}",
    hint="run `ven db check` to list all problems",
)
REGISTRY_OLD = warning(
    "VEN-DOC-020",
    "{place}: {count:resource|resources}; the database has an older schema",
    hint="run `ven db migrate`, or start the gateway, which migrates it",
)
RECORD_PROBLEM = warning("VEN-DOC-021", "{problem}", hint="run `ven db check` to list all problems")
NO_RESOURCE = warning(
    "VEN-DOC-022",
    "no enabled resource, so nothing is read",
    hint="check `ven resources list`, and ven.resources in ven.toml",
)
NO_RESOURCE_OF_VEN = warning(
    "VEN-DOC-023",
    "no enabled resource with ven = {ven!r}, so nothing is read",
    hint="check `ven resources list`, and ven.resources in ven.toml",
)
GATEWAY_OFF = warning("VEN-DOC-024", "not running", hint="start it: ven run --config {config}")
GATEWAY = info("VEN-DOC-025", "running since {since}, version {version}")
GATEWAY_VTN = warning(
    "VEN-DOC-026",
    "running since {since}, version {version}; {links}",
    hint="see `ven status` and the checks below",
)
GATEWAY_REFUSED = warning(
    "VEN-DOC-027",
    "running since {since}, version {version}; {count:report was|reports were} refused",
    hint="run `ven reports list --state refused` for the reasons",
)
LINK = info("VEN-DOC-028", "{name} is {state}")

# ---- checks themselves

TOO_SLOW = error("VEN-DOC-029", "no answer within {seconds:g} s", hint="try a longer --timeout")
BUG = error("VEN-DOC-030", "unexpected {error}", hint="this is a bug; please report it")
SKIPPED_ALL = warning(
    "VEN-DOC-031",
    "skipped: token, version, programs, registration, notifiers",
    hint="fix the problems above first",
)
SKIPPED_MOST = warning(
    "VEN-DOC-032",
    "skipped: version, programs, registration, notifiers",
    hint="fix the problems above first",
)
SKIPPED_SOME = warning(
    "VEN-DOC-033", "skipped: programs, registration, notifiers", hint="fix the problems above first"
)

# ---- the way to a VTN

DNS = info("VEN-DOC-034", "{host}: {addresses}")
DNS_ADDRESS = info("VEN-DOC-035", "no lookup needed ({host} is an IP address)")
DNS_UNKNOWN = error(
    "VEN-DOC-036",
    "{host}: name not found ({problem})",
    hint="check the name in vtn.url, the network, and the name server (resolvectl status)",
)
PROXY = info("VEN-DOC-037", "{url}: not checked because the connection uses the proxy {proxy}")
UNREACHABLE = error(
    "VEN-DOC-038",
    "{place}: cannot connect ({problem})",
    hint="check the network, firewalls, and host and port of vtn.url",
)
PLAIN_LOCAL = info("VEN-DOC-039", "{place}: plain http, on this machine")
PLAIN = warning(
    "VEN-DOC-040",
    "{place}: plain http, so secrets and readings can be read on the way",
    hint="use https://; plain http is for a VTN on this machine",
)
TLS_VERSION = error(
    "VEN-DOC-041",
    "{place}: the server does not support TLS 1.2 or newer ({problem})",
    hint="check host and port; older TLS versions are rejected",
)
TLS = info("VEN-DOC-042", "{place}: {version}, {certificate}{authority}")
TLS_UNVERIFIED = warning(
    "VEN-DOC-043",
    "{place}: {version}, {certificate}; not verified",
    hint="set vtn.verify = true, and vtn.ca_file if needed",
)
TLS_ENDS_SOON = warning(
    "VEN-DOC-044", "{place}: {version}, {certificate}", hint="ask the VTN's operator to renew the certificate"
)
TLS_EXPIRED = error(
    "VEN-DOC-045",
    "{place}: certificate rejected ({problem}); {certificate}",
    hint="ask the VTN's operator to renew the certificate",
)
TLS_UNTRUSTED = error(
    "VEN-DOC-046",
    "{place}: certificate rejected ({problem}); {certificate}; not trusted by {authority}",
    hint="set vtn.ca_file to the VTN's certificate authority, or have the certificate renewed",
)
CERTIFICATE = info("VEN-DOC-047", "certificate issued by {issuer}{validity}")
VALIDITY = info("VEN-DOC-048", ", valid until {until:%Y-%m-%d}")
VALIDITY_LEFT = info("VEN-DOC-049", ", valid until {until:%Y-%m-%d} ({days:day|days} left)")
VERIFIED_BY = info("VEN-DOC-050", ", verified with {authority}")
SYSTEM_AUTHORITIES = info("VEN-DOC-051", "the system's certificate authorities")
CA_FILE = info("VEN-DOC-052", "vtn.ca_file ({path})")
UNKNOWN_ISSUER = info("VEN-DOC-053", "an unknown issuer")

# ---- token, scopes and version

TOKEN_NOT_NEEDED = info("VEN-DOC-054", "not needed: vtn.client_id is not set")
TOKEN = info("VEN-DOC-055", "received as {client_id}")
TOKEN_UNTIL = info("VEN-DOC-056", "received as {client_id}, valid for {hours:.1f} h")
SCOPES_UNKNOWN = info("VEN-DOC-057", "the token does not list its scopes; see the checks below")
SCOPES = info("VEN-DOC-058", "granted scopes: {granted}{missing}")
SCOPES_MISSING = error(
    "VEN-DOC-059",
    "granted scopes: {granted}{missing}",
    hint="ask the VTN's operator for the scope {scopes}",
)
SCOPE_SUBSCRIPTIONS_MISSING = warning(
    "VEN-DOC-060",
    "granted scopes: {granted}{missing}",
    hint="ask the VTN's operator for the scope {scopes}",
)
SCOPES_TOO_MANY = warning(
    "VEN-DOC-061",
    "granted scopes: {granted}{missing}; also, beyond what a VEN needs: {surplus}",
    hint="ask the VTN's operator for an account of a VEN: this one can change the VTN's programs or users",
)
SCOPE_PROGRAMS = info("VEN-DOC-062", "read programs and events")
SCOPE_OBJECTS = info("VEN-DOC-063", "read its own VEN, resources, reports and subscriptions")
SCOPE_REPORTS = info("VEN-DOC-064", "send reports")
SCOPE_REGISTER = info("VEN-DOC-065", "register its VEN and resources")
SCOPE_SUBSCRIBE = info("VEN-DOC-066", "subscribe to notifications")
NO_SCOPE = info("VEN-DOC-067", "none that a VEN needs")
MISSING_SCOPES = info("VEN-DOC-068", "; missing: {names}")
VERSION = info("VEN-DOC-069", "the VTN uses OpenADR {version}")
VERSION_DIFFERS = warning(
    "VEN-DOC-070",
    "the VTN appears to use OpenADR {version}, but vtn.version is {setting}",
    hint='set vtn.version = "{version}", or "probe"',
)

# ---- what the VTN has

NO_PROGRAM = warning(
    "VEN-DOC-071",
    "no program is visible to this VEN",
    hint="ask the VTN's operator to grant this VEN a program (its targets, or the scope read_targets)",
)
PROGRAMS = info("VEN-DOC-072", "{names}, with {events:event|events}")
PROGRAM_MISSING = warning(
    "VEN-DOC-073",
    "{names}, with {events:event|events}; not found: {missing} (in vtn.programs)",
    hint="correct vtn.programs, or ask the VTN's operator for the program",
)
OBJECT_SKIPPED = warning(
    "VEN-DOC-074", "{place} skipped: {reason}", hint="report it to the VTN's operator; other objects are used"
)
NOT_REGISTERED = warning(
    "VEN-DOC-075",
    "VEN {ven!r} is not registered at the VTN yet",
    hint="run `ven vtn register{option}`, or start the gateway, which registers it",
)
REGISTERED = info(
    "VEN-DOC-076", "VEN {ven} is registered, {fitting} of {count:resource|resources} up to date"
)
REGISTERED_DIFFERS = warning(
    "VEN-DOC-077",
    "VEN {ven} is registered, {fitting} of {count:resource|resources} up to date; {missing} missing, "
    "{different} different",
    hint="run `ven vtn diff{option}` for details and `ven vtn register{option}` to update; "
    "a running gateway updates them within minutes",
)
EXTRA = warning(
    "VEN-DOC-078",
    "the VTN has resources that are not in the registry: {names}",
    hint="run `ven vtn register{option} --delete-extra` to delete them, if no one needs them",
)
RESOURCE_PROBLEM = warning("VEN-DOC-079", "{problem}", hint="correct the resource")
NO_REGISTRY = warning("VEN-DOC-080", "skipped: no registry", hint="repair the registry")
PUSH_OFF = info("VEN-DOC-081", "polling every {seconds:g} s (vtn.push is off)")
PUSH_NONE = info(
    "VEN-DOC-082", "polling every {seconds:g} s (the VTN offers no push notifications: it answers 403 or 404)"
)
PUSH_WEBHOOK = info(
    "VEN-DOC-083",
    "polling every {seconds:g} s (the VTN offers webhooks only)",
    hint="set vtn.webhook_url if the VTN can reach this gateway",
)
PUSH_UNKNOWN = info(
    "VEN-DOC-084", "polling every {seconds:g} s (the VTN offers no supported kind of notification)"
)
PUSH = info("VEN-DOC-085", "the VTN offers {kinds}; polling continues as a fallback")
NOT_CARRIED = warning("VEN-DOC-086", "{problem}", hint="ask the VTN's operator")
REPORTING_PROBLEM = warning("VEN-DOC-087", "{problem}", hint="correct the resource's reporting")
CARRIED = info("VEN-DOC-088", "events request everything that resources are configured to report ({count})")

# ---- devices

DEVICE_READ = info("VEN-DOC-089", "{endpoint}: read {age} ago by the gateway")
DEVICE_STARTING = warning(
    "VEN-DOC-090", "{endpoint}: no value received by the gateway yet", hint="run `ven doctor` again later"
)
DEVICE_FAILED = error("VEN-DOC-091", "{problem}", hint="run `ven connections test {id}` for details")
DEVICE_SILENT = warning(
    "VEN-DOC-092",
    "{endpoint}: the device answers, but has no value now",
    hint="run `ven connections test {id}` for details",
)
DEVICE_VALUES = info("VEN-DOC-093", "{endpoint}: {values}")
DEVICES_SKIPPED = warning(
    "VEN-DOC-094",
    "{count:device was|devices were} not read within {seconds:g} s",
    hint="run `ven connections test ID` to test one",
)
DEVICES_READ = info("VEN-DOC-095", "{count} of {total} devices read")
TEST_DEVICE = info("VEN-DOC-096", "run `ven connections test {id}` for details")

# ---- the command

SUMMARY = info("VEN-DOC-097", "{checks:check|checks}: {failed} failed, {warned:warning|warnings}")

# ---- what is missing

REGISTRY_MISSING = error(
    "VEN-DOC-098",
    "{place}: no such database",
    hint="create it with `ven import FILE... --db {place}`, or correct registry.database",
)
NOT_WRITABLE = error(
    "VEN-DOC-099",
    "{place}: user {user} cannot write in this folder",
    hint="change its owner or mode, run the gateway as another user, or set readings.path and"
    " reporting.state",
)

# ---- parts of sentences

AND_MORE = info("VEN-DOC-100", "{names} and {count} more")
AND = info("VEN-DOC-101", "{names} and {last}")
NO_REASON = info("VEN-DOC-102", "no reason given")
REGISTRY_ELSEWHERE = error(
    "VEN-DOC-103",
    "{place}: no such database, but there is {found}",
    hint='set registry.database = "{found}"',
)

# ---- meter files

FILES_OUTSIDE = warning(
    "VEN-DOC-104",
    "{count:connection|connections} with files outside the folder of the registry and files.roots: {files}",
    hint="move the files there, or add their folders to files.roots; connections that were read before go on",
)
FILES_MORE = info("VEN-DOC-105", "and {count} more")

# ---- a registry in another place


# What the gateway may do at this VTN

TOKEN_GIVEN = info("VEN-DOC-120", "the token of vtn.token is used")
TOKEN_EXPIRED = error(
    "VEN-DOC-121",
    "the token of vtn.token has expired",
    hint="ask the VTN's operator for another one",
)
NOT_CREATABLE = warning(
    "VEN-DOC-122",
    "VEN {ven!r} is not registered, and the VTN does not let this client register it ({reason}); the gateway "
    "follows programs and events without it",
    hint="ask the VTN's operator to create this VEN for this client",
)
UNLISTABLE = warning(
    "VEN-DOC-123",
    "the VTN does not let this client look for its VEN ({reason}); the gateway follows programs and events "
    "without it",
    hint="ask the VTN's operator for the scopes to read and register VENs",
)
ADOPTABLE = warning(
    "VEN-DOC-124",
    "the VTN lists one VEN of this client under another name, {other!r}: the gateway uses it",
    hint='set ven.name = "{other}"',
)
ANOTHER_VEN = warning(
    "VEN-DOC-125",
    "the VTN lists one VEN, {other!r}, but not {ven!r}",
    hint='if that is this site\'s VEN, set ven.name = "{other}"',
)
UNREADABLE_EVENTS = error("VEN-DOC-126", "events cannot be read ({reason})", hint="ask the VTN's operator")
UNREADABLE_PROGRAMS = warning(
    "VEN-DOC-127",
    "programs cannot be read ({reason}); the gateway follows events without them",
    hint="report it to the VTN's operator",
)
