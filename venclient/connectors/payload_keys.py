"""What a payload has, for the user who describes it in options: its keys, and values to begin with.

{"ENERGY": {"Power": 56}, "Time": "12:00"}      ENERGY.Power, Time
                                                {"quantity": "power_kw", "path": "ENERGY.Power", "unit": "W"}

Pure: no network, no clock.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from venclient.connectors.payload import Path, json_of
from venclient.messages.printable import foreign
from venclient.model.reading import ENERGY_KWH, POWER_KW, SOC_PERCENT

#: Keys that a message shows; the first are the most likely.
MOST_KEYS = 20
_MOST_VALUES = 3
_MOST_LEAVES = 500
_PLAIN_STEP = re.compile(r"[^.\[\]\"'/][^.\[\]\"']*")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
#: Names of keys by what they mean, the likeliest first, with the unit that a meter has it in.
_MEANINGS = (
    (POWER_KW, re.compile(r"kw(?!h)"), "kW"),
    (POWER_KW, re.compile(r"power(?!factor)|watt|^(?:[a-z]+ )?[wp]$"), "W"),
    (ENERGY_KWH, re.compile(r"kwh"), "kWh"),
    (ENERGY_KWH, re.compile(r"(?<!k)wh$"), "Wh"),
    (ENERGY_KWH, re.compile(r"energy|total"), "kWh"),
    (SOC_PERCENT, re.compile(r"^(?:[a-z]+ )?soc$|state.of.charge|battery.level"), "%"),
)


def keys_of(payload: bytes) -> list[str]:
    """Return the paths to the values of a JSON payload, as options take them; none of what is not JSON."""
    return [foreign(path_text(path)) for path, _ in _leaves(payload)][:MOST_KEYS]


def example_for(payload: bytes) -> str:
    """Return JSON for `options.values` that reads numbers of a payload, "" where it has none.

    It is a start: which key is meant, and its unit, has to be checked with the device's document.
    """
    numbers = [path for path, value in _leaves(payload) if _is_number(value)]
    found: dict[str, dict[str, str]] = {}
    for quantity, pattern, unit in _MEANINGS:
        for path in numbers:
            if quantity not in found and pattern.search(_words(path)):
                found[quantity] = {"quantity": quantity, "path": path_text(path), "unit": unit}
    if not found and numbers:
        found[POWER_KW] = {"quantity": POWER_KW, "path": path_text(numbers[0]), "unit": "W"}
    return foreign(json.dumps(list(found.values())[:_MOST_VALUES])) if found else ""


def path_text(path: Path) -> str:
    """Return a path as options take it: dotted, with brackets for places in lists and unusual keys."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_STEP.fullmatch(step):
            text += f".{step}" if text else step
        else:
            quoted = step.replace("\\", "\\\\").replace('"', '\\"')
            text += f'["{quoted}"]'
    return text


def _leaves(payload: bytes) -> list[tuple[Path, object]]:
    try:
        document = json_of(payload)
    except ValueError:
        return []
    found: list[tuple[Path, object]] = []
    for leaf in _walk(document, ()):
        found.append(leaf)
        if len(found) == _MOST_LEAVES:
            break
    return found


def _walk(value: object, path: Path) -> Iterator[tuple[Path, object]]:
    if len(path) > 20:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _walk(inner, (*path, str(key)))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _walk(inner, (*path, place))
    elif path:
        yield path, value


def _is_number(value: object) -> bool:
    if isinstance(value, str):
        return _NUMBER.fullmatch(value.strip()) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)


def _words(path: Path) -> str:
    """Return the last key of a path in small letters, with spaces between its words."""
    last = next((step for step in reversed(path) if isinstance(step, str)), "")
    return re.sub(r"[^a-z0-9]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", last).lower()).strip()
