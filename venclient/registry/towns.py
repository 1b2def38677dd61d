"""The post town in a written address: whole ("København Ø", "Nykøbing Mors"), never a part of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from venclient.messages import Message, Text
from venclient.messages import importing as imp
from venclient.messages.printable import foreign
from venclient.registry.meterpoint import normalised

_DANISH = re.compile(r"(?:DK[- ]?)?(\d{4})\s+(\D.*)", re.IGNORECASE)
_FOREIGN = re.compile(
    r"(?:[A-Z]{1,3}-)?(\d{5}(?:-\d{3,4})?|\d{3} \d{2}|\d{4} ?[A-Z]{2}|[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2})\s+\D.*"
    r"|\D.*\s([A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}|[A-Z]{2} \d{5}(?:-\d{4})?)",
)
_DENMARK = {"denmark", "danmark", "dänemark", "danemark", "kingdom of denmark", "dk"}


@dataclass(frozen=True)
class PostTown:
    """What an address says about its post town.

    `town` is None when there is none or it is not clear; `doubt` then says why.
    """

    town: str | None = None
    post_code: str | None = None
    reason: Message | None = None
    part: str = ""

    @property
    def doubt(self) -> Text | None:
        """Why no town was found, None when one was; built on demand, as imports do not need it."""
        return None if self.reason is None else self.reason(part=foreign(self.part))


def post_town(address: str | None) -> PostTown:
    """Return the post town of a Danish address, such as "Street 1, 7400 Herning, Denmark".

    The last part that reads as four digits and a name counts, as streets may hold numbers too. Other
    countries write addresses in too many ways: there the town is None, and `doubt` asks for a column.
    """
    if not address:
        return PostTown(reason=imp.NO_ADDRESS)
    # Thousands of sites share few towns, and what ends in one needs no look at what comes before.
    head, _, last = address.rpartition(",")
    found = _of(f"{head.rpartition(',')[2]},{last}")
    return found if found.town else _read(address)


def post_towns(addresses: Iterable[str]) -> list[str | None]:
    """Return `post_town` of each address, just the town."""
    known: dict[str, str | None] = {}
    towns = []
    for address in addresses:
        head, _, last = address.rpartition(",")
        end = f"{head.rpartition(',')[2]},{last}"
        town = known.get(end)
        if town is None:
            town = post_town(address).town
            if town is not None and town == _of(end).town:
                known[end] = town
        towns.append(town)
    return towns


def _read(address: str) -> PostTown:
    parts = [" ".join(part.split()) for part in address.split(",")]
    parts = [part for part in parts if part]
    last = parts[-1] if parts else ""
    has_country = len(parts) > 1 and not any(letter.isdigit() for letter in last)
    in_denmark = has_country and normalised(last).rstrip(".") in _DENMARK
    candidates = parts[:-1] if in_denmark else parts
    for part in reversed(candidates):
        match = _DANISH.fullmatch(part)
        if match and (in_denmark or not has_country):
            return PostTown(match[2].strip(), match[1])
        if match or (not in_denmark and _FOREIGN.fullmatch(part)):
            return PostTown(reason=imp.NOT_A_DANISH_TOWN, part=part)
    return PostTown(reason=imp.NO_POST_CODE, part=address)


_of = lru_cache(maxsize=4096)(_read)
