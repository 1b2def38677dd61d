"""The names of what a JSON payload holds, to show where the values may be."""

from __future__ import annotations

from collections.abc import Iterator

from venclient.connectors.payload import json_of
from venclient.messages.printable import foreign

#: Names shown of one payload ...
MOST_KEYS = 12
#: ... and how deep they may lie.
MOST_DEEP = 4


def payload_keys(payload: bytes) -> list[str]:
    """Return the paths of the values in a payload, such as ENERGY.Power; none when it is not JSON."""
    try:
        document = json_of(payload)
    except ValueError:
        return []
    found: list[str] = []
    for path in _paths(document, "", MOST_DEEP):
        if len(found) == MOST_KEYS:
            return [*found, "..."]
        found.append(foreign(path))
    return found


def _paths(document: object, before: str, deep: int) -> Iterator[str]:
    if isinstance(document, dict) and deep:
        for key, value in document.items():
            name = str(key)
            plain = name and not set(name) & set(".[]\"'")
            step = (f".{name}" if before else name) if plain else f'["{name}"]'
            yield from _paths(value, before + step, deep - 1)
    elif isinstance(document, list) and deep:
        for place, value in enumerate(document):
            yield from _paths(value, f"{before}[{place}]", deep - 1)
    elif before:
        yield before
