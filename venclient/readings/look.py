"""Looking into the readings file: fresh readings and compressed history as one, in one state of the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

import apsw
import msgspec

from venclient.model.quality import NO_RULES, MeterRules
from venclient.model.reading import Reading
from venclient.readings.fresh import Fresh
from venclient.readings.history import History
from venclient.readings.layout import MOMENT_MASK, SERIES_BITS, SERIES_MASK
from venclient.readings.quarters import QUARTER_MS, Quarter, quarters
from venclient.readings.segments import Sample
from venclient.readings.series import MILLISECOND, NEIGHBOUR_REACH, QUALITIES, from_ms, to_ms
from venclient.readings.track import Track

REACH_MS = NEIGHBOUR_REACH // MILLISECOND
#: So much of the history is put in time order at once.
CHUNK_MS = 6 * 3_600_000

#: So many samples in columns (16 bytes each) may be held.
SAMPLES_AT_ONCE = 1_000_000

#: Bookmarks that hold a resource's rules: its quarters are made by them, wherever that is done.
RULES = "rules:"
RULES_SPAN = (RULES, "rules;")
HOURLY_QUARTERS = 8

Series = tuple[str, str]
Found = dict[str, dict[str, list[Reading]]]
FoundTracks = dict[str, dict[str, Track]]


class Look:
    """What can be read of an open file. Times are aware UTC; what SQLite refuses comes as apsw.Error."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self.fresh = Fresh(connection)
        self.history = History(connection)
        self._ids: dict[Series, int] = {}
        self._names: dict[int, Series] = {}
        #: Newest committed key of each series, by its id.
        self.newest: dict[int, int] = {}

    def bookmarks(self) -> dict[str, str]:
        """Return all bookmarks."""
        return {str(key): str(value) for key, value in self.connection.execute("SELECT * FROM bookmark")}

    def rules(self) -> dict[str, MeterRules]:
        """Return how the meters count, by resource, as the gateway stored it."""
        chosen = "SELECT key, value FROM bookmark WHERE key >= ? AND key < ?"
        found = {}
        for key, value in self.connection.execute(chosen, RULES_SPAN):
            with suppress(msgspec.MsgspecError):
                found[str(key).removeprefix(RULES)] = msgspec.json.decode(str(value), type=MeterRules)
        return found

    def resources(self) -> dict[str, list[str]]:
        """Return the quantities known of each resource."""
        known: dict[str, list[str]] = {}
        for resource_id, quantity in sorted(self._ids):
            known.setdefault(resource_id, []).append(quantity)
        return known

    def latest(self) -> dict[str, dict[str, Reading]]:
        """Return the newest reading of every quantity of every resource."""
        found: dict[str, dict[str, Reading]] = {}
        for number, key in self.newest.items():
            sample = self._at(key)
            if sample is not None:
                (reading,) = self.readings(number, [sample])
                found.setdefault(reading.resource_id, {})[reading.quantity] = reading
        return found

    def windows(
        self,
        resource_ids: Sequence[str],
        start: datetime,
        end: datetime,
        newest: Mapping[int, int],
    ) -> Found:
        """Return the readings of start <= time <= end with their neighbours, by resource and quantity.

        `newest` are the newest committed keys; a series that ends before `start` is not searched for.
        """
        found: Found = {resource_id: {} for resource_id in resource_ids}
        for number, samples in self._window_samples(resource_ids, start, end, newest).items():
            resource_id, quantity = self._names[number]
            found[resource_id][quantity] = self.readings(number, samples)
        return found

    def tracks(
        self,
        resource_ids: Sequence[str],
        start: datetime,
        end: datetime,
        newest: Mapping[int, int],
        at_once: int,
    ) -> FoundTracks:
        """Return what `windows` returns, in columns; quickly where none of it is compressed yet.

        Of the first resources only: `at_once`, or the number that fits into memory (SAMPLES_AT_ONCE).
        """
        first_ms, last_ms = -(-(start - from_ms(0)) // MILLISECOND), to_ms(end)
        with self.connection:
            history_ms = self.history.end_ms()
            if first_ms >= history_ms:
                each = self.fresh.estimate(first_ms, last_ms) / max(1, len({one for one, _ in self._ids}))
                at_once = max(at_once, int(SAMPLES_AT_ONCE / max(each, 1)))
            resource_ids = resource_ids[:at_once]
            numbers = self.numbers(resource_ids)
            if first_ms < history_ms:
                samples = self._window_samples(resource_ids, start, end, newest)
                tracks = {number: Track(some) for number, some in samples.items()}
            else:
                tracks = {number: Track() for number in sorted(numbers)}
                for number, sample in self._befores(numbers, first_ms, newest, history_ms):
                    tracks[number].add(*sample)
                # All of a fleet's readings go through here: the least is done for each, and nothing is kept
                # that the garbage collector would look through.
                ends = {number: (one.times.append, one.values.append) for number, one in tracks.items()}
                mask, bits = SERIES_MASK, SERIES_BITS
                for key, value, quality in self.fresh.rows(self._chosen(numbers), first_ms, last_ms):
                    add_time, add_value = ends[key & mask]
                    if quality is not None:
                        tracks[key & mask].doubt_next(quality)
                    add_time(key >> bits)
                    add_value(value)
                for number, sample in self._afters(numbers, last_ms, newest, history_ms):
                    tracks[number].add(*sample)
        found: FoundTracks = {resource_id: {} for resource_id in resource_ids}
        for number, track in tracks.items():
            if track:
                resource_id, quantity = self._names[number]
                found[resource_id][quantity] = track
        return found

    def _window_samples(
        self, resource_ids: Sequence[str], start: datetime, end: datetime, newest: Mapping[int, int]
    ) -> dict[int, list[Sample]]:
        numbers = self.numbers(resource_ids)
        first_ms, last_ms = -(-(start - from_ms(0)) // MILLISECOND), to_ms(end)
        samples: dict[int, list[Sample]] = {}
        with self.connection:  # one state of the file, while readings move from one table to another
            history_ms = self.history.end_ms()
            for number, sample in self._befores(numbers, first_ms, newest, history_ms):
                samples[number] = [sample]
            for number, found_inside in self._inside(numbers, first_ms, last_ms, history_ms).items():
                samples.setdefault(number, []).extend(found_inside)
            for number, sample in self._afters(numbers, last_ms, newest, history_ms):
                samples.setdefault(number, []).append(sample)
        return dict(sorted(samples.items()))

    def numbers(self, resource_ids: Iterable[str] | None = None, quantity: str | None = None) -> set[int]:
        """Return the ids of the series of some resources, or all, and of one quantity, or all."""
        wanted = None if resource_ids is None else set(resource_ids)
        return {
            number
            for number, series in self._names.items()
            if (wanted is None or series[0] in wanted) and quantity in (None, series[1])
        }

    def _chosen(self, numbers: set[int]) -> set[int] | None:
        return numbers if len(numbers) < len(self._names) else None

    def named(self, number: int) -> Series:
        """Return the resource and quantity of a series id."""
        return self._names[number]

    def readings(self, number: int, samples: Iterable[Sample]) -> list[Reading]:
        """Return one series' samples as readings."""
        resource_id, quantity = self._names[number]
        return [
            Reading(resource_id, quantity, value, from_ms(ms), QUALITIES[quality])
            for ms, value, quality in samples
        ]

    def rows(
        self, start: datetime, end: datetime, resource_id: str | None = None, quantity: str | None = None
    ) -> Iterator[Reading]:
        """Yield readings of start <= time < end in time order, without loading them all."""
        numbers = self.numbers(None if resource_id is None else [resource_id], quantity)
        at_ms, last_ms = to_ms(start), to_ms(end) - 1
        while numbers and at_ms <= last_ms:
            history_ms = self.history.end_ms()
            if at_ms >= history_ms:
                break
            # Up to the end of the chunk or of the history, whichever is nearer.
            until_ms = min(last_ms, history_ms - 1, at_ms // CHUNK_MS * CHUNK_MS + CHUNK_MS - 1)
            with self.connection:
                found = self._inside(numbers, at_ms, until_ms, history_ms)
                next_ms = until_ms + 1 if found else self._next_ms(numbers, until_ms + 1)
            yield from sorted(
                (one for number, samples in found.items() for one in self.readings(number, samples)),
                key=lambda one: one.time,
            )
            at_ms = next_ms
        for key, value, quality in self.fresh.rows(self._chosen(numbers), at_ms, last_ms):
            yield from self.readings(key & SERIES_MASK, [(key >> SERIES_BITS, value, quality)])

    def _next_ms(self, numbers: set[int], from_ms_: int) -> int:
        """Return the first moment from which there is more; far in the future when there is none."""
        found = (self.history.next_ms(number, from_ms_) for number in numbers)
        starts = [start_ms for start_ms in found if start_ms is not None]
        for (key,) in self.connection.execute(
            "SELECT k FROM reading WHERE k >= ? ORDER BY k LIMIT 1", (from_ms_ << SERIES_BITS,)
        ):
            starts.append(key >> SERIES_BITS)
        return max(from_ms_, min(starts, default=MOMENT_MASK))

    def _inside(
        self, numbers: set[int], first_ms: int, last_ms: int, history_ms: int
    ) -> dict[int, list[Sample]]:
        """Return samples of first_ms <= time <= last_ms by series; of two at a moment the fresh one."""
        found: dict[int, list[Sample]] = {}
        for key, value, quality in self.fresh.rows(self._chosen(numbers), first_ms, last_ms):
            found.setdefault(key & SERIES_MASK, []).append((key >> SERIES_BITS, value, quality))
        if first_ms >= history_ms:
            return found
        for number in numbers:
            old = self.history.inside(number, first_ms, last_ms)
            if old:
                found[number] = merged(old, found.get(number, []))
        return found

    def _at(self, key: int) -> Sample | None:
        """Return the sample of a key of `reading`, wherever it is stored by now."""
        return self.fresh.at(key) or self.history.at(key & SERIES_MASK, key >> SERIES_BITS)

    def _befores(
        self, numbers: set[int], first_ms: int, newest: Mapping[int, int], history_ms: int
    ) -> Iterator[tuple[int, Sample]]:
        """Yield the last samples before a moment, at most a day back."""
        keys = {key & SERIES_MASK: key for key in self.fresh.before(numbers, first_ms, newest, REACH_MS)}
        if history_ms <= first_ms - REACH_MS:
            numbers = numbers & keys.keys()  # the history ends too early to have any
        for number in numbers:
            sample = self._at(keys[number]) if number in keys else None
            # What was searched for among the fresh ones only may have a later one in the history.
            going_on = newest.get(number, -1) >> SERIES_BITS >= first_ms
            if going_on and (sample is None or sample[0] < history_ms):
                old = self.history.before(number, first_ms, REACH_MS)
                if old is not None and (sample is None or old[0] > sample[0]):
                    sample = old
            if sample is not None:
                yield number, sample

    def _afters(
        self, numbers: set[int], last_ms: int, newest: Mapping[int, int], history_ms: int
    ) -> Iterator[tuple[int, Sample]]:
        """Yield the first samples after a moment, at most a day later."""
        old: dict[int, Sample] = {}
        if last_ms < history_ms:
            found = ((number, self.history.after(number, last_ms, REACH_MS)) for number in numbers)
            old = {number: sample for number, sample in found if sample is not None}
        # Beyond what the history has there is nothing nearer: a search on would meet all fresh readings.
        reach_ms = REACH_MS
        if len(old) == len(numbers):
            reach_ms = max((sample[0] - last_ms for sample in old.values()), default=0)
        keys = {key & SERIES_MASK: key for key in self.fresh.after(numbers, last_ms, newest, reach_ms)}
        for number in numbers:
            sample = self._at(keys[number]) if number in keys else None
            if number in old and (sample is None or old[number][0] < sample[0]):
                sample = old[number]
            if sample is not None:
                yield number, sample

    def _complete(self) -> int:
        """Return the first quarter that is not made of history alone; what comes late is made again."""
        before_ms, moved_ms = self.history.compression()
        return min(moved_ms or before_ms, self.history.end_ms() + QUARTER_MS - 1) // QUARTER_MS

    def quarters(
        self, resource_ids: Sequence[str], start: datetime, end: datetime
    ) -> dict[str, dict[str, list[Quarter]]]:
        """Return the quarters that lie in start..end, by resource and quantity, in time order.

        Those of the history are kept; of what is fresher they are made now, of its readings.
        """
        first, last = -(-to_ms(start) // QUARTER_MS), to_ms(end) // QUARTER_MS - 1
        numbers = self.numbers(resource_ids)
        fresh = max(first, self._complete(), self.history.final_ms() // QUARTER_MS + 1)
        kept = self.history.quarters(numbers, first, min(last, fresh - 1))
        found: dict[str, dict[str, list[Quarter]]] = {resource_id: {} for resource_id in resource_ids}
        for number in sorted(kept):
            resource_id, quantity = self._names[number]
            found[resource_id][quantity] = kept[number]
        if fresh <= last:
            rules = self.rules()
            # An hourly counter's update before the first quarter, and the one after the last.
            around = HOURLY_QUARTERS if any(one.hourly for one in rules.values()) else 1
            reach = (from_ms((fresh - around) * QUARTER_MS), from_ms((last + 1 + around) * QUARTER_MS))
            for resource_id, series in self.windows(resource_ids, *reach, self.newest).items():
                for quantity, readings in series.items():
                    meter = rules.get(resource_id, NO_RULES)
                    made = list(quarters(quantity, readings, fresh, last, meter))
                    if made:
                        found[resource_id].setdefault(quantity, []).extend(made)
        return found


def merged(old: list[Sample], fresh: list[Sample]) -> list[Sample]:
    """Return both in time order; of two at the same moment the fresh one."""
    if not fresh or not old or old[-1][0] < fresh[0][0]:
        return old + fresh
    return sorted(({sample[0]: sample for sample in old} | {one[0]: one for one in fresh}).values())
