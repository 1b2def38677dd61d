"""Messages about secrets and the key that seals logins (VEN-SEC)."""

from __future__ import annotations

from venclient.messages import error

LOCKED = error("VEN-SEC-001", "(sealed with the key {key}, which is missing)")
