"""`ven reports show` and `export --values`: what was sent, what it would be now, and the difference."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.table import Table

from venclient import spreadsheet
from venclient.cli.reports import Place
from venclient.cli.reports_body import Rebuilder, compared, wire_of
from venclient.cli.reports_table import console_of, table_of
from venclient.errors import VenError
from venclient.messages import cli_reports as clp
from venclient.messages.printable import json_escaped, printable
from venclient.openadr.enumerations import AGGREGATED_REPORT
from venclient.openadr.objects import Report, Value
from venclient.reporting.differences import Difference, Said
from venclient.reporting.eventbook import stored_events
from venclient.reporting.sent import Attempt, SentView
from venclient.reporting.sent_codec import Sent
from venclient.screen import cell

COLUMNS = (
    "vtn",
    "program",
    "event",
    "report",
    "resource",
    "resource_id",
    "start",
    "end",
    "interval",
    "payload_type",
    "units",
    "method",
    "sent",
    "now",
    "difference",
    "quality",
    "quality_now",
    "sent_at",
)
#: Rows of values that `show` prints; beyond it only those that differ.
MOST_SHOWN = 100
_FIGURES = ("sent", "now", "difference")


def attempt_json(one: Attempt) -> dict[str, Any]:
    """Return an attempt as plain data: times are ISO 8601 in UTC."""
    return {
        "at": one.at,
        "attempt": one.number,
        "method": one.verb,
        "status": one.status,
        "accepted": one.taken,
        "answer": one.answer,
        "report_id": one.report_id,
        "body": None if one.sent is None else wire_of(one.sent.report),
    }


def value_json(one: Difference) -> dict[str, Any]:
    """Return a value as plain data; `sent` and `now` are null where a report has no value."""
    key = one.key
    return {
        "resource": key.resource_name,
        "start": key.start,
        "end": key.end,
        "interval": key.interval,
        "payload_type": key.payload_type,
        "sent": None if one.sent is None else one.sent.value,
        "now": None if one.now is None else one.now.value,
        "difference": one.difference,
        "quality": _quality(one.sent),
        "quality_now": _quality(one.now),
    }


def print_attempts(found: Sequence[Attempt], *, bodies: bool) -> None:
    """Print the attempts to send a report, each body once."""
    console = console_of()
    console.print(cell(clp.ATTEMPTS(count=len(found)) if found else clp.NO_ATTEMPTS(), "bold"))
    shown: Report | None = None
    for one in found:
        status = "-" if one.status is None else str(one.status)
        outcome = _accepted(one) if one.taken else one.answer
        line = f"  {one.at:%Y-%m-%d %H:%M:%S}  {one.number}  {one.verb} {status}  {outcome}"
        console.print(cell(line), soft_wrap=True)
        if one.sent is None:
            console.print(cell(f"    {clp.BODY_NOT_KEPT()}", "yellow"), soft_wrap=True)
        elif bodies and one.sent.report != shown:
            shown = one.sent.report
            _print_json(wire_of(shown))
        elif bodies:
            console.print(cell(f"    {clp.SAME_BODY()}"))


def _accepted(one: Attempt) -> str:
    if not one.answer:
        return clp.ACCEPTED(id=one.report_id)
    return clp.ACCEPTED_AT(id=one.report_id, time=one.answer)


def print_values(held: Attempt | None, values: Sequence[Difference], *, known: bool) -> None:
    """Print values as sent and as they would be now, by interval; `known`: whether they could be built."""
    console = console_of()
    differ = [one for one in values if not one.same] if known else []
    few = (differ if len(values) > MOST_SHOWN else values)[:MOST_SHOWN]
    title = clp.VALUES_UNSENT()
    if held is not None and held.sent is not None:
        title = clp.VALUES(time=f"{held.at:%Y-%m-%d %H:%M:%S}", number=held.number)
    console.print(cell(title, "bold"))
    by_interval: dict[str, list[Difference]] = {}
    for one in few:
        by_interval.setdefault(_interval(one), []).append(one)
    for interval, some in by_interval.items():
        console.print(cell(f"  {interval}"))
        console.print(_table_of(some, known=known))
    if len(values) > len(few):
        console.print(cell(clp.MORE_VALUES(count=len(values) - len(few))))
    if held is not None and held.sent is not None and known:
        console.print(cell(clp.DIFFER(count=len(differ), all=len(values))))


def _table_of(values: Iterable[Difference], *, known: bool) -> Table:
    table = table_of("resource", "payload", *_FIGURES, "quality", numbers=_FIGURES)
    for column in table.columns:
        column.no_wrap = column.header in _FIGURES  # a figure is never cut: the others are folded
    for one in values:
        changed = known and not one.same
        table.add_row(
            cell(one.key.resource_name),
            cell(one.key.payload_type),
            cell(_shown(one.sent)),
            cell(_shown(one.now) if known else "?", "yellow" if changed else ""),
            cell("" if one.difference is None else repr(one.difference)),
            cell(_qualities(one, known=known)),
        )
    return table


def exported(
    places: Iterable[Place],
    *,
    program: str | None,
    event: str | None,
    since: datetime | None,
    until: datetime | None,
    resource: str | None,
    now: bool,
    omitted: Callable[[], object] = lambda: None,
) -> Iterator[dict[str, Any]]:
    """Yield a row for each resource, interval and payload of what the VTNs hold, by `COLUMNS`.

    One report at a time is in memory. Without `now` nothing is built again. `omitted` is called for each
    report whose body is not stored.
    """
    for place in places:
        names = _programs(place) if program is not None else {}
        with Rebuilder(place.settings) as rebuilder:
            view = SentView(place.view.db)
            for held in view.held(event_id=event, since=since, until=until):
                sent = held.sent
                if sent is None:
                    if resource is None or _is_about(held, resource):
                        omitted()
                    continue
                if program is not None and program not in (sent.program, names.get(sent.program)):
                    continue
                if resource is None or _is_about(held, resource):
                    yield from _rows_of(place.vtn, held, sent, rebuilder if now else None, resource)


def _rows_of(
    vtn: str, held: Attempt, sent: Sent, rebuilder: Rebuilder | None, resource: str | None
) -> Iterator[dict[str, Any]]:
    built, known = None, False
    if rebuilder is not None and sent.obligation is not None:
        try:
            built, known = rebuilder.built(sent.obligation, held.resources, sent), True
        except VenError:
            built = None  # the cells stay empty
    ids = {one.resource_name: one.resource_id for one in held.resources}
    units, methods = _declared(sent)
    for one in compared(sent.obligation, sent, built) if sent.obligation else ():
        name = one.key.resource_name
        resource_id = ids.get(name, "")
        if resource is not None and resource not in (name, resource_id) and name != AGGREGATED_REPORT:
            continue
        yield {
            **dict.fromkeys(COLUMNS),
            **value_json(one),
            "vtn": vtn,
            "program": sent.program,
            "event": held.event_id,
            "report": held.key,
            "resource_id": resource_id,
            "units": units.get(one.key.payload_type),
            "method": methods.get(one.key.payload_type),
            "difference": one.difference if known else None,
            "sent_at": held.at,
        }


def csv_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Return the lines of a CSV file, header first; cells that a spreadsheet would run get an apostrophe."""
    return spreadsheet.lines(_with_header(rows))


def json_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the pieces of a JSON array, one row on each line."""
    import msgspec

    before = "[\n"
    for row in rows:
        yield before + msgspec.json.encode({name: row[name] for name in COLUMNS}).decode()
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def _with_header(rows: Iterable[Mapping[str, Any]]) -> Iterator[Sequence[str]]:
    yield COLUMNS
    for row in rows:
        yield [_cell(row[name]) for name in COLUMNS]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    return spreadsheet.cell(str(value)) if value != "" else ""


def _declared(sent: Sent) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """Return units and how values came about, by payload type, as the report declares them."""
    units: dict[str, str | None] = {}
    methods: dict[str, str | None] = {}
    for one in sent.report.payload_descriptors or ():
        units[one.payload_type] = one.units
        computed = [said for said in sent.methods if one.payload_type in said.partition(": ")[0].split(", ")]
        parts = [part for part in (one.reading_type, *(said.partition(": ")[2] for said in computed)) if part]
        methods[one.payload_type] = "; ".join(parts) or None
    return units, methods


def _is_about(held: Attempt, resource: str) -> bool:
    return any(resource in (one.resource_id, one.resource_name) for one in held.resources)


def _programs(place: Place) -> dict[str, str]:
    """Return the names of the programs that the state file knows, by id."""
    try:
        programs = stored_events(place.view.path).programs
    except VenError:
        return {}  # ids do as well
    return {id_: one.program_name for id_, one in programs.items()}


def _quality(said: Said | None) -> str | None:
    return None if said is None else said.quality or None


def _qualities(one: Difference, *, known: bool) -> str:
    before, now = _quality(one.sent) or "-", _quality(one.now) or "-"
    return before if before == now or not known else f"{before} -> {now}"


def _shown(said: Said | None) -> str:
    return "-" if said is None or said.value is None else _number_text(said.value)


def _number_text(value: Value) -> str:
    return repr(value) if isinstance(value, float) else printable(str(value))


def _interval(one: Difference) -> str:
    key = one.key
    if key.start is None:
        return f"#{key.interval}"
    length = "" if key.end is None else f", {(key.end - key.start).total_seconds():g} s"
    return f"{key.start:%Y-%m-%d %H:%M:%S} UTC{length}"


def _print_json(body: object) -> None:
    import msgspec

    text = msgspec.json.format(msgspec.json.encode(body), indent=2).decode()
    console_of().print(json_escaped(text), markup=False, highlight=False, soft_wrap=True)
