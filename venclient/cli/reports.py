"""`ven reports`: the reports for the VTN, their state, and the coverage of each resource and day.

All of it reads the state file beside a running gateway; only `retry` changes something there.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from venclient.cli.moments import moment_of
from venclient.cli.service import DEFAULT_CONFIG, ConfigOption
from venclient.errors import ConfigError
from venclient.messages import cli_reports as clp
from venclient.messages import with_code
from venclient.screen import say, say_json, write_out
from venclient.whole_file import replaced

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
    body: Annotated[bool, typer.Option(help="Show the bodies that were sent, and the current one.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Show one report: its state, history, and what was sent.

    Every attempt is listed with its answer. The values that the VTN holds are compared with those that would
    be sent now, built again from the readings.
    """
    from venclient.cli import reports_values as values
    from venclient.cli.reports_body import Rebuilder, body_of, compared
    from venclient.cli.reports_table import print_body, print_report, row_json
    from venclient.reporting.sent import SentView, held_by_vtn

    place, row, key = _report(config, vtn, report)
    with place.view.reading():
        attempts = SentView(place.view.db).attempts(key)
    story = place.view.story(key)
    held = held_by_vtn(attempts) or next((one for one in attempts[::-1] if one.sent), None)
    sent = held.sent if held is not None else None
    asked = sent.obligation if sent is not None else None
    asked = asked or (row.obligation if row is not None else None)
    resources = held.resources if held is not None else ()
    resources = resources or (row.resources if row is not None else None) or ()
    made, found = None, []
    if asked is not None:
        with Rebuilder(place.settings) as rebuilder:
            made = body_of(rebuilder, asked, resources, held, row)
        found = compared(asked, sent, made.built)
    known = made is not None and made.built is not None
    if as_json:
        about: dict[str, Any] = {"name": key, "vtn": place.vtn} if row is None else row_json(place.vtn, row)
        about["story"] = [{"time": one.time, "what": one.what} for one in story]
        about["attempts"] = [values.attempt_json(one) for one in attempts]
        about["values"] = [values.value_json(one) for one in found]
        if made is not None and body:
            about |= {"body": made.report, "as_sent": made.as_sent}
            about["omissions"] = [with_code(one) for one in made.omissions]
        print_json(about)
    else:
        if row is not None:
            print_report(place.vtn, row, story)
        else:
            say(clp.REPORT_GONE(report=key))
        values.print_attempts(attempts, bodies=body)
        if asked is not None:
            values.print_values(held, found, known=known)
        if made is not None:
            print_body(made, whole=body and not (made.as_sent and attempts))
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
        place, _, key = _report(config, vtn, name)
        names[place.view.path].append(key)
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
    values: Annotated[
        bool, typer.Option("--values", help="Every value sent, with what it would be now.")
    ] = False,
    since: SinceOption = None,
    until: UntilOption = None,
    resource: ResourceOption = None,
    event: EventOption = None,
    program: Annotated[
        str | None, typer.Option("--program", help="Only events of this program: its name or id.")
    ] = None,
    now: Annotated[
        bool, typer.Option("--now/--no-now", help="Build each report again (slow for many).")
    ] = True,
    vtn: VtnOption = None,
    output: Annotated[
        Path | None,
        typer.Option(help="File to write, NAME.csv or NAME.json; default: CSV on stdout."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Export the daily coverage, or with --values what was sent.

    With --values there is one row for each resource, interval and payload that the VTN holds.
    """
    if not values and (event is not None or program is not None or not now):
        option = "--event" if event is not None else "--program" if program is not None else "--no-now"
        raise ConfigError(clp.ONLY_VALUES(), subject=option)
    in_json = as_json or (output is not None and output.suffix == ".json")
    if values:
        counted = _Counted(_value_rows(config, since, until, resource, event, program, vtn, now=now))
        _write(_value_text(counted, in_json=in_json), output)
        if output is not None:
            say(clp.VALUES_EXPORTED(path=str(output), count=counted.count))
        return
    found = _coverage(config, since, until, resource, vtn)
    _write([_coverage_text(found, in_json=in_json)], output)
    if output is not None:
        say(clp.EXPORTED(path=str(output), count=len(found)))


def _coverage_text(found: list[tuple[str, Coverage]], *, in_json: bool) -> str:
    from venclient import spreadsheet
    from venclient.cli.reports_table import COVERAGE_COLUMNS, coverage_json

    rows = [coverage_json(name, one) for name, one in found]
    if in_json:
        import msgspec

        return msgspec.json.format(msgspec.json.encode(rows), indent=2).decode() + "\n"
    cells = (spreadsheet.row(one[name] for name in COVERAGE_COLUMNS) for one in rows)
    return "".join(spreadsheet.lines([COVERAGE_COLUMNS, *cells]))


class _Counted:
    """Rows that are counted while they pass."""

    def __init__(self, rows: Iterator[dict[str, Any]]) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for row in self._rows:
            self.count += 1
            yield row


def _value_text(rows: Iterable[dict[str, Any]], *, in_json: bool) -> Iterator[str]:
    from venclient.cli.reports_values import csv_lines, json_lines

    return json_lines(rows) if in_json else csv_lines(rows)


def _value_rows(
    config: Path,
    since: str | None,
    until: str | None,
    resource: str | None,
    event: str | None,
    program: str | None,
    vtn: str | None,
    *,
    now: bool,
) -> Iterator[dict[str, Any]]:
    from venclient.cli.reports_values import exported

    first = moment_of("--since", since) if since else None
    last = moment_of("--until", until) if until else None
    places = open_places(config, vtn)
    if resource:
        _check_resource(places, resource)
    missing = itertools.count()
    try:
        yield from exported(
            places,
            program=program,
            event=event,
            since=first,
            until=last,
            resource=resource,
            now=now,
            omitted=lambda: next(missing),
        )
    finally:
        _close(places)
    if count := next(missing):
        say(with_code(clp.BODIES_MISSING(count=count)), err=True)


def _write(pieces: Iterable[str], output: Path | None) -> None:
    """Write an export piece by piece; the file appears when it is whole."""
    if output is None:
        for piece in pieces:
            write_out(piece)
        return
    try:
        with replaced(output) as stream:
            stream.writelines(pieces)
    except OSError as error:
        raise ConfigError(clp.CANNOT_WRITE(problem=error.strerror or error), subject=str(output)) from error


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


def _report(config: Path, vtn: str | None, name: str) -> tuple[Place, Row | None, str]:
    """Return the report of this name or id, or whose name ends so: its row and name.

    The row is None when it has left the list. ConfigError when there is not one such report.
    """
    from venclient.reporting.rows import Selection
    from venclient.reporting.sent import SentView

    places = open_places(config, vtn)
    meant: list[tuple[Place, Row | None, str]] = []
    for place in places:
        row = place.view.get(name)
        if row is not None:
            _close([one for one in places if one is not place])
            return place, row, row.key
    ending = name.removeprefix("\u2026")
    for place in places if len(ending) >= LEAST_ENDING else ():
        meant += [(place, row, row.key) for row in place.view.select(Selection()) if row.key.endswith(ending)]
    for place in places if not meant else ():
        with place.view.reading():
            meant += [(place, None, key) for key in SentView(place.view.db).keys_like(ending, LEAST_ENDING)]
    if len(meant) == 1:
        _close([one for one in places if one is not meant[0][0]])
        return meant[0]
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
        since=moment_of("--since", since) if since else None,
        until=moment_of("--until", until) if until else None,
        resource_ids=ids,
        limit=limit,
    )


def _check_resource(places: list[Place], resource: str) -> None:
    """Raise ConfigError when no VTN has the resource."""
    if not any(place.view.resource_ids(resource) for place in places):
        raise ConfigError(clp.NOT_REPORTED(), subject=f"--resource {resource}")


def _coverage(
    config: Path, since: str | None, until: str | None, resource: str | None, vtn: str | None
) -> list[tuple[str, Coverage]]:
    from venclient.reporting.ledger import coverage as counted

    first = moment_of("--since", since).date() if since else None
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
    moment = moment_of("--until", text)
    return moment.date() if len(text) == len("2026-01-01") else (moment - timedelta(microseconds=1)).date()


def _state(text: str) -> State:
    from venclient.reporting.rows import STATES

    for state in STATES:
        if state == text.lower():
            return state
    raise ConfigError(clp.UNKNOWN_STATE(known=list(STATES)), subject=f"--state {text}")


def print_json(told: object) -> None:
    import msgspec

    say_json(msgspec.json.format(msgspec.json.encode(told), indent=2))
