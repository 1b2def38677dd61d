"""The battery of a hybrid inverter as SunSpec reports it: by model 802, or as inputs of model 160. No I/O.

model 160   1 MPPT 1   2 MPPT 2   3 StCha 3   4 StDisCha 4      an input of the inverter each, by its name
            pv ------------------   charging    discharging      both count up from 0, in DC
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from venclient.connectors.modbus_options import Computed
from venclient.connectors.registers import Register
from venclient.connectors.sunspec_models import Point
from venclient.model.reading import ENERGY_EXPORT_KWH, ENERGY_KWH, POWER_KW

BATTERY_POWER_KW = "battery_power_kw"
PV_POWER_KW = "pv_power_kw"
#: Where the inputs are: the number of the first one's register, how many each has, and what is in them.
FIRST, EACH = 10, 20
NAME, NAME_WORDS = 1, 8
_POWER, _POWER_FACTOR = 11, 4
_ENERGY, _ENERGY_FACTOR = 12, 5


class Inputs(NamedTuple):
    """Which inputs of model 160 (from 0) are the sun's, and which the battery's."""

    pv: tuple[int, ...] = ()
    charge: int | None = None
    discharge: int | None = None

    @property
    def has_battery(self) -> bool:
        """Whether both directions of a battery are among them."""
        return self.charge is not None and self.discharge is not None


def inputs_of(names: Sequence[str]) -> Inputs:
    """Return what the inputs are, from the names that the device gives them."""
    pv: list[int] = []
    charge = discharge = None
    for n, name in enumerate(names):
        letters = "".join(filter(str.isalpha, name)).casefold()
        if "discha" in letters or "dischg" in letters:
            discharge = n
        elif letters.startswith(("stcha", "stchg", "bat")) and ("cha" in letters or "chg" in letters):
            charge = n
        elif "bat" not in letters:
            pv.append(n)
    return Inputs(tuple(pv), charge, discharge)


def points_of(inputs: Inputs, *, battery: bool) -> list[Point]:
    """Return power and energy of each input: those of the battery, or those of the sun."""
    chosen = [inputs.charge, inputs.discharge] if battery else list(inputs.pv)
    found = []
    for n in chosen:
        if n is not None:
            at = FIRST + EACH * n
            found.append(Point(_power(n), at + _POWER, "uint16", _POWER_FACTOR, 0.001))
            found.append(Point(_energy(n), at + _ENERGY, "uint32", _ENERGY_FACTOR, 0.001, none=0))
    return found


def computed_of(inputs: Inputs, *, battery: bool, quantity: str) -> list[Computed]:
    """Return the power `quantity` of the battery (charging is positive) or of the sun (negative).

    Where it is the power of the resource itself, the energies come along.
    """
    whole = quantity == POWER_KW
    if battery:
        charge, discharge = inputs.charge or 0, inputs.discharge or 0
        found = [Computed(quantity=quantity, op="difference", of=[_power(charge), _power(discharge)])]
        if whole:
            found.append(Computed(quantity=ENERGY_KWH, op="sum", of=[_energy(charge)]))
            found.append(Computed(quantity=ENERGY_EXPORT_KWH, op="sum", of=[_energy(discharge)]))
        return found
    # An input that is not in use, or asleep at dusk, has no power: the others have theirs all the same.
    found = [Computed(quantity=quantity, op="total", of=[_power(n) for n in inputs.pv], scale=-1.0)]
    if whole:
        found.append(Computed(quantity=ENERGY_EXPORT_KWH, op="sum", of=[_energy(n) for n in inputs.pv]))
    return found


def usable(computed: Sequence[Computed], registers: Sequence[Register]) -> list[Computed]:
    """Return those whose parts are all there."""
    known = {register.quantity for register in registers}
    return [one for one in computed if known.issuperset(one.of)]


def _power(n: int) -> str:
    return f"input_{n + 1}_kw"


def _energy(n: int) -> str:
    return f"input_{n + 1}_kwh"
