"""What an import did to each row and resource, counted and reported."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from venclient.messages import code_of, with_code
from venclient.model.resource import Connection, Resource
from venclient.registry.csv_sites import Duplicate, Rejected
from venclient.secrets import shown

#: How many changes, duplicates and refused rows a report holds; they are all counted.
KEPT = 1_000


@dataclass(frozen=True)
class Change:
    """What an import changes in one resource: field -> (before, after)."""

    resource_id: str
    name: str
    fields: dict[str, tuple[Any, Any]]


@dataclass(frozen=True)
class Missing:
    """A resource that came from this file and does not stand in it any more."""

    resource_id: str
    name: str


@dataclass(frozen=True)
class Conflict:
    """Cells of one resource whose stored value stays: cell -> (stored, in the file)."""

    line: int
    resource_id: str
    name: str
    cells: dict[str, tuple[Any, Any]]


@dataclass
class Counts:
    """How many resources an import created, updated and left as they were.

    `conflicts` are cells that changed in the file and in the registry, `kept` those that changed in the
    registry alone; both keep their stored value. The lists hold the first thousand resources. `warnings`
    are the doubts about what is stored, with lines.
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    changes: list[Change] = field(default_factory=list)
    conflict_cells: int = 0
    conflicts: list[Conflict] = field(default_factory=list)
    kept_cells: int = 0
    kept: list[Conflict] = field(default_factory=list)
    warnings: dict[str, list[int]] = field(default_factory=dict)


@dataclass
class ImportReport(Counts):
    """What one file's import did, or would do when `dry_run`.

    `stored` is False when nothing was, as some rows are bad. `rejected`, `duplicates`, `changes` and
    `disappeared` hold the first thousand; the counts beside them count all. `left_on`: what disappeared was
    to be switched off but was not, as refused rows may be what seems to be missing. `assumptions`: what was
    assumed of created sites where neither file nor mapping says it, with counts.
    """

    file: str = ""
    encoding: str = ""
    delimiter: str = ""
    decimal: str = ""
    header_line: int = 0
    columns: dict[str, str] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    mapping: str | None = None
    dry_run: bool = False
    stored: bool = True
    rows: int = 0
    duplicate_rows: int = 0
    duplicates: list[Duplicate] = field(default_factory=list)
    rejected_rows: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    rejects_file: str | None = None
    disappeared_count: int = 0
    disappeared: list[Missing] = field(default_factory=list)
    disabled: int = 0
    left_on: bool = False
    notes: list[str] = field(default_factory=list)
    assumptions: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON can hold it; each rejected row has the code of its reason."""
        found = asdict(self)
        found["rejected"] = [asdict(row) | {"code": code_of(row.reason)} for row in self.rejected]
        found["warnings"] = {with_code(text): lines for text, lines in self.warnings.items()}
        return found


def differences(before: Resource, after: Resource) -> dict[str, tuple[Any, Any]]:
    """Return what differs, "field" or "field.part" -> (before, after); secrets are not shown."""
    found: dict[str, tuple[Any, Any]] = {}
    for name in (one.name for one in fields(before) if one.compare):
        old, new = getattr(before, name), getattr(after, name)
        if old == new:
            continue
        old_parts, new_parts = _parts(old), _parts(new)
        if old_parts is None or new_parts is None:
            found[name] = (_shown(old), _shown(new))
            continue
        for part in dict.fromkeys((*old_parts, *new_parts)):
            if old_parts.get(part) != new_parts.get(part):
                pair = (old_parts.get(part), new_parts.get(part))
                if part in ("username", "password"):
                    pair = (shown(pair[0]), shown(pair[1]))
                found[f"{name}.{part}"] = pair
    return found


def _parts(value: object) -> dict[str, Any] | None:
    if isinstance(value, dict):
        return value
    if isinstance(value, Connection):
        names = (one.name for one in fields(value) if one.compare)
        parts = {name: getattr(value, name) for name in names}
        return parts | {"type": value.type.name, "actortype": value.actortype.name}
    return None


def _shown(value: Any) -> Any:
    return value if value is None or isinstance(value, (str, float, int, bool, dict)) else repr(value)
