"""The tuples of the first generation, as `bulk_insert_resources` takes them beside Resources."""

from __future__ import annotations

from typing import Any

from venclient.errors import InvalidRecord
from venclient.messages import registry as reg
from venclient.messages import text_of
from venclient.model.resource import ActorType, Connection, ConnectionType, Resource
from venclient.registry import rows
from venclient.registry.rows import BadRow, Row
from venclient.registry.validation import check_resource

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
_FLAGS = (True, False, None)  # 1 and 0 as well, which PostgreSQL does not accept as booleans


#: Where the checks look for a connection: tuples have none. The one that they share is warned of once.
_NOBODY = Connection(ConnectionType.FILEREADER, ActorType.READER, file="-")


def checked_tuple(row: Row, at: int) -> tuple[Row, list[str]]:
    """Return the values of RESOURCE_COLUMNS for a tuple, and what is doubtful about them.

    InvalidRecord lists all mistakes of tuple number `at`. A tuple is checked as a Resource is, but NaN in
    its JSON means unknown: that is how the first generation wrote a missing number.
    """
    if len(row) != 10:
        raise InvalidRecord(reg.TUPLE_LENGTH(count=len(row)), subject=f"row {at}")
    fields = dict(zip(_NAMES, row, strict=False))
    problems: list[str] = [reg.TUPLE_MISSING(field=name) for name in _NEEDED if fields[name] is None]
    try:
        kind = rows.type_name(str(row[2]))
    except ValueError as error:
        kind = ""
        problems.append(text_of(error))
    held: list[dict[str, Any]] = []
    for name in _JSON:
        try:
            held.append(rows.json_object(fields[name], name))
        except BadRow as error:
            problems.append(text_of(error))
    if row[9] not in _FLAGS:
        problems.append(reg.NOT_A_FLAG(value=row[9]))
    warnings: list[str] = []
    if not problems:
        capacities, location = held
        made = Resource(row[0], row[1], kind, row[3], row[4], _NOBODY, capacities, location, row[7])
        made.ven = row[8]
        problems, warnings = check_resource(made)
    if problems:
        raise rows.refused(problems, f"resource {row[0]!r}")
    return (*row[:2], kind, *row[3:9], None if row[9] is None else bool(row[9]), None), warnings
