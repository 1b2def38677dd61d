"""The values of a register that are not used until it goes on from there; pure, over one series' columns.

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

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from venclient.model.quality import MOST_KW, Counter
from venclient.readings.counters import STOOD_S, Limit, Point, counted_between
from venclient.readings.glitches import SLIP_SHARE

#: Values in a row that go on from each other, rising at least once, are believed, whatever came before.
AGREEING = 3
#: The rates of the latest steps that say what is usual.
RATES = 15
_MS = 1000.0

Event = Literal["leap", "restart", "slip", "zero"]


class Change(NamedTuple):
    """What a register did at one place of its columns: from `before` to `after` within `seconds`."""

    place: int
    event: Event
    before: float
    after: float
    seconds: float
    kwh: float


@dataclass(frozen=True, slots=True)
class RegisterMemory:
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
    times_ms: Sequence[int],
    values: Sequence[float],
    memory: RegisterMemory | None,
    counter: Counter,
    most_kw: float | None,
) -> tuple[list[bool], list[Change], RegisterMemory | None]:
    """Return for each value whether it is believed, what the register did, and the memory after them.

    Times are in order and later than those of `memory`.
    """
    believed: list[bool] = []
    changes: list[Change] = []
    for place, (ms, value) in enumerate(zip(times_ms, values, strict=True)):
        if memory is None:
            memory = RegisterMemory(value, ms, ms, ms)
            believed.append(True)
            continue
        is_believed, event, kwh, after = _judge(ms, value, memory, counter, most_kw)
        if event is not None:
            seconds = (ms - memory.level_ms) / _MS
            changes.append(Change(place, event, memory.level, value, seconds, kwh))
        believed.append(is_believed)
        memory = after
    return believed, changes, memory


def _judge(
    ms: int, value: float, memory: RegisterMemory, counter: Counter, most_kw: float | None
) -> tuple[bool, Event | None, float, RegisterMemory]:
    """Return whether a value is believed, what happened, the energy counted, and the memory after it."""
    if value == memory.level:
        stood = memory.stood or memory.since_ms == memory.first_ms
        standing = replace(memory, level_ms=ms, stood=stood)
        if value != 0:  # zero contradicts nothing
            standing = replace(standing, doubted=None, agreeing=0, doubted_kw=())
        return True, None, 0.0, standing
    limit = Limit(memory.rates_kw, counter, most_kw)
    before = Point(memory.level_ms / _MS, memory.level, False)
    after = Point(ms / _MS, value, False)
    span_s = (ms - memory.since_ms) / _MS + (STOOD_S if memory.stood else 0.0)
    kwh, interrupted, unknown = counted_between(before, after, span_s, counter, limit)
    if not unknown and not (value == 0 < memory.level):
        return True, "restart" if interrupted else None, kwh, _went_on(ms, value, kwh, memory)
    agreeing = 1
    rates: tuple[float, ...] = ()
    if _goes_on(ms, value, memory):
        agreeing, rates = memory.agreeing + 1, _rates(ms, value, memory)
    if agreeing >= AGREEING and rates:
        believing = (*memory.rates_kw, *rates)[-RATES:]
        return True, None, 0.0, RegisterMemory(value, ms, ms, memory.first_ms, rates_kw=believing)
    event = None if memory.agreeing else _event(value, memory.level)
    doubting = replace(memory, doubted=value, doubted_ms=ms, agreeing=agreeing, doubted_kw=rates)
    return False, event, 0.0, doubting


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
