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

#: What those that InfluxDB will never take are set aside under.
PLACE = "influxdb"


class Owed(NamedTuple):
    """What a look into the journal found to be sent, and where each resource's next reading may be."""

    lines: list[Line]
    readings: int
    newest_ms: dict[str, int]
    unwritable: list[Aside]
    next_ms: dict[str, int]


def sorted_out(
    found: Mapping[str, Mapping[str, Sequence[Reading]]],
    starts: Mapping[str, int],
    end: int,
    tags: Mapping[str, Tags],
    graded_until_ms: Mapping[str, int],
) -> Owed:
    """Give what of the journal's windows is to be sent: each resource from its start to `end`."""
    owed: list[Reading] = []
    newest_ms: dict[str, int] = {}
    unwritable: list[Aside] = []
    next_ms: dict[str, int] = {}
    for id_, start in starts.items():
        # The journal's neighbours reach a day: where there is none, nothing comes so soon.
        next_ms[id_] = end + REACH_MS + 1
        for readings in found[id_].values():
            if readings and (ms := to_ms(readings[-1].time)) > end:
                next_ms[id_] = min(next_ms[id_], ms)
            chosen = [one for one in readings if start <= to_ms(one.time) <= end]
            if not chosen:
                continue
            reason = line_protocol.refusal(chosen[0])
            if reason is not None:
                points = tuple((to_ms(one.time), one.value) for one in chosen)
                unwritable.append(Aside(PLACE, id_, chosen[0].quantity, reason, len(chosen), points))
                continue
            owed += chosen
            newest_ms[id_] = max(newest_ms.get(id_, 0), to_ms(chosen[-1].time))
    made = lines(owed, tags, graded_until_ms=graded_until_ms)
    return Owed(made, len(owed), newest_ms, unwritable, next_ms)
