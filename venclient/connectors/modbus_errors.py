"""What a Modbus device's refusals and silences mean, in words, and what to do about them."""

from __future__ import annotations

import math
from types import MappingProxyType

from venclient.clock import Clock
from venclient.connectors.modbus_frames import Answer, Question
from venclient.errors import ConnectFailed, ConnectorError, ReadTimeout, Undecodable, WriteRefused

#: Modbus Application Protocol 1.1b3, section 7: what each exception code means, and what to do about it.
EXCEPTIONS = MappingProxyType(
    {
        1: (
            "illegal function",
            "this device has no such registers: try the other kind, holding or input",
        ),
        2: ("illegal data address", "check address (zero-based) and kind, or lower max_gap"),
        3: ("illegal data value", "lower max_registers: the device does not give so many at once"),
        4: ("device failure", "look at the device: it could not do what it should"),
        5: ("acknowledge, still working", "the device needs longer: read it less often"),
        6: ("device busy", "read it less often"),
        8: ("memory parity error", "look at the device: its memory is damaged"),
        10: ("gateway path unavailable", "check the gateway's configuration of its serial line"),
        11: ("no answer from the unit behind the gateway", "check the unit id, its wiring and baud rate"),
    }
)
_WRITE_HINTS = MappingProxyType(
    {
        1: "this device cannot be written so: try the other function, single or multiple",
        2: "check address (zero-based); the register may be read-only, or locked until remote control is on",
        3: "the device does not take this value: check type, scale and its limits",
    }
)
_TRANSIENT_EXCEPTIONS = frozenset({4, 5, 6, 10})


class IllegalAddress(Undecodable):
    """The device has none, or not all, of the registers that were asked for at once."""


class NotConnected(ConnectFailed):
    """Nobody is at the endpoint, or the connection is not to be had."""


def refusal(question: Question, answer: Answer, subject: str) -> ConnectorError:
    """Give the error for an answer that is an exception."""
    code = answer.data[0]
    words, hint = EXCEPTIONS.get(code, ("unknown to the standard", "look into the device's manual"))
    what = f"exception {code} ({words}) for {question.place}"
    if code == 11:
        return ReadTimeout(what, subject=subject, hint=hint)
    transient = code in _TRANSIENT_EXCEPTIONS
    if question.writes:
        hint = _WRITE_HINTS.get(code, hint)
        return WriteRefused(what, subject=subject, hint=hint, transient=transient)
    if code in (2, 3):
        return IllegalAddress(what, subject=subject, hint=hint)
    return ConnectorError(what, subject=subject, hint=hint, transient=transient)


def again(error: ConnectorError, *, what: str = "") -> ConnectorError:
    """Give a copy of an error for one more caller, which may be raised on its own."""
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
            raise again(self._error, what=f"{self._error.what} (asked again in {math.ceil(wait_s)} s)")

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
