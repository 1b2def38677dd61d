"""Readings and what is made of them: values with a unit in the quantity's name, at aware UTC times.

Signs count from the grid's side everywhere: drawing from the grid is positive, feeding in negative.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

import msgspec

Kind = Literal["gauge", "register", "interval"]

POWER_KW = "power_kw"
ENERGY_KWH = "energy_kwh"
ENERGY_EXPORT_KWH = "energy_export_kwh"
INTERVAL_ENERGY_KWH = "interval_energy_kwh"
SOC_PERCENT = "soc_percent"

#: Known quantities and how each behaves. A gauge is what is now; a register only ever counts up
#: (import and export apart); an interval's reading is the energy of the time that *ends* at its stamp,
#: back to the reading before it. Other names are allowed, and are gauges.
QUANTITIES: Mapping[str, Kind] = MappingProxyType(
    {
        POWER_KW: "gauge",
        ENERGY_KWH: "register",
        ENERGY_EXPORT_KWH: "register",
        INTERVAL_ENERGY_KWH: "interval",
        SOC_PERCENT: "gauge",
        "power_l1_kw": "gauge",
        "power_l2_kw": "gauge",
        "power_l3_kw": "gauge",
        "voltage_v": "gauge",
        "voltage_l1_v": "gauge",
        "voltage_l2_v": "gauge",
        "voltage_l3_v": "gauge",
        "current_a": "gauge",
        "current_l1_a": "gauge",
        "current_l2_a": "gauge",
        "current_l3_a": "gauge",
        "reactive_power_kvar": "gauge",
        "frequency_hz": "gauge",
        "temperature_c": "gauge",
    }
)


class Quality(StrEnum):
    """How far a value can be trusted; missing is said, never written as zero."""

    GOOD = "good"
    ESTIMATED = "estimated"
    STALE = "stale"
    OUT_OF_RANGE = "out_of_range"
    MISSING = "missing"


#: Qualities of what is kept and never shown as a value.
UNUSED = frozenset({Quality.MISSING, Quality.OUT_OF_RANGE})


class Reading(msgspec.Struct, frozen=True, gc=False):
    """One value of one quantity of one resource at one moment (aware UTC).

    `mark` identifies the message that it came in, where the message has no time (`model/marks.py`); 0: none.
    """

    resource_id: str
    quantity: str
    value: float
    time: datetime
    quality: Quality = Quality.GOOD
    mark: int = 0


class Reject(msgspec.Struct, frozen=True):
    """Input that was refused: where it was (topic, file and line, register), and why."""

    place: str
    reason: str


class Measure(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one resource did in one interval [start, end), made of its readings.

    `energy_kwh` is net: drawn minus fed in. None means unknown, never zero. `coverage` is the share
    (0..1) of the interval that readings vouch for; `source` says what the energy was made of.
    `last` holds the newest value of every quantity read at or before `end`, but for values that cannot be
    meant.
    """

    resource_id: str
    start: datetime
    end: datetime
    energy_kwh: float | None = None
    mean_kw: float | None = None
    peak_kw: float | None = None
    coverage: float = 0.0
    source: Literal["register", "interval", "power", "none"] = "none"
    quality: Quality = Quality.MISSING
    last: Mapping[str, Reading] = msgspec.field(default_factory=dict)
