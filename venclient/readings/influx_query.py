"""Questions to InfluxDB, in InfluxQL or Flux, and what the answers say; pure.

One question is a window of some resources: the readings inside, and of each quantity the last before and
the first after, a day away at most.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from venclient.errors import StoreError
from venclient.messages import influx as inf
from venclient.messages.printable import foreign
from venclient.model.reading import Quality, Reading
from venclient.readings.line_protocol import MEASUREMENT, QUALITY_SUFFIX
from venclient.readings.series import MILLISECOND, NEIGHBOUR_REACH, from_ms, to_ms

REACH_MS = NEIGHBOUR_REACH // MILLISECOND
FIELDS_STATEMENT = f'SHOW FIELD KEYS FROM "{MEASUREMENT}"'
_NUMBERS = ("float", "integer", "unsigned")

#: (resource, milliseconds) -> field -> value, a number or the text of a quality.
Points = dict[tuple[str, int], dict[str, Any]]


class Window(NamedTuple):
    """What is asked: the readings of first_ms <= time <= last_ms, and their neighbours."""

    resource_ids: tuple[str, ...]
    first_ms: int
    last_ms: int


class Fields(NamedTuple):
    """What the server holds: quantities, and the quality fields that stand beside some of them."""

    quantities: tuple[str, ...]
    qualities: frozenset[str]


def window_of(resource_ids: Sequence[str], start: datetime, end: datetime) -> Window:
    """Return the window of start <= time <= end in milliseconds."""
    last_ms = to_ms(end)
    first_ms = to_ms(start)
    return Window(tuple(resource_ids), first_ms + (from_ms(first_ms) < start), last_ms)


def quoted_name(name: str) -> str:
    """Return a name quoted for InfluxQL."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def quoted_text(text: str) -> str:
    """Return a text quoted for InfluxQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def flux_text(text: str) -> str:
    """Return a text quoted for Flux; `${` would begin an expression."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return '"' + escaped.replace("${", "\\${") + '"'


# ---- InfluxQL


def influxql(window: Window, fields: Fields) -> str:
    """Return the statements of a window: what is inside, then before and after of each quantity."""
    chosen = " OR ".join(f'"resource_id" = {quoted_text(one)}' for one in window.resource_ids)

    def select(quantities: Iterable[str], times: str, rest: str = "") -> str:
        names = [
            name
            for quantity in quantities
            for name in (quantity, quantity + QUALITY_SUFFIX)
            if name == quantity or name in fields.qualities
        ]
        columns = ", ".join(map(quoted_name, names))
        return (
            f'SELECT {columns} FROM "{MEASUREMENT}" WHERE ({chosen}) AND {times} '  # noqa: S608 - quoted
            f'GROUP BY "resource_id"{rest}'
        )

    first_ms, last_ms = window.first_ms, window.last_ms
    statements = [select(fields.quantities, f"time >= {first_ms}ms AND time <= {last_ms}ms")]
    before = f"time >= {first_ms - REACH_MS}ms AND time < {first_ms}ms"
    after = f"time > {last_ms}ms AND time <= {last_ms + REACH_MS}ms"
    for quantity in fields.quantities:
        statements.append(select([quantity], before, " ORDER BY time DESC LIMIT 1"))
        statements.append(select([quantity], after, " ORDER BY time ASC LIMIT 1"))
    return "; ".join(statements)


def influxql_fields(content: bytes) -> Fields:
    """Return the fields in an answer to `FIELDS_STATEMENT`; StoreError for an invalid answer."""
    with _understood("InfluxQL"):
        kinds = {str(name): str(kind) for series in _series(content) for name, kind in series["values"]}
    quantities = tuple(sorted(name for name, kind in kinds.items() if kind in _NUMBERS))
    beside = {quantity + QUALITY_SUFFIX for quantity in quantities}
    return Fields(quantities, frozenset(n for n, kind in kinds.items() if kind == "string" and n in beside))


def influxql_points(content: bytes) -> Points:
    """Return the points of an answer to `influxql`; StoreError when it is invalid or incomplete."""
    points: Points = {}
    with _understood("InfluxQL"):
        for series in _series(content):
            resource_id = str(series["tags"]["resource_id"])
            names = series["columns"][1:]
            for ms, *values in series["values"]:
                point = {
                    name: value if isinstance(value, str) else float(value)
                    for name, value in zip(names, values, strict=True)
                    if value is not None
                }
                points.setdefault((resource_id, to_ms(from_ms(ms))), {}).update(point)
    return points


def _series(content: bytes) -> Iterator[Mapping[str, Any]]:
    for result in msgspec.json.decode(content)["results"]:
        if "error" in result:
            raise StoreError(inf.QUERY_REFUSED(reason=foreign(result["error"])), subject="InfluxDB")
        for one in (result, *result.get("series", ())):
            if one.get("partial"):
                raise StoreError(inf.PARTIAL(), subject="InfluxDB")
        yield from result.get("series", ())


@contextmanager
def _understood(language: str) -> Iterator[None]:
    """Turn what goes wrong with an answer of unexpected form into a StoreError."""
    try:
        yield
    except (
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        ArithmeticError,
        csv.Error,
        RecursionError,
    ) as error:
        raise StoreError(
            inf.NOT_A_RESULT(language=language, kind=type(error).__name__), subject="InfluxDB"
        ) from error


# ---- Flux


def flux(window: Window, bucket: str) -> str:
    """Return the query of a window in Flux, with the results inside, before and after."""
    chosen = " or ".join(f"r.resource_id == {flux_text(one)}" for one in window.resource_ids)

    def data(name: str, from_ms_: int, until_ms: int, nearest: str = "") -> str:
        # The end of a range is not in it.
        return (
            f"from(bucket: {flux_text(bucket)})\n"
            f"  |> range(start: {_moment(from_ms_)}, stop: {_moment(until_ms)})\n"
            f"  |> filter(fn: (r) => r._measurement == {flux_text(MEASUREMENT)} and ({chosen}))\n"
            '  |> keep(columns: ["_time", "_value", "_field", "resource_id"])\n'
            f'{nearest}  |> yield(name: "{name}")\n'
        )

    ordered = '  |> sort(columns: ["_time"])\n'
    first_ms, beyond_ms = window.first_ms, window.last_ms + 1
    return (
        data("inside", first_ms, beyond_ms)
        + data("before", first_ms - REACH_MS, first_ms, ordered + "  |> last()\n")
        + data("after", beyond_ms, beyond_ms + REACH_MS, ordered + "  |> first()\n")
    )


def _moment(ms: int) -> str:
    return from_ms(max(ms, 0)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def flux_points(content: bytes) -> Points:
    """Return the points of an annotated CSV answer; StoreError when it is invalid."""
    points: Points = {}
    with _understood("Flux"):
        header: list[str] = []
        for row in csv.reader(io.StringIO(content.decode(), newline="")):
            if not any(row) or row[0].startswith("#"):
                header = []
            elif not header:
                header = row
            else:
                record = dict(zip(header, row, strict=True))
                if "error" in record:
                    raise StoreError(inf.QUERY_REFUSED(reason=foreign(record["error"])), subject="InfluxDB")
                ms = to_ms(datetime.fromisoformat(_microseconds(record["_time"])))
                name, text = record["_field"], record["_value"]
                value: Any = text if name.endswith(QUALITY_SUFFIX) and _is_quality(text) else float(text)
                points.setdefault((record["resource_id"], ms), {})[name] = value
    return points


def _microseconds(text: str) -> str:
    """Return a time in Python's precision: InfluxDB writes nanoseconds where there are any."""
    return re.sub(r"(\.\d{6})\d+", r"\1", text)


def _is_quality(text: str) -> bool:
    return text in Quality.__members__.values()


# ---- both


def windows_of(points: Points, window: Window) -> dict[str, dict[str, list[Reading]]]:
    """Return the readings of a window by resource and quantity, in time order, with their neighbours."""
    found: dict[str, dict[str, list[Reading]]] = {resource_id: {} for resource_id in window.resource_ids}
    for (resource_id, ms), fields in sorted(points.items()):
        series = found.get(resource_id)
        if series is None:
            continue
        for name, value in fields.items():
            if isinstance(value, str):
                continue
            quality = fields.get(name + QUALITY_SUFFIX, Quality.GOOD.value)
            known = Quality(quality) if isinstance(quality, str) and _is_quality(quality) else Quality.GOOD
            readings = series.setdefault(name, [])
            before = len(readings) == 1 and to_ms(readings[0].time) < window.first_ms
            after = bool(readings) and to_ms(readings[-1].time) > window.last_ms
            reading = Reading(resource_id, name, float(value), from_ms(ms), known)
            if before and ms < window.first_ms:
                readings[0] = reading
            elif not after:
                readings.append(reading)
    return found
