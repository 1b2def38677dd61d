"""Messages of MQTT: topics, options, and why a broker or its messages are missing."""

from __future__ import annotations

from venclient.messages import error, info, warning

# Topics and options

TOPIC_MISSING = error("VEN-MQT-001", "topic: missing; expected a topic such as site/meter/power")
TOPIC_LENGTH = error("VEN-MQT-002", "topic: contains a NUL character or is longer than {limit} bytes")
TOPIC_WILDCARD = error(
    "VEN-MQT-003", "topic: {topic} has a wildcard inside a level: + and # stand alone, # only at the end"
)
TOPIC_SHARED = error(
    "VEN-MQT-004", "topic: {topic} is a shared subscription, which would miss messages: use a plain topic"
)
TOPIC_PUBLISH = error(
    "VEN-MQT-005", "invalid topic {topic} for publishing: it is empty, too long or contains a wildcard"
)
MATCH_INVALID = error(
    "VEN-MQT-006", "invalid match {match}: use name, id, meter_point_id or a text with {known}"
)
LEVEL_ALONE = error("VEN-MQT-007", "options.level: requires match")
MATCH_NO_PLUS = error("VEN-MQT-008", "options.match: the topic {topic} has no + to match with")
LEVEL_NO_PLUS = error("VEN-MQT-009", "options.level: level {level} of the topic {topic} is not a +")
MATCH_LEVEL = error(
    "VEN-MQT-010",
    "options.match: {text} cannot be a level of a topic: it must not be empty or contain / + #",
)
HOST = error("VEN-MQT-011", "host: invalid name or address {host}")
PASSWORD_ALONE = error("VEN-MQT-012", "password: requires a username")
QOS_2 = error(
    "VEN-MQT-013",
    "qos 2 can lose messages: the broker forgets a message before its reading is stored; use 1, which stores "
    "each once if the payload has a time",
)
TLS_ONLY = error("VEN-MQT-014", "{names}: for TLS only; set tls to true")
KEY_ALONE = error("VEN-MQT-015", "key_file requires cert_file")
CA_FILE = error("VEN-MQT-016", "options.ca_file: {path} has no usable certificate ({error})")
CERT_FILE = error("VEN-MQT-017", "options.cert_file: {path} and its key cannot be used ({error})")
BIRTH_SAME = error("VEN-MQT-018", "online and offline are both {text}: use two different texts")
BIRTH_TWICE = error(
    "VEN-MQT-019",
    "{broker} already has the birth topic {topic} of another resource: a gateway has one birth per broker",
)

# The broker

NO_ANSWER = error("VEN-MQT-030", "no answer within {limit_s:g} s", hint="check host and port")
REFUSED = error(
    "VEN-MQT-031", "the broker refuses the connection ({reason})", hint="see the log of the broker"
)
REFUSED_VERSION = error(
    "VEN-MQT-032",
    "the broker refuses the connection ({reason})",
    hint="set protocol to the version that the broker supports",
)
REFUSED_CLIENT_ID = error(
    "VEN-MQT-033",
    "the broker refuses the connection ({reason})",
    hint="the broker does not accept this client id: set another one for the gateway",
)
REFUSED_PASSWORD = error(
    "VEN-MQT-034",
    "the broker refuses the connection ({reason})",
    hint="check username and password of the connection",
)
REFUSED_LOGIN = error(
    "VEN-MQT-035",
    "the broker refuses the connection ({reason})",
    hint="check username and password, and that the broker allows this login",
)
REFUSED_BUSY = error(
    "VEN-MQT-036",
    "the broker refuses the connection ({reason})",
    hint="the broker is busy or shutting down; the gateway retries",
)
LOST = error(
    "VEN-MQT-037",
    "lost the connection to the broker{reason}",
    hint="the gateway retries; check that the broker runs and that no other program uses the same client id",
)
LOST_LOGIN = error(
    "VEN-MQT-038",
    "lost the connection to the broker{reason}",
    hint="the broker no longer allows this login, or not this topic: check password and access list",
)
LOST_SHUTDOWN = error(
    "VEN-MQT-039",
    "lost the connection to the broker{reason}",
    hint="the broker is shutting down; the gateway retries",
)
LOST_CLIENT_ID = error(
    "VEN-MQT-040",
    "lost the connection to the broker{reason}",
    hint="another program uses the same client id: give each gateway a separate name",
)
LOST_QUOTA = error(
    "VEN-MQT-041",
    "lost the connection to the broker{reason}",
    hint="the quota of this login at the broker is used up",
)
LOST_ADMIN = error(
    "VEN-MQT-042",
    "lost the connection to the broker{reason}",
    hint="an administrator closed the connection",
)
UNANSWERED = error(
    "VEN-MQT-043",
    "the connection was closed before the broker accepted it{reason}",
    hint="check port, tls and protocol: another service may listen there",
)
TLS_FAILED = error(
    "VEN-MQT-045",
    "TLS failed ({reason})",
    hint="check port and tls, and that the broker accepts our certificate",
)
UNREACHABLE = error(
    "VEN-MQT-046",
    "cannot connect to the broker ({reason})",
    hint="check host and port, and that the broker runs",
)
TOPIC_REFUSED = error(
    "VEN-MQT-047",
    "the broker refuses the topic {topic} ({reason})",
    hint="allow this login to read the topic in the access list of the broker, or correct the topic",
)
NOTHING_SAID = info("VEN-MQT-048", "no answer")

# Messages

SILENT = error(
    "VEN-MQT-060",
    "no message received on {topic} for {limit_s:g} s",
    hint="check that the device is on and sends to this topic, and that the access list of the broker lets "
    "this login read it: a broker may accept a topic that it never delivers",
)
SILENT_OTHERS = error(
    "VEN-MQT-061",
    "no message received on {topic} for {limit_s:g} s",
    hint="messages of others arrive on this topic ({others}), but not of {wanted}: compare match with them",
)
OVERSIZE = error("VEN-MQT-062", "the payload has {size} bytes: at most {limit} are read")
DROPPED = warning(
    "VEN-MQT-063", "dropped {count:message|messages} of QoS 0: {limit} were already waiting to be stored"
)
BAD_PACKET = error(
    "VEN-MQT-064", "{name}: a packet cannot be decoded; connecting again (logged once for each kind)"
)
SILENT_KEYS = error(
    "VEN-MQT-065",
    "no value received on {topic} for {limit_s:g} s: messages arrive without {wanted}",
    hint="compare the paths in values with the keys that arrive: {keys}",
)
SILENT_PAYLOAD = error(
    "VEN-MQT-066",
    "no value received on {topic} for {limit_s:g} s: messages arrive with payloads such as {payload}",
    hint="compare values with what the device sends",
)
NO_VALUE_KEYS = error(
    "VEN-MQT-067",
    "no value received within {limit_s:g} s, but JSON on {topic} with the keys {keys}",
    hint="describe the payload in options.values, for example {example}; check key and unit with the device",
)
NO_NUMBER = error(
    "VEN-MQT-068",
    "no value received within {limit_s:g} s, but JSON on {topic} with the keys {keys}, none of them a number",
    hint="check the topic: this message has no measurement, or only states (set boolean to true for these)",
)

# TLS

UNANSWERED_TLS = error(
    "VEN-MQT-280",
    "the connection was closed before the broker accepted it{reason}",
    hint="check port, tls and protocol; the broker may require a client certificate: set cert_file and "
    "key_file in the options of the connection",
)
