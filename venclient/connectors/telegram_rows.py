"""What the telegrams of a P1 port say of power, energy, voltage and current."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from venclient.connectors.file_options import FileOptions
from venclient.connectors.file_rows import Row
from venclient.connectors.mistakes import placed, shown
from venclient.connectors.telegram import Telegram, parse_telegram
from venclient.connectors.timestamps import time_reader
from venclient.connectors.units import scaling_for
from venclient.messages import files as fil
from venclient.messages import text_of
from venclient.model.reading import ENERGY_EXPORT_KWH, ENERGY_KWH, POWER_KW

#: Quantity, what the grid delivers and what it takes back (OBIS codes of IEC 62056-61, group 1-0).
_NET = (
    (POWER_KW, "1.7.0", "2.7.0"),
    ("reactive_power_kvar", "3.7.0", "4.7.0"),
    ("power_l1_kw", "21.7.0", "22.7.0"),
    ("power_l2_kw", "41.7.0", "42.7.0"),
    ("power_l3_kw", "61.7.0", "62.7.0"),
)
#: What some meters (EMH, eBZ, EasyMeter) send instead of both: one value with a sign.
_SIGNED: Mapping[str, str] = MappingProxyType(
    {POWER_KW: "16.7.0", "power_l1_kw": "36.7.0", "power_l2_kw": "56.7.0", "power_l3_kw": "76.7.0"}
)
_PLAIN = (
    ("voltage_l1_v", "32.7.0"),
    ("voltage_l2_v", "52.7.0"),
    ("voltage_l3_v", "72.7.0"),
    ("current_l1_a", "31.7.0"),
    ("current_l2_a", "51.7.0"),
    ("current_l3_a", "71.7.0"),
    ("frequency_hz", "14.7.0"),
)
#: A quantity, the codes to add up and to take off, their unit, scale and offset.
_Wanted = tuple[str, Sequence[str], Sequence[str], str, float, float]

#: A register's total (tariff 0), or the sum of its tariffs.
_REGISTERS = ((ENERGY_KWH, "1.8"), (ENERGY_EXPORT_KWH, "2.8"))

#: The codes of each sum.
_SUMS = (
    *(frozenset([f"1-0:{code}", f"1-0:{back}"]) for _, code, back in _NET),
    *(frozenset(f"1-0:{stem}.{n}" for n in range(5)) for _, stem in _REGISTERS),
)
_PARTS = frozenset[str]().union(*_SUMS)
#: The number of telegrams in a row without a part after which the meter is believed not to send it.
_LACKING_TELEGRAMS = 10


class TelegramRows:
    """Reads telegrams: all that a meter sends about electricity, or the options' `values` by OBIS code."""

    def __init__(self, options: FileOptions) -> None:
        self._values = options.values
        self._read_time = time_reader(options.time.form, options.time.zone)
        #: The parts of sums that a meter without checksums sends, and how many telegrams in a row lack one.
        self._parts: set[str] = set()
        self._lacking = 0

    def read_lines(self, lines: Sequence[bytes]) -> Row | None:
        """Parse the lines of a telegram; return None for empty ones; ValueError says what is wrong."""
        if not any(line.strip() for line in lines):
            return None
        telegram = self._whole(parse_telegram(lines))
        instants = self._read_time(telegram.time) if telegram.time else None
        values: list[tuple[str, float]] = []
        reasons: list[str] = [fil.TELEGRAM_CUT()] if telegram.cut else []
        for quantity, plus, minus, unit, scale, offset in self._wanted(telegram):
            try:
                value = _sum(telegram, quantity, plus, minus, unit=unit, scale=scale, offset=offset)
                if value is not None:
                    values.append((quantity, value))
            except ValueError as error:
                reasons.append(placed(quantity, text_of(error)))
        return Row(values, instants, reasons)

    def _whole(self, telegram: Telegram) -> Telegram:
        """Return a telegram in which a part of a sum that was lost with its line counts as unreadable."""
        if telegram.checked or self._values:
            return telegram
        sent = {*telegram.values, *telegram.unreadable} & _PARTS
        # A sum of which nothing is there is not in this telegram: some meters send long and short ones.
        lost = {code for one in _SUMS if one & sent for code in one & self._parts - sent}
        self._lacking = self._lacking + 1 if lost else 0
        if not lost or self._lacking > _LACKING_TELEGRAMS:  # a meter may be reconfigured
            self._parts = sent if lost else self._parts | sent
            return telegram
        return replace(telegram, unreadable={**telegram.unreadable, **dict.fromkeys(lost, "")})

    def _wanted(self, telegram: Telegram) -> Sequence[_Wanted]:
        if self._values:
            return [
                (one.quantity, one.plus, one.minus, one.unit, one.scale, one.offset) for one in self._values
            ]
        # A code that is sent but cannot be read counts as sent: without it a sum would be too small.
        sent = {*telegram.values, *telegram.unreadable}
        wanted: list[_Wanted] = []
        for quantity, code, back in _NET:
            plus = [f"1-0:{code}"]
            minus = [f"1-0:{back}"] if f"1-0:{back}" in sent else []
            signed = f"1-0:{_SIGNED.get(quantity)}"
            if plus[0] not in sent and not minus and signed in sent:
                plus = [signed]
            wanted.append((quantity, plus, minus, "", 1.0, 0.0))
        for quantity, stem in _REGISTERS:
            total = [f"1-0:{stem}.0"]
            tariffs = [code for n in range(1, 5) if (code := f"1-0:{stem}.{n}") in sent]
            wanted.append((quantity, total if total[0] in sent else tariffs, [], "", 1.0, 0.0))
        wanted += [(quantity, [f"1-0:{code}"], [], "", 1.0, 0.0) for quantity, code in _PLAIN]
        return wanted


def _sum(
    telegram: Telegram,
    quantity: str,
    plus: Sequence[str],
    minus: Sequence[str],
    *,
    unit: str,
    scale: float,
    offset: float,
) -> float | None:
    """Return a sum in the unit of its quantity, None where a part is absent.

    ValueError when a part cannot be read.
    """
    values = telegram.values
    for code in (*plus, *minus):
        if code in telegram.unreadable:
            raise ValueError(fil.TELEGRAM_VALUE(code=code, text=shown(telegram.unreadable[code])))
    if not plus or any(code not in values for code in (*plus, *minus)):
        return None
    total = 0.0
    for sign, codes in ((1, plus), (-1, minus)):
        for code in codes:
            number, meter_unit = values[code]
            # The meter sends its unit; `unit` is only for a meter that sends a wrong one.
            total += sign * scaling_for(quantity, unit or meter_unit, scale, 0.0).apply(number)
    return total + offset
