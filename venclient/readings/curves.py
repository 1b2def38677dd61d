"""Readings of one quantity as power over time: segments whose energy can be taken between any two moments."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from venclient.model.quality import Counter
from venclient.model.reading import Quality, Reading
from venclient.readings.counters import USUAL_COUNTER, Point, counted_steps, hourly_points

GAP_SPACINGS = 3.0
GAP_FLOOR_S = 60.0
GAP_CEILING_S = 2 * 3600.0

#: For registers that count whole hours: less than this share of an hour at an interval's edge is not a guess.
EVEN_EDGE = 0.01

_TRUSTED = (Quality.GOOD, Quality.ESTIMATED)


class Part(NamedTuple):
    """What lies between two moments: energy of `known_s` seconds, of which readings vouch for `vouched_s`."""

    kwh: float
    known_s: float
    vouched_s: float
    estimated: bool

    def minus(self, other: Part) -> Part:
        """Return this part's energy minus the other's, as far as both are known."""
        return Part(
            self.kwh - other.kwh,
            min(self.known_s, other.known_s),
            min(self.vouched_s, other.vouched_s),
            self.estimated or other.estimated,
        )


class Segment(NamedTuple):
    """Power between two moments, on a straight line from `start_kw` to `end_kw`.

    `whole` segments are known in sum only: a share of one is unknown, and a share of an `even` one is
    a guess. `beyond` ones stretch the newest reading to the live edge: known, but not vouched for.
    `unknown` ones are where something was counted that cannot be: it is left out, and that is said.
    """

    start_s: float
    end_s: float
    start_kw: float
    end_kw: float
    estimated: bool = False
    whole: bool = False
    beyond: bool = False
    even: bool = False
    unknown: bool = False

    def at(self, time_s: float) -> float:
        """Return the power in kW at a moment inside."""
        share = (time_s - self.start_s) / (self.end_s - self.start_s)
        return self.start_kw + (self.end_kw - self.start_kw) * share


class Curve:
    """Segments in time order that do not overlap."""

    def __init__(self, segments: list[Segment]) -> None:
        self._segments = segments
        self._starts = [segment.start_s for segment in segments]

    def between(self, start_s: float, end_s: float) -> Part:
        """Return the energy between two moments, as far as it is known."""
        kwh = known_s = vouched_s = 0.0
        estimated = False
        index = max(0, bisect_right(self._starts, start_s) - 1)
        while index < len(self._segments) and self._starts[index] < end_s:
            segment = self._segments[index]
            index += 1
            left, right = max(start_s, segment.start_s), min(end_s, segment.end_s)
            inside = left == segment.start_s and right == segment.end_s
            if right <= left or (segment.whole and not inside):
                continue
            if segment.unknown:
                estimated = True
                continue
            seconds = right - left
            kwh += (segment.at(left) + segment.at(right)) / 2 * seconds / 3600
            known_s += seconds
            estimated = estimated or segment.estimated
            if segment.even and not inside:
                share = seconds / (segment.end_s - segment.start_s)
                estimated = estimated or EVEN_EDGE < share < 1 - EVEN_EDGE
            if not segment.beyond:
                vouched_s += seconds
        return Part(kwh, known_s, vouched_s, estimated)


def points_of(readings: Sequence[Reading]) -> list[Point]:
    """Return the values to calculate with, in time order; of two at one time the later added wins.

    Stale, missing and out-of-range values are left out, as if they had not been read.
    """
    kept: dict[float, Point] = {}
    for reading in readings:
        if reading.quality in _TRUSTED and math.isfinite(reading.value):
            time_s = reading.time.timestamp()
            kept[time_s] = Point(time_s, reading.value, reading.quality is not Quality.GOOD)
    return sorted(kept.values())


def usual_spacing_s(points: Sequence[Point]) -> float | None:
    """Return the median time between values; None with fewer than three spacings.

    Two spacings are enough when they agree within a tenth.
    """
    spacings = [after.time_s - before.time_s for before, after in pairwise(points)]
    if len(spacings) >= 3 or (len(spacings) == 2 and max(spacings) <= 1.1 * min(spacings)):
        return median(spacings)
    return None


def longest_gap_s(points: Sequence[Point], given_s: float | None) -> float:
    """Return the longest time between two values that are joined."""
    if given_s is not None:
        return given_s
    spacing_s = usual_spacing_s(points)
    if spacing_s is None:
        return GAP_FLOOR_S
    return min(max(GAP_SPACINGS * spacing_s, GAP_FLOOR_S), GAP_CEILING_S)


def power_curve(points: Sequence[Point], max_gap_s: float | None) -> Curve:
    """Return the curve of power samples in kW, joined by straight lines where the gap is not too long."""
    gap_s = longest_gap_s(points, max_gap_s)
    segments = [
        Segment(before.time_s, after.time_s, before.value, after.value, before.estimated or after.estimated)
        for before, after in pairwise(points)
        if after.time_s - before.time_s <= gap_s
    ]
    return Curve(_to_live_edge(segments, points, gap_s, points[-1].value))


def register_curve(
    points: Sequence[Point],
    max_gap_s: float | None,
    counter: Counter = USUAL_COUNTER,
    most_kw: float | None = None,
) -> Curve:
    """Return the curve of a register in kWh that only counts up, through resets, rollovers and glitches.

    What a register lost with a reset is unknown; the segment then holds what it counted since, when the
    meter could have been that fast, and is estimated. A step that the meter cannot have counted (it was
    exchanged) is left out.
    """
    gap_s = longest_gap_s(points, max_gap_s)
    if counter.hourly:
        points = hourly_points(points)
        gap_s = max(gap_s, GAP_CEILING_S)
    segments = [
        Segment(
            step.start_s,
            step.end_s,
            step.kwh * 3600 / (step.end_s - step.start_s),
            step.kwh * 3600 / (step.end_s - step.start_s),
            step.estimated,
            whole=step.end_s - step.start_s > gap_s,
            even=counter.hourly,
            unknown=step.unknown,
        )
        for step in counted_steps(points, counter, most_kw)
    ]
    if not segments or segments[-1].unknown:
        return Curve(segments)
    return Curve(_to_live_edge(segments, points, gap_s, segments[-1].end_kw))


def interval_curve(points: Sequence[Point], _max_gap_s: float | None) -> Curve:
    """Return the curve of readings that are the energy in kWh of the time before their stamp.

    That time goes back to the reading before, or by the usual spacing where that one is missing.
    A reading vouches for all its interval, however long, so no longest gap applies.
    """
    spacings = [after.time_s - before.time_s for before, after in pairwise(points)]
    if not spacings:
        return Curve([])
    usual_s = median(spacings)
    segments = []
    for point, since_s in zip(points, [usual_s, *spacings], strict=True):
        seconds = since_s if since_s <= 1.5 * usual_s else usual_s
        power_kw = point.value * 3600 / seconds
        segments.append(Segment(point.time_s - seconds, point.time_s, power_kw, power_kw, point.estimated))
    return Curve(segments)


def _to_live_edge(
    segments: list[Segment], points: Sequence[Point], gap_s: float, power_kw: float
) -> list[Segment]:
    """Let the newest reading hold for one usual spacing, as long as the next one is not there yet."""
    spacing_s = usual_spacing_s(points)
    newest = points[-1]
    if not segments or spacing_s is None or segments[-1].end_s != newest.time_s:
        return segments
    reach_s = min(spacing_s, gap_s)
    edge = Segment(newest.time_s, newest.time_s + reach_s, power_kw, power_kw, newest.estimated, beyond=True)
    return [*segments, edge]
