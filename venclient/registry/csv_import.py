"""CSV files -> the registry: new sites are created, the cells that changed in the file are updated.

The rule for each cell is in `imported`: what a user changed since the last import stays. A file is taken
whole or not at all, unless the good rows are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import lru_cache, partial
from itertools import compress, islice
from pathlib import Path
from typing import TYPE_CHECKING

from venclient.errors import InvalidRecord
from venclient.messages import code_of, with_code
from venclient.messages import importing as imp
from venclient.messages import registry as reg
from venclient.messages.printable import foreign
from venclient.model.resource import Resource
from venclient.registry import columns, csv_mapping
from venclient.registry.assumptions import Assumptions
from venclient.registry.batches import Batch
from venclient.registry.collector import collector_paused
from venclient.registry.csv_mapping import CsvMapping
from venclient.registry.csv_rejects import RejectsFile
from venclient.registry.csv_report import KEPT, Change, Conflict, Counts, ImportReport, Missing, differences
from venclient.registry.csv_sites import CsvSites, Duplicate, Rejected, Seen, Site
from venclient.registry.import_target import NoTarget, Stored, Target
from venclient.registry.imported import Imported, Merged, merged
from venclient.registry.option_checks import lacking
from venclient.registry.rows import METER_AT, VEN_AT
from venclient.registry.validation import location_hint
from venclient.utils import REDACTED

if TYPE_CHECKING:
    from venclient.registry.database import ResourceDatabase

_CHUNK = 1_000
#: Sites with something to store that are held before the registry is locked for them. More would take
#: memory without end: the lock then stays over the rest of the file.
_AT_HAND = 20_000

#: Warnings of the registry that an import words itself: place, meter point id, connection.
_SAID_HERE = frozenset({"VEN-REG-015", "VEN-REG-016", "VEN-REG-029", "VEN-REG-040"})

_CREATED_AGAIN = imp.CREATED_AGAIN()
_METER_POINT_TWICE, _METER_POINT_STORED = imp.METER_POINT_TWICE(), imp.METER_POINT_STORED()

#: Told how many bytes of how many are done, and how many rows that was.
Progress = Callable[[int, int, int], None]


class _UndoneError(Exception):
    """Leaves a transaction whose work is not to be kept."""


def import_csv(
    registry: ResourceDatabase | NoTarget,
    path: Path,
    *,
    flags: CsvMapping | None = None,
    mapping_file: Path | None = None,
    dry_run: bool = False,
    keep_good: bool = False,
    allow_missing_location: bool = False,
    disable_missing: bool = False,
    overwrite: bool = False,
    source: str | None = None,
    rejects: RejectsFile | None = None,
    seen: Seen | None = None,
    progress: Progress | None = None,
    pandas: bool = True,
) -> ImportReport:
    """Bring the sites of one CSV file into the registry, in one transaction.

    The mapping is `flags` over `mapping_file` (or the TOML beside the file) over what the file shows.
    One bad row leaves the registry untouched; with `keep_good` bad rows are left out. `rejects` gets them.
    `source` names what the file is a new version of, otherwise its path does: resources that an earlier
    version had and this one has not are reported, and with `disable_missing` switched off. Nothing is
    deleted. A cell that changed both in the file and in the registry since the last import keeps its
    stored value and is listed as a conflict; `overwrite` takes the file's. `pandas` False reads without
    it. ConfigError when the file or its mapping cannot be used at all.

    Others can write while the file is read and compared with what is stored; they wait while it is written.
    """
    mapping_file = mapping_file or csv_mapping.beside(path)
    mapping = csv_mapping.load(mapping_file) if mapping_file else CsvMapping()
    sites = CsvSites(
        path,
        flags.over(mapping) if flags else mapping,
        allow_missing_location=allow_missing_location,
        pandas=pandas,
    )
    layout = sites.table.layout
    report = ImportReport(
        file=str(path),
        encoding=layout.encoding,
        delimiter=layout.delimiter,
        decimal=sites.decimal,
        header_line=layout.header_line,
        columns={target: sites.name_of(target) for target in sites.places},
        unused=sites.unused,
        mapping=str(mapping_file) if mapping_file else None,
        dry_run=dry_run,
        notes=sites.notes(),
    )
    target = registry if isinstance(registry, NoTarget) else registry.importing()
    source = source or str(path.resolve())
    work = _Import(target, sites, report, source, keep_good=keep_good, overwrite=overwrite, rejects=rejects)
    try:
        with collector_paused():
            work.read(Seen() if seen is None else seen, progress)
        with collector_paused(), nullcontext() if dry_run or not report.stored else target.transaction():
            work.store()
            work.tell_disappeared(disable=disable_missing)
            if not report.stored:
                raise _UndoneError
    except _UndoneError:
        pass
    report.rejected.sort(key=lambda row: row.line)  # what the registry refuses comes later
    report.rejects_file = str(rejects.path) if rejects is not None and rejects.made else None
    report.assumptions = work.assumptions()
    report.warnings |= work.warnings_of_file()
    for target_ in sites.mapping.where_present:
        for name in csv_mapping.absent(sites.mapping.columns[target_], sites.columns):
            missing = imp.MAPPED_COLUMN_MISSING(column=foreign(name), meaning=target_)
            report.warnings[missing] = [layout.header_line]
    if not report.rows:
        report.warnings[imp.NO_ROWS()] = [layout.header_line]
    return report


def upsert(
    target: Target,
    sites: Iterable[Site],
    source: str,
    refuse: Callable[[Site, str], None] | None = None,
    *,
    overwrite: bool = False,
    warnings: Mapping[str, list[int]] | None = None,
) -> Counts:
    """Create and update the resources of `sites` in one transaction, by the same rule as `import_csv`.

    `source` names what the sites come from. `refuse` gets the sites that the registry rejects and the
    reason; without it InvalidRecord is raised. `warnings` are those of the rows: the counts hold what of them
    is true of what is stored, and the warnings of the registry.
    """
    counts = Counts()
    imported = _imported(target, source)
    store = _Store(target, counts, refuse or _raise, imported, overwrite=overwrite)
    with target.transaction():
        ids = {site.resource.resourceID for site in store.watched(sites)}
        before = target.source(source)
        if imported.changed or not ids <= set(before):
            target.remember(source, imported.encode(ids.union(before)))
    counts.warnings = {**store.doubts, **store.still_true(warnings or {})}
    return counts


def _imported(target: Target, source: str, *, writes: bool = True) -> Imported:
    """Return the values that `source` had at its last import; without `writes` no key file is made."""
    digest = partial(target.digest, make=writes)
    return Imported(target.values(source), lambda: target.other_values(source), digest)


class _Store:
    """Puts sites into a target; `refuse` is called for those that the registry rejects."""

    def __init__(
        self,
        target: Target,
        counts: Counts,
        refuse: Callable[[Site, str], None],
        imported: Imported,
        *,
        writes: bool = True,
        overwrite: bool = False,
    ) -> None:
        self.writes = writes
        self.imported = imported
        self._overwrite = overwrite
        self.doubts: dict[str, list[int]] = {}
        self.assumed = Assumptions()
        #: Names of new sites in a registry that has others, and their lines: the first thousand.
        self.created: dict[str, int] = {}
        self._meters: dict[str, str] = {}
        self._with_ven: set[int] = set()
        self._other_meter: set[int] = set()
        self._target = target
        self._counts = counts
        self._refuse = refuse
        self._is_empty = False

    def sifted(self, sites: Iterator[Site]) -> list[Site]:
        """Draw sites and return those that differ from what is stored; the others need no work.

        Nothing is locked meanwhile: `put` looks again at those that it is given. Some may be left to draw.
        """
        found: list[Site] = []
        while len(found) < _AT_HAND and not self._target.is_empty():
            if not (chunk := list(islice(sites, _CHUNK))):
                break
            stored = self._target.find([site.resource.resourceID for site in chunk])
            self._warn_of_shared_meters(chunk, stored)
            for site in self._unsettled(chunk, stored):
                known = stored.get(site.resource.resourceID)
                if known is not None:
                    result = self._merged(known, site)
                    if result.resource == known and not result.conflicts:
                        self._counts.unchanged += 1
                        self._record(site, result)
                        continue
                found.append(site)
        return found

    def _unsettled(self, sites: Sequence[Site], stored: Stored) -> list[Site]:
        """Return the sites except those that equal what is stored and the last import: these need no work."""
        settled: set[int] = set()
        for given in {site.given for site in sites}:
            alike = [
                site
                for site in sites
                if (site.given is given or site.given == given) and site.resource.resourceID in stored.rows
            ]
            if not alike:
                continue
            held = [stored.rows[site.resource.resourceID] for site in alike]
            flags = self.imported.settled(held, [site.resource for site in alike], given)
            settled.update(compress([site.line for site in alike], flags))
            if given is not None:  # otherwise all is as it is stored
                for site, row in compress(zip(alike, held, strict=True), flags):
                    self._note(site, ven=row[VEN_AT], meter=row[METER_AT])
        self._counts.unchanged += len(settled)
        return [site for site in sites if site.line not in settled] if settled else list(sites)

    def watched(self, sites: Iterable[Site]) -> Iterator[Site]:
        """Store the sites, and return those that were drawn."""
        drawn: list[Site] = []

        def draw() -> Iterator[Site]:
            for site in sites:
                drawn.append(site)
                yield site

        self.put(draw())
        return iter(drawn)

    def put(self, sites: Iterable[Site], *, sifted: bool = False) -> None:
        """Create, update or leave alone the resources of the sites."""
        self._is_empty = self._target.is_empty()
        new = self._new(sites, sifted=sifted)
        if self.writes:
            self._target.create(new)
        for _ in new:  # a dry run stores nothing: they are only counted
            pass

    def _new(self, sites: Iterable[Site], *, sifted: bool) -> Iterator[Resource]:
        """Return the resources that are to be created; the others are seen to here."""
        waiting = iter(sites)
        while chunk := list(islice(waiting, _CHUNK)):
            ids = [site.resource.resourceID for site in chunk]
            found = Stored() if self._is_empty else self._target.find(ids)
            changed: list[Resource] = []
            if not sifted:
                self._warn_of_shared_meters(chunk, found)
            if self._is_empty:
                new = [site.resource for site in chunk]
                batch = self._target.plain_batch(new)
                if batch is not None and not batch.has_login(REDACTED):
                    self._counts.created += len(new)
                    self._tell_of_batch(chunk, batch)
                    if self.writes:
                        self.imported.put_batch(batch, chunk[0].given)
                        yield from new
                    continue
            for site in chunk:
                resource = self._settled(site, found, changed)
                if resource is not None and self.writes:
                    yield resource
            if self.writes and changed:
                self._target.replace(changed)

    def _tell_of_batch(self, sites: Sequence[Site], batch: Batch) -> None:
        """Count what is assumed of new plain sites, and note which connections cannot be read yet."""
        given = [site.given for site in sites]
        kinds, options = batch.links[0], batch.links[-1]
        if None in given:  # rows of our own export
            self.assumed.count(sites)
        else:
            self.assumed.count_columns(given, batch.types, kinds, batch.capacities)
        alike = not any(options) and kinds.count(kinds[0]) == len(kinds)
        if not alike or lacking(sites[0].resource.connection):
            self._doubt_connections((site, site.resource) for site in sites)

    def _settled(self, site: Site, found: Stored, changed: list[Resource]) -> Resource | None:
        """Return the resource to create for a site; one to replace goes into `changed`."""
        stored = found.get(site.resource.resourceID)
        broken = found.broken(site.resource.resourceID)
        result = None if stored is None else self._merged(stored, site)
        resource = self._without_hidden(site) if result is None else result.resource
        if result is not None and resource == stored:
            self._counts.unchanged += 1
            self._record(site, result)
            return None
        if self._is_refused(site, resource, stored):
            return None
        known = result is None and self.imported.own(resource.resourceID) is not None
        if result is None:
            self._record_new(site, resource)
        else:
            self._record(site, result)
        if stored is None and broken is None:
            self._counts.created += 1
            self.assumed.count([site])
            if known:
                self.doubts.setdefault(_CREATED_AGAIN, []).append(site.line)
            if len(self.created) < KEPT:
                self.created.setdefault(resource.resourceName.casefold(), site.line)
            return resource
        self._counts.updated += 1
        changed.append(resource)
        self._tell(site, stored, resource, broken)
        return None

    def _warn_of_shared_meters(self, sites: list[Site], stored: Stored) -> None:
        """Warn of sites that name a meter point, when the one they get is that of another resource or row."""
        naming = [site for site in sites if site.given is None or "meterPointId" in site.given]
        if not naming:
            return
        meters = [self._meter_of(site, stored) for site in naming]
        ids = [site.resource.resourceID for site in naming]
        different = set(meters)
        held = [] if self._is_empty else self._target.users(list(different))
        others = set(held).difference(zip(meters, ids, strict=True))
        if len(different) == len(meters) and not others and self._meters.keys().isdisjoint(different):
            self._meters.update(zip(meters, ids, strict=True))
            return
        users: dict[str, set[str]] = {}
        for meter, resource_id in held:
            users.setdefault(str(meter), set()).add(str(resource_id))
        for site, meter in zip(naming, meters, strict=True):
            resource_id = site.resource.resourceID
            if self._meters.setdefault(meter, resource_id) != resource_id:
                text = _METER_POINT_TWICE
            elif meter in users and not users[meter] <= {resource_id}:
                text = _METER_POINT_STORED
            else:
                continue
            self.doubts.setdefault(text, []).append(site.line)

    def _meter_of(self, site: Site, stored: Stored) -> str:
        """Return the meter point id that a site has after the import."""
        meter, resource_id = site.resource.meterPointId, site.resource.resourceID
        row = stored.rows.get(resource_id)
        if row is None or row[METER_AT] == meter or (known := stored.get(resource_id)) is None:
            return meter
        return self._merged(known, site).resource.meterPointId

    def _merged(self, stored: Resource, site: Site) -> Merged:
        result = merged(stored, site.resource, site.given, self.imported, overwrite=self._overwrite)
        self._note(site, ven=result.resource.ven, meter=result.resource.meterPointId)
        return result

    def _note(self, site: Site, *, ven: str | None, meter: str) -> None:
        """Remember which warnings about a row are pointless, given what is stored."""
        if site.resource.ven is None and ven is not None:
            self._with_ven.add(site.line)
        if meter != site.resource.meterPointId:
            self._other_meter.add(site.line)

    def still_true(self, warnings: Mapping[str, list[int]]) -> dict[str, list[int]]:
        """Return the warnings about rows without those that what is stored makes pointless."""
        found = {}
        for text, lines in warnings.items():
            code = code_of(text)
            settled = self._other_meter if code == imp.NOT_GS1.code else set()
            if code in (imp.NO_POST_TOWN.code, imp.NO_VEN.code):
                settled = self._with_ven
            if left := [line for line in lines if line not in settled]:
                found[text] = left
        return found

    def _record(self, site: Site, result: Merged) -> None:
        """Record what the file said of a site that is stored, and list its conflicts."""
        stored = result.resource
        self.imported.put(stored.resourceID, result.cells)
        counts = self._counts
        if result.conflicts:
            counts.conflict_cells += len(result.conflicts)
            if len(counts.conflicts) < KEPT:
                counts.conflicts.append(
                    Conflict(site.line, stored.resourceID, stored.resourceName, result.conflicts)
                )
        if result.kept:
            counts.kept_cells += len(result.kept)
            if len(counts.kept) < KEPT:
                counts.kept.append(Conflict(site.line, stored.resourceID, stored.resourceName, result.kept))

    def _record_new(self, site: Site, resource: Resource) -> None:
        self.imported.put_new([resource], site.given)

    def _is_refused(self, site: Site, resource: Resource, stored: Resource | None) -> bool:
        try:
            warnings = self._target.check(resource, stored)
        except InvalidRecord as error:
            self._refuse(site, _reason(error.problems))
            return True
        for text in warnings:
            if code_of(text) not in _SAID_HERE:
                self.doubts.setdefault(text, []).append(site.line)
        self._doubt_connections([(site, resource)])
        self._doubt_place(site, resource)
        return False

    def _doubt_place(self, site: Site, stored: Resource) -> None:
        """Warn of an unlikely position in `stored`, what is stored of a site that names one."""
        if site.given is None or "location" in site.given:
            place = stored.location
            if hint := location_hint(place.get("latitude"), place.get("longitude")):
                self.doubts.setdefault(hint, []).append(site.line)

    def _doubt_connections(self, stored: Iterable[tuple[Site, Resource]]) -> None:
        """Warn of connections that cannot be read yet, in what is stored of sites that name a connection."""
        for site, resource in stored:
            if site.given is None or "connection" in site.given:
                link = resource.connection
                if missing := lacking(link):
                    text = _not_readable(link.type.name, missing)
                    self.doubts.setdefault(text, []).append(site.line)

    def _tell(self, site: Site, stored: Resource | None, resource: Resource, broken: str | None) -> None:
        if stored is None:
            text = imp.BROKEN_REPLACED(problem=broken)
            self.doubts.setdefault(text, []).append(site.line)
        elif len(self._counts.changes) < KEPT:
            change = Change(stored.resourceID, stored.resourceName, differences(stored, resource))
            self._counts.changes.append(change)

    def _without_hidden(self, site: Site) -> Resource:
        if not _hides_secrets(site.resource):
            return site.resource
        resource, lost = columns.keep_secrets(site.resource, None)
        for name in lost:
            self.doubts.setdefault(imp.SECRET_HIDDEN(name=name), []).append(site.line)
        return resource


class _Import:
    """One file on its way into a target."""

    def __init__(
        self,
        target: Target,
        sites: CsvSites,
        report: ImportReport,
        source: str,
        *,
        keep_good: bool,
        overwrite: bool,
        rejects: RejectsFile | None,
    ) -> None:
        self._target = target
        self._sites = sites
        self._report = report
        self._source = source
        self._keep_good = keep_good
        self._rejects = rejects
        self._ids: set[str] = set()
        self._at_hand: list[Site] = []
        self._waiting: Iterator[Site] = iter(())
        self._store = _Store(
            target,
            report,
            lambda site, reason: self._reject(Rejected(site.line, "", reason, site.text)),
            _imported(target, source, writes=not report.dry_run),
            writes=not report.dry_run,
            overwrite=overwrite,
        )

    def read(self, seen: Seen, progress: Progress | None) -> None:
        """Read the file as far as no lock is needed: what it says that is stored already is done with."""
        report, size = self._report, self._sites.table.size
        advance = (lambda done: progress(done, size, report.rows)) if progress else None
        self._waiting = self._taken(seen, advance)
        self._at_hand = self._store.sifted(self._waiting)

    def store(self) -> None:
        """Take the rows that are to be stored, and those that were not read yet."""
        self._store.put(self._at_hand, sifted=True)
        self._at_hand = []
        self._store.put(self._waiting)
        self._report.warnings |= self._store.doubts

    def warnings_of_file(self) -> dict[str, list[int]]:
        """Return what is doubtful about rows, unless what is stored makes it pointless."""
        return self._store.still_true(self._sites.warnings)

    def assumptions(self) -> list[str]:
        """Return what was assumed of the sites that are new, because nothing in the file says it."""
        return list[str](self._store.assumed.texts(self._sites))

    def tell_disappeared(self, *, disable: bool) -> None:
        """Report what is missing from the source since its last import, and record what it has now."""
        report, ids, source, imported = self._report, self._ids, self._source, self._store.imported
        before = self._target.source(source)
        gone = sorted(resource_id for resource_id in before if resource_id not in ids)
        stored = self._target.find(gone) if gone else Stored()
        known = ((resource_id, stored.get(resource_id)) for resource_id in gone)
        missing = [
            Missing(resource_id, one.resourceName)
            for resource_id, one in known
            if one is not None and one.enabled is not False
        ]
        report.disappeared_count, report.disappeared = len(missing), missing[:KEPT]
        names = {one.name.casefold() for one in missing}
        if moved := [line for name, line in self._store.created.items() if name in names]:
            report.warnings[imp.MOVED()] = moved
        keep = [one.resource_id for one in missing]
        if disable and missing:
            if report.rejected_rows:
                report.left_on = True
            else:
                report.disabled = len(missing)
                if self._store.writes:
                    self._target.disable(keep)
                    keep = []
        if self._store.writes and (imported.changed or ids.union(keep) != set(before)):
            self._target.remember(source, imported.encode(ids.union(keep)))

    def _taken(self, seen: Seen, told: Callable[[int], None] | None) -> Iterator[Site]:
        report = self._report
        for item in self._sites.items(seen, told):
            report.rows += 1
            if isinstance(item, Site):
                self._ids.add(item.resource.resourceID)
                yield item
            elif isinstance(item, Duplicate):
                self._ids.add(item.resource_id)
                report.duplicate_rows += 1
                if len(report.duplicates) < KEPT:
                    report.duplicates.append(item)
            else:
                self._reject(item)

    def _reject(self, row: Rejected) -> None:
        report = self._report
        report.rejected_rows += 1
        if len(report.rejected) < KEPT:
            report.rejected.append(row)
        if self._rejects is not None:
            self._rejects.add(report.file, row)
        if not self._keep_good:
            report.stored = False
            self._store.writes = False


def _hides_secrets(resource: Resource) -> bool:
    link, control = resource.connection, resource.control_connection
    if link.username is None and link.password is None and control is None:
        return False
    return REDACTED in (link.username, link.password) or (
        control is not None and REDACTED in (control.username, control.password)
    )


@lru_cache(maxsize=16)
def _not_readable(kind: str, missing: str) -> str:
    """Return the warning, which thousands of rows may share."""
    return imp.NOT_READABLE_YET(type=kind, missing=missing)


def _reason(problems: Sequence[str]) -> str:
    """Return why the registry rejects a row: the only problem, or all with their codes."""
    return problems[0] if len(problems) == 1 else reg.PROBLEMS(problems="; ".join(map(with_code, problems)))


def _raise(site: Site, reason: str) -> None:
    raise InvalidRecord(reason, subject=f"line {site.line}")
