"""Messages to the author of a program that calls venclient wrongly, and parts of log lines (VEN-LIB)."""

from __future__ import annotations

from venclient.messages import error, info

NAIVE_START = error("VEN-LIB-001", "the start of a ManualClock must have a time zone")
CHUNK_SIZE = error("VEN-LIB-002", "invalid chunk size {size}: must be 1 or more")

# Lines about many resources

LEFT_OUT = info("VEN-LIB-280", " ({count:line|lines} like this one left out before it)")
