"""The tuples of the first generation, as `bulk_insert_resources` takes them beside Resources."""

from __future__ import annotations

from venclient.errors import InvalidRecord
from venclient.registry import rows
from venclient.registry.rows import BadRow, Row

_NAMES = (
    "resource_id",
    "resource_name",
    "resource_type",
    "resource_sub_type",
    "meter_point_id",
    "capacities",
    "location",
    "address",
    "ven",
)
_NEEDED = ("resource_id", "resource_name", "meter_point_id")
_JSON = ("capacities", "location")
_FLAGS = (True, False, None)  # 1 and 0 as well, which are no truth to PostgreSQL


def checked_tuple(row: Row, at: int) -> Row:
    """Give the values of RESOURCE_COLUMNS for a tuple; InvalidRecord tells all mistakes of number `at`."""
    if len(row) != 10:
        raise InvalidRecord(
            f"has {len(row)} members, not 10",
            subject=f"row {at}",
            hint="give (resource_id, resource_name, resource_type, resource_sub_type, meter_point_id,"
            " capacities_json, location_json, address, ven, enabled)",
        )
    told = dict(zip(_NAMES, row, strict=False))
    problems = [f"{name} is missing" for name in _NEEDED if told[name] is None]
    try:
        kind = rows.type_name(str(row[2]))
    except ValueError as error:
        kind = ""
        problems.append(str(error))
    for name in _JSON:
        try:
            rows.json_object(told[name], name)
        except BadRow as error:
            problems.append(str(error))
    if row[9] not in _FLAGS:
        problems.append(f"enabled must be True, False or None, not {row[9]!r}")
    if problems:
        raise InvalidRecord(
            "; ".join(problems),
            subject=f"resource {row[0]!r}",
            hint="correct it and store it again; nothing was changed",
            problems=tuple(problems),
        )
    return (*row[:2], kind, *row[3:9], None if row[9] is None else bool(row[9]), None)
