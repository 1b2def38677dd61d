"""`ven import FILE...`: sites from CSV files into the registry, with a sum-up of what became of the rows."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from venclient.registry.csv_import import EmptyRegistry, ImportReport
    from venclient.registry.database import ResourceDatabase

EXIT_OK, EXIT_REJECTED, EXIT_UNUSABLE = 0, 1, 2
_SHOWN = 5


def import_files(
    files: Annotated[
        list[Path], typer.Argument(help="CSV files, one kind of site each.", show_default=False)
    ],
    db: Annotated[Path, typer.Option("--db", help="The resource database.")] = Path("config/resources.db"),
    columns: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="MEANING=COLUMN", help="Say which column means what: title=Skolenavn."),
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option("--mapping", help="TOML mapping; otherwise <file name>.toml beside the file."),
    ] = None,
    resource_type: Annotated[
        str | None, typer.Option("--type", help="DSR, EV, BATTERY or PV, where no column says it.")
    ] = None,
    sub_type: Annotated[
        str | None, typer.Option("--sub-type", help="Kind of site; otherwise the file name's first word.")
    ] = None,
    ven: Annotated[str | None, typer.Option("--ven", help="VEN, where no column says it.")] = None,
    duplicates: Annotated[
        str | None, typer.Option("--duplicates", help="skip, or number: equal rows are sites of their own.")
    ] = None,
    allow_missing_location: Annotated[
        bool, typer.Option("--allow-missing-location", help="Take sites without coordinates.")
    ] = False,
    keep_good: Annotated[
        bool, typer.Option("--keep-good/--all-or-nothing", help="Take the good rows of a file with bad ones.")
    ] = True,
    rejects: Annotated[
        Path | None, typer.Option("--rejects", help="Write the rejected rows here (CSV).")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; store nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole report as JSON.")] = False,
) -> None:
    """Import sites from CSV files.

    Encoding, delimiter, decimal mark and columns are found and shown. A second import of the same file
    changes nothing. Exit status: 0 all rows were good, 1 some were rejected, 2 a file could not be used.
    """
    from venclient.errors import ConfigError, VenError
    from venclient.registry.csv_import import import_csv
    from venclient.registry.csv_mapping import from_flags, told
    from venclient.registry.csv_sites import Seen

    reports: list[ImportReport] = []
    failed: list[str] = []
    try:
        flags = told(
            "command line",
            columns=from_flags(columns or []),
            type=resource_type,
            sub_type=sub_type,
            ven=ven,
            duplicates=duplicates,
        )
        if len(files) > 1:
            # files of one command may differ: a mapping serves those that have its column
            flags = replace(flags, where_present=frozenset(flags.columns))
        registry = _open(db, dry_run)
    except VenError as error:
        _complain(error)
        raise typer.Exit(EXIT_UNUSABLE) from None
    seen = Seen()
    for path in files:
        try:
            report = import_csv(
                registry,
                path,
                flags=flags,
                mapping_file=mapping,
                dry_run=dry_run,
                keep_good=keep_good,
                allow_missing_location=allow_missing_location,
                seen=seen,
                progress=_progress(path),
            )
        except VenError as error:
            _complain(error)
            failed += error.problems if isinstance(error, ConfigError) else (str(error),)
            continue
        reports.append(report)
        if not as_json:
            typer.echo(summary(report))
    if as_json:
        shown = {"files": [report.as_dict() for report in reports], "failed": failed}
        typer.echo(json.dumps(shown, ensure_ascii=False, indent=2))
    if rejects is not None:
        _write_rejects(rejects, reports)
    if failed:
        raise typer.Exit(EXIT_UNUSABLE)
    if any(report.rejected for report in reports):
        raise typer.Exit(EXIT_REJECTED)


def summary(report: ImportReport) -> str:
    """Give the report as lines for people."""
    mark = {"\t": "tab"}.get(report.delimiter, report.delimiter)
    columns = ", ".join(f"{target} = {column}" for target, column in report.columns.items())
    source = f", mapping {report.mapping}" if report.mapping else ""
    written = f"{report.encoding}, delimiter {mark}, decimal mark {report.decimal}"
    lines = [f"{report.file}: {written}, header at line {report.header_line}{source}"]
    lines.append(f"  columns: {columns}")
    lines.append(
        f"  {'would be ' if report.dry_run or not report.stored else ''}created {report.created},"
        f" updated {report.updated}, unchanged {report.unchanged},"
        f" duplicates {len(report.duplicates)}, rejected {len(report.rejected)}"
    )
    if not report.stored:
        lines.append("  nothing was stored, as some rows are bad; --keep-good takes the others")
    lines += [
        f"  rejected line {item.line}{', ' + item.column if item.column else ''}: {item.reason}"
        for item in report.rejected[:_SHOWN]
    ]
    if len(report.rejected) > _SHOWN:
        lines.append(f"  ... and {len(report.rejected) - _SHOWN} more; --rejects FILE writes them all")
    if report.duplicates:
        lines.append(f"  duplicates, not stored again: {_places([item.line for item in report.duplicates])}")
    for text, places in report.warnings.items():
        lines.append(f"  warning: {text}: {_places(places)}")
    if report.created:
        lines += [f"  note: {note}" for note in report.notes]
    if report.dry_run:
        for change in report.changes[:_SHOWN]:
            fields = "; ".join(f"{name}: {old!r} -> {new!r}" for name, (old, new) in change.fields.items())
            lines.append(f"  would change {change.resource_id}: {fields}")
    return "\n".join(lines)


def _places(lines: list[int]) -> str:
    shown = ", ".join(map(str, lines[:_SHOWN]))
    more = f" and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return f"{'line' if len(lines) == 1 else 'lines'} {shown}{more}"


def _open(db: Path, dry_run: bool) -> ResourceDatabase | EmptyRegistry:
    if dry_run and not db.exists():
        from venclient.registry.csv_import import EmptyRegistry

        return EmptyRegistry()
    from venclient.registry.database import ResourceDatabase

    return ResourceDatabase(str(db))


def _progress(path: Path) -> Callable[[int], None] | None:
    if not sys.stderr.isatty():
        return None

    def show(rows: int) -> None:
        typer.echo(f"\r{path.name}: {rows} rows", nl=False, err=True)

    return show


def _complain(error: Exception) -> None:
    from venclient.errors import ConfigError

    problems = error.problems if isinstance(error, ConfigError) else (str(error),)
    hint = getattr(error, "hint", "")
    for problem in problems:
        typer.echo(f"error: {problem}", err=True)
    if hint and not any(hint in problem for problem in problems):
        typer.echo(f"hint: {hint}", err=True)


def _write_rejects(path: Path, reports: list[ImportReport]) -> None:
    import csv

    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("file", "line", "column", "reason"))
        for report in reports:
            writer.writerows((report.file, item.line, item.column, item.reason) for item in report.rejected)
