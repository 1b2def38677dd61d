"""Messages of `ven run`, `ven status` and `ven config` (VEN-CLS)."""

from __future__ import annotations

from venclient.messages import error, info

NOT_RUNNING = error(
    "VEN-CLS-001", "no gateway is running with {config}; start one: ven run --config {config}"
)
APPLIED = info("VEN-CLS-002", "applied: {keys}")
NOTHING_APPLIED = info("VEN-CLS-003", "the registry is read again; no setting changed that can be applied")
NOT_REREAD = error(
    "VEN-CLS-004",
    "nothing was changed: a running gateway keeps the settings that it has",
    hint="fix {config}, then run `ven reload` again",
)
