"""What a store of readings counts, for `ven status`."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from venclient.model.reading import Reject


@dataclass(frozen=True)
class StoreStats:
    """What the store did since it was opened; `file_bytes` is the file with its log, now."""

    readings: int
    waiting: int
    series: int
    commits: int
    failed_commits: int
    refused: int
    dropped: int
    pruned: int
    file_bytes: int
    last_error: str | None
    last_refused: tuple[Reject, ...]


@dataclass
class Counts:
    """The same while they are counted."""

    readings: int = 0
    commits: int = 0
    failed_commits: int = 0
    refused: int = 0
    dropped: int = 0
    pruned: int = 0
    last_refused: deque[Reject] = field(default_factory=lambda: deque(maxlen=10))
