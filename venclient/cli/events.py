"""`ven events`: the events that the VTN lists, and what the gateway decided for each.

It reads the state file beside a running gateway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from venclient.cli.reports import JsonOption, VtnOption
from venclient.cli.service import DEFAULT_CONFIG, ConfigOption
from venclient.screen import say

if TYPE_CHECKING:
    from venclient.reporting.decisions import Decision

app = typer.Typer(no_args_is_help=True, help="Show the VTN's events and what is reported for them.")

_MOST_NAMES = 3


@app.callback()
def _group() -> None:
    """Show the VTN's events and what is reported for them."""


@app.command("list")
def list_events(
    config: ConfigOption = DEFAULT_CONFIG, vtn: VtnOption = None, as_json: JsonOption = False
) -> None:
    """List events and what was decided for each of them."""
    from venclient.cli.reports import open_places, print_json
    from venclient.clock import SystemClock
    from venclient.messages import with_code
    from venclient.reporting.decisions import decisions
    from venclient.reporting.eventbook import stored_events
    from venclient.reporting.means import report_options

    found: list[tuple[str, Decision]] = []
    now = SystemClock().now()
    for place in open_places(config, vtn):
        try:
            stored = stored_events(place.view.path)
            options = report_options(place.settings)
            found += [(place.vtn, one) for one in decisions(stored, place.view, options, now)]
        finally:
            place.view.close()
        for problem in stored.problems:
            say(with_code(problem), err=True)
    if as_json:
        print_json([_json(name, one) for name, one in found])
    else:
        _print(found)


def _json(vtn: str, one: Decision) -> dict[str, Any]:
    """Return an event's decision as plain data: times are ISO 8601 in UTC."""
    event = one.known.event
    return {
        "event": one.event_id,
        "vtn": vtn,
        "name": event.event_name,
        "program": one.program.program_name if one.program else event.program_id,
        "decision": str(one.text),
        "code": getattr(one.text, "code", None),
        "problems": [str(problem) for problem in one.problems],
        "targets": list(event.targets or ()),
        "requested": [asked.payload_type for asked in event.report_descriptors or ()],
        "resources": one.resources,
        "first_seen": one.known.first_seen,
        "next_due": one.next_due,
        "reports": dict(one.reports),
    }


def _print(found: list[tuple[str, Decision]]) -> None:
    """Print events as a table; nothing is cut where a program or a file reads it."""
    from rich import box
    from rich.table import Table

    from venclient.cli.reports_table import console_of
    from venclient.messages import cli_events as cle
    from venclient.messages.printable import foreign
    from venclient.screen import cell

    console = console_of()
    several = any(vtn for vtn, _ in found)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in (*(("VTN",) if several else ()), "event", "name", "decision", "resources", "reports", "next"):
        table.add_column(name, overflow="fold")
    for vtn, one in found:
        reports = ", ".join(f"{count} {state}" for state, count in one.reports.items())
        cells = [
            foreign(one.event_id),
            foreign(one.known.event.event_name or ""),
            str(one.text),
            _names(one.resources),
            reports or "-",
            f"{one.next_due:%Y-%m-%d %H:%M}" if one.next_due else "-",
        ]
        table.add_row(*((cell(vtn or "-"),) if several else ()), *map(cell, cells))
    if found:
        console.print(table)
    console.print(cle.SHOWN(count=len(found)), highlight=False)


def _names(resources: tuple[str, ...] | None) -> str:
    if resources is None:
        return "-"
    named = ", ".join(resources[:_MOST_NAMES])
    more = len(resources) - _MOST_NAMES
    return f"{named}, +{more}" if more > 0 else named or "none"
