"""Messages of `ven events` (VEN-CLE-...)."""

from __future__ import annotations

from venclient.messages import info

CANCELLED = info("VEN-CLE-001", "cancelled")
NOTHING_REQUESTED = info("VEN-CLE-002", "no reports requested")
UNSUPPORTED = info("VEN-CLE-003", "not reported: {problems}")
UNMATCHED = info("VEN-CLE-004", "not reported: no resource of this VEN matches its targets {targets}")
GRANTS_AWAITED = info(
    "VEN-CLE-005", "waiting: no resource matches its targets {targets} yet; granted targets are read again"
)
REQUEST = info("VEN-CLE-006", "reports on request, every {seconds:g} s")
REQUEST_CHANGES = info("VEN-CLE-007", "reports on request, at each change of state")
AT_WILL = info("VEN-CLE-008", "reports every {seconds:g} s")
AT_CHANGES = info("VEN-CLE-009", "reports at each change of state")
ON_INTERVALS = info("VEN-CLE-010", "reports on its intervals")
OVER = info("VEN-CLE-011", "over")
SHOWN = info("VEN-CLE-012", "{count:event|events}")
