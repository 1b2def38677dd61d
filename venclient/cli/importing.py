"""`ven import FILE...`: sites from CSV files into the registry, with a sum-up of what became of the rows."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from venclient.messages import importing as imp
from venclient.messages import with_code
from venclient.messages.printable import foreign, printable
from venclient.screen import LONGEST_LINE, say, say_json

if TYPE_CHECKING:
    from venclient.registry.csv_import import Progress
    from venclient.registry.csv_mapping import CsvMapping
    from venclient.registry.csv_report import ImportReport
    from venclient.registry.database import ResourceDatabase
    from venclient.registry.import_target import NoTarget

EXIT_OK, EXIT_REJECTED, EXIT_UNUSABLE = 0, 1, 2
_SHOWN = 5
_COLUMNS = 20


def import_files(
    files: Annotated[
        list[Path], typer.Argument(help="CSV files, one kind of site each.", show_default=False)
    ],
    db: Annotated[
        str, typer.Option("--db", help="The resource database: a file, or a PostgreSQL URL.")
    ] = "config/resources.db",
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
        bool,
        typer.Option(
            "--keep-good/--all-or-nothing",
            help="Take the good rows of a file with bad ones; otherwise such a file changes nothing.",
        ),
    ] = False,
    rejects: Annotated[
        Path | None,
        typer.Option(
            "--rejects", help="Where refused rows go; otherwise beside each file, <file>.rejects.csv."
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", help="What the file is a new version of; otherwise its path says so."),
    ] = None,
    disable_missing: Annotated[
        bool,
        typer.Option(
            "--disable-missing",
            help="Switch off what an earlier version of the file had and this one has not.",
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Take the file's value where it and the stored value both changed since the last import.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; store nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole report as JSON.")] = False,
) -> None:
    """Import sites from CSV files, each whole or not at all.

    Encoding, delimiter, decimal mark and columns are found and shown. A second import of the same file
    changes nothing; one of a changed file updates what changed in it and lists what disappeared. What was
    changed in the registry since the last import stays; where the file changed too, it is listed as a
    conflict. Exit status: 0
    all rows were good; 1 some were refused: nothing of their file was stored, or with --keep-good the
    others; 2 a file could not be used.
    """
    from venclient.errors import ConfigError, VenError
    from venclient.registry.csv_import import import_csv
    from venclient.registry.csv_rejects import RejectsFile, beside
    from venclient.registry.csv_sites import Seen

    reports: list[ImportReport] = []
    failed: list[str] = []
    try:
        flags = _flags(columns, resource_type, sub_type, ven, duplicates, several=len(files) > 1)
        if source is not None and len(files) > 1:
            raise ConfigError(imp.ONE_SOURCE(), subject="--source")
        missing = _missing_parts(db)
        registry = _open(db, dry_run)
    except VenError as error:
        _complain(error)
        raise typer.Exit(EXIT_UNUSABLE) from None
    seen = Seen()
    noted: set[str] = set()
    together = RejectsFile(rejects) if rejects else None
    for path in files:
        # A dry run leaves no unrequested file behind.
        refused = together or (None if dry_run else RejectsFile(beside(path)))
        done = False
        try:
            with _progress(path) as progress:
                report = import_csv(
                    registry,
                    path,
                    flags=flags,
                    mapping_file=mapping,
                    dry_run=dry_run,
                    keep_good=keep_good,
                    allow_missing_location=allow_missing_location,
                    disable_missing=disable_missing,
                    overwrite=overwrite,
                    source=source,
                    rejects=refused,
                    seen=seen,
                    progress=progress,
                )
            done = True
        except VenError as error:
            _complain(error)
            failed += map(with_code, error.problems if isinstance(error, ConfigError) else (str(error),))
            continue
        finally:
            if refused is not None and refused is not together:
                refused.close(keep_older=not done)
        reports.append(report)
        if not as_json:
            # What several files have in common is said once.
            say(*_fitted(summary(report, known=noted)).split("\n"))
            noted |= set(report.notes) if report.created else set()
    if together is not None:
        together.close(keep_older=bool(failed))
    if as_json:
        shown = {"files": [report.as_dict() for report in reports], "failed": failed}
        say_json(json.dumps(shown, ensure_ascii=False, indent=2))
    if missing and not any(report.stored and report.created for report in reports):
        _remove_unused(registry, missing)
    if failed:
        raise typer.Exit(EXIT_UNUSABLE)
    if any(report.rejected_rows for report in reports):
        raise typer.Exit(EXIT_REJECTED)


def summary(report: ImportReport, *, known: Collection[str] = ()) -> str:
    """Return the report as lines for people, without the notes that they know."""
    mark = {"\t": "tab"}.get(report.delimiter, f"'{report.delimiter}'")
    columns = ", ".join(f"{target} = {column}" for target, column in report.columns.items())
    source = f", mapping {report.mapping}" if report.mapping else ""
    written = f"{report.encoding}, delimiter {mark}, decimal mark '{report.decimal}'"
    lines = [f"{report.file}: {written}, header at line {report.header_line}{source}"]
    if len(report.columns) > _COLUMNS and all(name == read_as for name, read_as in report.columns.items()):
        columns = imp.OWN_COLUMNS()
    lines.append(f"  columns: {columns}")
    if report.unused:
        more = f" and {len(report.unused) - _COLUMNS} more" if len(report.unused) > _COLUMNS else ""
        lines.append("  " + imp.UNUSED_COLUMNS(columns=report.unused[:_COLUMNS], more=more))
    lines += _counts(report)
    lines += _conflicts(report)
    lines += _disappeared(report)
    lines += [f"  warning: {with_code(text)}: {_places(places)}" for text, places in report.warnings.items()]
    if report.assumptions:
        lines.append(f"  assumed: {'; '.join(report.assumptions)}")
    if report.created:
        lines += [f"  note: {note}" for note in report.notes if note not in known]
    if report.dry_run:
        for change in report.changes[:_SHOWN]:
            fields = "; ".join(f"{name}: {old!r} -> {new!r}" for name, (old, new) in change.fields.items())
            line = imp.WOULD_CHANGE(name=change.name, resource_id=change.resource_id, cells=fields)
            lines.append(f"  {line}")
        if report.updated > _SHOWN:
            lines.append("  " + imp.MORE_CHANGES(count=report.updated - _SHOWN))
    return "\n".join(printable(line, LONGEST_LINE) for line in lines)


def _counts(report: ImportReport) -> list[str]:
    """Return the lines about how many rows were stored, rejected and duplicates."""
    kind = imp.COUNTS_IF_STORED if report.dry_run or not report.stored else imp.COUNTS
    found = [
        kind(
            created=report.created,
            updated=report.updated,
            unchanged=report.unchanged,
            duplicates=report.duplicate_rows,
            rejected=report.rejected_rows,
        )
    ]
    if not report.stored:
        nothing = imp.NOTHING_WOULD_BE_STORED if report.dry_run else imp.NOTHING_STORED
        found.append(nothing(count=report.rejected_rows))
    for row in report.rejected[:_SHOWN]:
        reason = with_code(row.reason)
        if row.column:
            found.append(imp.REJECTED_CELL(line=row.line, column=row.column, reason=reason))
        else:
            found.append(imp.REJECTED_ROW(line=row.line, reason=reason))
    if report.rejected_rows > _SHOWN:
        more = imp.MORE_REJECTED if report.rejects_file else imp.MORE_REJECTED_UNSEEN
        found.append(more(count=report.rejected_rows - _SHOWN))
    if report.rejects_file:
        found.append(imp.REJECTS_FILE(file=report.rejects_file))
    if report.duplicate_rows:
        places = _places([item.line for item in report.duplicates], report.duplicate_rows)
        found.append(imp.DUPLICATES(lines=places))
    return [f"  {text}" for text in found]


def _fitted(text: str) -> str:
    """Return text that breaks between words where a terminal ends; a file or a program gets it as it is."""
    if not sys.stdout.isatty():
        return text
    width = shutil.get_terminal_size().columns
    return "\n".join(broken(line, width) for line in text.splitlines())


def broken(line: str, width: int) -> str:
    """Return a line in parts of at most that width; a path or an id is left whole, however long."""
    start = " " * (len(line) - len(line.lstrip()) + 2)
    parts = textwrap.wrap(
        line, width, subsequent_indent=start, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(parts) or line


def _disappeared(report: ImportReport) -> list[str]:
    count = report.disappeared_count
    if not count:
        return []
    names = ", ".join(f"{one.name} ({one.resource_id})" for one in report.disappeared[:_SHOWN])
    more = f" and {count - _SHOWN} more" if count > _SHOWN else ""
    if report.disabled:
        kind = imp.WOULD_BE_DISABLED if report.dry_run or not report.stored else imp.DISABLED
    else:
        kind = imp.NOT_DISABLED if report.left_on else imp.DISAPPEARED
    return ["  " + kind(count=count, names=f"{names}{more}")]


def _conflicts(report: ImportReport) -> list[str]:
    """Return the lines about cells whose stored value stays though the file says another."""
    if not report.conflicts:
        return []
    lines = [f"  {with_code(imp.CONFLICTS(count=report.conflict_cells))}; {imp.CONFLICTS.hint}"]
    for one in report.conflicts[:_SHOWN]:
        cells = "; ".join(
            imp.CELL_CONFLICT(cell=cell, stored=old, value=new) for cell, (old, new) in one.cells.items()
        )
        line = imp.CONFLICT(line=one.line, name=one.name, resource_id=one.resource_id, cells=cells)
        lines.append(f"    {line}")
    if len(report.conflicts) > _SHOWN:
        lines.append("    " + imp.MORE_CONFLICTS())
    return lines


def _places(lines: list[int], count: int | None = None) -> str:
    count = len(lines) if count is None else count
    shown = ", ".join(map(str, lines[:_SHOWN]))
    more = f" and {count - _SHOWN} more" if count > _SHOWN else ""
    return f"{'line' if count == 1 else 'lines'} {shown}{more}"


def _flags(
    columns: list[str] | None,
    resource_type: str | None,
    sub_type: str | None,
    ven: str | None,
    duplicates: str | None,
    *,
    several: bool,
) -> CsvMapping:
    from venclient.registry.csv_mapping import from_flags, told

    flags = told(
        "command line",
        columns=from_flags(columns or []),
        type=resource_type,
        sub_type=sub_type,
        ven=ven,
        duplicates=duplicates,
    )
    # Files of one command may differ: a mapping serves those that have its column.
    return replace(flags, where_present=frozenset(flags.columns)) if several else flags


def _open(db: str, dry_run: bool) -> ResourceDatabase | NoTarget:
    from venclient.registry.database import ResourceDatabase
    from venclient.registry.opening import holds_registry

    if dry_run and not holds_registry(db):
        from venclient.registry.import_target import NoTarget

        return NoTarget()

    return ResourceDatabase(db)


def _missing_parts(db: str) -> list[Path]:
    """Return the database file and its folders that do not exist yet, deepest first; none for a URL."""
    from venclient.registry.opening import is_url

    path = Path(db)
    if is_url(db) or path.exists():
        return []
    return [path, *(folder for folder in path.parents if not folder.exists())]


def _remove_unused(registry: ResourceDatabase | NoTarget, missing: list[Path]) -> None:
    """Remove the database and folders that this import made, when nothing is stored in it."""
    from venclient.registry.database import ResourceDatabase

    if not isinstance(registry, ResourceDatabase) or registry.count():
        return
    registry.close()
    path, *folders = missing
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    for folder in folders:
        if any(folder.iterdir()):
            break
        folder.rmdir()


@contextmanager
def _progress(path: Path) -> Iterator[Progress | None]:
    """Return what shows how far a file is, on a terminal; None elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%", markup=False),
        TextColumn("{task.fields[rows]} rows", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(foreign(path.name), total=None, rows=0)

        def show(done: int, size: int, rows: int) -> None:
            bar.update(task, completed=done, total=size, rows=rows)

        yield show


def _complain(error: Exception) -> None:
    from venclient.errors import ConfigError

    problems = error.problems if isinstance(error, ConfigError) else (str(error),)
    hint = getattr(error, "hint", "")
    for problem in problems:
        say(f"error: {with_code(problem)}", err=True)
    if hint and not any(hint in problem for problem in problems):
        say(f"hint: {hint}", err=True)
