"""Power curves of virtual devices with exactly known energy, to judge what was reported.

    kW
     |    .-.     .-.          power(t)  = mean + sum of a*sin(2*pi*t/period + phase)
mean |---'---'---'---'---      energy    = the integral, in closed form
     +---------------------- t
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Wave:
    """One sine of a load: amplitude in kW, period in seconds, phase in radians."""

    amplitude_kw: float
    period_s: float
    phase: float


@dataclass(frozen=True)
class Load:
    """A power curve over time (POSIX seconds); draws are positive, production is negative."""

    mean_kw: float
    waves: tuple[Wave, ...] = ()

    def power_kw(self, at_s: float) -> float:
        """Return the power at one moment."""
        return self.mean_kw + sum(
            wave.amplitude_kw * math.sin(2 * math.pi * at_s / wave.period_s + wave.phase)
            for wave in self.waves
        )

    def energy_kwh(self, start_s: float, end_s: float) -> float:
        """Return the exact energy between two moments."""
        total_kws = self.mean_kw * (end_s - start_s)
        for wave in self.waves:
            turn = 2 * math.pi / wave.period_s
            total_kws += (
                wave.amplitude_kw
                / turn
                * (math.cos(turn * start_s + wave.phase) - math.cos(turn * end_s + wave.phase))
            )
        return total_kws / 3600


def lively_load(name: str, mean_kw: float, *, swing: float = 0.4, seed: int = 1) -> Load:
    """Return a load around `mean_kw` that moves visibly within a minute and never changes its sign.

    `swing` (0..1) is the share of the mean that the waves may move it by, all together.
    """
    chance = random.Random(f"{seed}/{name}")
    shares = [chance.uniform(0.5, 1.0) for _ in range(3)]
    periods_s = (chance.uniform(17, 29), chance.uniform(41, 67), chance.uniform(120, 300))
    scale = abs(mean_kw) * swing / sum(shares)
    return Load(
        mean_kw,
        tuple(
            Wave(share * scale, period_s, chance.uniform(0, 2 * math.pi))
            for share, period_s in zip(shares, periods_s, strict=True)
        ),
    )
