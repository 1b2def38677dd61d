"""CSV files -> the registry: new sites are created, what a file tells otherwise is updated, no more.

An import changes only what its file says: the connection, capacities or reporting that somebody set
by hand since stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from venclient.model.resource import Resource
from venclient.registry import csv_mapping
from venclient.registry.csv_mapping import CAPACITIES, CsvMapping
from venclient.registry.csv_sites import CsvSites, Duplicate, Rejected, Seen, Site

_PROGRESS_ROWS = 500
_DIFF_ROWS = 1000


class Registry(Protocol):
    """The part of `ResourceDatabase` that an import needs."""

    def get_resource(self, resource_id: str) -> Resource | None:
        """Give the resource as stored, None when there is none."""
        ...

    def bulk_upsert(self, resources: Iterable[Resource]) -> object:
        """Create or update all of them in one transaction."""
        ...


class EmptyRegistry:
    """A registry that holds nothing: what a dry run compares with where there is no database yet."""

    def get_resource(self, resource_id: str) -> Resource | None:
        """Give None."""
        return None

    def bulk_upsert(self, resources: Iterable[Resource]) -> object:
        """Store nothing."""
        return None


@dataclass(frozen=True)
class Change:
    """What an import changes in one resource: field -> (before, after)."""

    resource_id: str
    fields: dict[str, tuple[Any, Any]]


@dataclass
class Counts:
    """How many resources an import created, updated and left as they were."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    changes: list[Change] = field(default_factory=list)


@dataclass
class ImportReport:
    """What one file's import did, or would do when `dry_run`."""

    file: str
    encoding: str
    delimiter: str
    decimal: str
    header_line: int
    columns: dict[str, str]
    mapping: str | None
    dry_run: bool
    stored: bool = True
    rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicates: list[Duplicate] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    warnings: dict[str, list[int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Give the report as JSON can hold it."""
        return asdict(self)


def import_csv(
    registry: Registry,
    path: Path,
    *,
    flags: CsvMapping | None = None,
    mapping_file: Path | None = None,
    dry_run: bool = False,
    keep_good: bool = True,
    allow_missing_location: bool = False,
    seen: Seen | None = None,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Bring the sites of one CSV file into the registry, in one transaction.

    The mapping is `flags` over `mapping_file` (or the TOML beside the file) over what the file shows.
    Bad rows are left out and reported; without `keep_good` one bad row leaves the registry untouched.
    ConfigError when the file or its mapping cannot be used at all.
    """
    mapping_file = mapping_file or csv_mapping.beside(path)
    mapping = csv_mapping.load(mapping_file) if mapping_file else CsvMapping()
    sites = CsvSites(
        path, flags.over(mapping) if flags else mapping, allow_missing_location=allow_missing_location
    )
    layout = sites.table.layout
    report = ImportReport(
        file=str(path),
        encoding=layout.encoding,
        delimiter=layout.delimiter,
        decimal=sites.decimal,
        header_line=layout.header_line,
        columns={target: sites.name_of(target) for target in sites.places},
        mapping=str(mapping_file) if mapping_file else None,
        dry_run=dry_run,
        notes=_notes(sites),
    )
    seen = Seen() if seen is None else seen
    if not keep_good:
        trial = Seen(dict(seen.contents), dict(seen.counts))
        report.stored = not any(isinstance(item, Rejected) for item in sites.items(trial))
    counts = upsert(
        registry, _taken(sites.items(seen), report, progress), dry_run=dry_run or not report.stored
    )
    report.created, report.updated, report.unchanged = counts.created, counts.updated, counts.unchanged
    report.changes = counts.changes
    report.warnings = dict(sites.warnings)
    for target in sites.mapping.where_present:
        for name in csv_mapping.absent(sites.mapping.columns[target], sites.columns):
            report.warnings[f"there is no column {name!r} for {target} in this file"] = [layout.header_line]
    if not report.rows:
        report.warnings["there is no row below the header"] = [layout.header_line]
    return report


def upsert(registry: Registry, sites: Iterable[Site], *, dry_run: bool = False) -> Counts:
    """Create and update the resources of `sites` in one transaction, taking only what each site tells."""
    counts = Counts()

    def changed() -> Iterator[Resource]:
        for site in sites:
            stored = registry.get_resource(site.resource.resourceID)
            if stored is None:
                counts.created += 1
                yield site.resource
                continue
            merged = merge(stored, site)
            if merged == stored:
                counts.unchanged += 1
                continue
            counts.updated += 1
            if len(counts.changes) < _DIFF_ROWS:
                counts.changes.append(Change(stored.resourceID, _difference(stored, merged)))
            yield merged

    if dry_run:
        for _ in changed():
            pass
    else:
        registry.bulk_upsert(changed())
    return counts


def merge(stored: Resource, site: Site) -> Resource:
    """Give the stored resource with what the site tells put over it."""
    told: dict[str, Any] = {
        name: getattr(site.resource, name) for name in site.given if hasattr(site.resource, name)
    }
    capacities = {name: site.resource.capacities[name] for name in CAPACITIES.values() if name in site.given}
    if capacities:
        told["capacities"] = {**stored.capacities, **capacities}
    return replace(stored, **told)


def _difference(before: Resource, after: Resource) -> dict[str, tuple[Any, Any]]:
    pairs = ((name, getattr(before, name), getattr(after, name)) for name in vars(after))
    # a connection shows as its repr, which hides the password
    return {name: (_shown(old), _shown(new)) for name, old, new in pairs if old != new}


def _shown(value: Any) -> Any:
    return value if value is None or isinstance(value, (str, float, int, bool, dict)) else repr(value)


def _taken(
    items: Iterable[Site | Duplicate | Rejected], report: ImportReport, progress: Callable[[int], None] | None
) -> Iterator[Site]:
    for item in items:
        report.rows += 1
        if progress and report.rows % _PROGRESS_ROWS == 0:
            progress(report.rows)
        if isinstance(item, Rejected):
            report.rejected.append(item)
        elif isinstance(item, Duplicate):
            report.duplicates.append(item)
        else:
            yield item
    if progress:
        progress(report.rows)


def _notes(sites: CsvSites) -> list[str]:
    notes = []
    if "meterpoint_id" not in sites.places:
        notes.append("no column tells the meter point: each new site gets a number derived from its identity")
    told = {"connection_type", "host", "topic", "file"} & sites.places.keys()
    if not told and sites.mapping.connection is None:
        notes.append(
            "nothing tells how the meters are reached: each new site reads meterdata/<meter point id>.csv"
            " beside the database until it is given a connection"
        )
    return notes
