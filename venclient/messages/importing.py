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
