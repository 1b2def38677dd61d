"""Messages of the running gateway (VEN-GWY): its clock, status socket, log, connections and registry."""

from __future__ import annotations

from venclient.messages import error, info, warning

# The clock

CLOCK_UNKNOWN = warning("VEN-GWY-001", "the time is not known yet")
CLOCK_SETTLING = warning(
    "VEN-GWY-002", "only a battery clock says what time it is: waiting for the VTN to confirm it"
)
CLOCK_SET_SINCE_START = warning(
    "VEN-GWY-003", "the clock was set {way} by {seconds:.0f} s since the last start"
)
CLOCK_SET = warning("VEN-GWY-004", "the clock was set {way} by {seconds:.0f} s")
CLOCK_LONG_AGO = warning("VEN-GWY-005", "the clock says {time} UTC, which is long ago")
CLOCK_BEFORE_NEWEST = warning(
    "VEN-GWY-006", "the clock says {time} UTC, which is before the newest stored reading"
)
CLOCK_NO_BATTERY = warning(
    "VEN-GWY-007", "the machine has no battery clock, and neither NTP nor the VTN has given the time yet"
)
CLOCK_APART = warning("VEN-GWY-008", "the clock is {seconds:.0f} s {side} the VTN's")

# The status socket

ALREADY_RUNNING = error(
    "VEN-GWY-010",
    "another gateway is running with the same files",
    hint="stop it first, or set other paths for this one",
)
STATUS_NOT_ASKED = error("VEN-GWY-011", "the status socket cannot be opened ({problem})")
STATUS_NO_ANSWER = error("VEN-GWY-012", "the gateway does not answer ({problem})", hint="look at its log")
STOPPED = info("VEN-GWY-013", "stopped")

# Connections and the registry at the start

NO_SOURCE = warning(
    "VEN-GWY-020",
    "{count:resource has|resources have} no complete source and cannot be read: {names}{more}",
    hint="`ven resources show ID` shows what is missing; set it with `ven resources set`",
)
NOT_OPENED = error(
    "VEN-GWY-021",
    "{count:connection|connections} cannot be used: {names}{more}; the first reason: {reason}",
    hint="`ven status` has the reason of each",
)
MORE = info("VEN-GWY-022", " and {count} more")
MISSING = warning("VEN-GWY-023", "{name}: the connection lacks {missing}")
REGISTRY_AWAY = warning(
    "VEN-GWY-024", "the registry cannot be reached, the gateway waits for it and tries again: {reason}"
)
REGISTRY_BACK = info("VEN-GWY-025", "the registry answers after {attempts:attempt|attempts}")
CONNECTOR_BUG = error(
    "VEN-GWY-026", "{name}: unexpected {kind} in its connector", hint="this is a bug; please report it"
)
SERVING = info(
    "VEN-GWY-027",
    "serving {count:resource|resources} as VEN {ven!r}; {refused:connection|connections} cannot be used",
)
NOTHING_SERVED = warning("VEN-GWY-028", "{database}: no enabled resource{of}: nothing is read{vtn}")
OF_VEN = info("VEN-GWY-029", " with ven = {ven!r}")
FOR_VTN = info("VEN-GWY-030", " for VTN {vtn}")
NOT_STARTED = info("VEN-GWY-031", "not started")
NO_DATABASE = error("VEN-GWY-032", "no such database", hint="make one with `ven import FILE.csv --db PATH`")

# Changes while the gateway runs

NOT_FOLLOWED = error("VEN-GWY-040", "changes of the registry are not followed: {reason}")
FOLLOWED = info(
    "VEN-GWY-041",
    "registry version {version}: {added:resource|resources} added, {removed} removed or disabled, "
    "{changed} changed",
)
RELOADED = info("VEN-GWY-042", "settings read again: {applied}")
NOTHING_CHANGED = info("VEN-GWY-043", "nothing changed")
APPLIED = info("VEN-GWY-044", "applied {keys}")
NEEDS_RESTART = warning(
    "VEN-GWY-045",
    "these settings were changed and need a restart of the gateway: {keys}",
    hint="restart it when that suits, for instance `systemctl restart venclient`",
)
NOT_RELOADED = error(
    "VEN-GWY-046",
    "the settings were changed, but cannot be used, and the gateway goes on with those it has: {problem}",
    hint="fix ven.toml, then run `ven reload`",
)
NOT_REREADABLE = error("VEN-GWY-047", "this gateway was started without a settings file to read again")
UNKNOWN_REQUEST = error(
    "VEN-GWY-048",
    "the gateway does not know the request {request!r}",
    hint="use the same version of venclient for both",
)

# Failures that go on while the gateway runs, and what they mean

CLOCK_WAITS = error(
    "VEN-GWY-050",
    "clock not synchronised: {doubt}; readings and reports wait",
    hint="let NTP set it (`timedatectl set-ntp true`), or set clock.trust",
)
CLOCK_TOO_MANY = error(
    "VEN-GWY-051",
    "clock not synchronised: more readings wait than memory holds; the oldest are dropped",
    hint="let NTP set it (`timedatectl set-ntp true`), or set clock.trust",
)
CLOCKS_APART = error(
    "VEN-GWY-052",
    "our clock is {seconds:.0f} s {way} that of {vtn}",
    hint="check NTP on this machine (timedatectl); if it is synchronised, inform the operator of the VTN",
)
CLOCKS_AGREE = info("VEN-GWY-053", "our clock agrees again with that of {vtn}")
TIMELESS = warning(
    "VEN-GWY-054", "taken while the time was not known, and the machine was restarted before it was"
)
TIMELESS_ASIDE = warning(
    "VEN-GWY-055",
    "{count:reading was|readings were} taken while the time was not known, and the machine was restarted "
    "before it was: quarantined",
    hint="`ven readings aside` lists them",
)
STILL_HELD = warning(
    "VEN-GWY-056", "stopped before the time was known: {count:reading waits|readings wait} for it"
)
HELD_STORED = info("VEN-GWY-057", "stored {count:reading|readings} held until the clock was trusted")
STATUS_UNTOLD = error("VEN-GWY-058", "the status of reports cannot be stored in the registry: {reason}")
THE_VTN = info("VEN-GWY-059", "the VTN")

# One VTN

UNSERVED = error("VEN-GWY-060", "the conversation with this VTN failed and is started again: {reason}")
UNEXPECTED = error("VEN-GWY-061", "unexpected {kind}", hint="this is a bug; please report it")
REPORTS_WAIT = error("VEN-GWY-062", "reports wait: {reason}")
UNCORRECTED = error("VEN-GWY-063", "late readings do not correct reports: {reason}")
EVENTS_UNKEPT = error("VEN-GWY-064", "events cannot be stored: {reason}")
VTN_REFUSES = error("VEN-GWY-065", "VTN: {reason}; readings go on, reports wait")
UNREGISTERED = error("VEN-GWY-066", "resources are not registered: {reason}")
RESOURCE_REFUSED = error("VEN-GWY-067", "resource {name} is not registered: {reason}")
UNTARGETED = warning("VEN-GWY-068", "events are listed without targets: {reason}")
NAMELESS = warning(
    "VEN-GWY-069",
    "{count:event has|events have} no id and are left out; until they are gone no event is taken as deleted",
    hint="inform the operator of the VTN",
)
FOR_OTHERS = warning(
    "VEN-GWY-070", "left out, as their targets name neither this VEN nor its resources: {events}"
)
FOR_OTHERS_ONE = info("VEN-GWY-071", "{event} for {targets}")
FOR_OTHERS_PROGRAM = info("VEN-GWY-072", "those of its program")
VEN_WITHOUT_ID = error(
    "VEN-GWY-073", "the VTN stored our VEN without an id", hint="inform the operator of the VTN"
)
RESOURCE_WITHOUT_ID = error(
    "VEN-GWY-074", "the VTN lists it without an id", hint="inform the operator of the VTN"
)
REGISTERING = info("VEN-GWY-075", "registering resources: {done} of {of}")
EVENTS_CHANGED = info("VEN-GWY-076", "events: {created} new, {modified} changed, {gone} gone")
UNKNOWN_VTN = error(
    "VEN-GWY-077",
    "unknown VTN",
    hint="omit --vtn for [vtn], or name another VTN of the settings: {known}",
)
NO_FURTHER = info("VEN-GWY-078", "none")
LISTEN_ADDRESS = error(
    "VEN-GWY-079",
    "invalid address to listen on {value!r}: expected host and port",
    hint='write host and port, as in "0.0.0.0:8443"',
)
POLLING = info("VEN-GWY-080", "polling (vtn.push is off)")


# The status view

MORE_METERS = info("VEN-GWY-085", "and {count:more meter|more meters}: `ven status --json` lists all")
MORE_WISHES = info(
    "VEN-GWY-086", "and {count:more kind|more kinds} of reports are not requested: `ven doctor` lists all"
)
CLOCK_COMPARED = info(
    "VEN-GWY-087", "compared with the VTN's: {count:reading waits|readings wait} for some seconds"
)
CLOCK_HOLDING = warning("VEN-GWY-088", "clock not synchronised: holding {count:reading|readings}")
SERVING_ALL = info(
    "VEN-GWY-089", "serving {count:resource|resources} as VEN {ven!r}; all connections are valid"
)

# A registry that is lost while the gateway runs

REGISTRY_EMPTY = error(
    "VEN-GWY-090",
    "the file of the registry is empty; it was cut off, or a copy was not finished",
    hint="put a copy of it back (`ven db restore`)",
)
REGISTRY_GONE = error(
    "VEN-GWY-091",
    "the file of the registry is missing; the gateway goes on with what it read last",
    hint="put it back, or restore a copy (`ven db restore`)",
)
GRANTS_DROPPED = warning(
    "VEN-GWY-140",
    "the VTN dropped the targets {targets} of resource {name} when we updated it",
    hint="ask the operator of the VTN to grant them again",
)
UNVERIFIED = info("VEN-GWY-141", "registration not verified")

# A blocked event loop

LOOP_BLOCKED = error(
    "VEN-GWY-150",
    "nothing else has run for {seconds:.0f} s: {step} takes too long",
    hint="report this line to the maintainers of venclient",
)
LOOP_RUNS = warning("VEN-GWY-151", "all else runs again after {seconds:.0f} s ({step})")
LOOP_STEP = info("VEN-GWY-152", "step {task} at {place}")
NO_TASK = info("VEN-GWY-153", "without a task")

# Values that cannot be used

UNUSABLE_VALUES = warning(
    "VEN-GWY-220",
    "{name}: values arrive, but none could be used for {age}: they or their times are impossible",
    hint="the notes of `ven status` and the log say what is wrong with them",
)

# How long something has been so

FOR_SO_LONG = info("VEN-GWY-280", "for {age}")

# Many resources with one cause

ROWS_LEFT_OUT = error(
    "VEN-GWY-281",
    "{count:row|rows} of the registry cannot be read; the first: {first}",
    hint="`ven db check` lists all problems",
)
RESOURCES_REFUSED = error(
    "VEN-GWY-282", "{count:resource|resources} not registered ({names}{more}); the first: {reason}"
)
UNTELLABLE_MORE = info("VEN-GWY-283", " ({count:more resource has|more resources have} the same problem)")
GRANTS_DROPPED_MANY = warning(
    "VEN-GWY-284",
    "the VTN dropped targets of {count:resource|resources} when we updated them ({names}{more}); those of "
    "the first: {targets}",
    hint="ask the operator of the VTN to grant them again",
)
