"""Requests that wait for a Modbus connection: one queue for each unit, and a turn for each queue.

units     1: a b     5: c     9: d e
taken     a  c  d  b  e
"""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import datetime

from venclient.connectors.modbus_errors import Breaker
from venclient.connectors.modbus_frames import Question
from venclient.errors import ConnectorError

#: The payload of an answer and the moment it is from.
Found = tuple[bytes, datetime]


class Ask:
    """A question with its caller, on its way through a link."""

    __slots__ = ("breaker", "future", "question", "resent", "retries", "since_s", "timeout_s")

    def __init__(
        self,
        question: Question,
        breaker: Breaker,
        future: asyncio.Future[Found],
        timeout_s: float,
        retries: int,
    ) -> None:
        self.question = question
        self.breaker = breaker
        self.future = future
        self.timeout_s = timeout_s
        self.retries = retries
        self.resent = False
        self.since_s = 0.0

    def fail(self, error: ConnectorError) -> None:
        """Pass an error to the caller, if there still is one."""
        if not self.future.done():
            self.future.set_exception(error)


class Turns:
    """The requests that wait, in the order in which they will be sent."""

    def __init__(self) -> None:
        # At most one of each unit is in line; what else it wants stands behind, and gets in when that leaves.
        self._line: deque[Ask] = deque()
        self._units: set[int] = set()
        self._behind: dict[int, deque[Ask]] = {}

    def __bool__(self) -> bool:
        return bool(self._line)

    def add(self, ask: Ask) -> None:
        """Put a request behind the others of its unit."""
        unit = ask.question.unit
        if unit in self._units:
            self._behind.setdefault(unit, deque()).append(ask)
        else:
            self._units.add(unit)
            self._line.append(ask)

    def put_back(self, ask: Ask) -> None:
        """Put a request before all others."""
        unit = ask.question.unit
        if unit in self._units:
            [other] = [one for one in self._line if one.question.unit == unit]
            self._line.remove(other)
            self._behind.setdefault(unit, deque()).appendleft(other)
        self._units.add(unit)
        self._line.appendleft(ask)

    def take(self) -> Ask:
        """Return the next request, and move its unit to the end of the line."""
        ask = self._line.popleft()
        unit = ask.question.unit
        behind = self._behind.get(unit)
        if behind is None:
            self._units.discard(unit)
        else:
            self._line.append(behind.popleft())
            if not behind:
                del self._behind[unit]
        return ask

    def take_all(self) -> list[Ask]:
        """Return all requests; none waits any more."""
        found = [*self._line, *(ask for behind in self._behind.values() for ask in behind)]
        self._line.clear()
        self._units.clear()
        self._behind.clear()
        return found
