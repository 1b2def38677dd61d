"""HomeWizard JSON: what its P1, kWh and battery devices report on the local network, one object per line.

Version 1 of the interface has total_power_import_t1_kwh and active_power_w, version 2 energy_import_kwh and
power_w. Neither makes a difference here: of each quantity the first name that is there counts.
"""

from __future__ import annotations

from venclient.connectors.file_options import TIME_NAMES, FileOptions
from venclient.connectors.file_rows import Row
from venclient.connectors.loose_times import lenient_time_reader
from venclient.connectors.mistakes import placed
from venclient.connectors.payload import json_of, number_of
from venclient.connectors.units import scaling_for
from venclient.messages import files as fil
from venclient.messages import text_of
from venclient.model.reading import ENERGY_EXPORT_KWH, ENERGY_KWH, POWER_KW, SOC_PERCENT

#: Quantity, unit, and the names of its total.
_PLAIN = (
    (POWER_KW, "W", ("active_power_w", "power_w")),
    ("frequency_hz", "", ("active_frequency_hz", "frequency_hz")),
    ("reactive_power_kvar", "var", ("active_reactive_power_var", "reactive_power_var")),
    ("voltage_v", "", ("active_voltage_v", "voltage_v")),
    ("current_a", "", ("active_current_a", "current_a")),
    *((f"power_l{n}_kw", "W", (f"active_power_l{n}_w", f"power_l{n}_w")) for n in (1, 2, 3)),
    *((f"voltage_l{n}_v", "", (f"active_voltage_l{n}_v", f"voltage_l{n}_v")) for n in (1, 2, 3)),
    *((f"current_l{n}_a", "", (f"active_current_l{n}_a", f"current_l{n}_a")) for n in (1, 2, 3)),
    (SOC_PERCENT, "", ("state_of_charge_pct",)),
)
#: Registers: the total, or the sum of the tariffs that are there.
_REGISTERS = (
    (ENERGY_KWH, ("total_power_import", "energy_import")),
    (ENERGY_EXPORT_KWH, ("total_power_export", "energy_export")),
)


class HomeWizardRows:
    """Reads lines with the device's data; each needs a time, named by `time.path` or one of `TIME_NAMES`."""

    def __init__(self, options: FileOptions) -> None:
        self._names = TIME_NAMES if options.time.path is None else (options.time.path,)
        self._filter = {name: str(text) for name, text in options.filter.items()}
        self._read_time = lenient_time_reader(options.time.form, options.time.zone)
        units = [(quantity, unit) for quantity, unit, _ in _PLAIN] + [(name, "kWh") for name, _ in _REGISTERS]
        self._scale = {quantity: scaling_for(quantity, unit, 1.0, 0.0) for quantity, unit in units}

    def read(self, line: str) -> Row | None:
        """Parse a line; return None for an empty one; ValueError says what is wrong with it."""
        if not line.strip():
            return None
        document = json_of(line.encode())
        if not isinstance(document, dict):
            raise ValueError(fil.NOT_AN_OBJECT())
        # Some loggers keep the answer whole beside the time at which they asked.
        inner = document.get("data")
        data = inner if isinstance(inner, dict) else document
        if any(str(data.get(name, document.get(name))) != text for name, text in self._filter.items()):
            return None
        merged = {**data, **{name: document[name] for name in self._names if name in document}}
        time = next((merged[name] for name in self._names if merged.get(name) is not None), None)
        if time is None:
            raise ValueError(fil.NO_TIME_NAMES(names=self._names))
        instants = self._read_time(time)
        values: list[tuple[str, float]] = []
        reasons: list[str] = []
        parts = [(quantity, _first(data, names)) for quantity, _, names in _PLAIN]
        parts += [(quantity, _register(data, stems)) for quantity, stems in _REGISTERS]
        for quantity, found in parts:
            try:
                numbers = [number for part in found if (number := number_of(part)) is not None]
                if numbers:
                    values.append((quantity, self._scale[quantity].apply(sum(numbers))))
            except ValueError as error:
                reasons.append(placed(quantity, text_of(error)))
        return Row(values, instants, reasons)


def _first(data: dict[str, object], names: tuple[str, ...]) -> list[object]:
    return [data[name] for name in names if data.get(name) is not None][:1]


def _register(data: dict[str, object], stems: tuple[str, ...]) -> list[object]:
    for stem in stems:
        if data.get(f"{stem}_kwh") is not None:
            return [data[f"{stem}_kwh"]]
    for stem in stems:
        tariffs = [data[name] for n in range(1, 5) if data.get(name := f"{stem}_t{n}_kwh") is not None]
        if tariffs:
            return tariffs
    return []
