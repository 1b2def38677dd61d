"""What a store of readings counts, for `ven status`."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from venclient.model.reading import Reject


@dataclass(frozen=True)
class StoreStats:
    """What the store did since it was opened; `file_bytes` is the file with its log, now.

    `readings` counts the rows that were added to the file, `rows` does so by resource: what came twice and is
    stored once counts once.
    """

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
    #: Readings that were moved into compressed history.
    compressed: int = 0
    #: Problems that the operator has to know: a damaged file renamed, readings deleted for room.
    problems: tuple[str, ...] = ()
    rows: Mapping[str, int] = field(default_factory=dict)


@dataclass
class Counts:
    """The same while they are counted."""

    readings: int = 0
    commits: int = 0
    failed_commits: int = 0
    refused: int = 0
    dropped: int = 0
    pruned: int = 0
    compressed: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    last_refused: deque[Reject] = field(default_factory=lambda: deque(maxlen=10))


def bytes_written() -> int | None:
    """Return the bytes that this thread has handed to the block layer; None where that is not counted."""
    try:
        lines = Path("/proc/thread-self/io").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))
    except (OSError, ValueError, StopIteration):
        return None
