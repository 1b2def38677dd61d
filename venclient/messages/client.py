"""Messages about the connection to a VTN: account, token, requests, notifications (VEN-VTN-...)."""

from __future__ import annotations

from venclient.messages import error, info, warning

# ---- account

SECRET_MISSING = error(
    "VEN-VTN-001",
    "vtn.client_secret is missing: vtn.client_id is set and needs it",
    hint="set vtn.client_secret, or remove vtn.client_id",
)
CERT_MISSING = error(
    "VEN-VTN-002",
    "vtn.cert_file is missing: vtn.key_file is set and needs it",
    hint="set vtn.cert_file, or remove vtn.key_file",
)
VERSION = error("VEN-VTN-003", "invalid vtn.version {version!r}: must be {known}", hint="correct vtn.version")
TIMEOUT = error(
    "VEN-VTN-004",
    "invalid vtn.timeout_s {seconds}: must be above 0 seconds",
    hint="correct vtn.timeout_s",
)
ADDRESS_SYNTAX = error(
    "VEN-VTN-005", "{key}: invalid URL ({problem}): expected https://host/path", hint="correct {key}"
)
ADDRESS_USER = error(
    "VEN-VTN-006",
    "{key}: contains a user name; use vtn.client_id and vtn.client_secret instead",
    hint="remove the user name from {key}",
)
ADDRESS = error("VEN-VTN-007", "{key}: invalid URL {url!r}: expected https://host/path", hint="correct {key}")
ADDRESS_QUERY = error(
    "VEN-VTN-008",
    "{key}: {url!r} has a query or fragment: must be scheme, host and path only",
    hint="remove the query or fragment from {key}",
)
ADDRESS_PLAIN = error(
    "VEN-VTN-009",
    "{key}: {url!r} is not encrypted: use https://, or set vtn.allow_http = true for a test on one machine",
    hint="use https://, or set vtn.allow_http = true for a test on one machine",
)
ACCOUNT = error("VEN-VTN-010", "invalid VTN settings: {problems}", hint="correct the settings in ven.toml")
CERTIFICATE_FILE = error(
    "VEN-VTN-011",
    "cannot load the file ({problem}): must be a readable file in PEM format",
    hint="check the path, the permissions and the format",
)

# ---- requests

UNEXPECTED_BODY = error(
    "VEN-VTN-012",
    "unexpected body in the answer {status}: {problem}",
    hint="check that vtn.url is the VTN's address and ends with its version path; where the network asks for "
    "a login (captive portal), log in",
)
CLOSED_CLIENT = error("VEN-VTN-013", "this VenClient is not open", hint="use it inside `async with`")
TOKEN_NEEDED = error(
    "VEN-VTN-014",
    "answered {status}{said}",
    hint="this VTN requires a token: set vtn.client_id and vtn.client_secret, or vtn.token",
)
TOKEN_REJECTED = error(
    "VEN-VTN-015",
    "answered {status}{said}",
    hint="the VTN rejects a new token too; check that vtn.token_url is the token service of this VTN",
)
SCOPE_MISSING = error(
    "VEN-VTN-016",
    "answered {status}{said}",
    hint="ask the VTN's operator for the scope that this request needs (granted scopes: {granted})",
)
ANSWERED = error(
    "VEN-VTN-017", "answered {status}{said}", hint="see the VTN's documentation or ask its operator"
)
REDIRECT = error(
    "VEN-VTN-018",
    "answered {status}{said}: redirect to {location}",
    hint="set vtn.url to the VTN's own address; where the network asks for a login (captive portal), log in",
)
PATH_NOT_FOUND = error(
    "VEN-VTN-019", "answered {status}", hint="check that vtn.url ends with the VTN's version path"
)
NO_ANSWER = error("VEN-VTN-020", "no answer within {seconds:g} s", hint="check the network and vtn.url")
CUT = error("VEN-VTN-021", "the connection was lost ({problem})", hint="check the network and vtn.url")
CUT_TLS = error(
    "VEN-VTN-022",
    "the connection was lost ({problem})",
    hint="check the network and vtn.url, and whether the VTN requires a client certificate (vtn.cert_file)",
)
NO_CONNECTION = error("VEN-VTN-023", "cannot connect: {problem}", hint="check the network and vtn.url")
TLS_VERSION = error(
    "VEN-VTN-025",
    "the server does not support TLS 1.2 or newer ({problem})",
    hint="check host and port of vtn.url; older TLS versions are rejected",
)
RETRY_LATER = error(
    "VEN-VTN-027",
    "no request sent: the VTN asked to retry after {seconds:.0f} s",
    hint="wait; requests continue automatically",
)
BUG = error("VEN-VTN-028", "unexpected {error}", hint="this is a bug; please report it")
ANSWERS_AGAIN = info("VEN-VTN-029", "{url} answers again")
SPEAKS = info("VEN-VTN-030", "{url} uses OpenADR {version}")
OBJECT_SKIPPED = warning(
    "VEN-VTN-031", "{place} of {url} skipped: {reason}", hint="report it to the VTN's operator"
)

# ---- token

NO_ACCESS_TOKEN = error(
    "VEN-VTN-032", "the token service's answer has no access_token", hint="check vtn.token_url"
)
TOKEN_SERVICE_PLAIN = error(
    "VEN-VTN-033",
    "the client secret was not sent to the token service {url!r} that the VTN names: not an https:// address",
    hint="set vtn.token_url to an https:// address",
)
TOKEN_SERVICE_ELSEWHERE = warning(
    "VEN-VTN-034",
    "the VTN {url} names a token service on another host, {token_url}",
    hint="set vtn.token_url to confirm it",
)
NO_TOKEN_URL = warning(
    "VEN-VTN-035",
    "{request}: no tokenURL in the answer; using the VTN's /auth/token",
    hint="set vtn.token_url",
)
NO_TOKEN_SERVICE = error(
    "VEN-VTN-036",
    "no token service at this address ({status})",
    hint="set vtn.token_url, or remove vtn.client_id if the VTN needs no token",
)
TOKEN_REFUSED = error(
    "VEN-VTN-037", "token refused: {reason}", hint="check vtn.client_id and vtn.client_secret"
)

# ---- registration

NAME_TAKEN = error(
    "VEN-VTN-038",
    "the name {name!r} is used by another client of this VTN",
    hint="choose another ven.name or ask the VTN's operator",
)
NO_OBJECT_ID = error("VEN-VTN-039", "the VTN's object has no id", hint="report it to the VTN's operator")
DIFFERS = info("VEN-VTN-040", "{member}: the VTN has {held}, the registry has {wanted}")
NO_ATTRIBUTE = info("VEN-VTN-041", "nothing")
NO_VALUE = info("VEN-VTN-042", "no value")

# ---- notifications

PUSH_NOT_CHECKED = info("VEN-VTN-043", "polling (notifications not checked yet)")
POLLING = info("VEN-VTN-044", "polling ({reason})")
PUSHED = info("VEN-VTN-045", "receiving notifications by {kind}")
PUSH_NOT_OFFERED = info("VEN-VTN-046", "the VTN offers no push notifications")
PUSH_WEBHOOK_ONLY = info("VEN-VTN-047", "the VTN offers webhooks only, and vtn.webhook_url is not set")
PUSH_UNKNOWN = info("VEN-VTN-048", "the VTN offers no supported kind of notification")
PUSH_NEW_ID = info("VEN-VTN-049", "the id of this VEN has changed")
PUSH_ENDED = info("VEN-VTN-050", "ended")
PUSH_BUG = error(
    "VEN-VTN-051",
    "{url}: notifications by {kind}: unexpected {error}",
    hint="this is a bug; please report it",
)
PUSH_STATE = info("VEN-VTN-052", "{url}: {state}")
NO_EVENT_TOPICS = error(
    "VEN-VTN-053",
    "the VTN lists no MQTT topics for events",
    hint="ask the VTN's operator; events are polled until then",
)
MQTT_ENDED = error(
    "VEN-VTN-054", "the connection ended ({reason})", hint="nothing to do: events are polled until it is back"
)
MQTT_SILENT = error(
    "VEN-VTN-055",
    "the broker did not accept the connection within {seconds:g} s",
    hint="ask the VTN's operator; events are polled until then",
)
MQTT_NO_CONNECTION = error(
    "VEN-VTN-056",
    "cannot connect ({problem})",
    hint="check the network and ask the VTN's operator; events are polled until then",
)
NO_BROKER = error(
    "VEN-VTN-057",
    "the VTN names no valid broker address",
    hint="ask the VTN's operator; events are polled until then",
)
BROKER_SCHEME = error(
    "VEN-VTN-058",
    "unknown scheme {scheme!r} in the broker address: must be mqtts, ssl, tls, mqtt or tcp",
    hint="ask the VTN's operator; events are polled until then",
)
BROKER_PLAIN = error(
    "VEN-VTN-059",
    "the broker has no TLS, and vtn.allow_http is not set",
    hint="ask the VTN's operator for a broker with TLS; events are polled until then",
)
BROKER_CERTIFICATES = error(
    "VEN-VTN-060",
    "cannot load the certificates that the VTN gave for the broker",
    hint="ask the VTN's operator; events are polled until then",
)
MQTT_REFUSED = error(
    "VEN-VTN-061",
    "the broker refused the connection: {reason}",
    hint="ask the VTN's operator; events are polled until then",
)
MQTT_NO_TOPIC = error(
    "VEN-VTN-062",
    "the broker refused all subscriptions to event topics",
    hint="ask the VTN's operator; events are polled until then",
)
SOCKET_REFUSED = error(
    "VEN-VTN-063", "connection refused with status {status}", hint="events are polled until it is accepted"
)
SOCKET_TWICE = error(
    "VEN-VTN-064",
    "connection refused with status {status}: the VTN considers an earlier connection still open",
    hint="events are polled until it is accepted",
)
SOCKET_ENDED = error(
    "VEN-VTN-065", "the connection ended ({reason})", hint="events are polled until it is back"
)
SOCKET_NO_CONNECTION = error(
    "VEN-VTN-066", "cannot connect ({problem})", hint="check the network; events are polled until then"
)
SOCKET_CLOSED = error(
    "VEN-VTN-067", "the VTN closed the connection", hint="events are polled until it is back"
)
CALL_LOST = warning(
    "VEN-VTN-068",
    "webhook: cannot accept a connection: {problem}",
    hint="check the limit of open files (ulimit -n); the VTN is polled too",
)
CALL_BUG = error(
    "VEN-VTN-069", "webhook: unexpected {error} in a request", hint="this is a bug; please report it"
)
CANNOT_LISTEN = error("VEN-VTN-070", "cannot listen ({problem})", hint="choose another address or port")

# ---- discovery

MDNS = error(
    "VEN-VTN-071",
    "cannot search the local network ({problem})",
    hint="check that this machine has a network address, and the value of --interface",
)
OTHER_HOST = warning("VEN-VTN-072", "its local_url is on another host than {host}, which announces it")
NO_ADDRESS = warning("VEN-VTN-073", "it announces no usable local_url and no host and port")
NO_BASE_PATH = warning(
    "VEN-VTN-074", "it announces no base path; the address of a VTN usually ends with its version"
)
BAD_ANNOUNCED_URL = warning("VEN-VTN-075", "invalid VTN address {url!r}; ignored")
SETTING_NO_TLS = info("VEN-VTN-076", "allow_http = true  # the VTN offers no TLS")
SETTING_PROBE = info("VEN-VTN-077", 'version = "probe"  # the VTN does not announce its version')
LOGIN_REQUIRED = info("VEN-VTN-078", "the VTN requires a login: ask its operator")
LOGIN_MAYBE = info("VEN-VTN-079", "if the VTN requires a login")

# ---- what a message is about

CERTIFICATE_FILES = info("VEN-VTN-080", "certificate file {files}")
BROKER = info("VEN-VTN-081", "MQTT broker of {url}")
BROKER_AT = info("VEN-VTN-082", "MQTT broker {host} of {url}")
NO_REASON = info("VEN-VTN-083", "no reason given")
ANY_CHANNEL = info("VEN-VTN-084", "any channel")
WEB_PAGE = info("VEN-VTN-095", "a web page ({title}) in place of JSON")

# ---- answers of the wrong shape, and tokens that were given

BAD_TOKEN = error(
    "VEN-VTN-100",
    "the token contains spaces, control characters or characters outside ASCII",
    hint="check vtn.token, or ask the operator of the token service",
)
GIVEN_TOKEN_REJECTED = error(
    "VEN-VTN-101",
    "answered {status}{said}",
    hint="the VTN rejects the token of vtn.token, which may have expired: ask the VTN's operator for another "
    "one, then run `ven reload`",
)
TOKEN_AND_LOGIN = error(
    "VEN-VTN-102",
    "vtn.token and vtn.client_id are both set: a given token is used without a login",
    hint="remove vtn.token, or vtn.client_id and vtn.client_secret",
)
MEMBERS_SKIPPED = warning(
    "VEN-VTN-103", "{place} of {url} read in part: {reason}", hint="report it to the VTN's operator"
)

# ---- what a VTN does not let this client do

LOGIN_FOR_THIS = error(
    "VEN-VTN-104",
    "answered {status}{said}",
    hint="other requests succeed without a login; ask the VTN's operator for an account, then set "
    "vtn.client_id and vtn.client_secret, or vtn.token",
)
MAY_NOT_REGISTER = error(
    "VEN-VTN-105",
    "this client may not register the VEN {name!r}: {said}",
    hint="ask the VTN's operator to create a VEN with the name in ven.name for this client, or to let it "
    "register (scope write_vens)",
)
MAY_NOT_REGISTER_BUT = error(
    "VEN-VTN-106",
    "this client may not register the VEN {name!r}: {said}; the VTN lists one VEN, {other!r}",
    hint="if {other!r} is this site's VEN, set ven.name to it; otherwise ask the operator to create one",
)
ADOPTED_VEN = info(
    "VEN-VTN-107", "this client may not register the VEN {name!r}; using the VEN {other!r} of this client"
)
NOT_RENAMED = info(
    "VEN-VTN-108", "the VEN {other!r} of this client keeps its name: the VTN does not rename it"
)
NOT_REGISTERED = error(
    "VEN-VTN-109", "not registered, programs and events are followed all the same: {reason}"
)
REGISTERED_AGAIN = info("VEN-VTN-110", "registered as VEN {name!r}")
PROGRAMS_UNREADABLE = error(
    "VEN-VTN-111",
    "programs cannot be read, events are followed all the same: {reason}",
)
PROGRAMS_READABLE = info("VEN-VTN-112", "programs can be read again")
FOLLOWED_AGAIN = info("VEN-VTN-113", "programs and events are followed again")
MORE_OBJECTS = info("VEN-VTN-114", " and {count} more")
PUSH_UNVERIFIED = info("VEN-VTN-140", "the subscription is being checked")
# Limits

RESPONSE_TOO_LARGE = error(
    "VEN-VTN-150",
    "the response has more than {most:g} MB after decompression and was not read",
    hint="inform the operator of the VTN, or set vtn.response_mb",
)
ENCODING = error(
    "VEN-VTN-151",
    "the response is compressed as {name!r}, which was not asked for",
    hint="inform the operator of the VTN",
)
LISTING_PAGES = info("VEN-VTN-152", "{most} pages (vtn.listing_pages)")
LISTING_ITEMS = info("VEN-VTN-153", "{most} objects (vtn.listing_items)")
LISTING_MB = info("VEN-VTN-154", "{most:g} MB (vtn.listing_mb)")
LISTING_SECONDS = info("VEN-VTN-155", "{most:g} s (vtn.listing_s)")
LISTING_LIMITED = warning(
    "VEN-VTN-156",
    "list of {place} at {url}: more than {limit}; the rest is not read, and no missing object is taken as "
    "deleted",
    hint="inform the operator of the VTN, or raise the limit",
)
LISTING_WHOLE = info("VEN-VTN-157", "list of {place} at {url}: within the limits again")
CALLS_CROWDED = warning(
    "VEN-VTN-158",
    "webhook: more than {most} connections at the same time; the oldest ones are closed",
    hint="let only the VTN reach the address of vtn.webhook_listen",
)
MQTT_TOO_LARGE = info("VEN-VTN-159", "a message of more than {most} bytes")
NETWORK_LOGIN = error(
    "VEN-VTN-240",
    "answered {status}{said}: the network asks for a login (captive portal)",
    hint="log in to the network; requests are sent again",
)
NOT_JSON = info("VEN-VTN-241", "no JSON")
NAME_TAKEN_BUT = error(
    "VEN-VTN-340",
    "the VTN creates no VEN {name!r} (status {status}); it lists one VEN, {other!r}",
    hint="if {other!r} is this site's VEN, set ven.name to it; otherwise choose another ven.name",
)
