"""What has to be measured before a report can be made: for which resources, over which intervals. Pure,
but for `gathered`, which has it measured."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from venclient.model.reading import Measure
from venclient.reporting.baseline import LikeDays, reference
from venclient.reporting.grids import cadence_s, cells, of_other_days
from venclient.reporting.obligations import Obligation, Span
from venclient.reporting.payloads import BuildOptions
from venclient.reporting.targets import Asked, Reportable

Grid = Sequence[tuple[datetime, datetime]]
Measuring = Callable[[Sequence[str], Grid], Awaitable[Mapping[tuple[str, datetime, datetime], Measure]]]

#: The state of a resource now is what was measured in this time before.
NOW = timedelta(minutes=15)

#: Payload types that say nothing about measured time.
_UNMEASURED = frozenset(
    {
        "STORAGE_USABLE_CAPACITY",
        "STORAGE_MAX_CHARGE_POWER",
        "STORAGE_MAX_DISCHARGE_POWER",
        "SETPOINT",
        "DATA_QUALITY",
    }
)
_OF_STATE = frozenset({"UP_REGULATION_AVAILABLE", "DOWN_REGULATION_AVAILABLE"})


@dataclass(frozen=True)
class Need:
    """Resources whose intervals are the same."""

    resource_ids: tuple[str, ...]
    grid: tuple[tuple[datetime, datetime], ...]


def cells_of(obligation: Obligation, together: Sequence[Reportable], options: BuildOptions) -> Sequence[Span]:
    """Return the intervals of a report on resources, one alone or several in a sum."""
    kind = obligation.descriptors[0].report_intervals
    return cells(obligation.spans, kind, cadence_s(together, options.sub_interval_s))


def like_days_of(obligation: Obligation, options: BuildOptions) -> LikeDays | None:
    """Return the baselines that an obligation asks for; None when it asks for none."""
    asked = [one for one in obligation.descriptors if of_other_days(one)]
    if not asked:
        return None
    forecast = any(not one.historical for one in asked)
    moment = reference(obligation.start, obligation.begins, forecast=forecast)
    return LikeDays(moment, options.zone)


def now_of(obligation: Obligation) -> tuple[datetime, datetime] | None:
    """Return the time whose state a forecast goes on from; None when nothing asks for that."""
    ahead = any(not one.historical and one.payload_type in _OF_STATE for one in obligation.descriptors)
    return (obligation.start - NOW, obligation.start) if ahead else None


def is_measured(obligation: Obligation) -> bool:
    """Return whether a report says anything that was measured in its intervals."""
    return any(
        one.historical and one.payload_type not in _UNMEASURED | {"BASELINE", "USAGE_FORECAST"}
        for one in obligation.descriptors
    )


def needs(obligation: Obligation, resources: Sequence[Reportable], options: BuildOptions) -> list[Need]:
    """Return what has to be measured for a report of `obligation` on `resources`; only of those asked for."""
    usual, now = like_days_of(obligation, options), now_of(obligation)
    measured = is_measured(obligation)
    found: dict[tuple[tuple[datetime, datetime], ...], dict[str, None]] = {}
    grids: dict[float, tuple[tuple[datetime, datetime], ...]] = {}
    for together in _together(obligation, resources, options):
        every_s = cadence_s(together, options.sub_interval_s)
        if every_s not in grids:
            intervals = cells_of(obligation, together, options)
            grid = [(one.start, one.end) for one in intervals] if measured else []
            grid += [now] if now else []
            grid += usual.grid(intervals) if usual else []
            grids[every_s] = tuple(dict.fromkeys(grid))
        if grids[every_s]:
            found.setdefault(grids[every_s], {}).update((one.resource_id, None) for one in together)
    return [Need(tuple(ids), grid) for grid, ids in found.items()]


async def gathered(
    measuring: Measuring, obligation: Obligation, resources: Sequence[Reportable], options: BuildOptions
) -> Mapping[tuple[str, datetime, datetime], Measure]:
    """Return the measures that a report of `obligation` on `resources` needs, by resource and interval."""
    asked = needs(obligation, resources, options)
    if len(asked) == 1:
        return await measuring(asked[0].resource_ids, asked[0].grid)
    measures: dict[tuple[str, datetime, datetime], Measure] = {}
    for need in asked:
        measures |= await measuring(need.resource_ids, need.grid)
    return measures


def _together(
    obligation: Obligation, resources: Sequence[Reportable], options: BuildOptions
) -> list[list[Reportable]]:
    """Group the resources that are reported on the same intervals: by cadence, and those of each sum."""
    plain = [one.targets for one in obligation.descriptors if not one.aggregate]
    groups: dict[float | None, list[Reportable]] = {}
    asked = Asked(obligation.event_targets, resources, options.ven_targets)
    for one in asked.by_any(plain) if plain else ():
        groups.setdefault(one.interval_s, []).append(one)
    sums = [asked.by(one.targets) for one in obligation.descriptors if one.aggregate]
    return [*groups.values(), *(some for some in sums if some)]
