"""The values of a register that are not used until it goes on from there; pure, value by value.

    1000   1001   9999   1003             9999 is out of range: a leap that is contradicted
    1000   1001   5000   5001  5002       believed from 5002 on: three values go on from each other
    1000   1001   5000   5000  5000       never believed: a value that stands proves nothing
    18.2   18.0   18.1   18.2  18.3       a slip, believed from the third value on
    18.2   0      0  ... 0     18.3       zero is never believed: it is what a failing meter shows
    1000   0      0.1    0.2              a restart: believed once it counts

What energy a register counted is decided by the roll-up from the values that are believed (`counters.py`);
both use the same limits.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from venclient.model.quality import MOST_KW, Counter
from venclient.readings.counters import STOOD_S, Limit, Point, counted_between, surely_kwh
from venclient.readings.glitches import SLIP_SHARE

#: Values in a row that go on from each other, rising at least once, are believed, whatever came before.
AGREEING = 3
#: The rates of the latest steps that say what is usual.
RATES = 15
_MS = 1000.0

Event = Literal["leap", "restart", "slip", "zero"]


class Change(NamedTuple):
    """What a register did: from `before` to `after` within `seconds`."""

    event: Event
    before: float
    after: float
    seconds: float
    kwh: float


class Counting(NamedTuple):
    """What limits the steps of a register; `surely_kwh` may be counted at once, whatever came before."""

    counter: Counter
    most_kw: float | None
    surely_kwh: float

    @classmethod
    def of(cls, counter: Counter, most_kw: float | None) -> Counting:
        """Return the limits of a register of a meter that can be believed up to `most_kw`."""
        return cls(counter, most_kw, surely_kwh(counter, most_kw))


class RegisterMemory(msgspec.Struct, frozen=True, gc=False):
    """What is known of a register before the next value.

    `level` was believed last, at `level_ms`; it stands since `since_ms`, or for longer when `stood`.
    `doubted` is the newest of `agreeing` values that go on from each other and are not believed yet; their
    steps are `doubted_kw`.
    """

    level: float
    level_ms: int
    since_ms: int
    first_ms: int
    stood: bool = False
    doubted: float | None = None
    doubted_ms: int = 0
    agreeing: int = 0
    doubted_kw: tuple[float, ...] = ()
    rates_kw: tuple[float, ...] = ()


def remembered(level: float, ms: int) -> RegisterMemory:
    """Return the memory of a register whose newest stored value is `level`; it may have stood for long."""
    return RegisterMemory(level, ms, ms, ms, stood=True)


def judge_register(
    ms: int, value: float, memory: RegisterMemory | None, counting: Counting
) -> tuple[bool, Change | None, RegisterMemory]:
    """Return whether a value is believed, what the register did, and the memory after it.

    Its time is later than those of `memory`.
    """
    if memory is None:
        return True, None, RegisterMemory(value, ms, ms, ms)
    level = memory.level
    if value == level:
        stood = memory.stood or memory.since_ms == memory.first_ms
        after = msgspec.structs.replace(memory, level_ms=ms, stood=stood)
        if value != 0 and memory.agreeing:  # zero contradicts nothing
            after = msgspec.structs.replace(after, doubted=None, agreeing=0, doubted_kw=())
        return True, None, after
    kwh = value - level
    if 0 < kwh <= counting.surely_kwh and level != 0:  # nearly always
        return True, None, _went_on(ms, value, kwh, memory)
    limit = Limit(memory.rates_kw, counting.counter, counting.most_kw)
    before = Point(memory.level_ms / _MS, level, False)
    span_s = (ms - memory.since_ms) / _MS + (STOOD_S if memory.stood else 0.0)
    kwh, interrupted, unknown = counted_between(
        before, Point(ms / _MS, value, False), span_s, counting.counter, limit
    )
    if not unknown and not (value == 0 < level):
        change = _change("restart", ms, value, memory, kwh) if interrupted else None
        return True, change, _went_on(ms, value, kwh, memory)
    agreeing = 1
    rates: tuple[float, ...] = ()
    if _goes_on(ms, value, memory):
        agreeing, rates = memory.agreeing + 1, _rates(ms, value, memory)
    if agreeing >= AGREEING and rates:
        believing = (*memory.rates_kw, *rates)[-RATES:]
        return True, None, RegisterMemory(value, ms, ms, memory.first_ms, rates_kw=believing)
    doubting = msgspec.structs.replace(
        memory, doubted=value, doubted_ms=ms, agreeing=agreeing, doubted_kw=rates
    )
    change = None if memory.agreeing else _change(_event(value, level), ms, value, memory, 0.0)
    return False, change, doubting


def _change(event: Event, ms: int, value: float, memory: RegisterMemory, kwh: float) -> Change:
    return Change(event, memory.level, value, (ms - memory.level_ms) / _MS, kwh)


def _event(value: float, level: float) -> Event:
    if value == 0:
        return "zero"
    return "slip" if SLIP_SHARE * level < value < level else "leap"


def _went_on(ms: int, value: float, kwh: float, memory: RegisterMemory) -> RegisterMemory:
    """Return the memory after a believed step; its rate counts since the value before was first seen."""
    span_ms = max(ms - memory.since_ms, 1000)
    rates = (*memory.rates_kw, kwh * 3_600_000 / span_ms)[-RATES:] if kwh > 0 else memory.rates_kw
    return RegisterMemory(value, ms, ms, memory.first_ms, rates_kw=rates)


def _goes_on(ms: int, value: float, memory: RegisterMemory) -> bool:
    """Return True if a value goes on from the doubted one; zero goes on from nothing."""
    if memory.doubted is None or value == 0:
        return False
    most_kwh = MOST_KW * max(ms - memory.doubted_ms, 60_000) / 3_600_000
    return 0 <= value - memory.doubted <= most_kwh


def _rates(ms: int, value: float, memory: RegisterMemory) -> tuple[float, ...]:
    """Return the rates of the doubted steps, with the one to `value` where it is a step."""
    if memory.doubted is None or value <= memory.doubted:
        return memory.doubted_kw
    rate = (value - memory.doubted) * 3_600_000 / max(ms - memory.doubted_ms, 1000)
    return (*memory.doubted_kw, rate)[-RATES:]
