"""Split an obligation that is too large for one report into parts. This module does no I/O.

    intervals    0 1 2 3 4 5 6 7 8        few resources: cut by time
    all          [ 1 ] [ 2 ] [ 3 ]

    intervals    0     1     2            many: each interval cut by resource as well
    r1..r500     [1]   [3]   [5]
    r501..r900   [2]   [4]   [6]

Parts are ordered by time, then by resource, to be sent one after the other. A sum over resources is
never cut by resource. A part's name follows from the obligation's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence

import msgspec
from msgspec.structs import replace

from venclient.openadr.objects import ReportDescriptor
from venclient.reporting.grids import SUB_INTERVAL_S, cell_counts, cost_of
from venclient.reporting.obligations import Obligation, Span
from venclient.reporting.targets import Reportable, asked_by_any

#: Values in one report unless something else is said: a body of some 5 MB.
MOST_VALUES = 50_000

LONGEST_NAME = 128

_Ids = tuple[str, ...]
_Piece = tuple[tuple[ReportDescriptor, ...], tuple[Span, ...], _Ids]


class Part(msgspec.Struct, frozen=True):
    """One report of an obligation: which of its intervals and descriptors, on which resources.

    `obligation.report_name` is `report_name`.
    """

    obligation: Obligation
    resource_ids: tuple[str, ...]
    report_name: str


def split(
    obligation: Obligation,
    resources: Sequence[Reportable],
    *,
    most_values: int = MOST_VALUES,
    ven_targets: Collection[str] = (),
    sub_interval_s: float = SUB_INTERVAL_S,
) -> tuple[Part, ...]:
    """Return an obligation in parts of at most `most_values` values, in the order of time and resources.

    A value is one payload type of one resource over one interval; forecasts and baselines count for the
    days that they are made of. One interval of one resource (of all, in a sum) is the least that a part
    holds. Resources that no descriptor asks for are in no part; when none is asked for, one part without
    resources remains, to report that. `ven_targets` are those granted to the VEN as a whole.
    """
    asked = _asked(obligation, obligation.descriptors, resources, ven_targets)
    values = cost_of(obligation.descriptors) * sum(cell_counts(obligation, asked, sub_interval_s))
    if values <= most_values:
        return (Part(obligation, _ids(asked), obligation.report_name),)
    pieces: list[_Piece] = []
    for sums in (False, True):
        descriptors = tuple(one for one in obligation.descriptors if one.aggregate is sums)
        meant = _asked(obligation, descriptors, resources, ven_targets) if descriptors else []
        if meant:
            room = max(1, most_values // cost_of(descriptors))
            pieces += _pieces(obligation, descriptors, meant, room, sub_interval_s, whole=sums)
    if len(pieces) == 1:
        return (Part(obligation, pieces[0][2], obligation.report_name),)
    pieces.sort(key=lambda piece: piece[1][0].start)
    return tuple(_part(obligation, number, piece) for number, piece in enumerate(pieces, 1))


def part_name(report_name: str, number: int) -> str:
    """Return the name of a part, counted from 1: at most 128 characters, different for each."""
    name = f"{report_name}-p{number}"
    if len(name) <= LONGEST_NAME:
        return name
    return f"{hashlib.sha256(report_name.encode()).hexdigest()[:40]}-p{number}"


def _part(obligation: Obligation, number: int, piece: _Piece) -> Part:
    descriptors, spans, ids = piece
    name = part_name(obligation.report_name, number)
    return Part(replace(obligation, descriptors=descriptors, spans=spans, report_name=name), ids, name)


def _pieces(
    obligation: Obligation,
    descriptors: tuple[ReportDescriptor, ...],
    asked: Sequence[Reportable],
    room: int,
    sub_interval_s: float,
    *,
    whole: bool,
) -> Iterator[_Piece]:
    """Return runs of intervals that fit, and each interval that does not in shares of the resources."""
    spans = obligation.spans
    everyone = _ids(asked)
    begin = held = 0
    counts = cell_counts(obligation, asked, sub_interval_s)
    for index, count in enumerate([*counts, room + 1]):
        if begin < index and held + count > room:
            run = spans[begin:index]
            if held <= room or whole:
                yield descriptors, run, everyone
            else:
                for some in _shares(obligation, run, asked, room, sub_interval_s):
                    yield descriptors, run, _ids(some)
            begin, held = index, 0
        held += count


def _shares(
    obligation: Obligation,
    run: tuple[Span, ...],
    asked: Sequence[Reportable],
    room: int,
    sub_interval_s: float,
) -> Iterator[Sequence[Reportable]]:
    """Return the resources in shares that fit into one report over a run."""
    narrow = replace(obligation, spans=run)
    each: dict[float | None, int] = {}
    begin = held = 0
    for index, one in enumerate(asked):
        if one.interval_s not in each:
            each[one.interval_s] = sum(cell_counts(narrow, [one], sub_interval_s))
        if begin < index and held + each[one.interval_s] > room:
            yield asked[begin:index]
            begin, held = index, 0
        held += each[one.interval_s]
    yield asked[begin:]


def _asked(
    obligation: Obligation,
    descriptors: Sequence[ReportDescriptor],
    resources: Sequence[Reportable],
    ven_targets: Collection[str],
) -> list[Reportable]:
    targets = [one.targets for one in descriptors]
    return asked_by_any(targets, obligation.event_targets, resources, ven_targets)


def _ids(resources: Sequence[Reportable]) -> _Ids:
    return tuple(one.resource_id for one in resources)
