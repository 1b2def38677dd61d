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
as they come. Nearly all are clear: of a usual time, in a range in which all values are possible, and going on
from the value before. They are taken one by one; only the others are held against the whole rule.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from venclient.messages import Message, Text
from venclient.messages import readings as rdg
from venclient.model.quality import MeterRules, QuantityRules
from venclient.model.reading import QUANTITIES, Quality, Reading
from venclient.readings.counters import USUAL_COUNTER
from venclient.readings.plausible import Possible, clear_ends, impossible, possible
from venclient.readings.register_rule import (
    AGREEING,
    Change,
    Counting,
    RegisterMemory,
    judge_register,
    remembered,
)
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
_MINUTE = timedelta(milliseconds=MINUTE_MS)
_EVER = datetime.max.replace(tzinfo=UTC)
_NEVER = datetime.min.replace(tzinfo=UTC)
_TIMES: Mapping[Misplaced, Message] = {
    "ahead": rdg.TIME_AHEAD,
    "behind": rdg.TIME_BEHIND,
    "stray": rdg.TIME_STRAY,
}


class SeriesRules(NamedTuple):
    """All that one series is judged by. `window` None: its times are not judged.

    `counting` is there for registers. `forgets` says that each value is judged by itself: no rule compares it
    with others or with the time.
    """

    possible: Possible
    own: QuantityRules
    counting: Counting | None
    window: Window | None
    forgets: bool

    @classmethod
    def of(cls, quantity: str, own: QuantityRules, meter: MeterRules, window: Window | None) -> SeriesRules:
        """Return the rules of a quantity of a meter."""
        span = possible(quantity, own, meter)
        is_register = span.kind == "register"
        counting = Counting.of(own.counter or USUAL_COUNTER, meter.most_kw) if is_register else None
        forgets = span.kind == "gauge" and (own.jump, own.frozen, own.stale_after_s) == (None, None, None)
        return cls(span, own, counting, window, forgets)


class Memory(msgspec.Struct, frozen=True, gc=False):
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
    """A judged series: qualities (None: the time cannot be meant), what its register did at which places, and
    the memory after it.
    """

    qualities: list[Quality | None]
    misplaced: list[Misplaced | None]
    impossible: list[bool]
    changes: list[tuple[int, Change]]
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
    changes: list[tuple[int, Change]] = []
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
                changes.append((place, change))
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
    if rules.counting is not None:
        before = None if memory is None else memory.register
        believed, change, register = judge_register(ms, value, before, rules.counting)
        if not believed and memory is not None:
            doubting = msgspec.structs.replace(memory, newest_ms=ms, register=register)
            return Quality.OUT_OF_RANGE, doubting, change
    since_ms = ms if memory is None or value != memory.believed else memory.since_ms
    memory = Memory(ms, value, ms, since_ms, None, 0, 0, register)
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
    doubting = msgspec.structs.replace(memory, doubted=value, doubted_ms=ms, agreeing=agreeing)
    return agreeing < AGREEING, doubting


class _Series:
    """One series of a resource: its rules and memory, and the range in which values need no closer look."""

    __slots__ = ("forgets", "high", "low", "memory", "rules")

    def __init__(self, rules: SeriesRules, memory: Memory | None = None) -> None:
        self.rules = rules
        self.memory = memory
        self.forgets = rules.forgets
        self.low, self.high = math.inf, -math.inf

    def look_closer(self) -> None:
        """Hold the next value against the whole rule."""
        self.low, self.high = math.inf, -math.inf

    def note(self, column: Column, value: float) -> None:
        """Take over the memory after a judged column, of which `value` is the last one."""
        if column.memory is not None:
            self.memory = column.memory
        window = self.rules.window
        if window is None or not window.ordered:  # a row is wrong by those that follow it, too
            self.low, self.high = clear_ends(self.rules.possible, value)

    def goes_on(self, reading: Reading, now: datetime) -> bool:
        """Return True, and remember it, if a reading of a usual time and value goes on from those before."""
        memory, rules = self.memory, self.rules
        if memory is None or (memory.register is not None and memory.register.agreeing):
            return False
        now_ms = None if rules.own.stale_after_s is None else to_ms(now)
        doubt, after, change = _judge(to_ms(reading.time), reading.value, rules, memory, now_ms)
        if doubt is not None or change is not None:
            return False
        self.memory = after
        return True


class Judged(msgspec.Struct, frozen=True, gc=False):
    """Readings with their qualities, messages about what changed, and readings whose time cannot be meant."""

    readings: Sequence[Reading]
    said: Sequence[Text] = ()
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
        self._series: dict[str, _Series] = {}
        for quantity, reading in (newest or {}).items():
            if reading.quality in _TRUSTED:
                self._add(quantity, _remembered(quantity, to_ms(reading.time), reading.value))
        for quantity, (ms, value) in (levels or {}).items():
            known = (newest or {}).get(quantity)
            if known is None or known.quality not in _TRUSTED:
                memory = _remembered(quantity, ms, value)
                newest_ms = ms if known is None else max(ms, to_ms(known.time))
                self._add(quantity, msgspec.structs.replace(memory, newest_ms=newest_ms))
        self._levels: dict[str, tuple[int, float]] = {}
        self._reported: dict[tuple[str, str], int] = {}
        self._arrivals: deque[tuple[int, int]] = deque(maxlen=STEADY_READINGS)
        self._newest_ms = max((to_ms(one.time) for one in (newest or {}).values()), default=None)
        self._lag_due = _EVER if window is None else _NEVER
        # From the last judging at `_now` until `_until`, times from `_first` to `_last` can be meant.
        self._now = self._until = self._first = self._last = _NEVER
        self.marked = 0

    def judge(self, readings: Sequence[Reading], now: datetime | None) -> Judged:
        """Return the readings with their qualities; `now` is when they came, None while that is not known."""
        left = range(len(readings)) if now is None else self._unclear(readings, now)
        found = self._look_closer(readings, left, now) if left else Judged(readings)
        if now is not None and now >= self._lag_due and readings and not found.misplaced:
            lag = self._lag(to_ms(max(one.time for one in readings)), now)
            return Judged(found.readings, [*found.said, *lag])
        return found

    def _unclear(self, readings: Sequence[Reading], now: datetime) -> Sequence[int]:
        """Return the places of the readings that need a closer look; the others are good as they are."""
        if not self._now <= now < self._until:
            self._look_at_clock(now)
        self._now = now
        first, last, series_of = self._first, self._last, self._series
        left: list[int] = []
        for place, reading in enumerate(readings):
            series = series_of.get(reading.quantity)
            if (
                series is not None
                and series.low <= reading.value <= series.high
                and first <= reading.time <= last
                and reading.quality in _TRUSTED
                and (series.forgets or series.goes_on(reading, now))
            ):
                continue
            left.append(place)
            if series is not None:  # those behind it, too: they come in order
                series.look_closer()
        return left

    def _look_at_clock(self, now: datetime) -> None:
        """Note which times can be meant in the next minute, whenever in it they come."""
        if now < self._now:  # what is remembered may be of times ahead
            for series in self._series.values():
                series.look_closer()
        self._until = now + _MINUTE
        window = self._window
        self._first, self._last = _NEVER, _EVER
        if window is not None:
            self._last = now + timedelta(milliseconds=window.ahead_ms)
            if window.behind_ms is not None:
                self._first = self._until - timedelta(milliseconds=window.behind_ms)

    def _look_closer(self, readings: Sequence[Reading], left: Sequence[int], now: datetime | None) -> Judged:
        """Hold the readings at some places against the whole rule."""
        now_ms = None if now is None else to_ms(now)
        places: dict[str, list[int]] = {}
        for place in left:
            places.setdefault(readings[place].quantity, []).append(place)
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
            if column.changes or True in column.impossible:
                said += self._noticed(quantity, some, column, now_ms)
        if wrong:
            first = wrong[0][1]
            said += self._once("", first.code, to_ms(wrong[0][0].time) if now_ms is None else now_ms, first)
            return Judged([one for one in judged if one is not None], said, wrong)
        return Judged([one for one in judged if one is not None], said)

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
        return self._levels

    def _add(self, quantity: str, memory: Memory | None = None) -> _Series:
        rules = SeriesRules.of(quantity, self._own.get(quantity, NO_RULES), self._meter, self._window)
        series = self._series[quantity] = _Series(rules, memory)
        return series

    def _column(self, quantity: str, some: Sequence[Reading], now_ms: int | None) -> Column:
        series = self._series.get(quantity) or self._add(quantity)
        column = judge_series(
            [to_ms(one.time) for one in some],
            [one.value for one in some],
            [one.quality for one in some],
            series.rules,
            memory=series.memory,
            now_ms=now_ms,
        )
        series.note(column, some[-1].value)
        if series.rules.counting is not None:
            self._note_level(quantity, series.memory)
        return column

    def _note_level(self, quantity: str, memory: Memory | None) -> None:
        register = None if memory is None else memory.register
        levels = {name: level for name, level in self._levels.items() if name != quantity}
        if register is not None and register.agreeing:
            levels[quantity] = (register.level_ms, register.level)
        self._levels = levels

    def _misplaced(self, reading: Reading, kind: Misplaced, now: datetime | None) -> Text:
        """Return what is wrong with the time of a reading."""
        offset_s = 0.0 if now is None else (reading.time - now).total_seconds()
        return _TIMES[kind](name=self._name, time=_spelt(reading.time), offset=_length(offset_s))

    def _noticed(
        self, quantity: str, some: Sequence[Reading], column: Column, now_ms: int | None
    ) -> list[Text]:
        """Return messages about impossible values and registers, those that were not reported lately."""
        said: list[Text] = []
        for place, change in column.changes:
            time = some[place].time
            text = self._change(quantity, change, time)
            # Each restart or exchange is an event; a failing register shows the same again and again.
            for number in range(EVENTS_A_DAY if change.event in ("leap", "restart") else 1):
                if once := self._once(quantity, f"{change.event} {number}", now_ms or to_ms(time), text):
                    said += once
                    break
        if True in column.impossible:
            reading = some[column.impossible.index(True)]
            span = self._series[quantity].rules.possible
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

    def _lag(self, newest_ms: int, now: datetime) -> list[Text]:
        """Return a message where times are steadily off, or where those of a file go back.

        It is looked at once a minute, files are with each of their batches.
        """
        window, before_ms, now_ms = self._window, self._newest_ms, to_ms(now)
        self._newest_ms = newest_ms if before_ms is None else max(newest_ms, before_ms)
        if window is None or not window.ordered:
            self._lag_due = now + _MINUTE
        else:
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
