"""The intervals of a report's resource: those of the event, parts of them, or its own: pure.

    event            7: 00:00-01:00                 9: 01:00-02:00
    INTERVALS        7: 00:00-01:00                 9: 01:00-02:00
    SUB_INTERVALS    7: -00:15  7: -00:30  7: ...   9: -01:15  9: ...      (here every 15 minutes)
    OPEN_INTERVALS   0: -00:15  1: -00:30  2: ...   4: -01:15  5: ...

How long a part is, is said by the resource's own reporting interval, else by a setting. Parts are
counted from where the interval (the gapless run of intervals, when open) begins; the last is as long
as what is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta

from venclient.openadr.objects import ReportDescriptor
from venclient.reporting.obligations import Obligation, Span
from venclient.reporting.targets import Reportable

SUB_INTERVAL_S = 900.0

#: The cost of a value of a baseline or forecast: the days, and the time before, that it is computed from.
DAYS_COST = 12

INTERVALS = "INTERVALS"
SUB_INTERVALS = "SUB_INTERVALS"
OPEN_INTERVALS = "OPEN_INTERVALS"

#: Payload types that are made of other days, whatever they are asked about.
OF_OTHER_DAYS = frozenset({"BASELINE", "DELTA_USAGE", "USAGE_FORECAST"})

#: An interval cut into more than this is a configuration mistake.
MOST_CELLS = 10_000


def of_other_days(descriptor: ReportDescriptor) -> bool:
    """Return whether a descriptor's values are made of what was measured on other days."""
    kind = descriptor.payload_type
    ahead = not descriptor.historical or (descriptor.reading_type or "").upper() == "FORECAST"
    return kind in OF_OTHER_DAYS or (ahead and kind in ("USAGE", "DEMAND"))


def cost_of(descriptors: Iterable[ReportDescriptor]) -> int:
    """Return how many values one interval of one resource stands for."""
    by_kind = {one.payload_type: DAYS_COST if of_other_days(one) else 1 for one in descriptors}
    return max(1, sum(by_kind.values()))


def cadence_s(resources: Sequence[Reportable], sub_interval_s: float = SUB_INTERVAL_S) -> float:
    """Return how long the parts of intervals are for a resource; of several together, the longest."""
    return max((one.interval_s or sub_interval_s for one in resources), default=sub_interval_s)


def cells(spans: Sequence[Span], kind: str, every_s: float) -> Sequence[Span]:
    """Return the intervals of a report on `spans`; `kind` is the descriptor's `reportIntervals`.

    An unknown kind is treated as INTERVALS.
    """
    if kind == SUB_INTERVALS:
        return [cell for span in spans for cell in _cut(span, every_s)]
    if kind == OPEN_INTERVALS:
        whole = [cell for run in _runs(spans) for cell in _cut(run, every_s)]
        return [Span(number, one.start, one.end) for number, one in enumerate(whole)]
    return spans


def cell_counts(obligation: Obligation, resources: Sequence[Reportable], sub_interval_s: float) -> list[int]:
    """Return the number of intervals, of all resources together, on each span of an obligation."""
    kind = obligation.descriptors[0].report_intervals
    if kind not in (SUB_INTERVALS, OPEN_INTERVALS):
        return [len(resources)] * len(obligation.spans)
    cadences = Counter(one.interval_s or sub_interval_s for one in resources)
    lengths = [(span.end - span.start) / timedelta(seconds=1) for span in obligation.spans]
    return [sum(_count(length, every_s) * held for every_s, held in cadences.items()) for length in lengths]


def _count(length_s: float, every_s: float) -> int:
    found = -(-length_s // every_s)
    return int(found) if 1 <= found <= MOST_CELLS else 1


def _cut(span: Span, every_s: float) -> list[Span]:
    number = _count((span.end - span.start) / timedelta(seconds=1), every_s)
    if number == 1:
        return [span]
    step = timedelta(seconds=every_s)
    edges = [span.start + step * index for index in range(number)] + [span.end]
    return [Span(span.id, edges[index], edges[index + 1]) for index in range(number)]


def _runs(spans: Sequence[Span]) -> list[Span]:
    """Return the gapless runs of spans."""
    runs: list[Span] = []
    for span in sorted(spans, key=lambda one: (one.start, one.end)):
        if runs and span.start <= runs[-1].end:
            runs[-1] = Span(runs[-1].id, runs[-1].start, max(runs[-1].end, span.end))
        else:
            runs.append(span)
    return runs
