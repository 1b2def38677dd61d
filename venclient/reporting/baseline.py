"""What a resource would have done, from what it did on other days: the mean of like days. Pure.

    like days         the last 10 weekdays (for a weekday) or weekend days before the day in question
    value             the mean of what was measured at the same local time on them, at least 3 known
    same-day ratio    measured / mean of like days, over the 3 hours that end an hour before the event
                      (the window, for a forecast); kept within 0.8 and 1.2; for that day only

Days are local ones, as people live by them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo

from venclient.messages import reporting as rep
from venclient.model.reading import Measure, Quality
from venclient.reporting.obligations import Span

LIKE_DAYS = 10
LEAST_DAYS = 3
LEAST_RATIO, MOST_RATIO = 0.8, 1.2
RATIO_FROM, RATIO_TO = timedelta(hours=4), timedelta(hours=1)
#: An event that has gone on for longer no longer says when its resources were last themselves.
LONGEST_EVENT = timedelta(days=7)

METHOD = str(rep.BASELINE_METHOD(days=LIKE_DAYS, least=LEAST_DAYS, low=LEAST_RATIO, high=MOST_RATIO))

Slot = tuple[datetime, datetime]
Measures = Mapping[tuple[str, datetime, datetime], Measure]
Pick = Callable[[Measure], float | None]


def reference(start: datetime, begins: datetime | None, *, forecast: bool) -> datetime:
    """Return the moment before which a resource was not under the influence of what is asked about.

    That is when the event begins (`begins`), unless long ago; for a forecast, when the window starts.
    """
    if forecast or begins is None or not timedelta() <= start - begins <= LONGEST_EVENT:
        return start
    return begins


class LikeDays:
    """Baselines as seen from one moment; local days are those of `zone`, None for the machine's own."""

    def __init__(self, moment: datetime, zone: tzinfo | None = None) -> None:
        self._zone = zone
        self._today = moment.astimezone(zone).date()
        self._slots: dict[Slot, tuple[Slot, ...]] = {}
        self._ratios: dict[str, float] = {}
        self._before: Slot = (moment - RATIO_FROM, moment - RATIO_TO)

    def slots(self, start: datetime, end: datetime) -> tuple[Slot, ...]:
        """Return the same time of day on the like days, newest first."""
        known = self._slots.get((start, end))
        if known is None:
            local = start.astimezone(self._zone)
            days = like_days(self._today, weekend=local.weekday() >= 5)  # from Saturday on
            begins = [self._utc(datetime.combine(day, local.time())) for day in days]
            known = tuple((begin, begin + (end - start)) for begin in begins)
            self._slots[start, end] = known
        return known

    def grid(self, cells: Sequence[Span]) -> list[Slot]:
        """Return all that has to be measured for baselines of `cells`."""
        needed: dict[Slot, None] = {}
        for cell in cells:
            needed.update(dict.fromkeys(self.slots(cell.start, cell.end)))
        if any(self._is_today(cell.start) for cell in cells):
            needed.update(dict.fromkeys((self._before, *self.slots(*self._before))))
        return list(needed)

    def value(
        self,
        resource_id: str,
        start: datetime,
        end: datetime,
        measures: Measures,
        pick: Pick,
        least_coverage: float,
    ) -> tuple[float | None, Quality]:
        """Return the baseline of [start, end), None when too few like days are known.

        `pick` says which value of a measure. GOOD when all like days are.
        """
        mean, quality = self._mean(resource_id, self.slots(start, end), measures, pick, least_coverage)
        if mean is None or not self._is_today(start):
            return mean, quality
        return mean * self._ratio(resource_id, measures, least_coverage), quality

    def _is_today(self, moment: datetime) -> bool:
        return moment.astimezone(self._zone).date() == self._today

    def _ratio(self, resource_id: str, measures: Measures, least_coverage: float) -> float:
        known = self._ratios.get(resource_id)
        if known is None:
            now = measures.get((resource_id, *self._before))
            measured = _mean_kw(now) if now is not None and now.coverage >= least_coverage else None
            usual, _ = self._mean(resource_id, self.slots(*self._before), measures, _mean_kw, least_coverage)
            known = 1.0
            if measured is not None and usual:
                known = measured / usual
                # Opposite signs: no ratio can describe how the day differs from the others.
                known = min(max(known, LEAST_RATIO), MOST_RATIO) if known >= 0 else 1.0
            self._ratios[resource_id] = known
        return known

    def _mean(
        self,
        resource_id: str,
        slots: Sequence[Slot],
        measures: Measures,
        pick: Pick,
        least_coverage: float,
    ) -> tuple[float | None, Quality]:
        found = [measures.get((resource_id, *slot)) for slot in slots]
        known = [
            (value, one.quality)
            for one in found
            if one is not None and one.coverage >= least_coverage and (value := pick(one)) is not None
        ]
        if len(known) < LEAST_DAYS:
            return None, Quality.MISSING
        good = len(known) == LIKE_DAYS and all(quality is Quality.GOOD for _, quality in known)
        mean = sum(value for value, _ in known) / len(known)
        return mean, Quality.GOOD if good else Quality.ESTIMATED

    def _utc(self, local: datetime) -> datetime:
        # A naive time is the machine's own, to `astimezone`.
        return (local if self._zone is None else local.replace(tzinfo=self._zone)).astimezone(UTC)


def like_days(today: date, *, weekend: bool) -> list[date]:
    """Return the last weekdays, or weekend days, before a day, newest first."""
    found: list[date] = []
    day = today
    while len(found) < LIKE_DAYS:
        day -= timedelta(days=1)
        if (day.weekday() >= 5) is weekend:  # from Saturday on
            found.append(day)
    return found


def _mean_kw(measure: Measure) -> float | None:
    return measure.mean_kw
