"""Reports and their coverage as tables for people and as plain data for programs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from venclient.cli.reports_body import Body
from venclient.messages import cli_reports as clp
from venclient.messages import with_code
from venclient.messages.printable import json_escaped
from venclient.reporting.ledger import Coverage
from venclient.reporting.rows import Row, State, Told
from venclient.screen import cell

COVERAGE_COLUMNS = ("vtn", "day", "resource_id", "owed", "sent", "missing", "waiting", "corrected")
_STYLE = {"sent": "green", "refused": "red", "lost": "red", "unmet": "yellow"}
_UNBOUNDED = 10_000
#: A terminal this wide has room for whole names; a narrower one shows their ends, which do to name them.
WIDE = 130
TAIL = 20
#: What a narrow terminal does not take away from a column.
MOST = {"resource": 26, "report": 21, "note": 14}
LEAST = {"report": TAIL + 1, "day": 10, "corrected": 9, "missing": 7, "waiting": 7}
CUT = "\u2026"


def row_json(vtn: str, row: Row) -> dict[str, Any]:
    """Return a report as plain data: times are ISO 8601 in UTC."""
    obligation = row.obligation
    return {
        "name": row.key,
        "vtn": vtn,
        "event": obligation.event_id,
        "state": row.state,
        "payload_types": [one.payload_type for one in obligation.descriptors],
        "start": obligation.start,
        "end": obligation.end,
        "intervals": len(obligation.spans),
        "resources": None if row.resources is None else [one.resource_id for one in row.resources],
        "due": row.due,
        "next_attempt": row.not_before if row.state in ("owed", "sending") else None,
        "attempts": row.attempts,
        "report_id": row.report_id,
        "sent_at": row.sent_at,
        "changed": row.changed,
        "corrections": row.corrections,
        "to_correct": list(row.late),
        "without_value": {id_: len(gaps) for id_, gaps in row.gaps.items()},
        "last_error": row.last_error,
    }


def coverage_json(vtn: str, one: Coverage) -> dict[str, Any]:
    """Return a resource's day as plain data."""
    return {"vtn": vtn, **one._asdict(), "day": one.day.isoformat(), "waiting": one.waiting}


def print_rows(found: Sequence[tuple[str, Row]], counts: Mapping[State, int]) -> None:
    """Print reports, and how many there are of each state in all."""
    console = console_of()
    several = any(vtn for vtn, _ in found)
    wide = console.width >= WIDE
    names = ("from", "to", "resources", "told", "note") if wide else ("window", "resources", "note")
    table = table_of(*(("VTN",) if several else ()), "report", "state", *names, folded=wide)
    for vtn, row in found:
        obligation = row.obligation
        sent_at = "-" if row.sent_at is None else _time(row.sent_at)
        window = (
            (_time(obligation.start), _time(obligation.end))
            if wide
            else (_window(obligation.start, obligation.end),)
        )
        table.add_row(
            *((cell(vtn or "-"),) if several else ()),
            cell(row.key if wide or len(row.key) <= TAIL else f"{CUT}{row.key[-TAIL:]}"),
            cell(_state(row), _STYLE.get(row.state, "")),
            *map(cell, window),
            cell("-" if row.resources is None else str(len(row.resources))),
            *((sent_at,) if wide else ()),
            cell(row.last_error or ""),
        )
    if found:
        console.print(table)
    states = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    console.print(clp.SHOWN(count=len(found), counts=states or "none"), highlight=False)


def print_report(vtn: str, row: Row, story: Sequence[Told]) -> None:
    """Print one report with its story."""
    console = console_of()
    obligation = row.obligation
    about = clp.RESOURCES_OPEN() if row.resources is None else ", ".join(_named(row)) or "none"
    lines = [
        ("report", row.key),
        *((("VTN", vtn),) if vtn else ()),
        ("state", _state(row) + (f", as {row.report_id}" if row.report_id else "")),
        ("event", obligation.event_id),
        ("asks for", ", ".join(one.payload_type for one in obligation.descriptors)),
        (
            "window",
            clp.WINDOW(start=_time(obligation.start), end=_time(obligation.end), count=len(obligation.spans)),
        ),
        ("resources", about),
        ("due", f"{_time(row.due)} UTC"),
        *((("last error", row.last_error),) if row.last_error else ()),
    ]
    for name, text in lines:
        console.print(cell(f"{name:11}", "bold") + cell(text), soft_wrap=True)
    for one in story:
        console.print(cell(f"  {one.time:%Y-%m-%d %H:%M:%S}  {one.what}"), soft_wrap=True)


def print_body(body: Body, *, whole: bool) -> None:
    """Print how a body is now, and what of it was omitted; the body itself if `whole`."""
    console = console_of()
    console.print(cell(body.heading, "bold"))
    for sentence in body.omissions:
        console.print(cell(f"  {with_code(sentence)}", "yellow"), soft_wrap=True)
    if whole and body.report is not None:
        console.print(
            json_escaped(msgspec.json.format(msgspec.json.encode(body.report), indent=2).decode()),
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def print_coverage(found: Sequence[tuple[str, Coverage]], names_of: Mapping[str, str]) -> None:
    """Print the days of resources; `names_of` gives resources their names, by id."""
    console = console_of()
    several = any(vtn for vtn, _ in found)
    names = ("day", "resource", "owed", "sent", "missing", "waiting", "corrected")
    table = table_of(*(("VTN",) if several else ()), *names, numbers=names[2:], folded=console.width >= WIDE)
    for vtn, one in found:
        table.add_row(
            *((cell(vtn or "-"),) if several else ()),
            cell(one.day.isoformat()),
            cell(names_of.get(one.resource_id, one.resource_id)),
            *(cell(str(count)) for count in (one.owed, one.sent)),
            cell(str(one.missing), "red" if one.missing else ""),
            *(cell(str(count)) for count in (one.waiting, one.corrected)),
        )
    if found:
        console.print(table)
    due, sent = sum(one.owed for _, one in found), sum(one.sent for _, one in found)
    share = f" ({100 * sent / due:.2f} %)" if due else ""
    console.print(clp.INTERVALS(due=due, sent=sent, share=share), highlight=False)


def _state(row: Row) -> str:
    corrected = f", corrected {row.corrections} times" if row.corrections > 1 else ", corrected"
    waits = ", to be corrected" if row.late else ""
    return row.state + (corrected if row.corrections else "") + waits


def _named(row: Row) -> list[str]:
    several = row.resources or ()
    some = [f"{one.resource_name} ({one.resource_id})" for one in several[:10]]
    return [*some, f"and {len(several) - 10} more"] if len(several) > 10 else some


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if not moment.second else f"{moment:%Y-%m-%d %H:%M:%S}"


def _window(start: datetime, end: datetime) -> str:
    """Return a window in short: its start, and how long it is."""
    seconds = int((end - start).total_seconds())
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds % size == 0:
            return f"{_time(start)} +{seconds // size} {unit}"
    return f"{_time(start)} +{seconds} s"


def table_of(*names: str, numbers: Sequence[str] = ("resources",), folded: bool = True) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in names:
        table.add_column(
            name,
            justify="right" if name in numbers else "left",
            overflow="fold" if folded else "ellipsis",
            no_wrap=not folded,
            min_width=LEAST.get(name),
            max_width=None if folded else MOST.get(name),
        )
    return table


def console_of() -> Console:
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        return Console(width=_UNBOUNDED)  # a program or a file reads it: nothing is cut
    return console
