"""Small pure helpers of the VEN client and its neighbours; they do no I/O and import messages only."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from venclient.messages import registry as reg

T = TypeVar("T")

#: What stands where a secret was.
REDACTED = "***"


def backoff_s(attempt: int, base_s: float, cap_s: float, rng: random.Random) -> float:
    """Give the seconds to wait before retry number `attempt` (0 is the first).

    The wait doubles up to `cap_s`; half of it is drawn at random, so that many gateways that lost
    the same VTN do not come back in step.
    """
    full_s = min(cap_s, base_s * 2.0 ** min(max(attempt, 0), 32))
    return full_s / 2 + rng.random() * full_s / 2


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Give `items` in order as slices of at most `size`; ValueError when size is below 1."""
    if size < 1:
        raise ValueError(reg.CHUNK_SIZE(size=size))
    return (items[at : at + size] for at in range(0, len(items), size))


def redact(text: str, secrets: Iterable[str | None]) -> str:
    """Give `text` with each secret replaced by ***; empty and missing secrets are passed over."""
    for secret in sorted((s for s in secrets if s), key=len, reverse=True):
        text = text.replace(secret, REDACTED)
    return text


def age_text(seconds: float) -> str:
    """Give a length of time for people, in its largest fitting unit: "7 s", "3 min", "5 h", "2 d"."""
    whole = max(0, int(seconds))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if whole >= size:
            return f"{whole // size} {unit}"
    return f"{whole} s"
