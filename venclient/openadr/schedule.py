"""What events ask for at a moment: starts randomised, packed values split, the event that prevails. Pure.

    written        [0: PRICE 1, 2, 3-----------------][1: PRICE 4---------]     reports follow this line
    split          [PRICE 1--][PRICE 2--][PRICE 3----][PRICE 4------------]
    randomised        [PRICE 1--][PRICE 2--][PRICE 3----][PRICE 4------------]  devices follow this one

- randomizeStart R moves the first interval, and all that follow, by one amount within +-|R|. An interval
  with its own R is moved by that amount instead, and so are those that follow it.
- The amount is drawn from the names of VEN and event: the same after a restart, another at each VEN.
- Intervals that touch go on touching, and none begins before the one before it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import partial
from itertools import pairwise

from msgspec.structs import replace as struct_replace

from venclient.errors import WireError
from venclient.messages import openadr as oad
from venclient.messages.printable import foreign
from venclient.openadr.duration import Duration
from venclient.openadr.enumerations import SINGLE_VALUED_PAYLOADS
from venclient.openadr.objects import Event, ValuesMap
from venclient.openadr.timeline import NEVER, Slot, Timeline, resolve
from venclient.openadr.times import known_time

_ZERO = timedelta(0)
_TICK = timedelta(microseconds=1)
_OLDEST = datetime.min.replace(tzinfo=UTC)


def operating(event: Event, *, anchor: datetime, ven: str) -> Timeline:
    """Return the timeline by which the devices of a VEN act: as written, with starts randomised."""
    line = resolve(event, anchor=anchor)
    problems: list[str] = []
    moves = _moves(event, line, ven, problems)
    if problems:
        line = replace(line, problems=(*line.problems, *problems))
    return _moved(line, moves) if any(moves) else line


def active(line: Timeline, moment: datetime) -> Slot | None:
    """Return what is asked for at `moment`: the interval, or the part of it where it packs several values."""
    slot = line.holding(moment)
    if slot is None:
        return None
    return next((part for part in split(slot) if part.holds(moment)), None)


def split(slot: Slot) -> tuple[Slot, ...]:
    """Return the parts of an interval with one value of each single-valued type; itself when it packs none.

    n values share the interval in n equal parts; types with different n each keep their own. Of an
    interval without end the first value counts.
    """
    packed = {len(one.values) for one in slot.payloads if _is_packed(one)}
    if not packed:
        return (slot,)
    if slot.end is None:
        return (replace(slot, payloads=[_value(one, 0, 1) for one in slot.payloads]),)
    parts = math.lcm(*packed)
    length = slot.end - slot.start
    # Cuts of all types, as multiples of the smallest common part.
    cuts = sorted({parts // n * k for n in packed for k in range(n)} | {parts})
    return tuple(
        Slot(
            slot.index,
            slot.id,
            slot.start + _share(length, begin, parts),
            slot.start + _share(length, end, parts),
            [_value(one, begin, parts) for one in slot.payloads],
        )
        for begin, end in pairwise(cuts)
    )


def _share(length: timedelta, part: int, parts: int) -> timedelta:
    """Return part/parts of a length; the numbers may be larger than a timedelta can be multiplied by."""
    return timedelta(microseconds=round(Fraction(length // _TICK * part, parts)))


def _is_packed(payload: ValuesMap) -> bool:
    return payload.type in SINGLE_VALUED_PAYLOADS and len(payload.values) > 1


def _value(payload: ValuesMap, at: int, parts: int) -> ValuesMap:
    if not _is_packed(payload):
        return payload
    return struct_replace(payload, values=[payload.values[at * len(payload.values) // parts]])


# ---- randomised starts


def _moves(event: Event, line: Timeline, ven: str, problems: list[str]) -> list[timedelta]:
    """Return by how much each interval of the pattern is moved."""
    whole = event.interval_period
    move = _draw(whole.randomize_start if whole else None, event, ven, "intervalPeriod", problems)
    if not event.intervals:
        return [move] * max(1, line.pattern)
    moves = []
    for index, interval in enumerate(event.intervals):
        own = interval.interval_period.randomize_start if interval.interval_period else None
        if own is not None:
            move = _draw(own, event, ven, f"intervals[{index}].intervalPeriod", problems)
        moves.append(move)
    return moves


def _draw(text: str | None, event: Event, ven: str, place: str, problems: list[str]) -> timedelta:
    if text is None:
        return _ZERO
    try:
        width_s = Duration.parse(text).seconds
    except WireError as error:
        problems.append(oad.RANDOMIZE_START(place=place, problem=error))
        return _ZERO
    if width_s is None or width_s > 366 * 86_400.0:
        problems.append(oad.RANDOMIZE_LENGTH(place=place, text=foreign(text)))
        return _ZERO
    seed = hashlib.sha256("\0".join((ven, event.id or event.event_name or "", place)).encode()).digest()
    share = int.from_bytes(seed[:8]) / (2**64 - 1) * 2 - 1
    return timedelta(seconds=abs(width_s) * share)


def _moved(line: Timeline, moves: Sequence[timedelta]) -> Timeline:
    """Return the line with each interval of its pattern moved; a whole event's end moves with its start."""
    limit = line._limit
    if len(set(moves)) > 1:
        moves = _in_order(line, moves)
    slot = partial(_at, line, moves)
    moved_limit = _shifted(limit, moves[0]) if limit is not None else None
    return Timeline(line.count, line.pattern, line.ordered, line.problems, slot, moved_limit)


def _in_order(line: Timeline, moves: Sequence[timedelta]) -> list[timedelta]:
    """Return moves under which no interval begins before the one before it, in a loop's next turn either."""
    shown = [_written(line, index) for index in range(len(moves) + 1)]
    turn = _shifted(shown[-1].start, moves[0]) if shown[-1] is not None else None
    kept: list[timedelta] = []
    latest: datetime | None = None
    for slot, move in zip(shown, moves, strict=False):
        if slot is None:
            kept.append(move)
            continue
        start = _shifted(slot.start, move)
        if latest is not None and line.ordered:
            start = max(start, latest)
        if turn is not None and line.ordered:
            start = min(start, turn)
        latest = start
        kept.append(start - slot.start)
    return kept


def _shifted(moment: datetime, move: timedelta) -> datetime:
    """Return a moved moment, within the calendar."""
    try:
        return moment + move
    except OverflowError:
        return NEVER if move > _ZERO else _OLDEST


def _written(line: Timeline, index: int) -> Slot | None:
    if line.count is not None and index >= line.count:
        return None
    return line._slot(index)


def _at(line: Timeline, moves: Sequence[timedelta], index: int) -> Slot | None:
    slot = _written(line, index)
    if slot is None:
        return None
    start = _shifted(slot.start, moves[index % len(moves)])
    if slot.end is None:
        return replace(slot, start=start)
    end = max(start, _shifted(slot.end, moves[index % len(moves)]))
    after = _written(line, index + 1)
    if after is not None and after.start == slot.end and not slot.is_cancelled:
        end = max(start, _shifted(after.start, moves[(index + 1) % len(moves)]))
    elif slot.is_cancelled:
        end = start
    return replace(slot, start=start, end=end)


# ---- which event prevails


@dataclass(frozen=True, slots=True)
class Prevailing:
    """The event that prevails, and those of equal priority that lost to it, to be shown to people."""

    event: Event
    tied: tuple[Event, ...] = ()


def by_precedence(events: Iterable[Event]) -> list[Event]:
    """Return events with the one that prevails first.

    Priority 0 is the highest, none the lowest (User Guide 7.1). Of equal ones the newest modification
    prevails, and of those the smaller id: the standard leaves it open, and it must not change by itself.
    """
    named = sorted(events, key=lambda event: event.id or "")
    named.sort(key=_modified, reverse=True)
    return sorted(named, key=_priority)


def prevailing(events: Iterable[Event]) -> Prevailing | None:
    """Return the event that prevails among those that are active; None when there is none."""
    ranked = by_precedence(events)
    if not ranked:
        return None
    first = ranked[0]
    return Prevailing(first, tuple(one for one in ranked[1:] if _priority(one) == _priority(first)))


def _priority(event: Event) -> float:
    return math.inf if event.priority is None else event.priority


def _modified(event: Event) -> datetime:
    return known_time(event.modification_date_time) or known_time(event.created_date_time) or _OLDEST
