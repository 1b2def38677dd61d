"""`ven reports`: the reports for the VTN, their state, and the coverage of each resource and day.

All of it reads the state file beside a running gateway; only `retry` changes something there.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from venclient.cli.service import DEFAULT_CONFIG, ConfigOption
from venclient.errors import ConfigError
from venclient.messages import cli_reports as clp
from venclient.messages import with_code
from venclient.screen import say, say_json, write_out

if TYPE_CHECKING:
    from venclient.reporting.ledger import Coverage
    from venclient.reporting.rows import OutboxView, Row, Selection, State
    from venclient.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Show sent, pending and missing reports.")

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
VtnOption = Annotated[str | None, typer.Option("--vtn", help="Only this one of several VTNs.")]
StateOption = Annotated[
    list[str] | None,
    typer.Option("--state", help="owed, sending, sent, refused, unmet, superseded or lost; may be repeated."),
]
EventOption = Annotated[str | None, typer.Option("--event", help="Only reports on the event of this id.")]
SinceOption = Annotated[
    str | None, typer.Option("--since", help="Start (inclusive): 2026-03-01, 2026-03-01T12:00Z or 7d.")
]
UntilOption = Annotated[str | None, typer.Option("--until", help="End (exclusive).")]
ResourceOption = Annotated[
    str | None, typer.Option("--resource", help="Only about this resource: its id, or its name at the VTN.")
]

#: An end of a name must be this long to stand for it.
LEAST_ENDING = 6
_UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Place(NamedTuple):
    """The state file of one VTN; `vtn` is empty for the first."""

    vtn: str
    settings: Settings
    view: OutboxView


@app.command("list")
def list_reports(
    config: ConfigOption = DEFAULT_CONFIG,
    state: StateOption = None,
    event: EventOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    resource: ResourceOption = None,
    vtn: VtnOption = None,
    limit: Annotated[int, typer.Option(help="Maximum number of reports, latest due first.", min=1)] = 50,
    as_json: JsonOption = False,
) -> None:
    """List reports by due time."""
    from venclient.cli.reports_table import print_rows, row_json

    found: list[tuple[str, Row]] = []
    places = open_places(config, vtn)
    for place in places:
        wanted = _selection(place.view, state, event, since, until, resource, limit)
        if wanted is not None:
            found += [(place.vtn, row) for row in place.view.select(wanted)]
    if resource is not None and not found:
        _check_resource(places, resource)
    found.sort(key=lambda one: (one[1].due, one[1].key))
    found = found[-limit:]
    if as_json:
        print_json([row_json(name, row) for name, row in found])
    else:
        counts = [place.view.counts() for place in places]
        print_rows(found, {name: sum(one[name] for one in counts) for name in counts[0]})
    _close(places)


@app.command()
def show(
    report: Annotated[str, typer.Argument(help="The report's name, the end of it, or its id at the VTN.")],
    config: ConfigOption = DEFAULT_CONFIG,
    vtn: VtnOption = None,
    body: Annotated[bool, typer.Option(help="Show the body, built from current data.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Show one report: its state, history and body.

    The body is built again from the readings; the output says whether it differs from the one sent.
    """
    from venclient.cli.reports_body import body_of
    from venclient.cli.reports_table import print_report, row_json

    place, row = _report(config, vtn, report)
    story = place.view.story(row.key)
    made = body_of(place.settings, row) if body else None
    if as_json:
        told: dict[str, object] = {
            "story": [{"time": one.time, "what": one.what} for one in story],
        }
        if made is not None:
            told |= {"body": made.report, "as_sent": made.as_sent}
            told["omissions"] = [with_code(one) for one in made.omissions]
        print_json(row_json(place.vtn, row) | told)
    else:
        print_report(place.vtn, row, story, made)
    place.view.close()


@app.command()
def retry(
    reports: Annotated[
        list[str] | None, typer.Argument(help="Names of reports, ends of them, or their ids.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    state: StateOption = None,
    event: EventOption = None,
    since: SinceOption = None,
    vtn: VtnOption = None,
) -> None:
    """Queue refused, unmet or lost reports again.

    The running gateway sends them within a minute.
    """
    from venclient.clock import SystemClock
    from venclient.reporting.outbox import Outbox

    if not reports and not state:
        raise ConfigError(clp.NO_REPORT_NAMED())
    names: dict[str, list[str]] = {}
    places = open_places(config, vtn)
    for place in places:
        path = place.view.path
        if state:
            wanted = _selection(place.view, state, event, since, None, None, None)
            names[path] = [row.key for row in place.view.select(wanted)] if wanted else []
        names.setdefault(path, [])
    for name in reports or ():
        place, row = _report(config, vtn, name)
        names[place.view.path].append(row.key)
        place.view.close()
    _close(places)
    again, others = 0, []
    for path, keys in names.items():
        outbox = Outbox(path)
        for key in dict.fromkeys(keys):
            if outbox.retry(key, SystemClock().now()):
                again += 1
            else:
                others.append(key)
        outbox.close()
    say(clp.REQUEUED(count=again) if again else clp.NONE_REQUEUED())
    for key in others:
        say(with_code(clp.NOT_REQUEUED(report=key)), err=True)
    if others:
        raise typer.Exit(1)


@app.command()
def coverage(
    config: ConfigOption = DEFAULT_CONFIG,
    since: SinceOption = "7d",
    until: UntilOption = None,
    resource: ResourceOption = None,
    vtn: VtnOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count due, sent, missing and corrected intervals.

    One line for each day (UTC) and resource.
    """
    from venclient.cli.reports_table import coverage_json, print_coverage

    found = _coverage(config, since, until, resource, vtn)
    if as_json:
        print_json([coverage_json(name, one) for name, one in found])
    else:
        print_coverage(found, _names(config))


@app.command()
def export(
    config: ConfigOption = DEFAULT_CONFIG,
    since: SinceOption = None,
    until: UntilOption = None,
    resource: ResourceOption = None,
    vtn: VtnOption = None,
    output: Annotated[
        Path | None,
        typer.Option(help="File to write, NAME.csv or NAME.json; default: CSV on stdout."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Export the coverage of all stored days as CSV or JSON."""
    import csv
    import io

    from venclient import spreadsheet
    from venclient.cli.reports_table import COVERAGE_COLUMNS, coverage_json

    found = [coverage_json(name, one) for name, one in _coverage(config, since, until, resource, vtn)]
    if as_json or (output is not None and output.suffix == ".json"):
        import msgspec

        text = msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n"
    else:
        written = io.StringIO()
        lines = csv.DictWriter(written, COVERAGE_COLUMNS, lineterminator="\n")
        lines.writeheader()
        lines.writerows(dict(zip(one, spreadsheet.row(one.values()), strict=True)) for one in found)
        text = written.getvalue()
    if output is None:
        write_out(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(clp.CANNOT_WRITE(problem=error.strerror or error), subject=str(output)) from error
    say(clp.EXPORTED(path=str(output), count=len(found)))


def open_places(config: Path, vtn: str | None) -> list[Place]:
    """Open the state file of each VTN; ConfigError when there is no VTN of that name."""
    from venclient.reporting.rows import OutboxView
    from venclient.settings import load_settings

    settings = load_settings(config)
    sides = {"": settings, **settings.others}
    if vtn is not None:
        if vtn not in sides:
            known = [name for name in sides if name]
            what = clp.UNKNOWN_VTN(known=known) if known else clp.ONLY_VTN()
            raise ConfigError(what, subject=f"--vtn {vtn}")
        sides = {vtn: sides[vtn]}
    return [Place(name, own, OutboxView(own.path("reporting.state"))) for name, own in sides.items()]


def _names(config: Path) -> dict[str, str]:
    """Return the registry's names by resource id; none where it cannot be read: ids do as well."""
    from venclient.errors import VenError
    from venclient.registrar import served_resources
    from venclient.settings import load_settings

    try:
        served = served_resources(load_settings(config))
    except VenError:
        return {}
    return {id_: resource.resourceName for id_, resource in served.resources.items()}


def _close(places: list[Place]) -> None:
    for place in places:
        place.view.close()


def _report(config: Path, vtn: str | None, name: str) -> tuple[Place, Row]:
    """Return the report of this name or id, or whose name ends so; ConfigError when there is not one."""
    from venclient.reporting.rows import Selection

    places = open_places(config, vtn)
    for place in places:
        row = place.view.get(name)
        if row is not None:
            _close([one for one in places if one is not place])
            return place, row
    ending = name.removeprefix("\u2026")
    meant = [
        (place, row)
        for place in (places if len(ending) >= LEAST_ENDING else ())
        for row in place.view.select(Selection())
        if row.key.endswith(ending)
    ]
    if len(meant) == 1:
        ((place, row),) = meant
        _close([one for one in places if one is not place])
        return place, row
    _close(places)
    if meant:
        raise ConfigError(clp.AMBIGUOUS(count=len(meant)), subject=name)
    raise ConfigError(clp.UNKNOWN_REPORT(), subject=name)


def _selection(
    view: OutboxView,
    states: list[str] | None,
    event: str | None,
    since: str | None,
    until: str | None,
    resource: str | None,
    limit: int | None,
) -> Selection | None:
    """Return the conditions; None when the resource is not known to this VTN."""
    from venclient.reporting.rows import Selection

    ids = view.resource_ids(resource) if resource else frozenset[str]()
    if resource and not ids:
        return None
    return Selection(
        states=tuple(_state(one) for one in states or ()),
        event_id=event,
        since=_moment("--since", since) if since else None,
        until=_moment("--until", until) if until else None,
        resource_ids=ids,
        limit=limit,
    )


def _check_resource(places: list[Place], resource: str) -> None:
    """ConfigError when no VTN was told of the resource."""
    if not any(place.view.resource_ids(resource) for place in places):
        raise ConfigError(clp.NOT_REPORTED(), subject=f"--resource {resource}")


def _coverage(
    config: Path, since: str | None, until: str | None, resource: str | None, vtn: str | None
) -> list[tuple[str, Coverage]]:
    from venclient.reporting.ledger import coverage as counted

    first = _moment("--since", since).date() if since else None
    last = _last_day(until) if until else None
    found: list[tuple[str, Coverage]] = []
    places = open_places(config, vtn)
    if resource:
        _check_resource(places, resource)
    for place in places:
        ids = place.view.resource_ids(resource) if resource else None
        found += [
            (place.vtn, one)
            for one in counted(place.view, first, last)
            if ids is None or one.resource_id in ids
        ]
    _close(places)
    return found


def _last_day(text: str) -> date:
    """Return the last day before a moment: midnight ends the day before, a date alone means all of it."""
    moment = _moment("--until", text)
    return moment.date() if len(text) == len("2026-01-01") else (moment - timedelta(microseconds=1)).date()


def _state(text: str) -> State:
    from venclient.reporting.rows import STATES

    for state in STATES:
        if state == text.lower():
            return state
    raise ConfigError(clp.UNKNOWN_STATE(known=list(STATES)), subject=f"--state {text}")


def _moment(option: str, text: str) -> datetime:
    if text[-1:] in _UNITS and text[:-1].replace(".", "", 1).isdecimal():
        from venclient.clock import SystemClock

        return SystemClock().now() - timedelta(seconds=float(text[:-1]) * _UNITS[text[-1]])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(clp.BAD_TIME(text=text), subject=option) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def print_json(told: object) -> None:
    import msgspec

    say_json(msgspec.json.format(msgspec.json.encode(told), indent=2))
