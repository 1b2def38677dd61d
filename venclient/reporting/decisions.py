"""What was decided for each event that a VTN lists: read from the state file, also while a gateway runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from venclient.messages import cli_events as cle
from venclient.messages import with_code
from venclient.messages.printable import foreign
from venclient.openadr.objects import Event, Program
from venclient.reporting.descriptors import has_no_length, is_request
from venclient.reporting.eventbook import Known, StoredEvents
from venclient.reporting.means import ReportOptions
from venclient.reporting.obligations import Agenda, agenda
from venclient.reporting.rows import EventReports, OutboxView


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What one event comes to: in a sentence, for which resources (None: not decided), and when next."""

    event_id: str
    known: Known
    program: Program | None
    text: str
    problems: tuple[str, ...]
    resources: tuple[str, ...] | None
    next_due: datetime | None
    reports: Mapping[str, int]


def decisions(
    stored: StoredEvents, view: OutboxView, options: ReportOptions, now: datetime
) -> list[Decision]:
    """Return what was decided for each event, by the time it was first seen."""
    reports = view.by_event()
    known = sorted(stored.events.items(), key=lambda one: (one[1].first_seen, one[0]))
    return [
        _decision(id_, one, stored.programs.get(one.event.program_id), reports.get(id_), options, now)
        for id_, one in known
    ]


def _decision(
    id_: str,
    known: Known,
    program: Program | None,
    reports: EventReports | None,
    options: ReportOptions,
    now: datetime,
) -> Decision:
    plan = agenda(
        known.event,
        program,
        anchor=known.anchor,
        client_name=options.client_name,
        rules=options.rules,
        adhoc_s=options.adhoc_s,
        cancelled=known.cancelled,
    )
    return Decision(
        event_id=id_,
        known=known,
        program=program,
        text=_text(known, plan, reports, now),
        problems=plan.problems,
        resources=None if reports is None else reports.resources,
        next_due=_next_due(plan, known, now),
        reports={} if reports is None else reports.counts,
    )


def _text(known: Known, plan: Agenda, reports: EventReports | None, now: datetime) -> str:
    event = known.event
    if known.cancelled and has_no_length(event):
        return cle.CANCELLED()
    if not event.report_descriptors:
        return cle.NOTHING_REQUESTED()
    if not plan.plans and not plan.at_will:
        return cle.UNSUPPORTED(problems="; ".join(map(with_code, plan.problems)) or cle.CANCELLED())
    targets = [foreign(one) for one in _targets(known)]
    text: str = cle.OVER()
    if targets and reports is not None and reports.unresolved and reports.resources is None:
        text = cle.GRANTS_AWAITED(targets=targets)
    elif targets and reports is not None and reports.resources == ():
        text = cle.UNMATCHED(targets=targets)
    elif _next_due(plan, known, now) is not None or _is_open(plan, now):
        text = cle.ON_INTERVALS() if plan.plans else _at_will(event, plan.at_will[0][1].cadence_s)
    return text


def _at_will(event: Event, cadence_s: float | None) -> str:
    if is_request(event):
        return cle.REQUEST_CHANGES() if cadence_s is None else cle.REQUEST(seconds=cadence_s)
    return cle.AT_CHANGES() if cadence_s is None else cle.AT_WILL(seconds=cadence_s)


def _is_open(plan: Agenda, now: datetime) -> bool:
    """Return whether a change of state would still be reported."""
    return any(life.end > now for _, life in plan.at_will)


def _targets(known: Known) -> Sequence[str]:
    found = dict.fromkeys(known.event.targets or ())
    for one in known.event.report_descriptors or ():
        found.update(dict.fromkeys(one.targets or ()))
    return tuple(found)


def _next_due(plan: Agenda, known: Known, now: datetime) -> datetime | None:
    moments = [plan.next_due(first_seen=known.first_seen, after=now)]
    moments += [life.next_cut(max(now, life.begin)) for _, life in plan.at_will]
    return min((one for one in moments if one is not None), default=None)
