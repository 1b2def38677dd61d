"""What a Modbus device's refusals and silences mean, in words, and what to do about them."""

from __future__ import annotations

import math
from types import MappingProxyType

from venclient.clock import Clock
from venclient.connectors.mistakes import continued
from venclient.connectors.modbus_frames import Answer, Question
from venclient.errors import ConnectFailed, ConnectorError, ReadTimeout, Undecodable, WriteRefused
from venclient.messages import modbus as mod

#: Modbus Application Protocol 1.1b3, section 7: what each exception code means, and what to do about it.
EXCEPTIONS = MappingProxyType(
    {
        1: mod.EXCEPTION_1,
        2: mod.EXCEPTION_2,
        3: mod.EXCEPTION_3,
        4: mod.EXCEPTION_4,
        5: mod.EXCEPTION_5,
        6: mod.EXCEPTION_6,
        8: mod.EXCEPTION_8,
        10: mod.EXCEPTION_10,
        11: mod.EXCEPTION_11,
    }
)
_OF_WRITING = MappingProxyType({1: mod.WRITE_EXCEPTION_1, 2: mod.WRITE_EXCEPTION_2, 3: mod.WRITE_EXCEPTION_3})
_TRANSIENT_EXCEPTIONS = frozenset({4, 5, 6, 10})


class IllegalAddress(Undecodable):
    """The device has none, or not all, of the registers that were asked for at once."""


class NotConnected(ConnectFailed):
    """Nobody is at the endpoint, or the connection is not to be had."""


def refusal(question: Question, answer: Answer, subject: str, scan: str) -> ConnectorError:
    """Return the error for an answer that is an exception; `scan` is host and port as the scan takes them."""
    code = answer.data[0]
    meaning = EXCEPTIONS.get(code, mod.EXCEPTION_OTHER)
    if question.writes:
        meaning = _OF_WRITING.get(code, meaning)
    advice = meaning(scan=scan).hint
    what = mod.EXCEPTION(exception=code, meaning=meaning.template, place=question.place, advice=advice)
    if code == 11:
        return ReadTimeout(what, subject=subject)
    transient = code in _TRANSIENT_EXCEPTIONS
    if question.writes:
        return WriteRefused(what, subject=subject, transient=transient)
    if code in (2, 3):
        return IllegalAddress(what, subject=subject)
    return ConnectorError(what, subject=subject, transient=transient)


def again(error: ConnectorError, *, what: str = "") -> ConnectorError:
    """Return a copy of an error for one more caller, which may be raised separately."""
    return type(error)(what or error.what, subject=error.subject, hint=error.hint, transient=error.transient)


class Breaker:
    """Keeps off something that fails: after each failure for twice as long, up to a limit (seconds)."""

    def __init__(self, clock: Clock, *, first_s: float, longest_s: float = 30.0) -> None:
        self._clock = clock
        self._first_s = first_s
        self._longest_s = max(first_s, longest_s)
        self._until_s = 0.0
        self._error: ConnectorError | None = None
        self.failures = 0

    def check(self) -> None:
        """Raise the last failure again, without a new attempt, while it is too early for one."""
        if self._error is None:
            return
        wait_s = self._until_s - self._clock.monotonic()
        if wait_s > 0:
            raise again(
                self._error, what=continued(self._error.what, mod.RETRY_LATER(wait_s=math.ceil(wait_s)))
            )

    def failed(self, error: ConnectorError) -> None:
        """Note a failure."""
        pause_s = min(self._longest_s, self._first_s * 2.0 ** min(self.failures, 16))
        self.failures += 1
        self._until_s = self._clock.monotonic() + pause_s
        self._error = error

    def succeeded(self) -> None:
        """Forget earlier failures."""
        self.failures = 0
        self._error = None
