"""The table of settings: names, kinds, defaults and help. A new setting is a row here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Kind = Literal[
    "text", "path", "place", "url", "seconds", "days", "number", "count", "flag", "texts", "secret"
]

EXPECTED: Mapping[Kind, str] = {
    "text": 'a text, for instance "Herning"',
    "path": "a path, relative to the folder of ven.toml",
    "place": "a path, relative to the folder of ven.toml, or a postgresql:// URL",
    "url": "an address that starts with https:// (or http:// with vtn.allow_http = true)",
    "seconds": "seconds, a number above 0",
    "days": "days, a number above 0",
    "number": "a number above 0",
    "count": "a whole number above 0",
    "flag": "true or false",
    "texts": 'a list of texts, for instance ["day-ahead"]',
    "secret": '"env:NAME", "file:PATH" or "credential:NAME"',
}


class Setting(NamedTuple):
    """One row of the settings table; `default` None means not set."""

    key: str
    kind: Kind
    default: Any
    help: str
    required: bool = False


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "ven.name", "text", None, "Name of this VEN at the VTN (venName and clientName), unique there.", True
    ),
    Setting(
        "ven.resources",
        "text",
        None,
        "Which resources to serve: the registry's `ven` value; all when not set.",
    ),
    Setting("registry.database", "place", "resources.db", "The resource database."),
    Setting(
        "registry.key_file",
        "path",
        None,
        "The key that seals passwords; beside the database, as `<database>.key`, when not set.",
    ),
    Setting("readings.path", "path", "var/readings.db", "Where readings are kept."),
    Setting(
        "readings.commit_s",
        "seconds",
        10.0,
        "How long polled readings may wait for their commit to the card.",
    ),
    Setting("readings.retention_days", "days", 400.0, "How long single readings are kept."),
    Setting(
        "readings.max_mb",
        "count",
        None,
        "MiB that the readings file may hold: the oldest single readings go first; no limit when not set.",
    ),
    Setting(
        "readings.store",
        "text",
        "sqlite",
        "Where reports take history from: sqlite, or influxdb where it has it.",
    ),
    Setting(
        "files.roots",
        "texts",
        (),
        "Folders that meter files of new connections may be in, beside the folder of the registry.",
    ),
    Setting("influx.url", "url", None, "Address of an InfluxDB that gets all readings; none when not set."),
    Setting("influx.version", "count", 2, "Version of that InfluxDB: 1, 2 or 3."),
    Setting("influx.bucket", "text", "meter_data", "Bucket; the database of versions 1 and 3."),
    Setting("influx.org", "text", None, "Organisation, for version 2."),
    Setting("influx.token", "secret", None, "Where the token is kept, for versions 2 and 3."),
    Setting("influx.username", "text", None, "User name, for version 1."),
    Setting("influx.password", "secret", None, "Where the password is kept, for version 1."),
    Setting(
        "influx.ca_file", "path", None, "Certificate authority of InfluxDB, when it is not a public one."
    ),
    Setting(
        "influx.language", "text", "influxql", "How history is asked for: influxql, or flux (version 2)."
    ),
    Setting("influx.batch", "count", 5000, "How many lines one request to InfluxDB has at most."),
    Setting("influx.period_s", "seconds", 10.0, "How often new readings are sent to InfluxDB."),
    Setting("influx.timeout_s", "seconds", 10.0, "How long one request to InfluxDB may take."),
    Setting(
        "clock.trust",
        "text",
        "auto",
        'Whether readings wait while the clock is not known to be right ("auto"), or never ("always").',
    ),
    Setting("vtn.url", "url", None, "Base address of the VTN, with its version path.", True),
    Setting(
        "vtn.client_id", "text", None, "Client id at the VTN's token service; not set: no token is asked for."
    ),
    Setting("vtn.client_secret", "secret", None, "Where the client secret is kept; never the secret itself."),
    Setting(
        "vtn.token",
        "secret",
        None,
        "Where a bearer token is kept that the VTN's operator gave; used without client id, never renewed.",
    ),
    Setting("vtn.token_url", "url", None, "Token service, when the VTN does not announce it."),
    Setting("vtn.allow_http", "flag", False, "Allow a VTN without TLS: for a test on one machine."),
    Setting(
        "vtn.version", "text", "probe", 'OpenADR version that the VTN speaks: "3.1", "3.0.1", or "probe".'
    ),
    Setting("vtn.scope", "text", None, "Scopes to ask the token service for; what it grants when not set."),
    Setting("vtn.ca_file", "path", None, "Certificate authority of the VTN, when it is not a public one."),
    Setting("vtn.verify", "flag", True, "Verify the VTN's certificate; false accepts any, for a test only."),
    Setting(
        "vtn.cert_file",
        "path",
        None,
        "Our own certificate (PEM) where the VTN asks for one, or credential:NAME.",
    ),
    Setting("vtn.key_file", "path", None, "Its key (PEM, without password), or credential:NAME."),
    Setting(
        "vtn.location_order",
        "text",
        "lon_lat",
        "How the VTN reads LOCATION, which the standard leaves open: lon_lat or lat_lon.",
    ),
    Setting("vtn.programs", "texts", (), "Names of the programs to follow; all visible ones when empty."),
    Setting("vtn.poll_s", "seconds", 60.0, "How often events are fetched."),
    Setting(
        "vtn.push",
        "text",
        "auto",
        'Whether to use push notifications where the VTN offers them ("auto"), or is only polled ("off").',
    ),
    Setting(
        "vtn.push_poll_s", "seconds", 600.0, "How often events are fetched while push notifications work."
    ),
    Setting("vtn.webhook_url", "url", None, "Public https address at which the VTN may call this gateway."),
    Setting("vtn.webhook_listen", "text", "0.0.0.0:8443", "Where the receiver of these calls listens."),
    Setting(
        "vtn.webhook_cert_file", "path", None, "Its certificate (PEM); not set: something before it ends TLS."
    ),
    Setting("vtn.webhook_key_file", "path", None, "Its key (PEM)."),
    Setting("vtn.timeout_s", "seconds", 10.0, "How long one request to the VTN may take."),
    Setting(
        "vtn.response_mb", "count", 32, "How many MB one response of the VTN may have after decompression."
    ),
    Setting("vtn.listing_mb", "count", 128, "How many MB all pages of one listing may have."),
    Setting("vtn.listing_pages", "count", 2_000, "How many pages of one listing are read."),
    Setting("vtn.listing_items", "count", 50_000, "How many objects of one listing are read."),
    Setting("vtn.listing_s", "seconds", 600.0, "How long one listing may take, all its pages together."),
    Setting("reporting.state", "path", "var/state.db", "Events as last known, and the outbox of reports."),
    Setting(
        "reporting.settle_s", "seconds", 2.0, "How long after an interval's end late samples are waited for."
    ),
    Setting(
        "reporting.grace_s",
        "seconds",
        5.0,
        "How long after an interval's end a report waits for readings that complete it, where they are "
        "expected by then; never longer than the interval.",
    ),
    Setting(
        "reporting.jitter_s",
        "seconds",
        None,
        "Within how much time a fleet's reports spread, each gateway at its own moment; none if not set.",
    ),
    Setting(
        "reporting.order",
        "text",
        "oldest-first",
        "What goes first after an outage: oldest-first or newest-first.",
    ),
    Setting(
        "reporting.rate_per_s",
        "number",
        None,
        "How many reports may be sent a second; as many as the VTN takes when not set.",
    ),
    Setting(
        "reporting.most_values",
        "count",
        50_000,
        "Maximum number of values in one report; more are sent in parts.",
    ),
    Setting(
        "reporting.give_up_days", "days", 30.0, "Days before an undelivered report is dropped (and logged)."
    ),
    Setting("reporting.keep_days", "days", 30.0, "How long completed reports stay in the list."),
    Setting(
        "reporting.coverage_days", "days", 1830.0, "How long the daily coverage of each resource is kept."
    ),
    Setting(
        "reporting.sent_days",
        "days",
        1830.0,
        "How long the bodies and answers of sent reports are kept, at most as long as the daily coverage.",
    ),
    Setting(
        "reporting.sent_mb", "count", 256, "How many MB they may take; the oldest are deleted beyond it."
    ),
    Setting(
        "reporting.sent_day_mb",
        "count",
        64,
        "How many MB of them are stored on one day (UTC); beyond it attempts are stored without bodies.",
    ),
    Setting(
        "reporting.correct_for_s",
        "seconds",
        604_800.0,
        "How long after it was sent a report is corrected by readings that came late (7 days: data hubs "
        "complete their days within a week).",
    ),
    Setting(
        "reporting.allow_negative",
        "flag",
        False,
        "Report net feed-in as negative USAGE and DEMAND; some VTNs refuse values below 0.",
    ),
    Setting(
        "reporting.sub_interval_s",
        "seconds",
        900.0,
        "How long parts of an event's intervals are, where it asks for them and the resource does not say.",
    ),
    Setting("reporting.adhoc_s", "seconds", 900.0, "How often reports are made that the VTN leaves to us."),
    Setting(
        "reporting.time_zone",
        "text",
        None,
        "Zone of the days that baselines and forecasts are made of, such as Europe/Copenhagen; the "
        "machine's own when not set.",
    ),
    Setting(
        "reporting.window_reading",
        "text",
        "automatic",
        "What a report descriptor's startInterval is: generation-point (where a report is made), "
        "first-covered (the first it tells), or automatic.",
    ),
    Setting(
        "reporting.all_intervals",
        "text",
        "since-last",
        "What numIntervals -1 tells each time in repeated reports: since-last, or all.",
    ),
    Setting("reporting.forecast_at", "text", "start", "When in its window a forecast is due: start or end."),
    Setting(
        "reporting.max_gap_s",
        "seconds",
        None,
        "Longest gap between readings that is bridged; by spacing when not set.",
    ),
    Setting("status.socket", "path", "var/ven.sock", "Where the running gateway answers `ven status`."),
    Setting("log.level", "text", "INFO", "DEBUG, INFO, WARNING or ERROR."),
)

TABLE: Mapping[str, Setting] = {setting.key: setting for setting in SETTINGS}

#: Names that once were, and what to write instead.
OBSOLETE: Mapping[str, str] = {}
