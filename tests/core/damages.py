"""Damages as memory cards make them: flipped bits, a file that ends early, pages of zeros."""

from __future__ import annotations

import random
from pathlib import Path


def damage(path: Path, seed: int) -> str:
    """Damage a file, and return how."""
    dice = random.Random(seed)
    raw = bytearray(path.read_bytes())
    kind = ("flip", "cut", "zero")[seed % 3]
    if kind == "flip":
        for _ in range(dice.choice((1, 1, 8))):
            raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
    elif kind == "cut":
        del raw[dice.randrange(len(raw)) :]
    else:
        start = dice.randrange(len(raw)) // 1024 * 1024
        raw[start : start + dice.choice((1024, 4096, 16_384))] = bytes(
            min(len(raw) - start, dice.choice((1024, 4096)))
        )
    path.write_bytes(raw)
    return f"{kind} (seed {seed})"
