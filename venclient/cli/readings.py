"""`ven readings`: look at what was stored, also while the gateway runs; nothing here changes the file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from venclient.cli.readings_mirror import mirror, moment
from venclient.errors import ConfigError
from venclient.messages import cli_meters as clm
from venclient.messages import with_code
from venclient.messages.printable import number_text
from venclient.screen import say, say_json

if TYPE_CHECKING:
    from venclient.model.reading import Reading
    from venclient.readings.inspection import Inspection
    from venclient.readings.tables import Tables

app = typer.Typer(no_args_is_help=True, help="Show, export and check stored readings.")

app.command()(mirror)

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}

ReadingsFile = Annotated[Path, typer.Option("--readings", help="The readings file.")]
Quantity = Annotated[str | None, typer.Option(help="Only this quantity, for instance power_kw.")]
READING_COLUMNS = ("resource_id", "quantity", "time", "value", "quality")
QUARTER_COLUMNS = ("resource_id", "quantity", "time", "readings", "value", "share", "low", "high", "last")
DEFAULT_FILE = Path("var/readings.db")


@app.command()
def show(
    resource: Annotated[str, typer.Argument(help="The resource's id.")],
    quantity: Quantity = None,
    last: Annotated[str, typer.Option(help="How far back: 90s, 15m, 1h, 7d.")] = "1h",
    readings: ReadingsFile = DEFAULT_FILE,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Show one resource's newest values and its last readings."""
    from venclient.clock import SystemClock

    now = SystemClock().now()
    with _tables(readings) as tables:
        known = tables.resources()
        if resource not in known:
            text = clm.NO_READINGS(path=readings, resource=repr(resource), known=_have(known))
            say(with_code(text), err=True)
            raise typer.Exit(1)
        newest = tables.latest().get(resource, {})
        if quantity is not None:
            newest = {name: one for name, one in newest.items() if name == quantity}
        since = now - _duration(last)
        # A device's clock may run ahead of ours; what it stamped must show all the same.
        found = list(tables.rows(since, now + timedelta(days=1), resource, quantity))
    if as_json:
        _print_json(resource, newest, found)
        return
    for name, one in sorted(newest.items()):
        age_s = (now - one.time).total_seconds()
        value = number_text(one.value, 3)
        say(f"{name:24} {value:>14}  {_time(one.time)}  {_age(age_s)}  {one.quality.value}")
    say(clm.COUNT(count=len(found), span=last))
    for one in found:
        say(f"{_time(one.time)}  {one.quantity:24} {number_text(one.value, 3):>14}  {one.quality.value}")


@app.command()
def export(
    resource: Annotated[str | None, typer.Option(help="Only this resource; all when not given.")] = None,
    quantity: Quantity = None,
    start: Annotated[
        str | None, typer.Option("--from", help="First moment, ISO 8601; UTC when it has no zone.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Moment after the last, ISO 8601.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="File to write, CSV or NAME.parquet; CSV to standard output when not given."),
    ] = None,
    quarters: Annotated[
        bool, typer.Option("--quarters", help="Quarters of an hour instead, which are kept for years.")
    ] = False,
    readings: ReadingsFile = DEFAULT_FILE,
) -> None:
    """Write readings to a file.

    Columns: resource_id, quantity, time, value, quality.
    """
    from venclient.cli.readings_files import write_csv, write_file

    first = moment("--from", start) if start else datetime(1970, 1, 1, tzinfo=UTC)
    beyond = moment("--to", end) if end else datetime(2200, 1, 1, tzinfo=UTC)
    with _tables(readings) as tables:
        known = tables.resources()
        if resource is not None and resource not in known:
            text = clm.NO_READINGS(path=readings, resource=repr(resource), known=_have(known))
            say(with_code(text), err=True)
            raise typer.Exit(1)
        rows: Iterator[tuple[object, ...]]
        columns: tuple[str, ...]
        if quarters:
            columns = QUARTER_COLUMNS
            rows = _quarter_rows(tables, [resource] if resource else list(known), quantity, first, beyond)
        else:
            columns = READING_COLUMNS
            rows = (
                (one.resource_id, one.quantity, one.time, one.value, one.quality.value)
                for one in tables.rows(first, beyond, resource, quantity)
            )
        if output is None:
            write_csv(sys.stdout, columns, rows)
        else:
            count = write_file(output, columns, rows)
            say(f"{output}: {count} {'quarters' if quarters else 'readings'}")


@app.command()
def aside(
    resource: Annotated[str | None, typer.Option(help="Only this resource; all when not given.")] = None,
    points: Annotated[bool, typer.Option("--points", help="Each reading, as far as kept.")] = False,
    readings: ReadingsFile = DEFAULT_FILE,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Show quarantined readings with the reason.

    They were rejected by InfluxDB, or have no trusted time.
    """
    from venclient.cli.readings_aside import lines

    with _tables(readings) as tables:
        found = list(tables.aside.rows(resource))
    if as_json:
        import msgspec

        say_json(msgspec.json.format(msgspec.json.encode([one._asdict() for one in found]), indent=2))
        return
    for line in lines(found, points=points):
        say(line)


@app.command()
def check(
    readings: ReadingsFile = DEFAULT_FILE,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Check the file without changing it.

    Prints its sizes and what is written to it each day.
    """
    found = inspected(readings)
    if as_json:
        import msgspec

        say_json(msgspec.json.format(msgspec.json.encode(found), indent=2))
    else:
        for line in found.lines():
            say(line)
    if found.problems:
        raise typer.Exit(1)


def inspected(path: Path) -> Inspection:
    """Return what is in a readings file, and what is wrong with it."""
    from venclient.readings.inspection import inspect

    with _tables(path) as tables:
        return inspect(tables)


def _quarter_rows(
    tables: Tables, names: list[str], quantity: str | None, first: datetime, beyond: datetime
) -> Iterator[tuple[object, ...]]:
    from venclient.readings.quarters import QUARTER_MS
    from venclient.readings.series import from_ms

    first, beyond = tables.span_of_quarters(first, beyond)
    step = timedelta(days=1)
    while first < beyond:
        until = min(beyond, first + step)
        for resource_id, by_quantity in tables.quarters(names, first, until).items():
            for name, found in by_quantity.items():
                for one in found if quantity in (None, name) else ():
                    time = from_ms(one.number * QUARTER_MS)
                    yield resource_id, name, time, *one[1:]
        first = until


@contextmanager
def _tables(path: Path) -> Iterator[Tables]:
    import apsw

    from venclient.readings.layout import unusable
    from venclient.readings.tables import open_tables

    tables = open_tables(path, read_only=True)
    try:
        yield tables
    except apsw.Error as error:
        raise unusable(path, error) from error
    finally:
        tables.close()


def _time(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _print_json(resource: str, newest: dict[str, Reading], found: list[Reading]) -> None:
    import msgspec

    shown = {"resource_id": resource, "latest": newest, "readings": found}
    say_json(msgspec.json.format(msgspec.json.encode(shown), indent=2))


def _have(known: dict[str, list[str]]) -> str:
    if not known:
        return clm.FILE_EMPTY()
    more = ", ..." if len(known) > 5 else ""
    return clm.FILE_IDS(count=len(known), ids=list(known)[:5], more=more)


def _age(seconds: float) -> str:
    if seconds < 0:
        return clm.AHEAD(seconds=-seconds)
    for limit, size, unit in ((600, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds / 86_400:.0f} d ago"


def _duration(text: str) -> timedelta:
    number, unit = text[:-1], text[-1:]
    try:
        return timedelta(seconds=float(number) * UNITS[unit])
    except (ValueError, KeyError, OverflowError):
        raise ConfigError(clm.DURATION(text=repr(text)), subject="--last") from None
