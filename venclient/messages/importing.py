"""Messages about importing CSV files (VEN-IMP)."""

from __future__ import annotations

from venclient.messages import warning

CONFLICTS = warning(
    "VEN-IMP-001",
    "{count:cell|cells} changed both in the file and in the registry: the stored values stay",
    hint="use --overwrite to take the file's",
)
