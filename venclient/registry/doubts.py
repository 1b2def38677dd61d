"""The warnings of the most recent write: stored, but perhaps not what was meant."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from venclient.messages import with_code
from venclient.registry.meterpoint import gs1_doubt


class Warned(NamedTuple):
    """One warning of a write: the id of the resource ("connection 5" for a connection), and what it is."""

    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.subject}: {with_code(self.text)}"


class Doubts(threading.local):
    """Collects the warnings of a write, apart for each thread.

    Meter point ids are checked when the warnings are asked for: thousands may be stored at once, and most
    callers never ask.
    """

    def __init__(self) -> None:
        self._found: list[Warned] = []
        self._meters: list[tuple[Sequence[Any], Sequence[Any]]] = []

    def begin(self) -> None:
        """Forget the warnings of the write before."""
        self._found = []
        self._meters = []

    def add(self, subject: str, warnings: Iterable[str]) -> None:
        """Add the warnings about one resource or connection."""
        self._found += [Warned(subject, text) for text in warnings]

    def add_meters(self, ids: Sequence[Any], meter_point_ids: Sequence[Any]) -> None:
        """Add plain resources by column: at most their meter point ids are doubtful."""
        self._meters.append((ids, meter_point_ids))

    def listed(self) -> list[Warned]:
        """Return the warnings, those about meter point ids last; each once."""
        meters = (pair for ids, numbers in self._meters for pair in zip(ids, numbers, strict=True))
        doubts = ((str(name), gs1_doubt(number)) for name, number in meters if isinstance(number, str))
        later = [Warned(name, doubt) for name, doubt in doubts if doubt is not None]
        return list(dict.fromkeys([*self._found, *later]))
