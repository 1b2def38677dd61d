"""What a look into the journal finds to be sent to InfluxDB; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from venclient.model.reading import Reading
from venclient.readings import line_protocol
from venclient.readings.aside import Aside
from venclient.readings.influx_query import REACH_MS
from venclient.readings.line_protocol import Line, Tags, lines
from venclient.readings.series import to_ms

#: What those that InfluxDB will never take are quarantined under.
PLACE = "influxdb"


class Due(NamedTuple):
    """What a look into the journal found to be sent, and where each resource's neighbours may be.

    `next_ms` is the first moment after the end, `previous_ms` the last one before the start, at which a
    resource may have a reading.
    """

    lines: list[Line]
    readings: int
    newest_ms: dict[str, int]
    unwritable: list[Aside]
    next_ms: dict[str, int]
    previous_ms: dict[str, int]


def sorted_out(
    found: Mapping[str, Mapping[str, Sequence[Reading]]],
    starts: Mapping[str, int],
    ends: Mapping[str, int],
    tags: Mapping[str, Tags],
    graded_until_ms: Mapping[str, int],
) -> Due:
    """Return what of the journal's windows is to be sent: each resource from its start to its end."""
    wanted: list[Reading] = []
    newest_ms: dict[str, int] = {}
    unwritable: list[Aside] = []
    next_ms: dict[str, int] = {}
    previous_ms: dict[str, int] = {}
    asked_ms = min(starts.values(), default=0)
    for id_, start in starts.items():
        end = ends[id_]
        # The journal's neighbours reach a day: where there is none, nothing comes so soon.
        next_ms[id_] = end + REACH_MS + 1
        previous_ms[id_] = asked_ms - REACH_MS - 1
        for readings in found[id_].values():
            if readings and (ms := to_ms(readings[-1].time)) > end:
                next_ms[id_] = min(next_ms[id_], ms)
            if readings and (ms := to_ms(readings[0].time)) < asked_ms:
                previous_ms[id_] = max(previous_ms[id_], ms)
            chosen = [one for one in readings if start <= to_ms(one.time) <= end]
            if not chosen:
                continue
            reason = line_protocol.refusal(chosen[0])
            if reason is not None:
                points = tuple((to_ms(one.time), one.value) for one in chosen)
                unwritable.append(Aside(PLACE, id_, chosen[0].quantity, reason, len(chosen), points))
                continue
            wanted += chosen
            newest_ms[id_] = max(newest_ms.get(id_, 0), to_ms(chosen[-1].time))
    made = lines(wanted, tags, graded_until_ms=graded_until_ms)
    return Due(made, len(wanted), newest_ms, unwritable, next_ms, previous_ms)
