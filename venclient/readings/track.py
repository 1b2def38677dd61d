"""One series' samples in columns: a few bytes each, and quick to calculate with."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable

from venclient.model.reading import UNUSED, Quality, Reading
from venclient.readings.segments import Sample
from venclient.readings.series import QUALITIES, QUALITY_NUMBERS, from_ms, to_ms

_UNUSED = frozenset(QUALITY_NUMBERS[quality] for quality in UNUSED)


class Track:
    """Times in milliseconds since 1970, in order, and values; `doubtful` has by place what is not GOOD."""

    __slots__ = ("doubtful", "times", "values")

    def __init__(self, samples: Iterable[Sample] = ()) -> None:
        self.times = array("q")
        self.values = array("d")
        self.doubtful: dict[int, int] = {}
        for ms, value, quality in samples:
            self.add(ms, value, quality)

    @classmethod
    def of(cls, readings: Iterable[Reading]) -> Track:
        """Return one series' readings, in the order of their times, as columns."""
        samples = (
            (
                to_ms(one.time),
                one.value,
                None if one.quality is Quality.GOOD else QUALITY_NUMBERS[one.quality],
            )
            for one in readings
        )
        return cls(samples)

    def __len__(self) -> int:
        return len(self.times)

    def add(self, ms: int, value: float, quality: int | None) -> None:
        """Put a sample at the end; it must be later than the others."""
        if quality is not None:
            self.doubt_next(quality)
        self.times.append(ms)
        self.values.append(value)

    def doubt_next(self, quality: int) -> None:
        """Note the quality of the sample that comes next, which is not GOOD."""
        self.doubtful[len(self.times)] = quality

    def readings(self, resource_id: str, quantity: str) -> list[Reading]:
        """Return the samples as readings."""
        return [self._reading(resource_id, quantity, place) for place in range(len(self.times))]

    def last(self, resource_id: str, quantity: str, at_ms: float) -> Reading | None:
        """Return the newest sample at or before a moment that is neither missing nor out of range."""
        place = bisect_right(self.times, at_ms) - 1
        if self.doubtful:
            while place >= 0 and self.doubtful.get(place) in _UNUSED:
                place -= 1
        return self._reading(resource_id, quantity, place) if place >= 0 else None

    def _reading(self, resource_id: str, quantity: str, place: int) -> Reading:
        quality = QUALITIES[self.doubtful.get(place)] if self.doubtful else Quality.GOOD
        return Reading(resource_id, quantity, self.values[place], from_ms(self.times[place]), quality)
