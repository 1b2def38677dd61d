"""What a device is commanded to do, and the outcome."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Setpoint(msgspec.Struct, frozen=True):
    """A value that a quantity of a resource shall have, in the unit that the quantity's name ends with."""

    resource_id: str
    quantity: str
    value: float


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What a device was commanded to do and what it reports now.

    `written` is the value as the device holds it, after rounding to its steps; `read_back` what it said
    afterwards, None when it was not asked or has no value. `ok` is False when the two differ by more
    than the connection's tolerance; `detail` says so in words.
    """

    resource_id: str
    quantity: str
    asked: float
    written: float
    read_back: float | None
    ok: bool
    time: datetime
    detail: str = ""
