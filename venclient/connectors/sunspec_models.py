"""Where SunSpec's models have their values: offsets from the model's first register. No I/O.

From the model definitions of the SunSpec Alliance. Inverters count what they produce as positive, and
meters what is drawn, so inverters get a negative scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from venclient.connectors.registers import RegisterType

COMMON = 1
END = 0xFFFF


class Point(NamedTuple):
    """A value of a model: its offset, its type, where its scale factor is, and what it becomes.

    `none` is what says "not implemented": True for the usual mark of the type, 0 for the older energies.
    """

    quantity: str
    offset: int
    type: RegisterType
    factor: int | None = None
    scale: float = 1.0
    none: bool | int = True

    @property
    def end(self) -> int:
        """The offset behind everything that the value needs."""
        words = {"uint64": 4, "uint32": 2, "float32": 2}.get(self.type, 1)
        return max(self.offset + words, 0 if self.factor is None else self.factor + 1)


def _phases(
    name: str, unit: str, offsets: tuple[int, int, int], kind: RegisterType, factor: int | None, scale: float
) -> list[Point]:
    return [Point(f"{name}_l{n}_{unit}", at, kind, factor, scale) for n, at in enumerate(offsets, 1)]


_INVERTER = (
    Point("power_kw", 14, "int16", 15, -0.001),
    Point("energy_export_kwh", 24, "uint32", 26, 0.001, none=0),
    Point("reactive_power_kvar", 20, "int16", 21, -0.001),
    Point("frequency_hz", 16, "uint16", 17),
    Point("current_a", 2, "uint16", 6),
    *_phases("current", "a", (3, 4, 5), "uint16", 6, 1.0),
    *_phases("voltage", "v", (10, 11, 12), "uint16", 13, 1.0),
    Point("temperature_c", 33, "int16", 37),
)
_INVERTER_FLOAT = (
    Point("power_kw", 22, "float32", scale=-0.001),
    Point("energy_export_kwh", 32, "float32", scale=0.001),
    Point("reactive_power_kvar", 28, "float32", scale=-0.001),
    Point("frequency_hz", 24, "float32"),
    Point("current_a", 2, "float32"),
    *_phases("current", "a", (4, 6, 8), "float32", None, 1.0),
    *_phases("voltage", "v", (16, 18, 20), "float32", None, 1.0),
    Point("temperature_c", 40, "float32"),
)
_METER = (
    Point("power_kw", 18, "int16", 22, 0.001),
    *_phases("power", "kw", (19, 20, 21), "int16", 22, 0.001),
    Point("energy_kwh", 46, "uint32", 54, 0.001, none=0),
    Point("energy_export_kwh", 38, "uint32", 54, 0.001, none=0),
    Point("reactive_power_kvar", 28, "int16", 32, 0.001),
    Point("frequency_hz", 16, "int16", 17),
    *_phases("current", "a", (3, 4, 5), "int16", 6, 1.0),
    Point("voltage_v", 7, "int16", 15),
    *_phases("voltage", "v", (8, 9, 10), "int16", 15, 1.0),
)
_METER_FLOAT = (
    Point("power_kw", 28, "float32", scale=0.001),
    *_phases("power", "kw", (30, 32, 34), "float32", None, 0.001),
    Point("energy_kwh", 68, "float32", scale=0.001),
    Point("energy_export_kwh", 60, "float32", scale=0.001),
    Point("reactive_power_kvar", 44, "float32", scale=0.001),
    Point("frequency_hz", 26, "float32"),
    *_phases("current", "a", (4, 6, 8), "float32", None, 1.0),
    Point("voltage_v", 10, "float32"),
    *_phases("voltage", "v", (12, 14, 16), "float32", None, 1.0),
)
_DER_AC = (
    Point("power_kw", 10, "int16", 116, -0.001),
    *_phases("power", "kw", (41, 64, 87), "int16", 116, -0.001),
    Point("energy_export_kwh", 19, "uint64", 120, 0.001),
    Point("energy_kwh", 23, "uint64", 120, 0.001),
    Point("reactive_power_kvar", 12, "int16", 119, -0.001),
    Point("frequency_hz", 17, "uint32", 115),
    Point("current_a", 14, "int16", 113),
    *_phases("current", "a", (45, 68, 91), "int16", 113, 1.0),
    Point("voltage_v", 16, "uint16", 114),
    *_phases("voltage", "v", (47, 70, 93), "uint16", 114, 1.0),
    Point("temperature_c", 36, "int16", 122),
)

INVERTERS = (701, 101, 102, 103, 111, 112, 113)
METERS = (201, 202, 203, 204, 211, 212, 213, 214)
#: Read along with an inverter that has a battery.
STORAGE = 713
#: What a battery has: 802 with its power, 713 and 124 with its state of charge only. The first one counts.
BATTERIES = (802, STORAGE, 124)
#: Inputs of an inverter; those of hybrid inverters have the battery among them.
MPPT = 160
#: Rated power, permission to feed in, and limits: read when asked for.
LIMITS = (702, 703, 704)

POINTS: Mapping[int, tuple[Point, ...]] = MappingProxyType(
    {
        **dict.fromkeys((101, 102, 103), _INVERTER),
        **dict.fromkeys((111, 112, 113), _INVERTER_FLOAT),
        **dict.fromkeys((201, 202, 203, 204), _METER),
        **dict.fromkeys((211, 212, 213, 214), _METER_FLOAT),
        701: _DER_AC,
        702: (
            Point("rated_power_kw", 2, "uint16", 45, 0.001),
            Point("rated_charge_kw", 10, "uint16", 45, 0.001),
            Point("rated_discharge_kw", 11, "uint16", 45, 0.001),
        ),
        703: (Point("service_permitted", 2, "uint16"),),
        704: (
            Point("power_limit_on", 14, "uint16"),
            Point("power_limit_percent", 15, "uint16", 54),
        ),
        802: (
            # What flows out of the battery is positive, as with inverters.
            Point("power_kw", 47, "int16", 63, -0.001),
            Point("soc_percent", 11, "uint16", 56),
            Point("soh_percent", 13, "uint16", 58),
            Point("voltage_v", 34, "uint16", 59),
            Point("current_a", 44, "int16", 61, -1.0),
        ),
        124: (Point("soc_percent", 8, "uint16", 22),),
        STORAGE: (
            Point("soc_percent", 4, "uint16", 8),
            Point("soh_percent", 5, "uint16", 8),
            Point("stored_energy_kwh", 3, "uint16", 7, 0.001),
        ),
    }
)
