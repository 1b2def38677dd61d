"""The sample sites: `<config>/exampleassets/*.csv` -> data frames -> resources -> `<config>/resources.db`.

This is the preparation phase: it alone uses pandas, which the service never loads.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from venclient.errors import ConfigError
from venclient.installation import install_hint
from venclient.messages import importing as imp
from venclient.messages import with_code
from venclient.model.resource import (
    ActorType,
    Connection,
    ConnectionType,
    Resource,
    ResourceType,
    enum_member,
)
from venclient.registry.csv_import import upsert
from venclient.registry.csv_mapping import CAPACITIES
from venclient.registry.csv_rejects import SUFFIX
from venclient.registry.csv_report import Counts, differences
from venclient.registry.csv_sites import CsvSites, Duplicate, Rejected, Seen, Site
from venclient.registry.kinds import METERED_KINDS, default_capacities
from venclient.registry.meterpoint import derived_meter_point_id, derived_resource_id, identity
from venclient.screen import say

if TYPE_CHECKING:
    from venclient.registry.database import ResourceDatabase

_log = logging.getLogger(__name__)

ASSETS = "exampleassets"
METER_FILES = "examplemeterdata"
DATABASE = "resources.db"

_COLUMNS = (
    "title",
    "address",
    "longitude",
    "latitude",
    "resource_type",
    "resource_sub_type",
    "meterpoint_id",
    "ven",
    "resource_id",
)


class Frame(Protocol):
    """The part of a pandas DataFrame that is used here."""

    def to_dict(self, orient: Any) -> Any:
        """Return one dict per row for "records"."""
        ...


def convert_to_resources(df: Frame) -> list[tuple[Resource, str | None]]:
    """Return (resource, VEN) of each row of a DataFrame.

    Columns are title, address, longitude, latitude, resource_type, resource_sub_type, meterpoint_id, ven
    and resource_id, and the capacities (P_max_kw, ...) where they are known. Ids that are missing are
    derived from name and address; missing capacities are those usual for the kind of site.
    """
    return [_resource({str(name): value for name, value in row.items()}) for row in df.to_dict("records")]


def sample_connection(sub_type: str | None, resource_id: str) -> Connection:
    """Return a connection to the generated meter file of the site's kind, scaled for each site.

    The file starts at the database's folder. The scale (0.5 to 1) follows from the resource's id.
    """
    kind = "".join((sub_type or "").casefold().split())
    if kind == "pvplants":
        kind = "pv"
    elif kind not in METERED_KINDS:
        kind = "other"
    draw = int.from_bytes(sha256(resource_id.encode()).digest()[:4], "big") / 2**32
    scale = round(0.5 + 0.5 * draw, 2)
    options = {
        "format": "csv",
        "delimiter": ";",
        "decimal": ".",
        "time": {"columns": ["time"], "format": "iso", "zone": "UTC"},
        "values": [{"column": name, "quantity": name, "scale": scale} for name in ("power_kw", "energy_kwh")],
    }
    return Connection(
        ConnectionType.FILEREADER, ActorType.READER, file=f"{METER_FILES}/{kind}.csv", options=options
    )


def generate_resources(
    config_folder: Path | str = "config",
    *,
    assets: Path | None = None,
    quiet: bool = True,
    rejected_count: list[int] | None = None,
) -> ResourceDatabase:
    """Build or renew `<config_folder>/resources.db` from the sample files, and return it, open.

    The sample files are in `assets`, or in `<config_folder>/exampleassets`.

    A second run changes nothing, and what a user changed since stays, by the rule of `imported`. Unless
    `quiet`, prints what each file brought, what was left alone and which rows were rejected. Rows that were
    rejected, and files that could not be used, are counted in `rejected_count`, when it is given.
    ConfigError when the sample files are missing.
    """
    from venclient.registry.database import ResourceDatabase

    folder = Path(config_folder)
    assets = assets or folder / ASSETS
    files = sorted(file for file in assets.glob("*.csv") if not file.name.endswith(SUFFIX))
    if not files:
        raise ConfigError(imp.NO_SAMPLES(), subject=str(assets))
    database = ResourceDatabase(str(folder / DATABASE))
    seen = Seen()
    unusable: list[ConfigError] = []
    for file in files:
        rejected: list[Rejected] = []
        try:
            sites = CsvSites(file)
        except ConfigError as error:
            unusable.append(error)
            if rejected_count is not None:
                rejected_count.append(1)
            _log.warning(imp.SAMPLE_SKIPPED(problem=error))
            continue
        taken = list(_sample_sites(sites, seen, rejected))
        counts = upsert(
            database.importing(),
            taken,
            f"sample {file.name}",
            partial(_reject, rejected),
            warnings=sites.warnings,
        )
        if rejected_count is not None:
            rejected_count.append(len(rejected))
        if not quiet:
            _tell(file, counts, rejected)
            _tell_left_alone(database, taken)
    if len(unusable) == len(files):
        database.close()
        raise unusable[0]
    return database


def _reject(rejected: list[Rejected], site: Site, reason: str) -> None:
    rejected.append(Rejected(site.line, "", reason))


def _sample_sites(sites: CsvSites, seen: Seen, rejected: list[Rejected]) -> Iterator[Site]:
    lines = []
    given = []
    rows = []
    for item in sites.items(seen):
        if isinstance(item, Rejected):
            rejected.append(item)
        elif not isinstance(item, Duplicate):
            lines.append(item.line)
            given.append(_kept_cells(item.given))
            rows.append(_row(item.resource))
    frame = _frame(rows)
    for line, cells, (resource, _) in zip(lines, given, convert_to_resources(frame), strict=True):
        yield Site(line, resource, cells)


@lru_cache(maxsize=64)
def _kept_cells(given: frozenset[str] | None) -> frozenset[str] | None:
    """Return the cells that a sample keeps: its connection is that to the generated meter file."""
    if given is None:
        return None
    return frozenset(name for name in given if name != "enabled" and not name.startswith("connection"))


def _frame(rows: list[dict[str, Any]]) -> Frame:
    try:
        import pandas as pd
    except ImportError as error:
        raise ConfigError(imp.NO_PANDAS(command=install_hint("prepare"))) from error
    return pd.DataFrame(rows, columns=[*_COLUMNS, *CAPACITIES.values()])


def _row(resource: Resource) -> dict[str, Any]:
    return {
        "title": resource.resourceName,
        "address": resource.address,
        **resource.location,
        "resource_type": resource.resourceType,
        "resource_sub_type": resource.resourceSubType,
        "meterpoint_id": resource.meterPointId,
        "ven": resource.ven,
        "resource_id": resource.resourceID,
        **resource.capacities,
    }


def _resource(row: dict[str, Any]) -> tuple[Resource, str | None]:
    cells: dict[str, Any] = {name: value for name, value in row.items() if not _is_missing(value)}
    name, address = str(cells.get("title") or ""), cells.get("address")
    location: dict[str, Any] = {
        axis: float(cells[axis]) for axis in ("latitude", "longitude") if axis in cells
    }
    place = address or ",".join(f"{degrees:.5f}" for degrees in location.values())
    key = identity(name, place)
    kind = enum_member(ResourceType, cells.get("resource_type") or ResourceType.DSR)
    sub_type = cells.get("resource_sub_type")
    resource_id = str(cells.get("resource_id") or derived_resource_id(key))
    capacities = default_capacities(kind, sub_type)
    capacities |= {name: float(cells[name]) for name in capacities if name in cells}
    ven = cells.get("ven")
    resource = Resource(
        resource_id,
        name,
        kind.name,
        sub_type,
        str(cells.get("meterpoint_id") or derived_meter_point_id(key)),
        sample_connection(sub_type, resource_id),
        capacities,
        location,
        address,
        True,
        ven=ven,
    )
    return resource, ven


def _is_missing(value: object) -> bool:
    # pandas writes a missing text as NaN, None or pd.NA, none of which compares as itself
    return value is None or (isinstance(value, float) and math.isnan(value)) or repr(value) in ("<NA>", "NaT")


def _tell(file: Path, counts: Counts, rejected: list[Rejected]) -> None:
    say(
        imp.SAMPLE_COUNTS(
            file=file.name,
            created=counts.created,
            updated=counts.updated,
            unchanged=counts.unchanged,
            rejected=len(rejected),
        )
    )
    for item in rejected:
        say(f"  line {item.line}{', ' + item.column if item.column else ''}: {with_code(item.reason)}")
    for text, lines in counts.warnings.items():
        say(f"  warning, lines {', '.join(map(str, lines))}: {with_code(text)}")


def _tell_left_alone(database: ResourceDatabase, taken: list[Site]) -> None:
    """Print which resources differ from their sample, because a user changed them."""
    stored = database.importing().find([site.resource.resourceID for site in taken])
    for site in taken:
        sample = site.resource
        if (kept := stored.get(sample.resourceID)) is None or kept == sample:
            continue
        cells = "; ".join(
            imp.SAMPLE_DIFFERS(cell=cell, stored=old, sample=new)
            for cell, (old, new) in differences(kept, sample).items()
        )
        say("  " + imp.LEFT_ALONE(name=kept.resourceName, resource_id=kept.resourceID, cells=cells))
