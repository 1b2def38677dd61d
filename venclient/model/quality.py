"""What a connection says of its values: which are possible, and how its counters count.

A part of `connection.options` of every connector, under the key `quality`, by quantity:

    {"quality": {"power_kw": {"range": {"min": 0, "max": 60}, "frozen": {"after_s": 900}},
                 "energy_kwh": {"counter": {"digits": 6, "max_kw": 60}}}}

docs/explanation/quality.md says what each rule does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from venclient.messages import readings as rdg
from venclient.model.capacities import are_assumed
from venclient.model.resource import Resource

#: The key in a connection's options.
QUALITY = "quality"
#: Under it, beside the quantities: after how many seconds without a value a source is silent.
STALE_AFTER = "stale_after_s"
#: The key that lets in readings older than a live source has.
BACKFILL = "backfill"
#: The options that every connection may have.
COMMON = frozenset({QUALITY, BACKFILL})

#: Above this multiple of a site's stated capacity, drawn or fed in, its counter is not believed.
CAPACITY_MARGIN = 5.0
#: No meter of a site shows more than this, in kW, unless a larger capacity was entered.
MOST_KW = 10_000.0

Positive = Annotated[float, Meta(gt=0)]


class Range(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The values that are possible, both ends included."""

    min: float = -math.inf
    max: float = math.inf

    def __post_init__(self) -> None:
        if not self.min <= self.max:
            raise ValueError(rdg.RANGE_ORDER(least=self.min, most=self.max))

    def holds(self, value: float) -> bool:
        """Return whether a value is possible."""
        return self.min <= value <= self.max


class Jump(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How fast a value can change, in its own unit per second."""

    max_per_s: Positive


class Frozen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """After how many seconds a value that never changes is not believed; a zero only if `zero` says so."""

    after_s: Positive
    zero: bool = False


class Counter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a register counts.

    It starts again from zero at `bits` of `unit_kwh` each, or after `digits` whole ones. `reset` says that
    it may start again at any time, `hourly` that it is brought up to date once an hour, `max_kw` how much
    can go through it.
    """

    bits: Literal[16, 32] | None = None
    digits: Annotated[int, Meta(ge=1, le=15)] | None = None
    unit_kwh: Positive = 1.0
    reset: bool = True
    hourly: bool = False
    max_kw: Positive | None = None

    def __post_init__(self) -> None:
        if self.bits is not None and self.digits is not None:
            raise ValueError(rdg.BITS_AND_DIGITS())

    @property
    def rollover_kwh(self) -> float | None:
        """Where it starts again from zero, None when that was not said."""
        if self.bits is not None:
            return float(2**self.bits) * self.unit_kwh
        return None if self.digits is None else float(10**self.digits) * self.unit_kwh


class QuantityRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is said of one quantity; what is not given is not checked."""

    range: Range | None = None
    jump: Jump | None = None
    frozen: Frozen | None = None
    stale_after_s: Positive | None = None
    counter: Counter | None = None


class MeterRules(msgspec.Struct, frozen=True):
    """What is known of one resource's meter.

    `most_kw` is five times its largest capacity, None when it is missing or only assumed; `entered` says that
    it was entered. `assumed_kw` is the capacity where it is assumed.
    """

    counters: Mapping[str, Counter] = {}
    most_kw: float | None = None
    entered: bool = False
    assumed_kw: float | None = None

    @property
    def limit_kw(self) -> float:
        """The largest power in kW that can be meant: by the entered capacity, else for any meter."""
        return self.most_kw if self.entered and self.most_kw is not None else MOST_KW

    @property
    def hourly(self) -> bool:
        """Whether any of its counters is brought up to date once an hour only."""
        return any(counter.hourly for counter in self.counters.values())


NO_RULES = MeterRules()


def backfills(options: Mapping[str, Any] | None) -> bool:
    """Return True if a connection's options let in readings of any age."""
    return (options or {}).get(BACKFILL) is True


def quantity_rules(options: Mapping[str, Any] | None) -> dict[str, QuantityRules]:
    """Return the rules in a connection's options by quantity; msgspec.ValidationError when invalid."""
    given = (options or {}).get(QUALITY)
    if not isinstance(given, Mapping):
        return {} if given is None else msgspec.convert(given, dict[str, QuantityRules])
    rules = {name: one for name, one in given.items() if name != STALE_AFTER}
    return msgspec.convert(rules, dict[str, QuantityRules])


def silence_limit_s(options: Mapping[str, Any] | None) -> float | None:
    """Return after how many seconds without a value a source is silent; None when its options do not say."""
    given = (options or {}).get(QUALITY)
    limit = given.get(STALE_AFTER) if isinstance(given, Mapping) else None
    if limit is None:
        limit = (options or {}).get("silence_s")  # as MQTT names it; 0: never
    return float(limit) if isinstance(limit, int | float) and not isinstance(limit, bool) else None


def meter_rules(resource: Resource) -> MeterRules:
    """Return what the roll-up must know of a resource, from its options and capacities."""
    rules = quantity_rules(resource.connection.options)
    counters = {name: one.counter for name, one in rules.items() if one.counter is not None}
    largest_kw = _largest_kw(resource.capacities or {})
    if largest_kw is not None and are_assumed(resource):
        return MeterRules(counters, assumed_kw=largest_kw)
    most_kw = None if largest_kw is None else CAPACITY_MARGIN * largest_kw
    return MeterRules(counters, most_kw, entered=most_kw is not None)


def _largest_kw(capacities: Mapping[str, Any]) -> float | None:
    stated = [capacities.get(name) for name in ("P_max_kw", "P_min_kw")]
    numbers = [abs(one) for one in stated if isinstance(one, int | float) and math.isfinite(one)]
    largest = max(numbers, default=0.0)
    return largest if largest > 0 else None
