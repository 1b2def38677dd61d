"""Messages of `ven run`, `ven status` and `ven config` (VEN-CLS)."""

from __future__ import annotations

from venclient.messages import error

NOT_RUNNING = error(
    "VEN-CLS-001", "no gateway is running with {config}; start one: ven run --config {config}"
)
