"""Says of each reading how good it is, by what the connection's options say of its quantity.

    range    5   900    6              900 is impossible: out of range
    jump     5   90     5              faster than it can be: out of range; three that agree are believed
    frozen   5   5      5 ... 5        unchanged for too long: stale, until it changes
    age      5 (of two hours ago)      older than a live value can be: stale

A value is never changed and never left out; it is stored with what was said of it, and only good and
estimated ones are used for energy. Of a counter that starts again or leaps, a sentence is given; what it
counted is for the roll-up to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from venclient.messages import readings as rdg
from venclient.model.quality import Counter, MeterRules, QuantityRules
from venclient.model.reading import QUANTITIES, Quality, Reading
from venclient.readings.counters import STOOD_S, Point, counted_steps

#: So many values in a row that agree with each other are believed, however far they jumped.
AGREEING = 3

NO_RULES = QuantityRules()

_TRUSTED = (Quality.GOOD, Quality.ESTIMATED)


class Judged(NamedTuple):
    """Readings with their qualities, and sentences on what changed with them."""

    readings: Sequence[Reading]
    said: Sequence[str]


@dataclass
class _State:
    """What is remembered of one quantity: a few values, however long it is read."""

    believed: Reading
    value: float
    value_since: datetime
    newest: datetime
    first: datetime
    #: Whether the value may have stood for longer than was seen.
    stood: bool = False
    doubted: Reading | None = None
    agreeing: int = 0


class Judge:
    """Judges the readings of one resource, in the order in which they come.

    `newest` are its newest stored readings, so that a restart forgets nothing.
    """

    def __init__(
        self,
        name: str,
        rules: Mapping[str, QuantityRules],
        meter: MeterRules,
        newest: Mapping[str, Reading] | None = None,
    ) -> None:
        self._name = name
        self._rules = rules
        self._meter = meter
        self._states = {
            quantity: _begun(reading, stood=True)
            for quantity, reading in (newest or {}).items()
            if reading.quality in _TRUSTED
        }
        self.marked = 0

    def judge(self, readings: Sequence[Reading], now: datetime) -> Judged:
        """Give the readings with their qualities; `now` is when they came."""
        said: list[str] = []
        judged = [self._judge(reading, now, said) for reading in readings]
        return Judged(judged, said)

    def quality_now(self, reading: Reading, now: datetime) -> Quality:
        """Give the quality that a newest reading still has: it grows stale when no newer one comes."""
        rules = self._rules.get(reading.quantity, NO_RULES)
        if reading.quality in _TRUSTED and _is_old(reading, rules, now):
            return Quality.STALE
        return reading.quality

    def _judge(self, reading: Reading, now: datetime, said: list[str]) -> Reading:
        if reading.quality not in _TRUSTED:
            return reading
        doubt = self._doubt(reading, now, said)
        if doubt is None:
            return reading
        self.marked += 1
        return msgspec.structs.replace(reading, quality=doubt)

    def _doubt(self, reading: Reading, now: datetime, said: list[str]) -> Quality | None:
        """Give what is wrong with a reading, None when nothing is."""
        rules = self._rules.get(reading.quantity, NO_RULES)
        state = self._states.get(reading.quantity)
        if rules.range is not None and not rules.range.holds(reading.value):
            return Quality.OUT_OF_RANGE
        old = _is_old(reading, rules, now)
        if state is not None and reading.time <= state.newest:
            # What comes late is judged by itself: what was before it is not remembered.
            return Quality.STALE if old else None
        if state is not None and rules.jump is not None and self._leaps(reading, state, rules.jump.max_per_s):
            return Quality.OUT_OF_RANGE
        self._watch_counter(reading, state, rules.counter, said)
        state = self._remember(reading, state)
        return Quality.STALE if old or _is_frozen(reading, state, rules) else None

    def _leaps(self, reading: Reading, state: _State, max_per_s: float) -> bool:
        if _follows(state.believed, reading, max_per_s):
            state.doubted, state.agreeing = None, 0
            return False
        agrees = state.doubted is not None and _follows(state.doubted, reading, max_per_s)
        state.agreeing = state.agreeing + 1 if agrees else 1
        state.doubted = reading
        if state.agreeing < AGREEING:
            return True
        state.doubted, state.agreeing = None, 0
        return False

    def _remember(self, reading: Reading, state: _State | None) -> _State:
        if state is None:
            state = self._states[reading.quantity] = _begun(reading)
        else:
            state.believed, state.newest = reading, reading.time
            if reading.value != state.value:
                state.value, state.value_since, state.stood = reading.value, reading.time, False
            elif state.value_since == state.first:
                state.stood = True
        return state

    def _watch_counter(
        self, reading: Reading, state: _State | None, counter: Counter | None, said: list[str]
    ) -> None:
        """Say of a register that it started again or leaped."""
        if QUANTITIES.get(reading.quantity) != "register" or state is None:
            return
        before = state.believed
        if reading.value == before.value:
            return
        points = [
            Point(state.value_since.timestamp() - (STOOD_S if state.stood else 0.0), before.value, False),
            Point(reading.time.timestamp(), reading.value, False),
        ]
        step = counted_steps(points, counter, self._meter.most_kw)[0]
        if not step.estimated:
            return
        about: dict[str, Any] = {
            "name": self._name,
            "quantity": reading.quantity,
            "before": before.value,
            "after": reading.value,
            "seconds": (reading.time - before.time).total_seconds(),
            "time": f"{reading.time:%Y-%m-%d %H:%M:%S} UTC",
        }
        if step.unknown:
            said.append(rdg.COUNTER_LEAP(**about))
        else:
            said.append(rdg.COUNTER_RESTART(**about, kwh=step.kwh))


def _begun(reading: Reading, *, stood: bool = False) -> _State:
    return _State(reading, reading.value, reading.time, reading.time, reading.time, stood)


def _follows(before: Reading, after: Reading, max_per_s: float) -> bool:
    seconds = (after.time - before.time).total_seconds()
    return abs(after.value - before.value) <= max_per_s * max(seconds, 0.0)


def _is_old(reading: Reading, rules: QuantityRules, now: datetime) -> bool:
    return rules.stale_after_s is not None and (now - reading.time).total_seconds() > rules.stale_after_s


def _is_frozen(reading: Reading, state: _State, rules: QuantityRules) -> bool:
    if rules.frozen is None or (reading.value == 0 and not rules.frozen.zero):
        return False
    return (reading.time - state.value_since).total_seconds() >= rules.frozen.after_s
