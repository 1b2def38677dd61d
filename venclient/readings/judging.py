"""Decides how good each reading is, by the rules of its connection and by what its quantity can mean.

    time      2031-01-01 from a meter read now          not stored: quarantined
    range     5   900    6                              900 is impossible: out of range
    jump      5   90     5                              faster than it can be: out of range, until three agree
    register  1000  9999  1001                          as for jumps, and zero (`register_rule.py`)
    frozen    5   5      5 ... 5                        unchanged for too long: stale, until it changes
    age       5 (of two hours ago)                      older than a live value can be: stale

A value is never changed; it is stored with its quality, and only good and estimated ones are used. What is
noticed is reported once, when it begins, and again after a day.

`judge_series` is the rule over the columns of one series; `Judge` applies it to the readings of a resource
as they come.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from venclient.messages import Message, Text
from venclient.messages import readings as rdg
from venclient.model.quality import MeterRules, QuantityRules
from venclient.model.reading import QUANTITIES, Quality, Reading
from venclient.readings.counters import USUAL_COUNTER
from venclient.readings.plausible import Possible, impossible, possible
from venclient.readings.register_rule import AGREEING, Change, RegisterMemory, judge_register, remembered
from venclient.readings.series import from_ms, to_ms
from venclient.readings.time_rule import (
    DAY_MS,
    GROWS_MS,
    MINUTE_MS,
    STEADY_READINGS,
    Misplaced,
    Window,
    goes_back_ms,
    misplaced,
    steady_lag_ms,
)
from venclient.utils import age_text

NO_RULES = QuantityRules()

_TRUSTED = (Quality.GOOD, Quality.ESTIMATED)
_TIMES: Mapping[Misplaced, Message] = {
    "ahead": rdg.TIME_AHEAD,
    "behind": rdg.TIME_BEHIND,
    "stray": rdg.TIME_STRAY,
}


class SeriesRules(NamedTuple):
    """All that one series is judged by. `window` None: its times are not judged."""

    possible: Possible
    own: QuantityRules
    most_kw: float | None
    window: Window | None

    @classmethod
    def of(cls, quantity: str, own: QuantityRules, meter: MeterRules, window: Window | None) -> SeriesRules:
        """Return the rules of a quantity of a meter."""
        return cls(possible(quantity, own, meter), own, meter.most_kw, window)


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of a series: a few values, however long it is read. Times in milliseconds.

    `believed` was the value at `believed_ms`, the same since `since_ms`; `newest_ms` is the newest time.
    """

    newest_ms: int
    believed: float
    believed_ms: int
    since_ms: int
    doubted: float | None = None
    doubted_ms: int = 0
    agreeing: int = 0
    register: RegisterMemory | None = None


class Column(NamedTuple):
    """A judged series: qualities (None: the time cannot be meant), what its register did, and the memory."""

    qualities: list[Quality | None]
    misplaced: list[Misplaced | None]
    impossible: list[bool]
    changes: list[Change]
    memory: Memory | None


def judge_series(
    times_ms: Sequence[int],
    values: Sequence[float],
    qualities: Sequence[Quality],
    rules: SeriesRules,
    *,
    memory: Memory | None = None,
    now_ms: int | None = None,
) -> Column:
    """Return the qualities of one series' readings, in the order in which they came.

    `now_ms` is when they came, None while the time of day is not known. What comes later than newer readings
    is judged by itself.
    """
    if memory is not None and _is_ahead(memory.newest_ms, now_ms, rules.window):
        memory = None  # stored by an older version, or before the time was known
    last_ms = None if memory is None else memory.newest_ms
    wrong: list[Misplaced | None] = [None] * len(times_ms)
    if rules.window is not None:
        wrong = misplaced(times_ms, now_ms, rules.window, last_ms)
    out = impossible(times_ms, values, rules.possible, last_ms)
    changes: list[Change] = []
    judged: list[Quality | None] = []
    for place, quality in enumerate(qualities):
        if wrong[place] is not None:
            out[place] = False
            judged.append(None)
        elif quality not in _TRUSTED:
            out[place] = False
            judged.append(quality)
        elif out[place]:
            judged.append(Quality.OUT_OF_RANGE)
        else:
            doubt, memory, change = _judge(times_ms[place], values[place], rules, memory, now_ms)
            judged.append(doubt or quality)
            if change is not None:
                changes.append(change._replace(place=place))
    return Column(judged, wrong, out, changes, memory)


def _is_ahead(ms: int, now_ms: int | None, window: Window | None) -> bool:
    return window is not None and now_ms is not None and ms > now_ms + window.ahead_ms


def _judge(
    ms: int, value: float, rules: SeriesRules, memory: Memory | None, now_ms: int | None
) -> tuple[Quality | None, Memory, Change | None]:
    """Return what is wrong with a possible value, the memory after it, and what a register did."""
    own = rules.own
    is_old = own.stale_after_s is not None and now_ms is not None and now_ms - ms > own.stale_after_s * 1000
    doubt = Quality.STALE if is_old else None
    if memory is not None and ms <= memory.newest_ms:
        return doubt, memory, None
    if memory is not None and own.jump is not None:
        leaps, memory = _leaps(ms, value, memory, own.jump.max_per_s)
        if leaps:
            return Quality.OUT_OF_RANGE, memory, None
    change = None
    register = None
    if rules.possible.kind == "register":
        before = None if memory is None else memory.register
        counter = own.counter or USUAL_COUNTER
        (believed,), changes, register = judge_register([ms], [value], before, counter, rules.most_kw)
        change = changes[0] if changes else None
        if not believed and memory is not None:
            return Quality.OUT_OF_RANGE, replace(memory, newest_ms=ms, register=register), change
    since_ms = ms if memory is None or value != memory.believed else memory.since_ms
    memory = Memory(ms, value, ms, since_ms, register=register)
    frozen = own.frozen
    if frozen is not None and (value != 0 or frozen.zero) and ms - since_ms >= frozen.after_s * 1000:
        doubt = Quality.STALE
    return doubt, memory, change


def _leaps(ms: int, value: float, memory: Memory, max_per_s: float) -> tuple[bool, Memory]:
    """Return whether a value jumped further than it can and is not believed, and the memory after it."""

    def follows(before: float, before_ms: int) -> bool:
        return abs(value - before) <= max_per_s * max(ms - before_ms, 0) / 1000

    if follows(memory.believed, memory.believed_ms):
        return False, memory
    agrees = memory.doubted is not None and follows(memory.doubted, memory.doubted_ms)
    agreeing = memory.agreeing + 1 if agrees else 1
    return agreeing < AGREEING, replace(memory, doubted=value, doubted_ms=ms, agreeing=agreeing)


class Judged(NamedTuple):
    """Readings with their qualities, messages about what changed, and readings whose time cannot be meant."""

    readings: Sequence[Reading]
    said: Sequence[Text]
    misplaced: Sequence[tuple[Reading, Text]] = ()


class Judge:
    """Judges the readings of one resource, in the order in which they come.

    `newest` are its newest stored readings; `levels` the values (milliseconds, kWh) that its registers showed
    before they were doubted, as `levels()` of the process before returned them: a restart forgets nothing.
    `stale_after_s` is the age from which a newest value is stale, where its quantity has no rule for that.
    """

    def __init__(
        self,
        name: str,
        rules: Mapping[str, QuantityRules],
        meter: MeterRules,
        newest: Mapping[str, Reading] | None = None,
        *,
        window: Window | None = None,
        levels: Mapping[str, tuple[int, float]] | None = None,
        stale_after_s: float | None = None,
    ) -> None:
        self._name = name
        self._own = rules
        self._meter = meter
        self._window = window
        self._stale_after_s = stale_after_s or None
        self._rules: dict[str, SeriesRules] = {}
        self._memories: dict[str, Memory] = {
            quantity: _remembered(quantity, to_ms(reading.time), reading.value)
            for quantity, reading in (newest or {}).items()
            if reading.quality in _TRUSTED
        }
        for quantity, (ms, value) in (levels or {}).items():
            known = (newest or {}).get(quantity)
            if known is None or known.quality not in _TRUSTED:
                memory = _remembered(quantity, ms, value)
                newest_ms = ms if known is None else max(ms, to_ms(known.time))
                self._memories[quantity] = replace(memory, newest_ms=newest_ms)
        self._reported: dict[tuple[str, str], int] = {}
        self._arrivals: deque[tuple[int, int]] = deque(maxlen=STEADY_READINGS)
        self._newest_ms = max((to_ms(one.time) for one in (newest or {}).values()), default=None)
        self.marked = 0

    def judge(self, readings: Sequence[Reading], now: datetime | None) -> Judged:
        """Return the readings with their qualities; `now` is when they came, None while that is not known."""
        now_ms = None if now is None else to_ms(now)
        places: dict[str, list[int]] = {}
        for place, reading in enumerate(readings):
            places.setdefault(reading.quantity, []).append(place)
        judged: list[Reading | None] = list(readings)
        said: list[Text] = []
        wrong: list[tuple[Reading, Text]] = []
        for quantity, where in places.items():
            some = [readings[place] for place in where]
            column = self._column(quantity, some, now_ms)
            for place, reading, quality, misplace in zip(
                where, some, column.qualities, column.misplaced, strict=True
            ):
                if misplace is not None:
                    judged[place] = None
                    wrong.append((reading, self._misplaced(reading, misplace, now)))
                elif quality is not None and quality is not reading.quality:
                    judged[place] = msgspec.structs.replace(reading, quality=quality)
                    self.marked += 1
            said += self._noticed(quantity, some, column, now_ms)
        if wrong:
            first = wrong[0][1]
            said += self._once("", first.code, to_ms(wrong[0][0].time) if now_ms is None else now_ms, first)
        elif now_ms is not None and self._window is not None and readings:
            said += self._lag(to_ms(max(one.time for one in readings)), now_ms)
        return Judged([one for one in judged if one is not None], said, wrong)

    def quality_now(self, reading: Reading, now: datetime | None) -> Quality:
        """Return the quality that a newest reading still has: it grows stale when no newer one comes."""
        if reading.quality not in _TRUSTED or now is None:
            return reading.quality
        age_ms = to_ms(now) - to_ms(reading.time)
        if self._window is not None and -age_ms > self._window.ahead_ms:
            return Quality.OUT_OF_RANGE
        stale_after_s = self._own.get(reading.quantity, NO_RULES).stale_after_s or self._stale_after_s
        if stale_after_s is not None and age_ms > stale_after_s * 1000:
            return Quality.STALE
        return reading.quality

    def levels(self) -> dict[str, tuple[int, float]]:
        """Return the last believed value (milliseconds, kWh) of each register that is doubted now."""
        return {
            quantity: (memory.register.level_ms, memory.register.level)
            for quantity, memory in self._memories.items()
            if memory.register is not None and memory.register.agreeing
        }

    def _column(self, quantity: str, some: Sequence[Reading], now_ms: int | None) -> Column:
        rules = self._rules.get(quantity)
        if rules is None:
            own = self._own.get(quantity, NO_RULES)
            rules = self._rules[quantity] = SeriesRules.of(quantity, own, self._meter, self._window)
        column = judge_series(
            [to_ms(one.time) for one in some],
            [one.value for one in some],
            [one.quality for one in some],
            rules,
            memory=self._memories.get(quantity),
            now_ms=now_ms,
        )
        if column.memory is not None:
            self._memories[quantity] = column.memory
        return column

    def _misplaced(self, reading: Reading, kind: Misplaced, now: datetime | None) -> Text:
        """Return what is wrong with the time of a reading."""
        offset_s = 0.0 if now is None else (reading.time - now).total_seconds()
        return _TIMES[kind](name=self._name, time=_spelt(reading.time), offset=_length(offset_s))

    def _noticed(
        self, quantity: str, some: Sequence[Reading], column: Column, now_ms: int | None
    ) -> list[Text]:
        """Return messages about impossible values and registers, those that were not reported lately."""
        said: list[Text] = []
        for change in column.changes:
            time = some[change.place].time
            text = self._change(quantity, change, time)
            # Each restart or exchange is an event; a failing register shows the same again and again.
            for number in range(EVENTS_A_DAY if change.event in ("leap", "restart") else 1):
                if once := self._once(quantity, f"{change.event} {number}", now_ms or to_ms(time), text):
                    said += once
                    break
        if True in column.impossible:
            reading = some[column.impossible.index(True)]
            span = self._rules[quantity].possible
            text = rdg.IMPOSSIBLE(
                name=self._name,
                quantity=quantity,
                value=reading.value,
                time=_spelt(reading.time),
                expected=_expected(span),
            )
            said += self._once(quantity, "impossible", now_ms or to_ms(reading.time), text)
        return said

    def _change(self, quantity: str, change: Change, time: datetime) -> Text:
        about: dict[str, Any] = {
            "name": self._name,
            "quantity": quantity,
            "before": change.before,
            "after": change.after,
            "seconds": change.seconds,
            "time": _spelt(time),
        }
        if change.event == "restart":
            return rdg.COUNTER_RESTART(**about, kwh=change.kwh)
        return {"zero": rdg.COUNTER_ZERO, "slip": rdg.COUNTER_SLIP, "leap": rdg.COUNTER_LEAP}[change.event](
            **about
        )

    def _lag(self, newest_ms: int, now_ms: int) -> list[Text]:
        """Return a message where times are steadily off, or where those of a file go back."""
        window, before_ms = self._window, self._newest_ms
        self._newest_ms = newest_ms if before_ms is None else max(newest_ms, before_ms)
        if window is not None and window.ordered:
            back_ms = 0 if before_ms is None else goes_back_ms(newest_ms, before_ms)
            if back_ms:
                at = _spelt(from_ms(newest_ms))
                text = rdg.TIME_BACK(name=self._name, time=at, offset=_length(back_ms / 1000))
                return self._once("", text.code, now_ms, text)
            if self._arrivals and now_ms - self._arrivals[-1][1] > GROWS_MS:
                self._arrivals.clear()
        if self._arrivals and now_ms - self._arrivals[-1][1] < MINUTE_MS:
            return []
        self._arrivals.append((newest_ms, now_ms))
        lag_ms = steady_lag_ms([one for one, _ in self._arrivals], [one for _, one in self._arrivals])
        if lag_ms is None:
            return []
        message = rdg.TIME_LAG if lag_ms > 0 else rdg.TIME_LEAD
        text = message(name=self._name, offset=_length(lag_ms / 1000))
        return self._once("", text.code, now_ms, text)

    def _once(self, quantity: str, kind: str, now_ms: int, text: Text) -> list[Text]:
        """Return the message unless one of its kind was reported within the last day."""
        last_ms = self._reported.get((quantity, kind))
        if last_ms is not None and abs(now_ms - last_ms) < DAY_MS:
            return []
        if len(self._reported) >= MOST_REPORTED:
            self._reported.clear()
        self._reported[quantity, kind] = now_ms
        return [text]


#: Restarts and exchanges of one register that are reported within a day.
EVENTS_A_DAY = 3
#: Kinds of messages that are remembered, to report each once a day.
MOST_REPORTED = 100


def _expected(span: Possible) -> Text:
    """Return which values of a series can be meant, in words."""
    low, high = span.low, span.high
    if span.kind == "interval":
        low, high = max(low, -span.limit_kw * 24), min(high, span.limit_kw * 24)
    if math.isinf(low) and math.isinf(high):
        return rdg.EXPECTED_OTHER()
    return rdg.EXPECTED_RANGE(low=low, high=high)


def _remembered(quantity: str, ms: int, value: float) -> Memory:
    register = remembered(value, ms) if QUANTITIES.get(quantity) == "register" else None
    return Memory(ms, value, ms, ms, register=register)


def _length(seconds: float) -> str:
    """Return a length of time: days, hours with the minutes that are left, minutes, or seconds below two."""
    seconds = abs(seconds)
    if seconds < 120:
        return age_text(seconds)
    minutes = round(seconds / 60)
    rest = minutes % 60 if 60 <= minutes < 24 * 60 else 0
    return age_text(60 * minutes) + (f" {rest} min" if rest else "")


def _spelt(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
