"""Messages of the running gateway: its start, its connections and its registry."""

from __future__ import annotations

from venclient.messages import error, info, warning

NO_SOURCE = warning(
    "VEN-GWY-001",
    "{count:resource has|resources have} no complete source and cannot be read: {names}{more}",
    hint="`ven validate` names what is missing; set it with `ven resources set`",
)
NOT_OPENED = error(
    "VEN-GWY-002",
    "{count:connection|connections} cannot be used: {names}{more}; the first reason: {reason}",
    hint="`ven status` has the reason of each",
)
MORE = info("VEN-GWY-003", " and {count} more")
MISSING = warning("VEN-GWY-004", "{name}: the connection lacks {missing}")
REGISTRY_AWAY = warning(
    "VEN-GWY-010", "the registry cannot be reached, the gateway waits for it and tries again: {reason}"
)
REGISTRY_BACK = info("VEN-GWY-011", "the registry answers after {attempts:attempt|attempts}")
