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
CONNECTION_NEEDS = error("VEN-IMP-005", "a {type} connection needs a {need}")
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
